//! Rows of features, one an image.

use crate::error::{Error, Result};

/// Whether there is a label for each row.
pub(super) fn check(features: &[f32], labels: &[usize], channels: usize) -> Result<()> {
    if labels.len().checked_mul(channels) != Some(features.len()) || channels == 0 {
        let (values, labels) = (features.len(), labels.len());
        return Err(Error::Input(format!("{values} features of {channels} channels for {labels} labels")));
    }
    Ok(())
}

/// Whether every value is a number.
pub(super) fn whole(row: &[f32]) -> bool {
    row.iter().all(|value| value.is_finite())
}
