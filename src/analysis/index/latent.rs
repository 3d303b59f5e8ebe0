//! What is counted of one latent.
//! Not here: what is said of it in the end (`row.rs`).

use super::best::Best;
use super::edges::edge_of;
use super::packed::{Entry, Packed};
use super::spot::{Spot, hash, order};

/// How many of its places are drawn for the quantile bins: those with the smallest hash. A bin holds a tenth of them, and
/// five are shown.
pub const SAMPLE: usize = 120;
/// Edge bins are numbered from this, so that numbers are not negative: the smallest f32 is in −149·64.
const FIRST_EDGE: i32 = -149 * 64;
/// Units of a sum: exact for activations above 2^−37, whatever their number.
const SUM_UNIT: f64 = (1_u64 << 60) as f64;
/// Units of a token's sum.
const TOKEN_UNIT: f64 = (1_u64 << 24) as f64;
/// Activations that wait to be counted, at least.
const WAITING: usize = 48;

/// What is counted of one latent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tally {
    /// On how many tokens it fires.
    pub(super) count: u64,
    /// The sum of its activations in units of 2^−60.
    pub(super) sum: u128,
    pub(super) max: f32,
    /// By token: count, and sum in units of 2^−24.
    pub(super) tokens: Packed,
    /// By edge bin: count.
    pub(super) edges: Packed,
    /// Tokens with activations that are counted above but not in `tokens` and `edges` yet.
    waiting: Vec<(u32, f32)>,
    pub(super) best: Best,
    /// By rising hash.
    pub(super) sample: Vec<(u64, Spot)>,
}

/// Where a latent fires in a window: position, token, activation; by rising position, of those that count.
pub type Fires<'a> = &'a [(u16, u32, f32)];

impl Tally {
    /// Counts a window of a document; `hashes` has one number for each of its positions.
    pub fn add(&mut self, (document, window): (u32, u32), fires: Fires<'_>, hashes: &[u64], most: usize) {
        let mut heat: Option<Vec<(u16, f32)>> = None;
        let mut spot = |position: u16, activation: f32| {
            let heat = heat.get_or_insert_with(|| fires.iter().map(|(at, _, value)| (*at, *value)).collect());
            Spot::new(activation, (document, window, position), heat)
        };
        let mut peak: Option<(f32, (u32, u32, u16))> = None;
        for &(position, token, activation) in fires {
            self.count += 1;
            self.sum = self.sum.saturating_add((f64::from(activation) * SUM_UNIT) as u128);
            self.max = self.max.max(activation);
            self.waiting.push((token, activation));
            let here = (activation, (document, window, position));
            if peak.is_none_or(|peak| order(here, peak).is_lt()) {
                peak = Some(here);
            }
            let hash = hashes[usize::from(position)];
            if self.sample.len() < SAMPLE || self.sample.last().is_some_and(|(last, _)| hash < *last) {
                self.draw(hash, spot(position, activation));
            }
        }
        if let Some((activation, at)) = peak
            && self.best.is_active(activation, at, most)
        {
            self.best.offer(spot(at.2, activation), most);
        }
        if self.waiting.len() >= WAITING + self.tokens.len() / 8 {
            self.settle();
        }
    }

    /// Keeps a place of the sample in its order.
    fn draw(&mut self, hash: u64, spot: Spot) {
        let place = self.sample.partition_point(|(other, at)| (*other, at.at()) < (hash, spot.at()));
        if place < SAMPLE {
            if self.sample.len() >= SAMPLE {
                self.sample.pop();
            }
            self.sample.insert(place, (hash, spot));
        }
    }

    /// Counts what waits.
    pub fn settle(&mut self) {
        let waiting = std::mem::take(&mut self.waiting);
        if waiting.is_empty() {
            return;
        }
        let token = |&(token, value): &(u32, f32)| (token, 1, (f64::from(value) * TOKEN_UNIT).round() as u64);
        let edge = |(_, value): &(u32, f32)| ((edge_of(*value) - FIRST_EDGE) as u32, 1, 0);
        let mut entries: Vec<Entry> = waiting.iter().map(token).collect();
        entries.sort_unstable();
        self.tokens.add(entries.iter().copied());
        entries.clear();
        entries.extend(waiting.iter().map(edge));
        entries.sort_unstable();
        self.edges.add(entries);
        // What a latent that fires often needs is kept for the next.
        self.waiting = waiting;
        self.waiting.clear();
    }

    /// Counts what waits and ends what could still be ruled out, so that equal counts are equal bytes.
    pub fn close(&mut self, reading: Option<u32>, most: usize) {
        self.settle();
        self.waiting = Vec::new();
        self.best.settle(reading, most);
    }

    /// Adds what was counted of the same latent on other documents; both closed.
    pub fn merge(&mut self, other: Self, most: usize) {
        self.count += other.count;
        self.sum = self.sum.saturating_add(other.sum);
        self.max = self.max.max(other.max);
        self.tokens.add(other.tokens.iter());
        self.edges.add(other.edges.iter());
        self.best.merge(other.best, most);
        other.sample.into_iter().for_each(|(hash, spot)| self.draw(hash, spot));
    }

    /// On how many tokens it fires.
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// Mean activation where it fires.
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.total() / self.count as f64)
    }

    /// The sum of its activations.
    pub fn total(&self) -> f64 {
        self.sum as f64 / SUM_UNIT
    }

    /// Edge bins with their counts, by rising edge; closed.
    pub fn histogram(&self) -> impl Iterator<Item = (i32, u64)> + '_ {
        self.edges.iter().map(|(edge, count, _)| (edge as i32 + FIRST_EDGE, count))
    }

    /// Tokens with count and mean activation, by rising number; closed.
    pub fn tokens(&self) -> impl Iterator<Item = (u32, u64, f64)> + '_ {
        self.tokens.iter().map(|(token, count, sum)| (token, count, sum as f64 / TOKEN_UNIT / count.max(1) as f64))
    }

    /// Puts back a place of the sample that was written, in its order.
    pub(super) fn drawn(&mut self, spot: Spot) {
        self.sample.push((hash(spot.at()), spot));
    }

    /// Whether the sample is in its order, as only this program writes it.
    pub(super) fn is_sound(&self) -> bool {
        self.sample.len() <= SAMPLE && self.sample.is_sorted_by(|a, b| (a.0, a.1.at()) < (b.0, b.1.at()))
    }
}
