//! A release's JSON configuration: keys with the types they must have.
//! Not here: what a key means, and JSON itself (`json_file`).

use crate::blob::Blob;
use crate::json_file::{JsonFile, described};

use super::Error;

/// A JSON object and the file it stands in.
pub struct Config {
    pub file: String,
    json: JsonFile,
}

impl Config {
    pub fn open(blob: &Blob) -> Result<Self, Error> {
        let json = JsonFile::open(blob)?;
        Ok(Self { file: json.file().to_owned(), json })
    }

    /// The object of a key, with its keys named as they stand.
    pub fn object(&self, key: &str) -> Result<Self, Error> {
        let json = self.json.section(key)?.ok_or_else(|| self.missing(key))?;
        Ok(Self { file: self.file.clone(), json })
    }

    /// Whether there is something behind a key.
    pub fn has(&self, key: &str) -> bool {
        self.json.get(key).is_some()
    }

    pub fn text(&self, key: &str) -> Result<Option<&str>, Error> {
        Ok(self.json.text(key)?)
    }

    pub fn boolean(&self, key: &str) -> Result<Option<bool>, Error> {
        Ok(self.json.boolean(key)?)
    }

    pub fn number(&self, key: &str) -> Result<Option<f64>, Error> {
        Ok(self.json.number(key)?)
    }

    /// A whole number that is not negative.
    pub fn size(&self, key: &str) -> Result<Option<usize>, Error> {
        Ok(self.json.size(key)?)
    }

    /// A string that changes no number: left out with a note where it is of another type.
    pub fn described_text(&self, key: &str, notes: &mut Vec<String>) -> Option<String> {
        described(self.json.text(key), notes).map(ToOwned::to_owned)
    }

    /// A size that changes no number, in the same way.
    pub fn described_size(&self, key: &str, notes: &mut Vec<String>) -> Option<usize> {
        described(self.json.size(key), notes)
    }

    pub fn missing(&self, key: &str) -> Error {
        self.json.missing(key).into()
    }

    pub fn bad(&self, why: String) -> Error {
        Error::Config { file: self.file.clone(), why }
    }

    pub fn unsupported(&self, what: String, supported: &str) -> Error {
        Error::Unsupported { file: self.file.clone(), what, supported: supported.to_owned() }
    }

    /// Fails when a size that the configuration gives is not that of a tensor of the weights.
    pub fn must_be(&self, key: &str, size: usize, tensor: &str, weights: &str) -> Result<(), Error> {
        Ok(self.json.must_be(key, size, tensor, weights)?)
    }
}
