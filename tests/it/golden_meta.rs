//! Meta-SAEs against torch, NumPy and sae-lens: the published layout, the recipe, what is exported.
//! Not here: how the fixtures are made (`fixtures/make_meta_fixtures.py`).

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::path::{Path, PathBuf};

use saescope::blob::Blob;
use saescope::sae::meta::{self, BreakdownTable};
use saescope::sae::train::train;
use saescope::sae::{Codes, Error, Sae, SaeFiles, lens};
use saescope::task::Cancel;
use saescope::weights::{TensorFiles, pickle};

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/meta").join(name)
}

fn open(folder: &Path) -> Sae {
    let files = SaeFiles {
        config: Blob::path(folder.join("cfg.json")),
        weights: vec![Blob::path(folder.join("sae_weights.safetensors"))],
        sparsity: None,
    };
    lens::open(&files).unwrap()
}

fn golden(name: &str) -> (TensorFiles, serde_json::Value) {
    let tensors = TensorFiles::open(&[Blob::path(folder(name).join("golden.safetensors"))]).unwrap();
    let json = fs::read(folder(name).join("golden.json")).ok();
    (tensors, json.map_or(serde_json::Value::Null, |json| serde_json::from_slice(&json).unwrap()))
}

fn published() -> meta::Published {
    let folder = folder("published");
    meta::published(&Blob::path(folder.join("SAE.pt")), Some(&Blob::path(folder.join("Config.json")))).unwrap()
}

fn dense(codes: &Codes, width: usize) -> Vec<f32> {
    let mut dense = vec![0.0; codes.rows() * width];
    for row in 0..codes.rows() {
        let (latents, values) = codes.row(row);
        for (&latent, &value) in latents.iter().zip(values) {
            dense[row * width + latent as usize] = value;
        }
    }
    dense
}

fn assert_close(got: &[f32], want: &[f32]) {
    assert_eq!(got.len(), want.len());
    for (at, (got, want)) in got.iter().zip(want).enumerate() {
        assert!((got - want).abs() < 1e-5, "{at}: {got} for {want}");
    }
}

#[test]
fn the_published_layout_encodes_and_decodes_as_plain_numpy_does() {
    let (tensors, json) = golden("published");
    let of = open(&folder("base"));
    let published = published();
    assert_eq!(published.k, Some(4));
    let meta = published.with_threshold(json["threshold"].as_f64().unwrap() as f32).unwrap();
    let table = BreakdownTable::new(&meta, &of, &Cancel::new()).unwrap();
    assert_close(&dense(&table.breakdowns, meta.width()), &tensors.get("codes").unwrap());
    assert_close(&meta.decode(&table.breakdowns).unwrap(), &tensors.get("x_hat").unwrap());
    let quality = table.quality;
    assert!((quality.variance_explained.unwrap() - json["variance_explained"].as_f64().unwrap()).abs() < 1e-5);
    assert!((quality.mean_active - json["mean_active"].as_f64().unwrap()).abs() < 1e-9);
    assert_eq!(quality.dead as u64, json["dead"].as_u64().unwrap());
}

#[test]
fn a_threshold_that_is_not_in_the_file_is_found_by_the_mean_number_active() {
    let (_, json) = golden("published");
    let of = open(&folder("base"));
    let meta = published().fitted(&of, 4, &Cancel::new()).unwrap();
    let found = saescope::analysis::meta::threshold_of(&meta);
    let want = json["threshold"].as_f64().unwrap() as f32;
    assert!((found - want).abs() < 0.02, "{found} for {want}");
    let mean_active = BreakdownTable::new(&meta, &of, &Cancel::new()).unwrap().quality.mean_active;
    assert!((mean_active - 4.0).abs() < 0.01, "{mean_active}");
}

#[test]
fn training_explains_as_much_as_a_plain_torch_implementation_of_the_recipe() {
    let (_, json) = golden("published");
    let of = open(&folder("base"));
    let torch: Vec<f64> =
        json["trained"].as_array().unwrap().iter().map(|run| run["variance_explained"].as_f64().unwrap()).collect();
    let rows = meta::rows(&of).unwrap();
    let own: Vec<f64> = (0..torch.len() as u64)
        .map(|seed| {
            let config = saescope::sae::train::Config { seed, ..meta::recipe(32, 4) };
            let trained = train(&rows, of.d_in(), &config, &Cancel::new(), &|_| {}).unwrap();
            let quality = BreakdownTable::new(&trained.sae().unwrap(), &of, &Cancel::new()).unwrap().quality;
            assert!((quality.mean_active - 4.0).abs() < 0.5, "{}", quality.mean_active);
            quality.variance_explained.unwrap()
        })
        .collect();
    let mean = |runs: &[f64]| runs.iter().sum::<f64>() / runs.len() as f64;
    // Seeds differ by about a point each way; their means are compared. To be better is not a fault.
    assert!(mean(&own) > mean(&torch) - 0.01, "{own:?} for {torch:?}");
}

#[test]
fn what_is_exported_means_the_same_to_sae_lens() {
    let (tensors, _) = golden("exported");
    let meta = open(&folder("exported"));
    let codes = meta.encode(&tensors.get("x").unwrap(), &Cancel::new()).unwrap();
    assert_close(&dense(&codes, meta.width()), &tensors.get("codes").unwrap());
    assert_close(&meta.decode(&codes).unwrap(), &tensors.get("x_hat").unwrap());
}

#[test]
fn a_state_dictionary_of_torch_is_read_as_it_was_written() {
    let file = Blob::path(folder("published").join("SAE.pt"));
    let state = pickle::open(&file).unwrap();
    for (name, shape) in [("b_dec", &[16][..]), ("b_enc", &[32]), ("W_enc", &[16, 32]), ("W_dec", &[32, 16])] {
        assert_eq!(state.tensor_of("x", name).unwrap().shape(), shape, "{name}");
    }
    assert!(state.tensor("x", "b_enc", &[32]).unwrap().iter().all(|value| *value == 3.0));
    assert!(state.tensor("x", "b_enc", &[31]).unwrap_err().to_string().contains("`b_enc`"));
    assert!(state.tensor("x", "nothing", &[1]).unwrap_err().to_string().contains("no tensor `nothing`"));
}

#[test]
fn what_is_no_meta_sae_of_these_rows_is_refused_by_name() {
    let from = folder("published");
    let scratch = tempfile::tempdir().unwrap();
    let config = |text: &str| {
        let file = scratch.path().join("Config.json");
        fs::write(&file, text).unwrap();
        meta::published(&Blob::path(from.join("SAE.pt")), Some(&Blob::path(file)))
    };
    assert!(config("{\"dict_size\": 31}").unwrap_err().to_string().contains("`dict_size` is 31"));
    assert!(config("{\"top_k\": 33}").unwrap_err().to_string().contains("`top_k` is 33"));
    assert!(config("no json").is_err());
    assert!(config("{}").unwrap().k.is_none());
    let damaged = scratch.path().join("SAE.pt");
    let mut bytes = fs::read(from.join("SAE.pt")).unwrap();
    bytes.truncate(bytes.len() / 2);
    fs::write(&damaged, bytes).unwrap();
    assert!(meta::published(&Blob::path(damaged), None).unwrap_err().to_string().contains("SAE.pt"));
    for threshold in [f32::NAN, -1.0, f32::INFINITY] {
        assert!(matches!(published().with_threshold(threshold), Err(Error::Meta { .. })));
    }
}
