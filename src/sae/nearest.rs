//! Which decoder rows point the same way: one direction against all rows, and all rows against all.
//! Not here: what being near means (novel, reconstruction).
//!
//! A cosine is `dot(a, b) / √(‖a‖²·‖b‖²)` with [`kernel::dot`]'s order of summation, so equal rows have exactly 1. A
//! row of zeros has no direction; its cosine with everything is 0, as torch's `cosine_similarity` has it. The products
//! of the all-pairs pass, which may be coarse, only sort out what cannot be among the nearest: what remains is computed
//! by that formula, so results are the same bits for any number of threads, any tiling, any processor, and from
//! [`Sae::nearest`] or [`nearest_all`].

use std::cmp::Ordering;
use std::ops::Range;

use rayon::prelude::*;
use serde::Serialize;

use crate::kernel::sieve::{self, Sieve};
use crate::kernel::{self, maps};
use crate::task::{Cancel, OnProgress, Progress};
use crate::weights::Matrix;

use super::{Column, Error, Sae};

/// Rows per unit of parallel work when one direction meets all rows: 512 × 768 values are 1.5 MiB.
const ROWS: usize = 512;

/// Latents of the larger SAE that meet some of the smaller one before the next of these: copying the latter is little
/// beside what is computed from them.
const GROUP: usize = 8192;

/// Of these, the latents that one thread compares at a time: their products with [`kernel::TILE`] others stay in the
/// second-level cache.
const BLOCK: usize = 256;

/// Latents of the smaller SAE that are compared at a time, a multiple of [`kernel::TILE`].
const OTHERS: usize = 4096;

/// A latent of another SAE and how near it is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub struct Neighbour {
    /// Its index.
    pub latent: u32,
    /// Cosine of the two decoder rows, signed.
    pub cosine: f32,
}

/// For every latent of one SAE its `k` nearest of another, nearest first, ties to the lower index.
#[derive(Clone, Debug, PartialEq)]
pub struct NearestTable {
    /// How many neighbours each latent has: what was asked for, or the other SAE's width if that is less.
    pub k: usize,
    /// \[latents, k\], row-major.
    pub neighbours: Column<Neighbour>,
}

impl NearestTable {
    /// The number of latents that have neighbours here.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.neighbours.len().checked_div(self.k).unwrap_or(0)
    }

    /// The neighbours of one latent, nearest first.
    ///
    /// # Panics
    /// When there is no such latent.
    #[must_use]
    pub fn row(&self, latent: usize) -> &[Neighbour] {
        &self.neighbours[latent * self.k..(latent + 1) * self.k]
    }
}

impl Sae {
    /// The `k` latents of `other` whose decoder rows are nearest to that of `latent`, nearest first, ties to the lower
    /// index.
    ///
    /// # Errors
    /// [`Error::Latent`], [`Error::Sizes`].
    pub fn nearest(&self, latent: usize, other: &Self, k: usize) -> Result<Vec<Neighbour>, Error> {
        other.nearest_to(&self.decoder_row(latent)?, k)
    }

    /// The `k` latents whose decoder rows are nearest to `direction`, \[d_out\], nearest first, ties to the lower index.
    ///
    /// # Errors
    /// [`Error::Sizes`], [`Error::InputNotFinite`].
    pub fn nearest_to(&self, direction: &[f32], k: usize) -> Result<Vec<Neighbour>, Error> {
        self.check_direction(direction)?;
        let norm = squared_norm(direction);
        let norms = self.squared_norms();
        let parts = blocks(&self.parts.w_dec, |first, rows| {
            let mut best = Best::new(k);
            for (latent, row) in (first..).zip(rows.chunks_exact(self.d_out())) {
                best.offer(latent, cosine(direction, norm, row, norms[latent]));
            }
            best
        });
        let mut best = Best::new(k);
        for neighbour in parts.iter().flat_map(|part| &part.list) {
            best.offer(neighbour.latent as usize, neighbour.cosine);
        }
        Ok(best.list)
    }

    /// The product of `direction`, \[d_out\], with every decoder row, \[width\].
    ///
    /// # Errors
    /// [`Error::Sizes`], [`Error::InputNotFinite`].
    pub fn dot_rows(&self, direction: &[f32]) -> Result<Vec<f32>, Error> {
        self.check_direction(direction)?;
        let dots = |_, rows: &[f32]| {
            rows.chunks_exact(self.d_out()).map(|row| kernel::dot(direction, row)).collect::<Vec<_>>()
        };
        Ok(blocks(&self.parts.w_dec, dots).concat())
    }

    pub(super) fn check_direction(&self, direction: &[f32]) -> Result<(), Error> {
        if direction.len() != self.d_out() {
            return Err(Error::Sizes { left: direction.len(), right: self.d_out() });
        }
        match direction.iter().position(|value| !value.is_finite()) {
            None => Ok(()),
            Some(dim) => Err(Error::InputNotFinite { row: 0, dim, value: direction[dim] }),
        }
    }
}

/// For every latent of `large` the `k` nearest latents of `small`. Memory grows with k × latents, never with
/// latents × latents. Progress counts latents of `large`.
///
/// # Errors
/// [`Error::Sizes`], [`Error::Cancelled`].
pub fn nearest_all(
    large: &Sae,
    small: &Sae,
    k: usize,
    cancel: &Cancel,
    progress: OnProgress<'_>,
) -> Result<NearestTable, Error> {
    nearest_and_near(large, small, k, f32::INFINITY, &mut |_, _, _| (), cancel, progress)
}

/// [`nearest_all`], and every pair whose cosine is at least `floor`, handed to `near` as (latent of `large`, latent of
/// `small`, cosine), by rising latent of `large`, then of `small`.
pub(super) fn nearest_and_near(
    large: &Sae,
    small: &Sae,
    k: usize,
    floor: f32,
    near: &mut dyn FnMut(u32, u32, f32),
    cancel: &Cancel,
    progress: OnProgress<'_>,
) -> Result<NearestTable, Error> {
    through(Sieve::new(), (large, small), (k, floor), near, cancel, progress)
}

fn through(
    sieve: Sieve,
    (large, small): (&Sae, &Sae),
    (k, floor): (usize, f32),
    near: &mut dyn FnMut(u32, u32, f32),
    cancel: &Cancel,
    progress: OnProgress<'_>,
) -> Result<NearestTable, Error> {
    if large.d_out() != small.d_out() {
        return Err(Error::Sizes { left: large.d_out(), right: small.d_out() });
    }
    let k = k.min(small.width());
    let total = large.width() as u64;
    let near_enough = Near { floor, slack: sieve.error(large.d_out()), sieve };
    let mut neighbours = Vec::with_capacity(k * large.width());
    for first in (0..large.width()).step_by(GROUP) {
        let group = first..large.width().min(first + GROUP);
        let mut blocks: Vec<Block> = group
            .clone()
            .into_par_iter()
            .step_by(BLOCK)
            .map(|start| Block::new(large, start..group.end.min(start + BLOCK), k, sieve))
            .collect();
        for start in (0..small.width()).step_by(OTHERS) {
            let done = first + group.len() * start / small.width();
            progress(Progress::steps("nearest latents", done as u64, total));
            cancel.check()?;
            let columns = start..small.width().min(start + OTHERS);
            let units = units(small, columns.clone());
            let others = sieve.others(&units, small.d_out()).map_err(|source| Error::Memory { source })?;
            blocks.par_iter_mut().for_each_init(Vec::new, |tile, block| {
                block.meet(&near_enough, (large, small), (&others, columns.clone()), tile, cancel);
            });
        }
        cancel.check()?;
        for (latent, best) in (first..).zip(blocks.into_iter().flat_map(|block| block.best)) {
            neighbours.extend(best.list);
            best.near.iter().for_each(|pair| near(latent as u32, pair.latent, pair.cosine));
        }
    }
    progress(Progress::steps("nearest latents", total, total));
    Ok(NearestTable { k, neighbours: neighbours.into() })
}

/// Decoder rows of length 1, side by side; zeros for a row of zeros, and no numbers for one whose squared length is not
/// [`ordinary`], so that it is always looked at closely.
fn units(sae: &Sae, latents: Range<usize>) -> Vec<f32> {
    let d_out = sae.d_out().max(1);
    let mut units = sae.parts.w_dec.block(latents.clone()).into_owned();
    let norms = sae.squared_norms();
    units.par_chunks_exact_mut(d_out).zip(latents).for_each(|(row, latent)| {
        let inverse = inverse_norm(row, norms[latent]);
        for value in row {
            *value *= inverse;
        }
    });
    units
}

/// Which pairs are looked at closely.
struct Near {
    /// Every pair at least this near is kept, whatever its rank.
    floor: f32,
    /// The largest error of a product of the sieve.
    slack: f32,
    sieve: Sieve,
}

/// Some latents of the larger SAE, and what is nearest to each so far.
struct Block {
    latents: Range<usize>,
    rows: sieve::Rows,
    best: Vec<Best>,
}

impl Block {
    fn new(large: &Sae, latents: Range<usize>, k: usize, sieve: Sieve) -> Self {
        let rows = sieve.rows(&units(large, latents.clone()), large.d_out());
        Self { best: vec![Best::new(k); latents.len()], latents, rows }
    }

    /// Offers some latents of the smaller SAE to all of the block.
    fn meet(
        &mut self,
        near: &Near,
        (large, small): (&Sae, &Sae),
        (others, columns): (&sieve::Others, Range<usize>),
        tile: &mut Vec<f32>,
        cancel: &Cancel,
    ) {
        for start in (0..columns.len()).step_by(kernel::TILE) {
            if cancel.is_cancelled() {
                return;
            }
            let with = start..columns.len().min(start + kernel::TILE);
            let apart = near.sieve.products(tile, &self.rows, others, with.clone());
            let rows = tile.chunks_exact(apart.max(1)).map(|row| &row[..with.len()]);
            for ((latent, products), best) in self.latents.clone().zip(rows).zip(&mut self.best) {
                best.take(products, near, |at| {
                    let other = columns.start + start + at;
                    Neighbour { latent: other as u32, cosine: cosine_of(large, latent, small, other) }
                });
            }
        }
    }
}

/// The k best seen so far, best first.
#[derive(Clone, Debug)]
struct Best {
    k: usize,
    list: Vec<Neighbour>,
    /// All that are near enough, by rising latent.
    near: Vec<Neighbour>,
}

impl Best {
    const fn new(k: usize) -> Self {
        Self { k, list: Vec::new(), near: Vec::new() }
    }

    /// What a newcomer must reach: the worst of the k, or anything while there are fewer.
    fn floor(&self) -> f32 {
        if self.list.len() < self.k { f32::NEG_INFINITY } else { self.list.last().map_or(f32::INFINITY, |n| n.cosine) }
    }

    /// Takes in one latent's products with others, by rising latent; only what may be among the nearest is computed
    /// closely, by `closely`, which gets its place.
    fn take(&mut self, products: &[f32], near: &Near, closely: impl Fn(usize) -> Neighbour) {
        let mut start = 0;
        loop {
            let floor = self.floor().min(near.floor) - near.slack;
            let Some(group) = maps::reaching(&products[start..], floor) else { return };
            start += group * maps::VALUES_PER_CHECK;
            let end = products.len().min(start + maps::VALUES_PER_CHECK);
            for (at, product) in (start..end).zip(&products[start..end]) {
                // What is not a number is looked at closely too.
                if *product < floor {
                    continue;
                }
                let pair = closely(at);
                self.offer(pair.latent as usize, pair.cosine);
                if pair.cosine >= near.floor {
                    self.near.push(pair);
                }
            }
            start = end;
        }
    }

    fn offer(&mut self, latent: usize, cosine: f32) {
        if cosine < self.floor() || self.k == 0 {
            return;
        }
        let new = Neighbour { latent: latent as u32, cosine };
        let at = self.list.partition_point(|old| order(*old, new) == Ordering::Less);
        self.list.insert(at, new);
        self.list.truncate(self.k);
    }
}

/// Nearest first, ties by the lower index.
fn order(a: Neighbour, b: Neighbour) -> Ordering {
    b.cosine.total_cmp(&a.cosine).then(a.latent.cmp(&b.latent))
}

/// ‖row‖² in f32, in [`kernel::dot`]'s order.
pub(super) fn squared_norm(row: &[f32]) -> f32 {
    kernel::dot(row, row)
}

/// ‖row‖² of every row of a matrix.
pub(super) fn squared_norms(rows: &Matrix) -> Vec<f32> {
    let cols = rows.cols().max(1);
    blocks(rows, |_, block| block.chunks_exact(cols).map(squared_norm).collect::<Vec<_>>()).concat()
}

/// What `of` makes of each block of rows and the first one's number, in order, on all threads.
fn blocks<T: Send>(rows: &Matrix, of: impl Fn(usize, &[f32]) -> T + Sync) -> Vec<T> {
    (0..rows.rows().div_ceil(ROWS))
        .into_par_iter()
        .map(|index| of(index * ROWS, &rows.block(index * ROWS..rows.rows().min((index + 1) * ROWS))))
        .collect()
}

/// Whether products and sums around a row of this squared length stay well inside the range of f32.
fn ordinary(squared: f32) -> bool {
    (1e-20..=1e20).contains(&squared)
}

fn inverse_norm(row: &[f32], squared: f32) -> f32 {
    if ordinary(squared) {
        1.0 / squared.sqrt()
    } else if row.iter().all(|&value| value == 0.0) {
        0.0
    } else {
        f32::NAN
    }
}

/// The cosine of two latents' decoder rows.
pub(super) fn cosine_of(a: &Sae, a_latent: usize, b: &Sae, b_latent: usize) -> f32 {
    let norms = (a.squared_norms()[a_latent], b.squared_norms()[b_latent]);
    cosine(&a.parts.w_dec.row(a_latent), norms.0, &b.parts.w_dec.row(b_latent), norms.1)
}

/// The cosine of two rows with their squared lengths; 0 when either is a row of zeros.
fn cosine(a: &[f32], a_norm: f32, b: &[f32], b_norm: f32) -> f32 {
    if ordinary(a_norm) && ordinary(b_norm) {
        let lengths = (f64::from(a_norm) * f64::from(b_norm)).sqrt();
        return ((f64::from(kernel::dot(a, b)) / lengths) as f32).clamp(-1.0, 1.0);
    }
    // Squares that leave the range of f32: rare, so slow and exact. `+ 0.0` makes a negative zero positive.
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(&x, &y)| f64::from(x) * f64::from(y)).sum::<f64>();
    let lengths = dot(a, a).sqrt() * dot(b, b).sqrt();
    if lengths == 0.0 { 0.0 } else { (dot(a, b) / lengths).clamp(-1.0, 1.0) as f32 + 0.0 }
}

#[cfg(test)]
mod tests {
    use super::super::{Activation, Normalisation, SaeWeights};
    use super::*;
    use crate::weights::Array;

    fn sae(width: usize, d_in: usize, seed: u32) -> Sae {
        let values = |count: usize, salt: u32| -> Vec<f32> {
            let mixed = |i: u32| (i ^ seed.wrapping_mul(salt)).wrapping_mul(2_654_435_761) >> 8;
            (0..count as u32).map(|i| mixed(i) as f32 / 8e6 - 1.0).collect()
        };
        let mut w_dec = values(width * d_in, 3);
        // What has no direction, and what has one that f32 cannot square.
        w_dec[..d_in].fill(0.0);
        w_dec[d_in..2 * d_in].iter_mut().for_each(|value| *value *= 1e-30);
        Sae::new(SaeWeights {
            w_enc: Array::owned(values(d_in * width, 5), &[d_in, width]).into(),
            b_enc: Array::owned(vec![0.0; width], &[width]),
            w_dec: Array::owned(w_dec, &[width, d_in]).into(),
            b_dec: Array::owned(vec![0.0; d_in], &[d_in]),
            apply_b_dec_to_input: false,
            rescale_acts_by_decoder_norm: false,
            activation: Activation::Relu,
            normalisation: Normalisation::None,
        })
        .expect("parts that fit")
    }

    #[test]
    fn every_sieve_lets_the_same_through_over_many_groups() {
        let (d_in, floor) = (12, 0.85);
        let (large, small) = (sae(GROUP + 300, d_in, 1), sae(OTHERS + 700, d_in, 2));
        let run = |sieve| {
            let mut near = Vec::new();
            let mut take = |large, small, cosine: f32| near.push((large, small, cosine.to_bits()));
            let never = Cancel::new();
            let table = through(sieve, (&large, &small), (3, floor), &mut take, &never, &|_| ()).expect("compares");
            (table, near)
        };
        let (table, near) = run(Sieve::new());
        assert!((table, near.clone()) == run(Sieve::single()), "another processor would tell something else");
        assert!(near.len() > 100, "{}", near.len());
        assert!(near.is_sorted_by_key(|pair| (pair.0, pair.1)));
        let (table, _) = run(Sieve::new());
        for latent in [0, 1, 2, 255, 256, GROUP - 1, GROUP, GROUP + 299] {
            assert_eq!(table.row(latent), large.nearest(latent, &small, 3).expect("is there"));
            let all = large.nearest(latent, &small, small.width()).expect("is there");
            let want = all.iter().filter(|other| other.cosine >= floor).count();
            assert_eq!(near.iter().filter(|pair| pair.0 as usize == latent).count(), want, "latent {latent}");
        }
    }
}
