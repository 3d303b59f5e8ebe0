//! Questions to the hub over HTTP: what a file is, its bytes from some byte on, what a folder holds.
//! Not here: the cache, retries, and what is done with the bytes.
//!
//! hf-hub gives the layout of the cache (`cache.rs`) and asks nothing: its client (1.0) sends the token to whatever
//! address a page of a listing names as the next one, reads answers of any length into memory, does not say whether the
//! server heeded a range (206) or sent the whole file (200), asks for the head once more behind every redirect, and
//! stores error pages as files. Files in Xet storage are fetched over plain HTTP, which the hub bridges: one way that
//! resumes and is verified, for every file.

use std::time::Duration;

use reqwest::header::{
    ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, ETAG, HeaderMap, LOCATION, RANGE, RETRY_AFTER,
};
use reqwest::{ClientBuilder, Method, Response, Url};

use super::environment::{Environment, without_userinfo};
use super::error::chain;
use super::pages::{MAX_PAGE, Pages};
use super::{Error, FileInfo, Repo, name};
use crate::web;

/// Redirects followed for one answer.
const MAX_REDIRECTS: usize = 10;
/// A server that stops in the middle this long is treated as gone.
const SILENCE: Duration = Duration::from_secs(30);

/// The hub, as one runtime talks to it.
pub struct HubClient<'a> {
    environment: &'a Environment,
    endpoint: Url,
    client: reqwest::Client,
}

/// A file's bytes on their way.
pub struct Body {
    /// The byte it begins with: that which was asked for or one before it.
    pub start: u64,
    response: Response,
}

/// What a server gives of a file from some byte on.
pub enum Part {
    /// Bytes.
    Body(Body),
    /// Nothing: the file has no more than so many bytes, where the server says how many.
    Nothing(Option<u64>),
}

/// An address, and whether only the hub's own origin had its say on the way to it.
struct Address {
    url: Url,
    trusted: bool,
}

impl Body {
    /// The next bytes; `None` at the end.
    ///
    /// # Errors
    /// [`Error::Network`] when the connection fails or is cut.
    pub async fn next(&mut self) -> Result<Option<impl AsRef<[u8]> + use<>>, Error> {
        let host = self.response.url().host_str().unwrap_or_default().to_owned();
        self.response.chunk().await.map_err(|source| Error::Network { host, source: source.without_url() })
    }
}

impl<'a> HubClient<'a> {
    /// A client; nothing is asked yet.
    ///
    /// # Errors
    /// [`Error::Client`] when the system has no usable TLS.
    pub fn new(environment: &'a Environment) -> Result<Self, Error> {
        let endpoint = Url::parse(&environment.endpoint)
            .map_err(|error| Error::Endpoint { endpoint: environment.shown_endpoint(), why: error.to_string() })?;
        let client = client(&endpoint).build();
        let client = client.map_err(|error| Error::Client(chain(&error)))?;
        Ok(Self { environment, endpoint, client })
    }

    /// What the hub says about a file of a repository at a revision.
    ///
    /// # Errors
    /// Every answer but a file's head; [`Error::Network`].
    pub async fn info(&self, repo: &Repo, revision: &str, file: &str) -> Result<FileInfo, Error> {
        let address = || self.file_address(repo, revision, file);
        let (mut response, _) = self.ask(&Method::HEAD, address()?, None, true).await?;
        if matches!(response.status().as_u16(), 405 | 501) {
            // A server that knows no heads: the first byte is asked for.
            (response, _) = self.ask(&Method::GET, address()?, Some("bytes=0-0"), true).await?;
        }
        if response.status().is_client_error() || response.status().is_server_error() {
            return Err(self.refusal(&response, repo, revision, file).await);
        }
        let headers = response.headers();
        let etag = text(headers, "x-linked-etag").or_else(|| text(headers, ETAG.as_str()));
        let etag = etag.ok_or_else(|| self.malformed(format!("it gives no ETag for `{file}`")))?;
        let etag = etag.strip_prefix("W/").unwrap_or(&etag).trim_matches('"').to_owned();
        let commit = text(headers, "x-repo-commit");
        let commit = commit.ok_or_else(|| self.malformed(format!("it gives no commit for `{file}`")))?;
        name::etag(&etag)?;
        name::etag(&commit)?;
        let length = match response.status().as_u16() {
            206 => text(headers, CONTENT_RANGE.as_str()).and_then(|range| range.rsplit('/').next().map(str::to_owned)),
            200 if is_plain(headers) => text(headers, CONTENT_LENGTH.as_str()),
            _ => None,
        };
        let size = text(headers, "x-linked-size").or(length).and_then(|size| size.parse().ok());
        Ok(FileInfo { etag, commit, size })
    }

    /// A file's bytes from byte `start` on, or from one before it where the server heeds no ranges.
    ///
    /// # Errors
    /// Every answer but bytes; [`Error::Network`].
    pub async fn bytes(&self, repo: &Repo, revision: &str, file: &str, start: u64) -> Result<Part, Error> {
        let range = (start > 0).then(|| format!("bytes={start}-"));
        let address = self.file_address(repo, revision, file)?;
        let (response, _) = self.ask(&Method::GET, address, range.as_deref(), false).await?;
        let range = text(response.headers(), CONTENT_RANGE.as_str());
        let status = response.status().as_u16();
        if matches!(status, 200 | 206) && !is_plain(response.headers()) {
            return Err(self.malformed(format!("it gives `{file}` compressed, which was not asked for")));
        }
        match status {
            200 => Ok(Part::Body(Body { start: 0, response })),
            206 => match range.as_deref().map_or(Some(start), first_byte) {
                Some(first) if first <= start => Ok(Part::Body(Body { start: first, response })),
                _ => Err(self.malformed(format!(
                    "asked for `{file}` from byte {start} it gives {}",
                    range.unwrap_or_default().escape_debug()
                ))),
            },
            416 if start > 0 => {
                Ok(Part::Nothing(range.and_then(|range| range.strip_prefix("bytes */")?.trim().parse().ok())))
            }
            status if status >= 400 => Err(self.refusal(&response, repo, revision, file).await),
            status => Err(self.malformed(format!("it answers `{file}` with status {status}"))),
        }
    }

    /// The files directly in a folder of a repository at a revision, or in its root: names and sizes.
    ///
    /// # Errors
    /// Every answer but a listing; [`Error::Network`].
    pub async fn list(&self, repo: &Repo, revision: &str, folder: Option<&str>) -> Result<Vec<(String, u64)>, Error> {
        name::repository(&repo.id)?;
        let mut url = self.endpoint.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(["api", "models"]).extend(repo.id.split('/')).push("tree").push(revision);
            segments.extend(folder.into_iter().flat_map(|folder| folder.split('/')));
        }
        let mut pages = Pages::default();
        let mut next = Some(Address { url, trusted: true });
        while let Some(address) = next {
            let (mut response, trusted) = self.ask(&Method::GET, address, None, false).await?;
            if !response.status().is_success() {
                return Err(self.unlisted(&response, repo, folder));
            }
            let from = response.url().clone();
            let body = self.whole(&mut response).await?;
            let page = pages.take(&from, response.headers(), &body).map_err(|why| self.malformed(why))?;
            next = page.map(|url| self.next(&from, url, trusted)).transpose()?;
        }
        Ok(pages.files())
    }

    /// The whole of an answer, which is not to be long.
    async fn whole(&self, response: &mut Response) -> Result<Vec<u8>, Error> {
        let url = response.url().clone();
        let mut body = Vec::new();
        while let Some(bytes) = response.chunk().await.map_err(|source| self.network(&url, source))? {
            body.extend_from_slice(&bytes);
            if body.len() > MAX_PAGE {
                return Err(self.malformed(format!("its list of files has more than {MAX_PAGE} bytes on a page")));
            }
        }
        Ok(body)
    }

    /// One answer, redirects followed, and whether it came from the hub's own origin and by no other. The token goes to
    /// that origin and nowhere else, also not back to it after another host had its say. Where a `head` is wanted, the
    /// hub's word on a file is enough, and where its bytes are is not asked.
    async fn ask(
        &self,
        method: &Method,
        mut address: Address,
        range: Option<&str>,
        head: bool,
    ) -> Result<(Response, bool), Error> {
        for _ in 0..=MAX_REDIRECTS {
            let Address { url, trusted } = address;
            let mut request = self.client.request(method.clone(), url.clone()).header(ACCEPT_ENCODING, "identity");
            if let Some(token) = self.token().filter(|_| trusted) {
                request = request.bearer_auth(token);
            }
            if let Some(range) = range {
                request = request.header(RANGE, range);
            }
            let response = request.send().await.map_err(|source| self.network(&url, source))?;
            let headers = response.headers();
            let follows = matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308);
            let Some(next) = text(headers, LOCATION.as_str()).filter(|_| follows) else {
                return Ok((response, trusted));
            };
            let next = url.join(&next).map_err(|error| self.malformed(format!("it redirects to nowhere: {error}")))?;
            // The hub tells about a file before it sends to where the bytes are; only the hub is asked about it.
            let tells = |name: &str| headers.contains_key(name);
            let named = tells("x-repo-commit") && (tells("x-linked-etag") || tells(ETAG.as_str()));
            if head && named && (tells("x-linked-size") || next.origin() != self.endpoint.origin()) {
                return Ok((response, trusted));
            }
            address = self.next(&url, next, trusted)?;
        }
        Err(self.malformed(format!("it redirects more than {MAX_REDIRECTS} times")))
    }

    /// Where an answer leads to.
    fn next(&self, from: &Url, mut url: Url, trusted: bool) -> Result<Address, Error> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(self.malformed("it leads to something that is not a web server"));
        }
        if from.scheme() == "https" && url.scheme() != "https" {
            return Err(self.malformed("it leads to an address without encryption"));
        }
        let trusted = trusted && url.origin() == self.endpoint.origin();
        if trusted {
            // An endpoint that says who asks says so at every address of its own.
            let password = self.endpoint.password();
            let _ = url.set_username(self.endpoint.username()).and_then(|()| url.set_password(password));
        }
        Ok(Address { url, trusted })
    }

    /// The token, where the endpoint does not say itself who asks: one request can say so in one way.
    fn token(&self) -> Option<&str> {
        let named = !self.endpoint.username().is_empty() || self.endpoint.password().is_some();
        self.environment.token.as_deref().filter(|_| !named)
    }

    /// `{endpoint}/{id}/resolve/{revision}/{file}`.
    fn file_address(&self, repo: &Repo, revision: &str, file: &str) -> Result<Address, Error> {
        name::repository(&repo.id)?;
        name::revision(revision)?;
        name::file(file)?;
        let mut url = self.endpoint.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(repo.id.split('/')).push("resolve").push(revision).extend(file.split('/'));
        }
        Ok(Address { url, trusted: true })
    }

    /// Why the server refused.
    async fn refusal(&self, response: &Response, repo: &Repo, revision: &str, file: &str) -> Error {
        let status = response.status().as_u16();
        let headers = response.headers();
        let failed =
            || Error::Status { repo: repo.clone(), file: file.to_owned(), status, after: retry_after(headers) };
        if response.url().origin() != self.endpoint.origin() {
            // Where the bytes are kept, an address that has expired is answered like this: the hub gives another.
            return failed();
        }
        match self.reason(repo, Some(file), status, headers) {
            Some(error) => error,
            None if matches!(status, 401 | 403) => self.shut(repo, status, headers),
            None if status == 404 => self.what_is_missing(repo, revision, file).await,
            None => failed(),
        }
    }

    /// Why the server gave no listing. Without the hub's own code for it that is not a word on the repository: mirrors and
    /// proxies answer like this what they do not know.
    fn unlisted(&self, response: &Response, repo: &Repo, folder: Option<&str>) -> Error {
        let (status, headers) = (response.status().as_u16(), response.headers());
        let ours = response.url().origin() == self.endpoint.origin();
        if let Some(error) = ours.then(|| self.reason(repo, folder, status, headers)).flatten() {
            return error;
        }
        let repo = repo.clone();
        if matches!(status, 408 | 425 | 429 | 500 | 502..=504) {
            return Error::Status { repo, file: "the list of files".to_owned(), status, after: retry_after(headers) };
        }
        Error::Unlisted { repo, status }
    }

    /// The error that a status and the hub's own code for it mean, when they mean one.
    fn reason(&self, repo: &Repo, file: Option<&str>, status: u16, headers: &HeaderMap) -> Option<Error> {
        let code = text(headers, "x-error-code")?;
        match (status, code.as_str()) {
            (401 | 403, _) => Some(self.shut(repo, status, headers)),
            (404, "RepoNotFound") => Some(Error::NoRepository { repo: repo.clone() }),
            (404, "RevisionNotFound") => Some(Error::NoRevision { repo: repo.clone() }),
            (404, "EntryNotFound") => file.map(|file| Error::NoFile { repo: repo.clone(), file: file.to_owned() }),
            _ => None,
        }
    }

    /// The error of a repository that is not open to whoever asks.
    fn shut(&self, repo: &Repo, status: u16, headers: &HeaderMap) -> Error {
        let (repo, endpoint, token) = (repo.clone(), self.environment.shown_endpoint(), self.token().is_some());
        let said = text(headers, "x-error-message");
        let said = said.map(|said| said.chars().filter(|c| !c.is_control()).take(300).collect::<String>());
        let about_licence = said.as_ref().is_some_and(|said| said.contains("gated") || said.contains("restricted"));
        if text(headers, "x-error-code").as_deref() == Some("GatedRepo") || about_licence {
            Error::Gated { repo, endpoint, token, said }
        } else {
            Error::Denied { repo, endpoint, token, status, said }
        }
    }

    /// Which of repository, revision and file does not exist, for servers that do not say so themselves.
    async fn what_is_missing(&self, repo: &Repo, revision: &str, file: &str) -> Error {
        if self.is_missing(repo, None).await {
            return Error::NoRepository { repo: repo.clone() };
        }
        if self.is_missing(repo, Some(revision)).await {
            return Error::NoRevision { repo: repo.clone() };
        }
        Error::NoFile { repo: repo.clone(), file: file.to_owned() }
    }

    /// Whether the hub's own origin says that a repository, or a revision of it, does not exist.
    async fn is_missing(&self, repo: &Repo, revision: Option<&str>) -> bool {
        let mut url = self.endpoint.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(["api", "models"]).extend(repo.id.split('/'));
            segments.extend(revision.into_iter().flat_map(|revision| ["revision", revision]));
        }
        let answer = self.ask(&Method::GET, Address { url, trusted: true }, None, false).await;
        answer.is_ok_and(|(response, trusted)| trusted && response.status().as_u16() == 404)
    }

    /// The error of a hub that was asked for one commit and answers with another.
    pub fn other_commit(&self, file: &str, asked: &str, given: &str) -> Error {
        self.malformed(format!("asked for `{file}` at commit {asked} it answers with {given}"))
    }

    fn network(&self, url: &Url, source: reqwest::Error) -> Error {
        let host = url.host_str().map_or_else(|| self.environment.shown_endpoint(), ToOwned::to_owned);
        // The address behind a redirect is a secret for as long as it lives.
        Error::Network { host, source: source.without_url() }
    }

    fn malformed(&self, why: impl AsRef<str>) -> Error {
        Error::Malformed { endpoint: self.environment.shown_endpoint(), why: without_userinfo(why.as_ref()) }
    }
}

/// The client of every request to the hub. Redirects are followed above, where it is known to whom the token belongs.
fn client(endpoint: &Url) -> ClientBuilder {
    web::builder(endpoint.host_str()).read_timeout(SILENCE)
}

/// A header as text, when there is something in it.
fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name)?.to_str().ok().map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
}

/// Whether the bytes are the file's own, and their number its length.
fn is_plain(headers: &HeaderMap) -> bool {
    text(headers, CONTENT_ENCODING.as_str()).is_none_or(|coding| coding.eq_ignore_ascii_case("identity"))
}

/// The first byte of a `Content-Range`: `bytes 100-199/200`.
fn first_byte(range: &str) -> Option<u64> {
    range.strip_prefix("bytes ")?.trim_start().split('-').next()?.parse().ok()
}

/// How long the server asks to be left alone: in seconds, or as the hub says it, `"api";r=0;t=55`. Dates, which no hub
/// sends, count as not said.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let limit = || {
        let limit = text(headers, "ratelimit")?;
        let field = |name: &str| limit.split(';').find_map(|part| part.trim().strip_prefix(name)?.parse::<u64>().ok());
        (field("r=") == Some(0)).then(|| field("t=")).flatten()
    };
    let after = text(headers, RETRY_AFTER.as_str()).and_then(|after| after.parse().ok());
    after.or_else(limit).map(Duration::from_secs)
}
