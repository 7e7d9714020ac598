//! The results of a forward pass: which there are, and their values.

use std::fmt;

use super::config::{Config, Scores};
use crate::error::{Error, Result};

/// A result of a forward pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Output {
    /// `[batch, classes]`
    Logits,
    /// `[batch, channels]`: pooled, as it enters the head; of two pooled rows the first, the class token's.
    Features,
    /// `[batch, merged, channels]`: after the last block, before the final norm.
    Tokens,
    /// `[batch, merged]`: how many original tokens each stands for; 0 for the padding of a
    /// [threshold](super::Options::threshold), whose tokens are numbers that mean nothing.
    Size,
    /// `[batch, original tokens]`, u32: for each original token the final token that holds it.
    Source,
    /// `[batch, rows, columns, channels]` over the grid of patches, with several frames `[batch, times, rows, columns,
    /// channels]`: for each patch the one of the tokens that holds it;
    /// where nothing merges, its own. The tokens before the patches are left out. Of pictures of any shape `[batch, patches,
    /// channels]`, as many patches as a picture has at most: its own come first, row by row, and what is behind them means
    /// nothing. Computed only where it is wanted.
    Dense,
    /// `[batch, blocks, original tokens]`, u32: for each original token the token that holds it after each block.
    SourcePerBlock,
}

/// A type of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ValueKind {
    /// 32-bit floats.
    F32,
    /// 32-bit indices.
    U32,
}

impl Output {
    /// All of them, in the order in which they are read back.
    pub const ALL: &[Output] = &[
        Output::Logits,
        Output::Features,
        Output::Tokens,
        Output::Size,
        Output::Source,
        Output::Dense,
        Output::SourcePerBlock,
    ];

    /// Its name, in snake case: that of its field in [`Outputs`].
    pub fn name(self) -> &'static str {
        match self {
            Output::Logits => "logits",
            Output::Features => "features",
            Output::Tokens => "tokens",
            Output::Size => "size",
            Output::Source => "source",
            Output::Dense => "dense",
            Output::SourcePerBlock => "source_per_block",
        }
    }

    /// The type of its values.
    pub fn kind(self) -> ValueKind {
        match self {
            Output::Source | Output::SourcePerBlock => ValueKind::U32,
            _ => ValueKind::F32,
        }
    }

    /// Its shape for one image of which merging leaves `merged` tokens; before it stands the batch.
    pub fn shape(self, config: &Config, merged: u32) -> Vec<usize> {
        let Config { embed_dim: channels, depth, .. } = *config;
        let (tokens, [rows, columns]) = (config.tokens(), config.grid());
        let shape: &[u32] = match self {
            Output::Logits => &[config.outputs()],
            Output::Features => &[channels],
            Output::Tokens => &[merged, channels],
            Output::Size => &[merged],
            Output::Source => &[tokens],
            Output::Dense if config.packed.is_some() => &[config.patches(), channels],
            Output::Dense => match config.patch_times() {
                0 | 1 => &[rows, columns, channels],
                times => &[times, rows, columns, channels],
            },
            Output::SourcePerBlock => &[depth, tokens],
        };
        shape.iter().map(|&side| side as usize).collect()
    }

    /// Its values for one image of which merging leaves `merged` tokens.
    pub fn values(self, config: &Config, merged: u32) -> usize {
        self.shape(config, merged).iter().product()
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Results for a batch, all row-major; those that were not wanted are empty.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Outputs {
    /// Images.
    pub batch: usize,
    /// Tokens an image after the last block.
    pub merged: usize,
    /// [`Output::Logits`]
    pub logits: Vec<f32>,
    /// [`Output::Features`]
    pub features: Vec<f32>,
    /// [`Output::Tokens`]
    pub tokens: Vec<f32>,
    /// [`Output::Size`]
    pub size: Vec<f32>,
    /// [`Output::Source`]
    pub source: Vec<u32>,
    /// [`Output::Dense`]
    pub dense: Vec<f32>,
    /// [`Output::SourcePerBlock`]
    pub source_per_block: Vec<u32>,
}

/// The values of one result or intermediate, row-major.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Values<'a> {
    /// Floats.
    F32(&'a [f32]),
    /// Indices.
    U32(&'a [u32]),
}

/// The values of one result, to be changed.
#[derive(Debug)]
pub enum ValuesMut<'a> {
    /// Floats.
    F32(&'a mut Vec<f32>),
    /// Indices.
    U32(&'a mut Vec<u32>),
}

impl Outputs {
    /// The values of a result.
    pub fn get(&self, output: Output) -> Values<'_> {
        match output {
            Output::Logits => Values::F32(&self.logits),
            Output::Features => Values::F32(&self.features),
            Output::Tokens => Values::F32(&self.tokens),
            Output::Size => Values::F32(&self.size),
            Output::Source => Values::U32(&self.source),
            Output::Dense => Values::F32(&self.dense),
            Output::SourcePerBlock => Values::U32(&self.source_per_block),
        }
    }

    /// The values of a result, to be changed.
    pub fn get_mut(&mut self, output: Output) -> ValuesMut<'_> {
        match output {
            Output::Logits => ValuesMut::F32(&mut self.logits),
            Output::Features => ValuesMut::F32(&mut self.features),
            Output::Tokens => ValuesMut::F32(&mut self.tokens),
            Output::Size => ValuesMut::F32(&mut self.size),
            Output::Source => ValuesMut::U32(&mut self.source),
            Output::Dense => ValuesMut::F32(&mut self.dense),
            Output::SourcePerBlock => ValuesMut::U32(&mut self.source_per_block),
        }
    }

    /// Appends another batch of the same network and schedule.
    pub fn append(&mut self, other: Outputs) {
        if self.batch == 0 {
            *self = other;
            return;
        }
        self.batch += other.batch;
        self.merged = other.merged;
        for &output in Output::ALL {
            self.get_mut(output).extend(other.get(output));
        }
    }

    /// The tokens of one image that merging has left: those that have a size, which must have been wanted. The others are
    /// the padding of a [threshold](super::Options::threshold).
    pub fn tokens_of(&self, image: usize) -> usize {
        self.size[image * self.merged..][..self.merged].iter().filter(|&&size| size > 0.0).count()
    }

    /// The best classes of one image as a network's config scores them, see [`top`](Self::top) and
    /// [`top_apart`](Self::top_apart).
    ///
    /// # Errors
    /// [`Error::Input`] where there are no classes, or one of them has NaN.
    pub fn classes_of(&self, image: usize, scores: Scores, count: usize) -> Result<Vec<(usize, f32)>> {
        if let Some(class) = self.logits_of(image).iter().position(|logit| logit.is_nan()) {
            return Err(Error::Input(format!("image {image} gives NaN for class {class}")));
        }
        match scores {
            Scores::None => Err(Error::Input("the network has no classes; its features can be had".into())),
            Scores::Sigmoid => Ok(self.top_apart(image, count)),
            Scores::Softmax => Ok(self.top(image, count)),
        }
    }

    /// The logits of one image.
    pub fn logits_of(&self, image: usize) -> &[f32] {
        let classes = self.logits.len() / self.batch.max(1);
        &self.logits[image * classes..(image + 1) * classes]
    }

    /// The classes with the highest logits and what each has by itself, sigmoid, best first: for classes that do not exclude
    /// each other.
    pub fn top_apart(&self, image: usize, count: usize) -> Vec<(usize, f32)> {
        let logits = self.logits_of(image);
        let share = |class: usize| (1.0 / (1.0 + f64::from(-logits[class]).exp())) as f32;
        self.top(image, count).into_iter().map(|(class, _)| (class, share(class))).collect()
    }

    /// The classes with the highest logits and their probabilities (softmax over all classes), best first.
    pub fn top(&self, image: usize, count: usize) -> Vec<(usize, f32)> {
        let logits = self.logits_of(image);
        let highest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let total: f64 = logits.iter().map(|&v| f64::from(v - highest).exp()).sum();
        let mut order: Vec<usize> = (0..logits.len()).collect();
        order.sort_by(|&a, &b| logits[b].total_cmp(&logits[a]).then(a.cmp(&b)));
        order.truncate(count);
        order.into_iter().map(|i| (i, (f64::from(logits[i] - highest).exp() / total) as f32)).collect()
    }
}

impl Values<'_> {
    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Values::F32(values) => values.len(),
            Values::U32(values) => values.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl ValuesMut<'_> {
    /// Appends values of the same type.
    fn extend(self, more: Values<'_>) {
        match (self, more) {
            (ValuesMut::F32(all), Values::F32(more)) => all.extend_from_slice(more),
            (ValuesMut::U32(all), Values::U32(more)) => all.extend_from_slice(more),
            // One output has one type.
            _ => {}
        }
    }

    /// Appends values as a device wrote them, 4 bytes each.
    #[cfg(feature = "run")]
    pub(crate) fn extend_from_bytes(self, bytes: &[u8]) {
        match self {
            ValuesMut::F32(all) => fill(all, bytes),
            ValuesMut::U32(all) => fill(all, bytes),
        }
    }

    /// Leaves none.
    #[cfg(feature = "blocking")]
    pub(crate) fn clear(self) {
        match self {
            ValuesMut::F32(all) => *all = Vec::new(),
            ValuesMut::U32(all) => *all = Vec::new(),
        }
    }
}

/// Appends what lies in bytes, which need not be aligned.
#[cfg(feature = "run")]
fn fill<T: bytemuck::Pod>(all: &mut Vec<T>, bytes: &[u8]) {
    let start = all.len();
    all.resize(start + bytes.len() / size_of::<T>(), T::zeroed());
    bytemuck::cast_slice_mut(&mut all[start..]).copy_from_slice(bytes);
}
