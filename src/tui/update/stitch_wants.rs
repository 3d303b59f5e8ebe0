//! What the state of stitching needs that has not been asked for: only what is on screen, and tables ahead.
//! Not here: what happens when it arrives (`stitch_news`).

use crate::analysis::{Change, CurveView, Side};
use crate::session::Job;
use crate::task::Slot;
use crate::tui::app::{App, Focus, LatentRef, Page};
use crate::tui::hits::Part;
use crate::tui::msg::Effect;
use crate::tui::stitch::{BenchKey, LossKey, PairIds, VerdictKey};
use crate::tui::update::ask;

/// Points of a curve: more than there are dots on a screen is too much.
const POINTS: usize = 160;
/// Points of a curve at which cross-entropy is measured.
const LOSS_POINTS: usize = 9;

/// Asks for what is missing.
pub(super) fn ask_all(app: &mut App, effects: &mut Vec<Effect>) {
    family(app, effects);
    tables(app, effects);
    found(app, effects);
    let Some(pair) = app.pair() else { return };
    queue(app, &pair, effects);
    verdict(app, &pair, effects);
    bench(app, &pair, effects);
    group(app, &pair, effects);
    curve(app, &pair, effects);
    losses(app, &pair, effects);
}

fn family(app: &mut App, effects: &mut Vec<Effect>) {
    let Some(chosen) = app.chosen() else { return };
    if app.saes().iter().filter(|s| s.loaded).count() < 2 {
        return;
    }
    // Once more when every table is there: children are known then.
    let complete = app.stitch.tables.value().is_some() && !app.stitch.tables.is_pending();
    let theta = app.stitch.theta();
    let known = app.stitch.family.of(&(chosen.clone(), theta, false)).is_some_and(|family| family.is_complete());
    if complete && known {
        return;
    }
    if let Some(ticket) = app.stitch.family.want(&(chosen.clone(), theta, complete)) {
        let job = Job::Family { sae: chosen.sae, latent: chosen.latent, threshold: app.stitch.threshold };
        ask(Slot::Family, ticket, job, effects);
    }
}

/// All SAEs are compared ahead, once, after the first answers are there.
fn tables(app: &mut App, effects: &mut Vec<Effect>) {
    let ran = app.weights_only() || (app.run.value().is_some() && !app.run.is_pending());
    let ready = ran && app.card.value().is_some();
    if app.stitch.tables_asked || !ready || app.saes().iter().filter(|s| s.loaded).count() < 2 {
        return;
    }
    app.stitch.tables_asked = true;
    let ticket = app.stitch.tables.ask();
    ask(Slot::Tables, ticket, Job::Tables, effects);
}

fn found(app: &mut App, effects: &mut Vec<Effect>) {
    let (Some(sae), query) = (app.sae().map(|s| s.id.clone()), app.stitch.queue.text.clone()) else { return };
    if app.page != Page::Stitch || query.is_empty() {
        return;
    }
    if let Some(ticket) = app.stitch.found.want(&(sae.clone(), query.clone())) {
        ask(Slot::Filter, ticket, Job::Search { sae, query }, effects);
    }
}

fn queue(app: &mut App, pair: &PairIds, effects: &mut Vec<Effect>) {
    if app.page != Page::Stitch && app.focus != Focus::Card {
        return;
    }
    let theta = app.stitch.threshold;
    let here = app.stitch.view(pair).is_some_and(|view| view.floor <= theta);
    let asked = app.stitch.pair.question().is_some_and(|(p, bits)| p == pair && f32::from_bits(*bits) <= theta);
    if here || asked {
        return;
    }
    if let Some(ticket) = app.stitch.pair.want(&(pair.clone(), theta.to_bits())) {
        let job = Job::Pair { small: pair.small.clone(), large: pair.large.clone(), threshold: theta };
        ask(Slot::Pair, ticket, job, effects);
    }
}

/// What is measured in the prompt waits for the prompt's run.
fn can_measure(app: &App) -> bool {
    app.run.value().is_some() && !app.run.is_pending() && app.run.failure().is_none()
}

fn verdict_key(app: &App, pair: &PairIds) -> Option<VerdictKey> {
    let measured = app.stitch.view(pair).is_some();
    Some((pair.clone(), app.latent?, app.stitch.theta(), app.stitch.runs, measured))
}

fn verdict(app: &mut App, pair: &PairIds, effects: &mut Vec<Effect>) {
    if !can_measure(app) {
        return;
    }
    let Some(key) = verdict_key(app, pair) else { return };
    if let Some(ticket) = app.stitch.verdict.want(&key) {
        let PairIds { small, large } = pair.clone();
        let job = Job::Verdict { small, large, latent: key.1, threshold: app.stitch.threshold };
        ask(Slot::Verdict, ticket, job, effects);
    }
}

fn bench_key(app: &App, pair: &PairIds) -> BenchKey {
    let measured = app.stitch.view(pair).is_some();
    (pair.clone(), app.stitch.changes(pair).to_vec(), app.stitch.runs, measured)
}

fn bench(app: &mut App, pair: &PairIds, effects: &mut Vec<Effect>) {
    if !can_measure(app) || !(app.hits.drawn.has(Part::Bench) || app.hits.drawn.has(Part::Curve)) {
        return;
    }
    let key = bench_key(app, pair);
    if let Some(ticket) = app.stitch.bench.want(&key) {
        let PairIds { small, large } = pair.clone();
        ask(Slot::Bench, ticket, Job::Bench { small, large, changes: key.1 }, effects);
    }
}

fn group(app: &mut App, pair: &PairIds, effects: &mut Vec<Effect>) {
    let Some(latent) = app.latent.filter(|_| app.hits.drawn.has(Part::Group)) else { return };
    let key = (pair.clone(), Side::Large, latent, app.stitch.theta());
    if let Some(ticket) = app.stitch.group.want(&key) {
        let PairIds { small, large } = pair.clone();
        let threshold = app.stitch.threshold;
        ask(Slot::Group, ticket, Job::Group { small, large, side: Side::Large, latent, threshold }, effects);
    }
}

fn curve(app: &mut App, pair: &PairIds, effects: &mut Vec<Effect>) {
    if app.weights_only() || !app.hits.drawn.has(Part::Curve) {
        return;
    }
    let (threshold, order) = (app.stitch.threshold, app.stitch.order);
    let key = (pair.clone(), app.stitch.theta(), order);
    let PairIds { small, large } = pair.clone();
    if let Some(ticket) = app.stitch.curve.want(&key) {
        ask(Slot::Curve, ticket, Job::Curve { small, large, threshold, order, points: POINTS }, effects);
        return;
    }
    let Some(at) = app.stitch.curve.of(&key).map(|curve| loss_steps(curve)) else { return };
    if let Some(ticket) = app.stitch.curve_loss.want(&key) {
        ask(Slot::CurveLoss, ticket, Job::CurveLoss { small, large, threshold, order, at }, effects);
    }
}

/// The steps at which cross-entropy is measured: the ends of the phases, and others evenly between.
fn loss_steps(curve: &CurveView) -> Vec<usize> {
    let last = curve.points.len().saturating_sub(1);
    let even = (0..LOSS_POINTS).filter_map(|i| curve.points.get(i * last / (LOSS_POINTS - 1)));
    let mut at: Vec<usize> = even.map(|point| point.step).chain(curve.phases).collect();
    at.sort_unstable();
    at.dedup();
    at
}

/// Cross-entropies of what is on screen, the focused first; one at a time, and only once the cheap part has come.
fn losses(app: &mut App, pair: &PairIds, effects: &mut Vec<Effect>) {
    if !can_measure(app) {
        return;
    }
    let stitch = &app.stitch;
    let verdict = verdict_key(app, pair)
        .filter(|key| app.hits.drawn.has(Part::Verdict) && stitch.verdict.of(key).is_some())
        .filter(|key| stitch.verdict_loss.as_ref().is_none_or(|(k, _)| k != key))
        .map(LossKey::Verdict);
    let bench = Some(bench_key(app, pair))
        .filter(|key| app.hits.drawn.has(Part::Bench) && stitch.bench.of(key).is_some())
        .filter(|key| stitch.bench_loss.as_ref().is_none_or(|(k, _)| k != key))
        .map(LossKey::Bench);
    let mut wanted =
        if stitch.shown == Focus::Bench { [bench, verdict] } else { [verdict, bench] }.into_iter().flatten();
    let under_way = stitch.loss.question().filter(|_| stitch.loss.is_pending());
    let Some(next) = wanted.clone().find(|key| !stitch.refused.contains(key)) else { return };
    if under_way.is_some_and(|key| wanted.any(|w| w == *key)) {
        return;
    }
    let Some(ticket) = app.stitch.loss.want(&next) else { return };
    let PairIds { small, large } = pair.clone();
    let job = match next {
        LossKey::Verdict(key) => Job::VerdictLoss { small, large, latent: key.1, threshold: app.stitch.threshold },
        LossKey::Bench(key) => Job::BenchLoss { small, large, changes: key.1 },
    };
    ask(Slot::Loss, ticket, job, effects);
}

/// The latents whose names stitching shows or soon may show.
pub(super) fn names(app: &App) -> Vec<LatentRef> {
    let mut names = Vec::new();
    if app.page != Page::Stitch {
        return names;
    }
    let Some(pair) = app.pair() else { return names };
    let rows = app.hits.stitch_rows.max(12);
    let large = |latent: u32| LatentRef { sae: pair.large.clone(), latent };
    let small = |latent: u32| LatentRef { sae: pair.small.clone(), latent };
    let queue = &app.stitch.queue;
    names.extend(queue.order().iter().skip(queue.top.saturating_sub(rows)).take(3 * rows).map(|l| large(*l)));
    names.extend(app.stitch.verdict.value().filter(|v| v.small == pair.small).map(|v| small(v.nearest.latent)));
    for change in app.stitch.changes(&pair).iter().rev().take(64) {
        match change {
            Change::Insert(latent) => names.push(large(*latent)),
            Change::Remove(latent) => names.push(small(*latent)),
            Change::Swap { large: l, .. } => names.extend(l.first().map(|latent| large(*latent))),
        }
    }
    if app.hits.drawn.has(Part::Group) {
        let top = app.stitch.group_row.saturating_sub(rows);
        names.extend(
            super::stitch::members(app)
                .into_iter()
                .skip(top)
                .take(3 * rows)
                .map(|(side, latent)| if side == Side::Large { large(latent) } else { small(latent) }),
        );
    }
    names
}
