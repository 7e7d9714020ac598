//! Schedules of different shapes that compute as much as a given one.

use tome_wgpu::Schedule;
use tome_wgpu::kernels::split_tokens::pcg;
use tome_wgpu::vit::{Config, Options};

/// Random schedules.
const RANDOM: u32 = 8;

/// The schedule itself and others of the paper's figure, scaled so that a forward pass is as much work, as nearly as
/// whole tokens allow. One that cannot merge enough in its blocks, such as one that merges late, does more work: what is
/// promised beside it says so.
pub fn alike(config: &Config, given: &Options) -> Vec<(String, Schedule)> {
    let depth = config.depth;
    let shape = |share: fn(u32, u32) -> f64| (0..depth).map(|i| share(i, depth)).collect::<Vec<_>>();
    let mut shapes = vec![
        ("falling".to_owned(), shape(|i, depth| f64::from(depth - 1 - i))),
        ("rising".to_owned(), shape(|i, _| f64::from(i))),
        ("first half".to_owned(), shape(|i, depth| f64::from(u8::from(2 * i < depth)))),
        ("second half".to_owned(), shape(|i, depth| f64::from(u8::from(2 * i >= depth)))),
    ];
    for seed in 1..=RANDOM {
        let drawn = |i| f64::from(pcg(seed.wrapping_mul(0x9e37_79b9) ^ pcg(i))) / f64::from(u32::MAX);
        shapes.push((format!("random {seed}"), (0..depth).map(drawn).collect()));
    }
    let scaled = shapes.into_iter().map(|(name, shape)| {
        let schedule = scaled(config, given, &shape);
        (format!("{name}: {schedule}"), schedule)
    });
    std::iter::once((format!("constant: {}", given.schedule), given.schedule.clone())).chain(scaled).collect()
}

/// r in proportion to `shape`, so that the speed-up promised is the given one's.
fn scaled(config: &Config, given: &Options, shape: &[f64]) -> Schedule {
    let whole: f64 = shape.iter().sum();
    let merging = |all: u32| {
        Schedule::List(shape.iter().map(|part| (f64::from(all) * part / whole).round() as u32).collect())
    };
    let promised = |all: u32| {
        let mut options = given.clone();
        options.schedule = merging(all);
        options.promised_speedup(config)
    };
    let wanted = given.promised_speedup(config);
    // It grows with what merges, and no more than all tokens can merge, twice where blocks are clamped.
    let (mut low, mut high) = (0, 2 * config.tokens());
    while low < high {
        let middle = low.midpoint(high);
        if promised(middle) < wanted { low = middle + 1 } else { high = middle }
    }
    let nearer = |all: &u32| (promised(*all) - wanted).abs();
    let best = [low.saturating_sub(1), low].into_iter().min_by(|a, b| nearer(a).total_cmp(&nearer(b)));
    merging(best.unwrap_or(low))
}
