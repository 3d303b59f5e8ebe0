//! Suites from a stand-in for the hub: which files are fetched, and what is said when there is none.
//! Not here: how one file is fetched.

#[allow(dead_code, reason = "the tests of the hub use more of the stand-in")]
use std::cell::RefCell;
use std::fs;
use std::path::{Path, PathBuf};

use crate::support::hub_server::{Fault, HubServer};
use saescope::blob::Blob;
use saescope::hub::{Environment, Hub, Patience};
use saescope::report::Report;
use saescope::session::{LoadScope, Session, SessionConfig};
use saescope::suite::{self, Base, Choice, Error, Part, Suite, TokenizerParts};
use saescope::task::{Cancel, Progress};

const SUITE: &str = r#"
id = "mine"
[model]
repo = "owner/model"
[site]
layer = 0
kind = "resid_pre"
[[sae]]
id = "16"
format = "sae-lens"
repo = "owner/saes"
folder = "16"
default = true
[[sae]]
id = "32"
format = "sae-lens"
repo = "owner/saes"
folder = "32"
[[meta]]
id = "4"
sae = "32"
format = "batch-topk"
repo = "owner/meta"
"#;

struct Setting {
    folder: tempfile::TempDir,
    server: HubServer,
    suite: Suite,
}

/// A hub with a model, two SAEs and a meta-SAE, each with files that nobody needs.
fn setting(model: &[(&str, &str)]) -> Setting {
    let folder = tempfile::tempdir().expect("a folder");
    let files = folder.path().join("files");
    let write = |name: String, text: &str| {
        let path = files.join(name);
        fs::create_dir_all(path.parent().expect("is in a folder")).expect("is made");
        fs::write(path, text).expect("is written");
    };
    for (name, text) in model {
        write(format!("owner/model/{name}"), text);
    }
    write("owner/model/pytorch_model.bin".into(), "not needed");
    for width in [16, 32] {
        for name in ["cfg.json", "sae_weights.safetensors", "sparsity.safetensors"] {
            write(format!("owner/saes/{width}/{name}"), &format!("{width} {name}"));
        }
    }
    write("owner/meta/Config.json".into(), "{}");
    write("owner/meta/SAE.pt".into(), "pickled");
    let server = HubServer::serve(&files).expect("can listen");
    let suite = suite::parse("mine.toml", SUITE, Base::Directory(Path::new("/"))).expect("is a suite");
    Setting { folder, server, suite }
}

const SMALL: [(&str, &str); 3] = [("config.json", "{}"), ("model.safetensors", "weights"), ("tokenizer.json", "{ }")];

impl Setting {
    fn hub(&self) -> Hub {
        let cache = self.folder.path().join("cache");
        let environment = Environment { endpoint: self.server.endpoint(), cache, token: None, offline: false };
        Hub::new(environment).patience(Patience { failures: 0, ..Patience::default() })
    }

    fn pull(&self, choice: &Choice) -> Result<suite::PullPlan, Error> {
        self.suite.pull(choice, &self.hub(), &Cancel::new(), &|_| {})
    }

    /// The files whose content was asked for.
    fn fetched(&self) -> Vec<String> {
        let seen =
            self.server.requests().into_iter().filter(|seen| seen.method == "GET" && seen.path.contains("/resolve/"));
        // Bytes are asked for at the commit that `main` was when the pull began.
        let at = format!("/resolve/{}", self.server.commit());
        let mut files: Vec<String> = seen.map(|seen| seen.path.replace(&at, "").split_off("/owner/".len())).collect();
        files.sort();
        files
    }
}

#[test]
fn a_pull_fetches_what_is_needed_and_nothing_else() {
    let setting = setting(&SMALL);
    let plan = setting.pull(&Choice::default()).expect("is pulled");
    assert!(plan.ready());
    let default = [
        "meta/Config.json",
        "meta/SAE.pt",
        "model/config.json",
        "model/model.safetensors",
        "model/tokenizer.json",
        "saes/16/cfg.json",
        "saes/16/sae_weights.safetensors",
    ];
    assert_eq!(setting.fetched(), default);
    setting.pull(&Choice::default()).expect("is here");
    assert_eq!(setting.fetched(), default, "nothing is fetched twice");
    setting.pull(&Choice::all()).expect("is pulled");
    assert_eq!(setting.fetched().len(), default.len() + 2);
    let parts = setting.suite.model_files(&setting.hub()).expect("is here");
    assert_eq!(parts.weights[0].name(), "owner/model: model.safetensors");
    assert_eq!(&*parts.weights[0].read().expect("can be read"), b"weights");
    let sae = setting.suite.sae_files(&setting.suite.saes[1], &setting.hub()).expect("is here");
    assert_eq!(&*sae.weights.read().expect("can be read"), b"32 sae_weights.safetensors");
}

#[test]
fn what_stands_beside_a_tokenizer_is_fetched_where_it_is_there() {
    let mut files = SMALL.to_vec();
    files.push(("tokenizer_config.json", "{\"bos_token\": null}"));
    files.push(("special_tokens_map.json", "{}"));
    files.push(("added_tokens.json", "{}"));
    let setting = setting(&files);
    assert!(setting.suite.model_files(&setting.hub()).is_err());
    assert!(setting.pull(&Choice::default()).expect("is pulled").ready());
    assert!(setting.fetched().contains(&"model/tokenizer_config.json".to_owned()));
    let parts = setting.suite.model_files(&setting.hub()).expect("is here");
    assert_eq!(parts.said.config.as_ref().map(Blob::name), Some("owner/model: tokenizer_config.json"));
    let names: Vec<&str> = parts.said.all().map(Blob::name).collect();
    let wanted = ["tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"];
    assert_eq!(names, wanted.map(|name| format!("owner/model: {name}")));
}

#[test]
fn a_sharded_model_is_fetched_by_its_index() {
    let index = r#"{"weight_map": {"a": "one.safetensors", "b": "two.safetensors"}}"#;
    let setting = setting(&[
        ("config.json", "{}"),
        ("model.safetensors.index.json", index),
        ("one.safetensors", "1"),
        ("two.safetensors", "2"),
        ("vocab.json", "{}"),
        ("merges.txt", ""),
    ]);
    let choice = Choice { saes: vec!["16".into()], ..Choice::default() };
    let told = RefCell::new(Vec::new());
    let on = |progress: Progress| told.borrow_mut().push(progress);
    let plan = setting.suite.pull(&choice, &setting.hub(), &Cancel::new(), &on).expect("is pulled");
    assert!(plan.ready());
    let parts = setting.suite.model_files(&setting.hub()).expect("is here");
    assert_eq!(parts.weights.len(), 2);
    assert!(matches!(parts.tokenizer, TokenizerParts::Bpe { .. }));
    assert!(told.borrow().iter().any(|progress| progress.what == "two.safetensors"));
}

/// A Llama of four blocks whose head is its own, in five shards, as only its index tells.
fn shards() -> Vec<(&'static str, String)> {
    let config = r#"{"model_type": "llama", "hidden_size": 8, "intermediate_size": 16, "num_hidden_layers": 4,
        "num_attention_heads": 2, "vocab_size": 10, "max_position_embeddings": 64, "tie_word_embeddings": false}"#;
    let mut map = serde_json::Map::new();
    let mut put = |tensor: String, shard: &str| map.insert(tensor, shard.into());
    put("model.embed_tokens.weight".into(), "1.safetensors");
    for (block, shard) in ["1.safetensors", "2.safetensors", "3.safetensors", "4.safetensors"].into_iter().enumerate() {
        for part in ["self_attn.q_proj", "mlp.up_proj", "input_layernorm"] {
            put(format!("model.layers.{block}.{part}.weight"), shard);
        }
    }
    put("model.norm.weight".into(), "4.safetensors");
    put("lm_head.weight".into(), "5.safetensors");
    let index = serde_json::json!({ "weight_map": map }).to_string();
    let weights = ["1.safetensors", "2.safetensors", "3.safetensors", "4.safetensors", "5.safetensors"];
    let small =
        [("config.json", config.into()), ("tokenizer.json", "{}".into()), ("model.safetensors.index.json", index)];
    small.into_iter().chain(weights.map(|name| (name, name.repeat(3)))).collect()
}

#[test]
fn only_the_shards_that_a_question_needs_are_fetched() {
    let site = |text: &str| SUITE.replace("layer = 0\nkind = \"resid_pre\"", text);
    let behind_block_1 = site("layer = 1\nkind = \"resid_post\"");
    let before_block_1 = site("layer = 1\nkind = \"resid_pre\"");
    // Of the last blocks' shards one holds the norm of the words, so it is wanted wherever words are.
    let cases = [
        (&behind_block_1, LoadScope::Site, &["1", "2", "4", "5"][..], &["3"][..]),
        (&before_block_1, LoadScope::Site, &["1", "4", "5"], &["2", "3"]),
        (&behind_block_1, LoadScope::WeightsOnly, &["4", "5"], &["1", "2", "3"]),
        (&behind_block_1, LoadScope::Whole, &["1", "2", "3", "4", "5"], &[]),
    ];
    let shards = shards();
    let files: Vec<(&str, &str)> = shards.iter().map(|(name, text)| (*name, text.as_str())).collect();
    for (text, reach, wanted, left) in cases {
        let setting = setting(&files);
        let suite = suite::parse("mine.toml", text, Base::Directory(Path::new("/"))).expect("is a suite");
        let choice = Choice { saes: vec!["16".into()], ..Choice::default() };
        let session = Session::new(SessionConfig::new(setting.hub()));
        let plan = session.pull(&suite, &choice, reach, &Cancel::new(), &|_| {}).expect("is pulled");
        let is_shard = |file: &String| file.starts_with("model/") && !file.contains("model.safetensors.index");
        let fetched: Vec<String> = setting.fetched().into_iter().filter(is_shard).collect();
        let fetched: Vec<&str> =
            fetched.iter().filter_map(|file| file.strip_prefix("model/")?.strip_suffix(".safetensors")).collect();
        assert_eq!(fetched, wanted, "{reach:?}");
        let told: Vec<(&str, Option<u64>)> = plan.left_out().map(|left| (left.file.as_str(), left.bytes)).collect();
        let expected: Vec<String> = left.iter().map(|name| format!("{name}.safetensors")).collect();
        assert_eq!(told, expected.iter().map(|name| (name.as_str(), Some(39))).collect::<Vec<_>>(), "{reach:?}");
        assert!(plan.ready(), "what was wanted is here");
        let ready = |reach| {
            let plan = session.pull(&suite, &choice, reach, &Cancel::new(), &|_| {}).expect("is pulled");
            (plan.ready(), plan.left_out().count())
        };
        assert_eq!(ready(LoadScope::Whole), (true, 0), "the rest can be had later");
        assert_eq!(ready(reach), (true, 0), "what is here is not left out");
    }
}

#[test]
fn a_model_of_an_unknown_kind_is_fetched_whole() {
    let mut shards = shards();
    shards[0].1 = shards[0].1.replace("llama", "mamba");
    let files: Vec<(&str, &str)> = shards.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let setting = setting(&files);
    let session = Session::new(SessionConfig::new(setting.hub()));
    let left = |reach| {
        let plan = session.pull(&setting.suite, &Choice::default(), reach, &Cancel::new(), &|_| {});
        plan.expect("is pulled").left_out().count()
    };
    assert_eq!(left(LoadScope::WeightsOnly), 5, "weights alone need no model that can be run");
    assert_eq!(left(LoadScope::Site), 0);
}

#[test]
fn what_a_repository_lacks_is_said_before_anything_is_fetched() {
    let setting = setting(&[("config.json", "{}"), ("tokenizer.json", "{}")]);
    let report = Report::from(setting.pull(&Choice::default()).expect_err("has no weights"));
    assert_eq!(report.what, "`owner/model` has no model.safetensors (nor model.safetensors.index.json)");
    assert!(setting.fetched().is_empty());
}

#[test]
fn a_missing_sae_names_file_and_repository() {
    let setting = setting(&SMALL);
    fs::remove_file(setting.folder.path().join("files/owner/saes/16/cfg.json")).expect("is removed");
    let report = Report::from(setting.pull(&Choice::default()).expect_err("is not there"));
    assert_eq!(report.what, "`owner/saes` has no file `16/cfg.json`");
    assert!(setting.fetched().is_empty(), "all heads are asked before any body");
}

#[test]
fn a_gated_model_says_how_to_get_in() {
    let setting = setting(&SMALL);
    setting.server.gate("owner/model", "good");
    let report = Report::from(setting.pull(&Choice::default()).expect_err("is gated"));
    assert_eq!(report.what, "`owner/model` is open only to those who have accepted its licence");
    assert!(report.hint.is_some_and(|hint| hint.contains("HF_TOKEN")));
}

#[test]
fn a_mirror_without_listings_serves_as_well() {
    let setting = setting(&SMALL);
    setting.server.fault("GET", "/api/", 99, Fault::Page("<html>"));
    assert!(setting.pull(&Choice::default()).expect("is pulled").ready());
}

#[test]
fn without_a_network_what_is_here_is_enough() {
    let setting = setting(&SMALL);
    setting.pull(&Choice::default()).expect("is pulled");
    setting.server.fault("*", "/", 999, Fault::Silence);
    assert!(setting.pull(&Choice::default()).expect("is here").ready());
    let offline = Hub::new(Environment { offline: true, ..setting.hub().environment().clone() });
    let plan = setting.suite.pull(&Choice::default(), &offline, &Cancel::new(), &|_| {}).expect("is here");
    assert!(plan.ready());
    let error = setting.suite.pull(&Choice::all(), &offline, &Cancel::new(), &|_| {}).expect_err("is not here");
    assert!(error.to_string().contains("HF_HUB_OFFLINE"), "{error}");
}

/// A commit after the first.
const NEXT: &str = "fedcba9876543210fedcba9876543210fedcba98";

/// The files of the next commit: every one is another, of the same length.
fn next(setting: &Setting) -> PathBuf {
    let (files, next) = (setting.folder.path().join("files"), setting.folder.path().join("next"));
    for file in ["model/config.json", "model/model.safetensors", "model/tokenizer.json"] {
        change(&files, &next, &format!("owner/{file}"));
    }
    for width in [16, 32] {
        change(&files, &next, &format!("owner/saes/{width}/cfg.json"));
        change(&files, &next, &format!("owner/saes/{width}/sae_weights.safetensors"));
    }
    for file in ["Config.json", "SAE.pt"] {
        change(&files, &next, &format!("owner/meta/{file}"));
    }
    next
}

fn change(from: &Path, to: &Path, file: &str) {
    let text =
        fs::read_to_string(from.join(file)).expect("is there").to_uppercase().replace('{', "[").replace('}', "]");
    let to = to.join(file);
    fs::create_dir_all(to.parent().expect("is in a folder")).expect("is made");
    fs::write(to, text).expect("is written");
}

/// The configuration and the weights of an SAE as they are opened.
fn sae(setting: &Setting, at: usize) -> (String, String) {
    let parts = setting.suite.sae_files(&setting.suite.saes[at], &setting.hub()).expect("is here");
    let text = |blob: &Blob| String::from_utf8(blob.read().expect("can be read").to_vec()).expect("is text");
    (text(parts.config.as_ref().expect("has one")), text(&parts.weights))
}

fn older(width: usize) -> (String, String) {
    (format!("{width} cfg.json"), format!("{width} sae_weights.safetensors"))
}

fn newer(width: usize) -> (String, String) {
    let (config, weights) = older(width);
    (config.to_uppercase(), weights.to_uppercase())
}

#[test]
fn a_commit_pushed_during_a_pull_mixes_nothing() {
    for (method, at) in [
        ("GET", "/api/"),
        ("HEAD", "tokenizer.json"),
        ("HEAD", "saes/resolve"),
        ("GET", "model.safetensors"),
        ("GET", "16/sae_weights"),
        ("GET", "meta/resolve"),
    ] {
        let setting = setting(&SMALL);
        setting.server.fault(method, at, 1, Fault::Push(NEXT.to_owned(), next(&setting)));
        assert!(setting.pull(&Choice::all()).expect("is pulled").ready(), "{method} {at}");
        let model = setting.suite.model_files(&setting.hub()).expect("is here");
        let of_model = |blob: &Blob| blob.read().expect("can be read").to_vec();
        assert_eq!(of_model(&model.config), b"{}", "{method} {at}");
        assert_eq!(of_model(&model.weights[0]), b"weights", "{method} {at}");
        // A repository asked about after the push is as it is then, and whole.
        let [narrow, wide] = [0, 1].map(|at| sae(&setting, at));
        assert!((narrow.clone(), wide.clone()) == (older(16), older(32)) || (narrow, wide) == (newer(16), newer(32)));
    }
}

#[test]
fn a_newer_commit_does_not_hide_what_is_here_of_the_older() {
    let setting = setting(&SMALL);
    setting.pull(&Choice::all()).expect("is pulled");
    setting.server.push(NEXT, &next(&setting));
    // The newer commit of one SAE comes, of the other nothing does.
    let narrow = Choice { saes: vec!["16".into()], ..Choice::default() };
    setting.pull(&narrow).expect("is pulled");
    assert_eq!((sae(&setting, 0), sae(&setting, 1)), (newer(16), older(32)));
    let plan = setting.suite.plan(&Choice::all(), &setting.hub()).expect("is a plan");
    assert!(plan.ready());
    let wide = plan.needs.iter().find(|need| need.part == Part::Sae("32".into())).expect("is a part");
    let first = setting.server.commit().to_owned();
    assert!(wide.files.iter().all(|file| file.repo.revision == first), "{wide:?}");
    // Without a network that is enough, although no commit has all.
    let offline = Hub::new(Environment { offline: true, ..setting.hub().environment().clone() });
    let pulled = setting.suite.pull(&Choice::all(), &offline, &Cancel::new(), &|_| {});
    assert!(pulled.expect("is here").ready());
    setting.server.fault("*", "/", 9, Fault::Silence);
    assert!(setting.pull(&Choice::all()).expect("is here").ready());
    // With one the newer commit is what a pull brings.
    let back = self::setting(&SMALL);
    back.pull(&Choice::all()).expect("is pulled");
    back.server.push(NEXT, &next(&back));
    back.pull(&Choice::all()).expect("is pulled");
    assert_eq!((sae(&back, 0), sae(&back, 1)), (newer(16), newer(32)));
}

#[test]
fn files_of_two_commits_are_never_one_part() {
    let setting = setting(&SMALL);
    setting.pull(&Choice::all()).expect("is pulled");
    // Another program began with the newer commit, and noted the branch before it had all.
    let root = setting.folder.path().join("cache/models--owner--saes");
    let newer = root.join("snapshots").join(NEXT).join("16");
    fs::create_dir_all(&newer).expect("is made");
    fs::write(newer.join("cfg.json"), "16 CFG.JSON").expect("is written");
    fs::write(root.join("refs/main"), NEXT).expect("is written");
    assert_eq!(sae(&setting, 0), older(16));
    fs::write(newer.join("sae_weights.safetensors"), "16 SAE_WEIGHTS.SAFETENSORS").expect("is written");
    assert_eq!(sae(&setting, 0), self::newer(16));
    // What is whole nowhere is missing, and is named at the branch.
    fs::remove_dir_all(root.join("snapshots").join(setting.server.commit())).expect("is removed");
    let error = setting.suite.sae_files(&setting.suite.saes[1], &setting.hub()).expect_err("is not here");
    assert!(matches!(&error, Error::Missing { files, .. } if files[0] == "owner/saes: 32/cfg.json"), "{error:?}");
}

#[test]
fn a_server_that_refuses_lists_without_the_hubs_code_serves_as_well() {
    for status in [403, 404, 501] {
        let setting = setting(&SMALL);
        setting.server.fault("GET", "/api/", 99, Fault::Status(status, vec![]));
        assert!(setting.pull(&Choice::default()).expect("is pulled").ready(), "{status}");
    }
}

#[test]
fn a_renamed_model_is_pulled_by_its_old_name() {
    let setting = setting(&SMALL);
    let files = setting.folder.path().join("files/owner");
    fs::rename(files.join("model"), files.join("renamed")).expect("is renamed");
    let commit = setting.server.commit();
    let to = |path: String| Fault::Status(307, vec![("Location", path)]);
    setting.server.fault("GET", "/api/models/owner/model/", 9, to(format!("/api/models/owner/renamed/tree/{commit}")));
    for (name, _) in SMALL {
        let path = format!("/owner/renamed/resolve/{commit}/{name}");
        for revision in ["main", commit] {
            setting.server.fault("*", &format!("/owner/model/resolve/{revision}/{name}"), 9, to(path.clone()));
        }
    }
    assert!(setting.pull(&Choice::default()).expect("is pulled").ready());
}
