//! Matching along the lines of a grid, so that merging leaves a grid (after "CubistMerge: Spatial-Preserving Token Merging
//! For Diverse ViT Backbones", 2025, arXiv 2509.21764).

use super::declare::kernel;
use super::find_matches::Similarity;
use super::{elements, multiple_of_four, require};
use crate::dispatch::Dispatch;
use crate::error::Result;
use crate::gpu::{Call, Gpu};
use crate::kernel::Form;

kernel! {
    "match_lines" in "match_lines": [];
    params {
        /// Images.
        pub batch: u32,
        /// Tokens an image: those that are protected and any number of grids one behind the other, row by row.
        pub tokens: u32,
        /// Values of a metric; a multiple of 4.
        pub width: u32,
        /// Tokens at the front that never merge and that nothing merges into.
        pub protect: u32,
        /// The measure by which two tokens are alike.
        pub similarity: Similarity,
        /// Rows of a grid. Lines go along its longer side; those of a square are its rows.
        pub rows: u32,
        /// Columns of a grid.
        pub columns: u32,
        /// Tokens that each line loses; at most half of it, rounded down.
        pub lost: u32,
    }
    read {
        /// `[batch, tokens, width]` of [`key_metric`](crate::kernels::key_metric()).
        metric: Word,
    }
    write {
        /// `[batch, plan_len]`, u32, written: as that of [`rank_matches`](crate::kernels::rank_matches()).
        plan: Word,
    }
}

/// The longest line: its sources have room in a workgroup's memory.
pub const LONGEST: u32 = 1024;

impl Params {
    /// Grids of rows and columns matched by cosine.
    pub fn new(batch: u32, width: u32, protect: u32, [rows, columns]: [u32; 2], lost: u32) -> Self {
        let tokens = protect + rows * columns;
        Params { batch, tokens, width, protect, rows, columns, lost, ..Params::default() }
    }

    /// Whether lines are rows.
    pub(crate) fn along_rows(&self) -> bool {
        self.columns >= self.rows
    }

    /// Tokens of a line.
    pub(crate) fn length(&self) -> u32 {
        self.rows.max(self.columns)
    }

    /// Lines of an image.
    pub(crate) fn lines(&self) -> u32 {
        (self.tokens - self.protect) / self.length()
    }

    /// Tokens an image that disappear.
    pub fn r(&self) -> u32 {
        self.lines() * self.lost
    }

    /// Elements of an image's plan, as [`rank_matches`](crate::kernels::rank_matches()) says.
    pub fn plan_len(&self) -> u32 {
        3 * self.tokens - self.r()
    }

    /// Checks that the numbers fit together.
    ///
    /// # Errors
    /// [`Error::Params`](crate::Error::Params) where the unprotected tokens are no whole number of grids, lines are
    /// longer than [`LONGEST`], or one would lose more than half of its tokens.
    pub fn check(&self) -> Result<()> {
        let &Params { tokens, protect, rows, columns, lost, .. } = self;
        let name = SPEC.name;
        let cells = rows.checked_mul(columns).filter(|&cells| cells > 0);
        let free = tokens.checked_sub(protect);
        let whole = cells.zip(free).is_some_and(|(cells, free)| free.is_multiple_of(cells));
        require(name, tokens > 0 && whole, || {
            format!("{tokens} tokens, {protect} of them protected, are no grids of {rows} x {columns}")
        })?;
        require(name, self.length() <= LONGEST, || {
            format!("a line of {} tokens; {LONGEST} are the most", self.length())
        })?;
        require(name, lost <= self.length() / 2, || {
            format!("each line loses {lost} of {} tokens, more than half", self.length())
        })
    }
}

/// The merge plan of a grid, prepared: in each line even places are sources, odd ones destinations; a source goes to the
/// more similar of its neighbours, the one before it where both are alike; the most similar sources of each line merge,
/// the first of equals. What is left keeps its order, and is row by row a grid of smaller rows or of fewer.
///
/// # Errors
/// Those of [`Params::check`], and [`Error::Params`](crate::Error::Params) where `width` is no multiple of 4; buffer
/// errors.
pub fn match_lines(gpu: &Gpu, params: Params, io: Io<'_>) -> Result<Dispatch> {
    params.check()?;
    let Params { batch, tokens, width, rows, columns, .. } = params;
    let name = SPEC.name;
    multiple_of_four(name, "width", width)?;
    // Without the r that is taken off: three times the tokens must not wrap either.
    elements(name, "plan", &[batch.max(1), 3, tokens])?;
    // Where every token is protected somebody has to write so.
    let lines = params.lines().max(1);
    let call = gpu.dispatch(Call {
        spec: &SPEC,
        form: Form::default(),
        params: params.uniform(),
        views: &io.views(),
        elements: &[
            elements(name, "metric", &[batch, tokens, width])?,
            elements(name, "plan", &[batch, params.plan_len()])?,
        ],
        workgroups: u64::from(batch) * u64::from(lines),
        shape: format!("[{batch}, {rows} x {columns}] -{} a line", params.lost),
    })?;
    Ok(call.of_flops(2 * elements(name, "metric", &[batch, tokens, width])?))
}
