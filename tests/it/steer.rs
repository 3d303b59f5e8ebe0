//! Steering as the command and the session give it on the demo, and what cannot be asked.
//! Not here: the figures (`golden_steer`).

use std::process::{Command, Output, Stdio};

use serde_json::Value;

const PROMPT: &str = "Galileo Galilei came from";

fn run(command: &str, args: &[&str]) -> Output {
    let home = tempfile::tempdir().expect("a home");
    let mut program = Command::new(env!("CARGO_BIN_EXE_saescope"));
    program.env_clear().env("HOME", home.path()).env("PATH", std::env::var_os("PATH").unwrap_or_default());
    program.env("HF_HUB_OFFLINE", "1").stdin(Stdio::null()).arg(command).args(["--suite", "demo"]);
    program.args(args).output().expect("the binary runs")
}

fn json(command: &str, args: &[&str], code: i32) -> Value {
    let output = run(command, &[args, &["--json"]].concat());
    let text = String::from_utf8(output.stdout).expect("is UTF-8");
    assert_eq!(output.status.code(), Some(code), "{text} {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_str(&text).expect("is JSON")
}

fn steer(args: &[&str]) -> Value {
    json("steer", &[&["--prompt", PROMPT, "--tokens", "8"], args].concat(), 0)
}

/// The latent that does most to what the model says behind the prompt, and where it was taken out.
fn found() -> (String, String) {
    let effects = json("effect", &["--sae", "512", "--prompt", PROMPT, "--top", "1"], 0);
    let of = |value: &Value| value.as_u64().expect("a number").to_string();
    (of(&effects["latents"][0]["latent"]), of(&effects["position"]))
}

fn strongest() -> String {
    found().0
}

#[test]
fn the_answer_has_what_was_promised_and_its_command_gives_it_again() {
    let (latent, at) = found();
    let args = ["--sae", "512", "--latent", &latent, "--ablate", "--at", &at];
    let answer = steer(&args);
    assert_eq!(answer["schema"], 1);
    let arms = answer["arms"].as_array().expect("arms");
    let names: Vec<&Value> = arms.iter().map(|arm| &arm["arm"]).collect();
    assert_eq!(names, ["untouched", "steered", "random"]);
    for arm in arms {
        let tokens = arm["tokens"].as_array().expect("tokens");
        let text: String = tokens.iter().filter_map(|token| token["text"].as_str()).collect();
        assert!(!tokens.is_empty() && tokens.len() <= 8 && arm["text"].as_str() == Some(&*text), "{arm}");
        assert!(tokens.iter().all(|token| token["logprob"].as_f64() <= Some(0.0)));
        assert!(arm["perplexity_untouched"].as_f64() >= Some(1.0), "{arm}");
    }
    // The edit acts, at that position alone.
    assert_ne!(arms[0]["text"], arms[1]["text"], "taking the strongest latent out changes what is said");
    assert_eq!(arms[0]["edited_prompt"], serde_json::json!([]));
    assert_eq!(arms[1]["edited_prompt"].to_string(), format!("[{at}]"));
    assert!(arms[1]["tokens"].as_array().is_some_and(|tokens| tokens.iter().all(|token| token["edited"] == false)));
    assert!(arms[1]["perplexity_untouched"].as_f64() > arms[0]["perplexity_untouched"].as_f64());
    assert_eq!(steer(&args)["arms"], answer["arms"], "the same command gives the same");
    let command = answer["command"].as_str().expect("a command");
    assert!(command.starts_with("saescope steer --suite 'demo' --sae '512' --latent"), "{command}");
    assert!(
        command.contains(" --ablate ") && command.contains("--tokens 8") && command.ends_with("--json"),
        "{command}"
    );
    assert_eq!(answer["versions"]["sae"].as_object().map(serde_json::Map::len), Some(1));
}

#[test]
fn edits_of_nothing_change_nothing_and_strengths_are_told_in_every_unit() {
    let latent = strongest();
    let of = ["--sae", "512", "--latent", &latent];
    for nothing in [["--scale", "1"], ["--add", "0"], ["--project", "1"]] {
        let arms = steer(&[&of[..], &nothing].concat());
        assert_eq!(arms["arms"][0]["tokens"], arms["arms"][1]["tokens"], "{nothing:?}");
        assert!(arms["notes"].to_string().contains("nothing was changed"), "{}", arms["notes"]);
    }
    let norm = steer(&[&of[..], &["--add", "0.5", "--unit", "norm"]].concat());
    let (strength, mean) = (&norm["strengths"][0], norm["activation_norm"].as_f64().expect("a norm"));
    assert!((strength["norm"].as_f64().expect("told") - 0.5).abs() < 1e-5, "{strength}");
    assert!((strength["raw"].as_f64().expect("told") - 0.5 * mean).abs() < 1e-3 * mean, "{strength}");
    // The demo comes with its index.
    let corpus = json("latent", &["--sae", "512", &latent], 0)["corpus"].clone();
    let (max, raw) = (corpus["max"].as_f64().expect("a maximum"), strength["raw"].as_f64().expect("told"));
    assert!((strength["max"].as_f64().expect("told") * max - raw).abs() < 1e-4 * raw, "{strength}, {max}");
    let raw = strength["raw"].to_string();
    let same = steer(&[&of[..], &["--add", &raw]].concat());
    assert_eq!(same["arms"][1]["text"], norm["arms"][1]["text"]);
    let sweep = steer(&[&of[..], &["--add", "1", "--sweep", "0:40:3"]].concat());
    let points = sweep["sweep"].as_array().expect("points");
    let strengths: Vec<f64> = points.iter().filter_map(|point| point["strength"].as_f64()).collect();
    assert_eq!(strengths, [0.0, 20.0, 40.0]);
    assert_eq!(points[0]["text"], sweep["arms"][0]["text"], "nothing added is the untouched model");
    assert!(points.iter().all(|point| point["perplexity_untouched"].is_number() && point["latent_mean"].is_number()));
}

#[test]
fn a_latent_found_by_its_effect_changes_the_country_and_a_random_direction_does_not() {
    // What speaks most for Poland where Copernicus is named …
    let named =
        ["--sae", "4096", "--prompt", "Nicolaus Copernicus came from", "--at", "3", "--read", "5", "--top", "1"];
    let effects = json("effect", &named, 0);
    assert_eq!(effects["token"]["text"], " Poland");
    let latent = effects["latents"][0]["latent"].to_string();
    // … is set on Galileo's name, ever more strongly.
    let of = ["--sae", "4096", "--latent", &latent, "--at", "2"];
    let swept = steer(&[&of[..], &["--set", "1", "--sweep", "10:100:6"]].concat());
    assert!(swept["arms"][0]["text"].as_str().is_some_and(|text| text.starts_with(" Italy")), "{}", swept["arms"][0]);
    let polish = |point: &&Value| point["text"].as_str().is_some_and(|text| text.starts_with(" Poland"));
    let point = swept["sweep"].as_array().and_then(|points| points.iter().find(polish)).expect("a strength");
    let steered = steer(&[&of[..], &["--set", &point["strength"].to_string()]].concat());
    let [untouched, there, random] =
        [0, 1, 2].map(|arm| steered["arms"][arm]["text"].as_str().expect("a text").to_owned());
    assert!(there.starts_with(" Poland") && untouched.starts_with(" Italy"), "{there}");
    assert!(random.starts_with(" Italy"), "{random}");
}

#[test]
fn seeds_and_temperature_give_the_same_text_again() {
    let latent = strongest();
    let with = |seed: &str| {
        let args = ["--sae", "512", "--latent", &latent, "--scale", "2", "--temperature", "1.5", "--seed", seed];
        steer(&args)["arms"].clone()
    };
    assert_eq!(with("1"), with("1"));
    assert_ne!(with("1"), with("2"));
}

#[test]
fn meta_latents_and_directions_are_steered_too() {
    let meta = steer(&["--meta", "192", "--meta-latent", "3", "--set", "20"]);
    assert!(meta["arms"][1]["mean_delta"].as_f64() > Some(0.0), "{meta}");
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str, values: usize| {
        let path = folder.path().join(name);
        let data: Vec<u8> = (0..values).flat_map(|at| (at as f32 / 50.0 - 0.6).to_le_bytes()).collect();
        let view = safetensors::tensor::TensorView::new(safetensors::Dtype::F32, vec![values], &data).expect("fits");
        safetensors::serialize_to_file([("direction", view)], None, &path).expect("is written");
        path.to_string_lossy().into_owned()
    };
    // The error names the size that is right.
    let wrong = json("steer", &["--prompt", PROMPT, "--direction", &file("wrong", 7), "--add", "3"], 1);
    let hint = wrong["error"]["hint"].as_str().expect("a hint");
    let size = hint.split(' ').find_map(|word| word.parse::<usize>().ok()).expect("a size");
    let direction = file("right", size);
    let added = steer(&["--direction", &direction, "--add", "3"]);
    assert!(added["arms"][1]["mean_delta"].as_f64() > Some(0.0) && added["arms"][1]["latent_mean"].is_null());
    let refused = json("steer", &["--prompt", PROMPT, "--direction", &direction, "--ablate"], 2);
    assert!(refused["error"]["hint"].as_str().is_some_and(|hint| hint.contains("--project 0")), "{refused}");
    let refused = json("steer", &["--prompt", PROMPT, "--direction", &direction, "--add", "1", "--at", "fires"], 2);
    assert!(refused["error"]["why"].to_string().contains("about no latent"), "{refused}");
}

#[test]
fn what_cannot_be_asked_is_said_with_what_can() {
    let error = |args: &[&str], code: i32| {
        let answer = json("steer", &[&["--sae", "512"], args].concat(), code);
        format!("{}: {}; {}", answer["error"]["what"], answer["error"]["why"], answer["error"]["hint"])
    };
    let of = |args: &[&str], code| error(&[&["--prompt", PROMPT, "--latent", "3"], args].concat(), code);
    assert!(of(&["--ablate", "--at", "99"], 2).contains("there is no position 99"));
    let said = error(&["--prompt", PROMPT, "--latent", "512", "--ablate"], 2);
    assert!(said.contains("its latents are 0 to 511"), "{said}");
    let said = of(&["--ablate", "--sweep", "0:1:2"], 2);
    assert!(said.contains("exactly one change"), "{said}");
    let said = of(&["--ablate", "--while", "512:9999>1"], 2);
    assert!(said.contains("its latents are 0 to 511"), "{said}");
    assert!(of(&["--ablate", "--no-predictions"], 2).contains("not whole"));
    let output = run("steer", &["--sae", "512", "--latent", "3", "--set", "NaN", "--prompt", PROMPT]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(2) && said.contains("finite number"), "{said}");
}

#[test]
fn a_strength_in_the_largest_activation_needs_an_index() {
    let folder = tempfile::tempdir().expect("a folder");
    let demo = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/demo");
    let suite = format!(
        "id = \"bare\"\n[model]\npath = '{0}/model'\nprepend_bos = true\n[site]\nlayer = 3\nkind = \"resid_pre\"\n\
         [[sae]]\nid = \"512\"\nformat = \"sae-lens\"\npath = '{0}/saes'\nfolder = \"512\"\n",
        demo.display()
    );
    let file = folder.path().join("bare.toml");
    std::fs::write(&file, suite).expect("is written");
    let mut program = Command::new(env!("CARGO_BIN_EXE_saescope"));
    program.env_clear().env("HOME", folder.path()).env("HF_HUB_OFFLINE", "1").stdin(Stdio::null());
    program.args(["steer", "--suite"]).arg(&file).args(["--sae", "512", "--latent", "3", "--set", "1"]);
    let output = program.args(["--unit", "max", "--prompt", PROMPT]).output().expect("the binary runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(1) && said.contains("no index") && said.contains("index build"), "{said}");
}
