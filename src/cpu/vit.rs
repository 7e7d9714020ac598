//! A whole network on slices.

#[cfg(feature = "blocking")]
use super::engine::{Entrance, run_from};
use super::engine::{Trace, run};
use super::product::pack_rows;
use super::threads::{lead, map_chunks, threads};
use super::unmerge;
use crate::error::{Error, Result};
use crate::kernels;
use crate::vit::{Config, Options, Outputs, Parameters, Pool, Tensors};

/// A network that computes on the CPU.
#[derive(Clone, Debug)]
pub struct VisionTransformer {
    config: Config,
    /// Weights of linear layers and of patches are packed.
    parameters: Parameters<Vec<f32>>,
    bytes: u64,
}

impl VisionTransformer {
    /// Checks config and weights and packs the weights.
    ///
    /// # Errors
    /// Those of [`Parameters::load`].
    pub fn new(config: Config, weights: &dyn Tensors) -> Result<Self> {
        let mut bytes = 0;
        let mut parameters = Parameters::load(&config, weights, |_, _, data| {
            bytes += size_of_val(&data[..]) as u64;
            Ok(data.into_owned())
        })?;
        for linear in parameters.linears_mut() {
            let [columns, inner] = [linear.columns, linear.inner].map(|v| v as usize);
            linear.weight = pack_rows(&linear.weight, [columns, inner], inner);
        }
        let stride = parameters.patch.len() / config.embed_dim as usize;
        let shape = [config.embed_dim, config.embedding(1).patch_values()].map(|v| v as usize);
        parameters.patch = pack_rows(&parameters.patch, shape, stride);
        Ok(VisionTransformer { config, parameters, bytes })
    }

    /// The network's config.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Bytes of its weights.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Runs any number of images, as [`Images::Normalised`](crate::vit::Images::Normalised) has them. An image's results
    /// are the same whatever other images it comes with; with [`Partition::Random`](crate::Partition::Random) they depend
    /// on its place among them. All are given but `dense`, for which there is [`dense`](Self::dense).
    ///
    /// # Errors
    /// [`Error::Input`] where `images` is empty or no whole number of images, or merging leaves no token to average;
    /// those of [`Options::check`].
    pub fn forward(&self, images: &[f32], options: &Options) -> Result<Outputs> {
        let batch = self.check(images, options)?;
        // As many images at once as there are threads, each on its own; then the rest one by one on all threads.
        let together = batch / threads() * threads();
        let per_image = self.config.image_values();
        let network = (&self.config, options);
        let merges = options.merges(&self.config);
        let each = |image: (usize, &[f32])| run(network, &self.parameters, &merges, image, &mut |_, _| {});
        let mut outputs = map_chunks(&images[..together * per_image], per_image, each);
        outputs.extend(images.chunks(per_image).enumerate().skip(together).map(|image| lead(|| each(image))));
        join(outputs)
    }

    /// [`forward`](Self::forward), one image after the other, handing every stage of every image to `trace`.
    ///
    /// # Errors
    /// As [`forward`](Self::forward).
    pub fn forward_traced(
        &self,
        images: &[f32],
        options: &Options,
        trace: &mut Trace<'_>,
    ) -> Result<Outputs> {
        self.check(images, options)?;
        let (network, merges) = ((&self.config, options), options.merges(&self.config));
        let each = |image| run(network, &self.parameters, &merges, image, trace);
        join(images.chunks(self.config.image_values()).enumerate().map(each).collect())
    }

    /// [`forward`](Self::forward) from a block on, with what enters it of each image, or from the beginning; and what enters
    /// the blocks that `keep` says, image by image. Of `source_per_block` only the last map is right.
    #[cfg(feature = "blocking")]
    pub(crate) fn forward_from(
        &self,
        images: &[f32],
        start: Option<(usize, &[&Entrance])>,
        options: &Options,
        keep: &[bool],
    ) -> Result<(Outputs, Vec<Vec<Option<Entrance>>>)> {
        self.check(images, options)?;
        let (network, merges) = ((&self.config, options), options.merges(&self.config));
        let each = |(i, image): (usize, &[f32])| {
            let start = start.map(|(block, entrances)| (block, entrances[i]));
            run_from(network, &self.parameters, &merges, (image, start), keep)
        };
        let all = map_chunks(images, self.config.image_values(), each);
        let (mut outputs, mut kept) = (Vec::new(), Vec::new());
        for one in all {
            let (output, entrances) = one?;
            outputs.push(Ok(output));
            kept.push(entrances);
        }
        Ok((join(outputs)?, kept))
    }

    /// One feature for every patch, of the shape of [`Output::Dense`](crate::vit::Output::Dense), from what
    /// [`forward`](Self::forward) gave.
    ///
    /// # Panics
    /// Where `outputs` lacks tokens or source map, or they are another network's.
    pub fn dense(&self, outputs: &Outputs) -> Vec<f32> {
        let Config { embed_dim: channels, .. } = self.config;
        let (batch, tokens) = (outputs.batch as u32, outputs.merged as u32);
        let (sources, first_source) = (self.config.tokens(), self.config.prefix());
        let mut dense = vec![0.0; outputs.batch * self.config.patches() as usize * channels as usize];
        let params = kernels::unmerge::Params { batch, tokens, sources, first_source, channels };
        unmerge(&params, &outputs.tokens, &outputs.source, None, &mut dense);
        dense
    }

    /// The number of images.
    fn check(&self, images: &[f32], options: &Options) -> Result<usize> {
        options.check(&self.config)?;
        let (given, per_image) = (images.len(), self.config.image_values());
        if images.is_empty() || !given.is_multiple_of(per_image) {
            return Err(Error::Input(format!("{given} values are no whole number of images of {per_image}")));
        }
        let tokens = options.tokens_per_block(&self.config);
        let (first, left) = (self.config.prefix(), tokens.last().copied().unwrap_or_default());
        let averages = matches!(self.config.pool, Pool::Average | Pool::TokenAndAverage);
        if averages && first >= left {
            return Err(Error::Input(format!(
                "average pooling from token {first} on, and merging leaves {left}"
            )));
        }
        Ok(given / per_image)
    }
}

/// The results of single images as those of a batch.
fn join(outputs: Vec<Result<Outputs>>) -> Result<Outputs> {
    let mut all = Outputs::default();
    for one in outputs {
        all.append(one?);
    }
    Ok(all)
}
