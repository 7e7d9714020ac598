//! Compiled pipelines kept from run to run, where the backend hands them out. Nothing that goes wrong here is an error:
//! what cannot be read is compiled, and what cannot be written is compiled again next time.

use std::io;

use crate::gpu::Gpu;
use crate::store::{Store, checksum};

/// Bytes of the checksum that stands before the data: drivers trust what they are given.
const CHECKSUM: usize = size_of::<u64>();

/// The pipelines of a device and where they are kept.
#[derive(Debug)]
pub(super) struct SavedPipelines {
    cache: wgpu::PipelineCache,
    store: Store,
    name: String,
    /// Of what is kept; none where that is of no use.
    checksum: Option<u64>,
    /// Pipelines that had been compiled when it was last looked at.
    compiled: usize,
}

impl SavedPipelines {
    /// For a device made with `Features::PIPELINE_CACHE`, unless nothing is kept; and the device with it.
    pub fn open(gpu: Gpu, store: &Store) -> (Gpu, Option<Self>) {
        match Self::of(&gpu, store) {
            Some(saved) => (gpu.with_pipeline_cache(saved.cache.clone()), Some(saved)),
            None => (gpu, None),
        }
    }

    fn of(gpu: &Gpu, store: &Store) -> Option<Self> {
        let device = gpu.device();
        if !device.features().contains(wgpu::Features::PIPELINE_CACHE) || matches!(store, Store::Nothing) {
            return None;
        }
        let key = wgpu::util::pipeline_cache_key(&device.adapter_info())?;
        let name = format!("{key}-{}.bin", env!("CARGO_PKG_VERSION"));
        let read = store.read(&name).and_then(|bytes| whole(bytes).ok_or(io::ErrorKind::InvalidData.into()));
        let data = match read {
            Ok(data) => Some(data),
            Err(error) => {
                tracing::debug!("no pipelines from {}: {error}", store.place(&name));
                None
            }
        };
        let made = gpu.scopes().guarded("a pipeline cache", 0, || {
            let descriptor =
                wgpu::PipelineCacheDescriptor { label: Some("tome"), data: data.as_deref(), fallback: true };
            // SAFETY: the data is what a cache gave, in a place of the user's own, and its checksum is right. wgpu
            // compares the device and driver in it with these and starts with nothing where they differ.
            unsafe { device.create_pipeline_cache(&descriptor) }
        });
        let cache = made.inspect_err(|error| tracing::debug!("no pipeline cache: {error}")).ok()?;
        let checksum = data.as_deref().map(checksum);
        Some(SavedPipelines { cache, store: store.clone(), name, checksum, compiled: 0 })
    }

    /// Whether more has been compiled since it was last looked at.
    pub fn lacks(&self, compiled: usize) -> bool {
        compiled != self.compiled
    }

    /// Keeps what has been compiled where the store lacks it.
    pub fn save(&mut self, compiled: usize) {
        if !self.lacks(compiled) {
            return;
        }
        self.compiled = compiled;
        let Some(data) = self.cache.get_data() else { return };
        let checksum = checksum(&data);
        if self.checksum == Some(checksum) {
            return;
        }
        match self.store.write(&self.name, &[&checksum.to_le_bytes(), &data]) {
            Ok(()) => self.checksum = Some(checksum),
            Err(error) => {
                tracing::debug!("pipelines are not kept in {}: {error}", self.store.place(&self.name));
            }
        }
    }
}

/// The data behind its checksum, if it is what was written.
fn whole(mut bytes: Vec<u8>) -> Option<Vec<u8>> {
    let (stated, data) = bytes.split_first_chunk::<CHECKSUM>()?;
    if u64::from_le_bytes(*stated) != checksum(data) {
        return None;
    }
    bytes.drain(..CHECKSUM);
    Some(bytes)
}
