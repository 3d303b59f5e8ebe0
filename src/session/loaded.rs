//! The prompt that is being typed, in the suite that is open.
//! Not here: how it was loaded, what is shared with aides (`shared.rs`), and which job is wanted.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Instant;

use rayon::prelude::*;

use crate::analysis::card::{self, Rung};
use crate::analysis::live::{self, Live};
use crate::analysis::{Attribution, Bench, Change, LatentCard, Run, Seen, Timings, Verdict, tokens};
use crate::model;
use crate::report::Report;
use crate::session::attribution::Attributor;
use crate::session::bench::{Benches, Prompt};
use crate::session::desk::Chosen;
use crate::session::meta::Room;
use crate::session::prompt::{self, Typed};
use crate::session::shared::{LoadedSae, Shared};
use crate::session::{Found, Labels, Opened, Predictions, RawRun, RunOptions, SaeInfo, failure};
use crate::suite::SaeEntry;
use crate::task::Cancel;

/// Tokens in a latent's short name.
const LABEL: usize = 5;

/// An open suite and what the last prompt left.
pub struct Loaded {
    shared: Arc<Shared>,
    live: Live,
    /// For each SAE how often each latent fired on the tokens that were newly run.
    fired: Vec<Vec<u32>>,
    tokens: u64,
    benches: Benches,
    attributor: Attributor,
}

impl Deref for Loaded {
    type Target = Shared;
    fn deref(&self) -> &Shared {
        &self.shared
    }
}

impl Loaded {
    pub fn new(shared: Shared) -> Self {
        let live = live(&shared);
        let fired = shared.saes.iter().map(|loaded| vec![0; loaded.sae.width()]).collect();
        Self {
            shared: Arc::new(shared),
            live,
            fired,
            tokens: 0,
            benches: Benches::default(),
            attributor: Attributor::default(),
        }
    }

    /// What is shared with aides.
    pub const fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    pub fn opened(&self) -> Opened {
        let known = |entry: &SaeEntry, width: Option<usize>| SaeInfo {
            id: entry.id.clone(),
            width,
            loaded: width.is_some(),
            neuronpedia: entry.neuronpedia.clone(),
        };
        let loaded = self.saes.iter().map(|loaded| known(&loaded.entry, Some(loaded.sae.width())));
        let others = self.suite.saes.iter().filter(|entry| self.saes.iter().all(|sae| sae.entry.id != entry.id));
        Opened {
            suite: self.suite.id.clone(),
            title: self.suite.title.clone(),
            model: self.suite.model.source.to_string(),
            site: self.suite.site,
            threshold: self.suite.threshold,
            device: self.setup.computer.words(),
            saes: loaded.chain(others.map(|entry| known(entry, None))).collect(),
            context: self.model.model.shape().context,
            bos: self.suite.model.prepend_bos,
            prompt: self.suite.prompt.clone().unwrap_or_default(),
            reach: self.open.reach,
            words: self.words().is_some(),
            memory: self.open.memory,
            notes: self.open.notes.clone(),
        }
    }

    /// A prompt through model and ladder; what the last prompt has in common with it is not computed again.
    pub fn run(&mut self, prompt: &str, options: &RunOptions, cancel: &Cancel) -> Result<Run, Report> {
        let Typed { ids, notes } = prompt::typed(&self.model, &self.suite, prompt)?;
        let started = Instant::now();
        let wrong = |error: live::Error| failure::of_run(&error);
        let shared = Arc::clone(&self.shared);
        let model::Loaded { model, tokenizer } = &shared.model;
        self.live.forward(&ids, &**model, cancel).map_err(wrong)?;
        let reached = started.elapsed();
        let counts = self.counts(&ids);
        for (place, LoadedSae { entry, sae }) in self.shared.saes.iter().enumerate() {
            cancel.check()?;
            self.live.encode(place, &entry.id, sae, cancel).map_err(wrong)?;
        }
        let live = &self.live;
        let runs = self.shared.saes.par_iter().enumerate();
        let runs = runs.map(|(place, LoadedSae { entry, sae })| live.sae_run(place, &entry.id, sae.width(), &counts));
        let mut saes = runs.collect::<Result<Vec<_>, _>>().map_err(wrong)?;
        self.count_firings(&counts);
        self.set_prompt(ids.clone());
        let encoded = started.elapsed();
        let (mut next, mut predictions) = (vec![Vec::new(); ids.len()], 0.0);
        // A model without a head gives everything else.
        if options.next > 0 && !matches!(model.check_logits(), Err(model::Error::NoHead { .. })) {
            let all: Vec<usize> = (0..ids.len()).collect();
            let predicted = self.live.predict(&all, options.next, &**model, tokenizer, cancel).map_err(wrong)?;
            next = predicted.into_iter().map(|(_, next)| next).collect();
            predictions = ms(started.elapsed().saturating_sub(encoded));
        }
        if options.metrics {
            self.measure(&ids, &counts, &mut saes, cancel)?;
        }
        Ok(Run {
            suite: self.suite.id.clone(),
            model: self.suite.model.source.to_string(),
            site: self.suite.site,
            tokens: tokens::views(&ids, &self.model.tokenizer),
            left_out: self.apart().of(&ids),
            next,
            saes,
            notes: self.open.notes.iter().cloned().chain(notes).collect(),
            timings_ms: Timings {
                load: 0.0,
                forward: ms(reached) + predictions,
                predictions,
                encode: ms(encoded.saturating_sub(reached)),
            },
        })
    }

    /// The likeliest next tokens at some positions of the prompt, which is taken through the rest of the model first.
    pub fn next(
        &mut self,
        prompt: &str,
        positions: &[usize],
        count: usize,
        cancel: &Cancel,
    ) -> Result<Predictions, Report> {
        let ids = prompt::typed(&self.model, &self.suite, prompt)?.ids;
        let started = Instant::now();
        let wrong = |error: live::Error| failure::of_run(&error);
        let shared = Arc::clone(&self.shared);
        let model::Loaded { model, tokenizer } = &shared.model;
        if self.live.ids() != ids {
            self.live.forward(&ids, &**model, cancel).map_err(wrong)?;
        }
        let next = self.live.predict(positions, count, &**model, tokenizer, cancel).map_err(wrong)?;
        Ok(Predictions { next, ms: ms(started.elapsed()) })
    }

    /// The tensors behind the last run; logits of all positions are computed for this alone, where there can be any.
    pub fn raw(&mut self, cancel: &Cancel) -> Result<RawRun, Report> {
        let model = &*self.shared.model.model;
        let (positions, vocab) = (self.live.ids().len(), model.shape().vocab);
        let all: Vec<usize> = (0..positions).collect();
        let rows = if model.check_logits().is_ok() { all.chunks(live::LOGIT_ROWS) } else { [].chunks(1) };
        let mut logits = Vec::new();
        for part in rows {
            let read = self.live.logits(part, model, cancel, |rows| logits.extend_from_slice(rows));
            read.map_err(|error| failure::of_run(&error))?;
        }
        let residual = self.live.activations().to_vec();
        Ok(RawRun { size: residual.len() / positions.max(1), residual, logits, positions, vocab })
    }

    pub fn card(&self, sae: &str, latent: u32, threshold: Option<f32>, top: usize) -> Result<LatentCard, Report> {
        let place = self.place(sae)?;
        let seen = Seen {
            fired: self.fired[place].get(latent as usize).map_or(0, |count| u64::from(*count)),
            tokens: self.tokens,
        };
        let rungs: Vec<Rung<'_>> =
            self.saes.iter().map(|loaded| Rung { id: &loaded.entry.id, sae: &loaded.sae }).collect();
        let threshold = threshold.unwrap_or(self.suite.threshold);
        card::card(&rungs, place, latent as usize, self.words(), threshold, top, seen)
            .map_err(|error| failure::of_sae(format!("SAE `{sae}` has no card for latent {latent}"), &error))
    }

    /// Which heads and tokens made a latent fire.
    pub fn attribution(&mut self, asked: (&str, u32, Option<usize>), cancel: &Cancel) -> Result<Attribution, Report> {
        let counts = self.counts(self.live.ids());
        self.attributor.attribute((&self.shared, &self.live, &counts), asked, cancel)
    }

    pub fn labels(&self, sae: &str, latents: &[u32]) -> Result<Labels, Report> {
        let place = self.place(sae)?;
        let labels = match self.words() {
            None => Vec::new(),
            Some(words) => card::labels(&self.saes[place].sae, latents, words, LABEL)
                .map_err(|error| failure::of_sae(format!("cannot name latents of SAE `{sae}`"), &error))?,
        };
        Ok(Labels { sae: sae.to_owned(), labels })
    }

    pub fn search(&self, sae: &str, query: &str) -> Result<Found, Report> {
        let place = self.place(sae)?;
        let matches = card::search(&self.saes[place].sae, query, self.words())
            .map_err(|error| failure::of_sae(format!("cannot search SAE `{sae}`"), &error))?;
        Ok(Found { sae: sae.to_owned(), query: query.to_owned(), meaning: matches.meaning, latents: matches.latents })
    }

    /// What meta-SAEs look at.
    pub fn room(&self) -> Room<'_> {
        let words = self.words();
        Room { suite: &self.suite, model: &self.model, saes: &self.saes, live: &self.live, words }
    }

    pub fn forget_run(&mut self) {
        self.live = live(&self.shared);
        self.benches = Benches::default();
    }

    /// Which positions count: not those where a beginning-of-sequence token stands in front (methods §1).
    fn counts(&self, ids: &[u32]) -> Vec<bool> {
        self.apart().counts(ids).collect()
    }

    /// Counts what fires on the tokens that were newly run, so that retyping a word does not count its sentence twice.
    fn count_firings(&mut self, counts: &[bool]) {
        let new = counts.len() - self.live.new_positions()..counts.len();
        for position in new.filter(|position| counts[*position]) {
            self.tokens += 1;
            for (place, fired) in self.fired.iter_mut().enumerate() {
                for latent in self.live.codes(place).row(position).0 {
                    fired[*latent as usize] += 1;
                }
            }
        }
    }

    fn measure(
        &self,
        ids: &[u32],
        counts: &[bool],
        saes: &mut [crate::analysis::SaeRun],
        cancel: &Cancel,
    ) -> Result<(), Report> {
        let measured = self.measured(ids, counts, self.live.activations());
        let wrong = |error: model::Error| failure::of_model("cannot measure cross-entropy", &error);
        let Some(bounds) = measured.bounds(cancel).map_err(wrong)? else { return Ok(()) };
        for (place, run) in saes.iter_mut().enumerate() {
            run.metrics.cross_entropy =
                measured.spliced(self.live.reconstruction(place), bounds, cancel).map_err(wrong)?;
        }
        Ok(())
    }

    /// The stitched SAE after these changes.
    pub fn bench(
        &mut self,
        chosen: &Chosen,
        (small, large): (&str, &str),
        changes: &[Change],
        cancel: &Cancel,
    ) -> Result<Bench, Report> {
        let places = self.places(small, large)?;
        let prompt = self.prompt_of(places);
        self.shared.bench(chosen, &prompt, &mut self.benches, places, changes, cancel)
    }

    /// Whether a latent is new, and what putting it in does.
    pub fn verdict(
        &mut self,
        chosen: &Chosen,
        (small, large): (&str, &str),
        latent: (u32, f32),
        cancel: &Cancel,
    ) -> Result<Verdict, Report> {
        let places = self.places(small, large)?;
        let prompt = self.prompt_of(places);
        self.shared.verdict(chosen, &prompt, &mut self.benches, places, latent, cancel)
    }

    /// The last prompt that was run to its end, as two SAEs see it; nothing of one that was broken off.
    fn prompt_of(&self, (small, large): (usize, usize)) -> Prompt {
        let (live, positions) = (&self.live, self.live.ids().len());
        let whole = [small, large].iter().all(|place| live.codes(*place).rows() == positions);
        if !whole {
            return Prompt::default();
        }
        Prompt {
            ids: live.ids().to_vec(),
            counts: self.counts(live.ids()),
            x: live.activations().to_vec(),
            codes: (live.codes(small).clone(), live.codes(large).clone()),
            x_hat: (live.reconstruction(small).to_vec(), live.reconstruction(large).to_vec()),
        }
    }
}

fn ms(time: std::time::Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn live(shared: &Shared) -> Live {
    let Shared { suite, model, saes, .. } = shared;
    let size = model.model.site_size(suite.site).unwrap_or_default();
    Live::new(&*model.model, suite.site, suite.center, size, saes.len())
}
