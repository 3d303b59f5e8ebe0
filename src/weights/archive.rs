//! The entries of a zip file over its mapped bytes: where each lies, and what is compressed made plain within bounds that
//! are stated before. Not here: the layout of zip files (the `zip` crate), and what is in an entry.

use std::collections::{HashMap, HashSet};
use std::io::{Cursor, Read};
use std::ops::Range;

use flate2::Crc;
use flate2::read::DeflateDecoder;
use zip::read::{ArchiveOffset, Config};
use zip::result::ZipError;
use zip::{CompressionMethod, ZipArchive};

/// What a file begins with whose first entry begins it.
const FIRST: &[u8] = b"PK\x03\x04";
/// An entry of the directory: its signature, its length without names, and where the lengths of its three names stand.
const ENTRY: (&[u8], usize, [usize; 3]) = (b"PK\x01\x02", 46, [28, 30, 32]);
/// Most bytes that one compressed byte can stand for (deflate: 258 for two bits).
const RATIO: usize = 1032;

/// The entries of an archive by their names.
pub struct Archive {
    entries: HashMap<String, Entry>,
}

/// One entry.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Where its bytes lie in the file, as they are stored.
    pub range: Range<usize>,
    /// What they are made into, where they are compressed.
    pub packed: Option<Packed>,
}

/// What compressed bytes are made into.
#[derive(Clone, Copy, Debug)]
pub struct Packed {
    /// How many bytes.
    pub size: usize,
    /// Their checksum.
    pub crc: u32,
}

impl Archive {
    /// Reads the directory; every entry is seen to lie within the bytes, and no name stands twice.
    pub fn read(bytes: &[u8]) -> Result<Self, String> {
        if !bytes.starts_with(FIRST) {
            return Err(if bytes.starts_with(b"\x80") {
                "it is a bare pickle, as PyTorch before 1.6 wrote it; load and save it again with a newer PyTorch"
            } else {
                "it is not a zip file"
            }
            .to_owned());
        }
        let config = Config { archive_offset: ArchiveOffset::Known(0) };
        let mut archive = ZipArchive::with_config(config, Cursor::new(bytes)).map_err(|error| damaged(&error))?;
        if archive.has_duplicate_names() {
            let name = twice(bytes, archive.central_directory_start()).unwrap_or_default();
            return Err(format!("it holds `{}` twice", name.escape_debug()));
        }
        let mut entries = HashMap::with_capacity(archive.len());
        for index in 0..archive.len() {
            let file = archive.by_index_raw(index).map_err(|error| damaged(&error))?;
            let name = std::str::from_utf8(file.name_raw()).map_err(|_| "a name in its directory is not UTF-8")?;
            let cut = || format!("`{}` is cut off", name.escape_debug());
            let start = file.data_start().and_then(|start| usize::try_from(start).ok()).ok_or_else(cut)?;
            let stored = usize::try_from(file.compressed_size()).map_err(|_| cut())?;
            let range = start..start.checked_add(stored).filter(|end| *end <= bytes.len()).ok_or_else(cut)?;
            let packed = match file.compression() {
                _ if file.encrypted() => return Err(format!("`{}` is encrypted", name.escape_debug())),
                CompressionMethod::Stored if file.size() == file.compressed_size() => None,
                CompressionMethod::Stored => return Err(DAMAGED.to_owned()),
                CompressionMethod::DEFLATE => Some(Packed::checked(name, stored, file.size(), file.crc32())?),
                _ => {
                    let name = name.escape_debug();
                    return Err(format!("`{name}` is compressed in another way than deflate"));
                }
            };
            entries.insert(name.to_owned(), Entry { range, packed });
        }
        Ok(Self { entries })
    }

    /// Every entry, in no order.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.entries.iter().map(|(name, entry)| (name.as_str(), entry))
    }

    /// Where an entry's bytes are.
    pub fn get(&self, name: &str) -> Option<Range<usize>> {
        self.entries.get(name).map(|entry| entry.range.clone())
    }

    /// The same archive, where none of its entries is compressed.
    pub fn stored(self) -> Result<Self, String> {
        match self.entries.iter().find(|(_, entry)| entry.packed.is_some()) {
            None => Ok(self),
            Some((name, _)) => {
                Err(format!("`{}` is compressed; entries must be stored as they are", name.escape_debug()))
            }
        }
    }

    /// The one entry that is called `file` in whatever folder, with that folder.
    pub fn ending(&self, file: &str) -> Result<(&str, Range<usize>), String> {
        let mut found = self.entries.iter().filter_map(|(name, entry)| {
            let folder = name.strip_suffix(file)?;
            (folder.is_empty() || folder.ends_with('/')).then(|| (folder, entry.range.clone()))
        });
        match (found.next(), found.next()) {
            (Some(one), None) => Ok(one),
            (None, _) => Err(format!("it holds no `{file}`")),
            (Some(_), Some(_)) => Err(format!("it holds more than one `{file}`")),
        }
    }
}

impl Packed {
    /// A stated size that so many compressed bytes can hold.
    fn checked(name: &str, stored: usize, size: u64, crc: u32) -> Result<Self, String> {
        let most = stored.saturating_mul(RATIO);
        match usize::try_from(size) {
            Ok(size) if size <= most => Ok(Self { size, crc }),
            _ => Err(format!(
                "`{}` states {size} bytes, and its {stored} compressed bytes hold {most} at most",
                name.escape_debug()
            )),
        }
    }
}

/// The first `count` bytes of what compressed bytes are made into.
pub fn beginning(stored: &[u8], count: usize) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let read = DeflateDecoder::new(stored).take(count as u64).read_to_end(&mut bytes);
    read.map_err(|error| format!("cannot be decompressed: {error}"))?;
    Ok(bytes)
}

/// All bytes that compressed bytes are made into, without the first `skip`: as many as are stated, not one more, and with
/// their checksum.
pub fn inflate(stored: &[u8], packed: Packed, skip: usize) -> Result<Vec<u8>, String> {
    let wrong = |error: std::io::Error| format!("cannot be decompressed: {error}");
    let wanted = packed.size.checked_sub(skip).ok_or("is cut off")?;
    let mut decoder = DeflateDecoder::new(stored);
    let mut crc = Crc::new();
    let mut skipped = Vec::new();
    decoder.by_ref().take(skip as u64).read_to_end(&mut skipped).map_err(wrong)?;
    crc.update(&skipped);
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(wanted).map_err(|_| format!("takes {wanted} bytes, for which there is no memory"))?;
    decoder.by_ref().take(wanted as u64).read_to_end(&mut bytes).map_err(wrong)?;
    crc.update(&bytes);
    let more = decoder.read(&mut [0]).map_err(wrong)?;
    if skipped.len() != skip || bytes.len() != wanted || more != 0 {
        return Err(format!("is not the {} bytes that the archive states", packed.size));
    }
    if crc.sum() != packed.crc {
        return Err("has another checksum than the archive states".to_owned());
    }
    Ok(bytes)
}

const DAMAGED: &str = "its directory is damaged";

fn damaged(error: &ZipError) -> String {
    format!("{DAMAGED} or cut off ({error})")
}

/// The first name that stands twice in the directory. The crate keeps the last entry of a name, and counts.
fn twice(bytes: &[u8], start: u64) -> Option<String> {
    let mut rest = bytes.get(usize::try_from(start).ok()?..)?;
    let mut seen = HashSet::new();
    while rest.starts_with(ENTRY.0) {
        let length = |at: usize| Some(usize::from(u16::from_le_bytes(rest.get(at..at + 2)?.try_into().ok()?)));
        let [name, extra, comment] = ENTRY.2.map(length);
        let (name, extra, comment) = (name?, extra?, comment?);
        let said = rest.get(ENTRY.1..ENTRY.1 + name)?;
        if !seen.insert(said) {
            return Some(String::from_utf8_lossy(said).into_owned());
        }
        rest = rest.get(ENTRY.1 + name + extra + comment..)?;
    }
    None
}
