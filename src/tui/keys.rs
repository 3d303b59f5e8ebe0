//! What keys can do and where: a row says all that dispatch, footer, help, palette and README need.
//! Not here: the table of all rows (`keymap.rs`), and what an action does.

use crokey::{KeyCombination, key};

use crate::tui::location::{Focus, Page};

mod name;
mod overlay;
mod shared;

pub use name::key_name;
pub use overlay::OVER;
pub use shared::SHARED;

/// Something a person can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Leave the program.
    Quit,
    /// Cancel what is running, or leave the program.
    Interrupt,
    /// Put the program in the background.
    Suspend,
    /// Draw everything anew.
    Repaint,
    /// Open help for what is focused.
    Help,
    /// Open the command palette.
    Palette,
    /// Focus the next pane.
    NextPane,
    /// Focus the pane before.
    PreviousPane,
    /// Go to a pane.
    Focus(Focus),
    /// Something that one pane alone does, by the name it has there.
    Own(&'static str),
    /// The next narrower SAE.
    Narrower,
    /// The next wider SAE.
    Wider,
    /// Search latents.
    Search,
    /// The latent visited before.
    Back,
    /// The latent visited after.
    Forward,
    /// Pin or unpin the chosen latent.
    Pin,
    /// Unpin all.
    UnpinAll,
    /// Open the list of suites.
    Suites,
    /// Show how the suite is wired.
    Wiring,
    /// Open a suite without its model, or with it again.
    WeightsOnly,
    /// Write a label of the chosen latent.
    WriteLabel,
    /// Copy the latent's reference.
    CopyReference,
    /// Copy the command that prints the latent's card.
    CopyCommand,
    /// Save the screen as a picture.
    SaveSvg,
    /// Save the screen as text.
    SaveText,
    /// Save the screen as text with colours.
    SaveAnsi,
    /// Turn the mouse on or off.
    Mouse,
    /// The next latent that the search found.
    NextFound,
    /// The one before.
    PreviousFound,
    /// Ask again for what failed.
    Retry,
    /// Show the last error in full.
    ShowError,
    /// The token before.
    Left,
    /// The token after.
    Right,
    /// The entry above.
    Up,
    /// The entry below.
    Down,
    /// The first entry.
    First,
    /// The last entry.
    Last,
    /// One page up.
    PageUp,
    /// One page down.
    PageDown,
    /// Do it, open it, go there.
    Accept,
    /// Close, go back, let go.
    Close,
    /// Compare with a narrower SAE than now.
    AgainstNarrower,
    /// Compare with a wider SAE than now.
    AgainstWider,
    /// Change θ by hundredths.
    Threshold(i8),
    /// Put the chosen latent into the stitched SAE, or take it out.
    Toggle,
    /// Swap the chosen latent's group, or swap it back.
    Swap,
    /// Take the last change of the stitched SAE back.
    UndoChange,
    /// Make it again.
    RedoChange,
    /// Take all changes of the stitched SAE back.
    ClearChanges,
    /// Write the stitched SAE.
    Export,
    /// Sort, or take steps, in another order.
    Order,
    /// The other way round.
    Reverse,
    /// Show others of the queue.
    Show,
    /// Filter the queue by text.
    Filter,
    /// The next latent on which the rules disagree.
    NextDisagreement,
    /// The one before.
    PreviousDisagreement,
    /// Choose the text that is measured on.
    ChooseText,
    /// See the prompt by meta-latents, or by latents again.
    ByMeta,
    /// Take latents apart by another meta-SAE.
    NextMeta,
    /// Train a meta-SAE.
    Train,
    /// Find a meta-latent.
    FindMeta,
    /// Add a meta-latent to the latent.
    AddPart,
    /// Make a part stronger, by hundredths.
    Strength(i8),
    /// The chosen latent off while the model writes.
    SteerOff,
    /// Stronger or weaker while the model writes, by steps.
    SteerBy(i8),
    /// Name texts whose log-probability is wanted.
    NameTokens,
    /// Something in a text.
    Edit(Edit),
}

/// A change or a move within a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Edit {
    /// One character left.
    Left,
    /// One character right.
    Right,
    /// One line up.
    Up,
    /// One line down.
    Down,
    /// One word left.
    WordLeft,
    /// One word right.
    WordRight,
    /// To the start of the line.
    Home,
    /// To the end of the line.
    End,
    /// To the start of the text.
    Top,
    /// To the end of the text.
    Bottom,
    /// Delete the character before.
    Backspace,
    /// Delete the character after.
    Delete,
    /// Delete the word before.
    DeleteWord,
    /// Delete to the start of the line.
    DeleteToStart,
    /// Delete to the end of the line.
    DeleteToEnd,
    /// Begin a new line.
    NewLine,
    /// Take the last change back.
    Undo,
    /// Make it again.
    Redo,
}

/// Where keys go: the focused pane, or what lies over the panes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyContext {
    /// A pane.
    Pane(Focus),
    /// The list of meta-latents.
    Pick,
    /// Texts that are named.
    Named,
    /// A label that is written.
    Label,
    /// The search for latents.
    Search,
    /// The command palette.
    Palette,
    /// The queue's text filter.
    Filter,
    /// A path that is typed.
    Path,
    /// The list of suites.
    Suites,
    /// A question before something costly.
    Confirm,
    /// Help, or an error in full.
    Reading,
}

impl KeyContext {
    /// Those that lie over the panes.
    pub const OVER: [Self; 10] = [
        Self::Pick,
        Self::Named,
        Self::Label,
        Self::Search,
        Self::Palette,
        Self::Filter,
        Self::Path,
        Self::Suites,
        Self::Confirm,
        Self::Reading,
    ];

    /// Its own bit, and those of the classes of panes that it is in.
    const fn bits(self) -> u64 {
        match self {
            Self::Pane(focus) => KeyContexts::pane(focus).0 | KeyContexts::classes(focus),
            Self::Pick => 1 << 40,
            Self::Named => 1 << 41,
            Self::Search => 1 << 42,
            Self::Palette => 1 << 43,
            Self::Filter => 1 << 44,
            Self::Path => 1 << 45,
            Self::Suites => 1 << 46,
            Self::Confirm => 1 << 47,
            Self::Reading => 1 << 48,
            Self::Label => 1 << 49,
        }
    }

    /// Whether a printable key is text there.
    #[must_use]
    pub const fn takes_text(self) -> bool {
        match self {
            Self::Pane(focus) => matches!(focus, Focus::Prompt),
            Self::Suites | Self::Confirm | Self::Reading => false,
            _ => true,
        }
    }
}

/// A set of places. What holds of a class of panes holds of a new one without a word about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyContexts(u64);

impl KeyContexts {
    /// Everywhere.
    pub const ALL: Self = Self(u64::MAX);
    /// The panes of the first page in which a letter is a command.
    pub const EXPLORE: Self = Self(1 << 50);
    /// The panes in which two SAEs are compared and stitched.
    pub const STITCH: Self = Self(1 << 51);
    /// The panes in which latents are taken apart.
    pub const META: Self = Self(1 << 52);
    /// The panes in which a letter is a command.
    pub const PANES: Self = Self::EXPLORE.and(Self::STITCH).and(Self::META);
    /// The panes in which left and right are the tokens' directions.
    pub const SIDEWAYS: Self = Self(1 << 53);
    /// The panes in which plus and minus are θ's.
    pub const THETA: Self = Self(1 << 54);
    /// Those in which `<` and `>` are, too.
    pub const THETA_COARSE: Self = Self(1 << 56);
    /// The panes that have a list to go through by pages.
    pub const LISTS: Self = Self(1 << 55);
    /// The panes, the prompt too.
    pub const MAIN: Self = Self::PANES.and(Self::pane(Focus::Prompt));
    /// Fields of text.
    pub const TEXTS: Self = Self::FIELDS.and(Self::pane(Focus::Prompt)).and(Self::of(&[
        KeyContext::Filter,
        KeyContext::Path,
        KeyContext::Named,
        KeyContext::Label,
    ]));
    /// Lists under a field of text.
    pub const FIELDS: Self = Self::of(&[KeyContext::Search, KeyContext::Palette, KeyContext::Pick]);

    /// The classes that a pane is in.
    const fn classes(focus: Focus) -> u64 {
        if matches!(focus, Focus::Prompt) {
            return 0;
        }
        let page = match focus.page() {
            None => Self::EXPLORE.0,
            Some(Page::Explore) => Self::EXPLORE.0 | Self::LISTS.0,
            Some(Page::Stitch) => Self::STITCH.0 | Self::LISTS.0,
            Some(Page::Meta) => Self::META.0 | Self::LISTS.0,
        };
        let sideways = if matches!(focus, Focus::Map) { 0 } else { Self::SIDEWAYS.0 };
        let theta = match focus.page() {
            _ if matches!(focus, Focus::Surgery) => 0,
            Some(Page::Stitch | Page::Meta) => Self::THETA.0 | Self::THETA_COARSE.0,
            Some(Page::Explore) | None => Self::THETA_COARSE.0,
        };
        page | sideways | theta
    }

    /// One pane.
    #[must_use]
    pub const fn pane(focus: Focus) -> Self {
        Self(1 << focus as u64)
    }

    /// The places of both sets.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The set of these.
    #[must_use]
    pub const fn of(places: &[KeyContext]) -> Self {
        let mut bits = 0;
        let mut i = 0;
        while i < places.len() {
            bits |= match places[i] {
                KeyContext::Pane(focus) => Self::pane(focus).0,
                overlay => overlay.bits(),
            };
            i += 1;
        }
        Self(bits)
    }

    /// Whether a place is in it.
    #[must_use]
    pub const fn has(self, place: KeyContext) -> bool {
        self.0 & place.bits() != 0
    }
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Binding {
    /// Where it stands among all rows: the order of footer, help and README. What one does most comes first.
    pub at: u16,
    /// What it does.
    pub action: Action,
    /// Its name, for settings and the palette; never changes.
    pub id: &'static str,
    /// The keys that do it, the one to be shown first.
    pub keys: &'static [KeyCombination],
    /// Where they do it.
    pub places: KeyContexts,
    /// One or two words for the footer; empty when it is not for the footer.
    pub short: &'static str,
    /// One line for help and palette.
    pub about: &'static str,
}

/// A row of the table; `at` is where it stands among all rows.
#[must_use]
pub const fn row(
    at: u16,
    action: Action,
    id: &'static str,
    keys: &'static [KeyCombination],
    places: KeyContexts,
    short: &'static str,
    about: &'static str,
) -> Binding {
    Binding { at, action, id, keys, places, short, about }
}

/// Whether a key is a printable character that a field takes as text.
#[must_use]
pub fn as_text(pressed: KeyCombination) -> Option<char> {
    use crossterm::event::{KeyCode, KeyModifiers};
    let crokey::OneToThree::One(KeyCode::Char(c)) = pressed.codes else { return None };
    (pressed.modifiers - KeyModifiers::SHIFT).is_empty().then_some(c)
}

/// The key that types a character.
#[must_use]
pub fn of_text(c: char) -> KeyCombination {
    use crossterm::event::{KeyCode, KeyModifiers};
    let shift = if c.is_uppercase() { KeyModifiers::SHIFT } else { KeyModifiers::NONE };
    KeyCombination::new(KeyCode::Char(c), shift).normalized()
}

/// The key that always opens help.
pub const HELP_KEY: KeyCombination = key!(f1);
