//! The arguments of `labels`.
//! Not here: what its commands do (`cli/labels.rs`).

use std::path::PathBuf;

use clap::Subcommand;

use super::values::path;

/// The commands of `labels`.
#[derive(Debug, Subcommand)]
pub enum Labels {
    /// Make labels of an SAE's latents: rules chosen on one half of a text and measured on the other.
    Make(LabelsMake),
    /// Download the labels that Neuronpedia publishes of the suite's SAEs.
    Pull(LabelsPull),
    /// Take in the labels of a file: .jsonl or .csv with sae, latent, text, note.
    Import(LabelsFile),
    /// Write all labels that are kept of the suite's SAEs into a new file, .jsonl or .csv.
    Export(LabelsFile),
}

/// Options of `labels make`.
#[derive(Debug, clap::Args)]
pub struct LabelsMake {
    /// The SAE's id.
    #[arg(long, value_name = "ID")]
    pub sae: String,
    /// Make rules, which need nothing but the text and the model.
    #[arg(long, required = true)]
    pub rules: bool,
    /// Only this latent (repeatable).
    #[arg(long, value_name = "N")]
    pub latent: Vec<u32>,
    /// Only so many latents.
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
    /// The text that is read.
    #[command(flatten)]
    pub text: LabelsText,
    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
}

/// The text that labels are made of or scored on.
#[derive(Debug, clap::Args)]
pub struct LabelsText {
    /// A text, a folder of texts, or `-` for standard input (repeatable), as for `index build`; the suite's otherwise.
    #[arg(long, value_name = "PATH", value_parser = path())]
    pub text: Vec<PathBuf>,
    /// Tokens of the text that are read at most.
    #[arg(long, value_name = "N", default_value_t = 200_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub tokens: u64,
}

/// Options of `labels pull`.
#[derive(Debug, clap::Args)]
pub struct LabelsPull {
    /// Only this SAE (repeatable); all that are here and that the suite names a source for otherwise.
    #[arg(long, value_name = "ID")]
    pub sae: Vec<String>,
    /// Take what the source has, though it says that it is of other files than the suite's.
    #[arg(long)]
    pub anyway: bool,
    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
}

/// Options of `labels import` and `labels export`.
#[derive(Debug, clap::Args)]
pub struct LabelsFile {
    /// The file.
    #[arg(value_name = "FILE", value_parser = path())]
    pub file: PathBuf,
    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
}
