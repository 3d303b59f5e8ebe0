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

/// Which activation of a block, in the order in which they are computed where MLP follows attention.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SiteKind {
    /// The residual stream entering the block, [positions, d_model].
    ResidPre,
    /// The heads' mixed values before the output projection, heads concatenated, [positions, heads · d_head].
    AttnZ,
    /// What the block's attention adds to the residual stream, [positions, d_model].
    AttnOut,
    /// The residual stream between attention and MLP, [positions, d_model]; there is none where both read the same one.
    ResidMid,
    /// What the block's MLP adds to the residual stream, [positions, d_model].
    MlpOut,
    /// The residual stream leaving the block, [positions, d_model].
    ResidPost,
}

impl Site {
    /// How many of the model's blocks, from the first, a pass must run to reach it.
    #[must_use]
    pub const fn blocks(self) -> usize {
        match self.kind {
            SiteKind::ResidPre => self.layer,
            _ => self.layer.saturating_add(1),
        }
    }
}

impl SiteKind {
    /// Every kind.
    pub const ALL: [Self; 6] =
        [Self::ResidPre, Self::AttnZ, Self::AttnOut, Self::ResidMid, Self::MlpOut, Self::ResidPost];

    /// Its name in suite files and JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ResidPre => "resid_pre",
            Self::ResidPost => "resid_post",
            Self::AttnZ => "attn_z",
            Self::AttnOut => "attn_out",
            Self::ResidMid => "resid_mid",
            Self::MlpOut => "mlp_out",
        }
    }
}

impl Site {
    /// The site that TransformerLens calls by this name, such as `blocks.8.hook_resid_pre`; none for names of other kinds.
    #[must_use]
    pub fn of_hook(name: &str) -> Option<Self> {
        let (layer, hook) = name.strip_prefix("blocks.")?.split_once('.')?;
        let kind = match hook {
            "hook_resid_pre" => SiteKind::ResidPre,
            "hook_resid_post" => SiteKind::ResidPost,
            "attn.hook_z" => SiteKind::AttnZ,
            "hook_attn_out" => SiteKind::AttnOut,
            "hook_resid_mid" => SiteKind::ResidMid,
            "hook_mlp_out" => SiteKind::MlpOut,
            _ => return None,
        };
        Some(Self { layer: layer.parse().ok()?, kind })
    }

    /// TransformerLens' name of it, as [`Site::of_hook`] knows it.
    #[must_use]
    pub fn hook(self) -> String {
        let hook = match self.kind {
            SiteKind::ResidPre => "hook_resid_pre",
            SiteKind::ResidPost => "hook_resid_post",
            SiteKind::AttnZ => "attn.hook_z",
            SiteKind::AttnOut => "hook_attn_out",
            SiteKind::ResidMid => "hook_resid_mid",
            SiteKind::MlpOut => "hook_mlp_out",
        };
        format!("blocks.{}.{hook}", self.layer)
    }

    /// Whether the two have the same activations: what leaves a block enters the next.
    #[must_use]
    pub fn is_same_place(self, other: Self) -> bool {
        let place = |site: Self| match site.kind {
            SiteKind::ResidPost => Self { layer: site.layer.saturating_add(1), kind: SiteKind::ResidPre },
            _ => site,
        };
        place(self) == place(other)
    }
}

impl std::fmt::Display for Site {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "layer {} {}", self.layer, self.kind.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hooks_are_known_by_their_names_in_transformer_lens() {
        let site = |layer, kind| Some(Site { layer, kind });
        assert_eq!(Site::of_hook("blocks.8.hook_resid_pre"), site(8, SiteKind::ResidPre));
        assert_eq!(Site::of_hook("blocks.11.attn.hook_z"), site(11, SiteKind::AttnZ));
        assert_eq!(Site::of_hook("blocks.0.hook_attn_out"), site(0, SiteKind::AttnOut));
        assert_eq!(Site::of_hook("blocks.5.hook_resid_mid"), site(5, SiteKind::ResidMid));
        for kind in SiteKind::ALL {
            assert_eq!(Site::of_hook(&Site { layer: 3, kind }.hook()), site(3, kind));
        }
        for other in ["blocks.8.hook_mlp_in", "blocks.x.hook_mlp_out", "layers.3", "blocks.", ""] {
            assert_eq!(Site::of_hook(other), None, "{other}");
        }
    }

    #[test]
    fn what_leaves_a_block_enters_the_next() {
        let at = |layer, kind| Site { layer, kind };
        assert!(at(7, SiteKind::ResidPost).is_same_place(at(8, SiteKind::ResidPre)));
        assert!(!at(8, SiteKind::ResidPost).is_same_place(at(8, SiteKind::ResidPre)));
        assert!(!at(8, SiteKind::MlpOut).is_same_place(at(8, SiteKind::ResidPost)));
    }
}
