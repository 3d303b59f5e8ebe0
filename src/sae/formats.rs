//! The formats that SAEs can be read from: each has a file here that turns its layout into the one form.
//! Not here: what the files are called (`format`) and where they come from, and SAELens' own layout (`lens`).

use crate::blob::Blob;
pub use crate::format::{Files, Format};
use crate::weights::{self, Array, Matrix, TensorFiles};

use super::{Activation, Encoder, Error, Metadata, Normalisation, Sae, SaeFiles, SaeWeights, lens};

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

/// What is to be known of an SAE whose training left the first position out.
const NOT_BOS: &str = "trained on tokens other than BOS, so what fires there says nothing";

/// The memory that an SAE takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Bytes that must be there: what is converted or turned when it is opened.
    pub held: u64,
    /// Bytes that stay in the file and are read as they are needed; the system keeps of them what fits.
    pub mapped: u64,
}

/// What reads a format.
struct Reader {
    /// Opens the SAE.
    open: fn(&Files) -> Result<Sae, Error>,
    /// The memory that it takes, read from headers alone.
    memory: fn(&Blob) -> Result<Memory, Error>,
}

/// The reader of each format, in its own file.
const fn reader(format: Format) -> Reader {
    match format {
        // Published meta-SAEs have a reader of their own (`meta`); one that stands here is as SAELens would write it.
        Format::SaeLens | Format::BatchTopK => Reader { open: sae_lens, memory: mapped },
        Format::GemmaScope => Reader { open: gemma_scope::open, memory: gemma_scope::memory },
        Format::LlamaScope => Reader { open: llama_scope::open, memory: llama_scope::memory },
        Format::OpenAi => Reader { open: openai::open, memory: of_state },
        Format::Sparsify => Reader { open: sparsify::open, memory: mapped },
        Format::DictionaryLearning => Reader { open: dictionary::open, memory: of_state },
        Format::HookZ => Reader { open: hook_z::open, memory: of_state },
        Format::Linear => Reader { open: linear::open, memory: of_state },
    }
}

/// Opens an SAE.
///
/// # Errors
/// [`Error::Read`], [`Error::Config`], [`Error::Unsupported`] and [`Error::Weights`], each naming the file.
pub fn open(files: &Files) -> Result<Sae, Error> {
    (reader(files.format).open)(files)
}

/// The memory that an SAE takes, read from headers alone.
///
/// # Errors
/// [`Error::Weights`], naming the file.
pub fn memory(files: &Files) -> Result<Memory, Error> {
    (reader(files.format).memory)(&files.weights)
}

/// SAELens' own layout, which has a folder of its own (`lens`).
fn sae_lens(files: &Files) -> Result<Sae, Error> {
    let (config, weights) = (config(files)?.clone(), vec![files.weights.clone()]);
    lens::open(&SaeFiles { config, weights, sparsity: files.sparsity.clone() })
}

/// Everything stays in the file.
fn mapped(weights: &Blob) -> Result<Memory, Error> {
    Ok(Memory { held: 0, mapped: tensors(weights)?.size() })
}

/// As a state dictionary of PyTorch's is read.
fn of_state(weights: &Blob) -> Result<Memory, Error> {
    Ok(State::open(weights)?.memory())
}

/// The configuration of a format that cannot be read without it.
fn config(files: &Files) -> Result<&Blob, Error> {
    files.config.as_ref().ok_or_else(|| {
        let names = files.format.files(None);
        let name = names.and_then(|names| names.config).unwrap_or_else(|| "configuration".to_owned());
        Error::NoConfig { file: files.weights.name().to_owned(), name }
    })
}

/// A release's safetensors file.
fn tensors(weights: &Blob) -> Result<TensorFiles, weights::Error> {
    TensorFiles::open(std::slice::from_ref(weights))
}

/// A shape that is not a matrix, for messages.
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
fn finish(parts: SaeWeights, metadata: Metadata, file: &str, names: &[(&str, &str)]) -> Result<Sae, Error> {
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
