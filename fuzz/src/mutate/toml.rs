//! Damages a TOML file line by line and value by value.
//! Not here: what the keys mean.

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

use super::{digits, number, text};

/// Damages the text of a file; lines may come from another one as well.
pub fn damage(bytes: &[u8], donor: &[u8], words: &[&str], rng: &mut StdRng) -> Vec<u8> {
    let (whole, donor) = (String::from_utf8_lossy(bytes), String::from_utf8_lossy(donor));
    let mut lines: Vec<String> = whole.lines().map(ToOwned::to_owned).collect();
    let spare: Vec<&str> = donor.lines().collect();
    for _ in 0..rng.random_range(1..5) {
        let at = rng.random_range(0..=lines.len());
        let Some(line) = lines.get_mut(at) else {
            lines.push(spare.choose(rng).copied().unwrap_or("[x]").to_owned());
            continue;
        };
        match rng.random_range(0..9) {
            0 => drop(lines.remove(at)),
            1 => {
                let line = line.clone();
                lines.insert(at, line);
            }
            2 => lines.insert(at, spare.choose(rng).copied().unwrap_or_default().to_owned()),
            3 => lines.swap(at, 0),
            4 => *line = digits(line, rng),
            5 => {
                let cut = line.floor_char_boundary(rng.random_range(0..=line.len()));
                *line = format!("{}{}{}", &line[..cut], text(rng, words), &line[cut..]);
            }
            _ => {
                let key = line.split('=').next().unwrap_or("x").trim().to_owned();
                let key = if rng.random_bool(0.2) { text(rng, words) } else { key };
                *line = format!("{key} = {}", value(words, rng));
            }
        }
    }
    let mut out = lines.join("\n").into_bytes();
    if rng.random_bool(0.1) {
        super::bytes(&mut out, rng);
    }
    out
}

fn value(words: &[&str], rng: &mut StdRng) -> String {
    match rng.random_range(0..10) {
        0 => number(rng).to_string(),
        1 => format!("-{}", number(rng)),
        2 => ["nan", "inf", "-inf", "1e999", "0x7fffffffffffffff", "1979-05-27", "true", "''", "\"\\u0000\""]
            .choose(rng)
            .copied()
            .unwrap_or_default()
            .to_owned(),
        3 => {
            let depth = rng.random_range(1..400);
            format!("{}{}", "[".repeat(depth), "]".repeat(depth))
        }
        4 => {
            let depth = rng.random_range(1..400);
            format!("{}1{}", "{a = ".repeat(depth), "}".repeat(depth))
        }
        5 => format!("[{}]", [number(rng).to_string(), value(words, rng)].join(", ")),
        6 => format!("{{ l0 = {}, x = \"\" }}", value(words, rng)),
        _ => format!("{:?}", text(rng, words)),
    }
}
