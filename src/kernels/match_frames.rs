//! Bipartite soft matching within frame groups, each by itself (paper, section 3, for the tokens of one step in time).

use super::declare::kernel;
use super::find_matches::{MOST_BY_SIZE, Similarity};
use super::{elements, multiple_of_four, require};
use crate::dispatch::Dispatch;
use crate::error::Result;
use crate::gpu::{Call, Gpu};
use crate::kernel::Form;

kernel! {
    "match_frames" in "match_frames": [];
    params {
        /// Images.
        pub batch: u32,
        /// Tokens an image: those that are protected and the groups one behind the other.
        pub tokens: u32,
        /// Values of a metric; a multiple of 4.
        pub width: u32,
        /// Tokens at the front that never merge and that nothing merges into.
        pub protect: u32,
        /// The measure by which two tokens are alike.
        pub similarity: Similarity,
        /// Frame groups of an image, all of one length.
        pub groups: u32,
        /// Tokens that each group loses; at most half of it, rounded down.
        pub lost: u32,
        /// How much the sizes of two tokens count against their match, as in
        /// [`find_matches`](crate::kernels::find_matches::Params::by_size).
        pub by_size: f32,
    }
    read {
        /// `[batch, tokens, width]` of [`key_metric`](crate::kernels::key_metric()).
        metric: Word,
    }
    read? {
        /// `[batch, tokens]`: how many original tokens each stands for; absent where it is one.
        size: Word,
    }
    write {
        /// `[batch, plan_len]`, u32, written: as that of [`rank_matches`](crate::kernels::rank_matches()).
        plan: Word,
    }
}

/// The longest group: its sources have room in a workgroup's memory.
pub const LONGEST: u32 = 2048;

impl Params {
    /// So many groups of so many tokens, matched by cosine.
    pub fn new(batch: u32, width: u32, protect: u32, [groups, length]: [u32; 2], lost: u32) -> Self {
        // What wraps would be groups of other tokens; what is too much is refused.
        let tokens = protect.saturating_add(groups.saturating_mul(length));
        Params { batch, tokens, width, protect, groups, lost, ..Params::default() }
    }

    /// Tokens of a group.
    pub(crate) fn length(&self) -> u32 {
        (self.tokens - self.protect) / self.groups
    }

    /// The place in a group of its first source: behind an odd number of protected tokens it begins with a destination, so
    /// that the tokens of one group alternate as [`find_matches`](crate::kernels::find_matches()) has it.
    pub fn first_source(&self) -> u32 {
        self.protect % 2
    }

    /// Tokens an image that disappear.
    pub fn r(&self) -> u32 {
        self.groups * self.lost
    }

    /// Elements of an image's plan, as [`rank_matches`](crate::kernels::rank_matches()) says.
    pub fn plan_len(&self) -> u32 {
        3 * self.tokens - self.r()
    }

    /// Checks that the numbers fit together.
    ///
    /// # Errors
    /// [`Error::Params`](crate::Error::Params) where the unprotected tokens are no such groups, groups are longer than
    /// [`LONGEST`], one would lose more than half of its tokens, or `by_size` is out of range or for dot products.
    pub fn check(&self) -> Result<()> {
        let &Params { tokens, protect, groups, lost, by_size, similarity, .. } = self;
        let name = SPEC.name;
        let whole = tokens.checked_sub(protect).is_some_and(|free| groups > 0 && free.is_multiple_of(groups));
        require(name, tokens > 0 && whole, || {
            format!("{tokens} tokens, {protect} of them protected, are no {groups} frame groups")
        })?;
        let length = self.length();
        require(name, length <= LONGEST, || {
            format!("a frame group of {length} tokens; {LONGEST} are the most")
        })?;
        require(name, lost <= length / 2, || {
            format!("each frame group loses {lost} of {length} tokens, more than half")
        })?;
        require(name, (0.0..=MOST_BY_SIZE).contains(&by_size), || {
            format!("by_size is {by_size}; it lies between 0 and {MOST_BY_SIZE}")
        })?;
        require(name, by_size == 0.0 || similarity != Similarity::Dot, || {
            "by_size is for cosines and distances; a dot product has no largest value".into()
        })
    }
}

/// The merge plan of frame groups, prepared: in each group every other token is a source and goes to the most similar of
/// the group's others, the first of equals; the most similar sources of each group merge, the first of equals. What is
/// left keeps its order: each group is shorter, and stands where it stood.
///
/// # Errors
/// Those of [`Params::check`], and [`Error::Params`](crate::Error::Params) where `width` is no multiple of 4; buffer
/// errors.
pub fn match_frames(gpu: &Gpu, params: Params, io: Io<'_>) -> Result<Dispatch> {
    params.check()?;
    // Where every token is protected groups of none may be as many as they like, and somebody has to write so.
    let groups = if params.tokens == params.protect { 1 } else { params.groups };
    let params = Params { groups, ..params };
    let Params { batch, tokens, width, .. } = params;
    let name = SPEC.name;
    multiple_of_four(name, "width", width)?;
    // Without the r that is taken off: three times the tokens must not wrap either.
    elements(name, "plan", &[batch.max(1), 3, tokens])?;
    let metric = elements(name, "metric", &[batch, tokens, width])?;
    let call = gpu.dispatch(Call {
        spec: &SPEC,
        form: Form::default(),
        params: params.uniform(),
        views: &io.views(),
        elements: &[
            metric,
            elements(name, "size", &[batch, tokens])?,
            elements(name, "plan", &[batch, params.plan_len()])?,
        ],
        workgroups: u64::from(batch) * u64::from(groups),
        shape: format!("[{batch}, {groups} x {}] -{} a group", params.length(), params.lost),
    })?;
    let pairs = u64::from(params.length().div_ceil(2)) * u64::from(params.length() / 2);
    Ok(call.of_flops(2 * u64::from(batch) * u64::from(groups) * pairs * u64::from(width)))
}
