//! Attention of branches: alternatives of the same positions that share the keys and values of all positions in front.
//! Not here: what a branch is (`model::fan`).
//!
//! On the CPU each branch gets the bits that it would get alone: every element is one chain of multiply-adds by rising
//! position, first through the shared ones, then through the branch's own.

use std::ops::Range;

use candle_core::{D, Device, Tensor};
use rayon::prelude::*;

use super::Attention;
use crate::kernel::{self, View};
use crate::model::lend::lend_rows;

/// Queries, keys and values of all branches, branch after branch, and those of the shared positions.
#[derive(Clone, Copy)]
struct Sides<'a> {
    q: View<'a>,
    k: View<'a>,
    v: View<'a>,
    shared: Option<(View<'a>, View<'a>)>,
    branches: usize,
}

impl Attention {
    /// Queries, [branches · positions, heads · size], and the keys and values of the same rows, [branches · positions,
    /// kv_heads · size], branch after branch; `shared` are the keys and values of the positions in front of each branch,
    /// [positions in front, kv_heads · size]. Gives the mixed values, like the queries.
    pub(in crate::model) fn fan(
        &self,
        (q, k, v): (&Tensor, &Tensor, &Tensor),
        shared: Option<&(Tensor, Tensor)>,
        branches: usize,
    ) -> candle_core::Result<Tensor> {
        let (rows, width) = q.dims2()?;
        let kv_width = self.kv_heads * self.size;
        let alike = shared.is_none_or(|(k, v)| k.dims() == v.dims() && k.dim(1).ok() == Some(kv_width));
        let fits = width == self.heads * self.size && k.dims() == [rows, kv_width] && v.dims() == k.dims();
        if !alike || !fits || branches == 0 || !rows.is_multiple_of(branches) {
            candle_core::bail!("queries, keys, values {:?} of {branches} branches for {self:?}", (q.dims(), k.dims()));
        }
        if !q.device().is_cpu() {
            return self.fan_on_device((q, k, v), shared, branches);
        }
        let of = |shared: Option<(View<'_>, View<'_>)>| {
            let all =
                |q: View<'_>| lend_rows(k, |k| lend_rows(v, |v| self.fan_on_cpu(Sides { q, k, v, shared, branches })));
            lend_rows(q, all)??
        };
        let out = match shared {
            None => of(None)?,
            Some((keys, values)) => lend_rows(keys, |k| lend_rows(values, |v| of(Some((k, v)))))???,
        };
        Tensor::from_vec(out, (rows, width), &Device::Cpu)
    }

    fn fan_on_cpu(&self, sides: Sides<'_>) -> Vec<f32> {
        let (rows, width) = (sides.q.rows(), sides.q.cols());
        let mut out = vec![0.0; rows * width];
        let heads = kernel::columns_of(&mut out, width, self.size);
        heads.into_par_iter().enumerate().for_each(|(head, mut out)| self.mix_head(sides, head, &mut out));
        out
    }

    /// One head of all branches; a row of the result in each slice.
    fn mix_head(&self, sides: Sides<'_>, head: usize, out: &mut [&mut [f32]]) {
        let Sides { q, k, v, shared, branches } = sides;
        let (before, own) = (shared.map_or(0, |(k, _)| k.rows()), q.rows() / branches);
        let (queries, here) = (q.columns(head * self.size..(head + 1) * self.size), self.shared(head));
        // As far back as the first of the positions sees.
        let seen = self.first_seen(before).min(before)..before;
        let row = seen.len() + own;
        let mut scores = vec![0.0; q.rows() * row];
        let of_branch = |branch: usize| branch * own..(branch + 1) * own;
        if let Some((keys, _)) = shared {
            let mut front: Vec<&mut [f32]> = scores.chunks_exact_mut(row).map(|row| &mut row[..seen.len()]).collect();
            kernel::product_into(&mut front, queries, keys.select_rows(seen.clone()).columns(here.clone()).t());
        }
        for (branch, scores) in scores.chunks_exact_mut(own * row).enumerate() {
            let rows = of_branch(branch);
            let mut back: Vec<&mut [f32]> = scores.chunks_exact_mut(row).map(|row| &mut row[seen.len()..]).collect();
            let keys = k.select_rows(rows.clone()).columns(here.clone()).t();
            kernel::product_into(&mut back, queries.select_rows(rows), keys);
        }
        for (at, scores) in scores.chunks_exact_mut(row).enumerate() {
            let position = before + at % own;
            self.weigh(scores, self.first_seen(position) - seen.start, position + 1 - seen.start);
        }
        let weights = View::new(&scores, q.rows(), row);
        if let Some((_, values)) = shared {
            let values = values.select_rows(seen.clone()).columns(here.clone());
            kernel::product_into(out, weights.columns(0..seen.len()), values);
        }
        for (branch, out) in out.chunks_mut(own).enumerate() {
            let rows: Range<usize> = of_branch(branch);
            let values = v.select_rows(rows.clone()).columns(here.clone());
            kernel::add_product(out, weights.select_rows(rows).columns(seen.len()..row), values);
        }
    }

    /// The same by operations that every device has.
    fn fan_on_device(
        &self,
        (q, k, v): (&Tensor, &Tensor, &Tensor),
        shared: Option<&(Tensor, Tensor)>,
        branches: usize,
    ) -> candle_core::Result<Tensor> {
        let own = q.dim(0)? / branches;
        let (kv, group, size) = (self.kv_heads, self.heads / self.kv_heads, self.size);
        // [branches, kv_heads, group · own, size] and [branches, kv_heads, own, size].
        let queries = q.reshape((branches, own, kv, group, size))?.permute((0, 2, 3, 1, 4))?.contiguous()?;
        let queries = queries.reshape((branches, kv, group * own, size))?;
        let split = |x: &Tensor| x.reshape((branches, own, kv, size))?.transpose(1, 2)?.contiguous();
        let (keys, values) = (split(k)?, split(v)?);
        let mut scores = queries.matmul(&keys.t()?)?;
        // All branches' queries of a head meet its shared keys together: [kv_heads, branches · group · own, …].
        let together =
            |x: &Tensor, last: usize| x.transpose(0, 1)?.contiguous()?.reshape((kv, branches * group * own, last));
        let apart =
            |x: &Tensor, last: usize| x.reshape((kv, branches, group * own, last))?.transpose(0, 1)?.contiguous();
        let before = shared.map_or(Ok(0), |(keys, _)| keys.dim(0))?;
        if let Some((keys, _)) = shared {
            let front = together(&queries, size)?.matmul(&self.split(keys)?.t()?)?;
            scores = Tensor::cat(&[apart(&front, before)?, scores], D::Minus1)?;
        }
        scores = (scores * f64::from(self.scale))?;
        if let Some(cap) = self.cap {
            scores = ((scores / f64::from(cap))?.tanh()? * f64::from(cap))?;
        }
        let all = before + own;
        if let Some(mask) = self.mask(own, all) {
            let mask = Tensor::from_vec(mask, (1, 1, own, all), scores.device())?;
            let grouped = scores.reshape((branches, kv * group, own, all))?.broadcast_add(&mask)?;
            scores = grouped.reshape((branches, kv, group * own, all))?;
        }
        let weights = candle_nn::ops::softmax(&scores, D::Minus1)?;
        let back = weights.narrow(D::Minus1, before, own)?.contiguous()?;
        let mut mixed = back.matmul(&values)?;
        if let Some((_, values)) = shared {
            let front = together(&weights.narrow(D::Minus1, 0, before)?, before)?.matmul(&self.split(values)?)?;
            mixed = (mixed + apart(&front, size)?)?;
        }
        let mixed = mixed.reshape((branches, kv, group, own, size))?.permute((0, 3, 1, 2, 4))?.contiguous()?;
        mixed.reshape((branches * own, self.heads * size))
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

    #[test]
    fn each_branch_gets_the_bits_that_it_gets_alone_and_the_device_path_its_numbers() {
        let plain = Attention { heads: 6, kv_heads: 6, size: 8, scale: 0.7, cap: None, window: None };
        let kinds = [
            plain,
            Attention { kv_heads: 2, ..plain },
            Attention { kv_heads: 3, window: Some(1), ..plain },
            Attention { kv_heads: 3, window: Some(4), cap: Some(2.0), ..plain },
            Attention { window: Some(70), ..plain },
        ];
        for kind in kinds {
            for (before, own, branches) in [(0, 1, 3), (0, 5, 2), (90, 1, 7), (3, 6, 4), (200, 70, 2)] {
                let kv = kind.kv_heads * kind.size;
                let (q, k, v) =
                    (tensor(branches * own, 48, 1), tensor(branches * own, kv, 2), tensor(branches * own, kv, 3));
                let front = (before > 0).then(|| (tensor(before, kv, 4), tensor(before, kv, 5)));
                let fan = kind.fan((&q, &k, &v), front.as_ref(), branches).unwrap();
                let device = kind.fan_on_device((&q, &k, &v), front.as_ref(), branches).unwrap();
                let error = (&fan - device).unwrap().abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
                assert!(error < 2e-5, "{kind:?} {before} {own} {branches}: {error}");
                for branch in 0..branches {
                    let rows = |x: &Tensor| x.narrow(0, branch * own, own).unwrap();
                    let with = |front: Option<&Tensor>, x: &Tensor| match front {
                        None => rows(x),
                        Some(front) => Tensor::cat(&[front, &rows(x)], 0).unwrap(),
                    };
                    let keys = with(front.as_ref().map(|(k, _)| k), &k);
                    let values = with(front.as_ref().map(|(_, v)| v), &v);
                    let alone = kind.forward(&rows(&q), &keys, &values).unwrap();
                    let got: Vec<Vec<f32>> = rows(&fan).to_vec2().unwrap();
                    assert_eq!(got, alone.to_vec2::<f32>().unwrap(), "{kind:?} {before} {own} branch {branch}");
                }
            }
        }
    }

    #[test]
    fn shapes_that_do_not_fit_are_refused() {
        let kind = Attention { heads: 2, kv_heads: 1, size: 4, scale: 1.0, cap: None, window: None };
        let (q, k) = (tensor(6, 8, 1), tensor(6, 4, 2));
        assert!(kind.fan((&q, &k, &k), None, 4).is_err(), "6 rows of 4 branches");
        assert!(kind.fan((&q, &k, &k), None, 0).is_err());
        assert!(kind.fan((&q, &q, &k), None, 2).is_err());
        let front = (tensor(3, 5, 1), tensor(3, 5, 1));
        assert!(kind.fan((&q, &k, &k), Some(&front), 2).is_err());
    }
}
