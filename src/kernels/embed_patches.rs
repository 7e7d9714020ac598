//! Images to tokens: patch projection, positions, prefix tokens. timm's `PatchEmbed` and `_pos_embed`.

use super::declare::kernel;
use super::{elements, multiple_of_four, require};
use crate::dispatch::Dispatch;
use crate::error::{Error, Result};
use crate::gpu::{Call, Gpu};
use crate::kernel::Form;

kernel! {
    "embed_patches" in "embed_patches/embed_patches"
        with "embed_patches/entry" "embed_patches/entry_subgroup": [Element Weight Tile];
    params {
        /// Images.
        pub batch: u32,
        /// Channels of an image, 3 for colours.
        pub image_channels: u32,
        /// Frames of an image: 1 for pictures. As with pixels, what is left over by whole patches is not read.
        pub frames: u32,
        /// Pixels; what is left over by whole patches at the bottom is not read.
        pub height: u32,
        /// Pixels; what is left over by whole patches on the right is not read.
        pub width: u32,
        /// Frames of a patch.
        pub patch_frames: u32,
        /// Pixels of a patch.
        pub patch_height: u32,
        /// Pixels of a patch.
        pub patch_width: u32,
        /// Frames from one patch to the next.
        pub stride_frames: u32,
        /// Pixels from one patch to the one below.
        pub stride_height: u32,
        /// Pixels from one patch to the next.
        pub stride_width: u32,
        /// Tokens before the patches: class, distillation, registers.
        pub prefix: u32,
        /// Values in a token.
        pub channels: u32,
        pub(crate) rows: u32,
        pub(crate) columns: u32,
        pub(crate) tokens: u32,
    }
    read {
        /// `[batch, frames, image_channels, height, width]`, normalised; or, with `normal`, `[batch, frames, height, width,
        /// image_channels]`, a byte each.
        image: Word,
        /// `[channels, patch_values rounded up to 4]`, each row in the order channel, frame, y, x.
        w: Weight,
        /// `[prefix + patches, channels]`: what the token of each place starts from. For a prefix token that is all: the
        /// token and its position; for a patch the projection's bias and its position.
        base: Word,
    }
    made { steps: Word, }
    read? {
        /// `[2, image_channels]`: the means and deviations that bytes, divided by 255, are normalised by; absent for
        /// floats.
        normal: Word,
    }
    write {
        /// `[batch, prefix + patches, channels]`, written.
        y: Word,
    }
}

impl Params {
    /// Pictures of `[image_channels, height, width]` in patches of `[height, width]` that do not overlap.
    pub fn pictures(batch: u32, image: [u32; 3], patch: [u32; 2], prefix: u32, channels: u32) -> Self {
        let [image_channels, height, width] = image;
        let [patch_height, patch_width] = patch;
        Params {
            batch,
            image_channels,
            frames: 1,
            height,
            width,
            patch_frames: 1,
            patch_height,
            patch_width,
            stride_frames: 1,
            stride_height: patch_height,
            stride_width: patch_width,
            prefix,
            channels,
            ..Params::default()
        }
    }

    /// Patches along frames, rows and columns.
    ///
    /// # Panics
    /// Where a stride is 0 or a patch larger than the image; [`embed_patches`] refuses those.
    pub fn grid(&self) -> [u32; 3] {
        let along = |image: u32, patch: u32, stride: u32| (image - patch) / stride + 1;
        [
            along(self.frames, self.patch_frames, self.stride_frames),
            along(self.height, self.patch_height, self.stride_height),
            along(self.width, self.patch_width, self.stride_width),
        ]
    }

    /// Patches of an image.
    ///
    /// # Panics
    /// As [`grid`](Self::grid).
    pub fn patches(&self) -> u32 {
        self.grid().iter().product()
    }

    /// Values in a patch; a row of `w` holds them rounded up to a multiple of 4, the rest being zero.
    pub fn patch_values(&self) -> u32 {
        self.image_channels * self.patch_frames * self.patch_height * self.patch_width
    }

    /// The distance of each of a patch's values, in the order channel, frame, y, x, from its first one in the image, of
    /// bytes where there are means and deviations; and the value's channel.
    pub(crate) fn steps(&self, bytes: bool) -> impl Iterator<Item = [u32; 2]> + use<> {
        let Params { image_channels, height, width, patch_frames, patch_height, patch_width, .. } = *self;
        (0..self.patch_values()).map(move |value| {
            let (line, x) = (value / patch_width, value % patch_width);
            let (plane, y) = (line / patch_height, line % patch_height);
            let (channel, frame) = (plane / patch_frames, plane % patch_frames);
            let at = frame * image_channels * height * width;
            let step = match bytes {
                false => at + (channel * height + y) * width + x,
                true => at + (y * width + x) * image_channels + channel,
            };
            [step, channel]
        })
    }

    /// The place of a patch's first value in an image.
    #[cfg(feature = "cpu")]
    pub(crate) fn start(&self, patch: u32, bytes: bool) -> u32 {
        let [_, rows, columns] = self.grid();
        let (line, column) = (patch / columns, patch % columns);
        let frame = line / rows * self.stride_frames * self.image_channels * self.height * self.width;
        let corner = line % rows * self.stride_height * self.width + column * self.stride_width;
        frame + corner * if bytes { self.image_channels } else { 1 }
    }
}

/// The tokens that enter the first block, prepared.
///
/// # Errors
/// [`Error::Params`] where a patch is empty or larger than the image, a stride is 0, or `channels` is no multiple of 4;
/// buffer errors.
pub fn embed_patches(gpu: &Gpu, params: Params, io: Io<'_>) -> Result<Dispatch> {
    let Params { batch, image_channels, frames, height, width, prefix, channels, .. } = params;
    let Params { patch_frames, patch_height, patch_width, .. } = params;
    let name = SPEC.name;
    multiple_of_four(name, "channels", channels)?;
    let patch = [patch_frames, patch_height, patch_width];
    require(name, image_channels > 0 && !patch.contains(&0), || "a patch is empty".into())?;
    require(name, patch_frames <= frames && patch_height <= height && patch_width <= width, || {
        format!("a patch of {patch:?} is larger than the image, {:?}", [frames, height, width])
    })?;
    let strides = [params.stride_frames, params.stride_height, params.stride_width];
    require(name, !strides.contains(&0), || format!("strides of {strides:?}"))?;
    let values = elements(name, "patch", &[image_channels, patch_frames, patch_height, patch_width])?;
    let patch = values.next_multiple_of(4) as u32;
    let [_, grid_rows, grid_columns] = params.grid();
    let patches = elements(name, "patches", &params.grid())? as u32;
    let tokens = prefix.checked_add(patches);
    let tokens =
        tokens.ok_or_else(|| Error::Params { kernel: name, what: format!("{prefix} prefix tokens") })?;
    let rows = elements(name, "tokens", &[batch, tokens])? as u32;
    let image = elements(name, "image", &[batch, frames, image_channels, height, width])?;
    // What fills up a multiple of 4 reads the first value again.
    let steps = params.steps(io.normal.is_some()).chain([[0; 2]; 3]).take(patch as usize);
    let (steps, channels_of): (Vec<u32>, Vec<u32>) = steps.map(|[step, channel]| (step, channel)).unzip();
    let steps = gpu.buffer_with("tome.steps", &[steps, channels_of].concat())?;
    let params = Params { rows: grid_rows, columns: grid_columns, tokens, ..params };
    let io = Io { steps: Some((&steps).into()), ..io };
    let tile_size = gpu.tile_size(rows, channels);
    let tile = gpu.variant().tile;
    let [tile_rows, tile_columns] = tile.covers(tile_size);
    let whole_slabs = values.is_multiple_of(tile.slab(tile_size).into());
    let call = gpu.dispatch(Call {
        spec: &SPEC,
        form: Form { tile_size, whole_slabs, ..Form::default() },
        params: params.uniform(),
        views: &io.views(),
        elements: &[
            // Four bytes are bound as one element.
            if io.normal.is_some() { image.div_ceil(4) } else { image },
            elements(name, "w", &[channels, patch])?,
            elements(name, "base", &[tokens, channels])?,
            2 * u64::from(patch),
            elements(name, "normal", &[2, image_channels])?,
            elements(name, "y", &[rows, channels])?,
        ],
        workgroups: u64::from(rows.div_ceil(tile_rows)) * u64::from(channels.div_ceil(tile_columns)),
        shape: format!(
            "[{batch}, {}{image_channels}, {height}, {width}] -> [{batch}, {tokens}, {channels}]",
            if frames == 1 { String::new() } else { format!("{frames}, ") }
        ),
    })?;
    let products = [batch, patches, channels].map(u64::from).iter().product::<u64>() * values;
    Ok(call.of_flops(2 * products))
}
