//! `bindgen MODULE.wasm FOLDER NAME`: the module that is loaded and its JavaScript, by wasm-bindgen.

use std::env::args;

fn main() -> anyhow::Result<()> {
    let [module, folder, name] = &args().skip(1).collect::<Vec<_>>()[..] else {
        anyhow::bail!("usage: bindgen MODULE.wasm FOLDER NAME");
    };
    let mut bindgen = wasm_bindgen_cli_support::Bindgen::new();
    // A module that a panic has ended is begun anew.
    bindgen.web(true)?.typescript(false).omit_default_module_path(false).reset_state_function(true);
    bindgen.remove_name_section(true).remove_producers_section(true);
    bindgen.input_path(module).out_name(name).generate(folder)
}
