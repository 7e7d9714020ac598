//! Lines of a grid, by hand.

use tome_wgpu::kernels::find_matches::Similarity;
use tome_wgpu::kernels::match_lines::Params;
use tome_wgpu::kernels::rank_matches::END;
use tome_wgpu::reference;

use crate::common::set;
use crate::matching::groups;

/// Values on a grid, alike where they are near each other.
fn plan(values: &[f32], protect: u32, grid: [u32; 2], lost: u32) -> Vec<u32> {
    let metric: Vec<f32> = values.iter().flat_map(|&v| [v, 1.0, 0.0, 0.0]).collect();
    let params = set!(
        Params::new(1, 4, protect, grid, lost);
        tokens: values.len() as u32, similarity: Similarity::Euclidean
    );
    let mut plan = vec![77; params.plan_len() as usize];
    reference::match_lines(&params, &metric, &mut plan);
    plan
}

#[test]
fn each_row_loses_its_most_similar_source() {
    // 0 goes to 1, and of 4 5 6 7 6 to 5, the nearer.
    let got = plan(&[0.0, 1.0, 4.0, 9.0, 0.0, 3.0, 5.0, 9.0], 0, [2, 4], 1);
    assert_eq!(groups(&got, 8), [vec![1, 0], vec![2], vec![3], vec![4], vec![5, 6], vec![7]]);
    // Both go; 2 is nearer to 1, and both are in one.
    let got = plan(&[0.0, 1.0, 4.0, 9.0], 0, [1, 4], 2);
    assert_eq!(groups(&got, 4), [vec![1, 0, 2], vec![3]]);
    assert_eq!(got, [1, 3, 2, 0, END, END, 0, 0, 0, 1]);
}

#[test]
fn columns_lose_a_row_where_they_are_longer() {
    //  0  1     4 goes to 2, 1 to 3: the second row is left of the first column's places 0 and 1,
    //  2  3     and the places 1 and 2 of the second's.
    //  4  5
    let got = plan(&[7.0, 7.0, 0.0, 7.0, 1.0, 0.0], 0, [3, 2], 1);
    assert_eq!(groups(&got, 6), [vec![0], vec![3, 1], vec![2, 4], vec![5]]);
    // The same behind a class token and in a second frame.
    let frame = [7.0, 7.0, 0.0, 7.0, 1.0, 0.0];
    let got = plan(&[&[3.0], &frame[..], &frame].concat(), 1, [3, 2], 1);
    let first = [vec![0], vec![1], vec![4, 2], vec![3, 5], vec![6]];
    let second = [vec![7], vec![10, 8], vec![9, 11], vec![12]];
    assert_eq!(groups(&got, 13), [&first[..], &second].concat());
}

#[test]
fn equal_ones_fall_to_the_lower_and_tokens_without_direction_go_last() {
    assert_eq!(groups(&plan(&[1.0; 5], 0, [1, 5], 2), 5), [vec![1, 0, 2], vec![3], vec![4]]);
    let mut metric = [[1.0, 0.0, 0.0, 0.0f32]; 5];
    // The first two have no direction: source 0 has no partner with one, source 2 goes behind.
    (metric[0], metric[1]) = ([0.0; 4], [0.0; 4]);
    let params = Params::new(1, 4, 0, [1, 5], 2);
    let mut plan = vec![77; params.plan_len() as usize];
    reference::match_lines(&params, metric.as_flattened(), &mut plan);
    assert_eq!(groups(&plan, 5), [vec![0], vec![1], vec![3, 2, 4]]);
}
