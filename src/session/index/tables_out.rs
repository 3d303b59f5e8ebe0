//! The Parquet files of an index, written: `tokens`, `latents`, `examples`.
//! Not here: reading them (`tables_in.rs`), and where the folder is.

use std::io;
use std::path::Path;

use parquet::data_type::ByteArray;
use rayon::prelude::*;

use crate::analysis::Quantiles;
use crate::analysis::index::{Corpus, LatentRow, RowExample, SaeTally, Tally};
use crate::session::index::columns::{Column, Values, Writer};

/// The files.
pub const TOKENS: &str = "tokens.parquet";
/// See [`TOKENS`].
pub const LATENTS: &str = "latents.parquet";
/// See [`TOKENS`].
pub const EXAMPLES: &str = "examples.parquet";
/// Windows of a row group: few, so that some of them are read without the rest.
pub const WINDOWS: usize = 64;
/// Latents of a row group.
pub const GROUP: usize = 256;

/// Writes all three; the corpus must be closed. Gives for each SAE and each group of its latents the row group of its
/// examples.
///
/// # Errors
/// What the disk has against it.
pub fn write(folder: &Path, corpus: &Corpus) -> io::Result<Vec<Vec<Option<u32>>>> {
    write_tokens(&folder.join(TOKENS), corpus)?;
    let mut latents = Writer::new(&folder.join(LATENTS), LATENTS_SCHEMA)?;
    let mut examples = Writer::new(&folder.join(EXAMPLES), EXAMPLES_SCHEMA)?;
    let (mut groups, mut next) = (Vec::new(), 0);
    for sae in &corpus.saes {
        let mut of_sae = Vec::new();
        for (at, tallies) in sae.latents.chunks(GROUP).enumerate() {
            let rows: Vec<LatentRow> =
                tallies.par_iter().map(|tally: &Tally| LatentRow::of(tally, corpus.rule.top)).collect();
            let first = (at * GROUP) as u32;
            latents.group(&latent_columns(sae, first, &rows, corpus.tokens))?;
            let any = rows.iter().any(|row| !row.examples.is_empty());
            if any {
                examples.group(&example_columns(sae, first, &rows, corpus)?)?;
            }
            of_sae.push(any.then_some(next));
            next += u32::from(any);
        }
        groups.push(of_sae);
    }
    latents.end()?;
    examples.end()?;
    Ok(groups)
}

const TOKENS_SCHEMA: &str = "message tokens {
    required int64 document (INTEGER(64, false));
    required int32 window (INTEGER(32, false));
    required group ids (LIST) { repeated group list { required int32 element (INTEGER(32, false)); } }
}";

/// Edge bin j of a histogram reaches from 2^(j/64) to 2^((j+1)/64). Where `meta` names a meta-SAE of `sae`, `latent` is one of
/// its meta-latents.
const LATENTS_SCHEMA: &str = "message latents {
    required binary sae (STRING);
    required int32 latent (INTEGER(32, false));
    required int64 count (INTEGER(64, false));
    required double density;
    required double sum;
    required float max;
    required group histogram (LIST) { repeated group list { required group element {
        required int32 edge;
        required int64 count (INTEGER(64, false));
    } } }
    required group quantiles { optional double p50; optional double p90; optional double p99; }
    required group top_tokens (LIST) { repeated group list { required group element {
        required int32 id (INTEGER(32, false));
        required int64 count (INTEGER(64, false));
        required double mean;
    } } }
    optional binary meta (STRING);
}";

const EXAMPLES_SCHEMA: &str = "message examples {
    required binary sae (STRING);
    required int32 latent (INTEGER(32, false));
    required int32 rank (INTEGER(32, false));
    required boolean best;
    required int32 quantile_bin (INTEGER(8, false));
    required int64 document (INTEGER(64, false));
    required int32 window (INTEGER(32, false));
    required int32 position (INTEGER(32, false));
    required float activation;
    required int64 token_row (INTEGER(64, false));
    required group fires (LIST) { repeated group list { required group element {
        required int32 position (INTEGER(32, false));
        required float activation;
    } } }
    optional binary meta (STRING);
}";

fn write_tokens(path: &Path, corpus: &Corpus) -> io::Result<()> {
    let mut to = Writer::new(path, TOKENS_SCHEMA)?;
    let windows: Vec<(u32, u32, &[u32])> = corpus.windows().collect();
    for group in windows.chunks(WINDOWS) {
        let ids = small(group.iter().flat_map(|(.., ids)| ids.iter().copied()));
        to.group(&[
            Column::each(large(group.iter().map(|(document, ..)| u64::from(*document)))),
            Column::each(small(group.iter().map(|(_, window, _)| *window))),
            Column::lists(ids, group.iter().map(|(.., ids)| ids.len())),
        ])?;
    }
    to.end()
}

fn latent_columns(sae: &SaeTally, first: u32, rows: &[LatentRow], tokens: u64) -> Vec<Column> {
    let all = || rows.iter();
    let density = |row: &LatentRow| row.count as f64 / tokens.max(1) as f64;
    let quantiles: Vec<Quantiles> = all().map(LatentRow::quantiles).collect();
    let quantile = |of: fn(&Quantiles) -> Option<f64>| Column::perhaps(quantiles.iter().map(of));
    let bins = || all().flat_map(|row| &row.histogram);
    let of_bins = |values| Column::lists(values, all().map(|row| row.histogram.len()));
    let tops = || all().flat_map(|row| &row.top_tokens);
    let of_tops = |values| Column::lists(values, all().map(|row| row.top_tokens.len()));
    vec![
        names(&sae.id, rows.len()),
        Column::each(small(first..first + rows.len() as u32)),
        Column::each(large(all().map(|row| row.count))),
        Column::each(Values::Double(all().map(density).collect())),
        Column::each(Values::Double(all().map(|row| row.sum).collect())),
        Column::each(Values::Float(all().map(|row| row.max).collect())),
        of_bins(Values::Int32(bins().map(|(edge, _)| *edge).collect())),
        of_bins(large(bins().map(|(_, count)| *count))),
        quantile(|of| of.half),
        quantile(|of| of.tenth),
        quantile(|of| of.hundredth),
        of_tops(small(tops().map(|(id, ..)| *id))),
        of_tops(large(tops().map(|(_, count, _)| *count))),
        of_tops(Values::Double(tops().map(|(.., mean)| *mean).collect())),
        Column::text_or_none(sae.meta.as_deref(), rows.len()),
    ]
}

fn example_columns(sae: &SaeTally, first: u32, rows: &[LatentRow], corpus: &Corpus) -> io::Result<Vec<Column>> {
    let of_row = |(at, row): (usize, &'_ LatentRow)| {
        let latent = first + at as u32;
        row.examples.iter().enumerate().map(move |(rank, _)| (at, latent, rank)).collect::<Vec<_>>()
    };
    let places: Vec<(usize, u32, usize)> = rows.iter().enumerate().flat_map(of_row).collect();
    let all = || places.iter().map(|(at, latent, rank)| (*latent, *rank, &rows[*at].examples[*rank]));
    let spot = |(_, _, example): (u32, usize, &RowExample)| {
        corpus.place(example.spot.document, example.spot.window).map(|row| row as u64)
    };
    let token_rows: Option<Vec<u64>> = all().map(spot).collect();
    let token_rows = token_rows.ok_or_else(|| io::Error::other("an example is in no window"))?;
    let fires: Vec<Vec<(u16, f32)>> = all().map(|(.., example)| example.spot.fires().collect()).collect();
    let each = || fires.iter().flatten();
    let of_fires = |values| Column::lists(values, fires.iter().map(Vec::len));
    Ok(vec![
        names(&sae.id, places.len()),
        Column::each(small(all().map(|(latent, ..)| latent))),
        Column::each(small(all().map(|(_, rank, _)| rank as u32))),
        Column::each(Values::Flags(all().map(|(.., example)| example.best).collect())),
        Column::each(small(all().map(|(.., example)| u32::from(example.quantile_bin)))),
        Column::each(large(all().map(|(.., example)| u64::from(example.spot.document)))),
        Column::each(small(all().map(|(.., example)| example.spot.window))),
        Column::each(small(all().map(|(.., example)| u32::from(example.spot.position)))),
        Column::each(Values::Float(all().map(|(.., example)| example.spot.activation).collect())),
        Column::each(large(token_rows.into_iter())),
        of_fires(small(each().map(|(position, _)| u32::from(*position)))),
        of_fires(Values::Float(each().map(|(_, activation)| *activation).collect())),
        Column::text_or_none(sae.meta.as_deref(), places.len()),
    ])
}

fn names(id: &str, rows: usize) -> Column {
    Column::each(Values::Text(vec![ByteArray::from(id); rows]))
}

fn small(values: impl Iterator<Item = u32>) -> Values {
    Values::Int32(values.map(u32::cast_signed).collect())
}

fn large(values: impl Iterator<Item = u64>) -> Values {
    Values::Int64(values.map(u64::cast_signed).collect())
}
