//! A command line as a person types it in a shell. Not here: which commands there are.

use std::fmt::{Display, Write as _};

/// A command line, argument after argument, as a POSIX shell takes it.
pub struct CommandLine(String);

impl CommandLine {
    /// `saescope` with a command, such as `meta edit`, and its suite.
    #[must_use]
    pub fn new(command: &str, suite: &str) -> Self {
        Self(format!("saescope {command}")).text("suite", suite)
    }

    /// An option with a text, quoted.
    #[must_use]
    pub fn text(self, option: &str, value: &str) -> Self {
        let dashed = value.starts_with('-');
        self.option(option, &quoted(value), dashed)
    }

    /// An option once for each text, quoted.
    #[must_use]
    pub fn texts(self, option: &str, values: &[String]) -> Self {
        values.iter().fold(self, |line, value| line.text(option, value))
    }

    /// An option with what needs no quotes, such as a number.
    #[must_use]
    pub fn number(self, option: &str, value: impl Display) -> Self {
        let value = value.to_string();
        let dashed = value.starts_with('-');
        self.option(option, &value, dashed)
    }

    /// The same where there is a value.
    #[must_use]
    pub fn maybe(self, option: &str, value: Option<impl Display>) -> Self {
        match value {
            Some(value) => self.number(option, value),
            None => self,
        }
    }

    /// An argument without an option, quoted.
    #[must_use]
    pub fn argument(mut self, value: &str) -> Self {
        let dashes = if value.starts_with('-') { "-- " } else { "" };
        // Writing to a string does not fail, here and below.
        let _ = write!(self.0, " {dashes}{}", quoted(value));
        self
    }

    /// An option without a value, where it holds.
    #[must_use]
    pub fn flag(mut self, option: &str, holds: bool) -> Self {
        if holds {
            let _ = write!(self.0, " --{option}");
        }
        self
    }

    /// What begins with a dash would be taken for an option, were it a word of its own.
    fn option(mut self, option: &str, value: &str, dashed: bool) -> Self {
        let between = if dashed { '=' } else { ' ' };
        let _ = write!(self.0, " --{option}{between}{value}");
        self
    }

    /// The line.
    #[must_use]
    pub fn line(self) -> String {
        self.0
    }

    /// The line, which asks for JSON.
    #[must_use]
    pub fn json(self) -> String {
        self.flag("json", true).0
    }
}

/// A text in single quotes, whatever is in it.
pub fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_that_a_shell_takes() {
        let saes = ["512".to_owned(), "a b".to_owned()];
        let line = CommandLine::new("effect", "my suite.toml")
            .texts("sae", &saes)
            .text("prompt", "it's $HOME")
            .maybe("at", Some(3))
            .maybe("read", None::<usize>)
            .text("token", "-1")
            .number("set", -2.5)
            .flag("random", false)
            .number("seed", 0)
            .json();
        let expected = r"saescope effect --suite 'my suite.toml' --sae '512' --sae 'a b' --prompt 'it'\''s $HOME' --at 3 --token='-1' --set=-2.5 --seed 0 --json";
        assert_eq!(line, expected);
    }
}
