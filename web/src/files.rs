//! A network's files as JavaScript hands them over.

use js_sys::Uint8Array;
use tome_wgpu::files::ModelFiles;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::chunks::Chunks;

/// Files by their names.
#[wasm_bindgen]
#[derive(Default)]
pub struct Files {
    pub(crate) model: ModelFiles,
    /// What `tome fit` wrote.
    pub(crate) fitted: Option<Vec<u8>>,
}

/// The name of what `tome fit` wrote, beside a network.
pub const FITTED: &str = "fitted.json";

#[wasm_bindgen]
impl Files {
    /// None yet.
    #[wasm_bindgen(constructor)]
    pub fn new() -> Self {
        Files::default()
    }

    /// Adds a file, in pieces one behind the other, which must not be changed.
    pub fn add(&mut self, name: &str, chunks: Vec<Uint8Array>) {
        match name {
            FITTED => self.fitted = Some(chunks.iter().flat_map(Uint8Array::to_vec).collect()),
            name => self.model = std::mem::take(&mut self.model).with(name, Chunks::new(chunks)),
        }
    }
}
