//! The examples print what the program itself says.
//! Not here: whether that is right (`golden_*`).

#[expect(dead_code, reason = "its `main` reads arguments")]
#[path = "../../examples/latents.rs"]
mod latents;
#[expect(dead_code, reason = "its `main` reads arguments")]
#[path = "../../examples/nearest.rs"]
mod nearest;

use saescope::hub::Hub;
use saescope::session::{RunOptions, Session, SessionConfig};
use saescope::task::Cancel;

const PROMPT: &str = "Albert Einstein was born in";

#[test]
fn latents_names_the_strongest_of_every_token() {
    let mut out = Vec::new();
    latents::latents("demo", PROMPT, &["128".to_owned(), "512".to_owned()], &mut out).expect("prints");
    let out = String::from_utf8(out).expect("is text");
    let mut session = session();
    let demo = session.suite("demo").expect("is there");
    session.open(demo, &["128".to_owned(), "512".to_owned()], &Cancel::new(), &|_| {}).expect("opens");
    let run = session.run(PROMPT, &RunOptions::default(), &Cancel::new()).expect("runs");
    let parts: Vec<&str> = out.split("SAE ").skip(1).collect();
    assert_eq!(parts.len(), 2);
    for (part, sae) in parts.iter().zip(&run.saes) {
        assert!(part.starts_with(&format!("{} ({} latents)", sae.id, sae.width)), "{part}");
        let firings: Vec<Vec<&str>> = part.lines().filter(|line| line.starts_with("     ")).map(words).collect();
        let expected = sae.positions.iter().flat_map(|position| position.latents.iter().take(3));
        let expected: Vec<_> = expected.map(|f| (f.latent.to_string(), format!("{:.2}", f.activation))).collect();
        assert!(expected.len() > run.tokens.len());
        assert!(firings.iter().map(|words| (words[0].to_owned(), words[1].to_owned())).eq(expected), "{part}");
    }
}

#[test]
fn nearest_names_the_cards_ladder() {
    let mut out = Vec::new();
    nearest::nearest(("demo", "512", 7), Some(0.5), &mut out).expect("prints");
    let out = String::from_utf8(out).expect("is text");
    let mut session = session();
    let demo = session.suite("demo").expect("is there");
    let saes = demo.default_saes();
    session.open(demo, &saes, &Cancel::new(), &|_| {}).expect("opens");
    let ladder = session.card("512", 7, Some(0.5), 3).expect("has a card").ladder;
    assert!(ladder.len() > 2 && out.lines().count() == ladder.len());
    for (line, rung) in out.lines().map(words).zip(&ladder) {
        let class = rung.class.map(|class| format!("{class:?}").to_lowercase());
        let near = rung.nearest.iter().map(|near| format!("{}:{:.3}", near.latent, near.cosine));
        let expected: Vec<String> = [rung.sae.clone()].into_iter().chain(class).chain(near).collect();
        assert_eq!(line, expected);
    }
    let missing = nearest::nearest(("demo", "513", 7), None, &mut Vec::new()).expect_err("there is no such SAE");
    assert!(missing.to_string().contains("513"), "{missing}");
}

fn session() -> Session {
    Session::new(SessionConfig::new(Hub::from_env(|name| std::env::var_os(name)).expect("has a place")))
}

fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}
