//! The arguments of `lens`.
//! Not here: what it does.

use std::path::PathBuf;

use clap::Subcommand;

use super::values::path;

/// Options of `lens`.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Lens {
    /// Fit a lens instead.
    #[command(subcommand)]
    pub command: Option<LensCommand>,
    /// Read a latent, or a meta-latent, of this SAE.
    #[arg(long, value_name = "ID", required_unless_present = "prompt", conflicts_with = "prompt")]
    pub sae: Option<String>,
    /// The latent.
    #[arg(long, value_name = "N", requires = "sae", conflicts_with = "meta")]
    pub latent: Option<u32>,
    /// A meta-SAE of the SAE: an id, or a folder.
    #[arg(long, value_name = "ID|DIR", requires = "sae", requires = "meta_latent")]
    pub meta: Option<String>,
    /// The meta-latent.
    #[arg(long, value_name = "M", requires = "meta")]
    pub meta_latent: Option<u32>,
    /// Read a token of this prompt, at every block.
    #[arg(long, value_name = "TEXT")]
    pub prompt: Option<String>,
    /// Its position, from 0; the last otherwise.
    #[arg(long, value_name = "P", requires = "prompt")]
    pub at: Option<usize>,
    /// A Jacobian lens beside the logit lens: a file, or `auto` to download the model's published one.
    #[arg(long, value_name = "auto|FILE", value_parser = path())]
    pub jacobian: Option<PathBuf>,
    /// Tokens of each list.
    #[arg(long, value_name = "K", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    pub top: u32,
    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
}

/// Commands of `lens`.
#[derive(Debug, Subcommand)]
pub enum LensCommand {
    /// Fit a Jacobian lens of the suite's model on the text (--text); ^C keeps what was done, and the same command goes on.
    Fit(LensFit),
}

/// Options of `lens fit`.
#[derive(Debug, clap::Args)]
pub struct LensFit {
    /// Prompts of 128 tokens: about 100 are usable, published lenses have 1,000.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    pub prompts: u32,
    /// The file to write, as `torch.save` writes it.
    #[arg(long, value_name = "FILE", value_parser = path())]
    pub out: PathBuf,
    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
}
