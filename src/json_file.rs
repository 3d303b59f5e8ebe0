//! JSON that other programs wrote, read by key, with messages that name file and key.
//! Not here: which keys a file has, and JSON that this program writes.
//!
//! Python writes numbers that are not finite as `NaN`, `Infinity` and `-Infinity`, which JSON does not have. They are
//! read, and are of no type that a key can be asked for: in a key that nobody asks for they do no harm, and one that is
//! asked for is refused by name.

mod lenient;

use std::io;

pub use lenient::is_not_finite;
pub use serde_json::{Map, Value};

use crate::blob::Blob;

/// Most bytes of a file: configurations take thousands, and each two bytes may become a value of 32.
const LARGEST: u64 = 16 << 20;
/// Most characters of a value in a message.
const SHOWN: usize = 60;

/// Why a file, or a key of it, cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("cannot read `{file}`")]
    Read {
        /// The file.
        file: String,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// It is longer than any such file.
    #[error("`{file}`: {}", self.why())]
    Long {
        /// The file.
        file: String,
        /// Its length.
        bytes: u64,
        /// The most that is read.
        most: u64,
    },
    /// It is not JSON, or not an object.
    #[error("`{file}`: {}", self.why())]
    Content {
        /// The file.
        file: String,
        /// What is wrong, and where.
        why: String,
    },
    /// A key that must be there is not.
    #[error("`{file}`: {}", self.why())]
    Missing {
        /// The file.
        file: String,
        /// The key, with those that it stands in.
        key: String,
    },
    /// A key has a value of another type.
    #[error("`{file}`: {}", self.why())]
    Type {
        /// The file.
        file: String,
        /// The key, with those that it stands in.
        key: String,
        /// Its value, cut where it is long.
        found: String,
        /// What it must be, in words.
        expected: String,
    },
    /// A size that the file states is not that of a tensor.
    #[error("`{file}`: {}", self.why())]
    Size {
        /// The file.
        file: String,
        /// The key.
        key: String,
        /// The size it states.
        stated: usize,
        /// The tensor's.
        size: usize,
        /// The tensor.
        tensor: String,
        /// The file that holds the tensor.
        weights: String,
    },
}

impl Error {
    /// The file.
    #[must_use]
    pub fn file(&self) -> &str {
        match self {
            Self::Read { file, .. }
            | Self::Long { file, .. }
            | Self::Content { file, .. }
            | Self::Missing { file, .. }
            | Self::Type { file, .. }
            | Self::Size { file, .. } => file,
        }
    }

    /// What is wrong, without the file's name; for [`Error::Read`] what the system says.
    #[must_use]
    pub fn why(&self) -> String {
        match self {
            Self::Read { source, .. } => source.to_string(),
            Self::Long { bytes, most, .. } => format!("it is {bytes} bytes long, expected at most {most}"),
            Self::Content { why, .. } => format!("not a JSON object: {why}"),
            Self::Missing { key, .. } => format!("`{key}` is missing"),
            Self::Type { key, found, expected, .. } => format!("`{key}` must be {expected}, found {found}"),
            Self::Size { key, stated, size, tensor, weights, .. } => {
                format!("`{key}` is {stated}, and the weights have {size} (`{tensor}` in `{weights}`)")
            }
        }
    }
}

/// A JSON object of a file: the file itself, or the object of a key.
#[derive(Clone, Debug)]
pub struct JsonFile {
    file: String,
    /// What stands before the keys in messages: empty, or `rope_scaling.`.
    path: String,
    keys: Map<String, Value>,
}

impl JsonFile {
    /// Reads a file.
    ///
    /// # Errors
    /// [`Error::Read`], [`Error::Long`], [`Error::Content`].
    pub fn open(blob: &Blob) -> Result<Self, Error> {
        Self::open_up_to(blob, LARGEST)
    }

    /// Reads a file that may be as long as `most` bytes.
    ///
    /// # Errors
    /// [`Error::Read`], [`Error::Long`], [`Error::Content`].
    pub fn open_up_to(blob: &Blob, most: u64) -> Result<Self, Error> {
        let file = blob.name();
        let wrong = |source| Error::Read { file: file.to_owned(), source };
        let bytes = blob.size().map_err(wrong)?;
        if bytes > most {
            return Err(Error::Long { file: file.to_owned(), bytes, most });
        }
        Self::parse(file, &blob.read().map_err(wrong)?)
    }

    /// Reads what a file holds.
    ///
    /// # Errors
    /// [`Error::Content`].
    pub fn parse(file: &str, bytes: &[u8]) -> Result<Self, Error> {
        let wrong = |why: String| Error::Content { file: file.to_owned(), why };
        match lenient::parse(bytes).map_err(|error| wrong(error.to_string()))? {
            value if is_not_finite(&value) => Err(wrong(format!("it is {}", shown(&value)))),
            Value::Object(keys) => Ok(Self { file: file.to_owned(), path: String::new(), keys }),
            other => Err(wrong(format!("it is {}", shown(&other)))),
        }
    }

    /// The file's name.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.file
    }

    /// All keys with their values as they stand.
    #[must_use]
    pub const fn keys(&self) -> &Map<String, Value> {
        &self.keys
    }

    /// All keys with their values, taken out.
    #[must_use]
    pub fn into_keys(self) -> Map<String, Value> {
        self.keys
    }

    /// A key with those that it stands in, for messages: `rope_scaling.factor`.
    #[must_use]
    pub fn path_of(&self, key: &str) -> String {
        format!("{}{key}", self.path)
    }

    /// The value of a key; none where it is absent or null.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.keys.get(key).filter(|value| !value.is_null())
    }

    /// Whether the key is there and null.
    #[must_use]
    pub fn is_null(&self, key: &str) -> bool {
        self.keys.get(key).is_some_and(Value::is_null)
    }

    /// The first of a key's spellings that is there and not null; the first of all where none is.
    #[must_use]
    pub fn spelled<'n>(&self, names: &[&'n str]) -> &'n str {
        let there = names.iter().find(|name| self.get(name).is_some());
        there.or(names.first()).copied().unwrap_or_default()
    }

    /// The value of a key as `read` takes it, or `None` where it is absent or null.
    ///
    /// # Errors
    /// [`Error::Type`] where `read` does not take it.
    pub fn typed<'a, T>(
        &'a self,
        key: &str,
        expected: &str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, Error> {
        let Some(value) = self.get(key) else { return Ok(None) };
        read(value).map(Some).ok_or_else(|| self.wrong(key, expected))
    }

    /// A string.
    ///
    /// # Errors
    /// [`Error::Type`].
    pub fn text(&self, key: &str) -> Result<Option<&str>, Error> {
        self.typed(key, "a string", Value::as_str)
    }

    /// A list of strings.
    ///
    /// # Errors
    /// [`Error::Type`].
    pub fn texts(&self, key: &str) -> Result<Option<Vec<&str>>, Error> {
        self.typed(key, "a list of strings", |value| value.as_array()?.iter().map(Value::as_str).collect())
    }

    /// True or false.
    ///
    /// # Errors
    /// [`Error::Type`].
    pub fn boolean(&self, key: &str) -> Result<Option<bool>, Error> {
        self.typed(key, "true or false", Value::as_bool)
    }

    /// A number.
    ///
    /// # Errors
    /// [`Error::Type`].
    pub fn number(&self, key: &str) -> Result<Option<f64>, Error> {
        self.typed(key, "a number", Value::as_f64)
    }

    /// A whole number that is not negative, also where it is written as 32.0.
    ///
    /// # Errors
    /// [`Error::Type`].
    pub fn size(&self, key: &str) -> Result<Option<usize>, Error> {
        self.typed(key, "a whole number that is not negative", whole)
    }

    /// The object of a key, or `None` where it is absent or null.
    ///
    /// # Errors
    /// [`Error::Type`].
    pub fn section(&self, key: &str) -> Result<Option<Self>, Error> {
        let keys =
            self.typed(key, "an object", |value| value.as_object().filter(|_| !is_not_finite(value)).cloned())?;
        Ok(keys.map(|keys| Self { file: self.file.clone(), path: format!("{}{key}.", self.path), keys }))
    }

    /// Fails when a size that the file states is not that of a tensor of the file `weights`.
    ///
    /// # Errors
    /// [`Error::Type`], [`Error::Size`].
    pub fn must_be(&self, key: &str, size: usize, tensor: &str, weights: &str) -> Result<(), Error> {
        match self.size(key)? {
            Some(stated) if stated != size => Err(Error::Size {
                file: self.file.clone(),
                key: key.to_owned(),
                stated,
                size,
                tensor: tensor.to_owned(),
                weights: weights.to_owned(),
            }),
            _ => Ok(()),
        }
    }

    /// That the value of a key is not what it must be.
    #[must_use]
    pub fn wrong(&self, key: &str, expected: &str) -> Error {
        let (file, key, value) = (self.file.clone(), self.path_of(key), self.keys.get(key));
        Error::Type { file, key, found: shown(value.unwrap_or(&Value::Null)), expected: expected.to_owned() }
    }

    /// That a key must be there.
    #[must_use]
    pub fn missing(&self, key: &str) -> Error {
        Error::Missing { file: self.file.clone(), key: self.path_of(key) }
    }
}

/// What a file says beside what changes numbers: where it is of another type it is left out, and a note says so.
pub fn described<T>(said: Result<Option<T>, Error>, notes: &mut Vec<String>) -> Option<T> {
    said.unwrap_or_else(|error| {
        notes.push(match error {
            Error::Type { file, key, found, expected } => {
                format!("`{key}` in `{file}` must be {expected}, found {found}: it is left out")
            }
            error => format!("{error}: it is left out"),
        });
        None
    })
}

/// A whole number that is not negative, also where it is written as 32.0.
fn whole(value: &Value) -> Option<usize> {
    let is_whole = |number: f64| number.fract() == 0.0 && (0.0..=1e15).contains(&number);
    value.as_u64().or_else(|| value.as_f64().filter(|&n| is_whole(n)).map(|n| n as u64)).and_then(|n| n.try_into().ok())
}

/// A value as it stands in the file, for messages: cut where it is long, without what a terminal would obey.
pub fn shown(value: &Value) -> String {
    let text = lenient::as_written(value);
    let mut shown: String = text
        .chars()
        .take(SHOWN)
        .flat_map(|c| if c.is_control() { c.escape_unicode().collect() } else { vec![c] })
        .collect();
    if text.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests;
