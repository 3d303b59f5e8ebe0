//! A place where a latent fires, with what it does in the rest of its window; the order of such places, and their hash.
//! Not here: which of them are kept.

use std::cmp::Ordering;

use super::packed::{put, take};

/// A place where a latent fires.
#[derive(Clone, Debug, PartialEq)]
pub struct Spot {
    /// How strongly.
    pub activation: f32,
    /// The document's number.
    pub document: u32,
    /// The window's number within the document.
    pub window: u32,
    /// The position within the window.
    pub position: u16,
    /// Where else in the window it fires, and how strongly: for each position the gap to the last and the f32.
    heat: Box<[u8]>,
}

impl Spot {
    /// At one of the positions `fires` of a window, which rise.
    pub fn new(activation: f32, at: (u32, u32, u16), fires: &[(u16, f32)]) -> Self {
        let mut heat = Vec::with_capacity(fires.len() * 5);
        let mut last = 0;
        for (position, activation) in fires {
            put(&mut heat, u64::from(position - last));
            heat.extend(activation.to_le_bytes());
            last = *position;
        }
        let (document, window, position) = at;
        Self { activation, document, window, position, heat: heat.into() }
    }

    /// From what was written; none where it is not what a spot has.
    pub fn with_heat(activation: f32, at: (u32, u32, u16), heat: &[u8]) -> Option<Self> {
        let (document, window, position) = at;
        let spot = Self { activation, document, window, position, heat: heat.into() };
        let mut read = 0;
        let mut last = 0_u64;
        while read < heat.len() {
            last = last.checked_add(take(heat, &mut read)?)?;
            read += 4;
        }
        (read == heat.len() && u16::try_from(last).is_ok() && activation.is_finite()).then_some(spot)
    }

    /// Where in the window the latent fires and how strongly, by rising position.
    pub fn fires(&self) -> impl Iterator<Item = (u16, f32)> + '_ {
        let (mut at, mut last) = (0, 0_u16);
        std::iter::from_fn(move || {
            last = last.wrapping_add(take(&self.heat, &mut at)? as u16);
            let bytes: [u8; 4] = self.heat.get(at..at + 4)?.try_into().ok()?;
            at += 4;
            Some((last, f32::from_le_bytes(bytes)))
        })
    }

    /// The bytes that [`Spot::with_heat`] reads.
    pub fn heat(&self) -> &[u8] {
        &self.heat
    }

    /// Where it is.
    pub const fn at(&self) -> (u32, u32, u16) {
        (self.document, self.window, self.position)
    }

    /// Stronger first, ties by document, window, position.
    pub fn order(&self, other: &Self) -> Ordering {
        order((self.activation, self.at()), (other.activation, other.at()))
    }

    /// The number by which samples are drawn.
    pub fn hash(&self) -> u64 {
        hash(self.at())
    }
}

/// Stronger first, ties by document, window, position.
pub fn order(a: (f32, (u32, u32, u16)), b: (f32, (u32, u32, u16))) -> Ordering {
    b.0.total_cmp(&a.0).then(a.1.cmp(&b.1))
}

/// The number by which samples are drawn: that of the place, the same for every latent.
pub fn hash((document, window, position): (u32, u32, u16)) -> u64 {
    let first = mix(u64::from(document));
    let second = mix(first ^ u64::from(window));
    mix(second ^ u64::from(position))
}

/// The finaliser of splitmix64, by Sebastiano Vigna (public domain), of the next number.
pub const fn mix(number: u64) -> u64 {
    let z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fires_in_the_window_comes_out_again_and_broken_bytes_are_refused() {
        let fires = [(0, 1.5), (3, 0.25), (400, 2.0)];
        let spot = Spot::new(2.0, (1, 2, 400), &fires);
        assert_eq!(spot.fires().collect::<Vec<_>>(), fires);
        assert_eq!(Spot::with_heat(2.0, (1, 2, 400), spot.heat()), Some(spot.clone()));
        assert_eq!(Spot::with_heat(2.0, (1, 2, 400), &spot.heat()[..spot.heat().len() - 1]), None);
        assert_eq!(Spot::with_heat(f32::NAN, (1, 2, 400), spot.heat()), None);
    }

    #[test]
    fn the_first_number_is_the_generators() {
        // The first output of splitmix64 from state 0.
        assert_eq!(mix(0), 0xe220_a839_7b1d_cdaf);
    }
}
