//! The session on the demo: typing keeps what it can and changes no digit, what is cancelled leaves no trace, what does
//! not fit is refused before it is loaded. Not here: the command line (`cli`), threads (`worker`).

use std::fs;
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use saescope::analysis::{FoundBy, LatentCard, NextToken, Run, Seen, Timings};
use saescope::blob::Blob;
use saescope::hub::{Environment, Hub};
use saescope::report::Kind;
use saescope::session::{
    CardQuery, CatalogueQuery, LoadScope, NextQuery, OpenQuery, PackQuery, RunQuery, SearchQuery, Session,
    SessionConfig,
};
use saescope::task::{Cancel, Ticket};
use saescope::weights::{Array, TensorFiles};
use saescope::worker::{Event, Job, JobEvent, Worker};
use safetensors::Dtype;
use safetensors::tensor::TensorView;

const PROMPT: &str = "Marie Curie came from Poland. Tokyo is a city";

fn setup(memory: fn() -> Option<u64>) -> SessionConfig {
    let environment = Environment {
        endpoint: "http://127.0.0.1:9".to_owned(),
        cache: std::env::temp_dir().join("saescope-has-no-cache-here"),
        token: None,
        offline: true,
    };
    SessionConfig { memory, ..SessionConfig::new(Hub::new(environment)) }
}

fn opened() -> Session {
    let mut session = Session::new(setup(|| None));
    session.ask(&open("demo"), &Cancel::new(), &|_| {}).expect("the demo opens");
    session
}

fn open(suite: &str) -> OpenQuery {
    OpenQuery { suite: suite.to_owned(), saes: Vec::new(), reach: LoadScope::Whole }
}

fn run(session: &mut Session, prompt: &str) -> Run {
    let job = RunQuery { prompt: prompt.to_owned(), next: 5 };
    session.ask(&job, &Cancel::new(), &|_| {}).expect("runs")
}

fn card(session: &mut Session, sae: &str, latent: u32) -> LatentCard {
    let job = CardQuery { sae: sae.to_owned(), latent, top: 50 };
    session.ask(&job, &Cancel::new(), &|_| {}).expect("has a card")
}

/// A run without its times.
fn timeless(run: &Run) -> Run {
    Run { timings_ms: Timings::default(), ..run.clone() }
}

#[test]
fn typing_letter_by_letter_gives_the_digits_of_one_fresh_run() {
    let mut typed = opened();
    for end in (1..=PROMPT.len()).chain((PROMPT.len() - 9..PROMPT.len()).rev()).chain([PROMPT.len()]) {
        run(&mut typed, &PROMPT[..end]);
    }
    let typed = run(&mut typed, PROMPT);
    let fresh = run(&mut opened(), PROMPT);
    assert_eq!(timeless(&typed), timeless(&fresh));
}

#[test]
fn bos_in_front_is_measured_nowhere_whoever_put_it_there() {
    let folder = tempfile::tempdir().expect("a folder");
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/demo");
    let text = fs::read_to_string(demo.join("suite.toml")).expect("is there");
    let text = text.replace("prepend_bos = true", "prepend_bos = false");
    let text = text.replace("path = \"", &format!("path = \"{}/", demo.display()));
    let text = text.replace("text = \"", &format!("text = \"{}/", demo.display()));
    fs::write(folder.path().join("suite.toml"), text).expect("is written");
    let mut bare = Session::new(setup(|| None));
    let suite = folder.path().join("suite.toml").display().to_string();
    bare.ask(&open(&suite), &Cancel::new(), &|_| {}).expect("opens");
    let (mut with, typed) = (opened(), format!("<|endoftext|>{PROMPT}"));
    let (spelled, plain) = (run(&mut bare, &typed), run(&mut bare, PROMPT));
    let put = run(&mut with, PROMPT);
    assert_eq!((spelled.left_out, plain.left_out, put.left_out), (1, 0, 1));
    assert_eq!((&spelled.tokens, &spelled.saes), (&put.tokens, &put.saes));
    assert!(plain.notes.is_empty() && spelled.notes.is_empty() && put.notes.is_empty());
    let both = run(&mut with, &typed);
    assert_eq!((&both.tokens, &both.saes, both.notes.len()), (&put.tokens, &put.saes, 1));
}

/// The demo with its weights in F32, as most files on the hub hold them.
fn demo_in_single_precision() -> tempfile::TempDir {
    fn copy(from: &Path, to: &Path) {
        fs::create_dir_all(to).expect("a folder");
        for entry in fs::read_dir(from).expect("the demo") {
            let (path, name) = (entry.as_ref().expect("a file").path(), entry.expect("a file").file_name());
            if path.is_dir() {
                copy(&path, &to.join(name));
            } else if path.extension().is_some_and(|end| end == "safetensors") {
                let files = TensorFiles::open(&[Blob::path(&path)]).expect("tensors");
                let arrays = files.names().into_iter().map(|name| (name, files.get(name).expect("a tensor")));
                let arrays: Vec<(&str, Array)> = arrays.collect();
                let views = arrays.iter().map(|(name, array)| {
                    let bytes = bytemuck::cast_slice(array);
                    (*name, TensorView::new(Dtype::F32, array.shape().to_vec(), bytes).expect("a tensor"))
                });
                let bytes = safetensors::serialize(views, None).expect("tensors");
                fs::write(to.join(name), bytes).expect("is written");
            } else {
                fs::copy(&path, to.join(name)).expect("is copied");
            }
        }
    }
    let folder = tempfile::tempdir().expect("a folder");
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/demo"), folder.path());
    folder
}

#[test]
fn packed_weights_change_no_digit_and_are_packed_where_memory_is_to_spare() {
    let folder = demo_in_single_precision();
    let mut session = Session::new(setup(|| None));
    let suite = folder.path().join("suite.toml").display().to_string();
    session.ask(&open(&suite), &Cancel::new(), &|_| {}).expect("opens");
    // How often the latent has fired so far grows with each run.
    let without_seen = |card: &LatentCard| LatentCard { seen: Seen { fired: 0, tokens: 0 }, ..card.clone() };
    let answers = |session: &mut Session| (timeless(&run(session, PROMPT)), without_seen(&card(session, "2048", 7)));
    let before = answers(&mut session);
    let pack = |session: &mut Session| session.ask(&PackQuery, &Cancel::new(), &|_| {}).expect("packs");
    assert!(pack(&mut session) > 1 << 20, "some megabytes of model and SAEs");
    assert_eq!(pack(&mut session), 0, "once");
    // Another prompt first, so that nothing is answered from what was kept.
    run(&mut session, "Tokyo");
    assert!(answers(&mut session) == before, "a digit is another than before");
}

fn next(session: &mut Session, prompt: &str, positions: &[usize], count: usize) -> Vec<(usize, Vec<NextToken>)> {
    let job = NextQuery { prompt: prompt.to_owned(), positions: positions.to_vec(), count };
    session.ask(&job, &Cancel::new(), &|_| {}).expect("predicts").next
}

#[test]
fn what_comes_next_is_the_same_whether_it_is_asked_for_at_once_or_later() {
    let whole = run(&mut opened(), PROMPT);
    let mut session = opened();
    for end in [9, 20, 14, PROMPT.len()] {
        let job = RunQuery { prompt: PROMPT[..end].to_owned(), next: 0 };
        let latents = session.ask(&job, &Cancel::new(), &|_| {}).expect("runs");
        assert!(latents.next.iter().all(Vec::is_empty) && latents.next.len() == latents.tokens.len());
        assert_eq!(latents.timings_ms.predictions, 0.0, "nothing behind the site was run");
        assert_eq!(latents.saes, run(&mut opened(), &PROMPT[..end]).saes);
        // Not after every change, so that the rest of the model lags behind.
        if end != 14 {
            next(&mut session, &PROMPT[..end], &[0], 2);
        }
    }
    let last = whole.tokens.len() - 1;
    let found = next(&mut session, PROMPT, &[last, 0, 3, last + 1], 5);
    assert_eq!(found.iter().map(|(position, _)| *position).collect::<Vec<_>>(), [last, 0, 3]);
    for (position, next) in found {
        assert_eq!(next, whole.next[position], "at {position}");
    }
    let fewer = next(&mut session, PROMPT, &[3], 2);
    assert_eq!(fewer, [(3, whole.next[3][..2].to_vec())]);
    let other = next(&mut session, "Tokyo is", &[1], 3);
    assert_eq!(other, [(1, run(&mut opened(), "Tokyo is").next[1][..3].to_vec())], "another prompt than the last one");
}

#[test]
fn a_cancelled_run_leaves_no_trace() {
    let mut session = opened();
    run(&mut session, "Marie Curie came");
    let cancel = Cancel::new();
    cancel.cancel();
    let job = RunQuery { prompt: PROMPT.to_owned(), next: 5 };
    let report = session.ask(&job, &cancel, &|_| {}).expect_err("is cancelled");
    assert_eq!((report.kind, report.exit_code()), (Kind::Cancelled, 130));
    assert_eq!(timeless(&run(&mut session, PROMPT)), timeless(&run(&mut opened(), PROMPT)));
}

#[test]
fn a_token_counts_once_however_often_its_sentence_is_run() {
    let mut session = opened();
    let once = run(&mut session, PROMPT);
    let strongest = once.saes[0].positions[3].latents[0].latent;
    let fires = once.saes[0].positions[1..].iter().filter(|p| p.latents.iter().any(|f| f.latent == strongest)).count();
    let seen = card(&mut session, "128", strongest).seen;
    assert_eq!((seen.fired, seen.tokens), (fires as u64, once.tokens.len() as u64 - 1));
    run(&mut session, &format!("{PROMPT} in"));
    let longer = card(&mut session, "128", strongest).seen;
    assert_eq!(longer.tokens, seen.tokens + 1, "one token is new");
}

#[test]
fn what_does_not_fit_into_memory_is_refused_with_its_parts() {
    let mut session = Session::new(setup(|| Some(1_000_000)));
    let report = session.ask(&open("demo"), &Cancel::new(), &|_| {}).expect_err("does not fit");
    assert!(report.what.contains("needs") && report.what.contains("1.0 MB"), "{}", report.what);
    assert!(report.why.iter().any(|why| why.starts_with("the model: ")), "{report}");
    assert!(report.why.iter().any(|why| why.starts_with("SAE 4096: ")), "{report}");
    let report = session.ask(&RunQuery { prompt: "x".into(), next: 1 }, &Cancel::new(), &|_| {}).expect_err("no suite");
    assert_eq!(report.kind, Kind::Missing);
}

#[test]
fn a_suite_that_does_not_open_leaves_the_one_that_is_open() {
    let mut session = opened();
    let before = run(&mut session, PROMPT);
    let missing = session.ask(&open("gpt2-small-feature-splitting"), &Cancel::new(), &|_| {});
    assert_eq!(missing.expect_err("is not downloaded").kind, Kind::Missing);
    assert_eq!(timeless(&run(&mut session, PROMPT)), timeless(&before));
}

#[test]
fn a_stream_that_a_parallel_residual_does_not_have_is_refused_and_what_there_is_is_not() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (folder, fixtures) = (tempfile::tempdir().expect("a folder"), root.join("tests/fixtures"));
    for file in ["models/pythia/config.json", "models/pythia/model.safetensors", "tokenizer/tokenizer.json"] {
        let name = Path::new(file).file_name().expect("a name");
        fs::copy(fixtures.join(file), folder.path().join(name)).expect("a copy");
    }
    let file = folder.path().join("parallel.toml");
    let opened = |kind: &str| {
        let text = format!(
            "id = \"parallel\"\n[model]\npath = \".\"\n[site]\nlayer = 1\nkind = \"{kind}\"\n\
             [[sae]]\nid = \"1\"\nformat = \"sae-lens\"\npath = '{}'\n",
            root.join("assets/demo/saes/128").display()
        );
        fs::write(&file, text).expect("is written");
        let open = open(&file.display().to_string());
        Session::new(setup(|| None)).ask(&open, &Cancel::new(), &|_| {}).expect_err("is refused").to_string()
    };
    let mid = opened("resid_mid");
    for words in ["suite `parallel`", "no site layer 1 resid_mid", "GPT-NeoX", "`use_parallel_residual`", "[site]"] {
        assert!(mid.contains(words), "{mid}");
    }
    // The site is there; the demo's SAE is of another size.
    assert!(opened("attn_out").contains("layer 1 attn_out has 32"), "{}", opened("attn_out"));
}

#[test]
fn a_suite_that_only_its_path_finds_is_pulled_by_it_and_comes_first_in_the_list() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("my suite.toml");
    let text = "id = \"own\"\n[model]\nrepo = \"a/b\"\n[site]\nlayer = 0\nkind = \"resid_pre\"\n\
                [[sae]]\nid = \"1\"\nformat = \"sae-lens\"\nrepo = \"a/c\"\ndefault = true\n";
    fs::write(&file, text).expect("is written");
    let (path, mut session) = (file.display().to_string(), Session::new(setup(|| None)));
    let report = session.ask(&open(&path), &Cancel::new(), &|_| {}).expect_err("is not downloaded");
    assert_eq!(report.hint.as_deref(), Some(format!("`saescope pull '{path}'` downloads it").as_str()));
    let mut list = |beside: Option<&str>| {
        let job = CatalogueQuery { beside: beside.map(str::to_owned), reach: LoadScope::Whole };
        session.ask(&job, &Cancel::new(), &|_| {}).expect("is answered")
    };
    let (with, without) = (list(Some(&path)), list(None));
    assert_eq!((with[0].id.as_str(), with[0].name.as_str(), with[0].ready), ("own", path.as_str(), false));
    assert_eq!(with[1..], without[..]);
    assert_eq!(list(Some("demo")), without, "what is listed stands there once");
}

#[test]
fn a_search_ranks_latents_by_what_their_cards_say() {
    let mut session = opened();
    let job = SearchQuery { sae: "512".to_owned(), query: "to:Germany".to_owned() };
    let found = session.ask(&job, &Cancel::new(), &|_| {}).expect("searches");
    assert!(found.meaning.contains("Germany"), "{}", found.meaning);
    assert!(found.hits.windows(2).all(|pair| pair[0].score >= pair[1].score));
    assert!(found.hits[0].score == 1.0 && found.hits.iter().all(|hit| hit.by.len() == 1 && hit.score > 0.0));
    let FoundBy::PromotedToken { text, value } = &found.hits[0].by[0] else { panic!("{:?}", found.hits[0]) };
    let card = card(&mut session, "512", found.hits[0].latent);
    let own = card.promoted.iter().find(|token| token.text == *text).expect("promotes it");
    assert!((own.value - value).abs() < 1e-4, "{} {value}", own.value);
    // The beginning of a word stands for all tokens that begin with it; case matters only where a token has it.
    for query in ["to:German", "to:germany", "Germany"] {
        let job = SearchQuery { sae: "512".to_owned(), query: query.to_owned() };
        let again = session.ask(&job, &Cancel::new(), &|_| {}).expect("searches");
        assert!(again.hits.iter().any(|hit| hit.latent == found.hits[0].latent), "{query}: {again:?}");
    }
}

#[test]
fn the_worker_answers_the_newest_asking_and_ends_with_its_owner() {
    let (to, from) = mpsc::channel::<JobEvent>();
    let worker = Worker::start(&setup(|| None), move |event| drop(to.send(event))).expect("starts");
    worker.ask(Ticket(100), Job::new(open("demo")));
    for ticket in 1..=20 {
        let prompt = PROMPT[..20 + ticket as usize].to_owned();
        worker.ask(Ticket(ticket), Job::new(RunQuery { prompt, next: 1 }));
    }
    let mut runs = Vec::new();
    while !runs.iter().any(|(ticket, _)| *ticket == Ticket(20)) {
        let JobEvent { ticket, event } = from.recv_timeout(Duration::from_mins(1)).expect("an answer comes");
        if let (true, Event::Done(done)) = (ticket < Ticket(100), event) {
            runs.push((ticket, done.is_ok()));
        }
    }
    assert!(runs.windows(2).all(|pair| pair[0].0 < pair[1].0), "{runs:?}");
    assert_eq!(runs.last(), Some(&(Ticket(20), true)));
    drop(worker);
    assert!(from.recv_timeout(Duration::from_mins(1)).is_err(), "its threads have ended");
}
