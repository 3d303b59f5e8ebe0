//! A TOML file read key by key, so that every mistake names its line and an unknown key the nearest known one.
//! Not here: what the keys mean.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::report::Report;

/// Most bytes of a file that a person writes; anything larger is a mistake.
pub const MAX_BYTES: u64 = 1 << 20;

/// What is wrong in a TOML file, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}, line {line}: {what}")]
pub struct Error {
    /// The file, as a person knows it.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// What is wrong.
    pub what: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Error {
    /// As a report that begins with `what` could not be done.
    #[must_use]
    pub fn report(&self, what: impl Into<String>) -> Report {
        let report = Report::new(what).because(self.to_string());
        match &self.hint {
            Some(hint) => report.hint(hint.clone()),
            None => report,
        }
    }
}

/// The bytes as text, or where they stop being UTF-8.
///
/// # Errors
/// Names the line of the first byte that is not UTF-8.
pub fn utf8<'t>(file: &str, bytes: &'t [u8]) -> Result<&'t str, Error> {
    std::str::from_utf8(bytes).map_err(|error| {
        let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
        Error { file: file.to_owned(), line: lines(before), what: "not UTF-8 text".to_owned(), hint: None }
    })
}

/// The name among `known` that `given` most likely means.
#[must_use]
pub fn nearest<'k>(given: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    known
        .into_iter()
        .map(|name| (strsim::jaro_winkler(given, name), name))
        .filter(|(likeness, _)| *likeness > 0.7)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}

/// A parsed file.
#[derive(Debug)]
pub struct Document<'t> {
    file: &'t str,
    text: &'t str,
    root: Spanned<DeTable<'t>>,
}

impl<'t> Document<'t> {
    /// Parses `text`, which a person knows as `file`.
    ///
    /// # Errors
    /// Where `text` is not TOML.
    pub fn parse(file: &'t str, text: &'t str) -> Result<Self, Error> {
        match DeTable::parse(text) {
            Ok(root) => Ok(Self { file, text, root }),
            Err(error) => Err(Error {
                file: file.to_owned(),
                line: line(text, error.span().map_or(0, |span| span.start)),
                what: error.message().trim().replace('\n', ", "),
                hint: None,
            }),
        }
    }

    /// The table that the whole file is.
    #[must_use]
    pub fn root(&self) -> Table<'_> {
        Table { file: self.file, text: self.text, name: String::new(), start: 0, map: self.root.get_ref() }
    }
}

/// The line, from 1, in which the byte at `start` stands.
fn line(text: &str, start: usize) -> usize {
    lines(text.as_bytes().get(..start).unwrap_or_default())
}

/// The number of lines, the last of which may be empty.
fn lines(bytes: &[u8]) -> usize {
    bytes.split(|&byte| byte == b'\n').count()
}

/// One table of a file. Asking for a key gives `None` where it is absent and an [`Error`] where it is of another type.
#[derive(Clone, Debug)]
pub struct Table<'t> {
    file: &'t str,
    text: &'t str,
    /// As in `[model]`; empty for the whole file.
    name: String,
    start: usize,
    map: &'t DeTable<'t>,
}

impl<'t> Table<'t> {
    /// Refuses every key that is not `known`.
    ///
    /// # Errors
    /// Names the first unknown key and the nearest known one.
    pub fn only(&self, known: &[&str]) -> Result<(), Error> {
        for key in self.map.keys() {
            let given: &str = key.get_ref();
            if !known.contains(&given) {
                let hint = match nearest(given, known.iter().copied()) {
                    Some(name) => format!("did you mean `{name}`?"),
                    None => format!("known keys are {}", list(known)),
                };
                let what = format!("unknown key `{}`{}", given.escape_debug(), self.place());
                return Err(self.error(key.span().start, what).with_hint(hint));
            }
        }
        Ok(())
    }

    /// Text on one line, without control characters.
    ///
    /// # Errors
    /// When the value is no such text.
    pub fn string(&self, key: &str) -> Result<Option<&'t str>, Error> {
        let Some(text) = self.text(key)? else { return Ok(None) };
        if text.chars().any(char::is_control) {
            return Err(self.wrong(key, format!("`{key}` holds a control character or a line break")));
        }
        Ok(Some(text))
    }

    /// Text that may have several lines.
    ///
    /// # Errors
    /// When the value is not a text, or has control characters other than line breaks and tabs.
    pub fn text(&self, key: &str) -> Result<Option<&'t str>, Error> {
        let Some((start, value)) = self.get(key) else { return Ok(None) };
        let DeValue::String(text) = value else { return Err(self.mistyped(key, start, value, "text in quotes")) };
        if text.chars().any(|c| c.is_control() && c != '\n' && c != '\t') {
            return Err(self.wrong(key, format!("`{key}` holds a control character")));
        }
        Ok(Some(text))
    }

    /// `true` or `false`.
    ///
    /// # Errors
    /// When the value is neither.
    pub fn boolean(&self, key: &str) -> Result<Option<bool>, Error> {
        match self.get(key) {
            None => Ok(None),
            Some((_, DeValue::Boolean(value))) => Ok(Some(*value)),
            Some((start, value)) => Err(self.mistyped(key, start, value, "`true` or `false`")),
        }
    }

    /// A finite number, whole or not.
    ///
    /// # Errors
    /// When the value is no such number.
    pub fn number(&self, key: &str) -> Result<Option<f64>, Error> {
        let Some((start, value)) = self.get(key) else { return Ok(None) };
        let number = match value {
            DeValue::Float(float) => float.as_str().parse().ok(),
            DeValue::Integer(integer) => {
                i64::from_str_radix(integer.as_str(), integer.radix()).ok().map(|whole| whole as f64)
            }
            _ => None,
        };
        match number {
            Some(number) if f64::is_finite(number) => Ok(Some(number)),
            _ => Err(self.mistyped(key, start, value, "a number")),
        }
    }

    /// A whole number from 0 up.
    ///
    /// # Errors
    /// When the value is no such number.
    pub fn count(&self, key: &str) -> Result<Option<u64>, Error> {
        let Some((start, value)) = self.get(key) else { return Ok(None) };
        let count = match value {
            DeValue::Integer(integer) => u64::from_str_radix(integer.as_str(), integer.radix()).ok(),
            _ => None,
        };
        count.map(Some).ok_or_else(|| self.mistyped(key, start, value, "a whole number from 0 up"))
    }

    /// One of a few words.
    ///
    /// # Errors
    /// Names the words when the value is none of them.
    pub fn choice<T: Copy>(&self, key: &str, choices: &[(&str, T)]) -> Result<Option<T>, Error> {
        let Some(given) = self.string(key)? else { return Ok(None) };
        if let Some((_, choice)) = choices.iter().find(|(name, _)| *name == given) {
            return Ok(Some(*choice));
        }
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        let hint = match nearest(given, names.iter().copied()) {
            Some(name) => format!("did you mean \"{name}\"?"),
            None => format!("it can be {}", list(&names)),
        };
        Err(self.wrong(key, format!("`{key}` cannot be \"{given}\"")).with_hint(hint))
    }

    /// A table within this one.
    ///
    /// # Errors
    /// When the value is not a table.
    pub fn table(&self, key: &str) -> Result<Option<Table<'t>>, Error> {
        match self.get(key) {
            None => Ok(None),
            Some((start, DeValue::Table(map))) => Ok(Some(self.within(format!("[{key}]"), start, map))),
            Some((start, value)) => Err(self.mistyped(key, start, value, &format!("a table, written [{key}]"))),
        }
    }

    /// The tables of a list written `[[key]]`; none where it is absent.
    ///
    /// # Errors
    /// When the value is not a list of tables.
    pub fn tables(&self, key: &str) -> Result<Vec<Table<'t>>, Error> {
        let Some((start, value)) = self.get(key) else { return Ok(Vec::new()) };
        let expected = format!("a list of tables, each written [[{key}]]");
        let DeValue::Array(array) = value else { return Err(self.mistyped(key, start, value, &expected)) };
        let mut tables = Vec::new();
        for (index, item) in array.iter().enumerate() {
            match item.get_ref() {
                DeValue::Table(map) => {
                    tables.push(self.within(format!("[[{key}]] {}", index + 1), item.span().start, map));
                }
                other => return Err(self.mistyped(key, item.span().start, other, &expected)),
            }
        }
        Ok(tables)
    }

    /// A list of texts on one line each; none where it is absent.
    ///
    /// # Errors
    /// When the value is not a list of such texts.
    pub fn strings(&self, key: &str) -> Result<Vec<&'t str>, Error> {
        let Some((start, value)) = self.get(key) else { return Ok(Vec::new()) };
        let expected = "a list of texts in quotes";
        let DeValue::Array(array) = value else { return Err(self.mistyped(key, start, value, expected)) };
        let mut strings = Vec::new();
        for item in array {
            match item.get_ref() {
                DeValue::String(text) if !text.chars().any(char::is_control) => strings.push(&**text),
                other => return Err(self.mistyped(key, item.span().start, other, expected)),
            }
        }
        Ok(strings)
    }

    /// The value, or an error that says that `key` is missing.
    ///
    /// # Errors
    /// When `value` is `None`.
    pub fn required<T>(&self, key: &str, value: Option<T>) -> Result<T, Error> {
        value.ok_or_else(|| self.missing(key))
    }

    /// An error that says that `key` is missing.
    #[must_use]
    pub fn missing(&self, key: &str) -> Error {
        self.error(self.start, format!("`{key}` is missing{}", self.place()))
    }

    /// An error about the value of `key`.
    #[must_use]
    pub fn wrong(&self, key: &str, what: impl Into<String>) -> Error {
        let start = self.get(key).map_or(self.start, |(start, _)| start);
        self.error(start, what.into())
    }

    fn within(&self, name: String, start: usize, map: &'t DeTable<'t>) -> Self {
        Table { file: self.file, text: self.text, name, start, map }
    }

    fn get(&self, key: &str) -> Option<(usize, &'t DeValue<'t>)> {
        self.map.get(key).map(|value| (value.span().start, value.get_ref()))
    }

    fn place(&self) -> String {
        if self.name.is_empty() { String::new() } else { format!(" in {}", self.name) }
    }

    fn mistyped(&self, key: &str, start: usize, value: &DeValue<'_>, expected: &str) -> Error {
        self.error(start, format!("`{key}`{} must be {expected}, not {}", self.place(), kind(value)))
    }

    fn error(&self, start: usize, what: String) -> Error {
        Error { file: self.file.to_owned(), line: line(self.text, start), what, hint: None }
    }
}

impl Error {
    /// The same with what to do about it.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// A value as a person would call it.
fn kind(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("the text \"{}\"", text.chars().take(40).collect::<String>().escape_debug()),
        DeValue::Integer(number) => format!("the number {}", number.as_str()),
        DeValue::Float(number) => format!("the number {}", number.as_str()),
        DeValue::Boolean(value) => format!("`{value}`"),
        DeValue::Datetime(_) => "a date".to_owned(),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}

/// Names in a row: `a`, `b` and `c`.
fn list(names: &[&str]) -> String {
    match names {
        [] => "none".to_owned(),
        [one] => format!("`{one}`"),
        [most @ .., last] => {
            let most: Vec<String> = most.iter().map(|name| format!("`{name}`")).collect();
            format!("{} and `{last}`", most.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, ask: impl Fn(&Table<'_>) -> Result<(), Error>) -> String {
        let document = Document::parse("a.toml", text).expect("is TOML");
        let error = ask(&document.root()).expect_err("is wrong");
        match error.hint.clone() {
            Some(hint) => format!("{error} ({hint})"),
            None => error.to_string(),
        }
    }

    #[test]
    fn an_unknown_key_names_its_line_and_the_nearest_known_key() {
        let told = check("a = 1\n\ntitel = 2", |table| table.only(&["a", "title", "id"]));
        assert_eq!(told, "a.toml, line 3: unknown key `titel` (did you mean `title`?)");
        let told = check("zzz = 1", |table| table.only(&["a", "title"]));
        assert_eq!(told, "a.toml, line 1: unknown key `zzz` (known keys are `a` and `title`)");
    }

    #[test]
    fn a_value_of_the_wrong_type_names_what_it_must_be() {
        let told = check("a = 1\nb = 'x'", |table| table.string("b").and_then(|_| table.number("b").map(drop)));
        assert_eq!(told, "a.toml, line 2: `b` must be a number, not the text \"x\"");
        let told = check("a = -1", |table| table.count("a").map(drop));
        assert_eq!(told, "a.toml, line 1: `a` must be a whole number from 0 up, not the number -1");
        let told = check("a = nan", |table| table.number("a").map(drop));
        assert_eq!(told, "a.toml, line 1: `a` must be a number, not the number nan");
        let told = check("[a]\nb = 1", |table| table.tables("a").map(drop));
        assert_eq!(told, "a.toml, line 1: `a` must be a list of tables, each written [[a]], not a table");
    }

    #[test]
    fn control_characters_are_refused() {
        let told = check("a = \"x\\u001b[31m\"", |table| table.string("a").map(drop));
        assert_eq!(told, "a.toml, line 1: `a` holds a control character");
    }

    #[test]
    fn bytes_that_are_no_text_name_their_line() {
        let error = utf8("a.toml", b"a = 1\nb = \xff").expect_err("is no text");
        assert_eq!(error.to_string(), "a.toml, line 2: not UTF-8 text");
    }
}
