//! Two prompts through the model, beside each other.
//! Not here: pairing their tokens (`analysis::align`), and what fires (`analysis::compare`).

use std::sync::Arc;

use crate::analysis::align::align;
use crate::analysis::compare::{CompareView, firings, pairs};
use crate::analysis::live::{self, Live};
use crate::analysis::{NextToken, tokens};
use crate::kernel;
use crate::report::Report;
use crate::session::failure;
use crate::session::loaded_suite::LoadedSuite;
use crate::session::prompt::{Typed, typed};
use crate::session::prompt_session::{PromptSession, live};
use crate::session::query::{Cx, Query};
use crate::task::Cancel;

/// Two prompts: what fires at tokens that belong together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompareQuery {
    /// The first prompt, A.
    pub a: String,
    /// The second, B.
    pub b: String,
    /// The SAE's id.
    pub sae: String,
    /// By how many positions partners in B are moved.
    pub shift: isize,
    /// Likeliest next tokens wanted after each token of a pair; 0 where none are, or cannot be had.
    pub next: usize,
}

impl Query for CompareQuery {
    type Answer = CompareView;
    const NAME: &'static str = "compare";
    const PRIORITY: u8 = 94;

    fn run(&self, cx: &mut Cx<'_>) -> Result<CompareView, Report> {
        let cancel = cx.cancel;
        kernel::awake(|| cx.prompt()?.compare(self, cancel))
    }
}

/// The passes of two prompts, kept between two askings.
#[derive(Default)]
pub struct TwoPrompts {
    a: Option<Live>,
    b: Option<Live>,
}

impl TwoPrompts {
    /// Both passes, made where they are not there.
    pub fn both(&mut self, suite: &LoadedSuite) -> (&mut Live, &mut Live) {
        (self.a.get_or_insert_with(|| live(suite)), self.b.get_or_insert_with(|| live(suite)))
    }
}

/// Takes a prompt to the site, where it was not taken before, and encodes it by one SAE.
pub fn take(
    live: &mut Live,
    ids: &[u32],
    place: usize,
    suite: &LoadedSuite,
    cancel: &Cancel,
) -> Result<(), live::Error> {
    if live.ids() != ids {
        live.forward(ids, &*suite.model.model, cancel)?;
    }
    let loaded = &suite.saes[place];
    live.encode(place, &loaded.entry.id, &loaded.sae, cancel)
}

impl PromptSession {
    fn compare(&mut self, asked: &CompareQuery, cancel: &Cancel) -> Result<CompareView, Report> {
        let suite = Arc::clone(self.shared());
        let place = suite.place(&asked.sae)?;
        let of = |prompt: &str| typed(&suite.model, &suite.suite, prompt);
        let (Typed { ids: a, mut notes }, Typed { ids: b, notes: more }) = (of(&asked.a)?, of(&asked.b)?);
        notes.extend(more.into_iter().filter(|note| !notes.contains(note)).collect::<Vec<_>>());
        let views = |ids: &[u32]| tokens::views(ids, &suite.model.tokenizer);
        let mut view = CompareView {
            sae: asked.sae.clone(),
            shift: asked.shift,
            tokens_a: views(&a),
            tokens_b: views(&b),
            notes,
            ..CompareView::default()
        };
        for (name, prompt) in [("A", &asked.a), ("B", &asked.b)] {
            if prompt.is_empty() {
                view.notes.push(format!("prompt {name} is empty: there is nothing to compare with"));
                (view.unpaired_a, view.unpaired_b) = ((0..a.len()).collect(), (0..b.len()).collect());
                return Ok(view);
            }
        }
        let alignment = align(&a, &b, asked.shift);
        if alignment.coarse {
            view.notes.push("the prompts are too long for their longest common subsequence: between their equal ends tokens are paired in order".to_owned());
        }
        let (_, _, two) = self.with::<TwoPrompts>();
        let (live_a, live_b) = two.both(&suite);
        let wrong = |error: live::Error| failure::of_run(&error);
        for (live, ids) in [(&mut *live_a, &a), (&mut *live_b, &b)] {
            take(live, ids, place, &suite, cancel).map_err(wrong)?;
        }
        (view.fires_a, view.fires_b) = (firings(live_a.codes(place)), firings(live_b.codes(place)));
        let next = |live: &mut Live, of: Vec<usize>| after(live, &of, asked.next, &suite, cancel).map_err(wrong);
        let next_a = next(live_a, alignment.pairs.iter().map(|pair| pair.0).collect())?;
        let next_b = next(live_b, alignment.pairs.iter().map(|pair| pair.1).collect())?;
        view.pairs = pairs(&alignment, (&view.fires_a, &view.fires_b), (&next_a, &next_b));
        (view.unpaired_a, view.unpaired_b) = (alignment.unpaired_a, alignment.unpaired_b);
        Ok(view)
    }
}

/// What comes next after some positions, by position; nothing where the model cannot say.
fn after(
    live: &mut Live,
    positions: &[usize],
    count: usize,
    suite: &LoadedSuite,
    cancel: &Cancel,
) -> Result<Vec<Vec<NextToken>>, live::Error> {
    let model = &*suite.model.model;
    if count == 0 || model.check_logits().is_err() {
        return Ok(Vec::new());
    }
    let mut all = vec![Vec::new(); live.ids().len()];
    for (at, next) in live.predict(positions, count, model, &suite.model.tokenizer, cancel)? {
        all[at] = next;
    }
    Ok(all)
}
