//! What must hold of classes, groups, stitched SAEs and kept comparisons, whatever the weights.
//! Not here: NumPy's and networkx's answers (`golden_stitching.rs`).

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use proptest::prelude::*;
use saescope::sae::stitch::{
    Change, Order, Pair, Phase, Scores, Selection, Workbench, changes, curve, curve_by_encoding, plan,
};
use saescope::sae::{
    Activation, Class, Classes, Codes, Error, Group, Normalisation, Sae, SaeWeights, classes, compare, lens, metrics,
};
use saescope::task::Cancel;
use saescope::weights::Array;

fn values(count: usize, seed: u64, reach: i64, over: f32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..count)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((state >> 33) as i64 % (2 * reach + 1) - reach) as f32 / over
        })
        .collect()
}

fn fine(count: usize, seed: u64) -> Vec<f32> {
    values(count, seed, 1000, 777.0)
}

fn activation(kind: usize, width: usize, seed: u64) -> Activation {
    let vector = |seed: u64| Array::owned(fine(width, seed), &[width]);
    match kind {
        0 => Activation::Relu,
        1 => Activation::JumpRelu { threshold: vector(seed) },
        2 => Activation::Gated { b_gate: vector(seed), b_mag: vector(seed + 1), r_mag: vector(seed + 2) },
        _ => Activation::TopK { k: 1 + seed as usize % width.min(5) },
    }
}

fn sae(d_in: usize, width: usize, kind: usize, seed: u64) -> Sae {
    Sae::new(parts(d_in, width, kind, seed)).unwrap()
}

fn parts(d_in: usize, width: usize, kind: usize, seed: u64) -> SaeWeights {
    SaeWeights {
        w_enc: Array::owned(fine(d_in * width, seed * 9 + 1), &[d_in, width]).into(),
        b_enc: Array::owned(fine(width, seed * 9 + 2).iter().map(|b| b - 0.5).collect::<Vec<_>>(), &[width]),
        w_dec: Array::owned(fine(d_in * width, seed * 9 + 3), &[width, d_in]).into(),
        b_dec: Array::owned(fine(d_in, seed * 9 + 4), &[d_in]),
        apply_b_dec_to_input: seed.is_multiple_of(2),
        rescale_acts_by_decoder_norm: false,
        activation: activation(kind, width, seed),
        normalisation: Normalisation::None,
    }
}

fn never() -> Cancel {
    Cancel::new()
}

/// Rows to stitch on, which of them count, and what fires in both SAEs.
struct Text {
    x: Vec<f32>,
    counts: Vec<bool>,
    small: Codes,
    large: Codes,
}

impl Text {
    fn new(pair: Pair<'_>, rows: usize, seed: u64) -> Self {
        let x = fine(rows * pair.small().d_in(), seed + 500);
        let small = pair.small().encode(&x, &never()).unwrap();
        let large = pair.large().encode(&x, &never()).unwrap();
        Self { x, counts: (0..rows).map(|row| row % 4 != 0 || rows < 3).collect(), small, large }
    }

    fn bench(&self, pair: Pair<'_>) -> Workbench {
        Workbench::new(pair, &self.x, &self.small, &self.large, &self.counts).unwrap()
    }

    fn quality(&self, sae: &Sae) -> metrics::Quality {
        let codes = sae.encode(&self.x, &never()).unwrap();
        let x_hat = sae.decode(&codes).unwrap();
        metrics::quality(&self.x, &x_hat, &codes, &self.counts, sae.d_in()).unwrap()
    }
}

fn near(got: f64, want: f64) -> bool {
    (got - want).abs() <= 1e-4 * (1.0 + want.abs())
}

fn pick(width: usize, seed: u64, one_in: u64) -> Vec<bool> {
    values(width, seed, 1000, 1.0).into_iter().map(|v| (v as i64).unsigned_abs().is_multiple_of(one_in)).collect()
}

/// Components by walking the whole table of cosines.
fn plain_groups(large: &Sae, small: &Sae, theta: f32) -> (Vec<f32>, Vec<Group>) {
    let (n, m) = (large.width(), small.width());
    let mut edges = vec![Vec::new(); n];
    let mut best = vec![f32::NEG_INFINITY; n];
    for (i, edges) in edges.iter_mut().enumerate() {
        for neighbour in large.nearest(i, small, m).unwrap() {
            best[i] = best[i].max(neighbour.cosine);
            if neighbour.cosine >= theta {
                edges.push(neighbour.latent as usize);
            }
        }
    }
    let (mut seen, mut groups) = (vec![false; n], Vec::new());
    for start in (0..n).filter(|&i| !edges[i].is_empty()) {
        if seen[start] {
            continue;
        }
        let (mut larges, mut smalls) = (vec![start], Vec::new());
        loop {
            let more: Vec<usize> = larges.iter().flat_map(|&i| edges[i].iter().copied()).collect();
            let size = (larges.len(), smalls.len());
            smalls.extend(more);
            smalls.sort_unstable();
            smalls.dedup();
            larges.extend((0..n).filter(|&i| edges[i].iter().any(|j| smalls.contains(j))));
            larges.sort_unstable();
            larges.dedup();
            if size == (larges.len(), smalls.len()) {
                break;
            }
        }
        for &i in &larges {
            seen[i] = true;
        }
        let narrow = |latents: Vec<usize>| latents.into_iter().map(|latent| latent as u32).collect();
        groups.push(Group { large: narrow(larges), small: narrow(smalls) });
    }
    (best, groups)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn classes_and_groups_are_those_of_the_whole_table(
        d_in in 2usize..8, n in 1usize..60, m in 1usize..60, seed in 0u64..500, theta in -20i32..=20, coarse: bool,
    ) {
        let theta = theta as f32 / 20.0;
        let with = |width: usize, seed: u64| {
            let rows = if coarse { values(d_in * width, seed, 1, 1.0) } else { fine(d_in * width, seed) };
            Sae::new(SaeWeights { w_dec: Array::owned(rows, &[width, d_in]).into(), ..parts(d_in, width, 0, seed) }).unwrap()
        };
        let (large, small) = (with(n, seed), with(m, seed + 1));
        let comparison = compare(&large, &small, 1, -1.0, &never(), &|_| ()).unwrap();
        let got = Classes::new(&comparison, theta).unwrap();
        let (best, groups) = plain_groups(&large, &small, theta);
        prop_assert_eq!(&got.max_cosine, &best);
        prop_assert_eq!(&got.groups, &groups);
        let novel: Vec<u32> = (0..n as u32).filter(|&i| best[i as usize] < theta).collect();
        let matched: Vec<u32> = groups.iter().flat_map(|group| group.small.clone()).collect();
        prop_assert!((0..n as u32).all(|i| (got.classes[i as usize] == Class::Novel) == novel.contains(&i)));
        prop_assert!((0..m as u32).all(|j| got.unmatched.contains(&j) != matched.contains(&j)));
        let census = got.census();
        prop_assert_eq!((census.novel, census.reconstruction), (novel.len(), n - novel.len()));
        prop_assert_eq!((census.groups, census.unmatched), (groups.len(), m - matched.len()));
        prop_assert!(comparison.forest.edges.len() < n + m);
        // A comparison that starts at θ itself answers θ alike.
        let from_theta = compare(&large, &small, 3, theta, &never(), &|_| ()).unwrap();
        prop_assert_eq!(Classes::new(&from_theta, theta).unwrap(), got);
        for group in groups.iter().take(3) {
            let edges = classes::edges_within(group, &large, &small, theta).unwrap();
            prop_assert!(group.large.iter().all(|i| edges.iter().any(|edge| edge.large == *i)));
            prop_assert!(group.small.iter().all(|j| edges.iter().any(|edge| edge.small == *j)));
        }
    }

    #[test]
    fn nothing_put_in_is_the_smaller_sae_and_all_swapped_the_larger(
        d_in in 2usize..9, small in 1usize..20, large in 1usize..40, kinds in (0usize..3, 0usize..3), topk: bool,
        seed in 0u64..500, rows in 1usize..9, theta in 0i32..=20,
    ) {
        let kinds = if topk { (3, 3) } else { kinds };
        let (small, large) = (sae(d_in, small, kinds.0, seed), sae(d_in, large, kinds.1, seed + 1));
        let pair = Pair::new(&small, &large).unwrap();
        let text = Text::new(pair, rows, seed);
        let comparison = compare(&large, &small, 1, 0.0, &never(), &|_| ()).unwrap();
        let classes = Classes::new(&comparison, theta as f32 / 20.0).unwrap();
        let steps = changes(&classes);
        let mut scores = Scores::of(pair, steps.iter().map(|step| &step.change)).unwrap();
        scores.add(pair, &text.x, &text.small, &text.large, &text.counts, &never()).unwrap();
        let (from, to) = (text.quality(&small), text.quality(&large));
        let mut ends = Vec::new();
        for order in [Order::Effect, Order::Cosine, Order::Random(seed)] {
            let steps = plan(steps.clone(), scores.scores(), order);
            prop_assert!(steps.windows(2).all(|pair| pair[0].phase <= pair[1].phase));
            let curve = if topk {
                curve_by_encoding(pair, &text.x, &text.counts, &steps, 3, &never(), &|_| ()).unwrap()
            } else {
                curve(&mut text.bench(pair), &steps, &never(), &|_| ()).unwrap()
            };
            prop_assert_eq!(curve.tokens, from.tokens);
            let (first, last) = (curve.points[0], curve.points[curve.points.len() - 1]);
            prop_assert_eq!((first.removed, first.inserted), (0, 0));
            prop_assert_eq!((last.removed, last.inserted), (small.width(), large.width()));
            prop_assert!(near(first.mse, from.mse.unwrap()) && near(last.mse, to.mse.unwrap()));
            prop_assert!(near(first.l0, from.l0.unwrap()) && near(last.l0, to.l0.unwrap()));
            ends.push(last);
        }
        prop_assert!(ends.iter().all(|end| near(end.mse, ends[0].mse)));
    }

    #[test]
    fn a_workbench_agrees_with_encoding_again(
        d_in in 2usize..9, small in 1usize..20, large in 1usize..40, kinds in (0usize..3, 0usize..3), seed in 0u64..500,
        normalise: bool,
    ) {
        let normalisation = if normalise { Normalisation::LayerNorm } else { Normalisation::None };
        let make = |width, kind, seed| Sae::new(SaeWeights { normalisation, ..parts(d_in, width, kind, seed) }).unwrap();
        let (small, large) = (make(small, kinds.0, seed), make(large, kinds.1, seed + 1));
        let pair = Pair::new(&small, &large).unwrap();
        let text = Text::new(pair, 7, seed);
        let mut bench = text.bench(pair);
        let start = bench.point();
        let there = pick(small.width(), seed, 3);
        let change = Change::Swap {
            large: (0..large.width() as u32).filter(|&i| pick(large.width(), seed + 7, 2)[i as usize]).collect(),
            small: (0..small.width() as u32).filter(|&j| there[j as usize]).collect(),
        };
        bench.set(&change, true).unwrap();
        let got = bench.point();
        let want = pair.measure(&text.x, &text.counts, bench.selection(), &never()).unwrap();
        prop_assert!(near(got.mse, want.mse.unwrap()), "{} {}", got.mse, want.mse.unwrap());
        prop_assert!(near(got.l0, want.l0.unwrap()));
        let (got_ev, want_ev) = (got.explained_variance, want.explained_variance);
        prop_assert!(got_ev.zip(want_ev).is_some_and(|(got, want)| near(got, want)));
        let total: f64 = bench.row_errors().iter().map(|(_, error)| error).sum();
        prop_assert!(near(total, got.sse));
        let selected = pair.select(&text.small, &text.large, bench.selection()).unwrap();
        prop_assert_eq!(selected, pair.encode(&text.x, bench.selection(), &never()).unwrap());
        bench.set(&change, false).unwrap();
        prop_assert!(near(bench.point().mse, start.mse) && bench.point().l0 == start.l0);
        prop_assert_eq!(bench.selection(), &Selection::small_sae(pair));
    }

    #[test]
    fn c_star_predicts_what_a_change_does(
        d_in in 2usize..9, small in 1usize..20, large in 1usize..40, kinds in (0usize..3, 0usize..3), seed in 0u64..500,
        normalise: bool,
    ) {
        let normalisation = if normalise { Normalisation::ConstantNorm } else { Normalisation::None };
        // One bias for both, since scores hold it.
        let b_dec = Array::owned(fine(d_in, seed), &[d_in]);
        let make = |width, kind, seed| {
            Sae::new(SaeWeights { normalisation, b_dec: b_dec.clone(), ..parts(d_in, width, kind, seed) }).unwrap()
        };
        let (small, large) = (make(small, kinds.0, seed), make(large, kinds.1, seed + 1));
        let pair = Pair::new(&small, &large).unwrap();
        let text = Text::new(pair, 7, seed);
        let comparison = compare(&large, &small, 1, 0.0, &never(), &|_| ()).unwrap();
        let steps = changes(&Classes::new(&comparison, 0.5).unwrap());
        let insertions: Vec<Change> = (0..large.width() as u32).map(Change::Insert).collect();
        for changes in [insertions, steps.into_iter().map(|step| step.change).collect()] {
            let mut scores = Scores::of(pair, &changes).unwrap();
            scores.add(pair, &text.x, &text.small, &text.large, &text.counts, &never()).unwrap();
            let before = text.bench(pair).point().sse;
            for (change, score) in changes.iter().zip(scores.scores()) {
                let mut bench = text.bench(pair);
                bench.set(change, true).unwrap();
                let delta = bench.point().sse - before;
                prop_assert!((score.delta_sse() - delta).abs() <= 1e-4 * (1.0 + before), "{:?} {}", score, delta);
                match score.c_star() {
                    None => prop_assert!(delta.abs() <= 1e-9 * (1.0 + before)),
                    Some(c) => prop_assert!((c > 0.5) == (score.delta_sse() < 0.0)),
                }
            }
        }
    }

    #[test]
    fn scores_add_up_over_parts_of_a_text(seed in 0u64..500, cut in 0usize..12) {
        let (small, large) = (sae(5, 8, 0, seed), sae(5, 20, 1, seed + 1));
        let pair = Pair::new(&small, &large).unwrap();
        let text = Text::new(pair, 12, seed);
        let mut whole = Scores::insertions(pair);
        whole.add(pair, &text.x, &text.small, &text.large, &text.counts, &never()).unwrap();
        let mut parts = Scores::insertions(pair);
        for rows in [0..cut, cut..12] {
            let x = &text.x[rows.start * 5..rows.end * 5];
            let codes = [&small, &large].map(|sae| sae.encode(x, &never()).unwrap());
            parts.add(pair, x, &codes[0], &codes[1], &text.counts[rows], &never()).unwrap();
        }
        prop_assert_eq!(whole.tokens(), parts.tokens());
        for (a, b) in whole.scores().iter().zip(parts.scores()) {
            prop_assert_eq!(a.fired, b.fired);
            prop_assert!(near(a.gain, b.gain) && near(a.energy, b.energy));
        }
    }

    #[test]
    fn a_folded_sae_does_what_the_stitched_one_does(
        d_in in 2usize..9, small in 1usize..20, large in 1usize..40, kinds in (0usize..3, 0usize..3), topk: bool,
        rescale: bool, seed in 0u64..500,
    ) {
        let kinds = if topk { (3, 3) } else { kinds };
        let make = |width, kind, seed| {
            Sae::new(SaeWeights { rescale_acts_by_decoder_norm: rescale && kind != 2, ..parts(d_in, width, kind, seed) }).unwrap()
        };
        let (small, large) = (make(small, kinds.0, seed), make(large, kinds.1, seed + 1));
        let pair = Pair::new(&small, &large).unwrap();
        let mut selection = Selection { small: pick(small.width(), seed, 2), large: pick(large.width(), seed + 3, 2) };
        selection.large[0] = true;
        let x = fine(6 * d_in, seed + 9);
        let want = pair.decode(&pair.encode(&x, &selection, &never()).unwrap(), &selection).unwrap();
        let folded = pair.fold(&selection).unwrap();
        prop_assert_eq!(folded.width(), selection.counts().0 + selection.counts().1);
        let folder = tempfile::tempdir().unwrap();
        lens::save(folder.path(), &folded).unwrap();
        let blob = |name: &str| saescope::blob::Blob::path(folder.path().join(name));
        let opened = lens::open(&lens::SaeFiles {
            config: blob("cfg.json"), weights: vec![blob("sae_weights.safetensors")], sparsity: None,
        }).unwrap();
        let codes = opened.encode(&x, &never()).unwrap();
        prop_assert_eq!(&codes, &folded.encode(&x, &never()).unwrap(), "what is saved is what is opened");
        let got = opened.decode(&codes).unwrap();
        let largest = want.iter().fold(1.0f32, |largest, value| largest.max(value.abs()));
        prop_assert!(got.iter().zip(&want).all(|(got, want)| (got - want).abs() <= 2e-4 * largest), "{got:?} {want:?}");
    }
}

#[test]
fn saes_that_cannot_be_stitched_say_why() {
    let (relu, topk) = (sae(4, 5, 0, 2), sae(4, 5, 3, 2));
    assert!(matches!(Pair::new(&relu, &sae(5, 5, 0, 2)), Err(Error::Sizes { left: 4, right: 5 })));
    assert!(matches!(Pair::new(&relu, &topk), Err(Error::Unlike { .. })));
    let normed = Sae::new(SaeWeights { normalisation: Normalisation::LayerNorm, ..parts(4, 5, 0, 2) }).unwrap();
    let error = Pair::new(&relu, &normed).unwrap_err().to_string();
    assert_eq!(error, "the two SAEs cannot be stitched: they normalise their input differently");
    let pair = Pair::new(&topk, &topk).unwrap();
    assert!(pair.competes());
    let codes = topk.encode(&[1.0; 4], &never()).unwrap();
    assert!(matches!(Workbench::new(pair, &[1.0; 4], &codes, &codes, &[true]), Err(Error::Unlike { .. })));
}

#[test]
fn what_is_asked_wrongly_is_an_error_and_changes_nothing() {
    let (small, large) = (sae(4, 5, 0, 2), sae(4, 9, 0, 3));
    let pair = Pair::new(&small, &large).unwrap();
    let text = Text::new(pair, 4, 1);
    let mut bench = text.bench(pair);
    let before = bench.point();
    assert!(matches!(
        bench.set(&Change::Swap { large: vec![0, 9], small: vec![] }, true),
        Err(Error::Latent { latent: 9, .. })
    ));
    assert_eq!(bench.point(), before);
    let twice = [Change::Insert(3), Change::Swap { large: vec![3], small: vec![0] }];
    assert!(matches!(Scores::of(pair, &twice), Err(Error::Twice { side: "larger", latent: 3 })));
    let comparison = compare(&large, &small, 1, 0.3, &never(), &|_| ()).unwrap();
    for theta in [1.5, -1.01, f32::NAN, f32::INFINITY] {
        assert!(matches!(Classes::new(&comparison, theta), Err(Error::Threshold { .. })), "{theta}");
        assert!(matches!(compare(&large, &small, 1, theta, &never(), &|_| ()), Err(Error::Threshold { .. })));
    }
    assert!(matches!(Classes::new(&comparison, 0.2), Err(Error::Floor { .. })));
    let wrong = Selection { small: vec![true; 4], large: vec![false; 9] };
    assert!(matches!(pair.encode(&text.x, &wrong, &never()), Err(Error::Latent { .. })));
}

#[test]
fn an_empty_text_has_no_numbers_and_no_trouble() {
    let (small, large) = (sae(4, 5, 0, 2), sae(4, 9, 0, 3));
    let pair = Pair::new(&small, &large).unwrap();
    for counts in [vec![], vec![false; 2]] {
        let x = vec![0.5; counts.len() * 4];
        let codes = [&small, &large].map(|sae| sae.encode(&x, &never()).unwrap());
        let mut scores = Scores::insertions(pair);
        scores.add(pair, &x, &codes[0], &codes[1], &counts, &never()).unwrap();
        assert!(scores.tokens() == 0 && scores.scores().iter().all(|score| score.c_star().is_none()));
        let point = Workbench::new(pair, &x, &codes[0], &codes[1], &counts).unwrap().point();
        assert_eq!((point.mse, point.l0, point.explained_variance), (0.0, 0.0, None));
    }
}

#[test]
fn phases_put_in_swap_and_drop() {
    let steps = changes(&Classes {
        theta: 0.7,
        max_cosine: vec![0.2, 0.9, 0.1, 0.8],
        classes: vec![Class::Novel, Class::Reconstruction, Class::Novel, Class::Reconstruction],
        groups: vec![Group { large: vec![1, 3], small: vec![2] }],
        large_group: vec![None, Some(0), None, Some(0)],
        small_group: vec![None, None, Some(0)],
        unmatched: vec![0, 1],
    });
    let steps = plan(steps, &[], Order::Cosine);
    let told: Vec<_> = steps.iter().map(|s| (s.phase, s.change.large().to_vec(), s.change.small().to_vec())).collect();
    assert_eq!(
        told,
        [
            (Phase::Novel, vec![2], vec![]),
            (Phase::Novel, vec![0], vec![]),
            (Phase::Swap, vec![1, 3], vec![2]),
            (Phase::Drop, vec![], vec![0]),
            (Phase::Drop, vec![], vec![1]),
        ]
    );
    assert_eq!(steps[2].cosine, Some(0.9));
}
