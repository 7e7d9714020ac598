//! What a forward pass gives.

/// Results for a batch, all row-major.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outputs {
    /// Images.
    pub batch: usize,
    /// Tokens an image after the last block.
    pub merged: usize,
    /// `[batch, classes]`
    pub logits: Vec<f32>,
    /// `[batch, channels]`: pooled, as it enters the head; of two pooled rows the first, the class token's.
    pub features: Vec<f32>,
    /// `[batch, merged, channels]`: after the last block, before the final norm.
    pub tokens: Vec<f32>,
    /// `[batch, merged]`: how many original tokens each stands for.
    pub size: Vec<f32>,
    /// `[batch, original tokens]`: for each original token the final token that holds it.
    pub source: Vec<u32>,
    /// `[batch, rows, columns, channels]` over the grid of patches: for each patch the one of `tokens` that holds it;
    /// where nothing merges, its own. The tokens before the patches are left out.
    pub dense: Vec<f32>,
    /// `[batch, blocks, original tokens]`: for each original token the token that holds it after each block.
    pub source_per_block: Vec<u32>,
}

impl Outputs {
    /// Appends another batch of the same network and schedule.
    pub fn append(&mut self, other: Outputs) {
        self.batch += other.batch;
        self.merged = other.merged;
        self.logits.extend(other.logits);
        self.features.extend(other.features);
        self.tokens.extend(other.tokens);
        self.size.extend(other.size);
        self.source.extend(other.source);
        self.dense.extend(other.dense);
        self.source_per_block.extend(other.source_per_block);
    }

    /// The logits of one image.
    pub fn logits_of(&self, image: usize) -> &[f32] {
        let classes = self.logits.len() / self.batch.max(1);
        &self.logits[image * classes..(image + 1) * classes]
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
