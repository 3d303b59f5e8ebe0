//! The config file, as far as it says something.
//! Not here: where it is, and what holds in the end.

use std::fs;
use std::io::{ErrorKind, Read};
use std::path::Path;

use super::{Color, Error, MAX_TOP, PartialSettings, Theme, top_of};
use crate::device::DeviceName;
use crate::toml_file::{Document, MAX_BYTES, Table, utf8};

/// Reads the file; nothing is said where there is none.
pub fn read(path: &Path) -> Result<PartialSettings, Error> {
    let shown = path.display().to_string();
    let file = match fs::File::open(path) {
        Ok(file) => file,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(PartialSettings::default());
        }
        Err(source) => return Err(Error::Read { path: shown, source }),
    };
    let mut bytes = Vec::new();
    file.take(MAX_BYTES).read_to_end(&mut bytes).map_err(|source| Error::Read { path: shown.clone(), source })?;
    let document = Document::parse(&shown, utf8(&shown, &bytes)?)?;
    Ok(given(&document.root())?)
}

fn given(table: &Table<'_>) -> Result<PartialSettings, crate::toml_file::Error> {
    table.only(&["suite", "top", "color", "theme", "mouse", "ascii", "text", "device", "log"])?;
    let top = match table.count("top")? {
        None => None,
        Some(count) => match top_of(count) {
            None => return Err(table.wrong("top", format!("`top` must lie between 1 and {MAX_TOP}"))),
            top => top,
        },
    };
    let device = match table.string("device")?.map(str::parse) {
        None => None,
        Some(Ok(device)) => Some(device),
        Some(Err(_)) => return Err(table.wrong("device", format!("`device` must be {}", DeviceName::EXPECTED))),
    };
    Ok(PartialSettings {
        suite: table.string("suite")?.map(ToOwned::to_owned),
        top,
        color: table.choice("color", &Color::NAMES)?,
        theme: table.choice("theme", &Theme::NAMES)?,
        mouse: table.boolean("mouse")?,
        ascii: table.boolean("ascii")?,
        // An empty one says nothing, so that the default can be written down.
        text: table.string("text")?.filter(|text| !text.is_empty()).map(Into::into),
        device,
        log: table.string("log")?.map(ToOwned::to_owned),
    })
}
