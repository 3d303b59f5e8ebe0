//! Llama and what is built like it: *The Llama 3 Herd of Models* (Grattafiori et al., 2024), as
//! `transformers/models/llama/modeling_llama.py` computes it, with the defaults of `LlamaConfig`.
//! Not here: the blocks (`standard`).

use crate::model::Error;
use crate::model::config::Config;
use crate::model::family::Family;
use crate::model::projections::Biases;
use crate::model::standard::Standard;

pub(super) fn read(config: &Config) -> Result<Box<dyn Family>, Error> {
    let attention = config.flag("attention_bias", false)?;
    let biases = Biases { inputs: attention, output: attention, mlp: config.flag("mlp_bias", false)? };
    Standard { biases, ..Standard::read(config)? }.family(config)
}
