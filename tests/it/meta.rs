//! Meta-SAEs in a session on the demo: training, keeping, taking apart, editing. Not here: the numbers against other
//! programs (`golden_meta`).

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::Path;

use saescope::analysis::{Arm, Edit, Sampling, SurgeryEdit, SurgeryView};
use saescope::hub::{Environment, Hub};
use saescope::report::{Kind, Report};
use saescope::session::{
    BreakdownQuery, CardQuery, ContinueQuery, LoadScope, MetaCardQuery, MetaQuery, MetaRecipe, MetaRunQuery,
    MetaTrained, OpenQuery, Query, RunQuery, Session, SessionConfig, SurgeryQuery,
};
use saescope::task::Cancel;

const PROMPT: &str = "Albert Einstein was a German physicist known for";

fn session(metas: &Path) -> Session {
    let environment = Environment {
        endpoint: "http://127.0.0.1:9".to_owned(),
        cache: metas.join("no-cache"),
        token: None,
        offline: true,
    };
    let setup = SessionConfig { metas: Some(metas.to_owned()), ..SessionConfig::new(Hub::new(environment)) };
    let mut session = Session::new(setup);
    session
        .ask(
            &OpenQuery { suite: "demo".to_owned(), saes: Vec::new(), reach: LoadScope::Whole },
            &Cancel::new(),
            &|_| {},
        )
        .unwrap();
    session
}

fn ask<Q: Query>(session: &mut Session, query: &Q) -> Result<Q::Answer, Report> {
    session.ask(query, &Cancel::new(), &|_| {})
}

fn recipe(seed: u64) -> MetaRecipe {
    MetaRecipe { width: Some(24), steps: 60, seed, ..MetaRecipe::new("256") }
}

fn train(session: &mut Session, seed: u64) -> MetaTrained {
    ask(session, &recipe(seed)).unwrap()
}

fn surgery(session: &mut Session, edits: Vec<Edit>, meta: &str, latent: u32) -> SurgeryView {
    let operation = SurgeryEdit { sae: "256".to_owned(), meta: meta.to_owned(), latent, edits, seed: 3 };
    let named = vec!["Germany".to_owned(), "the theory of relativity".to_owned()];
    ask(session, &SurgeryQuery { operation, prompt: PROMPT.to_owned(), next: 5, named }).unwrap()
}

/// The latent of SAE 256 that fires most on the last token.
fn firing(session: &mut Session) -> u32 {
    let run = ask(session, &RunQuery { prompt: PROMPT.to_owned(), next: 1 }).unwrap();
    let sae = run.saes.iter().find(|sae| sae.id == "256").unwrap();
    sae.positions.last().unwrap().latents[0].latent
}

#[test]
fn what_was_trained_is_kept_and_found_again_with_the_same_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = session(folder.path());
    let trained = train(&mut first, 0);
    assert_eq!((trained.info.meta.as_str(), trained.info.width), ("24-k4-s0-n60", 24));
    assert!(trained.folder.join("cfg.json").is_file() && !trained.folder.join("unfinished").exists());
    let again = train(&mut session(folder.path()), 0);
    assert_eq!(again.info, trained.info, "the same seed gives the same numbers");
    let mut later = session(folder.path());
    let job = MetaQuery { sae: "256".to_owned(), meta: trained.info.meta.clone() };
    let info = ask(&mut later, &job).unwrap();
    assert_eq!(info, trained.info);
    assert_eq!(info.stable, None);
    train(&mut later, 1);
    let job = MetaQuery { sae: "256".to_owned(), meta: trained.info.meta.clone() };
    let info = ask(&mut later, &job).unwrap();
    assert!(info.stable.is_some(), "another seed says what is stable");
}

#[test]
fn breakdowns_cards_and_prompts_say_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let mut session = session(folder.path());
    let meta = train(&mut session, 0).info.meta.clone();
    let latent = firing(&mut session);
    let job = BreakdownQuery { sae: "256".to_owned(), latent, meta: Some(meta.clone()) };
    let view = ask(&mut session, &job).unwrap();
    let entry = &view.metas[0];
    let shares = entry.components.iter().map(|part| part.share).sum::<f32>() + entry.bias + entry.rest;
    assert!((shares - 1.0).abs() < 1e-4);
    let card = ask(&mut session, &CardQuery { sae: "256".to_owned(), latent, top: 3 }).unwrap();
    assert_eq!(card.meta.iter().find(|entry| entry.meta == meta).unwrap(), entry);
    let part = &entry.components[0];
    let job = MetaCardQuery { sae: "256".to_owned(), meta: meta.clone(), meta_latent: part.meta_latent, top: 1000 };
    let card = ask(&mut session, &job).unwrap();
    let member = card.members.iter().find(|member| member.latent == latent).unwrap();
    assert_eq!(member.activation, part.activation);
    assert_eq!(card.histogram.counts.iter().sum::<usize>(), card.member_count);
    assert_eq!(card.ladder.len(), 6);
    assert!(card.firing.iter().any(|firing| firing.latent == latent));
    let job = MetaRunQuery { sae: "256".to_owned(), meta };
    let run = ask(&mut session, &job).unwrap();
    let position = run.positions.last().unwrap();
    let activity = position.latents.iter().find(|firing| firing.latent == part.meta_latent).unwrap().activation;
    let sum: f64 = card
        .firing
        .iter()
        .flat_map(|firing| firing.tokens.iter().map(move |token| (token, firing.activation)))
        .filter(|(token, _)| token.position == position.position)
        .map(|(token, share)| f64::from(token.activation) * f64::from(share))
        .sum();
    assert!((f64::from(activity) - sum).abs() < 1e-3 * sum, "{activity} {sum}");
}

#[test]
fn an_edit_that_changes_nothing_changes_no_logit_and_one_that_does_changes_the_model() {
    let folder = tempfile::tempdir().unwrap();
    let mut session = session(folder.path());
    let meta = train(&mut session, 0).info.meta.clone();
    let latent = firing(&mut session);
    let nothing = surgery(&mut session, Vec::new(), &meta, latent);
    assert_eq!(nothing.size, 0.0);
    assert_eq!(nothing.arms[0].next, nothing.arms[1].next, "the same bits");
    assert_eq!(nothing.arms[0].next, nothing.arms[2].next);
    assert!(nothing.named.iter().all(|named| named.logprobs[0] == named.logprobs[1]));
    assert!(nothing.named[1].ids.len() > 1, "a text of several tokens");
    let job = BreakdownQuery { sae: "256".to_owned(), latent, meta: Some(meta.clone()) };
    let view = ask(&mut session, &job).unwrap();
    let part = view.metas[0].components[0].meta_latent;
    let edited = surgery(&mut session, vec![Edit::Remove(part)], &meta, latent);
    assert!(edited.size > 0.0 && !edited.fires.is_empty());
    assert_eq!(edited.arms[0].next, nothing.arms[0].next, "the untouched model is untouched");
    assert_ne!(edited.arms[1].next, edited.arms[0].next);
    assert_ne!(edited.arms[2].next, edited.arms[0].next);
    let go_on = |session: &mut Session, arm, edits: Vec<Edit>| {
        let operation = SurgeryEdit { sae: "256".to_owned(), meta: meta.clone(), latent, edits, seed: 3 };
        let texts = std::cell::RefCell::new(Vec::new());
        let job = ContinueQuery { operation, prompt: PROMPT.to_owned(), arm, tokens: 6, sampling: Sampling::Greedy };
        let text = session.ask(&job, &Cancel::new(), &|p| texts.borrow_mut().push(p.what)).unwrap();
        assert_eq!(texts.into_inner().last(), Some(&text.text), "the text grows as it comes");
        text.tokens.iter().map(|token| token.id).collect::<Vec<_>>()
    };
    let plain = go_on(&mut session, Arm::Untouched, Vec::new());
    assert_eq!(plain[0], nothing.arms[0].next[0].id, "the first token is the likeliest");
    assert_eq!(plain, go_on(&mut session, Arm::Edited, Vec::new()));
    let first = go_on(&mut session, Arm::Edited, vec![Edit::Remove(part)])[0];
    assert_eq!(first, edited.arms[1].next[0].id);
}

#[test]
fn what_makes_no_sense_is_one_clear_report() {
    let folder = tempfile::tempdir().unwrap();
    let mut session = session(folder.path());
    let wide = MetaRecipe { width: Some(257), ..recipe(0) };
    let report = ask(&mut session, &wide).unwrap_err();
    assert!(report.kind == Kind::Usage && report.to_string().contains("257 meta-latents"), "{report}");
    let none = BreakdownQuery { sae: "256".to_owned(), latent: 0, meta: None };
    let report = ask(&mut session, &none).unwrap_err();
    assert!(report.to_string().contains("meta train"), "{report}");
    let meta = train(&mut session, 0).info.meta.clone();
    let report = ask(&mut session, &MetaQuery { sae: "256".to_owned(), meta: "x".to_owned() }).unwrap_err();
    assert!(report.to_string().contains(&meta), "{report}");
    let job = MetaCardQuery { sae: "256".to_owned(), meta: meta.clone(), meta_latent: 24, top: 3 };
    assert_eq!(ask(&mut session, &job).unwrap_err().kind, Kind::Usage);
    // A meta-SAE of other rows: an SAE of the demo's model is none of a GPT-2's, and here none of another size.
    let other = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/sae/jumprelu");
    let job = MetaQuery { sae: "256".to_owned(), meta: other.display().to_string() };
    let report = ask(&mut session, &job).unwrap_err();
    assert!(report.to_string().contains("rows of 16 values"), "{report}");
    // A place that cannot be written.
    std::fs::write(folder.path().join("file"), "").unwrap();
    let out = MetaRecipe { out: Some(folder.path().join("file/below")), ..recipe(0) };
    let report = ask(&mut session, &out).unwrap_err();
    assert!(report.to_string().contains("cannot write"), "{report}");
    let cancel = Cancel::new();
    cancel.cancel();
    let report = session.ask(&recipe(7), &cancel, &|_| {}).unwrap_err();
    assert!(report.kind == Kind::Cancelled && report.hint.is_some());
}
