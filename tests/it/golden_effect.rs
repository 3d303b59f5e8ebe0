//! What taking latents out does to the next token, against plain passes of `transformers` in f64, at every site kind and
//! with every convention that scales or centres what an SAE reads. Not here: the command (`tests/it/effect.rs`).

use saescope::analysis::card::LogitLens;
use saescope::analysis::effect::{Asked, Subject};
use saescope::analysis::live::Live;
use saescope::analysis::{SaeEffect, tokens};
use saescope::blob::Blob;
use saescope::device::DeviceName;
use saescope::model::Loaded;
use saescope::sae::Sae;
use saescope::site::{Site, SiteKind};
use saescope::task::Cancel;
use saescope::weights::{Array, TensorFiles};
use serde::Deserialize;

use crate::support::reference::{CONVENTIONS, MODELS, close, fixtures, model, sae_of};

const PLACES: [(usize, usize); 4] = [(8, 8), (4, 4), (3, 8), (0, 2)];

#[derive(Deserialize)]
struct About {
    ids: Vec<u32>,
    layer: usize,
}

struct Reference {
    tensors: TensorFiles,
    about: About,
}

impl Reference {
    fn of(name: &str) -> Self {
        let file = |end: &str| fixtures().join("effect").join(format!("{name}.{end}"));
        let json = std::fs::read(file("json")).expect("the tokens");
        Self {
            tensors: TensorFiles::open(&[Blob::path(file("safetensors"))]).expect("the reference"),
            about: serde_json::from_slice(&json).expect("tokens and layer"),
        }
    }

    fn has(&self, name: &str) -> bool {
        self.tensors.names().contains(&name)
    }

    fn get(&self, name: &str) -> Array {
        self.tensors.get(name).unwrap_or_else(|error| panic!("{error}"))
    }

    fn sae(&self, case: &str, convention: &str) -> Sae {
        sae_of(&|part| self.get(&format!("{case}.{part}")), convention)
    }
}

/// Compares an SAE's figures with those of one place of the reference.
fn compare(what: &str, got: &SaeEffect, reference: &Reference, at: &str, normed: bool) {
    let (rows, parts) = (reference.get(&format!("{at}.latents")), reference.get(&format!("{at}.parts")));
    let about = reference.get(&format!("{at}.about"));
    assert_eq!(got.latents.len(), rows.shape()[0], "{what}: latents that fire");
    for row in rows.chunks_exact(6) {
        let latent = got.latents.iter().find(|effect| effect.latent == row[0] as u32);
        let latent = latent.unwrap_or_else(|| panic!("{what}: latent {} is missing", row[0]));
        let what = format!("{what}, latent {}", latent.latent);
        close(&what, latent.activation.into(), row[1].into());
        close(&what, latent.delta_logprob, row[2].into());
        close(&what, latent.delta_logit, row[3].into());
        close(&what, latent.kl, row[4].into());
        assert_eq!(latent.direct.is_none(), row[5].is_nan(), "{what}: a direct path, {normed}");
        close(&what, latent.direct.unwrap_or_default(), if row[5].is_nan() { 0.0 } else { row[5].into() });
    }
    let sizes = got.latents.iter().map(|effect| effect.delta_logprob.abs());
    assert!(sizes.clone().zip(sizes.skip(1)).all(|(a, b)| a >= b), "{what}: the largest first");
    let part = |row: usize, column: usize| f64::from(parts[row * 3 + column]);
    close(&format!("{what}, all"), got.all_latents.delta_logprob, part(0, 0));
    close(&format!("{what}, all"), got.all_latents.kl, part(0, 2));
    close(&format!("{what}, error"), got.error.delta_logprob, part(1, 0));
    close(&format!("{what}, error"), got.error.kl, part(1, 2));
    close(&format!("{what}, error"), got.error.norm, about[3].into());
    let mean = |first: usize, column: usize| f64::midpoint(part(first, column), part(first + 1, column));
    let (random, of_error) = (got.random, got.error.random);
    assert_eq!(random.directions, 2);
    close(&format!("{what}, random"), random.norm, about[2].into());
    for (name, first, logprob, kl, largest) in [
        ("random", 2, random.delta_logprob, random.kl, random.kl_max),
        ("random of the error", 4, of_error.delta_logprob, of_error.kl, of_error.kl_max),
    ] {
        close(&format!("{what}, {name}"), logprob, mean(first, 0));
        close(&format!("{what}, {name}"), kl, mean(first, 2));
        close(&format!("{what}, {name}"), largest, part(first, 2).max(part(first + 1, 2)));
    }
}

#[test]
fn effects_are_those_of_plain_passes_at_every_site_and_with_every_convention() {
    let mut cases = 0;
    for name in MODELS {
        let reference = Reference::of(name);
        for device in [DeviceName::Cpu, DeviceName::StandIn] {
            let loaded = model(name, device);
            for kind in SiteKind::ALL {
                let here = |convention: &&str| reference.has(&format!("{}.{convention}.w_enc", kind.name()));
                for convention in CONVENTIONS.into_iter().filter(here) {
                    one(name, &loaded, &reference, kind, convention);
                    cases += 1;
                }
            }
        }
    }
    assert!(cases >= 2 * (4 * 22 + 11), "{cases}");
}

fn one(name: &str, loaded: &Loaded, reference: &Reference, kind: SiteKind, convention: &str) {
    let Loaded { model, tokenizer } = loaded;
    let (site, center) = (Site { layer: reference.about.layer, kind }, convention == "center");
    let case = format!("{}.{convention}", kind.name());
    let (sae, ids) = (reference.sae(&case, convention), &reference.about.ids);
    let directions = reference.get(&format!("{case}.directions"));
    let outputs = (kind == SiteKind::AttnZ).then(|| model.head_outputs(site.layer).expect("read").expect("is there"));
    let normed = model.norms_heads(site.layer).expect("is read") && kind == SiteKind::AttnZ;
    let words = LogitLens { unembedding: model.unembedding().expect("a head"), tokenizer, outputs: outputs.as_ref() };
    let cancel = Cancel::new();
    let mut live = Live::new(&**model, site, center, sae.d_in(), 1);
    // As it is typed: a beginning, and then the rest.
    for end in [3, ids.len()] {
        live.forward(&ids[..end], &**model, &cancel).expect("runs");
        live.encode(0, "s", &sae, &cancel).expect("is encoded");
        live.logits(&[end - 1], &**model, &cancel, |_| ()).expect("is run to its end");
    }
    for (position, read) in PLACES {
        let at = format!("{case}.{position}.{read}");
        let about = reference.get(&format!("{at}.about"));
        let what = format!("{name} {at}");
        let token = about[0] as u32;
        let logprob = live.logits(&[read], &**model, &cancel, |logits| {
            f64::from(logits[token as usize]) - tokens::log_sum_exp(logits)
        });
        close(&what, logprob.expect("logits"), about[1].into());
        let asked = Asked {
            model: &**model,
            live: &live,
            site,
            center,
            position,
            read,
            token,
            words: (!normed).then_some(words),
        };
        let subject = Subject { id: "s", place: 0, sae: &sae, directions: &directions };
        let got = asked.effects(&[subject], &cancel, &|_| {}).expect("is measured");
        compare(&what, &got[0], reference, &at, normed);
        // Two at once give the same figures.
        let both = asked.effects(&[subject, subject], &cancel, &|_| {}).expect("is measured");
        if position == 4 {
            assert_eq!(both.len(), 2);
            compare(&what, &both[1], reference, &at, normed);
        }
    }
}
