//! SAEs of some gigabytes, in sparse files: what is asked of them reads ranges and rows, and nothing is loaded whole.
//! Not here: what they compute (`golden_formats.rs`). The only test of its process, whose memory it looks at.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use saescope::blob::Blob;
use saescope::sae::formats::{self, Files, Format};
use saescope::task::Cancel;
use serde_json::json;

const D_IN: u64 = 512;
const WIDTH: u64 = 600_000;
/// Latents with weights; all others are holes in the file, which read as zeros.
const SET: [u64; 3] = [5, 300_001, 599_999];
const MATRIX: u64 = 4 * D_IN * WIDTH;

/// The bytes of memory that are not copy of a file's.
fn anonymous() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("RssAnon:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
}

/// What latent `index` of those set has in dimension `dim`: directions that are far from each other.
fn weight(index: usize, dim: u64) -> f32 {
    if dim % 3 == index as u64 { 1.0 + dim as f32 / 512.0 } else { 0.0 }
}

/// Writes what is not a zero of W_enc, [D_IN, WIDTH], and of W_dec, [WIDTH, D_IN], whose first bytes are given.
fn fill(file: &mut File, w_enc: u64, w_dec: u64) {
    let mut put = |at: u64, value: f32| {
        file.seek(SeekFrom::Start(at)).unwrap();
        file.write_all(&value.to_le_bytes()).unwrap();
    };
    for (index, latent) in SET.into_iter().enumerate() {
        for dim in 0..D_IN {
            put(w_enc + 4 * (dim * WIDTH + latent), weight(index, dim));
            put(w_dec + 4 * (latent * D_IN + dim), weight(index, dim));
        }
    }
}

const TENSORS: [(&str, &[u64]); 5] = [
    ("w_enc", &[D_IN, WIDTH]),
    ("w_dec", &[WIDTH, D_IN]),
    ("b_enc", &[WIDTH]),
    ("b_dec", &[D_IN]),
    ("threshold", &[WIDTH]),
];

fn safetensors(path: &Path) {
    let (mut header, mut end) = (serde_json::Map::new(), 0);
    for (name, shape) in TENSORS {
        let start = end;
        end += 4 * shape.iter().product::<u64>();
        header.insert(name.to_owned(), json!({"dtype": "F32", "shape": shape, "data_offsets": [start, end]}));
    }
    let mut header = serde_json::to_vec(&header).unwrap();
    header.resize(header.len().next_multiple_of(8), b' ');
    let mut file = File::create(path).unwrap();
    file.write_all(&(header.len() as u64).to_le_bytes()).unwrap();
    file.write_all(&header).unwrap();
    let data = 8 + header.len() as u64;
    file.set_len(data + end).unwrap();
    fill(&mut file, data, data + MATRIX);
}

/// As `numpy.savez` writes it: entries with sizes in 64 bits, arrays at odd places.
fn npz(path: &Path) {
    let mut file = File::create(path).unwrap();
    let (mut directory, mut starts) = (Vec::new(), Vec::new());
    for (name, shape) in TENSORS {
        let (name, place) = (format!("{}.npy", name.replace("w_", "W_")), file.stream_position().unwrap());
        let shape = shape.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let text = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({shape}, ), }}");
        let header = format!("{text:117}\n");
        let head = [&b"\x93NUMPY\x01\x00"[..], &(header.len() as u16).to_le_bytes(), header.as_bytes()].concat();
        let numbers = if name == "W_enc.npy" || name == "W_dec.npy" {
            MATRIX
        } else {
            4 * if name == "b_dec.npy" { D_IN } else { WIDTH }
        };
        let size = head.len() as u64 + numbers;
        let wide = [&size.to_le_bytes()[..], &size.to_le_bytes()].concat();
        let extra = [&[1, 0, 16, 0][..], &wide].concat();
        let lengths = [(name.len() as u16).to_le_bytes(), (extra.len() as u16).to_le_bytes()].concat();
        file.write_all(
            &[&b"PK\x03\x04\x2d\0\0\0\0\0\0\0\0\0\0\0\0\0"[..], &[0xff; 8], &lengths, name.as_bytes(), &extra].concat(),
        )
        .unwrap();
        file.write_all(&head).unwrap();
        starts.push(file.stream_position().unwrap());
        file.seek(SeekFrom::Current(numbers as i64)).unwrap();
        let entry = [
            &b"PK\x01\x02\x2d\0\x2d\0\0\0\0\0\0\0\0\0\0\0\0\0"[..],
            &[0xff; 8],
            &lengths,
            &[0; 10],
            &(place as u32).to_le_bytes(),
            name.as_bytes(),
            &extra,
        ];
        directory.extend(entry.concat());
    }
    let (start, length) = (file.stream_position().unwrap() as u32, directory.len() as u32);
    file.write_all(&directory).unwrap();
    let end = [&b"PK\x05\x06\0\0\0\0\x05\0\x05\0"[..], &length.to_le_bytes(), &start.to_le_bytes(), &[0; 2]];
    file.write_all(&end.concat()).unwrap();
    assert!(starts[0] % 4 != 0 || starts[1] % 4 != 0, "they lie at odd places, as those of NumPy do");
    fill(&mut file, starts[0], starts[1]);
}

#[test]
fn what_is_asked_of_an_sae_of_gigabytes_takes_megabytes() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let (first, second): (PathBuf, PathBuf) =
        (folder.path().join("params.safetensors"), folder.path().join("params.npz"));
    safetensors(&first);
    npz(&second);
    for path in [first, second] {
        let files = Files {
            format: Format::GemmaScope,
            config: None,
            weights: Blob::path(&path).wider_than_memory(),
            sparsity: None,
        };
        let memory = formats::memory(&files).unwrap();
        assert!(memory.held == 0 && memory.mapped > 2 * MATRIX, "{memory:?}");
        let (before, most, done) = (anonymous(), AtomicU64::new(0), AtomicBool::new(false));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    most.fetch_max(anonymous(), Ordering::Relaxed);
                    std::thread::sleep(std::time::Duration::from_millis(2));
                }
            });
            let asked = std::panic::catch_unwind(|| ask(&files));
            done.store(true, Ordering::Relaxed);
            asked.unwrap();
        });
        let grown = most.load(Ordering::Relaxed).saturating_sub(before);
        assert!(grown < MATRIX / 8, "{grown} bytes beside the {} of {}", memory.mapped, path.display());
    }
}

/// Of each mapping of `path` whether the system was told not to read ahead there, with its bytes.
fn mappings(path: &Path) -> Vec<(bool, u64)> {
    let (mut found, mut size) = (Vec::new(), None);
    for line in std::fs::read_to_string("/proc/self/smaps").unwrap().lines() {
        if let Some((range, _)) = line.split_once(' ').filter(|_| line.ends_with(path.to_str().unwrap())) {
            let (start, end) = range.split_once('-').unwrap();
            size = Some(u64::from_str_radix(end, 16).unwrap() - u64::from_str_radix(start, 16).unwrap());
        } else if let Some(flags) = line.strip_prefix("VmFlags:") {
            found.extend(size.take().map(|size| (flags.split_whitespace().any(|flag| flag == "rr"), size)));
        }
    }
    found
}

fn ask(files: &Files) {
    let sae = formats::open(files).unwrap();
    let saescope::blob::Location::Path(path) = files.weights.place() else { panic!("a file") };
    // The encoder is read some columns at a time, the decoder row by row.
    let alone = mappings(path).iter().filter(|(alone, _)| *alone).map(|(_, size)| size).sum::<u64>();
    assert!(alone.abs_diff(MATRIX) < 1 << 20, "{alone} of {MATRIX} bytes: {:?}", mappings(path));
    assert_eq!((sae.d_in() as u64, sae.width() as u64), (D_IN, WIDTH));
    // Twice what the second of the latents looks for.
    let x: Vec<f32> = (0..D_IN).map(|dim| 2.0 * weight(1, dim)).collect();
    let codes = sae.encode(&x, &Cancel::new()).unwrap();
    let square: f32 = (0..D_IN).map(|dim| weight(1, dim).powi(2)).sum();
    let (latents, values) = codes.row(0);
    assert_eq!(latents, [SET[1] as u32], "the zeros of the others are not above their thresholds");
    assert!((values[0] - 2.0 * square).abs() < 1e-3 * square);
    assert_eq!(sae.decoder_row(SET[2] as usize).unwrap()[2], weight(2, 2));
    let near = sae.nearest(SET[0] as usize, &sae, 2).unwrap();
    assert!(near[0].latent == SET[0] as u32 && near[0].cosine == 1.0 && near[1].cosine == 0.0, "{near:?}");
    let decoded = sae.decode(&codes).unwrap();
    assert!((decoded[1] - values[0] * weight(1, 1)).abs() < 1e-2, "{}", decoded[1]);
}
