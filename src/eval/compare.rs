//! One way of running a network against another, image by image, and what is known of all images so far.

use super::differences::{best, dense, dense_cosine, features, logits};
use super::interval::{Mean, Tally};
use crate::error::{Error, Result};
use crate::vit::{Config, Output, Outputs, Scores};

/// One image's results against those of the reference. What the network or the results do not have is none; what NaN in
/// the results makes unknown is NaN.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Compared {
    /// The class with the highest logit, of equal ones the first; none also where a logit is NaN.
    pub best: Option<usize>,
    /// How many classes are ahead of the image's own: 0 where it is right, all of them where a logit is NaN. None without
    /// a label.
    pub ahead: Option<usize>,
    /// See [`logits`].
    pub divergence: Option<f64>,
    /// See [`features`].
    pub features: Option<f64>,
    /// See [`dense`].
    pub dense: Option<f64>,
    /// See [`dense_cosine`].
    pub dense_cosine: Option<f64>,
}

/// Compares the results of a batch that both ways have, logits only where the network has classes. `labels` are the images'
/// classes as far as they are known, in the numbers of the network; compared with itself, the reference has differences of
/// 0.
///
/// # Errors
/// [`Error::Input`] where the batches or the labels are not the same images, or a label is no class of the network.
pub fn compare(
    config: &Config,
    reference: &Outputs,
    other: &Outputs,
    labels: &[Option<usize>],
) -> Result<Vec<Compared>> {
    let batch = reference.batch;
    if other.batch != batch || labels.len() != batch {
        let (other, labels) = (other.batch, labels.len());
        return Err(Error::Input(format!("results of {batch} and {other} images with {labels} labels")));
    }
    let classes = config.outputs() as usize;
    if let Some(label) = labels.iter().flatten().find(|&&label| label >= classes) {
        return Err(Error::Input(format!("class {label}, and the network has {classes}")));
    }
    let mut all = vec![Compared::default(); batch];
    let both = |output: Output| !reference.get(output).is_empty() && !other.get(output).is_empty();
    if both(Output::Logits) && config.scores != Scores::None {
        let apart = logits(&reference.logits, &other.logits, classes, config.scores);
        for (image, (one, apart)) in all.iter_mut().zip(apart).enumerate() {
            let row = other.logits_of(image);
            one.best = best(row);
            one.ahead = labels[image].map(|label| ahead(row, label));
            one.divergence = Some(apart);
        }
    }
    let channels = config.embed_dim as usize;
    let fill = |to: fn(&mut Compared) -> &mut Option<f64>, values: Vec<f64>, all: &mut [Compared]| {
        all.iter_mut().zip(values).for_each(|(one, value)| *to(one) = Some(value));
    };
    if both(Output::Features) {
        fill(|one| &mut one.features, features(&reference.features, &other.features, channels), &mut all);
    }
    if both(Output::Dense) {
        if config.packed.is_some() {
            let why =
                "what is behind the patches of a picture of any shape is padding; features can be compared";
            return Err(Error::Unsupported { field: "want".into(), value: "dense".into(), why: why.into() });
        }
        let (a, b) = (&reference.dense, &other.dense);
        let shape = [a.len() / channels / batch.max(1), channels];
        fill(|one| &mut one.dense, dense(a, b, shape), &mut all);
        fill(|one| &mut one.dense_cosine, dense_cosine(a, b, shape), &mut all);
    }
    Ok(all)
}

/// Classes that come before one in the order of [`Outputs::top`].
fn ahead(row: &[f32], label: usize) -> usize {
    if row.iter().any(|value| value.is_nan()) {
        return row.len();
    }
    let own = row[label];
    row.iter().enumerate().filter(|&(class, &value)| value > own || value == own && class < label).count()
}

/// The classes that a result of five counts.
const FIVE: usize = 5;

/// What is known of all images so far, in memory that does not grow with them.
///
/// ```
/// # use tome_wgpu::{Result, Session, eval, vit::{Options, Want}};
/// # fn accuracy(session: &Session, batches: Vec<(Vec<u8>, Vec<Option<usize>>)>) -> Result<()> {
/// let (plain, merging) = (Options::default(), Options::with_schedule("13".parse()?));
/// let mut summary = eval::Summary::default();
/// for (images, labels) in &batches {
///     let [plain, merging] = [&plain, &merging].map(|options| session.run(images, options, Want::LOGITS));
///     let (plain, merging) = (plain?, merging?);
///     let reference = eval::compare(session.config(), &plain, &plain, labels)?;
///     for (reference, other) in reference.iter().zip(eval::compare(session.config(), &plain, &merging, labels)?) {
///         summary.push(reference, &other);
///     }
/// }
/// println!("{:?}, changed by {:?}", summary.top1.share(), summary.top1.change());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Summary {
    /// Labelled images whose own class is the first.
    pub top1: Tally,
    /// Labelled images whose own class is among the first five.
    pub top5: Tally,
    /// Images whose first class is the reference's.
    pub agreement: Tally,
    /// The mean of [`Compared::divergence`].
    pub divergence: Mean,
    /// The mean of [`Compared::features`].
    pub features: Mean,
    /// The mean of [`Compared::dense`].
    pub dense: Mean,
    /// The mean of [`Compared::dense_cosine`].
    pub dense_cosine: Mean,
}

impl Summary {
    /// Adds an image: what the reference makes of it, and what the other way does.
    pub fn push(&mut self, reference: &Compared, other: &Compared) {
        if let (Some(plain), Some(own)) = (reference.ahead, other.ahead) {
            self.top1.push(plain == 0, own == 0);
            self.top5.push(plain < FIVE, own < FIVE);
        }
        if other.divergence.is_some() {
            self.agreement.push(true, other.best.is_some() && other.best == reference.best);
        }
        for (mean, value) in [
            (&mut self.divergence, other.divergence),
            (&mut self.features, other.features),
            (&mut self.dense, other.dense),
            (&mut self.dense_cosine, other.dense_cosine),
        ] {
            value.into_iter().for_each(|value| mean.push(value));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outputs(logits: &[f32], features: &[f32]) -> Outputs {
        let mut outputs = Outputs { batch: 2, logits: logits.to_vec(), ..Outputs::default() };
        outputs.features = features.to_vec();
        outputs
    }

    fn config() -> Config {
        let mut config = Config::preset("vit_tiny_patch16_224").unwrap();
        (config.num_classes, config.embed_dim) = (3, 2);
        config
    }

    #[test]
    fn a_summary_counts_what_changes() {
        let plain = outputs(&[2.0, 1.0, 0.0, 0.0, 1.0, 1.0], &[1.0, 0.0, 0.0, 1.0]);
        let other = outputs(&[0.0, 1.0, 0.5, 0.0, 2.0, 1.0], &[1.0, 0.0, 1.0, 0.0]);
        let labels = [Some(0), Some(2)];
        let reference = compare(&config(), &plain, &plain, &labels).unwrap();
        let merged = compare(&config(), &plain, &other, &labels).unwrap();
        assert_eq!(reference.iter().map(|one| one.ahead).collect::<Vec<_>>(), [Some(0), Some(1)]);
        assert_eq!(merged.iter().map(|one| one.ahead).collect::<Vec<_>>(), [Some(2), Some(1)]);
        let mut summary = Summary::default();
        reference.iter().zip(&merged).for_each(|(plain, other)| summary.push(plain, other));
        assert_eq!(
            (summary.top1.of, summary.top1.right, summary.top1.gained, summary.top1.lost),
            (2, 0, 0, 1)
        );
        assert_eq!(summary.top5.right, 2);
        assert_eq!((summary.agreement.right, summary.agreement.of), (1, 2));
        assert_eq!(summary.features.interval().unwrap().estimate, 0.5);
        assert!(summary.dense.interval().is_none());
        let itself = compare(&config(), &plain, &plain, &[None, None]).unwrap();
        assert_eq!((itself[0].divergence, itself[0].ahead), (Some(0.0), None));
    }

    #[test]
    fn nan_is_wrong_and_agrees_with_nothing() {
        let plain = outputs(&[f32::NAN, 1.0, 0.0, 0.0, 1.0, 1.0], &[]);
        let reference = compare(&config(), &plain, &plain, &[Some(0), None]).unwrap();
        assert_eq!((reference[0].best, reference[0].ahead), (None, Some(3)));
        let mut summary = Summary::default();
        summary.push(&reference[0], &reference[0]);
        assert_eq!((summary.top1.right, summary.agreement.right, summary.agreement.of), (0, 0, 1));
        assert!(summary.divergence.interval().unwrap().estimate.is_nan());
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let plain = outputs(&[0.0; 6], &[]);
        for labels in [&[Some(0)][..], &[Some(3), None]] {
            assert!(matches!(compare(&config(), &plain, &plain, labels), Err(Error::Input(_))));
        }
    }
}
