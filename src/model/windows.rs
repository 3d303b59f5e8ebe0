//! Which blocks of a model see a window of positions and not all of them, and how wide it is.
//! Not here: attention.

use super::Error;
use super::config::Config;

/// Which blocks see a window, and how wide it is. A config can state any number of layers, so no table is made for them.
#[derive(Debug)]
pub(super) struct Windows {
    /// Positions, the query's own among them; all where there is none.
    pub(super) width: Option<usize>,
    which: Which,
}

#[derive(Debug)]
enum Which {
    None,
    /// All from this block on.
    From(usize),
    /// All but each whose number, from 1, is a multiple of this.
    ButEvery(usize),
    /// As `layer_types` says, block by block.
    Listed(Vec<bool>),
}

impl Windows {
    /// Every block sees all positions.
    pub(super) const fn none() -> Self {
        Self { width: None, which: Which::None }
    }

    /// All blocks from this one on, unless `layer_types` says otherwise.
    pub(super) fn from(config: &Config, layers: usize, first: usize, width: Option<usize>) -> Result<Self, Error> {
        Ok(Self { width, which: listed(config, layers)?.unwrap_or(Which::From(first)) })
    }

    /// All blocks but every `number`-th, unless `layer_types` says otherwise.
    pub(super) fn but_every(
        config: &Config,
        layers: usize,
        number: usize,
        width: Option<usize>,
    ) -> Result<Self, Error> {
        Ok(Self { width, which: listed(config, layers)?.unwrap_or(Which::ButEvery(number)) })
    }

    /// Whether a block is one of those that see a window, however wide.
    pub(super) fn is_in(&self, layer: usize) -> bool {
        match &self.which {
            Which::None => false,
            Which::From(first) => layer >= *first,
            Which::ButEvery(number) => !(layer + 1).is_multiple_of(*number),
            Which::Listed(kinds) => kinds.get(layer).copied().unwrap_or(false),
        }
    }

    /// How many positions a block sees; all where there is no number.
    pub(super) fn width(&self, layer: usize) -> Option<usize> {
        self.width.filter(|_| self.is_in(layer))
    }
}

/// What `layer_types` says, where it is there.
fn listed(config: &Config, layers: usize) -> Result<Option<Which>, Error> {
    let Some(kinds) = config.texts("layer_types")? else { return Ok(None) };
    if kinds.len() != layers {
        return Err(config.bad(format!("`layer_types` has {} entries for {layers} layers", kinds.len())));
    }
    let of = |kind: &str| match kind {
        "sliding_attention" => Ok(true),
        "full_attention" => Ok(false),
        other => {
            let why = format!("`layer_types` names `{other}`, expected sliding_attention or full_attention");
            Err(config.bad(why))
        }
    };
    kinds.into_iter().map(of).collect::<Result<_, _>>().map(|kinds| Some(Which::Listed(kinds)))
}
