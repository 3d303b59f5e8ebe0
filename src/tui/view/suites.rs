//! The list of suites: what each is, how large, what is here, and how a download goes.
//! Not here: downloading.

use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use crate::session::SuiteEntry;
use crate::task::Progress;
use crate::text;
use crate::tui::app::App;
use crate::tui::canvas::Canvas;
use crate::tui::format;
use crate::tui::theme::glyphs;
use crate::tui::view::figures::whole_share;
use crate::tui::view::frame::{centred, framed, rows};
use crate::tui::view::trouble;

/// Rows below the list: about the chosen suite, and the download.
const BELOW: u16 = 7;

pub(crate) fn draw(app: &App, row: usize, screen: Rect, pen: &mut Canvas<'_>) {
    let theme = pen.theme;
    let count = app.catalogue.value().map_or(0, |all| all.len()) as u16;
    let height = (count + BELOW + 3).clamp(13, screen.height.saturating_sub(2));
    let inner = framed(centred(screen, 100, height), "Suites: a model, a site and its SAEs", pen);
    let list = Rect { height: inner.height.saturating_sub(BELOW), ..inner };
    let below = Rect { y: list.bottom(), height: inner.height - list.height, ..inner };
    if let Some(report) = app.catalogue.last_failure() {
        let lines = trouble::first_lines(Some(report), list, theme.charset);
        trouble::draw_lines(&lines, list, pen);
        return;
    }
    let Some(all) = app.catalogue.value() else {
        pen.text(list, 0, &format!("looking what is on this machine {}", theme.glyphs().more), theme.quiet());
        return;
    };
    let width = usize::from(list.width).saturating_sub(2);
    // What most suites do not need takes no room from their titles.
    let gates = if all.iter().any(|e| e.gated.is_some()) { NEEDS_ACCESS.len() } else { 0 };
    let title = width.saturating_sub(STATE + 1 + gates);
    rows(all.len(), row, list, pen, |index, chosen, pen| suite_line(app, &all[index], chosen, title, pen));
    pen.text(below, 0, &theme.glyphs().rule[0].repeat(usize::from(below.width)), theme.rule(false));
    if let Some(entry) = all.get(row) {
        about(entry, Rect { y: below.y + 1, height: 3.min(below.height.saturating_sub(1)), ..below }, pen);
    }
    download(app, Rect { y: below.y + 4, height: below.height.saturating_sub(4), ..below }, pen);
}

/// Cells of what is said about a suite's files.
const STATE: usize = 13;
const NEEDS_ACCESS: &str = " needs access";

fn suite_line<'a>(app: &App, entry: &SuiteEntry, chosen: bool, title: usize, pen: &Canvas<'_>) -> Line<'a> {
    let theme = pen.theme;
    let glyphs = theme.glyphs();
    let is_open = app.opened.value().is_some_and(|o| o.suite == entry.id);
    let (state, style) = match (entry.ready, entry.download_bytes) {
        _ if is_open => (format!("{} open", glyphs.good), theme.good()),
        (true, _) => (format!("{} here", glyphs.good), theme.good()),
        (false, Some(all)) => {
            let left = format::bytes(all.saturating_sub(entry.cached_bytes));
            let text = if entry.cached_bytes > 0 { format!("{left} to go") } else { left };
            (text, theme.notice())
        }
        (false, None) => ("size unknown".into(), theme.quiet()),
    };
    let gated = if entry.gated.is_some() { NEEDS_ACCESS } else { "" };
    let title = text::fit(&text::said(&entry.title, theme.charset), title, theme.charset);
    Line::from(vec![
        Span::styled(title, if chosen { theme.chosen(true) } else { Style::new() }),
        Span::styled(format!(" {state:>STATE$}"), style),
        Span::styled(gated, theme.notice()),
    ])
}

fn about(entry: &SuiteEntry, area: Rect, pen: &mut Canvas<'_>) {
    let charset = pen.theme.charset;
    let dot = pen.theme.glyphs().dot;
    let clean = |s: &str| text::prose(s, charset);
    let saes = clean(&entry.saes.join(" "));
    let first = format!("{} {dot} {} {dot} {}", clean(&entry.id), clean(&entry.model), entry.site_name());
    let cached = if entry.cached_bytes > 0 {
        format!(" {dot} {} on this machine", format::bytes(entry.cached_bytes))
    } else {
        String::new()
    };
    let licence = entry.licence.as_ref().map(|l| format!(" {dot} licence {}", clean(l))).unwrap_or_default();
    let second = format!("SAEs {saes}{cached}{licence}");
    let fit = |line: &str| text::truncate(line, usize::from(area.width), charset);
    pen.text(area, 0, &fit(&first), Style::new());
    pen.text(area, 1, &fit(&second), pen.theme.quiet());
    if let Some(gated) = &entry.gated {
        pen.text(area, 2, &fit(&clean(gated)), pen.theme.notice());
    }
}

fn download(app: &App, area: Rect, pen: &mut Canvas<'_>) {
    let theme = pen.theme;
    if let Some(report) = app.pull.last_failure().filter(|_| !app.pull.is_pending()) {
        let lines = trouble::first_lines(Some(report), area, theme.charset);
        trouble::draw_lines(&lines, area, pen);
        return;
    }
    if !app.pull.is_pending() {
        return;
    }
    let name = text::prose(app.pulled().unwrap_or_default(), theme.charset);
    let head = vec![
        Span::styled(format!("downloading {name}  "), theme.strong()),
        Span::styled("^C", theme.key()),
        Span::styled(" cancels", theme.quiet()),
    ];
    pen.line(area, 0, &Line::from(head));
    let Some(progress) = app.pull.progressed() else {
        pen.text(area, 1, &format!("asking the hub {}", theme.glyphs().more), theme.quiet());
        return;
    };
    let file = progress.total.filter(|t| *t > 0).map(|t| progress.done as f64 / t as f64);
    gauge(
        &file_text(progress, theme.charset),
        file,
        Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area },
        pen,
    );
    gauge(
        &total_text(app, progress),
        whole_share(progress),
        Rect { y: area.y + 2, height: area.height.saturating_sub(2), ..area },
        pen,
    );
}

fn file_text(progress: &Progress, charset: text::Charset) -> String {
    let part = progress.whole.map(|w| format!("{}/{} ", w.part, w.parts)).unwrap_or_default();
    let total = progress.total.map(|t| format!(" of {}", format::bytes(t))).unwrap_or_default();
    format!("{part}{}{total}  {}", format::bytes(progress.done), text::said(&progress.what, charset))
}

fn total_text(app: &App, progress: &Progress) -> String {
    let Some(whole) = progress.whole else { return "total".into() };
    let speed = app.speed.per_second().map(|s| format!("  {}/s", format::bytes(s as u64))).unwrap_or_default();
    let left = app.speed.left(whole.total).map(|l| format!("  {} left", format::clock(l))).unwrap_or_default();
    format!("total  {} of {}{speed}{left}", format::bytes(whole.done), format::bytes(whole.total))
}

/// A bar with its text beside it.
fn gauge(content: &str, share: Option<f64>, area: Rect, pen: &mut Canvas<'_>) {
    let cells = (usize::from(area.width) / 4).min(30);
    let percent = share.map(format::percent).unwrap_or_default();
    let bar = text::fit(&glyphs::bar(pen.theme.glyphs(), share.unwrap_or(0.0) as f32, cells), cells, pen.theme.charset);
    let room = usize::from(area.width).saturating_sub(cells + 8);
    let line = Line::from(vec![
        Span::styled(bar, pen.theme.bar()),
        Span::raw(format!(" {percent:>6} ")),
        Span::raw(text::truncate(content, room, pen.theme.charset)),
    ]);
    pen.line(area, 0, &line);
}
