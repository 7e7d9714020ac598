//! The frames of an animated picture.

use std::io::Cursor;

use image::codecs::gif::GifDecoder;
use image::codecs::png::PngDecoder;
use image::codecs::webp::WebPDecoder;
use image::{AnimationDecoder, Frames, ImageDecoder, ImageFormat, ImageResult, Limits, RgbaImage};

use super::super::picture;

/// The most pixels of a canvas.
const MOST_CANVAS: u64 = 1 << 26;
/// The most frames, and the most pixels of all of them.
const MOST_FRAMES: u64 = 1 << 14;
const MOST_PIXELS: u64 = 1 << 33;
/// The most bytes that a decoder may take.
const MOST_BYTES: u64 = 1 << 30;

/// Whether a file that begins with these bytes (a mebibyte is enough) is a GIF, or a PNG or WebP that is animated.
pub fn is_animated(bytes: &[u8]) -> bool {
    match image::guess_format(bytes) {
        Ok(ImageFormat::Gif) => true,
        Ok(ImageFormat::Png) => {
            PngDecoder::new(Cursor::new(bytes)).and_then(|png| png.is_apng()).unwrap_or(false)
        }
        // The decoder itself wants the whole file.
        Ok(ImageFormat::WebP) => {
            bytes.get(12..16) == Some(b"VP8X") && bytes.get(20).is_some_and(|flags| flags & 2 != 0)
        }
        _ => false,
    }
}

/// An animated picture in memory.
pub(super) struct Animation<'a> {
    bytes: &'a [u8],
    format: ImageFormat,
    /// Width times height.
    canvas: u64,
}

impl<'a> Animation<'a> {
    /// Looks at the beginning.
    ///
    /// # Errors
    /// Why it is none, or too large.
    pub fn new(bytes: &'a [u8]) -> Result<Self, String> {
        let format = image::guess_format(bytes).ok().filter(|_| is_animated(bytes));
        let format = format.ok_or_else(|| {
            let what = if picture::is_picture(bytes) { "is a picture that does not move" } else { "is no clip" };
            format!(
                "{what}; GIF, APNG and animated WebP are read, and folders of pictures, one a frame, such as ffmpeg -i IN \
                 frames/%05d.png makes of a video"
            )
        })?;
        let (width, height) = match format {
            ImageFormat::Gif => GifDecoder::new(Cursor::new(bytes)).map(|gif| gif.dimensions()),
            ImageFormat::WebP => WebPDecoder::new(Cursor::new(bytes)).map(|webp| webp.dimensions()),
            _ => PngDecoder::new(Cursor::new(bytes)).map(|png| png.dimensions()),
        }
        .map_err(|error| format!("is a broken clip: {error}"))?;
        let canvas = u64::from(width) * u64::from(height);
        match canvas {
            0 => Err(format!("is a broken clip of {width} x {height} pixels")),
            _ if canvas > MOST_CANVAS => Err(format!(
                "has frames of {width} x {height} pixels, which are too many; {MOST_CANVAS} are allowed. Make it smaller"
            )),
            _ => Ok(Animation { bytes, format, canvas }),
        }
    }

    /// Whether few of them should be in memory at once.
    pub fn is_large(&self) -> bool {
        picture::is_many(self.canvas)
    }

    /// How many frames there are; all are decoded.
    ///
    /// # Errors
    /// Why one cannot be, or that they are too many.
    pub fn count(&self) -> Result<usize, String> {
        let mut count = 0;
        self.each(|_, _| {
            count += 1;
            Ok(true)
        })?;
        Ok(count)
    }

    /// Shows the frames one by one, each as it is seen, with its number, until `show` wants no more.
    ///
    /// # Errors
    /// Why a frame cannot be decoded, or that they are too many; those of `show`.
    pub fn each(&self, mut show: impl FnMut(usize, RgbaImage) -> Result<bool, String>) -> Result<(), String> {
        let frames = self.frames().map_err(|error| format!("is a broken clip: {error}"))?;
        for (number, frame) in frames.enumerate() {
            let shown = number as u64 + 1;
            if shown > MOST_FRAMES || shown * self.canvas > MOST_PIXELS {
                return Err(format!(
                    "has more than {number} frames, which are too many; {MOST_FRAMES} and {MOST_PIXELS} pixels in all are \
                     allowed. Make it shorter or smaller"
                ));
            }
            let frame = frame.map_err(|error| format!("is broken at frame {shown}: {error}"))?;
            if !show(number, frame.into_buffer())? {
                break;
            }
        }
        Ok(())
    }

    fn frames(&self) -> ImageResult<Frames<'a>> {
        let mut limits = Limits::default();
        limits.max_alloc = Some(MOST_BYTES);
        let bytes = Cursor::new(self.bytes);
        Ok(match self.format {
            ImageFormat::Gif => {
                let mut gif = GifDecoder::new(bytes)?;
                gif.set_limits(limits)?;
                gif.into_frames()
            }
            ImageFormat::WebP => {
                let mut webp = WebPDecoder::new(bytes)?;
                webp.set_limits(limits)?;
                webp.into_frames()
            }
            _ => PngDecoder::with_limits(bytes, limits)?.apng()?.into_frames(),
        })
    }
}
