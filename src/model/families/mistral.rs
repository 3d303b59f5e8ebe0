//! Mistral: *Mistral 7B* (Jiang et al., 2023), as `transformers/models/mistral/modeling_mistral.py` computes it, with the
//! defaults of `MistralConfig`: Llama's blocks, each of which sees a window unless the config says null.
//! With `layer_types` it is what `transformers` opens as Ministral: those blocks see one that are listed so.
//! Not here: the blocks (`standard`).

use crate::model::Error;
use crate::model::config::Config;
use crate::model::family::Family;
use crate::model::plan::Plan;
use crate::model::standard::Standard;
use crate::model::windows::Windows;

pub(super) fn read(config: &Config) -> Result<Box<dyn Family>, Error> {
    let this = Standard::read(config)?;
    let windows = Windows::from(config, this.plan.shape.layers, 0, config.size_unless_null("sliding_window", 4096)?)?;
    let plan = Plan {
        kv_heads: config.size_unless_null("num_key_value_heads", 8)?.unwrap_or(this.plan.shape.heads),
        ..this.plan
    };
    Standard { plan, windows, ..this }.family(config)
}
