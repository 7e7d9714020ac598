//! This crate's runner; README.md beside it says what a runner is.
//!
//!     compare MODEL IMAGES.f32 LOGITS.f32 BATCH R DEVICE

use std::error::Error;
use std::io::{BufRead, Write};
use std::path::Path;
use std::time::Instant;

use serde_json::{Value, json};
use tome_wgpu::files::load_model;
use tome_wgpu::vit::{Options, Want};
use tome_wgpu::{DeviceChoice, Session, adapters};

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [model, images, logits, batch, r, device] = &args[..] else {
        // `cargo bench` starts every bench without arguments.
        eprintln!("SKIP: MODEL IMAGES.f32 LOGITS.f32 BATCH R DEVICE; compare.py gives them");
        return Ok(());
    };
    let started = Instant::now();
    let (config, weights) = load_model(Path::new(model), None)?;
    let device: DeviceChoice = device.parse()?;
    let session = Session::new(config, &weights, &device)?;
    drop(weights);
    let options = Options::with_schedule(r.parse()?);
    let images: Vec<f32> = bytemuck::pod_collect_to_vec(&std::fs::read(images)?);
    let images = &images[..batch.parse::<usize>()? * session.config().image_values()];
    let load = started.elapsed().as_secs_f64();
    let report = session.device();
    let adapter = adapters().into_iter().find(|adapter| adapter.name == report.name);
    let driver = adapter.map_or_else(String::new, |adapter| format!(", driver {}", adapter.driver));
    say(&json!({ "device": format!("{}, {}{driver}", report.name, report.precision), "load": load }))?;

    for line in std::io::stdin().lock().lines() {
        line?;
        // From images in host memory to logits in host memory, as for everyone.
        let start = Instant::now();
        let outputs = session.run(images, &options, Want::LOGITS)?;
        let seconds = start.elapsed().as_secs_f64();
        std::fs::write(logits, bytemuck::cast_slice(&outputs.logits))?;
        say(&json!({ "seconds": seconds }))?;
    }
    Ok(())
}

fn say(line: &Value) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}
