//! A latent's card and the search for latents: what single directions say.
//! Not here: prompts.

use crate::analysis::{Class, LadderEntry, LatentCard, Neighbour, Seen, TokenValue, notes_on, tokens};
use crate::kernel::{self, View};
use crate::model::{Tokenizer, TopLogits, Unembedding};
use crate::sae::{Error, Sae};
use crate::weights::Array;

/// Latents that a search gives at most.
const FOUND: usize = 200;
/// Tokens that a search by text looks at when no token is the text itself.
const CONTAINING: usize = 16;

/// What turns directions into words.
#[derive(Clone, Copy)]
pub struct LogitLens<'a> {
    /// The model's end.
    pub unembedding: &'a Unembedding,
    /// The model's tokenizer.
    pub tokenizer: &'a Tokenizer,
    /// What directions of the SAE's site write into the residual stream, [size, d_model]; none where the site lies in it.
    pub outputs: Option<&'a Array>,
}

impl LogitLens<'_> {
    /// The tokens that some directions, [rows, size], promote and suppress most.
    ///
    /// A row of zeros is not a direction: it promotes and suppresses nothing.
    #[must_use]
    pub fn top_logits(&self, directions: View<'_>, count: usize) -> Vec<TopLogits> {
        let mut top_logits = self.top_logits_of_all(directions, count);
        for (row, top_logits) in top_logits.iter_mut().enumerate() {
            if (0..directions.cols()).all(|col| directions.at(row, col) == 0.0) {
                *top_logits = TopLogits::default();
            }
        }
        top_logits
    }

    fn top_logits_of_all(&self, directions: View<'_>, count: usize) -> Vec<TopLogits> {
        let Some(outputs) = self.outputs.filter(|outputs| outputs.shape().first() == Some(&directions.cols())) else {
            return self.unembedding.top_logits(directions, count);
        };
        let d_model = outputs.len() / directions.cols().max(1);
        let mut written = vec![0.0; directions.rows() * d_model];
        kernel::product(&mut written, directions, View::new(outputs, directions.cols(), d_model));
        self.unembedding.top_logits(View::new(&written, directions.rows(), d_model), count)
    }

    /// The direction of the site whose product with a latent's direction is how much that promotes the token.
    #[must_use]
    pub fn direction(&self, token: u32) -> Vec<f32> {
        let read = self.unembedding.token_direction(token);
        let Some(outputs) = self.outputs else { return read };
        outputs.chunks_exact(read.len().max(1)).map(|row| kernel::dot(row, &read)).collect()
    }
}

/// One SAE of a ladder.
#[derive(Clone, Copy)]
pub struct Rung<'a> {
    /// Its id in the suite.
    pub id: &'a str,
    /// The SAE.
    pub sae: &'a Sae,
}

/// The card of a latent of `rungs[of]`.
///
/// # Errors
/// [`Error::Latent`] when there is no such latent.
pub fn card(
    rungs: &[Rung<'_>],
    of: usize,
    latent: usize,
    words: Option<LogitLens<'_>>,
    threshold: f32,
    top: usize,
    seen: Seen,
) -> Result<LatentCard, Error> {
    let Rung { id, sae } = rungs[of];
    let row = sae.decoder_row(latent)?;
    let (promoted, suppressed) = words.map_or_else(Default::default, |words| {
        let top_logits = words.top_logits(View::new(&row, 1, row.len()), top).pop().unwrap_or_default();
        (tokens::values(&top_logits.promoted, words.tokenizer), tokens::values(&top_logits.suppressed, words.tokenizer))
    });
    let zero = sae.decoder_norm(latent)? == 0.0;
    let mut ladder = Vec::new();
    for (_, other) in rungs.iter().enumerate().filter(|(place, _)| *place != of) {
        let nearest = near(sae, latent, other.sae, top.max(1))?;
        let class = (other.sae.width() < sae.width() && !zero).then(|| Class::of_nearest(&nearest, threshold));
        ladder.push(LadderEntry { sae: other.id.to_owned(), width: other.sae.width(), nearest, class, threshold });
    }
    Ok(LatentCard {
        sae: id.to_owned(),
        latent: latent as u32,
        decoder_norm: sae.decoder_norm(latent)?,
        zero,
        encoder_bias: sae.encoder_bias(latent)?,
        promoted,
        suppressed,
        ladder,
        meta: Vec::new(),
        seen,
        notes: notes_on(sae),
    })
}

/// The `k` latents of `other` nearest to a latent of `sae`, nearest first, ties to the lower index. A decoder row of zeros
/// points nowhere: nothing is near to it, and it is near to nothing.
///
/// # Errors
/// [`Error::Latent`], [`Error::Sizes`].
pub fn near(sae: &Sae, latent: usize, other: &Sae, k: usize) -> Result<Vec<Neighbour>, Error> {
    if sae.decoder_norm(latent)? == 0.0 {
        return Ok(Vec::new());
    }
    let mut near = Vec::new();
    for found in sae.nearest(latent, other, k)? {
        // Only a cosine of exactly 0 can be that of a row of zeros.
        if found.cosine != 0.0 || other.decoder_norm(found.latent as usize)? != 0.0 {
            near.push(found);
        }
    }
    Ok(near)
}

/// The tokens that each of some latents promotes most.
///
/// # Errors
/// [`Error::Latent`] when there is no such latent.
pub fn names(
    sae: &Sae,
    latents: &[u32],
    words: LogitLens<'_>,
    top: usize,
) -> Result<Vec<(u32, Vec<TokenValue>)>, Error> {
    let mut rows = Vec::with_capacity(latents.len() * sae.d_out());
    for &latent in latents {
        rows.extend_from_slice(&sae.decoder_row(latent as usize)?);
    }
    let top_logits = words.top_logits(View::new(&rows, latents.len(), sae.d_out()), top);
    Ok(latents
        .iter()
        .zip(top_logits)
        .map(|(&latent, top_logits)| (latent, tokens::values(&top_logits.promoted, words.tokenizer)))
        .collect())
}

/// Latents found, best first with the value they are ranked by, and how the query was understood.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Matches {
    /// For a person: `promote " Paris"`.
    pub meaning: String,
    /// Latents with their values.
    pub latents: Vec<(u32, f32)>,
}

/// Latents by number, or by how much they promote a token: the token that is the query (with a space before it or
/// without), else those that contain it, else the first token of its spelling.
///
/// # Errors
/// Whatever reading the SAE gives; never for the query's sake.
pub fn search(sae: &Sae, query: &str, words: Option<LogitLens<'_>>) -> Result<Matches, Error> {
    let trimmed = query.trim();
    if let Ok(latent) = trimmed.trim_start_matches('#').parse::<u32>()
        && (latent as usize) < sae.width()
    {
        return Ok(Matches { meaning: format!("latent {latent}"), latents: vec![(latent, 1.0)] });
    }
    let none = |meaning: String| Ok(Matches { meaning, latents: Vec::new() });
    let Some(words) = words else { return none("this site has no directions in token space".to_owned()) };
    if trimmed.is_empty() {
        return none("a number, or text of a token".to_owned());
    }
    let (meaning, wanted) = meaning(trimmed, words.tokenizer);
    let mut best = vec![f32::NEG_INFINITY; sae.width()];
    for &token in &wanted {
        let values = sae.dot_rows(&words.direction(token))?;
        best.iter_mut().zip(values).for_each(|(best, value)| *best = best.max(value));
    }
    if wanted.is_empty() {
        return none(meaning);
    }
    let mut latents = tokens::top(&best, FOUND);
    latents.retain(|(_, value)| *value > 0.0);
    Ok(Matches { meaning, latents })
}

/// The tokens a text stands for, and that in words.
fn meaning(text: &str, tokenizer: &Tokenizer) -> (String, Vec<u32>) {
    let promote = |ids: &[u32], more: &str| {
        let shown: Vec<String> = ids.iter().take(4).map(|id| format!("{:?}", tokens::shown(*id, tokenizer))).collect();
        let dots = if ids.len() > 4 { ", …" } else { "" };
        format!("promote {}{dots}{more}", shown.join(" or "))
    };
    let exact: Vec<u32> =
        [format!(" {text}"), text.to_owned()].iter().filter_map(|text| tokenizer.id_of(text)).collect();
    if !exact.is_empty() {
        return (promote(&exact, ""), exact);
    }
    let mut containing = tokenizer.ids_containing(text);
    containing.truncate(CONTAINING);
    if !containing.is_empty() {
        return (promote(&containing, ""), containing);
    }
    // A word that no single token spells: a latent that promotes it promotes its first piece.
    let first: Vec<u32> = tokenizer.encode(&format!(" {text}")).unwrap_or_default().into_iter().take(1).collect();
    if first.is_empty() {
        return (format!("no token spells {text:?}"), first);
    }
    (promote(&first, &format!(", the first piece of {text:?}")), first)
}
