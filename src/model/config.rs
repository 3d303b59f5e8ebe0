//! Reads keys of a `config.json`, in any of their spellings, with messages that name the key.
//! Not here: which keys a model has.

use serde_json::{Map, Value};

use super::Error;
use crate::blob::Blob;

/// More than any size in a config; larger ones are refused before they are multiplied.
const LARGEST: u64 = 1 << 31;

/// The parsed `config.json` of a model.
pub(super) struct Config {
    file: String,
    keys: Map<String, Value>,
}

impl Config {
    pub(super) fn read(blob: &Blob) -> Result<Self, Error> {
        let file = blob.name().to_owned();
        let bytes = blob.read().map_err(|source| Error::Read { file: file.clone(), source })?;
        Self::parse(file, &bytes)
    }

    pub(super) fn parse(file: String, bytes: &[u8]) -> Result<Self, Error> {
        match serde_json::from_slice(bytes) {
            Ok(Value::Object(keys)) => Ok(Self { file, keys }),
            Ok(_) => Err(Error::Config { file, why: "it is not a JSON object".into() }),
            Err(error) => Err(Error::Config { file, why: format!("it is not valid JSON: {error}") }),
        }
    }

    /// The file's name.
    pub(super) fn file(&self) -> &str {
        &self.file
    }

    /// An error about this file.
    pub(super) fn bad(&self, why: impl Into<String>) -> Error {
        Error::Config { file: self.file.clone(), why: why.into() }
    }

    /// The value under the first of the names that is there and not null.
    fn find<'n>(&self, names: &[&'n str]) -> Option<(&'n str, &Value)> {
        names.iter().find_map(|name| self.keys.get(*name).filter(|value| !value.is_null()).map(|value| (*name, value)))
    }

    /// A size that must be there, at least 1.
    pub(super) fn size(&self, names: &[&str]) -> Result<usize, Error> {
        self.size_or_none(names)?.ok_or_else(|| self.bad(format!("it has no `{}`", names.join("` or `"))))
    }

    /// A size, at least 1, or `None` where it is absent or null.
    pub(super) fn size_or_none(&self, names: &[&str]) -> Result<Option<usize>, Error> {
        let Some((name, value)) = self.find(names) else { return Ok(None) };
        match value.as_u64() {
            Some(size) if (1..LARGEST).contains(&size) => Ok(Some(size as usize)),
            _ => Err(self.bad(format!("`{name}` is {value}, expected a whole number from 1 to {}", LARGEST - 1))),
        }
    }

    /// A finite number greater than zero.
    pub(super) fn positive(&self, names: &[&str], default: f32) -> Result<f32, Error> {
        let Some((name, value)) = self.find(names) else { return Ok(default) };
        match value.as_f64().map(|number| number as f32) {
            Some(number) if number.is_finite() && number > 0.0 => Ok(number),
            _ => Err(self.bad(format!("`{name}` is {value}, expected a number greater than 0"))),
        }
    }

    pub(super) fn flag(&self, name: &str, default: bool) -> Result<bool, Error> {
        match self.find(&[name]) {
            None => Ok(default),
            Some((_, Value::Bool(flag))) => Ok(*flag),
            Some((_, value)) => Err(self.bad(format!("`{name}` is {value}, expected true or false"))),
        }
    }

    pub(super) fn text(&self, name: &str) -> Result<Option<&str>, Error> {
        match self.find(&[name]) {
            None => Ok(None),
            Some((_, Value::String(text))) => Ok(Some(text)),
            Some((_, value)) => Err(self.bad(format!("`{name}` is {value}, expected a string"))),
        }
    }

    /// A token number. Some configs give a list of them: the first counts.
    pub(super) fn token(&self, name: &str) -> Option<u32> {
        let (_, value) = self.find(&[name])?;
        let value = value.as_array().map_or(Some(value), |list| list.first())?;
        value.as_u64().and_then(|id| u32::try_from(id).ok())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn config(text: &str) -> Config {
        Config::parse("config.json".into(), text.as_bytes()).expect("valid JSON")
    }

    #[test]
    fn every_spelling_is_found_and_null_counts_as_absent() {
        let config = config(r#"{"n_embd": null, "hidden_size": 768, "bos_token_id": [2, 3], "tie": true}"#);
        assert_eq!(config.size(&["n_embd", "hidden_size"]).unwrap(), 768);
        assert_eq!(config.size_or_none(&["n_embd"]).unwrap(), None);
        assert_eq!(config.token("bos_token_id"), Some(2));
        assert!(config.flag("tie", false).unwrap());
        assert!(config.flag("absent", true).unwrap());
    }

    #[test]
    fn a_wrong_value_is_named_with_what_is_expected() {
        for bad in ["0", "-3", "1.5", "\"12\"", "99999999999", "[]"] {
            let config = config(&format!(r#"{{"n_layer": {bad}}}"#));
            let error = config.size(&["n_layer"]).unwrap_err().to_string();
            assert!(error.contains("config.json") && error.contains("`n_layer`") && error.contains(bad), "{error}");
        }
        let error = config("{}").size(&["n_embd", "hidden_size"]).unwrap_err().to_string();
        assert!(error.contains("no `n_embd` or `hidden_size`"), "{error}");
    }

    proptest! {
        #[test]
        fn any_bytes_are_parsed_or_refused(bytes: Vec<u8>) {
            let _ = Config::parse("config.json".into(), &bytes);
        }
    }
}
