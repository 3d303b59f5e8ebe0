//! Damages JSON value by value, so that most of what comes out is still JSON.
//! Not here: what the keys mean.

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use serde_json::{Map, Value, json};

use super::{number, text};

/// Damages the JSON of a file, whose values may come from another one as well; bytes that are not JSON stay as they are.
pub fn damage(bytes: &[u8], donor: &[u8], words: &[&str], rng: &mut StdRng) -> Vec<u8> {
    let Ok(mut value) = serde_json::from_slice::<Value>(bytes) else { return bytes.to_vec() };
    let donor: Value = serde_json::from_slice(donor).unwrap_or_default();
    for _ in 0..rng.random_range(1..4) {
        let spare = somewhere(if rng.random_bool(0.5) { &value } else { &donor }, rng).clone();
        change(somewhere_mut(&mut value, rng), &spare, words, rng);
    }
    let mut out = if rng.random_bool(0.2) { serde_json::to_vec_pretty(&value) } else { serde_json::to_vec(&value) }
        .unwrap_or_default();
    if rng.random_bool(0.1) {
        super::bytes(&mut out, rng);
    }
    out
}

/// A value somewhere in it; large lists are as likely as small ones.
fn somewhere<'v>(value: &'v Value, rng: &mut StdRng) -> &'v Value {
    let mut at = value;
    while rng.random_bool(0.85) {
        let next = match at {
            Value::Array(parts) => parts.choose(rng),
            Value::Object(parts) => parts.values().nth(rng.random_range(0..parts.len().max(1))),
            _ => None,
        };
        let Some(next) = next else { break };
        at = next;
    }
    at
}

fn somewhere_mut<'v>(value: &'v mut Value, rng: &mut StdRng) -> &'v mut Value {
    let has_parts = match value {
        Value::Array(parts) => !parts.is_empty(),
        Value::Object(parts) => !parts.is_empty(),
        _ => false,
    };
    if !has_parts || rng.random_bool(0.15) {
        return value;
    }
    match value {
        Value::Array(parts) => {
            let at = rng.random_range(0..parts.len());
            somewhere_mut(&mut parts[at], rng)
        }
        Value::Object(parts) => {
            let at = rng.random_range(0..parts.len());
            somewhere_mut(parts.values_mut().nth(at).expect("it was counted"), rng)
        }
        other => other,
    }
}

fn change(value: &mut Value, spare: &Value, words: &[&str], rng: &mut StdRng) {
    if rng.random_bool(0.25) {
        *value = if rng.random_bool(0.5) { spare.clone() } else { anything(words, rng) };
        return;
    }
    match value {
        Value::Array(parts) => list(parts, spare, rng),
        Value::Object(parts) => object(parts, spare, words, rng),
        Value::String(old) => *value = string(old, words, rng).into(),
        Value::Number(old) => {
            let old = old.as_i64().unwrap_or(0);
            *value = match rng.random_range(0..6) {
                0 => old.wrapping_add(1).into(),
                1 => old.wrapping_sub(1).into(),
                2 => old.wrapping_mul(2).into(),
                3 => old.wrapping_neg().into(),
                _ => anything(words, rng),
            };
        }
        _ => *value = anything(words, rng),
    }
}

fn anything(words: &[&str], rng: &mut StdRng) -> Value {
    match rng.random_range(0..12) {
        0 => Value::Null,
        1 => rng.random::<bool>().into(),
        2 => json!([]),
        3 => json!({}),
        4 => json!(1e308),
        5 => json!(-0.5),
        6 => (number(rng) as i64).wrapping_neg().into(),
        // As deep as a reader's stack may be tried; `serde_json` stops at 128.
        7 => (0..rng.random_range(1..200)).fold(Value::Null, |inner, _| json!([inner])),
        8 | 9 => text(rng, words).into(),
        _ => number(rng).into(),
    }
}

fn string(old: &str, words: &[&str], rng: &mut StdRng) -> String {
    let at = old.floor_char_boundary(rng.random_range(0..=old.len()));
    match rng.random_range(0..5) {
        0 => format!("{}{}{}", &old[..at], text(rng, words), &old[at..]),
        1 => old[..at].to_owned(),
        2 => old.repeat(rng.random_range(2..20)),
        _ => text(rng, words),
    }
}

fn list(parts: &mut Vec<Value>, spare: &Value, rng: &mut StdRng) {
    let at = rng.random_range(0..=parts.len());
    match rng.random_range(0..6) {
        0 => parts.truncate(at),
        1 if at < parts.len() => drop(parts.remove(at)),
        2 if at < parts.len() => {
            let one = parts[at].clone();
            parts.extend(std::iter::repeat_n(one, rng.random_range(1..300)));
        }
        3 => parts.shuffle(rng),
        4 if at < parts.len() => parts.swap(at, 0),
        _ => parts.insert(at, spare.clone()),
    }
}

fn object(parts: &mut Map<String, Value>, spare: &Value, words: &[&str], rng: &mut StdRng) {
    let keys: Vec<String> = parts.keys().cloned().collect();
    let key = keys.choose(rng).cloned().unwrap_or_default();
    let other = keys.choose(rng).cloned().unwrap_or_default();
    match rng.random_range(0..6) {
        0 | 1 => drop(parts.remove(&key)),
        2 => {
            let value = parts.remove(&key).unwrap_or_default();
            parts.insert(string(&key, words, rng), value);
        }
        3 => {
            let value = parts.get(&key).cloned().unwrap_or_default();
            parts.insert(other, value);
        }
        4 => drop(parts.insert(text(rng, words), spare.clone())),
        _ => drop(parts.insert(key, spare.clone())),
    }
}
