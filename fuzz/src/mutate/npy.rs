//! Damages the header of a NumPy array, or the values behind it.
//! Not here: the archive around it.

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

use super::{digits, number, text};

/// Element types, known and not.
const TYPES: [&str; 14] =
    ["<f4", "<f2", "<f8", "<i8", "<i4", "<u8", "|b1", "|u1", "|i1", ">f4", "<c8", "|O", "<U5", "[('a', '<f4')]"];

/// Damages an array in NumPy's format.
pub fn damage(array: &[u8], rng: &mut StdRng) -> Vec<u8> {
    let end = 10 + array.get(8..10).map_or(0, |b| usize::from(u16::from_le_bytes([b[0], b[1]])));
    let Some(header) = array.get(10..end).and_then(|header| std::str::from_utf8(header).ok()) else {
        let mut array = array.to_vec();
        super::bytes(&mut array, rng);
        return array;
    };
    let (mut header, mut values) = (header.to_owned(), array[end..].to_vec());
    let (mut version, mut lie) = (1u8, None);
    for _ in 0..rng.random_range(1..3) {
        match rng.random_range(0..10) {
            0..=3 => header = digits(&header, rng),
            4 => header = header.replace("<f4", TYPES.choose(rng).copied().unwrap_or_default()),
            5 => header = header.replace("False", ["True", "None", "false"].choose(rng).copied().unwrap_or_default()),
            6 => {
                let at = header.floor_char_boundary(rng.random_range(0..=header.len()));
                header.insert_str(at, &text(rng, &["(", ")", "{", "'", ",", ", 'x': 1", "(1,)", "-", "1, "]));
            }
            7 => version = rng.random_range(0..5),
            8 => lie = Some(number(rng) as u32),
            _ => super::bytes(&mut values, rng),
        }
    }
    let mut out = [&array[..6], &[version, 0]].concat();
    let length = lie.unwrap_or(header.len() as u32).to_le_bytes();
    out.extend(if version == 1 { &length[..2] } else { &length[..] });
    out.extend(header.as_bytes());
    out.extend(values);
    out
}
