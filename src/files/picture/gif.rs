//! The first frame of a GIF on its canvas, as Pillow hands it out.

use gif::{ColorOutput, DecodeOptions, MemoryLimit};
use image::{DynamicImage, RgbImage};

use super::decode::check_size;

pub(super) fn decode(bytes: &[u8]) -> Result<DynamicImage, String> {
    let broken = |error: gif::DecodingError| format!("is a broken GIF picture: {error}");
    let mut options = DecodeOptions::new();
    options.set_color_output(ColorOutput::Indexed);
    options.set_memory_limit(MemoryLimit::Bytes(std::num::NonZeroU64::MAX));
    let mut decoder = options.read_info(bytes).map_err(broken)?;
    let canvas = [decoder.width(), decoder.height()].map(u32::from);
    let global = decoder.global_palette().map(<[u8]>::to_vec);
    let info = decoder.next_frame_info().map_err(broken)?.ok_or("is a GIF picture without a frame")?;
    let (left, top) = (u32::from(info.left), u32::from(info.top));
    let (columns, rows) = (u32::from(info.width), u32::from(info.height));
    // A frame that sticks out makes the canvas larger.
    let [width, height] = [canvas[0].max(left + columns), canvas[1].max(top + rows)];
    check_size(width.into(), height.into())?;
    // Where no frame lies is the transparent colour's place, or the first.
    let outside = info.transparent.unwrap_or(0);
    let palette = info.palette.clone().or(global);
    let mut indices = vec![0; decoder.buffer_size()];
    decoder.read_into_buffer(&mut indices).map_err(broken)?;

    let colour = |index: u8| match &palette {
        // Past its end a palette is black.
        Some(palette) => {
            let at = 3 * usize::from(index);
            palette.get(at..at + 3).map_or([0; 3], |colour| [colour[0], colour[1], colour[2]])
        }
        None => [index; 3],
    };
    let mut picture = RgbImage::from_pixel(width, height, image::Rgb(colour(outside)));
    for (row, indices) in indices.chunks_exact(columns.max(1) as usize).enumerate() {
        for (column, &index) in indices.iter().enumerate() {
            picture.put_pixel(left + column as u32, top + row as u32, image::Rgb(colour(index)));
        }
    }
    Ok(picture.into())
}
