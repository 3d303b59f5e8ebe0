//! The last line: the keys that are worth knowing now, from the key table.
//! Not here: all keys (`help`).

use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::text::{self, Charset};
use crate::tui::app::App;
use crate::tui::canvas::Canvas;
use crate::tui::canvas::plain;
use crate::tui::keymap;
use crate::tui::keys::{Action, Edit, KeyContext, key_name};
use crate::tui::location::Focus;
use crate::tui::panes;

/// Most hints shown: more are read by nobody.
const MAX_HINTS: usize = 9;

pub(crate) fn draw(app: &App, area: Rect, pen: &mut Canvas<'_>) {
    let theme = pen.theme;
    let ascii = theme.charset == Charset::Ascii;
    let mut spans = vec![Span::raw(" ")];
    let mut used = 1;
    for (name, short) in hints(app, ascii).into_iter().take(MAX_HINTS) {
        let short = plain(short, ascii);
        let cells = text::width(&name) + 1 + text::width(&short) + 2;
        // Whole hints only: half a hint teaches a wrong key.
        if used + cells > usize::from(area.width) + 1 {
            continue;
        }
        used += cells;
        spans.push(Span::styled(name, theme.key()));
        spans.push(Span::styled(format!(" {short}  "), theme.quiet()));
    }
    pen.line(area, 0, &Line::from(spans));
}

/// Keys and what they do in a place, most wanted first; the last of all, help and quit, are put forward so that they
/// survive a narrow screen.
fn hints(app: &App, ascii: bool) -> Vec<(String, &'static str)> {
    let place = app.place();
    let mut hints: Vec<(String, &'static str)> = keymap::rows(place)
        .filter(|row| {
            !row.short.is_empty()
                && (app.held || row.action != Action::Close || place != KeyContext::Pane(Focus::Tokens))
        })
        .filter(|row| !matches!(row.action, Action::Focus(pane) if !panes::of(pane).is_there(app)))
        .filter_map(|row| {
            let own = key_name(*row.keys.first()?, ascii);
            let pair = partner(row.action).and_then(|a| keymap::shown_for(place, a));
            Some((pair.map_or(own.clone(), |p| joined(&key_name(p, ascii), &own)), row.short))
        })
        .collect();
    let ends = |short: &str| matches!(short, "help" | "quit" | "close");
    let last: Vec<_> = hints.iter().filter(|(_, s)| ends(s)).cloned().collect();
    hints.retain(|(_, s)| !ends(s));
    let keep = MAX_HINTS.saturating_sub(last.len());
    hints.truncate(keep);
    let at = hints.len().min(4);
    hints.splice(at..at, last);
    // Shown in this order, dropped from the end.
    hints
}

fn joined(first: &str, second: &str) -> String {
    let arrows = !first.is_ascii() && text::width(first) + text::width(second) == 2;
    if arrows { format!("{first}{second}") } else { format!("{first} {second}") }
}

/// The action that goes the other way, shown with this one.
fn partner(action: Action) -> Option<Action> {
    match action {
        Action::Right => Some(Action::Left),
        Action::Down => Some(Action::Up),
        Action::Wider => Some(Action::Narrower),
        Action::AgainstWider => Some(Action::AgainstNarrower),
        Action::SteerBy(by) => Some(Action::SteerBy(-by)),
        Action::Threshold(by) => Some(Action::Threshold(-by)),
        Action::Edit(Edit::Redo) => Some(Action::Edit(Edit::Undo)),
        _ => None,
    }
}
