//! Beside each other what the untouched model, the edited one and one with a random edit of the same size say next, how
//! they continue, and how likely named tokens are. Not here: the edit.

use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use crate::analysis::{Arm, Sampling, SurgeryView};
use crate::text;
use crate::tui::app::App;
use crate::tui::canvas::{Canvas, Title};
use crate::tui::format;
use crate::tui::theme::glyphs;
use crate::tui::update::meta_requests::continuation;
use crate::tui::view::trouble;
use crate::tui::view::waiting::waiting;

/// What the three models say.
pub(super) fn answers(app: &App, area: Rect, pen: &mut Canvas<'_>) {
    let theme = pen.theme;
    let failure =
        trouble::first_lines(app.meta.surgery.failure(), Rect { height: area.height.min(4), ..area }, theme.charset);
    let area = trouble::draw_lines(&failure, area, pen);
    let Some(operation) = app.operation() else { return };
    let view = app.meta.surgery.value().filter(|v| v.latent == operation.latent && v.meta == operation.meta);
    let Some(view) = view else {
        if failure.is_empty() {
            waiting(app, None, app.meta.surgery.progressed(), "running three models", area, pen);
        }
        return;
    };
    let each = (area.height / 3).clamp(3, 15) / 3;
    let texts = each * 3 + 1;
    let named =
        (view.named.len() as u16 + u16::from(!view.named.is_empty())).min(area.height.saturating_sub(texts) / 2);
    let upper = Rect { height: area.height.saturating_sub(texts + named), ..area };
    summary(app, view, Rect { height: 1.min(upper.height), ..upper }, pen);
    next(view, Rect { y: upper.y + 1, height: upper.height.saturating_sub(1), ..upper }, pen);
    named_table(view, Rect { y: upper.bottom(), height: named, ..area }, pen);
    let below = Rect { y: upper.bottom() + named, height: texts, ..area };
    continuations(app, below, each, pen);
    if app.meta.surgery.is_pending() && app.waits() {
        pen.tint(Rect { height: area.height - texts, ..area }, theme.stale());
    }
}

/// How large the edit is, and where it acts.
fn summary(app: &App, view: &SurgeryView, area: Rect, pen: &mut Canvas<'_>) {
    let theme = pen.theme;
    let token = |p: usize| app.tokens().get(p).map(|t| text::token(&t.text, theme.charset)).unwrap_or_default();
    let on: Vec<String> = view.fires.iter().take(8).map(|f| token(f.position)).collect();
    let size = if view.size > 0.0 {
        format!("the row moves by {} of its length; ", format::percent(view.size.into()))
    } else {
        "nothing edited; ".to_owned()
    };
    let (said, style) = if view.fires.is_empty() {
        ("the latent fires nowhere in this prompt: editing it changes nothing".to_owned(), theme.notice())
    } else {
        (format!("{size}it acts on {}", on.join(" ")), theme.quiet())
    };
    pen.text(area, 0, &text::truncate(&said, usize::from(area.width), theme.charset), style);
}

/// The likeliest next tokens of the three models, beside each other.
fn next(view: &SurgeryView, area: Rect, pen: &mut Canvas<'_>) {
    let theme = pen.theme;
    let each = area.width / 3;
    let before: Vec<u32> = view.arms.first().map_or_else(Vec::new, |arm| arm.next.iter().map(|t| t.id).collect());
    for (at, arm) in view.arms.iter().enumerate() {
        let column = Rect { x: area.x + each * at as u16, width: each.saturating_sub(1), ..area };
        pen.text(column, 0, arm.arm.name(), theme.strong());
        let below = Rect { y: column.y + 1, height: column.height.saturating_sub(1), ..column };
        let room = usize::from(column.width);
        let bar_cells = if room >= 30 { room - 22 } else { 0 };
        let name_cells = room.saturating_sub(bar_cells + 9).max(4);
        for (row, token) in arm.next.iter().take(usize::from(below.height)).enumerate() {
            let share = f64::from(token.logprob).exp();
            // What the untouched model had elsewhere in its list has risen or fallen.
            let rank = before.iter().position(|id| *id == token.id);
            let [fell, rose] = theme.glyphs().change;
            let mark = match rank {
                _ if at == 0 => " ",
                Some(rank) if rank > row => rose,
                Some(rank) if rank < row => fell,
                Some(_) => " ",
                None => rose,
            };
            let name = text::fit(&text::token(&token.text, theme.charset), name_cells, theme.charset);
            pen.line(
                below,
                row as u16,
                &Line::from(vec![
                    Span::styled(mark, theme.accent()),
                    Span::styled(name, if row == 0 { theme.strong() } else { Style::new() }),
                    Span::raw(format!(" {:>6} ", format::percent(share))),
                    Span::styled(glyphs::bar(theme.glyphs(), share as f32, bar_cells), theme.bar()),
                ]),
            );
        }
    }
}

/// The log-probabilities of what was named, and how they change.
fn named_table(view: &SurgeryView, area: Rect, pen: &mut Canvas<'_>) {
    let theme = pen.theme;
    if view.named.is_empty() {
        return;
    }
    let name_cells = (usize::from(area.width)).saturating_sub(36).clamp(8, 24);
    let names = format!("{:name_cells$} {:>9} {:>12} {:>12}", "log p", "untouched", "edited", "random");
    pen.text(area, 0, &text::truncate(&names, usize::from(area.width), theme.charset), theme.quiet());
    for (row, named) in view.named.iter().enumerate() {
        let [untouched, edited, random] = named.logprobs;
        let change = |value: f32| format!("{:+.2}", value - untouched);
        let style = |value: f32| if value >= untouched { theme.good() } else { theme.bad() };
        let name = text::fit(&text::prose(&named.text, theme.charset), name_cells, theme.charset);
        pen.line(
            area,
            row as u16 + 1,
            &Line::from(vec![
                Span::styled(name, theme.strong()),
                Span::raw(format!(" {untouched:>9.2} ")),
                Span::styled(format!("{:>12}", change(edited)), style(edited)),
                Span::styled(format!(" {:>12}", change(random)), theme.quiet()),
            ]),
        );
    }
}

/// How the three models continue.
fn continuations(app: &App, area: Rect, each: u16, pen: &mut Canvas<'_>) {
    let theme = pen.theme;
    let how = match app.meta.sampling {
        Sampling::Greedy => "likeliest tokens".to_owned(),
        Sampling::Random { temperature, seed, .. } => format!("by chance at {temperature:.1}, seed {seed}"),
    };
    let after: String = app.shown_prompt.chars().rev().take(20).collect::<Vec<_>>().into_iter().rev().collect();
    let title = Title {
        name: "continuations",
        about: vec![Span::styled(
            text::prose(&format!("{}{after}", theme.glyphs().more), theme.charset),
            theme.quiet(),
        )],
        right: how,
    };
    let inner = pen.pane(area, &title, false);
    let words = Rect { x: inner.x + 10, width: inner.width.saturating_sub(10), ..inner };
    for (at, arm) in Arm::ALL.into_iter().enumerate() {
        let top = each * at as u16;
        pen.text(inner, top, arm.name(), theme.quiet());
        let Some(key) = continuation(app, arm) else {
            pen.text(words, top, "nothing is edited", theme.quiet());
            continue;
        };
        let asked = &app.meta.continuations[at];
        let (said, style) = match (app.meta.text_of(&key), asked.failure()) {
            (Some((text, more)), _) => {
                let more = if more { theme.glyphs().more } else { "" };
                (format!("{}{more}", text::prose(&text.replace('\n', " "), theme.charset)), Style::new())
            }
            (None, Some(report)) => {
                (format!("{} {}", theme.glyphs().bad, text::said(&report.what, theme.charset)), theme.bad())
            }
            (None, None) => (theme.glyphs().more.to_owned(), theme.quiet()),
        };
        for (row, line) in
            text::wrap(said.trim_start(), usize::from(words.width)).iter().take(usize::from(each)).enumerate()
        {
            pen.text(words, top + row as u16, line, style);
        }
    }
}
