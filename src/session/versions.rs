//! Which model and SAEs are open: by commit where they come from the hub, by content where they are files of this machine.
//! Not here: what an index depends on (`index::origin`).

use std::collections::BTreeMap;

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::blob::{Blob, Location};
use crate::report::Report;
use crate::session::Session;
use crate::session::content::{hash_of, hex};
use crate::session::load_scope::LoadScope;
use crate::session::loaded_suite::LoadedSuite;
use crate::suite::Source;
use crate::task::Cancel;

/// What made an answer (the JSON key `versions`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Versions {
    /// This program's version.
    pub saescope: &'static str,
    /// The model.
    pub model: FileVersion,
    /// Each SAE that was asked about, by its id.
    pub sae: BTreeMap<String, FileVersion>,
}

/// Which files were read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum FileVersion {
    /// A commit of a repository of the hub.
    Hub {
        /// The repository.
        repo: String,
        /// The commit.
        revision: String,
    },
    /// Files of this machine, or of this program.
    Local {
        /// The folder, or the demo's.
        path: String,
        /// The hash of all files that were read: of their hashes, where there are several.
        sha256: String,
    },
}

impl Session {
    /// Which model and which of these SAEs are open; all that are loaded where none is named.
    ///
    /// # Errors
    /// That no suite is open, or a file can no longer be read.
    pub fn versions(&self, saes: &[String], cancel: &Cancel) -> Result<Versions, Report> {
        self.prompt()?.versions(saes, cancel)
    }
}

impl LoadedSuite {
    fn versions(&self, named: &[String], cancel: &Cancel) -> Result<Versions, Report> {
        let (suite, hub) = (&self.suite, &self.setup.hub);
        let parts = suite.model_files_with(hub, &self.open.reach.pick(suite.site));
        let model = match parts {
            Ok(parts) => {
                let blobs: Vec<&Blob> = [&parts.config].into_iter().chain(&parts.weights).collect();
                version(&suite.model.source, &blobs, cancel)?
            }
            // Weights of SAEs alone need no model.
            Err(_) if self.open.reach == LoadScope::WeightsOnly => version(&suite.model.source, &[], cancel)?,
            Err(error) => return Err(error.into()),
        };
        let mut sae = BTreeMap::new();
        for loaded in self.saes.iter().filter(|loaded| named.is_empty() || named.contains(&loaded.entry.id)) {
            let files = suite.sae_files(&loaded.entry, hub)?;
            let blobs: Vec<&Blob> = files.config.iter().chain([&files.weights]).collect();
            sae.insert(loaded.entry.id.clone(), version(&loaded.entry.source, &blobs, cancel)?);
        }
        Ok(Versions { saescope: env!("CARGO_PKG_VERSION"), model, sae })
    }
}

/// Of these files of a source, of which the first may be anywhere in the hub's cache.
fn version(source: &Source, blobs: &[&Blob], cancel: &Cancel) -> Result<FileVersion, Report> {
    if let Source::Hub(repo) = source {
        let (id, commit) = blobs.iter().find_map(|blob| of_cache(blob)).unzip();
        let revision = commit.unwrap_or_else(|| repo.revision.clone());
        return Ok(FileVersion::Hub { repo: id.unwrap_or_else(|| repo.id.clone()), revision });
    }
    let mut all = Sha256::new();
    let mut hashes = Vec::with_capacity(blobs.len());
    for blob in blobs {
        hashes.push(hash_of(blob, cancel)?);
    }
    for hash in &hashes {
        all.update(hash);
    }
    let sha256 = if let [one] = &hashes[..] { one.clone() } else { hex(&all.finalize()) };
    Ok(FileVersion::Local { path: source.to_string(), sha256 })
}

/// Repository and commit of a file in the hub's cache, by where it lies: `models--OWNER--NAME/snapshots/COMMIT/…`.
fn of_cache(blob: &Blob) -> Option<(String, String)> {
    let Location::Path(path) = blob.place() else { return None };
    let parts: Vec<&str> = path.iter().filter_map(|part| part.to_str()).collect();
    let at = parts.iter().rposition(|part| *part == "snapshots")?;
    let repo = parts.get(at.checked_sub(1)?)?.strip_prefix("models--")?;
    Some((repo.replacen("--", "/", 1), (*parts.get(at + 1)?).to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::Repo;

    #[test]
    fn a_file_in_the_cache_has_its_repository_and_commit() {
        let file = "/hub/models--openai-community--gpt2/snapshots/607a30d/blocks/model.safetensors";
        let source = Source::Hub(Repo { id: "closed/gpt2".to_owned(), revision: "main".to_owned() });
        let got = version(&source, &[&Blob::path(file)], &Cancel::new()).unwrap();
        let (repo, revision) = ("openai-community/gpt2".to_owned(), "607a30d".to_owned());
        assert_eq!(got, FileVersion::Hub { repo, revision }, "an open copy serves");
        assert_eq!(of_cache(&Blob::path("/hub/snapshots/1/model.safetensors")), None);
    }

    #[test]
    fn a_file_of_this_machine_has_its_hash() {
        let (source, cancel) = (Source::Embedded("demo".to_owned()), Cancel::new());
        let blobs = [Blob::embedded("a", b"abc"), Blob::embedded("b", b"")];
        let of = |blobs: &[&Blob]| match version(&source, blobs, &cancel).unwrap() {
            FileVersion::Local { sha256, .. } => sha256,
            other @ FileVersion::Hub { .. } => panic!("{other:?}"),
        };
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(of(&[&blobs[0]]), abc, "FIPS 180-2, B.1");
        assert!(of(&[&blobs[0], &blobs[1]]) != abc && of(&[&blobs[1], &blobs[0]]) != of(&[&blobs[0], &blobs[1]]));
    }
}
