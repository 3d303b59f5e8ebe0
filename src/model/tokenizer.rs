//! Text to tokens and back, with the bytes each token honestly stands for.
//! Not here: how a token is shown.

mod class;
mod named;
mod probe;
mod spelling;
mod within;

use std::collections::BTreeMap;

use class::Class;
use named::{Beside, Named};
use serde_json::json;
use spelling::Spelling;

use super::{Error, TokenizerFiles};
use crate::blob::Blob;
use crate::guard;

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
    /// Rows of the model's embedding, where they are known.
    rows: Option<usize>,
    /// Tokens for which the embedding has no row.
    beyond: BTreeMap<u32, String>,
    note: Option<String>,
}

/// What is said of a tokenizer's tokens outside its own files.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stated<'a> {
    /// `tokenizer_config.json`, where there is one.
    pub config: Option<&'a Blob>,
    /// `special_tokens_map.json`, where there is one.
    pub specials: Option<&'a Blob>,
    /// `added_tokens.json`, where there is one.
    pub added: Option<&'a Blob>,
    /// The model's `model_type`, by which `transformers` chooses a class.
    pub model_type: Option<&'a str>,
    /// The `tokenizer_class` of the model's config.
    pub class: Option<&'a str>,
    /// The token that begins a text, as the model's config states it.
    pub bos: Option<u32>,
    /// Rows of the model's embedding: tokens beyond them have no name, and no prompt can spell them.
    pub rows: Option<usize>,
    /// Whether the tokenizer's own files have the last word, and not what `transformers` makes of them.
    pub own_word: bool,
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
        let mut named = Named::open(Beside { config: stated.config, specials: stated.specials, added: stated.added })?;
        let (file, json) = match files {
            TokenizerFiles::Json(blob) => (blob.name().to_owned(), read(blob)?),
            TokenizerFiles::Bpe { vocab, merges } => (vocab.name().to_owned(), from_bpe(vocab, merges)?),
        };
        let bad = |why: String| Error::Tokenizer { file: file.clone(), why };
        let mut own = parsed(&json).map_err(bad)?;
        drop(json);
        let padding = own.get_padding().map(|padding| padding.pad_token.clone());
        own.with_padding(None);
        if own.get_vocab_size(true) == 0 {
            return Err(bad("it has no tokens".into()));
        }
        own.with_truncation(None).map_err(|error| bad(error.to_string()))?;
        let class = class_of(files, &own, &named, stated);
        named.complete(class, padding);
        let made = guard::call(|| as_transformers(&own, &named, class, files));
        let theirs = made.unwrap_or_else(|_| Err("its tokens cannot be added".to_owned())).map_err(bad)?;
        let note = probe::note(&own, &theirs, class, stated.own_word);
        let inner = if stated.own_word { own } else { theirs };

        let (tokens, beyond) = texts(&inner, stated.rows);
        if let Some((id, _)) = tokens.last_key_value().filter(|(id, _)| **id >= LARGEST) {
            return Err(bad(format!("it has a token number {id}, expected numbers below {LARGEST}")));
        }
        let (mut bytes, mut ends) = (Vec::new(), Vec::new());
        for (id, token) in tokens {
            ends.resize(id as usize, bytes.len());
            bytes.extend(token);
            ends.push(bytes.len());
        }
        if ends.is_empty() {
            return Err(bad("the model's embedding has a row for none of its tokens".into()));
        }
        let opening = match files {
            TokenizerFiles::Json(_) => opening(&inner),
            // The pair has no template: there alone `transformers` asks the config whether something stands in front.
            TokenizerFiles::Bpe { .. } if named.add_bos => begins(&inner, &named).into_iter().collect(),
            TokenizerFiles::Bpe { .. } => Vec::new(),
        };
        let there = |id: &u32| (*id as usize) < ends.len();
        let alone = if let [alone] = opening[..] { Some(alone) } else { None };
        let bos = alone.filter(there).or_else(|| begins(&inner, &named).filter(there)).or_else(|| {
            let usual = || BOS_NAMES.iter().find_map(|name| inner.token_to_id(name)).filter(there);
            stated.bos.filter(there).or_else(usual)
        });
        Ok(Self { inner, file, bytes, ends, bos, opening, rows: stated.rows, beyond, note })
    }

    /// A tokenizer without tokens, for where there is no model: no text can be spelled with it.
    pub(super) fn none() -> Self {
        let inner = tokenizers::Tokenizer::new(tokenizers::models::bpe::BPE::default());
        Self {
            inner,
            file: String::new(),
            bytes: Vec::new(),
            ends: Vec::new(),
            bos: None,
            opening: Vec::new(),
            rows: None,
            beyond: BTreeMap::new(),
            note: None,
        }
    }

    /// The tokens of a text. Nothing is put in front or behind; where the text spells a special token, such as
    /// `<|endoftext|>`, it becomes that token, as in `transformers`.
    ///
    /// # Errors
    /// [`Error::Tokenizer`] when the text cannot be spelled with this vocabulary; [`Error::NoRow`] when it spells a token
    /// for which the model has no row; [`Error::WeightsOnly`] when there is no tokenizer.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, Error> {
        let ids = self.spelled(text)?;
        let (rows, beyond) = (self.rows.unwrap_or(usize::MAX), ids.iter().find(|id| self.is_beyond(**id)));
        match beyond {
            None => Ok(ids),
            Some(id) => Err(Error::NoRow { token: self.beyond.get(id).cloned().unwrap_or_default(), id: *id, rows }),
        }
    }

    /// The tokens of a text, whether or not the model has rows for them.
    fn spelled(&self, text: &str) -> Result<Vec<u32>, Error> {
        if self.ends.is_empty() {
            return Err(Error::WeightsOnly);
        }
        spelled(&self.inner, text).map_err(|why| Error::Tokenizer { file: self.file.clone(), why })
    }

    fn is_beyond(&self, id: u32) -> bool {
        self.rows.is_some_and(|rows| id as usize >= rows)
    }

    /// Where `transformers` and the tokenizer's own files spell texts differently, and which of the two is followed.
    pub fn note(&self) -> Option<&str> {
        self.note.as_deref()
    }

    /// The bytes a token stands for; they need not be whole UTF-8 characters. Empty for a number without a token.
    pub fn bytes_of(&self, id: u32) -> &[u8] {
        let id = id as usize;
        let Some(end) = self.ends.get(id) else { return &[] };
        let start = id.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.bytes[start..*end]
    }

    /// The text of some tokens; bytes that are not UTF-8 become U+FFFD.
    pub fn decode(&self, ids: &[u32]) -> String {
        let bytes: Vec<u8> = ids.iter().flat_map(|id| self.bytes_of(*id)).copied().collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// One more than the largest token number for which the model has a row.
    pub fn vocab_size(&self) -> usize {
        self.ends.len()
    }

    /// The token that begins a text, where one does: what the tokenizer itself puts in front, else what its
    /// `tokenizer_config.json` names, else what the model's config states, else one of the usual names. Where the
    /// tokenizer's config says that none begins a text, that which ends one stands for it, as in TransformerLens.
    pub const fn bos(&self) -> Option<u32> {
        self.bos
    }

    /// What `transformers` puts in front of every text with this tokenizer when it is not set otherwise: `<bos>` for
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
    guarded("its decoder or normalizer cannot be read", || tokenizers::Tokenizer::from_bytes(json))
}

/// The tokens of a text, nothing put in front or behind.
fn spelled(tokenizer: &tokenizers::Tokenizer, text: &str) -> Result<Vec<u32>, String> {
    let spelled = guarded("its rules fail on this text", || tokenizer.encode_fast(text, false));
    spelled.map(|encoding| encoding.get_ids().to_vec())
}

/// What the library makes of a file or a text; `else_why` where it ends in a panic.
fn guarded<T>(else_why: &str, work: impl FnOnce() -> tokenizers::Result<T>) -> Result<T, String> {
    match guard::call(work) {
        Ok(done) => done.map_err(|error| error.to_string()),
        Err(_) => Err(else_why.to_owned()),
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

/// The class by which `transformers` reads a tokenizer; the pair is read by the oldest where none is known.
fn class_of(files: &TokenizerFiles, own: &tokenizers::Tokenizer, named: &Named, stated: Stated<'_>) -> Class {
    let chosen = named.class.as_deref().or(stated.class);
    match files {
        TokenizerFiles::Json(_) => Class::of(stated.model_type, chosen, class::is_byte_level(own)),
        TokenizerFiles::Bpe { .. } => match Class::of(stated.model_type, chosen, true) {
            Class::Backend | Class::Llama | Class::Gemma => Class::Gpt2,
            class => class,
        },
    }
}

/// What `transformers` makes of a tokenizer's files.
fn as_transformers(
    own: &tokenizers::Tokenizer,
    named: &Named,
    class: Class,
    files: &TokenizerFiles,
) -> Result<tokenizers::Tokenizer, String> {
    let file: BTreeMap<u32, tokenizers::AddedToken> = match files {
        TokenizerFiles::Json(_) => own.get_added_tokens_decoder().into_iter().collect(),
        // What was put there by its usual name stands in no file.
        TokenizerFiles::Bpe { .. } => BTreeMap::new(),
    };
    let mut theirs = class.built(own, named)?.unwrap_or_else(|| own.clone());
    let known: Vec<String> = theirs.get_added_tokens_decoder().into_values().map(|token| token.content).collect();
    theirs.add_tokens(named.added(&known, &file)).map_err(|error| error.to_string())?;
    if class == Class::Qwen2 {
        theirs.add_tokens(named.specials()).map_err(|error| error.to_string())?;
    }
    theirs.set_encode_special_tokens(named.split);
    Ok(theirs)
}

/// The bytes of all tokens by number, and the names of those for which the model has no row.
fn texts(inner: &tokenizers::Tokenizer, rows: Option<usize>) -> (BTreeMap<u32, Vec<u8>>, BTreeMap<u32, String>) {
    let spelling = Spelling::of(inner);
    let (mut tokens, mut beyond) = (BTreeMap::new(), BTreeMap::new());
    let is_beyond = |id: u32| rows.is_some_and(|rows| id as usize >= rows);
    let added = inner.get_added_tokens_decoder().into_iter().map(|(id, token)| (id, token.content, true));
    for (id, text, added) in inner.get_vocab(false).into_iter().map(|(text, id)| (id, text, false)).chain(added) {
        let bytes = if added { text.into_bytes() } else { spelling.bytes(&text) };
        if is_beyond(id) {
            beyond.insert(id, String::from_utf8_lossy(&bytes).into_owned());
        } else {
            tokens.insert(id, bytes);
        }
    }
    (tokens, beyond)
}

/// The token that begins a text by the tokenizer's config.
fn begins(inner: &tokenizers::Tokenizer, named: &Named) -> Option<u32> {
    let name = named.role("bos_token").or_else(|| named.role("eos_token").filter(|_| named.is_without_bos()));
    name.and_then(|name| inner.token_to_id(&name))
}

/// The tokens that the tokenizer's template puts in front of a text.
fn opening(tokenizer: &tokenizers::Tokenizer) -> Vec<u32> {
    // Any text shows it; this one is a token or two in every vocabulary.
    let ids = |special| {
        let spelled = guarded("", || tokenizer.encode_fast("a", special));
        spelled.map(|encoding| encoding.get_ids().to_vec())
    };
    let (Ok(with), Ok(without)) = (ids(true), ids(false)) else { return Vec::new() };
    let at = with.windows(without.len().max(1)).position(|window| window == without);
    at.map_or_else(Vec::new, |at| with[..at].to_vec())
}

#[cfg(test)]
mod tests;
