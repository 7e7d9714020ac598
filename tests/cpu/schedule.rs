//! Schedules of r, and what they save.

use serde_json::Value;
use tome_wgpu::vit::{Config, Options};
use tome_wgpu::{Partition, Schedule};

use crate::common::partitions;
use crate::matching::golden;

#[test]
fn per_block_agrees_with_the_original() {
    for case in golden()["parse_r"].as_array().expect("cases") {
        let (r, blocks) = (&case["r"], case["layers"].as_u64().expect("layers") as usize);
        let whole = |value: &Value| value.as_u64().expect("r") as u32;
        let schedule = match r.as_array() {
            None => Schedule::constant(whole(r)),
            Some(pair) if pair[1].is_f64() => {
                Schedule::Inflected { r: whole(&pair[0]), inflection: pair[1].as_f64().expect("inflection") }
            }
            Some(list) => Schedule::List(list.iter().map(whole).collect()),
        };
        // A negative r merges nothing, which is 0 here.
        let want: Vec<u32> = case["out"]
            .as_array()
            .expect("out")
            .iter()
            .map(|r| r.as_i64().expect("r").max(0) as u32)
            .collect();
        assert_eq!(schedule.per_block(blocks), want, "{schedule}");
        let read: Schedule = schedule.to_string().parse().expect("what it prints");
        assert_eq!(read.per_block(blocks), want, "{schedule}, printed and read");
    }
}

#[test]
fn tokens_that_are_left() {
    let left = |tokens, protect, blocks, r: &str| {
        let schedule: Schedule = r.parse().expect("a schedule");
        schedule.tokens_per_block(tokens, protect, Partition::Alternating, blocks)
    };
    assert_eq!(left(197, 1, 12, "16"), [197, 181, 165, 149, 133, 117, 101, 85, 69, 53, 37, 21, 11]);
    assert_eq!(left(197, 1, 12, "16:-1"), [197, 165, 136, 110, 87, 67, 50, 36, 25, 17, 12, 10, 10]);
    let last = |tokens, protect, blocks, r| *left(tokens, protect, blocks, r).last().expect("tokens");
    assert_eq!(last(197, 1, 12, "13"), 41);
    assert_eq!(left(197, 1, 24, "8")[22..], [21, 13, 7]);
    assert_eq!(last(577, 1, 24, "23"), 25);
    assert_eq!(left(577, 1, 24, "25")[22..], [27, 14, 8]);
    assert_eq!(last(577, 1, 12, "45"), 42);
    assert_eq!(last(1025, 1, 24, "40"), 65);
    assert_eq!(last(1370, 1, 32, "40"), 90);
    assert_eq!(last(257, 1, 32, "7"), 33);
    assert_eq!(last(198, 2, 12, "13"), 42);
    assert_eq!(last(16, 0, 5, "1000"), 1);
    assert_eq!(last(2, 1, 3, "1000"), 2);
    assert_eq!(last(3, 2, 3, "1000"), 3);
}

#[test]
fn computation_is_as_counted_by_the_paper() {
    for (name, r, printed, digits) in [
        ("vit_small_patch16_224", "0", 4.6, 1),
        ("vit_small_patch16_224", "13", 2.7, 1),
        ("vit_large_patch16_224", "0", 61.55, 2),
        ("vit_large_patch16_224", "8", 30.96, 2),
        ("vit_large_patch16_224", "8:-1", 22.3, 1),
        ("vit_huge_patch14_224", "0", 167.3, 1),
        ("vit_huge_patch14_224", "7", 92.8, 1),
        ("vit_huge_patch14_224", "7:-1", 72.6, 1),
        ("vit_base_patch16_224", "0", 17.56, 2),
        ("vit_base_patch16_224", "16", 8.77, 2),
        ("vit_base_patch16_224", "13", 10.37, 2),
    ] {
        let config = Config::preset(name).expect("a preset");
        let options = Options::with_schedule(r.parse().expect("a schedule"));
        let giga = config.macs(&options.tokens_per_block(&config)) * 1e-9;
        // Half a unit of the last digit, and a thousandth for what is counted beside products of matrices.
        let most = 0.5 * 0.1f64.powi(digits) + 1e-3 * printed;
        assert!((giga - printed).abs() <= most, "{name} r {r}: {giga:.3}, printed {printed}");
        if r == "0" {
            assert_eq!(options.promised_speedup(&config), 1.0);
        }
    }
}

#[test]
fn what_makes_no_schedule_is_refused() {
    for text in ["", "x", "-1", "1.5", "3,", "3,x", "16:", "16:x", "16:nan", "16:inf", "99999999999", ":"] {
        assert!(text.parse::<Schedule>().is_err(), "`{text}` is taken for a schedule");
    }
}

#[test]
fn partitions_are_read_as_they_are_printed() {
    for partition in
        partitions(36).into_iter().filter(|partition| !matches!(partition, Partition::Grid { .. }))
    {
        assert_eq!(partition.to_string().parse::<Partition>().expect("what it prints"), partition);
    }
    let energy = |text: &str| text.parse::<Partition>().ok();
    assert_eq!(energy("energy"), Some(Partition::Energy { margin: None }));
    assert_eq!(energy("energy:-0.25"), Some(Partition::Energy { margin: Some(-0.25) }));
    // By halves: of seven tokens behind a protected one six may be sources or destinations.
    assert_eq!(Partition::Energy { margin: None }.most(8, 1), 3);
    assert_eq!([0, 1, 2].map(|tokens| Partition::Energy { margin: None }.most(tokens, 1)), [0; 3]);
}
