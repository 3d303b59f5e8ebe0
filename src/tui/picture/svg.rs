//! A screen as an SVG picture that looks the same with every font.
//! Not here: which cells.
//!
//! Blocks and lines are drawn as shapes, since fonts leave gaps between them; text is placed by the cell.

use std::fmt::Write as _;

use ratatui::buffer::{Buffer, Cell};
use ratatui::style::{Color, Modifier};

use super::{rows, sixteen};
use crate::text;
use crate::tui::theme::Ground;

/// A cell in pixels, its font's size, and how far below a cell's top the baseline is.
const CELL: (f32, f32) = (8.4, 18.0);
const FONT: f32 = 14.0;
const BASELINE: f32 = 13.5;
const MARGIN: f32 = 12.0;

/// Colours of a ground: background, text, and the sixteen.
struct Palette {
    ground: &'static str,
    text: &'static str,
    sixteen: [&'static str; 16],
}

const DARK: Palette = Palette {
    ground: "#14161b",
    text: "#d5d8de",
    sixteen: [
        "#14161b", "#e06c75", "#8cc570", "#e0a458", "#61a0ef", "#c678dd", "#4fb8c4", "#b6bac4", "#666c7a", "#ff7b85",
        "#a5e085", "#ffc66d", "#80b8ff", "#dd95f0", "#6dd6e2", "#ffffff",
    ],
};
const LIGHT: Palette = Palette {
    ground: "#fbfaf7",
    text: "#24292f",
    sixteen: [
        "#24292f", "#c0262f", "#2f7d32", "#9a6200", "#1f5fbf", "#8a3fa0", "#0b7285", "#8c9099", "#6b7078", "#d6333d",
        "#3b9440", "#b87700", "#2f74d8", "#a04fb8", "#128a9e", "#ffffff",
    ],
};

pub(super) fn render(cells: &Buffer, ground: Ground) -> String {
    let palette = if ground == Ground::Dark { &DARK } else { &LIGHT };
    let width = f32::from(cells.area.width) * CELL.0 + 2.0 * MARGIN;
    let height = f32::from(cells.area.height) * CELL.1 + 2.0 * MARGIN;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.1} {height:.1}\" width=\"{width:.0}\" \
         height=\"{height:.0}\" font-family=\"ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace\" \
         font-size=\"{FONT}\">\n<rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"{}\"/>\n",
        palette.ground
    );
    for (y, row) in rows(cells).enumerate() {
        let top = MARGIN + y as f32 * CELL.1;
        grounds(&row, top, palette, &mut out);
        for run in runs(&row) {
            draw_run(&run, top, palette, &mut out);
        }
    }
    out.push_str("</svg>\n");
    out
}

/// How a cell looks, once reverse is resolved.
#[derive(Clone, PartialEq, Eq)]
struct Look {
    fg: String,
    bg: Option<String>,
    modifier: Modifier,
}

fn look(cell: &Cell, palette: &Palette) -> Look {
    let fg = colour(cell.fg, palette).unwrap_or_else(|| palette.text.to_owned());
    let bg = colour(cell.bg, palette);
    let (fg, bg) = if cell.modifier.contains(Modifier::REVERSED) {
        (bg.unwrap_or_else(|| palette.ground.to_owned()), Some(fg))
    } else {
        (fg, bg)
    };
    Look { fg, bg, modifier: cell.modifier }
}

fn colour(colour: Color, palette: &Palette) -> Option<String> {
    match colour {
        Color::Reset => None,
        Color::Rgb(r, g, b) => Some(format!("#{r:02x}{g:02x}{b:02x}")),
        Color::Indexed(i @ 16..=231) => {
            const LEVELS: [u8; 6] = [0, 95, 135, 175, 215, 255];
            let i = usize::from(i) - 16;
            Some(format!("#{:02x}{:02x}{:02x}", LEVELS[i / 36], LEVELS[i / 6 % 6], LEVELS[i % 6]))
        }
        Color::Indexed(i @ 232..) => {
            let grey = 8 + (i - 232) * 10;
            Some(format!("#{grey:02x}{grey:02x}{grey:02x}"))
        }
        Color::Indexed(i) => palette.sixteen.get(usize::from(i)).map(|c| (*c).to_owned()),
        other => sixteen(other).and_then(|i| palette.sixteen.get(usize::from(i))).map(|c| (*c).to_owned()),
    }
}

/// Backgrounds, neighbours of one colour as one rectangle.
fn grounds(row: &[(u16, &Cell)], top: f32, palette: &Palette, out: &mut String) {
    let mut open: Option<(u16, u16, String)> = None;
    for (x, cell) in row {
        let width = (text::width(cell.symbol()) as u16).max(1);
        let bg = look(cell, palette).bg;
        if let (Some((_, end, colour)), Some(bg)) = (&mut open, &bg)
            && *end == *x
            && colour == bg
        {
            *end += width;
            continue;
        }
        close_ground(open.take(), top, out);
        open = bg.map(|bg| (*x, x + width, bg));
    }
    close_ground(open, top, out);
}

fn close_ground(open: Option<(u16, u16, String)>, top: f32, out: &mut String) {
    if let Some((start, end, colour)) = open {
        rect(MARGIN + f32::from(start) * CELL.0, top, f32::from(end - start) * CELL.0, CELL.1, &colour, 1.0, out);
    }
}

/// Cells that are drawn as one: neighbours of one look.
struct Run<'a> {
    start: u16,
    cells: usize,
    symbols: Vec<&'a str>,
    first: &'a Cell,
}

fn runs<'a>(row: &[(u16, &'a Cell)]) -> Vec<Run<'a>> {
    let mut runs: Vec<Run<'a>> = Vec::new();
    for (x, cell) in row {
        let symbol = cell.symbol();
        let plain = symbol.is_ascii();
        if let Some(run) = runs.last_mut()
            && (plain && run.symbols.iter().all(|s| s.is_ascii()) || is_wide_shape(symbol) && run.symbols[0] == symbol)
            && same_look(run.first, cell)
            && usize::from(run.start) + run.cells == usize::from(*x)
        {
            run.symbols.push(symbol);
            run.cells += 1;
            continue;
        }
        runs.push(Run { start: *x, cells: text::width(symbol).max(1), symbols: vec![symbol], first: cell });
    }
    runs
}

/// Whether neighbours of this character can be drawn as one shape.
fn is_wide_shape(symbol: &str) -> bool {
    matches!(symbol, "█" | "─" | "━") || symbol.chars().all(|c| ('▁'..='▇').contains(&c))
}

fn same_look(one: &Cell, other: &Cell) -> bool {
    one.fg == other.fg && one.bg == other.bg && one.modifier == other.modifier
}

fn draw_run(run: &Run<'_>, top: f32, palette: &Palette, out: &mut String) {
    let content = run.symbols.concat();
    let look = look(run.first, palette);
    let has = |m: Modifier| look.modifier.contains(m);
    let x = MARGIN + f32::from(run.start) * CELL.0;
    let width = run.cells as f32 * CELL.0;
    let opacity = if has(Modifier::DIM) { 0.62 } else { 1.0 };
    if has(Modifier::UNDERLINED) {
        rect(x, top + CELL.1 - 2.0, width, 1.0, &look.fg, opacity, out);
    }
    if content.trim().is_empty() || shape(run, (x, top), &look.fg, opacity, out) {
        return;
    }
    let weight = if has(Modifier::BOLD) { " font-weight=\"700\"" } else { "" };
    let slant = if has(Modifier::ITALIC) { " font-style=\"italic\"" } else { "" };
    let faint = if has(Modifier::DIM) { format!(" opacity=\"{opacity}\"") } else { String::new() };
    // One cell of one character needs no stretching, and wide emoji must not be stretched.
    let length =
        if run.cells > 1 && content.is_ascii() { format!(" textLength=\"{width:.1}\"") } else { String::new() };
    let _ = writeln!(
        out,
        "<text x=\"{x:.1}\" y=\"{:.1}\" fill=\"{}\"{weight}{slant}{faint}{length} xml:space=\"preserve\">{}</text>",
        top + BASELINE,
        look.fg,
        escape(&content)
    );
}

/// Draws a block or a line as a shape; gives false for other characters.
fn shape(run: &Run<'_>, (x, top): (f32, f32), colour: &str, opacity: f32, out: &mut String) -> bool {
    let mut chars = run.symbols.first().copied().unwrap_or_default().chars();
    let (Some(c), None) = (chars.next(), chars.next()) else { return false };
    let (w, h) = (CELL.0 * run.cells as f32, CELL.1);
    match c {
        // A full block is part of a bar that lies: a little air keeps the bars of two rows apart.
        '█' => rect(x, top + 2.0, w, h - 4.0, colour, opacity, out),
        '▁'..='▇' => {
            let part = (c as u32 - '▁' as u32 + 1) as f32 / 8.0 * h;
            rect(x, top + h - part, w, part, colour, opacity, out);
        }
        '▉'..='▏' => {
            let part = (8 - (c as u32 - '█' as u32)) as f32 / 8.0 * w;
            rect(x, top + 2.0, part, h - 4.0, colour, opacity, out);
        }
        '─' => rect(x, top + h / 2.0 - 0.5, w, 1.0, colour, opacity, out),
        '━' => rect(x, top + h / 2.0 - 1.0, w, 2.0, colour, opacity, out),
        '│' => rect(x + w / 2.0 - 0.5, top, 1.0, h, colour, opacity, out),
        '╭' => corner(x + w, top + h / 2.0, x + w / 2.0, top + h, colour, opacity, out),
        '╮' => corner(x, top + h / 2.0, x + w / 2.0, top + h, colour, opacity, out),
        '╰' => corner(x + w, top + h / 2.0, x + w / 2.0, top, colour, opacity, out),
        '╯' => corner(x, top + h / 2.0, x + w / 2.0, top, colour, opacity, out),
        _ => return false,
    }
    true
}

fn rect(x: f32, y: f32, width: f32, height: f32, colour: &str, opacity: f32, out: &mut String) {
    let faint = if opacity < 1.0 { format!(" opacity=\"{opacity}\"") } else { String::new() };
    let _ = writeln!(
        out,
        "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" fill=\"{colour}\"{faint}/>"
    );
}

/// A quarter turn from a side's middle to the top or bottom's.
fn corner(from_x: f32, from_y: f32, to_x: f32, to_y: f32, colour: &str, opacity: f32, out: &mut String) {
    let _ = writeln!(
        out,
        "<path d=\"M{from_x:.1} {from_y:.1}Q{to_x:.1} {from_y:.1} {to_x:.1} {to_y:.1}\" fill=\"none\" \
         stroke=\"{colour}\" opacity=\"{opacity}\"/>"
    );
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
