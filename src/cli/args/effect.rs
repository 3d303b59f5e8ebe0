//! The arguments of `effect`.
//! Not here: what the command does (`cli/effect.rs`).

use super::values::latent_of;
use crate::analysis::intervention::LatentId;

/// Options of `effect`.
#[derive(Debug, clap::Args)]
pub struct Effect {
    /// The SAE's id (repeatable).
    #[arg(long, value_name = "ID", required = true)]
    pub sae: Vec<String>,
    /// The prompt.
    #[arg(long, value_name = "TEXT")]
    pub prompt: String,
    /// Where latents are taken out: a position from 0, the last otherwise; or `all`: at each position up to Q in turn.
    #[arg(long, value_name = "P|all", value_parser = effect_at)]
    pub at: Option<EffectAt>,
    /// Where the next token is read: at P or behind it; at P otherwise, with `--at all` at the last position.
    #[arg(long, value_name = "Q")]
    pub read: Option<usize>,
    /// The next token that is asked about; the likeliest otherwise.
    #[arg(long, value_name = "TEXT")]
    pub token: Option<String>,
    /// Only this latent (repeatable); all that fire otherwise.
    #[arg(long, value_name = "N")]
    pub latent: Vec<u32>,
    /// With `--at all`: at how many positions latents are measured one by one, those where all of them together do most
    /// (default 16).
    #[arg(long, value_name = "N")]
    pub positions: Option<usize>,
    /// Latents printed, those with the largest effect first.
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u32).range(1..))]
    pub top: Option<u32>,
    /// Meta-latents instead of latents, of this meta-SAE (an id, or a folder): each is taken out of the decoder rows of the
    /// latents that fire, or of those named by --latent.
    #[arg(long, value_name = "ID|DIR", conflicts_with = "relatives_of")]
    pub meta: Option<String>,
    /// Only this meta-latent (repeatable); all that those latents are made of otherwise.
    #[arg(long, value_name = "M", requires = "meta")]
    pub meta_latent: Vec<u32>,
    /// Name the parents and children of this latent, in the SAEs that are asked about, that fire at P.
    #[arg(long, value_name = "SAE:LATENT", value_parser = latent_of)]
    pub relatives_of: Option<LatentId>,
    /// Seed of the random directions.
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    pub seed: u64,
    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
}

/// Where latents are taken out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EffectAt {
    /// At one position.
    One(usize),
    /// At each position in turn.
    All,
}

/// Reads where latents are taken out.
fn effect_at(text: &str) -> Result<EffectAt, String> {
    match text {
        "all" => Ok(EffectAt::All),
        _ => text.parse().map(EffectAt::One).map_err(|_| "a position from 0, or `all`".to_owned()),
    }
}
