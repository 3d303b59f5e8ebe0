//! An example in one line: the text around the peak, which stands in a column of its own, with heat on its tokens.
//! Not here: which examples are shown.

use ratatui::style::Style;
use ratatui::text::{Line, Span};

use crate::analysis::{CorpusToken, Example, ExampleSource};
use crate::text::{self, Space};
use crate::tui::canvas::Canvas;
use crate::tui::format;

/// Cells of activation and tenth in front of the text.
pub(crate) const FRONT: usize = 10;

/// The line of an example in `width` cells. `max`: the latent's largest activation, which is the hottest.
pub(crate) fn line<'a>(example: &Example, max: f32, has_bos: bool, width: usize, pen: &Canvas<'_>) -> Line<'a> {
    let theme = pen.theme;
    let published = example.source == ExampleSource::Neuronpedia;
    let tenth = match example {
        _ if published => "NP".to_owned(),
        Example { best: true, .. } => String::new(),
        Example { quantile_bin, .. } => quantile_bin.to_string(),
    };
    // Published numbers are on a scale of their own.
    let max = if published { example.activation } else { max };
    let mut spans = vec![
        Span::styled(format!("{:>6}", format::activation(example.activation)), theme.bar()),
        Span::styled(format!("{tenth:>3} "), theme.quiet()),
    ];
    let room = width.saturating_sub(FRONT);
    // Three fifths in front of the peak: a model reads from the left, so what made a latent fire stands there.
    let before = room * 3 / 5;
    let first = usize::from(has_bos);
    let (front, used) = in_front(&example.tokens, first, example.position, before, pen);
    spans.push(Span::raw(" ".repeat(before.saturating_sub(used))));
    spans.extend(front.into_iter().map(|token| span(token, max, false, pen)));
    let mut left = room.saturating_sub(before);
    for (at, token) in example.tokens.iter().enumerate().skip(example.position) {
        let said = shown(token, pen);
        let cells = text::width(&said);
        // A peak that is longer than the line is cut; of the others whole tokens only.
        if cells > left && at != example.position {
            break;
        }
        let said = text::truncate(&said, left, theme.charset);
        left = left.saturating_sub(text::width(&said));
        spans.push(Span::styled(said, style(token, max, at == example.position, pen)));
    }
    Line::from(spans)
}

/// The tokens in front of the peak that fit, and the cells they take.
fn in_front<'t>(
    tokens: &'t [CorpusToken],
    first: usize,
    peak: usize,
    room: usize,
    pen: &Canvas<'_>,
) -> (Vec<&'t CorpusToken>, usize) {
    let mut used = 0;
    let mut front: Vec<&CorpusToken> = Vec::new();
    for token in tokens.get(first..peak).unwrap_or_default().iter().rev() {
        let cells = text::width(&shown(token, pen));
        if used + cells > room {
            break;
        }
        used += cells;
        front.push(token);
    }
    front.reverse();
    (front, used)
}

fn shown(token: &CorpusToken, pen: &Canvas<'_>) -> String {
    text::shown(&token.text, pen.theme.charset, Space::Plain)
}

fn span<'a>(token: &CorpusToken, max: f32, peak: bool, pen: &Canvas<'_>) -> Span<'a> {
    Span::styled(shown(token, pen), style(token, max, peak, pen))
}

fn style(token: &CorpusToken, max: f32, peak: bool, pen: &Canvas<'_>) -> Style {
    let heat = if token.activation > 0.0 && max > 0.0 {
        pen.theme.heat((token.activation / max).clamp(0.0, 1.0))
    } else {
        Style::new()
    };
    if peak { heat.patch(pen.theme.strong()) } else { heat }
}
