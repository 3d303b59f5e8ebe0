//! Examples that Neuronpedia publishes: taken in at a person's wish, and shown where the index has few.
//! Not here: reading and keeping rows (`neuronpedia::activations`).

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Instant;

use serde::Serialize;

use crate::analysis::{CorpusToken, Example, ExampleSource, LatentCorpus};
use crate::report::{Kind, Report};
use crate::session::loaded_suite::LoadedSuite;
use crate::session::memo::MemoKey;
use crate::session::neuronpedia::Export;
use crate::session::neuronpedia::activations::{Published, Shelves};
use crate::session::query::{Cx, Lane, Query};
use crate::task::Cancel;

/// Examples of the index from which on none are added.
const ENOUGH: usize = 5;
/// The number of a token that the tokenizer does not have.
const NO_TOKEN: u32 = u32::MAX;

/// Take in the strongest examples that Neuronpedia publishes of an SAE's latents. All of its rows are read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PullExamplesQuery {
    /// The SAE's id.
    pub sae: String,
    /// These latents; all of the SAE's where it is empty.
    pub latents: Vec<u32>,
    /// Whether the source may be of other files than the suite's.
    pub anyway: bool,
    /// Whether it is only said how much there is.
    pub estimate: bool,
}

/// What was taken in, or is there (the JSON key `examples`).
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ExamplesCount {
    /// The SAE's id.
    pub sae: String,
    /// Its source, `model/source`.
    pub source: String,
    /// Bytes of all its rows, and files that they are in.
    pub bytes: u64,
    /// Files.
    pub batches: usize,
    /// Latents of which examples were kept.
    pub latents: usize,
    /// Examples that were kept.
    pub kept: usize,
    /// Seconds that it took.
    pub seconds: f64,
    /// Who publishes them, and on which terms.
    pub terms: String,
}

/// The tokens by their text.
#[derive(Clone, PartialEq, Eq, Hash)]
struct VocabularyKey;

impl MemoKey for VocabularyKey {
    type Value = Arc<HashMap<Vec<u8>, u32>>;
}

impl Query for PullExamplesQuery {
    type Answer = ExamplesCount;
    const NAME: &'static str = "pull-examples";
    const LANE: Lane = Lane::Long;
    const PRIORITY: u8 = 88;

    fn run(&self, cx: &mut Cx<'_>) -> Result<ExamplesCount, Report> {
        let started = Instant::now();
        let (suite, cancel) = (cx.suite()?, cx.cancel);
        let place = suite.place(&self.sae)?;
        self.latents.iter().try_for_each(|latent| suite.check_latent(place, *latent))?;
        let entry = &suite.saes[place].entry;
        let export = Export::of(&suite.setup.neuronpedia, entry)?;
        if let Err(report) = export.check(entry, cancel)
            && (!self.anyway || report.kind == Kind::Cancelled)
        {
            return Err(report);
        }
        let batches = export.batches("activations", cancel)?;
        let bytes = batches.iter().map(|batch| batch.size).sum();
        let mut count = ExamplesCount {
            sae: self.sae.clone(),
            source: export.id.to_owned(),
            bytes,
            batches: batches.len(),
            terms: export.terms(),
            ..ExamplesCount::default()
        };
        if !self.estimate {
            let shelves = suite.shelves(place).ok_or_else(|| {
                Report::new(format!("cannot keep examples of SAE `{}`", self.sae))
                    .because("there is no data directory on this machine")
                    .hint("set HOME or XDG_DATA_HOME")
            })?;
            let wanted: BTreeSet<u32> = self.latents.iter().copied().collect();
            let rows = export.activations((suite.saes[place].sae.width(), &wanted), &batches, cancel, cx.progress)?;
            shelves.keep(&rows)?;
            (count.latents, count.kept) = (rows.len(), rows.values().map(Vec::len).sum());
        }
        Ok(ExamplesCount { seconds: started.elapsed().as_secs_f64(), ..count })
    }
}

impl LoadedSuite {
    /// Where published examples of an SAE are kept; none where nothing is kept on this machine.
    pub(in crate::session) fn shelves(&self, place: usize) -> Option<Shelves> {
        self.store(place).folder().map(Shelves)
    }

    /// What an index says of a latent, with published examples behind its own where it has few.
    pub(in crate::session) fn with_published(
        &self,
        sae: &str,
        latent: u32,
        corpus: Option<LatentCorpus>,
        cancel: &Cancel,
    ) -> Result<Option<LatentCorpus>, Report> {
        let own = corpus.as_ref().map_or(0, |corpus| corpus.examples.iter().filter(|example| example.best).count());
        let shelves = if own < ENOUGH { self.shelves(self.place(sae)?) } else { None };
        let rows = shelves.map(|shelves| shelves.of(latent)).unwrap_or_default();
        if rows.is_empty() {
            return Ok(corpus);
        }
        let mut corpus = corpus.unwrap_or_default();
        let behind = corpus.examples.partition_point(|example| example.best);
        let mut published = Vec::with_capacity(rows.len());
        for row in &rows {
            published.push(self.example(row, cancel)?);
        }
        corpus.examples.splice(behind..behind, published);
        Ok(Some(corpus))
    }

    /// A published row as an example; what begins a text stands in front where it does in windows of an index.
    fn example(&self, row: &Published, cancel: &Cancel) -> Result<Example, Report> {
        let ids = self.ids_of(&row.tokens, cancel)?;
        let each = row.tokens.iter().zip(&row.values).zip(ids);
        let token = |((text, activation), id): ((&String, &f32), Option<u32>)| CorpusToken {
            id: id.unwrap_or(NO_TOKEN),
            text: text.clone(),
            activation: *activation,
        };
        let mut tokens: Vec<CorpusToken> = each.map(token).collect();
        let mut position = row.peak();
        if let Some(bos) = self.model.tokenizer.bos().filter(|_| self.suite.model.prepend_bos)
            && tokens.first().is_some_and(|first| first.id != bos)
        {
            let text = crate::analysis::tokens::shown(bos, &self.model.tokenizer);
            tokens.insert(0, CorpusToken { id: bos, text, activation: 0.0 });
            position += 1;
        }
        Ok(Example {
            document: 0,
            window: 0,
            position,
            activation: row.max(),
            quantile_bin: 10,
            best: true,
            source: ExampleSource::Neuronpedia,
            tokens,
        })
    }

    /// The numbers of tokens that are given by their texts, as a tokenizer decodes them or as its file spells them.
    pub(in crate::session) fn ids_of(&self, texts: &[String], cancel: &Cancel) -> Result<Vec<Option<u32>>, Report> {
        let tokenizer = &self.model.tokenizer;
        let vocabulary = self.memo.get_or(&VocabularyKey, cancel, &|_| (), |_| {
            let each = (0..tokenizer.vocab_size() as u32).rev();
            Ok(Arc::new(each.map(|id| (tokenizer.bytes_of(id).to_vec(), id)).collect()))
        })?;
        let of = |text: &String| {
            let spelled = || text.replace(['Ġ', '▁'], " ").replace(['Ċ', '↵'], "\n");
            vocabulary.get(text.as_bytes()).or_else(|| vocabulary.get(spelled().as_bytes())).copied()
        };
        Ok(texts.iter().map(of).collect())
    }
}
