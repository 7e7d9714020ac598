//! Bipartite soft matching, first half: each even token's most similar odd token (paper, section 3 and appendix D).

use bytemuck::{Pod, Zeroable};

use super::{elements, multiple_of_four, require};
use crate::dispatch::Dispatch;
use crate::error::Result;
use crate::gpu::{Call, Gpu};
use crate::kernel::{Access, KernelSpec, Part};
use crate::view::View;

/// The kernel's description.
pub const SPEC: KernelSpec = KernelSpec {
    name: "find_matches",
    source: include_str!("../../shaders/find_matches.wgsl"),
    bindings: &[
        ("params", Access::Uniform),
        ("metric", Access::Read),
        ("score", Access::Write),
        ("best", Access::Write),
    ],
    parts: &[Part::Grid, Part::Best, Part::Lane],
    params_size: size_of::<Params>(),
};

/// The score of an edge with a token that has no direction: below every cosine.
pub const UNDIRECTED: f32 = -2.0;
/// The score of an edge with a protected token: below everything.
pub const PROTECTED: f32 = -4.0;

/// Scalars of the kernel and of its twin.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
pub struct Params {
    /// Images.
    pub batch: u32,
    /// Tokens an image.
    pub tokens: u32,
    /// Values of a metric; a multiple of 4.
    pub width: u32,
    /// Tokens at the front that never merge and that nothing merges into.
    pub protect: u32,
}

/// Buffers of the kernel.
#[derive(Clone, Copy, Debug)]
pub struct Io<'a> {
    /// `[batch, tokens, width]`, of unit length or zero.
    pub metric: View<'a>,
    /// `[batch, even tokens]`, written: the cosine with the best odd token, [`UNDIRECTED`] where one of the two is
    /// the zero vector, [`PROTECTED`] for protected tokens.
    pub score: View<'a>,
    /// `[batch, even tokens]`, u32, written: which odd token it is (index i is token 2 i + 1); on equal scores the
    /// lowest.
    pub best: View<'a>,
}

/// Prepares the best edge of each even token.
///
/// # Errors
/// [`Error::Params`](crate::Error::Params) where `width` is no multiple of 4 or `tokens` is 0; buffer errors.
pub fn find_matches(gpu: &Gpu, params: Params, io: Io<'_>) -> Result<Dispatch> {
    let Params { batch, tokens, width, .. } = params;
    let name = SPEC.name;
    multiple_of_four(name, "width", width)?;
    require(name, tokens > 0, || "tokens is 0".into())?;
    let evens = elements(name, "scores", &[batch, tokens.div_ceil(2)])?;
    gpu.dispatch(Call {
        spec: &SPEC,
        head_width: 0,
        params: bytemuck::bytes_of(&params),
        views: &[
            (io.metric, elements(name, "metric", &[batch, tokens, width])?),
            (io.score, evens),
            (io.best, evens),
        ],
        workgroups: evens,
        shape: format!("[{batch}, {tokens}, {width}] -> [{batch}, {}]", tokens.div_ceil(2)),
    })
}
