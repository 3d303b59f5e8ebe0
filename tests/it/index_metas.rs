//! Meta-latents of a meta-SAE that is not in the index: where they peak in the examples of their members.
//! Not here: meta-latents that are counted (`index`).

use saescope::analysis::{ExampleSource, MetaCorpus};
use saescope::report::Kind;
use saescope::session::IndexRecipe;
use serde_json::Value;

use crate::index::{Small, build, close, fixtures, meta_corpus};

#[test]
fn a_meta_sae_that_came_later_is_looked_for_in_the_examples_of_its_members() {
    let (small, counted) = (Small::with("neox", false), Small::counted("neox"));
    let recipe = || IndexRecipe { top: Some(200), out: None, ..small.recipe("unused") };
    let view = small.build(recipe()).unwrap();
    assert!(view.metas.is_empty());
    let folder = fixtures().join("index/neox/meta").display().to_string();
    let mut session = small.session();
    for want in counted["metas"].as_array().unwrap() {
        let meta_latent = want["latent"].as_u64().unwrap() as u32;
        let got = meta_corpus(&mut session, &folder, meta_latent, None).unwrap();
        let Some(MetaCorpus::Members(got)) = got else { panic!("{got:?}") };
        assert_eq!(got.tokens, view.tokens);
        // All windows in which a member fires are among its examples here, so the strongest place is that of the index.
        let Some(best) = want["examples"].as_array().unwrap().first() else {
            assert!(got.examples.is_empty() && got.max == 0.0);
            continue;
        };
        close(f64::from(got.max), &want["max"], "largest");
        let first = &got.examples[0];
        let place = serde_json::json!([first.document, first.window, first.position]);
        assert_eq!(place, Value::from(best.as_array().unwrap()[2..5].to_vec()), "meta-latent {meta_latent}");
        for example in &got.examples {
            assert_eq!((example.source, example.quantile_bin), (ExampleSource::Members, 0));
            let largest = example.tokens.iter().map(|token| token.activation).fold(0.0, f32::max);
            assert_eq!(example.tokens[example.position].activation, largest);
        }
        assert!(got.examples.is_sorted_by(|a, b| a.activation >= b.activation));
        let json = serde_json::to_value(MetaCorpus::Members(got)).unwrap();
        assert!(json["from"] == "members" && json["examples"][0]["source"] == "members", "{json}");
    }
    // Counted by name, and found by it; what is not there is named.
    let counts = IndexRecipe { metas: vec![folder.clone()], ..recipe() };
    assert_eq!(build(&mut session, counts).unwrap().metas[0].id, folder);
    assert!(matches!(meta_corpus(&mut session, &folder, 0, None).unwrap(), Some(MetaCorpus::Index(_))));
    let wrong = IndexRecipe { metas: vec!["7".to_owned()], ..recipe() };
    let report = build(&mut session, wrong).unwrap_err();
    assert!(report.kind == Kind::Usage && report.to_string().contains("`7`"), "{report}");
    let report = meta_corpus(&mut session, &folder, 6, None).unwrap_err();
    assert!(report.kind == Kind::Usage && report.to_string().contains("0 to 5"), "{report}");
}

#[test]
fn the_command_looks_in_the_examples_of_members_where_there_is_an_index_and_says_nothing_where_there_is_none() {
    let (small, counted) = (Small::with("neox", false), Small::counted("neox"));
    let folder = fixtures().join("index/neox/meta").display().to_string();
    let out = small.path("out").display().to_string();
    let strongest = counted["metas"].as_array().unwrap().iter().find(|meta| meta["max"].as_f64() > Some(0.0)).unwrap();
    let number = strongest["latent"].to_string();
    let show = ["meta", "show", "--sae", "16", "--meta", &folder, "--meta-latent", &number];
    let (code, card) = small.command(&show, "");
    assert!(code == Some(0) && card["members"].is_array() && card.get("corpus").is_none(), "{card}");
    let text = small.path("text.txt").display().to_string();
    let build = ["index", "build", "--text", &text, "--context", "16", "--top", "200", "--out", &out];
    let (code, said) = small.command(&build, "");
    assert!(code == Some(0) && said.get("metas").is_none(), "{said}");
    let (code, card) = small.command(&[&show[..], &["--index", &out]].concat(), "");
    let corpus = &card["corpus"];
    assert_eq!((code, &corpus["from"], corpus.get("count")), (Some(0), &Value::from("members"), None), "{card}");
    close(corpus["max"].as_f64().unwrap(), &strongest["max"], "largest");
    assert_eq!(corpus["examples"][0]["source"], "members");
    let (code, card) = small.command(&[&show[..], &["--index", &out, "--weights-only"]].concat(), "");
    assert!(code == Some(0) && card["members"].is_array() && card.get("corpus").is_none(), "{card}");
}
