//! The tokens by what each brought to a latent's activation, with a title that says through which head.
//! Not here: the tokens themselves (`marks.rs`), and computing the parts (`analysis`).

use ratatui::layout::Rect;
use ratatui::text::Span;

use super::marks::{Marks, draw_tokens};
use crate::text;
use crate::tui::app::App;
use crate::tui::canvas::{Canvas, Title};
use crate::tui::location::Focus;
use crate::tui::view::figures::contribution;

/// The tokens by what each brought to the chosen latent at the chosen token: bars, those that held it back with a sign.
pub(super) fn draw_sources(app: &App, area: Rect, pen: &mut Canvas<'_>) {
    let theme = pen.theme;
    let values = app.attribution().map_or_else(Vec::new, |(of, _)| of.through(app.attribution.head));
    let strongest = values.iter().copied().max_by(|a, b| a.abs().total_cmp(&b.abs()));
    let right = strongest.map_or_else(String::new, |value| format!("most {}", contribution(value)));
    // Beside what it is about: the pane's name, the right end, and what stands around each.
    let room = usize::from(area.width).saturating_sub("2 Tokens".len() + text::width(&right) + 9);
    let title = Title { name: "2 Tokens", about: sources_of(app, room, pen), right };
    let inner = pen.pane(area, &title, app.focus == Focus::Tokens);
    let inner = Rect { width: inner.width.saturating_sub(1), ..inner };
    let size = |values: &[f32]| values.iter().map(|value| value.abs()).fold(0.0, f32::max);
    // The beginning-of-sequence token, at which heads look when they look at nothing, would dim all others.
    let own = size(values.get(app.apart()..).unwrap_or_default());
    let most = if own > 0.0 { own } else { size(&values) };
    draw_tokens(app, &Marks::Sources(&values, most), inner, pen);
    if app.attribution().is_some_and(|(_, current)| !current) && app.waits() {
        pen.tint(inner, theme.stale());
    }
}

/// Which latent's sources, at which token, through which head: in the longest form that fits into `room` cells.
fn sources_of<'a>(app: &App, room: usize, pen: &Canvas<'_>) -> Vec<Span<'a>> {
    let theme = pen.theme;
    let (Some(chosen), Some(token)) = (app.chosen(), app.tokens().get(app.token)) else { return Vec::new() };
    let name = format!("{}/{}", text::prose(&chosen.sae, theme.charset), chosen.latent);
    let token = text::token(&token.text, theme.charset);
    let (long, short) = match app.attribution.head {
        Some(head) => (format!("  by head {head}"), format!("  h{head}")),
        None => ("  by all heads".to_owned(), String::new()),
    };
    let forms = [("sources of ", &long, 16), ("sources of ", &short, 16), ("", &short, 16), ("", &short, 6)];
    let spans = forms.map(|(of, through, longest)| {
        vec![
            Span::raw(of),
            Span::styled(name.clone(), theme.accent()),
            Span::raw(" at "),
            Span::styled(text::truncate(&token, longest, theme.charset), theme.strong()),
            Span::raw(through.clone()),
        ]
    });
    let cells = |spans: &[Span<'_>]| spans.iter().map(|span| text::width(&span.content)).sum::<usize>();
    let [.., shortest] = &spans;
    let shortest = shortest.clone();
    spans.into_iter().find(|spans| cells(spans) <= room).unwrap_or(shortest)
}
