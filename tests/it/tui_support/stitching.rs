//! Hand-made answers of stitching for the screens: two SAEs compared, measured and built together.
//! Not here: anything computed.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::sync::Arc;

use saescope::analysis::{
    BenchLoss, Change, Class, CurveLoss, CurvePoint, CurveView, Effect, Family, GroupView, Losses, Measures, Neighbour,
    Order, PairView, Phase, Relation, Rung, TextInfo, Verdict, WorkbenchView,
};
use saescope::sae::stitch::Score;
use saescope::sae::{Comparison, Edge, Forest, NearestTable};
use saescope::session::{
    CurveLossQuery, CurveQuery, ExportQuery, FamilyQuery, GroupQuery, Loss, LossQuery, PairQuery, TablesQuery,
    TextQuery, VerdictQuery, WorkbenchQuery,
};
use saescope::worker::{Answer, Job};

use super::{WIDTHS, answer_to, hash};

pub const TEXT_TOKENS: usize = 4012;

fn width_of(id: &str) -> usize {
    id.parse().unwrap_or(512)
}

pub fn text() -> TextInfo {
    TextInfo { name: "english.txt".into(), tokens: TEXT_TOKENS }
}

/// The nearest latent of the smaller SAE and its cosine.
pub fn nearest(small: usize, latent: u32) -> Neighbour {
    let of = (hash(small, latent as usize, 3) % small) as u32;
    let cosine = 0.32 + (hash(small, latent as usize, 5) % 670) as f32 / 1000.0;
    Neighbour { latent: of, cosine }
}

/// Some latents are near a second one of the smaller SAE.
fn second(small: usize, latent: u32) -> Option<Edge> {
    let near = nearest(small, latent);
    latent.is_multiple_of(5).then(|| Edge {
        large: latent,
        small: (near.latent + 1) % small as u32,
        cosine: near.cosine - 0.03,
    })
}

pub fn pair(small: &str, large: &str) -> PairView {
    let (narrow, wide) = (width_of(small), width_of(large));
    let near: Vec<Neighbour> = (0..wide as u32).map(|latent| nearest(narrow, latent)).collect();
    let mut edges: Vec<Edge> = near
        .iter()
        .enumerate()
        .map(|(latent, near)| Edge { large: latent as u32, small: near.latent, cosine: near.cosine })
        .collect();
    edges.extend((0..wide as u32).filter_map(|latent| second(narrow, latent)));
    edges.sort_by(|a, b| b.cosine.total_cmp(&a.cosine));
    let comparison = Comparison {
        nearest: NearestTable { k: 1, neighbours: near.clone().into() },
        forest: Forest { floor: 0.3, large: wide, small: narrow, edges: edges.into() },
    };
    let score = |latent: usize| {
        let fired = hash(wide, latent, 11) % 400;
        if fired < 30 {
            return Score::default();
        }
        let energy = fired as f64 * 2.5;
        Score { fired: fired as u64, energy, gain: energy * (1.3 - f64::from(near[latent].cosine) + spread(latent)) }
    };
    let scores: Vec<Score> = (0..wide).map(score).collect();
    let fired = (0..narrow).map(|latent| (hash(narrow, latent, 13) % 400) as u64).collect();
    PairView::new((small.into(), large.into()), Arc::new(comparison), &scores, fired, text(), 64).expect("a pair")
}

fn spread(latent: usize) -> f64 {
    (hash(7, latent, 17) % 100) as f64 / 200.0 - 0.25
}

fn measures(mse: f64, l0: f64, ce: Option<f64>) -> Measures {
    Measures { mse, explained_variance: Some(1.0 - mse / 12.0), l0, ce }
}

fn effect(tokens: usize, fired: u64, c_star: Option<f64>, ce: bool) -> Effect {
    let change = c_star.map_or(0.0, |c| (0.5 - c) * 0.04);
    Effect {
        tokens,
        fired,
        c_star,
        before: measures(1.43, 13.8, ce.then_some(3.4125)),
        after: measures(1.43 + change, 13.8 + fired as f64 / tokens as f64, ce.then_some(3.4125 + change)),
    }
}

pub fn verdict(small: &str, large: &str, latent: u32, threshold: f32, ce: bool) -> Verdict {
    let view = pair(small, large);
    let row = view.rows[latent as usize % view.rows.len()];
    let class = row.class(threshold);
    let disagrees = row.disagrees(threshold);
    let words = match (class, disagrees) {
        (Some(Class::Novel), Some(true)) => {
            "novel by cosine, yet putting it in raises the error on the text: c* is below one half"
        }
        (Some(Class::Reconstruction), Some(true)) => {
            "a reconstruction by cosine, yet putting it in lowers the error on the text"
        }
        (Some(Class::Novel), _) => {
            "novel: nothing in the narrower SAE comes near it, and putting it in lowers the error"
        }
        (_, _) => "a reconstruction: the narrower SAE has it, and putting it in does not help",
    };
    Verdict {
        small: small.into(),
        large: large.into(),
        latent,
        max_cosine: row.max_cosine,
        nearest: Neighbour { latent: row.nearest, cosine: row.max_cosine },
        threshold,
        class,
        agrees: disagrees.map(|d| !d),
        prompt: effect(9, 2, Some(0.62), ce),
        text: Some(effect(TEXT_TOKENS, row.fired, row.c_star, ce)),
        reencoded: false,
        words: words.into(),
    }
}

pub fn family(sae: &str, latent: u32, threshold: f32) -> Family {
    let width = width_of(sae);
    let rungs = WIDTHS.iter().map(|other| {
        let near = |i: usize| Neighbour {
            latent: (hash(width, latent as usize, other + i) % other) as u32,
            cosine: 0.93 - i as f32 * 0.11 - (other.abs_diff(width) as f32).max(1.0).log2() * 0.03,
        };
        let relation = match other.cmp(&width) {
            std::cmp::Ordering::Less => Relation::Parent,
            std::cmp::Ordering::Equal => Relation::Own,
            std::cmp::Ordering::Greater => Relation::Child,
        };
        let relatives = match relation {
            Relation::Own => Vec::new(),
            Relation::Parent => vec![near(0)],
            Relation::Child => (0..(other / width).min(6)).map(near).collect(),
        };
        let nearest = if relation == Relation::Own { Vec::new() } else { vec![near(0)] };
        let class = (relation == Relation::Parent).then(|| Class::of(near(0).cosine, threshold));
        Rung { sae: other.to_string(), width: *other, relation, nearest, class, relatives: Some(relatives) }
    });
    Family { sae: sae.into(), latent, threshold, rungs: rungs.collect() }
}

pub fn bench(small: &str, large: &str, changes: &[Change]) -> WorkbenchView {
    let mut counts = (0, 0);
    for change in changes {
        match change {
            Change::Insert(_) => counts.0 += 1,
            Change::Remove(_) => counts.1 += 1,
            Change::Swap { small, large } => {
                counts.0 += large.len();
                counts.1 += small.len();
            }
        }
    }
    let gain = 0.01 * counts.0 as f64;
    let error = |position: usize| {
        if position == 0 || changes.is_empty() {
            return (0.0, 0.0, 0.0);
        }
        let small = 10.0 + position as f64;
        let change = [0.0, -0.31, 0.0, 0.04, -0.002, 0.12][position % 6];
        (small, small * (1.0 + change), small * 0.8)
    };
    WorkbenchView {
        small: small.into(),
        large: large.into(),
        changes: changes.to_vec(),
        prompt: measures(1.43 - gain, 13.8 + gain, None),
        text: Some(measures(1.51 - gain, 14.1 + gain, None)),
        parents: [
            (measures(1.43, 13.8, None), Some(measures(1.51, 14.1, None))),
            (measures(1.08, 15.1, None), Some(measures(1.12, 15.6, None))),
        ],
        inserted: counts.0,
        removed: counts.1,
        tokens: (9, TEXT_TOKENS),
        errors: (0..10).map(error).collect(),
        reencoded: false,
    }
}

fn losses() -> Losses {
    Losses { clean: Some(3.2), small: Some(3.4125), now: Some(3.4012), large: Some(3.3011), predictions: 8 }
}

pub fn curve(small: &str, large: &str, threshold: f32, order: Order) -> CurveView {
    let (narrow, wide) = (width_of(small), width_of(large));
    let counts = pair(small, large).counts(threshold).expect("counts");
    let (novel, groups) = (counts.novel, counts.groups);
    let out = narrow - counts.unmatched;
    let phases = [novel, novel + groups, novel + groups + counts.unmatched];
    let last = phases[2];
    let point = |step: usize| {
        let (phase, inserted, removed) = if step == 0 {
            (Phase::Start, 0, 0)
        } else if step <= phases[0] {
            (Phase::Novel, step, 0)
        } else if step <= phases[1] {
            let done = step - phases[0];
            (Phase::Swap, novel + (wide - novel) * done / groups.max(1), out * done / groups.max(1))
        } else {
            (Phase::Drop, wide, out + step - phases[1])
        };
        let share = step as f64 / last.max(1) as f64;
        CurvePoint {
            step,
            phase,
            inserted,
            removed,
            l0: 14.1 + 3.0 * (share * 3.0).sin().abs() + share,
            mse: 1.51 - 0.39 * share.sqrt(),
            explained_variance: Some(0.87 + 0.04 * share),
            ce: None,
        }
    };
    let mut steps: Vec<usize> = (0..=60).map(|i| i * last / 60).chain(phases).collect();
    steps.sort_unstable();
    steps.dedup();
    CurveView {
        small: small.into(),
        large: large.into(),
        threshold,
        order,
        text: text(),
        auc: Some(0.913),
        points: steps.into_iter().map(point).collect(),
        phases,
        reencoded: false,
    }
}

pub fn group(small: &str, large: &str, latent: u32, threshold: f32) -> Option<GroupView> {
    let view = pair(small, large);
    let group = view.group_of(saescope::analysis::Side::Large, latent, threshold).expect("groups")?;
    let mut edges: Vec<(u32, u32, f32)> = Vec::new();
    for latent in &group.large {
        let row = view.rows[*latent as usize];
        edges.push((row.nearest, *latent, row.max_cosine));
        edges.extend(second(width_of(small), *latent).map(|edge| (edge.small, edge.large, edge.cosine)));
    }
    edges.retain(|(_, _, cosine)| *cosine >= threshold);
    Some(GroupView { threshold, edges, small: group.small.clone(), large: group.large.clone(), complete: true })
}

/// What a job of stitching would give; none for the others.
pub fn answer(job: &Job) -> Option<Answer> {
    answer_to(job, |FamilyQuery { sae, latent, threshold }| family(sae, *latent, *threshold))
        .or_else(|| answer_to(job, |_: &TablesQuery| Vec::new()))
        .or_else(|| answer_to(job, |query: &PairQuery| pair(&query.small, &query.large)))
        .or_else(|| answer_to(job, |query: &VerdictQuery| of_verdict(query, false)))
        .or_else(|| answer_to(job, |query: &WorkbenchQuery| bench(&query.small, &query.large, &query.changes)))
        .or_else(|| answer_to(job, loss))
        .or_else(|| {
            answer_to(job, |query: &CurveQuery| curve(&query.small, &query.large, query.threshold, query.order))
        })
        .or_else(|| answer_to(job, curve_loss))
        .or_else(|| {
            answer_to(job, |query: &GroupQuery| group(&query.small, &query.large, query.latent, query.threshold))
        })
        .or_else(|| answer_to(job, |query: &ExportQuery| query.folder.clone()))
        .or_else(|| answer_to(job, |_: &TextQuery| text()))
}

fn of_verdict(query: &VerdictQuery, with_losses: bool) -> Verdict {
    verdict(&query.small, &query.large, query.latent, query.threshold, with_losses)
}

fn loss(query: &LossQuery) -> Loss {
    match query {
        LossQuery::Verdict(query) => Loss::Verdict(of_verdict(query, true)),
        LossQuery::Bench(WorkbenchQuery { small, large, changes }) => Loss::Bench(BenchLoss {
            small: small.clone(),
            large: large.clone(),
            changes: changes.clone(),
            prompt: losses(),
            text: losses(),
            reencoded: None,
        }),
    }
}

fn curve_loss(CurveLossQuery { small, large, threshold, order, at }: &CurveLossQuery) -> CurveLoss {
    let last = at.last().copied().unwrap_or(1).max(1) as f64;
    let ce = at.iter().map(|step| (*step, Some(3.41 - 0.11 * (*step as f64 / last)))).collect();
    let (small, large) = (small.clone(), large.clone());
    CurveLoss { small, large, threshold: *threshold, order: *order, ce, predictions: 4000 }
}
