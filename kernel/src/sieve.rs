//! Products of all unit rows with all, as exactly as it takes to sort out what cannot be large: with a processor that
//! multiplies tiles of bfloat16, several times faster than in f32.
//! Not here: digits that anybody sees. What passes the sieve is computed anew.

use std::ops::Range;

use super::tiles::{Halves, Tiles};
use super::{Left, Packed, View, tile_product};

/// How products are computed here.
#[derive(Clone, Copy, Debug)]
pub struct Sieve(Option<Tiles>);

/// Some rows of one side, prepared.
pub struct Rows(By<Left>);

/// Some rows of the other side, prepared.
pub struct Others(By<Packed>);

enum By<S> {
    Single(S),
    Half(Halves),
}

impl Sieve {
    /// The fastest that this processor has.
    #[must_use]
    pub fn new() -> Self {
        Self(Tiles::of_this_processor())
    }

    /// In f32 on any processor.
    #[must_use]
    pub const fn single() -> Self {
        Self(None)
    }

    /// The most by which a product of two rows of `size` values is off, whose lengths are 1 but for what f32 rounds away.
    /// What is not a number in a row is none in its products.
    #[must_use]
    pub fn error(self, size: usize) -> f32 {
        // Each of `size` multiply-adds, in any order, rounds by half an ulp of no more than 1. As much again, and more than
        // enough for the shortest rows, is left to lengths that were summed and rounded themselves.
        let sums = (2 * size + 256) as f32 * f32::EPSILON / 2.0;
        // |Σ(x+δ)(y+ε) − Σxy| ≤ ‖δ‖‖y‖ + ‖x‖‖ε‖ + ‖δ‖‖ε‖, where rounding to eight bits makes |δᵢ| ≤ 2⁻⁸|xᵢ|.
        let rounding = if self.0.is_some() { 2.0f32.powi(-7) + 2.0f32.powi(-16) } else { 0.0 };
        rounding + sums
    }

    /// Prepares rows of `size` values, each of length 1.
    #[must_use]
    pub fn rows(self, units: &[f32], size: usize) -> Rows {
        Rows(match self.0 {
            None => By::Single(Left::new(matrix(units, size))),
            Some(_) => By::Half(Halves::rows(matrix(units, size))),
        })
    }

    /// Prepares what they are multiplied with, on all threads.
    ///
    /// # Errors
    /// Where there is no memory for it.
    pub fn others(self, units: &[f32], size: usize) -> std::io::Result<Others> {
        let units = matrix(units, size);
        Ok(Others(match self.0 {
            None => match Packed::copy(units.t(), &|| true)? {
                Some(packed) => By::Single(packed),
                None => unreachable!("nothing stops it"),
            },
            Some(_) => By::Half(Halves::columns(units)),
        }))
    }

    /// The products of the rows with some of the others, on the calling thread, as rows of `tile`; gives the distance
    /// from one of its rows to the next. The others begin at a multiple of [`super::TILE`].
    ///
    /// # Panics
    /// When the others are not there, or were prepared by another sieve.
    pub fn products(self, tile: &mut Vec<f32>, rows: &Rows, others: &Others, with: Range<usize>) -> usize {
        match (self.0, &rows.0, &others.0) {
            (None, By::Single(left), By::Single(right)) => {
                tile.resize(left.rows() * with.len(), 0.0);
                tile_product(tile, left, right, with.clone(), &mut Vec::new());
                with.len()
            }
            (Some(tiles), By::Half(left), By::Half(right)) => tiles.products(tile, left, right, with),
            _ => unreachable!("sides of two sieves"),
        }
    }
}

impl Default for Sieve {
    fn default() -> Self {
        Self::new()
    }
}

fn matrix(units: &[f32], size: usize) -> View<'_> {
    View::new(units, units.len().checked_div(size).unwrap_or(0), size)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn units(rows: usize, size: usize, seed: u32) -> Vec<f32> {
        let mut values: Vec<f32> = (0..(rows * size) as u32)
            .map(|i| ((i ^ seed).wrapping_mul(2_654_435_761) >> 8) as f32 / 8e6 - 1.0)
            .collect();
        for row in values.chunks_exact_mut(size.max(1)) {
            let length = row.iter().map(|x| x * x).sum::<f32>().sqrt();
            for x in row {
                *x /= length.max(1e-9);
            }
        }
        values
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100))]
        #[test]
        fn no_product_is_further_off_than_it_says(
            m in 1usize..70, size in 1usize..200, n in 1usize..1100, from in 0usize..3, seed: u32, odd in 0usize..70,
        ) {
            let (mut a, b) = (units(m, size, seed), units(n, size, !seed));
            // A row that is not a direction, as the caller marks one whose length is not known.
            if odd < m {
                a[odd * size..(odd + 1) * size].fill(f32::NAN);
            }
            let with = (from * super::super::TILE).min((n - 1) / super::super::TILE * super::super::TILE)..n;
            for sieve in [Sieve::new(), Sieve::single()] {
                let (rows, others) = (sieve.rows(&a, size), sieve.others(&b, size).expect("memory"));
                let mut tile = Vec::new();
                let apart = sieve.products(&mut tile, &rows, &others, with.clone());
                for row in 0..m {
                    for other in with.clone() {
                        let got = tile[row * apart + other - with.start];
                        let both = a[row * size..(row + 1) * size].iter().zip(&b[other * size..(other + 1) * size]);
                        let want: f64 = both.map(|(x, y)| f64::from(*x) * f64::from(*y)).sum();
                        let off = (f64::from(got) - want).abs();
                        prop_assert!(if row == odd { got.is_nan() } else { off <= f64::from(sieve.error(size)) }, "{off}");
                    }
                }
            }
        }
    }
}
