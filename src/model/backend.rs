//! Where a model computes: on the CPU with its weights in their files, or on a card with a copy of them.
//! Not here: what is computed.

use candle_core::Device;

use super::load::load_at;
use super::weight_loader::KEPT_FROM;
use super::{Error, Loaded, ModelFiles, ModelScope};
use crate::device::DeviceName;
use crate::guard;

/// Sides of the matrices that show whether a card's products can be used.
const PROBED: usize = 64;

/// Where a model computes; the CPU unless something else is opened. Clones share it.
#[derive(Clone, Debug)]
pub struct Backend {
    name: DeviceName,
    /// None for the CPU with this program's own products.
    device: Option<Device>,
    exact: bool,
}

impl Default for Backend {
    fn default() -> Self {
        Self { name: DeviceName::Cpu, device: None, exact: true }
    }
}

impl Backend {
    /// Opens a device and sees that it can multiply.
    ///
    /// # Errors
    /// [`Error::NotBuilt`], [`Error::NoDevice`].
    pub fn open(name: DeviceName) -> Result<Self, Error> {
        Self::built(name)?;
        if name == DeviceName::Cpu {
            return Ok(Self::default());
        }
        let absent = |error| Error::NoDevice { name, why: plain(error).to_string() };
        // Some drivers' libraries end in a panic where there is nothing to open.
        let opened = guard::call(|| {
            let device = open(name)?;
            let exact = probe(&device)?;
            Ok((device, exact))
        });
        let panicked = |why| Err(candle_core::Error::Msg(format!("opening {name} ended in a panic: {why}")));
        let (device, exact) = opened.unwrap_or_else(panicked).map_err(absent)?;
        Ok(Self { name, device: Some(device), exact })
    }

    /// Sees that this build can use such a device at all.
    ///
    /// # Errors
    /// [`Error::NotBuilt`].
    pub const fn built(name: DeviceName) -> Result<(), Error> {
        let built = match name {
            DeviceName::Cpu | DeviceName::StandIn => true,
            DeviceName::Cuda(_) => cfg!(feature = "cuda"),
            DeviceName::Metal => cfg!(feature = "metal"),
        };
        if built { Ok(()) } else { Err(Error::NotBuilt { name }) }
    }

    /// What it is called.
    #[must_use]
    pub const fn name(&self) -> DeviceName {
        self.name
    }

    /// Whether weights are copied to it; they stay in their files otherwise.
    #[must_use]
    pub const fn holds_weights(&self) -> bool {
        self.device.is_some()
    }

    /// The precision of its products of f32, for a person: `f32`, or `less than f32` where a product with the identity
    /// did not give every bit back (TF32 keeps ten of f32's 23).
    #[must_use]
    pub const fn precision(&self) -> &'static str {
        if self.exact { "f32" } else { "less than f32" }
    }

    /// The bytes that are free on it for weights; none for the CPU, whose memory the system reports, and where the
    /// device does not say.
    #[must_use]
    pub fn free(&self) -> Option<u64> {
        self.device.as_ref().and_then(free)
    }

    /// As [`super::load_part`], to compute here.
    ///
    /// # Errors
    /// As [`super::load`].
    pub fn load(&self, files: &ModelFiles, extent: ModelScope) -> Result<Loaded, Error> {
        load_at(files, self.device.as_ref(), KEPT_FROM, extent)
    }
}

fn open(name: DeviceName) -> candle_core::Result<Device> {
    match name {
        DeviceName::Cpu | DeviceName::StandIn => Ok(Device::Cpu),
        DeviceName::Cuda(number) => {
            // candle's default, stated: no TF32.
            candle_core::cuda::set_gemm_reduced_precision_f32(false);
            // One stream for all threads: with a stream for each, what one thread has copied to the card need not be
            // there when another computes with it.
            Device::new_cuda_with_stream(usize::from(number))
        }
        DeviceName::Metal => Device::new_metal(0),
    }
}

/// Multiplies a matrix, whose values need every bit of f32, by the identity, and tells whether it came back bit for
/// bit. Fails where the numbers are wrong beyond that.
fn probe(device: &Device) -> candle_core::Result<bool> {
    let shape = (PROBED, PROBED);
    let values: Vec<f32> = (0..PROBED * PROBED).map(|index| 1.0 + index as f32 * f32::EPSILON).collect();
    let one: Vec<f32> = (0..PROBED * PROBED).map(|index| f32::from(u8::from(index % (PROBED + 1) == 0))).collect();
    let matrix = candle_core::Tensor::from_slice(&values, shape, device)?;
    let one = candle_core::Tensor::from_vec(one, shape, device)?;
    // The sum with zero changes no bit, and takes a kernel of this build beside the library's product.
    let product: Vec<f32> = matrix.matmul(&one)?.affine(1.0, 0.0)?.flatten_all()?.to_vec1()?;
    if product == values {
        return Ok(true);
    }
    // TF32 rounds to 2⁻¹¹ of a value, bf16 to 2⁻⁹.
    let wrong = product.iter().zip(&values).find(|(got, want)| (*got - *want).abs() > 4e-3 || got.is_nan());
    match wrong {
        None if product.len() == values.len() => Ok(false),
        _ => candle_core::bail!("a matrix times the identity is another matrix there"),
    }
}

/// The error without a backtrace, which would fill a person's screen, and a driver's in the driver's words alone.
pub(super) fn plain(error: candle_core::Error) -> candle_core::Error {
    match error {
        candle_core::Error::WithBacktrace { inner, .. } => plain(*inner),
        candle_core::Error::Cuda(error) => candle_core::Error::Msg(driver_words(&error.to_string())),
        error => error,
    }
}

/// `DriverError(CODE, "words")` as `words (CODE)`; anything else as it is.
fn driver_words(error: &str) -> String {
    let parts = || error.strip_prefix("DriverError(")?.strip_suffix("\")")?.split_once(", \"");
    parts().map_or_else(|| error.to_owned(), |(code, words)| format!("{words} ({code})"))
}

#[cfg(feature = "cuda")]
fn free(device: &Device) -> Option<u64> {
    let Device::Cuda(card) = device else { return None };
    let (free, _) = card.cuda_stream().context().mem_get_info().ok()?;
    Some(free as u64)
}

#[cfg(not(feature = "cuda"))]
const fn free(_: &Device) -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stand_in_holds_weights_and_multiplies_in_f32() {
        let backend = Backend::open(DeviceName::StandIn).unwrap();
        assert!(backend.holds_weights() && backend.exact);
        assert_eq!((backend.precision(), backend.free()), ("f32", None));
        let cpu = Backend::open(DeviceName::Cpu).unwrap();
        assert!(!cpu.holds_weights());
    }

    #[test]
    fn a_driver_is_heard_in_its_own_words_and_without_a_backtrace() {
        let wordy = "DriverError(CUDA_ERROR_NO_DEVICE, \"no CUDA-capable device is detected\")";
        let error = candle_core::Error::WithBacktrace {
            inner: Box::new(candle_core::Error::Cuda(wordy.into())),
            backtrace: Box::new(std::backtrace::Backtrace::force_capture()),
        };
        let told = Error::from(error);
        let source = std::error::Error::source(&told).map(ToString::to_string);
        assert_eq!(source.as_deref(), Some("no CUDA-capable device is detected (CUDA_ERROR_NO_DEVICE)"));
        assert_eq!(driver_words("another"), "another");
    }

    #[test]
    fn a_device_that_this_build_cannot_use_or_this_machine_lacks_is_an_error() {
        for name in [DeviceName::Cuda(4096), DeviceName::Metal] {
            match Backend::open(name) {
                Err(Error::NotBuilt { name: told } | Error::NoDevice { name: told, .. }) => assert_eq!(told, name),
                // A Mac whose build has Metal.
                Ok(_) => assert_eq!(name, DeviceName::Metal),
                Err(other) => panic!("{other}"),
            }
        }
    }
}
