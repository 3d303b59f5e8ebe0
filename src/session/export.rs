//! Writing a stitched SAE as a folder that SAELens opens.
//! Not here: the format (`sae::lens`).

use std::path::{Path, PathBuf};

use crate::analysis::Change;
use crate::report::{Kind, Report};
use crate::sae::lens;
use crate::sae::stitch::Selection;
use crate::session::failure;
use crate::session::loaded_suite::LoadedSuite;
use crate::session::query::{Cx, Lane, Query};
use crate::session::workbench::selection;

/// Write the stitched SAE after these changes as SAELens has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportQuery {
    /// The narrower SAE.
    pub small: String,
    /// The wider SAE.
    pub large: String,
    /// All changes from the narrower SAE on.
    pub changes: Vec<Change>,
    /// The folder; nothing in it is overwritten.
    pub folder: PathBuf,
}

impl Query for ExportQuery {
    /// The folder.
    type Answer = PathBuf;
    const NAME: &'static str = "export";
    const LANE: Lane = Lane::Interactive;
    const PRIORITY: u8 = 20;

    fn run(&self, cx: &mut Cx<'_>) -> Result<PathBuf, Report> {
        let suite = cx.suite()?;
        let places = suite.places(&self.small, &self.large)?;
        let now = selection(suite.pair(places)?, &self.changes)?;
        suite.export(places, &now, &self.folder)
    }
}

impl LoadedSuite {
    /// Writes a stitched SAE as SAELens has it, into a folder that has none.
    pub fn export(&self, places: (usize, usize), now: &Selection, folder: &Path) -> Result<PathBuf, Report> {
        let cannot = format!("cannot write the stitched SAE to `{}`", folder.display());
        if let Some(file) = ["cfg.json", "sae_weights.safetensors"].iter().find(|file| folder.join(file).exists()) {
            return Err(Report::new(cannot)
                .because(format!("there is a `{file}` already"))
                .hint("name a new folder")
                .kind(Kind::Usage));
        }
        let stitched = self.pair(places)?.fold(now);
        let saved = stitched.and_then(|stitched| lens::save(folder, &stitched));
        saved.map_err(|error| failure::of_sae(cannot, &error))?;
        Ok(folder.to_owned())
    }
}
