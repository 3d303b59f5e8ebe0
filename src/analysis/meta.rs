//! Meta-SAEs as plain data: a latent's parts, a meta-latent's card, its activity in a prompt.
//! Not here: the mathematics (`sae::meta`), and which meta-SAEs there are (`session`).

use serde::Serialize;

use crate::analysis::card::{LogitLens, Rung};
use crate::analysis::{Firing, LadderEntry, MetaComponent, MetaEntry, Neighbour, PositionRun, TokenValue, tokens};
use crate::kernel::View;
use crate::sae::meta::{self, BreakdownTable};
use crate::sae::{self, Codes, Error, Sae};
use crate::task::Cancel;

/// Bins of a card's histogram.
const BINS: usize = 16;
/// Tokens and members in a meta-latent's short name.
const NAMED: usize = 3;

/// What is known about a meta-SAE.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MetaInfo {
    /// Its id, or the folder it was read from.
    pub meta: String,
    /// The SAE whose decoder rows it takes apart.
    pub sae: String,
    /// Meta-latents.
    pub width: usize,
    /// k it was trained with, where that is known.
    pub k: Option<usize>,
    /// τ: the activation above which a meta-latent is in a row.
    pub threshold: f32,
    /// 1 − Σ‖w−ŵ‖² / Σ‖w−w̄‖² over the SAE's decoder rows; none where all rows are the same.
    pub variance_explained: Option<f64>,
    /// Meta-latents in a row, in the mean.
    pub mean_active: f64,
    /// Meta-latents in no row.
    pub dead: usize,
    /// How many meta-latents the run of another seed found too; none where there is no other run.
    pub stable: Option<usize>,
    /// Whether this program trained it.
    pub trained: bool,
    /// What a person should know before believing it.
    pub notes: Vec<String>,
}

/// A latent within a meta-latent.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Member {
    /// The latent's index in the SAE.
    pub latent: u32,
    /// How strongly the meta-latent is in its decoder row, scaled to length 1.
    pub activation: f32,
}

/// A latent's parts by every meta-SAE of its SAE.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BreakdownView {
    /// The SAE's id.
    pub sae: String,
    /// The latent.
    pub latent: u32,
    /// One entry for each meta-SAE.
    pub metas: Vec<MetaEntry>,
}

/// A meta-latent's card.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MetaCard {
    /// The meta-SAE's id.
    pub meta: String,
    /// The SAE whose decoder rows it takes apart.
    pub sae: String,
    /// The meta-latent's index.
    pub meta_latent: u32,
    /// How many latents it is in.
    pub member_count: usize,
    /// The latents it is in, strongest first, ties by index, as many as were asked for.
    pub members: Vec<Member>,
    /// How strongly it is in all of them.
    pub histogram: Histogram,
    /// The tokens its direction promotes most (methods §6), best first.
    pub promoted: Vec<TokenValue>,
    /// The tokens it suppresses most, strongest first.
    pub suppressed: Vec<TokenValue>,
    /// The latents nearest to its direction in every SAE of the ladder, its own included; they have no class.
    pub ladder: Vec<LadderEntry>,
    /// Cosine of the nearest meta-latent in the run of another seed, where there is one.
    pub found_again: Option<f32>,
    /// Whether that is enough to call it stable.
    pub stable: Option<bool>,
    /// The members that fire in the prompt, by how much of the meta-latent they bring in all.
    pub firing: Vec<MemberFiring>,
}

/// How many members have which activation.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Histogram {
    /// Lower bound of the first bin: τ.
    pub low: f32,
    /// Upper bound of the last bin: the largest activation.
    pub high: f32,
    /// Members in bins of equal width.
    pub counts: Vec<usize>,
}

/// A member that fires in the prompt.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MemberFiring {
    /// The latent.
    pub latent: u32,
    /// How strongly the meta-latent is in it.
    pub activation: f32,
    /// On which tokens it fires: positions with the latent's activation there.
    pub tokens: Vec<TokenFiring>,
}

/// A token on which a latent fires.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct TokenFiring {
    /// The position in the prompt.
    pub position: usize,
    /// How strongly the latent fires.
    pub activation: f32,
}

/// A prompt seen by meta-latents: as an SAE's part of a run, with Σ_i f_i(x)·a_{i,m} in place of activations.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MetaRun {
    /// The meta-SAE's id.
    pub meta: String,
    /// The SAE whose latents fire.
    pub sae: String,
    /// One entry for each position; `latent` is the meta-latent.
    pub positions: Vec<PositionRun>,
}

/// Short names of meta-latents.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MetaName {
    /// The meta-latent.
    pub meta_latent: u32,
    /// The tokens it promotes most, best first.
    pub promoted: Vec<TokenValue>,
    /// The latents it is in most strongly.
    pub members: Vec<Member>,
    /// Whether the run of another seed found it too; none where there is no other run.
    pub stable: Option<bool>,
}

/// A meta-SAE with what was computed from it.
#[derive(Clone, Copy)]
pub struct MetaSaeView<'a> {
    /// Its id.
    pub id: &'a str,
    /// The meta-SAE.
    pub meta: &'a Sae,
    /// The id of the SAE whose rows it takes apart.
    pub of_id: &'a str,
    /// That SAE.
    pub of: &'a Sae,
    /// All breakdowns, once they were made; without them no members are known.
    pub table: Option<&'a BreakdownTable>,
    /// For each meta-latent its nearest in the run of another seed, where there is one.
    pub again: Option<&'a [Neighbour]>,
}

impl MetaSaeView<'_> {
    /// What a latent is made of, each part named where directions have words.
    ///
    /// # Errors
    /// As [`meta::breakdown`].
    pub fn entry(&self, latent: usize, words: Option<LogitLens<'_>>, cancel: &Cancel) -> Result<MetaEntry, Error> {
        let parts = meta::breakdown(self.meta, self.of, latent, cancel)?;
        let wanted: Vec<u32> = parts.components.iter().map(|part| part.meta_latent).collect();
        let names = self.names(&wanted, words)?;
        let component = |(part, label): (&meta::Component, MetaName)| MetaComponent {
            meta_latent: part.meta_latent,
            activation: part.activation,
            share: part.share as f32,
            promoted: label.promoted,
            members: label.members,
            stable: label.stable,
        };
        Ok(MetaEntry {
            meta: self.id.to_owned(),
            explained: parts.explained as f32,
            bias: parts.bias as f32,
            rest: parts.rest as f32,
            components: parts.components.iter().zip(names).map(component).collect(),
        })
    }

    /// Short names: promoted tokens and strongest members.
    ///
    /// # Errors
    /// [`Error::Latent`].
    pub fn names(&self, meta_latents: &[u32], words: Option<LogitLens<'_>>) -> Result<Vec<MetaName>, Error> {
        let mut rows = Vec::with_capacity(meta_latents.len() * self.meta.d_out());
        for &meta_latent in meta_latents {
            rows.extend_from_slice(&self.meta.decoder_row(meta_latent as usize)?);
        }
        let promoted = words.map(|words| {
            let top_logits = words.top_logits(View::new(&rows, meta_latents.len(), self.meta.d_out()), NAMED);
            top_logits
                .into_iter()
                .map(|top_logits| tokens::values(&top_logits.promoted, words.tokenizer))
                .collect::<Vec<_>>()
        });
        let mut promoted = promoted.unwrap_or_default().into_iter();
        meta_latents
            .iter()
            .map(|&meta_latent| {
                Ok(MetaName {
                    meta_latent,
                    promoted: promoted.next().unwrap_or_default(),
                    members: self.members(meta_latent, NAMED)?,
                    stable: self.found_again(meta_latent).map(|cosine| cosine >= meta::STABLE),
                })
            })
            .collect()
    }

    /// A meta-latent's card; `codes` is what the SAE's latents do in the prompt.
    ///
    /// # Errors
    /// [`Error::Latent`] when there is no such meta-latent.
    pub fn card(
        &self,
        meta_latent: u32,
        rungs: &[Rung<'_>],
        words: Option<LogitLens<'_>>,
        threshold: f32,
        codes: &Codes,
        top: usize,
    ) -> Result<MetaCard, Error> {
        let direction = self.meta.decoder_row(meta_latent as usize)?;
        let (promoted, suppressed) = words.map_or_else(Default::default, |words| {
            let top_logits = words.top_logits(View::new(&direction, 1, direction.len()), top).pop().unwrap_or_default();
            (
                tokens::values(&top_logits.promoted, words.tokenizer),
                tokens::values(&top_logits.suppressed, words.tokenizer),
            )
        });
        let mut ladder = Vec::with_capacity(rungs.len());
        for rung in rungs {
            let nearest = rung.sae.nearest_to(&direction, top.max(1))?;
            let (sae, width) = (rung.id.to_owned(), rung.sae.width());
            ladder.push(LadderEntry { sae, width, nearest, class: None, threshold });
        }
        let all = self.members(meta_latent, usize::MAX)?;
        let again = self.found_again(meta_latent);
        Ok(MetaCard {
            meta: self.id.to_owned(),
            sae: self.of_id.to_owned(),
            meta_latent,
            member_count: all.len(),
            histogram: Histogram::of(&all, threshold_of(self.meta)),
            firing: firing(&all, codes),
            members: all.into_iter().take(top).collect(),
            promoted,
            suppressed,
            ladder,
            found_again: again,
            stable: again.map(|cosine| cosine >= meta::STABLE),
        })
    }

    /// The prompt by meta-latents; `codes` is what the SAE's latents do in it.
    pub fn run(&self, codes: &Codes) -> MetaRun {
        let activity = self.table.map(|table| table.activity(codes)).unwrap_or_default();
        let positions = (0..activity.rows()).map(|position| {
            let (latents, values) = activity.row(position);
            let mut latents: Vec<Firing> = latents
                .iter()
                .zip(values)
                .map(|(&latent, &activation)| Firing { latent, activation, quantile: None })
                .collect();
            latents.sort_by(|a, b| b.activation.total_cmp(&a.activation).then(a.latent.cmp(&b.latent)));
            PositionRun { position, l0: latents.len(), latents }
        });
        MetaRun { meta: self.id.to_owned(), sae: self.of_id.to_owned(), positions: positions.collect() }
    }

    fn members(&self, meta_latent: u32, most: usize) -> Result<Vec<Member>, Error> {
        let members = self.table.map(|table| table.members_of(meta_latent as usize)).transpose()?.unwrap_or_default();
        Ok(members.into_iter().take(most).map(|(latent, activation)| Member { latent, activation }).collect())
    }

    fn found_again(&self, meta_latent: u32) -> Option<f32> {
        self.again.and_then(|again| again.get(meta_latent as usize)).map(|near| near.cosine)
    }
}

/// τ of a meta-SAE: the smallest of its thresholds; 0 where it has none.
pub fn threshold_of(meta: &Sae) -> f32 {
    match &meta.parts().activation {
        sae::Activation::JumpRelu { threshold } => threshold.iter().copied().fold(f32::INFINITY, f32::min).max(0.0),
        _ => 0.0,
    }
}

/// What should make a person doubt that a meta-SAE was made for these rows.
pub fn doubts(quality: meta::Quality, k: Option<usize>, of: &str) -> Vec<String> {
    let mut notes = Vec::new();
    match quality.variance_explained {
        Some(explained) if explained < 0.05 => notes.push(format!(
            "it explains {:.1} % of the variance of the decoder rows of SAE `{of}`: it was probably made for another SAE",
            explained * 100.0
        )),
        Some(_) => {}
        None => notes.push(format!("the decoder rows of SAE `{of}` do not differ: there is no variance to explain")),
    }
    let expected = k.unwrap_or(meta::MEAN_ACTIVE) as f64;
    if k.is_some() && (quality.mean_active - expected).abs() > 0.25 * expected {
        notes.push(format!(
            "{:.2} meta-latents are active in a row, in the mean, and it was trained with k = {expected}: its threshold \
             may be wrong",
            quality.mean_active
        ));
    }
    notes
}

impl Histogram {
    fn of(members: &[Member], low: f32) -> Self {
        let high = members.first().map_or(low, |member| member.activation);
        let mut counts = vec![0; BINS];
        for member in members {
            let place = if high > low { (member.activation - low) / (high - low) } else { 0.0 };
            counts[((place * BINS as f32) as usize).min(BINS - 1)] += 1;
        }
        Self { low, high, counts }
    }
}

/// The members that fire, by how much of the meta-latent they bring over all tokens.
fn firing(members: &[Member], codes: &Codes) -> Vec<MemberFiring> {
    let mut firing: Vec<(f64, MemberFiring)> = Vec::new();
    let mut tokens: Vec<Vec<TokenFiring>> = vec![Vec::new(); members.len()];
    let mut places: Vec<(u32, usize)> = members.iter().enumerate().map(|(at, member)| (member.latent, at)).collect();
    places.sort_unstable();
    for position in 0..codes.rows() {
        let (latents, values) = codes.row(position);
        for (latent, &activation) in latents.iter().zip(values).filter(|(_, value)| **value != 0.0) {
            if let Ok(found) = places.binary_search_by_key(latent, |(latent, _)| *latent) {
                tokens[places[found].1].push(TokenFiring { position, activation });
            }
        }
    }
    for (member, tokens) in members.iter().zip(tokens).filter(|(_, tokens)| !tokens.is_empty()) {
        let sum: f64 = tokens.iter().map(|token| f64::from(token.activation)).sum();
        let entry = MemberFiring { latent: member.latent, activation: member.activation, tokens };
        firing.push((sum * f64::from(member.activation), entry));
    }
    firing.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.latent.cmp(&b.1.latent)));
    firing.into_iter().map(|(_, entry)| entry).collect()
}
