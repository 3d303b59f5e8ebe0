//! How a key is written on screen and in README.
//! Not here: which key does what.

use crokey::{KeyCombination, OneToThree};
use crossterm::event::{KeyCode, KeyModifiers};

/// A key as a person reads it: `^P`, `Tab`, `←`, `G`.
#[must_use]
pub fn key_name(key: KeyCombination, ascii: bool) -> String {
    let OneToThree::One(code) = key.codes else { return key.to_string() };
    let mut out = String::new();
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    if key.modifiers.contains(KeyModifiers::ALT) {
        out.push_str("Alt-");
    }
    match code {
        // Terminals send Ctrl-/ and Ctrl-_ as the byte that is also Ctrl-7.
        KeyCode::Char('7') if control => return "^/".into(),
        KeyCode::Char(c) if control => {
            out.push('^');
            out.push(c.to_ascii_uppercase());
        }
        KeyCode::Char(' ') => out.push_str("Space"),
        KeyCode::Char(c) => out.push(c),
        _ => {
            if control {
                out.push('^');
            }
            out.push_str(&special(code, ascii));
        }
    }
    out
}

fn special(code: KeyCode, ascii: bool) -> String {
    let (unicode, plain) = match code {
        KeyCode::Left => ("←", "Left"),
        KeyCode::Right => ("→", "Right"),
        KeyCode::Up => ("↑", "Up"),
        KeyCode::Down => ("↓", "Down"),
        KeyCode::Enter => ("Enter", "Enter"),
        KeyCode::Esc => ("Esc", "Esc"),
        KeyCode::Tab => ("Tab", "Tab"),
        KeyCode::BackTab => ("Shift-Tab", "Shift-Tab"),
        KeyCode::Backspace => ("Backspace", "Backspace"),
        KeyCode::Delete => ("Del", "Del"),
        KeyCode::Home => ("Home", "Home"),
        KeyCode::End => ("End", "End"),
        KeyCode::PageUp => ("PgUp", "PgUp"),
        KeyCode::PageDown => ("PgDn", "PgDn"),
        KeyCode::F(n) => return format!("F{n}"),
        other => return format!("{other:?}"),
    };
    if ascii { plain } else { unicode }.to_owned()
}
