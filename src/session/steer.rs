//! What a model writes when latents, meta-latents or directions are changed while it writes, beside what it writes untouched
//! and under a change as large in a random direction. Not here: what is named (`found`), and writing
//! (`analysis::steering`).

mod command;
mod found;

use std::path::PathBuf;
use std::sync::Arc;

use crate::analysis::intervention::{ArmEdit, Compiled, Error, Intervention, LatentAbove, LatentId, Setting, Where};
use crate::analysis::steering::{Prefix, Steering, Written, view};
use crate::analysis::{Sampling, SteerView, SweepPoint};
use crate::kernel;
use crate::model;
use crate::report::{Kind, Report};
use crate::session::failure;
use crate::session::loaded_suite::LoadedSuite;
use crate::session::prompt::Typed;
use crate::session::prompt_session::PromptSession;
use crate::session::query::{Cx, Query};
use crate::task::{Cancel, OnProgress, Progress, SoFar};

use found::Found;

const CANNOT: &str = "cannot steer the model";

/// The arms, in the order of their columns.
pub const STEER_ARMS: [&str; 3] = ["untouched", "steered", "random"];

/// Most strengths of a sweep: they are written as one batch.
pub const MOST_STRENGTHS: usize = 64;

/// What a model writes when it is changed while it writes. Progress carries a [`SteerView`] of what is written so far.
#[derive(Clone, Debug, PartialEq)]
pub struct SteerQuery {
    /// The prompt.
    pub prompt: String,
    /// What is changed; the changes add up.
    pub edits: Vec<SteerEdit>,
    /// What strengths are counted in.
    pub unit: StrengthUnit,
    /// At which positions.
    pub at: Where,
    /// Only where this holds.
    pub only: Option<LatentAbove>,
    /// No more from the first position on where this holds.
    pub until: Option<LatentAbove>,
    /// The steered arm at other strengths.
    pub sweep: Option<Sweep>,
    /// Tokens that are written.
    pub tokens: usize,
    /// For each new token how many of the likeliest are wanted.
    pub candidates: usize,
    /// 0 takes the likeliest token.
    pub temperature: f64,
    /// Seed of the random direction and of sampling.
    pub seed: u64,
    /// Another index than the suite's own, for latents' maxima.
    pub index: Option<PathBuf>,
}

/// What is changed, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct SteerEdit {
    /// What.
    pub target: SteerTarget,
    /// How.
    pub change: SteerChange,
}

/// What is changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SteerTarget {
    /// A latent.
    Latent(LatentId),
    /// A meta-latent.
    MetaLatent {
        /// The id of the SAE whose latents it is in; the only one with such a meta-SAE where it is not named.
        sae: Option<String>,
        /// The meta-SAE's id, or its folder.
        meta: String,
        /// The meta-latent.
        meta_latent: u32,
    },
    /// A direction in a safetensors file: its only tensor, or the one named `direction`.
    Direction(PathBuf),
}

/// How it is changed. f is how strongly it fires, d its direction in the model's units.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum SteerChange {
    /// x − f·d.
    Ablate,
    /// x + (value − f)·d.
    Set(f32),
    /// x + (factor − 1)·f·d.
    Scale(f32),
    /// x + strength·d.
    Add(f32),
    /// x + (coefficient − 1)·(x·u)·u, u being d scaled to length 1.
    Project(f32),
}

/// What strengths are counted in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StrengthUnit {
    /// The number itself.
    #[default]
    Raw,
    /// The latent's maximum in the index.
    Max,
    /// The mean ‖x‖ over the prompt's positions, without beginning-of-sequence tokens.
    Norm,
}

/// So many strengths from one to another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sweep {
    /// The first.
    pub from: f32,
    /// The last.
    pub to: f32,
    /// How many.
    pub count: usize,
}

impl SteerChange {
    /// Its strength, if it has one.
    #[must_use]
    pub const fn strength(self) -> Option<f32> {
        match self {
            Self::Ablate => None,
            Self::Set(by) | Self::Scale(by) | Self::Add(by) | Self::Project(by) => Some(by),
        }
    }

    /// The same with another strength.
    #[must_use]
    pub const fn with(self, by: f32) -> Self {
        match self {
            Self::Ablate => Self::Ablate,
            Self::Set(_) => Self::Set(by),
            Self::Scale(_) => Self::Scale(by),
            Self::Add(_) => Self::Add(by),
            Self::Project(_) => Self::Project(by),
        }
    }

    /// Whether the strength is an activation, and not a factor.
    #[must_use]
    pub const fn is_amount(self) -> bool {
        matches!(self, Self::Set(_) | Self::Add(_))
    }
}

impl Sweep {
    /// The strengths.
    #[must_use]
    pub fn strengths(self) -> Vec<f32> {
        let Self { from, to, count } = self;
        let last = count.saturating_sub(1).max(1) as f32;
        (0..count)
            .map(|at| if at + 1 == count && at > 0 { to } else { from + (to - from) * at as f32 / last })
            .collect()
    }
}

impl Query for SteerQuery {
    type Answer = SteerView;
    const NAME: &'static str = "steer";
    const PRIORITY: u8 = 96;

    fn run(&self, cx: &mut Cx<'_>) -> Result<SteerView, Report> {
        if self.edits.is_empty() {
            return Err(Report::new(CANNOT).because("nothing is to be changed").kind(Kind::Usage));
        }
        let found = self.edits.iter().map(|edit| found::find(self, edit, cx)).collect::<Result<Vec<_>, _>>()?;
        let (cancel, progress) = (cx.cancel, cx.progress);
        kernel::awake(|| cx.prompt()?.steer(self, &found, cancel, progress))
    }
}

/// The prompt of one question, run.
struct Scene<'a> {
    suite: &'a LoadedSuite,
    prefix: &'a Prefix,
    ids: &'a [u32],
    asked: &'a SteerQuery,
    found: &'a [Found],
    /// Tokens that end a text.
    stop: Vec<u32>,
    cancel: &'a Cancel,
}

impl PromptSession {
    fn steer(
        &mut self,
        asked: &SteerQuery,
        found: &[Found],
        cancel: &Cancel,
        progress: OnProgress<'_>,
    ) -> Result<SteerView, Report> {
        let Typed { ids, notes } = self.typed(&asked.prompt)?;
        let of_model = |error: &model::Error| failure::of_model(CANNOT, error);
        let model = Arc::clone(&self.model.model);
        model.check_logits().map_err(|error| of_model(&error))?;
        if ids.is_empty() {
            return Err(of_model(&model::Error::Empty));
        }
        check(asked, ids.len())?;
        let (suite, _, prefix) = self.with::<Prefix>();
        let ran = prefix.run(&*model, suite.suite.site, &ids, cancel);
        if let Err(error) = ran {
            *prefix = Prefix::default();
            return Err(of_model(&error));
        }
        let stop = suite.model.tokenizer.bos().into_iter().collect();
        let scene = Scene { suite, prefix, ids: &ids, asked, found, stop, cancel };
        let answer = scene.write(notes, progress);
        answer.map_err(|error| match error {
            Failure::Model(error) => of_model(&error),
            Failure::Report(report) => report,
        })
    }
}

enum Failure {
    Model(model::Error),
    Report(Report),
}

impl Scene<'_> {
    fn write(&self, notes: Vec<String>, progress: OnProgress<'_>) -> Result<SteerView, Failure> {
        let Self { asked, ids, found, .. } = self;
        let bos = self.suite.apart().of(ids);
        let norm = self.prefix.mean_norm(bos);
        let changes = asked.edits.iter().map(|edit| edit.change);
        let raw = found.iter().zip(changes.clone()).map(|(found, change)| found.raw(change, asked.unit, norm));
        let raw = raw.collect::<Result<Vec<SteerChange>, _>>().map_err(Failure::Report)?;
        let intervention = self.intervention(&raw);
        let mut view = SteerView {
            interventions: intervention.edits.iter().map(|edit| Self::said(&intervention, &edit.to_string())).collect(),
            strengths: found.iter().zip(&raw).map(|(found, raw)| found.strength(*raw, norm)).collect(),
            prompt_tokens: ids.len(),
            activation_norm: norm,
            notes,
            ..SteerView::default()
        };
        let steered = self.compile(&intervention, bos)?;
        let random = self.compile(&intervention.control(asked.seed), bos)?;
        let arm = |compiled, acts| ArmEdit::new(compiled, acts, ids.len());
        let arms = vec![arm(steered.clone(), false), arm(steered, true), arm(random, true)];
        let mut tell = |arms: &[Written<'_>]| {
            let done = arms.iter().map(|arm| arm.ids.len()).max().unwrap_or(0);
            let so_far = Some(SoFar::new(SteerView { arms: self.arms(arms), ..view.clone() }));
            progress(Progress { so_far, ..Progress::steps("tokens", done as u64, asked.tokens as u64) });
        };
        let written = self.steering().write(self.prefix, arms, &mut tell).map_err(Failure::Model)?;
        view.arms = self.arms(&written);
        if written[1].edit.edited().is_empty() {
            view.notes.push(self.still(&written[1]));
        }
        if let Some(sweep) = asked.sweep {
            view.sweep = self.sweep(sweep, (norm, bos), &view, progress)?;
        }
        Ok(view)
    }

    fn sweep(
        &self,
        sweep: Sweep,
        (norm, bos): (Option<f64>, usize),
        so_far: &SteerView,
        progress: OnProgress<'_>,
    ) -> Result<Vec<SweepPoint>, Failure> {
        let strengths = sweep.strengths();
        let mut arms = Vec::with_capacity(strengths.len());
        for strength in &strengths {
            let with = |change: SteerChange| if change.strength().is_some() { change.with(*strength) } else { change };
            let raw = self.found.iter().zip(&self.asked.edits);
            let raw = raw.map(|(found, edit)| found.raw(with(edit.change), self.asked.unit, norm));
            let raw = raw.collect::<Result<Vec<_>, _>>().map_err(Failure::Report)?;
            arms.push(ArmEdit::new(self.compile(&self.intervention(&raw), bos)?, true, self.ids.len()));
        }
        let points = |written: &[Written<'_>]| -> Vec<SweepPoint> {
            let point = |(written, strength): (&Written<'_>, &f32)| {
                let arm = view("sweep", written, self.ids.len(), &self.suite.model.tokenizer);
                SweepPoint {
                    strength: f64::from(*strength),
                    text: arm.text,
                    perplexity_untouched: arm.perplexity_untouched,
                    latent_mean: arm.latent_mean,
                }
            };
            written.iter().zip(&strengths).map(point).collect()
        };
        let mut tell = |arms: &[Written<'_>]| {
            let done = arms.iter().map(|arm| arm.ids.len()).max().unwrap_or(0);
            let so_far = Some(SoFar::new(SteerView { sweep: points(arms), ..so_far.clone() }));
            progress(Progress { so_far, ..Progress::steps("sweep", done as u64, self.asked.tokens as u64) });
        };
        let written = self.steering().write(self.prefix, arms, &mut tell).map_err(Failure::Model)?;
        Ok(points(&written))
    }

    fn steering(&self) -> Steering<'_> {
        let SteerQuery { tokens, temperature, candidates, seed, .. } = *self.asked;
        let sampling = match temperature {
            0.0 => Sampling::Greedy,
            temperature => Sampling::Random { temperature, top_p: 1.0, seed },
        };
        let (model, site) = (&*self.suite.model.model, self.suite.suite.site);
        Steering { model, site, ids: self.ids, tokens, sampling, candidates, stop: &self.stop, cancel: self.cancel }
    }

    fn intervention(&self, changes: &[SteerChange]) -> Intervention {
        let edits = self.found.iter().zip(changes).map(|(found, change)| found.edit(*change)).collect();
        Intervention {
            only: self.asked.only.clone(),
            until: self.asked.until.clone(),
            ..Intervention::new(self.suite.suite.site, self.asked.at.clone(), edits)
        }
    }

    fn compile(&self, intervention: &Intervention, bos: usize) -> Result<Compiled<'_>, Failure> {
        let suite = self.suite;
        let sae = |id: &str| suite.saes.iter().find(|loaded| loaded.entry.id == id).map(|loaded| &loaded.sae);
        let size = suite.model.model.site_size(suite.suite.site).map_err(Failure::Model)?;
        let setting = Setting { sae: &sae, size, center: suite.suite.center, bos };
        intervention.compile(setting).map_err(|error| {
            Failure::Report(match error {
                Error::Sae(error) => failure::of_sae(CANNOT, &error),
                Error::NoLatent(_) => Report::caused(CANNOT, &error)
                    .hint("a direction fires nowhere: name positions, or all of them")
                    .kind(Kind::Usage),
                error => Report::caused(CANNOT, &error).kind(Kind::Usage),
            })
        })
    }

    fn arms(&self, written: &[Written<'_>]) -> Vec<crate::analysis::SteerArm> {
        let tokenizer = &self.suite.model.tokenizer;
        let arms = written.iter().zip(STEER_ARMS);
        arms.map(|(written, name)| view(name, written, self.ids.len(), tokenizer)).collect()
    }

    /// One edit in words.
    fn said(intervention: &Intervention, edit: &str) -> String {
        let condition =
            |word: &str, of: &Option<LatentAbove>| of.as_ref().map_or_else(String::new, |of| format!(" {word} {of}"));
        let (only, until) = (condition("while", &intervention.only), condition("until", &intervention.until));
        format!("{}: {edit} {}{only}{until}", intervention.site, intervention.at)
    }

    /// Why the steered arm is the untouched one.
    fn still(&self, written: &Written<'_>) -> String {
        let silent = written.edit.fires().iter().all(|firing| firing.activation == 0.0);
        match (self.found.first(), silent && !written.edit.fires().is_empty()) {
            (Some(found), true) => {
                format!("nothing was changed: {} fires at no position that was looked at", found.name())
            }
            _ => "nothing was changed at any position".to_owned(),
        }
    }
}

/// Whether the question can be asked of a prompt of so many tokens.
fn check(asked: &SteerQuery, tokens: usize) -> Result<(), Report> {
    let wrong = |why: String| Report::new(CANNOT).because(why).kind(Kind::Usage);
    if let Where::Positions(positions) = &asked.at
        && let Some(at) = positions.iter().find(|at| **at >= tokens)
    {
        return Err(wrong(format!("there is no position {at}: the prompt has {tokens} tokens, from 0")));
    }
    let strengths = asked.edits.iter().filter_map(|edit| edit.change.strength());
    let swept = asked.sweep.iter().flat_map(|sweep| [sweep.from, sweep.to]);
    if let Some(bad) = strengths.chain(swept).find(|strength| !strength.is_finite()) {
        return Err(wrong(format!("the strength is {bad}")).hint("give a number"));
    }
    if !(asked.temperature.is_finite() && asked.temperature >= 0.0) {
        return Err(wrong(format!("the temperature is {}", asked.temperature)).hint("0 takes the likeliest token"));
    }
    if let Some(sweep) = asked.sweep {
        if !(1..=MOST_STRENGTHS).contains(&sweep.count) {
            return Err(wrong(format!("a sweep has 1 to {MOST_STRENGTHS} strengths, not {}", sweep.count)));
        }
        if asked.edits.iter().filter(|edit| edit.change.strength().is_some()).count() != 1 {
            return Err(wrong(
                "a sweep needs exactly one change with a strength: set, scale, add or project".to_owned(),
            ));
        }
    }
    Ok(())
}
