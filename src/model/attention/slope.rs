//! Attention that gradients go through, on the CPU, by this program's own products. Not here: attention without gradients.

use std::ops::Range;
use std::sync::OnceLock;

use candle_core::{CpuStorage, CustomOp3, Device, Layout, Shape, Tensor};

use super::Attention;
use crate::kernel::{self, View};
use crate::model::graph;
use crate::model::lend::lend;

/// Attention of queries that stand at the last of the positions.
struct Slope {
    attention: Attention,
    /// For each head what it takes from each position, and from which on: every pass back needs it.
    weights: OnceLock<Vec<(Range<usize>, Vec<f32>)>>,
}

/// Gradients by queries, keys and values.
struct Back {
    queries: Vec<f32>,
    keys: Vec<f32>,
    values: Vec<f32>,
}

impl Attention {
    /// As [`Attention::forward`], with gradients.
    pub(super) fn tracked(&self, queries: &Tensor, keys: &Tensor, values: &Tensor) -> candle_core::Result<Tensor> {
        queries.contiguous()?.apply_op3(
            &keys.contiguous()?,
            &values.contiguous()?,
            Slope { attention: *self, weights: OnceLock::new() },
        )
    }

    /// What a gradient of what is mixed is by queries, keys and values.
    fn back(
        &self,
        weights: &[(Range<usize>, Vec<f32>)],
        (q, k, v): (View<'_>, View<'_>, View<'_>),
        gradient: View<'_>,
    ) -> Back {
        let (new, positions) = (q.rows(), k.rows());
        let mut back = Back {
            queries: vec![0.0; new * q.cols()],
            keys: vec![0.0; positions * k.cols()],
            values: vec![0.0; positions * v.cols()],
        };
        for (head, (seen, weights)) in weights.iter().enumerate() {
            let seen = seen.clone();
            let own = head * self.size..(head + 1) * self.size;
            let shared = self.shared(head);
            let (k, v) = (
                k.select_rows(seen.clone()).columns(shared.clone()),
                v.select_rows(seen.clone()).columns(shared.clone()),
            );
            let (q, gradient) = (q.columns(own.clone()), gradient.columns(own.clone()));
            let weighed = View::new(weights, new, seen.len());
            let mut by_weights = vec![0.0; weights.len()];
            kernel::product(&mut by_weights, gradient, v.t());
            let scores = self.by_scores(q, k, weights, by_weights);
            let by_scores = View::new(&scores, new, seen.len());
            add(&mut back.values, v.cols(), (seen.clone(), shared.clone()), (weighed.t(), gradient), self.kv_heads);
            add(&mut back.queries, self.size, (0..new, own), (by_scores, k), self.heads);
            add(&mut back.keys, self.size, (seen, shared), (by_scores.t(), q), self.kv_heads);
        }
        back
    }

    /// The gradient by q·k of one by its weights.
    fn by_scores(&self, q: View<'_>, k: View<'_>, weights: &[f32], mut gradient: Vec<f32>) -> Vec<f32> {
        let seen = k.rows().max(1);
        for (weights, row) in weights.chunks_exact(seen).zip(gradient.chunks_exact_mut(seen)) {
            let both = weights.iter().zip(row.iter());
            let mean = both.map(|(weight, value)| f64::from(*weight) * f64::from(*value)).sum::<f64>() as f32;
            row.iter_mut().zip(weights).for_each(|(value, weight)| *value = weight * (*value - mean) * self.scale);
        }
        if let Some(cap) = self.cap {
            let mut raw = vec![0.0; gradient.len()];
            kernel::product(&mut raw, q, k.t());
            let slope = |raw: f32| 1.0 - (raw * self.scale / cap).tanh().powi(2);
            gradient.iter_mut().zip(raw).for_each(|(value, raw)| *value *= slope(raw));
        }
        gradient
    }
}

/// Adds a product to a part of a matrix that has so many heads side by side.
fn add(
    to: &mut [f32],
    size: usize,
    (rows, columns): (Range<usize>, Range<usize>),
    (a, b): (View<'_>, View<'_>),
    heads: usize,
) {
    let mut product = vec![0.0; rows.len() * size];
    kernel::product(&mut product, a, b);
    let width = heads * size;
    for (row, values) in rows.zip(product.chunks_exact(size)) {
        let to = &mut to[row * width..(row + 1) * width][columns.clone()];
        to.iter_mut().zip(values).for_each(|(to, value)| *to += value);
    }
}

impl CustomOp3 for Slope {
    fn name(&self) -> &'static str {
        "attention"
    }

    fn cpu_fwd(
        &self,
        queries: &CpuStorage,
        of_queries: &Layout,
        keys: &CpuStorage,
        of_keys: &Layout,
        values: &CpuStorage,
        of_values: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let view = |storage, layout: &Layout| -> candle_core::Result<View<'_>> {
            let (rows, cols) = layout.shape().dims2()?;
            Ok(View::new(graph::values(storage, layout)?, rows, cols))
        };
        let out = self.attention.on_cpu(view(queries, of_queries)?, view(keys, of_keys)?, view(values, of_values)?);
        Ok((CpuStorage::F32(out), of_queries.shape().clone()))
    }

    fn bwd(
        &self,
        queries: &Tensor,
        keys: &Tensor,
        values: &Tensor,
        _: &Tensor,
        gradient: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let ((new, width), (positions, kv_width)) = (queries.dims2()?, keys.dims2()?);
        let back = |q: &[f32], k: &[f32], v: &[f32], gradient: &[f32]| {
            let rows = |values| View::new(values, new, width);
            let shared = |values| View::new(values, positions, kv_width);
            let (q, k, v) = (rows(q), shared(k), shared(v));
            let all = || (0..self.attention.heads).map(|head| self.attention.weights_of(q, k, head, 0..new)).collect();
            self.attention.back(self.weights.get_or_init(all), (q, k, v), rows(gradient))
        };
        let with_values = |q: &[f32], k: &[f32], v: &[f32]| lend(gradient, |gradient| back(q, k, v, gradient));
        let back = lend(queries, |q| lend(keys, |k| lend(values, |v| with_values(q, k, v))))????;
        let tensor = |values, like: &Tensor| Tensor::from_vec(values, like.shape(), &Device::Cpu).map(Some);
        Ok((tensor(back.queries, queries)?, tensor(back.keys, keys)?, tensor(back.values, values)?))
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Var;

    use super::*;
    use crate::model::graph::tests::{same, some};

    #[test]
    fn attention_and_its_gradients_are_those_of_candles_own_operations() {
        let plain = Attention { heads: 6, kv_heads: 6, size: 8, scale: 0.4, cap: None, window: None };
        let kinds = [
            plain,
            Attention { kv_heads: 2, ..plain },
            Attention { window: Some(3), ..plain },
            Attention { kv_heads: 3, cap: Some(2.0), window: Some(9), ..plain },
        ];
        for kind in kinds {
            let var = |heads: usize, seed| Var::from_tensor(&some(14, heads * 8, seed)).unwrap();
            let (q, k, v) = (var(6, 1), var(kind.kv_heads, 2), var(kind.kv_heads, 3));
            let (own, candle) = (kind.tracked(&q, &k, &v).unwrap(), kind.on_device(&q, &k, &v).unwrap());
            for (name, by) in [("queries", &q), ("keys", &k), ("values", &v)] {
                same(&format!("{kind:?} {name}"), by, &own, &candle);
            }
        }
    }
}
