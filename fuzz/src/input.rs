//! What a reader is given: some files by their names. Not here: what they hold.

use std::path::Path;
use std::{fs, io};

/// Some files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Input {
    /// Names and bytes.
    pub files: Vec<(String, Vec<u8>)>,
}

impl Input {
    /// One file.
    pub fn one(name: &str, bytes: Vec<u8>) -> Self {
        Self { files: vec![(name.to_owned(), bytes)] }
    }

    /// The files of a folder, by name.
    pub fn of_folder(folder: &Path) -> io::Result<Self> {
        let mut files = Vec::new();
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_file() {
                files.push((path.file_name().unwrap_or_default().to_string_lossy().into_owned(), fs::read(&path)?));
            }
        }
        files.sort();
        Ok(Self { files })
    }

    /// The bytes of a file.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.files.iter().find(|(known, _)| known == name).map(|(_, bytes)| bytes.as_slice())
    }

    /// Writes the files into a folder that holds nothing else.
    pub fn write(&self, folder: &Path) -> io::Result<()> {
        fs::create_dir_all(folder)?;
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if self.files.iter().all(|(name, _)| path.file_name().is_none_or(|there| there != name.as_str())) {
                fs::remove_file(path)?;
            }
        }
        self.files.iter().try_for_each(|(name, bytes)| fs::write(folder.join(name), bytes))
    }

    /// Bytes of all files.
    pub fn size(&self) -> usize {
        self.files.iter().map(|(_, bytes)| bytes.len()).sum()
    }
}

/// Copies the files of a folder to another, which is made.
pub fn keep(from: &Path, to: &Path) -> io::Result<()> {
    Input::of_folder(from)?.write(to)
}

/// Copies the folders of a folder to another.
pub fn keep_all(from: &Path, to: &Path) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let path = entry?.path();
        keep(&path, &to.join(path.file_name().unwrap_or_default()))?;
    }
    Ok(())
}
