//! The part after the encoder, and the names of its classes.

use std::collections::BTreeMap;

use crate::error::Result;
use crate::files::fields::{Fields, quoted, unsupported, wrong};

/// The part after the encoder: the class in `architectures`.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Head {
    None,
    Classes,
    /// DeiT's two.
    Teacher,
    /// Into the space that images share with texts.
    Projection,
}

/// How classes with a classifier are called.
const CLASSIFIERS: [&str; 3] = ["ForImageClassification", "ForAudioClassification", "ForVideoClassification"];

/// The class says what follows the encoder; without one it is the encoder alone.
pub(super) fn head(top: &mut Fields) -> Result<Head> {
    let classes: Vec<String> = top.take("architectures")?.unwrap_or_default();
    let Some(class) = classes.first() else { return Ok(Head::None) };
    match class.as_str() {
        class if class.ends_with("ForImageClassificationWithTeacher") => Ok(Head::Teacher),
        class if CLASSIFIERS.iter().any(|end| class.ends_with(end)) => Ok(Head::Classes),
        "CLIPModel" | "CLIPVisionModelWithProjection" | "Aimv2Model" => Ok(Head::Projection),
        "ViTMAEForPreTraining"
        | "VideoMAEForPreTraining"
        | "BeitForMaskedImageModeling"
        | "ViTForMaskedImageModeling"
        | "DeiTForMaskedImageModeling" => Ok(Head::None),
        class if class.ends_with("Model") || class.ends_with("Backbone") => Ok(Head::None),
        other => {
            let known = "known are the models themselves, `...ForImageClassification` and the like";
            Err(unsupported("architectures", quoted(other), known))
        }
    }
}

/// The most names that are made of a number alone.
const MOST_LABELS: u32 = 1 << 16;

/// The classes' names in order: `id2label`, or transformers' own for so many as `num_labels` says, which are two.
pub(super) fn labels(top: &mut Fields) -> Result<Vec<String>> {
    let count: Option<u32> = top.take("num_labels")?;
    let Some(names) = top.take::<BTreeMap<String, String>>("id2label")? else {
        let count = count.unwrap_or(2);
        if count > MOST_LABELS {
            return Err(wrong("num_labels", format!("{count} classes without names are too many")));
        }
        return Ok((0..count).map(|class| format!("LABEL_{class}")).collect());
    };
    let name = |class: usize| {
        let why = || wrong("id2label", format!("{} names, and none for class {class}", names.len()));
        names.get(&class.to_string()).cloned().ok_or_else(why)
    };
    (0..names.len()).map(name).collect()
}
