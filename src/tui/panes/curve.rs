//! The way from the narrower to the wider SAE: MSE, L0 and cross-entropy against the number of latents, with the phases
//! and the workbench's own point. Not here: measuring it.

use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use crate::analysis::{CurvePoint, CurveView, Order, Phase};
use crate::text;
use crate::tui::app::App;
use crate::tui::canvas::Canvas;
use crate::tui::format;
use crate::tui::hits::Part;
use crate::tui::keys::{Action, Binding, KeyContexts, row};
use crate::tui::location::{Focus, Page};
use crate::tui::msg::Effect;
use crate::tui::pane::{Pane, step_of};
use crate::tui::stitch::PairIds;
use crate::tui::update::stitch;
use crate::tui::view::figures::count;
use crate::tui::view::plot::{Raster, Span1};
use crate::tui::view::trouble;
use crate::tui::view::waiting::{pending, waiting};
use crokey::key;

fn draw(app: &App, pair: &PairIds, area: Rect, pen: &mut Canvas<'_>) {
    let theme = pen.theme;
    pen.hits.drawn.add(Part::Curve);
    let area = Rect { x: area.x + 1, width: area.width.saturating_sub(2), ..area };
    let failure = app.stitch.curve.failure().or(app.stitch.curve_loss.failure());
    let failure = trouble::first_lines(failure, Rect { height: area.height.min(3), ..area }, theme.charset);
    let area = trouble::draw_lines(&failure, area, pen);
    let shown = app.stitch.curve.value().filter(|c| c.small == pair.small && c.large == pair.large);
    let Some(curve) = shown.filter(|c| !c.points.is_empty()) else {
        if failure.is_empty() {
            waiting(app, None, app.stitch.curve.progressed(), "going from the narrower to the wider SAE", area, pen);
        }
        return;
    };
    let ce = losses(app, curve);
    let lines = [
        point_line(app, curve, &ce, usize::from(area.width), pen),
        phases_line(curve, usize::from(area.width), pen),
        about_line(app, curve, usize::from(area.width), pen),
    ];
    let below = if area.height < LEAST_PLOT + lines.len() as u16 { 1.min(area.height) } else { lines.len() as u16 };
    let plots = Rect { height: area.height - below, ..area };
    draw_plots(app, curve, &ce, plots, pen);
    for (row, line) in lines.iter().take(usize::from(below)).enumerate() {
        pen.line(Rect { y: plots.bottom(), height: below, ..area }, row as u16, line);
    }
    if app.stitch.curve.is_pending() && app.waits() {
        pen.tint(area, theme.stale());
    }
}

/// Cross-entropies by point, where they are measured.
fn losses(app: &App, curve: &CurveView) -> Vec<Option<f64>> {
    let loss = app.stitch.curve_loss.value().filter(|l| {
        l.small == curve.small && l.large == curve.large && l.threshold == curve.threshold && l.order == curve.order
    });
    let of = |point: &CurvePoint| {
        let measured = loss.and_then(|l| l.ce.iter().find(|(step, _)| *step == point.step)).and_then(|(_, ce)| *ce);
        point.ce.or(measured)
    };
    curve.points.iter().map(of).collect()
}

/// Latents of the stitched SAE at a point.
fn latents(app: &App, curve: &CurveView, inserted: usize, removed: usize) -> f64 {
    let small = app.saes().iter().find(|s| s.id == curve.small).and_then(|s| s.width).unwrap_or(0);
    (small + inserted).saturating_sub(removed) as f64
}

/// One plot: its name, its line, its points, and the workbench's value.
struct Plot {
    name: &'static str,
    values: Vec<(f64, Option<f64>)>,
    dots: bool,
    bench: Option<(f64, f64)>,
}

fn draw_plots(app: &App, curve: &CurveView, ce: &[Option<f64>], area: Rect, pen: &mut Canvas<'_>) {
    let at: Vec<f64> = curve.points.iter().map(|p| latents(app, curve, p.inserted, p.removed)).collect();
    let bench = app.stitch.bench.value().filter(|b| b.small == curve.small && b.large == curve.large);
    let bench = bench.and_then(|b| Some((latents(app, curve, b.inserted, b.removed), b.text?)));
    let loss = app.stitch.bench_with_loss();
    let bench_ce = loss.and_then(|loss| loss.text.now);
    let with =
        |pick: fn(&CurvePoint) -> f64| at.iter().copied().zip(curve.points.iter().map(|p| Some(pick(p)))).collect();
    let mut plots = vec![
        Plot { name: "MSE", values: with(|p| p.mse), dots: false, bench: bench.map(|(x, m)| (x, m.mse)) },
        Plot { name: "L0", values: with(|p| p.l0), dots: false, bench: bench.map(|(x, m)| (x, m.l0)) },
    ];
    if ce.iter().any(Option::is_some) && area.width >= 75 {
        let values = at.iter().copied().zip(ce.iter().copied()).collect();
        plots.push(Plot { name: "CE", values, dots: true, bench: bench.zip(bench_ce).map(|((x, _), ce)| (x, ce)) });
    }
    // Side by side while each is wide enough, else one above the other.
    let count = plots.len() as u16;
    let beside = area.width / count >= 24;
    for (i, plot) in plots.iter().enumerate() {
        let i = i as u16;
        let place = if beside {
            let left = area.width * i / count;
            Rect { x: area.x + left, width: (area.width * (i + 1) / count).saturating_sub(left + 1), ..area }
        } else {
            let top = area.height * i / count;
            Rect { y: area.y + top, height: area.height * (i + 1) / count - top, ..area }
        };
        draw_plot(app, curve, plot, place, pen);
    }
}

/// Rows that a plot needs.
const LEAST_PLOT: u16 = 4;

/// Cells of the numbers at the left of a plot.
const LABELS: u16 = 8;

fn draw_plot(app: &App, curve: &CurveView, plot: &Plot, area: Rect, pen: &mut Canvas<'_>) {
    let theme = pen.theme;
    if area.height < LEAST_PLOT || area.width < LABELS + 6 {
        return;
    }
    let known = || plot.values.iter().filter_map(|(x, y)| y.map(|y| (*x, y)));
    let xs = Span1::of(known().map(|(x, _)| x).chain(plot.values.iter().map(|(x, _)| *x)));
    let ys = Span1::of(known().map(|(_, y)| y).chain(plot.bench.map(|(_, y)| y)));
    let (Some(xs), Some(ys)) = (xs, ys) else { return };
    let inner = Rect { x: area.x + LABELS, y: area.y, width: area.width - LABELS, height: area.height - 1 };
    let label = |value: f64| format!("{:>7} ", format::short(value));
    pen.text(Rect { width: LABELS, ..area }, 0, &label(ys.high), theme.quiet());
    pen.text(Rect { width: LABELS, ..area }, inner.height - 1, &label(ys.low), theme.quiet());
    if inner.height >= 4 {
        pen.text(Rect { width: LABELS, ..area }, inner.height / 2, &format!("{:>7} ", plot.name), theme.strong());
    } else {
        pen.text(inner, 0, plot.name, theme.strong());
    }
    let mut raster = Raster::new(inner, theme.charset);
    let (across, down) = raster.size();
    let place = |x: f64, y: f64| (xs.place(x, across), down - 1 - ys.place(y, down));
    // The phases behind the line.
    let column = theme.glyphs().column;
    for step in curve.phases.iter().take(2) {
        let Some((x, _)) = curve.points.iter().zip(&plot.values).find(|(p, _)| p.step == *step).map(|(_, v)| v) else {
            continue;
        };
        let at = inner.x + xs.place(*x, usize::from(inner.width)) as u16;
        for row in 0..inner.height {
            pen.text(Rect { x: at, width: 1, ..inner }, row, column, theme.quiet());
        }
    }
    let mut last = None;
    for (x, y) in known() {
        let to = place(x, y);
        raster.line(last.unwrap_or(to), to);
        last = Some(to);
    }
    raster.draw(inner, theme.bar(), pen);
    let cell = |x: f64, y: f64| {
        let column = xs.place(x, usize::from(inner.width)) as u16;
        let row = inner.height - 1 - ys.place(y, usize::from(inner.height)) as u16;
        Rect { x: inner.x + column, y: inner.y + row, width: 1, height: 1 }
    };
    if plot.dots {
        for (x, y) in known() {
            mark(cell(x, y), theme.glyphs().pins[1], theme.bar(), pen);
        }
    }
    if let Some((x, Some(y))) = plot.values.get(app.stitch.point).copied() {
        let style = if app.focus == Focus::Curve { theme.chosen(true) } else { theme.strong() };
        mark(cell(x, y), theme.glyphs().pins[3], style, pen);
    }
    if let Some((x, y)) = plot.bench {
        mark(cell(x, y), theme.glyphs().pins[0], theme.accent(), pen);
    }
    let ends = [count(xs.low.max(0.0) as usize), count(xs.high.max(0.0) as usize)];
    let gap = usize::from(inner.width).saturating_sub(ends[0].len() + ends[1].len());
    let middle = if gap > 9 { "latents" } else { "" };
    let left = gap.saturating_sub(middle.len()) / 2;
    let axis = format!("{}{}{middle}{}{}", ends[0], " ".repeat(left), " ".repeat(gap - left - middle.len()), ends[1]);
    pen.text(Rect { y: inner.bottom(), height: 1, ..inner }, 0, &axis, theme.quiet());
}

/// A mark over whatever lies there.
fn mark(at: Rect, glyph: &str, style: Style, pen: &mut Canvas<'_>) {
    pen.text(at, 0, glyph, Style::reset().patch(style));
}

/// Whole parts of a line, as many as fit.
fn parts<'a>(parts: Vec<(String, Style)>, width: usize) -> Line<'a> {
    let mut spans = Vec::new();
    let mut used = 0;
    for (part, style) in parts {
        let cells = text::width(&part) + 2;
        if used + cells > width + 2 {
            break;
        }
        used += cells;
        spans.push(Span::styled(part, style));
        spans.push(Span::raw("  "));
    }
    Line::from(spans)
}

/// The chosen point in numbers.
fn point_line<'a>(app: &App, curve: &CurveView, ce: &[Option<f64>], width: usize, pen: &Canvas<'_>) -> Line<'a> {
    let theme = pen.theme;
    let at = app.stitch.point.min(curve.points.len() - 1);
    let point = &curve.points[at];
    let phase = match point.phase {
        Phase::Start => "the narrower SAE",
        Phase::Novel => "novel in",
        Phase::Swap => "groups swapped",
        Phase::Drop => "unmatched out",
    };
    let last = curve.phases[2];
    let mut all = vec![
        (format!("{} step {} of {}", theme.glyphs().pins[3], count(point.step), count(last)), theme.strong()),
        (phase.to_owned(), theme.notice()),
        (format!("{} in, {} out", count(point.inserted), count(point.removed)), Style::new()),
        (format!("MSE {}", format::short(point.mse)), Style::new()),
        (format!("L0 {}", format::short(point.l0)), Style::new()),
    ];
    all.extend(point.explained_variance.map(|ev| (format!("EV {ev:.3}"), Style::new())));
    all.extend(ce[at].map(|ce| (format!("CE {ce:.4}"), Style::new())));
    parts(all, width)
}

/// The phases with how many steps each takes.
fn phases_line<'a>(curve: &CurveView, width: usize, pen: &Canvas<'_>) -> Line<'a> {
    let [swap, drop, last] = curve.phases;
    let arrow = pen.theme.glyphs().arrow;
    let said = format!(
        "{} novel in {arrow} {} groups swapped {arrow} {} unmatched out",
        count(swap),
        count(drop.saturating_sub(swap)),
        count(last.saturating_sub(drop))
    );
    let order = match curve.order {
        Order::Effect => "best c* first",
        Order::Cosine => "by cosine",
        Order::Random(_) => "at random",
    };
    parts(vec![(said, Style::new()), (order.to_owned(), pen.theme.quiet())], width)
}

/// How well cosines tell what helps; the text; what the marks are.
fn about_line<'a>(app: &App, curve: &CurveView, width: usize, pen: &Canvas<'_>) -> Line<'a> {
    let theme = pen.theme;
    let auc = curve.auc.map_or_else(
        || "ROC-AUC of the cosine rule: undefined".into(),
        |auc| format!("ROC-AUC of the cosine rule {auc:.3}"),
    );
    let mut all = vec![
        (auc, theme.strong()),
        (format!("on {} tokens", count(curve.text.tokens)), theme.quiet()),
        (format!("{} workbench", theme.glyphs().pins[0]), theme.accent()),
    ];
    if curve.reencoded {
        all.push(("latents compete: encoded again".into(), theme.notice()));
    }
    if app.stitch.curve_loss.is_pending() && app.waits() {
        let said = pending(app, app.stitch.curve_loss.progressed(), "measuring cross-entropies", pen);
        all.push((said, theme.notice()));
    }
    parts(all, width)
}

/// The pane.
pub(crate) struct CurvePane;

const HERE: KeyContexts = KeyContexts::pane(Focus::Curve);

impl Pane for CurvePane {
    fn focus(&self) -> Focus {
        Focus::Curve
    }

    fn name(&self) -> &'static str {
        "Curve"
    }

    fn tab(&self) -> Option<&'static str> {
        Some("7 Curve")
    }

    fn keys(&self) -> &'static [Binding] {
        const {
            &[
                row(
                    180,
                    Action::Up,
                    "curve.previous",
                    &[key!(up), key!(k)],
                    HERE,
                    "",
                    "The point before, towards the narrower SAE",
                ),
                row(
                    190,
                    Action::Down,
                    "curve.next",
                    &[key!(down), key!(j)],
                    HERE,
                    "point",
                    "The point after, towards the wider SAE",
                ),
                row(
                    520,
                    Action::Order,
                    "curve.order",
                    &[key!(o)],
                    HERE,
                    "order",
                    "Take steps in the order of effect, of cosine, or at random",
                ),
            ]
        }
    }

    fn help(&self) -> &'static [&'static str] {
        &[
            "The way from the narrower to the wider SAE: novel latents are put in, then groups swapped, then what nothing of the",
            "wider SAE matches taken out. ◆ is the workbench, ▲ the chosen point, the lines part the phases. The ROC-AUC says",
            "how well a small cosine tells that putting a latent in lowers the error: 1 always, 0.5 no better than chance.",
            "Taking latents out leads back to the left: the way ends at the number of the wider SAE.",
        ]
    }

    fn enter(&self, app: &mut App) {
        stitch::enter(app, Focus::Curve);
    }

    fn act(&self, app: &mut App, action: Action, _: &mut Vec<Effect>) -> bool {
        match action {
            Action::Up | Action::Down => stitch::step(app, step_of(action)),
            Action::First | Action::Last | Action::PageUp | Action::PageDown => stitch::leap(app, action),
            Action::Close => stitch::leave(app),
            _ => return false,
        }
        true
    }

    fn wheel(&self, app: &mut App, _: Option<usize>, by: isize) -> bool {
        let shown = app.page == Page::Stitch && app.stitch.shown == Focus::Curve;
        if shown {
            stitch::step(app, by);
        }
        shown
    }

    fn draw(&self, app: &App, area: Rect, pen: &mut Canvas<'_>) {
        if let Some(pair) = app.pair() {
            draw(app, &pair, area, pen);
        }
    }
}
