//! Token rows turned into activations as SAEs receive them: a prompt's, or a sample of a text.
//! Not here: where a text comes from and how it is cut into rows.

use crate::analysis::live::{Tap, center};
use crate::model::{self, Logits, Model, Pass};
use crate::sae::{self, Codes, Sae};
use crate::site::Site;
use crate::task::{Cancel, OnProgress, Progress};

/// Rows encoded between two looks at the cancel flag.
const BATCH: usize = 1024;

/// What activations are taken with.
#[derive(Clone, Copy)]
pub struct ActivationSource<'a> {
    /// The model.
    pub model: &'a dyn Model,
    /// Where activations are taken.
    pub site: Site,
    /// Whether the mean over the activation is taken from it (methods §1).
    pub center: bool,
    /// Which positions at the beginning of a row do not count (methods §1).
    pub apart: Apart,
}

/// Which positions at the beginning of a row do not count: models have activations there unlike all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Apart {
    /// Those where this beginning-of-sequence token stands, in front or typed; none where there is no such token.
    Bos(Option<u32>),
    /// The first, whatever stands there.
    First,
}

impl Apart {
    /// How many positions of a row it is.
    #[must_use]
    pub fn of(self, ids: &[u32]) -> usize {
        match self {
            Self::First => ids.len().min(1),
            Self::Bos(bos) => ids.iter().take_while(|id| bos == Some(**id)).count(),
        }
    }

    /// For each position of a row whether it counts.
    pub fn counts(self, ids: &[u32]) -> impl Iterator<Item = bool> + use<> {
        let apart = self.of(ids);
        (0..ids.len()).map(move |position| position >= apart)
    }
}

/// Rows of tokens with their activations, one row behind the other.
#[derive(Clone, Debug, Default)]
pub struct Sample {
    /// The tokens of each row.
    pub rows: Vec<Vec<u32>>,
    /// For each position whether it counts.
    pub counts: Vec<bool>,
    /// Activations as SAEs receive them, f32 [positions, size].
    pub x: Vec<f32>,
}

impl ActivationSource<'_> {
    /// Activations of one row of tokens, f32 [positions, size]; the model runs no further than the site.
    ///
    /// # Errors
    /// [`model::Error`].
    pub fn activations(&self, ids: &[u32], cancel: &Cancel) -> Result<Vec<f32>, model::Error> {
        let mut tap = Tap::new(self.site);
        let pass = Pass { layers: Some(self.site.blocks()), logits: Logits::None, hook: Some(&mut tap), cancel };
        self.model.forward(ids, &mut self.model.cache(), pass)?;
        let mut rows = tap.rows;
        if self.center {
            rows.chunks_exact_mut(self.model.site_size(self.site).unwrap_or(1)).for_each(center);
        }
        Ok(rows)
    }

    /// Adds a row to a sample.
    ///
    /// # Errors
    /// [`model::Error`].
    pub fn add(&self, sample: &mut Sample, ids: Vec<u32>, cancel: &Cancel) -> Result<(), model::Error> {
        sample.x.extend(self.activations(&ids, cancel)?);
        sample.counts.extend(self.counts(&ids));
        sample.rows.push(ids);
        Ok(())
    }

    /// For each position of a row whether it counts.
    pub fn counts(&self, ids: &[u32]) -> impl Iterator<Item = bool> + use<> {
        self.apart.counts(ids)
    }
}

impl Sample {
    /// What SAEs are to reconstruct, f32 [positions, size]: what they are given.
    #[must_use]
    pub fn target(&self) -> &[f32] {
        &self.x
    }

    /// How many positions count.
    #[must_use]
    pub fn tokens(&self) -> usize {
        self.counts.iter().filter(|counts| **counts).count()
    }

    /// What fires in an SAE at every position.
    ///
    /// # Errors
    /// As [`Sae::encode`].
    pub fn encode(&self, sae: &Sae, cancel: &Cancel, progress: OnProgress<'_>) -> Result<Codes, sae::Error> {
        let total = self.counts.len() as u64;
        let mut codes = Codes::default();
        for part in self.x.chunks(BATCH * sae.d_in().max(1)) {
            progress(Progress::steps("encoding the text", codes.rows() as u64, total));
            codes.append(&sae.encode(part, cancel)?);
        }
        Ok(codes)
    }
}
