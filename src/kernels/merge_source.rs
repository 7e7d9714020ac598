//! The source map through a merge: for each original token the token that holds it.

use super::declare::kernel;
use super::{elements, require};
use crate::dispatch::Dispatch;
use crate::error::Result;
use crate::gpu::{Call, Gpu};
use crate::kernel::Form;

kernel! {
    "merge_source" in "merge_source": [];
    params {
        /// Images.
        pub batch: u32,
        /// Tokens an image before merging.
        pub tokens: u32,
        /// Tokens an image that disappear.
        pub r: u32,
        /// Original tokens an image; as many as `tokens` where there is no map yet.
        pub sources: u32,
    }
    read {
        /// `[batch, 3 tokens - r]`, u32, of [`rank_matches`](crate::kernels::rank_matches()).
        plan: Word,
    }
    read? {
        /// `[batch, sources]`, u32: for each original token the token that holds it before the merge; absent where that
        /// is itself.
        source: Word,
    }
    write {
        /// `[batch, sources]`, u32, written: for each original token the token that holds it after the merge.
        source_out: Word,
    }
}

/// Original tokens that share a workgroup: `LANES` of the shader.
const LANES: u64 = 64;

impl Params {
    /// The map of `sources` original tokens through a merge of `tokens` tokens.
    pub fn new(batch: u32, tokens: u32, r: u32, sources: u32) -> Self {
        Params { batch, tokens, r, sources }
    }
}

/// `source_out = group[source]`, prepared, `group` being the plan's list of what holds each token.
///
/// # Errors
/// [`Error::Params`](crate::Error::Params) where `r` is not below `tokens`, or without a map `sources` is not `tokens`;
/// buffer errors.
pub fn merge_source(gpu: &Gpu, params: Params, io: Io<'_>) -> Result<Dispatch> {
    let Params { batch, tokens, r, sources } = params;
    let name = SPEC.name;
    require(name, r < tokens, || format!("r is {r} of {tokens} tokens"))?;
    require(name, io.source.is_some() || sources == tokens, || {
        format!("{sources} original tokens of {tokens}, and no source map")
    })?;
    // Without the r that is taken off: three times the tokens must not wrap either.
    elements(name, "plan", &[batch.max(1), 3, tokens])?;
    let all = elements(name, "source", &[batch, sources])?;
    gpu.dispatch(Call {
        spec: &SPEC,
        form: Form::default(),
        params: params.uniform(),
        views: &io.views(),
        elements: &[elements(name, "plan", &[batch, 3 * tokens - r])?, all, all],
        workgroups: all.div_ceil(LANES),
        shape: format!("[{batch}, {sources}] through {tokens} -> {}", tokens - r),
    })
}
