//! Rules of small models' latents, against a plain search and count in Python over the same text.
//! Not here: how the fixtures are made (`fixtures/make_rule_fixtures.py`), and rules by themselves (`analysis::rules`).

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;

use saescope::hub::{Environment, Hub};
use saescope::session::{LabelsQuery, MakeLabelsQuery, Session, SessionConfig};
use saescope::task::Cancel;
use serde::Deserialize;

use crate::support::reference::fixtures;

/// What the fixture's script found.
#[derive(Deserialize)]
struct Found {
    texts: Vec<String>,
    layer: usize,
    prepend_bos: bool,
    labels: Vec<Option<Rule>>,
}

#[derive(Deserialize)]
struct Rule {
    text: String,
    r#type: String,
    positions: u64,
    fires: u64,
    named: u64,
    both: u64,
}

fn check(name: &str) {
    let folder = tempfile::tempdir().unwrap();
    let path = |file: &str| folder.path().join(file);
    let of_rules = fixtures().join("rules").join(name);
    let found: Found = serde_json::from_slice(&fs::read(of_rules.join("labels.json")).unwrap()).unwrap();
    fs::create_dir(path("model")).unwrap();
    for file in ["config.json", "model.safetensors"] {
        fs::copy(fixtures().join("models").join(name).join(file), path("model").join(file)).unwrap();
    }
    fs::copy(fixtures().join("tokenizer/tokenizer.json"), path("model/tokenizer.json")).unwrap();
    let suite = format!(
        "id = \"rules\"\n[model]\npath = 'model'\nprepend_bos = {}\ntokenizer = \"file\"\n[site]\nlayer = {}\n\
         kind = \"resid_pre\"\n[[sae]]\nid = \"rules\"\nformat = \"sae-lens\"\npath = '{}'\ndefault = true\n",
        found.prepend_bos,
        found.layer,
        of_rules.join("sae").display()
    );
    fs::write(path("rules.toml"), suite).unwrap();
    fs::write(path("text.txt"), found.texts.join("\n<|endoftext|>\n")).unwrap();
    let hub = Hub::new(Environment::read(&|_| None).unwrap());
    let config = SessionConfig { metas: Some(path("data/meta")), ..SessionConfig::new(hub) };
    let mut session = Session::new(config);
    let suite = session.suite(&path("rules.toml").display().to_string()).unwrap();
    session.open(suite, &["rules".to_owned()], &Cancel::new(), &|_| {}).unwrap();
    let made = MakeLabelsQuery { sae: "rules".into(), texts: vec![path("text.txt")], ..MakeLabelsQuery::default() };
    session.ask(&made, &Cancel::new(), &|_| ()).unwrap();
    let asked = LabelsQuery { sae: "rules".into(), latents: (0..found.labels.len() as u32).collect() };
    let labels = session.ask(&asked, &Cancel::new(), &|_| ()).unwrap().labels;
    assert_eq!(labels.len(), found.labels.len());
    for ((latent, labels), rule) in labels.iter().zip(&found.labels) {
        let what = format!("{name}, latent {latent}: {labels:?}");
        let Some(rule) = rule else {
            assert!(labels.is_empty(), "{what}");
            continue;
        };
        let [label] = &labels[..] else { panic!("{what}") };
        assert_eq!((&label.text, &label.kind), (&rule.text, &rule.r#type), "{what}");
        let scores = label.scores.unwrap();
        let of = |part: u64, of: u64| part as f64 / of as f64;
        let silent = of(rule.named - rule.both, rule.positions - rule.fires);
        let recall = of(rule.both, rule.fires);
        let wanted = [
            (scores.precision, of(rule.both, rule.named)),
            (scores.recall, recall),
            (scores.f1, of(2 * rule.both, rule.named + rule.fires)),
            (scores.precision_balanced, recall / (recall + silent)),
        ];
        assert!(wanted.iter().all(|(got, want)| (got.unwrap() - want).abs() < 1e-12), "{what}");
        assert_eq!(scores.held_out, rule.fires, "{what}");
    }
}

#[test]
fn rules_of_tokens_alone_are_those_of_a_plain_search() {
    check("plain");
}

#[test]
fn rules_behind_attention_are_those_of_a_plain_search() {
    check("llama");
    check("neox");
}
