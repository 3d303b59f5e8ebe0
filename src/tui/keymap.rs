//! The one table of keys, put together of the rows of every pane: it feeds dispatch, footer, help, palette and README.
//! Not here: the rows, and what an action does.

use std::fmt::Write as _;
use std::sync::LazyLock;

use crokey::KeyCombination;

use crate::tui::keys::{Action, Binding, KeyContext, KeyContexts, OVER, SHARED, key_name};
use crate::tui::panes::{self, PANES};

/// All rows, in the order in which footer and help show them.
static TABLE: LazyLock<Vec<&'static Binding>> = LazyLock::new(|| {
    let own = PANES.iter().flat_map(|pane| pane.keys());
    let mut rows: Vec<&'static Binding> = SHARED.iter().chain(own).chain(OVER).collect();
    rows.sort_by_key(|row| row.at);
    rows
});

impl KeyContext {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        PANES.iter().map(|pane| Self::Pane(pane.focus())).chain(Self::OVER)
    }

    /// Its name in help and README.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pane(focus) => panes::of(focus).name(),
            Self::Pick => "Meta-latents",
            Self::Named => "Named tokens",
            Self::Label => "Label",
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

/// What a key does in a place.
#[must_use]
pub fn find(place: KeyContext, pressed: KeyCombination) -> Option<Action> {
    rows(place).find(|row| row.keys.contains(&pressed)).map(|row| row.action)
}

/// Every key of the explorer, in the order in which footer and help show them.
pub fn table() -> impl Iterator<Item = &'static Binding> {
    TABLE.iter().copied()
}

/// The rows that count in a place, in the table's order.
pub fn rows(place: KeyContext) -> impl Iterator<Item = &'static Binding> {
    table().filter(move |row| row.places.has(place))
}

/// The key shown for an action in a place.
#[must_use]
pub fn shown_for(place: KeyContext, action: Action) -> Option<KeyCombination> {
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
fn where_name(places: KeyContexts) -> String {
    match places {
        KeyContexts::ALL => "everywhere".into(),
        KeyContexts::MAIN => "all panes".into(),
        KeyContexts::PANES => "all but the prompt".into(),
        KeyContexts::STITCH => "stitching".into(),
        KeyContexts::META => "meta-SAEs".into(),
        KeyContexts::SIDEWAYS => "all but prompt and map".into(),
        KeyContexts::THETA => "stitching, meta-SAEs but surgery".into(),
        KeyContexts::THETA_COARSE => "all but prompt and surgery".into(),
        KeyContexts::TEXTS => "fields of text".into(),
        _ => {
            let names: Vec<_> = KeyContext::all().filter(|p| places.has(*p)).map(|p| p.name().to_lowercase()).collect();
            names.join(", ")
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use super::*;
    use crate::tui::keys::as_text;

    #[test]
    fn no_key_means_two_things_in_one_place() {
        for place in KeyContext::all() {
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
    fn no_two_rows_stand_at_one_place() {
        let mut seen: HashMap<u16, &str> = HashMap::new();
        for row in table() {
            if let Some(other) = seen.insert(row.at, row.id) {
                panic!("{other} and {} stand at {}", row.id, row.at);
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
        for place in KeyContext::all().filter(|p| p.takes_text()) {
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
