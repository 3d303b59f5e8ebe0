//! What the model says comes after the chosen token: a pane, or one line where there is no room.
//! Not here: the metrics of all SAEs (`ladder`).

use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::analysis::{NextToken, Quality};
use crate::session::LoadScope;
use crate::text;
use crate::tui::app::App;
use crate::tui::canvas::{Canvas, Title};
use crate::tui::format;
use crate::tui::theme::glyphs;
use crate::tui::view::trouble;
use crate::tui::view::waiting::lacking;

pub(crate) fn draw(app: &App, area: Rect, pen: &mut Canvas<'_>) {
    let here = app.next.at(app.token);
    // What is known of another token stays, with that token's name, until this one's is there.
    let (after, next) = match (here, app.tokens().get(app.token), app.next.last()) {
        (Some(next), Some(token), _) => (token.text.as_str(), next),
        (_, Some(_), Some(last)) => last,
        _ => ("", &[][..]),
    };
    if area.height <= 1 {
        draw_line(app, next, area, pen);
    } else {
        draw_pane(app, (after, next), area, pen);
    }
    if (here.is_none() || app.run.is_stale()) && app.waits() {
        pen.tint(area, pen.theme.stale());
    }
}

fn draw_pane(app: &App, (after, next): (&str, &[NextToken]), area: Rect, pen: &mut Canvas<'_>) {
    let theme = pen.theme;
    let after = text::token(after, theme.charset);
    let about = if after.is_empty() {
        Vec::new()
    } else {
        vec![Span::raw("after "), Span::styled(text::truncate(&after, 20, theme.charset), theme.strong())]
    };
    let inner = pen.pane(area, &Title { name: "Next token", about, right: String::new() }, false);
    let inner = trouble::draw_lines(&trouble::first_lines(app.next.failure(), inner, theme.charset), inner, pen);
    if let Some(why) = lacking(app, LoadScope::Whole) {
        pen.wrapped(Rect { x: inner.x + 1, width: inner.width.saturating_sub(2), ..inner }, why);
    }
    let room = usize::from(inner.width);
    let bar_cells = (room / 3).min(24);
    for (row, token) in next.iter().take(usize::from(inner.height)).enumerate() {
        let share = f64::from(token.logprob).exp();
        let name_cells = room.saturating_sub(bar_cells + 10).clamp(6, 22);
        let name = text::fit(&text::token(&token.text, theme.charset), name_cells, theme.charset);
        let line = Line::from(vec![
            Span::raw("  "),
            Span::styled(name, if row == 0 { theme.strong() } else { ratatui::style::Style::new() }),
            Span::raw(format!(" {:>6} ", format::percent(share))),
            Span::styled(glyphs::bar(theme.glyphs(), share as f32, bar_cells), theme.bar()),
        ]);
        pen.line(inner, row as u16, &line);
    }
}

fn draw_line(app: &App, next: &[NextToken], area: Rect, pen: &mut Canvas<'_>) {
    let theme = pen.theme;
    let room = usize::from(area.width).saturating_sub(LEAST_LEFT);
    let metrics = app.sae_run().map(|s| metrics_text(&s.metrics.quality, room)).unwrap_or_default();
    let metrics_cells = text::width(&metrics) as u16 + 1;
    let left = Rect { width: area.width.saturating_sub(metrics_cells + 1), ..area };
    let mut spans = vec![Span::styled(format!(" next {} ", theme.glyphs().arrow), theme.quiet())];
    let mut used: usize = spans.iter().map(Span::width).sum();
    for (i, token) in next.iter().enumerate() {
        let name = text::truncate(&text::token(&token.text, theme.charset), 16, theme.charset);
        let share = format::percent(f64::from(token.logprob).exp());
        let cells = text::width(&name) + share.len() + 3;
        if used + cells > usize::from(left.width) {
            break;
        }
        used += cells;
        spans.push(Span::styled(name, if i == 0 { theme.strong() } else { ratatui::style::Style::new() }));
        spans.push(Span::styled(format!(" {share}  "), theme.quiet()));
    }
    if let Some(why) = lacking(app, LoadScope::Whole) {
        let room = usize::from(left.width).saturating_sub(used);
        spans.push(Span::styled(text::truncate(why, room, theme.charset), theme.notice()));
    }
    pen.line(left, 0, &Line::from(spans));
    let right = Rect { x: area.right().saturating_sub(metrics_cells), width: metrics_cells.min(area.width), ..area };
    pen.text(right, 0, &metrics, theme.quiet());
}

/// Cells kept for what comes next: one token at least.
const LEAST_LEFT: usize = 30;

/// An SAE's metrics on one line, as many as fit.
fn metrics_text(quality: &Quality, room: usize) -> String {
    let part = |name: &str, value: Option<f64>| value.map(|v| format!("{name} {}", format::short(v)));
    let parts = [
        part("L0", quality.l0),
        part("EV", quality.explained_variance),
        part("MSE", quality.mse),
        Some(format!("on {} tok", quality.tokens)),
    ];
    let mut said = String::new();
    for part in parts.into_iter().flatten() {
        let next = if said.is_empty() { part } else { format!("{said}  {part}") };
        if text::width(&next) > room {
            break;
        }
        said = next;
    }
    said
}
