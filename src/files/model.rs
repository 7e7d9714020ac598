//! A network as it is downloaded: its config and its tensors.

use std::io::{Read, Seek};
use std::path::Path;

use super::fields::Fields;
use super::locate::locate;
use super::model_files::{
    CONFIG, INDEX, LABELS, OPEN_CLIP, OPEN_CLIP_WEIGHTS, PROCESSOR, PROCESSORS, VIDEO_PROCESSOR, WEIGHTS,
};
use super::names::{self, Layout};
use super::settle::settle;
use super::shards::Shards;
use super::waves;
use super::{
    Checkpoint, ModelFiles, TensorReader, autoencoder, broken, feature_extractor, naflex, open_clip,
    processor, timm_config, torchvision, transformers,
};
use crate::error::{Error, Result};
use crate::vit::autoencoder::Autoencoder;
use crate::vit::{Config, Scores, Tensor, Weights};

/// Loads a network as it is downloaded, in the layout of timm, Hugging Face transformers, torchvision or SWAG. `path`
/// is a folder that holds `model.safetensors` or, for shards, `model.safetensors.index.json`, or such a file itself;
/// beside it lie `config.json` (without one, torchvision's and SWAG's networks are known by the names and shapes of
/// their tensors) and perhaps transformers' `preprocessor_config.json`. `config` names another config. Where the
/// config has no class names, `labels.txt` beside it gives them, one a line. Positions of another, square grid than
/// the config's are resampled. The names and shapes of all tensors are checked against the config; their values stay in
/// the files until they are asked for.
///
/// # Errors
/// [`Error::File`](crate::Error::File) for what cannot be read, [`Error::Config`](crate::Error::Config),
/// [`Error::Unsupported`](crate::Error::Unsupported) and [`Error::Weight`](crate::Error::Weight) for what does
/// not make a network.
pub fn load_model(path: &Path, config: Option<&Path>) -> Result<(Config, Checkpoint)> {
    let (files, weights) = locate(path, config)?;
    load(files, &weights, None)
}

/// [`load_model`] for a file that has no config, or another than its network: what it is says an architecture, one of
/// [`Config::PRESETS`], with as many classes as the file has. How pictures are prepared is assumed, and a
/// [warning](Checkpoint::warnings).
///
/// # Errors
/// As [`load_model`].
pub fn load_model_as(path: &Path, architecture: &str) -> Result<(Config, Checkpoint)> {
    let known = timm_config::named(architecture)?;
    let (files, weights) = locate(path, None)?;
    load(files, &weights, Some(known))
}

/// Loads a network from files that need not lie on a disk: `model.safetensors` (or `model.safetensors.index.json` and
/// the shards that it names), `config.json`, and whatever else [`load_model`] looks for in a folder.
///
/// # Errors
/// As [`load_model`].
pub fn load_files(files: ModelFiles) -> Result<(Config, Checkpoint)> {
    let weights = [WEIGHTS, INDEX, OPEN_CLIP_WEIGHTS].into_iter().find(|name| files.has(name));
    load(files, weights.unwrap_or(WEIGHTS), None)
}

/// A network as its config or its tensors describe it.
struct Described {
    config: Config,
    layout: &'static Layout,
    /// To be said.
    warnings: Vec<String>,
}

fn load(
    mut files: ModelFiles,
    weights: &str,
    known: Option<(Config, &'static Layout)>,
) -> Result<(Config, Checkpoint)> {
    let (Described { mut config, layout, warnings }, shards) = match known {
        Some(known) => as_told(known, Shards::open(&mut files, weights)?),
        None if files.has(CONFIG) => {
            let described = read_config(&mut files)?;
            (described, Shards::open(&mut files, weights)?)
        }
        None if files.has(OPEN_CLIP) => {
            let (config, layout) = open_clip::parse(files.read_fields(OPEN_CLIP)?, OPEN_CLIP)?;
            let mut shards = Shards::open(&mut files, weights)?;
            shards.only(open_clip::TOWER);
            (Described { config, layout, warnings: Vec::new() }, shards)
        }
        // What is missing then is the config, whatever else is.
        None if !files.has(weights) => return Err(broken(&files.path(CONFIG), "is missing")),
        None => recognise(Shards::open(&mut files, weights)?, &files.path(CONFIG), weights)?,
    };
    let layout = match layout.autoencoder {
        Some(kind) => autoencoder::tell(kind, &mut config, &shards)?,
        None => layout,
    };
    read_labels(&mut config, &mut files)?;
    let mut checkpoint = Checkpoint::new(shards, layout)?;
    warnings.into_iter().for_each(|warning| checkpoint.warn(warning));
    if layout.turns_projection {
        open_clip::complete(&config, &mut checkpoint)?;
    }
    if layout.waves {
        waves::insert(&config, &mut checkpoint)?;
    }
    let added = match layout.autoencoder {
        Some(Autoencoder::SpaceTime) => autoencoder::add_positions(&config, &mut checkpoint),
        _ if layout.naflex => naflex::settle(&config, &mut checkpoint),
        _ => Ok(()),
    };
    let settled = added.and_then(|()| settle(&mut config, &mut checkpoint));
    settled.map_err(|error| in_words_of_the_file(error, layout, &checkpoint, &files.path(weights)))?;
    Ok((config, checkpoint))
}

/// A network that the caller names, of timm's, torchvision's, or OpenAI's and open_clip's tensors.
fn as_told((mut config, own): (Config, &'static Layout), mut shards: Shards) -> (Described, Shards) {
    torchvision::canonical(&mut shards);
    let has = |name: &str| shards.shape(name).is_some();
    let layout = match (has("conv_proj.weight"), has("visual.conv1.weight")) {
        (true, _) => &names::TORCHVISION,
        (_, true) => &names::OPEN_CLIP,
        _ => own,
    };
    let heads =
        ["heads.head.weight", "head.weight", "head.projection.weight", "linear_head.weight", "visual.proj"];
    let head = heads.iter().find_map(|name| shards.shape(name)).unwrap_or_default();
    // CLIP's projection lies the other way round.
    let rows = if layout.turns_projection { head.last() } else { head.first() };
    config.num_classes = rows.and_then(|&rows| u32::try_from(rows).ok()).unwrap_or(0);
    config.scores = timm_config::scores(&config);
    if layout.turns_projection {
        shards.only(open_clip::TOWER);
        config.scores = Scores::None;
    }
    let warnings = vec![match &config.sound {
        Some(sound) => format!("how sounds are heard is assumed: {sound}"),
        None => format!("how pictures are prepared is assumed: {}", config.preprocess),
    }];
    (Described { config, layout, warnings }, shards)
}

/// A network without a config, by its tensors.
fn recognise(mut shards: Shards, config: &Path, weights: &str) -> Result<(Described, Shards)> {
    torchvision::canonical(&mut shards);
    if let Some((config, warnings)) = torchvision::recognise(&shards, weights)? {
        return Ok((Described { config, layout: &names::TORCHVISION, warnings }, shards));
    }
    if let Some((config, warnings)) = open_clip::recognise(&shards, weights)? {
        shards.only(open_clip::TOWER);
        return Ok((Described { config, layout: &names::OPEN_CLIP, warnings }, shards));
    }
    let some: Vec<&str> = shards.names().take(3).collect();
    Err(broken(
        config,
        format!(
            "is missing, and the tensors' names ({}) are neither torchvision's nor OpenAI's; put the network's config.json there, or say \
             what it is by --arch, such as vit_base_patch16_224",
            some.join(", ")
        ),
    ))
}

/// An error about one of timm's tensors, by the name that it has in the file.
fn in_words_of_the_file(error: Error, layout: &Layout, checkpoint: &Checkpoint, file: &Path) -> Error {
    let Error::Weight { name, why } = error else { return error };
    let own = checkpoint.name_in_files(&name).map(str::to_owned).or_else(|| layout.original(&name));
    let hint = match name.starts_with("head.") && why.contains("config asks for") {
        true => "; the config's number of classes is not the file's (id2label, num_labels or num_classes)",
        false => "",
    };
    Error::Weight { name: own.unwrap_or(name), why: format!("{why}{hint} ({})", file.display()) }
}

/// Reads a `config.json`, timm's (hub layout) or transformers' (which has a `model_type`).
///
/// # Errors
/// [`Error::Config`](crate::Error::Config) for nonsense, [`Error::Unsupported`](crate::Error::Unsupported) for what
/// the libraries know and this crate does not; both name the field.
pub fn parse_config(json: &str) -> Result<Config> {
    Ok(parse(Fields::parse(json)?)?.0)
}

/// All tensors of a safetensors file (f32, f16 or bf16), by the names that they have there.
///
/// # Errors
/// [`Error::Weight`](crate::Error::Weight) for a tensor of another type, [`Error::File`](crate::Error::File) where
/// reading fails.
pub fn read_weights<R: Read + Seek>(reader: &mut TensorReader<R>) -> Result<Weights> {
    let mut weights = Weights::new();
    for name in reader.names() {
        let shape = reader.shape(&name)?.to_vec();
        let data = reader.read(&name, 0..shape.iter().product())?;
        weights.insert(name, Tensor { shape, data });
    }
    Ok(weights)
}

fn parse(top: Fields) -> Result<(Config, &'static Layout)> {
    match is_transformers(&top) && !timm_config::is_wrapped(&top) {
        true => transformers::parse(top),
        false => timm_config::parse(top),
    }
}

fn is_transformers(top: &Fields) -> bool {
    top.has("model_type")
}

fn read_config(files: &mut ModelFiles) -> Result<Described> {
    let top = files.read_fields(CONFIG)?;
    let folder = files.path(CONFIG);
    // timm's folders may hold a processor's config for transformers' pipelines; their own config says it all.
    let has_processor = is_transformers(&top) && !timm_config::is_wrapped(&top);
    let (mut config, layout) = parse(top).map_err(|error| about(error, CONFIG))?;
    let mut warnings = Vec::new();
    if !has_processor && let Some(sound) = &config.sound {
        warnings.push(format!("{}: that it hears, and how, is {}: {sound}", folder.display(), sound.source));
    } else if !has_processor && config.preprocess.source.starts_with("assumed") {
        let folder = folder.display();
        warnings.push(format!("{folder} does not say how pictures are prepared: {}", config.preprocess));
    }
    if has_processor {
        match [PROCESSOR, VIDEO_PROCESSOR, PROCESSORS].into_iter().find(|name| files.has(name)) {
            Some(name) => {
                let fields = files.read_fields(name)?;
                let guess = match config.sound.is_some() {
                    true => feature_extractor::apply(&mut config, fields, name),
                    false => processor::apply(&mut config, fields, name),
                };
                warnings.extend(guess.map_err(|error| about(error, name))?);
            }
            None => warnings.push(match &config.sound {
                Some(sound) => format!(
                    "{}: there is no {PROCESSOR} beside it; how sounds are heard is {}: {sound}",
                    folder.display(),
                    sound.source
                ),
                None => format!(
                    "{}: there is no {PROCESSOR} beside it; how pictures are prepared is {}: {}",
                    folder.display(),
                    config.preprocess.source,
                    config.preprocess
                ),
            }),
        }
    }
    Ok(Described { config, layout, warnings })
}

/// An error about a field, with the file that it stands in where that is not `config.json`.
fn about(error: Error, file: &str) -> Error {
    let named = |field: String| if file == CONFIG { field } else { format!("{file}: {field}") };
    match error {
        Error::Config { field, why } => Error::Config { field: named(field), why },
        Error::Unsupported { field, value, why } => Error::Unsupported { field: named(field), value, why },
        error => error,
    }
}

fn read_labels(config: &mut Config, files: &mut ModelFiles) -> Result<()> {
    if config.labels.is_empty() && files.has(LABELS) {
        let path = files.path(LABELS);
        config.labels = files.read_text(LABELS)?.lines().map(str::to_owned).collect();
        if config.labels.len() != config.num_classes as usize {
            let why = format!("{} lines for {} classes", config.labels.len(), config.num_classes);
            return Err(broken(&path, why));
        }
    }
    Ok(())
}
