//! Next-token cross-entropy with the activation kept or replaced (methods §2), measured by running the model.
//! Not here: estimates.

use crate::analysis::intervention::{ActivationEdit, EditHook, Intervention, PartialSettings, Setting, Where};
use crate::analysis::{CrossEntropy, tokens};
use crate::model::{self, Hook, Logits, Model, Pass};
use crate::site::Site;
use crate::task::Cancel;

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
        let Some(clean) = self.cross_entropy(None, cancel)? else { return Ok(None) };
        let Some(zero) = self.cross_entropy(Some(PartialSettings::Row(zero.into())), cancel)? else { return Ok(None) };
        let Some(mean) = self.cross_entropy(Some(PartialSettings::Row(mean.into())), cancel)? else { return Ok(None) };
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
        let Some(ce_spliced) = self.cross_entropy(Some(PartialSettings::Rows(reconstruction.into())), cancel)? else {
            return Ok(None);
        };
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
        let instead = reconstruction.map(|rows| PartialSettings::Rows(rows.into()));
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
    fn cross_entropy(&self, instead: Option<PartialSettings>, cancel: &Cancel) -> Result<Option<f64>, model::Error> {
        Ok(self.sum(instead, cancel)?.map(|(sum, predictions)| sum / predictions as f64))
    }

    /// Replaces the activation at the positions that count. What centring took out of each is put back.
    fn splice<'a>(&self, by: PartialSettings, cancel: &'a Cancel) -> Result<EditHook<'a>, model::Error> {
        let counting = (0..self.counts.len()).filter(|position| self.counts[*position]).collect();
        let edits = vec![ActivationEdit::Replace { by, keep_mean: self.center }];
        let intervention = Intervention::new(self.site, Where::Positions(counting), edits);
        let size = self.model.site_size(self.site)?;
        let setting = Setting { sae: &|_| None, size, center: self.center, bos: 0 };
        let compiled = intervention.compile(setting).map_err(candle_core::Error::wrap)?;
        Ok(EditHook::new(compiled, cancel))
    }

    fn sum(&self, instead: Option<PartialSettings>, cancel: &Cancel) -> Result<Option<(f64, usize)>, model::Error> {
        let predicting: Vec<usize> =
            (0..self.ids.len().saturating_sub(1)).filter(|&position| self.counts[position]).collect();
        if predicting.is_empty() {
            return Ok(None);
        }
        let mut splice = instead.map(|by| self.splice(by, cancel)).transpose()?;
        let mut cache = self.model.cache();
        let hook = splice.as_mut().map(|hook| hook as &mut dyn Hook);
        let pass = Pass { layers: None, logits: Logits::All, hook, cancel };
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
