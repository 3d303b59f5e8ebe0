//! `saescope stitch` as scripts see it, its numbers against a plain double-precision reference computed here from the
//! demo's own files. Not here: the jobs behind it (`stitching_session.rs`).

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use half::f16;
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;

const TEXT: &str =
    "Albert Einstein was a German physicist known for the theory of relativity. Tokyo is a city in Japan.";
const THETA: f64 = 0.6;

fn run(home: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_saescope"));
    command.env_clear().env("HOME", home).env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.env("HF_HUB_OFFLINE", "1").stdin(Stdio::null());
    command.args(args).output().expect("the binary runs")
}

fn json(output: &Output) -> Value {
    let value: Value = serde_json::from_slice(&output.stdout).expect("is JSON");
    assert_eq!(value["schema"], 1);
    value
}

fn fine(home: &Path, args: &[&str]) -> Value {
    let output = run(home, args);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    json(&output)
}

/// A tensor of a file as f64, with its columns.
fn tensor(bytes: &[u8], name: &str) -> (Vec<f64>, usize) {
    let file = SafeTensors::deserialize(bytes).expect("is a tensor file");
    let view = file.tensor(name).expect("has the tensor");
    let data = view.data();
    let values = match view.dtype() {
        Dtype::F16 => data.as_chunks::<2>().0.iter().map(|b| f64::from(f16::from_le_bytes(*b).to_f32())).collect(),
        _ => data.as_chunks::<4>().0.iter().map(|b| f64::from(f32::from_le_bytes(*b))).collect(),
    };
    (values, view.shape().last().copied().unwrap_or(1))
}

/// One of the demo's SAEs, in double precision.
struct Plain {
    rows: Vec<Vec<f64>>,
    b_dec: Vec<f64>,
    /// What fires: [positions][latents].
    fires: Vec<Vec<f64>>,
}

impl Plain {
    fn new(id: &str, x: &[Vec<f64>]) -> Self {
        let path =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/demo/saes").join(id).join("sae_weights.safetensors");
        let bytes = fs::read(path).expect("is there");
        let [(w_enc, width), (b_enc, _), (w_dec, d), (b_dec, _), (threshold, _)] =
            ["W_enc", "b_enc", "W_dec", "b_dec", "threshold"].map(|name| tensor(&bytes, name));
        let fires = x.iter().map(|x| {
            let pre = |l: usize| (0..d).map(|k| (x[k] - b_dec[k]) * w_enc[k * width + l]).sum::<f64>() + b_enc[l];
            (0..width)
                .map(pre)
                .enumerate()
                .map(|(l, pre)| if pre > threshold[l].max(0.0) { pre } else { 0.0 })
                .collect()
        });
        Self { fires: fires.collect(), rows: w_dec.chunks(d).map(<[f64]>::to_vec).collect(), b_dec }
    }

    fn residual(&self, position: usize, x: &[f64]) -> Vec<f64> {
        let mut left: Vec<f64> = x.iter().zip(&self.b_dec).map(|(x, b)| x - b).collect();
        for (fires, row) in self.fires[position].iter().zip(&self.rows).filter(|(fires, _)| **fires > 0.0) {
            left.iter_mut().zip(row).for_each(|(left, d)| *left -= fires * d);
        }
        left
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn close(got: &Value, want: f64) {
    let got = got.as_f64().expect("is a number");
    assert!((got - want).abs() <= 1e-3 * (1.0 + want.abs()), "{got} for {want}");
}

/// The activations of the text, as `run` writes them.
fn activations(home: &Path) -> Vec<Vec<f64>> {
    let file = home.join("x.safetensors");
    let path = file.to_str().expect("is UTF-8");
    fine(home, &["run", "--prompt", TEXT, "--sae", "128", "--activations", path, "--json"]);
    let (x, d) = tensor(&fs::read(&file).expect("is written"), "residual");
    x.chunks(d).map(<[f64]>::to_vec).collect()
}

fn text(home: &Path) -> PathBuf {
    let path = home.join("text.txt");
    fs::write(&path, TEXT).expect("is written");
    path
}

#[test]
fn classes_groups_and_scores_equal_a_plain_reference() {
    let home = tempfile::tempdir().expect("a home");
    let (x, path) = (activations(home.path()), text(home.path()));
    let (small, large) = (Plain::new("128", &x), Plain::new("256", &x));
    let theta = THETA.to_string();
    let got = fine(
        home.path(),
        &[
            "stitch",
            "--small",
            "128",
            "--large",
            "256",
            "--threshold",
            &theta,
            "--text",
            path.to_str().expect("UTF-8"),
            "--latents",
            "--json",
        ],
    );
    assert_eq!((&got["small"], &got["large"], &got["tokens"]), (&"128".into(), &"256".into(), &(x.len() - 1).into()));
    let residuals: Vec<Vec<f64>> = x.iter().enumerate().map(|(at, x)| small.residual(at, x)).collect();
    let cosine = |a: &[f64], b: &[f64]| dot(a, b) / (dot(a, a) * dot(b, b)).sqrt();
    let mut edges = Vec::new();
    let (mut rule, mut helps, mut disagree) = (Vec::new(), Vec::new(), 0);
    for (latent, (row, got)) in large.rows.iter().zip(got["latents"].as_array().expect("rows")).enumerate() {
        let cosines: Vec<f64> = small.rows.iter().map(|other| cosine(row, other)).collect();
        edges.extend(cosines.iter().enumerate().filter(|(_, c)| **c >= THETA).map(|(other, _)| (latent, other)));
        let m = cosines.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        close(&got["max_cosine"], m);
        assert_eq!(got["class"], if m < THETA { "novel" } else { "reconstruction" });
        assert_eq!(got["group"].is_null(), m < THETA);
        let (mut gain, mut energy, mut fired) = (0.0, 0.0, 0);
        for (fires, residual) in large.fires.iter().zip(&residuals).skip(1) {
            let fires = fires[latent];
            fired += u64::from(fires > 0.0);
            gain += fires * dot(residual, row);
            energy += fires * fires * dot(row, row);
        }
        assert_eq!(got["fired"], fired);
        if fired == 0 {
            assert!(got["insertion_score"].is_null() && got["delta_mse"].is_null());
            continue;
        }
        close(&got["insertion_score"], gain / energy);
        close(&got["delta_mse"], (energy - 2.0 * gain) / ((x.len() - 1) * row.len()) as f64);
        rule.push(-m);
        helps.push(gain / energy > 0.5);
        disagree += usize::from((m < THETA) != (gain / energy > 0.5));
    }
    census(&got, &edges);
    assert_eq!(got["disagreements"], disagree);
    let pairs = rule.iter().zip(&helps).flat_map(|a| rule.iter().zip(&helps).map(move |b| (a, b)));
    let compared: Vec<f64> = pairs
        .filter(|((_, a), (_, b))| **a && !**b)
        .map(|((a, _), (b, _))| {
            if a > b {
                1.0
            } else if a < b {
                0.0
            } else {
                0.5
            }
        })
        .collect();
    close(&got["auc"], compared.iter().sum::<f64>() / compared.len() as f64);
}

/// Components by walking from latent to latent.
fn census(got: &Value, edges: &[(usize, usize)]) {
    let mut larges: Vec<usize> = edges.iter().map(|edge| edge.0).collect();
    larges.dedup();
    let (reconstruction, mut sizes) = (larges.len(), Vec::new());
    while let Some(start) = larges.pop() {
        let (mut left, mut right) = (vec![start], Vec::new());
        loop {
            let before = (left.len(), right.len());
            right.extend(edges.iter().filter(|(l, _)| left.contains(l)).map(|(_, r)| *r));
            left.extend(edges.iter().filter(|(_, r)| right.contains(r)).map(|(l, _)| *l));
            for side in [&mut left, &mut right] {
                side.sort_unstable();
                side.dedup();
            }
            if before == (left.len(), right.len()) {
                break;
            }
        }
        larges.retain(|latent| !left.contains(latent));
        sizes.push((right.len() as u64, left.len() as u64));
    }
    let matched: u64 = sizes.iter().map(|size| size.0).sum();
    let counts = [&got["novel"], &got["reconstruction"], &got["groups"], &got["unmatched_small"]];
    let counts = counts.map(|count| count.as_u64().expect("a count"));
    assert_eq!(counts, [256 - reconstruction as u64, reconstruction as u64, sizes.len() as u64, 128 - matched]);
    for component in got["components"].as_array().expect("a list") {
        let [small, large, count] = ["small", "large", "count"].map(|key| component[key].as_u64().expect("a count"));
        assert_eq!(sizes.iter().filter(|size| **size == (small, large)).count() as u64, count);
    }
}

#[test]
fn the_curve_ends_at_both_saes_as_run_measures_them_and_a_step_can_be_exported() {
    let home = tempfile::tempdir().expect("a home");
    let path = text(home.path());
    let out = home.path().join("stitched");
    let (path, folder) = (path.to_str().expect("UTF-8"), out.to_str().expect("UTF-8"));
    let stitch = ["stitch", "--small", "128", "--large", "256", "--text", path, "--json"];
    let more = ["--curve", "5", "--ce", "--order", "random", "--seed", "3", "--export", folder, "--at", "7"];
    let got = fine(home.path(), &[&stitch[..], &more].concat());
    let run = fine(home.path(), &["run", "--prompt", TEXT, "--sae", "128", "--sae", "256", "--metrics", "--json"]);
    let points = got["curve"].as_array().expect("points");
    for (point, sae, phase) in [(&points[0], 0, "start"), (&points[points.len() - 1], 1, "drop")] {
        let metrics = &run["saes"][sae]["metrics"];
        for name in ["mse", "l0", "explained_variance"] {
            close(&point[name], metrics[name].as_f64().expect("a number"));
        }
        close(&point["ce"], metrics["ce_spliced"].as_f64().expect("a number"));
        assert!(point["phase"] == phase || sae == 1, "{point}");
    }
    assert_eq!((&points[0]["inserted"], &points[points.len() - 1]["removed"]), (&0.into(), &128.into()));
    assert_eq!((&got["order"], &got["seed"], &got["exported"]["step"]), (&"random".into(), &3.into(), &7.into()));
    let config: Value = serde_json::from_slice(&fs::read(out.join("cfg.json")).expect("is written")).expect("is JSON");
    assert_eq!(config["architecture"], "jumprelu");
    let again = run_failing(home.path(), &[&stitch[..], &more].concat(), 2);
    assert!(again.contains("there is a `cfg.json` already"), "{again}");
    let beyond = [&stitch[..], &["--export", "new", "--at", "100000"]].concat();
    assert!(run_failing(home.path(), &beyond, 2).contains("steps are 0 to"));
}

fn run_failing(home: &Path, args: &[&str], code: i32) -> String {
    let output = run(home, args);
    assert_eq!(output.status.code(), Some(code), "{}", String::from_utf8_lossy(&output.stdout));
    json(&output)["error"].to_string()
}

#[test]
fn what_cannot_be_measured_is_one_report() {
    let home = tempfile::tempdir().expect("a home");
    let empty = home.path().join("empty.txt");
    fs::write(&empty, "").expect("is written");
    let empty = empty.to_str().expect("UTF-8");
    let told = |args: &[&str], code| run_failing(home.path(), &[&["stitch", "--json"], args].concat(), code);
    assert!(told(&["--small", "128", "--large", "256", "--text", empty], 1).contains("it is empty"));
    assert!(told(&["--small", "256", "--large", "128"], 2).contains("narrower one first"));
    assert!(told(&["--small", "128", "--large", "257"], 2).contains("did you mean `256`"));
    let output = run(home.path(), &["stitch", "--small", "128", "--large", "256", "--threshold", "1.5"]);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn without_json_it_is_a_table() {
    let home = tempfile::tempdir().expect("a home");
    let path = text(home.path());
    let path = path.to_str().expect("UTF-8");
    let output = run(home.path(), &["stitch", "--small", "128", "--large", "256", "--text", path, "--curve", "4"]);
    let text = String::from_utf8(output.stdout).expect("is UTF-8");
    for part in ["novel", "reconstruction", "unmatched", "disagreements", "expl. var.", "drop"] {
        assert!(text.contains(part), "{part}: {text}");
    }
}
