//! Where things are on the frame that was drawn: what mouse and paging need.
//! Not here: drawing.

use ratatui::layout::{Position, Rect};

use crate::tui::app::Focus;

/// Something on screen that can be clicked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// A pane, as a whole.
    Pane(Focus),
    /// A place in the prompt: line and character.
    Caret(usize, usize),
    /// A token, by position.
    Token(usize),
    /// An entry of the latents list.
    Latent(usize),
    /// A row of the card's ladder.
    Ladder(usize),
    /// An SAE, by its place in the suite.
    Sae(usize),
    /// A row of the list that lies over the panes.
    Row(usize),
    /// What lies over the panes, as a whole.
    Over,
}

/// What a frame tells `update`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hits {
    areas: Vec<(Rect, Target)>,
    /// Rows of the latents list.
    pub latent_rows: usize,
    /// Rows of the card.
    pub card_rows: usize,
    /// Rows of the list that lies over the panes.
    pub over_rows: usize,
    /// Lines of the text that lies over the panes.
    pub over_lines: usize,
    /// The first token of each line of tokens, all lines.
    pub token_lines: Vec<usize>,
}

impl Hits {
    /// Notes that a target stands there; later ones lie over earlier ones.
    pub fn add(&mut self, area: Rect, target: Target) {
        if !area.is_empty() {
            self.areas.push((area, target));
        }
    }

    /// What stands at a place.
    #[must_use]
    pub fn at(&self, column: u16, row: u16) -> Option<Target> {
        let place = Position::new(column, row);
        self.areas.iter().rev().find(|(area, _)| area.contains(place)).map(|(_, target)| *target)
    }

    /// The place of a target, for tests and pictures.
    #[must_use]
    pub fn area(&self, target: Target) -> Option<Rect> {
        self.areas.iter().rev().find(|(_, t)| *t == target).map(|(area, _)| *area)
    }
}
