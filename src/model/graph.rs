//! Linear maps that gradients go through, on the CPU: their weights stay as they are, and no gradient is computed of
//! these, as candle's own operations do.
//! Not here: attention and norms, which have their own (`attention/slope.rs`, `norm/slope.rs`).

use std::sync::OnceLock;

use candle_core::{CpuStorage, CustomOp1, Device, Layout, Shape, Tensor};

use super::activation::Activation;
use super::lend::lend;
use crate::kernel::{self, View};

/// Whether somebody wants gradients of what is computed from a tensor on the CPU.
pub(super) fn wanted(x: &Tensor) -> bool {
    x.track_op() && x.device().is_cpu()
}

/// The values of a contiguous tensor on the CPU.
pub(super) fn values<'a>(storage: &'a CpuStorage, layout: &Layout) -> candle_core::Result<&'a [f32]> {
    match (storage, layout.contiguous_offsets()) {
        (CpuStorage::F32(values), Some((start, end))) => Ok(&values[start..end]),
        _ => candle_core::bail!("expected contiguous f32 values on the CPU"),
    }
}

/// The slope of a function of single values.
type Slope = fn(f32) -> f32;

/// A linear map whose weights stay as they are, with the function that follows it, if its slope is known.
pub(super) struct Affine {
    /// [inputs, outputs], or the other way round where it is transposed; f32.
    weight: Tensor,
    transposed: bool,
    bias: Option<Vec<f32>>,
    activation: Option<(Activation, Slope)>,
    /// The slopes of the function at what it was given: every pass back needs them.
    slopes: OnceLock<Vec<f32>>,
}

impl Affine {
    /// x · W + b, or x · Wᵀ + b where it is transposed, and the function.
    pub(super) fn apply(
        x: &Tensor,
        (weight, transposed): (&Tensor, bool),
        bias: Option<&Tensor>,
        activation: Option<Activation>,
    ) -> candle_core::Result<Tensor> {
        let with_slope = activation.and_then(|activation| Some((activation, activation.slope()?)));
        let this = Self {
            weight: weight.contiguous()?,
            transposed,
            bias: bias.map(|bias| bias.flatten_all()?.to_vec1()).transpose()?,
            activation: with_slope,
            slopes: OnceLock::new(),
        };
        let out = x.contiguous()?.apply_op1(this)?;
        match activation {
            Some(activation) if with_slope.is_none() => activation.on_device(&out),
            _ => Ok(out),
        }
    }

    /// Rows times the matrix, or its transpose.
    fn product(&self, rows: View<'_>, transposed: bool) -> candle_core::Result<Vec<f32>> {
        let (first, second) = self.weight.dims2()?;
        let (inner, outputs) = if transposed { (second, first) } else { (first, second) };
        if rows.cols() != inner {
            candle_core::bail!("{} values for a layer of {inner} inputs", rows.cols());
        }
        let mut out = vec![0.0; rows.rows() * outputs];
        lend(&self.weight, |weight| {
            let weight = View::new(weight, first, second);
            kernel::product_parallel(&mut out, rows, if transposed { weight.t() } else { weight });
        })?;
        Ok(out)
    }
}

impl CustomOp1 for Affine {
    fn name(&self) -> &'static str {
        "linear map with constant weights"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        let (rows, cols) = layout.shape().dims2()?;
        let mut out = self.product(View::new(values(storage, layout)?, rows, cols), self.transposed)?;
        let outputs = out.len() / rows.max(1);
        if let Some(bias) = &self.bias {
            for row in out.chunks_exact_mut(outputs.max(1)) {
                row.iter_mut().zip(bias).for_each(|(value, bias)| *value += bias);
            }
        }
        if let Some((activation, slope)) = self.activation {
            self.slopes.get_or_init(|| out.iter().map(|value| slope(*value)).collect());
            activation.apply(&mut out);
        }
        Ok((CpuStorage::F32(out), (rows, outputs).into()))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, gradient: &Tensor) -> candle_core::Result<Option<Tensor>> {
        let (rows, cols) = gradient.dims2()?;
        let back = lend(gradient, |gradient| match self.slopes.get() {
            Some(slopes) => {
                let before: Vec<f32> = gradient.iter().zip(slopes).map(|(value, slope)| value * slope).collect();
                self.product(View::new(&before, rows, cols), !self.transposed)
            }
            None => self.product(View::new(gradient, rows, cols), !self.transposed),
        })??;
        Tensor::from_vec(back, x.shape(), &Device::Cpu).map(Some)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use candle_core::Var;

    use super::*;

    /// Values between −2 and 2 that look like nothing.
    pub(in crate::model) fn some(rows: usize, cols: usize, seed: u32) -> Tensor {
        let value = |i: u32| ((i.wrapping_mul(2_654_435_761) ^ seed.wrapping_mul(40_503)) >> 8) as f32 / 4.2e6 - 2.0;
        Tensor::from_iter((0..(rows * cols) as u32).map(value), &Device::Cpu).unwrap().reshape((rows, cols)).unwrap()
    }

    /// Holds values, and gradients of a sum of them weighted differently, by `x`.
    pub(in crate::model) fn same(what: &str, x: &Var, own: &Tensor, candle: &Tensor) {
        let (rows, cols) = own.dims2().unwrap();
        let gradient = |y: &Tensor| {
            let sum = (y * some(rows, cols, 77)).unwrap().sum_all().unwrap();
            sum.backward().unwrap().get(x).unwrap().clone()
        };
        for (own, candle) in [(own.clone(), candle.clone()), (gradient(own), gradient(candle))] {
            let largest = |x: &Tensor| x.abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
            let off = largest(&(own - &candle).unwrap());
            assert!(off <= 2e-5 * largest(&candle).max(1.0), "{what}: off by {off} of {}", largest(&candle));
        }
    }

    #[test]
    fn values_and_gradients_are_those_of_candles_own_operations() {
        let x = Var::from_tensor(&some(17, 40, 1)).unwrap();
        let bias = some(1, 33, 4).flatten_all().unwrap();
        for (weight, transposed) in [(some(40, 33, 2), false), (some(33, 40, 3), true)] {
            let weight = (weight * 0.1).unwrap();
            let times = x.matmul(&if transposed { weight.t().unwrap() } else { weight.clone() }).unwrap();
            let plain = Affine::apply(&x, (&weight, transposed), None, None).unwrap();
            same("product", &x, &plain, &times);
            let sum = times.broadcast_add(&bias).unwrap();
            for name in ["gelu_new", "gelu", "silu", "quick_gelu", "relu", "relu2", "linear", "sigmoid", "tanh"] {
                let activation = Activation::named(name).unwrap();
                let own = Affine::apply(&x, (&weight, transposed), Some(&bias), Some(activation)).unwrap();
                same(name, &x, &own, &activation.on_device(&sum).unwrap());
            }
        }
        assert!(Affine::apply(&x, (&some(39, 3, 5), false), None, None).is_err());
    }
}
