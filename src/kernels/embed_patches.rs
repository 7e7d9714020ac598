//! Images to tokens: patch projection, positions, prefix tokens. timm's `PatchEmbed` and `_pos_embed`.

use bytemuck::{Pod, Zeroable};

use super::{elements, multiple_of_four, require};
use crate::caps::{Tile, TileSize};
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
        ("y", Access::Write),
    ],
    parts: &[Part::Grid, Part::Element, Part::SharedTile],
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
}

impl Params {
    /// Patches of an image.
    pub fn patches(&self) -> u32 {
        (self.height / self.patch_height) * (self.width / self.patch_width)
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
    let [tile_rows, tile_columns] = Tile::Workgroup.covers(TileSize::Medium);
    let rows = elements(name, "tokens", &[batch, tokens])? as u32;
    let params = Params { has_normal: io.normal.is_some().into(), ..params };
    let image = elements(name, "image", &[batch, image_channels, height, width])?;
    // Four bytes are bound as one element.
    let image = if io.normal.is_some() { image.div_ceil(4) } else { image };
    let call = gpu.dispatch(Call {
        spec: &SPEC,
        form: Form::default(),
        params: bytemuck::bytes_of(&params),
        views: &[
            (io.image, image),
            gpu.optional(io.normal, elements(name, "normal", &[2, image_channels])?),
            (io.w, elements(name, "w", &[channels, patch])?),
            (io.bias, channels.into()),
            (io.position, elements(name, "position", &[patches, channels])?),
            gpu.optional(io.first, elements(name, "first", &[prefix, channels])?),
            (io.y, elements(name, "y", &[rows, channels])?),
        ],
        workgroups: u64::from(rows.div_ceil(tile_rows)) * u64::from(channels.div_ceil(tile_columns)),
        shape: format!("[{batch}, {image_channels}, {height}, {width}] -> [{batch}, {tokens}, {channels}]"),
    })?;
    let products = [batch, patches, channels, params.patch_values()].map(u64::from).iter().product::<u64>();
    Ok(call.of_flops(2 * products))
}
