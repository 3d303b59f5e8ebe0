//! Reads keys of a `config.json`, in any of their spellings, with messages that name the key.
//! Not here: which keys a model has.

use super::Error;
use super::activation::Activation;
use crate::blob::Blob;
use crate::json_file::{self, JsonFile, Value};

/// More than any size in a config; larger ones are refused before they are multiplied.
const LARGEST: u64 = 1 << 31;

/// The parsed `config.json` of a model.
#[derive(Debug)]
pub(super) struct Config(JsonFile);

impl Config {
    pub(super) fn read(blob: &Blob) -> Result<Self, Error> {
        Ok(Self(JsonFile::open(blob)?))
    }

    #[cfg(test)]
    pub(super) fn parse(file: &str, bytes: &[u8]) -> Result<Self, Error> {
        Ok(Self(JsonFile::parse(file, bytes)?))
    }

    /// The file's name.
    pub(super) fn file(&self) -> &str {
        self.0.file()
    }

    /// An error about this file.
    pub(super) fn bad(&self, why: impl Into<String>) -> Error {
        Error::Config { file: self.file().to_owned(), why: why.into() }
    }

    /// An error about one key.
    pub(super) fn bad_key(&self, key: &str, why: impl std::fmt::Display) -> Error {
        self.bad(format!("`{}` {why}", self.0.path_of(key)))
    }

    /// The keys within a key, or `None` where it is absent, null or empty.
    pub(super) fn section(&self, name: &str) -> Result<Option<Self>, Error> {
        Ok(self.0.section(name)?.filter(|section| !section.keys().is_empty()).map(Self))
    }

    /// A size that must be there, at least 1.
    pub(super) fn size(&self, names: &[&str]) -> Result<usize, Error> {
        self.size_or_none(names)?.ok_or_else(|| self.bad(format!("it has no `{}`", names.join("` or `"))))
    }

    /// A size, at least 1, or `None` where it is absent or null.
    pub(super) fn size_or_none(&self, names: &[&str]) -> Result<Option<usize>, Error> {
        let expected = format!("a whole number from 1 to {}", LARGEST - 1);
        let read = |value: &Value| value.as_u64().filter(|size| (1..LARGEST).contains(size));
        let size = self.0.typed(self.0.spelled(names), &expected, read)?;
        Ok(size.map(|size| size as usize))
    }

    /// A size: the default where the key is absent, `None` where it is null.
    pub(super) fn size_unless_null(&self, name: &str, default: usize) -> Result<Option<usize>, Error> {
        if self.is_null(name) { Ok(None) } else { Ok(self.size_or_none(&[name])?.or(Some(default))) }
    }

    /// A whole number, 0 among them, or `None` where it is absent or null.
    pub(super) fn count_or_none(&self, name: &str) -> Result<Option<usize>, Error> {
        if self.0.get(name).and_then(Value::as_u64) == Some(0) { Ok(Some(0)) } else { self.size_or_none(&[name]) }
    }

    /// A finite number greater than zero.
    pub(super) fn positive(&self, names: &[&str], default: f32) -> Result<f32, Error> {
        Ok(self.number(names)?.map_or(default, |number| number as f32))
    }

    /// A number greater than zero, which f32 can hold, or `None` where it is absent or null.
    pub(super) fn number(&self, names: &[&str]) -> Result<Option<f64>, Error> {
        self.number_if(names, "a number greater than 0", |number| number > 0.0)
    }

    /// A number that is zero or greater, or `None` where it is absent or null.
    pub(super) fn number_or_zero(&self, name: &str) -> Result<Option<f64>, Error> {
        self.number_if(&[name], "a number that is not negative", |number| number >= 0.0)
    }

    fn number_if(&self, names: &[&str], expected: &str, good: impl Fn(f32) -> bool) -> Result<Option<f64>, Error> {
        let read = |value: &Value| value.as_f64().filter(|number| (*number as f32).is_finite() && good(*number as f32));
        Ok(self.0.typed(self.0.spelled(names), expected, read)?)
    }

    /// A list of numbers greater than zero, or `None` where it is absent or null.
    pub(super) fn numbers(&self, name: &str) -> Result<Option<Vec<f64>>, Error> {
        let good = |value: &Value| value.as_f64().filter(|number| (*number as f32).is_finite() && *number as f32 > 0.0);
        let read = |value: &Value| value.as_array().and_then(|list| list.iter().map(good).collect());
        Ok(self.0.typed(name, "a list of numbers greater than 0", read)?)
    }

    /// A list of strings, or `None` where it is absent or null.
    pub(super) fn texts(&self, name: &str) -> Result<Option<Vec<&str>>, Error> {
        Ok(self.0.texts(name)?)
    }

    pub(super) fn flag(&self, name: &str, default: bool) -> Result<bool, Error> {
        Ok(self.0.boolean(name)?.unwrap_or(default))
    }

    pub(super) fn text(&self, name: &str) -> Result<Option<&str>, Error> {
        Ok(self.0.text(name)?)
    }

    /// Whether the key is there and null.
    pub(super) fn is_null(&self, name: &str) -> bool {
        self.0.is_null(name)
    }

    /// An activation function by the name that `transformers` has for it.
    pub(super) fn activation(&self, name: &str, default: Activation) -> Result<Activation, Error> {
        let Some(stated) = self.text(name)? else { return Ok(default) };
        Activation::named(stated)
            .ok_or_else(|| self.bad_key(name, format_args!("is `{stated}`, expected one of {}", Activation::names())))
    }

    /// A token number. Some configs give a list of them: the first counts.
    pub(super) fn token(&self, name: &str) -> Option<u32> {
        let value = self.0.get(name)?;
        let value = value.as_array().map_or(Some(value), |list| list.first())?;
        value.as_u64().and_then(|id| u32::try_from(id).ok())
    }
}

impl From<json_file::Error> for Error {
    fn from(error: json_file::Error) -> Self {
        match error {
            json_file::Error::Read { file, source } => Self::Read { file, source },
            error => Self::Config { file: error.file().to_owned(), why: error.why() },
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn config(text: &str) -> Config {
        Config::parse("config.json", text.as_bytes()).expect("valid JSON")
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

    #[test]
    fn keys_within_a_key_are_named_with_it() {
        let config = config(r#"{"rope": {"factor": -1, "kinds": ["a", 1]}, "none": {}, "text": "x"}"#);
        let rope = config.section("rope").unwrap().expect("it is there");
        assert!(
            rope.number(&["factor"])
                .unwrap_err()
                .to_string()
                .contains("`rope.factor` must be a number greater than 0, found -1")
        );
        assert!(rope.texts("kinds").unwrap_err().to_string().contains("`rope.kinds`"));
        assert!(config.section("none").unwrap().is_none() && config.section("absent").unwrap().is_none());
        assert!(config.section("text").unwrap_err().to_string().contains("`text` must be an object, found \"x\""));
    }

    proptest! {
        #[test]
        fn any_bytes_are_parsed_or_refused(bytes: Vec<u8>) {
            let _ = Config::parse("config.json", &bytes);
        }
    }
}
