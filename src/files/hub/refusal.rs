//! What the hub answers instead of a file, in words that say what to do.

use ureq::http::{HeaderMap, Uri};

use super::client::header;
use super::shown;

/// What was asked for.
pub(super) struct Asked<'a> {
    pub id: &'a str,
    pub revision: &'a str,
    pub file: Option<&'a str>,
}

/// The words for a status; `known` tells whether a token was sent along.
pub(super) fn refusal(url: &Uri, status: u16, headers: &HeaderMap, asked: &Asked, known: bool) -> String {
    let host = host(url);
    let page = format!("{}://{host}/{}", url.scheme_str().unwrap_or("https"), asked.id);
    let log_in = "log in (`hf auth login`) or set HF_TOKEN";
    let code = header(headers, "x-error-code").unwrap_or_default();
    let message = header(headers, "x-error-message").unwrap_or_default();
    let why = match (status, code) {
        (401 | 403, "GatedRepo") if known => {
            format!("is gated, and this token has no access: ask for it on {page}, or wait until it is granted")
        }
        (401 | 403, "GatedRepo") => format!("is gated: ask for access on {page}, then {log_in}"),
        (_, "RevisionNotFound") => format!("has no branch, tag or commit {}", asked.revision),
        (_, "EntryNotFound") => format!("has no file {} at {}", asked.file.unwrap_or("of this name"), asked.revision),
        (401, _) if known && code != "RepoNotFound" => {
            format!("cannot be asked for with this token, which is not valid there: {log_in} anew")
        }
        (401, _) | (404, "RepoNotFound") if known => {
            "is no model there, or a private one that this token may not read: look at the name and at the token's \
             permissions"
                .into()
        }
        (401, _) | (404, "RepoNotFound") => no_such(log_in),
        (404, _) if asked.file.is_none() => no_such(log_in),
        (404, _) => format!("has no file {} at {}", asked.file.unwrap_or_default(), asked.revision),
        (403, _) if known => "may not be read with this token: look at its permissions".into(),
        (403, _) => format!("may not be read by everybody: {log_in}"),
        (429, _) => {
            let wait = header(headers, "retry-after").and_then(|wait| wait.parse::<u32>().ok());
            let wait = wait.map_or("wait a while".into(), |seconds| format!("wait {seconds} seconds"));
            let token = if known { "" } else { "; who logs in or sets HF_TOKEN may ask more often" };
            format!("was asked for too often from here (too many requests): {wait}{token}")
        }
        (407, _) => "cannot be had through the proxy, which wants a name and a password".into(),
        (500.., _) => "cannot be had now, the fault is the server's: try again later".into(),
        _ => "cannot be had".into(),
    };
    let said = if message.is_empty() { String::new() } else { format!(": {}", shown(message)) };
    format!("{why} ({host} answers {status}{said})")
}

/// The words for a server that does not answer, or stops.
pub(super) fn unreachable(url: &Uri, error: &str, id: &str) -> String {
    let hint = match error.contains("certificate") {
        true => {
            "where a company looks into what passes, SSL_CERT_FILE names a file with its certificates".into()
        }
        false => format!(
            "without a network, `hf download {id}` where there is one and copy the cache, or name a folder with its files"
        ),
    };
    format!("{} cannot be reached ({error}); {hint}", host(url))
}

fn no_such(log_in: &str) -> String {
    format!("is no model there, or a private one: look at the name; for a private one {log_in}")
}

fn host(url: &Uri) -> String {
    let host = url.host().unwrap_or_default();
    url.port_u16().map_or(host.to_owned(), |port| format!("{host}:{port}"))
}
