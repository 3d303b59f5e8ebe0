//! Choosing the text that is measured on.
//! Not here: reading it (`text.rs`), and what of it is kept (`sample.rs`).

use std::path::PathBuf;

use crate::analysis::TextInfo;
use crate::report::Report;
use crate::session::query::{Cx, Lane, Query};

/// Choose the text to measure on; without a file that of the settings, else the suite's own, else the program's. What was
/// measured on another text must be asked for again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextQuery {
    /// A file in UTF-8.
    pub file: Option<PathBuf>,
}

impl Query for TextQuery {
    type Answer = TextInfo;
    const NAME: &'static str = "text";
    const LANE: Lane = Lane::Long;
    const PRIORITY: u8 = 0;

    /// Chooses a text that can be measured on; one that cannot leaves the one before.
    fn run(&self, cx: &mut Cx<'_>) -> Result<TextInfo, Report> {
        let (current, suite) = (cx.current()?, cx.suite()?);
        let before = current.corpus();
        current.choose(self.file.clone(), before.max_tokens);
        let read = suite.sample(&current.corpus(), cx.cancel, cx.progress);
        if read.is_err() {
            current.choose(before.file, before.max_tokens);
        }
        suite.memo.forget_other_texts(current.corpus().generation);
        read.map(|text| text.info.clone())
    }
}
