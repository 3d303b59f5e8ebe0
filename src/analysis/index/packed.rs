//! Counts and sums by number, packed: a latent fires on few tokens and in few edge bins, most of them rarely, and there
//! are as many lists as latents. Not here: what the numbers stand for.

/// An entry: number, count, sum.
pub type Entry = (u32, u64, u64);

/// Counts and sums by rising number; each entry as three variable-length integers, its number as the gap to the last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Packed {
    bytes: Vec<u8>,
    entries: u32,
}

impl Packed {
    /// How many numbers there are.
    pub const fn len(&self) -> usize {
        self.entries as usize
    }

    /// The entries, by rising number.
    pub fn iter(&self) -> impl Iterator<Item = Entry> + '_ {
        let (mut at, mut last) = (0, 0);
        std::iter::from_fn(move || {
            let gap = take(&self.bytes, &mut at)?;
            let (count, sum) = (take(&self.bytes, &mut at)?, take(&self.bytes, &mut at)?);
            last += gap as u32;
            Some((last, count, sum))
        })
    }

    /// Adds entries by rising number; of equal numbers counts and sums are added.
    pub fn add(&mut self, more: impl IntoIterator<Item = Entry>) {
        let mut merged = Self { bytes: Vec::with_capacity(self.bytes.len() + 16), entries: 0 };
        let (mut last, mut open) = (0, None::<Entry>);
        let (mut old, mut new) = (self.iter().peekable(), more.into_iter().peekable());
        loop {
            let next = match (old.peek(), new.peek()) {
                (Some(a), Some(b)) if a.0 <= b.0 => old.next(),
                (Some(_), None) => old.next(),
                _ => new.next(),
            };
            match (next, &mut open) {
                (Some((number, count, sum)), Some(entry)) if entry.0 == number => {
                    (entry.1, entry.2) = (entry.1.saturating_add(count), entry.2.saturating_add(sum));
                }
                (next, open) => {
                    if let Some(entry) = std::mem::replace(open, next) {
                        merged.push(&mut last, entry);
                    } else if next.is_none() {
                        break;
                    }
                    if open.is_none() {
                        break;
                    }
                }
            }
        }
        drop((old, new));
        merged.bytes.shrink_to_fit();
        *self = merged;
    }

    fn push(&mut self, last: &mut u32, (number, count, sum): Entry) {
        put(&mut self.bytes, u64::from(number - *last));
        put(&mut self.bytes, count);
        put(&mut self.bytes, sum);
        *last = number;
        self.entries += 1;
    }

    /// The bytes, and how they are read again.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// From bytes that came from elsewhere; none where they are not list of entries.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (mut at, mut number, mut entries) = (0, 0_u64, 0_u32);
        while at < bytes.len() {
            let gap = take(bytes, &mut at)?;
            if gap == 0 && entries > 0 {
                return None;
            }
            number = number.checked_add(gap).filter(|number| u32::try_from(*number).is_ok())?;
            take(bytes, &mut at)?;
            take(bytes, &mut at)?;
            entries = entries.checked_add(1)?;
        }
        Some(Self { bytes: bytes.to_vec(), entries })
    }
}

/// Appends a variable-length integer: seven bits a byte, the lowest first.
pub fn put(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

/// Takes a variable-length integer.
pub fn take(bytes: &[u8], at: &mut usize) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let byte = *bytes.get(*at)?;
        *at += 1;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn what_is_added_in_any_order_is_the_same_bytes_and_comes_out_again() {
        let parts: [&[Entry]; 3] =
            [&[(0, 1, 5), (7, 300, 1 << 40)], &[(7, 1, 1), (u32::MAX, 2, 0)], &[(3, 1, 1), (3, 1, 1)]];
        let (mut one, mut other, mut wanted) = (Packed::default(), Packed::default(), BTreeMap::new());
        for part in &parts {
            one.add(part.iter().copied());
        }
        parts.iter().rev().for_each(|part| other.add(part.iter().copied()));
        for (number, count, sum) in parts.concat() {
            let entry = wanted.entry(number).or_insert((0, 0));
            *entry = (entry.0 + count, entry.1 + sum);
        }
        let wanted: Vec<Entry> = wanted.into_iter().map(|(number, (count, sum))| (number, count, sum)).collect();
        assert_eq!(one.iter().collect::<Vec<_>>(), wanted);
        assert_eq!((one.bytes(), one.len()), (other.bytes(), 4));
        assert_eq!(Packed::from_bytes(one.bytes()), Some(one.clone()));
        let cut = &one.bytes()[..one.bytes().len() - 1];
        assert_eq!(Packed::from_bytes(cut), None);
        assert_eq!(Packed::from_bytes(&[0xff; 30]), None);
        one.add([]);
        assert_eq!(one.len(), 4);
        assert_eq!(Packed::default().iter().count(), 0);
    }
}
