//! A release's JSON configuration: keys with the types they must have.
//! Not here: what a key means.

use serde_json::{Map, Value};

use crate::blob::Blob;

use super::Error;

/// A JSON object and the file it stands in.
pub struct Config {
    pub file: String,
    map: Map<String, Value>,
}

impl Config {
    pub fn open(blob: &Blob) -> Result<Self, Error> {
        let file = blob.name().to_owned();
        let bytes = blob.read().map_err(|source| Error::Read { file: file.clone(), source })?;
        match serde_json::from_slice(&bytes) {
            Ok(map) => Ok(Self { file, map }),
            Err(error) => Err(Error::Config { file, why: format!("not a JSON object: {error}") }),
        }
    }

    /// The object of a key, with its keys named as they stand.
    pub fn object(&self, key: &str) -> Result<Self, Error> {
        match self.map.get(key) {
            Some(Value::Object(map)) => Ok(Self { file: self.file.clone(), map: map.clone() }),
            Some(other) => Err(self.wrong(key, "an object", other)),
            None => Err(self.missing(key)),
        }
    }

    /// Whether there is something behind a key.
    pub fn has(&self, key: &str) -> bool {
        self.map.get(key).is_some_and(|value| !value.is_null())
    }

    pub fn text(&self, key: &str) -> Result<Option<&str>, Error> {
        self.typed(key, "a string", Value::as_str)
    }

    pub fn boolean(&self, key: &str) -> Result<Option<bool>, Error> {
        self.typed(key, "true or false", Value::as_bool)
    }

    pub fn number(&self, key: &str) -> Result<Option<f64>, Error> {
        self.typed(key, "a number", Value::as_f64)
    }

    /// A whole number that is not negative.
    pub fn size(&self, key: &str) -> Result<Option<usize>, Error> {
        self.typed(key, "a whole number that is not negative", |value| value.as_u64()?.try_into().ok())
    }

    fn typed<'a, T>(
        &'a self,
        key: &str,
        kind: &str,
        read: impl Fn(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, Error> {
        match self.map.get(key).filter(|value| !value.is_null()) {
            None => Ok(None),
            Some(value) => read(value).map(Some).ok_or_else(|| self.wrong(key, kind, value)),
        }
    }

    pub fn missing(&self, key: &str) -> Error {
        self.bad(format!("`{key}` is missing"))
    }

    pub fn bad(&self, why: String) -> Error {
        Error::Config { file: self.file.clone(), why }
    }

    pub fn unsupported(&self, what: String, supported: &str) -> Error {
        Error::Unsupported { file: self.file.clone(), what, supported: supported.to_owned() }
    }

    /// Fails when a size that the configuration gives is not that of the weights.
    pub fn must_be(&self, key: &str, size: usize) -> Result<(), Error> {
        match self.size(key)? {
            Some(found) if found != size => Err(self.bad(format!("`{key}` is {found}, and the weights have {size}"))),
            _ => Ok(()),
        }
    }

    fn wrong(&self, key: &str, kind: &str, value: &Value) -> Error {
        let mut found = value.to_string();
        if let Some((at, _)) = found.char_indices().nth(60) {
            found.truncate(at);
            found.push('…');
        }
        self.bad(format!("`{key}` must be {kind}, found {found}"))
    }
}
