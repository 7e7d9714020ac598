//! `bindgen MODULE.wasm FOLDER NAME SHADERS`: the module that is loaded and its JavaScript, by wasm-bindgen. What takes much
//! once it is compressed becomes less: the hashes in the names that the two have for each other are numbers, the comments of
//! the shaders blanks.

use std::env::args;
use std::fs;
use std::mem;
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
    let mut output = bindgen.input_path(module).out_name(name).generate_output()?;
    let mut renamed = Vec::new();
    for (number, import) in output.wasm_mut().imports.iter_mut().enumerate() {
        if let Some(stem) = without_hash(&import.name) {
            let short = format!("{stem}_{number}");
            renamed.push((mem::replace(&mut import.name, short.clone()), short));
        }
    }
    output.emit(folder)?;

    let path = Path::new(folder).join(format!("{name}.js"));
    let text = fs::read_to_string(&path)?;
    let text = renamed.iter().fold(text, |text, (long, short)| text.replace(long, short));
    fs::write(path, text)?;

    let path = Path::new(folder).join(format!("{name}_bg.wasm"));
    let mut wasm = fs::read(&path)?;
    blank_in(Path::new(shaders), &mut wasm)?;
    Ok(fs::write(path, wasm)?)
}

/// A name such as `__wbg_label_fceb40a43a358e62` without its end.
fn without_hash(name: &str) -> Option<&str> {
    let (stem, hash) = name.rsplit_once('_')?;
    (hash.len() == 16 && hash.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(stem)
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
