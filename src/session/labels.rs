//! Labels of latents: those that are kept here, rules made of a text, a person's own, files taken in and written out.
//! Not here: how a rule is chosen (`analysis::rules`), and how labels are kept (`store`).

mod endpoint;
mod examples;
mod make;
mod pull;
mod reading;
mod score;
mod store;
mod transfer;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub use endpoint::{Endpoint, Key};
pub use examples::{ExamplesCount, PullExamplesQuery};
pub use make::MakeLabelsQuery;
pub use pull::PullLabelsQuery;
pub use score::ScoreRulesQuery;
pub use transfer::{ExportLabelsQuery, ImportLabelsQuery};
pub use words::{ModelAsked, WordsQuery};

use crate::analysis::{Label, LabelSource};
use crate::report::{Kind, Report};
use crate::session::loaded_suite::LoadedSuite;
use crate::session::memo::MemoKey;
use crate::session::query::{Cx, Lane, Query};
use crate::task::Cancel;

use make::LABEL_TOKENS;
use store::Store;

/// The labels of some latents of an SAE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelsQuery {
    /// The SAE's id.
    pub sae: String,
    /// The latents.
    pub latents: Vec<u32>,
}

/// Labels of latents of one SAE.
#[derive(Clone, Debug, PartialEq)]
pub struct Labels {
    /// The SAE's id.
    pub sae: String,
    /// Each latent with its labels: a person's first, then rules, Neuronpedia's, a model's.
    pub labels: Vec<(u32, Vec<Label>)>,
    /// Files of labels that cannot be read, and lines of them.
    pub notes: Vec<String>,
}

/// Write a person's own label of a latent; an empty text takes it away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WriteLabelQuery {
    /// The SAE's id.
    pub sae: String,
    /// The latent.
    pub latent: u32,
    /// What is said of it.
    pub text: String,
    /// A note beside it.
    pub note: String,
}

/// How many latents of an SAE have a label, of one source or of any (the JSON of `saescope labels`).
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize)]
pub struct LabelCount {
    /// The SAE's id.
    pub sae: String,
    /// Latents with a label.
    pub labelled: usize,
    /// Latents that are known to have none.
    pub none: usize,
    /// Latents for which nobody looked.
    pub unknown: usize,
    /// Positions of the text, where one was read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    /// What was asked of a model, where one was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asked: Option<ModelAsked>,
    /// Examples that were taken in, where any were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub examples: Option<ExamplesCount>,
    /// Bytes that were downloaded, where any were.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// Seconds that it took.
    pub seconds: f64,
    /// Things worth saying.
    pub notes: Vec<String>,
}

/// The labels of an SAE, as they are kept here.
#[derive(Clone, PartialEq, Eq, Hash)]
struct LabelsKey(usize);

impl MemoKey for LabelsKey {
    type Value = Arc<Known>;
}

/// The labels of one source by latent; none where it is known that there is none.
pub(super) type OfSource = BTreeMap<u32, Vec<Label>>;

/// The labels of an SAE by source and latent.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub of: BTreeMap<LabelSource, OfSource>,
    pub notes: Vec<String>,
}

impl Known {
    /// The labels of a latent, in the order in which they are shown.
    fn labels(&self, latent: u32) -> Vec<Label> {
        let of = |source| self.of.get(&source).and_then(|of| of.get(&latent));
        LabelSource::ALL.into_iter().filter_map(of).flatten().cloned().collect()
    }

    /// How many latents have one.
    fn count(&self, sae: &str, width: usize) -> LabelCount {
        let labelled = |latent: &u32| self.of.values().any(|of| of.get(latent).is_some_and(|of| !of.is_empty()));
        let asked: BTreeSet<u32> = self.of.values().flat_map(BTreeMap::keys).copied().collect();
        let with = asked.iter().filter(|latent| labelled(latent)).count();
        LabelCount {
            sae: sae.to_owned(),
            labelled: with,
            none: asked.len() - with,
            unknown: width.saturating_sub(asked.len()),
            notes: self.notes.clone(),
            ..LabelCount::default()
        }
    }
}

impl Query for LabelsQuery {
    type Answer = Labels;
    const NAME: &'static str = "labels";
    const LANE: Lane = Lane::Interactive;
    const PRIORITY: u8 = 7;

    fn run(&self, cx: &mut Cx<'_>) -> Result<Labels, Report> {
        let suite = cx.suite()?;
        let known = suite.labels(suite.place(&self.sae)?, cx.cancel)?;
        let labels = self.latents.iter().map(|latent| (*latent, known.labels(*latent))).collect();
        Ok(Labels { sae: self.sae.clone(), labels, notes: known.notes.clone() })
    }
}

impl Query for WriteLabelQuery {
    /// The latent's labels then.
    type Answer = Labels;
    const NAME: &'static str = "write-label";
    const LANE: Lane = Lane::Interactive;
    const PRIORITY: u8 = 3;

    fn run(&self, cx: &mut Cx<'_>) -> Result<Labels, Report> {
        let suite = cx.suite()?;
        let place = suite.place(&self.sae)?;
        suite.check_latent(place, self.latent)?;
        let text = self.text.trim();
        let label = Label { text: text.to_owned(), note: self.note.trim().to_owned(), ..Label::default() };
        let labels = if text.is_empty() { Vec::new() } else { vec![label] };
        suite.keep_labels(place, LabelSource::File, vec![(self.latent, labels)], cx.cancel)?;
        LabelsQuery { sae: self.sae.clone(), latents: vec![self.latent] }.run(cx)
    }
}

impl LoadedSuite {
    /// The labels of an SAE that are kept here.
    fn labels(&self, place: usize, cancel: &Cancel) -> Result<Arc<Known>, Report> {
        self.memo.get_or(&LabelsKey(place), cancel, &|_| (), |_| Ok(Arc::new(self.store(place).read())))
    }

    /// The texts of all labels of an SAE, by latent.
    pub(super) fn label_texts(&self, place: usize, cancel: &Cancel) -> Result<BTreeMap<u32, Vec<String>>, Report> {
        let mut texts: BTreeMap<u32, Vec<String>> = BTreeMap::new();
        for (latent, labels) in self.labels(place, cancel)?.of.values().flatten() {
            texts.entry(*latent).or_default().extend(labels.iter().map(|label| label.text.clone()));
        }
        Ok(texts)
    }

    /// Where labels of an SAE are kept: under the hash of its decoder rows, whatever suite it is in.
    fn store(&self, place: usize) -> Store {
        let data = self.setup.metas.as_ref().and_then(|metas| metas.parent());
        Store::of(data.map(|data| data.join("labels")), &self.saes[place].sae)
    }

    /// Puts labels of one source in the place of those that these latents had of it; what has none is known to have none,
    /// but for a person's, which is taken away.
    fn keep_labels(
        &self,
        place: usize,
        source: LabelSource,
        labels: Vec<(u32, Vec<Label>)>,
        cancel: &Cancel,
    ) -> Result<(), Report> {
        let known = self.labels(place, cancel)?;
        let mut all = known.of.get(&source).cloned().unwrap_or_default();
        all.extend(labels);
        if source == LabelSource::File {
            all.retain(|_, labels| !labels.is_empty());
        }
        self.store(place).write(source, &self.saes[place].entry.id, &all)?;
        self.memo.retain(|key: &LabelsKey| key.0 != place);
        Ok(())
    }

    fn check_latent(&self, place: usize, latent: u32) -> Result<(), Report> {
        let (sae, width) = (&self.saes[place].entry.id, self.saes[place].sae.width());
        if (latent as usize) < width {
            return Ok(());
        }
        Err(Report::new(format!("SAE `{sae}` has no latent {latent}"))
            .hint(format!("its latents are 0 to {}", width.saturating_sub(1)))
            .kind(Kind::Usage))
    }
}
