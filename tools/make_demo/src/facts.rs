//! Does the model know the facts? Every question of the world, asked and counted.
//! It does not make the questions; that is `corpus.rs`.

use std::collections::BTreeMap;

use anyhow::Result;
use candle_core::{Device, Tensor};
use tokenizers::Tokenizer;

use crate::corpus::Question;
use crate::lm::Model;
use crate::tokens;

/// Questions answered right and questions asked, by relation.
pub type Score = BTreeMap<&'static str, (usize, usize)>;

/// One question as tokens; the answer is what follows `prompt` tokens.
struct Asked {
    relation: &'static str,
    ids: Vec<u32>,
    prompt: usize,
}

/// Texts of a forward pass.
const BATCH: usize = 64;

/// An answer is right when each of its tokens is the model's first choice after what stands before it.
pub fn score(model: &Model, tokenizer: &Tokenizer, questions: &[Question]) -> Result<Score> {
    let mut asked = questions.iter().map(|q| ask(tokenizer, q)).collect::<Result<Vec<_>>>()?;
    asked.sort_by_key(|a| a.ids.len());
    let mut out = Score::new();
    for batch in asked.chunks(BATCH) {
        for (question, right) in batch.iter().zip(answered(model, batch)?) {
            let entry = out.entry(question.relation).or_default();
            entry.0 += usize::from(right);
            entry.1 += 1;
        }
    }
    Ok(out)
}

/// Right and asked over all relations.
pub fn overall(score: &Score) -> (usize, usize) {
    score.values().fold((0, 0), |sum, s| (sum.0 + s.0, sum.1 + s.1))
}

fn ask(tokenizer: &Tokenizer, question: &Question) -> Result<Asked> {
    let mut ids = vec![0];
    ids.extend(tokens::encode(tokenizer, &question.prompt)?);
    let prompt = ids.len();
    ids.extend(tokens::encode(tokenizer, &question.answer)?);
    Ok(Asked { relation: question.relation, ids, prompt })
}

fn answered(model: &Model, batch: &[Asked]) -> Result<Vec<bool>> {
    let length = batch.iter().map(|a| a.ids.len()).max().unwrap_or(1);
    let mut ids = Vec::with_capacity(batch.len() * length);
    let (mut places, mut wanted) = (Vec::new(), Vec::new());
    for (text, asked) in batch.iter().enumerate() {
        for at in asked.prompt..asked.ids.len() {
            places.push((text * length + at - 1) as u32);
            wanted.push((text, asked.ids[at]));
        }
        ids.extend(&asked.ids);
        ids.resize((text + 1) * length, 0);
    }
    let x = model.residual(&ids, length, model.shape.layers)?;
    let x = x.index_select(&Tensor::from_vec(places, wanted.len(), &Device::Cpu)?, 0)?;
    let first: Vec<u32> = model.logits(&x)?.argmax(1)?.to_vec1()?;
    let mut right = vec![true; batch.len()];
    for ((text, want), got) in wanted.into_iter().zip(first) {
        right[text] &= want == got;
    }
    Ok(right)
}

/// The text that the model writes after a prompt, always taking its first choice.
pub fn complete(model: &Model, tokenizer: &Tokenizer, prompt: &str, count: usize) -> Result<String> {
    let mut ids = vec![0];
    ids.extend(tokens::encode(tokenizer, prompt)?);
    let start = ids.len();
    for _ in 0..count {
        let x = model.residual(&ids, ids.len(), model.shape.layers)?;
        let last = x.narrow(0, ids.len() - 1, 1)?;
        let next = model.logits(&last)?.argmax(1)?.to_vec1::<u32>()?[0];
        if next == 0 {
            break;
        }
        ids.push(next);
    }
    tokens::decode(tokenizer, &ids[start..])
}
