//! Latents taken apart: the names of the panes, what is known of the meta-SAE or of its training, and the panes by the
//! room there is. Not here: the panes themselves.

use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::stitch::{pending, waiting};
use super::{Pen, Title, label_text, status, trouble};
use crate::analysis::{Member, TokenValue};
use crate::text;
use crate::tui::app::{App, Focus, LatentRef};
use crate::tui::format;
use crate::tui::hits::Target;
use crate::tui::theme::Theme;

mod card;
mod map;
mod parts;
mod surgery;

pub(super) use parts::made_of;

/// The panes with their keys, in the order of the Tab key.
const PANES: [(Focus, &str); 3] = [(Focus::Parts, "9 Parts"), (Focus::Map, "a Map"), (Focus::Surgery, "z Surgery")];

pub(super) fn draw(app: &App, area: Rect, pen: &mut Pen<'_>) {
    tabs(app, Rect { height: 1.min(area.height), ..area }, pen);
    told(app, Rect { y: area.y + 1, height: area.height.saturating_sub(1).min(1), ..area }, pen);
    let body = Rect { y: area.y + 2, height: area.height.saturating_sub(2), ..area };
    pen.hits.add(body, Target::Pane(app.meta.shown));
    if app.meta_ref().is_none() {
        none(app, body, pen);
        return;
    }
    match (app.meta.shown, body.width, body.height) {
        (Focus::Surgery, ..) => surgery::draw(app, body, pen),
        (Focus::Map, 150.., 24..) => {
            let (left, column, right) = split(body, 66);
            map::draw(app, left, pen);
            pen.column(column);
            card::draw(app, right, pen);
        }
        (Focus::Map, ..) => map::draw(app, body, pen),
        (_, 150.., 30..) => {
            let (left, column, right) = split(body, 54);
            let upper = Rect { height: left.height * 2 / 5, ..left };
            let lower = Rect { y: upper.bottom(), height: left.height - upper.height, ..left };
            parts::draw(app, upper, pen);
            let inner = pen.pane(lower, &Title { name: "a Map", ..Default::default() }, false);
            pen.hits.add(lower, Target::Tab(Focus::Map));
            map::draw(app, inner, pen);
            pen.column(column);
            card::draw(app, right, pen);
        }
        _ => {
            let (left, column, right) = split(body, 46);
            parts::draw(app, left, pen);
            pen.column(column);
            card::draw(app, right, pen);
        }
    }
}

/// Two columns and the line between them.
fn split(area: Rect, percent: u16) -> (Rect, Rect, Rect) {
    let left = (u32::from(area.width) * u32::from(percent) / 100) as u16;
    let column = Rect { x: area.x + left, width: 1.min(area.width - left), ..area };
    let right = area.width.saturating_sub(left + 1);
    (Rect { width: left, ..area }, column, Rect { x: column.right(), width: right, ..area })
}

/// The panes' names in the line over them, and at its right end what is taken apart.
fn tabs(app: &App, area: Rect, pen: &mut Pen<'_>) {
    let theme = pen.theme;
    let focused = app.focus == app.meta.shown;
    let rule = theme.glyphs().rule[usize::from(focused)];
    pen.text(area, 0, &rule.repeat(usize::from(area.width)), theme.rule(focused));
    let mut x = area.x + 1;
    for (which, name) in PANES {
        let shown = app.meta.shown == which;
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
    let Some(chosen) = app.chosen() else { return };
    let label = label_text(app, theme, &chosen, 3).unwrap_or_default();
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
fn told(app: &App, area: Rect, pen: &mut Pen<'_>) {
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
            parts.extend(info.notes.iter().map(|note| (text::prose(note, theme.charset), theme.notice())));
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

/// How far training is: share, loss, variance explained, mean active, time left.
pub(super) fn training(app: &App, pen: &Pen<'_>) -> String {
    let sae = app.meta.train.question().map(|(recipe, ())| recipe.sae.clone()).unwrap_or_default();
    let what = format!("training for SAE {}", text::prose(&sae, pen.theme.charset));
    let progress = app.meta.train.progressed();
    let mut said = what;
    if let Some(share) = progress.and_then(status::whole_share) {
        said = format!("{said} {}", format::percent(share));
    }
    for (name, value) in progress.map_or(&[][..], |p| p.figures.as_slice()) {
        let value = match name.as_str() {
            "seconds left" => {
                let left = std::time::Duration::from_secs_f64(value.clamp(0.0, 1e9));
                said = format!("{said}, {} left", format::clock(left));
                continue;
            }
            name if name.contains("variance") => format::percent(*value),
            _ => format::short(*value),
        };
        said = format!("{said}, {name} {value}");
    }
    said
}

/// What stands where the SAE has no meta-SAE.
fn none(app: &App, area: Rect, pen: &mut Pen<'_>) {
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
            |said| format!("{said}   ^C stops it; what was learnt is kept, and t goes on from there."),
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

/// The tokens that name a meta-latent.
fn tokens(promoted: &[TokenValue], most: usize, theme: Theme) -> String {
    let shown: Vec<String> = promoted.iter().take(most).map(|t| text::token(&t.text, theme.charset)).collect();
    shown.join(" ")
}

/// A few members by number and name.
fn members(app: &App, sae: &str, members: &[Member], most: usize, theme: Theme) -> String {
    let name = |m: &Member| {
        let of = LatentRef { sae: sae.to_owned(), latent: m.latent };
        let label = label_text(app, theme, &of, 1).unwrap_or_default();
        format!("{}{}{label}", m.latent, if label.is_empty() { "" } else { " " })
    };
    let own = app.latent;
    let shown: Vec<String> = members.iter().filter(|m| Some(m.latent) != own).take(most).map(name).collect();
    shown.join(", ")
}

/// Whether another seed found it too, in a cell: a sign that is not told by colour.
fn stable(stable: Option<bool>, pen: &Pen<'_>) -> Span<'static> {
    match stable {
        Some(true) => Span::styled(pen.theme.glyphs().good, pen.theme.good()),
        Some(false) => Span::styled("?", pen.theme.quiet()),
        None => Span::raw(" "),
    }
}

/// A meta-latent's name where it is known.
pub(super) fn name_of(app: &App, meta_latent: u32, most: usize, theme: Theme) -> Option<String> {
    let of = app.meta_ref()?;
    app.meta.labels.get(&of, meta_latent).map(|label| tokens(&label.promoted, most, theme))
}

/// What a list of meta-latents says of one: whether it is stable, what it promotes, which latents it is in.
pub(super) fn row_of<'a>(app: &App, meta_latent: u32, pen: &Pen<'_>) -> Vec<Span<'a>> {
    let theme = pen.theme;
    let Some(of) = app.meta_ref() else { return Vec::new() };
    let Some(label) = app.meta.labels.get(&of, meta_latent) else {
        return vec![Span::styled(theme.glyphs().more, theme.quiet())];
    };
    let inside = members(app, &of.sae, &label.members, 2, theme);
    vec![
        stable(label.stable, pen),
        Span::raw(format!(" {}  ", tokens(&label.promoted, 4, theme))),
        Span::styled(if inside.is_empty() { inside } else { format!("in {inside}") }, theme.quiet()),
    ]
}
