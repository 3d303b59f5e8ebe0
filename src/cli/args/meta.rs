//! The arguments of `meta`.
//! Not here: what its commands do (`cli/meta.rs`).

use std::path::PathBuf;

use clap::Subcommand;

use super::values::{addition, exchange, path, temperature};

/// The commands of `meta`.
#[derive(Debug, Subcommand)]
pub enum Meta {
    /// Train a meta-SAE on an SAE's decoder rows; ^C keeps what was learnt, and the same command continues.
    Train(MetaTrain),
    /// Show what a latent is made of, or what a meta-latent is.
    Show(MetaShow),
    /// Measure how well a meta-SAE explains the decoder rows.
    Eval(MetaEval),
    /// Edit a latent by its meta-latents and see what the model says then.
    Edit(MetaEdit),
}

/// Which meta-SAE.
#[derive(Debug, clap::Args)]
pub struct MetaChoice {
    /// The SAE's id.
    #[arg(long, value_name = "ID")]
    pub sae: String,
    /// The meta-SAE's id, or its folder; the SAE's first one otherwise.
    #[arg(long, value_name = "ID|DIR")]
    pub meta: Option<String>,
}

/// Options of `meta train`.
#[derive(Debug, clap::Args)]
pub struct MetaTrain {
    /// The SAE's id.
    #[arg(long, value_name = "ID")]
    pub sae: String,
    /// Meta-latents; 3/64 of the SAE's latents otherwise.
    #[arg(long, value_name = "W")]
    pub width: Option<usize>,
    /// Meta-latents active in a row, in the mean.
    #[arg(long, value_name = "K", default_value_t = 4)]
    pub k: usize,
    /// Steps of Adam.
    #[arg(long, value_name = "N", default_value_t = 2000)]
    pub steps: usize,
    /// Rows of a step; more than there are means all.
    #[arg(long, value_name = "ROWS", default_value_t = 16_384)]
    pub batch: usize,
    /// Learning rate.
    #[arg(long, value_name = "RATE", default_value_t = 1e-3)]
    pub lr: f32,
    /// Seed of the first weights and of the order of the rows.
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    pub seed: u64,
    /// The folder it is written to; the program's own otherwise, where it is found again.
    #[arg(long, value_name = "DIR", value_parser = path())]
    pub out: Option<PathBuf>,
    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
}

/// Options of `meta show`.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("what").required(true).args(["latent", "meta_latent"]))]
pub struct MetaShow {
    /// Which meta-SAE.
    #[command(flatten)]
    pub choice: MetaChoice,
    /// The latent to take apart.
    #[arg(long, value_name = "N")]
    pub latent: Option<u32>,
    /// The meta-latent to show.
    #[arg(long, value_name = "M")]
    pub meta_latent: Option<u32>,
    /// Take what is said of a meta-latent in text from this index; from the one that was kept here otherwise.
    #[arg(long, value_name = "DIR", value_parser = path(), requires = "meta_latent")]
    pub index: Option<PathBuf>,
    /// Members, tokens and neighbours in each list.
    #[arg(long, value_name = "K", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub top: u32,
    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
}

/// Options of `meta eval`.
#[derive(Debug, clap::Args)]
pub struct MetaEval {
    /// Which meta-SAE.
    #[command(flatten)]
    pub choice: MetaChoice,
    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
}

/// Options of `meta edit`.
#[derive(Debug, clap::Args)]
pub struct MetaEdit {
    /// Which meta-SAE.
    #[command(flatten)]
    pub choice: MetaChoice,
    /// The latent whose decoder row is edited.
    #[arg(long, value_name = "N")]
    pub latent: u32,
    /// Take a meta-latent out (repeatable).
    #[arg(long, value_name = "M")]
    pub remove: Vec<u32>,
    /// Put a meta-latent in with an activation (repeatable).
    #[arg(long, value_name = "M:A", value_parser = addition)]
    pub add: Vec<(u32, f32)>,
    /// Take the first out and put the second in with its activation (repeatable).
    #[arg(long, value_name = "M:M", value_parser = exchange)]
    pub exchange: Vec<(u32, u32)>,
    /// The prompt (repeatable).
    #[arg(long, value_name = "TEXT", required = true)]
    pub prompt: Vec<String>,
    /// A word whose log-probability is reported (repeatable).
    #[arg(long, value_name = "WORD")]
    pub word: Vec<String>,
    /// Likeliest next tokens of each model.
    #[arg(long, value_name = "K", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub logits: u32,
    /// Tokens that each model continues with.
    #[arg(long, value_name = "N", default_value_t = 16)]
    pub tokens: u32,
    /// Sample with this temperature instead of taking the likeliest token.
    #[arg(long, value_name = "T", value_parser = temperature, allow_negative_numbers = true)]
    pub temperature: Option<f64>,
    /// Seed of the random edit and of sampling.
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    pub seed: u64,
    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
}
