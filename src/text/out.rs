//! The last look at text on its way to a terminal: nothing in it is obeyed there, whoever wrote it.
//! Not here: how a token is shown (`text.rs`), which says more about white space and marks.

use std::borrow::Cow;

use super::{Charset, hidden::is_hidden, push_char, push_number};
use crate::text::Space;

/// Signs that this program writes, and what stands for them where there is only ASCII.
const SIGNS: [(&str, &str); 25] = [
    ("✓", "v"),
    ("✗", "x"),
    ("·", "_"),
    ("⏎", "\\n"),
    ("⇥", "\\t"),
    ("⟨", "<"),
    ("⟩", ">"),
    ("≥", ">="),
    ("≤", "<="),
    ("θ", "theta"),
    ("τ", "tau"),
    ("Δ", "d"),
    ("Σ", "sum "),
    ("√", "sqrt "),
    ("½", "1/2"),
    ("²", "^2"),
    ("³", "^3"),
    ("↑", "^"),
    ("↓", "v"),
    ("≈", "~"),
    ("◆", "*"),
    ("▲", "^"),
    ("…", "..."),
    ("−", "-"),
    ("–", "-"),
];

/// Text of the program itself with signs that the terminal has.
///
/// ```
/// use saescope::text::{Charset, plain};
/// assert_eq!(plain("novel: cosine < θ", Charset::Ascii), "novel: cosine < theta");
/// assert_eq!(plain("novel: cosine < θ", Charset::Unicode), "novel: cosine < θ");
/// ```
#[must_use]
pub fn plain(text: &str, charset: Charset) -> String {
    if charset == Charset::Unicode || text.is_ascii() {
        return text.to_owned();
    }
    SIGNS.iter().fold(text.to_owned(), |text, (sign, plain)| text.replace(sign, plain))
}

/// A sentence of the program's own, which may quote text from elsewhere, as it may be written to a terminal.
///
/// ```
/// use saescope::text::{Charset, said};
/// assert_eq!(said("\u{1b}[2J at θ 0.70", Charset::Ascii), "^[[2J at theta 0.70");
/// ```
#[must_use]
pub fn said(text: &str, charset: Charset) -> String {
    super::prose(&plain(text, charset), charset)
}

/// Lines as they may be written to a terminal: line breaks stay, everything else that a terminal would obey, hide or
/// turn round is made visible. Text that was made visible before stays as it is.
///
/// ```
/// use saescope::text::{Charset, lines};
/// assert_eq!(lines("a\u{1b}[2J·\u{9b}m\nb", Charset::Unicode), "a␛[2J·⟨U+009B⟩m\nb");
/// assert_eq!(lines("SAE 512 · \u{7f}", Charset::Ascii), "SAE 512 | ^?");
/// ```
#[must_use]
pub fn lines(text: &str, charset: Charset) -> Cow<'_, str> {
    harmless(text, charset, |c| c == '\n')
}

/// As [`lines`], of text that is to stay on one line.
///
/// ```
/// use saescope::text::{Charset, line};
/// assert_eq!(line("no\nhint: yes", Charset::Unicode), "no⏎hint: yes");
/// ```
#[must_use]
pub fn line(text: &str, charset: Charset) -> Cow<'_, str> {
    harmless(text, charset, |_| false)
}

fn harmless(text: &str, charset: Charset, stays: impl Fn(char) -> bool) -> Cow<'_, str> {
    let ascii = charset == Charset::Ascii;
    let fine = |c: char| stays(c) || !(is_hidden(c) || ascii && !c.is_ascii());
    if text.chars().all(&fine) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    // Between parts of a line it is not a space that is marked.
    let parted = if ascii { text.replace(" · ", " | ") } else { text.to_owned() };
    for c in plain(&parted, charset).chars() {
        match c {
            c if fine(c) => out.push(c),
            // The pictures of control characters, which a token was shown with.
            '␀'..='␟' if ascii => push_char(&mut out, char::from((c as u32 - 0x2400) as u8), charset, Space::Plain),
            '␡' if ascii => out.push_str("^?"),
            '\0'..='\u{1f}' | '\u{7f}' => push_char(&mut out, c, charset, Space::Plain),
            c => push_number(&mut out, c, ascii),
        }
    }
    Cow::Owned(out)
}

/// JSON with nothing in it that a terminal obeys: what `serde_json` leaves as it is (DEL, the C1 controls, characters
/// that hide or turn text round) is escaped, which changes no value.
///
/// ```
/// use saescope::text::json;
/// assert_eq!(json("{\"a\":\"\u{9b}é\u{e0001}\"}"), "{\"a\":\"\\u009bé\\udb40\\udc01\"}");
/// ```
#[must_use]
pub fn json(text: &str) -> Cow<'_, str> {
    use std::fmt::Write as _;
    // Within strings line breaks are escaped already.
    let fine = |c: char| c == '\n' || !is_hidden(c);
    if text.chars().all(fine) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if fine(c) {
            out.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            // Writing to a string does not fail.
            let _ = write!(out, "\\u{unit:04x}");
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn nothing_that_is_obeyed_is_left_and_what_is_shown_may_be_shown_again(text: String) {
            for charset in [Charset::Unicode, Charset::Ascii] {
                let shown = lines(&text, charset).into_owned();
                prop_assert!(!shown.chars().any(|c| c != '\n' && is_hidden(c)), "{shown:?}");
                prop_assert_eq!(&lines(&shown, charset), &shown);
                prop_assert!(charset == Charset::Unicode || shown.is_ascii());
                let token = super::super::token(&text, charset);
                prop_assert_eq!(&line(&token, charset), &token);
                prop_assert!(!line(&text, charset).contains('\n'));
                prop_assert!(charset == Charset::Unicode || said(&text, charset).is_ascii());
            }
        }

        #[test]
        fn escaped_json_says_the_same(text: String) {
            let written = serde_json::to_string(&text).expect("is JSON");
            let escaped = json(&written);
            prop_assert!(!escaped.chars().any(is_hidden));
            prop_assert_eq!(serde_json::from_str::<String>(&escaped).expect("is JSON"), text);
        }
    }
}
