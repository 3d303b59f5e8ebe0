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
    from_repository_as(name, None, false)
}

/// The same for a model of so many rows, by transformers' word or the file's own.
fn from_repository_as(name: &str, rows: Option<usize>, own_word: bool) -> (Tokenizer, serde_json::Value) {
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
    let bos = read("config.json")["bos_token_id"].as_u64().map(|id| id as u32);
    let model = read("config.json");
    let optional = |name: &str| Some(blob(name)).filter(|_| folder.join(name).exists());
    let (config, specials) = (optional("tokenizer_config.json"), optional("special_tokens_map.json"));
    let added = optional("added_tokens.json");
    let stated = Stated {
        config: config.as_ref(),
        specials: specials.as_ref(),
        added: added.as_ref(),
        model_type: model["model_type"].as_str(),
        class: None,
        bos,
        rows,
        own_word,
    };
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
    let load = |rows| {
        let stated = Stated { config: Some(&config), bos: Some(289), rows, ..Stated::default() };
        Tokenizer::load_as(&json(), stated).unwrap()
    };
    assert_eq!((load(None).vocab_size(), load(None).bos()), (293, Some(292)));
    assert_eq!(load(None).encode("<a><b>").unwrap(), [290, 291]);
    let tight = load(Some(291));
    assert_eq!((tight.vocab_size(), tight.bos()), (291, Some(289)), "the model's own, since the named one has no row");
    assert_eq!(tight.encode("<a>").unwrap(), [290]);
    let said = tight.encode("a<b>").unwrap_err().to_string();
    assert_eq!(said, "`<b>` is token 291, and the model's embedding has 291 rows, from 0");
}

/// Repositories with words beside the tokenizer, or a class of `transformers` that has rules of its own.
const RULES: [&str; 27] = [
    "prefix",
    "prefix_pair",
    "prefix_backend",
    "flags",
    "flags_gpt2",
    "dropped",
    "extra_list",
    "extra_object",
    "extra_specific",
    "special_map",
    "special_map_silent",
    "added_pair",
    "added_json",
    "split",
    "llama",
    "llama_legacy",
    "llama_no_prefix",
    "llama_unnamed",
    "llama_bytes",
    "neox",
    "cut",
    "qwen2",
    "qwen3_5",
    "gemma_unnamed",
    "gpt2",
    "llama3",
    "gemma",
];

#[test]
fn words_beside_a_tokenizer_and_rules_of_classes_are_those_of_transformers() {
    for name in RULES {
        let (tokenizer, reference) = from_repository(name);
        let opening: Vec<u32> = serde_json::from_value(reference["opening"].clone()).unwrap();
        assert_eq!(tokenizer.opening(), opening, "{name}");
        assert_eq!(tokenizer.vocab_size() as u64, reference["tokens"].as_u64().unwrap(), "{name}");
        for case in reference["cases"].as_array().unwrap() {
            let text = case["text"].as_str().unwrap();
            let ids: Vec<u32> = serde_json::from_value(case["ids"].clone()).unwrap();
            assert_eq!(tokenizer.encode(text).unwrap(), ids, "{name}: {text:?}");
        }
    }
}

#[test]
fn the_files_own_word_is_that_of_the_library_that_reads_it() {
    let mut told = 0;
    for name in RULES {
        let (tokenizer, reference) = from_repository_as(name, None, true);
        let mut differs = false;
        for case in reference["cases"].as_array().unwrap().iter().filter(|case| case["own"].is_array()) {
            let text = case["text"].as_str().unwrap();
            let ids: Vec<u32> = serde_json::from_value(case["own"].clone()).unwrap();
            assert_eq!(tokenizer.encode(text).unwrap(), ids, "{name}: {text:?}");
            differs |= case["own"] != case["ids"];
        }
        if differs {
            told += 1;
            let note = tokenizer.note().expect(name);
            assert!(note.contains("transformers 5.24") && note.contains("own files are followed"), "{note}");
        }
    }
    assert!(told > 10, "{told}");
}

#[test]
fn a_note_says_which_rule_it_is_and_where_both_agree_there_is_none() {
    let note = |name: &str| from_repository(name).0.note().map(ToOwned::to_owned);
    for (name, rule) in [
        ("prefix", "class `GPT2Tokenizer`"),
        ("llama", "class `LlamaTokenizer`"),
        ("cut", "class `GPT2Tokenizer`"),
        ("flags", "added tokens as the files beside it say"),
        ("added_json", "added tokens as the files beside it say"),
        ("split", "`split_special_tokens`"),
    ] {
        let said = note(name).expect(name);
        assert!(said.contains(rule) && said.contains("transformers is followed here"), "{name}: {said}");
    }
    for name in ["gpt2", "no_bos", "llama_bytes", "prefix_backend", "special_map_silent"] {
        assert_eq!(note(name), None, "{name}");
    }
}

#[test]
fn tokens_without_a_row_are_left_out_of_everything_but_a_prompt_that_spells_them() {
    // Named in tokenizer.json, in tokenizer_config.json, and beside the pair.
    for (name, token, id) in [("flags", "<keep>", 292), ("extra_object", "<sep2>", 0), ("added_pair", "<word>", 0)] {
        let whole = from_repository(name).0;
        let id = if id == 0 { whole.id_of(token).expect(name) } else { id };
        let tight = from_repository_as(name, Some(id as usize), false).0;
        assert_eq!(tight.vocab_size(), id as usize, "{name}");
        assert_eq!((tight.id_of(token), tight.bytes_of(id)), (None, &b""[..]), "{name}");
        assert!(tight.ids_containing(&token[1..4]).iter().all(|found| *found < id), "{name}");
        assert_eq!(tight.encode("the cat").unwrap(), whole.encode("the cat").unwrap(), "{name}");
        let said = tight.encode(&format!("the {token}")).unwrap_err().to_string();
        assert_eq!(said, format!("`{token}` is token {id}, and the model's embedding has {id} rows, from 0"), "{name}");
    }
    // A vocabulary that is larger than the embedding.
    let whole = from_repository("gpt2").0;
    let ids = whole.encode(" the cat").unwrap();
    let last = ids.iter().max().copied().expect("has tokens");
    let tight = from_repository_as("gpt2", Some(last as usize), false).0;
    let said = tight.encode(" the cat").unwrap_err().to_string();
    assert!(said.contains(&format!("is token {last}, and the model's embedding has {last} rows")), "{said}");
    assert_eq!(tight.bos(), None, "the one that is named has no row");
    assert_eq!(tight.encode("a").unwrap(), whole.encode("a").unwrap());
}

#[test]
fn a_text_far_too_long_is_refused_by_its_beginning_and_others_keep_their_tokens() {
    let tokenizer = Tokenizer::load(&json(), None).unwrap();
    let long = "the cat sat on the mat\n".repeat(20_000);
    let error = tokenizer.encode_within(&long, 1024).unwrap_err();
    assert!(matches!(error, Error::FarTooLong { context: 1024, bytes } if bytes == long.len()), "{error}");
    let whole = tokenizer.encode(&long).unwrap();
    assert_eq!(tokenizer.encode_within(&long, whole.len()).unwrap(), whole);
    assert_eq!(tokenizer.encode_within(&long, whole.len() / 2 + 1).unwrap(), whole, "too long, but not by far");
    let unbroken = "é".repeat(100_000);
    assert!(matches!(tokenizer.encode_within(&unbroken, 1000), Err(Error::FarTooLong { .. })));
    // White space that a token takes for its own is not a length.
    let (taking, _) = from_repository("flags");
    let spaces = [&" ".repeat(200_000), "<|endoftext|>the"].concat();
    let ids = taking.encode(&spaces).unwrap();
    assert!(ids.len() < 10, "{ids:?}");
    assert_eq!(taking.encode_within(&spaces, 16).unwrap(), ids);
}

#[test]
fn a_bad_config_of_a_tokenizer_is_named_with_its_key() {
    let load = |text: &'static str| {
        let config = Blob::embedded("tokenizer_config.json", text.as_bytes());
        Tokenizer::load_as(&json(), Stated { config: Some(&config), ..Stated::default() }).map(|_| ())
    };
    let bad = [
        ("[]", "not a JSON object"),
        (r#"{"bos_token": 3}"#, "`bos_token` is a number"),
        (r#"{"bos_token": NaN}"#, "`bos_token` is NaN"),
        (r#"{"eos_token": {"text": "x"}}"#, "`eos_token` is an object without a `content`"),
        (r#"{"add_bos_token": "yes"}"#, "`add_bos_token` is \"yes\""),
        (r#"{"added_tokens_decoder": []}"#, "`added_tokens_decoder` is a list"),
        (r#"{"added_tokens_decoder": {"x": "a"}}"#, "a number `x`"),
    ];
    for (text, expected) in bad {
        let said = load(text).expect_err(text).to_string();
        assert!(said.contains("`tokenizer_config.json`") && said.contains(expected), "{said}");
    }
    for text in [
        "{}",
        r#"{"model_max_length": Infinity}"#,
        r#"{"bos_token": null, "eos_token": "", "chat_template": "x", "extra_special_tokens": {}}"#,
    ] {
        load(text).expect(text);
    }
}
