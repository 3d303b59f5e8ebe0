//! An SAE for activations that a constant was added to: what TransformerLens leaves out of z and a raw model has in it.
//! Not here: what the constant is.

use crate::kernel::{self, View};
use crate::weights::Array;

use super::{Error, Normalisation, Sae, SaeWeights};

impl Sae {
    /// The SAE that does to x + `shift`, \[d_in\], what this one does to x: the same latents, and the reconstruction moved
    /// by `shift`. Only biases change.
    ///
    /// # Errors
    /// [`Error::Sizes`], [`Error::InputNotFinite`]; [`Error::Unsupported`] where each input is normalised by itself, which
    /// a constant does not go through.
    pub fn shifted(&self, shift: &[f32]) -> Result<Self, Error> {
        self.check_direction(shift)?;
        if self.d_in() != self.d_out() {
            return Err(Error::Sizes { left: self.d_in(), right: self.d_out() });
        }
        // Biases are in units of the normalised input.
        let factor = match self.parts.normalisation {
            Normalisation::None => Some(1.0),
            Normalisation::Scale(factor) => Some(factor),
            Normalisation::ConstantNorm | Normalisation::LayerNorm => None,
        };
        let Some(factor) = factor else {
            return Err(Error::Unsupported {
                file: self.metadata.hook_name.clone().unwrap_or_default(),
                what: "a constant in front of a normalised input".to_owned(),
                supported: "SAEs that take their input as it is, or times one factor, can be moved".to_owned(),
            });
        };
        let shift: &[f32] = &shift.iter().map(|value| value * factor).collect::<Vec<_>>();
        let sum = |a: &[f32], b: &[f32], sign: f32| a.iter().zip(b).map(|(a, b)| a + sign * b).collect::<Vec<_>>();
        let b_dec = Array::owned(sum(&self.parts.b_dec, shift, 1.0), &[self.d_in()]);
        let mut parts = SaeWeights { b_dec, ..self.parts.clone() };
        if !parts.apply_b_dec_to_input {
            let mut through = vec![0.0; self.width()];
            let shift = View::new(shift, 1, self.d_in());
            kernel::map_product(&mut through, shift, &self.parts.w_enc, |_, _| {});
            let less = |bias: &Array| Array::owned(sum(bias, &through, -1.0), &[self.width()]);
            if let super::Activation::Gated { b_gate, b_mag, r_mag } = &self.parts.activation {
                let scaled: Vec<f32> = through.iter().zip(r_mag.iter()).map(|(through, r)| through * r.exp()).collect();
                parts.activation = super::Activation::Gated {
                    b_gate: less(b_gate),
                    b_mag: Array::owned(sum(b_mag, &scaled, -1.0), &[self.width()]),
                    r_mag: r_mag.clone(),
                };
            } else {
                parts.b_enc = less(&parts.b_enc);
            }
        }
        let mut moved = Self::new(parts)?;
        moved.metadata = self.metadata.clone();
        moved.log_sparsity.clone_from(&self.log_sparsity);
        Ok(moved)
    }
}
