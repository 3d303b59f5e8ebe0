//! Downloading a suite, as a question.
//! Not here: how a file is downloaded (`hub`), and which files a suite has (`suite`).

use crate::report::Report;
use crate::session::load_scope::LoadScope;
use crate::session::query::{Cx, Lane, Query};
use crate::suite::Choice;

/// Download what is missing of a suite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PullQuery {
    /// An id of the catalogue or the path of a suite file.
    pub suite: String,
    /// How much of the model.
    pub reach: LoadScope,
}

impl Query for PullQuery {
    /// What `--suite` takes to find it.
    type Answer = String;
    const NAME: &'static str = "pull";
    const LANE: Lane = Lane::Download;
    const PRIORITY: u8 = 0;

    fn run(&self, cx: &mut Cx<'_>) -> Result<String, Report> {
        let setup = cx.setup();
        let suite = setup.suite(&self.suite)?;
        suite.pull_with(&Choice::default(), &self.reach.pick(suite.site), &setup.hub, cx.cancel, cx.progress)?;
        Ok(suite.name)
    }
}
