//! The conventions in which releases of SAEs differ, one at a time: what is changed, in words and in the SAE.
//! Not here: measuring what the change does.

use crate::sae::{self, Activation, Normalisation, Sae, SaeWeights};
use crate::site::{Site, SiteKind};
use crate::weights::Array;

use super::norms::{Input, digits, norms};

/// One convention other than the suite has it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Convention {
    /// Whether the mean over the activation is taken from it.
    Center(bool),
    /// Whether prompts begin with a beginning-of-sequence token.
    Bos(bool),
    /// Where activations are taken.
    Site(Site),
    /// Whether what the values' bias adds to attention's z is taken out.
    ValueBias(bool),
    /// Whether b_dec is taken from the input.
    BDec(bool),
    /// Whether activations count by the length of their decoder row.
    DecoderNorm(bool),
    /// What is done to the input.
    Norm(Normalisation),
    /// What the stored threshold is.
    Threshold(Gate),
    /// The k largest fire: a way to any L0, so that only what is explained speaks for it.
    TopK(usize),
    /// Everything above zero fires.
    Relu,
}

/// What a stored threshold may be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Gate {
    /// Its logarithm.
    Logarithm,
    /// Something that a logarithm must be taken of.
    Exponential,
    /// For activations that are this many times as large.
    Times(f32),
}

/// What the suite and the SAE are like, as far as conventions depend on it.
pub struct Facts {
    /// Where activations are taken.
    pub site: Site,
    /// Whether they are centred.
    pub center: bool,
    /// Whether prompts begin with a beginning-of-sequence token; none where the tokenizer has none.
    pub bos: Option<bool>,
    /// Blocks of the model.
    pub layers: usize,
    /// Whether the values' bias is taken out; none where there is none.
    pub value_bias: Option<bool>,
    /// √d_in over the mean length of an activation.
    pub scale: f32,
    /// The length of an activation.
    pub d_in: usize,
    /// The L0 that is expected.
    pub l0: Option<f64>,
    /// Where the SAE's own files say that activations are taken.
    pub own_site: Option<Site>,
    /// Whether all decoder rows are of length 1.
    pub unit_rows: bool,
}

impl Convention {
    /// Every convention that could be meant, the most often mistaken ones first.
    pub fn all(facts: &Facts, sae: &Sae) -> Vec<Self> {
        let parts = sae.parts();
        let mut all = vec![Self::Center(!facts.center)];
        all.extend(facts.bos.map(|bos| Self::Bos(!bos)));
        all.extend(facts.value_bias.map(|folded| Self::ValueBias(!folded)));
        all.push(Self::BDec(!parts.apply_b_dec_to_input));
        all.extend(norms(parts.normalisation, facts.into()).into_iter().map(Self::Norm));
        if !facts.unit_rows {
            all.push(Self::DecoderNorm(!parts.rescale_acts_by_decoder_norm));
        }
        all.extend(gates(&parts.activation, facts));
        all.extend(places(facts).into_iter().map(Self::Site));
        all
    }

    /// Whether it makes L0 what is expected by force.
    pub const fn forces_l0(&self) -> bool {
        matches!(self, Self::TopK(_))
    }

    /// Whether the figures with it can be set beside those without it where nothing is expected: the activations are of the
    /// same tokens, and the threshold is the same.
    pub const fn is_comparable(&self) -> bool {
        !matches!(self, Self::Bos(_) | Self::Threshold(_) | Self::Relu | Self::TopK(_))
    }

    /// Its name in JSON.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Center(_) => "center",
            Self::Bos(_) => "bos",
            Self::Site(_) => "site",
            Self::ValueBias(_) => "value_bias",
            Self::BDec(_) => "b_dec",
            Self::DecoderNorm(_) => "decoder_norm",
            Self::Norm(_) => "norm_scale",
            Self::Threshold(_) | Self::Relu => "threshold",
            Self::TopK(_) => "top_k",
        }
    }

    /// What is changed, in a few words.
    pub fn said(&self) -> String {
        let choose = |yes: bool, one: &str, other: &str| if yes { one.to_owned() } else { other.to_owned() };
        match self {
            Self::Center(on) => choose(*on, "activations centred", "activations not centred"),
            Self::Bos(on) => choose(*on, "BOS in front", "no BOS in front"),
            Self::Site(site) => format!("taken at {site}"),
            Self::ValueBias(out) => choose(*out, "value bias taken out of z", "value bias left in z"),
            Self::BDec(on) => choose(*on, "b_dec taken from the input", "b_dec not taken from the input"),
            Self::DecoderNorm(on) => choose(*on, "decoder norms count", "decoder norms do not count"),
            Self::Norm(norm) => norm_said(*norm),
            Self::Threshold(Gate::Logarithm) => "threshold is a logarithm".to_owned(),
            Self::Threshold(Gate::Exponential) => "threshold has been through exp".to_owned(),
            Self::Threshold(Gate::Times(factor)) => format!("threshold times {factor:.4}"),
            Self::Relu => "no threshold: ReLU".to_owned(),
            Self::TopK(k) => format!("TopK with k = {k}"),
        }
    }

    /// What to change, to stand after "the figures fit when".
    pub fn remedy(&self) -> String {
        match self {
            Self::Center(on) => format!("activations are {}centred: set `center = {on}` in [site]", not(*on)),
            Self::Bos(on) => format!("prompts {} with BOS: set `prepend_bos = {on}` in [model]", begin(*on)),
            Self::Site(site) => format!(
                "activations are taken at {site}: set `layer = {}` and `kind = \"{}\"` in [site]",
                site.layer,
                site.kind.name()
            ),
            Self::ValueBias(on) => {
                let said = if *on { "taken out of" } else { "left in" };
                format!("the values' bias is {said} z: set `fold_value_bias = {on}` in [site]")
            }
            Self::BDec(on) => {
                format!(
                    "b_dec is {}taken from the input: `apply_b_dec_to_input` should be {on} in the SAE's config",
                    not(*on)
                )
            }
            Self::DecoderNorm(on) => format!(
                "latents are {}weighed by decoder norms: `rescale_acts_by_decoder_norm` should be {on} in the SAE's config",
                not(*on)
            ),
            Self::Norm(norm @ Normalisation::Scale(factor)) => format!(
                "the {}: a norm scale was left out, or folded in once too often; set `norm_scaling_factor = {}` in the \
                 SAE's [[sae]]",
                norm_said(*norm),
                digits(*factor)
            ),
            Self::Norm(norm) => {
                let (key, more) = match norm {
                    Normalisation::ConstantNorm => ("constant_norm_rescale", ""),
                    Normalisation::LayerNorm => ("layer_norm", ""),
                    Normalisation::None | Normalisation::Scale(_) => ("none", ", without `norm_scaling_factor`"),
                };
                format!(
                    "the {}: `normalize_activations` should be `{key}` in the SAE's config; or set \
                     `normalize_activations = \"{key}\"` in the SAE's [[sae]]{more}",
                    norm_said(*norm)
                )
            }
            Self::Threshold(Gate::Logarithm) => {
                "the stored threshold is taken for a logarithm: exp is left out".to_owned()
            }
            Self::Threshold(Gate::Exponential) => {
                "the stored threshold's logarithm is taken: exp is applied once too often".to_owned()
            }
            Self::Threshold(Gate::Times(factor)) => {
                format!(
                    "thresholds are multiplied by {factor:.4}: the norm scale is missing from them, or in them twice"
                )
            }
            Self::Relu => "there is no threshold: the SAE is a plain ReLU one".to_owned(),
            Self::TopK(k) => {
                format!("only the {k} largest fire: the SAE is a TopK one, or its thresholds are lost or too low")
            }
        }
    }

    /// The SAE with this convention; the same where it is not about the SAE. `value_bias`: what the values' bias adds
    /// to z, \[d_in\].
    ///
    /// # Errors
    /// As [`Sae::new`] and [`Sae::shifted`].
    pub fn change(&self, sae: &Sae, value_bias: Option<&[f32]>) -> Result<Sae, sae::Error> {
        let mut parts = sae.parts().clone();
        match self {
            Self::Center(_) | Self::Bos(_) | Self::Site(_) => return Ok(sae.clone()),
            Self::ValueBias(out) => {
                let sign = if *out { 1.0 } else { -1.0 };
                let shift: Vec<f32> = value_bias.unwrap_or_default().iter().map(|bias| sign * bias).collect();
                return sae.shifted(&shift);
            }
            Self::BDec(on) => parts.apply_b_dec_to_input = *on,
            Self::DecoderNorm(on) => parts.rescale_acts_by_decoder_norm = *on,
            Self::Norm(norm) => parts.normalisation = *norm,
            Self::Relu => parts.activation = Activation::Relu,
            Self::TopK(k) => parts.activation = Activation::TopK { k: *k },
            Self::Threshold(gate) => gate.change(&mut parts),
        }
        Sae::new(parts)
    }
}

impl Gate {
    fn change(self, parts: &mut SaeWeights) {
        let Activation::JumpRelu { threshold } = &parts.activation else { return };
        let changed = threshold.iter().map(|theta| match self {
            Self::Logarithm => theta.exp(),
            Self::Exponential => theta.ln(),
            Self::Times(factor) => theta * factor,
        });
        let changed: Vec<f32> = changed.collect();
        let shape = [changed.len()];
        parts.activation = Activation::JumpRelu { threshold: Array::owned(changed, &shape) };
    }
}

impl From<&Facts> for Input {
    fn from(facts: &Facts) -> Self {
        let is_embedding = facts.site == Site { layer: 0, kind: SiteKind::ResidPre };
        Self { scale: facts.scale, d_in: facts.d_in, is_embedding }
    }
}

const fn not(on: bool) -> &'static str {
    if on { "" } else { "not " }
}

const fn begin(on: bool) -> &'static str {
    if on { "begin" } else { "do not begin" }
}

fn norm_said(norm: Normalisation) -> String {
    match norm {
        Normalisation::None => "input is taken as it is".to_owned(),
        Normalisation::ConstantNorm => "input is scaled to length √d".to_owned(),
        Normalisation::LayerNorm => "input goes through LayerNorm".to_owned(),
        Normalisation::Scale(factor) => format!("input is multiplied by {}", digits(factor)),
    }
}

/// What the threshold could be instead.
fn gates(activation: &Activation, facts: &Facts) -> Vec<Convention> {
    let k = facts.l0.map(|l0| l0.round() as usize).filter(|k| *k > 0);
    match activation {
        Activation::JumpRelu { threshold } => {
            let mut all = vec![Convention::Threshold(Gate::Logarithm)];
            if threshold.iter().all(|theta| *theta > 0.0) {
                all.push(Convention::Threshold(Gate::Exponential));
            }
            if facts.scale.is_finite() && facts.scale > 0.0 {
                all.extend([facts.scale, 1.0 / facts.scale].map(|s| Convention::Threshold(Gate::Times(s))));
            }
            all.push(Convention::Relu);
            all.extend(k.map(Convention::TopK));
            all
        }
        Activation::Relu => k.map(Convention::TopK).into_iter().collect(),
        Activation::TopK { k: now } => {
            [Some(Convention::Relu), k.filter(|k| k != now).map(Convention::TopK)].into_iter().flatten().collect()
        }
        Activation::GroupMax { .. } => {
            [Some(Convention::Relu), k.map(Convention::TopK)].into_iter().flatten().collect()
        }
        Activation::Gated { .. } => Vec::new(),
    }
}

/// Where else activations could have been taken, first where the SAE's own files say; each place by one name.
fn places(facts: &Facts) -> Vec<Site> {
    let mut all: Vec<Site> = Vec::new();
    for site in facts.own_site.into_iter().chain(sites(facts.site, facts.layers)) {
        if !site.is_same_place(facts.site) && !all.iter().any(|known| known.is_same_place(site)) {
            all.push(site);
        }
    }
    all
}

/// Next to it in the model: before the block, between its halves, behind it; what a half adds for what it is added to; the
/// block before or after. Those of another size are left out when they are tried.
fn sites(now: Site, layers: usize) -> Vec<Site> {
    use SiteKind::{AttnOut, AttnZ, MlpOut, ResidMid, ResidPost, ResidPre};
    let near: &[(isize, SiteKind)] = match now.kind {
        ResidPre => &[(0, ResidPost), (-1, ResidPre), (0, ResidMid), (0, AttnOut), (0, MlpOut)],
        ResidPost => &[(0, ResidPre), (1, ResidPost), (0, ResidMid), (0, AttnOut), (0, MlpOut)],
        ResidMid => &[(0, ResidPost), (0, ResidPre), (0, AttnOut), (0, MlpOut), (-1, ResidMid), (1, ResidMid)],
        AttnZ => &[(0, AttnOut), (-1, AttnZ), (1, AttnZ)],
        AttnOut => &[(0, MlpOut), (0, AttnZ), (0, ResidMid), (-1, AttnOut), (1, AttnOut)],
        MlpOut => &[(0, ResidPost), (0, AttnOut), (-1, MlpOut), (1, MlpOut)],
    };
    let at = |(by, kind): &(isize, SiteKind)| Some(Site { layer: now.layer.checked_add_signed(*by)?, kind: *kind });
    near.iter().filter_map(at).filter(|site| site.layer < layers).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Facts {
        Facts {
            site: Site { layer: 3, kind: SiteKind::ResidPre },
            center: false,
            bos: Some(true),
            layers: 4,
            value_bias: None,
            scale: 0.1,
            d_in: 16,
            l0: Some(7.2),
            own_site: None,
            unit_rows: true,
        }
    }

    #[test]
    fn sites_next_to_it_are_within_the_model_and_not_the_same_place() {
        let (first, last) = (Site { layer: 0, kind: SiteKind::ResidPre }, Site { layer: 3, kind: SiteKind::ResidPost });
        assert!(sites(first, 4).iter().all(|site| site.layer < 4 && *site != first));
        assert!(sites(last, 4).iter().all(|site| site.layer < 4 && *site != last));
        assert_eq!(sites(Site { layer: 1, kind: SiteKind::AttnZ }, 4).len(), 3);
    }

    #[test]
    fn the_place_that_the_saes_own_files_name_comes_first_under_their_name() {
        let facts = Facts { site: Site { layer: 2, kind: SiteKind::ResidPre }, ..facts() };
        let own = Site { layer: 3, kind: SiteKind::ResidPre };
        assert_eq!(places(&facts)[0], Site { layer: 2, kind: SiteKind::ResidPost });
        assert_eq!(places(&Facts { own_site: Some(own), ..facts })[0], own);
    }

    #[test]
    fn what_is_tried_differs_from_what_is_there() {
        let top_k = gates(&Activation::TopK { k: 7 }, &facts());
        assert_eq!(top_k, [Convention::Relu], "the k that is expected is there already");
    }

    #[test]
    fn every_convention_says_what_to_change() {
        let all = [
            Convention::Center(true),
            Convention::Bos(false),
            Convention::Site(Site { layer: 2, kind: SiteKind::MlpOut }),
            Convention::ValueBias(true),
            Convention::BDec(false),
            Convention::Norm(Normalisation::LayerNorm),
            Convention::Norm(Normalisation::Scale(1.0 / 48.0)),
        ];
        let said = all.map(|convention| convention.remedy()).join("\n");
        for key in [
            "center = true",
            "prepend_bos = false",
            "kind = \"mlp_out\"",
            "fold_value_bias = true",
            "layer_norm",
            "`norm_scaling_factor = 0.020833` in the SAE's [[sae]]",
        ] {
            assert!(said.contains(key), "{key}: {said}");
        }
        assert!(said.contains("`apply_b_dec_to_input` should be false"), "{said}");
    }
}
