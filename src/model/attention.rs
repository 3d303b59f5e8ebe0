//! Causal attention: heads that may share keys and values, scores that may be capped, a window that may be bounded.
//! Not here: what turns the residual stream into queries, keys and values.

mod fan;
mod slope;

use std::ops::Range;

use candle_core::{D, Device, Tensor};
use rayon::prelude::*;

use super::layers::WIDENED;
use super::lend::lend_rows;
use crate::kernel::{self, View, maps};

/// Query positions that one thread attends with at a time, so that the scores of a long prompt stay small.
const QUERIES: usize = 64;

/// Multiplications of a block's attention from which it is shared out among threads.
const PARALLEL_MIN_FLOPS: usize = 1 << 14;

/// How the attention of one block is computed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attention {
    /// Heads that ask.
    pub(super) heads: usize,
    /// Heads that are asked, a divisor of `heads`: neighbouring heads share one (Ainslie et al., *GQA*, 2023).
    pub(super) kv_heads: usize,
    /// Values of a head.
    pub(super) size: usize,
    /// What the scores are multiplied by.
    pub(super) scale: f32,
    /// c of c · tanh(score / c).
    pub(super) cap: Option<f32>,
    /// How many positions are seen, the query's own among them; all where there is none.
    pub(super) window: Option<usize>,
}

impl Attention {
    /// The queries, [new, heads · size], stand at the last of the positions whose keys and values are given,
    /// [positions, kv_heads · size]. Gives the mixed values, heads side by side, like the queries.
    pub(super) fn forward(&self, queries: &Tensor, keys: &Tensor, values: &Tensor) -> candle_core::Result<Tensor> {
        let (new, width) = queries.dims2()?;
        let (positions, kv_width) = keys.dims2()?;
        let sizes = width == self.heads * self.size && kv_width == self.kv_heads * self.size;
        if !sizes || !self.heads.is_multiple_of(self.kv_heads) || keys.dims() != values.dims() || positions < new {
            let shapes = (queries.dims(), keys.dims(), values.dims());
            candle_core::bail!("queries, keys, values {shapes:?} for {self:?}");
        }
        if !queries.device().is_cpu() {
            return self.on_device(queries, keys, values);
        }
        if queries.track_op() || keys.track_op() || values.track_op() {
            return self.tracked(queries, keys, values);
        }
        let all = |q: View<'_>| lend_rows(keys, |k| lend_rows(values, |v| self.on_cpu(q, k, v)));
        let out = lend_rows(queries, all)???;
        Tensor::from_vec(out, (new, width), &Device::Cpu)
    }

    /// The first position that a query at `position` sees.
    fn first_seen(&self, position: usize) -> usize {
        self.window.map_or(0, |window| (position + 1).saturating_sub(window))
    }

    /// Queries, keys and values as [`Attention::forward`] has them.
    fn on_cpu(&self, q: View<'_>, k: View<'_>, v: View<'_>) -> Vec<f32> {
        let (new, width) = (q.rows(), q.cols());
        let mut out = vec![0.0; new * width];
        let mut parts = Vec::with_capacity(self.heads * new.div_ceil(QUERIES));
        for (first, out) in (0..).step_by(QUERIES).zip(out.chunks_mut(QUERIES * width)) {
            for (head, out) in kernel::columns_of(out, width, self.size).into_iter().enumerate() {
                parts.push((head, first..first + out.len(), out));
            }
        }
        let attend = |(head, rows, mut out): (usize, Range<usize>, Vec<&mut [f32]>)| {
            let (count, (seen, weights)) = (rows.len(), self.weights_of(q, k, head, rows));
            let values = v.select_rows(seen.clone()).columns(self.shared(head));
            kernel::product_into(&mut out, View::new(&weights, count, seen.len()), values);
        };
        if new * k.rows() * width < PARALLEL_MIN_FLOPS {
            parts.into_iter().for_each(attend);
        } else {
            parts.into_par_iter().for_each(attend);
        }
        out
    }

    /// Where a head's keys and values lie among the columns.
    fn shared(&self, head: usize) -> Range<usize> {
        let one = head / (self.heads / self.kv_heads);
        one * self.size..(one + 1) * self.size
    }

    /// How much a head takes from each position for some of the queries, [rows, seen], and which positions these are:
    /// as far back as the first of the queries sees, up to the last of them; the others' rows hold zeros beyond what
    /// they see.
    fn weights_of(&self, q: View<'_>, k: View<'_>, head: usize, rows: Range<usize>) -> (Range<usize>, Vec<f32>) {
        let before = k.rows() - q.rows();
        let seen = self.first_seen(before + rows.start)..before + rows.end;
        let mut scores = vec![0.0; rows.len() * seen.len()];
        let queries = q.select_rows(rows.clone()).columns(head * self.size..(head + 1) * self.size);
        kernel::product(&mut scores, queries, k.select_rows(seen.clone()).columns(self.shared(head)).t());
        for (position, scores) in (before + rows.start..).zip(scores.chunks_exact_mut(seen.len())) {
            self.weigh(scores, self.first_seen(position) - seen.start, position + 1 - seen.start);
        }
        (seen, scores)
    }

    /// How much each head takes from each position for each of the queries, f32 [heads, new, positions]; rows add up to
    /// 1. On the CPU the very weights that [`Attention::forward`] mixes with.
    pub(super) fn weights(&self, queries: &Tensor, keys: &Tensor) -> candle_core::Result<Tensor> {
        let (new, positions) = (queries.dim(0)?, keys.dim(0)?);
        if !queries.device().is_cpu() {
            return self.weights_on_device(queries, keys);
        }
        let all = |q: View<'_>, k: View<'_>| {
            let mut all = vec![0.0; self.heads * new * positions];
            for (place, row) in all.chunks_exact_mut(positions).enumerate() {
                let (head, query) = (place / new, place % new);
                let (seen, weights) = self.weights_of(q, k, head, query..query + 1);
                row[seen].copy_from_slice(&weights);
            }
            all
        };
        let all = lend_rows(queries, |q| lend_rows(keys, |k| all(q, k)))??;
        Tensor::from_vec(all, (self.heads, new, positions), &Device::Cpu)
    }

    /// Scores into weights: those within `first..end` add up to 1, the others are 0.
    fn weigh(&self, scores: &mut [f32], first: usize, end: usize) {
        let (before, scores) = scores.split_at_mut(first);
        before.fill(0.0);
        match self.cap {
            None => maps::softmax(scores, end - first, self.scale),
            Some(cap) => {
                maps::soft_cap(&mut scores[..end - first], self.scale, cap);
                maps::softmax(scores, end - first, 1.0);
            }
        }
    }

    /// As many queries at a time as keep the scores below `WIDENED` elements.
    fn on_device(&self, queries: &Tensor, keys: &Tensor, values: &Tensor) -> candle_core::Result<Tensor> {
        self.on_device_within(WIDENED, queries, keys, values)
    }

    fn on_device_within(
        &self,
        most: usize,
        queries: &Tensor,
        keys: &Tensor,
        values: &Tensor,
    ) -> candle_core::Result<Tensor> {
        let (new, positions) = (queries.dim(0)?, keys.dim(0)?);
        let at_once = (most / (self.heads * positions).max(1)).max(1);
        let (keys, values) = (self.split(keys)?, self.split(values)?);
        let part = |first: usize| {
            let rows = at_once.min(new - first);
            // As far as the last of these queries sees.
            let seen = positions - new + first + rows;
            let weights = self.weights_of_split(&queries.narrow(0, first, rows)?, &keys.narrow(1, 0, seen)?)?;
            let mixed = weights.matmul(&values.narrow(1, 0, seen)?.contiguous()?)?;
            self.joined(&mixed, rows)
        };
        let parts = (0..new).step_by(at_once).map(part).collect::<candle_core::Result<Vec<_>>>()?;
        match &parts[..] {
            [one] => Ok(one.clone()),
            parts => Tensor::cat(parts, 0),
        }
    }

    fn weights_on_device(&self, queries: &Tensor, keys: &Tensor) -> candle_core::Result<Tensor> {
        let (new, positions) = (queries.dim(0)?, keys.dim(0)?);
        self.weights_of_split(queries, &self.split(keys)?)?.reshape((self.heads, new, positions))
    }

    /// The weights of queries, [new, heads · size], at the last of the positions of the keys, [kv_heads, positions,
    /// size]: heads that share keys stand one after the other, [kv_heads, group · new, positions].
    fn weights_of_split(&self, queries: &Tensor, keys: &Tensor) -> candle_core::Result<Tensor> {
        let (new, positions) = (queries.dim(0)?, keys.dim(1)?);
        let group = self.heads / self.kv_heads;
        let queries = self.split(queries)?.reshape((self.kv_heads, group * new, self.size))?;
        let mut scores = (queries.matmul(&keys.contiguous()?.t()?)? * f64::from(self.scale))?;
        if let Some(cap) = self.cap {
            scores = ((scores / f64::from(cap))?.tanh()? * f64::from(cap))?;
        }
        if let Some(mask) = self.mask(new, positions) {
            let mask = Tensor::from_vec(mask, (1, new, positions), scores.device())?;
            scores = scores.reshape((self.heads, new, positions))?.broadcast_add(&mask)?;
        }
        let weights = candle_nn::ops::softmax(&scores, D::Minus1)?;
        weights.reshape((self.kv_heads, group * new, positions))
    }

    /// What keeps queries from positions that they do not see, [new, positions]; none where each sees all.
    fn mask(&self, new: usize, positions: usize) -> Option<Vec<f32>> {
        if new == 1 && self.first_seen(positions - 1) == 0 {
            return None;
        }
        let row = |query| {
            let seen = self.first_seen(query)..=query;
            (0..positions).map(move |key| if seen.contains(&key) { 0.0 } else { f32::NEG_INFINITY })
        };
        Some((positions - new..positions).flat_map(row).collect())
    }

    /// [rows, n · size] as [n, rows, size].
    fn split(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        x.reshape((x.dim(0)?, (), self.size))?.transpose(0, 1)?.contiguous()
    }

    /// [kv_heads, group · rows, size] as [rows, heads · size].
    fn joined(&self, mixed: &Tensor, rows: usize) -> candle_core::Result<Tensor> {
        mixed.reshape((self.heads, rows, self.size))?.transpose(0, 1)?.contiguous()?.flatten_from(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(rows: usize, cols: usize, seed: u32) -> Tensor {
        let values = (0..(rows * cols) as u32)
            .map(|i| ((i.wrapping_mul(2_654_435_761) ^ seed.wrapping_mul(40_503)) >> 8) as f32 / 4e6 - 2.0);
        Tensor::from_iter(values, &Device::Cpu).unwrap().reshape((rows, cols)).unwrap()
    }

    const PLAIN: Attention = Attention { heads: 6, kv_heads: 6, size: 8, scale: 0.7, cap: None, window: None };

    #[test]
    fn attention_over_many_threads_is_that_of_the_device_path() {
        let kinds = [
            PLAIN,
            Attention { kv_heads: 2, ..PLAIN },
            Attention { window: Some(1), ..PLAIN },
            Attention { kv_heads: 3, cap: Some(2.0), window: Some(70), ..PLAIN },
        ];
        for kind in kinds {
            for (new, positions) in [(1, 1), (130, 200), (200, 200), (1, 3000)] {
                let (k, v) = (tensor(positions, 8 * kind.kv_heads, 2), tensor(positions, 8 * kind.kv_heads, 3));
                let q = tensor(new, 48, 1);
                let (got, want) = (kind.forward(&q, &k, &v).unwrap(), kind.on_device(&q, &k, &v).unwrap());
                let error = (got - want).unwrap().abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
                assert!(error < 2e-5, "{kind:?} {error}");
                let cut = kind.on_device_within(new * positions, &q, &k, &v).unwrap();
                let error = (cut - kind.on_device(&q, &k, &v).unwrap()).unwrap().abs().unwrap();
                assert!(
                    error.max_all().unwrap().to_scalar::<f32>().unwrap() < 2e-5,
                    "{kind:?} a few queries at a time"
                );
            }
        }
    }

    #[test]
    fn a_query_gives_the_same_bits_whatever_queries_stand_beside_it() {
        let kind = Attention { kv_heads: 2, cap: Some(3.0), window: Some(37), ..PLAIN };
        let (q, k, v) = (tensor(150, 48, 1), tensor(150, 16, 2), tensor(150, 16, 3));
        let whole: Vec<Vec<f32>> = kind.forward(&q, &k, &v).unwrap().to_vec2().unwrap();
        for (start, count) in [(0, 1), (149, 1), (60, 90), (3, 70)] {
            let until = |x: &Tensor| x.narrow(0, 0, start + count).unwrap();
            let part = kind.forward(&q.narrow(0, start, count).unwrap(), &until(&k), &until(&v)).unwrap();
            assert_eq!(part.to_vec2::<f32>().unwrap(), whole[start..start + count]);
        }
    }

    #[test]
    fn the_weights_told_are_those_that_are_mixed_with() {
        let kinds = [
            PLAIN,
            Attention { kv_heads: 2, ..PLAIN },
            Attention { kv_heads: 3, cap: Some(2.0), window: Some(7), ..PLAIN },
        ];
        for kind in kinds {
            for (new, positions) in [(1, 1), (5, 90), (70, 70)] {
                let (k, v) = (tensor(positions, 8 * kind.kv_heads, 2), tensor(positions, 8 * kind.kv_heads, 3));
                let q = tensor(new, 48, 1);
                let weights = kind.weights(&q, &k).unwrap();
                assert_eq!(weights.dims(), [6, new, positions]);
                let grouped = weights.reshape((kind.kv_heads, (), positions)).unwrap();
                let mixed = grouped.matmul(&kind.split(&v).unwrap()).unwrap();
                let mixed = kind.joined(&mixed, new).unwrap();
                let wrong = [
                    (mixed - kind.forward(&q, &k, &v).unwrap()).unwrap(),
                    (&weights - kind.weights_on_device(&q, &k).unwrap()).unwrap(),
                    (weights.sum(D::Minus1).unwrap() - 1.0).unwrap(),
                ];
                for wrong in wrong {
                    let error = wrong.abs().unwrap().flatten_all().unwrap().max(0).unwrap().to_scalar::<f32>().unwrap();
                    assert!(error < 2e-5, "{kind:?} {error}");
                }
            }
        }
    }
}
