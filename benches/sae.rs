//! How fast SAEs encode, decode, find nearest latents and are stitched, on GPT-2's shapes: best of some runs, in milliseconds.
//! Not here: whether the results are right (`tests/`).
//!
//! `cargo bench --bench sae [-- WIDTH …]`; widths default to 24576 and 98304.

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a benchmark prints, and stops when something is wrong")]

use std::hint::black_box;
use std::time::Instant;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use saescope::sae::meta;
use saescope::sae::stitch::{Change, Pair, Scores, Workbench, changes, curve};
use saescope::sae::table::compare_kept;
use saescope::sae::train::{Config, train};
use saescope::sae::{Activation, Classes, Normalisation, Sae, SaeWeights, compare, nearest_all};
use saescope::task::Cancel;
use saescope::weights::Array;

const D_IN: usize = 768;

fn normal(count: usize, rng: &mut SmallRng) -> Vec<f32> {
    // The sum of four uniform numbers is near enough.
    (0..count).map(|_| (0..4).map(|_| rng.random::<f32>() - 0.5).sum::<f32>() * 1.732).collect()
}

/// An SAE of which about 30 latents fire on an activation of unit normal values.
fn sae(width: usize, seed: u64) -> Sae {
    let mut rng = SmallRng::seed_from_u64(seed);
    let w_dec: Vec<f32> = normal(D_IN * width, &mut rng).into_iter().map(|w| w / (D_IN as f32).sqrt()).collect();
    let mut w_enc = vec![0.0; D_IN * width];
    for latent in 0..width {
        for dim in 0..D_IN {
            w_enc[dim * width + latent] = w_dec[latent * D_IN + dim];
        }
    }
    // Pre-activations are unit normal: the threshold that lets 30 of `width` through, roughly.
    let share = 30.0 / width as f32;
    let threshold = (-2.0 * (share * 2.5).ln()).sqrt();
    Sae::new(SaeWeights {
        w_enc: Array::owned(w_enc, &[D_IN, width]).into(),
        b_enc: Array::owned(vec![-threshold; width], &[width]),
        w_dec: Array::owned(w_dec, &[width, D_IN]).into(),
        b_dec: Array::owned(vec![0.0; D_IN], &[D_IN]),
        apply_b_dec_to_input: true,
        rescale_acts_by_decoder_norm: false,
        activation: Activation::Relu,
        normalisation: Normalisation::None,
    })
    .unwrap()
}

/// Wall time, and the processor time of all threads (Linux), which other programs disturb less.
fn best<T>(name: &str, runs: usize, mut work: impl FnMut() -> T) {
    let (mut wall, mut cpu) = (f64::INFINITY, f64::INFINITY);
    for _ in 0..runs {
        let (start, used) = (Instant::now(), processor_ms());
        black_box(work());
        wall = wall.min(start.elapsed().as_secs_f64() * 1e3);
        cpu = cpu.min(processor_ms() - used);
    }
    println!("{name:<50} {wall:>10.2} ms wall {cpu:>10.2} ms processor");
}

fn processor_ms() -> f64 {
    let Ok(threads) = std::fs::read_dir("/proc/self/task") else { return 0.0 };
    let nanoseconds = |path: std::path::PathBuf| -> Option<f64> {
        std::fs::read_to_string(path.join("schedstat")).ok()?.split(' ').next()?.parse().ok()
    };
    threads.flatten().filter_map(|thread| nanoseconds(thread.path())).sum::<f64>() / 1e6
}

fn main() {
    let mut widths: Vec<usize> = std::env::args().skip(1).filter_map(|arg| arg.parse().ok()).collect();
    if widths.is_empty() {
        widths = vec![24_576, 98_304];
    }
    let mut rng = SmallRng::seed_from_u64(9);
    let never = Cancel::new();
    println!("{} threads, {D_IN} dimensions", rayon::current_num_threads());
    for &width in &widths {
        let sae = sae(width, 1);
        for rows in [1, 8, 32, 512] {
            let x = normal(rows * D_IN, &mut rng);
            let codes = sae.encode(&x, &never).unwrap();
            let l0 = codes.latents.len() / rows;
            best(&format!("encode {width}, {rows} tokens, L0 {l0}"), 20, || sae.encode(&x, &never).unwrap());
            best(&format!("decode {width}, {rows} tokens"), 20, || sae.decode(&codes).unwrap());
        }
        best(&format!("nearest of one against {width}, top 10"), 20, || sae.nearest(3, &sae, 10).unwrap());
        let direction = normal(D_IN, &mut rng);
        best(&format!("one direction against {width}"), 20, || sae.dot_rows(&direction).unwrap());
    }
    let (small, large) = (sae(12_288, 2), sae(24_576, 3));
    best("nearest of 12288 against 24576, top 5", 3, || nearest_all(&small, &large, 5, &never, &|_| ()).unwrap());
    stitching(&small, &large, &mut rng);
    meta_sae(&sae(49_152, 4));
}

/// The published size: 49,152 decoder rows, 2,304 meta-latents, k 4.
fn meta_sae(of: &Sae) {
    let never = Cancel::new();
    let rows = meta::rows(of).unwrap();
    let width = meta::default_width(of.width());
    let steps = 6;
    let config = Config { steps, ..meta::recipe(width, meta::MEAN_ACTIVE) };
    best(&format!("{steps} steps of meta-SAE training, {width} wide, 16384 rows"), 2, || {
        train(&rows, D_IN, &config, &never, &|_| ()).unwrap()
    });
    let trained = train(&rows, D_IN, &config, &never, &|_| ()).unwrap().sae().unwrap();
    best("a latent's breakdown", 50, || meta::breakdown(&trained, of, 17, &never).unwrap());
    best("all breakdowns and members", 2, || meta::BreakdownTable::new(&trained, of, &never).unwrap());
}

fn stitching(small: &Sae, large: &Sae, rng: &mut SmallRng) {
    let never = Cancel::new();
    best("a comparison (table and forest) of 24576 with 12288", 3, || {
        compare(large, small, 5, 0.3, &never, &|_| ()).unwrap()
    });
    let comparison = compare(large, small, 5, 0.3, &never, &|_| ()).unwrap();
    best("classes and groups at a new threshold", 20, || Classes::new(&comparison, 0.7).unwrap());
    let folder = tempfile::tempdir().unwrap();
    let kept = || compare_kept(folder.path(), large, small, 5, 0.3, &never, &|_| ()).unwrap();
    kept();
    best("a comparison that is on disk", 10, || assert!(kept().found));
    let rows = 1024;
    let (pair, x, counts) = (Pair::new(small, large).unwrap(), normal(rows * D_IN, rng), vec![true; rows]);
    let (f0, f1) = (small.encode(&x, &never).unwrap(), large.encode(&x, &never).unwrap());
    best(&format!("insertion scores of 24576, {rows} tokens"), 5, || {
        let mut scores = Scores::insertions(pair);
        scores.add(pair, &x, &f0, &f1, &counts, &never).unwrap();
        scores
    });
    best(&format!("a workbench, {rows} tokens"), 5, || Workbench::new(pair, &x, &f0, &f1, &counts).unwrap());
    let mut bench = Workbench::new(pair, &x, &f0, &f1, &counts).unwrap();
    let steps = changes(&Classes::new(&comparison, 0.7).unwrap());
    best(&format!("the whole way of {} steps, {rows} tokens", steps.len()), 3, || {
        curve(&mut bench.clone(), &steps, &never, &|_| ()).unwrap()
    });
    let busiest = Change::Insert(f1.latents[f1.latents.len() / 2]);
    best(&format!("one latent in and out, {rows} tokens"), 50, || {
        bench.set(&busiest, true).unwrap();
        bench.set(&busiest, false).unwrap();
        bench.point()
    });
}
