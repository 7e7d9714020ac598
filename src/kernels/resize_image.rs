//! A texture, cropped and resized as Pillow does it, as a network's normalised image.

use super::declare::{choice, kernel};
use super::{elements, require};
use crate::dispatch::Dispatch;
use crate::error::Result;
use crate::gpu::{Call, Gpu};
use crate::kernel::Form;

kernel! {
    "resize_image" in "resize_image": [];
    params {
        /// Pixels of the texture.
        pub image_height: u32,
        /// Pixels of the texture.
        pub image_width: u32,
        /// Pixels of the image.
        pub height: u32,
        /// Pixels of the image.
        pub width: u32,
        /// Channels of the image: 3 for colours, 1 for grey, luma after ITU-R 601. Alpha is dropped.
        pub channels: u32,
        /// The order of three channels.
        pub order: Order,
        /// What the texture's view makes of the bytes that are stored.
        pub encoding: Encoding,
        /// The place of the image's first value in `y`.
        pub first: u32,
        /// The most rows of the texture that a row is made of.
        pub taps_down: u32,
        /// The most columns of the texture that a column is made of.
        pub taps_across: u32,
        pub(crate) rows: u32,
    }
    read {
        /// `[image_height, image_width]`: the view of a texture of `rgba8unorm` or `bgra8unorm`, with or without sRGB.
        image: Texture,
        /// `[2 + taps_down, height]`, i32: [`Taps::words`](crate::vit::Taps::words).
        down: Word,
        /// `[2 + taps_across, width]`, likewise.
        across: Word,
        /// `[2, channels]`: the means and deviations by which bytes, divided by 255, are normalised.
        normal: Word,
    }
    write {
        /// `[channels, height, width]` from the value `first` on, written.
        y: Word,
    }
}

choice! {
    /// The order of an image's channels.
    pub enum Order {
        /// Red, green, blue.
        Rgb,
        /// Blue, green, red.
        Bgr,
    }
}

choice! {
    /// What a texture's view makes of the bytes that are stored.
    pub enum Encoding {
        /// Divided by 255.
        Plain,
        /// Decoded to light: the view's format has sRGB in its name. The kernel undoes it and gets the bytes back.
        Srgb,
    }
}

/// Pixels of a tile's side: `SIDE` of the shader.
pub(crate) const SIDE: u32 = 16;
/// Bits behind the point of a weight, as Pillow has them for pixels of 8 bits: `FRACTION` of the shader.
pub(crate) const FRACTION: u32 = 22;

/// An image of a texture, prepared: resized across, then down, rounded to 8 bits after each, then normalised. With
/// [`Taps::params`](crate::vit::Taps::params) and tables of [`Taps`](crate::vit::Taps) bytes are Pillow's to the last bit.
///
/// # Errors
/// [`Error::Params`](crate::Error::Params) where a side is 0 or there are neither 1 nor 3 channels; [`Error::Device`](crate::Error::Device) for a texture that holds no
/// floats or was made without `TextureUsages::TEXTURE_BINDING`; buffer errors.
pub fn resize_image(gpu: &Gpu, params: Params, io: Io<'_>) -> Result<Dispatch> {
    let uniform = uniform(gpu, &params)?;
    resize_image_by(gpu, params, &uniform, io)
}

/// `Params` as the device has them.
pub(crate) fn uniform(gpu: &Gpu, params: &Params) -> Result<wgpu::Buffer> {
    gpu.uniform(SPEC.name, params.uniform())
}

/// [`resize_image`] with its `Params` on the device already.
pub(crate) fn resize_image_by(
    gpu: &Gpu,
    params: Params,
    uniform: &wgpu::Buffer,
    io: Io<'_>,
) -> Result<Dispatch> {
    let Params { image_height, image_width, height, width, channels, first, .. } = params;
    let name = SPEC.name;
    let sides = [image_height, image_width, height, width];
    require(name, !sides.contains(&0), || format!("pixels, {sides:?}: a side is 0"))?;
    require(name, channels == 1 || channels == 3, || format!("{channels} channels; there may be 1 or 3"))?;
    let last = elements(name, "y", &[channels, height, width])? + u64::from(first);
    require(name, last <= u64::from(u32::MAX), || format!("y begins at the value {first}"))?;
    let table = |most: u32, made: u32| elements(name, "taps", &[most.saturating_add(2), made]);
    let call = Call {
        spec: &SPEC,
        form: Form::default(),
        params: params.uniform(),
        views: &io.views(),
        elements: &[
            0,
            table(params.taps_down, height)?,
            table(params.taps_across, width)?,
            2 * u64::from(channels),
            last,
        ],
        workgroups: u64::from(height.div_ceil(SIDE)) * u64::from(width.div_ceil(SIDE)),
        shape: format!("[{image_height}, {image_width}] -> [{channels}, {height}, {width}]"),
    };
    gpu.bind(call, uniform)
}

/// Compiles the shader ahead of the first texture.
pub(crate) fn compile(gpu: &Gpu) -> Result<()> {
    let pipeline = gpu.pipelines.slot(&SPEC, gpu.variant(), &Form::default())?;
    gpu.pipelines.compile(&[pipeline])
}
