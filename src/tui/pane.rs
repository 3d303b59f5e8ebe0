//! What a pane is: its name, keys and help, what it asks for, what it does with keys and clicks, and how it looks.
//! Not here: any one of them; each has a file in `panes/`.

use ratatui::layout::Rect;

use crate::tui::app::App;
use crate::tui::canvas::Canvas;
use crate::tui::keys::{Action, Binding};
use crate::tui::location::{Focus, LatentRef};
use crate::tui::msg::Effect;
use crate::tui::question::Question;

/// Rows that one notch of the wheel moves in a long list.
pub const NOTCH: isize = 3;

/// A pane: a value without state, which is the explorer's.
pub trait Pane: Sync {
    /// Which one it is.
    fn focus(&self) -> Focus;

    /// Its name in help and README.
    fn name(&self) -> &'static str;

    /// Its key and name in the line over the panes of its page; none where it has no place there.
    fn tab(&self) -> Option<&'static str> {
        None
    }

    /// The keys that hold in it alone.
    fn keys(&self) -> &'static [Binding] {
        &[]
    }

    /// How to read it.
    fn help(&self) -> &'static [&'static str];

    /// What is asked for it.
    fn questions(&self) -> &'static [Question] {
        &[]
    }

    /// Whether there is anything to go to.
    fn is_there(&self, _app: &App) -> bool {
        true
    }

    /// Goes to it.
    fn enter(&self, app: &mut App) {
        app.look_at(self.focus());
    }

    /// Does what a key asks for while it is focused; gives false where that is no matter of its own.
    fn act(&self, app: &mut App, action: Action, effects: &mut Vec<Effect>) -> bool;

    /// Takes a click on one of its rows; the second one on the same row opens it.
    fn click(&self, app: &mut App, _row: usize, _effects: &mut Vec<Effect>) {
        app.look_at(self.focus());
    }

    /// Takes a turn of the wheel over it, or over one of its rows; gives whether anything may have changed.
    fn wheel(&self, _app: &mut App, _row: Option<usize>, _by: isize) -> bool {
        false
    }

    /// Keeps what is chosen within what there is.
    fn settle(&self, _app: &mut App) {}

    /// Asks for what it lacks; called after every message.
    fn ask(&self, _app: &mut App, _effects: &mut Vec<Effect>) {}

    /// The latents whose names it shows.
    fn names(&self, _app: &App) -> Vec<LatentRef> {
        Vec::new()
    }

    /// What the command that prints the chosen latent needs, so that it prints what is shown.
    fn command(&self, _app: &App) -> Option<String> {
        None
    }

    /// The whole command that gives what is shown, where that is another than the latent's card.
    fn whole_command(&self, _app: &App) -> Option<String> {
        None
    }

    /// Draws it.
    fn draw(&self, app: &App, area: Rect, pen: &mut Canvas<'_>);
}

/// The direction of a key that goes up or down.
#[must_use]
pub fn step_of(action: Action) -> isize {
    if action == Action::Up { -1 } else { 1 }
}

/// How far a list of so many visible rows moves on a key that goes to an end or over a page.
#[must_use]
pub fn leap_of(action: Action, rows: usize) -> isize {
    let page = isize::try_from(rows.max(2) - 1).unwrap_or(1);
    match action {
        Action::First => isize::MIN / 2,
        Action::Last => isize::MAX / 2,
        Action::PageUp => -page,
        _ => page,
    }
}
