//! The arguments of commands about two prompts.
//! Not here: what they do.

use std::path::PathBuf;

use super::values::path;

/// Options of `compare`.
#[derive(Debug, clap::Args)]
pub struct Compare {
    /// The SAE's id.
    #[arg(long, value_name = "ID")]
    pub sae: String,
    /// The prompts: A, and then B.
    #[arg(long, value_name = "TEXT", required = true)]
    pub prompt: Vec<String>,
    /// Move every partner in B by so many tokens.
    #[arg(long, value_name = "N", default_value_t = 0, allow_negative_numbers = true)]
    pub shift: isize,
    /// Latents of each list that are printed.
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u32).range(1..))]
    pub top: Option<u32>,
    /// Next tokens after each token.
    #[arg(long, value_name = "K", default_value_t = 5)]
    pub logits: usize,
    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
}

/// Options of `swap`.
#[derive(Debug, clap::Args)]
pub struct Swap {
    /// The SAE's id.
    #[arg(long, value_name = "ID")]
    pub sae: String,
    /// The prompt that is changed.
    #[arg(long, value_name = "TEXT", required_unless_present = "template", conflicts_with = "template")]
    pub base: Option<String>,
    /// The prompt that latents are taken from.
    #[arg(long, value_name = "TEXT", required_unless_present = "template", conflicts_with = "template")]
    pub source: Option<String>,
    /// The base's position and the source's, from 0, or from the end: -1 is the last, as without this.
    #[arg(long, value_name = "P,Q", value_parser = positions, allow_hyphen_values = true)]
    pub position: Option<(isize, isize)>,
    /// The base's answer; its likeliest next token otherwise.
    #[arg(long, value_name = "TEXT", conflicts_with = "template")]
    pub token: Option<String>,
    /// The source's answer; its likeliest next token otherwise.
    #[arg(long, value_name = "TEXT", conflicts_with = "template")]
    pub other: Option<String>,
    /// Exchange meta-latents of this meta-SAE: an id, or a folder.
    #[arg(long, value_name = "ID|DIR")]
    pub meta: Option<String>,
    /// In which order.
    #[arg(long, value_enum, default_value_t = SwapOrder::Effect)]
    pub order: SwapOrder,
    /// Many pairs: a TOML file with a `prompt` such as "{name} came from", and `[[row]]` tables of slot, token, other.
    #[arg(long, value_name = "FILE", value_parser = path())]
    pub template: Option<PathBuf>,
    /// Seed of the random orders.
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    pub seed: u64,
    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
}

/// In which order latents are exchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum SwapOrder {
    /// What moves the answer most when it alone is exchanged first.
    Effect,
    /// What differs most first.
    Difference,
}

fn positions(text: &str) -> Result<(isize, isize), String> {
    let both = text.split_once(',').and_then(|(a, b)| a.trim().parse().ok().zip(b.trim().parse().ok()));
    both.ok_or_else(|| "positions are the base's and the source's, from 0, such as 4,4 or -3,-3".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_two_numbers() {
        assert_eq!((positions("4, 5"), positions("-3,-2")), (Ok((4, 5)), Ok((-3, -2))));
        for wrong in ["", "4", "4,", "a,b", "1,2,3"] {
            assert!(positions(wrong).is_err(), "{wrong}");
        }
    }
}
