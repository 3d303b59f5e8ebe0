//! The releases whose SAEs can be read: each has a file here that turns its layout into the one form.
//! Not here: where the files come from, and SAELens' own layout (`lens`).

use crate::blob::Blob;
use crate::weights::{self, Array, Matrix, TensorFiles};

use super::{Activation, Encoder, Error, Metadata, Normalisation, Parts, Sae, SaeFiles, lens};

mod config;
mod dictionary;
mod gemma_scope;
mod hook_z;
mod linear;
mod llama_scope;
mod openai;
mod other;
mod sparsify;
mod state;

use config::Config;
use other::Other;
use state::State;

/// Whose layout an SAE's files have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Release {
    /// SAELens.
    SaeLens,
    /// Gemma Scope 1 (`params.npz`) and 2 (`params.safetensors`).
    GemmaScope,
    /// Llama Scope.
    LlamaScope,
    /// OpenAI's TopK autoencoders for GPT-2.
    OpenAi,
    /// EleutherAI's sparsify, formerly `sae`.
    Sparsify,
    /// `dictionary_learning` and SAEBench.
    DictionaryLearning,
    /// Kissane et al.'s SAEs on the concatenated z of attention heads.
    HookZ,
    /// Two linear layers in a PyTorch file: Goodfire, qresearch.
    Linear,
}

/// The files of one SAE of a release.
#[derive(Clone, Debug)]
pub struct Files {
    /// Whose layout they have.
    pub release: Release,
    /// The configuration; Gemma Scope, OpenAI and two linear layers have none.
    pub config: Option<Blob>,
    /// The tensors.
    pub weights: Blob,
    /// How often each latent fired in training, where the release has it.
    pub sparsity: Option<Blob>,
}

/// The memory that an SAE takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Bytes that must be there: what is converted or turned when it is opened.
    pub held: u64,
    /// Bytes that stay in the file and are read as they are needed; the system keeps of them what fits.
    pub mapped: u64,
}

/// Opens an SAE.
///
/// # Errors
/// [`Error::Read`], [`Error::Config`], [`Error::Unsupported`] and [`Error::Weights`], each naming the file.
pub fn open(files: &Files) -> Result<Sae, Error> {
    let (config, weights) = (files.config.as_ref(), &files.weights);
    let config_or = |name: &'static str| config.ok_or(Error::NoConfig { file: weights.name().to_owned(), name });
    match files.release {
        Release::SaeLens => lens::open(&SaeFiles {
            config: config_or("cfg.json")?.clone(),
            weights: vec![weights.clone()],
            sparsity: files.sparsity.clone(),
        }),
        Release::GemmaScope => gemma_scope::open(config, weights),
        Release::LlamaScope => llama_scope::open(config_or("hyperparams.json")?, weights),
        Release::OpenAi => openai::open(weights),
        Release::Sparsify => sparsify::open(config_or("cfg.json")?, weights),
        Release::DictionaryLearning => dictionary::open(config_or("config.json")?, weights),
        Release::HookZ => hook_z::open(config, weights),
        Release::Linear => linear::open(weights),
    }
}

/// The memory that an SAE takes, told from headers alone.
///
/// # Errors
/// [`Error::Weights`], naming the file.
pub fn memory(files: &Files) -> Result<Memory, Error> {
    let weights = &files.weights;
    let whole = |size: u64| Memory { held: 0, mapped: size };
    Ok(match files.release {
        Release::SaeLens | Release::Sparsify => whole(tensors(weights)?.size()),
        Release::GemmaScope => gemma_scope::memory(weights)?,
        Release::LlamaScope => {
            let tensors = tensors(weights)?;
            // The decoder is turned when it is opened.
            let held = tensors.bytes("decoder.weight").unwrap_or(0);
            Memory { held, mapped: tensors.size().saturating_sub(held) }
        }
        Release::OpenAi | Release::DictionaryLearning | Release::HookZ | Release::Linear => {
            State::open(weights)?.memory()
        }
    })
}

/// A release's safetensors file.
fn tensors(weights: &Blob) -> Result<TensorFiles, weights::Error> {
    TensorFiles::open(std::slice::from_ref(weights))
}

/// A shape that is no matrix, for messages.
fn no_matrix(file: &str, tensor: &str, found: &[usize], expected: &str) -> Error {
    Error::Weights(weights::Error::Shape {
        file: file.to_owned(),
        tensor: tensor.to_owned(),
        found: found.to_vec(),
        expected: expected.to_owned(),
    })
}

/// An SAE of `parts`; errors that know only the part are made to name the file. `names` gives the names that the file
/// has for SAELens' names.
fn finish(parts: Parts, metadata: Metadata, file: &str, names: &[(&str, &str)]) -> Result<Sae, Error> {
    let mut sae = Sae::new(parts).map_err(|error| match error {
        Error::PartNotFinite { tensor, value, index } => {
            let name = names.iter().find(|(ours, _)| *ours == tensor).map_or(tensor, |(_, theirs)| theirs);
            Error::Weights(weights::Error::NotFinite { file: file.to_owned(), tensor: name.to_owned(), value, index })
        }
        Error::K { .. } | Error::Groups { .. } | Error::Empty { .. } => {
            Error::Config { file: file.to_owned(), why: error.to_string() }
        }
        error => error,
    })?;
    sae.metadata = metadata;
    Ok(sae)
}

/// Refuses a factor for each latent that is not all ones: SAELens wrote ones for a while, which say nothing, and any other
/// would change the latents. The tolerance is that of `torch.allclose`, which SAELens asks.
pub(super) fn ones(tensors: &TensorFiles, tensor: &str, supported: &str) -> Result<(), Error> {
    let is_one = |factor: &f32| (factor - 1.0).abs() <= 1.001e-5;
    if !tensors.has(tensor) || tensors.get(tensor)?.iter().all(is_one) {
        return Ok(());
    }
    let (file, what) = (tensors.file_of(tensor), format!("a `{tensor}` that is not all ones"));
    Err(Error::Unsupported { file, what, supported: supported.to_owned() })
}

/// θ for all latents.
fn one_threshold(threshold: f32, width: usize) -> Activation {
    Activation::JumpRelu { threshold: Array::owned(vec![threshold; width], &[width]) }
}
