//! Vulkan's validation layer as a judge: with `TOME_VALIDATE` set it watches every call, and its first message ends the
//! tests. wgpu passes its messages on to the `log` crate alone, never to error scopes.

use std::io::Write;

/// Instance flags for the tests.
pub fn flags() -> wgpu::InstanceFlags {
    if !wanted() {
        return wgpu::InstanceFlags::default();
    }
    // Before the instance, which asks the layer for what is logged.
    if log::set_logger(&Judge).is_ok() {
        log::set_max_level(log::LevelFilter::Warn);
    }
    wgpu::InstanceFlags::debugging()
}

/// wgpu goes on without a layer that is not installed, and a layer that is not there says nothing. Call it while there
/// is an instance.
pub fn check() {
    if wanted() {
        let maps = std::fs::read_to_string("/proc/self/maps").expect("TOME_VALIDATE is for Linux");
        assert!(
            maps.contains("libVkLayer_khronos_validation"),
            "TOME_VALIDATE is set and Vulkan's validation layer is not installed"
        );
    }
}

fn wanted() -> bool {
    std::env::var_os("TOME_VALIDATE").is_some()
}

struct Judge;

impl log::Log for Judge {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.level() <= log::Level::Warn && metadata.target().starts_with("wgpu_hal::vulkan")
    }

    /// Ends the process: wgpu catches a panic in here. Written past the test's captured output, which would be lost.
    fn log(&self, record: &log::Record<'_>) {
        if self.enabled(record.metadata()) {
            _ = writeln!(std::io::stderr(), "{} {}: {}", record.level(), record.target(), record.args());
            std::process::exit(1);
        }
    }

    fn flush(&self) {}
}
