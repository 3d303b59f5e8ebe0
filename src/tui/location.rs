//! Where a person is: pages, panes, latents visited.
//! Not here: what a pane does (`panes.rs`).

use crate::analysis::PositionRun;

/// A pane that can have the focus.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Focus {
    /// The prompt editor.
    Prompt,
    /// The tokens.
    Tokens,
    /// The latents of the token.
    Latents,
    /// The chosen latent's card.
    Card,
    /// Which heads and tokens made the chosen latent fire, in the card's place.
    Attribution,
    /// Where the chosen latent fires in text, in the card's place.
    Examples,
    /// What each latent of the token does to what the model says, in the card's place.
    Effect,
    /// The work queue of two SAEs.
    Queue,
    /// The stitched SAE that is built by hand.
    Bench,
    /// The way from the narrower to the wider SAE.
    Curve,
    /// The latents that are linked to the chosen one.
    Group,
    /// What the chosen latent is made of.
    Parts,
    /// A meta-latent's card.
    MetaCard,
    /// A latent, its meta-latents and their members.
    Map,
    /// Meta-latents taken out of a latent, put in, exchanged.
    Surgery,
    /// The index of a corpus, in the card's place.
    Index,
    /// Latents changed while the model writes, in the card's place.
    Steer,
    /// Two prompts beside each other, in the card's place.
    Compare,
    /// What every block would say, in the card's place.
    Lens,
    /// A latent and its parent, child or part, in the place of the list and the card.
    Sides,
}

/// What stands below the prompt and its tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Page {
    /// The latents of the token and the card of one.
    #[default]
    Explore,
    /// Two SAEs compared and stitched.
    Stitch,
    /// Latents taken apart by a meta-SAE.
    Meta,
}

impl Focus {
    /// The last of them, so that the table of panes can be held to be whole.
    pub const LAST: Self = Self::Sides;

    /// The page it stands on; none for those that stand on every page.
    #[must_use]
    pub const fn page(self) -> Option<Page> {
        match self {
            Self::Prompt | Self::Tokens => None,
            Self::Latents
            | Self::Card
            | Self::Attribution
            | Self::Examples
            | Self::Effect
            | Self::Index
            | Self::Steer
            | Self::Compare
            | Self::Lens
            | Self::Sides => Some(Page::Explore),
            Self::Queue | Self::Bench | Self::Curve | Self::Group => Some(Page::Stitch),
            Self::Parts | Self::MetaCard | Self::Map | Self::Surgery => Some(Page::Meta),
        }
    }

    /// Whether it stands beside the latents, where one of these is at a time.
    #[must_use]
    pub const fn is_beside(self) -> bool {
        matches!(
            self,
            Self::Card
                | Self::Attribution
                | Self::Examples
                | Self::Effect
                | Self::Index
                | Self::Steer
                | Self::Compare
                | Self::Lens
                | Self::Sides
        )
    }
}

/// Of wanted latents those of which something is absent, of the first SAE that has any: what is asked for next.
#[must_use]
pub fn absent_of_one(wanted: &[LatentRef], absent: impl Fn(&LatentRef) -> bool) -> Option<(String, Vec<u32>)> {
    let sae = &wanted.iter().find(|of| absent(of))?.sae;
    let of_sae = wanted.iter().filter(|of| of.sae == *sae && absent(of));
    let mut latents: Vec<u32> = of_sae.map(|of| of.latent).collect();
    latents.sort_unstable();
    latents.dedup();
    Some((sae.clone(), latents))
}

/// One latent of one SAE of the suite.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LatentRef {
    /// The SAE's id.
    pub sae: String,
    /// Its index.
    pub latent: u32,
}

/// Where a person was: a latent, and the meta-latent whose card was looked at, if one was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Visit {
    /// The latent.
    pub latent: LatentRef,
    /// The meta-latent.
    pub meta_latent: Option<u32>,
}

/// A line for the person that goes with the next key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// What is said.
    pub text: String,
    /// Whether something went wrong.
    pub bad: bool,
}

/// How strongly a latent fires at a position.
#[must_use]
pub fn activation(position: &PositionRun, latent: u32) -> f32 {
    position.latents.iter().find(|f| f.latent == latent).map_or(0.0, |f| f.activation)
}
