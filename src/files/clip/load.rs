//! A clip as a network sees it.

use std::path::Path;

use image::DynamicImage;

use super::super::preprocess::{alone, fit, load_image};
use super::super::{broken, picture};
use super::animation::Animation;
use super::folder;
use crate::error::{Error, Result};
use crate::vit::Config;

/// A clip as a network sees it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Clip {
    /// As many frames as the network sees, each from [`fit`](crate::files::fit).
    pub frames: Vec<DynamicImage>,
    /// What of the clip is not seen as it is, a phrase each: frames left out, or seen more than once.
    pub changes: Vec<String>,
}

impl Clip {
    /// `[frames, height, width, channels]`: what [`Images::Pixels`](crate::vit::Images::Pixels) takes.
    pub fn pixels(&self) -> Vec<u8> {
        self.frames.iter().flat_map(DynamicImage::as_bytes).copied().collect()
    }
}

/// A clip as a network sees it: a GIF, an APNG or an animated WebP, known by its content, or a folder of pictures, which are
/// its frames in the order of their names. Frames are taken evenly from first to last, whatever their durations: of `n`
/// the network's frame `i` of `m` is number `i n / m`, as transformers' video processors take them. Each is resized and cropped
/// as a picture. The frames of the whole clip are never in memory at once.
///
/// # Errors
/// [`Error::File`] for what cannot be read, is no clip, has one frame only, is broken or too large; [`Error::Input`] and
/// [`Error::Unsupported`] for a network that sees no clips.
pub fn load_clip(path: &Path, config: &Config) -> Result<Clip> {
    check(config)?;
    if !path.is_dir() {
        return load_clip_bytes(&picture::read(path)?, path, config);
    }
    let files = folder::frames(path)?;
    if files.is_empty() {
        return Err(broken(path, "no pictures in this folder"));
    }
    let (taken, changes) = sample(files.len(), config).map_err(|why| broken(path, why))?;
    let mut frames: Vec<DynamicImage> = Vec::with_capacity(taken.len());
    for (place, &number) in taken.iter().enumerate() {
        frames.push(match place.checked_sub(1) {
            Some(before) if taken[before] == number => frames[before].clone(),
            _ => load_image(&files[number], config)?,
        });
    }
    Ok(Clip { frames, changes })
}

/// [`load_clip`] of an animated picture in memory; `name` is for messages.
///
/// # Errors
/// As [`load_clip`].
pub fn load_clip_bytes(bytes: &[u8], name: &Path, config: &Config) -> Result<Clip> {
    check(config)?;
    let failed = |why: String| broken(name, why.replace(['\n', '\r'], " "));
    let animation = Animation::new(bytes).map_err(failed)?;
    let _alone = alone(animation.is_large());
    let (taken, changes) = sample(animation.count().map_err(failed)?, config).map_err(failed)?;
    let mut frames = Vec::with_capacity(taken.len());
    let shown = animation.each(|number, frame| {
        if taken[frames.len()] == number {
            let frame = fit(DynamicImage::from(frame), config).map_err(|error| error.to_string())?;
            while taken.get(frames.len()) == Some(&number) {
                frames.push(frame.clone());
            }
        }
        Ok(frames.len() < taken.len())
    });
    shown.map_err(failed)?;
    Ok(Clip { frames, changes })
}

fn check(config: &Config) -> Result<()> {
    match config.frames {
        1 => Err(Error::Input("the network sees one picture at a time, no clips".into())),
        _ => Ok(()),
    }
}

/// The frames of so many that the network sees.
fn sample(count: usize, config: &Config) -> Result<(Vec<usize>, Vec<String>), String> {
    let seen = config.frames as usize;
    if count < 2 {
        return Err(format!("has {count} frame, and the network sees {seen}; a clip has two at least"));
    }
    let taken = (0..seen).map(|frame| frame * count / seen).collect();
    let change = match count {
        _ if count > seen => Some(format!("{seen} of its {count} frames are seen, at even distances")),
        _ if count < seen => {
            Some(format!("its {count} frames are seen more than once, as the network sees {seen}"))
        }
        _ => None,
    };
    Ok((taken, change.into_iter().collect()))
}
