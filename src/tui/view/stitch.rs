//! Two SAEs compared and stitched: the names of the panes, θ and the counts, and the panes by the room there is.
//! Not here: the panes themselves.

use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use crate::text;
use crate::tui::app::{App, Focus, Page};
use crate::tui::canvas::{Canvas, Title};
use crate::tui::hits::HitTarget;
use crate::tui::panes;
use crate::tui::stitch::PairIds;
use crate::tui::view::figures::count;
use crate::tui::view::verdict;
use crate::tui::view::waiting::pending;

pub(crate) fn draw(app: &App, area: Rect, pen: &mut Canvas<'_>) {
    let Some(pair) = app.pair() else {
        let inner = pen.pane(area, &Title { name: "5 Queue", ..Default::default() }, false);
        pen.text(inner, 0, " there is no narrower SAE to compare with; ] goes to a wider one", pen.theme.quiet());
        return;
    };
    tabs(app, &pair, Rect { height: 1.min(area.height), ..area }, pen);
    sums(app, &pair, Rect { y: area.y + 1, height: area.height.saturating_sub(1).min(1), ..area }, pen);
    let body = Rect { y: area.y + 2, height: area.height.saturating_sub(2), ..area };
    pen.hits.add(body, HitTarget::Pane(app.stitch.shown));
    match (body.width, body.height) {
        (150.., 20..) => columns(app, &pair, body, pen),
        (100.., 18..) => rows(app, &pair, body, pen),
        _ => compact(app, &pair, body, pen),
    }
}

/// Verdict and group on the page of latents, where there is room for them.
pub(crate) fn beside(app: &App, verdict: Option<Rect>, group: Option<Rect>, pen: &mut Canvas<'_>) {
    let pair = app.pair();
    if let (Some(area), Some(pair)) = (verdict, &pair) {
        verdict::draw(app, pair, area, pen);
    }
    if let Some(area) = group {
        // Groups are asked for once all SAEs are compared: until then they would hold up what is looked at.
        match pair.filter(|_| app.stitch.tables.value().is_some()) {
            Some(_) => titled(app, Focus::Group, area, pen),
            None => drop(pen.pane(area, &Title { name: "8 Group", ..Default::default() }, false)),
        }
    }
}

/// One pane, and below the queue and the group what is thought of the chosen latent.
fn compact(app: &App, pair: &PairIds, body: Rect, pen: &mut Canvas<'_>) {
    let shown = app.stitch.shown;
    let below = match shown {
        Focus::Queue | Focus::Group if body.height >= 12 => 5,
        Focus::Queue | Focus::Group if body.height >= 9 => 4,
        _ => 0,
    };
    let upper = Rect { height: body.height - below, ..body };
    panes::of(shown).draw(app, upper, pen);
    if below > 0 {
        verdict::short(app, pair, Rect { y: upper.bottom(), height: below, ..body }, pen);
    }
}

/// One pane above, the verdict and a second pane below.
fn rows(app: &App, pair: &PairIds, body: Rect, pen: &mut Canvas<'_>) {
    let below = 10.min(body.height / 2);
    let upper = Rect { height: body.height - below, ..body };
    let lower = Rect { y: upper.bottom(), height: below, ..body };
    panes::of(app.stitch.shown).draw(app, upper, pen);
    let left = Rect { width: lower.width * 46 / 100, ..lower };
    let column = Rect { x: left.right(), width: 1, ..lower };
    let right = Rect { x: column.right(), width: lower.width - left.width - 1, ..lower };
    verdict::draw(app, pair, left, pen);
    pen.column(column);
    let second = if app.stitch.shown == Focus::Bench { Focus::Group } else { Focus::Bench };
    titled(app, second, right, pen);
}

/// One pane at the left; verdict, workbench and curve at the right.
fn columns(app: &App, pair: &PairIds, body: Rect, pen: &mut Canvas<'_>) {
    let left = Rect { width: body.width * 52 / 100, ..body };
    let column = Rect { x: left.right(), width: 1, ..body };
    let right = Rect { x: column.right(), width: body.width - left.width - 1, ..body };
    panes::of(app.stitch.shown).draw(app, left, pen);
    pen.column(column);
    let verdict = 11.min(right.height);
    verdict::draw(app, pair, Rect { height: verdict, ..right }, pen);
    let rest = Rect { y: right.y + verdict, height: right.height - verdict, ..right };
    let others: [Focus; 2] = match app.stitch.shown {
        Focus::Bench => [Focus::Group, Focus::Curve],
        Focus::Curve => [Focus::Bench, Focus::Group],
        _ => [Focus::Bench, Focus::Curve],
    };
    let first = if rest.height < 24 { rest.height } else { rest.height * 9 / 20 };
    titled(app, others[0], Rect { height: first, ..rest }, pen);
    if first < rest.height {
        titled(app, others[1], Rect { y: rest.y + first, height: rest.height - first, ..rest }, pen);
    }
}

/// A pane that stands beside the one shown, under its name.
fn titled(app: &App, which: Focus, area: Rect, pen: &mut Canvas<'_>) {
    let name = panes::of(which).tab().unwrap_or_default();
    let inner = pen.pane(area, &Title { name, ..Default::default() }, false);
    pen.hits.add(area, HitTarget::Tab(which));
    let rows = pen.hits.stitch_rows;
    panes::of(which).draw(app, inner, pen);
    // Paging counts the rows of the pane that has the keys.
    pen.hits.stitch_rows = rows;
}

/// The panes' names in the line over them, and at its right end what is compared and θ.
fn tabs(app: &App, pair: &PairIds, area: Rect, pen: &mut Canvas<'_>) {
    let theme = pen.theme;
    let focused = app.focus == app.stitch.shown;
    let rule = theme.glyphs().rule[usize::from(focused)];
    pen.text(area, 0, &rule.repeat(usize::from(area.width)), theme.rule(focused));
    let charset = theme.charset;
    let compared = format!(
        " {} {} {}  {} {:.2} ",
        text::prose(&pair.small, charset),
        theme.glyphs().arrow,
        text::prose(&pair.large, charset),
        theme.glyphs().theta,
        app.stitch.threshold
    );
    let compared_cells = text::width(&compared) + 2;
    let names_cells: usize = panes::tabs(Page::Stitch).map(|(_, name)| name.len() + 3).sum();
    let whole = names_cells + compared_cells <= usize::from(area.width);
    let mut x = area.x + 1;
    for (which, name) in panes::tabs(Page::Stitch) {
        let shown = app.stitch.shown == which;
        // On a narrow screen the keys alone stand for the others.
        let name = if shown || whole { name } else { name.get(..1).unwrap_or(name) };
        let style =
            if shown { Style::reset().patch(theme.title(focused)) } else { Style::reset().patch(theme.quiet()) };
        let cells = name.len() as u16 + 2;
        if x + cells >= area.right() {
            break;
        }
        pen.buf.set_stringn(x, area.y, format!(" {name} "), usize::from(cells), style);
        pen.hits.add(Rect { x, width: cells, ..area }, HitTarget::Tab(which));
        x += cells + 1;
    }
    let cells = text::width(&compared) as u16;
    if x + cells < area.right() {
        let at = area.right() - cells - 1;
        pen.buf.set_stringn(at, area.y, &compared, usize::from(cells), Style::reset().patch(theme.strong()));
    }
}

/// What θ makes of the pair; while it is compared, how far that is; when it cannot be, why.
fn sums(app: &App, pair: &PairIds, area: Rect, pen: &mut Canvas<'_>) {
    let theme = pen.theme;
    let stitch = &app.stitch;
    let view = stitch.view(pair);
    let sums = stitch.sums().filter(|_| view.is_some());
    let mut parts: Vec<(String, Style)> = Vec::new();
    if let (Some(view), Some(sums)) = (view, sums) {
        if let Some(counts) = &sums.counts {
            parts.push((format!("novel {}", count(counts.novel)), theme.notice()));
            parts.push((format!("recon {}", count(counts.reconstruction)), Style::new()));
            if counts.zero > 0 {
                parts.push((format!("zero {}", count(counts.zero)), Style::new()));
            }
            parts.push((format!("groups {}", count(counts.groups)), Style::new()));
            parts.push((format!("unmatched {}", count(counts.unmatched)), Style::new()));
        }
        if view.text.tokens > 0 {
            parts.push((format!("disagree {}", count(sums.disagree)), theme.bad()));
            let text = text::truncate(&text::prose(&view.text.name, theme.charset), 24, theme.charset);
            parts.push((format!("on {} tokens of {text}", count(view.text.tokens)), theme.quiet()));
        }
        if view.competes {
            parts.push(("latents compete: c* as if they did not".into(), theme.quiet()));
        }
    }
    let mut spans = Vec::new();
    let mut used = 0;
    if stitch.pair.is_pending() {
        let said =
            pending(app, stitch.pair.progressed(), &format!("comparing {} with {}", pair.large, pair.small), pen);
        used += text::width(&said) + 3;
        spans.push(Span::styled(format!(" {said}  "), theme.notice()));
    } else if view.is_none() && stitch.pair.failure().is_none() {
        spans.push(Span::styled(" not compared; r compares", theme.quiet()));
    }
    for (part, style) in parts {
        // Whole parts only: half a number is a wrong number.
        let cells = text::width(&part) + 2;
        if used + cells > usize::from(area.width) {
            break;
        }
        used += cells;
        spans.push(Span::styled(format!(" {part} "), style));
    }
    pen.line(area, 0, &Line::from(spans));
}
