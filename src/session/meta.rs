//! The meta-SAEs of a loaded suite: those of its file, those that this program trained, those of a folder that somebody
//! names; and what is asked of them. Not here: training (`meta_train.rs`).

use std::path::Path;
use std::sync::Arc;

use crate::analysis::card::{Rung, Words};
use crate::analysis::live::Live;
use crate::analysis::meta::{Microscope, doubts, threshold_of};
use crate::analysis::surgery::{self, Theatre};
use crate::analysis::{
    Arm, ArmView, Continuation, MetaCard, MetaEntry, MetaInfo, MetaLabel, MetaRun, Named, Operation, Sampling,
    SurgeryView, tokens,
};
use crate::blob::Blob;
use crate::format::Format;
use crate::model;
use crate::report::{Kind, Report};
use crate::sae::meta::{self, Table};
use crate::sae::{self, Neighbour, Sae, SaeFiles, lens};
use crate::session::meta_train::{self, Kept};
use crate::session::prompt::{self, Typed};
use crate::session::shared::LoadedSae;
use crate::session::{MetaState, Setup, failure};
use crate::suite::{MetaEntry as Listed, Suite, argument};
use crate::task::{Cancel, OnProgress, Progress};

/// What of a loaded suite meta-SAEs look at.
#[derive(Clone, Copy)]
pub struct Room<'a> {
    pub suite: &'a Suite,
    pub model: &'a model::Loaded,
    pub saes: &'a [LoadedSae],
    pub live: &'a Live,
    pub words: Option<Words<'a>>,
}

impl<'a> Room<'a> {
    /// A loaded SAE.
    pub fn sae(&self, id: &str) -> Result<&'a Sae, Report> {
        self.place(id).map(|place| &self.saes[place].sae)
    }

    fn place(&self, id: &str) -> Result<usize, Report> {
        if let Some(place) = self.saes.iter().position(|loaded| loaded.entry.id == id) {
            return Ok(place);
        }
        self.suite.sae(id)?;
        Err(Report::new(format!("SAE `{id}` is not loaded"))
            .hint(format!("`saescope pull {} --sae {id}` downloads it", argument(&self.suite.name)))
            .kind(Kind::Missing))
    }

    fn typed(&self, prompt: &str) -> Result<Typed, Report> {
        prompt::typed(self.model, self.suite, prompt)
    }
}

/// The meta-SAEs that are there, or were to be.
pub struct Metas {
    list: Vec<Meta>,
}

struct Meta {
    sae: String,
    id: String,
    trained: bool,
    opened: Result<Opened, Report>,
}

struct Opened {
    meta: Sae,
    k: Option<usize>,
    table: Option<Arc<Table>>,
    /// For each meta-latent its nearest in the run of another seed.
    again: Option<Arc<Vec<Neighbour>>>,
    info: Option<Arc<MetaInfo>>,
}

impl Opened {
    const fn new(meta: Sae, k: Option<usize>) -> Self {
        Self { meta, k, table: None, again: None, info: None }
    }
}

impl Metas {
    pub const fn none() -> Self {
        Self { list: Vec::new() }
    }

    /// Those of the suite whose SAEs are loaded, and those that this program trained for them. One that cannot be used
    /// is no error before it is asked for.
    pub fn find(room: &Room<'_>, setup: &Setup, cancel: &Cancel) -> Result<Self, Report> {
        let mut this = Self::none();
        for entry in &room.suite.metas {
            let Ok(of) = room.sae(&entry.sae) else { continue };
            cancel.check()?;
            let opened = open_listed(room.suite, entry, of, setup, cancel);
            this.list.push(Meta { sae: entry.sae.clone(), id: entry.id.clone(), trained: false, opened });
        }
        this.look_again(room, setup);
        Ok(this)
    }

    /// Takes up what this program has trained since.
    pub fn look_again(&mut self, room: &Room<'_>, setup: &Setup) {
        for loaded in room.saes {
            let sae = &loaded.entry.id;
            for kept in meta_train::kept(setup.metas.as_deref(), &loaded.sae, &|id| self.has(sae, id)) {
                self.add(sae, kept);
            }
        }
    }

    /// Whether there is one of this id.
    fn has(&self, sae: &str, id: &str) -> bool {
        self.list.iter().any(|meta| meta.sae == sae && meta.id == id)
    }

    fn add(&mut self, sae: &str, kept: Kept) {
        let opened = kept.meta.map(|meta| Opened::new(meta, kept.k));
        self.list.push(Meta { sae: sae.to_owned(), id: kept.id, trained: true, opened });
        // A new run of another seed may find meta-latents of the others again.
        for opened in self.list.iter_mut().filter(|meta| meta.sae == sae).flat_map(|meta| &mut meta.opened) {
            (opened.again, opened.info) = (None, None);
        }
    }

    pub fn states(&self) -> Vec<MetaState> {
        let state = |meta: &Meta| MetaState {
            meta: meta.id.clone(),
            sae: meta.sae.clone(),
            width: meta.opened.as_ref().ok().map(|opened| opened.meta.width()),
            trained: meta.trained,
            info: meta.opened.as_ref().ok().and_then(|opened| opened.info.clone()),
            failure: meta.opened.as_ref().err().cloned(),
        };
        self.list.iter().map(state).collect()
    }

    /// The ids of an SAE's usable meta-SAEs.
    pub fn of(&self, sae: &str) -> Vec<String> {
        self.list.iter().filter(|meta| meta.sae == sae && meta.opened.is_ok()).map(|meta| meta.id.clone()).collect()
    }

    /// A latent's parts by every usable meta-SAE of its SAE; members where tables are there. None for a row of zeros.
    pub fn entries(&self, room: &Room<'_>, sae: &str, latent: u32) -> Result<Vec<MetaEntry>, Report> {
        let place = room.place(sae)?;
        let mut entries = Vec::new();
        for (at, meta) in self.list.iter().enumerate().filter(|(_, meta)| meta.sae == sae) {
            let Ok(opened) = &meta.opened else { continue };
            let scope = Scope { room: *room, place, meta: &self.list[at], opened };
            match scope.microscope().entry(latent as usize, room.words, &Cancel::new()) {
                Ok(entry) => entries.push(entry),
                Err(sae::Error::Zero { .. } | sae::Error::Meta { .. }) => {}
                Err(error) => return Err(failure::of_sae(scope.cannot("take the latent apart"), &error)),
            }
        }
        Ok(entries)
    }

    /// A meta-SAE by id or folder, with its table, made where it was not there.
    pub fn scope<'a>(
        &'a mut self,
        room: Room<'a>,
        sae: &str,
        meta: &str,
        cancel: &Cancel,
    ) -> Result<Scope<'a>, Report> {
        let place = room.place(sae)?;
        let at = self.at(&room, sae, meta)?;
        self.prepare(at, &room.saes[place].sae, cancel)?;
        let meta = &self.list[at];
        let opened = meta.opened.as_ref().map_err(Clone::clone)?;
        Ok(Scope { room, place, meta, opened })
    }

    /// The place of a meta-SAE, which is opened where it is a folder.
    fn at(&mut self, room: &Room<'_>, sae: &str, meta: &str) -> Result<usize, Report> {
        if let Some(at) = self.list.iter().position(|known| known.sae == sae && known.id == meta) {
            return Ok(at);
        }
        if Path::new(meta).is_dir() {
            let opened = open_folder(Path::new(meta)).map(|sae| Opened::new(sae, None));
            self.list.push(Meta { sae: sae.to_owned(), id: meta.to_owned(), trained: false, opened });
            return Ok(self.list.len() - 1);
        }
        if self.of(sae).is_empty() {
            return Err(none_of(room, sae));
        }
        let known: Vec<String> = self.of(sae).iter().map(|id| format!("`{id}`")).collect();
        Err(Report::new(format!("SAE `{sae}` has no meta-SAE `{}`", meta.escape_debug()))
            .hint(format!("it has {}; a folder is named by its path", known.join(", ")))
            .kind(Kind::Usage))
    }

    /// Makes a meta-SAE's table and looks for the run of another seed.
    fn prepare(&mut self, at: usize, of: &Sae, cancel: &Cancel) -> Result<(), Report> {
        let what = |meta: &Meta| format!("cannot use meta-SAE `{}` of SAE `{}`", meta.id, meta.sae);
        let report = |meta: &Meta, error: &sae::Error| failure::of_sae(what(meta), error);
        let opened = self.list[at].opened.as_ref().map_err(Clone::clone)?;
        if opened.info.is_some() {
            return Ok(());
        }
        let table = match &opened.table {
            Some(table) => Arc::clone(table),
            None => Arc::new(Table::new(&opened.meta, of, cancel).map_err(|error| report(&self.list[at], &error))?),
        };
        let other = self.list.iter().enumerate().find_map(|(place, other)| {
            let other_run = other.opened.as_ref().ok().filter(|_| place != at && other.sae == self.list[at].sae)?;
            (other_run.meta.width() == opened.meta.width()).then_some(&other_run.meta)
        });
        let again = other.map(|other| meta::stability(&opened.meta, other, cancel)).transpose();
        let again = again.map_err(|error| report(&self.list[at], &error))?.map(Arc::new);
        let stable = again.as_ref().map(|again| again.iter().filter(|near| near.cosine >= meta::STABLE).count());
        let Meta { sae, id, trained, .. } = &self.list[at];
        let info = MetaInfo { stable, trained: *trained, ..info(id, sae, &opened.meta, opened.k, table.quality) };
        if let Ok(opened) = &mut self.list[at].opened {
            (opened.table, opened.again, opened.info) = (Some(table), again, Some(Arc::new(info)));
        }
        Ok(())
    }
}

/// What is known of a meta-SAE of this quality, without another run.
pub fn info(id: &str, of: &str, meta: &Sae, k: Option<usize>, quality: meta::Quality) -> MetaInfo {
    MetaInfo {
        meta: id.to_owned(),
        sae: of.to_owned(),
        width: meta.width(),
        k,
        threshold: threshold_of(meta),
        variance_explained: quality.variance_explained,
        mean_active: quality.mean_active,
        dead: quality.dead,
        stable: None,
        trained: false,
        notes: doubts(quality, k, of),
    }
}

/// That an SAE has no meta-SAE, and what to do.
pub fn none_of(room: &Room<'_>, sae: &str) -> Report {
    if let Err(report) = room.place(sae) {
        return report;
    }
    let suite = argument(&room.suite.name);
    let train = format!("`saescope meta train --suite {suite} --sae {sae}` trains one");
    let listed = room.suite.metas.iter().find(|entry| entry.sae == sae);
    Report::new(format!("SAE `{sae}` has no meta-SAE")).kind(Kind::Missing).hint(match listed {
        None => train,
        Some(entry) => format!("`saescope pull {suite} --meta {}` downloads one; {train}", entry.id),
    })
}

/// One that a suite lists.
fn open_listed(suite: &Suite, entry: &Listed, of: &Sae, setup: &Setup, cancel: &Cancel) -> Result<Opened, Report> {
    let parts = suite.meta_files(entry, &setup.hub)?;
    let what = || format!("cannot open meta-SAE `{}`", entry.id);
    let wrong = |error: sae::Error| {
        failure::of_sae(what(), &error)
            .hint("if the file was damaged, remove it from the cache and `saescope pull` fetches it again")
    };
    let fits = |meta: &Sae| meta::check_fit(meta, of).map_err(|error| failure::of_sae(what(), &error));
    match (parts.format, parts.config) {
        (Format::BatchTopK, config) => {
            let published = meta::published(&parts.weights, config.as_ref()).map_err(wrong)?;
            fits(published.sae())?;
            let k = published.k;
            let meta = match entry.threshold {
                Some(threshold) => published.with_threshold(threshold),
                None => published.fitted(of, k.unwrap_or(meta::MEAN_ACTIVE), cancel),
            };
            Ok(Opened::new(meta.map_err(wrong)?, k))
        }
        (Format::SaeLens, Some(config)) => {
            let files = SaeFiles { config, weights: vec![parts.weights], sparsity: parts.sparsity };
            let meta = lens::open(&files).map_err(wrong)?;
            fits(&meta)?;
            Ok(Opened::new(meta, None))
        }
        (format, _) => Err(Report::new(what()).because(format!("format `{}` is none of meta-SAEs", format.name()))),
    }
}

/// One that lies in a folder as SAELens writes it.
pub(super) fn open_folder(folder: &Path) -> Result<Sae, Report> {
    let files = SaeFiles {
        config: Blob::path(folder.join("cfg.json")),
        weights: vec![Blob::path(folder.join("sae_weights.safetensors"))],
        sparsity: None,
    };
    lens::open(&files).map_err(|error| failure::of_sae(format!("cannot open meta-SAE `{}`", folder.display()), &error))
}

/// One of three models, and how far it is to go.
pub struct Goal {
    pub arm: Arm,
    pub tokens: usize,
    pub sampling: Sampling,
}

/// A meta-SAE that is ready to be asked.
pub struct Scope<'a> {
    room: Room<'a>,
    place: usize,
    meta: &'a Meta,
    opened: &'a Opened,
}

impl Scope<'_> {
    fn of(&self) -> &Sae {
        &self.room.saes[self.place].sae
    }

    fn microscope(&self) -> Microscope<'_> {
        Microscope {
            id: &self.meta.id,
            meta: &self.opened.meta,
            of_id: &self.meta.sae,
            of: self.of(),
            table: self.opened.table.as_deref(),
            again: self.opened.again.as_ref().map(|again| again.as_slice()),
        }
    }

    fn cannot(&self, what: &str) -> String {
        format!("meta-SAE `{}` of SAE `{}` cannot {what}", self.meta.id, self.meta.sae)
    }

    pub fn info(&self) -> Result<MetaInfo, Report> {
        let info = self.opened.info.as_ref().map(|info| MetaInfo::clone(info));
        info.ok_or_else(|| Report::new(self.cannot("say what it is")).kind(Kind::Bug))
    }

    pub fn entry(&self, latent: u32, cancel: &Cancel) -> Result<MetaEntry, Report> {
        self.microscope()
            .entry(latent as usize, self.room.words, cancel)
            .map_err(|error| failure::of_sae(self.cannot(&format!("take latent {latent} apart")), &error))
    }

    pub fn card(&self, meta_latent: u32, top: usize) -> Result<MetaCard, Report> {
        let rungs: Vec<Rung<'_>> =
            self.room.saes.iter().map(|loaded| Rung { id: &loaded.entry.id, sae: &loaded.sae }).collect();
        let (codes, threshold) = (self.room.live.codes(self.place), self.room.suite.threshold);
        self.microscope()
            .card(meta_latent, &rungs, self.room.words, threshold, codes, top)
            .map_err(|error| failure::of_sae(self.cannot(&format!("show meta-latent {meta_latent}")), &error))
    }

    pub fn run(&self) -> MetaRun {
        self.microscope().run(self.room.live.codes(self.place))
    }

    pub fn labels(&self, meta_latents: &[u32]) -> Result<Vec<MetaLabel>, Report> {
        self.microscope()
            .labels(meta_latents, self.room.words)
            .map_err(|error| failure::of_sae(self.cannot("name its meta-latents"), &error))
    }

    /// What is added to the activation for each unit of the latent's, by model in the order of [`Arm::ALL`].
    fn changes(&self, operation: &Operation, cancel: &Cancel) -> Result<[Vec<f32>; 3], Report> {
        let latent = operation.latent as usize;
        let wrong =
            |error: sae::Error| failure::of_sae(self.cannot(&format!("edit latent {}", operation.latent)), &error);
        let edited = meta::edited(&self.opened.meta, self.of(), latent, &operation.edits, cancel).map_err(wrong)?;
        let row = self.of().decoder_row(latent).map_err(wrong)?;
        let random = meta::random_edit(&row, &edited, operation.seed);
        let less = |new: &[f32]| new.iter().zip(row.iter()).map(|(new, old)| new - old).collect::<Vec<f32>>();
        Ok([vec![0.0; row.len()], less(&edited), less(&random)])
    }

    fn theatre(&self, latent: u32) -> Theatre<'_> {
        Theatre {
            model: &*self.room.model.model,
            tokenizer: &self.room.model.tokenizer,
            site: self.room.suite.site,
            center: self.room.suite.center,
            sae: self.of(),
            latent,
        }
    }

    pub fn surgery(
        &self,
        operation: &Operation,
        prompt: &str,
        next: usize,
        named: &[String],
        cancel: &Cancel,
    ) -> Result<SurgeryView, Report> {
        let (changes, theatre) = (self.changes(operation, cancel)?, self.theatre(operation.latent));
        let (Typed { ids, mut notes }, tokenizer) = (self.room.typed(prompt)?, &self.room.model.tokenizer);
        let wrong = |error: model::Error| failure::of_model("cannot run the prompt", &error);
        let texts = named.iter().map(|text| {
            let spelled = surgery::named(text, tokenizer);
            spelled.map_err(|error| failure::of_model(format!("cannot name {text:?}"), &error))
        });
        let texts: Vec<Vec<u32>> = texts.collect::<Result<_, _>>()?;
        let (mut arms, mut logprobs, mut fires) = (Vec::new(), Vec::new(), Vec::new());
        for (arm, change) in Arm::ALL.into_iter().zip(&changes) {
            let answer = theatre.ask(&ids, change, next, &texts, cancel).map_err(wrong)?;
            arms.push(ArmView { arm, next: answer.next });
            logprobs.push(answer.logprobs);
            fires = answer.fires;
        }
        let of = |at: usize| std::array::from_fn(|arm: usize| logprobs[arm][at]);
        let row = self.of().decoder_norm(operation.latent as usize).unwrap_or(0.0);
        let size = changes[1].iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt() as f32 / row;
        if fires.is_empty() {
            notes.push(format!("latent {} fires nowhere in this prompt: the edit changes nothing", operation.latent));
        }
        if size == 0.0 {
            notes.push("these edits change nothing in the decoder row".to_owned());
        }
        Ok(SurgeryView {
            sae: operation.sae.clone(),
            meta: operation.meta.clone(),
            latent: operation.latent,
            size,
            fires,
            arms,
            named: named
                .iter()
                .zip(texts)
                .enumerate()
                .map(|(at, (text, ids))| Named { text: text.clone(), ids, logprobs: of(at) })
                .collect(),
            notes,
        })
    }

    pub fn go_on(
        &self,
        operation: &Operation,
        prompt: &str,
        goal: &Goal,
        cancel: &Cancel,
        progress: OnProgress<'_>,
    ) -> Result<Continuation, Report> {
        let (changes, ids) = (self.changes(operation, cancel)?, self.room.typed(prompt)?.ids);
        let place = Arm::ALL.iter().position(|arm| *arm == goal.arm).unwrap_or(0);
        let mut tell = |done: usize, text: &str| progress(Progress::steps(text, done as u64, goal.tokens as u64));
        let new = self
            .theatre(operation.latent)
            .go_on(&ids, &changes[place], goal.tokens, goal.sampling, cancel, &mut tell)
            .map_err(|error| failure::of_model("cannot go on with the prompt", &error))?;
        let tokenizer = &self.room.model.tokenizer;
        let mut tokens = tokens::views(&new, tokenizer);
        for token in &mut tokens {
            token.position += ids.len();
        }
        Ok(Continuation { arm: goal.arm, tokens, text: tokenizer.decode(&new) })
    }
}
