//! The doctor: whether the open suite is wired as its SAEs need it, on sentences, beside what is expected of it.
//! Not here: measuring (`analysis::doctor`). Nothing is ever changed: what fits is named, and the person decides.

mod kept;
mod mapping;
mod unverified;

use std::sync::Arc;

pub use mapping::MappingQuery;

use crate::analysis::doctor::{Checkup, Diagnostics, Expected, Found, Subject};
use crate::blob::Blob;
use crate::report::Report;
use crate::session::current::Corpus;
use crate::session::failure;
use crate::session::load_scope::LoadScope;
use crate::session::loaded_suite::{LoadedSae, LoadedSuite};
use crate::session::query::{Cx, Lane, Query};
use crate::session::text::Text;
use crate::site::SiteKind;
use crate::suite::{ModelEntry, SaeEntry, Source};
use crate::task::{Cancel, OnProgress};

/// Thirty sentences of many kinds, one a line, for suites that bring no text of their own.
const SENTENCES: &[u8] = include_bytes!("../../assets/text/sentences.txt");
/// How many sentences are run.
const COUNT: usize = 30;
/// Tokens of a sentence that are run at most.
const LONGEST: usize = 64;
/// Bytes of a text that sentences are corpus from, and of one sentence.
const BYTES: u64 = 1 << 20;
const SENTENCE_BYTES: usize = 2_000;

/// Whether the suite is wired as its SAEs need it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckupQuery {
    /// Whether cross-entropies are measured too: the model then runs as a whole.
    pub losses: bool,
    /// Whether it is measured again where the outcome is remembered.
    pub again: bool,
}

impl Query for CheckupQuery {
    type Answer = Checked;
    const NAME: &'static str = "doctor";
    const LANE: Lane = Lane::Maintenance;
    const PRIORITY: u8 = 20;

    fn run(&self, cx: &mut Cx<'_>) -> Result<Checked, Report> {
        cx.suite()?.checkup(&cx.corpus()?, self.losses, self.again, cx.cancel, cx.progress)
    }
}

/// What the doctor found out.
#[derive(Clone, Debug, PartialEq)]
pub struct Checked {
    /// All of it.
    pub checkup: Arc<Checkup>,
    /// Whether it was measured just now; otherwise it was remembered, and has been reported before.
    pub new: bool,
}

impl LoadedSuite {
    /// Measures the suite's loaded SAEs, or remembers what was measured on the same files.
    fn checkup(
        &self,
        corpus: &Corpus,
        losses: bool,
        again: bool,
        cancel: &Cancel,
        progress: OnProgress<'_>,
    ) -> Result<Checked, Report> {
        // What stands behind the site may not be there; cross-entropies need it.
        let losses = losses && self.open.reach == LoadScope::Whole && self.model.model.check_logits().is_ok();
        let text = self.sentences_text(corpus)?;
        let file = kept::file(self, &text);
        let known = file.as_ref().filter(|_| !again).and_then(|file| kept::read(file));
        if let Some(checkup) = known.filter(|checkup| checkup.losses || !losses) {
            return Ok(Checked { checkup: Arc::new(checkup), new: false });
        }
        let checkup = self.measure_checkup(&text, losses, cancel, progress)?;
        if let Some(file) = &file {
            // What cannot be kept is measured again.
            if let Err(error) = kept::write(file, &checkup) {
                tracing::warn!(file = %file.display(), %error, "the checkup is not kept");
            }
        }
        Ok(Checked { checkup: Arc::new(checkup), new: true })
    }

    fn measure_checkup(
        &self,
        text: &Text,
        losses: bool,
        cancel: &Cancel,
        progress: OnProgress<'_>,
    ) -> Result<Checkup, Report> {
        let mut examiner = self.examiner(text)?;
        let mut saes = Vec::with_capacity(self.saes.len());
        let wrong = |error| failure::of_run(&error).because("the doctor runs sentences as prompts");
        for LoadedSae { entry, sae } in &self.saes {
            let doubted = unverified::doubted(&self.suite.model.unverified, &entry.unverified);
            let patient = Subject { id: &entry.id, sae, expected: expected(entry), doubted };
            saes.push(examiner.examine(&patient, losses, cancel, progress).map_err(wrong)?);
        }
        let findings = unverified::findings(self, &saes);
        Ok(Checkup::of(text.name.clone(), examiner.sentences.len(), saes, findings, losses))
    }

    fn examiner(&self, text: &Text) -> Result<Diagnostics<'_>, Report> {
        let suite = &self.suite;
        let cannot = "cannot check how the suite is wired";
        let value_bias = match suite.site.kind {
            SiteKind::AttnZ => self.model.model.value_bias(suite.site.layer),
            _ => Ok(None),
        };
        let value_bias = value_bias.map_err(|error| failure::of_model(cannot, &error))?;
        let sentences = self.sentences(text)?;
        if sentences.is_empty() {
            return Err(Report::new(cannot)
                .because(format!("no sentence of the text `{}` has two tokens", text.name))
                .hint("give another one with --text FILE, one sentence a line"));
        }
        Ok(Diagnostics {
            model: &*self.model.model,
            names: names(&suite.model),
            site: suite.site,
            center: suite.center,
            bos: suite.model.prepend_bos,
            bos_id: self.model.tokenizer.bos(),
            opening: self.model.tokenizer.opening().to_vec(),
            folded: suite.fold_value_bias && value_bias.is_some(),
            value_bias,
            sentences,
            taken: Vec::new(),
            bounds: None,
            found: Found::default(),
        })
    }

    /// The text that sentences are taken from: the person's, else the suite's, else the program's thirty.
    fn sentences_text(&self, corpus: &Corpus) -> Result<Text, Report> {
        let own = corpus.file.is_some() || self.setup.text.is_some() || self.suite.text.is_some();
        if own {
            return self.text(corpus);
        }
        Ok(Text::new("the program", Blob::embedded("sentences.txt", SENTENCES)))
    }

    /// Sentences of a text, evenly spaced over its beginning, as tokens.
    fn sentences(&self, text: &Text) -> Result<Vec<Vec<u32>>, Report> {
        let bytes = text.beginning(BYTES)?;
        let beginning = String::from_utf8_lossy(&bytes);
        let longest = LONGEST.min(self.model.model.shape().context.saturating_sub(1));
        let mut sentences = Vec::with_capacity(COUNT);
        for sentence in spaced(&lines(&beginning), COUNT) {
            let ids = self.model.tokenizer.encode(sentence);
            let mut ids = ids.map_err(|error| failure::of_model("cannot run the sentences", &error))?;
            // What begins a text is put in front where it belongs.
            ids.drain(..self.apart().of(&ids));
            ids.truncate(longest);
            if ids.len() > 1 {
                sentences.push(ids);
            }
        }
        Ok(sentences)
    }
}

/// The repositories that a model may come from. A directory's name says nothing about what is in it.
fn names(model: &ModelEntry) -> Vec<String> {
    let Source::Hub(repo) = &model.source else { return Vec::new() };
    std::iter::once(&repo.id).chain(&model.mirrors).cloned().collect()
}

fn expected(entry: &SaeEntry) -> Expected {
    let figures = ["l0", "explained_variance", "mse", "loss_recovered"];
    let unsure = entry.unverified.iter().filter(|mark| figures.contains(&mark.as_str()));
    Expected {
        l0: entry.expect.l0,
        explained_variance: entry.expect.explained_variance,
        mse: entry.expect.mse,
        loss_recovered: entry.expect.loss_recovered,
        unsure: unsure.cloned().collect(),
    }
}

/// The lines and documents of a text, without empty ones and without what is longer than a sentence.
fn lines(text: &str) -> Vec<&str> {
    let documents = text.split("<|endoftext|>").flat_map(str::lines).map(str::trim);
    documents.filter(|line| !line.is_empty()).map(|line| &line[..line.floor_char_boundary(SENTENCE_BYTES)]).collect()
}

/// At most `count` of them, evenly spaced.
fn spaced<'a>(lines: &'a [&'a str], count: usize) -> impl Iterator<Item = &'a str> {
    let kept = lines.len().min(count);
    (0..kept).map(move |at| lines[at * lines.len() / kept])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_brings_thirty_sentences() {
        let text = std::str::from_utf8(SENTENCES).expect("is UTF-8");
        let lines = lines(text);
        assert_eq!((lines.len(), text.lines().count()), (COUNT, COUNT));
        assert!(lines.iter().all(|line| line.len() > 30 && line.len() < 160), "{lines:?}");
    }

    #[test]
    fn sentences_are_spread_over_the_text() {
        let text = (0..90).map(|at| format!("line {at}")).collect::<Vec<_>>().join("<|endoftext|>\n\n");
        let all = lines(&text);
        let corpus: Vec<&str> = spaced(&all, COUNT).collect();
        assert_eq!((corpus.len(), corpus[0], corpus[29]), (30, "line 0", "line 87"));
        assert_eq!(spaced(&all[..2], COUNT).collect::<Vec<_>>(), ["line 0", "line 1"]);
        assert_eq!(spaced(&[], COUNT).count(), 0);
        let long = "é".repeat(SENTENCE_BYTES);
        assert_eq!(lines(&long)[0].len(), SENTENCE_BYTES);
    }
}
