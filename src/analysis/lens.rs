//! What the residual stream says at every block, by the logit lens (nostalgebraist 2020) and the Jacobian lens.
//! Not here: the passes of a prompt (`live`), and where a Jacobian lens comes from.

use candle_core::{Device, Tensor};
use serde::Serialize;

use crate::analysis::card::LogitLens;
use crate::analysis::live::Live;
use crate::analysis::{NextToken, TokenValue, TokenView, tokens};
use crate::kernel::View;
use crate::model::{Error, Fan, Hook, JacobianLens, Logits, Model, Pass, Tokenizer, lend};
use crate::site::{Site, SiteKind};
use crate::task::Cancel;

/// What lenses say (the JSON of `saescope lens`).
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct LensView {
    /// What is read, as a person reads it.
    pub of: String,
    /// The token that is read, of a prompt.
    pub token: Option<TokenView>,
    /// The tokens that a direction promotes most by the logit lens; empty for a prompt.
    pub logit: Vec<TokenValue>,
    /// The Jacobian lens, where one was asked for.
    pub jacobian: Option<JacobianView>,
    /// What each block would say next, of a prompt.
    pub layers: Vec<LayerView>,
    /// What a person should know.
    pub notes: Vec<String>,
}

/// A Jacobian lens and what it says of a direction.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct JacobianView {
    /// The block whose lens reads the direction; none for a prompt, where every block has its own.
    pub layer: Option<usize>,
    /// On how many prompts the lens was fitted.
    pub prompts: Option<u64>,
    /// The file, or the repository and its file.
    pub source: String,
    /// The tokens that it disposes the model to say, with the units of the logit lens; empty for a prompt.
    pub tokens: Vec<TokenValue>,
}

/// What a block would say next.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct LayerView {
    /// The block.
    pub layer: usize,
    /// The likeliest tokens after the final norm and the unembedding of what leaves it; of the last block, what the model
    /// says.
    pub next: Vec<NextToken>,
    /// The same of J_l·h; null where the lens does not have the block.
    pub jacobian: Option<Vec<NextToken>>,
}

/// Keeps what leaves every block, of the last position.
#[derive(Default)]
struct Leaving(Vec<Vec<f32>>);

impl Hook for Leaving {
    fn is_active(&self, site: Site) -> bool {
        site.kind == SiteKind::ResidPost
    }

    fn visit(&mut self, _: Site, activation: &Tensor) -> candle_core::Result<Option<Tensor>> {
        let last = activation.dim(0)?.saturating_sub(1);
        self.0.push(activation.narrow(0, last, 1)?.flatten_all()?.to_vec1()?);
        Ok(None)
    }
}

/// What leaves each block at a position of a prompt that was run to its end, \[layers, d_model\]: that one token is run again
/// behind the keys and values in front of it.
///
/// # Errors
/// [`Error`].
pub fn leaving(
    model: &dyn Model,
    live: &Live,
    site: Site,
    position: usize,
    cancel: &Cancel,
) -> Result<Vec<Vec<f32>>, Error> {
    let (mut front, mut back) = (live.cache().clone(), live.rest().clone());
    front.truncate(position);
    back.truncate(position);
    let (mut rows, blocks, shape) = (Leaving::default(), site.blocks(), model.shape());
    let ids = &live.ids()[position..=position];
    let pass = Pass { layers: Some(blocks), logits: Logits::None, hook: Some(&mut rows), cancel };
    if blocks > 0 {
        model.forward(ids, &mut front, pass)?;
    }
    let d = shape.d_model;
    let residual = &live.residual()[position * d..(position + 1) * d];
    let residual = Tensor::from_slice(residual, (1, d), &Device::Cpu)?;
    let behind = blocks..shape.layers;
    model.fan(Fan { branches: 1, blocks: behind, residual, shared: &back, hook: Some(&mut rows), cancel })?;
    Ok(rows.0)
}

/// What each block would say, `top` tokens each.
///
/// # Errors
/// [`Error`].
pub fn layers(
    model: &dyn Model,
    rows: &[Vec<f32>],
    jacobian: Option<&JacobianLens>,
    tokenizer: &Tokenizer,
    top: usize,
) -> Result<Vec<LayerView>, Error> {
    let next = |row: &[f32]| -> Result<Vec<NextToken>, Error> {
        let row = Tensor::from_slice(row, (1, row.len()), &Device::Cpu)?;
        Ok(lend(&model.logits(&row)?, |logits| tokens::likeliest(logits, top, tokenizer))?)
    };
    let layer = |(layer, row): (usize, &Vec<f32>)| -> Result<LayerView, Error> {
        let moved = jacobian.and_then(|lens| lens.apply(layer, row));
        let jacobian = moved.map(|moved| next(&moved)).transpose()?;
        Ok(LayerView { layer, next: next(row)?, jacobian })
    };
    rows.iter().enumerate().map(layer).collect()
}

/// The tokens that a direction of the residual stream promotes most, \[d_model\].
#[must_use]
pub fn promoted(direction: &[f32], words: LogitLens<'_>, top: usize) -> Vec<TokenValue> {
    let found = words.top_logits(View::new(direction, 1, direction.len()), top).pop().unwrap_or_default();
    tokens::values(&found.promoted, words.tokenizer)
}
