//! What a `tokenizer_config.json` says of a tokenizer: which tokens are special, and which of them begins a text.
//! Not here: the vocabulary, and what `tokenizer.json` puts in front of a text, which counts before it.

use serde_json::{Map, Value};
use tokenizers::AddedToken;

use super::{Error, read};
use crate::blob::Blob;

/// Keys that name one token, in the order in which `transformers` adds tokens that a vocabulary lacks.
const ROLES: [&str; 7] = ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

/// The tokens that a `tokenizer_config.json` names.
#[derive(Debug, Default)]
pub(super) struct Named {
    /// The token that begins a text.
    pub bos: Option<String>,
    /// Whether it says that none does: `null`, not merely left out.
    pub without_bos: bool,
    /// The token that ends a text.
    pub eos: Option<String>,
    /// Whether a tokenizer without a template puts the first in front.
    pub add_bos: bool,
    /// All tokens that are named, in the order in which they are added where they are missing.
    pub tokens: Vec<AddedToken>,
}

impl Named {
    /// Reads the file.
    ///
    /// # Errors
    /// [`Error::Read`]; [`Error::Tokenizer`] when it is no JSON object, or a key that counts is of another type.
    pub fn open(blob: &Blob) -> Result<Self, Error> {
        let bad = |why: String| Error::Tokenizer { file: blob.name().to_owned(), why };
        let keys: Map<String, Value> =
            serde_json::from_slice(&read(blob)?).map_err(|error| bad(format!("it is no JSON object: {error}")))?;
        Self::of(&keys).map_err(bad)
    }

    fn of(keys: &Map<String, Value>) -> Result<Self, String> {
        let role = |key: &str| token(key, keys.get(key).unwrap_or(&Value::Null));
        let mut named = Self {
            bos: role("bos_token")?.map(|token| token.content),
            without_bos: keys.get("bos_token").is_some_and(Value::is_null),
            eos: role("eos_token")?.map(|token| token.content),
            add_bos: match keys.get("add_bos_token") {
                None | Some(Value::Null) => false,
                Some(Value::Bool(add)) => *add,
                Some(other) => return Err(format!("`add_bos_token` is {other}, expected true or false")),
            },
            tokens: Vec::new(),
        };
        let mut tokens = numbered(keys)?;
        for key in ROLES {
            tokens.extend(role(key)?);
        }
        for key in ["extra_special_tokens", "additional_special_tokens"] {
            if let Some(Value::Array(list)) = keys.get(key) {
                tokens.extend(list.iter().filter_map(|value| token(key, value).ok().flatten()));
            }
        }
        for token in tokens {
            if named.tokens.iter().all(|known| known.content != token.content) {
                named.tokens.push(token);
            }
        }
        Ok(named)
    }
}

/// The tokens of `added_tokens_decoder`, by rising number.
fn numbered(keys: &Map<String, Value>) -> Result<Vec<AddedToken>, String> {
    let map = match keys.get("added_tokens_decoder") {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Object(map)) => map,
        Some(other) => return Err(format!("`added_tokens_decoder` is {}, expected an object", kind(other))),
    };
    let mut all = Vec::with_capacity(map.len());
    for (id, value) in map {
        let place: u32 = id.parse().map_err(|_| format!("`added_tokens_decoder` has a number `{id}`"))?;
        all.extend(token("added_tokens_decoder", value)?.map(|token| (place, token)));
    }
    all.sort_by_key(|(id, _)| *id);
    Ok(all.into_iter().map(|(_, token)| token).collect())
}

/// A token by its text alone, which is special, or by an object with its text and flags.
fn token(key: &str, value: &Value) -> Result<Option<AddedToken>, String> {
    let special = key != "added_tokens_decoder";
    match value {
        Value::Null => Ok(None),
        Value::String(text) if text.is_empty() => Ok(None),
        Value::String(text) => Ok(Some(AddedToken::from(text.clone(), special))),
        Value::Object(map) => {
            let text = map.get("content").and_then(Value::as_str).filter(|text| !text.is_empty());
            let text = text.ok_or_else(|| format!("`{key}` is an object without a `content`"))?;
            let flag = |name: &str| map.get(name).and_then(Value::as_bool);
            let special = flag("special").unwrap_or(special);
            Ok(Some(
                AddedToken::from(text, special)
                    .single_word(flag("single_word").unwrap_or(false))
                    .lstrip(flag("lstrip").unwrap_or(false))
                    .rstrip(flag("rstrip").unwrap_or(false))
                    .normalized(flag("normalized").unwrap_or(!special)),
            ))
        }
        other => Err(format!("`{key}` is {}, expected a token's text", kind(other))),
    }
}

const fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
