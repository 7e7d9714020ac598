//! Bipartite soft matching, first half: each source's most similar destination (paper, section 3 and appendix D).

use bytemuck::{Pod, Zeroable};

use super::{elements, multiple_of_four, require};
use crate::dispatch::Dispatch;
use crate::error::Result;
use crate::gpu::{Call, Gpu};
use crate::kernel::{Access, Form, KernelSpec, Part};
use crate::view::View;

/// The kernel's description.
pub const SPEC: KernelSpec = KernelSpec {
    name: "find_matches",
    source: include_str!("../../shaders/find_matches.wgsl"),
    bindings: &[
        ("params", Access::Uniform),
        ("metric", Access::Read),
        ("split", Access::Read),
        ("score", Access::Write),
        ("best", Access::Write),
    ],
    parts: &[Part::Grid, Part::Best, Part::Lane, Part::Split],
    params_size: size_of::<Params>(),
};

/// Sources that share a workgroup: `BESTS` of shaders/lib/best.wgsl.
const BESTS: u32 = 4;

/// The score of an edge with a token that has no direction: below every similarity of metrics as
/// [`key_metric`](crate::kernels::key_metric()) leaves them, which lie within 4e36.
pub const UNDIRECTED: f32 = -1e38;
/// The score of an edge with a protected token: below everything.
pub const PROTECTED: f32 = -2e38;

/// What makes two metrics alike (paper, Table 1).
#[repr(transparent)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub struct Similarity(pub u32);

impl Similarity {
    /// The cosine of the angle between them; wants metrics of unit length.
    pub const COSINE: Similarity = Similarity(0);
    /// Their dot product.
    pub const DOT: Similarity = Similarity(1);
    /// Their negative Euclidean distance. Scores are minus its square, which ranks alike and needs no root.
    pub const EUCLIDEAN: Similarity = Similarity(2);

    /// Whether there is such a similarity.
    pub(crate) fn exists(self) -> bool {
        self.0 <= Similarity::EUCLIDEAN.0
    }
}

/// Scalars of the kernel and of its twin.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Pod, Zeroable)]
pub struct Params {
    /// Images.
    pub batch: u32,
    /// Tokens an image.
    pub tokens: u32,
    /// Values of a metric; a multiple of 4.
    pub width: u32,
    /// Tokens at the front that never merge and that nothing merges into.
    pub protect: u32,
    /// What makes two tokens alike.
    pub similarity: Similarity,
    /// Sources in `split`. Set by [`find_matches`] where there is none: half of the tokens, rounded up.
    pub srcs: u32,
    /// Elements from one image's list in `split` to the next: 0 where all share one.
    pub split_stride: u32,
    /// 1 where there is a `split`. Set by [`find_matches`] from what [`Io`] holds.
    pub has_split: u32,
}

/// Buffers of the kernel.
#[derive(Clone, Copy, Debug)]
pub struct Io<'a> {
    /// `[batch, tokens, width]` of [`key_metric`](crate::kernels::key_metric()).
    pub metric: View<'a>,
    /// `[batch or 1, tokens]`, u32, of [`split_tokens`](crate::kernels::split_tokens()): first the sources, then the
    /// destinations, protected tokens being the first sources. Absent where tokens alternate: source i is token 2 i
    /// and destination i token 2 i + 1.
    pub split: Option<View<'a>>,
    /// `[batch, srcs]`, written: the similarity to the best destination, [`UNDIRECTED`] where one of the two is the
    /// zero vector, [`PROTECTED`] for protected tokens.
    pub score: View<'a>,
    /// `[batch, srcs]`, u32, written: which destination it is, counted from 0; on equal scores the lowest.
    pub best: View<'a>,
}

/// Prepares the best edge of each source.
///
/// # Errors
/// [`Error::Params`](crate::Error::Params) where `width` is no multiple of 4, `tokens` is 0, there are no sources or
/// more than tokens, or there is no such similarity; buffer errors.
pub fn find_matches(gpu: &Gpu, params: Params, io: Io<'_>) -> Result<Dispatch> {
    let Params { batch, tokens, width, similarity, split_stride, .. } = params;
    let name = SPEC.name;
    multiple_of_four(name, "width", width)?;
    require(name, tokens > 0, || "tokens is 0".into())?;
    require(name, similarity.exists(), || format!("there is no {similarity:?}"))?;
    let srcs = io.split.map_or(tokens.div_ceil(2), |_| params.srcs);
    require(name, srcs > 0 && srcs <= tokens, || format!("{srcs} sources of {tokens} tokens"))?;
    let params = Params { srcs, has_split: io.split.is_some().into(), ..params };
    let edges = elements(name, "scores", &[batch, srcs])?;
    let call = gpu.dispatch(Call {
        spec: &SPEC,
        form: Form::default(),
        params: bytemuck::bytes_of(&params),
        views: &[
            (io.metric, elements(name, "metric", &[batch, tokens, width])?),
            gpu.optional(io.split, split_elements(name, batch, tokens, split_stride)?),
            (io.score, edges),
            (io.best, edges),
        ],
        workgroups: u64::from(batch) * u64::from(srcs.div_ceil(BESTS)),
        shape: format!("[{batch}, {tokens}, {width}] -> [{batch}, {srcs}]"),
    })?;
    Ok(call.of_flops(2 * edges * u64::from(tokens - srcs) * u64::from(width)))
}

/// The end of the last image's list in `split`.
pub(crate) fn split_elements(name: &'static str, batch: u32, tokens: u32, stride: u32) -> Result<u64> {
    Ok(elements(name, "split", &[batch.saturating_sub(1), stride])? + u64::from(tokens))
}
