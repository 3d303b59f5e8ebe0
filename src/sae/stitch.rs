//! Stitched SAEs: a smaller SAE with latents of a larger one put in, or swapped in (methods §4, arXiv 2502.04878 eq. 4–5).
//! Not here: which latents belong together (`classes.rs`), and cross-entropy, which needs the model.
//!
//! Every latent keeps its own SAE's encoder; decoded sums are added; b_dec = α·b⁰ + (1−α)·b¹ with α = |L⁰|/(|L⁰|+|L¹|).
//! Where both SAEs are TopK, their latents compete: the stitched SAE is encoded again over the union.

use std::slice;

use rayon::prelude::*;
use serde::Serialize;

use crate::task::Cancel;

use super::encode::Among;
use super::metrics::{self, Quality};
use super::{Activation, Codes, Error, Group, Sae};

mod curve;
mod fold;
mod scores;
mod workbench;

pub use curve::{Curve, CurvePoint, Order, Phase, Step, changes, curve, curve_by_encoding, plan, shuffle};
pub use scores::{Score, Scores};
pub use workbench::{Point, Workbench};

/// A smaller and a larger SAE that can be stitched.
#[derive(Clone, Copy, Debug)]
pub struct Pair<'a> {
    small: &'a Sae,
    large: &'a Sae,
}

/// Which latents a stitched SAE has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// For each latent of the smaller SAE whether it is still there.
    pub small: Vec<bool>,
    /// For each latent of the larger SAE whether it was put in.
    pub large: Vec<bool>,
}

/// A change of a stitched SAE, which begins at the smaller SAE. No latent may stand in it twice.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    /// A latent of the larger SAE is put in.
    Insert(u32),
    /// A latent of the smaller SAE is taken out.
    Remove(u32),
    /// A group is swapped: its small side out, its large side in.
    Swap {
        /// Latents of the smaller SAE that go.
        small: Vec<u32>,
        /// Latents of the larger SAE that come.
        large: Vec<u32>,
    },
}

/// What fires in a stitched SAE, still in the numbers of the two SAEs.
#[derive(Clone, Debug, PartialEq)]
pub struct StitchedCodes {
    /// Of the smaller SAE.
    pub small: Codes,
    /// Of the larger SAE.
    pub large: Codes,
}

impl Change {
    /// Latents of the larger SAE that it puts in.
    #[must_use]
    pub fn large(&self) -> &[u32] {
        match self {
            Self::Insert(latent) => slice::from_ref(latent),
            Self::Remove(_) => &[],
            Self::Swap { large, .. } => large,
        }
    }

    /// Latents of the smaller SAE that it takes out.
    #[must_use]
    pub fn small(&self) -> &[u32] {
        match self {
            Self::Insert(_) => &[],
            Self::Remove(latent) => slice::from_ref(latent),
            Self::Swap { small, .. } => small,
        }
    }
}

impl From<&Group> for Change {
    fn from(group: &Group) -> Self {
        Self::Swap { small: group.small.clone(), large: group.large.clone() }
    }
}

impl Selection {
    /// The smaller SAE, nothing put in.
    #[must_use]
    pub fn small_sae(pair: Pair<'_>) -> Self {
        Self { small: vec![true; pair.small.width()], large: vec![false; pair.large.width()] }
    }

    /// How many latents of each SAE there are: (smaller, larger).
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        let count = |latents: &[bool]| latents.iter().filter(|there| **there).count();
        (count(&self.small), count(&self.large))
    }

    /// Makes a change (`on`), or takes it back.
    ///
    /// # Errors
    /// [`Error::Latent`]; then nothing has changed.
    pub fn set(&mut self, change: &Change, on: bool) -> Result<(), Error> {
        for (latents, there) in [(change.large(), &self.large), (change.small(), &self.small)] {
            if let Some(&latent) = latents.iter().find(|&&latent| latent as usize >= there.len()) {
                return Err(Error::Latent { latent: latent as usize, width: there.len() });
            }
        }
        change.large().iter().for_each(|&latent| self.large[latent as usize] = on);
        change.small().iter().for_each(|&latent| self.small[latent as usize] = !on);
        Ok(())
    }

    /// The smaller SAE's share α of the latents, by which the decoder biases are mixed; 1 when there are none.
    #[must_use]
    pub fn alpha(&self) -> f64 {
        let (small, large) = self.counts();
        mix(small, large)
    }
}

fn mix(small: usize, large: usize) -> f64 {
    if small + large == 0 { 1.0 } else { small as f64 / (small + large) as f64 }
}

impl<'a> Pair<'a> {
    /// A pair that can be stitched.
    ///
    /// # Errors
    /// [`Error::Sizes`] when their activations differ in length; [`Error::Unlike`] when they normalise differently,
    /// when one is TopK and the other is not (then nothing says which latents would compete), or when latents compete in
    /// groups.
    pub fn new(small: &'a Sae, large: &'a Sae) -> Result<Self, Error> {
        for (left, right) in [(small.d_in(), large.d_in()), (small.d_out(), large.d_out())] {
            if left != right {
                return Err(Error::Sizes { left, right });
            }
        }
        if small.parts.normalisation != large.parts.normalisation {
            return Err(Error::Unlike { what: "they normalise their input differently" });
        }
        let grouped = |sae: &Sae| matches!(sae.parts.activation, Activation::GroupMax { .. });
        if grouped(small) || grouped(large) {
            return Err(Error::Unlike { what: "latents compete in groups, which stitching would take apart" });
        }
        let topk = |sae: &Sae| matches!(sae.parts.activation, Activation::TopK { .. });
        if topk(small) != topk(large) {
            return Err(Error::Unlike { what: "the latents of one compete for k places, those of the other do not" });
        }
        let rescale = |sae: &Sae| sae.parts.rescale_acts_by_decoder_norm;
        if topk(small) && rescale(small) != rescale(large) {
            return Err(Error::Unlike { what: "only one of them ranks its latents by decoder norm" });
        }
        Ok(Self { small, large })
    }

    /// The smaller SAE.
    #[must_use]
    pub const fn small(&self) -> &'a Sae {
        self.small
    }

    /// The larger SAE.
    #[must_use]
    pub const fn large(&self) -> &'a Sae {
        self.large
    }

    /// Whether latents compete (TopK), so that a stitched SAE must be encoded again and effects are not plain sums.
    #[must_use]
    pub const fn competes(&self) -> bool {
        matches!(self.small.parts.activation, Activation::TopK { .. })
    }

    /// What fires in the stitched SAE for `x`, row-major \[rows, d_in\].
    ///
    /// # Errors
    /// As [`Sae::encode`]; [`Error::Latent`] when the selection is of other SAEs.
    pub fn encode(&self, x: &[f32], selection: &Selection, cancel: &Cancel) -> Result<StitchedCodes, Error> {
        self.check(selection)?;
        let (Activation::TopK { k: small_k }, Activation::TopK { k: large_k }) =
            (&self.small.parts.activation, &self.large.parts.activation)
        else {
            return Ok(StitchedCodes {
                small: filter(&self.small.encode(x, cancel)?, &selection.small),
                large: filter(&self.large.encode(x, cancel)?, &selection.large),
            });
        };
        // Where the two k differ, the stitched SAE's goes from one to the other with the share of the latents (choice).
        let alpha = selection.alpha();
        let k = (alpha * *small_k as f64 + (1.0 - alpha) * *large_k as f64).round() as usize;
        let small = self.small.encode_among(x, Some(Among { latents: &selection.small, k }), cancel)?;
        let large = self.large.encode_among(x, Some(Among { latents: &selection.large, k }), cancel)?;
        Ok(compete(&small, &large, k))
    }

    /// What fires in the stitched SAE, from what fires in its two SAEs; only where latents do not compete.
    ///
    /// # Errors
    /// [`Error::Unlike`] when they do, [`Error::Latent`] when the selection is of other SAEs.
    pub fn select(&self, small: &Codes, large: &Codes, selection: &Selection) -> Result<StitchedCodes, Error> {
        if self.competes() {
            return Err(Error::Unlike { what: "their latents compete, so a stitched SAE must be encoded again" });
        }
        self.check(selection)?;
        Ok(StitchedCodes { small: filter(small, &selection.small), large: filter(large, &selection.large) })
    }

    /// The stitched SAE's reconstruction, row-major \[rows, d_out\].
    ///
    /// # Errors
    /// [`Error::Latent`] when codes or selection are of other SAEs, [`Error::InputSize`] when the two codes have
    /// different numbers of rows, [`Error::Overflow`].
    pub fn decode(&self, codes: &StitchedCodes, selection: &Selection) -> Result<Vec<f32>, Error> {
        self.check(selection)?;
        let d_out = self.small.d_out();
        if codes.small.rows() != codes.large.rows() {
            return Err(Error::InputSize { found: codes.large.rows() * d_out, d_in: codes.small.rows() * d_out });
        }
        self.small.check_codes(&codes.small)?;
        self.large.check_codes(&codes.large)?;
        let bias = self.bias(selection.alpha());
        let mut out = vec![0.0; codes.small.rows() * d_out];
        out.par_chunks_exact_mut(d_out).enumerate().for_each(|(row, out)| {
            self.small.add_row(&codes.small, row, out);
            self.large.add_row(&codes.large, row, out);
            let undo = codes.small.undo(row);
            for (x, bias) in out.iter_mut().zip(&bias) {
                *x = (*x + bias) * undo.scale + undo.shift;
            }
        });
        match out.iter().position(|value| !value.is_finite()) {
            None => Ok(out),
            Some(at) => Err(Error::Overflow { row: at / d_out, place: "dimension", index: at % d_out }),
        }
    }

    /// How well the stitched SAE reconstructs the rows of `x` that count, encoded afresh.
    ///
    /// # Errors
    /// As [`Pair::encode`], [`Pair::decode`] and [`metrics::quality`].
    pub fn measure(
        &self,
        x: &[f32],
        counts: &[bool],
        selection: &Selection,
        cancel: &Cancel,
    ) -> Result<Quality, Error> {
        let codes = self.encode(x, selection, cancel)?;
        let x_hat = self.decode(&codes, selection)?;
        metrics::quality(x, &x_hat, &codes.union(self.small.width()), counts, self.small.d_out())
    }

    /// α·b⁰ + (1−α)·b¹, \[d_out\].
    fn bias(&self, alpha: f64) -> Vec<f32> {
        let pairs = self.small.parts.b_dec.iter().zip(self.large.parts.b_dec.iter());
        pairs.map(|(&b0, &b1)| (alpha * f64::from(b0) + (1.0 - alpha) * f64::from(b1)) as f32).collect()
    }

    fn check(&self, selection: &Selection) -> Result<(), Error> {
        for (sae, latents) in [(self.small, &selection.small), (self.large, &selection.large)] {
            if sae.width() != latents.len() {
                return Err(Error::Latent { latent: latents.len(), width: sae.width() });
            }
        }
        Ok(())
    }
}

impl StitchedCodes {
    /// Both in one: latents of the larger SAE are counted on from `small_width`.
    #[must_use]
    pub fn union(&self, small_width: usize) -> Codes {
        let mut union = Codes { undo: self.small.undo.clone(), ..Codes::default() };
        for row in 0..self.small.rows() {
            let ((small, small_values), (large, large_values)) = (self.small.row(row), self.large.row(row));
            let moved = large.iter().map(|latent| latent + small_width as u32).zip(large_values.iter().copied());
            union.push_row(small.iter().copied().zip(small_values.iter().copied()).chain(moved));
        }
        union
    }
}

/// The codes of the latents that are there.
fn filter(codes: &Codes, there: &[bool]) -> Codes {
    let mut kept = Codes { undo: codes.undo.clone(), ..Codes::default() };
    for row in 0..codes.rows() {
        let (latents, values) = codes.row(row);
        let pairs = latents.iter().copied().zip(values.iter().copied());
        kept.push_row(pairs.filter(|(latent, _)| there.get(*latent as usize).copied().unwrap_or(false)));
    }
    kept
}

/// The k largest of both, row by row; ties go to the smaller SAE, then to the lower index.
fn compete(small: &Codes, large: &Codes, k: usize) -> StitchedCodes {
    let empty = |codes: &Codes| Codes { undo: codes.undo.clone(), ..Codes::default() };
    let mut kept = StitchedCodes { small: empty(small), large: empty(large) };
    for row in 0..small.rows() {
        let pairs = |codes: &Codes, side: usize| -> Vec<(usize, u32, f32)> {
            let (latents, values) = codes.row(row);
            latents.iter().zip(values).map(|(latent, value)| (side, *latent, *value)).collect()
        };
        let mut all = [pairs(small, 0), pairs(large, 1)].concat();
        all.sort_by(|a, b| b.2.total_cmp(&a.2).then((a.0, a.1).cmp(&(b.0, b.1))));
        all.truncate(k);
        all.sort_by_key(|pair| (pair.0, pair.1));
        kept.small.push_row(all.iter().filter(|pair| pair.0 == 0).map(|pair| (pair.1, pair.2)));
        kept.large.push_row(all.iter().filter(|pair| pair.0 == 1).map(|pair| (pair.1, pair.2)));
    }
    kept
}
