//! A model's name, and its files one after the other.

use std::ops::ControlFlow;
use std::path::PathBuf;

use super::super::model_files::{
    CONFIG, INDEX, LABELS, OPEN_CLIP, OPEN_CLIP_WEIGHTS, PROCESSOR, PROCESSORS, VIDEO_PROCESSOR, WEIGHTS,
};
use super::cache::{Cached, shards};
use super::client::Client;
use super::contents::no_weights;
use super::download::Download;
use super::hearing::{Bars, Fetching, Hear};
use super::{Result, environment, shown};
use crate::error::Error;

/// Files that go with the weights, where a repository has them.
const BESIDE: [&str; 6] = [CONFIG, PROCESSOR, PROCESSORS, VIDEO_PROCESSOR, OPEN_CLIP, LABELS];

/// The weights, or where they are said to be: the first that a repository has.
const WHOLE: [&str; 3] = [WEIGHTS, INDEX, OPEN_CLIP_WEIGHTS];

/// The folder of a model of the hub, for [`load_model`](crate::files::load_model). `name` is `OWNER/NAME`, perhaps with
/// `@REVISION`: a branch, a tag, a commit, or a pull request as `refs/pr/1`. What the cache holds in full is taken from
/// there without asking anybody; the rest is downloaded into it. The cache and all else is as the hub's own library has
/// it, and so are the variables:
///
/// | variable | says |
/// |---|---|
/// | `HF_HUB_CACHE`, or `hub` in `HF_HOME`, or in `XDG_CACHE_HOME/huggingface` | where the cache is; else in `~/.cache/huggingface/hub` |
/// | `HF_HUB_OFFLINE`, `TRANSFORMERS_OFFLINE` | with `1`, `ON`, `YES` or `TRUE`, that nobody is asked |
/// | `HF_TOKEN`, or the file `HF_TOKEN_PATH`, or `token` in `HF_HOME` | who asks; told to the endpoint alone |
/// | `HF_HUB_DISABLE_IMPLICIT_TOKEN` | that nobody is told who asks |
/// | `HF_ENDPOINT` | whom to ask; else `https://huggingface.co` |
/// | `SSL_CERT_FILE`, `REQUESTS_CA_BUNDLE` | whose certificates count; else Mozilla's list |
/// | `HF_HUB_DOWNLOAD_TIMEOUT` | after how many seconds of silence a download is given up; else 30 |
/// | `HF_HUB_DISABLE_SYMLINKS`, `HF_HUB_DISABLE_PROGRESS_BARS` | copies for links; no bars |
///
/// The older `HUGGINGFACE_HUB_CACHE` and `HUGGING_FACE_HUB_TOKEN` count where the newer are not set. `progress` draws a
/// bar for each download on stderr.
///
/// # Errors
/// [`Error::Hub`] for a name that cannot be one, and what is neither cached nor to be had: why, and what to do.
pub fn fetch_model(name: &str, progress: bool) -> crate::Result<PathBuf> {
    let mut bars = Bars::default();
    let drawn = progress && environment::may_draw();
    let hear = &mut |told: Fetching<'_>| if drawn { bars.hear(told) } else { ControlFlow::Continue(()) };
    let folder = fetch_model_heard(name, hear)?;
    bars.finish();
    Ok(folder)
}

/// [`fetch_model`] that tells how far it is, many times a second while something arrives, and gives up where it is told to: what
/// has arrived is kept for the next time. Of a server that falls silent it hears nothing, for `HF_HUB_DOWNLOAD_TIMEOUT` at most.
///
/// # Errors
/// As [`fetch_model`], and [`Error::Hub`] where it was given up.
pub fn fetch_model_heard(
    name: &str,
    hear: &mut dyn FnMut(Fetching<'_>) -> ControlFlow<()>,
) -> crate::Result<PathBuf> {
    folder(name, hear).map_err(|why| Error::Hub { model: name.into(), why })
}

fn folder(name: &str, hear: &mut Hear<'_>) -> Result<PathBuf> {
    let (id, revision) = name.split_once('@').unwrap_or((name, "main"));
    let no_name = id.split('/').count() > 2 || id.contains("--") || id.contains("..");
    if no_name || !id.split('/').chain(revision.split('/')).all(is_plain) {
        return Err("is no OWNER/NAME or OWNER/NAME@REVISION".into());
    }
    let cache = environment::cache_folder()?;
    let cached = Cached::new(&cache, id);
    if let Some(folder) = cached.whole(revision) {
        return Ok(folder);
    }
    let not_cached = |why| format!("is not in the cache {}, and {why}", cache.display());
    if let Some(variable) = environment::offline() {
        return Err(not_cached(format!("{variable} is set; `hf download {id}` fills it")));
    }
    download(&cached, id, revision, hear).map_err(not_cached)
}

/// Brings into the cache what is missing there.
fn download(cached: &Cached, id: &str, revision: &str, hear: &mut Hear<'_>) -> Result<PathBuf> {
    let client = Client::new()?;
    let listing = client.listing(id, revision)?;
    let files: Vec<&str> = listing.siblings.iter().map(|sibling| sibling.rfilename.as_str()).collect();
    let commit = listing.sha.as_str();
    let weights = WHOLE.into_iter().find(|file| files.contains(file));
    let weights = weights.ok_or_else(|| no_weights(id, client.endpoint(), &files))?;
    let _lock = cached.lock(hear)?;
    // Perhaps that was this one.
    if let Some(folder) = cached.whole(revision) {
        return Ok(folder);
    }
    let mut fetch = Download { client: &client, cached, id, commit, hear };
    // The weights come last: a cache that holds them holds everything.
    for file in BESIDE {
        if files.contains(&file) {
            fetch.file(file)?;
        }
    }
    if !files.contains(&CONFIG) {
        cached.note_absent(commit, CONFIG)?;
    }
    fetch.file(weights)?;
    if weights == INDEX {
        for shard in shards(&cached.snapshot(commit))? {
            if !is_plain(&shard) {
                return Err(format!("has an index that names {}, which is no file beside it", shown(&shard)));
            }
            fetch.file(&shard)?;
        }
    }
    cached.note_commit(revision, commit)?;
    Ok(cached.snapshot(commit))
}

/// Whether a part of a name may become part of a path.
fn is_plain(part: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.+".contains(c);
    !part.is_empty() && !part.starts_with('.') && part.chars().all(allowed)
}
