//! Constants before and behind a linear layer, folded into its numbers once instead of computed for every token.

use std::borrow::Cow;

use super::parameters::Norm;

/// The constants that a linear layer takes in.
#[derive(Default)]
pub(super) struct Fold<'a> {
    /// The weight of the norm before it, `[inner]`, and its bias, where it has one.
    pub norm: Option<Norm<Cow<'a, [f32]>>>,
    /// Factors of what it gives, for the first columns; the others stay as they are.
    pub scale: Option<Cow<'a, [f32]>>,
}

impl Fold<'_> {
    /// The weight `[columns, inner]` and the bias `[columns]` of a layer that also does what it takes in: weights become
    /// `scale * W diag(norm weight)`, biases `scale * (bias + W norm bias)`. All is computed in f64 and rounded once, so
    /// that a weight is as exact as it was. A layer without a bias gets one where a norm has one.
    pub fn layer<'w>(
        &self,
        weight: Cow<'w, [f32]>,
        bias: Option<Cow<'w, [f32]>>,
        inner: usize,
    ) -> (Cow<'w, [f32]>, Option<Cow<'w, [f32]>>) {
        if self.norm.is_none() && self.scale.is_none() {
            return (weight, bias);
        }
        let mut folded = weight.into_owned();
        let mut biases = Vec::with_capacity(folded.len() / inner);
        for (i, row) in folded.chunks_exact_mut(inner).enumerate() {
            let factor = self.scale.as_ref().and_then(|scale| scale.get(i)).map_or(1.0, |&v| f64::from(v));
            let plain = bias.as_ref().map_or(0.0, |bias| f64::from(bias[i]));
            let shift = match &self.norm {
                Some(Norm { weight: by, bias: plus }) => {
                    let shift = plus.as_ref().map_or(0.0, |plus| dot(row, plus));
                    row.iter_mut()
                        .zip(&by[..])
                        .for_each(|(w, &by)| *w = (factor * f64::from(*w) * f64::from(by)) as f32);
                    shift
                }
                None => {
                    row.iter_mut().for_each(|w| *w = (factor * f64::from(*w)) as f32);
                    0.0
                }
            };
            biases.push((factor * (plain + shift)) as f32);
        }
        let biased = bias.is_some() || self.norm.as_ref().is_some_and(|norm| norm.bias.is_some());
        (folded.into(), biased.then(|| biases.into()))
    }
}

/// In sums side by side, which compilers turn into vector instructions.
fn dot(a: &[f32], b: &[f32]) -> f64 {
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    let mut sums = [0.0; 8];
    for (a, b) in a.iter().zip(b) {
        sums.iter_mut().zip(a).zip(b).for_each(|((sum, &a), &b)| *sum += f64::from(a) * f64::from(b));
    }
    let rest = a_rest.iter().zip(b_rest).map(|(&a, &b)| f64::from(a) * f64::from(b));
    sums.iter().sum::<f64>() + rest.sum::<f64>()
}
