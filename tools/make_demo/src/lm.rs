//! The demo's language model: GPT-2's architecture, small, with the gradients of `ops.rs`.
//! It neither trains (`lm_train.rs`) nor reads text (`tokens.rs`).

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use anyhow::{Context, Result};
use candle_core::{DType, Device, Tensor, Var};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::ops::{Attention, Gelu, HeadLoss, LayerNorm, Linear};

#[derive(Clone, Copy, Debug)]
pub struct Shape {
    pub vocab: usize,
    pub context: usize,
    pub width: usize,
    pub layers: usize,
    pub heads: usize,
}

/// The parameters by the names that transformers gives them.
pub struct Model {
    pub shape: Shape,
    pub vars: BTreeMap<String, Var>,
}

impl Model {
    /// GPT-2's initialisation: N(0, 0.02), with what writes to the residual stream scaled down by
    /// √(2·layers).
    pub fn new(shape: Shape, seed: u64) -> Result<Self> {
        let mut rng = StdRng::seed_from_u64(seed);
        let (d, narrow) = (shape.width, 0.02 / (2.0 * shape.layers as f32).sqrt());
        let mut vars = BTreeMap::new();
        let mut put = |name: String, dims: &[usize], data: Vec<f32>| -> Result<()> {
            vars.insert(name, Var::from_tensor(&Tensor::from_vec(data, dims, &Device::Cpu)?)?);
            Ok(())
        };
        let mut draw = |count: usize, deviation: f32| normal(&mut rng, count, deviation);
        put("transformer.wte.weight".into(), &[shape.vocab, d], draw(shape.vocab * d, 0.02))?;
        put("transformer.wpe.weight".into(), &[shape.context, d], draw(shape.context * d, 0.01))?;
        for layer in 0..shape.layers {
            let name = |part: &str| format!("transformer.h.{layer}.{part}");
            for norm in ["ln_1", "ln_2"] {
                put(name(&format!("{norm}.weight")), &[d], vec![1.0; d])?;
                put(name(&format!("{norm}.bias")), &[d], vec![0.0; d])?;
            }
            let parts = [
                ("attn.c_attn", d, 3 * d, 0.02),
                ("attn.c_proj", d, d, narrow),
                ("mlp.c_fc", d, 4 * d, 0.02),
                ("mlp.c_proj", 4 * d, d, narrow),
            ];
            for (part, inner, outer, deviation) in parts {
                let weights = draw(inner * outer, deviation);
                put(name(&format!("{part}.weight")), &[inner, outer], weights)?;
                put(name(&format!("{part}.bias")), &[outer], vec![0.0; outer])?;
            }
        }
        put("transformer.ln_f.weight".into(), &[d], vec![1.0; d])?;
        put("transformer.ln_f.bias".into(), &[d], vec![0.0; d])?;
        Ok(Self { shape, vars })
    }

    /// Reads the weights from a safetensors file of this shape.
    pub fn load(shape: Shape, file: &Path) -> Result<Self> {
        let model = Self::new(shape, 0)?;
        let tensors = candle_core::safetensors::load(file, &Device::Cpu)?;
        for (name, var) in &model.vars {
            let tensor = tensors.get(name).with_context(|| format!("no {name} in {}", file.display()))?;
            var.set(&tensor.to_dtype(DType::F32)?)?;
        }
        Ok(model)
    }

    pub fn save(&self, file: &Path, dtype: DType) -> Result<()> {
        let tensors: HashMap<String, Tensor> = self
            .vars
            .iter()
            .map(|(name, var)| Ok((name.clone(), var.as_tensor().to_dtype(dtype)?)))
            .collect::<Result<_>>()?;
        Ok(candle_core::safetensors::save(&tensors, file)?)
    }

    /// Rounds every weight to f16, which is how the model is kept.
    pub fn round_to_f16(&self) -> Result<()> {
        for var in self.vars.values() {
            var.set(&var.as_tensor().to_dtype(DType::F16)?.to_dtype(DType::F32)?)?;
        }
        Ok(())
    }

    fn var(&self, name: &str) -> Result<&Tensor> {
        Ok(self.vars.get(name).with_context(|| format!("no parameter {name}"))?.as_tensor())
    }

    /// The residual stream before block 0 of texts of `length` tokens each: [texts·length, width].
    pub fn embed(&self, ids: &[u32], length: usize) -> Result<Tensor> {
        let texts = ids.len() / length;
        let ids = Tensor::from_slice(ids, ids.len(), &Device::Cpu)?;
        let tokens = self.var("transformer.wte.weight")?.index_select(&ids, 0)?;
        let places = self.var("transformer.wpe.weight")?.narrow(0, 0, length)?;
        let tokens = tokens.reshape((texts, length, self.shape.width))?;
        Ok(tokens.broadcast_add(&places)?.reshape((texts * length, self.shape.width))?)
    }

    fn linear(&self, x: &Tensor, name: &str) -> Result<Tensor> {
        let (w, b) = (self.var(&format!("{name}.weight"))?, self.var(&format!("{name}.bias"))?);
        Ok(x.apply_op3(w, b, Linear)?)
    }

    fn norm(&self, x: &Tensor, name: &str) -> Result<Tensor> {
        let (g, b) = (self.var(&format!("{name}.weight"))?, self.var(&format!("{name}.bias"))?);
        Ok(x.apply_op3(g, b, LayerNorm)?)
    }

    /// The residual stream after a block, from the one before it.
    pub fn block(&self, layer: usize, x: &Tensor, length: usize) -> Result<Tensor> {
        let name = |part: &str| format!("transformer.h.{layer}.{part}");
        let qkv = self.linear(&self.norm(x, &name("ln_1"))?, &name("attn.c_attn"))?;
        let mixed = qkv.apply_op1(Attention { heads: self.shape.heads, length })?;
        let x = (x + self.linear(&mixed, &name("attn.c_proj"))?)?;
        let inner = self.linear(&self.norm(&x, &name("ln_2"))?, &name("mlp.c_fc"))?;
        Ok((&x + self.linear(&inner.apply_op1(Gelu)?, &name("mlp.c_proj"))?)?)
    }

    /// The residual stream before block `layer` (after the last block for `layers`).
    pub fn residual(&self, ids: &[u32], length: usize, layer: usize) -> Result<Tensor> {
        self.blocks(self.embed(ids, length)?, length, 0..layer)
    }

    pub fn blocks(&self, x: Tensor, length: usize, r: std::ops::Range<usize>) -> Result<Tensor> {
        r.into_iter().try_fold(x, |x, layer| self.block(layer, &x, length))
    }

    /// Logits [rows, vocabulary] from the residual stream after the last block.
    pub fn logits(&self, x: &Tensor) -> Result<Tensor> {
        let x = self.norm(x, "transformer.ln_f")?;
        Ok(x.matmul(&self.var("transformer.wte.weight")?.t()?)?)
    }

    /// Mean cross-entropy in nats of predicting `targets`, one for each token.
    pub fn loss(&self, ids: &[u32], targets: Vec<u32>, length: usize) -> Result<Tensor> {
        let x = self.residual(ids, length, self.shape.layers)?;
        let x = self.norm(&x, "transformer.ln_f")?;
        Ok(x.apply_op2(self.var("transformer.wte.weight")?, HeadLoss::new(targets))?)
    }
}

/// Draws from a normal distribution (Box and Muller).
fn normal(rng: &mut StdRng, count: usize, deviation: f32) -> Vec<f32> {
    (0..count)
        .map(|_| {
            let (a, b) = (1.0 - rng.random::<f32>(), rng.random::<f32>());
            (-2.0 * a.ln()).sqrt() * (std::f32::consts::TAU * b).cos() * deviation
        })
        .collect()
}
