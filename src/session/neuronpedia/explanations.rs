//! What Neuronpedia says of latents in words.
//! Not here: keeping it.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::analysis::{Label, LabelSource};
use crate::report::Report;
use crate::session::neuronpedia::Export;
use crate::task::{Cancel, OnProgress};

/// A line of a batch of explanations; what is not named here (such as embeddings, as strings or lists) is passed over.
#[derive(Debug, Deserialize)]
struct Line {
    index: Index,
    #[serde(default)]
    layer: Option<String>,
    #[serde(default)]
    description: Option<String>,
    #[serde(default, rename = "typeName")]
    kind: Option<String>,
    #[serde(default, rename = "explanationModelName")]
    by: Option<String>,
}

/// A latent's number, as text or as a number.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum Index {
    /// As the export has it.
    Text(String),
    /// As a number.
    Number(u32),
}

impl Index {
    /// The latent, of an SAE of so many.
    ///
    /// # Errors
    /// That it is none.
    pub fn latent(&self, width: usize) -> Result<u32, String> {
        let latent = match self {
            Self::Number(number) => Some(*number),
            Self::Text(text) => text.parse().ok(),
        };
        latent.filter(|latent| (*latent as usize) < width).ok_or_else(|| {
            let said = match self {
                Self::Number(number) => number.to_string(),
                Self::Text(text) => text.chars().take(40).collect(),
            };
            format!("there is no latent `{}`: the SAE has {width}", said.escape_debug())
        })
    }
}

/// Characters of a text that are kept.
const LONGEST: usize = 2_000;

impl Export<'_> {
    /// All explanations of the source, by latent; and the bytes that were read.
    ///
    /// # Errors
    /// What is wrong with the listing or a batch, with address and line.
    pub fn explanations(
        &self,
        width: usize,
        cancel: &Cancel,
        on: OnProgress<'_>,
    ) -> Result<(BTreeMap<u32, Vec<Label>>, u64), Report> {
        let batches = self.batches("explanations", cancel)?;
        let source = self.id.rsplit('/').next().unwrap_or_default();
        let mut all: BTreeMap<u32, Vec<Label>> = BTreeMap::new();
        let mut take = |line: Line| {
            if let Some(layer) = line.layer.filter(|layer| layer != source) {
                return Err(format!("it is of the source `{}`", layer.escape_debug()));
            }
            let latent = line.index.latent(width)?;
            let cut = |text: Option<String>| text.unwrap_or_default().trim().chars().take(LONGEST).collect::<String>();
            let text = cut(line.description);
            if !text.is_empty() {
                let (by, kind) = (cut(line.by), cut(line.kind));
                let label = Label { text, source: LabelSource::Neuronpedia, by, kind, ..Label::default() };
                let of = all.entry(latent).or_default();
                if !of.contains(&label) {
                    of.push(label);
                }
            }
            Ok(())
        };
        self.read(&batches, (cancel, on), &mut take)?;
        Ok((all, batches.iter().map(|batch| batch.size).sum()))
    }
}
