//! Latents taken apart: the names of the panes, what is known of the meta-SAE or of its training, and the panes by the
//! room there is. Not here: the panes themselves.

use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use crate::text;
use crate::tui::app::{App, Focus, Page};
use crate::tui::canvas::{Canvas, Title};
use crate::tui::format;
use crate::tui::hits::HitTarget;
use crate::tui::panes;
use crate::tui::view::areas::split;
use crate::tui::view::figures::{name_text, training};
use crate::tui::view::trouble;
use crate::tui::view::waiting::{pending, waiting};

pub(crate) fn draw(app: &App, area: Rect, pen: &mut Canvas<'_>) {
    tabs(app, Rect { height: 1.min(area.height), ..area }, pen);
    render(app, Rect { y: area.y + 1, height: area.height.saturating_sub(1).min(1), ..area }, pen);
    let body = Rect { y: area.y + 2, height: area.height.saturating_sub(2), ..area };
    pen.hits.add(body, HitTarget::Pane(app.meta.shown));
    if app.meta_ref().is_none() {
        none(app, body, pen);
        return;
    }
    match (app.meta.shown, body.width, body.height) {
        (shown, ..) if !matches!(shown, Focus::Parts | Focus::Map) => panes::of(shown).draw(app, body, pen),
        (Focus::Map, 150.., 24..) => {
            let (left, column, right) = split(body, 66);
            panes::of(Focus::Map).draw(app, left, pen);
            pen.column(column);
            panes::of(Focus::MetaCard).draw(app, right, pen);
        }
        (Focus::Map, ..) => panes::of(Focus::Map).draw(app, body, pen),
        (_, 150.., 30..) => {
            let (left, column, right) = split(body, 54);
            let upper = Rect { height: left.height * 2 / 5, ..left };
            let lower = Rect { y: upper.bottom(), height: left.height - upper.height, ..left };
            panes::of(Focus::Parts).draw(app, upper, pen);
            let inner = pen.pane(lower, &Title { name: "a Map", ..Default::default() }, false);
            pen.hits.add(lower, HitTarget::Tab(Focus::Map));
            panes::of(Focus::Map).draw(app, inner, pen);
            pen.column(column);
            panes::of(Focus::MetaCard).draw(app, right, pen);
        }
        _ => {
            let (left, column, right) = split(body, 46);
            panes::of(Focus::Parts).draw(app, left, pen);
            pen.column(column);
            panes::of(Focus::MetaCard).draw(app, right, pen);
        }
    }
}

/// The panes' names in the line over them, and at its right end what is taken apart.
fn tabs(app: &App, area: Rect, pen: &mut Canvas<'_>) {
    let theme = pen.theme;
    let focused = app.focus == app.meta.shown;
    let rule = theme.glyphs().rule[usize::from(focused)];
    pen.text(area, 0, &rule.repeat(usize::from(area.width)), theme.rule(focused));
    let mut x = area.x + 1;
    for (which, name) in panes::tabs(Page::Meta) {
        let shown = app.meta.shown == which;
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
    let Some(chosen) = app.chosen() else { return };
    let label = name_text(app, theme, &chosen, 3).unwrap_or_default();
    let of = format!("latent {}/{}  {label}", text::prose(&chosen.sae, theme.charset), chosen.latent);
    let room = usize::from(area.right().saturating_sub(x + 3));
    let of = format!(" {} ", text::truncate(&of, room, theme.charset));
    let cells = text::width(&of) as u16;
    if room > 12 {
        let at = area.right().saturating_sub(cells + 1);
        pen.buf.set_stringn(at, area.y, &of, usize::from(cells), Style::reset().patch(theme.strong()));
    }
}

/// What is known of the meta-SAE; while one is trained, how far that is.
fn render(app: &App, area: Rect, pen: &mut Canvas<'_>) {
    let theme = pen.theme;
    let mut parts: Vec<(String, Style)> = Vec::new();
    if app.meta.train.is_pending() {
        parts.push((training(app, pen), theme.notice()));
    }
    if let Some(state) = app.meta_state() {
        let others = app.metas().len();
        let which = if others > 1 { format!(" (D: {others})") } else { String::new() };
        parts.push((format!("meta-SAE {}{which}", text::prose(&state.meta, theme.charset)), theme.accent()));
        if let Some(info) = &state.info {
            if let Some(variance) = info.variance_explained {
                parts.push((format!("explains {}", format::percent(variance)), Style::new()));
            }
            parts.push((format!("{:.1} active", info.mean_active), Style::new()));
            parts.push((format!("{} meta-latents, {} dead", info.width, info.dead), theme.quiet()));
            match info.stable {
                Some(stable) => parts.push((format!("{stable} stable over seeds"), theme.good())),
                None => parts.push(("stability: t trains a second seed".into(), theme.quiet())),
            }
            parts.extend(info.notes.iter().map(|note| (text::said(note, theme.charset), theme.notice())));
        } else if let Some(width) = state.width {
            parts.push((format!("{width} meta-latents"), theme.quiet()));
        }
    }
    let mut spans = Vec::new();
    let mut used = 1;
    for (part, style) in parts {
        // Whole parts only: half a number is a wrong number.
        let cells = text::width(&part) + 3;
        if used + cells > usize::from(area.width) && !spans.is_empty() {
            break;
        }
        used += cells;
        spans.push(Span::styled(format!(" {part}  "), style));
    }
    pen.line(area, 0, &Line::from(spans));
}

/// What stands where the SAE has no meta-SAE.
fn none(app: &App, area: Rect, pen: &mut Canvas<'_>) {
    let theme = pen.theme;
    let area = Rect { x: area.x + 2, width: area.width.saturating_sub(4), ..area };
    if let Some(broken) = app.metas().iter().find_map(|m| m.failure.as_ref()) {
        let lines = trouble::first_lines(Some(broken), area, theme.charset);
        let below = trouble::draw_lines(&lines, area, pen);
        pen.text(below, 1, "t trains another one on this machine", theme.strong());
        return;
    }
    if app.meta.states.value().is_none() {
        waiting(app, app.meta.states.failure(), None, "looking for meta-SAEs", area, pen);
        return;
    }
    let sae = app.sae().map(|s| text::prose(&s.id, theme.charset)).unwrap_or_default();
    let training = app.meta.train.is_pending().then(|| pending(app, app.meta.train.progressed(), "training", pen));
    let said = [
        format!("SAE {sae} has no meta-SAE on this machine."),
        "A meta-SAE is an SAE trained on another SAE's decoder rows: it says what a latent is made of.".to_owned(),
        training.map_or_else(
            || "t trains one here, beside everything else; it asks first and says what it costs.".to_owned(),
            |said| format!("{said}   ^C stops it; what was learnt is kept, and t continues from there."),
        ),
    ];
    let mut row = 0;
    for (i, line) in said.iter().enumerate() {
        for wrapped in text::wrap(line, usize::from(area.width)) {
            pen.text(area, row, &wrapped, if i == 1 { theme.quiet() } else { Style::new() });
            row += 1;
        }
        row += 1;
    }
}
