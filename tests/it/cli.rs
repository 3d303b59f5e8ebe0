//! The binary as scripts see it: JSON on standard output, messages on standard error, exit codes; its numbers against a
//! plain reference computed here from the demo's own files.

#[allow(dead_code, reason = "the tests of the hub use more of the stand-in")]
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use half::f16;
use safetensors::SafeTensors;
use serde_json::Value;

const EINSTEIN: &str = "Albert Einstein was a German physicist known for";

/// The binary in a home of its own, without anything of this machine's environment that it listens to.
fn saescope(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_saescope"));
    command.env_clear().env("HOME", home).env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.env("HF_HUB_OFFLINE", "1").stdin(Stdio::null());
    command
}

fn run(args: &[&str]) -> Output {
    let home = tempfile::tempdir().expect("a home");
    saescope(home.path()).args(args).output().expect("the binary runs")
}

fn json(output: &Output) -> Value {
    let text = String::from_utf8(output.stdout.clone()).expect("is UTF-8");
    assert_eq!(text.trim_end().lines().count(), 1, "one object: {text}");
    let value: Value = serde_json::from_str(&text).expect("is JSON");
    assert_eq!(value["schema"], 1);
    value
}

fn fine(args: &[&str]) -> Value {
    let output = run(args);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    json(&output)
}

/// What a failing command says and its exit code.
fn failing(args: &[&str], code: i32) -> (String, String, String) {
    let output = run(args);
    let value = json(&output);
    assert_eq!(output.status.code(), Some(code), "{value}");
    let error = &value["error"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let why: Vec<String> = error["why"].as_array().expect("has causes").iter().map(text).collect();
    (text(&error["what"]), why.join("; "), text(&error["hint"]))
}

fn demo(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/demo").join(file)
}

/// An f16 or f32 tensor of a file, as f64.
fn tensor(bytes: &[u8], name: &str) -> (Vec<usize>, Vec<f64>) {
    let file = SafeTensors::deserialize(bytes).expect("is a tensor file");
    let view = file.tensor(name).expect("has the tensor");
    let values = match view.dtype() {
        safetensors::Dtype::F16 => {
            view.data().as_chunks::<2>().0.iter().map(|b| f64::from(f16::from_le_bytes(*b).to_f32())).collect()
        }
        safetensors::Dtype::F32 => {
            view.data().as_chunks::<4>().0.iter().map(|b| f64::from(f32::from_le_bytes(*b))).collect()
        }
        other => panic!("{name} is {other:?}"),
    };
    (view.shape().to_vec(), values)
}

#[test]
fn weights_only_needs_no_prompt_and_runs_none() {
    let plain = fine(&["latent", "--sae", "512", "7", "--json"]);
    assert_eq!(fine(&["latent", "--sae", "512", "7", "--weights-only", "--json"]), plain);
    let stitch = ["stitch", "--small", "128", "--large", "512", "--weights-only", "--json"];
    let (weights, measured) =
        (fine(&stitch), fine(&["stitch", "--small", "128", "--large", "512", "--max-tokens", "50", "--json"]));
    for count in ["novel", "reconstruction", "groups", "unmatched_small", "components", "threshold"] {
        assert_eq!(weights[count], measured[count], "{count}");
    }
    assert_eq!((&weights["tokens"], &weights["auc"]), (&Value::from(0), &Value::Null));
    let (_, why, hint) = failing(&["run", "--prompt", "Tokyo", "--weights-only", "--json"], 1);
    assert!(why.contains("weights only") && hint.contains("--weights-only"), "{why} {hint}");
    let run = |more: &[&str]| fine(&[&["run", "--prompt", EINSTEIN, "--json"], more].concat());
    let (all, latents) = (run(&[]), run(&["--no-predictions"]));
    assert_eq!(latents["saes"], all["saes"]);
    assert_eq!(run(&["--logits", "0"])["next"], latents["next"]);
    assert_eq!(latents["timings_ms"]["predictions"], 0.0);
    let (what, _, hint) = failing(&["run", "--prompt", EINSTEIN, "--metrics", "--no-predictions", "--json"], 1);
    assert!(what.contains("cross-entropy") && hint.contains("--no-predictions"), "{what} {hint}");
}

#[test]
fn a_run_gives_what_the_sae_makes_of_the_activations_it_writes() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("run.safetensors");
    let path = file.to_str().expect("is UTF-8");
    let run = fine(&["run", "--prompt", EINSTEIN, "--sae", "256", "--all-latents", "--activations", path, "--json"]);
    let raw = fs::read(&file).expect("is written");
    let (shape, x) = tensor(&raw, "residual");
    let weights = fs::read(demo("saes/256/sae_weights.safetensors")).expect("is there");
    let [(_, w_enc), (_, b_enc), (_, w_dec), (_, b_dec), (_, threshold)] =
        ["W_enc", "b_enc", "W_dec", "b_dec", "threshold"].map(|name| tensor(&weights, name));
    let (d, width) = (shape[1], b_enc.len());
    let positions = run["saes"][0]["positions"].as_array().expect("has positions");
    assert_eq!(positions.len(), shape[0]);
    let (mut error, mut active) = (0.0, 0usize);
    for (position, x) in positions.iter().zip(x.chunks_exact(d)) {
        let mut latents: Vec<(usize, f64)> = Vec::new();
        for latent in 0..width {
            let pre: f64 = (0..d).map(|k| (x[k] - b_dec[k]) * w_enc[k * width + latent]).sum::<f64>() + b_enc[latent];
            if pre > threshold[latent] && pre > 0.0 {
                latents.push((latent, pre));
            }
        }
        latents.sort_by(|a, b| b.1.total_cmp(&a.1));
        let got = position["latents"].as_array().expect("is a list");
        assert_eq!((position["l0"].as_u64(), got.len()), (Some(latents.len() as u64), latents.len()));
        for (got, (latent, activation)) in got.iter().zip(&latents) {
            assert_eq!(got["latent"], *latent as u64);
            let got = got["activation"].as_f64().expect("is a number");
            assert!((got - activation).abs() < 1e-4 * activation.max(1.0), "{got} {activation}");
        }
        if position["position"] != 0 {
            active += latents.len();
            for k in 0..d {
                let x_hat: f64 = latents.iter().map(|(latent, a)| a * w_dec[latent * d + k]).sum::<f64>() + b_dec[k];
                error += (x[k] - x_hat).powi(2);
            }
        }
    }
    let metrics = &run["saes"][0]["metrics"];
    let tokens = shape[0] - 1;
    assert_eq!(metrics["tokens"], tokens as u64, "position 0 is the beginning-of-sequence token");
    let close = |name: &str, want: f64| {
        let got = metrics[name].as_f64().expect("is a number");
        assert!((got - want).abs() < 1e-4 * want.abs(), "{name}: {got} {want}");
    };
    close("l0", active as f64 / tokens as f64);
    close("mse", error / (tokens * d) as f64);
    let mean: Vec<f64> = (0..d).map(|k| x.chunks_exact(d).skip(1).map(|x| x[k]).sum::<f64>() / tokens as f64).collect();
    let variance: f64 = x.chunks_exact(d).skip(1).flat_map(|x| x.iter().zip(&mean).map(|(x, m)| (x - m).powi(2))).sum();
    close("explained_variance", 1.0 - error / variance);
}

#[test]
fn next_tokens_are_those_of_the_logits_it_writes() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("run.safetensors");
    let path = file.to_str().expect("is UTF-8");
    let run = fine(&["run", "--prompt", EINSTEIN, "--sae", "128", "--logits", "3", "--activations", path, "--json"]);
    let raw = fs::read(&file).expect("is written");
    let (shape, logits) = tensor(&raw, "logits");
    for (next, logits) in run["next"].as_array().expect("is a list").iter().zip(logits.chunks_exact(shape[1])) {
        let sum: f64 = logits.iter().map(|logit| logit.exp()).sum();
        let mut order: Vec<usize> = (0..logits.len()).collect();
        order.sort_by(|a, b| logits[*b].total_cmp(&logits[*a]));
        let next = next.as_array().expect("is a list");
        assert_eq!(next.len(), 3);
        for (next, id) in next.iter().zip(order) {
            assert_eq!(next["id"], id as u64);
            let got = next["logprob"].as_f64().expect("is a number");
            assert!((got - (logits[id] - sum.ln())).abs() < 1e-4);
        }
    }
    let tokens: String = run["tokens"].as_array().expect("is a list")[1..]
        .iter()
        .map(|token| token["text"].as_str().expect("has a text"))
        .collect();
    assert_eq!(tokens, EINSTEIN);
}

#[test]
fn without_predictions_the_same_activations_are_written_and_no_logits() {
    let folder = tempfile::tempdir().expect("a folder");
    let written = |more: &[&str]| {
        let file = folder.path().join("run.safetensors");
        let path = file.to_str().expect("is UTF-8");
        fine(&[&["run", "--prompt", EINSTEIN, "--sae", "128", "--activations", path, "--json"], more].concat());
        fs::read(&file).expect("is written")
    };
    let (all, latents) = (written(&[]), written(&["--no-predictions"]));
    let names = |raw: &[u8]| {
        let mut names: Vec<String> =
            SafeTensors::deserialize(raw).expect("tensors").names().into_iter().map(str::to_owned).collect();
        names.sort();
        names
    };
    assert_eq!(names(&all), ["logits", "residual"]);
    assert_eq!(names(&latents), ["residual"]);
    assert_eq!(tensor(&latents, "residual"), tensor(&all, "residual"));
}

#[test]
fn metrics_add_cross_entropies_that_lie_where_they_must() {
    let run = fine(&["run", "--prompt", EINSTEIN, "--metrics", "--json", "--top", "1"]);
    let saes = run["saes"].as_array().expect("is a list");
    assert_eq!(saes.len(), 6);
    for sae in saes {
        let figure = |name: &str| sae["metrics"][name].as_f64().unwrap_or_else(|| panic!("{name}: {sae}"));
        let recovered = (figure("ce_zero") - figure("ce_spliced")) / (figure("ce_zero") - figure("ce_clean"));
        assert!((figure("loss_recovered") - recovered).abs() < 1e-9);
        assert!(figure("ce_clean") < figure("ce_zero") && figure("ce_clean") < figure("ce_mean"));
        assert!(
            sae["positions"]
                .as_array()
                .is_some_and(|all| all.iter().all(|p| p["latents"].as_array().unwrap().len() <= 1))
        );
    }
    let clean: Vec<&Value> = saes.iter().map(|sae| &sae["metrics"]["ce_clean"]).collect();
    assert!(clean.iter().all(|ce| *ce == clean[0]), "the model's own loss depends on no SAE");
}

#[test]
fn a_card_names_the_nearest_latents_of_every_other_sae() {
    let card = fine(&["latent", "--sae", "256", "7", "--top", "4", "--json"]);
    assert_eq!((card["sae"].as_str(), card["latent"].as_u64()), (Some("256"), Some(7)));
    assert_eq!((card["promoted"].as_array().unwrap().len(), card["suppressed"].as_array().unwrap().len()), (4, 4));
    let rows = |width: &str| {
        let bytes = fs::read(demo(&format!("saes/{width}/sae_weights.safetensors"))).expect("is there");
        tensor(&bytes, "W_dec")
    };
    let (shape, own) = rows("256");
    let d = shape[1];
    let norm = |row: &[f64]| row.iter().map(|x| x * x).sum::<f64>().sqrt();
    let row = &own[7 * d..8 * d];
    assert!((card["decoder_norm"].as_f64().unwrap() - norm(row)).abs() < 1e-4);
    let ladder = card["ladder"].as_array().expect("is a list");
    let ids: Vec<&str> = ladder.iter().map(|entry| entry["sae"].as_str().unwrap()).collect();
    assert_eq!(ids, ["128", "512", "1024", "2048", "4096"]);
    for entry in ladder {
        let (_, other) = rows(entry["sae"].as_str().unwrap());
        let cosines: Vec<f64> = other
            .chunks_exact(d)
            .map(|other| row.iter().zip(other).map(|(a, b)| a * b).sum::<f64>() / (norm(row) * norm(other)))
            .collect();
        let best = (0..cosines.len()).max_by(|a, b| cosines[*a].total_cmp(&cosines[*b])).unwrap();
        assert_eq!(entry["nearest"][0]["latent"], best as u64);
        assert!((entry["nearest"][0]["cosine"].as_f64().unwrap() - cosines[best]).abs() < 1e-4);
        let class = match entry["sae"].as_str() {
            Some("128") if cosines[best] < 0.7 => Value::from("novel"),
            Some("128") => Value::from("reconstruction"),
            _ => Value::Null,
        };
        assert_eq!(entry["class"], class);
    }
}

#[test]
fn a_threshold_decides_the_class() {
    let class = |threshold: &str| {
        let card = fine(&["latent", "--sae", "256", "7", "--threshold", threshold, "--json"]);
        card["ladder"][0]["class"].as_str().map(ToOwned::to_owned)
    };
    assert_eq!((class("-1").as_deref(), class("1").as_deref()), (Some("reconstruction"), Some("novel")));
}

#[test]
fn mistakes_of_the_person_have_their_own_words_and_codes() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).expect("is written");
        path.to_str().expect("is UTF-8").to_owned()
    };
    let (what, _, hint) = failing(&["run", "--suite", "dmo", "--prompt", "x", "--json"], 2);
    assert!(what.contains("dmo") && hint.contains("demo"), "{what} {hint}");
    let (what, why, hint) = failing(&["latent", "--sae", "256", "256", "--json"], 2);
    assert!(what.contains("256") && !why.is_empty() && hint.contains("0 to 255"), "{what} {why} {hint}");
    let (_, _, hint) = failing(&["latent", "--sae", "257", "0", "--json"], 2);
    assert!(hint.contains("256"), "{hint}");
    let (what, _, hint) = failing(&["run", "--json"], 2);
    assert!(what.contains("no prompt") && hint.contains("--prompt"), "{what} {hint}");
    let (what, why, _) = failing(&["run", "--prompt-file", &file("latin1", b"caf\xe9"), "--json"], 1);
    assert!(what.contains("UTF-8") && why.contains('3'), "{what} {why}");
    let (_, why, hint) = failing(&["run", "--prompt", &"the city ".repeat(300), "--json"], 1);
    assert!(why.contains("128") && hint.contains("shorten"), "{why} {hint}");
    let broken = file(
        "suite.toml",
        b"id = \"x\"\ntitel = \"y\"\n[model]\npath = \"m\"\n[site]\nlayer = 0\nkind = \"resid_pre\"\n",
    );
    let (what, why, hint) = failing(&["run", "--suite", &broken, "--prompt", "x", "--json"], 1);
    assert!(what.contains("suite.toml") && why.contains("line 2") && hint.contains("title"), "{what} {why} {hint}");
    let output = run(&["run", "--prompt", "x", "--prompt-file", "y"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty());
}

#[test]
fn a_damaged_sae_is_named_with_file_and_tensor() {
    let folder = tempfile::tempdir().expect("a folder");
    let copy = |from: PathBuf, to: &str| {
        let to = folder.path().join(to);
        fs::create_dir_all(to.parent().expect("has a folder")).expect("is made");
        fs::copy(from, to).expect("is copied");
    };
    for name in ["config.json", "model.safetensors", "tokenizer.json"] {
        copy(demo(&format!("model/{name}")), &format!("model/{name}"));
    }
    copy(demo("saes/128/cfg.json"), "sae/cfg.json");
    let suite = |site: &str| {
        let path = folder.path().join("my.toml");
        let text = format!(
            "id = \"my\"\n[model]\npath = \"model\"\n[site]\n{site}\nkind = \"resid_pre\"\n\
             [[sae]]\nid = \"a\"\nformat = \"sae-lens\"\npath = \"sae\"\n"
        );
        fs::write(&path, text).expect("is written");
        path.to_str().expect("is UTF-8").to_owned()
    };
    let weights = fs::read(demo("saes/128/sae_weights.safetensors")).expect("is there");
    let place = folder.path().join("sae/sae_weights.safetensors");
    fs::write(&place, &weights[..weights.len() / 2]).expect("is written");
    let (what, why, _) = failing(&["run", "--suite", &suite("layer = 3"), "--prompt", "x", "--json"], 1);
    assert!(format!("{what} {why}").contains("sae_weights.safetensors"), "{what} {why}");
    let mut not_a_number = weights.clone();
    let last = not_a_number.len() - 2;
    not_a_number[last..].copy_from_slice(&f16::NAN.to_le_bytes());
    fs::write(&place, &not_a_number).expect("is written");
    let (_, why, _) = failing(&["run", "--suite", &suite("layer = 3"), "--prompt", "x", "--json"], 1);
    assert!(why.contains("sae_weights.safetensors") && why.contains("NaN"), "{why}");
    fs::write(&place, &weights).expect("is written");
    let (_, why, _) = failing(&["run", "--suite", &suite("layer = 9"), "--prompt", "x", "--json"], 1);
    assert!(why.contains("layer 9") && why.contains("0 to 3"), "{why}");
    fine(&["run", "--suite", &suite("layer = 3"), "--prompt", "x", "--json"]);
}

#[test]
fn a_suite_of_the_hub_is_pulled_run_and_found_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let hub = folder.path().join("hub");
    for name in ["config.json", "model.safetensors", "tokenizer.json"] {
        let to = hub.join("owner/model").join(name);
        fs::create_dir_all(to.parent().expect("has a folder")).expect("is made");
        fs::copy(demo(&format!("model/{name}")), to).expect("is copied");
    }
    for name in ["cfg.json", "sae_weights.safetensors"] {
        let to = hub.join("owner/saes/wide").join(name);
        fs::create_dir_all(to.parent().expect("has a folder")).expect("is made");
        fs::copy(demo(&format!("saes/512/{name}")), to).expect("is copied");
    }
    let suite = folder.path().join("hub.toml");
    let text = "id = \"from-the-hub\"\n[model]\nrepo = \"owner/model\"\n[site]\nlayer = 3\nkind = \"resid_pre\"\n\
                [[sae]]\nid = \"512\"\nformat = \"sae-lens\"\nrepo = \"owner/saes\"\nfolder = \"wide\"\ndefault = true\n";
    fs::write(&suite, text).expect("is written");
    let suite = suite.to_str().expect("is UTF-8");
    let server = crate::support::hub_server::HubServer::serve(&hub).expect("can listen");
    let home = folder.path().join("home");
    fs::create_dir_all(&home).expect("is made");
    let there = |args: &[&str], offline: &str| {
        let mut command = saescope(&home);
        command.env("HF_ENDPOINT", server.endpoint()).env("HF_HUB_OFFLINE", offline).args(args);
        command.output().expect("the binary runs")
    };
    let before = there(&["run", "--suite", suite, "--prompt", EINSTEIN, "--json"], "0");
    assert_eq!(before.status.code(), Some(1));
    assert!(json(&before)["error"]["hint"].as_str().is_some_and(|hint| hint.contains("saescope pull")));
    let pulled = there(&["pull", suite, "--json"], "0");
    assert!(pulled.status.success(), "{}", String::from_utf8_lossy(&pulled.stdout));
    assert_eq!((json(&pulled)["files"].as_u64(), &json(&pulled)["left_out"]), (Some(5), &serde_json::json!([])));
    let said = there(&["pull", suite, "--no-predictions"], "0");
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(said.contains("nothing of the model is left out: the model's weights are one file"), "{said}");
    assert!(said.contains("hub.toml --no-predictions` opens it"), "{said}");
    // A byte that has changed in the cache is found, named and fetched again.
    let snapshots = home.join(".cache/huggingface/hub/models--owner--saes/snapshots").join(server.commit());
    let weights = fs::canonicalize(snapshots.join("wide/sae_weights.safetensors")).expect("is there");
    let mut bytes = fs::read(&weights).expect("is there");
    bytes[100] ^= 1;
    fs::write(&weights, bytes).expect("is written");
    let verified = json(&there(&["pull", suite, "--verify", "--json"], "0"));
    let damaged = serde_json::json!(["owner/saes: wide/sae_weights.safetensors"]);
    assert_eq!((&verified["mended"], &verified["checked"]), (&damaged, &serde_json::json!(4)));
    let verified = json(&there(&["pull", suite, "--verify", "--json"], "0"));
    assert_eq!((&verified["mended"], &verified["checked"]), (&serde_json::json!([]), &serde_json::json!(5)));
    let run = there(&["run", "--suite", suite, "--prompt", EINSTEIN, "--json"], "1");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stdout));
    let mut embedded = fine(&["run", "--prompt", EINSTEIN, "--sae", "512", "--json"]);
    // The demo comes with its index, which says how unusual each activation is; this suite has none.
    let mut quantiles = 0;
    for position in embedded["saes"][0]["positions"].as_array_mut().expect("positions") {
        for latent in position["latents"].as_array_mut().expect("latents") {
            quantiles += usize::from(latent.as_object_mut().expect("a latent").remove("quantile").is_some());
        }
    }
    assert!(quantiles > 0);
    assert_eq!(json(&run)["saes"], embedded["saes"], "the same files give the same numbers");
}

#[test]
fn what_is_no_terminal_is_told_the_command_that_needs_none() {
    let output = run(&[]);
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.starts_with("error: ") && said.contains("saescope run"), "{said}");
    assert!(output.stdout.is_empty());
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let home = tempfile::tempdir().expect("a home");
    let mut child = saescope(home.path())
        .args(["run", "--prompt", EINSTEIN, "--all-latents", "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_prompt_can_come_from_standard_input() {
    let home = tempfile::tempdir().expect("a home");
    let mut child = saescope(home.path())
        .args(["run", "-", "--sae", "128", "--json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    // With the line break that `echo` ends with.
    child.stdin.take().expect("is piped").write_all(format!("{EINSTEIN}\n").as_bytes()).expect("is read");
    let output = child.wait_with_output().expect("it ends");
    let plain = fine(&["run", "--prompt", EINSTEIN, "--sae", "128", "--json"]);
    assert_eq!((&json(&output)["tokens"], &json(&output)["saes"]), (&plain["tokens"], &plain["saes"]));
    let file = home.path().join("prompt.txt");
    fs::write(&file, format!("\u{feff}{EINSTEIN}\r\n")).expect("is written");
    let path = file.to_str().expect("is UTF-8");
    let read = fine(&["run", "--prompt-file", path, "--sae", "128", "--json"]);
    assert_eq!((&read["tokens"], &read["saes"]), (&plain["tokens"], &plain["saes"]));
}

#[test]
fn a_prompt_that_begins_with_bos_has_it_once_and_says_so() {
    let measured = |prompt: &str| fine(&["run", "--prompt", prompt, "--sae", "128", "--metrics", "--json"]);
    let prompt = "Tokyo is a city in the country of";
    let (plain, typed) = (measured(prompt), measured(&format!("<|endoftext|>{prompt}")));
    for key in ["tokens", "left_out", "next", "saes"] {
        assert_eq!(typed[key], plain[key], "{key}");
    }
    assert_eq!((&plain["left_out"], &plain["notes"]), (&Value::from(1), &Value::Array(Vec::new())));
    let note = typed["notes"][0].as_str().expect("a note");
    assert!(note.contains("begins with `<|endoftext|>`") && note.contains("not put there twice"), "{note}");
    let output = run(&["run", "--prompt", "<|endoftext|>Tokyo", "--sae", "128"]);
    assert!(String::from_utf8_lossy(&output.stdout).contains("\nnote: the prompt begins with"), "{output:?}");
    // Two of them are what the person typed; neither is measured.
    let two = measured(&format!("<|endoftext|><|endoftext|>{prompt}"));
    let tokens = |run: &Value| run["saes"][0]["metrics"]["tokens"].as_u64();
    assert_eq!((&two["left_out"], tokens(&two)), (&Value::from(2), tokens(&plain)));
}

#[test]
fn a_prompt_of_megabytes_is_refused_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("long.txt");
    fs::write(&file, "the city of ".repeat(400_000)).expect("is written");
    let (_, why, hint) = failing(&["run", "--prompt-file", file.to_str().expect("is UTF-8"), "--json"], 1);
    assert!(why.contains("4800000 bytes") && why.contains("128") && hint.contains("shorten"), "{why} {hint}");
}

#[test]
fn the_tokenizers_own_word_can_be_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let model = folder.path().join("model");
    fs::create_dir(&model).expect("a folder");
    for file in ["config.json", "model.safetensors", "tokenizer.json"] {
        fs::copy(demo("model").join(file), model.join(file)).expect("is copied");
    }
    fs::write(model.join("tokenizer_config.json"), r#"{"add_prefix_space": true}"#).expect("is written");
    let suite = |more: &str| {
        let saes = demo("saes").display().to_string();
        let text = format!(
            "id = \"mine\"\n[model]\npath = \"model\"\n{more}\n[site]\nlayer = 3\nkind = \"resid_pre\"\n\
             [[sae]]\nid = \"128\"\nformat = \"sae-lens\"\npath = {saes:?}\nfolder = \"128\"\n"
        );
        let file = folder.path().join(if more.is_empty() { "theirs.toml" } else { "own.toml" });
        fs::write(&file, text).expect("is written");
        file.display().to_string()
    };
    let (theirs, own) = (suite(""), suite("tokenizer = \"file\""));
    let run = |suite: &str, more: &[&str]| {
        fine(&[&["run", "--suite", suite, "--prompt", "Tokyo is", "--json"], more].concat())
    };
    let first = |run: &Value| run["tokens"][1]["text"].as_str().unwrap_or_default().to_owned();
    let note = |run: &Value| run["notes"][0].as_str().unwrap_or_default().to_owned();
    let (prefixed, kept) = (run(&theirs, &[]), run(&own, &[]));
    assert!(first(&prefixed).starts_with(' ') && first(&kept).starts_with('T'), "{prefixed} {kept}");
    assert!(note(&prefixed).contains("transformers is followed here"), "{prefixed}");
    assert!(note(&kept).contains("own files are followed here"), "{kept}");
    assert_eq!(run(&theirs, &["--tokenizer", "file"])["tokens"], kept["tokens"]);
    assert_eq!(run(&own, &["--tokenizer", "transformers"])["tokens"], prefixed["tokens"]);
    let output = self::run(&["doctor", "--suite", &theirs, "--json"]);
    let doctor = json(&output);
    assert_eq!((&doctor["notes"], &doctor["suite"]["notes"]), (&prefixed["notes"], &prefixed["notes"]));
    let card = fine(&["latent", "--suite", &theirs, "--sae", "128", "7", "--json"]);
    assert_eq!(card["notes"], prefixed["notes"]);
}

#[test]
fn an_empty_prompt_is_the_beginning_alone() {
    let run = fine(&["run", "--prompt", "", "--sae", "128", "--json"]);
    assert_eq!(run["tokens"].as_array().map(Vec::len), Some(1));
    let metrics = &run["saes"][0]["metrics"];
    assert_eq!((metrics["tokens"].as_u64(), &metrics["mse"]), (Some(0), &Value::Null));
}

#[test]
fn the_lists_and_manuals_answer() {
    let suites = fine(&["suites", "--json"]);
    let demo = &suites["suites"][0];
    assert_eq!((demo["id"].as_str(), demo["ready"].as_bool()), (Some("demo"), Some(true)));
    let doctor = fine(&["doctor", "--suite", "demo", "--json"]);
    assert_eq!(doctor["suite"]["saes"].as_array().map(Vec::len), Some(6));
    for (args, word) in
        [(&["man"][..], "saescope"), (&["completions", "bash"], "complete"), (&["config", "--default"], "suite")]
    {
        let output = run(args);
        assert!(output.status.success() && String::from_utf8_lossy(&output.stdout).contains(word), "{args:?}");
    }
}
