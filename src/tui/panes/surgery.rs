//! Surgery: the latent's parts as they are edited, and beside each other what the untouched model, the edited one and one
//! with a random edit of the same size say next. Not here: editing.

use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};

use crate::analysis::{Arm, Sampling, SurgeryView};
use crate::text;
use crate::tui::app::App;
use crate::tui::canvas::{Canvas, Title};
use crate::tui::format;
use crate::tui::hits::{HitTarget, Part as Shown};
use crate::tui::keys::{Action, Binding, KeyContexts, row};
use crate::tui::location::{Focus, Page};
use crate::tui::meta::Part;
use crate::tui::msg::Effect;
use crate::tui::pane::{Pane, step_of};
use crate::tui::theme::glyphs;
use crate::tui::update::meta;
use crate::tui::update::meta_requests::continuation;
use crate::tui::view::areas::split;
use crate::tui::view::figures::name_of;
use crate::tui::view::flow;
use crate::tui::view::trouble;
use crate::tui::view::waiting::waiting;
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

/// What the three models say.
fn answers(app: &App, area: Rect, pen: &mut Canvas<'_>) {
    let theme = pen.theme;
    let failure =
        trouble::first_lines(app.meta.surgery.failure(), Rect { height: area.height.min(4), ..area }, theme.charset);
    let area = trouble::draw_lines(&failure, area, pen);
    let Some(operation) = app.operation() else { return };
    let view = app.meta.surgery.value().filter(|v| v.latent == operation.latent && v.meta == operation.meta);
    let Some(view) = view else {
        if failure.is_empty() {
            waiting(app, None, app.meta.surgery.progressed(), "running three models", area, pen);
        }
        return;
    };
    let each = (area.height / 3).clamp(3, 15) / 3;
    let texts = each * 3 + 1;
    let named =
        (view.named.len() as u16 + u16::from(!view.named.is_empty())).min(area.height.saturating_sub(texts) / 2);
    let upper = Rect { height: area.height.saturating_sub(texts + named), ..area };
    summary(app, view, Rect { height: 1.min(upper.height), ..upper }, pen);
    next(view, Rect { y: upper.y + 1, height: upper.height.saturating_sub(1), ..upper }, pen);
    named_table(view, Rect { y: upper.bottom(), height: named, ..area }, pen);
    let below = Rect { y: upper.bottom() + named, height: texts, ..area };
    continuations(app, below, each, pen);
    if app.meta.surgery.is_pending() && app.waits() {
        pen.tint(Rect { height: area.height - texts, ..area }, theme.stale());
    }
}

/// How large the edit is, and where it acts.
fn summary(app: &App, view: &SurgeryView, area: Rect, pen: &mut Canvas<'_>) {
    let theme = pen.theme;
    let token = |p: usize| app.tokens().get(p).map(|t| text::token(&t.text, theme.charset)).unwrap_or_default();
    let on: Vec<String> = view.fires.iter().take(8).map(|f| token(f.position)).collect();
    let size = if view.size > 0.0 {
        format!("the row moves by {} of its length; ", format::percent(view.size.into()))
    } else {
        "nothing edited; ".to_owned()
    };
    let (said, style) = if view.fires.is_empty() {
        ("the latent fires nowhere in this prompt: editing it changes nothing".to_owned(), theme.notice())
    } else {
        (format!("{size}it acts on {}", on.join(" ")), theme.quiet())
    };
    pen.text(area, 0, &text::truncate(&said, usize::from(area.width), theme.charset), style);
}

/// The likeliest next tokens of the three models, beside each other.
fn next(view: &SurgeryView, area: Rect, pen: &mut Canvas<'_>) {
    let theme = pen.theme;
    let each = area.width / 3;
    let before: Vec<u32> = view.arms.first().map_or_else(Vec::new, |arm| arm.next.iter().map(|t| t.id).collect());
    for (at, arm) in view.arms.iter().enumerate() {
        let column = Rect { x: area.x + each * at as u16, width: each.saturating_sub(1), ..area };
        pen.text(column, 0, arm.arm.name(), theme.strong());
        let below = Rect { y: column.y + 1, height: column.height.saturating_sub(1), ..column };
        let room = usize::from(column.width);
        let bar_cells = if room >= 30 { room - 22 } else { 0 };
        let name_cells = room.saturating_sub(bar_cells + 9).max(4);
        for (row, token) in arm.next.iter().take(usize::from(below.height)).enumerate() {
            let share = f64::from(token.logprob).exp();
            // What the untouched model had elsewhere in its list has risen or fallen.
            let rank = before.iter().position(|id| *id == token.id);
            let [fell, rose] = theme.glyphs().change;
            let mark = match rank {
                _ if at == 0 => " ",
                Some(rank) if rank > row => rose,
                Some(rank) if rank < row => fell,
                Some(_) => " ",
                None => rose,
            };
            let name = text::fit(&text::token(&token.text, theme.charset), name_cells, theme.charset);
            pen.line(
                below,
                row as u16,
                &Line::from(vec![
                    Span::styled(mark, theme.accent()),
                    Span::styled(name, if row == 0 { theme.strong() } else { Style::new() }),
                    Span::raw(format!(" {:>6} ", format::percent(share))),
                    Span::styled(glyphs::bar(theme.glyphs(), share as f32, bar_cells), theme.bar()),
                ]),
            );
        }
    }
}

/// The log-probabilities of what was named, and how they change.
fn named_table(view: &SurgeryView, area: Rect, pen: &mut Canvas<'_>) {
    let theme = pen.theme;
    if view.named.is_empty() {
        return;
    }
    let name_cells = (usize::from(area.width)).saturating_sub(36).clamp(8, 24);
    let names = format!("{:name_cells$} {:>9} {:>12} {:>12}", "log p", "untouched", "edited", "random");
    pen.text(area, 0, &text::truncate(&names, usize::from(area.width), theme.charset), theme.quiet());
    for (row, named) in view.named.iter().enumerate() {
        let [untouched, edited, random] = named.logprobs;
        let change = |value: f32| format!("{:+.2}", value - untouched);
        let style = |value: f32| if value >= untouched { theme.good() } else { theme.bad() };
        let name = text::fit(&text::prose(&named.text, theme.charset), name_cells, theme.charset);
        pen.line(
            area,
            row as u16 + 1,
            &Line::from(vec![
                Span::styled(name, theme.strong()),
                Span::raw(format!(" {untouched:>9.2} ")),
                Span::styled(format!("{:>12}", change(edited)), style(edited)),
                Span::styled(format!(" {:>12}", change(random)), theme.quiet()),
            ]),
        );
    }
}

/// How the three models continue.
fn continuations(app: &App, area: Rect, each: u16, pen: &mut Canvas<'_>) {
    let theme = pen.theme;
    let how = match app.meta.sampling {
        Sampling::Greedy => "likeliest tokens".to_owned(),
        Sampling::Random { temperature, seed, .. } => format!("by chance at {temperature:.1}, seed {seed}"),
    };
    let after: String = app.shown_prompt.chars().rev().take(20).collect::<Vec<_>>().into_iter().rev().collect();
    let title = Title {
        name: "continuations",
        about: vec![Span::styled(
            text::prose(&format!("{}{after}", theme.glyphs().more), theme.charset),
            theme.quiet(),
        )],
        right: how,
    };
    let inner = pen.pane(area, &title, false);
    let words = Rect { x: inner.x + 10, width: inner.width.saturating_sub(10), ..inner };
    for (at, arm) in Arm::ALL.into_iter().enumerate() {
        let top = each * at as u16;
        pen.text(inner, top, arm.name(), theme.quiet());
        let Some(key) = continuation(app, arm) else {
            pen.text(words, top, "nothing is edited", theme.quiet());
            continue;
        };
        let asked = &app.meta.continuations[at];
        let (said, style) = match (app.meta.text_of(&key), asked.failure()) {
            (Some((text, more)), _) => {
                let more = if more { theme.glyphs().more } else { "" };
                (format!("{}{more}", text::prose(&text.replace('\n', " "), theme.charset)), Style::new())
            }
            (None, Some(report)) => {
                (format!("{} {}", theme.glyphs().bad, text::said(&report.what, theme.charset)), theme.bad())
            }
            (None, None) => (theme.glyphs().more.to_owned(), theme.quiet()),
        };
        for (row, line) in
            text::wrap(said.trim_start(), usize::from(words.width)).iter().take(usize::from(each)).enumerate()
        {
            pen.text(words, top + row as u16, line, style);
        }
    }
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
