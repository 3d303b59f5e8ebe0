//! Nearest latents, groups, effects and stitched reconstructions against NumPy and networkx.
//! Not here: how the fixtures are made (`fixtures/make_sae_fixtures.py`).

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::{Path, PathBuf};

use saescope::blob::Blob;
use saescope::sae::metrics::roc_auc;
use saescope::sae::stitch::{Change, Pair, Scores, Selection, Workbench};
use saescope::sae::{Classes, Comparison, Sae, SaeFiles, compare, lens};
use saescope::task::Cancel;
use saescope::weights::TensorFiles;
use serde::Deserialize;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/sae").join(name)
}

fn open(name: &str) -> Sae {
    let files = SaeFiles {
        config: Blob::path(fixture(name).join("cfg.json")),
        weights: vec![Blob::path(fixture(name).join("sae_weights.safetensors"))],
        sparsity: None,
    };
    lens::open(&files).unwrap()
}

fn compared(large: &Sae, small: &Sae) -> Comparison {
    compare(large, small, 3, 0.4, &Cancel::new(), &|_| ()).unwrap()
}

#[derive(Deserialize)]
struct Golden {
    large: String,
    small: String,
    nearest: Vec<[u32; 3]>,
    cosines: Vec<[f32; 3]>,
    thetas: Vec<AtTheta>,
}

#[derive(Deserialize)]
struct AtTheta {
    theta: f32,
    groups: Vec<(Vec<u32>, Vec<u32>)>,
}

#[test]
fn nearest_latents_and_groups_equal_numpy_and_networkx() {
    for file in ["classes_jumprelu_standard.json", "classes_topk_rescale_topk.json"] {
        let golden: Golden = serde_json::from_slice(&std::fs::read(fixture(file)).unwrap()).unwrap();
        let (large, small) = (open(&golden.large), open(&golden.small));
        let comparison = compared(&large, &small);
        for (latent, (nearest, cosines)) in golden.nearest.iter().zip(&golden.cosines).enumerate() {
            let got = comparison.nearest.row(latent);
            assert_eq!(got.iter().map(|n| n.latent).collect::<Vec<_>>(), nearest, "{file}: latent {latent}");
            assert!(got.iter().zip(cosines).all(|(got, want)| (got.cosine - want).abs() < 1e-6));
        }
        for at in &golden.thetas {
            let classes = Classes::new(&comparison, at.theta).unwrap();
            let groups: Vec<_> = classes.groups.iter().map(|g| (g.large.clone(), g.small.clone())).collect();
            assert_eq!(groups, at.groups, "{file} at {}", at.theta);
            let census = classes.census();
            let (large_in, small_in) =
                at.groups.iter().fold((0, 0), |sum, group| (sum.0 + group.0.len(), sum.1 + group.1.len()));
            assert_eq!((census.reconstruction, census.novel), (large_in, large.width() - large_in));
            assert_eq!((census.groups, census.unmatched), (at.groups.len(), small.width() - small_in));
        }
    }
}

#[test]
fn effects_and_stitched_reconstructions_equal_numpy() {
    let golden = TensorFiles::open(&[Blob::path(fixture("stitching_standard_jumprelu.safetensors"))]).unwrap();
    let tensor = |name: &str| golden.get(name).unwrap();
    let (small, large) = (open("standard"), open("jumprelu"));
    let (pair, never, x) = (Pair::new(&small, &large).unwrap(), Cancel::new(), tensor("x"));
    let (f0, f1) = (small.encode(&x, &never).unwrap(), large.encode(&x, &never).unwrap());
    let counts: Vec<bool> = (0..f0.rows()).map(|row| row > 0).collect();
    let score = |mut scores: Scores, delta: &str, c_star: &str| {
        scores.add(pair, &x, &f0, &f1, &counts, &never).unwrap();
        for ((score, delta), c_star) in scores.scores().iter().zip(&tensor(delta)[..]).zip(&tensor(c_star)[..]) {
            let (delta, c_star) = (f64::from(*delta), f64::from(*c_star));
            assert!((score.delta_sse() - delta).abs() <= 1e-4 * (1.0 + delta.abs()), "{score:?}: {delta}");
            match score.c_star() {
                None => assert!(c_star.is_nan()),
                Some(got) => assert!((got - c_star).abs() <= 1e-4 * (1.0 + c_star.abs()), "{got} for {c_star}"),
            }
        }
        scores.scores().to_vec()
    };
    let inserted = score(Scores::insertions(pair), "insert_delta", "insert_c");
    let classes = Classes::new(&compared(&large, &small), tensor("theta")[0]).unwrap();
    let groups: Vec<Change> = classes.groups.iter().map(Change::from).collect();
    assert_eq!(groups.len(), tensor("group_delta").len());
    score(Scores::of(pair, &groups).unwrap(), "group_delta", "group_c");

    let (mut rule, mut helps) = (Vec::new(), Vec::new());
    for (score, m) in inserted.iter().zip(&classes.max_cosine).filter(|(score, _)| score.fired > 0) {
        rule.push(-f64::from(*m));
        helps.push(score.delta_sse() < 0.0);
    }
    assert!((roc_auc(&rule, &helps).unwrap() - f64::from(tensor("auc")[0])).abs() < 1e-6);

    let selection = Selection {
        small: (0..small.width()).map(|latent| latent % 3 != 0).collect(),
        large: (0..large.width()).map(|latent| latent % 2 == 0).collect(),
    };
    let x_hat = pair.decode(&pair.encode(&x, &selection, &never).unwrap(), &selection).unwrap();
    let want = tensor("stitched");
    for (got, want) in x_hat.chunks(16).zip(want.chunks(16)) {
        let largest = want.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
        assert!(got.iter().zip(want).all(|(got, want)| (got - want).abs() <= 1e-4 * largest));
    }
    let mut bench = Workbench::new(pair, &x, &f0, &f1, &counts).unwrap();
    let latents = |there: &[bool], wanted: bool| -> Vec<u32> {
        (0..there.len() as u32).filter(|&latent| there[latent as usize] == wanted).collect()
    };
    let change = Change::Swap { large: latents(&selection.large, true), small: latents(&selection.small, false) };
    bench.set(&change, true).unwrap();
    let (got, want) = (bench.point().mse, f64::from(tensor("stitched_mse")[0]));
    assert!((got - want).abs() <= 1e-4 * want, "{got} for {want}");
}
