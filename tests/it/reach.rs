//! How much of a model is opened: latents without the blocks behind the site, weights without a model, and what fits
//! into little memory. Not here: the numbers themselves (`golden_*`, `conventions`).

#[allow(dead_code, reason = "the tests of the hub use more of the stand-in")]
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use saescope::analysis::{LatentCard, PairView, Run, Seen, Timings};
use saescope::hub::{Environment, Hub};
use saescope::report::{Kind, Report};
use saescope::session::{
    CurveQuery, LoadScope, NextQuery, OpenQuery, OpenRequest, OpenedSuite, PairQuery, Query, RunOptions, RunQuery,
    Session, SessionConfig, TextQuery,
};
use saescope::task::Cancel;
use safetensors::SafeTensors;
use serde_json::json;

const PROMPT: &str = "Albert Einstein was a German physicist known for";
const LAYER: usize = 2;
const SAES: [&str; 2] = ["128", "256"];

fn setup(memory: fn() -> Option<u64>) -> SessionConfig {
    let cache = std::env::temp_dir().join("saescope-has-no-cache-here");
    let environment = Environment { endpoint: "http://127.0.0.1:9".into(), cache, token: None, offline: true };
    SessionConfig { memory, ..SessionConfig::new(Hub::new(environment)) }
}

/// The demo's model cut into shards: what lies in front of the site, the blocks behind it, and the words' norm.
struct Sharded(tempfile::TempDir);

impl Sharded {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/demo");
        let bytes = fs::read(demo.join("model/model.safetensors")).expect("the demo's model");
        let whole = SafeTensors::deserialize(&bytes).expect("tensors");
        let shard_of = |name: &str| {
            let block = name.split_once("h.").and_then(|(_, rest)| rest.split_once('.')?.0.parse::<usize>().ok());
            match block {
                Some(block) if block >= LAYER => "back.safetensors",
                None if name.contains("ln_f") => "norm.safetensors",
                _ => "front.safetensors",
            }
        };
        let model = folder.path().join("model");
        fs::create_dir(&model).expect("a folder");
        let map: HashMap<String, &str> =
            whole.names().into_iter().map(|name| (name.to_owned(), shard_of(name))).collect();
        for shard in ["front.safetensors", "back.safetensors", "norm.safetensors"] {
            let tensors = whole.tensors().into_iter().filter(|(name, _)| map[name] == shard);
            let bytes = safetensors::serialize(tensors.collect::<Vec<_>>(), None).expect("a shard");
            fs::write(model.join(shard), bytes).expect("is written");
        }
        let index = json!({ "metadata": {}, "weight_map": map });
        fs::write(model.join("model.safetensors.index.json"), index.to_string()).expect("is written");
        for entry in fs::read_dir(demo.join("model")).expect("the demo's model") {
            let path = entry.expect("a file").path();
            if path.extension().is_none_or(|end| end != "safetensors") {
                fs::copy(&path, model.join(path.file_name().expect("a name"))).expect("a copy");
            }
        }
        let sae = |id: &str| {
            let path = demo.join("saes");
            format!("[[sae]]\nid = \"{id}\"\nformat = \"sae-lens\"\npath = '{}'\nfolder = \"{id}\"\n", path.display())
        };
        let head = format!(
            "id = \"x\"\n[model]\npath = \"model\"\nprepend_bos = true\n[site]\nlayer = {LAYER}\nkind = \"resid_pre\"\n"
        );
        let suite: String = std::iter::once(head).chain(SAES.map(sae)).collect();
        fs::write(folder.path().join("x.toml"), suite).expect("is written");
        Self(folder)
    }

    fn shard(&self, name: &str) -> PathBuf {
        self.0.path().join("model").join(name)
    }

    /// The same with these keys in the model's config.
    fn config(self, changes: &[(&str, serde_json::Value)]) -> Self {
        let path = self.0.path().join("model/config.json");
        let mut config: serde_json::Value =
            serde_json::from_slice(&fs::read(&path).expect("a config")).expect("is JSON");
        for (key, value) in changes {
            config[*key] = value.clone();
        }
        fs::write(path, config.to_string()).expect("is written");
        self
    }

    fn open(&self, reach: LoadScope, words: bool) -> Result<(Session, OpenedSuite), Report> {
        self.open_within(reach, words, || None)
    }

    fn open_within(
        &self,
        reach: LoadScope,
        words: bool,
        memory: fn() -> Option<u64>,
    ) -> Result<(Session, OpenedSuite), Report> {
        let mut session = Session::new(setup(memory));
        let suite = session.suite(self.0.path().join("x.toml").to_str().expect("is UTF-8"))?;
        let saes = SAES.map(str::to_owned);
        let opened = session.open_as(OpenRequest { suite, saes: &saes, reach, words }, &Cancel::new(), &|_| {})?;
        Ok((session, opened))
    }
}

fn run(session: &mut Session, next: usize) -> Result<Run, Report> {
    let mut run = session.run(PROMPT, &RunOptions { next, metrics: false }, &Cancel::new())?;
    run.timings_ms = Timings::default();
    Ok(run)
}

fn card(session: &mut Session, latent: u32) -> LatentCard {
    let mut card = session.card("256", latent, None, 10).expect("a card");
    card.seen = Seen::default();
    card
}

/// Why a question cannot be answered.
fn refusal<Q: Query>(session: &mut Session, query: &Q) -> String {
    let report = session.ask(query, &Cancel::new(), &|_| {}).expect_err("needs the model");
    format!("{query:?}: {report}")
}

fn pair(session: &mut Session) -> PairView {
    let job = PairQuery { small: "128".into(), large: "256".into(), threshold: 0.7 };
    session.ask(&job, &Cancel::new(), &|_| {}).expect("a pair")
}

#[test]
fn latents_need_no_tensor_behind_the_site() {
    let files = Sharded::new();
    let whole = run(&mut files.open(LoadScope::Whole, true).expect("opens").0, 0).expect("runs");
    let spoil: [&dyn Fn(); 2] = [
        // Cut off in the middle, the shard cannot even be opened.
        &|| {
            let bytes = fs::read(files.shard("back.safetensors")).expect("the shard");
            fs::write(files.shard("back.safetensors"), &bytes[..bytes.len() / 2]).expect("is written");
        },
        &|| fs::remove_file(files.shard("back.safetensors")).expect("is removed"),
    ];
    for spoil in spoil {
        spoil();
        assert!(files.open(LoadScope::Whole, true).is_err(), "the whole model is not there");
        let (mut session, opened) = files.open(LoadScope::Site, true).expect("opens up to the site");
        assert_eq!((opened.reach, opened.words), (LoadScope::Site, true));
        let found = run(&mut session, 0).expect("runs");
        assert_eq!((&found.saes, &found.tokens), (&whole.saes, &whole.tokens));
        assert!(found.next.iter().all(Vec::is_empty));
        assert!(!card(&mut session, 3).promoted.is_empty(), "latents have words");
        let report = run(&mut session, 1).expect_err("predictions need the rest");
        assert!(report.why.iter().any(|why| why.contains("block 2 of")), "{report}");
        assert!(report.hint.as_ref().is_some_and(|hint| hint.contains("--no-predictions")), "{report}");
    }
}

#[test]
fn latents_without_the_words_shard_have_numbers_alone() {
    let files = Sharded::new();
    let whole = run(&mut files.open(LoadScope::Whole, true).expect("opens").0, 0).expect("runs");
    fs::remove_file(files.shard("norm.safetensors")).expect("is removed");
    let (mut session, opened) = files.open(LoadScope::Site, true).expect("opens up to the site");
    assert!(!opened.words);
    assert_eq!(run(&mut session, 0).expect("runs").saes, whole.saes);
    let card = card(&mut session, 3);
    assert!(card.promoted.is_empty() && !card.ladder.is_empty());
}

#[test]
fn weights_only_needs_no_block_and_says_of_the_rest_why_it_is_not_there() {
    let files = Sharded::new();
    let (mut whole, opened) = files.open(LoadScope::Whole, true).expect("opens");
    assert_eq!((opened.reach, opened.words), (LoadScope::Whole, true));
    fs::remove_file(files.shard("back.safetensors")).expect("is removed");
    let (mut session, opened) = files.open(LoadScope::WeightsOnly, true).expect("opens");
    assert_eq!((opened.reach, opened.words), (LoadScope::WeightsOnly, true));
    assert_eq!(card(&mut session, 3), card(&mut whole, 3));
    let (here, there) = (pair(&mut session), pair(&mut whole));
    assert_eq!(here.counts(0.7).expect("counts"), there.counts(0.7).expect("counts"));
    assert!(here.rows.iter().zip(&there.rows).all(|(a, b)| (a.max_cosine, a.nearest) == (b.max_cosine, b.nearest)));
    assert!(here.rows.iter().all(|row| row.c_star.is_none()) && here.text.tokens == 0);
    assert!(here.notes.iter().any(|note| note.contains("weights only")), "{:?}", here.notes);
    let order = saescope::analysis::Order::Effect;
    let curve = CurveQuery { small: "128".into(), large: "256".into(), threshold: 0.7, order, points: 5 };
    let next = NextQuery { prompt: PROMPT.into(), positions: vec![0], count: 1 };
    let run = RunQuery { prompt: PROMPT.into(), next: 0 };
    let refused = [
        refusal(&mut session, &run),
        refusal(&mut session, &next),
        refusal(&mut session, &curve),
        refusal(&mut session, &TextQuery { file: None }),
    ];
    for said in refused {
        assert!(said.contains("weights only: the model is not loaded") && said.contains("--weights-only"), "{said}");
    }
}

#[test]
fn saes_alone_can_be_looked_at_where_nothing_of_the_model_is_there() {
    let files = Sharded::new();
    let mut whole = card(&mut files.open(LoadScope::Whole, true).expect("opens").0, 3);
    fs::remove_dir_all(files.0.path().join("model")).expect("is removed");
    for reach in [LoadScope::Whole, LoadScope::Site, LoadScope::WeightsOnly] {
        let report = files.open(reach, true).err().expect("the words are wanted");
        assert!(report.hint.as_ref().is_some_and(|hint| hint.contains("--weights-only")), "{report}");
    }
    let (mut session, opened) = files.open(LoadScope::WeightsOnly, false).expect("opens");
    assert!(!opened.words && opened.notes[0].contains("words are not here"), "{:?}", opened.notes);
    whole.promoted.clear();
    whole.suppressed.clear();
    assert_eq!(card(&mut session, 3), whole);
    assert_eq!(pair(&mut session).rows.len(), 256);
    let report = run(&mut session, 0).expect_err("nothing can be run");
    assert!(report.to_string().contains("weights only"), "{report}");
}

#[test]
fn weights_only_needs_no_model_that_can_be_run() {
    let whole = card(&mut Sharded::new().open(LoadScope::Whole, true).expect("opens").0, 3);
    for (key, value) in [
        ("model_type", json!("mamba")),
        ("activation_function", json!("xielu")),
        ("quantization_config", json!({"quant_method": "awq"})),
    ] {
        let files = Sharded::new().config(&[(key, value.clone())]);
        let said = value.as_str().unwrap_or("awq");
        for reach in [LoadScope::Whole, LoadScope::Site, LoadScope::WeightsOnly] {
            let report = files.open(reach, true).err().expect("the model is wanted").to_string();
            assert!(report.contains(said), "{reach:?}: {report}");
        }
        // Nothing of its weights is asked for.
        for shard in ["front", "back", "norm"] {
            fs::remove_file(files.shard(&format!("{shard}.safetensors"))).expect("is removed");
        }
        let (mut session, opened) = files.open(LoadScope::WeightsOnly, false).expect("opens");
        assert!(!opened.words);
        let note = &opened.notes[0];
        assert!(note.contains(said) && note.contains("latents have numbers alone"), "{note}");
        let card = card(&mut session, 3);
        assert!(card.promoted.is_empty());
        assert_eq!((card.ladder, card.decoder_norm), (whole.ladder.clone(), whole.decoder_norm));
        assert_eq!(pair(&mut session).rows.len(), 256);
    }
}

#[test]
fn a_model_without_a_head_has_latents_and_says_why_nothing_is_predicted() {
    let mut whole = Sharded::new().open(LoadScope::Whole, true).expect("opens").0;
    let wanted = run(&mut whole, 0).expect("runs");
    let activations = whole.raw(&Cancel::new()).expect("has tensors");
    let files = Sharded::new().config(&[("tie_word_embeddings", json!(false))]);
    for reach in [LoadScope::Whole, LoadScope::Site] {
        let (mut session, opened) = files.open(reach, true).expect("opens");
        assert!(!opened.words && opened.notes.iter().any(|note| note.contains("head")), "{:?}", opened.notes);
        let found = run(&mut session, usize::from(reach == LoadScope::Whole) * 3).expect("runs");
        assert_eq!((&found.saes, &found.tokens), (&wanted.saes, &wanted.tokens));
        assert!(found.next.iter().all(Vec::is_empty));
        let raw = session.raw(&Cancel::new()).expect("has tensors");
        assert_eq!(raw.residual, activations.residual);
        assert!(raw.logits.is_empty());
        let card = card(&mut session, 3);
        assert!(card.promoted.is_empty() && !card.ladder.is_empty());
    }
    let (mut session, opened) = files.open(LoadScope::Whole, true).expect("opens");
    assert!(opened.notes.iter().any(|note| note.contains("lm_head.weight")), "{:?}", opened.notes);
    let next = NextQuery { prompt: PROMPT.into(), positions: vec![0], count: 1 };
    let options = RunOptions { next: 0, metrics: true };
    let no = [
        session.ask(&next, &Cancel::new(), &|_| {}).expect_err("no logits"),
        session.run(PROMPT, &options, &Cancel::new()).expect_err("no cross-entropies"),
    ];
    for report in no {
        let said = report.to_string();
        assert!(said.contains("no head") && said.contains("lm_head.weight"), "{said}");
        assert!(report.hint.is_some_and(|hint| hint.contains("--no-predictions")), "{said}");
    }
    let (_, opened) = files.open(LoadScope::WeightsOnly, false).expect("opens");
    assert!(!opened.words && opened.notes.iter().any(|note| note.contains("no words")), "{:?}", opened.notes);
}

#[test]
fn half_a_model_from_the_hub_opens_as_far_as_it_goes_and_says_how_to_go_on() {
    let files = Sharded::new();
    let tree = files.0.path().join("hub/owner");
    fs::create_dir_all(&tree).expect("a folder");
    fs::rename(files.0.path().join("model"), tree.join("model")).expect("is moved");
    let server =
        crate::support::hub_server::HubServer::serve(tree.parent().expect("is in a folder")).expect("can listen");
    let environment =
        Environment { endpoint: server.endpoint(), cache: files.0.path().join("cache"), token: None, offline: false };
    let mut session = Session::new(SessionConfig::new(Hub::new(environment)));
    let file = files.0.path().join("x.toml");
    let text = fs::read_to_string(&file).expect("the suite").replace("path = \"model\"", "repo = \"owner/model\"");
    fs::write(&file, text).expect("is written");
    let suite = session.suite(file.to_str().expect("is UTF-8")).expect("a suite");
    let pull = |session: &Session, reach| {
        let plan = session.pull(&suite, &saescope::suite::Choice::all(), reach, &Cancel::new(), &|_| {});
        plan.expect("is pulled").left_out().map(|left| left.file.clone()).collect::<Vec<_>>()
    };
    let open = |session: &mut Session, reach| {
        let saes = SAES.map(str::to_owned);
        session.open_as(OpenRequest { suite: suite.clone(), saes: &saes, reach, words: true }, &Cancel::new(), &|_| {})
    };
    let hint = |answer: Result<OpenedSuite, Report>| answer.expect_err("is not here").hint.unwrap_or_default();
    assert!(
        hint(open(&mut session, LoadScope::Site)).contains("x.toml --no-predictions` downloads what that takes of it")
    );
    // Its embedding is its head and lies in front.
    assert_eq!(pull(&session, LoadScope::WeightsOnly), ["back.safetensors"]);
    assert!(open(&mut session, LoadScope::WeightsOnly).expect("opens").words);
    assert_eq!(pull(&session, LoadScope::Site), ["back.safetensors"]);
    assert!(open(&mut session, LoadScope::Site).expect("opens").words);
    let whole = hint(open(&mut session, LoadScope::Whole));
    assert!(whole.contains("x.toml` downloads it") && whole.contains("--no-predictions"), "{whole}");
    assert!(pull(&session, LoadScope::Whole).is_empty());
    assert_eq!(open(&mut session, LoadScope::Whole).expect("opens").reach, LoadScope::Whole);
}

/// The hint of an opening that does not fit, and what it needs and what there is in its first line.
fn refused(files: &Sharded, reach: LoadScope, memory: fn() -> Option<u64>) -> (String, String) {
    let report = files.open_within(reach, true, memory).err().expect("does not fit");
    assert_eq!(report.kind, Kind::Failure);
    (report.what, report.hint.unwrap_or_default())
}

#[test]
fn what_does_not_fit_is_refused_with_what_does_and_that_opens() {
    let files = Sharded::new();
    let needed = |reach| files.open(reach, true).expect("opens").1.memory.needed;
    let (whole, site, weights) = (needed(LoadScope::Whole), needed(LoadScope::Site), needed(LoadScope::WeightsOnly));
    assert!(
        whole > 5_000_000 && site < 5_000_000 && site > 3_000_000 && weights < 3_000_000,
        "{whole} {site} {weights}"
    );
    let (what, hint) = refused(&files, LoadScope::Whole, || Some(5_000_000));
    assert!(what.contains("5.0 MB are free"), "{what}");
    assert!(hint.contains("--no-predictions") && hint.contains("--weights-only"), "{hint}");
    let (_, opened) = files.open_within(LoadScope::Site, true, || Some(5_000_000)).expect("what was offered opens");
    assert_eq!(opened.memory.free, Some(5_000_000));
    let (_, hint) = refused(&files, LoadScope::Whole, || Some(3_000_000));
    assert!(!hint.contains("--no-predictions") && hint.contains("--weights-only"), "{hint}");
    files.open_within(LoadScope::WeightsOnly, true, || Some(3_000_000)).expect("what was offered opens");
    let (_, hint) = refused(&files, LoadScope::Whole, || Some(1000));
    assert!(hint.contains("the least with which anything opens"), "{hint}");
}

#[test]
fn before_loading_the_memory_needed_and_there_is_told() {
    let mut session = Session::new(setup(|| Some(8_000_000_000)));
    let said = std::cell::RefCell::new(Vec::new());
    let open = OpenQuery { suite: "demo".into(), saes: vec!["512".into()], reach: LoadScope::Site };
    let tell = |progress: saescope::task::Progress| said.borrow_mut().push(progress.what);
    let opened = session.ask(&open, &Cancel::new(), &tell).expect("opens");
    let loaded: Vec<&str> = opened.saes.iter().filter(|sae| sae.loaded).map(|sae| sae.id.as_str()).collect();
    assert_eq!((opened.reach, loaded.as_slice()), (LoadScope::Site, &["512"][..]));
    let first = said.borrow().first().cloned().unwrap_or_default();
    assert!(first.contains("of memory needed, 8.0 GB free"), "{first}");
}
