//! What panes draw on: cells, styles, and where things are.
//! Not here: what is drawn.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use crate::text;
use crate::tui::hits::{HitMap, HitTarget};
use crate::tui::location::Focus;
use crate::tui::theme::Theme;

/// What a pane draws with.
pub struct Canvas<'a> {
    /// The cells.
    pub buf: &'a mut Buffer,
    /// The styles.
    pub theme: Theme,
    /// Where things are.
    pub hits: &'a mut HitMap,
}

impl Canvas<'_> {
    /// Writes a line of spans at a row of an area; what does not fit is cut.
    pub fn line(&mut self, area: Rect, row: u16, line: &Line<'_>) {
        if row < area.height {
            self.buf.set_line(area.x, area.y + row, line, area.width);
        }
    }

    /// Writes text at a row of an area.
    pub fn text(&mut self, area: Rect, row: u16, content: &str, style: Style) {
        if row < area.height {
            self.buf.set_stringn(area.x, area.y + row, content, usize::from(area.width), style);
        }
    }

    /// Writes a sentence about the program itself, in as many lines as there are.
    pub fn wrapped(&mut self, area: Rect, said: &str) {
        let said = plain(said, self.theme.charset == text::Charset::Ascii);
        for (row, line) in text::wrap(&said, usize::from(area.width)).iter().take(usize::from(area.height)).enumerate()
        {
            self.text(area, row as u16, line, self.theme.notice());
        }
    }

    /// The line over a pane with its title, and text at its right end; gives what is left below.
    pub fn pane(&mut self, area: Rect, title: &Title<'_>, focused: bool) -> Rect {
        let glyphs = self.theme.glyphs();
        let rule = glyphs.rule[usize::from(focused)];
        let style = self.theme.rule(focused);
        let across = rule.repeat(usize::from(area.width));
        self.buf.set_stringn(area.x, area.y, &across, usize::from(area.width), style);
        let charset = self.theme.charset;
        let room = usize::from(area.width).saturating_sub(2);
        let right = text::truncate(&title.right, room / 2, charset);
        let right_cells = if right.is_empty() { 0 } else { text::width(&right) + 3 };
        let mut spans =
            vec![Span::styled(rule, style), Span::styled(format!(" {} ", title.name), self.theme.title(focused))];
        let used: usize = 3 + text::width(title.name);
        let about_room = room.saturating_sub(used + right_cells);
        if !title.about.is_empty() && about_room > 4 {
            let about: String = title.about.iter().map(|s| s.content.as_ref()).collect();
            if text::width(&about) < about_room {
                spans.push(Span::raw(" "));
                // The rule's own style must not shine through.
                spans
                    .extend(title.about.iter().map(|s| Span::styled(s.content.clone(), Style::reset().patch(s.style))));
                spans.push(Span::raw(" "));
            } else {
                spans.push(Span::styled(
                    format!(" {} ", text::truncate(&about, about_room - 2, charset)),
                    Style::reset(),
                ));
            }
        }
        self.line(area, 0, &Line::from(spans));
        if right_cells > 0 {
            let x = area.right().saturating_sub(right_cells as u16);
            self.buf.set_stringn(
                x,
                area.y,
                format!(" {right} "),
                right_cells - 1,
                Style::reset().patch(self.theme.quiet()),
            );
        }
        Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area }
    }

    /// The line between two columns.
    pub fn column(&mut self, area: Rect) {
        let glyph = self.theme.glyphs().column;
        for row in 0..area.height {
            self.text(area, row, glyph, self.theme.quiet());
        }
    }

    /// Patches the style of an area.
    pub fn tint(&mut self, area: Rect, style: Style) {
        self.buf.set_style(area, style);
    }

    /// Notes a pane as something to click.
    pub fn hit_pane(&mut self, area: Rect, focus: Focus) {
        self.hits.add(area, HitTarget::Pane(focus));
    }
}

/// What stands in the line over a pane.
#[derive(Default)]
pub struct Title<'a> {
    /// The pane's name.
    pub name: &'a str,
    /// What it is about now.
    pub about: Vec<Span<'a>>,
    /// At the right end.
    pub right: String,
}

/// Text of the program itself as the terminal can show it.
pub(crate) fn plain(words: &str, ascii: bool) -> String {
    text::plain(words, if ascii { text::Charset::Ascii } else { text::Charset::Unicode })
}
