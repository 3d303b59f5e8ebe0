//! A screen as text, as text with colours, as a picture.
//! Not here: drawing the screen.

use std::fmt::Write as _;

use ratatui::buffer::{Buffer, Cell};
use ratatui::style::{Color, Modifier};

use crate::text;
use crate::tui::msg::Format;
use crate::tui::theme::Ground;

mod svg;

/// The cells of a screen in a format.
#[must_use]
pub fn render(cells: &Buffer, format: Format, ground: Ground) -> String {
    match format {
        Format::Text => plain(cells),
        Format::Ansi => ansi(cells),
        Format::Svg => svg::render(cells, ground),
    }
}

/// The rows of a screen; each cell with its column, without those that a wide character before them covers.
fn rows(cells: &Buffer) -> impl Iterator<Item = Vec<(u16, &Cell)>> {
    let area = cells.area;
    (area.top()..area.bottom()).map(move |y| {
        let mut row = Vec::with_capacity(usize::from(area.width));
        let mut x = area.left();
        while x < area.right() {
            if let Some(cell) = cells.cell((x, y)) {
                row.push((x - area.left(), cell));
                x += (text::width(cell.symbol()) as u16).max(1);
            } else {
                x += 1;
            }
        }
        row
    })
}

fn plain(cells: &Buffer) -> String {
    let mut out = String::new();
    for row in rows(cells) {
        let line: String = row.iter().map(|(_, cell)| cell.symbol()).collect();
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

fn ansi(cells: &Buffer) -> String {
    let mut out = String::new();
    for row in rows(cells) {
        let mut now = String::new();
        for (_, cell) in row {
            let code = sgr(cell);
            if code != now {
                let _ = write!(out, "\x1b[0{code}m");
                now = code;
            }
            out.push_str(cell.symbol());
        }
        out.push_str("\x1b[0m\n");
    }
    out
}

/// The attributes of a cell after a reset, each with `;` before it.
fn sgr(cell: &Cell) -> String {
    let mut code = String::new();
    for (modifier, number) in [
        (Modifier::BOLD, 1),
        (Modifier::DIM, 2),
        (Modifier::ITALIC, 3),
        (Modifier::UNDERLINED, 4),
        (Modifier::REVERSED, 7),
    ] {
        if cell.modifier.contains(modifier) {
            let _ = write!(code, ";{number}");
        }
    }
    code + &colour_code(cell.fg, 30) + &colour_code(cell.bg, 40)
}

fn colour_code(colour: Color, base: u8) -> String {
    match colour {
        Color::Rgb(r, g, b) => format!(";{};2;{r};{g};{b}", base + 8),
        Color::Indexed(i) => format!(";{};5;{i}", base + 8),
        other => match sixteen(other) {
            Some(i) if i < 8 => format!(";{}", base + i),
            Some(i) => format!(";{}", base + 52 + i),
            None => String::new(),
        },
    }
}

/// A colour's place among the terminal's sixteen.
fn sixteen(colour: Color) -> Option<u8> {
    const ALL: [Color; 16] = [
        Color::Black,
        Color::Red,
        Color::Green,
        Color::Yellow,
        Color::Blue,
        Color::Magenta,
        Color::Cyan,
        Color::Gray,
        Color::DarkGray,
        Color::LightRed,
        Color::LightGreen,
        Color::LightYellow,
        Color::LightBlue,
        Color::LightMagenta,
        Color::LightCyan,
        Color::White,
    ];
    ALL.iter().position(|c| *c == colour).and_then(|i| u8::try_from(i).ok())
}

#[cfg(test)]
mod tests {
    use ratatui::layout::Rect;
    use ratatui::style::Style;

    use super::*;

    fn sample() -> Buffer {
        let mut cells = Buffer::empty(Rect::new(0, 0, 8, 2));
        cells.set_string(0, 0, "東<&█", Style::new().fg(Color::LightRed).add_modifier(Modifier::BOLD));
        cells.set_string(0, 1, "b", Style::new().bg(Color::Rgb(1, 2, 3)));
        cells
    }

    #[test]
    fn as_text() {
        assert_eq!(render(&sample(), Format::Text, Ground::Dark), "東<&█\nb\n");
    }

    #[test]
    fn as_text_with_colours() {
        let out = render(&sample(), Format::Ansi, Ground::Dark);
        assert!(out.starts_with("\x1b[0;1;91m東<&█\x1b[0m   \x1b[0m\n\x1b[0;48;2;1;2;3mb"), "{out:?}");
    }

    #[test]
    fn as_a_picture_it_is_well_formed() {
        let out = render(&sample(), Format::Svg, Ground::Dark);
        assert!(out.contains("&lt;&amp;") && out.contains("#010203") && out.trim_end().ends_with("</svg>"), "{out}");
        assert_eq!(out.matches("<text").count(), out.matches("</text>").count());
    }
}
