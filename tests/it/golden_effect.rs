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
        Self::kept(name, "safetensors")
    }

    /// What a file of this ending keeps of a model.
    fn kept(name: &str, end: &str) -> Self {
        let file = |end: &str| fixtures().join("effect").join(format!("{name}.{end}"));
        let json = std::fs::read(file("json")).expect("the tokens");
        Self {
            tensors: TensorFiles::open(&[Blob::path(file(end))]).expect("the reference"),
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

/// Where the grids of the reference are read, and the token.
const GRID: (usize, u32) = (7, 5);

#[test]
fn what_every_earlier_position_does_is_what_plain_passes_say_whole_and_latent_by_latent() {
    let mut cases = 0;
    for name in MODELS {
        let reference = Reference::kept(name, "grid.safetensors");
        for device in [DeviceName::Cpu, DeviceName::StandIn] {
            let loaded = model(name, device);
            for kind in SiteKind::ALL {
                let here = |convention: &&str| reference.has(&format!("{}.{convention}.w_enc", kind.name()));
                for convention in CONVENTIONS.into_iter().filter(here) {
                    grid(name, &loaded, &reference, kind, convention);
                    cases += 1;
                }
            }
        }
    }
    assert_eq!(cases, 2 * 5 * 5);
}

fn grid(name: &str, loaded: &Loaded, reference: &Reference, kind: SiteKind, convention: &str) {
    let model = &*loaded.model;
    let (site, center) = (Site { layer: reference.about.layer, kind }, convention == "center");
    let case = format!("{}.{convention}", kind.name());
    let (sae, ids, cancel) = (reference.sae(&case, convention), &reference.about.ids, Cancel::new());
    let (wholes, cells) = (reference.get(&format!("{case}.wholes")), reference.get(&format!("{case}.cells")));
    let mut live = Live::new(model, site, center, sae.d_in(), 1);
    live.forward(ids, model, &cancel).expect("runs");
    live.encode(0, "s", &sae, &cancel).expect("is encoded");
    live.logits(&[GRID.0], model, &cancel, |_| ()).expect("is run to its end");
    let asked = Asked { model, live: &live, site, center, position: 1, read: GRID.0, token: GRID.1, words: None };
    let subject = Subject { id: "s", place: 0, sae: &sae, directions: &[] };
    let mut steps = Vec::new();
    let got = asked.grid(&[subject], usize::MAX, &cancel, &mut |step| {
        steps.push((step.done, step.saes[0].positions.len(), step.saes[0].cells.len()));
    });
    let got = got.expect("is measured").remove(0);
    let what = format!("{name} {case}");
    assert_eq!((got.positions.len(), got.cells.len()), (wholes.shape()[0], cells.shape()[0]), "{what}");
    for row in wholes.chunks_exact(8) {
        let of = got.positions.iter().find(|of| of.position == row[0] as usize).expect("a position");
        let what = format!("{what} at {}", of.position);
        assert_eq!((of.latents, of.measured), (row[1] as usize, true), "{what}");
        close(&what, of.all_latents.delta_logprob, row[2].into());
        close(&what, of.all_latents.kl, row[4].into());
        close(&what, of.error.delta_logprob, row[5].into());
        close(&what, of.error.kl, row[7].into());
    }
    for row in cells.chunks_exact(6) {
        let of = got.cells.iter().find(|of| (of.position, of.latent) == (row[0] as usize, row[1] as u32));
        let of = of.unwrap_or_else(|| panic!("{what}: no latent {} at {}", row[1], row[0]));
        let what = format!("{what}, latent {} at {}", of.latent, of.position);
        close(&what, of.activation.into(), row[2].into());
        close(&what, of.delta_logprob, row[3].into());
        close(&what, of.delta_logit, row[4].into());
        close(&what, of.kl, row[5].into());
    }
    let falls = |sizes: Vec<f64>| sizes.windows(2).all(|two| two[0].abs() >= two[1].abs());
    assert!(falls(got.positions.iter().map(|of| of.all_latents.delta_logprob).collect()), "{what}: the largest first");
    assert!(falls(got.cells.iter().map(|of| of.delta_logprob).collect()), "{what}: the largest first");
    // Whole positions are known before the first latent is measured, and each step knows more.
    let all = got.positions.len();
    assert!(steps.iter().all(|((done, of), positions, cells)| {
        *of == 2 * all && *positions == (*done).min(all) && (*cells > 0) == (*done > all)
    }));
    // Of fewer positions, those that do most, with the same figures.
    let two = asked.grid(&[subject], 2, &cancel, &mut |_| {}).expect("is measured").remove(0);
    let measured: Vec<usize> = two.positions.iter().filter(|of| of.measured).map(|of| of.position).collect();
    assert_eq!(measured, got.positions[..2].iter().map(|of| of.position).collect::<Vec<_>>());
    let among = |of: &&saescope::analysis::CellEffect| measured.contains(&of.position);
    assert_eq!(two.cells, got.cells.iter().filter(among).copied().collect::<Vec<_>>());
    cancel.cancel();
    assert!(asked.grid(&[subject], 2, &cancel, &mut |_| {}).is_err());
}

/// Where meta-latents of the reference are taken out and read, and the token.
const METAS: (usize, usize, u32) = (4, 6, 3);

#[test]
fn what_meta_latents_do_is_what_plain_passes_with_edited_rows_say() {
    let mut cases = 0;
    for name in MODELS {
        let reference = Reference::kept(name, "metas.safetensors");
        for device in [DeviceName::Cpu, DeviceName::StandIn] {
            let loaded = model(name, device);
            for kind in SiteKind::ALL {
                let here = |convention: &&str| reference.has(&format!("{}.{convention}.w_enc", kind.name()));
                for convention in CONVENTIONS.into_iter().filter(here) {
                    metas(name, &loaded, &reference, kind, convention);
                    cases += 1;
                }
            }
        }
    }
    assert_eq!(cases, 2 * 5 * 5);
}

fn metas(name: &str, loaded: &Loaded, reference: &Reference, kind: SiteKind, convention: &str) {
    let model = &*loaded.model;
    let (site, center) = (Site { layer: reference.about.layer, kind }, convention == "center");
    let case = format!("{}.{convention}", kind.name());
    let (sae, meta) = (reference.sae(&case, convention), reference.sae(&format!("{case}.meta"), "none"));
    let (ids, cancel) = (&reference.about.ids, Cancel::new());
    let mut live = Live::new(model, site, center, sae.d_in(), 1);
    live.forward(ids, model, &cancel).expect("runs");
    live.encode(0, "s", &sae, &cancel).expect("is encoded");
    let (position, read, token) = METAS;
    live.logits(&[read], model, &cancel, |_| ()).expect("is run to its end");
    let asked = Asked { model, live: &live, site, center, position, read, token, words: None };
    let directions = reference.get(&format!("{case}.directions"));
    let twice = [&directions[..], &directions[..]].concat();
    let subject = Subject { id: "s", place: 0, sae: &sae, directions: &twice };
    for label in ["all", "one"] {
        let get = |part: &str| reference.get(&format!("{case}.{label}.{part}"));
        let latents: Vec<u32> = get("latents").iter().map(|latent| *latent as u32).collect();
        let named = if label == "all" { &[][..] } else { &latents };
        let got = asked.meta_effects(subject, &meta, named, &cancel).expect("is measured");
        let what = format!("{name} {case} {label}");
        assert_eq!((&got.latents, got.meta_latents.len()), (&latents, get("metas").shape()[0]), "{what}");
        for row in get("metas").chunks_exact(6) {
            let of = got.meta_latents.iter().find(|of| of.meta_latent == row[0] as u32).expect("is there");
            let what = format!("{what}, meta-latent {}", of.meta_latent);
            close(&what, of.activation, row[1].into());
            assert_eq!(of.latents, row[2] as usize, "{what}");
            close(&what, of.delta_logprob, row[3].into());
            close(&what, of.delta_logit, row[4].into());
            close(&what, of.kl, row[5].into());
        }
        let sizes = got.meta_latents.iter().map(|of| of.delta_logprob.abs());
        assert!(sizes.clone().zip(sizes.skip(1)).all(|(a, b)| a >= b), "{what}: the largest first");
        let parts = get("parts");
        let part = |row: usize, column: usize| f64::from(parts[row * 3 + column]);
        close(&what, got.all_latents.delta_logprob, part(0, 0));
        close(&what, got.all_latents.kl, part(0, 2));
        close(&what, got.random.norm, get("largest")[0].into());
        assert_eq!(got.random.directions, 2);
        close(&what, got.random.delta_logprob, f64::midpoint(part(1, 0), part(2, 0)));
        close(&what, got.random.kl, f64::midpoint(part(1, 2), part(2, 2)));
        close(&what, got.random.kl_max, part(1, 2).max(part(2, 2)));
    }
}
