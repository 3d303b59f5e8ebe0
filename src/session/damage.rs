//! What to do about a file that cannot be used. Only of a file from the hub whose hash is another is it known that it is
//! damaged: nobody is reported to remove anything else. Not here: what is wrong with it, which its reader says.

use std::error::Error;

use crate::blob::{Blob, Instead, Location};
use crate::hub;
use crate::report::Report;

/// A report about some of these files, with what can be done about those that it names as `named`: one, or several
/// with commas between them.
pub fn explain(report: Report, error: &(dyn Error + 'static), named: Option<&str>, blobs: &[&Blob]) -> Report {
    if let Some(instead) = Instead::behind(error) {
        return report.hint(instead.hint());
    }
    let named: Vec<&str> = named.map(|named| named.split(", ").collect()).unwrap_or_default();
    let about = blobs.iter().filter(|blob| named.contains(&blob.name()));
    let paths = about.filter_map(|blob| match blob.place() {
        Location::Path(path) => Some((blob, path)),
        Location::Embedded(_) => None,
    });
    for (blob, path) in paths {
        if let Some(difference) = hub::difference(path) {
            return report
                .because(format!("`{}` is damaged: {difference}", blob.name()))
                .hint(format!("`saescope pull --verify` fetches it again; or remove `{}` and pull", path.display()));
        }
    }
    report
}

/// Whether one of these files, by the names that a report has for them, lies outside the hub's cache.
pub fn is_own(named: Option<&str>, blobs: &[&Blob]) -> bool {
    let named: Vec<&str> = named.map(|named| named.split(", ").collect()).unwrap_or_default();
    // Files of the hub are named by repository and file, others by their paths.
    let own = |blob: &&Blob| matches!(blob.place(), Location::Path(path) if path.display().to_string() == blob.name());
    blobs.iter().filter(|blob| named.contains(&blob.name())).any(own)
}
