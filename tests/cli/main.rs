//! The command `tome`: every subcommand with good and bad input.
#![cfg(feature = "cli")]

mod bench;
mod brought;
mod cache;
mod classify;
mod demo;
mod devices;
mod eval;
mod fit;
#[cfg(feature = "hub")]
mod hub;
#[cfg(feature = "hub")]
mod hub_mirror;
mod image_size;
mod infer;
#[path = "../common/place.rs"]
mod place;
mod senses;
mod shard;
mod table;
mod tune;
mod unbreakable;
mod usage;
mod visualize;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use place::place;
use safetensors::{Dtype, SafeTensors};

/// A folder of this repository.
fn repository(path: &str) -> PathBuf {
    place!("CARGO_MANIFEST_DIR").join(path)
}

fn golden(case: &str) -> PathBuf {
    repository("tests/golden/cases").join(case)
}

fn digit(digit: usize) -> String {
    repository("models/digits").join(format!("digit_{digit}.png")).display().to_string()
}

/// A u32 tensor of a safetensors file.
fn indices(file: &[u8], name: &str) -> (Vec<usize>, Vec<u32>) {
    let tensors = SafeTensors::deserialize(file).expect("tensors");
    let tensor = tensors.tensor(name).expect("the tensor");
    assert_eq!(tensor.dtype(), Dtype::U32);
    (tensor.shape().to_vec(), bytemuck::pod_collect_to_vec(tensor.data()))
}

/// Where compiled pipelines are kept.
const CACHE: &str = "TOME_CACHE_DIR";

/// What a run printed and how it ended.
struct Run {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

/// Runs the command in `folder`.
fn tome_in(folder: &Path, args: &[&str]) -> Run {
    run(Command::new(place!("CARGO_BIN_EXE_tome")).args(args).current_dir(folder))
}

fn run(command: &mut Command) -> Run {
    // What a run keeps for the next is none of the user's, unless a test says where.
    if !command.get_envs().any(|(name, _)| name == CACHE) {
        command.env(CACHE, "");
    }
    let Output { status, stdout, stderr } = command.env_remove("TOME_LOG").output().expect("tome starts");
    let text = |bytes| String::from_utf8(bytes).expect("tome prints UTF-8");
    let run = Run { code: status.code(), stdout: text(stdout), stderr: text(stderr) };
    assert!(!run.stderr.contains("panicked"), "{command:?}: {}", run.stderr);
    run
}

fn tome(args: &[&str]) -> Run {
    tome_in(Path::new("."), args)
}

impl Run {
    /// Done.
    #[track_caller]
    fn done(self) -> Self {
        assert_eq!(self.code, Some(0), "{}", self.stderr);
        self
    }

    /// Failed, and said this.
    #[track_caller]
    fn failed(self, why: &str) -> Self {
        assert_eq!(self.code, Some(1), "{}", self.stderr);
        assert!(self.stderr.contains("error: ") && self.stderr.contains(why), "`{why}` in {}", self.stderr);
        self
    }

    /// Was not understood, and said this.
    #[track_caller]
    fn misused(self, why: &str) -> Self {
        assert_eq!(self.code, Some(2), "{}", self.stderr);
        assert!(self.stderr.contains(why), "`{why}` in {}", self.stderr);
        self
    }
}

/// Whether there must be an adapter.
fn gpu_required() -> bool {
    std::env::var_os("TOME_REQUIRE_GPU").is_some()
}
