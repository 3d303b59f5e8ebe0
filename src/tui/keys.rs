//! The one table of keys: it feeds dispatch, footer, help, palette and README.
//! Not here: what an action does.

use std::fmt::Write as _;

use crokey::{KeyCombination, key};

mod name;
mod over;
mod panes;

pub use name::key_name;

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
    /// Focus the prompt.
    FocusPrompt,
    /// Focus the tokens.
    FocusTokens,
    /// Focus the latents.
    FocusLatents,
    /// Focus the card.
    FocusCard,
    /// Go to where the latent's activation comes from.
    FocusOrigins,
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
    /// Go to the work queue.
    FocusQueue,
    /// Go to the workbench.
    FocusBench,
    /// Go to the curve.
    FocusCurve,
    /// Go to the group.
    FocusGroup,
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
    /// Go to what the latent is made of.
    FocusParts,
    /// Go to the map.
    FocusMap,
    /// Go to surgery.
    FocusSurgery,
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
pub enum Place {
    /// The prompt editor.
    Prompt,
    /// The tokens.
    Tokens,
    /// The latents of the token.
    Latents,
    /// The chosen latent's card.
    Card,
    /// Which heads and tokens made the chosen latent fire.
    Origins,
    /// The work queue.
    Queue,
    /// The workbench.
    Bench,
    /// The curve.
    Curve,
    /// The group.
    Group,
    /// What a latent is made of.
    Parts,
    /// A meta-latent's card.
    MetaCard,
    /// The map.
    Map,
    /// Surgery.
    Surgery,
    /// The list of meta-latents.
    Pick,
    /// Texts that are named.
    Named,
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

impl Place {
    /// All of them.
    pub const ALL: [Self; 22] = [
        Self::Prompt,
        Self::Tokens,
        Self::Latents,
        Self::Card,
        Self::Origins,
        Self::Queue,
        Self::Bench,
        Self::Curve,
        Self::Group,
        Self::Parts,
        Self::MetaCard,
        Self::Map,
        Self::Surgery,
        Self::Pick,
        Self::Named,
        Self::Search,
        Self::Palette,
        Self::Filter,
        Self::Path,
        Self::Suites,
        Self::Confirm,
        Self::Reading,
    ];

    const fn bit(self) -> u32 {
        1 << self as u16
    }

    /// Whether a printable key is text there.
    #[must_use]
    pub const fn takes_text(self) -> bool {
        matches!(
            self,
            Self::Prompt | Self::Search | Self::Palette | Self::Filter | Self::Path | Self::Pick | Self::Named
        )
    }

    /// Its name in help and README.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Prompt => "Prompt",
            Self::Tokens => "Tokens",
            Self::Latents => "Latents",
            Self::Card => "Card",
            Self::Origins => "Origins",
            Self::Queue => "Queue",
            Self::Bench => "Workbench",
            Self::Curve => "Curve",
            Self::Group => "Group",
            Self::Parts => "Parts",
            Self::MetaCard => "Meta-latent",
            Self::Map => "Map",
            Self::Surgery => "Surgery",
            Self::Pick => "Meta-latents",
            Self::Named => "Named tokens",
            Self::Search => "Search",
            Self::Palette => "Commands",
            Self::Filter => "Filter",
            Self::Path => "Path",
            Self::Suites => "Suites",
            Self::Confirm => "Question",
            Self::Reading => "Help",
        }
    }
}

/// A set of places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Places(u32);

impl Places {
    /// Everywhere.
    pub const ALL: Self = Self::of(&Place::ALL);
    /// The panes of the first page in which a letter is a command.
    pub const EXPLORE: Self = Self::of(&[Place::Tokens, Place::Latents, Place::Card, Place::Origins]);
    /// The panes in which two SAEs are compared and stitched.
    pub const STITCH: Self = Self::of(&[Place::Queue, Place::Bench, Place::Curve, Place::Group]);
    /// The panes in which a letter is a command.
    pub const PANES: Self = Self::EXPLORE.and(Self::STITCH).and(Self::META);
    /// The panes in which latents are taken apart.
    pub const META: Self = Self::of(&[Place::Parts, Place::MetaCard, Place::Map, Place::Surgery]);
    /// The panes in which left and right are the tokens' directions.
    pub const SIDEWAYS: Self =
        Self::EXPLORE.and(Self::STITCH).and(Self::of(&[Place::Parts, Place::MetaCard, Place::Surgery]));
    /// The panes in which plus and minus are θ's.
    pub const THETA: Self = Self::EXPLORE.and(Self::STITCH).and(Self::of(&[Place::Parts, Place::MetaCard, Place::Map]));
    /// The panes, the prompt too.
    pub const MAIN: Self = Self::PANES.and(Self::of(&[Place::Prompt]));
    /// Fields of text.
    pub const TEXTS: Self = Self::FIELDS.and(Self::of(&[Place::Prompt, Place::Filter, Place::Path, Place::Named]));
    /// Lists under a field of text.
    pub const FIELDS: Self = Self::of(&[Place::Search, Place::Palette, Place::Pick]);

    /// The places of both sets.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The set of these.
    #[must_use]
    pub const fn of(places: &[Place]) -> Self {
        let mut bits = 0;
        let mut i = 0;
        while i < places.len() {
            bits |= places[i].bit();
            i += 1;
        }
        Self(bits)
    }

    /// Whether a place is in it.
    #[must_use]
    pub const fn has(self, place: Place) -> bool {
        self.0 & place.bit() != 0
    }
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Binding {
    /// What it does.
    pub action: Action,
    /// Its name, for settings and the palette; never changes.
    pub id: &'static str,
    /// The keys that do it, the one to be shown first.
    pub keys: &'static [KeyCombination],
    /// Where they do it.
    pub places: Places,
    /// One or two words for the footer; empty when it is not for the footer.
    pub short: &'static str,
    /// One line for help and palette.
    pub about: &'static str,
}

/// What a key does in a place.
#[must_use]
pub fn find(place: Place, pressed: KeyCombination) -> Option<Action> {
    rows(place).find(|row| row.keys.contains(&pressed)).map(|row| row.action)
}

/// Every key of the explorer, in the order in which footer and help show them: those of panes, of what lies over them,
/// of text, and those that always count.
pub fn table() -> impl Iterator<Item = &'static Binding> {
    panes::PANES.iter().chain(over::OVER)
}

/// A row of the table.
const fn row(
    action: Action,
    id: &'static str,
    keys: &'static [KeyCombination],
    places: Places,
    short: &'static str,
    about: &'static str,
) -> Binding {
    Binding { action, id, keys, places, short, about }
}

/// The rows that count in a place, in the table's order.
pub fn rows(place: Place) -> impl Iterator<Item = &'static Binding> {
    table().filter(move |row| row.places.has(place))
}

/// The key shown for an action in a place.
#[must_use]
pub fn shown_for(place: Place, action: Action) -> Option<KeyCombination> {
    rows(place).find(|row| row.action == action).and_then(|row| row.keys.first()).copied()
}

/// The table as markdown, for README.
#[must_use]
pub fn markdown() -> String {
    let mut out = String::from("| where | key | does |\n|---|---|---|\n");
    for row in table() {
        let keys: Vec<String> = row.keys.iter().map(|k| format!("`{}`", key_name(*k, false))).collect();
        let _ = writeln!(out, "| {} | {} | {} |", where_name(row.places), keys.join(" "), row.about);
    }
    out
}

/// The places of a row as a person would say them.
fn where_name(places: Places) -> String {
    match places {
        Places::ALL => "everywhere".into(),
        Places::MAIN => "all panes".into(),
        Places::PANES => "all but the prompt".into(),
        Places::STITCH => "stitching".into(),
        Places::META => "meta-SAEs".into(),
        Places::SIDEWAYS => "all but prompt and map".into(),
        Places::THETA => "all but prompt and surgery".into(),
        Places::TEXTS => "fields of text".into(),
        _ => {
            let names: Vec<_> =
                Place::ALL.iter().filter(|p| places.has(**p)).map(|p| p.name().to_lowercase()).collect();
            names.join(", ")
        }
    }
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

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use super::*;

    #[test]
    fn no_key_means_two_things_in_one_place() {
        for place in Place::ALL {
            let mut seen: HashMap<KeyCombination, &str> = HashMap::new();
            for row in rows(place) {
                for key in row.keys {
                    if let Some(other) = seen.insert(*key, row.id) {
                        panic!("{key} is {other} and {} in {}", row.id, place.name());
                    }
                }
            }
        }
    }

    #[test]
    fn every_action_has_one_name_and_is_told() {
        let mut ids = HashSet::new();
        for row in table() {
            assert!(ids.insert(row.id), "{} twice", row.id);
            assert!(!row.about.is_empty() && !row.about.ends_with('.'), "{}", row.id);
            assert!(!row.keys.is_empty() || row.id.starts_with("screen."), "{} has no key", row.id);
            assert!(row.about.len() <= 62, "{} does not fit a help line: {}", row.id, row.about.len());
        }
    }

    #[test]
    fn a_field_of_text_takes_every_printable_character() {
        for place in Place::ALL.into_iter().filter(|p| p.takes_text()) {
            for row in rows(place) {
                for key in row.keys {
                    assert_eq!(as_text(*key), None, "{key} ({}) would be typed in {}", row.id, place.name());
                }
            }
        }
    }

    #[test]
    fn keys_that_never_arrive_or_belong_to_others_are_not_the_only_way() {
        for row in table() {
            let reachable = row.keys.iter().any(|k| {
                let name = k.to_string().to_lowercase();
                !name.starts_with("alt-")
                    && !["ctrl-s", "ctrl-q", "ctrl-i", "ctrl-m", "ctrl-a", "ctrl-b"].contains(&name.as_str())
            });
            assert!(reachable || row.keys.is_empty(), "{}", row.id);
        }
    }

    #[test]
    fn keys_are_written_as_events_bring_them() {
        // A key in the table that differs from its normal form would never match an event.
        for row in table() {
            for key in row.keys {
                assert_eq!(*key, key.normalized(), "{}", row.id);
            }
        }
    }
}
