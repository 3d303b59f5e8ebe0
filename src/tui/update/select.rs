//! Choosing tokens, latents and SAEs, and what the choice keeps.
//! Not here: asking for what the choice needs (`wants`).

use crate::analysis::LatentCard;
use crate::tui::app::{App, Focus, LatentRef, Page, Visit};
use crate::tui::keys::Action;

/// Moves along the tokens.
pub(crate) fn move_token(app: &mut App, by: isize) {
    let last = app.tokens().len().saturating_sub(1);
    choose_token(app, app.token.saturating_add_signed(by).min(last));
}

/// Chooses a token.
pub(crate) fn choose_token(app: &mut App, token: usize) {
    if token < app.tokens().len() && token != app.token {
        app.token = token;
        app.latents_top = 0;
        follow_strongest(app);
    }
}

/// To the first or last token, or a line of tokens up or down.
pub(crate) fn leap_token(app: &mut App, action: Action) {
    let last = app.tokens().len().saturating_sub(1);
    let to = match action {
        Action::First => 0,
        Action::Last => last,
        _ => line_away(&app.hits.token_lines, app.token, if action == Action::PageUp { -1 } else { 1 }).min(last),
    };
    choose_token(app, to);
}

/// The token as far into the line above or below as this one is into its own.
fn line_away(lines: &[usize], token: usize, by: isize) -> usize {
    let line = lines.partition_point(|first| *first <= token).saturating_sub(1);
    let into = token - lines.get(line).copied().unwrap_or(0).min(token);
    let to = line.saturating_add_signed(by);
    match (lines.get(to), lines.get(to + 1)) {
        (Some(first), Some(next)) => (first + into).min(next.saturating_sub(1)),
        (Some(first), None) => first + into,
        (None, _) => usize::MAX,
    }
}

/// Tokens from which on a latent that fires on all of them is passed over.
const EVERYWHERE_FROM: usize = 5;

/// Unless a latent is held, chooses the strongest of the token; one that fires on every token of the prompt says nothing
/// of this one, so the strongest of the others comes before it.
pub(crate) fn follow_strongest(app: &mut App) {
    if app.held || app.weights_only() {
        return;
    }
    let strongest = {
        let tokens = app.sae_run().map_or(&[][..], |run| run.positions.get(1..).unwrap_or_default());
        let everywhere = |latent: u32| {
            tokens.len() >= EVERYWHERE_FROM && tokens.iter().all(|p| p.latents.iter().any(|f| f.latent == latent))
        };
        let here = app.listed_latents();
        here.iter().find(|f| !everywhere(f.latent)).or(here.first()).map(|f| f.latent)
    };
    choose(app, strongest);
}

pub(crate) fn choose(app: &mut App, latent: Option<u32>) {
    if app.latent != latent {
        app.latent = latent;
        app.ladder_row = usize::MAX;
        app.anchor = None;
    }
}

/// Lets go of the held latent: the strongest of the token is followed again.
pub(crate) fn release(app: &mut App) {
    app.held = false;
    app.latents_top = 0;
    follow_strongest(app);
}

/// Moves along the latents of the token; a latent chosen so is held.
pub(crate) fn move_latent(app: &mut App, by: isize) {
    let Some(last) = app.listed().checked_sub(1) else { return };
    // From a latent that does not fire here, Down leads to the strongest that does.
    let to = app.rank().map_or(0, |rank| rank.saturating_add_signed(by).min(last));
    choose_rank(app, to);
}

/// Chooses an entry of the latents list.
pub(crate) fn choose_rank(app: &mut App, rank: usize) {
    let Some(latent) = app.listed_at(rank) else { return };
    choose(app, Some(latent));
    app.held = true;
}

/// To the top or end of the latents, or a page.
pub(crate) fn leap_latent(app: &mut App, action: Action) {
    let page = isize::try_from(app.hits.latent_rows.max(2) - 1).unwrap_or(1);
    match action {
        Action::First => choose_rank(app, 0),
        Action::Last => choose_rank(app, app.listed().saturating_sub(1)),
        Action::PageUp => move_latent(app, -page),
        _ => move_latent(app, page),
    }
}

/// Puts a pane in the card's place beside the latents.
pub(crate) fn enter_beside(app: &mut App, pane: Focus) {
    if app.focus == Focus::Card || !app.focus.is_beside() {
        app.before_beside = Some(app.focus);
    }
    app.look_at(pane);
}

/// Puts the card back and goes where the person came from.
pub(crate) fn leave_beside(app: &mut App) {
    app.beside = Focus::Card;
    match app.before_beside.take() {
        Some(Focus::Card) => enter_card(app),
        Some(pane) if pane.page().is_none_or(|page| page == Page::Explore) => app.look_at(pane),
        _ => app.look_at(Focus::Latents),
    }
}

/// Focuses the card; the ladder's cursor starts on the next SAE that is wider, where new things are.
pub(crate) fn enter_card(app: &mut App) {
    app.look_at(Focus::Card);
    place_ladder_row(app);
}

/// Puts the ladder's cursor on a row that exists and leads somewhere.
pub(crate) fn place_ladder_row(app: &mut App) {
    let rows = app.ladder_rows();
    if app.ladder_row < rows.len() {
        return;
    }
    let own = rows.iter().position(|r| r.cosine.is_none());
    app.ladder_row = own.map_or(0, |own| if own + 1 < rows.len() { own + 1 } else { own.saturating_sub(1) });
}

/// Moves along the card's ladder, over the card's own row.
pub(crate) fn move_ladder(app: &mut App, by: isize) {
    place_ladder_row(app);
    let rows = app.ladder_rows();
    let Some(last) = rows.len().checked_sub(1) else { return };
    let step = |from: usize, by: isize| from.saturating_add_signed(by).min(last);
    let mut to = step(app.ladder_row, by);
    if rows.get(to).is_some_and(|r| r.cosine.is_none()) {
        let beyond = step(to, by.signum());
        to = if beyond == to { app.ladder_row } else { beyond };
    }
    app.ladder_row = to;
}

/// Jumps to the latent on the chosen row of the card's ladder.
pub(crate) fn jump_ladder(app: &mut App) {
    let Some(row) = app.ladder_rows().get(app.ladder_row).copied() else { return };
    let Some(sae) = app.saes().get(row.place).map(|s| s.id.clone()) else { return };
    visit(app, &LatentRef { sae, latent: row.latent });
}

/// Goes to a latent and notes the visit.
pub(crate) fn visit(app: &mut App, to: &LatentRef) {
    let from = app.visit_now();
    app.history.visit(from, Visit { latent: to.clone(), meta_latent: None });
    go(app, to);
}

/// Goes to a latent, in its SAE, and holds it.
pub(crate) fn go(app: &mut App, to: &LatentRef) {
    let Some(place) = app.saes().iter().position(|s| s.id == to.sae) else { return };
    app.sae = place;
    app.anchor = None;
    choose(app, Some(to.latent));
    app.held = true;
    app.latents_top = 0;
}

/// Turns to a narrower or wider SAE, keeping the token.
pub(crate) fn turn_sae(app: &mut App, by: isize) {
    let mut to = app.sae;
    loop {
        let next = to.saturating_add_signed(by);
        if next == to || next >= app.saes().len() {
            return;
        }
        to = next;
        if app.saes().get(to).is_some_and(|s| s.loaded) {
            break;
        }
    }
    choose_sae(app, to);
}

/// Chooses an SAE, keeping the token and the question: the latent becomes its nearest there, as far as the card of the
/// latent that the question began with knows it; else the strongest at the token.
pub(crate) fn choose_sae(app: &mut App, to: usize) {
    if to == app.sae || app.saes().get(to).is_none_or(|s| !s.loaded) {
        return;
    }
    let anchor = app.anchor.clone().or_else(|| current_card(app));
    let Some(id) = app.saes().get(to).map(|s| s.id.clone()) else { return };
    let nearest = anchor.as_deref().and_then(|card| nearest_in(card, &id));
    app.sae = to;
    app.latents_top = 0;
    match nearest {
        Some(latent) => {
            choose(app, Some(latent));
            app.anchor = anchor;
            app.held = true;
        }
        None => release(app),
    }
}

/// The card on screen, when it is the chosen latent's.
fn current_card(app: &App) -> Option<std::sync::Arc<LatentCard>> {
    let chosen = app.chosen()?;
    app.card.value().filter(|card| card.sae == chosen.sae && card.latent == chosen.latent).cloned()
}

fn nearest_in(card: &LatentCard, sae: &str) -> Option<u32> {
    if card.sae == sae {
        return Some(card.latent);
    }
    card.ladder.iter().find(|e| e.sae == sae)?.nearest.first().map(|n| n.latent)
}

/// Chooses the token in which the prompt's caret stands, so that latents follow the typing.
pub(crate) fn follow_caret(app: &mut App) {
    // Tokens of an older prompt say nothing about the caret; the answer to the new one will.
    if app.prompt() != app.shown_prompt {
        return;
    }
    let ratatui_textarea::DataCursor(row, column) = app.editor.cursor();
    let before: usize = app.editor.lines().iter().take(row).map(|l| l.len() + 1).sum();
    let line = app.editor.lines().get(row).map_or("", String::as_str);
    let caret = before + line.chars().take(column).map(char::len_utf8).sum::<usize>();
    if let Some(token) = token_at(app, caret) {
        choose_token(app, token);
    }
}

/// The token that holds the byte before the caret.
fn token_at(app: &App, caret: usize) -> Option<usize> {
    let first = usize::from(app.has_bos());
    let mut end = 0;
    for (position, token) in app.tokens().iter().enumerate().skip(first) {
        end += crate::text::byte_len(&token.text);
        if end >= caret.max(1) {
            return Some(position);
        }
    }
    app.tokens().len().checked_sub(1)
}
