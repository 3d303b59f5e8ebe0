//! The frame of what lies over the panes, and what is in it by kind.
//! Not here: the lists' own rows (`lists`, `suites`).

use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::report::Report;
use crate::text;
use crate::tui::app::App;
use crate::tui::canvas::Canvas;
use crate::tui::overlay::{Confirmation, Overlay, Question};
use crate::tui::view::frame::{centred, framed, scrolled};
use crate::tui::view::{help, lists, search, suites, trouble, wiring};

pub(crate) fn draw(app: &App, overlay: &Overlay, screen: Rect, pen: &mut Canvas<'_>) {
    match overlay {
        Overlay::Help { about, top } => {
            let area = centred(screen, 96, screen.height.saturating_sub(2));
            let inner = framed(area, &format!("Help: {}", about.name()), pen);
            let lines = help::lines(*about, usize::from(inner.width), pen.theme);
            scrolled(&lines, *top, inner, pen);
        }
        Overlay::Error { report, top } => error(report, *top, screen, pen),
        Overlay::Wiring { top } => wiring::draw(app, *top, screen, pen),
        Overlay::Palette(field) => lists::palette(app, field, screen, pen),
        Overlay::Search(field) => search::draw(app, field, screen, pen),
        // Drawn in the queue, which follows it.
        Overlay::Filter(_) => {}
        Overlay::Path(field, what) => lists::path(field, *what, screen, pen),
        Overlay::Pick(field, what) => lists::pick(app, field, *what, screen, pen),
        Overlay::Named(field) => lists::named(field, screen, pen),
        Overlay::Label(field, of) => lists::label(of, field, screen, pen),
        Overlay::Suites { row } => suites::draw(app, *row, screen, pen),
        Overlay::Confirm(question) => confirm(question, screen, pen),
    }
}

fn error(report: &Report, top: usize, screen: Rect, pen: &mut Canvas<'_>) {
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

fn confirm(question: &Question, screen: Rect, pen: &mut Canvas<'_>) {
    let pull = matches!(question.what, Confirmation::Pull(_) | Confirmation::PullLens(_));
    let charset = pen.theme.charset;
    let width = 76.min(screen.width.saturating_sub(4));
    let room = usize::from(width).saturating_sub(4);
    let mut lines: Vec<Line<'_>> = Vec::new();
    let strong = |l: String| Line::from(Span::styled(l, pen.theme.strong()));
    lines.extend(text::wrap(&text::said(&question.ask, charset), room).into_iter().map(strong));
    lines.push(Line::default());
    for know in &question.know {
        lines.extend(text::wrap(&text::said(know, charset), room).into_iter().map(Line::from));
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
