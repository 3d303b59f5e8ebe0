//! Lenses as the command gives them on the demo, a lens fitted and read again, one from the hub, and what cannot be read.
//! Not here: the figures (`golden_lens`).

use std::path::Path;
use std::process::{Command, Output, Stdio};

use saescope::hub::{Environment, Hub};
use saescope::model::write_jacobian_lens;
use saescope::session::{
    LensFile, LensOf, LensOfferQuery, LensPullQuery, LensQuery, LoadScope, OpenQuery, PullQuery, Session, SessionConfig,
};
use saescope::task::Cancel;
use serde_json::Value;

use crate::support::hub_server::HubServer;
use crate::support::reference::fixtures;

const PROMPT: &str = "Galileo Galilei came from";

fn run(args: &[&str], hub: Option<(&str, &Path)>) -> Output {
    let home = tempfile::tempdir().expect("a home");
    let mut command = Command::new(env!("CARGO_BIN_EXE_saescope"));
    command.env_clear().env("HOME", home.path()).env("PATH", std::env::var_os("PATH").unwrap_or_default());
    match hub {
        Some((endpoint, cache)) => command.env("HF_ENDPOINT", endpoint).env("HF_HUB_CACHE", cache),
        None => command.env("HF_HUB_OFFLINE", "1"),
    };
    command.stdin(Stdio::null()).arg("lens").args(args).output().expect("the binary runs")
}

fn json(args: &[&str], code: i32) -> Value {
    let output = run(&[args, &["--suite", "demo", "--json"]].concat(), None);
    let text = String::from_utf8(output.stdout).expect("is UTF-8");
    assert_eq!(output.status.code(), Some(code), "{text} {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_str(&text).expect("is JSON")
}

#[test]
fn the_last_block_says_what_the_model_says_and_a_latent_what_its_card_says() {
    let got = json(&["--prompt", PROMPT, "--top", "5"], 0);
    let layers = got["layers"].as_array().expect("blocks");
    let output = Command::new(env!("CARGO_BIN_EXE_saescope"))
        .args(["run", "--suite", "demo", "--sae", "128", "--prompt", PROMPT, "--json"])
        .output()
        .expect("the binary runs");
    let run: Value = serde_json::from_slice(&output.stdout).expect("is JSON");
    let last = run["next"].as_array().and_then(|next| next.last()).expect("what comes next");
    assert!(layers.len() > 2);
    for (got, want) in
        layers[layers.len() - 1]["next"].as_array().expect("tokens").iter().zip(last.as_array().expect("tokens"))
    {
        assert_eq!(got["id"], want["id"]);
        assert!((got["logprob"].as_f64().unwrap() - want["logprob"].as_f64().unwrap()).abs() < 1e-4);
    }
    assert!(layers[0]["next"] != layers[layers.len() - 1]["next"] && got["jacobian"].is_null());
    let got = json(&["--sae", "512", "--latent", "7"], 0);
    let output = Command::new(env!("CARGO_BIN_EXE_saescope"))
        .args(["latent", "--suite", "demo", "--sae", "512", "7", "--top", "10", "--json"])
        .output()
        .expect("the binary runs");
    let card: Value = serde_json::from_slice(&output.stdout).expect("is JSON");
    assert_eq!(got["logit"], card["promoted"]);
}

#[test]
fn a_lens_is_fitted_goes_on_where_it_stopped_and_reads_a_latent() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("demo.pt");
    let path = file.to_str().expect("UTF-8");
    let fitted = json(&["fit", "--prompts", "1", "--out", path], 0);
    assert_eq!((&fitted["prompts"], &fitted["resumed"]), (&1.into(), &0.into()));
    assert!(!folder.path().join("demo.pt.partial").exists());
    let got = json(&["--sae", "512", "--latent", "7", "--jacobian", path], 0);
    let jacobian = &got["jacobian"];
    assert_eq!(
        (&jacobian["layer"], &jacobian["prompts"]),
        (&2.into(), &1.into()),
        "resid_pre 3 is what leaves block 2"
    );
    assert!(
        jacobian["tokens"].as_array().is_some_and(|tokens| tokens.len() == 10) && jacobian["tokens"] != got["logit"]
    );
    let got = json(&["--prompt", PROMPT, "--jacobian", path], 0);
    let layers = got["layers"].as_array().expect("blocks");
    let read: Vec<bool> = layers.iter().map(|layer| layer["jacobian"].is_array()).collect();
    assert!(read[..read.len() - 1].iter().all(|read| *read) && !read[read.len() - 1], "{read:?}");
}

/// A hub with the demo's model, and this lens as its published one.
fn published(folder: &Path, lens: &Path) -> HubServer {
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/demo");
    let copy = |from: &Path, to: &str| {
        let to = folder.join("files").join(to);
        std::fs::create_dir_all(to.parent().expect("a folder")).expect("is made");
        std::fs::copy(from, to).expect("is copied");
    };
    for name in ["config.json", "model.safetensors", "tokenizer.json"] {
        copy(&demo.join("model").join(name), &format!("owner/little/{name}"));
    }
    let lenses = "neuronpedia/jacobian-lens/small-world/jlens/Salesforce-wikitext";
    copy(lens, &format!("{lenses}/little_jacobian_lens.pt"));
    copy(&demo.join("model/config.json"), &format!("{lenses}/config.yaml"));
    let sae = demo.join("saes/128");
    let suite = format!(
        "id = 'little'\ntitle = 'x'\n[model]\nrepo = 'owner/little'\nprepend_bos = true\n[site]\nlayer = 3\nkind = 'resid_pre'\n\
         [[sae]]\nid = '128'\nformat = 'sae-lens'\npath = '{}'\nneuronpedia = 'small-world/3-x'\ndefault = true\n",
        sae.display()
    );
    std::fs::write(folder.join("little.toml"), suite).expect("is written");
    HubServer::serve(&folder.join("files")).expect("can listen")
}

#[test]
fn a_published_lens_is_found_by_the_models_names_and_downloaded_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("some.pt");
    let d = 128;
    let matrix: Vec<f32> = (0..d * d).map(|at| if at % (d + 1) == 0 { 0.5 } else { 0.0 }).collect();
    let bytes = write_jacobian_lens(&[(0, matrix.clone()), (2, matrix)], d, 1, &[]).expect("is made");
    std::fs::write(&file, bytes).expect("is written");
    let server = published(folder.path(), &file);
    let (suite, cache) = (folder.path().join("little.toml"), folder.path().join("cache"));
    let endpoint = server.endpoint();
    let suite = suite.to_str().expect("UTF-8");
    let mut command = Command::new(env!("CARGO_BIN_EXE_saescope"));
    command.env_clear().env("HOME", folder.path()).env("HF_ENDPOINT", &endpoint).env("HF_HUB_CACHE", &cache);
    let pulled = command.args(["pull", suite]).output().expect("the binary runs");
    assert!(pulled.status.success(), "{}", String::from_utf8_lossy(&pulled.stderr));
    let args = ["--suite", suite, "--sae", "128", "--latent", "7", "--jacobian", "auto", "--json"];
    let output = run(&args, Some((&endpoint, &cache)));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let got: Value = serde_json::from_slice(&output.stdout).expect("is JSON");
    let source = got["jacobian"]["source"].as_str().expect("a source");
    assert!(source.ends_with("little_jacobian_lens.pt") && source.starts_with("neuronpedia/jacobian-lens"), "{source}");
    assert_eq!((&got["jacobian"]["prompts"], &got["jacobian"]["layer"]), (&1.into(), &2.into()));
    for (half, whole) in got["jacobian"]["tokens"].as_array().unwrap().iter().zip(got["logit"].as_array().unwrap()) {
        assert_eq!(half["id"], whole["id"]);
        assert!((half["value"].as_f64().unwrap() * 2.0 - whole["value"].as_f64().unwrap()).abs() < 1e-4, "half of it");
    }
    let mut session = Session::new(SessionConfig::new(Hub::new(Environment {
        endpoint: endpoint.clone(),
        cache: folder.path().join("another cache"),
        token: None,
        offline: false,
    })));
    let here = |session: &mut Session| {
        let of = LensOf::Latent { sae: "128".to_owned(), latent: 7 };
        let query = LensQuery { of, jacobian: Some(LensFile::Here), top: 3 };
        session.ask(&query, &Cancel::new(), &|_| {}).expect("is read").jacobian.is_some()
    };
    let cancel = Cancel::new();
    let pull = PullQuery { suite: suite.to_owned(), reach: LoadScope::Whole };
    session.ask(&pull, &cancel, &|_| {}).expect("is downloaded");
    let open = OpenQuery { suite: suite.to_owned(), saes: Vec::new(), reach: LoadScope::Whole };
    session.ask(&open, &cancel, &|_| {}).expect("opens");
    // What is published is named with its size, and read once it is downloaded; nothing comes unasked.
    assert!(!here(&mut session));
    let offer = session.ask(&LensOfferQuery, &cancel, &|_| {}).expect("is offered");
    assert!(offer.file.ends_with("little_jacobian_lens.pt") && offer.prompts.is_none(), "{offer:?}");
    assert_eq!(offer.bytes, std::fs::metadata(&file).expect("is there").len());
    assert!(!here(&mut session));
    session.ask(&LensPullQuery { offer }, &cancel, &|_| {}).expect("is downloaded");
    assert!(here(&mut session));
    let loads = || {
        server.requests().iter().filter(|seen| seen.method == "GET" && seen.path.contains("_jacobian_lens.pt")).count()
    };
    let before = loads();
    let again = run(&args, Some((&endpoint, &cache)));
    assert_eq!((again.stdout, loads()), (output.stdout, before), "it is in the cache");
}

#[test]
fn a_lens_of_another_model_and_what_is_none_are_refused() {
    let other = fixtures().join("lens/plain.pt");
    let error = json(&["--sae", "512", "--latent", "7", "--jacobian", other.to_str().expect("UTF-8")], 2);
    assert!(error["error"].to_string().contains("another model"), "{error}");
    let none = fixtures().join("lens/plain.json");
    let error = json(&["--sae", "512", "--latent", "7", "--jacobian", none.to_str().expect("UTF-8")], 1);
    assert!(error["error"].to_string().contains("zip"), "{error}");
    let error = json(&["--sae", "512", "--latent", "7", "--jacobian", "auto"], 1);
    assert!(
        error["error"].to_string().contains("Neuronpedia") || error["error"].to_string().contains("hub"),
        "{error}"
    );
    let error = json(&["--prompt", PROMPT, "--at", "99"], 2);
    assert!(error["error"].to_string().contains("no position 99"), "{error}");
    assert_eq!(run(&["--suite", "demo"], None).status.code(), Some(2), "nothing is named");
}
