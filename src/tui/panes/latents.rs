//! What fires at the chosen token, strongest first: bar, value, index, and the tokens each promotes.
//! Not here: the card.

use ratatui::layout::Rect;
use ratatui::style::Modifier;
use ratatui::text::{Line, Span};

use crate::analysis::Firing;
use crate::text;
use crate::tui::app::App;
use crate::tui::canvas::{Canvas, Title};
use crate::tui::format;
use crate::tui::hits::HitTarget;
use crate::tui::keys::{Action, Binding, KeyContexts, row};
use crate::tui::location::{Focus, LatentRef, activation};
use crate::tui::msg::Effect;
use crate::tui::pane::{Pane, step_of};
use crate::tui::panes::effect::signed_bar;
use crate::tui::theme::glyphs::{self, level};
use crate::tui::update::{meta, select};
use crate::tui::view::figures::{contribution, name_text, row_of};
use crate::tui::view::flow;
use crate::tui::view::waiting::waiting;
use crokey::key;

fn draw(app: &App, area: Rect, pen: &mut Canvas<'_>) {
    pen.hit_pane(area, Focus::Latents);
    if app.meta.by_meta && app.meta_ref().is_some() {
        by_meta(app, area, pen);
        return;
    }
    let focused = app.focus == Focus::Latents;
    let inner = pen.pane(area, &title(app, area.width < 44, pen), focused);
    pen.hits.latent_rows = usize::from(inner.height);
    if app.weights_only() {
        by_number(app, inner, pen);
        return;
    }
    let (Some(position), Some(sae)) = (app.position(), app.sae()) else {
        return;
    };
    let mut inner = inner;
    if let (Some(latent), None) = (app.latent, app.rank()) {
        absent(app, latent, &mut inner, pen);
    }
    if position.latents.is_empty() {
        pen.text(inner, 0, "  nothing fires on this token", pen.theme.quiet());
        return;
    }
    pen.hits.latent_rows = usize::from(inner.height);
    let strongest = position.latents.first().map_or(0.0, |f| f.activation);
    let stale = is_stale(app);
    let rows = usize::from(inner.height);
    // The list may have been scrolled for a screen of another size.
    let fits = app.latents_top.min(position.latents.len().saturating_sub(rows));
    let top = app.rank().map_or(fits, |rank| fits.clamp((rank + 1).saturating_sub(rows), rank));
    let digits = sae.width.map_or(1, |w| w.saturating_sub(1).max(1).to_string().len()).max(3);
    let listed = app.listed_latents();
    for (row, (rank, firing)) in listed.iter().enumerate().skip(top).take(rows).enumerate() {
        let of = LatentRef { sae: sae.id.clone(), latent: firing.latent };
        let share = if strongest > 0.0 { firing.activation / strongest } else { 0.0 };
        draw_row(app, &of, *firing, share, digits, (inner, row as u16), pen);
        let at = Rect { y: inner.y + row as u16, height: 1, ..inner };
        if stale {
            pen.tint(at, pen.theme.stale());
        } else if app.latent != Some(firing.latent) && app.is_dense(&of) {
            pen.tint(at, pen.theme.quiet());
        }
        pen.hits.add(at, HitTarget::Item(Focus::Latents, rank));
    }
}

/// All latents by number, where no prompt says which fire.
fn by_number(app: &App, inner: Rect, pen: &mut Canvas<'_>) {
    let (theme, Some(sae)) = (pen.theme, app.sae()) else { return };
    let rows = usize::from(inner.height);
    let fits = app.latents_top.min(app.listed().saturating_sub(rows));
    let top = app.rank().map_or(fits, |rank| fits.clamp((rank + 1).saturating_sub(rows), rank));
    let digits = app.listed().saturating_sub(1).to_string().len().max(3);
    for (row, rank) in (top..app.listed()).take(rows).enumerate() {
        let Some(latent) = app.listed_at(rank) else { continue };
        let of = LatentRef { sae: sae.id.clone(), latent };
        let chosen = app.latent == Some(latent);
        let pin = app.pins.iter().position(|pin| *pin == of);
        let line = Line::from(vec![
            Span::styled(if chosen { theme.glyphs().chosen } else { " " }, theme.accent()),
            pin.map_or(Span::raw(" "), |n| Span::styled(theme.glyphs().pins[n % 4], theme.pin(n))),
            Span::styled(
                format!("{latent:>digits$}"),
                if chosen { theme.chosen(app.focus == Focus::Latents) } else { theme.quiet() },
            ),
            Span::raw("  "),
            Span::raw(name_text(app, theme, &of, 8).unwrap_or_default()),
        ]);
        pen.line(inner, row as u16, &line);
        pen.hits.add(Rect { y: inner.y + row as u16, height: 1, ..inner }, HitTarget::Item(Focus::Latents, rank));
    }
}

/// What fires at the token by meta-latents: what all latents that fire bring of each.
fn by_meta(app: &App, area: Rect, pen: &mut Canvas<'_>) {
    let theme = pen.theme;
    let focused = app.focus == Focus::Latents;
    let meta = app.meta_ref().map(|of| of.meta).unwrap_or_default();
    let position = app.meta_position();
    let title = Title {
        name: "3 Meta-latents",
        about: vec![Span::raw(format!("of {}", text::prose(&meta, theme.charset)))],
        right: position.map_or(String::new(), |p| format!("{} here", p.l0)),
    };
    let inner = pen.pane(area, &title, focused);
    pen.hits.latent_rows = usize::from(inner.height);
    let Some(position) = position else {
        waiting(app, app.meta.run.failure(), app.meta.run.progressed(), "by meta-latents", inner, pen);
        return;
    };
    if position.latents.is_empty() {
        pen.text(inner, 0, "  no meta-latent is in what fires on this token", theme.quiet());
    }
    let strongest = position.latents.first().map_or(1.0, |f| f.activation);
    let chosen = position.latents.iter().position(|f| Some(f.latent) == app.meta.meta_latent);
    let rows = usize::from(inner.height);
    let top = flow::top(chosen.unwrap_or(0), rows, position.latents.len());
    let cells = (usize::from(inner.width) / 6).clamp(5, 16);
    for (row, (rank, firing)) in position.latents.iter().enumerate().skip(top).take(rows).enumerate() {
        let at = Rect { y: inner.y + row as u16, height: 1, ..inner };
        let is_chosen = chosen == Some(rank);
        let bar = glyphs::bar(theme.glyphs(), firing.activation / strongest, cells);
        let mut line = vec![
            Span::styled(if is_chosen { theme.glyphs().chosen } else { " " }, theme.accent()),
            Span::styled(
                format!("{:>6}", firing.latent),
                if is_chosen { theme.chosen(focused || app.focus == Focus::Tokens) } else { theme.quiet() },
            ),
            Span::raw(" "),
            Span::styled(text::fit(&bar, cells, theme.charset), theme.bar()),
            Span::raw(format!(" {:>6} ", format::activation(firing.activation))),
        ];
        line.extend(row_of(app, firing.latent, pen));
        pen.line(at, 0, &Line::from(line));
        pen.hits.add(at, HitTarget::Item(Focus::Latents, rank));
    }
    if app.meta.run.is_pending() && app.waits() {
        pen.tint(inner, theme.stale());
    }
}

/// Whether what is shown answers an older prompt.
fn is_stale(app: &App) -> bool {
    app.run.is_stale() && (app.waits() || app.run.last_failure().is_some())
}

fn title<'a>(app: &App, narrow: bool, pen: &Canvas<'_>) -> Title<'a> {
    let theme = pen.theme;
    let mut about = Vec::new();
    if let Some(token) = app.tokens().get(app.token) {
        about.push(Span::raw("at "));
        about.push(Span::styled(
            text::truncate(&text::token(&token.text, theme.charset), 20, theme.charset),
            theme.strong(),
        ));
    }
    if app.by_quantile && !narrow {
        about.push(Span::styled(", most unusual first", theme.quiet()));
    }
    if app.weights_only() {
        let right = format!("{} in all", format::count(app.listed() as u64));
        let about = if narrow { Vec::new() } else { vec![Span::styled("by number", theme.quiet())] };
        return Title { name: "3 Latents", about, right };
    }
    let right = app.position().map_or(String::new(), |p| {
        let width = app.sae().and_then(|s| s.width).filter(|_| !narrow);
        let all = width.map_or(String::new(), |w| format!(" of {}", format::count(w as u64)));
        let more = if is_stale(app) { theme.glyphs().more } else { "" };
        format!("{more}{} fire{all}", p.l0)
    });
    Title { name: "3 Latents", about, right }
}

/// The chosen latent when it does not fire on this token: said, so that the list does not seem to have lost it.
fn absent(app: &App, latent: u32, area: &mut Rect, pen: &mut Canvas<'_>) {
    let theme = pen.theme;
    let label = app.chosen().and_then(|c| name_text(app, theme, &c, 3)).unwrap_or_default();
    let line = Line::from(vec![
        Span::styled(format!("{} {latent}", theme.glyphs().chosen), theme.strong()),
        Span::styled(" does not fire here  ", theme.notice()),
        Span::styled(label, theme.quiet()),
    ]);
    pen.line(*area, 0, &line);
    area.y += 1.min(area.height);
    area.height = area.height.saturating_sub(1);
}

fn draw_row(
    app: &App,
    of: &LatentRef,
    firing: Firing,
    share: f32,
    digits: usize,
    (area, row): (Rect, u16),
    pen: &mut Canvas<'_>,
) {
    let theme = pen.theme;
    let glyphs = theme.glyphs();
    let chosen = app.latent == Some(firing.latent);
    let focused = app.focus == Focus::Latents;
    let bar_cells = (usize::from(area.width) / 6).clamp(5, 16);
    let marker = if chosen { glyphs.chosen } else { " " };
    let pin = app.pins.iter().position(|p| p == of);
    let label = name_text(app, theme, of, 8);
    let bar = text::fit(&glyphs::bar(glyphs, share, bar_cells), bar_cells, theme.charset);
    let name = format!("{:>digits$}", firing.latent);
    let mut line = vec![
        Span::styled(marker, theme.accent()),
        pin.map_or(Span::raw(" "), |n| Span::styled(glyphs.pins[n % 4], theme.pin(n))),
        Span::styled(name, if chosen { theme.chosen(focused || app.focus == Focus::Tokens) } else { theme.quiet() }),
        Span::raw(" "),
        Span::styled(bar, theme.bar()),
        Span::raw(format!(" {:>6} ", format::activation(firing.activation))),
    ];
    if app.by_quantile {
        let share = firing.quantile.map_or_else(|| "-".to_owned(), |share| format!("{:.1}", share * 100.0));
        line.push(Span::styled(format!("{share:>5}% "), theme.quiet()));
    }
    match app.effect_of(firing.latent) {
        // Beside what it causes there is no room for where else it fires.
        Some(effect) => {
            line.extend(signed_bar(effect, largest_effect(app), pen));
            line.push(Span::raw(format!(" {:>6} ", contribution(effect as f32))));
        }
        None => line.extend(profile(app, of, area.width, pen)),
    }
    // Plain in every row: restyling it would double what a move of the selection writes.
    line.push(Span::raw(label.unwrap_or_else(|| glyphs.more.into())));
    pen.line(area, row, &Line::from(line));
}

/// The largest effect of a latent in the list, whatever its sign.
fn largest_effect(app: &App) -> f64 {
    let effects = app.effects().map_or(&[][..], |(_, sae, _)| &sae.latents);
    effects.iter().map(|effect| effect.delta_logprob.abs()).fold(0.0, f64::max)
}

/// Cells of a latent's profile over the prompt, and the width of a list that has room for it.
const PROFILE: usize = 24;
const MIN_WIDTH_OF_PROFILE: u16 = 60;

/// How strongly a latent fires on the tokens around the chosen one, a cell each, the chosen one marked: where else it
/// fires is the first thing one asks of a latent.
fn profile<'a>(app: &App, of: &LatentRef, width: u16, pen: &Canvas<'_>) -> Vec<Span<'a>> {
    let (theme, tokens) = (pen.theme, app.tokens().len());
    if width < MIN_WIDTH_OF_PROFILE || tokens == 0 {
        return Vec::new();
    }
    let cells = PROFILE.min(tokens);
    let top = flow::top(app.token, cells, tokens);
    let run = app.run_of(&of.sae).map_or(&[][..], |run| run.positions.as_slice());
    let around: Vec<f32> = run.iter().skip(top).take(cells).map(|p| activation(p, of.latent)).collect();
    // What stands first fires on that alone and would dim all others.
    let apart = app.apart().saturating_sub(top);
    let own = around.get(if apart < around.len() { apart } else { 0 }..).unwrap_or_default();
    let most = own.iter().copied().fold(f32::MIN_POSITIVE, f32::max);
    let mut spans: Vec<Span<'a>> = around
        .iter()
        .enumerate()
        .map(|(i, value)| {
            let style = if top + i == app.token { theme.bar().add_modifier(Modifier::UNDERLINED) } else { theme.bar() };
            Span::styled(level(theme.glyphs(), value / most), style)
        })
        .collect();
    spans.push(Span::raw(" "));
    spans
}

/// The pane.
pub(crate) struct LatentsPane;

const HERE: KeyContexts = KeyContexts::pane(Focus::Latents);

impl Pane for LatentsPane {
    fn focus(&self) -> Focus {
        Focus::Latents
    }

    fn name(&self) -> &'static str {
        "Latents"
    }

    fn keys(&self) -> &'static [Binding] {
        const {
            &[
                row(
                    600,
                    Action::Accept,
                    "latents.open",
                    &[key!(enter)],
                    HERE,
                    "card",
                    "Hold the latent and go to its card",
                ),
                row(
                    605,
                    Action::Reverse,
                    "latents.order",
                    &[key!(shift - o)],
                    HERE,
                    "unusual",
                    "By quantile among its own activations, or by activation",
                ),
                row(850, Action::Close, "latents.leave", &[key!(esc)], HERE, "", "Back to the tokens"),
            ]
        }
    }

    fn help(&self) -> &'static [&'static str] {
        &[
            "The latents of the chosen SAE that fire on the chosen token, strongest first: index, bar, activation,",
            "and its short name: the tokens it fires on most in the text of the index, and those its direction promotes.",
            "On a wide screen the small bars show on which tokens around the chosen one it fires; the chosen one is",
            "underlined. Dense latents (more than a tenth of the text) are dimmed and stand below the others.",
        ]
    }

    fn act(&self, app: &mut App, action: Action, _: &mut Vec<Effect>) -> bool {
        match action {
            Action::Up | Action::Down => meta::step_latents(app, step_of(action)),
            Action::First | Action::Last | Action::PageUp | Action::PageDown if app.meta.by_meta => {
                meta::leap_in_prompt(app, action);
            }
            Action::First | Action::Last | Action::PageUp | Action::PageDown => select::leap_latent(app, action),
            Action::Accept if app.meta.by_meta => meta::open_card(app),
            Action::Accept => {
                if let Some(visit) = app.visit_now() {
                    app.held = true;
                    app.history.visit(None, visit);
                    select::enter_card(app);
                }
            }
            Action::Close => app.look_at(Focus::Tokens),
            Action::Reverse if app.index.version() == 0 => {
                app.say("no index yet says how unusual an activation is; I reads the text");
            }
            Action::Reverse => {
                app.by_quantile = !app.by_quantile;
                select::follow_strongest(app);
            }
            _ => return false,
        }
        true
    }

    fn click(&self, app: &mut App, row: usize, _: &mut Vec<Effect>) {
        let same = app.focus == Focus::Latents && app.rank() == Some(row);
        app.look_at(Focus::Latents);
        if app.meta.by_meta {
            meta::choose_in_prompt(app, row);
            return;
        }
        select::choose_rank(app, row);
        if same {
            select::enter_card(app);
        }
    }

    fn wheel(&self, app: &mut App, _: Option<usize>, by: isize) -> bool {
        select::move_latent(app, by);
        true
    }

    fn draw(&self, app: &App, area: Rect, pen: &mut Canvas<'_>) {
        draw(app, area, pen);
    }
}
