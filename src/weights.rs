//! Tensor files in safetensors form, NumPy's (`npz`) and PyTorch's (`pickle`), memory-mapped, as f32.
//! Not here: which tensors a model or an SAE has.

mod archive;
mod array;
mod element;
mod header;
mod matrix;
mod names;
mod npz;
pub mod pickle;

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::ops::Range;
use std::sync::Arc;

use memmap2::Mmap;
use safetensors::{Dtype, SafeTensors};

use self::archive::Packed;
pub use self::array::Array;
use self::array::Storage;
use self::element::Element;
pub use self::element::{Narrow, READABLE};
pub use self::matrix::{Matrix, PackableMatrix, Transposed};
pub use self::names::unwrapped;
use crate::blob::{Blob, Instead, Location};

/// Why a tensor could not be had. Every message names file and tensor.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file cannot be opened or mapped.
    #[error("cannot open `{file}`")]
    Open {
        /// The file.
        file: String,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// The file is not a valid safetensors file.
    #[error("`{file}` is not a valid safetensors file: {why}")]
    Format {
        /// The file.
        file: String,
        /// What is wrong with it.
        why: String,
    },
    /// The file is not a PyTorch file that holds only data.
    #[error("`{file}` cannot be read as a PyTorch file: {why}")]
    Pickle {
        /// The file.
        file: String,
        /// What is wrong with it.
        why: String,
    },
    /// The file is no `.npz` file that can be used where it lies.
    #[error("`{file}` cannot be read as an .npz file: {why}")]
    Npz {
        /// The file.
        file: String,
        /// What is wrong with it.
        why: String,
    },
    /// The tensor is not there.
    #[error("`{file}` has no tensor `{tensor}`")]
    Missing {
        /// The file or files searched.
        file: String,
        /// The tensor.
        tensor: String,
        /// What is there that may be meant.
        #[source]
        seen: Seen,
    },
    /// The tensor has another shape than it must have.
    #[error("tensor `{tensor}` in `{file}` has shape {found:?}, expected {expected}{}", transposed(found, expected))]
    Shape {
        /// The file.
        file: String,
        /// The tensor.
        tensor: String,
        /// Its shape.
        found: Vec<usize>,
        /// The shape it must have, in words.
        expected: String,
    },
    /// The tensor's element type cannot be read.
    #[error("tensor `{tensor}` in `{file}` has element type {found}; {READABLE} can be read")]
    Type {
        /// The file.
        file: String,
        /// The tensor.
        tensor: String,
        /// Its type.
        found: String,
    },
    /// The tensor's elements stand for other values than their own.
    #[error("tensor `{tensor}` in `{file}` is {found} with factors of its own in `{scales}`, which are not applied")]
    Scaled {
        /// The file.
        file: String,
        /// The tensor.
        tensor: String,
        /// Its type.
        found: &'static str,
        /// The tensor of its factors.
        scales: Box<str>,
    },
    /// The tensor holds a value that is not finite.
    #[error("tensor `{tensor}` in `{file}` holds {value} at element {index}")]
    NotFinite {
        /// The file.
        file: String,
        /// The tensor.
        tensor: String,
        /// The value.
        value: f32,
        /// Its place, counted in elements.
        index: usize,
    },
}

/// What is there, in words, where a tensor is not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Seen(String);

/// One or more safetensors files that together hold a set of tensors.
#[derive(Clone)]
pub struct TensorFiles {
    files: Vec<Arc<TensorFile>>,
    index: HashMap<String, Entry>,
}

struct TensorFile {
    name: String,
    bytes: Bytes,
}

impl TensorFile {
    /// Lets the system have back the memory that some of the bytes take; they are read from the file again where they
    /// are used after all.
    #[expect(unsafe_code, reason = "what else this advice may do depends on the kind of map")]
    fn let_go(&self, range: &Range<usize>) {
        #[cfg(unix)]
        if let Bytes::Mapped(map) = &self.bytes {
            // SAFETY: the map is of a file, shared and never written through: its pages hold what the file holds, now
            // and when they are read again. Where it fails, memory stays taken.
            let _ = unsafe { map.unchecked_advise_range(memmap2::UncheckedAdvice::DontNeed, range.start, range.len()) };
        }
    }
}

enum Bytes {
    Static(&'static [u8]),
    Mapped(Mmap),
    /// Made from a file's, such as in another order.
    Owned(Vec<u8>),
}

impl std::ops::Deref for Bytes {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        match self {
            Self::Static(bytes) => bytes,
            Self::Mapped(map) => map,
            Self::Owned(bytes) => bytes,
        }
    }
}

#[derive(Clone)]
struct Entry {
    file: usize,
    range: Range<usize>,
    shape: Vec<usize>,
    dtype: Dtype,
    /// Whether it is a matrix whose columns lie side by side.
    transposed: bool,
    /// Its name in the file, where that says in what training had wrapped the module.
    wrapped: Option<String>,
    /// What the bytes are made into where they are compressed, and how many of it stand before the values.
    packed: Option<(Packed, usize)>,
}

impl Entry {
    /// The bytes of its values.
    fn bytes(&self) -> usize {
        self.packed.map_or(self.range.len(), |(packed, before)| packed.size.saturating_sub(before))
    }
}

impl TensorFiles {
    /// Opens the files and reads their headers; a tensor that two files hold is an error.
    ///
    /// # Errors
    /// [`Error::Open`], [`Error::Format`].
    pub fn open(blobs: &[Blob]) -> Result<Self, Error> {
        let mut this = Self { files: Vec::new(), index: HashMap::new() };
        for blob in blobs {
            this.add(blob)?;
        }
        Ok(this)
    }

    fn add(&mut self, blob: &Blob) -> Result<(), Error> {
        let name = blob.name().to_owned();
        let bytes = map(blob).map_err(|source| Error::Open { file: name.clone(), source })?;
        let bad = |why: String| Error::Format { file: name.clone(), why };
        let parsed = SafeTensors::deserialize(&bytes).map_err(|error| match header::blame(&bytes) {
            Some(blamed) => bad(format!("{blamed} ({error})")),
            None => bad(error.to_string()),
        })?;
        let start = bytes.as_ptr() as usize;
        let as_stored: HashSet<&str> = parsed.iter().map(|(tensor, _)| tensor).collect();
        for (tensor, view) in parsed.iter() {
            let plain = unwrapped(tensor);
            let wrapped = plain != tensor && !as_stored.contains(&*plain);
            let offset = view.data().as_ptr() as usize - start;
            let entry = Entry {
                file: self.files.len(),
                range: offset..offset + view.data().len(),
                shape: view.shape().to_vec(),
                dtype: view.dtype(),
                transposed: false,
                wrapped: wrapped.then(|| tensor.to_owned()),
                packed: None,
            };
            let name = if wrapped { plain.into_owned() } else { tensor.to_owned() };
            if self.index.insert(name, entry).is_some() {
                return Err(bad(format!("another file holds tensor `{tensor}` too")));
            }
        }
        self.files.push(Arc::new(TensorFile { name, bytes }));
        if blob.is_wider_than_memory() {
            self.read_columns_alone(self.files.len() - 1);
        }
        Ok(())
    }

    /// Tells the system not to read ahead in a file's wide matrices. A product goes through them some columns at a time:
    /// what lies ahead along the rows is needed late, and where memory is too small for the file it pushes out what is
    /// needed next, so that the same is read dozens of times.
    fn read_columns_alone(&self, file: usize) {
        #[cfg(unix)]
        if let Bytes::Mapped(map) = &self.files[file].bytes {
            for entry in self.index.values().filter(|entry| entry.file == file) {
                if matches!(entry.shape[..], [rows, cols] if cols > rows) && !entry.transposed && entry.packed.is_none()
                {
                    // Where the system does not take the advice all is read as before.
                    let _ = map.advise_range(memmap2::Advice::Random, entry.range.start, entry.range.len());
                }
            }
        }
    }

    /// Whether there is a tensor of this name.
    pub fn has(&self, tensor: &str) -> bool {
        self.index.contains_key(tensor)
    }

    /// The names of all tensors, sorted.
    pub fn names(&self) -> Vec<&str> {
        let mut names: Vec<_> = self.index.keys().map(String::as_str).collect();
        names.sort_unstable();
        names
    }

    /// The shape of a tensor.
    ///
    /// # Errors
    /// [`Error::Missing`].
    pub fn shape(&self, tensor: &str) -> Result<&[usize], Error> {
        self.entry(tensor).map(|entry| entry.shape.as_slice())
    }

    /// The bytes that a tensor takes, as its file has it or, where that is compressed, made plain.
    ///
    /// # Errors
    /// [`Error::Missing`].
    pub fn bytes(&self, tensor: &str) -> Result<u64, Error> {
        self.entry(tensor).map(|entry| entry.bytes() as u64)
    }

    /// Whether a tensor's values could be used where they lie, as far as their place goes.
    pub fn is_aligned(&self, tensor: &str) -> bool {
        self.entry(tensor).is_ok_and(|entry| {
            let bytes = &self.files[entry.file].bytes[entry.range.clone()];
            entry.packed.is_some() || (bytes.as_ptr() as usize).is_multiple_of(4)
        })
    }

    /// Whether a tensor is turned or made plain when it is asked for, into memory of its own.
    pub fn is_moved(&self, tensor: &str) -> bool {
        self.entry(tensor).is_ok_and(|entry| entry.transposed || entry.packed.is_some())
    }

    /// The bytes that all tensors take ([`TensorFiles::bytes`]).
    pub fn size(&self) -> u64 {
        self.index.values().map(|entry| entry.bytes() as u64).fold(0, u64::saturating_add)
    }

    /// The bytes that all tensors take as f32.
    pub fn size_as_f32(&self) -> u64 {
        let elements = |entry: &Entry| entry.shape.iter().fold(1u64, |n, size| n.saturating_mul(*size as u64));
        self.index.values().map(|entry| elements(entry).saturating_mul(4)).fold(0, u64::saturating_add)
    }

    /// The files' names, for messages.
    pub fn file_names(&self) -> String {
        self.files.iter().map(|file| file.name.as_str()).collect::<Vec<_>>().join(", ")
    }

    /// The file in which a tensor's values lie, and where: for what is compressed, memory of its own.
    fn values(&self, tensor: &str) -> Result<(Arc<TensorFile>, Range<usize>), Error> {
        let entry = self.entry(tensor)?;
        let file = &self.files[entry.file];
        let Some((packed, before)) = entry.packed else { return Ok((Arc::clone(file), entry.range.clone())) };
        let bytes = archive::inflate(&file.bytes[entry.range.clone()], packed, before).map_err(|why| {
            let why = format!("`{}` {why}", tensor.escape_debug());
            Error::Npz { file: file.name.clone(), why }
        })?;
        let range = 0..bytes.len();
        Ok((Arc::new(TensorFile { name: file.name.clone(), bytes: Bytes::Owned(bytes) }), range))
    }

    /// A tensor as f32, whatever its shape.
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::Type`]; [`Error::Npz`] for what cannot be decompressed.
    pub fn get(&self, tensor: &str) -> Result<Array, Error> {
        let entry = self.entry(tensor)?;
        self.check_unscaled(tensor, entry)?;
        if let (true, [rows, cols]) = (entry.transposed, &entry.shape[..]) {
            return self.matrix(tensor, *rows, *cols).map(|matrix| matrix.to_array());
        }
        let (file, range) = self.values(tensor)?;
        let bytes = &file.bytes[range.clone()];
        let in_place = entry.dtype == Dtype::F32 && bytemuck::try_cast_slice::<u8, f32>(bytes).is_ok();
        let storage = if in_place {
            Storage::Mapped { file: Arc::clone(&file), range }
        } else {
            let element = Element::of(entry.dtype).ok_or_else(|| self.wrong_type(tensor, entry))?;
            Storage::Owned(Arc::new(element.widened(bytes)))
        };
        Ok(Array { storage, shape: entry.shape.clone() })
    }

    /// A tensor as f32 that must have this shape.
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::Type`], [`Error::Shape`].
    pub fn get_shaped(&self, tensor: &str, shape: &[usize]) -> Result<Array, Error> {
        self.must_have(tensor, shape)?;
        self.get(tensor)
    }

    /// A matrix that must have this shape, kept in the element type of its file.
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::Type`], [`Error::Shape`]; [`Error::Npz`] for what cannot be decompressed.
    pub fn matrix(&self, tensor: &str, rows: usize, cols: usize) -> Result<Matrix, Error> {
        self.must_have(tensor, &[rows, cols])?;
        let entry = self.entry(tensor)?;
        self.check_unscaled(tensor, entry)?;
        let (file, range) = self.values(tensor)?;
        let lies = if entry.transposed { (cols, rows) } else { (rows, cols) };
        let matrix = Matrix::stored(&file, range, entry.dtype, lies);
        let matrix = matrix.ok_or_else(|| self.wrong_type(tensor, entry))?;
        Ok(if entry.transposed { matrix.transposed() } else { matrix })
    }

    fn wrong_type(&self, tensor: &str, entry: &Entry) -> Error {
        Error::Type { file: self.file_of(tensor), tensor: self.stored_name(tensor), found: entry.dtype.to_string() }
    }

    /// Fails where a tensor of eight bits has factors beside it: the values are theirs times its own, in blocks or as a
    /// whole, as whoever wrote them agreed.
    fn check_unscaled(&self, tensor: &str, entry: &Entry) -> Result<(), Error> {
        let is_eighth = matches!(entry.dtype, Dtype::F8_E4M3 | Dtype::F8_E5M2);
        let scales = is_eighth.then(|| names::scales(tensor).find(|name| self.has(name))).flatten();
        match scales {
            None => Ok(()),
            Some(scales) => Err(Error::Scaled {
                file: self.file_of(tensor),
                tensor: self.stored_name(tensor),
                found: if entry.dtype == Dtype::F8_E4M3 { "F8_E4M3" } else { "F8_E5M2" },
                scales: self.stored_name(&scales).into(),
            }),
        }
    }

    /// The name that a tensor has in its file.
    pub fn stored_name(&self, tensor: &str) -> String {
        let wrapped = self.index.get(tensor).and_then(|entry| entry.wrapped.as_deref());
        wrapped.unwrap_or(tensor).to_owned()
    }

    fn must_have(&self, tensor: &str, shape: &[usize]) -> Result<(), Error> {
        let found = self.shape(tensor)?;
        if found != shape {
            return Err(Error::Shape {
                file: self.file_of(tensor),
                tensor: self.stored_name(tensor),
                found: found.to_vec(),
                expected: format!("{shape:?}"),
            });
        }
        Ok(())
    }

    /// The file that holds a tensor, or all files when none does.
    pub fn file_of(&self, tensor: &str) -> String {
        self.index.get(tensor).map_or_else(|| self.file_names(), |entry| self.files[entry.file].name.clone())
    }

    /// Fails when an array holds a value that is not finite.
    ///
    /// # Errors
    /// [`Error::NotFinite`], naming the first such element.
    pub fn check_finite(&self, tensor: &str, array: &Array) -> Result<(), Error> {
        match array.first_not_finite() {
            None => Ok(()),
            Some(index) => Err(Error::NotFinite {
                file: self.file_of(tensor),
                tensor: self.stored_name(tensor),
                value: array[index],
                index,
            }),
        }
    }

    /// What of this may be meant by a tensor that is not there, in words: the same under a prefix, else what names begin
    /// with.
    pub fn seen(&self, tensor: &str) -> String {
        seen(tensor, &self.names())
    }

    fn entry(&self, tensor: &str) -> Result<&Entry, Error> {
        self.index.get(tensor).ok_or_else(|| Error::missing(self.file_names(), tensor, &self.names()))
    }
}

impl Error {
    /// That a tensor is not among those that are there.
    fn missing(file: String, tensor: &str, names: &[&str]) -> Self {
        Self::Missing { file, tensor: tensor.to_owned(), seen: Seen(seen(tensor, names)) }
    }

    /// The file, or files, that it is about.
    #[must_use]
    pub fn file(&self) -> &str {
        match self {
            Self::Open { file, .. }
            | Self::Format { file, .. }
            | Self::Pickle { file, .. }
            | Self::Npz { file, .. }
            | Self::Missing { file, .. }
            | Self::Shape { file, .. }
            | Self::Type { file, .. }
            | Self::Scaled { file, .. }
            | Self::NotFinite { file, .. } => file,
        }
    }
}

/// Most names that are listed where none is like the one that is missing.
const LISTED: usize = 4;

/// What of these names, sorted, may be meant by one that is not among them: the same under a prefix, else what they
/// begin with.
fn seen(tensor: &str, names: &[&str]) -> String {
    let under = |name: &&&str| name.strip_suffix(tensor).is_some_and(|prefix| prefix.ends_with('.'));
    if let Some(name) = names.iter().find(under) {
        return format!("it has `{name}`");
    }
    let first = |name: &&str| name.split_once('.').map_or_else(|| (*name).to_owned(), |(first, _)| format!("{first}."));
    let mut begin: Vec<String> = names.iter().map(first).collect();
    begin.dedup();
    match begin.len() {
        0 => "it has none".to_owned(),
        1..=LISTED => format!("its names begin with `{}`", begin.join("`, `")),
        more => format!("its names begin with `{}` and {} others", begin[..LISTED].join("`, `"), more - LISTED),
    }
}

/// That a matrix has the sides which are expected, in the other order.
fn transposed(found: &[usize], expected: &str) -> &'static str {
    match found {
        [rows, cols] if rows != cols && expected == format!("[{cols}, {rows}]") => ": it is transposed",
        _ => "",
    }
}

#[expect(unsafe_code, reason = "a memory map is only as constant as its file")]
fn map(blob: &Blob) -> std::io::Result<Bytes> {
    match blob.place() {
        Location::Embedded(bytes) => Ok(Bytes::Static(bytes)),
        Location::Path(path) => {
            let file = File::open(path)?;
            if file.metadata()?.len() == 0 {
                return Err(Instead::Empty.into());
            }
            // SAFETY: the cache's files are never written in place (downloads are renamed into it), which is the
            // assumption every reader of the shared cache makes; a truncation by somebody else would end the process
            // with SIGBUS, it cannot corrupt memory.
            let map = unsafe { Mmap::map(&file) }?;
            match Instead::of(&map) {
                Some(instead) => Err(instead.into()),
                None => Ok(Bytes::Mapped(map)),
            }
        }
    }
}

#[cfg(test)]
mod tests;
