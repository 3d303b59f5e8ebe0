//! What a latent makes of one activation, as a linear form: so that what an activation is a sum of can be distinguished.
//! Not here: whether the latent fires.

use super::{Activation, Error, Normalisation, Sae};

/// The pre-activation of a latent for one activation x: x·direction + bias. The normalisation of the input counts as
/// it is for this x; around it the form is exact where the normalisation is affine and a constant factor.
#[derive(Clone, Debug, PartialEq)]
pub struct LinearForm {
    /// What x is multiplied by, \[d_in\].
    pub direction: Vec<f64>,
    /// What is added.
    pub bias: f64,
}

impl LinearForm {
    /// The form for a vector, \[d_in\].
    #[must_use]
    pub fn of(&self, x: &[f32]) -> f64 {
        self.through(x) + self.bias
    }

    /// The form without its bias.
    #[must_use]
    pub fn through(&self, x: &[f32]) -> f64 {
        self.direction.iter().zip(x).map(|(direction, x)| direction * f64::from(*x)).sum()
    }

    /// The form in x of what this one makes of x − mean(x).
    #[must_use]
    pub fn centred(mut self) -> Self {
        let mean = mean(&self.direction);
        self.direction.iter_mut().for_each(|direction| *direction -= mean);
        self
    }
}

impl Sae {
    /// What becomes the activation of a latent, if the latent fires, as a linear form of the activation x, \[d_in\]:
    /// its pre-activation, of a gated SAE that of the magnitude.
    ///
    /// # Errors
    /// [`Error::Latent`], [`Error::InputSize`], [`Error::InputNotFinite`].
    pub fn linear_form(&self, latent: usize, x: &[f32]) -> Result<LinearForm, Error> {
        self.check_latent(latent)?;
        if x.len() != self.d_in() {
            return Err(Error::InputSize { found: x.len(), d_in: self.d_in() });
        }
        if let Some(dim) = x.iter().position(|value| !value.is_finite()) {
            return Err(Error::InputNotFinite { row: 0, dim, value: x[dim] });
        }
        let (factor, bias) = if let Activation::Gated { b_mag, r_mag, .. } = &self.parts.activation {
            (f64::from(r_mag[latent]).exp(), f64::from(b_mag[latent]))
        } else {
            let squared = self.parts.rescale_acts_by_decoder_norm.then(|| self.squared_norms()[latent]);
            let factor = squared.map_or(1.0, |squared| f64::from(squared).sqrt());
            // A latent that is switched off by a bias of −∞ and has a decoder row of zeros has no bias either.
            (factor, if factor == 0.0 { 0.0 } else { f64::from(self.parts.b_enc[latent]) * factor })
        };
        let direction = self.parts.w_enc.direction(latent).iter().map(|w| f64::from(*w) * factor).collect();
        let mut form = LinearForm { direction, bias };
        if self.parts.apply_b_dec_to_input {
            form.bias -= form.through(&self.parts.b_dec);
        }
        Ok(form.before(self.parts.normalisation, x))
    }
}

impl LinearForm {
    /// The form in x of what this one makes of the normalised x.
    fn before(mut self, normalisation: Normalisation, x: &[f32]) -> Self {
        let x: Vec<f64> = x.iter().map(|x| f64::from(*x)).collect();
        let factor = match normalisation {
            Normalisation::None => return self,
            Normalisation::Scale(factor) => f64::from(factor),
            Normalisation::ConstantNorm => {
                let norm = x.iter().map(|x| x * x).sum::<f64>().sqrt();
                if norm == 0.0 { 1.0 } else { (x.len() as f64).sqrt() / norm }
            }
            Normalisation::LayerNorm => {
                self = self.centred();
                let mean = mean(&x);
                let squares = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>();
                1.0 / ((squares / (x.len() as f64 - 1.0).max(1.0)).sqrt() + 1e-5)
            }
        };
        self.direction.iter_mut().for_each(|direction| *direction *= factor);
        self
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sae::SaeWeights;
    use crate::task::Cancel;
    use crate::weights::Array;

    fn values(count: usize, seed: u32) -> Vec<f32> {
        (0..count as u32).map(|i| ((i.wrapping_mul(2_654_435_761) ^ (seed * 97)) % 1000) as f32 / 500.0 - 1.0).collect()
    }

    fn sae(activation: &Activation, normalisation: Normalisation, flags: (bool, bool), transposed: bool) -> Sae {
        let (d, width) = (9, 40);
        let array = |count, seed, shape: &[usize]| Array::owned(values(count, seed), shape);
        let columns = array(d * width, 1, &[d, width]);
        let w_enc = if transposed {
            let rows: Vec<f32> = (0..width * d).map(|at| columns[at % d * width + at / d]).collect();
            crate::sae::Encoder::Rows(Array::owned(rows, &[width, d]).into())
        } else {
            columns.into()
        };
        let parts = SaeWeights {
            w_enc,
            b_enc: array(width, 2, &[width]),
            w_dec: array(d * width, 3, &[width, d]).into(),
            b_dec: array(d, 4, &[d]),
            apply_b_dec_to_input: flags.0,
            rescale_acts_by_decoder_norm: flags.1,
            activation: activation.clone(),
            normalisation,
        };
        Sae::new(parts).expect("fits together")
    }

    #[test]
    fn what_fires_is_what_the_form_gives_in_every_architecture() {
        let array = |seed| Array::owned(values(40, seed), &[40]);
        let threshold = array(7).iter().map(|t| t.abs() * 0.3).collect::<Vec<f32>>();
        let kinds = [
            Activation::Relu,
            Activation::TopK { k: 11 },
            Activation::JumpRelu { threshold: Array::owned(threshold, &[40]) },
            Activation::Gated { b_gate: array(8), b_mag: array(9), r_mag: array(10) },
        ];
        let normalisations =
            [Normalisation::None, Normalisation::Scale(0.3), Normalisation::ConstantNorm, Normalisation::LayerNorm];
        let x = values(9, 5);
        for kind in &kinds {
            for normalisation in normalisations {
                for at in 0..8 {
                    let rescaled = at & 2 > 0 && !matches!(kind, Activation::Gated { .. });
                    let sae = sae(kind, normalisation, (at & 1 > 0, rescaled), at & 4 > 0);
                    let codes = sae.encode(&x, &Cancel::new()).expect("encodes");
                    let (latents, values) = codes.row(0);
                    assert!(latents.len() > 3, "{kind:?} {normalisation:?}");
                    for (latent, value) in latents.iter().zip(values) {
                        let form = sae.linear_form(*latent as usize, &x).expect("a form");
                        let wrong = (form.of(&x) - f64::from(*value)).abs();
                        assert!(wrong < 1e-5, "{kind:?} {normalisation:?} {at}: {wrong}");
                    }
                }
            }
        }
    }

    #[test]
    fn what_is_no_latent_or_no_activation_is_refused() {
        let sae = sae(&Activation::Relu, Normalisation::None, (true, false), false);
        assert!(matches!(sae.linear_form(40, &[0.0; 9]), Err(Error::Latent { latent: 40, .. })));
        assert!(matches!(sae.linear_form(0, &[0.0; 8]), Err(Error::InputSize { .. })));
        assert!(matches!(sae.linear_form(0, &[f32::NAN; 9]), Err(Error::InputNotFinite { dim: 0, .. })));
    }
}
