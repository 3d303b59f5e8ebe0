//! The beginning of the text with its activations, what fires in it, and how well SAEs reconstruct it: computed once and
//! shared by all that measures. Not here: reading the text (`text.rs`), and what is measured.

use std::sync::Arc;

use crate::analysis::TextInfo;
use crate::analysis::measuring::Sample;
use crate::blob::Blob;
use crate::report::Report;
use crate::sae::Codes;
use crate::sae::metrics::{self, Quality};
use crate::session::current::Corpus;
use crate::session::failure;
use crate::session::load_scope::{LoadScope, needs_model};
use crate::session::loaded_suite::{LoadedSae, LoadedSuite};
use crate::session::memo::MemoKey;
use crate::session::text::{Cut, Rows, Text};
use crate::task::{Cancel, OnProgress, Progress, Unit};

/// The text that comes with the program.
const ENGLISH: &[u8] = include_bytes!("../../assets/text/english.txt");
/// Most bytes of activations that are kept of the text; what is measured beyond them is measured in passing.
const SAMPLE_BYTES: usize = 64 << 20;
/// Most tokens of a row where the SAEs do not say on how long texts they were trained.
const MAX_ROW_TOKENS: usize = 128;

/// The beginning of the text, as much of it as is kept.
pub struct TextSample {
    pub info: TextInfo,
    pub sample: Sample,
    /// Whether there is more text than this, within the most that is to be read.
    pub more: bool,
}

/// The choice of a text.
#[derive(Clone, PartialEq, Eq, Hash)]
struct SampleKey(u64);

/// The choice of a text, and an SAE's place.
#[derive(Clone, PartialEq, Eq, Hash)]
struct CodesKey(u64, usize);

/// The choice of a text, and an SAE's place.
#[derive(Clone, PartialEq, Eq, Hash)]
struct QualityKey(u64, usize);

impl MemoKey for SampleKey {
    type Value = Arc<TextSample>;
    fn generation(&self) -> Option<u64> {
        Some(self.0)
    }
}

impl MemoKey for CodesKey {
    type Value = Arc<Codes>;
    fn generation(&self) -> Option<u64> {
        Some(self.0)
    }
}

impl MemoKey for QualityKey {
    type Value = Quality;
    fn generation(&self) -> Option<u64> {
        Some(self.0)
    }
}

impl LoadedSuite {
    /// The text that is chosen.
    pub fn text(&self, corpus: &Corpus) -> Result<Text, Report> {
        if let Some(file) = corpus.file.as_ref().or(self.setup.text.as_ref()) {
            return Ok(Text::new(file.display().to_string(), Blob::path(file.clone())));
        }
        Ok(match self.suite.text_file()? {
            Some(blob) => Text::new(format!("the text of suite {}", self.suite.id), blob),
            None => Text::new("the program's English text", Blob::embedded("english.txt", ENGLISH)),
        })
    }

    /// Its rows, from the first.
    pub fn rows(&self, text: &Text) -> Result<Rows<'_>, Report> {
        let bos = self.model.tokenizer.bos().filter(|_| self.suite.model.prepend_bos);
        // SAEs are measured on rows as long as those they were trained on.
        let trained = self.saes.iter().filter_map(|loaded| loaded.sae.metadata.context_size).min();
        let length = trained.unwrap_or(MAX_ROW_TOKENS).min(self.model.model.shape().context);
        text.rows(Cut { tokenizer: &self.model.tokenizer, length, bos })
    }

    /// The beginning of the text with its activations.
    pub fn sample(
        &self,
        corpus: &Corpus,
        cancel: &Cancel,
        progress: OnProgress<'_>,
    ) -> Result<Arc<TextSample>, Report> {
        let compute = |progress: OnProgress<'_>| self.read_sample(corpus, cancel, progress).map(Arc::new);
        self.memo.get_or(&SampleKey(corpus.generation), cancel, progress, compute)
    }

    fn read_sample(&self, corpus: &Corpus, cancel: &Cancel, progress: OnProgress<'_>) -> Result<TextSample, Report> {
        let (text, taker) = (self.text(corpus)?, self.taker());
        if self.open.reach == LoadScope::WeightsOnly {
            return Err(needs_model(format!("cannot measure on the text `{}`", text.name)));
        }
        let mut rows = self.rows(&text)?;
        let most = corpus.max_tokens.unwrap_or(usize::MAX);
        let (mut sample, mut tokens, mut more) = (Sample::default(), 0, false);
        while let Some(row) = rows.next() {
            let row = self.shorten(row?, most - tokens);
            if row.is_empty() {
                break;
            }
            if size_of_val(&sample.x[..]) >= SAMPLE_BYTES {
                more = true;
                break;
            }
            progress(reading(&text, rows.read()));
            tokens += taker.counts(&row).filter(|counts| *counts).count();
            let cannot = |error| failure::of_model(format!("cannot measure on the text `{}`", text.name), &error);
            taker.add(&mut sample, row, cancel).map_err(cannot)?;
        }
        if tokens < 2 {
            let why = if tokens == 0 { "it is empty" } else { "it has one token" };
            return Err(Report::new(format!("cannot measure on the text {}", text.quoted()))
                .because(why)
                .hint("give a longer one: --text FILE; some thousand tokens are a good measure"));
        }
        Ok(TextSample { info: TextInfo { name: text.name, tokens }, sample, more })
    }

    /// The first positions of a row, of which `most` count.
    pub fn shorten(&self, mut row: Vec<u32>, most: usize) -> Vec<u32> {
        let apart = self.apart().of(&row);
        row.truncate(if most == 0 { 0 } else { most.saturating_add(apart) });
        row
    }

    /// What fires in an SAE on the sample.
    pub fn codes(
        &self,
        corpus: &Corpus,
        place: usize,
        cancel: &Cancel,
        progress: OnProgress<'_>,
    ) -> Result<Arc<Codes>, Report> {
        let text = self.sample(corpus, cancel, progress)?;
        self.memo.get_or(&CodesKey(corpus.generation, place), cancel, progress, |progress| {
            let LoadedSae { entry, sae } = &self.saes[place];
            let codes = text.sample.encode(sae, cancel, progress);
            codes.map(Arc::new).map_err(|error| cannot_encode(&entry.id, &error))
        })
    }

    /// How well an SAE reconstructs the sample.
    pub fn quality(
        &self,
        corpus: &Corpus,
        place: usize,
        cancel: &Cancel,
        progress: OnProgress<'_>,
    ) -> Result<Quality, Report> {
        let (text, codes) = (self.sample(corpus, cancel, progress)?, self.codes(corpus, place, cancel, progress)?);
        self.memo.get_or(&QualityKey(corpus.generation, place), cancel, progress, |_| {
            let LoadedSae { entry, sae } = &self.saes[place];
            let x_hat = sae.decode(&codes).map_err(|error| cannot_encode(&entry.id, &error))?;
            let sample = &text.sample;
            metrics::quality(sample.target(), &x_hat, &codes, &sample.counts, sae.d_out())
                .map_err(|error| cannot_encode(&entry.id, &error))
        })
    }

    /// How well an SAE reconstructs the sample, if that was measured.
    pub fn known_quality(&self, corpus: &Corpus, place: usize) -> Option<Quality> {
        self.memo.get(&QualityKey(corpus.generation, place))
    }
}

/// How far the text is read.
pub fn reading(text: &Text, read: u64) -> Progress {
    let what = "reading the text".to_owned();
    Progress { what, done: read, total: text.bytes(), unit: Unit::Bytes, ..Progress::default() }
}

/// That an SAE cannot encode or decode.
pub fn cannot_encode(sae: &str, error: &crate::sae::Error) -> Report {
    failure::of_sae(format!("SAE `{sae}` cannot encode the activations"), error)
}
