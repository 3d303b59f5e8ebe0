//! Names of repositories, revisions and files that are safe to put into a path or an address.
//! Not here: whether anything of that name exists.

/// A name that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{}` cannot be the name of a {what}: {why}", name.escape_debug())]
pub struct Error {
    /// The name.
    pub name: String,
    /// What it was to name.
    pub what: &'static str,
    /// What is wrong with it.
    pub why: &'static str,
}

/// Most bytes of a whole name, and of one part of it: what file systems take.
const MAX_NAME: usize = 1024;
const MAX_PART: usize = 255;

/// Checks that a file (or folder) name stays within the folder it is relative to, on every system.
///
/// # Errors
/// Refuses empty and absolute names, `.` and `..` as parts, backslashes, colons, control characters, and names that
/// are too long.
pub fn file(name: &str) -> Result<(), Error> {
    relative(name, "file")
}

/// Checks a branch, tag or commit.
///
/// # Errors
/// Refuses what [`file()`] refuses: a revision is the name of a file in the cache.
pub fn revision(name: &str) -> Result<(), Error> {
    relative(name, "revision")
}

/// Checks a repository, `owner/name` or `name`, by the hub's own rules.
///
/// # Errors
/// Refuses other characters than letters, digits, `.`, `_`, `-`; parts that begin or end with `.` or `-`; `--` and
/// `..`; more than one `/`.
pub fn repository(name: &str) -> Result<(), Error> {
    let wrong = |why| Err(Error { name: shown(name), what: "repository", why });
    if name.len() > 2 * 96 + 1 {
        return wrong("it is too long");
    }
    let parts: Vec<&str> = name.split('/').collect();
    if parts.len() > 2 || parts.iter().any(|part| part.is_empty() || part.len() > 96) {
        return wrong("it is not of the form `owner/name`");
    }
    if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-/".contains(&byte)) {
        return wrong("it has other characters than letters, digits, `.`, `_` and `-`");
    }
    if name.contains("--") || name.contains("..") {
        return wrong("it has `--` or `..` in it");
    }
    if parts.iter().any(|part| part.starts_with(['.', '-']) || part.ends_with(['.', '-'])) {
        return wrong("a part of it begins or ends with `.` or `-`");
    }
    Ok(())
}

/// Checks a server's ETag, which becomes the name of a blob.
///
/// # Errors
/// Refuses everything but 1 to 255 letters, digits, `.`, `_`, `-`, not beginning with a dot.
pub fn etag(name: &str) -> Result<(), Error> {
    let wrong = |why| Err(Error { name: shown(name), what: "blob", why });
    if name.is_empty() || name.len() > MAX_PART - ".incomplete".len() {
        return wrong("it is empty or too long");
    }
    if name.starts_with('.') || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte)) {
        return wrong("it has other characters than letters, digits, `.`, `_` and `-`");
    }
    Ok(())
}

fn relative(name: &str, what: &'static str) -> Result<(), Error> {
    let wrong = |why| Err(Error { name: shown(name), what, why });
    if name.is_empty() {
        return wrong("it is empty");
    }
    if name.len() > MAX_NAME || name.split('/').any(|part| part.len() > MAX_PART) {
        return wrong("it is too long");
    }
    if name.starts_with('/') {
        return wrong("it is absolute");
    }
    if name.contains(['\\', ':']) {
        return wrong("it has a backslash or a colon");
    }
    if name.chars().any(char::is_control) {
        return wrong("it has a control character");
    }
    if name.split('/').any(|part| part.is_empty() || part == "." || part == "..") {
        return wrong("it leaves its folder, or has an empty part");
    }
    Ok(())
}

/// As much of a name as belongs in a message.
fn shown(name: &str) -> String {
    name.chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use std::path::{Component, Path};

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_as_the_hub_has_them_pass() {
        for name in
            ["model.safetensors", "blocks.8.hook_resid_pre_768/cfg.json", "v5_32k_layer_0.pt/cfg.json", "a b#?é"]
        {
            assert_eq!(file(name), Ok(()), "{name}");
        }
        for name in
            ["openai-community/gpt2", "gpt2", "pleask/gpt2-small_blocks.8.hook_resid_pre_2304_topk_4_0.001_2000"]
        {
            assert_eq!(repository(name), Ok(()), "{name}");
        }
        for name in ["main", "refs/pr/1", "607a30d783dfa663caf39e06633721c8d4cfcd7e", "v1.0"] {
            assert_eq!(revision(name), Ok(()), "{name}");
        }
        assert_eq!(etag("248dfc3911869ec493c76e65bf2fcf7f615828b0254c12b473182f0f81d3a707"), Ok(()));
    }

    #[test]
    fn names_that_leave_their_folder_are_refused() {
        for name in [
            "",
            "/etc/passwd",
            "..",
            "../x",
            "a/../../x",
            "a/..",
            "./x",
            "a//b",
            "a/",
            "a\\..\\b",
            "C:x",
            "a\0b",
            "a\nb",
        ] {
            assert!(file(name).is_err(), "{name:?}");
            assert!(revision(name).is_err(), "{name:?}");
        }
        for name in ["", "a/b/c", "../b", "a/..", "a--b/c", "/a", "a/", ".a/b", "a b", "a\\b", "a/b\0"] {
            assert!(repository(name).is_err(), "{name:?}");
        }
        for name in ["", ".", "..", "a/b", "a\\b", ".x", &"a".repeat(300)] {
            assert!(etag(name).is_err(), "{name:?}");
        }
    }

    proptest! {
        #[test]
        fn what_passes_stays_below_its_folder(name in "\\PC*|[./\\\\a:]{0,12}") {
            if file(&name).is_ok() {
                prop_assert!(Path::new(&name).components().all(|part| matches!(part, Component::Normal(_))));
            }
            if repository(&name).is_ok() {
                prop_assert!(Path::new(&name.replace('/', "--")).components().count() == 1);
            }
            if etag(&name).is_ok() {
                prop_assert!(matches!(Path::new(&name).components().collect::<Vec<_>>()[..], [Component::Normal(_)]));
            }
        }
    }
}
