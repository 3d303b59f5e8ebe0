//! An interchange: what is said after each latent, in one sentence and as a plot. Not here: asking for it.

use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::analysis::SwapView;
use crate::text;
use crate::tui::app::App;
use crate::tui::canvas::Canvas;
use crate::tui::format;
use crate::tui::view::plot::{Raster, Span1};

/// Cells of the numbers at the left, and rows that a plot needs.
const LABELS: u16 = 7;
const LEAST: u16 = 4;

/// Draws what is known of the chosen pair's interchange.
pub(crate) fn draw(app: &App, area: Rect, pen: &mut Canvas<'_>) {
    let theme = pen.theme;
    let Some(view) = app.interchange() else {
        let said = if app.pair.swap.is_pending() { "exchanging" } else { "Enter exchanges the latents of this pair" };
        pen.text(area, 0, said, theme.quiet());
        return;
    };
    let (first, second) = sentence(view, pen);
    pen.text(area, 0, &first, theme.strong());
    pen.text(area, 1, &second, theme.quiet());
    let plot = Rect { y: area.y + 2, height: area.height.saturating_sub(2), ..area };
    if plot.height >= LEAST && plot.width > LABELS + 8 {
        draw_plot(view, plot, pen);
    }
}

/// What is seen, in one sentence; and its controls.
fn sentence(view: &SwapView, pen: &Canvas<'_>) -> (String, String) {
    let shown = |of: &str| text::truncate(&text::token(of, pen.theme.charset), 14, pen.theme.charset);
    let (token, other, all) = (shown(&view.token.text), shown(&view.other.text), view.latents.len());
    let units = units(view);
    let first = match view.flips_at {
        Some(k) => format!("{k} of {all} {units} turn {token} into {other}"),
        None => format!("all {all} {units} leave {token} before {other}"),
    };
    let whole = if view.whole.flips { "flips it" } else { "does not" };
    let at = view.flips_at.unwrap_or(all);
    let random = view.random.iter().rfind(|random| random.k <= at.max(1));
    let random = random.map_or_else(String::new, |random| {
        format!("; {} at random: {} of {}", random.k, format::percent(random.flips), view.orders)
    });
    (first, format!("the whole activation {whole}{random}"))
}

/// What is exchanged.
const fn units(view: &SwapView) -> &'static str {
    if view.meta.is_some() { "meta-latents" } else { "latents" }
}

fn draw_plot(view: &SwapView, area: Rect, pen: &mut Canvas<'_>) {
    let theme = pen.theme;
    let inner = Rect { x: area.x + LABELS, width: area.width - LABELS, height: area.height - 1, ..area };
    let ends = [view.whole.logprob_token, view.whole.logprob_other];
    let values = view.curve.iter().flat_map(|point| [point.logprob_token, point.logprob_other]);
    let (Some(xs), Some(ys)) = (
        Span1::of([0.0, view.curve.len().saturating_sub(1) as f64].into_iter()),
        Span1::of(values.chain(ends).chain([0.0])),
    ) else {
        return;
    };
    let token: Vec<(f64, f64)> = view.curve.iter().map(|point| (point.k as f64, point.logprob_token)).collect();
    let other: Vec<(f64, f64)> = view.curve.iter().map(|point| (point.k as f64, point.logprob_other)).collect();
    let random: Vec<(f64, f64)> = view.random.iter().map(|point| (point.k as f64, point.logprob_other)).collect();
    for (points, style, dots) in
        [(&random, theme.quiet(), true), (&token, theme.suppressed(), false), (&other, theme.promoted(), false)]
    {
        let mut raster = Raster::new(inner, theme.charset);
        let (across, down) = raster.size();
        let mut last = None;
        for (x, y) in points {
            let to = (xs.place(*x, across), down - 1 - ys.place(*y, down));
            raster.line(if dots { to } else { last.unwrap_or(to) }, to);
            last = Some(to);
        }
        raster.draw(inner, style, pen);
    }
    let row = |y: f64| inner.height - 1 - ys.place(y, usize::from(inner.height)) as u16;
    let right = Rect { x: inner.right().saturating_sub(1), width: 1, ..inner };
    for (y, style) in [(ends[0], theme.suppressed()), (ends[1], theme.promoted())] {
        pen.text(right, row(y), theme.glyphs().pins[3], Style::reset().patch(style));
    }
    let labels = Rect { width: LABELS, ..area };
    pen.text(labels, 0, &format!("{:>6} ", format::short(ys.high)), theme.quiet());
    pen.text(labels, inner.height - 1, &format!("{:>6} ", format::short(ys.low)), theme.quiet());
    if inner.height >= 3 {
        pen.text(labels, inner.height / 2, " log-p ", theme.quiet());
    }
    let last = view.curve.len().saturating_sub(1).to_string();
    let middle = format!("{} exchanged", units(view));
    let gap = usize::from(inner.width).saturating_sub(1 + last.len());
    let axis = if gap > middle.len() + 2 {
        let left = (gap - middle.len()) / 2;
        format!("0{}{middle}{}{last}", " ".repeat(left), " ".repeat(gap - middle.len() - left))
    } else {
        format!("0{}{last}", " ".repeat(gap))
    };
    pen.text(Rect { y: inner.bottom(), height: 1, ..inner }, 0, &axis, theme.quiet());
}
