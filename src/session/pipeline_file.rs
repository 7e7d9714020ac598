//! Compiled pipelines kept on disk from run to run, where the backend hands them out. Nothing that goes wrong here is an
//! error: what cannot be read is compiled, and what cannot be written is compiled again next time.

use std::env;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::gpu::guarded;

/// Moves the folder; empty, it turns the file off.
pub(super) const FOLDER: &str = "TOME_CACHE_DIR";
/// Bytes of the checksum that stands before the data: drivers trust what they are given.
const CHECKSUM: usize = size_of::<u64>();

/// The pipelines of a device and the file that they are kept in.
#[derive(Debug)]
pub(super) struct PipelineFile {
    pub cache: wgpu::PipelineCache,
    path: PathBuf,
    /// Of what the file holds; none where it holds nothing of use.
    checksum: Option<u64>,
    /// Pipelines that had been compiled when it was last looked at.
    compiled: usize,
}

impl PipelineFile {
    /// For a device made with `Features::PIPELINE_CACHE`, unless it is turned off.
    pub fn open(device: &wgpu::Device) -> Option<Self> {
        if !device.features().contains(wgpu::Features::PIPELINE_CACHE) {
            return None;
        }
        let key = wgpu::util::pipeline_cache_key(&device.adapter_info())?;
        let path = folder()?.join(format!("{key}-{}.bin", env!("CARGO_PKG_VERSION")));
        let read = fs::read(&path).and_then(|bytes| whole(bytes).ok_or(io::ErrorKind::InvalidData.into()));
        let data = match read {
            Ok(data) => Some(data),
            Err(error) => {
                tracing::debug!("no pipelines from {}: {error}", path.display());
                None
            }
        };
        let made = guarded(device, "a pipeline cache", 0, || {
            let descriptor =
                wgpu::PipelineCacheDescriptor { label: Some("tome"), data: data.as_deref(), fallback: true };
            // SAFETY: the data is what a cache gave, in a file of the user's own whose checksum is right. wgpu compares
            // the device and driver in it with these and starts with nothing where they differ.
            unsafe { device.create_pipeline_cache(&descriptor) }
        });
        match made {
            Ok(cache) => {
                Some(PipelineFile { cache, path, checksum: data.as_deref().map(checksum), compiled: 0 })
            }
            Err(error) => {
                tracing::debug!("no pipeline cache: {error}");
                None
            }
        }
    }

    /// Writes the file where more has been compiled since and the file lacks it.
    pub fn save(&mut self, compiled: usize) {
        if compiled == self.compiled {
            return;
        }
        self.compiled = compiled;
        let Some(data) = self.cache.get_data() else { return };
        let checksum = checksum(&data);
        if self.checksum == Some(checksum) {
            return;
        }
        match write(&self.path, &[&checksum.to_le_bytes(), &data]) {
            Ok(()) => self.checksum = Some(checksum),
            Err(error) => tracing::debug!("pipelines are not kept in {}: {error}", self.path.display()),
        }
    }
}

/// The folder of what is kept from run to run.
pub(super) fn folder() -> Option<PathBuf> {
    match env::var_os(FOLDER) {
        Some(folder) if folder.is_empty() => None,
        Some(folder) => Some(folder.into()),
        None => Some(dirs::cache_dir()?.join("tome-wgpu")),
    }
}

/// The data in a file, if it is what was written.
fn whole(mut bytes: Vec<u8>) -> Option<Vec<u8>> {
    let (stated, data) = bytes.split_first_chunk::<CHECKSUM>()?;
    if u64::from_le_bytes(*stated) != checksum(data) {
        return None;
    }
    bytes.drain(..CHECKSUM);
    Some(bytes)
}

/// Written beside its place, then renamed, so that nobody reads half of it.
pub(super) fn write(path: &Path, parts: &[&[u8]]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let mut file = NamedTempFile::new_in(folder)?;
    parts.iter().try_for_each(|part| file.write_all(part))?;
    file.persist(path)?;
    Ok(())
}

/// FNV-1a: against accidents, not against malice.
pub(super) fn checksum(data: &[u8]) -> u64 {
    data.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
