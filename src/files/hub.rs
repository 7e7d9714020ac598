//! Networks from the Hugging Face hub, by way of its cache.

use std::path::{Path, PathBuf};

use hf_hub::api::sync::{ApiBuilder, ApiError};
use hf_hub::{Cache, Repo, RepoType};

use super::ModelFiles;
use super::model_files::{CONFIG, INDEX, PROCESSOR, WEIGHTS};
use super::shards::named_in;
use crate::error::{Error, Result};

/// Files that go with the weights, where a repository has it.
const CONFIGS: [&str; 2] = [CONFIG, PROCESSOR];

/// The folder of a model of the hub, for [`load_model`](super::load_model). `name` is `OWNER/NAME`, perhaps with
/// `@REVISION` (a branch, a tag or a commit). What the cache holds in full is taken from there without asking anybody;
/// the rest is downloaded into it. The cache is where the hub's own library has it: `HF_HUB_CACHE`, or `hub` in
/// `HF_HOME`, or in `~/.cache/huggingface`. With `HF_HUB_OFFLINE=1` nothing is downloaded. `HF_TOKEN` and
/// `HF_ENDPOINT` count as they do there. `progress` draws a bar for each download on stderr.
///
/// # Errors
/// [`Error::Hub`] for a name that cannot be one, and what is neither cached nor to be had.
pub fn fetch_model(name: &str, progress: bool) -> Result<PathBuf> {
    let failed = |why: String| Error::Hub { model: name.into(), why };
    let (id, revision) = name.split_once('@').unwrap_or((name, "main"));
    if id.split('/').count() > 2 || !id.split('/').chain(revision.split('/')).all(is_plain) {
        return Err(failed("is no OWNER/NAME or OWNER/NAME@REVISION".into()));
    }
    let place =
        cache_folder().ok_or_else(|| failed("HF_HOME is not set and there is no home folder".into()))?;
    let repo = Repo::with_revision(id.into(), RepoType::Model, revision.into());
    let cache = Cache::new(place.clone());
    if let Some(folder) = cached(&cache, &repo) {
        return Ok(folder);
    }
    let set = |key: &str| std::env::var(key).ok().filter(|value| !value.is_empty());
    if set("HF_HUB_OFFLINE")
        .is_some_and(|on| ["1", "ON", "YES", "TRUE"].contains(&on.to_uppercase().as_str()))
    {
        return Err(failed(format!("is not in the cache {}, and HF_HUB_OFFLINE is set", place.display())));
    }

    let asked =
        |error: ApiError| failed(format!("is not in the cache {}, and the hub: {error}", place.display()));
    let mut api = ApiBuilder::from_cache(cache.clone()).with_progress(progress);
    if let Some(token) = set("HF_TOKEN") {
        api = api.with_token(Some(token));
    }
    if let Some(endpoint) = set("HF_ENDPOINT") {
        api = api.with_endpoint(endpoint);
    }
    let remote = api.build().map_err(asked)?.repo(repo.clone());
    let info = remote.info().map_err(asked)?;
    let folder = cache.repo(repo).pointer_path(&info.sha);
    let fetch = |file: &str| match folder.join(file).exists() {
        true => Ok(()),
        false => remote.download(file).map(drop).map_err(asked),
    };
    let has = |file: &str| info.siblings.iter().any(|sibling| sibling.rfilename == file);
    // The weights come last: a cache that holds them holds everything.
    for file in CONFIGS.into_iter().filter(|file| has(file)) {
        fetch(file)?;
    }
    if has(WEIGHTS) {
        fetch(WEIGHTS)?;
    } else if has(INDEX) {
        fetch(INDEX)?;
        for shard in shards(&folder)? {
            fetch(&shard)?;
        }
    } else {
        return Err(failed(format!("has neither {WEIGHTS} nor {INDEX}")));
    }
    Ok(folder)
}

/// The snapshot in the cache, if it is a whole network.
fn cached(cache: &Cache, repo: &Repo) -> Option<PathBuf> {
    let local = cache.repo(repo.clone());
    // A branch or tag has a note of its commit; a commit names its snapshot itself.
    let snapshot = local.get(CONFIG).and_then(|config| Some(config.parent()?.to_owned()));
    let folder = snapshot.unwrap_or_else(|| local.pointer_path(repo.revision()));
    let whole = folder.join(CONFIG).exists()
        && (folder.join(WEIGHTS).exists()
            || shards(&folder).is_ok_and(|all| all.iter().all(|shard| folder.join(shard).exists())));
    whole.then_some(folder)
}

/// The shards that a folder's index names.
fn shards(folder: &Path) -> Result<Vec<String>> {
    named_in(&ModelFiles::in_folder(folder).read_text(INDEX)?, &folder.join(INDEX))
}

/// Where the hub's own library keeps its cache.
fn cache_folder() -> Option<PathBuf> {
    let folder = |key: &str| std::env::var_os(key).filter(|value| !value.is_empty()).map(PathBuf::from);
    let home = || folder("HF_HOME").or_else(|| Some(std::env::home_dir()?.join(".cache/huggingface")));
    folder("HF_HUB_CACHE").or_else(|| Some(home()?.join("hub")))
}

/// Whether a part of a name may become part of a path.
fn is_plain(part: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    !part.is_empty() && !part.starts_with('.') && part.chars().all(allowed)
}
