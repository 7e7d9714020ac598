//! transformers' `preprocessor_config.json`: how a picture becomes the input.

use serde_json::Value;

use super::fields::{Fields, unsupported, wrong};
use crate::error::Result;
use crate::vit::{Config, Preprocess, Resample, Resize};

/// Mean and deviation of OpenAI's CLIP.
const OPENAI: [[f32; 3]; 2] =
    [[0.481_454_66, 0.457_827_5, 0.408_210_73], [0.268_629_54, 0.261_302_6, 0.275_777_1]];
const IMAGENET: [[f32; 3]; 2] = [[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]];
const HALF: [[f32; 3]; 2] = [[0.5; 3]; 2];

/// The image processor of a model type where nothing else is said.
pub(super) fn defaults(model_type: &str, channels: u32) -> Preprocess {
    let (values, resample, resize, crop) = match model_type {
        "clip" | "clip_vision_model" => (OPENAI, Resample::Bicubic, Resize::Shortest, 1.0),
        "dinov2" | "dinov2_with_registers" => {
            (IMAGENET, Resample::Bicubic, Resize::Shortest, ratio(224, 256))
        }
        "deit" => (HALF, Resample::Bicubic, Resize::Squash, ratio(224, 256)),
        "siglip" | "siglip_vision_model" => (HALF, Resample::Bicubic, Resize::Squash, 1.0),
        _ => (HALF, Resample::Bilinear, Resize::Squash, 1.0),
    };
    // Other numbers of channels take the first value for each.
    let per_channel = |values: [f32; 3]| match channels {
        3 => values.to_vec(),
        _ => vec![values[0]; channels as usize],
    };
    let [mean, std] = values.map(per_channel);
    Preprocess { mean, std, resample, resize, crop, floor_crop: true }
}

/// Overrides the defaults in `config` by a `preprocessor_config.json`. Where the network takes images of any size, as
/// DINOv2's does, the processor's is the input's size; otherwise the config's stays, and only the proportion of crop
/// to picture counts.
pub(super) fn apply(config: &mut Config, json: &str) -> Result<()> {
    let mut fields = Fields::parse(json)?;
    for step in ["do_resize", "do_rescale"] {
        if fields.take(step)? == Some(false) {
            return Err(unsupported(
                step,
                "false".into(),
                "pictures are resized and their bytes become [0, 1]",
            ));
        }
    }
    if let Some(factor) = fields.take::<f64>("rescale_factor")?.filter(|v| (v * 255.0 - 1.0).abs() > 1e-6) {
        return Err(unsupported("rescale_factor", factor.to_string(), "only 1/255 is"));
    }
    let preprocess = &mut config.preprocess;
    let channels = config.in_chans as usize;
    let spread = |values: Vec<f32>| if values.len() == 1 { vec![values[0]; channels] } else { values };
    if let Some(mean) = fields.take("image_mean")? {
        preprocess.mean = spread(mean);
    }
    if let Some(std) = fields.take("image_std")? {
        preprocess.std = spread(std);
    }
    if fields.take("do_normalize")? == Some(false) {
        (preprocess.mean, preprocess.std) = (vec![0.0; channels], vec![1.0; channels]);
    }
    preprocess.resample = match fields.take::<u32>("resample")? {
        None => preprocess.resample,
        Some(2) => Resample::Bilinear,
        Some(3) => Resample::Bicubic,
        Some(other) => {
            return Err(unsupported("resample", other.to_string(), "known are 2 (bilinear) and 3 (bicubic)"));
        }
    };
    if let Some(size) = fields.take::<Value>("size")? {
        geometry(config, &mut fields, &size)?;
    }
    config.check()
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
    config.preprocess.crop = ratio(input[0].min(input[1]), picture[0].min(picture[1]));
    if config.name.starts_with("dinov2") {
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

/// The crop by which `input` comes from a picture of `whole` pixels: the float for which [`Preprocess::crop`] gives
/// just that number.
fn ratio(input: u32, whole: u32) -> f32 {
    let close = input as f32 / whole as f32;
    let hits = |crop: &f32| (input as f32 / crop).floor() as u32 == whole;
    [close, close.next_down(), close.next_up()].into_iter().find(hits).unwrap_or(close)
}
