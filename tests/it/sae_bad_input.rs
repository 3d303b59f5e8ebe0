//! SAE folders that are damaged, half written or of another kind: each gives one error that names file and tensor.
//! Not here: tensor files as such (`src/weights/tests.rs`).

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use saescope::blob::Blob;
use saescope::sae::{Activation, Error, Normalisation, Sae, SaeFiles, lens};
use saescope::task::Cancel;
use serde_json::{Value, json};

fn fixture(name: &str, file: &str) -> Vec<u8> {
    let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/sae").join(name).join(file);
    std::fs::read(path).unwrap()
}

fn open(config: &[u8], weights: &[u8]) -> Result<Sae, Error> {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| {
        std::fs::write(dir.path().join(name), bytes).unwrap();
        Blob::path(dir.path().join(name)).named(name.to_owned())
    };
    let files = SaeFiles {
        config: write("cfg.json", config),
        weights: vec![write("sae_weights.safetensors", weights)],
        sparsity: None,
    };
    lens::open(&files)
}

/// Tensors of a small SAE (3 inputs, 4 latents) as `(shape, values)`.
type Tensors = BTreeMap<&'static str, (Vec<usize>, Vec<f32>)>;

fn tensors() -> Tensors {
    let filled = |shape: &[usize]| (shape.to_vec(), vec![0.5; shape.iter().product()]);
    BTreeMap::from([
        ("W_enc", filled(&[3, 4])),
        ("W_dec", filled(&[4, 3])),
        ("b_enc", filled(&[4])),
        ("b_dec", filled(&[3])),
    ])
}

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

fn with(config: &Value, tensors: &Tensors) -> Result<Sae, String> {
    open(config.to_string().as_bytes(), &safetensors(tensors)).map_err(|error| error.to_string())
}

fn refused(config: &Value, tensors: &Tensors) -> String {
    with(config, tensors).expect_err(&config.to_string())
}

#[test]
fn a_configuration_that_makes_no_sense_names_the_key() {
    let refused = |config: Value| refused(&config, &tensors());
    let empty = open(b"", &safetensors(&tensors())).unwrap_err();
    assert!(empty.to_string().contains("`cfg.json`"), "{empty}");
    for text in ["{", "[]", "null", "3", "\"x\"", "{\"a\": }", "\u{feff}{}"] {
        let error = open(text.as_bytes(), &safetensors(&tensors())).unwrap_err().to_string();
        assert!(error.starts_with("`cfg.json`: not a JSON object: "), "{error}");
    }
    assert!(open(&[0xff, 0xfe, b'{'], &safetensors(&tensors())).is_err());
    assert_eq!(refused(json!({"architecture": 3})), "`cfg.json`: `architecture` must be a string, found 3");
    assert_eq!(
        refused(json!({"apply_b_dec_to_input": "yes"})),
        "`cfg.json`: `apply_b_dec_to_input` must be true or false, found \"yes\""
    );
    assert_eq!(
        refused(json!({"apply_b_dec_to_input": null})),
        "`cfg.json`: `apply_b_dec_to_input` must be true or false, found null"
    );
    assert_eq!(refused(json!({"metadata": []})), "`cfg.json`: `metadata` must be an object, found []");
    assert_eq!(
        refused(json!({"normalize_activations": 1})),
        "`cfg.json`: `normalize_activations` must be a string, true, false or null, found 1"
    );
    assert_eq!(
        refused(json!({"normalize_activations": true, "architecture": "standard", "sae_lens_version": "6.54.12"})),
        "`cfg.json`: `normalize_activations` must be a string, found true"
    );
    assert_eq!(refused(json!({"metadata": {"sae_lens_version": "6.0.0"}})), "`cfg.json`: `architecture` is missing");
}

#[test]
fn a_key_that_is_used_must_be_finite_and_one_that_is_not_may_be_anything() {
    let open = |text: &str| open(text.as_bytes(), &safetensors(&tensors())).map_err(|error| error.to_string());
    let sae = open(r#"{"l1_coefficient": NaN, "lr": [Infinity, -Infinity], "d_in": 3}"#).unwrap();
    assert_eq!(sae.metadata.notes, Vec::<String>::new());
    for word in ["NaN", "Infinity", "-Infinity"] {
        assert_eq!(
            open(&format!("{{\"architecture\": \"topk\", \"k\": {word}}}")).unwrap_err(),
            format!("`cfg.json`: `k` must be a whole number that is not negative, found {word}")
        );
        let factor = format!("{{\"normalize_activations\": true, \"norm_scaling_factor\": {word}}}");
        let said = format!("`cfg.json`: `norm_scaling_factor` must be a number above zero, found {word}");
        assert_eq!(open(&factor).unwrap_err(), said);
    }
}

#[test]
fn what_only_describes_an_sae_is_left_out_where_it_is_of_another_type() {
    let described = json!({
        "neuronpedia_id": ["a", "b"], "hook_point_layer": -1, "context_size": -1, "prepend_bos": "true",
        "model_name": 3, "hook_head_index": "first", "hook_name": "blocks.1.hook_resid_pre",
    });
    for config in
        [described.clone(), json!({"architecture": "standard", "sae_lens_version": "6.54.12", "metadata": described})]
    {
        let metadata = with(&config, &tensors()).unwrap().metadata;
        assert_eq!(metadata.hook_name.as_deref(), Some("blocks.1.hook_resid_pre"));
        assert_eq!((metadata.neuronpedia_id, metadata.hook_layer, metadata.context_size), (None, None, None));
        assert_eq!((metadata.prepend_bos, metadata.model_name, metadata.hook_head_index), (None, None, None));
        let notes = metadata.notes.join("\n");
        for key in
            ["neuronpedia_id", "hook_point_layer", "context_size", "prepend_bos", "model_name", "hook_head_index"]
        {
            assert!(notes.contains(&format!("{key}` in `cfg.json` must be ")), "{key} is not in: {notes}");
        }
        assert_eq!(metadata.notes.len(), 6, "{notes}");
    }
}

#[test]
fn what_is_not_supported_says_what_is() {
    let refused = |config: Value| refused(&config, &tensors());
    assert_eq!(
        refused(json!({"architecture": "temporal"})),
        "`cfg.json`: architecture `temporal` (its latents depend on earlier tokens) is not supported; supported are `standard`, `jumprelu`, `topk`, `gated`, \
         `batchtopk` and `matryoshka_batchtopk`"
    );
    assert_eq!(
        refused(json!({"normalize_activations": "batch_norm"})),
        "`cfg.json`: `normalize_activations` `batch_norm` is not supported; supported are `none`, \
         `expected_average_only_in`, `constant_norm_rescale` and `layer_norm`"
    );
    assert!(refused(json!({"activation_fn_str": "tanh-relu"})).contains("activation `tanh-relu`"));
}

/// The architectures that sae-lens 6.54.12 registers, for use and for training, and whether they can be read.
#[test]
fn every_architecture_of_sae_lens_is_read_or_refused_with_the_reason() {
    let all = [
        ("standard", None),
        ("gated", None),
        ("topk", None),
        ("jumprelu", None),
        ("batchtopk", None),
        ("matryoshka_batchtopk", None),
        ("abstopk", Some("fire below zero")),
        ("transcoder", Some("reads one activation and writes another")),
        ("skip_transcoder", Some("reads one activation and writes another")),
        ("jumprelu_transcoder", Some("reads one activation and writes another")),
        ("jumprelu_skip_transcoder", Some("reads one activation and writes another")),
        ("temporal", Some("depend on earlier tokens")),
        ("matching_pursuit", Some("no encoder")),
    ];
    for (architecture, reason) in all {
        let mut held = tensors();
        match architecture {
            "gated" => {
                let bias = held.remove("b_enc").unwrap();
                held.extend(["b_gate", "b_mag", "r_mag"].map(|name| (name, bias.clone())));
            }
            "jumprelu" => drop(held.insert("threshold", held["b_enc"].clone())),
            "batchtopk" | "matryoshka_batchtopk" => drop(held.insert("topk_threshold", (vec![], vec![0.5]))),
            _ => {}
        }
        let config = json!({"architecture": architecture, "k": 2, "metadata": {"sae_lens_version": "6.54.12"}});
        match (with(&config, &held), reason) {
            (Ok(sae), None) => assert_eq!(sae.metadata.architecture, architecture),
            (Err(said), Some(reason)) => {
                assert!(said.contains(&format!("`{architecture}` (")) && said.contains(reason), "{said}");
            }
            (got, _) => panic!("{architecture}: {got:?}"),
        }
    }
    let whitened = refused(&json!({"normalize_activations": "covariance_whitening"}), &tensors());
    assert!(whitened.contains("a training that has not ended"), "{whitened}");
}

#[test]
fn k_must_be_a_number_of_latents() {
    for (k, why) in [
        (json!(0), "k is 0, expected 1 to the number of latents, 4"),
        (json!(5), "k is 5, expected 1 to the number of latents, 4"),
        (json!(-1), "`k` must be a whole number that is not negative, found -1"),
        (json!(1.5), "`k` must be a whole number that is not negative, found 1.5"),
        (json!(1e300), "`k` must be a whole number that is not negative, found 1e+300"),
        (json!("many"), "`k` must be a whole number that is not negative, found \"many\""),
        (Value::Null, "a TopK SAE needs `k`, which is missing"),
    ] {
        assert_eq!(refused(&json!({"architecture": "topk", "k": k}), &tensors()), format!("`cfg.json`: {why}"));
    }
    let sae = with(&json!({"architecture": "topk", "k": 2.0}), &tensors()).unwrap();
    assert!(matches!(sae.parts().activation, Activation::TopK { k: 2 }));
}

#[test]
fn tensors_that_are_missing_or_misshapen_are_named() {
    for name in ["W_enc", "W_dec", "b_enc", "b_dec"] {
        let mut less = tensors();
        less.remove(name);
        assert_eq!(refused(&json!({}), &less), format!("`sae_weights.safetensors` has no tensor `{name}`"));
        let mut other = tensors();
        other.insert(name, (vec![7], vec![0.0; 7]));
        let error = refused(&json!({}), &other);
        assert!(error.starts_with(&format!("tensor `{name}` in `sae_weights.safetensors` has shape [7]")), "{error}");
        let mut bad = tensors();
        let values = &mut bad.get_mut(name).unwrap().1;
        let last = values.len() - 1;
        values[last] = f32::INFINITY;
        assert_eq!(
            refused(&json!({}), &bad),
            format!("tensor `{name}` in `sae_weights.safetensors` holds inf at element {last}")
        );
    }
    let mut narrow = tensors();
    narrow.insert("W_enc", (vec![3, 5], vec![0.0; 15]));
    assert_eq!(
        refused(&json!({}), &narrow),
        "tensor `W_enc` in `sae_weights.safetensors` has shape [3, 5], expected [3, 4]"
    );
    let mut none = tensors();
    none.insert("W_dec", (vec![0, 3], vec![]));
    assert!(refused(&json!({}), &none).ends_with("expected [latents, d_in], both at least 1"));
    assert_eq!(
        refused(&json!({"architecture": "jumprelu"}), &tensors()),
        "`sae_weights.safetensors` has no tensor `threshold`"
    );
}

#[test]
fn a_tensor_the_architecture_does_not_have_is_refused() {
    let mut more = tensors();
    more.insert("threshold", (vec![4], vec![0.1; 4]));
    assert_eq!(
        refused(&json!({"architecture": "standard"}), &more),
        "`cfg.json`: architecture `standard` has no tensor `threshold`, but `sae_weights.safetensors` holds one"
    );
    assert!(with(&json!({"architecture": "jumprelu"}), &more).is_ok());
}

#[test]
fn a_scaling_factor_is_passed_over_only_when_it_says_nothing() {
    let mut scaled = tensors();
    scaled.insert("scaling_factor", (vec![4], vec![1.0, 1.0, 1.0, 1.000_005]));
    assert!(with(&json!({}), &scaled).is_ok());
    scaled.insert("scaling_factor", (vec![4], vec![1.0, 1.0, 1.0, 1.1]));
    assert!(refused(&json!({}), &scaled).contains("a `scaling_factor` that is not all ones is not supported"));
}

#[test]
fn normalisation_has_many_spellings() {
    let read = |value: Value| with(&json!({"normalize_activations": value}), &tensors()).unwrap();
    for value in [json!(false), Value::Null, json!("none")] {
        assert_eq!(read(value).parts().normalisation, Normalisation::None);
    }
    assert_eq!(read(json!("layer_norm")).parts().normalisation, Normalisation::LayerNorm);
    for value in [json!(true), json!("expected_average_only_in")] {
        let sae = read(value);
        assert_eq!(sae.parts().normalisation, Normalisation::None);
        assert_eq!(sae.metadata.notes.len(), 1, "the missing factor is said");
    }
    let scaled = json!({"normalize_activations": "expected_average_only_in", "norm_scaling_factor": 0.5});
    let sae = with(&scaled, &tensors()).unwrap();
    assert_eq!(sae.parts().normalisation, Normalisation::Scale(0.5));
    assert!(sae.metadata.notes[0].contains("0.5; SAELens reads no factor there"), "{:?}", sae.metadata.notes);
}

#[test]
fn sizes_that_the_tensors_contradict_are_refused() {
    let sae = with(&json!({"d_in": 3, "d_sae": 4.0}), &tensors()).unwrap();
    assert_eq!((sae.d_in(), sae.width()), (3, 4));
    let said = |key: &str, stated: usize, size: usize| {
        format!("`cfg.json`: `{key}` is {stated}, and the weights have {size} (`W_dec` in `sae_weights.safetensors`)")
    };
    assert_eq!(refused(&json!({"d_in": 768}), &tensors()), said("d_in", 768, 3));
    assert_eq!(refused(&json!({"d_sae": 3}), &tensors()), said("d_sae", 3, 4));
    // SAELens looks for them nowhere else.
    let elsewhere =
        json!({"architecture": "standard", "metadata": {"d_in": 768, "d_sae": 3, "sae_lens_version": "6.0.0"}});
    assert!(with(&elsewhere, &tensors()).is_ok());
}

#[test]
fn a_sparsity_file_that_does_not_fit_is_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| {
        std::fs::write(dir.path().join(name), bytes).unwrap();
        Blob::path(dir.path().join(name)).named(name.to_owned())
    };
    let sparsity = |count: usize| safetensors(&BTreeMap::from([("sparsity", (vec![count], vec![-2.0; count]))]));
    let mut files = SaeFiles {
        config: write("cfg.json", b"{}"),
        weights: vec![write("w.safetensors", &safetensors(&tensors()))],
        sparsity: Some(write("sparsity.safetensors", &sparsity(4))),
    };
    assert_eq!(lens::open(&files).unwrap().log_sparsity.unwrap()[..], [-2.0; 4]);
    files.sparsity = Some(write("sparsity.safetensors", &sparsity(5)));
    let sae = lens::open(&files).unwrap();
    let said = "tensor `sparsity` in `sparsity.safetensors` has shape [5], expected [4]: how often latents fired in \
                training is left out";
    assert!(sae.log_sparsity.is_none() && sae.metadata.notes == [said], "{:?}", sae.metadata.notes);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn damaged_files_never_make_it_panic(
        which in 0usize..4, edits in prop::collection::vec((any::<usize>(), any::<u8>()), 1..8), cut in 0usize..9000,
        in_config: bool,
    ) {
        let name = ["standard", "topk", "gated", "old_jumprelu"][which];
        let mut files = [fixture(name, "cfg.json"), fixture(name, "sae_weights.safetensors")];
        let bytes = &mut files[usize::from(!in_config)];
        // Half of the edits fall into the header.
        for (index, (at, byte)) in edits.into_iter().enumerate() {
            let reach = if index % 2 == 0 { bytes.len() } else { bytes.len().min(400) };
            bytes[at % reach] = byte;
        }
        if cut < bytes.len() && cut % 3 == 0 {
            bytes.truncate(cut);
        }
        if let Ok(sae) = open(&files[0], &files[1]) {
            let x = vec![0.5; sae.d_in() * 2];
            if let Ok(codes) = sae.encode(&x, &Cancel::new()) {
                let _ = sae.decode(&codes);
                let _ = sae.nearest(0, &sae, 3);
            }
        }
    }
}
