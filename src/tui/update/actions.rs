//! What actions do in the panes, where the focused pane does nothing of its own with them.
//! Not here: what a pane does with them (`panes`), and what they do in lists and texts that lie over the panes.

use crate::tui::app::{App, Focus, LatentRef, MOST_PINS, Visit};
use crate::tui::keys::{Action, Edit, KeyContext};
use crate::tui::msg::Effect;
use crate::tui::overlay::{Field, Overlay, PickFor};
use crate::tui::panes;
use crate::tui::update::{always, meta, overlay, questions, say, select, stitch, suites};

/// Does an action in the focused pane; gives whether anything may have changed.
pub(super) fn in_panes(app: &mut App, action: Action, effects: &mut Vec<Effect>) -> bool {
    if let Some(done) = always(app, action, effects) {
        return done;
    }
    if panes::of(app.focus).act(app, action, effects) {
        return true;
    }
    match action {
        Action::Edit(edit) => edit_prompt(app, edit),
        Action::NextPane => turn_focus(app, true),
        Action::PreviousPane => turn_focus(app, false),
        Action::Focus(pane) => panes::of(pane).enter(app),
        Action::ByMeta => meta::by_meta(app),
        Action::NextMeta => meta::next(app),
        Action::Train => meta::ask_training(app),
        Action::FindMeta => meta::pick(app, PickFor::See),
        Action::WriteLabel => overlay::ask_label(app),
        Action::NameTokens => meta::ask_names(app),
        Action::AgainstNarrower => stitch::against(app, -1),
        Action::AgainstWider => stitch::against(app, 1),
        Action::Threshold(by) => stitch::threshold(app, by),
        Action::SteerOff | Action::SteerBy(_) => panes::steer::start(app, action),
        Action::Toggle => stitch::toggle(app),
        Action::Swap => stitch::swap(app),
        Action::UndoChange | Action::RedoChange | Action::ClearChanges => stitch::travel(app, action),
        Action::Export | Action::ChooseText => stitch::ask_path(app, action),
        Action::Order | Action::Reverse | Action::Show => stitch::arrange(app, action),
        Action::Filter => stitch::open_filter(app),
        Action::NextDisagreement => stitch::next_disagreement(app, 1),
        Action::PreviousDisagreement => stitch::next_disagreement(app, -1),
        Action::Left => select::move_token(app, -1),
        Action::Right => select::move_token(app, 1),
        Action::Narrower => select::turn_sae(app, -1),
        Action::Wider => select::turn_sae(app, 1),
        Action::Back | Action::Forward => travel(app, action),
        Action::Pin => pin(app),
        Action::UnpinAll => app.pins.clear(),
        Action::CopyReference | Action::CopyCommand => copy(app, action, effects),
        Action::NextFound => next_found(app, 1),
        Action::PreviousFound => next_found(app, -1),
        Action::Mouse => toggle_mouse(app, effects),
        Action::Retry => questions::retry(app, effects),
        Action::ShowError => questions::show_error(app),
        Action::Search => app.overlay.push(Overlay::Search(Field::default())),
        Action::Palette => app.overlay.push(Overlay::Palette(Field::default())),
        Action::Suites => suites::show(app, effects),
        Action::Wiring => app.overlay.push(Overlay::Wiring { top: 0 }),
        Action::WeightsOnly => suites::open(app, app.suite.clone(), suites::other_reach(app), effects),
        Action::Help => app.overlay.push(Overlay::Help { about: KeyContext::Pane(app.focus), top: 0 }),
        // Done by the panes that know them, or by `always`.
        Action::Up
        | Action::Down
        | Action::First
        | Action::Last
        | Action::PageUp
        | Action::PageDown
        | Action::Accept
        | Action::Close
        | Action::AddPart
        | Action::Strength(_)
        | Action::Own(_)
        | Action::Interrupt
        | Action::Suspend
        | Action::Repaint
        | Action::Quit
        | Action::SaveSvg
        | Action::SaveText
        | Action::SaveAnsi => {}
    }
    true
}

fn edit_prompt(app: &mut App, edit: Edit) {
    // Down from the last line leaves the prompt, as one moves down a page.
    let last = app.editor.lines().len().saturating_sub(1);
    if edit == Edit::Down && app.editor.cursor().0 >= last {
        app.look_at(Focus::Tokens);
        return;
    }
    overlay::edit_area(&mut app.editor, edit);
    select::follow_caret(app);
}

fn turn_focus(app: &mut App, forward: bool) {
    let order = panes::order(app.page, app.beside);
    let same = |focus: &Focus| *focus == app.focus || (focus.is_beside() && app.focus.is_beside());
    let at = order.iter().position(same).unwrap_or(0);
    let to = if forward { at + 1 } else { at + order.len() - 1 };
    match order.get(to % order.len().max(1)).copied() {
        Some(Focus::Card) => select::enter_card(app),
        Some(pane) => app.look_at(pane),
        None => {}
    }
}

fn travel(app: &mut App, action: Action) {
    let now = app.visit_now();
    let to = if action == Action::Back { app.history.back(now) } else { app.history.forward() };
    match to {
        Some(to) => return_to(app, &to),
        None if action == Action::Back => say(app, "nothing visited before; Enter on a latent or a jump is a visit"),
        None => say(app, "nothing visited after"),
    }
}

/// Goes where the person was.
fn return_to(app: &mut App, to: &Visit) {
    select::go(app, &to.latent);
    if let Some(meta_latent) = to.meta_latent {
        meta::choose(app, meta_latent, true);
        app.look_at(Focus::MetaCard);
        return;
    }
    app.meta.held = false;
    if app.focus == Focus::MetaCard {
        app.look_at(Focus::Parts);
    }
}

/// Goes to the latent that stands after the chosen one in what the search found; to the first when it is none of them.
fn next_found(app: &mut App, by: isize) {
    let Some(found) = app.found.value().filter(|f| !f.hits.is_empty()) else {
        say(app, "nothing was searched; / searches");
        return;
    };
    let chosen = app.chosen().filter(|c| c.sae == found.sae);
    let at = chosen.and_then(|c| found.hits.iter().position(|hit| hit.latent == c.latent));
    let last = found.hits.len() - 1;
    let to = at.map_or(0, |at| at.saturating_add_signed(by).min(last));
    let Some(hit) = found.hits.get(to) else { return };
    let to = LatentRef { sae: found.sae.clone(), latent: hit.latent };
    select::visit(app, &to);
}

fn pin(app: &mut App) {
    let Some(chosen) = app.chosen() else { return };
    if let Some(at) = app.pins.iter().position(|p| *p == chosen) {
        app.pins.remove(at);
    } else if app.pins.len() < MOST_PINS {
        app.pins.push(chosen);
    } else {
        say(app, format!("{MOST_PINS} latents are pinned already; P unpins all"));
    }
}

fn copy(app: &mut App, action: Action, effects: &mut Vec<Effect>) {
    let (Some(opened), Some(chosen)) = (app.opened.value(), app.chosen()) else { return };
    let (suite, sae, latent) = (&opened.suite, &chosen.sae, chosen.latent);
    let card = || format!("saescope latent --suite {suite} --sae {sae} {latent}");
    let pane = panes::of(app.focus);
    let whole = pane.whole_command(app).filter(|_| action == Action::CopyCommand);
    let text = match (action, pane.command(app)) {
        _ if whole.is_some() => whole.unwrap_or_default(),
        (Action::CopyReference, _) => format!("{suite}/{sae}/{latent}"),
        (_, Some(more)) => format!("{} {more}", card()),
        (_, None) => card(),
    };
    say(app, format!("copied {text}"));
    effects.push(Effect::Copy(text));
}

fn toggle_mouse(app: &mut App, effects: &mut Vec<Effect>) {
    app.mouse = !app.mouse;
    effects.push(Effect::Mouse(app.mouse));
    let text = if app.mouse { "mouse on: click, wheel" } else { "mouse off: the terminal selects text again" };
    say(app, text);
}
