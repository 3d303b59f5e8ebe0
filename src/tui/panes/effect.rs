//! What each latent of the chosen token does to what the model says next, in the card's place: a signed bar for each, and
//! below them the SAE's error, all latents together, and random directions; or every position in front of a token
//! (`positions`). Not here: measuring it.

mod keys;
mod parts;
mod positions;
mod widths;

use std::fmt::Write as _;

use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use crate::analysis::{LatentEffect, NextToken, SaeEffect};
use crate::report::Report;
use crate::text;
use crate::tui::app::App;
use crate::tui::canvas::{Canvas, Title};
use crate::tui::effect::EffectPage;
use crate::tui::format;
use crate::tui::hits::HitTarget;
use crate::tui::keys::{Action, Binding};
use crate::tui::location::{Focus, LatentRef};
use crate::tui::msg::Effect;
use crate::tui::pane::{Pane, leap_of, step_of};
use crate::tui::question::{Question, question};
use crate::tui::theme::glyphs;
use crate::tui::update::select;
use crate::tui::view::figures::{contribution, name_text};
use crate::tui::view::flow;
use crate::tui::view::trouble;

/// Rows of what stands below the latents.
const BELOW: u16 = 3;
/// Cells of the bar's half, and of each number.
const HALF: usize = 6;

fn draw(app: &App, area: Rect, pen: &mut Canvas<'_>) {
    pen.hit_pane(area, Focus::Effect);
    let theme = pen.theme;
    let inner = pen.pane(area, &title(app, pen), app.focus == Focus::Effect);
    let inner = Rect { x: inner.x + 1, width: inner.width.saturating_sub(1), ..inner };
    let failure = trouble::first_lines(failed(app), inner, theme.charset);
    let inner = trouble::draw_lines(&failure, inner, pen);
    match app.effect.page {
        EffectPage::Latents => latents(app, inner, failure.is_empty(), pen),
        EffectPage::Positions => positions::draw(app, inner, failure.is_empty(), pen),
        EffectPage::Widths => widths::draw(app, inner, failure.is_empty(), pen),
        EffectPage::Parts => parts::draw(app, inner, failure.is_empty(), pen),
    }
}

/// The latents of the chosen token.
fn latents(app: &App, inner: Rect, well: bool, pen: &mut Canvas<'_>) {
    let theme = pen.theme;
    let Some((view, sae, current)) = app.effects() else {
        let said = if app.run.value().is_none() { "the prompt has not been run" } else { "taking latents out" };
        if well {
            pen.text(inner, 0, said, theme.quiet());
        }
        return;
    };
    pen.line(inner, 0, &head(app, &view.token, (view.read, view.sign), inner.width, pen));
    let named = format!(" {:>6} {:>7} {:>7} {:>7} {:>7}", "latent", "log-p", "KL", "direct", "");
    pen.text(inner, 1, &named, theme.quiet());
    let rows = inner.height.saturating_sub(2 + BELOW);
    let list = Rect { y: inner.y + 2, height: rows, ..inner };
    draw_rows(app, sae, list, pen);
    let below = Rect { y: list.bottom(), height: inner.height.saturating_sub(2 + rows), ..inner };
    let most = largest(sae);
    let parts = [
        ("error", sae.error.delta_logprob, sae.error.kl),
        ("all", sae.all_latents.delta_logprob, sae.all_latents.kl),
        ("random", sae.random.delta_logprob, sae.random.kl),
    ];
    for (y, (name, delta, kl)) in parts.into_iter().enumerate().take(usize::from(below.height)) {
        let mut line = vec![Span::styled(format!(" {name:>6}"), theme.quiet())];
        line.extend(figures(delta, kl, None));
        line.push(Span::raw(" "));
        line.extend(signed_bar(delta, most, pen));
        pen.line(below, y as u16, &Line::from(line));
    }
    if !current && app.waits() {
        pen.tint(inner, theme.stale());
    }
}

/// Why what is shown could not be had.
fn failed(app: &App) -> Option<&Report> {
    match app.effect.page {
        EffectPage::Latents => app.effect.asked.failure(),
        EffectPage::Positions => app.effect.grid.failure(),
        EffectPage::Widths => app.effect.widths.failure(),
        EffectPage::Parts => app.effect.parts.failure(),
    }
}

/// Which token is asked about, and where it is read if not at the chosen token.
fn head<'a>(app: &App, of: &NextToken, (read, sign): (usize, &str), width: u16, pen: &Canvas<'_>) -> Line<'a> {
    let theme = pen.theme;
    let shown = |of: &str, most| text::truncate(&text::token(of, theme.charset), most, theme.charset);
    let mut head = vec![
        Span::styled("for ", theme.quiet()),
        Span::styled(shown(&of.text, 16), theme.strong()),
        Span::styled(format!(" {}", format::percent(f64::from(of.logprob).exp())), Style::new()),
    ];
    if app.effect.read.is_some() {
        let at = app.tokens().get(read).map(|at| shown(&at.text, 12)).unwrap_or_default();
        head.push(Span::styled(format!(" after {read} {at}"), theme.quiet()));
    }
    if app.effect.read.is_none() || width >= WIDE {
        head.push(Span::styled(format!("  log-p, {sign}"), theme.quiet()));
    }
    Line::from(head)
}

fn draw_rows(app: &App, sae: &SaeEffect, list: Rect, pen: &mut Canvas<'_>) {
    let rows = app.effect_rows();
    pen.hits.note_rows(Focus::Effect, usize::from(list.height));
    if rows.is_empty() {
        pen.text(list, 0, " nothing fires on this token", pen.theme.quiet());
    }
    let top = flow::top(app.effect_row().unwrap_or(0), usize::from(list.height).max(1), rows.len());
    let most = largest(sae);
    for (y, (index, effect)) in rows.iter().enumerate().skip(top).take(usize::from(list.height)).enumerate() {
        let at = Rect { y: list.y + y as u16, height: 1, ..list };
        pen.line(at, 0, &latent_line(app, &sae.id, effect, most, pen));
        pen.hits.add(at, HitTarget::Item(Focus::Effect, index));
    }
}

fn latent_line<'a>(app: &App, sae: &str, effect: &LatentEffect, most: f64, pen: &Canvas<'_>) -> Line<'a> {
    let theme = pen.theme;
    let chosen = app.latent == Some(effect.latent);
    let style = if chosen { theme.chosen(app.focus == Focus::Effect) } else { Style::new() };
    let mut line = vec![
        Span::styled(if chosen { theme.glyphs().chosen } else { " " }, theme.accent()),
        Span::styled(format!("{:>6}", effect.latent), style),
    ];
    line.extend(figures(effect.delta_logprob, effect.kl, effect.direct));
    line.push(Span::raw(" "));
    line.extend(signed_bar(effect.delta_logprob, most, pen));
    let of = LatentRef { sae: sae.to_owned(), latent: effect.latent };
    line.push(Span::raw(format!(" {}", name_text(app, theme, &of, 4).unwrap_or_default())));
    Line::from(line)
}

/// Cells from which KL has room beside the bar.
const WIDE: u16 = 52;

/// Change of log-probability, KL where there is room for it, and the bar.
fn numbers<'a>((delta, kl): (f64, f64), most: f64, width: u16, pen: &Canvas<'_>) -> Vec<Span<'a>> {
    let mut said = format!(" {:>7}", contribution(delta as f32));
    if width >= WIDE {
        let _ = write!(said, " {:>7}", contribution(kl as f32).replace('+', ""));
    }
    let mut line = vec![Span::raw(said), Span::raw(" ")];
    line.extend(signed_bar(delta, most, pen));
    line
}

/// What stands above [`numbers`].
fn named(width: u16) -> String {
    let kl = if width >= WIDE { format!(" {:>7}", "KL") } else { String::new() };
    format!(" {:>7}{kl}", "log-p")
}

/// The numbers of a row.
fn figures<'a>(delta: f64, kl: f64, direct: Option<f64>) -> Vec<Span<'a>> {
    let direct = direct.map_or_else(String::new, |direct| contribution(direct as f32));
    vec![Span::raw(format!(
        " {:>7} {:>7} {direct:>7}",
        contribution(delta as f32),
        contribution(kl as f32).replace('+', "")
    ))]
}

fn largest(sae: &SaeEffect) -> f64 {
    let parts = [sae.error.delta_logprob, sae.all_latents.delta_logprob, sae.random.delta_logprob];
    let latents = sae.latents.iter().map(|effect| effect.delta_logprob);
    latents.chain(parts).map(f64::abs).fold(0.0, f64::max)
}

/// A bar to the right for what speaks for the token, to the left for what speaks against it: where it stands tells the
/// sign without its colour.
pub(crate) fn signed_bar<'a>(value: f64, most: f64, pen: &Canvas<'_>) -> Vec<Span<'a>> {
    let theme = pen.theme;
    let share = if most > 0.0 { (value.abs() / most) as f32 } else { 0.0 };
    let cells = if share > 0.0 { ((share * HALF as f32).round() as usize).clamp(1, HALF) } else { 0 };
    let middle = theme.glyphs().column;
    let full = glyphs::bar(theme.glyphs(), 1.0, cells);
    let (left, right) = if value < 0.0 {
        (format!("{}{full}", " ".repeat(HALF - cells)), " ".repeat(HALF))
    } else {
        (" ".repeat(HALF), text::fit(&glyphs::bar(theme.glyphs(), share, HALF), HALF, theme.charset))
    };
    vec![
        Span::styled(left, theme.suppressed()),
        Span::styled(middle.to_owned(), theme.quiet()),
        Span::styled(right, theme.bar()),
    ]
}

fn title<'a>(app: &App, pen: &Canvas<'_>) -> Title<'a> {
    let theme = pen.theme;
    let mut title = Title { name: "c Effect", ..Title::default() };
    if let Some(token) = app.tokens().get(app.token) {
        title.about.push(Span::raw("at "));
        let shown = text::truncate(&text::token(&token.text, theme.charset), 16, theme.charset);
        title.about.push(Span::styled(shown, theme.strong()));
    }
    let more = theme.glyphs().more;
    title.right = match app.effects() {
        _ if app.effect.page == EffectPage::Positions => positions::state(app, pen),
        _ if app.effect.page == EffectPage::Widths => widths::state(app, pen),
        _ if app.effect.page == EffectPage::Parts => parts::state(app, pen),
        _ if app.effect.asked.is_pending() && app.waits() => format!("measuring {more}"),
        Some(_) if app.effect.by_activation => "by activation".to_owned(),
        Some(_) => "by effect".to_owned(),
        None => String::new(),
    };
    title
}

/// Shows the effects in the card's place.
fn enter(app: &mut App) {
    if !app.can_measure_effects() {
        app.say("what latents do needs the whole model: M loads it");
        return;
    }
    select::enter_beside(app, Focus::Effect);
}

fn choose_row(app: &mut App, row: usize) {
    match app.effect.page {
        EffectPage::Latents => {}
        EffectPage::Positions => return positions::choose(app, row),
        EffectPage::Widths | EffectPage::Parts => {
            app.effect.row = Some(row);
            return;
        }
    }
    let Some(effect) = app.effect_rows().get(row).copied() else { return };
    let rank = app.position().and_then(|at| at.latents.iter().position(|firing| firing.latent == effect.latent));
    if let Some(rank) = rank {
        select::choose_rank(app, rank);
    }
}

fn move_row(app: &mut App, by: isize) {
    let (rows, row) = match app.effect.page {
        EffectPage::Latents => (app.effect_rows().len(), app.effect_row()),
        EffectPage::Positions => (app.grid_cells().0.len(), app.grid_cells().1),
        EffectPage::Widths => (app.width_rows().len(), Some(app.width_row())),
        EffectPage::Parts => {
            (app.part_effects().map_or(0, |(view, _)| view.meta_latents.len()), Some(app.effect.row.unwrap_or(0)))
        }
    };
    let now = row.map_or(0, |row| row.saturating_add_signed(by).min(rows.saturating_sub(1)));
    choose_row(app, now);
}

/// A key of its own.
fn own(app: &mut App, name: &str) {
    match name {
        "page" => {
            app.effect.page = app.effect.page.next(app.meta_ref().is_some());
            app.effect.row = None;
            if app.effect.page == EffectPage::Positions && app.effect.read.is_none() {
                app.effect.read = Some(app.token);
            }
        }
        "read" if app.effect.read == Some(app.token) && app.effect.page == EffectPage::Latents => {
            app.effect.read = None;
            app.say("the next token is read where latents are taken out");
        }
        "read" => {
            app.effect.read = Some(app.token);
            app.say("the next token is read here: go to an earlier one");
        }
        "follows" => app.effect.follows = !app.effect.follows,
        _ => {}
    }
}

/// The pane.
pub(crate) struct EffectPane;

impl Pane for EffectPane {
    fn focus(&self) -> Focus {
        Focus::Effect
    }

    fn name(&self) -> &'static str {
        "Effect"
    }

    fn keys(&self) -> &'static [Binding] {
        keys::KEYS
    }

    fn help(&self) -> &'static [&'static str] {
        &[
            "What each latent that fires on the chosen token does to the likeliest next token: it is taken out there (x - f·d, the",
            "SAE's error stays) and the rest of the model is run. Log-p: clean less without it, so what speaks for the token is",
            "positive; KL: how far all next tokens move; direct: what it adds to the logit straight through the final norm.",
            "Below: the SAE's error taken out, all latents at once, and the mean of 16 random directions as long as the largest.",
            "@ reads the next token at the chosen token, and latents are taken out at earlier ones. Space shows all positions in",
            "front of it: each as a whole first, then every latent at the 16 that do most, the strongest first; then every SAE,",
            "with the chosen latent's parents and children that fire here; then the latent's meta-latents, each taken out of its",
            "decoder row, which keeps its length.",
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
                move_row(app, leap_of(action, app.hits.rows(Focus::Effect)));
            }
            Action::Order => app.effect.by_activation = !app.effect.by_activation,
            Action::Own(name) => own(app, name),
            Action::Accept => widths::go(app),
            Action::Close => select::leave_beside(app),
            _ => return false,
        }
        true
    }

    fn click(&self, app: &mut App, row: usize, _: &mut Vec<Effect>) {
        app.look_at(Focus::Effect);
        choose_row(app, row);
    }

    fn wheel(&self, app: &mut App, _: Option<usize>, by: isize) -> bool {
        move_row(app, by);
        true
    }

    fn questions(&self) -> &'static [Question] {
        const { &[question!(effect.asked), question!(effect.grid), question!(effect.widths), question!(effect.parts)] }
    }

    fn ask(&self, app: &mut App, effects: &mut Vec<Effect>) {
        if !app.shows_effects() || !app.has_run() || !app.can_measure_effects() {
            return;
        }
        if let Some((query, run)) = app.effect_key() {
            effects.extend(app.effect.asked.want(query, run, &mut app.tickets));
        }
        match app.effect.page {
            EffectPage::Latents => {}
            EffectPage::Positions => {
                if let Some((query, run)) = app.grid_key() {
                    effects.extend(app.effect.grid.want(query, run, &mut app.tickets));
                }
            }
            EffectPage::Widths => {
                if let Some((query, run)) = app.widths_key() {
                    effects.extend(app.effect.widths.want(query, run, &mut app.tickets));
                }
            }
            EffectPage::Parts => {
                if let Some((query, run)) = app.part_effects_key() {
                    effects.extend(app.effect.parts.want(query, run, &mut app.tickets));
                }
            }
        }
    }

    fn names(&self, app: &App) -> Vec<LatentRef> {
        if !app.shows_effects() {
            return Vec::new();
        }
        let own = app.sae().map(|sae| sae.id.clone()).unwrap_or_default();
        let of = |latent: u32| LatentRef { sae: own.clone(), latent };
        let mut shown: Vec<LatentRef> = match app.effect.page {
            EffectPage::Latents | EffectPage::Parts => Vec::new(),
            EffectPage::Positions => app.grid_cells().0.iter().take(64).map(|cell| of(cell.latent)).collect(),
            EffectPage::Widths => widths::shown(app),
        };
        shown.extend(app.effect_rows().iter().take(64).map(|row| of(row.latent)));
        shown
    }

    fn draw(&self, app: &App, area: Rect, pen: &mut Canvas<'_>) {
        draw(app, area, pen);
    }
}
