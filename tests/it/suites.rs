//! Suite files, the catalogue and the files a suite needs, through the library's own doors.
//! Not here: downloads.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use saescope::blob::Location;
use saescope::format::Format;
use saescope::hub::{Locator, Repo};
use saescope::report::{Kind, Report};
use saescope::settings::{PartialSettings, Settings};
use saescope::suite::{self, Base, Choice, Error, NormalizeActivations, Part, Source, Suite, TokenizerParts};

/// A suite file with everything in it.
const FULL: &str = r#"
id = "mine"
title = "Mine"
threshold = 0.6
prompt = "Hello"

[model]
repo = "openai-community/gpt2"
revision = "main"
prepend_bos = true

[site]
layer = 8
kind = "resid_pre"
center = true

[[sae]]
id = "768"
format = "sae-lens"
repo = "a/b"
folder = "blocks.8.hook_resid_pre_768"
default = true
neuronpedia = "gpt2-small/8-res_fs768-jb"
expect = { l0 = 36.0, explained_variance = 0.61 }

[[sae]]
id = "1536"
format = "gemma-scope"
path = "saes/1536"

[[meta]]
id = "48"
sae = "768"
format = "batch-topk"
repo = "c/d"
threshold = 0.153
"#;

fn parse(text: &str) -> Result<Suite, Report> {
    suite::parse("my.toml", text, Base::Directory(Path::new("/base"))).map_err(|error| Report::from(Error::from(error)))
}

#[test]
fn what_an_sae_does_to_its_input_can_be_said_in_place_of_its_files() {
    let with = |line: &str| parse(&FULL.replace("folder = \"blocks", &format!("{line}\nfolder = \"blocks")));
    let sae = |line: &str| with(line).expect("is a suite").saes[0].clone();
    let factor = sae("norm_scaling_factor = 1.8958522157897557");
    assert_eq!((factor.norm_scaling_factor, factor.normalize_activations), (Some(1.895_852_2), None));
    assert_eq!(sae("norm_scaling_factor = 2").norm_scaling_factor, Some(2.0));
    let norm = sae("normalize_activations = \"constant_norm_rescale\"");
    assert_eq!(norm.normalize_activations, Some(NormalizeActivations::ConstantNormRescale));
    let both = sae("norm_scaling_factor = 0.5\nnormalize_activations = \"none\"");
    assert_eq!((both.norm_scaling_factor, both.normalize_activations), (Some(0.5), Some(NormalizeActivations::None)));
    for (line, why, hint) in [
        ("norm_scaling_factor = 0.0", "`norm_scaling_factor` must be a number above zero", ""),
        ("norm_scaling_factor = -1.0", "`norm_scaling_factor` must be a number above zero", ""),
        ("norm_scaling_factor = inf", "", ""),
        ("norm_scaling_factor = 1e-50", "`norm_scaling_factor` must be a number above zero", ""),
        (
            "norm_scaling_factor = 0.5\nnormalize_activations = \"layer_norm\"",
            "`norm_scaling_factor` is one factor for all activations",
            "keep one of the two",
        ),
        ("normalize_activations = \"expected_average_only_in\"", "normalize_activations", "constant_norm_rescale"),
    ] {
        let report = with(line).expect_err(line);
        let said = format!("{} {} {}", report.what, report.why.join(" "), report.hint.unwrap_or_default());
        assert!(said.contains(why) && said.contains(hint), "{line}: {said}");
    }
}

#[test]
fn a_tilde_in_a_path_is_the_home_directory() {
    let home = std::env::var_os("HOME").map(PathBuf::from).expect("a home directory");
    let text = FULL.replace("path = \"saes/1536\"", "path = \"~/saes/1536\"");
    let suite = parse(&text.replace("title = ", "text = \"~/stories.txt\"\ntitle = ")).expect("is a suite");
    assert_eq!(suite.saes[1].source, Source::Path(home.join("saes/1536")));
    assert_eq!(suite.text, Some(Source::Path(home.join("stories.txt"))));
    let given = PartialSettings { text: Some("~/stories.txt".into()), ..PartialSettings::default() };
    assert_eq!(given.complete().text, Some(home.join("stories.txt")));
    let error = suite::find("~/there-is-no-such-suite.toml", &[]).expect_err("is not there").to_string();
    assert!(error.contains(&home.join("there-is-no-such-suite.toml").display().to_string()), "{error}");
}

#[test]
fn a_suite_file_says_all_that_the_contract_names() {
    let suite = parse(FULL).expect("is a suite");
    assert_eq!((suite.id.as_str(), suite.title.as_str(), suite.threshold), ("mine", "Mine", 0.6));
    assert_eq!(suite.prompt.as_deref(), Some("Hello"));
    assert_eq!(suite.model.source, Source::Hub(Repo::new("openai-community/gpt2")));
    assert!(suite.model.prepend_bos && suite.center);
    assert_eq!(suite.site.to_string(), "layer 8 resid_pre");
    let [first, second] = &suite.saes[..] else { panic!("two SAEs") };
    assert!(first.default && !second.default);
    assert_eq!(first.expect.l0, Some(36.0));
    assert_eq!(second.source, Source::Path(PathBuf::from("/base/saes/1536")));
    assert_eq!((second.format, second.format.name()), (Format::GemmaScope, "gemma-scope"));
    let [meta] = &suite.metas[..] else { panic!("one meta-SAE") };
    assert_eq!((meta.sae.as_str(), meta.threshold), ("768", Some(0.153)));
}

#[test]
fn where_no_sae_is_default_all_are() {
    let suite = parse(&FULL.replace("default = true", "")).expect("is a suite");
    assert!(suite.saes.iter().all(|sae| sae.default));
    let suite = parse(&FULL.replace("default = true", "default = false")).expect("is a suite");
    assert_eq!(suite.saes.iter().map(|sae| sae.default).collect::<Vec<_>>(), [false, true]);
}

/// What a person reads when `from` in the full suite file is replaced by `to`.
fn complaint(from: &str, to: &str) -> String {
    assert!(FULL.contains(from), "the suite file has `{from}`");
    let report = parse(&FULL.replacen(from, to, 1)).expect_err(to);
    assert_eq!(report.what, "cannot use the suite file `my.toml`");
    format!("{} | {}", report.why.join("; "), report.hint.unwrap_or_default())
}

#[test]
fn every_mistake_names_its_line_and_what_to_do() {
    let cases = [
        ("folder =", "foldr =", "my.toml, line 21: unknown key `foldr` in [[sae]] 1 | did you mean `folder`?"),
        ("title =", "tilte =", "my.toml, line 3: unknown key `tilte` | did you mean `title`?"),
        (
            "layer = 8",
            "layer = \"8\"",
            "my.toml, line 13: `layer` in [site] must be a whole number from 0 up, not the text \"8\" | ",
        ),
        (
            "resid_pre\"",
            "resid_prev\"",
            "my.toml, line 14: `kind` cannot be \"resid_prev\" | did you mean \"resid_pre\"?",
        ),
        ("id = \"1536\"", "id = \"768\"", "my.toml, line 27: there are two SAEs `768` | "),
        (
            "sae = \"768\"",
            "sae = \"769\"",
            "my.toml, line 33: meta-SAE `48` decomposes SAE `769`, which the suite does not have | did you mean `768`?",
        ),
        (
            "format = \"sae-lens\"",
            "format = \"saelens\"",
            "my.toml, line 19: `format` cannot be \"saelens\" | did you mean \"sae-lens\"?",
        ),
        (
            "format = \"batch-topk\"",
            "format = \"gemma-scope\"",
            "my.toml, line 34: `format` cannot be \"gemma-scope\" | it can be `batch-topk` and `sae-lens`",
        ),
        (
            "blocks.8.hook_resid_pre_768",
            "../../etc",
            "my.toml, line 21: `../../etc` cannot be the name of a file: it leaves its folder, or has an empty part | ",
        ),
        (
            "repo = \"a/b\"",
            "repo = \"../b\"",
            "my.toml, line 20: `../b` cannot be the name of a repository: it has `--` or `..` in it | ",
        ),
        (
            "revision = \"main\"",
            "revision = \"../x\"",
            "my.toml, line 9: `../x` cannot be the name of a revision: it leaves its folder, or has an empty part | ",
        ),
        (
            "path = \"saes/1536\"",
            "repo = \"x/y\"\npath = \"z\"",
            "my.toml, line 30: there is both a `repo` and a `path` | keep one",
        ),
        (
            "path = \"saes/1536\"",
            "",
            "my.toml, line 26: `repo` is missing in [[sae]] 2 | or give the `path` of a directory on this machine",
        ),
        ("[site]", "[sit]", "my.toml, line 12: unknown key `sit` | did you mean `site`?"),
        (
            "threshold = 0.6",
            "threshold = 7",
            "my.toml, line 4: `threshold` is a cosine and must lie between -1 and 1 | ",
        ),
        (
            "id = \"mine\"",
            "id = \"my suite\"",
            "my.toml, line 2: `id` cannot be \"my suite\" | an id has letters, digits, `.`, `_` and `-`, and begins with a letter or a digit",
        ),
        ("title = \"Mine\"", "title = \"\\u001b[2J\"", "my.toml, line 3: `title` holds a control character | "),
        ("id = \"mine\"", "id = \"mine\"\nid = \"yours\"", "my.toml, line 3: duplicate key | "),
        ("id = \"mine\"", "id = ", "my.toml, line 2: string values must be quoted, expected literal string | "),
    ];
    for (from, to, told) in cases {
        assert_eq!(complaint(from, to), told);
    }
}

#[test]
fn a_file_that_is_missing_or_no_text_is_reported_by_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let missing = folder.path().join("no.toml");
    let report = Report::from(suite::find(&missing.display().to_string(), &[]).expect_err("is missing"));
    assert_eq!(report.what, format!("cannot read `{}`", missing.display()));
    let bytes = folder.path().join("bytes.toml");
    std::fs::write(&bytes, b"id = \"a\"\ntitle = \"\xff\"").expect("is written");
    let report = Report::from(suite::find(&bytes.display().to_string(), &[]).expect_err("is no text"));
    assert_eq!(report.why, [format!("{}, line 2: not UTF-8 text", bytes.display())]);
    let large = folder.path().join("large.toml");
    std::fs::write(&large, vec![b'#'; (1 << 20) + 1]).expect("is written");
    assert!(matches!(suite::find(&large.display().to_string(), &[]), Err(Error::TooLarge { bytes: 1_048_577, .. })));
}

#[test]
fn the_catalogue_is_sound() {
    let mut ids = Vec::new();
    for listed in suite::catalogue(&[]) {
        let suite = listed.suite.expect("the catalogue's files are suites");
        assert!(!ids.contains(&suite.id), "two suites `{}`", suite.id);
        assert!(suite.saes.iter().any(|sae| sae.default), "`{}` loads something", suite.id);
        ids.push(suite.id);
    }
    let splitting = suite::find("gpt2-small-feature-splitting", &[]).expect("is known");
    let widths: Vec<&str> = splitting.saes.iter().map(|sae| sae.id.as_str()).collect();
    assert_eq!(widths, ["768", "1536", "3072", "6144", "12288", "24576", "49152", "98304"]);
    assert!(splitting.center && splitting.model.prepend_bos, "the paper's conventions");
    for (layer, post) in (0..12).map(|layer| (layer, false)).chain([(11, true)]) {
        let id = format!("gpt2-small-res-jb-{layer}{}", if post { "-post" } else { "" });
        let suite = suite::find(&id, &[]).expect("is known");
        let kind = if post { "resid_post" } else { "resid_pre" };
        assert_eq!(suite.site.to_string(), format!("layer {layer} {kind}"));
        assert_eq!(suite.saes[0].folder, Some(format!("blocks.{layer}.hook_{kind}")));
        let neuronpedia = format!("gpt2-small/{}-res-jb", if post { 12 } else { layer });
        assert_eq!(suite.saes[0].neuronpedia, Some(neuronpedia));
        assert!(suite.center && suite.model.prepend_bos, "SAELens: center_writing_weights, prepend_bos");
    }
}

/// A row of `tests/fixtures/catalogue/suites.tsv` for each SAE and meta-SAE: the suites as they stood in a file each.
fn rows(suite: &Suite) -> Vec<String> {
    let text = |value: Option<&String>| value.cloned().unwrap_or_default();
    let number = |value: Option<f64>| value.map_or_else(String::new, |value| format!("{value:?}"));
    let count = |value: Option<u64>| value.map_or_else(String::new, |value| value.to_string());
    let model = &suite.model;
    let head = [
        suite.id.clone(),
        suite.title.clone(),
        model.source.to_string(),
        model.prepend_bos.to_string(),
        text(model.licence.as_ref()),
        model.gated.to_string(),
        model.mirrors.join(","),
        count(model.bytes),
        model.unverified.join(","),
        suite.site.layer.to_string(),
        suite.site.kind.name().to_owned(),
        suite.center.to_string(),
        suite.fold_value_bias.to_string(),
    ];
    let saes = suite.saes.iter().map(|sae| {
        let expect = &sae.expect;
        let tail = [
            sae.id.clone(),
            sae.format.name().to_owned(),
            sae.source.to_string(),
            text(sae.folder.as_ref()),
            text(sae.file.as_ref()),
            sae.default.to_string(),
            text(sae.neuronpedia.as_ref()),
            number(expect.l0),
            number(expect.explained_variance),
            number(expect.mse),
            number(expect.loss_recovered),
            count(sae.bytes),
            text(sae.licence.as_ref()),
            sae.unverified.join(","),
        ];
        head.iter().chain(&tail).cloned().collect::<Vec<_>>().join("\t")
    });
    let metas = suite.metas.iter().map(|meta| {
        let blank = |count: usize| vec![String::new(); count];
        let tail = vec![meta.id.clone(), meta.format.name().to_owned(), meta.source.to_string(), meta.sae.clone()];
        let row = [vec![suite.id.clone(), "meta".to_owned()], blank(11), tail, blank(10)];
        row.concat().join("\t")
    });
    saes.chain(metas).collect()
}

#[test]
fn the_catalogue_by_release_is_the_catalogue_by_suite() {
    let then = include_str!("../fixtures/catalogue/suites.tsv").lines().skip(1).map(ToOwned::to_owned);
    let suites = suite::catalogue(&[]).into_iter().map(|listed| listed.suite.expect("is a suite"));
    let suites: Vec<Suite> = suites.filter(|suite| suite.id != suite::DEMO).collect();
    let now = suites.iter().flat_map(rows);
    let (then, now): (BTreeSet<String>, BTreeSet<String>) = (then.collect(), now.collect());
    assert_eq!(then.difference(&now).collect::<Vec<_>>(), Vec::<&String>::new(), "what the releases lack");
    assert_eq!(now.difference(&then).collect::<Vec<_>>(), Vec::<&String>::new(), "what the releases have besides");
    for suite in suites {
        assert_eq!(suite.threshold, 0.7, "{}", suite.id);
        assert_eq!(suite.prompt.as_deref(), Some("Albert Einstein was a German-born theoretical physicist"));
        assert_eq!(suite::find(&suite.id, &[]).expect("is found by its id"), suite);
    }
}

#[test]
fn the_catalogue_has_the_ladders_that_people_study() {
    let widths = |id: &str| {
        let suite = suite::find(id, &[]).unwrap_or_else(|error| panic!("{id}: {error}"));
        suite.saes.iter().map(|sae| sae.id.clone()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(widths("gemma-2-2b-res-12"), "16k 32k 65k 131k 262k 524k 1m 16k-l0-41 32k-l0-40");
    assert_eq!(widths("gemma-2-2b-res-5"), "16k 65k 1m");
    assert_eq!(widths("gemma-2-9b-res-20"), "16k 32k 65k 131k 262k 524k 1m");
    for (size, layers) in [("270m", [5, 9, 12, 15]), ("1b", [7, 13, 17, 22]), ("4b", [9, 17, 22, 29])] {
        for layer in layers {
            assert_eq!(widths(&format!("gemma-3-{size}-res-{layer}")), "16k 65k 262k 1m");
            for (site, kind) in [("res", "resid_post"), ("att", "attn_z"), ("mlp", "mlp_out")] {
                let suite = suite::find(&format!("gemma-3-{size}-{site}-{layer}"), &[]).expect("is known");
                assert_eq!(suite.site.to_string(), format!("layer {layer} {kind}"));
                assert!(suite.saes.iter().all(|sae| sae.file.as_deref() == Some("params.safetensors")));
            }
        }
    }
    assert_eq!(widths("llama-r1-distill-8b-res-31"), "slimpajama mixed openr1");
    let files = |id: &str| {
        let suite = suite::find(id, &[]).unwrap_or_else(|error| panic!("{id}: {error}"));
        let cached = Cached::new(tempfile::tempdir().expect("a folder").path(), &[]);
        let plan = suite.plan(&Choice::default(), &cached).expect("is a plan");
        plan.needs[1].files.iter().map(|need| need.file.clone()).collect::<Vec<_>>().join(" ")
    };
    let folder = "800M-Slimpajama-0-OpenR1-Math-220k/L15R";
    let later = format!("{folder}/config.json {folder}/sae_weights.safetensors");
    assert_eq!(files("llama-r1-distill-8b-res-15"), later);
    assert_eq!(files("llama-3.1-8b-instruct-goodfire-19"), "Llama-3.1-8B-Instruct-SAE-l19.pth");
    for layer in 0..12 {
        for (site, short) in
            [("resid-post", "res_post"), ("resid-mid", "res_mid"), ("attn-out", "att"), ("mlp-out", "mlp")]
        {
            let oai = suite::find(&format!("gpt2-small-oai-{site}-{layer}"), &[]).expect("is known");
            assert_eq!(oai.site.hook(), format!("blocks.{layer}.hook_{}", site.replace('-', "_")));
            assert_eq!(oai.saes.iter().map(|sae| sae.id.as_str()).collect::<Vec<_>>(), ["32768", "131072"]);
            for (sae, size) in oai.saes.iter().zip(["32k", "128k"]) {
                assert_eq!(sae.neuronpedia, Some(format!("gpt2-small/{layer}-{short}_{size}-oai")));
                assert_eq!(sae.source.to_string(), format!("jbloom/GPT2-Small-OAI-v5-{size}-{site}-SAEs"));
            }
            assert!(!oai.model.prepend_bos && !oai.center, "trained without BOS, on activations as they are");
        }
        let z = suite::find(&format!("gpt2-small-att-kk-{layer}"), &[]).expect("is known");
        let width = if matches!(layer, 5 | 7) { "49152" } else { "24576" };
        assert_eq!((z.saes[0].id.as_str(), z.site.to_string()), (width, format!("layer {layer} attn_z")));
        assert!(z.saes[0].unverified.iter().any(|what| what == "value-bias"));
    }
    for layer in 0..32 {
        for (site, letter, kind) in [("res", 'R', "resid_post"), ("att", 'A', "attn_out"), ("mlp", 'M', "mlp_out")] {
            let llama = suite::find(&format!("llama-3.1-8b-{site}-{layer}"), &[]).expect("is known");
            assert_eq!(llama.site.to_string(), format!("layer {layer} {kind}"));
            for (sae, (times, size)) in llama.saes.iter().zip([("8x", "32k"), ("32x", "131k")]) {
                assert_eq!(sae.folder, Some(format!("Llama3_1-8B-Base-L{layer}{letter}-{times}")));
                assert_eq!(sae.neuronpedia, Some(format!("llama3.1-8b/{layer}-llamascope-{site}-{size}")));
                assert!(sae.unverified.iter().any(|what| what == "decoder-norms"));
            }
            assert!(llama.saes.len() == 2 && llama.model.gated && llama.model.mirrors.len() == 2);
        }
    }
    assert_eq!(widths("pythia-70m-res-5"), "sm eleuther");
    for (layer, (site, kind)) in (0..6).flat_map(|layer| [(layer, ("att", "attn_out")), (layer, ("mlp", "mlp_out"))]) {
        let pythia = suite::find(&format!("pythia-70m-{site}-{layer}"), &[]).expect("is known");
        assert_eq!(pythia.site.to_string(), format!("layer {layer} {kind}"));
        assert_eq!(pythia.saes[0].neuronpedia, Some(format!("pythia-70m-deduped/{layer}-{site}-sm")));
        assert_eq!(pythia.saes[0].unverified, ["bytes", "config"]);
    }
    // Listed by family, and numbers by their value.
    let ids: Vec<String> = suite::catalogue(&[]).into_iter().filter_map(|listed| Some(listed.suite.ok()?.id)).collect();
    let place = |id: &str| ids.iter().position(|known| known == id).unwrap_or_else(|| panic!("{id}"));
    let order = [
        "demo",
        "gpt2-small-feature-splitting",
        "gpt2-small-res-jb-2",
        "gpt2-small-res-jb-10",
        "gemma-2-2b-res-12",
        "gemma-3-1b-res-7",
    ];
    assert!(order.windows(2).all(|pair| place(pair[0]) < place(pair[1])), "{ids:?}");
    for listed in suite::catalogue(&[]) {
        let suite = listed.suite.expect("is a suite");
        let plan = suite.plan(&Choice::all(), &Cached(HashMap::new())).expect("its files are known");
        assert!(suite.id == suite::DEMO || plan.total_bytes().is_some(), "`{}` says how large it is", suite.id);
    }
}

#[test]
fn a_canonical_folder_is_looked_up_and_a_file_can_be_named() {
    let gemma = FULL.replace(
        "path = \"saes/1536\"",
        "repo = \"google/gemma-scope-2b-pt-res\"\nfolder = \"layer_12/width_16k/canonical\"",
    );
    let suite = parse(&gemma).expect("is a suite");
    assert_eq!(suite.saes[1].folder.as_deref(), Some("layer_12/width_16k/average_l0_82"));
    let report = parse(&gemma.replace("width_16k", "width_131k")).expect_err("there is none");
    assert!(report.why[0].contains("no canonical SAE"), "{report}");
    let z = FULL.replace("format = \"gemma-scope\"", "format = \"hook-z\"");
    let report = parse(&z).expect_err("has no usual name");
    assert!(report.why[0].contains("`file`"), "{report}");
    let z = z.replace("format = \"hook-z\"", "format = \"hook-z\"\nfile = \"L5_v9.pt\"\nunverified = [\"bytes\"]");
    let suite = parse(&z).expect("is a suite");
    let missing = suite.sae_files(&suite.saes[1], &Cached(HashMap::new())).expect_err("is not there");
    assert_eq!(missing.to_string(), "`/base/saes/1536` has no L5_v9_cfg.json, L5_v9.pt");
    let report = parse(&z.replace("[\"bytes\"]", "\"bytes\"")).expect_err("is no list");
    assert!(report.why[0].contains("a list of texts"), "{report}");
    let report = parse(&z.replace("L5_v9.pt", "../L5_v9.pt")).expect_err("leaves the folder");
    assert!(report.why[0].contains("line"), "{report}");
}

#[test]
fn a_mirror_that_is_here_stands_in_for_a_model_that_is_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let suite = suite::find("gemma-2-2b-res-12", &[]).expect("is known");
    let files =
        ["config.json", "model.safetensors", "tokenizer.json"].map(|file| (format!("unsloth/gemma-2-2b/{file}"), "{}"));
    let files: Vec<(&str, &str)> = files.iter().map(|(file, text)| (file.as_str(), *text)).collect();
    let cached = Cached::new(folder.path(), &files);
    assert!(suite.model_files(&cached).is_ok());
    let report = Report::from(suite.model_files(&Cached(HashMap::new())).expect_err("nothing is here"));
    assert!(report.why[0].contains("google/gemma-2-2b"), "{report}");
}

#[test]
fn the_demo_is_part_of_the_program_whole() {
    let demo = suite::find(suite::DEMO, &[]).expect("is known");
    assert_eq!(suite::catalogue(&[])[0].suite.as_ref().ok().map(|suite| suite.id.as_str()), Some(suite::DEMO));
    let nothing = Cached(HashMap::new());
    let parts = demo.model_files(&nothing).expect("is embedded");
    assert!(matches!(parts.weights[0].place(), Location::Embedded(_)));
    for sae in &demo.saes {
        let parts = demo.sae_files(sae, &nothing).expect("is embedded");
        assert!(parts.weights.size().is_ok_and(|bytes| bytes > 1000), "{}", sae.id);
        assert!(parts.config.is_some());
    }
    assert!(demo.plan(&Choice::all(), &nothing).expect("is a plan").ready(), "it needs nothing of the hub");
}

#[test]
fn a_directory_laid_out_as_the_demo_is_a_suite() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/demo");
    let suite = suite::find(directory, &[]).expect("is found");
    let parts = suite.model_files(&Cached(HashMap::new())).expect("is here");
    assert!(matches!(parts.weights[0].place(), Location::Path(_)));
    let path = format!("{directory}/suite.toml");
    let file = suite::find(&path, &[]).expect("is found");
    assert_eq!((suite.name.as_str(), file.name.as_str()), (directory, path.as_str()), "each is found again as it was");
    assert_eq!(Suite { name: path, ..suite }, file);
}

#[test]
fn an_unknown_suite_names_the_nearest() {
    let report = Report::from(suite::find("gpt2-small-feature-spliting", &[]).expect_err("is unknown"));
    assert_eq!(report.hint.as_deref(), Some("did you mean `gpt2-small-feature-splitting`?"));
    assert_eq!(report.kind, Kind::Usage);
}

#[test]
fn a_users_own_suite_is_found_by_id_and_a_broken_one_hides_no_other() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("mine.toml"), FULL).expect("is written");
    std::fs::write(folder.path().join("broken.toml"), "id = 1").expect("is written");
    let directories = [folder.path().to_owned()];
    let suite = suite::find("mine", &directories).expect("is found");
    assert_eq!(suite.saes[1].source, Source::Path(folder.path().join("saes/1536")));
    assert!(matches!(suite::find("broken", &directories), Err(Error::File(_))));
    let broken = suite::catalogue(&directories).into_iter().filter(|listed| listed.suite.is_err()).count();
    assert_eq!(broken, 1);
}

/// A cache of which only these files are here.
struct Cached(HashMap<String, PathBuf>);

impl Cached {
    fn new(folder: &Path, files: &[(&str, &str)]) -> Self {
        let place = |(file, text): &(&str, &str)| {
            let path = folder.join(file.replace('/', "_"));
            std::fs::write(&path, text).expect("is written");
            ((*file).to_owned(), path)
        };
        Self(files.iter().map(place).collect())
    }
}

impl Locator for Cached {
    fn find(&self, repo: &Repo, file: &str) -> Option<PathBuf> {
        self.0.get(&format!("{repo}/{file}")).cloned()
    }
}

#[test]
fn a_suites_name_is_one_word_to_a_shell() {
    let words = [
        ("mine.toml", "mine.toml"),
        ("a b", "'a b'"),
        ("-x", "'./-x'"),
        ("it's", r"'it'\''s'"),
        ("", "''"),
        ("$A", "'$A'"),
    ];
    for (name, word) in words {
        assert_eq!(suite::argument(name), word);
    }
}

#[test]
fn what_is_missing_is_named_with_the_command_that_gets_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let suite = parse(FULL).expect("is a suite");
    let cached = Cached::new(folder.path(), &[("openai-community/gpt2/config.json", "{}")]);
    let report = Report::from(suite.model_files(&cached).expect_err("is missing"));
    assert_eq!(report.what, "the model of suite `mine` is not on this machine");
    let missing =
        ["missing: openai-community/gpt2: model.safetensors", "missing: openai-community/gpt2: tokenizer.json"];
    assert_eq!(report.why, missing);
    assert_eq!(report.hint.as_deref(), Some("`saescope pull mine` downloads it"));
    assert_eq!(report.kind, Kind::Missing);
    let report = Report::from(suite.sae_files(&suite.saes[0], &cached).expect_err("is missing"));
    assert_eq!(report.hint.as_deref(), Some("`saescope pull mine --sae 768` downloads it"));
    let report = Report::from(suite.sae_files(&suite.saes[1], &cached).expect_err("is no directory"));
    assert_eq!(report.what, "`/base/saes/1536` has no params.npz");
}

#[test]
fn shards_and_a_tokenizer_in_two_files_are_found() {
    let folder = tempfile::tempdir().expect("a folder");
    let suite = parse(FULL).expect("is a suite");
    let index = r#"{"weight_map": {"b": "two.safetensors", "a": "one.safetensors", "c": "two.safetensors"}}"#;
    let files = [
        ("openai-community/gpt2/config.json", "{}"),
        ("openai-community/gpt2/model.safetensors.index.json", index),
        ("openai-community/gpt2/one.safetensors", "1"),
        ("openai-community/gpt2/two.safetensors", "22"),
        ("openai-community/gpt2/vocab.json", "{}"),
        ("openai-community/gpt2/merges.txt", ""),
    ];
    let cached = Cached::new(folder.path(), &files);
    let parts = suite.model_files(&cached).expect("is all here");
    let names: Vec<&str> = parts.weights.iter().map(saescope::blob::Blob::name).collect();
    assert_eq!(names, ["openai-community/gpt2: one.safetensors", "openai-community/gpt2: two.safetensors"]);
    assert!(matches!(parts.tokenizer, TokenizerParts::Bpe { .. }));
    let plan = suite.plan(&Choice::default(), &cached).expect("is a plan");
    let parts: Vec<&Part> = plan.needs.iter().map(|need| &need.part).collect();
    assert_eq!(parts, [&Part::Model, &Part::Sae("768".into()), &Part::Meta("48".into())]);
    assert!(plan.needs[0].ready() && !plan.ready());
    assert_eq!(plan.needs[0].total_bytes(), Some(2 + index.len() as u64 + 1 + 2 + 2));
    assert_eq!(plan.total_bytes(), None, "nobody said how large the SAE is");
}

#[test]
fn an_index_that_leaves_its_folder_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let suite = parse(FULL).expect("is a suite");
    for (index, why) in [
        (r#"{"weight_map": {"a": "../../secret"}}"#, "leaves its folder"),
        (r#"{"weight_map": {"a": "/etc/passwd"}}"#, "absolute"),
        (r#"{"weight_map": {"a": 1}}"#, "the shard of `a` is not a file name"),
        (r#"{"weight_map": {}}"#, "it names no shard"),
        ("{}", "it has no `weight_map`"),
        ("{", "EOF"),
    ] {
        let cached = Cached::new(folder.path(), &[("openai-community/gpt2/model.safetensors.index.json", index)]);
        let error = suite.model_files(&cached).expect_err(index).to_string();
        assert!(error.contains(why), "{error}");
    }
}

#[test]
fn a_choice_names_what_it_does_not_know() {
    let suite = parse(FULL).expect("is a suite");
    let choice = Choice { saes: vec!["1535".into()], ..Choice::default() };
    let report = Report::from(suite.parts_of(&choice).expect_err("is unknown"));
    assert_eq!(report.what, "suite `mine` has no SAE `1535`");
    assert_eq!(report.hint.as_deref(), Some("did you mean `1536`?"));
    let chosen = suite.parts_of(&Choice { saes: vec!["1536".into()], ..Choice::default() }).expect("is known");
    assert_eq!(chosen, [Part::Model, Part::Sae("1536".into())]);
    assert_eq!(suite.parts_of(&Choice::all()).expect("is known").len(), 4);
}

proptest! {
    #[test]
    fn no_bytes_make_the_parser_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        if let Ok(text) = saescope::toml_file::utf8("x", &bytes) {
            let _ = suite::parse("x", text, Base::Nowhere);
        }
    }

    #[test]
    fn no_index_of_shards_makes_its_reader_panic_or_leave_its_folder(index in "\\PC{0,80}|\\{\"weight_map\": *\\{\"a\": *\"[./a\\\\]{0,9}\"\\}\\}") {
        let folder = tempfile::tempdir().expect("a folder");
        let suite = parse(FULL).expect("is a suite");
        let cached = Cached::new(folder.path(), &[("openai-community/gpt2/model.safetensors.index.json", &index)]);
        if let Err(Error::Missing { files, .. }) = suite.model_files(&cached) {
            let stays = |file: &String| file.split_once(": ").is_some_and(|(_, file)| saescope::hub::name::file(file).is_ok());
            prop_assert!(files.iter().all(stays), "{files:?}");
        }
    }

    #[test]
    fn no_bytes_of_a_config_file_make_its_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), bytes).expect("is written");
        let _ = Settings::read(PartialSettings::default(), &|_| None, file.path());
    }

    #[test]
    fn no_edit_of_a_suite_file_makes_the_parser_panic(at in 0..FULL.len(), cut in 0..40_usize, put in "\\PC{0,8}|[\\[\\]{}=\"0-9\n.]{0,8}") {
        let mut text = FULL.to_owned();
        let end = (at + cut).min(text.len());
        text.replace_range(at..end, &put);
        if let Ok(suite) = suite::parse("x", &text, Base::Directory(Path::new("/base"))) {
            for folder in suite.saes.iter().filter_map(|sae| sae.folder.as_deref()) {
                prop_assert!(saescope::hub::name::file(folder).is_ok());
            }
        }
    }
}
