//! Downloading what a suite lacks.
//! Not here: how a file is fetched (`hub`), and which files a suite needs (`suite`).

use std::collections::HashSet;

use crate::blob::Blob;
use crate::hub::{Hub, Repo, RepoFile};
use crate::report::Report;
use crate::suite::{self, Choice, Part, Source, Suite};
use crate::task::{Cancel, OnProgress};

/// Downloads what a choice of a suite needs and is not here. Gives the number of its files that come from the hub.
///
/// # Errors
/// What the hub, the network or the disk have against it. What has arrived stays.
pub fn pull(
    hub: &Hub,
    suite: &Suite,
    choice: &Choice,
    cancel: &Cancel,
    progress: OnProgress<'_>,
) -> Result<usize, Report> {
    let mut wanted = Vec::new();
    for need in suite.plan(choice, hub)?.needs {
        match (&need.part, &suite.model.source) {
            (Part::Model, Source::Hub(repo)) if !need.ready() => {
                wanted.extend(model_files(hub, repo, cancel, progress)?);
            }
            _ => wanted.extend(need.files.into_iter().map(|file| RepoFile { repo: file.repo, file: file.file })),
        }
    }
    if wanted.is_empty() {
        return Ok(0);
    }
    Ok(hub.fetch_all(&wanted, cancel, progress)?.len())
}

/// The files of a model that is not here yet: only a list of its repository tells whether it is in shards and which
/// files its tokenizer has.
fn model_files(hub: &Hub, repo: &Repo, cancel: &Cancel, progress: OnProgress<'_>) -> Result<Vec<RepoFile>, Report> {
    let listed: HashSet<String> = hub.list(repo, None, cancel)?.into_iter().map(|(file, _)| file).collect();
    let mut names: Vec<String> =
        suite::model_names(|file| listed.contains(file)).into_iter().map(ToOwned::to_owned).collect();
    let of = |file: &str| RepoFile { repo: repo.clone(), file: file.to_owned() };
    if names.iter().any(|name| name == suite::INDEX) {
        let index = Blob::path(hub.fetch(&of(suite::INDEX), cancel, progress)?);
        names.extend(suite::shards(&index)?);
    }
    Ok(names.iter().map(|name| of(name)).collect())
}
