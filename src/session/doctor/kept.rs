//! Checkups kept on disk, by what they are of: wiring, files, text. Whoever changes one of them gets a new checkup.
//! Not here: what is in them.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use sha2::{Digest, Sha256};

use crate::analysis::doctor::Checkup;
use crate::blob::{Blob, Location};
use crate::device::DeviceName;
use crate::session::loaded_suite::LoadedSuite;
use crate::session::text::Text;
use crate::suite::TokenizerParts;

/// Grows when what is measured, or how it is judged, changes.
const VERSION: u32 = 4;
/// Most bytes of a kept checkup.
const LONGEST: u64 = 4 << 20;

/// The file of the open suite's checkup; none where nothing is kept or a file of the suite cannot be distinguished from another.
pub fn file(shared: &LoadedSuite, text: &Text) -> Option<PathBuf> {
    let folder = shared.setup.checkups.as_ref()?;
    let digest = Sha256::digest(identity(shared, text)?);
    let number = u128::from_be_bytes(std::array::from_fn(|at| digest[at]));
    Some(folder.join(format!("{number:032x}.json")))
}

/// A kept checkup; none where there is none, or it is not as it must be.
pub fn read(file: &Path) -> Option<Checkup> {
    if fs::metadata(file).ok()?.len() > LONGEST {
        return None;
    }
    serde_json::from_slice(&fs::read(file).ok()?).ok()
}

/// Keeps a checkup: whole, or not at all.
pub fn write(file: &Path, checkup: &Checkup) -> io::Result<()> {
    let folder = file.parent().unwrap_or_else(|| Path::new("."));
    fs::create_dir_all(folder)?;
    let mut new = tempfile::NamedTempFile::new_in(folder)?;
    new.write_all(&serde_json::to_vec(checkup)?)?;
    new.persist(file).map(drop).map_err(|error| error.error)
}

/// Everything that a checkup depends on, as text.
fn identity(shared: &LoadedSuite, text: &Text) -> Option<String> {
    let (suite, hub) = (&shared.suite, &shared.setup.hub);
    let mut lines = vec![
        format!("{VERSION} {}", env!("CARGO_PKG_VERSION")),
        format!("{} {} {} {}", suite.site, suite.center, suite.fold_value_bias, suite.model.prepend_bos),
        format!("{:?}", suite.model.tokenizer),
        format!("{} {:?} {:?}", text.name, text.bytes(), suite.model.unverified),
    ];
    // A card's figures differ in the last digits.
    if shared.setup.compute_device.name() != DeviceName::Cpu {
        lines.push(shared.setup.compute_device.words());
    }
    let model = suite.model_files_with(hub, &shared.open.reach.pick(suite.site)).ok()?;
    let tokenizer = match &model.tokenizer {
        TokenizerParts::Json(json) => vec![json],
        TokenizerParts::Bpe { vocab, merges } => vec![vocab, merges],
    };
    for blob in model.weights.iter().chain([&model.config]).chain(tokenizer).chain(model.said.all()) {
        lines.push(of_file(blob)?);
    }
    for loaded in &shared.saes {
        let entry = &loaded.entry;
        lines.push(format!("{} {:?} {:?} {:?}", entry.id, entry.expect, entry.unverified, entry.bytes));
        lines.push(format!("{:?} {:?}", entry.norm_scaling_factor, entry.normalize_activations));
        let parts = suite.sae_files(entry, hub).ok()?;
        for blob in parts.config.iter().chain([&parts.weights]) {
            lines.push(of_file(blob)?);
        }
    }
    Some(lines.join("\n"))
}

/// What distinguishes a file from every other: the name that the hub's cache gives to its content, with length and time for
/// others; the content of what is part of the program.
fn of_file(blob: &Blob) -> Option<String> {
    match blob.place() {
        Location::Embedded(bytes) => {
            let digest = Sha256::digest(bytes);
            Some(format!("{:032x}", u128::from_be_bytes(std::array::from_fn(|at| digest[at]))))
        }
        Location::Path(path) => {
            let path = fs::canonicalize(path).ok()?;
            let data = fs::metadata(&path).ok()?;
            let changed = data.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
            Some(format!("{} {} {}", path.display(), data.len(), changed.as_nanos()))
        }
    }
}
