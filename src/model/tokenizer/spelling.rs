//! How a vocabulary writes bytes down: GPT-2's byte-level alphabet, SentencePiece's pieces, or as they stand.
//! Not here: how a token is shown.

use tokenizers::{DecoderWrapper, PreTokenizerWrapper};

/// How a vocabulary writes bytes down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spelling {
    /// One character for each byte, as GPT-2's byte-level BPE has it.
    ByteLevel,
    /// `▁` for a space and `<0x0A>` for a byte, as SentencePiece has it.
    SentencePiece,
    /// As it stands.
    Plain,
}

impl Spelling {
    /// That of a tokenizer.
    pub fn of(tokenizer: &tokenizers::Tokenizer) -> Self {
        fn of(decoder: &DecoderWrapper) -> Spelling {
            match decoder {
                DecoderWrapper::ByteLevel(_) => Spelling::ByteLevel,
                DecoderWrapper::ByteFallback(_) | DecoderWrapper::Metaspace(_) | DecoderWrapper::Replace(_) => {
                    Spelling::SentencePiece
                }
                DecoderWrapper::Sequence(all) => {
                    all.get_decoders().iter().map(of).find(|found| *found != Spelling::Plain).unwrap_or(Spelling::Plain)
                }
                _ => Spelling::Plain,
            }
        }
        match (tokenizer.get_decoder(), tokenizer.get_pre_tokenizer()) {
            (Some(decoder), _) => of(decoder),
            (None, Some(PreTokenizerWrapper::ByteLevel(_))) => Spelling::ByteLevel,
            (None, _) => Spelling::Plain,
        }
    }

    /// The bytes of a token as the vocabulary writes it.
    pub fn bytes(self, token: &str) -> Vec<u8> {
        match self {
            Self::Plain => token.into(),
            Self::ByteLevel => token.chars().map(byte_of).collect::<Option<_>>().unwrap_or_else(|| token.into()),
            Self::SentencePiece => {
                let byte = token.strip_prefix("<0x").and_then(|rest| rest.strip_suffix('>'));
                match byte.filter(|hex| hex.len() == 2).and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
                    Some(byte) => vec![byte],
                    None => token.replace('▁', " ").into_bytes(),
                }
            }
        }
    }
}

/// The byte that GPT-2's byte-level alphabet writes as this character: printable Latin-1 characters stand for
/// themselves, the other 68 bytes for the characters from U+0100 on, in order (`bytes_to_unicode` of GPT-2's
/// `encoder.py`).
fn byte_of(character: char) -> Option<u8> {
    let code = u32::from(character);
    match code {
        0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff => Some(code as u8),
        0x100..=0x120 => Some((code - 0x100) as u8),
        0x121..=0x142 => Some((code - 0x121 + 0x7f) as u8),
        0x143 => Some(0xad),
        _ => None,
    }
}
