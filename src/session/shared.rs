//! An open suite as the session and its aides share it: model, ladder, and what was computed from them once.
//! Not here: the prompt being typed (`loaded.rs`), and who asks for what.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::analysis::TextInfo;
use crate::analysis::card::Words;
use crate::analysis::measuring::{Apart, Sample, Taker};
use crate::analysis::splice::Measured;
use crate::blob::Blob;
use crate::model;
use crate::report::{Kind, Report};
use crate::sae::metrics::{self, Quality};
use crate::sae::stitch::{Pair, Workbench};
use crate::sae::{Codes, Sae};
use crate::session::desk::Chosen;
use crate::session::fit::Memory;
use crate::session::loss::Spliced;
use crate::session::once::Once;
use crate::session::pairs::MeasuredPair;
use crate::session::reach::{Reach, needs_model};
use crate::session::tables::Table;
use crate::session::text::{Cut, Rows, Text};
use crate::session::way::{Way, WayKey};
use crate::session::{Setup, failure, memory};
use crate::site::SiteKind;
use crate::suite::{SaeEntry, Suite, argument};
use crate::task::{Cancel, OnProgress, Progress, Unit};
use crate::weights::{Array, Factor};

/// The text that comes with the program.
const ENGLISH: &[u8] = include_bytes!("../../assets/text/english.txt");
/// Most bytes of activations that are kept of the text; what is measured beyond them is measured in passing.
const SAMPLE_BYTES: usize = 64 << 20;
/// Most tokens of a row where the SAEs do not say on how long texts they were trained.
const ROW: usize = 128;

/// Weights are packed into no more than one part in so many of the memory that is free.
const SPARE: u64 = 4;

/// A suite with its model and SAEs.
pub struct Shared {
    pub suite: Suite,
    pub model: model::Loaded,
    /// By rising width.
    pub saes: Vec<LoadedSae>,
    pub open: Open,
    pub setup: Setup,
    /// Comparisons by (smaller, larger, number of the floor).
    pub tables: Once<(usize, usize, usize), Arc<Table>>,
    /// Pairs measured on the text, by its generation, smaller, larger.
    pub pairs: Once<(u64, usize, usize), Arc<MeasuredPair>>,
    pub ways: Once<WayKey, Arc<Way>>,
    /// Smaller SAEs on the text, ready for changes.
    pub benches: Once<(u64, usize, usize), Arc<Workbench>>,
    /// Sums of cross-entropies on the text with the number of predictions.
    pub losses: Once<(u64, Spliced), (f64, usize)>,
    samples: Once<u64, Arc<TextSample>>,
    codes: Once<(u64, usize), Arc<Codes>>,
    qualities: Once<(u64, usize), Quality>,
    prompt: Mutex<Arc<Vec<u32>>>,
    /// What the heads of the site's block write, where the site is their z; none where that cannot be had.
    outputs: OnceLock<Option<Array>>,
}

/// How a suite was opened.
#[derive(Clone, Debug)]
pub struct Open {
    /// How much of the model is there.
    pub reach: Reach,
    pub memory: Memory,
    /// Things worth saying.
    pub notes: Vec<String>,
}

/// An SAE of the suite.
pub struct LoadedSae {
    pub entry: SaeEntry,
    pub sae: Sae,
}

/// The beginning of the text, as much of it as is kept.
pub struct TextSample {
    pub info: TextInfo,
    pub sample: Sample,
    /// Whether there is more text than this, within the most that is to be read.
    pub more: bool,
}

impl Shared {
    pub fn new(
        suite: Suite,
        model: model::Loaded,
        saes: Vec<LoadedSae>,
        open: Open,
        setup: &Setup,
    ) -> Result<Self, Report> {
        if suite.model.prepend_bos && model.tokenizer.bos().is_none() && open.reach != Reach::WeightsOnly {
            return Err(Report::new(format!("cannot open the suite `{}`", suite.id))
                .because("prompts are to begin with a beginning-of-sequence token, and the tokenizer has none")
                .hint("set `prepend_bos = false` in the suite file"));
        }
        Ok(Self {
            suite,
            model,
            saes,
            open,
            setup: setup.clone(),
            tables: Once::default(),
            pairs: Once::default(),
            ways: Once::default(),
            benches: Once::default(),
            losses: Once::default(),
            samples: Once::default(),
            codes: Once::default(),
            qualities: Once::default(),
            prompt: Mutex::default(),
            outputs: OnceLock::new(),
        })
    }

    /// The place of a loaded SAE in the ladder.
    pub fn place(&self, sae: &str) -> Result<usize, Report> {
        if let Some(place) = self.saes.iter().position(|loaded| loaded.entry.id == sae) {
            return Ok(place);
        }
        self.suite.sae(sae)?;
        Err(Report::new(format!("SAE `{sae}` is not loaded"))
            .hint(format!("`saescope pull {} --sae {sae}` downloads it", argument(&self.suite.name)))
            .kind(Kind::Missing))
    }

    /// The places of two SAEs that can be stitched.
    pub fn places(&self, small: &str, large: &str) -> Result<(usize, usize), Report> {
        let places = (self.place(small)?, self.place(large)?);
        self.pair(places)?;
        Ok(places)
    }

    /// Two SAEs that can be stitched.
    pub fn pair(&self, (small, large): (usize, usize)) -> Result<Pair<'_>, Report> {
        let (a, b) = (&self.saes[small], &self.saes[large]);
        let what = format!("SAEs `{}` and `{}` cannot be stitched", a.entry.id, b.entry.id);
        if small == large {
            return Err(Report::new(what).because("they are the same").kind(Kind::Usage));
        }
        if a.sae.width() > b.sae.width() {
            let why = format!("the first has {} latents, the second {}", a.sae.width(), b.sae.width());
            return Err(Report::new(what).because(why).hint("name the narrower one first").kind(Kind::Usage));
        }
        if let (Some(one), Some(other)) = (&a.sae.metadata.hook_name, &b.sae.metadata.hook_name)
            && one != other
        {
            return Err(Report::new(what)
                .because(format!("they read different sites: {one} and {other}"))
                .hint("give each site a suite of its own"));
        }
        Pair::new(&a.sae, &b.sae).map_err(|error| failure::of_sae(what, &error))
    }

    pub fn names(&self, (small, large): (usize, usize)) -> (String, String) {
        (self.saes[small].entry.id.clone(), self.saes[large].entry.id.clone())
    }

    pub fn taker(&self) -> Taker<'_> {
        Taker { model: &*self.model.model, site: self.suite.site, center: self.suite.center, apart: self.apart() }
    }

    /// Which positions at the beginning of a row do not count: those of the token that begins a text, whoever put it there.
    pub fn apart(&self) -> Apart {
        Apart::Bos(self.model.tokenizer.bos())
    }

    /// One row of tokens whose cross-entropy is to be measured.
    pub fn measured<'a>(&'a self, ids: &'a [u32], counts: &'a [bool], x: &'a [f32]) -> Measured<'a> {
        let (site, center) = (self.suite.site, self.suite.center);
        Measured { model: &*self.model.model, site, center, ids, counts, activations: x }
    }

    /// What turns directions into words; those of attention z through what its heads write into the residual stream.
    pub fn words(&self) -> Option<Words<'_>> {
        let (model, site) = (&self.model.model, self.suite.site);
        let outputs = match site.kind {
            SiteKind::AttnZ => {
                // Weights that cannot be read are told by the run that needs them.
                let read = || model.head_outputs(site.layer).unwrap_or_default();
                Some(self.outputs.get_or_init(read).as_ref()?)
            }
            _ => None,
        };
        Some(Words { unembedding: model.unembedding()?, tokenizer: &self.model.tokenizer, outputs })
    }

    /// Packs the weights that products go through, as far as they have been read, and gives the bytes that this took. What
    /// would take much of the memory that is free stays as it is.
    pub fn pack(&self, cancel: &Cancel) -> Result<u64, Report> {
        let saes = self.saes.iter().map(|loaded| loaded.sae.parts().w_enc.factor());
        let factors: Vec<Factor> = self.model.model.factors().into_iter().chain(saes).collect();
        let room = memory::available().unwrap_or(0) / SPARE;
        let mut taken = 0;
        for factor in &factors {
            let wanted = factor.wanted();
            if taken + wanted > room {
                continue;
            }
            match factor.pack(&|| !cancel.is_cancelled()) {
                Ok(true) => taken += wanted,
                Ok(false) => cancel.check()?,
                // It is for speed alone: what is not packed is used where it lies.
                Err(_) => break,
            }
        }
        Ok(taken)
    }

    /// The tokens of the last prompt that was run.
    pub fn prompt(&self) -> Arc<Vec<u32>> {
        self.prompt.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn set_prompt(&self, ids: Vec<u32>) {
        *self.prompt.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(ids);
    }

    /// The text that is chosen.
    pub fn text(&self, chosen: &Chosen) -> Result<Text, Report> {
        if let Some(file) = chosen.file.as_ref().or(self.setup.text.as_ref()) {
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
        let length = trained.unwrap_or(ROW).min(self.model.model.shape().context);
        text.rows(Cut { tokenizer: &self.model.tokenizer, length, bos })
    }

    /// The beginning of the text with its activations.
    pub fn sample(
        &self,
        chosen: &Chosen,
        cancel: &Cancel,
        progress: OnProgress<'_>,
    ) -> Result<Arc<TextSample>, Report> {
        let compute = |progress: OnProgress<'_>| self.read_sample(chosen, cancel, progress).map(Arc::new);
        self.samples.get_or(&chosen.generation, cancel, progress, compute)
    }

    fn read_sample(&self, chosen: &Chosen, cancel: &Cancel, progress: OnProgress<'_>) -> Result<TextSample, Report> {
        let (text, taker) = (self.text(chosen)?, self.taker());
        if self.open.reach == Reach::WeightsOnly {
            return Err(needs_model(format!("cannot measure on the text `{}`", text.name)));
        }
        let mut rows = self.rows(&text)?;
        let most = chosen.most.unwrap_or(usize::MAX);
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
            return Err(Report::new(format!("cannot measure on the text `{}`", text.name))
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
        chosen: &Chosen,
        place: usize,
        cancel: &Cancel,
        progress: OnProgress<'_>,
    ) -> Result<Arc<Codes>, Report> {
        let text = self.sample(chosen, cancel, progress)?;
        self.codes.get_or(&(chosen.generation, place), cancel, progress, |progress| {
            let LoadedSae { entry, sae } = &self.saes[place];
            let codes = text.sample.encode(sae, cancel, progress);
            codes.map(Arc::new).map_err(|error| cannot_encode(&entry.id, &error))
        })
    }

    /// How well an SAE reconstructs the sample.
    pub fn quality(
        &self,
        chosen: &Chosen,
        place: usize,
        cancel: &Cancel,
        progress: OnProgress<'_>,
    ) -> Result<Quality, Report> {
        let (text, codes) = (self.sample(chosen, cancel, progress)?, self.codes(chosen, place, cancel, progress)?);
        self.qualities.get_or(&(chosen.generation, place), cancel, progress, |_| {
            let LoadedSae { entry, sae } = &self.saes[place];
            let x_hat = sae.decode(&codes).map_err(|error| cannot_encode(&entry.id, &error))?;
            let sample = &text.sample;
            metrics::quality(sample.target(), &x_hat, &codes, &sample.counts, sae.d_out())
                .map_err(|error| cannot_encode(&entry.id, &error))
        })
    }

    /// How well an SAE reconstructs the sample, if that was measured.
    pub fn known_quality(&self, chosen: &Chosen, place: usize) -> Option<Quality> {
        self.qualities.get(&(chosen.generation, place))
    }

    /// Lets go of what was measured on texts that are not chosen any more.
    pub fn forget_other_texts(&self, generation: u64) {
        self.pairs.retain(|key| key.0 == generation);
        self.ways.retain(|key| key.generation == generation);
        self.benches.retain(|key| key.0 == generation);
        self.losses.retain(|key| key.0 == generation);
        self.samples.retain(|key| *key == generation);
        self.codes.retain(|key| key.0 == generation);
        self.qualities.retain(|key| key.0 == generation);
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
