//! The frame of what lies over the panes, and what is in it by kind.
//! Not here: the lists' own rows (`lists`, `suites`).

use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Clear, Widget};

use super::{Pen, help, lists, suites, trouble, wiring};
use crate::report::Report;
use crate::text;
use crate::tui::app::App;
use crate::tui::hits::Target;
use crate::tui::over::{Costly, Over, Question};

pub(super) fn draw(app: &App, over: &Over, screen: Rect, pen: &mut Pen<'_>) {
    match over {
        Over::Help { about, top } => {
            let area = centred(screen, 96, screen.height.saturating_sub(2));
            let inner = framed(area, &format!("Help: {}", about.name()), pen);
            let lines = help::lines(*about, usize::from(inner.width), pen.theme);
            scrolled(&lines, *top, inner, pen);
        }
        Over::Error { report, top } => error(report, *top, screen, pen),
        Over::Wiring { top } => wiring::draw(app, *top, screen, pen),
        Over::Palette(field) => lists::palette(app, field, screen, pen),
        Over::Search(field) => lists::search(app, field, screen, pen),
        // Drawn in the queue, which follows it.
        Over::Filter(_) => {}
        Over::Path(field, what) => lists::path(field, *what, screen, pen),
        Over::Pick(field, what) => lists::pick(app, field, *what, screen, pen),
        Over::Named(field) => lists::named(field, screen, pen),
        Over::Suites { row } => suites::draw(app, *row, screen, pen),
        Over::Confirm(question) => confirm(question, screen, pen),
    }
}

/// The middle of the screen, at most this large.
pub(super) fn centred(screen: Rect, width: u16, height: u16) -> Rect {
    let width = width.min(screen.width.saturating_sub(2));
    let height = height.min(screen.height.saturating_sub(1));
    Rect { x: screen.x + (screen.width - width) / 2, y: screen.y + (screen.height - height) / 2, width, height }
}

/// A box with a title; gives what is within, a cell away from the sides.
pub(super) fn framed(area: Rect, title: &str, pen: &mut Pen<'_>) -> Rect {
    // One cell around it is cleared too: a wide character cut by the frame would stick out.
    let around = Rect {
        x: area.x.saturating_sub(1),
        width: (area.width + 2).min(pen.buf.area.right().saturating_sub(area.x.saturating_sub(1))),
        ..area
    };
    Clear.render(around, pen.buf);
    let theme = pen.theme;
    let [top_left, top_right, bottom_left, bottom_right, across, down] = theme.glyphs().frame;
    let style = theme.rule(true);
    let middle = across.repeat(usize::from(area.width.saturating_sub(2)));
    let last = area.height.saturating_sub(1);
    pen.text(area, 0, &format!("{top_left}{middle}{top_right}"), style);
    pen.text(area, last, &format!("{bottom_left}{middle}{bottom_right}"), style);
    for row in 1..last {
        pen.text(area, row, down, style);
        pen.text(Rect { x: area.right().saturating_sub(1), width: 1, ..area }, row, down, style);
    }
    let head = Rect { x: area.x + 2, width: area.width.saturating_sub(4), ..area };
    let title = text::truncate(title, usize::from(head.width).saturating_sub(2), theme.charset);
    pen.text(head, 0, &format!(" {title} "), theme.title(true));
    pen.hits.add(area, Target::Over);
    Rect { x: area.x + 2, y: area.y + 1, width: area.width.saturating_sub(4), height: area.height.saturating_sub(2) }
}

/// Lines of which some may be above or below; tells the hits how many there are.
pub(super) fn scrolled(lines: &[Line<'_>], top: usize, area: Rect, pen: &mut Pen<'_>) {
    let rows = usize::from(area.height);
    pen.hits.over_rows = rows;
    pen.hits.over_lines = lines.len();
    let top = top.min(lines.len().saturating_sub(rows));
    for (row, line) in lines.iter().skip(top).take(rows).enumerate() {
        pen.line(area, row as u16, line);
    }
    if top + rows < lines.len() {
        let note = format!(" {} more below ", lines.len() - top - rows);
        let at = Rect { y: area.bottom(), height: 1, ..area };
        pen.text(at, 0, &note, pen.theme.notice());
    }
}

fn error(report: &Report, top: usize, screen: Rect, pen: &mut Pen<'_>) {
    let width = 90.min(screen.width.saturating_sub(4));
    let lines = trouble::lines(report, usize::from(width).saturating_sub(4), pen.theme.charset);
    let height = (lines.len() as u16 + 2).min(screen.height.saturating_sub(2));
    let inner = framed(centred(screen, width, height), "What went wrong", pen);
    let styled: Vec<Line<'_>> = lines
        .iter()
        .map(|line| {
            let (content, style) = trouble::styled(line, pen);
            Line::from(Span::styled(content.to_owned(), style))
        })
        .collect();
    scrolled(&styled, top, inner, pen);
}

fn confirm(question: &Question, screen: Rect, pen: &mut Pen<'_>) {
    let pull = matches!(question.what, Costly::Pull(_));
    let charset = pen.theme.charset;
    let width = 76.min(screen.width.saturating_sub(4));
    let room = usize::from(width).saturating_sub(4);
    let mut lines: Vec<Line<'_>> = Vec::new();
    let strong = |l: String| Line::from(Span::styled(l, pen.theme.strong()));
    lines.extend(text::wrap(&text::prose(&question.ask, charset), room).into_iter().map(strong));
    lines.push(Line::default());
    for know in &question.know {
        lines.extend(text::wrap(&text::prose(know, charset), room).into_iter().map(Line::from));
    }
    lines.push(Line::default());
    lines.push(Line::from(vec![
        Span::styled("Enter", pen.theme.key()),
        Span::raw(if pull { " downloads    " } else { " trains    " }),
        Span::styled("Esc", pen.theme.key()),
        Span::raw(" does not"),
    ]));
    let height = (lines.len() as u16 + 2).min(screen.height.saturating_sub(2));
    let inner = framed(centred(screen, width, height), if pull { "Download" } else { "Train a meta-SAE" }, pen);
    for (row, line) in lines.iter().enumerate() {
        pen.line(inner, row as u16, line);
    }
}
