//! The batches of a source, as the bucket lists them: in pages.
//! Not here: what is in a batch.

use std::collections::BTreeSet;

use crate::report::Report;
use crate::session::neuronpedia::Export;
use crate::session::neuronpedia::lines::Batch;
use crate::task::Cancel;
use crate::web::shown;

/// Bytes of a page, and pages, at most: a page lists 1,000 files.
const LARGEST_PAGE: usize = 8 << 20;
const MOST_PAGES: usize = 200;
/// Bytes of a batch as it is sent, at most.
const LARGEST_BATCH: u64 = 1 << 28;

/// A page of a listing.
#[derive(Debug, Default, PartialEq, Eq)]
struct Page {
    files: Vec<(String, u64)>,
    next: Option<String>,
}

impl Export<'_> {
    /// The batches in a folder of the source, in the order of their numbers.
    ///
    /// # Errors
    /// What the bucket answers instead, or that it lists what no export has.
    pub fn batches(&self, folder: &str, cancel: &Cancel) -> Result<Vec<Batch>, Report> {
        let prefix = format!("v1/{}/{folder}/", self.id);
        let cannot = || format!("cannot list the {folder} of Neuronpedia's source `{}`", self.id);
        let (mut batches, mut seen, mut next) = (Vec::new(), BTreeSet::new(), None::<String>);
        loop {
            let mut query = vec![("list-type", "2"), ("prefix", prefix.as_str())];
            query.extend(next.as_deref().map(|next| ("continuation-token", next)));
            let url = self.web.address("", &query);
            let at = shown(&url);
            let wrong = |why: String| Report::new(cannot()).because(format!("{at}: {why}")).hint("try again later");
            let reply = self.web.get(&url, LARGEST_PAGE, cancel, &|_| ()).map_err(|error| error.report(cannot()))?;
            if reply.status != 200 {
                return Err(wrong(format!("status {}", reply.status)));
            }
            let page = page(&reply.body).map_err(wrong)?;
            for (name, size) in page.files {
                if !(name.starts_with(&prefix) && name.ends_with(".jsonl.gz")) {
                    continue;
                }
                if size > LARGEST_BATCH {
                    return Err(wrong(format!("`{name}` has {size} bytes, more than the {LARGEST_BATCH} of a batch")));
                }
                batches.push(Batch { name, size });
            }
            let Some(token) = page.next else { break };
            if !seen.insert(token.clone()) || seen.len() > MOST_PAGES {
                return Err(wrong("its pages do not end".to_owned()));
            }
            next = Some(token);
        }
        batches.sort_by_key(|batch| (batch.name.len(), batch.name.clone()));
        batches.dedup();
        Ok(batches)
    }
}

/// Reads S3's `ListBucketResult`.
fn page(body: &[u8]) -> Result<Page, String> {
    let text = std::str::from_utf8(body).map_err(|_| "it is not UTF-8".to_owned())?;
    let document = roxmltree::Document::parse(text).map_err(|error| format!("it is no list: {error}"))?;
    let root = document.root_element();
    if root.tag_name().name() != "ListBucketResult" {
        return Err(format!("it is no list, but `{}`", root.tag_name().name().escape_debug()));
    }
    let of = |node: roxmltree::Node<'_, '_>, name: &str| {
        let child = node.children().find(|child| child.tag_name().name() == name);
        child.and_then(|child| child.text()).map(str::to_owned)
    };
    let mut page = Page::default();
    for node in root.children().filter(|node| node.tag_name().name() == "Contents") {
        let key = of(node, "Key").ok_or("a file of its list has no name")?;
        let size = of(node, "Size").and_then(|size| size.trim().parse().ok());
        page.files.push((key, size.ok_or("a file of its list has no size")?));
    }
    if of(root, "IsTruncated").is_some_and(|truncated| truncated.trim() == "true") {
        page.next = Some(of(root, "NextContinuationToken").ok_or("its list goes on nowhere")?);
    }
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_read_and_what_is_none_is_refused() {
        let text = "<?xml version=\"1.0\"?><ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
                    <IsTruncated>true</IsTruncated><Contents><Key>v1/a&amp;b</Key><Size>12</Size></Contents>\
                    <NextContinuationToken>1/x+=</NextContinuationToken></ListBucketResult>";
        let read = page(text.as_bytes()).expect("is a page");
        assert_eq!(read, Page { files: vec![("v1/a&b".into(), 12)], next: Some("1/x+=".into()) });
        for wrong in ["<html><body>sign in</body></html>", "", "{}", "<ListBucketResult><Contents/></ListBucketResult>"]
        {
            assert!(page(wrong.as_bytes()).is_err(), "{wrong}");
        }
        let nowhere = "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>";
        assert!(page(nowhere.as_bytes()).is_err());
    }
}
