//! What rotary positions cost: a network as it is and without them, in turns. `TOME_DEVICE` picks the device (`auto`, `cpu`,
//! a number or a part of an adapter's name), `TOME_ARCH` the architecture, `TOME_ROUNDS` how often.

use tome_wgpu::tune::Bench;
use tome_wgpu::vit::{Config, Options, Weights};
use tome_wgpu::{DeviceChoice, Schedule, Session};

fn main() {
    let said = |name: &str, otherwise: &str| std::env::var(name).unwrap_or_else(|_| otherwise.into());
    let device: DeviceChoice = said("TOME_DEVICE", "auto").parse().expect("TOME_DEVICE names a device");
    let arch = said("TOME_ARCH", "vit_base_patch16_dinov3");
    let rounds: usize = said("TOME_ROUNDS", "15").parse().expect("TOME_ROUNDS is a number");
    let config = Config::preset(&arch).expect("TOME_ARCH names an architecture");
    assert!(config.rotary.is_some(), "{arch} has no rotary positions");
    let weights = Weights::random(&config, 1);
    let session =
        |config: Config| Session::new(config, &weights, &device).expect("TOME_DEVICE names a device");
    let (with, without) = (session(config.clone()), session(config.with(|config| config.rotary = None)));
    println!("{arch} on {}, seconds an image, medians of {rounds} in turns", with.device());
    for r in [0, 13] {
        let options = Options::with_schedule(Schedule::constant(r));
        let mut times = [Vec::new(), Vec::new()];
        // The first round compiles and warms up.
        for round in 0..=rounds {
            for (session, times) in [&with, &without].into_iter().zip(&mut times) {
                let measured = Bench::new(session).measure(1, &options).expect("a forward pass");
                if round > 0 {
                    times.push(measured.seconds);
                }
            }
        }
        let mut ratios: Vec<f64> =
            times[0].iter().zip(&times[1]).map(|(with, without)| with / without).collect();
        let of_rounds = median(&mut ratios);
        let [fast, fast_without] =
            times.each_ref().map(|times| times.iter().copied().fold(f64::INFINITY, f64::min));
        let [with, without] = times.map(|mut times| median(&mut times));
        println!(
            "r = {r}: medians {with:.3} with, {without:.3} without, {}; of the rounds' ratios {}; fastest {fast:.3}, \
             {fast_without:.3}, {}",
            more(with / without),
            more(of_rounds),
            more(fast / fast_without)
        );
    }
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn more(ratio: f64) -> String {
    format!("{:+.2} %", 100.0 * (ratio - 1.0))
}
