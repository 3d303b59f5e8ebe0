//! Where in a model activations are taken: a layer and a kind.
//! Not here: how a model gets at them.

use serde::{Deserialize, Serialize};

/// A layer and a kind of activation within it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Site {
    /// The block, from 0.
    pub layer: usize,
    /// Which activation of the block.
    pub kind: SiteKind,
}

/// Which activation of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SiteKind {
    /// The residual stream entering the block, [positions, d_model].
    ResidPre,
    /// The residual stream leaving the block, [positions, d_model].
    ResidPost,
    /// The heads' mixed values before the output projection, heads concatenated, [positions, heads · d_head].
    AttnZ,
    /// What the block's MLP adds to the residual stream, [positions, d_model].
    MlpOut,
}

impl Site {
    /// How many of the model's blocks, from the first, a pass must run to reach it.
    #[must_use]
    pub const fn blocks(self) -> usize {
        match self.kind {
            SiteKind::ResidPre => self.layer,
            SiteKind::ResidPost | SiteKind::AttnZ | SiteKind::MlpOut => self.layer.saturating_add(1),
        }
    }
}

impl SiteKind {
    /// Its name in suite files and JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ResidPre => "resid_pre",
            Self::ResidPost => "resid_post",
            Self::AttnZ => "attn_z",
            Self::MlpOut => "mlp_out",
        }
    }
}

impl std::fmt::Display for Site {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "layer {} {}", self.layer, self.kind.name())
    }
}
