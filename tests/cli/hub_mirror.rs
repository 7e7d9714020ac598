//! A hub on this machine, as honest as a test wants it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::golden;

pub const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// What a client asked.
#[derive(Clone, Default)]
pub struct Asked {
    pub path: String,
    pub authorization: Option<String>,
    pub range: Option<String>,
}

/// What it gets; `length` is what the answer says of its length, where that is a lie.
#[derive(Default)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
    pub length: Option<u64>,
    /// Zeros after the body, without a length.
    pub endless: bool,
    /// Nothing for so long before the connection ends.
    pub silence: Duration,
}

impl Reply {
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Reply { status, body: body.into(), ..Reply::default() }
    }

    pub fn with(mut self, header: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((header, value.into()));
        self
    }

    /// Instead of a header of this name.
    pub fn but(mut self, header: &'static str, value: impl Into<String>) -> Self {
        self.headers.retain(|(name, _)| *name != header);
        self.with(header, value)
    }
}

/// A server until the test ends.
pub struct Mirror {
    pub endpoint: String,
    log: Arc<Mutex<Vec<Asked>>>,
}

impl Mirror {
    pub fn start(answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let log = Arc::new(Mutex::new(Vec::new()));
        let (answer, seen) = (Arc::new(answer), log.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (answer, seen) = (answer.clone(), seen.clone());
                std::thread::spawn(move || {
                    let asked = read(&stream);
                    seen.lock().unwrap().push(asked.clone());
                    // Whoever hangs up has heard enough.
                    let _ = write(stream, answer(&asked));
                });
            }
        });
        Mirror { endpoint, log }
    }

    /// A hub that has a golden network.
    pub fn of(case: &'static str) -> Self {
        Mirror::start(move |asked| honest(case, asked))
    }

    /// Nobody at an address.
    pub fn at(endpoint: &str) -> Self {
        Mirror { endpoint: endpoint.into(), log: Arc::default() }
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.log.lock().unwrap().clone()
    }
}

/// The hub's answer where it has a golden network, by any name and revision.
pub fn honest(case: &str, asked: &Asked) -> Reply {
    if asked.path.starts_with("/api/models/") {
        return listing(COMMIT, &names(case));
    }
    let file = asked.path.rsplit('/').next().unwrap();
    match names(case).iter().position(|name| name == file) {
        None => Reply::new(404, "").with("x-error-code", "EntryNotFound"),
        Some(at) => {
            let mut bytes = std::fs::read(golden(case).join(file)).unwrap();
            let whole = bytes.len();
            let from = asked.range.as_ref().map(|range| {
                range.strip_prefix("bytes=").unwrap().strip_suffix('-').unwrap().parse::<usize>().unwrap()
            });
            let reply = match from {
                None => Reply::new(200, bytes),
                Some(from) => Reply::new(206, bytes.split_off(from))
                    .with("content-range", format!("bytes {from}-{}/{whole}", whole - 1)),
            };
            reply.with("etag", format!("\"{at:064x}\"")).with("x-repo-commit", COMMIT)
        }
    }
}

/// The hub's description of a repository.
pub fn listing(commit: &str, files: &[impl AsRef<str>]) -> Reply {
    let files: Vec<_> = files.iter().map(|file| serde_json::json!({ "rfilename": file.as_ref() })).collect();
    Reply::new(200, serde_json::json!({ "sha": commit, "siblings": files }).to_string())
}

/// The files of a golden network.
pub fn names(case: &str) -> Vec<String> {
    let files = std::fs::read_dir(golden(case)).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = files.collect();
    files.sort();
    files.iter().map(|file| file.file_name().unwrap().to_str().unwrap().to_owned()).collect()
}

fn read(stream: &TcpStream) -> Asked {
    let mut lines = BufReader::new(stream.take(1 << 16)).lines().map_while(Result::ok);
    let path = lines.next().unwrap_or_default().split(' ').nth(1).unwrap_or_default().to_owned();
    let mut asked = Asked { path, ..Asked::default() };
    for line in lines.take_while(|line| !line.is_empty()) {
        let Some((name, value)) = line.split_once(':') else { continue };
        match name.to_lowercase().as_str() {
            "authorization" => asked.authorization = Some(value.trim().into()),
            "range" => asked.range = Some(value.trim().into()),
            _ => {}
        }
    }
    asked
}

fn write(mut stream: TcpStream, reply: Reply) -> std::io::Result<()> {
    let mut head = format!("HTTP/1.1 {} x\r\nconnection: close\r\n", reply.status);
    for (name, value) in &reply.headers {
        head += &format!("{name}: {value}\r\n");
    }
    if !reply.endless {
        let length = reply.length.unwrap_or(reply.body.len() as u64);
        head += &format!("content-length: {length}\r\n");
    }
    stream.write_all(format!("{head}\r\n").as_bytes())?;
    stream.write_all(&reply.body)?;
    if reply.endless {
        loop {
            stream.write_all(&[0; 1 << 16])?;
        }
    }
    std::thread::sleep(reply.silence);
    Ok(())
}
