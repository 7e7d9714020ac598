//! The results that are read back.

use std::fmt;
use std::ops::BitOr;

use super::outputs::Output;

/// A set of results to be read back; the others are left empty.
///
/// ```
/// use tome_wgpu::vit::{Output, Want};
/// let want = Want::from([Output::Dense, Output::Source]);
/// assert!(want.has(Output::Dense) && !want.has(Output::Logits));
/// assert_eq!(Want::LOGITS | Output::Size, Want::from(Output::Logits).with(Output::Size));
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Want(u32);

impl Want {
    /// Nothing.
    pub const NONE: Want = Want(0);
    /// Everything.
    pub const ALL: Want = {
        let (mut all, mut i) = (Want::NONE, 0);
        while i < Output::ALL.len() {
            all = all.with(Output::ALL[i]);
            i += 1;
        }
        all
    };
    /// Logits alone.
    pub const LOGITS: Want = Want::NONE.with(Output::Logits);
    /// Features alone.
    pub const FEATURES: Want = Want::NONE.with(Output::Features);

    /// These and another.
    #[must_use]
    pub const fn with(self, output: Output) -> Self {
        Want(self.0 | 1 << output as u32)
    }

    /// Whether a result is among them.
    pub const fn has(self, output: Output) -> bool {
        self.0 & 1 << output as u32 != 0
    }

    /// The results, in the order of [`Output::ALL`].
    pub fn outputs(self) -> impl Iterator<Item = Output> {
        Output::ALL.iter().copied().filter(move |&output| self.has(output))
    }
}

impl fmt::Debug for Want {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.outputs()).finish()
    }
}

impl From<Output> for Want {
    fn from(output: Output) -> Self {
        Want::NONE.with(output)
    }
}

impl<const N: usize> From<[Output; N]> for Want {
    fn from(outputs: [Output; N]) -> Self {
        outputs.into_iter().collect()
    }
}

impl FromIterator<Output> for Want {
    fn from_iter<I: IntoIterator<Item = Output>>(outputs: I) -> Self {
        outputs.into_iter().fold(Want::NONE, Want::with)
    }
}

impl BitOr<Output> for Want {
    type Output = Want;

    fn bitor(self, output: Output) -> Want {
        self.with(output)
    }
}

impl BitOr for Want {
    type Output = Want;

    fn bitor(self, other: Want) -> Want {
        Want(self.0 | other.0)
    }
}
