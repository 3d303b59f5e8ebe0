//! All SAEs of the suite side by side: how well each reconstructs this prompt.
//! Not here: the chosen latent's neighbours (`card`).

use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::{Pen, Title};
use crate::text;
use crate::tui::app::App;
use crate::tui::format;
use crate::tui::hits::Target;
use crate::tui::theme::glyphs;

pub(super) fn draw(app: &App, area: Rect, pen: &mut Pen<'_>) {
    let theme = pen.theme;
    let tokens = app.sae_run().map(|s| s.metrics.tokens);
    let right = tokens.map_or(String::new(), |n| format!("on {n} tokens of the prompt"));
    let inner = pen.pane(area, &Title { name: "SAEs", about: Vec::new(), right }, false);
    let head = format!("  {:<9}{:>8}{:>9}{:>10}  {}", "", "L0", "MSE", "expl.var", "");
    pen.text(inner, 0, &head, theme.quiet());
    let rows = Rect { y: inner.y + 1, height: inner.height.saturating_sub(1), ..inner };
    let height = usize::from(rows.height);
    let top = super::flow::top(app.sae, height, app.saes().len());
    let bar_cells = usize::from(rows.width).saturating_sub(42).min(24);
    for (y, (place, sae)) in app.saes().iter().enumerate().skip(top).take(height).enumerate() {
        let chosen = place == app.sae;
        let at = Rect { y: rows.y + y as u16, height: 1, ..rows };
        let name = text::fit(&text::prose(&sae.id, theme.charset), 9, theme.charset);
        let mut spans = vec![
            Span::styled(if chosen { theme.glyphs().chosen } else { " " }, theme.accent()),
            Span::raw(" "),
            Span::styled(name, if chosen { theme.strong() } else { Style::new() }),
        ];
        if let Some(run) = app.run_of(&sae.id) {
            let number = |v: Option<f64>| v.map_or_else(|| "-".to_owned(), format::short);
            let m = &run.metrics;
            let ev = m.explained_variance;
            spans.push(Span::raw(format!("{:>8}{:>9}{:>10}  ", number(m.l0), number(m.mse), number(ev))));
            spans.push(Span::styled(glyphs::bar(theme.glyphs(), ev.unwrap_or(0.0) as f32, bar_cells), theme.bar()));
        } else if !sae.loaded {
            spans.push(Span::styled("not loaded", theme.quiet()));
        }
        pen.line(at, 0, &Line::from(spans));
        pen.hits.add(at, Target::Sae(place));
    }
    if app.run.is_stale() && app.waits() {
        pen.tint(inner, theme.stale());
    }
}
