//! The tokens as a heat map of the chosen latent, with a bar for it and for every pinned latent under each token.
//! Not here: choosing a token.

use ratatui::layout::Rect;
use ratatui::style::Modifier;
use ratatui::text::Span;

use super::flow;
use super::{Pen, Title, label_text, status, trouble};
use crate::text;
use crate::tui::app::{App, Focus, LatentRef};
use crate::tui::format;
use crate::tui::hits::Target;
use crate::tui::theme::{Depth, glyphs};

/// A latent whose strength is drawn over the tokens.
struct Heat {
    values: Vec<f32>,
    most: f32,
    /// Its place among the pins; none for the chosen latent.
    pin: Option<usize>,
}

pub(super) fn draw(app: &App, area: Rect, pen: &mut Pen<'_>) {
    pen.hit_pane(area, Focus::Tokens);
    let chosen = app.chosen();
    let heat = chosen.as_ref().map(|c| heat_of(app, c, None));
    let title = title(app, chosen.as_ref(), heat.as_ref(), pen);
    let inner = pen.pane(area, &title, app.focus == Focus::Tokens);
    let inner = Rect { width: inner.width.saturating_sub(1), ..inner };
    if app.tokens().is_empty() {
        draw_empty(app, inner, pen);
        return;
    }
    let failure = app.run.failure().filter(|_| inner.height <= 2);
    let one = Rect { height: inner.height.min(1), ..inner };
    let inner = trouble::draw_lines(&trouble::first_lines(failure, one, pen.theme.charset), inner, pen);
    let mut heats: Vec<Heat> = heat.into_iter().collect();
    heats.extend(app.pins.iter().enumerate().map(|(n, pin)| heat_of(app, pin, Some(n))));
    draw_tokens(app, &heats, inner, pen);
}

/// The strengths of a latent; the strongest is that of the prompt's own tokens, since position 0 fires on nothing but
/// standing first and would dim all others.
fn heat_of(app: &App, of: &LatentRef, pin: Option<usize>) -> Heat {
    let values = app.heat(of);
    let own = values.get(usize::from(app.has_bos())..).unwrap_or_default();
    let most = own.iter().copied().fold(0.0, f32::max);
    let most = if most > 0.0 { most } else { values.iter().copied().fold(0.0, f32::max) };
    Heat { values, most, pin }
}

fn title<'a>(app: &App, chosen: Option<&LatentRef>, heat: Option<&Heat>, pen: &Pen<'_>) -> Title<'a> {
    let theme = pen.theme;
    let mut about = Vec::new();
    let mut right = String::new();
    if let (Some(chosen), Some(heat)) = (chosen, heat) {
        about.push(Span::raw("heat of "));
        about.push(Span::styled(
            format!("{}/{}", text::prose(&chosen.sae, theme.charset), chosen.latent),
            theme.accent(),
        ));
        if let Some(label) = label_text(app, theme, chosen, 2) {
            about.push(Span::raw(format!(" {label}")));
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

fn draw_empty(app: &App, area: Rect, pen: &mut Pen<'_>) {
    let area = Rect { x: area.x + 1, width: area.width.saturating_sub(1), ..area };
    if let Some(report) = app.opened.failure().or(app.run.failure()) {
        let lines = trouble::first_lines(Some(report), area, pen.theme.charset);
        trouble::draw_lines(&lines, area, pen);
        return;
    }
    let text = if app.opened.is_pending() {
        let step = app.opened.progressed().map(|p| format!(": {}", status::progress_text(p))).unwrap_or_default();
        text::prose(&format!("loading {}{step} {}", app.suite, pen.theme.glyphs().more), pen.theme.charset)
    } else if app.run.is_pending() {
        format!("running the prompt {}", pen.theme.glyphs().more)
    } else {
        "no tokens: type a prompt".to_owned()
    };
    pen.text(area, 0, &text, pen.theme.quiet());
}

fn draw_tokens(app: &App, heats: &[Heat], area: Rect, pen: &mut Pen<'_>) {
    let charset = pen.theme.charset;
    let most = usize::from(area.width).saturating_sub(1);
    let texts: Vec<String> =
        app.tokens().iter().map(|t| text::truncate(&text::token(&t.text, charset), most, charset)).collect();
    let widths: Vec<usize> = texts.iter().map(|t| text::width(t).max(1)).collect();
    let breaks: Vec<bool> = app.tokens().iter().map(|t| t.text.contains('\n')).collect();
    let placed = flow::flow(&widths, &breaks, usize::from(area.width));
    pen.hits.token_lines = flow::line_starts(&placed);
    let lines = placed.last().map_or(0, |p| p.line + 1);
    let rows = rows_per_line(lines, heats.len(), area.height, pen.theme.depth);
    let shown = (usize::from(area.height) / rows).max(1);
    let cursor = placed.get(app.token).map_or(0, |p| p.line);
    let top = flow::top(cursor, shown, lines);
    let stale = app.run.is_stale() && (app.waits() || app.run.failure().is_some());
    for (position, place) in placed.iter().enumerate().filter(|(_, p)| (top..top + shown).contains(&p.line)) {
        let y = area.y + ((place.line - top) * rows) as u16;
        let at = Rect { x: area.x + place.x as u16, y, width: place.cells as u16, height: 1 };
        draw_token(app, position, &texts[position], heats, (at, rows), pen);
        if stale {
            pen.tint(Rect { height: rows as u16, ..at }.intersection(area), pen.theme.stale());
        }
        pen.hits.add(Rect { height: rows as u16, ..at }.intersection(area), Target::Token(position));
    }
    draw_more(top, shown, lines, area, pen);
}

/// Rows that a line of tokens takes: its text, and a bar for each latent as far as there is room. Where all lines fit
/// only without bars, and colours tell the heat, bars are left out.
fn rows_per_line(lines: usize, heats: usize, height: u16, depth: Depth) -> usize {
    let height = usize::from(height).max(1);
    let full = (1 + heats).min(height);
    let crowded = lines * full > height && lines > 1;
    if crowded && heats <= 1 && depth >= Depth::Ansi256 { 1 } else { full }
}

fn draw_token(app: &App, position: usize, shown: &str, heats: &[Heat], at: (Rect, usize), pen: &mut Pen<'_>) {
    let (at, rows) = at;
    let theme = pen.theme;
    let body = Rect { x: at.x + 1, width: at.width.saturating_sub(1), ..at };
    let share =
        |heat: &Heat| heat.values.get(position).map_or(0.0, |v| if heat.most > 0.0 { v / heat.most } else { 0.0 });
    let mut style = heats.iter().find(|h| h.pin.is_none()).map_or_else(Default::default, |h| theme.heat(share(h)));
    if position == app.token {
        let [before, after] = theme.glyphs().around;
        pen.text(at, 0, before, theme.accent());
        pen.buf.set_stringn(at.right(), at.y, after, 1, theme.accent());
        // Where heat is told by the ground, reversing would hide how hot the chosen token is.
        let mark = if style.bg.is_some() { Modifier::UNDERLINED } else { Modifier::REVERSED };
        style = style.add_modifier(mark | Modifier::BOLD);
    }
    pen.text(body, 0, shown, style);
    for (row, heat) in heats.iter().enumerate().take(rows.saturating_sub(1)) {
        let glyph = glyphs::level(theme.glyphs(), share(heat));
        let bar = glyph.repeat(usize::from(body.width));
        let style = heat.pin.map_or(theme.bar(), |n| theme.pin(n));
        pen.buf.set_stringn(body.x, body.y + 1 + row as u16, &bar, usize::from(body.width), style);
    }
}

/// Marks that there are lines above or below, in the last column.
fn draw_more(top: usize, shown: usize, lines: usize, area: Rect, pen: &mut Pen<'_>) {
    let column = Rect { x: area.right(), width: 1, ..area };
    let (up, down) = if pen.theme.charset == text::Charset::Ascii { ("^", "v") } else { ("↑", "↓") };
    if top > 0 {
        pen.text(column, 0, up, pen.theme.quiet());
    }
    if top + shown < lines {
        pen.text(column, area.height.saturating_sub(1), down, pen.theme.quiet());
    }
}
