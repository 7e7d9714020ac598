//! Bipartite soft matching by hand.

use tome_wgpu::kernels::find_matches::{PROTECTED, Similarity, UNDIRECTED};
use tome_wgpu::kernels::rank_matches::END;
use tome_wgpu::kernels::split_tokens::{SplitMode, pcg};
use tome_wgpu::kernels::{find_matches, key_metric, rank_matches, split_tokens, token_energy};
use tome_wgpu::{Partition, reference};

use crate::common::{Tol, close, set};

/// Seven tokens, a source and a destination in turn. With their cosines:
///
/// | | b0 (1, 0) | b1 (0, 1) | b2 (-1, 0) |
/// |---|---|---|---|
/// | a0 (0, -1) | 0 | -1 | 0 |
/// | a1 (1, 0) | 1 | 0 | -1 |
/// | a2 (0.6, 0.8) | 0.6 | 0.8 | -0.6 |
/// | a3 (-0.8, 0.6) | -0.8 | 0.6 | 0.8 |
const SEVEN: [[f32; 2]; 7] =
    [[0.0, -1.0], [1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.6, 0.8], [-1.0, 0.0], [-0.8, 0.6]];

fn edges(metric: &[[f32; 2]], protect: u32, similarity: Similarity) -> (Vec<f32>, Vec<u32>) {
    let tokens = metric.len() as u32;
    let srcs = tokens.div_ceil(2) as usize;
    let (mut score, mut best) = (vec![f32::NAN; srcs], vec![u32::MAX; srcs]);
    let params = set!(find_matches::Params::default(); batch: 1, tokens, width: 2, protect, similarity);
    reference::find_matches(&params, metric.as_flattened(), None, None, &mut score, &mut best);
    (score, best)
}

/// The plan of the r best edges of alternating tokens.
pub fn plan(metric: &[[f32; 2]], protect: u32, r: u32) -> Vec<u32> {
    let (score, best) = edges(metric, protect, Similarity::Cosine);
    let params = set!(rank_matches::Params::default(); batch: 1, tokens: metric.len() as u32, r, protect);
    let mut plan = vec![u32::MAX - 1; params.plan_len() as usize];
    reference::rank_matches(&params, &score, &best, None, &mut vec![0; score.len()], &mut plan);
    plan
}

/// The groups of a plan in the order of the output, each in the order of its list.
pub fn groups(plan: &[u32], tokens: u32) -> Vec<Vec<u32>> {
    let merged = plan.len() - 2 * tokens as usize;
    let (next, group) = plan[merged..].split_at(tokens as usize);
    let follow = |&first: &u32| -> Vec<u32> {
        std::iter::successors(Some(first), |&token| Some(next[token as usize]).filter(|&next| next != END))
            .collect()
    };
    let groups: Vec<Vec<u32>> = plan[..merged].iter().map(follow).collect();
    for (place, members) in groups.iter().enumerate() {
        members.iter().for_each(|&token| assert_eq!(group[token as usize], place as u32));
    }
    groups
}

#[test]
fn key_metric_by_hand() {
    // Two heads of two values behind one value; the means are (3, 4), (0, 0), and two that have no direction.
    let keys = [9.0, 6.0, 0.0, 0.0, 8.0, 9.0, 1.0, -2.0, -1.0, 2.0, 9.0, f32::INFINITY, 0.0, 0.0, 0.0];
    let params = set!(key_metric::Params::default(); rows: 3, heads: 2, head_width: 2, stride: 5, start: 1);
    let metric = |params: key_metric::Params, size| {
        let mut metric = [f32::NAN; 6];
        reference::key_metric(&params, &keys, size, &mut metric);
        metric
    };
    assert_eq!(metric(params, None), [0.6, 0.8, 0.0, 0.0, 0.0, 0.0]);
    assert_eq!(metric(set!(params; length: key_metric::Length::Own), None), [3.0, 4.0, 0.0, 0.0, 0.0, 0.0]);
    assert_eq!(metric(params, Some(&[4.0, 1.0, 1.0])), metric(params, None));
    assert_eq!(metric(params, Some(&[0.0, 1.0, 1.0])), [0.0; 6]);
}

#[test]
fn lengths_beyond_an_f32s_squares_have_no_direction() {
    for (length, directed) in [(1e-20, false), (2e-19, true), (9e17, true), (2e18, false), (f32::NAN, false)]
    {
        let params =
            set!(key_metric::Params::default(); rows: 1, heads: 1, head_width: 2, stride: 2, start: 0);
        let mut metric = [f32::NAN; 2];
        reference::key_metric(&params, &[0.0, length], None, &mut metric);
        assert_eq!(metric, [0.0, if directed { 1.0 } else { 0.0 }], "{length}");
    }
}

#[test]
fn each_source_finds_its_most_similar_destination() {
    // a0 lies as far from b0 as from b2: the lower one.
    assert_eq!(edges(&SEVEN, 0, Similarity::Cosine), (vec![0.0, 1.0, 0.8, 0.8], vec![0, 0, 1, 2]));
    // Twice as long, and a0's partner is the longer one.
    let mut longer = SEVEN;
    longer[2] = [2.0, 0.0];
    longer[5] = [-3.0, -1.0];
    let (score, best) = edges(&longer, 0, Similarity::Dot);
    // a3: 0.8 * 3 - 0.6.
    assert_eq!(best, [2, 0, 1, 2]);
    assert_eq!(score[..3], [1.0, 2.0, 0.8]);
    assert!((score[3] - 1.8).abs() < 1e-6);
    // Minus squares of distances: a0 to b0 1 + 1, a1 to b0 1, a2 to b1 0.36 + 0.04, a3 to b1 0.64 + 0.16.
    let (score, best) = edges(&longer, 0, Similarity::Euclidean);
    assert_eq!(best, [0, 0, 1, 1]);
    for (score, want) in score.iter().zip([-2.0, -1.0, -0.4, -0.8]) {
        assert!((score - want).abs() < 1e-6, "{score} instead of {want}");
    }
}

#[test]
fn protected_tokens_neither_merge_nor_attract() {
    let (score, best) = edges(&SEVEN, 1, Similarity::Cosine);
    assert_eq!((score, best), (vec![PROTECTED, 1.0, 0.8, 0.8], vec![0, 0, 1, 2]));
    // Without b0 the best of a1 is b1.
    let (score, best) = edges(&SEVEN, 2, Similarity::Cosine);
    assert_eq!((score, best), (vec![PROTECTED, 0.0, 0.8, 0.8], vec![0, 1, 1, 2]));
    // All destinations protected: nobody is left to merge into.
    assert_eq!(edges(&SEVEN[..3], 2, Similarity::Cosine), (vec![PROTECTED; 2], vec![0; 2]));
}

#[test]
fn tokens_without_direction_come_last() {
    let mut metric = SEVEN;
    // a2 and b0.
    (metric[4], metric[1]) = ([0.0; 2], [0.0; 2]);
    let (score, best) = edges(&metric, 0, Similarity::Cosine);
    assert_eq!((score, best), (vec![0.0, 0.0, UNDIRECTED, 0.8], vec![2, 1, 0, 2]));
}

#[test]
fn seven_tokens_become_four() {
    // The unmerged in falling order of similarity, then the destinations.
    assert_eq!(groups(&plan(&SEVEN, 0, 1), 7), [vec![4], vec![6], vec![0], vec![1, 2], vec![3], vec![5]]);
    assert_eq!(groups(&plan(&SEVEN, 0, 3), 7), [vec![0], vec![1, 2], vec![3, 4], vec![5, 6]]);
    // Number by number: who stays, who follows, where each went.
    let [e, plan] = [vec![END], plan(&SEVEN, 0, 3)];
    let next = [&e[..], &[2], &e, &[4], &e, &[6], &e].concat();
    assert_eq!(plan, [&[0, 1, 3, 5][..], &next, &[0, 1, 1, 2, 2, 3, 3]].concat());
}

#[test]
fn seven_tokens_with_a_class_token_become_four() {
    // The unmerged in order of position.
    assert_eq!(groups(&plan(&SEVEN, 1, 1), 7), [vec![0], vec![4], vec![6], vec![1, 2], vec![3], vec![5]]);
    assert_eq!(groups(&plan(&SEVEN, 1, 3), 7), [vec![0], vec![1, 2], vec![3, 4], vec![5, 6]]);
    // With another protected token, which is a destination: it goes to the front as well.
    assert_eq!(groups(&plan(&SEVEN, 2, 2), 7), [vec![0], vec![1], vec![2], vec![3, 4], vec![5, 6]]);
    assert_eq!(groups(&plan(&SEVEN, 3, 1), 7), [vec![0], vec![1], vec![2], vec![6], vec![3, 4], vec![5]]);
}

#[test]
fn six_tokens_become_three_or_with_a_class_token_four() {
    // Two sources into one destination, in their order.
    assert_eq!(groups(&plan(&SEVEN[..6], 0, 3), 6), [vec![1, 0, 2], vec![3, 4], vec![5]]);
    assert_eq!(groups(&plan(&SEVEN[..6], 1, 2), 6), [vec![0], vec![1, 2], vec![3, 4], vec![5]]);
}

#[test]
fn four_tokens_with_class_and_distillation_become_three() {
    assert_eq!(groups(&plan(&SEVEN[..4], 2, 1), 4), [vec![0], vec![1], vec![3, 2]]);
}

#[test]
fn at_most_half_of_the_unprotected_merge() {
    let most = |tokens, protect| Partition::Alternating.most(tokens, protect);
    assert_eq!([most(7, 0), most(7, 1), most(6, 0), most(6, 1), most(4, 2)], [3, 3, 3, 2, 1]);
    assert_eq!([most(2, 1), most(1, 1), most(3, 2), most(2, 2), most(1, 0), most(0, 0)], [0; 6]);
}

#[test]
fn nothing_moves_where_nothing_merges() {
    for protect in [0, 1, 2] {
        let alone: Vec<Vec<u32>> = (0..7).map(|token| vec![token]).collect();
        assert_eq!(groups(&plan(&SEVEN, protect, 0), 7), alone);
    }
}

#[test]
fn ties_go_to_the_lower_source() {
    let alike = [[1.0, 0.0]; 9];
    assert_eq!(edges(&alike, 0, Similarity::Cosine), (vec![1.0; 5], vec![0; 5]));
    // Sources 0 and 2 go, 4, 6 and 8 stay.
    let want = [vec![4], vec![6], vec![8], vec![1, 0, 2], vec![3], vec![5], vec![7]];
    assert_eq!(groups(&plan(&alike, 0, 2), 9), want);
    let params = set!(rank_matches::Params::default(); batch: 1, tokens: 8, r: 0);
    let mut rank = [9; 4];
    reference::rank_matches(&params, &[0.5, 1.0, 0.5, 1.0], &[0; 4], None, &mut rank, &mut [0; 24]);
    assert_eq!(rank, [2, 0, 3, 1]);
}

fn split(params: split_tokens::Params) -> Vec<u32> {
    let mut split = vec![u32::MAX; (params.lists * params.tokens) as usize];
    reference::split_tokens(&params, None, &mut split);
    split
}

#[test]
fn partitions_by_hand() {
    let first = Partition::Sequential.split(1, 8, 1, 1).expect("a list");
    // Token 0 is protected; of seven the first four are sources.
    assert_eq!(split(first), [0, 1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(first.srcs, 5);
    let third = Partition::EveryKth(3).split(1, 9, 1, 1).expect("a list");
    // 1 2 [3] 4 5 [6] 7 8: the last group is not whole.
    assert_eq!((split(third), third.srcs), (vec![0, 1, 2, 4, 5, 7, 8, 3, 6], 7));
    let grid = Partition::Grid { rows: 3, columns: 5, stride: [2, 2], seed: None };
    let grid = grid.split(1, 15, 0, 1).expect("a list");
    //  [0] 1 [2] 3  4
    //   5  6  7  8  9
    //  10 11 12 13 14
    assert_eq!((split(grid)[13..].to_vec(), grid.srcs), (vec![0, 2], 13));
}

#[test]
fn random_partitions_are_those_of_the_formula() {
    // `pcg_hash` worked out with integers of any length.
    assert_eq!([0, 1, 2, 3].map(pcg), [129708002, 2831084092, 2055130248, 2131687100]);
    // Seed 7, token 0 protected, r = 3. The hashes of tokens 1 to 7 in list 0, in millions:
    // 2253, 1363, 1039, 1377, 3668, 254, 256; in list 1: 210, 1415, 1521, 1054, 1477, 363, 837.
    let params = Partition::Random { seed: 7 }.split(2, 8, 1, 3).expect("a list");
    assert_eq!(split(params), [[0, 3, 6, 7, 1, 2, 4, 5], [0, 1, 6, 7, 2, 3, 4, 5]].as_flattened());
    // The list of the sixth image is the same whatever the batch.
    let sixth = set!(params; lists: 1, first_list: 5);
    assert_eq!(split(sixth), [0, 2, 6, 7, 1, 3, 4, 5]);
    // Seed 9 puts the destinations of four cells of 2 x 3 at their places 5, 1, 1 and 3.
    let grid = Partition::Grid { rows: 4, columns: 6, stride: [2, 3], seed: Some(9) };
    let grid = grid.split(1, 24, 0, 1).expect("a list");
    assert_eq!(grid.mode, SplitMode::RandomCells);
    //   0  1  2 |  3 [4]  5
    //   6  7 [8]|  9 10 11
    //  12 [13]14| 15 16 17
    //  18 19 20 |[21]22 23
    assert_eq!(split(grid)[20..], [4, 8, 13, 21]);
}

#[test]
fn energies_by_hand() {
    // SEVEN's fourth, fifth and seventh token: cosines of 0.8 and 0.6 with the first, of 0 between the others.
    let metric = [SEVEN[3], SEVEN[4], SEVEN[6], [0.0, 0.0]];
    let mut energy = [f32::NAN; 4];
    let params = token_energy::Params::new([1, 4, 2], 0, 0.7);
    reference::token_energy(&params, metric.as_flattened(), &mut energy);
    // e^(0.6 - 0.7) and e^(0 - 0.7), each less 1; nothing is alike the zero vector.
    let (near, far) = (0.904_837_4 - 1.0, 0.496_585_3 - 1.0);
    let want = [1.8 + near + far, 1.8 + 2.0 * far, 1.0 + near + 2.0 * far].map(|sum| sum / 4.0);
    close("energies", &energy[..3], &want, Tol { abs: 1e-7, rel: 0.0 });
    assert_eq!(energy[3], UNDIRECTED);
    let params = token_energy::Params::new([1, 4, 2], 2, 0.7);
    reference::token_energy(&params, metric.as_flattened(), &mut energy);
    assert_eq!(energy[..2], [PROTECTED; 2]);
    close("energies", &energy[2..3], &[(1.0 + far) / 2.0], Tol { abs: 1e-7, rel: 0.0 });
}

#[test]
fn a_list_by_energy() {
    let list = Partition::Energy { margin: None }.split(1, 7, 1, 2).expect("a list");
    let mut split = [u32::MAX; 7];
    // Falling: 6, 2, 4, 1, 5, 3.
    let energy = [PROTECTED, 0.25, 0.5, -1.0, 0.25 + 0.125, 0.0, 0.75];
    reference::split_tokens(&list, Some(&energy), &mut split);
    assert_eq!(split, [0, 3, 5, 4, 6, 1, 2]);
    assert_eq!((list.srcs, list.held()), (5, 3));
    // Both sources merge, whatever their scores, and nothing else does.
    let params = set!(
        find_matches::Params::default();
        batch: 1, tokens: 7, width: 2, protect: 1, srcs: 5, held: 3
    );
    let (mut score, mut best) = ([f32::NAN; 5], [u32::MAX; 5]);
    reference::find_matches(&params, SEVEN.as_flattened(), Some(&split), None, &mut score, &mut best);
    // Token 4 is (0.6, 0.8), 6 (-0.8, 0.6), and both destinations, 1 and 2, are (1, 0).
    assert_eq!((score, best), ([PROTECTED, PROTECTED, PROTECTED, 0.6, -0.8], [0; 5]));
    let params = set!(rank_matches::Params::default(); batch: 1, tokens: 7, r: 2, protect: 1, srcs: 5);
    let mut plan = vec![0; params.plan_len() as usize];
    reference::rank_matches(&params, &score, &best, Some(&split), &mut [0; 5], &mut plan);
    assert_eq!(groups(&plan, 7), [vec![0], vec![3], vec![5], vec![1, 4, 6], vec![2]]);
}

#[test]
fn a_list_says_who_merges_into_whom() {
    // Tokens 0, 2, 4 and 6 are sources anyway; listed, destinations may be in front of them.
    let listed = [1, 4, 0, 2, 3, 5, 6];
    let (mut score, mut best) = ([f32::NAN; 2], [u32::MAX; 2]);
    let params = set!(find_matches::Params::default(); batch: 1, tokens: 7, width: 2, srcs: 2);
    reference::find_matches(&params, SEVEN.as_flattened(), Some(&listed), None, &mut score, &mut best);
    // Token 1 is (1, 0) as is 2, the second destination; 4 is (0.6, 0.8), nearest to 3, the third one.
    assert_eq!((score, best), ([1.0, 0.8], [1, 2]));
    let params = set!(rank_matches::Params::default(); batch: 1, tokens: 7, r: 2, srcs: 2);
    let mut plan = vec![0; params.plan_len() as usize];
    reference::rank_matches(&params, &score, &best, Some(&listed), &mut [0; 2], &mut plan);
    assert_eq!(groups(&plan, 7), [vec![0], vec![2, 1], vec![3, 4], vec![5], vec![6]]);
}

#[test]
#[should_panic(expected = "a score is NaN")]
fn a_score_that_is_nan_panics() {
    let params = set!(rank_matches::Params::default(); batch: 1, tokens: 4, r: 1);
    reference::rank_matches(&params, &[f32::NAN, 1.0], &[0, 0], None, &mut [0; 2], &mut [0; 11]);
}

#[test]
#[should_panic(expected = "a protected token is among the r best edges")]
fn a_protected_token_that_merges_panics() {
    let params = set!(rank_matches::Params::default(); batch: 1, tokens: 6, r: 1, protect: 1);
    reference::rank_matches(&params, &[1.0, 0.0, 0.0], &[0, 0, 0], None, &mut [0; 3], &mut [0; 17]);
}
