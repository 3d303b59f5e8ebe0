//! Two prompts in the card's place: their tokens over each other with the chosen latent's heat, what fires at the chosen
//! pair, what comes next after each; and an interchange as a plot. Not here: comparing them.

use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use crate::text;
use crate::tui::app::{App, PairRow};
use crate::tui::canvas::{Canvas, Title};
use crate::tui::format;
use crate::tui::hits::HitTarget;
use crate::tui::keys::{Action, Binding, KeyContext, KeyContexts, row};
use crate::tui::location::{Focus, LatentRef};
use crate::tui::msg::Effect;
use crate::tui::pane::{Pane, leap_of, step_of};
use crate::tui::question::{Question, question};
use crate::tui::update::select;
use crate::tui::view::figures::name_text;
use crate::tui::view::flow;
use crate::tui::view::swap;
use crate::tui::view::trouble;
use crate::tui::view::two_prompts;
use crokey::key;

/// Rows above the latents: two of tokens, two of next tokens, and the head.
const ABOVE: u16 = 5;
/// Cells from which there is room for names beside all columns: with fewer, where a latent fires is seen by its values.
const WIDE: u16 = 56;

fn draw(app: &App, area: Rect, pen: &mut Canvas<'_>) {
    pen.hit_pane(area, Focus::Compare);
    let theme = pen.theme;
    let inner = pen.pane(area, &title(app, pen), app.focus == Focus::Compare);
    let inner = Rect { x: inner.x + 1, width: inner.width.saturating_sub(1), ..inner };
    let failure = app.pair.asked.failure().or(app.pair.swap.failure().filter(|_| app.pair.swaps));
    let failure = trouble::first_lines(failure, inner, theme.charset);
    let inner = trouble::draw_lines(&failure, inner, pen);
    let Some((view, current)) = app.comparison() else {
        if failure.is_empty() {
            pen.text(inner, 0, "running both prompts", theme.quiet());
        }
        return;
    };
    let Some(at) = app.chosen_pair() else {
        let said = view.notes.last().map_or("no tokens belong together", String::as_str);
        pen.wrapped(inner, &text::prose(said, theme.charset));
        return;
    };
    two_prompts::draw(app, view, at, inner, pen);
    let pair = &view.pairs[at];
    for (row, (name, next)) in [("A", &pair.next_a), ("B", &pair.next_b)].into_iter().enumerate() {
        pen.line(inner, row as u16 + 2, &two_prompts::next_line(name, next, usize::from(inner.width), pen));
    }
    let rest = Rect { y: inner.y + ABOVE, height: inner.height.saturating_sub(ABOVE), ..inner };
    if app.pair.swaps {
        swap::draw(app, Rect { y: rest.y.saturating_sub(1), height: rest.height + 1, ..rest }, pen);
    } else {
        let named = if inner.width < WIDE {
            format!(" {:>7} {:>7} {:>7}", "latent", "A", "B")
        } else {
            format!(" {:>7} {:>4} {:>7} {:>7} {:>7}", "latent", "in", "A", "B", "B-A")
        };
        pen.text(inner, ABOVE - 1, &named, theme.quiet());
        draw_rows(app, rest, pen);
    }
    if !current && app.waits() {
        pen.tint(inner, theme.stale());
    }
}

fn draw_rows(app: &App, list: Rect, pen: &mut Canvas<'_>) {
    let rows = app.pair_rows();
    pen.hits.note_rows(Focus::Compare, usize::from(list.height));
    if rows.is_empty() {
        pen.text(list, 0, " nothing fires on either token", pen.theme.quiet());
    }
    let chosen = row_of(app).unwrap_or(0);
    let top = flow::top(chosen, usize::from(list.height).max(1), rows.len());
    for (y, (index, row)) in rows.iter().enumerate().skip(top).take(usize::from(list.height)).enumerate() {
        let at = Rect { y: list.y + y as u16, height: 1, ..list };
        pen.line(at, 0, &latent_line(app, row, list.width, pen));
        pen.hits.add(at, HitTarget::Item(Focus::Compare, index));
    }
}

fn latent_line<'a>(app: &App, of: &PairRow, width: u16, pen: &Canvas<'_>) -> Line<'a> {
    let theme = pen.theme;
    let chosen = app.latent == Some(of.latent);
    let style = if chosen { theme.chosen(app.focus == Focus::Compare) } else { Style::new() };
    let (name, tint) = match (of.a, of.b) {
        (Some(_), Some(_)) => ("both", Style::new()),
        (Some(_), None) => ("A", theme.suppressed()),
        _ => ("B", theme.promoted()),
    };
    let value = |of: Option<f32>| of.map_or_else(String::new, format::activation);
    let difference = of.b.unwrap_or(0.0) - of.a.unwrap_or(0.0);
    let sign = if difference < 0.0 { "-" } else { "+" };
    let difference = format!("{sign}{}", format::activation(difference.abs()));
    let sae = app.sae().map_or("", |sae| sae.id.as_str());
    let named = LatentRef { sae: sae.to_owned(), latent: of.latent };
    Line::from(vec![
        Span::styled(if chosen { theme.glyphs().chosen } else { " " }, theme.accent()),
        Span::styled(format!("{:>7}", of.latent), style),
        Span::styled(if width < WIDE { String::new() } else { format!(" {name:>4}") }, tint),
        Span::styled(format!(" {:>7} {:>7}", value(of.a), value(of.b)), if width < WIDE { tint } else { Style::new() }),
        Span::raw(if width < WIDE { String::new() } else { format!(" {difference:>7}") }),
        Span::raw(format!("  {}", name_text(app, theme, &named, 4).unwrap_or_default())),
    ])
}

fn title<'a>(app: &App, pen: &Canvas<'_>) -> Title<'a> {
    let mut title = Title { name: "C Compare", ..Title::default() };
    let more = pen.theme.glyphs().more;
    let pending = app.pair.asked.is_pending() || app.pair.swap.is_pending();
    title.right = match app.pair.shift {
        _ if pending && app.waits() => format!("running {more}"),
        0 => String::new(),
        shift => format!("B moved by {shift:+}"),
    };
    title
}

fn row_of(app: &App) -> Option<usize> {
    app.pair_rows().iter().position(|row| Some(row.latent) == app.latent)
}

fn choose_row(app: &mut App, row: usize) {
    if let Some(of) = app.pair_rows().get(row) {
        select::choose(app, Some(of.latent));
        app.held = true;
    }
}

fn move_row(app: &mut App, by: isize) {
    let Some(last) = app.pair_rows().len().checked_sub(1) else { return };
    // From a latent that is in no row the first step leads to the first.
    let from = row_of(app).map_or(if by.abs() == 1 { -by } else { 0 }, |row| row as isize);
    let now = usize::try_from(from.saturating_add(by)).unwrap_or(0).min(last);
    choose_row(app, now);
}

/// Shows both prompts; the one shown is A where none was kept.
fn enter(app: &mut App) {
    if app.weights_only() {
        app.say("prompts are compared with a model: M loads it");
        return;
    }
    if app.pair.a.is_none() && app.has_run() {
        app.pair.a = Some(app.shown_prompt.clone());
        app.say("kept as A; edit the prompt (e), it is B");
    }
    select::enter_beside(app, Focus::Compare);
}

/// A key of its own.
fn own(app: &mut App, name: &str, effects: &mut Vec<Effect>) {
    match name {
        "keep-a" => {
            app.pair.a = Some(app.shown_prompt.clone());
            app.say("this prompt is A");
        }
        "keep-b" => {
            app.pair.b = Some(app.shown_prompt.clone()).filter(|_| app.pair.b.as_ref() != Some(&app.shown_prompt));
            app.say(if app.pair.b.is_some() { "this prompt is B" } else { "B is the prompt that is shown" });
        }
        "exchange" => {
            let (a, b) = (app.prompt_a().to_owned(), app.prompt_b().to_owned());
            (app.pair.a, app.pair.b, app.pair.shift) = (Some(b), Some(a), -app.pair.shift);
        }
        "interchange" => {
            // Of another pair it is asked for; of this one the key leads back.
            app.pair.swaps = !app.pair.swaps || (app.interchange().is_none() && !app.pair.swap.is_pending());
            if app.pair.swaps && !app.can_measure_effects() {
                app.pair.swaps = false;
                app.say("an interchange needs the whole model: M loads it");
            } else if let Some(query) = app.swap_key().filter(|_| app.pair.swaps) {
                effects.extend(app.pair.swap.want(query, (), &mut app.tickets));
            }
        }
        "by-meta" if app.meta_ref().is_none() => app.say("this SAE has no meta-SAE: t trains one"),
        "by-meta" => {
            app.pair.by_meta = !app.pair.by_meta;
            if let Some(query) = app.swap_key().filter(|_| app.pair.swaps) {
                effects.extend(app.pair.swap.want(query, (), &mut app.tickets));
            }
        }
        "shift-left" => app.pair.shift -= 1,
        "shift-right" => app.pair.shift += 1,
        _ => {}
    }
}

/// The pane.
pub(crate) struct ComparePane;

const HERE: KeyContexts = KeyContexts::pane(Focus::Compare);
/// Where a token and its latents are looked at.
const AROUND: KeyContexts = KeyContexts::of(&[
    KeyContext::Pane(Focus::Tokens),
    KeyContext::Pane(Focus::Latents),
    KeyContext::Pane(Focus::Card),
]);

impl Pane for ComparePane {
    fn focus(&self) -> Focus {
        Focus::Compare
    }

    fn name(&self) -> &'static str {
        "Compare"
    }

    fn keys(&self) -> &'static [Binding] {
        const {
            &[
                row(155, Action::Up, "compare.previous", &[key!(up), key!(k)], HERE, "", "The latent above"),
                row(156, Action::Down, "compare.next", &[key!(down), key!(j)], HERE, "latent", "The latent below"),
                row(
                    691,
                    Action::Focus(Focus::Compare),
                    "pane.compare",
                    &[key!(shift - c)],
                    AROUND,
                    "",
                    "Two prompts beside each other, A and B",
                ),
                row(
                    692,
                    Action::Own("keep-a"),
                    "compare.keep-a",
                    &[key!(shift - a)],
                    HERE,
                    "keep as A",
                    "Keep this prompt as A",
                ),
                row(
                    693,
                    Action::Own("keep-b"),
                    "compare.keep-b",
                    &[key!(shift - b)],
                    HERE,
                    "as B",
                    "Keep this prompt as B, or follow the one shown again",
                ),
                row(694, Action::Own("exchange"), "compare.exchange", &[key!(x)], HERE, "A/B", "Exchange A and B"),
                row(
                    695,
                    Action::Own("shift-left"),
                    "compare.shift-left",
                    &[key!(',')],
                    HERE,
                    "",
                    "Move B by one token against A, to the left",
                ),
                row(
                    696,
                    Action::Own("shift-right"),
                    "compare.shift-right",
                    &[key!('.')],
                    HERE,
                    "",
                    "Move B by one token against A, to the right",
                ),
                row(
                    697,
                    Action::Own("interchange"),
                    "compare.interchange",
                    &[key!(enter)],
                    HERE,
                    "interchange",
                    "Put B's latents into A here, one by one; or the list again",
                ),
                row(
                    163,
                    Action::Own("by-meta"),
                    "compare.by-meta",
                    &[key!('*')],
                    HERE,
                    "meta-latents",
                    "Exchange meta-latents in place of latents, or latents again",
                ),
                row(
                    698,
                    Action::Close,
                    "compare.leave",
                    &[key!(esc), key!(shift - c)],
                    HERE,
                    "back",
                    "Put the card back and go where you came from",
                ),
            ]
        }
    }

    fn help(&self) -> &'static [&'static str] {
        &[
            "Tokens of A and B by their longest common subsequence, the chosen latent's heat on both; what fires at the chosen",
            "pair, and what comes next after each. The interchange puts in what A's token lacks to B's, x + (f_B - f_A)·d, one",
            "latent after the other, those that move the answer most first; the dotted ends are the whole activation exchanged,",
            "the thin line latents in random order.",
        ]
    }

    fn is_there(&self, app: &App) -> bool {
        !app.weights_only()
    }

    fn enter(&self, app: &mut App) {
        enter(app);
    }

    fn act(&self, app: &mut App, action: Action, effects: &mut Vec<Effect>) -> bool {
        match action {
            Action::Up | Action::Down => move_row(app, step_of(action)),
            Action::First | Action::Last | Action::PageUp | Action::PageDown => {
                move_row(app, leap_of(action, app.hits.rows(Focus::Compare)));
            }
            Action::Own(name) => own(app, name, effects),
            Action::Close => select::leave_beside(app),
            _ => return false,
        }
        true
    }

    fn click(&self, app: &mut App, row: usize, _: &mut Vec<Effect>) {
        app.look_at(Focus::Compare);
        choose_row(app, row);
    }

    fn wheel(&self, app: &mut App, _: Option<usize>, by: isize) -> bool {
        move_row(app, by);
        true
    }

    fn questions(&self) -> &'static [Question] {
        const { &[question!(pair.asked), question!(pair.swap)] }
    }

    fn ask(&self, app: &mut App, effects: &mut Vec<Effect>) {
        if !app.shows_pair() || !app.has_run() {
            return;
        }
        if let Some(query) = app.compare_key() {
            effects.extend(app.pair.asked.want(query, (), &mut app.tickets));
        }
    }

    fn names(&self, app: &App) -> Vec<LatentRef> {
        let Some((view, _)) = app.comparison().filter(|_| app.shows_pair()) else { return Vec::new() };
        let of = |row: &PairRow| LatentRef { sae: view.sae.clone(), latent: row.latent };
        app.pair_rows().iter().take(64).map(of).collect()
    }

    fn draw(&self, app: &App, area: Rect, pen: &mut Canvas<'_>) {
        draw(app, area, pen);
    }
}
