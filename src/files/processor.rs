//! transformers' `preprocessor_config.json`: how a picture becomes the input.

use serde::Deserialize;
use serde_json::Value;

use super::fields::{Fields, unsupported, wrong};
use crate::error::Result;
use crate::vit::{Config, Preprocess, Resample, Resize};

/// Mean and deviation of OpenAI's CLIP.
pub(super) const OPENAI: [[f32; 3]; 2] =
    [[0.481_454_66, 0.457_827_5, 0.408_210_73], [0.268_629_54, 0.261_302_6, 0.275_777_1]];
const IMAGENET: [[f32; 3]; 2] = [[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]];
const HALF: [[f32; 3]; 2] = [[0.5; 3]; 2];

/// What a class of transformers does where its file leaves something out.
pub(super) struct Class {
    values: [[f32; 3]; 2],
    resample: Resample,
    /// What a size that is one number is for.
    bare: Resize,
    /// The side that a picture is resized to, and what is cut out of it.
    sides: [u32; 2],
    /// Whether bytes become [-1, 1] before mean and deviation are applied, instead of [0, 1].
    offset: bool,
}

pub(super) const VIT: Class = Class {
    values: HALF,
    resample: Resample::Bilinear,
    bare: Resize::Squash,
    sides: [224, 224],
    offset: false,
};
pub(super) const SIGLIP: Class = Class { resample: Resample::Bicubic, ..VIT };
pub(super) const SIGLIP2: Class = VIT;
pub(super) const DEIT: Class = Class { sides: [256, 224], ..SIGLIP };
pub(super) const CLIP: Class = Class { values: OPENAI, bare: Resize::Shortest, ..SIGLIP };
/// The class does otherwise where nothing is said, but all networks of this kind were trained like this.
pub(super) const DINOV2: Class = Class { values: IMAGENET, sides: [256, 224], ..CLIP };
pub(super) const VIDEO_MAE: Class = Class { bare: Resize::Shortest, ..VIT };
pub(super) const VIVIT: Class = Class { sides: [256, 224], offset: true, ..VIDEO_MAE };
pub(super) const DINOV3: Class = Class { values: IMAGENET, ..VIT };
/// Shortest edge and crop below 384 pixels, see [`by_share`].
const CONVNEXT: Class = Class { bare: Resize::Shortest, sides: [256, 224], ..VIT };

/// By `image_processor_type` or `feature_extractor_type` without their endings.
const CLASSES: [(&str, Class); 11] = [
    ("ViT", VIT),
    ("DeiT", DEIT),
    ("Beit", DEIT),
    ("CLIP", CLIP),
    ("Bit", CLIP),
    ("Siglip", SIGLIP),
    ("Siglip2", SIGLIP2),
    ("DINOv3ViT", DINOV3),
    ("ConvNext", CONVNEXT),
    ("VideoMAE", VIDEO_MAE),
    ("Vivit", VIVIT),
];

impl Class {
    /// How pictures are most likely prepared for a model type whose files do not say it.
    pub(super) fn assumed(&self, model_type: &str, channels: u32) -> Preprocess {
        let mut preprocess = self.preprocess(channels, format!("assumed for `{model_type}`"));
        if self.offset {
            shift(&mut preprocess, 1.0 / 127.5, 1.0);
        }
        preprocess
    }

    fn preprocess(&self, channels: u32, source: String) -> Preprocess {
        // Other numbers of channels take the first value for each.
        let per_channel = |values: [f32; 3]| match channels {
            3 => values.to_vec(),
            _ => vec![values[0]; channels as usize],
        };
        let [mean, std] = self.values.map(per_channel);
        let [whole, input] = self.sides;
        Preprocess {
            mean,
            std,
            resample: self.resample,
            resize: self.bare,
            crop: Preprocess::share(input, whole),
            floor_crop: true,
            bgr: false,
            exif: true,
            reduced: false,
            source,
        }
    }
}

/// Reads a `preprocessor_config.json`, or the `processor_config.json` that transformers 5 writes for CLIP and SigLIP; what
/// the file leaves out its class decides. Where the network takes images of any size, as DINOv2's does, the processor's is
/// the input's size; otherwise the config's stays, and only the proportion of crop to picture counts. Says what was guessed.
pub(super) fn apply(config: &mut Config, mut fields: Fields, file: &str) -> Result<Option<String>> {
    for within in ["image_processor", "video_processor"] {
        if let Some(inner) = fields.take(within)? {
            fields = Fields(inner);
        }
    }
    let mut kind: Option<String> = None;
    for field in ["image_processor_type", "video_processor_type", "feature_extractor_type"] {
        kind = kind.or(fields.take(field)?);
    }
    let endings = ["Fast", "Pil", "ImageProcessor", "VideoProcessor", "FeatureExtractor"];
    let stem = kind
        .as_deref()
        .map(|kind| endings.iter().fold(kind, |name, end| name.strip_suffix(end).unwrap_or(name)));
    let class = stem.and_then(|stem| CLASSES.iter().find(|(name, _)| *name == stem));
    let before = config.preprocess.clone();
    config.preprocess = match class {
        Some((_, class)) => class.preprocess(config.in_chans, file.into()),
        None => Preprocess { source: file.into(), ..before.clone() },
    };
    let size = if config.packed.is_some() { "max_num_patches" } else { "size" };
    let complete = ["image_mean", "image_std", "resample", size].iter().all(|field| fields.has(field));
    let guess = match (&kind, class) {
        (Some(kind), None) if !complete => Some(format!(
            "{file}: image_processor_type `{kind}` is not known; what the file leaves out is {}",
            before.source
        )),
        (None, _) if !complete => {
            Some(format!("{file} does not say everything; what it leaves out is {}", before.source))
        }
        _ => None,
    };

    for step in ["do_resize", "do_rescale"] {
        if fields.take(step)? == Some(false) {
            return Err(unsupported(
                step,
                "false".into(),
                "pictures are resized and their bytes become [0, 1]",
            ));
        }
    }
    let has_offset = class.is_some_and(|(_, class)| class.offset);
    let whole = if has_offset { 127.5 } else { 255.0 };
    let factor = fields.take::<f64>("rescale_factor")?;
    if let Some(factor) = factor.filter(|v| !has_offset && (v * whole - 1.0).abs() > 1e-6) {
        return Err(unsupported("rescale_factor", factor.to_string(), "only 1/255 is"));
    }
    let preprocess = &mut config.preprocess;
    let channels = config.in_chans as usize;
    for (field, values) in [("image_mean", &mut preprocess.mean), ("image_std", &mut preprocess.std)] {
        match fields.take::<Scalars>(field)? {
            None => {}
            Some(Scalars::One(value)) => *values = vec![value; channels],
            Some(Scalars::Some(given)) if given.len() == 1 => *values = vec![given[0]; channels],
            Some(Scalars::Some(given)) => *values = given,
        }
    }
    if fields.take("do_normalize")? == Some(false) {
        (preprocess.mean, preprocess.std) = (vec![0.0; channels], vec![1.0; channels]);
    }
    if has_offset {
        let offset = if fields.take("offset")?.unwrap_or(true) { 1.0 } else { 0.0 };
        shift(preprocess, factor.unwrap_or(1.0 / whole), offset);
    }
    preprocess.bgr = fields.take("do_flip_channel_order")?.unwrap_or(false);
    if let Some(filter) = fields.take::<Value>("resample")? {
        preprocess.resample = resample(&filter)?;
    }
    if let Some(packed) = &mut config.packed {
        let most: Option<u32> = fields.take("max_num_patches")?;
        packed.patches = most.unwrap_or(256);
        if let Some(patch) =
            fields.take::<u32>("patch_size")?.filter(|&patch| config.patch_size != [patch; 2])
        {
            let why = format!("the network's patches are of {:?} pixels", config.patch_size);
            return Err(unsupported("patch_size", patch.to_string(), &why));
        }
        config.check()?;
        return Ok(guess);
    }
    let size = fields.take::<Value>("size")?;
    if stem == Some("ConvNext") {
        by_share(config, &mut fields, size)?;
    } else if let Some(size) = size {
        geometry(config, &mut fields, &size)?;
    }
    config.check()?;
    Ok(guess)
}

/// Mean and deviation of bytes times a factor less an offset, as those of bytes in [0, 1].
fn shift(preprocess: &mut Preprocess, factor: f64, offset: f64) {
    let all = 255.0 * factor;
    preprocess.mean.iter_mut().for_each(|mean| *mean = ((f64::from(*mean) + offset) / all) as f32);
    preprocess.std.iter_mut().for_each(|std| *std = (f64::from(*std) / all) as f32);
}

/// One value for all channels, or one for each.
#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a number or a list of them")]
enum Scalars {
    One(f32),
    Some(Vec<f32>),
}

/// Pillow's numbers for its filters, or their names.
fn resample(filter: &Value) -> Result<Resample> {
    match (filter.as_u64(), filter.as_str()) {
        (_, Some(name)) => Resample::named("resample", &name.to_ascii_lowercase()),
        (Some(1), _) => Ok(Resample::Lanczos),
        (Some(2), _) => Ok(Resample::Bilinear),
        (Some(3), _) => Ok(Resample::Bicubic),
        (Some(4), _) => Ok(Resample::Box),
        (Some(5), _) => Ok(Resample::Hamming),
        _ => {
            let known = "known are 1 (lanczos), 2 (bilinear), 3 (bicubic), 4 (box) and 5 (hamming)";
            Err(unsupported("resample", filter.to_string(), known))
        }
    }
}

/// ConvNeXT's way: below 384 pixels a picture is resized by its shortest edge to the size over `crop_pct` and cut, from
/// there on squashed.
fn by_share(config: &mut Config, fields: &mut Fields, size: Option<Value>) -> Result<()> {
    let size =
        size.map_or(Ok(384), |size| sides("size", &size, Resize::Shortest).map(|(sides, _)| sides[0]))?;
    let share = fields.take("crop_pct")?.unwrap_or(224.0 / 256.0);
    (config.preprocess.resize, config.preprocess.crop) =
        if size < 384 { (Resize::Shortest, share) } else { (Resize::Squash, 1.0) };
    Ok(())
}

/// Resizing and crop.
fn geometry(config: &mut Config, fields: &mut Fields, size: &Value) -> Result<()> {
    let before = &config.preprocess;
    let (picture, resize) = sides("size", size, before.resize)?;
    let crops = fields.take("do_center_crop")?.unwrap_or(before.crop < 1.0 || resize == Resize::Shortest);
    let input = match fields.take::<Value>("crop_size")?.filter(|_| crops) {
        Some(crop) => sides("crop_size", &crop, Resize::Squash)?.0,
        None if crops => config.image_size.map(|side| side.min(picture[0].min(picture[1]))),
        None if resize == Resize::Shortest => {
            let why = "inputs are of one size: a picture resized by its shortest edge is cropped";
            return Err(unsupported("do_center_crop", "false".into(), why));
        }
        None => picture,
    };
    if input.iter().zip(&picture).any(|(input, picture)| input > picture) {
        return Err(unsupported(
            "crop_size",
            format!("{input:?}"),
            "the crop lies within the resized picture",
        ));
    }
    let product = |a: u32, b: u32| u64::from(a) * u64::from(b);
    if resize == Resize::Squash && product(input[0], picture[1]) != product(input[1], picture[0]) {
        return Err(unsupported("crop_size", format!("{input:?}"), "it has the proportions of `size`"));
    }
    config.preprocess.resize = resize;
    config.preprocess.crop = Preprocess::share(input[0].min(input[1]), picture[0].min(picture[1]));
    if ["dinov2", "dinov3", "beit", "data2vec"].iter().any(|name| config.name.starts_with(name)) {
        config.image_size = input;
    }
    Ok(())
}

/// Height and width, and whether they are for both sides or for the shortest edge. A bare number is the one or the
/// other, as the processor has it.
fn sides(field: &str, size: &Value, bare: Resize) -> Result<([u32; 2], Resize)> {
    let number = |value: &Value| {
        let number =
            value.as_u64().and_then(|number| u32::try_from(number).ok()).filter(|&number| number > 0);
        number.ok_or_else(|| wrong(field, format!("{size} says no size")))
    };
    if size.is_number() {
        return Ok(([number(size)?; 2], bare));
    }
    if let Some([height, width]) = size.as_array().map(Vec::as_slice) {
        return Ok(([number(height)?, number(width)?], Resize::Squash));
    }
    if size.get("longest_edge").is_some() {
        return Err(unsupported(
            field,
            size.to_string(),
            "known are `height` and `width`, or `shortest_edge`",
        ));
    }
    match size.get("shortest_edge") {
        Some(edge) => Ok(([number(edge)?; 2], Resize::Shortest)),
        None => Ok(([number(&size["height"])?, number(&size["width"])?], Resize::Squash)),
    }
}
