//! The suites that are known: those that come with the program, and the user's own.
//! Not here: what a suite file means.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use include_dir::{Dir, include_dir};

use super::parse::{Base, parse};
use super::release;
use super::{Error, Suite, embedded, nearest};
use crate::blob::Instead;
use crate::home;
use crate::toml_file::{MAX_BYTES, utf8};

/// The releases that come with the program, a file each.
static CATALOGUE: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/assets/catalogue");

/// What the ids of the catalogue begin with, in the order they are listed.
const FAMILIES: [&str; 7] =
    ["gpt2-small-feature-splitting", "gpt2-small-res-jb", "gpt2-small", "gemma-2", "gemma-3", "llama", "pythia"];

/// A suite of the list, or why a user's file cannot be one.
#[derive(Debug)]
#[non_exhaustive]
pub struct CatalogueEntry {
    /// The file, for one of the user's own.
    pub file: Option<PathBuf>,
    /// The suite.
    pub suite: Result<Suite, Error>,
}

/// Every known suite: the demo, the catalogue, then the user's own in `directories`, by name.
#[must_use]
pub fn catalogue(directories: &[PathBuf]) -> Vec<CatalogueEntry> {
    let own = directories.iter().flat_map(|directory| toml_files(directory));
    let own = own.map(|file| CatalogueEntry { suite: read(&file), file: Some(file) });
    let built_in = built_in().map(|suite| CatalogueEntry { file: None, suite });
    built_in.chain(own).collect()
}

/// The suite of an id, or of a suite file's path. A user's own suite comes before one of the catalogue.
///
/// # Errors
/// [`Error::Unknown`] with the nearest id; what is wrong with the file.
pub fn find(id_or_path: &str, directories: &[PathBuf]) -> Result<Suite, Error> {
    let mut own = Vec::new();
    let (mut found, mut broken) = (None, None);
    for file in directories.iter().flat_map(|directory| toml_files(directory)) {
        match read(&file) {
            Ok(suite) if suite.id == id_or_path => found = Some(suite),
            Ok(suite) => own.push(suite.id),
            // A broken file matters when it is the one that was meant.
            Err(error) if file.file_stem().is_some_and(|stem| stem == id_or_path) => broken = Some(error),
            Err(_) => {}
        }
    }
    if let Some(suite) = found {
        return Ok(suite);
    }
    if let Some(suite) = of_catalogue(id_or_path) {
        return suite;
    }
    if let Some(error) = broken {
        return Err(error);
    }
    let path = &home::expand(id_or_path);
    let is_path = id_or_path.contains(['/', '\\'])
        || path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("toml"));
    // A directory with a suite in it is laid out as `assets/demo` is.
    if path.is_dir() && path.join("suite.toml").is_file() {
        return Ok(Suite { name: id_or_path.to_owned(), ..read(&path.join("suite.toml"))? });
    }
    if is_path || path.is_file() {
        return Ok(Suite { name: id_or_path.to_owned(), ..read(path)? });
    }
    own.extend(built_in_texts().into_iter().map(|(id, _)| id));
    own.push(super::DEMO.to_owned());
    Err(Error::Unknown { id: id_or_path.to_owned(), nearest: nearest(id_or_path, own.iter().map(String::as_str)) })
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
    if let Some(instead) = Instead::of(&bytes) {
        return Err(unreadable(instead.into()));
    }
    let directory = path.parent().unwrap_or_else(|| Path::new(""));
    Ok(parse(&shown, utf8(&shown, &bytes)?, Base::Directory(directory))?)
}

fn built_in() -> impl Iterator<Item = Result<Suite, Error>> {
    let suites = built_in_texts().into_iter().map(|(id, text)| Ok(parse(&id, &text, Base::Nowhere)?));
    demo().into_iter().chain(suites)
}

fn demo() -> Option<Result<Suite, Error>> {
    embedded::file("suite.toml").map(|bytes| Ok(parse("demo", utf8("demo", bytes)?, Base::Embedded)?))
}

/// The demo, or the suite of the catalogue that has this id: no other is written out.
fn of_catalogue(id: &str) -> Option<Result<Suite, Error>> {
    if id == super::DEMO {
        return demo();
    }
    let text =
        releases().find_map(|file| file.members().find(|member| member.id() == id).map(|member| member.text()))?;
    Some(parse(id, &text, Base::Nowhere).map_err(Error::from))
}

/// The files of the catalogue, by name. They come with the program, and a test reads each: none is broken.
fn releases() -> impl Iterator<Item = release::File> {
    CATALOGUE.files().filter_map(|file| release::File::parse(file.contents_utf8()?).ok())
}

/// Ids and suite files of the catalogue, family by family, numbers by their value.
fn built_in_texts() -> Vec<(String, String)> {
    let members = |file: release::File| file.members().map(|member| (member.id(), member.text())).collect::<Vec<_>>();
    let mut suites: Vec<_> = releases().flat_map(members).collect();
    suites.sort_by_cached_key(|(id, _)| {
        let family = FAMILIES.iter().position(|family| id.starts_with(family)).unwrap_or(FAMILIES.len());
        (family, id.split('-').map(|part| (part.parse::<u32>().ok(), part.to_owned())).collect::<Vec<_>>())
    });
    suites
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
