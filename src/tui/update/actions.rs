//! What actions do in the panes.
//! Not here: what they do in lists and texts that lie over the panes.

use crate::tui::app::{App, Focus, LatentRef, MOST_PINS, Page, Visit};
use crate::tui::keys::{Action, Edit};
use crate::tui::msg::Effect;
use crate::tui::over::{Field, Over, PickFor};
use crate::tui::update::{always, meta, origins, over, questions, say, select, stitch, suites};

/// Does an action in the focused pane; gives whether anything may have changed.
pub(super) fn in_panes(app: &mut App, action: Action, effects: &mut Vec<Effect>) -> bool {
    if let Some(done) = always(app, action, effects) {
        return done;
    }
    match action {
        Action::Edit(edit) => edit_prompt(app, edit),
        Action::NextPane => turn_focus(app, true),
        Action::PreviousPane => turn_focus(app, false),
        Action::FocusPrompt => app.look_at(Focus::Prompt),
        Action::FocusTokens => app.look_at(Focus::Tokens),
        Action::FocusLatents => app.look_at(Focus::Latents),
        Action::FocusCard => select::enter_card(app),
        Action::FocusOrigins => origins::enter(app),
        Action::FocusQueue => stitch::enter(app, Focus::Queue),
        Action::FocusBench => stitch::enter(app, Focus::Bench),
        Action::FocusCurve => stitch::enter(app, Focus::Curve),
        Action::FocusGroup => stitch::enter(app, Focus::Group),
        Action::FocusParts => meta::enter(app, Focus::Parts),
        Action::FocusMap => meta::enter(app, Focus::Map),
        Action::FocusSurgery => meta::enter(app, Focus::Surgery),
        Action::ByMeta => meta::by_meta(app),
        Action::NextMeta => meta::next(app),
        Action::Train => meta::ask_training(app),
        Action::FindMeta => meta::pick(app, PickFor::See),
        Action::NameTokens => meta::ask_names(app),
        Action::Toggle | Action::Swap | Action::ClearChanges | Action::Order | Action::Reverse
            if app.focus == Focus::Surgery =>
        {
            meta::operate(app, action);
        }
        Action::AddPart | Action::Strength(_) => meta::operate(app, action),
        Action::Left if app.focus == Focus::Map => meta::walk(app, (-1, 0)),
        Action::Right if app.focus == Focus::Map => meta::walk(app, (1, 0)),
        Action::AgainstNarrower => stitch::against(app, -1),
        Action::AgainstWider => stitch::against(app, 1),
        Action::Threshold(by) => stitch::threshold(app, by),
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
        Action::Up => up_down(app, -1),
        Action::Down => up_down(app, 1),
        Action::PageUp | Action::PageDown | Action::First | Action::Last => leap(app, action),
        Action::Narrower => select::turn_sae(app, -1),
        Action::Wider => select::turn_sae(app, 1),
        Action::Back | Action::Forward => travel(app, action),
        Action::Accept => accept(app),
        Action::Close => close(app),
        Action::Pin => pin(app),
        Action::UnpinAll => app.pins.clear(),
        Action::CopyReference | Action::CopyCommand => copy(app, action, effects),
        Action::NextFound => next_found(app, 1),
        Action::PreviousFound => next_found(app, -1),
        Action::Mouse => toggle_mouse(app, effects),
        Action::Retry => questions::retry(app, effects),
        Action::ShowError => questions::show_error(app),
        Action::Search => app.over.push(Over::Search(Field::default())),
        Action::Palette => app.over.push(Over::Palette(Field::default())),
        Action::Suites => suites::show(app, effects),
        Action::Wiring => app.over.push(Over::Wiring { top: 0 }),
        Action::WeightsOnly => suites::open(app, app.suite.clone(), suites::other_reach(app), effects),
        Action::Help => app.over.push(Over::Help { about: app.focus.place(), top: 0 }),
        // Done by `always`.
        Action::Interrupt
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
    over::edit_area(&mut app.editor, edit);
    select::follow_caret(app);
}

fn turn_focus(app: &mut App, forward: bool) {
    let order = app.page.order();
    // The origins stand in the card's place.
    let now = if app.focus == Focus::Origins { Focus::Card } else { app.focus };
    let at = order.iter().position(|f| *f == now).unwrap_or(0);
    let to = if forward { at + 1 } else { at + order.len() - 1 };
    match order.get(to % order.len()).copied() {
        Some(Focus::Card) if app.origins.shown => app.look_at(Focus::Origins),
        Some(Focus::Card) => select::enter_card(app),
        Some(pane) => app.look_at(pane),
        None => {}
    }
}

fn up_down(app: &mut App, by: isize) {
    match (app.focus, app.page) {
        (Focus::Card, _) => select::move_ladder(app, by),
        (Focus::Origins, _) => origins::move_head(app, by),
        // The list of latents is on the other page; what is shown moves.
        (_, Page::Stitch) => stitch::step(app, by),
        (_, Page::Meta) => meta::step(app, by),
        _ if app.meta.by_meta => meta::step_in_prompt(app, by),
        _ => select::move_latent(app, by),
    }
}

fn leap(app: &mut App, action: Action) {
    match app.focus {
        Focus::Tokens => select::leap_token(app, action),
        Focus::Latents if app.meta.by_meta => meta::leap_in_prompt(app, action),
        Focus::Latents => select::leap_latent(app, action),
        Focus::Origins => origins::leap(app, action),
        Focus::Parts | Focus::MetaCard | Focus::Map | Focus::Surgery => meta::leap(app, action),
        Focus::Card => {
            let far = isize::try_from(app.ladder_rows().len()).unwrap_or(isize::MAX);
            select::move_ladder(app, if matches!(action, Action::First | Action::PageUp) { -far } else { far });
        }
        Focus::Queue | Focus::Bench | Focus::Curve | Focus::Group => stitch::leap(app, action),
        Focus::Prompt => {}
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
    let Some(found) = app.found.value().filter(|f| !f.latents.is_empty()) else {
        say(app, "nothing was searched; / searches");
        return;
    };
    let chosen = app.chosen().filter(|c| c.sae == found.sae);
    let at = chosen.and_then(|c| found.latents.iter().position(|(latent, _)| *latent == c.latent));
    let last = found.latents.len() - 1;
    let to = at.map_or(0, |at| at.saturating_add_signed(by).min(last));
    let Some((latent, _)) = found.latents.get(to) else { return };
    let to = LatentRef { sae: found.sae.clone(), latent: *latent };
    select::visit(app, &to);
}

fn accept(app: &mut App) {
    match app.focus {
        Focus::Tokens if app.page == Page::Stitch => app.look_at(app.stitch.shown),
        Focus::Tokens if app.page == Page::Meta => app.look_at(app.meta.shown),
        Focus::Tokens => app.look_at(Focus::Latents),
        Focus::Latents if app.meta.by_meta => meta::open_card(app),
        Focus::Latents => {
            if let Some(visit) = app.visit_now() {
                app.held = true;
                app.history.visit(None, visit);
                select::enter_card(app);
            }
        }
        Focus::Card => select::jump_ladder(app),
        Focus::Queue | Focus::Bench | Focus::Group => stitch::accept(app),
        Focus::Parts | Focus::MetaCard | Focus::Map => meta::accept(app),
        Focus::Prompt | Focus::Curve | Focus::Surgery | Focus::Origins => {}
    }
}

fn close(app: &mut App) {
    match app.focus {
        Focus::Prompt | Focus::Latents => app.look_at(Focus::Tokens),
        Focus::Card => app.look_at(Focus::Latents),
        Focus::Origins => origins::leave(app),
        Focus::Tokens if app.page == Page::Stitch => app.look_at(app.stitch.shown),
        Focus::Tokens if app.page == Page::Meta => app.look_at(app.meta.shown),
        Focus::Tokens => select::release(app),
        Focus::Queue | Focus::Bench | Focus::Curve | Focus::Group => stitch::leave(app),
        Focus::Parts | Focus::MetaCard | Focus::Map | Focus::Surgery => meta::leave(app),
    }
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
    let text = match action {
        Action::CopyReference => format!("{suite}/{sae}/{latent}"),
        _ if app.origins.shown && app.focus == Focus::Origins => {
            let prompt = app.shown_prompt.replace('\'', r"'\''");
            format!("{} --prompt '{prompt}' --position {}", card(), app.token)
        }
        _ => card(),
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
