//! A prompt as it is typed: tokens, activations and codes of every position so far, of which a changed prompt keeps
//! the common beginning, and what comes next where it is asked for. Not here: what is loaded, and when to run.

use candle_core::{Device, Tensor};
use rayon::prelude::*;

use crate::analysis::{Firing, Metrics, NextToken, PositionRun, SaeRun, SaeTypes, notes_on, tokens};
use crate::model::{self, Cache, Hook, Logits, Model, Pass, Tokenizer};
use crate::sae::{self, Codes, Sae, metrics};
use crate::site::{Site, SiteKind};
use crate::task::Cancel;

/// Positions whose logits are held at once: a quarter of a million tokens at each are 64 MB.
pub const LOGIT_ROWS: usize = 64;

/// Why a prompt could not be run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The model could not run it.
    #[error(transparent)]
    Model(#[from] model::Error),
    /// An SAE could not encode it.
    #[error("SAE `{sae}` cannot encode the activations")]
    Sae {
        /// The SAE's id.
        sae: String,
        /// Why.
        #[source]
        source: sae::Error,
    },
}

/// The state behind a run, position by position: first what the SAEs need, the rest of the model when it is asked for.
pub struct Live {
    site: Site,
    center: bool,
    size: usize,
    d_model: usize,
    /// Keys and values of the blocks up to the site.
    cache: Cache,
    /// Activations as the SAEs receive them, [positions, size].
    activations: Vec<f32>,
    /// The residual stream behind the blocks up to the site, [positions, d_model].
    residual: Vec<f32>,
    saes: Vec<Encoded>,
    new: usize,
    rest: Rest,
}

/// What the blocks behind the site and the head made of the positions so far; it may lag behind.
struct Rest {
    cache: Cache,
    /// The residual stream behind the last block, [positions, d_model].
    residual: Vec<f32>,
    /// For each position that was asked about how many tokens were wanted, and the likeliest.
    next: Vec<Option<(usize, Vec<NextToken>)>>,
}

/// What one SAE made of the positions so far.
#[derive(Default)]
struct Encoded {
    codes: Codes,
    /// [positions, size].
    reconstruction: Vec<f32>,
}

/// Copies the activation of one site out of a forward pass, and the residual stream that leaves the site's block.
pub struct Tap {
    site: Site,
    leaving: Site,
    /// [positions of the pass, size], row-major.
    pub rows: Vec<f32>,
    /// [positions of the pass, d_model], row-major.
    residual: Vec<f32>,
}

impl Tap {
    /// A tap at a site.
    #[must_use]
    pub const fn new(site: Site) -> Self {
        let leaving = match site.kind {
            SiteKind::ResidPre => site,
            _ => Site { layer: site.layer, kind: SiteKind::ResidPost },
        };
        Self { site, leaving, rows: Vec::new(), residual: Vec::new() }
    }
}

impl Hook for Tap {
    fn is_active(&self, site: Site) -> bool {
        site == self.site || site == self.leaving
    }

    fn visit(&mut self, site: Site, activation: &Tensor) -> candle_core::Result<Option<Tensor>> {
        let rows: Vec<f32> = activation.flatten_all()?.to_vec1()?;
        if site == self.leaving {
            self.residual.clone_from(&rows);
        }
        if site == self.site {
            self.rows = rows;
        }
        Ok(None)
    }
}

impl Live {
    /// Nothing run yet. `center`: whether the mean over the activation is taken from it (methods §1).
    pub fn new(model: &dyn Model, site: Site, center: bool, size: usize, saes: usize) -> Self {
        let rest = Rest { cache: model.cache_behind(site.blocks()), residual: Vec::new(), next: Vec::new() };
        Self {
            site,
            center,
            size,
            d_model: model.shape().d_model,
            cache: model.cache(),
            activations: Vec::new(),
            residual: Vec::new(),
            saes: std::iter::repeat_with(Encoded::default).take(saes).collect(),
            new: 0,
            rest,
        }
    }

    /// Runs the tokens through the blocks up to the site, keeping what the last run has in common with them. Nothing is
    /// kept of a pass that fails.
    ///
    /// # Errors
    /// [`Error::Model`].
    pub fn forward(&mut self, ids: &[u32], model: &dyn Model, cancel: &Cancel) -> Result<(), Error> {
        let blocks = self.site.blocks();
        let kept = self.cache.keep_for(ids, blocks);
        self.keep(kept);
        let mut tap = Tap::new(self.site);
        let pass = Pass { layers: Some(blocks), logits: Logits::None, hook: Some(&mut tap), cancel };
        model.forward(&ids[kept..], &mut self.cache, pass)?;
        self.residual.extend(tap.residual);
        if self.center {
            tap.rows.chunks_exact_mut(self.size).for_each(center);
        }
        self.activations.extend(tap.rows);
        self.new = ids.len() - kept;
        Ok(())
    }

    /// The likeliest `count` next tokens at these positions, with what has not been run of the rest of the model; what
    /// was asked before is not computed again. Positions beyond the prompt are left out.
    ///
    /// # Errors
    /// [`Error::Model`].
    pub fn predict(
        &mut self,
        positions: &[usize],
        count: usize,
        model: &dyn Model,
        tokenizer: &Tokenizer,
        cancel: &Cancel,
    ) -> Result<Vec<(usize, Vec<NextToken>)>, Error> {
        let all = self.ids().len();
        self.rest.next.resize(all, None);
        let known = |next: &Option<(usize, _)>| next.as_ref().is_some_and(|(wanted, _)| *wanted >= count);
        let inside: Vec<usize> = positions.iter().copied().filter(|position| *position < all).collect();
        let missing: Vec<usize> = inside.iter().copied().filter(|at| !known(&self.rest.next[*at])).collect();
        for part in missing.chunks(LOGIT_ROWS) {
            let likeliest: Vec<_> = self.logits(part, model, cancel, |logits| {
                let rows = logits.par_chunks_exact(model.shape().vocab);
                rows.map(|row| tokens::likeliest(row, count, tokenizer)).collect()
            })?;
            for (position, next) in part.iter().zip(likeliest) {
                self.rest.next[*position] = Some((count, next));
            }
        }
        let next = |position: usize| {
            let mut next = self.rest.next[position].clone().map_or_else(Vec::new, |(_, next)| next);
            next.truncate(count);
            (position, next)
        };
        Ok(inside.into_iter().map(next).collect())
    }

    /// Lends the logits at these positions of the prompt, [positions, vocab], to `read`.
    ///
    /// # Errors
    /// [`Error::Model`].
    pub fn logits<T>(
        &mut self,
        positions: &[usize],
        model: &dyn Model,
        cancel: &Cancel,
        read: impl FnOnce(&[f32]) -> T,
    ) -> Result<T, Error> {
        self.run_rest(model, cancel)?;
        cancel.check().map_err(model::Error::from)?;
        let d = self.d_model;
        let rows = positions.iter().flat_map(|at| &self.rest.residual[at * d..(at + 1) * d]).copied().collect();
        let logits = || -> Result<T, model::Error> {
            let rows = Tensor::from_vec(rows, (positions.len(), d), &Device::Cpu)?;
            Ok(model::lend(&model.logits(&rows)?, read)?)
        };
        Ok(logits()?)
    }

    /// Takes the positions that the rest of the model has not seen through it.
    fn run_rest(&mut self, model: &dyn Model, cancel: &Cancel) -> Result<(), Error> {
        let (done, d, rest) = (self.rest.cache.len(), self.d_model, &mut self.rest);
        let new = &self.cache.ids()[done..];
        if new.is_empty() {
            return Ok(());
        }
        let mut resume = || -> Result<Vec<f32>, model::Error> {
            let residual = Tensor::from_slice(&self.residual[done * d..], (new.len(), d), &Device::Cpu)?;
            Ok(model.resume(new, &residual, &mut rest.cache, cancel)?.flatten_all()?.to_vec1()?)
        };
        let residual = resume()?;
        self.rest.residual.extend(residual);
        Ok(())
    }

    /// Encodes and decodes the positions that an SAE has not seen; `index` is the SAE's place.
    ///
    /// # Errors
    /// [`Error::Sae`].
    pub fn encode(&mut self, index: usize, id: &str, sae: &Sae, cancel: &Cancel) -> Result<(), Error> {
        let encoded = &mut self.saes[index];
        let done = encoded.codes.rows();
        let wrong = |source| Error::Sae { sae: id.to_owned(), source };
        let codes = sae.encode(&self.activations[done * self.size..], cancel).map_err(wrong)?;
        encoded.reconstruction.extend(sae.decode(&codes).map_err(wrong)?);
        encoded.codes.append(&codes);
        Ok(())
    }

    /// What SAEs are to reconstruct, f32 [positions, size]: what they are given.
    fn target(&self) -> &[f32] {
        &self.activations
    }

    /// What an SAE made of the prompt; `counts` says which positions count in metrics.
    ///
    /// # Errors
    /// [`Error::Sae`].
    pub fn sae_run(&self, index: usize, id: &str, sae: &Sae, counts: &[bool]) -> Result<SaeRun, Error> {
        let Encoded { codes, reconstruction } = &self.saes[index];
        let quality = metrics::quality(self.target(), reconstruction, codes, counts, self.size)
            .map_err(|source| Error::Sae { sae: id.to_owned(), source })?;
        let positions = (0..codes.rows()).map(|position| {
            let (latents, values) = codes.row(position);
            let mut latents: Vec<Firing> = latents
                .iter()
                .zip(values)
                .filter(|(_, value)| **value != 0.0)
                .map(|(&latent, &activation)| Firing { latent, activation, quantile: None })
                .collect();
            latents.sort_by(|a, b| b.activation.total_cmp(&a.activation).then(a.latent.cmp(&b.latent)));
            PositionRun { position, l0: latents.len(), latents }
        });
        Ok(SaeRun {
            id: id.to_owned(),
            width: sae.width(),
            dtype: SaeTypes::of(sae),
            notes: notes_on(sae),
            positions: positions.collect(),
            metrics: Metrics { quality, cross_entropy: None },
        })
    }

    /// Keys and values of the positions so far.
    pub const fn cache(&self) -> &Cache {
        &self.cache
    }

    /// Keys and values of the blocks behind the site, of the positions that were taken through them.
    pub const fn rest(&self) -> &Cache {
        &self.rest.cache
    }

    /// The residual stream behind the blocks up to the site, [positions, d_model].
    pub fn residual(&self) -> &[f32] {
        &self.residual
    }

    /// The residual stream behind the last block at a position, \[d_model\]; empty where the position was not taken so far.
    pub fn last_residual(&self, position: usize) -> &[f32] {
        self.rest.residual.get(position * self.d_model..(position + 1) * self.d_model).unwrap_or_default()
    }

    /// The activation of a position as the model has it, with its mean, \[size\].
    ///
    /// # Errors
    /// [`model::Error`].
    pub fn activation(&self, position: usize, model: &dyn Model, cancel: &Cancel) -> Result<Vec<f32>, model::Error> {
        if !self.center {
            return Ok(self.activations[position * self.size..(position + 1) * self.size].to_vec());
        }
        let mut cache = self.cache.clone();
        cache.truncate(position);
        let mut tap = Tap::new(self.site);
        let pass = Pass { layers: Some(self.site.blocks()), logits: Logits::None, hook: Some(&mut tap), cancel };
        model.forward(&self.ids()[position..=position], &mut cache, pass)?;
        Ok(tap.rows)
    }

    /// The tokens run so far.
    pub fn ids(&self) -> &[u32] {
        self.cache.ids()
    }

    /// Activations as the SAEs receive them, [positions, size].
    pub fn activations(&self) -> &[f32] {
        &self.activations
    }

    /// An SAE's reconstruction of the activations, [positions, size].
    pub fn reconstruction(&self, index: usize) -> &[f32] {
        &self.saes[index].reconstruction
    }

    /// What an SAE's latents do at every position.
    pub fn codes(&self, index: usize) -> &Codes {
        &self.saes[index].codes
    }

    /// How many of the positions the last run computed; the others it had.
    pub const fn new_positions(&self) -> usize {
        self.new
    }

    /// Brings every part back to the same `positions`, whatever a cancelled run left.
    fn keep(&mut self, positions: usize) {
        self.new = 0;
        self.activations.truncate(positions * self.size);
        for encoded in &mut self.saes {
            encoded.codes.truncate(positions);
            encoded.reconstruction.truncate(positions * self.size);
        }
        self.residual.truncate(positions * self.d_model);
        self.rest.cache.truncate(positions);
        self.rest.residual.truncate(positions * self.d_model);
        self.rest.next.truncate(positions);
    }
}

/// Takes the mean over the activation from it (methods §1), summed in f64.
pub(super) fn center(row: &mut [f32]) {
    let mean = mean(row);
    for value in row {
        *value -= mean as f32;
    }
}

/// The mean of an activation, summed in f64.
pub(super) fn mean(row: &[f32]) -> f64 {
    row.iter().map(|value| f64::from(*value)).sum::<f64>() / row.len().max(1) as f64
}
