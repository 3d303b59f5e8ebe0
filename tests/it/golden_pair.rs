//! What exchanging latents and meta-latents of two prompts does to the next token, against plain passes of `transformers`
//! in f64, at every site kind and with every convention that scales or centres what an SAE reads.
//! Not here: the command (`tests/it/pair.rs`).

use saescope::analysis::live::Live;
use saescope::analysis::swap::{Exchange, SwapOrder, SwapPlan, SwapUnit, differences, meta_units, units};
use saescope::blob::Blob;
use saescope::device::DeviceName;
use saescope::model::Loaded;
use saescope::sae::{Activation, Sae, SaeWeights};
use saescope::site::{Site, SiteKind};
use saescope::task::Cancel;
use saescope::weights::{Array, TensorFiles};
use serde::Deserialize;

use crate::support::reference::{CONVENTIONS, MODELS, close, fixtures, model, sae_of};

const PLACES: [(usize, usize); 2] = [(8, 6), (5, 3)];
const ANSWERS: (u32, u32) = (7, 11);

#[derive(Deserialize)]
struct About {
    base: Vec<u32>,
    source: Vec<u32>,
    layer: usize,
}

struct Case<'a> {
    name: String,
    loaded: &'a Loaded,
    tensors: &'a TensorFiles,
    about: &'a About,
    site: Site,
    center: bool,
}

#[test]
fn interchanges_are_those_of_plain_passes_at_every_site_and_with_every_convention() {
    let mut cases = 0;
    for name in MODELS {
        let file = |end: &str| fixtures().join("pair").join(format!("{name}.{end}"));
        let about: About = serde_json::from_slice(&std::fs::read(file("json")).expect("is there")).expect("is JSON");
        let tensors = TensorFiles::open(&[Blob::path(file("safetensors"))]).expect("the reference");
        let loaded = model(name, DeviceName::Cpu);
        for kind in SiteKind::ALL {
            for convention in CONVENTIONS {
                let case = format!("{}.{convention}", kind.name());
                if !tensors.names().contains(&format!("{case}.w_enc").as_str()) {
                    continue;
                }
                let (site, center) = (Site { layer: about.layer, kind }, convention == "center");
                let get = |part: &str| tensors.get(&format!("{case}.{part}")).expect("is there");
                let sae = sae_of(&get, convention);
                let meta = meta_of(&get);
                let case = Case { name: case, loaded: &loaded, tensors: &tensors, about: &about, site, center };
                case.compare(&sae, &meta);
                cases += 1;
            }
        }
    }
    assert!(cases >= 4 * 17 + 6, "{cases}");
}

fn meta_of(get: &dyn Fn(&str) -> Array) -> Sae {
    let (w_enc, w_dec) = (get("meta_enc"), get("meta_dec"));
    let (width, size) = (w_dec.shape()[0], w_dec.shape()[1]);
    let zeros = |count: usize| Array::owned(vec![0.0f32; count], &[count]);
    let parts = SaeWeights {
        w_enc: w_enc.into(),
        b_enc: zeros(width),
        w_dec: w_dec.into(),
        b_dec: zeros(size),
        apply_b_dec_to_input: true,
        rescale_acts_by_decoder_norm: false,
        activation: Activation::Relu,
        normalisation: saescope::sae::Normalisation::None,
    };
    Sae::new(parts).expect("fits together")
}

impl Case<'_> {
    fn live(&self, ids: &[u32], sae: &Sae) -> Live {
        let (model, cancel) = (&*self.loaded.model, Cancel::new());
        let mut live = Live::new(model, self.site, self.center, sae.d_in(), 1);
        live.forward(ids, model, &cancel).expect("runs");
        live.encode(0, "s", sae, &cancel).expect("is encoded");
        live.logits(&[ids.len() - 1], model, &cancel, |_| ()).expect("is run to its end");
        live
    }

    fn compare(&self, sae: &Sae, meta: &Sae) {
        let (model, cancel) = (&*self.loaded.model, Cancel::new());
        let (base, source) = (self.live(&self.about.base, sae), self.live(&self.about.source, sae));
        for (p, q) in PLACES {
            let differences = differences((&base, p), (&source, q), 0, sae);
            let latents = units(&differences, sae).expect("are there");
            let metas = meta_units(&differences, sae, meta, &cancel).expect("are there");
            let whole = source.activation(q, model, &cancel).expect("is run");
            let read = self.about.base.len() - 1;
            let (token, other) = ANSWERS;
            let exchange = Exchange { model, live: &base, site: self.site, position: p, read, token, other };
            for (what, units) in [("latents", latents), ("meta", metas)] {
                self.hold(&exchange, &format!("{}.{p}.{q}", self.name), what, &units, &whole);
            }
        }
    }

    fn hold(&self, exchange: &Exchange<'_>, at: &str, what: &str, units: &[SwapUnit], whole: &[f32]) {
        let plan = SwapPlan { order: SwapOrder::Effect, random: (3, 1) };
        let got = exchange.run(units, whole, plan, &Cancel::new(), &|_| {}).expect("is exchanged");
        let get = |part: &str| self.tensors.get(&format!("{at}.{part}")).unwrap_or_else(|error| panic!("{error}"));
        let (rows, curve, end) = (get(what), get(&format!("{what}.curve")), get("whole"));
        let name = format!("{at} {what}");
        assert_eq!(got.latents.len(), rows.shape()[0], "{name}");
        for (latent, row) in got.latents.iter().zip(rows.chunks_exact(4)) {
            assert_eq!(latent.latent, row[0] as u32, "{name}: the order");
            close(&name, latent.base.into(), row[1].into());
            close(&name, latent.source.into(), row[2].into());
            close(&name, latent.effect, row[3].into());
        }
        assert_eq!(got.curve.len(), got.latents.len() + 1, "{name}");
        for (point, row) in got.curve.iter().zip(curve.chunks_exact(2)) {
            close(&name, point.logprob_token, row[0].into());
            close(&name, point.logprob_other, row[1].into());
        }
        close(&name, got.whole.logprob_token, end[0].into());
        close(&name, got.whole.logprob_other, end[1].into());
        let flips = curve.chunks_exact(2).position(|row| row[1] > row[0]);
        assert_eq!(got.flips_at, flips, "{name}");
        // With all of them in, whatever the order, a draw is the end of the curve.
        let (last, all) = (got.random.last().expect("draws"), got.curve.last().expect("a curve"));
        assert_eq!(last.k, got.latents.len());
        close(&name, last.logprob_token, all.logprob_token);
        close(&name, last.logprob_other, all.logprob_other);
    }
}
