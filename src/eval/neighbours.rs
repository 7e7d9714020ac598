//! The class of an image by those of the images whose features are nearest.

use rayon::prelude::*;

use super::rows::{check, whole};
use crate::cpu;
use crate::error::Result;
use crate::kernels::matmul::Params;

/// Neighbours that vote, and the temperature by which nearer ones count more: those of DINO.
const NEIGHBOURS: usize = 20;
const TEMPERATURE: f64 = 0.07;

/// Images at once: so many that packing all the others' features for their product, once a block, weighs little.
const BLOCK: usize = 1024;

/// For each image the class that its 20 nearest others by the cosine of their features vote for, each with
/// exp(cosine / 0.07), as in DINO's evaluation; every image is left out of its own neighbours. Of equal classes the first.
/// An image whose features are zero or NaN has none, and is no neighbour. Features are `[images, channels]`.
///
/// Time grows with the square of the images: 50,000 of 768 channels are 2e12 multiplications.
///
/// # Errors
/// [`Error::Input`](crate::Error::Input) where there are not as many labels as rows.
pub fn neighbours(features: &[f32], labels: &[usize], channels: usize) -> Result<Vec<Option<usize>>> {
    check(features, labels, channels)?;
    let normal = normalised(features, channels);
    let classes = labels.iter().max().map_or(0, |most| most + 1);
    let mut all = Vec::with_capacity(labels.len());
    for (block, rows) in normal.chunks(BLOCK * channels).enumerate() {
        let count = rows.len() / channels;
        let params = Params::new(count as u32, channels as u32, labels.len() as u32);
        let mut cosines = vec![0.0; count * labels.len()];
        cpu::matmul(&params, rows, &normal, None, None, None, None, &mut cosines);
        let votes = cosines
            .par_chunks_exact(labels.len())
            .enumerate()
            .map(|(row, cosines)| vote(cosines, block * BLOCK + row, labels, classes));
        all.par_extend(votes);
    }
    Ok(all)
}

/// Rows of length 1; those that have none are NaN.
fn normalised(features: &[f32], channels: usize) -> Vec<f32> {
    let mut normal = features.to_vec();
    for row in normal.chunks_exact_mut(channels) {
        let length = row.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>().sqrt();
        row.iter_mut().for_each(|value| *value = (f64::from(*value) / length) as f32);
        if !whole(row) {
            row.fill(f32::NAN);
        }
    }
    normal
}

/// What the nearest of an image vote for.
fn vote(cosines: &[f32], own: usize, labels: &[usize], classes: usize) -> Option<usize> {
    let others = cosines.iter().enumerate().filter(|&(at, cosine)| at != own && !cosine.is_nan());
    let mut order: Vec<(usize, f32)> = others.map(|(at, &cosine)| (at, cosine)).collect();
    let nearer = |a: &(usize, f32), b: &(usize, f32)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
    if order.len() > NEIGHBOURS {
        order.select_nth_unstable_by(NEIGHBOURS - 1, nearer);
        order.truncate(NEIGHBOURS);
    }
    // Sums of floats depend on their order.
    order.sort_unstable_by(nearer);
    let mut votes = vec![0.0; classes];
    for (at, cosine) in order {
        votes[labels[at]] += (f64::from(cosine) / TEMPERATURE).exp();
    }
    let most = votes.iter().copied().fold(0.0, f64::max);
    votes.iter().position(|&votes| votes == most && votes > 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Directions in the plane, in degrees.
    fn directions(degrees: &[f32]) -> Vec<f32> {
        // Of different lengths, which count for nothing.
        let row = |(i, degrees): (usize, &f32)| {
            let (sine, cosine) = degrees.to_radians().sin_cos();
            let length = (i + 1) as f32;
            [length * cosine, length * sine]
        };
        degrees.iter().enumerate().flat_map(row).collect()
    }

    #[test]
    fn nearer_ones_outvote_more() {
        // One of class 1 beside the first, three of class 0 a right angle away: exp(1 / 0.07) against 3 exp(0).
        let features = directions(&[0.0, 1.0, 90.0, 91.0, 92.0]);
        let classes = neighbours(&features, &[0, 1, 0, 0, 0], 2).unwrap();
        assert_eq!(classes, [Some(1), Some(0), Some(0), Some(0), Some(0)]);
    }

    #[test]
    fn only_twenty_vote_and_not_the_image_itself() {
        // 20 neighbours of class 0 at the same place; 40 of class 1 just beyond would outvote them.
        let mut degrees = vec![0.0];
        degrees.extend([0.5; 20]);
        degrees.extend([1.0; 40]);
        let labels: Vec<usize> = [vec![2], vec![0; 20], vec![1; 40]].concat();
        let classes = neighbours(&directions(&degrees), &labels, 2).unwrap();
        assert_eq!(classes[0], Some(0), "its own class is 2");
        assert_eq!(classes[60], Some(1));
    }

    #[test]
    fn no_direction_has_no_neighbours_and_is_none() {
        let mut features = directions(&[0.0, 1.0, 2.0, 3.0]);
        features[2..4].fill(0.0);
        features[4] = f32::NAN;
        let classes = neighbours(&features, &[0, 1, 1, 0], 2).unwrap();
        assert_eq!(classes, [Some(0), None, None, Some(0)]);
        assert_eq!(neighbours(&features[..2], &[0], 2).unwrap(), [None], "nobody else");
        assert!(neighbours(&features, &[0], 2).is_err());
        assert!(neighbours(&[], &[], 2).unwrap().is_empty());
    }

    #[test]
    fn blocks_change_nothing() {
        // Once around: no direction has two classes.
        let count = 3 * BLOCK + 5;
        let degrees: Vec<f32> = (0..count).map(|i| i as f32 * (360.0 / count as f32)).collect();
        let labels: Vec<usize> = degrees.iter().map(|degrees| (degrees / 90.0) as usize).collect();
        let classes = neighbours(&directions(&degrees), &labels, 2).unwrap();
        let right = classes.iter().zip(&labels).filter(|(class, label)| **class == Some(**label)).count();
        assert!(right > labels.len() - 10, "{right} of {}", labels.len());
    }
}
