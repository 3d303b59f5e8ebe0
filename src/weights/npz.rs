//! NumPy's `.npz` files: only the directory and the arrays' headers are read. Arrays of `numpy.savez` stay mapped, those of
//! `numpy.savez_compressed` are made plain when they are asked for. Not here: element types that no weights have.
//!
//! Layout: `numpy.lib.format`, versions 1 to 3; a header is a Python dictionary of `descr`, `fortran_order` and `shape`.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use safetensors::Dtype;

use super::archive::{self, Archive};
use super::{Entry, Error, TensorFile, TensorFiles, map};
use crate::blob::Blob;

/// What every array begins with.
const MAGIC: &[u8] = b"\x93NUMPY";
/// Bytes up to an array's header: what it begins with, its version, and the header's length.
const PREFIX: usize = 12;
/// Most bytes of a header: NumPy reads no more than 10,000 of a file that it does not trust.
const LONGEST: usize = 1 << 16;

impl TensorFiles {
    /// Opens an `.npz` file. An array in Fortran order is turned when it is asked for, a compressed one made plain.
    ///
    /// # Errors
    /// [`Error::Open`]; [`Error::Npz`] for a file that is damaged, or holds anything but plain numbers.
    pub fn open_npz(blob: &Blob) -> Result<Self, Error> {
        let name = blob.name().to_owned();
        let bytes = map(blob).map_err(|source| Error::Open { file: name.clone(), source })?;
        let index = index(&bytes).map_err(|why| Error::Npz { file: name.clone(), why })?;
        let this = Self { files: vec![Arc::new(TensorFile { name, bytes })], index };
        if blob.is_wider_than_memory() {
            this.read_columns_alone(0);
        }
        Ok(this)
    }
}

fn index(bytes: &[u8]) -> Result<HashMap<String, Entry>, String> {
    if !bytes.starts_with(b"PK") {
        return Err("it is not a zip file".to_owned());
    }
    let archive = Archive::read(bytes)?;
    let mut index = HashMap::new();
    for (file, stored) in archive.entries() {
        let name = file.strip_suffix(".npy").unwrap_or(file);
        let entry = entry(bytes, stored).map_err(|why| format!("`{}` {why}", name.escape_debug()))?;
        if index.insert(name.to_owned(), entry).is_some() {
            return Err(format!("it holds `{}` twice", name.escape_debug()));
        }
    }
    Ok(index)
}

/// The array in an entry of the archive.
fn entry(bytes: &[u8], stored: &archive::Entry) -> Result<Entry, String> {
    let cut = || "is cut off".to_owned();
    let whole = bytes.get(stored.range.clone()).ok_or_else(cut)?;
    let first = |count: usize| match stored.packed {
        None => Ok(Cow::Borrowed(whole.get(..count).unwrap_or(whole))),
        Some(_) => archive::beginning(whole, count).map(Cow::Owned),
    };
    let size = stored.packed.map_or(whole.len(), |packed| packed.size);
    let (place, length) = header_place(&first(PREFIX)?)?;
    let start = place.checked_add(length).filter(|start| *start <= size).ok_or_else(cut)?;
    let beginning = first(start)?;
    let header = beginning.get(place..start).ok_or_else(cut)?;
    let header = Header::parse(header).map_err(|why| format!("has a header that cannot be read: {why}"))?;
    let (dtype, element) = dtype(&header.descr)
        .ok_or_else(|| format!("has element type `{}`; <f4, <f2 and <f8 can be read", header.descr.escape_debug()))?;
    let count = header.shape.iter().try_fold(1usize, |count, size| count.checked_mul(*size));
    let needed = count.and_then(|count| count.checked_mul(element)).and_then(|needed| start.checked_add(needed));
    if needed != Some(size) {
        let found = size - start;
        return Err(format!("has shape {:?} of `{}`, but {found} bytes", header.shape, header.descr));
    }
    // In one dimension both orders are the same.
    let transposed = header.fortran_order && header.shape.len() > 1;
    if transposed && header.shape.len() > 2 {
        return Err(format!("is in Fortran order with {} dimensions; two can be read", header.shape.len()));
    }
    let (range, packed) = match stored.packed {
        None => (stored.range.start + start..stored.range.end, None),
        Some(packed) => (stored.range.clone(), Some((packed, start))),
    };
    Ok(Entry { file: 0, range, shape: header.shape, dtype, transposed, wrapped: None, packed })
}

/// Where an array's header begins and how long it is, from the first bytes of the array.
fn header_place(first: &[u8]) -> Result<(usize, usize), String> {
    let cut = || "is cut off".to_owned();
    if !first.starts_with(MAGIC) {
        return Err("is not a NumPy array".to_owned());
    }
    // The length of the header has two bytes in version 1, four later.
    let (place, size) = match first.get(MAGIC.len()).ok_or_else(cut)? {
        1 => (8, 2),
        2 | 3 => (8, 4),
        other => return Err(format!("is in version {other} of NumPy's format; 1 to 3 can be read")),
    };
    let length = first.get(place..place + size).ok_or_else(cut)?;
    let length = length.iter().rev().fold(0, |length, byte| length << 8 | usize::from(*byte));
    if length > LONGEST {
        return Err(format!("has a header of {length} bytes; {LONGEST} at most are read"));
    }
    Ok((place + size, length))
}

/// Types that weights and counts have, with their bytes. What no number can be made of is refused when it is asked for.
fn dtype(descr: &str) -> Option<(Dtype, usize)> {
    Some(match descr {
        "<f4" => (Dtype::F32, 4),
        "<f2" => (Dtype::F16, 2),
        "<f8" => (Dtype::F64, 8),
        "<i8" => (Dtype::I64, 8),
        "<i4" => (Dtype::I32, 4),
        "<u8" => (Dtype::U64, 8),
        "|b1" => (Dtype::BOOL, 1),
        "|u1" => (Dtype::U8, 1),
        "|i1" => (Dtype::I8, 1),
        _ => return None,
    })
}

struct Header {
    descr: String,
    fortran_order: bool,
    shape: Vec<usize>,
}

impl Header {
    /// `{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }`, in any order of keys.
    fn parse(bytes: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())?;
        let mut rest = Rest(text.trim_matches([' ', '\n', '\0']));
        let (mut descr, mut fortran_order, mut shape) = (None, None, None);
        rest.expect('{')?;
        while !rest.take('}') {
            let key = rest.string()?;
            rest.expect(':')?;
            match key {
                "descr" => descr = Some(rest.string()?.to_owned()),
                "fortran_order" => fortran_order = Some(rest.truth()?),
                "shape" => shape = Some(rest.tuple()?),
                other => return Err(format!("key `{}` is unknown", other.escape_debug())),
            }
            if !rest.take(',') {
                rest.expect('}')?;
                break;
            }
        }
        if !rest.0.trim().is_empty() {
            return Err("something follows its end".to_owned());
        }
        let missing = |key: &str| format!("it has no `{key}`");
        Ok(Self {
            descr: descr.ok_or_else(|| missing("descr"))?,
            fortran_order: fortran_order.ok_or_else(|| missing("fortran_order"))?,
            shape: shape.ok_or_else(|| missing("shape"))?,
        })
    }
}

/// What of a header is not read yet.
struct Rest<'a>(&'a str);

impl<'a> Rest<'a> {
    fn take(&mut self, wanted: char) -> bool {
        let text = self.0.trim_start();
        let rest = text.strip_prefix(wanted);
        self.0 = rest.unwrap_or(text);
        rest.is_some()
    }

    fn expect(&mut self, wanted: char) -> Result<(), String> {
        if self.take(wanted) { Ok(()) } else { Err(format!("`{wanted}` is missing")) }
    }

    fn string(&mut self) -> Result<&'a str, String> {
        let quote = if self.take('\'') { '\'' } else { self.expect('"').map(|()| '"')? };
        let (string, rest) = self.0.split_once(quote).ok_or("a string does not end")?;
        self.0 = rest;
        Ok(string)
    }

    fn truth(&mut self) -> Result<bool, String> {
        let text = self.0.trim_start();
        for (word, value) in [("False", false), ("True", true)] {
            if let Some(rest) = text.strip_prefix(word) {
                self.0 = rest;
                return Ok(value);
            }
        }
        Err("`fortran_order` is neither True nor False".to_owned())
    }

    fn tuple(&mut self) -> Result<Vec<usize>, String> {
        self.expect('(')?;
        let mut sizes = Vec::new();
        while !self.take(')') {
            let text = self.0.trim_start();
            let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            let (size, rest) = text.split_at(digits);
            sizes.push(size.parse().map_err(|_| "`shape` holds no sizes".to_owned())?);
            self.0 = rest;
            if !self.take(',') {
                self.expect(')')?;
                break;
            }
        }
        Ok(sizes)
    }
}

#[cfg(test)]
mod tests;
