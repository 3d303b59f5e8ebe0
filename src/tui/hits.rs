//! Where things are on the frame that was drawn: what mouse and paging need.
//! Not here: drawing.

use ratatui::layout::{Position, Rect};

use crate::tui::location::Focus;

/// Something on screen that can be clicked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HitTarget {
    /// A pane, as a whole.
    Pane(Focus),
    /// A place in the prompt: line and character.
    Caret(usize, usize),
    /// A row of a pane, or whatever else it has of which each has a number.
    Item(Focus, usize),
    /// The name of a pane that is not shown.
    Tab(Focus),
    /// An SAE, by its place in the suite.
    Sae(usize),
    /// A row of the list that lies over the panes.
    Row(usize),
    /// What lies over the panes, as a whole.
    Overlay,
}

/// A part of stitching.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The verdict in full, with cross-entropies.
    Verdict,
    /// The workbench's measures.
    Bench,
    /// The curve.
    Curve,
    /// The group.
    Group,
    /// A meta-latent's card.
    MetaCard,
    /// The map.
    Map,
    /// Surgery.
    Surgery,
}

/// The parts of stitching that a frame shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drawn(u8);

impl Drawn {
    /// Notes that a part is shown.
    pub const fn add(&mut self, part: Part) {
        self.0 |= 1 << part as u8;
    }

    /// Whether a part is shown.
    #[must_use]
    pub const fn has(self, part: Part) -> bool {
        self.0 & (1 << part as u8) != 0
    }
}

/// What a frame reports to `update`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HitMap {
    areas: Vec<(Rect, HitTarget)>,
    /// Rows of the latents list.
    pub latent_rows: usize,
    rows: Vec<(Focus, usize)>,
    /// Rows of the card.
    pub card_rows: usize,
    /// Rows of the list that lies over the panes.
    pub over_rows: usize,
    /// Lines of the text that lies over the panes.
    pub over_lines: usize,
    /// Rows of the work queue, the group or the list of changes.
    pub stitch_rows: usize,
    /// Which parts of stitching are on screen: what is not drawn is not asked for.
    pub drawn: Drawn,
    /// Rows of a list of parts or members.
    pub meta_rows: usize,
    /// Where the map is drawn.
    pub map: Rect,
    /// Where the caret of the text that takes the keys stands.
    pub caret: Option<Position>,
    /// The first token of each line of tokens, all lines.
    pub token_lines: Vec<usize>,
}

impl HitMap {
    /// Notes that a target stands there; later ones lie over earlier ones.
    pub fn add(&mut self, area: Rect, target: HitTarget) {
        if !area.is_empty() {
            self.areas.push((area, target));
        }
    }

    /// Notes how many rows a pane's list has on screen.
    pub fn note_rows(&mut self, pane: Focus, rows: usize) {
        self.rows.push((pane, rows));
    }

    /// How many rows a pane's list has on screen.
    #[must_use]
    pub fn rows(&self, pane: Focus) -> usize {
        self.rows.iter().rev().find(|(of, _)| *of == pane).map_or(0, |(_, rows)| *rows)
    }

    /// Whether a pane is on screen: what is not drawn is not asked for.
    #[must_use]
    pub fn shows(&self, pane: Focus) -> bool {
        self.areas.iter().any(|(_, target)| *target == HitTarget::Pane(pane))
    }

    /// What stands at a place.
    #[must_use]
    pub fn at(&self, column: u16, row: u16) -> Option<HitTarget> {
        let place = Position::new(column, row);
        self.areas.iter().rev().find(|(area, _)| area.contains(place)).map(|(_, target)| *target)
    }

    /// The place of a target, for tests and pictures.
    #[must_use]
    pub fn area(&self, target: HitTarget) -> Option<Rect> {
        self.areas.iter().rev().find(|(_, t)| *t == target).map(|(area, _)| *area)
    }
}
