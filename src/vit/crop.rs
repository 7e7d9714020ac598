//! The part of a picture that a network is shown.

use super::preprocess::{Preprocess, Resize};

/// The part of a picture, resized as a whole, that is a network's input: height first, then width.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Crop {
    /// Pixels of the whole picture once it is resized.
    pub whole: [u64; 2],
    /// Those of them above the input and on its left.
    pub first: [u64; 2],
}

impl Crop {
    /// The crop of a picture of so many pixels for an input of so many, as torchvision and timm round it, or transformers.
    pub fn new(picture: [u32; 2], input: [u32; 2], preprocess: &Preprocess) -> Self {
        let whole = covering(picture, input, preprocess);
        let first = [0, 1].map(|side| {
            let margin = (whole[side] - f64::from(input[side])) / 2.0;
            (if preprocess.floor_crop { margin.floor() } else { margin.round_ties_even() }) as u64
        });
        Crop { whole: whole.map(|side| side as u64), first }
    }
}

/// Height and width that a picture would be resized to before the crop, as torchvision and timm round them.
fn covering(picture: [u32; 2], input: [u32; 2], preprocess: &Preprocess) -> [f64; 2] {
    // In f32, where 224 / 0.8 is 280: the f64 nearest to the f32 0.8 is a little more than 0.8.
    let scaled = input.map(|side| f64::from((side as f32 / preprocess.crop).floor()));
    let picture = picture.map(f64::from);
    let edge = scaled[0].min(scaled[1]);
    // transformers resizes by the shortest edge whatever the crop is; the input has to lie within the picture all the same.
    let by_edge = preprocess.floor_crop && input.iter().all(|&side| f64::from(side) <= edge);
    if preprocess.resize == Resize::Squash {
        scaled
    } else if scaled[0] == scaled[1] || by_edge {
        let short = picture[0].min(picture[1]);
        picture.map(|side| (edge * side / short).trunc())
    } else {
        let ratio = (picture[0] / scaled[0]).min(picture[1] / scaled[1]);
        picture.map(|side| (side / ratio).round_ties_even())
    }
}
