//! A pair of SAEs measured on the text: what putting each latent of the larger one in does, in one pass.
//! Not here: changes that are made (`bench.rs`).

use std::sync::Arc;

use crate::analysis::measuring::Sample;
use crate::analysis::{PairView, TextInfo};
use crate::report::Report;
use crate::sae::Codes;
use crate::sae::stitch::{Score, Scores, Workbench};
use crate::session::current::Corpus;
use crate::session::failure;
use crate::session::load_scope::LoadScope;
use crate::session::loaded_suite::LoadedSuite;
use crate::session::memo::MemoKey;
use crate::session::query::{Cx, Lane, Query};
use crate::session::sample::{cannot_encode, reading};
use crate::session::tables::PairTable;
use crate::task::{Cancel, OnProgress};

/// Positions measured at a time of a text that is longer than what is kept of it.
const BATCH: usize = 2048;

/// The work queue of two SAEs.
#[derive(Clone, Debug, PartialEq)]
pub struct PairQuery {
    /// The narrower SAE.
    pub small: String,
    /// The wider SAE.
    pub large: String,
    /// A threshold that it must have groups for.
    pub threshold: f32,
}

impl Query for PairQuery {
    type Answer = PairView;
    const NAME: &'static str = "pair";
    const LANE: Lane = Lane::Long;
    const PRIORITY: u8 = 10;

    fn run(&self, cx: &mut Cx<'_>) -> Result<PairView, Report> {
        let (suite, corpus) = (cx.suite()?, cx.corpus()?);
        let places = suite.places(&self.small, &self.large)?;
        suite.pair_view(&corpus, places, self.threshold, cx.cancel, cx.progress)
    }
}

/// A pair measured on the whole text.
pub struct MeasuredPair {
    /// Of putting in each latent of the larger SAE.
    pub scores: Vec<Score>,
    /// For each latent of the smaller SAE on how many tokens it fires.
    pub small_fired: Vec<u64>,
    /// The text.
    pub info: TextInfo,
}

/// The choice of a text, and two SAEs.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct MeasuredKey(pub u64, pub (usize, usize));

impl MemoKey for MeasuredKey {
    type Value = Arc<MeasuredPair>;
    fn generation(&self) -> Option<u64> {
        Some(self.0)
    }
}

/// The choice of a text, and two SAEs: the smaller one on the text, ready for changes.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct TextBenchKey(pub u64, pub (usize, usize));

impl MemoKey for TextBenchKey {
    type Value = Arc<Workbench>;
    fn generation(&self) -> Option<u64> {
        Some(self.0)
    }
}

impl LoadedSuite {
    /// The work queue of two SAEs.
    pub fn pair_view(
        &self,
        corpus: &Corpus,
        places: (usize, usize),
        threshold: f32,
        cancel: &Cancel,
        progress: OnProgress<'_>,
    ) -> Result<PairView, Report> {
        let pair = self.pair(places)?;
        let table = self.table(places, threshold, cancel, progress)?;
        if self.open.reach == LoadScope::WeightsOnly {
            return self.unmeasured(places, &table);
        }
        let measured = self.measured_pair(corpus, places, cancel, progress)?;
        // So that a workbench can be measured on the text at once.
        self.text_bench(corpus, places, cancel, progress)?;
        for place in [places.0, places.1] {
            self.quality(corpus, place, cancel, progress)?;
        }
        let MeasuredPair { scores, small_fired, info } = &*measured;
        let names = self.names(places);
        let comparison = Arc::clone(&table.comparison);
        let view = PairView::new(names, comparison, scores, small_fired.clone(), info.clone(), pair.small().d_out());
        let mut view = view.map_err(|error| failure::of_sae("the pair cannot be measured", &error))?;
        view.mark_zeros(pair.large()).map_err(|error| failure::of_sae("the pair cannot be measured", &error))?;
        view.competes = pair.competes();
        view.notes.extend(table.note.clone());
        Ok(view)
    }

    /// Classes and groups alone, where no model is there to measure with.
    fn unmeasured(&self, places: (usize, usize), table: &PairTable) -> Result<PairView, Report> {
        let pair = self.pair(places)?;
        let (scores, small_fired) = (vec![Score::default(); pair.large().width()], vec![0; pair.small().width()]);
        let text = TextInfo { name: "no text".to_owned(), tokens: 0 };
        let comparison = Arc::clone(&table.comparison);
        let view = PairView::new(self.names(places), comparison, &scores, small_fired, text, pair.small().d_out());
        let mut view = view.map_err(|error| failure::of_sae("the pair cannot be compared", &error))?;
        view.mark_zeros(pair.large()).map_err(|error| failure::of_sae("the pair cannot be compared", &error))?;
        view.competes = pair.competes();
        view.notes.push("weights only: no text is measured, so there are no c*, ΔMSE and rates".to_owned());
        view.notes.extend(table.note.clone());
        Ok(view)
    }

    /// A pair measured on the whole text.
    pub fn measured_pair(
        &self,
        corpus: &Corpus,
        places: (usize, usize),
        cancel: &Cancel,
        progress: OnProgress<'_>,
    ) -> Result<Arc<MeasuredPair>, Report> {
        self.memo.get_or(&MeasuredKey(corpus.generation, places), cancel, progress, |progress| {
            self.measure_pair(corpus, places, cancel, progress).map(Arc::new)
        })
    }

    fn measure_pair(
        &self,
        corpus: &Corpus,
        places: (usize, usize),
        cancel: &Cancel,
        progress: OnProgress<'_>,
    ) -> Result<MeasuredPair, Report> {
        let pair = self.pair(places)?;
        let text = self.sample(corpus, cancel, progress)?;
        let codes = [places.0, places.1].map(|place| self.codes(corpus, place, cancel, progress));
        let [small, large] = codes;
        let mut scores = Scores::insertions(pair);
        let mut small_fired = vec![0; pair.small().width()];
        let mut add = |sample: &Sample, small: &Codes, large: &Codes| {
            count(small, &sample.counts, &mut small_fired);
            let added = scores.add(pair, &sample.x, small, large, &sample.counts, cancel);
            added.map_err(|error| failure::of_sae("the pair cannot be measured", &error))
        };
        add(&text.sample, &*small?, &*large?)?;
        if text.more {
            self.rest(corpus, text.sample.rows.len(), text.info.tokens, cancel, progress, &mut |sample| {
                let encode = |place: usize| {
                    let loaded = &self.saes[place];
                    let codes = loaded.sae.encode(&sample.x, cancel);
                    codes.map_err(|error| cannot_encode(&loaded.entry.id, &error))
                };
                add(sample, &encode(places.0)?, &encode(places.1)?)
            })?;
        }
        let info = TextInfo { name: text.info.name.clone(), tokens: scores.tokens() as usize };
        Ok(MeasuredPair { scores: scores.scores().to_vec(), small_fired, info })
    }

    /// Gives the rest of the text, behind the rows and tokens that are kept of it, batch by batch.
    fn rest(
        &self,
        corpus: &Corpus,
        rows_kept: usize,
        mut tokens: usize,
        cancel: &Cancel,
        progress: OnProgress<'_>,
        take: &mut dyn FnMut(&Sample) -> Result<(), Report>,
    ) -> Result<(), Report> {
        let (text, taker, most) = (self.text(corpus)?, self.taker(), corpus.max_tokens.unwrap_or(usize::MAX));
        let cannot = |error| failure::of_model(format!("cannot measure on the text `{}`", text.name), &error);
        let mut rows = self.rows(&text)?;
        let mut sample = Sample::default();
        let mut number = 0;
        while let Some(row) = rows.next() {
            let row = row?;
            number += 1;
            if number <= rows_kept {
                continue;
            }
            let row = self.shorten(row, most - tokens);
            if row.is_empty() {
                break;
            }
            tokens += taker.counts(&row).filter(|counts| *counts).count();
            taker.add(&mut sample, row, cancel).map_err(cannot)?;
            if sample.counts.len() >= BATCH {
                progress(reading(&text, rows.read()));
                take(&std::mem::take(&mut sample))?;
            }
        }
        if sample.rows.is_empty() { Ok(()) } else { take(&sample) }
    }

    /// The smaller SAE on the part of the text that is kept, ready for changes; none where latents compete.
    pub fn text_bench(
        &self,
        corpus: &Corpus,
        places: (usize, usize),
        cancel: &Cancel,
        progress: OnProgress<'_>,
    ) -> Result<Option<Arc<Workbench>>, Report> {
        let pair = self.pair(places)?;
        if pair.competes() {
            return Ok(None);
        }
        let key = TextBenchKey(corpus.generation, places);
        // They are large, and one pair is worked on at a time.
        self.memo.retain(|kept: &TextBenchKey| *kept == key);
        let bench = self.memo.get_or(&key, cancel, progress, |progress| {
            let text = self.sample(corpus, cancel, progress)?;
            let small = self.codes(corpus, places.0, cancel, progress)?;
            let large = self.codes(corpus, places.1, cancel, progress)?;
            let bench = Workbench::new(pair, &text.sample.x, &small, &large, &text.sample.counts);
            bench.map(Arc::new).map_err(|error| failure::of_sae("the pair cannot be measured", &error))
        });
        bench.map(Some)
    }
}

/// Counts on how many rows that count each latent fires.
fn count(codes: &Codes, counts: &[bool], fired: &mut [u64]) {
    for row in (0..codes.rows()).filter(|row| counts[*row]) {
        for latent in codes.row(row).0 {
            fired[*latent as usize] += 1;
        }
    }
}
