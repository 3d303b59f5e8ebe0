//! Answers of web servers other than the hub: bounded in size, asked again where that may help.
//! Not here: what is asked and what is made of the answers; the hub, whose files have a cache (`hub`).
//!
//! What proves who asks is sent to the address that it was given for: an answer that leads elsewhere is not followed.

mod error;

use std::time::Duration;

use futures::{StreamExt, TryStreamExt, stream};
use reqwest::header::{CONTENT_TYPE, HeaderMap, LOCATION, RETRY_AFTER};
use reqwest::{ClientBuilder, RequestBuilder, Response, Url, redirect};

pub use error::Error;

use crate::task::{Cancel, Cancelled};

/// A server that takes no connection for so long is treated as gone.
const CONNECT: Duration = Duration::from_secs(10);
/// Redirects followed for one answer.
const MAX_REDIRECTS: usize = 10;
/// How soon a raised [`Cancel`] is noticed.
const NOTICE: Duration = Duration::from_millis(25);
/// How often in a row one thing is asked.
const TRIES: u32 = 5;
/// The wait behind the first failure; each further one is twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// A server that asks for a longer wait is not asked again.
const LONGEST_WAIT: Duration = Duration::from_mins(1);

/// One server, as one runtime talks to it; both end with this.
pub struct Web {
    base: Url,
    client: reqwest::Client,
    runtime: Option<tokio::runtime::Runtime>,
}

/// An answer, whatever its status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// Its body.
    pub body: Vec<u8>,
}

/// What is sent to be answered.
pub struct Post<'a> {
    /// Where to.
    pub url: &'a Url,
    /// What proves who asks.
    pub key: Option<&'a str>,
    /// Bytes that an answer has at most.
    pub most: usize,
    /// How many are under way at a time.
    pub at_once: usize,
}

/// What every client of this program is: it follows no redirects itself, and goes to this machine without a proxy.
pub fn builder(host: Option<&str>) -> ClientBuilder {
    // What encrypts. Another library of the process may have chosen one before: then that one is taken.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = reqwest::Client::builder()
        .redirect(redirect::Policy::none())
        .user_agent(concat!("saescope/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT);
    if is_here(host) { builder.no_proxy() } else { builder }
}

/// Whether a host is this machine.
pub fn is_here(host: Option<&str>) -> bool {
    matches!(host, Some("localhost" | "127.0.0.1" | "[::1]"))
}

impl Web {
    /// A server that may be silent for so long. Nothing is asked yet.
    ///
    /// # Errors
    /// [`Error::Address`] when `base` is not the address of a web server, [`Error::Client`].
    pub fn new(base: &str, silence: Duration) -> Result<Self, Error> {
        let wrong = |why: &str| Error::Address { address: nameless(base), why: why.to_owned() };
        let base = Url::parse(base).map_err(|error| wrong(&error.to_string()))?;
        if !matches!(base.scheme(), "http" | "https") || base.host_str().is_none() {
            return Err(wrong("it begins with neither http:// nor https://, or names no host"));
        }
        let client = builder(base.host_str()).read_timeout(silence).build();
        let client = client.map_err(|error| Error::Client(error.to_string()))?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Error::Client(error.to_string()))?;
        Ok(Self { base, client, runtime: Some(runtime) })
    }

    /// An address of the server: names of a path, parted by `/`, and what is asked of it.
    pub fn address(&self, path: &str, query: &[(&str, &str)]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path.split('/').filter(|part| !part.is_empty()));
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }

    /// What is at an address, of at most so many bytes; `on` is told how many are here.
    ///
    /// # Errors
    /// [`Error::Network`], [`Error::Busy`], [`Error::TooLong`], [`Error::Lost`], [`Error::Cancelled`].
    pub fn get(&self, url: &Url, most: usize, cancel: &Cancel, on: &dyn Fn(u64)) -> Result<Reply, Error> {
        self.run(cancel, self.followed(url, most, on))
    }

    /// The answers to these JSON texts, in their order. None is asked for behind one that fails.
    ///
    /// # Errors
    /// As [`Web::get`]; [`Error::Elsewhere`] when an answer leads to another address.
    pub fn post(
        &self,
        to: &Post<'_>,
        bodies: &[String],
        cancel: &Cancel,
        on: &dyn Fn(usize),
    ) -> Result<Vec<Reply>, Error> {
        let all = async {
            let answers = stream::iter(bodies).map(|body| self.posted(to, body)).buffered(to.at_once.max(1));
            let mut done = 0;
            let counted = answers.inspect_ok(|_| {
                done += 1;
                on(done);
            });
            counted.try_collect().await
        };
        self.run(cancel, all)
    }

    async fn followed(&self, url: &Url, most: usize, on: &dyn Fn(u64)) -> Result<Reply, Error> {
        let mut at = url.clone();
        for _ in 0..=MAX_REDIRECTS {
            let (reply, to) = self.again(&at, most, on, || self.client.get(at.clone())).await?;
            let Some(to) = to else { return Ok(reply) };
            let next = at.join(&to).map_err(|error| lost(&at, &error.to_string()))?;
            if !matches!(next.scheme(), "http" | "https") || (at.scheme() == "https" && next.scheme() != "https") {
                return Err(lost(&at, "it leads to an address without encryption, or to no web server"));
            }
            at = next;
        }
        Err(lost(url, "it redirects too often"))
    }

    async fn posted(&self, to: &Post<'_>, body: &str) -> Result<Reply, Error> {
        let request = || {
            let request = self.client.post(to.url.clone()).header(CONTENT_TYPE, "application/json");
            let request = request.body(body.to_owned());
            match to.key {
                Some(key) => request.bearer_auth(key),
                None => request,
            }
        };
        let (reply, elsewhere) = self.again(to.url, to.most, &|_| (), request).await?;
        match elsewhere {
            None => Ok(reply),
            Some(elsewhere) => Err(Error::Elsewhere { address: shown(to.url), to: nameless(&elsewhere) }),
        }
    }

    /// One answer, asked for again while the server is busy or the connection fails; and where it leads to.
    async fn again(
        &self,
        url: &Url,
        most: usize,
        on: &dyn Fn(u64),
        request: impl Fn() -> RequestBuilder,
    ) -> Result<(Reply, Option<String>), Error> {
        let mut failures = 0;
        loop {
            let (error, asked) = match request().send().await {
                Err(source) => (network(url, source), None),
                Ok(response) if is_busy(response.status().as_u16()) => {
                    let status = response.status().as_u16();
                    (Error::Busy { address: shown(url), status }, retry_after(response.headers()))
                }
                Ok(response) => match whole(url, response, most, on).await {
                    Err(error @ Error::Network { .. }) => (error, None),
                    other => return other,
                },
            };
            failures += 1;
            let pause = asked.unwrap_or(FIRST_WAIT * (1 << (failures - 1)));
            if failures >= TRIES || pause > LONGEST_WAIT {
                return Err(error);
            }
            tracing::warn!(%error, ?pause, "asking again");
            tokio::time::sleep(pause).await;
        }
    }

    /// Runs work on this runtime, and drops it when it is cancelled.
    fn run<T>(&self, cancel: &Cancel, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        cancel.check()?;
        let runtime = self.runtime.as_ref().ok_or_else(|| Error::Client("it has ended".to_owned()))?;
        runtime.block_on(async {
            tokio::select! {
                biased;
                done = work => done,
                () = raised(cancel) => Err(Error::Cancelled(Cancelled)),
            }
        })
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        // A name being looked up may hang for long; nobody waits for it.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// The whole of an answer, and where it leads to.
async fn whole(
    url: &Url,
    mut response: Response,
    most: usize,
    on: &dyn Fn(u64),
) -> Result<(Reply, Option<String>), Error> {
    let status = response.status().as_u16();
    let to = response.headers().get(LOCATION).and_then(|to| to.to_str().ok()).map(ToOwned::to_owned);
    let to = to.filter(|_| matches!(status, 301 | 302 | 303 | 307 | 308));
    let mut body = Vec::new();
    while let Some(bytes) = response.chunk().await.map_err(|source| network(url, source))? {
        if body.len() + bytes.len() > most {
            return Err(Error::TooLong { address: shown(url), most });
        }
        body.extend_from_slice(&bytes);
        on(body.len() as u64);
    }
    Ok((Reply { status, body }, to))
}

/// Whether a status says that the same may be answered later.
const fn is_busy(status: u16) -> bool {
    matches!(status, 408 | 425 | 429 | 500 | 502..=504 | 529)
}

/// How long the server asks to be left alone, in seconds; dates count as not said.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

fn network(url: &Url, source: reqwest::Error) -> Error {
    Error::Network { address: shown(url), source: source.without_url() }
}

fn lost(url: &Url, why: &str) -> Error {
    Error::Lost { address: shown(url), why: why.to_owned() }
}

/// An address without the name and password that may stand in it.
pub fn shown(url: &Url) -> String {
    nameless(url.as_str())
}

/// The same of what may be no address: without all before its last `@` but the scheme.
fn nameless(address: &str) -> String {
    let address: String = address.chars().take(300).collect();
    let Some((before, host)) = address.rsplit_once('@') else { return address };
    let scheme = before.split_once("://").map_or_else(String::new, |(scheme, _)| format!("{scheme}://"));
    scheme + host
}

/// Ends when the flag is raised.
async fn raised(cancel: &Cancel) {
    while !cancel.is_cancelled() {
        tokio::time::sleep(NOTICE).await;
    }
}
