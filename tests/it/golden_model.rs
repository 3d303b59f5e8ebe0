//! The forward pass against `transformers`, on the small models of `tests/fixtures`.
//! Not here: wrong files (`tests/it/bad_model.rs`) and SAEs.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};
use saescope::blob::Blob;
use saescope::device::DeviceName;
use saescope::model::{
    Backend, Error, Generate, Hook, Loaded, Logits, ModelFiles, ModelScope, Pass, Sampling, TokenizerFiles,
    TokenizerSaid, generate, load, load_part, needs,
};
use saescope::site::{Site, SiteKind};
use saescope::task::Cancel;
use saescope::weights::TensorFiles;

const MODELS: [&str; 28] = [
    "plain",
    "deep",
    "prefixed",
    "sharded",
    "untied",
    "varied",
    "half",
    "bfloat",
    "llama",
    "llama3",
    "llama_linear",
    "llama_yarn",
    "llama_longrope",
    "gemma2",
    "gemma2_old",
    "gemma2_plain",
    "gemma3",
    "gemma3_sees",
    "pythia",
    "neox",
    "neox_parallel",
    "llama_compiled",
    "llama_proportional",
    "llama_float8",
    "mistral",
    "qwen2",
    "qwen3",
    "olmo2",
];

/// Models whose files hold no head, and whose embedding is none.
const HEADLESS: [&str; 2] = ["llama_headless", "gpt2_headless"];

/// The kinds of sites that a model has.
fn kinds(loaded: &Loaded) -> Vec<SiteKind> {
    let has = |kind: &SiteKind| loaded.model.site_size(Site { layer: 0, kind: *kind }).is_ok();
    SiteKind::ALL.into_iter().filter(has).collect()
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

fn files(name: &str) -> ModelFiles {
    let folder = fixtures().join("models").join(name);
    let mut weights: Vec<PathBuf> = std::fs::read_dir(&folder)
        .expect("the fixture")
        .map(|entry| entry.expect("a file").path())
        .filter(|path| {
            path.extension().is_some_and(|end| end == "safetensors") && !path.ends_with("reference.safetensors")
        })
        .collect();
    weights.sort();
    ModelFiles {
        config: Blob::path(folder.join("config.json")),
        weights: weights.into_iter().map(Blob::path).collect(),
        tokenizer: TokenizerFiles::Json(Blob::path(fixtures().join("tokenizer/tokenizer.json"))),
        said: TokenizerSaid::default(),
    }
}

fn loaded(name: &str) -> Loaded {
    load(&files(name), &Device::Cpu).expect("the fixture loads")
}

/// The model on the CPU, and as a card computes it, the CPU in the card's place.
fn everywhere(name: &str) -> [Loaded; 2] {
    let place = Backend::open(DeviceName::StandIn).expect("is always there");
    [loaded(name), place.load(&files(name), ModelScope::Whole).expect("the fixture loads")]
}

/// What `transformers` says about one model.
struct Reference {
    model: String,
    ids: Vec<u32>,
    greedy_after_5: Vec<u32>,
    tensors: TensorFiles,
}

impl Reference {
    fn of(name: &str) -> Self {
        let folder = fixtures().join("models").join(name);
        let text = std::fs::read_to_string(folder.join("reference.json")).expect("the reference");
        let json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        let list = |key: &str| serde_json::from_value(json[key].clone()).expect("token numbers");
        let tensors = TensorFiles::open(&[Blob::path(folder.join("reference.safetensors"))]).expect("tensors");
        Self { model: name.to_owned(), ids: list("ids"), greedy_after_5: list("greedy_after_5"), tensors }
    }

    fn close(&self, name: &str, got: &[f32]) {
        let want = self.tensors.get(name).unwrap_or_else(|error| panic!("{}: {error}", self.model));
        assert_eq!(got.len(), want.len(), "{name}");
        let largest = want.iter().fold(0.0f32, |max, value| max.max(value.abs()));
        for (index, (got, want)) in got.iter().zip(want.iter()).enumerate() {
            let bound = 1e-4 * want.abs() + 1e-5 * largest;
            let model = &self.model;
            assert!((got - want).abs() <= bound, "{model}: {name} at {index}: {got}, transformers says {want}");
        }
    }
}

fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().and_then(|flat| flat.to_vec1()).expect("values")
}

/// Keeps every activation it is shown, one pass after the other.
#[derive(Default)]
struct Keep(BTreeMap<String, Vec<f32>>);

impl Hook for Keep {
    fn is_active(&self, _: Site) -> bool {
        true
    }

    fn visit(&mut self, site: Site, activation: &Tensor) -> candle_core::Result<Option<Tensor>> {
        let name = format!("{}.{}", site.kind.name(), site.layer);
        self.0.entry(name).or_default().extend(values(activation));
        Ok(None)
    }
}

/// Replaces the activation x at one site by 0.5·x + 0.25.
struct Change(Site);

impl Hook for Change {
    fn is_active(&self, site: Site) -> bool {
        site == self.0
    }

    fn visit(&mut self, _: Site, activation: &Tensor) -> candle_core::Result<Option<Tensor>> {
        activation.affine(0.5, 0.25).map(Some)
    }
}

/// Runs `ids` in pieces of these lengths, keeping all activations and logits.
fn run_in_pieces(loaded: &Loaded, ids: &[u32], pieces: &[usize]) -> (Keep, Vec<f32>) {
    let (mut keep, mut logits, mut cache) = (Keep::default(), Vec::new(), loaded.model.cache());
    let mut rest = ids;
    for piece in pieces {
        let (now, later) = rest.split_at(*piece);
        let pass = Pass { layers: None, logits: Logits::All, hook: Some(&mut keep), cancel: &Cancel::new() };
        logits.extend(values(&loaded.model.forward(now, &mut cache, pass).expect("a pass").expect("logits")));
        rest = later;
    }
    assert!(rest.is_empty());
    assert_eq!(cache.ids(), ids);
    (keep, logits)
}

#[test]
fn every_site_and_the_logits_are_those_of_transformers() {
    for name in MODELS {
        let reference = Reference::of(name);
        for loaded in everywhere(name) {
            let (keep, logits) = run_in_pieces(&loaded, &reference.ids, &[12]);
            reference.close("logits", &logits);
            for layer in 0..loaded.model.shape().layers {
                for kind in kinds(&loaded) {
                    let site = format!("{}.{layer}", kind.name());
                    reference.close(&site, &keep.0[&site]);
                }
            }
            assert_eq!(keep.0.len(), loaded.model.shape().layers * kinds(&loaded).len(), "{name}: no other sites");
        }
    }
}

#[test]
fn a_model_without_a_head_has_every_site_and_says_why_it_has_no_logits() {
    for name in HEADLESS {
        let reference = Reference::of(name);
        for loaded in everywhere(name) {
            let (mut keep, mut cache) = (Keep::default(), loaded.model.cache());
            let pass = Pass { layers: None, logits: Logits::None, hook: Some(&mut keep), cancel: &Cancel::new() };
            let none = loaded.model.forward(&reference.ids, &mut cache, pass);
            assert!(none.expect("a pass").is_none());
            for (site, got) in &keep.0 {
                reference.close(site, got);
            }
            assert_eq!(keep.0.len(), loaded.model.shape().layers * 6, "{name}");
            assert!(loaded.model.unembedding().is_none());
            let pass = Pass { layers: None, logits: Logits::Last, hook: None, cancel: &Cancel::new() };
            let logits = loaded.model.forward(&[1], &mut loaded.model.cache(), pass);
            for error in [logits.expect_err("no head"), loaded.model.check_logits().expect_err("no head")] {
                let said = error.to_string();
                assert!(matches!(error, Error::NoHead { .. }), "{said}");
                assert!(said.contains("model.safetensors") && said.contains("lm_head.weight"), "{said}");
            }
        }
        // The memory of the words is none, and what is opened without them opens.
        let needs = needs(&files(name)).expect("known");
        assert_eq!((needs.words(), needs.tied), (0, false));
        for extent in [ModelScope::Unembedding, ModelScope::Blocks(1)] {
            let part = load_part(&files(name), &Device::Cpu, extent).expect("opens");
            assert!(part.model.unembedding().is_none() && !part.tokenizer.encode("a").expect("tokens").is_empty());
        }
        let blocks = load_part(&files(name), &Device::Cpu, ModelScope::Blocks(1)).expect("opens").model;
        assert!(matches!(blocks.check_logits(), Err(Error::NotOpen { open: 1, layers: 2 })));
    }
    assert!(loaded("untied").model.check_logits().is_ok() && loaded("plain").model.check_logits().is_ok());
}

#[test]
fn pieces_with_the_cache_on_a_card_give_what_transformers_gives_at_once() {
    for name in MODELS {
        let ([_, loaded], reference) = (everywhere(name), Reference::of(name));
        for pieces in [&[1; 12][..], &[5, 7], &[1, 2, 9]] {
            let (_, logits) = run_in_pieces(&loaded, &reference.ids, pieces);
            reference.close("logits", &logits);
        }
    }
}

#[test]
fn pieces_with_the_cache_give_the_very_bits_that_one_pass_gives() {
    for name in MODELS {
        let (loaded, reference) = (loaded(name), Reference::of(name));
        let (whole, all_logits) = run_in_pieces(&loaded, &reference.ids, &[12]);
        for pieces in [&[1; 12][..], &[5, 7], &[1, 2, 9]] {
            let (keep, logits) = run_in_pieces(&loaded, &reference.ids, pieces);
            assert_eq!(logits, all_logits, "{name}");
            assert_eq!(keep.0, whole.0, "{name}");
        }
    }
}

#[test]
fn what_attention_and_mlp_add_to_the_stream_makes_the_streams_behind_them() {
    for name in MODELS {
        let loaded = loaded(name);
        let (keep, _) = run_in_pieces(&loaded, &Reference::of(name).ids, &[12]);
        let sum = |of: &[&str], layer: usize| {
            let rows = of.iter().map(|kind| &keep.0[&format!("{kind}.{layer}")]);
            rows.fold(vec![0.0; 12 * loaded.model.shape().d_model], |sum, row| {
                sum.iter().zip(row).map(|(sum, x)| sum + f64::from(*x)).collect()
            })
        };
        let same = |layer, parts: &[&str], whole| {
            let (parts, whole) = (sum(parts, layer), sum(&[whole], layer));
            let largest = whole.iter().fold(0.0f64, |max, x| max.max(x.abs()));
            let off = parts.iter().zip(&whole).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(off <= 1e-6 * largest, "{name}: {off} of {largest} in block {layer}");
        };
        for layer in 0..loaded.model.shape().layers {
            same(layer, &["resid_pre", "attn_out", "mlp_out"], "resid_post");
            if !loaded.model.shape().parallel {
                same(layer, &["resid_pre", "attn_out"], "resid_mid");
                same(layer, &["resid_mid", "mlp_out"], "resid_post");
            }
        }
    }
}

#[test]
fn a_parallel_residual_has_no_stream_between_attention_and_mlp() {
    let site = Site { layer: 1, kind: SiteKind::ResidMid };
    let without: Vec<&str> = MODELS.into_iter().filter(|name| loaded(name).model.site_size(site).is_err()).collect();
    assert_eq!(without, ["pythia", "neox_parallel"]);
    let error = loaded("pythia").model.site_size(site).expect_err("there is none").to_string();
    for words in ["no site layer 1 resid_mid", "GPT-NeoX", "`use_parallel_residual`"] {
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn resid_pre_of_block_8_is_hidden_states_8() {
    let (loaded, reference) = (loaded("deep"), Reference::of("deep"));
    let (keep, _) = run_in_pieces(&loaded, &reference.ids, &[12]);
    reference.close("hidden_states.8", &keep.0["resid_pre.8"]);
    assert_eq!(keep.0["resid_pre.8"], keep.0["resid_post.7"]);
}

#[test]
fn resid_pre_of_block_0_is_token_plus_position_embedding() {
    let (loaded, reference) = (loaded("deep"), Reference::of("deep"));
    let (keep, _) = run_in_pieces(&loaded, &reference.ids, &[12]);
    reference.close("hidden_states.0", &keep.0["resid_pre.0"]);
}

#[test]
fn the_last_hidden_state_of_transformers_is_after_the_final_norm_and_resid_post_is_not() {
    let (loaded, reference) = (loaded("deep"), Reference::of("deep"));
    let (keep, _) = run_in_pieces(&loaded, &reference.ids, &[12]);
    let normed = reference.tensors.get("hidden_states.10").expect("the last hidden state");
    let largest = keep.0["resid_post.9"].iter().zip(normed.iter()).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(largest > 0.1, "the final norm changes the stream, by {largest}");
}

#[test]
fn nothing_is_put_in_front_of_the_tokens_and_bos_is_the_end_of_text() {
    let loaded = loaded("plain");
    let bos = loaded.tokenizer.bos().expect("a beginning");
    assert_eq!(loaded.tokenizer.bytes_of(bos), b"<|endoftext|>");
    assert!(!loaded.tokenizer.encode("the cat").expect("tokens").contains(&bos));
}

#[test]
fn a_replaced_activation_changes_all_that_follows_as_in_transformers() {
    for name in MODELS {
        let reference = Reference::of(name);
        let every = |loaded: Loaded| kinds(&loaded).into_iter().map(move |kind| (loaded.clone(), kind));
        for (loaded, kind) in everywhere(name).into_iter().flat_map(every) {
            let mut change = Change(Site { layer: 1, kind });
            let pass = Pass { layers: None, logits: Logits::All, hook: Some(&mut change), cancel: &Cancel::new() };
            let logits = loaded.model.forward(&reference.ids, &mut loaded.model.cache(), pass);
            let logits = values(&logits.expect("a pass").expect("logits"));
            // Of some models the reference holds the last positions only.
            let name = format!("replaced.{}.1", kind.name());
            let held = reference.tensors.get(&name).expect("a reference").len();
            reference.close(&name, &logits[logits.len() - held..]);
        }
    }
}

#[test]
fn directions_mean_the_same_words_as_in_torch() {
    for name in &MODELS[8..] {
        let (loaded, reference) = (loaded(name), Reference::of(name));
        let directions = reference.tensors.get("directions").expect("directions");
        let vocab = loaded.model.shape().vocab;
        let mut values = Vec::new();
        for top_logits in loaded.model.unembedding().expect("the words").top_logits(directions.view(), vocab) {
            let mut words = vec![f32::NAN; vocab];
            top_logits.promoted.iter().for_each(|(id, value)| words[*id as usize] = *value);
            values.extend(words);
        }
        reference.close("directions.words", &values);
    }
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    for name in MODELS {
        let (loaded, reference) = (loaded(name), Reference::of(name));
        let ids = [&reference.ids[..], &reference.ids, &reference.ids[..6]].concat();
        let run = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
            let (keep, logits) = pool.install(|| run_in_pieces(&loaded, &ids, &[30]));
            (keep.0, logits)
        };
        assert!(run(1) == run(5), "{name}");
    }
}

#[test]
fn greedy_generation_is_that_of_transformers() {
    for name in MODELS {
        let reference = Reference::of(name);
        for loaded in everywhere(name) {
            let mut heard = Vec::new();
            let asked = Generate {
                ids: &reference.ids[..5],
                tokens: 12,
                sampling: Sampling::Greedy,
                stop: &[],
                hook: None,
                cancel: &Cancel::new(),
            };
            let new = generate(&*loaded.model, &mut loaded.model.cache(), asked, &mut |id| {
                heard.push(id);
                ControlFlow::Continue(())
            });
            assert_eq!(new.expect("tokens"), reference.greedy_after_5, "{name}");
            assert_eq!(heard, reference.greedy_after_5, "{name}");
        }
    }
}

#[test]
fn a_hook_replaces_at_every_step_of_a_generation() {
    let loaded = loaded("plain");
    let site = Site { layer: 1, kind: SiteKind::ResidPost };
    let mut ids = vec![289, 7, 9];
    for _ in 0..6 {
        let (mut change, cancel) = (Change(site), Cancel::new());
        let pass = Pass { layers: None, logits: Logits::Last, hook: Some(&mut change), cancel: &cancel };
        let logits = loaded.model.forward(&ids, &mut loaded.model.cache(), pass).expect("a pass").expect("logits");
        let logits = values(&logits);
        let best = (0..290).max_by(|a, b| logits[*a].total_cmp(&logits[*b])).expect("a token");
        ids.push(best as u32);
    }
    let generate = |hook: Option<&mut Change>| {
        let hook = hook.map(|hook| hook as &mut dyn Hook);
        let cancel = Cancel::new();
        let asked =
            Generate { ids: &[289, 7, 9], tokens: 6, sampling: Sampling::Greedy, stop: &[], hook, cancel: &cancel };
        generate(&*loaded.model, &mut loaded.model.cache(), asked, &mut |_| ControlFlow::Continue(())).expect("tokens")
    };
    assert_eq!(generate(Some(&mut Change(site))), ids[3..]);
    assert_ne!(generate(None), ids[3..]);
}

#[test]
fn the_last_logits_are_the_last_row_of_all() {
    let (loaded, reference) = (loaded("plain"), Reference::of("plain"));
    let (_, all) = run_in_pieces(&loaded, &reference.ids, &[12]);
    let pass = Pass { layers: None, logits: Logits::Last, hook: None, cancel: &Cancel::new() };
    let last = loaded.model.forward(&reference.ids, &mut loaded.model.cache(), pass).expect("a pass").expect("logits");
    assert_eq!(last.dims(), [1, 290]);
    let largest = values(&last).iter().zip(&all[11 * 290..]).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(largest < 1e-4, "{largest}");
}

#[test]
fn a_pass_through_some_blocks_stops_there_and_offers_what_leaves_them() {
    let (loaded, reference) = (loaded("deep"), Reference::of("deep"));
    let (mut keep, mut cache) = (Keep::default(), loaded.model.cache());
    let pass = Pass { layers: Some(8), logits: Logits::None, hook: Some(&mut keep), cancel: &Cancel::new() };
    assert!(loaded.model.forward(&reference.ids, &mut cache, pass).expect("a pass").is_none());
    reference.close("resid_pre.8", &keep.0["resid_pre.8"]);
    assert!(!keep.0.contains_key("mlp_out.8"));
    let deeper = Pass { layers: None, logits: Logits::None, hook: None, cancel: &Cancel::new() };
    let error = loaded.model.forward(&[1], &mut cache, deeper).expect_err("the cache is too shallow");
    assert!(matches!(error, Error::Shallow { asked: 10, held: 8 }), "{error}");
    assert_eq!(cache.keep_for(&reference.ids, 10), 0);
}

#[test]
fn a_pass_that_fails_leaves_the_cache_as_it_was() {
    struct CancelAt(usize, Cancel);
    impl Hook for CancelAt {
        fn is_active(&self, site: Site) -> bool {
            site == Site { layer: self.0, kind: SiteKind::ResidPost }
        }
        fn visit(&mut self, _: Site, _: &Tensor) -> candle_core::Result<Option<Tensor>> {
            self.1.cancel();
            Ok(None)
        }
    }
    let (loaded, reference) = (loaded("deep"), Reference::of("deep"));
    let mut cache = loaded.model.cache();
    let never = Cancel::new();
    let pass = || Pass { layers: None, logits: Logits::All, hook: None, cancel: &never };
    loaded.model.forward(&reference.ids[..4], &mut cache, pass()).expect("a pass");
    let cancel = Cancel::new();
    let mut hook = CancelAt(5, cancel.clone());
    let cancelled = Pass { layers: None, logits: Logits::All, hook: Some(&mut hook), cancel: &cancel };
    let error = loaded.model.forward(&[9, 9, 9], &mut cache, cancelled).expect_err("cancelled");
    assert!(matches!(error, Error::Cancelled(_)));
    assert_eq!(cache.ids(), &reference.ids[..4]);
    let logits = loaded.model.forward(&reference.ids[4..], &mut cache, pass()).expect("a pass").expect("logits");
    let want = reference.tensors.get("logits").expect("logits");
    let largest = values(&logits).iter().zip(&want[4 * 290..]).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(largest < 1e-3, "{largest}");
}

#[test]
fn what_cannot_be_run_is_refused() {
    struct Cut;
    impl Hook for Cut {
        fn is_active(&self, _: Site) -> bool {
            true
        }
        fn visit(&mut self, _: Site, activation: &Tensor) -> candle_core::Result<Option<Tensor>> {
            activation.narrow(1, 0, 3).map(Some)
        }
    }
    let loaded = loaded("plain");
    let run = |ids: &[u32], cut: bool| {
        let (mut cut, cancel) = (cut.then_some(Cut), Cancel::new());
        let hook = cut.as_mut().map(|cut| cut as &mut dyn Hook);
        let pass = Pass { layers: None, logits: Logits::None, hook, cancel: &cancel };
        loaded.model.forward(ids, &mut loaded.model.cache(), pass).expect_err("refused").to_string()
    };
    assert_eq!(run(&[], false), "there are no tokens to run");
    assert_eq!(run(&[0; 33], false), "33 tokens are more than the 32 the model can take");
    assert_eq!(run(&[0, 290], false), "token 290 is beyond the model's vocabulary of 290");
    let error = run(&[0], true);
    assert!(error.contains("layer 0 resid_pre") && error.contains("[1, 3]"), "{error}");
}

#[test]
fn sampling_with_a_seed_gives_the_same_tokens_and_stops_when_told() {
    let loaded = loaded("plain");
    let run = |seed, stop: &[u32], limit: usize| {
        let sampling = Sampling::Random { temperature: 1.5, top_p: 0.95, seed };
        let asked = Generate { ids: &[289, 5], tokens: 50, sampling, stop, hook: None, cancel: &Cancel::new() };
        let mut count = 0;
        generate(&*loaded.model, &mut loaded.model.cache(), asked, &mut |_| {
            count += 1;
            if count == limit { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
        .expect("tokens")
    };
    let first = run(1, &[], 99);
    assert_eq!(first.len(), 31, "two tokens, then until the context of 32 is full, and what follows it");
    assert_eq!(first, run(1, &[], 99));
    assert_ne!(first, run(2, &[], 99));
    assert_eq!(run(1, &[], 4), first[..4]);
    let end = first.iter().position(|id| *id == first[6]).expect("it is there");
    assert_eq!(run(1, &[first[6]], 99), first[..=end]);
}

/// The first position attends to itself alone, so its z is W_V·(gain · normed x) and the constant.
#[test]
fn what_the_values_bias_adds_to_z_is_what_is_left_when_the_rest_is_taken_out() {
    let model = loaded("plain").model;
    let files = files("plain").weights;
    let weights = TensorFiles::open(&files).expect("the weights");
    let reference = fixtures().join("models/plain/reference.safetensors");
    let reference = TensorFiles::open(&[Blob::path(reference)]).expect("the reference");
    let d = model.shape().d_model;
    let get = |files: &TensorFiles, name: &str| files.get(name).expect("a tensor").to_vec();
    let (x, z) = (get(&reference, "resid_pre.1"), get(&reference, "attn_z.1"));
    let (gain, values) = (get(&weights, "h.1.ln_1.weight"), get(&weights, "h.1.attn.c_attn.weight"));
    let row: Vec<f64> = x[..d].iter().map(|&x| f64::from(x)).collect();
    let mean = row.iter().sum::<f64>() / d as f64;
    let variance = row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / d as f64;
    let normed: Vec<f64> =
        row.iter().zip(&gain).map(|(x, gain)| (x - mean) / (variance + 1e-5).sqrt() * f64::from(*gain)).collect();
    let bias = model.value_bias(1).expect("is read").expect("GPT-2 has one");
    assert_eq!(bias.len(), d);
    for (column, bias) in bias.iter().enumerate() {
        let rest: f64 = (0..d).map(|k| normed[k] * f64::from(values[k * 3 * d + 2 * d + column])).sum();
        let want = f64::from(z[column]) - rest;
        assert!((f64::from(*bias) - want).abs() < 1e-4, "{column}: {bias} for {want}");
    }
    assert!(bias.iter().any(|bias| bias.abs() > 1e-2), "there is something to take out");
    assert!(model.value_bias(99).expect("is no error").is_none());
    assert!(loaded("llama").model.value_bias(0).expect("is no error").is_none());
}
