//! When the index of a corpus is asked about and read on: when nothing else is asked.
//! Not here: what is kept of it (`index.rs`), and drawing it.

use crate::session::{CorpusQuery, FrequenciesQuery, IndexQuery, LabelsQuery, Query as _, ReadOn};
use crate::tui::app::App;
use crate::tui::msg::Effect;

impl App {
    /// Asks for what there is, and for what is to be read, when nothing else is asked; gives way to everything else.
    pub fn ask_for_index(&mut self, effects: &mut Vec<Effect>) {
        // What the index and labels say of latents is read beside it in a moment.
        let own = [IndexQuery::NAME, CorpusQuery::NAME, FrequenciesQuery::NAME, LabelsQuery::NAME];
        let busy = self.queries().any(|(_, ask)| ask.is_pending() && !own.contains(&ask.slot()));
        let reads = self.index.asked.question().is_some_and(|(query, ())| query.read.is_some());
        if self.index.asked.is_pending() {
            if busy && reads {
                self.index.pause(effects);
            }
            return;
        }
        // What a person waits for first is there when the suite's wiring is known.
        let ready = !busy && (self.weights_only() || self.checkup.question().is_some());
        if !ready {
            return;
        }
        let query = match self.index.wanted {
            Some(seconds) if !self.weights_only() => {
                IndexQuery { read: Some(ReadOn::CoreSeconds(seconds)), ..IndexQuery::default() }
            }
            _ if self.index.asked.question().is_none() => IndexQuery::default(),
            _ => return,
        };
        effects.push(self.index.asked.ask(query, (), &mut self.tickets));
    }
}
