//! Where the program's own files are: config, the user's suites, what is kept of long work, the log.
//! Not here: the hub's cache.

use std::path::PathBuf;

use super::{Env, Error};

/// The program's own directories. Nothing is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directories {
    /// `$XDG_CONFIG_HOME/saescope`.
    pub config: PathBuf,
    /// `$XDG_STATE_HOME/saescope`.
    pub state: PathBuf,
    /// `$XDG_DATA_HOME/saescope`.
    pub data: PathBuf,
    /// `$XDG_CACHE_HOME/saescope`.
    pub cache: PathBuf,
}

impl Directories {
    /// By the XDG base directory specification; its variables count only when they are absolute paths.
    ///
    /// # Errors
    /// [`Error::NoHome`] when neither they nor a home directory are known.
    pub fn find(env: Env<'_>) -> Result<Self, Error> {
        let home =
            || env("HOME").filter(|home| !home.is_empty()).map(PathBuf::from).or_else(|| etcetera::home_dir().ok());
        let base = |name: &str, below: &str| {
            let given = env(name).map(PathBuf::from).filter(|path| path.is_absolute());
            given.or_else(|| home().map(|home| home.join(below))).ok_or(Error::NoHome)
        };
        Ok(Self {
            config: base("XDG_CONFIG_HOME", ".config")?.join("saescope"),
            state: base("XDG_STATE_HOME", ".local/state")?.join("saescope"),
            data: base("XDG_DATA_HOME", ".local/share")?.join("saescope"),
            cache: base("XDG_CACHE_HOME", ".cache")?.join("saescope"),
        })
    }

    /// The config file.
    #[must_use]
    pub fn config_file(&self) -> PathBuf {
        self.config.join("config.toml")
    }

    /// Where the user's own suite files are.
    #[must_use]
    pub fn suites(&self) -> PathBuf {
        self.config.join("suites")
    }

    /// Where meta-SAEs are kept that were trained here.
    #[must_use]
    pub fn metas(&self) -> PathBuf {
        self.data.join("meta")
    }

    /// Where comparisons of SAEs are kept. All of it can be deleted: it is computed again.
    #[must_use]
    pub fn tables(&self) -> PathBuf {
        self.cache.join("tables")
    }

    /// Where the outcomes of checkups are kept. All of it can be deleted: it is measured again.
    #[must_use]
    pub fn checkups(&self) -> PathBuf {
        self.cache.join("checkups")
    }

    /// The log.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.state.join("log")
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::path::Path;

    use super::*;

    fn find(given: &[(&str, &str)]) -> Directories {
        let env = |name: &str| given.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value));
        Directories::find(&env).expect("are known")
    }

    #[test]
    fn directories_are_where_xdg_has_them() {
        let usual = find(&[("HOME", "/h")]);
        assert_eq!(usual.config_file(), Path::new("/h/.config/saescope/config.toml"));
        assert_eq!(usual.log(), Path::new("/h/.local/state/saescope/log"));
        assert_eq!(usual.metas(), Path::new("/h/.local/share/saescope/meta"));
        assert_eq!(usual.tables(), Path::new("/h/.cache/saescope/tables"));
        let given = find(&[("HOME", "/h"), ("XDG_CONFIG_HOME", "/c"), ("XDG_STATE_HOME", "relative")]);
        assert_eq!(given.suites(), Path::new("/c/saescope/suites"));
        assert_eq!(given.log(), Path::new("/h/.local/state/saescope/log"), "a relative path does not count");
    }
}
