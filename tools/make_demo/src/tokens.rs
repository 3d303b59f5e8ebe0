//! The tokenizer (byte-level BPE as GPT-2's) and the rows of tokens that training reads.
//! It does not decide what the text says.

use std::path::Path;

use anyhow::{Result, ensure};
use tokenizers::decoders::byte_level::ByteLevel as ByteLevelDecoder;
use tokenizers::models::TrainerWrapper;
use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::{AddedToken, Tokenizer};

/// Begins and ends every document.
pub const END: &str = "<|endoftext|>";

fn foreign(e: tokenizers::Error) -> anyhow::Error {
    anyhow::Error::from_boxed(e)
}

/// Learns merges from the documents until there are `vocab` tokens.
pub fn learn(docs: &[String], vocab: usize) -> Result<Tokenizer> {
    let mut tokenizer = Tokenizer::new(BPE::default());
    tokenizer.with_pre_tokenizer(Some(ByteLevel::new(false, true, true)));
    tokenizer.with_decoder(Some(ByteLevelDecoder::default()));
    tokenizer.with_post_processor(Some(ByteLevel::new(false, false, true)));
    let trainer = BpeTrainer::builder()
        .vocab_size(vocab)
        .min_frequency(2)
        .show_progress(false)
        .special_tokens(vec![AddedToken::from(END, true)])
        .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
        .build();
    let mut trainer = TrainerWrapper::BpeTrainer(trainer);
    tokenizer.train(&mut trainer, docs.iter()).map_err(foreign)?;
    ensure!(tokenizer.token_to_id(END) == Some(0), "{END} must be token 0");
    Ok(tokenizer)
}

pub fn load(file: &Path) -> Result<Tokenizer> {
    Tokenizer::from_file(file).map_err(foreign)
}

pub fn save(tokenizer: &Tokenizer, file: &Path) -> Result<()> {
    tokenizer.save(file, false).map_err(foreign)
}

pub fn encode(tokenizer: &Tokenizer, text: &str) -> Result<Vec<u32>> {
    Ok(tokenizer.encode(text, false).map_err(foreign)?.get_ids().to_vec())
}

/// Rows of `length` tokens. A row begins with a document, and every document with the end token, so
/// that the start of a row means the same as the start of a prompt.
pub fn rows(tokenizer: &Tokenizer, docs: &[String], length: usize) -> Result<Vec<Vec<u32>>> {
    let (mut rows, mut row) = (Vec::new(), Vec::with_capacity(length));
    for doc in docs {
        row.push(0);
        row.extend(encode(tokenizer, doc)?);
        if row.len() >= length {
            row.truncate(length);
            rows.push(std::mem::take(&mut row));
        }
    }
    Ok(rows)
}

pub fn decode(tokenizer: &Tokenizer, ids: &[u32]) -> Result<String> {
    tokenizer.decode(ids, false).map_err(foreign)
}
