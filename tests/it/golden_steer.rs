//! What a model writes when it is changed while it writes, against plain passes of `transformers` in f64: every edit, every
//! place and condition, with every convention that scales or centres what an SAE reads. Not here: the command (`steer`).

use std::sync::Arc;

use saescope::analysis::intervention::{
    ActivationEdit, ArmEdit, Change, Combination, Control, Intervention, LatentAbove, LatentId, Setting, Where,
};
use saescope::analysis::steering::{Prefix, Steering, Written};
use saescope::blob::Blob;
use saescope::device::DeviceName;
use saescope::model::{Loaded, Sampling};
use saescope::sae::Sae;
use saescope::site::{Site, SiteKind};
use saescope::task::Cancel;
use saescope::weights::TensorFiles;
use serde::Deserialize;

use crate::support::reference::{MODELS, fixtures, model, sae_of};

#[derive(Deserialize)]
struct About {
    layer: usize,
    bos: usize,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    kind: String,
    convention: String,
    spec: Spec,
    ids: Vec<u32>,
    size: usize,
    arms: Arms,
}

#[derive(Debug, Deserialize)]
struct Spec {
    edits: Vec<EditSpec>,
    at: AtSpec,
    #[serde(rename = "while")]
    only: Option<(u32, f32)>,
    #[serde(rename = "stop")]
    until: Option<(u32, f32)>,
}

#[derive(Debug, Deserialize)]
struct EditSpec {
    edit: String,
    latent: Option<u32>,
    members: Option<Vec<(u32, f32)>>,
    direction: Option<usize>,
    #[serde(default)]
    by: f32,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum AtSpec {
    Named(String),
    Positions(Vec<usize>),
}

#[derive(Deserialize)]
struct Arms {
    untouched: Text,
    steered: Text,
    random: Text,
}

#[derive(Deserialize)]
struct Text {
    ids: Vec<u32>,
    logprobs: Vec<f64>,
    perplexity: f64,
    deltas: Vec<f64>,
    fires: Vec<Option<f64>>,
}

fn sae(tensors: &TensorFiles, size: usize, convention: &str) -> Sae {
    let get = |part: &str| tensors.get(&format!("{size}.{part}")).unwrap_or_else(|error| panic!("{error}"));
    sae_of(&get, convention)
}

fn latent(latent: u32) -> LatentId {
    LatentId { sae: "s".to_owned(), latent }
}

fn edit(of: &EditSpec, directions: &[f32], size: usize) -> ActivationEdit {
    let by = of.by;
    let row = |at: usize| directions[at * size..(at + 1) * size].to_vec();
    if let Some(latent_of) = of.latent {
        let latent = latent(latent_of);
        return match &*of.edit {
            "ablate" => ActivationEdit::Ablate(latent),
            "set" => ActivationEdit::Set { latent, value: by },
            "scale" => ActivationEdit::Scale { latent, by },
            "add" => ActivationEdit::More { latent, by },
            "project" => ActivationEdit::Along { latent, coefficient: by },
            other => panic!("{other}"),
        };
    }
    let direction = row(of.direction.expect("a direction"));
    if let Some(members) = of.members.clone() {
        let change = match &*of.edit {
            "ablate" => Change::Off,
            "set" => Change::To(by),
            "scale" => Change::Times(by),
            "add" => Change::More(by),
            "project" => Change::Along(by),
            other => panic!("{other}"),
        };
        let of = Combination { name: "several".to_owned(), sae: "s".to_owned(), members, direction };
        return ActivationEdit::Combined { of: Arc::new(of), change };
    }
    match &*of.edit {
        "add" => ActivationEdit::Add { direction: direction.into(), strength: by },
        "project" => ActivationEdit::Project { direction: direction.into(), coefficient: by },
        other => panic!("{other}"),
    }
}

fn close(what: &str, got: f64, want: f64) {
    assert!((got - want).abs() <= 1e-4 * want.abs().max(1.0), "{what}: {got}, expected {want}");
}

fn compare(what: &str, got: &Written<'_>, want: &Text, prompt: usize) {
    assert_eq!(got.ids, want.ids, "{what}");
    for (got, want) in got.logprobs.iter().zip(&want.logprobs) {
        close(what, *got, *want);
    }
    close(&format!("{what}, perplexity"), got.perplexity.expect("a text"), want.perplexity);
    let edited: Vec<usize> = got.edit.edited().iter().map(|(at, _)| *at).collect();
    let changed: Vec<usize> = (0..want.deltas.len()).filter(|at| want.deltas[*at] > 0.0).collect();
    assert_eq!(edited, changed, "{what}: positions that are changed");
    for (at, norm) in got.edit.edited() {
        close(&format!("{what}, Δ at {at}"), *norm, want.deltas[*at]);
    }
    let fires: Vec<f64> = got
        .edit
        .fires()
        .iter()
        .filter(|firing| firing.position >= prompt)
        .map(|firing| firing.activation.into())
        .collect();
    let wanted: Vec<f64> = want.fires.iter().copied().flatten().collect();
    assert_eq!(fires.len(), wanted.len(), "{what}");
    fires.iter().zip(&wanted).for_each(|(got, want)| close(&format!("{what}, activation"), *got, *want));
}

fn one((name, card): (&str, bool), loaded: &Loaded, about: &About, case: &Case, tensors: &TensorFiles) {
    let kind = SiteKind::ALL.into_iter().find(|kind| kind.name() == case.kind).expect("a kind");
    let (site, size) = (Site { layer: about.layer, kind }, case.size);
    let sae = sae(tensors, size, &case.convention);
    let directions = tensors.get(&format!("{size}.directions")).expect("directions");
    let edits = case.spec.edits.iter().map(|of| edit(of, &directions, size)).collect();
    let at = match &case.spec.at {
        AtSpec::Named(name) if name == "fires" => Where::Fires,
        AtSpec::Named(_) => Where::All,
        AtSpec::Positions(these) => Where::Positions(these.clone()),
    };
    let condition = |of: Option<(u32, f32)>| of.map(|(index, above)| LatentAbove { latent: latent(index), above });
    let (only, until) = (condition(case.spec.only), condition(case.spec.until));
    let steered = Intervention { only, until, ..Intervention::new(site, at, edits) };
    let random = Intervention { control: Some(Control::Along(directions[2 * size..].into())), ..steered.clone() };
    let setting = Setting { sae: &|_| Some(&sae), size, center: case.convention == "center", bos: about.bos };
    let compile = |intervention: &Intervention| intervention.compile(setting).expect("fits");
    let prompt = case.ids.len();
    let arms = || {
        vec![
            ArmEdit::new(compile(&steered), false, prompt),
            ArmEdit::new(compile(&steered), true, prompt),
            ArmEdit::new(compile(&random), true, prompt),
        ]
    };
    let (model, cancel) = (&*loaded.model, Cancel::new());
    let tokens = case.arms.untouched.ids.len();
    let steering = Steering {
        model,
        site,
        ids: &case.ids,
        tokens,
        sampling: Sampling::Greedy,
        candidates: 4,
        stop: &[],
        cancel: &cancel,
    };
    let mut prefix = Prefix::default();
    prefix.run(model, site, &case.ids, &cancel).expect("the prompt runs");
    let written = steering.write(&prefix, arms(), &mut |_| ()).expect("is written");
    let what = format!("{name} {} {} {:?}", case.kind, case.convention, case.spec);
    for (got, (arm, want)) in written.iter().zip([
        ("untouched", &case.arms.untouched),
        ("steered", &case.arms.steered),
        ("random", &case.arms.random),
    ]) {
        compare(&format!("{what}, {arm}"), got, want, case.ids.len());
        // The likeliest in a token's place is the token, since nothing is drawn.
        for ((id, logprob), candidates) in got.ids.iter().zip(&got.logprobs).zip(&got.candidates) {
            assert_eq!((candidates.len(), candidates[0]), (4, (*id, *logprob)), "{what}, {arm}");
            assert!(candidates.windows(2).all(|two| two[0].1 >= two[1].1), "{what}, {arm}");
        }
        assert_eq!(got.candidates.len(), got.ids.len());
    }
    if card {
        return;
    }
    // Each arm alone, to the bit.
    for (arm, together) in arms().into_iter().zip(&written) {
        let alone = steering.write(&prefix, vec![arm], &mut |_| ()).expect("is written");
        let bits = |written: &Written<'_>| written.logprobs.iter().map(|p| p.to_bits()).collect::<Vec<_>>();
        assert_eq!((&alone[0].ids, bits(&alone[0])), (&together.ids, bits(together)), "{what}: alone");
        assert_eq!(alone[0].perplexity, together.perplexity, "{what}: alone");
    }
}

#[test]
fn texts_are_those_of_plain_passes_at_every_site_and_with_every_edit() {
    let (mut all, mut moved) = (0, 0);
    for name in MODELS {
        let file = |end: &str| fixtures().join("steer").join(format!("{name}.{end}"));
        let about: About = serde_json::from_slice(&std::fs::read(file("json")).expect("the texts")).expect("is JSON");
        let tensors = TensorFiles::open(&[Blob::path(file("safetensors"))]).expect("the SAEs");
        let cpu = model(name, DeviceName::Cpu);
        for case in &about.cases {
            one((name, false), &cpu, &about, case, &tensors);
            all += 1;
            moved += usize::from(case.arms.steered.ids != case.arms.untouched.ids);
        }
    }
    assert!(all > 400 && 2 * moved > all, "{moved} of {all} are other texts");
}

#[test]
fn a_card_writes_the_same() {
    for name in ["plain", "gemma2", "neox"] {
        let file = |end: &str| fixtures().join("steer").join(format!("{name}.{end}"));
        let about: About = serde_json::from_slice(&std::fs::read(file("json")).expect("the texts")).expect("is JSON");
        let tensors = TensorFiles::open(&[Blob::path(file("safetensors"))]).expect("the SAEs");
        let card = model(name, DeviceName::StandIn);
        for case in about.cases.iter().step_by(11) {
            one((name, true), &card, &about, case, &tensors);
        }
    }
}
