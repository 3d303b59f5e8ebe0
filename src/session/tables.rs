//! Comparisons of all SAEs of the ladder, kept on disk.
//! Not here: how SAEs are compared (`sae`), families (`family.rs`) and groups (`group.rs`) out of them.

use std::sync::Arc;

use crate::report::{Kind, Report};
use crate::sae::table::compare_kept;
use crate::sae::{Comparison, Error, Sae, compare};
use crate::session::failure;
use crate::session::loaded_suite::LoadedSuite;
use crate::session::memo::MemoKey;
use crate::session::query::{Cx, Lane, Query};
use crate::task::{Cancel, OnProgress, Progress, Whole};

/// Neighbours kept of each latent.
pub const NEAREST: usize = 5;
/// Thresholds down to which pairs are compared: the lower, the more pairs are near, and the longer it takes.
const FLOORS: [f32; 3] = [0.3, 0.0, -1.0];

/// Compare all loaded SAEs with each other, so that tables are there before they are asked for: a family is complete then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TablesQuery;

impl Query for TablesQuery {
    /// Things worth saying.
    type Answer = Vec<String>;
    const NAME: &'static str = "tables";
    const LANE: Lane = Lane::Prefetch;
    const PRIORITY: u8 = 0;

    fn run(&self, cx: &mut Cx<'_>) -> Result<Vec<String>, Report> {
        cx.suite()?.all_tables(cx.cancel, cx.progress)
    }
}

/// Two SAEs compared.
pub struct PairTable {
    pub comparison: Arc<Comparison>,
    /// Why it could not be kept on disk.
    pub note: Option<String>,
}

/// Two SAEs of the ladder, and the number of the floor.
#[derive(Clone, PartialEq, Eq, Hash)]
struct TableKey {
    small: usize,
    large: usize,
    floor: usize,
}

impl MemoKey for TableKey {
    type Value = Arc<PairTable>;
}

/// The number of the highest floor that a threshold lies on or above.
pub fn floor_of(threshold: f32) -> Result<usize, Report> {
    let within = (-1.0..=1.0).contains(&threshold);
    let floor = FLOORS.iter().position(|floor| threshold >= *floor).filter(|_| within);
    floor.ok_or_else(|| {
        failure::of_sae(format!("θ must lie in [-1, 1], got {threshold}"), &Error::Threshold { theta: threshold })
            .hint("a cosine lies between -1 and 1")
            .kind(Kind::Usage)
    })
}

impl LoadedSuite {
    /// The comparison of two SAEs that answers a threshold: from memory, from disk, or computed.
    pub fn table(
        &self,
        places: (usize, usize),
        threshold: f32,
        cancel: &Cancel,
        progress: OnProgress<'_>,
    ) -> Result<Arc<PairTable>, Report> {
        let floor = floor_of(threshold)?;
        if let Some(table) = self.known_table(places, floor) {
            return Ok(table);
        }
        let (small, large) = places;
        self.memo.get_or(&TableKey { small, large, floor }, cancel, progress, |progress| {
            let (a, b) = (&self.saes[small], &self.saes[large]);
            let what = format!("comparing {} with {}", b.entry.id, a.entry.id);
            let named = |so_far: Progress| progress(Progress { what: what.clone(), ..so_far });
            let made = make(self, &b.sae, &a.sae, FLOORS[floor], cancel, &named);
            let cannot = format!("cannot compare SAE `{}` with `{}`", b.entry.id, a.entry.id);
            made.map(Arc::new).map_err(|error| failure::of_sae(cannot, &error))
        })
    }

    /// A comparison that is there and goes down to this floor or further.
    pub fn known_table(&self, (small, large): (usize, usize), floor: usize) -> Option<Arc<PairTable>> {
        (floor..FLOORS.len()).find_map(|floor| self.memo.get(&TableKey { small, large, floor }))
    }

    /// Compares all SAEs: neighbours in the ladder first, as they are looked at first. Gives things worth saying.
    fn all_tables(&self, cancel: &Cancel, progress: OnProgress<'_>) -> Result<Vec<String>, Report> {
        let mut pairs: Vec<(usize, usize)> =
            (1..self.saes.len()).flat_map(|large| (0..large).map(move |small| (small, large))).collect();
        pairs.retain(|places| self.pair(*places).is_ok());
        pairs.sort_by_key(|(small, large)| (large - small, *large));
        let (parts, mut notes) = (pairs.len(), Vec::new());
        for (part, places) in pairs.into_iter().enumerate() {
            let whole = Whole { done: part as u64, total: parts as u64, part: part + 1, parts };
            let within = |so_far: Progress| progress(Progress { whole: Some(whole), ..so_far });
            cancel.check()?;
            let table = self.table(places, self.suite.threshold, cancel, &within)?;
            notes.extend(table.note.clone().filter(|note| !notes.contains(note)));
        }
        Ok(notes)
    }
}

fn make(
    shared: &LoadedSuite,
    large: &Sae,
    small: &Sae,
    floor: f32,
    cancel: &Cancel,
    progress: OnProgress<'_>,
) -> Result<PairTable, Error> {
    let Some(folder) = &shared.setup.tables else {
        let comparison = Arc::new(compare(large, small, NEAREST, floor, cancel, progress)?);
        return Ok(PairTable { comparison, note: None });
    };
    let kept = compare_kept(folder, large, small, NEAREST, floor, cancel, progress)?;
    let note = kept.not_written.map(|error| format!("comparisons cannot be kept in {}: {error}", folder.display()));
    Ok(PairTable { comparison: Arc::new(kept.comparison), note })
}
