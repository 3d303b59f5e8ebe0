//! What is counted of a corpus: its windows, and every latent of every SAE.
//! Not here: what is counted of one latent (`latent.rs`).

use std::ops::Range;

use rayon::prelude::*;

use super::latent::Tally;
use super::spot::hash;
use crate::sae::Codes;

/// Latents that one thread counts at a time.
const TOGETHER: usize = 512;

/// What windows are and how many examples are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Rule {
    /// Tokens of a window at most, the beginning-of-sequence token included.
    pub context: usize,
    /// Best places kept of each latent.
    pub top: usize,
}

/// A window of a document, and where its tokens are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    pub document: u32,
    pub window: u32,
    pub start: usize,
    pub end: usize,
}

/// A window that was run: some rows of codes.
#[derive(Clone, Debug)]
pub struct WindowAt {
    /// The document's number.
    pub document: u32,
    /// The window's number within it.
    pub window: u32,
    /// Its tokens.
    pub ids: Vec<u32>,
    /// For each position whether it counts: it is neither skipped nor a sink.
    pub counts: Vec<bool>,
    /// How many sinks it has.
    pub sinks: usize,
}

/// One SAE with all of its latents, or one of its meta-SAEs with all of its meta-latents.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SaeTally {
    /// The SAE's id.
    pub id: String,
    /// The meta-SAE's id; none for the SAE's own latents.
    pub meta: Option<String>,
    /// One for each latent, or for each meta-latent.
    pub latents: Vec<Tally>,
}

/// What is counted of a corpus.
#[derive(Clone, Debug, PartialEq)]
pub struct Corpus {
    /// What windows are.
    pub rule: Rule,
    /// Positions that count.
    pub tokens: u64,
    /// Positions that are sinks.
    pub sinks: u64,
    pub(super) windows: Vec<Stored>,
    pub(super) ids: Vec<u32>,
    /// By rising width; meta-SAEs behind all SAEs.
    pub saes: Vec<SaeTally>,
}

impl Corpus {
    /// Nothing counted yet, of SAEs of these ids and widths.
    #[must_use]
    pub fn new(rule: Rule, saes: &[(String, usize)]) -> Self {
        let tally = |(id, width): &(String, usize)| {
            let latents = vec![Tally::default(); *width];
            SaeTally { id: id.clone(), meta: None, latents }
        };
        let saes = saes.iter().map(tally).collect();
        Self { rule, tokens: 0, sinks: 0, windows: Vec::new(), ids: Vec::new(), saes }
    }

    /// The same with a meta-SAE of one of its SAEs, of so many meta-latents.
    #[must_use]
    pub fn and_meta(mut self, sae: &str, meta: &str, width: usize) -> Self {
        let latents = vec![Tally::default(); width];
        self.saes.push(SaeTally { id: sae.to_owned(), meta: Some(meta.to_owned()), latents });
        self
    }

    /// What is counted of an SAE, or of one of its meta-SAEs.
    #[must_use]
    pub fn tally(&self, sae: &str, meta: Option<&str>) -> Option<&SaeTally> {
        self.saes.iter().find(|of| of.id == sae && of.meta.as_deref() == meta)
    }

    /// Counts what is the same for every SAE: tokens, sinks, and the windows themselves.
    pub fn add_windows(&mut self, windows: &[WindowAt]) {
        for window in windows {
            self.tokens += window.counts.iter().filter(|counts| **counts).count() as u64;
            self.sinks += window.sinks as u64;
            let start = self.ids.len();
            self.ids.extend_from_slice(&window.ids);
            let (document, end) = (window.document, self.ids.len());
            self.windows.push(Stored { document, window: window.window, start, end });
        }
    }

    /// Counts what fires in an SAE, or in a meta-SAE how strongly each meta-latent is there; the rows of `codes` are the positions of these windows, one behind the other.
    pub fn add_codes(&mut self, sae: usize, windows: &[WindowAt], codes: &Codes) {
        let places: Vec<(Range<usize>, Vec<u64>)> = rows_of(windows);
        let most = self.rule.top;
        let latents = &mut self.saes[sae].latents;
        latents.par_chunks_mut(TOGETHER).enumerate().for_each(|(chunk, latents)| {
            let first = (chunk * TOGETHER) as u32;
            let mut fires: Vec<(u32, u16, u32, f32)> = Vec::new();
            let mut of_one = Vec::new();
            for (window, (rows, hashes)) in windows.iter().zip(&places) {
                gather(window, rows.clone(), codes, first..first + latents.len() as u32, &mut fires);
                for group in fires.chunk_by(|a, b| a.0 == b.0) {
                    of_one.clear();
                    of_one.extend(group.iter().map(|(_, position, token, value)| (*position, *token, *value)));
                    let at = (window.document, window.window);
                    latents[(group[0].0 - first) as usize].add(at, &of_one, hashes, most);
                }
            }
        });
    }

    /// Makes equal counts equal bytes; `reading` is the document whose next windows are still to come.
    pub fn close(&mut self, reading: Option<u32>) {
        let most = self.rule.top;
        self.windows.sort_by_key(|stored| (stored.document, stored.window));
        self.ids = self.windows.iter().flat_map(|stored| &self.ids[stored.start..stored.end]).copied().collect();
        let mut start = 0;
        for stored in &mut self.windows {
            let length = stored.end - stored.start;
            (stored.start, stored.end) = (start, start + length);
            start += length;
        }
        for sae in &mut self.saes {
            sae.latents.par_iter_mut().for_each(|latent| latent.close(reading, most));
        }
    }

    /// Adds what was counted on other documents; both are closed, and of the same SAEs.
    pub fn merge(&mut self, other: Self) {
        self.tokens += other.tokens;
        self.sinks += other.sinks;
        let before = self.ids.len();
        self.ids.extend(other.ids);
        let moved = |stored: Stored| Stored { start: stored.start + before, end: stored.end + before, ..stored };
        self.windows.extend(other.windows.into_iter().map(moved));
        let most = self.rule.top;
        for (sae, more) in self.saes.iter_mut().zip(other.saes) {
            let pairs = sae.latents.par_iter_mut().zip(more.latents);
            pairs.for_each(|(latent, more)| latent.merge(more, most));
        }
    }

    /// How many windows there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.windows.len()
    }

    /// Whether nothing was counted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.windows.is_empty()
    }

    /// The windows: document, number within it, tokens; by document and number once closed.
    pub fn windows(&self) -> impl ExactSizeIterator<Item = (u32, u32, &[u32])> {
        self.windows.iter().map(|stored| (stored.document, stored.window, &self.ids[stored.start..stored.end]))
    }

    /// The place of a window among all of them; closed.
    #[must_use]
    pub fn place(&self, document: u32, window: u32) -> Option<usize> {
        self.windows.binary_search_by_key(&(document, window), |stored| (stored.document, stored.window)).ok()
    }

    /// The tokens of a window, whether closed or not: windows come in order.
    #[must_use]
    pub fn ids(&self, place: usize) -> &[u32] {
        self.windows.get(place).map_or(&[], |stored| &self.ids[stored.start..stored.end])
    }
}

/// The rows of each window, and a number by which samples are drawn for each of its positions.
fn rows_of(windows: &[WindowAt]) -> Vec<(Range<usize>, Vec<u64>)> {
    let mut start = 0;
    let rows = |window: &WindowAt| {
        let rows = start..start + window.ids.len();
        start = rows.end;
        let hashes = (0..window.ids.len()).map(|at| hash((window.document, window.window, at as u16)));
        (rows, hashes.collect())
    };
    windows.iter().map(rows).collect()
}

/// What fires in a window of some latents at positions that count: latent, position, token, activation; by latent.
fn gather(
    window: &WindowAt,
    rows: Range<usize>,
    codes: &Codes,
    wanted: Range<u32>,
    fires: &mut Vec<(u32, u16, u32, f32)>,
) {
    fires.clear();
    for (position, row) in rows.enumerate().filter(|(position, _)| window.counts[*position]) {
        let (latents, values) = codes.row(row);
        let first = latents.partition_point(|latent| *latent < wanted.start);
        let pairs = latents[first..].iter().zip(&values[first..]).take_while(|(latent, _)| **latent < wanted.end);
        let above = pairs.filter(|(_, value)| **value > 0.0);
        fires.extend(above.map(|(latent, value)| (*latent, position as u16, window.ids[position], *value)));
    }
    fires.sort_unstable_by_key(|(latent, position, ..)| (*latent, *position));
}
