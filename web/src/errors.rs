//! The library's errors as JavaScript's.

use js_sys::Reflect;
use tome_wgpu::Error;
use wasm_bindgen::JsValue;

/// An `Error` that has a `kind`, as the package's types list them.
pub fn thrown(error: Error) -> JsValue {
    let js = js_sys::Error::new(&error.to_string());
    // An object of our own takes what is set.
    _ = Reflect::set(&js, &"kind".into(), &kind(&error).into());
    js.into()
}

fn kind(error: &Error) -> &'static str {
    match error {
        Error::Config { .. } => "config",
        Error::Device { .. } => "device",
        Error::DeviceLost(_) => "device-lost",
        Error::File { .. } => "file",
        Error::Hub { .. } => "network",
        Error::Input(_) | Error::Schedule { .. } => "input",
        Error::Limit { .. } => "limit",
        Error::NoAdapter(_) => "no-device",
        Error::OutOfMemory { .. } => "out-of-memory",
        Error::Shader { .. } => "shader",
        Error::Unsupported { .. } => "unsupported",
        Error::Weight { .. } => "weight",
        // What a kernel is called with is this package's to get right.
        _ => "bug",
    }
}
