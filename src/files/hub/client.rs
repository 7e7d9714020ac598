//! What is asked of the hub, or of the mirror that stands for it; nothing that it answers is taken on trust.

use std::io::Read;

use serde::Deserialize;
use ureq::http::{HeaderMap, Uri};
use ureq::tls::TlsConfig;
use ureq::{Agent, Body};

use super::refusal::{Asked, refusal, unreachable};
use super::{MAX_TEXT, Result, environment, shown};

/// How often a request may be sent on.
const REDIRECTS: usize = 10;

/// The hub and who asks it.
pub(super) struct Client {
    agent: Agent,
    endpoint: String,
    /// The endpoint again.
    home: Uri,
    token: Option<String>,
}

/// A model as the hub describes it.
#[derive(Deserialize)]
pub(super) struct Listing {
    pub sha: String,
    #[serde(default)]
    pub siblings: Vec<Sibling>,
}

/// A file of a model.
#[derive(Deserialize)]
pub(super) struct Sibling {
    pub rfilename: String,
}

/// The beginning of a file.
pub(super) struct Answer {
    pub body: Body,
    /// How many bytes of the file are left out in front.
    pub from: u64,
    /// The bytes of the whole file.
    pub size: Option<u64>,
    pub said: Said,
}

/// What answers say about a file on the way to it.
#[derive(Default)]
pub(super) struct Said {
    /// The name of its content: a hash.
    pub etag: Option<String>,
    pub commit: Option<String>,
    size: Option<u64>,
}

impl Client {
    pub fn new() -> Result<Self> {
        let endpoint = environment::endpoint();
        let home = endpoint.parse().ok().filter(is_http);
        let home =
            home.ok_or_else(|| format!("cannot ask HF_ENDPOINT={endpoint:?}, which is no http(s)://HOST"))?;
        let patience = Some(environment::patience());
        let agent = Agent::config_builder()
            .user_agent(concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION")))
            .http_status_as_error(false)
            .max_redirects(0)
            .tls_config(TlsConfig::builder().root_certs(environment::certificates()?).build())
            .timeout_resolve(patience)
            .timeout_connect(patience)
            .timeout_recv_response(patience)
            .timeout_per_read(patience)
            .build()
            .new_agent();
        Ok(Client { agent, endpoint, home, token: environment::token()? })
    }

    /// The commit and the files of a revision.
    pub fn listing(&self, id: &str, revision: &str) -> Result<Listing> {
        let asked = Asked { id, revision, file: None };
        let path = format!("/api/models/{id}/revision/{}", quoted(revision));
        let mut text = Vec::new();
        let body = self.get(&path, 0, &asked)?.body;
        let read = body.into_reader().take(MAX_TEXT + 1).read_to_end(&mut text);
        read.map_err(|error| unreachable(&self.home, &error.to_string(), id))?;
        let listing: Listing = serde_json::from_slice(&text).map_err(|_| {
            format!("{} answers with no description of a model; a page to sign in, perhaps", self.endpoint)
        })?;
        match is_commit(&listing.sha) {
            true => Ok(listing),
            false => Err(format!(
                "{} names {} as the commit of {revision}, which is none",
                self.endpoint,
                shown(&listing.sha)
            )),
        }
    }

    /// A file of a commit, from a byte on if the server can.
    pub fn file(&self, id: &str, commit: &str, file: &str, from: u64) -> Result<Answer> {
        let asked = Asked { id, revision: commit, file: Some(file) };
        let answer = self.get(&format!("/{id}/resolve/{commit}/{}", quoted(file)), from, &asked)?;
        match &answer.said.commit {
            Some(said) if said != commit => {
                Err(format!("{} has {file} of another commit than the {commit} it named", self.endpoint))
            }
            _ => Ok(answer),
        }
    }

    /// Follows redirects by hand: the token goes to the endpoint alone, and what is said before the way leads elsewhere
    /// counts.
    fn get(&self, path: &str, from: u64, asked: &Asked) -> Result<Answer> {
        let url = format!("{}{path}", self.endpoint);
        let mut url: Uri = url.parse().map_err(|_| format!("cannot ask {url:?}, which is no address"))?;
        let mut said = Said::default();
        for _ in 0..REDIRECTS {
            let own = is_same_server(&url, &self.home);
            let mut request = self.agent.get(&url).header("accept-encoding", "identity");
            if let Some(token) = self.token.as_ref().filter(|_| own) {
                request = request.header("authorization", format!("Bearer {token}"));
            }
            if from > 0 {
                request = request.header("range", format!("bytes={from}-"));
            }
            let answer = request.call().map_err(|error| unreachable(&url, &error.to_string(), asked.id))?;
            said.hear(answer.headers(), own);
            match answer.status().as_u16() {
                200 | 206 => return Answer::new(answer.into_parts(), said, from),
                301 | 302 | 303 | 307 | 308 => url = next(&url, header(answer.headers(), "location"))?,
                416 if from > 0 => return self.get(path, 0, asked),
                status => {
                    let known = self.token.is_some() && own;
                    return Err(refusal(&url, status, answer.headers(), asked, known));
                }
            }
        }
        Err(format!("{} sends the request on without end", self.endpoint))
    }

    /// Where the hub is.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }
}

impl Answer {
    fn new((parts, body): (ureq::http::response::Parts, Body), said: Said, asked: u64) -> Result<Self> {
        let length = body.content_length();
        let (from, whole) = match (parts.status.as_u16(), header(&parts.headers, "content-range")) {
            (206, Some(range)) => {
                let (from, whole) =
                    content_range(range).ok_or_else(|| format!("got {} as a range", shown(range)))?;
                (from, Some(whole))
            }
            _ => (0, length),
        };
        if from != 0 && from != asked {
            return Err(format!("got bytes from {from} on for those from {asked} on"));
        }
        match (said.size, whole) {
            (Some(said), Some(is)) if said != is => Err(format!("got {is} bytes of a file of {said}")),
            (said_size, whole) => Ok(Answer { body, from, size: said_size.or(whole), said }),
        }
    }
}

impl Said {
    /// What comes first counts, and another server's own etag is none of the hub's.
    fn hear(&mut self, headers: &HeaderMap, own: bool) {
        let linked = header(headers, "x-linked-etag").and_then(hash);
        let etag = header(headers, "etag").filter(|_| own).and_then(hash);
        self.etag = self.etag.take().or(linked).or(etag);
        let commit = header(headers, "x-repo-commit").map(str::to_owned);
        self.commit = self.commit.take().or(commit);
        let size = header(headers, "x-linked-size").and_then(|size| size.parse().ok());
        self.size = self.size.or(size);
    }
}

/// Whether these are the 40 digits of a commit.
pub(super) fn is_commit(text: &str) -> bool {
    text.len() == 40 && is_hex(text)
}

pub(super) fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// The hash in an etag, if it is one: nothing else names a file in the cache.
fn hash(etag: &str) -> Option<String> {
    let hash = etag.strip_prefix("W/").unwrap_or(etag).trim_matches('"');
    is_hash(hash).then(|| hash.to_owned())
}

/// Whether this is git's hash or SHA-256.
pub(super) fn is_hash(text: &str) -> bool {
    [40, 64].contains(&text.len()) && is_hex(text)
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'))
}

/// `bytes FIRST-LAST/WHOLE`.
fn content_range(range: &str) -> Option<(u64, u64)> {
    let (range, whole) = range.strip_prefix("bytes ")?.split_once('/')?;
    Some((range.split_once('-')?.0.parse().ok()?, whole.parse().ok()?))
}

fn is_http(url: &Uri) -> bool {
    matches!(url.scheme_str(), Some("http" | "https")) && url.host().is_some_and(|host| !host.is_empty())
}

fn is_same_server(a: &Uri, b: &Uri) -> bool {
    let port = |url: &Uri| url.port_u16().unwrap_or(if url.scheme_str() == Some("https") { 443 } else { 80 });
    let host = |url: &Uri| url.host().map(str::to_lowercase);
    a.scheme() == b.scheme() && host(a) == host(b) && port(a) == port(b)
}

/// Where a redirect leads.
fn next(from: &Uri, location: Option<&str>) -> Result<Uri> {
    let failed = |why: &str| format!("{} sends the request on to {why}", from.host().unwrap_or_default());
    let location = location.filter(|to| !to.is_empty()).ok_or_else(|| failed("nowhere"))?;
    let scheme = from.scheme_str().unwrap_or_default();
    let server = format!("{scheme}://{}", from.authority().map_or("", |authority| authority.as_str()));
    let url = match location {
        _ if location.starts_with("//") => format!("{scheme}:{location}"),
        _ if location.starts_with('/') => format!("{server}{location}"),
        // A colon before all slashes ends a scheme.
        _ if location.split('/').next().is_some_and(|first| first.contains(':')) => location.into(),
        _ => {
            let folder = from.path().rsplit_once('/').map_or("", |(folder, _)| folder);
            format!("{server}{folder}/{location}")
        }
    };
    let url: Uri = url.parse().ok().filter(is_http).ok_or_else(|| failed("no address"))?;
    match scheme == "https" && url.scheme_str() != Some("https") {
        true => Err(failed("an address that is not encrypted")),
        false => Ok(url),
    }
}

/// A part of an address.
fn quoted(part: &str) -> String {
    let plain = |c: u8| c.is_ascii_alphanumeric() || b"-_.~".contains(&c);
    part.bytes().map(|c| if plain(c) { char::from(c).to_string() } else { format!("%{c:02X}") }).collect()
}
