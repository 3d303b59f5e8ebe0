//! What each latent that fires at a token does to what the model says: it is taken out, and the rest of the model run.
//! Not here: the passes (`branches`), and which token is asked about.
//!
//! Every figure is the clean value less the one with something taken out at one position: positive speaks for the token.

mod grid;
mod metas;
mod outcome;
mod view;

use crate::analysis::branches::Branches;
use crate::analysis::card::LogitLens;
use crate::analysis::intervention::{
    ActivationEdit, Compiled, Error, Failure, FanHook, Intervention, LatentId, Setting, Unedited, Where,
};
use crate::analysis::live::{LOGIT_ROWS, Live};
use crate::model::{self, Model};
use crate::sae::{Codes, Sae};
use crate::site::Site;
use crate::task::{Cancel, OnProgress, Progress};
use rayon::prelude::*;

pub use grid::{CellEffect, GridStep, GridView, PositionEffect, SaeGrid};
pub use metas::{MetaEffectView, MetaEffects, MetaLatentEffect};
pub use view::{
    ControlEffect, EffectView, ErrorEffect, LatentEffect, PartEffect, RandomEffect, RelativeEffect, SaeEffect,
};

use outcome::{Distribution, Outcome};

/// Random directions that stand beside what is taken out.
pub const DIRECTIONS: usize = 16;

/// Most rows of the residual stream that are run at once.
const ROWS: usize = 512;

/// How figures are signed, as a person reads it.
pub const SIGN: &str = "clean - ablated";

/// A prompt, run to its end, and what is asked of it.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    /// The model.
    pub model: &'a dyn Model,
    /// The prompt's pass.
    pub live: &'a Live,
    /// Where the SAEs read.
    pub site: Site,
    /// Whether SAEs see activations without their mean.
    pub center: bool,
    /// Where latents are taken out.
    pub position: usize,
    /// Where the next token is read: there or behind.
    pub read: usize,
    /// The token.
    pub token: u32,
    /// What turns directions of the site into words; none where the direct path is not to be had.
    pub words: Option<LogitLens<'a>>,
}

/// An SAE whose latents are asked about.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    /// Its id.
    pub id: &'a str,
    /// Its place in the ladder.
    pub place: usize,
    /// The SAE, which has encoded the prompt.
    pub sae: &'a Sae,
    /// Twice as many directions of length 1 as stand beside what is taken out, \[2 · n, size\]: those of latents, then
    /// those of the error.
    pub directions: &'a [f32],
}

/// What an SAE makes of the position.
struct Seen<'a> {
    subject: Subject<'a>,
    codes: Codes,
    reconstruction: &'a [f32],
    /// For each latent that fires, what it writes per unit of its decoder row.
    amounts: Vec<f32>,
    /// Length of the largest contribution, and of the error.
    norms: (f64, f64),
}

impl Asked<'_> {
    /// Takes out, in turn, everything that fires in these SAEs, all of it, the error, and random directions, and runs the
    /// rest of the model: one branch for each, in batches.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn effects(
        &self,
        subjects: &[Subject<'_>],
        cancel: &Cancel,
        progress: OnProgress<'_>,
    ) -> Result<Vec<SaeEffect>, Failure> {
        let seen: Vec<Seen<'_>> = subjects.iter().map(|subject| self.look(*subject)).collect::<Result<_, _>>()?;
        // The first branch is the model as it is.
        let mut branches = vec![(self.compile(Vec::new(), None)?, Vec::new())];
        for seen in &seen {
            for edits in Self::taken_out(seen) {
                branches.push((self.compile(edits, Some(seen.subject))?, vec![seen.unedited()]));
            }
        }
        let outcomes = self.outcomes(&branches, cancel, progress)?;
        let mut rest = outcomes.get(1..).unwrap_or_default();
        let mut effects = Vec::with_capacity(seen.len());
        for seen in &seen {
            let (own, others) = rest.split_at(seen.amounts.len() + 2 + 2 * seen.directions());
            rest = others;
            effects.push(self.gather(seen, own)?);
        }
        Ok(effects)
    }

    fn look<'a>(&'a self, subject: Subject<'a>) -> Result<Seen<'a>, Failure> {
        let (size, at) = (subject.sae.d_in(), self.position);
        let (latents, values) = self.live.codes(subject.place).row(at);
        let mut codes = Codes::from_rows([latents.iter().copied().zip(values.iter().copied())]);
        codes.undo = vec![self.live.codes(subject.place).undo(at)];
        let scale = codes.undo(0).scale;
        let row = |values: &'a [f32]| values.get(at * size..(at + 1) * size).unwrap_or_default();
        let (x, reconstruction) = (row(self.live.activations()), row(self.live.reconstruction(subject.place)));
        let amounts: Vec<f32> = latents
            .iter()
            .zip(values)
            .map(|(latent, value)| value * subject.sae.decode_gain(*latent as usize) * scale)
            .collect();
        let mut largest = 0.0f64;
        for (latent, amount) in latents.iter().zip(&amounts) {
            let norm = subject.sae.decoder_norm(*latent as usize).map_err(Error::Sae)?;
            largest = largest.max(f64::from(amount.abs()) * f64::from(norm));
        }
        let error = x.iter().zip(reconstruction).map(|(x, hat)| (f64::from(*x) - f64::from(*hat)).powi(2)).sum::<f64>();
        Ok(Seen { subject, codes, reconstruction, amounts, norms: (largest, error.sqrt()) })
    }

    /// What is taken out, branch by branch: each latent, all of them, the error, and random directions beside both.
    fn taken_out(seen: &Seen<'_>) -> Vec<Vec<ActivationEdit>> {
        let off = |latent: &u32| seen.off(*latent);
        let mut branches: Vec<Vec<ActivationEdit>> = seen.latents().iter().map(|latent| vec![off(latent)]).collect();
        branches.push(seen.latents().iter().map(off).collect());
        branches.push(vec![ActivationEdit::Reconstruct(seen.subject.id.to_owned())]);
        let count = seen.directions();
        for (at, direction) in seen.subject.directions.chunks_exact(seen.subject.sae.d_in().max(1)).enumerate() {
            let norm = if at < count { seen.norms.0 } else { seen.norms.1 };
            branches.push(vec![ActivationEdit::Add { direction: direction.into(), strength: -norm as f32 }]);
        }
        branches
    }

    fn compile<'a>(&self, edits: Vec<ActivationEdit>, of: Option<Subject<'a>>) -> Result<Compiled<'a>, Failure> {
        let intervention = Intervention::new(self.site, Where::Positions(vec![self.position]), edits);
        let sae = |_: &str| of.map(|subject| subject.sae);
        let size = self.model.site_size(self.site)?;
        Ok(intervention.compile(Setting { sae: &sae, size, center: self.center, bos: 0 })?)
    }

    /// What each branch does; the first changes nothing.
    fn outcomes(
        &self,
        branches: &[(Compiled<'_>, Vec<Unedited<'_>>)],
        cancel: &Cancel,
        progress: OnProgress<'_>,
    ) -> Result<Vec<Outcome>, Failure> {
        let start = Branches::new(self.model, self.live, self.site, self.position..self.read + 1, cancel)?;
        let at_once = (ROWS / start.positions().max(1)).clamp(1, LOGIT_ROWS);
        let (mut clean, mut outcomes) = (None, Vec::with_capacity(branches.len()));
        for part in branches.chunks(at_once) {
            progress(Progress::steps("effects", outcomes.len() as u64, branches.len() as u64));
            let mut hook = FanHook { site: self.site, position: self.position, branches: part };
            let residual = start.run(&mut hook, cancel)?;
            let rows = (part.len(), self.model.shape().d_model);
            let residual = candle_core::Tensor::from_vec(residual, rows, &candle_core::Device::Cpu);
            let logits = self.model.logits(&residual.map_err(model::Error::from)?)?;
            let read = model::lend(&logits, |logits| {
                let vocab = self.model.shape().vocab;
                let clean = clean.get_or_insert_with(|| Distribution::of(&logits[..vocab]));
                let rows = logits.par_chunks_exact(vocab);
                rows.map(|row| clean.against(&Distribution::of(row), self.token as usize)).collect::<Vec<_>>()
            });
            outcomes.extend(read.map_err(model::Error::from)?);
        }
        Ok(outcomes)
    }

    /// The figures of an SAE, whose branches stand in the order of [`Asked::taken_out`].
    fn gather(&self, seen: &Seen<'_>, outcomes: &[Outcome]) -> Result<SaeEffect, Failure> {
        let (latents, values) = seen.codes.row(0);
        let direct = self.direct(seen)?;
        let mut each: Vec<LatentEffect> = latents
            .iter()
            .zip(values)
            .zip(outcomes)
            .enumerate()
            .map(|(at, ((latent, activation), outcome))| LatentEffect {
                latent: *latent,
                activation: *activation,
                delta_logprob: outcome.delta_logprob,
                delta_logit: outcome.delta_logit,
                kl: outcome.kl,
                direct: direct.as_ref().and_then(|direct| direct.get(at)).copied(),
            })
            .collect();
        let size = |effect: &LatentEffect| effect.delta_logprob.abs();
        each.sort_by(|a, b| size(b).total_cmp(&size(a)).then(a.latent.cmp(&b.latent)));
        let (_, others) = outcomes.split_at(latents.len());
        let [all, error, random @ ..] = others else { return Ok(SaeEffect::empty(seen.subject.id)) };
        let (random, of_error) = random.split_at(random.len() / 2);
        let control = ControlEffect::of(random);
        Ok(SaeEffect {
            id: seen.subject.id.to_owned(),
            latents: each,
            all_latents: PartEffect::of(all),
            error: ErrorEffect {
                delta_logprob: error.delta_logprob,
                kl: error.kl,
                norm: seen.norms.1,
                random: ControlEffect::of(of_error),
            },
            random: RandomEffect {
                norm: seen.norms.0,
                delta_logprob: control.delta_logprob,
                kl: control.kl,
                kl_max: control.kl_max,
                directions: random.len(),
            },
        })
    }

    /// What each latent that fires adds to the token's logit, straight through the final norm.
    fn direct(&self, seen: &Seen<'_>) -> Result<Option<Vec<f64>>, Failure> {
        let Some(words) = self.words.filter(|_| self.read == self.position) else { return Ok(None) };
        let read = words.direction(self.token);
        let scales = self.model.final_scales(self.live.last_residual(self.read))?;
        let Some(scale) = scales.first() else { return Ok(None) };
        let (latents, _) = seen.codes.row(0);
        let one = |(latent, amount): (&u32, &f32)| -> Result<f64, Failure> {
            let row = seen.subject.sae.decoder_row(*latent as usize).map_err(Error::Sae)?;
            let along: f64 = row.iter().zip(&read).map(|(d, q)| f64::from(*d) * f64::from(*q)).sum();
            Ok(f64::from(*amount) * along / scale)
        };
        latents.iter().zip(&seen.amounts).map(one).collect::<Result<_, _>>().map(Some)
    }
}

impl Seen<'_> {
    fn latents(&self) -> &[u32] {
        self.codes.row(0).0
    }

    fn off(&self, latent: u32) -> ActivationEdit {
        ActivationEdit::Ablate(LatentId { sae: self.subject.id.to_owned(), latent })
    }

    fn unedited(&self) -> Unedited<'_> {
        Unedited { codes: &self.codes, row: 0, reconstruction: self.reconstruction }
    }

    /// How many random directions stand beside the largest contribution.
    fn directions(&self) -> usize {
        self.subject.directions.len() / self.subject.sae.d_in().max(1) / 2
    }
}
