//! Model files that are wrong: each is refused with a message that names the file, and the tensor or the key.
//! Not here: what right files give (`tests/it/golden_model.rs`).

use std::fs;

use candle_core::Device;
use proptest::prelude::*;
use saescope::model::{Error, Logits, Pass, load, memory_needed, needs};
use saescope::task::Cancel;
use serde_json::{Value, json};

use crate::support::spoiled_model::Spoiled;

fn spoiled() -> Spoiled {
    Spoiled::of("prefixed")
}

#[test]
fn the_copy_itself_loads() {
    assert!(load(&spoiled().files(), &Device::Cpu).is_ok());
}

#[test]
fn a_header_that_lies_is_refused() {
    let with = |tensor: &str, entry: Value| spoiled().weights(|header, _| header[tensor] = entry);
    let name = "transformer.wte.weight";
    with(name, json!({"dtype": "F32", "shape": [290, 16], "data_offsets": [0, 99_999_999]}))
        .refused(&["model.safetensors"]);
    with(name, json!({"dtype": "F32", "shape": [u64::MAX, u64::MAX], "data_offsets": [0, 8]}))
        .refused(&["model.safetensors"]);
    with(name, json!({"dtype": "F32", "shape": [290, 16], "data_offsets": [16, 0]})).refused(&["model.safetensors"]);
    with(name, json!({"dtype": "F99", "shape": [290, 16], "data_offsets": [0, 18560]})).refused(&["model.safetensors"]);
    with(name, json!("no entry")).refused(&["model.safetensors"]);
}

#[test]
fn a_cut_file_is_refused() {
    let spoiled = Spoiled::of("prefixed");
    let path = spoiled.path("model.safetensors");
    let bytes = fs::read(&path).expect("weights");
    for length in [0, 3, 8, 100, bytes.len() / 2, bytes.len() - 1] {
        fs::write(&path, &bytes[..length]).expect("written");
        spoiled.refused(&["model.safetensors"]);
    }
    fs::write(&path, [&u64::MAX.to_le_bytes()[..], b"{}"].concat()).expect("written");
    spoiled.refused(&["model.safetensors"]);
    fs::remove_file(&path).expect("removed");
    spoiled.refused(&["model.safetensors"]);
}

#[test]
fn a_missing_tensor_is_named() {
    for tensor in ["wte.weight", "wpe.weight", "h.1.mlp.c_fc.bias", "h.0.attn.c_attn.weight", "ln_f.weight"] {
        let prefixed = format!("transformer.{tensor}");
        let spoiled = Spoiled::of("prefixed").weights(|header, _| {
            let entry = header.as_object_mut().expect("an object").remove(&prefixed).expect("it was there");
            header["something.else"] = entry;
        });
        let error = spoiled.refused(&["model.safetensors", tensor]);
        assert!(matches!(error, Error::Weights(_)));
    }
}

#[test]
fn a_block_that_no_question_needs_is_not_read() {
    let spoiled = Spoiled::of("prefixed").element("transformer.h.1.mlp.c_fc.weight", 0, f32::NAN);
    let model = load(&spoiled.files(), &Device::Cpu).expect("the headers are right").model;
    let run = |layers| {
        let pass = Pass { layers, logits: Logits::None, hook: None, cancel: &Cancel::new() };
        model.forward(&[1, 2], &mut model.cache(), pass).map(|_| ())
    };
    assert!(run(Some(1)).is_ok());
    assert!(matches!(run(Some(2)), Err(Error::Weights(_))));
    assert!(run(Some(1)).is_ok(), "what could be read still runs");
}

#[test]
fn a_tensor_of_the_wrong_shape_or_type_is_named_with_what_was_expected() {
    let spoiled = Spoiled::of("prefixed")
        .weights(|header, _| header["transformer.h.0.attn.c_attn.weight"]["shape"] = json!([48, 16]));
    spoiled.refused(&["model.safetensors", "h.0.attn.c_attn.weight", "[48, 16]", "[16, 48]"]);
    let spoiled = Spoiled::of("prefixed").weights(|header, _| header["transformer.ln_f.bias"]["dtype"] = json!("I32"));
    spoiled.refused(&["model.safetensors", "transformer.ln_f.bias", "I32"]);
}

#[test]
fn a_weight_that_is_no_number_is_named_with_its_place_when_it_is_first_needed() {
    for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        for tensor in ["wte.weight", "h.1.ln_2.bias", "h.0.mlp.c_proj.weight"] {
            let tensor = format!("transformer.{tensor}");
            let spoiled = Spoiled::of("prefixed").element(&tensor, 3, value);
            let error = spoiled.first_failure().expect_err("refused").to_string();
            for part in ["model.safetensors", &tensor, &value.to_string(), "element 3"] {
                assert!(error.contains(part), "`{part}` is not in: {error}");
            }
        }
    }
}

#[test]
fn weights_that_overflow_are_refused_when_they_do() {
    let mut spoiled = Spoiled::of("prefixed");
    for index in 0..16 {
        spoiled = spoiled.element("transformer.h.0.mlp.c_proj.bias", index, 3e38);
        spoiled = spoiled.element("transformer.h.1.mlp.c_proj.bias", index, 3e38);
    }
    let model = load(&spoiled.files(), &Device::Cpu).expect("finite").model;
    let run = |layers| {
        let pass = Pass { layers, logits: Logits::None, hook: None, cancel: &Cancel::new() };
        model.forward(&[1, 2], &mut model.cache(), pass).map(|_| ())
    };
    assert!(run(Some(0)).is_ok());
    let error = run(None).expect_err("overflow");
    assert!(matches!(error, Error::Overflow { blocks: 2 }), "{error}");
}

#[test]
fn a_config_that_does_not_fit_the_weights_is_refused() {
    let refused = |changes: Value, says: &[&str]| spoiled().config(changes).refused(says);
    refused(json!({"vocab_size": 300}), &["wte.weight", "[290, 16]", "[300, 16]"]);
    refused(json!({"num_hidden_layers": 3}), &["h.2."]);
    refused(json!({"num_hidden_layers": 2_000_000_000}), &["h.2."]);
    refused(json!({"max_position_embeddings": 2_000_000_000}), &["wpe.weight"]);
    refused(json!({"n_inner": 2_000_000_000}), &["c_fc.weight"]);
    refused(json!({"hidden_size": 2_000_000_000}), &["wte.weight"]);
}

#[test]
fn a_config_with_wrong_values_is_refused_by_key() {
    let refused = |changes: Value, key: &str| {
        let error = spoiled().config(changes).refused(&["config.json", key]);
        assert!(matches!(error, Error::Config { .. }), "{error}");
    };
    refused(json!({"hidden_size": null}), "n_embd");
    refused(json!({"num_attention_heads": 0}), "num_attention_heads");
    refused(json!({"num_attention_heads": 3}), "n_head");
    refused(json!({"num_hidden_layers": -1}), "num_hidden_layers");
    refused(json!({"vocab_size": 1e300}), "vocab_size");
    refused(json!({"vocab_size": "290"}), "vocab_size");
    refused(json!({"max_position_embeddings": 1.5}), "max_position_embeddings");
    refused(json!({"layer_norm_epsilon": -1e-5}), "layer_norm_epsilon");
    refused(json!({"layer_norm_epsilon": "small"}), "layer_norm_epsilon");
    refused(json!({"activation_function": "prelu"}), "prelu");
    refused(json!({"tie_word_embeddings": 1}), "tie_word_embeddings");
    refused(json!({"model_type": null}), "model_type");
    refused(json!({"model_type": 3}), "model_type");
}

#[test]
fn an_unknown_architecture_is_named_with_the_known_ones() {
    let error = spoiled().config(json!({"model_type": "mamba"})).refused(&[
        "config.json",
        "`mamba`",
        "gpt2, gemma2, gemma3, gemma3_text, llama, gpt_neox",
    ]);
    assert!(matches!(error, Error::Architecture { .. }));
}

#[test]
fn a_config_that_is_none_is_refused() {
    let spoiled = Spoiled::of("prefixed");
    for text in ["", "[]", "{", "null", "\u{0}", "{\"model_type\": \"gpt2\"}"] {
        fs::write(spoiled.path("config.json"), text).expect("written");
        spoiled.refused(&["config.json"]);
    }
    fs::write(spoiled.path("config.json"), b"\xff\xfe{}").expect("written");
    spoiled.refused(&["config.json"]);
    fs::remove_file(spoiled.path("config.json")).expect("removed");
    spoiled.refused(&["cannot read", "config.json"]);
}

#[test]
fn a_tokenizer_beyond_the_embedding_opens_and_refuses_what_has_no_row() {
    let smaller = spoiled().config(json!({"vocab_size": 280})).weights(|header, data| {
        let offsets = header["transformer.wte.weight"]["data_offsets"].clone();
        let (start, end) = (offsets[0].as_u64().expect("a start"), offsets[1].as_u64().expect("an end"));
        let removed = 10 * 16 * 4;
        data.drain((end - removed) as usize..end as usize);
        for entry in header.as_object_mut().expect("an object").values_mut() {
            if let Some(offsets) = entry["data_offsets"].as_array_mut() {
                for offset in offsets {
                    let value = offset.as_u64().expect("an offset");
                    *offset = json!(if value > start { value - removed } else { value });
                }
            }
        }
        header["transformer.wte.weight"]["shape"] = json!([280, 16]);
    });
    // As in transformers, which looks at token numbers when a row is looked up.
    assert!(smaller.first_failure().is_ok());
    let loaded = load(&smaller.files(), &Device::Cpu).expect("opens");
    assert_eq!((loaded.tokenizer.vocab_size(), loaded.tokenizer.bos()), (280, None));
    assert!(loaded.tokenizer.encode("a b").is_ok());
    let said = loaded.tokenizer.encode("a<|endoftext|>").expect_err("has no row").to_string();
    assert_eq!(said, "`<|endoftext|>` is token 289, and the model's embedding has 280 rows, from 0");
}

#[test]
fn memory_is_known_part_by_part_before_anything_is_loaded() {
    let (size, spoiled) = (|count: usize| count as u64 * 4, spoiled());
    let block = size(16 * 48 + 48 + 16 * 16 + 16 + 16 * 64 + 64 + 64 * 16 + 16 + 4 * 16);
    let needs = needs(&spoiled.files()).expect("known");
    assert_eq!((needs.blocks.as_slice(), needs.head, needs.tied), (&[block, block][..], 0, true));
    assert_eq!(needs.embedding, size(290 * 16 + 32 * 16 + 2 * 16));
    assert_eq!(needs.cache, size(2 * 32 * 16));
    let whole = needs.embedding + 2 * block + 2 * needs.cache;
    assert_eq!((needs.through(None), needs.through(Some(9))), (whole, whole));
    assert_eq!(needs.words(), needs.embedding);
    assert_eq!(memory_needed(&spoiled.files()).expect("known"), whole);
    let within = [whole, whole - 1, needs.embedding, needs.embedding - 1].map(|free| needs.layers_within(free));
    assert_eq!(within, [Some(2), Some(1), Some(0), None]);
}

#[test]
fn a_long_context_is_not_all_taken_at_once_and_sizes_that_lie_are_refused() {
    let long = spoiled().config(json!({"max_position_embeddings": 2_000_000_000}));
    assert_eq!(needs(&long.files()).expect("known").cache, 2 * 4096 * 16 * 4);
    let deep = spoiled().config(json!({"num_hidden_layers": 2_000_000_000}));
    assert!(needs(&deep.files()).expect_err("it lies").to_string().contains("2000000000"));
    assert!(memory_needed(&spoiled().config(json!({"model_type": "mamba"})).files()).is_err());
}

fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        (0u64..40).prop_map(Value::from),
        "gelu|gelu_new|gpt2|.*".prop_map(Value::from),
        Just(json!([1, 2])),
        Just(json!({"a": 1})),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn any_config_loads_or_is_refused(
        changes in prop::collection::vec((0usize..14, any_value()), 0..4),
    ) {
        const KEYS: [&str; 14] = [
            "n_embd", "hidden_size", "n_layer", "num_hidden_layers", "n_head", "num_attention_heads", "n_positions",
            "vocab_size", "n_inner", "layer_norm_epsilon", "activation_function", "tie_word_embeddings",
            "scale_attn_by_inverse_layer_idx", "bos_token_id",
        ];
        let changes: serde_json::Map<_, _> = changes.into_iter().map(|(key, value)| (KEYS[key].to_owned(), value)).collect();
        let spoiled = Spoiled::of("prefixed").config(Value::Object(changes));
        let _ = load(&spoiled.files(), &Device::Cpu);
        let _ = memory_needed(&spoiled.files());
    }

    #[test]
    fn any_change_of_the_weights_loads_or_is_refused(at in 0usize..40_000, bytes in prop::collection::vec(any::<u8>(), 1..12)) {
        let spoiled = Spoiled::of("prefixed");
        let path = spoiled.path("model.safetensors");
        let mut whole = fs::read(&path).expect("weights");
        // Half of the changes fall into the header.
        let at = if at.is_multiple_of(2) { at % 2000 } else { at % (whole.len() - 12) };
        whole[at..at + bytes.len()].copy_from_slice(&bytes);
        fs::write(&path, whole).expect("written");
        let _ = load(&spoiled.files(), &Device::Cpu);
    }
}
