//! Fits, by the library.

use tome_wgpu::fit::{Cost, Fit, Fitted, Objective};
use tome_wgpu::kernels::Similarity;
use tome_wgpu::vit::{Metric, Options, Weights};
use tome_wgpu::{DeviceChoice, Element, Error, Schedule, Session, Store};

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

/// With a threshold images say themselves how much merges, and nothing is left to be fitted.
#[test]
fn a_threshold_is_not_fitted() {
    let config = config();
    let session = Session::new(config.clone(), &Weights::random(&config, 3), &DeviceChoice::Cpu).unwrap();
    let mut base = Options::default();
    base.threshold = Some(0.9);
    let images = images(&config, 12);
    let refused = Fit::new("1.1x".parse().unwrap()).run(&session, (&images[..]).into(), &base, &mut |_| {});
    match refused {
        Err(Error::Unsupported { field, value, .. }) => assert_eq!((&*field, &*value), ("threshold", "0.9")),
        other => panic!("{other:?}"),
    }
}

/// A file holds the way to run a network with all that there is to it.
#[test]
fn a_file_holds_a_threshold() {
    let config = config();
    let file = tempfile::NamedTempFile::new().unwrap();
    let read = |json: &serde_json::Value| {
        std::fs::write(file.path(), json.to_string()).unwrap();
        Fitted::read(file.path())
    };
    let mut options = Options::with_schedule(Schedule::List(vec![4, 3]));
    (options.similarity, options.by_size) = (Similarity::Euclidean, 0.3);
    let without = Fitted::new(&config, options.clone()).to_json();
    assert_eq!(without["merging"].get("threshold").or(without["merging"].get("least")), None);
    assert_eq!(read(&without).unwrap().options, options);
    (options.threshold, options.least) = (Some(-0.7), Schedule::List(vec![1, 0]));
    let mut with = Fitted::new(&config, options.clone()).to_json();
    assert_eq!(read(&with).unwrap().options, options);
    with["merging"].as_object_mut().unwrap().remove("threshold");
    assert!(matches!(read(&with), Err(Error::File { .. })), "`least` alone says nothing");
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
