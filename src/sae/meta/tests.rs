//! Properties of breakdowns, members and edits on random SAEs.

use proptest::prelude::*;

use super::*;
use crate::sae::train::directions;
use crate::sae::{Activation, Normalisation, SaeWeights};
use crate::weights::Array;

/// An SAE of random directions; row `zero` of its decoder is zero.
fn sae(width: usize, d: usize, seed: u64, threshold: f32, zero: Option<usize>) -> Sae {
    let mut w_dec = directions(width, d, seed);
    let w_enc = (0..d * width).map(|at| w_dec[at % width * d + at / width]).collect::<Vec<_>>();
    if let Some(row) = zero {
        w_dec[row * d..(row + 1) * d].fill(0.0);
    }
    Sae::new(SaeWeights {
        w_enc: Array::owned(w_enc, &[d, width]).into(),
        b_enc: Array::owned(vec![0.0; width], &[width]),
        w_dec: Array::owned(w_dec, &[width, d]).into(),
        b_dec: Array::owned(directions(1, d, seed + 1).iter().map(|v| 0.1 * v).collect::<Vec<_>>(), &[d]),
        apply_b_dec_to_input: true,
        rescale_acts_by_decoder_norm: false,
        activation: Activation::JumpRelu { threshold: Array::owned(vec![threshold; width], &[width]) },
        normalisation: Normalisation::None,
    })
    .expect("fits")
}

fn pairs(codes: &crate::sae::Codes, flip: bool) -> Vec<(u32, u32, u32)> {
    let mut pairs: Vec<_> = (0..codes.rows())
        .flat_map(|row| {
            let (latents, values) = codes.row(row);
            latents.iter().zip(values).map(move |(l, v)| (row as u32, *l, v.to_bits())).collect::<Vec<_>>()
        })
        .map(|(row, column, value)| if flip { (column, row, value) } else { (row, column, value) })
        .collect();
    pairs.sort_unstable();
    pairs
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn parts_and_rest_add_up_to_the_row(seed in 0u64..1000, threshold in 0.0f32..0.4, latent in 0usize..30) {
        let (of, meta, never) = (sae(30, 12, seed, 0.0, None), sae(20, 12, seed + 7, threshold, None), Cancel::new());
        let parts = breakdown(&meta, &of, latent, &never).expect("has parts");
        let mut sum: Vec<f64> = meta.parts().b_dec.iter().zip(&parts.residual).map(|(b, r)| f64::from(b + r)).collect();
        for part in &parts.components {
            prop_assert!(part.activation > threshold);
            let direction = meta.decoder_row(part.meta_latent as usize).expect("is there");
            sum.iter_mut().zip(direction.iter()).for_each(|(s, d)| *s += f64::from(part.activation * d));
        }
        for (sum, row) in sum.iter().zip(of.decoder_row(latent).expect("is there").iter()) {
            prop_assert!((sum * f64::from(parts.norm) - f64::from(*row)).abs() < 1e-5);
        }
        let shares = parts.components.iter().map(|part| part.share).sum::<f64>() + parts.bias + parts.rest;
        prop_assert!((shares - 1.0).abs() < 1e-5, "{shares}");
    }

    #[test]
    fn members_and_breakdowns_are_each_others_transposes(seed in 0u64..1000, threshold in 0.0f32..0.4) {
        let (of, meta, never) = (sae(40, 10, seed, 0.0, Some(3)), sae(16, 10, seed + 7, threshold, None), Cancel::new());
        let table = BreakdownTable::new(&meta, &of, &never).expect("fits");
        prop_assert_eq!(pairs(&table.breakdowns, false), pairs(&table.members, true));
        prop_assert_eq!(table.breakdowns.row(3).0.len(), 0, "a row of zeros has no parts");
        for latent in (0..40).filter(|latent| *latent != 3) {
            let mut parts = breakdown(&meta, &of, latent, &never).expect("has parts").components;
            parts.sort_by_key(|part| part.meta_latent);
            let (latents, values) = table.breakdowns.row(latent);
            prop_assert_eq!(parts.iter().map(|p| p.meta_latent).collect::<Vec<_>>(), latents.to_vec());
            prop_assert_eq!(parts.iter().map(|p| p.activation).collect::<Vec<_>>(), values.to_vec());
        }
        let dead = (0..16).filter(|meta| table.members_of(*meta).expect("is there").is_empty()).count();
        prop_assert_eq!(dead, table.quality.dead);
        prop_assert_eq!(table.quality.rows, 39);
    }

    #[test]
    fn an_edit_keeps_the_length_and_one_that_changes_nothing_keeps_the_bits(
        seed in 0u64..1000, latent in 0usize..30, other in 0u32..20, by in 0.1f32..1.0,
    ) {
        let (of, meta, never) = (sae(30, 12, seed, 0.0, None), sae(20, 12, seed + 7, 0.1, None), Cancel::new());
        let parts = breakdown(&meta, &of, latent, &never).expect("has parts");
        let row = &*of.decoder_row(latent).expect("is there");
        let silent = (0..20).find(|m| parts.components.iter().all(|part| part.meta_latent != *m)).expect("one is silent");
        for nothing in [vec![], vec![Edit::Remove(silent)], vec![Edit::Add(other, by), Edit::Add(other, -by)]] {
            prop_assert_eq!(&edited(&meta, &of, latent, &nothing, &never).expect("is edited"), row);
        }
        let new = edited(&meta, &of, latent, &[Edit::Add(other, by)], &never).expect("is edited");
        prop_assert!((dot(&new, &new).sqrt() - parts.norm).abs() < 1e-5);
        let control = random_edit(row, &new, seed);
        let distance = |to: &[f32]| to.iter().zip(row).map(|(a, b)| (a - b).powi(2)).sum::<f32>().sqrt();
        prop_assert!((distance(&control) - distance(&new)).abs() < 1e-4);
        prop_assert!((dot(&control, &control).sqrt() - parts.norm).abs() < 1e-5);
        prop_assert_eq!(random_edit(row, row, seed), row.to_vec());
    }

    #[test]
    fn activity_in_a_prompt_is_the_sum_over_latents(seed in 0u64..1000) {
        let (of, meta, never) = (sae(30, 12, seed, 0.2, None), sae(20, 12, seed + 7, 0.1, None), Cancel::new());
        let table = BreakdownTable::new(&meta, &of, &never).expect("fits");
        let codes = of.encode(&directions(4, 12, seed + 50).iter().map(|v| v * 3.0).collect::<Vec<_>>(), &never).expect("is encoded");
        let activity = table.activity(&codes);
        for row in 0..4 {
            for meta_latent in 0..20 {
                let (latents, values) = codes.row(row);
                let sum: f64 = latents.iter().zip(values).map(|(l, f)| f64::from(*f) * f64::from(table.breakdowns.activation(*l as usize, meta_latent))).sum();
                prop_assert!((f64::from(activity.activation(row, meta_latent)) - sum).abs() < 1e-4);
            }
        }
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let (of, meta, never) = (sae(10, 8, 1, 0.0, Some(2)), sae(6, 8, 2, 0.1, None), Cancel::new());
    let other = sae(6, 7, 3, 0.1, None);
    assert!(matches!(breakdown(&other, &of, 0, &never), Err(Error::Meta { .. })));
    assert!(matches!(BreakdownTable::new(&other, &of, &never), Err(Error::Meta { .. })));
    assert!(matches!(breakdown(&meta, &of, 2, &never), Err(Error::Zero { latent: 2 })));
    assert!(matches!(breakdown(&meta, &of, 10, &never), Err(Error::Latent { .. })));
    assert!(matches!(edited(&meta, &of, 0, &[Edit::Remove(6)], &never), Err(Error::Latent { .. })));
    let cancel = Cancel::new();
    cancel.cancel();
    assert!(matches!(BreakdownTable::new(&meta, &of, &cancel), Err(Error::Cancelled(_))));
}

#[test]
fn a_run_of_the_same_seed_is_stable_throughout() {
    let meta = sae(20, 12, 9, 0.1, None);
    let near = stability(&meta, &meta, &Cancel::new()).expect("fits");
    assert!(near.iter().enumerate().all(|(at, near)| near.latent as usize == at && near.cosine >= STABLE));
}
