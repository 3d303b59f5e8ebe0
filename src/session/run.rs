//! A prompt through the model and the ladder.
//! Not here: the pass itself (`analysis::live`), and what comes next (`next.rs`).

use std::sync::Arc;
use std::time::{Duration, Instant};

use rayon::prelude::*;

use crate::analysis::live;
use crate::analysis::{Run, SaeRun, Timings, tokens};
use crate::kernel;
use crate::model;
use crate::report::Report;
use crate::session::failure;
use crate::session::loaded_suite::LoadedSae;
use crate::session::prompt::Typed;
use crate::session::prompt_session::PromptSession;
use crate::session::query::{Cx, Query};
use crate::task::Cancel;

/// A prompt through the model and all loaded SAEs; every firing latent is in the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunQuery {
    /// What was typed.
    pub prompt: String,
    /// Likeliest next tokens wanted for each position; with 0 the model runs no further than the site.
    pub next: usize,
}

impl Query for RunQuery {
    type Answer = Run;
    const NAME: &'static str = "run";
    const PRIORITY: u8 = 10;

    fn run(&self, cx: &mut Cx<'_>) -> Result<Run, Report> {
        let (options, cancel) = (RunOptions { next: self.next, metrics: false }, cx.cancel);
        kernel::awake(|| cx.prompt()?.run(&self.prompt, &options, cancel))
    }
}

/// What a headless run is to give beside what a person typing gets.
#[derive(Clone, Debug, Default)]
pub struct RunOptions {
    /// Likeliest next tokens wanted for each position.
    pub next: usize,
    /// Whether cross-entropies are measured by splicing.
    pub metrics: bool,
}

/// What the last run computed from, as the SAEs receive it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RawRun {
    /// f32 [positions, size].
    pub residual: Vec<f32>,
    /// f32 [positions, vocab]; empty where the part of the model that gives them is not there or not open.
    pub logits: Vec<f32>,
    /// Positions.
    pub positions: usize,
    /// The size of the activation.
    pub size: usize,
    /// Rows of the embedding.
    pub vocab: usize,
}

impl PromptSession {
    /// A prompt through model and ladder; what the last prompt has in common with it is not computed again.
    pub fn run(&mut self, prompt: &str, options: &RunOptions, cancel: &Cancel) -> Result<Run, Report> {
        let Typed { ids, notes } = self.typed(prompt)?;
        let started = Instant::now();
        let wrong = |error: live::Error| failure::of_run(&error);
        let shared = Arc::clone(self.shared());
        let model::Loaded { model, tokenizer } = &shared.model;
        self.live.forward(&ids, &**model, cancel).map_err(wrong)?;
        let reached = started.elapsed();
        let counts = self.counts(&ids);
        for (place, LoadedSae { entry, sae }) in shared.saes.iter().enumerate() {
            cancel.check()?;
            self.live.encode(place, &entry.id, sae, cancel).map_err(wrong)?;
        }
        let live = &self.live;
        let runs = shared.saes.par_iter().enumerate();
        let runs = runs.map(|(place, LoadedSae { entry, sae })| live.sae_run(place, &entry.id, sae, &counts));
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
            tokens: tokens::views(&ids, tokenizer),
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

    fn measure(&self, ids: &[u32], counts: &[bool], saes: &mut [SaeRun], cancel: &Cancel) -> Result<(), Report> {
        let measured = self.measured(ids, counts, self.live.activations());
        let wrong = |error: model::Error| failure::of_model("cannot measure cross-entropy", &error);
        let Some(bounds) = measured.bounds(cancel).map_err(wrong)? else { return Ok(()) };
        for (place, run) in saes.iter_mut().enumerate() {
            run.metrics.cross_entropy =
                measured.spliced(self.live.reconstruction(place), bounds, cancel).map_err(wrong)?;
        }
        Ok(())
    }

    /// The tensors behind the last run; logits of all positions are computed for this alone, where there can be any.
    pub fn raw(&mut self, cancel: &Cancel) -> Result<RawRun, Report> {
        let shared = Arc::clone(self.shared());
        let model = &*shared.model.model;
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
}

/// A time in milliseconds.
pub fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
