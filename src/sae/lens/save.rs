//! The writer of SAELens folders: what it writes, SAELens 6 opens as any other.
//! Not here: training checkpoints, and what was trained on.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;

use safetensors::tensor::TensorView;
use safetensors::{Dtype, serialize};
use serde_json::{Value, json};

use super::super::{Activation, Error, Normalisation, Sae};

/// Writes `cfg.json` and `sae_weights.safetensors`, in f32, into `folder`, which is made where it is missing. Each file
/// appears whole or not at all.
///
/// # Errors
/// [`Error::Write`]; [`Error::Unlike`] for an SAE that SAELens has no words for.
pub fn save(folder: &Path, sae: &Sae) -> Result<(), Error> {
    let (architecture, vectors) = architecture(sae)?;
    fs::create_dir_all(folder).map_err(|source| failed(folder, source))?;
    write(&folder.join("sae_weights.safetensors"), &weights(sae, &vectors, folder)?)?;
    let config = format!("{:#}\n", config(sae, architecture));
    write(&folder.join("cfg.json"), config.as_bytes())
}

type Vectors<'a> = Vec<(&'static str, &'a [f32])>;

fn architecture(sae: &Sae) -> Result<(&'static str, Vectors<'_>), Error> {
    let parts = sae.parts();
    let b_enc = ("b_enc", &parts.b_enc[..]);
    let topk = matches!(parts.activation, Activation::TopK { .. });
    if sae.d_in() != sae.d_out() {
        return Err(Error::Unlike { what: "what SAELens calls an SAE reads and writes the same activation" });
    }
    if parts.rescale_acts_by_decoder_norm && !topk {
        return Err(Error::Unlike { what: "SAELens ranks by decoder norm only where it is TopK" });
    }
    Ok(match &parts.activation {
        Activation::Relu => ("standard", vec![b_enc]),
        Activation::JumpRelu { threshold } => ("jumprelu", vec![b_enc, ("threshold", threshold)]),
        Activation::TopK { .. } => ("topk", vec![b_enc]),
        Activation::GroupMax { .. } => {
            return Err(Error::Unlike { what: "SAELens has no architecture in which latents compete in groups" });
        }
        Activation::Gated { b_gate, b_mag, r_mag } => {
            ("gated", vec![("b_gate", &b_gate[..]), ("b_mag", b_mag), ("r_mag", r_mag)])
        }
    })
}

fn weights(sae: &Sae, vectors: &Vectors<'_>, folder: &Path) -> Result<Vec<u8>, Error> {
    let parts = sae.parts();
    // SAELens folds a factor for all tokens into the weights.
    let factor = if let Normalisation::Scale(factor) = parts.normalisation { factor } else { 1.0 };
    let (width, d_in) = (sae.width(), sae.d_in());
    let mut tensors: BTreeMap<&str, (Vec<usize>, Vec<u8>)> = BTreeMap::new();
    let bytes = |values: &[f32], factor: f32| values.iter().flat_map(|value| (value * factor).to_le_bytes()).collect();
    tensors.insert("W_enc", (vec![d_in, width], bytes(&parts.w_enc.to_array(), factor)));
    tensors.insert("W_dec", (vec![width, d_in], bytes(&parts.w_dec.to_array(), 1.0 / factor)));
    tensors.insert("b_dec", (vec![d_in], bytes(&parts.b_dec, 1.0 / factor)));
    for (name, values) in vectors {
        tensors.insert(name, (vec![width], bytes(values, 1.0)));
    }
    let invalid = |error| failed(folder, std::io::Error::other(error));
    let views =
        tensors.iter().map(|(name, (shape, bytes))| Ok((*name, TensorView::new(Dtype::F32, shape.clone(), bytes)?)));
    let views: Vec<_> = views.collect::<Result<_, safetensors::SafeTensorError>>().map_err(invalid)?;
    serialize(views, None).map_err(invalid)
}

fn config(sae: &Sae, architecture: &str) -> Value {
    let (parts, metadata) = (sae.parts(), &sae.metadata);
    let mut config = json!({
        "architecture": architecture,
        "d_in": sae.d_in(),
        "d_sae": sae.width(),
        "dtype": "float32",
        "device": "cpu",
        "apply_b_dec_to_input": parts.apply_b_dec_to_input,
        "normalize_activations": match parts.normalisation {
            Normalisation::None | Normalisation::Scale(_) => "none",
            Normalisation::ConstantNorm => "constant_norm_rescale",
            Normalisation::LayerNorm => "layer_norm",
        },
        "reshape_activations": "none",
        "metadata": {
            "sae_lens_version": "6.0.0",
            "model_name": metadata.model_name,
            "hook_name": metadata.hook_name,
            "hook_head_index": metadata.hook_head_index,
            "prepend_bos": metadata.prepend_bos,
            "context_size": metadata.context_size,
        },
    });
    if let Activation::TopK { k } = parts.activation {
        config["k"] = json!(k);
        config["rescale_acts_by_decoder_norm"] = json!(parts.rescale_acts_by_decoder_norm);
    }
    config
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let write = || {
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)
    };
    write().map(drop).map_err(|source| failed(path, source))
}

fn failed(path: &Path, source: std::io::Error) -> Error {
    Error::Write { file: path.display().to_string(), source }
}
