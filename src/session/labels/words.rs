//! A model's words for latents, and how often words are right by a model's judgement.
//! Not here: which windows it is shown and what it is asked (`analysis::explain`), and how an endpoint is asked.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use serde::Serialize;

use crate::analysis::explain::{
    AT_ONCE, Evidence, Judged, Message, Reading, Task, explain, explanation, judge, judgements,
};
use crate::analysis::{Label, LabelScores, LabelSource, tokens};
use crate::report::Report;
use crate::session::labels::endpoint::{Endpoint, Speaker};
use crate::session::labels::reading::ReadingKey;
use crate::session::labels::{LABEL_TOKENS, LabelCount};
use crate::session::load_scope::{LoadScope, needs_model};
use crate::session::loaded_suite::LoadedSuite;
use crate::session::query::{Cx, Lane, Query};
use crate::task::{Cancel, OnProgress, Progress};

/// How words are found, as a label's type says it.
const KIND: &str = "strongest windows";
/// Latents whose requests are measured to say beforehand what all will cost.
const MEASURED: usize = 20;
/// Characters of a token, and tokens of an answer with words and of one with judgements, for that.
const CHARACTERS: u64 = 4;
const WORDS: u64 = 60;
const LIST: u64 = 12;

/// Ask a model for words for latents, or to judge words that there are.
#[derive(Clone, Debug, PartialEq)]
pub struct WordsQuery {
    /// The SAE's id.
    pub sae: String,
    /// These latents; all of the SAE's where it is empty.
    pub latents: Vec<u32>,
    /// Only so many of them: the first that have not what is asked for.
    pub limit: Option<usize>,
    /// The text, as for an index; the one that is measured on otherwise.
    pub texts: Vec<PathBuf>,
    /// Tokens of it that are read at most.
    pub tokens: Option<u64>,
    /// Who is asked.
    pub endpoint: Endpoint,
    /// Whether words that are kept are judged, and none are asked for.
    pub score: bool,
    /// Whether it is only said what would be asked.
    pub estimate: bool,
}

/// What was asked of a model, or would be (the JSON key `asked`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ModelAsked {
    /// Latents.
    pub latents: usize,
    /// Requests.
    pub requests: u64,
    /// Tokens of all requests: an estimate beforehand, the endpoint's own count later.
    pub prompt_tokens: u64,
    /// Tokens of all answers.
    pub answer_tokens: u64,
}

/// A latent of which something is to be asked.
struct Job {
    latent: u32,
    evidence: Evidence,
    /// The words that are to be judged, with what they are labels of; none where they are to be found.
    labels: Vec<Label>,
}

/// One run.
struct Run<'a> {
    query: &'a WordsQuery,
    suite: &'a LoadedSuite,
    place: usize,
    speaker: Speaker<'a>,
    asked: ModelAsked,
    notes: Notes,
}

/// What did not work.
#[derive(Default)]
struct Notes {
    /// Latents that fire in too few windows, and those for which the model found no words.
    rare: usize,
    silent: Vec<u32>,
    /// Latents of which too few windows were judged.
    unjudged: Vec<u32>,
}

impl Query for WordsQuery {
    type Answer = LabelCount;
    const NAME: &'static str = "words";
    const LANE: Lane = Lane::Long;
    const PRIORITY: u8 = 86;

    fn run(&self, cx: &mut Cx<'_>) -> Result<LabelCount, Report> {
        let started = Instant::now();
        let (suite, corpus, cancel) = (cx.suite()?, cx.corpus()?, cx.cancel);
        if suite.open.reach == LoadScope::WeightsOnly {
            return Err(needs_model("cannot read a text".to_owned()));
        }
        let place = suite.place(&self.sae)?;
        self.latents.iter().try_for_each(|latent| suite.check_latent(place, *latent))?;
        let speaker = Speaker::new(&self.endpoint)?;
        let key = ReadingKey {
            place,
            texts: self.texts.clone(),
            tokens: self.tokens.unwrap_or(LABEL_TOKENS),
            latents: self.latents.clone(),
            generation: corpus.generation,
        };
        let reading = suite.reading(&key, &corpus, cancel, cx.progress)?;
        let mut run = Run { query: self, suite, place, speaker, asked: ModelAsked::default(), notes: Notes::default() };
        let jobs = run.jobs(&reading, cancel)?;
        if self.estimate {
            run.asked = run.estimated(&jobs);
        } else {
            for (at, job) in jobs.iter().enumerate() {
                run.one(job, (at, jobs.len()), cancel, cx.progress)?;
            }
        }
        let width = suite.saes[place].sae.width();
        let mut count = suite.labels(place, cancel)?.count(&self.sae, width);
        count.notes.extend(run.notes.said(&self.endpoint.model));
        let tokens = Some(reading.ids.len() as u64);
        Ok(LabelCount { tokens, asked: Some(run.asked), seconds: started.elapsed().as_secs_f64(), ..count })
    }
}

impl Run<'_> {
    /// The latents that have not what is asked for, with their windows.
    fn jobs(&mut self, reading: &Arc<Reading>, cancel: &Cancel) -> Result<Vec<Job>, Report> {
        let (query, width) = (self.query, self.suite.saes[self.place].sae.width() as u32);
        let known = self.suite.labels(self.place, cancel)?;
        let all: Vec<u32> = if query.latents.is_empty() { (0..width).collect() } else { query.latents.clone() };
        let mut jobs = Vec::new();
        for latent in all {
            cancel.check()?;
            if query.limit.is_some_and(|limit| jobs.len() >= limit) {
                break;
            }
            let labels: Vec<Label> = known.labels(latent);
            let own = |label: &&Label| label.source == LabelSource::Llm && label.by == query.endpoint.model;
            let judged = |label: &Label| label.scores.is_some_and(|scores| scores.held_out > 0);
            let labels: Vec<Label> = if query.score {
                let text = |label: &Label| label.source != LabelSource::Rule && !judged(label);
                labels.into_iter().filter(text).collect()
            } else {
                labels.iter().filter(own).cloned().collect()
            };
            let done = if query.score { labels.is_empty() } else { labels.first().is_some_and(judged) };
            if done {
                continue;
            }
            match reading.evidence(latent) {
                Some(evidence) => jobs.push(Job { latent, evidence, labels }),
                None => self.notes.rare += 1,
            }
        }
        Ok(jobs)
    }

    /// What all of it will take, by the first latents.
    fn estimated(&self, jobs: &[Job]) -> ModelAsked {
        let characters = |messages: &[Message]| messages.iter().map(|m| m.content.len() as u64 + 8).sum::<u64>();
        let text = |id: u32| tokens::shown(id, &self.suite.model.tokenizer);
        let mut some = ModelAsked::default();
        for job in jobs.iter().take(MEASURED) {
            if job.labels.is_empty() {
                some.requests += 1;
                some.prompt_tokens += characters(&explain(&job.evidence.shown, &text)) / CHARACTERS;
                some.answer_tokens += WORDS;
            }
            let sentence = Label { text: "x".repeat(80), ..Label::default() };
            let labels = if job.labels.is_empty() { vec![sentence] } else { job.labels.clone() };
            for (label, task) in labels.iter().flat_map(|label| [(label, Task::Detection), (label, Task::Fuzzing)]) {
                for cases in job.evidence.cases(task, &text).chunks(AT_ONCE) {
                    some.requests += 1;
                    some.prompt_tokens += characters(&judge(task, &label.text, cases)) / CHARACTERS;
                    some.answer_tokens += LIST;
                }
            }
        }
        let measured = jobs.len().clamp(1, MEASURED) as u64;
        let all = |of: u64| of * jobs.len() as u64 / measured;
        ModelAsked {
            latents: jobs.len(),
            requests: all(some.requests),
            prompt_tokens: all(some.prompt_tokens),
            answer_tokens: all(some.answer_tokens),
        }
    }

    /// Asks about one latent, and keeps what was said at once.
    fn one(&mut self, job: &Job, (at, of): (usize, usize), cancel: &Cancel, on: OnProgress<'_>) -> Result<(), Report> {
        let what = format!("asking about latent {}, {} of {of}", job.latent, at + 1);
        let tell = |done: usize| on(Progress { what: what.clone(), done: done as u64, ..Progress::default() });
        let suite = self.suite;
        let text = |id: u32| tokens::shown(id, &suite.model.tokenizer);
        self.asked.latents += 1;
        let mut labels = job.labels.clone();
        if labels.is_empty() {
            let answers = self.ask(&[explain(&job.evidence.shown, &text)], cancel, &tell)?;
            let Some(words) = answers.first().and_then(|answer| explanation(answer.as_deref()?)) else {
                self.notes.silent.push(job.latent);
                return Ok(());
            };
            let (by, kind) = (self.query.endpoint.model.clone(), KIND.to_owned());
            labels.push(Label { text: words, source: LabelSource::Llm, by, kind, ..Label::default() });
            self.keep(job.latent, &labels, cancel)?;
        }
        for label in &mut labels {
            let detection = self.judged(Task::Detection, &label.text, &job.evidence, cancel, &tell)?;
            let fuzzing = self.judged(Task::Fuzzing, &label.text, &job.evidence, cancel, &tell)?;
            let (detected, fuzzed) = (detection.balanced_accuracy(), fuzzing.balanced_accuracy());
            if detected.is_none() || fuzzed.is_none() {
                self.notes.unjudged.push(job.latent);
            }
            let before = label.scores.unwrap_or_default();
            let held_out = detection.answered() + detection.silent;
            label.scores = Some(LabelScores { detection: detected, fuzzing: fuzzed, held_out, ..before });
        }
        self.keep(job.latent, &labels, cancel)
    }

    fn judged(
        &mut self,
        task: Task,
        words: &str,
        evidence: &Evidence,
        cancel: &Cancel,
        tell: &dyn Fn(usize),
    ) -> Result<Judged, Report> {
        let suite = self.suite;
        let cases = evidence.cases(task, &|id| tokens::shown(id, &suite.model.tokenizer));
        let asked: Vec<Vec<Message>> = cases.chunks(AT_ONCE).map(|cases| judge(task, words, cases)).collect();
        let answers = self.ask(&asked, cancel, tell)?;
        let mut judged = Judged::default();
        for (cases, answer) in cases.chunks(AT_ONCE).zip(answers) {
            let said = answer.and_then(|answer| judgements(&answer, cases.len()));
            for (at, case) in cases.iter().enumerate() {
                judged.add(case.fires, said.as_ref().map(|said| said[at]));
            }
        }
        Ok(judged)
    }

    fn ask(
        &mut self,
        asked: &[Vec<Message>],
        cancel: &Cancel,
        tell: &dyn Fn(usize),
    ) -> Result<Vec<Option<String>>, Report> {
        let spoken = self.speaker.ask(asked, cancel, tell)?;
        self.asked.requests += spoken.len() as u64;
        self.asked.prompt_tokens += spoken.iter().map(|spoken| spoken.prompt_tokens).sum::<u64>();
        self.asked.answer_tokens += spoken.iter().map(|spoken| spoken.answer_tokens).sum::<u64>();
        Ok(spoken.into_iter().map(|spoken| spoken.text).collect())
    }

    /// Puts labels in the place of those with the same text and maker.
    fn keep(&self, latent: u32, labels: &[Label], cancel: &Cancel) -> Result<(), Report> {
        let known = self.suite.labels(self.place, cancel)?;
        for source in LabelSource::ALL {
            let new: Vec<&Label> = labels.iter().filter(|label| label.source == source).collect();
            if new.is_empty() {
                continue;
            }
            let mut all = known.of.get(&source).and_then(|of| of.get(&latent)).cloned().unwrap_or_default();
            for label in new {
                let same = |of: &Label| of.by == label.by && (of.text == label.text || source == LabelSource::Llm);
                match all.iter_mut().find(|of| same(of)) {
                    Some(of) => *of = label.clone(),
                    None => all.push(label.clone()),
                }
            }
            self.suite.keep_labels(self.place, source, vec![(latent, all)], cancel)?;
        }
        Ok(())
    }
}

impl Notes {
    fn said(&self, model: &str) -> Vec<String> {
        let latents = |of: &[u32]| {
            let some: Vec<String> = of.iter().take(5).map(ToString::to_string).collect();
            let more = if of.len() > 5 { ", …" } else { "" };
            format!("{} latents ({}{more})", of.len(), some.join(", "))
        };
        let mut said = Vec::new();
        if self.rare > 0 {
            let least = crate::analysis::explain::LEAST;
            said.push(format!("{} latents fire in fewer than {least} windows of a half of the text", self.rare));
        }
        if !self.silent.is_empty() {
            said.push(format!("`{model}` gave no words for {}", latents(&self.silent)));
        }
        if !self.unjudged.is_empty() {
            said.push(format!("`{model}` judged less than half of the windows of {}", latents(&self.unjudged)));
        }
        said
    }
}
