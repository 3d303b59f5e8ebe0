//! What the meta-latents of the chosen latent do at the chosen token. Not here: asking for it.

use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::{head, named, numbers};
use crate::analysis::MetaEffectView;
use crate::text;
use crate::tui::app::App;
use crate::tui::canvas::Canvas;
use crate::tui::hits::HitTarget;
use crate::tui::location::Focus;
use crate::tui::view::figures::row_of;
use crate::tui::view::flow;

/// Rows below the meta-latents.
const BELOW: u16 = 2;

/// Draws what is known.
pub(super) fn draw(app: &App, area: Rect, well: bool, pen: &mut Canvas<'_>) {
    let theme = pen.theme;
    let Some((view, current)) = app.part_effects() else {
        let said = match app.run.value() {
            None => "the prompt has not been run",
            Some(_) if app.meta_ref().is_none() => "this SAE has no meta-SAE: t trains one",
            Some(_) => "taking meta-latents out",
        };
        if well {
            pen.text(area, 0, said, theme.quiet());
        }
        return;
    };
    pen.line(area, 0, &head(app, &view.token, (view.read, view.sign), area.width, pen));
    let width = usize::from(area.width);
    let said = match (&view.latents[..], view.notes.last()) {
        ([], Some(note)) => text::prose(note, theme.charset),
        _ => format!(" {:>6}{}", "meta", named(area.width)),
    };
    pen.text(area, 1, &text::truncate(&said, width, theme.charset), theme.quiet());
    let rows = area.height.saturating_sub(2 + BELOW);
    let list = Rect { y: area.y + 2, height: rows, ..area };
    pen.hits.note_rows(Focus::Effect, usize::from(rows));
    let (count, most) = (view.meta_latents.len(), largest(view));
    let chosen = app.effect.row.unwrap_or(0).min(count.saturating_sub(1));
    let top = flow::top(chosen, usize::from(rows).max(1), count);
    for (y, (index, of)) in view.meta_latents.iter().enumerate().skip(top).take(usize::from(rows)).enumerate() {
        let at = Rect { y: list.y + y as u16, height: 1, ..list };
        let style = if index == chosen { theme.chosen(app.focus == Focus::Effect) } else { Style::new() };
        let mut line = vec![Span::styled(if index == chosen { theme.glyphs().chosen } else { " " }, theme.accent())];
        line.push(Span::styled(format!("{:>6}", of.meta_latent), style));
        line.extend(numbers((of.delta_logprob, of.kl), most, area.width, pen));
        line.push(Span::raw(" "));
        line.extend(row_of(app, of.meta_latent, pen));
        pen.line(at, 0, &Line::from(line));
        pen.hits.add(at, HitTarget::Item(Focus::Effect, index));
    }
    let below = Rect { y: list.bottom(), height: area.height.saturating_sub(2 + rows), ..area };
    let latent = view.latents.first().map_or_else(|| "latent".to_owned(), u32::to_string);
    let parts = [
        (latent, (view.all_latents.delta_logprob, view.all_latents.kl), " the latent itself"),
        ("random".to_owned(), (view.random.delta_logprob, view.random.kl), " as far as the largest, at random"),
    ];
    for (y, (name, part, said)) in parts.into_iter().enumerate().take(usize::from(below.height)) {
        let mut line = vec![Span::styled(format!(" {name:>6}"), theme.quiet())];
        line.extend(numbers(part, most, area.width, pen));
        line.push(Span::styled(said, theme.quiet()));
        pen.line(below, y as u16, &Line::from(line));
    }
    if !current && app.waits() {
        pen.tint(area, theme.stale());
    }
}

fn largest(view: &MetaEffectView) -> f64 {
    let metas = view.meta_latents.iter().map(|of| of.delta_logprob);
    metas.chain([view.all_latents.delta_logprob]).map(f64::abs).fold(0.0, f64::max)
}

/// For the title.
pub(super) fn state(app: &App, pen: &Canvas<'_>) -> String {
    if app.effect.parts.is_pending() && app.waits() {
        return format!("measuring {}", pen.theme.glyphs().more);
    }
    let meta = app.meta_ref().map(|of| text::said(&of.meta, pen.theme.charset)).unwrap_or_default();
    format!("by meta-latents, {meta}")
}
