//! Encodes and decodes of every architecture and spelling against sae-lens, on SAEs that it saved.
//! Not here: how the fixtures are made (`fixtures/make_sae_fixtures.py`).

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::{Path, PathBuf};

use saescope::blob::Blob;
use saescope::sae::{Activation, Normalisation, Sae, SaeFiles, lens, metrics};
use saescope::task::Cancel;
use saescope::weights::TensorFiles;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/sae").join(name)
}

fn open(name: &str) -> Sae {
    let folder = folder(name);
    let files = SaeFiles {
        config: Blob::path(folder.join("cfg.json")),
        weights: vec![Blob::path(folder.join("sae_weights.safetensors"))],
        sparsity: None,
    };
    lens::open(&files).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Every value within 1e-4 of the largest of its row.
fn assert_close(name: &str, got: &[f32], want: &[f32], row: usize) {
    assert_eq!(got.len(), want.len(), "{name}");
    for (index, (got, want)) in got.chunks(row).zip(want.chunks(row)).enumerate() {
        let largest = want.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
        for (got, want) in got.iter().zip(want) {
            assert!((got - want).abs() <= 1e-4 * largest, "{name}, row {index}: {got} for {want}");
        }
    }
}

fn compare(name: &str) -> Sae {
    let sae = open(name);
    let golden = TensorFiles::open(&[Blob::path(folder(name).join("golden.safetensors"))]).unwrap();
    let tensor = |tensor: &str| golden.get(tensor).unwrap();
    let x = tensor("x");
    let codes = sae.encode(&x, &Cancel::new()).unwrap();
    let mut dense = vec![0.0; codes.rows() * sae.width()];
    for row in 0..codes.rows() {
        let (latents, values) = codes.row(row);
        for (&latent, &value) in latents.iter().zip(values) {
            dense[row * sae.width() + latent as usize] = value;
        }
    }
    assert_close(name, &dense, &tensor("latents"), sae.width());
    let x_hat = sae.decode(&codes).unwrap();
    assert_close(name, &x_hat, &tensor("x_hat"), sae.d_in());
    let counts: Vec<bool> = (0..codes.rows()).map(|row| row > 0).collect();
    let quality = metrics::quality(&x, &x_hat, &codes, &counts, sae.d_in()).unwrap();
    for (metric, got) in [("l0", quality.l0), ("mse", quality.mse), ("explained_variance", quality.explained_variance)]
    {
        let (got, want) = (got.unwrap(), f64::from(tensor(metric)[0]));
        assert!((got - want).abs() <= 1e-4 * want.abs(), "{name}: {metric} is {got}, {want} in sae-lens");
    }
    assert!(codes.latents.len() > 20, "{name}: hardly anything fires, so hardly anything is tested");
    sae
}

#[test]
fn standard_saes_equal_sae_lens() {
    for name in ["standard", "standard_no_b_dec", "constant_norm", "half"] {
        compare(name);
    }
    assert!(!open("standard_no_b_dec").parts().apply_b_dec_to_input);
    assert_eq!(open("constant_norm").parts().normalisation, Normalisation::ConstantNorm);
}

#[test]
fn jumprelu_saes_equal_sae_lens() {
    compare("jumprelu");
    compare("batchtopk");
}

#[test]
fn topk_saes_equal_sae_lens() {
    for name in ["topk", "topk_rescale", "layer_norm"] {
        compare(name);
    }
}

#[test]
fn gated_saes_equal_sae_lens() {
    compare("gated");
}

#[test]
fn a_batchtopk_training_checkpoint_is_the_sae_that_is_saved_from_it() {
    let sae = compare("batchtopk_training");
    assert!(matches!(sae.parts().activation, Activation::JumpRelu { .. }));
    assert!(sae.parts().rescale_acts_by_decoder_norm);
}

#[test]
fn configurations_of_older_versions_equal_sae_lens() {
    let first = compare("old_first");
    assert!(first.parts().apply_b_dec_to_input, "absent means true");
    assert_eq!(first.metadata.hook_name.as_deref(), Some("blocks.8.hook_resid_pre"));
    assert_eq!(first.metadata.hook_layer, Some(8));
    assert_eq!(first.metadata.prepend_bos, Some(true), "absent meant true before version 6");
    let topk = compare("old_topk");
    assert!(matches!(topk.parts().activation, Activation::TopK { k: 5 }));
    let jumprelu = compare("old_jumprelu");
    assert!(!jumprelu.parts().apply_b_dec_to_input);
    assert_eq!(jumprelu.metadata.prepend_bos, Some(false));
    compare("old_gated");
}

#[test]
fn metadata_of_version_6_lies_deeper() {
    let metadata = open("standard").metadata;
    assert_eq!(metadata.model_name.as_deref(), Some("gpt2-small"));
    assert_eq!(metadata.neuronpedia_id.as_deref(), Some("gpt2-small/8-test"));
    assert_eq!((metadata.prepend_bos, metadata.context_size), (Some(true), Some(128)));
    assert_eq!(metadata.architecture, "standard");
}

#[test]
fn weights_stay_mapped_in_their_own_precision() {
    let sae = open("standard");
    assert!(sae.parts().w_enc.matrix().is_mapped() && sae.parts().w_dec.is_mapped());
    let half = open("half");
    assert!(half.parts().w_enc.matrix().is_mapped() && !half.parts().w_enc.matrix().is_plain(), "kept as stored");
}

/// What sae-lens makes of one SAE's weights under many spellings of its `cfg.json` (`make_sae_config_fixtures.py`).
#[test]
fn every_key_is_read_where_sae_lens_reads_it() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/sae_configs.json");
    let golden: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let off: Vec<usize> = golden["off"].as_array().unwrap().iter().map(|at| at.as_u64().unwrap() as usize).collect();
    let mut read = 0;
    for case in golden["cases"].as_array().unwrap() {
        let name = case["name"].as_str().unwrap();
        let opened = open_case(case, &off);
        if let Some((_, _, why)) = UNLIKE.iter().find(|(unlike, ..)| *unlike == name) {
            let told = opened.map_or_else(|error| error, |sae| sae.metadata.notes.join("\n"));
            assert!(told.contains(why), "{name}: {told}");
            continue;
        }
        let sae = match (opened, case.get("refused")) {
            (Ok(sae), None) => sae,
            (Err(_), Some(_)) => continue,
            (got, refused) => panic!("{name}: {got:?}, and sae-lens: {refused:?}"),
        };
        let x = TensorFiles::open(&[Blob::path(folder(case["weights"].as_str().unwrap()).join("golden.safetensors"))]);
        let codes = sae.encode(&x.unwrap().get("x").unwrap(), &Cancel::new()).unwrap();
        let x_hat = sae.decode(&codes).unwrap();
        let sums = |values: Vec<f32>| values.into_iter().map(f64::from).sum::<f64>();
        for (row, x_hat) in x_hat.chunks(sae.d_in()).enumerate() {
            let (latents, values) = codes.row(row);
            let wanted = |key: &str| case["read"][key][row].as_f64().unwrap();
            assert_eq!(latents.len() as f64, wanted("l0"), "{name}, row {row}");
            for (got, wanted) in [(sums(values.to_vec()), wanted("latents")), (sums(x_hat.to_vec()), wanted("x_hat"))] {
                assert!((got - wanted).abs() <= 1e-3 * (1.0 + wanted.abs()), "{name}, row {row}: {got} for {wanted}");
            }
        }
        read += 1;
    }
    assert!(read > 20, "{read} were compared");
}

/// Where what is done is not what sae-lens does, and why: it is reported.
const UNLIKE: &[(&str, &str, &str)] = &[
    ("a factor in cfg.json", "applied", "SAELens reads no factor there"),
    ("an old activation without kwargs", "refused", "SAELens reads that as ReLU"),
];

/// An SAE of the fixtures under another `cfg.json`, some of its latents switched off.
fn open_case(case: &serde_json::Value, off: &[usize]) -> Result<Sae, String> {
    let source = folder(case["weights"].as_str().unwrap()).join("sae_weights.safetensors");
    let files = TensorFiles::open(&[Blob::path(&source)]).unwrap();
    let mut tensors = Vec::new();
    for name in files.names() {
        let array = files.get(name).unwrap();
        let mut values = array.to_vec();
        if let Some(value) = case["off"][name].as_str() {
            for at in off {
                values[*at] = value.parse().unwrap();
            }
        }
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        tensors.push((name, array.shape().to_vec(), bytes));
    }
    let views = tensors.iter().map(|(name, shape, bytes)| {
        (*name, safetensors::tensor::TensorView::new(safetensors::Dtype::F32, shape.clone(), bytes).unwrap())
    });
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("w.safetensors"), safetensors::serialize(views, None).unwrap()).unwrap();
    std::fs::write(folder.path().join("cfg.json"), case["config"].as_str().unwrap()).unwrap();
    let config = Blob::path(folder.path().join("cfg.json"));
    let weights = vec![Blob::path(folder.path().join("w.safetensors"))];
    lens::open(&SaeFiles { config, weights, sparsity: None }).map_err(|error| error.to_string())
}
