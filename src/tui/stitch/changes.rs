//! What was put into a stitched SAE and taken out of it, with undo and redo.
//! Not here: what that does to its measures.

use crate::analysis::Change;

/// A list of changes with what was undone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    now: Vec<Change>,
    /// The lists before each step, oldest first.
    before: Vec<Vec<Change>>,
    /// The lists that were undone, the next to redo last.
    undone: Vec<Vec<Change>>,
}

/// Most steps that can be undone.
const MAX_UNDO: usize = 500;

impl Changes {
    /// The changes as they stand.
    #[must_use]
    pub fn now(&self) -> &[Change] {
        &self.now
    }

    /// How many steps can be undone and redone.
    #[must_use]
    pub fn depth(&self) -> (usize, usize) {
        (self.before.len(), self.undone.len())
    }

    fn step(&mut self, next: Vec<Change>) {
        self.undone.clear();
        self.before.push(std::mem::replace(&mut self.now, next));
        if self.before.len() > MAX_UNDO {
            self.before.remove(0);
        }
    }

    /// Whether a latent of the larger SAE is in.
    #[must_use]
    pub fn has(&self, latent: u32) -> bool {
        self.place_of(latent).is_some()
    }

    /// Whether a latent of the smaller SAE is out.
    #[must_use]
    pub fn lacks(&self, latent: u32) -> bool {
        self.now.iter().any(|change| match change {
            Change::Insert(_) => false,
            Change::Remove(out) => *out == latent,
            Change::Swap { small, .. } => small.contains(&latent),
        })
    }

    /// The change that put a latent of the larger SAE in.
    fn place_of(&self, latent: u32) -> Option<usize> {
        self.now.iter().position(|change| match change {
            Change::Insert(put) => *put == latent,
            Change::Remove(_) => false,
            Change::Swap { large, .. } => large.contains(&latent),
        })
    }

    /// Puts a latent of the larger SAE in, or takes it out again; gives whether it is in now. One that came with its
    /// group goes with its group.
    pub fn toggle(&mut self, latent: u32) -> bool {
        let at = self.place_of(latent);
        let mut next = self.now.clone();
        match at {
            Some(at) => drop(next.remove(at)),
            None => next.push(Change::Insert(latent)),
        }
        self.step(next);
        at.is_none()
    }

    /// Takes a latent of the smaller SAE out, or puts it back; gives whether it is out now. One that went with its
    /// group comes back with its group.
    pub fn toggle_small(&mut self, latent: u32) -> bool {
        let at = self.now.iter().position(|change| match change {
            Change::Insert(_) => false,
            Change::Remove(out) => *out == latent,
            Change::Swap { small, .. } => small.contains(&latent),
        });
        let mut next = self.now.clone();
        match at {
            Some(at) => drop(next.remove(at)),
            None => next.push(Change::Remove(latent)),
        }
        self.step(next);
        at.is_none()
    }

    /// Swaps a group, or swaps it back; gives whether it is swapped now. Members that were put in or taken out alone
    /// become part of the swap.
    pub fn swap(&mut self, small: &[u32], large: &[u32]) -> bool {
        let whole = Change::Swap { small: small.to_vec(), large: large.to_vec() };
        let mut next = self.now.clone();
        if let Some(at) = next.iter().position(|change| *change == whole) {
            next.remove(at);
            self.step(next);
            return false;
        }
        // Another θ may have made other groups of the same latents: a latent is in one change only.
        next.retain(|change| match change {
            Change::Insert(latent) => !large.contains(latent),
            Change::Remove(latent) => !small.contains(latent),
            Change::Swap { small: s, large: l } => {
                !s.iter().any(|latent| small.contains(latent)) && !l.iter().any(|latent| large.contains(latent))
            }
        });
        next.push(whole);
        self.step(next);
        true
    }

    /// Takes one change back, by its place; gives whether there was one.
    pub fn remove(&mut self, at: usize) -> bool {
        if at >= self.now.len() {
            return false;
        }
        let mut next = self.now.clone();
        next.remove(at);
        self.step(next);
        true
    }

    /// Takes all changes back; gives whether there were any.
    pub fn clear(&mut self) -> bool {
        if self.now.is_empty() {
            return false;
        }
        self.step(Vec::new());
        true
    }

    /// Takes the last step back; gives whether there was one.
    pub fn undo(&mut self) -> bool {
        let Some(before) = self.before.pop() else { return false };
        self.undone.push(std::mem::replace(&mut self.now, before));
        true
    }

    /// Takes the step again that was taken back last; gives whether there was one.
    pub fn redo(&mut self) -> bool {
        let Some(next) = self.undone.pop() else { return false };
        self.before.push(std::mem::replace(&mut self.now, next));
        true
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_latent_goes_in_and_out_and_the_steps_come_back() {
        let mut changes = Changes::default();
        assert!(changes.toggle(3));
        assert!(changes.toggle(5));
        assert!(!changes.toggle(3));
        assert_eq!(changes.now(), [Change::Insert(5)]);
        assert!(changes.undo());
        assert_eq!(changes.now(), [Change::Insert(3), Change::Insert(5)]);
        assert!(changes.redo());
        assert_eq!(changes.now(), [Change::Insert(5)]);
        assert!(!changes.redo());
    }

    #[test]
    fn a_group_takes_its_members_with_it() {
        let mut changes = Changes::default();
        changes.toggle(3);
        changes.toggle_small(9);
        assert!(changes.swap(&[9, 10], &[3, 4]));
        assert_eq!(changes.now(), [Change::Swap { small: vec![9, 10], large: vec![3, 4] }]);
        assert!(changes.has(4) && changes.lacks(10));
        assert!(!changes.swap(&[9, 10], &[3, 4]), "swapped back");
        assert!(changes.now().is_empty());
    }

    fn large_of(changes: &[Change]) -> Vec<u32> {
        changes
            .iter()
            .flat_map(|c| match c {
                Change::Insert(latent) => vec![*latent],
                Change::Remove(_) => Vec::new(),
                Change::Swap { large, .. } => large.clone(),
            })
            .collect()
    }

    proptest! {
        #[test]
        fn no_latent_is_in_twice_and_undo_leads_back_to_the_start(steps in proptest::collection::vec((0_u8..5, 0_u32..6), 0..40)) {
            let mut changes = Changes::default();
            let mut taken = 0_usize;
            for (what, latent) in steps {
                let before = changes.depth().0;
                match what {
                    0 => drop(changes.toggle(latent)),
                    1 => drop(changes.toggle_small(latent)),
                    2 => drop(changes.swap(&[latent, latent + 1], &[latent, latent + 2])),
                    3 => drop(changes.undo()),
                    _ => drop(changes.redo()),
                }
                taken = taken.max(before);
                let mut large = large_of(changes.now());
                let all = large.len();
                large.sort_unstable();
                large.dedup();
                prop_assert_eq!(large.len(), all);
            }
            while changes.undo() {}
            prop_assert!(changes.now().is_empty());
        }
    }
}
