//! What a config says about the parts that are alike in every family, and under which names the files keep them.
//! Not here: what is in a block (`family`), and which config says what (`families`).

use std::borrow::Cow;

use super::config::Config;
use super::norm::{Kind, Norms};
use super::rope::Rope;
use super::weight_loader::WeightLoader;
use super::{Error, Shape, Unembedding};
use crate::weights::{Matrix, unwrapped};

/// The parts of a model outside its blocks, and what its blocks have in common.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) shape: Shape,
    /// Heads of keys and values.
    pub(super) kv_heads: usize,
    /// What names may begin with; the first that fits counts.
    pub(super) prefixes: &'static [&'static str],
    /// What names of a block begin with, after the prefix and before its number.
    pub(super) blocks: &'static str,
    /// The embedding of the tokens, [vocab, d_model].
    pub(super) embedding: &'static str,
    /// What its rows are multiplied by.
    pub(super) embedding_scale: f32,
    /// The embedding of the positions, [context, d_model], where there is one.
    pub(super) positions: Option<&'static str>,
    /// How queries and keys are turned, where they are; [`super::family::Family::rope`] says in which block by which.
    pub(super) ropes: Vec<Rope>,
    pub(super) norms: Norms,
    /// The norm behind the last block.
    pub(super) final_norm: &'static str,
    /// Names of the head, [vocab, d_model]; the first that is there counts.
    pub(super) head: &'static [&'static str],
    /// Whether the embedding is the head where the files have none.
    pub(super) tied: bool,
    /// c of c · tanh(logit / c).
    pub(super) logit_cap: Option<f32>,
}

impl Plan {
    /// Llama's, whose names and defaults most families share.
    pub(super) fn read(config: &Config, shape: Shape, ropes: Vec<Rope>) -> Result<Self, Error> {
        Ok(Self {
            kv_heads: config.size_or_none(&["num_key_value_heads"])?.unwrap_or(shape.heads),
            prefixes: &["model."],
            blocks: "layers.",
            embedding: "embed_tokens.weight",
            embedding_scale: 1.0,
            positions: None,
            shape: shape.turned_by(&ropes),
            ropes,
            norms: Norms { kind: Kind::Rms, epsilon: config.positive(&["rms_norm_eps"], 1e-6)? },
            final_norm: "norm",
            head: &["lm_head.weight"],
            tied: config.flag("tie_word_embeddings", false)?,
            logit_cap: None,
        })
    }

    /// A name without what it begins with.
    pub(super) fn bare<'n>(&self, name: &'n str) -> Cow<'n, str> {
        let name = unwrapped(name);
        match self.prefixes.iter().find(|prefix| name.starts_with(**prefix)) {
            None => name,
            Some(prefix) => match name {
                Cow::Borrowed(name) => Cow::Borrowed(&name[prefix.len()..]),
                Cow::Owned(name) => Cow::Owned(name[prefix.len()..].to_owned()),
            },
        }
    }

    /// Whether a tensor, by its bare name, is an embedding of tokens or positions.
    pub(super) fn is_front(&self, name: &str) -> bool {
        name == self.embedding || self.positions == Some(name)
    }

    /// Whether a tensor, by its bare name, is of the norm behind the last block.
    pub(super) fn is_final_norm(&self, name: &str) -> bool {
        name.strip_prefix(self.final_norm).is_some_and(|rest| rest.starts_with('.'))
    }

    /// Whether a tensor, by its bare name, is the head.
    pub(super) fn is_head(&self, name: &str) -> bool {
        self.head.contains(&name)
    }

    /// Fails where the heads cannot share the keys and values.
    pub(super) fn check_heads(&self, config: &Config) -> Result<(), Error> {
        let (heads, kv_heads) = (self.shape.heads, self.kv_heads);
        if heads.is_multiple_of(kv_heads) {
            return Ok(());
        }
        Err(config.bad(format!("`num_attention_heads` {heads} is not a multiple of `num_key_value_heads` {kv_heads}")))
    }

    /// The number of the block that a tensor belongs to, by its bare name.
    pub(super) fn block_of(&self, name: &str) -> Option<usize> {
        name.strip_prefix(self.blocks)?.split_once('.')?.0.parse().ok()
    }

    /// Where these files have the head.
    pub(super) fn head_in(&self, parts: &WeightLoader) -> Head {
        match self.head.iter().copied().find(|name| parts.has(name)) {
            Some(name) => Head::Own(name),
            None if self.tied => Head::Embedding,
            None => Head::Nowhere,
        }
    }

    /// What turns directions of the residual stream into token space; none where there is no head.
    pub(super) fn unembedding(&self, parts: &WeightLoader) -> Result<Option<Unembedding>, Error> {
        let name = match self.head_in(parts) {
            Head::Own(name) => name,
            Head::Embedding => self.embedding,
            Head::Nowhere => return Ok(None),
        };
        self.unembedding_of(parts, parts.matrix(name, self.shape.vocab, self.shape.d_model)?).map(Some)
    }

    /// The same by this head.
    pub(super) fn unembedding_of(&self, parts: &WeightLoader, head: Matrix) -> Result<Unembedding, Error> {
        let gain = self.norms.gain(parts, self.final_norm, self.shape.d_model)?;
        Ok(Unembedding::new(head, gain, self.norms.centred()))
    }

    /// That there are no logits, since the files have no head.
    pub(super) fn no_head(&self, files: String) -> Error {
        Error::NoHead { files, tensor: self.head.first().copied().unwrap_or_default().to_owned() }
    }
}

/// Where a model's head is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Head {
    /// A tensor of this name.
    Own(&'static str),
    /// The embedding of the tokens.
    Embedding,
    /// Not in the files: what a base model is saved as, where the embedding is not the head.
    Nowhere,
}

impl Shape {
    /// The sizes that a config in the spelling of most families states; `d_head` is what stands for a missing
    /// `head_dim`, where it is not the heads' share of the residual stream.
    pub(super) fn read(config: &Config, d_head: Option<usize>) -> Result<Self, Error> {
        let (d_model, heads) = (config.size(&["hidden_size"])?, config.size(&["num_attention_heads"])?);
        let d_head = match config.size_or_none(&["head_dim"])?.or(d_head) {
            Some(d_head) => d_head,
            None if d_model.is_multiple_of(heads) => d_model / heads,
            None => {
                let why = format!("`hidden_size` {d_model} is not a multiple of `num_attention_heads` {heads}");
                return Err(config.bad(why));
            }
        };
        Ok(Self {
            d_model,
            layers: config.size(&["num_hidden_layers"])?,
            heads,
            d_head,
            vocab: config.size(&["vocab_size"])?,
            context: config.size(&["max_position_embeddings"])?,
            parallel: false,
        })
    }

    /// The same with no more positions than can be turned.
    pub(super) fn turned_by(self, ropes: &[Rope]) -> Self {
        Self { context: ropes.iter().fold(self.context, |context, rope| rope.within(context)), ..self }
    }
}
