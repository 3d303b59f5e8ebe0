//! Rows of activations that Neuronpedia publishes: the strongest of each latent, read from its export and kept here.
//! Not here: who asks for them, and what is shown of them.
//!
//! They are kept beside the SAE's labels, in files of 256 latents each, so that one latent's are found without the others'.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::bufread::GzDecoder;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};

use crate::report::Report;
use crate::session::neuronpedia::Export;
use crate::session::neuronpedia::explanations::Index;
use crate::session::neuronpedia::lines::Batch;
use crate::task::{Cancel, OnProgress};

/// Rows that are kept of a latent.
pub const ROWS: usize = 5;
/// Tokens of a row that are kept: those behind the peak matter least, and change nothing before them.
const TOKENS: usize = 1024;
const BEHIND: usize = 32;
/// Latents of a file that is kept.
const SHELF: u32 = 256;
/// Bytes of such a file without its compression.
const LARGEST: u64 = 1 << 28;

/// A row as it is published; what is not named here is passed over.
#[derive(Debug, Deserialize)]
struct Line {
    index: Index,
    #[serde(default)]
    layer: Option<String>,
    tokens: Vec<String>,
    values: Vec<f32>,
}

/// A row as it is kept.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Published {
    /// The latent.
    pub latent: u32,
    /// The tokens' texts.
    pub tokens: Vec<String>,
    /// The latent's activation on each.
    pub values: Vec<f32>,
}

impl Published {
    /// Where it is largest.
    #[must_use]
    pub fn peak(&self) -> usize {
        let most = self.max();
        self.values.iter().position(|value| *value == most).unwrap_or(0)
    }

    /// Its largest activation.
    #[must_use]
    pub fn max(&self) -> f32 {
        self.values.iter().copied().fold(0.0, f32::max)
    }

    fn cut(mut self) -> Self {
        let most = (self.peak() + 1 + BEHIND).min(self.tokens.len());
        self.tokens.truncate(most);
        self.values.truncate(most);
        self
    }
}

impl Export<'_> {
    /// The strongest rows of these latents, or of all where none is named.
    ///
    /// # Errors
    /// What is wrong with the listing or a batch, with address and line.
    pub fn activations(
        &self,
        (width, wanted): (usize, &BTreeSet<u32>),
        batches: &[Batch],
        cancel: &Cancel,
        on: OnProgress<'_>,
    ) -> Result<BTreeMap<u32, Vec<Published>>, Report> {
        let source = self.id.rsplit('/').next().unwrap_or_default();
        let mut best: BTreeMap<u32, Vec<Published>> = BTreeMap::new();
        let mut take = |line: Line| {
            if let Some(layer) = line.layer.filter(|layer| layer != source) {
                return Err(format!("it is of the source `{}`", layer.escape_debug()));
            }
            let latent = line.index.latent(width)?;
            if line.tokens.len() != line.values.len() {
                return Err(format!("it has {} tokens and {} values", line.tokens.len(), line.values.len()));
            }
            if !line.values.iter().all(|value| value.is_finite()) {
                return Err("a value is no number".to_owned());
            }
            let row = Published { latent, tokens: line.tokens, values: line.values };
            let shown = row.max() > 0.0 && row.peak() < TOKENS;
            if shown && (wanted.is_empty() || wanted.contains(&latent)) {
                put(best.entry(latent).or_default(), row);
            }
            Ok(())
        };
        self.read(batches, (cancel, on), &mut take)?;
        Ok(best)
    }
}

/// Puts a row among the strongest, once.
fn put(best: &mut Vec<Published>, row: Published) {
    let at = best.partition_point(|of| of.max() >= row.max());
    let row = row.cut();
    if at < ROWS && !best.contains(&row) {
        best.insert(at, row);
        best.truncate(ROWS);
    }
}

/// Where the rows of one SAE are kept.
pub struct Shelves(pub PathBuf);

impl Shelves {
    /// Keeps the rows of some latents in place of those that they had.
    ///
    /// # Errors
    /// What the disk has against it.
    pub fn keep(&self, rows: &BTreeMap<u32, Vec<Published>>) -> Result<(), Report> {
        let mut shelves: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for latent in rows.keys() {
            shelves.entry(latent / SHELF).or_default().push(*latent);
        }
        for (shelf, latents) in shelves {
            let path = self.path(shelf);
            let mut all = read(&path).unwrap_or_default();
            all.retain(|row| !latents.contains(&row.latent));
            all.extend(latents.iter().flat_map(|latent| rows[latent].iter().cloned()));
            all.sort_by(|a, b| a.latent.cmp(&b.latent).then(b.max().total_cmp(&a.max())));
            let written = write(&path, &all);
            written
                .map_err(|error| Report::caused(format!("cannot write examples to `{}`", path.display()), &error))?;
        }
        Ok(())
    }

    /// The rows of a latent, the strongest first; what cannot be read is none.
    #[must_use]
    pub fn of(&self, latent: u32) -> Vec<Published> {
        let mut rows = read(&self.path(latent / SHELF)).unwrap_or_default();
        rows.retain(|row| row.latent == latent);
        rows
    }

    /// The strongest row of up to so many latents, spread over those that have any.
    #[must_use]
    pub fn some(&self, most: usize, width: usize) -> Vec<Published> {
        let shelves: Vec<u32> = (0..(width as u32).div_ceil(SHELF)).filter(|of| self.path(*of).is_file()).collect();
        let step = (shelves.len() / most.max(1)).max(1);
        let each = most.div_ceil(shelves.len().clamp(1, most.max(1)));
        let mut found = Vec::new();
        for shelf in shelves.iter().step_by(step) {
            let mut rows = read(&self.path(*shelf)).unwrap_or_default();
            rows.dedup_by_key(|row| row.latent);
            let step = (rows.len() / each).max(1);
            found.extend(rows.into_iter().step_by(step).take(each));
        }
        found.truncate(most);
        found
    }

    fn path(&self, shelf: u32) -> PathBuf {
        self.0.join(format!("examples-{shelf}.jsonl.gz"))
    }
}

fn read(path: &Path) -> io::Result<Vec<Published>> {
    let reader = BufReader::new(GzDecoder::new(BufReader::new(File::open(path)?)).take(LARGEST));
    let lines = reader.lines().map(|line| {
        let row: Published = serde_json::from_str(&line?)?;
        if row.tokens.len() == row.values.len() { Ok(row) } else { Err(io::Error::other("a row is damaged")) }
    });
    lines.collect()
}

fn write(path: &Path, rows: &[Published]) -> io::Result<()> {
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    fs::create_dir_all(folder)?;
    let mut writer = GzEncoder::new(tempfile::NamedTempFile::new_in(folder)?, Compression::default());
    for row in rows {
        serde_json::to_writer(&mut writer, row)?;
        writer.write_all(b"\n")?;
    }
    let file = writer.finish()?;
    file.as_file().sync_all()?;
    file.persist(path).map(drop).map_err(|error| error.error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(latent: u32, values: &[f32]) -> Published {
        let tokens = (0..values.len()).map(|at| format!(" t{at}")).collect();
        Published { latent, tokens, values: values.to_vec() }
    }

    #[test]
    fn the_strongest_rows_are_kept_once_and_found_again() {
        let mut best = Vec::new();
        for peak in [3.0, 9.0, 1.0, 9.0, 7.0, 5.0, 8.0, 2.0] {
            put(&mut best, row(700, &[0.0, peak, 0.5]));
        }
        assert_eq!(best.iter().map(Published::max).collect::<Vec<_>>(), [9.0, 8.0, 7.0, 5.0, 3.0]);
        let mut long = vec![0.0; 200];
        long[20] = 4.0;
        assert_eq!(row(1, &long).cut().tokens.len(), 20 + 1 + BEHIND);
        let home = tempfile::tempdir().expect("a folder");
        let shelves = Shelves(home.path().join("x"));
        let rows = [(700, best.clone()), (3, vec![row(3, &[1.0])]), (4, vec![row(4, &[2.0])])].into_iter().collect();
        shelves.keep(&rows).expect("is written");
        assert_eq!((shelves.of(700), shelves.of(3).len(), shelves.of(5).len()), (best, 1, 0));
        shelves.keep(&[(3, vec![row(3, &[6.0])])].into_iter().collect()).expect("is written");
        assert_eq!((shelves.of(3)[0].max(), shelves.of(4)[0].max()), (6.0, 2.0), "the others stay");
        let some: Vec<u32> = shelves.some(10, 1024).iter().map(|row| row.latent).collect();
        assert_eq!(some, [3, 4, 700]);
        assert_eq!(shelves.some(2, 1024).len(), 2);
        fs::write(shelves.path(0), b"<html>").expect("is written");
        assert!(shelves.of(3).is_empty() && shelves.some(2, 1024).len() == 1);
    }
}
