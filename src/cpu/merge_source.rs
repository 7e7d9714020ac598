use super::slices::{part, part_mut};
use crate::kernels::merge_source::Params;

/// For each original token the token that holds it after a merge.
///
/// # Panics
/// Where `r` is not below `tokens`, `source` is absent and `sources` is not `tokens`, a map or plan names a token that is
/// not there, or a slice is too short.
pub fn merge_source(params: &Params, plan: &[u32], source: Option<&[u32]>, source_out: &mut [u32]) {
    let &Params { batch, tokens, r, sources } = params;
    assert!(r < tokens, "r is {r} of {tokens} tokens");
    assert!(source.is_some() || sources == tokens, "{sources} original tokens of {tokens}");
    let plan_len = 3 * tokens - r;
    let plan = part("plan", plan, &[batch, plan_len]);
    let source = source.map(|source| part("source", source, &[batch, sources]));
    let source_out = part_mut("source_out", source_out, &[batch, sources]);
    let [tokens, sources, plan_len] = [tokens, sources, plan_len].map(|v| v as usize);

    for (item, out) in source_out.chunks_exact_mut(sources).enumerate() {
        let group = &plan[item * plan_len..][plan_len - tokens..plan_len];
        for (i, holder) in out.iter_mut().enumerate() {
            *holder = group[source.map_or(i, |source| source[item * sources + i] as usize)];
        }
    }
}
