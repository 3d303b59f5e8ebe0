//! What the files beside a tokenizer say of its tokens: which are special, how they are matched, which begins a text.
//! Not here: the vocabulary, and what `tokenizer.json` puts in front of a text, which counts before it.
//!
//! `tokenizer_config.json` is heard first. Where it has no `added_tokens_decoder`, `special_tokens_map.json` goes over
//! it, and added tokens come from `added_tokens.json` and `tokenizer.json`, as in transformers 5.24.0.

use std::collections::BTreeMap;

use tokenizers::AddedToken;

use super::Error;
use super::class::Class;
use crate::blob::Blob;
use crate::json_file::{self, JsonFile, Map, Value};

/// Keys that name one token, in the order in which `transformers` adds tokens that a vocabulary lacks.
const ROLES: [&str; 7] = ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

/// Most bytes of a file: with 100,000 added tokens it takes some twenty million.
const LARGEST: u64 = 64 << 20;

/// What the files beside a tokenizer say.
#[derive(Debug, Default)]
pub(super) struct Named {
    /// Tokens by the key that names them, in the order in which they are added where they are missing.
    roles: Vec<(String, AddedToken)>,
    /// Roles of which a file says something, be it that nothing has them.
    stated: Vec<&'static str>,
    /// Of these, roles that are `null`.
    null: Vec<&'static str>,
    /// Whether a tokenizer without a template puts the first in front.
    pub add_bos: bool,
    /// `add_prefix_space`.
    pub prefix: Option<bool>,
    /// `legacy`: whether Llama's prefix rule holds behind special tokens too.
    pub legacy: Option<bool>,
    /// Whether special tokens that are typed are spelled like other text.
    pub split: bool,
    /// The class that is to read the tokenizer.
    pub class: Option<String>,
    /// Special tokens without a role of their own.
    extra: Vec<AddedToken>,
    /// Tokens with their flags, by number.
    numbered: BTreeMap<u32, AddedToken>,
    /// Whether numbered tokens stand in `tokenizer_config.json`: those of `tokenizer.json` are not asked for then.
    decoded: bool,
}

/// The files beside a tokenizer, where they are there.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Beside<'a> {
    /// `tokenizer_config.json`.
    pub config: Option<&'a Blob>,
    /// `special_tokens_map.json`.
    pub specials: Option<&'a Blob>,
    /// `added_tokens.json`.
    pub added: Option<&'a Blob>,
}

impl Named {
    /// Reads the files.
    ///
    /// # Errors
    /// [`Error::Read`]; [`Error::Tokenizer`] when one is not a JSON object, or a key that counts is of another type.
    pub fn open(beside: Beside<'_>) -> Result<Self, Error> {
        let mut keys = beside.config.map(object).transpose()?.unwrap_or_default();
        let bad = |blob: Option<&Blob>, why: String| Error::Tokenizer {
            file: blob.map_or_else(String::new, |blob| blob.name().to_owned()),
            why,
        };
        let decoded = !matches!(keys.get("added_tokens_decoder"), None | Some(Value::Null));
        if let Some(list) = keys.get("additional_special_tokens").filter(|_| is_empty(keys.get("extra_special_tokens")))
        {
            keys.insert("extra_special_tokens".to_owned(), list.clone());
        }
        // What is wrong with a key is said of the file that it stands in.
        let mut named = Self::of(&keys).map_err(|why| bad(beside.config, why))?;
        named.decoded = decoded;
        if decoded {
            return Ok(named);
        }
        if let Some(blob) = beside.specials {
            merge(&mut keys, object(blob)?);
            named = Self::of(&keys).map_err(|why| bad(Some(blob), why))?;
        }
        let mut numbered = BTreeMap::new();
        for (text, id) in beside.added.map(object).transpose()?.unwrap_or_default() {
            let place = id.as_u64().and_then(|id| u32::try_from(id).ok());
            let place = place.ok_or_else(|| {
                bad(beside.added, format!("`{}` has a number {id}, expected one of 32 bits", text.escape_debug()))
            })?;
            if !text.is_empty() {
                let special = named.is_special(&text);
                numbered.insert(place, AddedToken::from(text, special));
            }
        }
        // The older name in `special_tokens_map.json` is heard last, where the newer one stands nowhere.
        if let Some(list) = keys.get("additional_special_tokens").filter(|_| !keys.contains_key("extra_special_tokens"))
        {
            keys.insert("extra_special_tokens".to_owned(), list.clone());
            named = Self::of(&keys).map_err(|why| bad(beside.specials, why))?;
        }
        named.numbered = numbered;
        Ok(named)
    }

    fn of(keys: &Map<String, Value>) -> Result<Self, String> {
        let mut roles = Vec::new();
        for key in ROLES {
            roles.extend(token(key, keys.get(key).unwrap_or(&Value::Null))?.map(|token| (key.to_owned(), token)));
        }
        let own = |key: &&String| {
            let value = keys.get(key.as_str());
            let names = value.is_some_and(|value| value.is_string() || value.get("content").is_some());
            names && key.ends_with("_token") && !ROLES.contains(&key.as_str())
        };
        for key in keys.keys().filter(own) {
            roles.extend(token(key, keys.get(key).unwrap_or(&Value::Null))?.map(|token| (key.clone(), token)));
        }
        let specific = keys.get("model_specific_special_tokens").filter(|value| !json_file::is_not_finite(value));
        let specific = specific.and_then(Value::as_object);
        let named_otherwise =
            keys.keys().any(|key| own(&key)) || keys.get("extra_special_tokens").is_some_and(Value::is_object);
        // Version 5 writes them so; it hears them where none is named in the older ways.
        for (key, value) in specific.into_iter().flatten().filter(|_| !named_otherwise) {
            roles.extend(token("model_specific_special_tokens", value)?.map(|token| (key.clone(), token)));
        }
        let mut extra = Vec::new();
        match keys.get("extra_special_tokens") {
            None | Some(Value::Null) => {}
            Some(Value::Array(list)) => {
                for value in list {
                    extra.extend(token("extra_special_tokens", value)?);
                }
            }
            Some(value @ Value::Object(map)) if !json_file::is_not_finite(value) => {
                for (key, value) in map {
                    roles.extend(token("extra_special_tokens", value)?.map(|token| (key.clone(), token)));
                }
            }
            Some(other) => {
                return Err(format!("`extra_special_tokens` is {}, expected a list or an object", kind(other)));
            }
        }
        Ok(Self {
            roles,
            null: ROLES.into_iter().filter(|role| keys.get(*role).is_some_and(Value::is_null)).collect(),
            stated: ROLES.into_iter().filter(|role| keys.contains_key(*role)).collect(),
            add_bos: match keys.get("add_bos_token") {
                None | Some(Value::Null) => false,
                Some(Value::Bool(add)) => *add,
                Some(other) => {
                    return Err(format!("`add_bos_token` is {}, expected true or false", json_file::shown(other)));
                }
            },
            prefix: keys.get("add_prefix_space").and_then(Value::as_bool),
            legacy: keys.get("legacy").and_then(Value::as_bool),
            split: keys.get("split_special_tokens").and_then(Value::as_bool).unwrap_or(false),
            class: keys.get("tokenizer_class").and_then(Value::as_str).map(ToOwned::to_owned),
            extra,
            numbered: numbered(keys)?,
            decoded: false,
        })
    }

    /// Whether a file says that none begins a text: `null`, not merely left out.
    pub fn is_without_bos(&self) -> bool {
        self.null.contains(&"bos_token")
    }

    /// The token of a role.
    pub fn role(&self, role: &str) -> Option<String> {
        self.roles.iter().find(|(known, _)| known == role).map(|(_, token)| token.content.clone())
    }

    /// Whether a text is a token of one of the usual roles, or special without one.
    fn is_special(&self, text: &str) -> bool {
        let usual = self.roles.iter().filter(|(role, _)| ROLES.contains(&role.as_str())).map(|(_, token)| token);
        usual.chain(&self.extra).any(|token| token.content == text)
    }

    /// Takes what the class that reads the tokenizer says where no file does; `padding` is what `tokenizer.json` pads with.
    pub fn complete(&mut self, class: Class, padding: Option<String>) {
        let padding = padding.filter(|_| matches!(class, Class::Backend | Class::Llama));
        for role in ROLES.into_iter().filter(|role| !self.stated.contains(role)) {
            let padding = padding.clone().filter(|_| role == "pad_token");
            let text = class.role(role).map(ToOwned::to_owned).or(padding);
            self.roles.extend(text.map(|text| (role.to_owned(), AddedToken::from(text, true))));
        }
        let place = |role: &str| ROLES.iter().position(|known| *known == role).unwrap_or(ROLES.len());
        self.roles.sort_by_key(|(role, _)| place(role));
    }

    /// The tokens that are added to a tokenizer that has those of `known`, in order. `file` are those of
    /// `tokenizer.json` by number.
    pub fn added(&self, known: &[String], file: &BTreeMap<u32, AddedToken>) -> Vec<AddedToken> {
        let mut numbered = self.numbered.clone();
        if !self.decoded {
            numbered.extend(file.iter().map(|(id, token)| (*id, token.clone())));
        }
        let mut tokens: Vec<AddedToken> = numbered.into_values().collect();
        let numbered = tokens.len();
        let special = self.roles.iter().map(|(_, token)| token).chain(&self.extra);
        for token in special {
            let there = |text: &String| *text == token.content;
            let first = tokens[..numbered].iter().all(|other| other.content != token.content);
            if !known.iter().any(there) && first && !tokens.contains(token) {
                tokens.push(token.clone());
            }
        }
        for token in &mut tokens {
            token.special |= self.roles.iter().any(|(_, role)| role.content == token.content);
        }
        tokens
    }

    /// All special tokens that are named, by their texts alone.
    pub fn specials(&self) -> Vec<AddedToken> {
        let all = self.roles.iter().map(|(_, token)| token).chain(&self.extra);
        all.map(|token| AddedToken::from(token.content.clone(), true)).collect()
    }
}

/// Puts `special_tokens_map.json` over the config.
fn merge(keys: &mut Map<String, Value>, specials: Map<String, Value>) {
    for (key, value) in specials {
        let value = match (keys.get("extra_special_tokens"), value) {
            (Some(Value::Array(before)), Value::Array(more)) if key == "extra_special_tokens" => {
                let mut all = before.clone();
                all.extend(more.into_iter().filter(|value| !before.contains(value)));
                Value::Array(all)
            }
            (_, Value::Object(mut map)) if key != "extra_special_tokens" => {
                map.insert("special".to_owned(), Value::Bool(true));
                Value::Object(map)
            }
            (_, value) => value,
        };
        keys.insert(key, value);
    }
}

fn is_empty(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null) => true,
        Some(Value::Array(list)) => list.is_empty(),
        Some(Value::Object(map)) => map.is_empty(),
        Some(_) => false,
    }
}

fn object(blob: &Blob) -> Result<Map<String, Value>, Error> {
    let bad = |why: String| Error::Tokenizer { file: blob.name().to_owned(), why };
    let json = JsonFile::open_up_to(blob, LARGEST).map_err(|error| match error {
        json_file::Error::Read { file, source } => Error::Read { file, source },
        json_file::Error::Content { why, .. } => bad(format!("it is not a JSON object: {why}")),
        error => bad(error.why()),
    })?;
    Ok(json.into_keys())
}

/// The tokens of `added_tokens_decoder`, by number.
fn numbered(keys: &Map<String, Value>) -> Result<BTreeMap<u32, AddedToken>, String> {
    let map = match keys.get("added_tokens_decoder") {
        None | Some(Value::Null) => return Ok(BTreeMap::new()),
        Some(value @ Value::Object(map)) if !json_file::is_not_finite(value) => map,
        Some(other) => return Err(format!("`added_tokens_decoder` is {}, expected an object", kind(other))),
    };
    let mut all = BTreeMap::new();
    for (id, value) in map {
        let place: u32 = id.parse().map_err(|_| format!("`added_tokens_decoder` has a number `{id}`"))?;
        all.extend(token("added_tokens_decoder", value)?.map(|token| (place, token)));
    }
    Ok(all)
}

/// A token by its text alone, which is special, or by an object with its text and flags, which is as it says.
fn token(key: &str, value: &Value) -> Result<Option<AddedToken>, String> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) if text.is_empty() => Ok(None),
        Value::String(text) => Ok(Some(AddedToken::from(text.clone(), true))),
        value if json_file::is_not_finite(value) => {
            Err(format!("`{key}` is {}, expected a token's text", json_file::shown(value)))
        }
        Value::Object(map) => {
            let text = map.get("content").and_then(Value::as_str).filter(|text| !text.is_empty());
            let text = text.ok_or_else(|| format!("`{key}` is an object without a `content`"))?;
            let flag = |name: &str| map.get(name).and_then(Value::as_bool);
            let special = flag("special").unwrap_or(false);
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
