//! NumPy's `.npz` files (`numpy.savez`): only the directory and the arrays' headers are read, the arrays stay mapped.
//! Not here: compressed archives and element types that no weights have, which are refused by name.
//!
//! Layout: `numpy.lib.format`, versions 1 to 3; a header is a Python dictionary of `descr`, `fortran_order` and `shape`.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use safetensors::Dtype;

use super::{Entry, Error, TensorFile, TensorFiles, map, zip};
use crate::blob::Blob;

/// What every array begins with.
const MAGIC: &[u8] = b"\x93NUMPY";

impl TensorFiles {
    /// Opens an `.npz` file. An array in Fortran order is turned when it is asked for.
    ///
    /// # Errors
    /// [`Error::Open`]; [`Error::Npz`] for a file that is damaged or compressed, or holds anything but plain numbers.
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
        return Err("it is no zip file".to_owned());
    }
    let archive = zip::Archive::read(bytes)?;
    let mut index = HashMap::new();
    for (file, range) in archive.entries() {
        let name = file.strip_suffix(".npy").unwrap_or(file);
        let entry = entry(bytes, range).map_err(|why| format!("`{}` {why}", name.escape_debug()))?;
        if index.insert(name.to_owned(), entry).is_some() {
            return Err(format!("it holds `{}` twice", name.escape_debug()));
        }
    }
    Ok(index)
}

/// The array in some bytes of the archive.
fn entry(bytes: &[u8], range: Range<usize>) -> Result<Entry, String> {
    let cut = || "is cut off".to_owned();
    let array = bytes.get(range.clone()).ok_or_else(cut)?;
    if !array.starts_with(MAGIC) {
        return Err("is no array of NumPy's".to_owned());
    }
    // The length of the header has two bytes in version 1, four later.
    let (place, size) = match array.get(MAGIC.len()).ok_or_else(cut)? {
        1 => (8usize, 2usize),
        2 | 3 => (8, 4),
        other => return Err(format!("is in version {other} of NumPy's format; 1 to 3 can be read")),
    };
    let length = zip::number(array, place, size).and_then(|length| usize::try_from(length).ok()).ok_or_else(cut)?;
    let start = (place + size).checked_add(length).ok_or_else(cut)?;
    let header = array.get(place + size..start).ok_or_else(cut)?;
    let header = Header::parse(header).map_err(|why| format!("has a header that cannot be read: {why}"))?;
    let (dtype, size) = dtype(&header.descr)
        .ok_or_else(|| format!("has element type `{}`; <f4, <f2 and <f8 can be read", header.descr.escape_debug()))?;
    let count = header.shape.iter().try_fold(1usize, |count, size| count.checked_mul(*size));
    let needed = count.and_then(|count| count.checked_mul(size)).and_then(|needed| start.checked_add(needed));
    if needed != Some(array.len()) {
        let found = array.len() - start;
        return Err(format!("has shape {:?} of `{}`, but {found} bytes", header.shape, header.descr));
    }
    // In one dimension both orders are the same.
    let turned = header.fortran_order && header.shape.len() > 1;
    if turned && header.shape.len() > 2 {
        return Err(format!("is in Fortran order with {} dimensions; two can be read", header.shape.len()));
    }
    Ok(Entry { file: 0, range: range.start + start..range.end, shape: header.shape, dtype, turned, wrapped: None })
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
