//! The families that can be run: one entry each, and one file each in `families/`.
//! Not here: what their blocks are made of (`standard` for most of them).

mod gemma;
mod gpt2;
mod llama;
mod mistral;
mod neox;
mod olmo;
mod qwen;

use super::Error;
use super::config::Config;
use super::family::Family;
use crate::weights::READABLE;

/// Reads a family's config.
type Read = fn(&Config) -> Result<Box<dyn Family>, Error>;

/// By the `model_type` of a `config.json`.
const FAMILIES: &[(&str, Read)] = &[
    ("gpt2", gpt2::read),
    ("gemma2", gemma::read_2),
    ("gemma3", |config| gemma::read_3(&text_config(config)?)),
    ("gemma3_text", gemma::read_3),
    ("llama", llama::read),
    ("gpt_neox", neox::read),
    ("mistral", mistral::read),
    ("qwen2", qwen::read_2),
    ("qwen3", qwen::read_3),
    ("olmo2", olmo::read_2),
];

/// The family that a config describes, configured.
pub(super) fn family(config: &Config) -> Result<Box<dyn Family>, Error> {
    let found = config.text("model_type")?.ok_or_else(|| config.bad("it has no `model_type`"))?;
    if let Some(quantised) = config.section("quantization_config")? {
        let method = quantised.text("quant_method")?.unwrap_or("a method it does not name");
        return Err(config.bad(format!("its weights are quantised by {method}; {READABLE} can be read")));
    }
    match FAMILIES.iter().find(|(name, _)| *name == found) {
        Some((_, read)) => read(config),
        None => Err(Error::Architecture {
            file: config.file().to_owned(),
            found: found.to_owned(),
            supported: FAMILIES.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", "),
        }),
    }
}

/// What the config of a model that reads more than text says of its part that reads text.
pub(super) fn text_config(config: &Config) -> Result<Config, Error> {
    config.section("text_config")?.ok_or_else(|| config.bad("it has no `text_config`"))
}
