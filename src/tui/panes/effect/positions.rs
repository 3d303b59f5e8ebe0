//! Every position in front of the token that is read, the strongest first, and below them their latents.
//! Not here: asking for them.

use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::{head, named, numbers};
use crate::analysis::{CellEffect, PositionEffect, SaeGrid};
use crate::text;
use crate::tui::app::App;
use crate::tui::canvas::Canvas;
use crate::tui::format;
use crate::tui::hits::HitTarget;
use crate::tui::location::{Focus, LatentRef};
use crate::tui::update::select;
use crate::tui::view::figures::name_text;
use crate::tui::view::flow;

/// Cells of a token.
const TOKEN: usize = 10;

/// Draws what is known.
pub(super) fn draw(app: &App, area: Rect, well: bool, pen: &mut Canvas<'_>) {
    let theme = pen.theme;
    let Some((view, sae, current)) = app.grid() else {
        let ended = app.effect.grid.value().is_some() && !app.effect.grid.is_pending();
        let said = match app.run.value() {
            None => "the prompt has not been run",
            Some(_) if ended => "nothing is taken out in front of this token",
            Some(_) => "taking positions out",
        };
        if well {
            pen.text(area, 0, said, theme.quiet());
        }
        return;
    };
    pen.line(area, 0, &head(app, &view.token, (view.read, view.sign), area.width, pen));
    let above = format!(" {:>3} {:<TOKEN$} {:>6}{}", "pos", "token", "", named(area.width));
    pen.text(area, 1, &above, theme.quiet());
    let rest = Rect { y: area.y + 2, height: area.height.saturating_sub(2), ..area };
    // While no latent is known, positions have all of the room; then a third of it.
    let share = if sae.cells.is_empty() { rest.height } else { (rest.height / 3).max(1).min(rest.height) };
    let height = share.min(sae.positions.len() as u16);
    let most = largest(sae);
    for (row, of) in sae.positions.iter().take(usize::from(height)).enumerate() {
        pen.line(rest, row as u16, &whole_line(app, of, (most, area.width), pen));
    }
    let list = Rect { y: rest.y + height, height: rest.height - height, ..rest };
    pen.hits.note_rows(Focus::Effect, usize::from(list.height));
    let (cells, chosen) = app.grid_cells();
    let top = flow::top(chosen.unwrap_or(0), usize::from(list.height).max(1), cells.len());
    for (y, (index, cell)) in cells.iter().enumerate().skip(top).take(usize::from(list.height)).enumerate() {
        let at = Rect { y: list.y + y as u16, height: 1, ..list };
        pen.line(at, 0, &cell_line(app, &sae.id, cell, (most, area.width), pen));
        pen.hits.add(at, HitTarget::Item(Focus::Effect, index));
    }
    if !current && app.waits() {
        pen.tint(area, theme.stale());
    }
}

/// How far it is, for the title.
pub(super) fn state(app: &App, pen: &Canvas<'_>) -> String {
    let more = pen.theme.glyphs().more;
    match app.effect.grid.progressed() {
        Some(progress) if app.effect.grid.is_pending() => {
            let of = progress.total.map_or_else(String::new, |total| format!(" of {}", format::count(total)));
            format!("{} {}{of}{more}", progress.what, format::count(progress.done))
        }
        _ if app.effect.grid.is_pending() && app.waits() => format!("measuring {more}"),
        _ => "all positions".to_owned(),
    }
}

fn largest(sae: &SaeGrid) -> f64 {
    let positions = sae.positions.iter().map(|of| of.all_latents.delta_logprob);
    positions.chain(sae.cells.iter().map(|cell| cell.delta_logprob)).map(f64::abs).fold(0.0, f64::max)
}

/// A position and its token, within their cells.
fn place<'a>(app: &App, position: usize, style: Style, pen: &Canvas<'_>) -> Vec<Span<'a>> {
    let charset = pen.theme.charset;
    let shown = app.tokens().get(position).map(|of| text::token(&of.text, charset)).unwrap_or_default();
    vec![
        Span::styled(format!("{position:>3} "), pen.theme.quiet()),
        Span::styled(text::fit(&shown, TOKEN, charset), style),
    ]
}

fn whole_line<'a>(app: &App, of: &PositionEffect, (most, width): (f64, u16), pen: &Canvas<'_>) -> Line<'a> {
    let mut line = vec![Span::raw(" ")];
    line.extend(place(app, of.position, pen.theme.strong(), pen));
    line.push(Span::styled(format!(" {:>6}", "all"), pen.theme.quiet()));
    line.extend(numbers((of.all_latents.delta_logprob, of.all_latents.kl), most, width, pen));
    let latents = if of.latents == 1 { "latent" } else { "latents" };
    line.push(Span::styled(format!(" {} {latents}", of.latents), pen.theme.quiet()));
    Line::from(line)
}

fn cell_line<'a>(app: &App, sae: &str, cell: &CellEffect, (most, width): (f64, u16), pen: &Canvas<'_>) -> Line<'a> {
    let theme = pen.theme;
    let chosen = cell.position == app.token && Some(cell.latent) == app.latent;
    let style = if chosen { theme.chosen(app.focus == Focus::Effect) } else { Style::new() };
    let mut line = vec![Span::styled(if chosen { theme.glyphs().chosen } else { " " }, theme.accent())];
    line.extend(place(app, cell.position, Style::new(), pen));
    line.push(Span::styled(format!(" {:>6}", cell.latent), style));
    line.extend(numbers((cell.delta_logprob, cell.kl), most, width, pen));
    let of = LatentRef { sae: sae.to_owned(), latent: cell.latent };
    line.push(Span::raw(format!(" {}", name_text(app, theme, &of, 4).unwrap_or_default())));
    Line::from(line)
}

/// Chooses a latent at its position.
pub(super) fn choose(app: &mut App, row: usize) {
    let Some(cell) = app.grid_cells().0.get(row).copied() else { return };
    select::choose_token(app, cell.position);
    let rank = app.position().and_then(|at| at.latents.iter().position(|firing| firing.latent == cell.latent));
    if let Some(rank) = rank {
        select::choose_rank(app, rank);
    }
}
