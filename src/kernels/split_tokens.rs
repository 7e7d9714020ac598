//! Who may merge into whom, as a list on the device (paper, section 3 and Table 1's partitions; tomesd's grid; PiToMe's
//! order).

use super::declare::{choice, kernel};
use super::{elements, require};
use crate::dispatch::Dispatch;
use crate::error::Result;
use crate::gpu::{Call, Gpu};
use crate::kernel::Form;

kernel! {
    "split_tokens" in "split_tokens": [];
    params {
        /// Lists: one for all images, or one for each.
        pub lists: u32,
        /// Tokens an image.
        pub tokens: u32,
        /// Tokens at the front that never merge; they are the first sources.
        pub protect: u32,
        /// Sources, the protected tokens included.
        pub srcs: u32,
        /// The choice of destinations.
        pub mode: SplitMode,
        /// Columns of the grid that the unprotected tokens form, row by row.
        pub columns: u32,
        /// Rows of a cell.
        pub cell_height: u32,
        /// Columns of a cell.
        pub cell_width: u32,
        /// A place in a cell, counted row by row.
        pub place: u32,
        /// The number that random choices start from.
        pub seed: u32,
        /// The number of the first list.
        pub first_list: u32,
    }
    read? {
        /// `[lists, tokens]` of [`token_energy`](crate::kernels::token_energy()), for [`SplitMode::Energy`]; NaN has a
        /// place, but no particular one.
        energy: Word,
    }
    write {
        /// `[lists, tokens]`, u32, written: first the sources, then the destinations, both in order of position; where
        /// some sources are held these come first.
        split: Word,
    }
}

choice! {
    /// The choice of unprotected tokens that are destinations. [`Partition`](crate::Partition) says the same in words.
    pub enum SplitMode {
        /// Those after the first `srcs`.
        First,
        /// All but `srcs` random ones, others in each list: sources are those with the lowest
        /// `pcg(token ^ pcg(list ^ pcg(seed)))`.
        Random,
        /// One in each whole cell of a grid, at `place`.
        Cells,
        /// A random one in each whole cell of a grid, the same in each list: at
        /// `pcg(cell ^ pcg(seed)) % (cell_height * cell_width)`.
        RandomCells,
        /// Of the tokens in falling order of energy, the lower one first where it is equal, the second, the fourth and so
        /// on; the first, the third and so on, as many, are sources that merge. All others are sources that are held.
        Energy,
    }
}

/// A hash of 32 bits to 32 bits that maps no two numbers to the same: one step of a linear congruential generator and
/// PCG's output function (`pcg_hash` in Jarzynski and Olano, "Hash Functions for GPU Rendering", 2020).
pub fn pcg(value: u32) -> u32 {
    let state = value.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
    let word = ((state >> ((state >> 28) + 4)) ^ state).wrapping_mul(277_803_737);
    (word >> 22) ^ word
}

impl Params {
    /// Elements of all lists.
    pub(crate) fn elements(&self) -> u64 {
        u64::from(self.lists) * u64::from(self.tokens)
    }

    /// Elements from one image's list to the next in a batch: 0 where all share one.
    pub fn stride(&self) -> u32 {
        if self.lists > 1 { self.tokens } else { 0 }
    }

    /// Sources at the front of the list that never merge: the protected tokens and, by energy, all but as many as there
    /// are destinations.
    pub fn held(&self) -> u32 {
        let destinations = self.tokens.saturating_sub(self.srcs);
        if self.mode == SplitMode::Energy { self.srcs.saturating_sub(destinations) } else { self.protect }
    }

    /// Checks that the numbers fit together.
    ///
    /// # Errors
    /// [`Error::Params`](crate::Error::Params) where there are fewer tokens than sources or fewer sources than
    /// protected tokens, cells are empty, do not fit into a grid of the unprotected tokens, or leave another number of
    /// sources, or fewer unprotected tokens than twice the destinations are ordered by energy.
    pub fn check(&self) -> Result<()> {
        let &Params { tokens, protect, srcs, mode, columns, cell_height, cell_width, place, .. } = self;
        let name = SPEC.name;
        require(name, tokens > 0 && protect <= srcs && srcs <= tokens, || {
            format!("{srcs} sources, {protect} of them protected, of {tokens} tokens")
        })?;
        let free = tokens - protect;
        match mode {
            SplitMode::First | SplitMode::Random => return Ok(()),
            SplitMode::Energy => {
                return require(name, tokens - srcs <= free / 2, || {
                    format!("{} destinations, and as many that merge, of {free} tokens", tokens - srcs)
                });
            }
            SplitMode::Cells | SplitMode::RandomCells => {}
        }
        require(name, columns > 0 && free.is_multiple_of(columns), || {
            format!("{free} unprotected tokens do not fill rows of {columns}")
        })?;
        let cell = elements(name, "cell", &[cell_height, cell_width])?;
        require(name, cell > 0 && u64::from(place) < cell, || {
            format!("place {place} in a cell of {cell_height} x {cell_width}")
        })?;
        let cells = (free / columns / cell_height) * (columns / cell_width);
        require(name, tokens - cells == srcs, || {
            format!("{srcs} sources of {tokens} tokens, and {cells} cells")
        })
    }
}

/// The lists that [`find_matches`](crate::kernels::find_matches()) and
/// [`rank_matches`](crate::kernels::rank_matches()) take, prepared. The same numbers give the same lists, on every device.
///
/// # Errors
/// Those of [`Params::check`]; [`Error::Params`](crate::Error::Params) without energies for [`SplitMode::Energy`]; buffer
/// errors.
pub fn split_tokens(gpu: &Gpu, params: Params, io: Io<'_>) -> Result<Dispatch> {
    params.check()?;
    let Params { lists, tokens, srcs, mode, .. } = params;
    require(SPEC.name, mode != SplitMode::Energy || io.energy.is_some(), || {
        "an order by energy needs energies".into()
    })?;
    let all = elements(SPEC.name, "split", &[lists, tokens])?;
    gpu.dispatch(Call {
        spec: &SPEC,
        form: Form::default(),
        params: params.uniform(),
        views: &io.views(),
        elements: &[all, all],
        workgroups: lists.into(),
        shape: format!("[{lists}, {tokens}] -> {srcs} and {}", tokens - srcs),
    })
}
