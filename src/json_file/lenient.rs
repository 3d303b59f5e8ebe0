//! JSON with the three words that Python's `json` writes for numbers that are not finite.
//! Not here: keys and their types.
//!
//! Each of them becomes an object with one key that no file has by chance: an object is what no number, string, list or
//! flag can be taken for.

use serde_json::{Error, Map, Value};

/// The key of the objects that stand for what is not finite.
const MARK: &str = "\u{0}not finite";
/// What Python writes, the longest first where one begins another.
const WORDS: [&str; 3] = ["-Infinity", "Infinity", "NaN"];
/// Most such words that are read: more would take much memory, and no configuration has them.
const MAX_WORDS: usize = 10_000;

/// Parses JSON. Lists and objects lie at most 127 deep in each other.
pub fn parse(bytes: &[u8]) -> Result<Value, Error> {
    // A file without such a word, as almost all are, is read as it lies.
    serde_json::from_slice(bytes).or_else(|error| match replaced(bytes) {
        Some(bytes) => serde_json::from_slice(&bytes),
        None => Err(error),
    })
}

/// Whether a value stands for a number that is not finite.
pub fn is_not_finite(value: &Value) -> bool {
    value.as_object().is_some_and(|object| object.len() == 1 && object.contains_key(MARK))
}

/// A value as it stood in the file.
pub fn as_written(value: &Value) -> String {
    let mut text = value.to_string();
    for word in WORDS {
        text = text.replace(&mark(word), word);
    }
    text
}

fn mark(word: &str) -> String {
    Value::Object(Map::from_iter([(MARK.to_owned(), Value::from(word))])).to_string()
}

/// The file with marks in place of the words, outside of strings; none where there is no word, or too many.
fn replaced(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    // What comes before `done` is in `out`.
    let (mut at, mut done, mut count) = (0, 0, 0);
    while at < bytes.len() {
        if bytes[at] == b'"' {
            at = after_string(bytes, at);
            continue;
        }
        let Some(word) = WORDS.into_iter().find(|word| stands_at(bytes, at, word)) else {
            at += 1;
            continue;
        };
        count += 1;
        if count > MAX_WORDS {
            return None;
        }
        out.extend_from_slice(&bytes[done..at]);
        out.extend_from_slice(mark(word).as_bytes());
        at += word.len();
        done = at;
    }
    if done == 0 {
        return None;
    }
    out.extend_from_slice(&bytes[done..]);
    Some(out)
}

/// Whether a word stands there, and not a part of a longer one.
fn stands_at(bytes: &[u8], at: usize, word: &str) -> bool {
    let part = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || b"+-._".contains(byte));
    let end = at + word.len();
    bytes[at..].starts_with(word.as_bytes()) && !part(at.checked_sub(1).map(|at| &bytes[at])) && !part(bytes.get(end))
}

/// The place behind the string that begins at `at`.
fn after_string(bytes: &[u8], at: usize) -> usize {
    let mut at = at + 1;
    while let Some(&byte) = bytes.get(at) {
        at += if byte == b'\\' { 2 } else { 1 };
        if byte == b'"' {
            break;
        }
    }
    at.min(bytes.len())
}
