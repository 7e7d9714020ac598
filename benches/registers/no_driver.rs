//! Metal's compiler says nothing of what it makes.

use crate::figures::Compiled;
use crate::shaders::Shader;

/// There is none.
pub enum Driver {}

impl Driver {
    /// None.
    pub fn open(_: &wgpu::Adapter) -> Option<Driver> {
        None
    }

    /// Cannot be called.
    pub fn compile(&self, _: &Shader) -> Result<Compiled, ash::vk::Result> {
        match *self {}
    }
}
