//! The explorer on the embedded demo with the real worker, on a terminal in memory: what a person sees first.
//! Not here: hand-made answers (`tui_screens`).

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use saescope::hub::Hub;
use saescope::report::Report;
use saescope::session::{LoadScope, SessionConfig};
use saescope::tui::msg::Format;
use saescope::tui::{EventSink, Options, shot};
use saescope::worker::Worker;

/// A worker that sees an empty cache and no network.
fn offline(tell: EventSink) -> Result<Worker, Report> {
    let home = std::env::temp_dir().join("saescope-no-such-cache");
    let env = |name: &str| match name {
        "HF_HUB_OFFLINE" => Some(OsString::from("1")),
        "HF_HOME" => Some(home.clone().into_os_string()),
        _ => None,
    };
    let hub = Hub::from_env(env).map_err(|e| Report::caused("no hub", &e))?;
    let setup = SessionConfig::new(hub);
    Worker::start(&setup, move |event| tell(event)).map_err(|e| Report::caused("no worker", &e))
}

fn screen(keys: &str, size: (u16, u16)) -> String {
    screen_of(&Options { suite: "demo".into(), ..Options::default() }, keys, size)
}

fn screen_of(options: &Options, keys: &str, size: (u16, u16)) -> String {
    shot(options, keys, size, Format::Text, offline).expect("a screen")
}

#[test]
fn the_first_screen_has_latents_with_names_and_what_comes_next() {
    let text = screen("", (120, 40));
    assert!(text.contains(" fire of "), "{text}");
    assert!(text.contains("Next token"), "{text}");
    assert!(!text.contains('✗'), "{text}");
}

#[test]
fn a_typed_prompt_is_run_and_the_latents_follow() {
    let text = screen("e<ctrl-u>Albert Einstein was a<esc>", (120, 40));
    assert!(text.contains("Einstein"), "{text}");
    assert!(text.contains("tokens"), "{text}");
    assert!(!text.contains('✗'), "{text}");
}

#[test]
fn the_ladder_the_search_and_the_suites_work_on_real_answers() {
    for keys in [
        "<esc>34<down><enter>",
        "<esc>]]",
        "<esc>[[",
        "<esc>/Paris<enter>",
        "<esc>s",
        "<esc><left>3<down>p<right>",
        "<esc>?",
    ] {
        let keys = format!("e<ctrl-u>Albert Einstein was a physicist. He was born in{keys}");
        for size in [(80, 24), (200, 60)] {
            let text = screen(&keys, size);
            assert!(!text.contains('✗'), "{keys}:\n{text}");
        }
    }
}

#[test]
fn two_saes_are_compared_stitched_and_drawn_from_real_answers() {
    let prompt = "e<ctrl-u>Albert Einstein was a physicist. He was born in<esc>";
    for (keys, says, size) in [
        ("5", "novel", (80, 24)),
        ("5<space><down>x6", "stitched", (200, 60)),
        ("7<pagedown>", "ROC-AUC", (80, 24)),
        ("5cc<home>8", "with cosine >=", (80, 24)),
        ("5{+++n", "disagree", (120, 40)),
        ("4<end>", "verdict", (80, 24)),
    ] {
        let text = screen(&format!("{prompt}{keys}"), size);
        assert!(!text.contains('✗'), "{keys}:\n{text}");
        assert!(text.contains(says), "{keys} says {says}:\n{text}");
    }
}

#[test]
fn without_a_model_nothing_is_told_that_nobody_measured() {
    let options = Options { suite: "demo".into(), reach: LoadScope::WeightsOnly, ..Options::default() };
    for (keys, says) in [
        ("", "no model: M loads it"),
        ("5", "novel"),
        ("7", "no prompt is run"),
        ("]]9", "share"),
        ("]]9v", "no prompt is run that could be seen"),
    ] {
        for size in [(80, 24), (120, 40)] {
            let text = screen_of(&options, keys, size);
            assert!(text.contains(says) || size.0 > 80, "{keys} says {says}:\n{text}");
            assert!(text.contains("Weights only") && text.contains("M loads"), "{keys}:\n{text}");
            for word in ["silent", " 0%", "0 tokens", "in this prompt", "✗"] {
                assert!(!text.to_lowercase().contains(word), "{keys} does not say {word}:\n{text}");
            }
        }
    }
}

#[test]
fn an_empty_prompt_with_no_token_in_front_asks_for_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/demo");
    let text = format!(
        "id = \"x\"\n[model]\npath = '{}'\nprepend_bos = false\n[site]\nlayer = 2\nkind = \"resid_pre\"\n\
         [[sae]]\nid = \"128\"\nformat = \"sae-lens\"\npath = '{}'\n",
        demo.join("model").display(),
        demo.join("saes/128").display(),
    );
    let file = folder.path().join("x.toml");
    fs::write(&file, text).expect("is written");
    let options = Options { suite: file.display().to_string(), ..Options::default() };
    for keys in ["", "eParis<ctrl-u><esc>"] {
        let text = screen_of(&options, keys, (80, 24));
        assert!(text.contains("no tokens: type a prompt"), "{text}");
        assert!(!text.contains('✗') && !text.contains("Paris"), "{text}");
    }
    let typed = screen_of(&options, "eParis<ctrl-u>Tokyo<esc>", (80, 24));
    assert!(typed.contains("of 128 tokens") && typed.contains(" fire "), "{typed}");
}

#[test]
fn an_empty_and_a_very_long_prompt_are_told_apart_from_errors() {
    let empty = screen("e<ctrl-u>", (80, 24));
    assert!(empty.contains("1 of ") && !empty.contains('✗'), "{empty}");
    let long = format!("e<ctrl-u>{}<esc>", "one two three four five ".repeat(60));
    let long = screen(&long, (80, 24));
    assert!(long.contains('✗') && long.contains("128"), "{long}");
}

/// A worker that keeps what it trains in a folder of its own.
fn keeping(name: &str) -> impl Fn(EventSink) -> Result<Worker, Report> + use<> {
    let metas = std::env::temp_dir().join(format!("saescope-screen-{name}-{}", std::process::id()));
    move |tell: EventSink| {
        let env = |name: &str| (name == "HF_HUB_OFFLINE").then(|| OsString::from("1"));
        let hub = Hub::from_env(env).map_err(|e| Report::caused("no hub", &e))?;
        let setup = SessionConfig { metas: Some(metas.clone()), ..SessionConfig::new(hub) };
        Worker::start(&setup, move |event| tell(event)).map_err(|e| Report::caused("no worker", &e))
    }
}

#[test]
fn a_meta_sae_is_trained_on_one_key_and_its_pages_stand_on_real_answers() {
    let options = Options { suite: "demo".into(), ..Options::default() };
    let trained = shot(&options, "[[[[[[9t<enter><wait>", (120, 40), Format::Text, keeping("train"));
    let trained = trained.expect("a screen");
    assert!(trained.contains("explains") && !trained.contains('✗'), "{trained}");
    // What was trained is found again by whoever comes later.
    let start = "[[[[[[9";
    for (keys, expected) in [
        ("", "explains"),
        ("<enter><down><enter>", "Meta-latent"),
        ("a<right><right><enter>b", "Map"),
        ("v3<down>", "3 Meta-latents"),
        ("z<space>nParis, Berlin<enter>", "log p"),
        ("zx<enter>", "continuations"),
    ] {
        for size in [(80, 24), (200, 60)] {
            let screen = shot(&options, &format!("{start}{keys}"), size, Format::Text, keeping("train"));
            let screen = screen.expect("a screen");
            assert!(screen.contains(expected), "{keys}:\n{screen}");
            assert!(!screen.contains('✗'), "{keys}:\n{screen}");
        }
    }
    let folder = std::env::temp_dir().join(format!("saescope-screen-train-{}", std::process::id()));
    fs::remove_dir_all(folder).expect("what was trained was kept there");
}
