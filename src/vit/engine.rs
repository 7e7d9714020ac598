//! The seam between a network and what runs its kernels: the recorder of a plan for a GPU, or the CPU path.

use super::parameters::{Linear, Norm};
use crate::error::Result;
use crate::kernels::{
    attention, choose_matches, embed_patches, find_matches, key_metric, layer_norm, match_frames,
    match_lines, matmul, merge_source, merge_tokens, norm_heads, pool, rank_matches, split_tokens,
    token_energy,
};
use crate::matching::{self, Matching};

/// Where a value of a batch stands. Two places may share memory where no kernel uses both: `Normed` and `Attended`, `Qkv`
/// and `Hidden`, `Gate` and `Branch`, `Energy` and `Score`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// `[b, n, c]`: the residual stream; read from one, written to the other.
    X(usize),
    /// `[b, n, c]`: the residual stream, normalised.
    Normed,
    /// `[b, n, 3, h, d]`: queries, keys and values; `[b, n, 2, h, d]` of keys and values where attention pools.
    Qkv,
    /// `[b, n, c]`: what attention gave.
    Attended,
    /// `[b, n, the MLP's width]`
    Hidden,
    /// `[b, n, the MLP's width]`: what multiplies it.
    Gate,
    /// `[b, n, c]`: a branch on its way through a norm.
    Branch,
    /// `[b, n]`: how many original tokens each stands for, after so many merges.
    Size(usize),
    /// `[b, n, 2]`: where each token lies, after so many merges, of networks where that counts.
    Position(usize),
    /// `[b, original tokens]`, u32: the token that holds each, after so many merges.
    Source(usize),
    /// `[b, n, metric's width]`
    Metric,
    /// `[b, n]`
    Energy,
    /// `[b or 1, n]`, u32
    Split,
    /// `[b, sources]`
    Score,
    /// `[b, sources]`, u32
    Best,
    /// `[b, sources]`, u32
    Rank,
    /// `[b, 3 n - r]`, u32
    Plan,
    /// `[b, n]`: 1 for each token, 0 for padding, where a threshold leaves some.
    Mask,
    /// `[b, c]`: on the way to the features.
    Pooled,
    /// `[b, c]`, one for each pooled row.
    Features(usize),
    /// `[b, classes]`, one for each head.
    Logits(usize),
}

/// What a norm adds: rows of the network's that repeat, or a place.
pub(crate) enum Added<'a, T> {
    Row(&'a T),
    Place(Place),
}

/// The queries of attention: part of the same place as the keys, or one learned row for all images.
pub(crate) enum Query<'a, T> {
    Tokens,
    Learned(&'a T),
}

/// Runs kernels on places; each method is a kernel, with what it reads first and what it writes last.
pub(crate) trait Engine {
    /// One of the network's tensors.
    type Tensor;

    fn embed_patches(
        &mut self,
        params: embed_patches::Params,
        w: &Self::Tensor,
        base: &Self::Tensor,
        y: Place,
    ) -> Result<()>;
    /// The input's rows to `Size(0)`.
    fn first_sizes(&mut self, params: matmul::Params, there: &Linear<Self::Tensor>) -> Result<()>;
    fn layer_norm(
        &mut self,
        params: layer_norm::Params,
        x: Place,
        norm: Option<&Norm<Self::Tensor>>,
        added: Option<Added<'_, Self::Tensor>>,
        y: Place,
    ) -> Result<()>;
    fn matmul(
        &mut self,
        params: matmul::Params,
        x: Place,
        linear: &Linear<Self::Tensor>,
        then: Then,
        y: Place,
    ) -> Result<()>;
    fn norm_heads(
        &mut self,
        params: norm_heads::Params,
        norm: Option<&Norm<Self::Tensor>>,
        turned: Option<(Place, &Self::Tensor)>,
        x: Place,
    ) -> Result<()>;
    fn attention(
        &mut self,
        params: attention::Params,
        q: Query<'_, Self::Tensor>,
        kv: Place,
        size: Option<Place>,
        biased: Option<(Place, &Self::Tensor)>,
        y: Place,
    ) -> Result<()>;
    /// Writes `Metric`; tokens without a size have none.
    fn key_metric(&mut self, params: key_metric::Params, keys: Place, size: Option<Place>) -> Result<()>;
    /// `Metric` to `Energy`.
    fn token_energy(&mut self, params: token_energy::Params) -> Result<()>;
    /// Writes `Split`, from `Energy` where that decides.
    fn split_tokens(&mut self, params: split_tokens::Params) -> Result<()>;
    /// `Metric`, and `Split` where it is listed, and sizes where they count, to `Score` and `Best`.
    fn find_matches(&mut self, params: find_matches::Params, listed: bool, size: Option<Place>)
    -> Result<()>;
    /// `Score`, `Best`, and `Split` where it is listed, to `Rank` and `Plan`.
    fn rank_matches(&mut self, params: rank_matches::Params, listed: bool) -> Result<()>;
    /// `Score`, `Best` and sizes to `Rank`, `Plan` and `Mask`.
    fn choose_matches(&mut self, params: choose_matches::Params, size: Place) -> Result<()>;
    /// `Metric` to `Plan`.
    fn match_lines(&mut self, params: match_lines::Params) -> Result<()>;
    /// `Metric`, and sizes where they count, to `Plan`.
    fn match_frames(&mut self, params: match_frames::Params, size: Option<Place>) -> Result<()>;
    /// `Metric`, and `Qkv` and what biases attention where that decides, to `Plan`.
    fn match_otherwise(&mut self, by: &Otherwise, bias: Option<&Self::Tensor>) -> Result<()>;
    /// Tokens and sizes by `Plan`, positions where they have some, and what they become to `Normed` as well, normalised.
    fn merge_tokens(
        &mut self,
        params: merge_tokens::Params,
        x: Place,
        size: Place,
        x_out: Place,
        size_out: Place,
        positions: Option<[Place; 2]>,
    ) -> Result<()>;
    /// A source map by `Plan`.
    fn merge_source(&mut self, params: merge_source::Params, source: Place, source_out: Place) -> Result<()>;
    fn pool(&mut self, params: pool::Params, x: Place, size: Place, y: Place) -> Result<()>;

    /// All that follows is computed in 32-bit floats.
    fn in_f32(&mut self) {}
    /// All that follows belongs to a block, or to none.
    fn enter(&mut self, block: Option<u32>);
    /// Names the first elements of what the last kernel wrote, such as `attn`.
    fn stage(&mut self, name: &str, at: Place, elements: u64);
}

/// A matching other than the bipartite one, and what it goes by.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(not(feature = "cpu"), allow(dead_code, reason = "a GPU refuses it"))]
pub(crate) struct Otherwise {
    pub matching: Matching,
    pub params: matching::Params,
    /// The number of the first image.
    pub first_image: u32,
    /// That of the class token.
    pub attention: attention::Params,
    pub size: Option<Place>,
}

/// The steps behind a product and its activation.
#[derive(Clone, Copy, Default)]
pub(crate) struct Then {
    pub gate: Option<Place>,
    pub residual: Option<Place>,
    /// By which pairs are turned, of a layer that has turns.
    pub position: Option<Place>,
}

/// Where the results stand.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ends {
    pub tokens: Place,
    pub size: Place,
    pub logits: Place,
}

impl Place {
    /// Whether values are u32, not f32.
    pub fn holds_indices(self) -> bool {
        matches!(self, Place::Source(_) | Place::Split | Place::Best | Place::Rank | Place::Plan)
    }
}
