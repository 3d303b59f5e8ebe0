//! A zip file taken apart and put together again, with or without lies in its directory.
//! Not here: what is in its entries.

use flate2::Crc;
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};

use super::{number, text};

/// One entry, as it is stored.
#[derive(Clone)]
pub struct Entry {
    pub name: Vec<u8>,
    pub method: u16,
    pub size: u32,
    pub crc: u32,
    pub stored: Vec<u8>,
}

impl Entry {
    /// Gives it other bytes, stored as they are.
    pub fn put(&mut self, bytes: Vec<u8>) {
        let mut crc = Crc::new();
        crc.update(&bytes);
        (self.method, self.size, self.crc, self.stored) = (0, bytes.len() as u32, crc.sum(), bytes);
    }

    /// Its bytes made plain.
    pub fn plain(&self) -> Vec<u8> {
        let mut plain = Vec::new();
        if self.method == 8 {
            let most = u64::from(self.size).min(1 << 20);
            let decoder = flate2::read::DeflateDecoder::new(self.stored.as_slice());
            // What cannot be made plain is left as far as it came.
            let _ = std::io::Read::read_to_end(&mut std::io::Read::take(decoder, most), &mut plain);
        } else {
            plain.clone_from(&self.stored);
        }
        plain
    }

    /// Gives it other bytes, compressed.
    pub fn pack(&mut self, bytes: &[u8]) {
        self.put(bytes.to_vec());
        let mut packed = Vec::new();
        let encoder = flate2::read::DeflateEncoder::new(bytes, flate2::Compression::fast());
        if std::io::Read::read_to_end(&mut { encoder }, &mut packed).is_ok() {
            (self.method, self.stored) = (8, packed);
        }
    }
}

/// The entries of an archive; of one that is damaged those that can be found.
pub fn read(bytes: &[u8]) -> Vec<Entry> {
    let short = |at: usize| bytes.get(at..at + 2).map_or(0, |b| u16::from_le_bytes([b[0], b[1]]));
    let long = |at: usize| bytes.get(at..at + 4).map_or(0, |b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]));
    let Some(end) = (0..bytes.len()).rev().find(|at| bytes[*at..].starts_with(b"PK\x05\x06")) else {
        return Vec::new();
    };
    let mut at = long(end + 16) as usize;
    let mut entries = Vec::new();
    while bytes.get(at..).is_some_and(|rest| rest.starts_with(b"PK\x01\x02")) && entries.len() < 100 {
        let (names, more, note) = (short(at + 28) as usize, short(at + 30) as usize, short(at + 32) as usize);
        let local = long(at + 42) as usize;
        let start = local + 30 + short(local + 26) as usize + short(local + 28) as usize;
        entries.push(Entry {
            name: bytes.get(at + 46..at + 46 + names).unwrap_or_default().to_vec(),
            method: short(at + 10),
            size: long(at + 24),
            crc: long(at + 16),
            stored: bytes.get(start..start + long(at + 20) as usize).unwrap_or_default().to_vec(),
        });
        at += 46 + names + more + note;
    }
    entries
}

/// What a directory says of an entry beside what is so.
#[derive(Clone, Default)]
struct Lies {
    method: Option<u16>,
    flags: u16,
    size: Option<u32>,
    stored: Option<u32>,
    crc: Option<u32>,
    place: Option<u32>,
    more: Vec<u8>,
}

impl Lies {
    fn some(rng: &mut StdRng) -> Self {
        let mut lies = Self::default();
        for _ in 0..rng.random_range(1..3) {
            match rng.random_range(0..8) {
                0 => lies.method = [0, 8, 9, 12, 14, 93, 99].choose(rng).copied(),
                1 => lies.flags = [1, 8, 0x800, 0x2000, 0xffff].choose(rng).copied().unwrap_or(0),
                2 | 3 => lies.size = Some(number(rng) as u32),
                4 => lies.stored = Some(number(rng) as u32),
                5 => lies.crc = Some(0),
                6 => lies.place = Some(number(rng) as u32),
                _ => {
                    // Sizes of 64 bits.
                    lies.more =
                        [&[1, 0, 24, 0][..], &number(rng).to_le_bytes(), &number(rng).to_le_bytes(), &[0; 8]].concat();
                    (lies.size, lies.stored) = (Some(u32::MAX), Some(u32::MAX));
                }
            }
        }
        lies
    }
}

/// An archive of these entries; now and then it is not as its directory says.
pub fn write(entries: &[Entry], rng: &mut StdRng) -> Vec<u8> {
    let mut entries = entries.to_vec();
    let liar = rng.random_bool(0.3).then(|| rng.random_range(0..entries.len().max(1)));
    if rng.random_bool(0.1) {
        entries.shuffle(rng);
    }
    if rng.random_bool(0.1) {
        let again: Vec<Entry> = entries.choose(rng).cloned().into_iter().collect();
        entries.extend(again);
    }
    if rng.random_bool(0.05) && !entries.is_empty() {
        let at = rng.random_range(0..entries.len());
        entries[at].name = text(rng, &["archive/data.pkl", "data.pkl", "W_enc.npy"]).into_bytes();
    }
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for (index, entry) in entries.iter().enumerate() {
        let lies = if liar == Some(index) { Lies::some(rng) } else { Lies::default() };
        let place = lies.place.unwrap_or(out.len() as u32);
        let mut common = Vec::new();
        common.extend([20, 0]);
        common.extend(lies.flags.to_le_bytes());
        common.extend(lies.method.unwrap_or(entry.method).to_le_bytes());
        common.extend([0; 4]);
        common.extend(lies.crc.unwrap_or(entry.crc).to_le_bytes());
        common.extend(lies.stored.unwrap_or(entry.stored.len() as u32).to_le_bytes());
        common.extend(lies.size.unwrap_or(entry.size).to_le_bytes());
        common.extend((entry.name.len() as u16).to_le_bytes());
        common.extend((lies.more.len() as u16).to_le_bytes());
        out.extend(b"PK\x03\x04");
        out.extend(&common);
        out.extend(&entry.name);
        out.extend(&lies.more);
        out.extend(&entry.stored);
        directory.extend(b"PK\x01\x02\x14\0");
        directory.extend(&common);
        directory.extend([0; 10]);
        directory.extend(place.to_le_bytes());
        directory.extend(&entry.name);
        directory.extend(&lies.more);
    }
    let (start, count) = (out.len() as u32, entries.len() as u16);
    out.extend(&directory);
    out.extend(b"PK\x05\x06\0\0\0\0");
    out.extend([count.to_le_bytes(), count.to_le_bytes()].concat());
    out.extend((directory.len() as u32).to_le_bytes());
    out.extend(start.to_le_bytes());
    out.extend([0; 2]);
    if rng.random_bool(0.05) {
        super::bytes(&mut out, rng);
    }
    out
}
