//! The chosen latent's card: what it promotes, when it fires, and its nearest latents along the ladder.
//! Not here: other latents (`latents`), other SAEs' metrics (`ladder`).

use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::{Pen, Title, label_text, trouble};
use crate::analysis::{Class, LatentCard, TokenValue};
use crate::text;
use crate::tui::app::{App, Focus, LadderRow, LatentRef};
use crate::tui::format;
use crate::tui::hits::Target;
use crate::tui::theme::glyphs;

pub(super) fn draw(app: &App, area: Rect, pen: &mut Pen<'_>) {
    pen.hit_pane(area, Focus::Card);
    let theme = pen.theme;
    let focused = app.focus == Focus::Card;
    let chosen = app.chosen();
    let card = app.card.value();
    let current = card.is_some_and(|c| chosen.as_ref().is_some_and(|r| c.sae == r.sae && c.latent == r.latent));
    let waiting = app.card.is_pending() && app.waits();
    let stale = card.is_some() && ((!current && app.waits()) || app.card.failure().is_some());
    let mut title = Title { name: "4 Card", ..Title::default() };
    if let Some(chosen) = &chosen {
        title.about.push(Span::styled(
            format!("{}/{}", text::prose(&chosen.sae, theme.charset), chosen.latent),
            theme.accent(),
        ));
    }
    title.right = match card {
        _ if waiting => format!("asking {}", theme.glyphs().more),
        Some(card) => {
            format!("norm {} bias {}", format::short(card.decoder_norm.into()), format::short(card.encoder_bias.into()))
        }
        None => String::new(),
    };
    let inner = pen.pane(area, &title, focused);
    let inner = Rect { x: inner.x + 1, width: inner.width.saturating_sub(1), ..inner };
    let failure = trouble::first_lines(app.card.failure(), inner, theme.charset);
    let inner = trouble::draw_lines(&failure, inner, pen);
    let Some(card) = card else {
        if chosen.is_none() && app.run.value().is_some() {
            pen.text(inner, 0, "no latent chosen", theme.quiet());
        }
        return;
    };
    draw_card(app, card, inner, pen);
    if stale {
        pen.tint(inner, theme.stale());
    }
}

fn draw_card(app: &App, card: &LatentCard, area: Rect, pen: &mut Pen<'_>) {
    let theme = pen.theme;
    let ladder = app.ladder_rows();
    // The ladder is what one moves in: the lists above it give way on a small screen.
    let room = usize::from(area.height).saturating_sub(ladder.len() + 2);
    let lines = (room / 2).clamp(1, 3);
    let width = usize::from(area.width);
    let mut row = 0;
    let mut put = |line: Line<'_>, pen: &mut Pen<'_>| {
        pen.line(area, row, &line);
        row += 1;
    };
    for line in token_lines("promotes", &card.promoted, theme.promoted(), width, lines, pen) {
        put(line, pen);
    }
    let second = if room > 1 { lines.min(room - 1) } else { 0 };
    for line in token_lines("suppresses", &card.suppressed, theme.suppressed(), width, second, pen) {
        put(line, pen);
    }
    put(fires(app, card, pen), pen);
    if room > lines + second + 1 {
        put(Line::default(), pen);
    }
    put(ladder_head(width, pen), pen);
    let used = row;
    let below = Rect { y: area.y + used.min(area.height), height: area.height.saturating_sub(used), ..area };
    draw_ladder(app, card, &ladder, below, pen);
}

/// Cells of the names at the left of a card's lines.
const NAMES: usize = 11;

/// Tokens with their values, in at most `lines` lines.
fn token_lines<'a>(
    name: &'a str,
    tokens: &[TokenValue],
    style: Style,
    width: usize,
    lines: usize,
    pen: &Pen<'_>,
) -> Vec<Line<'a>> {
    let theme = pen.theme;
    let mut out: Vec<Line<'a>> = Vec::new();
    let mut line = vec![Span::styled(format!("{name:<NAMES$}"), theme.quiet())];
    let mut used = NAMES;
    for token in tokens {
        let shown = text::truncate(&text::token(&token.text, theme.charset), 24, theme.charset);
        let value = format!("{:+.2}", token.value);
        let cells = text::width(&shown) + 1 + value.len() + 2;
        if used + cells > width + 2 && used > NAMES {
            if out.len() + 1 >= lines {
                break;
            }
            out.push(Line::from(std::mem::replace(&mut line, vec![Span::raw(" ".repeat(NAMES))])));
            used = NAMES;
        }
        line.push(Span::styled(shown, style));
        line.push(Span::styled(format!(" {value}  "), theme.quiet()));
        used += cells;
    }
    out.push(Line::from(line));
    out.truncate(lines);
    out
}

fn fires<'a>(app: &App, card: &LatentCard, pen: &Pen<'_>) -> Line<'a> {
    let theme = pen.theme;
    let heat = app.heat(&LatentRef { sae: card.sae.clone(), latent: card.latent });
    let here = heat.get(app.token).copied().unwrap_or(0.0);
    let count = heat.iter().filter(|v| **v > 0.0).count();
    let strongest = heat.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).filter(|(_, v)| **v > 0.0);
    let mut spans = vec![Span::styled(format!("{:<NAMES$}", "fires"), theme.quiet())];
    spans.push(Span::raw(format!("on {count} of {} tokens", heat.len())));
    if let Some((position, value)) = strongest
        && here < *value
    {
        let token = app.tokens().get(position).map(|t| text::token(&t.text, theme.charset)).unwrap_or_default();
        let token = text::truncate(&token, 12, theme.charset);
        spans.push(Span::raw(format!(", most {} on {token}", format::activation(*value))));
    }
    let seen = card.seen;
    if seen.tokens > 0 {
        let share = seen.fired as f64 / seen.tokens as f64;
        let text = format!("  {} of {} seen", format::percent(share), format::count(seen.tokens));
        spans.push(Span::styled(text, theme.quiet()));
    }
    Line::from(spans)
}

fn ladder_head<'a>(width: usize, pen: &Pen<'_>) -> Line<'a> {
    let head = format!(
        "  {:<7}{:>7} {:>6} {}",
        "nearest",
        "latent",
        "cos",
        if width > 48 { "class        here" } else { "       here" }
    );
    Line::from(Span::styled(head, pen.theme.quiet()))
}

fn draw_ladder(app: &App, card: &LatentCard, rows: &[LadderRow], area: Rect, pen: &mut Pen<'_>) {
    let focused = app.focus == Focus::Card;
    let height = usize::from(area.height);
    let cursor = if focused { app.ladder_row } else { rows.iter().position(|r| r.cosine.is_none()).unwrap_or(0) };
    let top = super::flow::top(cursor.min(rows.len().saturating_sub(1)), height, rows.len());
    for (y, (index, row)) in rows.iter().enumerate().skip(top).take(height).enumerate() {
        let at = Rect { y: area.y + y as u16, height: 1, ..area };
        let line = ladder_line(app, card, row, focused && index == app.ladder_row, usize::from(area.width), pen);
        pen.line(at, 0, &line);
        pen.hits.add(at, Target::Ladder(index));
    }
}

fn ladder_line<'a>(
    app: &App,
    card: &LatentCard,
    row: &LadderRow,
    cursor: bool,
    width: usize,
    pen: &Pen<'_>,
) -> Line<'a> {
    let theme = pen.theme;
    let glyphs = theme.glyphs();
    let sae = app.saes().get(row.place).map(|s| s.id.clone()).unwrap_or_default();
    let of = LatentRef { sae: sae.clone(), latent: row.latent };
    let here = app.heat(&of).get(app.token).copied().unwrap_or(0.0);
    let label = label_text(app, &theme, &of, 4).unwrap_or_default();
    let name = text::fit(&text::prose(&sae, theme.charset), 7, theme.charset);
    let own = row.cosine.is_none();
    let (cosine, class) = match (row.cosine, row.class) {
        (None, _) => ("     =".to_owned(), "this latent"),
        (Some(c), Some(Class::Novel)) => (format!("{c:>6.3}"), "novel"),
        (Some(c), Some(Class::Reconstruction)) => (format!("{c:>6.3}"), "reconstr."),
        (Some(c), None) => (format!("{c:>6.3}"), ""),
    };
    let _ = card;
    let class_cells = if width > 48 { 12 } else { 6 };
    let value = if here > 0.0 { format::activation(here) } else { glyphs.dot.to_owned() };
    let class_style = if row.class == Some(Class::Novel) { theme.notice() } else { theme.quiet() };
    Line::from(vec![
        Span::styled(if cursor { glyphs.chosen } else { " " }, theme.accent()),
        Span::raw(" "),
        Span::styled(
            format!("{name}{:>7}", row.latent),
            if cursor {
                theme.chosen(true)
            } else if own {
                theme.accent()
            } else {
                Style::new()
            },
        ),
        Span::raw(format!(" {cosine} ")),
        Span::styled(text::fit(class, class_cells, theme.charset), class_style),
        Span::styled(format!(" {value:>5} "), if here > 0.0 { theme.bar() } else { theme.quiet() }),
        Span::styled(glyphs::bar(glyphs, row.cosine.unwrap_or(0.0), 0), theme.bar()),
        Span::raw(label),
    ])
}
