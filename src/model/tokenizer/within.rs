//! Texts that are far too long for the model, refused before all of them is spelled: the tokens of a text take a hundred
//! and forty times its bytes. Not here: spelling.

use super::{Error, Tokenizer};

/// Bytes that are spelled at a time to count the tokens of a long text.
const PIECE: usize = 64 << 10;

impl Tokenizer {
    /// The tokens of a text for a model that takes `most` of them. A text of more than twice as many is refused when that
    /// much of it is counted; others are spelled as a whole, and may be too long all the same.
    ///
    /// # Errors
    /// As [`Tokenizer::encode`]; [`Error::FarTooLong`].
    pub fn encode_within(&self, text: &str, most: usize) -> Result<Vec<u32>, Error> {
        if text.len() > PIECE {
            self.count(text, most)?;
        }
        self.encode(text)
    }

    /// Spells a text piece by piece. A cut changes a few tokens beside it, never half of all.
    fn count(&self, text: &str, most: usize) -> Result<(), Error> {
        // A token that takes the white space beside it for its own makes any amount of it one token.
        let added = self.inner.get_added_tokens_decoder();
        let takes = added.values().any(|token| (token.lstrip || token.rstrip) && text.contains(&token.content));
        let (mut rest, mut tokens) = (text, 0usize);
        while !rest.is_empty() {
            let (piece, behind) = rest.split_at(cut(rest));
            let piece = if takes { piece.trim() } else { piece };
            tokens += self.spelled(piece)?.len();
            if tokens > most.saturating_mul(2) {
                return Err(Error::FarTooLong { bytes: text.len(), context: most });
            }
            rest = behind;
        }
        Ok(())
    }
}

/// Where to end a piece: in front of the last white space in it, else between two characters.
fn cut(text: &str) -> usize {
    let end = text.floor_char_boundary(PIECE);
    if end == text.len() {
        return end;
    }
    text[..end].rfind(char::is_whitespace).filter(|at| *at > PIECE / 2).unwrap_or(end)
}
