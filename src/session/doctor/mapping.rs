//! Whether published activations are those of the open SAE: the published tokens are run here.
//! Not here: comparing (`analysis::doctor`), and taking rows in (`labels`).

use crate::analysis::doctor::{MappedRow, MappingView};
use crate::report::Report;
use crate::session::failure;
use crate::session::load_scope::{LoadScope, needs_model};
use crate::session::loaded_suite::LoadedSuite;
use crate::session::neuronpedia::activations::Published;
use crate::session::query::{Cx, Lane, Query};
use crate::session::sample::cannot_encode;
use crate::task::{Cancel, Progress};

/// Rows that are compared: the strongest of so many latents.
const ROWS: usize = 10;

/// Compare the examples that were taken in of an SAE's source with what the SAE does here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MappingQuery {
    /// The SAE's id.
    pub sae: String,
}

impl Query for MappingQuery {
    /// None where no examples were taken in, or the suite names no source.
    type Answer = Option<MappingView>;
    const NAME: &'static str = "mapping";
    const LANE: Lane = Lane::Long;
    const PRIORITY: u8 = 89;

    fn run(&self, cx: &mut Cx<'_>) -> Result<Option<MappingView>, Report> {
        let (suite, cancel) = (cx.suite()?, cx.cancel);
        let place = suite.place(&self.sae)?;
        let loaded = &suite.saes[place];
        let Some(source) = &loaded.entry.neuronpedia else { return Ok(None) };
        let shelves = suite.shelves(place);
        let published = shelves.map(|shelves| shelves.some(ROWS, loaded.sae.width())).unwrap_or_default();
        if published.is_empty() {
            return Ok(None);
        }
        if suite.open.reach == LoadScope::WeightsOnly {
            return Err(needs_model("cannot run published tokens".to_owned()));
        }
        let (mut rows, mut left_out) = (Vec::new(), 0);
        for (at, row) in published.iter().enumerate() {
            let (what, total) = ("running published tokens".to_owned(), Some(published.len() as u64));
            (cx.progress)(Progress { what, done: at as u64, total, ..Progress::default() });
            match suite.mapped(place, row, cancel)? {
                Some(row) => rows.push(row),
                None => left_out += 1,
            }
        }
        Ok(Some(MappingView::of(&self.sae, source, &rows, left_out)))
    }
}

impl LoadedSuite {
    /// A row with what is computed here, as the suite has it and with the other beginning; none where the tokenizer does
    /// not have its tokens. The first token of the text is left out: in front of it nothing or one token stands.
    fn mapped(&self, place: usize, row: &Published, cancel: &Cancel) -> Result<Option<MappedRow>, Report> {
        let ids: Option<Vec<u32>> = self.ids_of(&row.tokens, cancel)?.into_iter().collect();
        let Some(ids) = ids else { return Ok(None) };
        let bos = self.model.tokenizer.bos();
        let apart = self.apart().of(&ids);
        let most = self.model.model.shape().context.saturating_sub(1);
        let text = &ids[apart..ids.len().min(apart + most)];
        if text.len() < 2 {
            return Ok(None);
        }
        let run = |with: bool| match (with, bos) {
            (true, None) => Ok(Vec::new()),
            (true, Some(bos)) => self.latent_on(place, row.latent, (Some(bos), text), cancel),
            (false, _) => self.latent_on(place, row.latent, (None, text), cancel),
        };
        let with = self.suite.model.prepend_bos;
        let published = row.values[apart + 1..apart + text.len()].to_vec();
        Ok(Some(MappedRow { latent: row.latent, published, here: run(with)?, otherwise: run(!with)? }))
    }

    /// A latent's activations on a text without its first token.
    fn latent_on(
        &self,
        place: usize,
        latent: u32,
        (bos, text): (Option<u32>, &[u32]),
        cancel: &Cancel,
    ) -> Result<Vec<f32>, Report> {
        let ids: Vec<u32> = bos.into_iter().chain(text.iter().copied()).collect();
        let rows = self.taker().activations(&ids, cancel);
        let rows = rows.map_err(|error| failure::of_model("cannot run published tokens", &error))?;
        let loaded = &self.saes[place];
        let codes = loaded.sae.encode(&rows, cancel).map_err(|error| cannot_encode(&loaded.entry.id, &error))?;
        let value = |row: usize| {
            let pairs = codes.starts[row]..codes.starts[row + 1];
            let of = codes.latents[pairs.clone()].iter().position(|of| *of == latent);
            of.map_or(0.0, |at| codes.values[pairs.start + at])
        };
        Ok((ids.len() - text.len() + 1..ids.len()).map(value).collect())
    }
}
