//! What each latent of the chosen token does to what the model says next, in the card's place: a signed bar for each, and
//! below them the SAE's error, all latents together, and random directions. Not here: measuring it.

use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use crate::analysis::{LatentEffect, SaeEffect};
use crate::text;
use crate::tui::app::App;
use crate::tui::canvas::{Canvas, Title};
use crate::tui::format;
use crate::tui::hits::HitTarget;
use crate::tui::keys::{Action, Binding, KeyContext, KeyContexts, row};
use crate::tui::location::{Focus, LatentRef};
use crate::tui::msg::Effect;
use crate::tui::pane::{Pane, leap_of, step_of};
use crate::tui::question::{Question, question};
use crate::tui::theme::glyphs;
use crate::tui::update::select;
use crate::tui::view::figures::{contribution, name_text};
use crate::tui::view::flow;
use crate::tui::view::trouble;
use crokey::key;

/// Rows of what stands below the latents.
const BELOW: u16 = 3;
/// Cells of the bar's half, and of each number.
const HALF: usize = 6;

fn draw(app: &App, area: Rect, pen: &mut Canvas<'_>) {
    pen.hit_pane(area, Focus::Effect);
    let theme = pen.theme;
    let inner = pen.pane(area, &title(app, pen), app.focus == Focus::Effect);
    let inner = Rect { x: inner.x + 1, width: inner.width.saturating_sub(1), ..inner };
    let failure = trouble::first_lines(app.effect.asked.failure(), inner, theme.charset);
    let inner = trouble::draw_lines(&failure, inner, pen);
    let Some((view, sae, current)) = app.effects() else {
        let said = if app.run.value().is_none() { "the prompt has not been run" } else { "taking latents out" };
        if failure.is_empty() {
            pen.text(inner, 0, said, theme.quiet());
        }
        return;
    };
    let asked = text::truncate(&text::token(&view.token.text, theme.charset), 16, theme.charset);
    let head = Line::from(vec![
        Span::styled("for ", theme.quiet()),
        Span::styled(asked, theme.strong()),
        Span::styled(format!(" {}", format::percent(f64::from(view.token.logprob).exp())), Style::new()),
        Span::styled(format!("  log-p, {}", view.sign), theme.quiet()),
    ]);
    pen.line(inner, 0, &head);
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
    let Some(effect) = app.effect_rows().get(row).copied() else { return };
    let rank = app.position().and_then(|at| at.latents.iter().position(|firing| firing.latent == effect.latent));
    if let Some(rank) = rank {
        select::choose_rank(app, rank);
    }
}

fn move_row(app: &mut App, by: isize) {
    let last = app.effect_rows().len().saturating_sub(1);
    let now = app.effect_row().map_or(0, |row| row.saturating_add_signed(by).min(last));
    choose_row(app, now);
}

/// The pane.
pub(crate) struct EffectPane;

const HERE: KeyContexts = KeyContexts::pane(Focus::Effect);
/// Where a token and its latents are looked at.
const AROUND: KeyContexts = KeyContexts::of(&[
    KeyContext::Pane(Focus::Tokens),
    KeyContext::Pane(Focus::Latents),
    KeyContext::Pane(Focus::Card),
]);

impl Pane for EffectPane {
    fn focus(&self) -> Focus {
        Focus::Effect
    }

    fn name(&self) -> &'static str {
        "Effect"
    }

    fn keys(&self) -> &'static [Binding] {
        const {
            &[
                row(132, Action::Up, "effect.previous", &[key!(up), key!(k)], HERE, "", "The latent above"),
                row(134, Action::Down, "effect.next", &[key!(down), key!(j)], HERE, "latent", "The latent below"),
                row(
                    685,
                    Action::Focus(Focus::Effect),
                    "pane.effect",
                    &[key!(c)],
                    AROUND,
                    "effect",
                    "What each latent here causes: taken out, the model run on",
                ),
                row(662, Action::Order, "effect.order", &[key!(o)], HERE, "order", "By effect, or by activation"),
                row(
                    665,
                    Action::Close,
                    "effect.leave",
                    &[key!(esc), key!(c)],
                    HERE,
                    "back",
                    "Put the card back and go where you came from",
                ),
            ]
        }
    }

    fn help(&self) -> &'static [&'static str] {
        &[
            "What each latent that fires on the chosen token does to the likeliest next token: it is taken out there (x - f·d, the",
            "SAE's error stays) and the rest of the model is run. Log-p: clean less without it, so what speaks for the token is",
            "positive; KL: how far all next tokens move; direct: what it adds to the logit straight through the final norm.",
            "Below: the SAE's error taken out, all latents at once, and the mean of 16 random directions as long as the largest.",
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
        const { &[question!(effect.asked)] }
    }

    fn ask(&self, app: &mut App, effects: &mut Vec<Effect>) {
        if !app.shows_effects() || !app.has_run() || !app.can_measure_effects() {
            return;
        }
        let Some((query, run)) = app.effect_key() else { return };
        effects.extend(app.effect.asked.want(query, run, &mut app.tickets));
    }

    fn names(&self, app: &App) -> Vec<LatentRef> {
        let Some((_, sae, _)) = app.effects().filter(|_| app.shows_effects()) else { return Vec::new() };
        let of = |row: &LatentEffect| LatentRef { sae: sae.id.clone(), latent: row.latent };
        app.effect_rows().iter().take(64).map(of).collect()
    }

    fn draw(&self, app: &App, area: Rect, pen: &mut Canvas<'_>) {
        draw(app, area, pen);
    }
}
