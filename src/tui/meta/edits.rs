//! What is changed in one latent's decoder row: parts taken out, put in, exchanged, made stronger.
//! Not here: what that does to the model.

use std::collections::BTreeMap;

use crate::analysis::{Edit, MetaEntry};

/// Changes of one latent's parts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Edits {
    /// Parts taken out, with what stands in their place, if anything does.
    out: BTreeMap<u32, Option<u32>>,
    /// What is added to meta-latents' activations, in hundredths, for the row scaled to length 1.
    by: BTreeMap<u32, i32>,
}

/// A row of surgery.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Part {
    /// The meta-latent.
    pub meta_latent: u32,
    /// How strongly it is in the untouched row.
    pub activation: f32,
    /// Whether it is taken out.
    pub out: bool,
    /// What stands in its place.
    pub instead: Option<u32>,
    /// What is added to its activation.
    pub by: f32,
}

impl Edits {
    /// Whether nothing is changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.out.is_empty() && self.by.is_empty()
    }

    /// Takes a part out, or puts it back; one that was added goes.
    pub fn toggle(&mut self, part: &Part) {
        if part.activation == 0.0 {
            self.by.remove(&part.meta_latent);
        } else if self.out.remove(&part.meta_latent).is_none() {
            self.out.insert(part.meta_latent, None);
        }
    }

    /// Puts another meta-latent in a part's place.
    pub fn exchange(&mut self, out: u32, into: u32) {
        if out == into {
            self.out.remove(&out);
        } else {
            self.out.insert(out, Some(into));
        }
    }

    /// Adds to a meta-latent's activation, in hundredths.
    pub fn add(&mut self, meta_latent: u32, hundredths: i32) {
        let by = self.by.entry(meta_latent).or_default();
        *by = by.saturating_add(hundredths).clamp(-1000, 1000);
        if *by == 0 {
            self.by.remove(&meta_latent);
        }
    }

    /// The changes as they are asked for.
    #[must_use]
    pub fn edits(&self) -> Vec<Edit> {
        let out = self.out.iter().map(|(out, into)| match into {
            Some(into) => Edit::Exchange(*out, *into),
            None => Edit::Remove(*out),
        });
        let added = self.by.iter().map(|(meta_latent, by)| Edit::Add(*meta_latent, *by as f32 / 100.0));
        out.chain(added).collect()
    }
}

/// The latent's parts, then what was added to it.
pub(crate) fn rows(entry: &MetaEntry, edits: Option<&Edits>) -> Vec<Part> {
    let none = Edits::default();
    let edits = edits.unwrap_or(&none);
    let part = |meta_latent: u32, activation: f32| Part {
        meta_latent,
        activation,
        out: edits.out.contains_key(&meta_latent),
        instead: edits.out.get(&meta_latent).copied().flatten(),
        by: edits.by.get(&meta_latent).map_or(0.0, |by| *by as f32 / 100.0),
    };
    let mut rows: Vec<Part> = entry.components.iter().map(|c| part(c.meta_latent, c.activation)).collect();
    let added = edits.by.keys().filter(|m| entry.components.iter().all(|c| c.meta_latent != **m));
    rows.extend(added.map(|m| part(*m, 0.0)));
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(meta_latent: u32, activation: f32) -> Part {
        Part { meta_latent, activation, out: false, instead: None, by: 0.0 }
    }

    #[test]
    fn what_is_done_twice_is_undone() {
        let mut edits = Edits::default();
        edits.toggle(&part(3, 0.5));
        assert_eq!(edits.edits(), [Edit::Remove(3)]);
        edits.toggle(&part(3, 0.5));
        assert!(edits.is_empty());
        edits.add(7, 30);
        assert_eq!(edits.edits(), [Edit::Add(7, 0.3)]);
        edits.toggle(&part(7, 0.0));
        assert!(edits.is_empty());
        edits.exchange(1, 2);
        assert_eq!(edits.edits(), [Edit::Exchange(1, 2)]);
        edits.exchange(1, 1);
        edits.add(4, 5);
        edits.add(4, -5);
        assert!(edits.is_empty());
    }
}
