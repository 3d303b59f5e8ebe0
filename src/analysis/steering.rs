//! Texts that a model writes beside each other: untouched, under an intervention, and under one as large in a random
//! direction. One batch a step: the weights are read once for all of them.
//! Not here: which interventions (`session::steer`), and what they make of an activation (`intervention`).

mod view;

use candle_core::Tensor;

use crate::analysis::intervention::{ArmEdit, ArmsHook};
use crate::analysis::live::{LOGIT_ROWS, Tap};
use crate::analysis::surgery::Sampling;
use crate::analysis::tokens;
use crate::model::{self, Arms, Cache, Chooser, Error, Logits, Model, Pass};
use crate::site::Site;
use crate::task::Cancel;

pub use view::{SteerArm, SteerToken, SteerView, Strength, SweepPoint, view};

/// The untouched prompt, kept while it does not change.
#[derive(Default)]
pub struct Prefix {
    cache: Cache,
    /// ‖x‖ at the site, at each position.
    norms: Vec<f64>,
}

/// What is to be written, and how.
pub struct Steering<'a> {
    /// The model.
    pub model: &'a dyn Model,
    /// Where it is changed.
    pub site: Site,
    /// The prompt; at least one token.
    pub ids: &'a [u32],
    /// Most tokens that each arm adds.
    pub tokens: usize,
    /// How each token is chosen: every arm begins with the same seed.
    pub sampling: Sampling,
    /// For each new token how many of the likeliest are noted.
    pub candidates: usize,
    /// Tokens that end a text.
    pub stop: &'a [u32],
    /// Whether the answer is still wanted.
    pub cancel: &'a Cancel,
}

/// What one arm has written.
pub struct Written<'a> {
    /// The new tokens.
    pub ids: Vec<u32>,
    /// For each its log-probability in this arm, at temperature 1.
    pub logprobs: Vec<f64>,
    /// For each the likeliest tokens in its place, best first, with their log-probabilities.
    pub candidates: Vec<Vec<(u32, f64)>>,
    /// What was done where.
    pub edit: ArmEdit<'a>,
    /// exp of the mean negative log-probability of the new tokens under the untouched model; none before the text has
    /// ended, or where there is none.
    pub perplexity: Option<f64>,
    cache: Cache,
    chooser: Chooser,
    ended: bool,
}

impl Prefix {
    /// Runs the prompt, of which the common beginning with the last one is kept.
    ///
    /// # Errors
    /// [`Error`].
    pub fn run(&mut self, model: &dyn Model, site: Site, ids: &[u32], cancel: &Cancel) -> Result<(), Error> {
        if self.cache.is_empty() {
            self.cache = model.cache();
        }
        let kept = self.cache.keep_for(ids, model.shape().layers);
        self.norms.truncate(kept);
        let mut tap = Tap::new(site);
        let pass = Pass { layers: None, logits: Logits::None, hook: Some(&mut tap), cancel };
        model.forward(&ids[kept..], &mut self.cache, pass)?;
        let size = model.site_size(site)?.max(1);
        let norm = |x: &[f32]| x.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
        self.norms.extend(tap.rows.chunks_exact(size).map(norm));
        Ok(())
    }

    /// The mean of ‖x‖ over the positions behind so many beginning-of-sequence tokens.
    #[must_use]
    pub fn mean_norm(&self, bos: usize) -> Option<f64> {
        let norms = self.norms.get(bos..).filter(|norms| !norms.is_empty())?;
        Some(norms.iter().sum::<f64>() / norms.len() as f64)
    }
}

impl Steering<'_> {
    /// Writes with each of these arms; `tell` sees them after every step. The prompt must have been run.
    ///
    /// # Errors
    /// [`Error`].
    pub fn write<'e>(
        &self,
        prefix: &Prefix,
        arms: Vec<ArmEdit<'e>>,
        tell: &mut dyn FnMut(&[Written<'e>]),
    ) -> Result<Vec<Written<'e>>, Error> {
        let mut arms: Vec<Written<'e>> = arms.into_iter().map(|edit| self.begin(prefix, edit)).collect();
        self.read_prompt(&mut arms)?;
        for step in 0..self.tokens {
            if !self.step(&mut arms, step)? {
                break;
            }
            tell(&arms);
        }
        self.end(&mut arms.iter_mut().filter(|arm| !arm.ended).collect::<Vec<_>>())?;
        self.judge(prefix, &mut arms)?;
        tell(&arms);
        Ok(arms)
    }

    /// An arm that has read as much of the prompt as nothing is changed in, without its last token.
    fn begin<'e>(&self, prefix: &Prefix, edit: ArmEdit<'e>) -> Written<'e> {
        let mut cache = prefix.cache.clone();
        cache.truncate(edit.first(self.ids.len() - 1));
        let chooser = Chooser::new(self.sampling);
        Written {
            ids: Vec::new(),
            logprobs: Vec::new(),
            candidates: Vec::new(),
            edit,
            perplexity: None,
            cache,
            chooser,
            ended: false,
        }
    }

    /// The prompt up to its last token, for the arms in which something in it is changed.
    fn read_prompt(&self, arms: &mut [Written<'_>]) -> Result<(), Error> {
        let end = self.ids.len() - 1;
        let Some(first) = arms.iter().map(|arm| arm.cache.len()).min().filter(|first| *first < end) else {
            return Ok(());
        };
        let mut reading: Vec<&mut Written<'_>> = arms.iter_mut().filter(|arm| arm.cache.len() < end).collect();
        for arm in &mut reading {
            arm.cache.truncate(first);
        }
        let ids = self.ids[first..end].repeat(reading.len());
        self.pass(&mut reading, &ids, None, Logits::None).map(drop)
    }

    /// One more token for each arm that has not ended; gives whether there is any.
    fn step(&self, arms: &mut [Written<'_>], step: usize) -> Result<bool, Error> {
        let context = self.model.shape().context;
        let mut going: Vec<&mut Written<'_>> =
            arms.iter_mut().filter(|arm| !arm.ended && arm.cache.len() < context).collect();
        if going.is_empty() {
            return Ok(false);
        }
        let last = self.ids.last().copied().unwrap_or_default();
        let ids: Vec<u32> = going.iter().map(|arm| arm.ids.last().copied().unwrap_or(last)).collect();
        let Some(logits) = self.pass(&mut going, &ids, None, Logits::Last)? else { return Ok(false) };
        let chosen = model::lend(&logits, |logits| {
            let rows = logits.chunks_exact(self.model.shape().vocab);
            going.iter_mut().zip(rows).try_for_each(|(arm, logits)| arm.add(logits, self.candidates))
        });
        chosen.map_err(Error::from)??;
        let ends = |arm: &&mut Written<'_>| arm.ids.last().is_some_and(|id| self.stop.contains(id));
        let mut ending: Vec<&mut Written<'_>> = going.into_iter().filter(ends).collect();
        if step + 1 < self.tokens {
            self.end(&mut ending)?;
        }
        Ok(true)
    }

    /// The last token of texts that end, up to the site: what is done there.
    fn end(&self, arms: &mut Vec<&mut Written<'_>>) -> Result<(), Error> {
        for arm in arms.iter_mut() {
            arm.ended = true;
        }
        arms.retain(|arm| !arm.ids.is_empty() && arm.cache.len() < self.model.shape().context);
        if arms.is_empty() {
            return Ok(());
        }
        let ids: Vec<u32> = arms.iter().filter_map(|arm| arm.ids.last().copied()).collect();
        self.pass(arms, &ids, Some(self.site.blocks()), Logits::None).map(drop)
    }

    fn pass(
        &self,
        arms: &mut [&mut Written<'_>],
        ids: &[u32],
        layers: Option<usize>,
        logits: Logits,
    ) -> Result<Option<Tensor>, Error> {
        let mut caches: Vec<Cache> = arms.iter_mut().map(|arm| std::mem::take(&mut arm.cache)).collect();
        let edits = arms.iter_mut().map(|arm| &mut arm.edit).collect();
        let mut hook = ArmsHook::new(self.site, edits, self.cancel);
        let pass = Arms { ids, caches: &mut caches, layers, logits, hook: Some(&mut hook), cancel: self.cancel };
        let given = self.model.arms(pass);
        arms.iter_mut().zip(caches).for_each(|(arm, cache)| arm.cache = cache);
        given
    }

    /// How likely the untouched model finds the texts of all arms. Where nothing was done the arm's own word is that.
    fn judge(&self, prefix: &Prefix, arms: &mut [Written<'_>]) -> Result<(), Error> {
        let last = self.ids.last().copied().unwrap_or_default();
        let mut rest: Vec<&mut Written<'_>> = Vec::new();
        for arm in arms.iter_mut().filter(|arm| !arm.ids.is_empty()) {
            if arm.edit.edited().is_empty() {
                arm.perplexity = Some(perplexity(&arm.logprobs));
            } else {
                rest.push(arm);
            }
        }
        while let Some(count) = rest.first().map(|arm| arm.ids.len()) {
            let (mut alike, others): (Vec<_>, Vec<_>) = rest.into_iter().partition(|arm| arm.ids.len() == count);
            rest = others;
            let read = |arm: &&mut Written<'_>| [&[last], &arm.ids[..count - 1]].concat();
            let texts: Vec<Vec<u32>> = alike.iter().map(read).collect();
            let mut caches = vec![prefix.cache.clone(); alike.len()];
            for cache in &mut caches {
                cache.truncate(self.ids.len() - 1);
            }
            let mut logprobs = vec![Vec::with_capacity(count); alike.len()];
            let at_once = (LOGIT_ROWS / alike.len()).max(1);
            for from in (0..count).step_by(at_once) {
                let these = from..count.min(from + at_once);
                let ids: Vec<u32> = texts.iter().flat_map(|text| &text[these.clone()]).copied().collect();
                let pass = Arms {
                    ids: &ids,
                    caches: &mut caches,
                    layers: None,
                    logits: Logits::All,
                    hook: None,
                    cancel: self.cancel,
                };
                let Some(logits) = self.model.arms(pass)? else { return Ok(()) };
                let vocab = self.model.shape().vocab;
                model::lend(&logits, |logits| {
                    for (row, logits) in logits.chunks_exact(vocab).enumerate() {
                        let (arm, at) = (row / these.len(), these.start + row % these.len());
                        logprobs[arm].push(logprob(logits, alike[arm].ids[at]));
                    }
                })?;
            }
            for (arm, logprobs) in alike.iter_mut().zip(&logprobs) {
                arm.perplexity = Some(perplexity(logprobs));
            }
        }
        Ok(())
    }
}

impl Written<'_> {
    fn add(&mut self, logits: &[f32], candidates: usize) -> Result<(), Error> {
        let id = self.chooser.choose(logits)?;
        self.ids.push(id);
        self.logprobs.push(logprob(logits, id));
        let all = tokens::top(logits, candidates).into_iter();
        self.candidates.push(all.map(|(id, _)| (id, logprob(logits, id))).collect());
        Ok(())
    }
}

fn logprob(logits: &[f32], id: u32) -> f64 {
    logits.get(id as usize).map_or(f64::NEG_INFINITY, |logit| f64::from(*logit) - tokens::log_sum_exp(logits))
}

fn perplexity(logprobs: &[f64]) -> f64 {
    (-logprobs.iter().sum::<f64>() / logprobs.len().max(1) as f64).exp()
}
