//! The meta-SAEs that are counted in an index, and what an index says of a meta-latent.
//! Not here: meta-SAEs that are opened for other questions (`session::meta`).

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::analysis::MetaCorpus;
use crate::report::{Kind, Report};
use crate::sae::meta::BreakdownTable;
use crate::session::content::hex;
use crate::session::failure;
use crate::session::index::{Counted, IndexRecipe, kept, members};
use crate::session::load_scope::LoadScope;
use crate::session::loaded_suite::LoadedSuite;
use crate::session::memo::MemoKey;
use crate::session::query::{Cx, Lane, Query};
use crate::task::Cancel;

/// A meta-SAE with the breakdowns of all latents of its SAE: nothing else decides how strongly its meta-latents are where
/// these latents fire.
pub struct IndexedMeta {
    pub sae: String,
    pub id: String,
    pub table: BreakdownTable,
    /// SHA-256 of the breakdowns.
    pub hash: String,
}

impl std::fmt::Debug for IndexedMeta {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IndexedMeta").field("sae", &self.sae).field("id", &self.id).finish_non_exhaustive()
    }
}

/// A meta-SAE of the open suite.
#[derive(Clone, PartialEq, Eq, Hash)]
struct IndexedMetaKey {
    place: usize,
    id: String,
}

impl MemoKey for IndexedMetaKey {
    type Value = Arc<IndexedMeta>;
}

/// What the index of the open suite says of a meta-latent: examples are where Σ_i `f_i·a_{i,m}` peaks. A meta-SAE that
/// was not counted is looked for in the stored examples of its members, which are run again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetaCorpusQuery {
    /// The SAE's id.
    pub sae: String,
    /// The meta-SAE's id, or a folder.
    pub meta: String,
    /// The meta-latent.
    pub meta_latent: u32,
    /// Another index than the suite's own.
    pub index: Option<PathBuf>,
}

impl Query for MetaCorpusQuery {
    /// None where there is no index of the SAE, or the meta-SAE is not in it and no model is open.
    type Answer = Option<MetaCorpus>;
    const NAME: &'static str = "meta-corpus";
    const LANE: Lane = Lane::Interactive;
    const PRIORITY: u8 = 13;

    fn run(&self, cx: &mut Cx<'_>) -> Result<Option<MetaCorpus>, Report> {
        let (suite, cancel, progress) = (cx.suite()?, cx.cancel, cx.progress);
        // Without an index of the SAE no table of breakdowns is made.
        let index = self.index.as_deref();
        let counted = suite.counted(&self.sae, None, index, cancel, progress)?;
        if matches!(counted, Counted::Nothing) {
            return Ok(None);
        }
        let meta = suite.indexed_meta(&self.sae, &self.meta, cancel)?;
        let width = meta.table.members.rows();
        if self.meta_latent as usize >= width {
            return Err(Report::new(format!("meta-SAE `{}` has no meta-latent {}", self.meta, self.meta_latent))
                .hint(format!("its meta-latents are 0 to {}", width.saturating_sub(1)))
                .kind(Kind::Usage));
        }
        let (of, tokenizer) = ((&*self.sae, Some(&*meta.id)), &suite.model.tokenizer);
        let found = match suite.counted(&self.sae, Some(&meta), index, cancel, progress) {
            // A named index that lacks the meta-SAE has its members' examples still.
            Err(report) if report.kind != Kind::Cancelled && index.is_some() => Counted::Nothing,
            found => found?,
        };
        let said = match &found {
            Counted::Live(live) => kept::live(&live.corpus(), of, self.meta_latent, tokenizer),
            Counted::Kept(kept) => Some(kept.latent(of, self.meta_latent, tokenizer)?),
            Counted::Nothing => None,
        };
        if let Some(said) = said {
            return Ok(Some(MetaCorpus::Index(said)));
        }
        if suite.open.reach == LoadScope::WeightsOnly {
            return Ok(None);
        }
        members::corpus(suite, &meta, self.meta_latent, &counted, cancel).map(|found| Some(MetaCorpus::Members(found)))
    }
}

impl LoadedSuite {
    /// A meta-SAE with its table, made where it was not there.
    pub(super) fn indexed_meta(&self, sae: &str, id: &str, cancel: &Cancel) -> Result<Arc<IndexedMeta>, Report> {
        let place = self.place(sae)?;
        let key = IndexedMetaKey { place, id: id.to_owned() };
        self.memo.get_or(&key, cancel, &|_| (), |_| {
            let meta = self.meta_sae(place, id, cancel)?;
            let what = || format!("cannot use meta-SAE `{id}` of SAE `{sae}`");
            let table = BreakdownTable::new(&meta, &self.saes[place].sae, cancel)
                .map_err(|error| failure::of_sae(what(), &error))?;
            let hash = hash_of(&table);
            Ok(Arc::new(IndexedMeta { sae: sae.to_owned(), id: id.to_owned(), table, hash }))
        })
    }

    /// The meta-SAEs that a recipe counts, of SAEs that it counts: those that it names, else those of the suite that are
    /// here.
    ///
    /// # Errors
    /// That one that is named is not there, or cannot be used.
    pub(super) fn counted_metas(&self, recipe: &IndexRecipe, cancel: &Cancel) -> Result<Vec<Arc<IndexedMeta>>, Report> {
        let counts = |sae: &str| recipe.saes.is_empty() || recipe.saes.iter().any(|id| id == sae);
        let saes: Vec<&str> = self.saes.iter().map(|of| &*of.entry.id).filter(|sae| counts(sae)).collect();
        let mut metas = Vec::new();
        for id in &recipe.metas {
            let known = saes.iter().filter(|sae| self.has_meta(sae, id));
            let mut found = known.map(|sae| self.indexed_meta(sae, id, cancel)).collect::<Result<Vec<_>, _>>()?;
            if found.is_empty() {
                let of = saes.iter().map(|sae| format!("`{sae}`")).collect::<Vec<_>>().join(", ");
                return Err(Report::new(format!("there is no meta-SAE `{}` of the SAEs {of}", id.escape_debug()))
                    .hint("`saescope meta train` trains one; a folder is named by its path")
                    .kind(Kind::Usage));
            }
            metas.append(&mut found);
        }
        let of_suite = self.suite.metas.iter().filter(|of| recipe.metas.is_empty() && saes.contains(&&*of.sae));
        for entry in of_suite {
            match self.indexed_meta(&entry.sae, &entry.id, cancel) {
                Ok(meta) => metas.push(meta),
                Err(report) if report.kind == Kind::Cancelled => return Err(report),
                // What is not asked for by name is not missed.
                Err(report) => tracing::info!(%report, "a meta-SAE is not counted"),
            }
        }
        let rank = |of: &IndexedMeta| saes.iter().position(|sae| *sae == of.sae);
        metas.sort_by(|a, b| rank(a).cmp(&rank(b)).then_with(|| a.id.cmp(&b.id)));
        metas.dedup_by(|a, b| a.sae == b.sae && a.id == b.id);
        Ok(metas)
    }
}

/// What the counts of these depend on.
pub fn hashes(metas: &[Arc<IndexedMeta>]) -> BTreeMap<String, BTreeMap<String, String>> {
    let mut hashes: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    for meta in metas {
        hashes.entry(meta.sae.clone()).or_default().insert(meta.id.clone(), meta.hash.clone());
    }
    hashes
}

fn hash_of(table: &BreakdownTable) -> String {
    let mut hash = Sha256::new();
    hash.update((table.members.rows() as u64).to_le_bytes());
    for row in 0..table.breakdowns.rows() {
        let (metas, amounts) = table.breakdowns.row(row);
        hash.update((metas.len() as u64).to_le_bytes());
        for (meta, amount) in metas.iter().zip(amounts) {
            hash.update(meta.to_le_bytes());
            hash.update(amount.to_le_bytes());
        }
    }
    hex(&hash.finalize())
}
