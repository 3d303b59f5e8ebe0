//! Files of releases that are damaged, lie or are of another kind: each gives one error that names file and tensor or key.
//! Not here: SAELens folders (`sae_bad_input`), and archives and pickles as such (`src/weights`).

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;
use std::path::Path;

use proptest::prelude::*;
use saescope::blob::Blob;
use saescope::sae::formats::{self, Files, Format};
use saescope::sae::{Activation, Sae};
use serde_json::{Value, json};

type Tensors = BTreeMap<&'static str, (Vec<usize>, Vec<f32>)>;

fn safetensors(tensors: &Tensors) -> Vec<u8> {
    let (mut header, mut data) = (serde_json::Map::new(), Vec::new());
    for (name, (shape, values)) in tensors {
        let start = data.len();
        data.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        header.insert((*name).to_owned(), json!({"dtype": "F32", "shape": shape, "data_offsets": [start, data.len()]}));
    }
    let header = serde_json::to_vec(&header).unwrap();
    [&(header.len() as u64).to_le_bytes()[..], &header, &data].concat()
}

fn open(format: Format, config: Option<&str>, file: &str, weights: &[u8]) -> Result<Sae, String> {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| {
        std::fs::write(dir.path().join("x"), bytes).unwrap();
        std::fs::rename(dir.path().join("x"), dir.path().join(name)).unwrap();
        Blob::path(dir.path().join(name)).named(name.to_owned())
    };
    let config = config.map(|text| write("config.json", text.as_bytes()));
    let files = Files { format, config, weights: write(file, weights), sparsity: None };
    // What is opened says before how much memory it takes.
    let (memory, opened) = (formats::memory(&files), formats::open(&files));
    if opened.is_ok() {
        assert!(memory.is_ok(), "{memory:?}");
    }
    opened.map_err(|error| error.to_string())
}

fn filled(shape: &[usize]) -> (Vec<usize>, Vec<f32>) {
    (shape.to_vec(), vec![0.5; shape.iter().product()])
}

/// 3 inputs, 4 latents.
fn linear() -> Tensors {
    BTreeMap::from([
        ("encoder.weight", filled(&[4, 3])),
        ("encoder.bias", filled(&[4])),
        ("decoder.weight", filled(&[3, 4])),
        ("decoder.bias", filled(&[3])),
    ])
}

fn sparse() -> Tensors {
    BTreeMap::from([
        ("encoder.weight", filled(&[4, 3])),
        ("encoder.bias", filled(&[4])),
        ("W_dec", filled(&[4, 3])),
        ("b_dec", filled(&[3])),
    ])
}

fn gemma() -> Tensors {
    BTreeMap::from([
        ("w_enc", filled(&[3, 4])),
        ("w_dec", filled(&[4, 3])),
        ("b_enc", filled(&[4])),
        ("b_dec", filled(&[3])),
        ("threshold", filled(&[4])),
    ])
}

fn llama(config: &Value, tensors: &Tensors) -> Result<Sae, String> {
    open(Format::LlamaScope, Some(&config.to_string()), "final.safetensors", &safetensors(tensors))
}

fn good_llama() -> Value {
    json!({
        "act_fn": "jumprelu", "jump_relu_threshold": 0.3, "norm_activation": "dataset-wise", "d_model": 3, "d_sae": 4,
        "dataset_average_activation_norm": {"in": 2.0, "out": 2.0}, "sparsity_include_decoder_norm": true,
        "hook_point_in": "a", "hook_point_out": "a",
    })
}

/// `good` with other values, and what it is refused for.
fn changed(good: &Value, changes: &Value) -> Value {
    let mut config = good.clone();
    for (key, value) in changes.as_object().unwrap() {
        config[key] = value.clone();
    }
    config
}

#[test]
fn llama_scopes_that_cannot_be_read_say_why() {
    assert!(llama(&good_llama(), &linear()).is_ok());
    for (changes, why) in [
        (json!({"hook_point_out": "b"}), "a transcoder (it reads `a` and writes `b`) is not supported"),
        (json!({"is_transcoder": true}), "a transcoder (`is_transcoder` is true) is not supported"),
        (json!({"sae_type": "clt"}), "a cross-layer transcoder (its `sae_type` `clt` says so) is not supported"),
        (json!({"sae_type": "lorsa"}), "`sae_type` `lorsa` is not supported"),
        (json!({"use_glu_encoder": true}), "`use_glu_encoder` is not supported"),
        (json!({"act_fn": "gelu"}), "`act_fn` `gelu` is not supported"),
        (json!({"norm_activation": "token-wise"}), "`norm_activation` `token-wise` is not supported"),
        (json!({"jump_relu_threshold": null}), "`jump_relu_threshold` is missing"),
        (json!({"jump_relu_threshold": "0.3"}), "`jump_relu_threshold` must be a number, found \"0.3\""),
        (json!({"jump_relu_threshold": 1e300}), "`jump_relu_threshold` is inf"),
        (json!({"dataset_average_activation_norm": 2.0}), "`dataset_average_activation_norm` must be an object"),
        (json!({"dataset_average_activation_norm": {"in": 0, "out": 1}}), "expected a number above zero"),
        (json!({"dataset_average_activation_norm": {"in": 1, "out": 2}}), "of 1 in and 2 out is not supported"),
        (json!({"d_sae": 5}), "`d_sae` is 5, and the weights have 4"),
        (json!({"act_fn": "topk", "top_k": 9}), "k is 9, expected 1 to the number of latents, 4"),
    ] {
        let error = llama(&changed(&good_llama(), &changes), &linear()).unwrap_err();
        assert!(error.contains(why) && error.contains('`'), "{changes}: {error}");
    }
    let mut later = linear();
    later.insert("log_jumprelu_threshold", filled(&[4]));
    let norm = |later: &Tensors, shape: &[usize], value: f32| {
        let mut tensors = later.clone();
        let values = vec![value; shape.iter().product()];
        tensors.insert("dataset_average_activation_norm.a", (shape.to_vec(), values));
        let config = changed(&good_llama(), &json!({"dataset_average_activation_norm": null}));
        llama(&config, &tensors)
    };
    assert!(norm(&later, &[], 2.0).is_ok());
    assert!(norm(&later, &[], -2.0).unwrap_err().contains("expected a number above zero"));
    assert!(norm(&later, &[], f32::NAN).unwrap_err().contains("dataset_average_activation_norm"));
    assert!(norm(&later, &[2], 2.0).unwrap_err().contains("has shape [2], expected one value"));
    let relu = llama(&changed(&good_llama(), &json!({"act_fn": "relu"})), &linear()).unwrap();
    assert!(matches!(relu.parts().activation, Activation::Relu));
}

#[test]
fn tensors_that_are_missing_or_misshapen_are_named() {
    for (name, shape) in [("encoder.bias", vec![5]), ("decoder.weight", vec![4, 3]), ("decoder.bias", vec![4])] {
        let mut tensors = linear();
        tensors.insert(name, filled(&shape));
        let error = llama(&good_llama(), &tensors).unwrap_err();
        assert!(error.contains(name) && error.contains("final.safetensors"), "{error}");
        tensors.remove(name);
        let error = llama(&good_llama(), &tensors).unwrap_err();
        assert_eq!(error, format!("`final.safetensors` has no tensor `{name}`"));
    }
    let mut tensors = linear();
    tensors.insert("mystery", filled(&[1]));
    assert!(llama(&good_llama(), &tensors).unwrap_err().contains("`mystery`"));
    for (name, at) in [("encoder.weight", 7), ("decoder.weight", 7)] {
        let mut tensors = linear();
        tensors.get_mut(name).unwrap().1[at] = f32::NAN;
        let error = llama(&good_llama(), &tensors).unwrap_err();
        assert!(error.contains(name) && error.contains("NaN"), "{error}");
    }
}

#[test]
fn sparse_coders_that_are_no_saes_say_why() {
    let sparsify = |config: &Value, tensors: &Tensors| {
        open(Format::Sparsify, Some(&config.to_string()), "sae.safetensors", &safetensors(tensors))
    };
    let good = json!({"k": 2, "d_in": 3, "num_latents": 0});
    assert!(sparsify(&good, &sparse()).is_ok());
    for (changes, why) in [
        (json!({"transcode": true}), "a transcoder"),
        (json!({"skip_connection": true}), "a skip connection"),
        (json!({"signed": true}), "negative activations"),
        (json!({"activation": "maxout"}), "`activation` `maxout`"),
        (json!({"activation": "groupmax", "k": 3}), "k is 3, which does not divide the 4 latents into groups"),
        (json!({"activation": "groupmax", "k": 0}), "k is 0"),
        (json!({"k": null}), "k is 32, expected 1 to the number of latents, 4"),
        (json!({"k": 0}), "k is 0"),
        (json!({"k": -1}), "`k` must be a whole number"),
        (json!({"num_latents": 5}), "`num_latents` is 5, and the weights have 4"),
        (json!({"d_in": 4}), "`d_in` is 4, and the weights have 3"),
    ] {
        let error = sparsify(&changed(&good, &changes), &sparse()).unwrap_err();
        assert!(error.contains(why), "{changes}: {error}");
    }
    let mut skip = sparse();
    skip.insert("W_skip", filled(&[3, 3]));
    assert!(sparsify(&good, &skip).unwrap_err().contains("W_skip"));
    let mut wide = sparse();
    wide.insert("W_dec", filled(&[4, 5]));
    assert!(sparsify(&good, &wide).unwrap_err().contains("a transcoder (it writes 5 values and reads 3)"));
}

#[test]
fn gemma_scopes_that_are_no_saes_say_why() {
    let open_gemma = |config: Option<&str>, tensors: &Tensors| {
        open(Format::GemmaScope, config, "params.safetensors", &safetensors(tensors))
    };
    assert!(open_gemma(None, &gemma()).is_ok());
    let with = |name: &'static str, shape: &[usize]| {
        let mut tensors = gemma();
        tensors.insert(name, filled(shape));
        open_gemma(None, &tensors).unwrap_err()
    };
    assert!(with("w_dec", &[4, 5]).contains("a transcoder (it writes 5 values and reads 3)"));
    assert!(with("w_dec", &[4, 2, 3]).contains("writes to several layers"));
    assert!(with("scale", &[1]).contains("`scale`"));
    assert!(with("threshold", &[3]).contains("`threshold`"));
    assert!(with("w_enc", &[0, 4]).contains("both at least 1"));
    let config = json!({"hf_hook_point_in": "a", "hf_hook_point_out": "b"}).to_string();
    assert!(open_gemma(Some(&config), &gemma()).unwrap_err().contains("reads `a` and writes `b`"));
    for (config, why) in [
        (json!({"type": "transcoder"}), "a transcoder (its `type` `transcoder` says so)"),
        (json!({"type": "clt"}), "a cross-layer transcoder (its `type` `clt` says so)"),
        (json!({"type": "crosscoder"}), "a crosscoder (its `type` `crosscoder` says so)"),
        (json!({"type": "\u{1b}[2J"}), "`type` `\\u{1b}[2J` is not supported"),
        (json!({"type": "sae", "affine_connection": true}), "a transcoder (`affine_connection` is true)"),
    ] {
        let error = open_gemma(Some(&config.to_string()), &gemma()).unwrap_err();
        assert!(error.contains(why), "{config}: {error}");
    }
    let named = |config: Option<&str>| {
        let tensors = safetensors(&gemma());
        open(Format::GemmaScope, config, "transcoder_l5.safetensors", &tensors).map(drop)
    };
    assert!(named(None).unwrap_err().contains("`transcoder_l5.safetensors` is its name, and nothing in it says"));
    // What a configuration says goes before a name.
    assert_eq!(named(Some(r#"{"type": "sae"}"#)), Ok(()));
    let scaled = |factor: f32| {
        let mut tensors = gemma();
        tensors.insert("scaling_factor", (vec![4], vec![1.0, 1.0, 1.0, factor]));
        open_gemma(None, &tensors)
    };
    assert!(scaled(1.000_005).is_ok());
    assert!(scaled(1.1).unwrap_err().contains("a `scaling_factor` that is not all ones is not supported"));
    let config = json!({"architecture": "gated"}).to_string();
    assert!(open_gemma(Some(&config), &gemma()).unwrap_err().contains("architecture `gated`"));
}

fn fixture(path: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/formats").join(path)).unwrap()
}

#[test]
fn classes_that_are_unknown_or_do_not_fit_their_file_say_so() {
    let dictionary = |config: &Value, file: &str| {
        open(Format::DictionaryLearning, Some(&config.to_string()), "ae.pt", &fixture(file))
    };
    let top_k = "dictionary_AutoEncoderTopK/ae.pt";
    let trainer = |class: &str, more: &Value| json!({"trainer": changed(&json!({"dict_class": class}), more)});
    assert!(dictionary(&trainer("AutoEncoderTopK", &json!({})), top_k).is_ok(), "the file holds k");
    for (config, why) in [
        (json!({}), "`trainer` is missing"),
        (json!({"trainer": []}), "`trainer` must be an object"),
        (json!({"trainer": {}}), "`trainer.dict_class` is missing"),
        (
            trainer("IdentityDict", &json!({})),
            "`dict_class` `IdentityDict` is not supported; supported are `AutoEncoder`",
        ),
        (
            json!({"trainer": {"dict_class": "AutoEncoderTopK"}, "buffer": {"io": "in_and_out"}}),
            "a transcoder (`buffer.io` is `in_and_out`: it reads a module's input and writes its output)",
        ),
        (trainer("BatchTopKCrossCoder", &json!({})), "a crosscoder (`dict_class` is `BatchTopKCrossCoder`)"),
        (trainer("AutoEncoderTopK", &json!({"k": 6})), "`trainer.k` is not the k of `ae.pt`"),
        (trainer("AutoEncoderTopK", &json!({"dict_size": 6})), "`dict_size` is 6, and the weights have 60"),
        (trainer("AutoEncoder", &json!({})), "which `AutoEncoder` does not have"),
        (trainer("MatryoshkaBatchTopKSAE", &json!({})), "which `MatryoshkaBatchTopKSAE` does not have"),
    ] {
        let error = dictionary(&config, top_k).unwrap_err();
        assert!(error.contains(why), "{config}: {error}");
    }
    let error = dictionary(&trainer("AutoEncoderNew", &json!({})), "sparsify/sae.safetensors").unwrap_err();
    assert!(error.contains("`ae.pt` cannot be read as a PyTorch file"), "{error}");
    let error = open(Format::OpenAi, None, "5.pt", &fixture("hook_z/gpt2-small_L5_Hcat_z_v9.pt")).unwrap_err();
    assert!(error.contains("which an autoencoder of this release does not have"), "{error}");
    let error = open(Format::HookZ, None, "z.pt", &fixture("openai_topk/5.pt")).unwrap_err();
    assert!(error.contains("`z.pt`"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_bytes_make_any_reader_panic(
        which in 0usize..5,
        edits in prop::collection::vec((any::<usize>(), any::<u8>()), 1..6),
        cut in prop::option::of(any::<usize>()),
    ) {
        let (format, config, weights) = [
            (Format::GemmaScope, None, "gemma_scope/params.npz"),
            (Format::LlamaScope, Some("llama_scope/hyperparams.json"), "llama_scope/checkpoints/final.safetensors"),
            (Format::DictionaryLearning, Some("dictionary_GatedAutoEncoder/config.json"), "dictionary_GatedAutoEncoder/ae.pt"),
            (Format::OpenAi, None, "openai_topk/5.pt"),
            (Format::Sparsify, Some("sparsify/cfg.json"), "sparsify/sae.safetensors"),
        ][which];
        let mut bytes = fixture(weights);
        let length = bytes.len();
        // Headers, directories and pickles lie at the ends.
        for (at, byte) in edits {
            let near = at % 1500.min(length);
            let place = if at % 2 == 0 { near } else { length - 1 - near };
            bytes[place] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut % length);
        }
        let config = config.map(|config| String::from_utf8(fixture(config)).unwrap());
        let file = Path::new(weights).file_name().unwrap().to_str().unwrap();
        let _ = open(format, config.as_deref(), file, &bytes);
    }
}
