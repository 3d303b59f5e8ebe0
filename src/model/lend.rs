//! Values of tensors where they lie. Not here: what is computed of them.

use candle_core::{CpuStorage, Storage, Tensor};

use crate::kernel::View;

/// Lends the tensor's values, row-major, to `use_them`.
///
/// # Errors
/// Where they are not f32 on the CPU.
pub fn lend<T>(tensor: &Tensor, use_them: impl FnOnce(&[f32]) -> T) -> candle_core::Result<T> {
    let tensor = tensor.contiguous()?;
    let (storage, layout) = tensor.storage_and_layout();
    match (&*storage, layout.contiguous_offsets()) {
        (Storage::Cpu(CpuStorage::F32(values)), Some((start, end))) => Ok(use_them(&values[start..end])),
        _ => candle_core::bail!("expected f32 values on the CPU"),
    }
}

/// Lends a tensor of two dimensions as a matrix; a part of a wider one where it lies.
///
/// # Errors
/// Where its values are not f32 on the CPU.
pub(super) fn lend_rows<T>(tensor: &Tensor, use_them: impl FnOnce(View<'_>) -> T) -> candle_core::Result<T> {
    let (rows, cols) = tensor.dims2()?;
    if let &[stride, 1] = tensor.stride()
        && (rows > 0 && stride >= cols)
    {
        let (storage, layout) = tensor.storage_and_layout();
        if let Storage::Cpu(CpuStorage::F32(values)) = &*storage {
            let start = layout.start_offset();
            let values = &values[start..start + (rows - 1) * stride + cols];
            return Ok(use_them(View::strided(values, rows, cols, stride)));
        }
    }
    lend(tensor, |values| use_them(View::new(values, rows, cols)))
}
