//! Questions to the hub over HTTP: what a file is, its bytes from some byte on, what a folder holds.
//! Not here: the cache, retries, and what is done with the bytes.
//!
//! Listings and existence are asked through hf-hub. A file's head and bytes are asked here, with the same HTTP client,
//! because hf-hub's byte stream does not say whether the server heeded the range (206) or sent the whole file (200),
//! asks for the head once more behind every redirect, and stores error pages as files. Files in Xet storage are
//! fetched over plain HTTP as well, which the hub bridges: one way that resumes and is verified, for every file.

use std::time::Duration;

use futures::TryStreamExt;
use hf_hub::repository::RepoTreeEntry;
use hf_hub::{HFClient, HFError};
use reqwest::header::{ACCEPT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, ETAG, HeaderMap, LOCATION, RANGE, RETRY_AFTER};
use reqwest::{Method, Response, Url};

use super::environment::Environment;
use super::{Error, FileInfo, Repo, name};

/// Redirects followed for one file.
const MAX_REDIRECTS: usize = 10;
/// Entries of a listing taken: more files than any model or SAE has.
const MAX_ENTRIES: usize = 50_000;
/// A server that does not answer, or stops in the middle, this long is treated as gone.
const CONNECT: Duration = Duration::from_secs(10);
const SILENCE: Duration = Duration::from_secs(30);

/// The hub, as one runtime talks to it.
pub struct Remote<'a> {
    environment: &'a Environment,
    endpoint: Url,
    client: reqwest::Client,
}

/// A file's bytes on their way.
pub struct Body {
    /// The byte it begins with.
    pub start: u64,
    response: Response,
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

impl<'a> Remote<'a> {
    /// A client; nothing is asked yet.
    ///
    /// # Errors
    /// [`Error::Client`] when the system has no usable TLS.
    pub fn new(environment: &'a Environment) -> Result<Self, Error> {
        let endpoint = Url::parse(&environment.endpoint)
            .map_err(|error| Error::Endpoint { endpoint: environment.endpoint.clone(), why: error.to_string() })?;
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("saescope/", env!("CARGO_PKG_VERSION")))
            // Redirects are followed below, where it is known to whom the token belongs.
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT)
            .read_timeout(SILENCE);
        if endpoint.host_str().is_some_and(|host| matches!(host, "localhost" | "127.0.0.1" | "[::1]")) {
            builder = builder.no_proxy();
        }
        let client = builder.build().map_err(|error| Error::Client(error.to_string()))?;
        Ok(Self { environment, endpoint, client })
    }

    /// What the hub says about a file.
    ///
    /// # Errors
    /// Every answer but a file's head; [`Error::Network`].
    pub async fn info(&self, repo: &Repo, file: &str) -> Result<FileInfo, Error> {
        let response = self.ask(&Method::HEAD, repo, file, None).await?;
        if response.status().is_client_error() || response.status().is_server_error() {
            return Err(self.refusal(&response, repo, file).await);
        }
        let headers = response.headers();
        let etag = text(headers, "x-linked-etag").or_else(|| text(headers, ETAG.as_str()));
        let etag = etag.ok_or_else(|| self.malformed(format!("it gives no ETag for `{file}`")))?;
        let etag = etag.strip_prefix("W/").unwrap_or(&etag).trim_matches('"').to_owned();
        let commit = text(headers, "x-repo-commit");
        let commit = commit.ok_or_else(|| self.malformed(format!("it gives no commit for `{file}`")))?;
        name::etag(&etag)?;
        name::etag(&commit)?;
        let length = || response.status().is_success().then(|| text(headers, CONTENT_LENGTH.as_str())).flatten();
        let size = text(headers, "x-linked-size").or_else(length).and_then(|size| size.parse().ok());
        Ok(FileInfo { etag, commit, size })
    }

    /// A file's bytes from byte `start` on, or from the first on where the server knows no ranges; `None` where the
    /// server says that there is nothing from there on.
    ///
    /// # Errors
    /// Every answer but bytes; [`Error::Network`].
    pub async fn bytes(&self, repo: &Repo, file: &str, start: u64) -> Result<Option<Body>, Error> {
        let response = self.ask(&Method::GET, repo, file, (start > 0).then_some(start)).await?;
        match response.status().as_u16() {
            200 => Ok(Some(Body { start: 0, response })),
            206 => {
                let range = text(response.headers(), CONTENT_RANGE.as_str());
                let heeded = range.as_deref().is_none_or(|range| range.starts_with(&format!("bytes {start}-")));
                if heeded {
                    Ok(Some(Body { start, response }))
                } else {
                    Err(self.malformed(format!("asked for `{file}` from byte {start} it gives {range:?}")))
                }
            }
            416 if start > 0 => Ok(None),
            status if status >= 400 => Err(self.refusal(&response, repo, file).await),
            status => Err(self.malformed(format!("it answers `{file}` with status {status}"))),
        }
    }

    /// The files directly in a folder of a repository, or in its root: names and sizes.
    ///
    /// # Errors
    /// Every answer but a listing; [`Error::Network`].
    pub async fn list(&self, repo: &Repo, folder: Option<&str>) -> Result<Vec<(String, u64)>, Error> {
        let client = self.hf_hub()?;
        let (owner, name) = hf_hub::split_id(&repo.id);
        let repository = client.model(owner, name);
        let request = repository.list_tree().revision(&repo.revision).maybe_path_in_repo(folder).limit(MAX_ENTRIES);
        let entries = request.send().map_err(|error| self.translate(error, repo))?;
        let entries: Vec<_> = entries.try_collect().await.map_err(|error| self.translate(error, repo))?;
        let files = entries.into_iter().filter_map(|entry| match entry {
            RepoTreeEntry::File { path, size, .. } => Some((path, size)),
            RepoTreeEntry::Directory { .. } => None,
        });
        let files: Vec<_> = files.collect();
        files.iter().try_for_each(|(path, _)| name::file(path))?;
        Ok(files)
    }

    /// One answer about a file, redirects followed. The token goes to the endpoint's own origin and nowhere else,
    /// also not back to it after another host had its say.
    async fn ask(&self, method: &Method, repo: &Repo, file: &str, start: Option<u64>) -> Result<Response, Error> {
        let mut url = self.address(repo, file)?;
        let mut trusted = true;
        for _ in 0..=MAX_REDIRECTS {
            let mut request = self.client.request(method.clone(), url.clone()).header(ACCEPT_ENCODING, "identity");
            if let Some(token) = self.environment.token.as_ref().filter(|_| trusted) {
                request = request.bearer_auth(token);
            }
            if let Some(start) = start {
                request = request.header(RANGE, format!("bytes={start}-"));
            }
            let response = request.send().await.map_err(|source| self.network(&url, source))?;
            let headers = response.headers();
            let Some(next) = text(headers, LOCATION.as_str()).filter(|_| response.status().is_redirection()) else {
                return Ok(response);
            };
            let next = url.join(&next).map_err(|error| self.malformed(format!("it redirects to nowhere: {error}")))?;
            let same = next.origin() == self.endpoint.origin();
            // The hub tells about a file before it sends to where the bytes are; only the hub is asked about it.
            let tells = |name: &str| headers.contains_key(name);
            let named = tells("x-repo-commit") && (tells("x-linked-etag") || tells(ETAG.as_str()));
            if method == Method::HEAD && named && (tells("x-linked-size") || !same) {
                return Ok(response);
            }
            if url.scheme() == "https" && next.scheme() != "https" {
                return Err(self.malformed("it redirects to an address without encryption".to_owned()));
            }
            trusted = trusted && same;
            url = next;
        }
        Err(self.malformed(format!("it redirects more than {MAX_REDIRECTS} times")))
    }

    /// `{endpoint}/{id}/resolve/{revision}/{file}`.
    fn address(&self, repo: &Repo, file: &str) -> Result<Url, Error> {
        name::repository(&repo.id)?;
        name::revision(&repo.revision)?;
        name::file(file)?;
        let mut url = self.endpoint.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments
                .pop_if_empty()
                .extend(repo.id.split('/'))
                .push("resolve")
                .push(&repo.revision)
                .extend(file.split('/'));
        }
        Ok(url)
    }

    /// Why the server refused.
    async fn refusal(&self, response: &Response, repo: &Repo, file: &str) -> Error {
        let status = response.status().as_u16();
        let headers = response.headers();
        let failed =
            || Error::Status { repo: repo.clone(), file: file.to_owned(), status, after: retry_after(headers) };
        if response.url().origin() != self.endpoint.origin() {
            // Where the bytes are kept, an address that has expired is answered like this: the hub gives another.
            return failed();
        }
        let code = text(headers, "x-error-code").unwrap_or_default();
        match self.reason(repo, Some(file), status, &code, text(headers, "x-error-message")) {
            Some(error) => error,
            None if status == 404 => self.what_is_missing(repo, file).await,
            None => failed(),
        }
    }

    /// The error that a status and the hub's own code for it mean, when they mean one.
    fn reason(&self, repo: &Repo, file: Option<&str>, status: u16, code: &str, said: Option<String>) -> Option<Error> {
        let repo = repo.clone();
        match (status, code) {
            (401 | 403, code) => Some(self.shut(repo, status, code, said)),
            (404, "RepoNotFound") => Some(Error::NoRepository { repo }),
            (404, "RevisionNotFound") => Some(Error::NoRevision { repo }),
            (404, "EntryNotFound") => file.map(|file| Error::NoFile { repo, file: file.to_owned() }),
            _ => None,
        }
    }

    /// The error of a repository that is not open to whoever asks.
    fn shut(&self, repo: Repo, status: u16, code: &str, said: Option<String>) -> Error {
        let endpoint = self.environment.endpoint.clone();
        let token = self.environment.token.is_some();
        let said = said.map(|said| said.chars().filter(|c| !c.is_control()).take(300).collect::<String>());
        let about_licence = said.as_ref().is_some_and(|said| said.contains("gated") || said.contains("restricted"));
        if code == "GatedRepo" || about_licence {
            Error::Gated { repo, endpoint, token, said }
        } else {
            Error::Denied { repo, endpoint, token, status, said }
        }
    }

    /// Which of repository, revision and file does not exist, for servers that do not say so themselves.
    async fn what_is_missing(&self, repo: &Repo, file: &str) -> Error {
        if let Ok(client) = self.hf_hub() {
            let (owner, name) = hf_hub::split_id(&repo.id);
            let repository = client.model(owner, name);
            if let Ok(false) = repository.exists().send().await {
                return Error::NoRepository { repo: repo.clone() };
            }
            if let Ok(false) = repository.revision_exists().revision(&repo.revision).send().await {
                return Error::NoRevision { repo: repo.clone() };
            }
        }
        Error::NoFile { repo: repo.clone(), file: file.to_owned() }
    }

    /// hf-hub's client on the same connections.
    fn hf_hub(&self) -> Result<HFClient, Error> {
        // A token that can be no header stops it from searching the environment for one, and is not sent.
        let token = self.environment.token.as_deref().unwrap_or("\n");
        let builder = HFClient::builder().client(self.client.clone()).endpoint(self.endpoint.as_str()).token(token);
        let builder = builder.cache_dir(&self.environment.cache).retry_max_attempts(2);
        builder.build().map_err(|error| Error::Client(error.to_string()))
    }

    /// hf-hub's errors in this module's terms.
    fn translate(&self, error: HFError, repo: &Repo) -> Error {
        match error {
            HFError::AuthRequired { context } | HFError::Forbidden { context } | HFError::Http { context } => {
                let (status, said) = (context.status.as_u16(), context.server_message.clone());
                let reason = self.reason(repo, None, status, context.error_code.as_deref().unwrap_or_default(), said);
                reason.unwrap_or_else(|| listing(repo, status, None))
            }
            HFError::RepoNotFound { .. } => Error::NoRepository { repo: repo.clone() },
            HFError::RevisionNotFound { .. } => Error::NoRevision { repo: repo.clone() },
            HFError::RateLimited { retry_after, context } => listing(repo, context.status.as_u16(), retry_after),
            HFError::Request { source, .. } => self.network(&self.endpoint, source),
            other => self.malformed(other.to_string()),
        }
    }

    fn network(&self, url: &Url, source: reqwest::Error) -> Error {
        let host = url.host_str().unwrap_or(&self.environment.endpoint).to_owned();
        // The address behind a redirect is a secret for as long as it lives.
        Error::Network { host, source: source.without_url() }
    }

    fn malformed(&self, why: String) -> Error {
        Error::Malformed { endpoint: self.environment.endpoint.clone(), why }
    }
}

/// The error of a listing that the server failed to give.
fn listing(repo: &Repo, status: u16, after: Option<Duration>) -> Error {
    Error::Status { repo: repo.clone(), file: "the list of files".to_owned(), status, after }
}

/// A header as text.
fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name)?.to_str().ok().map(|value| value.trim().to_owned())
}

/// How long the server asks to be left alone; dates, which no hub sends, count as not said.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    text(headers, RETRY_AFTER.as_str())?.parse().ok().map(Duration::from_secs)
}
