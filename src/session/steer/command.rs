//! The command line that asks a question about steering again. Not here: reading one (`cli/args/steer.rs`).

use super::{SteerChange, SteerQuery, SteerTarget, StrengthUnit};
use crate::analysis::intervention::{LatentAbove, Where};
use crate::text::CommandLine;

impl SteerQuery {
    /// `saescope steer` of a suite with everything that decides about its answer.
    #[must_use]
    pub fn command(&self, suite: &str) -> CommandLine {
        let mut line = CommandLine::new("steer", suite);
        for edit in &self.edits {
            line = target(line, &edit.target);
            line = match edit.change {
                SteerChange::Ablate => line.flag("ablate", true),
                SteerChange::Set(by) => line.number("set", by),
                SteerChange::Scale(by) => line.number("scale", by),
                SteerChange::Add(by) => line.number("add", by),
                SteerChange::Project(by) => line.number("project", by),
            };
        }
        line = match self.unit {
            StrengthUnit::Raw => line,
            StrengthUnit::Max => line.number("unit", "max"),
            StrengthUnit::Norm => line.number("unit", "norm"),
        };
        line = match &self.at {
            // No flag says where the second of these is.
            Where::All | Where::From(_) => line,
            Where::Fires => line.number("at", "fires"),
            Where::Positions(these) => {
                let these: Vec<String> = these.iter().map(usize::to_string).collect();
                line.number("at", these.join(","))
            }
        };
        for (name, condition) in [("while", &self.only), ("stop", &self.until)] {
            if let Some(LatentAbove { latent, above }) = condition {
                line = line.text(name, &format!("{}:{}>{above}", latent.sae, latent.latent));
            }
        }
        line = line.text("prompt", &self.prompt).number("tokens", self.tokens);
        if self.candidates > 0 {
            line = line.number("candidates", self.candidates);
        }
        if self.temperature != 0.0 {
            line = line.number("temperature", self.temperature);
        }
        if let Some(sweep) = self.sweep {
            line = line.number("sweep", format!("{}:{}:{}", sweep.from, sweep.to, sweep.count));
        }
        if let Some(index) = &self.index {
            line = line.text("index", &index.display().to_string());
        }
        line.number("seed", self.seed)
    }
}

fn target(line: CommandLine, target: &SteerTarget) -> CommandLine {
    match target {
        SteerTarget::Latent(latent) => line.text("sae", &latent.sae).number("latent", latent.latent),
        SteerTarget::MetaLatent { sae, meta, meta_latent } => {
            let line = sae.iter().fold(line, |line, sae| line.text("sae", sae));
            line.text("meta", meta).number("meta-latent", meta_latent)
        }
        SteerTarget::Direction(file) => line.text("direction", &file.display().to_string()),
    }
}
