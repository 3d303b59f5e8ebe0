//! Damages a pickle by its opcodes: takes some out, repeats some, puts others in, changes their arguments.
//! Not here: the archive around it.

use std::ops::Range;

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

use super::{number, text};

/// Opcodes that may stand anywhere, with arguments: containers, marks, memo, calls, classes that no reader may have.
const PARTS: [&[u8]; 46] = [
    b"(",
    b"0",
    b"1",
    b"2",
    b".",
    b"}",
    b"]",
    b")",
    b"N",
    b"t",
    b"e",
    b"a",
    b"u",
    b"s",
    b"b",
    b"R",
    b"Q",
    b"l",
    b"d",
    b"\x81",
    b"\x85",
    b"\x86",
    b"\x87",
    b"\x88",
    b"\x89",
    b"\x8f",
    b"\x90",
    b"\x91",
    b"\x92",
    b"\x93",
    b"\x94",
    b"K\xff",
    b"M\xff\xff",
    b"J\xff\xff\xff\x7f",
    b"J\0\0\0\x80",
    b"\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f",
    b"\x8a\xff",
    b"G\x7f\xf0\0\0\0\0\0\0",
    b"h\0",
    b"q\xff",
    b"j\xff\xff\xff\xff",
    b"X\xff\xff\xff\xff",
    b"cos\nsystem\n",
    b"ctorch._utils\n_rebuild_tensor_v2\n",
    b"ccollections\nOrderedDict\n",
    b"cbuiltins\neval\n",
];

/// Damages a pickle.
pub fn damage(pickle: &[u8], rng: &mut StdRng) -> Vec<u8> {
    let mut out = pickle.to_vec();
    for _ in 0..rng.random_range(1..5) {
        let places = opcodes(&out);
        let Some(place) = places.choose(rng).cloned() else { break };
        match rng.random_range(0..8) {
            0 => drop(out.drain(place)),
            1 => {
                let end = places.choose(rng).map_or(place.end, |other| other.end.max(place.end));
                let part = out[place.start..end.min(place.start + 200)].to_vec();
                let times = [1, 2, 30, 2000].choose(rng).copied().unwrap_or(1);
                out.splice(place.start..place.start, part.repeat(times).into_iter().take(40_000));
            }
            2 | 3 => {
                let part = PARTS.choose(rng).copied().unwrap_or_default();
                let times = if rng.random_bool(0.1) { rng.random_range(1..5000) } else { 1 };
                out.splice(place.start..place.start, part.repeat(times));
            }
            4 => {
                let word = text(rng, &["storage", "FloatStorage", "0", "cpu", "torch"]);
                let part = [&b"X"[..], &(word.len() as u32).to_le_bytes(), word.as_bytes()].concat();
                out.splice(place, part);
            }
            5 => {
                let value = number(rng) as u32;
                out.splice(place, [&b"J"[..], &value.to_le_bytes()].concat());
            }
            6 => {
                let argument = place.start + 1..place.end;
                let value = number(rng).to_le_bytes();
                for (byte, new) in out[argument].iter_mut().zip(value) {
                    *byte = new;
                }
            }
            _ => super::bytes(&mut out, rng),
        }
    }
    out
}

/// Where the opcodes are, with their arguments, as far as they can be followed.
fn opcodes(pickle: &[u8]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(code) = pickle.get(at) {
        let byte = |place: usize| usize::from(pickle.get(at + place).copied().unwrap_or(0));
        let four = || byte(1) | byte(2) << 8 | byte(3) << 16 | byte(4) << 24;
        let lines = |count: usize| {
            let ends = pickle[at + 1..].iter().enumerate().filter(|(_, byte)| **byte == b'\n');
            ends.map(|(end, _)| end + 1).nth(count - 1).unwrap_or(pickle.len() - at - 1)
        };
        let argument = match code {
            0x80 | b'K' | b'h' | b'q' => 1,
            b'M' => 2,
            b'J' | b'j' | b'r' => 4,
            b'G' | 0x95 => 8,
            b'U' | b'C' | 0x8a | 0x8c => 1 + byte(1),
            b'X' | b'T' | b'B' | 0x8b => 4usize.saturating_add(four()),
            0x8d | 0x8e => 8usize.saturating_add(four()),
            b'c' | b'i' => lines(2),
            b'F' | b'I' | b'L' | b'S' | b'V' | b'P' | b'g' | b'p' => lines(1),
            _ => 0,
        };
        let end = at.saturating_add(1).saturating_add(argument).min(pickle.len());
        found.push(at..end);
        at = end;
    }
    found
}
