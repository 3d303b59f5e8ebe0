//! How much of a model is opened, and which tensors that takes.
//! Not here: opening it (`load`), and the memory that it takes (`needs`).

use super::plan::Plan;

/// How much of a model is opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ModelScope {
    /// Its words alone, unembedding and tokenizer: no pass can be run.
    Unembedding,
    /// So many blocks from the first: activations, and no predictions. The words as far as they are there.
    Blocks(usize),
    /// All of it.
    #[default]
    Whole,
}

/// The names of the tensors that an extent takes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Wanted {
    /// Those that it cannot do without.
    pub required: Vec<String>,
    /// Those that are used where they are there.
    pub welcome: Vec<String>,
}

impl ModelScope {
    /// How many blocks of a model of so many are opened.
    pub(super) fn blocks(self, layers: usize) -> usize {
        match self {
            Self::Unembedding => 0,
            Self::Blocks(blocks) => blocks.min(layers),
            Self::Whole => layers,
        }
    }
}

impl Wanted {
    /// What an extent takes of the tensors of these names.
    pub(super) fn of(plan: &Plan, extent: ModelScope, names: &[&str]) -> Self {
        let has_head = names.iter().any(|name| plan.is_head(&plan.bare(name)));
        let mut wanted = Self::default();
        for name in names {
            // What the family does not know is not read: the part of a model that sees, say.
            let Some(part) = part(plan, &plan.bare(name), has_head) else { continue };
            let list = match (extent, part) {
                (ModelScope::Blocks(blocks), Part::Block(number)) if number >= blocks => continue,
                (ModelScope::Unembedding, Part::Block(_) | Part::Front) => continue,
                (ModelScope::Blocks(_), Part::Unembedding { embeds: false }) => &mut wanted.welcome,
                (ModelScope::Whole, _)
                | (ModelScope::Unembedding, Part::Unembedding { .. })
                | (ModelScope::Blocks(_), Part::Block(_) | Part::Unembedding { embeds: true } | Part::Front) => {
                    &mut wanted.required
                }
            };
            list.push((*name).to_owned());
        }
        wanted
    }
}

/// What a tensor is for.
enum Part {
    Block(usize),
    /// What turns directions into words; an embedding may be the head too.
    Unembedding {
        embeds: bool,
    },
    /// Embeddings of tokens and positions.
    Front,
}

fn part(plan: &Plan, name: &str, has_head: bool) -> Option<Part> {
    if let Some(number) = plan.block_of(name) {
        return Some(Part::Block(number));
    }
    if name == plan.embedding && !has_head && plan.tied {
        return Some(Part::Unembedding { embeds: true });
    }
    if plan.is_final_norm(name) || plan.is_head(name) {
        return Some(Part::Unembedding { embeds: false });
    }
    plan.is_front(name).then_some(Part::Front)
}
