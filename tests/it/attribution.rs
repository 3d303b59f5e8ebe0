//! Heads and sources of a latent as the session and the command give them: parts and bias add up to the
//! pre-activation in every architecture and convention. Not here: the parts themselves (`golden_attribution`).

use std::path::Path;
use std::process::{Command, Stdio};

use saescope::analysis::{Attribution, FoundBy};
use saescope::hub::{Environment, Hub};
use saescope::report::Kind;
use saescope::session::{AttributionQuery, LoadScope, OpenQuery, RunQuery, SearchQuery, Session, SessionConfig};
use saescope::task::Cancel;
use serde_json::Value;

const PROMPT: &str = "Albert Einstein was a German physicist known for";

fn opened(suite: &str) -> Session {
    let environment = Environment {
        endpoint: "http://127.0.0.1:9".to_owned(),
        cache: std::env::temp_dir().join("saescope-has-no-cache-here"),
        token: None,
        offline: true,
    };
    let setup = SessionConfig::new(Hub::new(environment));
    let mut session = Session::new(setup);
    session
        .ask(&OpenQuery { suite: suite.to_owned(), saes: Vec::new(), reach: LoadScope::Whole }, &Cancel::new(), &|_| {})
        .expect("the suite opens");
    session
}

fn run(session: &mut Session, prompt: &str) {
    session.ask(&RunQuery { prompt: prompt.to_owned(), next: 1 }, &Cancel::new(), &|_| {}).expect("runs");
}

fn at(session: &mut Session, sae: &str, latent: u32, position: usize) -> Attribution {
    let job = AttributionQuery { sae: sae.to_owned(), latent, position };
    session.ask(&job, &Cancel::new(), &|_| {}).expect("is attributed")
}

fn adds_up(of: &Attribution, what: &str) {
    let parts: Vec<f64> = of.parts.concat().into_iter().map(f64::from).collect();
    let scale: f64 = parts.iter().map(|part| part.abs()).sum::<f64>() + f64::from(of.bias.abs());
    let sums = [
        parts.iter().sum::<f64>(),
        of.heads.iter().map(|head| f64::from(head.value)).sum(),
        of.sources.iter().map(|source| f64::from(source.value)).sum(),
    ];
    for sum in sums {
        let wrong = (sum + f64::from(of.bias) - f64::from(of.pre_activation)).abs();
        assert!(wrong < 1e-5 * scale, "{what}: {sum} + {} is not {}", of.bias, of.pre_activation);
    }
    if of.activation > 0.0 {
        assert!(f64::from((of.activation - of.pre_activation).abs()) < 1e-4 * scale, "{what}: {of:?}");
    }
    assert_eq!((of.sources.len(), of.heads.len()), (of.position + 1, 4));
}

#[test]
fn parts_and_bias_add_up_in_every_architecture_and_convention() {
    let folder = tempfile::tempdir().expect("a folder");
    for (site, saes) in [("", 6), ("center = true", 6), ("fold_value_bias = true", 4)] {
        let file = crate::support::z_suite::write(folder.path(), site, saes);
        let mut session = opened(file.to_str().expect("is UTF-8"));
        run(&mut session, PROMPT);
        for sae in 0..saes {
            let mut fired = 0;
            for position in [8, 3, 0] {
                for latent in 0..crate::support::z_suite::WIDTH as u32 {
                    let of = at(&mut session, &sae.to_string(), latent, position);
                    adds_up(&of, &format!("{site} {:?} {position} {latent}", crate::support::z_suite::KINDS[sae]));
                    fired += usize::from(of.activation > 0.0);
                }
            }
            assert!(fired > 5, "{site} {:?}", crate::support::z_suite::KINDS[sae]);
        }
    }
}

#[test]
fn taking_the_values_bias_out_moves_it_from_the_constant_and_changes_each_part() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut of = ["", "fold_value_bias = true"].map(|site| {
        let file = crate::support::z_suite::write(folder.path(), site, 1);
        let mut session = opened(file.to_str().expect("is UTF-8"));
        run(&mut session, PROMPT);
        at(&mut session, "0", 3, 5)
    });
    let [raw, folded] = &mut of;
    // Both SAEs have the same encoder and so the same constant; the second has never seen the values' bias.
    assert!((raw.bias - folded.bias).abs() < 1e-5, "{} {}", raw.bias, folded.bias);
    assert!((raw.pre_activation - folded.pre_activation).abs() > 1e-3);
    assert!(raw.parts.concat().iter().zip(folded.parts.concat()).any(|(a, b)| (a - b).abs() > 1e-3));
}

#[test]
fn what_was_typed_before_changes_no_digit() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = crate::support::z_suite::write(folder.path(), "", 1);
    let file = file.to_str().expect("is UTF-8");
    let mut typed = opened(file);
    for end in [10, 20, PROMPT.len(), 30, PROMPT.len()] {
        run(&mut typed, &PROMPT[..end]);
        at(&mut typed, "0", 3, 2);
    }
    let mut fresh = opened(file);
    run(&mut fresh, PROMPT);
    for position in [2, 7, 3] {
        assert_eq!(at(&mut typed, "0", 3, position), at(&mut fresh, "0", 3, position));
    }
}

#[test]
fn what_cannot_be_attributed_is_said() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = crate::support::z_suite::write(folder.path(), "", 1);
    let mut session = opened(file.to_str().expect("is UTF-8"));
    let ask = |session: &mut Session, latent, position| {
        session.attribution("0", latent, position, &Cancel::new()).expect_err("is refused")
    };
    assert!(ask(&mut session, 3, Some(0)).to_string().contains("no prompt"));
    run(&mut session, PROMPT);
    let report = ask(&mut session, 3, Some(99));
    assert!(report.kind == Kind::Usage && report.to_string().contains("position 99"), "{report}");
    let report = ask(&mut session, 480, None);
    assert!(report.kind == Kind::Usage && report.to_string().contains("0 to 47"), "{report}");
    let cancel = Cancel::new();
    cancel.cancel();
    assert_eq!(session.attribution("0", 3, Some(1), &cancel).expect_err("is cancelled").kind, Kind::Cancelled);
    adds_up(&session.attribution("0", 3, Some(1), &Cancel::new()).expect("goes on"), "after a cancel");
}

#[test]
fn a_search_ranks_latents_by_what_their_cards_say() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = crate::support::z_suite::write(folder.path(), "", 1);
    let mut session = opened(file.to_str().expect("is UTF-8"));
    let job = SearchQuery { sae: "0".to_owned(), query: "to:Germany".to_owned() };
    let found = session.ask(&job, &Cancel::new(), &|_| {}).expect("searches");
    assert!(found.hits.len() > 5, "{found:?}");
    for hit in &found.hits[..3] {
        let FoundBy::PromotedToken { text, value } = &hit.by[0] else { panic!("{hit:?}") };
        let card = session.card("0", hit.latent, None, 4096).expect("has a card");
        let token = card.promoted.iter().find(|token| token.text == *text).expect("a token");
        assert!((token.value - value).abs() < 1e-3 * value.abs(), "{} {value}", token.value);
    }
}

fn saescope(args: &[&str]) -> (Option<i32>, String, String) {
    let home = tempfile::tempdir().expect("a home");
    let mut command = Command::new(env!("CARGO_BIN_EXE_saescope"));
    command.env_clear().env("HOME", home.path()).env("HF_HUB_OFFLINE", "1").stdin(Stdio::null()).args(args);
    let output = command.output().expect("the binary runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("is UTF-8");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().expect("is a list").iter().map(|value| value.as_f64().expect("is a number")).collect()
}

#[test]
fn the_command_says_heads_sources_and_parts_where_the_latent_fires_most() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = crate::support::z_suite::write(folder.path(), "", 2);
    let suite = Path::to_str(&file).expect("is UTF-8");
    let (_, run, _) = saescope(&["run", "--suite", suite, "--prompt", PROMPT, "--sae", "1", "--all-latents", "--json"]);
    let run: Value = serde_json::from_str(&run).expect("is JSON");
    let positions = run["saes"][0]["positions"].as_array().expect("is a list");
    let fires = |position: &Value, latent: u64| {
        let all = position["latents"].as_array().expect("is a list");
        all.iter().find(|f| f["latent"] == latent).map_or(0.0, |f| f["activation"].as_f64().expect("is a number"))
    };
    let latent = positions[4]["latents"][0]["latent"].as_u64().expect("one fires");
    let strongest = (1..positions.len())
        .max_by(|a, b| fires(&positions[*a], latent).total_cmp(&fires(&positions[*b], latent)))
        .expect("a position");
    let number = latent.to_string();
    let args = ["latent", "--suite", suite, "--sae", "1", &number, "--prompt", PROMPT];
    let (code, text, errors) = saescope(&[&args[..], &["--json"]].concat());
    assert_eq!(code, Some(0), "{errors}{text}");
    let card: Value = serde_json::from_str(&text).expect("is JSON");
    assert_eq!((card["schema"].as_u64(), card["latent"].as_u64()), (Some(1), Some(latent)));
    let of = &card["attribution"];
    assert_eq!(of["position"], strongest);
    assert_eq!(of["activation"].as_f64(), Some(fires(&positions[strongest], latent)));
    let parts: Vec<Vec<f64>> = of["parts"].as_array().expect("is a list").iter().map(numbers).collect();
    assert_eq!(parts.len(), strongest + 1);
    for (source, (part, told)) in parts.iter().zip(of["sources"].as_array().expect("is a list")).enumerate() {
        assert_eq!(told["position"], source);
        assert_eq!(told["text"], run["tokens"][source]["text"]);
        assert!((part.iter().sum::<f64>() - told["value"].as_f64().expect("is a number")).abs() < 1e-5);
    }
    for (head, told) in of["heads"].as_array().expect("is a list").iter().enumerate() {
        assert_eq!(told["head"], head);
        let sum: f64 = parts.iter().map(|part| part[head]).sum();
        assert!((sum - told["value"].as_f64().expect("is a number")).abs() < 1e-5);
    }
    let number = |name: &str| of[name].as_f64().expect("is a number");
    let sum = parts.concat().iter().sum::<f64>() + number("bias");
    assert!((sum - number("pre_activation")).abs() < 1e-4, "{sum} {of}");
    let (code, text, _) = saescope(&[&args[..], &["--position", "2"]].concat());
    assert_eq!(code, Some(0));
    assert!(text.contains("at 2 ") && text.contains("by head ") && text.contains("pre-activation"), "{text}");
    let (_, without, _) = saescope(&["latent", "--suite", suite, "--sae", "1", "3", "--json"]);
    let without: Value = serde_json::from_str(&without).expect("is JSON");
    assert!(without.get("attribution").is_none());
}

#[test]
fn the_command_refuses_a_site_without_heads_and_a_position_without_prompt() {
    let (code, text, _) = saescope(&["latent", "--sae", "256", "7", "--prompt", PROMPT, "--json"]);
    let error: Value = serde_json::from_str(&text).expect("is JSON");
    assert_eq!(code, Some(1));
    let error = &error["error"];
    assert!(error["why"][0].as_str().is_some_and(|why| why.contains("resid_pre") && why.contains("attn_z")), "{error}");
    assert!(error["hint"].as_str().is_some_and(|hint| hint.contains("saescope suites")), "{error}");
    let (code, _, errors) = saescope(&["latent", "--sae", "256", "7", "--position", "1"]);
    assert_eq!(code, Some(2), "{errors}");
}
