//! What the network in each folder is, or why it is not run: only headers are read.
//!
//!     cargo run --release --example inspect -- FOLDER...
//!
//! Prints a line for each: the folder, `accepted` or `refused`, and the config or the reason, with tabs between.

use std::env::args_os;
use std::path::{Path, PathBuf};

use tome_wgpu::files::load_model;

fn main() {
    for folder in args_os().skip(1).map(PathBuf::from) {
        println!("{}\t{}", folder.display(), inspect(&folder));
    }
}

fn inspect(folder: &Path) -> String {
    match load_model(folder, None) {
        Ok((config, _)) => format!("accepted\t{config:?}"),
        Err(error) => format!("refused\t{}", error.to_string().replace('\n', " ")),
    }
}
