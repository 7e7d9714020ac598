//! Matching along the lines of a grid: against the reference, and what it does to the grid.

use tome_wgpu::kernels::find_matches::Similarity;
use tome_wgpu::kernels::match_lines::Params;
use tome_wgpu::vit::{Config, Options, Protect};
use tome_wgpu::{Error, Partition, Schedule, cpu, reference};

use crate::common::{Random, same, set};

#[test]
fn plans_are_the_references() {
    for [rows, columns] in [[1, 1], [1, 8], [9, 1], [2, 2], [3, 4], [5, 3], [14, 14], [7, 12]] {
        for (protect, frames) in [(0, 1), (1, 1), (5, 3)] {
            for &similarity in Similarity::ALL {
                for lost in 0..=rows.max(columns) / 2 {
                    let tokens = protect + frames * rows * columns;
                    let params = set!(Params::new(2, 12, protect, [rows, columns], lost); tokens, similarity);
                    let mut metric = Random(tokens.into()).sixteenths(2 * tokens * 12);
                    metric.chunks_exact_mut(12).step_by(5).for_each(|token| token.fill(0.0));
                    let [mut plan, mut want] = [(); 2].map(|()| vec![7; (2 * params.plan_len()) as usize]);
                    cpu::match_lines(&params, &metric, &mut plan);
                    reference::match_lines(&params, &metric, &mut want);
                    same(format!("{params:?}"), &plan, &want);
                }
            }
        }
    }
}

fn lines(grid: [u32; 2]) -> Partition {
    Partition::Lines { grid: Some(grid) }
}

#[test]
fn r_is_whole_lines_and_the_rest_is_carried() {
    let left = |tokens, protect, grid, r: &str| {
        let schedule: Schedule = r.parse().expect("a schedule");
        schedule.tokens_per_block(tokens, protect, lines(grid), r.split(',').count().max(4))
    };
    // Nothing of 13, a column of 26, then of 10 + 13 a row of 15, then 8 + 13 is another column.
    assert_eq!(left(257, 1, [16, 16], "13,13,13,13"), [257, 257, 241, 226, 211]);
    // A row of three, then the side that is longer.
    assert_eq!(left(12, 0, [4, 3], "3"), [12, 9, 6, 4, 2]);
    // Blocks that merge nothing keep what is left over, also at the end.
    assert_eq!(left(17, 1, [4, 4], "3,0,1,0"), [17, 17, 17, 13, 13]);
    // At most half of a line, and the rest of r is gone, as it is elsewhere.
    assert_eq!(left(26, 1, [5, 5], "1000"), [26, 16, 10, 7, 5]);
    assert_eq!(left(3, 2, [1, 1], "1000"), [3; 5]);
    // Eight rows in four frames, and then eight rows of two.
    assert_eq!(left(25, 1, [2, 3], "4"), [25, 25, 17, 17, 9]);
    assert_eq!(lines([2, 3]).after(25, 1, 8), lines([2, 2]));
    assert_eq!(lines([3, 2]).after(7, 1, 2), lines([2, 2]));
}

#[test]
fn a_network_s_lines_are_those_of_its_grid() {
    let config = Config::preset("vit_small_patch16_224").expect("a preset");
    let mut options = Options::with_schedule(Schedule::constant(13));
    options.partition = "lines".parse().expect("a partition");
    options.check(&config).expect("a grid of 14 x 14");
    let tokens = options.tokens_per_block(&config);
    assert_eq!(tokens[..4], [197, 197, 183, 170]);
    assert!(options.promised_speedup(&config) > 1.4, "{tokens:?}");
    options.partition = lines([14, 14]);
    assert_eq!(options.tokens_per_block(&config), tokens);
    options.by_size = 0.5;
    assert!(matches!(options.check(&config), Err(Error::Input(why)) if why.contains("by_size")));
    options.by_size = 0.0;
    options.partition = lines([7, 28]);
    assert!(matches!(options.check(&config), Err(Error::Input(why)) if why.contains("14 x 14")));
    // Registers that merge are no part of the grid.
    let registers = set!(config; reg_tokens: 4);
    options.partition = lines([14, 14]);
    options.check(&registers).expect("they are protected");
    options.protect = Protect::Class;
    assert!(matches!(options.check(&registers), Err(Error::Input(why)) if why.contains("200 unprotected")));
    assert!(matches!(lines([0, 4]).check(5, 1), Err(Error::Input(_))));
    assert!(matches!(Partition::Lines { grid: None }.check(5, 1), Err(Error::Input(_))));
}

#[test]
fn lines_are_read_as_they_are_printed() {
    for text in ["lines", "lines:14x7"] {
        assert_eq!(text.parse::<Partition>().expect("lines").to_string(), text);
    }
    for text in ["lines:", "lines:14", "lines:x", "lines:3x", "lines:-1x3", "lines:3x4x5"] {
        assert!(text.parse::<Partition>().is_err(), "{text}");
    }
}
