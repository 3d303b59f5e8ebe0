//! The order and the filter of the work queue: sorted once, then only what is on screen is looked at.
//! Not here: what is in it (`analysis::PairView`), how it looks (`view`).

use std::collections::HashSet;
use std::sync::Arc;

use crate::analysis::{Class, PairView, QueueRow};

/// By what the queue is sorted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Sort {
    /// ΔMSE on the text, what lowers it most first.
    #[default]
    Delta,
    /// c*, largest first.
    Effect,
    /// The largest cosine with the smaller SAE, smallest first.
    Cosine,
    /// On how many tokens of the text it fires, most first.
    Rate,
    /// How strongly it fires on the chosen token, then in the prompt.
    Here,
    /// The latent's index.
    Latent,
}

impl Sort {
    /// All of them, in the order of the key.
    pub const ALL: [Self; 6] = [Self::Delta, Self::Effect, Self::Cosine, Self::Rate, Self::Here, Self::Latent];

    /// In words.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Delta => "ΔMSE",
            Self::Effect => "c*",
            Self::Cosine => "m",
            Self::Rate => "firing rate",
            Self::Here => "fires here",
            Self::Latent => "latent",
        }
    }

    /// The next one.
    #[must_use]
    pub fn next(self) -> Self {
        let at = Self::ALL.iter().position(|s| *s == self).unwrap_or(0);
        Self::ALL[(at + 1) % Self::ALL.len()]
    }
}

/// Which latents the queue shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Show {
    /// All.
    #[default]
    All,
    /// The novel ones.
    Novel,
    /// The reconstructions.
    Reconstruction,
    /// Those on which the cosine rule and c* disagree.
    Disagree,
    /// Those that fire in the prompt.
    Fires,
    /// Those that are in the workbench.
    Bench,
}

impl Show {
    /// All of them, in the order of the key.
    pub const ALL: [Self; 6] = [Self::All, Self::Novel, Self::Reconstruction, Self::Disagree, Self::Fires, Self::Bench];

    /// In words.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Novel => "novel",
            Self::Reconstruction => "reconstructions",
            Self::Disagree => "rules disagree",
            Self::Fires => "fire in the prompt",
            Self::Bench => "in the workbench",
        }
    }

    /// The next one.
    #[must_use]
    pub fn next(self) -> Self {
        let at = Self::ALL.iter().position(|s| *s == self).unwrap_or(0);
        Self::ALL[(at + 1) % Self::ALL.len()]
    }
}

/// What a latent does in the prompt: on the chosen token, and at most.
pub type InPrompt = (f32, f32);

/// What the order depends on beside the rows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter {
    /// θ.
    pub threshold: f32,
    /// For each latent what it does in the prompt; empty when nothing is known.
    pub prompt: Arc<Vec<InPrompt>>,
    /// Latents that a text filter found; none when there is no text filter.
    pub found: Option<Vec<u32>>,
    /// Latents of the larger SAE in the workbench.
    pub bench: Vec<u32>,
}

/// The order and the filter of the work queue.
#[derive(Debug, Default)]
pub struct Queue {
    /// By what it is sorted.
    pub sort: Sort,
    /// Whether the other way round.
    pub reversed: bool,
    /// Which latents are shown.
    pub show: Show,
    /// What a person typed to filter by; empty for no text filter.
    pub text: String,
    /// The chosen row.
    pub at: usize,
    /// The first row on screen.
    pub top: usize,
    order: Vec<u32>,
    made: Option<Made>,
}

/// What an order was made of.
#[derive(Debug)]
struct Made {
    view: Arc<PairView>,
    sort: Sort,
    reversed: bool,
    show: Show,
    filter: Filter,
}

impl Queue {
    /// The latents shown, in order.
    #[must_use]
    pub fn order(&self) -> &[u32] {
        &self.order
    }

    /// The latent on the chosen row.
    #[must_use]
    pub fn latent(&self) -> Option<u32> {
        self.order.get(self.at).copied()
    }

    /// Sorts and filters anew if anything changed that this depends on; gives whether it did.
    pub fn arrange(&mut self, view: &Arc<PairView>, filter: Filter) -> bool {
        if self.made.as_ref().is_some_and(|made| self.still(made, view, &filter)) {
            return false;
        }
        let mut order: Vec<u32> =
            view.rows.iter().filter(|row| shown(row, self.show, &filter)).map(|row| row.latent).collect();
        if let Some(found) = &filter.found {
            let found: HashSet<u32> = found.iter().copied().collect();
            order.retain(|latent| found.contains(latent));
        }
        let (sort, prompt) = (self.sort, &filter.prompt);
        let key = |latent: &u32| {
            let row = view.rows.get(*latent as usize).copied();
            row.map_or((f64::INFINITY, f64::INFINITY), |row| rank(&row, sort, prompt))
        };
        // One key for each row: comparing looks nothing up.
        let mut keyed: Vec<((f64, f64), u32)> = order.iter().map(|latent| (key(latent), *latent)).collect();
        let last = |key: f64| key == f64::INFINITY;
        keyed.sort_unstable_by(|(a, i), (b, j)| {
            let by = a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1));
            // What has no value stands last either way.
            let by = if self.reversed && !last(a.0) && !last(b.0) { by.reverse() } else { by };
            by.then(i.cmp(j))
        });
        self.order = keyed.into_iter().map(|(_, latent)| latent).collect();
        let (sort, reversed, show) = (self.sort, self.reversed, self.show);
        self.made = Some(Made { view: Arc::clone(view), sort, reversed, show, filter });
        true
    }

    /// Whether an order made so still holds: θ counts only where classes are filtered by.
    fn still(&self, made: &Made, view: &Arc<PairView>, filter: &Filter) -> bool {
        let by_theta = matches!(self.show, Show::Novel | Show::Reconstruction | Show::Disagree);
        let by_prompt = self.show == Show::Fires || self.sort == Sort::Here;
        Arc::ptr_eq(&made.view, view)
            && (made.sort, made.reversed, made.show) == (self.sort, self.reversed, self.show)
            && (!by_theta || made.filter.threshold.to_bits() == filter.threshold.to_bits())
            && (!by_prompt || made.filter.prompt == filter.prompt)
            && made.filter.found == filter.found
            && (self.show != Show::Bench || made.filter.bench == filter.bench)
    }

    /// The next row after one, in a direction, that this is true of.
    pub fn seek(&self, from: usize, by: isize, is: impl Fn(u32) -> bool) -> Option<usize> {
        let mut at = from;
        loop {
            at = at.checked_add_signed(by)?;
            if is(*self.order.get(at)?) {
                return Some(at);
            }
        }
    }

    /// The first row, or the last when the direction is up, that this is true of.
    pub fn seek_all(&self, by: isize, is: impl Fn(u32) -> bool) -> Option<usize> {
        let is = |latent: &u32| is(*latent);
        if by > 0 { self.order.iter().position(is) } else { self.order.iter().rposition(is) }
    }

    /// Forgets the order, as when the pair is another.
    pub fn forget(&mut self) {
        self.order.clear();
        self.made = None;
        self.at = 0;
        self.top = 0;
    }
}

fn shown(row: &QueueRow, show: Show, filter: &Filter) -> bool {
    match show {
        Show::All => true,
        Show::Novel => row.class(filter.threshold) == Some(Class::Novel),
        Show::Reconstruction => row.class(filter.threshold) == Some(Class::Reconstruction),
        Show::Disagree => row.disagrees(filter.threshold) == Some(true),
        Show::Fires => filter.prompt.get(row.latent as usize).is_some_and(|(_, most)| *most > 0.0),
        Show::Bench => filter.bench.contains(&row.latent),
    }
}

/// What a row is sorted by, smallest first; infinite where it has no value.
fn rank(row: &QueueRow, sort: Sort, prompt: &[InPrompt]) -> (f64, f64) {
    let none = f64::INFINITY;
    match sort {
        Sort::Delta => (row.delta_mse.unwrap_or(none), 0.0),
        Sort::Effect => (row.c_star.map_or(none, |c| -c), 0.0),
        Sort::Cosine => (f64::from(row.max_cosine), 0.0),
        Sort::Rate => (-(row.fired as f64), 0.0),
        Sort::Here => match prompt.get(row.latent as usize) {
            Some((_, most)) if *most <= 0.0 => (none, 0.0),
            Some((here, most)) => (-f64::from(*here), -f64::from(*most)),
            None => (none, 0.0),
        },
        Sort::Latent => (f64::from(row.latent), 0.0),
    }
}
