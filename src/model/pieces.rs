//! Where a text that is too long to be spelled at once can be cut, so that its pieces have the tokens of the whole.
//! Not here: reading a text, and spelling it.

/// Bytes that are spelled at a time: what spelling holds of a text is many times its length.
pub const PIECE: usize = 64 << 10;

/// Where to cut the bytes of a text that is longer than `most`: behind the last line break that something other than
/// white space follows, else before the last space that stands alone between words, where no token of a tokenizer that
/// splits at spaces goes across; else between two characters. At least one byte, at most `most`.
#[must_use]
pub fn cut(bytes: &[u8], most: usize) -> usize {
    let most = most.clamp(1, bytes.len().max(1));
    let white = |at: usize| bytes.get(at).is_none_or(u8::is_ascii_whitespace);
    let line = |at: &usize| bytes[at - 1] == b'\n' && !white(*at);
    let word = |at: &usize| bytes.get(*at) == Some(&b' ') && !white(at - 1) && !white(at + 1);
    let boundary = |at: &usize| bytes.get(*at).is_none_or(|byte| byte & 0xc0 != 0x80);
    let places = || (1..=most).rev();
    let found = places().find(line).or_else(|| places().find(word)).or_else(|| places().find(boundary));
    found.unwrap_or(most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_at_a_line_else_at_a_word_else_at_a_character() {
        let at = |text: &str, most: usize| cut(text.as_bytes(), most);
        assert_eq!(at("one two\nthree four", 12), 8);
        assert_eq!(at("one two\n three four", 12), 3, "a line that begins with a space is not a safe place to cut");
        assert_eq!(at("one two three", 10), 7);
        assert_eq!(at("one two  three", 10), 3, "two spaces may be one token");
        assert_eq!(at("ééé", 3), 2);
        assert_eq!(at("abc", 3), 3);
        assert_eq!(at("東", 1), 1, "what cannot be cut well is cut all the same");
    }
}
