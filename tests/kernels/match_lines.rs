use tome_wgpu::kernels::find_matches::Similarity;
use tome_wgpu::kernels::match_lines::{Io, LONGEST, Params, SPEC, match_lines};
use tome_wgpu::reference;

use crate::common::{Random, Rig, rigs_for, same, set};
use crate::rank_matches::one_group_a_token;

/// The plan is the reference's, number by number: for metrics whose dot products are exact.
fn check(rig: &Rig, params: Params, metric: &[f32]) -> Vec<u32> {
    let plan_len = params.batch * params.plan_len();
    let mut want = vec![u32::MAX; plan_len as usize];
    reference::match_lines(&params, metric, &mut want);
    let (metric, plan) = (rig.data(metric), rig.unwritten(plan_len));
    rig.run(&[match_lines(&rig.gpu, params, Io::new(&metric, &plan)).unwrap()]);
    same(format!("{} {params:?}", rig.id()), &rig.read::<u32>(&plan, plan_len), &want);
    want
}

/// Of two images; every seventh token has no direction.
fn metric(params: Params) -> Vec<f32> {
    let rows = params.batch * params.tokens;
    let mut metric = Random(rows.into()).sixteenths(rows * params.width);
    metric.chunks_exact_mut(params.width as usize).step_by(7).for_each(|token| token.fill(0.0));
    metric
}

#[test]
fn plans_are_the_references_along_lines_of_any_length() {
    // 64 lanes have a source or a token each: lines of 63, 64, 65, 127, 128, 129 and 300 tokens, and short ones.
    let grids = [
        [1, 1],
        [1, 2],
        [2, 1],
        [2, 2],
        [3, 2],
        [2, 3],
        [4, 4],
        [14, 14],
        [13, 14],
        [14, 13],
        [1, 63],
        [64, 3],
        [3, 65],
        [127, 1],
        [2, 128],
        [129, 2],
        [300, 1],
    ];
    for rig in rigs_for(&SPEC) {
        for [rows, columns] in grids {
            for (protect, frames) in [(0, 1), (1, 1), (5, 3), (70, 1)] {
                for &similarity in Similarity::ALL {
                    let most = rows.max(columns) / 2;
                    for lost in [0, 1, most / 2, most].into_iter().filter(|&lost| lost <= most) {
                        let params = set!(
                            Params::new(2, 20, protect, [rows, columns], lost);
                            tokens: protect + frames * rows * columns, similarity
                        );
                        let plan = check(rig, params, &metric(params));
                        let what = format!("{} {params:?}", rig.id());
                        one_group_a_token([params.tokens, params.r(), protect], &plan, &what);
                    }
                }
            }
        }
    }
}

#[test]
fn a_square_loses_columns_and_keeps_its_order() {
    //  0  1  2  3    Rows of alike neighbours: 0 and 1, 3 and 2, ..
    //  4  5  6  7
    let rows = [[1.0, 1.0, 3.0, 2.0f32], [0.0, 5.0, 2.0, 2.0]];
    let metric: Vec<f32> = rows.as_flattened().iter().flat_map(|&v| [v, 1.0, 0.0, 0.0]).collect();
    for rig in rigs_for(&SPEC) {
        let params = set!(Params::new(1, 4, 0, [2, 4], 1); similarity: Similarity::Euclidean);
        let plan = check(rig, params, &metric);
        // 0 goes to 1; in the second row 6 goes to 7.
        assert_eq!(plan[..6], [1, 2, 3, 4, 5, 7], "{}", rig.id());
        // Both sources of a line into the same place: 4 and 6 are as far from 5, the better neighbour of 4 only.
        let params = set!(params; lost: 2);
        let plan = check(rig, params, &metric);
        assert_eq!(plan[..4], [1, 3, 5, 7], "{}", rig.id());
    }
}

#[test]
fn equal_neighbours_merge_from_the_front_into_the_one_before() {
    for rig in rigs_for(&SPEC) {
        let plan = check(rig, Params::new(1, 4, 1, [1, 7], 2), &[0.5; 8 * 4]);
        // Of the places 0 to 6 the sources 0 and 2 go, both into place 1: tokens 1 and 3 into 2.
        assert_eq!(plan[..6], [0, 2, 4, 5, 6, 7], "{}", rig.id());
        assert_eq!(plan[14..], [0, 1, 1, 1, 2, 3, 4, 5], "{}", rig.id());
    }
}

#[test]
fn everything_protected() {
    for rig in rigs_for(&SPEC) {
        let params = set!(Params::new(2, 4, 7, [2, 3], 1); tokens: 7);
        check(rig, params, &metric(params));
    }
}

#[test]
fn the_longest_line_and_many_images() {
    for rig in rigs_for(&SPEC) {
        let params = Params::new(1, 4, 1, [1, LONGEST], LONGEST / 2);
        check(rig, params, &metric(params));
        let params = Params::new(40_000, 4, 0, [2, 1], 1);
        check(rig, params, &metric(params));
    }
}
