//! Examples that Neuronpedia publishes, from a stand-in of the program's own numbers: shown where the index has few, and
//! compared with the SAE by the doctor, with each of three faults. Not here: labels (`labels_pull`).

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

use saescope::hub::{Environment, Hub};
use saescope::session::{RunOptions, Session, SessionConfig};
use saescope::task::Cancel;
use serde_json::{Value, json};

use super::labels_pull::{SOURCE, bucket, run, suite, zipped};
use super::support::web_server::WebServer;

const SAE: &str = "128";

/// A row: a latent, the tokens, and its activation on each.
#[derive(Clone, Debug)]
struct Row {
    latent: u32,
    tokens: Vec<String>,
    values: Vec<f32>,
}

/// The activations of every latent on every sentence of the demo's text in which it fires, as a suite has them.
fn rows(suite: &str) -> Vec<Row> {
    let mut session = Session::new(SessionConfig::new(Hub::new(Environment::read(&|_| None).unwrap())));
    let suite = session.suite(suite).unwrap();
    session.open(suite, &[SAE.to_owned()], &Cancel::new(), &|_| {}).unwrap();
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/demo/text.txt")).unwrap();
    let mut rows = Vec::new();
    for sentence in text.split("<|endoftext|>").flat_map(|document| document.trim().split(". ")).take(150) {
        let run = session.run(sentence, &RunOptions::default(), &Cancel::new()).unwrap();
        let tokens: Vec<String> = run.tokens.iter().map(|token| token.text.clone()).collect();
        let mut of: BTreeMap<u32, Vec<f32>> = BTreeMap::new();
        for (at, position) in run.saes[0].positions.iter().enumerate().skip(run.left_out) {
            for firing in &position.latents {
                of.entry(firing.latent).or_insert_with(|| vec![0.0; tokens.len()])[at] = firing.activation;
            }
        }
        rows.extend(of.into_iter().map(|(latent, values)| Row { latent, tokens: tokens.clone(), values }));
    }
    rows.sort_by_key(|row| row.latent);
    rows
}

type Files = Arc<Mutex<BTreeMap<String, Vec<u8>>>>;

/// The export of these rows, in batches that do not end where latents do.
fn export(rows: &[Row]) -> (Files, WebServer) {
    let line = |(at, row): (usize, &Row)| {
        json!({"id": at.to_string(), "modelId": "demo-model", "layer": "2-res-demo", "index": row.latent.to_string(),
            "creatorId": "c", "dataSource": "demo", "tokens": row.tokens, "values": row.values, "dfaValues": [],
            "maxValue": row.values.iter().copied().fold(0.0, f32::max), "binMin": null})
    };
    let lines: Vec<String> = rows.iter().enumerate().map(|row| line(row).to_string()).collect();
    let name = |number: usize| format!("v1/{SOURCE}/activations/batch-{number}.jsonl.gz");
    let batches = lines.chunks(97).enumerate();
    let mut files: BTreeMap<String, Vec<u8>> =
        batches.map(|(number, lines)| (name(number), zipped(&lines.join("\n")))).collect();
    files.insert(format!("v1/{SOURCE}/source.jsonl"), json!({"hfRepoId": "someone/demo"}).to_string().into_bytes());
    let label = json!({"index": "3", "description": "x", "layer": "2-res-demo"}).to_string();
    files.insert(format!("v1/{SOURCE}/explanations/batch-0.jsonl.gz"), zipped(&label));
    let files = Arc::new(Mutex::new(files));
    let served = files.clone();
    (files, WebServer::serve(move |asked| bucket(&served, asked)))
}

fn pull(home: &Path, server: &WebServer, suite: &str, more: &[&str]) -> (Value, String) {
    let done = run(home, server, &[&["labels", "pull", "--suite", suite, "--examples", "--json"], more].concat());
    let said = String::from_utf8(done.stderr).unwrap();
    (serde_json::from_slice(&done.stdout).unwrap(), said)
}

fn card(home: &Path, server: &WebServer, suite: &str, latent: u32) -> Value {
    let done = run(home, server, &["latent", "--suite", suite, "--sae", SAE, &latent.to_string(), "--json"]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    serde_json::from_slice(&done.stdout).unwrap()
}

fn largest(row: &Row) -> f32 {
    row.values.iter().copied().fold(0.0, f32::max)
}

#[test]
fn the_strongest_examples_are_kept_and_shown_where_the_index_has_few() {
    let home = tempfile::tempdir().unwrap();
    let suite = suite(home.path(), SAE);
    let rows = rows(&suite);
    let (files, server) = export(&rows);
    let total: usize =
        files.lock().unwrap().iter().filter(|(name, _)| name.contains("/activations/")).map(|(_, of)| of.len()).sum();
    // The latent with the most rows, and one that no row is of.
    let count = |latent: u32| rows.iter().filter(|row| row.latent == latent).count();
    let often = (0..128).max_by_key(|latent| count(*latent)).unwrap();
    let another = (0..128).find(|latent| *latent != often && count(*latent) > 1).unwrap();
    let (one, said) = pull(home.path(), &server, &suite, &["--latent", &often.to_string()]);
    assert_eq!((&one["examples"]["latents"], &one["examples"]["kept"]), (&json!(1), &json!(5)), "{one}");
    assert_eq!(one["examples"]["bytes"], total, "{one}");
    assert!(said.contains("the published activations of") && said.contains(SOURCE), "{said}");
    assert!(card(home.path(), &server, &suite, another)["corpus"].is_null(), "of others nothing is kept");
    let (all, _) = pull(home.path(), &server, &suite, &[]);
    let latents = (0..128).filter(|latent| count(*latent) > 0).count();
    assert_eq!(all["examples"]["latents"], latents, "{all}");
    let shown = card(home.path(), &server, &suite, often);
    let examples = shown["corpus"]["examples"].as_array().unwrap();
    // The same sentence twice is one example.
    let of = rows.iter().filter(|row| row.latent == often);
    let of: BTreeMap<&[String], f32> = of.map(|row| (&row.tokens[..], largest(row))).collect();
    let mut strongest: Vec<f32> = of.into_values().collect();
    strongest.sort_by(|a, b| b.total_cmp(a));
    assert!(examples.len() == 5 && shown["corpus"]["tokens"] == 0, "{shown}");
    for (example, expected) in examples.iter().zip(strongest) {
        let (position, tokens) = (example["position"].as_u64().unwrap(), example["tokens"].as_array().unwrap());
        let peak = &tokens[position as usize];
        assert!(example["source"] == "neuronpedia" && example["activation"] == peak["activation"], "{example}");
        assert!((example["activation"].as_f64().unwrap() - f64::from(expected)).abs() < 1e-5, "{example}");
        assert!(tokens.iter().all(|token| token["id"].as_u64().unwrap() < 10_000), "every token is known: {example}");
    }
    let text = run(home.path(), &server, &["latent", "--suite", &suite, "--sae", SAE, &often.to_string()]);
    assert!(String::from_utf8(text.stdout).unwrap().contains("(published by Neuronpedia)"));
    // With an index that has enough of them, they are not shown.
    let built = run(home.path(), &server, &["index", "build", "--suite", &suite, "--sae", SAE, "--json"]);
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let sources = |latent: u32| {
        let shown = card(home.path(), &server, &suite, latent);
        let examples = shown["corpus"]["examples"].as_array().unwrap().clone();
        let of = |source: &str| examples.iter().filter(|example| example["source"] == source).count();
        (of("index"), of("neuronpedia"))
    };
    let (own, published) = sources(often);
    assert!(own >= 5 && published == 0, "{own} {published}");
    // A row that is damaged takes nothing in.
    let name = format!("v1/{SOURCE}/activations/batch-1.jsonl.gz");
    let bad = json!({"index": "3", "tokens": ["a", "b"], "values": [1.0]}).to_string();
    files.lock().unwrap().insert(name.clone(), zipped(&format!("\n{bad}\n")));
    let (refused, _) = pull(home.path(), &server, &suite, &[]);
    let why = refused["error"].to_string();
    assert!(why.contains("line 2") && why.contains("batch-1") && why.contains("2 tokens and 1 values"), "{why}");
}

#[test]
fn the_doctor_tells_faults_of_a_source_apart() {
    let home = tempfile::tempdir().unwrap();
    let with = suite(home.path(), SAE);
    let right = rows(&with);
    // The same suite without a beginning-of-sequence token.
    let text = fs::read_to_string(&with).unwrap();
    let without = home.path().join("without.toml");
    fs::write(&without, text.replace("prepend_bos = true", "prepend_bos = false")).unwrap();
    let bare = rows(&without.display().to_string());
    let another: Vec<Row> = right.iter().map(|row| Row { latent: (row.latent + 1) % 128, ..row.clone() }).collect();
    // A higher threshold, and a smaller scale.
    let variant = |row: &Row| {
        let least = largest(row) * 0.4;
        let values = row.values.iter().map(|value| if *value > least { value * 0.7 } else { 0.0 });
        Row { values: values.collect(), ..row.clone() }
    };
    let variant: Vec<Row> = right.iter().map(variant).collect();
    for (published, verdict, code) in
        [(right, "same", 0), (bare, "bos", 1), (variant, "variant", 1), (another, "other", 1)]
    {
        let home = tempfile::tempdir().unwrap();
        let suite = suite(home.path(), SAE);
        let (_, server) = export(&published);
        pull(home.path(), &server, &suite, &[]);
        let done = run(home.path(), &server, &["doctor", "--suite", &suite, "--json"]);
        let answer: Value = serde_json::from_slice(&done.stdout).unwrap();
        let mapping = answer["suite"]["mapping"].as_array().unwrap();
        assert_eq!(mapping.len(), 1, "{mapping:?}");
        let of = &mapping[0];
        assert_eq!((&of["verdict"], done.status.code()), (&json!(verdict), Some(code)), "{of}");
        assert!(of["sae"] == SAE && of["source"] == SOURCE && of["rows"].as_u64().unwrap() >= 8, "{of}");
        let figure = |name: &str| of["figures"][name].as_f64().unwrap();
        if verdict == "same" {
            // Numbers that went through JSON come back.
            assert!(figure("argmax") == 1.0 && (figure("scale") - 1.0).abs() < 1e-4, "{of}");
            assert!(figure("correlation") > 0.9999 && (figure("fires") - 1.0).abs() < 1e-9, "{of}");
        }
        let text = run(home.path(), &server, &["doctor", "--suite", &suite]);
        assert!(String::from_utf8(text.stdout).unwrap().contains("published rows"));
    }
}
