//! Wrong files of Llama, Gemma and GPT-NeoX: what their configs and tensors have beside GPT-2's.
//! Not here: what is wrong in the same way for every model (`tests/it/bad_model.rs`).

use candle_core::Device;
use proptest::prelude::*;
use saescope::model::{Error, Logits, Model, ModelScope, Pass, load, load_part, memory_needed, needs, wanted};
use saescope::task::Cancel;
use serde_json::{Value, json};

use crate::support::spoiled_model::Spoiled;

const FAMILIES: [&str; 4] = ["llama", "gemma2", "pythia", "gemma3"];

fn refused(model: &str, changes: Value, says: &[&str]) {
    let error = Spoiled::of(model).config(changes).refused(&[&["config.json"], says].concat());
    assert!(matches!(error, Error::Config { .. }), "{error}");
}

#[test]
fn a_config_with_wrong_values_is_refused_by_key() {
    for model in FAMILIES {
        for key in ["hidden_size", "num_hidden_layers", "intermediate_size", "num_attention_heads", "vocab_size"] {
            // The configs of Gemma 3 leave out what is as usual.
            if model != "gemma3" || !["num_attention_heads", "vocab_size"].contains(&key) {
                refused(model, json!({key: null}), &[key]);
            }
            refused(model, json!({key: 0}), &[key]);
            refused(model, json!({key: "24"}), &[key]);
        }
    }
    refused("llama", json!({"head_dim": null, "hidden_size": 25}), &["hidden_size", "25"]);
    refused("llama", json!({"num_key_value_heads": 3}), &["num_attention_heads` 4", "num_key_value_heads` 3"]);
    refused("llama", json!({"hidden_act": "prelu"}), &["prelu", "silu"]);
    refused("llama", json!({"rms_norm_eps": -1}), &["rms_norm_eps"]);
    refused("gemma2", json!({"query_pre_attn_scalar": 0}), &["query_pre_attn_scalar"]);
    refused("gemma2", json!({"attn_logit_softcapping": -3}), &["attn_logit_softcapping"]);
    refused("gemma2", json!({"sliding_window": "wide"}), &["sliding_window"]);
    refused("gemma2", json!({"layer_types": ["full_attention"]}), &["layer_types", "1 entries for 3 layers"]);
    refused("gemma2", json!({"layer_types": ["linear", "full_attention", "linear"]}), &["layer_types", "linear"]);
    refused("gemma2", json!({"layer_types": "full_attention"}), &["layer_types"]);
    refused("gemma2", json!({"use_bidirectional_attention": true}), &["use_bidirectional_attention"]);
    refused("gemma3", json!({"sliding_window_pattern": 0}), &["sliding_window_pattern"]);
    refused("gemma3", json!({"layer_types": ["full_attention"]}), &["layer_types", "1 entries for 4 layers"]);
    refused("gemma3", json!({"use_bidirectional_attention": true}), &["use_bidirectional_attention"]);
    refused("gemma3", json!({"rope_local_base_freq": 0, "rope_parameters": null}), &["rope_local_base_freq"]);
    refused("gemma3", json!({"rope_parameters": {"full_attention": 3}}), &["rope_parameters.full_attention"]);
    let local = json!({"sliding_attention": {"rope_type": "su"}});
    refused("gemma3", json!({"rope_parameters": local}), &["rope_parameters.sliding_attention.rope_type", "`su`"]);
    refused("gemma3_sees", json!({"text_config": null}), &["text_config"]);
    refused("gemma3_sees", json!({"text_config": {"hidden_size": 0}}), &["text_config.hidden_size"]);
    refused("pythia", json!({"head_dim": 4}), &["head_dim"]);
    refused("pythia", json!({"rotary_pct": 1.5}), &["1.5 of each head"]);
    refused("pythia", json!({"use_parallel_residual": 1}), &["use_parallel_residual"]);
}

#[test]
fn scaled_angles_that_cannot_be_computed_are_refused_by_key() {
    let rope = |scaling: Value, says: &[&str]| refused("llama", json!({"rope_scaling": scaling}), says);
    rope(json!({"rope_type": "longrope", "factor": 2}), &["rope_scaling.short_factor", "not there"]);
    rope(json!({"rope_type": "longrope", "short_factor": [1, 2]}), &["rope_scaling.short_factor", "2 factors for 3"]);
    rope(json!({"rope_type": "longrope", "short_factor": [1, 0, 2]}), &["rope_scaling.short_factor", "greater than 0"]);
    rope(json!({"type": "su"}), &["rope_scaling.rope_type", "`su`"]);
    rope(json!({"type": "linear"}), &["rope_scaling.factor"]);
    rope(json!({"type": "linear", "factor": 0}), &["rope_scaling.factor", "greater than 0"]);
    rope(json!({"rope_type": "llama3", "factor": 8}), &["rope_scaling.low_freq_factor"]);
    rope(json!({"type": "linear", "rope_theta": 1e-38, "factor": 1e-30}), &["angles that are not finite"]);
    rope(json!([1, 2]), &["rope_scaling", "must be an object"]);
    refused("llama", json!({"rope_parameters": {"rope_theta": "large"}}), &["rope_parameters.rope_theta"]);
    refused("llama", json!({"head_dim": 2_000_000_000}), &["2000000000"]);
    refused("llama", json!({"head_dim": 5}), &["5 of a head's 5 values"]);
}

#[test]
fn longrope_is_computed_up_to_the_context_before_its_scaling() {
    let model = load(&Spoiled::of("llama_longrope").files(), &Device::Cpu).expect("the fixture").model;
    assert_eq!(model.shape().context, 32, "of the 64 that its config states");
    let pass = Pass { layers: None, logits: Logits::None, hook: None, cancel: &Cancel::new() };
    let error = model.forward(&[1; 33], &mut model.cache(), pass).expect_err("refused").to_string();
    assert_eq!(error, "33 tokens are more than the 32 the model can take");
}

#[test]
fn what_a_model_sees_with_is_neither_read_nor_counted() {
    let spoiled = Spoiled::of("gemma3_sees");
    let files = spoiled.files();
    let all: Vec<String> = saescope::weights::TensorFiles::open(&files.weights)
        .map(|tensors| tensors.names().into_iter().map(str::to_owned).collect())
        .expect("the fixture");
    let names: Vec<&str> = all.iter().map(String::as_str).collect();
    let wanted = wanted(&files.config, ModelScope::Whole, &names).expect("known");
    let seen = all.iter().filter(|name| name.contains("vision") || name.contains("projector")).count();
    assert_eq!((seen, wanted.required.len()), (3, all.len() - 3));
    assert!(wanted.required.iter().all(|name| name.starts_with("language_model.")));
    // Embedding and final norm, made f32.
    assert_eq!(needs(&files).expect("known").words(), (290 * 16 + 16) * 4);
}

#[test]
fn quantised_weights_are_refused_by_name() {
    let config = json!({"quantization_config": {"quant_method": "bitsandbytes", "load_in_4bit": true}});
    refused("llama", config, &["quantised by bitsandbytes", "BF16"]);
    let spoiled = Spoiled::of("llama").weights(|header, data| {
        let name = "model.layers.1.mlp.up_proj.weight";
        let offsets = header[name]["data_offsets"].clone();
        let (start, end) = (offsets[0].as_u64().expect("a start"), offsets[1].as_u64().expect("an end"));
        let removed = (end - start) / 4 * 3;
        data.drain((end - removed) as usize..end as usize);
        for entry in header.as_object_mut().expect("an object").values_mut() {
            for offset in entry.get_mut("data_offsets").and_then(Value::as_array_mut).into_iter().flatten() {
                let value = offset.as_u64().expect("an offset");
                *offset = json!(if value > start { value - removed } else { value });
            }
        }
        header[name]["dtype"] = json!("I8");
    });
    spoiled.refused(&["model.safetensors", "layers.1.mlp.up_proj.weight", "I8", "F8_E4M3", "BF16"]);
}

#[test]
fn a_missing_shard_is_told_by_the_tensor_it_should_hold() {
    for shard in 0..2 {
        let spoiled = Spoiled::of("llama3");
        let mut files = spoiled.files();
        files.weights.remove(shard);
        let error = load(&files, &Device::Cpu).err().expect("refused");
        let kept = files.weights[0].name();
        assert!(matches!(error, Error::Weights(_)) && error.to_string().contains(kept), "{error}");
        assert!(error.to_string().contains("has no tensor"), "{error}");
    }
    assert!(load(&Spoiled::of("gemma2_old").files(), &Device::Cpu).is_ok());
}

#[test]
fn tensors_that_do_not_fit_the_config_are_named_with_both_shapes() {
    let refused = |model: &str, changes: Value, says: &[&str]| Spoiled::of(model).config(changes).refused(says);
    refused("llama", json!({"num_key_value_heads": 4}), &["k_proj.weight", "[12, 24]", "[24, 24]"]);
    refused("llama", json!({"tie_word_embeddings": false, "vocab_size": 291}), &["embed_tokens", "[291, 24]"]);
    refused("llama", json!({"attention_bias": true}), &["q_proj.bias"]);
    refused("llama_linear", json!({"num_hidden_layers": 3}), &["layers.2."]);
    refused("gemma2", json!({"head_dim": 6}), &["q_proj.weight", "[32, 20]", "[24, 20]"]);
    refused("pythia", json!({"intermediate_size": 41}), &["dense_h_to_4h.weight", "[41, 32]"]);
}

#[test]
fn a_weight_that_is_no_number_is_named_when_it_is_first_needed() {
    for (model, tensor) in [
        ("llama", "model.layers.1.mlp.down_proj.weight"),
        ("gemma2", "model.layers.2.post_feedforward_layernorm.weight"),
        ("gemma3", "model.layers.3.self_attn.q_norm.weight"),
        ("neox", "gpt_neox.layers.0.attention.query_key_value.bias"),
    ] {
        let error = Spoiled::of(model).element(tensor, 5, f32::NAN).first_failure().expect_err("refused");
        assert!(error.to_string().contains(tensor) && error.to_string().contains("element 5"), "{error}");
    }
}

#[test]
fn the_words_alone_need_no_block() {
    for model in ["llama", "gemma2", "gemma3", "pythia", "prefixed"] {
        let spoiled = Spoiled::of(model).weights(|header, _| {
            // Nothing of a block is left but its bytes.
            let names: Vec<String> = header.as_object().expect("an object").keys().cloned().collect();
            for name in names.iter().filter(|name| name.contains("layers.") || name.contains(".h.")) {
                let entry = header.as_object_mut().expect("an object").remove(name).expect("it is there");
                header[format!("gone.{name}")] = entry;
            }
        });
        assert!(load(&spoiled.files(), &Device::Cpu).is_err());
        let words = load_part(&spoiled.files(), &Device::Cpu, ModelScope::Unembedding).expect("the words");
        let whole = load(&Spoiled::of(model).files(), &Device::Cpu).expect("the fixture");
        assert_eq!(words.model.shape(), whole.model.shape());
        let direction = |model: &dyn Model| model.unembedding().expect("the words").token_direction(7);
        assert_eq!(direction(&*words.model), direction(&*whole.model));
        assert_eq!(words.tokenizer.bos(), whole.tokenizer.bos());
        let pass = Pass { layers: Some(0), logits: Logits::None, hook: None, cancel: &Cancel::new() };
        let error = words.model.forward(&[1], &mut words.model.cache(), pass).expect_err("nothing can be run");
        assert!(matches!(error, Error::WeightsOnly), "{error}");
    }
}

#[test]
fn memory_is_that_of_the_files_whatever_the_family() {
    for model in ["llama", "llama3", "gemma2", "gemma2_old", "gemma3", "pythia", "neox"] {
        let spoiled = Spoiled::of(model);
        let needs = needs(&spoiled.files()).expect("known");
        let on_disk: u64 = spoiled.files().weights.iter().map(|blob| blob.size().expect("a size")).sum();
        // Masks of old are not read.
        let on_disk = if model == "pythia" { on_disk - 2 * 64 * 64 } else { on_disk };
        // Matrices as small as these are made f32 when they are read.
        let on_disk = if ["llama3", "gemma2_old", "pythia"].contains(&model) { 2 * on_disk } else { on_disk };
        let weights = needs.embedding + needs.head + needs.blocks.iter().sum::<u64>();
        assert!(weights <= on_disk && weights + 16384 > on_disk, "{model}: {needs:?} of {on_disk}");
        assert_eq!(needs.tied, model.starts_with("gemma"), "{model}");
        assert!(needs.words() < weights && needs.words() > weights / 10, "{model}: {needs:?}");
    }
    // Two heads of 8 values are kept of Gemma's four, for each of 64 positions.
    assert_eq!(needs(&Spoiled::of("gemma2").files()).expect("known").cache, 2 * 64 * 2 * 8 * 4);
}

fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        (0u64..70).prop_map(Value::from),
        "linear|yarn|llama3|default|gelu|.*".prop_map(Value::from),
        Just(json!(["full_attention", "sliding_attention", 3])),
        Just(json!({"rope_type": "yarn", "factor": 1e300, "rope_theta": 1e-300, "beta_fast": 1e38})),
        Just(json!({"type": "longrope", "short_factor": [1, 1e-38, 1e38, 2], "original_max_position_embeddings": 0.1})),
        Just(
            json!({"full_attention": {"rope_theta": 1e-300}, "sliding_attention": {"type": "linear", "factor": 1e38}})
        ),
        Just(json!({"type": "llama3", "factor": 1e-30, "low_freq_factor": 4, "high_freq_factor": 4})),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn any_config_loads_or_is_refused(
        model in 0usize..4, changes in prop::collection::vec((0usize..25, any_value()), 0..4),
    ) {
        const KEYS: [&str; 25] = [
            "hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "head_dim", "vocab_size",
            "intermediate_size", "max_position_embeddings", "rms_norm_eps", "layer_norm_eps", "rope_theta",
            "rope_scaling", "rope_parameters", "rotary_pct", "rotary_emb_base", "sliding_window", "layer_types",
            "query_pre_attn_scalar", "attn_logit_softcapping", "final_logit_softcapping", "tie_word_embeddings",
            "original_max_position_embeddings", "sliding_window_pattern", "rope_local_base_freq", "attention_bias",
        ];
        let changes: serde_json::Map<_, _> = changes.into_iter().map(|(key, value)| (KEYS[key].to_owned(), value)).collect();
        let spoiled = Spoiled::of(FAMILIES[model]).config(Value::Object(changes));
        if load(&spoiled.files(), &Device::Cpu).is_ok() {
            // What loads may overflow or not, but runs without a panic.
            let _ = spoiled.first_failure();
        }
        let _ = memory_needed(&spoiled.files());
        let _ = load_part(&spoiled.files(), &Device::Cpu, ModelScope::Unembedding);
        let _ = load_part(&spoiled.files(), &Device::Cpu, ModelScope::Blocks(1));
    }
}
