//! What a position of a text looks like: values of a few features that exclude each other.
//! Not here: which of them a latent fires on.

use std::collections::HashMap;

use crate::analysis::label::{RulePart, RuleValue};

/// Letters of a beginning or an end.
const LETTERS: usize = 3;
/// Positions behind this one are alike.
const LAST_PLACE: u32 = 4;

/// A feature of a position. Those in front are named where others say as much.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Feature {
    /// The token.
    Token,
    /// The token before it.
    Before,
    /// The token behind it: what the model is about to say.
    Behind,
    /// What the word begins with.
    Prefix,
    /// What the token ends with.
    Suffix,
    /// Letters, digits, punctuation, and how letters are written.
    Kind,
    /// Whether a word begins with it.
    Inside,
    /// The script of its letters.
    Script,
    /// Its place in the window.
    Place,
}

/// A position of a window.
#[derive(Clone, Copy, Debug)]
pub struct Position<'a> {
    /// The window's tokens.
    pub ids: &'a [u32],
    /// Which of them.
    pub at: usize,
}

/// The features of positions.
#[derive(Debug, Default)]
pub struct Features {
    values: [Vec<u32>; Feature::ALL.len()],
    looks: HashMap<u32, Look>,
    prefixes: Interned,
    suffixes: Interned,
}

/// What a token looks like.
#[derive(Clone, Copy, Debug)]
struct Look {
    prefix: u32,
    suffix: u32,
    kind: u32,
    inside: u32,
    script: u32,
}

/// Texts by number; 0 is none.
#[derive(Debug, Default)]
struct Interned {
    numbers: HashMap<String, u32>,
    texts: Vec<String>,
}

const KINDS: [&str; 8] = [
    "",
    "lower-case words",
    "capitalised words",
    "words in capitals",
    "digits",
    "punctuation",
    "white space",
    "words of mixed case",
];

const SCRIPTS: [(&str, &[(u32, u32)]); 9] = [
    ("Latin", &[(0x41, 0x5a), (0x61, 0x7a), (0xc0, 0x24f)]),
    ("Greek", &[(0x370, 0x3ff)]),
    ("Cyrillic", &[(0x400, 0x52f)]),
    ("Hebrew", &[(0x590, 0x5ff)]),
    ("Arabic", &[(0x600, 0x6ff), (0x750, 0x77f)]),
    ("Devanagari", &[(0x900, 0x97f)]),
    ("Chinese characters", &[(0x3400, 0x9fff), (0x20000, 0x2fa1f)]),
    ("Japanese kana", &[(0x3040, 0x30ff)]),
    ("Hangul", &[(0x1100, 0x11ff), (0xac00, 0xd7af)]),
];

impl Feature {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Token,
        Self::Before,
        Self::Behind,
        Self::Prefix,
        Self::Suffix,
        Self::Kind,
        Self::Inside,
        Self::Script,
        Self::Place,
    ];

    /// Its name in a label's type.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Before => "token before",
            Self::Behind => "token behind",
            Self::Prefix => "prefix",
            Self::Suffix => "suffix",
            Self::Kind => "kind",
            Self::Inside => "inside a word",
            Self::Script => "script",
            Self::Place => "position",
        }
    }

    /// Whether a rule may name this value: 0 stands for nothing, but for tokens, whose numbers they are.
    pub(super) const fn can_name(self, value: u32) -> bool {
        matches!(self, Self::Token) || value > 0
    }

    /// Whether a pair of both says more than one of them: what follows from the token does not narrow it down.
    pub(super) fn goes_with(self, first: Self) -> bool {
        let of_token = |of: Self| {
            matches!(of, Self::Token | Self::Prefix | Self::Suffix | Self::Kind | Self::Inside | Self::Script)
        };
        let pair = [self, first];
        let narrows = !pair.contains(&Self::Token) || !pair.into_iter().all(of_token);
        self != first && narrows
    }
}

impl Features {
    /// Adds a position; `text` gives a token's.
    pub fn add(&mut self, position: Position<'_>, text: &dyn Fn(u32) -> String) {
        let Position { ids, at } = position;
        let id = ids[at];
        let look = if let Some(look) = self.looks.get(&id) {
            *look
        } else {
            let look = self.look(&text(id));
            self.looks.insert(id, look);
            look
        };
        // One more than the token's number: 0 where there is none.
        let other = |at: Option<usize>| at.and_then(|at| ids.get(at)).map_or(0, |id| id.saturating_add(1));
        let values = [
            id,
            other(at.checked_sub(1)),
            other(at.checked_add(1)),
            look.prefix,
            look.suffix,
            look.kind,
            look.inside,
            look.script,
            // Behind the first few there is nothing to be named.
            if at as u32 > LAST_PLACE { 0 } else { at as u32 + 1 },
        ];
        for (all, value) in self.values.iter_mut().zip(values) {
            all.push(value);
        }
    }

    /// The values of a feature, of all positions.
    #[must_use]
    pub fn of(&self, feature: Feature) -> &[u32] {
        &self.values[feature as usize]
    }

    fn look(&mut self, text: &str) -> Look {
        let word = text.trim();
        let letters: Vec<char> = word.chars().collect();
        let starts = text.starts_with(char::is_whitespace);
        let lower = word.to_lowercase();
        let lower: Vec<char> = lower.chars().collect();
        // A beginning of the whole word would be the word itself.
        let long = lower.len() > LETTERS && lower.iter().all(|c| c.is_alphabetic());
        let part = |part: &[char]| part.iter().collect::<String>();
        Look {
            prefix: if long && starts { self.prefixes.number(part(&lower[..LETTERS])) } else { 0 },
            suffix: if long { self.suffixes.number(part(&lower[lower.len() - LETTERS..])) } else { 0 },
            kind: kind(&letters, text),
            inside: u32::from(!starts && letters.first().is_some_and(|c| c.is_alphabetic())),
            script: letters.iter().find(|c| c.is_alphabetic()).map_or(0, |c| script(*c)),
        }
    }

    /// A rule in words; `text` gives a token's.
    #[must_use]
    pub fn words(&self, parts: &[(Feature, Vec<u32>)], text: &dyn Fn(u32) -> String) -> String {
        let bare = |id: u32| {
            let token = text(id);
            token.strip_prefix(' ').filter(|word| !word.trim().is_empty()).unwrap_or(&token).to_owned()
        };
        let list = |of: &dyn Fn(u32) -> String, values: &[u32]| {
            let mut shown: Vec<String> = Vec::new();
            for value in values {
                // A token with and without its space is one word to a person.
                let text = of(*value);
                if !shown.contains(&text) {
                    shown.push(text);
                }
            }
            shown.join(", ")
        };
        let part = |(feature, values): &(Feature, Vec<u32>)| match feature {
            Feature::Token => format!("on {}", list(&bare, values)),
            Feature::Before => format!("after {}", list(&|value| bare(value - 1), values)),
            Feature::Behind => format!("before {}", list(&|value| bare(value - 1), values)),
            Feature::Prefix => {
                format!("on words in {}", list(&|value| format!("{}-", self.prefixes.text(value)), values))
            }
            Feature::Suffix => {
                format!("on words in {}", list(&|value| format!("-{}", self.suffixes.text(value)), values))
            }
            Feature::Kind => {
                format!("on {}", list(&|value| (*KINDS.get(value as usize).unwrap_or(&"")).to_owned(), values))
            }
            Feature::Inside => "inside a word".to_owned(),
            Feature::Script => format!(
                "on {}",
                list(&|value| SCRIPTS.get(value as usize - 1).map_or("", |(name, _)| *name).to_owned(), values)
            ),
            Feature::Place => format!("at position {}", list(&|value| (value - 1).to_string(), values)),
        };
        parts.iter().map(part).collect::<Vec<_>>().join(", ")
    }
}

impl Features {
    /// The values of a rule as they are on every text.
    #[must_use]
    pub fn kept(&self, parts: &[(Feature, Vec<u32>)]) -> Vec<RulePart> {
        let of = |feature: Feature, value: u32| match feature {
            Feature::Token => RuleValue::Number(value),
            Feature::Before | Feature::Behind | Feature::Place | Feature::Inside => {
                RuleValue::Number(value.saturating_sub(1))
            }
            Feature::Prefix => RuleValue::Text(self.prefixes.text(value).to_owned()),
            Feature::Suffix => RuleValue::Text(self.suffixes.text(value).to_owned()),
            Feature::Kind => RuleValue::Text((*KINDS.get(value as usize).unwrap_or(&"")).to_owned()),
            Feature::Script => {
                RuleValue::Text(SCRIPTS.get(value as usize - 1).map_or("", |(name, _)| *name).to_owned())
            }
        };
        let part = |(feature, values): &(Feature, Vec<u32>)| RulePart {
            feature: feature.name().to_owned(),
            values: values.iter().map(|value| of(*feature, *value)).collect(),
        };
        parts.iter().map(part).collect()
    }

    /// The values of a rule that was kept, as they are on this text; those that no position of it has are left out. None
    /// where it names nothing that is known.
    #[must_use]
    pub fn found(&self, parts: &[RulePart]) -> Option<Vec<(Feature, Vec<u32>)>> {
        let of = |feature: Feature, value: &RuleValue| match (feature, value) {
            (Feature::Token, RuleValue::Number(value)) => Some(*value),
            (Feature::Before | Feature::Behind | Feature::Place | Feature::Inside, RuleValue::Number(value)) => {
                value.checked_add(1)
            }
            (Feature::Prefix, RuleValue::Text(text)) => self.prefixes.numbers.get(text).copied(),
            (Feature::Suffix, RuleValue::Text(text)) => self.suffixes.numbers.get(text).copied(),
            (Feature::Kind, RuleValue::Text(text)) => {
                KINDS.iter().position(|kind| kind == text).filter(|at| *at > 0).map(|at| at as u32)
            }
            (Feature::Script, RuleValue::Text(text)) => {
                SCRIPTS.iter().position(|(name, _)| name == text).map(|at| at as u32 + 1)
            }
            _ => None,
        };
        let part = |part: &RulePart| {
            let feature = Feature::ALL.into_iter().find(|feature| feature.name() == part.feature)?;
            Some((feature, part.values.iter().filter_map(|value| of(feature, value)).collect()))
        };
        parts.iter().map(part).collect::<Option<Vec<_>>>().filter(|parts| !parts.is_empty())
    }
}

impl Interned {
    fn number(&mut self, text: String) -> u32 {
        if let Some(number) = self.numbers.get(&text) {
            return *number;
        }
        self.texts.push(text.clone());
        let number = self.texts.len() as u32;
        self.numbers.insert(text, number);
        number
    }

    fn text(&self, number: u32) -> &str {
        (number as usize).checked_sub(1).and_then(|at| self.texts.get(at)).map_or("", String::as_str)
    }
}

fn kind(letters: &[char], text: &str) -> u32 {
    let Some(first) = letters.first() else { return if text.is_empty() { 0 } else { 6 } };
    if letters.iter().all(|c| c.is_numeric()) {
        return 4;
    }
    if !letters.iter().any(|c| c.is_alphanumeric()) {
        return 5;
    }
    let cased = || letters.iter().filter(|c| c.is_uppercase() || c.is_lowercase());
    let upper = cased().filter(|c| c.is_uppercase()).count();
    match (upper, cased().count()) {
        (_, 0) => 0,
        (0, _) => 1,
        (1, _) if first.is_uppercase() => 2,
        (upper, all) if upper == all => 3,
        _ => 7,
    }
}

fn script(letter: char) -> u32 {
    let is_of =
        |(_, ranges): &(&str, &[(u32, u32)])| ranges.iter().any(|(from, to)| (*from..=*to).contains(&(letter as u32)));
    SCRIPTS.iter().position(is_of).map_or(0, |at| at as u32 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_have_the_look_that_a_person_would_say() {
        let of = |text: &str| {
            let mut features = Features::default();
            features.add(Position { ids: &[7], at: 0 }, &|_| text.to_owned());
            let value = |feature: Feature| features.of(feature)[0];
            let parts = [Feature::Prefix, Feature::Suffix, Feature::Kind, Feature::Inside, Feature::Script];
            let named: Vec<(Feature, Vec<u32>)> =
                parts.into_iter().filter(|of| value(*of) > 0).map(|of| (of, vec![value(of)])).collect();
            features.words(&named, &|_| text.to_owned())
        };
        assert_eq!(of(" Einstein"), "on words in ein-, on words in -ein, on capitalised words, on Latin");
        assert_eq!(of("ing"), "on lower-case words, inside a word, on Latin");
        assert_eq!(of(" NATO"), "on words in nat-, on words in -ato, on words in capitals, on Latin");
        assert_eq!(of(" 1879"), "on digits");
        assert_eq!(of("."), "on punctuation");
        assert_eq!(of("\n\n"), "on white space");
        assert_eq!(of(" Москва"), "on words in мос-, on words in -ква, on capitalised words, on Cyrillic");
        assert_eq!(of("東京"), "inside a word, on Chinese characters");
    }
}
