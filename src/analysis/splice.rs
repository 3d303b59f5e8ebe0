//! Next-token cross-entropy with the activation kept or replaced (methods §2), measured by running the model.
//! Not here: estimates.

use candle_core::Tensor;

use crate::analysis::{CrossEntropy, tokens};
use crate::model::{self, Hook, Logits, Model, Pass};
use crate::site::Site;
use crate::task::Cancel;

/// What is put in place of the activation.
enum Instead<'a> {
    Nothing,
    /// [positions, size]; without the mean that was taken out where the suite centres.
    Rows(&'a [f32]),
    /// The same at every position, [size].
    Row(&'a [f32]),
}

/// Replaces the activation at the positions that count.
struct Splice<'a> {
    site: Site,
    instead: Instead<'a>,
    counts: &'a [bool],
    /// Whether each row's own mean stays: what centring took out is put back.
    keep_mean: bool,
}

impl Hook for Splice<'_> {
    fn is_active(&self, site: Site) -> bool {
        site == self.site && !matches!(self.instead, Instead::Nothing)
    }

    fn visit(&mut self, _: Site, activation: &Tensor) -> candle_core::Result<Option<Tensor>> {
        let (positions, size) = activation.dims2()?;
        let mut rows: Vec<f32> = activation.flatten_all()?.to_vec1()?;
        for (position, row) in rows.chunks_exact_mut(size).enumerate() {
            let new = match self.instead {
                Instead::Nothing => continue,
                Instead::Rows(rows) => rows.get(position * size..(position + 1) * size),
                Instead::Row(row) => Some(row),
            };
            let (Some(new), Some(true)) = (new, self.counts.get(position)) else { continue };
            let mean = if self.keep_mean { row.iter().sum::<f32>() / size as f32 } else { 0.0 };
            row.iter_mut().zip(new).for_each(|(old, new)| *old = new + mean);
        }
        Tensor::from_vec(rows, (positions, size), activation.device()).map(Some)
    }
}

/// A prompt whose cross-entropy is to be measured.
pub struct Measured<'a> {
    /// The model.
    pub model: &'a dyn Model,
    /// Where the activation is replaced.
    pub site: Site,
    /// Whether SAEs see activations without their mean; it is put back when they are replaced.
    pub center: bool,
    /// The tokens.
    pub ids: &'a [u32],
    /// Which positions count and are replaced.
    pub counts: &'a [bool],
    /// Activations as the SAEs receive them, [positions, size].
    pub activations: &'a [f32],
}

impl Measured<'_> {
    /// Cross-entropies with the activation kept, replaced by zero and by its mean over the positions that count. They
    /// do not depend on an SAE. None when no position that counts has a next token.
    ///
    /// # Errors
    /// [`model::Error`].
    pub fn bounds(&self, cancel: &Cancel) -> Result<Option<(f64, f64, f64)>, model::Error> {
        let size = self.activations.len() / self.ids.len().max(1);
        let mean = self.mean(size);
        let zero = vec![0.0; size];
        let Some(clean) = self.cross_entropy(Instead::Nothing, cancel)? else { return Ok(None) };
        let Some(zero) = self.cross_entropy(Instead::Row(&zero), cancel)? else { return Ok(None) };
        let Some(mean) = self.cross_entropy(Instead::Row(&mean), cancel)? else { return Ok(None) };
        Ok(Some((clean, zero, mean)))
    }

    /// All of [`CrossEntropy`] for a reconstruction, [positions, size], beside the bounds.
    ///
    /// # Errors
    /// [`model::Error`].
    pub fn spliced(
        &self,
        reconstruction: &[f32],
        (ce_clean, ce_zero, ce_mean): (f64, f64, f64),
        cancel: &Cancel,
    ) -> Result<Option<CrossEntropy>, model::Error> {
        let Some(ce_spliced) = self.cross_entropy(Instead::Rows(reconstruction), cancel)? else { return Ok(None) };
        let recovered = |worst: f64| (worst != ce_clean).then(|| (worst - ce_spliced) / (worst - ce_clean));
        Ok(Some(CrossEntropy {
            ce_clean,
            ce_spliced,
            ce_zero,
            ce_mean,
            loss_recovered: recovered(ce_zero),
            loss_recovered_mean: recovered(ce_mean),
        }))
    }

    /// The sum of cross-entropies in nats over the predictions made at the positions that count and have a next token,
    /// with the activation kept (no reconstruction) or replaced there, and how many predictions that is. Sums of the
    /// rows of a text add up.
    ///
    /// # Errors
    /// [`model::Error`].
    pub fn loss(&self, reconstruction: Option<&[f32]>, cancel: &Cancel) -> Result<(f64, usize), model::Error> {
        let instead = reconstruction.map_or(Instead::Nothing, Instead::Rows);
        Ok(self.sum(instead, cancel)?.unwrap_or_default())
    }

    fn mean(&self, size: usize) -> Vec<f32> {
        let rows = self.activations.chunks_exact(size).zip(self.counts).filter(|(_, counts)| **counts);
        let mut sums = vec![0.0f64; size];
        let mut count = 0usize;
        for (row, _) in rows {
            sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += f64::from(*value));
            count += 1;
        }
        sums.iter().map(|sum| (sum / count.max(1) as f64) as f32).collect()
    }

    /// Mean over the predictions made at the positions that count and have a next token, in nats.
    fn cross_entropy(&self, instead: Instead<'_>, cancel: &Cancel) -> Result<Option<f64>, model::Error> {
        Ok(self.sum(instead, cancel)?.map(|(sum, predictions)| sum / predictions as f64))
    }

    fn sum(&self, instead: Instead<'_>, cancel: &Cancel) -> Result<Option<(f64, usize)>, model::Error> {
        let predicting: Vec<usize> =
            (0..self.ids.len().saturating_sub(1)).filter(|&position| self.counts[position]).collect();
        if predicting.is_empty() {
            return Ok(None);
        }
        let mut splice = Splice { site: self.site, instead, counts: self.counts, keep_mean: self.center };
        let mut cache = self.model.cache();
        let pass = Pass { layers: None, logits: Logits::All, hook: Some(&mut splice), cancel };
        let Some(logits) = self.model.forward(self.ids, &mut cache, pass)? else { return Ok(None) };
        let mut sum = 0.0;
        for &position in &predicting {
            let row: Vec<f32> = logits.get(position)?.to_vec1()?;
            let target = self.ids[position + 1] as usize;
            sum += tokens::log_sum_exp(&row) - f64::from(row[target]);
        }
        Ok(Some((sum, predicting.len())))
    }
}
