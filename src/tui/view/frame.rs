//! Frames, fields and lists that lie over the panes.
//! Not here: what is in them.

use ratatui::layout::{Position, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Clear, Widget};

use crate::text;
use crate::tui::canvas::Canvas;
use crate::tui::hits::HitTarget;
use crate::tui::overlay::Field;
use crate::tui::view::flow;

/// The middle of the screen, at most this large.
pub(crate) fn centred(screen: Rect, width: u16, height: u16) -> Rect {
    let width = width.min(screen.width.saturating_sub(2));
    let height = height.min(screen.height.saturating_sub(1));
    Rect { x: screen.x + (screen.width - width) / 2, y: screen.y + (screen.height - height) / 2, width, height }
}

/// A box with a title; gives what is within, a cell away from the sides.
pub(crate) fn framed(area: Rect, title: &str, pen: &mut Canvas<'_>) -> Rect {
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
    pen.hits.add(area, HitTarget::Overlay);
    Rect { x: area.x + 2, y: area.y + 1, width: area.width.saturating_sub(4), height: area.height.saturating_sub(2) }
}

/// Lines of which some may be above or below; reports to the hit map how many there are.
pub(crate) fn scrolled(lines: &[Line<'_>], top: usize, area: Rect, pen: &mut Canvas<'_>) {
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

/// The field with its caret.
pub(crate) fn field_line(field: &Field, area: Rect, pen: &mut Canvas<'_>) {
    let typed = field.input.value();
    let room = usize::from(area.width).saturating_sub(3);
    let before: String = typed.chars().take(field.input.cursor()).collect();
    let after: String = typed.chars().skip(field.input.cursor()).collect();
    let show = |s: &str| text::prose(s, pen.theme.charset);
    // Of a long text the end before the caret is what one looks at.
    let mut before = show(&before);
    while text::width(&before) > room.saturating_sub(1) {
        before = before.chars().skip(1).collect();
    }
    let caret = area.x + 2 + text::width(&before) as u16;
    if caret < area.right() && area.height > 0 {
        pen.hits.caret = Some(Position::new(caret, area.y));
    }
    let line = Line::from(vec![
        Span::styled(format!("{} ", pen.theme.glyphs().chosen), pen.theme.accent()),
        Span::raw(before),
        Span::raw(show(&after)),
    ]);
    pen.line(area, 0, &line);
}

/// The rows of a list, with the chosen one in view and marked.
pub(crate) fn rows<'a>(
    count: usize,
    chosen: usize,
    area: Rect,
    pen: &mut Canvas<'_>,
    line: impl Fn(usize, bool, &Canvas<'_>) -> Line<'a>,
) {
    let height = usize::from(area.height);
    pen.hits.over_rows = height;
    let top = flow::top(chosen.min(count.saturating_sub(1)), height, count);
    for (row, index) in (top..count).take(height).enumerate() {
        let at = Rect { y: area.y + row as u16, height: 1, ..area };
        let mark = if index == chosen { pen.theme.glyphs().chosen } else { " " };
        pen.text(at, 0, mark, pen.theme.accent());
        let content = line(index, index == chosen, pen);
        let body = Rect { x: at.x + 2, width: at.width.saturating_sub(2), ..at };
        pen.line(body, 0, &content);
        pen.hits.add(at, HitTarget::Row(index));
    }
}
