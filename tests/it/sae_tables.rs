//! Comparisons on disk: found again, never believed when they are damaged, never in the way.
//! Not here: whether a comparison is right (`sae_stitching.rs`).

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::path::Path;

use saescope::sae::table::{Kept, compare_kept, file};
use saescope::sae::{Activation, Normalisation, Sae, SaeWeights, compare};
use saescope::task::Cancel;
use saescope::weights::Array;

const D_IN: usize = 6;

fn sae(width: usize, seed: u32) -> Sae {
    let row = (0..(D_IN * width) as u32).map(|i| ((i.wrapping_mul(2_654_435_761) ^ seed) % 1000) as f32 / 500.0 - 1.0);
    Sae::new(SaeWeights {
        w_enc: Array::owned(vec![0.0; D_IN * width], &[D_IN, width]).into(),
        b_enc: Array::owned(vec![0.0; width], &[width]),
        w_dec: Array::owned(row.collect::<Vec<_>>(), &[width, D_IN]).into(),
        b_dec: Array::owned(vec![0.0; D_IN], &[D_IN]),
        apply_b_dec_to_input: true,
        rescale_acts_by_decoder_norm: false,
        activation: Activation::Relu,
        normalisation: Normalisation::None,
    })
    .unwrap()
}

fn kept(folder: &Path, large: &Sae, small: &Sae) -> Kept {
    compare_kept(folder, large, small, 3, 0.2, &Cancel::new(), &|_| ()).unwrap()
}

#[test]
fn a_comparison_is_computed_once() {
    let (folder, large, small) = (tempfile::tempdir().unwrap(), sae(40, 1), sae(15, 2));
    let folder = folder.path().join("made/when/needed");
    let first = kept(&folder, &large, &small);
    assert!(!first.found && first.not_written.is_none());
    let second = kept(&folder, &large, &small);
    assert!(second.found && second.comparison.nearest.neighbours.is_mapped());
    assert_eq!(second.comparison, first.comparison);
    assert_eq!(first.comparison, compare(&large, &small, 3, 0.2, &Cancel::new(), &|_| ()).unwrap());
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "nothing but the file is left");
}

#[test]
fn other_weights_and_other_questions_have_other_files() {
    let folder = Path::new("/nowhere");
    let (large, small) = (sae(40, 1), sae(15, 2));
    let names = [
        file(folder, &large, &small, 3, 0.2),
        file(folder, &small, &large, 3, 0.2),
        file(folder, &sae(40, 3), &small, 3, 0.2),
        file(folder, &large, &sae(15, 3), 3, 0.2),
        file(folder, &large, &small, 4, 0.2),
        file(folder, &large, &small, 3, 0.25),
    ];
    for (at, name) in names.iter().enumerate() {
        assert!(!names[..at].contains(name), "{}", name.display());
    }
}

#[test]
fn a_file_that_is_cut_short_or_altered_is_computed_again() {
    let (folder, large, small) = (tempfile::tempdir().unwrap(), sae(40, 1), sae(15, 2));
    let want = kept(folder.path(), &large, &small).comparison;
    let path = file(folder.path(), &large, &small, 3, 0.2);
    let whole = fs::read(&path).unwrap();
    let mut damaged: Vec<Vec<u8>> = (0..whole.len()).step_by(13).map(|length| whole[..length].to_vec()).collect();
    damaged.push([&whole[..], &[0]].concat());
    for at in (0..whole.len()).step_by(7) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x41;
        damaged.push(bytes);
    }
    for bytes in damaged {
        fs::write(&path, &bytes).unwrap();
        let again = kept(folder.path(), &large, &small);
        assert!(!again.found, "{} of {} bytes", bytes.len(), whole.len());
        assert_eq!(again.comparison, want);
        assert_eq!(fs::read(&path).unwrap(), whole, "and replaced");
    }
}

#[test]
fn a_folder_that_cannot_be_written_costs_only_the_file() {
    let (folder, large, small) = (tempfile::tempdir().unwrap(), sae(40, 1), sae(15, 2));
    let in_the_way = folder.path().join("file");
    fs::write(&in_the_way, "not a folder").unwrap();
    let kept = kept(&in_the_way, &large, &small);
    assert!(kept.not_written.is_some() && !kept.found);
    assert_eq!(kept.comparison.nearest.rows(), 40);
}

#[test]
fn two_programs_at_once_agree() {
    let (folder, large, small) = (tempfile::tempdir().unwrap(), sae(40, 1), sae(15, 2));
    let want = compare(&large, &small, 3, 0.2, &Cancel::new(), &|_| ()).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..20 {
                    let kept = kept(folder.path(), &large, &small);
                    assert_eq!(kept.comparison, want);
                    if kept.found {
                        let _ = fs::remove_file(file(folder.path(), &large, &small, 3, 0.2));
                    }
                }
            });
        }
    });
}

#[test]
fn work_nobody_wants_leaves_no_file() {
    let (folder, large, small) = (tempfile::tempdir().unwrap(), sae(40, 1), sae(15, 2));
    let cancel = Cancel::new();
    cancel.cancel();
    assert!(compare_kept(folder.path(), &large, &small, 3, 0.2, &cancel, &|_| ()).is_err());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}
