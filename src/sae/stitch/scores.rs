//! What a change to the smaller SAE would do to its squared error, for very many changes in one pass (methods §4).
//! Not here: changes that are made (`workbench.rs`).
//!
//! With r_t the smaller SAE's residual and u_t what the change adds to its reconstruction,
//! ΔSSE = Σ_t(−2 r_t·u_t + ‖u_t‖²) and c* = Σ r_t·u_t / Σ‖u_t‖²: the change lowers the error exactly when c* > ½.
//! The decoder bias is held: how it is mixed depends on how many latents there are, not on one change.

use std::borrow::Cow;

use rayon::prelude::*;

use crate::kernel;
use crate::task::Cancel;

use super::super::{Codes, Error, Sae};
use super::{Change, Pair};

const NONE: u32 = u32::MAX;

/// What one change does, summed over the tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Score {
    /// On how many tokens anything of the change fires.
    pub fired: u64,
    /// Σ r·u.
    pub gain: f64,
    /// Σ‖u‖².
    pub energy: f64,
}

impl Score {
    /// c*: above ½ exactly when the change lowers the squared error. None when nothing of it fires.
    #[must_use]
    pub fn c_star(&self) -> Option<f64> {
        (self.energy > 0.0).then(|| self.gain / self.energy)
    }

    /// What the change does to the sum of squared errors: (1 − 2c*)·energy.
    #[must_use]
    pub fn delta_sse(&self) -> f64 {
        self.energy - 2.0 * self.gain
    }
}

/// The scores of many changes, each against the smaller SAE as it is, over a text of any length.
#[derive(Clone, Debug)]
pub struct Scores {
    /// For each latent of the larger SAE the change it stands in, or `NONE`.
    of_large: Vec<u32>,
    /// Likewise for the smaller SAE.
    of_small: Vec<u32>,
    each: Vec<Score>,
    tokens: u64,
}

/// A latent that fires: its change, its decoder row's factor and the row.
type Term<'a> = (u32, f32, Cow<'a, [f32]>);

impl Scores {
    /// Scores for inserting each latent of the larger SAE alone; change i is latent i.
    #[must_use]
    pub fn insertions(pair: Pair<'_>) -> Self {
        let width = pair.large.width();
        Self {
            of_large: (0..width as u32).collect(),
            of_small: vec![NONE; pair.small.width()],
            each: vec![Score::default(); width],
            tokens: 0,
        }
    }

    /// Scores for these changes.
    ///
    /// # Errors
    /// [`Error::Latent`], [`Error::Twice`] when a latent stands in two changes.
    pub fn of<'c>(pair: Pair<'_>, changes: impl IntoIterator<Item = &'c Change>) -> Result<Self, Error> {
        let mut this = Self {
            of_large: vec![NONE; pair.large.width()],
            of_small: vec![NONE; pair.small.width()],
            each: Vec::new(),
            tokens: 0,
        };
        for change in changes {
            let number = this.each.len() as u32;
            this.each.push(Score::default());
            let sides =
                [("larger", change.large(), &mut this.of_large), ("smaller", change.small(), &mut this.of_small)];
            for (side, latents, of) in sides {
                for &latent in latents {
                    let width = of.len();
                    let slot = of.get_mut(latent as usize).ok_or(Error::Latent { latent: latent as usize, width })?;
                    if std::mem::replace(slot, number) != NONE {
                        return Err(Error::Twice { side, latent });
                    }
                }
            }
        }
        Ok(this)
    }

    /// Takes more of the text in: `x`, what is to be reconstructed, row-major \[rows, d_out\], with what fires in both SAEs; rows that do not count
    /// are passed over. Only active pairs cost anything. The same bits for any number of threads.
    ///
    /// # Errors
    /// [`Error::InputSize`] when the sizes disagree, [`Error::Latent`], [`Error::Cancelled`].
    pub fn add(
        &mut self,
        pair: Pair<'_>,
        x: &[f32],
        small: &Codes,
        large: &Codes,
        counts: &[bool],
        cancel: &Cancel,
    ) -> Result<(), Error> {
        let d_out = pair.small.d_out();
        for found in [x.len(), small.rows() * d_out, large.rows() * d_out] {
            if found != counts.len() * d_out {
                return Err(Error::InputSize { found, d_in: d_out });
            }
        }
        pair.large.check_codes(large)?;
        let mut residual = pair.small.decode(small)?;
        residual.iter_mut().zip(x).for_each(|(x_hat, x)| *x_hat = x - *x_hat);
        let chosen: Vec<usize> = (0..counts.len()).filter(|&row| counts[row]).collect();
        let rows: Vec<Vec<(u32, f64, f64)>> = chosen
            .par_iter()
            .map(|&row| {
                if cancel.is_cancelled() {
                    return Vec::new();
                }
                let scale = small.undo(row).scale;
                let mut terms = terms(pair.large, large, row, scale, &self.of_large);
                terms.extend(terms_taken(pair.small, small, row, scale, &self.of_small));
                score_row(terms, &residual[row * d_out..(row + 1) * d_out])
            })
            .collect();
        cancel.check()?;
        // In the order of the rows, whoever computed them.
        for (change, gain, energy) in rows.into_iter().flatten() {
            let score = &mut self.each[change as usize];
            score.fired += 1;
            score.gain += gain;
            score.energy += energy;
        }
        self.tokens += chosen.len() as u64;
        Ok(())
    }

    /// The scores, in the order of the changes.
    #[must_use]
    pub fn scores(&self) -> &[Score] {
        &self.each
    }

    /// Over how many tokens.
    #[must_use]
    pub const fn tokens(&self) -> u64 {
        self.tokens
    }
}

/// What the changes put into a row.
fn terms<'a>(sae: &'a Sae, codes: &Codes, row: usize, scale: f32, of: &[u32]) -> Vec<Term<'a>> {
    let (latents, values) = codes.row(row);
    let pairs = latents.iter().map(|&latent| latent as usize).zip(values);
    pairs
        .filter(|(latent, _)| of[*latent] != NONE)
        .map(|(latent, value)| (of[latent], value * sae.decode_gain(latent) * scale, sae.parts.w_dec.row(latent)))
        .collect()
}

/// What the changes take out of a row.
fn terms_taken<'a>(
    sae: &'a Sae,
    codes: &Codes,
    row: usize,
    scale: f32,
    of: &[u32],
) -> impl Iterator<Item = Term<'a>> + use<'a> {
    terms(sae, codes, row, -scale, of).into_iter()
}

/// (change, r·u, ‖u‖²) of every change that fires in a row.
fn score_row(mut terms: Vec<Term<'_>>, residual: &[f32]) -> Vec<(u32, f64, f64)> {
    terms.sort_by_key(|term| term.0);
    let mut sum = Vec::new();
    terms
        .chunk_by(|a, b| a.0 == b.0)
        .map(|terms| {
            if let [(change, factor, row)] = terms {
                let (factor, gain) = (f64::from(*factor), f64::from(kernel::dot(residual, row)));
                return (*change, factor * gain, factor * factor * f64::from(kernel::dot(row, row)));
            }
            sum.clear();
            sum.resize(residual.len(), 0.0);
            for (_, factor, row) in terms {
                sum.iter_mut().zip(row.iter()).for_each(|(u, d)| *u += factor * d);
            }
            (terms[0].0, f64::from(kernel::dot(residual, &sum)), f64::from(kernel::dot(&sum, &sum)))
        })
        .collect()
}
