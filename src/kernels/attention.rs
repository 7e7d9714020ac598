//! Multi-head attention with the sizes of merged tokens, `torch.nn.functional.scaled_dot_product_attention` plus
//! the paper's proportional attention (section 3, "Tracking Token Size"), and with a bias by how far apart tokens lie
//! (Swin's and BEiT's relative position bias).

use super::declare::kernel;
use super::{elements, multiple_of_four, require};
use crate::dispatch::Dispatch;
use crate::error::Result;
use crate::gpu::{Call, Gpu};
use crate::kernel::Form;

kernel! {
    "attention" in "attention/attention" with "attention/entry" "attention/entry_subgroup": [Element Attend Math];
    params {
        /// Images.
        pub batch: u32,
        /// Queries an image: its tokens, or fewer where something else than the tokens asks.
        pub queries: u32,
        /// Tokens an image: keys and values.
        pub tokens: u32,
        /// Heads.
        pub heads: u32,
        /// Values of a head; a multiple of 4 up to 128.
        pub head_width: u32,
        /// Values from one image's queries to the next one's, 0 where all images share them; a multiple of 4.
        pub q_image: u32,
        /// Values from one query to the next; a multiple of 4.
        pub q_stride: u32,
        /// Values from one token to the next in k and v: `heads * head_width` for separate buffers, three times that for
        /// the output of a fused projection; a multiple of 4.
        pub stride: u32,
        /// First value of q in its buffer; a multiple of 4.
        pub q_start: u32,
        /// First value of k in its buffer; a multiple of 4.
        pub k_start: u32,
        /// First value of v in its buffer; a multiple of 4.
        pub v_start: u32,
        /// Scores are multiplied by it: `head_width^-0.5`.
        pub scale: f32,
        /// Tokens of each image before those, which nobody attends to.
        pub skip: u32,
        /// Tokens of each image, from the first on, that lie nowhere: not read without a bias.
        pub prefix: u32,
        /// Rows of the grid that the bias is made for; not read without one.
        pub rows: u32,
        /// Columns of it; likewise.
        pub columns: u32,
        /// 0 where all positions are whole numbers, of which one value of the table is read; otherwise it is read linearly
        /// between its rows and columns, and past its edges as at them.
        pub between: u32,
    }
    read {
        /// `[batch, queries, heads, head_width]`, strided. q, k and v may be the same buffer.
        q: Elem,
        /// `[batch, skip + tokens, heads, head_width]`, strided.
        k: Elem,
        /// The same.
        v: Elem,
    }
    read? {
        /// `[batch, skip + tokens]`: how many original tokens each stands for; a token of size 0 is masked. Absent for plain
        /// attention.
        size: Word,
        /// `[batch, tokens, 2]`: the row and the column of the grid where each lies. It comes with `bias`.
        position: Word,
        /// `[heads, (2 rows - 1) * (2 columns - 1) + 3]`, added to the scaled scores: for each row and column that a query
        /// lies behind its key, from `1 - rows`, `1 - columns` on; then where only the query is one of the `prefix`, where
        /// only the key is, where both are.
        bias: Word,
    }
    write {
        /// `[batch, queries, heads * head_width]`, written.
        y: Elem,
    }
}

/// The widest head: a query's row is held in registers.
const WIDEST: u32 = 128;

impl Params {
    /// Attention over the output of one projection to q, k and v, `[batch, tokens, 3, heads, head_width]`.
    pub fn fused(batch: u32, tokens: u32, heads: u32, head_width: u32) -> Self {
        let channels = heads * head_width;
        Params {
            batch,
            queries: tokens,
            tokens,
            heads,
            head_width,
            q_image: tokens * 3 * channels,
            q_stride: 3 * channels,
            stride: 3 * channels,
            q_start: 0,
            k_start: channels,
            v_start: 2 * channels,
            scale: (head_width as f32).sqrt().recip(),
            skip: 0,
            ..Params::default()
        }
    }

    /// Values of a head's bias.
    pub(crate) fn biases(&self) -> u64 {
        let [rows, columns] = [self.rows, self.columns].map(|side| (2 * u64::from(side)).saturating_sub(1));
        rows * columns + 3
    }
}

/// `y = softmax(q k^T * scale + ln size + bias) v` for each head, prepared.
///
/// # Errors
/// [`Error::Params`](crate::Error::Params) where `head_width` is 0, no multiple of 4 or above 128, or a stride or
/// start is no multiple of 4 or too short, or where there is a bias and the queries are not the tokens or its grid is none;
/// buffer errors.
pub fn attention(gpu: &Gpu, params: Params, io: Io<'_>) -> Result<Dispatch> {
    let Params { batch, queries, tokens, heads, head_width, q_image, q_stride, stride, .. } = params;
    let name = SPEC.name;
    multiple_of_four(name, "head_width", head_width)?;
    multiple_of_four(name, "stride", stride)?;
    multiple_of_four(name, "q_stride", q_stride)?;
    require(name, head_width <= WIDEST, || {
        format!("head_width is {head_width} and may be {WIDEST} at most")
    })?;
    require(name, queries > 0 && tokens > 0 && heads > 0, || {
        "queries, tokens and heads must be positive".into()
    })?;
    let channels = elements(name, "token", &[heads, head_width])?;
    for (which, stride) in [("stride", stride), ("q_stride", q_stride)] {
        require(name, u64::from(stride) >= channels, || {
            format!("{which} {stride} is less than a token, {channels}")
        })?;
    }
    let Params { q_start, k_start, v_start, .. } = params;
    require(name, [q_image, q_start, k_start, v_start].iter().all(|s| s.is_multiple_of(4)), || {
        "q_image, q_start, k_start and v_start must be multiples of 4".into()
    })?;
    let there = tokens.checked_add(params.skip);
    require(name, there.is_some(), || format!("{tokens} tokens behind {} are too many", params.skip))?;
    let keys = elements(name, "tokens", &[batch, there.unwrap_or(0)])?;
    // The last token ends after its own values, not after a whole stride.
    let end = elements(name, "k or v", &[keys as u32, stride])?.saturating_sub(u64::from(stride) - channels);
    let images = elements(name, "q", &[batch.saturating_sub(1), q_image])?;
    let q_end = images + elements(name, "q", &[queries - 1, q_stride])? + channels;
    let rows = elements(name, "queries", &[batch, queries])?;
    let spans = q_end + 2 * end + [q_start, k_start, v_start].map(u64::from).iter().sum::<u64>();
    let between = spans.saturating_sub((rows + 2 * keys) * channels) * gpu.variant().element.bytes();
    require(name, io.position.is_some() == io.bias.is_some(), || {
        "`position` and `bias` come together".into()
    })?;
    let mut biases = 0;
    if io.bias.is_some() {
        let Params { rows, columns, skip, .. } = params;
        require(name, rows > 0 && columns > 0, || "rows and columns of a bias must be positive".into())?;
        require(name, queries == tokens && skip == 0, || {
            format!("a bias is for {tokens} tokens among each other, not for {queries} behind {skip}")
        })?;
        let of_head = u32::try_from(params.biases()).ok();
        require(name, of_head.is_some(), || format!("a grid of {rows} x {columns} is too large"))?;
        biases = elements(name, "bias", &[heads, of_head.unwrap_or(0)])?;
    }
    let call = gpu.dispatch(Call {
        spec: &SPEC,
        form: Form { head_width, ..Form::default() },
        params: params.uniform(),
        views: &io.views(),
        elements: &[
            if batch > 0 { q_end + u64::from(q_start) } else { 0 },
            end + u64::from(k_start),
            end + u64::from(v_start),
            keys,
            2 * keys,
            biases,
            elements(name, "y", &[rows as u32, heads, head_width])?,
        ],
        workgroups: u64::from(queries.div_ceil(gpu.variant().tile.queries()))
            * u64::from(heads)
            * u64::from(batch),
        shape: format!(
            "[{batch}, {}{tokens}, {heads}, {head_width}]{}{}",
            if queries == tokens { String::new() } else { format!("{queries} of ") },
            if io.size.is_some() { " +ln size" } else { "" },
            if io.bias.is_some() { " +bias" } else { "" }
        ),
    })?;
    Ok(call.of_flops(4 * rows * u64::from(tokens) * channels).skipping(between))
}
