//! What the state needs that has not been asked for: runs, cards, names, searches.
//! Not here: what happens when it arrives (`responses.rs`).
//!
//! Every message ends here, so no path can forget to ask: the question follows from the state alone.

use crate::analysis::Hit;
use crate::session::{
    CardQuery, CheckupQuery, CompareQuery, LoadScope, NextQuery, PackQuery, Query, RunQuery, SearchQuery, SteerQuery,
};
use crate::tui::app::{App, LatentRef, Page};
use crate::tui::ask::AnyAsk as _;
use crate::tui::msg::Effect;
use crate::tui::overlay::Overlay;
use crate::tui::panes::PANES;

/// Likeliest next tokens asked for at each position.
const NEXT_TOKENS: usize = 12;
/// Tokens and neighbours in each list of a card.
const TOP: usize = 10;
/// Latents named ahead of what is on screen.
const AHEAD: usize = 12;

/// Asks for what is missing and keeps scrolling positions within their lists.
pub(super) fn settle(app: &mut App, effects: &mut Vec<Effect>) {
    scroll(app);
    for pane in PANES {
        pane.settle(app);
    }
    // While a suite loads, what is asked would be answered by the one that is leaving.
    if app.opened.value().is_none() || app.opened.is_pending() {
        return;
    }
    run(app, effects);
    next(app, effects);
    card(app, effects);
    search(app, effects);
    let wanted = wanted(app);
    names(app, &wanted, effects);
    frequencies(app, &wanted, effects);
    labels(app, &wanted, effects);
    rules(app, effects);
    for pane in PANES {
        pane.ask(app, effects);
    }
    checkup(app, effects);
}

fn scroll(app: &mut App) {
    let rows = app.hits.latent_rows.max(1);
    if let Some(rank) = app.rank() {
        if rank < app.latents_top {
            app.latents_top = rank;
        } else if rank >= app.latents_top + rows {
            app.latents_top = rank + 1 - rows;
        }
    }
    let count = app.listed();
    // A taller screen shows more of the list, not emptiness below it.
    app.latents_top = app.latents_top.min(count.saturating_sub(rows));
}

fn run(app: &mut App, effects: &mut Vec<Effect>) {
    let prompt = app.prompt();
    let bos = app.opened.value().is_some_and(|opened| opened.bos);
    let asked = app.run.question().is_some_and(|(query, ())| query.prompt == prompt);
    if app.weights_only() || asked {
        return;
    }
    if app.next.abandon() {
        effects.push(Effect::Cancel(NextQuery::NAME));
    }
    // What is typed is not kept waiting for what latents of the prompt before do.
    for ask in app.effect.asks() {
        if ask.is_pending() {
            effects.push(Effect::Cancel(ask.slot()));
            ask.end();
            ask.forget_question();
        }
    }
    if app.steer.asked.is_pending() {
        app.steer.asked.end();
        app.steer.asked.forget();
        effects.push(Effect::Cancel(SteerQuery::NAME));
    }
    if app.pair.asked.is_pending() {
        app.pair.asked.end();
        app.pair.asked.forget();
        effects.push(Effect::Cancel(CompareQuery::NAME));
    }
    if prompt.is_empty() && !bos {
        // There is nothing to run, which is not a mistake: the panes ask for a prompt.
        if app.run.is_pending() {
            effects.push(Effect::Cancel(RunQuery::NAME));
        }
        app.run.clear();
        app.next.clear();
        return;
    }
    // Latents first: what comes next is asked for when they are there.
    effects.push(app.run.ask(RunQuery { prompt, next: 0 }, (), &mut app.tickets));
}

fn next(app: &mut App, effects: &mut Vec<Effect>) {
    if let Some(token) = app.run.value().and_then(|run| run.tokens.get(app.token)) {
        app.next.look(app.token, &token.text);
    }
    let predicts = app.opened.value().is_some_and(|opened| opened.reach == LoadScope::Whole);
    if !predicts || app.page != Page::Explore || app.run.is_stale() {
        return;
    }
    let positions = app.next.missing(app.token);
    if positions.is_empty() {
        return;
    }
    let prompt = app.shown_prompt.clone();
    effects.push(app.next.ask.ask(NextQuery { prompt, positions, count: NEXT_TOKENS }, (), &mut app.tickets));
}

/// A card says how often its latent has fired in all runs: it is asked for again after each.
fn card(app: &mut App, effects: &mut Vec<Effect>) {
    let Some(LatentRef { sae, latent }) = app.chosen() else { return };
    effects.extend(app.card.want(CardQuery { sae, latent, top: TOP }, app.runs, &mut app.tickets));
}

/// The wiring is checked once, after what a person waits for is there.
fn checkup(app: &mut App, effects: &mut Vec<Effect>) {
    let ready = app.run.value().is_some() && !app.run.is_pending() && !app.next.is_pending() && !app.card.is_pending();
    if !ready || app.checkup.question().is_some() {
        return;
    }
    // What will be typed is answered sooner from packed weights, and the check too.
    effects.extend(app.pack.want(PackQuery, (), &mut app.tickets));
    effects.push(app.checkup.ask(CheckupQuery { losses: false, again: false }, (), &mut app.tickets));
}

fn search(app: &mut App, effects: &mut Vec<Effect>) {
    let Some(Overlay::Search(field)) = app.overlay.last() else { return };
    let query = field.input.value().to_owned();
    let Some(sae) = app.sae().map(|s| s.id.clone()).filter(|_| !query.is_empty()) else { return };
    effects.extend(app.found.want(SearchQuery { sae, query }, (), &mut app.tickets));
    if let Some(preview) = app.preview_query() {
        effects.extend(app.preview.want(preview, app.index.version(), &mut app.tickets));
    }
}

fn names(app: &mut App, wanted: &[LatentRef], effects: &mut Vec<Effect>) {
    if app.names.is_pending() {
        return;
    }
    let Some(query) = app.names.missing(wanted) else { return };
    effects.push(app.names.ask.ask(query, (), &mut app.tickets));
}

/// How often the latents in view fire in the index, as soon as there is one and whenever there is more in it.
fn frequencies(app: &mut App, wanted: &[LatentRef], effects: &mut Vec<Effect>) {
    let version = app.index.version();
    if version == 0 || app.frequencies.ask.is_pending() {
        return;
    }
    let Some(query) = app.frequencies.missing(wanted, version) else { return };
    effects.push(app.frequencies.ask.ask(query, version, &mut app.tickets));
}

/// The labels of the latents in view.
fn labels(app: &mut App, wanted: &[LatentRef], effects: &mut Vec<Effect>) {
    if app.labels.ask.is_pending() {
        return;
    }
    let Some(query) = app.labels.missing(wanted) else { return };
    effects.push(app.labels.ask.ask(query, (), &mut app.tickets));
}

/// Rules are made in the background, of the chosen SAE and once, when there is an index and nothing else is done.
fn rules(app: &mut App, effects: &mut Vec<Effect>) {
    let reads = app.index.wanted.is_some() || app.index.asked.is_pending() || app.index.version() == 0;
    let busy = app.is_pending() || app.labels.make.is_pending();
    if reads || app.weights_only() || busy || !app.index.reads_unasked() {
        return;
    }
    let Some(query) = app.sae().filter(|sae| sae.loaded).and_then(|sae| app.labels.unmade(&sae.id)) else { return };
    effects.push(app.labels.make.ask(query, (), &mut app.tickets));
}

/// The latents whose names are on screen or soon may be, the most looked at first.
fn wanted(app: &App) -> Vec<LatentRef> {
    let mut wanted = Vec::new();
    let loaded = |sae: &str| app.saes().iter().any(|s| s.id == sae && s.loaded);
    wanted.extend(app.chosen());
    if let Some(sae) = app.sae() {
        let shown = app.hits.latent_rows.max(12) + AHEAD;
        let of = |f: &crate::analysis::Firing| LatentRef { sae: sae.id.clone(), latent: f.latent };
        wanted.extend(
            app.listed_latents().iter().skip(app.latents_top.saturating_sub(AHEAD)).take(shown + AHEAD).map(of),
        );
    }
    if let (true, Some(sae)) = (app.weights_only(), app.sae()) {
        let rows = app.latents_top.saturating_sub(AHEAD)..app.latents_top + app.hits.latent_rows.max(12) + AHEAD;
        let of = |rank| app.listed_at(rank).map(|latent| LatentRef { sae: sae.id.clone(), latent });
        wanted.extend(rows.filter_map(of));
    }
    if let Some(run) = app.run.value() {
        let strongest = |s: &crate::analysis::SaeRun| {
            let firing = s.positions.get(app.token)?.latents.first()?;
            Some(LatentRef { sae: s.id.clone(), latent: firing.latent })
        };
        wanted.extend(run.saes.iter().filter_map(strongest));
    }
    if let Some(found) = app.found.value() {
        let of = |hit: &Hit| LatentRef { sae: found.sae.clone(), latent: hit.latent };
        wanted.extend(found.hits.iter().take(64).map(of));
    }
    for row in app.ladder_rows() {
        wanted.extend(app.saes().get(row.place).map(|s| LatentRef { sae: s.id.clone(), latent: row.latent }));
    }
    wanted.extend(PANES.iter().flat_map(|pane| pane.names(app)));
    wanted.extend(app.pins.iter().cloned());
    wanted.retain(|l| loaded(&l.sae));
    wanted
}
