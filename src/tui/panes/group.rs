//! The latents of both SAEs that are linked to the chosen one, as a picture: the narrower SAE's at the left, the
//! wider's at the right, a line for every pair with cosine ≥ θ. Not here: finding them.

use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use crate::analysis::{GroupView, Side};
use crate::text;
use crate::tui::app::App;
use crate::tui::canvas::Canvas;
use crate::tui::format;
use crate::tui::hits::{HitTarget, Part};
use crate::tui::keys::{Action, Binding, KeyContexts, row};
use crate::tui::location::{Focus, LatentRef, Page};
use crate::tui::msg::Effect;
use crate::tui::pane::{Pane, step_of};
use crate::tui::stitch::PairIds;
use crate::tui::update::stitch;
use crate::tui::view::figures::{cosine, name_text};
use crate::tui::view::flow;
use crate::tui::view::plot::Raster;
use crate::tui::view::trouble;
use crate::tui::view::waiting::waiting;
use crokey::key;

/// Cells of the lines between the two sides.
const BAND: u16 = 14;

fn draw(app: &App, pair: &PairIds, area: Rect, pen: &mut Canvas<'_>) {
    let theme = pen.theme;
    pen.hits.drawn.add(Part::Group);
    let area = Rect { x: area.x + 1, width: area.width.saturating_sub(2), ..area };
    let failure =
        trouble::first_lines(app.stitch.group.failure(), Rect { height: area.height.min(3), ..area }, theme.charset);
    let area = trouble::draw_lines(&failure, area, pen);
    let about_pair =
        app.stitch.group.answers().is_some_and(|(of, ())| of.small == pair.small && of.large == pair.large);
    let Some(found) = app.stitch.group.value().filter(|_| about_pair) else {
        if failure.is_empty() {
            waiting(app, None, app.stitch.group.progressed(), "looking for the group", area, pen);
        }
        return;
    };
    match &**found {
        Some(group) => picture(app, pair, group, area, pen),
        None => alone(app, pair, area, pen),
    }
    if app.stitch.group.is_pending() && app.waits() {
        pen.tint(area, theme.stale());
    }
}

/// A latent in no group: novel.
fn alone(app: &App, pair: &PairIds, area: Rect, pen: &mut Canvas<'_>) {
    let (latent, theta) = app.stitch.group.answers().map_or((0, 0.0), |(of, ())| (of.latent, of.threshold));
    let said = format!(
        "{}/{latent} is novel at {} {theta:.2}: no latent of {} comes as near, so it is linked to none. Space puts it in alone; - lowers the threshold.",
        pair.large,
        pen.theme.glyphs().theta,
        pair.small
    );
    let charset = pen.theme.charset;
    for (row, line) in text::wrap(&text::said(&said, charset), usize::from(area.width)).into_iter().enumerate() {
        pen.text(area, row as u16, &line, Style::new());
    }
}

fn picture(app: &App, pair: &PairIds, group: &GroupView, area: Rect, pen: &mut Canvas<'_>) {
    let theme = pen.theme;
    let part = if group.complete { "" } else { "; only the lines that hold it together" };
    let head = format!(
        "{} of {} and {} of {}, {} with cosine >= {:.2}{part}",
        group.small.len(),
        text::prose(&pair.small, theme.charset),
        group.large.len(),
        text::prose(&pair.large, theme.charset),
        if group.edges.len() == 1 { "1 pair".to_owned() } else { format!("{} pairs", group.edges.len()) },
        group.threshold,
    );
    pen.text(area, 0, &text::truncate(&head, usize::from(area.width), theme.charset), theme.quiet());
    let body = Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area };
    let rows = usize::from(body.height);
    pen.hits.stitch_rows = rows;
    let (small, large) = (group.small.len(), group.large.len());
    let all = small.max(large);
    let row = app.stitch.group_row;
    let (chosen_small, chosen_large) = if row < small { (Some(row), None) } else { (None, Some(row - small)) };
    // The side with fewer stands in the middle of the other, as long as both are on screen.
    let offsets = if all <= rows { ((all - small) / 2, (all - large) / 2) } else { (0, 0) };
    let cursor = chosen_small.map_or(0, |i| i + offsets.0) + chosen_large.map_or(0, |i| i + offsets.1);
    let top = flow::top(cursor.min(all.saturating_sub(1)), rows, all);
    let side = body.width.saturating_sub(BAND) / 2;
    let left = Rect { width: side, ..body };
    let band = Rect { x: left.right(), width: BAND.min(body.width - side), ..body };
    let right = Rect { x: band.right(), width: body.right().saturating_sub(band.right()), ..body };
    let near = |latent: u32, of: Side| chosen_cosine(group, row, latent, of);
    let draw_side = |side: Side, latents: &[u32], offset: usize, first: usize, area: Rect, pen: &mut Canvas<'_>| {
        for (i, latent) in latents.iter().enumerate() {
            let Some(y) = (i + offset).checked_sub(top).filter(|y| *y < rows) else { continue };
            let at = Rect { y: area.y + y as u16, height: 1, ..area };
            let line =
                member(app, pair, (side, *latent), row == first + i, near(*latent, side), usize::from(area.width), pen);
            pen.line(at, 0, &line);
            pen.hits.add(at, HitTarget::Item(Focus::Group, first + i));
        }
    };
    draw_side(Side::Small, &group.small, offsets.0, 0, left, pen);
    draw_side(Side::Large, &group.large, offsets.1, small, right, pen);
    let ends = |(a, b): (u32, u32)| {
        let y0 = group.small.iter().position(|l| *l == a)? + offsets.0;
        let y1 = group.large.iter().position(|l| *l == b)? + offsets.1;
        Some((y0.checked_sub(top).filter(|y| *y < rows)?, y1.checked_sub(top).filter(|y| *y < rows)?))
    };
    let chosen = |a: u32, b: u32| {
        chosen_small.and_then(|i| group.small.get(i)) == Some(&a)
            || chosen_large.and_then(|i| group.large.get(i)) == Some(&b)
    };
    for bright in [false, true] {
        let mut raster = Raster::new(band, theme.charset);
        let (across, down) = raster.size();
        let per = down / rows.max(1);
        for (a, b, _) in group.edges.iter().filter(|(a, b, _)| chosen(*a, *b) == bright) {
            if let Some((y0, y1)) = ends((*a, *b)) {
                raster.line((0, y0 * per + per / 2), (across.saturating_sub(1), y1 * per + per / 2));
            }
        }
        raster.draw(band, if bright { theme.accent() } else { theme.quiet() }, pen);
    }
}

/// The cosine of a latent with the chosen one, when a line joins them.
fn chosen_cosine(group: &GroupView, row: usize, latent: u32, side: Side) -> Option<f32> {
    let small = group.small.len();
    let of = if row < small { group.small.get(row) } else { group.large.get(row - small) }.copied()?;
    let is = |(a, b, _): &&(u32, u32, f32)| match (side, row < small) {
        (Side::Large, true) => *a == of && *b == latent,
        (Side::Small, false) => *b == of && *a == latent,
        _ => false,
    };
    group.edges.iter().find(is).map(|(_, _, cosine)| *cosine)
}

fn member<'a>(
    app: &App,
    pair: &PairIds,
    (side, latent): (Side, u32),
    chosen: bool,
    near: Option<f32>,
    width: usize,
    pen: &Canvas<'_>,
) -> Line<'a> {
    let theme = pen.theme;
    let glyphs = theme.glyphs();
    let sae = if side == Side::Large { &pair.large } else { &pair.small };
    let of = LatentRef { sae: sae.clone(), latent };
    let changes = app.stitch.changes.get(pair);
    let mark = match side {
        Side::Large if changes.is_some_and(|c| c.has(latent)) => "+",
        Side::Small if changes.is_some_and(|c| c.lacks(latent)) => "-",
        _ => " ",
    };
    let here = app.heat(&of).get(app.token).copied().unwrap_or(0.0);
    let near = near.map_or_else(|| "    ".to_owned(), |c| format!("{:>4}", cosine(c)));
    let here = if here > 0.0 { format!(" {}", format::activation(here)) } else { String::new() };
    let name = format!("{latent:>6}");
    let label = name_text(app, theme, &of, 6).unwrap_or_else(|| glyphs.more.into());
    let room = width.saturating_sub(15 + text::width(&here));
    let style = if chosen {
        theme.chosen(app.focus == Focus::Group)
    } else if side == Side::Large && app.latent == Some(latent) {
        theme.accent()
    } else {
        Style::new()
    };
    let label = text::truncate(&label, room, theme.charset);
    let mut spans = vec![
        Span::styled(if chosen { glyphs.chosen } else { " " }, theme.accent()),
        Span::styled(mark, if mark == "+" { theme.good() } else { theme.bad() }),
        Span::styled(near, theme.quiet()),
        Span::raw(" "),
        Span::styled(name, style),
        Span::styled(here, theme.bar()),
        Span::raw(format!(" {label}")),
    ];
    if side == Side::Small {
        // The line to the other side begins right after it.
        let used: usize = spans.iter().map(Span::width).sum();
        let rule = glyphs.rule[0].repeat(width.saturating_sub(used + 1));
        spans.push(Span::styled(format!(" {rule}"), theme.quiet()));
    }
    Line::from(spans)
}

/// The pane.
pub(crate) struct GroupPane;

const HERE: KeyContexts = KeyContexts::pane(Focus::Group);

impl Pane for GroupPane {
    fn focus(&self) -> Focus {
        Focus::Group
    }

    fn name(&self) -> &'static str {
        "Group"
    }

    fn tab(&self) -> Option<&'static str> {
        Some("8 Group")
    }

    fn keys(&self) -> &'static [Binding] {
        const {
            &[
                row(
                    200,
                    Action::Up,
                    "group.previous",
                    &[key!(up), key!(k)],
                    HERE,
                    "",
                    "The latent above; narrower SAE first",
                ),
                row(
                    210,
                    Action::Down,
                    "group.next",
                    &[key!(down), key!(j)],
                    HERE,
                    "latent",
                    "The latent below; narrower SAE first",
                ),
            ]
        }
    }

    fn help(&self) -> &'static [&'static str] {
        &[
            "Latents of both SAEs that hang together by cosines ≥ θ: narrower at the left, wider at the right. A swap takes the",
            "left side out and puts the right side in. The chosen latent's lines are bright and its cosines stand before the others.",
        ]
    }

    fn enter(&self, app: &mut App) {
        stitch::enter(app, Focus::Group);
    }

    fn act(&self, app: &mut App, action: Action, _: &mut Vec<Effect>) -> bool {
        match action {
            Action::Up | Action::Down => stitch::step(app, step_of(action)),
            Action::First | Action::Last | Action::PageUp | Action::PageDown => stitch::leap(app, action),
            Action::Accept => stitch::accept(app),
            Action::Close => stitch::leave(app),
            _ => return false,
        }
        true
    }

    fn click(&self, app: &mut App, row: usize, _: &mut Vec<Effect>) {
        let same = app.focus == Focus::Group && app.stitch.group_row == row;
        app.look_at(Focus::Group);
        app.stitch.group_row = row;
        if same {
            stitch::accept(app);
        }
    }

    fn wheel(&self, app: &mut App, _: Option<usize>, by: isize) -> bool {
        let shown = app.page == Page::Stitch && app.stitch.shown == Focus::Group;
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
