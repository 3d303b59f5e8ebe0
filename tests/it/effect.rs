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

fn json_of(args: &[&str]) -> Value {
    let home = tempfile::tempdir().expect("a home");
    let mut command = Command::new(env!("CARGO_BIN_EXE_saescope"));
    command.env_clear().env("HOME", home.path()).env("PATH", std::env::var_os("PATH").unwrap_or_default());
    let output = command.env("HF_HUB_OFFLINE", "1").stdin(Stdio::null()).args(args).arg("--json").output();
    serde_json::from_slice(&output.expect("the binary runs").stdout).expect("is JSON")
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
fn every_position_is_asked_about_and_its_figures_are_those_of_the_position_alone() {
    let answer = json(&["--sae", "512", "--prompt", PROMPT, "--at", "all", "--read", "7", "--positions", "3"], 0);
    assert_eq!(
        (&answer["schema"], &answer["read"], &answer["sign"]),
        (&1.into(), &7.into(), &"clean - ablated".into())
    );
    let list = |of: &Value| of.as_array().expect("a list").clone();
    let (positions, cells) = (list(&answer["saes"][0]["positions"]), list(&answer["saes"][0]["cells"]));
    // The token that begins the text is left alone.
    let mut at: Vec<u64> = positions.iter().map(|of| of["position"].as_u64().expect("a position")).collect();
    let strongest = at[..3].to_vec();
    at.sort_unstable();
    assert_eq!(at, (1..8).collect::<Vec<u64>>());
    assert!(positions.iter().enumerate().all(|(row, of)| of["measured"] == (row < 3)), "{positions:?}");
    assert!(!cells.is_empty() && cells.iter().all(|of| strongest.contains(&of["position"].as_u64().expect("one"))));
    assert!(answer["notes"].to_string().contains("at 4 positions"), "{}", answer["notes"]);
    let again = &answer["command"].as_str().expect("a command");
    assert!(again.contains("--at 'all' --read 7 --positions 3"), "{again}");
    // One position alone says the same, whatever was measured beside it.
    let first = strongest[0].to_string();
    let token = answer["token"]["text"].as_str().expect("a token");
    let one = json(&["--sae", "512", "--prompt", PROMPT, "--at", &first, "--read", "7", "--token", token], 0);
    assert_eq!(one["all_latents"], positions[0]["all_latents"]);
    let cells: Vec<&Value> = cells.iter().filter(|of| of["position"] == strongest[0]).collect();
    assert_eq!(cells.len(), list(&one["latents"]).len());
    for (cell, latent) in cells.into_iter().zip(list(&one["latents"])) {
        for key in ["latent", "activation", "delta_logprob", "delta_logit", "kl"] {
            assert_eq!(cell[key], latent[key], "{key}");
        }
    }
    let none = json(&["--sae", "512", "--prompt", PROMPT, "--at", "all", "--read", "0"], 0);
    assert!(none["saes"].as_array().is_some_and(Vec::is_empty) && none["notes"].to_string().contains("left alone"));
    for (args, why) in [(&["--positions", "3"][..], "--at all"), (&["--at", "all", "--read", "99"], "position 99")] {
        let answer = json(&[&["--sae", "512", "--prompt", PROMPT], args].concat(), 2);
        assert!(answer["error"].to_string().contains(why), "{answer}");
    }
}

#[test]
fn meta_latents_are_asked_about_in_place_of_latents() {
    let list = |of: &Value| of.as_array().expect("a list").clone();
    let given =
        |args: &[&str], code| json(&[&["--sae", "4096", "--meta", "192", "--prompt", PROMPT], args].concat(), code);
    let all = given(&[], 0);
    assert_eq!((&all["meta"], &all["sae"], &all["schema"]), (&"192".into(), &"4096".into(), &1.into()));
    let (latents, metas) = (list(&all["latents"]), list(&all["meta_latents"]));
    assert!(latents.len() > 1 && metas.len() > 2, "{all}");
    for key in ["meta_latent", "activation", "latents", "delta_logprob", "delta_logit", "kl"] {
        assert!(metas.iter().all(|of| of[key].is_number()), "{key}");
    }
    let command = all["command"].as_str().expect("a command");
    assert!(command.contains("--meta '192'") && command.contains("--seed 0"), "{command}");
    // The latents themselves do together what `effect` says, to the last bit.
    let plain = json(&["--sae", "4096", "--prompt", PROMPT], 0);
    assert_eq!(plain["all_latents"], all["all_latents"]);
    // Of one latent alone: its own meta-latents, and what it does itself.
    let strongest = plain["latents"][0]["latent"].to_string();
    let one = given(&["--latent", &strongest], 0);
    assert_eq!(list(&one["latents"]).len(), 1);
    for key in ["delta_logprob", "kl"] {
        assert_eq!(one["all_latents"][key], plain["latents"][0][key]);
    }
    assert!(list(&one["meta_latents"]).iter().all(|of| of["latents"] == 1));
    let first = one["meta_latents"][0]["meta_latent"].to_string();
    let named = given(&["--latent", &strongest, "--meta-latent", &first, "--meta-latent", "100000"], 0);
    assert_eq!(list(&named["meta_latents"]), [one["meta_latents"][0].clone()]);
    assert!(named["notes"].to_string().contains("100000"));
    for (args, why) in [(&["--at", "all"][..], "one position"), (&["--sae", "512"], "one SAE")] {
        assert!(given(args, 2)["error"].to_string().contains(why), "{why}");
    }
}

#[test]
fn relatives_that_fire_stand_beside_what_every_width_does() {
    let saes = ["--sae", "128", "--sae", "512", "--sae", "4096"];
    let list = |of: &Value| of.as_array().expect("a list").clone();
    let plain = json(&[&saes[..], &["--prompt", PROMPT]].concat(), 0);
    assert!(plain["relatives"].is_null());
    // Of the middle SAE's latents some have relatives on both sides.
    let mut relations = Vec::new();
    for latent in list(&plain["saes"][1]["latents"]) {
        let of = format!("512:{}", latent["latent"]);
        let answer = json(&[&saes[..], &["--prompt", PROMPT, "--relatives-of", &of]].concat(), 0);
        assert_eq!(answer["saes"], plain["saes"], "the same figures");
        for relative in list(&answer["relatives"]) {
            let wider = relative["sae"] == "4096";
            assert_eq!(relative["relation"], if wider { "child" } else { "parent" }, "{relative}");
            let own = list(&plain["saes"][if wider { 2 } else { 0 }]["latents"]);
            let same = own.iter().find(|own| own["latent"] == relative["latent"]).expect("it fires");
            assert!(same.as_object().expect("an object").iter().all(|(key, value)| relative[key] == *value));
            // A child's nearest is the latent; a parent is near enough, or the nearest of all.
            let card = json_of(&[
                "latent",
                "--suite",
                "demo",
                "--sae",
                if wider { "4096" } else { "512" },
                &if wider { relative["latent"].to_string() } else { latent["latent"].to_string() },
            ]);
            let rung = list(&card["ladder"]).into_iter().find(|of| of["sae"] == if wider { "512" } else { "128" });
            let nearest = list(&rung.expect("a rung")["nearest"]);
            let expected = if wider { &latent["latent"] } else { &relative["latent"] };
            let found = nearest.iter().find(|near| near["latent"] == *expected).expect("is near");
            assert!(wider || found["cosine"].as_f64() >= Some(0.7) || *found == nearest[0], "{relative}");
            let cosines = (found["cosine"].as_f64().expect("one"), relative["cosine"].as_f64().expect("one"));
            assert!((cosines.0 - cosines.1).abs() < 1e-5, "{cosines:?}");
            relations.push(wider);
        }
    }
    assert!(relations.contains(&true) && relations.contains(&false), "{relations:?}");
    let wrong = json(&[&saes[..], &["--prompt", PROMPT, "--relatives-of", "512:99999"]].concat(), 2);
    assert!(wrong["error"].to_string().contains("99999"), "{wrong}");
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
        let query = EffectQuery {
            prompt,
            saes: vec!["512".to_owned()],
            position,
            read: None,
            token: None,
            relatives_of: None,
            seed: 0,
        };
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
