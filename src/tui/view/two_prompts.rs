//! Tokens of two prompts over each other, with the heat of the chosen latent, and what comes next after each.
//! Not here: the pane (`panes/compare.rs`).

use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use crate::analysis::{CompareView, NextToken, TokenView};
use crate::text;
use crate::tui::app::App;
use crate::tui::canvas::Canvas;
use crate::tui::format;

/// Cells of a token at most.
const TOKEN: usize = 12;

/// The tokens of both, pair over pair, from so far in front of the chosen pair as fits.
pub(crate) fn draw(app: &App, view: &CompareView, at: usize, area: Rect, pen: &mut Canvas<'_>) {
    let theme = pen.theme;
    let heat = app.pair_heat();
    let most = heat.iter().flat_map(|(a, b)| a.iter().chain(b)).copied().fold(0.0f32, f32::max);
    let shown = |tokens: &[TokenView], at: Option<usize>| {
        at.and_then(|at| tokens.get(at))
            .map_or_else(String::new, |of| text::truncate(&text::token(&of.text, theme.charset), TOKEN, theme.charset))
    };
    let columns = columns(view);
    let chosen = columns.iter().position(|column| *column == (Some(view.pairs[at].a), Some(view.pairs[at].b)));
    let cells: Vec<(String, String, usize)> = columns
        .iter()
        .map(|(a, b)| {
            let (a, b) = (shown(&view.tokens_a, *a), shown(&view.tokens_b, *b));
            let width = text::width(&a).max(text::width(&b)) + 1;
            (a, b, width)
        })
        .collect();
    let room = usize::from(area.width).saturating_sub(2);
    let chosen = chosen.unwrap_or(0);
    let (mut first, mut used) = (chosen, cells.get(chosen).map_or(0, |cell| cell.2));
    while first > 0 && used + cells[first - 1].2 <= room * 2 / 3 {
        first -= 1;
        used += cells[first].2;
    }
    let mut lines = [vec![Span::styled("A ", theme.strong())], vec![Span::styled("B ", theme.strong())]];
    let mut used = 0;
    for (place, ((a, b, width), (at_a, at_b))) in cells.iter().zip(&columns).enumerate().skip(first) {
        if used + width > room {
            break;
        }
        used += width;
        let heats = heat.as_ref();
        let of = |at: &Option<usize>, values: Option<&Vec<f32>>| {
            at.and_then(|at| values?.get(at).copied()).filter(|_| most > 0.0).unwrap_or(0.0)
                / most.max(f32::MIN_POSITIVE)
        };
        let shares = [of(at_a, heats.map(|heats| &heats.0)), of(at_b, heats.map(|heats| &heats.1))];
        for ((line, cell), share) in lines.iter_mut().zip([a, b]).zip(shares) {
            let mut style = theme.heat(share);
            if place == chosen {
                style = style.patch(theme.strong()).underlined();
            }
            line.push(Span::styled(cell.clone(), style));
            line.push(Span::raw(" ".repeat(width - text::width(cell))));
        }
    }
    for (row, line) in lines.into_iter().enumerate() {
        pen.line(area, row as u16, &Line::from(line));
    }
}

/// Pairs, and between them what has no partner.
fn columns(view: &CompareView) -> Vec<(Option<usize>, Option<usize>)> {
    let (mut a, mut b, mut columns) = (0, 0, Vec::new());
    let ends = (view.tokens_a.len(), view.tokens_b.len());
    for (to_a, to_b) in view.pairs.iter().map(|pair| (pair.a, pair.b)).chain([ends]) {
        columns.extend((a..to_a).map(|at| (Some(at), None)));
        columns.extend((b..to_b).map(|at| (None, Some(at))));
        if (to_a, to_b) != ends {
            columns.push((Some(to_a), Some(to_b)));
        }
        (a, b) = (to_a + 1, to_b + 1);
    }
    columns
}

/// What comes next after a prompt's token of the chosen pair, as many tokens as there is room for.
pub(crate) fn next_line<'a>(name: &str, next: &[NextToken], width: usize, pen: &Canvas<'_>) -> Line<'a> {
    let theme = pen.theme;
    let mut line = vec![Span::styled(format!("next {name} "), theme.quiet())];
    let mut used = 7;
    for (at, next) in next.iter().enumerate() {
        let shown = text::truncate(&text::token(&next.text, theme.charset), TOKEN, theme.charset);
        let share = format!(" {}", format::percent(f64::from(next.logprob).exp()));
        used += text::width(&shown) + share.len();
        if at > 0 && used > width {
            break;
        }
        used += 2;
        line.push(Span::styled(shown, if at == 0 { theme.strong() } else { Style::new() }));
        line.push(Span::styled(share + "  ", theme.quiet()));
    }
    Line::from(line)
}
