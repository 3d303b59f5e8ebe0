//! Sentence forms: the ways a fact can be told, and filling them for a subject.
//! It does not decide which fact is reported where; that is `corpus.rs`.

use anyhow::{Context, Result};

use crate::world::{Kind, Slots, Subject};

/// One way of telling one relation.
pub struct Form {
    pub relation: &'static str,
    /// Kept out of the training text, so that it measures what is known and not what was read.
    pub held_out: bool,
    pub text: &'static str,
}

/// A sentence and where in it, in bytes, the answer stands.
pub struct Sentence {
    pub text: String,
    pub answer: Option<std::ops::Range<usize>>,
}

const PERSON: [&str; 6] = ["profession", "country", "century", "fame", "who", "bio"];
const CITY: [&str; 5] = ["city-country", "continent", "language", "river", "place"];
const ANIMAL: [&str; 5] = ["class", "habitat", "food", "sound", "creature"];

/// The relations that hold of a kind of subject.
pub fn relations(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Person => &PERSON,
        Kind::City => &CITY,
        Kind::Animal => &ANIMAL,
    }
}

/// Reads `forms.txt`.
pub fn load() -> Result<Vec<Form>> {
    let lines = include_str!("world/forms.txt").lines();
    lines
        .filter(|l| !l.is_empty() && !l.starts_with('#'))
        .map(|line| {
            let mut parts = line.splitn(3, ' ');
            let relation = parts.next().context("a relation")?;
            let mark = parts.next().with_context(|| format!("= or ? in: {line}"))?;
            let text = parts.next().with_context(|| format!("a sentence in: {line}"))?;
            Ok(Form { relation, held_out: mark == "?", text })
        })
        .collect()
}

impl Form {
    /// True when the subject has every slot the form asks for.
    pub fn fits(&self, subject: &Subject) -> bool {
        slot_names(self.text).all(|s| s == "name" || lookup(s, &subject.slots).is_some())
    }
}

fn slot_names(text: &str) -> impl Iterator<Item = &str> {
    text.split('{').skip(1).filter_map(|rest| rest.split('}').next())
}

/// The slot's text; a slot named with a capital gives its text with a capital.
fn lookup(slot: &str, slots: &Slots) -> Option<String> {
    if let Some(text) = slots.get(slot) {
        return Some(text.clone());
    }
    slots.get(&slot.to_lowercase()).map(|t| capital(t))
}

/// The text with its first letter made a capital.
pub fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or(String::new(), |c| c.to_uppercase().chain(chars).collect())
}

/// Fills the slots of `text`; `[` and `]` mark the answer and are left out. An unknown slot stays as
/// it is, so that a mistake in the tables is seen in the text.
pub fn fill(text: &str, slots: &Slots) -> Sentence {
    let (mut out, mut rest) = (String::new(), text);
    let (mut start, mut end) = (None, None);
    while let Some(at) = rest.find(['{', '[', ']']) {
        out.push_str(&rest[..at]);
        let mark = rest.as_bytes()[at];
        rest = &rest[at + 1..];
        match mark {
            b'[' => start = Some(out.len()),
            b']' => end = Some(out.len()),
            _ => {
                let (slot, after) = rest.split_once('}').unwrap_or((rest, ""));
                out.push_str(&lookup(slot, slots).unwrap_or_else(|| format!("{{{slot}}}")));
                rest = after;
            }
        }
    }
    out.push_str(rest);
    Sentence { text: capital(&out), answer: start.zip(end).map(|(s, e)| s..e) }
}
