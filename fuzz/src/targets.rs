//! What is fuzzed: where the seeds are, and how they are damaged with their structure kept.
//! Not here: the loop around it, and what is done with damaged files (`targets/readers.rs`).

mod readers;
mod words;

use std::fs;
use std::path::{Path, PathBuf};

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use readers::{Outcome, blob, pickled, suite, tensors, tokenizer};
use saescope::weights::TensorFiles;
use saescope::weights::pickle;

use crate::input::Input;
use crate::mutate::{archive, bytes, digits, json, npy, pickle as opcodes, toml};

/// A reader of foreign files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The header of a safetensors file.
    Safetensors,
    /// A PyTorch file.
    Pickle,
    /// A NumPy archive.
    Npz,
    /// A suite file.
    Suite,
    /// A tokenizer's files.
    Tokenizer,
}

impl Target {
    /// By the name on the command line.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "safetensors" => Self::Safetensors,
            "pickle" => Self::Pickle,
            "npz" => Self::Npz,
            "suite" => Self::Suite,
            "tokenizer" => Self::Tokenizer,
            _ => return None,
        })
    }

    /// The inputs to begin with.
    pub fn seeds(self) -> Vec<Input> {
        let fixtures = Path::new("tests/fixtures");
        match self {
            Self::Safetensors => found(fixtures, &["safetensors"], "model.safetensors", 40 << 10),
            Self::Pickle => found(fixtures, &["pt", "pth"], "sae.pt", 40 << 10),
            Self::Npz => found(fixtures, &["npz"], "params.npz", 40 << 10),
            Self::Suite => [found(Path::new("fuzz/seeds/suite"), &["toml"], "suite.toml", 40 << 10), demo()].concat(),
            Self::Tokenizer => {
                let folders = fs::read_dir(fixtures.join("tokenizers")).into_iter().flatten().flatten();
                let mut folders: Vec<PathBuf> = folders.map(|entry| entry.path()).collect();
                folders.sort();
                let inputs = folders.iter().filter_map(|folder| Input::of_folder(folder).ok());
                inputs.map(without_references).filter(|input| !input.files.is_empty()).collect()
            }
        }
    }

    /// The input damaged; parts may come from another one.
    pub fn damaged(self, start: &Input, donor: &Input, rng: &mut StdRng) -> Input {
        let mut input = start.clone();
        let Some(at) = input.files.len().checked_sub(1).map(|last| rng.random_range(0..=last)) else { return input };
        let (name, old) = &mut input.files[at];
        let other = donor.get(name).unwrap_or_default();
        if rng.random_bool(0.1) {
            bytes(old, rng);
            return input;
        }
        *old = match self {
            Self::Safetensors => safetensors(old, other, rng),
            Self::Pickle | Self::Npz => self.zipped(old, rng),
            Self::Suite => toml::damage(old, other, words::SUITE, rng),
            Self::Tokenizer if !name.ends_with("merges.txt") => json::damage(old, other, words::TOKENIZER, rng),
            Self::Tokenizer => digits(&String::from_utf8_lossy(old), rng).into_bytes(),
        };
        if self == Self::Tokenizer && rng.random_bool(0.05) && input.files.len() > 1 {
            input.files.remove(at);
        }
        input
    }

    fn zipped(self, old: &[u8], rng: &mut StdRng) -> Vec<u8> {
        let mut entries = archive::read(old);
        let wanted: &[u8] = if self == Self::Pickle { b"data.pkl" } else { b".npy" };
        let mut places: Vec<usize> = (0..entries.len()).filter(|at| entries[*at].name.ends_with(wanted)).collect();
        if rng.random_bool(0.1) {
            places = (0..entries.len()).collect();
        }
        if let Some(at) = places.choose(rng) {
            let plain = entries[*at].plain();
            let damaged = if self == Self::Pickle { opcodes::damage(&plain, rng) } else { npy::damage(&plain, rng) };
            if rng.random_bool(0.2) { entries[*at].pack(&damaged) } else { entries[*at].put(damaged) }
        }
        archive::write(&entries, rng)
    }

    /// Gives a reader the files in a folder, which are those of the input.
    pub fn run(self, input: &Input, folder: &Path) -> Outcome {
        let first = || input.files.first().map(|(name, _)| name.clone()).unwrap_or_default();
        match self {
            Self::Safetensors => tensors(TensorFiles::open(&[blob(folder, &first())])),
            Self::Npz => tensors(TensorFiles::open_npz(&blob(folder, &first()))),
            Self::Pickle => match pickle::open(&blob(folder, &first())) {
                Ok(value) => pickled(&value.unwrapped()),
                Err(error) => Outcome::refused(&error),
            },
            Self::Suite => suite(&input.files.first().map(|(_, bytes)| bytes.clone()).unwrap_or_default()),
            Self::Tokenizer => tokenizer(input, folder),
        }
    }
}

/// Every file with such an ending below a folder, as an input of one file.
fn found(folder: &Path, endings: &[&str], name: &str, most: u64) -> Vec<Input> {
    let mut inputs = Vec::new();
    let mut entries: Vec<PathBuf> = fs::read_dir(folder).into_iter().flatten().flatten().map(|e| e.path()).collect();
    entries.sort();
    for path in entries {
        let is_small = fs::metadata(&path).is_ok_and(|about| about.is_file() && about.len() <= most);
        if path.is_dir() {
            inputs.extend(found(&path, endings, name, most));
        } else if is_small && path.extension().is_some_and(|end| endings.iter().any(|ending| end == *ending)) {
            inputs.extend(fs::read(&path).map(|bytes| Input::one(name, bytes)));
        }
    }
    inputs
}

fn demo() -> Vec<Input> {
    fs::read("assets/demo/suite.toml").map(|bytes| Input::one("suite.toml", bytes)).into_iter().collect()
}

fn without_references(mut input: Input) -> Input {
    input.files.retain(|(name, _)| name != "reference.json");
    input
}

/// A header with its values damaged, before the same data.
fn safetensors(old: &[u8], donor: &[u8], rng: &mut StdRng) -> Vec<u8> {
    let split = |bytes: &[u8]| {
        let length = bytes.first_chunk().map_or(0, |length| u64::from_le_bytes(*length)) as usize;
        let end = length.saturating_add(8).min(bytes.len());
        (bytes.get(8..end).unwrap_or_default().to_vec(), bytes[end..].to_vec())
    };
    let ((header, mut data), (other, _)) = (split(old), split(donor));
    let header = if rng.random_bool(0.4) {
        digits(&String::from_utf8_lossy(&header), rng).into_bytes()
    } else {
        json::damage(&header, &other, words::SAFETENSORS, rng)
    };
    if rng.random_bool(0.2) {
        bytes(&mut data, rng);
    }
    let length = if rng.random_bool(0.1) { crate::mutate::number(rng) } else { header.len() as u64 };
    [&length.to_le_bytes()[..], &header, &data].concat()
}
