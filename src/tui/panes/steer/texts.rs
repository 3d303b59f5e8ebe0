//! What the arms wrote: columns beside each other where there is room, else rows; and a table of strengths.
//! Not here: what is changed.

use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};

use crate::analysis::{SteerArm, SteerToken, SteerView};
use crate::text;
use crate::tui::app::App;
use crate::tui::canvas::Canvas;
use crate::tui::format;

/// Cells of a column in which a text can be read.
const COLUMN: u16 = 18;
/// Cells in which an arm's name and its perplexity stand beside each other.
const HEAD: u16 = 28;

/// What could stand in the place of the chosen token of the steered text, in the last row; gives the room that is left.
pub(super) fn candidates(app: &App, area: Rect, pen: &mut Canvas<'_>) -> Rect {
    let Some((at, all)) = app.steered_token().filter(|_| area.height > 2) else { return area };
    let theme = pen.theme;
    let chosen = app.steer.at.map_or(0, |(_, which)| which) % all.len().max(1);
    let mut line = vec![Span::styled(format!("{at}: "), theme.quiet())];
    for (which, of) in all.iter().enumerate().skip(chosen.saturating_sub(1)) {
        let shown = text::truncate(&text::token(&of.text, theme.charset), 14, theme.charset);
        line.push(Span::styled(shown, if which == chosen { theme.chosen(true) } else { Style::new() }));
        line.push(Span::styled(format!(" {}  ", format::percent(f64::from(of.logprob).exp())), theme.quiet()));
    }
    pen.line(Rect { y: area.bottom() - 1, height: 1, ..area }, 0, &Line::from(line));
    Rect { height: area.height - 1, ..area }
}

/// The three texts; of the steered one a token may be chosen.
pub(super) fn arms(view: &SteerView, chosen: Option<usize>, area: Rect, pen: &mut Canvas<'_>) {
    let count = view.arms.len().max(1) as u16;
    let untouched: Vec<SteerToken> = view.arms.first().map(|arm| arm.tokens.clone()).unwrap_or_default();
    let beside = area.width / count >= COLUMN;
    let (width, height) = if beside { (area.width / count, area.height) } else { (area.width, area.height / count) };
    for (at, arm) in view.arms.iter().enumerate() {
        let at = at as u16;
        let place = if beside {
            Rect { x: area.x + at * width, width: width.saturating_sub(1), ..area }
        } else {
            Rect { y: area.y + at * height, height, ..area }
        };
        one(arm, &untouched, chosen.filter(|_| at == 1), place, pen);
    }
    let notes = Rect { y: area.bottom().saturating_sub(1), height: area.height.min(1), ..area };
    // What was not changed is said in place of the perplexities, which are all the same then.
    if let Some(note) = view.notes.iter().find(|note| note.contains("nothing was changed")) {
        let note = text::truncate(&text::prose(note, pen.theme.charset), usize::from(area.width), pen.theme.charset);
        pen.text(notes, 0, &note, pen.theme.notice());
    }
}

/// One arm: its name, its perplexity, its text.
fn one(arm: &SteerArm, untouched: &[SteerToken], chosen: Option<usize>, area: Rect, pen: &mut Canvas<'_>) {
    let theme = pen.theme;
    if area.height == 0 {
        return;
    }
    let figure = arm.perplexity_untouched.map_or_else(String::new, |value| format!("perplexity {value:.1}"));
    let beneath = area.width < HEAD && area.height > 3;
    let mut head = vec![Span::styled(arm.arm, theme.strong())];
    if beneath {
        pen.text(area, area.height - 1, &figure, theme.quiet());
    } else {
        head.push(Span::styled(format!("  {figure}"), theme.quiet()));
    }
    pen.line(area, 0, &Line::from(head));
    let below = Rect { y: area.y + 1, height: area.height - 1 - u16::from(beneath), ..area };
    let differs = theme.accent().add_modifier(Modifier::UNDERLINED);
    let (mut line, mut used, mut row): (Vec<Span<'_>>, usize, u16) = (Vec::new(), 0, 0);
    for (at, token) in arm.tokens.iter().enumerate() {
        let same = untouched.get(at).is_some_and(|other| other.id == token.id);
        let shown = text::prose(&token.text, theme.charset);
        let wide = text::width(&shown);
        if used + wide > usize::from(below.width) && used > 0 {
            pen.line(below, row, &Line::from(std::mem::take(&mut line)));
            (used, row) = (0, row + 1);
        }
        if row >= below.height {
            return;
        }
        let shown = text::truncate(&shown, usize::from(below.width), theme.charset);
        used += text::width(&shown);
        let style = if same { Style::new() } else { differs };
        line.push(Span::styled(shown, if chosen == Some(at) { theme.chosen(true) } else { style }));
    }
    if row < below.height {
        pen.line(below, row, &Line::from(line));
    }
}

/// A row for each strength: perplexity, how strongly the latent fires then, and how the text begins.
pub(super) fn sweep(view: &SteerView, area: Rect, pen: &mut Canvas<'_>) {
    let theme = pen.theme;
    pen.text(area, 0, &format!("{:>8} {:>8} {:>7}  text", "strength", "perpl.", "fires"), theme.quiet());
    let figure = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.1}"));
    for (row, point) in view.sweep.iter().enumerate().take(usize::from(area.height.saturating_sub(1))) {
        let numbers = format!(
            "{:>8.2} {:>8} {:>7}  ",
            point.strength,
            figure(point.perplexity_untouched),
            figure(point.latent_mean)
        );
        let room = usize::from(area.width).saturating_sub(numbers.len());
        let begins = text::truncate(&text::prose(&point.text, theme.charset), room, theme.charset);
        pen.line(area, row as u16 + 1, &Line::from(vec![Span::raw(numbers), Span::raw(begins)]));
    }
}
