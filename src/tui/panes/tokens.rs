//! The tokens pane: what is shown on the tokens (a latent's heat, the workbench's errors, an activation's sources), and
//! its title. Not here: choosing a token, and drawing the marks (`tokens/marks.rs`, `tokens/sources.rs`).

mod marks;
mod sources;

use ratatui::layout::Rect;
use ratatui::text::Span;

use crate::session::LoadScope;
use crate::text;
use crate::tui::app::App;
use crate::tui::canvas::{Canvas, Title};
use crate::tui::format;
use crate::tui::keys::{Action, Binding, KeyContexts, row};
use crate::tui::location::{Focus, LatentRef, Page};
use crate::tui::msg::Effect;
use crate::tui::pane::{Pane, step_of};
use crate::tui::update::{meta, select, stitch};
use crate::tui::view::figures::{name_of, name_text, progress_text};
use crate::tui::view::trouble;
use crate::tui::view::waiting::lacking;
use crokey::key;
use marks::{Heat, Marks, draw_tokens, heat_from, heat_of};
use sources::draw_sources;

fn draw(app: &App, area: Rect, pen: &mut Canvas<'_>) {
    pen.hit_pane(area, Focus::Tokens);
    if let Some(errors) = error_changes(app) {
        draw_errors(app, &errors, area, pen);
        return;
    }
    if app.shows_sources() && !app.tokens().is_empty() && app.run.last_failure().is_none() {
        draw_sources(app, area, pen);
        return;
    }
    let chosen = app.chosen();
    let by_meta = app.meta.meta_latent.filter(|_| app.meta.by_meta && app.meta_ref().is_some());
    let heat = match by_meta {
        Some(meta_latent) => Some(heat_from(app, app.meta_heat(meta_latent), None)),
        None => chosen.as_ref().map(|c| heat_of(app, c, None)),
    };
    let title = match (by_meta, &heat) {
        (Some(meta_latent), Some(heat)) => meta_title(app, meta_latent, heat, pen),
        _ => title(app, chosen.as_ref(), heat.as_ref(), pen),
    };
    let inner = pen.pane(area, &title, app.focus == Focus::Tokens);
    let inner = Rect { width: inner.width.saturating_sub(1), ..inner };
    if app.tokens().is_empty() {
        draw_empty(app, inner, pen);
        return;
    }
    let failure = app.run.last_failure().filter(|_| inner.height <= 2);
    let one = Rect { height: inner.height.min(1), ..inner };
    let inner = trouble::draw_lines(&trouble::first_lines(failure, one, pen.theme.charset), inner, pen);
    let mut heats: Vec<Heat> = heat.into_iter().collect();
    heats.extend(app.pins.iter().enumerate().map(|(n, pin)| heat_of(app, pin, Some(n))));
    draw_tokens(app, &Marks::Heats(&heats), inner, pen);
}

/// Where the workbench is shown and changed anything: by what share of the narrower SAE's error each token's error
/// changed.
fn error_changes(app: &App) -> Option<Vec<f64>> {
    if app.page != Page::Stitch || app.stitch.shown != Focus::Bench {
        return None;
    }
    let pair = app.pair()?;
    let bench = app.stitch.bench.value().filter(|b| b.small == pair.small && b.large == pair.large)?;
    if bench.changes.is_empty() || bench.errors.len() != app.tokens().len() {
        return None;
    }
    let share = |(small, now, _): &(f64, f64, f64)| if *small > 0.0 { (now - small) / small } else { 0.0 };
    Some(bench.errors.iter().map(share).collect())
}

/// The tokens by what the workbench did to their error: a sign and a bar below each, green for less and red for more.
fn draw_errors(app: &App, errors: &[f64], area: Rect, pen: &mut Canvas<'_>) {
    let theme = pen.theme;
    let small = app.pair().map(|pair| text::prose(&pair.small, theme.charset)).unwrap_or_default();
    let [better, worse] = theme.glyphs().change;
    let title = Title {
        name: "2 Tokens",
        about: vec![
            Span::raw(format!("error against {small}  ")),
            Span::styled(format!("{better} fell"), theme.good()),
            Span::raw("  "),
            Span::styled(format!("{worse} rose"), theme.bad()),
        ],
        right: errors.get(app.token).map_or(String::new(), |e| format!("{:+.2}% here", e * 100.0)),
    };
    let inner = pen.pane(area, &title, app.focus == Focus::Tokens);
    let inner = Rect { width: inner.width.saturating_sub(1), ..inner };
    let most = errors.iter().fold(0.0_f64, |most, e| most.max(e.abs()));
    draw_tokens(app, &Marks::Errors(errors, most), inner, pen);
}

fn title<'a>(app: &App, chosen: Option<&LatentRef>, heat: Option<&Heat>, pen: &Canvas<'_>) -> Title<'a> {
    let theme = pen.theme;
    let mut about = Vec::new();
    let mut right = String::new();
    if let (Some(chosen), Some(heat), false) = (chosen, heat, app.weights_only()) {
        about.push(Span::raw("heat of "));
        about.push(Span::styled(
            format!("{}/{}", text::prose(&chosen.sae, theme.charset), chosen.latent),
            theme.accent(),
        ));
        if let Some(name) = name_text(app, theme, chosen, 1) {
            about.push(Span::raw(format!(" {}", text::truncate(&name, 16, theme.charset))));
        }
        about.push(Span::styled(if app.held { " held" } else { " strongest here" }, theme.quiet()));
        for (n, pin) in app.pins.iter().enumerate() {
            let name =
                format!("  {} {}/{}", theme.glyphs().pins[n % 4], text::prose(&pin.sae, theme.charset), pin.latent);
            about.push(Span::styled(name, theme.pin(n)));
        }
        let here = heat.values.get(app.token).copied().unwrap_or(0.0);
        right = format!("{} here, max {}", format::activation(here), format::activation(heat.most));
    }
    if app.run.is_pending() && app.waits() {
        right = format!("{} {right}", theme.glyphs().more);
    }
    Title { name: "2 Tokens", about, right }
}

/// What the heat shows where the prompt is seen by meta-latents.
fn meta_title<'a>(app: &App, meta_latent: u32, heat: &Heat, pen: &Canvas<'_>) -> Title<'a> {
    let theme = pen.theme;
    let mut about = vec![Span::raw("heat of "), Span::styled(format!("meta-latent {meta_latent}"), theme.accent())];
    if let Some(name) = name_of(app, meta_latent, 2, theme) {
        about.push(Span::raw(format!(" {name}")));
    }
    about.push(Span::styled("  by meta-latents: v turns back", theme.quiet()));
    let here = heat.values.get(app.token).copied().unwrap_or(0.0);
    let right = format!("{} here, max {}", format::activation(here), format::activation(heat.most));
    Title { name: "2 Tokens", about, right }
}

fn draw_empty(app: &App, area: Rect, pen: &mut Canvas<'_>) {
    let area = Rect { x: area.x + 1, width: area.width.saturating_sub(1), ..area };
    if let Some(report) = app.opened.last_failure().or(app.run.last_failure()) {
        let lines = trouble::first_lines(Some(report), area, pen.theme.charset);
        trouble::draw_lines(&lines, area, pen);
        return;
    }
    if let Some(why) = lacking(app, LoadScope::Site) {
        pen.wrapped(area, &format!("{why}. / finds latents by number or by a token they promote."));
        return;
    }
    let text = if app.opened.is_pending() {
        let step = app.opened.progressed().map(|p| format!(": {}", progress_text(p))).unwrap_or_default();
        text::prose(&format!("loading {}{step} {}", app.suite, pen.theme.glyphs().more), pen.theme.charset)
    } else if app.run.is_pending() {
        format!("running the prompt {}", pen.theme.glyphs().more)
    } else {
        "no tokens: type a prompt".to_owned()
    };
    pen.text(area, 0, &text, pen.theme.quiet());
}

/// The pane.
pub(crate) struct TokensPane;

const HERE: KeyContexts = KeyContexts::pane(Focus::Tokens);

impl Pane for TokensPane {
    fn focus(&self) -> Focus {
        Focus::Tokens
    }

    fn name(&self) -> &'static str {
        "Tokens"
    }

    fn keys(&self) -> &'static [Binding] {
        const {
            &[
                row(590, Action::Accept, "tokens.open", &[key!(enter)], HERE, "", "Go to the latents of the token"),
                row(
                    620,
                    Action::Close,
                    "latent.release",
                    &[key!(esc)],
                    HERE,
                    "let go",
                    "Let go of the held latent: follow the strongest again",
                ),
                row(920, Action::First, "tokens.first", &[key!(home), key!(g), key!('0')], HERE, "", "The first token"),
                row(
                    930,
                    Action::Last,
                    "tokens.last",
                    &[key!(end), key!(shift - g), key!('$')],
                    HERE,
                    "",
                    "The last token",
                ),
                row(
                    940,
                    Action::PageUp,
                    "tokens.page-up",
                    &[key!(pageup), key!(ctrl - u)],
                    HERE,
                    "",
                    "The line of tokens above",
                ),
                row(
                    950,
                    Action::PageDown,
                    "tokens.page-down",
                    &[key!(pagedown), key!(ctrl - d)],
                    HERE,
                    "",
                    "The line of tokens below",
                ),
            ]
        }
    }

    fn help(&self) -> &'static [&'static str] {
        &[
            "The tokens the model sees: · is a space, ⏎ a newline, ⟨e2 96⟩ bytes that are not a whole character.",
            "The heat and the bars show how strongly one latent fires on each token: the strongest of the chosen token,",
            "or the one you hold. Pinned latents have bars of their own below.",
        ]
    }

    fn act(&self, app: &mut App, action: Action, _: &mut Vec<Effect>) -> bool {
        let shown = match app.page {
            Page::Explore => None,
            Page::Stitch => Some(app.stitch.shown),
            Page::Meta => Some(app.meta.shown),
        };
        match (action, shown) {
            (Action::First | Action::Last | Action::PageUp | Action::PageDown, _) => select::leap_token(app, action),
            (Action::Accept | Action::Close, Some(shown)) => app.look_at(shown),
            (Action::Accept, None) => app.look_at(Focus::Latents),
            (Action::Close, None) => select::release(app),
            // The list of latents is on another page; what is shown there moves.
            (Action::Up | Action::Down, Some(_)) if app.page == Page::Stitch => stitch::step(app, step_of(action)),
            (Action::Up | Action::Down, Some(_)) => meta::step(app, step_of(action)),
            (Action::Up | Action::Down, None) => meta::step_latents(app, step_of(action)),
            _ => return false,
        }
        true
    }

    fn click(&self, app: &mut App, row: usize, _: &mut Vec<Effect>) {
        app.look_at(Focus::Tokens);
        select::choose_token(app, row);
    }

    fn wheel(&self, app: &mut App, _: Option<usize>, by: isize) -> bool {
        select::move_token(app, by);
        true
    }

    fn draw(&self, app: &App, area: Rect, pen: &mut Canvas<'_>) {
        draw(app, area, pen);
    }
}
