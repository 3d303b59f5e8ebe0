//! The workbench: the stitched SAE's measures beside its parents', which tokens it made better and worse, and what was
//! put in and taken out. Not here: changing it.

use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use crate::analysis::{BenchLoss, Change, Measures, WorkbenchView};
use crate::text;
use crate::tui::app::App;
use crate::tui::canvas::Canvas;
use crate::tui::format;
use crate::tui::hits::{HitTarget, Part};
use crate::tui::keys::{Action, Binding, KeyContexts, row};
use crate::tui::location::{Focus, LatentRef, Page};
use crate::tui::msg::Effect;
use crate::tui::pane::{Pane, step_of};
use crate::tui::stitch::{Changes, PairIds};
use crate::tui::update::stitch;
use crate::tui::view::figures::{count, name_text};
use crate::tui::view::flow;
use crate::tui::view::trouble;
use crate::tui::view::waiting::waiting;
use crokey::key;

fn draw(app: &App, pair: &PairIds, area: Rect, pen: &mut Canvas<'_>) {
    let theme = pen.theme;
    pen.hits.drawn.add(Part::Bench);
    let area = Rect { x: area.x + 1, width: area.width.saturating_sub(2), ..area };
    let failure =
        trouble::first_lines(app.stitch.bench.failure(), Rect { height: area.height.min(3), ..area }, theme.charset);
    let area = trouble::draw_lines(&failure, area, pen);
    let bench = app.stitch.bench.value().filter(|b| b.small == pair.small && b.large == pair.large);
    let Some(bench) = bench else {
        if failure.is_empty() {
            waiting(app, None, None, "measuring", area, pen);
        }
        return;
    };
    let loss = app.stitch.bench_with_loss();
    let mut lines = table(bench, loss, usize::from(area.width), pen);
    lines.push(tokens_line(app, bench, usize::from(area.width), pen));
    lines.push(summary(app, pair, bench, pen));
    let used = (lines.len() as u16).min(area.height);
    for (row, line) in lines.iter().enumerate() {
        pen.line(area, row as u16, line);
    }
    if app.stitch.bench.is_pending() && app.waits() {
        pen.tint(Rect { height: used, ..area }, theme.stale());
    }
    list(app, pair, Rect { y: area.y + used, height: area.height - used, ..area }, pen);
}

/// Cells of the names at the left, and of a column.
const NAMES: usize = 9;
const CELLS: usize = 7;

/// The stitched SAE between its parents: on the prompt, and on the text where there is room.
fn table<'a>(bench: &WorkbenchView, loss: Option<&BenchLoss>, width: usize, pen: &Canvas<'_>) -> Vec<Line<'a>> {
    let theme = pen.theme;
    let both = width >= NAMES + 2 * (4 * (CELLS + 1)) + 3;
    let block = 4 * (CELLS + 1);
    let on_prompt = format!("on the prompt, {} tokens", bench.tokens.0);
    let on_text = if bench.text.is_some() || loss.is_some_and(|loss| loss.reencoded.is_some()) {
        format!("on the text, {} tokens", count(bench.tokens.1))
    } else {
        "on the text: not measured yet".into()
    };
    let mut head = format!("{:NAMES$} {on_prompt:<block$}", "");
    let columns = format!("{:>CELLS$} {:>CELLS$} {:>CELLS$} {:>CELLS$} ", "MSE", "EV", "L0", "CE");
    let mut names = format!("{:NAMES$} {columns}", "");
    if both {
        head = format!("{head} {on_text}");
        names = format!("{names} {columns}");
    }
    let mut out = vec![
        Line::from(Span::styled(text::truncate(&head, width, theme.charset), theme.quiet())),
        Line::from(Span::styled(names, theme.quiet())),
    ];
    let parents = &bench.parents;
    let rows: [(&str, Measures, Option<Measures>); 3] = [
        (&bench.small, parents[0].0, parents[0].1),
        ("stitched", bench.prompt, loss.and_then(|l| l.reencoded).or(bench.text)),
        (&bench.large, parents[1].0, parents[1].1),
    ];
    let losses = |pick: fn(&crate::analysis::Losses) -> Option<f64>| {
        loss.map_or((None, None), |l| (pick(&l.prompt), pick(&l.text)))
    };
    let ce = [losses(|l| l.small), losses(|l| l.now), losses(|l| l.large)];
    for (i, (name, prompt, text_measures)) in rows.into_iter().enumerate() {
        let now = i == 1;
        let style = if now { theme.strong() } else { Style::new() };
        let name = text::fit(&text::prose(name, theme.charset), NAMES, theme.charset);
        let mut row = format!("{name} {}", measures(Some(prompt), ce[i].0));
        if both {
            row = format!("{row} {}", measures(text_measures, ce[i].1));
        }
        out.push(Line::from(Span::styled(row, style)));
    }
    out
}

fn measures(measures: Option<Measures>, ce: Option<f64>) -> String {
    let none = || "-".to_owned();
    let Some(m) = measures else { return format!("{:>CELLS$} {:>CELLS$} {:>CELLS$} {:>CELLS$} ", "-", "-", "-", "-") };
    let variance = m.explained_variance.map_or_else(none, |v| format!("{v:.4}"));
    let ce = ce.or(m.ce).map_or_else(none, |v| format!("{v:.4}"));
    format!("{:>CELLS$} {variance:>CELLS$} {:>CELLS$} {ce:>CELLS$} ", format::short(m.mse), format::short(m.l0))
}

/// The tokens that gained and lost most, in whole parts.
fn tokens_line<'a>(app: &App, bench: &WorkbenchView, width: usize, pen: &Canvas<'_>) -> Line<'a> {
    let theme = pen.theme;
    let mut changes: Vec<(usize, f64)> = bench
        .errors
        .iter()
        .enumerate()
        .filter(|(_, (small, ..))| *small > 0.0)
        .map(|(position, (small, now, _))| (position, (now - small) / small))
        .filter(|(_, change)| change.abs() >= 0.0005)
        .collect();
    if changes.is_empty() {
        return Line::from(Span::styled("no token of the prompt changed", theme.quiet()));
    }
    changes.sort_by(|a, b| a.1.total_cmp(&b.1));
    let [better, worse] = theme.glyphs().change;
    let name =
        |position: usize| app.tokens().get(position).map(|t| text::token(&t.text, theme.charset)).unwrap_or_default();
    let gained = changes.iter().take_while(|(_, c)| *c < 0.0).count();
    let mut spans = Vec::new();
    let mut used = 0;
    let mut add = |said: String, style: Style| {
        let cells = text::width(&said);
        if used + cells <= width {
            used += cells;
            spans.push(Span::styled(said, style));
        }
    };
    add(format!("{better} {gained} better "), theme.good());
    for (position, change) in changes.iter().take(gained.min(3)) {
        add(format!(" {} {:+.1}%", text::truncate(&name(*position), 12, theme.charset), change * 100.0), Style::new());
    }
    add(format!("   {worse} {} worse ", changes.len() - gained), theme.bad());
    for (position, change) in changes.iter().rev().take((changes.len() - gained).min(3)) {
        add(format!(" {} {:+.1}%", text::truncate(&name(*position), 12, theme.charset), change * 100.0), Style::new());
    }
    Line::from(spans)
}

/// How many are in and out, and what can be undone.
fn summary<'a>(app: &App, pair: &PairIds, bench: &WorkbenchView, pen: &Canvas<'_>) -> Line<'a> {
    let theme = pen.theme;
    let (undo, redo) = app.stitch.changes.get(pair).map_or((0, 0), Changes::depth);
    let mut spans = vec![Span::raw(format!("{} in, {} out", bench.inserted, bench.removed))];
    spans.push(Span::styled(format!("   {undo} to undo, {redo} to redo"), theme.quiet()));
    if bench.reencoded {
        spans.push(Span::styled("   latents compete: encoded again", theme.notice()));
    }
    if app.stitch.export.is_pending() && app.waits() {
        spans.push(Span::styled(format!("   saving {}", theme.glyphs().more), theme.notice()));
    }
    Line::from(spans)
}

/// What was put in and taken out.
fn list(app: &App, pair: &PairIds, area: Rect, pen: &mut Canvas<'_>) {
    let theme = pen.theme;
    let changes = app.stitch.changes(pair);
    let focused = app.focus == Focus::Bench;
    pen.hits.stitch_rows = usize::from(area.height);
    if changes.is_empty() {
        let text = "nothing stitched yet: Space puts a latent in, x swaps its group (queue, card, group)";
        pen.text(area, 0, &text::truncate(text, usize::from(area.width), theme.charset), theme.quiet());
        return;
    }
    let row = app.stitch.change_row.min(changes.len() - 1);
    let rows = usize::from(area.height);
    let top = flow::top(row, rows, changes.len());
    for (y, (index, change)) in changes.iter().enumerate().skip(top).take(rows).enumerate() {
        let chosen = focused && index == row;
        let at = Rect { y: area.y + y as u16, height: 1, ..area };
        pen.line(at, 0, &change_line(app, pair, change, chosen, pen));
        pen.hits.add(at, HitTarget::Item(Focus::Bench, index));
    }
}

fn change_line<'a>(app: &App, pair: &PairIds, change: &Change, chosen: bool, pen: &Canvas<'_>) -> Line<'a> {
    let theme = pen.theme;
    let glyphs = theme.glyphs();
    let clean = |id: &str| text::prose(id, theme.charset);
    let (sign, style, name, of) = match change {
        Change::Insert(latent) => {
            let of = LatentRef { sae: pair.large.clone(), latent: *latent };
            ("+", theme.good(), format!("{}/{latent}", clean(&pair.large)), of)
        }
        Change::Remove(latent) => {
            let of = LatentRef { sae: pair.small.clone(), latent: *latent };
            ("-", theme.bad(), format!("{}/{latent}", clean(&pair.small)), of)
        }
        Change::Swap { small, large } => {
            let first = large.first().copied().unwrap_or(0);
            let of = LatentRef { sae: pair.large.clone(), latent: first };
            (glyphs.swap, theme.accent(), format!("group of {first}: {} out, {} in", small.len(), large.len()), of)
        }
    };
    Line::from(vec![
        Span::styled(if chosen { glyphs.chosen } else { " " }, theme.accent()),
        Span::styled(format!(" {sign} "), style),
        Span::styled(name, if chosen { theme.chosen(true) } else { Style::new() }),
        Span::styled(format!("  {}", name_text(app, theme, &of, 6).unwrap_or_default()), theme.quiet()),
    ])
}

/// The pane.
pub(crate) struct BenchPane;

const HERE: KeyContexts = KeyContexts::pane(Focus::Bench);

impl Pane for BenchPane {
    fn focus(&self) -> Focus {
        Focus::Bench
    }

    fn name(&self) -> &'static str {
        "Workbench"
    }

    fn tab(&self) -> Option<&'static str> {
        Some("6 Workbench")
    }

    fn keys(&self) -> &'static [Binding] {
        const {
            &[
                row(169, Action::Up, "bench.previous", &[key!(up), key!(k)], HERE, "", "The change above"),
                row(170, Action::Down, "bench.next", &[key!(down), key!(j)], HERE, "change", "The change below"),
                row(
                    470,
                    Action::Toggle,
                    "bench.take-back",
                    &[key!(space), key!(delete)],
                    HERE,
                    "take back",
                    "Take the chosen change back",
                ),
                row(
                    570,
                    Action::ClearChanges,
                    "bench.clear",
                    &[key!(shift - x)],
                    HERE,
                    "clear",
                    "Take all changes of the stitched SAE back",
                ),
            ]
        }
    }

    fn help(&self) -> &'static [&'static str] {
        &[
            "A stitched SAE, built by hand on the narrower one: each latent keeps its own encoder, decoded parts are added, the",
            "decoder bias is mixed by how many latents of each SAE are in. MSE, explained variance (EV), L0 and cross-entropy",
            "(CE, by splicing into the model) stand between those of its parents. The tokens show where the error fell and rose.",
        ]
    }

    fn enter(&self, app: &mut App) {
        stitch::enter(app, Focus::Bench);
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
        app.look_at(Focus::Bench);
        app.stitch.change_row = row;
    }

    fn wheel(&self, app: &mut App, _: Option<usize>, by: isize) -> bool {
        let shown = app.page == Page::Stitch && app.stitch.shown == Focus::Bench;
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
