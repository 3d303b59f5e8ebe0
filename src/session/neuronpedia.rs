//! Neuronpedia's public export: where it is, whether a source is of an SAE's files, what its batches say.
//! Not here: keeping what was read (`labels`).
//!
//! A source's batches are read as they are listed: which latents are in one follows from no number.

pub mod activations;
pub mod explanations;
mod lines;
mod listing;

use std::ffi::OsString;
use std::time::Duration;

use serde::Deserialize;

use crate::report::{Kind, Report};
use crate::suite::{SaeEntry, Source};
use crate::task::Cancel;
use crate::web::{Web, shown};

/// The site, whose pages show latents.
const SITE: &str = "https://www.neuronpedia.org";
/// The bucket of the export.
const DATA: &str = "https://neuronpedia-datasets.s3.us-east-1.amazonaws.com";
/// A server that is silent this long is treated as gone.
const SILENCE: Duration = Duration::from_secs(30);
/// Bytes of a file that says what a source is.
const LARGEST_NOTE: usize = 1 << 20;

/// Where Neuronpedia is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Neuronpedia {
    /// The site.
    pub site: String,
    /// Its public export.
    pub data: String,
}

impl Default for Neuronpedia {
    fn default() -> Self {
        Self { site: SITE.to_owned(), data: DATA.to_owned() }
    }
}

impl Neuronpedia {
    /// What `SAESCOPE_NEURONPEDIA` and `SAESCOPE_NEURONPEDIA_DATA` name, else the public ones.
    #[must_use]
    pub fn read(env: &dyn Fn(&str) -> Option<OsString>) -> Self {
        let named = |name: &str| env(name).and_then(|value| value.into_string().ok()).filter(|value| !value.is_empty());
        let of = |name: &str, otherwise: &str| {
            named(name).map_or_else(|| otherwise.to_owned(), |named| named.trim_end_matches('/').to_owned())
        };
        Self { site: of("SAESCOPE_NEURONPEDIA", SITE), data: of("SAESCOPE_NEURONPEDIA_DATA", DATA) }
    }

    /// The page of a latent of a source.
    #[must_use]
    pub fn page(&self, source: &str, latent: u32) -> String {
        format!("{}/{source}/{latent}", self.site)
    }
}

/// A source of the export, as it is asked.
pub struct Export<'a> {
    web: Web,
    /// `model/source`.
    pub id: &'a str,
    data: &'a str,
}

/// What a source says of itself.
#[derive(Debug, Default, Deserialize)]
struct Said {
    #[serde(default, rename = "hfRepoId")]
    repo: Option<String>,
    #[serde(default, rename = "hfFolderId")]
    folder: Option<String>,
}

impl<'a> Export<'a> {
    /// The source that a suite names for an SAE; nothing is asked yet.
    ///
    /// # Errors
    /// That the suite names none, or the address is none.
    pub fn of(neuronpedia: &'a Neuronpedia, entry: &'a SaeEntry) -> Result<Self, Report> {
        let Some(id) = entry.neuronpedia.as_deref() else {
            return Err(Report::new(format!("cannot ask Neuronpedia about SAE `{}`", entry.id))
                .because("the suite names no source of Neuronpedia for it")
                .hint("write `neuronpedia = \"model/source\"` into its entry of the suite file")
                .kind(Kind::Usage));
        };
        let web = Web::new(&neuronpedia.data, SILENCE);
        let web = web.map_err(|error| error.report("cannot reach Neuronpedia's export").kind(Kind::Usage))?;
        Ok(Self { web, id, data: &neuronpedia.data })
    }

    /// Sees that the source is of the SAE's own files, and gives what cannot be told.
    ///
    /// # Errors
    /// That it is of others, or there is no such source.
    pub fn check(&self, entry: &SaeEntry, cancel: &Cancel) -> Result<Option<String>, Report> {
        let name = format!("v1/{}/source.jsonl", self.id);
        let url = self.web.address(&name, &[]);
        let at = shown(&url);
        let cannot = || format!("cannot tell what Neuronpedia's source `{}` is of", self.id);
        let reply = self.web.get(&url, LARGEST_NOTE, cancel, &|_| ()).map_err(|error| error.report(cannot()))?;
        match reply.status {
            200 => {}
            403 | 404 => {
                return Err(Report::new(format!("Neuronpedia's export has no source `{}`", self.id))
                    .because(format!("{at} answers with status {}", reply.status))
                    .hint("correct `neuronpedia` in the suite file; not all sources are exported")
                    .kind(Kind::Missing));
            }
            status => return Err(Report::new(cannot()).because(format!("{at} answers with status {status}"))),
        }
        let text = String::from_utf8_lossy(&reply.body);
        let line = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
        let said = serde_json::from_str::<Said>(line);
        let said = said.map_err(|error| Report::new(cannot()).because(format!("{at} line 1: {error}")))?;
        of_these_files(entry, &said).map_err(|why| {
            Report::new(format!("Neuronpedia's source `{}` is of another SAE than `{}`", self.id, entry.id))
                .because(why)
                .hint("correct `neuronpedia` in the suite file; --anyway takes what it has all the same")
        })
    }

    /// Who publishes what was read, and on which terms.
    #[must_use]
    pub fn terms(&self) -> String {
        format!(
            "from Neuronpedia's public export of `{}` ({}): its terms (www.neuronpedia.org/terms) let contributions be \
             exported for research and name no licence of the data",
            self.id, self.data
        )
    }
}

/// What cannot be told of whether a source is of these files.
fn of_these_files(entry: &SaeEntry, said: &Said) -> Result<Option<String>, String> {
    let told = |text: &Option<String>| text.as_deref().map(|text| text.trim_matches('/').to_owned());
    let (Some(repo), folder) = (told(&said.repo).filter(|repo| !repo.is_empty()), told(&said.folder)) else {
        return Ok(Some("Neuronpedia does not say which files its source is of".to_owned()));
    };
    let Source::Hub(own) = &entry.source else {
        return Ok(Some(format!("Neuronpedia's source is of `{repo}`; whether these are the same files is not known")));
    };
    if own.id != repo {
        return Err(format!("it is of `{repo}`, and the suite has `{}`", own.id));
    }
    let own = entry.folder.as_deref().unwrap_or_default().trim_matches('/');
    match folder {
        None => Ok(Some(format!("Neuronpedia does not say which folder of `{repo}` its source is of"))),
        Some(folder) if folder == own => Ok(None),
        Some(folder) => Err(format!("it is of the folder `{folder}` of `{repo}`, and the suite has `{own}`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite::{Base, parse};

    fn entry(source: &str) -> SaeEntry {
        let text = format!(
            "id = 'x'\ntitle = 'x'\n[model]\nrepo = 'a/b'\nprepend_bos = false\n[site]\nlayer = 1\nkind = \
             'resid_pre'\n[[sae]]\nid = '1'\nformat = 'sae-lens'\n{source}"
        );
        parse("x.toml", &text, Base::Directory(".".as_ref())).expect("is a suite").saes.remove(0)
    }

    #[test]
    fn a_source_of_other_files_is_told_from_one_that_says_nothing() {
        let said = |repo: Option<&str>, folder: Option<&str>| Said {
            repo: repo.map(str::to_owned),
            folder: folder.map(str::to_owned),
        };
        let hub = entry("repo = 'o/r'\nfolder = 'blocks.8'");
        assert_eq!(of_these_files(&hub, &said(Some("o/r"), Some("/blocks.8/"))), Ok(None));
        assert!(of_these_files(&hub, &said(Some("o/other"), Some("blocks.8"))).is_err());
        let other = of_these_files(&hub, &said(Some("o/r"), Some("blocks.9"))).expect_err("is another folder");
        assert!(other.contains("blocks.9") && other.contains("blocks.8"), "{other}");
        for unknown in [said(None, None), said(Some("o/r"), None), said(Some(""), Some("x"))] {
            assert!(matches!(of_these_files(&hub, &unknown), Ok(Some(_))), "{unknown:?}");
        }
        let local = entry("path = '/a'");
        assert!(matches!(of_these_files(&local, &said(Some("o/r"), Some("b"))), Ok(Some(_))));
    }
}
