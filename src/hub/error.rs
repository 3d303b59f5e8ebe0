//! Why a file of the hub cannot be had, and what a person can do about it.
//! Not here: the requests that fail.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::environment::without_userinfo;
use super::{Repo, name};
use crate::report::{Kind, Report};
use crate::task::Cancelled;

/// What to do where a proxy or a mirror has a certificate authority of its own. Apple's and Windows' systems are asked
/// themselves whom they trust; elsewhere `rustls-native-certs` reads `SSL_CERT_FILE`, else the system's files.
const TRUST: &str = if cfg!(any(windows, target_vendor = "apple")) {
    "add the certificate of the authority that signed it, such as your organisation's, to those that the system trusts"
} else {
    "set `SSL_CERT_FILE` to a file (PEM) with the certificate of the authority that signed it, such as your \
     organisation's, and of the others that are to be trusted; without it the system's certificates count"
};

/// An error and those behind it, in one line.
pub(super) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let all = std::iter::successors(Some(error), |error| error.source());
    all.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// Why a file of the hub cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A name that would leave its folder.
    #[error(transparent)]
    Name(#[from] name::Error),
    /// `HF_ENDPOINT` is not an address of a web server.
    #[error("`HF_ENDPOINT` is `{}`, which cannot be a hub: {why}", endpoint.escape_debug())]
    Endpoint {
        /// What was given.
        endpoint: String,
        /// What is wrong with it.
        why: String,
    },
    /// There is no place for the cache.
    #[error("there is no home directory for the cache of downloaded files")]
    NoHome,
    /// Nothing may be asked of the network, and the file is not in the cache.
    #[error("`{file}` of `{repo}` is not in the cache, and `HF_HUB_OFFLINE` forbids to fetch it")]
    Offline {
        /// The repository.
        repo: Repo,
        /// The file.
        file: String,
    },
    /// The licence must be accepted first.
    #[error("`{repo}` is open only to those who have accepted its licence")]
    Gated {
        /// The repository.
        repo: Repo,
        /// The hub's address.
        endpoint: String,
        /// Whether a token was sent.
        token: bool,
        /// What the hub said.
        said: Option<String>,
    },
    /// The hub does not let this person in.
    #[error("the hub does not give `{repo}` to {}", if *token { "the owner of this token" } else { "just anyone" })]
    Denied {
        /// The repository.
        repo: Repo,
        /// The hub's address.
        endpoint: String,
        /// Whether a token was sent.
        token: bool,
        /// The HTTP status.
        status: u16,
        /// What the hub said.
        said: Option<String>,
    },
    /// No such repository.
    #[error("the hub has no repository `{}`", repo.id)]
    NoRepository {
        /// The repository.
        repo: Repo,
    },
    /// No such branch, tag or commit.
    #[error("`{}` has no revision `{}`", repo.id, repo.revision)]
    NoRevision {
        /// The repository.
        repo: Repo,
    },
    /// No such file.
    #[error("`{repo}` has no file `{file}`")]
    NoFile {
        /// The repository.
        repo: Repo,
        /// The file.
        file: String,
    },
    /// The hub failed, also when asked again.
    #[error("the hub answered `{file}` of `{repo}` with status {status}")]
    Status {
        /// The repository.
        repo: Repo,
        /// The file.
        file: String,
        /// The HTTP status.
        status: u16,
        /// How long the hub asks to be left alone.
        after: Option<Duration>,
    },
    /// The server has no lists of files, and gives no reason that a hub gives.
    #[error("the hub answered the list of files of `{repo}` with status {status}")]
    Unlisted {
        /// The repository.
        repo: Repo,
        /// The HTTP status.
        status: u16,
    },
    /// The connection failed, also when tried again.
    #[error("the connection to {host} failed")]
    Network {
        /// The host.
        host: String,
        /// What failed.
        source: reqwest::Error,
    },
    /// The whole file is shorter than it was announced, also when asked for again.
    #[error("the hub announced `{file}` with {want} bytes and gives {have}")]
    Short {
        /// The file.
        file: String,
        /// Bytes that arrived.
        have: u64,
        /// Bytes that were announced.
        want: u64,
    },
    /// A file of the cache is not what it was when it was fetched, and nothing may be asked of the network.
    #[error("`{file}` of `{repo}` is damaged in the cache: {why}")]
    Damaged {
        /// The repository.
        repo: Repo,
        /// The file.
        file: String,
        /// How it differs.
        why: String,
    },
    /// What arrived is not what the hub announced.
    #[error("what arrived as `{file}` of `{repo}` is not what the hub announced: {why}")]
    Corrupt {
        /// The repository.
        repo: Repo,
        /// The file.
        file: String,
        /// How it differs.
        why: String,
    },
    /// An answer that no hub gives.
    #[error("{endpoint} does not answer as a hub does: {why}")]
    Malformed {
        /// The hub's address.
        endpoint: String,
        /// What is missing or wrong.
        why: String,
    },
    /// There is no room for the file.
    #[error("there is no room in `{}`: {} are needed and {} are free", path.display(), bytes(*needed), bytes(*free))]
    NoRoom {
        /// The cache.
        path: PathBuf,
        /// Bytes still to be written.
        needed: u64,
        /// Bytes that are free.
        free: u64,
    },
    /// The disk is full.
    #[error("the disk of `{}` is full", path.display())]
    DiskFull {
        /// What was being written.
        path: PathBuf,
    },
    /// A file of the cache cannot be read or written.
    #[error("cannot use `{}`", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The client cannot be built.
    #[error("cannot start the hub's client: {0}")]
    Client(String),
    /// Nobody wants the file any more.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

impl Error {
    /// An I/O error with its path; a full disk is named on its own.
    pub(super) fn io(path: impl Into<PathBuf>, source: io::Error) -> Self {
        let path = path.into();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull { path },
            _ => Self::Io { path, source },
        }
    }

    /// Whether the same request may well succeed a little later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            // 401 and 403 come as statuses only from where the bytes are kept: an address that has expired.
            Self::Status { status, .. } => matches!(status, 401 | 403 | 408 | 425 | 429 | 500..=599),
            Self::Network { source, .. } => !source.is_builder(),
            Self::Short { .. } => true,
            _ => false,
        }
    }

    /// Whether there was no connection at all: no network, no such host, nobody there.
    #[must_use]
    pub fn is_unreachable(&self) -> bool {
        matches!(self, Self::Network { source, .. } if source.is_connect())
    }

    /// Whether a server could not prove that it is who it says, to the authorities that this machine trusts.
    fn is_untrusted(&self) -> bool {
        match self {
            Self::Network { source, .. } => chain(source).contains("invalid peer certificate"),
            Self::Client(why) => why.contains("CA certificates"),
            _ => false,
        }
    }

    fn hint(&self) -> Option<String> {
        if self.is_untrusted() {
            return Some(TRUST.to_owned());
        }
        let token_help = |endpoint: &str| {
            format!("make a token at {endpoint}/settings/tokens and set `HF_TOKEN` to it, or run `hf auth login`")
        };
        match self {
            Self::Gated { repo, endpoint, token: false, .. } => {
                Some(format!("accept the licence at {endpoint}/{}, then {}", repo.id, token_help(endpoint)))
            }
            Self::Gated { repo, endpoint, token: true, .. } => {
                Some(format!("accept the licence at {endpoint}/{} with the account that the token belongs to", repo.id))
            }
            Self::Denied { endpoint, token: false, .. } => Some(format!(
                "check the name; if the repository is private or needs a licence, {}",
                token_help(endpoint)
            )),
            Self::Denied { endpoint, token: true, status: 401, .. } => {
                Some(format!("the token is wrong or has expired: {}", token_help(endpoint)))
            }
            Self::Denied { repo, endpoint, token: true, .. } => Some(format!(
                "check at {endpoint}/{} that the account may read it, and that the token may read gated repositories",
                repo.id
            )),
            Self::NoRepository { .. } => Some("check the name in the suite file".to_owned()),
            Self::NoRevision { .. } => Some("check `revision` in the suite file; the usual one is `main`".to_owned()),
            Self::NoFile { .. } => Some("check `repo`, `folder` and `format` in the suite file".to_owned()),
            Self::Offline { .. } => Some("unset `HF_HUB_OFFLINE` to download it".to_owned()),
            Self::Status { status: 429, after: Some(after), .. } => {
                Some(format!("the hub asks to wait {} seconds; what has arrived is kept", after.as_secs()))
            }
            Self::Status { .. } => Some("try again later; what has arrived is kept".to_owned()),
            Self::Short { .. } => {
                Some("try again later, and if it stays so, tell the hub; what has arrived is kept".to_owned())
            }
            Self::Damaged { .. } => Some("unset `HF_HUB_OFFLINE` and pull again: it is downloaded anew".to_owned()),
            Self::Network { .. } => Some("check the network and `HF_ENDPOINT`; what has arrived is kept".to_owned()),
            Self::Corrupt { .. } => Some("it was deleted; try again, and if it stays so, tell the hub".to_owned()),
            Self::NoRoom { .. } => {
                Some("free some space, or put the cache elsewhere with `HF_HOME` or `HF_HUB_CACHE`".to_owned())
            }
            Self::DiskFull { .. } => {
                Some("free some space and try again: what has arrived is kept and is not fetched twice".to_owned())
            }
            Self::Endpoint { .. } => Some("unset it, or give an address such as https://huggingface.co".to_owned()),
            Self::Malformed { .. } | Self::Unlisted { .. } => {
                Some("check `HF_ENDPOINT`, and whether a proxy stands in between".to_owned())
            }
            Self::NoHome => Some("set `HF_HOME` to a directory".to_owned()),
            Self::Io { .. } => Some("check who may write there, or set `HF_HOME` to another directory".to_owned()),
            Self::Name(_) | Self::Client(_) | Self::Cancelled(_) => None,
        }
    }
}

impl From<&Error> for Report {
    fn from(error: &Error) -> Self {
        let mut report = Self::caused("", error);
        // What others say of an address may hold the password that stands in it.
        report.why.iter_mut().for_each(|why| *why = without_userinfo(why));
        report.what = report.why.remove(0);
        match error {
            Error::Gated { said: Some(said), .. } | Error::Denied { said: Some(said), .. } => {
                report = report.because(format!("the hub says: {said}"));
            }
            Error::Cancelled(_) => report = report.kind(Kind::Cancelled),
            _ => {}
        }
        match error.hint() {
            Some(hint) => report.hint(hint),
            None => report,
        }
    }
}

impl From<Error> for Report {
    fn from(error: Error) -> Self {
        Self::from(&error)
    }
}

/// A number of bytes as people say it, in powers of ten as the hub and disks count.
#[must_use]
pub fn bytes(count: u64) -> String {
    let mut size = count as f64;
    for unit in ["B", "kB", "MB", "GB", "TB"] {
        if size < 999.5 {
            return if unit == "B" || size >= 99.95 {
                format!("{size:.0} {unit}")
            } else {
                format!("{size:.1} {unit}")
            };
        }
        size /= 1000.0;
    }
    format!("{size:.0} PB")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_said_as_people_say_them() {
        let said: Vec<String> = [0, 999, 1000, 1_355_256, 548_105_171, 1_210_000_000].into_iter().map(bytes).collect();
        assert_eq!(said, ["0 B", "999 B", "1.0 kB", "1.4 MB", "548 MB", "1.2 GB"]);
    }

    #[test]
    fn a_full_disk_says_that_nothing_is_lost() {
        let error = Error::io("/cache/x", io::Error::from(io::ErrorKind::StorageFull));
        let report = Report::from(&error);
        assert_eq!(report.what, "the disk of `/cache/x` is full");
        assert!(report.hint.is_some_and(|hint| hint.contains("is kept")));
    }

    #[test]
    fn cancelling_is_no_failure() {
        assert_eq!(Report::from(Error::Cancelled(Cancelled)).kind, Kind::Cancelled);
    }
}
