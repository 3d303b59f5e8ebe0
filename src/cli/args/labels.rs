//! The arguments of `labels`.
//! Not here: what its commands do (`cli/labels.rs`).

use std::path::PathBuf;

use clap::Subcommand;

use super::values::path;

/// The commands of `labels`.
#[derive(Debug, Subcommand)]
pub enum Labels {
    /// Make labels of an SAE's latents: rules, or a model's words, chosen on one half of a text and measured on the other.
    Make(LabelsMake),
    /// Measure labels that are kept on the held-out half of a text: rules by counting, words by a model's judgement.
    Score(LabelsScore),
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
    #[arg(long, required_unless_present = "llm", conflicts_with = "llm")]
    pub rules: bool,
    /// The model that is asked for words and to judge them.
    #[command(flatten)]
    pub model: LabelsModel,
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

/// Options of `labels score`.
#[derive(Debug, clap::Args)]
pub struct LabelsScore {
    /// The SAE's id.
    #[arg(long, value_name = "ID")]
    pub sae: String,
    /// The model that judges words; without one, rules are counted.
    #[command(flatten)]
    pub model: LabelsModel,
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

/// A language model that is asked.
#[derive(Debug, clap::Args)]
pub struct LabelsModel {
    /// An address that speaks OpenAI's chat completions, such as http://127.0.0.1:11434/v1 of an Ollama.
    #[arg(long, value_name = "URL", requires = "model_name")]
    pub llm: Option<String>,
    /// The model's name there.
    #[arg(long = "model", id = "model_name", value_name = "NAME", requires = "llm")]
    pub name: Option<String>,
    /// The environment variable that has the key; it is sent to the address of --llm alone.
    #[arg(long, value_name = "VAR", requires = "llm")]
    pub key_env: Option<String>,
    /// Requests under way at a time.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=32))]
    pub at_once: u8,
    /// What a million tokens of requests and of answers cost, as IN:OUT, to say beforehand what all will.
    #[arg(long, value_name = "IN:OUT", requires = "llm", value_parser = price)]
    pub price: Option<(f64, f64)>,
    /// Only say what would be asked.
    #[arg(long, requires = "llm")]
    pub dry_run: bool,
}

fn price(text: &str) -> Result<(f64, f64), String> {
    let number = |text: &str| text.trim().parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 0.0);
    let both = text.split_once(':').and_then(|(of_in, of_out)| number(of_in).zip(number(of_out)));
    both.ok_or_else(|| "give two numbers, such as 0.15:0.60".to_owned())
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
    /// Also take in the strongest published activations, which are shown where the index has few examples. All of them
    /// are read: some 340 MB for 16,384 latents; how much is said first.
    #[arg(long)]
    pub examples: bool,
    /// Keep examples of this latent only (repeatable).
    #[arg(long, value_name = "N", requires = "examples")]
    pub latent: Vec<u32>,
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
