//! Why a web server's answer cannot be had, and what a person can do about it.
//! Not here: the requests that fail.

use crate::report::Report;
use crate::task::Cancelled;

/// Why a web server's answer cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Not the address of a web server.
    #[error("`{}` is not the address of a web server: {why}", address.escape_debug())]
    Address {
        /// What was given.
        address: String,
        /// What is wrong with it.
        why: String,
    },
    /// No client can be made.
    #[error("no connection can be made: {0}")]
    Client(String),
    /// The connection failed, also when tried again.
    #[error("the connection to {address} failed")]
    Network {
        /// What was asked.
        address: String,
        /// What failed.
        source: reqwest::Error,
    },
    /// The server has no time, also when asked again.
    #[error("{address} answers with status {status}, also when asked again")]
    Busy {
        /// What was asked.
        address: String,
        /// The HTTP status.
        status: u16,
    },
    /// The answer is too long.
    #[error("the answer of {address} is longer than {most} bytes")]
    TooLong {
        /// What was asked.
        address: String,
        /// Bytes that are taken at most.
        most: usize,
    },
    /// Redirects that lead nowhere.
    #[error("{address} leads nowhere: {why}")]
    Lost {
        /// What was asked.
        address: String,
        /// What is wrong.
        why: String,
    },
    /// What was sent is to be sent elsewhere, which is not done.
    #[error("{address} leads to {}, to which nothing is sent", to.escape_debug())]
    Elsewhere {
        /// What was asked.
        address: String,
        /// Where it leads.
        to: String,
    },
    /// Nobody wants the answer any more.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

impl Error {
    /// As a person reads it, with what could not be done.
    #[must_use]
    pub fn report(self, what: impl Into<String>) -> Report {
        let hint = match &self {
            Self::Cancelled(cancelled) => return Report::from(*cancelled),
            Self::Address { .. } => "give it in full: https://HOST/PATH",
            Self::Network { .. } => "see that the server runs and can be reached, and try again: nothing is lost",
            Self::Busy { status: 429, .. } => "wait a while and try again: what is done is kept",
            Self::Elsewhere { .. } => "name the other address yourself where you trust it",
            _ => "try again later",
        };
        Report::caused(what, &self).hint(hint)
    }
}
