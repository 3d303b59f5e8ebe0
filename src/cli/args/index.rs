//! The arguments of `index`.
//! Not here: what its commands do (`cli/index.rs`).

use std::path::PathBuf;

use clap::Subcommand;

use super::values::{path, shard};

/// The commands of `index`.
#[derive(Debug, Subcommand)]
pub enum Index {
    /// Read a text through the model once and count what fires; ^C keeps what was read, and the same command continues.
    Build(IndexBuild),
    /// Put the shards of an index together.
    Merge(IndexMerge),
    /// Say what an index is of and what is in it.
    Info(IndexInfo),
}

/// Options of `index build`.
#[derive(Debug, clap::Args)]
pub struct IndexBuild {
    /// A text, a folder of texts, or `-` for standard input (repeatable): UTF-8 with documents parted by <|endoftext|>,
    /// .jsonl with a field `text`, .parquet with a column `text`, each also .gz or .zst; the suite's text otherwise.
    #[arg(long, value_name = "PATH", value_parser = path())]
    pub text: Vec<PathBuf>,
    /// Only this SAE (repeatable); all that are on this machine otherwise.
    #[arg(long, value_name = "ID")]
    pub sae: Vec<String>,
    /// A meta-SAE of these, or a folder (repeatable); those of the suite that are on this machine otherwise.
    #[arg(long, value_name = "ID|DIR")]
    pub meta: Vec<String>,
    /// Stop after the window in which this token is, counted over all shards.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub tokens: Option<u64>,
    /// Tokens of a window at most; as the SAEs were trained, or 128, otherwise.
    #[arg(long, value_name = "L", value_parser = clap::value_parser!(u32).range(2..=65_535))]
    pub context: Option<u32>,
    /// Best examples kept of each latent.
    #[arg(long, value_name = "K", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub top: u32,
    /// Only the documents of shard I of N, from 1; `index merge` puts them together.
    #[arg(long, value_name = "I/N", value_parser = shard)]
    pub shard: Option<(u32, u32)>,
    /// The folder it is written to; the program's own otherwise, where it is found again.
    #[arg(long, value_name = "DIR", value_parser = path())]
    pub out: Option<PathBuf>,
    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
}

/// Options of `index merge`.
#[derive(Debug, clap::Args)]
pub struct IndexMerge {
    /// The shards, each once.
    #[arg(value_name = "DIR", required = true, value_parser = path())]
    pub parts: Vec<PathBuf>,
    /// The new folder.
    #[arg(long, value_name = "DIR", value_parser = path())]
    pub out: PathBuf,
    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
}

/// Options of `index info`.
#[derive(Debug, clap::Args)]
pub struct IndexInfo {
    /// The index.
    #[arg(value_name = "DIR", value_parser = path())]
    pub index: PathBuf,
    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
}
