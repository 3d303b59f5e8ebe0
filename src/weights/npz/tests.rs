//! `.npz` files: what NumPy writes, what it would not, and foreign bytes.
//! Not here: what an SAE makes of them.

use std::io::Write;

use flate2::write::DeflateEncoder;
use flate2::{Compression, Crc};
use proptest::prelude::*;

use super::*;
use crate::blob::Instead;

/// An array as NumPy writes it, its header padded as NumPy pads it.
pub fn array(descr: &str, fortran: bool, shape: &str, data: &[u8]) -> Vec<u8> {
    let order = if fortran { "True" } else { "False" };
    let mut header = format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}");
    while (10 + header.len()) % 64 != 63 {
        header.push(' ');
    }
    header.push('\n');
    [&b"\x93NUMPY\x01\x00"[..], &(header.len() as u16).to_le_bytes(), header.as_bytes(), data].concat()
}

/// An entry of an archive, with what it says of itself.
struct Zipped {
    name: &'static str,
    method: u16,
    stored: Vec<u8>,
    size: usize,
    crc: u32,
}

impl Zipped {
    /// Deflated as `numpy.savez_compressed` does it.
    fn packed(name: &'static str, plain: &[u8]) -> Self {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(plain).unwrap();
        let mut crc = Crc::new();
        crc.update(plain);
        Self { name, method: 8, stored: encoder.finish().unwrap(), size: plain.len(), crc: crc.sum() }
    }
}

/// A zip archive whose entries are stored.
fn archive(entries: &[(&str, Vec<u8>)]) -> Vec<u8> {
    zipped(entries.iter().map(|(name, bytes)| (*name, 0, bytes.as_slice(), bytes.len(), 0)))
}

fn archive_of(entries: &[Zipped]) -> Vec<u8> {
    zipped(entries.iter().map(|entry| (entry.name, entry.method, entry.stored.as_slice(), entry.size, entry.crc)))
}

fn zipped<'a>(entries: impl ExactSizeIterator<Item = (&'a str, u16, &'a [u8], usize, u32)>) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    let count = (entries.len() as u16).to_le_bytes();
    for (name, method, bytes, size, crc) in entries {
        let (place, stored) = (out.len() as u32, (bytes.len() as u32).to_le_bytes());
        let (size, length) = ((size as u32).to_le_bytes(), (name.len() as u16).to_le_bytes());
        let common = [&crc.to_le_bytes()[..], &stored, &size, &length, &[0; 2]].concat();
        let method = method.to_le_bytes();
        out.extend([&b"PK\x03\x04"[..], &[0; 4], &method, &[0; 4], &common, name.as_bytes(), bytes].concat());
        let place = place.to_le_bytes();
        directory.extend(
            [&b"PK\x01\x02"[..], &[0; 6], &method, &[0; 4], &common, &[0; 10], &place, name.as_bytes()].concat(),
        );
    }
    let (start, length) = ((out.len() as u32).to_le_bytes(), (directory.len() as u32).to_le_bytes());
    out.extend(directory);
    out.extend([&b"PK\x05\x06"[..], &[0; 4], &count, &count, &length, &start, &[0; 2]].concat());
    out
}

fn open(bytes: &[u8]) -> Result<TensorFiles, Error> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("params.npz");
    std::fs::write(&path, bytes).unwrap();
    TensorFiles::open_npz(&Blob::path(path).named("params.npz"))
}

fn floats(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn refusal(descr: &str, fortran: bool, shape: &str, bytes: usize) -> String {
    let file = archive(&[("w.npy", array(descr, fortran, shape, &vec![0; bytes]))]);
    open(&file).err().unwrap().to_string()
}

#[test]
fn both_orders_and_every_float_are_read() {
    let values = [1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0];
    let transposed = [1.0f32, 4.0, 2.0, 5.0, 3.0, 6.0];
    let halves = values.iter().flat_map(|value| half::f16::from_f32(*value).to_le_bytes()).collect::<Vec<u8>>();
    let doubles = values.iter().flat_map(|value| f64::from(*value).to_le_bytes()).collect::<Vec<u8>>();
    // Names of any length move the data to any place.
    for name in ["a", "ab", "abc", "abcd"] {
        let entries = [
            (format!("{name}.npy"), array("<f4", false, "(2, 3)", &floats(&values))),
            ("turned.npy".to_owned(), array("<f4", true, "(2, 3)", &floats(&transposed))),
            ("half.npy".to_owned(), array("<f2", false, "(2, 3)", &halves)),
            ("double.npy".to_owned(), array("<f8", false, "(2, 3)", &doubles)),
            ("vector.npy".to_owned(), array("<f4", true, "(6,)", &floats(&values))),
            ("scalar.npy".to_owned(), array("<f4", false, "()", &floats(&[7.0]))),
        ];
        let entries: Vec<_> = entries.iter().map(|(name, bytes)| (name.as_str(), bytes.clone())).collect();
        let files = open(&archive(&entries)).unwrap();
        for tensor in [name, "turned", "half", "double"] {
            assert_eq!(files.matrix(tensor, 2, 3).unwrap().to_array()[..], values, "{tensor}");
            assert_eq!(files.get(tensor).unwrap()[..], values, "{tensor}");
            assert_eq!(files.shape(tensor).unwrap(), [2, 3]);
        }
        assert_eq!(files.get("vector").unwrap()[..], values);
        assert_eq!((files.get("scalar").unwrap()[0], files.shape("scalar").unwrap().len()), (7.0, 0));
    }
}

#[test]
fn what_cannot_be_read_is_named() {
    let other = Zipped { method: 12, ..Zipped::packed("W_enc.npy", b"") };
    let error = open(&archive_of(&[other])).err().unwrap().to_string();
    assert_eq!(
        error,
        "`params.npz` cannot be read as an .npz file: `W_enc.npy` is compressed in another way than deflate"
    );
    for (descr, bytes) in [(">f4", 8), ("<c8", 16), ("|O", 16), ("|V2", 4), ("<U3", 24)] {
        let error = refusal(descr, false, "(2,)", bytes);
        assert!(error.contains("`w`") && error.contains(descr) && error.contains("<f4"), "{error}");
    }
    let lies = [("(3,)", 8), ("(1,)", 8), ("(4294967296, 4294967296, 4294967296)", 8), ("(99999999999999999999,)", 8)];
    for (shape, bytes) in lies {
        let error = refusal("<f4", false, shape, bytes);
        assert!(error.contains("`w`"), "{error}");
    }
    assert!(refusal("<f4", true, "(1, 2, 1)", 8).contains("Fortran order with 3 dimensions"));
    assert!(open(b"x").err().unwrap().to_string().contains("not a zip file"));
    assert_eq!(Instead::behind(&open(b"").err().unwrap()), Some(Instead::Empty));
    let text = archive(&[("w.npy", b"hello".to_vec())]);
    assert!(open(&text).err().unwrap().to_string().contains("`w` is not a NumPy array"));
    let missing = TensorFiles::open_npz(&Blob::path("/nowhere/params.npz")).err().unwrap();
    assert_eq!(missing.to_string(), "cannot open `/nowhere/params.npz`");
    // Numbers that are not weights may stand there, and are refused when they are asked for.
    let counts = open(&archive(&[("n.npy", array("<i8", false, "(1,)", &[0; 8]))])).unwrap();
    assert!(matches!(counts.get("n"), Err(Error::Type { .. })));
    let twice = ["w.npy", "w.npy"].map(|name| (name, array("<f4", false, "(1,)", &[0; 4])));
    assert!(open(&archive(&twice)).err().unwrap().to_string().contains("it holds `w.npy` twice"));
}

#[test]
fn compressed_arrays_are_made_plain_when_they_are_asked_for() {
    let values: Vec<f32> = (0..600).map(|at| (at % 7) as f32).collect();
    let plain = array("<f4", false, "(20, 30)", &floats(&values));
    let transposed = array("<f4", true, "(30, 20)", &floats(&values));
    let (a, b) = (Zipped::packed("a.npy", &plain), Zipped::packed("b.npy", &transposed));
    assert!(a.stored.len() * 4 < plain.len(), "it is compressed");
    let files = open(&archive_of(&[a, b])).unwrap();
    assert_eq!((files.bytes("a").unwrap(), files.size(), files.is_moved("a")), (2400, 4800, true));
    assert_eq!(files.get("a").unwrap()[..], values);
    let matrix = files.matrix("a", 20, 30).unwrap();
    assert!(matrix.to_array()[..] == values && !matrix.is_mapped() && !matrix.is_unaligned());
    assert_eq!(files.matrix("b", 30, 20).unwrap().transposed().to_array()[..], values);
}

#[test]
fn what_a_compressed_array_takes_is_known_before_it_is_made() {
    let plain = |shape: &str, zeros: usize| array("<f4", false, shape, &vec![0; zeros]);
    let refused = |change: &dyn Fn(&mut Zipped), plain: &[u8]| {
        let mut entry = Zipped::packed("w.npy", plain);
        change(&mut entry);
        let opened = open(&archive_of(&[entry]));
        opened.and_then(|files| files.get("w")).err().map(|error| error.to_string()).unwrap_or_default()
    };
    assert_eq!(refused(&|_| (), &plain("(1000,)", 4000)), "");
    // Stated sizes that no stream of this length holds, and that the array's shape does not need.
    let error = refused(&|entry| entry.size = 4_000_000_000, &plain("(1000,)", 4000));
    assert!(error.contains("`w.npy` states 4000000000 bytes, and its"), "{error}");
    let error = refused(&|_| (), &plain("(10,)", 4000));
    assert!(error.contains("`w` has shape [10] of `<f4`, but 4000 bytes"), "{error}");
    let error = refused(&|_| (), &plain("(500000000,)", 4000));
    assert!(error.contains("`w` has shape [500000000]"), "{error}");
    // Streams that hold more or less than they state, other bytes, or nothing.
    let two = |shape: &str, zeros: usize| Zipped::packed("w.npy", &plain(shape, zeros));
    let error = refused(&|entry| entry.stored = two("(1000,)", 4004).stored, &plain("(1000,)", 4000));
    assert!(error.contains("`w` is not the 4128 bytes that the archive states"), "{error}");
    let error = refused(&|entry| entry.stored = two("(1000,)", 3996).stored, &plain("(1000,)", 4000));
    assert!(error.contains("`w` is not the 4128 bytes"), "{error}");
    let error = refused(&|entry| entry.crc ^= 1, &plain("(1000,)", 4000));
    assert!(error.contains("`w` has another checksum than the archive states"), "{error}");
    let error = refused(&|entry| entry.stored.fill(0xff), &plain("(1000,)", 4000));
    assert!(error.contains("`w` cannot be decompressed"), "{error}");
}

#[test]
fn a_file_cut_anywhere_is_refused() {
    let plain = array("<f4", false, "(2,)", &[0; 8]);
    for whole in [archive(&[("w.npy", plain.clone())]), archive_of(&[Zipped::packed("w.npy", &plain)])] {
        for length in 0..whole.len() {
            assert!(open(&whole[..length]).is_err(), "{length}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_bytes_make_it_panic(edits in prop::collection::vec((0usize..600, any::<u8>()), 1..8), cut in 0usize..40, compressed: bool) {
        let entries = [("a.npy", array("<f4", false, "(2, 3)", &[0; 24])), ("b.npy", array("<f2", true, "(2, 2)", &[0; 8]))];
        let packed = entries.clone().map(|(name, bytes)| Zipped::packed(name, &bytes));
        let mut bytes = if compressed { archive_of(&packed) } else { archive(&entries) };
        let length = bytes.len();
        for (at, byte) in edits {
            bytes[at % length] = byte;
        }
        bytes.truncate(length.saturating_sub(cut.saturating_sub(30)));
        if let Ok(files) = open(&bytes) {
            for name in files.names() {
                if let Ok(array) = files.get(name) {
                    prop_assert_eq!(array.len(), array.shape().iter().product::<usize>());
                }
            }
        }
    }

    #[test]
    fn no_header_makes_it_panic(header in "[{}()', :0-9a-zA-Z<>|_]{0,120}", truth: bool) {
        let _ = Header::parse(header.as_bytes());
        let near = format!("{{'descr': '<f4', 'fortran_order': {truth}, 'shape': ({header}), }}");
        let _ = Header::parse(near.as_bytes());
    }
}
