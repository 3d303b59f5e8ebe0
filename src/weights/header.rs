//! Which tensor makes the header of a safetensors file one that cannot be used: the reader's own words do not name it.
//! Not here: reading headers that can.

use serde_json::{Map, Value};

/// Types by the bits of an element (safetensors 0.8, `Dtype`).
const BITS: [(&str, u64); 22] = [
    ("BOOL", 8),
    ("F4", 4),
    ("F6_E2M3", 6),
    ("F6_E3M2", 6),
    ("U8", 8),
    ("I8", 8),
    ("F8_E5M2", 8),
    ("F8_E4M3", 8),
    ("F8_E8M0", 8),
    ("F8_E4M3FNUZ", 8),
    ("F8_E5M2FNUZ", 8),
    ("I16", 16),
    ("U16", 16),
    ("F16", 16),
    ("BF16", 16),
    ("I32", 32),
    ("U32", 32),
    ("F32", 32),
    ("C64", 64),
    ("F64", 64),
    ("I64", 64),
    ("U64", 64),
];

/// The first tensor, in the order of the file, that is wrong, and how; none where it is something else.
pub fn blame(bytes: &[u8]) -> Option<String> {
    let length = usize::try_from(u64::from_le_bytes(*bytes.first_chunk()?)).ok()?;
    let rest = bytes.get(8..)?;
    let header = rest.get(..length)?;
    let data = (rest.len() - length) as u64;
    let tensors: Map<String, Value> = serde_json::from_slice(header).ok()?;
    let mut tensors: Vec<(&String, &Value)> = tensors.iter().filter(|(name, _)| *name != "__metadata__").collect();
    tensors.sort_by_key(|(_, about)| about["data_offsets"][0].as_u64());
    let mut end = 0;
    for (name, about) in tensors {
        match wrong(about, end, data) {
            Ok(after) => end = after,
            Err(why) => return Some(format!("tensor `{name}` {why}")),
        }
    }
    None
}

/// Where a tensor that begins at `start` ends, or what is wrong with it.
fn wrong(about: &Value, start: u64, data: u64) -> Result<u64, String> {
    let dtype = about["dtype"].as_str().ok_or("has no `dtype`")?;
    let known = BITS.iter().find(|(name, _)| *name == dtype);
    let (_, bits) = known.ok_or_else(|| format!("has element type `{dtype}`, which is not known"))?;
    let shape: Vec<u64> = about["shape"]
        .as_array()
        .and_then(|shape| shape.iter().map(Value::as_u64).collect())
        .ok_or("has a `shape` that is not a list of sizes")?;
    let offsets = about["data_offsets"].as_array().map_or(&[][..], Vec::as_slice);
    let [Some(from), Some(to)] = [offsets.first(), offsets.get(1)].map(|offset| offset?.as_u64()) else {
        return Err("has no pair of `data_offsets`".to_owned());
    };
    let needed = shape.iter().try_fold(*bits, |bits, size| bits.checked_mul(*size));
    let needed = needed.ok_or_else(|| format!("has shape {shape:?} of {dtype}: more bytes than can be counted"))? / 8;
    if from != start {
        return Err(format!("begins at byte {from} of the data, expected {start}"));
    }
    if to.checked_sub(from) != Some(needed) {
        return Err(format!("has shape {shape:?} of {dtype}, which takes {needed} bytes, and offsets {from} to {to}"));
    }
    if to > data {
        return Err(format!("ends at byte {to} of the data, which has {data}: the file is cut off"));
    }
    Ok(to)
}
