//! What stands for [`Table`] where the command is built without the feature `parquet`.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Result, bail};
use tome_wgpu::vit::{Config, Outputs, Want};

/// A Parquet file, of which there is none.
pub enum Table {}

/// Says that there is none.
pub fn check() -> Result<()> {
    bail!(
        "this command is built without Parquet; build it with `cargo install tome-wgpu --features parquet`, or give a name \
         that ends in .safetensors"
    )
}

/// Says that there is none.
pub fn metadata(_: &Path) -> Result<BTreeMap<String, String>> {
    check().map(|()| BTreeMap::new())
}

impl Table {
    /// Says that there is none.
    pub fn create(
        _: &Path,
        _: Want,
        _: u32,
        _: &Config,
        _: bool,
        _: BTreeMap<String, String>,
    ) -> Result<Self> {
        check().map(|()| unreachable!("the check fails"))
    }

    /// Cannot be called.
    pub fn append(
        &mut self,
        _: &[String],
        _: &[(usize, String)],
        _: Option<&[usize]>,
        _: &Outputs,
    ) -> Result<()> {
        match *self {}
    }

    /// Cannot be called.
    pub fn finish_as(self, _: &Path, _: usize) -> Result<()> {
        match self {}
    }

    /// Cannot be called.
    pub fn finish(self, _: usize) -> Result<()> {
        match self {}
    }
}
