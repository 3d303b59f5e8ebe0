//! The reader of SAELens folders: `cfg.json`, `sae_weights.safetensors`, `sparsity.safetensors`, of every version.
//! Not here: other releases' formats, and where the files come from.
//!
//! What a version of SAELens would refuse (a tensor the architecture does not have, one that is missing) is refused
//! here too: an SAE that is read half is worse than one that is not read.

use crate::blob::Blob;
use crate::weights::{self, Array, TensorFiles};

use super::formats::ones;
use super::{Activation, Encoder, Error, Sae, SaeWeights};

mod config;
mod save;

use config::{Architecture, Config};
pub use save::save;

/// The files of one SAE.
#[derive(Clone, Debug)]
pub struct SaeFiles {
    /// `cfg.json`.
    pub config: Blob,
    /// `sae_weights.safetensors`, or its parts.
    pub weights: Vec<Blob>,
    /// `sparsity.safetensors`, where there is one.
    pub sparsity: Option<Blob>,
}

/// Opens an SAE; its matrices stay mapped, in the element type of the file.
///
/// # Errors
/// [`Error::Read`], [`Error::Config`], [`Error::Unsupported`] and [`Error::Weights`], each naming the file.
pub fn open(files: &SaeFiles) -> Result<Sae, Error> {
    let mut config = Config::open(&files.config)?;
    let tensors = TensorFiles::open(&files.weights)?;
    let parts = parts(&config, &tensors)?;
    let mut sae = Sae::new(parts).map_err(|error| in_file(error, &config, &tensors))?;
    if let Some(blob) = &files.sparsity {
        sae.log_sparsity = log_sparsity(blob, sae.width(), &mut config.metadata.notes);
    }
    sae.metadata = config.metadata;
    Ok(sae)
}

/// Reads only the configuration: for checks before anything large is opened.
///
/// # Errors
/// [`Error::Read`], [`Error::Config`], [`Error::Unsupported`].
pub fn metadata(config: &Blob) -> Result<super::Metadata, Error> {
    Ok(Config::open(config)?.metadata)
}

/// How often latents fired in training changes no number: where the file does not fit it is left out, and a note says so.
fn log_sparsity(blob: &Blob, width: usize, notes: &mut Vec<String>) -> Option<Array> {
    let read = || TensorFiles::open(std::slice::from_ref(blob))?.get_shaped("sparsity", &[width]);
    read().map_err(|error| notes.push(format!("{error}: how often latents fired in training is left out"))).ok()
}

fn parts(config: &Config, tensors: &TensorFiles) -> Result<SaeWeights, Error> {
    refuse_strangers(config, tensors)?;
    for tensor in ["scaling_factor", "finetuning_scaling_factor"] {
        let supported = format!("fold it into the weights, or remove it and set it aside in `{}`", config.file);
        ones(tensors, tensor, &supported)?;
    }
    let (width, d_in) = match *tensors.shape("W_dec")? {
        [width, d_in] if width > 0 && d_in > 0 => (width, d_in),
        ref found => {
            return Err(Error::Weights(weights::Error::Shape {
                file: tensors.file_of("W_dec"),
                tensor: "W_dec".to_owned(),
                found: found.to_vec(),
                expected: "[latents, d_in], both at least 1".to_owned(),
            }));
        }
    };
    refuse_transposed(tensors, width, d_in)?;
    config.must_be(d_in, width, "W_dec", &tensors.file_of("W_dec"))?;
    let vector = |tensor: &str| tensors.get_shaped(tensor, &[width]);
    let activation = match config.architecture {
        Architecture::Standard => Activation::Relu,
        Architecture::TopK { k } => Activation::TopK { k },
        Architecture::JumpRelu | Architecture::BatchTopK => {
            Activation::JumpRelu { threshold: threshold(tensors, width)? }
        }
        Architecture::Gated => {
            Activation::Gated { b_gate: vector("b_gate")?, b_mag: vector("b_mag")?, r_mag: vector("r_mag")? }
        }
    };
    let b_enc = match config.architecture {
        Architecture::Gated => Array::owned(vec![0.0; width], &[width]),
        _ => vector("b_enc")?,
    };
    Ok(SaeWeights {
        w_enc: Encoder::Columns(tensors.matrix("W_enc", d_in, width)?),
        b_enc,
        w_dec: tensors.matrix("W_dec", width, d_in)?,
        b_dec: tensors.get_shaped("b_dec", &[d_in])?,
        apply_b_dec_to_input: config.apply_b_dec_to_input,
        rescale_acts_by_decoder_norm: config.rescale_acts_by_decoder_norm,
        activation,
        normalisation: config.normalisation,
    })
}

/// Fails where `W_dec` has the sides that `b_dec` says in the other order: else a tensor that is right would be blamed.
fn refuse_transposed(tensors: &TensorFiles, width: usize, d_in: usize) -> Result<(), Error> {
    match tensors.shape("b_dec") {
        Ok(&[size]) if size == width && size != d_in => Err(Error::Weights(weights::Error::Shape {
            file: tensors.file_of("W_dec"),
            tensor: "W_dec".to_owned(),
            found: vec![width, d_in],
            expected: format!("{:?}", [d_in, width]),
        })),
        _ => Ok(()),
    }
}

/// θ of every latent: as it is, as its logarithm (old training checkpoints), or one for all (BatchTopK checkpoints).
fn threshold(tensors: &TensorFiles, width: usize) -> Result<Array, Error> {
    if tensors.has("topk_threshold") {
        let found = tensors.shape("topk_threshold")?;
        if found.iter().product::<usize>() != 1 {
            return Err(Error::Weights(weights::Error::Shape {
                file: tensors.file_of("topk_threshold"),
                tensor: "topk_threshold".to_owned(),
                found: found.to_vec(),
                expected: "one value".to_owned(),
            }));
        }
        let one = tensors.get("topk_threshold")?;
        return Ok(Array::owned(vec![one[0]; width], &[width]));
    }
    if tensors.has("log_threshold") {
        let log = tensors.get_shaped("log_threshold", &[width])?;
        return Ok(Array::owned(log.iter().map(|log| log.exp()).collect::<Vec<_>>(), &[width]));
    }
    Ok(tensors.get_shaped("threshold", &[width])?)
}

fn refuse_strangers(config: &Config, tensors: &TensorFiles) -> Result<(), Error> {
    let own: &[&str] = match config.architecture {
        Architecture::Standard | Architecture::TopK { .. } => &["b_enc"],
        Architecture::JumpRelu => &["b_enc", "threshold", "log_threshold"],
        Architecture::BatchTopK => &["b_enc", "threshold", "topk_threshold"],
        Architecture::Gated => &["b_gate", "b_mag", "r_mag"],
    };
    let known = ["W_enc", "W_dec", "b_dec", "scaling_factor", "finetuning_scaling_factor"];
    match tensors.names().into_iter().find(|name| !known.contains(name) && !own.contains(name)) {
        None => Ok(()),
        Some(tensor) => Err(Error::Config {
            file: config.file.clone(),
            why: format!(
                "architecture `{}` has no tensor `{tensor}`, but `{}` holds one",
                config.metadata.architecture,
                tensors.file_of(tensor)
            ),
        }),
    }
}

/// Names the file in an error that only knows the part.
fn in_file(error: Error, config: &Config, tensors: &TensorFiles) -> Error {
    match error {
        Error::PartNotFinite { tensor, value, index } => Error::Weights(weights::Error::NotFinite {
            file: tensors.file_of(tensor),
            tensor: tensor.to_owned(),
            value,
            index,
        }),
        Error::K { .. } => Error::Config { file: config.file.clone(), why: error.to_string() },
        error => error,
    }
}
