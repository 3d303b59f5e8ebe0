//! Passes that stop at a site and continue later: the bits are those of one pass.
//! Not here: whether one pass is right (`golden_model`).

use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use saescope::analysis::live::Tap;
use saescope::blob::Blob;
use saescope::model::{Cache, Error, Fan, Logits, Model, ModelFiles, Pass, TokenizerFiles, TokenizerSaid, load};
use saescope::site::{Site, SiteKind};
use saescope::task::Cancel;

const IDS: [u32; 9] = [289, 5, 9, 77, 3, 12, 4, 4, 200];

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

fn files(name: &str) -> ModelFiles {
    let folder = fixtures().join("models").join(name);
    ModelFiles {
        config: Blob::path(folder.join("config.json")),
        weights: vec![Blob::path(folder.join("model.safetensors"))],
        tokenizer: TokenizerFiles::Json(Blob::path(fixtures().join("tokenizer/tokenizer.json"))),
        said: TokenizerSaid::default(),
    }
}

fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().and_then(|flat| flat.to_vec1()).expect("f32 values")
}

/// What leaves the first blocks, [ids, d_model].
fn stop_behind(model: &dyn Model, blocks: usize, ids: &[u32], cache: &mut Cache) -> Vec<f32> {
    let site = match blocks.checked_sub(1) {
        None => Site { layer: 0, kind: SiteKind::ResidPre },
        Some(layer) => Site { layer, kind: SiteKind::ResidPost },
    };
    let mut tap = Tap::new(site);
    let pass = Pass { layers: Some(blocks), logits: Logits::None, hook: Some(&mut tap), cancel: &Cancel::new() };
    model.forward(ids, cache, pass).expect("a pass");
    tap.rows
}

#[test]
fn a_pass_that_stops_and_goes_on_later_gives_the_bits_of_one_pass() {
    for name in ["deep", "gemma2", "llama_yarn", "pythia"] {
        let model = load(&files(name), &Device::Cpu).expect("the fixture loads").model;
        let (layers, d, vocab) = (model.shape().layers, model.shape().d_model, model.shape().vocab);
        let pass = Pass { layers: None, logits: Logits::All, hook: None, cancel: &Cancel::new() };
        let whole = model.forward(&IDS, &mut model.cache(), pass).expect("a pass").expect("logits");
        for blocks in [0, 1, layers - 1, layers] {
            let (mut front, mut back, mut waiting) = (model.cache(), model.cache_behind(blocks), Vec::new());
            // The rest of the model takes the first two pieces together.
            for (piece, goes_on) in [(0..3, false), (3..4, true), (4..9, true)] {
                waiting.extend(stop_behind(&*model, blocks, &IDS[piece.clone()], &mut front));
                if !goes_on {
                    continue;
                }
                let ran = back.len()..piece.end;
                let rows = Tensor::from_vec(std::mem::take(&mut waiting), (ran.len(), d), &Device::Cpu).expect("rows");
                let last = model.resume(&IDS[ran.clone()], &rows, &mut back, &Cancel::new()).expect("goes on");
                let found = values(&model.logits(&last).expect("logits"));
                assert!(found == values(&whole)[ran.start * vocab..ran.end * vocab], "{name} behind {blocks}");
            }
        }
    }
}

#[test]
fn what_cannot_go_on_is_refused_and_leaves_the_cache_as_it_was() {
    let model = load(&files("deep"), &Device::Cpu).expect("the fixture loads").model;
    let d = model.shape().d_model;
    let rows = |rows: usize, size: usize| Tensor::zeros((rows, size), DType::F32, &Device::Cpu).expect("rows");
    let never = Cancel::new();
    let mut cache = model.cache_behind(4);
    let error = model.resume(&IDS[..2], &rows(2, 3), &mut cache, &never).expect_err("no residual stream");
    assert!(matches!(error, Error::Replacement { .. }), "{error}");
    let error = model.resume(&[290], &rows(1, d), &mut cache, &never).expect_err("no such token");
    assert!(matches!(error, Error::BadToken { id: 290, .. }), "{error}");
    let cancelled = Cancel::new();
    cancelled.cancel();
    let error = model.resume(&IDS[..2], &rows(2, d), &mut cache, &cancelled).expect_err("cancelled");
    assert!(matches!(error, Error::Cancelled(_)), "{error}");
    let error = model.resume(&IDS[..1], &rows(1, d), &mut model.cache_behind(11), &never).expect_err("ten blocks");
    assert!(matches!(error, Error::Elsewhere { asked: 10, held: 11 }), "{error}");
    let pass = Pass { layers: None, logits: Logits::None, hook: None, cancel: &never };
    let error = model.forward(&IDS, &mut cache, pass).expect_err("the cache is of the rest");
    assert!(matches!(error, Error::Elsewhere { asked: 0, held: 4 }), "{error}");
    assert!(cache.is_empty());
}

#[test]
fn branches_side_by_side_get_the_bits_that_each_gets_alone() {
    let suffixes: [[u32; 2]; 3] = [[12, 4], [7, 8], [200, 1]];
    let never = Cancel::new();
    for name in ["deep", "gemma2", "llama_yarn", "pythia"] {
        let model = load(&files(name), &Device::Cpu).expect("the fixture loads").model;
        let (layers, d) = (model.shape().layers, model.shape().d_model);
        for front in [0, 6] {
            let mut cache = model.cache();
            if front > 0 {
                stop_behind(&*model, layers, &IDS[..front], &mut cache);
            }
            let entering = suffixes.iter().flat_map(|ids| stop_behind(&*model, 0, ids, &mut cache.clone()));
            let residual = Tensor::from_vec(entering.collect::<Vec<_>>(), (6, d), &Device::Cpu).expect("rows");
            let fan = |branches, blocks, residual: &Tensor| Fan {
                branches,
                blocks,
                residual: residual.clone(),
                shared: &cache,
                hook: None,
                cancel: &never,
            };
            let got = values(&model.fan(fan(3, 0..layers, &residual)).expect("a fan"));
            let alone: Vec<f32> =
                suffixes.iter().flat_map(|ids| stop_behind(&*model, layers, ids, &mut cache.clone())).collect();
            assert!(got == alone, "{name} behind {front}");
            assert_eq!(cache.len(), front, "a fan adds nothing");
            let error = model.fan(fan(4, 0..layers, &residual)).expect_err("6 rows of 4 branches");
            assert!(matches!(error, Error::Replacement { .. }), "{error}");
            let error = model.fan(fan(3, 0..layers + 1, &residual)).expect_err("no such block");
            assert!(matches!(error, Error::Elsewhere { .. }), "{error}");
        }
        let later = model.cache_behind(1);
        let residual = Tensor::zeros((2, d), DType::F32, &Device::Cpu).expect("rows");
        let fan = Fan { branches: 2, blocks: 0..1, residual, shared: &later, hook: None, cancel: &never };
        assert!(matches!(model.fan(fan).expect_err("the cache is of the rest"), Error::Elsewhere { held: 1, .. }));
    }
}
