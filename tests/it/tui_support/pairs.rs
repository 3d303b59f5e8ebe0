//! Hand-made answers about two prompts and lenses. Not here: anything computed but what pairs of the sample's runs.

use saescope::analysis::align::align;
use saescope::analysis::compare::{CompareView, pairs};
use saescope::analysis::swap::{SwapEnd, SwapLatent, SwapPoint, SwapRandom, SwapView};
use saescope::analysis::{Firing, JacobianView, LayerView, LensView, NextToken};
use saescope::session::{CompareQuery, LensOf, LensOffer, LensOfferQuery, LensPullQuery, LensQuery, SwapQuery};
use saescope::worker::{Answer, Job};

use super::{answer_to, hash, next_of, promoted, run_of};

pub fn compare(query: &CompareQuery) -> CompareView {
    let (a, b) = (run_of(&query.a), run_of(&query.b));
    let ids = |run: &saescope::analysis::Run| -> Vec<u32> {
        run.tokens.iter().map(|of| of.text.bytes().fold(7, |all, byte| all * 31 % 9973 + u32::from(byte))).collect()
    };
    let fires = |run: &saescope::analysis::Run| -> Vec<Vec<Firing>> {
        let run = run.saes.iter().find(|of| of.id == query.sae).expect("an SAE of the sample");
        let row = |of: &saescope::analysis::PositionRun| {
            let mut row = of.latents.clone();
            row.sort_by_key(|of| of.latent);
            row
        };
        run.positions.iter().map(row).collect()
    };
    let alignment = align(&ids(&a), &ids(&b), query.shift);
    let (fires_a, fires_b) = (fires(&a), fires(&b));
    let next = (next_of(a.tokens.len()), next_of(b.tokens.len()));
    CompareView {
        sae: query.sae.clone(),
        shift: query.shift,
        pairs: pairs(&alignment, (&fires_a, &fires_b), (&next.0, &next.1)),
        tokens_a: a.tokens,
        tokens_b: b.tokens,
        unpaired_a: alignment.unpaired_a,
        unpaired_b: alignment.unpaired_b,
        notes: Vec::new(),
        fires_a,
        fires_b,
    }
}

/// An interchange of nine latents, the fourth of which flips the answer.
pub fn swap(query: &SwapQuery) -> SwapView {
    let of = |k: usize| (-0.05 - 0.45 * k as f64, -4.5 + 0.8 * k as f64);
    let latent = |at: usize| SwapLatent { latent: at as u32 * 7, base: 0.0, source: 9.0 - at as f32, effect: -1.25 };
    let random = |k: usize| SwapRandom { k, flips: 0.0625, logprob_token: -0.1 * k as f64, logprob_other: -4.5 };
    SwapView {
        sae: query.sae.clone(),
        meta: query.meta.clone(),
        position: 2,
        source_position: 2,
        token: NextToken { id: 1, text: " Germany".into(), logprob: -0.05 },
        other: NextToken { id: 2, text: " Poland".into(), logprob: -0.2 },
        order: query.order,
        latents: (0..9).map(latent).collect(),
        curve: (0..10).map(|k| SwapPoint { k, logprob_token: of(k).0, logprob_other: of(k).1.min(-0.1) }).collect(),
        flips_at: Some(4),
        whole: SwapEnd { logprob_token: -4.0, logprob_other: -0.1, flips: true },
        random: [1, 2, 3, 4, 6, 8, 9].map(random).into(),
        orders: 16,
        notes: Vec::new(),
    }
}

/// Twelve blocks, of which the last has no Jacobian lens.
pub fn lens(query: &LensQuery) -> LensView {
    let layer = |layer: usize| LayerView {
        layer,
        next: next_of(layer + 1).pop().unwrap_or_default(),
        jacobian: (layer < 11).then(|| next_of(layer + 3).pop().unwrap_or_default()),
    };
    let jacobian = |layer, tokens| JacobianView { layer, prompts: Some(1000), source: "lens.pt".into(), tokens };
    match &query.of {
        LensOf::Prompt { .. } => LensView {
            layers: (0..12).map(layer).collect(),
            jacobian: Some(jacobian(None, Vec::new())),
            ..LensView::default()
        },
        LensOf::Latent { latent, .. } | LensOf::MetaLatent { meta_latent: latent, .. } => LensView {
            logit: promoted(512, *latent),
            jacobian: Some(jacobian(Some(7), promoted(512, latent + hash(*latent as usize, 1, 3) as u32 % 9 + 1))),
            ..LensView::default()
        },
    }
}

pub fn answer(job: &Job) -> Option<Answer> {
    let offer = LensOffer { file: "x/jlens/y/z_jacobian_lens_n1000.pt".into(), bytes: 13_000_000, prompts: Some(1000) };
    answer_to(job, compare)
        .or_else(|| answer_to(job, swap))
        .or_else(|| answer_to(job, lens))
        .or_else(|| answer_to(job, |_: &LensOfferQuery| offer.clone()))
        .or_else(|| answer_to(job, |query: &LensPullQuery| query.offer.clone()))
}
