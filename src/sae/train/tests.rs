//! The trainer against finite differences, a known dictionary, and bad input.

use std::cell::Cell;

use proptest::prelude::*;

use super::data::directions;
use super::select::{Active, select};
use super::step::Pass;
use super::*;
use crate::kernel::{View, dot};

fn quick(width: usize, k: usize, steps: usize) -> Config {
    Config { steps, batch: 256, rate: 3e-3, warmup: 20, ..Config::new(width, k) }
}

/// Rows that are sums of `active` of `count` random directions in d dimensions.
fn synthetic(rows: usize, count: usize, d: usize, active: usize) -> (Vec<f32>, Vec<f32>) {
    let dictionary = directions(count, d, 99);
    let mut state = 12345u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize
    };
    let mut out = vec![0.0; rows * d];
    for row in out.chunks_exact_mut(d) {
        for _ in 0..active {
            let (which, strength) = (next() % count, 1.0 + (next() % 1000) as f32 / 1000.0);
            row.iter_mut().zip(&dictionary[which * d..(which + 1) * d]).for_each(|(r, v)| *r += strength * v);
        }
    }
    (out, dictionary)
}

fn run(rows: &[f32], d: usize, config: &Config) -> Result<Trained, TrainError> {
    train(rows, d, config, &Cancel::new(), &|_| {})
}

#[test]
fn a_known_dictionary_is_found_again() {
    let (d, count) = (32, 48);
    let (rows, dictionary) = synthetic(6000, count, d, 3);
    let sae = run(&rows, d, &quick(64, 3, 1500)).expect("trained");
    let found =
        dictionary.chunks_exact(d).filter(|truth| sae.w_dec.chunks_exact(d).any(|row| dot(row, truth) > 0.9)).count();
    assert!(found * 10 >= count * 9, "{found} of {count} directions");
    assert!(sae.explained_variance > 0.9, "{}", sae.explained_variance);
}

#[test]
fn decoder_rows_have_norm_one_and_the_threshold_keeps_about_k() {
    let (rows, d) = (synthetic(3000, 40, 24, 3).0, 24);
    let sae = run(&rows, d, &quick(48, 3, 400)).expect("trained");
    for row in sae.w_dec.chunks_exact(d) {
        assert!((dot(row, row) - 1.0).abs() < 1e-5);
    }
    let mut fired = 0;
    for row in rows.chunks_exact(d) {
        let centred: Vec<f32> = row.iter().zip(&sae.b_dec).map(|(x, b)| x - b).collect();
        for latent in 0..sae.width {
            let pre: f32 = (0..d).map(|i| centred[i] * sae.w_enc[i * sae.width + latent]).sum::<f32>();
            fired += usize::from(pre + sae.b_enc[latent] > sae.threshold);
        }
    }
    let mean = fired as f32 / 3000.0;
    assert!((2.0..4.0).contains(&mean), "{mean} latents fire on a row, k is 3");
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let rows = synthetic(1000, 30, 20, 3).0;
    let config = Config { dead_after: 5, ..quick(700, 3, 30) };
    let with = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
        pool.install(|| run(&rows, 20, &config)).expect("trained")
    };
    let one = with(1);
    assert_eq!(one, with(3));
    assert_ne!(one, run(&rows, 20, &Config { seed: 1, ..config }).expect("trained"));
}

#[test]
fn the_gradient_of_a_latent_is_that_of_the_loss() {
    // One latent, two rows, seen in f64 by the test itself: loss = Σ‖a·w − x‖² with a = x·u + b.
    let (d, rows) = (3, [0.5f32, -0.2, 0.8, 0.1, 0.9, 0.3]);
    let (u, w, b) = ([0.4f32, 0.3, 0.7], [0.6f32, 0.0, 0.8], 0.1f32);
    let loss = |u: [f64; 3], w: [f64; 3], b: f64| -> f64 {
        let row = |x: &[f32]| {
            let a: f64 = (0..3).map(|i| f64::from(x[i]) * u[i]).sum::<f64>() + b;
            (0..3).map(|i| (a * w[i] - f64::from(x[i])).powi(2)).sum::<f64>()
        };
        rows.chunks_exact(3).map(row).sum()
    };
    let (mut grad, mut active) = (Vec::new(), Vec::new());
    for (r, x) in rows.chunks_exact(d).enumerate() {
        let value = dot(x, &u) + b;
        grad.extend((0..d).map(|i| 2.0 * (value * w[i] - x[i])));
        active.push(Active { row: r as u32, latent: 0, value });
    }
    let (mut ge, mut gd) = (vec![0.0; d], vec![0.0; d]);
    let gb = Pass { d, centred: &rows, grad: &grad }.latent(&active, &w, &mut ge, &mut gd);
    let (u, w, b, h) = (u.map(f64::from), w.map(f64::from), f64::from(b), 1e-5);
    let moved = |v: [f64; 3], i: usize, by: f64| std::array::from_fn(|j| if i == j { v[j] + by } else { v[j] });
    for i in 0..d {
        let by_u = (loss(moved(u, i, h), w, b) - loss(moved(u, i, -h), w, b)) / (2.0 * h);
        let by_w = (loss(u, moved(w, i, h), b) - loss(u, moved(w, i, -h), b)) / (2.0 * h);
        assert!((by_u - f64::from(ge[i])).abs() < 1e-4, "encoder {i}: {by_u} {}", ge[i]);
        assert!((by_w - f64::from(gd[i])).abs() < 1e-4, "decoder {i}: {by_w} {}", gd[i]);
    }
    let by_b = (loss(u, w, b + h) - loss(u, w, b - h)) / (2.0 * h);
    assert!((by_b - f64::from(gb)).abs() < 1e-4, "{by_b} {gb}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn selection_keeps_the_largest_whatever_the_guess(
        values in proptest::collection::vec(-4i8..5, 12..60), count in 1usize..40, guess in 0.0f32..3.0,
    ) {
        // One dimension: pre-activations are row × encoder, with many ties.
        let (rows, latents) = values.split_at(values.len() / 2);
        let rows: Vec<f32> = rows.iter().map(|v| f32::from(*v)).collect();
        let latents: Vec<f32> = latents.iter().map(|v| f32::from(*v)).collect();
        let bias = vec![0.25; latents.len()];
        let (x, w) = (View::new(&rows, rows.len(), 1), View::new(&latents, latents.len(), 1));
        let kept = select(x, w, &bias, count, guess);
        let mut all: Vec<f32> = rows.iter().flat_map(|r| latents.iter().map(move |l| r * l + 0.25)).collect();
        all.retain(|v| *v > 0.0);
        all.sort_by(|a, b| b.total_cmp(a));
        all.truncate(count);
        let mut got: Vec<f32> = kept.by_row.iter().map(|a| a.value).collect();
        got.sort_by(|a, b| b.total_cmp(a));
        prop_assert_eq!(&got, &all);
        prop_assert_eq!(kept.by_row, select(x, w, &bias, count, 0.0).by_row);
        let mut from_latents: Vec<f32> = (0..latents.len()).flat_map(|l| kept.by_latent[kept.latent_starts[l]..kept.latent_starts[l + 1]].iter().map(|a| a.value).collect::<Vec<_>>()).collect();
        from_latents.sort_by(|a, b| b.total_cmp(a));
        prop_assert_eq!(&from_latents, &all);
    }
}

#[test]
fn dead_latents_come_back() {
    // A rate so high that the first steps leave many latents without work.
    let (rows, d) = (synthetic(4000, 300, 32, 2).0, 32);
    let dead = |auxiliary| {
        let config = Config { auxiliary, dead_after: 20, rate: 3e-2, warmup: 1, ..quick(300, 2, 600) };
        run(&rows, d, &config).expect("trained").dead
    };
    let (with, without) = (dead(1.0 / 16.0), dead(0.0));
    assert!(with * 2 < without, "{with} dead with the auxiliary loss, {without} without");
}

#[test]
fn cancelling_ends_it_at_once() {
    let (rows, cancel, steps) = (synthetic(500, 10, 8, 2).0, Cancel::new(), Cell::new(0));
    let result = train(&rows, 8, &quick(16, 2, 100_000), &cancel, &|p| {
        steps.set(p.done);
        cancel.cancel();
    });
    assert!(matches!(result, Err(TrainError::Cancelled(_))));
    assert_eq!(steps.get(), 10, "one report, then no more");
}

#[test]
fn bad_input_is_refused() {
    let config = quick(16, 2, 5);
    let mut rows = synthetic(300, 10, 8, 2).0;
    assert!(matches!(run(&[], 8, &config), Err(TrainError::Rows { .. })));
    assert!(matches!(run(&rows, 0, &config), Err(TrainError::Rows { .. })));
    assert!(matches!(run(&rows[1..], 8, &config), Err(TrainError::Rows { .. })));
    assert!(matches!(run(&[1.0; 80], 8, &config), Err(TrainError::Constant)));
    rows[8 * 7 + 3] = f32::NAN;
    assert!(matches!(run(&rows, 8, &config), Err(TrainError::NotFinite { row: 7, dim: 3, .. })));
    for bad in [
        Config { k: 0, ..config.clone() },
        Config { k: 17, ..config.clone() },
        Config { width: 0, ..config.clone() },
        Config { steps: 0, ..config.clone() },
        Config { batch: 0, ..config.clone() },
        Config { rate: f32::NAN, ..config.clone() },
    ] {
        assert!(matches!(run(&[0.0, 1.0], 1, &bad), Err(TrainError::Setting { .. })));
    }
}

#[test]
fn saved_files_hold_the_weights_and_say_how_to_use_them() {
    let rows = synthetic(300, 10, 8, 2).0;
    let sae = run(&rows, 8, &quick(16, 2, 20)).expect("trained");
    let folder = tempfile::tempdir().expect("a folder");
    let origin = Origin { hook_name: "blocks.2.hook_resid_post".into(), prepend_bos: true, ..Origin::default() };
    sae.save(folder.path(), Dtype::F32, &origin).expect("saved");
    let bytes = std::fs::read(folder.path().join("sae_weights.safetensors")).expect("read");
    let tensors = safetensors::SafeTensors::deserialize(&bytes).expect("safetensors");
    let w_enc = tensors.tensor("W_enc").expect("W_enc");
    assert_eq!(w_enc.shape(), [8, 16]);
    assert_eq!(w_enc.data(), sae.w_enc.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<_>>());
    assert_eq!(tensors.tensor("threshold").expect("threshold").shape(), [16]);
    let config = std::fs::read(folder.path().join("cfg.json")).expect("read");
    let config: serde_json::Value = serde_json::from_slice(&config).expect("json");
    assert_eq!(config["architecture"], "jumprelu");
    assert_eq!(config["metadata"]["hook_name"], "blocks.2.hook_resid_post");
    let huge = Trained { threshold: 1e6, ..sae };
    assert!(matches!(huge.save(folder.path(), Dtype::F16, &origin), Err(TrainError::Overflow { .. })));
}
