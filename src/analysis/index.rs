//! A corpus counted, latent by latent: how often each fires and how strongly, on which tokens, and the places worth
//! showing. Not here: files, text, and running a model.
//!
//! Everything that is counted is independent of the order in which windows are counted, as long as the windows of one
//! document follow each other: sums are integers, the best places and the samples are the first by an order of their
//! own. So any number of threads, and any split of the documents into shards, gives the same bytes.

mod best;
mod corpus;
mod edges;
mod frequency;
mod latent;
mod packed;
mod row;
mod sinks;
mod spot;
mod state;
mod view;

pub use corpus::{Corpus, Rule, SaeTally, WindowAt};
pub use edges::{EDGES, edge_of, lower, middle};
pub use frequency::{DENSE, LatentFrequency};
pub use latent::{SAMPLE, Tally};
pub use row::{LatentRow, RowExample};
pub use sinks::sinks;
pub use spot::{Spot, mix};
pub use state::{BadState, Reader, Writer};
pub use view::{
    ActivationHistogram, CorpusToken, Example, ExampleSource, IndexMeta, IndexNews, IndexSae, IndexView, LatentCorpus,
    MembersCorpus, MetaCorpus, Quantiles, SkippedPositions, TopToken,
};
