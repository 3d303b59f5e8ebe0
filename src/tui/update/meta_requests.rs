//! What the state of meta-SAEs needs that has not been asked for: only what is on screen.
//! Not here: what happens when it arrives (`meta_responses`).

use crate::analysis::{Arm, SurgeryEdit};
use crate::session::{
    BreakdownQuery, ContinueQuery, MetaCardQuery, MetaNamesQuery, MetaRunQuery, MetasQuery, SurgeryQuery,
};
use crate::tui::app::{App, LatentRef, Page};
use crate::tui::hits::Part;
use crate::tui::meta::MetaRef;
use crate::tui::msg::Effect;
use crate::tui::overlay::Overlay;

/// Members, tokens and neighbours in the lists of a meta-latent's card.
const TOP: usize = 200;
/// Likeliest next tokens of each model.
const NEXT_TOKENS: usize = 12;
/// Tokens by which a text is continued.
const TOKENS: usize = 24;
/// Meta-latents named at once: few, so that nothing else waits long.
const NAMED: usize = 64;

/// Asks for what is missing.
pub(crate) fn ask_all(app: &mut App, effects: &mut Vec<Effect>) {
    states(app, effects);
    let Some(of) = app.meta_ref() else { return };
    parts(app, &of, effects);
    card(app, &of, effects);
    by_meta(app, &of, effects);
    names_of_meta(app, &of, effects);
    surgery(app, effects);
}

fn states(app: &mut App, effects: &mut Vec<Effect>) {
    let before = app.meta.states.question().map(|(_, (_, used))| used.clone());
    // What a table says is there once it was made for the first answer.
    let used = app
        .meta
        .parts
        .answers()
        .and_then(|(query, ())| Some(MetaRef { sae: query.sae.clone(), meta: query.meta.clone()? }));
    let render = used.filter(|used| {
        let all = app.meta.states.value().map_or(&[][..], |all| all.as_slice());
        all.iter().any(|s| s.sae == used.sae && s.meta == used.meta && s.info.is_none())
            || before.as_ref().is_some_and(|asked| asked.as_ref() == Some(used))
    });
    let when = (app.meta.changed, render.or_else(|| before.flatten()));
    effects.extend(app.meta.states.want(MetasQuery, when, &mut app.tickets));
}

/// Latents are taken apart after the run, which is more urgent, or where none will come.
fn can_take_apart(app: &App) -> bool {
    app.weights_only() || app.has_run()
}

fn parts(app: &mut App, of: &MetaRef, effects: &mut Vec<Effect>) {
    let Some(LatentRef { sae, latent }) = app.chosen() else { return };
    if app.page == Page::Stitch || !can_take_apart(app) {
        return;
    }
    let query = BreakdownQuery { sae, latent, meta: Some(of.meta.clone()) };
    effects.extend(app.meta.parts.want(query, (), &mut app.tickets));
}

fn card(app: &mut App, of: &MetaRef, effects: &mut Vec<Effect>) {
    let Some(meta_latent) = app.meta.meta_latent else { return };
    // The old latent's meta-latent is asked about no more while the new latent's parts are awaited.
    let settled = app.meta.held || app.parts().is_some();
    if !app.hits.drawn.has(Part::MetaCard) || !can_take_apart(app) || !settled {
        return;
    }
    let MetaRef { sae, meta } = of.clone();
    let query = MetaCardQuery { sae, meta, meta_latent, top: TOP };
    effects.extend(app.meta.card.want(query, app.runs, &mut app.tickets));
    if let Some(query) = app.meta_corpus_query() {
        effects.extend(app.meta.corpus.want(query, app.index.version(), &mut app.tickets));
    }
}

fn by_meta(app: &mut App, of: &MetaRef, effects: &mut Vec<Effect>) {
    if !app.meta.by_meta || !app.has_run() {
        return;
    }
    let MetaRef { sae, meta } = of.clone();
    effects.extend(app.meta.run.want(MetaRunQuery { sae, meta }, app.runs, &mut app.tickets));
}

/// Names of what fires at the token, of what stands in surgery, and of all while one is picked.
fn names_of_meta(app: &mut App, of: &MetaRef, effects: &mut Vec<Effect>) {
    if app.meta.names.ask.is_pending() {
        return;
    }
    let mut wanted: Vec<u32> = Vec::new();
    wanted.extend(app.meta.meta_latent);
    if app.meta.by_meta
        && let Some(position) = app.meta_position()
    {
        wanted.extend(position.latents.iter().map(|f| f.latent));
    }
    if app.shows_effects()
        && let Some((view, _)) = app.part_effects()
    {
        wanted.extend(view.meta_latents.iter().map(|of| of.meta_latent));
    }
    if app.hits.drawn.has(Part::Surgery) {
        wanted.extend(app.cut_rows().iter().flat_map(|part| [Some(part.meta_latent), part.instead]).flatten());
    }
    if let Some(Overlay::Pick(..)) = app.overlay.last() {
        let width = app.meta_state().and_then(|state| state.width).unwrap_or(0);
        wanted.extend(0..u32::try_from(width).unwrap_or(u32::MAX));
    }
    let mut seen = std::collections::HashSet::new();
    let missing = |m: &u32| app.meta.names.is_missing(of, *m) && seen.insert(*m);
    let meta_latents: Vec<u32> = wanted.into_iter().filter(missing).take(NAMED).collect();
    if meta_latents.is_empty() {
        return;
    }
    let MetaRef { sae, meta } = of.clone();
    let query = MetaNamesQuery { sae, meta, meta_latents };
    effects.push(app.meta.names.ask.ask(query, (), &mut app.tickets));
}

fn surgery(app: &mut App, effects: &mut Vec<Effect>) {
    if !app.hits.drawn.has(Part::Surgery) || !app.has_run() || app.parts().is_none() {
        return;
    }
    let Some(operation) = app.operation() else { return };
    let (prompt, named) = (app.shown_prompt.clone(), app.meta.named.clone());
    let query = SurgeryQuery { operation, prompt, next: NEXT_TOKENS, named };
    effects.extend(app.meta.surgery.want(query, app.runs, &mut app.tickets));
    for (at, arm) in Arm::ALL.into_iter().enumerate() {
        let (Some((query, run)), Some(ask)) = (continuation(app, arm), app.meta.continuations.get_mut(at)) else {
            continue;
        };
        effects.extend(ask.want(query, run, &mut app.tickets));
    }
}

/// What a model's continuation is about, and in which run: the untouched one continues the same way whatever is edited.
/// None where nothing is edited and it would continue as the untouched one.
#[must_use]
pub(crate) fn continuation(app: &App, arm: Arm) -> Option<(ContinueQuery, u64)> {
    let operation = app.operation()?;
    let operation = match arm {
        Arm::Untouched => SurgeryEdit { edits: Vec::new(), seed: 0, latent: 0, ..operation },
        Arm::Edited | Arm::Random if operation.edits.is_empty() => return None,
        Arm::Edited => SurgeryEdit { seed: 0, ..operation },
        Arm::Random => operation,
    };
    let (prompt, sampling) = (app.shown_prompt.clone(), app.meta.sampling);
    Some((ContinueQuery { operation, prompt, arm, tokens: TOKENS, sampling }, app.runs))
}

/// The latents whose names are shown where latents are taken apart.
pub(crate) fn names(app: &App) -> Vec<LatentRef> {
    let Some(of) = app.meta_ref() else { return Vec::new() };
    let mut names: Vec<u32> = Vec::new();
    if app.page == Page::Meta
        && let Some(entry) = app.parts()
    {
        names.extend(entry.components.iter().flat_map(|c| c.members.iter().map(|m| m.latent)));
    }
    if app.hits.drawn.has(Part::MetaCard)
        && let Some(card) = app.meta.card.value()
    {
        let rows = app.hits.meta_rows.max(12);
        names.extend(card.members.iter().skip(app.meta.member.saturating_sub(rows)).take(3 * rows).map(|m| m.latent));
        names.extend(card.firing.iter().take(12).map(|m| m.latent));
    }
    let own = names.into_iter().map(|latent| LatentRef { sae: of.sae.clone(), latent });
    let near = app.meta.card.value().filter(|_| app.hits.drawn.has(Part::MetaCard));
    let ladder = near.into_iter().flat_map(|card| {
        card.ladder.iter().filter_map(|e| Some(LatentRef { sae: e.sae.clone(), latent: e.nearest.first()?.latent }))
    });
    own.chain(ladder).collect()
}
