//! What computes: devices that this build or this machine lacks are refused in words, and the way that cards compute
//! gives the numbers of the CPU, tried on the CPU in a card's place.
//! Not here: the model's own golden tests (`golden_model`, `golden_attribution`), and whether a real card agrees.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use saescope::analysis::Run;
use saescope::device::DeviceName;
use saescope::hub::{Environment, Hub};
use saescope::session::{
    CheckupQuery, ComputeDevice, LoadScope, NextQuery, OnDevice, OpenRequest, OpenedSuite, RunOptions, RunQuery,
    Session, SessionConfig,
};
use saescope::task::Cancel;
use serde_json::Value;

const PROMPT: &str = "Marie Curie came from Poland. Tokyo is a city";

fn session(device: DeviceName) -> Session {
    let cache = std::env::temp_dir().join("saescope-has-no-cache-here");
    let environment = Environment { endpoint: "http://127.0.0.1:9".into(), cache, token: None, offline: true };
    Session::new(SessionConfig {
        compute_device: ComputeDevice::new(device),
        ..SessionConfig::new(Hub::new(environment))
    })
}

fn opened(device: DeviceName, reach: LoadScope) -> (Session, OpenedSuite) {
    let mut session = session(device);
    let suite = session.suite("demo").expect("the demo");
    let saes = suite.default_saes();
    let opening = OpenRequest { suite, saes: &saes, reach, words: true };
    let opened = session.open_as(opening, &Cancel::new(), &|_| {}).expect("opens");
    (session, opened)
}

fn near(what: &str, got: f64, want: f64) {
    assert!((got - want).abs() <= 1e-4 * want.abs() + 1e-5, "{what}: {got}, the CPU says {want}");
}

fn same(got: &Run, want: &Run) {
    assert_eq!(got.tokens, want.tokens);
    for (got, want) in got.saes.iter().zip(&want.saes) {
        let figures = |run: &saescope::analysis::SaeRun| {
            let quality = &run.metrics.quality;
            let ce = run.metrics.cross_entropy.as_ref();
            let all = [quality.l0, quality.mse, quality.explained_variance, ce.map(|ce| ce.ce_clean)];
            all.into_iter()
                .chain([ce.map(|ce| ce.ce_spliced), ce.map(|ce| ce.ce_zero), ce.map(|ce| ce.ce_mean)])
                .map(|figure| figure.unwrap_or(f64::NAN))
                .collect::<Vec<_>>()
        };
        for (got, want) in figures(got).into_iter().zip(figures(want)) {
            assert!(want.is_finite(), "everything is measured");
            near("a figure", got, want);
        }
        for (got, want) in got.positions.iter().zip(&want.positions) {
            for (got, want) in got.latents.iter().zip(&want.latents) {
                assert_eq!(got.latent, want.latent);
                near("an activation", f64::from(got.activation), f64::from(want.activation));
            }
        }
    }
    for (got, want) in got.next.iter().flatten().zip(want.next.iter().flatten()) {
        assert_eq!(got.id, want.id);
        near("a log-probability", f64::from(got.logprob), f64::from(want.logprob));
    }
}

#[test]
fn a_session_on_the_stand_in_for_a_card_gives_the_run_of_the_cpu() {
    let (mut here, _) = opened(DeviceName::Cpu, LoadScope::Whole);
    let (mut there, told) = opened(DeviceName::StandIn, LoadScope::Whole);
    assert_eq!(told.device, "stand-in, f32");
    let Some(OnDevice { needed, free: None }) = told.memory.on_device else { panic!("{:?}", told.memory) };
    assert!(needed > 0);
    let options = RunOptions { next: 3, metrics: true };
    // Typed in steps, so that the cache of the card is cut back and gone on with.
    for prompt in ["Marie Curie", &PROMPT[..30], PROMPT, &PROMPT[..20]] {
        let run = |session: &mut Session| session.run(prompt, &options, &Cancel::new()).expect("runs");
        same(&run(&mut there), &run(&mut here));
    }
    let raw = |session: &mut Session| session.raw(&Cancel::new()).expect("the tensors");
    let (got, want) = (raw(&mut there), raw(&mut here));
    for (got, want) in got.residual.iter().chain(&got.logits).zip(want.residual.iter().chain(&want.logits)) {
        near("a value", f64::from(*got), f64::from(*want));
    }
}

#[test]
fn a_card_holds_no_more_of_a_model_than_is_opened() {
    let needed = |reach| opened(DeviceName::StandIn, reach).1.memory.on_device.map(|memory| memory.needed);
    let (whole, site) = (needed(LoadScope::Whole).expect("counted"), needed(LoadScope::Site).expect("counted"));
    assert!(site < whole, "{site} of {whole}");
    let (_, words) = opened(DeviceName::StandIn, LoadScope::WeightsOnly);
    assert_eq!(words.memory.on_device, None);
    assert!(words.device.starts_with("cpu"), "{}: nothing computes on a card there", words.device);
}

#[test]
fn predictions_asked_for_later_go_on_from_the_cards_own_cache() {
    let next = |device| {
        let mut session = opened(device, LoadScope::Whole).0;
        let run = RunQuery { prompt: PROMPT.to_owned(), next: 0 };
        session.ask(&run, &Cancel::new(), &|_| {}).expect("computes");
        let next = NextQuery { prompt: PROMPT.to_owned(), positions: vec![2, 5, 7], count: 4 };
        session.ask(&next, &Cancel::new(), &|_| {}).expect("computes").next
    };
    for ((at, got), (_, want)) in next(DeviceName::StandIn).into_iter().zip(next(DeviceName::Cpu)) {
        assert_eq!(got.len(), 4, "at {at}");
        for (got, want) in got.iter().zip(&want) {
            assert_eq!(got.id, want.id);
            near("a log-probability", f64::from(got.logprob), f64::from(want.logprob));
        }
    }
}

#[test]
fn aides_compute_on_the_cards_model_too() {
    let curve = |device| {
        let (session, _) = opened(device, LoadScope::Whole);
        let job = CheckupQuery { losses: true, again: true };
        session.background().ask(&job, &Cancel::new(), &|_| {}).expect("is measured").checkup
    };
    let (got, want) = (curve(DeviceName::StandIn), curve(DeviceName::Cpu));
    let json = |checkup| serde_json::to_value(checkup).expect("is JSON");
    alike("", &json(&*got), &json(&*want));
}

/// The same structure and text, with numbers that are near each other.
fn alike(path: &str, got: &Value, want: &Value) {
    match (got, want) {
        (Value::Object(got), Value::Object(want)) => {
            assert_eq!(got.keys().collect::<Vec<_>>(), want.keys().collect::<Vec<_>>(), "{path}");
            got.iter().for_each(|(key, value)| alike(&format!("{path}.{key}"), value, &want[key]));
        }
        (Value::Array(got), Value::Array(want)) => {
            assert_eq!(got.len(), want.len(), "{path}");
            got.iter().zip(want).for_each(|(got, want)| alike(path, got, want));
        }
        (Value::Number(got), Value::Number(want)) => {
            let number = |number: &serde_json::Number| number.as_f64().unwrap_or(f64::NAN);
            near(path, number(got), number(want));
        }
        _ => assert_eq!(got, want, "{path}"),
    }
}

/// The binary in a home of its own.
fn saescope(home: &Path, args: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_saescope"));
    command.env_clear().env("HOME", home).env("HF_HUB_OFFLINE", "1").stdin(Stdio::null());
    command.envs(variables.iter().copied()).args(args).output().expect("the binary runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("is UTF-8")
}

#[test]
fn a_device_that_this_build_cannot_use_is_refused_by_every_command_that_needs_one() {
    let home = tempfile::tempdir().expect("a home");
    for (device, maker, built) in
        [("cuda", "CUDA", cfg!(feature = "cuda")), ("metal", "Metal", cfg!(feature = "metal"))]
    {
        if built {
            continue;
        }
        let want = format!(
            "error: cannot compute on {}\ncaused by: this build has no {maker}\nhint: build with `--features {device}` \
             (README, Graphics cards); `--device cpu` needs nothing\n",
            if device == "cuda" { "cuda:0" } else { device }
        );
        for command in [
            &["run", "--prompt", "Tokyo"][..],
            &["latent", "--sae", "128", "7"],
            &["latent", "--sae", "128", "7", "--weights-only"],
            &["stitch", "--small", "128", "--large", "256"],
            &["doctor", "--suite", "demo"],
            &["shot"],
            &[],
        ] {
            let output = saescope(home.path(), &[command, &["--device", device]].concat(), &[]);
            assert_eq!((text(&output.stderr), output.status.code()), (want.clone(), Some(2)), "{command:?}");
            assert_eq!(text(&output.stdout), "", "{command:?}");
        }
    }
}

#[test]
fn flag_variable_and_config_file_choose_the_device_in_this_order() {
    if cfg!(feature = "cuda") {
        return;
    }
    let home = tempfile::tempdir().expect("a home");
    let run = |args: &[&str], variables: &[(&str, &str)]| {
        let output = saescope(home.path(), &[&["run", "--prompt", "Tokyo", "--json"], args].concat(), variables);
        let answer: Value = serde_json::from_slice(&output.stdout).expect("is JSON");
        (output.status.code(), answer["error"]["what"].as_str().unwrap_or_default().to_owned())
    };
    let refused = |number: usize| (Some(2), format!("cannot compute on cuda:{number}"));
    assert_eq!(run(&[], &[]), (Some(0), String::new()));
    assert_eq!(run(&["--device", "cuda:3"], &[]), refused(3));
    assert_eq!(run(&[], &[("SAESCOPE_DEVICE", "cuda:1")]), refused(1));
    assert_eq!(run(&["--device", "cpu"], &[("SAESCOPE_DEVICE", "cuda:1")]), (Some(0), String::new()));
    let config = home.path().join(".config/saescope");
    fs::create_dir_all(&config).expect("a folder");
    fs::write(config.join("config.toml"), "device = \"cuda:2\"\n").expect("is written");
    assert_eq!(run(&[], &[]), refused(2));
    assert_eq!(run(&[], &[("SAESCOPE_DEVICE", "cpu")]), (Some(0), String::new()));
    let wrong = saescope(home.path(), &["run", "--device", "gpu"], &[]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(text(&wrong.stderr).contains("a device is cpu, cuda, cuda:N or metal"), "{}", text(&wrong.stderr));
}

#[test]
fn doctor_tells_what_computes_and_why_it_cannot() {
    let home = tempfile::tempdir().expect("a home");
    let device = |args: &[&str]| {
        let output = saescope(home.path(), &[&["doctor", "--json"], args].concat(), &[]);
        let answer: Value = serde_json::from_slice(&output.stdout).expect("is JSON");
        (output.status.code(), answer["device"].clone())
    };
    let (code, cpu) = device(&[]);
    assert_eq!(
        (code, &cpu["kind"], &cpu["name"], &cpu["precision"]),
        (Some(0), &"cpu".into(), &"cpu".into(), &"f32".into())
    );
    if !cfg!(feature = "cuda") {
        let (code, card) = device(&["--device", "cuda:1"]);
        assert_eq!((code, &card["kind"], &card["name"]), (Some(1), &"cuda".into(), &"cuda:1".into()));
        assert_eq!(card["error"]["why"], serde_json::json!(["this build has no CUDA"]));
    }
}
