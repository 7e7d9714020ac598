//! Fits, by the library.

use tome_wgpu::fit::{Cost, Fit, Objective};
use tome_wgpu::vit::{Metric, Options, Weights};
use tome_wgpu::{DeviceChoice, Element, Session, Store};

use crate::networks::{config, images, options, sessions};

/// Counted costs are the config's multiply-adds, whatever merges.
#[test]
fn counted_costs_are_multiply_adds() {
    let config = config();
    let cost = Cost::counted(&config);
    for r in [0, 1, 2, 5] {
        let options = options(r);
        let (cost, macs) = (cost.of(&config, &options), config.macs(&options.tokens_per_block(&config)));
        // The same sums in another order.
        assert!((cost / macs - 1.0).abs() < 1e-12, "{r}: {cost} and {macs}");
    }
}

/// Every device gives a fit at the promised cost, and a fit that goes on by its log tries nothing again and ends the same.
#[test]
fn a_fit_goes_on_where_it_was() {
    let config = config();
    for session in sessions(&config) {
        let images = images(&config, 12);
        let folder = tempfile::tempdir().unwrap();
        let mut fit = Fit::new("1.1x".parse().unwrap());
        (fit.measured, fit.wants, fit.batch) = (false, vec![Objective::Features], 4);
        fit.most = 8;
        fit.log = Some(folder.path().join("log"));
        let base = Options::default();
        let short = fit.run(&session, (&images[..]).into(), &base, &mut |_| {}).unwrap();
        fit.most = 60;
        let long = fit.run(&session, (&images[..]).into(), &base, &mut |_| {}).unwrap();
        let again = fit.run(&session, (&images[..]).into(), &base, &mut |_| {}).unwrap();
        assert!(again.passes < long.passes, "{} and {} passes", again.passes, long.passes);
        assert_eq!(again.fitted.options, long.fitted.options, "{}", session.device());
        for report in [short, long] {
            let row = &report.rows[report.chosen];
            assert!(row.promised >= 1.1, "{}", row.promised);
            assert_eq!(report.pictures, [8, 4]);
            assert!(report.rows[0].options.rule(0).metric == Metric::Keys && row.loss().is_finite());
        }
    }
}

/// A measured cost is kept where the session keeps things, and rises with the tokens.
#[test]
fn measured_costs_are_kept() {
    let config = config();
    let store = Store::memory();
    let weights = Weights::random(&config, 3);
    let opened = Session::open(config.clone(), &weights, &DeviceChoice::Cpu, Element::F32, &store);
    let session = pollster::block_on(opened).unwrap();
    let mut measured = 0;
    let cost = Cost::measured(&session, 2, &mut |_, _| measured += 1).unwrap();
    assert!(cost.measured && measured > 0);
    assert!(cost.of(&config, &options(0)) > 0.0);
    let again = Cost::measured(&session, 2, &mut |_, _| panic!("measured again")).unwrap();
    for r in [0, 1, 4] {
        // JSON may take the last digit.
        let ratio = cost.of(&config, &options(r)) / again.of(&config, &options(r));
        assert!((ratio - 1.0).abs() < 1e-12, "{ratio}");
    }
    // Another batch is another cost.
    let before = measured;
    Cost::measured(&session, 3, &mut |_, _| measured += 1).unwrap();
    assert!(measured > before);
}
