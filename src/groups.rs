//! Groups of tokens as the plan by which they merge.

use crate::kernels::rank_matches::END;

/// Writes an image's plan of the groups that its tokens form, each beginning with the token that stays in place: the
/// first tokens, for each token the next of its group, for each token the number of its group. A token that is in no
/// group leaves its number as it is.
pub(crate) fn write_plan(groups: &[Vec<u32>], tokens: u32, plan: &mut [u32]) {
    let (keep, rest) = plan.split_at_mut(groups.len());
    let (next, group) = rest.split_at_mut(tokens as usize);
    next.fill(END);
    for (place, members) in groups.iter().enumerate() {
        keep[place] = members[0];
        members.iter().for_each(|&token| group[token as usize] = place as u32);
        members.windows(2).for_each(|pair| next[pair[0] as usize] = pair[1]);
    }
}
