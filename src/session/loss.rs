//! Cross-entropies by splicing, on the prompt and on the part of the text that is kept.
//! Not here: the splicing itself (`analysis::splice`).

use crate::analysis::{BenchLoss, Change, Losses, Measures, Verdict};
use crate::model;
use crate::report::Report;
use crate::sae::Error;
use crate::sae::stitch::{Pair, Selection};
use crate::session::current::Corpus;
use crate::session::failure;
use crate::session::loaded_suite::LoadedSuite;
use crate::session::memo::MemoKey;
use crate::session::query::{Cx, Lane, Query};
use crate::session::sample::cannot_encode;
use crate::session::spliced::{Spliced, mean};
use crate::session::verdict::VerdictQuery;
use crate::session::workbench::{Prompt, WorkbenchQuery, Workbenches, measures, selection};
use crate::task::{Cancel, OnProgress, Progress};

/// Cross-entropies: one question whatever they are of, since they share the model.
#[derive(Clone, Debug, PartialEq)]
pub enum LossQuery {
    /// A verdict, with cross-entropies.
    Verdict(VerdictQuery),
    /// Those of the stitched SAE that is built by hand.
    Bench(WorkbenchQuery),
}

/// Cross-entropies of what was asked about.
#[derive(Clone, Debug)]
pub enum Loss {
    /// Of the narrower SAE with one latent in it.
    Verdict(Verdict),
    /// Of the stitched SAE that is built by hand.
    Bench(BenchLoss),
}

impl Query for LossQuery {
    type Answer = Loss;
    const NAME: &'static str = "loss";
    const LANE: Lane = Lane::Long;
    const PRIORITY: u8 = 30;

    fn run(&self, cx: &mut Cx<'_>) -> Result<Loss, Report> {
        let (suite, corpus, cancel, progress) = (cx.suite()?, cx.corpus()?, cx.cancel, cx.progress);
        Ok(match self {
            Self::Verdict(VerdictQuery { small, large, latent, threshold }) => {
                let places = suite.places(small, large)?;
                Loss::Verdict(suite.verdict_loss(&corpus, places, *latent, *threshold, cancel, progress)?)
            }
            Self::Bench(WorkbenchQuery { small, large, changes }) => {
                let places = suite.places(small, large)?;
                Loss::Bench(suite.bench_loss(&corpus, places, changes, cancel, progress)?)
            }
        })
    }
}

/// The choice of a text, and what stands in place of the activation.
#[derive(Clone, PartialEq, Eq, Hash)]
struct LossKey(u64, Spliced);

impl MemoKey for LossKey {
    /// The sum of cross-entropies with the number of predictions.
    type Value = (f64, usize);
    fn generation(&self) -> Option<u64> {
        Some(self.0)
    }
}

/// A stitched SAE.
type Stitched<'a> = ((usize, usize), &'a Selection);

impl LoadedSuite {
    /// The sum of cross-entropies on the text and the number of predictions; `stitched` where `which` names one.
    pub fn text_loss(
        &self,
        corpus: &Corpus,
        which: Spliced,
        stitched: Option<Stitched<'_>>,
        cancel: &Cancel,
        progress: OnProgress<'_>,
    ) -> Result<(f64, usize), Report> {
        self.memo.get_or(&LossKey(corpus.generation, which.clone()), cancel, progress, |progress| {
            let reconstruction = match (which, stitched) {
                (Spliced::Sae(place), _) => {
                    let codes = self.codes(corpus, place, cancel, progress)?;
                    let loaded = &self.saes[place];
                    let decoded = loaded.sae.decode(&codes);
                    Some(decoded.map_err(|error| cannot_encode(&loaded.entry.id, &error))?)
                }
                (_, Some(stitched)) => Some(self.stitched_text(corpus, stitched, cancel, progress)?),
                (_, None) => None,
            };
            self.sum_over_text(corpus, reconstruction.as_deref(), cancel, progress)
        })
    }

    fn sum_over_text(
        &self,
        corpus: &Corpus,
        reconstruction: Option<&[f32]>,
        cancel: &Cancel,
        progress: OnProgress<'_>,
    ) -> Result<(f64, usize), Report> {
        let text = self.sample(corpus, cancel, progress)?;
        let (sample, total) = (&text.sample, text.sample.rows.len() as u64);
        let size = sample.x.len() / sample.counts.len().max(1);
        let (mut sum, mut start) = ((0.0, 0), 0);
        for (done, ids) in sample.rows.iter().enumerate() {
            progress(Progress::steps("cross-entropy on the text", done as u64, total));
            let positions = start..start + ids.len();
            let values = positions.start * size..positions.end * size;
            let measured = self.measured(ids, &sample.counts[positions.clone()], &sample.x[values.clone()]);
            let row = measured.loss(reconstruction.map(|rows| &rows[values]), cancel).map_err(|e| no_loss(&e))?;
            sum = (sum.0 + row.0, sum.1 + row.1);
            start = positions.end;
        }
        Ok(sum)
    }

    /// A stitched SAE's reconstruction of the text.
    fn stitched_text(
        &self,
        corpus: &Corpus,
        (places, selection): Stitched<'_>,
        cancel: &Cancel,
        progress: OnProgress<'_>,
    ) -> Result<Vec<f32>, Report> {
        let pair = self.pair(places)?;
        let wrong = |error: Error| failure::of_sae("the stitched SAE cannot be measured", &error);
        let codes = if pair.competes() {
            let text = self.sample(corpus, cancel, progress)?;
            pair.encode(&text.sample.x, selection, cancel)
        } else {
            let small = self.codes(corpus, places.0, cancel, progress)?;
            let large = self.codes(corpus, places.1, cancel, progress)?;
            pair.select(&small, &large, selection)
        };
        pair.decode(&codes.map_err(wrong)?, selection).map_err(wrong)
    }

    /// Cross-entropies on the prompt: kept, smaller, stitched, larger.
    fn prompt_losses(
        &self,
        prompt: &Prompt,
        pair: Pair<'_>,
        now: &Selection,
        cancel: &Cancel,
    ) -> Result<Losses, Report> {
        let wrong = |error: Error| failure::of_sae("the stitched SAE cannot be measured", &error);
        let stitched = pair.encode(&prompt.x, now, cancel).and_then(|codes| pair.decode(&codes, now)).map_err(wrong)?;
        let measured = self.measured(&prompt.ids, &prompt.counts, &prompt.x);
        let loss = |rows: Option<&[f32]>| measured.loss(rows, cancel).map_err(|error| no_loss(&error));
        let clean = loss(None)?;
        Ok(Losses {
            clean: mean(clean),
            small: mean(loss(Some(&prompt.x_hat.0))?),
            now: mean(loss(Some(&stitched))?),
            large: mean(loss(Some(&prompt.x_hat.1))?),
            predictions: clean.1,
        })
    }

    /// Cross-entropies on the text: kept, smaller, stitched, larger.
    fn text_losses(
        &self,
        corpus: &Corpus,
        places: (usize, usize),
        changes: &[Change],
        now: &Selection,
        cancel: &Cancel,
        progress: OnProgress<'_>,
    ) -> Result<Losses, Report> {
        let loss = |which, stitched| self.text_loss(corpus, which, stitched, cancel, progress);
        let clean = loss(Spliced::Clean, None)?;
        let changed = Spliced::Changed { places, changes: changes.to_vec() };
        Ok(Losses {
            clean: mean(clean),
            small: mean(loss(Spliced::Sae(places.0), None)?),
            now: mean(loss(changed, Some((places, now)))?),
            large: mean(loss(Spliced::Sae(places.1), None)?),
            predictions: clean.1,
        })
    }

    /// Cross-entropies of a stitched SAE that is built by hand.
    fn bench_loss(
        &self,
        corpus: &Corpus,
        places: (usize, usize),
        changes: &[Change],
        cancel: &Cancel,
        progress: OnProgress<'_>,
    ) -> Result<BenchLoss, Report> {
        let pair = self.pair(places)?;
        let now = selection(pair, changes)?;
        let prompt = self.prompt_again(places, cancel)?;
        let on_prompt = self.prompt_losses(&prompt, pair, &now, cancel)?;
        let on_text = self.text_losses(corpus, places, changes, &now, cancel, progress)?;
        let (small, large) = self.names(places);
        let reencoded = self.encoded_again(corpus, pair, &now, cancel, progress)?;
        Ok(BenchLoss { small, large, changes: changes.to_vec(), prompt: on_prompt, text: on_text, reencoded })
    }

    /// A verdict with everything measured, on prompt and text.
    fn verdict_loss(
        &self,
        corpus: &Corpus,
        places: (usize, usize),
        latent: u32,
        threshold: f32,
        cancel: &Cancel,
        progress: OnProgress<'_>,
    ) -> Result<Verdict, Report> {
        let pair = self.pair(places)?;
        self.measured_pair(corpus, places, cancel, progress)?;
        self.text_bench(corpus, places, cancel, progress)?;
        let before_on_text = self.quality(corpus, places.0, cancel, progress)?;
        let prompt = self.prompt_again(places, cancel)?;
        let mut verdict =
            self.verdict(corpus, &prompt, &mut Workbenches::default(), places, (latent, threshold), cancel)?;
        let changes = [Change::Insert(latent)];
        let now = selection(pair, &changes)?;
        if let Some(after) = self.encoded_again(corpus, pair, &now, cancel, progress)? {
            verdict.text = self.effect_on_text(corpus, places, latent, |_| Some((measures(&before_on_text), after)));
            verdict.conclude();
        }
        let losses = self.prompt_losses(&prompt, pair, &now, cancel)?;
        (verdict.prompt.before.ce, verdict.prompt.after.ce) = (losses.small, losses.now);
        let losses = self.text_losses(corpus, places, &changes, &now, cancel, progress)?;
        if let Some(text) = &mut verdict.text {
            (text.before.ce, text.after.ce) = (losses.small, losses.now);
        }
        Ok(verdict)
    }

    /// A stitched SAE on the text where latents compete; none where they do not.
    fn encoded_again(
        &self,
        corpus: &Corpus,
        pair: Pair<'_>,
        now: &Selection,
        cancel: &Cancel,
        progress: OnProgress<'_>,
    ) -> Result<Option<Measures>, Report> {
        if !pair.competes() {
            return Ok(None);
        }
        let text = self.sample(corpus, cancel, progress)?;
        let quality = pair.measure(&text.sample.x, &text.sample.counts, now, cancel);
        let quality = quality.map_err(|error| failure::of_sae("the stitched SAE cannot be measured", &error))?;
        Ok(Some(measures(&quality)))
    }

    /// The last prompt, run again: the session that ran it continues with the next.
    fn prompt_again(&self, (small, large): (usize, usize), cancel: &Cancel) -> Result<Prompt, Report> {
        let ids = self.prompt();
        if ids.is_empty() {
            return Ok(Prompt::default());
        }
        let taker = self.taker();
        let x = taker.activations(&ids, cancel).map_err(|error| no_loss(&error))?;
        let encode = |place: usize| {
            let loaded = &self.saes[place];
            let codes = loaded.sae.encode(&x, cancel);
            let both = codes.and_then(|codes| loaded.sae.decode(&codes).map(|x_hat| (codes, x_hat)));
            both.map_err(|error| cannot_encode(&loaded.entry.id, &error))
        };
        let ((small, small_hat), (large, large_hat)) = (encode(small)?, encode(large)?);
        let (codes, x_hat) = ((small, large), (small_hat, large_hat));
        Ok(Prompt { counts: taker.counts(&ids).collect(), ids: ids.to_vec(), x, codes, x_hat })
    }
}

fn no_loss(error: &model::Error) -> Report {
    failure::of_model("cannot measure cross-entropy", error)
}
