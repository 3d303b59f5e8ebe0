//! Going to where a latent's activation comes from, choosing a head, asking, and what an answer changes.
//! Not here: drawing.

use crate::tui::app::{App, Focus, Page};
use crate::tui::keys::Action;
use crate::tui::msg::Effect;
use crate::tui::question::{Question, question};
use crate::tui::update::{leap_of, say, select};

/// What is asked.
pub(super) const QUESTIONS: &[Question] = &[question!(origins.asked)];

/// Shows the origins in the card's place.
pub(super) fn enter(app: &mut App) {
    if !app.reads_heads() {
        let site = app.opened.value().map_or_else(String::new, |o| format!("; this suite reads {}", o.site));
        say(app, format!("heads and sources are told apart at attn_z only{site}"));
        return;
    }
    if app.focus != Focus::Origins {
        app.origins.left = Some(app.focus);
    }
    app.look_at(Focus::Origins);
}

/// Puts the card back and goes where the person came from.
pub(super) fn leave(app: &mut App) {
    app.origins.shown = false;
    match app.origins.left.take() {
        Some(Focus::Card) => select::enter_card(app),
        Some(pane) if pane.page().is_none_or(|page| page == Page::Explore) => app.look_at(pane),
        _ => app.look_at(Focus::Latents),
    }
}

/// Moves along the heads.
pub(super) fn move_head(app: &mut App, by: isize) {
    let last = app.head_rows().len().saturating_sub(1);
    choose_row(app, app.head_row().saturating_add_signed(by).min(last));
}

/// To the first or last head, or a page.
pub(super) fn leap(app: &mut App, action: Action) {
    move_head(app, leap_of(action, app.hits.head_rows));
}

/// Looks through the head of a row.
pub(super) fn choose_row(app: &mut App, row: usize) {
    if let Some(row) = app.head_rows().get(row) {
        app.origins.head = row.head;
    }
}

/// Asks for what is missing: the card's lines need it too, so it is asked for wherever latents are looked at.
pub(super) fn ask_all(app: &mut App, effects: &mut Vec<Effect>) {
    if app.page != Page::Explore || !app.has_run() || !app.reads_heads() {
        return;
    }
    let Some((query, run)) = app.origins_key() else { return };
    effects.extend(app.origins.asked.want(query, run, &mut app.tickets));
}
