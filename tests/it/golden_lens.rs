//! What every block says by the logit lens and a Jacobian lens, and fitted Jacobians, against plain autograd of
//! `transformers` in f64. Not here: the command (`tests/it/lens.rs`).

use saescope::analysis::lens::{layers, leaving};
use saescope::analysis::live::Live;
use saescope::blob::Blob;
use saescope::device::DeviceName;
use saescope::model::{JacobianLens, Loaded, jacobians};
use saescope::site::{Site, SiteKind};
use saescope::task::Cancel;
use saescope::weights::TensorFiles;
use serde::Deserialize;

use crate::support::reference::{close, fixtures, model};

const MODELS: [&str; 5] = ["plain", "gemma2", "llama", "neox", "pythia"];

#[derive(Deserialize)]
struct About {
    ids: Vec<u32>,
    at: usize,
}

fn reference(name: &str) -> (About, TensorFiles) {
    let file = |end: &str| fixtures().join("lens").join(format!("{name}.{end}"));
    let about = serde_json::from_slice(&std::fs::read(file("json")).expect("is there")).expect("is JSON");
    (about, TensorFiles::open(&[Blob::path(file("safetensors"))]).expect("the reference"))
}

#[test]
fn fitted_jacobians_are_those_of_autograd() {
    for name in MODELS {
        let (about, tensors) = reference(name);
        let loaded = model(name, DeviceName::StandIn);
        let got = jacobians(&*loaded.model, &about.ids, &Cancel::new()).expect("is fitted").expect("is long enough");
        let shape = loaded.model.shape();
        assert_eq!(got.len(), shape.layers - 1, "{name}");
        for (layer, got) in got.iter().enumerate() {
            let want = tensors.get(&format!("jacobian.{layer}")).expect("is there");
            let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|value| value * value).sum::<f64>().sqrt();
            let size = norm(&mut want.iter().map(|value| f64::from(*value)));
            let off = norm(&mut got.iter().zip(want.iter()).map(|(got, want)| f64::from(got - want)));
            assert!(off <= 1e-4 * size, "{name} block {layer}: off by {off} of {size}");
            let identity: f64 = (0..shape.d_model).map(|at| f64::from(got[at * shape.d_model + at])).sum();
            assert!(identity > 0.0 && size > 0.0, "{name} block {layer}");
        }
        assert!(jacobians(&*loaded.model, &about.ids[..17], &Cancel::new()).expect("is fine").is_none(), "too short");
        let cancel = Cancel::new();
        cancel.cancel();
        assert!(jacobians(&*loaded.model, &about.ids, &cancel).is_err(), "it was cancelled");
        let mapped = model(name, DeviceName::Cpu);
        assert!(jacobians(&*mapped.model, &about.ids, &Cancel::new()).is_err(), "the CPU's own path keeps no graph");
    }
}

#[test]
fn every_block_says_what_it_says_in_plain_passes() {
    for name in MODELS {
        let (about, tensors) = reference(name);
        let Loaded { model, tokenizer } = &model(name, DeviceName::Cpu);
        let lens =
            JacobianLens::open(&Blob::path(fixtures().join("lens").join(format!("{name}.pt")))).expect("is read");
        assert_eq!(lens.prompts, Some(1));
        lens.check(model.shape().d_model, model.shape().layers).expect("is of this model");
        let last = model.shape().layers - 1;
        let sites = [(0, SiteKind::ResidPre), (last, SiteKind::ResidPost), (last, SiteKind::MlpOut)];
        for site in sites.map(|(layer, kind)| Site { layer, kind }) {
            let cancel = Cancel::new();
            let mut live = Live::new(&**model, site, false, model.shape().d_model, 0);
            live.forward(&about.ids, &**model, &cancel).expect("runs");
            live.logits(&[about.at], &**model, &cancel, |_| ()).expect("is run to its end");
            let rows = leaving(&**model, &live, site, about.at, &cancel).expect("is read");
            assert_eq!(rows.len(), last + 1, "{name} {site}");
            let got = layers(&**model, &rows, Some(&lens), tokenizer, 8).expect("is read");
            for layer in &got {
                let said = tensors.get(&format!("said.{}", layer.layer)).expect("is there");
                assert_eq!(layer.next.len(), 8);
                for next in &layer.next {
                    close(
                        &format!("{name} {site} {}", layer.layer),
                        next.logprob.into(),
                        said[next.id as usize].into(),
                    );
                }
                assert_eq!(layer.jacobian.is_some(), layer.layer < last, "{name}");
                let Some(jacobian) = &layer.jacobian else { continue };
                let moved = tensors.get(&format!("moved.{}", layer.layer)).expect("is there");
                for next in jacobian {
                    close(&format!("{name} J {}", layer.layer), next.logprob.into(), moved[next.id as usize].into());
                }
            }
        }
    }
}
