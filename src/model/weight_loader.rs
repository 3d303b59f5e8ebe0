//! The tensors of a model's files, as its layers ask for them: under whatever prefix, checked, and where the model runs.
//! Not here: which tensors a family has.

use std::sync::{Arc, Mutex, PoisonError};

use candle_core::Device;

use super::Error;
use super::activation::Activation;
use super::layers::{Layout, Linear, Vector, Weight};
use crate::weights::{self, Array, Matrix, PackableMatrix, TensorFiles};

/// Matrices of this many elements are kept in the element type of their file; smaller ones are made f32 when they are
/// read. Making them anew for every pass costs a small model half its speed, and its memory is small either way.
pub(super) const KEPT_FROM: usize = 1 << 22;

/// The tensors of a model. Clones share the files.
#[derive(Clone)]
pub(super) struct WeightLoader {
    tensors: TensorFiles,
    device: Option<Device>,
    prefixes: &'static [&'static str],
    /// Whether values are looked at, or headers only.
    checked: bool,
    kept_from: usize,
    /// The matrices of the linear layers that were read to be used on the CPU.
    packable: Arc<Mutex<Vec<PackableMatrix>>>,
}

impl WeightLoader {
    /// Tensors that may or may not carry one of `prefixes`; without a device they stay mapped.
    pub(super) fn new(tensors: TensorFiles, device: Option<&Device>, prefixes: &'static [&'static str]) -> Self {
        Self {
            tensors,
            device: device.cloned(),
            prefixes,
            checked: true,
            kept_from: KEPT_FROM,
            packable: Arc::default(),
        }
    }

    /// The same tensors, where matrices of this many elements are kept as they are stored.
    pub(super) fn keeping(self, kept_from: usize) -> Self {
        Self { kept_from, ..self }
    }

    /// The same tensors for asking whether all are there with the right shape and type: nothing of them is read.
    pub(super) fn headers(&self) -> Self {
        Self { device: None, checked: false, ..self.clone() }
    }

    /// Where the model runs; `None` is the CPU with this program's own kernels.
    pub(super) const fn device(&self) -> Option<&Device> {
        self.device.as_ref()
    }

    /// The files' names, for messages.
    pub(super) fn file_names(&self) -> String {
        self.tensors.file_names()
    }

    /// Whether there is such a tensor.
    pub(super) fn has(&self, name: &str) -> bool {
        self.tensors.has(&self.name(name))
    }

    /// Whether a tensor is large enough to stay in its file.
    pub(super) fn is_kept(&self, name: &str) -> bool {
        self.elements(&self.name(name)).is_ok_and(|elements| elements >= self.kept_from as u64)
    }

    fn elements(&self, name: &str) -> Result<u64, weights::Error> {
        Ok(self.tensors.shape(name)?.iter().fold(1u64, |n, size| n.saturating_mul(*size as u64)))
    }

    /// The bytes of memory that the tensors for which `belongs` holds take; it gets names without the prefix. With
    /// those that are kept as they are stored at two bytes an element at most, where they are to be `halved`.
    pub(super) fn bytes(&self, belongs: impl Fn(&str) -> bool, halved: bool) -> u64 {
        let taken = |name: &str| -> Result<u64, weights::Error> {
            let elements = self.elements(name)?;
            let kept = elements >= self.kept_from as u64;
            Ok(match (kept, halved) {
                (false, _) => elements.saturating_mul(size_of::<f32>() as u64),
                (true, false) => self.tensors.bytes(name)?,
                (true, true) => self.tensors.bytes(name)?.min(elements.saturating_mul(2)),
            })
        };
        let names = self.tensors.names().into_iter().filter(|name| belongs(name));
        names.map(|name| taken(name).unwrap_or(0)).fold(0, u64::saturating_add)
    }

    /// What the tensors are called, in words, where those of this name are not there.
    pub(super) fn seen(&self, name: &str) -> String {
        self.tensors.seen(name)
    }

    /// The tensor as f32 of this shape.
    pub(super) fn array(&self, name: &str, shape: &[usize]) -> Result<Array, Error> {
        let name = self.name(name);
        let array = self.tensors.get_shaped(&name, shape)?;
        if self.checked {
            self.tensors.check_finite(&name, &array)?;
        }
        Ok(array)
    }

    /// The matrix of this shape; a large one stays in the element type of its file.
    pub(super) fn matrix(&self, name: &str, rows: usize, cols: usize) -> Result<Matrix, Error> {
        let name = self.name(name);
        let matrix = self.tensors.matrix(&name, rows, cols)?;
        let wrong = if self.checked { matrix.first_not_finite() } else { None };
        let Some((index, value)) = wrong else {
            let kept = !self.checked || rows * cols >= self.kept_from;
            return Ok(if kept { matrix } else { matrix.to_array().into() });
        };
        let file = self.tensors.file_of(&name);
        Err(weights::Error::NotFinite { file, tensor: name, value, index }.into())
    }

    /// A vector, where the model runs.
    pub(super) fn vector(&self, name: &str, size: usize) -> Result<Vector, Error> {
        Ok(self.place(self.array(name, &[size])?)?)
    }

    /// The vector, where the model runs.
    pub(super) fn place(&self, array: Array) -> candle_core::Result<Vector> {
        Vector::new(array, self.device.as_ref())
    }

    /// The matrix, where the model runs.
    pub(super) fn place_matrix(&self, matrix: Matrix) -> candle_core::Result<Weight> {
        Weight::new(matrix, self.device.as_ref())
    }

    /// The linear layer of this name, from `.weight` and, where it is `biased`, `.bias`.
    pub(super) fn linear(&self, name: &str, layout: Layout, sizes: Sizes) -> Result<Linear, Error> {
        let Sizes { inputs, outputs, biased } = sizes;
        let (rows, cols) = match layout {
            Layout::InOut => (inputs, outputs),
            Layout::OutIn => (outputs, inputs),
        };
        let matrix = self.matrix(&format!("{name}.weight"), rows, cols)?;
        if self.checked && self.device.is_none() {
            let factor = PackableMatrix { matrix: matrix.clone(), transposed: layout == Layout::OutIn };
            self.packable.lock().unwrap_or_else(PoisonError::into_inner).push(factor);
        }
        let weight = self.place_matrix(matrix)?;
        let bias = if biased { Some(self.vector(&format!("{name}.bias"), outputs)?) } else { None };
        Ok(Linear { weight, layout, bias, activation: None })
    }

    /// The matrices of all linear layers that were read so far, where the CPU uses them.
    pub(super) fn packable(&self) -> Vec<PackableMatrix> {
        self.packable.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn name(&self, name: &str) -> String {
        let prefixed = self.prefixes.iter().map(|prefix| format!("{prefix}{name}"));
        prefixed.into_iter().find(|name| self.tensors.has(name)).unwrap_or_else(|| name.to_owned())
    }
}

impl std::fmt::Debug for WeightLoader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parts").field("files", &self.tensors.file_names()).finish_non_exhaustive()
    }
}

/// The sizes of a linear layer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    pub(super) biased: bool,
}

impl Linear {
    /// The same, followed by an activation function.
    pub(super) fn then(self, activation: Activation) -> Self {
        Self { activation: Some(activation), ..self }
    }
}
