//! Merging by a threshold: the number of tokens that merge is the data's, the number of places is not.

use crate::error::{Error, Result};
use crate::kernels::choose_matches;
use crate::merger::MergeShape;
use crate::partition::Partition;

impl MergeShape {
    /// Places that disappear.
    pub(crate) fn gone(&self) -> u32 {
        let r = self.r_clamped();
        self.threshold.map_or(r, |_| self.least.min(r))
    }

    /// Whether tokens of size 0 are set apart.
    pub(crate) fn masks(&self) -> bool {
        self.masked || self.threshold.is_some()
    }

    /// Elements of an image's plan.
    pub(crate) fn plan_len(&self) -> u32 {
        3 * self.tokens - self.gone()
    }

    /// None without a threshold.
    pub(crate) fn choose_matches(&self) -> Option<choose_matches::Params> {
        let &MergeShape { batch, tokens, protect, .. } = self;
        let (r, least) = (self.r_clamped(), self.gone());
        self.threshold.map(|threshold| choose_matches::Params { batch, tokens, r, least, protect, threshold })
    }

    /// Whether a threshold is one, and tokens alternate: any other partition would part padding with the others.
    pub(crate) fn check_threshold(&self) -> Result<()> {
        match self.threshold {
            Some(_) if self.partition != Partition::Alternating => Err(Error::Unsupported {
                field: "partition".into(),
                value: self.partition.to_string(),
                why: "with a threshold tokens alternate: padding would be parted with the others".into(),
            }),
            Some(threshold) if !threshold.is_finite() => {
                Err(Error::Input(format!("a threshold of {threshold}, which is no number")))
            }
            _ => Ok(()),
        }
    }
}
