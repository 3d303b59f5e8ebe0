//! What the state of stitching needs that has not been asked for: only what is on screen, and tables ahead.
//! Not here: what happens when it arrives (`stitch_responses`).

use std::sync::Arc;

use crate::analysis::{Change, CurveView, Side};
use crate::session::{
    CurveLossQuery, CurveQuery, FamilyQuery, FilterQuery, GroupQuery, Loss, LossQuery, PairQuery, SearchQuery,
    TablesQuery, VerdictQuery, WorkbenchQuery,
};
use crate::tui::app::{App, Focus, LatentRef, Page};
use crate::tui::hits::Part;
use crate::tui::msg::Effect;
use crate::tui::stitch::{LossKey, Measured, PairIds};
use crate::tui::update::stitch;

/// Points of a curve: more than there are dots on a screen is too much.
const POINTS: usize = 160;
/// Points of a curve at which cross-entropy is measured.
const LOSS_POINTS: usize = 9;

/// Asks for what is missing.
pub(crate) fn ask_all(app: &mut App, effects: &mut Vec<Effect>) {
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
    let Some(LatentRef { sae, latent }) = app.chosen() else { return };
    if app.saes().iter().filter(|s| s.loaded).count() < 2 {
        return;
    }
    // Once more when every table is there: children are known then.
    let complete = app.stitch.tables.value().is_some() && !app.stitch.tables.is_pending();
    let query = FamilyQuery { sae, latent, threshold: app.stitch.threshold };
    let known = app.stitch.family.of(&query, &false).is_some_and(|family| family.is_complete());
    if complete && known {
        return;
    }
    effects.extend(app.stitch.family.want(query, complete, &mut app.tickets));
}

/// All SAEs are compared ahead, once, after the first answers are there.
fn tables(app: &mut App, effects: &mut Vec<Effect>) {
    let ran = app.weights_only() || (app.run.value().is_some() && !app.run.is_pending());
    let ready = ran && app.card.value().is_some();
    if !ready || app.saes().iter().filter(|s| s.loaded).count() < 2 {
        return;
    }
    effects.extend(app.stitch.tables.want(TablesQuery, (), &mut app.tickets));
}

fn found(app: &mut App, effects: &mut Vec<Effect>) {
    let (Some(sae), query) = (app.sae().map(|s| s.id.clone()), app.stitch.queue.text.clone()) else { return };
    if app.page != Page::Stitch || query.is_empty() {
        return;
    }
    let query = FilterQuery(SearchQuery { sae, query });
    effects.extend(app.stitch.found.want(query, (), &mut app.tickets));
}

fn queue(app: &mut App, pair: &PairIds, effects: &mut Vec<Effect>) {
    if app.page != Page::Stitch && app.focus != Focus::Card {
        return;
    }
    let threshold = app.stitch.threshold;
    let here = app.stitch.view(pair).is_some_and(|view| view.floor <= threshold);
    let of = |query: &PairQuery| query.small == pair.small && query.large == pair.large;
    let asked = app.stitch.pair.question().is_some_and(|(query, ())| of(query) && query.threshold <= threshold);
    if here || asked {
        return;
    }
    let PairIds { small, large } = pair.clone();
    effects.extend(app.stitch.pair.want(PairQuery { small, large, threshold }, (), &mut app.tickets));
}

/// Which run of the prompt a measurement is about, and whether the pair was measured on the text.
fn measured(app: &App, pair: &PairIds) -> Measured {
    (app.runs, app.stitch.view(pair).is_some())
}

fn verdict_query(app: &App, pair: &PairIds) -> Option<VerdictQuery> {
    let PairIds { small, large } = pair.clone();
    Some(VerdictQuery { small, large, latent: app.latent?, threshold: app.stitch.threshold })
}

fn verdict(app: &mut App, pair: &PairIds, effects: &mut Vec<Effect>) {
    if !app.has_run() {
        return;
    }
    let (Some(query), when) = (verdict_query(app, pair), measured(app, pair)) else { return };
    effects.extend(app.stitch.verdict.want(query, when, &mut app.tickets));
}

fn bench_query(app: &App, pair: &PairIds) -> WorkbenchQuery {
    let PairIds { small, large } = pair.clone();
    WorkbenchQuery { small, large, changes: app.stitch.changes(pair).to_vec() }
}

fn bench(app: &mut App, pair: &PairIds, effects: &mut Vec<Effect>) {
    if !app.has_run() || !(app.hits.drawn.has(Part::Bench) || app.hits.drawn.has(Part::Curve)) {
        return;
    }
    let (query, when) = (bench_query(app, pair), measured(app, pair));
    effects.extend(app.stitch.bench.want(query, when, &mut app.tickets));
}

fn group(app: &mut App, pair: &PairIds, effects: &mut Vec<Effect>) {
    let Some(latent) = app.latent.filter(|_| app.hits.drawn.has(Part::Group)) else { return };
    let PairIds { small, large } = pair.clone();
    let query = GroupQuery { small, large, side: Side::Large, latent, threshold: app.stitch.threshold };
    effects.extend(app.stitch.group.want(query, (), &mut app.tickets));
}

fn curve(app: &mut App, pair: &PairIds, effects: &mut Vec<Effect>) {
    if app.weights_only() || !app.hits.drawn.has(Part::Curve) {
        return;
    }
    let (threshold, order) = (app.stitch.threshold, app.stitch.order);
    let PairIds { small, large } = pair.clone();
    let query = CurveQuery { small: small.clone(), large: large.clone(), threshold, order, points: POINTS };
    let Some(at) = app.stitch.curve.of(&query, &()).map(|curve| loss_steps(curve)) else {
        effects.extend(app.stitch.curve.want(query, (), &mut app.tickets));
        return;
    };
    let query = CurveLossQuery { small, large, threshold, order, at };
    effects.extend(app.stitch.curve_loss.want(query, (), &mut app.tickets));
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
    if !app.has_run() {
        return;
    }
    let (state, when) = (&app.stitch, measured(app, pair));
    let known = |kept: Option<&(LossKey, Arc<Loss>)>, query: &LossQuery| {
        kept.is_some_and(|((of, since), _)| of == query && *since == when)
    };
    let verdict = verdict_query(app, pair)
        .filter(|query| app.hits.drawn.has(Part::Verdict) && state.verdict.of(query, &when).is_some())
        .map(LossQuery::Verdict)
        .filter(|query| !known(state.verdict_loss.as_ref(), query));
    let bench = Some(bench_query(app, pair))
        .filter(|query| app.hits.drawn.has(Part::Bench) && state.bench.of(query, &when).is_some())
        .map(LossQuery::Bench)
        .filter(|query| !known(state.bench_loss.as_ref(), query));
    let wanted = if state.shown == Focus::Bench { [bench, verdict] } else { [verdict, bench] };
    let refused = |query: &LossQuery| state.refused.iter().any(|(of, since)| of == query && *since == when);
    let Some(next) = wanted.iter().flatten().find(|query| !refused(query)).cloned() else { return };
    let under_way = state.loss.question().filter(|_| state.loss.is_pending());
    if under_way.is_some_and(|(query, since)| *since == when && wanted.iter().flatten().any(|w| w == query)) {
        return;
    }
    effects.extend(app.stitch.loss.want(next, when, &mut app.tickets));
}

/// The latents whose names stitching shows or soon may show.
pub(crate) fn names(app: &App) -> Vec<LatentRef> {
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
            stitch::members(app)
                .into_iter()
                .skip(top)
                .take(3 * rows)
                .map(|(side, latent)| if side == Side::Large { large(latent) } else { small(latent) }),
        );
    }
    names
}
