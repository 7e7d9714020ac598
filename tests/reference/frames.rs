//! Frame groups, by hand.

use tome_wgpu::kernels::find_matches::Similarity;
use tome_wgpu::kernels::match_frames::Params;
use tome_wgpu::kernels::rank_matches::END;
use tome_wgpu::reference;

use crate::common::set;
use crate::matching::groups;

/// Values, alike where they are near each other.
fn plan(values: &[f32], protect: u32, groups: u32, lost: u32, size: Option<(&[f32], f32)>) -> Vec<u32> {
    let metric: Vec<f32> = values.iter().flat_map(|&v| [v, 1.0, 0.0, 0.0]).collect();
    let length = (values.len() as u32 - protect) / groups;
    let by_size = size.map_or(0.0, |(_, by_size)| by_size);
    let params = set!(
        Params::new(1, 4, protect, [groups, length], lost);
        similarity: Similarity::Euclidean, by_size
    );
    let mut plan = vec![77; params.plan_len() as usize];
    reference::match_frames(&params, &metric, size.map(|(size, _)| size), &mut plan);
    plan
}

#[test]
fn each_group_loses_its_most_similar_source_to_one_of_its_own() {
    // Sources 0, 2; 4, 6: 2 is 1 from 3 and 6 is 2 from 5; 2 has a twin in the other group.
    let got = plan(&[0.0, 9.0, 5.0, 4.0, 20.0, 5.0, 7.0, 12.0], 0, 2, 1, None);
    assert_eq!(groups(&got, 8), [vec![0], vec![1], vec![3, 2], vec![4], vec![5, 6], vec![7]]);
    // Two into one: each as near to it as can be.
    let got = plan(&[1.0, 2.0, 2.0, 9.0], 0, 1, 2, None);
    assert_eq!(groups(&got, 4), [vec![1, 0, 2], vec![3]]);
    assert_eq!(got, [1, 3, 2, 0, END, END, 0, 0, 0, 1]);
}

#[test]
fn behind_an_odd_number_of_protected_tokens_the_second_is_a_source() {
    let frames = [0.0, 3.0, 4.0, 9.0];
    let got = plan(&[&[4.0], &frames[..], &frames].concat(), 1, 2, 1, None);
    // 1 2 3 4: 2 goes to 3.
    let first = [vec![0], vec![1], vec![3, 2], vec![4]];
    let second = [vec![5], vec![7, 6], vec![8]];
    assert_eq!(groups(&got, 9), [&first[..], &second].concat());
    let got = plan(&[&[4.0; 2], &frames[..]].concat(), 2, 1, 1, None);
    // 2 3 4 5: 4 goes to 3.
    assert_eq!(groups(&got, 6), [vec![0], vec![1], vec![2], vec![3, 4], vec![5]]);
}

#[test]
fn sizes_count_within_a_group_and_groups_of_one_stay() {
    // 1 away from a token of size 9, 2 from one of size 1: 9 x 1 against 1.8 x 4.
    let values = [0.0, 1.0, 50.0, -2.0];
    let sizes = [9.0, 9.0, 1.0, 1.0];
    assert_eq!(groups(&plan(&values, 0, 1, 1, None), 4)[0], [1, 0]);
    assert_eq!(groups(&plan(&values, 0, 1, 1, Some((&sizes, 1.0))), 4)[2], [3, 0]);
    for protect in [0, 1] {
        let got = plan(&values, protect, 4 - protect, 0, None);
        assert_eq!(groups(&got, 4), [vec![0], vec![1], vec![2], vec![3]]);
    }
}
