//! The pieces that models are made of: embeddings, and linear maps with their activation function.
//! On the CPU they read the mapped weights where they lie; on another device they use its tensors.
//! Not here: norms, attention, and how a model puts the pieces together.

use std::ops::Range;

use candle_core::{DType, Device, Tensor};
use rayon::prelude::*;

use super::activation::Activation;
use super::graph;
use super::lend::lend;
use crate::kernel::{self, Columns, View};
use crate::weights::{Array, Matrix, Narrow};

/// Elements of a matrix of half precision that a device makes f32 at a time: 256 MiB of them.
pub(super) const WIDENED: usize = 1 << 26;

/// Pairs of values that one thread goes through: more are shared out.
const PAIRED: usize = 1 << 16;

/// A vector of weights, where the device it is used on can read it.
#[derive(Clone, Debug)]
pub(super) enum Vector {
    /// On the CPU.
    Mapped(Array),
    /// On a device, or for candle's own operations.
    OnDevice(Tensor),
}

/// A matrix of weights, where the device it is used on can read it.
#[derive(Clone, Debug)]
pub(super) enum Weight {
    /// On the CPU, in the file's own memory map, in whatever element type the file has.
    Mapped(Matrix),
    /// On a device, or for candle's own operations: f32, or half precision as it is stored, which is made f32 for a
    /// product and let go of.
    OnDevice(Tensor),
    /// The same of eight bits: [rows, cols] of bytes, and the 256 values that they stand for. Not every device knows
    /// these types.
    Coded(Tensor, Tensor),
}

/// How a weight matrix lies in its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// [inputs, outputs], as GPT-2's `Conv1D` has it.
    InOut,
    /// [outputs, inputs], as a linear layer has it.
    OutIn,
}

impl Vector {
    pub(super) fn new(array: Array, device: Option<&Device>) -> candle_core::Result<Self> {
        match device {
            None => Ok(Self::Mapped(array)),
            Some(device) => Tensor::from_slice(&array, array.shape(), device).map(Self::OnDevice),
        }
    }

    /// How many values it has.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Mapped(values) => values.len(),
            Self::OnDevice(values) => values.elem_count(),
        }
    }

    /// As a tensor of one row.
    pub(super) fn row(&self) -> candle_core::Result<Tensor> {
        match self {
            Self::Mapped(values) => Tensor::from_slice(values, (1, values.len()), &Device::Cpu),
            Self::OnDevice(values) => values.unsqueeze(0),
        }
    }
}

impl Weight {
    pub(super) fn new(matrix: Matrix, device: Option<&Device>) -> candle_core::Result<Self> {
        match device {
            None => Ok(Self::Mapped(matrix)),
            Some(device) => {
                let shape = (matrix.rows(), matrix.cols());
                match matrix.narrow() {
                    Some((Narrow::Bf16, bytes)) => raw(bytes, DType::BF16, shape, device).map(Self::OnDevice),
                    Some((Narrow::F16, bytes)) => raw(bytes, DType::F16, shape, device).map(Self::OnDevice),
                    Some((eighth @ (Narrow::F8E4M3 | Narrow::F8E5M2), bytes)) => {
                        let (codes, mut values): (Vec<u8>, _) = ((0..=u8::MAX).collect(), vec![0.0f32; 256]);
                        eighth.widen(&codes, &mut values);
                        let values = Tensor::from_vec(values, 256, device)?;
                        Ok(Self::Coded(raw(bytes, DType::U8, shape, device)?, values))
                    }
                    None => Tensor::from_slice(&matrix.to_array(), shape, device).map(Self::OnDevice),
                }
            }
        }
    }

    /// A matrix on a device, or a part of one, as f32.
    fn widened(held: &Tensor, values: Option<&Tensor>) -> candle_core::Result<Tensor> {
        match values {
            None => held.to_dtype(DType::F32)?.contiguous(),
            Some(values) => values.index_select(&held.flatten_all()?, 0)?.reshape(held.dims()),
        }
    }
}

fn raw(bytes: &[u8], dtype: DType, (rows, cols): (usize, usize), device: &Device) -> candle_core::Result<Tensor> {
    Tensor::from_raw_buffer(bytes, dtype, &[rows, cols], device)
}

/// Rows looked up by number. They stay in their file, whatever computes with them: a prompt needs few.
#[derive(Debug)]
pub(super) struct Embedding {
    pub(super) rows: Matrix,
    /// Where they are sent; `None` is the CPU.
    pub(super) device: Option<Device>,
}

impl Embedding {
    /// [ids, size]; every id must be below the number of rows.
    pub(super) fn forward(&self, ids: &[u32]) -> candle_core::Result<Tensor> {
        let rows: Vec<f32> = ids.iter().flat_map(|id| self.rows.row(*id as usize).into_owned()).collect();
        Tensor::from_vec(rows, (ids.len(), self.rows.cols()), self.device.as_ref().unwrap_or(&Device::Cpu))
    }
}

/// x · W + b, and the activation function that follows it, if one does.
#[derive(Debug)]
pub(super) struct Linear {
    pub(super) weight: Weight,
    pub(super) layout: Layout,
    pub(super) bias: Option<Vector>,
    pub(super) activation: Option<Activation>,
}

impl Linear {
    /// [rows, inputs] to [rows, outputs].
    pub(super) fn forward(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        match (&self.weight, &self.bias) {
            (Weight::Mapped(weight), None) => self.on_cpu(x, weight, None),
            (Weight::Mapped(weight), Some(Vector::Mapped(bias))) => self.on_cpu(x, weight, Some(bias)),
            (Weight::OnDevice(_) | Weight::Coded(..), None) => self.on_device(x, None),
            (Weight::OnDevice(_) | Weight::Coded(..), Some(Vector::OnDevice(bias))) => self.on_device(x, Some(bias)),
            _ => candle_core::bail!("weight and bias on different devices"),
        }
    }

    /// Its weights without the bias, [inputs, outputs].
    pub(super) fn weights(&self) -> candle_core::Result<Array> {
        let array = match (&self.weight, self.layout) {
            (Weight::Mapped(weight), Layout::InOut) => weight.to_array(),
            (Weight::Mapped(weight), Layout::OutIn) => weight.transposed().to_array(),
            (Weight::OnDevice(_) | Weight::Coded(..), layout) => {
                let (held, values) = self.held()?;
                let weight = Weight::widened(held, values)?;
                let weight = if layout == Layout::OutIn { weight.t()?.contiguous()? } else { weight };
                Array::owned(weight.flatten_all()?.to_vec1::<f32>()?, weight.dims())
            }
        };
        Ok(array)
    }

    fn on_cpu(&self, x: &Tensor, weight: &Matrix, bias: Option<&Array>) -> candle_core::Result<Tensor> {
        match self.layout {
            Layout::InOut => self.times(x, weight, bias),
            Layout::OutIn => self.times(x, weight.t(), bias),
        }
    }

    fn times(&self, x: &Tensor, weight: impl Columns, bias: Option<&Array>) -> candle_core::Result<Tensor> {
        untracked(x)?;
        let (rows, inputs) = x.dims2()?;
        let outputs = weight.count();
        if inputs != weight.inner() {
            candle_core::bail!("{inputs} values for a layer of {} inputs", weight.inner());
        }
        let finish = |columns: Range<usize>, row: &mut [f32]| {
            if let Some(bias) = bias {
                row.iter_mut().zip(&bias[columns]).for_each(|(value, bias)| *value += bias);
            }
            if let Some(activation) = self.activation {
                activation.apply(row);
            }
        };
        let out = lend(x, |x| kernel::mapped_product(View::new(x, rows, inputs), weight, finish))?;
        Tensor::from_vec(out, (rows, outputs), &Device::Cpu)
    }

    fn on_device(&self, x: &Tensor, bias: Option<&Tensor>) -> candle_core::Result<Tensor> {
        if graph::wanted(x) {
            let (held, values) = self.held()?;
            let weight = (&Weight::widened(held, values)?, self.layout == Layout::OutIn);
            return graph::Affine::apply(x, weight, bias, self.activation);
        }
        let mut out = self.product(x, WIDENED)?;
        if let Some(bias) = bias {
            out = out.broadcast_add(bias)?;
        }
        self.activation.map_or(Ok(out.clone()), |activation| activation.on_device(&out))
    }

    /// Its weights on a device, and what they stand for where they are bytes.
    fn held(&self) -> candle_core::Result<(&Tensor, Option<&Tensor>)> {
        match &self.weight {
            Weight::OnDevice(held) => Ok((held, None)),
            Weight::Coded(held, values) => Ok((held, Some(values))),
            Weight::Mapped(_) => candle_core::bail!("the weights are on the CPU"),
        }
    }

    /// x · W on a device, where no more than so many elements of W are made f32 at once.
    fn product(&self, x: &Tensor, widened: usize) -> candle_core::Result<Tensor> {
        let (weight, values) = self.held()?;
        let (of_outputs, inputs) = match self.layout {
            Layout::InOut => (1, weight.dim(0)?),
            Layout::OutIn => (0, weight.dim(1)?),
        };
        let times = |weight: &Tensor| match self.layout {
            Layout::InOut => x.matmul(weight),
            Layout::OutIn => x.matmul(&weight.t()?),
        };
        if weight.dtype() == DType::F32 {
            return times(weight);
        }
        let (outputs, at_once) = (weight.dim(of_outputs)?, (widened / inputs.max(1)).max(1));
        let part = |first: usize| {
            let some = weight.narrow(of_outputs, first, at_once.min(outputs - first))?;
            times(&Weight::widened(&some, values)?)
        };
        let parts = (0..outputs).step_by(at_once).map(part).collect::<candle_core::Result<Vec<_>>>()?;
        match &parts[..] {
            [one] => Ok(one.clone()),
            parts => Tensor::cat(parts, 1),
        }
    }
}

/// The sum of two tensors of the same shape.
pub(super) fn add(a: &Tensor, b: &Tensor) -> candle_core::Result<Tensor> {
    if on_cpu(a, b) { pairwise(a, b, |a, b| a + b) } else { a + b }
}

/// The product of two tensors of the same shape, value by value.
pub(super) fn scale(a: &Tensor, b: &Tensor) -> candle_core::Result<Tensor> {
    if on_cpu(a, b) { pairwise(a, b, |a, b| a * b) } else { a * b }
}

/// Fails where somebody wants gradients of what is computed from mapped weights: there would be none, silently.
pub(super) fn untracked(x: &Tensor) -> candle_core::Result<()> {
    if x.track_op() {
        candle_core::bail!("gradients need a model whose weights are tensors, as on a card or its stand-in");
    }
    Ok(())
}

/// Whether two tensors are on the CPU and nobody wants gradients, which candle alone can give.
fn on_cpu(a: &Tensor, b: &Tensor) -> bool {
    a.device().is_cpu() && !a.track_op() && !b.track_op()
}

/// `f` of the values of two tensors on the CPU. Not by candle: its own threads would compete with those that stay awake
/// for the next product.
fn pairwise(a: &Tensor, b: &Tensor, f: impl Fn(f32, f32) -> f32 + Sync) -> candle_core::Result<Tensor> {
    if a.dims() != b.dims() {
        candle_core::bail!("{:?} and {:?} value by value", a.dims(), b.dims());
    }
    let each = |a: &[f32], b: &[f32]| -> Vec<f32> {
        let f = |(a, b): (&f32, &f32)| f(*a, *b);
        if a.len() <= PAIRED {
            a.iter().zip(b).map(f).collect()
        } else {
            a.par_iter().zip(b).with_min_len(PAIRED / 2).map(f).collect()
        }
    };
    let values = lend(a, |a| lend(b, |b| each(a, b)))??;
    Tensor::from_vec(values, a.shape(), &Device::Cpu)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(count: usize, seed: u32) -> Vec<f32> {
        (0..count as u32)
            .map(|i| ((i.wrapping_mul(2_654_435_761) ^ seed.wrapping_mul(40_503)) >> 8) as f32 / 4e6 - 2.0)
            .collect()
    }

    #[test]
    fn what_is_kept_as_stored_on_a_device_gives_what_f32_gives_however_it_is_cut() {
        let x = Tensor::from_vec(values(3 * 50, 4), (3, 50), &Device::Cpu).unwrap();
        for (layout, shape) in [(Layout::InOut, (50, 70)), (Layout::OutIn, (70, 50))] {
            let half = |dtype| Tensor::from_vec(values(3500, 7), shape, &Device::Cpu).unwrap().to_dtype(dtype).unwrap();
            let codes = Tensor::from_iter((0..3500u32).map(|i| (i * 7919 % 251) as u8), &Device::Cpu).unwrap();
            let meant = Tensor::new(values(256, 9), &Device::Cpu).unwrap();
            let stored = [
                Weight::OnDevice(half(DType::BF16)),
                Weight::OnDevice(half(DType::F16)),
                Weight::Coded(codes.reshape(shape).unwrap(), meant),
            ];
            for weight in stored {
                let linear = |weight| Linear { weight, layout, bias: None, activation: None };
                let this = linear(weight);
                let (held, meant) = this.held().unwrap();
                let single = linear(Weight::OnDevice(Weight::widened(held, meant).unwrap()));
                let want = single.product(&x, WIDENED).unwrap().to_vec2::<f32>().unwrap();
                assert_eq!(this.product(&x, WIDENED).unwrap().to_vec2::<f32>().unwrap(), want);
                assert_eq!(this.weights().unwrap()[..], single.weights().unwrap()[..]);
                for widened in [1, 170, 3499] {
                    let got = this.product(&x, widened).unwrap();
                    let error = (got - &Tensor::new(want.clone(), &Device::Cpu).unwrap()).unwrap().abs().unwrap();
                    assert!(error.max_all().unwrap().to_scalar::<f32>().unwrap() < 1e-4, "{layout:?} {widened}");
                }
            }
        }
    }

    #[test]
    fn linear_maps_over_many_threads_are_those_of_the_device_path() {
        let x = Tensor::from_vec(values(300 * 130, 4), (300, 130), &Device::Cpu).unwrap();
        let all = [
            None,
            Some(Activation::GeluTanh),
            Some(Activation::GeluErf),
            Some(Activation::Relu),
            Some(Activation::Silu),
            Some(Activation::SoftCap(7.0)),
        ];
        for (layout, shape) in [(Layout::InOut, [130, 500]), (Layout::OutIn, [500, 130])] {
            for activation in all {
                let linear = |device| Linear {
                    weight: Weight::new(Array::owned(values(65_000, 7), &shape).into(), device).unwrap(),
                    layout,
                    bias: Some(Vector::new(Array::owned(values(500, 8), &[500]), device).unwrap()),
                    activation,
                };
                let (got, want) = (linear(None).forward(&x).unwrap(), linear(Some(&Device::Cpu)).forward(&x).unwrap());
                let error = ((got - want).unwrap() / 100.0).unwrap().abs().unwrap().max_all().unwrap();
                assert!(error.to_scalar::<f32>().unwrap() < 2e-5, "{activation:?}");
            }
        }
    }
}
