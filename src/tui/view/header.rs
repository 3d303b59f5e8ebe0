//! The first line: program, suite, site, and the ladder as tabs.
//! Not here: choosing an SAE.

use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::text;
use crate::tui::app::{App, Page};
use crate::tui::canvas::Canvas;
use crate::tui::hits::HitTarget;

pub(crate) fn draw(app: &App, area: Rect, pen: &mut Canvas<'_>) {
    let tabs_width = tabs(app, area, pen);
    let left = Rect { width: area.width.saturating_sub(tabs_width + 2), ..area };
    let theme = pen.theme;
    let mut spans = vec![Span::styled(" saescope ", theme.accent())];
    if let Some(opened) = app.opened.value() {
        let dot = theme.glyphs().dot;
        let room = usize::from(left.width).saturating_sub(12);
        let site = format!(" {dot} {}", opened.site);
        let title = text::prose(&opened.title, theme.charset);
        let both = format!("{title}{site}");
        // The site is said as long as it fits whole; a cut one would be guessed at.
        let shown = if text::width(&both) <= room { both } else { text::truncate(&title, room, theme.charset) };
        spans.push(Span::styled(
            format!(" {shown}"),
            if app.opened.is_pending() { theme.stale() } else { theme.quiet() },
        ));
    }
    pen.line(left, 0, &Line::from(spans));
}

/// The SAEs from narrow to wide, as many around the chosen one as fit; gives the cells used.
fn tabs(app: &App, area: Rect, pen: &mut Canvas<'_>) -> u16 {
    let saes = app.saes();
    if saes.is_empty() {
        return 0;
    }
    let theme = pen.theme;
    let names: Vec<String> = saes.iter().map(|s| text::prose(&s.id, theme.charset)).collect();
    let most = usize::from(area.width) * 3 / 5;
    let (first, last) =
        window(&names.iter().map(|n| text::width(n) + 2).collect::<Vec<_>>(), app.sae, most.saturating_sub(8));
    let more = theme.glyphs().more;
    // The keys that choose it are its brackets, as they are for the chosen one.
    let against = app.pair().filter(|_| app.page == Page::Stitch).map(|pair| pair.small);
    let mut parts: Vec<(Span<'static>, Option<usize>)> = vec![(Span::styled("SAE ", theme.quiet()), None)];
    if first > 0 {
        parts.push((Span::styled(more, theme.quiet()), None));
    }
    for place in first..=last {
        let chosen = place == app.sae;
        let span = if chosen {
            Span::styled(format!("[{}]", names[place]), theme.chosen(true))
        } else if against.as_ref() == Some(&saes[place].id) {
            Span::styled(format!("{{{}}}", names[place]), theme.accent())
        } else if saes[place].loaded {
            Span::raw(format!(" {} ", names[place]))
        } else {
            Span::styled(format!("({})", names[place]), theme.quiet())
        };
        parts.push((span, Some(place)));
    }
    if last + 1 < saes.len() {
        parts.push((Span::styled(more, theme.quiet()), None));
    }
    let width: usize = parts.iter().map(|(s, _)| s.width()).sum::<usize>() + 1;
    let width = (width as u16).min(area.width);
    let mut x = area.right() - width;
    for (span, place) in parts {
        let cells = (span.width() as u16).min(area.right().saturating_sub(x));
        pen.buf.set_span(x, area.y, &span, cells);
        if let Some(place) = place {
            pen.hits.add(Rect { x, y: area.y, width: cells, height: 1 }, HitTarget::Sae(place));
        }
        x += cells;
    }
    width
}

/// The first and last entry of the widest stretch around `chosen` that takes no more than `most` cells.
fn window(widths: &[usize], chosen: usize, most: usize) -> (usize, usize) {
    let chosen = chosen.min(widths.len().saturating_sub(1));
    let (mut first, mut last) = (chosen, chosen);
    let mut used = widths.get(chosen).copied().unwrap_or(0);
    loop {
        let before = first.checked_sub(1).map(|i| (i, widths[i])).filter(|(_, w)| used + w <= most);
        let after = widths.get(last + 1).copied().filter(|w| used + w <= most);
        match (before, after) {
            (Some((i, w)), other) if other.is_none() || chosen - i <= last + 1 - chosen => {
                first = i;
                used += w;
            }
            (_, Some(w)) => {
                last += 1;
                used += w;
            }
            (_, None) => return (first, last),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chosen_sae_is_always_in_the_window() {
        let widths = [5; 8];
        for chosen in 0..8 {
            for most in [0, 5, 12, 20, 100] {
                let (first, last) = window(&widths, chosen, most);
                assert!(first <= chosen && chosen <= last && last < 8);
            }
            assert_eq!(window(&widths, chosen, 40), (0, 7));
        }
    }
}
