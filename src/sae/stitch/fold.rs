//! A stitched SAE as an SAE of its own, such as can be saved and opened by other programs.
//! Not here: writing it (`lens/save.rs`).
//!
//! Two SAEs take different biases from their input, so c·b_dec·W_enc is folded into each latent's encoder bias and the
//! result takes none. ReLU is JumpReLU with θ = 0; both are gated with b_gate = b − θ, b_mag = b, r_mag = 0.

use crate::kernel;
use crate::weights::Array;

use super::super::{Activation, Error, Metadata, Sae, SaeWeights};
use super::{Pair, Selection};

/// One latent, with what the input's bias does to it and the length of its row folded in.
struct Latent {
    /// b_enc, or b_mag of a gated one.
    bias: f32,
    /// Added to x·W_enc for the gate.
    gate: f32,
    /// θ.
    threshold: f32,
    r_mag: f32,
    /// What its encoder column is multiplied by, and its decoder row divided by.
    length: f32,
}

impl Pair<'_> {
    /// The stitched SAE: latents of the smaller SAE that are there, then those of the larger, each by rising index.
    ///
    /// # Errors
    /// [`Error::Empty`] when nothing is there, [`Error::Latent`] when the selection is of other SAEs,
    /// [`Error::PartNotFinite`] when the fold overflows.
    pub fn fold(&self, selection: &Selection) -> Result<Sae, Error> {
        self.check(selection)?;
        let (d_in, d_out) = (self.small.d_in(), self.small.d_out());
        let chosen = |there: &[bool]| (0..there.len()).filter(|&latent| there[latent]).collect::<Vec<_>>();
        let sides = [(self.small, chosen(&selection.small)), (self.large, chosen(&selection.large))];
        let width = sides[0].1.len() + sides[1].1.len();
        let (mut w_enc, mut w_dec) = (vec![0.0; d_in * width], Vec::with_capacity(d_out * width));
        let mut latents = Vec::with_capacity(width);
        for (sae, chosen) in &sides {
            let shift = sae.input_shift();
            let first = latents.len();
            latents.extend(chosen.iter().map(|&latent| sae.folded(latent, shift[latent])));
            let encoder = sae.parts.w_enc.to_array();
            for dim in 0..d_in {
                let from = &encoder[dim * sae.width()..(dim + 1) * sae.width()];
                for (at, &latent) in chosen.iter().enumerate() {
                    w_enc[dim * width + first + at] = from[latent] * latents[first + at].length;
                }
            }
            for (at, &latent) in chosen.iter().enumerate() {
                let length = latents[first + at].length;
                w_dec.extend(sae.parts.w_dec.row(latent).iter().map(|d| d / length));
            }
        }
        let vector = |of: &dyn Fn(&Latent) -> f32| Array::owned(latents.iter().map(of).collect::<Vec<_>>(), &[width]);
        let mut stitched = Sae::new(SaeWeights {
            w_enc: Array::owned(w_enc, &[d_in, width]).into(),
            b_enc: vector(&|latent| latent.bias),
            w_dec: Array::owned(w_dec, &[width, d_out]).into(),
            b_dec: Array::owned(self.bias(selection.alpha()), &[d_out]),
            apply_b_dec_to_input: false,
            rescale_acts_by_decoder_norm: self.competes() && self.small.parts.rescale_acts_by_decoder_norm,
            activation: self.activation(selection, vector),
            normalisation: self.small.parts.normalisation,
        })?;
        stitched.metadata = Metadata { notes: Vec::new(), ..self.small.metadata.clone() };
        Ok(stitched)
    }

    /// The plainest activation that both SAEs can be written in.
    fn activation(&self, selection: &Selection, vector: impl Fn(&dyn Fn(&Latent) -> f32) -> Array) -> Activation {
        match (&self.small.parts.activation, &self.large.parts.activation) {
            (Activation::Relu, Activation::Relu) => Activation::Relu,
            (Activation::TopK { k: small }, Activation::TopK { k: large }) => {
                let (there, width) = (selection.alpha(), selection.counts());
                let k = (there * *small as f64 + (1.0 - there) * *large as f64).round() as usize;
                Activation::TopK { k: k.min(width.0 + width.1) }
            }
            (Activation::Gated { .. }, _) | (_, Activation::Gated { .. }) => Activation::Gated {
                b_gate: vector(&|latent| latent.gate),
                b_mag: vector(&|latent| latent.bias),
                r_mag: vector(&|latent| latent.r_mag),
            },
            _ => Activation::JumpRelu { threshold: vector(&|latent| latent.threshold) },
        }
    }
}

impl Sae {
    /// c·b_dec·W_enc, \[width\].
    fn input_shift(&self) -> Vec<f32> {
        let mut shift = vec![0.0; self.width()];
        if self.parts.apply_b_dec_to_input {
            let bias = kernel::View::new(&self.parts.b_dec, 1, self.d_in());
            kernel::map_product(&mut shift, bias, &self.parts.w_enc, |_, _| {});
        }
        shift
    }

    fn folded(&self, latent: usize, shift: f32) -> Latent {
        // TopK ranks by length at run time; elsewhere the length moves from the activation into the weights.
        let rescale =
            self.parts.rescale_acts_by_decoder_norm && !matches!(self.parts.activation, Activation::TopK { .. });
        let norm = self.squared_norms()[latent].sqrt();
        let length = if rescale && norm > 0.0 { norm } else { 1.0 };
        let (bias, gate, threshold, r_mag) = match &self.parts.activation {
            Activation::Relu | Activation::TopK { .. } | Activation::GroupMax { .. } => {
                let bias = (self.parts.b_enc[latent] - shift) * length;
                (bias, bias, 0.0, 0.0)
            }
            Activation::JumpRelu { threshold } => {
                let bias = (self.parts.b_enc[latent] - shift) * length;
                let threshold = threshold[latent].max(0.0);
                (bias, bias - threshold, threshold, 0.0)
            }
            Activation::Gated { b_gate, b_mag, r_mag } => {
                let r_mag = r_mag[latent];
                ((b_mag[latent] - shift * r_mag.exp()) * length, (b_gate[latent] - shift) * length, 0.0, r_mag)
            }
        };
        Latent { bias, gate, threshold, r_mag, length }
    }
}
