use crate::kernels::merge_source::Params;

/// The token that holds each original token after a merge (paper, appendix D's `source`, as a list in place of a matrix):
/// `source_out[i] = group[source[i]]`, or `group[i]` where there is no source map yet.
///
/// `plan` is `[batch, 3 tokens - r]` of [`rank_matches`](super::rank_matches()), `group` the last of its lists; `source`
/// and `source_out` are `[batch, sources]`.
pub fn merge_source(params: &Params, plan: &[u32], source: Option<&[u32]>, source_out: &mut [u32]) {
    let &Params { batch, tokens, r, sources } = params;
    let [batch, tokens, r, sources] = [batch, tokens, r, sources].map(|v| v as usize);
    for item in 0..batch {
        let plan = &plan[item * (3 * tokens - r)..][..3 * tokens - r];
        let group = &plan[2 * tokens - r..];
        for i in 0..sources {
            let holder = source.map_or(i, |source| source[item * sources + i] as usize);
            source_out[item * sources + i] = group[holder];
        }
    }
}
