//! A ladder trained by `tools/train_sae` opens as a suite, whose figures are those that its file expects.
//! Not here: how well SAEs learn (`sae::train`).

#[expect(dead_code, reason = "its `main` reads arguments")]
#[path = "../../tools/train_sae/src/main.rs"]
mod program;

use std::fs;
use std::path::Path;

use clap::Parser;
use saescope::analysis::doctor::Verdict;
use saescope::hub::{Environment, Hub};
use saescope::session::{CheckupQuery, LoadScope, OpenQuery, Session, SessionConfig};
use saescope::task::Cancel;

fn arguments(out: &Path, more: &[&str]) -> program::Arguments {
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/demo");
    let (model, text) = (demo.join("model").display().to_string(), demo.join("text.txt").display().to_string());
    let out = out.display().to_string();
    let given = ["train_sae", "--model", &model, "--text", &text, "--out", &out];
    let usual = ["--width", "64", "--width", "128", "--k", "8", "--steps", "150", "--batch", "512", "--lr", "0.003"];
    program::Arguments::parse_from(given.iter().chain(&usual).chain(more))
}

#[test]
fn a_trained_ladder_opens_as_a_suite_that_is_wired_right() {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, site) in [
        ("1 resid", ["--layer", "2", "--center"].as_slice()),
        ("z", &["--layer", "1", "--kind", "attn_z"]),
        ("attn", &["--layer", "1", "--kind", "attn_out"]),
        ("mid", &["--layer", "1", "--kind", "resid_mid"]),
    ] {
        let out = folder.path().join(name);
        program::train(&arguments(&out, site)).expect("trains");
        let cache = folder.path().join("cache");
        let environment = Environment { endpoint: "http://127.0.0.1:9".into(), cache, token: None, offline: true };
        let mut session = Session::new(SessionConfig::new(Hub::new(environment)));
        let suite = out.join("suite.toml").display().to_string();
        let open = OpenQuery { suite, saes: Vec::new(), reach: LoadScope::Whole };
        session.ask(&open, &Cancel::new(), &|_| {}).expect("opens");
        let checkup = CheckupQuery { losses: true, again: true };
        let checked = session.ask(&checkup, &Cancel::new(), &|_| {}).expect("is measured");
        let checkup = &checked.checkup;
        assert_eq!(checkup.saes.iter().map(|sae| sae.width).collect::<Vec<_>>(), [64, 128]);
        assert_eq!(checkup.verdict, Verdict::Fine, "{checkup:#?}");
        for sae in &checkup.saes {
            let expected = &sae.expected;
            let all = [expected.l0, expected.explained_variance, expected.mse, expected.loss_recovered];
            assert!(all.iter().all(Option::is_some) && sae.contradictions.is_empty(), "{sae:?}");
        }
        let again = program::train(&arguments(&out, site)).expect_err("overwrites nothing");
        assert!(again.to_string().contains("choose another --out"), "{again}");
    }
}

#[test]
fn what_cannot_be_trained_on_is_said() {
    let folder = tempfile::tempdir().expect("a folder");
    let said = |more: &[&str]| {
        let out = folder.path().join("out");
        let error = program::train(&arguments(&out, more)).expect_err("is refused");
        assert!(!out.exists(), "nothing is left behind");
        format!("{error:#}")
    };
    assert!(said(&["--layer", "1", "--k", "65"]).contains("1 to 64"));
    assert!(said(&["--layer", "1", "--text", "nowhere.txt"]).contains("cannot read the text nowhere.txt"));
    assert!(said(&["--layer", "4"]).contains("its layers are 0 to 3"));
    let short = folder.path().join("short.txt");
    fs::write(&short, "one").expect("is written");
    assert!(said(&["--layer", "1", "--text", &short.display().to_string()]).contains("too short"));
}
