//! The conventions that make or break an SAE's numbers, each by its name: beginning-of-sequence token, centring, which
//! residual. (The forward passes themselves are held to `transformers` in `golden_model`.)

use std::fs;
use std::path::Path;

use saescope::analysis::Run;
use saescope::hub::{Environment, Hub};
use saescope::session::{RawRun, RunOptions, Session, SessionConfig};
use saescope::task::Cancel;

const PROMPT: &str = "Albert Einstein was a German physicist known for";

/// A run of the demo's model and its SAE of 256 latents under other conventions.
fn run(bos: bool, layer: usize, kind: &str, center: bool) -> (Run, RawRun) {
    let folder = tempfile::tempdir().expect("a folder");
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/demo");
    let text = format!(
        "id = \"x\"\n[model]\npath = '{}'\nprepend_bos = {bos}\n[site]\nlayer = {layer}\nkind = \"{kind}\"\n\
         center = {center}\n[[sae]]\nid = \"256\"\nformat = \"sae-lens\"\npath = '{}'\nfolder = \"256\"\n",
        demo.join("model").display(),
        demo.join("saes").display(),
    );
    let file = folder.path().join("x.toml");
    fs::write(&file, text).expect("is written");
    let cache = folder.path().join("cache");
    let environment = Environment { endpoint: "http://127.0.0.1:9".into(), cache, token: None, offline: true };
    let mut session = Session::new(SessionConfig::new(Hub::new(environment)));
    let suite = session.suite(file.to_str().expect("is UTF-8")).expect("is a suite");
    session.open(suite, &["256".to_owned()], &Cancel::new(), &|_| {}).expect("opens");
    let options = RunOptions { next: 3, metrics: true };
    let run = session.run(PROMPT, &options, &Cancel::new()).expect("runs");
    let raw = session.raw(&Cancel::new()).expect("has tensors");
    (run, raw)
}

#[test]
fn with_prepend_bos_the_first_token_is_the_beginning_and_counts_in_no_metric() {
    let (with, _) = run(true, 3, "resid_pre", false);
    let (without, _) = run(false, 3, "resid_pre", false);
    assert_eq!(with.tokens[0].text, "<|endoftext|>");
    assert!(PROMPT.starts_with(&without.tokens[0].text) && with.tokens[1].text == without.tokens[0].text);
    assert_eq!(with.tokens.len(), without.tokens.len() + 1);
    assert_eq!(with.saes[0].metrics.quality.tokens, with.tokens.len() - 1);
    assert_eq!(without.saes[0].metrics.quality.tokens, without.tokens.len(), "every token is the prompt's own");
    assert_eq!(with.saes[0].positions.len(), with.tokens.len(), "position 0 is encoded and shown");
}

#[test]
fn resid_pre_of_a_block_is_resid_post_of_the_block_before() {
    let (_, pre) = run(true, 3, "resid_pre", false);
    let (_, post) = run(true, 2, "resid_post", false);
    assert_eq!(pre.residual, post.residual);
    let (_, other) = run(true, 3, "resid_post", false);
    assert_ne!(pre.residual, other.residual);
}

#[test]
fn center_takes_the_mean_over_d_model_from_every_row_and_nothing_else() {
    let (_, raw) = run(true, 3, "resid_pre", false);
    let (_, centred) = run(true, 3, "resid_pre", true);
    assert_eq!(raw.logits, centred.logits, "centring is for the SAE, not for the model");
    for (raw, centred) in raw.residual.chunks_exact(raw.size).zip(centred.residual.chunks_exact(centred.size)) {
        let mean = raw.iter().map(|x| f64::from(*x)).sum::<f64>() / raw.len() as f64;
        for (raw, centred) in raw.iter().zip(centred) {
            assert!((f64::from(*raw) - mean - f64::from(*centred)).abs() < 1e-4);
        }
    }
}

#[test]
fn centring_changes_no_cross_entropy_but_that_of_the_sae() {
    // Every reader of GPT-2's residual stream removes the mean first: what stands in the place of the activation may
    // carry its mean or not.
    let (plain, _) = run(true, 3, "resid_pre", false);
    let (centred, _) = run(true, 3, "resid_pre", true);
    let ce = |run: &Run| run.saes[0].metrics.cross_entropy.clone().expect("is measured");
    let (plain, centred) = (ce(&plain), ce(&centred));
    assert!((plain.ce_clean - centred.ce_clean).abs() < 1e-9);
    assert!((plain.ce_zero - centred.ce_zero).abs() < 1e-3, "{} {}", plain.ce_zero, centred.ce_zero);
    assert!((plain.ce_mean - centred.ce_mean).abs() < 1e-3, "{} {}", plain.ce_mean, centred.ce_mean);
}
