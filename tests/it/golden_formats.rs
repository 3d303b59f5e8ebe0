//! Every release's layout against its own code or sae-lens: latents and reconstructions of small SAEs.
//! Not here: how the fixtures are made (`fixtures/make_format_fixtures.py`), and SAELens' own layout (`golden_sae`).

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::{Path, PathBuf};

use saescope::blob::Blob;
use saescope::sae::formats::{self, Files, Format};
use saescope::sae::{Activation, Error, Normalisation, Sae};
use saescope::task::Cancel;
use saescope::weights::TensorFiles;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/formats").join(name)
}

fn files(name: &str, format: Format, config: Option<&str>, weights: &str) -> Files {
    let blob = |file: &str| Blob::path(folder(name).join(file)).named(file.to_owned());
    Files { format, config: config.map(blob), weights: blob(weights), sparsity: None }
}

/// Opens the SAE and compares what it encodes and decodes with `golden.safetensors`, within 1e-4 of a row's largest.
fn compare(name: &str, files: &Files) -> Sae {
    let sae = formats::open(files).unwrap_or_else(|error| panic!("{name}: {error}"));
    compare_sae(name, &sae);
    sae
}

/// Whether what an SAE decodes is clearly not what `golden.safetensors` has.
fn differs(name: &str, sae: &Sae) -> bool {
    let golden = TensorFiles::open(&[Blob::path(folder(name).join("golden.safetensors"))]).unwrap();
    let (x, want) = (golden.get("x").unwrap(), golden.get("x_hat").unwrap());
    let got = sae.decode(&sae.encode(&x, &Cancel::new()).unwrap()).unwrap();
    got.iter().zip(want.iter()).any(|(got, want)| (got - want).abs() > 0.1)
}

fn compare_sae(name: &str, sae: &Sae) {
    let golden = TensorFiles::open(&[Blob::path(folder(name).join("golden.safetensors"))]).unwrap();
    let x = golden.get("x").unwrap();
    let codes = sae.encode(&x, &Cancel::new()).unwrap();
    let mut dense = vec![0.0; codes.rows() * sae.width()];
    for row in 0..codes.rows() {
        let (latents, values) = codes.row(row);
        for (&latent, &value) in latents.iter().zip(values) {
            dense[row * sae.width() + latent as usize] = value;
        }
    }
    assert!(codes.latents.len() > 20, "{name}: hardly anything fires, so hardly anything is tested");
    assert_close(&format!("{name}, latents"), &dense, &golden.get("latents").unwrap(), sae.width());
    assert_close(&format!("{name}, x_hat"), &sae.decode(&codes).unwrap(), &golden.get("x_hat").unwrap(), sae.d_in());
}

fn assert_close(name: &str, got: &[f32], want: &[f32], row: usize) {
    assert_eq!(got.len(), want.len(), "{name}");
    for (index, (got, want)) in got.chunks(row).zip(want.chunks(row)).enumerate() {
        let largest = want.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
        for (at, (got, want)) in got.iter().zip(want).enumerate() {
            assert!((got - want).abs() <= 1e-4 * largest, "{name}, row {index}, {at}: {got} for {want}");
        }
    }
}

fn dictionary(class: &str) -> Sae {
    let name = format!("dictionary_{class}");
    let sae = compare(&name, &files(&name, Format::DictionaryLearning, Some("config.json"), "ae.pt"));
    assert_eq!(sae.metadata.architecture, class);
    assert_eq!((sae.metadata.hook_layer, sae.metadata.model_name.as_deref()), (Some(12), Some("google/gemma-2-2b")));
    sae
}

#[test]
fn gemma_scope_equals_sae_lens_in_either_order_of_its_arrays_compressed_or_with_a_factor_of_ones() {
    for name in ["gemma_scope", "gemma_scope_fortran", "gemma_scope_compressed", "gemma_scope_ones"] {
        let sae = compare(name, &files(name, Format::GemmaScope, None, "params.npz"));
        assert!(!sae.parts().apply_b_dec_to_input && sae.metadata.prepend_bos == Some(true), "{name}");
    }
}

#[test]
fn a_compressed_archive_takes_memory_of_its_own() {
    let memory = |name: &str| formats::memory(&files(name, Format::GemmaScope, None, "params.npz")).unwrap();
    let (compressed, plain) = (memory("gemma_scope_compressed"), memory("gemma_scope"));
    let all = 4 * (2 * 16 * 60 + 2 * 60 + 16);
    assert_eq!((compressed.held, compressed.mapped), (all, 0));
    assert_eq!(plain.held + plain.mapped, all);
}

#[test]
fn what_the_registry_of_sae_lens_says_of_an_input_can_be_said_of_an_sae() {
    let open = |name: &str| {
        let files = files(name, Format::SaeLens, Some("cfg.json"), "sae_weights.safetensors");
        formats::open(&files).unwrap()
    };
    let factor = open("registry_factor");
    assert!(differs("registry_factor", &factor), "the factor is in no file");
    let factor = factor.with_normalisation(Normalisation::Scale(1.895_852_2));
    assert_eq!(factor.metadata.notes, [""; 0], "what was said of the missing factor holds no longer");
    compare_sae("registry_factor", &factor);
    let norm = open("registry_norm");
    assert!(differs("registry_norm", &norm));
    compare_sae("registry_norm", &norm.with_normalisation(Normalisation::ConstantNorm));
    // An embedding on its way into the model is multiplied by the root of its length, which is 4 here.
    let embedding = formats::open(&files("gemma_scope_embedding", Format::GemmaScope, None, "params.npz")).unwrap();
    assert!(differs("gemma_scope_embedding", &embedding));
    compare_sae("gemma_scope_embedding", &embedding.with_normalisation(Normalisation::Scale(0.25)));
}

/// Gemma Scope's transcoders have the tensors of its SAEs; without a configuration only names tell them.
#[test]
fn transcoders_that_look_like_saes_are_refused_by_their_names() {
    let open = |fixture: &str, file: &str, name: &str, config: Option<&str>| {
        let blob = |file: &str| Blob::path(folder(fixture).join(file));
        let (weights, config) = (blob(file).named(name.to_owned()), config.map(blob));
        formats::open(&Files { format: Format::GemmaScope, config, weights, sparsity: None })
    };
    for (fixture, file, name, kind) in [
        (
            "gemma_scope",
            "params.npz",
            "google/gemma-scope-2b-pt-transcoders: layer_5/width_16k/average_l0_84/params.npz",
            "a transcoder",
        ),
        (
            "gemma_scope_2",
            "params.safetensors",
            "google/gemma-scope-2-1b-pt: transcoder_all/layer_5_width_16k_l0_small/params.safetensors",
            "a transcoder",
        ),
        (
            "gemma_scope_2",
            "params.safetensors",
            "google/gemma-scope-2-1b-pt: clt/width_262k_l0_big/params_layer_5.safetensors",
            "a cross-layer transcoder",
        ),
    ] {
        let error = open(fixture, file, name, None).unwrap_err();
        assert!(matches!(&error, Error::Unsupported { what, .. } if what.starts_with(kind)), "{error}");
        assert!(error.to_string().starts_with(&format!("`{name}`: {kind} (`")), "{error}");
    }
    assert!(open("gemma_scope", "params.npz", "google/gemma-scope-2b-pt-res: layer_5/params.npz", None).is_ok());
}

#[test]
fn gemma_scope_2_equals_sae_lens_and_its_transcoders_are_refused() {
    let name = "gemma_scope_2";
    let sae = compare(name, &files(name, Format::GemmaScope, Some("config.json"), "params.safetensors"));
    assert_eq!(sae.metadata.model_name.as_deref(), Some("google/gemma-3-1b-pt"));
    assert!(sae.parts().w_enc.matrix().is_mapped() && sae.parts().w_dec.is_mapped());
    // The configuration is not always there.
    compare(name, &files(name, Format::GemmaScope, None, "params.safetensors"));
    let error = formats::open(&files("gemma_scope_2_transcoder", Format::GemmaScope, None, "params.safetensors"));
    let error = error.unwrap_err();
    assert!(matches!(&error, Error::Unsupported { what, .. } if what.contains("transcoder")), "{error}");
}

#[test]
fn llama_scope_equals_sae_lens_and_its_authors_recipe_in_half_precision() {
    for name in ["llama_scope_unit", "llama_scope"] {
        let files = files(name, Format::LlamaScope, Some("hyperparams.json"), "checkpoints/final.safetensors");
        let sae = compare(name, &files);
        let memory = formats::memory(&files).unwrap();
        // bf16 on both sides: the decoder is turned in memory, the rest stays in the file.
        assert_eq!((memory.held, memory.mapped), (2 * 16 * 60, 2 * 16 * 60 + 2 * (16 + 60)));
        assert_eq!(sae.parts().w_enc.matrix().bytes() + sae.parts().w_dec.bytes(), 2 * 2 * 16 * 60);
    }
}

#[test]
fn what_the_authors_of_llama_scope_save_since_equals_sae_lens() {
    let name = "llama_scope_later";
    let sae = compare(name, &files(name, Format::LlamaScope, Some("config.json"), "sae_weights.safetensors"));
    assert_eq!(sae.metadata.model_name, None, "the files name no model");
    assert!(sae.parts().rescale_acts_by_decoder_norm);
}

#[test]
fn two_linear_layers_equal_sae_lens_by_either_name() {
    for (name, file) in [
        ("linear_goodfire", "Llama-3.1-8B-Instruct-SAE-l19.pth"),
        ("linear_r1", "DeepSeek-R1-Distill-Llama-8B-SAE-l19.pt"),
    ] {
        let files = files(name, Format::Linear, None, file);
        let sae = compare(name, &files);
        assert!(!sae.parts().apply_b_dec_to_input && matches!(sae.parts().activation, Activation::Relu));
        assert!(sae.parts().w_enc.matrix().is_mapped() && !sae.parts().w_dec.is_mapped());
        let memory = formats::memory(&files).unwrap();
        assert_eq!((memory.held, memory.mapped), (4 * 16 * 60, 4 * (16 * 60 + 16 + 60)), "{name}");
    }
}

#[test]
fn every_class_of_dictionary_learning_equals_its_own_code() {
    for class in ["AutoEncoder", "AutoEncoderNew", "GatedAutoEncoder", "JumpReluAutoEncoder"] {
        dictionary(class);
    }
    assert!(matches!(dictionary("AutoEncoderTopK").parts().activation, Activation::TopK { k: 5 }));
    for class in ["BatchTopKSAE", "MatryoshkaBatchTopKSAE"] {
        let sae = dictionary(class);
        let Activation::JumpRelu { threshold } = &sae.parts().activation else { panic!("{class}") };
        assert!(threshold.iter().all(|&threshold| threshold == 0.4));
    }
}

#[test]
fn sparsify_equals_its_own_code() {
    let name = "sparsify";
    let sae = compare(name, &files(name, Format::Sparsify, Some("cfg.json"), "sae.safetensors"));
    assert!(sae.parts().apply_b_dec_to_input && matches!(sae.parts().activation, Activation::TopK { k: 5 }));
    assert!(sae.parts().w_enc.matrix().is_mapped() && sae.parts().w_dec.is_mapped());
}

#[test]
fn sparsify_without_k_and_with_groups_equals_its_own_code() {
    let open = |name: &str| compare(name, &files(name, Format::Sparsify, Some("cfg.json"), "sae.safetensors"));
    assert!(matches!(open("sparsify_default").parts().activation, Activation::TopK { k: 32 }));
    let groups = open("sparsify_groupmax");
    assert!(matches!(groups.parts().activation, Activation::GroupMax { k: 5 }));
    assert_eq!(groups.metadata.architecture, "groupmax");
}

#[test]
fn names_that_a_wrapper_of_pytorch_put_a_word_in_front_of_are_those_behind_it() {
    compare("sparsify_parallel", &files("sparsify_parallel", Format::Sparsify, Some("cfg.json"), "sae.safetensors"));
    for name in ["dictionary_compiled", "dictionary_compiled_parallel"] {
        compare(name, &files(name, Format::DictionaryLearning, Some("config.json"), "ae.pt"));
    }
}

#[test]
fn an_expanded_tensor_is_as_many_values_as_its_shape_says() {
    let files = files("dictionary_expanded", Format::DictionaryLearning, Some("config.json"), "ae.pt");
    let sae = compare("dictionary_expanded", &files);
    let Activation::JumpRelu { threshold } = &sae.parts().activation else { panic!("one θ") };
    assert!(threshold.len() == 60 && threshold.iter().all(|&threshold| threshold == 0.4));
    let memory = formats::memory(&files).unwrap();
    assert_eq!((memory.held, memory.mapped), (2 * 4 * 60, 4 * (2 * 16 * 60 + 16)));
}

#[test]
fn attention_z_saes_equal_sae_lens() {
    let (name, stem) = ("hook_z", "gpt2-small_L5_Hcat_z_v9");
    let config = format!("{stem}_cfg.json");
    let sae = compare(name, &files(name, Format::HookZ, Some(&config), &format!("{stem}.pt")));
    assert_eq!(sae.metadata.hook_name.as_deref(), Some("blocks.5.attn.hook_z"));
}

#[test]
fn autoencoders_of_openai_equal_their_formulae() {
    let sae = compare("openai_topk", &files("openai_topk", Format::OpenAi, None, "5.pt"));
    assert_eq!((sae.parts().normalisation, sae.metadata.prepend_bos), (Normalisation::LayerNorm, Some(false)));
    let sae = compare("openai_relu", &files("openai_relu", Format::OpenAi, None, "5.pt"));
    assert_eq!(sae.parts().normalisation, Normalisation::None);
}

#[test]
fn a_configuration_that_is_missing_is_named() {
    let files = files("sparsify", Format::Sparsify, None, "sae.safetensors");
    assert_eq!(formats::open(&files).unwrap_err().to_string(), "`sae.safetensors` has no `cfg.json` beside it");
}
