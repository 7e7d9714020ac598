//! The command `tome`: parses, dispatches, and turns errors into exit codes (0 done, 1 failed, 2 wrong usage; 130
//! interrupted, see `output`). Also a library, for programs that bring the command along: [`run`].

mod ahead;
mod args;
mod bench;
mod classes;
mod classify;
mod demo;
mod devices;
pub mod digits;
mod eval;
mod evaluation;
mod finished;
mod fit;
mod folders;
pub mod imagenet;
mod infer;
mod inputs;
mod labels;
mod merging;
mod model;
mod output;
mod packed_input;
mod paint;
mod pictures;
mod plot;
mod report;
mod results;
mod rows;
mod shard;
mod state;
#[cfg_attr(not(feature = "parquet"), path = "no_table.rs")]
mod table;
mod tensor_input;
mod tensor_writer;
mod text;
mod truth;
mod tune;
pub mod visualize;

use std::ffi::OsString;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use tracing_subscriber::EnvFilter;

/// Vision Transformers with Token Merging on any GPU. Without a subcommand: `tome demo`.
#[derive(Parser)]
#[command(name = "tome", version, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    demo: demo::Args,
    /// Print results, warnings and errors only
    #[arg(long, short, global = true)]
    quiet: bool,
    /// Say more: how pictures are prepared, what is left out
    #[arg(long, short, global = true, conflicts_with = "quiet")]
    verbose: bool,
}

const EXAMPLES: &str = "\
Examples:
  tome                                       accuracy and speed against r on built-in digits
  tome classify cat.jpg --model vit_base --r 13
  tome infer --model vit_base --input photos --output features.safetensors --want features
  tome visualize cat.jpg --model vit_base --r 16 --out merged.png
  tome eval --model vit_base --images val --labels folder-names --r 8,13,16
  tome bench --arch vit_small_patch16_224 --r 0,13
  tome tune --arch vit_small_patch16_224
  tome fit --model vit_base --images photos --target 1.6x
  tome devices

R is how many tokens merge in each block: 13 in every block, 16:-1 falling from 32 to 0, 32,29,26 block by block.
TOME_LOG sets what is logged, for example TOME_LOG=debug or TOME_LOG=wgpu_core=info.
TOME_CACHE_DIR moves the folder of compiled pipelines and tunings; empty, none are kept.";

#[derive(Subcommand)]
enum Command {
    Demo(demo::Args),
    Classify(classify::Args),
    Infer(infer::Args),
    Visualize(visualize::Args),
    Eval(eval::Args),
    Bench(bench::Args),
    Tune(tune::Args),
    Fit(fit::Args),
    /// List the adapters, and what `--device auto` takes
    Devices,
}

/// The program.
pub fn main() -> ExitCode {
    run(std::env::args_os()).into()
}

/// The command with its arguments, its name the first; gives the exit code.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    keep_vulkan_quiet();
    let cli = parse(arguments);
    log(cli.quiet, cli.verbose);
    tome_wgpu::cpu::make_threads();
    let done = match cli.command.unwrap_or(Command::Demo(cli.demo)) {
        Command::Demo(args) => demo::run(&args),
        Command::Classify(args) => classify::run(&args),
        Command::Infer(args) => infer::run(&args, cli.quiet),
        Command::Visualize(args) => visualize::run(&args),
        Command::Eval(args) => eval::run(&args, cli.quiet),
        Command::Bench(args) => bench::run(&args),
        Command::Tune(args) => tune::run(&args),
        Command::Fit(args) => fit::run(&args, cli.quiet),
        Command::Devices => devices::run(),
    };
    match done {
        Ok(()) => 0,
        // `tome classify ... | head` is no failure.
        Err(error) if is_closed_pipe(&error) => 0,
        Err(error) => {
            // Names from files may hold anything; and where stderr cannot be written, the exit code says it.
            _ = writeln!(std::io::stderr(), "error: {}", text::plain(&format!("{error:#}")));
            1
        }
    }
}

/// Mesa's layers look for a window system, and where this is not set, as in containers, complain of it on stderr in words
/// that read like an error of ours.
fn keep_vulkan_quiet() {
    const RUNTIME: &str = "XDG_RUNTIME_DIR";
    if cfg!(target_os = "linux") && std::env::var_os(RUNTIME).is_none() {
        // SAFETY: nothing else runs yet in this process.
        unsafe { std::env::set_var(RUNTIME, std::env::temp_dir()) };
    }
}

/// Flags of the demo before a subcommand are wrong usage. (`args_conflicts_with_subcommands` would refuse `--quiet`
/// there too.)
fn parse(arguments: impl IntoIterator<Item = OsString>) -> Cli {
    let mut command = Cli::command();
    let matches = command.try_get_matches_from_mut(arguments).unwrap_or_else(|error| error.exit());
    let given = |arg: &&clap::Arg| {
        !arg.is_global_set() && matches.value_source(arg.get_id().as_str()) == Some(ValueSource::CommandLine)
    };
    let stray = command.get_arguments().find(given).map(ToString::to_string);
    if let (Some(stray), Some(subcommand)) = (stray, matches.subcommand_name()) {
        let message = format!("'{stray}' cannot be used before the subcommand '{subcommand}'");
        command.error(ErrorKind::ArgumentConflict, message).exit();
    }
    Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.format(&mut command).exit())
}

/// Logs go to stderr, so that stdout holds results alone. What the decoder of sounds says, its errors say too.
fn log(quiet: bool, verbose: bool) {
    let filter = match std::env::var("TOME_LOG") {
        Ok(filter) => EnvFilter::new(filter),
        Err(_) if quiet => EnvFilter::new("error,symphonia=off,tome=warn"),
        Err(_) if verbose => EnvFilter::new("warn,symphonia=off,tome=debug"),
        Err(_) => EnvFilter::new("error,symphonia=off,tome=info"),
    };
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .without_time()
        .with_target(false)
        // Where stderr cannot be written there is nobody to tell, and the work goes on.
        .log_internal_errors(false)
        .init();
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>())
        .any(|cause| cause.kind() == std::io::ErrorKind::BrokenPipe)
}
