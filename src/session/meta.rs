//! The meta-SAEs of a loaded suite: those of its file, those that this program trained, those of a folder that somebody
//! names. Not here: what is asked of them, and training; each has a file of its own in `meta/`.

mod answers;
mod breakdown;
mod card;
mod combination;
mod continuation;
mod found;
mod list;
mod names;
mod open;
mod run;
mod surgery;
mod train;

use std::path::Path;
use std::sync::Arc;

pub use answers::{MetaNames, MetaRecipe, MetaState, MetaTrained};
pub use breakdown::BreakdownQuery;
pub use card::MetaCardQuery;
pub use continuation::ContinueQuery;
pub use list::{MetaQuery, MetasQuery};
pub use names::MetaNamesQuery;
pub use run::MetaRunQuery;
pub use surgery::SurgeryQuery;

use crate::analysis::live::Live;
use crate::analysis::meta::MetaSaeView;
use crate::analysis::{MetaEntry, MetaInfo};
use crate::report::{Kind, Report};
use crate::sae::meta::{self, BreakdownTable};
use crate::sae::{self, Sae};
use crate::session::prompt_session::PromptSession;
use crate::session::{SessionConfig, failure};
use crate::suite::argument;
use crate::task::Cancel;

use open::{OpenedMeta, info, open_folder, open_listed};
use train::Kept;

/// The meta-SAEs that are there, or were to be.
pub struct Metas {
    list: Vec<Meta>,
}

struct Meta {
    sae: String,
    id: String,
    trained: bool,
    opened: Result<OpenedMeta, Report>,
}

impl Metas {
    pub const fn none() -> Self {
        Self { list: Vec::new() }
    }

    /// Those of the suite whose SAEs are loaded, and those that this program trained for them. One that cannot be used
    /// is not an error before it is asked for.
    pub fn find(room: &PromptSession, setup: &SessionConfig, cancel: &Cancel) -> Result<Self, Report> {
        let mut this = Self::none();
        for entry in &room.suite.metas {
            let Ok(place) = room.place(&entry.sae) else { continue };
            cancel.check()?;
            let opened = open_listed(&room.suite, entry, &room.saes[place].sae, setup, cancel);
            this.list.push(Meta { sae: entry.sae.clone(), id: entry.id.clone(), trained: false, opened });
        }
        this.look_again(room, setup);
        Ok(this)
    }

    /// Takes up what this program has trained since.
    pub fn look_again(&mut self, room: &PromptSession, setup: &SessionConfig) {
        for loaded in &room.saes {
            let sae = &loaded.entry.id;
            for kept in train::kept(setup.metas.as_deref(), &loaded.sae, &|id| self.has(sae, id)) {
                self.add(sae, kept);
            }
        }
    }

    /// Whether there is one of this id.
    fn has(&self, sae: &str, id: &str) -> bool {
        self.list.iter().any(|meta| meta.sae == sae && meta.id == id)
    }

    fn add(&mut self, sae: &str, kept: Kept) {
        let opened = kept.meta.map(|meta| OpenedMeta::new(meta, kept.k));
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

    /// Which meta-SAEs of the SAEs that `of` chooses are here and cannot be used, and why; what was never downloaded is
    /// not missed.
    pub fn notes(&self, of: &dyn Fn(&str) -> bool) -> Vec<String> {
        let failures = self.list.iter().filter(|meta| of(&meta.sae)).filter_map(|meta| meta.opened.as_ref().err());
        let told = |report: &Report| format!("{}: {}", report.what, report.why.join(": "));
        failures.filter(|report| report.kind != Kind::Missing).map(told).collect()
    }

    /// The ids of an SAE's usable meta-SAEs.
    pub fn of(&self, sae: &str) -> Vec<String> {
        self.list.iter().filter(|meta| meta.sae == sae && meta.opened.is_ok()).map(|meta| meta.id.clone()).collect()
    }

    /// A latent's parts by every usable meta-SAE of its SAE; members where tables are there. None for a row of zeros.
    pub fn entries(&self, room: &PromptSession, sae: &str, latent: u32) -> Result<Vec<MetaEntry>, Report> {
        let place = room.place(sae)?;
        let mut entries = Vec::new();
        for (at, meta) in self.list.iter().enumerate().filter(|(_, meta)| meta.sae == sae) {
            let Ok(opened) = &meta.opened else { continue };
            let scope = Scope { room, place, meta: &self.list[at], opened };
            match scope.microscope().entry(latent as usize, room.words(), &Cancel::new()) {
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
        room: &'a PromptSession,
        sae: &str,
        meta: &str,
        cancel: &Cancel,
    ) -> Result<Scope<'a>, Report> {
        let place = room.place(sae)?;
        let at = self.at(room, sae, meta)?;
        self.prepare(at, &room.saes[place].sae, cancel)?;
        let meta = &self.list[at];
        let opened = meta.opened.as_ref().map_err(Clone::clone)?;
        Ok(Scope { room, place, meta, opened })
    }

    /// The place of a meta-SAE, which is opened where it is a folder.
    fn at(&mut self, room: &PromptSession, sae: &str, meta: &str) -> Result<usize, Report> {
        if let Some(at) = self.list.iter().position(|known| known.sae == sae && known.id == meta) {
            return Ok(at);
        }
        if Path::new(meta).is_dir() {
            let opened = open_folder(Path::new(meta)).map(|sae| OpenedMeta::new(sae, None));
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
            None => {
                Arc::new(BreakdownTable::new(&opened.meta, of, cancel).map_err(|error| report(&self.list[at], &error))?)
            }
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

/// A meta-SAE that is ready to be asked.
pub struct Scope<'a> {
    room: &'a PromptSession,
    place: usize,
    meta: &'a Meta,
    opened: &'a OpenedMeta,
}

impl Scope<'_> {
    fn of(&self) -> &Sae {
        &self.room.saes[self.place].sae
    }

    fn microscope(&self) -> MetaSaeView<'_> {
        MetaSaeView {
            id: &self.meta.id,
            meta: &self.opened.meta,
            of_id: &self.meta.sae,
            of: self.of(),
            table: self.opened.table.as_deref(),
            again: self.opened.again.as_ref().map(|again| again.as_slice()),
        }
    }

    /// The last prompt's pass.
    pub(super) const fn live(&self) -> &Live {
        &self.room.live
    }

    /// The meta-SAE, and the SAE whose latents it takes apart.
    pub(super) fn pair(&self) -> (&Sae, &Sae) {
        (&self.opened.meta, self.of())
    }

    pub(super) fn cannot(&self, what: &str) -> String {
        format!("meta-SAE `{}` of SAE `{}` cannot {what}", self.meta.id, self.meta.sae)
    }
}

/// That an SAE has no meta-SAE, and what to do.
pub fn none_of(room: &PromptSession, sae: &str) -> Report {
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
