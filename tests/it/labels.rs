//! Labels: rules counted against a plain count over the demo's text, a person's own kept and taken away, files taken in
//! and written out, and what is wrong with them. Not here: how rules are chosen (beside `analysis::rules`).

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use saescope::analysis::{Label, LabelSource};
use saescope::hub::{Environment, Hub};
use saescope::report::Kind;
use saescope::session::{
    ExportLabelsQuery, ImportLabelsQuery, LabelsQuery, MakeLabelsQuery, RunOptions, Session, SessionConfig,
    WriteLabelQuery,
};
use saescope::task::Cancel;
use serde_json::Value;

const SAE: &str = "512";

/// The demo with what is kept in this folder.
fn demo(home: &Path) -> Session {
    let hub = Hub::new(Environment::read(&|_| None).unwrap());
    let config = SessionConfig { metas: Some(home.join("metas")), ..SessionConfig::new(hub) };
    let mut session = Session::new(config);
    let suite = session.suite("demo").unwrap();
    session.open(suite, &["128".to_owned(), SAE.to_owned()], &Cancel::new(), &|_| {}).unwrap();
    session
}

fn ask<Q: saescope::session::Query>(session: &mut Session, query: &Q) -> Result<Q::Answer, saescope::report::Report> {
    session.ask(query, &Cancel::new(), &|_| ())
}

fn labels(session: &mut Session, latents: Vec<u32>) -> BTreeMap<u32, Vec<Label>> {
    let found = ask(session, &LabelsQuery { sae: SAE.into(), latents }).unwrap();
    assert!(found.notes.is_empty(), "{:?}", found.notes);
    found.labels.into_iter().collect()
}

/// The mixing step of splitmix64, from its description.
fn mixed(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// For each held-out position its token's text and the latents that fire, by running each document as a prompt; and the
/// texts of all tokens.
fn held_out(session: &mut Session) -> (Vec<(String, BTreeSet<u32>)>, BTreeSet<String>) {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/demo/text.txt")).unwrap();
    let (mut positions, mut texts) = (Vec::new(), BTreeSet::new());
    for (number, document) in text.split("<|endoftext|>").enumerate() {
        let document = document.strip_prefix('\n').unwrap_or(document);
        let document = document.strip_suffix('\n').unwrap_or(document);
        if document.is_empty() {
            continue;
        }
        let run = session.run(document, &RunOptions::default(), &Cancel::new()).unwrap();
        let sae = run.saes.iter().find(|sae| sae.id == SAE).unwrap();
        texts.extend(run.tokens.iter().skip(1).map(|token| token.text.clone()));
        if mixed(number as u64) & 1 == 0 {
            continue;
        }
        for (token, position) in run.tokens.iter().zip(&sae.positions).skip(1) {
            let fires = position.latents.iter().map(|firing| firing.latent).collect();
            positions.push((token.text.clone(), fires));
        }
    }
    (positions, texts)
}

#[test]
fn the_scores_of_rules_are_a_plain_count_over_the_held_out_documents() {
    let home = tempfile::tempdir().unwrap();
    let mut session = demo(home.path());
    let made = ask(&mut session, &MakeLabelsQuery { sae: SAE.into(), ..MakeLabelsQuery::default() }).unwrap();
    assert_eq!((made.labelled + made.none, made.unknown), (512, 0));
    let all = labels(&mut session, (0..512).collect());
    let labelled = all.values().filter(|labels| !labels.is_empty()).count();
    assert!(labelled == made.labelled && labelled > 50, "{made:?}");
    let (positions, texts) = held_out(&mut session);
    let mut spellings: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for text in &texts {
        spellings.entry(text.trim_start_matches(' ')).or_default().insert(text);
    }
    let mut compared = 0;
    for (latent, labels) in &all {
        let Some(label) = labels.first().filter(|label| label.kind == "token") else { continue };
        let tokens: BTreeSet<&str> = label.text.strip_prefix("on ").unwrap().split(", ").collect();
        // A comma is a token too, and cannot be told from those between tokens; nor a word from the same with a space.
        if tokens.iter().any(|token| spellings.get(token).is_none_or(|texts| texts.len() != 1)) {
            continue;
        }
        let fires = |(_, fires): &&(String, BTreeSet<u32>)| fires.contains(latent);
        let named = |(text, _): &&(String, BTreeSet<u32>)| tokens.contains(text.trim_start_matches(' '));
        let (fired, names) = (positions.iter().filter(fires).count(), positions.iter().filter(named).count());
        let both = positions.iter().filter(|position| fires(position) && named(position)).count();
        let scores = label.scores.unwrap();
        let close =
            |score: Option<f64>, part: usize, of: usize| (score.unwrap() - part as f64 / of as f64).abs() < 1e-12;
        assert!(scores.held_out == fired as u64, "{latent}: {label:?}, {fired}");
        assert!(close(scores.precision, both, names) && close(scores.recall, both, fired), "{latent}: {label:?}");
        assert!(close(scores.f1, 2 * both, names + fired), "{latent}: {label:?}");
        assert!(scores.f1.unwrap() >= 0.5 && label.source == LabelSource::Rule);
        compared += 1;
    }
    assert!(compared > 20, "{compared} rules were compared");
    // The same again, whatever the number of threads.
    let again = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let home = tempfile::tempdir().unwrap();
        let mut session = demo(home.path());
        pool.install(|| {
            ask(&mut session, &MakeLabelsQuery { sae: SAE.into(), ..MakeLabelsQuery::default() }).unwrap();
            labels(&mut session, (0..512).collect())
        })
    };
    assert!(again(1) == all && again(3) == all);
}

#[test]
fn a_persons_label_stands_first_is_kept_and_taken_away() {
    let home = tempfile::tempdir().unwrap();
    let write = |session: &mut Session, text: &str| {
        let query = WriteLabelQuery { sae: SAE.into(), latent: 7, text: text.into(), note: "seen twice".into() };
        ask(session, &query)
    };
    let mut session = demo(home.path());
    ask(&mut session, &MakeLabelsQuery { sae: SAE.into(), latents: vec![7, 8], ..MakeLabelsQuery::default() }).unwrap();
    let rule = labels(&mut session, vec![7]).remove(&7).unwrap();
    write(&mut session, " physicists ").unwrap();
    // Another session finds it.
    let mut session = demo(home.path());
    let found = labels(&mut session, vec![7]).remove(&7).unwrap();
    assert_eq!((&*found[0].text, &*found[0].note, found[0].source), ("physicists", "seen twice", LabelSource::File));
    assert_eq!(found[1..], rule[..], "what the rule says stands behind it");
    write(&mut session, "").unwrap();
    assert_eq!(labels(&mut session, vec![7]).remove(&7).unwrap(), rule);
    let beyond = WriteLabelQuery { sae: SAE.into(), latent: 512, text: "x".into(), note: String::new() };
    assert_eq!(ask(&mut session, &beyond).unwrap_err().kind, Kind::Usage);
}

#[test]
fn files_are_taken_in_whole_or_not_at_all() {
    let home = tempfile::tempdir().unwrap();
    let mut session = demo(home.path());
    let file = |name: &str, text: &[u8]| {
        let path = home.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let good = b"sae,latent,text,note\n512,3,\"people, and their work\",\n128,0,places,sure\n";
    let counts = ask(&mut session, &ImportLabelsQuery(file("good.csv", good))).unwrap();
    let counted: Vec<(&str, usize)> = counts.iter().map(|count| (&*count.sae, count.labelled)).collect();
    assert_eq!(counted, [("128", 1), ("512", 1)]);
    let out = home.path().join("out.jsonl");
    ask(&mut session, &ExportLabelsQuery(out.clone())).unwrap();
    let text = fs::read_to_string(&out).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2);
    assert_eq!((&lines[1]["text"], &lines[1]["source"]), (&"people, and their work".into(), &"file".into()));
    assert!(ask(&mut session, &ExportLabelsQuery(out.clone())).is_err(), "nothing is overwritten");
    // What was written out is taken in again, in either form.
    let csv = home.path().join("out.csv");
    ask(&mut session, &ExportLabelsQuery(csv.clone())).unwrap();
    for path in [out, csv] {
        ask(&mut session, &ImportLabelsQuery(path)).unwrap();
    }
    let one = r#"{"sae":"512","latent":9,"text":"fine"}"#;
    let wrong: [(&str, Vec<u8>, &str); 7] = [
        ("latent.jsonl", format!("{one}\n{{\"sae\":\"512\",\"latent\":512,\"text\":\"x\"}}\n").into(), "line 2"),
        ("sae.jsonl", format!("{one}\n\n{{\"sae\":\"none\",\"latent\":1,\"text\":\"x\"}}\n").into(), "line 3"),
        ("broken.jsonl", format!("{one}\n{{\"sae\":\n").into(), "line 2"),
        ("empty.jsonl", r#"{"sae":"512","latent":1,"text":" "}"#.into(), "line 1"),
        ("bytes.jsonl", [one.as_bytes(), b"\n\xff\xfe\n"].concat(), "line 2"),
        ("columns.csv", b"sae,text\n512,x\n".to_vec(), "line 2"),
        ("number.csv", b"sae,latent,text\n512,x,y\n".to_vec(), "line 2"),
    ];
    for (name, text, line) in wrong {
        let report = ask(&mut session, &ImportLabelsQuery(file(name, &text))).unwrap_err().to_string();
        assert!(report.contains(line) && report.contains(name), "{name}: {report}");
    }
    assert!(labels(&mut session, vec![9]).remove(&9).unwrap().is_empty(), "nothing of them was taken in");
    let report = ask(&mut session, &ImportLabelsQuery(file("labels.txt", b""))).unwrap_err();
    assert!(report.hint.unwrap().contains(".jsonl"));
    // A damaged file of what is kept is a note, and the other lines stay.
    let kept = fs::read_dir(home.path().join("labels")).unwrap().flatten();
    for folder in kept {
        let path = folder.path().join("file.jsonl");
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, format!("{{\n{text}")).unwrap();
    }
    let mut session = demo(home.path());
    let found = ask(&mut session, &LabelsQuery { sae: SAE.into(), latents: vec![3] }).unwrap();
    assert!(found.notes.len() == 1 && found.notes[0].contains("line 1"), "{:?}", found.notes);
    assert_eq!(found.labels[0].1.len(), 1);
    // Nor is it lost when the file is written anew.
    let write = WriteLabelQuery { sae: SAE.into(), latent: 4, text: "x".into(), note: String::new() };
    ask(&mut session, &write).unwrap();
    let all = fs::read_dir(home.path().join("labels"))
        .unwrap()
        .flatten()
        .flat_map(|folder| fs::read_dir(folder.path()).unwrap());
    let aside = all.flatten().map(|file| file.path()).filter(|path| path.display().to_string().contains("damaged-1"));
    let aside: Vec<String> = aside.map(|path| fs::read_to_string(path).unwrap()).collect();
    assert!(aside.len() == 1 && aside[0].starts_with("{\n"), "{aside:?}");
}

fn run(home: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_saescope"));
    command.env_clear().env("HOME", home).env("HF_HUB_OFFLINE", "1").args(args).stdin(Stdio::null());
    command.output().unwrap()
}

#[test]
fn the_command_makes_labels_that_the_card_shows() {
    let home = tempfile::tempdir().unwrap();
    let json = |args: &[&str]| -> Value {
        let done = run(home.path(), args);
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        serde_json::from_slice(&done.stdout).unwrap()
    };
    let made = json(&["labels", "make", "--suite", "demo", "--sae", SAE, "--rules", "--json"]);
    let (labelled, tokens) = (made["labelled"].as_u64().unwrap(), made["tokens"].as_u64().unwrap());
    assert!(labelled > 50 && tokens > 3000 && made["unknown"] == 0, "{made}");
    let out = home.path().join("all.jsonl").display().to_string();
    let counts = json(&["labels", "export", "--suite", "demo", &out, "--json"]);
    let of = counts["saes"].as_array().unwrap().iter().find(|count| count["sae"] == SAE).unwrap();
    assert_eq!(of["labelled"], labelled);
    let line: Value = serde_json::from_str(fs::read_to_string(&out).unwrap().lines().next().unwrap()).unwrap();
    let latent = line["latent"].to_string();
    let card = json(&["latent", "--suite", "demo", "--sae", SAE, &latent, "--json"]);
    assert_eq!(card["labels"][0]["text"], line["text"]);
    assert_eq!(card["labels"][0]["source"], "rule");
    assert!(card["labels"][0]["scores"]["f1"].as_f64().unwrap() >= 0.5);
    let refused = run(home.path(), &["labels", "make", "--suite", "demo", "--sae", SAE, "--json"]);
    assert_eq!(refused.status.code(), Some(2), "how is not said");
}
