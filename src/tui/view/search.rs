//! The search: a field, what may be typed into it, the latents found, and the card of the chosen one.
//! Not here: how latents are found and ranked (`analysis::search`).

use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use crate::analysis::{FoundBy, Hit};
use crate::session::Found;
use crate::text;
use crate::tui::app::{App, LatentRef};
use crate::tui::canvas::Canvas;
use crate::tui::format;
use crate::tui::overlay::Field;
use crate::tui::panes::examples;
use crate::tui::theme::Theme;
use crate::tui::view::figures::{NAMES, name_text, plain, token_lines};
use crate::tui::view::frame::{centred, field_line, framed, rows};
use crate::tui::view::trouble;

/// What may be typed, the longest form that fits.
const HINTS: [&str; 3] = [
    "a word, or only  on:Einstein what it fires on  to:was what it promotes  label:physics  #12 its number",
    "a word, or only  on:Einstein fires on  to:was promotes  label:physics  #12",
    "a word, on:Einstein, to:was, label:physics, #12",
];
/// Cells from which the card stands beside the list, and lines of a card below it.
const BESIDE: (u16, u16) = (90, 7);

pub(crate) fn draw(app: &App, field: &Field, screen: Rect, pen: &mut Canvas<'_>) {
    let theme = pen.theme;
    let sae = app.sae().map(|s| text::prose(&s.id, theme.charset)).unwrap_or_default();
    let inner = framed(centred(screen, 150, 32), &format!("Search latents of SAE {sae}"), pen);
    field_line(field, inner, pen);
    let fits = |hint: &&&str| text::width(hint) <= usize::from(inner.width);
    let hint = HINTS.iter().find(fits).unwrap_or(&HINTS[2]);
    pen.text(inner, 1, &text::truncate(&plain(hint, pen), usize::from(inner.width), theme.charset), theme.quiet());
    let below = lower(inner, 3);
    let typed = field.input.value();
    if typed.is_empty() {
        return;
    }
    if let Some(report) = app.found.last_failure().filter(|_| !app.found.is_pending()) {
        let lines = trouble::first_lines(Some(report), below, theme.charset);
        trouble::draw_lines(&lines, below, pen);
        return;
    }
    let Some(found) = app.found.value() else { return };
    let stale = found.query != typed;
    let count = if stale { theme.glyphs().more.to_owned() } else { format!("{} found", found.hits.len()) };
    let about = Rect { y: inner.y + 2, height: 1.min(inner.height.saturating_sub(2)), ..inner };
    let said = format!("{}: {count}", text::prose(&found.meaning, theme.charset));
    pen.text(about, 0, &text::truncate(&said, usize::from(about.width), theme.charset), theme.quiet());
    let (list, card) = parted(below);
    draw_list(app, found, field, list, pen);
    if !stale {
        draw_card(app, card, pen);
    }
    if stale && app.waits() {
        pen.tint(below, theme.stale());
    }
}

/// The places of list and card: beside each other, or one over the other.
fn parted(area: Rect) -> (Rect, Rect) {
    if area.width >= BESIDE.0 {
        let list = Rect { width: area.width * 2 / 5, ..area };
        return (list, Rect { x: list.right() + 2, width: area.width - list.width - 2, ..area });
    }
    let height = BESIDE.1.min(area.height / 2);
    let list = Rect { height: area.height - height, ..area };
    (list, Rect { y: list.bottom() + 1, height: height.saturating_sub(1), ..area })
}

fn draw_list(app: &App, found: &Found, field: &Field, area: Rect, pen: &mut Canvas<'_>) {
    if found.hits.is_empty() {
        let said = "none; try another word, or another prefix";
        pen.text(area, 0, &text::truncate(said, usize::from(area.width), pen.theme.charset), pen.theme.quiet());
        return;
    }
    rows(found.hits.len(), field.row, area, pen, |index, chosen, pen| {
        let hit = &found.hits[index];
        let of = LatentRef { sae: found.sae.clone(), latent: hit.latent };
        let style = if chosen { pen.theme.chosen(true) } else { Style::new() };
        let name = name_text(app, pen.theme, &of, 4).unwrap_or_default();
        let width = usize::from(area.width);
        let by = text::truncate(&found_by(hit, pen.theme), width.saturating_sub(13), pen.theme.charset);
        let room = width.saturating_sub(13 + text::width(&by));
        Line::from(vec![
            Span::styled(format!("{:>7}", hit.latent), style),
            Span::styled(format!("  {by}  "), pen.theme.accent()),
            Span::raw(text::truncate(&name, room, pen.theme.charset)),
        ])
    });
}

/// By what a latent was found, in a few words.
fn found_by(hit: &Hit, theme: Theme) -> String {
    let token = |of: &str| text::truncate(&text::token(of, theme.charset), 16, theme.charset);
    let each = hit.by.iter().map(|by| match by {
        FoundBy::Number => "number".to_owned(),
        FoundBy::Label(_) => "label".to_owned(),
        FoundBy::UsualToken { text, share } => format!("on {} {}", token(text), format::percent(*share)),
        FoundBy::PromotedToken { text, value } => format!("to {} {value:+.1}", token(text)),
    });
    each.collect::<Vec<_>>().join(", ")
}

/// The chosen latent: its name, what the index says of it, what it promotes, and where it fires in text.
fn draw_card(app: &App, area: Rect, pen: &mut Canvas<'_>) {
    let Some(of) = app.found_latent() else { return };
    let (theme, width, height) = (pen.theme, usize::from(area.width), usize::from(area.height));
    let name = name_text(app, theme, &of, 6).unwrap_or_default();
    let room = width.saturating_sub(NAMES);
    let mut all = vec![Line::from(vec![
        Span::styled(format!("{:<NAMES$}", of.latent), theme.accent()),
        Span::styled(text::truncate(&name, room, theme.charset), theme.strong()),
    ])];
    if let Some(promoted) = app.names.get(&of) {
        all.extend(token_lines("promotes", promoted, theme.promoted(), width, 1, pen));
    }
    let heat = app.heat(&of);
    let most = heat.iter().copied().fold(0.0, f32::max);
    if most > 0.0 && height > BESIDE.1.into() {
        let count = heat.iter().filter(|value| **value > 0.0).count();
        let said = format!("{count} of {} tokens, most {}", heat.len(), format::activation(most));
        all.push(Line::from(vec![Span::styled(format!("{:<NAMES$}", "fires here"), theme.quiet()), Span::raw(said)]));
    }
    let answer = app.preview_query().and_then(|query| app.preview.of(&query, &app.index.version()));
    if let Some(corpus) = answer.and_then(|answer| answer.as_ref().as_ref()) {
        all.extend(examples::lines_of(app, corpus, width, height.saturating_sub(all.len()), pen));
    }
    all.iter().take(height).enumerate().for_each(|(row, line)| pen.line(area, row as u16, line));
}

fn lower(area: Rect, rows: u16) -> Rect {
    let rows = rows.min(area.height);
    Rect { y: area.y + rows, height: area.height - rows, ..area }
}
