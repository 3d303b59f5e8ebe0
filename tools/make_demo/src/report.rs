//! `REPORT.md`: what was measured on text that nothing was trained on.
//! It only writes; the figures come from `facts.rs` and `measure.rs`.

use std::fmt::Write as _;

use anyhow::Result;
use saescope::sae::train::Trained;
use tokenizers::Tokenizer;

use crate::facts::{self, Score, overall};
use crate::lm::Model;
use crate::measure::{Figures, Plain, Sample, encode};
use crate::tokens;

/// Names whose latents the report tells.
const NAMES: [&str; 8] = [
    "Albert Einstein",
    "Isaac Newton",
    "Marie Curie",
    "Ludwig van Beethoven",
    "Pablo Picasso",
    "William Shakespeare",
    "Tokyo",
    "Paris",
];
/// Prompts whose completions the report shows.
const PROMPTS: [&str; 10] = [
    "Albert Einstein was a German physicist known for",
    "Albert Einstein came from",
    "The books speak of Marie Curie, who came from",
    "Isaac Newton was a",
    "The people of Tokyo speak",
    "Paris is a city in",
    "The river of Cairo is the",
    "Question: What does the panda eat? Answer:",
    "After Monday comes",
    "Both Beethoven and Bach were",
];

pub struct Report<'a> {
    pub model: &'a Model,
    pub tokenizer: &'a Tokenizer,
    pub sample: &'a Sample,
    pub saes: &'a [Trained],
    pub figures: &'a [Figures],
    pub plain: &'a Plain,
    pub held_out: &'a Score,
    pub seen: &'a Score,
    pub trained_on: usize,
}

fn percent(score: (usize, usize)) -> f64 {
    100.0 * score.0 as f64 / score.1.max(1) as f64
}

impl Report<'_> {
    pub fn write(&self) -> Result<String> {
        let mut out = String::from(
            "# The embedded demo, measured\n\n\
             Written by `cargo run --release -p make_demo`. Every figure is taken on text that neither the \
             model nor an SAE was trained on, with weights as they are stored, in f16.\n\n",
        );
        self.model_part(&mut out)?;
        self.facts_part(&mut out)?;
        self.ladder_part(&mut out)?;
        self.names_part(&mut out)?;
        Ok(out)
    }

    fn model_part(&self, out: &mut String) -> Result<()> {
        let (s, parameters) = (self.model.shape, self.model.vars.values().map(|v| v.elem_count()).sum::<usize>());
        writeln!(
            out,
            "## Model\n\nGPT-2's architecture: {} layers, width {}, {} heads, context {}, vocabulary {} (byte-level \
             BPE), {:.2} M parameters, trained on {:.2} M tokens. Cross-entropy on {} unseen predictions: {:.4} nats.\n",
            s.layers,
            s.width,
            s.heads,
            s.context,
            s.vocab,
            parameters as f64 / 1e6,
            self.trained_on as f64 / 1e6,
            self.plain.tokens,
            self.plain.clean
        )?;
        writeln!(out, "What it writes, always taking its first choice:\n\n| prompt | continuation |\n|---|---|")?;
        for prompt in PROMPTS {
            writeln!(out, "| {prompt} | {} |", facts::complete(self.model, self.tokenizer, prompt, 10)?.trim())?;
        }
        Ok(())
    }

    fn facts_part(&self, out: &mut String) -> Result<()> {
        writeln!(
            out,
            "\n## Facts\n\nEvery fact is asked in every sentence form that was held out of the text. Right means that \
             each token of the answer is the model's first choice. For comparison, as many questions in \
             forms that the text uses. Sixteen of the held-out forms were reworded once, when an earlier model with \
             another vocabulary had failed on them; none was ever trained on.\n\n\
             | relation | held-out forms: asked | right | forms of the text: right |\n|---|---|---|---|"
        )?;
        for (relation, score) in self.held_out {
            let seen = self.seen.get(relation).copied().unwrap_or_default();
            writeln!(out, "| {relation} | {} | {:.1} % | {:.1} % |", score.1, percent(*score), percent(seen))?;
        }
        let (held, seen) = (overall(self.held_out), overall(self.seen));
        writeln!(out, "| **all** | {} | **{:.1} %** | {:.1} % |", held.1, percent(held), percent(seen))?;
        Ok(())
    }

    fn ladder_part(&self, out: &mut String) -> Result<()> {
        let p = self.plain;
        writeln!(
            out,
            "\n## Ladder\n\nBatchTopK SAEs at `blocks.{}.hook_resid_pre`, on {} unseen tokens; position 0 counts for \
             nothing and is not replaced. Cross-entropy in nats: clean {:.4}, zero {:.4}, mean {:.4}. Dead: never \
             firing on these tokens.\n\n\
             | width | k | L0 | MSE | explained variance | CE spliced | loss recovered (zero) | (mean) | dead |\n\
             |---|---|---|---|---|---|---|---|---|",
            self.sample.layer, p.tokens, p.clean, p.zero, p.mean
        )?;
        for f in self.figures {
            writeln!(
                out,
                "| {} | {} | {:.2} | {:.5} | {:.4} | {:.4} | {:.4} | {:.4} | {:.1} % |",
                f.width,
                f.k,
                f.l0,
                f.mse,
                f.explained,
                f.spliced,
                f.recovered_zero,
                f.recovered_mean,
                100.0 * f.dead
            )?;
        }
        Ok(())
    }

    fn names_part(&self, out: &mut String) -> Result<()> {
        writeln!(
            out,
            "\n## What fires on a name\n\nThe strongest latents on the last token of a name that stands first in the \
             prompt, and the words of the unseen text on which each fires most.\n"
        )?;
        for name in NAMES {
            writeln!(out, "### {name}\n")?;
            let mut ids = vec![0];
            ids.extend(tokens::encode(self.tokenizer, name)?);
            let x = self.model.residual(&ids, ids.len(), self.sample.layer)?;
            let x = x.narrow(0, ids.len() - 1, 1)?.flatten_all()?.to_vec1::<f32>()?;
            for sae in self.saes {
                let f = encode(sae, &x);
                let mut order: Vec<usize> = (0..sae.width).filter(|l| f[*l] > 0.0).collect();
                order.sort_by(|a, b| f[*b].total_cmp(&f[*a]));
                order.truncate(4);
                let words = self.sample.words(sae, self.tokenizer, &order, 5)?;
                for (latent, words) in order.iter().zip(words) {
                    let words = words.iter().map(|w| format!("“{w}”")).collect::<Vec<_>>().join(", ");
                    writeln!(out, "- {} / {latent} ({:.2}): {words}", sae.width, f[*latent])?;
                }
            }
            writeln!(out)?;
        }
        Ok(())
    }
}
