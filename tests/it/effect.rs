//! Effects as the session and the command give them on the demo, and what cannot be asked.
//! Not here: the figures (`golden_effect`).

use std::process::{Command, Output, Stdio};

use saescope::hub::{Environment, Hub};
use saescope::session::{EffectQuery, LoadScope, OpenQuery, Session, SessionConfig};
use saescope::task::Cancel;
use serde_json::Value;

const PROMPT: &str = "Albert Einstein was a German physicist known for";

fn run(args: &[&str]) -> Output {
    let home = tempfile::tempdir().expect("a home");
    let mut command = Command::new(env!("CARGO_BIN_EXE_saescope"));
    command.env_clear().env("HOME", home.path()).env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.env("HF_HUB_OFFLINE", "1").stdin(Stdio::null()).arg("effect").args(["--suite", "demo"]);
    command.args(args).output().expect("the binary runs")
}

fn json(args: &[&str], code: i32) -> Value {
    let output = run(&[args, &["--json"]].concat());
    let text = String::from_utf8(output.stdout).expect("is UTF-8");
    assert_eq!(output.status.code(), Some(code), "{text}");
    serde_json::from_str(&text).expect("is JSON")
}

#[test]
fn the_answer_has_what_was_promised_and_its_command_gives_it_again() {
    let answer = json(&["--sae", "512", "--prompt", PROMPT], 0);
    assert_eq!((&answer["schema"], &answer["sign"]), (&1.into(), &"clean - ablated".into()));
    assert_eq!(answer["position"], answer["read"]);
    let latents = answer["latents"].as_array().expect("a list");
    assert!(latents.len() > 3 && *latents == *answer["saes"][0]["latents"].as_array().expect("a list"));
    for key in ["latent", "activation", "delta_logprob", "delta_logit", "kl", "direct"] {
        assert!(latents.iter().all(|latent| latent[key].is_number()), "{key}");
    }
    let size = |at: usize| latents[at]["delta_logprob"].as_f64().expect("a number").abs();
    assert!(size(0) > 0.01 && (1..latents.len()).all(|at| size(at - 1) >= size(at)), "the largest first");
    assert!(latents.iter().all(|latent| latent["kl"].as_f64() >= Some(0.0)));
    for (part, keys) in [
        ("all_latents", &["delta_logprob", "kl"][..]),
        ("error", &["delta_logprob", "kl", "norm"]),
        ("random", &["norm", "delta_logprob", "kl", "kl_max", "directions"]),
    ] {
        assert!(keys.iter().all(|key| answer[part][key].is_number()), "{part}: {}", answer[part]);
    }
    assert_eq!(answer["random"]["directions"], 16);
    assert!(answer["error"]["random"]["kl_max"].is_number() && answer["notes"].is_array());
    let command = answer["command"].as_str().expect("a command");
    assert!(command.starts_with("saescope effect --suite 'demo' --sae '512' --prompt"), "{command}");
    let versions = &answer["versions"];
    assert_eq!(versions["saescope"], env!("CARGO_PKG_VERSION"));
    let hashes = [&versions["model"]["sha256"], &versions["sae"]["512"]["sha256"]];
    assert!(hashes.iter().all(|hash| hash.as_str().is_some_and(|hash| hash.len() == 64)), "{versions}");
    assert!(versions["sae"]["256"].is_null(), "only what was asked about: {versions}");
    // What is read further on goes through the attention of what stands between, and has no direct path.
    let later = json(&["--sae", "512", "--prompt", PROMPT, "--at", "3", "--read", "8"], 0);
    assert!(later["latents"].as_array().expect("a list").iter().all(|latent| latent["direct"].is_null()));
    let two = json(&["--sae", "256", "--sae", "512", "--prompt", PROMPT, "--top", "2"], 0);
    assert!(two["latents"].is_null() && two["saes"][1]["latents"].as_array().expect("a list").len() == 2);
    assert_eq!(two["saes"][1]["latents"][0], latents[0], "whatever stands beside it in the batch");
}

#[test]
fn what_cannot_be_asked_is_said_with_what_can() {
    let error = |args: &[&str]| {
        let answer = json(&[&["--sae", "512", "--prompt", PROMPT], args].concat(), 2);
        format!("{}: {}; {}", answer["error"]["what"], answer["error"]["why"], answer["error"]["hint"])
    };
    let said = error(&["--token", " Germany and"]);
    assert!(said.contains("2 tokens") || said.contains("tokens:"), "{said}");
    let said = error(&["--token", ""]);
    assert!(said.contains("the text is empty"), "{said}");
    let said = error(&["--at", "99"]);
    assert!(said.contains("there is no position 99"), "{said}");
    let said = error(&["--read", "99"]);
    assert!(said.contains("there is no position 99"), "{said}");
    let said = error(&["--at", "5", "--read", "4"]);
    assert!(said.contains("changes nothing at position 4"), "{said}");
    let said = error(&["--no-predictions"]);
    assert!(said.contains("the whole model"), "{said}");
    let none = json(&["--sae", "512", "--prompt", PROMPT, "--latent", "511", "--latent", "0"], 0);
    let notes = none["notes"].to_string();
    assert!(notes.contains("does not fire at position"), "{notes}");
}

#[test]
fn a_session_gives_the_same_whatever_was_run_before() {
    let environment = Environment {
        endpoint: "http://127.0.0.1:9".to_owned(),
        cache: std::env::temp_dir().join("saescope-has-no-cache-here"),
        token: None,
        offline: true,
    };
    let mut session = Session::new(SessionConfig::new(Hub::new(environment)));
    let (cancel, suite) = (Cancel::new(), "demo".to_owned());
    session
        .ask(&OpenQuery { suite, saes: Vec::new(), reach: LoadScope::Whole }, &cancel, &|_| {})
        .expect("the demo opens");
    let mut ask = |prompt: &str, position| {
        let prompt = prompt.to_owned();
        let query = EffectQuery { prompt, saes: vec!["512".to_owned()], position, read: None, token: None, seed: 0 };
        session.ask(&query, &cancel, &|_| {})
    };
    let first = ask(PROMPT, Some(4)).expect("is measured");
    ask("Galileo was", None).expect("is measured");
    assert_eq!(ask(PROMPT, Some(4)).expect("is measured"), first);
    // Of the beginning of a longer prompt: nothing behind a position changes what is said there.
    assert_eq!(ask(&format!("{PROMPT} physics"), Some(4)).expect("is measured"), first);
    // The token that begins the text is named by its position.
    assert_eq!(ask(PROMPT, Some(0)).expect("is measured").position, 0);
}
