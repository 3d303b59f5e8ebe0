//! Where a latent's pre-activation on z comes from, against attention weights and values of `transformers`.
//! Not here: the command and the session (`tests/it/attribution.rs`).

use std::path::{Path, PathBuf};

use saescope::analysis::attribution::AttentionCapture;
use saescope::analysis::card::{LogitLens, names};
use saescope::analysis::{Attribution, tokens};
use saescope::blob::Blob;
use saescope::device::DeviceName;
use saescope::model::{
    AttentionPattern, Backend, Hook, Loaded, Logits, ModelFiles, ModelScope, Pass, TokenizerFiles, TokenizerSaid,
};
use saescope::sae::{Activation, Normalisation, Sae, SaeWeights};
use saescope::site::Site;
use saescope::task::Cancel;
use saescope::weights::{Array, TensorFiles};

/// The block that the fixtures are about.
const LAYER: usize = 1;
const MODELS: [&str; 9] =
    ["plain", "varied", "llama", "llama3", "llama_linear", "llama_yarn", "gemma2", "pythia", "neox"];
/// Those whose values have a bias, or whose norm before them has.
const BIASED: [&str; 5] = ["plain", "varied", "llama_linear", "pythia", "neox"];

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// The model on the CPU, and as a card computes it, the CPU in the card's place.
fn everywhere(name: &str) -> [Loaded; 2] {
    let folder = fixtures().join("models").join(name);
    let files = std::fs::read_dir(&folder).expect("the fixture").map(|entry| entry.expect("a file").path());
    let mut weights: Vec<PathBuf> = files
        .filter(|path| path.extension().is_some_and(|end| end == "safetensors"))
        .filter(|path| !path.ends_with("reference.safetensors"))
        .collect();
    weights.sort();
    let files = ModelFiles {
        config: Blob::path(folder.join("config.json")),
        weights: weights.into_iter().map(Blob::path).collect(),
        tokenizer: TokenizerFiles::Json(Blob::path(fixtures().join("tokenizer/tokenizer.json"))),
        said: TokenizerSaid::default(),
    };
    let place = |name| Backend::open(name).expect("is always there");
    [DeviceName::Cpu, DeviceName::StandIn]
        .map(|name| place(name).load(&files, ModelScope::Whole).expect("the fixture loads"))
}

struct Reference {
    tensors: TensorFiles,
    ids: Vec<u32>,
}

impl Reference {
    fn of(name: &str) -> Self {
        let file = Blob::path(fixtures().join("attribution").join(format!("{name}.safetensors")));
        let json = std::fs::read(fixtures().join("attribution").join(format!("{name}.json"))).expect("the tokens");
        Self {
            tensors: TensorFiles::open(&[file]).expect("the reference"),
            ids: serde_json::from_slice(&json).expect("token numbers"),
        }
    }

    fn get(&self, name: &str) -> Array {
        self.tensors.get(name).unwrap_or_else(|error| panic!("{error}"))
    }

    fn sae(&self) -> Sae {
        let w_enc = self.get("w_enc");
        let (d, width) = (w_enc.shape()[0], w_enc.shape()[1]);
        let parts = SaeWeights {
            w_dec: Array::owned(w_enc.to_vec(), &[width, d]).into(),
            w_enc: w_enc.into(),
            b_enc: self.get("b_enc"),
            b_dec: self.get("b_dec"),
            apply_b_dec_to_input: true,
            rescale_acts_by_decoder_norm: false,
            activation: Activation::Relu,
            normalisation: Normalisation::None,
        };
        Sae::new(parts).expect("fits together")
    }
}

fn close(name: &str, got: &[f32], want: &[f32]) {
    assert_eq!(got.len(), want.len(), "{name}");
    let largest = want.iter().fold(0.0f32, |max, value| max.max(value.abs()));
    for (at, (got, want)) in got.iter().zip(want).enumerate() {
        assert!((got - want).abs() <= 1e-4 * want.abs() + 1e-5 * largest, "{name} at {at}: {got}, expected {want}");
    }
}

/// Keeps the weights of one block, pass after pass.
#[derive(Default)]
struct Keep {
    rows: Vec<Vec<f32>>,
    told: Vec<usize>,
}

impl Hook for Keep {
    fn is_active(&self, _: Site) -> bool {
        false
    }

    fn visit(&mut self, _: Site, _: &candle_core::Tensor) -> candle_core::Result<Option<candle_core::Tensor>> {
        Ok(None)
    }

    fn wants_pattern(&self, layer: usize) -> bool {
        layer == LAYER
    }

    fn attention_pattern(&mut self, layer: usize, attention_pattern: &AttentionPattern) -> candle_core::Result<()> {
        self.told.push(layer);
        for row in 0..attention_pattern.weights.dim(1)? {
            self.rows.push(attention_pattern.weights.narrow(1, row, 1)?.flatten_all()?.to_vec1()?);
        }
        Ok(())
    }
}

#[test]
fn the_weights_of_a_block_are_those_of_transformers_and_of_no_other_block() {
    for name in MODELS {
        let reference = Reference::of(name);
        for loaded in everywhere(name) {
            let (mut keep, mut cache) = (Keep::default(), loaded.model.cache());
            for ids in [&reference.ids[..7], &reference.ids[7..]] {
                let pass = Pass { layers: None, logits: Logits::None, hook: Some(&mut keep), cancel: &Cancel::new() };
                loaded.model.forward(ids, &mut cache, pass).expect("a pass");
            }
            assert_eq!(keep.told, [LAYER; 2], "{name}");
            let want = reference.get("weights");
            let (heads, n) = (want.shape()[0], want.shape()[1]);
            for (query, row) in keep.rows.iter().enumerate() {
                let seen = row.len() / heads;
                let want: Vec<f32> =
                    (0..heads).flat_map(|head| want[(head * n + query) * n..][..seen].to_vec()).collect();
                close(&format!("{name}: weights of {query}"), row, &want);
            }
        }
    }
}

#[test]
fn directions_of_z_mean_the_words_that_they_mean_through_the_output_projection() {
    for name in MODELS {
        let reference = Reference::of(name);
        for loaded in everywhere(name) {
            let outputs = loaded.model.head_outputs(LAYER).expect("is read").expect("the block is there");
            let Loaded { model, tokenizer } = &loaded;
            let words =
                LogitLens { unembedding: model.unembedding().expect("a head"), tokenizer, outputs: Some(&outputs) };
            let (sae, vocab) = (reference.sae(), model.shape().vocab);
            let (want, all) = (reference.get("words"), names(&sae, &[0, 1, 2], words, vocab).expect("latents"));
            for (latent, promoted) in all {
                let want = &want[latent as usize * vocab..(latent as usize + 1) * vocab];
                let mut got = vec![f32::NAN; vocab];
                for token in &promoted {
                    got[token.id as usize] = token.value;
                }
                close(&format!("{name}: words of {latent}"), &got, want);
                let row = sae.decoder_row(latent as usize).expect("a row");
                let back: f32 = words.direction(7).iter().zip(row.iter()).map(|(a, b)| a * b).sum();
                let largest = want.iter().fold(0.0f32, |max, value| max.max(value.abs()));
                assert!((back - want[7]).abs() < 1e-4 * largest, "{name}: {back} {}", want[7]);
            }
            assert!(model.head_outputs(99).expect("is no error").is_none());
        }
    }
}

fn attribution(
    loaded: &Loaded,
    reference: &Reference,
    sae: &Sae,
    asked: (usize, usize, &[f32]),
    exact: bool,
) -> Attribution {
    let (latent, position, bias) = asked;
    let ids = &reference.ids[..=position];
    let all =
        AttentionCapture::at_last(&*loaded.model, LAYER, ids, loaded.model.cache(), &Cancel::new()).expect("a pass");
    // From a cache that knows less, as much, or more than what stands before the position.
    let mut cache = loaded.model.cache();
    let pass = Pass { layers: None, logits: Logits::None, hook: None, cancel: &Cancel::new() };
    loaded.model.forward(&reference.ids, &mut cache, pass).expect("a pass");
    let again = AttentionCapture::at_last(&*loaded.model, LAYER, ids, cache.clone(), &Cancel::new()).expect("a pass");
    cache.truncate(3);
    let short = AttentionCapture::at_last(&*loaded.model, LAYER, ids, cache, &Cancel::new()).expect("a pass");
    let views = tokens::views(&reference.ids, &loaded.tokenizer);
    let bias = (!bias.is_empty()).then_some(bias);
    let of =
        |mixture: &AttentionCapture| mixture.attribute(sae, latent, (false, bias), 0.0, &views).expect("is attributed");
    // Products of other devices may change a last bit with the number of rows.
    if exact {
        assert_eq!(of(&all), of(&again));
        assert_eq!(of(&all), of(&short));
        of(&all)
    } else {
        of(&short)
    }
}

#[test]
fn parts_bias_and_pre_activation_are_those_of_transformers_and_numpy() {
    for name in MODELS {
        let reference = Reference::of(name);
        for (loaded, exact) in everywhere(name).into_iter().zip([true, false]) {
            let value_bias = loaded.model.value_bias(LAYER).expect("is read");
            assert_eq!(value_bias.is_some(), BIASED.contains(&name), "{name}");
            if let Some(bias) = &value_bias {
                close(&format!("{name}: the values' bias"), bias, &reference.get("value_bias"));
            }
            let folded = value_bias.map(|bias| ("folded", reference.sae().shifted(&bias).expect("is moved"), bias));
            for (convention, sae, bias) in [("raw", reference.sae(), Vec::new())].into_iter().chain(folded) {
                for (position, latent) in [11, 5].into_iter().flat_map(|position| (0..3).map(move |at| (position, at)))
                {
                    let what = format!("{name}, {convention}, position {position}, latent {latent}");
                    let got = attribution(&loaded, &reference, &sae, (latent, position, &bias), exact);
                    let want = reference.get(&format!("{convention}.{position}.parts"));
                    let each = want.len() / 3;
                    close(&what, &got.parts.concat(), &want[latent * each..(latent + 1) * each]);
                    let pre = reference.get(&format!("{convention}.{position}.pre_activation"))[latent];
                    let heads: f64 = got.heads.iter().map(|head| f64::from(head.value)).sum();
                    let sources: f64 = got.sources.iter().map(|source| f64::from(source.value)).sum();
                    let size: f64 = got.parts.concat().iter().map(|part| f64::from(part.abs())).sum();
                    for (sum, what) in [(heads, "heads"), (sources, "sources")] {
                        let sum = sum + f64::from(got.bias);
                        assert!(
                            (sum - f64::from(got.pre_activation)).abs() < 1e-5 * size,
                            "{name}: {what} {sum} {got:?}"
                        );
                    }
                    assert!(f64::from((got.pre_activation - pre).abs()) < 1e-5 * size, "{what}: {got:?} {pre}");
                    let share: f32 = got.heads.iter().map(|head| head.decoder_share).sum();
                    assert!((share - 1.0).abs() < 1e-5);
                }
            }
        }
    }
}
