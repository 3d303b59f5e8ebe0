//! What the chosen latent is made of: its meta-latents by the share of the decoder row that each explains, and the rest.
//! Not here: one meta-latent's card.

use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use crate::analysis::{LatentCard, MetaComponent, MetaEntry};
use crate::text;
use crate::tui::app::App;
use crate::tui::canvas::Canvas;
use crate::tui::format;
use crate::tui::hits::HitTarget;
use crate::tui::keys::{Action, Binding, KeyContexts, row};
use crate::tui::location::{Focus, LatentRef, Page};
use crate::tui::msg::Effect;
use crate::tui::pane::{Pane, step_of};
use crate::tui::question::Question;
use crate::tui::theme::glyphs;
use crate::tui::update::{meta, meta_requests, meta_responses};
use crate::tui::view::figures::{members, promoted, stable};
use crate::tui::view::flow;
use crate::tui::view::trouble;
use crate::tui::view::waiting::waiting;
use crokey::key;

fn draw(app: &App, area: Rect, pen: &mut Canvas<'_>) {
    let theme = pen.theme;
    let area = Rect { x: area.x + 1, width: area.width.saturating_sub(1), ..area };
    let failure =
        trouble::first_lines(app.meta.parts.failure(), Rect { height: area.height.min(4), ..area }, theme.charset);
    let area = trouble::draw_lines(&failure, area, pen);
    // The last parts stay until the new ones are there.
    let current = app.parts();
    let last = app.meta.parts.value().and_then(|view| view.metas.first());
    let Some(entry) = current.or(last) else {
        if failure.is_empty() {
            waiting(app, None, app.meta.parts.progressed(), "taking the latent apart", area, pen);
        }
        return;
    };
    let sae = app.sae().map(|s| s.id.clone()).unwrap_or_default();
    let names = format!("  {:>6}    act {:<7}{:>5}  promotes", "part", "share", "");
    pen.line(area, 0, &Line::from(Span::styled(names, theme.quiet())));
    let below = Rect { y: area.y + 1, height: area.height.saturating_sub(3), ..area };
    list(app, entry, &sae, below, pen);
    let foot = Rect { y: below.bottom(), height: (area.height - below.height).saturating_sub(1).min(2), ..area };
    foot_lines(entry, foot, pen);
    if current.is_none() && app.waits() {
        pen.tint(area, theme.stale());
    }
}

fn list(app: &App, entry: &MetaEntry, sae: &str, area: Rect, pen: &mut Canvas<'_>) {
    let theme = pen.theme;
    let count = entry.components.len();
    pen.hits.meta_rows = if app.focus == Focus::MetaCard { pen.hits.meta_rows } else { usize::from(area.height) };
    if count == 0 {
        pen.text(area, 0, "no meta-latent is in this latent: all of it is rest", theme.quiet());
        return;
    }
    // A second line for each where all fit with it: which other latents it is in.
    let each = if count * 2 <= usize::from(area.height) { 2 } else { 1 };
    let chosen = entry.components.iter().position(|c| Some(c.meta_latent) == app.meta.meta_latent);
    let rows = (usize::from(area.height) / each).max(1);
    let top = flow::top(chosen.unwrap_or(0), rows, count);
    for (y, (index, part)) in entry.components.iter().enumerate().skip(top).take(rows).enumerate() {
        let at = Rect { y: area.y + (y * each) as u16, height: each as u16, ..area }.intersection(area);
        pen.line(at, 0, &part_line(part, chosen == Some(index), app.focus == Focus::Parts, pen));
        if each == 2 {
            let inside = format!("{:14}in {}", "", members(app, sae, &part.members, 4, theme));
            pen.text(at, 1, &text::truncate(&inside, usize::from(at.width), theme.charset), theme.quiet());
        }
        pen.hits.add(at, HitTarget::Item(Focus::Parts, index));
    }
}

fn part_line<'a>(part: &MetaComponent, chosen: bool, focused: bool, pen: &Canvas<'_>) -> Line<'a> {
    let theme = pen.theme;
    let glyphs = theme.glyphs();
    let bar = text::fit(&glyphs::bar(glyphs, part.share, 6), 6, theme.charset);
    Line::from(vec![
        Span::styled(if chosen { glyphs.chosen } else { " " }, theme.accent()),
        Span::raw(" "),
        Span::styled(format!("{:>6}", part.meta_latent), if chosen { theme.chosen(focused) } else { Style::new() }),
        Span::raw(" "),
        stable(part.stable, pen),
        Span::raw(format!(" {:>4.2} ", part.activation)),
        Span::styled(bar, theme.bar()),
        Span::raw(format!(" {:>5}  ", format::percent(part.share.into()))),
        Span::raw(promoted(&part.promoted, 4, theme)),
    ])
}

/// What the parts explain and what is left.
fn foot_lines(entry: &MetaEntry, area: Rect, pen: &mut Canvas<'_>) {
    let theme = pen.theme;
    let share = |value: f32| signed_percent(value);
    let bar = text::fit(&glyphs::bar(theme.glyphs(), entry.rest, 6), 6, theme.charset);
    let rest = Line::from(vec![
        Span::styled(format!("{:>14}  ", "rest"), theme.quiet()),
        Span::styled(bar, theme.quiet()),
        Span::raw(format!(" {:>5}", share(entry.rest))),
    ]);
    pen.line(area, 0, &rest);
    let explained = format!("  explained {}, bias {}", share(entry.explained), share(entry.bias));
    pen.text(area, 1, &explained, theme.quiet());
}

fn signed_percent(value: f32) -> String {
    if value < 0.0 { format!("-{}", format::percent((-value).into())) } else { format::percent(value.into()) }
}

/// What a latent is made of, for its card: as many lines as there is room for, the rest in the last.
pub(crate) fn made_of<'a>(app: &App, card: &LatentCard, width: usize, lines: usize, pen: &Canvas<'_>) -> Vec<Line<'a>> {
    const NAMES: usize = 11;
    let theme = pen.theme;
    let wanted = app.meta_ref().map(|of| of.meta);
    let own = app.parts().filter(|_| app.latent == Some(card.latent));
    let Some(entry) = own.or_else(|| card.meta.iter().find(|e| Some(&e.meta) == wanted.as_ref())) else {
        return Vec::new();
    };
    let head = |name: &'static str| Span::styled(format!("{name:<NAMES$}"), theme.quiet());
    let rest = format!("rest {}", signed_percent(entry.rest));
    if lines < 3 {
        let mut spans = vec![head("made of")];
        let mut used = NAMES + rest.len() + 2;
        for part in &entry.components {
            let said = format!("{} {} ", promoted(&part.promoted, 1, theme), format::percent(part.share.into()));
            let cells = text::width(&said) + 1;
            if used + cells > width {
                break;
            }
            used += cells;
            spans.push(Span::raw(format!("{said} ")));
        }
        spans.push(Span::styled(rest, theme.quiet()));
        return vec![Line::from(spans)];
    }
    let shown = entry.components.len().min(lines - 1);
    let mut out: Vec<Line<'a>> = Vec::new();
    for (row, part) in entry.components.iter().take(shown).enumerate() {
        let bar = text::fit(&glyphs::bar(theme.glyphs(), part.share, 6), 6, theme.charset);
        out.push(Line::from(vec![
            head(if row == 0 { "made of" } else { "" }),
            Span::styled(bar, theme.bar()),
            Span::raw(format!(" {:>5} {:>5.2} ", format::percent(part.share.into()), part.activation)),
            stable(part.stable, pen),
            Span::styled(format!(" {:>5} ", part.meta_latent), theme.quiet()),
            Span::raw(format!("{}  ", promoted(&part.promoted, 3, theme))),
            Span::styled(members(app, &card.sae, &part.members, 2, theme), theme.quiet()),
        ]));
    }
    let more = entry.components.len() - shown;
    let more = if more > 0 { format!("{more} more, ") } else { String::new() };
    out.push(Line::from(vec![head(""), Span::styled(format!("{more}{rest}   9 opens the parts"), theme.quiet())]));
    out
}

/// The pane.
pub(crate) struct PartsPane;

const HERE: KeyContexts = KeyContexts::pane(Focus::Parts);

impl Pane for PartsPane {
    fn focus(&self) -> Focus {
        Focus::Parts
    }

    fn name(&self) -> &'static str {
        "Parts"
    }

    fn tab(&self) -> Option<&'static str> {
        Some("9 Parts")
    }

    fn keys(&self) -> &'static [Binding] {
        const {
            &[
                row(
                    220,
                    Action::Up,
                    "parts.previous",
                    &[key!(up), key!(k)],
                    HERE,
                    "",
                    "The meta-latent above: a larger part",
                ),
                row(
                    230,
                    Action::Down,
                    "parts.next",
                    &[key!(down), key!(j)],
                    HERE,
                    "part",
                    "The meta-latent below: a smaller part",
                ),
                row(
                    320,
                    Action::Accept,
                    "parts.open",
                    &[key!(enter)],
                    HERE,
                    "meta-latent",
                    "Go to the meta-latent's card: its members",
                ),
            ]
        }
    }

    fn help(&self) -> &'static [&'static str] {
        &[
            "What the latent is made of: a meta-SAE, trained on the SAE's decoder rows, writes its row as a sum of meta-latents.",
            "act: how strongly each is in the row, scaled to length 1; then the share of the row that it explains. rest: what no",
            "meta-latent explains. ✓ is stable: a run of another seed found it too; ? is not. Enter shows the latents it is in.",
        ]
    }

    fn enter(&self, app: &mut App) {
        meta::enter(app, Focus::Parts);
    }

    fn act(&self, app: &mut App, action: Action, _: &mut Vec<Effect>) -> bool {
        match action {
            Action::Up | Action::Down => meta::step(app, step_of(action)),
            Action::First | Action::Last | Action::PageUp | Action::PageDown => meta::leap(app, action),
            Action::Accept => meta::accept(app),
            Action::Close => meta::leave(app),
            _ => return false,
        }
        true
    }

    fn click(&self, app: &mut App, row: usize, _: &mut Vec<Effect>) {
        let before = app.meta.meta_latent;
        let same = app.focus == Focus::Parts;
        app.look_at(Focus::Parts);
        meta::choose_part(app, row);
        if same && app.meta.meta_latent == before {
            meta::accept(app);
        }
    }

    fn wheel(&self, app: &mut App, row: Option<usize>, by: isize) -> bool {
        let here = app.page == Page::Meta && row.is_some();
        if here {
            meta::step(app, by);
        }
        here
    }

    fn questions(&self) -> &'static [Question] {
        meta_responses::QUESTIONS
    }

    fn settle(&self, app: &mut App) {
        meta::settle(app);
    }

    fn ask(&self, app: &mut App, effects: &mut Vec<Effect>) {
        meta_requests::ask_all(app, effects);
    }

    fn names(&self, app: &App) -> Vec<LatentRef> {
        meta_requests::names(app)
    }

    fn draw(&self, app: &App, area: Rect, pen: &mut Canvas<'_>) {
        draw(app, area, pen);
    }
}
