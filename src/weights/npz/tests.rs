//! `.npz` files: what NumPy writes, what it would not, and foreign bytes.
//! Not here: what an SAE makes of them.

use proptest::prelude::*;

use super::*;

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

/// A zip archive whose entries are stored, with the method that each says it has.
fn archive(entries: &[(&str, u16, Vec<u8>)]) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for (name, method, bytes) in entries {
        let (place, size) = (out.len() as u32, (bytes.len() as u32).to_le_bytes());
        let common = [&[0; 4][..], &size, &size, &(name.len() as u16).to_le_bytes(), &[0; 2]].concat();
        let method = method.to_le_bytes();
        out.extend([&b"PK\x03\x04"[..], &[0; 4], &method, &[0; 4], &common, name.as_bytes(), bytes].concat());
        let place = place.to_le_bytes();
        directory.extend(
            [&b"PK\x01\x02"[..], &[0; 6], &method, &[0; 4], &common, &[0; 10], &place, name.as_bytes()].concat(),
        );
    }
    let (start, length) = ((out.len() as u32).to_le_bytes(), (directory.len() as u32).to_le_bytes());
    out.extend(directory);
    out.extend([&b"PK\x05\x06"[..], &[0; 8], &length, &start, &[0; 2]].concat());
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
    let file = archive(&[("w.npy", 0, array(descr, fortran, shape, &vec![0; bytes]))]);
    open(&file).err().unwrap().to_string()
}

#[test]
fn both_orders_and_every_float_are_read() {
    let values = [1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0];
    let turned = [1.0f32, 4.0, 2.0, 5.0, 3.0, 6.0];
    let halves = values.iter().flat_map(|value| half::f16::from_f32(*value).to_le_bytes()).collect::<Vec<u8>>();
    let doubles = values.iter().flat_map(|value| f64::from(*value).to_le_bytes()).collect::<Vec<u8>>();
    // Names of any length move the data to any place.
    for name in ["a", "ab", "abc", "abcd"] {
        let entries = [
            (format!("{name}.npy"), array("<f4", false, "(2, 3)", &floats(&values))),
            ("turned.npy".to_owned(), array("<f4", true, "(2, 3)", &floats(&turned))),
            ("half.npy".to_owned(), array("<f2", false, "(2, 3)", &halves)),
            ("double.npy".to_owned(), array("<f8", false, "(2, 3)", &doubles)),
            ("vector.npy".to_owned(), array("<f4", true, "(6,)", &floats(&values))),
            ("scalar.npy".to_owned(), array("<f4", false, "()", &floats(&[7.0]))),
        ];
        let entries: Vec<_> = entries.iter().map(|(name, bytes)| (name.as_str(), 0, bytes.clone())).collect();
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
    let compressed = archive(&[("W_enc.npy", 8, array("<f4", false, "(1,)", &[0; 4]))]);
    let error = open(&compressed).err().unwrap().to_string();
    assert_eq!(
        error,
        "`params.npz` cannot be read as an .npz file: `W_enc.npy` is compressed; entries must be stored as they are"
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
    assert!(open(b"").err().unwrap().to_string().contains("no zip file"));
    let text = archive(&[("w.npy", 0, b"hello".to_vec())]);
    assert!(open(&text).err().unwrap().to_string().contains("`w` is no array of NumPy's"));
    let missing = TensorFiles::open_npz(&Blob::path("/nowhere/params.npz")).err().unwrap();
    assert_eq!(missing.to_string(), "cannot open `/nowhere/params.npz`");
    // Numbers that are no weights may stand there, and are refused when they are asked for.
    let counts = open(&archive(&[("n.npy", 0, array("<i8", false, "(1,)", &[0; 8]))])).unwrap();
    assert!(matches!(counts.get("n"), Err(Error::Type { .. })));
}

#[test]
fn a_file_cut_anywhere_is_refused() {
    let whole = archive(&[("w.npy", 0, array("<f4", false, "(2,)", &[0; 8]))]);
    for length in 0..whole.len() {
        assert!(open(&whole[..length]).is_err(), "{length}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_bytes_make_it_panic(edits in prop::collection::vec((0usize..600, any::<u8>()), 1..8), cut in 0usize..40) {
        let entries = [("a.npy", 0, array("<f4", false, "(2, 3)", &[0; 24])), ("b.npy", 0, array("<f2", true, "(2, 2)", &[0; 8]))];
        let mut bytes = archive(&entries);
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
