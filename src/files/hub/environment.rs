//! The environment as the hub's own library reads it. A variable that is set to nothing counts as unset.

use std::ffi::OsString;
use std::path::{MAIN_SEPARATOR, Path, PathBuf};
use std::time::Duration;

use ureq::tls::{PemItem, RootCerts, parse_pem};

use super::{MAX_TEXT, Result};
use crate::regular;

const ENDPOINT: &str = "https://huggingface.co";

/// How long a server may be silent.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where the cache is.
pub(super) fn cache_folder() -> Result<PathBuf> {
    match first(&["HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"]) {
        Some((_, folder)) => Ok(expanded(folder)),
        None => Ok(hub_home()?.join("hub")),
    }
}

/// Whom to ask, without a slash at the end.
pub(super) fn endpoint() -> String {
    let set = text("HF_ENDPOINT").unwrap_or_else(|| ENDPOINT.into());
    set.trim_end_matches('/').to_owned()
}

/// Who asks, where that was said: in a variable, or by logging in, which leaves a file.
pub(super) fn token() -> Result<Option<String>> {
    if is_on("HF_HUB_DISABLE_IMPLICIT_TOKEN") {
        return Ok(None);
    }
    for variable in ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"] {
        if let Some(token) = text(variable).and_then(|token| clean(&token)) {
            return checked(token, variable).map(Some);
        }
    }
    let path = match first(&["HF_TOKEN_PATH"]) {
        Some((_, path)) => expanded(path),
        None => hub_home()?.join("token"),
    };
    if !path.is_file() {
        return Ok(None);
    }
    clean(&read(&path)?).map(|token| checked(token, &path.display().to_string())).transpose()
}

/// Whose certificates count, in the place of those of the public web: a company's, that looks into what passes.
pub(super) fn certificates() -> Result<RootCerts> {
    let Some((variable, path)) = first(&["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"]) else {
        return Ok(RootCerts::WebPki);
    };
    let text = read(path.as_ref())?;
    let found = parse_pem(text.as_bytes()).filter_map(|item| match item {
        Ok(PemItem::Certificate(certificate)) => Some(certificate),
        _ => None,
    });
    let found: Vec<_> = found.collect();
    match found.is_empty() {
        true => Err(format!("{variable} names {}, which holds no certificates", path.display())),
        false => Ok(found.into()),
    }
}

/// The variable that forbids asking anybody, if one does.
pub(super) fn offline() -> Option<&'static str> {
    // The first that is set at all decides.
    let (variable, value) = first(&["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"])?;
    is_true(&value.to_string_lossy()).then_some(variable)
}

/// Whether the cache may hold symbolic links.
pub(super) fn may_link() -> bool {
    !is_on("HF_HUB_DISABLE_SYMLINKS")
}

/// Whether bars may be drawn.
pub(super) fn may_draw() -> bool {
    !is_on("HF_HUB_DISABLE_PROGRESS_BARS")
}

/// How long a server may be silent.
pub(super) fn patience() -> Duration {
    let seconds = text("HF_HUB_DOWNLOAD_TIMEOUT").and_then(|seconds| seconds.trim().parse().ok());
    seconds.filter(|&seconds| seconds > 0).map_or(PATIENCE, Duration::from_secs)
}

/// The folder that holds all that the hub's library keeps.
fn hub_home() -> Result<PathBuf> {
    if let Some((_, folder)) = first(&["HF_HOME"]) {
        return Ok(expanded(folder));
    }
    let caches = match first(&["XDG_CACHE_HOME"]) {
        Some((_, folder)) => expanded(folder),
        None => std::env::home_dir().ok_or("HF_HOME is not set and there is no home folder")?.join(".cache"),
    };
    Ok(caches.join("huggingface"))
}

/// A small file that the environment names.
fn read(path: &Path) -> Result<String> {
    let bytes = regular::read(path, MAX_TEXT);
    let text = bytes.and_then(|bytes| String::from_utf8(bytes).map_err(std::io::Error::other));
    text.map_err(|error| format!("{} cannot be read: {error}", path.display()))
}

/// The first of some variables that is set, and its value.
fn first(variables: &[&'static str]) -> Option<(&'static str, OsString)> {
    let value = |&variable: &&'static str| Some((variable, std::env::var_os(variable)?));
    variables.iter().filter_map(value).find(|(_, value)| !value.is_empty())
}

fn text(variable: &'static str) -> Option<String> {
    first(&[variable]).map(|(_, value)| value.to_string_lossy().into_owned())
}

fn is_on(variable: &'static str) -> bool {
    text(variable).is_some_and(|value| is_true(&value))
}

fn is_true(value: &str) -> bool {
    ["1", "ON", "YES", "TRUE"].contains(&value.to_uppercase().as_str())
}

/// A token as it was meant; none where nothing is left.
fn clean(token: &str) -> Option<String> {
    let token = token.replace(['\r', '\n'], "");
    Some(token.trim().to_owned()).filter(|token| !token.is_empty())
}

fn checked(token: String, from: &str) -> Result<String> {
    match token.chars().all(|c| c.is_ascii_graphic()) {
        true => Ok(token),
        false => Err(format!("the token in {from} is none: it has blanks or other characters")),
    }
}

/// A path with `~`, `$NAME` and `${NAME}` replaced by what they stand for, where they stand for something.
fn expanded(path: OsString) -> PathBuf {
    let Some(text) = path.to_str() else { return path.into() };
    let home = |rest: &str| Some(format!("{}{rest}", std::env::home_dir()?.to_str()?));
    let of_home =
        text.strip_prefix('~').filter(|rest| rest.is_empty() || rest.starts_with(['/', MAIN_SEPARATOR]));
    let text = of_home.and_then(home).unwrap_or_else(|| text.to_owned());
    with_variables(&text).into()
}

fn with_variables(text: &str) -> String {
    let (mut done, mut rest) = (String::new(), text);
    while let Some(at) = rest.find('$') {
        let after = &rest[at + 1..];
        let (name, length) = match after.strip_prefix('{').and_then(|inner| inner.split_once('}')) {
            Some((name, _)) => (name, name.len() + 2),
            None => {
                let end = after.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(after.len());
                (&after[..end], end)
            }
        };
        done += &rest[..at];
        match std::env::var(name) {
            Ok(value) => done += &value,
            Err(_) => done += &rest[at..at + 1 + length],
        }
        rest = &after[length..];
    }
    done + rest
}
