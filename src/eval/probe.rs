//! How well classes can be told from features by planes between them: a linear probe.

use rayon::prelude::*;

use super::differences::best;
use super::minimise::minimise;
use super::rows::{check, whole};
use crate::cpu;
use crate::error::{Error, Result};
use crate::kernels::matmul::Params;

/// Rows at once; their sums are in f32, those of all in f64.
const BLOCK: usize = 1024;
/// The most steps of a fit, and where it ends before: no part of the gradient is above.
const STEPS: usize = 300;
const FLAT: f64 = 1e-5;

/// Multinomial logistic regression on features, fitted twice: on either half of the images, for the other half. So each
/// image's class comes from a probe that has not seen it. The halves are drawn by a fixed seed, every class alike.
///
/// Each channel is first brought to mean 0 and variance 1 over the half; the sum of all losses and half the squared
/// weights is made least, as scikit-learn's `LogisticRegression` does by default.
#[derive(Debug)]
pub struct Probe {
    /// Fitted on either half.
    fitted: [Linear; 2],
    /// The half of each image.
    halves: Vec<usize>,
    channels: usize,
}

impl Probe {
    /// Fits both. Features are `[images, channels]`; an image with NaN in them is left out.
    ///
    /// # Errors
    /// [`Error::Input`] where there are not as many labels as rows, or fewer than two images to fit.
    pub fn fit(features: &[f32], labels: &[usize], channels: usize) -> Result<Self> {
        check(features, labels, channels)?;
        let classes = labels.iter().max().map_or(0, |most| most + 1);
        let halves = halves(labels, classes);
        let fit = |half| {
            let rows = features.chunks_exact(channels).zip(labels).zip(&halves);
            let (rows, labels): (Vec<&[f32]>, Vec<usize>) = rows
                .filter(|((row, _), of)| **of == half && whole(row))
                .map(|((row, label), _)| (row, *label))
                .unzip();
            Linear::fit(&rows, &labels, [classes, channels])
        };
        Ok(Probe { fitted: [fit(0)?, fit(1)?], channels, halves })
    }

    /// The class of each of the same images by these features, those it was fitted on or others: none where they are not
    /// all numbers.
    ///
    /// # Errors
    /// [`Error::Input`] where they are not as many.
    pub fn best(&self, features: &[f32]) -> Result<Vec<Option<usize>>> {
        check(features, &self.halves, self.channels)?;
        let rows = features.par_chunks_exact(self.channels).zip(&self.halves);
        Ok(rows.map(|(row, half)| self.fitted[1 - half].best(row)).collect())
    }
}

/// A half for each image, so that of no class the halves' shares differ by more than one.
fn halves(labels: &[usize], classes: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..labels.len()).collect();
    order.sort_by_key(|&image| (scattered(image as u64), image));
    // Odd ones go to either half.
    let mut next: Vec<usize> = (0..classes).map(|class| class % 2).collect();
    let mut halves = vec![0; labels.len()];
    for image in order {
        let next = &mut next[labels[image]];
        halves[image] = *next;
        *next = 1 - *next;
    }
    halves
}

/// A number with nothing left of its order: the last steps of SplitMix64.
fn scattered(number: u64) -> u64 {
    let mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// One fit.
#[derive(Debug)]
struct Linear {
    /// `[classes, channels + 1]`, the bias last; it takes features as they are.
    weights: Vec<f64>,
}

impl Linear {
    fn fit(rows: &[&[f32]], labels: &[usize], [classes, channels]: [usize; 2]) -> Result<Self> {
        if rows.is_empty() {
            return Err(Error::Input("too few images with features to fit a probe to either half".into()));
        }
        let scales = Scales::of(rows, channels);
        let blocks: Vec<Block> = rows
            .chunks(BLOCK)
            .zip(labels.chunks(BLOCK))
            .map(|(rows, labels)| scales.block(rows, labels))
            .collect();
        let count = rows.len() as f64;
        let function = |weights: &[f64]| {
            let mut loss = 0.0;
            let mut gradient = vec![0.0; weights.len()];
            blocks.iter().for_each(|block| loss += block.loss(weights, [classes, channels], &mut gradient));
            for (row, to) in weights.chunks_exact(channels + 1).zip(gradient.chunks_exact_mut(channels + 1)) {
                for (weight, to) in row[..channels].iter().zip(to) {
                    loss += weight * weight / 2.0;
                    *to += weight;
                }
            }
            gradient.iter_mut().for_each(|part| *part /= count);
            (loss / count, gradient)
        };
        let mut weights = minimise(vec![0.0; classes * (channels + 1)], STEPS, FLAT, function);
        scales.undo(&mut weights);
        Ok(Linear { weights })
    }

    fn best(&self, row: &[f32]) -> Option<usize> {
        let logit = |weights: &[f64]| {
            let products = row.iter().zip(weights).map(|(&value, weight)| f64::from(value) * weight);
            (products.sum::<f64>() + weights[row.len()]) as f32
        };
        let logits: Vec<f32> = self.weights.chunks_exact(row.len() + 1).map(logit).collect();
        best(&logits).filter(|_| whole(row))
    }
}

/// What brings channels to mean 0 and variance 1.
struct Scales {
    means: Vec<f64>,
    /// 1 / deviation; 1 for a channel that never changes.
    scales: Vec<f64>,
}

impl Scales {
    fn of(rows: &[&[f32]], channels: usize) -> Self {
        let count = rows.len() as f64;
        let sum = |value: &dyn Fn(usize, f64) -> f64| -> Vec<f64> {
            let mut sums = vec![0.0; channels];
            for row in rows {
                sums.iter_mut().enumerate().for_each(|(i, sum)| *sum += value(i, f64::from(row[i])));
            }
            sums.iter().map(|sum| sum / count).collect()
        };
        let means = sum(&|_, value| value);
        let variances = sum(&|i, value| (value - means[i]).powi(2));
        let scale = |variance: f64| if variance > 0.0 { variance.sqrt().recip() } else { 1.0 };
        Scales { scales: variances.into_iter().map(scale).collect(), means }
    }

    /// Rows ready for the fit.
    fn block(&self, rows: &[&[f32]], labels: &[usize]) -> Block {
        let (count, channels) = (rows.len(), self.means.len());
        let mut block = Block {
            rows: Vec::with_capacity(count * channels),
            columns: vec![0.0; count * channels],
            labels: labels.to_vec(),
        };
        for (at, row) in rows.iter().enumerate() {
            for (i, &value) in row.iter().enumerate() {
                let value = ((f64::from(value) - self.means[i]) * self.scales[i]) as f32;
                block.rows.push(value);
                block.columns[i * count + at] = value;
            }
        }
        block
    }

    /// Makes weights for scaled features ones for features as they are.
    fn undo(&self, weights: &mut [f64]) {
        let channels = self.means.len();
        for row in weights.chunks_exact_mut(channels + 1) {
            for i in 0..channels {
                row[i] *= self.scales[i];
                row[channels] -= row[i] * self.means[i];
            }
        }
    }
}

/// Some of the images.
struct Block {
    /// `[images, channels]`
    rows: Vec<f32>,
    /// `[channels, images]`
    columns: Vec<f32>,
    labels: Vec<usize>,
}

impl Block {
    /// The sum of their losses, whose gradient is added.
    fn loss(&self, weights: &[f64], [classes, channels]: [usize; 2], gradient: &mut [f64]) -> f64 {
        let count = self.labels.len();
        let plane: Vec<f32> = weights
            .chunks_exact(channels + 1)
            .flat_map(|row| &row[..channels])
            .map(|&weight| weight as f32)
            .collect();
        let bias: Vec<f32> = weights.chunks_exact(channels + 1).map(|row| row[channels] as f32).collect();
        let mut logits = vec![0.0; count * classes];
        let product = Params::new(count as u32, channels as u32, classes as u32);
        cpu::matmul(&product, &self.rows, &plane, Some(&bias), None, None, None, &mut logits);

        // `[classes, images]`: each class's probability less 1 for the image's own.
        let mut apart = vec![0.0f32; classes * count];
        let mut loss = 0.0;
        for (at, (row, &label)) in logits.chunks_exact(classes).zip(&self.labels).enumerate() {
            let highest = f64::from(row.iter().copied().fold(f32::NEG_INFINITY, f32::max));
            let shares: Vec<f64> = row.iter().map(|&logit| (f64::from(logit) - highest).exp()).collect();
            let total: f64 = shares.iter().sum();
            loss += total.ln() + highest - f64::from(row[label]);
            for (class, share) in shares.iter().enumerate() {
                let part = share / total - f64::from(u8::from(class == label));
                apart[class * count + at] = part as f32;
                gradient[class * (channels + 1) + channels] += part;
            }
        }
        let mut products = vec![0.0; classes * channels];
        let product = Params::new(classes as u32, count as u32, channels as u32);
        cpu::matmul(&product, &apart, &self.columns, None, None, None, None, &mut products);
        for (to, row) in gradient.chunks_exact_mut(channels + 1).zip(products.chunks_exact(channels)) {
            to.iter_mut().zip(row).for_each(|(to, &part)| *to += f64::from(part));
        }
        loss
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers between -1 and 1 that look drawn.
    fn drawn(count: usize) -> Vec<f32> {
        (0..count).map(|i| (scattered(i as u64) >> 40) as f32 / (1 << 23) as f32 - 1.0).collect()
    }

    #[test]
    fn halves_are_even_in_every_class() {
        let labels: Vec<usize> = (0..101).map(|i| i * i % 7).collect();
        let halves = halves(&labels, 7);
        for class in 0..7 {
            let of = |half| labels.iter().zip(&halves).filter(|of| *of == (&class, &half)).count();
            assert!(of(0).abs_diff(of(1)) <= 1, "class {class}");
        }
        assert!(halves.iter().sum::<usize>().abs_diff(50) <= 4);
    }

    #[test]
    fn planes_are_those_of_scikit_learn() {
        // decision_function of LogisticRegression(tol=1e-12) after StandardScaler, scikit-learn 1.9.1, at the first row
        // + 1.5.
        let wanted = [0.14477448, 0.57710559, -0.72188007];
        let x: [f32; 18] =
            [0.0, 1.0, 10.0, 1.0, 2.0, 14.0, 2.0, 1.0, 11.0, 3.0, 0.0, 19.0, 4.0, 2.0, 15.0, 5.0, 3.0, 12.0];
        let rows: Vec<&[f32]> = x.chunks(3).collect();
        let linear = Linear::fit(&rows, &[0, 1, 0, 2, 1, 2], [3, 3]).unwrap();
        for (row, wanted) in linear.weights.chunks(4).zip(wanted) {
            let logit = row[3] + (0..3).map(|i| row[i] * (1.5 + f64::from(x[i]))).sum::<f64>();
            // A fit ends where the gradient is below 1e-5.
            assert!((logit - wanted).abs() < 1e-4, "{logit} instead of {wanted}");
        }
    }

    #[test]
    fn every_image_is_judged_by_the_half_that_has_not_seen_it() {
        // Noise in more channels than images: what is seen is learnt by heart, what is not is a guess.
        let (images, channels) = (120, 200);
        let features = drawn(images * channels);
        let labels: Vec<usize> = (0..images).map(|image| image % 4).collect();
        let probe = Probe::fit(&features, &labels, channels).unwrap();
        let right = |best: Vec<Option<usize>>| {
            best.iter().zip(&labels).filter(|(best, label)| **best == Some(**label)).count()
        };
        let unseen = right(probe.best(&features).unwrap());
        assert!(unseen < 60, "{unseen} of 120 by guessing");
        let swapped = Probe { halves: probe.halves.iter().map(|half| 1 - half).collect(), ..probe };
        assert_eq!(right(swapped.best(&features).unwrap()), images);
    }

    #[test]
    fn classes_with_a_plane_between_them_are_told_apart() {
        let (images, channels) = (300, 12);
        let mut features = drawn(images * channels);
        let labels: Vec<usize> = (0..images).map(|image| image % 3).collect();
        for (row, label) in features.chunks_mut(channels).zip(&labels) {
            // The scale of a channel counts for nothing.
            row[*label] += 2.5;
            row[0] *= 1000.0;
        }
        features[5] = f32::NAN;
        let best = Probe::fit(&features, &labels, channels).unwrap().best(&features).unwrap();
        assert_eq!(best[0], None);
        let wrong = best.iter().zip(&labels).skip(1).filter(|(best, label)| **best != Some(**label)).count();
        assert!(wrong < 10, "{wrong} wrong");
    }

    #[test]
    fn what_cannot_be_fitted_is_refused() {
        assert!(Probe::fit(&[1.0, 2.0], &[0], 2).is_err(), "one half is empty");
        assert!(Probe::fit(&[1.0, 2.0], &[0, 1], 2).is_err());
        assert!(Probe::fit(&[f32::NAN; 4], &[0, 0], 2).is_err());
    }
}
