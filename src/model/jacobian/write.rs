//! A Jacobian lens as `torch.save` writes it, for `torch.load(…, weights_only=True)`.
//! Not here: where it goes.

use std::io::{Cursor, Write};

use half::f16;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// Where torch lets tensors begin.
const ALIGNMENT: u16 = 64;

/// The bytes of a file with these J_l, each [d_model, d_model], made half precision: fitted on so many prompts, with what
/// is to be known of where they come from.
///
/// # Errors
/// When the archive would be too large.
pub fn write(
    matrices: &[(usize, Vec<f32>)],
    d_model: usize,
    prompts: u64,
    provenance: &[(&str, &str)],
) -> std::io::Result<Vec<u8>> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored).with_alignment(ALIGNMENT);
    let mut entry = |name: &str, bytes: &[u8]| -> std::io::Result<()> {
        archive.start_file(format!("lens/{name}"), options).map_err(std::io::Error::other)?;
        archive.write_all(bytes)
    };
    entry("data.pkl", &pickle(matrices, d_model, prompts, provenance))?;
    entry("byteorder", b"little")?;
    for (at, (_, values)) in matrices.iter().enumerate() {
        let bytes: Vec<u8> = values.iter().flat_map(|value| f16::from_f32(*value).to_le_bytes()).collect();
        entry(&format!("data/{at}"), &bytes)?;
    }
    entry("version", b"3\n")?;
    Ok(archive.finish().map_err(std::io::Error::other)?.into_inner())
}

/// The pickle, of protocol 2.
fn pickle(matrices: &[(usize, Vec<f32>)], d_model: usize, prompts: u64, provenance: &[(&str, &str)]) -> Vec<u8> {
    let mut out = b"\x80\x02}(".to_vec();
    text(&mut out, "J");
    out.extend(b"}(");
    for (at, (block, _)) in matrices.iter().enumerate() {
        int(&mut out, *block as u64);
        tensor(&mut out, at, d_model);
    }
    out.push(b'u');
    text(&mut out, "source_layers");
    out.extend(b"](");
    for (block, _) in matrices {
        int(&mut out, *block as u64);
    }
    out.push(b'e');
    for (key, value) in [("n_prompts", prompts), ("d_model", d_model as u64)] {
        text(&mut out, key);
        int(&mut out, value);
    }
    text(&mut out, "provenance");
    out.extend(b"}(");
    for (key, value) in provenance {
        text(&mut out, key);
        text(&mut out, value);
    }
    out.extend(b"uu.");
    out
}

/// A square tensor of half precision in the storage `at`.
fn tensor(out: &mut Vec<u8>, at: usize, size: usize) {
    out.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
    text(out, "storage");
    out.extend(b"ctorch\nHalfStorage\n");
    text(out, &at.to_string());
    text(out, "cpu");
    int(out, (size * size) as u64);
    out.extend(b"tQK\x00");
    int(out, size as u64);
    int(out, size as u64);
    out.push(0x86);
    int(out, size as u64);
    int(out, 1);
    out.extend(b"\x86\x89ccollections\nOrderedDict\n)RtR");
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.push(b'X');
    out.extend((text.len() as u32).to_le_bytes());
    out.extend(text.as_bytes());
}

fn int(out: &mut Vec<u8>, number: u64) {
    if let Ok(number) = i32::try_from(number) {
        out.push(b'J');
        out.extend(number.to_le_bytes());
    } else {
        // LONG1: in two's complement, far below the sign.
        out.extend([0x8a, 8]);
        out.extend(number.to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::super::JacobianLens;
    use super::*;
    use crate::blob::Blob;
    use crate::site::{Site, SiteKind};

    #[test]
    fn what_is_written_is_read_again() {
        let matrices = [(0, vec![1.0, 2.0, 3.0, 4.0]), (1, vec![0.5, 0.0, 0.0, -1.0])];
        let bytes = write(&matrices, 2, 7, &[("model", "gpt2")]).unwrap();
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&bytes).unwrap();
        let lens = JacobianLens::open(&Blob::path(file.path())).unwrap();
        assert_eq!((lens.prompts, lens.d_model, lens.blocks().collect::<Vec<_>>()), (Some(7), 2, vec![0, 1]));
        assert_eq!(lens.apply(0, &[1.0, -1.0]), Some(vec![-1.0, -1.0]), "J h");
        assert_eq!(lens.apply(2, &[1.0, -1.0]), None);
        let block = |layer, kind| lens.block_of(Site { layer, kind }).ok();
        assert_eq!((block(1, SiteKind::ResidPre), block(1, SiteKind::ResidPost)), (Some(0), Some(1)));
        for (layer, kind) in [(0, SiteKind::ResidPre), (2, SiteKind::ResidPost), (1, SiteKind::MlpOut)] {
            assert_eq!(block(layer, kind), None);
        }
        assert!(lens.check(2, 3).is_ok() && lens.check(3, 3).is_err() && lens.check(2, 1).is_err());
    }
}
