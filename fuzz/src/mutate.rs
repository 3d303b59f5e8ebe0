//! How bytes are damaged without knowing what they are, and the numbers and texts at which readers stumble.
//! Not here: files whose structure is kept (`json`, `toml`, `archive`, `pickle`, `npy`).

pub mod archive;
pub mod json;
pub mod npy;
pub mod pickle;
pub mod toml;

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

/// Numbers at which counting goes wrong.
pub const NUMBERS: [u64; 19] = [
    0,
    1,
    2,
    3,
    7,
    8,
    9,
    127,
    255,
    256,
    65_535,
    65_536,
    (1 << 24) + 1,
    (1 << 31) - 1,
    1 << 31,
    u32::MAX as u64,
    1 << 53,
    i64::MAX as u64,
    u64::MAX,
];

/// Texts at which reading goes wrong.
pub const TEXTS: [&str; 16] = [
    "",
    " ",
    "0",
    "-1",
    "1e999",
    "nan",
    "None",
    "True",
    "../../x",
    "/",
    "\0",
    "\u{202e}abc",
    "\u{1b}[2J",
    "é",
    "🙂",
    "<|endoftext|>",
];

/// One of them, or one near.
pub fn number(rng: &mut StdRng) -> u64 {
    let number = NUMBERS.choose(rng).copied().unwrap_or(0);
    if rng.random_bool(0.2) { number.wrapping_add(rng.random_range(0..5)).wrapping_sub(2) } else { number }
}

/// A text: a strange one, a long one, one that is given.
pub fn text(rng: &mut StdRng, given: &[&str]) -> String {
    match rng.random_range(0..10) {
        0 => "a".repeat(rng.random_range(1..3000)),
        1 => (0..rng.random_range(1..9)).map(|_| rng.random::<char>()).collect(),
        2..=4 => TEXTS.choose(rng).copied().unwrap_or_default().to_owned(),
        _ => given.choose(rng).copied().unwrap_or_default().to_owned(),
    }
}

/// Changes, takes out, puts in or repeats some bytes.
pub fn bytes(bytes: &mut Vec<u8>, rng: &mut StdRng) {
    for _ in 0..rng.random_range(1..4) {
        let at = rng.random_range(0..=bytes.len());
        let length = (1usize << rng.random_range(0..9)).min(bytes.len() - at);
        match rng.random_range(0..8) {
            0 => bytes.truncate(at),
            1 => drop(bytes.drain(at..at + length)),
            2 => {
                let part = bytes[at..at + length].to_vec();
                let times = rng.random_range(1..5);
                bytes.splice(at..at, part.repeat(times));
            }
            3 => drop(bytes.splice(at..at, number(rng).to_le_bytes())),
            4 => {
                let value = number(rng).to_le_bytes();
                let size = [1, 2, 4, 8].choose(rng).copied().unwrap_or(1).min(bytes.len() - at);
                bytes[at..at + size].copy_from_slice(&value[..size]);
            }
            5 => {
                let from = rng.random_range(0..=bytes.len() - length);
                bytes.copy_within(from..from + length, at);
            }
            _ => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << rng.random_range(0..8);
                }
            }
        }
    }
}

/// Changes one of the decimal numbers that stand in a text.
pub fn digits(text: &str, rng: &mut StdRng) -> String {
    let mut places = Vec::new();
    let mut start = None;
    for (at, c) in text.char_indices().chain([(text.len(), ' ')]) {
        match (start, c.is_ascii_digit()) {
            (None, true) => start = Some(at),
            (Some(from), false) => {
                places.push(from..at);
                start = None;
            }
            _ => {}
        }
    }
    let Some(place) = places.choose(rng).cloned() else { return text.to_owned() };
    let value = match rng.random_range(0..6) {
        0 => format!("-{}", number(rng)),
        1 => format!("{}0", &text[place.clone()]),
        2 => text[place.clone()].parse::<u64>().map_or_else(|_| "x".to_owned(), |old| old.wrapping_add(1).to_string()),
        _ => number(rng).to_string(),
    };
    format!("{}{value}{}", &text[..place.start], &text[place.end..])
}
