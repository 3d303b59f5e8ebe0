//! The norms of the families: LayerNorm and RMSNorm.
//! Not here: which of them a model has where.

mod slope;

use candle_core::{D, Device, Tensor};
use rayon::prelude::*;

use super::Error;
use super::graph;
use super::layers::{Vector, untracked};
use super::lend::lend;
use super::weight_loader::WeightLoader;
use crate::kernel::maps;
use crate::weights::Array;

/// Values that one thread norms at a time: fewer cost less than waking another.
const NORMED: usize = 1 << 15;

/// How all norms of a model are computed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Norms {
    pub(super) kind: Kind,
    pub(super) epsilon: f32,
}

/// Which norm it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// With `.weight` and `.bias`.
    Layer,
    /// With `.weight` alone.
    Rms,
    /// RMSNorm whose file holds the gain less 1.
    RmsLessOne,
}

/// A norm over the last dimension.
#[derive(Debug)]
pub(super) struct Norm {
    gain: Vector,
    /// LayerNorm has one, RMSNorm has none.
    bias: Option<Vector>,
    epsilon: f32,
}

impl Norms {
    /// The norm of this name.
    pub(super) fn read(self, parts: &WeightLoader, name: &str, size: usize) -> Result<Norm, Error> {
        let bias = match self.kind {
            Kind::Layer => Some(parts.vector(&format!("{name}.bias"), size)?),
            Kind::Rms | Kind::RmsLessOne => None,
        };
        Ok(Norm { gain: parts.place(self.gain(parts, name, size)?)?, bias, epsilon: self.epsilon })
    }

    /// What the norm of this name multiplies by.
    pub(super) fn gain(self, parts: &WeightLoader, name: &str, size: usize) -> Result<Array, Error> {
        let stored = parts.array(&format!("{name}.weight"), &[size])?;
        Ok(match self.kind {
            Kind::Layer | Kind::Rms => stored,
            Kind::RmsLessOne => Array::owned(stored.iter().map(|value| 1.0 + value).collect::<Vec<_>>(), &[size]),
        })
    }

    /// Whether the mean is taken out.
    pub(super) fn centred(self) -> bool {
        self.kind == Kind::Layer
    }
}

impl Norm {
    /// Its bias, [1, size], where it has one.
    pub(super) fn bias(&self) -> candle_core::Result<Option<Tensor>> {
        self.bias.as_ref().map(Vector::row).transpose()
    }

    /// What it multiplies by.
    pub(super) fn gain(&self) -> candle_core::Result<Vec<f32>> {
        self.gain.row()?.flatten_all()?.to_vec1()
    }

    /// What it divides a row by: the root of its variance (LayerNorm) or mean square (RMSNorm), with epsilon, in f64.
    pub(super) fn scale(&self, row: &[f32]) -> f64 {
        let count = row.len().max(1) as f64;
        let wide = || row.iter().map(|value| f64::from(*value));
        let mean = if self.bias.is_some() { wide().sum::<f64>() / count } else { 0.0 };
        let square = wide().map(|value| (value - mean).powi(2)).sum::<f64>() / count;
        (square + f64::from(self.epsilon)).sqrt()
    }

    /// Every group of `x`, [rows, groups · size], by itself; as many values as the norm has are a group.
    pub(super) fn groups(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        let (rows, width) = x.dims2()?;
        let size = self.gain.len().max(1);
        self.forward(&x.reshape((rows * (width / size), size))?)?.reshape((rows, width))
    }

    /// [rows, size] to the same.
    pub(super) fn forward(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        match (&self.gain, &self.bias) {
            (Vector::Mapped(gain), None) => rows(x, gain.len(), |row| maps::rms_norm(row, gain, self.epsilon)),
            (Vector::Mapped(gain), Some(Vector::Mapped(bias))) => {
                rows(x, gain.len(), |row| maps::layer_norm(row, gain, bias, self.epsilon))
            }
            (Vector::OnDevice(gain), bias) if graph::wanted(x) => {
                let values = |of: &Tensor| of.flatten_all()?.to_vec1();
                let bias = match bias {
                    Some(Vector::OnDevice(bias)) => Some(values(bias)?),
                    Some(Vector::Mapped(bias)) => Some(bias.to_vec()),
                    None => None,
                };
                x.contiguous()?.apply_op1(slope::Slope { gain: values(gain)?, bias, epsilon: self.epsilon })
            }
            _ => self.by_candle(x),
        }
    }

    /// The same by operations that every device has.
    fn by_candle(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        match (&self.gain, &self.bias) {
            (Vector::OnDevice(gain), None) => self.scaled(x)?.broadcast_mul(gain),
            (Vector::OnDevice(gain), Some(Vector::OnDevice(bias))) => {
                let centred = x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?;
                self.scaled(&centred)?.broadcast_mul(gain)?.broadcast_add(bias)
            }
            _ => candle_core::bail!("gain and bias on different devices"),
        }
    }
}

impl Norm {
    /// Rows over the root of their mean square, by operations that every device has. candle's own norms take the
    /// variance as a difference of two sums, which loses digits where the mean is large.
    fn scaled(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        let square = x.sqr()?.mean_keepdim(D::Minus1)?;
        x.broadcast_div(&(square + f64::from(self.epsilon))?.sqrt()?)
    }
}

/// `norm` of every row.
fn rows(x: &Tensor, size: usize, norm: impl Fn(&mut [f32]) + Sync) -> candle_core::Result<Tensor> {
    untracked(x)?;
    let mut out = lend(x, <[f32]>::to_vec)?;
    let some = |rows: &mut [f32]| rows.chunks_exact_mut(size).for_each(&norm);
    if out.len() <= NORMED {
        some(&mut out);
    } else {
        out.par_chunks_mut(NORMED.next_multiple_of(size)).for_each(some);
    }
    Tensor::from_vec(out, x.shape(), &Device::Cpu)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn norms_over_many_threads_are_those_of_the_device_path() {
        let values = |count: usize, seed: usize| -> Vec<f32> {
            (0..count).map(|i| ((i * 7919 + seed * 104_729) % 2003) as f32 / 500.0 - 2.0).collect()
        };
        let x = Tensor::from_vec(values(300 * 130, 1), (300, 130), &Device::Cpu).unwrap();
        let vector = |seed, device| Vector::new(Array::owned(values(130, seed), &[130]), device).unwrap();
        for biased in [false, true] {
            let norm =
                |device| Norm { gain: vector(2, device), bias: biased.then(|| vector(3, device)), epsilon: 1e-5 };
            let (got, want) = (norm(None).forward(&x).unwrap(), norm(Some(&Device::Cpu)).forward(&x).unwrap());
            let error = (got - want).unwrap().abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
            assert!(error < 2e-5, "{error}");
        }
    }
}
