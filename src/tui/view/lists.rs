//! The palette and other fields of text over a list.
//! Not here: what is in the lists, and the search (`search.rs`).

use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use crate::text::{self, Charset};
use crate::tui::app::{App, LatentRef};
use crate::tui::canvas::Canvas;
use crate::tui::canvas::plain;
use crate::tui::keys::key_name;
use crate::tui::overlay::{Field, PathFor, PickFor};
use crate::tui::palette::commands;
use crate::tui::view::figures::row_of;
use crate::tui::view::frame::{centred, field_line, framed, rows};

pub(crate) fn palette(app: &App, field: &Field, screen: Rect, pen: &mut Canvas<'_>) {
    let area = centred(screen, 84, 24);
    let inner = framed(area, "Commands", pen);
    field_line(field, inner, pen);
    let all = commands(app.focus, field.input.value());
    let below = lower(inner, 2);
    if all.is_empty() {
        pen.text(below, 0, "no command matches", pen.theme.quiet());
    }
    let ascii = pen.theme.charset == Charset::Ascii;
    rows(all.len(), field.row, below, pen, |index, chosen, pen| {
        let command = all[index];
        let key = command.key.map(|k| key_name(k, ascii)).unwrap_or_default();
        Line::from(vec![
            Span::styled(text::fit(&plain(command.about, ascii), 55, pen.theme.charset), row_style(chosen, pen)),
            Span::styled(format!("{key:>9}"), pen.theme.key()),
        ])
    });
}

fn row_style(chosen: bool, pen: &Canvas<'_>) -> Style {
    if chosen { pen.theme.chosen(true) } else { Style::new() }
}

fn lower(area: Rect, rows: u16) -> Rect {
    let rows = rows.min(area.height);
    Rect { y: area.y + rows, height: area.height - rows, ..area }
}

/// Meta-latents to pick one of.
pub(crate) fn pick(app: &App, field: &Field, what: PickFor, screen: Rect, pen: &mut Canvas<'_>) {
    let title = match what {
        PickFor::See => "Find a meta-latent".to_owned(),
        PickFor::Exchange(out) => format!("Exchange meta-latent {out} for"),
        PickFor::Add => "Add a meta-latent".to_owned(),
    };
    let inner = framed(centred(screen, 84, 24), &title, pen);
    field_line(field, inner, pen);
    let found = crate::tui::update::meta::matching(app, field.input.value());
    let about = Rect { y: inner.y + 1, height: 1, ..inner };
    let naming = if app.meta.names.ask.is_pending() { ", still being named" } else { "" };
    let said = format!("a number, or a token that it promotes: {}{naming}", found.len());
    pen.text(about, 0, &said, pen.theme.quiet());
    rows(found.len(), field.row, lower(inner, 2), pen, |index, chosen, pen| {
        let mut spans = vec![Span::styled(format!("{:>6}", found[index]), row_style(chosen, pen)), Span::raw("  ")];
        spans.extend(row_of(app, found[index], pen));
        Line::from(spans)
    });
}

/// Texts whose log-probability is wanted.
pub(crate) fn named(field: &Field, screen: Rect, pen: &mut Canvas<'_>) {
    let inner = framed(centred(screen, 92, 5), "Tokens to compare", pen);
    field_line(field, inner, pen);
    let about = "with commas between, such as: Paris, Tokyo; each is taken as the next word";
    pen.text(inner, 2, &text::truncate(about, usize::from(inner.width), pen.theme.charset), pen.theme.quiet());
}

/// A label that is written.
pub(crate) fn label(of: &LatentRef, field: &Field, screen: Rect, pen: &mut Canvas<'_>) {
    let title = format!("Label of latent {}/{}", text::prose(&of.sae, pen.theme.charset), of.latent);
    let inner = framed(centred(screen, 92, 5), &title, pen);
    field_line(field, inner, pen);
    let about = "what it stands for; behind a bar | a note; empty to take the label away";
    pen.text(inner, 2, &text::truncate(about, usize::from(inner.width), pen.theme.charset), pen.theme.quiet());
}

/// A path that is asked for, and what it is for.
pub(crate) fn path(field: &Field, what: PathFor, screen: Rect, pen: &mut Canvas<'_>) {
    let (title, about) = match what {
        PathFor::Export => (
            "Save the stitched SAE",
            "a new folder, which SAELens opens: SAE.load_from_disk(folder); nothing is overwritten",
        ),
        PathFor::Text => ("Measure on a text", "a text file in UTF-8; empty for the text that comes with the program"),
    };
    let inner = framed(centred(screen, 92, 5), title, pen);
    field_line(field, inner, pen);
    let about = text::truncate(about, usize::from(inner.width), pen.theme.charset);
    pen.text(inner, 2, &about, pen.theme.quiet());
}
