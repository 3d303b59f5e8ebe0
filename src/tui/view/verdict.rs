//! Whether a latent is new with respect to a narrower SAE, and what putting it in does.
//! Not here: what is built of many (`bench`).

use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use crate::analysis::{Class, Effect, LatentCard, Verdict};
use crate::text;
use crate::tui::app::{App, LatentRef};
use crate::tui::canvas::{Canvas, Title};
use crate::tui::format;
use crate::tui::hits::Part;
use crate::tui::stitch::PairIds;
use crate::tui::view::figures::{c_star, cosine, count, name_text, plain, signed};
use crate::tui::view::waiting::waiting;

/// The last verdict of a pair, with cross-entropies when they have come; and whether it is of an older question for so
/// long that it shows. None when the last asking failed.
fn current<'a>(app: &'a App, pair: &PairIds) -> Option<(&'a Verdict, bool)> {
    let verdict = app.stitch.verdict.value().filter(|_| app.stitch.verdict.failure().is_none())?;
    if verdict.small != pair.small || verdict.large != pair.large {
        return None;
    }
    let loss = app.stitch.verdict_with_loss();
    let stale = (app.stitch.verdict.is_pending() || Some(verdict.latent) != app.latent) && app.waits();
    Some((loss.unwrap_or(verdict), stale))
}

/// The verdict in a pane of its own.
pub(crate) fn draw(app: &App, pair: &PairIds, area: Rect, pen: &mut Canvas<'_>) {
    let theme = pen.theme;
    let charset = theme.charset;
    let name = app.latent.map_or(String::new(), |latent| {
        format!("{}/{latent} against {}", text::prose(&pair.large, charset), text::prose(&pair.small, charset))
    });
    let right = if app.narrower().len() > 1 { "{ } another".to_owned() } else { String::new() };
    let title = Title { name: "Verdict", about: vec![Span::styled(name, theme.accent())], right };
    let inner = pen.pane(area, &title, false);
    let inner = Rect { x: inner.x + 1, width: inner.width.saturating_sub(2), ..inner };
    pen.hits.drawn.add(Part::Verdict);
    let Some((verdict, stale)) = current(app, pair) else {
        waiting(app, app.stitch.verdict.failure(), None, "measuring", inner, pen);
        return;
    };
    let width = usize::from(inner.width);
    let mut numbers = vec![rule(app, verdict, pen)];
    numbers.extend(table(verdict, width, pen));
    // Numbers are kept whole; of the words what there is room for.
    let room = usize::from(inner.height).saturating_sub(numbers.len()).max(1);
    let mut lines: Vec<Line<'_>> = words(verdict, width, room, pen);
    if lines.len() < room {
        lines.push(Line::default());
    }
    lines.extend(numbers);
    for (row, line) in lines.iter().take(usize::from(inner.height)).enumerate() {
        pen.line(inner, row as u16, line);
    }
    if stale {
        pen.tint(inner, theme.stale());
    }
}

/// The same in four or five lines: a rule, the words, what it does on the prompt and on the text.
pub(crate) fn short(app: &App, pair: &PairIds, area: Rect, pen: &mut Canvas<'_>) {
    let theme = pen.theme;
    let rule = theme.glyphs().rule[0].repeat(usize::from(area.width));
    pen.text(area, 0, &rule, theme.rule(false));
    let inner = Rect {
        x: area.x + 1,
        y: area.y + 1,
        width: area.width.saturating_sub(2),
        height: area.height.saturating_sub(1),
    };
    pen.hits.drawn.add(Part::Verdict);
    let Some((verdict, stale)) = current(app, pair) else {
        waiting(app, app.stitch.verdict.failure(), None, "measuring", inner, pen);
        return;
    };
    let width = usize::from(inner.width);
    let rows = inner.height.saturating_sub(2);
    for (row, line) in words(verdict, width, usize::from(rows), pen).iter().enumerate() {
        pen.line(inner, row as u16, line);
    }
    pen.text(inner, rows, &effect_line("prompt", Some(&verdict.prompt), width, pen), Style::new());
    pen.text(inner, rows + 1, &effect_line("text", verdict.text.as_ref(), width, pen), Style::new());
    if stale {
        pen.tint(inner, theme.stale());
    }
}

/// The verdict in one line, for a card: it changes with the card, not before it.
pub(crate) fn line<'a>(app: &App, card: &LatentCard, width: usize, pen: &Canvas<'_>) -> Option<Line<'a>> {
    let verdict = app.stitch.verdict.value().filter(|verdict| verdict.large == card.sae)?;
    let pair = PairIds { small: verdict.small.clone(), large: verdict.large.clone() };
    let (verdict, stale) = current(app, &pair).filter(|(verdict, _)| verdict.latent == card.latent)?;
    let theme = pen.theme;
    let (name, style) = class_name(verdict, pen);
    let bang = if verdict.agrees == Some(false) { " !" } else { "" };
    let mut said = format!(" to {}", text::prose(&verdict.small, theme.charset));
    let delta = plain("ΔMSE", pen);
    let change = |effect: &Effect| effect.after.mse - effect.before.mse;
    let mut parts = vec![format!("m {}", cosine(verdict.max_cosine))];
    match verdict.prompt.c_star {
        Some(c) => {
            parts.push(format!("c* {}", c_star(Some(c))));
            parts.push(format!("{delta} {}", signed(change(&verdict.prompt))));
        }
        None => parts.push("silent in this prompt".into()),
    }
    if let Some(text) = verdict.text.as_ref().filter(|text| text.c_star.is_some()) {
        parts.push(format!("on text c* {}", c_star(text.c_star)));
    }
    for part in parts {
        let next = format!("{said}  {part}");
        if text::width(&next) + name.len() + bang.len() > width {
            break;
        }
        said = next;
    }
    let quiet = if stale { theme.stale() } else { Style::new() };
    Some(Line::from(vec![Span::styled(name, style), Span::styled(bang, theme.bad()), Span::styled(said, quiet)]))
}

fn class_name(verdict: &Verdict, pen: &Canvas<'_>) -> (&'static str, Style) {
    match verdict.class {
        Some(Class::Novel) => ("novel", pen.theme.notice()),
        Some(Class::Reconstruction) => ("recon", Style::new()),
        None => ("zero", pen.theme.quiet()),
    }
}

fn class_style(verdict: &Verdict, pen: &Canvas<'_>) -> Style {
    if verdict.agrees == Some(false) { pen.theme.bad() } else { pen.theme.strong() }
}

fn verdict_words(verdict: &Verdict, charset: text::Charset) -> String {
    let bang = if verdict.agrees == Some(false) { "! " } else { "" };
    format!("{bang}{}", text::said(&verdict.words, charset))
}

/// The words in at most `rows` lines.
fn words<'a>(verdict: &Verdict, width: usize, rows: usize, pen: &Canvas<'_>) -> Vec<Line<'a>> {
    let (style, charset) = (class_style(verdict, pen), pen.theme.charset);
    let lines = text::wrap_within(&verdict_words(verdict, charset), width, rows, charset);
    lines.into_iter().map(|line| Line::from(Span::styled(line, style))).collect()
}

/// The cosine rule: m against θ, and whose cosine it is.
fn rule<'a>(app: &App, verdict: &Verdict, pen: &Canvas<'_>) -> Line<'a> {
    let theme = pen.theme;
    if verdict.class.is_none() {
        return Line::from(Span::styled("a decoder row of zeros has no cosine", theme.quiet()));
    }
    let of = LatentRef { sae: verdict.small.clone(), latent: verdict.nearest.latent };
    let sign = if verdict.max_cosine < verdict.threshold { "<" } else { ">=" };
    Line::from(vec![
        Span::raw(format!(
            "m {} {sign} {} {}",
            cosine(verdict.max_cosine),
            theme.glyphs().theta,
            cosine(verdict.threshold)
        )),
        Span::styled("  nearest ", theme.quiet()),
        Span::styled(format!("{}/{}", text::prose(&of.sae, theme.charset), of.latent), theme.accent()),
        Span::raw(format!(" {}", name_text(app, theme, &of, 4).unwrap_or_default())),
    ])
}

/// What putting it in does, as a table.
fn table<'a>(verdict: &Verdict, width: usize, pen: &Canvas<'_>) -> Vec<Line<'a>> {
    let theme = pen.theme;
    let wide = width >= MIN_WIDTH_OF_COLUMNS;
    let names = if wide {
        ["fires on", "c*", "ΔMSE", "%", "ΔL0", "ΔCE"]
    } else {
        ["fires", "c*", "", "ΔMSE", "ΔL0", "ΔCE"]
    };
    let head = row("", &names.map(|name| plain(name, pen)), wide);
    let mut out = vec![Line::from(Span::styled(head.concat(), theme.quiet()))];
    for (name, effect) in [("prompt", Some(&verdict.prompt)), ("text", verdict.text.as_ref())] {
        let Some(effect) = effect else {
            out.push(Line::from(Span::styled(format!("{name:<7}not measured yet"), theme.quiet())));
            continue;
        };
        let fired = format::count(effect.fired);
        let fires = if wide { format!("{fired} of {}", count(effect.tokens)) } else { fired };
        let [mse, share, l0, ce] = changes(effect);
        let [name, fires, error, rest] = row(name, &[fires, c_star(effect.c_star), mse, share, l0, ce], wide);
        let helps = effect.after.mse < effect.before.mse;
        out.push(Line::from(vec![
            Span::styled(name, theme.quiet()),
            Span::raw(fires),
            Span::styled(error, if helps { theme.good() } else { Style::new() }),
            Span::raw(rest),
        ]));
    }
    if !wide {
        let on = |effect: &Effect| count(effect.tokens);
        let text = verdict.text.as_ref().map_or(String::new(), |text| format!(", text {}", on(text)));
        let said = format!("on how many tokens: prompt {}{text}", on(&verdict.prompt));
        out.push(Line::from(Span::styled(said, theme.quiet())));
    }
    if verdict.reencoded {
        out.push(Line::from(Span::styled("latents compete: the prompt was encoded again", theme.quiet())));
    }
    out
}

/// Cells of a verdict that has room for all columns.
const MIN_WIDTH_OF_COLUMNS: usize = 68;

/// A row of the table in four parts: name, firing and c*, the error, the rest.
fn row(name: &str, cells: &[String; 6], wide: bool) -> [String; 4] {
    let [fires, c, mse, share, l0, ce] = cells;
    let (fires, mse) =
        if wide { (format!("{fires:>14}"), format!(" {mse:>9}")) } else { (format!("{fires:>7}"), String::new()) };
    [format!("{name:<7}"), format!("{fires} {c:>6}"), format!("{mse} {share:>8}"), format!(" {l0:>8} {ce:>9}")]
}

/// ΔMSE, ΔMSE as a share, ΔL0, ΔCE.
fn changes(effect: &Effect) -> [String; 4] {
    let (before, after) = (effect.before, effect.after);
    let share = if before.mse > 0.0 { (after.mse - before.mse) / before.mse } else { 0.0 };
    let ce = before.ce.zip(after.ce).map_or_else(|| "-".to_owned(), |(before, after)| signed(after - before));
    [signed(after.mse - before.mse), format!("{:+.2}%", share * 100.0), signed(after.l0 - before.l0), ce]
}

/// What putting it in does, on one line.
fn effect_line(name: &str, effect: Option<&Effect>, width: usize, pen: &Canvas<'_>) -> String {
    let Some(effect) = effect else { return format!("{name:<7}not measured yet") };
    let on = format!("on {} tok", count(effect.tokens));
    if effect.c_star.is_none() {
        return format!("{name:<7}never fires {on}");
    }
    let [mse, share, l0, ce] = changes(effect);
    let parts = [
        format!("fires {}", format::count(effect.fired)),
        format!("c* {}", c_star(effect.c_star)),
        format!("ΔMSE {mse} ({share})"),
        format!("ΔL0 {l0}"),
        format!("ΔCE {ce}"),
        on,
    ];
    let mut said = format!("{name:<6}");
    for part in parts {
        let next = format!("{said} {}", plain(&part, pen));
        if text::width(&next) > width {
            break;
        }
        said = next;
    }
    said
}
