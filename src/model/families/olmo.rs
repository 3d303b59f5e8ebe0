//! OLMo 2: *2 OLMo 2 Furious* (Team OLMo, 2024), as `transformers/models/olmo2/modeling_olmo2.py` computes it, with the
//! defaults of `Olmo2Config`: Llama with norms behind attention and MLP in place of those in front.
//! Not here: the blocks (`standard`).

use crate::model::Error;
use crate::model::config::Config;
use crate::model::family::Family;
use crate::model::norm::Norms;
use crate::model::plan::Plan;
use crate::model::projections::Biases;
use crate::model::standard::{Across, NormNames, Standard};

pub(super) fn read_2(config: &Config) -> Result<Box<dyn Family>, Error> {
    let attention = config.flag("attention_bias", false)?;
    let this = Standard::read(config)?;
    let norms = Norms { epsilon: config.positive(&["rms_norm_eps"], 1e-5)?, ..this.plan.norms };
    Standard {
        plan: Plan { norms, ..this.plan },
        norms: NormNames {
            post_attn: Some("post_attention_layernorm"),
            post_mlp: Some("post_feedforward_layernorm"),
            ..NormNames::default()
        },
        head_norms: Some(Across::AllHeads),
        biases: Biases { inputs: attention, output: attention, mlp: false },
        ..this
    }
    .family(config)
}
