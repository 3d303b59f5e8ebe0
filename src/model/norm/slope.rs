//! Norms that gradients go through, on the CPU, by this program's own arithmetic. Not here: norms without gradients.

use candle_core::{CpuStorage, CustomOp1, Device, Layout, Shape, Tensor};

use crate::kernel::maps;
use crate::model::graph;
use crate::model::lend::lend;

/// A norm whose weights stay as they are.
pub(super) struct Slope {
    pub(super) gain: Vec<f32>,
    /// LayerNorm has one.
    pub(super) bias: Option<Vec<f32>>,
    pub(super) epsilon: f32,
}

impl CustomOp1 for Slope {
    fn name(&self) -> &'static str {
        "norm with constant weights"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        let mut out = graph::values(storage, layout)?.to_vec();
        for row in out.chunks_exact_mut(self.gain.len().max(1)) {
            match &self.bias {
                Some(bias) => maps::layer_norm(row, &self.gain, bias, self.epsilon),
                None => maps::rms_norm(row, &self.gain, self.epsilon),
            }
        }
        Ok((CpuStorage::F32(out), layout.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, gradient: &Tensor) -> candle_core::Result<Option<Tensor>> {
        let size = self.gain.len().max(1);
        let all = |x: &[f32], gradient: &[f32]| -> Vec<f32> {
            let rows = x.chunks_exact(size).zip(gradient.chunks_exact(size));
            rows.flat_map(|(x, gradient)| self.back(x, gradient)).collect()
        };
        let back = lend(x, |x| lend(gradient, |gradient| all(x, gradient)))??;
        Tensor::from_vec(back, x.shape(), &Device::Cpu).map(Some)
    }
}

impl Slope {
    /// (g − mean g − n·mean(g ∘ n)) / s with g the gradient times the gain, n the normed row and s its scale; RMSNorm
    /// takes no mean out.
    fn back(&self, x: &[f32], gradient: &[f32]) -> Vec<f32> {
        let count = x.len().max(1) as f64;
        let wide = || x.iter().map(|value| f64::from(*value));
        let mean = if self.bias.is_some() { wide().sum::<f64>() / count } else { 0.0 };
        let square = wide().map(|value| (value - mean).powi(2)).sum::<f64>() / count;
        let scale = (square + f64::from(self.epsilon)).sqrt();
        let scaled = |(gradient, gain): (&f32, &f32)| f64::from(*gradient) * f64::from(*gain);
        let scaled: Vec<f64> = gradient.iter().zip(&self.gain).map(scaled).collect();
        let along = scaled.iter().zip(wide()).map(|(g, x)| g * (x - mean) / scale).sum::<f64>() / count;
        let taken = if self.bias.is_some() { scaled.iter().sum::<f64>() / count } else { 0.0 };
        let one = |(g, x): (&f64, f64)| ((g - taken - (x - mean) / scale * along) / scale) as f32;
        scaled.iter().zip(wide()).map(one).collect()
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Var;

    use super::*;
    use crate::model::graph::tests::{same, some};
    use crate::model::norm::{Norm, Vector};

    #[test]
    fn a_norm_and_its_gradient_are_those_of_candles_own_operations() {
        let x = Var::from_tensor(&some(9, 24, 1)).unwrap();
        let (gain, bias) = (some(1, 24, 2).flatten_all().unwrap(), some(1, 24, 3).flatten_all().unwrap());
        for bias in [None, Some(bias)] {
            let values = |of: &Tensor| of.to_vec1::<f32>().unwrap();
            let own = Slope { gain: values(&gain), bias: bias.as_ref().map(values), epsilon: 1e-5 };
            let own = x.apply_op1(own).unwrap();
            let vector = |of: &Tensor| Vector::OnDevice(of.clone());
            let norm = Norm { gain: vector(&gain), bias: bias.as_ref().map(vector), epsilon: 1e-5 };
            same(&format!("{}", bias.is_some()), &x, &own, &norm.by_candle(&x).unwrap());
        }
    }
}
