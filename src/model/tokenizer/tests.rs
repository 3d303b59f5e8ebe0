//! Tests of tokenizers: tokens and bytes against the reference, what begins a text, files that are wrong.
//! Not here: whole models.

use proptest::prelude::*;

use super::*;

fn folder() -> std::path::PathBuf {
    concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/tokenizer").into()
}

fn json() -> TokenizerFiles {
    TokenizerFiles::Json(Blob::path(folder().join("tokenizer.json")))
}

fn pair() -> TokenizerFiles {
    TokenizerFiles::Bpe {
        vocab: Blob::path(folder().join("vocab.json")),
        merges: Blob::path(folder().join("merges.txt")),
    }
}

fn embedded(text: &str) -> TokenizerFiles {
    TokenizerFiles::Json(Blob::embedded("tokenizer.json", text.to_owned().leak().as_bytes()))
}

/// A SentencePiece-like vocabulary: `▁`, byte fallback, a special token.
fn sentence_piece() -> Tokenizer {
    let vocab = ["<s>", "<0x0A>", "<0xE2>", "▁a", "▁", "a", "<0xZZ>"];
    let vocab: serde_json::Map<_, _> =
        vocab.iter().enumerate().map(|(id, token)| ((*token).to_owned(), id.into())).collect();
    let text = json!({
        "version": "1.0",
        "added_tokens": [{"id": 0, "content": "<s>", "special": true, "normalized": false,
                          "single_word": false, "lstrip": false, "rstrip": false}],
        "decoder": {"type": "Sequence", "decoders": [
            {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
            {"type": "ByteFallback"}, {"type": "Fuse"}]},
        "model": {"type": "BPE", "byte_fallback": true, "vocab": vocab, "merges": [["▁", "a"]]},
    });
    Tokenizer::load(&embedded(&text.to_string()), None).expect("a tokenizer")
}

#[test]
fn tokens_are_those_of_the_reference_from_either_kind_of_files() {
    let cases = std::fs::read_to_string(folder().join("reference.json")).unwrap();
    let cases: Vec<serde_json::Value> = serde_json::from_str(&cases).unwrap();
    assert!(cases.len() > 5);
    for files in [json(), pair()] {
        let tokenizer = Tokenizer::load(&files, None).unwrap();
        assert_eq!((tokenizer.vocab_size(), tokenizer.bos()), (290, Some(289)));
        for case in &cases {
            let text = case["text"].as_str().unwrap();
            let ids: Vec<u32> = serde_json::from_value(case["ids"].clone()).unwrap();
            assert_eq!(tokenizer.encode(text).unwrap(), ids, "{text:?}");
            assert_eq!(tokenizer.decode(&ids), text);
        }
    }
}

#[test]
fn a_typed_special_token_is_that_token() {
    let tokenizer = Tokenizer::load(&json(), None).unwrap();
    assert_eq!(tokenizer.encode("<|endoftext|>").unwrap(), [289]);
    assert_eq!(tokenizer.bytes_of(289), b"<|endoftext|>");
    assert!(tokenizer.encode("<|endoftext").unwrap().len() > 1);
}

#[test]
fn the_config_decides_which_token_begins_a_text() {
    assert_eq!(Tokenizer::load(&json(), Some(7)).unwrap().bos(), Some(7));
    assert_eq!(Tokenizer::load(&json(), Some(50256)).unwrap().bos(), Some(289), "beyond the vocabulary");
    assert_eq!(sentence_piece().bos(), Some(0));
}

/// The fixture's tokenizer with a template that puts these tokens in front of a text, as the hub's have it.
fn with_template(opening: &[(&str, u32)]) -> TokenizerFiles {
    let text = std::fs::read_to_string(folder().join("tokenizer.json")).unwrap();
    let mut whole: serde_json::Value = serde_json::from_str(&text).unwrap();
    let token = |(name, _): &(&str, u32)| json!({"SpecialToken": {"id": name, "type_id": 0}});
    let mut single: Vec<_> = opening.iter().map(token).collect();
    single.push(json!({"Sequence": {"id": "A", "type_id": 0}}));
    let known: serde_json::Map<_, _> = opening
        .iter()
        .map(|(name, id)| ((*name).to_owned(), json!({"id": name, "ids": [id], "tokens": [name]})))
        .collect();
    let template = json!({"type": "TemplateProcessing", "single": single, "special_tokens": known,
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}]});
    whole["post_processor"] = json!({"type": "Sequence", "processors": [template]});
    embedded(&whole.to_string())
}

#[test]
fn what_the_tokenizer_puts_in_front_is_known_and_never_put_there_twice() {
    let tokenizer = Tokenizer::load(&with_template(&[("<|endoftext|>", 289)]), Some(7)).unwrap();
    assert_eq!((tokenizer.opening(), tokenizer.bos()), (&[289][..], Some(289)), "the template wins");
    assert_eq!(tokenizer.encode("the").unwrap(), Tokenizer::load(&json(), None).unwrap().encode("the").unwrap());
    let two = Tokenizer::load(&with_template(&[("<|endoftext|>", 289), ("!", 0)]), Some(7)).unwrap();
    assert_eq!((two.opening(), two.bos()), (&[289, 0][..], Some(7)));
    assert_eq!(Tokenizer::load(&json(), None).unwrap().opening(), [0; 0]);
    assert_eq!(Tokenizer::load(&pair(), None).unwrap().opening(), [0; 0]);
}

#[test]
fn every_byte_has_its_character() {
    let tokenizer = Tokenizer::load(&json(), None).unwrap();
    let mut bytes: Vec<_> =
        (0..289).map(|id| tokenizer.bytes_of(id).to_vec()).filter(|bytes| bytes.len() == 1).flatten().collect();
    bytes.sort_unstable();
    assert_eq!(bytes, (0..=255).collect::<Vec<u8>>());
    assert_eq!(tokenizer.bytes_of(290), b"");
}

#[test]
fn sentence_pieces_are_spaces_bytes_and_text() {
    let tokenizer = sentence_piece();
    let bytes: Vec<_> = (0..7).map(|id| tokenizer.bytes_of(id)).collect();
    assert_eq!(bytes, [&b"<s>"[..], b"\n", b"\xe2", b" a", b" ", b"a", b"<0xZZ>"]);
    assert_eq!(tokenizer.decode(&[3, 2]), " a\u{fffd}");
}

#[test]
fn tokens_are_found_by_what_they_contain() {
    let tokenizer = Tokenizer::load(&json(), None).unwrap();
    let the = tokenizer.ids_containing("the");
    assert!(the.iter().all(|id| tokenizer.decode(&[*id]).contains("the")) && !the.is_empty());
    assert!(tokenizer.ids_containing("A").iter().all(|id| tokenizer.bytes_of(*id) == b"A"));
    assert_eq!(tokenizer.ids_containing(""), [0; 0]);
    assert_eq!(tokenizer.id_of("<|endoftext|>"), Some(289));
    assert_eq!(tokenizer.id_of(""), None);
}

#[test]
fn bad_files_are_named() {
    let load = |files: &TokenizerFiles| Tokenizer::load(files, None).unwrap_err().to_string();
    assert!(load(&embedded("{")).contains("`tokenizer.json`"));
    assert!(load(&TokenizerFiles::Json(Blob::path("/nowhere/tokenizer.json"))).contains("/nowhere"));
    let bpe = |vocab: &'static str, merges: &'static str| TokenizerFiles::Bpe {
        vocab: Blob::embedded("vocab.json", vocab.as_bytes()),
        merges: Blob::embedded("merges.txt", merges.as_bytes()),
    };
    assert!(load(&bpe("[]", "")).contains("`vocab.json`"));
    assert!(load(&bpe("{}", "")).contains("no tokens"));
    assert!(load(&bpe(r#"{"a": 0}"#, "a b c")).contains("`merges.txt` cannot be used as a tokenizer: line 1"));
    assert!(load(&bpe(r#"{"a": 0}"#, "a b")).contains("`vocab.json`"));
    assert!(load(&bpe(r#"{"a": "x"}"#, "")).contains("`vocab.json`"));
    assert!(load(&bpe(r#"{"a": 4294967295}"#, "")).contains("4294967295"));
}

#[test]
fn a_tokenizer_larger_than_the_embedding_is_refused_with_both_named() {
    let tokenizer = Tokenizer::load(&json(), None).unwrap();
    assert!(tokenizer.fits(290, "config.json").is_ok());
    let error = tokenizer.fits(280, "config.json").unwrap_err().to_string();
    assert!(error.contains("tokenizer.json") && error.contains("config.json") && error.contains("280"), "{error}");
}

proptest! {
    #[test]
    fn the_bytes_of_the_tokens_are_the_bytes_of_the_text(text in "\\PC*|[ -~\\s]*|.*") {
        let tokenizer = Tokenizer::load(&json(), None).unwrap();
        let ids = tokenizer.encode(&text).unwrap();
        let bytes: Vec<u8> = ids.iter().flat_map(|id| tokenizer.bytes_of(*id)).copied().collect();
        prop_assert_eq!(bytes, text.as_bytes());
    }

    #[test]
    fn any_bytes_are_a_tokenizer_or_an_error(bytes: Vec<u8>) {
        let blob = Blob::embedded("tokenizer.json", bytes.leak());
        let _ = Tokenizer::load(&TokenizerFiles::Json(blob), None);
    }
}

#[test]
fn a_decoder_that_cannot_be_read_is_an_error_and_no_panic() {
    let whole = std::fs::read_to_string(folder().join("tokenizer.json")).unwrap();
    let start = whole.find("\"decoder\"").expect("it has one");
    let open = start + whole[start..].find('{').expect("an object") + 1;
    for (put, says) in [("3: 4,", "line"), ("\"rest\": 1e999,", "decoder"), ("\"rest\": \"\\ud800\",", "")] {
        let text = [&whole[..open], put, &whole[open..]].concat();
        let blob = Blob::embedded("tokenizer.json", text.leak().as_bytes());
        let error = Tokenizer::load(&TokenizerFiles::Json(blob), None).expect_err(put).to_string();
        assert!(error.contains("`tokenizer.json` cannot be used") && error.contains(says), "{error}");
    }
}

/// A tokenizer of the fixtures as a hub repository has it.
fn from_repository(name: &str) -> (Tokenizer, serde_json::Value) {
    let folder = folder().join("../tokenizers").join(name);
    let read = |file: &str| -> serde_json::Value {
        serde_json::from_slice(&std::fs::read(folder.join(file)).unwrap()).unwrap()
    };
    let blob = |file: &str| Blob::path(folder.join(file));
    let files = if folder.join("tokenizer.json").exists() {
        TokenizerFiles::Json(blob("tokenizer.json"))
    } else {
        TokenizerFiles::Bpe { vocab: blob("vocab.json"), merges: blob("merges.txt") }
    };
    let config = blob("tokenizer_config.json");
    let bos = read("config.json")["bos_token_id"].as_u64().map(|id| id as u32);
    let stated = Stated { config: Some(&config), bos, rows: None };
    (Tokenizer::load_as(&files, stated).unwrap(), read("reference.json"))
}

#[test]
fn special_tokens_and_what_begins_a_text_are_those_of_the_reference() {
    for name in ["gpt2", "gpt2_pair", "llama3", "gemma", "disagree", "no_bos"] {
        let (tokenizer, reference) = from_repository(name);
        let opening: Vec<u32> = serde_json::from_value(reference["opening"].clone()).unwrap();
        assert_eq!(tokenizer.opening(), opening, "{name}");
        assert_eq!(tokenizer.bos().map(u64::from), reference["begin"].as_u64(), "{name}");
        for case in reference["cases"].as_array().unwrap() {
            let text = case["text"].as_str().unwrap();
            let ids: Vec<u32> = serde_json::from_value(case["ids"].clone()).unwrap();
            assert_eq!(tokenizer.encode(text).unwrap(), ids, "{name}: {text:?}");
            assert_eq!(tokenizer.decode(&ids), text, "{name}");
        }
    }
}

#[test]
fn a_named_token_gets_no_number_that_the_model_has_no_row_for() {
    let config = r#"{"bos_token": "<s>", "added_tokens_decoder": {"291": {"content": "<b>", "special": true},
        "290": {"content": "<a>", "special": true}}}"#;
    let config = Blob::embedded("tokenizer_config.json", config.as_bytes());
    let load = |rows| Tokenizer::load_as(&json(), Stated { config: Some(&config), bos: Some(289), rows }).unwrap();
    assert_eq!((load(None).vocab_size(), load(None).bos()), (293, Some(292)));
    assert_eq!(load(None).encode("<a><b>").unwrap(), [290, 291]);
    let tight = load(Some(291));
    assert_eq!((tight.vocab_size(), tight.bos()), (291, Some(289)), "the model's own, since the named one is nowhere");
    assert!(tight.fits(291, "config.json").is_ok());
    assert!(tight.encode("<b>").unwrap().len() > 1);
}

#[test]
fn a_bad_config_of_a_tokenizer_is_named_with_its_key() {
    let load = |text: &'static str| {
        let config = Blob::embedded("tokenizer_config.json", text.as_bytes());
        Tokenizer::load_as(&json(), Stated { config: Some(&config), ..Stated::default() }).map(|_| ())
    };
    let bad = [
        ("[]", "no JSON object"),
        (r#"{"bos_token": 3}"#, "`bos_token` is a number"),
        (r#"{"eos_token": {"text": "x"}}"#, "`eos_token` is an object without a `content`"),
        (r#"{"add_bos_token": "yes"}"#, "`add_bos_token` is \"yes\""),
        (r#"{"added_tokens_decoder": []}"#, "`added_tokens_decoder` is a list"),
        (r#"{"added_tokens_decoder": {"x": "a"}}"#, "a number `x`"),
    ];
    for (text, expected) in bad {
        let said = load(text).expect_err(text).to_string();
        assert!(said.contains("`tokenizer_config.json`") && said.contains(expected), "{said}");
    }
    for text in ["{}", r#"{"bos_token": null, "eos_token": "", "chat_template": "x", "extra_special_tokens": {}}"#] {
        load(text).expect(text);
    }
}
