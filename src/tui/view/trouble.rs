//! An error in the pane it belongs to: what, why, what to do.
//! Not here: the whole of it (`popup`).

use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::report::Report;
use crate::text::{self, Charset};
use crate::tui::canvas::Canvas;
use crate::tui::theme::glyphs;

/// How the whole is reached.
const ALL: &str = "  (! shows all)";

/// A line of an error and what kind of line it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TroubleLine {
    What(String),
    Why(String),
    Hint(String),
}

/// A report as lines of at most `width` cells.
pub(crate) fn lines(report: &Report, width: usize, charset: Charset) -> Vec<TroubleLine> {
    let mut out = Vec::new();
    let bad = glyphs::of(charset).bad;
    let mut add = |text: String, kind: fn(String) -> TroubleLine| {
        out.extend(text::wrap(&text, width).into_iter().map(kind));
    };
    add(format!("{bad} {}", text::said(&report.what, charset)), TroubleLine::What);
    for why in &report.why {
        add(format!("because {}", text::said(why, charset)), TroubleLine::Why);
    }
    if let Some(hint) = &report.hint {
        add(format!("hint: {}", text::said(hint, charset)), TroubleLine::Hint);
    }
    out
}

/// As much of an error as a pane has room for beside what it shows: the first line, and the hint when there is room.
pub(crate) fn first_lines(report: Option<&Report>, area: Rect, charset: Charset) -> Vec<TroubleLine> {
    let Some(report) = report else { return Vec::new() };
    let all = lines(report, usize::from(area.width), charset);
    let room = usize::from(area.height).saturating_sub(usize::from(area.height > 1));
    if all.len() <= room {
        return all;
    }
    let bad = glyphs::of(charset).bad;
    // The first cause says more than that something failed; what to do is worth more than the causes behind it; the
    // whole is one key away.
    let why = report.why.first().map(|why| format!(": {}", text::said(why, charset))).unwrap_or_default();
    let what = format!("{bad} {}{why}", text::said(&report.what, charset));
    let room_for_what = usize::from(area.width).saturating_sub(ALL.len());
    let mut short = vec![TroubleLine::What(format!("{}{ALL}", text::truncate(&what, room_for_what, charset)))];
    if let Some(hint) = &report.hint {
        let said = format!("hint: {}", text::said(hint, charset));
        let rows = room.saturating_sub(1);
        short.extend(
            text::wrap_within(&said, usize::from(area.width), rows, charset).into_iter().map(TroubleLine::Hint),
        );
    }
    short
}

/// Draws lines of an error at the top of an area; gives what is left of it.
pub(crate) fn draw_lines(lines: &[TroubleLine], area: Rect, pen: &mut Canvas<'_>) -> Rect {
    let rows = lines.len().min(usize::from(area.height)) as u16;
    for (row, line) in lines.iter().enumerate() {
        let (content, style) = styled(line, pen);
        pen.text(area, row as u16, content, style);
    }
    Rect { y: area.y + rows, height: area.height - rows, ..area }
}

/// The text of a line and how it looks.
pub(crate) fn styled<'a>(line: &'a TroubleLine, pen: &Canvas<'_>) -> (&'a str, Style) {
    match line {
        TroubleLine::What(text) => (text, pen.theme.bad()),
        TroubleLine::Why(text) => (text, Style::new()),
        TroubleLine::Hint(text) => (text, pen.theme.notice()),
    }
}
