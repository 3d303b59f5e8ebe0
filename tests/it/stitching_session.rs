//! Stitching through the session, on the demo: the ends of the way are the two SAEs in every metric, cross-entropy
//! too; what is built by hand, by phases and by splicing agrees; bad input gives reports.
//! Not here: the mathematics on random weights (`sae_stitching.rs`), NumPy's answers (`golden_stitching.rs`).

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use saescope::analysis::{
    BenchLoss, Change, Class, CurveView, Family, Measures, Order, PairView, Phase, Relation, Side, Verdict,
    WorkbenchView,
};
use saescope::blob::Blob;
use saescope::hub::{Environment, Hub};
use saescope::report::{Kind, Report};
use saescope::sae::{Activation, Metadata, Sae, SaeFiles, SaeWeights, lens};
use saescope::session::{
    CurveLossQuery, CurveQuery, ExportQuery, FamilyQuery, GroupQuery, LoadScope, Loss, LossQuery, OpenQuery, PairQuery,
    Query, RunOptions, RunQuery, Session, SessionConfig, TablesQuery, TextQuery, VerdictQuery, WorkbenchQuery,
};
use saescope::task::{Cancel, Ticket};
use saescope::weights::Array;
use saescope::worker::{Answer, Event, Job, JobEvent, Worker};

const PROMPT: &str = "Marie Curie came from Poland. Tokyo is a city";
/// θ of the tests.
const THETA: f32 = 0.7;

fn setup(tables: Option<PathBuf>, text: Option<PathBuf>) -> SessionConfig {
    let environment = Environment {
        endpoint: "http://127.0.0.1:9".to_owned(),
        cache: std::env::temp_dir().join("saescope-has-no-cache-here"),
        token: None,
        offline: true,
    };
    SessionConfig { tables, text, ..SessionConfig::new(Hub::new(environment)) }
}

/// A short text, so that debug builds measure it in no time.
fn short_text(folder: &Path) -> PathBuf {
    let path = folder.join("text.txt");
    let text = include_str!("../../assets/demo/text.txt");
    let end = (0..=3000).rev().find(|at| text.is_char_boundary(*at)).unwrap();
    std::fs::write(&path, &text[..end]).unwrap();
    path
}

/// The demo's two narrowest SAEs and a wider one, with a prompt run.
fn session(folder: &Path) -> Session {
    opened(setup(Some(folder.join("tables")), Some(short_text(folder))))
}

fn opened(setup: SessionConfig) -> Session {
    let mut session = Session::new(setup);
    let suite = session.suite("demo").unwrap();
    let saes = ["128", "256", "512"].map(ToOwned::to_owned);
    session.open(suite, &saes, &Cancel::new(), &|_| {}).unwrap();
    let options = RunOptions { next: 1, metrics: true };
    session.run(PROMPT, &options, &Cancel::new()).unwrap();
    session
}

fn exec<Q: Query>(session: &mut Session, query: &Q) -> Result<Q::Answer, Report> {
    session.ask(query, &Cancel::new(), &|_| {})
}

fn answer<Q: Query>(session: &mut Session, query: &Q) -> Q::Answer {
    exec(session, query).unwrap()
}

fn ids() -> (String, String) {
    ("128".to_owned(), "512".to_owned())
}

fn pair(session: &mut Session, threshold: f32) -> PairView {
    let (small, large) = ids();
    answer(session, &PairQuery { small, large, threshold })
}

fn bench(session: &mut Session, changes: &[Change]) -> WorkbenchView {
    let (small, large) = ids();
    answer(session, &WorkbenchQuery { small, large, changes: changes.to_vec() })
}

fn bench_loss(loss: Loss) -> BenchLoss {
    match loss {
        Loss::Bench(loss) => loss,
        Loss::Verdict(_) => panic!("{loss:?}"),
    }
}

fn verdict_loss(loss: Loss) -> Verdict {
    match loss {
        Loss::Verdict(verdict) => verdict,
        Loss::Bench(_) => panic!("{loss:?}"),
    }
}

fn losses(session: &mut Session, changes: &[Change]) -> BenchLoss {
    let (small, large) = ids();
    bench_loss(answer(session, &LossQuery::Bench(WorkbenchQuery { small, large, changes: changes.to_vec() })))
}

fn verdict(session: &mut Session, latent: u32) -> Verdict {
    let (small, large) = ids();
    answer(session, &VerdictQuery { small, large, latent, threshold: THETA })
}

fn curve(session: &mut Session, order: Order) -> CurveView {
    let (small, large) = ids();
    answer(session, &CurveQuery { small, large, threshold: THETA, order, points: 12 })
}

fn family(session: &mut Session, latent: u32) -> Family {
    answer(session, &FamilyQuery { sae: "256".into(), latent, threshold: THETA })
}

fn near(a: f64, b: f64) {
    assert!((a - b).abs() <= 1e-4 * (1.0 + b.abs()), "{a} for {b}");
}

fn near_measures(a: &Measures, b: &Measures) {
    near(a.mse, b.mse);
    near(a.l0, b.l0);
    near(a.explained_variance.unwrap(), b.explained_variance.unwrap());
}

/// Every latent of the larger SAE in, every one of the smaller out.
fn all() -> Vec<Change> {
    (0..512).map(Change::Insert).chain((0..128).map(Change::Remove)).collect()
}

#[test]
fn nothing_put_in_is_the_smaller_sae_and_everything_swapped_the_larger_in_every_metric() {
    let folder = tempfile::tempdir().unwrap();
    let mut session = session(folder.path());
    let view = pair(&mut session, THETA);
    let run = session.run(PROMPT, &RunOptions { next: 1, metrics: true }, &Cancel::new()).unwrap();
    for (changes, end, sae) in [(vec![], 0, 0), (all(), 1, 2)] {
        let bench = bench(&mut session, &changes);
        let metrics = &run.saes[sae].metrics;
        let quality = metrics.quality;
        near(bench.prompt.mse, quality.mse.unwrap());
        near(bench.prompt.l0, quality.l0.unwrap());
        near(bench.prompt.explained_variance.unwrap(), quality.explained_variance.unwrap());
        near_measures(&bench.prompt, &bench.parents[end].0);
        near_measures(&bench.text.unwrap(), &bench.parents[end].1.unwrap());
        assert_eq!(bench.tokens, (quality.tokens, view.text.tokens));
        for (small, now, large) in &bench.errors {
            near(*now, if end == 0 { *small } else { *large });
        }
        let losses = losses(&mut session, &changes);
        let ce = metrics.cross_entropy.as_ref().unwrap();
        near(losses.prompt.now.unwrap(), ce.ce_spliced);
        near(losses.prompt.clean.unwrap(), ce.ce_clean);
        let ends = [losses.text.small, losses.text.large];
        near(losses.text.now.unwrap(), ends[end].unwrap());
        assert!(losses.text.clean < losses.text.now, "a reconstruction costs something");
    }
    let undone = bench(&mut session, &[]);
    near_measures(&undone.prompt, &undone.parents[0].0);
}

#[test]
fn a_verdict_predicts_what_is_measured_and_says_whether_the_rules_agree() {
    let folder = tempfile::tempdir().unwrap();
    let mut session = session(folder.path());
    let before = verdict(&mut session, 0);
    assert_eq!(before.text, None, "the text was not measured yet");
    let view = pair(&mut session, THETA);
    let mut told = 0;
    for row in view.rows.iter().filter(|row| row.fired > 0).take(40) {
        let verdict = verdict(&mut session, row.latent);
        assert_eq!((verdict.max_cosine, verdict.nearest.latent), (row.max_cosine, row.nearest));
        let text = verdict.text.unwrap();
        assert_eq!((text.fired, text.c_star), (row.fired, row.c_star));
        assert_eq!(verdict.agrees, row.disagrees(THETA).map(|disagrees| !disagrees));
        assert_eq!(verdict.words.contains("disagree"), verdict.agrees == Some(false), "{}", verdict.words);
        // The decoder bias moves by 1/129 of the way as well, which c* leaves out.
        let (predicted, measured) = (row.delta_mse.unwrap(), text.after.mse - text.before.mse);
        assert!((predicted - measured).abs() < 0.02 * text.before.mse, "{predicted} {measured}");
        near(text.after.l0 - text.before.l0, row.fired as f64 / text.tokens as f64);
        told += usize::from(verdict.agrees == Some(false));
    }
    assert!(told < 40);
    let (small, large) = ids();
    let job = LossQuery::Verdict(VerdictQuery { small, large, latent: view.rows[0].latent, threshold: THETA });
    let whole = verdict_loss(answer(&mut session, &job));
    assert!(whole.prompt.before.ce.is_some() && whole.text.unwrap().after.ce.is_some());
    near_measures(&whole.prompt.after, &verdict(&mut session, 0).prompt.after);
}

#[test]
fn the_curve_goes_from_one_sae_to_the_other_whatever_the_order() {
    let folder = tempfile::tempdir().unwrap();
    let mut session = session(folder.path());
    let counts = pair(&mut session, THETA).counts(THETA).unwrap();
    let ends = bench(&mut session, &[]).parents;
    for order in [Order::Effect, Order::Cosine, Order::Random(5)] {
        let curve = curve(&mut session, order);
        let (first, last) = (curve.points[0], curve.points[curve.points.len() - 1]);
        for (point, end) in [(first, &ends[0].1), (last, &ends[1].1)] {
            near(point.mse, end.unwrap().mse);
            near(point.l0, end.unwrap().l0);
        }
        assert_eq!(
            (first.step, first.phase, last.phase == Phase::Drop || counts.unmatched == 0),
            (0, Phase::Start, true)
        );
        assert_eq!(curve.phases, [counts.novel, counts.novel + counts.groups, last.step]);
        assert_eq!((last.inserted, last.removed), (512, 128));
        assert!(curve.phases.iter().all(|step| curve.points.iter().any(|point| point.step == *step)));
    }
    let (small, large) = ids();
    let at = vec![0, curve(&mut session, Order::Effect).phases[2]];
    let job = CurveLossQuery { small, large, threshold: THETA, order: Order::Effect, at };
    let loss = answer(&mut session, &job);
    let parents = losses(&mut session, &[]).text;
    near(loss.ce[0].1.unwrap(), parents.small.unwrap());
    near(loss.ce[1].1.unwrap(), parents.large.unwrap());
    assert_eq!(loss.predictions, parents.predictions);
}

#[test]
fn groups_swap_and_families_tell_parents_and_children() {
    let folder = tempfile::tempdir().unwrap();
    let mut session = session(folder.path());
    assert!(!family(&mut session, 3).is_complete(), "children need a table");
    assert_eq!(answer(&mut session, &TablesQuery), Vec::<String>::new());
    for latent in 0..20 {
        let family = family(&mut session, latent);
        assert!(family.is_complete());
        let [parent, own, child] = &family.rungs[..] else { panic!("three rungs") };
        assert_eq!([parent.relation, own.relation, child.relation], [Relation::Parent, Relation::Own, Relation::Child]);
        let parents = parent.relatives.as_ref().unwrap();
        let near_enough = parents.iter().all(|near| near.cosine >= THETA);
        assert_eq!(near_enough, parent.class == Some(Class::Reconstruction), "or the nearest alone");
        assert_eq!(parents[0], parent.nearest[0]);
        for relative in child.relatives.as_ref().unwrap() {
            let card = session.card("512", relative.latent, None, 1).unwrap();
            let nearest = card.ladder.iter().find(|entry| entry.sae == "256").unwrap().nearest[0];
            assert_eq!((nearest.latent, nearest.cosine), (latent, relative.cosine));
        }
    }
    let view = pair(&mut session, THETA);
    let classes = view.classes(THETA).unwrap();
    let Some(want) = classes.groups.first().cloned() else { return };
    let (small, large) = ids();
    let job = GroupQuery { small, large, side: Side::Large, latent: want.large[0], threshold: THETA };
    let group = answer(&mut session, &job).unwrap();
    assert_eq!((&group.small, &group.large), (&want.small, &want.large));
    assert!(group.complete && group.edges.iter().all(|edge| edge.2 >= THETA));
    let swap = Change::Swap { small: want.small.clone(), large: want.large.clone() };
    let swapped = bench(&mut session, &[swap]);
    assert_eq!((swapped.inserted, swapped.removed), (want.large.len(), want.small.len()));
}

#[test]
fn a_threshold_below_the_tables_floor_is_compared_again_and_one_that_is_no_cosine_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut session = session(folder.path());
    let view = pair(&mut session, THETA);
    assert!(view.counts(view.floor - 0.1).is_err());
    let low = pair(&mut session, -0.2);
    assert!(low.floor <= -0.2);
    let counts = low.counts(-0.2).unwrap();
    assert_eq!(counts.novel, low.rows.iter().filter(|row| row.max_cosine < -0.2).count());
    assert_eq!(low.counts(THETA).unwrap(), view.counts(THETA).unwrap());
    for threshold in [1.5, f32::NAN, -1.01] {
        let (small, large) = ids();
        let report = exec(&mut session, &PairQuery { small, large, threshold }).unwrap_err();
        assert_eq!((report.kind, report.hint.is_some()), (Kind::Usage, true), "{report}");
    }
}

#[test]
fn pairs_that_cannot_be_stitched_and_latents_that_are_not_there_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut session = session(folder.path());
    let refused = |session: &mut Session, small: &str, large: &str, changes: Vec<Change>| {
        let (small, large) = (small.to_owned(), large.to_owned());
        exec(session, &WorkbenchQuery { small, large, changes }).unwrap_err()
    };
    assert!(refused(&mut session, "512", "128", vec![]).hint.unwrap().contains("narrower one first"));
    assert_eq!(refused(&mut session, "128", "128", vec![]).kind, Kind::Usage);
    assert_eq!(refused(&mut session, "128", "4096", vec![]).kind, Kind::Missing);
    assert!(refused(&mut session, "128", "511", vec![]).hint.unwrap().contains("512"));
    let report = refused(&mut session, "128", "512", vec![Change::Insert(512)]);
    assert!(report.why[0].contains("no latent 512"), "{report}");
}

#[test]
fn texts_that_cannot_be_measured_on_say_why_and_leave_the_one_before() {
    let folder = tempfile::tempdir().unwrap();
    let mut session = session(folder.path());
    let before = pair(&mut session, THETA).text.clone();
    let path = folder.path().join("other.txt");
    let mut refused = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        exec(&mut session, &TextQuery { file: Some(path.clone()) }).unwrap_err().why.join("; ")
    };
    assert_eq!(refused(b""), "it is empty");
    assert_eq!(refused(b"\n<|endoftext|>\n"), "it is empty");
    assert_eq!(refused(b"a"), "it has one token");
    assert!(refused(b"fine\xff").contains("begins no character"));
    let missing = exec(&mut session, &TextQuery { file: Some("/nowhere/at/all".into()) }).unwrap_err();
    assert!(missing.what.contains("/nowhere/at/all"), "{missing}");
    assert_eq!(pair(&mut session, THETA).text, before);
    std::fs::write(&path, "Tokyo is a city. The panda eats bamboo.").unwrap();
    let text = answer(&mut session, &TextQuery { file: Some(path.clone()) });
    let view = pair(&mut session, THETA);
    assert_eq!(view.text, text);
    let silent = view.rows.iter().find(|row| row.fired == 0).unwrap();
    assert_eq!((silent.c_star, silent.delta_mse, silent.disagrees(THETA)), (None, None, None));
    let verdict = verdict(&mut session, silent.latent);
    assert!(verdict.agrees.is_some() == verdict.prompt.c_star.is_some(), "{}", verdict.words);
    let standard = answer(&mut session, &TextQuery { file: None });
    assert_eq!(standard, before);
}

#[test]
fn an_exported_sae_is_the_stitched_one_and_overwrites_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut session = session(folder.path());
    let changes: Vec<Change> = (0..30).map(Change::Insert).chain([Change::Remove(4)]).collect();
    let want = bench(&mut session, &changes).prompt;
    let out = folder.path().join("stitched");
    let (small, large) = ids();
    let job = ExportQuery { small, large, changes, folder: out.clone() };
    assert_eq!(answer(&mut session, &job), out);
    let again = exec(&mut session, &job).unwrap_err();
    assert!(again.why[0].contains("cfg.json"), "{again}");
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/demo/model");
    let suite = format!(
        "id = \"x\"\n[model]\npath = '{}'\n[site]\nlayer = 3\nkind = \"resid_pre\"\n[[sae]]\nid = \"s\"\n\
         format = \"sae-lens\"\npath = '{}'\n",
        demo.display(),
        out.display()
    );
    let file = folder.path().join("x.toml");
    std::fs::write(&file, suite).unwrap();
    let suite = session.suite(file.to_str().unwrap()).unwrap();
    session.open(suite, &["s".to_owned()], &Cancel::new(), &|_| {}).unwrap();
    let run = session.run(PROMPT, &RunOptions::default(), &Cancel::new()).unwrap();
    assert_eq!(run.saes[0].width, 128 - 1 + 30);
    near(run.saes[0].metrics.quality.mse.unwrap(), want.mse);
    near(run.saes[0].metrics.quality.l0.unwrap(), want.l0);
}

#[test]
fn tables_that_cannot_be_kept_are_a_note_and_broken_ones_are_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let text = short_text(folder.path());
    // A file where the folder should be: nothing can be written there.
    let blocked = folder.path().join("blocked");
    std::fs::write(&blocked, "").unwrap();
    let mut session = opened(setup(Some(blocked), Some(text.clone())));
    let view = pair(&mut session, THETA);
    assert_eq!(view.notes.len(), 1, "{:?}", view.notes);
    let tables = folder.path().join("tables");
    let mut session = opened(setup(Some(tables.clone()), Some(text.clone())));
    let kept = pair(&mut session, THETA);
    for entry in std::fs::read_dir(&tables).unwrap() {
        let path = entry.unwrap().path();
        let half = std::fs::metadata(&path).unwrap().len() / 2;
        std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(half).unwrap();
    }
    let mut session = opened(setup(Some(tables), Some(text)));
    let again = pair(&mut session, THETA);
    assert!(again.notes.is_empty());
    assert_eq!(again.rows, kept.rows);
    assert_eq!(again.counts(THETA).unwrap(), view.counts(THETA).unwrap());
}

/// A suite file of the demo's model with two SAEs of `folder`, `a` and `b`.
fn suite_of_two(folder: &Path) -> String {
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/demo/model");
    let sae =
        |id: &str| format!("[[sae]]\nid = \"{id}\"\nformat = \"sae-lens\"\npath = '{}'\n", folder.join(id).display());
    let suite = format!(
        "id = \"x\"\n[model]\npath = '{}'\n[site]\nlayer = 3\nkind = \"resid_pre\"\n{}{}",
        demo.display(),
        sae("a"),
        sae("b")
    );
    let file = folder.join("two.toml");
    std::fs::write(&file, suite).unwrap();
    file.to_str().unwrap().to_owned()
}

/// Writes one of the demo's SAEs, changed.
fn save_changed(width: &str, folder: &Path, change: impl FnOnce(&mut SaeWeights, &mut Metadata)) {
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/demo/saes").join(width);
    let blob = |name: &str| Blob::path(demo.join(name));
    let files = SaeFiles { config: blob("cfg.json"), weights: vec![blob("sae_weights.safetensors")], sparsity: None };
    let sae = lens::open(&files).unwrap();
    let (mut parts, mut metadata) = (sae.parts().clone(), sae.metadata.clone());
    change(&mut parts, &mut metadata);
    let mut changed = Sae::new(parts).unwrap();
    changed.metadata = metadata;
    lens::save(folder, &changed).unwrap();
}

fn open_two(folder: &Path) -> Session {
    let mut session = Session::new(setup(None, Some(short_text(folder))));
    let suite = session.suite(&suite_of_two(folder)).unwrap();
    session.open(suite, &["a".to_owned(), "b".to_owned()], &Cancel::new(), &|_| {}).unwrap();
    session.run(PROMPT, &RunOptions::default(), &Cancel::new()).unwrap();
    session
}

fn a_and_b() -> (String, String) {
    ("a".to_owned(), "b".to_owned())
}

#[test]
fn saes_whose_latents_compete_are_encoded_again_and_say_so() {
    let folder = tempfile::tempdir().unwrap();
    for (id, width, k) in [("a", "128", 5), ("b", "256", 9)] {
        save_changed(width, &folder.path().join(id), |parts, _| {
            (parts.activation, parts.rescale_acts_by_decoder_norm) = (Activation::TopK { k }, false);
        });
    }
    let mut session = open_two(folder.path());
    let (small, large) = a_and_b();
    let view = answer(&mut session, &PairQuery { small, large, threshold: THETA });
    assert!(view.competes);
    let everything: Vec<Change> = (0..256).map(Change::Insert).chain((0..128).map(Change::Remove)).collect();
    for (changes, end) in [(vec![], 0), (everything, 1)] {
        let (small, large) = a_and_b();
        let bench = answer(&mut session, &WorkbenchQuery { small, large, changes: changes.clone() });
        assert!(bench.reencoded && bench.text.is_none());
        near_measures(&bench.prompt, &bench.parents[end].0);
        let (small, large) = a_and_b();
        let loss = bench_loss(answer(&mut session, &LossQuery::Bench(WorkbenchQuery { small, large, changes })));
        near_measures(&loss.reencoded.unwrap(), &bench.parents[end].1.unwrap());
        near(loss.text.now.unwrap(), [loss.text.small, loss.text.large][end].unwrap());
    }
    let (small, large) = a_and_b();
    let job = LossQuery::Verdict(VerdictQuery { small, large, latent: 1, threshold: THETA });
    let verdict = verdict_loss(answer(&mut session, &job));
    assert!(verdict.reencoded && verdict.text.unwrap().after.ce.is_some());
    let (small, large) = a_and_b();
    let job = CurveQuery { small, large, threshold: THETA, order: Order::Effect, points: 6 };
    let curve = answer(&mut session, &job);
    assert!(curve.reencoded && curve.points.len() >= 4, "{:?}", curve.points);
    near(curve.points[curve.points.len() - 1].l0, 9.0);
}

#[test]
fn a_row_of_zeros_is_of_no_class_and_without_effect_and_other_sites_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    save_changed("128", &folder.path().join("a"), |_, _| {});
    save_changed("256", &folder.path().join("b"), |parts, _| {
        let mut rows = parts.w_dec.to_array().to_vec();
        let d = rows.len() / 256;
        rows[3 * d..4 * d].fill(0.0);
        parts.w_dec = Array::owned(rows, &[256, d]).into();
    });
    let mut session = open_two(folder.path());
    let (small, large) = a_and_b();
    let view = answer(&mut session, &PairQuery { small, large, threshold: THETA });
    assert_eq!((view.rows[3].max_cosine, view.rows[3].c_star, view.class(3, THETA)), (0.0, None, None));
    save_changed("256", &folder.path().join("b"), |_, metadata| {
        metadata.hook_name = Some("blocks.1.hook_mlp_out".into());
    });
    let mut session = open_two(folder.path());
    let (small, large) = a_and_b();
    let report = exec(&mut session, &PairQuery { small, large, threshold: THETA }).unwrap_err();
    assert!(report.why[0].contains("different sites"), "{report}");
}

#[test]
fn a_suite_file_names_its_own_text() {
    let folder = tempfile::tempdir().unwrap();
    for (id, width) in [("a", "128"), ("b", "256")] {
        save_changed(width, &folder.path().join(id), |_, _| {});
    }
    let file = suite_of_two(folder.path());
    let suite = std::fs::read_to_string(&file).unwrap().replacen("[model]", "text = \"mine.txt\"\n[model]", 1);
    std::fs::write(&file, suite).unwrap();
    let mut session = Session::new(setup(None, None));
    exec(&mut session, &OpenQuery { suite: file, saes: Vec::new(), reach: LoadScope::Whole }).unwrap();
    let report = exec(&mut session, &TextQuery { file: None }).unwrap_err();
    assert!(report.what.contains("mine.txt"), "{report}");
    std::fs::write(folder.path().join("mine.txt"), "Tokyo is a city in Japan.").unwrap();
    let text = answer(&mut session, &TextQuery { file: None });
    assert!(text.tokens > 4 && text.name.contains("suite x"), "{text:?}");
}

#[test]
fn a_text_longer_than_asked_for_is_read_that_far() {
    let folder = tempfile::tempdir().unwrap();
    let mut session = session(folder.path());
    let whole = pair(&mut session, THETA).text.tokens;
    for most in [2, 130, 300] {
        session.measure_at_most(Some(most));
        assert_eq!(pair(&mut session, THETA).text.tokens, most.min(whole));
    }
}

#[test]
fn a_prompt_is_answered_while_tables_are_made_and_another_suite_ends_them() {
    let (to, from) = mpsc::channel::<JobEvent>();
    let worker = Worker::start(&setup(None, None), move |event| drop(to.send(event))).unwrap();
    let wait = |wanted: u64| loop {
        let JobEvent { ticket, event } = from.recv_timeout(Duration::from_mins(2)).expect("an answer comes");
        if let (true, Event::Done(done)) = (ticket == Ticket(wanted), event) {
            return done;
        }
    };
    let open = || Job::new(OpenQuery { suite: "demo".into(), saes: Vec::new(), reach: LoadScope::Whole });
    worker.ask(Ticket(1), open());
    wait(1).unwrap();
    worker.ask(Ticket(2), Job::new(TablesQuery));
    worker.ask(Ticket(3), Job::new(RunQuery { prompt: PROMPT.into(), next: 1 }));
    wait(3).unwrap();
    worker.ask(Ticket(4), open());
    wait(4).unwrap();
    worker.ask(Ticket(5), Job::new(FamilyQuery { sae: "128".into(), latent: 1, threshold: THETA }));
    wait(5).and_then(Answer::of::<FamilyQuery>).unwrap();
    drop(worker);
}
