//! The suites that are known: those that come with the program, and the user's own.
//! Not here: what a suite file means.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::parse::{Base, parse};
use super::{Error, Suite, embedded, nearest};
use crate::toml_file::{MAX_BYTES, utf8};

macro_rules! catalogue {
    ($($name:literal),* $(,)?) => {
        &[$((concat!($name, ".toml"), include_str!(concat!("../../assets/catalogue/", $name, ".toml")))),*]
    };
}

/// The suite files that come with the program, in the order they are listed.
const FILES: &[(&str, &str)] = catalogue![
    "gpt2-small-feature-splitting",
    "gpt2-small-res-jb-0",
    "gpt2-small-res-jb-1",
    "gpt2-small-res-jb-2",
    "gpt2-small-res-jb-3",
    "gpt2-small-res-jb-4",
    "gpt2-small-res-jb-5",
    "gpt2-small-res-jb-6",
    "gpt2-small-res-jb-7",
    "gpt2-small-res-jb-8",
    "gpt2-small-res-jb-9",
    "gpt2-small-res-jb-10",
    "gpt2-small-res-jb-11",
    "gpt2-small-res-jb-11-post",
];

/// A suite of the list, or why a user's file cannot be one.
#[derive(Debug)]
pub struct Listed {
    /// The file, for one of the user's own.
    pub file: Option<PathBuf>,
    /// The suite.
    pub suite: Result<Suite, Error>,
}

/// Every known suite: the demo, the catalogue, then the user's own in `directories`, by name.
#[must_use]
pub fn catalogue(directories: &[PathBuf]) -> Vec<Listed> {
    let own = directories.iter().flat_map(|directory| toml_files(directory));
    let own = own.map(|file| Listed { suite: read(&file), file: Some(file) });
    let built_in = built_in().map(|suite| Listed { file: None, suite });
    built_in.chain(own).collect()
}

/// The suite of an id, or of a suite file's path. A user's own suite comes before one of the catalogue.
///
/// # Errors
/// [`Error::Unknown`] with the nearest id; what is wrong with the file.
pub fn find(id_or_path: &str, directories: &[PathBuf]) -> Result<Suite, Error> {
    let mut ids = Vec::new();
    let mut found = None;
    let mut broken = None;
    for listed in catalogue(directories) {
        match listed.suite {
            Ok(suite) => {
                if suite.id == id_or_path {
                    found = Some(suite);
                } else {
                    ids.push(suite.id);
                }
            }
            // A broken file matters when it is the one that was meant.
            Err(error) => {
                if listed.file.as_ref().and_then(|file| file.file_stem()).is_some_and(|stem| stem == id_or_path) {
                    broken = Some(error);
                }
            }
        }
    }
    if let Some(suite) = found {
        return Ok(suite);
    }
    if let Some(error) = broken {
        return Err(error);
    }
    let path = Path::new(id_or_path);
    let is_path = id_or_path.contains(['/', '\\'])
        || path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("toml"));
    // A directory with a suite in it is laid out as `assets/demo` is.
    if path.is_dir() && path.join("suite.toml").is_file() {
        return read(&path.join("suite.toml"));
    }
    if is_path || path.is_file() {
        return read(path);
    }
    Err(Error::Unknown { id: id_or_path.to_owned(), nearest: nearest(id_or_path, ids.iter().map(String::as_str)) })
}

/// Reads a suite file.
///
/// # Errors
/// [`Error::Read`], [`Error::TooLarge`], [`Error::File`].
fn read(path: &Path) -> Result<Suite, Error> {
    let shown = path.display().to_string();
    let unreadable = |source| Error::Read { path: shown.clone(), source };
    // Never more than is allowed, even from a pipe or a device that does not end.
    let mut bytes = Vec::new();
    let file = fs::File::open(path).map_err(unreadable)?;
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > MAX_BYTES {
        let bytes = fs::metadata(path).map_or(0, |data| data.len()).max(bytes.len() as u64);
        return Err(Error::TooLarge { path: shown, bytes });
    }
    let directory = path.parent().unwrap_or_else(|| Path::new(""));
    Ok(parse(&shown, utf8(&shown, &bytes)?, Base::Directory(directory))?)
}

fn built_in() -> impl Iterator<Item = Result<Suite, Error>> {
    let demo = embedded::file("suite.toml").map(|bytes| Ok(parse("demo", utf8("demo", bytes)?, Base::Embedded)?));
    demo.into_iter().chain(FILES.iter().map(|(file, text)| Ok(parse(file, text, Base::Nowhere)?)))
}

/// The `*.toml` files of a directory, by name; none when there is no such directory.
fn toml_files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml") && path.is_file())
        .collect();
    files.sort();
    files
}
