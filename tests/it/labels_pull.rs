//! Labels of Neuronpedia's export, from a stand-in that has its traps: it lists in pages, orders batches by the text of the
//! index, has latents without labels, embeddings as texts and as lists, and no time now and then.
//! Not here: reading one page or one batch (beside `session::neuronpedia`).

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use super::support::web_server::{Answer, Asked, WebServer};

const SAE: &str = "128";
pub const SOURCE: &str = "demo-model/2-res-demo";
/// Latents that have no label there.
const BARE: [u32; 3] = [5, 64, 127];
/// Files on a page of a listing.
const PAGE: usize = 2;

pub fn zipped(text: &str) -> Vec<u8> {
    let mut writer = GzEncoder::new(Vec::new(), Compression::default());
    writer.write_all(text.as_bytes()).unwrap();
    writer.finish().unwrap()
}

/// A bucket: files by name, answered as S3 does.
pub fn bucket(files: &Arc<Mutex<BTreeMap<String, Vec<u8>>>>, asked: &Asked) -> Answer {
    let files = files.lock().unwrap();
    let Some(prefix) = asked.of("prefix") else {
        let file = files.get(asked.path.trim_start_matches('/'));
        return file.map_or_else(|| Answer::status(404), |file| Answer::ok(file.clone()));
    };
    // In the order of the names' text, in pages, with a token of its own form.
    let listed: Vec<(&String, &Vec<u8>)> = files.iter().filter(|(name, _)| name.starts_with(prefix)).collect();
    let from = asked.of("continuation-token").map_or(0, |token| token.strip_prefix("t/+=").unwrap().parse().unwrap());
    let page = listed.iter().skip(from).take(PAGE);
    let entry = |(name, file): &(&String, &Vec<u8>)| {
        format!("<Contents><Key>{name}</Key><ETag>&quot;0&quot;</ETag><Size>{}</Size></Contents>", file.len())
    };
    let entries: String = page.map(entry).collect();
    let more = from + PAGE < listed.len();
    let next = if more {
        format!("<NextContinuationToken>t/+={}</NextContinuationToken>", from + PAGE)
    } else {
        String::new()
    };
    Answer::ok(format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
         <Name>neuronpedia-datasets</Name><IsTruncated>{more}</IsTruncated>{entries}{next}</ListBucketResult>"
    ))
}

fn explanation(latent: u32) -> Value {
    // Old rows have their embedding as text, new ones as a list.
    let embedding = if latent.is_multiple_of(2) { json!("[0.25,0.5]") } else { json!([0.25, 0.5]) };
    let (by, kind) = if latent < 64 {
        ("gpt-4o-mini", "oai_token-act-pair")
    } else {
        ("gemini-2.5-flash-lite", "np_acts-logits-general")
    };
    json!({"id": format!("c{latent}"), "modelId": "demo-model", "layer": "2-res-demo", "index": latent.to_string(),
        "authorId": "a", "description": format!(" words about {latent}\u{1b}[31m\u{0} "), "embedding": embedding,
        "typeName": kind, "explanationModelName": by, "umap_x": 0.5, "umap_cluster": null})
}

/// The export of a source of 128 latents: batches hold as many rows as fit, in the order of the index's text.
fn files() -> BTreeMap<String, Vec<u8>> {
    let mut latents: Vec<u32> = (0..128).filter(|latent| !BARE.contains(latent)).collect();
    latents.sort_by_key(ToString::to_string);
    let mut rows: Vec<Value> = latents.into_iter().map(explanation).collect();
    // One latent has a second one.
    rows.push(json!({"index": "7", "layer": "2-res-demo", "description": "a person's words", "typeName": "human"}));
    let batch = |(number, rows): (usize, &[Value])| {
        let lines: Vec<String> = rows.iter().map(Value::to_string).collect();
        let text = lines.join("\n") + "\n";
        (format!("v1/{SOURCE}/explanations/batch-{number}.jsonl.gz"), zipped(&text))
    };
    let mut files: BTreeMap<String, Vec<u8>> = rows.chunks(11).enumerate().map(batch).collect();
    assert!(files.len() > 10, "more than two pages, and more than one digit");
    let source = json!({"id": "2-res-demo", "hfRepoId": "someone/demo", "hfFolderId": "blocks.2"});
    files.insert(format!("v1/{SOURCE}/source.jsonl"), format!("{source}\n").into_bytes());
    files
}

/// The demo's model with its SAE of 128 latents, which a suite file says to be on Neuronpedia.
pub fn suite(home: &Path, sae: &str) -> String {
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/demo");
    let text = fs::read_to_string(demo.join("suite.toml")).unwrap();
    let text = text.replace("path = \"", &format!("path = \"{}/", demo.display()));
    let text = text.replace("text = \"", &format!("text = \"{}/", demo.display()));
    let id = format!("id = \"{sae}\"\n");
    assert!(text.contains(&id), "{text}");
    let path = home.join("suite.toml");
    fs::write(&path, text.replace(&id, &format!("{id}neuronpedia = \"{SOURCE}\"\n"))).unwrap();
    path.display().to_string()
}

pub fn run(home: &Path, server: &WebServer, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_saescope"));
    command.env_clear().env("HOME", home).env("HF_HUB_OFFLINE", "1");
    command.env("SAESCOPE_NEURONPEDIA_DATA", server.address()).env("SAESCOPE_NEURONPEDIA", "http://127.0.0.1:1/np/");
    command.args(args).stdin(Stdio::null()).output().unwrap()
}

fn parsed(done: &Output) -> Value {
    assert!(
        done.status.success(),
        "{}{}",
        String::from_utf8_lossy(&done.stdout),
        String::from_utf8_lossy(&done.stderr)
    );
    serde_json::from_slice(&done.stdout).unwrap()
}

#[test]
fn labels_are_read_as_they_are_listed_with_explainer_and_type() {
    let home = tempfile::tempdir().unwrap();
    let suite = suite(home.path(), SAE);
    let (files, busy) = (Arc::new(Mutex::new(files())), Arc::new(AtomicUsize::new(0)));
    let server = WebServer::serve(move |asked| {
        // Every fourth time it has no time.
        if busy.fetch_add(1, Ordering::Relaxed) % 4 == 2 { Answer::busy(429) } else { bucket(&files, asked) }
    });
    let made = parsed(&run(home.path(), &server, &["labels", "pull", "--suite", &suite, "--json"]));
    let count = |name: &str| made[name].as_u64().unwrap();
    assert_eq!((count("labelled"), count("none"), count("unknown")), (125, 3, 0), "{made}");
    assert!(made["sae"] == SAE && count("bytes") > 1000, "{made}");
    assert!(made["versions"]["sae"][SAE]["sha256"].is_string(), "{made}");
    let notes = made["notes"].as_array().unwrap();
    let said = |word: &str| notes.iter().filter(|note| note.as_str().unwrap().contains(word)).count();
    assert_eq!((said("terms"), said("someone/demo")), (1, 1), "{notes:?}");
    // The command gives the same again.
    let command = made["command"].as_str().unwrap();
    assert!(command.starts_with("saescope labels pull --suite '") && command.ends_with(" --json"), "{command}");
    assert!(server.seen().iter().filter(|asked| asked.of("continuation-token").is_some()).count() >= 5, "in pages");
    let card = |latent: u32| {
        parsed(&run(home.path(), &server, &["latent", "--suite", &suite, "--sae", SAE, &latent.to_string(), "--json"]))
    };
    let (seven, late, bare) = (card(7), card(99), card(64));
    let labels = seven["labels"].as_array().unwrap();
    let of =
        |label: &Value| [&label["source"], &label["by"], &label["type"]].map(|it| it.as_str().unwrap_or("").to_owned());
    assert_eq!(labels.len(), 2, "{labels:?}");
    assert!(labels.iter().any(|label| of(label) == ["neuronpedia", "gpt-4o-mini", "oai_token-act-pair"]));
    assert!(labels.iter().any(|label| of(label) == ["neuronpedia", "", "human"]));
    assert_eq!(of(&late["labels"][0]), ["neuronpedia", "gemini-2.5-flash-lite", "np_acts-logits-general"]);
    assert!(late["labels"][0]["text"].as_str().unwrap().starts_with("words about 99"), "{late}");
    assert!(bare["labels"].is_null(), "{bare}");
    assert_eq!(bare["neuronpedia"], format!("http://127.0.0.1:1/np/{SOURCE}/64"));
    let shown = run(home.path(), &server, &["latent", "--suite", &suite, "--sae", SAE, "99"]);
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.contains("(neuronpedia, gemini-2.5-flash-lite, np_acts-logits-general)"), "{shown}");
    assert!(!shown.contains('\u{1b}') && !shown.contains('\0'), "a label is not obeyed");
}

#[test]
fn what_is_wrong_names_address_and_line_and_nothing_is_kept() {
    let good = files();
    let name = format!("v1/{SOURCE}/explanations/batch-3.jsonl.gz");
    let row = |row: Value| zipped(&format!("{}\n{row}\n", explanation(1)));
    let whole = good[&name].clone();
    let cases: Vec<(&str, Vec<u8>, Vec<&str>)> = vec![
        ("beyond", row(json!({"index": "128", "layer": "2-res-demo", "description": "x"})), vec!["line 2", "128"]),
        ("no number", row(json!({"index": "x", "description": "x"})), vec!["line 2", "`x`"]),
        ("another source", row(json!({"index": "3", "layer": "9-att", "description": "x"})), vec!["line 2", "9-att"]),
        ("not JSON", zipped("{\"index\":\"3\"}\nhello\n"), vec!["line 2"]),
        ("a page", b"<html><body>sign in".to_vec(), vec!["not gzip", "<html>"]),
        ("cut", whole[..whole.len() / 2].to_vec(), vec!["line ", "cut short"]),
    ];
    for (what, bytes, words) in cases {
        let home = tempfile::tempdir().unwrap();
        let suite = suite(home.path(), SAE);
        let mut files = good.clone();
        files.insert(name.clone(), bytes);
        let files = Arc::new(Mutex::new(files));
        let served = files.clone();
        let server = WebServer::serve(move |asked| bucket(&served, asked));
        let done = run(home.path(), &server, &["labels", "pull", "--suite", &suite]);
        let said = String::from_utf8(done.stderr).unwrap();
        assert_eq!(done.status.code(), Some(1), "{what}: {said}");
        assert!(said.contains(&format!("{}/{name}", server.address())), "{what}: {said}");
        assert!(words.iter().all(|word| said.contains(word)), "{what}: {said}");
        let counts = parsed(&run(
            home.path(),
            &server,
            &["labels", "export", "--suite", &suite, "--json", &format!("{}/out.csv", home.path().display())],
        ));
        let kept =
            counts["saes"].as_array().unwrap().iter().map(|count| count["labelled"].as_u64().unwrap()).sum::<u64>();
        assert_eq!(kept, 0, "{what}: {counts}");
        // What is mended is taken in.
        files.lock().unwrap().insert(name.clone(), whole.clone());
        let made = parsed(&run(home.path(), &server, &["labels", "pull", "--suite", &suite, "--json"]));
        assert_eq!(made["labelled"], 125, "{what}");
    }
}

#[test]
fn a_source_that_is_not_there_or_has_no_time_is_told() {
    let home = tempfile::tempdir().unwrap();
    let suite = suite(home.path(), SAE);
    let told = |server: &WebServer, args: &[&str]| {
        let done = run(home.path(), server, args);
        (done.status.code().unwrap(), String::from_utf8(done.stderr).unwrap())
    };
    let pull = ["labels", "pull", "--suite", &suite];
    let server = WebServer::serve(|_| Answer::status(403));
    let (code, said) = told(&server, &pull);
    assert!(code == 1 && said.contains("has no source") && said.contains(SOURCE), "{said}");
    let server = WebServer::serve(|_| Answer::busy(429));
    let (code, said) = told(&server, &pull);
    assert!(code == 1 && said.contains("429") && server.seen().len() == 5, "{said}");
    // A batch whose connection is cut is asked for again, and given up.
    let files = Arc::new(Mutex::new(files()));
    let server = WebServer::serve(move |asked| {
        let cut = asked.path.contains("batch-1.").then_some(20);
        Answer { cut, headers: vec![("Retry-After", "0".to_owned())], ..bucket(&files, asked) }
    });
    let (code, said) = told(&server, &pull);
    assert!(code == 1 && said.contains("batch-1.jsonl.gz") && said.contains("failed"), "{said}");
    // Of the demo itself nobody publishes anything.
    let (code, said) = told(&server, &["labels", "pull", "--suite", "demo"]);
    assert!(code == 2 && said.contains("neuronpedia = "), "{said}");
}
