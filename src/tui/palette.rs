//! The commands of the palette, and those that match what was typed.
//! Not here: drawing them.

use crate::tui::keymap;
use crate::tui::keys::{Action, KeyContext};
use crate::tui::location::Focus;

/// A command of the palette.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Command {
    /// What it does.
    pub action: Action,
    /// Its row's name.
    pub id: &'static str,
    /// One line about it.
    pub about: &'static str,
    /// The key that does it without the palette.
    pub key: Option<crokey::KeyCombination>,
}

/// The commands that match what was typed, best first; all of them, in the table's order, when nothing was.
#[must_use]
pub fn commands(focus: Focus, typed: &str) -> Vec<Command> {
    use nucleo_matcher::pattern::{CaseMatching, Normalization, Pattern};
    use nucleo_matcher::{Config, Matcher, Utf32Str};

    // In the prompt letters are text, but a person who opens the palette there wants every command.
    let place = KeyContext::Pane(if focus == Focus::Prompt { Focus::Tokens } else { focus });
    let all = keymap::rows(place)
        .filter(|row| !matches!(row.action, Action::Palette | Action::Edit(_)))
        .map(|row| Command { action: row.action, id: row.id, about: row.about, key: row.keys.first().copied() });
    if typed.trim().is_empty() {
        return all.collect();
    }
    let mut matcher = Matcher::new(Config::DEFAULT);
    let pattern = Pattern::parse(typed, CaseMatching::Ignore, Normalization::Smart);
    let mut buffer = Vec::new();
    let mut scored: Vec<(u32, Command)> = all
        .filter_map(|c| {
            let hay = format!("{} {}", c.about, c.id);
            Some((pattern.score(Utf32Str::new(&hay, &mut buffer), &mut matcher)?, c))
        })
        .collect();
    scored.sort_by_key(|(score, _)| std::cmp::Reverse(*score));
    scored.into_iter().map(|(_, c)| c).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_palette_lists_everything_and_finds_by_a_few_letters() {
        assert!(commands(Focus::Tokens, "").len() > 25);
        assert_eq!(commands(Focus::Tokens, "suites").first().map(|c| c.action), Some(Action::Suites));
        assert_eq!(commands(Focus::Prompt, "quit").first().map(|c| c.action), Some(Action::Quit));
        assert!(commands(Focus::Tokens, "zzzzqqq").is_empty());
    }
}
