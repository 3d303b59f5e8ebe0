//! The arguments, as clap reads them; help, man page and completions come from here.
//! Not here: what a command does.

mod effect;
mod index;
mod labels;
mod lens;
mod meta;
mod pair;
mod steer;
mod values;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::device::DeviceName;
use crate::session::LoadScope;
use crate::settings::{Color, PartialSettings, Theme};
use crate::suite::TokenizerWord;

pub use effect::{Effect, EffectAt};
pub use index::{Index, IndexBuild, IndexInfo, IndexMerge};
pub use labels::{Labels, LabelsFile, LabelsMake, LabelsModel, LabelsPull, LabelsScore, LabelsText};
pub use lens::{Lens, LensCommand, LensFit};
pub use meta::{Meta, MetaChoice, MetaEdit, MetaEval, MetaShow, MetaTrain};
pub use pair::{Compare, Swap, SwapOrder};
pub use steer::{Steer, SteerEdits, UnitName};
use values::{cosine, path, size, tokens};

const EXAMPLES: &str = "\
Examples:
  saescope                                        explore the demo that comes with the program
  saescope --prompt 'Albert Einstein was born in' start with a prompt
  saescope suites                                 what can be explored, and what it costs to download
  saescope pull gpt2-small-feature-splitting      download GPT-2 small and its SAEs
  saescope --suite gpt2-small-feature-splitting   explore them
  saescope stitch --small 128 --large 512 --curve 20  what is new in the wider SAE, and the way there
  saescope run --suite demo --prompt 'Tokyo' --json | jq '.saes[0].metrics'

Exit codes: 0 fine, 1 expected failure, 2 wrong usage, 70 a mistake of this program, 129, 130 and 143 signals.";

/// See which SAE latents fire while you type, and what they are.
#[derive(Debug, Parser)]
#[command(name = "saescope", version, after_help = EXAMPLES, propagate_version = true)]
pub struct Args {
    /// What to do; without a command, the explorer opens.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The suite: an id from `saescope suites`, or a suite file.
    #[arg(long, value_name = "ID|FILE", global = true)]
    pub suite: Option<String>,
    /// The prompt to start the explorer with.
    #[arg(long, value_name = "TEXT")]
    pub prompt: Option<String>,
    /// The text that SAEs are compared on, in UTF-8; documents are separated by <|endoftext|>.
    #[arg(long, value_name = "FILE", global = true)]
    pub text: Option<PathBuf>,
    /// Only this SAE of the suite in the explorer (repeatable); those that it says otherwise.
    #[arg(long, value_name = "ID")]
    pub sae: Vec<String>,
    /// What computes the model: cpu (the default), cuda (the first card; cuda:1 is the second) or metal.
    #[arg(long, value_name = "DEVICE", global = true)]
    pub device: Option<DeviceName>,
    /// Whose word counts where transformers and the tokenizer's own files spell texts differently; the suite's otherwise.
    #[arg(long, value_name = "WORD", value_parser = names(&TokenizerWord::NAMES), global = true)]
    pub tokenizer: Option<String>,
    /// How much of the model is opened.
    #[command(flatten)]
    pub part: Part,
    /// Colours.
    #[arg(long, value_name = "WHEN", value_parser = names(&Color::NAMES), global = true)]
    pub color: Option<String>,
    /// The terminal's ground, for the heat colours.
    #[arg(long, value_name = "GROUND", value_parser = names(&Theme::NAMES), global = true)]
    pub theme: Option<String>,
    /// Draw only ASCII characters.
    #[arg(long, global = true)]
    pub ascii: bool,
    /// Leave the mouse to the terminal.
    #[arg(long, global = true)]
    pub no_mouse: bool,
    /// What goes into the log: error, warn, info, debug, trace, or a filter as RUST_LOG has it.
    #[arg(long, value_name = "LEVEL", global = true)]
    pub log: Option<String>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List the known suites: model, SAEs, download size, what is cached.
    Suites(Plain),
    /// Download what a suite lacks, with progress; ^C keeps what has arrived.
    Pull(Pull),
    /// Run one prompt through the model and the ladder.
    Run(Run),
    /// Show a latent's card: promoted tokens, nearest latents in every other SAE.
    Latent(Latent),
    /// Take each latent that fires at a token out and see what the model says then.
    Effect(Effect),
    /// Change latents while the model writes, and see what it writes then.
    Steer(Steer),
    /// Set two prompts beside each other: their tokens aligned, what fires at both, and at one alone.
    Compare(Compare),
    /// Exchange latents of one prompt for those of another until the model says what it says there.
    Swap(Swap),
    /// See what a token's residual stream says at every block, or what a latent promotes: logit lens and Jacobian lens.
    Lens(Lens),
    /// Train and use meta-SAEs: what latents are made of.
    #[command(subcommand)]
    Meta(Meta),
    /// Read a text once, and keep for each latent how often it fires, on which tokens, and where most strongly.
    #[command(subcommand)]
    Index(Index),
    /// Make, take in and write out labels of latents.
    #[command(subcommand)]
    Labels(Labels),
    /// Compare two SAEs: what is new in the wider one, what belongs together, and what putting latents in does.
    Stitch(Stitch),
    /// Show terminal, device, directories and versions; with --suite, whether it is wired as its SAEs need it.
    Doctor(Doctor),
    /// Play keys on an in-memory terminal and save the last screen.
    Shot(Shot),
    /// Print or locate the config file.
    Config(Config),
    /// Print a shell's completions.
    Completions(Completions),
    /// Print the man page.
    Man,
}

/// How much of a model is opened; all of it without one of these.
#[derive(Debug, clap::Args)]
pub struct Part {
    /// Open (or pull) the weights alone: neighbours, classes, meta-SAEs, promoted tokens; no model, no prompt.
    #[arg(long, global = true, conflicts_with = "no_predictions")]
    pub weights_only: bool,
    /// Open (or pull) the model no further than the suite's site: which latents fire, not what the model says next.
    #[arg(long, global = true)]
    pub no_predictions: bool,
}

/// Options of a command that has none of its own.
#[derive(Debug, clap::Args)]
pub struct Plain {
    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
}

/// Options of `pull`.
#[derive(Debug, clap::Args)]
pub struct Pull {
    /// The suite.
    #[arg(value_name = "SUITE")]
    pub suite: String,
    /// Only this SAE (repeatable).
    #[arg(long, value_name = "ID")]
    pub sae: Vec<String>,
    /// Only this meta-SAE (repeatable).
    #[arg(long, value_name = "ID")]
    pub meta: Vec<String>,
    /// Everything of the suite.
    #[arg(long, conflicts_with_all = ["sae", "meta"])]
    pub all: bool,
    /// Check every file that is on this machine already against its hash, and download again what is damaged.
    #[arg(long)]
    pub verify: bool,
    /// Print one JSON object at the end.
    #[arg(long)]
    pub json: bool,
}

/// Options of `run`.
#[derive(Debug, clap::Args)]
pub struct Run {
    /// The prompt; `-` reads standard input, of which one final line break is left out.
    #[arg(value_name = "-", value_parser = ["-"], conflicts_with_all = ["prompt", "prompt_file"])]
    pub stdin: Option<String>,
    /// The prompt.
    #[arg(long, value_name = "TEXT", conflicts_with = "prompt_file")]
    pub prompt: Option<String>,
    /// A file with the prompt, in UTF-8; one final line break is left out.
    #[arg(long, value_name = "FILE", value_parser = path())]
    pub prompt_file: Option<PathBuf>,
    /// Only this SAE (repeatable); all that are on this machine otherwise.
    #[arg(long, value_name = "ID")]
    pub sae: Vec<String>,
    /// Latents printed for each position.
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub top: Option<u32>,
    /// Print every latent that fires.
    #[arg(long, conflicts_with = "top")]
    pub all_latents: bool,
    /// Likeliest next tokens printed for each position.
    #[arg(long, value_name = "K", default_value_t = 5, value_parser = clap::value_parser!(u32).range(0..=1000))]
    pub logits: u32,
    /// Measure cross-entropies by splicing.
    #[arg(long)]
    pub metrics: bool,
    /// Take quantiles from this index; from the one that was kept here otherwise.
    #[arg(long, value_name = "DIR", value_parser = path(), requires = "json")]
    pub index: Option<PathBuf>,
    /// Write `residual` (as the SAEs receive it) and `logits` as f32 tensors.
    #[arg(long, value_name = "FILE.safetensors", value_parser = path())]
    pub activations: Option<PathBuf>,
    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
}

/// Options of `latent`.
#[derive(Debug, clap::Args)]
pub struct Latent {
    /// The SAE's id.
    #[arg(long, value_name = "ID")]
    pub sae: String,
    /// The latent.
    #[arg(value_name = "N")]
    pub latent: u32,
    /// Tokens and neighbours in each list.
    #[arg(long, value_name = "K", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub top: u32,
    /// Cosine below which a latent is novel; the suite's own otherwise.
    #[arg(long, value_name = "T", value_parser = cosine, allow_negative_numbers = true)]
    pub threshold: Option<f32>,
    /// Say which heads and tokens of this prompt make it fire (SAEs on attn_z).
    #[arg(long, value_name = "TEXT")]
    pub prompt: Option<String>,
    /// The index that says where it fires; the suite's own otherwise, where there is one.
    #[arg(long, value_name = "DIR", value_parser = path())]
    pub index: Option<PathBuf>,
    /// At this position of the prompt, from 0; otherwise where it fires most strongly.
    #[arg(long, value_name = "P", requires = "prompt")]
    pub position: Option<usize>,
    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
}

/// Options of `stitch`.
#[derive(Debug, clap::Args)]
pub struct Stitch {
    /// The narrower SAE's id.
    #[arg(long, value_name = "ID")]
    pub small: String,
    /// The wider SAE's id.
    #[arg(long, value_name = "ID")]
    pub large: String,
    /// Cosine below which a latent is novel; the suite's own otherwise.
    #[arg(long, value_name = "T", value_parser = cosine, allow_negative_numbers = true)]
    pub threshold: Option<f32>,
    /// Tokens of the text that are read at most.
    #[arg(long, value_name = "N", value_parser = tokens)]
    pub max_tokens: Option<usize>,
    /// Give a row for each latent of the wider SAE (with --json).
    #[arg(long)]
    pub latents: bool,
    /// Go the whole way from the narrower to the wider SAE, and give about so many points of it.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(2..=100_000))]
    pub curve: Option<u32>,
    /// In which order steps are taken within a phase.
    #[arg(long, value_enum, default_value_t = StitchOrder::Effect)]
    pub order: StitchOrder,
    /// Seed of the order `random`.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// Measure cross-entropies at the curve's points.
    #[arg(long)]
    pub ce: bool,
    /// Write the stitched SAE as SAELens has it, into a new folder.
    #[arg(long, value_name = "DIR", value_parser = path())]
    pub export: Option<PathBuf>,
    /// After so many steps of the way; all novel latents are in otherwise.
    #[arg(long, value_name = "STEP", requires = "export")]
    pub at: Option<usize>,
    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
}

/// In which order steps of a stitch are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum StitchOrder {
    /// Those that lower the error most for what they write first.
    Effect,
    /// The newest of the novel latents first, the surest of the groups first.
    Cosine,
    /// Shuffled.
    Random,
}

impl StitchOrder {
    /// Its name in arguments and JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Effect => "effect",
            Self::Cosine => "cosine",
            Self::Random => "random",
        }
    }
}

/// Options of `doctor`.
#[derive(Debug, clap::Args)]
pub struct Doctor {
    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
}

/// Options of `shot`.
#[derive(Debug, clap::Args)]
pub struct Shot {
    /// The keys: text as it is typed, others in brackets, such as `<tab>`, `<down>`, `<ctrl-p>`, `<esc>`.
    #[arg(long, value_name = "KEYS", default_value = "", allow_hyphen_values = true)]
    pub keys: String,
    /// The terminal's size.
    #[arg(long, value_name = "COLSxROWS", default_value = "120x40", value_parser = size)]
    pub size: (u16, u16),
    /// The file; its ending says what it is: txt, ansi, svg. Standard output without it.
    #[arg(long, value_name = "FILE", value_parser = path())]
    pub out: Option<PathBuf>,
    /// The prompt to start with.
    #[arg(long, value_name = "TEXT")]
    pub prompt: Option<String>,
}

/// Options of `config`.
#[derive(Debug, clap::Args)]
pub struct Config {
    /// Print the default file instead of the path.
    #[arg(long)]
    pub default: bool,
}

/// Options of `completions`.
#[derive(Debug, clap::Args)]
pub struct Completions {
    /// The shell.
    pub shell: clap_complete::Shell,
}

impl Args {
    /// Whether the answer is to be JSON.
    #[must_use]
    pub const fn json(&self) -> bool {
        match &self.command {
            Some(Command::Suites(options)) => options.json,
            Some(Command::Pull(options)) => options.json,
            Some(Command::Run(options)) => options.json,
            Some(Command::Latent(options)) => options.json,
            Some(Command::Effect(options)) => options.json,
            Some(Command::Steer(options)) => options.json,
            Some(Command::Compare(options)) => options.json,
            Some(Command::Swap(options)) => options.json,
            Some(Command::Lens(Lens { command: Some(LensCommand::Fit(options)), .. })) => options.json,
            Some(Command::Lens(options)) => options.json,
            Some(Command::Meta(Meta::Train(options))) => options.json,
            Some(Command::Meta(Meta::Show(options))) => options.json,
            Some(Command::Meta(Meta::Eval(options))) => options.json,
            Some(Command::Meta(Meta::Edit(options))) => options.json,
            Some(Command::Index(Index::Build(options))) => options.json,
            Some(Command::Index(Index::Merge(options))) => options.json,
            Some(Command::Index(Index::Info(options))) => options.json,
            Some(Command::Labels(Labels::Make(options))) => options.json,
            Some(Command::Labels(Labels::Pull(options))) => options.json,
            Some(Command::Labels(Labels::Score(options))) => options.json,
            Some(Command::Labels(Labels::Import(options) | Labels::Export(options))) => options.json,
            Some(Command::Stitch(options)) => options.json,
            Some(Command::Doctor(options)) => options.json,
            _ => false,
        }
    }

    /// How much of a model is opened.
    #[must_use]
    pub const fn reach(&self) -> LoadScope {
        match (self.part.weights_only, self.part.no_predictions) {
            (true, _) => LoadScope::WeightsOnly,
            (false, true) => LoadScope::Site,
            (false, false) => LoadScope::Whole,
        }
    }

    /// Whose word counts on tokens, where a flag says so.
    #[must_use]
    pub fn tokenizer(&self) -> Option<TokenizerWord> {
        self.tokenizer.as_deref().and_then(|name| named(name, &TokenizerWord::NAMES))
    }

    /// The settings that the flags give.
    #[must_use]
    pub fn given(&self) -> PartialSettings {
        let top = match &self.command {
            Some(Command::Run(run)) => run.top.map(|top| top as usize),
            _ => None,
        };
        PartialSettings {
            suite: self.suite.clone(),
            top,
            color: self.color.as_deref().and_then(|name| named(name, &Color::NAMES)),
            theme: self.theme.as_deref().and_then(|name| named(name, &Theme::NAMES)),
            mouse: self.no_mouse.then_some(false),
            ascii: self.ascii.then_some(true),
            text: self.text.clone(),
            device: self.device,
            log: self.log.clone(),
        }
    }
}

fn names<T>(choices: &'static [(&'static str, T)]) -> clap::builder::PossibleValuesParser {
    clap::builder::PossibleValuesParser::new(choices.iter().map(|(name, _)| *name))
}

fn named<T: Copy>(name: &str, choices: &[(&str, T)]) -> Option<T> {
    choices.iter().find(|(known, _)| *known == name).map(|(_, choice)| *choice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_fit_together() {
        <Args as clap::CommandFactory>::command().debug_assert();
    }
}
