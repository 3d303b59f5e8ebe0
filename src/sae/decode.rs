//! From what fires back to activations: the sum of decoder rows.
//! Not here: rows of latents that do not fire.

use std::borrow::Cow;
use std::slice;

use rayon::prelude::*;

use crate::kernel;

use super::{Codes, Error, Sae};

/// Decoder rows that are fetched and added together: they lie far apart in memory, and none waits for another.
const ROWS_PER_SUM: usize = 4;

/// Decoder rows of which it is known that they come next.
const PREFETCHED_ROWS: usize = 64;

impl Sae {
    /// The reconstruction x̂ of every row of `codes`, row-major \[rows, d_out\], in the size of the encoder's input:
    /// normalisation is undone. The same bits for any number of threads.
    ///
    /// # Errors
    /// [`Error::Latent`] when the codes are of another SAE, [`Error::Overflow`].
    pub fn decode(&self, codes: &Codes) -> Result<Vec<f32>, Error> {
        self.check_codes(codes)?;
        let d_out = self.d_out();
        let mut out = vec![0.0; codes.rows() * d_out];
        out.par_chunks_exact_mut(d_out).enumerate().for_each(|(row, out)| self.decode_row(codes, row, out));
        match out.iter().position(|value| !value.is_finite()) {
            None => Ok(out),
            Some(at) => Err(Error::Overflow { row: at / d_out, place: "dimension", index: at % d_out }),
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
        for (latents, values) in latents.chunks(PREFETCHED_ROWS).zip(values.chunks(PREFETCHED_ROWS)) {
            let terms: Vec<_> = latents.iter().zip(values).map(term).collect();
            // Where a row lies is looked up, by its first and last value, long before it is needed.
            for end in terms.iter().flat_map(|(_, row)| [row.first(), row.last()]).flatten() {
                kernel::fetch(slice::from_ref(end));
            }
            let mut groups = terms.chunks(ROWS_PER_SUM).peekable();
            while let Some(now) = groups.next() {
                // The next rows are on their way while these are added.
                for (_, row) in groups.peek().into_iter().copied().flatten() {
                    kernel::fetch(row);
                }
                add(now, out);
            }
        }
    }

    /// Fails when codes name latents that are not there.
    pub(super) fn check_codes(&self, codes: &Codes) -> Result<(), Error> {
        codes.latents.iter().try_for_each(|&latent| self.check_latent(latent as usize))
    }
}

/// Adds decoder rows, each times its value, one after the other.
fn add(terms: &[(f32, Cow<'_, [f32]>)], out: &mut [f32]) {
    match terms {
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
