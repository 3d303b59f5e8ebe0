//! What computes a session's models: opened when it is first needed, and kept for all who ask.
//! Not here: opening it (`model`), and whether a model fits there (`fit.rs`).

use std::sync::{Arc, OnceLock};

use crate::device::DeviceName;
use crate::model::Backend;
use crate::report::Report;
use crate::session::failure;

/// What computes models. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct ComputeDevice {
    name: DeviceName,
    place: Arc<OnceLock<Backend>>,
}

impl ComputeDevice {
    /// The device of this name; nothing is asked of it yet.
    #[must_use]
    pub fn new(name: DeviceName) -> Self {
        Self { name, place: Arc::default() }
    }

    /// Its name.
    #[must_use]
    pub const fn name(&self) -> DeviceName {
        self.name
    }

    /// Sees that this build can use it; where a question needs no model, nobody needs to know whether it is there.
    ///
    /// # Errors
    /// That the build cannot.
    pub fn check(&self) -> Result<(), Report> {
        Backend::built(self.name).map_err(|error| failure::of_device(self.name, &error))
    }

    /// The device, ready to compute.
    ///
    /// # Errors
    /// That the build cannot use it, that it is not there, or that it computes wrongly.
    pub fn place(&self) -> Result<&Backend, Report> {
        if let Some(place) = self.place.get() {
            return Ok(place);
        }
        let place = Backend::open(self.name).map_err(|error| failure::of_device(self.name, &error))?;
        Ok(self.place.get_or_init(|| place))
    }

    /// What has computed so far, for a person: `cpu, 2 threads`; `cuda:0, f32`, with the precision of its products.
    #[must_use]
    pub fn words(&self) -> String {
        if let Some(place) = self.place.get().filter(|place| place.holds_weights()) {
            return format!("{}, {}", place.name(), place.precision());
        }
        match rayon::current_num_threads() {
            1 => "cpu, 1 thread".to_owned(),
            threads => format!("cpu, {threads} threads"),
        }
    }
}
