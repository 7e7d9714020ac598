use super::{
    choose_matches, find_matches, key_metric, match_frames, match_lines, merge_source, merge_tokens,
    rank_matches, split_tokens, token_energy,
};
use crate::error::{Error, Result};
use crate::kernels::find_matches::MOST_BY_SIZE;
use crate::merger::MergeShape;

/// The slices that a merge reads: those of [`MergeIo`](crate::MergeIo).
#[derive(Clone, Copy, Debug)]
pub struct MergeInput<'a> {
    /// `[batch, tokens, heads, head_width]`, strided: attention keys, or any metric with one head, also x itself.
    pub keys: &'a [f32],
    /// `[batch, tokens, channels]`
    pub x: &'a [f32],
    /// `[batch, tokens]`: how many original tokens each stands for; absent before the first merge, where that is one.
    pub size: Option<&'a [f32]>,
    /// `[batch, sources]`: for each original token the token that holds it; absent before the first merge, where that
    /// is itself.
    pub source: Option<&'a [u32]>,
}

/// What a merge leaves.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Merged {
    /// `[batch, tokens_out, channels]`
    pub x: Vec<f32>,
    /// `[batch, tokens_out]`: how many original tokens each stands for.
    pub size: Vec<f32>,
    /// `[batch, sources]`: for each original token the token that holds it.
    pub source: Vec<u32>,
}

impl MergeInput<'_> {
    /// Whether the slices are those of a merge of that shape.
    ///
    /// # Errors
    /// [`Error::Input`] where one is of another length, or a token is held by one that is not there; those of the shape's
    /// partition; [`Error::Params`] where its lines or frame groups are too long.
    pub fn check(&self, shape: &MergeShape) -> Result<()> {
        let MergeShape { batch, tokens, channels, heads, head_width, key_stride, sources, .. } = *shape;
        shape.partition.check(tokens, shape.protect)?;
        shape.partition.check_similarity(shape.similarity, shape.by_size)?;
        shape.check_threshold()?;
        let key = u64::from(shape.key_start) + u64::from(heads) * u64::from(head_width);
        if [batch, tokens, channels, heads, head_width].contains(&0) || key > u64::from(key_stride) {
            return Err(Error::Input(format!(
                "a merge of [{batch}, {tokens}, {channels}] by {heads} heads of {head_width}, from {} on of {key_stride}",
                shape.key_start
            )));
        }
        if let Some(lines) = shape.match_lines() {
            lines.check()?;
        }
        if let Some(frames) = shape.match_frames() {
            frames.check()?;
        }
        if !(0.0..=MOST_BY_SIZE).contains(&shape.by_size) {
            return Err(Error::Input(format!(
                "by_size is {}; it lies between 0 and {MOST_BY_SIZE}",
                shape.by_size
            )));
        }
        let wanted = |name: &str, length: usize, sides: [u32; 3]| {
            let need = sides.into_iter().map(u64::from).product::<u64>();
            match length as u64 == need {
                true => Ok(()),
                false => Err(Error::Input(format!("`{name}` has {length} values, and {sides:?} are {need}"))),
            }
        };
        wanted("keys", self.keys.len(), [batch, tokens, key_stride])?;
        wanted("x", self.x.len(), [batch, tokens, channels])?;
        wanted("size", self.size.map_or(batch as usize * tokens as usize, <[f32]>::len), [batch, tokens, 1])?;
        match self.source {
            None if sources != tokens => {
                Err(Error::Input(format!("{sources} original tokens of {tokens} without a `source`")))
            }
            None => Ok(()),
            Some(source) => {
                wanted("source", source.len(), [batch, sources, 1])?;
                match source.iter().find(|&&holder| holder >= tokens) {
                    Some(holder) => Err(Error::Input(format!("`source` names token {holder} of {tokens}"))),
                    None => Ok(()),
                }
            }
        }
    }
}

/// A whole merge, as [`TokenMerger`](crate::TokenMerger) has it.
///
/// # Errors
/// Those of [`MergeInput::check`].
pub fn merge(shape: &MergeShape, input: MergeInput<'_>) -> Result<Merged> {
    input.check(shape)?;
    let MergeShape { batch, tokens, head_width, channels, .. } = *shape;
    let all = batch as usize * tokens as usize;
    let mut metric = vec![0.0; all * head_width as usize];
    let masks = input.size.filter(|_| shape.masks());
    key_metric(&shape.key_metric(), input.keys, masks, &mut metric);

    let mut plan = vec![0; batch as usize * shape.plan_len() as usize];
    let sizes = input.size.filter(|_| shape.by_size > 0.0);
    match (shape.match_lines(), shape.match_frames()) {
        (Some(params), _) => match_lines(&params, &metric, &mut plan),
        (_, Some(params)) => match_frames(&params, &metric, sizes, &mut plan),
        _ => match_bipartite(shape, &metric, input.size, &mut plan),
    }

    let left = batch as usize * shape.tokens_out() as usize;
    let mut merged = Merged {
        x: vec![0.0; left * channels as usize],
        size: vec![0.0; left],
        source: vec![0; batch as usize * shape.sources as usize],
    };
    let Merged { x, size, source } = &mut merged;
    merge_tokens(&shape.merge_tokens(), &plan, input.x, input.size, x, size, None, None);
    merge_source(&shape.merge_source(), &plan, input.source, source);
    Ok(merged)
}

/// Sources, destinations, the best edges between them, and of these those that merge.
fn match_bipartite(shape: &MergeShape, metric: &[f32], size: Option<&[f32]>, plan: &mut [u32]) {
    let all = shape.batch as usize * shape.tokens as usize;
    let energy = shape.token_energy().map(|params| {
        let mut energy = vec![0.0; all];
        token_energy(&params, metric, &mut energy);
        energy
    });
    let split = shape.split_tokens().map(|params| {
        let mut split = vec![0; params.elements() as usize];
        split_tokens(&params, energy.as_deref(), &mut split);
        split
    });
    let (mut score, mut best, mut rank) = (vec![0.0; all], vec![0; all], vec![0; all]);
    let sizes = size.filter(|_| shape.by_size > 0.0);
    find_matches(&shape.find_matches(), metric, split.as_deref(), sizes, &mut score, &mut best);
    match shape.choose_matches() {
        Some(params) => {
            let mut mask = vec![0.0; all];
            choose_matches(&params, &score, &best, size, &mut rank, plan, &mut mask);
        }
        None => rank_matches(&shape.rank_matches(), &score, &best, split.as_deref(), &mut rank, plan),
    }
}
