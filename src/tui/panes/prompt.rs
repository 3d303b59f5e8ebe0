//! The prompt editor: the text made harmless, wrapped, with its caret.
//! Not here: editing.
//!
//! Drawn here and not by the editor's own widget: the text may hold characters that a terminal would obey.

use ratatui::layout::{Position, Rect};
use ratatui::style::Style;
use ratatui_textarea::DataCursor;
use unicode_segmentation::UnicodeSegmentation;

use crate::text::{self, Charset, Space};
use crate::tui::app::App;
use crate::tui::canvas::{Canvas, Title};
use crate::tui::hits::HitTarget;
use crate::tui::keys::{Action, Binding, Edit, KeyContexts, row};
use crate::tui::location::Focus;
use crate::tui::msg::Effect;
use crate::tui::pane::Pane;
use crate::tui::view::flow;
use crate::tui::view::trouble;
use crokey::key;

/// One grapheme as shown, and the place in the text it stands for.
struct Cell {
    shown: String,
    line: usize,
    column: usize,
}

fn draw(app: &App, area: Rect, pen: &mut Canvas<'_>) {
    let focused = app.focus == Focus::Prompt;
    let right = match (app.opened.value(), app.run.value()) {
        (Some(opened), Some(run)) => format!("{} of {} tokens", run.tokens.len(), opened.context),
        _ => String::new(),
    };
    pen.hit_pane(area, Focus::Prompt);
    let inner = pen.pane(area, &Title { name: "1 Prompt", about: Vec::new(), right }, focused);
    if app.editor.is_empty() && !focused {
        let hint = if app.opened.value().is_some() { " press e and type a prompt" } else { "" };
        pen.text(inner, 0, hint, pen.theme.quiet());
        return;
    }
    let inner = Rect { x: inner.x + 1, width: inner.width.saturating_sub(2), ..inner };
    // Where there is one row, it is for what is typed; the tokens say what went wrong.
    let failure = app.run.last_failure().filter(|_| inner.height > 1);
    let failure = trouble::first_lines(failure, inner, pen.theme.charset);
    let inner = trouble::draw_lines(&failure, inner, pen);
    let DataCursor(line, column) = app.editor.cursor();
    let rows = rows(app.editor.lines(), usize::from(inner.width), pen.theme.charset);
    let caret_row = rows.iter().position(|r| r.iter().any(|c| c.line == line && c.column >= column));
    let caret_row = caret_row.unwrap_or(rows.len().saturating_sub(1));
    let top = flow::top(caret_row, usize::from(inner.height), rows.len());
    for (y, row) in rows.iter().skip(top).take(usize::from(inner.height)).enumerate() {
        let place = Rect { y: inner.y + y as u16, height: 1, ..inner };
        draw_row(row, place, (line, column), focused, pen);
    }
}

/// The rows of a text; the end of every line is a cell of its own, where the caret can stand.
fn rows(lines: &[String], width: usize, charset: Charset) -> Vec<Vec<Cell>> {
    let width = width.max(1);
    let mut rows = Vec::new();
    for (line, content) in lines.iter().enumerate() {
        let mut row: Vec<Cell> = Vec::new();
        let mut used = 0;
        let mut column = 0;
        for grapheme in content.graphemes(true) {
            let mut shown = String::new();
            text::push_grapheme(&mut shown, grapheme, charset, Space::Plain);
            let cells = text::width(&shown);
            if used + cells > width && used > 0 {
                rows.push(std::mem::take(&mut row));
                used = 0;
            }
            used += cells;
            row.push(Cell { shown, line, column });
            column += grapheme.chars().count();
        }
        if used + 1 > width {
            rows.push(std::mem::take(&mut row));
        }
        row.push(Cell { shown: " ".into(), line, column });
        rows.push(row);
    }
    rows
}

fn draw_row(row: &[Cell], area: Rect, caret: (usize, usize), focused: bool, pen: &mut Canvas<'_>) {
    let mut x = area.x;
    for (i, cell) in row.iter().enumerate() {
        let ends = row.get(i + 1).map_or(usize::MAX, |next| next.column);
        let under_caret = cell.line == caret.0 && cell.column <= caret.1 && caret.1 < ends;
        let under_caret = focused && under_caret && (i + 1 < row.len() || cell.column == caret.1);
        if under_caret {
            pen.hits.caret = Some(Position::new(x, area.y));
        }
        let room = usize::from(area.right().saturating_sub(x));
        let cells = (text::width(&cell.shown)).min(room) as u16;
        pen.buf.set_stringn(x, area.y, &cell.shown, room, Style::new());
        let last = i + 1 == row.len();
        let width = if last { area.right().saturating_sub(x) } else { cells };
        pen.hits.add(Rect { x, y: area.y, width, height: 1 }, HitTarget::Caret(cell.line, cell.column));
        x += cells;
    }
}

/// The pane.
pub(crate) struct PromptPane;

const HERE: KeyContexts = KeyContexts::pane(Focus::Prompt);

impl Pane for PromptPane {
    fn focus(&self) -> Focus {
        Focus::Prompt
    }

    fn name(&self) -> &'static str {
        "Prompt"
    }

    fn keys(&self) -> &'static [Binding] {
        const {
            &[
                row(
                    10,
                    Action::Close,
                    "prompt.leave",
                    &[key!(esc), key!(enter)],
                    HERE,
                    "to the tokens",
                    "Leave the prompt for its tokens",
                ),
                row(
                    20,
                    Action::Edit(Edit::NewLine),
                    "prompt.new-line",
                    &[key!(ctrl - j), key!(alt - enter)],
                    HERE,
                    "new line",
                    "Begin a new line",
                ),
                row(
                    40,
                    Action::Edit(Edit::Undo),
                    "prompt.undo",
                    &[key!(ctrl - 7)],
                    HERE,
                    "undo",
                    "Take the last change back",
                ),
                row(50, Action::Edit(Edit::Redo), "prompt.redo", &[key!(ctrl - r)], HERE, "", "Make the change again"),
            ]
        }
    }

    fn help(&self) -> &'static [&'static str] {
        &["What you type runs through the model at once; the latents follow the token under the caret."]
    }

    fn act(&self, app: &mut App, action: Action, _: &mut Vec<Effect>) -> bool {
        match action {
            Action::Close => app.look_at(Focus::Tokens),
            _ => return false,
        }
        true
    }

    fn draw(&self, app: &App, area: Rect, pen: &mut Canvas<'_>) {
        draw(app, area, pen);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_of_the_caret_has_a_cell() {
        let lines = vec!["ab\u{1b}東".to_owned(), String::new()];
        let rows = rows(&lines, 3, Charset::Unicode);
        let places: Vec<_> = rows.iter().flatten().map(|c| (c.line, c.column)).collect();
        assert_eq!(places, [(0, 0), (0, 1), (0, 2), (0, 3), (0, 4), (1, 0)]);
        assert!(rows.iter().all(|r| r.iter().map(|c| text::width(&c.shown)).sum::<usize>() <= 3));
    }
}
