//! Labels on the disk: for each SAE a folder of its hash, in it one file of JSON lines for each source.
//! Not here: what is done with them.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::analysis::{Label, LabelSource, LatentLabel};
use crate::report::Report;
use crate::sae::Sae;
use crate::session::content::hex;
use crate::session::labels::{Known, OfSource};

/// Bytes of a file of labels that are read at most.
const LARGEST: u64 = 1 << 30;

/// Where the labels of one SAE are kept.
pub struct Store {
    /// None where nothing is kept on this machine.
    folder: Option<PathBuf>,
    width: usize,
}

impl Store {
    pub fn of(labels: Option<PathBuf>, sae: &Sae) -> Self {
        let name = || format!("{}-{}", sae.width(), hex(&sae.decoder_hash()[..16]));
        Self { folder: labels.map(|labels| labels.join(name())), width: sae.width() }
    }

    /// The SAE's folder.
    pub fn folder(self) -> Option<PathBuf> {
        self.folder
    }

    /// All that is kept; what cannot be read is a note.
    pub fn read(&self) -> Known {
        let mut known = Known::default();
        for source in LabelSource::ALL {
            let Some(path) = self.path(source) else { continue };
            let text = match fs::metadata(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Ok(about) if about.len() > LARGEST => {
                    Err(io::Error::other(format!("it is longer than {LARGEST} bytes")))
                }
                _ => fs::read_to_string(&path),
            };
            match text {
                Ok(text) => {
                    let labels = self.parse(&text, source, &path.display().to_string(), &mut known.notes);
                    known.of.insert(source, labels);
                }
                Err(error) => known.notes.push(format!("cannot read the labels in `{}`: {error}", path.display())),
            }
        }
        known
    }

    fn parse(&self, text: &str, source: LabelSource, name: &str, notes: &mut Vec<String>) -> OfSource {
        let mut labels = OfSource::new();
        let mut wrong = 0;
        for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            match serde_json::from_str::<LatentLabel>(line) {
                Ok(LatentLabel { latent, label }) if (latent as usize) < self.width => {
                    labels.entry(latent).or_default().extend(label.map(|label| Label { source, ..label }));
                }
                other => {
                    wrong += 1;
                    if wrong == 1 {
                        let why = match other {
                            Ok(of) => format!("there is no latent {}", of.latent),
                            Err(error) => error.to_string(),
                        };
                        notes.push(format!("line {} of `{name}` is no label and is left out: {why}", at + 1));
                    }
                }
            }
        }
        if wrong > 1 {
            notes.push(format!("{} more lines of `{name}` are left out", wrong - 1));
        }
        labels
    }

    /// Writes all labels of a source, beside the file that is there and then in its place.
    ///
    /// # Errors
    /// What the disk has against it.
    pub fn write(&self, source: LabelSource, sae: &str, all: &OfSource) -> Result<(), Report> {
        let Some(path) = self.path(source) else {
            return Err(Report::new(format!("cannot keep labels of SAE `{sae}`"))
                .because("there is no data directory on this machine")
                .hint("set HOME or XDG_DATA_HOME"));
        };
        let write = || -> io::Result<()> {
            self.keep_damaged(source, &path)?;
            let folder = path.parent().ok_or_else(|| io::Error::other("it lies in no folder"))?;
            fs::create_dir_all(folder)?;
            let mut file = tempfile::NamedTempFile::new_in(folder).map(io::BufWriter::new)?;
            for (latent, labels) in all {
                // Where it is known that there is none, one line says so.
                let none = labels.is_empty().then_some(None);
                for label in labels.iter().cloned().map(Some).chain(none) {
                    serde_json::to_writer(&mut file, &LatentLabel { latent: *latent, label })?;
                    file.write_all(b"\n")?;
                }
            }
            let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
            file.as_file().sync_all()?;
            file.persist(&path).map(drop).map_err(|error| error.error)
        };
        write().map_err(|error| Report::caused(format!("cannot write labels to `{}`", path.display()), &error))
    }

    /// A file of which anything cannot be read is kept beside the new one before it is replaced.
    fn keep_damaged(&self, source: LabelSource, path: &Path) -> io::Result<()> {
        if !path.exists() {
            return Ok(());
        }
        let mut notes = Vec::new();
        let whole = fs::read_to_string(path).is_ok_and(|text| {
            self.parse(&text, source, "", &mut notes);
            notes.is_empty()
        });
        let aside = |number: u32| path.with_extension(format!("damaged-{number}.jsonl"));
        let free = (1..1000).map(aside).find(|aside| !aside.exists());
        match free.filter(|_| !whole) {
            Some(aside) => fs::copy(path, aside).map(drop),
            None => Ok(()),
        }
    }

    fn path(&self, source: LabelSource) -> Option<PathBuf> {
        self.folder.as_ref().map(|folder| folder.join(format!("{}.jsonl", source.name())))
    }
}
