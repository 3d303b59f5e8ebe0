//! A meta-SAE of the open suite for who answers beside the session: of the suite's file, trained here, or in a folder.
//! Not here: what the session keeps of meta-SAEs (`meta.rs`).

use std::path::Path;

use crate::report::{Kind, Report};
use crate::sae::Sae;
use crate::session::loaded_suite::LoadedSuite;
use crate::session::meta::open::{open_folder, open_listed};
use crate::session::meta::train;
use crate::task::Cancel;

impl LoadedSuite {
    /// Whether an SAE has a meta-SAE of this id, or there is a folder of this name.
    pub(in crate::session) fn has_meta(&self, sae: &str, id: &str) -> bool {
        let trained = |place: usize| train::kept(self.setup.metas.as_deref(), &self.saes[place].sae, &|_| false);
        self.suite.metas.iter().any(|entry| entry.sae == sae && entry.id == id)
            || self.place(sae).is_ok_and(|place| trained(place).iter().any(|kept| kept.id == id))
            || Path::new(id).is_dir()
    }

    /// A meta-SAE of the SAE at a place.
    ///
    /// # Errors
    /// That there is none of this id, or that it cannot be opened.
    pub(in crate::session) fn meta_sae(&self, place: usize, id: &str, cancel: &Cancel) -> Result<Sae, Report> {
        let (sae, of) = (&self.saes[place].entry.id, &self.saes[place].sae);
        if let Some(entry) = self.suite.metas.iter().find(|entry| entry.sae == *sae && entry.id == id) {
            return Ok(open_listed(&self.suite, entry, of, &self.setup, cancel)?.meta);
        }
        let trained = train::kept(self.setup.metas.as_deref(), of, &|_| false);
        if let Some(kept) = trained.into_iter().find(|kept| kept.id == id) {
            return kept.meta;
        }
        if Path::new(id).is_dir() {
            return open_folder(Path::new(id));
        }
        Err(Report::new(format!("SAE `{sae}` has no meta-SAE `{}`", id.escape_debug()))
            .hint("`saescope meta train` trains one; a folder is named by its path")
            .kind(Kind::Usage))
    }
}
