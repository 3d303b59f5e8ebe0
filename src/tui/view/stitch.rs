//! Two SAEs compared and stitched: the names of the panes, θ and the counts, and the panes by the room there is.
//! Not here: the panes themselves.

use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::{Pen, trouble};
use crate::session::Reach;
use crate::text;
use crate::tui::app::{App, Focus};
use crate::tui::format;
use crate::tui::hits::Target;
use crate::tui::stitch::PairIds;
use crate::tui::theme::glyphs;

mod bench;
mod curve;
mod group;
mod plot;
mod queue;
mod verdict;

pub(super) use plot::Raster;
pub(super) use verdict::line as verdict_line;

/// The panes with their keys, in the order of the Tab key.
const PANES: [(Focus, &str); 4] =
    [(Focus::Queue, "5 Queue"), (Focus::Bench, "6 Workbench"), (Focus::Curve, "7 Curve"), (Focus::Group, "8 Group")];

pub(super) fn draw(app: &App, area: Rect, pen: &mut Pen<'_>) {
    let Some(pair) = app.pair() else {
        let inner = pen.pane(area, &super::Title { name: "5 Queue", ..Default::default() }, false);
        pen.text(inner, 0, " there is no narrower SAE to compare with; ] goes to a wider one", pen.theme.quiet());
        return;
    };
    tabs(app, &pair, Rect { height: 1.min(area.height), ..area }, pen);
    sums(app, &pair, Rect { y: area.y + 1, height: area.height.saturating_sub(1).min(1), ..area }, pen);
    let body = Rect { y: area.y + 2, height: area.height.saturating_sub(2), ..area };
    pen.hits.add(body, Target::Pane(app.stitch.shown));
    match (body.width, body.height) {
        (150.., 20..) => columns(app, &pair, body, pen),
        (100.., 18..) => rows(app, &pair, body, pen),
        _ => compact(app, &pair, body, pen),
    }
}

/// Verdict and group on the page of latents, where there is room for them.
pub(super) fn beside(app: &App, verdict: Option<Rect>, group: Option<Rect>, pen: &mut Pen<'_>) {
    let pair = app.pair();
    if let (Some(area), Some(pair)) = (verdict, &pair) {
        verdict::draw(app, pair, area, pen);
    }
    if let Some(area) = group {
        // Groups are asked for once all SAEs are compared: until then they would hold up what is looked at.
        match pair.filter(|_| app.stitch.tables.value().is_some()) {
            Some(pair) => titled(app, &pair, Focus::Group, area, pen),
            None => drop(pen.pane(area, &super::Title { name: "8 Group", ..Default::default() }, false)),
        }
    }
}

fn pane(app: &App, pair: &PairIds, which: Focus, area: Rect, pen: &mut Pen<'_>) {
    match which {
        Focus::Bench => bench::draw(app, pair, area, pen),
        Focus::Curve => curve::draw(app, pair, area, pen),
        Focus::Group => group::draw(app, pair, area, pen),
        _ => queue::draw(app, pair, area, pen),
    }
}

/// One pane, and below the queue and the group what is thought of the chosen latent.
fn compact(app: &App, pair: &PairIds, body: Rect, pen: &mut Pen<'_>) {
    let shown = app.stitch.shown;
    let below = match shown {
        Focus::Queue | Focus::Group if body.height >= 12 => 5,
        Focus::Queue | Focus::Group if body.height >= 9 => 4,
        _ => 0,
    };
    let upper = Rect { height: body.height - below, ..body };
    pane(app, pair, shown, upper, pen);
    if below > 0 {
        verdict::short(app, pair, Rect { y: upper.bottom(), height: below, ..body }, pen);
    }
}

/// One pane above, the verdict and a second pane below.
fn rows(app: &App, pair: &PairIds, body: Rect, pen: &mut Pen<'_>) {
    let below = 10.min(body.height / 2);
    let upper = Rect { height: body.height - below, ..body };
    let lower = Rect { y: upper.bottom(), height: below, ..body };
    pane(app, pair, app.stitch.shown, upper, pen);
    let left = Rect { width: lower.width * 46 / 100, ..lower };
    let column = Rect { x: left.right(), width: 1, ..lower };
    let right = Rect { x: column.right(), width: lower.width - left.width - 1, ..lower };
    verdict::draw(app, pair, left, pen);
    pen.column(column);
    let second = if app.stitch.shown == Focus::Bench { Focus::Group } else { Focus::Bench };
    titled(app, pair, second, right, pen);
}

/// One pane at the left; verdict, workbench and curve at the right.
fn columns(app: &App, pair: &PairIds, body: Rect, pen: &mut Pen<'_>) {
    let left = Rect { width: body.width * 52 / 100, ..body };
    let column = Rect { x: left.right(), width: 1, ..body };
    let right = Rect { x: column.right(), width: body.width - left.width - 1, ..body };
    pane(app, pair, app.stitch.shown, left, pen);
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
    titled(app, pair, others[0], Rect { height: first, ..rest }, pen);
    if first < rest.height {
        titled(app, pair, others[1], Rect { y: rest.y + first, height: rest.height - first, ..rest }, pen);
    }
}

/// A pane that stands beside the one shown, under its name.
fn titled(app: &App, pair: &PairIds, which: Focus, area: Rect, pen: &mut Pen<'_>) {
    let name = PANES.iter().find(|(pane, _)| *pane == which).map_or("", |(_, name)| name);
    let inner = pen.pane(area, &super::Title { name, ..Default::default() }, false);
    pen.hits.add(area, Target::Tab(which));
    let rows = pen.hits.stitch_rows;
    pane(app, pair, which, inner, pen);
    // Paging counts the rows of the pane that has the keys.
    pen.hits.stitch_rows = rows;
}

/// The panes' names in the line over them, and at its right end what is compared and θ.
fn tabs(app: &App, pair: &PairIds, area: Rect, pen: &mut Pen<'_>) {
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
    let names_cells: usize = PANES.iter().map(|(_, name)| name.len() + 3).sum();
    let whole = names_cells + compared_cells <= usize::from(area.width);
    let mut x = area.x + 1;
    for (which, name) in PANES {
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
        pen.hits.add(Rect { x, width: cells, ..area }, Target::Tab(which));
        x += cells + 1;
    }
    let cells = text::width(&compared) as u16;
    if x + cells < area.right() {
        let at = area.right() - cells - 1;
        pen.buf.set_stringn(at, area.y, &compared, usize::from(cells), Style::reset().patch(theme.strong()));
    }
}

/// What θ makes of the pair; while it is compared, how far that is; when it cannot be, why.
fn sums(app: &App, pair: &PairIds, area: Rect, pen: &mut Pen<'_>) {
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

/// What is pending, with a bar when it says how far it is.
pub(super) fn pending(app: &App, progress: Option<&crate::task::Progress>, what: &str, pen: &Pen<'_>) -> String {
    let glyphs = pen.theme.glyphs();
    let spinner = glyphs.spinner[app.ticks as usize % 4];
    let Some(progress) = progress else { return format!("{spinner} {}", text::prose(what, pen.theme.charset)) };
    let share = super::status::whole_share(progress);
    let bar = share.map_or(String::new(), |share| {
        let bar = text::fit(&glyphs::bar(glyphs, share as f32, 10), 10, pen.theme.charset);
        format!(" {bar} {}", format::percent(share))
    });
    format!("{spinner} {}{bar}", text::prose(&progress.what, pen.theme.charset))
}

/// What stands in a pane that has nothing to show yet: why it failed, or what is awaited.
pub(super) fn waiting(
    app: &App,
    failure: Option<&crate::report::Report>,
    progress: Option<&crate::task::Progress>,
    what: &str,
    area: Rect,
    pen: &mut Pen<'_>,
) {
    let area = Rect { x: area.x + 1, width: area.width.saturating_sub(2), ..area };
    // What is asked for at all will come.
    let lacking = super::lacking(app, Reach::Site).filter(|_| !app.is_computing());
    match failure {
        Some(_) => {
            let lines = trouble::first_lines(failure, area, pen.theme.charset);
            trouble::draw_lines(&lines, area, pen);
        }
        None if lacking.is_some() => pen.wrapped(area, lacking.unwrap_or_default()),
        // What is quick never flickers.
        None if app.waits() => {
            let said = pending(app, progress, what, pen);
            pen.text(area, 0, &said, pen.theme.notice());
        }
        None => {}
    }
}

/// Text of the program itself as the terminal can show it.
fn plain(said: &str, pen: &Pen<'_>) -> String {
    super::help::plain(said, pen.theme.charset == text::Charset::Ascii)
}

fn count(number: usize) -> String {
    format::count(number as u64)
}

/// A number with its sign.
fn signed(value: f64) -> String {
    let text = format::short(value);
    if value > 0.0 { format!("+{text}") } else { text }
}

/// A c* in few cells.
fn c_star(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |c| if c.abs() < 99.95 { format!("{c:.2}") } else { format::short(c) })
}
