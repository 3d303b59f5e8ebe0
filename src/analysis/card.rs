//! A latent's card: what single directions say.
//! Not here: prompts, and the search for latents.

use crate::analysis::{Class, LadderEntry, LatentCard, Neighbour, Seen, TokenValue, notes_on, tokens};
use crate::kernel::{self, View};
use crate::model::{Tokenizer, TopLogits, Unembedding};
use crate::sae::{Error, Sae};
use crate::weights::Array;

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
