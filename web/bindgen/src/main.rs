//! `bindgen MODULE.wasm FOLDER NAME SHADERS`: the module that is loaded and its JavaScript, by wasm-bindgen; the comments of
//! the shaders in it become blanks, which take nothing once they are compressed.

use std::env::args;
use std::fs;
use std::path::Path;

use anyhow::{Result, bail, ensure};

fn main() -> Result<()> {
    let [module, folder, name, shaders] = &args().skip(1).collect::<Vec<_>>()[..] else {
        bail!("usage: bindgen MODULE.wasm FOLDER NAME SHADERS");
    };
    let mut bindgen = wasm_bindgen_cli_support::Bindgen::new();
    // A module that a panic has ended is begun anew.
    bindgen.web(true)?.typescript(false).omit_default_module_path(false).reset_state_function(true);
    bindgen.remove_name_section(true).remove_producers_section(true);
    bindgen.input_path(module).out_name(name).generate(folder)?;

    let path = Path::new(folder).join(format!("{name}_bg.wasm"));
    let mut wasm = fs::read(&path)?;
    blank_in(Path::new(shaders), &mut wasm)?;
    Ok(fs::write(path, wasm)?)
}

/// Blanks the comments of every shader below a folder, where a module has its text.
fn blank_in(folder: &Path, wasm: &mut [u8]) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            blank_in(&path, wasm)?;
        } else if path.extension().is_some_and(|extension| extension == "wgsl") {
            let text = fs::read_to_string(&path)?;
            ensure!(!text.contains("/*"), "{}: a comment that is none of lines", path.display());
            let blanked: Vec<String> = text.split('\n').map(blanked).collect();
            replace(wasm, text.as_bytes(), blanked.join("\n").as_bytes());
        }
    }
    Ok(())
}

/// A line with blanks for its comment, so that every place stays where it is.
fn blanked(line: &str) -> String {
    let code = line.split("//").next().unwrap_or(line);
    format!("{code:<length$}", length = line.len())
}

/// Replaces a text by one of the same length wherever it stands.
fn replace(bytes: &mut [u8], text: &[u8], by: &[u8]) {
    let mut from = 0;
    while let Some(at) = bytes[from..].windows(text.len()).position(|window| window == text) {
        bytes[from + at..][..text.len()].copy_from_slice(by);
        from += at + text.len();
    }
}
