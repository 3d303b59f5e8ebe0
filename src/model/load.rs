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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use candle_core::Tensor;

    use super::*;
    use crate::blob::Blob;
    use crate::model::{Cache, Hook, Logits, Pass, TokenizerFiles};
    use crate::site::Site;
    use crate::task::Cancel;

    fn files(name: &str, weights: &[&str]) -> ModelFiles {
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
        let folder = fixtures.join("models").join(name);
        ModelFiles {
            config: Blob::path(folder.join("config.json")),
            weights: weights.iter().map(|file| Blob::path(folder.join(file))).collect(),
            tokenizer: TokenizerFiles::Json(Blob::path(fixtures.join("tokenizer/tokenizer.json"))),
        }
    }

    /// Keeps all activations and changes some, so that a replaced activation is followed too.
    struct Keep(Vec<Vec<f32>>);

    impl Hook for Keep {
        fn wants(&self, _: Site) -> bool {
            true
        }
        fn visit(&mut self, site: Site, activation: &Tensor) -> candle_core::Result<Option<Tensor>> {
            self.0.push(activation.flatten_all()?.to_vec1()?);
            (site.layer == 1).then(|| activation.affine(0.9, 0.1)).transpose()
        }
    }

    fn run(model: &dyn Model, ids: &[u32], cache: &mut Cache) -> Vec<Vec<f32>> {
        let mut keep = Keep(Vec::new());
        let pass = Pass { layers: None, logits: Logits::All, hook: Some(&mut keep), cancel: &Cancel::new() };
        let logits = model.forward(ids, cache, pass).unwrap().unwrap();
        keep.0.push(logits.flatten_all().unwrap().to_vec1().unwrap());
        keep.0
    }

    #[test]
    fn the_path_of_other_devices_agrees_with_the_mapped_one() {
        let one = &["model.safetensors"][..];
        for (name, weights) in [("plain", one), ("untied", one), ("varied", one), ("half", one)] {
            let files = files(name, weights);
            let mapped = load_at(&files, None).unwrap().model;
            let placed = load_at(&files, Some(&Device::Cpu)).unwrap().model;
            let (mut here, mut there) = (mapped.cache(), placed.cache());
            for ids in [&[289, 5, 9, 77, 3][..], &[12], &[4, 4, 200]] {
                let (want, got) = (run(&*mapped, ids, &mut here), run(&*placed, ids, &mut there));
                assert_eq!(want.len(), got.len());
                for (want, got) in want.iter().zip(&got) {
                    let largest = want.iter().fold(0.0f32, |max, value| max.max(value.abs()));
                    let error = want.iter().zip(got).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                    assert!(error <= 1e-4 * largest, "{name}: {error} of {largest}");
                }
            }
        }
    }

    #[test]
    fn single_precision_stays_mapped_and_half_precision_is_converted() {
        let tensors = |name| TensorFiles::open(&files(name, &["model.safetensors"]).weights).unwrap();
        let array = |name| Parts::new(tensors(name), None, "transformer.").array("wte.weight", &[290, 16]).unwrap();
        assert!(array("prefixed").is_mapped());
        assert!(!array("half").is_mapped());
    }
}
