//! Windows of a text that say when a latent fires: the strongest to be shown, and others to be judged.
//! Not here: what is asked about them.

use std::collections::HashMap;

use crate::analysis::index::mix;

/// Tokens of a window.
pub const BLOCK: usize = 32;
/// Windows of each half in which a latent must fire, to be shown and judged.
pub const LEAST: usize = 3;
/// Windows that are shown.
const SHOWN: usize = 20;
/// Windows of each kind that are judged, and groups of equal count of those that fire, by their maximum.
const JUDGED: usize = 50;
const GROUPS: usize = 10;

/// A text that was read: its tokens in windows, and where each latent fires.
#[derive(Debug, Default)]
pub struct Reading {
    /// The tokens of all windows.
    pub ids: Vec<u32>,
    /// Where each window begins in `ids`, and whether it is held out; it ends where the next one begins.
    pub windows: Vec<(u32, bool)>,
    /// For each latent that was asked about: positions in `ids`, rising, and activations.
    pub fires: HashMap<u32, Vec<(u32, f32)>>,
}

/// A window with a latent's activations.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snippet {
    /// Its tokens.
    pub ids: Vec<u32>,
    /// The latent's activation on each; 0 where it does not fire.
    pub activations: Vec<f32>,
    /// Its number in the text.
    pub number: usize,
}

/// What says when a latent fires.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Evidence {
    /// The windows of the half that is not held out in which it fires most strongly, the strongest first.
    pub shown: Vec<Snippet>,
    /// Held-out windows in which it fires: as many of each tenth, the strongest tenth first.
    pub fires: Vec<Snippet>,
    /// As many held-out windows in which it does not.
    pub silent: Vec<Snippet>,
}

impl Snippet {
    /// Its largest activation.
    #[must_use]
    pub fn max(&self) -> f32 {
        self.activations.iter().copied().fold(0.0, f32::max)
    }

    /// Tokens on which the latent fires.
    #[must_use]
    pub fn count(&self) -> usize {
        self.activations.iter().filter(|value| **value > 0.0).count()
    }
}

impl Reading {
    /// The windows of a latent; none where it fires in too few of one half.
    #[must_use]
    pub fn evidence(&self, latent: u32) -> Option<Evidence> {
        let fires = self.fires.get(&latent)?;
        let mut active: HashMap<usize, f32> = HashMap::new();
        for (position, value) in fires {
            let max = active.entry(self.window_of(*position)).or_default();
            *max = max.max(*value);
        }
        let mut by_max: Vec<(usize, f32)> = active.iter().map(|(window, max)| (*window, *max)).collect();
        by_max.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        let (held_out, choosing): (Vec<usize>, Vec<usize>) =
            by_max.into_iter().map(|(window, _)| window).partition(|window| self.windows[*window].1);
        let absent = |window: &usize| self.windows[*window].1 && !active.contains_key(window);
        let mut silent: Vec<usize> = (0..self.windows.len()).filter(absent).collect();
        if choosing.len() < LEAST || held_out.len() < LEAST || silent.len() < LEAST {
            return None;
        }
        let drawn = |window: &usize| mix(mix(u64::from(latent)) ^ *window as u64);
        let judged = grouped(&held_out, drawn);
        silent.sort_by_key(drawn);
        silent.truncate(judged.len());
        let snippets = |windows: &[usize]| windows.iter().map(|window| self.snippet(*window, fires)).collect();
        Some(Evidence {
            shown: snippets(&choosing[..choosing.len().min(SHOWN)]),
            fires: snippets(&judged),
            silent: snippets(&silent),
        })
    }

    fn window_of(&self, position: u32) -> usize {
        self.windows.partition_point(|(start, _)| *start <= position) - 1
    }

    fn snippet(&self, window: usize, fires: &[(u32, f32)]) -> Snippet {
        let start = self.windows[window].0;
        let end = self.windows.get(window + 1).map_or(self.ids.len() as u32, |(start, _)| *start);
        let mut activations = vec![0.0; (end - start) as usize];
        let from = fires.partition_point(|(position, _)| *position < start);
        for (position, value) in fires[from..].iter().take_while(|(position, _)| *position < end) {
            activations[(*position - start) as usize] = *value;
        }
        Snippet { ids: self.ids[start as usize..end as usize].to_vec(), activations, number: window }
    }
}

/// Some of these windows, which stand by falling maximum: all where they are few, else as many of each group, in an order
/// of their own.
fn grouped(windows: &[usize], drawn: impl Fn(&usize) -> u64) -> Vec<usize> {
    if windows.len() <= JUDGED {
        return windows.to_vec();
    }
    let size = windows.len() / GROUPS;
    let of_group = |group: usize| {
        let mut group = windows[group * size..(group + 1) * size].to_vec();
        group.sort_by_key(&drawn);
        group.truncate(JUDGED / GROUPS);
        group
    };
    (0..GROUPS).flat_map(of_group).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Windows of four tokens; latent 0 fires in every third one, on its second token, the more the later.
    fn reading(windows: u32) -> Reading {
        let fires = (0..windows).filter(|window| window % 3 == 0).map(|window| (window * 4 + 1, window as f32 + 1.0));
        Reading {
            ids: (0..windows * 4).collect(),
            windows: (0..windows).map(|window| (window * 4, window % 2 == 1)).collect(),
            fires: [(0, fires.collect())].into_iter().collect(),
        }
    }

    #[test]
    fn what_is_shown_is_strongest_and_what_is_judged_was_not_shown() {
        let evidence = reading(600).evidence(0).expect("it fires often");
        let numbers = |of: &[Snippet]| of.iter().map(|snippet| snippet.number).collect::<Vec<_>>();
        let shown = numbers(&evidence.shown);
        assert!(shown.len() == SHOWN && shown[0] == 594 && shown.is_sorted_by(|a, b| a > b), "{shown:?}");
        assert!(shown.iter().all(|window| window % 2 == 0));
        let fires = numbers(&evidence.fires);
        assert!(fires.len() == JUDGED && fires.iter().all(|window| window % 6 == 3), "{fires:?}");
        for (group, of) in fires.chunks(JUDGED / GROUPS).enumerate() {
            // A hundred windows fire in that half, ten in each group, the last windows first.
            assert!(of.iter().all(|window| (599 - window) / 60 == group), "{group}: {of:?}");
        }
        let silent = numbers(&evidence.silent);
        assert!(silent.len() == JUDGED && silent.iter().all(|window| window % 2 == 1 && window % 3 != 0), "{silent:?}");
        let first = &evidence.shown[0];
        assert_eq!(
            (&first.ids[..], &first.activations[..]),
            (&[2376, 2377, 2378, 2379][..], &[0.0, 595.0, 0.0, 0.0][..])
        );
        assert!(evidence.silent.iter().all(|snippet| snippet.count() == 0));
    }

    #[test]
    fn few_windows_are_all_taken_and_too_few_are_none() {
        let evidence = reading(60).evidence(0).expect("it fires ten times in each half");
        assert_eq!((evidence.shown.len(), evidence.fires.len(), evidence.silent.len()), (10, 10, 10));
        assert_eq!(reading(12).evidence(0), None);
        assert_eq!(reading(60).evidence(1), None);
    }
}
