//! What is said of a latent in words: by whom, and how often it is right.
//! Not here: making labels (`rules`), and where they are kept.

use serde::{Deserialize, Serialize};

/// A label of a latent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Label {
    /// What is said of the latent.
    pub text: String,
    /// Where the label is from.
    pub source: LabelSource,
    /// Who made it: this program's rules, a person, a model.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub by: String,
    /// How it was made, in the words of who publishes it; the kind of a rule.
    #[serde(rename = "type", default, skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// A person's note.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
    /// How often it is right; none where nobody measured it.
    #[serde(default)]
    pub scores: Option<LabelScores>,
    /// Of a rule what it names, feature by feature; so it can be counted on another text.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rule: Vec<RulePart>,
}

/// Values of one feature that a rule names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RulePart {
    /// The feature's name.
    pub feature: String,
    /// Its values.
    pub values: Vec<RuleValue>,
}

/// A value of a feature that stays the same on another text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum RuleValue {
    /// A token's number in the vocabulary; a position.
    Number(u32),
    /// Letters, a kind of token, a script.
    Text(String),
}

/// Where a label is from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LabelSource {
    /// A person: written here, or imported.
    #[default]
    File,
    /// A rule that was chosen on one half of a text and measured on the other.
    Rule,
    /// Neuronpedia's export.
    Neuronpedia,
    /// A language model's words.
    Llm,
}

impl LabelSource {
    /// All of them, the one that is shown first in front.
    pub const ALL: [Self; 4] = [Self::File, Self::Rule, Self::Neuronpedia, Self::Llm];

    /// Its name in files and JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Rule => "rule",
            Self::Neuronpedia => "neuronpedia",
            Self::Llm => "llm",
        }
    }
}

/// How often a label is right, over held-out positions or windows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LabelScores {
    /// Of the positions that it names, the share on which the latent fires.
    pub precision: Option<f64>,
    /// Of the positions on which the latent fires, the share that it names.
    pub recall: Option<f64>,
    /// The harmonic mean of both.
    pub f1: Option<f64>,
    /// The precision if as many positions fired as did not: recall / (recall + share of silent positions named).
    pub precision_balanced: Option<f64>,
    /// How often a model that reads the label tells windows in which the latent fires from others (delphi's detection).
    pub detection: Option<f64>,
    /// How often it tells tokens on which it fires from others (delphi's fuzzing).
    pub fuzzing: Option<f64>,
    /// Held-out positions on which the latent fires; of a model's judgements the held-out windows that it was shown.
    pub held_out: u64,
}

/// A latent that a label is of; as a line of a file, with the SAE's id.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LatentLabel {
    /// The latent.
    pub latent: u32,
    /// The label; none where it is known that there is none.
    pub label: Option<Label>,
}
