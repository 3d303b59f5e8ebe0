//! PyTorch files against what torch saved, and against hostile bytes.

use std::io::Write;

use proptest::prelude::*;

use super::*;

/// A zip archive as PyTorch lays it out: entries stored as they are.
fn archive(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for (name, bytes) in entries {
        let (place, size) = (out.len() as u32, (bytes.len() as u32).to_le_bytes());
        // Checksum, both sizes, length of the name, length of the extra field.
        let common = [&[0; 4][..], &size, &size, &(name.len() as u16).to_le_bytes(), &[0; 2]].concat();
        out.extend([&b"PK\x03\x04"[..], &[0; 10], &common, name.as_bytes(), bytes].concat());
        let place = place.to_le_bytes();
        directory.extend([&b"PK\x01\x02"[..], &[0; 12], &common, &[0; 10], &place, name.as_bytes()].concat());
    }
    let (start, length) = ((out.len() as u32).to_le_bytes(), (directory.len() as u32).to_le_bytes());
    out.extend(directory);
    let count = (entries.len() as u16).to_le_bytes();
    out.extend([&b"PK\x05\x06"[..], &[0; 4], &count, &count, &length, &start, &[0; 2]].concat());
    out
}

fn open_bytes(bytes: &[u8]) -> Result<Value, Error> {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(bytes).expect("is written");
    open(&Blob::path(file.path()))
}

/// Why a pickle is refused, with one storage `0` of four f32.
fn refused(pickle: &[u8]) -> String {
    let entries: [(&str, &[u8]); 2] = [("x/data.pkl", pickle), ("x/data/0", &[0; 16])];
    match open_bytes(&archive(&entries)) {
        Err(Error::Pickle { why, .. }) => why,
        other => panic!("{other:?}"),
    }
}

/// A pickle of one tensor of these sizes on the storage of four f32.
fn tensor(count: u8, offset: u8, shape: [u8; 2], strides: [u8; 2]) -> Vec<u8> {
    let pair = |of: [u8; 2]| [b'K', of[0], b'K', of[1], 0x86];
    [
        &b"\x80\x02}U\x01wctorch._utils\n_rebuild_tensor_v2\n((U\x07storagectorch\nFloatStorage\nU\x010U\x03cpu"[..],
        &[b'K', count, b't', b'Q', b'K', offset],
        &pair(shape),
        &pair(strides),
        b"\x89Nt",
        b"Rs.",
    ]
    .concat()
}

#[test]
fn a_tensor_is_read_in_the_order_of_its_shape() {
    let values: Vec<u8> = [1.0f32, 2.0, 3.0, 4.0].iter().flat_map(|v| v.to_le_bytes()).collect();
    let read = |pickle: &[u8]| {
        let value = open_bytes(&archive(&[("a/data.pkl", pickle), ("a/data/0", &values)])).expect("is read");
        value.tensor("x", "w", &[2, 2]).expect("a tensor").to_vec()
    };
    assert_eq!(read(&tensor(4, 0, [2, 2], [2, 1])), [1.0, 2.0, 3.0, 4.0]);
    assert_eq!(read(&tensor(4, 0, [2, 2], [1, 2])), [1.0, 3.0, 2.0, 4.0]);
}

#[test]
fn what_is_no_data_is_refused_by_its_name() {
    let why = refused(b"\x80\x02cposix\nsystem\nU\x04echo\x85R.");
    assert!(why.contains("`posix.system`") && why.contains("nothing is executed"), "{why}");
    assert!(refused(b"\x80\x04\x8c\x08builtins\x8c\x04eval\x93.").contains("`builtins.eval`"));
    assert!(refused(b"\x80\x02I1\n.").contains("0x49"));
    assert!(refused(b"\x80\x02ctorch\nFloatStorage\n.").contains("torch.FloatStorage"));
}

#[test]
fn sizes_are_checked_before_anything_is_allocated() {
    for pickle in [tensor(4, 0, [3, 2], [2, 1]), tensor(4, 1, [2, 2], [2, 1]), tensor(5, 0, [2, 2], [2, 1])] {
        let why = refused(&pickle);
        assert!(why.contains("beyond its storage") || why.contains("16 bytes for 5 elements"), "{why}");
    }
    assert!(refused(b"\x80\x02X\xff\xff\xff\x7fa.").contains("cut off"));
}

#[test]
fn an_expanded_tensor_is_written_out_up_to_a_bound() {
    let values: Vec<u8> = [1.0f32, 2.0, 3.0, 4.0].iter().flat_map(|v| v.to_le_bytes()).collect();
    let open = |pickle: &[u8]| open_bytes(&archive(&[("a/data.pkl", pickle), ("a/data/0", &values)]));
    let value = open(&tensor(4, 1, [3, 2], [0, 1])).expect("is read");
    let expanded = value.tensor_of("x", "w").expect("a tensor");
    assert!(expanded.is_expanded() && expanded.bytes() == 24);
    assert_eq!(value.tensor("x", "w", &[3, 2]).expect("a tensor").to_vec(), [2.0, 3.0, 2.0, 3.0, 2.0, 3.0]);
    // Sizes of three bytes: 65,536 times 65,536 elements on one place.
    let small = tensor(4, 0, [2, 2], [0, 0]);
    let place = small.len() - 16;
    assert_eq!(&small[place..place + 5], b"K\x02K\x02\x86");
    let wide = [&small[..place], b"\x8a\x03\x00\x00\x01\x8a\x03\x00\x00\x01\x86", &small[place + 5..]].concat();
    let Err(Error::Pickle { why, .. }) = open(&wide) else { panic!("is read") };
    assert_eq!(why, "tensor `w` is expanded from 1 places to 4294967296 elements; 4194304 at most are read");
}

#[test]
fn names_lose_what_training_wrapped_modules_in() {
    let names = |names: &[&str]| {
        let Value::Dict(pairs) =
            open_bytes(&archive(&[("a/data.pkl", &tensor(4, 0, [2, 2], [2, 1])), ("a/data/0", &[0; 16])]))
                .expect("is read")
        else {
            panic!("a dictionary")
        };
        let tensor = pairs[0].1.clone();
        let value = Value::Dict(names.iter().map(|name| ((*name).to_owned(), tensor.clone())).collect());
        let Value::Dict(pairs) = value.unwrapped() else { panic!("a dictionary") };
        pairs.into_iter().map(|(name, _)| name).collect::<Vec<_>>()
    };
    assert_eq!(names(&["_orig_mod.W_enc", "_orig_mod.b_enc"]), ["W_enc", "b_enc"]);
    assert_eq!(names(&["module._orig_mod.encoder.weight"]), ["encoder.weight"]);
    assert_eq!(names(&["module.W_enc", "W_enc"]), ["module.W_enc", "W_enc"], "there is one of that name");
    assert_eq!(names(&["_orig_mod.b", "module.b"]), ["b", "module.b"]);
    assert_eq!(names(&[]), [""; 0]);
}

#[test]
fn endless_and_exploding_values_are_refused() {
    // A list that holds itself, and lists of lists that double thirty times.
    assert!(refused(b"\x80\x02]q\x00h\x00a.").contains("too deep"));
    let mut laughs = b"\x80\x02]q\x00".to_vec();
    for level in 0..30u8 {
        laughs.extend([b']', b'q', level + 1, b'(', b'h', level, b'h', level, b'e']);
    }
    laughs.push(b'.');
    assert!(refused(&laughs).contains("too many"));
}

#[test]
fn one_long_text_in_many_places_is_refused() {
    let text = [&b"X\x00\x00\x10\x00"[..], &vec![b'a'; 1 << 20]].concat();
    // As a value and as a key, from the memo, ten thousand times; then as what a parameter is made of.
    let values = [&b"\x80\x02]("[..], &text, b"q\x00", &b"h\x00".repeat(10_000), b"e."].concat();
    let keys = [&b"\x80\x02}("[..], &text, b"q\x00N", &b"h\x00N".repeat(10_000), b"u."].concat();
    assert!(refused(&values).contains("too many") && refused(&keys).contains("too many"));
    let parameter = [&b"\x80\x02ctorch._utils\n_rebuild_parameter\n"[..], &text, b"\x85R."].concat();
    assert_eq!(refused(&parameter), "its pickle is damaged");
}

#[test]
fn a_tensor_of_nothing_may_have_any_sizes() {
    let long = |power: usize| [&[0x8a, power as u8 / 8 + 1][..], &vec![0; power / 8], &[1]].concat();
    let sizes = [&b"(K\x00"[..], &long(40), &long(40), &long(40), b"t"].concat();
    let strides = [&b"("[..], &long(40), &long(56), &long(40), b"K\x01t"].concat();
    let wrapped = tensor(4, 0, [2, 2], [2, 1]);
    let (place, end) = (wrapped.len() - 16, wrapped.len() - 6);
    assert_eq!(&wrapped[place..end], b"K\x02K\x02\x86K\x02K\x01\x86");
    let pickle = [&wrapped[..place], &sizes, &strides, &wrapped[end..]].concat();
    let value = open_bytes(&archive(&[("x/data.pkl", &pickle), ("x/data/0", &[0; 16])])).expect("is read");
    let tensor = value.tensor_of("x", "w").expect("a tensor");
    assert_eq!(tensor.shape(), [0, 1 << 40, 1 << 40, 1 << 40]);
    assert!(tensor.array("w").expect("nothing").is_empty());
    let many =
        [&wrapped[..place], b"(", &b"K\x01".repeat(40), b"t(", &b"K\x01".repeat(40), b"t", &wrapped[end..]].concat();
    assert_eq!(refused(&many), "its pickle is damaged");
}

#[test]
fn damaged_archives_are_refused() {
    let whole = archive(&[("x/data.pkl", b"\x80\x02}.")]);
    assert!(matches!(open_bytes(&whole), Ok(Value::Dict(pairs)) if pairs.is_empty()));
    for length in 0..whole.len() {
        assert!(open_bytes(&whole[..length]).is_err(), "{length} bytes of {}", whole.len());
    }
    assert!(open_bytes(&archive(&[("x/other", b"")])).is_err());
    let twice = archive(&[("x/data.pkl", b"\x80\x02}."), ("x/a\x1b", b""), ("x/a\x1b", b"")]);
    let Err(Error::Pickle { why, .. }) = open_bytes(&twice) else { panic!("is read") };
    assert_eq!(why, "it holds `x/a\\u{1b}` twice");
    let big: [(&str, &[u8]); 2] = [("x/data.pkl", b"\x80\x02}."), ("x/byteorder", b"big")];
    assert!(open_bytes(&archive(&big)).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn no_bytes_bring_it_down(
        flips in proptest::collection::vec((0.0f64..1.0, 0u8..=255), 1..6), shape in 0u8..4,
    ) {
        let pickle = tensor(4, 0, [shape, 2], [2, 1]);
        let mut bytes = archive(&[("x/data.pkl", &pickle), ("x/data/0", &[0; 16])]);
        for (at, byte) in flips {
            let at = (bytes.len() as f64 * at) as usize;
            bytes[at] = byte;
        }
        if let Ok(Value::Dict(pairs)) = open_bytes(&bytes) {
            for (name, value) in pairs {
                if let Value::Tensor(tensor) = value {
                    let _ = tensor.array(&name);
                }
            }
        }
    }
}
