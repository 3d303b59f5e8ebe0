//! What is reported of SAEs that are odd: decoder rows of zeros, notes on how files were read, element types, latents that are
//! switched off. Not here: which files are read and how (`sae_bad_input.rs`, `golden_sae.rs`).

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use saescope::analysis::Class;
use saescope::blob::Blob;
use saescope::hub::{Environment, Hub};
use saescope::sae::{Activation, Encoder, Sae, SaeFiles, SaeWeights, lens};
use saescope::session::{
    FamilyQuery, LoadScope, NamesQuery, OpenQuery, PairQuery, Query, RunOptions, Session, SessionConfig, VerdictQuery,
};
use saescope::task::Cancel;
use saescope::weights::Array;
use serde_json::{Value, json};

/// Latents of the wider SAE whose decoder rows are zero; the first fires everywhere.
const ZERO: [u32; 2] = [3, 200];
/// A latent of the wider SAE that a bias of −∞ switches off.
const OFF: u32 = 5;

fn demo(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/demo").join(file)
}

fn demo_sae(id: &str) -> Sae {
    let folder = demo("saes").join(id);
    let config = Blob::path(folder.join("cfg.json"));
    lens::open(&SaeFiles { config, weights: vec![Blob::path(folder.join("sae_weights.safetensors"))], sparsity: None })
        .unwrap()
}

/// An SAE with some of its parts changed.
fn changed(sae: &Sae, change: impl FnOnce(&mut SaeWeights)) -> Sae {
    let mut parts = sae.parts().clone();
    change(&mut parts);
    Sae::new(parts).unwrap()
}

/// The demo's two narrowest SAEs, the wider one with rows of zeros, as a suite in a folder; gives the suite's file.
fn suite(folder: &Path, config: impl FnOnce(&mut Value)) -> PathBuf {
    let wider = changed(&demo_sae("256"), |parts| {
        let (width, d_in) = (parts.w_dec.rows(), parts.w_dec.cols());
        let mut rows = parts.w_dec.to_array().to_vec();
        let mut b_enc = parts.b_enc.to_vec();
        for latent in ZERO {
            rows[latent as usize * d_in..(latent as usize + 1) * d_in].fill(0.0);
        }
        b_enc[ZERO[0] as usize] = 1e4;
        b_enc[OFF as usize] = f32::NEG_INFINITY;
        parts.w_dec = Array::owned(rows, &[width, d_in]).into();
        parts.b_enc = Array::owned(b_enc, &[width]);
    });
    lens::save(&folder.join("128"), &demo_sae("128")).unwrap();
    lens::save(&folder.join("256"), &wider).unwrap();
    let path = folder.join("256/cfg.json");
    let mut written: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    config(&mut written);
    fs::write(&path, written.to_string()).unwrap();
    let text = fs::read_to_string(demo("text.txt")).unwrap();
    fs::write(folder.join("text.txt"), text.chars().take(2000).collect::<String>()).unwrap();
    let entry = |id: &str| format!("[[sae]]\nid = \"{id}\"\nformat = \"sae-lens\"\npath = \"{id}\"\ndefault = true\n");
    let suite = format!(
        "id = \"odd\"\ntext = \"text.txt\"\nthreshold = 0.6\n[model]\npath = '{}'\nprepend_bos = true\n[site]\n\
         layer = 3\nkind = \"resid_pre\"\n{}{}",
        demo("model").display(),
        entry("128"),
        entry("256")
    );
    fs::write(folder.join("odd.toml"), suite).unwrap();
    folder.join("odd.toml")
}

fn opened(suite: &Path, folder: &Path) -> Session {
    let environment =
        Environment { endpoint: "http://127.0.0.1:9".into(), cache: folder.join("cache"), token: None, offline: true };
    let mut session = Session::new(SessionConfig::new(Hub::new(environment)));
    let query = OpenQuery { suite: suite.display().to_string(), saes: Vec::new(), reach: LoadScope::Whole };
    answer(&mut session, &query);
    session
}

fn answer<Q: Query>(session: &mut Session, query: &Q) -> Q::Answer {
    session.ask(query, &Cancel::new(), &|_| {}).unwrap()
}

#[test]
fn a_decoder_row_of_zeros_promotes_nothing_and_is_near_to_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut session = opened(&suite(folder.path(), |_| ()), folder.path());
    for latent in ZERO {
        let card = session.card("256", latent, None, 5).unwrap();
        assert!(card.zero && card.decoder_norm == 0.0);
        assert!(card.promoted.is_empty() && card.suppressed.is_empty());
        assert!(card.ladder[0].nearest.is_empty() && card.ladder[0].class.is_none());
        let names = answer(&mut session, &NamesQuery { sae: "256".into(), latents: vec![latent] });
        assert!(names.names[0].1.is_empty());
        let family = answer(&mut session, &FamilyQuery { sae: "256".into(), latent, threshold: 0.6 });
        assert!(family.rungs[0].nearest.is_empty() && family.rungs[0].class.is_none());
        assert_eq!(family.rungs[0].relatives.as_deref(), Some(&[][..]));
    }
    let card = session.card("256", 4, None, 5).unwrap();
    assert!(!card.zero && card.promoted.len() == 5 && card.ladder[0].nearest.len() == 5);
    assert!(card.ladder[0].class.is_some());
}

#[test]
fn rows_of_zeros_are_nobodys_children() {
    let folder = tempfile::tempdir().unwrap();
    let mut session = opened(&suite(folder.path(), |_| ()), folder.path());
    answer(&mut session, &PairQuery { small: "128".into(), large: "256".into(), threshold: 0.6 });
    let mut children = Vec::new();
    for latent in 0..128 {
        let family = answer(&mut session, &FamilyQuery { sae: "128".into(), latent, threshold: 0.6 });
        children.extend(family.rungs[1].relatives.as_ref().unwrap().iter().map(|child| child.latent));
        let card = session.card("128", latent, None, 256).unwrap();
        assert!(card.ladder[0].nearest.iter().all(|near| !ZERO.contains(&near.latent)));
    }
    children.sort_unstable();
    let expected: Vec<u32> = (0..256).filter(|latent| !ZERO.contains(latent)).collect();
    assert_eq!(children, expected, "every other latent is the child of one");
}

#[test]
fn a_row_of_zeros_is_of_no_class_and_its_verdict_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let mut session = opened(&suite(folder.path(), |_| ()), folder.path());
    session.run("Tokyo is a city", &RunOptions { next: 0, metrics: false }, &Cancel::new()).unwrap();
    let view = answer(&mut session, &PairQuery { small: "128".into(), large: "256".into(), threshold: 0.6 });
    let zero: Vec<u32> = view.rows.iter().filter(|row| row.zero).map(|row| row.latent).collect();
    assert_eq!(zero, ZERO);
    let row = view.rows[ZERO[0] as usize];
    assert!(row.fired > 0 && row.class(0.6).is_none() && row.disagrees(0.6).is_none() && row.c_star.is_none());
    for threshold in [-0.5, 0.0, 0.6] {
        let view = answer(&mut session, &PairQuery { small: "128".into(), large: "256".into(), threshold });
        let counts = view.counts(threshold).unwrap();
        assert_eq!((counts.novel + counts.reconstruction + counts.zero, counts.zero), (256, 2), "θ {threshold}");
        let novel = view.rows.iter().filter(|row| row.class(threshold) == Some(Class::Novel)).count();
        assert_eq!(novel, counts.novel, "θ {threshold}");
    }
    let (small, large) = ("128".to_owned(), "256".to_owned());
    let verdict = answer(&mut session, &VerdictQuery { small, large, latent: ZERO[0], threshold: 0.6 });
    assert!(verdict.class.is_none() && verdict.agrees.is_none());
    assert!(verdict.words.starts_with("its decoder row is zero"), "{}", verdict.words);
}

fn json_of(suite: &Path, args: &[&str]) -> Value {
    let home = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_saescope"));
    command.env_clear().env("HOME", home.path()).env("HF_HUB_OFFLINE", "1").args(args).arg("--suite").arg(suite);
    let output = command.output().unwrap();
    assert!(output.status.code().is_some_and(|code| code < 2), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    if args.contains(&"--json") { serde_json::from_str(&text).unwrap() } else { Value::String(text) }
}

/// What the wider SAE's `cfg.json` is made to say in the next test.
fn odd(config: &mut Value) {
    config["dtype"] = json!("torch.float16");
    config["metadata"]["neuronpedia_id"] = json!(["a", "b"]);
    config["metadata"]["hook_name"] = json!("blocks.1.hook_resid_pre");
}

#[test]
fn notes_and_element_types_reach_run_latent_and_doctor() {
    let folder = tempfile::tempdir().unwrap();
    let suite = suite(folder.path(), odd);
    let note = "`metadata.neuronpedia_id` in";
    let types = json!({"stored": "float32", "stated": "float16", "computed": "float32"});
    let said = |notes: &Value| notes.as_array().unwrap().iter().any(|said| said.as_str().unwrap().contains(note));

    let run = json_of(&suite, &["run", "--json", "--prompt", "Tokyo is a city"]);
    assert_eq!(run["notes"], json!([]));
    assert_eq!((&run["saes"][0]["notes"], &run["saes"][1]["dtype"]), (&json!([]), &types));
    assert!(said(&run["saes"][1]["notes"]), "{}", run["saes"][1]["notes"]);
    let text = json_of(&suite, &["run", "--prompt", "Tokyo is a city"]);
    assert!(text.as_str().unwrap().contains(&format!("note: {note}")), "{text}");

    let latent = json_of(&suite, &["latent", "--json", "--sae", "256", "3"]);
    assert!(said(&latent["notes"]) && latent["zero"] == true, "{latent}");
    let text = json_of(&suite, &["latent", "--sae", "256", "3"]);
    for wanted in [format!("note: {note}"), "promotes   nothing: its decoder row is zero".to_owned()] {
        assert!(text.as_str().unwrap().contains(&wanted), "{text}");
    }

    let doctor = json_of(&suite, &["doctor", "--json"]);
    let sae = &doctor["suite"]["saes"][1];
    assert!(said(&sae["notes"]) && sae["dtype"] == types && doctor["suite"]["notes"] == json!([]), "{sae}");
    let contradictions = sae["contradictions"].to_string();
    assert!(contradictions.contains("its own files say `blocks.1.hook_resid_pre`"), "{contradictions}");
    let text = json_of(&suite, &["doctor"]);
    let types = "SAE 256: stored in float32, its configuration says float16; computed in float32";
    let flat = text.as_str().unwrap().split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(flat.contains(types) && flat.contains(&format!("SAE 256: {note}")), "{text}");
}

#[test]
fn a_topk_sae_of_half_precision_is_said_to_have_another_edge() {
    let sae = changed(&demo_sae("128"), |parts| parts.activation = Activation::TopK { k: 8 });
    let computes = |sae: &Sae| {
        let notes = saescope::analysis::notes_on(sae);
        notes.iter().filter(|note| note.contains("computes in bfloat16: which latent is the last of the 8")).count()
    };
    assert_eq!(computes(&sae), 0);
    let folder = tempfile::tempdir().unwrap();
    lens::save(folder.path(), &sae).unwrap();
    let path = folder.path().join("cfg.json");
    let config = fs::read_to_string(&path).unwrap().replace("float32", "bfloat16");
    fs::write(&path, config).unwrap();
    let weights = vec![Blob::path(folder.path().join("sae_weights.safetensors"))];
    let sae = lens::open(&SaeFiles { config: Blob::path(path), weights, sparsity: None }).unwrap();
    assert_eq!(computes(&sae), 1, "{:?}", saescope::analysis::notes_on(&sae));
}

#[test]
fn latents_that_are_switched_off_never_fire() {
    let folder = tempfile::tempdir().unwrap();
    let mut session = opened(&suite(folder.path(), |_| ()), folder.path());
    let options = RunOptions { next: 0, metrics: false };
    let run = session.run("Albert Einstein was a German physicist known for", &options, &Cancel::new()).unwrap();
    let fired = |latent: u32| {
        run.saes[1].positions.iter().filter(|at| at.latents.iter().any(|firing| firing.latent == latent)).count()
    };
    assert_eq!((fired(OFF), fired(ZERO[0])), (0, run.tokens.len()));
    assert_eq!(session.card("256", OFF, None, 5).unwrap().encoder_bias, f32::NEG_INFINITY);
    // With a decoder row of zeros as well, where pre-activations are multiplied by its length.
    let (width, d_in) = (3, 2);
    let parts = |activation| SaeWeights {
        w_enc: Encoder::Columns(Array::owned(vec![1.0; 6], &[d_in, width]).into()),
        b_enc: Array::owned(vec![0.0, f32::NEG_INFINITY, f32::NEG_INFINITY], &[width]),
        w_dec: Array::owned(vec![1.0, 0.0, 0.0, 0.0, 1.0, 0.0], &[width, d_in]).into(),
        b_dec: Array::owned(vec![0.0; d_in], &[d_in]),
        apply_b_dec_to_input: true,
        rescale_acts_by_decoder_norm: true,
        activation,
        normalisation: saescope::sae::Normalisation::None,
    };
    let off = Array::owned(vec![0.0, 0.0, f32::INFINITY], &[width]);
    for activation in [Activation::Relu, Activation::TopK { k: 3 }, Activation::JumpRelu { threshold: off }] {
        let sae = Sae::new(parts(activation)).unwrap();
        let codes = sae.encode(&[0.5, 0.25], &Cancel::new()).unwrap();
        assert_eq!(codes.row(0), (&[0][..], &[0.75][..]));
        assert_eq!(sae.decode(&codes).unwrap(), [0.75, 0.0]);
        for latent in 0..width {
            let bias = sae.linear_form(latent, &[0.5, 0.25]).unwrap().bias;
            assert!(!bias.is_nan(), "{latent}: {bias}");
        }
    }
    for (name, value) in [("b_enc", f32::NAN), ("b_enc", f32::INFINITY), ("threshold", f32::NEG_INFINITY)] {
        let array = |own| {
            let values = if name == own { vec![0.0, value, 0.0] } else { vec![0.0; width] };
            Array::owned(values, &[width])
        };
        let bad = SaeWeights { b_enc: array("b_enc"), ..parts(Activation::JumpRelu { threshold: array("threshold") }) };
        let error = Sae::new(bad).unwrap_err().to_string();
        assert_eq!(error, format!("`{name}` holds {value} at element 1"));
    }
}
