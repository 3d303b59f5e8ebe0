//! From what fires back to activations: the sum of decoder rows.
//! Not here: rows of latents that do not fire.

use rayon::prelude::*;

use super::{Codes, Error, Sae};

/// Decoder rows that are added together: they lie far apart in memory, and none waits for another.
const TOGETHER: usize = 4;

impl Sae {
    /// The reconstruction x̂ of every row of `codes`, row-major \[rows, d_in\], in the size of the encoder's input:
    /// normalisation is undone. The same bits for any number of threads.
    ///
    /// # Errors
    /// [`Error::Latent`] when the codes are of another SAE, [`Error::Overflow`].
    pub fn decode(&self, codes: &Codes) -> Result<Vec<f32>, Error> {
        self.check_codes(codes)?;
        let d_in = self.d_in();
        let mut out = vec![0.0; codes.rows() * d_in];
        out.par_chunks_exact_mut(d_in).enumerate().for_each(|(row, out)| self.decode_row(codes, row, out));
        match out.iter().position(|value| !value.is_finite()) {
            None => Ok(out),
            Some(at) => Err(Error::Overflow { row: at / d_in, place: "dimension", index: at % d_in }),
        }
    }

    fn decode_row(&self, codes: &Codes, row: usize, out: &mut [f32]) {
        self.add_row(codes, row, out);
        let undo = codes.undo(row);
        for (x, bias) in out.iter_mut().zip(self.parts.b_dec.iter()) {
            *x = (*x + bias) * undo.scale + undo.shift;
        }
    }

    /// Adds f·W_dec of one row, without bias.
    pub(super) fn add_row(&self, codes: &Codes, row: usize, out: &mut [f32]) {
        let (latents, values) = codes.row(row);
        let term = |(latent, value): (&u32, &f32)| {
            let latent = *latent as usize;
            (value * self.decode_gain(latent), self.parts.w_dec.row(latent))
        };
        let terms = |latents: &[u32], values: &[f32]| latents.iter().zip(values).map(term).collect::<Vec<_>>();
        for (latents, values) in latents.chunks(TOGETHER).zip(values.chunks(TOGETHER)) {
            match &terms(latents, values)[..] {
                [(a, of_a), (b, of_b), (c, of_c), (d, of_d)] => {
                    let rows = of_a.iter().zip(of_b.iter()).zip(of_c.iter().zip(of_d.iter()));
                    for (x, ((of_a, of_b), (of_c, of_d))) in out.iter_mut().zip(rows) {
                        *x = (((*x + a * of_a) + b * of_b) + c * of_c) + d * of_d;
                    }
                }
                few => {
                    for (value, row) in few {
                        out.iter_mut().zip(row.iter()).for_each(|(x, d)| *x += value * d);
                    }
                }
            }
        }
    }

    /// Fails when codes name latents that are not there.
    pub(super) fn check_codes(&self, codes: &Codes) -> Result<(), Error> {
        codes.latents.iter().try_for_each(|&latent| self.check_latent(latent as usize))
    }
}
