//! The surgery pane: the latent's parts as they are edited.
//! Not here: editing, and what the models then say (`surgery/answers.rs`).

mod answers;

use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};

use crate::text;
use crate::tui::app::App;
use crate::tui::canvas::Canvas;
use crate::tui::hits::{HitTarget, Part as Shown};
use crate::tui::keys::{Action, Binding, KeyContexts, row};
use crate::tui::location::{Focus, Page};
use crate::tui::meta::Part;
use crate::tui::msg::Effect;
use crate::tui::pane::{Pane, step_of};
use crate::tui::update::meta;
use crate::tui::view::areas::split;
use crate::tui::view::figures::name_of;
use crate::tui::view::flow;
use crate::tui::view::waiting::waiting;
use answers::answers;
use crokey::key;

fn draw(app: &App, area: Rect, pen: &mut Canvas<'_>) {
    pen.hits.drawn.add(Shown::Surgery);
    let (left, column, right) = split(area, if area.width >= 150 { 30 } else { 36 });
    parts(app, left, pen);
    pen.column(column);
    answers(app, Rect { x: right.x + 1, width: right.width.saturating_sub(1), ..right }, pen);
}

/// The parts and what is done to them.
fn parts(app: &App, area: Rect, pen: &mut Canvas<'_>) {
    let theme = pen.theme;
    let rows = app.cut_rows();
    let inner = Rect { x: area.x + 1, width: area.width.saturating_sub(1), ..area };
    if app.parts().is_none() {
        waiting(app, app.meta.parts.failure(), app.meta.parts.progressed(), "taking the latent apart", inner, pen);
        return;
    }
    pen.text(inner, 0, "  the latent's row", theme.quiet());
    let list = Rect { y: inner.y + 1, height: inner.height.saturating_sub(3), ..inner };
    let height = usize::from(list.height);
    pen.hits.meta_rows = height;
    let top = flow::top(app.meta.cut_row, height, rows.len());
    for (y, (index, part)) in rows.iter().enumerate().skip(top).take(height).enumerate() {
        let at = Rect { y: list.y + y as u16, height: 1, ..list };
        pen.line(at, 0, &part_line(app, part, index == app.meta.cut_row, pen));
        pen.hits.add(at, HitTarget::Item(Focus::Surgery, index));
    }
    let hint = if app.edits().is_none_or(crate::tui::meta::Edits::is_empty) {
        "Space out, x exchange, c add, + - strength"
    } else {
        "X undoes all"
    };
    let foot = Rect { y: list.bottom(), height: 2, ..inner };
    for (row, line) in text::wrap(hint, usize::from(foot.width)).iter().take(2).enumerate() {
        pen.text(foot, row as u16, line, theme.quiet());
    }
}

fn part_line<'a>(app: &App, part: &Part, chosen: bool, pen: &Canvas<'_>) -> Line<'a> {
    let theme = pen.theme;
    let glyphs = theme.glyphs();
    let focused = app.focus == Focus::Surgery;
    let (sign, style) = match (part.out, part.instead, part.by) {
        (true, Some(_), _) => (glyphs.swap, theme.accent()),
        (true, None, _) => ("-", theme.bad()),
        (false, _, by) if by > 0.0 => ("+", theme.good()),
        (false, _, by) if by < 0.0 => ("-", theme.bad()),
        _ => (" ", theme.quiet()),
    };
    let gone = if part.out { theme.quiet().add_modifier(Modifier::CROSSED_OUT) } else { Style::new() };
    let number = if chosen { theme.chosen(focused) } else { gone };
    let mut spans = vec![
        Span::styled(if chosen { glyphs.chosen } else { " " }, theme.accent()),
        Span::styled(format!("{sign} "), style),
        Span::styled(part.meta_latent.to_string(), number),
        Span::raw(format!(" {:.2}", part.activation)),
    ];
    if part.by != 0.0 {
        spans.push(Span::styled(format!("{:+.2}", part.by), style));
    }
    if let Some(into) = part.instead {
        let name = name_of(app, into, 2, theme).unwrap_or_default();
        spans.push(Span::styled(format!(" {} {into} {name}", glyphs.arrow), theme.accent()));
    } else {
        let name = name_of(app, part.meta_latent, 3, theme).unwrap_or_default();
        spans.push(Span::styled(format!(" {name}"), if part.out { gone } else { Style::new() }));
    }
    Line::from(spans)
}

/// The pane.
pub(crate) struct SurgeryPane;

const HERE: KeyContexts = KeyContexts::pane(Focus::Surgery);

impl Pane for SurgeryPane {
    fn focus(&self) -> Focus {
        Focus::Surgery
    }

    fn name(&self) -> &'static str {
        "Surgery"
    }

    fn tab(&self) -> Option<&'static str> {
        Some("z Surgery")
    }

    fn keys(&self) -> &'static [Binding] {
        const {
            &[
                row(300, Action::Up, "surgery.previous", &[key!(up), key!(k)], HERE, "", "The part above"),
                row(310, Action::Down, "surgery.next", &[key!(down), key!(j)], HERE, "part", "The part below"),
                row(
                    350,
                    Action::Toggle,
                    "surgery.toggle",
                    &[key!(space), key!(delete)],
                    HERE,
                    "take out",
                    "Take the meta-latent out of the latent, or put it back",
                ),
                row(
                    360,
                    Action::Swap,
                    "surgery.exchange",
                    &[key!(x), key!(enter)],
                    HERE,
                    "exchange",
                    "Exchange the meta-latent for another one",
                ),
                row(370, Action::AddPart, "surgery.add", &[key!(c)], HERE, "add", "Add a meta-latent to the latent"),
                row(
                    380,
                    Action::NameTokens,
                    "surgery.name",
                    &[key!(n)],
                    HERE,
                    "name tokens",
                    "Name tokens whose log-probability is compared",
                ),
                row(
                    390,
                    Action::Strength(5),
                    "surgery.stronger",
                    &[key!('+'), key!('=')],
                    HERE,
                    "",
                    "The meta-latent stronger by 0.05",
                ),
                row(
                    400,
                    Action::Strength(-5),
                    "surgery.weaker",
                    &[key!('-')],
                    HERE,
                    "",
                    "The meta-latent weaker by 0.05",
                ),
                row(
                    410,
                    Action::Order,
                    "surgery.sampling",
                    &[key!(o)],
                    HERE,
                    "",
                    "Continue with the likeliest tokens, or by chance",
                ),
                row(
                    420,
                    Action::Reverse,
                    "surgery.seed",
                    &[key!(shift - o)],
                    HERE,
                    "",
                    "Another random edit and another chance",
                ),
                row(
                    430,
                    Action::ClearChanges,
                    "surgery.clear",
                    &[key!(shift - x)],
                    HERE,
                    "clear",
                    "Undo the whole surgery",
                ),
            ]
        }
    }

    fn help(&self) -> &'static [&'static str] {
        &[
            "The latent's decoder row is edited and put back to its length; wherever the latent fires, the model gets the edited row",
            "instead. Beside it stand the untouched model and one whose row moves as far in a random direction: what the edit does",
            "beyond that is its meaning. Named tokens show the change of their log-probability in nats.",
        ]
    }

    fn enter(&self, app: &mut App) {
        meta::enter(app, Focus::Surgery);
    }

    fn act(&self, app: &mut App, action: Action, _: &mut Vec<Effect>) -> bool {
        match action {
            Action::Toggle
            | Action::Swap
            | Action::ClearChanges
            | Action::Order
            | Action::Reverse
            | Action::AddPart
            | Action::Strength(_) => meta::operate(app, action),
            Action::Up | Action::Down => meta::step(app, step_of(action)),
            Action::First | Action::Last | Action::PageUp | Action::PageDown => meta::leap(app, action),
            Action::Close => meta::leave(app),
            _ => return false,
        }
        true
    }

    fn click(&self, app: &mut App, row: usize, _: &mut Vec<Effect>) {
        app.look_at(Focus::Surgery);
        app.meta.cut_row = row;
    }

    fn wheel(&self, app: &mut App, row: Option<usize>, by: isize) -> bool {
        let here = app.page == Page::Meta && row.is_some();
        if here {
            meta::step(app, by);
        }
        here
    }

    fn draw(&self, app: &App, area: Rect, pen: &mut Canvas<'_>) {
        draw(app, area, pen);
    }
}
