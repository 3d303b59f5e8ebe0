//! All SAEs of the suite side by side: how well each reconstructs this prompt, and what fires most at the chosen token.
//! Not here: the chosen latent's neighbours (`card`).

use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use crate::analysis::Quality;
use crate::text;
use crate::tui::app::{App, LatentRef};
use crate::tui::canvas::{Canvas, Title};
use crate::tui::format;
use crate::tui::hits::HitTarget;
use crate::tui::view::figures::name_text;
use crate::tui::view::flow;

pub(crate) fn draw(app: &App, area: Rect, pen: &mut Canvas<'_>) {
    let theme = pen.theme;
    let tokens = app.sae_run().map(|s| s.metrics.quality.tokens);
    let right = tokens.map_or(String::new(), |n| format!("on {n} tokens"));
    let inner = pen.pane(area, &Title { name: "SAEs", about: Vec::new(), right }, false);
    let names = app.saes().iter().map(|s| text::width(&s.id)).max().unwrap_or(0).clamp(3, 12);
    let head = format!("  {:<names$} {:>6} {:>7} {:>6}  strongest here", "SAE", "L0", "MSE", "EV");
    pen.text(inner, 0, &head, theme.quiet());
    let rows = Rect { y: inner.y + 1, height: inner.height.saturating_sub(1), ..inner };
    let height = usize::from(rows.height);
    let top = flow::top(app.sae, height, app.saes().len());
    for (y, (place, sae)) in app.saes().iter().enumerate().skip(top).take(height).enumerate() {
        let chosen = place == app.sae;
        let at = Rect { y: rows.y + y as u16, height: 1, ..rows };
        let name = text::fit(&text::prose(&sae.id, theme.charset), names, theme.charset);
        let mut spans = vec![
            Span::styled(if chosen { theme.glyphs().chosen } else { " " }, theme.accent()),
            Span::raw(" "),
            Span::styled(name, if chosen { theme.strong() } else { Style::new() }),
        ];
        if let Some(run) = app.run_of(&sae.id) {
            spans.push(Span::raw(numbers(&run.metrics.quality)));
            spans.extend(strongest(app, &sae.id, pen));
        } else if !sae.loaded {
            spans.push(Span::styled(" not loaded", theme.quiet()));
        }
        pen.line(at, 0, &Line::from(spans));
        pen.hits.add(at, HitTarget::Sae(place));
    }
    if app.run.is_stale() && app.waits() {
        pen.tint(inner, theme.stale());
    }
}

fn numbers(quality: &Quality) -> String {
    let number = |v: Option<f64>| v.map_or_else(|| "-".to_owned(), format::short);
    let variance = quality.explained_variance.map_or_else(|| "-".to_owned(), |v| format!("{v:.3}"));
    format!(" {:>6} {:>7} {variance:>6}", number(quality.l0), number(quality.mse))
}

/// The strongest latent of an SAE at the chosen token.
fn strongest<'a>(app: &App, sae: &str, pen: &Canvas<'_>) -> Vec<Span<'a>> {
    let theme = pen.theme;
    let firing = app.run_of(sae).and_then(|run| run.positions.get(app.token)).and_then(|p| p.latents.first());
    let Some(firing) = firing else { return vec![Span::styled("  nothing fires", theme.quiet())] };
    let of = LatentRef { sae: sae.to_owned(), latent: firing.latent };
    vec![
        Span::styled(format!("  {:>6}", firing.latent), theme.quiet()),
        Span::styled(format!(" {:>6}  ", format::activation(firing.activation)), theme.bar()),
        Span::raw(name_text(app, theme, &of, 6).unwrap_or_default()),
    ]
}
