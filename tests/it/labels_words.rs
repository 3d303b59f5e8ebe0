//! A model's words and judgements, from a stand-in that speaks chat completions: it looks for the token that is marked most
//! and judges by it. What is scored is held against a plain count over the excerpts that it was shown.
//! Not here: how windows are chosen and asked about (beside `analysis::explain`).

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use saescope::hub::{Environment, Hub};
use saescope::session::{RunOptions, Session, SessionConfig};
use saescope::task::Cancel;
use serde_json::{Value, json};

use super::support::web_server::{Answer, Asked, WebServer};

const SAE: &str = "512";
const KEY: &str = "sk-secret-of-the-test";

/// What the last message of a request says, and whether it is to find words.
fn asked_of(asked: &Asked) -> (String, String) {
    let body: Value = serde_json::from_slice(&asked.body).unwrap();
    let messages = body["messages"].as_array().unwrap();
    let content = |at: usize| messages[at]["content"].as_str().unwrap().to_owned();
    (content(0), content(messages.len() - 1))
}

fn completion(text: &str) -> Answer {
    let body = json!({"id": "x", "object": "chat.completion", "model": "stand-in",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 100, "completion_tokens": 7, "total_tokens": 107}});
    Answer::ok(body.to_string())
}

/// The texts between marks.
fn marked(text: &str) -> Vec<&str> {
    text.split("<<").skip(1).filter_map(|part| Some(part.split_once(">>")?.0.trim())).collect()
}

fn excerpts(asked: &str) -> Vec<&str> {
    asked.split("\nExcerpt ").skip(1).map(|part| part.split_once(':').unwrap().1.trim_end()).collect()
}

fn words_in(asked: &str) -> &str {
    asked.lines().next().unwrap().strip_prefix("Description: the token `").unwrap().strip_suffix('`').unwrap()
}

/// Finds the token that is marked most, and judges by it.
fn clever(asked: &Asked) -> Answer {
    let (system, last) = asked_of(asked);
    if system.contains("[EXPLANATION]:") {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for token in marked(&last) {
            *counts.entry(token).or_default() += 1;
        }
        let (token, _) = counts.into_iter().max_by_key(|(_, count)| *count).unwrap();
        return completion(&format!("I see it.\n[EXPLANATION]: the token `{token}`"));
    }
    let token = words_in(&last).to_owned();
    let fuzzing = system.contains("<<");
    let fits = |text: &&str| {
        if fuzzing { marked(text).iter().all(|of| *of == token) } else { text.contains(&token) }
    };
    let said: Vec<&str> = excerpts(&last).iter().map(|text| if fits(text) { "1" } else { "0" }).collect();
    completion(&format!("[{}]", said.join(", ")))
}

fn run(home: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_saescope"));
    command.env_clear().env("HOME", home).env("HF_HUB_OFFLINE", "1").env("THE_KEY", KEY);
    command.args(args).stdin(Stdio::null()).output().unwrap()
}

/// `labels` with the demo's SAE and an endpoint.
fn ask(home: &Path, server: &WebServer, command: &str, more: &[&str]) -> Output {
    let url = format!("{}/v1", server.address());
    let base = ["labels", command, "--suite", "demo", "--sae", SAE, "--llm", &url, "--model", "stand-in"];
    run(home, &[&base[..], more].concat())
}

fn parsed(done: &Output) -> Value {
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{}{said}", String::from_utf8_lossy(&done.stdout));
    assert!(!said.contains(KEY), "{said}");
    serde_json::from_slice(&done.stdout).unwrap()
}

fn labels(home: &Path, latent: u64) -> Vec<Value> {
    let card = parsed(&run(home, &["latent", "--suite", "demo", "--sae", SAE, &latent.to_string(), "--json"]));
    card["labels"].as_array().cloned().unwrap_or_default()
}

/// Latents that the model is asked about when it is asked about three.
fn three(home: &Path) -> Vec<u64> {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("words.jsonl");
    parsed(&run(home, &["labels", "export", "--suite", "demo", &out.display().to_string(), "--json"]));
    let text = fs::read_to_string(out).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter(|line| line["source"] == "llm").map(|line| line["latent"].as_u64().unwrap()).collect()
}

/// Documents of two of the demo's sentences, as a text, and their windows of 32 tokens by their texts, each with the latents
/// that fire in it. No window stands in two documents.
fn windows() -> (String, BTreeMap<String, BTreeSet<u32>>) {
    let mut session = Session::new(SessionConfig::new(Hub::new(Environment::read(&|_| None).unwrap())));
    let suite = session.suite("demo").unwrap();
    session.open(suite, &[SAE.to_owned()], &Cancel::new(), &|_| {}).unwrap();
    let demo = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/demo/text.txt")).unwrap();
    let (mut text, mut windows) = (String::new(), BTreeMap::new());
    let sentences: Vec<&str> = demo.split("<|endoftext|>").flat_map(|of| of.trim().split_inclusive(". ")).collect();
    for document in sentences.chunks(2).map(|pair| pair.concat().trim().to_owned()).filter(|of| !of.is_empty()) {
        let run = session.run(&document, &RunOptions::default(), &Cancel::new()).unwrap();
        let of_document = run.tokens[1..].chunks(32).zip(run.saes[0].positions[1..].chunks(32));
        let each = of_document.map(|(tokens, positions)| {
            let shown: String = tokens.iter().map(|token| &*token.text).collect();
            let fires = positions.iter().flat_map(|position| &position.latents).map(|firing| firing.latent);
            (shown.replace('\n', "⏎").trim().to_owned(), fires.collect())
        });
        let each: Vec<(String, BTreeSet<u32>)> = each.collect();
        if run.tokens.len() < 60 && each.iter().all(|(shown, _)| !windows.contains_key(shown)) {
            text.extend([document.as_str(), "\n<|endoftext|>\n"]);
            windows.extend(each);
        }
    }
    assert!(windows.len() > 60 && text.matches("<|endoftext|>").count() < windows.len(), "some have two windows");
    (text, windows)
}

#[test]
fn words_are_scored_as_a_plain_count_over_what_was_shown() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let server = WebServer::serve(clever);
    let (text, windows) = windows();
    let file = home.join("text.txt");
    fs::write(&file, text).unwrap();
    let file = file.display().to_string();
    let limit = ["--limit", "3", "--key-env", "THE_KEY", "--price", "1:2", "--text", &file, "--json"];
    let dry = ask(home, &server, "make", &[&limit[..], &["--dry-run"]].concat());
    let said = String::from_utf8(dry.stderr.clone()).unwrap();
    let estimated = parsed(&dry)["asked"].clone();
    assert!(server.seen().is_empty(), "nothing is asked");
    assert!(said.contains("at the price given about"), "{said}");
    let made = parsed(&ask(home, &server, "make", &limit));
    assert_eq!((&made["asked"]["requests"], &made["asked"]["latents"]), (&estimated["requests"], &json!(3)), "{made}");
    assert_eq!(made["asked"]["requests"], server.seen().len(), "{made}");
    assert_eq!(made["asked"]["answer_tokens"], 7 * server.seen().len(), "the endpoint's own count");
    assert_eq!((&made["labelled"], &made["unknown"]), (&json!(3), &json!(509)));
    let command = made["command"].as_str().unwrap();
    assert!(command.contains("--key-env 'THE_KEY'") && !made.to_string().contains(KEY), "{made}");
    for asked in server.seen() {
        assert_eq!((&*asked.method, &*asked.path), ("POST", "/v1/chat/completions"));
        assert_eq!(asked.authorization, Some(format!("Bearer {KEY}")));
        let body: Value = serde_json::from_slice(&asked.body).unwrap();
        assert!(body["model"] == "stand-in" && body["temperature"] == 0 && body["max_tokens"].is_u64(), "{body}");
    }
    let mut compared = 0;
    for latent in three(home) {
        let label = labels(home, latent).remove(0);
        assert_eq!([&label["source"], &label["by"]], ["llm", "stand-in"]);
        let words = format!("Description: {}\n", label["text"].as_str().unwrap());
        let mut of_task = [[(0, 0); 2]; 2];
        for asked in server.seen() {
            let (system, last) = asked_of(&asked);
            if !last.starts_with(&words) {
                continue;
            }
            let answer: Value = serde_json::from_slice(&clever(&asked).body).unwrap();
            let said: Vec<u8> =
                serde_json::from_str(answer["choices"][0]["message"]["content"].as_str().unwrap()).unwrap();
            let excerpts = excerpts(&last);
            assert!(excerpts.len() <= 5 && excerpts.len() == said.len());
            for (excerpt, said) in excerpts.iter().zip(said) {
                let plain = excerpt.replace("<<", "").replace(">>", "").trim().to_owned();
                let fires = windows[&plain].contains(&(latent as u32));
                let count = &mut of_task[usize::from(system.contains("<<"))][usize::from(fires)];
                *count = (count.0 + usize::from(fires == (said == 1)), count.1 + 1);
            }
        }
        for (name, [silent, fires]) in ["detection", "fuzzing"].into_iter().zip(of_task) {
            let share = |(right, of): (usize, usize)| right as f64 / of as f64;
            assert!(silent.1 == fires.1 && fires.1 >= 3, "{name}: {silent:?} {fires:?}");
            let expected = f64::midpoint(share(silent), share(fires));
            let got = label["scores"][name].as_f64().unwrap();
            assert!((got - expected).abs() < 1e-12, "{latent} {name}: {got} and {expected}");
            assert_eq!(label["scores"]["held_out"], silent.1 + fires.1, "{label}");
            compared += 1;
        }
    }
    assert_eq!(compared, 6);
    // The same command goes on with the next three, and asks nothing again about these.
    let before = server.seen().len();
    let first = three(home);
    parsed(&ask(home, &server, "make", &["--json", "--latent", &first[0].to_string()]));
    assert_eq!(server.seen().len(), before);
}

#[test]
fn what_breaks_off_is_continued_and_what_is_done_is_kept() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let (whole, tries) = (WebServer::serve(clever), Arc::new(AtomicUsize::new(0)));
    let counted = tries.clone();
    // It has no time twice, and cuts every answer from the thirtieth on.
    let server = WebServer::serve(move |asked| match counted.fetch_add(1, Ordering::Relaxed) {
        1 | 5 => Answer::busy(429),
        30.. => Answer { cut: Some(10), headers: vec![("Retry-After", "0".into())], ..clever(asked) },
        _ => clever(asked),
    });
    let broken = ask(home, &server, "make", &["--limit", "3"]);
    let said = String::from_utf8(broken.stderr).unwrap();
    assert!(broken.status.code() == Some(1) && said.contains("failed") && said.contains("hint:"), "{said}");
    let kept = three(home);
    assert!(!kept.is_empty(), "what is done is kept: {said}");
    let done = kept.iter().filter(|latent| labels(home, **latent)[0]["scores"].is_object()).count() as u64;
    let made = parsed(&ask(home, &whole, "make", &["--limit", &(3 - done).to_string(), "--json"]));
    assert_eq!((&made["labelled"], &made["asked"]["latents"]), (&json!(3), &json!(3 - done)), "{made}");
    let explained = whole.seen().iter().filter(|asked| asked_of(asked).0.contains("[EXPLANATION]:")).count();
    assert_eq!(explained, 3 - kept.len(), "words that were there are not asked for again");
}

#[test]
fn nonsense_and_refusals_are_no_labels_and_no_scores() {
    let home = tempfile::tempdir().unwrap();
    let notes = |made: &Value| made["notes"].to_string();
    let refusal =
        json!({"choices": [{"message": {"role": "assistant", "content": null, "refusal": "No."}}]}).to_string();
    let filtered = json!({"error": {"message": "filtered", "code": "content_filter"}}).to_string();
    let nothing: [Answer; 4] = [
        completion("I am sorry, but I cannot help with that."),
        completion(""),
        Answer::ok(refusal),
        Answer { status: 400, ..Answer::ok(filtered) },
    ];
    for answer in nothing {
        let given = answer.clone();
        let server = WebServer::serve(move |_| given.clone());
        let made = parsed(&ask(home.path(), &server, "make", &["--limit", "2", "--json"]));
        assert!(made["labelled"] == 0 && notes(&made).contains("gave no words for 2 latents"), "{answer:?}: {made}");
    }
    // Words, and lists of the wrong length for all but a few.
    let server = WebServer::serve(|asked| {
        let explains = asked_of(asked).0.contains("[EXPLANATION]:");
        if explains { clever(asked) } else { completion("[1, 0, maybe]") }
    });
    let made = parsed(&ask(home.path(), &server, "make", &["--limit", "1", "--json"]));
    assert!(made["labelled"] == 1 && notes(&made).contains("judged less than half"), "{made}");
    let label = labels(home.path(), three(home.path())[0]).remove(0);
    assert!(label["scores"]["detection"].is_null() && label["scores"]["fuzzing"].is_null(), "{label}");
}

#[test]
fn the_key_goes_to_its_endpoint_alone() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let other = WebServer::serve(clever);
    let to = format!("{}/v1/chat/completions", other.address().replace("127.0.0.1", "localhost"));
    let server = WebServer::serve(move |_| Answer { headers: vec![("Location", to.clone())], ..Answer::status(307) });
    let more = ["--limit", "1", "--key-env", "THE_KEY"];
    let told = |done: &Output| {
        let said = String::from_utf8(done.stderr.clone()).unwrap();
        assert!(!said.contains(KEY), "{said}");
        (done.status.code().unwrap(), said)
    };
    let (code, said) = told(&ask(home, &server, "make", &more));
    assert!(code == 1 && said.contains("leads to") && said.contains("localhost"), "{said}");
    assert!(other.seen().is_empty() && server.seen().len() == 1);
    let plain = ["labels", "make", "--suite", "demo", "--sae", SAE, "--model", "m", "--key-env"];
    let with = |key: &str, url: &str| told(&run(home, &[&plain[..], &[key, "--llm", url]].concat()));
    let (code, said) = with("THE_KEY", "http://models.example/v1");
    assert!(code == 2 && said.contains("https://"), "{said}");
    let (code, said) = with("THE_KEY", "http://ada:pass-word@127.0.0.1:1/v1");
    assert!(code == 2 && said.contains("--key-env") && !said.contains("pass-word"), "{said}");
    let (code, said) = with("NO_SUCH_KEY", "https://models.example/v1");
    assert!(code == 2 && said.contains("NO_SUCH_KEY"), "{said}");
    let (code, said) =
        told(&run(home, &["labels", "make", "--suite", "demo", "--sae", SAE, "--llm", "ftp://x", "--model", "m"]));
    assert!(code == 2 && said.contains("ftp://x"), "{said}");
}

#[test]
fn an_endpoint_that_says_something_else_is_told() {
    let home = tempfile::tempdir().unwrap();
    let told = |answer: Answer| {
        let server = WebServer::serve(move |_| answer.clone());
        let done = ask(home.path(), &server, "make", &["--limit", "1"]);
        assert_eq!(done.status.code(), Some(1));
        String::from_utf8(done.stderr).unwrap()
    };
    let page = told(Answer::ok("<html>\u{1b}[2Jsign in</html>"));
    assert!(
        page.contains("<html>") && page.contains("http://127.0.0.1:11434/v1") && !page.contains('\u{1b}'),
        "{page}"
    );
    let unknown = json!({"error": {"message": "model \"stand-in\" not found", "type": "x"}}).to_string();
    let unknown = told(Answer { status: 404, ..Answer::ok(unknown) });
    assert!(unknown.contains("404") && unknown.contains("not found") && unknown.contains("/v1"), "{unknown}");
    let shut = told(Answer { status: 401, ..Answer::ok("{\"error\":\"no key\"}") });
    assert!(shut.contains("no key") && shut.contains("--key-env"), "{shut}");
    let long = told(Answer::ok(vec![b' '; (4 << 20) + 1]));
    assert!(long.contains("longer than"), "{long}");
    // A service whose newer models know other names.
    let server = WebServer::serve(|asked| {
        let body: Value = serde_json::from_slice(&asked.body).unwrap();
        let said = |said: &str| Answer { status: 400, ..Answer::ok(json!({"error": {"message": said}}).to_string()) };
        if !body["max_tokens"].is_null() {
            return said("Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.");
        }
        if !body["temperature"].is_null() {
            return said("'temperature' does not support 0 with this model.");
        }
        clever(asked)
    });
    let made = parsed(&ask(home.path(), &server, "make", &["--limit", "1", "--json"]));
    assert_eq!(made["labelled"], 1, "{made}");
}

#[test]
fn labels_that_are_kept_are_scored() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let score = ["labels", "score", "--suite", "demo", "--sae", SAE, "--json"];
    let none = parsed(&run(home, &score));
    assert!(none["notes"].to_string().contains("no rules"), "{none}");
    parsed(&run(home, &["labels", "make", "--suite", "demo", "--sae", SAE, "--rules", "--json"]));
    let kept = || {
        let folder = fs::read_dir(home.join(".local/share/saescope/labels")).unwrap().flatten().next().unwrap();
        fs::read_to_string(folder.path().join("rule.jsonl")).unwrap()
    };
    let before = kept();
    assert!(before.contains("\"suffix\"") || before.contains("\"token\""), "{before}");
    // On the same text rules count to what they did when they were chosen.
    let scored = parsed(&run(home, &score));
    assert!(scored["labelled"].as_u64().unwrap() > 50 && scored["tokens"].as_u64().unwrap() > 3000, "{scored}");
    assert_eq!(kept(), before);
    // On another text they do not.
    let other = home.join("other.txt");
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/demo/text.txt")).unwrap();
    fs::write(&other, text.split_inclusive("<|endoftext|>").step_by(3).collect::<String>()).unwrap();
    let more = ["--text", &other.display().to_string()];
    parsed(&run(home, &[&score[..], &more[..]].concat()));
    let after = kept();
    assert!(after != before && after.lines().count() == before.lines().count());
    // A person's words are judged by a model, and keep who wrote them.
    let latent = {
        let server = WebServer::serve(clever);
        let made = parsed(&ask(home, &server, "make", &["--limit", "1", "--json"]));
        assert_eq!(made["asked"]["latents"], 1);
        three(home)[0]
    };
    let words = labels(home, latent).into_iter().find(|label| label["source"] == "llm").unwrap();
    let file = home.join("own.jsonl");
    let line = json!({"sae": SAE, "latent": latent, "text": words["text"], "note": "mine"});
    fs::write(&file, format!("{line}\n")).unwrap();
    parsed(&run(home, &["labels", "import", "--suite", "demo", &file.display().to_string(), "--json"]));
    let server = WebServer::serve(clever);
    let scored = parsed(&ask(home, &server, "score", &["--json"]));
    assert_eq!(scored["asked"]["latents"], 1, "{scored}");
    assert!(server.seen().iter().all(|asked| !asked_of(asked).0.contains("[EXPLANATION]:")));
    let own = labels(home, latent).remove(0);
    assert_eq!((&own["source"], &own["note"], &own["by"]), (&json!("file"), &json!("mine"), &json!("own.jsonl")));
    for name in ["detection", "fuzzing"] {
        assert_eq!(own["scores"][name], words["scores"][name], "the same words are judged alike");
    }
}
