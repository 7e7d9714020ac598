//! The pixels that each row and column of a resized picture is made of.

use std::f64::consts::PI;

use super::config::Config;
use super::crop::Crop;
use super::preprocess::Resample;
use crate::error::{Error, Result};
use crate::kernels::resize_image::{FRACTION, Order, Params, SIDE};

/// For each row (or column) of a resized picture the rows (or columns) of the picture that it is made of, and their
/// weights: Pillow's, to the last bit. Where a picture shrinks, the filter grows wider with it, so that no pixel is passed
/// over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taps {
    length: u32,
    made: u32,
    most: u32,
    words: Vec<i32>,
}

/// Pixels of a side at most: many more than any texture's.
const LONGEST: u32 = 1 << 24;

impl Taps {
    /// The tables of a picture of `[height, width]` pixels for a network, down and across: resized and cropped as
    /// [`Preprocess`](super::Preprocess) says.
    ///
    /// # Errors
    /// [`Error::Input`] for a picture without pixels.
    pub fn for_network(picture: [u32; 2], config: &Config) -> Result<[Taps; 2]> {
        if picture.contains(&0) {
            return Err(Error::Input("the picture has no pixels".into()));
        }
        let (input, preprocess) = (config.image_size, &config.preprocess);
        let Crop { whole, first } = Crop::new(picture, input, preprocess);
        let taps = |side: usize| {
            Taps::new(picture[side], whole[side], (first[side], input[side]), preprocess.resample)
        };
        Ok([taps(0)?, taps(1)?])
    }

    /// The table of a side of `length` pixels that becomes one of `whole`, of which only `made` from the `first` on are
    /// made.
    ///
    /// # Errors
    /// [`Error::Input`] where a length is 0 or beyond 2^24, or the part reaches beyond the whole.
    pub fn new(length: u32, whole: u64, (first, made): (u64, u32), resample: Resample) -> Result<Taps> {
        let behind = first.checked_add(made.into()).filter(|&behind| behind <= whole);
        if length == 0 || length > LONGEST || made == 0 || behind.is_none() {
            return Err(Error::Input(format!(
                "{length} pixels resized to {whole}, of which {made} from the {first}. on are made"
            )));
        }
        let scale = f64::from(length) / whole as f64;
        let wide = scale.max(1.0);
        let support = resample.support() * wide;
        // Rounded towards 0 as C does it, then to what there is.
        let within = |place: f64| (place as i64).clamp(0, length.into()) as u32;
        let all: Vec<(u32, Vec<i32>)> = (0..made)
            .map(|at| {
                let centre = ((first + u64::from(at)) as f64 + 0.5) * scale;
                let start = within(centre - support + 0.5);
                let taps = start..within(centre + support + 0.5);
                let weight = |tap| resample.weight((f64::from(tap) - centre + 0.5) * (1.0 / wide));
                let weights: Vec<f64> = taps.map(weight).collect();
                let sum: f64 = weights.iter().sum();
                let share = |&weight: &f64| if sum == 0.0 { weight } else { weight / sum };
                (start, weights.iter().map(share).map(fixed).collect())
            })
            .collect();
        let most = all.iter().map(|(_, weights)| weights.len()).max().unwrap_or(0);
        let mut words: Vec<i32> = all.iter().map(|&(start, _)| start as i32).collect();
        words.extend(all.iter().map(|(_, weights)| weights.len() as i32));
        for tap in 0..most {
            words.extend(all.iter().map(|(_, weights)| weights.get(tap).copied().unwrap_or(0)));
        }
        Ok(Taps { length, made, most: most as u32, words })
    }

    /// `[2 + most, made]`, as [`resize_image`](crate::kernels::resize_image()) reads it: for each pixel that is made the
    /// first that it is made of, how many they are, and the weight of each in units of 1 / 2^22; 0 where there are fewer.
    pub fn words(&self) -> &[i32] {
        &self.words
    }

    /// The most pixels that one is made of.
    pub fn most(&self) -> u32 {
        self.most
    }

    /// The `Params` by which these tables, down and across, make images of so many channels.
    pub fn params([down, across]: &[Taps; 2], channels: u32, order: Order) -> Params {
        Params {
            image_height: down.length,
            image_width: across.length,
            height: down.made,
            width: across.made,
            channels,
            order,
            taps_down: down.most,
            taps_across: across.most,
            rows: down.span(SIDE),
            ..Params::default()
        }
    }

    /// The most pixels that a tile is made of, of so many side by side.
    fn span(&self, side: u32) -> u32 {
        let made = self.made as usize;
        let (starts, counts) = (&self.words[..made], &self.words[made..2 * made]);
        let tiles = starts.chunks(side as usize).zip(counts.chunks(side as usize));
        let span = |(starts, counts): (&[i32], &[i32])| {
            let ends = starts.iter().zip(counts).map(|(start, count)| start + count);
            ends.max().unwrap_or(0) - starts[0]
        };
        tiles.map(span).max().unwrap_or(0) as u32
    }
}

/// A weight in units of 1 / 2^22, rounded as Pillow rounds it.
fn fixed(weight: f64) -> i32 {
    let half = if weight < 0.0 { -0.5 } else { 0.5 };
    (half + weight * f64::from(1 << FRACTION)) as i32
}

impl Resample {
    /// How far the filter reaches to either side where a picture grows, in pixels.
    fn support(self) -> f64 {
        match self {
            Resample::Box => 0.5,
            Resample::Bilinear | Resample::Hamming => 1.0,
            Resample::Bicubic => 2.0,
            Resample::Lanczos => 3.0,
        }
    }

    /// The weight of a pixel at some distance.
    fn weight(self, x: f64) -> f64 {
        let far = x.abs();
        match self {
            Resample::Box if x > -0.5 && x <= 0.5 => 1.0,
            Resample::Bilinear if far < 1.0 => 1.0 - far,
            Resample::Hamming if far == 0.0 => 1.0,
            Resample::Hamming if far < 1.0 => sinc(far) * (0.54 + 0.46 * (far * PI).cos()),
            // Catmull and Rom's cubic: a = -0.5.
            Resample::Bicubic if far < 1.0 => (1.5 * far - 2.5) * far * far + 1.0,
            Resample::Bicubic if far < 2.0 => (((far - 5.0) * far + 8.0) * far - 4.0) * -0.5,
            Resample::Lanczos if (-3.0..3.0).contains(&x) => sinc(x) * sinc(x / 3.0),
            _ => 0.0,
        }
    }
}

fn sinc(x: f64) -> f64 {
    if x == 0.0 { 1.0 } else { (x * PI).sin() / (x * PI) }
}
