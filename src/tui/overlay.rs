//! What can lie over the panes: help, palette, search, suites, a question, an error in full.
//! Not here: drawing them.

use tui_input::Input;

use crate::report::Report;
use crate::session::{LensOffer, MetaRecipe};
use crate::tui::keys::KeyContext;
use crate::tui::location::LatentRef;

/// Something that lies over the panes and takes the keys.
#[derive(Clone, Debug)]
pub enum Overlay {
    /// Help for a place.
    Help {
        /// The place it is about.
        about: KeyContext,
        /// First line shown.
        top: usize,
    },
    /// How the suite is wired.
    Wiring {
        /// First line shown.
        top: usize,
    },
    /// An error in full.
    Error {
        /// The error.
        report: Report,
        /// First line shown.
        top: usize,
    },
    /// The command palette.
    Palette(Field),
    /// The search for latents.
    Search(Field),
    /// The queue's text filter; it is drawn in the queue itself.
    Filter(Field),
    /// A path.
    Path(Field, PathFor),
    /// The list of suites.
    Suites {
        /// The chosen row.
        row: usize,
    },
    /// A list of meta-latents.
    Pick(Field, PickFor),
    /// Texts that are named, with commas between.
    Named(Field),
    /// A label of a latent, and behind a bar a note.
    Label(Field, LatentRef),
    /// A question before something costly.
    Confirm(Question),
}

/// What a path is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathFor {
    /// The folder for the stitched SAE.
    Export,
    /// The text to measure on.
    Text,
}

/// What a meta-latent is picked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PickFor {
    /// To see its card.
    See,
    /// To stand in the place of this one.
    Exchange(u32),
    /// To be added.
    Add,
}

/// Something costly.
#[derive(Clone, Debug, PartialEq)]
pub enum Confirmation {
    /// To download a suite.
    Pull(String),
    /// To download a Jacobian lens.
    PullLens(LensOffer),
    /// To train a meta-SAE.
    Train(MetaRecipe),
}

/// A field of text over a list.
#[derive(Clone, Debug, Default)]
pub struct Field {
    /// The text.
    pub input: Input,
    /// The chosen row.
    pub row: usize,
}

/// Most characters of a field: longer than any path.
const LONGEST: usize = 4096;

impl Field {
    /// Inserts text where the cursor is, as far as there is room.
    pub fn insert(&mut self, text: &str) {
        let (value, cursor) = (self.input.value(), self.input.cursor());
        let count = value.chars().count();
        let room = LONGEST.saturating_sub(count);
        let (before, after): (String, String) =
            (value.chars().take(cursor).collect(), value.chars().skip(cursor).collect());
        let new: String = text.chars().take(room).collect();
        let cursor = cursor.min(count) + new.chars().count();
        // In one go: the library's own way builds the text anew for every character.
        self.input = std::mem::take(&mut self.input).with_value(before + &new + &after).with_cursor(cursor);
        self.row = 0;
    }
}

/// What is asked before something costly is done.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    /// What is to be done.
    pub what: Confirmation,
    /// What is asked, in one line.
    pub ask: String,
    /// What the person should know, line by line.
    pub know: Vec<String>,
}

impl Overlay {
    /// The field of text, when it has one.
    #[must_use]
    pub const fn field(&self) -> Option<&Field> {
        match self {
            Self::Palette(field)
            | Self::Search(field)
            | Self::Filter(field)
            | Self::Path(field, _)
            | Self::Pick(field, _)
            | Self::Named(field)
            | Self::Label(field, _) => Some(field),
            Self::Help { .. } | Self::Error { .. } | Self::Wiring { .. } | Self::Suites { .. } | Self::Confirm(_) => {
                None
            }
        }
    }

    /// The same, to be changed.
    pub const fn field_mut(&mut self) -> Option<&mut Field> {
        match self {
            Self::Palette(field)
            | Self::Search(field)
            | Self::Filter(field)
            | Self::Path(field, _)
            | Self::Pick(field, _)
            | Self::Named(field)
            | Self::Label(field, _) => Some(field),
            Self::Help { .. } | Self::Error { .. } | Self::Wiring { .. } | Self::Suites { .. } | Self::Confirm(_) => {
                None
            }
        }
    }

    /// Where keys go while it is topmost.
    #[must_use]
    pub const fn place(&self) -> KeyContext {
        match self {
            Self::Help { .. } | Self::Error { .. } | Self::Wiring { .. } => KeyContext::Reading,
            Self::Palette(_) => KeyContext::Palette,
            Self::Search(_) => KeyContext::Search,
            Self::Filter(_) => KeyContext::Filter,
            Self::Path(..) => KeyContext::Path,
            Self::Suites { .. } => KeyContext::Suites,
            Self::Pick(..) => KeyContext::Pick,
            Self::Named(_) => KeyContext::Named,
            Self::Label(..) => KeyContext::Label,
            Self::Confirm(_) => KeyContext::Confirm,
        }
    }
}
