//! Tests of reading JSON.
//! Not here: the files of models and SAEs.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn file(text: &str) -> JsonFile {
    JsonFile::parse("config.json", text.as_bytes()).expect("is an object")
}

fn refused(text: &str) -> String {
    JsonFile::parse("config.json", text.as_bytes()).expect_err("is refused").to_string()
}

/// What Python's `json.dumps` makes of {"lr": nan, "s": "NaN, \"Infinity", "bounds": [inf, -inf, 1], "k": 4}.
const PYTHON: &str = r#"{"lr": NaN, "s": "NaN, \"Infinity", "bounds": [Infinity, -Infinity, 1], "k": 4}"#;

#[test]
fn what_is_not_finite_harms_no_other_key() {
    let json = file(PYTHON);
    assert_eq!(json.size("k").unwrap(), Some(4));
    assert_eq!(json.text("s").unwrap(), Some("NaN, \"Infinity"));
    let deep = file(r#"{"a": {"b": [{"c":-Infinity}]}, "k": 1}"#);
    assert_eq!(deep.size("k").unwrap(), Some(1));
}

#[test]
fn what_is_not_finite_is_of_no_type() {
    for word in ["NaN", "Infinity", "-Infinity"] {
        let json = file(&format!("{{\"x\": {word}, \"list\": [1, {word}]}}"));
        let errors = [
            json.number("x").unwrap_err(),
            json.size("x").unwrap_err(),
            json.text("x").unwrap_err(),
            json.boolean("x").unwrap_err(),
            json.texts("x").unwrap_err(),
            json.section("x").unwrap_err(),
        ];
        for error in errors {
            let error = error.to_string();
            assert!(
                error.starts_with("`config.json`: `x` must be ") && error.ends_with(&format!(", found {word}")),
                "{error}"
            );
        }
        let error = json.texts("list").unwrap_err().to_string();
        assert!(error.ends_with(&format!("found [1,{word}]")), "{error}");
    }
}

#[test]
fn other_words_stay_errors() {
    for text in ["{\"x\": nan}", "{\"x\": -NaN}", "{\"x\": NaNs}", "{\"x\": +Infinity}", "{\"x\": 1NaN}", "{NaN: 1}"] {
        assert!(refused(text).starts_with("`config.json`: not a JSON object: "), "{text}");
    }
    assert_eq!(refused("NaN"), "`config.json`: not a JSON object: it is NaN");
    assert_eq!(refused("[1]"), "`config.json`: not a JSON object: it is [1]");
    // The rest of a file with such words is checked as any other's.
    assert!(refused("{\"x\": NaN, \"y\": }").contains("line 1"), "{}", refused("{\"x\": NaN, \"y\": }"));
    assert!(refused("{\"x\": NaN, \"open").contains("EOF"));
    assert!(refused("{\"x\": NaN, \"open\\").contains("EOF"));
}

#[test]
fn keys_are_found_by_any_spelling_and_null_counts_as_absent() {
    let json = file(r#"{"n_embd": null, "hidden_size": 768.0, "tie": true, "rope": {"kinds": ["a", 1]}}"#);
    assert_eq!(json.spelled(&["n_embd", "hidden_size"]), "hidden_size");
    assert_eq!(json.spelled(&["n_embd", "d_model"]), "n_embd");
    assert_eq!(json.size("hidden_size").unwrap(), Some(768));
    assert!(json.is_null("n_embd") && !json.is_null("absent") && json.size("n_embd").unwrap().is_none());
    assert_eq!(json.boolean("tie").unwrap(), Some(true));
    let rope = json.section("rope").unwrap().expect("is there");
    assert_eq!(
        rope.texts("kinds").unwrap_err().to_string(),
        "`config.json`: `rope.kinds` must be a list of strings, found [\"a\",1]"
    );
    assert_eq!(rope.missing("factor").to_string(), "`config.json`: `rope.factor` is missing");
    assert!(json.section("absent").unwrap().is_none());
}

#[test]
fn what_only_describes_is_left_out_with_a_note() {
    let json = file(r#"{"id": ["a"], "layer": -1, "name": "gpt2", "size": NaN}"#);
    let mut notes = Vec::new();
    assert_eq!(described(json.text("id"), &mut notes), None);
    assert_eq!(described(json.size("layer"), &mut notes), None);
    assert_eq!(described(json.text("name"), &mut notes), Some("gpt2"));
    assert_eq!(described(json.size("size"), &mut notes), None);
    assert_eq!(
        notes,
        [
            "`id` in `config.json` must be a string, found [\"a\"]: it is left out",
            "`layer` in `config.json` must be a whole number that is not negative, found -1: it is left out",
            "`size` in `config.json` must be a whole number that is not negative, found NaN: it is left out",
        ]
    );
}

#[test]
fn values_in_messages_are_short_and_harmless() {
    let json = file(&json!({ "long": vec![7; 1000], "raw": "\u{9b}2J\u{1b}[2J" }).to_string());
    let error = json.text("long").unwrap_err().to_string();
    assert!(error.contains('…') && error.chars().count() < 120, "{error}");
    let error = json.number("raw").unwrap_err().to_string();
    assert!(error.contains("\\u{9b}2J") && !error.chars().any(char::is_control), "{error}");
}

#[test]
fn depth_and_length_are_bounded() {
    for open in ["[", "{\"a\":"] {
        let deep = format!("{{\"x\": NaN, \"y\": {}", open.repeat(1 << 20));
        assert!(refused(&deep).contains("recursion limit"), "{}", refused(&deep));
    }
    let many = |count: usize| format!("{{\"x\": [{}1], \"k\": 1}}", "NaN,".repeat(count));
    assert_eq!(file(&many(10_000)).size("k").unwrap(), Some(1));
    assert!(refused(&many(10_001)).contains("expected value"), "{}", refused(&many(10_001)));
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("config.json");
    std::fs::File::create(&path).and_then(|file| file.set_len(LARGEST + 1)).expect("is made");
    let error = JsonFile::open(&Blob::path(&path)).unwrap_err().to_string();
    assert!(error.contains("16777217 bytes long, expected at most 16777216"), "{error}");
}

proptest! {
    #[test]
    fn any_bytes_are_parsed_or_refused(bytes: Vec<u8>) {
        let _ = JsonFile::parse("config.json", &bytes);
    }

    /// Words outside of strings change nothing else: what stands around them is read as without them.
    #[test]
    fn strings_stay_as_they_are(text in "[ -~]{0,40}", word in prop::sample::select(vec!["NaN", "Infinity", "-Infinity"])) {
        let with = format!("{{\"a\": {word}, \"text\": {}, \"list\": [{word} , 1]}}", json!(text));
        let json = file(&with);
        prop_assert_eq!(json.text("text").unwrap(), Some(text.as_str()));
    }
}
