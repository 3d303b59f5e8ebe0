//! What clicks and the wheel do.
//! Not here: where things are on screen (`hits`).

use ratatui_textarea::CursorMove;

use crate::tui::app::{App, Focus};
use crate::tui::hits::HitTarget;
use crate::tui::msg::{Effect, Mouse, MouseDid};
use crate::tui::pane::NOTCH;
use crate::tui::panes;
use crate::tui::update::{overlay, select};

/// Takes what the mouse did; gives whether anything may have changed.
pub(super) fn take(app: &mut App, mouse: Mouse, effects: &mut Vec<Effect>) -> bool {
    let target = app.hits.at(mouse.column, mouse.row);
    match mouse.did {
        MouseDid::Click => click(app, target, effects),
        MouseDid::WheelUp => wheel(app, target, -1),
        MouseDid::WheelDown => wheel(app, target, 1),
    }
}

fn click(app: &mut App, target: Option<HitTarget>, effects: &mut Vec<Effect>) -> bool {
    let had_notice = app.notice.take().is_some();
    if !app.overlay.is_empty() {
        match target {
            // The first click chooses, the second does.
            Some(HitTarget::Row(row)) => {
                if overlay::choose_row(app, row) {
                    overlay::accept(app, effects);
                }
            }
            Some(HitTarget::Overlay) => {}
            _ => drop(app.overlay.pop()),
        }
        return true;
    }
    match target {
        Some(HitTarget::Pane(pane)) => app.look_at(pane),
        Some(HitTarget::Caret(line, column)) => {
            app.look_at(Focus::Prompt);
            let (line, column) = (u16::try_from(line).unwrap_or(u16::MAX), u16::try_from(column).unwrap_or(u16::MAX));
            app.editor.move_cursor(CursorMove::Jump(line, column));
            select::follow_caret(app);
        }
        Some(HitTarget::Item(pane, row)) => panes::of(pane).click(app, row, effects),
        Some(HitTarget::Tab(pane)) => panes::of(pane).enter(app),
        Some(HitTarget::Sae(sae)) => select::choose_sae(app, sae),
        Some(HitTarget::Row(_) | HitTarget::Overlay) | None => return had_notice,
    }
    true
}

fn wheel(app: &mut App, target: Option<HitTarget>, by: isize) -> bool {
    if !app.overlay.is_empty() {
        overlay::wheel(app, by * NOTCH);
        return true;
    }
    match target {
        Some(HitTarget::Pane(pane)) => panes::of(pane).wheel(app, None, by),
        Some(HitTarget::Item(pane, row)) => panes::of(pane).wheel(app, Some(row), by),
        _ => false,
    }
}
