//! Suites that are broken in one convention each: the doctor names that one, and changes nothing.
//! Not here: how a checkup is shown.

use std::fs;

use crate::support::broken_suite::{Wired, changed, mean_norm};
use saescope::analysis::doctor::{Checkup, Verdict, render};
use saescope::sae::{Activation, Encoder, Normalisation, Sae};
use saescope::session::Checked;
use saescope::site::{Site, SiteKind};
use saescope::text::Charset;
use saescope::weights::Array;
use serde_json::{Value, json};

/// The demo, with its own figures expected.
fn fine() -> (Wired, Sae) {
    let (mut wired, sae) = (Wired::demo(), Wired::demo_sae());
    wired.expect_as_now(&sae);
    (wired, sae)
}

#[track_caller]
fn names(checkup: &Checkup, convention: &str, words: &str) {
    let sae = &checkup.saes[0];
    assert_eq!(sae.verdict, Verdict::Off, "{:?}", sae.measured);
    let best = &sae.trials[0];
    assert_eq!(best.convention, convention, "{:#?}", sae.trials);
    let said = sae.fits.as_deref().unwrap_or_default();
    assert!(said.contains(words), "{said:?} does not say {words:?}");
    assert!(checkup.said.contains(words) && best.fits, "{}", checkup.said);
}

fn scaled(array: &Array, factor: f32) -> Array {
    Array::owned(array.iter().map(|value| value * factor).collect::<Vec<_>>(), array.shape())
}

/// The SAE for activations that are `factor` times as large.
fn for_scaled(sae: &Sae, factor: f32) -> Sae {
    changed(sae, |parts| {
        parts.w_enc = Encoder::from(scaled(&parts.w_enc.to_array(), 1.0 / factor));
        parts.w_dec = scaled(&parts.w_dec.to_array(), factor).into();
        parts.b_dec = scaled(&parts.b_dec, factor);
    })
}

fn with_threshold(sae: &Sae, change: impl Fn(f32) -> f32) -> Sae {
    changed(sae, |parts| {
        let Activation::JumpRelu { threshold } = &parts.activation else { panic!("the demo's SAEs have thresholds") };
        let values: Vec<f32> = threshold.iter().map(|theta| change(*theta)).collect();
        let shape = [values.len()];
        parts.activation = Activation::JumpRelu { threshold: Array::owned(values, &shape) };
    })
}

#[test]
fn a_suite_that_is_wired_right_is_fine() {
    let (wired, sae) = fine();
    let checkup = wired.checkup(&sae);
    let [one] = &checkup.saes[..] else { panic!("{checkup:?}") };
    assert_eq!((checkup.verdict, one.trials.len(), &one.fits), (Verdict::Fine, 0, &None));
    assert!(one.why.is_empty() && one.contradictions.is_empty(), "{one:?}");
    assert!(checkup.sentences > 20 && one.measured.tokens > 300, "{:?}", one.measured);
    assert!(one.decoder_norms.is_unit() && one.measured.silent < one.width, "{one:?}");
}

#[test]
fn centring_that_is_missing_or_too_much_is_named() {
    let (mut wired, sae) = fine();
    let size = sae.d_in();
    // What every reader of the residual stream takes out again: its mean.
    wired.change_model(|tensors| {
        let wpe = tensors.get_mut("wpe.weight").expect("a GPT-2");
        wpe.values.iter_mut().for_each(|value| *value += 6.0);
    });
    names(&wired.checkup(&sae), "center", "set `center = true` in [site]");
    wired.center = true;
    assert_eq!(wired.checkup(&sae).verdict, Verdict::Fine);
    let raw = sae.shifted(&vec![6.0; size]).expect("can be moved");
    names(&wired.checkup(&raw), "center", "set `center = false` in [site]");
}

#[test]
fn a_bos_that_is_missing_is_named() {
    let mut wired = Wired { site: Site { layer: 1, kind: SiteKind::ResidPre }, ..Wired::demo() };
    let loaded = wired.load_model();
    let (bos, heads, size) =
        (loaded.tokenizer.bos().expect("has one"), loaded.model.shape().heads, loaded.model.shape().d_model);
    // A head of the first block that looks at the first token alone and tells every token what it sees there.
    wired.change_model(|tensors| sink(tensors, bos as usize, heads, size));
    let sae = wired.trained(&wired.rows());
    wired.expect_as_now(&sae);
    wired.bos = false;
    names(&wired.checkup(&sae), "bos", "set `prepend_bos = true` in [model]");
}

fn sink(
    tensors: &mut std::collections::BTreeMap<String, crate::support::broken_suite::Tensor>,
    bos: usize,
    heads: usize,
    size: usize,
) {
    let row = |name: &str, at: usize| tensors[name].values[at * size..(at + 1) * size].to_vec();
    let x: Vec<f32> = row("wte.weight", bos).iter().zip(row("wpe.weight", 0)).map(|(a, b)| a + b).collect();
    let mean = x.iter().sum::<f32>() / size as f32;
    let std = (x.iter().map(|x| (x - mean).powi(2)).sum::<f32>() / size as f32).sqrt();
    let (gain, bias) = (&tensors["h.0.ln_1.weight"].values, &tensors["h.0.ln_1.bias"].values);
    let seen: Vec<f32> = (0..size).map(|at| (x[at] - mean) / std * gain[at] + bias[at]).collect();
    let square: f32 = seen.iter().map(|x| x * x).sum();
    let d_head = size / heads;
    let weight = &mut tensors.get_mut("h.0.attn.c_attn.weight").expect("a GPT-2").values;
    for (at, x) in seen.iter().enumerate() {
        for part in 0..3 {
            weight[at * 3 * size + part * size..][..d_head].fill(0.0);
        }
        // One for the first token, less for others.
        weight[at * 3 * size + size] = x / square;
        weight[at * 3 * size + 2 * size] = x / square;
    }
    let bias = &mut tensors.get_mut("h.0.attn.c_attn.bias").expect("a GPT-2").values;
    for part in 0..3 {
        bias[part * size..][..d_head].fill(0.0);
    }
    bias[0] = 60.0 * (d_head as f32).sqrt();
    let out = &mut tensors.get_mut("h.0.attn.c_proj.weight").expect("a GPT-2").values;
    for (at, value) in out[..size].iter_mut().enumerate() {
        *value = 12.0 * (at as f32).sin();
    }
}

#[test]
fn a_site_next_to_it_is_named() {
    let (mut wired, sae) = fine();
    let right = wired.site;
    wired.site = Site { kind: SiteKind::ResidPost, ..right };
    let checkup = wired.checkup(&sae);
    names(&checkup, "site", &format!("set `layer = {}` and `kind = \"{}\"`", right.layer, right.kind.name()));
    assert!(checkup.saes[0].contradictions.len() == 1, "{:?}", checkup.saes[0]);
    wired.site = Site { layer: right.layer - 1, ..right };
    let mut foreign = sae;
    foreign.metadata.hook_name = None;
    names(&wired.checkup(&foreign), "site", "resid_post");
}

#[test]
fn another_half_of_the_block_is_named() {
    let (attention, mlp, between) = (SiteKind::AttnOut, SiteKind::MlpOut, SiteKind::ResidMid);
    for (right, wrong) in [(attention, mlp), (mlp, attention), (between, attention), (attention, between)] {
        let site = Site { layer: 1, kind: right };
        let mut wired = Wired { site, ..Wired::demo() };
        let sae = wired.trained(&wired.rows());
        wired.expect_as_now(&sae);
        wired.site.kind = wrong;
        names(&wired.checkup(&sae), "site", &format!("set `layer = 1` and `kind = \"{}\"`", right.name()));
    }
}

#[test]
fn a_value_bias_that_is_left_in_or_taken_out_too_often_is_named() {
    let mut wired = Wired { site: Site { layer: 1, kind: SiteKind::AttnZ }, ..Wired::demo() };
    wired.change_model(|tensors| {
        let bias = &mut tensors.get_mut("h.1.attn.c_attn.bias").expect("a GPT-2").values;
        let values = bias.len() / 3 * 2;
        bias[values..].iter_mut().enumerate().for_each(|(at, value)| *value += 4.0 * (at as f32).cos());
    });
    let raw = wired.trained(&wired.rows());
    wired.expect_as_now(&raw);
    wired.fold = true;
    names(&wired.checkup(&raw), "value_bias", "set `fold_value_bias = false` in [site]");
    let bias = wired.load_model().model.value_bias(1).expect("is read").expect("has one");
    let folded = raw.shifted(&bias.iter().map(|bias| -bias).collect::<Vec<_>>()).expect("can be moved");
    assert_eq!(wired.checkup(&folded).verdict, Verdict::Fine);
    wired.fold = false;
    names(&wired.checkup(&folded), "value_bias", "set `fold_value_bias = true` in [site]");
}

#[test]
fn a_decoder_bias_that_is_taken_or_not_is_named() {
    let (wired, sae) = fine();
    let checkup = wired.checkup_with(&sae, |config| config["apply_b_dec_to_input"] = false.into());
    names(&checkup, "b_dec", "`apply_b_dec_to_input` should be true");
    let through = |sae: &Sae| {
        let (w_enc, b_dec) = (sae.parts().w_enc.to_array(), &sae.parts().b_dec);
        let rows = w_enc.chunks_exact(sae.width()).zip(b_dec.iter());
        rows.fold(sae.parts().b_enc.to_vec(), |sum, (row, b)| sum.iter().zip(row).map(|(s, w)| s - b * w).collect())
    };
    let without = changed(&sae, |parts| {
        parts.b_enc = Array::owned(through(&sae), &[sae.width()]);
        parts.apply_b_dec_to_input = false;
    });
    assert_eq!(wired.checkup(&without).verdict, Verdict::Fine);
    let checkup = wired.checkup_with(&without, |config| config["apply_b_dec_to_input"] = true.into());
    names(&checkup, "b_dec", "`apply_b_dec_to_input` should be false");
}

#[test]
fn a_norm_scale_that_is_not_there_or_too_much_is_named() {
    let (mut wired, sae) = fine();
    for kind in ["constant_norm_rescale", "layer_norm"] {
        let checkup = wired.checkup_with(&sae, |config| config["normalize_activations"] = kind.into());
        names(&checkup, "norm_scale", "`normalize_activations` should be `none`");
    }
    // One factor for the whole data set, as its mean length gives it: left out, and folded in twice.
    let rows = wired.rows();
    let factor = (sae.d_in() as f32).sqrt() / mean_norm(&rows, sae.d_in());
    names(&wired.checkup(&for_scaled(&sae, factor)), "norm_scale", "a norm scale was left out");
    names(&wired.checkup(&for_scaled(&sae, 1.0 / factor)), "norm_scale", "folded in once too often");
    // Trained on rows that were normalised one by one.
    let normal: Vec<f32> = rows.chunks_exact(sae.d_in()).flat_map(layer_norm).collect();
    let normal = changed(&wired.trained(&normal), |parts| parts.normalisation = Normalisation::LayerNorm);
    wired.more.clear();
    wired.expect_as_now(&normal);
    let checkup = wired.checkup_with(&normal, |config| config["normalize_activations"] = "none".into());
    names(&checkup, "norm_scale", "set `normalize_activations = \"layer_norm\"` in the SAE's [[sae]]");
    wired.more += "\nnormalize_activations = \"layer_norm\"";
    let checkup = wired.checkup_with(&normal, |config| config["normalize_activations"] = "none".into());
    assert_eq!(checkup.verdict, Verdict::Fine, "{:?}", checkup.saes[0]);
}

/// The number of the line that is to be added to the SAE's table.
fn factor_named(checkup: &Checkup) -> f32 {
    names(checkup, "norm_scale", "set `norm_scaling_factor = ");
    let said = checkup.saes[0].fits.as_deref().unwrap_or_default();
    let behind = said.split("`norm_scaling_factor = ").nth(1).expect("is named");
    behind.split('`').next().expect("ends").parse().expect("is a number")
}

#[test]
fn a_factor_that_is_missing_is_named_by_the_line_that_adds_it() {
    let (mut wired, sae) = fine();
    let (expect, root) = (wired.more.clone(), (sae.d_in() as f32).sqrt());
    let mean = mean_norm(&wired.rows(), sae.d_in());
    // Trained on activations of a mean length of √d, and of 1.
    for factor in [root / mean, 1.0 / mean] {
        wired.more.clone_from(&expect);
        let scaled = for_scaled(&sae, factor);
        let found = factor_named(&wired.checkup(&scaled));
        assert!((found / factor - 1.0).abs() < 0.1, "{found} for {factor}");
        wired.more.extend(["\nnorm_scaling_factor = ", &found.to_string()]);
        let checkup = wired.checkup(&scaled);
        assert_eq!(checkup.verdict, Verdict::Fine, "{:?}", checkup.saes[0]);
    }
}

#[test]
fn an_embeddings_sae_in_front_of_its_scale_is_named_with_the_root_of_its_length() {
    let mut wired = Wired { site: Site { layer: 0, kind: SiteKind::ResidPre }, ..Wired::demo() };
    let sae = wired.trained(&wired.rows());
    wired.expect_as_now(&sae);
    let factor = 1.0 / (sae.d_in() as f32).sqrt();
    let found = factor_named(&wired.checkup(&for_scaled(&sae, factor)));
    assert!((found / factor - 1.0).abs() < 1e-4, "{found} for {factor}");
    wired.more.extend(["\nnorm_scaling_factor = ", &found.to_string()]);
    assert_eq!(wired.checkup(&for_scaled(&sae, factor)).verdict, Verdict::Fine);
}

fn layer_norm(row: &[f32]) -> Vec<f32> {
    let mean = row.iter().sum::<f32>() / row.len() as f32;
    let std = (row.iter().map(|x| (x - mean).powi(2)).sum::<f32>() / (row.len() - 1) as f32).sqrt();
    row.iter().map(|x| (x - mean) / (std + 1e-5)).collect()
}

#[test]
fn a_threshold_in_other_units_is_named() {
    let (wired, sae) = fine();
    names(&wired.checkup(&with_threshold(&sae, f32::ln)), "threshold", "is taken for a logarithm");
    names(&wired.checkup(&with_threshold(&sae, f32::exp)), "threshold", "exp is applied once too often");
    let factor = (sae.d_in() as f32).sqrt() / mean_norm(&wired.rows(), sae.d_in());
    for factor in [factor, 1.0 / factor] {
        let checkup = wired.checkup(&with_threshold(&sae, |theta| theta * factor));
        names(&checkup, "threshold", "thresholds are multiplied by");
    }
}

#[test]
fn two_conventions_that_are_both_wrong_are_named_together() {
    let (mut wired, sae) = fine();
    wired.change_model(|tensors| {
        let wpe = tensors.get_mut("wpe.weight").expect("a GPT-2");
        wpe.values.iter_mut().for_each(|value| *value += 6.0);
    });
    let checkup = wired.checkup_with(&sae, |config| config["apply_b_dec_to_input"] = false.into());
    let said = checkup.saes[0].fits.as_deref().unwrap_or_default();
    for words in ["set `center = true` in [site]", ", and ", "`apply_b_dec_to_input` should be true"] {
        assert!(said.contains(words), "{said:?} does not say {words:?}: {:#?}", checkup.saes[0].trials);
    }
}

#[test]
fn a_top_k_that_was_taken_for_a_plain_one_is_named() {
    let mut wired = Wired::demo();
    let demo = Wired::demo_sae();
    let top_k = changed(&demo, |parts| parts.activation = Activation::TopK { k: 9 });
    wired.expect_as_now(&top_k);
    let plain = changed(&demo, |parts| parts.activation = Activation::Relu);
    names(&wired.checkup(&plain), "top_k", "only the 9 largest fire");
}

#[test]
fn without_expected_figures_what_is_clearly_better_is_named() {
    let (mut wired, sae) = (Wired::demo(), Wired::demo_sae());
    let checkup = wired.checkup(&sae);
    assert_eq!((checkup.verdict, checkup.saes[0].trials.len()), (Verdict::Plausible, 0));
    let checkup = wired.checkup_with(&sae, |config| config["apply_b_dec_to_input"] = false.into());
    names(&checkup, "b_dec", "`apply_b_dec_to_input` should be true");
    // A wrong layer whose own figures are nothing to wonder at.
    let mut foreign = sae;
    foreign.metadata.hook_name = None;
    wired.site.layer -= 1;
    let checkup = wired.checkup(&foreign);
    assert!(checkup.saes[0].measured.explained_variance.is_some_and(|variance| variance > 0.3), "{checkup:?}");
    names(&checkup, "site", "set `layer = 2` and `kind = \"resid_post\"`");
}

#[test]
fn a_bos_that_is_missing_is_told_where_it_matters_to_the_first_word_alone() {
    let mut wired = Wired { site: Site { layer: 0, kind: SiteKind::ResidPre }, ..Wired::demo() };
    wired.change_model(|tensors| {
        let wpe = tensors.get_mut("wpe.weight").expect("a GPT-2");
        let size = wpe.shape[1];
        wpe.values[..size].iter_mut().enumerate().for_each(|(at, value)| *value += 9.0 * (at as f32).sin());
    });
    let mut sae = wired.trained(&wired.rows());
    wired.expect_as_now(&sae);
    let with = wired.checkup(&sae);
    assert_eq!((with.verdict, &with.saes[0].contradictions), (Verdict::Fine, &Vec::new()));
    wired.bos = false;
    let without = wired.checkup(&sae);
    assert_eq!(without.verdict, Verdict::Fine, "no figure counts the first word: {:?}", without.saes[0]);
    let said = without.saes[0].contradictions.join("; ");
    assert!(said.contains("a prompt's first word") && said.contains("`prepend_bos = true`"), "{said}");
    sae.metadata.prepend_bos = Some(true);
    let said = wired.checkup(&sae).saes[0].contradictions.join("; ");
    assert!(said.contains("its own files say `prepend_bos` true; the suite says false"), "{said}");
}

#[test]
fn a_tokenizer_that_begins_every_text_speaks_against_a_suite_that_does_not() {
    let (mut wired, mut sae) = fine();
    sae.metadata.prepend_bos = None;
    wired.change_model(|_| ());
    let file = wired.model.join("tokenizer.json");
    let mut tokenizer: Value = serde_json::from_slice(&fs::read(&file).expect("is there")).expect("is JSON");
    let (token, id) = ("<|endoftext|>", 0);
    tokenizer["post_processor"] = json!({
        "type": "TemplateProcessing",
        "single": [{"SpecialToken": {"id": token, "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}],
        "special_tokens": {token: {"id": token, "ids": [id], "tokens": [token]}},
    });
    fs::write(&file, tokenizer.to_string()).expect("is written");
    assert_eq!(wired.checkup(&sae).saes[0].contradictions, [""; 0]);
    wired.bos = false;
    let said = wired.checkup(&sae).saes[0].contradictions.join("; ");
    assert!(said.contains("the tokenizer puts BOS in front of every text"), "{said}");
}

#[test]
fn what_no_convention_explains_is_said_to_be_so() {
    let (wired, sae) = fine();
    let other = changed(&sae, |parts| {
        let values: Vec<f32> = (0..parts.w_dec.rows() * parts.w_dec.cols()).map(|at| (at as f32 * 1.7).sin()).collect();
        parts.w_dec = Array::owned(values, &[parts.w_dec.rows(), parts.w_dec.cols()]).into();
    });
    let checkup = wired.checkup(&other);
    assert_eq!((checkup.verdict, &checkup.saes[0].fits), (Verdict::Off, &None));
    assert!(checkup.said.contains("no convention explains it"), "{}", checkup.said);
    assert!(checkup.saes[0].trials.len() > 8, "all were tried");
}

#[test]
fn an_outcome_is_remembered_until_something_changes() {
    let (mut wired, sae) = fine();
    let kept = wired.path("kept");
    let ask = |wired: &Wired| wired.ask(Some(kept.clone()));
    let first = ask(&wired);
    let second = ask(&wired);
    assert!(first.new && !second.new);
    // Numbers lose their last digit on the way through a file.
    let render = |checked: &Checked| render::lines(&checked.checkup, 80, Charset::Unicode);
    assert_eq!(render(&first), render(&second));
    wired.write(&with_threshold(&sae, |theta| theta * 0.9), |_| ());
    assert!(ask(&wired).new, "the SAE's file is another");
    for more in ["norm_scaling_factor = 1.25", "norm_scaling_factor = 1.5", "normalize_activations = \"layer_norm\""] {
        let before = std::mem::replace(&mut wired.more, more.to_owned());
        wired.write(&sae, |_| ());
        assert!(ask(&wired).new, "the suite says otherwise of the input: {more}");
        wired.more = before;
    }
    wired.center = !wired.center;
    wired.write(&sae, |_| ());
    assert!(ask(&wired).new, "the suite takes activations in another way");
    for file in fs::read_dir(&kept).expect("is there") {
        fs::write(file.expect("a file").path(), "{").expect("is written");
    }
    assert!(ask(&wired).new, "what was kept cannot be read");
}

#[test]
fn what_a_suite_marks_as_unverified_is_checked() {
    let (mut wired, sae) = fine();
    let bytes = 4 * (2 * sae.d_in() + 2) * sae.width();
    let marks = r#"["bytes", "decoder-norms", "k", "explained_variance", "prepend_bos", "mirrors"]"#;
    wired.more = format!("{}\nbytes = {bytes}\nunverified = {marks}", wired.more);
    let checkup = wired.checkup(&sae);
    let found: Vec<(&str, Option<bool>)> =
        checkup.unverified.iter().map(|finding| (finding.key.as_str(), finding.holds)).collect();
    assert_eq!(checkup.verdict, Verdict::Fine);
    assert_eq!(
        found[..4],
        [("bytes", Some(true)), ("decoder-norms", Some(true)), ("k", Some(false)), ("explained_variance", Some(true))]
    );
    assert_ne!(found[4], ("prepend_bos", Some(false)), "{:?}", checkup.unverified[4]);
    assert_eq!(found[5], ("mirrors", None));
}
