//! Which decoder rows point the same way: one direction against all rows, and all rows against all.
//! Not here: what being near means (novel, reconstruction).
//!
//! A cosine is `dot(a, b) / √(‖a‖²·‖b‖²)` with [`kernel::dot`]'s order of summation, so equal rows have exactly 1. A
//! row of zeros has no direction; its cosine with everything is 0, as torch's `cosine_similarity` has it. The products
//! of the all-pairs pass only sort out what cannot be among the nearest: what remains is computed by that formula, so
//! results are the same bits for any number of threads, any tiling, and from [`Sae::nearest`] or [`nearest_all`].

use std::cmp::Ordering;
use std::ops::Range;

use rayon::prelude::*;

use crate::kernel::{self, View, maps};
use crate::task::{Cancel, OnProgress, Progress};
use crate::weights::Matrix;

use super::{Column, Error, Sae};

/// Rows per unit of parallel work when one direction meets all rows: 512 × 768 values are 1.5 MiB.
const ROWS: usize = 512;

/// A latent of another SAE and how near it is.
#[derive(Clone, Copy, Debug, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
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

    /// The `k` latents whose decoder rows are nearest to `direction`, \[d_in\], nearest first, ties to the lower index.
    ///
    /// # Errors
    /// [`Error::Sizes`], [`Error::InputNotFinite`].
    pub fn nearest_to(&self, direction: &[f32], k: usize) -> Result<Vec<Neighbour>, Error> {
        self.check_direction(direction)?;
        let norm = squared_norm(direction);
        let norms = self.squared_norms();
        let parts = blocks(&self.parts.w_dec, |first, rows| {
            let mut best = Best::new(k);
            for (latent, row) in (first..).zip(rows.chunks_exact(self.d_in())) {
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

    /// The product of `direction`, \[d_in\], with every decoder row, \[width\].
    ///
    /// # Errors
    /// [`Error::Sizes`], [`Error::InputNotFinite`].
    pub fn dot_rows(&self, direction: &[f32]) -> Result<Vec<f32>, Error> {
        self.check_direction(direction)?;
        let dots =
            |_, rows: &[f32]| rows.chunks_exact(self.d_in()).map(|row| kernel::dot(direction, row)).collect::<Vec<_>>();
        Ok(blocks(&self.parts.w_dec, dots).concat())
    }

    pub(super) fn check_direction(&self, direction: &[f32]) -> Result<(), Error> {
        if direction.len() != self.d_in() {
            return Err(Error::Sizes { left: direction.len(), right: self.d_in() });
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
    if large.d_in() != small.d_in() {
        return Err(Error::Sizes { left: large.d_in(), right: small.d_in() });
    }
    let k = k.min(small.width());
    let threads = rayon::current_num_threads().max(1);
    let block = large.width().div_ceil(threads * 4).clamp(32, ROWS);
    let columns = Columns::new(small, floor);
    let total = large.width() as u64;
    let mut neighbours = Vec::with_capacity(k * large.width());
    for group in (0..large.width()).step_by(block * threads) {
        progress(Progress::steps("nearest latents", group as u64, total));
        let end = large.width().min(group + block * threads);
        let starts: Vec<usize> = (group..end).step_by(block).collect();
        let parts: Vec<Vec<Best>> = starts
            .into_par_iter()
            .map(|start| columns.nearest_of(large, start..end.min(start + block), k, cancel))
            .collect();
        cancel.check()?;
        for (latent, best) in (group..).zip(parts.into_iter().flatten()) {
            neighbours.extend(best.list);
            best.near.iter().for_each(|pair| near(latent as u32, pair.latent, pair.cosine));
        }
    }
    progress(Progress::steps("nearest latents", total, total));
    Ok(NearestTable { k, neighbours: neighbours.into() })
}

/// The decoder rows that others are compared with.
struct Columns<'a> {
    small: &'a Sae,
    /// 1/‖row‖; 0 for a row of zeros; not a number where the squared length is not [`ordinary`], so that every
    /// comparison fails and the row is always looked at closely.
    inverse: Vec<f32>,
    /// Twice the largest rounding error of a product of two unit vectors, summed in any order.
    slack: f32,
    /// Every pair at least this near is kept, whatever its rank.
    near: f32,
}

impl<'a> Columns<'a> {
    fn new(small: &'a Sae, near: f32) -> Self {
        let norms = small.squared_norms().iter().enumerate();
        let inverse = norms.map(|(latent, &norm)| inverse_norm(small, latent, norm)).collect();
        Self { small, inverse, slack: (4 * small.d_in() + 64) as f32 * f32::EPSILON / 2.0, near }
    }

    fn nearest_of(&self, large: &Sae, rows: Range<usize>, k: usize, cancel: &Cancel) -> Vec<Best> {
        let mut best = vec![Best::new(k); rows.len()];
        let block = large.parts.w_dec.block(rows.clone());
        let (a, b) = (View::new(&block, rows.len(), large.d_in()), self.small.parts.w_dec.t());
        let (mut tile, mut made) = (Vec::new(), Vec::new());
        for start in (0..self.small.width()).step_by(kernel::TILE) {
            if cancel.is_cancelled() {
                break;
            }
            let columns = start..self.small.width().min(start + kernel::TILE);
            tile.resize(rows.len() * columns.len(), 0.0);
            kernel::tile_product(&mut tile, a, b, columns.clone(), &mut made);
            for ((latent, products), best) in rows.clone().zip(tile.chunks_exact(columns.len())).zip(&mut best) {
                self.offer(large, latent, columns.start, products, best);
            }
        }
        best
    }

    /// Offers one latent's products with some columns; only what may be among the nearest is computed closely.
    fn offer(&self, large: &Sae, latent: usize, first: usize, products: &[f32], best: &mut Best) {
        let own = inverse_norm(large, latent, large.squared_norms()[latent]);
        let inverse = &self.inverse[first..first + products.len()];
        let mut start = 0;
        loop {
            let floor = best.floor().min(self.near) - self.slack;
            let Some(group) = maps::reaching(&products[start..], &inverse[start..], own, floor) else { return };
            start += group * maps::TOGETHER;
            let end = products.len().min(start + maps::TOGETHER);
            for at in start..end {
                // What is no number is looked at closely too.
                if products[at] * inverse[at] * own < floor {
                    continue;
                }
                let other = first + at;
                let cosine = cosine_of(large, latent, self.small, other);
                best.offer(other, cosine);
                if cosine >= self.near {
                    best.near.push(Neighbour { latent: other as u32, cosine });
                }
            }
            start = end;
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

fn inverse_norm(sae: &Sae, latent: usize, squared: f32) -> f32 {
    if ordinary(squared) {
        1.0 / squared.sqrt()
    } else if sae.parts.w_dec.row(latent).iter().all(|&value| value == 0.0) {
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
