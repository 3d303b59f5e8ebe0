//! A prompt as it is typed: tokens, activations and codes of every position so far, of which a changed prompt keeps
//! the common beginning. Not here: what is loaded, and when to run.

use candle_core::Tensor;

use crate::analysis::{Firing, Metrics, NextToken, PositionRun, SaeRun, tokens};
use crate::model::{self, Cache, Hook, Logits, Model, Pass, Tokenizer};
use crate::sae::{self, Codes, Sae, metrics};
use crate::site::Site;
use crate::task::Cancel;

/// Why a prompt could not be run.
#[derive(Debug, thiserror::Error)]
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

/// The state behind a run, position by position.
pub struct Live {
    cache: Cache,
    site: Site,
    center: bool,
    size: usize,
    /// Activations as the SAEs receive them, [positions, size].
    activations: Vec<f32>,
    next: Vec<Vec<NextToken>>,
    saes: Vec<Encoded>,
    new: usize,
}

/// What one SAE made of the positions so far.
#[derive(Default)]
struct Encoded {
    codes: Codes,
    /// [positions, size].
    reconstruction: Vec<f32>,
}

/// Copies the activation of one site out of a forward pass.
pub struct Tap {
    site: Site,
    /// [positions of the pass, size], row-major.
    pub rows: Vec<f32>,
}

impl Tap {
    /// A tap at a site.
    #[must_use]
    pub const fn new(site: Site) -> Self {
        Self { site, rows: Vec::new() }
    }
}

impl Hook for Tap {
    fn wants(&self, site: Site) -> bool {
        site == self.site
    }

    fn visit(&mut self, _: Site, activation: &Tensor) -> candle_core::Result<Option<Tensor>> {
        self.rows = activation.flatten_all()?.to_vec1()?;
        Ok(None)
    }
}

impl Live {
    /// Nothing run yet. `center`: whether the mean over the activation is taken from it (methods §1).
    pub fn new(model: &dyn Model, site: Site, center: bool, size: usize, saes: usize) -> Self {
        Self {
            cache: model.cache(),
            site,
            center,
            size,
            activations: Vec::new(),
            next: Vec::new(),
            saes: std::iter::repeat_with(Encoded::default).take(saes).collect(),
            new: 0,
        }
    }

    /// Runs the tokens through the model, keeping what the last run has in common with them, with the `next` likeliest
    /// tokens of every position. What is kept has as many next tokens as when it was run. Nothing is kept of a pass
    /// that fails.
    ///
    /// # Errors
    /// [`Error::Model`].
    pub fn forward(
        &mut self,
        ids: &[u32],
        next: usize,
        model: &dyn Model,
        tokenizer: &Tokenizer,
        cancel: &Cancel,
    ) -> Result<(), Error> {
        let kept = self.cache.keep_for(ids, model.shape().layers);
        self.keep(kept);
        let mut tap = Tap::new(self.site);
        let pass = Pass { layers: None, logits: Logits::All, hook: Some(&mut tap), cancel };
        let logits = model.forward(&ids[kept..], &mut self.cache, pass)?;
        let Some(logits) = logits else { return Ok(()) };
        let logits: Vec<f32> = logits.flatten_all().and_then(|all| all.to_vec1()).map_err(model::Error::from)?;
        let vocab = model.shape().vocab;
        self.next.extend(logits.chunks_exact(vocab).map(|row| tokens::likeliest(row, next, tokenizer)));
        if self.center {
            tap.rows.chunks_exact_mut(self.size).for_each(center);
        }
        self.activations.extend(tap.rows);
        self.new = ids.len() - kept;
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

    /// What an SAE made of the prompt; `counts` says which positions count in metrics.
    ///
    /// # Errors
    /// [`Error::Sae`].
    pub fn sae_run(&self, index: usize, id: &str, width: usize, counts: &[bool]) -> Result<SaeRun, Error> {
        let Encoded { codes, reconstruction } = &self.saes[index];
        let quality = metrics::quality(&self.activations, reconstruction, codes, counts, self.size)
            .map_err(|source| Error::Sae { sae: id.to_owned(), source })?;
        let positions = (0..codes.rows()).map(|position| {
            let (latents, values) = codes.row(position);
            let mut latents: Vec<Firing> = latents
                .iter()
                .zip(values)
                .filter(|(_, value)| **value != 0.0)
                .map(|(&latent, &activation)| Firing { latent, activation })
                .collect();
            latents.sort_by(|a, b| b.activation.total_cmp(&a.activation).then(a.latent.cmp(&b.latent)));
            PositionRun { position, l0: latents.len(), latents }
        });
        Ok(SaeRun { id: id.to_owned(), width, positions: positions.collect(), metrics: Metrics::of(quality) })
    }

    /// The tokens run so far.
    pub fn ids(&self) -> &[u32] {
        self.cache.ids()
    }

    /// The likeliest next tokens of every position.
    pub fn next(&self) -> &[Vec<NextToken>] {
        &self.next
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
        self.next.truncate(positions);
        self.activations.truncate(positions * self.size);
        for encoded in &mut self.saes {
            encoded.codes.truncate(positions);
            encoded.reconstruction.truncate(positions * self.size);
        }
    }
}

impl Metrics {
    pub(super) fn of(quality: metrics::Quality) -> Self {
        Self {
            tokens: quality.tokens,
            l0: quality.l0,
            mse: quality.mse,
            explained_variance: quality.explained_variance,
            cross_entropy: None,
        }
    }
}

/// Takes the mean over the activation from it (methods §1), summed in f64.
pub(super) fn center(row: &mut [f32]) {
    let mean = row.iter().map(|value| f64::from(*value)).sum::<f64>() / row.len() as f64;
    for value in row {
        *value -= mean as f32;
    }
}
