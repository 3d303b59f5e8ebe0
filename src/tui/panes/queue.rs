//! The work queue: the latents of the wider SAE, those on screen alone.
//! Not here: their order (`tui::stitch`).

use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};

use crate::analysis::{Class, PairView, QueueRow};
use crate::text;
use crate::tui::app::App;
use crate::tui::canvas::Canvas;
use crate::tui::format;
use crate::tui::hits::HitTarget;
use crate::tui::keys::{Action, Binding, KeyContexts, row};
use crate::tui::location::{Focus, LatentRef, Page};
use crate::tui::msg::Effect;
use crate::tui::overlay::Overlay;
use crate::tui::pane::{NOTCH, Pane, step_of};
use crate::tui::question::Question;
use crate::tui::stitch::{PairIds, Show, Sort};
use crate::tui::update::{stitch, stitch_requests, stitch_responses};
use crate::tui::view::figures::{c_star, cosine, count, name_text, plain, signed};
use crate::tui::view::frame::field_line;
use crate::tui::view::waiting::waiting;
use crokey::key;

/// Columns by name, what the queue is sorted by when they lead, and their cells.
const COLUMNS: [(&str, Option<Sort>, usize); 7] = [
    ("latent", Some(Sort::Latent), 6),
    (" class", None, 6),
    ("m", Some(Sort::Cosine), 5),
    ("c*", Some(Sort::Effect), 5),
    ("ΔMSE", Some(Sort::Delta), 8),
    ("fires", Some(Sort::Rate), 6),
    ("here", Some(Sort::Here), 6),
];

fn draw(app: &App, pair: &PairIds, area: Rect, pen: &mut Canvas<'_>) {
    state(app, Rect { height: area.height.min(1), ..area }, pen);
    let below = Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area };
    let Some(view) = app.stitch.view(pair) else {
        let what = format!("comparing {} with {}", pair.large, pair.small);
        waiting(app, app.stitch.pair.failure(), app.stitch.pair.progressed(), &what, below, pen);
        return;
    };
    head(app, Rect { height: below.height.min(1), ..below }, pen);
    let list = Rect { y: below.y + 1, height: below.height.saturating_sub(1), ..below };
    pen.hits.stitch_rows = usize::from(list.height);
    let queue = &app.stitch.queue;
    if queue.order().is_empty() {
        let text = if queue.text.is_empty() && queue.show == Show::All {
            "  no latents"
        } else {
            "  nothing fits; c shows others, / changes the filter"
        };
        pen.text(list, 0, text, pen.theme.quiet());
        return;
    }
    // The list may have been scrolled for a screen of another size.
    let rows = usize::from(list.height);
    let top =
        queue.top.min(queue.order().len().saturating_sub(rows)).clamp((queue.at + 1).saturating_sub(rows), queue.at);
    for (y, (index, latent)) in queue.order().iter().enumerate().skip(top).take(rows).enumerate() {
        let Some(row) = view.rows.get(*latent as usize) else { continue };
        let at = Rect { y: list.y + y as u16, height: 1, ..list };
        pen.line(at, 0, &line(app, view, row, pen));
        pen.hits.add(at, HitTarget::Item(Focus::Queue, index));
    }
}

/// How many are shown, which, and in which order; the filter's field while it is typed.
fn state(app: &App, area: Rect, pen: &mut Canvas<'_>) {
    let theme = pen.theme;
    let queue = &app.stitch.queue;
    if let Some(Overlay::Filter(field)) = app.overlay.last() {
        let name = " filter ";
        pen.text(area, 0, name, theme.strong());
        let at = Rect { x: area.x + name.len() as u16, width: area.width.saturating_sub(name.len() as u16), ..area };
        field_line(field, at, pen);
        return;
    }
    let dot = theme.glyphs().dot;
    let all = app.pair().and_then(|pair| app.stitch.view(&pair).map(|view| view.rows.len()));
    let Some(all) = all else { return };
    let way = if queue.reversed { ", reversed" } else { "" };
    let mut spans = vec![
        Span::raw(format!(" {} of {}", count(queue.order().len()), count(all))),
        Span::styled(format!(" {dot} "), theme.quiet()),
        Span::styled(queue.show.name(), if queue.show == Show::All { theme.quiet() } else { theme.notice() }),
        Span::styled(format!(" {dot} by {}{way}", plain(queue.sort.name(), pen)), theme.quiet()),
    ];
    if !queue.text.is_empty() {
        let found = app.stitch.found.value().filter(|f| f.query == queue.text);
        let meaning = found.map_or_else(|| queue.text.clone(), |found| found.meaning.clone());
        spans.push(Span::styled(format!(" {dot} {}", text::said(&meaning, theme.charset)), theme.notice()));
    }
    pen.line(area, 0, &Line::from(spans));
}

fn head(app: &App, area: Rect, pen: &mut Canvas<'_>) {
    let theme = pen.theme;
    let mut spans = vec![Span::raw("  ")];
    for (name, sort, cells) in COLUMNS {
        let leads = sort == Some(app.stitch.queue.sort);
        let style = if leads { theme.strong().add_modifier(Modifier::UNDERLINED) } else { theme.quiet() };
        let name = plain(name, pen);
        let pad = cells.saturating_sub(text::width(&name));
        if name.starts_with(' ') {
            spans.push(Span::styled(format!("{name}{}", " ".repeat(pad)), style));
        } else {
            spans.push(Span::raw(" ".repeat(pad)));
            spans.push(Span::styled(name, style));
        }
        spans.push(Span::raw(" "));
    }
    spans.push(Span::styled(" promotes", theme.quiet()));
    pen.line(area, 0, &Line::from(spans));
}

fn line<'a>(app: &App, view: &PairView, row: &QueueRow, pen: &Canvas<'_>) -> Line<'a> {
    let theme = pen.theme;
    let glyphs = theme.glyphs();
    let theta = app.stitch.threshold;
    let of = LatentRef { sae: view.large.clone(), latent: row.latent };
    let chosen = app.latent == Some(row.latent) && app.sae().is_some_and(|s| s.id == view.large);
    let pair = PairIds { small: view.small.clone(), large: view.large.clone() };
    let is_in = app.stitch.changes.get(&pair).is_some_and(|changes| changes.has(row.latent));
    let disagrees = row.disagrees(theta) == Some(true);
    let (class, class_style) = match row.class(theta) {
        Some(Class::Novel) => ("novel", theme.notice()),
        Some(Class::Reconstruction) => ("recon", theme.quiet()),
        None => ("zero ", theme.quiet()),
    };
    let name_style = if chosen { theme.chosen(app.focus == Focus::Queue) } else { Style::new() };
    let helps = row.delta_mse.is_some_and(|d| d < 0.0);
    let (delta, fires) = match (view.text.tokens, row.delta_mse) {
        // Nothing was measured, which is not the same as never firing.
        (0, _) => ("-".to_owned(), "-".to_owned()),
        (tokens, delta) => {
            (delta.map_or_else(|| "silent".to_owned(), signed), format::percent(row.fired as f64 / tokens as f64))
        }
    };
    let (here, here_style) = here(app, &of, pen);
    Line::from(vec![
        Span::styled(if chosen { glyphs.chosen } else { " " }, theme.accent()),
        Span::styled(if is_in { "+" } else { " " }, theme.good().patch(theme.strong())),
        Span::styled(format!("{:>6}", row.latent), name_style),
        Span::styled(if disagrees { " !" } else { "  " }, theme.bad()),
        Span::styled(class, class_style),
        Span::raw(format!(" {:>5} {:>5} ", cosine(row.max_cosine), c_star(row.c_star))),
        Span::styled(format!("{delta:>8}"), if helps { theme.good() } else { theme.quiet() }),
        Span::styled(format!(" {fires:>6} "), theme.quiet()),
        Span::styled(format!("{here:>6}"), here_style),
        Span::raw(format!("  {}", name_text(app, theme, &of, 8).unwrap_or_else(|| glyphs.more.into()))),
    ])
}

/// How strongly it fires on the chosen token; else on how many tokens of the prompt.
fn here(app: &App, of: &LatentRef, pen: &Canvas<'_>) -> (String, Style) {
    let theme = pen.theme;
    let heat = app.heat(of);
    let here = heat.get(app.token).copied().unwrap_or(0.0);
    if here > 0.0 {
        return (format::activation(here), theme.bar());
    }
    match heat.iter().filter(|v| **v > 0.0).count() {
        0 => (theme.glyphs().dot.to_owned(), theme.quiet()),
        count => (format!("in {count}"), theme.quiet()),
    }
}

/// The pane.
pub(crate) struct QueuePane;

const HERE: KeyContexts = KeyContexts::pane(Focus::Queue);

impl Pane for QueuePane {
    fn focus(&self) -> Focus {
        Focus::Queue
    }

    fn name(&self) -> &'static str {
        "Queue"
    }

    fn tab(&self) -> Option<&'static str> {
        Some("5 Queue")
    }

    fn keys(&self) -> &'static [Binding] {
        const {
            &[
                row(140, Action::Up, "queue.previous", &[key!(up), key!(k)], HERE, "", "The latent above in the queue"),
                row(
                    150,
                    Action::Down,
                    "queue.next",
                    &[key!(down), key!(j)],
                    HERE,
                    "latent",
                    "The latent below in the queue",
                ),
                row(
                    440,
                    Action::NextDisagreement,
                    "queue.next-disagreement",
                    &[key!(n)],
                    HERE,
                    "disagree",
                    "The next latent on which the cosine rule and c* disagree",
                ),
                row(
                    450,
                    Action::PreviousDisagreement,
                    "queue.previous-disagreement",
                    &[key!(shift - n)],
                    HERE,
                    "",
                    "The one before it",
                ),
                row(
                    480,
                    Action::Order,
                    "queue.sort",
                    &[key!(o)],
                    HERE,
                    "sort",
                    "Sort by ΔMSE, c*, m, firing rate, here, latent",
                ),
                row(
                    490,
                    Action::Show,
                    "queue.show",
                    &[key!(c)],
                    HERE,
                    "show",
                    "Show all, novel, reconstructions, where rules disagree…",
                ),
                row(
                    500,
                    Action::Filter,
                    "queue.filter",
                    &[key!('/')],
                    HERE,
                    "filter",
                    "Filter by number or promoted token",
                ),
                row(510, Action::Reverse, "queue.reverse", &[key!(shift - o)], HERE, "", "Sort the other way round"),
            ]
        }
    }

    fn help(&self) -> &'static [&'static str] {
        &[
            "Every latent of the chosen SAE compared with a narrower one. m: its largest cosine there; novel when m < θ.",
            "c*: above ½ exactly when putting it alone into the narrower SAE lowers the squared error on the text; ΔMSE: by how",
            "much. ! marks latents on which the two rules disagree: novel but no help, or a reconstruction that does help.",
            "fires: on what share of the text; here: how strongly on the chosen token. + is in the workbench.",
        ]
    }

    fn enter(&self, app: &mut App) {
        stitch::enter(app, Focus::Queue);
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
        let same = app.focus == Focus::Queue && app.stitch.queue.at == row;
        app.look_at(Focus::Queue);
        stitch::choose_row(app, row);
        if same {
            stitch::accept(app);
        }
    }

    fn wheel(&self, app: &mut App, row: Option<usize>, by: isize) -> bool {
        let shown = app.page == Page::Stitch && app.stitch.shown == Focus::Queue;
        if shown {
            stitch::step(app, if row.is_some() { by * NOTCH } else { by });
        }
        shown
    }

    fn questions(&self) -> &'static [Question] {
        stitch_responses::QUESTIONS
    }

    fn settle(&self, app: &mut App) {
        stitch::settle(app);
    }

    fn ask(&self, app: &mut App, effects: &mut Vec<Effect>) {
        stitch_requests::ask_all(app, effects);
    }

    fn names(&self, app: &App) -> Vec<LatentRef> {
        stitch_requests::names(app)
    }

    fn draw(&self, app: &App, area: Rect, pen: &mut Canvas<'_>) {
        if let Some(pair) = app.pair() {
            draw(app, &pair, area, pen);
        }
    }
}
