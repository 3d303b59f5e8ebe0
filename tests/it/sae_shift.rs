//! An SAE moved by a constant: what it must see and give back.
//! Not here: which constant a model needs (`golden_model`).

use saescope::sae::{Activation, Normalisation, Sae, SaeWeights};
use saescope::task::Cancel;
use saescope::weights::Array;

fn values(count: usize, seed: u32) -> Vec<f32> {
    (0..count as u32).map(|i| ((i.wrapping_mul(2_654_435_761) ^ (seed * 97)) % 1000) as f32 / 500.0 - 1.0).collect()
}

#[test]
fn a_shifted_sae_sees_the_same_latents_and_gives_the_constant_back() {
    let (d, width, rows) = (6, 40, 5);
    let gated = Activation::Gated {
        b_gate: Array::owned(values(width, 7), &[width]),
        b_mag: Array::owned(values(width, 8), &[width]),
        r_mag: Array::owned(values(width, 9), &[width]),
    };
    let ways = [Normalisation::None, Normalisation::Scale(0.7)].map(|norm| [(norm, true), (norm, false)]).concat();
    for activation in [Activation::Relu, Activation::TopK { k: 7 }, gated] {
        for &(normalisation, apply_b_dec_to_input) in &ways {
            let sae = Sae::new(SaeWeights {
                w_enc: Array::owned(values(d * width, 1), &[d, width]).into(),
                b_enc: Array::owned(values(width, 2), &[width]),
                w_dec: Array::owned(values(d * width, 3), &[width, d]).into(),
                b_dec: Array::owned(values(d, 4), &[d]),
                apply_b_dec_to_input,
                rescale_acts_by_decoder_norm: false,
                activation: activation.clone(),
                normalisation,
            })
            .expect("fits together");
            let (shift, x) = (values(d, 5), values(rows * d, 6));
            let raw: Vec<f32> = x.iter().enumerate().map(|(at, x)| x + shift[at % d]).collect();
            let moved = sae.shifted(&shift).expect("is moved");
            let (want, got) =
                [(&sae, &x), (&moved, &raw)].map(|(s, x)| s.encode(x, &Cancel::new()).expect("encodes")).into();
            assert_eq!(want.latents, got.latents);
            assert!(want.values.iter().zip(&got.values).all(|(a, b)| (a - b).abs() < 1e-5));
            let (want, got) = (sae.decode(&want).expect("decodes"), moved.decode(&got).expect("decodes"));
            assert!((0..rows * d).all(|at| (want[at] + shift[at % d] - got[at]).abs() < 1e-4));
        }
    }
}
