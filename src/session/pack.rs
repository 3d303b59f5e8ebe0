//! Weights copied into the order in which products read them: the same bits, sooner.
//! Not here: the copying (`weights`).

use crate::report::Report;
use crate::session::loaded_suite::LoadedSuite;
use crate::session::memory;
use crate::session::query::{Cx, Lane, Query};
use crate::task::Cancel;
use crate::weights::PackableMatrix;

/// Weights are packed into no more than one part in so many of the memory that is free.
const SPARE: u64 = 4;

/// Copies the weights that were read so far into the order in which products read them, where there is memory to spare.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackQuery;

impl Query for PackQuery {
    /// The bytes that this took.
    type Answer = u64;
    const NAME: &'static str = "pack";
    const LANE: Lane = Lane::Maintenance;
    const PRIORITY: u8 = 10;

    fn run(&self, cx: &mut Cx<'_>) -> Result<u64, Report> {
        cx.suite()?.pack(cx.cancel)
    }
}

impl LoadedSuite {
    /// Packs the weights that products go through, as far as they have been read, and gives the bytes that this took. What
    /// would take much of the memory that is free stays as it is.
    fn pack(&self, cancel: &Cancel) -> Result<u64, Report> {
        let saes = self.saes.iter().map(|loaded| loaded.sae.parts().w_enc.factor());
        let packable: Vec<PackableMatrix> = self.model.model.packable().into_iter().chain(saes).collect();
        let room = memory::available().unwrap_or(0) / SPARE;
        let mut taken = 0;
        for factor in &packable {
            let wanted = factor.wanted();
            if taken + wanted > room {
                continue;
            }
            match factor.pack(&|| !cancel.is_cancelled()) {
                Ok(true) => taken += wanted,
                Ok(false) => cancel.check()?,
                // It is for speed alone: what is not packed is used where it lies.
                Err(_) => break,
            }
        }
        Ok(taken)
    }
}
