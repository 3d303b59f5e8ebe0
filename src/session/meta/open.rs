//! Opening a meta-SAE: one that a suite lists, or one in a folder as SAELens writes it.
//! Not here: finding out which there are (`meta.rs`).

use std::path::Path;
use std::sync::Arc;

use crate::analysis::MetaInfo;
use crate::analysis::meta::{doubts, threshold_of};
use crate::blob::Blob;
use crate::format::Format;
use crate::report::Report;
use crate::sae::meta::{self, BreakdownTable};
use crate::sae::{self, Neighbour, Sae, SaeFiles, lens};
use crate::session::{SessionConfig, failure};
use crate::suite::{MetaEntry, Suite};
use crate::task::Cancel;

/// A meta-SAE that is open, and what was found out about it.
pub struct OpenedMeta {
    pub meta: Sae,
    pub k: Option<usize>,
    pub table: Option<Arc<BreakdownTable>>,
    /// For each meta-latent its nearest in the run of another seed.
    pub again: Option<Arc<Vec<Neighbour>>>,
    pub info: Option<Arc<MetaInfo>>,
}

impl OpenedMeta {
    pub const fn new(meta: Sae, k: Option<usize>) -> Self {
        Self { meta, k, table: None, again: None, info: None }
    }
}

/// What is known of a meta-SAE of this quality, without another run.
pub fn info(id: &str, of: &str, meta: &Sae, k: Option<usize>, quality: meta::Quality) -> MetaInfo {
    MetaInfo {
        meta: id.to_owned(),
        sae: of.to_owned(),
        width: meta.width(),
        k,
        threshold: threshold_of(meta),
        variance_explained: quality.variance_explained,
        mean_active: quality.mean_active,
        dead: quality.dead,
        stable: None,
        trained: false,
        notes: [doubts(quality, k, of), meta.metadata.notes.clone()].concat(),
    }
}

/// One that a suite lists.
pub fn open_listed(
    suite: &Suite,
    entry: &MetaEntry,
    of: &Sae,
    setup: &SessionConfig,
    cancel: &Cancel,
) -> Result<OpenedMeta, Report> {
    let parts = suite.meta_files(entry, &setup.hub)?;
    let what = || format!("cannot open meta-SAE `{}`", entry.id);
    let wrong = |error: sae::Error| failure::of_sae_files(what(), &error, &parts);
    let fits = |meta: &Sae| meta::check_fit(meta, of).map_err(|error| failure::of_sae(what(), &error));
    match (parts.format, parts.config.clone()) {
        (Format::BatchTopK, config) => {
            let published = meta::published(&parts.weights, config.as_ref()).map_err(wrong)?;
            fits(published.sae())?;
            let k = published.k;
            let meta = match entry.threshold {
                Some(threshold) => published.with_threshold(threshold),
                None => published.fitted(of, k.unwrap_or(meta::MEAN_ACTIVE), cancel),
            };
            Ok(OpenedMeta::new(meta.map_err(wrong)?, k))
        }
        (Format::SaeLens, Some(config)) => {
            let files = SaeFiles { config, weights: vec![parts.weights.clone()], sparsity: parts.sparsity.clone() };
            let meta = lens::open(&files).map_err(wrong)?;
            fits(&meta)?;
            Ok(OpenedMeta::new(meta, None))
        }
        (format, _) => Err(Report::new(what()).because(format!("format `{}` is not a meta-SAE format", format.name()))),
    }
}

/// One that lies in a folder as SAELens writes it.
pub fn open_folder(folder: &Path) -> Result<Sae, Report> {
    let files = SaeFiles {
        config: Blob::path(folder.join("cfg.json")),
        weights: vec![Blob::path(folder.join("sae_weights.safetensors"))],
        sparsity: None,
    };
    lens::open(&files).map_err(|error| failure::of_sae(format!("cannot open meta-SAE `{}`", folder.display()), &error))
}
