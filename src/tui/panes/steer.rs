//! Steering, in the card's place: the latents that are changed, and beside each other what the model writes untouched,
//! steered, and changed as far in a random direction. Not here: writing, and the state (`tui/steer.rs`).

mod keys;
mod texts;

use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use crate::analysis::Strength;
use crate::session::SteerChange;
use crate::tui::app::{App, editor_of};
use crate::tui::canvas::{Canvas, Title};
use crate::tui::format;
use crate::tui::hits::HitTarget;
use crate::tui::keys::{Action, Binding};
use crate::tui::location::{Focus, LatentRef};
use crate::tui::msg::Effect;
use crate::tui::pane::{Pane, leap_of, step_of};
use crate::tui::question::{Question, question};
use crate::tui::steer::{ChosenEdit, Place};
use crate::tui::update::select;
use crate::tui::view::figures::name_text;
use crate::tui::view::flow;
use crate::tui::view::trouble;

/// Most rows of the list of edits.
const EDITS: u16 = 4;

fn draw(app: &App, area: Rect, pen: &mut Canvas<'_>) {
    pen.hit_pane(area, Focus::Steer);
    let theme = pen.theme;
    let inner = pen.pane(area, &title(app, pen), app.focus == Focus::Steer);
    let inner = Rect { x: inner.x + 1, width: inner.width.saturating_sub(1), ..inner };
    let failure = trouble::first_lines(app.steer.asked.failure(), inner, theme.charset);
    let inner = trouble::draw_lines(&failure, inner, pen);
    let height = (app.steer.edits.len() as u16).clamp(1, EDITS).min(inner.height);
    edits(app, Rect { height, ..inner }, pen);
    let how = format!("{}, {} tokens, {}, seed {}", place(app), app.steer.tokens(), chance(app), app.steer.seed);
    let row = Rect { y: inner.y + height, height: inner.height.saturating_sub(height), ..inner };
    pen.text(row, 0, &crate::text::truncate(&how, usize::from(row.width), theme.charset), theme.quiet());
    let below = Rect { y: row.y + 1, height: row.height.saturating_sub(1), ..row };
    let Some((view, current)) = app.steered().filter(|_| !app.steer.edits.is_empty()) else {
        let said = if app.steer.edits.is_empty() { "Space adds the chosen latent" } else { "writing" };
        if failure.is_empty() && below.height > 0 {
            pen.text(below, 0, said, theme.quiet());
        }
        return;
    };
    if app.steer.sweep && !view.sweep.is_empty() {
        texts::sweep(view, below, pen);
    } else {
        texts::arms(view, app.steered_token().map(|(at, _)| at), texts::candidates(app, below, pen), pen);
    }
    if !current && app.waits() {
        pen.tint(below, theme.stale());
    }
}

/// The latents that are changed, each with its strength in every unit.
fn edits(app: &App, area: Rect, pen: &mut Canvas<'_>) {
    let theme = pen.theme;
    pen.hits.note_rows(Focus::Steer, usize::from(area.height));
    let strengths = app.steered().map(|(view, _)| view.strengths.clone()).unwrap_or_default();
    let top = flow::top(app.steer.row, usize::from(area.height).max(1), app.steer.edits.len());
    let shown = app.steer.edits.iter().enumerate().skip(top).take(usize::from(area.height));
    for (y, (index, edit)) in shown.enumerate() {
        let chosen = index == app.steer.row;
        let style = if chosen { theme.chosen(app.focus == Focus::Steer) } else { Style::new() };
        let name = format!("{}/{}", crate::text::said(&edit.latent.sae, theme.charset), edit.latent.latent);
        let at = Rect { y: area.y + y as u16, height: 1, ..area };
        let line = Line::from(vec![
            Span::styled(if chosen { theme.glyphs().chosen } else { " " }, theme.accent()),
            Span::styled(name, style),
            Span::styled(format!(" {}", change(edit.change)), theme.strong()),
            Span::styled(units(edit, strengths.get(index)), theme.quiet()),
            Span::raw(format!(" {}", name_text(app, theme, &edit.latent, 2).unwrap_or_default())),
        ]);
        pen.line(at, 0, &line);
        pen.hits.add(at, HitTarget::Item(Focus::Steer, index));
    }
}

fn change(change: SteerChange) -> String {
    match change {
        SteerChange::Ablate => "off".to_owned(),
        SteerChange::Set(by) => format!("set {by:.2}"),
        SteerChange::Scale(by) => format!("scale {by:.2}"),
        SteerChange::Add(by) => format!("add {by:+.2}"),
        SteerChange::Project(by) => format!("project {by:.2}"),
    }
}

/// The strength in the other two units, where the answer is about this one.
fn units(edit: &ChosenEdit, strength: Option<&Strength>) -> String {
    let raw = edit.change.strength().map(f64::from);
    let Some(strength) = strength.filter(|strength| strength.raw == raw) else { return String::new() };
    let part = |value: Option<f64>, unit: &str| value.map_or_else(String::new, |value| format!(" = {value:.2} {unit}"));
    format!("{}{}", part(strength.max, "max"), part(strength.norm, "norm"))
}

fn place(app: &App) -> String {
    match app.steer.place {
        Place::All => "all positions".to_owned(),
        Place::Fires => "where it fires".to_owned(),
        Place::Token => format!("at token {}", app.token),
    }
}

fn chance(app: &App) -> String {
    let temperature = app.steer.temperature();
    if temperature == 0.0 { "likeliest".to_owned() } else { format!("temperature {temperature}") }
}

fn title<'a>(app: &App, pen: &Canvas<'_>) -> Title<'a> {
    let mut title = Title { name: "A Steering", ..Title::default() };
    if app.steer.asked.is_pending() && app.waits() {
        let done = app.steer.asked.progressed().map_or(0, |progress| progress.done);
        title.right = format!("writing {}{}", format::count(done), pen.theme.glyphs().more);
    } else if app.steer.sweep {
        "sweep".clone_into(&mut title.right);
    }
    title
}

/// Shows steering in the card's place; the chosen latent is taken out where nothing is changed yet.
pub(crate) fn enter(app: &mut App) {
    if !app.can_measure_effects() {
        app.say("steering needs the whole model: M loads it");
        return;
    }
    if let Some(chosen) = app.chosen().filter(|_| app.steer.edits.is_empty()) {
        let edit = app.edit_of(chosen);
        app.steer.edits.push(edit);
    }
    select::enter_beside(app, Focus::Steer);
}

/// Changes the chosen latent, from the latents or its card.
pub(crate) fn start(app: &mut App, action: Action) {
    let Some(chosen) = app.chosen() else { return };
    if !app.can_measure_effects() {
        app.say("steering needs the whole model: M loads it");
        return;
    }
    if let Some(row) = app.steer.edits.iter().position(|edit| edit.latent == chosen) {
        app.steer.row = row;
    } else {
        // One latent at a time, unless the person puts several together.
        let edit = app.edit_of(chosen);
        app.steer.edits = vec![edit];
        app.steer.row = 0;
    }
    change_chosen(app, action);
    if app.focus == Focus::Card {
        app.look_at(Focus::Steer);
    } else {
        app.beside = Focus::Steer;
    }
    app.before_beside = Some(Focus::Latents);
}

fn change_chosen(app: &mut App, action: Action) {
    let Some(edit) = app.steer.chosen() else { return };
    match action {
        Action::SteerOff => edit.change = SteerChange::Ablate,
        Action::SteerBy(steps) => edit.by(f32::from(steps)),
        _ => edit.next_kind(),
    }
}

/// Adds the chosen latent, or takes it out of the list where it is in it.
fn toggle(app: &mut App) {
    let Some(chosen) = app.chosen() else { return };
    if let Some(row) = app.steer.edits.iter().position(|edit| edit.latent == chosen) {
        app.steer.edits.remove(row);
    } else {
        let edit = app.edit_of(chosen);
        app.steer.edits.push(edit);
        app.steer.row = app.steer.edits.len() - 1;
    }
}

fn remove(app: &mut App) {
    if app.steer.row < app.steer.edits.len() {
        app.steer.edits.remove(app.steer.row);
    }
    app.steer.row = app.steer.row.min(app.steer.edits.len().saturating_sub(1));
}

/// Makes the prompt and what the steered arm wrote the prompt.
fn accept(app: &mut App) {
    let Some((_, true)) = app.steered() else { return };
    let Some(text) = app.steered_text() else {
        app.say("this token is a part of a character: choose another");
        return;
    };
    if !text.is_empty() {
        app.editor = editor_of(&format!("{}{text}", app.shown_prompt));
        app.steer.at = None;
    }
}

/// Moves along the steered text, from its end.
fn move_token(app: &mut App, by: isize) {
    let Some(last) = app.steered().and_then(|(view, _)| view.arms.get(1)?.tokens.len().checked_sub(1)) else { return };
    let to = app.steer.at.map_or(last, |(at, _)| at.saturating_add_signed(by).min(last));
    app.steer.at = Some((to, 0));
}

/// Another token in the place of the chosen one.
fn next_candidate(app: &mut App) {
    if app.steer.at.is_none() {
        move_token(app, 0);
    }
    let Some((at, all)) = app.steered_token() else { return };
    let which = app.steer.at.map_or(0, |(_, which)| which);
    app.steer.at = Some((at, (which + 1) % all.len().max(1)));
}

fn move_row(app: &mut App, by: isize) {
    let last = app.steer.edits.len().saturating_sub(1);
    app.steer.row = app.steer.row.saturating_add_signed(by).min(last);
}

fn own(app: &mut App, name: &str) -> bool {
    match name {
        "steer.place" => {
            app.steer.place = match app.steer.place {
                Place::All => Place::Fires,
                Place::Fires => Place::Token,
                Place::Token => Place::All,
            };
        }
        "steer.back" => move_token(app, -1),
        "steer.on" => move_token(app, 1),
        "steer.instead" => next_candidate(app),
        "steer.tokens" => app.steer.lengthen(),
        "steer.chance" => app.steer.warm(),
        "steer.seed" => app.steer.seed += 1,
        "steer.remove" => remove(app),
        "steer.sweep" if app.steer.sweep || app.steer.swept().is_some() => app.steer.sweep = !app.steer.sweep,
        "steer.sweep" => app.say("a sweep needs one change with a strength: o chooses another kind"),
        _ => return false,
    }
    true
}

/// The pane.
pub(crate) struct SteerPane;

impl Pane for SteerPane {
    fn focus(&self) -> Focus {
        Focus::Steer
    }

    fn name(&self) -> &'static str {
        "Steering"
    }

    fn keys(&self) -> &'static [Binding] {
        keys::KEYS
    }

    fn help(&self) -> &'static [&'static str] {
        &[
            "Latents are changed at the SAE's site while the model writes: off (x - f·d), set (x + (V - f)·d), scaled, added (x +",
            "V·d), or the part along the decoder row projected. Beside it the untouched model, and one changed as far at each",
            "position in a random direction; tokens that differ from the untouched text are underlined. Perplexity is of the new",
            "text under the untouched model. Strengths stand as they are, in the latent's maximum of the index, and in norms of x.",
        ]
    }

    fn is_there(&self, app: &App) -> bool {
        app.can_measure_effects()
    }

    fn enter(&self, app: &mut App) {
        enter(app);
    }

    fn act(&self, app: &mut App, action: Action, _: &mut Vec<Effect>) -> bool {
        match action {
            Action::Up | Action::Down => move_row(app, step_of(action)),
            Action::First | Action::Last | Action::PageUp | Action::PageDown => {
                move_row(app, leap_of(action, app.hits.rows(Focus::Steer)));
            }
            Action::SteerOff | Action::SteerBy(_) | Action::Order => change_chosen(app, action),
            Action::Toggle => toggle(app),
            Action::Accept => accept(app),
            Action::Close => select::leave_beside(app),
            Action::Own(name) => return own(app, name),
            _ => return false,
        }
        true
    }

    fn click(&self, app: &mut App, row: usize, _: &mut Vec<Effect>) {
        app.look_at(Focus::Steer);
        app.steer.row = row.min(app.steer.edits.len().saturating_sub(1));
    }

    fn wheel(&self, app: &mut App, _: Option<usize>, by: isize) -> bool {
        move_row(app, by);
        true
    }

    fn questions(&self) -> &'static [Question] {
        const { &[question!(steer.asked)] }
    }

    fn ask(&self, app: &mut App, effects: &mut Vec<Effect>) {
        if !app.shows_steering() || !app.has_run() || !app.can_measure_effects() {
            return;
        }
        let Some((query, run)) = app.steer_key() else { return };
        effects.extend(app.steer.asked.want(query, run, &mut app.tickets));
    }

    fn names(&self, app: &App) -> Vec<LatentRef> {
        let shown = app.steer.edits.iter().filter(|_| app.shows_steering());
        shown.map(|edit| edit.latent.clone()).collect()
    }

    fn whole_command(&self, app: &App) -> Option<String> {
        let suite = &app.opened.value()?.suite;
        Some(app.steer_key()?.0.command(suite).line())
    }

    fn draw(&self, app: &App, area: Rect, pen: &mut Canvas<'_>) {
        draw(app, area, pen);
    }
}
