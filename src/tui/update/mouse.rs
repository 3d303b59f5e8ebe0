//! What clicks and the wheel do.
//! Not here: where things are on screen (`hits`).

use ratatui_textarea::CursorMove;

use crate::tui::app::{App, Focus, Page};
use crate::tui::hits::Target;
use crate::tui::msg::{Effect, Mouse, MouseDid};
use crate::tui::update::{meta, origins, over, select, stitch};

/// Rows that one notch of the wheel moves.
const NOTCH: isize = 3;

/// Takes what the mouse did; gives whether anything may have changed.
pub(super) fn take(app: &mut App, mouse: Mouse, effects: &mut Vec<Effect>) -> bool {
    let target = app.hits.at(mouse.column, mouse.row);
    match mouse.did {
        MouseDid::Click => click(app, target, effects),
        MouseDid::WheelUp => wheel(app, target, -1),
        MouseDid::WheelDown => wheel(app, target, 1),
    }
}

fn click(app: &mut App, target: Option<Target>, effects: &mut Vec<Effect>) -> bool {
    let had_notice = app.notice.take().is_some();
    if !app.over.is_empty() {
        match target {
            // The first click chooses, the second does.
            Some(Target::Row(row)) => {
                if over::choose_row(app, row) {
                    over::accept(app, effects);
                }
            }
            Some(Target::Over) => {}
            _ => drop(app.over.pop()),
        }
        return true;
    }
    match target {
        Some(Target::Pane(pane)) => app.look_at(pane),
        Some(Target::Caret(line, column)) => {
            app.look_at(Focus::Prompt);
            let (line, column) = (u16::try_from(line).unwrap_or(u16::MAX), u16::try_from(column).unwrap_or(u16::MAX));
            app.editor.move_cursor(CursorMove::Jump(line, column));
            select::follow_caret(app);
        }
        Some(Target::Token(token)) => {
            app.look_at(Focus::Tokens);
            select::choose_token(app, token);
        }
        Some(Target::Latent(rank)) if app.meta.by_meta => {
            app.look_at(Focus::Latents);
            meta::choose_in_prompt(app, rank);
        }
        Some(Target::Latent(rank)) => {
            let same = app.focus == Focus::Latents && app.rank() == Some(rank);
            app.look_at(Focus::Latents);
            select::choose_rank(app, rank);
            if same {
                select::enter_card(app);
            }
        }
        Some(Target::Ladder(row)) => {
            let same = app.focus == Focus::Card && app.ladder_row == row;
            app.look_at(Focus::Card);
            app.ladder_row = row;
            if same {
                select::jump_ladder(app);
            }
        }
        Some(Target::Head(row)) => {
            app.look_at(Focus::Origins);
            origins::choose_row(app, row);
        }
        Some(Target::Queue(row)) => {
            let same = app.focus == Focus::Queue && app.stitch.queue.at == row;
            app.look_at(Focus::Queue);
            stitch::choose_row(app, row);
            if same {
                stitch::accept(app);
            }
        }
        Some(Target::Change(row)) => {
            app.look_at(Focus::Bench);
            app.stitch.change_row = row;
        }
        Some(Target::Member(row)) => {
            let same = app.focus == Focus::Group && app.stitch.group_row == row;
            app.look_at(Focus::Group);
            app.stitch.group_row = row;
            if same {
                stitch::accept(app);
            }
        }
        Some(Target::Part(row)) => {
            let before = app.meta.meta_latent;
            let same = app.focus == Focus::Parts;
            app.look_at(Focus::Parts);
            meta::choose_part(app, row);
            if same && app.meta.meta_latent == before {
                meta::accept(app);
            }
        }
        Some(Target::MetaMember(row)) => {
            let same = app.focus == Focus::MetaCard && app.meta.member == row;
            app.look_at(Focus::MetaCard);
            app.meta.member = row;
            if same {
                meta::accept(app);
            }
        }
        Some(Target::Node(node)) => {
            let same = app.focus == Focus::Map && app.meta.node == node;
            app.look_at(Focus::Map);
            meta::choose_node(app, node);
            if same {
                meta::accept(app);
            }
        }
        Some(Target::Cut(row)) => {
            app.look_at(Focus::Surgery);
            app.meta.cut_row = row;
        }
        Some(Target::Tab(pane)) if pane.page() == Some(Page::Meta) => meta::enter(app, pane),
        Some(Target::Tab(pane)) => stitch::enter(app, pane),
        Some(Target::Sae(sae)) => select::choose_sae(app, sae),
        Some(Target::Row(_) | Target::Over) | None => return had_notice,
    }
    true
}

fn wheel(app: &mut App, target: Option<Target>, by: isize) -> bool {
    if !app.over.is_empty() {
        over::wheel(app, by * NOTCH);
        return true;
    }
    match target {
        Some(Target::Pane(Focus::Tokens) | Target::Token(_)) => select::move_token(app, by),
        Some(Target::Pane(Focus::Latents) | Target::Latent(_)) => select::move_latent(app, by),
        Some(Target::Pane(Focus::Card) | Target::Ladder(_)) => select::move_ladder(app, by),
        Some(Target::Pane(Focus::Origins) | Target::Head(_)) => origins::move_head(app, by),
        Some(Target::Part(_) | Target::Cut(_) | Target::MetaMember(_)) if app.page == Page::Meta => meta::step(app, by),
        Some(Target::Pane(pane)) if app.page == Page::Stitch && pane == app.stitch.shown => stitch::step(app, by),
        Some(Target::Queue(_)) if app.stitch.shown == Focus::Queue => stitch::step(app, by * NOTCH),
        Some(Target::Change(_)) if app.stitch.shown == Focus::Bench => stitch::step(app, by),
        Some(Target::Member(_)) if app.stitch.shown == Focus::Group => stitch::step(app, by),
        _ => return false,
    }
    true
}
