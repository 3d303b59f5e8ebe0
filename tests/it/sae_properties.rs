//! What must hold of every SAE, whatever its weights: against plain dense references, for odd shapes and any threads.
//! Not here: other programs' numbers (`golden_sae.rs`) and foreign bytes (`sae_bad_input.rs`).

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::cell::RefCell;

use proptest::prelude::*;
use saescope::sae::stitch::Pair;
use saescope::sae::{Activation, Codes, Error, Neighbour, Normalisation, Sae, SaeWeights, metrics, nearest_all};
use saescope::task::Cancel;
use saescope::weights::Array;

/// Small whole numbers: every sum of their products is exact in f32, so references can be compared bit by bit.
fn whole(count: usize, seed: u64, reach: i64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..count)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((state >> 33) as i64 % (2 * reach + 1) - reach) as f32
        })
        .collect()
}

fn broken(count: usize, seed: u64) -> Vec<f32> {
    whole(count, seed, 1000).into_iter().map(|value| value / 777.0).collect()
}

fn parts(d_in: usize, width: usize, activation: Activation, make: impl Fn(usize, u64) -> Vec<f32>) -> SaeWeights {
    SaeWeights {
        w_enc: Array::owned(make(d_in * width, 1), &[d_in, width]).into(),
        b_enc: Array::owned(make(width, 2), &[width]),
        w_dec: Array::owned(make(d_in * width, 3), &[width, d_in]).into(),
        b_dec: Array::owned(make(d_in, 4), &[d_in]),
        apply_b_dec_to_input: true,
        rescale_acts_by_decoder_norm: false,
        activation,
        normalisation: Normalisation::None,
    }
}

fn activation(kind: usize, width: usize, seed: u64) -> Activation {
    let vector = |seed: u64| Array::owned(whole(width, seed, 4), &[width]);
    match kind {
        0 => Activation::Relu,
        1 => Activation::JumpRelu { threshold: vector(seed) },
        2 => Activation::TopK { k: 1 + seed as usize % width.min(9) },
        // Groups of the largest size up to 9 that divides the width, so that many lie across two tiles.
        3 => Activation::GroupMax { k: width / (1..=9).filter(|size| width.is_multiple_of(*size)).max().unwrap_or(1) },
        // exp(0) is 1, so the magnitudes stay whole numbers.
        _ => Activation::Gated {
            b_gate: vector(seed),
            b_mag: vector(seed + 1),
            r_mag: Array::owned(vec![0.0; width], &[width]),
        },
    }
}

/// The plain dense encoder, one pair at a time.
fn reference(sae: &Sae, x: &[f32]) -> Vec<Vec<(u32, f32)>> {
    let parts = sae.parts();
    let w_enc = parts.w_enc.to_array();
    x.chunks(sae.d_in())
        .map(|row| {
            let products: Vec<f32> = (0..sae.width())
                .map(|latent| {
                    let terms = row.iter().enumerate().map(|(dim, x)| {
                        let bias = if parts.apply_b_dec_to_input { parts.b_dec[dim] } else { 0.0 };
                        (x - bias) * w_enc[dim * sae.width() + latent]
                    });
                    terms.sum()
                })
                .collect();
            let pre: Vec<f32> = products.iter().zip(parts.b_enc.iter()).map(|(p, b)| p + b).collect();
            let mut fired: Vec<(u32, f32)> = match &parts.activation {
                Activation::Gated { b_gate, b_mag, .. } => (0..sae.width())
                    .filter(|&i| products[i] + b_gate[i] > 0.0)
                    .map(|i| (i as u32, products[i] + b_mag[i]))
                    .collect(),
                Activation::JumpRelu { threshold } => {
                    (0..sae.width()).filter(|&i| pre[i] > threshold[i]).map(|i| (i as u32, pre[i])).collect()
                }
                _ => (0..sae.width()).map(|i| (i as u32, pre[i])).collect(),
            };
            if let Activation::TopK { k } = parts.activation {
                fired.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
                fired.truncate(k);
                fired.sort_by_key(|pair| pair.0);
            }
            if let Activation::GroupMax { k } = parts.activation {
                let largest = |group: &[(u32, f32)]| {
                    group.iter().copied().reduce(|a, b| if b.1 > a.1 { b } else { a }).expect("a group has latents")
                };
                fired = fired.chunks(sae.width() / k).map(largest).collect();
            }
            fired.retain(|pair| pair.1 > 0.0);
            fired
        })
        .collect()
}

fn on_threads<T: Send>(threads: usize, work: impl FnOnce() -> T + Send) -> T {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(work)
}

fn bits(codes: &Codes) -> (Vec<usize>, Vec<u32>, Vec<u32>) {
    (codes.starts.clone(), codes.latents.clone(), codes.values.iter().map(|value| value.to_bits()).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn encode_equals_the_dense_reference(
        d_in in 1usize..20, width in 1usize..1200, rows in 0usize..5, kind in 0usize..5, seed in 0u64..1000, c: bool,
    ) {
        let mut parts = parts(d_in, width, activation(kind, width, seed), |n, s| whole(n, seed * 8 + s, 3));
        parts.apply_b_dec_to_input = c;
        let sae = Sae::new(parts).unwrap();
        let x = whole(rows * d_in, seed + 77, 3);
        let want = Codes::from_rows(reference(&sae, &x));
        prop_assert_eq!(sae.encode(&x, &Cancel::new()).unwrap(), want);
    }

    #[test]
    fn any_number_of_threads_gives_the_same_bits(
        d_in in 1usize..40, width in 1usize..1300, rows in 1usize..150, kind in 0usize..5, seed in 0u64..1000,
    ) {
        let sae = Sae::new(parts(d_in, width, activation(kind, width, seed), |n, s| broken(n, seed * 8 + s))).unwrap();
        let x = broken(rows * d_in, seed + 77);
        let one = on_threads(1, || sae.encode(&x, &Cancel::new()).unwrap());
        let many = on_threads(5, || sae.encode(&x, &Cancel::new()).unwrap());
        prop_assert_eq!(bits(&one), bits(&many));
        let hats = [1, 5].map(|threads| on_threads(threads, || sae.decode(&one).unwrap()));
        prop_assert_eq!(hats[0].iter().map(|v| v.to_bits()).collect::<Vec<_>>(),
            hats[1].iter().map(|v| v.to_bits()).collect::<Vec<_>>());
    }

    #[test]
    fn decode_is_linear_around_the_bias(d_in in 1usize..20, width in 1usize..600, seed in 0u64..1000) {
        let sae = Sae::new(parts(d_in, width, Activation::Relu, |n, s| whole(n, seed * 8 + s, 3))).unwrap();
        let values = whole(width, seed + 5, 2);
        let pairs = |scale: f32| Codes::from_rows([values.iter().enumerate().map(|(i, v)| (i as u32, v * scale))
            .collect::<Vec<_>>()]);
        let bias = sae.decode(&Codes::from_rows([vec![]])).unwrap();
        prop_assert_eq!(&bias[..], &sae.parts().b_dec[..]);
        let (once, twice) = (sae.decode(&pairs(1.0)).unwrap(), sae.decode(&pairs(2.0)).unwrap());
        for dim in 0..d_in {
            prop_assert_eq!(twice[dim] - bias[dim], 2.0 * (once[dim] - bias[dim]));
        }
    }

    #[test]
    fn topk_keeps_exactly_the_largest_positive(width in 1usize..1300, k in 1usize..40, seed in 0u64..1000) {
        let k = k.min(width);
        let sae = Sae::new(parts(3, width, Activation::TopK { k }, |n, s| broken(n, seed * 8 + s))).unwrap();
        let relu = Sae::new(parts(3, width, Activation::Relu, |n, s| broken(n, seed * 8 + s))).unwrap();
        let x = broken(3, seed);
        let (codes, all) = (sae.encode(&x, &Cancel::new()).unwrap(), relu.encode(&x, &Cancel::new()).unwrap());
        prop_assert_eq!(codes.latents.len(), k.min(all.latents.len()));
        let smallest = codes.values.iter().copied().fold(f32::INFINITY, f32::min);
        for (latent, value) in all.latents.iter().zip(&all.values) {
            let kept = codes.activation(0, *latent);
            let right = if kept > 0.0 { kept == *value } else { *value <= smallest };
            prop_assert!(right);
        }
    }

    #[test]
    fn normalisation_is_undone(d_in in 2usize..30, seed in 0u64..1000, kind in 0usize..3) {
        // Encoder and decoder that pass x through: pre = x′ for latents 0..d, −x′ for the rest.
        let mut eye = vec![0.0; d_in * 2 * d_in];
        for dim in 0..d_in {
            eye[dim * 2 * d_in + dim] = 1.0;
            eye[dim * 2 * d_in + d_in + dim] = -1.0;
        }
        let mut back = vec![0.0; 2 * d_in * d_in];
        for dim in 0..d_in {
            back[dim * d_in + dim] = 1.0;
            back[(d_in + dim) * d_in + dim] = -1.0;
        }
        let normalisation = [Normalisation::LayerNorm, Normalisation::ConstantNorm, Normalisation::Scale(0.125)][kind];
        let sae = Sae::new(SaeWeights {
            w_enc: Array::owned(eye, &[d_in, 2 * d_in]).into(),
            b_enc: Array::owned(vec![0.0; 2 * d_in], &[2 * d_in]),
            w_dec: Array::owned(back, &[2 * d_in, d_in]).into(),
            b_dec: Array::owned(vec![0.0; d_in], &[d_in]),
            normalisation,
            ..parts(d_in, 2 * d_in, Activation::Relu, |n, _| vec![0.0; n])
        }).unwrap();
        let mut x = broken(3 * d_in, seed);
        x[..d_in].fill(0.0);
        let x_hat = sae.decode(&sae.encode(&x, &Cancel::new()).unwrap()).unwrap();
        for (got, want) in x_hat.iter().zip(&x) {
            prop_assert!((got - want).abs() < 1e-4, "{} {}", got, want);
        }
    }

    #[test]
    fn nearest_latents_are_those_of_the_whole_table(
        d_in in 1usize..20, n in 1usize..90, m in 1usize..700, k in 0usize..12, seed in 0u64..1000, coarse: bool,
    ) {
        // Coarse weights make many ties and rows of zeros.
        let make = |count, seed| if coarse { whole(count, seed, 1) } else { broken(count, seed) };
        let large = Sae::new(parts(d_in, n, Activation::Relu, |c, s| make(c, seed * 8 + s))).unwrap();
        let small = Sae::new(parts(d_in, m, Activation::Relu, |c, s| make(c, seed * 8 + s + 4))).unwrap();
        let table = on_threads(3, || nearest_all(&large, &small, k, &Cancel::new(), &|_| ()).unwrap());
        let again = on_threads(1, || nearest_all(&large, &small, k, &Cancel::new(), &|_| ()).unwrap());
        prop_assert_eq!(&table, &again);
        prop_assert_eq!(table.k, k.min(m));
        for latent in 0..n {
            let one = large.nearest(latent, &small, k).unwrap();
            if k > 0 {
                prop_assert_eq!(table.row(latent), &one[..]);
            }
            let row = large.decoder_row(latent).unwrap();
            let mut all: Vec<Neighbour> = (0..m)
                .map(|other| Neighbour { latent: other as u32, cosine: plain_cosine(&row, &small.decoder_row(other).unwrap()) })
                .collect();
            all.sort_by(|a, b| b.cosine.total_cmp(&a.cosine).then(a.latent.cmp(&b.latent)));
            for (got, want) in one.iter().zip(&all) {
                prop_assert!((got.cosine - want.cosine).abs() < 1e-5, "{} {}", got.cosine, want.cosine);
                // Whole numbers leave no rounding: the same latents in the same order, ties by index.
                prop_assert!(!coarse || got == want, "{:?} {:?}", got, want);
            }
            for pair in one.windows(2) {
                prop_assert!(pair[0].cosine > pair[1].cosine
                    || (pair[0].cosine == pair[1].cosine && pair[0].latent < pair[1].latent));
            }
        }
    }
}

fn plain_cosine(a: &[f32], b: &[f32]) -> f32 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum::<f64>();
    let lengths = (dot(a, a) * dot(b, b)).sqrt();
    // `+ 0.0` makes a negative zero positive: the two are the same cosine, and a tie.
    if lengths == 0.0 { 0.0 } else { (dot(a, b) / lengths) as f32 + 0.0 }
}

fn tiny(w_dec: &[f32], d_in: usize) -> Sae {
    let width = w_dec.len() / d_in;
    let mut parts = parts(d_in, width, Activation::Relu, |n, _| vec![0.0; n]);
    parts.w_dec = Array::owned(w_dec.to_vec(), &[width, d_in]).into();
    Sae::new(parts).unwrap()
}

#[test]
fn a_row_of_zeros_has_cosine_zero_with_everything() {
    let sae = tiny(&[0.0, 0.0, 1.0, 0.0, -1.0, 0.0], 2);
    let got = sae.nearest(1, &sae, 3).unwrap();
    let got: Vec<_> = got.iter().map(|n| (n.latent, n.cosine)).collect();
    assert_eq!(got, [(1, 1.0), (0, 0.0), (2, -1.0)]);
    assert!(sae.nearest(0, &sae, 3).unwrap().iter().all(|n| n.cosine == 0.0));
}

#[test]
fn equal_rows_have_cosine_one_whatever_their_length() {
    for scale in [1e-30f32, 1e-12, 0.3, 7.0, 1e12, 1e30] {
        let row: Vec<f32> = [0.1, -0.7, 0.3].iter().map(|value| value * scale).collect();
        let sae = tiny(&[row.clone(), vec![1.0, 0.0, 0.0], row].concat(), 3);
        let got = sae.nearest(2, &sae, 2).unwrap();
        assert_eq!(got.iter().map(|n| n.latent).collect::<Vec<_>>(), [0, 2], "ties go to the lower index");
        assert!(got.iter().all(|n| n.cosine == 1.0), "{scale}: {got:?}");
        let table = nearest_all(&sae, &sae, 2, &Cancel::new(), &|_| ()).unwrap();
        assert_eq!(table.row(2), got);
    }
}

#[test]
fn promoted_directions_are_scanned_row_by_row() {
    let sae = tiny(&[1.0, 2.0, 3.0, 4.0, -1.0, 0.5], 2);
    assert_eq!(sae.dot_rows(&[2.0, -1.0]).unwrap(), [0.0, 2.0, -2.5]);
    assert!(matches!(sae.dot_rows(&[1.0]), Err(Error::Sizes { left: 1, right: 2 })));
}

#[test]
fn an_activation_that_is_not_finite_is_an_error() {
    let sae = Sae::new(parts(3, 5, Activation::Relu, broken)).unwrap();
    for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let error = sae.encode(&[0.0, 1.0, 2.0, 3.0, value, 5.0], &Cancel::new()).unwrap_err();
        assert!(matches!(error, Error::InputNotFinite { row: 1, dim: 1, .. }), "{error}");
    }
    assert!(matches!(sae.encode(&[0.0; 4], &Cancel::new()), Err(Error::InputSize { found: 4, d_in: 3 })));
}

#[test]
fn an_overflow_is_an_error_and_no_number() {
    for kind in 0..4 {
        let mut parts = parts(2, 4, activation(kind, 4, 1), broken);
        parts.w_enc = Array::owned(vec![3e38; 8], &[2, 4]).into();
        let sae = Sae::new(parts).unwrap();
        let error = sae.encode(&[0.0, 0.0, 9e9, 9e9], &Cancel::new()).unwrap_err();
        assert!(matches!(error, Error::Overflow { row: 1, place: "latent", .. }), "{error}");
        // ∞ − ∞ is not a number, and must not pass for silence.
        let error = sae.encode(&[9e9, -9e9], &Cancel::new()).unwrap_err();
        assert!(matches!(error, Error::Overflow { row: 0, .. }), "{error}");
    }
}

#[test]
fn work_nobody_wants_stops() {
    let sae = Sae::new(parts(3, 5, Activation::Relu, broken)).unwrap();
    let cancel = Cancel::new();
    cancel.cancel();
    assert!(matches!(sae.encode(&[0.0; 3], &cancel), Err(Error::Cancelled(_))));
    assert!(matches!(nearest_all(&sae, &sae, 1, &cancel, &|_| ()), Err(Error::Cancelled(_))));
}

#[test]
fn progress_ends_at_the_number_of_latents() {
    let sae = Sae::new(parts(3, 200, Activation::Relu, broken)).unwrap();
    let seen = RefCell::new(Vec::new());
    nearest_all(&sae, &sae, 1, &Cancel::new(), &|progress| seen.borrow_mut().push(progress)).unwrap();
    let seen = seen.into_inner();
    assert!(seen.windows(2).all(|pair| pair[0].done <= pair[1].done));
    assert_eq!(seen.last().map(|progress| (progress.done, progress.total)), Some((200, Some(200))));
}

#[test]
fn parts_that_do_not_fit_are_refused() {
    let fits = || parts(3, 5, Activation::Relu, broken);
    let wrong = Sae::new(SaeWeights { b_dec: Array::owned(vec![0.0; 4], &[4]), ..fits() }).unwrap_err();
    assert!(matches!(wrong, Error::SaeWeights { tensor: "b_dec", .. }), "{wrong}");
    let nan =
        Sae::new(SaeWeights { b_enc: Array::owned(vec![0.0, 0.0, f32::NAN, 0.0, 0.0], &[5]), ..fits() }).unwrap_err();
    assert!(matches!(nan, Error::PartNotFinite { tensor: "b_enc", index: 2, .. }), "{nan}");
    for k in [0, 6] {
        let error = Sae::new(SaeWeights { activation: Activation::TopK { k }, ..fits() }).unwrap_err();
        assert!(matches!(error, Error::K { width: 5, .. }), "{error}");
    }
    for (d_in, width) in [(0, 5), (5, 0), (0, 0)] {
        assert!(Sae::new(parts(d_in, width, Activation::Relu, broken)).is_err());
    }
    let sae = Sae::new(fits()).unwrap();
    assert!(matches!(sae.decoder_row(5), Err(Error::Latent { latent: 5, width: 5 })));
    let foreign = Codes::from_rows([vec![(5, 1.0)]]);
    assert!(matches!(sae.decode(&foreign), Err(Error::Latent { .. })));
}

#[test]
fn what_reads_one_size_and_writes_another_is_measured_against_what_it_writes_to() {
    let (d_in, d_out, width, rows) = (3, 5, 7, 4);
    let wide = || SaeWeights {
        w_dec: Array::owned(broken(width * d_out, 8), &[width, d_out]).into(),
        b_dec: Array::owned(broken(d_out, 9), &[d_out]),
        apply_b_dec_to_input: false,
        ..parts(d_in, width, Activation::Relu, broken)
    };
    let sae = Sae::new(wide()).unwrap();
    assert_eq!((sae.d_in(), sae.d_out(), sae.width()), (d_in, d_out, width));
    let (x, target) = (broken(rows * d_in, 1), broken(rows * d_out, 2));
    let codes = sae.encode(&x, &Cancel::new()).unwrap();
    let x_hat = sae.decode(&codes).unwrap();
    assert_eq!(x_hat.len(), rows * d_out);
    let counts = vec![true; rows];
    let quality = metrics::quality(&target, &x_hat, &codes, &counts, d_out).unwrap();
    let error: f64 = target.iter().zip(&x_hat).map(|(t, x)| (f64::from(*t) - f64::from(*x)).powi(2)).sum();
    assert!((quality.mse.unwrap() - error / (rows * d_out) as f64).abs() < 1e-9);
    assert!(
        metrics::quality(&x, &x_hat, &codes, &counts, d_out).is_err(),
        "the target has another size than the input"
    );
    // What is taken from the input, and what is undone of it, has its size.
    assert!(Sae::new(SaeWeights { apply_b_dec_to_input: true, ..wide() }).is_err());
    assert!(Sae::new(SaeWeights { normalisation: Normalisation::LayerNorm, ..wide() }).is_err());
    assert!(Pair::new(&sae, &Sae::new(parts(d_in, width, Activation::Relu, broken)).unwrap()).is_err());
}
