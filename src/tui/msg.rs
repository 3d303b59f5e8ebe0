//! What reaches `update`, and what `update` wants done.
//! Not here: who sends messages and who does the effects.

use std::time::Duration;

use crokey::KeyCombination;

use crate::report::Report;
use crate::session::Slot;
use crate::task::Ticket;
use crate::tui::hits::HitMap;
use crate::worker::{Job, JobEvent};

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Msg {
    /// A key was pressed.
    Key(KeyCombination),
    /// These characters were typed, one after the other.
    Typed(String),
    /// Text was pasted.
    Paste(String),
    /// The mouse did something.
    Mouse(Mouse),
    /// The terminal has this size now.
    Resize {
        /// Columns.
        width: u16,
        /// Rows.
        height: u16,
    },
    /// Something came of a question.
    Job {
        /// What, and of which asking.
        event: JobEvent,
        /// Time since the start of the program, for speeds.
        at: Duration,
    },
    /// A fifth of a second passed while something was pending.
    Tick,
    /// A frame was drawn; where things are on it.
    Drawn(HitMap),
    /// A screen was saved under this name, or was not.
    Saved(Result<String, Report>),
    /// The terminal is ours again after a suspension.
    Resumed,
    /// What was typed or pasted was not taken as it came, for this reason.
    Notice(String),
}

/// What the mouse did, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mouse {
    /// What it did.
    pub did: MouseDid,
    /// Column, from 0.
    pub column: u16,
    /// Row, from 0.
    pub row: u16,
}

/// What the mouse did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MouseDid {
    /// The left button went down.
    Click,
    /// The wheel turned up.
    WheelUp,
    /// The wheel turned down.
    WheelDown,
}

/// Something that the shell must do.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Ask a question; a newer asking on its slot replaces the older one.
    Ask {
        /// Which asking.
        ticket: Ticket,
        /// The question.
        job: Job,
    },
    /// Stop what a slot is doing.
    Cancel(Slot),
    /// Put text on the clipboard.
    Copy(String),
    /// Save the screen.
    Save(Format),
    /// Take the mouse, or let it go.
    Mouse(bool),
    /// Leave the terminal and stop until continued.
    Suspend,
    /// Draw every cell anew.
    Repaint,
    /// End the program.
    Quit,
}

/// How a screen is saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Plain text.
    Text,
    /// Text with ANSI colours.
    Ansi,
    /// A picture.
    Svg,
}

impl Format {
    /// The end of file names of this format.
    #[must_use]
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Text => "txt",
            Self::Ansi => "ansi",
            Self::Svg => "svg",
        }
    }

    /// The format that a file name asks for.
    #[must_use]
    pub fn of_extension(extension: &str) -> Option<Self> {
        [Self::Text, Self::Ansi, Self::Svg].into_iter().find(|f| f.extension() == extension)
    }
}

/// What came of a message.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Update {
    /// Whether the screen may have changed.
    pub dirty: bool,
    /// What must be done.
    pub effects: Vec<Effect>,
}
