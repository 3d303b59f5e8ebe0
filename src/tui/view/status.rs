//! The status line: what is loaded, what computes, how long the last run took, what is pending.
//! Not here: errors of a pane.

use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use crate::task::Progress;
use crate::text;
use crate::tui::app::App;
use crate::tui::canvas::Canvas;
use crate::tui::format;
use crate::tui::view::figures::{progress_text, training, whole_share};
use crate::tui::view::wiring;

/// Cells between two parts.
const BETWEEN: usize = 3;

pub(crate) fn draw(app: &App, area: Rect, pen: &mut Canvas<'_>) {
    let theme = pen.theme;
    let right = pending(app, pen);
    let right_cells = right.iter().map(Span::width).sum::<usize>() as u16;
    let left = Rect { width: area.width.saturating_sub(right_cells + 1), ..area };
    let line = match &app.notice {
        Some(notice) => {
            let style = if notice.bad { theme.bad() } else { theme.notice() };
            let said = format!(" {}", text::said(&notice.text, theme.charset));
            Line::from(Span::styled(text::truncate(&said, usize::from(left.width), theme.charset), style))
        }
        None => loaded(app, usize::from(left.width), pen),
    };
    pen.line(left, 0, &line);
    let x = area.right().saturating_sub(right_cells.min(area.width));
    pen.buf.set_line(x, area.y, &Line::from(right), area.width);
}

/// What is loaded, in as many whole parts as fit. Wiring that is off is said in full before all but the names; wiring
/// that is fine takes two words where it would push out what computes. Times come last.
fn loaded(app: &App, width: usize, pen: &Canvas<'_>) -> Line<'static> {
    let theme = pen.theme;
    let mut parts: Vec<(String, Style)> = Vec::new();
    let plain = |text: String| (text, theme.quiet());
    if let Some(opened) = app.opened.value() {
        parts.push(plain(text::prose(&opened.suite, theme.charset)));
        parts.extend(app.reach_name().map(|name| (name.to_owned(), theme.notice())));
        if let Some(sae) = app.sae() {
            parts.push(plain(format!("SAE {}", text::prose(&sae.id, theme.charset))));
        }
        parts.push(plain(text::prose(&opened.device, theme.charset)));
    }
    if let Some(run) = app.run.value() {
        let t = run.timings_ms;
        parts.push(plain(format!("run {}", format::millis(t.forward + t.encode))));
        parts.push(plain(format!("model {}, SAEs {}", format::millis(t.forward), format::millis(t.encode))));
        parts.extend(app.next.ms().map(|ms| plain(format!("next tokens {}", format::millis(ms)))));
    }
    if let Some(said) = wiring::said(app) {
        let style = if said.bad { theme.bad() } else { theme.quiet() };
        // The suite, how much of its model is open where that is not all, and the SAE.
        let names = parts.len().min(2 + usize::from(app.reach_name().is_some()));
        let beside = &parts[..parts.len().min(names + usize::from(!said.bad))];
        let taken: usize = beside.iter().map(|(part, _)| text::width(part) + BETWEEN).sum();
        let part = if taken + text::width(&said.full) < width { said.full } else { said.short.to_owned() };
        parts.insert(names, (part, style));
    }
    let dot = format!(" {} ", theme.glyphs().dot);
    let (mut spans, mut used) = (Vec::new(), 0);
    for (part, style) in parts {
        let before = if spans.is_empty() { " " } else { dot.as_str() };
        used += text::width(before) + text::width(&part);
        if used > width {
            break;
        }
        spans.extend([Span::styled(before.to_owned(), theme.quiet()), Span::styled(part, style)]);
    }
    Line::from(spans)
}

/// What is pending, the longest-lasting first; empty until it has lasted long enough to be worth a look.
fn pending<'a>(app: &App, pen: &Canvas<'_>) -> Vec<Span<'a>> {
    let theme = pen.theme;
    if !app.waits() && !app.pull.is_pending() {
        return Vec::new();
    }
    let spinner = theme.glyphs().spinner[app.ticks as usize % 4];
    let say = |text: String| vec![Span::styled(format!("{spinner} {text} "), theme.notice())];
    if app.opened.is_pending() {
        let step = app.opened.progressed().map(|p| format!(": {}", progress_text(p))).unwrap_or_default();
        return say(format!("loading {}{step}", text::prose(&app.suite, theme.charset)));
    }
    if app.run.is_pending() {
        return say("running the prompt".into());
    }
    if app.pull.is_pending() {
        let name = app.pulled().unwrap_or_default();
        let share = app.pull.progressed().and_then(whole_share).map(|s| format!(" {}", format::percent(s)));
        let speed = app.speed.per_second().map(|s| format!(" {}/s", format::bytes(s as u64)));
        let left = app.pull.progressed().and_then(|p| p.whole).and_then(|w| app.speed.left(w.total));
        let left = left.map(|l| format!(" {} left", format::clock(l)));
        let parts = [share, speed, left].into_iter().flatten().collect::<String>();
        return say(format!("downloading {}{parts}", text::prose(name, theme.charset)));
    }
    if app.card.is_pending() {
        return say("asking for the card".into());
    }
    if app.found.is_pending() {
        return say("searching".into());
    }
    if app.meta.train.is_pending() {
        let text = training(app, pen);
        return say(text::truncate(&text, 60, theme.charset));
    }
    if let Some(text) = stitching(app, theme.charset) {
        return say(text);
    }
    if app.checkup.is_pending() {
        return say("checking the wiring".into());
    }
    Vec::new()
}

/// What is awaited of stitching, where its own pane does not say so.
fn stitching(app: &App, charset: text::Charset) -> Option<String> {
    let stitch = &app.stitch;
    let render = |what: &str, progress: Option<&Progress>| {
        let share = progress.and_then(whole_share).map(|s| format!(" {}", format::percent(s))).unwrap_or_default();
        let what = progress.map_or_else(|| what.to_owned(), |p| text::said(&p.what, charset));
        Some(format!("{}{share}", text::truncate(&what, 40, charset)))
    };
    if stitch.export.is_pending() {
        return render("saving the stitched SAE", stitch.export.progressed());
    }
    if stitch.pair.is_pending() {
        return render("comparing two SAEs", stitch.pair.progressed());
    }
    if stitch.curve.is_pending() {
        return render("measuring the curve", stitch.curve.progressed());
    }
    if stitch.curve_loss.is_pending() {
        return render("measuring cross-entropies", stitch.curve_loss.progressed());
    }
    if stitch.loss.is_pending() {
        return render("measuring cross-entropy", stitch.loss.progressed());
    }
    if stitch.tables.is_pending() {
        return render("comparing all SAEs", stitch.tables.progressed());
    }
    None
}
