//! Where what `transformers` makes of a tokenizer's files spells texts differently from the files themselves.
//! Not here: what it makes of them.

use std::collections::BTreeSet;

use tokenizers::{AddedToken, Tokenizer};

use super::class::Class;
use super::spelled;

/// Texts that distinguish the rules of the classes: the beginning of a text, spaces in front and inside, digits, line
/// breaks, letters in two ways of writing, bytes.
const TEXTS: [&str; 9] = ["the", " the", "a the", "a  b", "1234", "a\n\nb", "e\u{301}", "don't", "日本 🙂"];
/// Most tokens that are looked at one by one.
const TOKENS: usize = 1024;

/// Says by one text that two tokenizers differ, and which is followed; nothing where no text is known that tells.
pub(super) fn note(own: &Tokenizer, theirs: &Tokenizer, class: Class, own_word: bool) -> Option<String> {
    let mut ways = Vec::new();
    let texts = TEXTS.into_iter().filter(|_| class != Class::Backend).map(ToOwned::to_owned);
    if let Some(said) = differs(own, theirs, texts) {
        ways.push(format!("reads it by its class `{}` ({said})", class.name()));
    }
    if own.get_encode_special_tokens() != theirs.get_encode_special_tokens() {
        ways.push("spells special tokens like other text (`split_special_tokens`)".to_owned());
    } else if let Some((said, others)) = tokens(own, theirs) {
        let more = if others == 0 { String::new() } else { format!("; so it is with {others} others") };
        ways.push(format!("takes added tokens as the files beside it say ({said}{more})"));
    }
    if ways.is_empty() {
        return None;
    }
    let followed = if own_word {
        "The tokenizer's own files are followed here; without `tokenizer = \"file\"` transformers would be"
    } else {
        "transformers is followed here; `tokenizer = \"file\"` in [model], or --tokenizer file, keeps the file's word"
    };
    Some(format!(
        "transformers 5.24 spells some texts differently from the tokenizer's own files: it {}. {followed}",
        ways.join(", and ")
    ))
}

/// The first text that the two spell differently, with both spellings.
fn differs(own: &Tokenizer, theirs: &Tokenizer, texts: impl IntoIterator<Item = String>) -> Option<String> {
    let ids = |tokenizer: &Tokenizer, text: &str| spelled(tokenizer, text).unwrap_or_default();
    texts.into_iter().find_map(|text| {
        let (one, other) = (ids(own, &text), ids(theirs, &text));
        (one != other).then(|| format!("{text:?} is {other:?} by transformers, {one:?} by the file"))
    })
}

/// The first added token that the two match differently, and how many others there are.
fn tokens(own: &Tokenizer, theirs: &Tokenizer) -> Option<(String, usize)> {
    let all = |tokenizer: &Tokenizer| -> BTreeSet<(String, bool, bool, bool, bool)> {
        let flags = |t: AddedToken| (t.content, t.single_word, t.lstrip, t.rstrip, t.normalized);
        tokenizer.get_added_tokens_decoder().into_values().map(flags).collect()
    };
    let (one, other) = (all(own), all(theirs));
    let names: BTreeSet<String> = one.symmetric_difference(&other).map(|token| token.0.clone()).collect();
    let told = names.iter().take(TOKENS).filter_map(|name| {
        differs(own, theirs, [format!("a {name} b"), format!("a{name}b"), format!("a{}b", name.to_uppercase())])
    });
    let mut told = told.peekable();
    let first = told.next()?;
    Some((first, told.count()))
}
