//! Tokens in lines, each with its marks: a ground or a bar for how strongly latents fire, how an error changed, what a
//! source brought. Not here: which of these is shown.

use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};

use crate::text;
use crate::tui::app::App;
use crate::tui::canvas::Canvas;
use crate::tui::hits::HitTarget;
use crate::tui::location::{Focus, LatentRef};
use crate::tui::theme::{Depth, glyphs};
use crate::tui::view::flow;

/// A latent whose strength is drawn over the tokens.
pub(super) struct Heat {
    pub(super) values: Vec<f32>,
    pub(super) most: f32,
    /// Its place among the pins; none for the chosen latent.
    pub(super) pin: Option<usize>,
}

impl Heat {
    /// The share of the strongest at a position.
    fn share(&self, position: usize) -> f32 {
        self.values.get(position).map_or(0.0, |v| if self.most > 0.0 { v / self.most } else { 0.0 })
    }
}

/// What is drawn on the tokens.
pub(super) enum Marks<'a> {
    /// How strongly latents fire.
    Heats(&'a [Heat]),
    /// By what share errors changed, and the largest of them.
    Errors(&'a [f64], f64),
    /// What sources brought, and the size that is a full bar.
    Sources(&'a [f32], f32),
}

/// The strengths of a latent; the strongest is that of the prompt's own tokens, since what stands in front of it fires on nothing but
/// standing first and would dim all others.
pub(super) fn heat_of(app: &App, of: &LatentRef, pin: Option<usize>) -> Heat {
    heat_from(app, app.heat(of), pin)
}

pub(super) fn heat_from(app: &App, values: Vec<f32>, pin: Option<usize>) -> Heat {
    let own = values.get(app.apart()..).unwrap_or_default();
    let most = own.iter().copied().fold(0.0, f32::max);
    let most = if most > 0.0 { most } else { values.iter().copied().fold(0.0, f32::max) };
    Heat { values, most, pin }
}

pub(super) fn draw_tokens(app: &App, marks: &Marks<'_>, area: Rect, pen: &mut Canvas<'_>) {
    let charset = pen.theme.charset;
    let most = usize::from(area.width).saturating_sub(1);
    let texts: Vec<String> =
        app.tokens().iter().map(|t| text::truncate(&text::token(&t.text, charset), most, charset)).collect();
    let widths: Vec<usize> = texts.iter().map(|t| text::width(t).max(1)).collect();
    let breaks: Vec<bool> = app.tokens().iter().map(|t| t.text.contains('\n')).collect();
    let placed = flow::flow(&widths, &breaks, usize::from(area.width));
    pen.hits.token_lines = flow::line_starts(&placed);
    let lines = placed.last().map_or(0, |p| p.line + 1);
    let rows = match marks {
        Marks::Heats(heats) => rows_per_line(lines, heats.len(), area.height, pen.theme.depth),
        // The sign is what tells without colours.
        Marks::Errors(..) | Marks::Sources(..) => rows_per_line(lines, 1, area.height, Depth::Mono),
    };
    let shown = (usize::from(area.height) / rows).max(1);
    let cursor = placed.get(app.token).map_or(0, |p| p.line);
    let top = flow::top(cursor, shown, lines);
    let stale = app.run.is_stale() && (app.waits() || app.run.last_failure().is_some());
    for (position, place) in placed.iter().enumerate().filter(|(_, p)| (top..top + shown).contains(&p.line)) {
        let y = area.y + ((place.line - top) * rows) as u16;
        let at = Rect { x: area.x + place.x as u16, y, width: place.cells as u16, height: 1 };
        draw_token(app, position, &texts[position], marks, (at, rows), pen);
        if stale {
            pen.tint(Rect { height: rows as u16, ..at }.intersection(area), pen.theme.stale());
        }
        pen.hits.add(Rect { height: rows as u16, ..at }.intersection(area), HitTarget::Item(Focus::Tokens, position));
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

fn draw_token(app: &App, position: usize, shown: &str, marks: &Marks<'_>, at: (Rect, usize), pen: &mut Canvas<'_>) {
    let (at, rows) = at;
    let theme = pen.theme;
    let body = Rect { x: at.x + 1, width: at.width.saturating_sub(1), ..at };
    let mut style = match marks {
        Marks::Heats(heats) => {
            heats.iter().find(|h| h.pin.is_none()).map_or_else(Default::default, |h| theme.heat(h.share(position)))
        }
        Marks::Errors(errors, _) => error_style(errors.get(position).copied().unwrap_or(0.0), pen),
        Marks::Sources(values, most) => {
            let share = share_of(values, *most, position);
            if share < -LEAST_SHARE { theme.suppressed() } else { theme.heat(share) }
        }
    };
    if position == app.token {
        let [before, after] = theme.glyphs().around;
        pen.text(at, 0, before, theme.accent());
        pen.buf.set_stringn(at.right(), at.y, after, 1, theme.accent());
        // Where heat is shown by the background, reversing would hide how hot the chosen token is.
        let mark = if style.bg.is_some() { Modifier::UNDERLINED } else { Modifier::REVERSED };
        style = style.add_modifier(mark | Modifier::BOLD);
    }
    pen.text(body, 0, shown, style);
    let room = usize::from(body.width);
    match marks {
        Marks::Heats(heats) => {
            for (row, heat) in heats.iter().enumerate().take(rows.saturating_sub(1)) {
                let bar = glyphs::level(theme.glyphs(), heat.share(position)).repeat(room);
                let style = heat.pin.map_or(theme.bar(), |n| theme.pin(n));
                pen.buf.set_stringn(body.x, body.y + 1 + row as u16, &bar, room, style);
            }
        }
        Marks::Errors(errors, most) if rows > 1 => {
            let change = errors.get(position).copied().unwrap_or(0.0);
            let [better, worse] = theme.glyphs().change;
            if change.abs() >= LEAST_CHANGE {
                let sign = if change < 0.0 { better } else { worse };
                let level = glyphs::level(theme.glyphs(), (change.abs() / most) as f32);
                let bar = format!("{sign}{}", level.repeat(room.saturating_sub(1)));
                pen.buf.set_stringn(body.x, body.y + 1, &bar, room, error_style(change, pen));
            }
        }
        Marks::Sources(values, most) if rows > 1 => {
            let share = share_of(values, *most, position);
            let level = glyphs::level(theme.glyphs(), share.abs());
            let (bar, style) = if share < -LEAST_SHARE {
                (format!("-{}", level.repeat(room.saturating_sub(1))), theme.suppressed())
            } else if share > LEAST_SHARE {
                (level.repeat(room), theme.bar())
            } else {
                return;
            };
            pen.buf.set_stringn(body.x, body.y + 1, &bar, room, style);
        }
        Marks::Errors(..) | Marks::Sources(..) => {}
    }
}

/// Smaller shares of a source are drawn as none.
const LEAST_SHARE: f32 = 0.01;

/// What a source brought as a share of a full bar, with its sign; none beyond the token that is looked at.
fn share_of(values: &[f32], most: f32, position: usize) -> f32 {
    values.get(position).map_or(0.0, |value| if most > 0.0 { (value / most).clamp(-1.0, 1.0) } else { 0.0 })
}

/// Smaller changes of an error are drawn as none.
const LEAST_CHANGE: f64 = 5e-4;

fn error_style(change: f64, pen: &Canvas<'_>) -> Style {
    if change <= -LEAST_CHANGE {
        pen.theme.good()
    } else if change >= LEAST_CHANGE {
        pen.theme.bad()
    } else {
        Style::new()
    }
}

/// Marks that there are lines above or below, in the last column.
fn draw_more(top: usize, shown: usize, lines: usize, area: Rect, pen: &mut Canvas<'_>) {
    let column = Rect { x: area.right(), width: 1, ..area };
    let (up, down) = if pen.theme.charset == text::Charset::Ascii { ("^", "v") } else { ("↑", "↓") };
    if top > 0 {
        pen.text(column, 0, up, pen.theme.quiet());
    }
    if top + shown < lines {
        pen.text(column, area.height.saturating_sub(1), down, pen.theme.quiet());
    }
}
