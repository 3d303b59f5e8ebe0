//! A prompt as a suite runs it: its tokens, with the one that begins a text in front where the suite says so, and what
//! is worth saying of that. Not here: running it, and the text that is measured on.

use crate::model;
use crate::report::Report;
use crate::session::failure;
use crate::suite::Suite;
use crate::text;

/// What some editors write in front of UTF-8: no part of the text.
const MARK: char = '\u{feff}';

/// A prompt's tokens.
pub struct Typed {
    pub ids: Vec<u32>,
    /// What a person should know of them.
    pub notes: Vec<String>,
}

/// The tokens of a prompt. The token that begins a text stands in front once where the suite prepends it and the prompt
/// spells it too.
pub fn typed(loaded: &model::Loaded, suite: &Suite, prompt: &str) -> Result<Typed, Report> {
    let model::Loaded { model, tokenizer } = loaded;
    let spelled = tokenizer.encode_within(prompt, model.shape().context);
    let mut ids = spelled.map_err(|error| failure::of_model("cannot run the prompt", &error))?;
    let mut notes = Vec::new();
    if let Some(bos) = tokenizer.bos().filter(|_| suite.model.prepend_bos) {
        if ids.first() == Some(&bos) {
            let name = text::from_bytes(tokenizer.bytes_of(bos));
            notes.push(format!(
                "the prompt begins with `{name}`, which the suite puts in front of every prompt: it is not put there twice"
            ));
        } else {
            ids.insert(0, bos);
        }
    }
    Ok(Typed { ids, notes })
}

/// A prompt out of a file or pipe: without the byte order mark in front, and without the one line break that ends it.
#[must_use]
pub fn of_file(text: &str) -> &str {
    let text = text.strip_prefix(MARK).unwrap_or(text);
    let Some(line) = text.strip_suffix('\n') else { return text };
    line.strip_suffix('\r').unwrap_or(line)
}

/// Bytes without a byte order mark in front.
pub fn without_mark(bytes: &[u8]) -> &[u8] {
    let mut mark = [0; 3];
    bytes.strip_prefix(MARK.encode_utf8(&mut mark).as_bytes()).unwrap_or(bytes)
}

/// Bytes without the line break that ends them, where one does.
pub fn without_end(bytes: &[u8]) -> &[u8] {
    let Some(line) = bytes.strip_suffix(b"\n") else { return bytes };
    line.strip_suffix(b"\r").unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_final_line_break_and_a_byte_order_mark_are_no_part_of_a_prompt() {
        let cases = [
            ("the cat", "the cat"),
            ("the cat\n", "the cat"),
            ("the cat\r\n", "the cat"),
            ("the cat\n\n", "the cat\n"),
            ("the cat\n\r\n", "the cat\n"),
            ("the cat\r", "the cat\r"),
            ("\u{feff}\u{feff}the", "\u{feff}the"),
            ("\u{feff}\r\n", ""),
            ("\n", ""),
        ];
        for (given, left) in cases {
            assert_eq!(of_file(given), left, "{given:?}");
            assert_eq!(without_end(without_mark(given.as_bytes())), left.as_bytes(), "{given:?}");
        }
    }
}
