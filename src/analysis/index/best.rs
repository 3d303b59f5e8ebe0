//! The best places of a latent: the strongest peak of each document first, then further peaks of the same documents.
//! Not here: which position of a window is its peak.

use super::spot::{Spot, order};

/// The best places. A peak is the strongest position of a window; of two peaks in neighbouring windows of a document that
/// are less than a window apart the weaker one does not count.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Best {
    /// Each document's strongest peak, the strongest first; K at most.
    pub(super) firsts: Vec<Spot>,
    /// Further peaks of these documents, the strongest first: only while fewer documents than K have one, for then
    /// `firsts` holds all of them.
    pub(super) others: Vec<Spot>,
    /// The last peak, which the next window may rule out; and whether it is ruled out already.
    pub(super) last: Option<(Spot, bool)>,
}

impl Best {
    /// Whether a peak can be among the best, so that it is worth being made.
    pub fn is_active(&self, activation: f32, at: (u32, u32, u16), most: usize) -> bool {
        let full = self.firsts.len() >= most;
        // What is weaker than K first peaks is not among the best, and rules out only what is weaker still.
        !full || self.firsts.last().is_some_and(|least| order((activation, at), (least.activation, least.at())).is_lt())
    }

    /// Takes the next peak; those of a document come in the order of its windows.
    pub fn offer(&mut self, peak: Spot, most: usize) {
        let mut out = false;
        if let Some((last, ruled_out)) = &mut self.last
            && last.document == peak.document
            && last.window + 1 == peak.window
            && peak.position < last.position
        {
            // Windows of a document have one length, so these two are less than a window apart.
            out = last.order(&peak).is_lt();
            *ruled_out |= !out;
        }
        if let Some((last, false)) = self.last.replace((peak, out)) {
            self.count(last, most);
        }
    }

    /// Ends what could still be ruled out, except in the document that is being read.
    pub fn settle(&mut self, reading: Option<u32>, most: usize) {
        if self.last.as_ref().is_some_and(|(last, _)| Some(last.document) == reading) {
            return;
        }
        if let Some((last, false)) = self.last.take() {
            self.count(last, most);
        }
    }

    /// Adds the best of other documents.
    pub fn merge(&mut self, other: Self, most: usize) {
        other.firsts.into_iter().chain(other.others).for_each(|spot| self.count(spot, most));
        // Only one of several shards can be in the middle of a document.
        self.last = self.last.take().or(other.last);
    }

    /// The best places, the strongest first; where fewer documents than K have one, further ones of theirs.
    pub fn list(mut self, most: usize) -> Vec<Spot> {
        self.settle(None, most);
        let mut list = self.firsts;
        let room = most.saturating_sub(list.len());
        list.extend(self.others.into_iter().take(room));
        list.sort_by(Spot::order);
        list
    }

    fn count(&mut self, spot: Spot, most: usize) {
        match self.firsts.iter().position(|first| first.document == spot.document) {
            Some(place) if spot.order(&self.firsts[place]).is_lt() => {
                let weaker = self.firsts.remove(place);
                insert(&mut self.firsts, spot, most);
                insert(&mut self.others, weaker, most);
            }
            Some(_) => insert(&mut self.others, spot, most),
            None => insert(&mut self.firsts, spot, most),
        }
        if self.firsts.len() >= most {
            self.others = Vec::new();
        }
    }
}

/// Puts a spot in its place among the strongest `most`.
fn insert(list: &mut Vec<Spot>, spot: Spot, most: usize) {
    let place = list.partition_point(|other| other.order(&spot).is_lt());
    if place < most {
        if list.len() >= most {
            list.pop();
        }
        list.insert(place, spot);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spot(activation: f32, document: u32, window: u32, position: u16) -> Spot {
        Spot::new(activation, (document, window, position), &[(position, activation)])
    }

    fn best(peaks: &[Spot], most: usize) -> Vec<(f32, u32)> {
        let mut best = Best::default();
        for peak in peaks {
            if best.is_active(peak.activation, peak.at(), most) {
                best.offer(peak.clone(), most);
            }
        }
        best.list(most).into_iter().map(|spot| (spot.activation, spot.document)).collect()
    }

    #[test]
    fn each_document_has_one_while_others_have_one_and_then_further_peaks_follow() {
        let peaks =
            [spot(5.0, 0, 0, 1), spot(4.0, 0, 2, 1), spot(3.0, 1, 0, 1), spot(6.0, 1, 3, 1), spot(1.0, 2, 0, 1)];
        assert_eq!(best(&peaks, 2), [(6.0, 1), (5.0, 0)]);
        assert_eq!(best(&peaks, 3), [(6.0, 1), (5.0, 0), (1.0, 2)], "before further peaks of the others");
        assert_eq!(best(&peaks, 4), [(6.0, 1), (5.0, 0), (4.0, 0), (1.0, 2)]);
        assert_eq!(best(&peaks, 9).len(), 5);
    }

    #[test]
    fn of_two_peaks_less_than_a_window_apart_the_weaker_does_not_count() {
        assert_eq!(best(&[spot(5.0, 0, 0, 9), spot(4.0, 0, 1, 8)], 5), [(5.0, 0)]);
        assert_eq!(best(&[spot(4.0, 0, 0, 9), spot(5.0, 0, 1, 8)], 5), [(5.0, 0)]);
        assert_eq!(best(&[spot(4.0, 0, 0, 9), spot(5.0, 0, 1, 9)], 5).len(), 2, "a window apart");
        assert_eq!(best(&[spot(4.0, 0, 0, 9), spot(5.0, 1, 1, 8)], 5).len(), 2, "in two documents");
        assert_eq!(best(&[spot(5.0, 0, 0, 9), spot(5.0, 0, 1, 8)], 5), [(5.0, 0)], "the earlier of equals");
    }

    #[test]
    fn documents_in_two_parts_give_the_same_as_in_one() {
        let peaks: Vec<Spot> = (0..60_u32)
            .map(|at| spot(((at * 37) % 23) as f32 + 1.0, at / 5, at % 5, ((at * 11) % 16) as u16))
            .collect();
        for most in [1, 3, 12, 20, 100] {
            let part = |odd: u32| {
                let mut part = Best::default();
                peaks.iter().filter(|peak| peak.document % 2 == odd).for_each(|peak| part.offer(peak.clone(), most));
                part.settle(None, most);
                part
            };
            let mut both = part(0);
            both.merge(part(1), most);
            let whole: Vec<(f32, u32)> = best(&peaks, most);
            let both: Vec<(f32, u32)> =
                both.list(most).into_iter().map(|spot| (spot.activation, spot.document)).collect();
            assert_eq!(both, whole, "{most}");
        }
    }
}
