//! A stand-in for the hub on the loopback: a directory tree served as repositories, with faults by script.
//! Not here: what is expected of a client.
//!
//! `DIR/owner/name/…` are the files of `owner/name` at its first commit, which `main` names until another one is pushed
//! with a directory of its own. It speaks what clients use: HEAD and GET of `/{repo}/resolve/{revision}/{file}` with
//! ranges, `/api/models/{repo}[/revision/{revision}]` and `/api/models/{repo}/tree/{revision}[/{folder}]`.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use sha1::Sha1;
use sha2::{Digest, Sha256};

/// What goes wrong with an answer.
#[derive(Clone, Debug)]
pub enum Fault {
    /// This status, with these headers and no file.
    Status(u16, Vec<(&'static str, String)>),
    /// The connection closes without an answer.
    Silence,
    /// The connection closes after so many bytes of the body.
    Cut(u64),
    /// The byte at this place of the file is another.
    Flip(u64),
    /// The range that was asked for is ignored.
    NoRanges,
    /// So long a pause after every 16 KiB.
    Slow(Duration),
    /// The bytes are at this address; the head still tells about them.
    Elsewhere(String),
    /// The head says that the file is so large.
    Announce(u64),
    /// The head gives this ETag.
    Etag(String),
    /// This header is there as well.
    With(&'static str, &'static str),
    /// This header is left out.
    Without(&'static str),
    /// This text in place of the file, as a portal or a proxy gives it.
    Page(&'static str),
    /// A part of the file that begins at this byte, whatever was asked for.
    From(u64),
    /// Before this is answered `main` becomes this commit, whose files are in this directory.
    Push(String, PathBuf),
}

/// What was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub method: String,
    pub path: String,
    pub range: Option<String>,
    pub token: Option<String>,
    /// All that was sent to say who asks.
    pub authorization: Vec<String>,
}

struct Rule {
    method: &'static str,
    path: String,
    times: usize,
    fault: Fault,
}

#[derive(Default)]
struct Script {
    rules: Vec<Rule>,
    seen: Vec<Request>,
    /// Bytes of file content that were sent.
    sent: u64,
    gated: Vec<(String, String)>,
    /// Commits after the first one, the newest last, with the directories of their files.
    pushed: Vec<(String, PathBuf)>,
    /// Entries on a page of a listing, and where the next page is.
    pages: Option<(usize, String)>,
}

/// A running stand-in. It ends with the program.
#[derive(Clone)]
pub struct HubServer {
    address: SocketAddr,
    script: Arc<Mutex<Script>>,
    commit: String,
}

impl HubServer {
    /// Serves a directory on a free port.
    pub fn serve(directory: &Path) -> io::Result<Self> {
        Self::serve_on(directory, 0)
    }

    /// Serves a directory on a port.
    pub fn serve_on(directory: &Path, port: u16) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", port))?;
        let commit = "0123456789abcdef0123456789abcdef01234567".to_owned();
        let server = Self { address: listener.local_addr()?, script: Arc::default(), commit };
        let (serving, directory) = (server.clone(), directory.to_owned());
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (server, directory) = (serving.clone(), directory.clone());
                // A client that goes away ends its thread and nothing else.
                thread::spawn(move || server.answer(&stream, &directory));
            }
        });
        Ok(server)
    }

    /// What to give as `HF_ENDPOINT`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The first commit of every repository.
    pub fn commit(&self) -> &str {
        &self.commit
    }

    /// The next `times` answers to `method` on a path with `path` in it have this fault.
    pub fn fault(&self, method: &'static str, path: &str, times: usize, fault: Fault) {
        self.script().rules.push(Rule { method, path: path.to_owned(), times, fault });
    }

    /// Opens a repository only to those who send this token.
    pub fn gate(&self, repo: &str, token: &str) {
        self.script().gated.push((repo.to_owned(), token.to_owned()));
    }

    /// Makes `main` of every repository another commit, whose files are in another directory.
    pub fn push(&self, commit: &str, directory: &Path) {
        self.script().pushed.push((commit.to_owned(), directory.to_owned()));
    }

    /// Gives listings in pages of so many entries; each names the next one at this address.
    pub fn page(&self, entries: usize, at: &str) {
        self.script().pages = Some((entries, at.to_owned()));
    }

    /// What was asked so far.
    pub fn requests(&self) -> Vec<Request> {
        self.script().seen.clone()
    }

    /// Bytes of file content sent so far.
    pub fn sent(&self) -> u64 {
        self.script().sent
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer(&self, stream: &TcpStream, directory: &Path) -> Option<()> {
        let request = read_request(stream)?;
        let faults = self.note(&request);
        if faults.iter().any(|fault| matches!(fault, Fault::Silence)) {
            return None;
        }
        for fault in &faults {
            if let Fault::Status(status, headers) = fault {
                return respond(stream, *status, headers, b"", &request);
            }
            if let Fault::Page(text) = fault {
                return respond(stream, 200, &[], text.as_bytes(), &request);
            }
        }
        let path = request.path.split('?').next().unwrap_or_default().to_owned();
        let parts: Vec<String> = path.split('/').filter(|part| !part.is_empty()).map(decode).collect();
        match parts.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            ["api", "models", rest @ ..] => self.api(stream, directory, rest, &request),
            ["elsewhere", rest @ ..] => self.content(stream, &directory.join(rest.join("/")), &request, &faults, &[]),
            all => {
                let at = all.iter().position(|part| *part == "resolve")?;
                self.resolve(
                    stream,
                    directory,
                    (&all[..at].join("/"), all.get(at + 1)?, &all[at + 2..].join("/")),
                    &request,
                    &faults,
                )
            }
        }
    }

    /// Notes a request and takes the faults that are meant for it.
    fn note(&self, request: &Request) -> Vec<Fault> {
        let mut script = self.script();
        script.seen.push(request.clone());
        let (mut faults, mut pushed) = (Vec::new(), Vec::new());
        for rule in &mut script.rules {
            let meant = rule.method == request.method || rule.method == "*";
            if rule.times > 0 && meant && request.path.contains(&rule.path) {
                rule.times -= 1;
                if let Fault::Push(commit, directory) = &rule.fault {
                    pushed.push((commit.clone(), directory.clone()));
                    continue;
                }
                faults.push(rule.fault.clone());
                // One answer cannot fail in two ways, but what a head says may go with anything.
                if matches!(rule.fault, Fault::Status(..) | Fault::Silence | Fault::Cut(_) | Fault::Flip(_)) {
                    break;
                }
            }
        }
        script.pushed.extend(pushed);
        faults
    }

    fn may_read(&self, repo: &str, request: &Request) -> Result<(), u16> {
        let script = self.script();
        match script.gated.iter().find(|(gated, _)| gated == repo) {
            None => Ok(()),
            Some((_, token)) if request.token.as_ref() == Some(token) => Ok(()),
            Some(_) => Err(if request.token.is_some() { 403 } else { 401 }),
        }
    }

    /// The commit that a revision is, and where its files are.
    fn at(&self, first: &Path, revision: &str) -> Option<(String, PathBuf)> {
        let pushed = self.script().pushed.clone();
        let commits: Vec<_> = [(self.commit.clone(), first.to_owned())].into_iter().chain(pushed).collect();
        match revision {
            "main" => commits.last().cloned(),
            commit => commits.into_iter().find(|(known, _)| known == commit),
        }
    }

    fn resolve(
        &self,
        stream: &TcpStream,
        directory: &Path,
        (repo, revision, file): (&str, &str, &str),
        request: &Request,
        faults: &[Fault],
    ) -> Option<()> {
        if let Err(status) = self.may_read(repo, request) {
            return refuse(stream, status, "GatedRepo", "Access to this model is restricted", request);
        }
        if !directory.join(repo).is_dir() {
            return refuse(stream, 404, "RepoNotFound", "Repository not found", request);
        }
        let Some((commit, directory)) = self.at(directory, revision) else {
            return refuse(stream, 404, "RevisionNotFound", "Invalid rev id", request);
        };
        let path = directory.join(repo).join(file);
        let Ok(bytes) = fs::read(&path) else {
            return refuse(stream, 404, "EntryNotFound", "Entry not found", request);
        };
        let mut headers = vec![("X-Repo-Commit", commit)];
        let etag = etag(&path, &bytes);
        let size = faults.iter().find_map(|fault| if let Fault::Announce(size) = fault { Some(*size) } else { None });
        if is_large(&path) {
            headers.push(("X-Linked-Etag", format!("\"{etag}\"")));
            headers.push(("X-Linked-Size", size.unwrap_or(bytes.len() as u64).to_string()));
        } else if let Some(size) = size {
            headers.push(("X-Linked-Size", size.to_string()));
        }
        headers.push(("ETag", format!("\"{etag}\"")));
        for fault in faults {
            match fault {
                Fault::With(name, value) => headers.push((name, (*value).to_owned())),
                Fault::Without(name) => headers.retain(|(header, _)| header != name),
                Fault::Etag(etag) => {
                    headers.retain(|(header, _)| !header.ends_with("ag"));
                    headers.push(("ETag", format!("\"{etag}\"")));
                }
                Fault::Elsewhere(to) => {
                    headers.push(("Location", format!("{to}/elsewhere/{repo}/{file}")));
                    return respond(stream, 302, &headers, b"", request);
                }
                _ => {}
            }
        }
        self.content(stream, &path, request, faults, &headers)
    }

    /// The bytes of a file, or the part that was asked for.
    fn content(
        &self,
        mut stream: &TcpStream,
        path: &Path,
        request: &Request,
        faults: &[Fault],
        headers: &[(&'static str, String)],
    ) -> Option<()> {
        let Ok(mut bytes) = fs::read(path) else { return respond(stream, 404, &[], b"", request) };
        let size = bytes.len() as u64;
        let mut start =
            request.range.as_ref().and_then(|range| range.strip_prefix("bytes=")?.split('-').next()?.parse().ok());
        let mut pause = Duration::ZERO;
        let mut end = u64::MAX;
        for fault in faults {
            match fault {
                Fault::NoRanges => start = None,
                Fault::From(byte) => start = Some(*byte),
                Fault::Flip(at) => bytes[*at as usize] ^= 1,
                Fault::Cut(after) => end = *after,
                Fault::Slow(time) => pause = *time,
                _ => {}
            }
        }
        let from = start.unwrap_or(0);
        if start.is_some() && from >= size {
            return respond(stream, 416, &[("Content-Range", format!("bytes */{size}"))], b"", request);
        }
        let mut headers = headers.to_vec();
        headers.push(("Accept-Ranges", "bytes".to_owned()));
        if start.is_some() {
            headers.push(("Content-Range", format!("bytes {from}-{}/{size}", size - 1)));
        }
        let body = &bytes[from as usize..];
        let head = head(if start.is_some() { 206 } else { 200 }, &headers, body.len());
        stream.write_all(head.as_bytes()).ok()?;
        if request.method == "HEAD" {
            return Some(());
        }
        let body = &body[..body.len().min(usize::try_from(end).unwrap_or(usize::MAX))];
        for part in body.chunks(16 << 10) {
            self.script().sent += part.len() as u64;
            stream.write_all(part).ok()?;
            thread::sleep(pause);
        }
        Some(())
    }

    fn api(&self, stream: &TcpStream, directory: &Path, rest: &[&str], request: &Request) -> Option<()> {
        let at = rest.iter().position(|part| matches!(*part, "tree" | "revision")).unwrap_or(rest.len());
        let repo = rest[..at].join("/");
        let revision = rest.get(at + 1).copied().unwrap_or("main");
        if let Err(status) = self.may_read(&repo, request) {
            return refuse(stream, status, "GatedRepo", "Access to this model is restricted", request);
        }
        if !directory.join(&repo).is_dir() {
            return refuse(stream, 404, "RepoNotFound", "Repository not found", request);
        }
        let Some((commit, directory)) = self.at(directory, revision) else {
            return refuse(stream, 404, "RevisionNotFound", "Invalid rev id", request);
        };
        let root = directory.join(&repo);
        let mut files = Vec::new();
        walk(&root, &root, &mut files);
        let mut headers = vec![("Content-Type", "application/json".to_owned())];
        let json = if rest.get(at) == Some(&"tree") {
            let folder = rest[at + 2..].join("/");
            let recursive = request.path.contains("recursive=true");
            let mut entries = tree(&root, &files, &folder, recursive);
            if let Some((length, next)) = self.script().pages.clone() {
                let cursor = |path: &str| path.split("cursor=").nth(1)?.split('&').next()?.parse().ok();
                let from: usize = cursor(&request.path).unwrap_or(0).min(entries.len());
                let rest = entries.split_off(from);
                entries = rest.into_iter().take(length).collect();
                let to = from + entries.len();
                let path = request.path.split('?').next().unwrap_or_default();
                headers.push(("Link", format!("<{next}{path}?cursor={to}&recursive={recursive}>; rel=\"next\"")));
                if entries.len() < length {
                    headers.pop();
                }
            }
            format!("[{}]", entries.join(","))
        } else {
            let siblings: Vec<String> = files.iter().map(|file| format!("{{\"rfilename\":{file:?}}}")).collect();
            let siblings = siblings.join(",");
            format!("{{\"id\":{repo:?},\"modelId\":{repo:?},\"sha\":{commit:?},\"siblings\":[{siblings}]}}")
        };
        respond(stream, 200, &headers, json.as_bytes(), request)
    }
}

/// The entries of a folder as the hub lists them.
fn tree(root: &Path, files: &[String], folder: &str, recursive: bool) -> Vec<String> {
    let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
    let mut entries = Vec::new();
    for file in files.iter().filter(|file| file.starts_with(&prefix)) {
        let (path, bytes) = (root.join(file), fs::read(root.join(file)).unwrap_or_default());
        match file[prefix.len()..].split_once('/') {
            Some((inner, _)) if !recursive => {
                let entry = format!("{{\"type\":\"directory\",\"oid\":\"0\",\"size\":0,\"path\":\"{prefix}{inner}\"}}");
                if !entries.contains(&entry) {
                    entries.push(entry);
                }
            }
            _ => entries.push(format!(
                "{{\"type\":\"file\",\"oid\":{:?},\"size\":{},\"path\":{file:?}}}",
                etag(&path, &bytes),
                bytes.len()
            )),
        }
    }
    entries
}

fn walk(root: &Path, folder: &Path, files: &mut Vec<String>) {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            walk(root, &path, files);
        } else if let Ok(name) = path.strip_prefix(root) {
            files.push(name.to_string_lossy().into_owned());
        }
    }
}

/// Files that the hub keeps in large file storage, named by their SHA-256.
fn is_large(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| ["safetensors", "pt", "npz", "bin"].iter().any(|large| extension == *large))
}

/// The SHA-256 of large files, Git's hash of others.
pub fn etag(path: &Path, bytes: &[u8]) -> String {
    let hash = if is_large(path) {
        Sha256::digest(bytes).to_vec()
    } else {
        Sha1::new().chain_update(format!("blob {}\0", bytes.len())).chain_update(bytes).finalize().to_vec()
    };
    hash.iter().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

fn read_request(stream: &TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split_whitespace();
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut request = Request { method, path, range: None, token: None, authorization: Vec::new() };
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "range" => request.range = Some(value.to_owned()),
            "authorization" => {
                request.token = value.strip_prefix("Bearer ").map(ToOwned::to_owned);
                request.authorization.push(value.to_owned());
            }
            "content-length" => length = value.parse().ok()?,
            _ => {}
        }
    }
    io::copy(&mut reader.take(length), &mut io::sink()).ok()?;
    Some(request)
}

fn head(status: u16, headers: &[(&'static str, String)], length: usize) -> String {
    let mut head = format!("HTTP/1.1 {status} -\r\nConnection: close\r\nContent-Length: {length}\r\n");
    for (name, value) in headers {
        let _ = write!(head, "{name}: {value}\r\n");
    }
    head + "\r\n"
}

fn respond(
    mut stream: &TcpStream,
    status: u16,
    headers: &[(&'static str, String)],
    body: &[u8],
    request: &Request,
) -> Option<()> {
    stream.write_all(head(status, headers, body.len()).as_bytes()).ok()?;
    if request.method != "HEAD" {
        stream.write_all(body).ok()?;
    }
    Some(())
}

fn refuse(stream: &TcpStream, status: u16, code: &str, message: &str, request: &Request) -> Option<()> {
    let headers = [("X-Error-Code", code.to_owned()), ("X-Error-Message", message.to_owned())];
    respond(stream, status, &headers, format!("{{\"error\":{message:?}}}").as_bytes(), request)
}

/// `%2F` and the like as the bytes they stand for.
fn decode(part: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = part.bytes();
    while let Some(byte) = rest.next() {
        let hex = |digit: Option<u8>| digit.and_then(|digit| (digit as char).to_digit(16));
        if byte == b'%' {
            let (high, low) = (hex(rest.next()).unwrap_or(0), hex(rest.next()).unwrap_or(0));
            bytes.push((high * 16 + low) as u8);
        } else {
            bytes.push(byte);
        }
    }
    // No name leads out of the directory that is served.
    String::from_utf8_lossy(&bytes).replace("..", "")
}
