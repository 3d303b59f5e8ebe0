//! PyTorch's zip files (`torch.save` since 1.6): tensors in nested dictionaries, read without executing anything.
//! Not here: which tensors an SAE has, and anything that a pickle could ask Python to do, which is refused by name.

mod machine;

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use safetensors::Dtype;

use super::archive::Archive;
use super::{Array, Error, Matrix, Storage, TensorFile, element, map, unwrapped};
use crate::blob::Blob;

/// What a file holds.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Value {
    /// `None`.
    None,
    /// `True` or `False`.
    Bool(bool),
    /// An integer of at most 64 bits.
    Int(i64),
    /// A float.
    Float(f64),
    /// A string.
    Text(String),
    /// A list or a tuple.
    List(Vec<Value>),
    /// A dictionary, ordered or not, with strings as keys, in the file's order.
    Dict(Vec<(String, Value)>),
    /// A tensor.
    Tensor(Tensor),
}

/// A tensor of a file: its place; values are read when asked for.
#[derive(Clone)]
pub struct Tensor {
    file: Arc<TensorFile>,
    range: Range<usize>,
    shape: Vec<usize>,
    /// In elements, one for each dimension; none where the elements lie in the order of the shape.
    strides: Option<Vec<usize>>,
    element: Element,
}

/// The type of a tensor's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Element {
    F32,
    F16,
    BF16,
    F64,
    /// A type that this program has no use for, with its name and size in bytes.
    Other(&'static str, usize),
}

impl Element {
    /// By the name of torch's storage class.
    fn of_storage(class: &str) -> Option<Self> {
        Some(match class {
            "FloatStorage" => Self::F32,
            "HalfStorage" => Self::F16,
            "BFloat16Storage" => Self::BF16,
            "DoubleStorage" => Self::F64,
            "LongStorage" => Self::Other("I64", 8),
            "IntStorage" => Self::Other("I32", 4),
            "ShortStorage" => Self::Other("I16", 2),
            "CharStorage" => Self::Other("I8", 1),
            "ByteStorage" => Self::Other("U8", 1),
            "BoolStorage" => Self::Other("BOOL", 1),
            _ => return None,
        })
    }

    const fn size(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::BF16 => 2,
            Self::F64 => 8,
            Self::Other(_, size) => size,
        }
    }
}

/// Opens a file and reads everything but the tensors' values.
///
/// # Errors
/// [`Error::Open`]; [`Error::Pickle`] for a file that is damaged, compressed, of an older PyTorch, or that holds
/// anything but tensors, numbers, strings, lists and dictionaries.
pub fn open(blob: &Blob) -> Result<Value, Error> {
    let name = blob.name().to_owned();
    let bytes = map(blob).map_err(|source| Error::Open { file: name.clone(), source })?;
    let file = Arc::new(TensorFile { name: name.clone(), bytes });
    read(&file).map_err(|why| Error::Pickle { file: name, why })
}

fn read(file: &Arc<TensorFile>) -> Result<Value, String> {
    let archive = Archive::read(&file.bytes)?.stored()?;
    let (folder, pickle) = archive.ending("data.pkl")?;
    if let Some(order) = archive.get(&format!("{folder}byteorder"))
        && file.bytes.get(order.clone()) != Some(b"little")
    {
        return Err("its numbers are not in little-endian order".to_owned());
    }
    let storage = |key: &str| archive.get(&format!("{folder}data/{key}"));
    machine::run(file, pickle, &storage)
}

impl Value {
    /// A dictionary with its names as they are without what training wrapped modules in ([`unwrapped`]), where that is
    /// not the name of another; anything else as it is.
    #[must_use]
    pub fn unwrapped(self) -> Self {
        let Self::Dict(mut pairs) = self else { return self };
        let mut taken: HashSet<String> = pairs.iter().map(|(name, _)| name.clone()).collect();
        for (name, _) in &mut pairs {
            let plain = unwrapped(name).into_owned();
            if taken.insert(plain.clone()) {
                *name = plain;
            }
        }
        Self::Dict(pairs)
    }

    /// The value of a key of a dictionary.
    pub fn get(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Dict(pairs) => pairs.iter().find(|(known, _)| known == key).map(|(_, value)| value),
            _ => None,
        }
    }

    /// The keys of a dictionary, sorted.
    fn keys(&self) -> Vec<&str> {
        let Self::Dict(pairs) = self else { return Vec::new() };
        let mut keys: Vec<&str> = pairs.iter().map(|(key, _)| key.as_str()).collect();
        keys.sort_unstable();
        keys
    }

    /// What it is, for messages.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::None => "nothing",
            Self::Bool(_) => "a truth value",
            Self::Int(_) | Self::Float(_) => "a number",
            Self::Text(_) => "a string",
            Self::List(_) => "a list",
            Self::Dict(_) => "a dictionary",
            Self::Tensor(_) => "a tensor",
        }
    }

    /// The tensor of a key, as f32 that must have this shape. `file` names the file in messages.
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::Pickle`] where something else stands there, [`Error::Shape`], [`Error::Type`].
    pub fn tensor(&self, file: &str, key: &str, shape: &[usize]) -> Result<Array, Error> {
        let found = self.tensor_of(file, key)?;
        if found.shape() != shape {
            return Err(Error::Shape {
                file: file.to_owned(),
                tensor: key.to_owned(),
                found: found.shape().to_vec(),
                expected: format!("{shape:?}"),
            });
        }
        found.array(key)
    }

    /// The tensor of a key, unread.
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::Pickle`] where something else stands there.
    pub fn tensor_of(&self, file: &str, key: &str) -> Result<&Tensor, Error> {
        match self.get(key) {
            Some(Self::Tensor(tensor)) => Ok(tensor),
            Some(other) => {
                Err(Error::Pickle { file: file.to_owned(), why: format!("`{key}` is {}, not a tensor", other.kind()) })
            }
            None => Err(Error::missing(file.to_owned(), key, &self.keys())),
        }
    }
}

impl Tensor {
    /// Its shape.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Its values as f32, mapped where the file holds f32 in order. `name` names the tensor in messages.
    ///
    /// # Errors
    /// [`Error::Type`].
    pub fn array(&self, name: &str) -> Result<Array, Error> {
        // The range was seen to lie within the file when the tensor was read.
        let bytes = &self.file.bytes[self.range.clone()];
        let dtype = self.dtype(name)?;
        let in_place = dtype == Dtype::F32 && self.strides.is_none();
        if in_place && bytemuck::try_cast_slice::<u8, f32>(bytes).is_ok() {
            return Ok(Array {
                storage: Storage::Mapped { file: Arc::clone(&self.file), range: self.range.clone() },
                shape: self.shape.clone(),
            });
        }
        let element = element::Element::of(dtype).ok_or_else(|| self.wrong_type(name, &dtype.to_string()))?;
        let storage = element.widened(bytes);
        let storage = match &self.strides {
            None => storage,
            Some(strides) => arranged(&storage, &self.shape, strides),
        };
        Ok(Array { storage: Storage::Owned(Arc::new(storage)), shape: self.shape.clone() })
    }
}

/// Matrices, for which a transposed view in the file costs nothing where its columns are wanted as rows.
impl Tensor {
    /// Whether it is a matrix whose columns lie side by side in the file: `tensor.T` of what was saved.
    pub fn is_transposed(&self) -> bool {
        matches!((&self.shape[..], self.strides.as_deref()), (&[rows, _], Some(&[1, stride])) if stride == rows)
    }

    /// The matrix in the element type of its file. `name` names the tensor in messages.
    ///
    /// # Errors
    /// [`Error::Shape`] for another number of dimensions, [`Error::Type`].
    pub fn matrix(&self, name: &str) -> Result<Matrix, Error> {
        let [rows, cols] = self.two_dimensions(name)?;
        if self.is_transposed() {
            return Ok(self.as_it_lies(name, cols, rows)?.transposed());
        }
        if self.strides.is_none() { self.as_it_lies(name, rows, cols) } else { self.array(name).map(Matrix::from) }
    }

    /// The matrix with rows and columns exchanged, in the element type of its file.
    ///
    /// # Errors
    /// [`Error::Shape`] for another number of dimensions, [`Error::Type`].
    pub fn transposed(&self, name: &str) -> Result<Matrix, Error> {
        let [rows, cols] = self.two_dimensions(name)?;
        if self.is_transposed() { self.as_it_lies(name, cols, rows) } else { self.matrix(name).map(|m| m.transposed()) }
    }

    /// Whether values stand for more than one element each (`tensor.expand`): they are written out when asked for.
    pub fn is_expanded(&self) -> bool {
        self.elements() > self.range.len() / self.element.size()
    }

    /// The bytes that its values take: in the file, or written out.
    pub fn bytes(&self) -> u64 {
        self.range.len().max(self.elements().saturating_mul(self.element.size())) as u64
    }

    fn elements(&self) -> usize {
        self.shape.iter().product()
    }

    /// The one whole number of a tensor without dimensions, such as k.
    pub fn integer(&self) -> Option<i64> {
        let bytes = self.file.bytes.get(self.range.clone())?;
        match self.element {
            Element::Other("I64", _) => Some(i64::from_le_bytes(bytes.try_into().ok()?)),
            Element::Other("I32", _) => Some(i32::from_le_bytes(bytes.try_into().ok()?).into()),
            _ => None,
        }
    }

    fn two_dimensions(&self, name: &str) -> Result<[usize; 2], Error> {
        <[usize; 2]>::try_from(&self.shape[..]).map_err(|_| Error::Shape {
            file: self.file.name.clone(),
            tensor: name.to_owned(),
            found: self.shape.clone(),
            expected: "a matrix".to_owned(),
        })
    }

    fn as_it_lies(&self, name: &str, rows: usize, cols: usize) -> Result<Matrix, Error> {
        let dtype = self.dtype(name)?;
        Matrix::stored(&self.file, self.range.clone(), dtype, (rows, cols))
            .ok_or_else(|| self.wrong_type(name, &dtype.to_string()))
    }

    fn dtype(&self, name: &str) -> Result<Dtype, Error> {
        match self.element {
            Element::F32 => Ok(Dtype::F32),
            Element::F16 => Ok(Dtype::F16),
            Element::BF16 => Ok(Dtype::BF16),
            Element::F64 => Ok(Dtype::F64),
            Element::Other(found, _) => Err(self.wrong_type(name, found)),
        }
    }

    fn wrong_type(&self, name: &str, found: &str) -> Error {
        Error::Type { file: self.file.name.clone(), tensor: name.to_owned(), found: found.to_owned() }
    }
}

impl std::fmt::Debug for Tensor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tensor").field("shape", &self.shape).field("element", &self.element).finish_non_exhaustive()
    }
}

/// The elements in the order of the shape.
fn arranged(elements: &[f32], shape: &[usize], strides: &[usize]) -> Vec<f32> {
    let count = shape.iter().product();
    let mut out = Vec::with_capacity(count);
    let mut at = vec![0usize; shape.len()];
    for _ in 0..count {
        out.push(elements[at.iter().zip(strides).map(|(place, stride)| place * stride).sum::<usize>()]);
        for dim in (0..shape.len()).rev() {
            at[dim] += 1;
            if at[dim] < shape[dim] {
                break;
            }
            at[dim] = 0;
        }
    }
    out
}

#[cfg(test)]
mod tests;
