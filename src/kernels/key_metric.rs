//! The metric that tokens are matched by: mean of the keys over the heads (paper, section 3, "Token Similarity"), or
//! any other rows.

use super::declare::{choice, kernel};
use super::{elements, multiple_of_four, require};
use crate::dispatch::Dispatch;
use crate::error::Result;
use crate::gpu::{Call, Gpu};
use crate::kernel::{Form, ROWS};

kernel! {
    "key_metric" in "key_metric": [Element Rows];
    params {
        /// Batch times tokens.
        pub rows: u32,
        /// Heads that are averaged; 1 for rows that are no heads.
        pub heads: u32,
        /// Values of a head; a multiple of 4.
        pub head_width: u32,
        /// Values from one token to the next; a multiple of 4.
        pub stride: u32,
        /// First value of the first key; a multiple of 4.
        pub start: u32,
        /// The length that a metric is brought to.
        pub length: Length,
    }
    read {
        /// `[rows, heads, head_width]`, strided.
        keys: Elem,
    }
    read? {
        /// `[rows]`: a token of size 0 gets the zero vector, so that it merges last and attracts nobody. Absent where
        /// every token has one.
        size: Word,
    }
    write {
        /// `[rows, head_width]`, written.
        metric: Word,
    }
}

choice! {
    /// The length of metrics.
    pub enum Length {
        /// Brought to 1, as cosines need it.
        Unit,
        /// As it is.
        Own,
    }
}

impl Params {
    /// The metric of keys in the output of one projection to q, k and v, `[rows, 3, heads, head_width]`, for cosines.
    pub fn fused(rows: u32, heads: u32, head_width: u32) -> Self {
        let channels = heads * head_width;
        Params { rows, heads, head_width, stride: 3 * channels, start: channels, length: Length::Unit }
    }

    /// Rows themselves as metric, for cosines.
    pub fn of_rows(rows: u32, width: u32) -> Self {
        Params { rows, heads: 1, head_width: width, stride: width, start: 0, length: Length::Unit }
    }
}

/// The mean of each token's keys over the heads, prepared. A mean without a direction in f32 (shorter than about 1e-19,
/// longer than 1e18, or with a component that is not finite) becomes the zero vector: no score of
/// [`find_matches`](crate::kernels::find_matches()) overflows.
///
/// # Errors
/// [`Error::Params`](crate::Error::Params) where a width, stride or start is no multiple of 4 or heads is 0; buffer
/// errors.
pub fn key_metric(gpu: &Gpu, params: Params, io: Io<'_>) -> Result<Dispatch> {
    let Params { rows, heads, head_width, stride, start, .. } = params;
    let name = SPEC.name;
    multiple_of_four(name, "head_width", head_width)?;
    multiple_of_four(name, "stride", stride)?;
    require(name, heads > 0, || "heads is 0".into())?;
    require(name, start.is_multiple_of(4), || format!("start is {start} and must be a multiple of 4"))?;
    let channels = elements(name, "token", &[heads, head_width])?;
    require(name, u64::from(stride) >= channels, || {
        format!("stride {stride} is less than a token, {channels}")
    })?;
    let end = elements(name, "keys", &[rows, stride])?.saturating_sub(u64::from(stride) - channels);
    let between = (end + u64::from(start)).saturating_sub(u64::from(rows) * channels);
    let call = gpu.dispatch(Call {
        spec: &SPEC,
        form: Form::default(),
        params: params.uniform(),
        views: &io.views(),
        elements: &[end + u64::from(start), rows.into(), elements(name, "metric", &[rows, head_width])?],
        workgroups: rows.div_ceil(ROWS).into(),
        shape: format!("[{rows}, {heads}, {head_width}] -> [{rows}, {head_width}]"),
    })?;
    Ok(call.skipping(between * gpu.variant().element.bytes()))
}
