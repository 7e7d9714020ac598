//! Where a whole picture lies in pixels that may be fewer than its own.

use image::metadata::Orientation;

/// A picture of `size` in pixels of which each stands for `scale` by `scale` of its own; height first, then width.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in super::super) struct Extent {
    /// Its own pixels.
    pub size: [u32; 2],
    pub scale: u32,
    /// Where it begins in the pixels there are: the last of them may stand for less, and come first when it is turned.
    pub first: [f64; 2],
}

impl Extent {
    /// Of a picture as it is stored.
    pub fn new(size: [u32; 2], scale: u32) -> Self {
        Extent { size, scale, first: [0.0; 2] }
    }

    /// Of the same picture turned.
    pub fn turned(mut self, orientation: Orientation) -> Self {
        use Orientation::*;
        let flipped = [
            matches!(orientation, FlipVertical | Rotate180 | Rotate90 | Rotate270FlipH),
            matches!(orientation, FlipHorizontal | Rotate180 | Rotate270 | Rotate270FlipH),
        ];
        for side in [0, 1].into_iter().filter(|&side| flipped[side]) {
            let pixels = self.size[side].div_ceil(self.scale);
            self.first[side] = f64::from(pixels) - f64::from(self.size[side]) / f64::from(self.scale);
        }
        if matches!(orientation, Rotate90 | Rotate270 | Rotate90FlipH | Rotate270FlipH) {
            self.size.swap(0, 1);
            self.first.swap(0, 1);
        }
        self
    }

    /// A stretch of one side, its start and its length, in the pixels there are, as far as the picture goes.
    pub fn stretch(&self, side: usize, start: f64, length: f64) -> (f64, f64) {
        let scale = f64::from(self.scale);
        let end = self.first[side] + f64::from(self.size[side]) / scale;
        let start = self.first[side] + start / scale;
        (start, (length / scale).min(end - start))
    }
}
