use crate::kernels::unmerge::Params;

/// Merged tokens back to their original places, for dense outputs: `y[i] = x[source[first_source + i]] + residual[i]`.
///
/// `x` is `[batch, tokens, channels]`, `source` `[batch, sources]`; `residual` (0 where absent) and `y` are
/// `[batch, sources - first_source, channels]`.
pub fn unmerge(params: &Params, x: &[f32], source: &[u32], residual: Option<&[f32]>, y: &mut [f32]) {
    let &Params { batch, tokens, sources, first_source, channels, .. } = params;
    let [batch, tokens, sources] = [batch, tokens, sources].map(|v| v as usize);
    let [first_source, channels] = [first_source, channels].map(|v| v as usize);
    for item in 0..batch {
        let x = &x[item * tokens * channels..][..tokens * channels];
        for place in first_source..sources {
            let holder = source[item * sources + place] as usize;
            let row = item * (sources - first_source) + place - first_source;
            for i in 0..channels {
                let (at, value) = (row * channels + i, x[holder * channels + i]);
                y[at] = residual.map_or(value, |residual| value + residual[at]);
            }
        }
    }
}
