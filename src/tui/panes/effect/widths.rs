//! What the latents of every SAE do at the chosen token, by width, with the relatives of the chosen latent among them.
//! Not here: asking for it.

use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::{head, named, numbers};
use crate::analysis::{EffectView, Relation};
use crate::text;
use crate::tui::app::{App, WidthPart, WidthRow};
use crate::tui::canvas::Canvas;
use crate::tui::hits::HitTarget;
use crate::tui::location::{Focus, LatentRef};
use crate::tui::update::select;
use crate::tui::view::figures::{cosine, name_text};
use crate::tui::view::flow;

/// Cells of an SAE's id.
const ID: usize = 7;

/// Draws what is known.
pub(super) fn draw(app: &App, area: Rect, well: bool, pen: &mut Canvas<'_>) {
    let theme = pen.theme;
    let Some((view, current)) = app.widths() else {
        let said = if app.run.value().is_none() { "the prompt has not been run" } else { "taking latents out" };
        if well {
            pen.text(area, 0, said, theme.quiet());
        }
        return;
    };
    pen.line(area, 0, &head(app, &view.token, (view.read, view.sign), area.width, pen));
    pen.text(area, 1, &format!(" {:<ID$} {:>7}{}", "SAE", "latent", named(area.width)), theme.quiet());
    let list = Rect { y: area.y + 2, height: area.height.saturating_sub(2), ..area };
    pen.hits.note_rows(Focus::Effect, usize::from(list.height));
    let rows = app.width_rows();
    let chosen = app.width_row();
    let top = flow::top(chosen, usize::from(list.height).max(1), rows.len());
    let most = largest(view);
    for (y, (index, row)) in rows.iter().enumerate().skip(top).take(usize::from(list.height)).enumerate() {
        let at = Rect { y: list.y + y as u16, height: 1, ..list };
        pen.line(at, 0, &line(app, view, row, (index == chosen, most, area.width), pen));
        pen.hits.add(at, HitTarget::Item(Focus::Effect, index));
    }
    if !current && app.waits() {
        pen.tint(area, theme.stale());
    }
}

fn largest(view: &EffectView) -> f64 {
    let of = |sae: &crate::analysis::SaeEffect| {
        let latents = sae.latents.iter().map(|of| of.delta_logprob.abs()).fold(0.0, f64::max);
        latents.max(sae.all_latents.delta_logprob.abs()).max(sae.error.delta_logprob.abs())
    };
    view.saes.iter().map(of).fold(0.0, f64::max)
}

fn line<'a>(
    app: &App,
    view: &EffectView,
    row: &WidthRow,
    (chosen, most, width): (bool, f64, u16),
    pen: &Canvas<'_>,
) -> Line<'a> {
    let theme = pen.theme;
    let sae = &view.saes[row.place];
    let (name, delta, kl) = match &row.of {
        WidthPart::All => ("all".to_owned(), sae.all_latents.delta_logprob, sae.all_latents.kl),
        WidthPart::Error => ("error".to_owned(), sae.error.delta_logprob, sae.error.kl),
        WidthPart::Latent { effect, .. } => (effect.latent.to_string(), effect.delta_logprob, effect.kl),
    };
    let id = if row.of == WidthPart::All { text::said(&sae.id, theme.charset) } else { String::new() };
    let style = if chosen { theme.chosen(app.focus == Focus::Effect) } else { Style::new() };
    let mut line = vec![
        Span::styled(if chosen { theme.glyphs().chosen } else { " " }, theme.accent()),
        Span::styled(text::fit(&id, ID, theme.charset), theme.strong()),
        Span::raw(" "),
        Span::styled(format!("{name:>7}"), style),
    ];
    line.extend(numbers((delta, kl), most, width, pen));
    if let WidthPart::Latent { effect, relative } = row.of {
        let of = LatentRef { sae: sae.id.clone(), latent: effect.latent };
        let said = match relative {
            Some((Relation::Parent, value)) => format!(" parent {}", cosine(value)),
            Some((_, value)) => format!(" child {}", cosine(value)),
            None if app.chosen().as_ref() == Some(&of) => " chosen".to_owned(),
            None => String::new(),
        };
        line.push(Span::styled(said, theme.accent()));
        line.push(Span::raw(format!(" {}", name_text(app, theme, &of, 4).unwrap_or_default())));
    }
    Line::from(line)
}

/// For the title.
pub(super) fn state(app: &App, pen: &Canvas<'_>) -> String {
    if app.effect.widths.is_pending() && app.waits() {
        return format!("measuring {}", pen.theme.glyphs().more);
    }
    "by width".to_owned()
}

/// The latents that are shown.
pub(super) fn shown(app: &App) -> Vec<LatentRef> {
    let Some((view, _)) = app.widths() else { return Vec::new() };
    let of = |row: WidthRow| match row.of {
        WidthPart::Latent { effect, .. } => {
            Some(LatentRef { sae: view.saes[row.place].id.clone(), latent: effect.latent })
        }
        WidthPart::All | WidthPart::Error => None,
    };
    app.width_rows().into_iter().filter_map(of).take(64).collect()
}

/// Goes to the latent of the chosen row, or to the SAE.
pub(super) fn go(app: &mut App) {
    if app.effect.page != crate::tui::effect::EffectPage::Widths {
        return;
    }
    let Some(row) = app.width_rows().get(app.width_row()).copied() else { return };
    let Some(id) = app.widths().map(|(view, _)| view.saes[row.place].id.clone()) else { return };
    match row.of {
        WidthPart::Latent { effect, .. } => {
            select::visit(app, &LatentRef { sae: id, latent: effect.latent });
            app.effect.row = None;
        }
        WidthPart::All | WidthPart::Error => {
            if let Some(place) = app.saes().iter().position(|sae| sae.id == id) {
                select::choose_sae(app, place);
            }
        }
    }
}
