//! Which activations of a batch are kept: the k·B largest, found by selection and stored by row and by latent.
//! Not here: gradients.

use std::cmp::Ordering;

use rayon::prelude::*;

use crate::kernel::{View, fold_tiles};

/// One activation of a batch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Active {
    pub row: u32,
    pub latent: u32,
    pub value: f32,
}

/// The kept activations twice over: sorted by row and latent, and by latent and row.
#[derive(Debug, Default)]
pub struct Kept {
    pub by_row: Vec<Active>,
    pub row_starts: Vec<usize>,
    pub by_latent: Vec<Active>,
    pub latent_starts: Vec<usize>,
    /// The smallest value kept, where as many were kept as asked for.
    pub floor: Option<f32>,
}

/// Larger values first, ties by row, then latent: a total order, so that the choice does not depend on the way there.
fn rank(a: &Active, b: &Active) -> Ordering {
    b.value.total_cmp(&a.value).then(a.row.cmp(&b.row)).then(a.latent.cmp(&b.latent))
}

/// Rows that are gone through by themselves: few enough that all threads have work where there are few latents.
const ROWS: usize = 2048;

/// Positive pre-activations above `guess` of centred rows \[B, d\] with encoder rows \[width, d\].
fn candidates(rows: View<'_>, encoder: View<'_>, bias: &[f32], guess: f32) -> Vec<Active> {
    let some = |first: usize| {
        fold_tiles(
            rows.select_rows(first..rows.rows().min(first + ROWS)),
            encoder.t(),
            |_| (first as u32, Vec::new()),
            |(next, found), latents, tile| {
                let bias = &bias[latents.clone()];
                for pre in tile.chunks_exact(bias.len()) {
                    above(pre, bias, guess, |at, value| {
                        found.push(Active { row: *next, latent: (latents.start + at) as u32, value });
                    });
                    *next += 1;
                }
            },
        )
    };
    let parts: Vec<Vec<(u32, Vec<Active>)>> =
        (0..rows.rows().div_ceil(ROWS)).into_par_iter().map(|part| some(part * ROWS)).collect();
    parts.into_iter().flatten().map(|(_, found)| found).collect::<Vec<_>>().concat()
}

/// Tells of every sum of a product and its bias above `floor`. Most groups hold none: they cost no branch.
fn above(products: &[f32], biases: &[f32], floor: f32, mut tell: impl FnMut(usize, f32)) {
    const VALUES_PER_CHECK: usize = 32;
    let groups = products.chunks(VALUES_PER_CHECK).zip(biases.chunks(VALUES_PER_CHECK));
    for (group, (products, biases)) in groups.enumerate() {
        let sums = products.iter().zip(biases).map(|(p, b)| p + b);
        let mut any = false;
        for sum in sums.clone() {
            any |= sum > floor;
        }
        if any {
            let kept = sums.enumerate().filter(|(_, sum)| *sum > floor);
            kept.for_each(|(at, sum)| tell(group * VALUES_PER_CHECK + at, sum));
        }
    }
}

/// Keeps the `count` largest positive activations. `guess` only saves work: candidates below it are looked at only when
/// there are too few above.
pub fn select(rows: View<'_>, encoder: View<'_>, bias: &[f32], count: usize, guess: f32) -> Kept {
    let mut found = candidates(rows, encoder, bias, guess.max(0.0));
    if found.len() < count && guess > 0.0 {
        found = candidates(rows, encoder, bias, 0.0);
    }
    let mut floor = None;
    if found.len() >= count && count > 0 {
        let (_, last, _) = found.select_nth_unstable_by(count - 1, rank);
        floor = Some(last.value);
        found.truncate(count);
    }
    arrange(found, rows.rows(), encoder.rows(), floor)
}

fn arrange(mut found: Vec<Active>, rows: usize, width: usize, floor: Option<f32>) -> Kept {
    found.sort_unstable_by_key(|a| (a.row, a.latent));
    let row_starts = starts(found.iter().map(|a| a.row as usize), rows);
    let latent_starts = starts(found.iter().map(|a| a.latent as usize), width);
    let mut next = latent_starts.clone();
    let mut by_latent = found.clone();
    for active in &found {
        let place = &mut next[active.latent as usize];
        by_latent[*place] = *active;
        *place += 1;
    }
    Kept { by_row: found, row_starts, by_latent, latent_starts, floor }
}

/// Where each of `count` groups starts once sorted; one more entry than groups.
fn starts(groups: impl Iterator<Item = usize>, count: usize) -> Vec<usize> {
    let mut out = vec![0; count + 1];
    for group in groups {
        out[group + 1] += 1;
    }
    for at in 0..count {
        out[at + 1] += out[at];
    }
    out
}

impl Kept {
    pub fn row(&self, row: usize) -> &[Active] {
        &self.by_row[self.row_starts[row]..self.row_starts[row + 1]]
    }

    pub fn latent(&self, latent: usize) -> &[Active] {
        &self.by_latent[self.latent_starts[latent]..self.latent_starts[latent + 1]]
    }
}
