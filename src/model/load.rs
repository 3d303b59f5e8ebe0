//! Opens the files of a model: which family it is of, its tensors, how much memory it needs.
//! Not here: the families, and where the files come from.

use std::sync::Arc;

use candle_core::Device;

use super::config::Config;
use super::decoder::Decoder;
use super::families::{family, text_config};
use super::model_scope::{ModelScope, Wanted};
use super::needs::Needs;
use super::weight_loader::{KEPT_FROM, WeightLoader};
use super::weights_only::WeightsOnly;
use super::{Error, Loaded, Model, ModelFiles, Shape, Stated, Tokenizer};
use crate::blob::Blob;
use crate::weights::TensorFiles;

/// Loads a model and its tokenizer. On the CPU the weights stay mapped from their files; on another device they are
/// copied to it. That every tensor is there with the right shape and type is seen at once; the values of a block are
/// read when a pass first goes through it, so that blocks which no question needs cost nothing. Each value is then
/// looked at once: a number that is none can be traced to its tensor and not to a screen full of NaN.
///
/// # Errors
/// [`Error::Read`], [`Error::Config`], [`Error::Architecture`], [`Error::Tokenizer`], [`Error::Weights`].
pub fn load(files: &ModelFiles, device: &Device) -> Result<Loaded, Error> {
    load_part(files, device, ModelScope::Whole)
}

/// As [`load`], as much of the model as is said: the files need hold no more than that, and nothing else of them is
/// read.
///
/// # Errors
/// As [`load`].
pub fn load_part(files: &ModelFiles, device: &Device, extent: ModelScope) -> Result<Loaded, Error> {
    load_at(files, (!device.is_cpu()).then_some(device), KEPT_FROM, extent)
}

/// As [`load_part`]; without a device the weights are mapped and this program's own kernels run. Matrices of
/// `kept_from` elements stay in the element type of their file.
pub(super) fn load_at(
    files: &ModelFiles,
    device: Option<&Device>,
    kept_from: usize,
    extent: ModelScope,
) -> Result<Loaded, Error> {
    let config = Config::read(&files.config)?;
    let family = family(&config)?;
    let parts =
        WeightLoader::new(TensorFiles::open(&files.weights)?, device, family.plan().prefixes).keeping(kept_from);
    let model: Box<dyn Model> = if extent == ModelScope::Unembedding {
        let plan = family.plan();
        Box::new(WeightsOnly { unembedding: plan.unembedding(&parts)?, shape: plan.shape.clone() })
    } else {
        Box::new(Decoder::load(family, parts, extent)?)
    };
    let tokenizer = tokenizer(&config, files, model.shape())?;
    Ok(Loaded { model: model.into(), tokenizer })
}

impl Loaded {
    /// No model, for questions that need none: nothing can be run, no latent has words.
    #[must_use]
    pub fn nothing() -> Self {
        let shape = Shape { d_model: 0, layers: 0, heads: 0, d_head: 0, vocab: 0, context: 0, parallel: false };
        Self { model: Arc::new(WeightsOnly { shape, unembedding: None }), tokenizer: Tokenizer::none() }
    }
}

/// Which of a model's tensors an extent takes, by the names that its files have.
///
/// # Errors
/// [`Error::Read`], [`Error::Config`], [`Error::Architecture`].
pub fn wanted(config: &Blob, extent: ModelScope, names: &[&str]) -> Result<Wanted, Error> {
    Ok(Wanted::of(family(&Config::read(config)?)?.plan(), extent, names))
}

/// The bytes that each part of the model takes, from config and headers.
///
/// # Errors
/// [`Error::Read`], [`Error::Config`], [`Error::Architecture`], [`Error::Weights`] when files or headers cannot be read.
pub fn needs(files: &ModelFiles) -> Result<Needs, Error> {
    needs_of(files, ModelScope::Whole)
}

/// The same of as much of the model as is said.
///
/// # Errors
/// As [`needs`].
pub fn needs_of(files: &ModelFiles, extent: ModelScope) -> Result<Needs, Error> {
    let config = Config::read(&files.config)?;
    let family = family(&config)?;
    let plan = family.plan();
    Needs::of(plan, &WeightLoader::new(TensorFiles::open(&files.weights)?, None, plan.prefixes), &config, extent)
}

/// The bytes that the whole model takes; see [`Needs`].
///
/// # Errors
/// As [`needs`].
pub fn memory_needed(files: &ModelFiles) -> Result<u64, Error> {
    needs(files).map(|needs| needs.through(None))
}

fn tokenizer(config: &Config, files: &ModelFiles, shape: &Shape) -> Result<Tokenizer, Error> {
    let bos = config.token("bos_token_id").or_else(|| text_config(config).ok()?.token("bos_token_id"));
    let stated = Stated {
        config: files.said.config.as_ref(),
        specials: files.said.specials.as_ref(),
        added: files.said.added.as_ref(),
        model_type: config.text("model_type")?,
        class: config.text("tokenizer_class").unwrap_or_default(),
        bos,
        rows: Some(shape.vocab),
        own_word: files.said.own_word,
    };
    Tokenizer::load_as(&files.tokenizer, stated)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use candle_core::Tensor;

    use super::*;
    use crate::blob::Blob;
    use crate::model::{Cache, Hook, Logits, Pass, TokenizerFiles, TokenizerSaid};
    use crate::site::Site;
    use crate::task::Cancel;

    fn files(name: &str, weights: &[&str]) -> ModelFiles {
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
        let folder = fixtures.join("models").join(name);
        ModelFiles {
            config: Blob::path(folder.join("config.json")),
            weights: weights.iter().map(|file| Blob::path(folder.join(file))).collect(),
            tokenizer: TokenizerFiles::Json(Blob::path(fixtures.join("tokenizer/tokenizer.json"))),
            said: TokenizerSaid::default(),
        }
    }

    /// Keeps all activations and changes some, so that a replaced activation is followed too.
    struct Keep(Vec<Vec<f32>>);

    impl Hook for Keep {
        fn is_active(&self, _: Site) -> bool {
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
        let alone = [
            "plain",
            "untied",
            "varied",
            "half",
            "llama",
            "llama_linear",
            "llama_yarn",
            "gemma2",
            "gemma3",
            "pythia",
            "neox",
            "neox_parallel",
            "llama_proportional",
            "llama_float8",
            "mistral",
            "qwen2",
            "qwen3",
            "olmo2",
        ];
        let shards = &["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"][..];
        let all = alone.into_iter().map(|name| (name, one)).chain([
            ("bfloat", one),
            ("llama3", shards),
            ("llama_compiled", shards),
        ]);
        // Half precision made f32 when it is read, and kept on the device as it is stored.
        for ((name, weights), kept_from) in all.flat_map(|model| [(model, KEPT_FROM), (model, 0)]) {
            let files = files(name, weights);
            let mapped = load_at(&files, None, KEPT_FROM, ModelScope::Whole).unwrap().model;
            let placed = load_at(&files, Some(&Device::Cpu), kept_from, ModelScope::Whole).unwrap().model;
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
    fn half_precision_kept_as_stored_gives_the_very_bits_that_converting_it_gives() {
        let (one, two) = ("model.safetensors", "model-00001-of-00002.safetensors");
        let shards = &[two, "model-00002-of-00002.safetensors"][..];
        for (name, weights) in [("half", &[one][..]), ("bfloat", &[one]), ("pythia", &[one]), ("llama3", shards)] {
            let files = files(name, weights);
            let model = |kept_from| load_at(&files, None, kept_from, ModelScope::Whole).unwrap().model;
            let (kept, made) = (model(0), model(usize::MAX));
            let bytes = |model: &dyn Model| model.unembedding().unwrap().matrix().bytes();
            assert_eq!(2 * bytes(&*kept), bytes(&*made));
            let run = |model: &dyn Model| run(model, &[289, 5, 9, 77, 3, 12, 4, 4, 200], &mut model.cache());
            assert!(run(&*kept) == run(&*made), "{name}");
        }
    }

    #[test]
    fn what_is_looked_up_stays_in_its_file_and_what_is_kept_as_f32_could_be_halved() {
        let needs = |name: &str, kept_from| {
            let files = files(name, &["model.safetensors"]);
            let config = Config::read(&files.config).unwrap();
            let family = family(&config).unwrap();
            let tensors = TensorFiles::open(&files.weights).unwrap();
            let parts = WeightLoader::new(tensors, None, family.plan().prefixes).keeping(kept_from);
            Needs::of(family.plan(), &parts, &config, ModelScope::Whole).unwrap()
        };
        // Its head is not its embedding; both are [290, 16] as f32.
        let (made, kept) = (needs("untied", usize::MAX), needs("untied", 290 * 16));
        let rows = 290 * 16 * 4;
        assert_eq!((made.looked_up, kept.looked_up, made.tied), (0, rows, false));
        assert_eq!(kept.through(None) + rows, made.through(None), "only rows of the embedding are read");
        assert_eq!(made.halved, None);
        let halved = kept.halved.unwrap();
        assert_eq!((halved.head, halved.looked_up), (kept.head / 2, rows / 2));
        assert_eq!(halved.blocks, kept.blocks, "small matrices are f32 in either case");
        // The embedding is the head: all of it is read for words and predictions.
        assert_eq!(needs("plain", 1).looked_up, 0);
        let words = needs("plain", 1);
        assert_eq!(words.words(), words.embedding);
    }

    #[test]
    fn memory_counts_small_matrices_as_made_and_large_ones_as_stored() {
        let tensors = TensorFiles::open(&files("half", &["model.safetensors"]).weights).unwrap();
        let parts = |kept_from| WeightLoader::new(tensors.clone(), None, &["transformer."]).keeping(kept_from);
        let bytes = |kept_from| parts(kept_from).bytes(|name| name == "transformer.wte.weight", false);
        assert_eq!([bytes(290 * 16), bytes(290 * 16 + 1)], [290 * 16 * 2, 290 * 16 * 4]);
    }
}
