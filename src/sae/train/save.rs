//! Writing a trained SAE as SAELens 6 writes a JumpReLU SAE, so that Python users open it as any other.
//! Not here: reading, which is `lens.rs`.

use std::collections::HashMap;
use std::path::Path;

use safetensors::tensor::{Dtype as Stored, TensorView};
use serde_json::json;

use super::{TrainError, Trained};
use crate::sae::{Activation, Error, Normalisation, Sae, SaeWeights};
use crate::weights::Array;

/// How the weights are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Dtype {
    /// 32 bits.
    F32,
    /// 16 bits; values beyond 65,504 are refused.
    F16,
}

/// Where the activations came from, for the file's `metadata`.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    /// The model's name.
    pub model_name: String,
    /// TransformerLens' name of the site, such as `blocks.2.hook_resid_post`.
    pub hook_name: String,
    /// Whether a beginning-of-sequence token was put before the text.
    pub prepend_bos: bool,
    /// Tokens of a training text.
    pub context_size: usize,
}

impl Trained {
    /// Writes `cfg.json` and `sae_weights.safetensors` into `folder`, which is made where it is missing. Each file
    /// appears whole or not at all.
    ///
    /// # Errors
    /// [`TrainError::Write`], and [`TrainError::Overflow`] for a weight that f16 cannot hold.
    pub fn save(&self, folder: &Path, dtype: Dtype, origin: &Origin) -> Result<(), TrainError> {
        std::fs::create_dir_all(folder).map_err(|e| failed(folder, e))?;
        write(&folder.join("sae_weights.safetensors"), &self.weights(dtype)?)?;
        let mut config = serde_json::to_vec_pretty(&self.config(dtype, origin)).unwrap_or_default();
        config.push(b'\n');
        write(&folder.join("cfg.json"), &config)
    }

    /// The SAE itself, ready to use.
    ///
    /// # Errors
    /// As [`Sae::new`]; none for what [`super::train`] gave.
    pub fn sae(&self) -> Result<Sae, Error> {
        let (d, n) = (self.d_in, self.width);
        let array = |values: &[f32], shape: &[usize]| Array::owned(values.to_vec(), shape);
        let mut sae = Sae::new(SaeWeights {
            w_enc: array(&self.w_enc, &[d, n]).into(),
            b_enc: array(&self.b_enc, &[n]),
            w_dec: array(&self.w_dec, &[n, d]).into(),
            b_dec: array(&self.b_dec, &[d]),
            apply_b_dec_to_input: true,
            rescale_acts_by_decoder_norm: false,
            activation: Activation::JumpRelu { threshold: Array::owned(vec![self.threshold; n], &[n]) },
            normalisation: Normalisation::None,
        })?;
        "jumprelu".clone_into(&mut sae.metadata.architecture);
        Ok(sae)
    }

    fn config(&self, dtype: Dtype, origin: &Origin) -> serde_json::Value {
        json!({
            "architecture": "jumprelu",
            "d_in": self.d_in,
            "d_sae": self.width,
            "dtype": match dtype { Dtype::F32 => "float32", Dtype::F16 => "float16" },
            "device": "cpu",
            "apply_b_dec_to_input": true,
            "normalize_activations": "none",
            "reshape_activations": "none",
            "metadata": {
                "model_name": origin.model_name,
                "hook_name": origin.hook_name,
                "prepend_bos": origin.prepend_bos,
                "context_size": origin.context_size,
                "sae_lens_version": "6.54.0",
            },
        })
    }

    fn weights(&self, dtype: Dtype) -> Result<Vec<u8>, TrainError> {
        let threshold = vec![self.threshold; self.width];
        let (d, n) = (self.d_in, self.width);
        let parts: [(&'static str, &[f32], Vec<usize>); 5] = [
            ("W_enc", &self.w_enc, vec![d, n]),
            ("b_enc", &self.b_enc, vec![n]),
            ("W_dec", &self.w_dec, vec![n, d]),
            ("b_dec", &self.b_dec, vec![d]),
            ("threshold", &threshold, vec![n]),
        ];
        let bytes: Vec<Vec<u8>> =
            parts.iter().map(|(name, values, _)| to_bytes(name, values, dtype)).collect::<Result<_, _>>()?;
        let kind = match dtype {
            Dtype::F32 => Stored::F32,
            Dtype::F16 => Stored::F16,
        };
        let views = parts
            .iter()
            .zip(&bytes)
            .map(|((name, _, shape), bytes)| TensorView::new(kind, shape.clone(), bytes).map(|view| (*name, view)));
        let unexpected = |e: safetensors::SafeTensorError| TrainError::Write {
            file: "sae_weights.safetensors".into(),
            source: std::io::Error::other(e.to_string()),
        };
        let views = views.collect::<Result<Vec<_>, _>>().map_err(unexpected)?;
        let about = HashMap::from([("format".to_owned(), "pt".to_owned())]);
        safetensors::serialize(views, Some(about)).map_err(unexpected)
    }
}

fn to_bytes(tensor: &'static str, values: &[f32], dtype: Dtype) -> Result<Vec<u8>, TrainError> {
    if dtype == Dtype::F32 {
        return Ok(values.iter().flat_map(|v| v.to_le_bytes()).collect());
    }
    let mut out = Vec::with_capacity(values.len() * 2);
    for (index, &value) in values.iter().enumerate() {
        let half = half::f16::from_f32(value);
        if !half.is_finite() {
            return Err(TrainError::Overflow { tensor, value, index });
        }
        out.extend(half.to_le_bytes());
    }
    Ok(out)
}

fn failed(file: &Path, source: std::io::Error) -> TrainError {
    TrainError::Write { file: file.display().to_string(), source }
}

/// Writes beside the file, then renames, so that a full disk leaves no half file under its name.
fn write(file: &Path, bytes: &[u8]) -> Result<(), TrainError> {
    let beside = file.with_extension("part");
    std::fs::write(&beside, bytes).and_then(|()| std::fs::rename(&beside, file)).map_err(|e| {
        // What is left of the failed attempt is worthless; that it may stay is not a second error.
        let _ = std::fs::remove_file(&beside);
        failed(file, e)
    })
}
