//! What actions do where two SAEs are compared and stitched.
//! Not here: asking for what they need (`stitch_requests.rs`), what arrives (`stitch_responses.rs`).

use std::sync::Arc;

use crate::analysis::{Change, Order, PairView, Side};
use crate::home;
use crate::session::{ExportQuery, TextQuery};
use crate::tui::app::{App, Focus, LatentRef, Page};
use crate::tui::keys::Action;
use crate::tui::msg::Effect;
use crate::tui::overlay::{Field, Overlay, PathFor};
use crate::tui::pane::leap_of;
use crate::tui::stitch::{Filter, InPrompt, PairIds, Show, Sort, Sums};
use crate::tui::update::{say, select};

/// Goes to a pane of stitching. From the narrowest SAE the ladder is climbed by one: there is nothing to compare it with.
pub(crate) fn enter(app: &mut App, pane: Focus) {
    if app.pair().is_none() {
        select::turn_sae(app, 1);
        let Some(PairIds { small, large }) = app.pair() else {
            say(app, "stitching needs two loaded SAEs of the suite; s shows suites");
            return;
        };
        say(app, format!("{small} is the narrowest SAE: this compares the next wider, {large}, with it"));
    }
    // What is compared must not change while one moves along the tokens.
    app.held = app.latent.is_some();
    app.look_at(pane);
}

/// Back to the page of latents, to the pane one came from.
pub(crate) fn leave(app: &mut App) {
    app.page = Page::Explore;
    match app.stitch.left {
        Focus::Card => select::enter_card(app),
        pane => app.look_at(pane),
    }
}

/// Compares with a narrower or wider SAE than now.
pub(crate) fn against(app: &mut App, by: isize) {
    let Some(pair) = app.pair() else {
        say(app, "there is no narrower SAE to compare with");
        return;
    };
    let narrower: Vec<String> = app.narrower().iter().map(|s| s.id.clone()).collect();
    let at = narrower.iter().position(|id| *id == pair.small).unwrap_or(0);
    let to = at.saturating_add_signed(by).min(narrower.len().saturating_sub(1));
    // The next one down is what is compared with unless something else was chosen.
    app.stitch.against = narrower.get(to).filter(|_| to + 1 < narrower.len()).cloned();
    if app.page == Page::Explore
        && let Some(id) = narrower.get(to)
    {
        say(app, format!("{} is compared with {id}", pair.large));
    }
}

/// Changes θ by hundredths, within −1…1.
pub(crate) fn threshold(app: &mut App, by: i8) {
    let hundredths = (app.stitch.threshold * 100.0).round() + f32::from(by);
    app.stitch.threshold = hundredths.clamp(-100.0, 100.0) / 100.0;
    if app.page == Page::Explore {
        say(app, format!("θ {:.2}", app.stitch.threshold));
    }
}

/// What θ makes of the pair shown, its order, and the row that goes with the chosen latent.
pub(crate) fn settle(app: &mut App) {
    if app.page != Page::Stitch {
        return;
    }
    let Some(pair) = app.pair() else { return };
    let Some(view) = app.stitch.view(&pair).cloned() else {
        app.stitch.queue.forget();
        app.stitch.sums = None;
        return;
    };
    count(app, &view);
    let filter = filter(app, &pair);
    app.stitch.queue.arrange(&view, filter);
    follow(app);
}

fn count(app: &mut App, view: &PairView) {
    if app.stitch.sums().is_some() {
        return;
    }
    let theta = app.stitch.threshold;
    let disagree = view.rows.iter().filter(|row| row.disagrees(theta) == Some(true)).count();
    app.stitch.sums = Some((theta.to_bits(), Sums { counts: view.counts(theta).ok(), disagree }));
}

fn filter(app: &mut App, pair: &PairIds) -> Filter {
    let queue = &app.stitch.queue;
    let by_prompt = queue.show == Show::Fires || queue.sort == Sort::Here;
    let prompt = if by_prompt { in_prompt(app, &pair.large) } else { Arc::default() };
    let found = (!app.stitch.queue.text.is_empty())
        .then(|| app.stitch.found.value().filter(|found| found.sae == pair.large))
        .flatten()
        .map(|found| found.hits.iter().map(|hit| hit.latent).collect());
    let mut bench = Vec::new();
    for change in app.stitch.changes(pair) {
        match change {
            Change::Insert(latent) => bench.push(*latent),
            Change::Remove(_) => {}
            Change::Swap { large, .. } => bench.extend(large),
        }
    }
    Filter { threshold: app.stitch.threshold, prompt, found, bench }
}

/// What every latent of an SAE does on the chosen token and in the prompt.
fn in_prompt(app: &mut App, sae: &str) -> Arc<Vec<InPrompt>> {
    let key = (app.runs, app.token, sae.to_owned());
    if let Some((made, all)) = &app.stitch.prompt
        && *made == key
    {
        return Arc::clone(all);
    }
    let mut all = Vec::new();
    if let Some(run) = app.run_of(sae) {
        all = vec![(0.0, 0.0); run.width];
        for position in &run.positions {
            for firing in &position.latents {
                if let Some((here, most)) = all.get_mut(firing.latent as usize) {
                    if position.position == app.token {
                        *here = firing.activation;
                    }
                    *most = firing.activation.max(*most);
                }
            }
        }
    }
    let all = Arc::new(all);
    app.stitch.prompt = Some((key, Arc::clone(&all)));
    all
}

/// Puts the queue's cursor on the chosen latent; where the queue does not show it, chooses what stands there.
fn follow(app: &mut App) {
    let queue = &mut app.stitch.queue;
    let len = queue.order().len();
    if queue.latent() != app.latent || app.latent.is_none() {
        let at = app.latent.and_then(|latent| queue.order().iter().position(|l| *l == latent));
        queue.at = at.unwrap_or(queue.at).min(len.saturating_sub(1));
        if at.is_none()
            && app.focus == Focus::Queue
            && let Some(latent) = queue.latent()
        {
            select::choose(app, Some(latent));
            app.held = true;
        }
    }
    let rows = app.hits.stitch_rows.max(1);
    let queue = &mut app.stitch.queue;
    if queue.at < queue.top {
        queue.top = queue.at;
    } else if queue.at >= queue.top + rows {
        queue.top = queue.at + 1 - rows;
    }
    queue.top = queue.top.min(len.saturating_sub(rows));
}

/// Chooses a row of the queue, and its latent with it.
pub(crate) fn choose_row(app: &mut App, row: usize) {
    let Some(latent) = app.stitch.queue.order().get(row).copied() else { return };
    app.stitch.queue.at = row;
    select::choose(app, Some(latent));
    app.held = true;
}

/// Moves along the rows of the pane shown.
pub(crate) fn step(app: &mut App, by: isize) {
    let moved = |at: usize, len: usize| at.saturating_add_signed(by).min(len.saturating_sub(1));
    match app.stitch.shown {
        Focus::Bench => {
            let len = app.pair().map_or(0, |pair| app.stitch.changes(&pair).len());
            app.stitch.change_row = moved(app.stitch.change_row, len);
        }
        Focus::Curve => {
            let len = app.stitch.curve.value().map_or(0, |curve| curve.points.len());
            app.stitch.point = moved(app.stitch.point, len);
        }
        Focus::Group => {
            app.stitch.group_row = moved(app.stitch.group_row, members(app).len());
        }
        _ => {
            let len = app.stitch.queue.order().len();
            let at = app.stitch.queue.at;
            // A latent that the queue does not show is left for the row that stands where it would.
            let to = if app.stitch.queue.latent() == app.latent { moved(at, len) } else { at };
            choose_row(app, to);
        }
    }
}

/// To the first or last row, or a page.
pub(crate) fn leap(app: &mut App, action: Action) {
    step(app, leap_of(action, app.hits.stitch_rows));
}

/// The latents of the group shown, the smaller SAE's first.
pub(crate) fn members(app: &App) -> Vec<(Side, u32)> {
    let Some(Some(group)) = app.stitch.group.value().map(|group| &**group) else { return Vec::new() };
    let small = group.small.iter().map(|latent| (Side::Small, *latent));
    small.chain(group.large.iter().map(|latent| (Side::Large, *latent))).collect()
}

/// Goes to the card of what is chosen.
pub(crate) fn accept(app: &mut App) {
    let Some(pair) = app.pair() else { return };
    let member = match app.focus {
        Focus::Bench => match app.stitch.changes(&pair).get(app.stitch.change_row) {
            Some(Change::Insert(latent)) => Some((Side::Large, *latent)),
            Some(Change::Remove(latent)) => Some((Side::Small, *latent)),
            Some(Change::Swap { large, .. }) => large.first().map(|latent| (Side::Large, *latent)),
            None => None,
        },
        Focus::Group => members(app).get(app.stitch.group_row).copied(),
        _ => app.latent.map(|latent| (Side::Large, latent)),
    };
    let Some((side, latent)) = member else { return };
    let sae = if side == Side::Large { pair.large } else { pair.small };
    select::visit(app, &LatentRef { sae, latent });
    select::enter_card(app);
}

/// Puts what is chosen in, or takes it out.
pub(crate) fn toggle(app: &mut App) {
    let Some(pair) = app.pair() else {
        say(app, "there is no narrower SAE to put it into");
        return;
    };
    let row = app.stitch.change_row;
    let changes = app.stitch.changes.entry(pair.clone()).or_default();
    if app.focus == Focus::Bench {
        if changes.remove(row) {
            app.stitch.change_row = row.min(changes.now().len().saturating_sub(1));
        } else {
            say(app, "nothing is put in; Space on a latent of the queue or on its card does");
        }
        return;
    }
    let member = if app.focus == Focus::Group { members(app).get(app.stitch.group_row).copied() } else { None };
    let chosen = app.latent.map(|latent| (Side::Large, latent));
    let changes = app.stitch.changes.entry(pair.clone()).or_default();
    let said = match member.or(chosen) {
        Some((Side::Large, latent)) => {
            let done = if changes.toggle(latent) { "put into" } else { "taken out of" };
            format!("{}/{latent} {done} the stitched {}", pair.large, pair.small)
        }
        Some((Side::Small, latent)) => {
            let done = if changes.toggle_small(latent) { "taken out of" } else { "put back into" };
            format!("{}/{latent} {done} the stitched SAE", pair.small)
        }
        None => return,
    };
    say(app, said);
}

/// Swaps the chosen latent's group, or swaps it back.
pub(crate) fn swap(app: &mut App) {
    let (Some(pair), Some(latent)) = (app.pair(), app.latent) else { return };
    let Some(view) = app.stitch.view(&pair).cloned() else {
        say(app, "groups are known once the two SAEs are compared; 5 shows how far that is");
        return;
    };
    let theta = app.stitch.threshold;
    match view.group_of(Side::Large, latent, theta) {
        Ok(Some(group)) => {
            let changes = app.stitch.changes.entry(pair).or_default();
            let done = if changes.swap(&group.small, &group.large) { "swapped" } else { "swapped back" };
            let (out, into) = (group.small.len(), group.large.len());
            say(app, format!("group of {latent} {done}: {out} of the narrower SAE for {into} of the wider"));
        }
        Ok(None) => say(app, format!("{latent} is novel at θ {theta:.2}: it has no group; Space puts it in alone")),
        Err(error) => say(app, error.to_string()),
    }
}

/// Undo, redo, or all changes back.
pub(crate) fn travel(app: &mut App, action: Action) {
    let Some(pair) = app.pair() else { return };
    let changes = app.stitch.changes.entry(pair).or_default();
    let (done, none) = match action {
        Action::UndoChange => (changes.undo(), "nothing to undo in this pair's workbench"),
        Action::RedoChange => (changes.redo(), "nothing to redo in this pair's workbench"),
        _ => (changes.clear(), "nothing is put in or taken out"),
    };
    let (count, (undo, redo)) = (changes.now().len(), changes.depth());
    let last = count.saturating_sub(1);
    app.stitch.change_row = app.stitch.change_row.min(last);
    say(app, if done { format!("{count} changes; {undo} to undo, {redo} to redo") } else { none.to_owned() });
}

/// Asks for a path: where the stitched SAE goes, or which text is measured on.
pub(crate) fn ask_path(app: &mut App, action: Action) {
    let Some(pair) = app.pair() else { return };
    if action == Action::ChooseText {
        app.overlay.push(Overlay::Path(Field::default(), PathFor::Text));
        return;
    }
    if app.stitch.changes(&pair).is_empty() {
        say(app, "nothing is stitched yet; Space puts a latent in, x swaps its group");
        return;
    }
    let name = format!("stitched-{}-{}", pair.small, pair.large).replace(['/', '\\'], "-");
    app.overlay.push(Overlay::Path(Field { input: name.into(), row: 0 }, PathFor::Export));
}

/// Takes the path that was typed.
pub(crate) fn take_path(app: &mut App, typed: &str, what: PathFor, effects: &mut Vec<Effect>) {
    let path = home::expand_from(typed.trim(), app.home.as_deref());
    let given = !path.as_os_str().is_empty();
    match what {
        PathFor::Export => {
            let Some(PairIds { small, large }) = app.pair().filter(|_| given) else { return };
            let changes = app.stitch.changes(&PairIds { small: small.clone(), large: large.clone() }).to_vec();
            let query = ExportQuery { small, large, changes, folder: path };
            effects.push(app.stitch.export.ask(query, (), &mut app.tickets));
        }
        PathFor::Text => {
            let query = TextQuery { file: given.then_some(path) };
            effects.push(app.stitch.text.ask(query, (), &mut app.tickets));
        }
    }
}

/// Sorts or shows the queue another way, or takes the curve's steps in another order.
pub(crate) fn arrange(app: &mut App, action: Action) {
    let queue = &mut app.stitch.queue;
    match action {
        Action::Reverse => queue.reversed = !queue.reversed,
        Action::Show => {
            queue.show = queue.show.next();
            queue.top = 0;
        }
        _ if app.focus == Focus::Curve => {
            app.stitch.order = match app.stitch.order {
                Order::Effect => Order::Cosine,
                Order::Cosine => Order::Random(0),
                Order::Random(_) => Order::Effect,
            };
        }
        _ => {
            queue.sort = queue.sort.next();
            queue.reversed = false;
        }
    }
}

/// Opens the queue's text filter, with what it was.
pub(crate) fn open_filter(app: &mut App) {
    let text = app.stitch.queue.text.clone();
    app.overlay.push(Overlay::Filter(Field { input: text.into(), row: 0 }));
}

/// To the next latent in the queue on which the cosine rule and c* disagree.
pub(crate) fn next_disagreement(app: &mut App, by: isize) {
    let Some(view) = app.pair().and_then(|pair| app.stitch.view(&pair).cloned()) else {
        say(app, "the two SAEs are still being compared");
        return;
    };
    let theta = app.stitch.threshold;
    let is = |latent: u32| view.rows.get(latent as usize).is_some_and(|row| row.disagrees(theta) == Some(true));
    let queue = &app.stitch.queue;
    if let Some(row) = queue.seek(queue.at, by, is) {
        choose_row(app, row);
    } else if let Some(row) = queue.seek_all(by, is) {
        choose_row(app, row);
        say(app, if by > 0 { "from the top again" } else { "from the end again" });
    } else {
        say(app, "the two rules disagree on none of these");
    }
}
