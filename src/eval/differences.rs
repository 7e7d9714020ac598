//! How far two results for the same images are apart, image by image, in f64. Of an image with NaN in either result the
//! difference is NaN.

use crate::vit::Scores;

/// 1 - cosine of the two rows of each image: 0 where they point the same way, 2 where they point apart. NaN for a row of
/// zeros, which points nowhere. Rows are `[images, channels]`.
///
/// # Panics
/// As all differences: where the slices differ in length or are no whole rows.
pub fn features(reference: &[f32], other: &[f32], channels: usize) -> Vec<f64> {
    pairs(reference, other, channels).map(|(a, b)| apart(a, b)).collect()
}

/// The relative squared distance of each image's maps, `sum |a - b|² / sum |a|²` over all patches and channels: 0 where
/// they are the same, about 1 where the other has nothing of the reference. NaN where the reference is zero
/// everywhere. Maps are `[images, patches, channels]`, as [`Output::Dense`](crate::vit::Output::Dense).
///
/// # Panics
/// As [`features`].
pub fn dense(reference: &[f32], other: &[f32], [patches, channels]: [usize; 2]) -> Vec<f64> {
    let distance = |(a, b): (&[f32], &[f32])| {
        let square = |v: f64| v * v;
        let both = a.iter().zip(b).map(|(&a, &b)| (f64::from(a), f64::from(b)));
        let (apart, whole) =
            both.fold((0.0, 0.0), |(apart, whole), (a, b)| (apart + square(a - b), whole + square(a)));
        apart / whole
    };
    pairs(reference, other, patches * channels).map(distance).collect()
}

/// The mean over an image's patches of 1 - cosine. Maps and NaN as for [`dense`] and [`features`].
///
/// # Panics
/// As [`features`].
pub fn dense_cosine(reference: &[f32], other: &[f32], [patches, channels]: [usize; 2]) -> Vec<f64> {
    let mean = |(a, b)| {
        let all = pairs(a, b, channels).map(|(a, b)| apart(a, b)).sum::<f64>();
        all / patches as f64
    };
    pairs(reference, other, patches * channels).map(mean).collect()
}

/// What is lost by taking the other's probabilities for the reference's, KL(reference || other) in nats: of softmax
/// over all classes, or with sigmoid scores the sum of each class by itself. Without scores there are no probabilities and
/// all are NaN: [`features`] compares embeddings. Rows are `[images, classes]`.
///
/// # Panics
/// As [`features`].
pub fn logits(reference: &[f32], other: &[f32], classes: usize, scores: Scores) -> Vec<f64> {
    let divergence = |(a, b): (&[f32], &[f32])| match scores {
        Scores::Softmax => softmax_divergence(a, b),
        Scores::Sigmoid => a.iter().zip(b).map(|(&a, &b)| sigmoid_divergence(a.into(), b.into())).sum(),
        Scores::None => f64::NAN,
    };
    pairs(reference, other, classes).map(divergence).collect()
}

/// Whether the class with the highest logit is the same, of equal ones the first, as in
/// [`Outputs::top`](crate::vit::Outputs::top). An image with NaN in either result agrees with nothing. Rows are `[images,
/// classes]`.
///
/// # Panics
/// As [`features`].
pub fn agreement(reference: &[f32], other: &[f32], classes: usize) -> Vec<bool> {
    let same = |(a, b)| matches!((best(a), best(b)), (Some(a), Some(b)) if a == b);
    pairs(reference, other, classes).map(same).collect()
}

/// The place of the highest value, of equal ones the first; none with NaN among them.
pub(super) fn best(row: &[f32]) -> Option<usize> {
    let highest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let known = row.iter().all(|value| !value.is_nan());
    row.iter().position(|&value| value == highest).filter(|_| known)
}

/// The rows of each image.
fn pairs<'a>(a: &'a [f32], b: &'a [f32], row: usize) -> impl Iterator<Item = (&'a [f32], &'a [f32])> {
    assert_eq!(a.len(), b.len(), "results of different sizes");
    assert!(row > 0 && a.len().is_multiple_of(row), "{} values are no rows of {row}", a.len());
    a.chunks_exact(row).zip(b.chunks_exact(row))
}

/// 1 - cosine.
fn apart(a: &[f32], b: &[f32]) -> f64 {
    let (mut product, mut first, mut second) = (0.0, 0.0, 0.0);
    for (&a, &b) in a.iter().zip(b) {
        let (a, b) = (f64::from(a), f64::from(b));
        product += a * b;
        first += a * a;
        second += b * b;
    }
    // One root of a product is exact for equal rows, two are not. Clamping keeps NaN.
    (1.0 - product / (first * second).sqrt()).clamp(0.0, 2.0)
}

fn softmax_divergence(a: &[f32], b: &[f32]) -> f64 {
    let (from, to) = (log_sum(a), log_sum(b));
    let terms = a.iter().zip(b).map(|(&a, &b)| term(f64::from(a) - from, f64::from(b) - to));
    not_negative(terms.sum())
}

/// p ln(p / q) of logarithms. A probability of 0 costs nothing, whatever the other says.
fn term(p: f64, q: f64) -> f64 {
    if p == f64::NEG_INFINITY && !q.is_nan() { 0.0 } else { p.exp() * (p - q) }
}

/// The logarithm of the sum of exponentials.
fn log_sum(row: &[f32]) -> f64 {
    let highest = f64::from(row.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    let sum: f64 = row.iter().map(|&value| (f64::from(value) - highest).exp()).sum();
    highest + sum.ln()
}

/// KL of one class that applies or not.
fn sigmoid_divergence(a: f64, b: f64) -> f64 {
    // ln sigmoid(x) = -ln(1 + e^-x). `min` would lose NaN, which the exponential keeps.
    let log = |x: f64| x.min(0.0) - (-x.abs()).exp().ln_1p();
    not_negative(term(log(a), log(b)) + term(log(-a), log(-b)))
}

/// A divergence is none below zero; rounding gets there. NaN stays.
fn not_negative(value: f64) -> f64 {
    if value < 0.0 { 0.0 } else { value }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rounding of a few operations in f64 on values near 1.
    const NEAR: f64 = 1e-14;

    fn near(got: &[f64], wanted: &[f64]) {
        assert_eq!(got.len(), wanted.len());
        for (got, wanted) in got.iter().zip(wanted) {
            assert!((got - wanted).abs() <= NEAR * wanted.abs().max(1.0), "{got} instead of {wanted}");
        }
    }

    #[test]
    fn features_are_apart_by_their_angle() {
        let reference = [3.0, 4.0, 1.0, 0.0, 0.5, 0.25, 0.0, 0.0];
        let other = [6.0, 8.0, 0.0, 2.0, -2.0, -1.0, 1.0, 0.0];
        let apart = features(&reference, &other, 2);
        near(&apart[..3], &[0.0, 1.0, 2.0]);
        assert_eq!(apart[0], 0.0);
        assert!(apart[3].is_nan(), "a row of zeros points nowhere");
    }

    #[test]
    fn maps_are_apart_by_squares_and_by_angles() {
        // Two images of two patches of two channels.
        let reference = [1.0, 0.0, 0.0, 1.0, 2.0, 0.0, 2.0, 0.0];
        let other = [1.0, 0.0, 1.0, 0.0, 2.0, 0.0, 2.0, 1.0];
        near(&dense(&reference, &other, [2, 2]), &[1.0, 1.0 / 8.0]);
        near(&dense_cosine(&reference, &other, [2, 2]), &[0.5, (1.0 - 2.0 / 5f64.sqrt()) / 2.0]);
    }

    #[test]
    fn divergence_is_that_of_the_probabilities() {
        // 3 to 1 against 1 to 1, and the same shifted, which changes nothing.
        let [three, four] = [3f32.ln(), 4.0];
        let (reference, other) = ([three, 0.0, four + three, four], [0.0, 0.0, -1000.0, -1000.0]);
        // The logits are in f32, and so is ln 3.
        let odds = f64::from(three).exp();
        let [p, q] = [odds / (1.0 + odds), 1.0 / (1.0 + odds)];
        let wanted = p * (2.0 * p).ln() + q * (2.0 * q).ln();
        near(&logits(&reference[..2], &other[..2], 2, Scores::Softmax), &[wanted]);
        assert!((logits(&reference, &other, 2, Scores::Softmax)[1] - wanted).abs() < 1e-6);
        assert_eq!(logits(&reference, &reference, 2, Scores::Softmax), [0.0, 0.0]);
        // Each class by itself: the second is 1 to 1 in both.
        near(&logits(&reference[..2], &other[..2], 2, Scores::Sigmoid), &[wanted]);
        assert!(logits(&reference, &other, 2, Scores::None)[0].is_nan());
        // A class that is ruled out costs nothing.
        let out = f32::NEG_INFINITY;
        near(&logits(&[0.0, out], &[0.0, 0.0], 2, Scores::Softmax), &[2f64.ln()]);
        assert_eq!(logits(&[0.0, 0.0], &[0.0, out], 2, Scores::Softmax), [f64::INFINITY]);
    }

    #[test]
    fn agreement_takes_the_first_of_equal_ones() {
        let (reference, other) = ([1.0, 1.0, 0.0, 2.0, 0.0, 0.0], [5.0, 1.0, 5.0, 0.0, 0.0, 1.0]);
        assert_eq!(agreement(&reference, &other, 3), [true, false]);
    }

    #[test]
    fn nan_gives_nan_and_leaves_other_images_alone() {
        let (reference, other) = ([1.0, f32::NAN, 1.0, 2.0], [1.0, 2.0, 1.0, 2.0]);
        for (a, b) in [(&reference, &other), (&other, &reference)] {
            for all in [
                features(a, b, 2),
                dense(a, b, [1, 2]),
                dense_cosine(a, b, [1, 2]),
                logits(a, b, 2, Scores::Softmax),
                logits(a, b, 2, Scores::Sigmoid),
            ] {
                assert!(all[0].is_nan() && all[1] == 0.0, "{all:?}");
            }
            assert_eq!(agreement(a, b, 2), [false, true]);
        }
    }
}
