//! Images to tokens: patch projection, positions, prefix tokens. timm's `PatchEmbed` and `_pos_embed`.

use bytemuck::{Pod, Zeroable};

use super::{elements, multiple_of_four, require};
use crate::dispatch::Dispatch;
use crate::error::{Error, Result};
use crate::gpu::{Call, Gpu};
use crate::kernel::{Access, Form, KernelSpec, Part};
use crate::view::View;

/// The kernel's description.
pub const SPEC: KernelSpec = KernelSpec {
    name: "embed_patches",
    source: include_str!("../../shaders/embed_patches.wgsl"),
    bindings: &[
        ("params", Access::Uniform),
        ("image", Access::Read),
        ("normal", Access::Read),
        ("w", Access::ReadElem),
        ("bias", Access::Read),
        ("position", Access::Read),
        ("first", Access::Read),
        ("steps", Access::Read),
        ("y", Access::Write),
    ],
    parts: &[Part::Grid, Part::Element, Part::Tile],
    params_size: size_of::<Params>(),
};

/// Scalars of the kernel and of its twin.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Pod, Zeroable)]
pub struct Params {
    /// Images.
    pub batch: u32,
    /// Channels of an image, 3 for colours.
    pub image_channels: u32,
    /// Pixels; what is left over by whole patches at the bottom is not read.
    pub height: u32,
    /// Pixels; what is left over by whole patches on the right is not read.
    pub width: u32,
    /// Pixels of a patch.
    pub patch_height: u32,
    /// Pixels of a patch.
    pub patch_width: u32,
    /// Tokens before the patches: class, distillation, registers.
    pub prefix: u32,
    /// Values in a token.
    pub channels: u32,
    /// 1 where images are bytes. Set by [`embed_patches`] from what [`Io`] holds.
    pub has_normal: u32,
    /// Tokens of an image. Set by [`embed_patches`].
    pub tokens: u32,
}

impl Params {
    /// Patches of an image.
    pub fn patches(&self) -> u32 {
        (self.height / self.patch_height) * (self.width / self.patch_width)
    }

    /// How far each of a patch's values, in the order channel, y, x, lies from its first one in the image; the first
    /// again for what fills up a multiple of 4.
    fn steps(&self) -> Vec<u32> {
        let of = |value: u32| {
            let (line, column) = (value / self.patch_width, value % self.patch_width);
            let (channel, y) = (line / self.patch_height, line % self.patch_height);
            match self.has_normal {
                0 => (channel * self.height + y) * self.width + column,
                _ => (y * self.width + column) * self.image_channels + channel,
            }
        };
        let values = self.patch_values();
        (0..values).map(of).chain([0; 3]).take(values.next_multiple_of(4) as usize).collect()
    }

    /// Values in a patch; a row of `w` holds them rounded up to a multiple of 4, the rest being zero.
    pub fn patch_values(&self) -> u32 {
        self.image_channels * self.patch_height * self.patch_width
    }
}

/// Buffers of the kernel.
#[derive(Clone, Copy, Debug)]
pub struct Io<'a> {
    /// `[batch, image_channels, height, width]`, normalised; or, with `normal`, `[batch, height, width,
    /// image_channels]`, a byte each.
    pub image: View<'a>,
    /// `[2, image_channels]`: the means and deviations that bytes, divided by 255, are normalised by; absent for floats.
    pub normal: Option<View<'a>>,
    /// `[channels, patch_values rounded up to 4]`, each row in the order channel, y, x.
    pub w: View<'a>,
    /// `[channels]`
    pub bias: View<'a>,
    /// `[patches, channels]`
    pub position: View<'a>,
    /// `[prefix, channels]`: the prefix tokens with their positions added; absent where `prefix` is 0.
    pub first: Option<View<'a>>,
    /// `[batch, prefix + patches, channels]`, written.
    pub y: View<'a>,
}

/// Prepares the tokens that enter the first block.
///
/// # Errors
/// [`Error::Params`] where a patch is empty or larger than the image, `channels` is 0, or
/// prefix tokens are missing; buffer errors.
pub fn embed_patches(gpu: &Gpu, params: Params, io: Io<'_>) -> Result<Dispatch> {
    let Params { batch, image_channels, height, width, patch_height, patch_width, prefix, channels, .. } =
        params;
    let name = SPEC.name;
    multiple_of_four(name, "channels", channels)?;
    require(name, image_channels > 0 && patch_height > 0 && patch_width > 0, || "a patch is empty".into())?;
    require(name, patch_height <= height && patch_width <= width, || {
        format!("a patch of {patch_height} x {patch_width} is larger than the image, {height} x {width}")
    })?;
    require(name, io.first.is_some() == (prefix > 0), || {
        format!("{prefix} prefix tokens, and `first` says otherwise")
    })?;
    let patch =
        elements(name, "patch", &[image_channels, patch_height, patch_width])?.next_multiple_of(4) as u32;
    let patches = elements(name, "patches", &[height / patch_height, width / patch_width])? as u32;
    let tokens = prefix.checked_add(patches);
    let tokens =
        tokens.ok_or_else(|| Error::Params { kernel: name, what: format!("{prefix} prefix tokens") })?;
    let rows = elements(name, "tokens", &[batch, tokens])? as u32;
    let params = Params { has_normal: io.normal.is_some().into(), tokens, ..params };
    let steps = gpu.buffer_with("tome.steps", &params.steps())?;
    let tile_size = gpu.tile_size(rows, channels);
    let [tile_rows, tile_columns] = gpu.variant().tile.covers(tile_size);
    let image = elements(name, "image", &[batch, image_channels, height, width])?;
    // Four bytes are bound as one element.
    let image = if io.normal.is_some() { image.div_ceil(4) } else { image };
    let call = gpu.dispatch(Call {
        spec: &SPEC,
        form: Form { tile_size, ..Form::default() },
        params: bytemuck::bytes_of(&params),
        views: &[
            (io.image, image),
            gpu.optional(io.normal, elements(name, "normal", &[2, image_channels])?),
            (io.w, elements(name, "w", &[channels, patch])?),
            (io.bias, channels.into()),
            (io.position, elements(name, "position", &[patches, channels])?),
            gpu.optional(io.first, elements(name, "first", &[prefix, channels])?),
            ((&steps).into(), patch.into()),
            (io.y, elements(name, "y", &[rows, channels])?),
        ],
        workgroups: u64::from(rows.div_ceil(tile_rows)) * u64::from(channels.div_ceil(tile_columns)),
        shape: format!("[{batch}, {image_channels}, {height}, {width}] -> [{batch}, {tokens}, {channels}]"),
    })?;
    let products = [batch, patches, channels, params.patch_values()].map(u64::from).iter().product::<u64>();
    Ok(call.of_flops(2 * products))
}
