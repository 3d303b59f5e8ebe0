//! Tests of tensor files: element types, alignment, parts, and headers that lie.
//! Not here: what an SAE or a model makes of them.

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::kernel::View;

/// A safetensors file: `(name, type, shape, bytes)` in order, the header padded to a length of 8·n + `skew`.
fn file(tensors: &[(&str, &str, &[usize], Vec<u8>)], skew: usize) -> Vec<u8> {
    let mut header = serde_json::Map::new();
    let mut data = Vec::new();
    for (name, dtype, shape, bytes) in tensors {
        let offsets = [data.len(), data.len() + bytes.len()];
        header
            .insert((*name).to_owned(), serde_json::json!({ "dtype": dtype, "shape": shape, "data_offsets": offsets }));
        data.extend_from_slice(bytes);
    }
    let mut text = serde_json::to_vec(&header).unwrap();
    while text.len() % 8 != skew {
        text.push(b' ');
    }
    [&(text.len() as u64).to_le_bytes()[..], &text, &data].concat()
}

fn f32_bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn write(dir: &TempDir, name: &str, bytes: &[u8]) -> Blob {
    let path = dir.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    Blob::path(path).named(name.to_owned())
}

fn open(bytes: &[u8]) -> Result<TensorFiles, Error> {
    let dir = tempfile::tempdir().unwrap();
    TensorFiles::open(&[write(&dir, "w.safetensors", bytes)])
}

#[test]
fn aligned_single_precision_stays_mapped_and_the_rest_is_converted() {
    let values = [1.5f32, -2.0, 0.25];
    let f16: Vec<u8> = values.iter().flat_map(|v| half::f16::from_f32(*v).to_le_bytes()).collect();
    let bf16: Vec<u8> = values.iter().flat_map(|v| half::bf16::from_f32(*v).to_le_bytes()).collect();
    let f64: Vec<u8> = values.iter().flat_map(|v| f64::from(*v).to_le_bytes()).collect();
    let tensors: [(&str, &str, &[usize], Vec<u8>); 4] = [
        ("a", "F32", &[3], f32_bytes(&values)),
        ("d", "F64", &[3], f64),
        ("b", "F16", &[3], f16),
        ("c", "BF16", &[3], bf16),
    ];
    for skew in 0..8 {
        let files = open(&file(&tensors, skew)).unwrap();
        assert_eq!(files.get("a").unwrap().is_mapped(), skew % 4 == 0, "{skew}");
        for name in ["a", "b", "c", "d"] {
            assert_eq!(files.get(name).unwrap()[..], values, "{name} at {skew}");
        }
    }
}

#[test]
fn what_is_not_there_or_not_as_expected_is_named() {
    let files =
        open(&file(&[("a", "F32", &[2, 1], f32_bytes(&[1.0, f32::NAN])), ("i", "I32", &[1], vec![0; 4])], 0)).unwrap();
    let message = |error: Error| error.to_string();
    assert_eq!(message(files.get("b").unwrap_err()), "`w.safetensors` has no tensor `b`");
    let seen = |error: Error| std::error::Error::source(&error).map(ToString::to_string);
    assert_eq!(seen(files.get("b").unwrap_err()).unwrap(), "its names begin with `a`, `i`");
    assert_eq!(
        message(files.get_shaped("a", &[1, 2]).unwrap_err()),
        "tensor `a` in `w.safetensors` has shape [2, 1], expected [1, 2]: it is transposed"
    );
    assert_eq!(
        message(files.get("i").unwrap_err()),
        "tensor `i` in `w.safetensors` has element type I32; F32, F16, BF16, F64, F8_E4M3 and F8_E5M2 can be read"
    );
    let array = files.get("a").unwrap();
    assert_eq!(
        message(files.check_finite("a", &array).unwrap_err()),
        "tensor `a` in `w.safetensors` holds NaN at element 1"
    );
}

#[test]
fn the_first_value_that_is_not_finite_is_found_in_any_chunk() {
    for at in [0, 1, 16_383, 16_384, 39_999] {
        let mut values = vec![f32::MAX; 40_000];
        values[at] = f32::NEG_INFINITY;
        values[39_999] = f32::NAN;
        assert_eq!(Array::owned(values, &[40_000]).first_not_finite(), Some(at));
    }
    assert_eq!(Array::owned(vec![f32::MIN_POSITIVE / 2.0; 5], &[5]).first_not_finite(), None);
    assert_eq!(Array::owned(Vec::new(), &[0, 4]).first_not_finite(), None);
}

/// The same values in every element type, each exactly representable.
fn matrices(rows: usize, cols: usize, skew: usize) -> Vec<(&'static str, Matrix, Array)> {
    let values: Vec<f32> = (0..rows * cols).map(|i| ((i * 7919) % 255) as f32 / 64.0 - 2.0).collect();
    let bytes = |each: &dyn Fn(f32) -> Vec<u8>| values.iter().flat_map(|value| each(*value)).collect::<Vec<u8>>();
    let shape = [rows, cols];
    let files = open(&file(
        &[
            ("F32", "F32", &shape, f32_bytes(&values)),
            ("F64", "F64", &shape, bytes(&|v| f64::from(v).to_le_bytes().to_vec())),
            ("F16", "F16", &shape, bytes(&|v| half::f16::from_f32(v).to_le_bytes().to_vec())),
            ("BF16", "BF16", &shape, bytes(&|v| half::bf16::from_f32(v).to_le_bytes().to_vec())),
        ],
        skew,
    ))
    .unwrap();
    ["F32", "F64", "F16", "BF16"]
        .map(|name| (name, files.matrix(name, rows, cols).unwrap(), files.get(name).unwrap()))
        .into()
}

#[test]
fn a_matrix_kept_as_stored_gives_the_very_bits_that_converting_it_gives() {
    for (rows, cols, skew) in [(3, 5, 0), (700, 90, 1), (30, 2000, 0), (1, 70_000, 2), (70_000, 1, 4)] {
        for (name, matrix, array) in matrices(rows, cols, skew) {
            assert_eq!(matrix.to_array()[..], array[..], "{name}");
            assert_eq!(matrix.row(rows - 1)[..], *array.row(rows - 1), "{name}");
            let x: Vec<f32> = (0..3 * rows.max(cols)).map(|i| (i % 17) as f32 / 5.0 - 1.0).collect();
            let (across, along) = (View::new(&x[..3 * cols], 3, cols), View::new(&x[..3 * rows], 3, rows));
            let (mut got, mut want) = (vec![0.0; 3 * rows], vec![0.0; 3 * rows]);
            crate::kernel::map_product(&mut got, across, matrix.t(), |_, _| {});
            crate::kernel::map_product(&mut want, across, array.view().t(), |_, _| {});
            assert_eq!(got, want, "{name}");
            let (mut got, mut want) = (vec![0.0; 3 * cols], vec![0.0; 3 * cols]);
            crate::kernel::map_product(&mut got, along, &matrix, |_, _| {});
            crate::kernel::map_product(&mut want, along, array.view(), |_, _| {});
            assert_eq!(got, want, "{name}");
        }
    }
}

#[test]
fn a_packed_matrix_gives_the_same_bits_and_its_rows_as_before() {
    let (rows, cols) = (90, 700);
    let values: Vec<f32> = (0..rows * cols).map(|i| ((i * 7919) % 1000) as f32 / 500.0 - 1.0).collect();
    let dir = tempfile::tempdir().unwrap();
    let path = write(&dir, "w.safetensors", &file(&[("w", "F32", &[rows, cols], f32_bytes(&values))], 0));
    let matrix = TensorFiles::open(&[path]).unwrap().matrix("w", rows, cols).unwrap();
    let x: Vec<f32> = (0..30 * cols).map(|i| (i % 17) as f32 / 5.0 - 1.0).collect();
    let products = || {
        let (mut with, mut transposed) = (vec![0.0; 30 * cols], vec![0.0; 30 * rows]);
        crate::kernel::map_product(&mut with, View::new(&x[..30 * rows], 30, rows), &matrix, |_, _| {});
        crate::kernel::map_product(&mut transposed, View::new(&x, 30, cols), matrix.t(), |_, _| {});
        (with, transposed)
    };
    let before = products();
    for transposed in [false, true] {
        let factor = PackableMatrix { matrix: matrix.clone(), transposed };
        assert_eq!(factor.wanted(), matrix.bytes());
        assert!(!factor.pack(&|| false).unwrap() && factor.wanted() == matrix.bytes(), "it was told to stop");
        assert!(factor.pack(&|| true).unwrap() && factor.wanted() == 0);
        assert!(matrix.kept_for(transposed).is_some(), "clones share it");
        assert_eq!(products(), before);
        assert_eq!(matrix.block(0..rows)[..], values[..], "what was let go of is read again");
    }
    let halved = matrices(9, 9, 0).swap_remove(3).1;
    assert_eq!(PackableMatrix { matrix: halved, transposed: false }.wanted(), 0, "half precision stays as it is");
}

#[test]
fn a_matrix_takes_what_its_file_takes() {
    let bytes: Vec<u64> = matrices(10, 6, 0).iter().map(|(_, matrix, _)| matrix.bytes()).collect();
    assert_eq!(bytes, [240, 480, 120, 120]);
    assert_eq!(matrices(10, 6, 1)[0].1.bytes(), 240);
}

#[test]
fn a_stored_value_that_is_not_finite_is_found_in_any_chunk() {
    for at in [0, 16_384, 39_999] {
        let mut halves = vec![0x3c00u16; 40_000];
        halves[at] = 0xfc00;
        halves[39_999] = 0x7e01;
        let bytes = halves.iter().flat_map(|bits| bits.to_le_bytes()).collect();
        let files = open(&file(&[("h", "F16", &[400, 100], bytes)], 0)).unwrap();
        let (place, value) = files.matrix("h", 400, 100).unwrap().first_not_finite().unwrap();
        assert!(place == at && !value.is_finite(), "{place} {value}");
    }
    let files = open(&file(&[("b", "BF16", &[1, 2], vec![0x7f, 0x7f, 0x80, 0xff])], 0)).unwrap();
    assert_eq!(files.matrix("b", 1, 2).unwrap().first_not_finite(), Some((1, f32::NEG_INFINITY)));
    assert!(matrices(9, 9, 3).iter().all(|(_, matrix, _)| matrix.first_not_finite().is_none()));
}

#[test]
fn rows_become_columns_in_every_element_type() {
    for (name, matrix, plain) in matrices(131, 77, 1) {
        let transposed = matrix.transposed();
        assert_eq!((transposed.rows(), transposed.cols(), transposed.bytes()), (77, 131, matrix.bytes()), "{name}");
        assert!(!transposed.is_mapped());
        let (transposed, back) = (transposed.to_array(), transposed.transposed().to_array());
        for row in 0..131 {
            assert!((0..77).all(|col| transposed[col * 131 + row] == plain[row * 77 + col]), "{name}, row {row}");
        }
        assert_eq!(back[..], plain[..], "{name}");
        assert_eq!(matrix.block(3..9)[..], plain[3 * 77..9 * 77], "{name}");
    }
}

#[test]
fn other_types_of_eight_bits_are_refused_by_name() {
    for dtype in ["I8", "U8", "F8_E8M0", "F8_E4M3FNUZ"] {
        let files = open(&file(&[("q", dtype, &[2, 2], vec![0; 4])], 0)).unwrap();
        let error = files.matrix("q", 2, 2).unwrap_err().to_string();
        assert!(error.contains("`q`") && error.contains(dtype) && error.contains("BF16"), "{error}");
    }
}

#[test]
fn parts_are_searched_together_and_must_not_overlap() {
    let dir = tempfile::tempdir().unwrap();
    let one = write(&dir, "1.safetensors", &file(&[("a", "F32", &[1], f32_bytes(&[1.0]))], 0));
    let two = write(&dir, "2.safetensors", &file(&[("b", "F32", &[], f32_bytes(&[2.0]))], 0));
    let files = TensorFiles::open(&[one.clone(), two]).unwrap();
    assert_eq!(files.names(), ["a", "b"]);
    assert_eq!((files.get("a").unwrap()[0], files.get("b").unwrap()[0]), (1.0, 2.0));
    assert_eq!((files.size(), files.file_of("b"), files.shape("b").unwrap().len()), (8, "2.safetensors".into(), 0));
    let again = write(&dir, "3.safetensors", &file(&[("a", "F32", &[1], f32_bytes(&[3.0]))], 0));
    let error = TensorFiles::open(&[one, again]).err().unwrap().to_string();
    assert_eq!(error, "`3.safetensors` is not a valid safetensors file: another file holds tensor `a` too");
}

#[test]
fn a_file_that_is_missing_empty_or_cut_is_named() {
    let missing = TensorFiles::open(&[Blob::path("/nowhere/w.safetensors")]).err().unwrap();
    assert_eq!(missing.to_string(), "cannot open `/nowhere/w.safetensors`");
    let whole = file(&[("a", "F32", &[2], f32_bytes(&[1.0, 2.0]))], 0);
    let empty = open(b"").err().unwrap();
    assert_eq!(Instead::behind(&empty), Some(Instead::Empty), "{empty}");
    for length in 1..whole.len() {
        let error = open(&whole[..length]).err().unwrap();
        assert!(matches!(&error, Error::Format { file, .. } if file == "w.safetensors"), "{length}: {error}");
    }
}

#[test]
fn embedded_bytes_are_read_in_place() {
    let bytes: &'static [u8] = Box::leak(file(&[("a", "F16", &[1], vec![0, 0x3c])], 0).into_boxed_slice());
    let files = TensorFiles::open(&[Blob::embedded("demo", bytes)]).unwrap();
    assert_eq!(files.get("a").unwrap()[..], [1.0]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_header_makes_it_panic(edits in prop::collection::vec((0usize..400, any::<u8>()), 1..6), cut in 0usize..400) {
        let mut bytes = file(&[
            ("a", "F32", &[2, 3], f32_bytes(&[1.0; 6])),
            ("b", "F16", &[4], vec![0; 8]),
            ("c", "F64", &[0, 9], vec![]),
        ], 0);
        let length = bytes.len();
        for (at, byte) in edits {
            bytes[at % length] = byte;
        }
        bytes.truncate(length.min(length + 200 - cut));
        if let Ok(files) = open(&bytes) {
            for name in files.names() {
                if let Ok(array) = files.get(name) {
                    prop_assert_eq!(array.len(), array.shape().iter().product::<usize>());
                    let _ = array.first_not_finite();
                }
            }
        }
    }

    #[test]
    fn a_header_that_lies_about_sizes_is_refused(shape in prop::collection::vec(any::<usize>(), 1..4), end in any::<u64>()) {
        let header = serde_json::json!({ "a": { "dtype": "F32", "shape": shape, "data_offsets": [0, end] } }).to_string();
        let bytes = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &[0; 24]].concat();
        let honest = end == 24 && shape.iter().try_fold(1usize, |a, b| a.checked_mul(*b)) == Some(6);
        prop_assert_eq!(open(&bytes).is_ok(), honest);
    }
}

#[test]
fn every_value_of_eight_bits_is_that_of_torch() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/functions/float8.safetensors");
    let files = TensorFiles::open(&[Blob::path(path)]).unwrap();
    for name in ["e4m3", "e5m2"] {
        let want = files.get(&format!("{name}.f32")).unwrap();
        let values = files.get(name).unwrap();
        // The bits, so that zeros keep their sign; what is not a number is none.
        let bits = |x: &f32| if x.is_nan() { u32::MAX } else { x.to_bits() };
        assert_eq!(values.iter().map(bits).collect::<Vec<_>>(), want.iter().map(bits).collect::<Vec<_>>(), "{name}");
        let wrong = want.iter().position(|x| !x.is_finite());
        let file = Arc::clone(&files.files[0]);
        let entry = &files.index[name];
        let matrix = Matrix::stored(&file, entry.range.clone(), entry.dtype, (16, 16)).unwrap();
        assert_eq!(matrix.first_not_finite().map(|(at, _)| at), wrong, "{name}");
        assert_eq!(matrix.bytes(), 256);
        let transposed = matrix.transposed();
        let column: Vec<u32> = (0..16).map(|row| bits(&want[row * 16 + 3])).collect();
        assert_eq!(transposed.row(3).iter().map(bits).collect::<Vec<_>>(), column, "{name}");
    }
}

#[test]
fn eight_bits_with_factors_beside_them_are_refused_with_the_factors_name() {
    for scales in ["a.weight_scale", "a.weight_scale_inv", "a.weight.scale", "a.scale", "a.scale_weight"] {
        let tensors: [(&str, &str, &[usize], Vec<u8>); 3] = [
            ("a.weight", "F8_E4M3", &[2, 2], vec![0x38; 4]),
            ("b.weight", "F8_E4M3", &[2, 2], vec![0x38; 4]),
            (scales, "F32", &[1], f32_bytes(&[0.5])),
        ];
        let files = open(&file(&tensors, 0)).unwrap();
        for error in [files.get("a.weight").unwrap_err(), files.matrix("a.weight", 2, 2).unwrap_err()] {
            assert!(matches!(&error, Error::Scaled { scales: found, .. } if **found == *scales), "{error}");
        }
        assert_eq!(files.get("b.weight").unwrap()[..], [1.0; 4]);
    }
}

#[test]
fn wrapped_names_are_found_under_their_own_and_told_as_stored() {
    let one = |name: &'static str, value| (name, "F32", &[1usize][..], f32_bytes(&[value]));
    let tensors = [one("_orig_mod.a", 1.0), one("module.b", 2.0), one("c", 3.0), one("_orig_mod.c", 4.0)];
    let files = open(&file(&tensors, 0)).unwrap();
    assert_eq!(files.names(), ["_orig_mod.c", "a", "b", "c"], "what has a namesake keeps its name");
    assert_eq!([files.get("a").unwrap()[0], files.get("c").unwrap()[0]], [1.0, 3.0]);
    let error = files.get_shaped("b", &[2]).unwrap_err().to_string();
    assert_eq!(error, "tensor `module.b` in `w.safetensors` has shape [1], expected [2]");
}
