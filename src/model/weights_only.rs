//! A model that is not loaded: its words where they are there, and no pass.
//! Not here: what the words say (`unembed`).

use candle_core::Tensor;

use super::{Arms, Cache, Error, Fan, Model, Pass, Shape, Unembedding};
use crate::task::Cancel;

/// A model of which only the words are open, or nothing.
#[derive(Clone, Debug)]
pub(super) struct WeightsOnly {
    pub(super) shape: Shape,
    pub(super) unembedding: Option<Unembedding>,
}

impl Model for WeightsOnly {
    fn shape(&self) -> &Shape {
        &self.shape
    }

    fn cache_behind(&self, _: usize) -> Cache {
        Cache::default()
    }

    fn forward(&self, _: &[u32], _: &mut Cache, _: Pass<'_>) -> Result<Option<Tensor>, Error> {
        Err(Error::WeightsOnly)
    }

    fn resume(&self, _: &[u32], _: &Tensor, _: &mut Cache, _: &Cancel) -> Result<Tensor, Error> {
        Err(Error::WeightsOnly)
    }

    fn fan(&self, _: Fan<'_>) -> Result<Tensor, Error> {
        Err(Error::WeightsOnly)
    }

    fn arms(&self, _: Arms<'_>) -> Result<Option<Tensor>, Error> {
        Err(Error::WeightsOnly)
    }

    fn final_scales(&self, _: &[f32]) -> Result<Vec<f64>, Error> {
        Err(Error::WeightsOnly)
    }

    fn logits(&self, _: &Tensor) -> Result<Tensor, Error> {
        Err(Error::WeightsOnly)
    }

    fn check_logits(&self) -> Result<(), Error> {
        Err(Error::WeightsOnly)
    }

    fn value_bias(&self, _: usize) -> Result<Option<Vec<f32>>, Error> {
        Err(Error::WeightsOnly)
    }

    fn unembedding(&self) -> Option<&Unembedding> {
        self.unembedding.as_ref()
    }
}
