//! How much each token is like the others (Tran et al., "Accelerating Transformers with Spectrum-Preserving Token
//! Merging", 2024, arXiv 2405.16148: PiToMe's energy).

use super::declare::kernel;
use super::{elements, multiple_of_four, require};
use crate::dispatch::Dispatch;
use crate::error::Result;
use crate::gpu::{Call, Gpu};
use crate::kernel::Form;

pub use super::find_matches::{PROTECTED, UNDIRECTED};

kernel! {
    "token_energy" in "token_energy": [Math];
    params {
        /// Images.
        pub batch: u32,
        /// Tokens an image.
        pub tokens: u32,
        /// Values of a metric; a multiple of 4.
        pub width: u32,
        /// Tokens at the front that have no energy and count in none.
        pub protect: u32,
        /// The cosine from which on two tokens are alike; finite.
        pub margin: f32,
    }
    read {
        /// `[batch, tokens, width]` of [`key_metric`](crate::kernels::key_metric()), of unit length.
        metric: Word,
    }
    write {
        /// `[batch, tokens]`, written: the energy, [`UNDIRECTED`] for a token whose metric is the zero vector,
        /// [`PROTECTED`] for a protected one.
        energy: Word,
    }
}

/// Tokens that share a workgroup: `TOKENS` of the shader.
const TOKENS: u32 = 4;

impl Params {
    /// The energies of tokens with metrics of `[batch, tokens, width]`.
    pub fn new([batch, tokens, width]: [u32; 3], protect: u32, margin: f32) -> Self {
        Params { batch, tokens, width, protect, margin }
    }
}

/// The energy of each unprotected token, prepared: the mean over the unprotected tokens, itself among them, of their
/// cosine x where that is at least the margin m, and of e^(x - m) - 1 where it is below.
///
/// # Errors
/// [`Error::Params`](crate::Error::Params) where `width` is no multiple of 4, `tokens` is 0 or `margin` no number;
/// buffer errors.
pub fn token_energy(gpu: &Gpu, params: Params, io: Io<'_>) -> Result<Dispatch> {
    let Params { batch, tokens, width, protect, margin } = params;
    let name = SPEC.name;
    multiple_of_four(name, "width", width)?;
    require(name, tokens > 0, || "tokens is 0".into())?;
    require(name, margin.is_finite(), || format!("margin is {margin}"))?;
    let energies = elements(name, "energy", &[batch, tokens])?;
    let call = gpu.dispatch(Call {
        spec: &SPEC,
        form: Form::default(),
        params: params.uniform(),
        views: &io.views(),
        elements: &[elements(name, "metric", &[batch, tokens, width])?, energies],
        workgroups: u64::from(batch) * u64::from(tokens.div_ceil(TOKENS)),
        shape: format!("[{batch}, {tokens}, {width}] -> [{batch}, {tokens}]"),
    })?;
    Ok(call.of_flops(2 * energies * u64::from(tokens.saturating_sub(protect)) * u64::from(width)))
}
