//! What actions do where latents are taken apart.
//! Not here: asking for what they need (`meta_requests.rs`), what arrives (`meta_responses.rs`).

use crate::analysis::Sampling;
use crate::session::MetaRecipe;
use crate::tui::app::{App, Focus, LatentRef, Page};
use crate::tui::format;
use crate::tui::keys::Action;
use crate::tui::meta::map::{self, Node};
use crate::tui::meta::{MetaRef, Part};
use crate::tui::msg::Effect;
use crate::tui::overlay::{Confirmation, Field, Overlay, PickFor, Question};
use crate::tui::pane::leap_of;
use crate::tui::update::{say, select, stitch};

/// Goes to a pane of meta-SAEs.
pub(crate) fn enter(app: &mut App, pane: Focus) {
    app.held = app.latent.is_some();
    app.look_at(pane);
}

/// From a meta-latent to the parts, from there back to the page of latents.
pub(crate) fn leave(app: &mut App) {
    if app.focus == Focus::MetaCard {
        app.look_at(Focus::Parts);
    } else {
        stitch::leave(app);
    }
}

/// Keeps what is chosen within what there is: the chosen meta-latent is a part of the latent, unless it is held.
pub(crate) fn settle(app: &mut App) {
    let Some(entry) = app.parts() else { return };
    let (first, count) = (entry.components.first().map(|c| c.meta_latent), entry.components.len());
    let is_part = |m: u32| entry.components.iter().any(|c| c.meta_latent == m);
    if !app.meta.held && !app.meta.meta_latent.is_some_and(is_part) {
        app.meta.meta_latent = first;
        app.meta.member = 0;
    }
    app.meta.cut_row = app.meta.cut_row.min(app.cut_rows().len().saturating_sub(1));
    let out = |part: usize| part >= count;
    if matches!(app.meta.node, Node::Part(p) | Node::Member(p, _) if out(p)) {
        app.meta.node = Node::Centre;
    }
}

/// Chooses a meta-latent.
pub(crate) fn choose(app: &mut App, meta_latent: u32, held: bool) {
    if app.meta.meta_latent != Some(meta_latent) {
        app.meta.member = 0;
    }
    app.meta.meta_latent = Some(meta_latent);
    app.meta.held = held;
}

/// The row of the chosen meta-latent among the latent's parts.
fn part_row(app: &App) -> Option<usize> {
    let chosen = app.meta.meta_latent?;
    app.parts()?.components.iter().position(|c| c.meta_latent == chosen)
}

/// Chooses a row of the parts.
pub(crate) fn choose_part(app: &mut App, row: usize) {
    let Some(part) = app.parts().and_then(|entry| entry.components.get(row)).map(|c| c.meta_latent) else { return };
    choose(app, part, false);
    app.meta.node = Node::Part(row);
}

/// Moves along the rows of the pane shown.
pub(crate) fn step(app: &mut App, by: isize) {
    let moved = |at: usize, len: usize| at.saturating_add_signed(by).min(len.saturating_sub(1));
    match (app.focus, app.meta.shown) {
        (Focus::MetaCard, _) => app.meta.member = moved(app.meta.member, members(app)),
        (Focus::Map, _) => walk(app, (0, if by < 0 { -1 } else { 1 })),
        (_, Focus::Surgery) => app.meta.cut_row = moved(app.meta.cut_row, app.cut_rows().len()),
        _ => {
            let len = app.parts().map_or(0, |entry| entry.components.len());
            let to = part_row(app).map_or(0, |at| moved(at, len));
            choose_part(app, to);
        }
    }
}

/// To the first or last row, or a page.
pub(crate) fn leap(app: &mut App, action: Action) {
    step(app, leap_of(action, app.hits.meta_rows));
}

fn members(app: &App) -> usize {
    app.meta.card.value().map_or(0, |card| card.members.len())
}

/// Members of each part, as the map shows them.
#[must_use]
pub(crate) fn map_members(app: &App) -> Vec<usize> {
    let own = app.latent;
    app.parts().map_or_else(Vec::new, |entry| {
        entry.components.iter().map(|c| c.members.iter().filter(|m| Some(m.latent) != own).count()).collect()
    })
}

/// The place of the map of this number.
pub(crate) fn node_at(app: &App, number: usize) -> Option<Node> {
    map::layout(&map_members(app), app.hits.map).get(number).map(|(node, _)| *node)
}

/// Walks the map by an arrow; the meta-latent reached, or that of the member reached, is chosen.
pub(crate) fn walk(app: &mut App, way: (i32, i32)) {
    let nodes = map::layout(&map_members(app), app.hits.map);
    let to = map::towards(&nodes, app.meta.node, way);
    choose_node(app, to);
}

/// Chooses a place of the map.
pub(crate) fn choose_node(app: &mut App, to: Node) {
    app.meta.node = to;
    if let Node::Part(part) | Node::Member(part, _) = to
        && let Some(meta_latent) = app.parts().and_then(|entry| entry.components.get(part)).map(|c| c.meta_latent)
    {
        choose(app, meta_latent, false);
    }
}

/// A member of the map.
fn member_at(app: &App, part: usize, rank: usize) -> Option<u32> {
    let members = &app.parts()?.components.get(part)?.members;
    members.iter().filter(|m| Some(m.latent) != app.latent).nth(rank).map(|m| m.latent)
}

/// Goes to what is chosen: from a part to its card, from a member to that latent.
pub(crate) fn accept(app: &mut App) {
    match (app.focus, app.meta.node) {
        (Focus::Parts, _) | (Focus::Map, Node::Part(_)) => open_card(app),
        (Focus::MetaCard, _) => {
            let row = app.meta.member;
            let member = app.meta.card.value().and_then(|card| Some((card.sae.clone(), card.members.get(row)?.latent)));
            if let Some((sae, latent)) = member {
                go_member(app, sae, latent);
                app.look_at(Focus::Parts);
            }
        }
        (Focus::Map, Node::Member(part, rank)) => {
            if let (Some(of), Some(latent)) = (app.meta_ref(), member_at(app, part, rank)) {
                go_member(app, of.sae, latent);
                app.meta.node = Node::Centre;
            }
        }
        (Focus::Map, Node::Centre) => select::enter_card(app),
        _ => {}
    }
}

fn go_member(app: &mut App, sae: String, latent: u32) {
    app.meta.held = false;
    select::visit(app, &LatentRef { sae, latent });
}

/// Goes to the chosen meta-latent's card, as a visit that one can come back to.
pub(crate) fn open_card(app: &mut App) {
    if app.meta.meta_latent.is_none() {
        say(app, "no meta-latent is chosen");
        return;
    }
    let from = app.visit_now();
    app.look_at(Focus::MetaCard);
    app.meta.member = 0;
    if let Some(to) = app.visit_now() {
        app.history.visit(from, to);
    }
}

/// Moves along what fires at the token, by meta-latents.
pub(crate) fn step_in_prompt(app: &mut App, by: isize) {
    let Some(position) = app.meta_position() else { return };
    let Some(last) = position.latents.len().checked_sub(1) else { return };
    let at = position.latents.iter().position(|f| Some(f.latent) == app.meta.meta_latent);
    choose_in_prompt(app, at.map_or(0, |at| at.saturating_add_signed(by).min(last)));
}

/// Moves along what fires at the token, by latents or by meta-latents.
pub(crate) fn step_latents(app: &mut App, by: isize) {
    if app.meta.by_meta {
        step_in_prompt(app, by);
    } else {
        select::move_latent(app, by);
    }
}

/// Chooses a row of what fires at the token, by meta-latents.
pub(crate) fn choose_in_prompt(app: &mut App, rank: usize) {
    let firing = app.meta_position().and_then(|p| p.latents.get(rank)).map(|f| f.latent);
    if let Some(meta_latent) = firing {
        choose(app, meta_latent, true);
    }
}

/// To the first or last of them, or a page.
pub(crate) fn leap_in_prompt(app: &mut App, action: Action) {
    step_in_prompt(app, leap_of(action, app.hits.latent_rows));
}

/// Sees the prompt by meta-latents, or by latents again.
pub(crate) fn by_meta(app: &mut App) {
    if app.meta.by_meta {
        app.meta.by_meta = false;
        app.meta.held = false;
        say(app, "the prompt by latents again");
        return;
    }
    let Some(MetaRef { meta, .. }) = app.meta_ref() else {
        say(app, "this SAE has no meta-SAE; t trains one");
        return;
    };
    if app.weights_only() {
        say(app, "weights only: no prompt is run that could be seen by meta-latents; M loads the model");
        return;
    }
    app.meta.by_meta = true;
    say(app, format!("the prompt by meta-latents of {meta}; v turns back"));
}

/// Takes latents apart by the next meta-SAE.
pub(crate) fn next(app: &mut App) {
    let usable: Vec<String> = app.metas().iter().filter(|m| m.failure.is_none()).map(|m| m.meta.clone()).collect();
    let (Some(of), true) = (app.meta_ref(), usable.len() > 1) else {
        say(app, format!("this SAE has {} meta-SAE; t trains another", usable.len()));
        return;
    };
    let at = usable.iter().position(|id| *id == of.meta).unwrap_or(0);
    let Some(to) = usable.get((at + 1) % usable.len()) else { return };
    say(app, format!("meta-SAE {to}"));
    app.meta.chosen.insert(of.sae, to.clone());
    app.meta.meta_latent = None;
    app.meta.held = false;
}

/// Opens the list of meta-latents.
pub(crate) fn pick(app: &mut App, what: PickFor) {
    if app.meta_ref().is_none() {
        say(app, "this SAE has no meta-SAE; t trains one");
        return;
    }
    app.overlay.push(Overlay::Pick(Field::default(), what));
}

/// Meta-latents that match what was typed: a number, or a token that they promote; by how strongly.
#[must_use]
pub(crate) fn matching(app: &App, typed: &str) -> Vec<u32> {
    let Some(of) = app.meta_ref() else { return Vec::new() };
    let width = app.meta_state().and_then(|state| state.width).unwrap_or(0);
    let typed = typed.trim().to_lowercase();
    if let Ok(number) = typed.parse::<u32>() {
        return (number as usize).lt(&width).then_some(number).into_iter().collect();
    }
    let mut found: Vec<(u32, usize, f32)> = (0..u32::try_from(width).unwrap_or(u32::MAX))
        .filter_map(|m| {
            let Some(label) = app.meta.names.get(&of, m) else { return typed.is_empty().then_some((m, 0, 0.0)) };
            if typed.is_empty() {
                return Some((m, 0, 0.0));
            }
            let hit = |t: &crate::analysis::TokenValue| t.text.to_lowercase().contains(&typed);
            label.promoted.iter().enumerate().find(|(_, t)| hit(t)).map(|(rank, t)| (m, rank, t.value))
        })
        .collect();
    found.sort_by(|a, b| a.1.cmp(&b.1).then(b.2.total_cmp(&a.2)).then(a.0.cmp(&b.0)));
    found.into_iter().map(|(m, ..)| m).collect()
}

/// Takes the meta-latent that was picked.
pub(crate) fn picked(app: &mut App, meta_latent: u32, what: PickFor) {
    match what {
        PickFor::See => {
            choose(app, meta_latent, true);
            open_card(app);
        }
        PickFor::Exchange(out) => cut(app, |edits| edits.exchange(out, meta_latent)),
        PickFor::Add => {
            let strength = strength_of(app, meta_latent);
            cut(app, |edits| edits.add(meta_latent, strength));
            let row = app.cut_rows().iter().position(|part| part.meta_latent == meta_latent);
            app.meta.cut_row = row.unwrap_or(app.meta.cut_row);
        }
    }
}

/// How strongly an added meta-latent is put in, in hundredths: as in the latent that has it most.
fn strength_of(app: &App, meta_latent: u32) -> i32 {
    let label = app.meta_ref().and_then(|of| app.meta.names.get(&of, meta_latent));
    let most = label.and_then(|label| label.members.first()).map_or(0.5, |member| member.activation);
    (most * 100.0).round().clamp(5.0, 1000.0) as i32
}

fn cut(app: &mut App, change: impl FnOnce(&mut crate::tui::meta::Edits)) {
    let (Some(chosen), Some(of)) = (app.chosen(), app.meta_ref()) else { return };
    change(app.meta.edits.entry((chosen, of.meta)).or_default());
}

fn cut_row(app: &App) -> Option<Part> {
    app.cut_rows().get(app.meta.cut_row).copied()
}

/// What actions do in surgery.
pub(crate) fn operate(app: &mut App, action: Action) {
    match (action, cut_row(app)) {
        (Action::AddPart, _) => pick(app, PickFor::Add),
        (Action::ClearChanges, _) => cut(app, |edits| *edits = crate::tui::meta::Edits::default()),
        (Action::Order, _) => {
            app.meta.sampling = match app.meta.sampling {
                Sampling::Greedy => Sampling::Random { temperature: 1.0, top_p: 0.95, seed: app.meta.seed },
                Sampling::Random { .. } => Sampling::Greedy,
            };
        }
        (Action::Reverse, _) => {
            app.meta.seed = app.meta.seed.wrapping_add(1);
            if let Sampling::Random { seed, .. } = &mut app.meta.sampling {
                *seed = app.meta.seed;
            }
            say(app, format!("seed {}: another random edit of the same size", app.meta.seed));
        }
        (_, None) => say(app, "this latent has no parts"),
        (Action::Toggle, Some(part)) => cut(app, |edits| edits.toggle(&part)),
        (Action::Swap, Some(part)) if part.activation > 0.0 => pick(app, PickFor::Exchange(part.meta_latent)),
        (Action::Swap, Some(_)) => say(app, "only a part that the latent has can be exchanged; Space drops this one"),
        (Action::Strength(by), Some(part)) => cut(app, |edits| edits.add(part.meta_latent, by.into())),
        _ => {}
    }
}

/// Asks for texts whose log-probability is compared.
pub(crate) fn ask_names(app: &mut App) {
    let input = app.meta.named.join(", ");
    app.overlay.push(Overlay::Named(Field { input: input.into(), row: 0 }));
}

/// Takes the texts that were named.
pub(crate) fn take_names(app: &mut App, typed: &str) {
    app.meta.named = typed.split(',').map(str::trim).filter(|t| !t.is_empty()).map(str::to_owned).take(16).collect();
}

/// Asks whether to train a meta-SAE for the chosen SAE, and says what it costs.
pub(crate) fn ask_training(app: &mut App) {
    if app.meta.train.is_pending() {
        say(app, "a meta-SAE is being trained; ^C stops it, and what was learnt is kept");
        return;
    }
    let Some((sae, Some(width))) = app.sae().map(|s| (s.id.clone(), s.width)) else { return };
    let mut recipe = MetaRecipe::new(sae.clone());
    let meta_width = crate::session::meta_width(width);
    let known: Vec<String> = app.metas().iter().map(|m| m.meta.clone()).collect();
    let name = |seed: u64| format!("{meta_width}-k{}-s{seed}", recipe.k);
    // The next seed that is not there yet: a second one says which meta-latents are stable.
    recipe.seed = (0..=known.len() as u64).find(|seed| !known.contains(&name(*seed))).unwrap_or(0);
    let again = known.iter().any(|id| *id == name(0));
    let rows = recipe.batch.min(width) as u64;
    let mut know = vec![
        format!(
            "{} steps over {} of {} decoder rows each, for {} meta-latents of which {} are active in a row.",
            format::count(recipe.steps as u64),
            format::count(rows),
            format::count(width as u64),
            format::count(meta_width as u64),
            recipe.k
        ),
        format!(
            "That is about {} products of a row with a meta-latent: seconds for a few thousand latents, minutes to hours for many; the time left shows after the first steps.",
            scale(recipe.steps as f64 * rows as f64 * meta_width as f64 * 3.0)
        ),
        "It runs beside all else. ^C stops it; what was learnt is kept, and t continues from there.".to_owned(),
    ];
    if again {
        know.push(format!("Seed {}: meta-latents that both seeds find are marked as stable.", recipe.seed));
    }
    let ask = format!("Train meta-SAE {} for SAE {sae}?", name(recipe.seed));
    app.overlay.push(Overlay::Confirm(Question { what: Confirmation::Train(recipe), ask, know }));
}

/// A large number in words.
fn scale(number: f64) -> String {
    match number {
        n if n >= 1e12 => format!("{} trillion", format::short(n / 1e12)),
        n if n >= 1e9 => format!("{} billion", format::short(n / 1e9)),
        n => format!("{} million", format::short(n / 1e6)),
    }
}

/// Trains.
pub(crate) fn train(app: &mut App, recipe: MetaRecipe, effects: &mut Vec<Effect>) {
    effects.push(app.meta.train.ask(recipe, (), &mut app.tickets));
    if app.page != Page::Meta {
        enter(app, Focus::Parts);
    }
}
