//! Opens the files of a model: which architecture it is, its tensors under whatever prefix, how much memory it needs.
//! Not here: the architectures, and where the files come from.

use candle_core::Device;

use super::config::Config;
use super::gpt2::Gpt2;
use super::layers::Values;
use super::{Error, Loaded, Model, ModelFiles, Tokenizer};
use crate::weights::{Array, TensorFiles};

/// The architectures that can be run, by the `model_type` of their `config.json`.
const SUPPORTED: [&str; 1] = ["gpt2"];

/// Loads a model and its tokenizer. On the CPU the weights stay mapped from their files; on another device they are
/// copied to it.
///
/// Every weight is read once to see that it is finite: one pass over the memory that the first run needs anyway, and a
/// wrong number can then be traced to its tensor and not to a screen full of NaN.
///
/// # Errors
/// [`Error::Read`], [`Error::Config`], [`Error::Architecture`], [`Error::Tokenizer`], [`Error::Weights`].
pub fn load(files: &ModelFiles, device: &Device) -> Result<Loaded, Error> {
    load_at(files, (!device.is_cpu()).then_some(device))
}

/// As [`load`]; without a device the weights are mapped and this program's own kernels run.
pub(super) fn load_at(files: &ModelFiles, device: Option<&Device>) -> Result<Loaded, Error> {
    let config = Config::read(&files.config)?;
    let bos = config.token("bos_token_id");
    let tensors = || TensorFiles::open(&files.weights);
    let model: Box<dyn Model> = match architecture(&config)? {
        "gpt2" => Box::new(Gpt2::load(&config, &Parts::new(tensors()?, device, "transformer."))?),
        other => return Err(unsupported(&config, other)),
    };
    let tokenizer = Tokenizer::load(&files.tokenizer, bos)?;
    tokenizer.fits(model.shape().vocab, files.config.name())?;
    Ok(Loaded { model: model.into(), tokenizer })
}

/// The bytes that the loaded model takes, of which the mapped ones can be taken back by the system: tensors as f32,
/// keys and values of a full context.
///
/// # Errors
/// [`Error::Read`], [`Error::Config`], [`Error::Architecture`], [`Error::Weights`] when files or headers cannot be read.
pub fn memory_needed(files: &ModelFiles) -> Result<u64, Error> {
    let config = Config::read(&files.config)?;
    architecture(&config)?;
    let tensors = TensorFiles::open(&files.weights)?;
    let weights: u64 = tensors
        .names()
        .iter()
        .map(|name| tensors.shape(name).map_or(0, |shape| shape.iter().map(|size| *size as u64).product::<u64>() * 4))
        .sum();
    let sizes = super::gpt2::sizes(&config)?;
    let cache = [2, sizes.layers, sizes.context, sizes.d_model, size_of::<f32>()];
    let cache = cache.into_iter().fold(1u64, |product, size| product.saturating_mul(size as u64));
    Ok(cache.saturating_add(weights))
}

fn architecture(config: &Config) -> Result<&str, Error> {
    let found = config.text("model_type")?.ok_or_else(|| config.bad("it has no `model_type`"))?;
    if SUPPORTED.contains(&found) { Ok(found) } else { Err(unsupported(config, found)) }
}

fn unsupported(config: &Config, found: &str) -> Error {
    Error::Architecture { file: config.file().to_owned(), found: found.to_owned(), supported: SUPPORTED.join(", ") }
}

/// The tensors of a model, as its parts ask for them.
pub(super) struct Parts<'d> {
    tensors: TensorFiles,
    device: Option<&'d Device>,
    prefix: &'static str,
}

impl<'d> Parts<'d> {
    /// Tensors that may or may not carry `prefix`.
    pub(super) fn new(tensors: TensorFiles, device: Option<&'d Device>, prefix: &'static str) -> Self {
        Self { tensors, device, prefix }
    }

    /// The tensor as f32 of this shape, checked to be finite.
    pub(super) fn array(&self, name: &str, shape: &[usize]) -> Result<Array, Error> {
        let prefixed = format!("{}{name}", self.prefix);
        let name = if self.tensors.has(&prefixed) { prefixed.as_str() } else { name };
        let array = self.tensors.get_shaped(name, shape)?;
        self.tensors.check_finite(name, &array)?;
        Ok(array)
    }

    /// The tensor of this shape, where the model runs.
    pub(super) fn values(&self, name: &str, shape: &[usize]) -> Result<Values, Error> {
        Ok(self.place(self.array(name, shape)?)?)
    }

    /// The array, where the model runs.
    pub(super) fn place(&self, array: Array) -> candle_core::Result<Values> {
        Values::new(array, self.device)
    }
}
