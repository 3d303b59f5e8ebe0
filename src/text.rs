//! How a token is shown: honest about its bytes, harmless to a terminal, measured in cells.
//! Not here: tokenizing, colours.
//!
//! A token is a string of bytes that a model saw. What a terminal makes of those bytes is another matter: a control
//! character moves the cursor, a bidirectional one turns the line round, a zero-width one hides. Everything here
//! gives text of which each grapheme has a known width and no character is obeyed by a terminal.

use std::fmt::Write as _;

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

mod command_line;
mod hidden;
mod out;

pub use command_line::CommandLine;
use hidden::is_hidden;
pub use out::{json, line, lines, plain, said};

/// Which characters may be written to the terminal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Charset {
    /// All of Unicode.
    #[default]
    Unicode,
    /// ASCII alone, for locales that are not UTF-8.
    Ascii,
}

/// How white space is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Space {
    /// Every space is marked: `·`.
    Marked,
    /// Spaces stay spaces, as in running text; everything else that is invisible is marked.
    Plain,
}

/// Text of bytes that may be cut in the middle of a character: what is not UTF-8 becomes `⟨e2 96⟩`.
///
/// ```
/// assert_eq!(saescope::text::from_bytes(b"a\xe2\x96"), "a⟨e2 96⟩");
/// assert_eq!(saescope::text::from_bytes("é".as_bytes()), "é");
/// ```
#[must_use]
pub fn from_bytes(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    let mut open = false;
    for chunk in bytes.utf8_chunks() {
        // Broken bytes that follow one another are one broken thing: `⟨e2 96⟩`, not `⟨e2⟩⟨96⟩`.
        if open && !chunk.valid().is_empty() {
            out.push('⟩');
            open = false;
        }
        out.push_str(chunk.valid());
        for byte in chunk.invalid() {
            out.push(if open { ' ' } else { '⟨' });
            let _ = write!(out, "{byte:02x}");
            open = true;
        }
    }
    if open {
        out.push('⟩');
    }
    out
}

/// How many bytes of a prompt a token's text stands for: the inverse of [`from_bytes`] as far as lengths go.
///
/// ```
/// assert_eq!(saescope::text::byte_len("a⟨e2 96⟩"), 3);
/// ```
#[must_use]
pub fn byte_len(text: &str) -> usize {
    pieces(text)
        .map(|piece| if let Piece::Bytes(hex) = piece { hex.split(' ').count() } else { piece.text().len() })
        .sum()
}

/// A stretch of a token's text.
enum Piece<'a> {
    /// Characters.
    Text(&'a str),
    /// Bytes that are not whole character: `e2 96`.
    Bytes(&'a str),
}

impl Piece<'_> {
    const fn text(&self) -> &str {
        match self {
            Self::Text(text) | Self::Bytes(text) => text,
        }
    }
}

/// The stretches of a text as [`from_bytes`] makes it.
fn pieces(text: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        if let Some(hex) = leading_bytes(rest) {
            rest = rest.get('⟨'.len_utf8() + hex.len() + '⟩'.len_utf8()..).unwrap_or_default();
            return Some(Piece::Bytes(hex));
        }
        // Up to the next bracket that opens bytes.
        let opens = |at: &usize| rest.get(*at..).is_some_and(|from| leading_bytes(from).is_some());
        let end = rest.match_indices('⟨').map(|(at, _)| at).find(opens).unwrap_or(rest.len());
        let (text, after) = rest.split_at(end);
        rest = after;
        Some(Piece::Text(text))
    })
}

/// The bytes that a text begins with: `e2 96` of `⟨e2 96⟩…`.
fn leading_bytes(text: &str) -> Option<&str> {
    let (hex, _) = text.strip_prefix('⟨')?.split_once('⟩')?;
    let is_byte = |b: &str| b.len() == 2 && b.chars().all(|c| c.is_ascii_hexdigit());
    hex.split(' ').all(is_byte).then_some(hex)
}

/// A token's text as it may be written to a terminal.
///
/// ```
/// use saescope::text::{Charset, token};
/// assert_eq!(token(" the\n", Charset::Unicode), "·the⏎");
/// assert_eq!(token(" the\n", Charset::Ascii), "_the\\n");
/// assert_eq!(token("\u{202e}\u{1b}", Charset::Unicode), "⟨U+202E⟩␛");
/// ```
#[must_use]
pub fn token(text: &str, charset: Charset) -> String {
    shown(text, charset, Space::Marked)
}

/// Running text (a prompt, a title, an error) as it may be written to a terminal: spaces stay spaces.
#[must_use]
pub fn prose(text: &str, charset: Charset) -> String {
    shown(text, charset, Space::Plain)
}

/// Text as it may be written to a terminal.
#[must_use]
pub fn shown(text: &str, charset: Charset, space: Space) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for piece in pieces(text) {
        match piece {
            Piece::Text(text) => text.graphemes(true).for_each(|g| push_grapheme(&mut out, g, charset, space)),
            Piece::Bytes(hex) if charset == Charset::Ascii => drop(write!(out, "<{hex}>")),
            Piece::Bytes(hex) => drop(write!(out, "⟨{hex}⟩")),
        }
    }
    out
}

/// Appends one grapheme as it may be written.
pub fn push_grapheme(out: &mut String, grapheme: &str, charset: Charset, space: Space) {
    let mut clean = String::new();
    for c in grapheme.chars() {
        push_char(&mut clean, c, charset, space);
    }
    // What was shown by number is not a part of the grapheme any more, so its marks may stand alone now.
    for shown in clean.graphemes(true) {
        if shown.width() > 0 {
            out.push_str(shown);
            continue;
        }
        // A mark without its letter would sit on whatever stands before it on the screen. One that does not join its
        // stand-in either (a Hangul vowel) would still take no cell: it is shown by number.
        let marked = format!("◌{shown}");
        if marked.graphemes(true).count() == 1 {
            out.push_str(&marked);
        } else {
            shown.chars().for_each(|c| push_number(out, c, charset == Charset::Ascii));
        }
    }
}

fn push_char(out: &mut String, c: char, charset: Charset, space: Space) {
    let ascii = charset == Charset::Ascii;
    match c {
        ' ' if space == Space::Plain => out.push(' '),
        ' ' => out.push(if ascii { '_' } else { '·' }),
        '\n' => out.push_str(if ascii { "\\n" } else { "⏎" }),
        '\r' => out.push_str(if ascii { "\\r" } else { "␍" }),
        '\t' => out.push_str(if ascii { "\\t" } else { "⇥" }),
        '\0'..='\u{1f}' if ascii => {
            out.push('^');
            out.push(char::from(b'@' + c as u8));
        }
        '\0'..='\u{1f}' => out.push(char::from_u32(0x2400 + c as u32).unwrap_or('␀')),
        '\u{7f}' => out.push_str(if ascii { "^?" } else { "␡" }),
        '!'..='~' => out.push(c),
        // Marks of ours standing in the text itself: shown by number, or they would pass for a space or a newline.
        '·' | '⏎' | '⇥' | '◌' | '␀'..='␡' => push_number(out, c, ascii),
        // Bytes that are not character were already spelled out by `from_bytes`.
        '⟨' if ascii => out.push('<'),
        '⟩' if ascii => out.push('>'),
        _ if ascii || is_hidden(c) => push_number(out, c, ascii),
        _ => out.push(c),
    }
}

fn push_number(out: &mut String, c: char, ascii: bool) {
    let (open, close) = if ascii { ('<', '>') } else { ('⟨', '⟩') };
    let _ = write!(out, "{open}U+{:04X}{close}", c as u32);
}

/// Cells that text takes on a terminal, by grapheme.
#[must_use]
pub fn width(text: &str) -> usize {
    text.graphemes(true).map(UnicodeWidthStr::width).sum()
}

/// The text cut to at most `cells` cells; what was cut ends in `…` (`~` in ASCII).
///
/// ```
/// use saescope::text::{Charset, truncate};
/// assert_eq!(truncate("abcdef", 4, Charset::Unicode), "abc…");
/// assert_eq!(truncate("東京都", 5, Charset::Unicode), "東京…");
/// assert_eq!(truncate("abc", 4, Charset::Unicode), "abc");
/// ```
#[must_use]
pub fn truncate(text: &str, cells: usize, charset: Charset) -> String {
    if width(text) <= cells {
        return text.to_owned();
    }
    if cells == 0 {
        return String::new();
    }
    let mut out = String::new();
    let mut used = 0;
    for grapheme in text.graphemes(true) {
        let cost = grapheme.width();
        if used + cost > cells - 1 {
            break;
        }
        used += cost;
        out.push_str(grapheme);
    }
    out.push(if charset == Charset::Ascii { '~' } else { '…' });
    out
}

/// The text cut or filled with spaces to exactly `cells` cells.
#[must_use]
pub fn fit(text: &str, cells: usize, charset: Charset) -> String {
    let mut out = truncate(text, cells, charset);
    let used = width(&out);
    out.extend(std::iter::repeat_n(' ', cells.saturating_sub(used)));
    out
}

/// Text wrapped at spaces to lines of at most `cells` cells; a word that is longer is cut.
#[must_use]
pub fn wrap(text: &str, cells: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for paragraph in text.split('\n') {
        wrap_paragraph(paragraph, cells.max(1), &mut lines);
    }
    lines
}

/// As [`wrap`], in at most so many lines: the last is cut where there would be more.
#[must_use]
pub fn wrap_within(text: &str, cells: usize, lines: usize, charset: Charset) -> Vec<String> {
    let mut wrapped = wrap(text, cells);
    if let Some(rest) = wrapped.get(lines).cloned() {
        wrapped.truncate(lines);
        if let Some(last) = wrapped.last_mut() {
            *last = truncate(&format!("{last} {rest}"), cells, charset);
        }
    }
    wrapped
}

fn wrap_paragraph(text: &str, cells: usize, lines: &mut Vec<String>) {
    let mut line = String::new();
    let mut used = 0;
    for word in text.split(' ') {
        let cost = width(word);
        if used > 0 && used + 1 + cost > cells {
            lines.push(std::mem::take(&mut line));
            used = 0;
        }
        if used > 0 {
            line.push(' ');
            used += 1;
        }
        for grapheme in word.graphemes(true) {
            let cost = grapheme.width();
            if used + cost > cells && used > 0 {
                lines.push(std::mem::take(&mut line));
                used = 0;
            }
            line.push_str(grapheme);
            used += cost;
        }
    }
    lines.push(line);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn shows_what_cannot_be_seen() {
        let cases = [
            (" a", "·a", "_a"),
            ("\n\n", "⏎⏎", "\\n\\n"),
            ("\u{1b}[2J", "␛[2J", "^[[2J"),
            ("\u{200b}", "⟨U+200B⟩", "<U+200B>"),
            ("\u{0301}", "◌\u{0301}", "<U+0301>"),
            ("é", "é", "<U+00E9>"),
            ("👩\u{200d}🔬", "👩⟨U+200D⟩🔬", "<U+1F469><U+200D><U+1F52C>"),
            ("a·b", "a⟨U+00B7⟩b", "a<U+00B7>b"),
            ("a ⟨e2 96⟩ b", "a·⟨e2 96⟩·b", "a_<e2 96>_b"),
            ("⟨no⟩", "⟨no⟩", "<no>"),
            ("\u{1161}", "⟨U+1161⟩", "<U+1161>"),
            ("\u{b82}\u{13447}", "◌\u{b82}⟨U+13447⟩", "<U+0B82><U+13447>"),
            ("שלום", "שלום", "<U+05E9><U+05DC><U+05D5><U+05DD>"),
        ];
        for (text, unicode, ascii) in cases {
            assert_eq!(token(text, Charset::Unicode), unicode, "{text:?}");
            assert_eq!(token(text, Charset::Ascii), ascii, "{text:?}");
        }
    }

    #[test]
    fn broken_bytes_join() {
        assert_eq!(from_bytes(b"\xff\xfe"), "⟨ff fe⟩");
        assert_eq!(from_bytes(b"\xe2\x96x\x81"), "⟨e2 96⟩x⟨81⟩");
        assert_eq!(from_bytes(b""), "");
    }

    #[test]
    fn wraps_at_spaces_and_cuts_long_words() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("abcdefgh", 3), ["abc", "def", "gh"]);
        assert_eq!(wrap("", 3), [""]);
        assert_eq!(wrap("a\nb", 3), ["a", "b"]);
    }

    proptest! {
        #[test]
        fn nothing_shown_is_obeyed_by_a_terminal(text in any::<String>()) {
            for space in [Space::Marked, Space::Plain] {
                let out = shown(&text, Charset::Unicode, space);
                prop_assert!(out.chars().all(|c| !c.is_control() && !is_hidden(c)), "{:?}", out);
                let ascii = shown(&text, Charset::Ascii, space);
                prop_assert!(ascii.replace('◌', "").chars().all(|c| matches!(c, ' '..='~')), "{:?}", ascii);
            }
        }

        #[test]
        fn every_grapheme_shown_takes_cells(text in any::<String>()) {
            let out = token(&text, Charset::Unicode);
            prop_assert!(out.graphemes(true).all(|g| g.width() > 0), "{:?}", out);
        }

        #[test]
        fn a_cut_text_fits(text in any::<String>(), cells in 0_usize..40) {
            let out = token(&text, Charset::Unicode);
            prop_assert!(width(&truncate(&out, cells, Charset::Unicode)) <= cells);
            prop_assert_eq!(width(&fit(&out, cells, Charset::Unicode)), cells);
        }

        #[test]
        fn a_wrapped_text_fits_and_loses_nothing(text in "[a-z東 ]{0,60}", cells in 2_usize..20) {
            let lines = wrap(&text, cells);
            prop_assert!(lines.iter().all(|l| width(l) <= cells));
            let letters = |s: &str| s.chars().filter(|c| *c != ' ').collect::<String>();
            prop_assert_eq!(letters(&lines.concat()), letters(&text));
        }

        #[test]
        fn a_text_of_bytes_keeps_its_length(bytes in proptest::collection::vec(any::<u8>(), 0..12)) {
            prop_assert_eq!(byte_len(&from_bytes(&bytes)), bytes.len());
        }
    }
}
