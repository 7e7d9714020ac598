//! What the driver's compiler makes of every shader: registers, spills, local and workgroup memory, occupancy,
//! instructions, and those of the hot loop. Nothing is run, so that a driver without its device does.
//!
//! ```sh
//! cargo bench --bench registers -- [NAME] [--all] [--json FILE] [--table FILE] [--check FILE] [--isa FOLDER]
//! ```
//!
//! Shaders with NAME in theirs (`f16-subgroup-workgroup/matmul.large.gelu.bias`) only. On a GPU the variants for software
//! drivers are left out, but for `--all`. `--json` writes the figures with all that the driver says, `--table` without,
//! to compare with by `--check`: it fails where a figure is more than 5 % worse, and where a shader spills, keeps an
//! array in local memory, or was made for matrix units that its loop does not use. `--isa` writes the driver's texts.
//! `TOME_ADAPTER` says on which adapter.

#[path = "../../tests/common/mod.rs"]
mod common;
#[path = "../../tests/shaders/forms.rs"]
mod forms;

mod assembly;
#[cfg_attr(target_vendor = "apple", path = "no_driver.rs")]
mod driver;
mod figures;
mod shaders;
mod table;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use driver::Driver;
use figures::{COLUMNS, Compiled, Figures, figures};
use shaders::Shader;
use table::Table;

/// What the command line asks.
#[derive(Default)]
struct Asked {
    test: bool,
    all: bool,
    name: String,
    json: Option<String>,
    table: Option<String>,
    check: Option<String>,
    isa: Option<String>,
}

impl Asked {
    fn read(mut args: impl Iterator<Item = String>) -> Asked {
        let mut asked = Asked::default();
        while let Some(arg) = args.next() {
            let mut file = || Some(args.next().unwrap_or_else(|| panic!("{arg} lacks its argument")));
            match arg.as_str() {
                "--test" => asked.test = true,
                "--all" => asked.all = true,
                "--json" => asked.json = file(),
                "--table" => asked.table = file(),
                "--check" => asked.check = file(),
                "--isa" => asked.isa = file(),
                // Cargo's own.
                "--bench" => {}
                _ if arg.starts_with('-') => panic!("no option {arg}"),
                _ => asked.name = arg,
            }
        }
        asked
    }

    /// Whether a shader is asked for by its name.
    fn wants(&self, name: &str) -> bool {
        // What `cargo bench -- --test` asks is whether it runs at all.
        let few = [
            "f32-subgroup-workgroup/layer_norm",
            "matrices16x32/attention.width64",
            "matrices16x64/attention.width64",
        ];
        name.contains(&self.name) && (!self.test || few.iter().any(|few| name.contains(few)))
    }
}

fn main() -> ExitCode {
    let asked = Asked::read(std::env::args().skip(1));
    if asked.test {
        assembly::check();
    }
    let Some(adapter) = common::adapter() else { return ExitCode::SUCCESS };
    let info = adapter.get_info();
    let Some(driver) = Driver::open(adapter) else {
        eprintln!(
            "SKIP: {} does not say what it compiles (VK_KHR_pipeline_executable_properties)",
            info.name
        );
        // Nothing is neither a table nor as good as one.
        let asked = asked.table.or(asked.check).or(asked.json);
        return if asked.is_some() { ExitCode::FAILURE } else { ExitCode::SUCCESS };
    };
    let shaders = shaders::shaders(adapter, asked.all, |name| asked.wants(name));
    assert!(!shaders.is_empty(), "the adapter runs no shader with {} in its name", asked.name);
    let compiled = compile(&driver, &shaders);
    if let Some(folder) = &asked.isa {
        write_texts(Path::new(folder), &compiled);
    }
    let figures = compiled.iter().map(|(&name, compiled)| (name.to_owned(), figures(compiled)));
    let figures: BTreeMap<String, Figures> = figures.collect();
    println!("{} ({}): {} shaders", info.name, info.driver_info, figures.len());
    if asked.table.is_none() && asked.check.is_none() {
        print(&figures);
    }
    if asked.test {
        assert!(
            figures.values().all(|f| f[0].is_some_and(|registers| registers > 0)),
            "shaders without registers"
        );
    }
    let now = Table { device: info.name, driver: info.driver_info, shaders: figures };
    if let Some(file) = &asked.table {
        now.write(file, None).unwrap_or_else(|e| panic!("{file}: {e}"));
    }
    if let Some(file) = &asked.json {
        let own = compiled.iter().map(|(&name, compiled)| (name.to_owned(), compiled.statistics.clone()));
        now.write(file, Some(&own.collect())).unwrap_or_else(|e| panic!("{file}: {e}"));
    }
    let Some(file) = &asked.check else { return ExitCode::SUCCESS };
    let by_matrices = |name: &str| shaders.iter().any(|shader| shader.name == name && shader.by_matrices);
    match table::complaints(&Table::read(file), &now, |name| asked.wants(name), by_matrices) {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

/// All of them, on every core.
fn compile<'a>(driver: &Driver, shaders: &'a [Shader]) -> BTreeMap<&'a str, Compiled> {
    let (next, done) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
    let work = || {
        while let Some(shader) = shaders.get(next.fetch_add(1, Ordering::Relaxed)) {
            let compiled = driver.compile(shader);
            let compiled = compiled.unwrap_or_else(|e| panic!("{}: {e}", shader.name));
            done.lock().unwrap().insert(shader.name.as_str(), compiled);
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
    done.into_inner().unwrap()
}

fn print(figures: &BTreeMap<String, Figures>) {
    let wide = figures.keys().map(String::len).max().unwrap_or_default();
    let head = COLUMNS.each_ref().map(|column| format!(" {:>12}", column.name));
    println!("{:wide$}{}", "", head.concat());
    for (name, figures) in figures {
        let row =
            figures.map(|figure| format!(" {:>12}", figure.map_or("-".into(), |figure| figure.to_string())));
        println!("{name:wide$}{}", row.concat());
    }
}

/// The driver's texts: `FOLDER/VARIANT/KERNEL.FORM.TEXT.txt`.
fn write_texts(folder: &Path, compiled: &BTreeMap<&str, Compiled>) {
    for (name, compiled) in compiled {
        for (kind, text) in &compiled.texts {
            let kind = kind.replace(|c: char| !c.is_ascii_alphanumeric(), "_");
            let file = folder.join(format!("{name}.{kind}.txt"));
            fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
            fs::write(&file, text).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        }
    }
}
