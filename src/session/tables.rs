//! Comparisons of all SAEs of the ladder, kept on disk; families and groups out of them.
//! Not here: how SAEs are compared (`sae`).

use crate::analysis::{Class, Family, GroupView, Neighbour, Relation, Rung, Side};
use crate::report::{Kind, Report};
use crate::sae::table::compare_kept;
use crate::sae::{Classes, Comparison, Error, Group, Sae, classes, compare};
use crate::session::failure;
use crate::session::shared::Shared;
use crate::task::{Cancel, OnProgress, Progress, Whole};

use std::sync::Arc;

/// Neighbours kept of each latent.
const NEAREST: usize = 5;
/// Parents told of a latent at most.
const PARENTS: usize = 32;
/// Thresholds down to which pairs are compared: the lower, the more pairs are near, and the longer it takes.
const FLOORS: [f32; 3] = [0.3, 0.0, -1.0];
/// Pairs of latents of a group up to which all of its edges are computed.
const EDGES: usize = 1 << 16;

/// Two SAEs compared.
pub struct Table {
    pub comparison: Arc<Comparison>,
    /// Why it could not be kept on disk.
    pub note: Option<String>,
}

/// The number of the highest floor that a threshold lies on or above.
pub fn floor_of(threshold: f32) -> Result<usize, Report> {
    let within = (-1.0..=1.0).contains(&threshold);
    let floor = FLOORS.iter().position(|floor| threshold >= *floor).filter(|_| within);
    floor.ok_or_else(|| {
        failure::of_sae(format!("{threshold} is no threshold"), &Error::Threshold { theta: threshold })
            .hint("a cosine lies between -1 and 1")
            .kind(Kind::Usage)
    })
}

impl Shared {
    /// The comparison of two SAEs that answers a threshold: from memory, from disk, or computed.
    pub fn table(
        &self,
        places: (usize, usize),
        threshold: f32,
        cancel: &Cancel,
        progress: OnProgress<'_>,
    ) -> Result<Arc<Table>, Report> {
        let floor = floor_of(threshold)?;
        if let Some(table) = self.known_table(places, floor) {
            return Ok(table);
        }
        let (small, large) = places;
        self.tables.get_or(&(small, large, floor), cancel, progress, |progress| {
            let (a, b) = (&self.saes[small], &self.saes[large]);
            let what = format!("comparing {} with {}", b.entry.id, a.entry.id);
            let named = |so_far: Progress| progress(Progress { what: what.clone(), ..so_far });
            let made = make(self, &b.sae, &a.sae, FLOORS[floor], cancel, &named);
            let cannot = format!("cannot compare SAE `{}` with `{}`", b.entry.id, a.entry.id);
            made.map(Arc::new).map_err(|error| failure::of_sae(cannot, &error))
        })
    }

    /// A comparison that is there and goes down to this floor or further.
    pub fn known_table(&self, (small, large): (usize, usize), floor: usize) -> Option<Arc<Table>> {
        (floor..FLOORS.len()).find_map(|floor| self.tables.get(&(small, large, floor)))
    }

    /// Compares all SAEs: neighbours in the ladder first, as they are looked at first. Gives things worth saying.
    pub fn all_tables(&self, cancel: &Cancel, progress: OnProgress<'_>) -> Result<Vec<String>, Report> {
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

    /// A latent's relatives, as far as tables are there.
    pub fn family(&self, sae: &str, latent: u32, threshold: f32) -> Result<Family, Report> {
        floor_of(threshold)?;
        let own = self.place(sae)?;
        let wrong = |error| failure::of_sae(format!("SAE `{sae}` has no family for latent {latent}"), &error);
        let rungs = (0..self.saes.len()).map(|place| self.rung(own, place, latent as usize, threshold));
        let rungs = rungs.collect::<Result<_, _>>().map_err(wrong)?;
        Ok(Family { sae: sae.to_owned(), latent, threshold, rungs })
    }

    fn rung(&self, own: usize, place: usize, latent: usize, threshold: f32) -> Result<Rung, Error> {
        let (from, to) = (&self.saes[own].sae, &self.saes[place].sae);
        from.decoder_row(latent)?;
        let mut rung = Rung {
            sae: self.saes[place].entry.id.clone(),
            width: to.width(),
            relation: Relation::Own,
            nearest: Vec::new(),
            class: None,
            relatives: Some(Vec::new()),
        };
        if place == own {
            return Ok(rung);
        }
        let near = from.nearest(latent, to, PARENTS)?;
        let near: Vec<Neighbour> =
            near.iter().map(|near| Neighbour { latent: near.latent, cosine: near.cosine }).collect();
        if place < own {
            rung.relation = Relation::Parent;
            rung.class = near.first().map(|near| Class::of(near.cosine, threshold));
            let many = near.iter().take_while(|near| near.cosine >= threshold).count().max(1);
            rung.relatives = Some(near.iter().take(many).copied().collect());
        } else {
            rung.relation = Relation::Child;
            let table = self.known_table((own, place), 0);
            rung.relatives = table.map(|table| children(&table.comparison, latent as u32));
        }
        rung.nearest = near.into_iter().take(NEAREST).collect();
        Ok(rung)
    }

    /// The group of a latent; none for one that is novel or unmatched.
    pub fn group(
        &self,
        places: (usize, usize),
        (side, latent): (Side, u32),
        threshold: f32,
        cancel: &Cancel,
        progress: OnProgress<'_>,
    ) -> Result<Option<GroupView>, Report> {
        let table = self.table(places, threshold, cancel, progress)?;
        let (small, large) = (&self.saes[places.0].sae, &self.saes[places.1].sae);
        let cannot = |error| failure::of_sae(format!("latent {latent} has no group"), &error);
        let of = match side {
            Side::Small => small,
            Side::Large => large,
        };
        of.decoder_row(latent as usize).map_err(cannot)?;
        let classes = Classes::new(&table.comparison, threshold).map_err(cannot)?;
        let groups = match side {
            Side::Small => &classes.small_group,
            Side::Large => &classes.large_group,
        };
        let group = groups[latent as usize].and_then(|group| classes.groups.get(group as usize));
        let Some(group) = group else { return Ok(None) };
        group_view(group, large, small, &table.comparison, threshold).map(Some).map_err(cannot)
    }
}

fn make(
    shared: &Shared,
    large: &Sae,
    small: &Sae,
    floor: f32,
    cancel: &Cancel,
    progress: OnProgress<'_>,
) -> Result<Table, Error> {
    let Some(folder) = &shared.setup.tables else {
        let comparison = Arc::new(compare(large, small, NEAREST, floor, cancel, progress)?);
        return Ok(Table { comparison, note: None });
    };
    let kept = compare_kept(folder, large, small, NEAREST, floor, cancel, progress)?;
    let note = kept.not_written.map(|error| format!("comparisons cannot be kept in {}: {error}", folder.display()));
    Ok(Table { comparison: Arc::new(kept.comparison), note })
}

/// The latents of the larger SAE whose nearest of the smaller is this one, nearest first.
fn children(comparison: &Comparison, latent: u32) -> Vec<Neighbour> {
    let rows = 0..comparison.nearest.rows();
    let nearest = rows.map(|row| (row as u32, comparison.nearest.row(row)[0]));
    let mut children: Vec<Neighbour> = nearest
        .filter(|(_, near)| near.latent == latent)
        .map(|(child, near)| Neighbour { latent: child, cosine: near.cosine })
        .collect();
    children.sort_by(|a, b| b.cosine.total_cmp(&a.cosine).then(a.latent.cmp(&b.latent)));
    children
}

fn group_view(
    group: &Group,
    large: &Sae,
    small: &Sae,
    comparison: &Comparison,
    threshold: f32,
) -> Result<GroupView, Error> {
    let complete = group.large.len().saturating_mul(group.small.len()) <= EDGES;
    let mut edges: Vec<(u32, u32, f32)> = if complete {
        let edges = classes::edges_within(group, large, small, threshold)?;
        edges.iter().map(|edge| (edge.small, edge.large, edge.cosine)).collect()
    } else {
        let edges = comparison.forest.edges.iter().take_while(|edge| edge.cosine >= threshold);
        let within = edges.filter(|edge| group.large.binary_search(&edge.large).is_ok());
        within.map(|edge| (edge.small, edge.large, edge.cosine)).collect()
    };
    edges.sort_by_key(|edge| (edge.1, edge.0));
    Ok(GroupView { threshold, small: group.small.clone(), large: group.large.clone(), edges, complete })
}
