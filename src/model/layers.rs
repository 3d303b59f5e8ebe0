//! The pieces that models are made of: embedding, norms, linear maps with their activation function, attention.
//! On the CPU they read the mapped weights where they lie; on another device they use its tensors.
//! Not here: how a model puts them together.

use candle_core::{CpuStorage, D, Device, Storage, Tensor};
use rayon::prelude::*;

use crate::kernel::{self, View, maps};
use crate::weights::Array;

/// Columns of the result that one thread computes at a time: narrow enough that 768 columns keep all threads busy.
const COLUMNS: usize = 192;

/// Values that one thread norms at a time: fewer cost less than waking another.
const NORMED: usize = 1 << 15;

/// Query positions that one thread attends with at a time, so that the scores of a long prompt stay small.
const QUERIES: usize = 64;

/// Weights, where the device they are used on can read them.
#[derive(Clone, Debug)]
pub(super) enum Values {
    /// On the CPU, in the file's own memory map where the file holds f32.
    Mapped(Array),
    /// On a device, or for candle's own operations.
    Held(Tensor),
}

/// How a weight matrix lies in its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// [inputs, outputs], as GPT-2's `Conv1D` has it.
    InOut,
    /// [outputs, inputs], as a linear layer has it.
    OutIn,
}

/// The function an MLP applies to its inner values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Activation {
    /// The tanh form of gelu.
    GeluTanh,
    /// The erf form of gelu.
    GeluErf,
    /// max(0, x).
    Relu,
}

impl Values {
    pub(super) fn new(array: Array, device: Option<&Device>) -> candle_core::Result<Self> {
        match device {
            None => Ok(Self::Mapped(array)),
            Some(device) => Tensor::from_slice(&array, array.shape(), device).map(Self::Held),
        }
    }

    fn rows(&self, ids: &[u32]) -> candle_core::Result<Tensor> {
        match self {
            Self::Mapped(array) => {
                let rows: Vec<f32> = ids.iter().flat_map(|id| array.row(*id as usize)).copied().collect();
                Tensor::from_vec(rows, (ids.len(), array.shape()[1]), &Device::Cpu)
            }
            Self::Held(tensor) => tensor.index_select(&Tensor::new(ids, tensor.device())?, 0),
        }
    }
}

/// Rows looked up by number.
#[derive(Debug)]
pub(super) struct Embedding(pub(super) Values);

impl Embedding {
    /// [ids, size]; every id must be below the number of rows.
    pub(super) fn forward(&self, ids: &[u32]) -> candle_core::Result<Tensor> {
        self.0.rows(ids)
    }
}

/// LayerNorm (Ba et al., 2016): (x − mean) / √(variance + epsilon), times gain, plus bias.
#[derive(Debug)]
pub(super) struct LayerNorm {
    pub(super) gain: Values,
    pub(super) bias: Values,
    pub(super) epsilon: f32,
}

impl LayerNorm {
    /// [rows, size] to the same.
    pub(super) fn forward(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        match (&self.gain, &self.bias) {
            (Values::Mapped(gain), Values::Mapped(bias)) => {
                let mut out = on_cpu(x, <[f32]>::to_vec)?;
                let norm = |rows: &mut [f32]| {
                    rows.chunks_exact_mut(gain.len()).for_each(|row| maps::layer_norm(row, gain, bias, self.epsilon));
                };
                if out.len() <= NORMED {
                    norm(&mut out);
                } else {
                    out.par_chunks_mut(NORMED.next_multiple_of(gain.len())).for_each(norm);
                }
                Tensor::from_vec(out, x.shape(), &Device::Cpu)
            }
            (Values::Held(gain), Values::Held(bias)) => {
                candle_nn::ops::layer_norm(&x.contiguous()?, gain, bias, self.epsilon)
            }
            _ => candle_core::bail!("gain and bias on different devices"),
        }
    }
}

/// x · W + b, and the activation function that follows it, if one does.
#[derive(Debug)]
pub(super) struct Linear {
    pub(super) weight: Values,
    pub(super) layout: Layout,
    pub(super) bias: Option<Values>,
    pub(super) activation: Option<Activation>,
}

impl Linear {
    /// [rows, inputs] to [rows, outputs].
    pub(super) fn forward(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        match (&self.weight, &self.bias) {
            (Values::Mapped(weight), None) => self.on_cpu(x, weight, None),
            (Values::Mapped(weight), Some(Values::Mapped(bias))) => self.on_cpu(x, weight, Some(bias)),
            (Values::Held(weight), None) => self.on_device(x, weight, None),
            (Values::Held(weight), Some(Values::Held(bias))) => self.on_device(x, weight, Some(bias)),
            _ => candle_core::bail!("weight and bias on different devices"),
        }
    }

    fn on_cpu(&self, x: &Tensor, weight: &Array, bias: Option<&Array>) -> candle_core::Result<Tensor> {
        let (rows, inputs) = x.dims2()?;
        let weight = match self.layout {
            Layout::InOut => weight.view(),
            Layout::OutIn => weight.view().t(),
        };
        let outputs = weight.cols();
        if inputs != weight.rows() {
            candle_core::bail!("{inputs} values for a layer of {} inputs", weight.rows());
        }
        let out = on_cpu(x, |x| {
            let mut out = vec![0.0; rows * outputs];
            kernel::map_product(&mut out, View::new(x, rows, inputs), weight, COLUMNS, |columns, row| {
                if let Some(bias) = bias {
                    row.iter_mut().zip(&bias[columns]).for_each(|(value, bias)| *value += bias);
                }
                if let Some(activation) = self.activation {
                    activation.apply(row);
                }
            });
            out
        })?;
        Tensor::from_vec(out, (rows, outputs), &Device::Cpu)
    }

    fn on_device(&self, x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> candle_core::Result<Tensor> {
        let mut out = match self.layout {
            Layout::InOut => x.matmul(weight)?,
            Layout::OutIn => x.matmul(&weight.t()?)?,
        };
        if let Some(bias) = bias {
            out = out.broadcast_add(bias)?;
        }
        match self.activation {
            None => Ok(out),
            Some(Activation::GeluTanh) => out.gelu(),
            Some(Activation::GeluErf) => out.gelu_erf(),
            Some(Activation::Relu) => out.relu(),
        }
    }
}

impl Activation {
    fn apply(self, values: &mut [f32]) {
        match self {
            Self::GeluTanh => maps::gelu_tanh(values),
            Self::GeluErf => values.iter_mut().for_each(|x| *x = gelu_erf(*x)),
            Self::Relu => values.iter_mut().for_each(|x| *x = x.max(0.0)),
        }
    }
}

/// 0.5·x·(1 + erf(x/√2)).
fn gelu_erf(x: f32) -> f32 {
    0.5 * x * (1.0 + candle_core::cpu::erf::erf_f64(f64::from(x) * std::f64::consts::FRAC_1_SQRT_2) as f32)
}

/// Causal attention of every head: the queries, [new, heads · d_head], stand at the last of the positions whose keys
/// and values are given, [positions, heads · d_head]. Gives the mixed values, heads side by side, like the queries.
pub(super) fn attend(
    queries: &Tensor,
    keys: &Tensor,
    values: &Tensor,
    heads: usize,
    scale: f32,
) -> candle_core::Result<Tensor> {
    let (new, width) = queries.dims2()?;
    let positions = keys.dim(0)?;
    if width % heads != 0 || keys.dims() != values.dims() || keys.dim(1)? != width || positions < new {
        candle_core::bail!("queries {:?}, keys {:?}, values {:?}", queries.dims(), keys.dims(), values.dims());
    }
    if !queries.device().is_cpu() {
        return attend_on_device(queries, keys, values, heads, scale);
    }
    let out = on_cpu(queries, |q| {
        on_cpu(keys, |k| on_cpu(values, |v| attend_on_cpu(q, k, v, (new, positions, heads, width / heads), scale)))
    })???;
    Tensor::from_vec(out, (new, width), &Device::Cpu)
}

/// `sizes` are new positions, all positions, heads, size of a head.
fn attend_on_cpu(q: &[f32], k: &[f32], v: &[f32], sizes: (usize, usize, usize, usize), scale: f32) -> Vec<f32> {
    let (new, positions, heads, size) = sizes;
    let width = heads * size;
    let (q, k, v) = (View::new(q, new, width), View::new(k, positions, width), View::new(v, positions, width));
    let blocks = new.div_ceil(QUERIES);
    let attend = |part: usize| {
        let (head, first) = (part / blocks, part % blocks * QUERIES);
        let rows = first..new.min(first + QUERIES);
        let columns = head * size..(head + 1) * size;
        // The last of these queries sees this many positions, the earlier ones fewer.
        let seen = positions - new + rows.end;
        let mut scores = vec![0.0; rows.len() * seen];
        let queries = q.select_rows(rows.clone()).columns(columns.clone());
        kernel::product(&mut scores, queries, k.select_rows(0..seen).columns(columns.clone()).t());
        for (row, scores) in scores.chunks_exact_mut(seen).enumerate() {
            maps::softmax(scores, positions - new + first + row + 1, scale);
        }
        let mut mixed = vec![0.0; rows.len() * size];
        kernel::product(&mut mixed, View::new(&scores, rows.len(), seen), v.select_rows(0..seen).columns(columns));
        mixed
    };
    let parts: Vec<Vec<f32>> = if new * positions * width < kernel::ALONE {
        (0..heads * blocks).map(attend).collect()
    } else {
        (0..heads * blocks).into_par_iter().map(attend).collect()
    };
    let mut out = vec![0.0; new * width];
    for (part, mixed) in parts.iter().enumerate() {
        let (head, first) = (part / blocks, part % blocks * QUERIES);
        for (row, values) in mixed.chunks_exact(size).enumerate() {
            let start = (first + row) * width + head * size;
            out[start..start + size].copy_from_slice(values);
        }
    }
    out
}

fn attend_on_device(
    queries: &Tensor,
    keys: &Tensor,
    values: &Tensor,
    heads: usize,
    scale: f32,
) -> candle_core::Result<Tensor> {
    let split = |x: &Tensor| {
        let (rows, width) = x.dims2()?;
        x.reshape((rows, heads, width / heads))?.transpose(0, 1)?.contiguous()
    };
    let (q, k, v) = (split(queries)?, split(keys)?, split(values)?);
    let (new, positions) = (queries.dim(0)?, keys.dim(0)?);
    let mask: Vec<f32> = (0..new)
        .flat_map(|row| {
            (0..positions).map(move |key| if key > positions - new + row { f32::NEG_INFINITY } else { 0.0 })
        })
        .collect();
    let mask = Tensor::from_vec(mask, (new, positions), queries.device())?;
    let scores = (q.matmul(&k.t()?)? * f64::from(scale))?.broadcast_add(&mask)?;
    let mixed = candle_nn::ops::softmax(&scores, D::Minus1)?.matmul(&v)?;
    mixed.transpose(0, 1)?.contiguous()?.flatten_from(1)
}

/// Lends the tensor's values, row-major, to `use_them`.
fn on_cpu<T>(tensor: &Tensor, use_them: impl FnOnce(&[f32]) -> T) -> candle_core::Result<T> {
    let tensor = tensor.contiguous()?;
    let (storage, layout) = tensor.storage_and_layout();
    match (&*storage, layout.contiguous_offsets()) {
        (Storage::Cpu(CpuStorage::F32(values)), Some((start, end))) => Ok(use_them(&values[start..end])),
        _ => candle_core::bail!("expected f32 values on the CPU"),
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

    fn agree(got: &Tensor, want: &Tensor) {
        let error = (got - want).unwrap().abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
        assert!(got.dims() == want.dims() && error < 2e-5, "{error}");
    }

    #[test]
    fn attention_over_many_threads_is_that_of_the_device_path() {
        for (new, positions) in [(1, 1), (130, 200), (200, 200), (1, 3000)] {
            let (q, k, v) = (tensor(new, 48, 1), tensor(positions, 48, 2), tensor(positions, 48, 3));
            agree(&attend(&q, &k, &v, 3, 0.7).unwrap(), &attend_on_device(&q, &k, &v, 3, 0.7).unwrap());
        }
    }

    #[test]
    fn layers_over_many_threads_are_those_of_the_device_path() {
        let array = |rows: usize, cols: usize, seed| {
            Array::owned(tensor(rows, cols, seed).flatten_all().unwrap().to_vec1::<f32>().unwrap(), &[rows, cols])
        };
        let row = |size: usize, seed| Array::owned(array(1, size, seed).to_vec(), &[size]);
        let x = tensor(300, 130, 4);
        let (mapped, held) = (None, Some(&Device::Cpu));
        let norm = |device| LayerNorm {
            gain: Values::new(row(130, 5), device).unwrap(),
            bias: Values::new(row(130, 6), device).unwrap(),
            epsilon: 1e-5,
        };
        let x = norm(held).forward(&x).unwrap();
        agree(&norm(mapped).forward(&tensor(300, 130, 4)).unwrap(), &x);
        for (layout, shape) in [(Layout::InOut, (130, 500)), (Layout::OutIn, (500, 130))] {
            for activation in [None, Some(Activation::GeluTanh), Some(Activation::GeluErf), Some(Activation::Relu)] {
                let linear = |device| Linear {
                    weight: Values::new(array(shape.0, shape.1, 7), device).unwrap(),
                    layout,
                    bias: Some(Values::new(row(500, 8), device).unwrap()),
                    activation,
                };
                let (got, want) = (linear(mapped).forward(&x).unwrap(), linear(held).forward(&x).unwrap());
                agree(&(got / 100.0).unwrap(), &(want / 100.0).unwrap());
            }
        }
    }
}
