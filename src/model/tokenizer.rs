//! Text to tokens and back, with the bytes each token honestly stands for.
//! Not here: how a token is shown.

mod named;

use std::panic::catch_unwind;

use named::Named;
use serde_json::json;
use tokenizers::{DecoderWrapper, PreTokenizerWrapper};

use super::{Error, TokenizerFiles};
use crate::blob::Blob;

/// Names under which vocabularies keep the token that begins a text, tried in turn when no file states one.
const BOS_NAMES: [&str; 4] = ["<|endoftext|>", "<|begin_of_text|>", "<bos>", "<s>"];

/// Token numbers from here on are refused before a table of them is made; the largest vocabularies have some 260,000.
const LARGEST: u32 = 1 << 24;

/// A tokenizer, and the bytes of every token.
#[derive(Clone)]
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    file: String,
    /// The bytes of all tokens, one after the other.
    bytes: Vec<u8>,
    /// Where in `bytes` the token of each number ends.
    ends: Vec<usize>,
    bos: Option<u32>,
    opening: Vec<u32>,
}

/// How a vocabulary writes bytes down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spelling {
    /// One character for each byte, as GPT-2's byte-level BPE has it.
    ByteLevel,
    /// `▁` for a space and `<0x0A>` for a byte, as SentencePiece has it.
    SentencePiece,
    /// As it stands.
    Plain,
}

/// What is said of a tokenizer's tokens outside its own files.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stated<'a> {
    /// `tokenizer_config.json`, where there is one.
    pub config: Option<&'a Blob>,
    /// The token that begins a text, as the model's config states it.
    pub bos: Option<u32>,
    /// Rows of the model's embedding: tokens that are only named get no number beyond them.
    pub rows: Option<usize>,
}

impl Tokenizer {
    /// Reads the files of a tokenizer. `bos` is the token that begins a text as the model's config states it, for
    /// tokenizers that put none in front themselves.
    ///
    /// # Errors
    /// [`Error::Read`], [`Error::Tokenizer`].
    pub fn load(files: &TokenizerFiles, bos: Option<u32>) -> Result<Self, Error> {
        Self::load_as(files, Stated { bos, ..Stated::default() })
    }

    /// The same with all that is stated of its tokens.
    ///
    /// # Errors
    /// As [`Tokenizer::load`].
    pub fn load_as(files: &TokenizerFiles, stated: Stated<'_>) -> Result<Self, Error> {
        let named = stated.config.map(Named::open).transpose()?;
        let (file, json) = match files {
            TokenizerFiles::Json(blob) => (blob.name().to_owned(), read(blob)?),
            TokenizerFiles::Bpe { vocab, merges } => (vocab.name().to_owned(), from_bpe(vocab, merges)?),
        };
        let bad = |why: String| Error::Tokenizer { file: file.clone(), why };
        let mut inner = parsed(&json).map_err(bad)?;
        inner.with_padding(None);
        inner.with_truncation(None).map_err(|error| bad(error.to_string()))?;
        if let Some(named) = &named {
            add(&mut inner, named, stated.rows).map_err(|error| bad(error.to_string()))?;
        }

        let spelling = spelling(&inner);
        let mut tokens: Vec<(u32, Vec<u8>)> =
            inner.get_vocab(false).into_iter().map(|(token, id)| (id, spelling.bytes(&token))).collect();
        let added = inner.get_added_tokens_decoder();
        tokens.retain(|(id, _)| !added.contains_key(id));
        tokens.extend(added.iter().map(|(id, token)| (*id, token.content.clone().into_bytes())));
        tokens.sort_unstable_by_key(|(id, _)| *id);
        if let Some((id, _)) = tokens.last().filter(|(id, _)| *id >= LARGEST) {
            return Err(bad(format!("it has a token number {id}, expected numbers below {LARGEST}")));
        }
        let (mut bytes, mut ends) = (Vec::new(), Vec::new());
        for (id, token) in tokens {
            ends.resize(id as usize, bytes.len());
            bytes.extend(token);
            ends.push(bytes.len());
        }
        if ends.is_empty() {
            return Err(bad("it has no tokens".into()));
        }
        let named = named.unwrap_or_default();
        let opening = match files {
            TokenizerFiles::Json(_) => opening(&inner),
            // The pair has no template: there alone `transformers` asks the config whether something stands in front.
            TokenizerFiles::Bpe { .. } if named.add_bos => begins(&inner, &named).into_iter().collect(),
            TokenizerFiles::Bpe { .. } => Vec::new(),
        };
        let bos = match opening[..] {
            [alone] => Some(alone),
            _ => begins(&inner, &named)
                .or_else(|| stated.bos.filter(|id| (*id as usize) < ends.len()))
                .or_else(|| BOS_NAMES.iter().find_map(|name| inner.token_to_id(name))),
        };
        Ok(Self { inner, file, bytes, ends, bos, opening })
    }

    /// A tokenizer without tokens, for where there is no model: no text can be spelled with it.
    pub(super) fn none() -> Self {
        let inner = tokenizers::Tokenizer::new(tokenizers::models::bpe::BPE::default());
        Self { inner, file: String::new(), bytes: Vec::new(), ends: Vec::new(), bos: None, opening: Vec::new() }
    }

    /// The tokens of a text. Nothing is put in front or behind; where the text spells a special token, such as
    /// `<|endoftext|>`, it becomes that token, as in `transformers`.
    ///
    /// # Errors
    /// [`Error::Tokenizer`] when the text cannot be spelled with this vocabulary; [`Error::WeightsOnly`] when there is no
    /// tokenizer.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, Error> {
        if self.ends.is_empty() {
            return Err(Error::WeightsOnly);
        }
        match self.inner.encode_fast(text, false) {
            Ok(encoding) => Ok(encoding.get_ids().to_vec()),
            Err(error) => Err(Error::Tokenizer { file: self.file.clone(), why: error.to_string() }),
        }
    }

    /// The bytes a token stands for; they need not be whole UTF-8 characters. Empty for a number without a token.
    pub fn bytes_of(&self, id: u32) -> &[u8] {
        let id = id as usize;
        let Some(end) = self.ends.get(id) else { return &[] };
        let start = id.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.bytes[start..*end]
    }

    /// The text of some tokens; bytes that are no UTF-8 become U+FFFD.
    pub fn decode(&self, ids: &[u32]) -> String {
        let bytes: Vec<u8> = ids.iter().flat_map(|id| self.bytes_of(*id)).copied().collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// One more than the largest token number.
    pub fn vocab_size(&self) -> usize {
        self.ends.len()
    }

    /// The token that begins a text, where one does: what the tokenizer itself puts in front, else what its
    /// `tokenizer_config.json` names, else what the model's config states, else one of the usual names. Where the
    /// tokenizer's config says that none begins a text, that which ends one stands for it, as in TransformerLens.
    pub const fn bos(&self) -> Option<u32> {
        self.bos
    }

    /// What `transformers` puts in front of every text with this tokenizer when it is not told otherwise: `<bos>` for
    /// Gemma, `<|begin_of_text|>` for Llama 3, nothing for GPT-2 and Pythia. [`Tokenizer::encode`] never does.
    pub fn opening(&self) -> &[u32] {
        &self.opening
    }

    /// The token that is exactly this text.
    pub fn id_of(&self, text: &str) -> Option<u32> {
        (0..self.ends.len() as u32).find(|id| !text.is_empty() && self.bytes_of(*id) == text.as_bytes())
    }

    /// The tokens whose text contains `text`, in the order of their numbers. Letters count as the same in either case
    /// when `text` has no capital.
    pub fn ids_containing(&self, text: &str) -> Vec<u32> {
        if text.is_empty() {
            return Vec::new();
        }
        let fold = !text.chars().any(char::is_uppercase);
        (0..self.ends.len() as u32)
            .filter(|id| {
                let token = String::from_utf8_lossy(self.bytes_of(*id));
                if fold { token.to_lowercase().contains(text) } else { token.contains(text) }
            })
            .collect()
    }

    /// Fails when the tokenizer has numbers beyond the rows of the model's embedding. Fewer are common: embeddings are
    /// padded.
    pub(super) fn fits(&self, vocab: usize, config: &str) -> Result<(), Error> {
        if self.vocab_size() <= vocab {
            return Ok(());
        }
        let why = format!("its tokens go up to {}, but the model of `{config}` has {vocab}", self.vocab_size() - 1);
        Err(Error::Tokenizer { file: self.file.clone(), why })
    }
}

impl std::fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokenizer").field("file", &self.file).field("tokens", &self.ends.len()).finish_non_exhaustive()
    }
}

/// The tokenizer that a `tokenizer.json` describes.
fn parsed(json: &[u8]) -> Result<tokenizers::Tokenizer, String> {
    // Where a decoder's JSON cannot be read the library ends in a panic: most of that is found here, with its place.
    serde_json::from_slice::<serde::de::IgnoredAny>(json).map_err(|error| error.to_string())?;
    match catch_unwind(|| tokenizers::Tokenizer::from_bytes(json)) {
        Ok(tokenizer) => tokenizer.map_err(|error| error.to_string()),
        Err(_) => Err("its decoder or normalizer cannot be read".to_owned()),
    }
}

fn read(blob: &Blob) -> Result<std::borrow::Cow<'static, [u8]>, Error> {
    blob.read().map_err(|source| Error::Read { file: blob.name().to_owned(), source })
}

/// The `tokenizer.json` that GPT-2's older pair of files stands for.
fn from_bpe(vocab: &Blob, merges: &Blob) -> Result<std::borrow::Cow<'static, [u8]>, Error> {
    let bad = |file: &Blob, why: String| Error::Tokenizer { file: file.name().to_owned(), why };
    let tokens: serde_json::Map<String, serde_json::Value> =
        serde_json::from_slice(&read(vocab)?).map_err(|error| bad(vocab, error.to_string()))?;
    let text = read(merges)?;
    let text = std::str::from_utf8(&text).map_err(|error| bad(merges, error.to_string()))?;
    let mut pairs = Vec::new();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.starts_with("#version") && !line.is_empty())
    {
        let pair = line.split_once(' ').filter(|(_, second)| !second.contains(' '));
        let Some((first, second)) = pair else {
            return Err(bad(merges, format!("line {}: expected two tokens, found `{line}`", number + 1)));
        };
        pairs.push([first, second]);
    }
    let special: Vec<_> = BOS_NAMES
        .iter()
        .filter_map(|name| tokens.get(*name).map(|id| (name, id)))
        .map(|(name, id)| {
            json!({"id": id, "content": name, "special": true, "normalized": false,
                   "single_word": false, "lstrip": false, "rstrip": false})
        })
        .collect();
    let byte_level = json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true});
    let whole = json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": special, "normalizer": null,
        "pre_tokenizer": byte_level, "post_processor": null, "decoder": byte_level,
        "model": {"type": "BPE", "vocab": tokens, "merges": pairs},
    });
    serde_json::to_vec(&whole).map(Into::into).map_err(|error| bad(vocab, error.to_string()))
}

/// Adds the tokens that are named and not there, as `transformers` does, while the model has rows for them.
fn add(inner: &mut tokenizers::Tokenizer, named: &Named, rows: Option<usize>) -> tokenizers::Result<()> {
    let added = inner.get_added_tokens_decoder();
    for token in &named.tokens {
        let known = inner.token_to_id(&token.content);
        let is_added = known.is_some_and(|id| added.contains_key(&id));
        let fits = known.is_some() || rows.is_none_or(|rows| inner.get_vocab_size(true) < rows);
        if !is_added && fits {
            inner.add_tokens([token.clone()])?;
        }
    }
    Ok(())
}

/// The token that begins a text by the tokenizer's config.
fn begins(inner: &tokenizers::Tokenizer, named: &Named) -> Option<u32> {
    let name = named.bos.as_ref().or_else(|| named.eos.as_ref().filter(|_| named.without_bos));
    name.and_then(|name| inner.token_to_id(name))
}

/// The tokens that the tokenizer's template puts in front of a text.
fn opening(tokenizer: &tokenizers::Tokenizer) -> Vec<u32> {
    // Any text shows it; this one is a token or two in every vocabulary.
    let ids = |special| tokenizer.encode_fast("a", special).map(|encoding| encoding.get_ids().to_vec());
    let (Ok(with), Ok(without)) = (ids(true), ids(false)) else { return Vec::new() };
    let at = with.windows(without.len().max(1)).position(|window| window == without);
    at.map_or_else(Vec::new, |at| with[..at].to_vec())
}

fn spelling(tokenizer: &tokenizers::Tokenizer) -> Spelling {
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

impl Spelling {
    /// The bytes of a token as the vocabulary writes it.
    fn bytes(self, token: &str) -> Vec<u8> {
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

#[cfg(test)]
mod tests;
