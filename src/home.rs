//! A path as a person writes it: `~` is the home directory, as in a shell.
//! Not here: the hub's variables, in which `$NAME` means something too (`hub::environment`).

use std::path::{Path, PathBuf};

/// The path, with `~` or `~/` at its beginning replaced by the home directory of this environment. Names of other
/// people (`~name`) stay as they are, as does everything where there is no home directory.
#[must_use]
pub fn expand(written: impl AsRef<Path>) -> PathBuf {
    let given = std::env::var_os("HOME").filter(|home| !home.is_empty()).map(PathBuf::from);
    expand_from(written, given.or_else(|| etcetera::home_dir().ok()).as_deref())
}

/// The same with this home directory.
#[must_use]
pub fn expand_from(written: impl AsRef<Path>, home: Option<&Path>) -> PathBuf {
    let written = written.as_ref();
    match (written.strip_prefix("~"), home) {
        (Ok(rest), Some(home)) if rest.as_os_str().is_empty() => home.to_owned(),
        (Ok(rest), Some(home)) => home.join(rest),
        _ => written.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tilde_is_the_home_directory_only_where_a_shell_takes_it_for_one() {
        let expanded = |written: &str| expand_from(written, Some(Path::new("/h"))).display().to_string();
        for (written, path) in [
            ("~", "/h"),
            ("~/", "/h"),
            ("~/saes/a", "/h/saes/a"),
            ("~//saes", "/h/saes"),
            ("~name/saes", "~name/saes"),
            ("a/~/b", "a/~/b"),
            ("/~", "/~"),
            ("", ""),
        ] {
            assert_eq!(expanded(written), path, "{written}");
        }
        assert_eq!(expand_from("~/saes", None), Path::new("~/saes"));
    }
}
