//! What the binary says: nothing of it is obeyed by a terminal, nothing fails in silence, and what is to be done helps.
//! Not here: what commands answer (`cli`).

use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Stdio;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, Stream};

use crate::support::world::{World, entry, npy, zip};
use serde_json::{Value, json};

/// Sets a terminal's title, clears it by way of a C1 control, turns text round and begins a line of its own.
const HOSTILE: &str = "\u{1b}]0;MARK\u{7}\u{9b}2J\u{202e}\r\nhint: rm";

/// Seen in what is printed of it.
const MARK: &str = "MARK";

/// What spoils one field of a file, by what it is called.
type Spoiled = (&'static str, World);

fn spoiled(what: &'static str, spoil: impl FnOnce(&World)) -> Spoiled {
    let world = World::new();
    spoil(&world);
    (what, world)
}

fn model_config(key: &'static str) -> Spoiled {
    spoiled(key, |world| world.json("model/config.json", |config| config[key] = json!(HOSTILE)))
}

fn sae_config(key: &'static str) -> Spoiled {
    spoiled(key, |world| world.json("sae/cfg.json", |config| config[key] = json!(HOSTILE)))
}

/// Every kind of file with something hostile in each field that a message may quote.
fn all_spoiled() -> Vec<Spoiled> {
    let mut all: Vec<Spoiled> = ["model_type", "activation_function", "n_layer", "quantization_config", "rope_scaling"]
        .into_iter()
        .map(model_config)
        .collect();
    all.extend(["architecture", "normalize_activations", "d_in", "dtype", "reshape_activations"].map(sae_config));
    all.extend([
        spoiled("metadata", |world| {
            world.json("sae/cfg.json", |config| {
                for key in ["model_name", "hook_name", "neuronpedia_id", "sae_lens_version"] {
                    config["metadata"][key] = json!(HOSTILE);
                }
            });
        }),
        spoiled("quant_method", |world| {
            world.json("model/config.json", |c| c["quantization_config"] = json!({ "quant_method": HOSTILE }));
        }),
        spoiled("broken JSON", |world| world.write("model/config.json", format!("{{\"a\": {HOSTILE}").as_bytes())),
        spoiled("name of a model's tensor", |world| {
            world.header("model/model.safetensors", |header| {
                let moved = header.remove("transformer.wte.weight").or_else(|| header.remove("wte.weight"));
                header.insert(HOSTILE.to_owned(), moved.expect("is there"));
            });
        }),
        spoiled("name of an SAE's tensor", |world| {
            world.header("sae/sae_weights.safetensors", |header| {
                let moved = header.remove("b_enc").expect("is there");
                header.insert(HOSTILE.to_owned(), moved);
            });
        }),
        spoiled("type of a tensor", |world| {
            world.header("sae/sae_weights.safetensors", |header| header["b_enc"]["dtype"] = json!(HOSTILE));
        }),
        spoiled("tokenizer's model", |world| {
            world.json("model/tokenizer.json", |all| all["model"]["type"] = json!(HOSTILE));
        }),
        spoiled("tokenizer's decoder", |world| {
            world.json("model/tokenizer.json", |all| all["decoder"] = json!({ "type": HOSTILE }));
        }),
        spoiled("tokenizer_config.json", |world| {
            let config = json!({ "added_tokens_decoder": { HOSTILE: { "content": "x" } }, "add_bos_token": HOSTILE });
            world.write("model/tokenizer_config.json", config.to_string().as_bytes());
        }),
        spoiled("merges.txt", |world| {
            fs::remove_file(world.path("model/tokenizer.json")).expect("is there");
            world.write("model/vocab.json", br#"{"a": 0}"#);
            world.write("model/merges.txt", format!("one two \u{1b}{HOSTILE}").as_bytes());
        }),
        spoiled("vocab.json", |world| {
            fs::remove_file(world.path("model/tokenizer.json")).expect("is there");
            world.write("model/vocab.json", json!({ HOSTILE: 0 }).to_string().as_bytes());
            world.write("model/merges.txt", b"a b\n");
        }),
        spoiled("index of shards", |world| {
            fs::remove_file(world.path("model/model.safetensors")).expect("is there");
            let index = json!({ "weight_map": { HOSTILE: 7 } });
            world.write("model/model.safetensors.index.json", index.to_string().as_bytes());
        }),
        spoiled("suite's title", |world| {
            let text = String::from_utf8(world.read("my.toml")).expect("is UTF-8");
            world.write("my.toml", format!("title = {}\n{text}", toml_string()).as_bytes());
        }),
        spoiled("suite's key", |world| {
            let text = String::from_utf8(world.read("my.toml")).expect("is UTF-8");
            world.write("my.toml", format!("{} = 1\n{text}", toml_string()).as_bytes());
        }),
        spoiled("suite's bytes", |world| world.write("my.toml", format!("id = {HOSTILE}").as_bytes())),
        spoiled("path of the model", |world| {
            let text = String::from_utf8(world.read("my.toml")).expect("is UTF-8");
            world.write("my.toml", text.replace("path = \"model\"", "path = \"\u{202e}MARK\"").as_bytes());
        }),
        spoiled("config.toml", |world| {
            world.write(".config/saescope/config.toml", format!("{} = 1\n", toml_string()).as_bytes());
        }),
        spoiled("suite of one's own", |world| {
            world.write(".config/saescope/suites/x.toml", format!("{} = 1\n", toml_string()).as_bytes());
        }),
    ]);
    let gemma = "id = \"a\"\nformat = \"gemma-scope\"\npath = \"npz\"\n";
    let array = |name: &str, bytes: &[u8]| World::with_sae(gemma, "npz/params.npz", &zip(&[(name, bytes)]));
    all.push(("name of an array", array(&format!("{HOSTILE}.npy"), b"x")));
    all.push(("type of an array", array("W_enc.npy", &npy(&HOSTILE.replace(['\r', '\n'], "")))));
    let linear = "id = \"a\"\nformat = \"linear\"\npath = \"pt\"\nfile = \"sae.pt\"\n";
    let pickle = format!("\x02c{}\nMARK\n.", HOSTILE.replace(['\r', '\n'], ""));
    let pickle = [&[0x80][..], pickle.as_bytes()].concat();
    all.push(("name in a pickle", World::with_sae(linear, "pt/sae.pt", &zip(&[("x/data.pkl", &pickle)]))));
    all
}

fn toml_string() -> &'static str {
    r#""\u001B]0;MARK\u0007\u009B2J\u202E\r\nhint: rm""#
}

/// What a terminal would obey, hide or turn round.
fn obeyed(text: &str) -> Option<char> {
    text.chars().find(|c| *c != '\n' && (c.is_control() || ('\u{202a}'..='\u{202e}').contains(c)))
}

#[test]
fn nothing_from_a_file_is_obeyed_by_the_terminal() {
    let commands: [&[&str]; 7] = [
        &["run", "--suite", "my.toml", "--prompt", "Tokyo"],
        &["run", "--suite", "my.toml", "--prompt", "Tokyo", "--json"],
        &["latent", "--suite", "my.toml", "--sae", "a", "0"],
        &["latent", "--suite", "my.toml", "--sae", "a", "0", "--weights-only", "--json"],
        &["doctor", "--suite", "my.toml"],
        &["doctor", "--suite", "my.toml", "--json"],
        &["suites"],
    ];
    let mut quoted = 0;
    for (what, world) in all_spoiled() {
        let mut seen = false;
        for command in commands {
            let (said, _) = world.said(command);
            assert_eq!(obeyed(&said), None, "{what}, {command:?}: {said:?}");
            assert!(!said.lines().any(|line| line.starts_with("hint: rm")), "{what}, {command:?}: {said}");
            seen |= said.contains(MARK);
        }
        quoted += usize::from(seen);
    }
    assert!(quoted >= 20, "only {quoted} of the fields were quoted: the others test nothing");
}

#[test]
fn nothing_from_arguments_and_variables_is_obeyed_by_the_terminal() {
    let hostile = "\u{1b}]0;MARK\u{7}";
    let flag = format!("--{hostile}");
    let cases: [&[&str]; 11] = [
        &[hostile],
        &[&flag],
        &["run", "--suite", hostile, "--prompt", "x"],
        &["run", "--suite", "my.toml", "--sae", hostile, "--prompt", "x"],
        &["run", "--suite", "my.toml", "--prompt-file", hostile],
        &["latent", "--suite", "my.toml", "--sae", "a", hostile],
        &["latent", "--suite", "my.toml", "--sae", "a", "0", "--threshold", hostile],
        &["meta", "show", "--sae", "4096", "--meta", hostile, "--latent", "0"],
        &["shot", "--keys", hostile, "--suite", "my.toml"],
        &["shot", "--out", hostile, "--suite", "my.toml"],
        &["doctor", "--suite", "my.toml", "--text", hostile],
    ];
    let world = World::new();
    for args in cases {
        let (said, code) = world.said(args);
        // Keys are typed as they are given: into the prompt, which shows them.
        assert!((code != 0 || args[1] == "--keys") && said.contains(MARK), "{args:?}: {code} {said}");
        assert_eq!(obeyed(&said), None, "{args:?}: {said:?}");
    }
    for (name, args) in [
        ("HF_ENDPOINT", &["suites"][..]),
        ("RUST_LOG", &["doctor"]),
        ("XDG_CONFIG_HOME", &["doctor"]),
        ("TERM", &["doctor"]),
    ] {
        let mut world = World::new();
        world.env.push((name, format!("/{hostile}==")));
        let (said, _) = world.said(args);
        assert!(said.contains(MARK), "{name}: {said}");
        assert_eq!(obeyed(&said), None, "{name}: {said:?}");
    }
    // A prompt that is quoted in the answer.
    let (said, code) = world.said(&["run", "--suite", "my.toml", "--prompt", hostile]);
    assert_eq!((obeyed(&said), code), (None, 0), "{said:?}");
}

/// A command of every kind, as it answers on the demo.
const ANSWERS: [&[&str]; 20] = [
    &["--help"],
    &["--version"],
    &["run", "--help"],
    &["suites"],
    &["suites", "--json"],
    &["run", "--prompt", "Tokyo", "--sae", "128"],
    &["run", "--prompt", "Tokyo", "--sae", "128", "--json"],
    &["latent", "--sae", "128", "0"],
    &["latent", "--sae", "128", "0", "--json"],
    &["meta", "eval", "--sae", "4096", "--meta", "192"],
    &["meta", "eval", "--sae", "4096", "--meta", "192", "--json"],
    &["meta", "show", "--sae", "4096", "--meta", "192", "--latent", "0", "--json"],
    &["stitch", "--small", "128", "--large", "256", "--weights-only"],
    &["stitch", "--small", "128", "--large", "256", "--weights-only", "--json"],
    &["doctor"],
    &["doctor", "--json"],
    &["config"],
    &["config", "--default"],
    &["completions", "bash"],
    &["man"],
];

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_behind_standard_output_is_said() {
    let world = World::new();
    let full = |args: &[&str]| {
        let sink = OpenOptions::new().write(true).open("/dev/full").expect("Linux has it");
        let output = world.command(args).stdout(sink).stderr(Stdio::piped()).output().expect("runs");
        (String::from_utf8(output.stderr).expect("is UTF-8"), output.status.code())
    };
    for args in ANSWERS.into_iter().chain([&["shot", "--keys", "<esc>"][..]]) {
        let (said, code) = full(args);
        assert!(said.contains("cannot write to standard output"), "{args:?}: {said}");
        assert_eq!(code, Some(1), "{args:?}: {said}");
    }
    // What failed before is not lost with it.
    let (said, code) = full(&["run", "--suite", "nowhere", "--prompt", "x", "--json"]);
    assert!(said.contains("no suite `nowhere`") && said.contains("cannot write to standard output"), "{said}");
    assert_eq!(code, Some(2));
}

#[cfg(unix)]
#[test]
fn who_closes_the_pipe_is_not_told() {
    let world = World::new();
    for args in ANSWERS {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let output = world.command(args).stdout(writer).stderr(Stdio::piped()).output().expect("runs");
        let said = String::from_utf8_lossy(&output.stderr);
        // Notes may be said; not that nobody reads.
        assert!(!said.contains("error") && !said.contains("cannot write"), "{args:?}: {said}");
        assert_eq!(output.status.code(), Some(0), "{args:?}");
    }
}

#[test]
fn in_ascii_everything_that_is_printed_is_ascii() {
    let world = World::new();
    let more: [&[&str]; 3] = [
        &["meta", "show", "--sae", "4096", "--meta", "192", "--latent", "7"],
        &["latent", "--sae", "4096", "7"],
        &["doctor", "--suite", "my.toml"],
    ];
    for args in ANSWERS.into_iter().chain(more).filter(|args| !args.contains(&"--json")) {
        let (said, _) = world.said(&[args, &["--ascii"]].concat());
        assert!(said.is_ascii() && !said.contains("<U+"), "{args:?}: {said}");
    }
    let (said, code) = world.said(&["latent", "--suite", "dém·o", "--sae", "a", "0", "--ascii"]);
    assert!(said.is_ascii() && said.contains("d<U+00E9>m_o") && code == 2, "{said}");
    let pages = "1,2,3,4,5,6,7,8,9,a,z,v,W,?,/,s,o,<ctrl-p>,!,5+,5x6,5-";
    for keys in pages.split(',') {
        let size = ["shot", "--ascii", "--size", "120x40", "--keys", keys];
        let (said, code) = world.said(&size);
        assert!(said.is_ascii() && !said.contains("<U+") && code == 0, "{keys}: {said}");
    }
}

#[test]
fn what_lies_instead_of_a_file_is_named_for_every_kind_of_file() {
    type Before<'a> = &'a dyn Fn(&World);
    let pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n";
    let page = b"<!DOCTYPE html>\n<html><title>Log in</title></html>";
    let run: &[&str] = &["run", "--suite", "my.toml", "--prompt", "Tokyo"];
    let gemma = "id = \"a\"\nformat = \"gemma-scope\"\npath = \"npz\"\n";
    let linear = "id = \"a\"\nformat = \"linear\"\npath = \"pt\"\nfile = \"sae.pt\"\n";
    let pair = |world: &World| {
        fs::remove_file(world.path("model/tokenizer.json")).expect("is there");
        world.write("model/vocab.json", br#"{"a": 0}"#);
        world.write("model/merges.txt", b"#version: 0.2\n");
    };
    let index = |world: &World| fs::remove_file(world.path("model/model.safetensors")).expect("is there");
    let nothing: Before<'_> = &|_| ();
    let cases: [(&str, Before<'_>, &[&str]); 13] = [
        ("model/config.json", nothing, run),
        ("model/tokenizer.json", nothing, run),
        ("model/tokenizer_config.json", nothing, run),
        ("model/vocab.json", &pair, run),
        ("model/merges.txt", &pair, run),
        ("model/model.safetensors", nothing, run),
        ("model/model.safetensors.index.json", &index, run),
        ("sae/cfg.json", nothing, run),
        ("sae/sae_weights.safetensors", nothing, run),
        ("npz/params.npz", nothing, run),
        ("pt/sae.pt", nothing, run),
        ("my.toml", nothing, run),
        ("text.txt", nothing, &["stitch", "--suite", "my.toml", "--small", "a", "--large", "b"]),
    ];
    for (file, before, args) in cases {
        for (bytes, what, help) in [
            (&pointer[..], "it is a Git LFS pointer", "`git lfs pull`"),
            (page, "it is a web page", ""),
            (b"", "it is empty", ""),
        ] {
            let world = match file.split_once('/') {
                Some(("npz", _)) => World::with_sae(gemma, file, b"x"),
                Some(("pt", _)) => World::with_sae(linear, file, b"x"),
                _ => World { sae: if file == "text.txt" { TWO } else { World::new().sae }, ..World::new() },
            };
            if file != "my.toml" {
                world.suite();
            }
            before(&world);
            world.write(file, bytes);
            let (why, hint) = world.failing(args);
            assert!(why.contains(file) && why.contains(what), "{file}, {what}: {why}");
            assert!(hint.contains(help) && !hint.contains("remove"), "{file}, {what}: {hint}");
        }
    }
}

/// Two SAEs to compare: the smallest one twice.
const TWO: &str =
    "id = \"a\"\nformat = \"sae-lens\"\npath = \"sae\"\n[[sae]]\nid = \"b\"\nformat = \"sae-lens\"\npath = \"sae\"\n";

#[test]
fn what_is_not_supported_is_said_with_what_helps_and_nobody_is_told_to_remove_a_file() {
    let world = World::new();
    let run = ["run", "--suite", "my.toml", "--prompt", "Tokyo"];
    let change = |key: &str, value: Value| {
        let world = World::new();
        world.json("model/config.json", |config| config[key] = value);
        world.failing(&run)
    };
    for (key, value, named) in [
        ("model_type", json!("mamba"), "mamba"),
        ("activation_function", json!("swish7"), "swish7"),
        ("quantization_config", json!({ "quant_method": "gptq" }), "gptq"),
        ("n_layer", json!(-1), "n_layer"),
        ("n_head", json!(5), "n_head"),
    ] {
        let (why, hint) = change(key, value);
        assert!(why.contains(named) && why.contains("config.json"), "{key}: {why}");
        assert!(hint.contains("--weights-only") && !hint.contains("remove"), "{key}: {hint}");
    }
    // And that helps.
    world.json("model/config.json", |config| config["model_type"] = json!("mamba"));
    let card = ["latent", "--suite", "my.toml", "--sae", "a", "0", "--weights-only"];
    assert_eq!(world.run(&[&card[..], &["--json"]].concat()).status.code(), Some(0), "{}", world.said(&card).0);

    let spoil = |name: &'static str, new: &dyn Fn(&mut Value)| {
        let world = World::new();
        world.header("model/model.safetensors", |header| {
            let found = header.keys().find(|key| key.ends_with(name)).expect("is there").clone();
            new(&mut header[&found]);
        });
        world.failing(&run)
    };
    // Behind the site: what stands before it can still be run.
    let (why, hint) = spoil("h.3.mlp.c_fc.weight", &|about| {
        let sides = about["shape"].as_array().expect("has one").clone();
        about["shape"] = json!([sides[1], sides[0]]);
    });
    assert!(why.contains("h.3.mlp.c_fc.weight") && why.contains(": it is transposed"), "{why}");
    assert!(hint.contains("--no-predictions") && hint.contains("--weights-only"), "{hint}");
    assert!(hint.contains("one of yours") && !hint.contains("remove"), "{hint}");
    let (why, _) = spoil("h.3.mlp.c_fc.weight", &|about| about["shape"] = json!([u64::MAX, u64::MAX]));
    assert!(why.contains("h.3.mlp.c_fc.weight") && why.contains("more bytes than can be counted"), "{why}");

    let world = World::new();
    world.header("model/model.safetensors", |header| {
        let all: Vec<String> = header.keys().filter(|key| *key != "__metadata__").cloned().collect();
        for name in all {
            let about = header.remove(&name).expect("is there");
            header.insert(format!("wrapped.{name}"), about);
        }
    });
    let (why, _) = world.failing(&run);
    assert!(why.contains("`h.0.…`; its names begin with `wrapped.`"), "{why}");
}

#[test]
fn a_transposed_matrix_of_an_sae_is_said_to_be_transposed() {
    let run = ["run", "--suite", "my.toml", "--prompt", "Tokyo"];
    let bytes = |count: u64| vec![0u8; 4 * usize::try_from(count).expect("is small")];
    let written = |shapes: [(&str, Vec<u64>); 5]| {
        let world = World::new();
        let (mut header, mut data) = (serde_json::Map::new(), Vec::new());
        for (name, shape) in shapes {
            let from = data.len() as u64;
            data.extend(bytes(shape.iter().product()));
            header.insert(name.to_owned(), entry("F32", &shape, from, data.len() as u64));
        }
        let header = serde_json::to_vec(&header).expect("is JSON");
        let file = [&(header.len() as u64).to_le_bytes()[..], &header, &data].concat();
        world.write("sae/sae_weights.safetensors", &file);
        world.json("sae/cfg.json", |config| config["d_sae"] = json!(64));
        world.failing(&run).0
    };
    let [wide, long] = [vec![128, 64], vec![64, 128]];
    let rest = || [("b_enc", vec![64]), ("b_dec", vec![128]), ("threshold", vec![64])];
    let with = |enc: &[u64], dec: &[u64]| {
        let [b_enc, b_dec, threshold] = rest();
        written([("W_enc", enc.to_vec()), ("W_dec", dec.to_vec()), b_enc, b_dec, threshold])
    };
    let said = with(&wide, &wide);
    assert!(said.contains("`W_dec`") && said.contains("[128, 64], expected [64, 128]: it is transposed"), "{said}");
    let said = with(&long, &long);
    assert!(said.contains("`W_enc`") && said.contains("[64, 128], expected [128, 64]: it is transposed"), "{said}");
}

#[cfg(unix)]
#[test]
fn only_a_file_of_the_hub_whose_hash_is_another_is_to_be_removed() {
    use sha2::{Digest, Sha256};
    let world = World::new();
    let hub = world.path("hub/models--x--y");
    let (blobs, snapshot) = (hub.join("blobs"), hub.join("snapshots/c0ffee"));
    fs::create_dir_all(&blobs).expect("is made");
    fs::create_dir_all(&snapshot).expect("is made");
    world.write("hub/models--x--y/refs/main", b"c0ffee");
    let mut kept = None;
    for file in ["cfg.json", "sae_weights.safetensors"] {
        let bytes = world.read(&format!("sae/{file}"));
        let hash = format!("{:x}", Sha256::digest(&bytes));
        fs::write(blobs.join(&hash), &bytes).expect("is written");
        std::os::unix::fs::symlink(format!("../../blobs/{hash}"), snapshot.join(file)).expect("is linked");
        kept = Some((blobs.join(hash), bytes));
    }
    let world = World { sae: "id = \"a\"\nformat = \"sae-lens\"\nrepo = \"x/y\"\n", ..world };
    world.suite();
    let mut world = world;
    world.env.push(("HF_HUB_CACHE", world.name("hub")));
    let run = ["run", "--suite", "my.toml", "--prompt", "Tokyo"];
    assert_eq!(world.run(&run).status.code(), Some(0), "{}", world.said(&run).0);
    let (blob, bytes) = kept.expect("two files");
    // Cut off: what is wrong is seen, and that it is not what was downloaded.
    fs::write(&blob, &bytes[..bytes.len() - 4]).expect("is written");
    let (why, hint) = world.failing(&run);
    assert!(why.contains("is damaged: its SHA-256 is"), "{why}");
    assert!(hint.contains("remove `") && hint.contains("saescope pull"), "{hint}");
    // Whole, but not what the configuration says: nothing is damaged.
    fs::write(&blob, &bytes).expect("is written");
    let hash = fs::read_link(snapshot.join("cfg.json")).expect("is a link");
    let config = snapshot.join(hash);
    let text = fs::read_to_string(&config).expect("is there").replace("jumprelu", "gated");
    let hash = format!("{:x}", Sha256::digest(&text));
    fs::write(blobs.join(&hash), text).expect("is written");
    fs::remove_file(snapshot.join("cfg.json")).expect("is there");
    std::os::unix::fs::symlink(format!("../../blobs/{hash}"), snapshot.join("cfg.json")).expect("is linked");
    let (why, hint) = world.failing(&run);
    assert!(!why.contains("damaged") && !hint.contains("remove"), "{why} {hint}");
}

#[test]
fn a_damaged_meta_sae_of_ones_own_is_a_note() {
    let world = World::new();
    let train = ["meta", "train", "--suite", "my.toml", "--sae", "a", "--width", "8", "--steps", "4", "--k", "2"];
    assert_eq!(world.run(&train).status.code(), Some(0), "{}", world.said(&train).0);
    let card = ["latent", "--suite", "my.toml", "--sae", "a", "0"];
    let json =
        || -> Value { serde_json::from_slice(&world.run(&[&card[..], &["--json"]].concat()).stdout).expect("is JSON") };
    let whole = json();
    assert_eq!((whole["meta"].as_array().map(Vec::len), &whole["notes"]), (Some(1), &json!([])));
    let folder = fs::read_dir(world.path(".local/share/saescope/meta")).expect("is there").flatten().next();
    let kept = folder.expect("one SAE").path().join("8-k2-s0-n4");
    let weights = kept.join("sae_weights.safetensors");
    let bytes = fs::read(&weights).expect("is there");
    fs::write(&weights, &bytes[..bytes.len() / 2]).expect("is written");
    let damaged = json();
    assert_eq!(damaged["meta"], json!([]));
    let note = damaged["notes"][0].as_str().expect("a note");
    assert!(note.contains("cannot open meta-SAE") && note.contains("sae_weights.safetensors"), "{note}");
    let (said, code) = world.said(&card);
    assert!(code == 0 && said.lines().any(|line| line.starts_with("note: cannot open meta-SAE")), "{said}");
}

#[test]
fn the_commands_of_the_readme_work_on_the_demo() {
    let world = World::new();
    let readme = include_str!("../../README.md");
    let on_demo = |line: &&str| line.starts_with("saescope meta ") && line.contains("--suite demo");
    let lines: Vec<&str> = readme.lines().filter(on_demo).collect();
    assert!(lines.len() >= 5, "{lines:?}");
    for line in lines {
        let words: Vec<&str> = line
            .split('\'')
            .enumerate()
            .flat_map(|(at, part)| if at % 2 == 1 { vec![part] } else { part.split_whitespace().collect() })
            .skip(1)
            .collect();
        // Training takes long: fewer steps show as well that it begins.
        let fewer: &[&str] = if words[1] == "train" { &["--steps", "2"] } else { &[] };
        let (said, code) = world.said(&[&words[..], fewer].concat());
        assert_eq!(code, 0, "{line}: {said}");
    }
    let shown = |more: &[&str]| {
        let show = ["meta", "show", "--suite", "demo", "--sae", "4096", "--latent", "100", "--json"];
        let output = world.run(&[&show[..], more].concat()).stdout;
        serde_json::from_slice::<Value>(&output).expect("is JSON")
    };
    assert_eq!(shown(&[]), shown(&["--meta", "192"]), "the first that is declared is taken");
}

#[test]
fn a_temperature_is_a_number_that_is_not_negative() {
    let world = World::new();
    let edit = ["meta", "edit", "--sae", "4096", "--meta", "192", "--latent", "0", "--remove", "1", "--prompt", "x"];
    for temperature in ["nan", "inf", "-inf", "-0.5", "warm"] {
        let temperature = format!("--temperature={temperature}");
        let (said, code) = world.said(&[&edit[..], &[&temperature]].concat());
        assert!(code == 2 && said.contains("a temperature is a number from 0"), "{temperature}: {code} {said}");
    }
}

#[test]
fn a_password_in_an_address_is_never_printed() {
    let mut world = World::new();
    let endpoint = "http://ada:sesame@127.0.0.1:9";
    world
        .env
        .extend([("HF_ENDPOINT", endpoint.to_owned()), ("HTTPS_PROXY", "http://ada:sesame@127.0.0.1:9".to_owned())]);
    world.env.extend([("HF_HUB_OFFLINE", "0".to_owned()), ("RUST_LOG", "trace".to_owned())]);
    for args in [
        &["doctor"][..],
        &["doctor", "--json"],
        &["suites"],
        &["pull", "gpt2-small-res-jb-0"],
        &["pull", "gpt2-small-res-jb-0", "--json"],
        &["run", "--suite", "gpt2-small-res-jb-0", "--prompt", "x"],
    ] {
        let (said, _) = world.said(args);
        assert!(!said.contains("sesame"), "{args:?}: {said}");
        assert!(args[0] != "doctor" || said.contains("http://127.0.0.1:9"), "{said}");
    }
    let log = fs::read_to_string(world.path(".local/state/saescope/log")).expect("there is a log");
    assert!(!log.contains("sesame"), "{log}");
    world.env.push(("HF_ENDPOINT", "ada:sesame@hub.example".to_owned()));
    let (said, code) = world.said(&["suites"]);
    assert!(code == 2 && said.contains("hub.example") && !said.contains("sesame"), "{said}");
}

/// A hub behind TLS that has no repository, with a certificate of an authority that nobody knows; its port.
fn untrusted_hub() -> u16 {
    let certificates = CertificateDer::pem_slice_iter(include_bytes!("../fixtures/tls/server.pem"));
    let certificates = certificates.collect::<Result<Vec<_>, _>>().expect("are certificates");
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("../fixtures/tls/server.key")).expect("is a key");
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|config| config.with_no_client_auth().with_single_cert(certificates, key));
    let config = Arc::new(config.expect("fits together"));
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("has one").port();
    std::thread::spawn(move || {
        for mut socket in listener.incoming().flatten() {
            let Ok(mut connection) = ServerConnection::new(Arc::clone(&config)) else { continue };
            let mut stream = Stream::new(&mut connection, &mut socket);
            let (mut request, mut byte) = (Vec::new(), [0]);
            // Who does not trust the certificate hangs up in the middle.
            while !request.ends_with(b"\r\n\r\n") && stream.read_exact(&mut byte).is_ok() {
                request.push(byte[0]);
            }
            let answer = "HTTP/1.1 404 Not Found\r\nX-Error-Code: RepoNotFound\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            if stream.write_all(answer.as_bytes()).and_then(|()| stream.flush()).is_ok() {
                connection.send_close_notify();
                let _ = connection.write_tls(&mut socket);
            }
        }
    });
    port
}

#[cfg(all(unix, not(target_vendor = "apple")))]
#[test]
fn an_authority_that_is_not_known_can_be_named_in_ssl_cert_file() {
    let mut world = World::new();
    world.env.push(("HF_HUB_OFFLINE", "0".to_owned()));
    world.env.push(("HF_ENDPOINT", format!("https://127.0.0.1:{}", untrusted_hub())));
    let pull = ["pull", "gpt2-small-res-jb-0"];
    let (why, hint) = world.failing(&pull);
    assert!(why.contains("invalid peer certificate") || why.contains("CA certificates"), "{why}");
    assert!(hint.contains("`SSL_CERT_FILE`"), "{hint}");
    let authority = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/tls/ca.pem");
    world.env.push(("SSL_CERT_FILE", authority.to_owned()));
    let (why, hint) = world.failing(&pull);
    assert!(why.contains("has no repository") && !hint.contains("SSL_CERT_FILE"), "{why} {hint}");
}

#[cfg(unix)]
#[test]
fn a_log_that_cannot_be_written_is_said() {
    let world = World::new();
    world.write(".local/state", b"a file where a folder should be");
    let (said, code) = world.said(&["doctor"]);
    assert!(code == 0 && said.contains("directories.log_error.what"), "{said}");
    let output = world.run(&["suites", "--json", "--log", "debug"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(0) && said.contains("no log is written to"), "{said}");
    let output = World::new().run(&["suites", "--json", "--log", "loud=="]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("`loud==`"), "{output:?}");
}
