//! What the person wants of the program: flags, environment, config file, in this order; and where its own files are.
//! Not here: what the hub's variables mean, and what the terminal can show.

pub mod directories;
mod file;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

pub use directories::Directories;

use crate::device::DeviceName;
use crate::home;
use crate::report::{Kind, Report};
use crate::toml_file;

/// Looks a variable of the environment up, so that tests need not change it.
pub type Env<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// The config file that `saescope config --default` prints: every key with its default, commented out.
pub const DEFAULT_FILE: &str = include_str!("settings/default.toml");

/// Most latents of a position that can be asked for.
const MAX_TOP: u64 = 1000;

/// Every setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The suite to open: an id or a path.
    pub suite: String,
    /// Latents shown for each position by the commands that print.
    pub top: usize,
    /// Whether there is colour, and how much.
    pub color: Color,
    /// What the terminal's ground is.
    pub theme: Theme,
    /// Whether the mouse is used.
    pub mouse: bool,
    /// Whether only ASCII is drawn; none to go by the locale.
    pub ascii: Option<bool>,
    /// The text that stitched SAEs are measured on; none for the suite's or the program's own.
    pub text: Option<PathBuf>,
    /// What computes the model.
    pub device: DeviceName,
    /// What goes into the log, as `RUST_LOG` says it.
    pub log: String,
}

/// Whether there is colour, and how much.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Color {
    /// As `NO_COLOR`, `COLORTERM` and `TERM` say.
    #[default]
    Auto,
    /// In spite of `NO_COLOR`, as much as the terminal has.
    Always,
    /// None.
    Never,
    /// The terminal's sixteen.
    Sixteen,
    /// The 256-colour cube.
    Cube,
    /// 24 bits.
    True,
}

impl Color {
    /// Each by its name in flags and files.
    pub const NAMES: [(&'static str, Self); 6] = [
        ("auto", Self::Auto),
        ("always", Self::Always),
        ("never", Self::Never),
        ("16", Self::Sixteen),
        ("256", Self::Cube),
        ("truecolor", Self::True),
    ];
}

/// What the terminal's ground is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Theme {
    /// The terminal is asked.
    #[default]
    Auto,
    /// Light text on dark.
    Dark,
    /// Dark text on light.
    Light,
}

impl Theme {
    /// Each by its name in flags and files.
    pub const NAMES: [(&'static str, Self); 3] = [("auto", Self::Auto), ("dark", Self::Dark), ("light", Self::Light)];
}

/// Settings that one place gave; what it did not say is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartialSettings {
    /// See [`Settings::suite`].
    pub suite: Option<String>,
    /// See [`Settings::top`].
    pub top: Option<usize>,
    /// See [`Settings::color`].
    pub color: Option<Color>,
    /// See [`Settings::theme`].
    pub theme: Option<Theme>,
    /// See [`Settings::mouse`].
    pub mouse: Option<bool>,
    /// See [`Settings::ascii`].
    pub ascii: Option<bool>,
    /// See [`Settings::text`].
    pub text: Option<PathBuf>,
    /// See [`Settings::device`].
    pub device: Option<DeviceName>,
    /// See [`Settings::log`].
    pub log: Option<String>,
}

/// Why settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The config file is wrong.
    #[error(transparent)]
    File(#[from] toml_file::Error),
    /// The config file cannot be read.
    #[error("cannot read `{path}`")]
    Read {
        /// The file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// A variable of the environment has a value that means nothing.
    #[error("`{name}` is `{}`, but must be {expected}", value.escape_debug())]
    Variable {
        /// The variable.
        name: &'static str,
        /// Its value.
        value: String,
        /// What it can be.
        expected: String,
    },
    /// There is no place for settings.
    #[error("there is no home directory")]
    NoHome,
}

impl From<Error> for Report {
    fn from(error: Error) -> Self {
        let report = match &error {
            Error::File(file) => file.report("cannot use the config file"),
            Error::Read { source, .. } => Self::new(error.to_string()).because(source.to_string()),
            Error::Variable { .. } => Self::new(error.to_string()),
            Error::NoHome => Self::new(error.to_string()).hint("set `HOME`, or `XDG_CONFIG_HOME` and `XDG_STATE_HOME`"),
        };
        report.kind(Kind::Usage)
    }
}

impl Settings {
    /// What holds when `flags`, the environment and the config file (which may be absent) are heard, in this order.
    ///
    /// # Errors
    /// The first value that cannot be used, with its line or its variable.
    pub fn read(flags: PartialSettings, env: Env<'_>, config: &Path) -> Result<Self, Error> {
        let file = file::read(config)?;
        Ok(flags.or(PartialSettings::of_environment(env)?).or(file).complete())
    }
}

impl PartialSettings {
    /// This, and `other` where this says nothing.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            suite: self.suite.or(other.suite),
            top: self.top.or(other.top),
            color: self.color.or(other.color),
            theme: self.theme.or(other.theme),
            mouse: self.mouse.or(other.mouse),
            ascii: self.ascii.or(other.ascii),
            text: self.text.or(other.text),
            device: self.device.or(other.device),
            log: self.log.or(other.log),
        }
    }

    /// With the defaults where nothing was said.
    #[must_use]
    pub fn complete(self) -> Settings {
        Settings {
            suite: self.suite.unwrap_or_else(|| "demo".to_owned()),
            top: self.top.unwrap_or(10),
            color: self.color.unwrap_or_default(),
            theme: self.theme.unwrap_or_default(),
            mouse: self.mouse.unwrap_or(true),
            ascii: self.ascii,
            text: self.text.map(home::expand),
            device: self.device.unwrap_or_default(),
            log: self.log.unwrap_or_else(|| "info".to_owned()),
        }
    }

    /// `SAESCOPE_SUITE`, `SAESCOPE_TOP`, `SAESCOPE_COLOR`, `SAESCOPE_THEME`, `SAESCOPE_MOUSE`, `SAESCOPE_ASCII`,
    /// `SAESCOPE_TEXT`, `SAESCOPE_DEVICE` and `RUST_LOG`. Empty ones say nothing.
    ///
    /// # Errors
    /// [`Error::Variable`].
    pub fn of_environment(env: Env<'_>) -> Result<Self, Error> {
        let get =
            |name: &str| env(name).filter(|value| !value.is_empty()).map(|value| value.to_string_lossy().into_owned());
        let truth = [("true", true), ("false", false), ("1", true), ("0", false)];
        let top = get("SAESCOPE_TOP").map(|value| {
            let top = value.parse().ok().and_then(top_of);
            top.ok_or(Error::Variable {
                name: "SAESCOPE_TOP",
                value,
                expected: format!("a number from 1 to {MAX_TOP}"),
            })
        });
        let device = get("SAESCOPE_DEVICE").map(|value| {
            let expected = DeviceName::EXPECTED.to_owned();
            value.parse().map_err(|_| Error::Variable { name: "SAESCOPE_DEVICE", value, expected })
        });
        Ok(Self {
            suite: get("SAESCOPE_SUITE"),
            top: top.transpose()?,
            color: choice("SAESCOPE_COLOR", get("SAESCOPE_COLOR"), &Color::NAMES)?,
            theme: choice("SAESCOPE_THEME", get("SAESCOPE_THEME"), &Theme::NAMES)?,
            mouse: choice("SAESCOPE_MOUSE", get("SAESCOPE_MOUSE"), &truth)?,
            ascii: choice("SAESCOPE_ASCII", get("SAESCOPE_ASCII"), &truth)?,
            text: get("SAESCOPE_TEXT").map(PathBuf::from),
            device: device.transpose()?,
            log: get("RUST_LOG"),
        })
    }
}

/// A number of latents that can be asked for.
fn top_of(count: u64) -> Option<usize> {
    (1..=MAX_TOP).contains(&count).then_some(count as usize)
}

fn choice<T: Copy>(name: &'static str, value: Option<String>, choices: &[(&str, T)]) -> Result<Option<T>, Error> {
    let Some(value) = value else { return Ok(None) };
    if let Some((_, choice)) = choices.iter().find(|(known, _)| *known == value) {
        return Ok(Some(*choice));
    }
    let names: Vec<&str> = choices.iter().map(|(known, _)| *known).collect();
    Err(Error::Variable { name, value, expected: format!("one of {}", names.join(", ")) })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn read(flags: PartialSettings, variables: &[(&str, &str)], file: &str) -> Result<Settings, String> {
        let folder = tempfile::tempdir().expect("a folder");
        let config = folder.path().join("config.toml");
        fs::write(&config, file).expect("is written");
        let env =
            |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value));
        Settings::read(flags, &env, &config).map_err(|error| {
            let report = Report::from(error);
            let why = report.why.join("; ").replace(&config.display().to_string(), "config.toml");
            format!("{} | {why} | {}", report.what, report.hint.unwrap_or_default())
        })
    }

    #[test]
    fn flags_beat_the_environment_which_beats_the_file_which_beats_the_default() {
        let flags = PartialSettings { top: Some(1), ..PartialSettings::default() };
        let variables = [("SAESCOPE_TOP", "2"), ("SAESCOPE_THEME", "dark")];
        let file = "top = 3\ntheme = \"light\"\nmouse = false";
        let settings = read(flags, &variables, file).expect("are settings");
        assert_eq!((settings.top, settings.theme, settings.mouse), (1, Theme::Dark, false));
        assert_eq!((settings.suite.as_str(), settings.color), ("demo", Color::Auto));
    }

    #[test]
    fn a_missing_config_file_says_nothing() {
        let nowhere = Path::new("/nowhere/at/all/config.toml");
        let settings = Settings::read(PartialSettings::default(), &|_| None, nowhere).expect("are settings");
        assert_eq!(settings, PartialSettings::default().complete());
    }

    #[test]
    fn every_key_of_the_default_file_has_the_default() {
        let uncommented: Vec<&str> = DEFAULT_FILE.lines().filter_map(|line| line.strip_prefix("#: ")).collect();
        let given = read(PartialSettings::default(), &[], &uncommented.join("\n")).expect("are settings");
        assert_eq!(given, Settings { ascii: Some(false), ..PartialSettings::default().complete() });
        assert_eq!(uncommented.len(), 9, "every key is there");
        assert_eq!(
            read(PartialSettings::default(), &[], DEFAULT_FILE).expect("says nothing"),
            PartialSettings::default().complete()
        );
    }

    #[test]
    fn mistakes_name_their_line_or_their_variable() {
        let told = |variables: &[(&str, &str)], file: &str| {
            read(PartialSettings::default(), variables, file).expect_err("is wrong")
        };
        assert_eq!(
            told(&[], "top = 3\ncolour = \"never\""),
            "cannot use the config file | config.toml, line 2: unknown key `colour` | did you mean `color`?"
        );
        assert_eq!(
            told(&[], "color = \"nevr\""),
            "cannot use the config file | config.toml, line 1: `color` cannot be \"nevr\" | did you mean \"never\"?"
        );
        assert_eq!(
            told(&[], "top = 0"),
            "cannot use the config file | config.toml, line 1: `top` must lie between 1 and 1000 | "
        );
        assert_eq!(
            told(&[("SAESCOPE_TOP", "ten")], ""),
            "`SAESCOPE_TOP` is `ten`, but must be a number from 1 to 1000 |  | "
        );
        assert_eq!(
            told(&[], "device = \"gpu\""),
            "cannot use the config file | config.toml, line 1: `device` must be cpu, cuda, cuda:N or metal | "
        );
        assert_eq!(
            told(&[("SAESCOPE_DEVICE", "cuda:x")], ""),
            "`SAESCOPE_DEVICE` is `cuda:x`, but must be cpu, cuda, cuda:N or metal |  | "
        );
        assert_eq!(
            told(&[("SAESCOPE_MOUSE", "off")], ""),
            "`SAESCOPE_MOUSE` is `off`, but must be one of true, false, 1, 0 |  | "
        );
    }
}
