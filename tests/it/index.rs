//! An index of a corpus against what NumPy counts over the same tokens, for three families of models; for any number of
//! threads and shards the same bytes; continued after it was cut off; bad input.
//! Not here: how the fixtures are made (`fixtures/make_index_fixtures.py`), and the parts of counting by themselves.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use saescope::analysis::{IndexView, LatentCorpus, MetaCorpus, SkippedPositions};
use saescope::hub::{Environment, Hub};
use saescope::report::{Kind, Report};
use saescope::session::{
    CorpusQuery, IndexQuery, IndexRecipe, MetaCorpusQuery, ReadOn, Session, SessionConfig, index_info, merge_indexes,
};
use saescope::task::Cancel;
use serde_json::Value;

const NAMES: [&str; 3] = ["plain", "llama", "neox"];
/// What must be the same bytes.
const FILES: [&str; 5] = ["tokens.parquet", "latents.parquet", "examples.parquet", "state.bin", "index.json"];

pub(crate) fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// A suite on a small model, in a folder.
pub(crate) struct Small {
    folder: tempfile::TempDir,
    name: &'static str,
}

impl Small {
    pub(crate) fn new(name: &'static str) -> Self {
        Self::with(name, true)
    }

    /// The lines of the suite file that name the meta-SAE.
    fn meta(name: &str) -> String {
        let meta = fixtures().join("index").join(name).join("meta");
        format!("[[meta]]\nid = \"6\"\nsae = \"16\"\nformat = \"sae-lens\"\npath = '{}'\n", meta.display())
    }

    /// With its meta-SAE in the suite file or without.
    pub(crate) fn with(name: &'static str, with_meta: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let model = folder.path().join("model");
        fs::create_dir(&model).unwrap();
        for file in ["config.json", "model.safetensors"] {
            fs::copy(fixtures().join("models").join(name).join(file), model.join(file)).unwrap();
        }
        fs::copy(fixtures().join("tokenizer/tokenizer.json"), model.join("tokenizer.json")).unwrap();
        let bos = Self::counted(name)["prepend_bos"].as_bool().unwrap();
        let sae = fixtures().join("index").join(name).join("sae");
        let suite = format!(
            "id = \"small\"\n[model]\npath = 'model'\nprepend_bos = {bos}\ntokenizer = \"file\"\n[site]\nlayer = 1\nkind = \"resid_pre\"\n\
             [[sae]]\nid = \"16\"\nformat = \"sae-lens\"\npath = '{}'\ndefault = true\n{}",
            sae.display(),
            if with_meta { Self::meta(name) } else { String::new() }
        );
        fs::write(folder.path().join("small.toml"), suite).unwrap();
        fs::write(folder.path().join("text.txt"), Self::text(name)).unwrap();
        Self { folder, name }
    }

    pub(crate) fn counted(name: &str) -> Value {
        let file = fixtures().join("index").join(name).join("counted.json");
        serde_json::from_slice(&fs::read(file).unwrap()).unwrap()
    }

    /// The documents of the fixture, parted.
    fn text(name: &str) -> String {
        let documents: Vec<String> = serde_json::from_value(Self::counted(name)["texts"].clone()).unwrap();
        documents.join("\n<|endoftext|>\n")
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn session(&self) -> Session {
        let environment = Environment {
            endpoint: "http://127.0.0.1:9".to_owned(),
            cache: self.path("no-cache"),
            token: None,
            offline: true,
        };
        let metas = Some(self.path("data/meta"));
        let mut session = Session::new(SessionConfig { metas, ..SessionConfig::new(Hub::new(environment)) });
        let suite = session.suite(&self.path("small.toml").display().to_string()).unwrap();
        session.open(suite, &["16".to_owned()], &Cancel::new(), &|_| {}).unwrap();
        session
    }

    pub(crate) fn recipe(&self, out: &str) -> IndexRecipe {
        IndexRecipe {
            texts: vec![self.path("text.txt")],
            context: Some(16),
            top: Some(4),
            out: Some(self.path(out)),
            ..IndexRecipe::default()
        }
    }

    /// The exit status and the answer of a command about this suite.
    pub(crate) fn command(&self, args: &[&str], input: &str) -> (Option<i32>, Value) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_saescope"));
        command.env_clear().env("HOME", self.folder.path()).env("HF_HUB_OFFLINE", "1").args(args);
        command.args(["--suite", &self.path("small.toml").display().to_string(), "--json"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // Who reads no input has closed it.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let done = child.wait_with_output().unwrap();
        (done.status.code(), serde_json::from_slice(&done.stdout).unwrap_or_default())
    }

    pub(crate) fn build(&self, recipe: IndexRecipe) -> Result<IndexView, Report> {
        build(&mut self.session(), recipe)
    }

    fn bytes(&self, out: &str) -> Vec<Vec<u8>> {
        FILES.iter().map(|file| fs::read(self.path(out).join(file)).unwrap()).collect()
    }
}

pub(crate) fn build(session: &mut Session, recipe: IndexRecipe) -> Result<IndexView, Report> {
    session.ask(&IndexQuery { read: Some(ReadOn::All), recipe }, &Cancel::new(), &|_| {})
}

fn corpus(session: &mut Session, latent: u32, index: Option<PathBuf>) -> Result<Option<LatentCorpus>, Report> {
    session.ask(&CorpusQuery { sae: "16".to_owned(), latent, index }, &Cancel::new(), &|_| {})
}

pub(crate) fn meta_corpus(
    session: &mut Session,
    meta: &str,
    meta_latent: u32,
    index: Option<PathBuf>,
) -> Result<Option<MetaCorpus>, Report> {
    let query = MetaCorpusQuery { sae: "16".to_owned(), meta: meta.to_owned(), meta_latent, index };
    session.ask(&query, &Cancel::new(), &|_| {})
}

pub(crate) fn close(got: f64, want: &Value, what: &str) {
    let want = want.as_f64().unwrap();
    assert!((got - want).abs() <= 2e-5 * want.abs().max(1e-9), "{what}: {got}, {want} in NumPy");
}

/// What is said of a latent against what was counted of it.
fn compare(got: &LatentCorpus, want: &Value, what: &str) {
    assert_eq!(got.count, want["count"].as_u64().unwrap(), "{what}");
    close(got.density, &want["density"], what);
    close(f64::from(got.max), &want["max"], what);
    if got.count > 0 {
        close(got.mean_when_active.unwrap() * got.count as f64, &want["sum"], what);
    }
    let shown = want["shown"]["edges"].as_array().unwrap();
    assert_eq!(got.histogram.edges.len(), shown.len(), "{what}");
    got.histogram.edges.iter().zip(shown).for_each(|(got, want)| close(*got, want, what));
    assert_eq!(serde_json::json!(got.histogram.counts), want["shown"]["counts"], "{what}");
    let quantiles = [got.quantiles.half, got.quantiles.tenth, got.quantiles.hundredth];
    for (got, want) in quantiles.iter().zip(want["quantiles"].as_array().unwrap()) {
        match got {
            Some(got) => close(*got, want, what),
            None => assert!(want.is_null(), "{what}"),
        }
    }
    let tokens: Vec<(u32, u64)> = got.top_tokens.iter().map(|token| (token.id, token.count)).collect();
    let wanted = want["top_tokens"].as_array().unwrap();
    let wanted_tokens: Vec<(u32, u64)> =
        wanted.iter().map(|of| (of[0].as_u64().unwrap() as u32, of[1].as_u64().unwrap())).collect();
    assert_eq!(tokens, wanted_tokens, "{what}");
    got.top_tokens.iter().zip(wanted).for_each(|(got, want)| close(got.mean, &want[2], what));
    let wanted = want["examples"].as_array().unwrap();
    let places: Vec<Value> = got
        .examples
        .iter()
        .map(|e| serde_json::json!([e.best, e.quantile_bin, e.document, e.window, e.position]))
        .collect();
    let wanted_places: Vec<Value> = wanted.iter().map(|of| Value::from(of.as_array().unwrap()[..5].to_vec())).collect();
    assert_eq!(places, wanted_places, "{what}");
    for (example, want) in got.examples.iter().zip(wanted) {
        close(f64::from(example.activation), &want[5], what);
        assert_eq!(example.tokens[example.position].activation, example.activation, "{what}");
    }
}

#[test]
fn what_is_counted_is_what_numpy_counts_for_any_threads_and_shards() {
    for name in NAMES {
        let small = Small::new(name);
        let counted = Small::counted(name);
        let threads = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let view = threads(1).install(|| small.build(small.recipe("whole"))).unwrap();
        for (got, key) in
            [(view.tokens, "tokens"), (view.documents, "documents"), (view.windows, "windows"), (view.sinks, "sinks")]
        {
            assert_eq!(got, counted[key].as_u64().unwrap(), "{name}: {key}");
        }
        let bos = counted["prepend_bos"].as_bool().unwrap();
        assert_eq!(view.skipped_positions == SkippedPositions::Bos, bos, "{name}");
        assert!(view.complete && view.saes[0].silent > 0);
        let mut session = small.session();
        for want in counted["latents"].as_array().unwrap() {
            let latent = want["latent"].as_u64().unwrap() as u32;
            let got = corpus(&mut session, latent, Some(small.path("whole"))).unwrap().unwrap();
            compare(&got, want, &format!("{name}, latent {latent}"));
        }
        for want in counted["metas"].as_array().unwrap() {
            let meta_latent = want["latent"].as_u64().unwrap() as u32;
            let got = meta_corpus(&mut session, "6", meta_latent, Some(small.path("whole"))).unwrap();
            let Some(MetaCorpus::Index(got)) = got else { panic!("{name}, meta-latent {meta_latent}: {got:?}") };
            compare(&got, want, &format!("{name}, meta-latent {meta_latent}"));
        }
        assert_eq!((view.metas.len(), view.metas[0].width, &*view.metas[0].sae), (1, 6, "16"), "{name}");
        let whole = small.bytes("whole");
        threads(2).install(|| small.build(small.recipe("two-threads"))).unwrap();
        assert!(small.bytes("two-threads") == whole, "{name}: two threads");
        for shards in [2, 3] {
            let mut parts = Vec::new();
            for shard in 1..=shards {
                let out = format!("shard-{shard}-of-{shards}");
                let recipe = IndexRecipe { shard: Some((shard, shards)), ..small.recipe(&out) };
                threads(2).install(|| small.build(recipe)).unwrap();
                parts.push(small.path(&out));
            }
            parts.reverse();
            let out = format!("merged-{shards}");
            let merged = merge_indexes(&parts, small.path(&out), &Cancel::new(), &|_| {}).unwrap();
            assert_eq!((merged.tokens, merged.documents), (view.tokens, view.documents));
            for (file, (got, want)) in FILES.iter().zip(small.bytes(&out).iter().zip(&whole)) {
                assert!(got == want, "{name}: {file} of {shards} shards");
            }
        }
    }
}

#[test]
fn every_kind_of_file_has_the_same_documents() {
    let small = Small::new("plain");
    small.build(small.recipe("whole")).unwrap();
    let documents: Vec<String> = serde_json::from_value(Small::counted("plain")["texts"].clone()).unwrap();
    let lines: String = documents.iter().map(|text| serde_json::json!({ "text": text }).to_string() + "\n").collect();
    let folder = small.path("texts");
    fs::create_dir(&folder).unwrap();
    // The first half as lines of JSON, compressed; the second plain.
    let half = documents.len() / 2;
    let first: String = lines.split_inclusive('\n').take(half).collect();
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut packed, first.as_bytes()).unwrap();
    fs::write(folder.join("1.jsonl.gz"), packed.finish().unwrap()).unwrap();
    let second = documents[half..].join("<|endoftext|>");
    fs::write(folder.join("2.txt.zst"), zstd::encode_all(second.as_bytes(), 1).unwrap()).unwrap();
    fs::write(folder.join("README"), "no text").unwrap();
    let packed = fixtures().join("index/plain/text.parquet");
    for (texts, out) in [(folder, "folder"), (packed, "parquet")] {
        small.build(IndexRecipe { texts: vec![texts], ..small.recipe(out) }).unwrap();
        assert!(small.bytes(out)[..4] == small.bytes("whole")[..4], "{out}");
    }
}

#[test]
fn it_goes_on_where_it_was_cut_off() {
    let small = Small::new("llama");
    small.build(small.recipe("whole")).unwrap();
    let before = IndexRecipe { tokens: Some(300), ..small.recipe("cut") };
    let view = small.build(before.clone()).unwrap();
    assert!(view.complete && (300..300 + 16).contains(&view.tokens), "{}", view.tokens);
    let again = small.bytes("cut");
    small.build(before).unwrap();
    assert!(small.bytes("cut") == again, "there was nothing more to read");
    let view = small.build(small.recipe("cut")).unwrap();
    assert!(view.complete);
    assert!(small.bytes("cut") == small.bytes("whole"), "as one run");
    // What is cancelled in the middle is kept as far as it is.
    fs::write(small.path("long.txt"), vec![Small::text("llama"); 8].join("<|endoftext|>")).unwrap();
    let long = |out: &str| IndexRecipe { texts: vec![small.path("long.txt")], ..small.recipe(out) };
    small.build(long("long")).unwrap();
    let cancel = Cancel::new();
    let query = IndexQuery { read: Some(ReadOn::All), recipe: long("cancelled") };
    let report = small.session().ask(&query, &cancel, &|_| cancel.cancel()).unwrap_err();
    assert_eq!(report.kind, Kind::Cancelled);
    let kept = index_info(&small.path("cancelled")).unwrap();
    assert!(kept.tokens > 1000 && !kept.complete, "{kept:?}");
    small.build(long("cancelled")).unwrap();
    assert!(small.bytes("cancelled") == small.bytes("long"));
    // One that gives way keeps what was counted in memory, and continues there.
    let (mut session, cancel) = (small.session(), Cancel::new());
    let read = Some(ReadOn::CoreSeconds(f64::INFINITY));
    let query = IndexQuery { read, recipe: long("gives-way") };
    let report = session.ask(&query, &cancel, &|_| cancel.cancel()).unwrap_err();
    assert!(report.kind == Kind::Cancelled && !small.path("gives-way").exists());
    let seen = std::cell::Cell::new(u64::MAX);
    session.ask(&query, &Cancel::new(), &|so_far| seen.set(seen.get().min(so_far.done))).unwrap();
    assert!(seen.get() > 2048 * 15 / 16, "from where it was: {}", seen.get());
    assert!(small.bytes("gives-way") == small.bytes("long"));
}

#[test]
fn an_index_in_the_programs_own_folder_is_found_again_and_one_of_something_else_is_not() {
    let small = Small::new("neox");
    let mut session = small.session();
    assert!(corpus(&mut session, 0, None).unwrap().is_none(), "there is none");
    let recipe = IndexRecipe { out: None, ..small.recipe("") };
    let view = build(&mut session, recipe).unwrap();
    assert!(view.index.unwrap().starts_with(small.path("data/index")));
    let live = corpus(&mut session, 0, None).unwrap().unwrap();
    let mut other = small.session();
    let kept = corpus(&mut other, 0, None).unwrap().unwrap();
    assert_eq!(kept, live, "what is in memory and what was written say the same");
    let known = other.ask(&IndexQuery::default(), &Cancel::new(), &|_| {}).unwrap();
    assert_eq!((known.tokens, known.complete), (kept.tokens, true));
    let report = corpus(&mut other, 99, None).unwrap_err();
    assert!(report.hint.unwrap().contains("0 to 15"));
    // Another model: its numbers would be wrong.
    let model = small.path("model/config.json");
    let changed = fs::read_to_string(&model).unwrap().replacen('{', "{ ", 1);
    fs::write(&model, changed).unwrap();
    assert!(corpus(&mut small.session(), 0, None).unwrap().is_none());
    small.build(small.recipe("named")).unwrap();
    fs::write(&model, fs::read_to_string(&model).unwrap().replacen('{', "{ ", 1)).unwrap();
    let report = corpus(&mut small.session(), 0, Some(small.path("named"))).unwrap_err();
    assert!(report.why[0].contains("the model is another"), "{report}");
    let report = small.build(small.recipe("named")).unwrap_err();
    assert!(report.why[0].contains("the model is another"), "{report}");
}

#[test]
fn what_cannot_be_read_is_named_and_what_was_read_is_kept() {
    let small = Small::new("plain");
    let fails = |texts: &str, bytes: &[u8]| {
        fs::write(small.path(texts), bytes).unwrap();
        let texts = vec![small.path(texts)];
        small.build(IndexRecipe { texts, ..small.recipe("bad") }).unwrap_err().to_string()
    };
    let said = fails("empty.txt", b"");
    assert!(said.contains("empty.txt") && said.contains("no token"), "{said}");
    assert!(!small.path("bad").exists(), "nothing is written of it");
    let good = b"the cat sat on a mat\n<|endoftext|>\n".repeat(40);
    let said = fails("broken.txt", &[&good[..], b"the cat \xff\n"].concat());
    assert!(said.contains("not UTF-8") && said.contains("line 81"), "{said}");
    let kept = index_info(&small.path("bad")).unwrap();
    assert!(kept.documents == 40 && !kept.complete && kept.tokens > 100, "{kept:?}");
    // Put right, it is continued, as if nothing had been wrong.
    fs::write(small.path("broken.txt"), [&good[..], b"the cat\n"].concat()).unwrap();
    let texts = vec![small.path("broken.txt")];
    let view = small.build(IndexRecipe { texts: texts.clone(), ..small.recipe("bad") }).unwrap();
    small.build(IndexRecipe { texts: texts.clone(), ..small.recipe("right") }).unwrap();
    assert!(view.complete && view.documents == 41);
    assert!(small.bytes("bad") == small.bytes("right"));
    // Another text under the same name.
    fs::write(small.path("broken.txt"), b"a dog\n<|endoftext|>\n".repeat(50)).unwrap();
    let said = small.build(IndexRecipe { texts, ..small.recipe("bad") }).unwrap_err().to_string();
    assert!(said.contains("the text has changed"), "{said}");
    let none = small.build(IndexRecipe { texts: vec![small.path("none.txt")], ..small.recipe("x") }).unwrap_err();
    assert!(none.to_string().contains("none.txt"), "{none}");
    let none = small.build(IndexRecipe { top: Some(0), ..small.recipe("x") }).unwrap_err();
    assert_eq!(none.kind, Kind::Usage);
    let wide = small.build(IndexRecipe { context: Some(99), ..small.recipe("x") }).unwrap_err();
    assert!(wide.to_string().contains("2 to 32"), "{wide}");
    let without = fixtures().join("index/plain/no_text.parquet");
    let said = small.build(IndexRecipe { texts: vec![without], ..small.recipe("x") }).unwrap_err().to_string();
    assert!(said.contains("no column `text`") && said.contains("`body`"), "{said}");
}

#[test]
fn a_folder_that_is_half_written_or_holds_something_else_is_refused() {
    let small = Small::new("plain");
    small.build(small.recipe("good")).unwrap();
    let spoiled = |file: &str, spoil: &dyn Fn(Vec<u8>) -> Vec<u8>| {
        let out = small.path("spoiled");
        let _ = fs::remove_dir_all(&out);
        fs::create_dir(&out).unwrap();
        for name in FILES {
            fs::copy(small.path("good").join(name), out.join(name)).unwrap();
        }
        fs::write(out.join(file), spoil(fs::read(out.join(file)).unwrap())).unwrap();
        let report = corpus(&mut small.session(), 0, Some(out)).err();
        let built = small.build(small.recipe("spoiled")).err();
        (report.map(|report| report.to_string()), built.map(|report| report.to_string()))
    };
    let half = |bytes: Vec<u8>| bytes[..bytes.len() / 2].to_vec();
    for file in FILES {
        let (read, built) = spoiled(file, &half);
        let said = read.unwrap();
        assert!(said.contains("cannot use the index") && said.contains(file), "{file}: {said}");
        assert!(built.unwrap().contains(file), "{file}");
    }
    // The length is right and the bytes are not: the first bit of each of a hundred bytes at a time.
    let size = fs::metadata(small.path("good/state.bin")).unwrap().len() as usize;
    for at in (0..size).step_by(size / 40) {
        let (_, built) = spoiled("state.bin", &|mut bytes| {
            bytes[at] ^= 1;
            bytes
        });
        assert!(built.unwrap().contains("state.bin"), "{at}");
    }
    for file in ["latents.parquet", "examples.parquet", "tokens.parquet"] {
        let size = fs::metadata(small.path("good").join(file)).unwrap().len() as usize;
        for at in (0..size).step_by(size / 40) {
            // Whatever it says: it ends, and is an answer or names the file.
            let (read, _) = spoiled(file, &|mut bytes| {
                bytes[at] ^= 0x55;
                bytes
            });
            assert!(read.is_none_or(|said| said.contains(file)), "{file}, {at}");
        }
    }
    fs::create_dir(small.path("other")).unwrap();
    fs::write(small.path("other/letter.txt"), "dear").unwrap();
    let report = small.build(small.recipe("other")).unwrap_err();
    assert!(report.kind == Kind::Usage && report.to_string().contains("other files"), "{report}");
    assert_eq!(index_info(&small.path("other")).unwrap_err().kind, Kind::Missing);
    let parts = [small.path("good")];
    let report = merge_indexes(&parts, small.path("merged"), &Cancel::new(), &|_| {}).unwrap_err();
    assert!(report.to_string().contains("is not a shard"), "{report}");
    let shard = IndexRecipe { shard: Some((1, 2)), ..small.recipe("first") };
    small.build(shard).unwrap();
    let parts = [small.path("first")];
    let report = merge_indexes(&parts, small.path("merged"), &Cancel::new(), &|_| {}).unwrap_err();
    assert!(report.to_string().contains("1/2"), "{report}");
    assert!(!small.path("merged").exists());
    assert_eq!(small.name, "plain");
}

#[test]
fn the_command_builds_merges_and_says_what_there_is() {
    let small = Small::new("llama");
    let run = |args: &[&str], input: &str| small.command(args, input);
    let text = Small::text("llama");
    let path = |name: &str| small.path(name).display().to_string();
    let (one, two, both) = (path("one"), path("two"), path("both"));
    for (shard, out) in [("1/2", &one), ("2/2", &two)] {
        let args = ["index", "build", "--text", "-", "--context", "16", "--top", "4", "--shard", shard, "--out", out];
        let (code, said) = run(&args, &text);
        assert_eq!(code, Some(0), "{said}");
    }
    let (code, merged) = run(&["index", "merge", &two, &one, "--out", &both], "");
    assert_eq!(code, Some(0), "{merged}");
    let (_, info) = run(&["index", "info", &both], "");
    let counted = Small::counted("llama");
    for key in ["tokens", "documents", "windows", "sinks"] {
        assert_eq!(info[key], counted[key], "{key}");
    }
    assert_eq!((&info["skipped_positions"], &info["context"]), (&Value::from("bos"), &Value::from(16)));
    assert_eq!((&info["saes"][0]["id"], &info["saes"][0]["width"]), (&Value::from("16"), &Value::from(16)));
    assert!(info["saes"][0]["l0"].as_f64().unwrap() > 1.0 && info["seconds"].is_number());
    for latent in [0_usize, 15] {
        let (_, card) = run(&["latent", "--sae", "16", &latent.to_string(), "--index", &both], "");
        assert_eq!(card["corpus"]["count"], counted["latents"][latent]["count"], "{card}");
        let shown = card["corpus"]["examples"].as_array().unwrap().len();
        assert_eq!(shown, counted["latents"][latent]["examples"].as_array().unwrap().len());
    }
    assert_eq!((&info["metas"][0]["id"], &info["metas"][0]["sae"]), (&Value::from("6"), &Value::from("16")));
    for meta_latent in 0..6_usize {
        let number = meta_latent.to_string();
        let args = ["meta", "show", "--sae", "16", "--meta", "6", "--meta-latent", &number, "--index", &both];
        let (code, card) = run(&args, "");
        let (got, want) = (&card["corpus"], &counted["metas"][meta_latent]);
        assert_eq!((code, &got["from"], &got["count"]), (Some(0), &Value::from("index"), &want["count"]), "{card}");
        assert!(card["members"].is_array() && got["density"].is_number() && got["histogram"]["counts"].is_array());
        assert_eq!(got["examples"].as_array().unwrap().len(), want["examples"].as_array().unwrap().len());
    }
    assert!(run(&["latent", "--sae", "16", "0"], "").1.get("corpus").is_none(), "there is no index in its own folder");
    for (args, code) in [
        (&["index", "build", "--top", "0"][..], 2),
        (&["index", "build", "--shard", "3/2"], 2),
        (&["index", "build", "--sae", "none"], 2),
        (&["index", "build", "--text", "/none.txt"], 1),
        (&["index", "info", "/none"], 1),
        (&["index", "merge", "/none", "--out", "/also-none"], 1),
    ] {
        assert_eq!(run(args, "").0, Some(code), "{args:?}");
    }
}
