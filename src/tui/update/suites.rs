//! Opening, listing and downloading suites.
//! Not here: what their answers change (`responses.rs`).

use crate::session::{CatalogueQuery, LoadScope, OpenQuery, PullQuery, SuiteEntry};
use crate::tui::app::App;
use crate::tui::format;
use crate::tui::msg::Effect;
use crate::tui::overlay::{Confirmation, Overlay, Question};
use crate::tui::update::say;

/// Opens a suite; the one on screen stays until the new one is there.
pub(super) fn open(app: &mut App, suite: String, reach: LoadScope, effects: &mut Vec<Effect>) {
    app.suite.clone_from(&suite);
    app.reach = reach;
    let saes = if app.only.0 == suite { app.only.1.clone() } else { Vec::new() };
    effects.push(app.opened.ask(OpenQuery { suite, saes, reach }, (), &mut app.tickets));
}

/// How much of the model the key that turns it off and on asks for.
pub(super) fn other_reach(app: &App) -> LoadScope {
    match (app.reach, app.usual) {
        (LoadScope::WeightsOnly, LoadScope::WeightsOnly) => LoadScope::Whole,
        (LoadScope::WeightsOnly, usual) => usual,
        _ => LoadScope::WeightsOnly,
    }
}

/// Shows the list of suites, with the one in question chosen.
pub(super) fn show(app: &mut App, effects: &mut Vec<Effect>) {
    let row = app.catalogue.value().and_then(|all| all.iter().position(|e| e.name == app.suite)).unwrap_or(0);
    app.overlay.push(Overlay::Suites { row });
    let query = CatalogueQuery { beside: Some(app.suite.clone()), reach: app.usual };
    effects.push(app.catalogue.ask(query, (), &mut app.tickets));
}

/// Opens the chosen suite without its model.
pub(super) fn open_weights(app: &mut App, effects: &mut Vec<Effect>) {
    let Some(Overlay::Suites { row }) = app.overlay.last() else { return };
    let Some(suite) = app.catalogue.value().and_then(|all| all.get(*row)).map(|entry| entry.name.clone()) else {
        return;
    };
    app.overlay.clear();
    open(app, suite, LoadScope::WeightsOnly, effects);
}

pub(super) fn choose(app: &mut App, entry: &SuiteEntry, effects: &mut Vec<Effect>) {
    if entry.ready {
        app.overlay.clear();
        open(app, entry.name.clone(), app.usual, effects);
        return;
    }
    if app.pull.is_pending() {
        say(app, "a download is under way; ^C cancels it");
        return;
    }
    let missing = entry.download_bytes.map(|all| all.saturating_sub(entry.cached_bytes));
    let mut know = vec![format!("model {}, {} SAEs at {}", entry.model, entry.saes.len(), entry.site_name())];
    if entry.cached_bytes > 0 {
        know.push(format!("{} of it are on this machine already", format::bytes(entry.cached_bytes)));
    }
    know.extend(app.usual.name().map(|name| format!("{name}: of a model in shards no more than that takes")));
    know.extend(entry.licence.as_ref().map(|l| format!("licence: {l}")));
    know.extend(entry.gated.clone());
    let ask = missing.map_or_else(
        || format!("Download {}? Its size is not stated; it shows once the hub has answered.", entry.id),
        |bytes| format!("Download {} for {}?", format::bytes(bytes), entry.id),
    );
    app.overlay.push(Overlay::Confirm(Question { what: Confirmation::Pull(entry.name.clone()), ask, know }));
}

/// Downloads a suite.
pub(super) fn pull(app: &mut App, suite: String, effects: &mut Vec<Effect>) {
    app.speed.clear();
    effects.push(app.pull.ask(PullQuery { suite, reach: app.usual }, (), &mut app.tickets));
}
