//! Qwen 2, 2.5 and 3, dense: *Qwen2.5 Technical Report* (2024) and *Qwen3 Technical Report* (2025), as
//! `transformers/models/{qwen2,qwen3}/modeling_*.py` compute them, with the defaults of their configs.
//! Not here: the blocks (`standard`).

use crate::model::Error;
use crate::model::config::Config;
use crate::model::family::Family;
use crate::model::plan::Plan;
use crate::model::projections::Biases;
use crate::model::standard::{Across, Standard};
use crate::model::windows::Windows;

/// Llama with biases of queries, keys and values.
pub(super) fn read_2(config: &Config) -> Result<Box<dyn Family>, Error> {
    let this = read(config, None)?;
    Standard { biases: Biases { inputs: true, ..Biases::default() }, ..this }.family(config)
}

/// Llama with norms of each head's queries and keys.
pub(super) fn read_3(config: &Config) -> Result<Box<dyn Family>, Error> {
    let attention = config.flag("attention_bias", false)?;
    let biases = Biases { inputs: attention, output: attention, mlp: false };
    Standard { biases, head_norms: Some(Across::EachHead), ..read(config, Some(128))? }.family(config)
}

fn read(config: &Config, d_head: Option<usize>) -> Result<Standard, Error> {
    let this = Standard::with_heads(config, d_head)?;
    let kv_heads = config.size_unless_null("num_key_value_heads", 32)?.unwrap_or(this.plan.shape.heads);
    // A width counts only where windows are switched on.
    let on = config.flag("use_sliding_window", false)?;
    let width = if on { config.size_unless_null("sliding_window", 4096)? } else { None };
    let first = config.count_or_none("max_window_layers")?.unwrap_or(28);
    let windows = Windows::from(config, this.plan.shape.layers, first, width)?;
    Ok(Standard { plan: Plan { kv_heads, ..this.plan }, windows, ..this })
}
