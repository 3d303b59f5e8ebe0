//! Draws the state: cells out, and where things are on them.
//! Not here: changing anything.

use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::tui::app::{App, Focus, Page};
use crate::tui::canvas::Canvas;
use crate::tui::hits::HitMap;
use crate::tui::overlay::Overlay;
use crate::tui::panes;
use crate::tui::theme::Theme;

pub(crate) mod areas;
pub(crate) mod example;
pub(crate) mod figures;
pub(crate) mod flow;
mod footer;
pub(crate) mod frame;
mod header;
mod help;
pub(crate) mod label;
mod ladder;
mod lists;
mod meta;
mod next;
pub(crate) mod plot;
mod popup;
mod search;
mod status;
pub(crate) mod stitch;
mod suites;
pub(crate) mod swap;
pub(crate) mod trouble;
pub(crate) mod two_prompts;
pub(crate) mod verdict;
pub(crate) mod waiting;
mod wiring;

use areas::Areas;

/// The smallest screen on which everything is usable.
pub const MIN_SCREEN: (u16, u16) = (60, 15);

/// Draws one frame.
pub fn view(app: &App, theme: &Theme, frame: &mut Frame<'_>) -> HitMap {
    let area = frame.area();
    let mut hits = HitMap::default();
    if area.width < MIN_SCREEN.0 || area.height < MIN_SCREEN.1 {
        too_small(area, frame.buffer_mut());
        return hits;
    }
    let mut pen = Canvas { buf: frame.buffer_mut(), theme: *theme, hits: &mut hits };
    let areas = Areas::of(area, app.page);
    header::draw(app, areas.header, &mut pen);
    panes::of(Focus::Prompt).draw(app, areas.prompt, &mut pen);
    panes::of(Focus::Tokens).draw(app, areas.tokens, &mut pen);
    match app.page {
        Page::Explore => explore(app, &areas, &mut pen),
        Page::Stitch => stitch::draw(app, areas.main, &mut pen),
        Page::Meta => meta::draw(app, areas.main, &mut pen),
    }
    status::draw(app, areas.status, &mut pen);
    footer::draw(app, areas.footer, &mut pen);
    for overlay in &app.overlay {
        // A caret below what lies over it is none.
        pen.hits.caret = pen.hits.caret.filter(|_| matches!(overlay, Overlay::Filter(_)));
        popup::draw(app, overlay, area, &mut pen);
    }
    if let Some(caret) = hits.caret {
        frame.set_cursor_position(caret);
    }
    hits
}

fn explore(app: &App, areas: &Areas, pen: &mut Canvas<'_>) {
    // Two side by side are what one looks at while one is there: the list and the verdict make room.
    let wide = app.beside == Focus::Sides && app.focus == Focus::Sides;
    if wide {
        panes::of(app.beside).draw(app, areas.latents.union(areas.card), pen);
    } else {
        panes::of(Focus::Latents).draw(app, areas.latents, pen);
        panes::of(app.beside).draw(app, areas.card, pen);
    }
    next::draw(app, areas.next, pen);
    if let Some(area) = areas.ladder {
        ladder::draw(app, area, pen);
    }
    stitch::beside(app, areas.verdict.filter(|_| !wide), areas.group, pen);
    for area in areas.columns.into_iter().skip(usize::from(wide)).flatten() {
        pen.column(area);
    }
}

fn too_small(area: Rect, buf: &mut Buffer) {
    let lines = [
        "terminal too small".to_owned(),
        format!("have {}x{}, need {}x{}", area.width, area.height, MIN_SCREEN.0, MIN_SCREEN.1),
    ];
    let top = area.height.saturating_sub(2) / 2;
    for (i, line) in lines.iter().enumerate() {
        let y = top + i as u16;
        if y < area.height {
            let x = area.width.saturating_sub(line.len() as u16) / 2;
            buf.set_stringn(area.x + x, area.y + y, line, usize::from(area.width), Style::new());
        }
    }
}
