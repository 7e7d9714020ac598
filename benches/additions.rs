//! What rotary positions, a relative position bias and the masks of packed pictures cost: a network with and without them, in turns. `TOME_DEVICE` picks the
//! device (`auto`, `cpu`, a number or a part of an adapter's name), `TOME_ROUNDS` how often. Beside seconds there are those
//! of all threads' processor time where Linux says them: what runs beside a software driver changes them least.

use std::fs::read_to_string;
use std::time::Instant;

use tome_wgpu::vit::{Config, Options, Packed, Want, Weights};
use tome_wgpu::{DeviceChoice, Schedule, Session};

fn main() {
    let said = |name: &str, otherwise: &str| std::env::var(name).unwrap_or_else(|_| otherwise.into());
    let device: DeviceChoice = said("TOME_DEVICE", "auto").parse().expect("TOME_DEVICE names a device");
    // Whether it runs at all takes no network of that size.
    let test = std::env::args().any(|arg| arg == "--test");
    let (rounds, size) = if test { ("1", "small") } else { ("15", "base") };
    let rounds: usize = said("TOME_ROUNDS", rounds).parse().expect("TOME_ROUNDS is a number");
    let preset = |arch: String| {
        let config = Config::preset(&arch).expect("an architecture");
        config.with(|config| config.depth = if test { 1 } else { config.depth })
    };
    let rotary = preset(format!("vit_{size}_patch16_dinov3"));
    let without = rotary.clone().with(|config| config.rotary = None);
    compare("rotary positions", [rotary, without], &[0, 13], rounds, &device);
    let biased = preset("beit_base_patch16_224".into());
    let without = biased.clone().with(|config| config.relative = None);
    compare("a relative position bias", [biased, without], &[0, 13], rounds, &device);
    // Merging of packed pictures goes by a threshold, which is no mask's cost.
    let plain = preset("vit_base_patch16_siglip_256".into());
    let packed = plain.clone().with(|config| config.packed = Some(Packed::new(256, [16; 2])));
    compare("masks", [packed, plain], &[0], rounds, &device);
}

/// Prints what the first network takes beside the second.
fn compare(what: &str, configs: [Config; 2], every: &[u32], rounds: usize, device: &DeviceChoice) {
    let sessions = configs.map(|config| {
        let weights = Weights::random(&config, 1);
        Session::new(config, &weights, device).expect("TOME_DEVICE names a device")
    });
    println!("{what} on {}, one image, with and without, medians of {rounds} in turns", sessions[0].device());
    let images: Vec<Vec<f32>> = sessions.iter().map(|session| image(session.config())).collect();
    for &r in every {
        let options = Options::with_schedule(Schedule::constant(r));
        let mut seconds = [Vec::new(), Vec::new()];
        let mut processor = [Vec::new(), Vec::new()];
        // The first round compiles and warms up.
        for round in 0..=rounds {
            for (i, session) in sessions.iter().enumerate() {
                let (before, start) = (processor_time(), Instant::now());
                let features =
                    session.run(&images[i], &options, Want::FEATURES).expect("a forward pass").features;
                let took = start.elapsed().as_secs_f64();
                assert!(features.iter().all(|value| value.is_finite()), "features that are no numbers");
                if round > 0 {
                    seconds[i].push(took);
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

/// A picture; a packed one is three quarters patches and one quarter padding.
fn image(config: &Config) -> Vec<f32> {
    let values = |count: usize| (0..count).map(|i| (i as f32 * 0.618_034).fract() - 0.5).collect::<Vec<_>>();
    match config.packed {
        Some(_) => config.pack(&values(config.image_values()), [16, 12]).expect("a picture"),
        None => values(config.image_values()),
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
