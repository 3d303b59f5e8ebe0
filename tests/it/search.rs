//! The search for latents by what they fire on, by labels and by number, against what NumPy counted.
//! Not here: promoted tokens (`session`), and how it looks (`tui_screens`).

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;

use saescope::analysis::{FoundBy, Hit};
use saescope::session::{CorpusQuery, Found, IndexRecipe, SearchQuery, Session, WriteLabelQuery};
use saescope::task::Cancel;
use serde_json::Value;

use crate::index::{Small, build};

fn search(session: &mut Session, query: &str) -> Found {
    let query = SearchQuery { sae: "16".to_owned(), query: query.to_owned() };
    session.ask(&query, &Cancel::new(), &|_| {}).unwrap()
}

/// The texts of all tokens that any latent fires on most.
fn texts(session: &mut Session) -> BTreeMap<u64, String> {
    let of = |session: &mut Session, latent| {
        let query = CorpusQuery { sae: "16".to_owned(), latent, index: None };
        session.ask(&query, &Cancel::new(), &|_| {}).unwrap().unwrap().top_tokens
    };
    let all = (0..16).flat_map(|latent| of(session, latent));
    all.map(|token| (u64::from(token.id), token.text)).collect()
}

/// For each latent that fires on tokens which begin with `text`: score and share, as they follow from NumPy's counts.
fn expected(counted: &Value, texts: &BTreeMap<u64, String>, text: &str) -> Vec<(u32, f64, f64)> {
    let mut all = Vec::new();
    for of in counted["latents"].as_array().unwrap() {
        let (mut score, mut share) = (0.0, 0.0);
        for top in of["top_tokens"].as_array().unwrap() {
            let token = texts[&top[0].as_u64().unwrap()].trim_start();
            let here = top[1].as_f64().unwrap() / of["count"].as_f64().unwrap();
            if token.starts_with(text) {
                score += here * text.chars().count() as f64 / token.chars().count() as f64;
                share += here;
            }
        }
        if share > 0.0 {
            all.push((of["latent"].as_u64().unwrap() as u32, score, share));
        }
    }
    all.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    let least = all.first().map_or(0.0, |best| best.1 / 20.0);
    all.retain(|of| of.1 >= least);
    all
}

fn by_usual_tokens(hit: &Hit) -> f64 {
    match &hit.by[..] {
        [FoundBy::UsualToken { share, .. }] => *share,
        other => panic!("{other:?}"),
    }
}

#[test]
fn latents_are_found_by_the_tokens_they_fire_on_as_numpy_counts_them() {
    let small = Small::new("neox");
    let mut session = small.session();
    assert!(search(&mut session, "on:a").hits.is_empty() && search(&mut session, "on:a").meaning.contains("indexed"));
    build(&mut session, IndexRecipe { out: None, ..small.recipe("unused") }).unwrap();
    let (counted, texts) = (Small::counted("neox"), texts(&mut session));
    // Of the index that is being made, and of the one that was kept.
    for session in [&mut session, &mut small.session()] {
        let mut found_any = 0;
        for text in texts.values().map(|text| text.trim()).filter(|text| text.chars().all(char::is_alphanumeric)) {
            let short: String = text.chars().take(2).collect();
            for typed in [text, &short].into_iter().filter(|typed| !typed.is_empty()) {
                let (found, want) = (search(session, &format!("on:{typed}")), expected(&counted, &texts, typed));
                let latents = |hits: &[Hit]| hits.iter().map(|hit| hit.latent).collect::<Vec<_>>();
                assert_eq!(latents(&found.hits), want.iter().map(|of| of.0).collect::<Vec<_>>(), "{typed}: {found:?}");
                for (hit, (_, score, share)) in found.hits.iter().zip(&want) {
                    assert!((hit.score - score).abs() < 1e-9 && (by_usual_tokens(hit) - share).abs() < 1e-9, "{typed}");
                }
                found_any += want.len();
            }
        }
        assert!(found_any > 20, "{found_any}");
    }
}

#[test]
fn case_counts_only_where_a_token_has_it_and_a_word_is_looked_up_everywhere() {
    let small = Small::new("neox");
    let mut session = small.session();
    build(&mut session, IndexRecipe { out: None, ..small.recipe("unused") }).unwrap();
    let texts = texts(&mut session);
    let lower =
        texts.values().map(|text| text.trim()).find(|text| text.len() > 2 && text.chars().all(char::is_lowercase));
    let lower = lower.expect("a word of small letters").to_owned();
    let upper = lower.to_uppercase();
    assert!(!texts.values().any(|text| text.trim().starts_with(&upper)));
    let latents = |found: &Found| found.hits.iter().map(|hit| hit.latent).collect::<Vec<_>>();
    let with = search(&mut session, &format!("on:{lower}"));
    let without = search(&mut session, &format!("on:{upper}"));
    assert!(latents(&with) == latents(&without) && !with.hits.is_empty(), "{with:?} {without:?}");
    // A label leads to its latent, with its prefix and among all that a word finds.
    let label =
        WriteLabelQuery { sae: "16".to_owned(), latent: 15, text: format!("about {lower}s"), note: String::new() };
    session.ask(&label, &Cancel::new(), &|_| {}).unwrap();
    let labelled = search(&mut session, &format!("label:{lower}"));
    assert_eq!(labelled.hits, [Hit { latent: 15, score: 0.75, by: vec![FoundBy::Label(format!("about {lower}s"))] }]);
    let all = search(&mut session, &lower);
    assert!(all.hits.iter().any(|hit| hit.latent == 15 && matches!(hit.by[0], FoundBy::Label(_))), "{all:?}");
    for hit in &with.hits {
        let in_all = all.hits.iter().find(|other| other.latent == hit.latent).expect("found by the word alone");
        assert!(in_all.by.contains(&hit.by[0]) && in_all.score >= hit.score - 1e-9);
    }
    assert!(all.hits.windows(2).all(|pair| pair[0].score >= pair[1].score));
    // Numbers: alone, in front of whatever else they find, and those that no latent has.
    assert_eq!(search(&mut session, "#3").hits, [Hit { latent: 3, score: 1.0, by: vec![FoundBy::Number] }]);
    assert_eq!(search(&mut session, "3").hits[0].by, [FoundBy::Number]);
    for nothing in ["#16", "#", "on:", "to:", "label:no such label", " "] {
        assert!(search(&mut session, nothing).hits.is_empty(), "{nothing}");
    }
}
