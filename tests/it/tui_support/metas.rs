//! Hand-made answers about meta-SAEs: the widest SAE has one of 96 meta-latents.
//! Not here: anything computed.

use std::sync::Arc;

use saescope::analysis::{
    Arm, ArmView, BreakdownView, Continuation, Firing, Histogram, LadderEntry, Member, MemberFiring, MetaCard,
    MetaComponent, MetaEntry, MetaInfo, MetaName, MetaRun, Named, Neighbour, NextToken, PositionRun, SurgeryView,
    TokenFiring, TokenView,
};
use saescope::session::{
    BreakdownQuery, ContinueQuery, MetaCardQuery, MetaNames, MetaNamesQuery, MetaQuery, MetaRecipe, MetaRunQuery,
    MetaState, MetaTrained, MetasQuery, SurgeryQuery,
};
use saescope::worker::{Answer, Job};

use super::{WIDTHS, answer_to, cut, promoted};

/// The SAE that has a meta-SAE, and its id.
pub const SAE: &str = "2048";
pub const META: &str = "96-k4-s0";

pub fn info(stable: Option<usize>) -> MetaInfo {
    MetaInfo {
        meta: META.into(),
        sae: SAE.into(),
        width: 96,
        k: Some(4),
        threshold: 0.2,
        variance_explained: Some(0.4567),
        mean_active: 3.9,
        dead: 2,
        stable,
        trained: true,
        notes: Vec::new(),
    }
}

fn state() -> MetaState {
    MetaState {
        meta: META.into(),
        sae: SAE.into(),
        width: Some(96),
        trained: true,
        info: Some(Arc::new(info(Some(61)))),
        failure: None,
    }
}

/// The parts of a latent: four of them, by its number; a meta-latent is in every 24th latent.
fn ids(latent: u32) -> [u32; 4] {
    [0, 24, 48, 72].map(|from| from + latent % 24)
}

fn members(meta_latent: u32) -> Vec<Member> {
    (0..80)
        .map(|i| Member { latent: meta_latent % 24 + 24 * i, activation: 0.9 - 0.008 * i as f32 })
        .filter(|m| m.latent < 2048)
        .collect()
}

pub fn entry(latent: u32) -> MetaEntry {
    let component = |(i, meta_latent): (usize, u32)| MetaComponent {
        meta_latent,
        activation: 0.71 - 0.13 * i as f32,
        share: [0.41, 0.19, 0.08, 0.03][i],
        promoted: promoted(96, meta_latent),
        members: members(meta_latent).into_iter().take(6).collect(),
        stable: Some(i != 2),
    };
    MetaEntry {
        meta: META.into(),
        explained: 0.62,
        bias: 0.01,
        rest: 0.28,
        components: ids(latent).into_iter().enumerate().map(component).collect(),
    }
}

fn label(meta_latent: u32) -> MetaName {
    MetaName {
        meta_latent,
        promoted: promoted(96, meta_latent),
        members: members(meta_latent).into_iter().take(3).collect(),
        stable: Some(!meta_latent.is_multiple_of(3)),
    }
}

fn card(meta_latent: u32) -> MetaCard {
    let ladder = WIDTHS.iter().map(|width| LadderEntry {
        sae: width.to_string(),
        width: *width,
        nearest: vec![Neighbour { latent: meta_latent % *width as u32, cosine: 0.81 - *width as f32 * 1e-4 }],
        class: None,
        threshold: 0.7,
    });
    let on = |latent: u32, positions: &[usize]| MemberFiring {
        latent,
        activation: 0.6,
        tokens: positions.iter().map(|p| TokenFiring { position: *p, activation: 3.5 }).collect(),
    };
    let all = members(meta_latent);
    MetaCard {
        meta: META.into(),
        sae: SAE.into(),
        meta_latent,
        member_count: all.len() + 40,
        histogram: Histogram { low: 0.2, high: 0.9, counts: vec![40, 22, 15, 9, 7, 4, 2, 1, 3, 5, 6, 4, 1, 0, 0, 1] },
        promoted: promoted(96, meta_latent),
        suppressed: promoted(97, meta_latent),
        ladder: ladder.collect(),
        found_again: Some(0.93),
        stable: Some(true),
        firing: vec![on(all[0].latent, &[1, 2, 5]), on(all[1].latent, &[3])],
        members: all,
    }
}

fn run() -> MetaRun {
    let tokens = cut(super::PROMPT);
    let position = |position: usize| {
        let latents: Vec<Firing> = (0..7)
            .map(|i| Firing {
                latent: ((position * 5 + i * 11) % 96) as u32,
                activation: 9.0 / (1.0 + i as f32),
                quantile: None,
            })
            .collect();
        PositionRun { position, l0: latents.len(), latents }
    };
    MetaRun { meta: META.into(), sae: SAE.into(), positions: (0..tokens.len()).map(position).collect() }
}

fn surgery(operation: &saescope::analysis::SurgeryEdit, named: &[String]) -> SurgeryView {
    let edited = !operation.edits.is_empty();
    let words = [" Germany", " Ulm", " France", " Paris", " the", " 1879", " a", "\n", " Berlin", "東"];
    let arm = |(at, arm): (usize, Arm)| ArmView {
        arm,
        next: (0..10)
            .map(|i| {
                let shift = if edited && at == 1 { 2 } else { 0 };
                let word = (i + shift) % words.len();
                NextToken { id: word as u32, text: words[word].into(), logprob: -(0.4 + i as f32 * 0.7) }
            })
            .collect(),
    };
    SurgeryView {
        sae: operation.sae.clone(),
        meta: operation.meta.clone(),
        latent: operation.latent,
        size: if edited { 0.53 } else { 0.0 },
        fires: vec![TokenFiring { position: 2, activation: 7.5 }, TokenFiring { position: 5, activation: 1.5 }],
        arms: Arm::ALL.into_iter().enumerate().map(arm).collect(),
        named: named
            .iter()
            .map(|text| Named {
                text: text.clone(),
                ids: vec![7],
                logprobs: [-3.2, if edited { -1.1 } else { -3.2 }, -3.3],
            })
            .collect(),
        notes: Vec::new(),
    }
}

/// What would answer a question about meta-SAEs; none for the others.
pub fn answer(job: &Job) -> Option<Answer> {
    answer_to(job, |_: &MetasQuery| vec![state()])
        .or_else(|| answer_to(job, |_: &MetaQuery| info(Some(61))))
        .or_else(|| {
            answer_to(job, |query: &BreakdownQuery| BreakdownView {
                sae: query.sae.clone(),
                latent: query.latent,
                metas: vec![entry(query.latent)],
            })
        })
        .or_else(|| answer_to(job, |query: &MetaCardQuery| card(query.meta_latent)))
        .or_else(|| answer_to(job, |_: &MetaRunQuery| run()))
        .or_else(|| {
            answer_to(job, |MetaNamesQuery { sae, meta, meta_latents }| {
                let names = meta_latents.iter().map(|meta_latent| label(*meta_latent)).collect();
                MetaNames { sae: sae.clone(), meta: meta.clone(), names }
            })
        })
        .or_else(|| answer_to(job, |query: &SurgeryQuery| surgery(&query.operation, &query.named)))
        .or_else(|| answer_to(job, |query: &ContinueQuery| continuation(query.arm)))
        .or_else(|| {
            answer_to(job, |recipe: &MetaRecipe| MetaTrained {
                info: MetaInfo { sae: recipe.sae.clone(), ..info(None) },
                seconds: 4.2,
                folder: "/tmp/metas".into(),
            })
        })
}

fn continuation(arm: Arm) -> Continuation {
    Continuation {
        arm,
        tokens: vec![TokenView { position: 10, id: 3, text: " Ulm".into() }],
        text: match arm {
            Arm::Edited => " France, where he studied physics in Paris and wrote a theory of light".into(),
            Arm::Untouched | Arm::Random => " Germany. He was a physicist, and he won a prize in 1921.".into(),
        },
    }
}
