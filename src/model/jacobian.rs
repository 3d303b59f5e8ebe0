//! Jacobian lenses: for a block l the matrix J_l = E ∂h_final/∂h_l, by which its output is read as if it were the last
//! block's (Anthropic, July 2026; files of `neuronpedia/jacobian-lens`). Not here: words, which the model's end gives.

mod fit;
mod write;

use std::collections::BTreeMap;

pub use fit::{SKIPPED, jacobians};
pub use write::write;

use crate::blob::Blob;
use crate::kernel;
use crate::site::{Site, SiteKind};
use crate::weights::pickle::{self, Value};
use crate::weights::{self, Matrix};

/// A fitted lens: a dictionary `J` of blocks with matrices in half precision, `source_layers`, `n_prompts`, `d_model`.
#[derive(Clone, Debug)]
pub struct JacobianLens {
    /// For each block J_l, [d_model, d_model], in the element type of its file.
    matrices: BTreeMap<usize, Matrix>,
    /// On how many prompts it was fitted; none where the file does not say.
    pub prompts: Option<u64>,
    /// The size of the residual stream.
    pub d_model: usize,
}

/// Why a lens cannot be used where it is asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LensError {
    /// The file cannot be read.
    #[error(transparent)]
    File(#[from] weights::Error),
    /// It is of another model.
    #[error("it is of another model: {0}")]
    Model(String),
    /// There is no lens for a site.
    #[error("a Jacobian lens reads what leaves a block: {0}")]
    Site(String),
}

impl JacobianLens {
    /// Opens a file as `torch.save` writes it, and executes nothing in it.
    ///
    /// # Errors
    /// [`LensError::File`].
    pub fn open(blob: &Blob) -> Result<Self, LensError> {
        let file = blob.name().to_owned();
        let value = pickle::open(blob)?;
        let bad = |why: String| weights::Error::Pickle { file: file.clone(), why };
        let Some(Value::Dict(blocks)) = value.get("J") else {
            return Err(bad("it is no Jacobian lens: it has no dictionary `J`".to_owned()).into());
        };
        let whole = |key: &str| match value.get(key) {
            Some(Value::Int(number)) => u64::try_from(*number).ok(),
            _ => None,
        };
        let stated = whole("d_model").and_then(|size| usize::try_from(size).ok());
        let mut matrices = BTreeMap::new();
        for (key, tensor) in blocks {
            let Ok(block) = key.parse::<usize>() else {
                return Err(bad(format!("`J` has the key `{}`, which is no block", key.escape_debug())).into());
            };
            let Value::Tensor(tensor) = tensor else {
                return Err(bad(format!("`J[{block}]` is {}, not a tensor", tensor.kind())).into());
            };
            let matrix = tensor.matrix(&format!("J[{block}]"))?;
            let size = stated.unwrap_or(matrix.rows());
            if matrix.rows() != size || matrix.cols() != size {
                let shape = [matrix.rows(), matrix.cols()];
                return Err(bad(format!("`J[{block}]` has shape {shape:?}, expected [{size}, {size}]")).into());
            }
            if matrices.values().any(|other: &Matrix| other.rows() != size) {
                return Err(bad("its matrices have different sizes".to_owned()).into());
            }
            matrices.insert(block, matrix);
        }
        let Some(d_model) = matrices.values().next().map(Matrix::rows) else {
            return Err(bad("`J` is empty".to_owned()).into());
        };
        Ok(Self { matrices, prompts: whole("n_prompts"), d_model })
    }

    /// Fails where it is of another model than one of this size and so many blocks.
    ///
    /// # Errors
    /// [`LensError::Model`].
    pub fn check(&self, d_model: usize, layers: usize) -> Result<(), LensError> {
        if self.d_model != d_model {
            let why = format!("its residual stream has {} values, this model's {d_model}", self.d_model);
            return Err(LensError::Model(why));
        }
        match self.matrices.keys().next_back() {
            Some(last) if *last >= layers => {
                Err(LensError::Model(format!("it reads block {last}, and this model's blocks are 0 to {}", layers - 1)))
            }
            _ => Ok(()),
        }
    }

    /// The blocks that it reads, rising.
    pub fn blocks(&self) -> impl Iterator<Item = usize> + '_ {
        self.matrices.keys().copied()
    }

    /// The block whose lens reads a site of the residual stream.
    ///
    /// # Errors
    /// [`LensError::Site`].
    pub fn block_of(&self, site: Site) -> Result<usize, LensError> {
        let block = match site.kind {
            SiteKind::ResidPost => site.layer,
            SiteKind::ResidPre if site.layer > 0 => site.layer - 1,
            SiteKind::ResidPre => return Err(LensError::Site(format!("{site} is what enters the first"))),
            _ => return Err(LensError::Site(format!("{site} is a part of one"))),
        };
        if self.matrices.contains_key(&block) {
            return Ok(block);
        }
        let (first, last) = (self.blocks().next().unwrap_or(0), self.blocks().last().unwrap_or(0));
        Err(LensError::Site(format!(
            "this one has blocks {first} to {last}, and not {block}; what leaves the last block is \
             read by the logit lens"
        )))
    }

    /// J_l·h in f32: a residual stream or a direction behind block l, \[d_model\], as it would stand behind the last. None
    /// where the lens does not have the block.
    #[must_use]
    pub fn apply(&self, block: usize, h: &[f32]) -> Option<Vec<f32>> {
        let matrix = self.matrices.get(&block)?;
        Some((0..matrix.rows()).map(|row| kernel::dot(&matrix.row(row), h)).collect())
    }
}
