//! Two prompts as the commands give them on the demo, and what cannot be asked.
//! Not here: the figures (`golden_pair`).

use std::collections::BTreeSet;
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use serde_json::Value;

/// Two names, and what the model says each came from.
struct Two {
    names: [String; 2],
    answers: [String; 2],
}

/// Of the names that the demo's text says something of, the first two of which the model is sure that they came from
/// different countries, and whose latents turn one answer into the other.
fn two() -> &'static Two {
    static FOUND: OnceLock<Two> = OnceLock::new();
    FOUND.get_or_init(|| {
        let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/assets/demo/text.txt"));
        let text = text.expect("the demo's text");
        let mut tried = BTreeSet::new();
        let mut sure: Vec<(String, String, usize)> = Vec::new();
        for before in text.split(" was a") {
            let name = before.rsplit([' ', '>']).next().unwrap_or_default();
            let plain =
                name.chars().all(|c| c.is_ascii_alphabetic()) && name.starts_with(|c: char| c.is_ascii_uppercase());
            let plain = plain && tried.insert(name.to_owned());
            if !plain {
                continue;
            }
            let run = json(&["run", "--sae", "512", "--prompt", &format!("{name} came from")], 0);
            let next = &list(&run, "next").last().expect("what comes next")[0];
            let (token, tokens) = (next["text"].as_str().expect("a text").to_owned(), list(&run, "tokens").len());
            if next["logprob"].as_f64() < Some(-0.2) || token.chars().nth(1).is_none_or(|c| c.is_ascii_lowercase()) {
                continue;
            }
            let turns = |other: &str| {
                let [base, source] = [other, name].map(|name| format!("{name} came from"));
                let args = ["swap", "--sae", "512", "--base", &base, "--source", &source, "--position", "-3,-3"];
                json(&args, 0)["flips_at"].is_number()
            };
            if let Some((other, said, _)) = sure.iter().find(|of| of.1 != token && of.2 == tokens && turns(&of.0)) {
                return Two { names: [other.clone(), name.to_owned()], answers: [said.clone(), token] };
            }
            sure.push((name.to_owned(), token, tokens));
        }
        panic!("no two are turned into each other: {sure:?}");
    })
}

fn a() -> String {
    format!("{} came from", two().names[0])
}

fn b() -> String {
    format!("{} came from", two().names[1])
}

fn run(args: &[&str]) -> Output {
    let home = tempfile::tempdir().expect("a home");
    let mut command = Command::new(env!("CARGO_BIN_EXE_saescope"));
    command.env_clear().env("HOME", home.path()).env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.env("HF_HUB_OFFLINE", "1").stdin(Stdio::null()).args(args).args(["--suite", "demo"]);
    command.output().expect("the binary runs")
}

fn json(args: &[&str], code: i32) -> Value {
    let output = run(&[args, &["--json"]].concat());
    let text = String::from_utf8(output.stdout).expect("is UTF-8");
    assert_eq!(output.status.code(), Some(code), "{text} {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_str(&text).expect("is JSON")
}

fn list<'a>(value: &'a Value, key: &str) -> &'a Vec<Value> {
    value[key].as_array().unwrap_or_else(|| panic!("{key}: {value}"))
}

/// Latents of a position with their activations.
fn fires(run: &Value, position: usize) -> Vec<(u64, f64)> {
    let of = |latent: &Value| {
        (latent["latent"].as_u64().expect("a number"), latent["activation"].as_f64().expect("a number"))
    };
    list(&run["saes"][0]["positions"][position], "latents").iter().map(of).collect()
}

#[test]
fn a_comparison_has_what_each_prompt_has_alone() {
    let got = json(&["compare", "--sae", "512", "--prompt", &a(), "--prompt", &b()], 0);
    assert_eq!(got["schema"], 1);
    let runs = [a(), b()].map(|prompt| json(&["run", "--sae", "512", "--prompt", &prompt, "--all-latents"], 0));
    let pairs = list(&got, "pairs");
    assert!(pairs.len() >= 4);
    for pair in pairs {
        let at = ["a", "b"].map(|key| pair[key].as_u64().expect("a position") as usize);
        let (in_a, in_b) = (fires(&runs[0], at[0]), fires(&runs[1], at[1]));
        let value = |all: &[(u64, f64)], latent: u64| all.iter().find(|of| of.0 == latent).map(|of| of.1);
        let mut seen = 0;
        let mut last = f64::INFINITY;
        for both in list(pair, "both") {
            let latent = both["latent"].as_u64().unwrap();
            assert_eq!((both["a"].as_f64(), both["b"].as_f64()), (value(&in_a, latent), value(&in_b, latent)));
            let difference = (both["a"].as_f64().unwrap() - both["b"].as_f64().unwrap()).abs();
            assert!(difference <= last + 1e-6, "the largest difference first");
            (last, seen) = (difference, seen + 1);
        }
        for (key, own, others) in [("a", &in_a, &in_b), ("b", &in_b, &in_a)] {
            let alone = list(pair, &format!("{key}_only"));
            for of in alone {
                let latent = of["latent"].as_u64().unwrap();
                assert_eq!((of[key].as_f64(), value(others, latent)), (value(own, latent), None));
            }
            assert_eq!(alone.len() + seen, own.len());
        }
        assert_eq!(pair["next_a"], runs[0]["next"][at[0]]);
        assert_eq!(pair["next_b"], runs[1]["next"][at[1]]);
    }
    assert_eq!((&got["tokens_a"], &got["tokens_b"]), (&runs[0]["tokens"], &runs[1]["tokens"]));
    assert!(
        pairs.iter().any(|pair| !list(pair, "a_only").is_empty() && !list(pair, "b_only").is_empty()),
        "other latents fire for another name"
    );
}

#[test]
fn a_shift_moves_partners_and_an_empty_prompt_is_an_answer_that_says_why() {
    let got = json(&["compare", "--sae", "512", "--prompt", &a(), "--prompt", &a(), "--shift", "-1"], 0);
    let pairs = list(&got, "pairs");
    assert!(!pairs.is_empty() && pairs.iter().all(|pair| pair["a"].as_u64() == pair["b"].as_u64().map(|b| b + 1)));
    assert_eq!(list(&got, "unpaired_a").len(), 1);
    let got = json(&["compare", "--sae", "512", "--prompt", &a(), "--prompt", ""], 0);
    assert!(list(&got, "pairs").is_empty());
    assert!(list(&got, "notes").iter().any(|note| note.as_str().is_some_and(|note| note.contains("B is empty"))));
    let one = json(&["compare", "--sae", "512", "--prompt", &a()], 2);
    assert!(one["error"]["what"].as_str().is_some_and(|what| what.contains("two prompts")), "{one}");
}

/// The position at which the two prompts differ.
fn differs() -> String {
    let got = json(&["compare", "--sae", "512", "--prompt", &a(), "--prompt", &b()], 0);
    let id =
        |side: &str, at: &Value| got[format!("tokens_{side}")][at.as_u64().expect("a position") as usize]["id"].clone();
    let pair =
        list(&got, "pairs").iter().rfind(|pair| id("a", &pair["a"]) != id("b", &pair["b"])).expect("they differ");
    format!("{},{}", pair["a"], pair["b"])
}

#[test]
fn an_interchange_flips_the_answer_its_controls_do_not_and_its_command_gives_it_again() {
    let (at, a, b) = (differs(), a(), b());
    let args = ["swap", "--sae", "512", "--base", &a, "--source", &b, "--position", at.as_str()];
    let got = json(&args, 0);
    let (latents, curve) = (list(&got, "latents"), list(&got, "curve"));
    assert_eq!(curve.len(), latents.len() + 1);
    let k = got["flips_at"].as_u64().expect("it flips") as usize;
    assert!(k > 0 && k < latents.len() && got["whole"]["flips"] == true);
    let logprob = |at: usize, key: &str| curve[at][key].as_f64().expect("a number");
    assert!(logprob(0, "logprob_token") > logprob(0, "logprob_other"));
    assert!((0..k).all(|at| logprob(at, "logprob_token") >= logprob(at, "logprob_other")));
    let random = list(&got, "random").iter().rfind(|of| of["k"].as_u64() <= Some(k as u64)).expect("k random ones");
    assert!(random["flips"].as_f64() <= Some(0.5), "{random}");
    let command = got["command"].as_str().expect("a command");
    let shell = Command::new("sh").arg("-c").arg(command.replace("saescope", env!("CARGO_BIN_EXE_saescope"))).output();
    let again: Value = serde_json::from_slice(&shell.expect("a shell").stdout).expect("is JSON");
    assert_eq!(again, got);
    let other = json(&[&args[..], &["--order", "difference"]].concat(), 0);
    assert_eq!(list(&other, "latents").len(), latents.len());
    assert_eq!(other["whole"], got["whole"]);
}

#[test]
fn what_cannot_be_exchanged_is_said_and_how_it_can() {
    let (a, b) = (&*a(), &*b());
    let of =
        |more: &[&str]| json(&[&["swap", "--sae", "512", "--base", a, "--source"], more].concat(), 2)["error"].clone();
    for (more, said) in [
        (&[""][..], "source prompt is empty"),
        (&[a], "both answers are"),
        (&[b, "--position", "99,0"], "no position 99"),
        (&[b, "--token", " Italy Italy"], "2 tokens"),
    ] {
        let error = of(more);
        assert!(error.to_string().contains(said), "{said}: {error}");
    }
}

#[test]
fn a_template_makes_many_pairs_and_the_whole_activation_is_its_ceiling() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("t.toml");
    let rows = two().names.iter().zip(&two().answers);
    let rows = rows.map(|(slot, token)| format!("[[row]]\nslot = {slot:?}\ntoken = {token:?}\n"));
    let rows = rows.collect::<Vec<_>>().concat();
    std::fs::write(&file, format!("prompt = \"{{name}} came from\"\n{rows}")).expect("is written");
    let path = file.to_str().expect("UTF-8");
    let got = json(&["swap", "--sae", "512", "--template", path, "--position", "-3,-3"], 0);
    assert_eq!((&got["pairs"], &got["left_out"]), (&2.into(), &0.into()));
    let accuracy = list(&got, "accuracy");
    let share = |of: &Value| of["share"].as_f64().expect("a share");
    assert!(share(&accuracy[accuracy.len() - 1]) > share(&accuracy[0]) && got["whole"].as_f64() >= Some(0.5), "{got}");
    assert!(accuracy.iter().all(|of| of["low"].as_f64() <= Some(share(of)) && of["high"].as_f64() >= Some(share(of))));
    std::fs::write(&file, "prompt = \"{name} came from\"\n[[row]]\nslot = 'x'\n").expect("is written");
    let wrong = json(&["swap", "--sae", "512", "--template", path], 2);
    assert!(wrong["error"].to_string().contains("line 2"), "{wrong}");
}
