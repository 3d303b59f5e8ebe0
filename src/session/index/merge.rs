//! Shards put together.
//! Not here: what is counted in one.

use std::path::PathBuf;

use crate::analysis::IndexView;
use crate::analysis::index::Corpus;
use crate::report::{Kind, Report};
use crate::session::index::folder::Folder;
use crate::session::index::note::Note;
use crate::task::{Cancel, OnProgress, Progress};

/// Puts the shards of an index together: the same bytes as one run over all of the text.
///
/// # Errors
/// That they are not all shards of one index, read to the same place; that one is broken, or the disk is full.
pub fn merge(parts: &[PathBuf], out: PathBuf, cancel: &Cancel, progress: OnProgress<'_>) -> Result<IndexView, Report> {
    let mut shards = Vec::new();
    for path in parts {
        let folder = Folder(path.clone());
        let note = folder
            .note()?
            .ok_or_else(|| cannot(format!("there is no index in `{}`", path.display())).kind(Kind::Missing))?;
        shards.push((folder, note));
    }
    shards.sort_by_key(|(_, note)| note.shard);
    check(&shards)?;
    let to = Folder(out);
    to.check()?;
    let (mut whole, mut seconds) = (None::<Corpus>, 0.0);
    for (done, (folder, note)) in shards.iter().enumerate() {
        cancel.check()?;
        progress(Progress::steps("putting shards together", done as u64, shards.len() as u64));
        let corpus = folder.state(note)?;
        seconds += folder.seconds();
        whole = Some(match whole.take() {
            None => corpus,
            Some(mut whole) => {
                whole.merge(corpus);
                whole
            }
        });
    }
    let (Some(mut whole), Some((_, first))) = (whole, shards.first()) else { return Err(none()) };
    let at = &first.position;
    whole.close((!at.ended && at.windows > 0).then_some(at.documents as u32));
    let note = Note {
        shard: None,
        tokens: whole.tokens,
        documents: at.documents + u64::from(at.windows > 0),
        windows: whole.len() as u64,
        sinks: whole.sinks,
        ..first.clone()
    };
    let note = to.write(note, &whole, seconds)?;
    Ok(IndexView { index: Some(to.0), ..note.view(seconds) })
}

fn check(shards: &[(Folder, Note)]) -> Result<(), Report> {
    let Some((first, note)) = shards.first() else { return Err(none()) };
    let name = |folder: &Folder| folder.0.display().to_string();
    for (place, (folder, other)) in shards.iter().enumerate() {
        let Some((shard, of)) = other.shard else {
            return Err(cannot(format!("`{}` is not a shard: it is of the whole text", name(folder))).kind(Kind::Usage));
        };
        if (shard, of) != (place as u64 + 1, shards.len() as u64) {
            let given: Vec<String> =
                shards.iter().filter_map(|(_, note)| note.shard.map(|(shard, of)| format!("{shard}/{of}"))).collect();
            return Err(cannot(format!("the shards given are {}", given.join(", ")))
                .hint("give each shard of one index once")
                .kind(Kind::Usage));
        }
        if let Some(why) = other.of.differs(&note.of) {
            return Err(cannot(format!("`{}` differs from `{}`: {why}", name(folder), name(first))));
        }
        if other.rule != note.rule || other.position != note.position || other.complete != note.complete {
            return Err(cannot(format!("`{}` and `{}` were not read to the same place", name(first), name(folder)))
                .hint("end each with the same `index build`"));
        }
    }
    Ok(())
}

fn cannot(why: impl Into<String>) -> Report {
    Report::new("cannot merge these indexes").because(why)
}

fn none() -> Report {
    cannot("none are given").kind(Kind::Usage)
}
