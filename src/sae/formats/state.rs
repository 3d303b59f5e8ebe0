//! A PyTorch state dictionary of an SAE: tensors by name, in the orientation that the one form wants.
//! Not here: PyTorch's file format (`weights::pickle`).

use crate::blob::Blob;
use crate::weights::pickle::{self, Tensor, Value};

use super::{Array, Encoder, Error, Matrix, Memory, no_matrix, other, weights};

/// A state dictionary and the file it stands in.
pub struct State {
    pub file: String,
    value: Value,
}

impl State {
    pub fn open(blob: &Blob) -> Result<Self, Error> {
        let file = blob.name().to_owned();
        let value = pickle::open(blob)?;
        match value {
            Value::Dict(_) => Ok(Self { file, value: value.unwrapped() }),
            other => {
                let why = format!("it holds {}, not a dictionary of tensors", other.kind());
                Err(weights::Error::Pickle { file, why }.into())
            }
        }
    }

    fn pairs(&self) -> &[(String, Value)] {
        match &self.value {
            Value::Dict(pairs) => pairs,
            _ => &[],
        }
    }

    /// Fails when there is anything but what an SAE of this kind has.
    pub fn only(&self, kind: &str, known: &[&str]) -> Result<(), Error> {
        match self.pairs().iter().find(|(name, _)| !known.contains(&name.as_str())) {
            None => Ok(()),
            Some((name, _)) => {
                let why = format!("it holds `{}`, which {kind} does not have", name.escape_debug());
                Err(Error::Config { file: self.file.clone(), why })
            }
        }
    }

    pub fn get(&self, name: &str) -> Option<&Value> {
        self.value.get(name)
    }

    pub fn tensor(&self, name: &str) -> Result<&Tensor, Error> {
        Ok(self.value.tensor_of(&self.file, name)?)
    }

    /// The two sizes of a matrix, both at least 1.
    pub fn sizes(&self, name: &str, expected: &str) -> Result<(usize, usize), Error> {
        match *self.tensor(name)?.shape() {
            [rows, cols] if rows > 0 && cols > 0 => Ok((rows, cols)),
            ref found => Err(no_matrix(&self.file, name, found, &format!("{expected}, both at least 1"))),
        }
    }

    pub fn vector(&self, name: &str, size: usize) -> Result<Array, Error> {
        Ok(self.value.tensor(&self.file, name, &[size])?)
    }

    /// One number: a tensor without dimensions or with one element, or a plain number.
    pub fn number(&self, name: &str) -> Result<f32, Error> {
        match self.value.get(name) {
            Some(Value::Float(number)) => Ok(*number as f32),
            Some(Value::Int(number)) => Ok(*number as f32),
            _ => {
                let tensor = self.tensor(name)?;
                // An expanded tensor holds as many values as its shape says, however small its file is.
                if tensor.shape().iter().any(|size| *size != 1) {
                    return Err(no_matrix(&self.file, name, tensor.shape(), "one value"));
                }
                Ok(tensor.array(name)?[0])
            }
        }
    }

    /// k, where the file has it.
    pub fn k(&self) -> Option<i64> {
        match self.value.get("k") {
            Some(Value::Int(k)) => Some(*k),
            Some(Value::Tensor(tensor)) => tensor.integer(),
            _ => None,
        }
    }

    /// \[d_in, width\] as SAELens has it.
    pub fn encoder(&self, name: &str, d_in: usize, width: usize) -> Result<Encoder, Error> {
        self.must_be(name, &[d_in, width])?;
        let tensor = self.tensor(name)?;
        Ok(if tensor.is_transposed() {
            Encoder::Rows(tensor.transposed(name)?)
        } else {
            Encoder::Columns(tensor.matrix(name)?)
        })
    }

    /// \[width, d_in\] as a linear layer has it.
    pub fn linear_encoder(&self, name: &str, d_in: usize, width: usize) -> Result<Encoder, Error> {
        self.must_be(name, &[width, d_in])?;
        let tensor = self.tensor(name)?;
        Ok(if tensor.is_transposed() {
            Encoder::Columns(tensor.transposed(name)?)
        } else {
            Encoder::Rows(tensor.matrix(name)?)
        })
    }

    /// \[width, d_in\], a latent in each row.
    pub fn decoder(&self, name: &str, d_in: usize, width: usize) -> Result<Matrix, Error> {
        if let [latents, d_out] = *self.tensor(name)?.shape()
            && latents == width
        {
            other::check_sizes(&self.file, d_in, d_out)?;
        }
        self.must_be(name, &[width, d_in])?;
        Ok(self.tensor(name)?.matrix(name)?)
    }

    /// \[d_in, width\] as a linear layer has it, turned.
    pub fn linear_decoder(&self, name: &str, d_in: usize, width: usize) -> Result<Matrix, Error> {
        if let [d_out, latents] = *self.tensor(name)?.shape()
            && latents == width
        {
            other::check_sizes(&self.file, d_in, d_out)?;
        }
        self.must_be(name, &[d_in, width])?;
        Ok(self.tensor(name)?.transposed(name)?)
    }

    fn must_be(&self, name: &str, expected: &[usize]) -> Result<(), Error> {
        let found = self.tensor(name)?.shape();
        if found == expected {
            return Ok(());
        }
        Err(no_matrix(&self.file, name, found, &format!("{expected:?}")))
    }

    /// What is turned, converted or written out is held; the decoder of a linear layer is, unless it was saved turned.
    pub fn memory(&self) -> Memory {
        let mut memory = Memory::default();
        for (name, value) in self.pairs() {
            let Value::Tensor(tensor) = value else { continue };
            let linear = ["decoder.weight", "decoder_linear.weight"].contains(&name.as_str());
            let turns = linear && !tensor.is_transposed() || name == "W_dec" && tensor.is_transposed();
            if turns || tensor.is_expanded() {
                memory.held = memory.held.saturating_add(tensor.bytes());
            } else {
                memory.mapped = memory.mapped.saturating_add(tensor.bytes());
            }
        }
        memory
    }
}
