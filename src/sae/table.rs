//! Comparisons of two SAEs kept on disk, so that they are computed once.
//! Not here: the comparing itself (`forest.rs`, `nearest.rs`).
//!
//! A file is named by the hashes of both decoders and by what was asked. It is written beside its place and renamed into
//! it, so that a killed writer leaves nothing half written and two writers do not meet; whoever reads it maps it and
//! checks its length and its hash. A file that is not as it must be is computed again and replaced.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use memmap2::Mmap;
use rayon::prelude::*;
use sha2::{Digest, Sha256};

use crate::task::{Cancel, OnProgress};

use super::column::Column;
use super::{Comparison, Edge, Error, Forest, NearestTable, Neighbour, Sae, compare};

const MAGIC: &[u8; 16] = b"saescope-nearest";
const VERSION: u32 = 1;
/// Numbers are written as this machine has them: one of another byte order reads another mark, and computes again.
const ORDER: u32 = 0x0102_0304;
const HEADER: usize = 160;
/// A file being written that is older than this was left by a writer that is no more.
const ABANDONED: Duration = Duration::from_hours(24);

/// A comparison, and what became of the file.
#[derive(Debug)]
pub struct Kept {
    /// The comparison.
    pub comparison: Comparison,
    /// Whether it was on disk already.
    pub found: bool,
    /// Why it could not be written, when it had to be and could not: the comparison holds all the same.
    pub not_written: Option<io::Error>,
}

/// [`compare`], from the file in `folder` where there is one, else computed and written there.
///
/// # Errors
/// As [`compare`]; trouble with the file is not an error.
pub fn compare_kept(
    folder: &Path,
    large: &Sae,
    small: &Sae,
    k: usize,
    floor: f32,
    cancel: &Cancel,
    progress: OnProgress<'_>,
) -> Result<Kept, Error> {
    let key = Key::new(large, small, k, floor);
    let path = folder.join(key.file_name());
    if let Some(comparison) = key.read(&path) {
        return Ok(Kept { comparison, found: true, not_written: None });
    }
    let comparison = compare(large, small, k, floor, cancel, progress)?;
    let not_written = key.write(folder, &path, &comparison).err();
    Ok(Kept { comparison, found: false, not_written })
}

/// The file in `folder` that [`compare_kept`] reads and writes.
#[must_use]
pub fn file(folder: &Path, large: &Sae, small: &Sae, k: usize, floor: f32) -> PathBuf {
    folder.join(Key::new(large, small, k, floor).file_name())
}

/// What a comparison is of.
struct Key {
    large: usize,
    small: usize,
    k: usize,
    floor: f32,
    hashes: ([u8; 32], [u8; 32]),
}

impl Key {
    fn new(large: &Sae, small: &Sae, k: usize, floor: f32) -> Self {
        Self {
            large: large.width(),
            small: small.width(),
            k: k.max(1).min(small.width()),
            floor,
            hashes: (*large.decoder_hash(), *small.decoder_hash()),
        }
    }

    /// Everything in the header but the number of edges and the body's hash.
    fn fixed(&self) -> [Vec<u8>; 2] {
        let numbers = [self.large, self.small, self.k].map(|number| (number as u64).to_ne_bytes());
        let head = [&MAGIC[..], &VERSION.to_ne_bytes(), &ORDER.to_ne_bytes(), &numbers.concat()].concat();
        let tail = [&self.floor.to_ne_bytes()[..], &[0; 4], &self.hashes.0, &self.hashes.1].concat();
        [head, tail]
    }

    fn file_name(&self) -> String {
        let digest = Sha256::digest(self.fixed().concat());
        format!("{:032x}.nearest", u128::from_be_bytes(std::array::from_fn(|at| digest[at])))
    }

    /// The comparison in a file; none when there is no file or anything about it is not as it must be.
    fn read(&self, path: &Path) -> Option<Comparison> {
        let map = Arc::new(map(&fs::File::open(path).ok()?).ok()?);
        let [head, tail] = self.fixed();
        let header = map.get(..HEADER)?;
        let (found_head, rest) = header.split_at_checked(head.len())?;
        let (edges, rest) = rest.split_at_checked(8)?;
        let (found_tail, hash) = rest.split_at_checked(tail.len())?;
        if found_head != head || found_tail != tail {
            return None;
        }
        let edges = usize::try_from(u64::from_ne_bytes(edges.try_into().ok()?)).ok()?;
        let rows = self.large.checked_mul(self.k)?.checked_mul(size_of::<Neighbour>())?;
        let middle = HEADER.checked_add(rows)?;
        let end = middle.checked_add(edges.checked_mul(size_of::<Edge>())?)?;
        if map.len() != end || Sha256::digest(&map[HEADER..])[..] != *hash {
            return None;
        }
        let neighbours: Column<Neighbour> = Column::mapped(&map, HEADER..middle)?;
        let edges: Column<Edge> = Column::mapped(&map, middle..end)?;
        // The hash says that the bytes are those that were written; these say that they were written right.
        let (large, small) = (self.large, self.small);
        let known = neighbours.iter().all(|n| (n.latent as usize) < small)
            && edges.iter().all(|e| (e.large as usize) < large && (e.small as usize) < small);
        known.then(|| Comparison {
            nearest: NearestTable { k: self.k, neighbours },
            forest: Forest { floor: self.floor, large, small, edges },
        })
    }

    fn write(&self, folder: &Path, path: &Path, comparison: &Comparison) -> io::Result<()> {
        fs::create_dir_all(folder)?;
        sweep(folder);
        let neighbours: &[u8] = bytemuck::cast_slice(&comparison.nearest.neighbours);
        let edges: &[u8] = bytemuck::cast_slice(&comparison.forest.edges);
        let mut hash = Sha256::new();
        hash.update(neighbours);
        hash.update(edges);
        let [head, tail] = self.fixed();
        let count = (comparison.forest.edges.len() as u64).to_ne_bytes();
        let mut file = tempfile::Builder::new().prefix(".nearest-").tempfile_in(folder)?;
        for bytes in [&head, &count[..], &tail, &hash.finalize(), neighbours, edges] {
            file.write_all(bytes)?;
        }
        file.as_file().sync_all()?;
        file.persist(path).map(drop).map_err(|error| error.error)
    }
}

/// Removes what writers that were killed left behind. Trouble is passed over: it costs a little room.
fn sweep(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let ours = entry.file_name().to_str().is_some_and(|name| name.starts_with(".nearest-"));
        let written = entry.metadata().and_then(|data| data.modified()).ok();
        let age = written.and_then(|written| SystemTime::now().duration_since(written).ok());
        if ours && age.is_some_and(|age| age > ABANDONED) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

#[expect(unsafe_code, reason = "a memory map is only as constant as its file")]
fn map(file: &fs::File) -> io::Result<Mmap> {
    // SAFETY: this program never writes these files in place (they are renamed into it); a truncation by somebody else
    // would end the process with SIGBUS, it cannot corrupt memory, and every bit pattern is a value of its type.
    unsafe { Mmap::map(file) }
}

/// A hash of decoder rows and their shape; parts of 1 MiB are hashed on all threads.
pub(super) fn decoder_hash(sae: &Sae) -> [u8; 32] {
    /// 1 MiB of f32.
    const PART: usize = 1 << 18;
    let (rows, total) = (&sae.parts.w_dec, sae.width() * sae.d_out());
    let part =
        |start: usize| Sha256::digest(bytemuck::cast_slice::<f32, u8>(&rows.elements(start..total.min(start + PART))));
    let parts: Vec<_> = (0..total.div_ceil(PART)).into_par_iter().map(|index| part(index * PART)).collect();
    let mut hash = Sha256::new();
    for number in [sae.width(), sae.d_out()] {
        hash.update((number as u64).to_le_bytes());
    }
    for part in parts {
        hash.update(part);
    }
    hash.finalize().into()
}
