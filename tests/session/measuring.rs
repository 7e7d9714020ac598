//! Timing, profiling, and what is kept between measurements.

use tome_wgpu::tune::Bench;
use tome_wgpu::vit::{Outputs, VisionTransformer, Want, Weights};
use tome_wgpu::{DeviceChoice, Gpu, Session};

use crate::common::{adapter, open};
use crate::networks::{config, images, options, sessions};

#[test]
fn a_profile_counts_what_the_network_computes() {
    let config = config();
    for session in sessions(&config) {
        // The GPU of these sessions is opened without timestamps.
        assert!(Bench::new(&session).profile(2, &options(3)).unwrap().is_none(), "{}", session.device());
    }
    let Some(adapter) = adapter() else { return };
    if !adapter.features().contains(wgpu::Features::TIMESTAMP_QUERY) {
        return;
    }
    let choice = DeviceChoice::Name(adapter.get_info().name);
    let session = Session::new(config.clone(), &Weights::random(&config, 3), &choice).unwrap();
    let options = options(3);
    let profile = Bench::new(&session).profile(2, &options).unwrap().expect("a profile");
    let calls =
        |kernel: &str| profile.kernels.iter().find(|time| time.kernel == kernel).map_or(0, |time| time.calls);
    assert_eq!(["matmul", "attention", "merge_tokens", "pool"].map(calls), [9, 2, 2, 1]);
    // Matching is left out of the config's count.
    let products: u64 =
        profile.kernels.iter().filter(|time| time.kernel != "find_matches").map(|time| time.flops).sum();
    let counted = 2.0 * 2.0 * config.macs(&options.tokens_per_block(&config));
    assert_eq!(products as f64, counted);
    assert!(profile.kernels.iter().all(|time| time.seconds >= 0.0 && time.bytes > 0));
    assert!(profile.best_flops > 0.0 && profile.best_bytes > 0.0);
}

#[test]
fn more_schedules_than_are_kept_take_turns() {
    let config = config();
    for session in sessions(&config) {
        let images = images(&config, 2);
        let want: Vec<Outputs> =
            (0..10).map(|r| session.run(&images, &options(r), Want::ALL).unwrap()).collect();
        for _ in 0..2 {
            for (r, want) in want.iter().enumerate() {
                assert!(Bench::new(&session).measure(2, &options(r as u32)).unwrap().seconds > 0.0);
                assert_eq!(*want, session.run(&images, &options(r as u32), Want::ALL).unwrap(), "r = {r}");
            }
        }
    }
}

/// A plan is the fixed list that it prints.
#[test]
fn a_plan_lists_its_kernels() {
    let Some(adapter) = adapter() else { return };
    let opened = open(adapter, wgpu::Features::empty(), wgpu::Limits::default());
    let config = config();
    let gpu = Gpu::new(&opened.device).unwrap();
    let vit = VisionTransformer::new(&gpu, config.clone(), &Weights::random(&config, 3)).unwrap();
    let plan = vit.plan(2, &options(3)).unwrap();
    assert_eq!(plan.tokens_per_block(), [17, 14, 11]);
    // embed; two blocks of norm, qkv, attention, proj, then five that merge and norm, then two of the MLP; pool, norm, head
    assert_eq!(plan.steps().len(), 1 + 2 * (4 + 5 + 2) + 3);
    let text = plan.to_string();
    assert_eq!(text.lines().count(), plan.steps().len());
    assert!(text.contains("block 1   merge_tokens   [2, 14, 32] -> [2, 11, 32] +norm"), "{text}");
}
