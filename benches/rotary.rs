//! What rotary positions cost, or a relative position bias: a network as it is and without them, in turns. `TOME_DEVICE` picks the device (`auto`, `cpu`,
//! a number or a part of an adapter's name), `TOME_ARCH` the architecture, `TOME_ROUNDS` how often. Beside seconds there are those
//! of all threads' processor time where Linux says them: what runs beside a software driver changes them least.

use std::fs::read_to_string;

use tome_wgpu::tune::Bench;
use tome_wgpu::vit::{Config, Options, Weights};
use tome_wgpu::{DeviceChoice, Schedule, Session};

fn main() {
    let said = |name: &str, otherwise: &str| std::env::var(name).unwrap_or_else(|_| otherwise.into());
    let device: DeviceChoice = said("TOME_DEVICE", "auto").parse().expect("TOME_DEVICE names a device");
    let arch = said("TOME_ARCH", "vit_base_patch16_dinov3");
    let rounds: usize = said("TOME_ROUNDS", "15").parse().expect("TOME_ROUNDS is a number");
    let config = Config::preset(&arch).expect("TOME_ARCH names an architecture");
    let plain = config.clone().with(|config| (config.rotary, config.relative) = (None, None));
    assert!(config != plain, "{arch} has neither rotary positions nor a relative position bias");
    let session = |config: Config| {
        let weights = Weights::random(&config, 1);
        Session::new(config, &weights, &device).expect("TOME_DEVICE names a device")
    };
    let sessions = [config, plain].map(session);
    println!("{arch} on {}, one image, with and without, medians of {rounds} in turns", sessions[0].device());
    for r in [0, 13] {
        let options = Options::with_schedule(Schedule::constant(r));
        let mut seconds = [Vec::new(), Vec::new()];
        let mut processor = [Vec::new(), Vec::new()];
        // The first round compiles and warms up.
        for round in 0..=rounds {
            for (i, session) in sessions.iter().enumerate() {
                let mut bench = Bench::new(session);
                let before = processor_time();
                let measured = bench.measure(1, &options).expect("a forward pass");
                if round > 0 {
                    seconds[i].push(measured.seconds);
                    processor[i].extend(before.zip(processor_time()).map(|(before, after)| after - before));
                }
            }
        }
        println!("r = {r}: seconds {}", compared(seconds));
        if !processor[0].is_empty() {
            println!("r = {r}: processor time {}", compared(processor));
        }
    }
}

/// Medians, and how much more the first is.
fn compared(times: [Vec<f64>; 2]) -> String {
    let [with, without] = times.map(|mut times| {
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    });
    format!("{with:.3}, {without:.3}: {:+.2} %", 100.0 * (with / without - 1.0))
}

/// Seconds that this program's threads have computed.
fn processor_time() -> Option<f64> {
    // Behind the program's name, which may hold anything: the 12th and 13th, in hundredths of a second.
    let stat = read_to_string("/proc/self/stat").ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = fields[11].parse::<f64>().ok()? + fields[12].parse::<f64>().ok()?;
    Some(ticks / 100.0)
}
