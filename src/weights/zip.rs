//! The directory of a zip file whose entries are stored as they are.
//! Not here: compressed or encrypted entries, which PyTorch and `numpy.savez` never write; they are refused by name.

use std::collections::HashMap;
use std::ops::Range;

/// Where the entries of an archive lie in its bytes.
pub struct Archive {
    entries: HashMap<String, Range<usize>>,
}

/// The signature of the end of the directory, and its length without a comment.
const END: (&[u8], usize) = (b"PK\x05\x06", 22);
/// The signature of the place of the 64-bit end, and its length.
const LOCATOR: (&[u8], usize) = (b"PK\x06\x07", 20);
/// The 64-bit end.
const END64: &[u8] = b"PK\x06\x06";
/// An entry of the directory, and its length without names.
const ENTRY: (&[u8], usize) = (b"PK\x01\x02", 46);
/// What stands before an entry's bytes, and its length without names.
const LOCAL: (&[u8], usize) = (b"PK\x03\x04", 30);
/// Longest comment at the end of an archive.
const COMMENT: usize = 65_535;
/// A 32-bit number that says that the true one stands elsewhere, in 64 bits.
const ELSEWHERE: u64 = 0xffff_ffff;

impl Archive {
    /// Reads the directory; every entry is seen to lie within the bytes.
    pub fn read(bytes: &[u8]) -> Result<Self, String> {
        if !bytes.starts_with(LOCAL.0) {
            return Err(if bytes.starts_with(b"\x80") {
                "it is a bare pickle, as PyTorch before 1.6 wrote it; load and save it again with a newer PyTorch"
            } else {
                "it is no zip file"
            }
            .to_owned());
        }
        let directory = directory(bytes).ok_or("its directory is damaged or cut off")?;
        let (mut entries, mut rest) = (HashMap::new(), bytes.get(directory).ok_or("its directory is cut off")?);
        while rest.starts_with(ENTRY.0) {
            let (name, range, length) = entry(bytes, rest)?;
            if entries.insert(name.clone(), range).is_some() {
                return Err(format!("it holds `{}` twice", name.escape_debug()));
            }
            rest = rest.get(length..).ok_or("its directory is cut off")?;
        }
        Ok(Self { entries })
    }

    /// Every entry with where its bytes are, in no order.
    pub fn entries(&self) -> impl Iterator<Item = (&str, Range<usize>)> {
        self.entries.iter().map(|(name, range)| (name.as_str(), range.clone()))
    }

    /// Where an entry's bytes are.
    pub fn get(&self, name: &str) -> Option<Range<usize>> {
        self.entries.get(name).cloned()
    }

    /// The one entry that is called `file` in whatever folder, with that folder.
    pub fn ending(&self, file: &str) -> Result<(&str, Range<usize>), String> {
        let mut found = self.entries.iter().filter_map(|(name, range)| {
            let folder = name.strip_suffix(file)?;
            (folder.is_empty() || folder.ends_with('/')).then(|| (folder, range.clone()))
        });
        match (found.next(), found.next()) {
            (Some(one), None) => Ok(one),
            (None, _) => Err(format!("it holds no `{file}`")),
            (Some(_), Some(_)) => Err(format!("it holds more than one `{file}`")),
        }
    }
}

/// A little-endian number of `size` bytes at most 8.
pub fn number(bytes: &[u8], at: usize, size: usize) -> Option<u64> {
    let bytes = bytes.get(at..at.checked_add(size)?)?;
    Some(bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

/// Where the directory lies.
fn directory(bytes: &[u8]) -> Option<Range<usize>> {
    let first = bytes.len().saturating_sub(END.1 + COMMENT);
    let last = bytes.len().checked_sub(END.1)?;
    let end = (first..=last).rev().find(|at| bytes[*at..].starts_with(END.0))?;
    let (mut length, mut start) = (number(bytes, end + 12, 4)?, number(bytes, end + 16, 4)?);
    if length == ELSEWHERE || start == ELSEWHERE {
        let locator = end.checked_sub(LOCATOR.1).filter(|at| bytes[*at..].starts_with(LOCATOR.0))?;
        let end = usize::try_from(number(bytes, locator + 8, 8)?).ok()?;
        bytes.get(end..)?.starts_with(END64).then_some(())?;
        (length, start) = (number(bytes, end.checked_add(40)?, 8)?, number(bytes, end.checked_add(48)?, 8)?);
    }
    let start = usize::try_from(start).ok()?;
    Some(start..start.checked_add(usize::try_from(length).ok()?)?)
}

/// An entry at the beginning of `rest`: its name, where its bytes are, and how long it is in the directory.
fn entry(bytes: &[u8], rest: &[u8]) -> Result<(String, Range<usize>, usize), String> {
    let damaged = || "its directory is damaged".to_owned();
    let field = |at, size| number(rest, at, size).ok_or_else(damaged);
    let (flags, method) = (field(8, 2)?, field(10, 2)?);
    let names = [field(28, 2)?, field(30, 2)?, field(32, 2)?].map(|length| length as usize);
    let name = rest.get(ENTRY.1..ENTRY.1 + names[0]).ok_or_else(damaged)?;
    let name = String::from_utf8(name.to_vec()).map_err(|_| "a name in its directory is not UTF-8".to_owned())?;
    if method != 0 || flags & 1 != 0 {
        let how = if flags & 1 == 0 { "compressed" } else { "encrypted" };
        return Err(format!("`{}` is {how}; entries must be stored as they are", name.escape_debug()));
    }
    let extra_start = ENTRY.1 + names[0];
    let extra = rest.get(extra_start..extra_start + names[1]).ok_or_else(damaged)?;
    // Numbers that do not fit into 32 bits stand in the extra field 1, in this order.
    let mut wide = wide(extra).chunks_exact(8);
    let mut or_wide = |narrow: u64| match narrow {
        ELSEWHERE => wide.next().and_then(|bytes| number(bytes, 0, 8)).ok_or_else(damaged),
        narrow => Ok(narrow),
    };
    let size = or_wide(field(24, 4)?)?;
    let packed = or_wide(field(20, 4)?)?;
    let place = or_wide(field(42, 4)?)?;
    if size != packed {
        return Err(damaged());
    }
    let range = within(bytes, place, size).ok_or_else(|| format!("`{}` is cut off", name.escape_debug()))?;
    Ok((name, range, ENTRY.1 + names.iter().sum::<usize>()))
}

/// The data of the extra field 1.
fn wide(mut extra: &[u8]) -> &[u8] {
    while let (Some(id), Some(size)) = (number(extra, 0, 2), number(extra, 2, 2)) {
        let end = 4 + size as usize;
        if id == 1 {
            return extra.get(4..end).unwrap_or_default();
        }
        extra = extra.get(end..).unwrap_or_default();
    }
    &[]
}

/// The bytes of an entry, behind its local header.
fn within(bytes: &[u8], place: u64, size: u64) -> Option<Range<usize>> {
    let (place, size) = (usize::try_from(place).ok()?, usize::try_from(size).ok()?);
    bytes.get(place..)?.starts_with(LOCAL.0).then_some(())?;
    let names = number(bytes, place + 26, 2)? + number(bytes, place + 28, 2)?;
    let start = place.checked_add(LOCAL.1 + names as usize)?;
    let end = start.checked_add(size)?;
    (end <= bytes.len()).then_some(start..end)
}
