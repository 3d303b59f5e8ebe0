//! The functions of single values between the layers of a model, under the names that `transformers` has for them.
//! Not here: the layers.

use candle_core::Tensor;
use candle_nn::ops;

use crate::kernel::maps;

/// What is applied to every value that a linear map gives.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Activation {
    /// The tanh form of gelu.
    GeluTanh,
    /// The erf form of gelu.
    GeluErf,
    /// The erf form of gelu, kept between −10 and 10.
    Gelu10,
    /// x · sigmoid(1.702 · x).
    QuickGelu,
    /// max(0, x).
    Relu,
    /// max(0, x)².
    Relu2,
    /// max(0, x), at most 6.
    Relu6,
    /// x, a hundredth of it where it is negative.
    LeakyRelu,
    /// x · sigmoid(x).
    Silu,
    /// x · tanh(ln(1 + e^x)).
    Mish,
    /// ½ + ½ · erf((x − μ) / (σ · √2)), with μ and σ that come close to the square of relu.
    Laplace,
    /// x · max(0, x + 3), at most 6 · x, over 6.
    HardSwish,
    /// √ln(1 + e^x).
    SqrtSoftplus,
    /// 1 / (1 + e^(−x)).
    Sigmoid,
    /// tanh(x).
    Tanh,
    /// x.
    Linear,
    /// c · tanh(x / c).
    SoftCap(f32),
}

/// The functions of `transformers`' `ACT2FN` that have no weights of their own.
const NAMED: &[(&str, Activation)] = &[
    ("gelu", Activation::GeluErf),
    ("gelu_new", Activation::GeluTanh),
    ("gelu_pytorch_tanh", Activation::GeluTanh),
    ("gelu_fast", Activation::GeluTanh),
    ("gelu_accurate", Activation::GeluTanh),
    ("gelu_python_tanh", Activation::GeluTanh),
    ("gelu_python", Activation::GeluErf),
    ("gelu_10", Activation::Gelu10),
    ("quick_gelu", Activation::QuickGelu),
    ("relu", Activation::Relu),
    ("relu2", Activation::Relu2),
    ("relu6", Activation::Relu6),
    ("leaky_relu", Activation::LeakyRelu),
    ("silu", Activation::Silu),
    ("swish", Activation::Silu),
    ("mish", Activation::Mish),
    ("hardswish", Activation::HardSwish),
    ("sqrtsoftplus", Activation::SqrtSoftplus),
    ("laplace", Activation::Laplace),
    ("sigmoid", Activation::Sigmoid),
    ("tanh", Activation::Tanh),
    ("linear", Activation::Linear),
];

/// Of `transformers`' `LaplaceActivation`.
const LAPLACE: (f64, f64) = (707_107e-6, 282_095e-6);

impl Activation {
    /// The function that `transformers` has under this name (`ACT2FN`), if it is one of these.
    pub(super) fn named(name: &str) -> Option<Self> {
        NAMED.iter().find(|(known, _)| *known == name).map(|(_, activation)| *activation)
    }

    /// The names that [`Activation::named`] knows, for messages.
    pub(super) fn names() -> String {
        NAMED.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
    }

    /// Of every value, in place.
    pub(super) fn apply(self, values: &mut [f32]) {
        let each = |values: &mut [f32], f: fn(f32) -> f32| values.iter_mut().for_each(|x| *x = f(*x));
        match self {
            Self::GeluTanh => maps::gelu_tanh(values),
            Self::GeluErf => each(values, gelu_erf),
            Self::Gelu10 => each(values, |x| gelu_erf(x).clamp(-10.0, 10.0)),
            Self::QuickGelu => maps::quick_gelu(values),
            Self::Relu => each(values, |x| x.max(0.0)),
            Self::Relu2 => each(values, |x| x.max(0.0) * x.max(0.0)),
            Self::Relu6 => each(values, |x| x.clamp(0.0, 6.0)),
            Self::LeakyRelu => each(values, |x| if x < 0.0 { 0.01 * x } else { x }),
            Self::Silu => maps::silu(values),
            Self::Mish => each(values, |x| (f64::from(x) * softplus(f64::from(x)).tanh()) as f32),
            Self::Laplace => each(values, |x| {
                let scaled = (f64::from(x) - LAPLACE.0) / (LAPLACE.1 * std::f64::consts::SQRT_2);
                (0.5 + 0.5 * candle_core::cpu::erf::erf_f64(scaled)) as f32
            }),
            Self::HardSwish => each(values, |x| x * (x + 3.0).clamp(0.0, 6.0) / 6.0),
            Self::SqrtSoftplus => each(values, |x| softplus(f64::from(x)).sqrt() as f32),
            Self::Sigmoid => each(values, |x| (1.0 / (1.0 + f64::from(-x).exp())) as f32),
            Self::Tanh => each(values, |x| f64::from(x).tanh() as f32),
            Self::Linear => {}
            Self::SoftCap(cap) => maps::soft_cap(values, 1.0, cap),
        }
    }

    /// Its slope at a value, of those for which it is known here.
    pub(super) fn slope(self) -> Option<fn(f32) -> f32> {
        let slope: fn(f32) -> f32 = match self {
            Self::GeluTanh => |x| {
                let (x, root) = (f64::from(x), (2.0 / std::f64::consts::PI).sqrt());
                let t = (root * (x + 0.044_715 * x.powi(3))).tanh();
                (0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * root * (1.0 + 3.0 * 0.044_715 * x * x)) as f32
            },
            Self::GeluErf => |x| {
                let x = f64::from(x);
                let below = 0.5 * (1.0 + candle_core::cpu::erf::erf_f64(x * std::f64::consts::FRAC_1_SQRT_2));
                (below + x * (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt()) as f32
            },
            Self::QuickGelu => |x| swish_slope(f64::from(x), 1.702),
            Self::Silu => |x| swish_slope(f64::from(x), 1.0),
            Self::Relu => |x| f32::from(u8::from(x > 0.0)),
            Self::Relu2 => |x| 2.0 * x.max(0.0),
            Self::Linear => |_| 1.0,
            _ => return None,
        };
        Some(slope)
    }

    /// The same by operations that every device has.
    pub(super) fn on_device(self, x: &Tensor) -> candle_core::Result<Tensor> {
        match self {
            Self::GeluTanh => x.gelu(),
            Self::GeluErf => x.gelu_erf(),
            Self::Gelu10 => x.gelu_erf()?.clamp(-10f32, 10f32),
            Self::QuickGelu => x * ops::sigmoid(&(x * 1.702)?)?,
            Self::Relu => x.relu(),
            Self::Relu2 => x.relu()?.sqr(),
            Self::Relu6 => x.clamp(0f32, 6f32),
            Self::LeakyRelu => ops::leaky_relu(x, 0.01),
            Self::Silu => x.silu(),
            Self::Mish => x * softplus_on_device(x)?.tanh()?,
            Self::Laplace => ((x - LAPLACE.0)? / (LAPLACE.1 * std::f64::consts::SQRT_2))?.erf()?.affine(0.5, 0.5),
            Self::HardSwish => x * ((x + 3.0)?.clamp(0f32, 6f32)? / 6.0)?,
            Self::SqrtSoftplus => softplus_on_device(x)?.sqrt(),
            Self::Sigmoid => ops::sigmoid(x),
            Self::Tanh => x.tanh(),
            Self::Linear => Ok(x.clone()),
            Self::SoftCap(cap) => (x / f64::from(cap))?.tanh()? * f64::from(cap),
        }
    }
}

/// 0.5·x·(1 + erf(x/√2)).
fn gelu_erf(x: f32) -> f32 {
    0.5 * x * (1.0 + candle_core::cpu::erf::erf_f64(f64::from(x) * std::f64::consts::FRAC_1_SQRT_2) as f32)
}

/// ln(1 + e^x), without overflow.
fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

/// The same of every value. The logarithm of what is hardly more than 1 is by its series, which keeps its digits.
fn softplus_on_device(x: &Tensor) -> candle_core::Result<Tensor> {
    let beyond = x.abs()?.neg()?.exp()?;
    let series = (&beyond * (beyond.affine(1.0 / 3.0, -0.5)? * &beyond)?.affine(1.0, 1.0)?)?;
    x.relu()? + beyond.lt(0.01)?.where_cond(&series, &(&beyond + 1.0)?.log()?)?
}

/// The slope of x · sigmoid(b · x).
fn swish_slope(x: f64, b: f64) -> f32 {
    let sigmoid = 1.0 / (1.0 + (-b * x).exp());
    (sigmoid * (1.0 + b * x * (1.0 - sigmoid))) as f32
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use candle_core::Device;

    use super::*;
    use crate::blob::Blob;
    use crate::weights::TensorFiles;

    #[test]
    fn every_function_gives_what_transformers_gives_on_either_path() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/functions/activations.safetensors");
        let want = TensorFiles::open(&[Blob::path(file)]).unwrap();
        let x = want.get("x").unwrap().to_vec();
        let known: Vec<&str> = want.names().into_iter().filter(|name| *name != "x").collect();
        let mut named: Vec<&str> = NAMED.iter().map(|(name, _)| *name).collect();
        named.sort_unstable();
        assert_eq!(named, known, "those without weights of their own");
        for name in known {
            let (activation, want) = (Activation::named(name).unwrap(), want.get(name).unwrap());
            let mut here = x.clone();
            activation.apply(&mut here);
            let there = activation.on_device(&Tensor::new(&*x, &Device::Cpu).unwrap()).unwrap().to_vec1().unwrap();
            for (at, want) in want.iter().enumerate() {
                for got in [here[at], there[at]] {
                    let off = (got - want).abs();
                    assert!(off <= 1e-6 + 2e-6 * want.abs(), "{name}({}): {got}, transformers says {want}", x[at]);
                }
            }
        }
    }
}
