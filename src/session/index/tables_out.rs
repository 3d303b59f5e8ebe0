//! The Parquet files of an index, written: `tokens`, `latents`, `examples`.
//! Not here: reading them (`tables_in.rs`), and where the folder is.

use std::fs::File;
use std::io::{self, BufWriter};
use std::path::Path;
use std::sync::Arc;

use arrow_array::builder::StringBuilder;
use arrow_array::{
    Array, ArrayRef, BooleanArray, Float32Array, Float64Array, Int32Array, ListArray, RecordBatch, StructArray,
    UInt8Array, UInt32Array, UInt64Array,
};
use arrow_buffer::OffsetBuffer;
use arrow_schema::{DataType, Field, Fields, Schema};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use rayon::prelude::*;

use crate::analysis::index::{Corpus, LatentRow, RowExample, SaeTally, Tally};

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
    let mut latents = Writer::new(&folder.join(LATENTS), Arc::new(Schema::new(latent_fields())))?;
    let mut examples = Writer::new(&folder.join(EXAMPLES), Arc::new(Schema::new(example_fields())))?;
    let (mut groups, mut next) = (Vec::new(), 0);
    for sae in &corpus.saes {
        let mut of_sae = Vec::new();
        for (at, tallies) in sae.latents.chunks(GROUP).enumerate() {
            let rows: Vec<LatentRow> =
                tallies.par_iter().map(|tally: &Tally| LatentRow::of(tally, corpus.rule.top)).collect();
            let first = (at * GROUP) as u32;
            latents.group(latent_columns(sae, first, &rows, corpus.tokens)?)?;
            let any = rows.iter().any(|row| !row.examples.is_empty());
            if any {
                examples.group(example_columns(sae, first, &rows, corpus)?)?;
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

/// A file whose row groups are given one by one.
struct Writer {
    schema: Arc<Schema>,
    to: ArrowWriter<BufWriter<File>>,
}

impl Writer {
    fn new(path: &Path, schema: Arc<Schema>) -> io::Result<Self> {
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_statistics_enabled(EnabledStatistics::Chunk)
            .set_offset_index_disabled(true)
            .set_max_row_group_row_count(None)
            .set_created_by("saescope".to_owned())
            .build();
        let to = BufWriter::with_capacity(1 << 20, File::create(path)?);
        let to = ArrowWriter::try_new(to, Arc::clone(&schema), Some(properties)).map_err(unwritten)?;
        Ok(Self { schema, to })
    }

    fn group(&mut self, columns: Vec<ArrayRef>) -> io::Result<()> {
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns).map_err(io::Error::other)?;
        self.to.write(&batch).and_then(|()| self.to.flush()).map_err(unwritten)
    }

    fn end(self) -> io::Result<()> {
        let file = self.to.into_inner().map_err(unwritten)?;
        file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
    }
}

/// The error of the disk behind one of the writer's.
fn unwritten(error: parquet::errors::ParquetError) -> io::Error {
    match error {
        parquet::errors::ParquetError::External(error) => match error.downcast::<io::Error>() {
            Ok(error) => *error,
            Err(error) => io::Error::other(error),
        },
        error => io::Error::other(error),
    }
}

fn write_tokens(path: &Path, corpus: &Corpus) -> io::Result<()> {
    let ids = list_of(DataType::UInt32);
    let fields = vec![
        Field::new("document", DataType::UInt64, false),
        Field::new("window", DataType::UInt32, false),
        Field::new("ids", ids, false),
    ];
    let mut to = Writer::new(path, Arc::new(Schema::new(fields)))?;
    let windows: Vec<(u32, u32, &[u32])> = corpus.windows().collect();
    for group in windows.chunks(WINDOWS) {
        let documents = UInt64Array::from_iter_values(group.iter().map(|(document, ..)| u64::from(*document)));
        let numbers = UInt32Array::from_iter_values(group.iter().map(|(_, window, _)| *window));
        let ids = UInt32Array::from_iter_values(group.iter().flat_map(|(.., ids)| ids.iter().copied()));
        let ids = list(Arc::new(ids), group.iter().map(|(.., ids)| ids.len()))?;
        to.group(vec![Arc::new(documents), Arc::new(numbers), ids])?;
    }
    to.end()
}

fn latent_fields() -> Vec<Field> {
    let quantiles = ["p50", "p90", "p99"].map(|name| Field::new(name, DataType::Float64, true));
    vec![
        Field::new("sae", DataType::Utf8, false),
        Field::new("latent", DataType::UInt32, false),
        Field::new("count", DataType::UInt64, false),
        Field::new("density", DataType::Float64, false),
        Field::new("sum", DataType::Float64, false),
        Field::new("max", DataType::Float32, false),
        Field::new("histogram", list_of(DataType::Struct(histogram_fields())), false),
        Field::new("quantiles", DataType::Struct(Fields::from(quantiles.to_vec())), false),
        Field::new("top_tokens", list_of(DataType::Struct(token_fields())), false),
    ]
}

/// Edge bin j reaches from 2^(j/64) to 2^((j+1)/64).
fn histogram_fields() -> Fields {
    Fields::from(vec![Field::new("edge", DataType::Int32, false), Field::new("count", DataType::UInt64, false)])
}

fn token_fields() -> Fields {
    Fields::from(vec![
        Field::new("id", DataType::UInt32, false),
        Field::new("count", DataType::UInt64, false),
        Field::new("mean", DataType::Float64, false),
    ])
}

fn fires_fields() -> Fields {
    Fields::from(vec![
        Field::new("position", DataType::UInt32, false),
        Field::new("activation", DataType::Float32, false),
    ])
}

fn example_fields() -> Vec<Field> {
    vec![
        Field::new("sae", DataType::Utf8, false),
        Field::new("latent", DataType::UInt32, false),
        Field::new("rank", DataType::UInt32, false),
        Field::new("best", DataType::Boolean, false),
        Field::new("quantile_bin", DataType::UInt8, false),
        Field::new("document", DataType::UInt64, false),
        Field::new("window", DataType::UInt32, false),
        Field::new("position", DataType::UInt32, false),
        Field::new("activation", DataType::Float32, false),
        Field::new("token_row", DataType::UInt64, false),
        Field::new("fires", list_of(DataType::Struct(fires_fields())), false),
    ]
}

fn latent_columns(sae: &SaeTally, first: u32, rows: &[LatentRow], tokens: u64) -> io::Result<Vec<ArrayRef>> {
    let all = || rows.iter();
    let density = |row: &LatentRow| row.count as f64 / tokens.max(1) as f64;
    let quantiles: Vec<_> = all().map(LatentRow::quantiles).collect();
    let quantile = |of: fn(&crate::analysis::Quantiles) -> Option<f64>| -> ArrayRef {
        Arc::new(quantiles.iter().map(of).collect::<Float64Array>())
    };
    let three = vec![quantile(|of| of.half), quantile(|of| of.tenth), quantile(|of| of.hundredth)];
    let DataType::Struct(quantile_fields) = latent_fields()[7].data_type().clone() else {
        return Err(io::Error::other("quantiles are a struct"));
    };
    let bins = || all().flat_map(|row| &row.histogram);
    let bins: Vec<ArrayRef> = vec![
        Arc::new(Int32Array::from_iter_values(bins().map(|(edge, _)| *edge))),
        Arc::new(UInt64Array::from_iter_values(bins().map(|(_, count)| *count))),
    ];
    let tops = || all().flat_map(|row| &row.top_tokens);
    let tops: Vec<ArrayRef> = vec![
        Arc::new(UInt32Array::from_iter_values(tops().map(|(id, ..)| *id))),
        Arc::new(UInt64Array::from_iter_values(tops().map(|(_, count, _)| *count))),
        Arc::new(Float64Array::from_iter_values(tops().map(|(.., mean)| *mean))),
    ];
    Ok(vec![
        names(&sae.id, rows.len()),
        Arc::new(UInt32Array::from_iter_values(first..first + rows.len() as u32)),
        Arc::new(UInt64Array::from_iter_values(all().map(|row| row.count))),
        Arc::new(Float64Array::from_iter_values(all().map(density))),
        Arc::new(Float64Array::from_iter_values(all().map(|row| row.sum))),
        Arc::new(Float32Array::from_iter_values(all().map(|row| row.max))),
        list(structs(histogram_fields(), bins)?, all().map(|row| row.histogram.len()))?,
        structs(quantile_fields, three)?,
        list(structs(token_fields(), tops)?, all().map(|row| row.top_tokens.len()))?,
    ])
}

fn example_columns(sae: &SaeTally, first: u32, rows: &[LatentRow], corpus: &Corpus) -> io::Result<Vec<ArrayRef>> {
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
    let columns: Vec<ArrayRef> = vec![
        Arc::new(UInt32Array::from_iter_values(each().map(|(position, _)| u32::from(*position)))),
        Arc::new(Float32Array::from_iter_values(each().map(|(_, activation)| *activation))),
    ];
    Ok(vec![
        names(&sae.id, places.len()),
        Arc::new(UInt32Array::from_iter_values(all().map(|(latent, ..)| latent))),
        Arc::new(UInt32Array::from_iter_values(all().map(|(_, rank, _)| rank as u32))),
        Arc::new(all().map(|(.., example)| Some(example.best)).collect::<BooleanArray>()),
        Arc::new(UInt8Array::from_iter_values(all().map(|(.., example)| example.quantile_bin))),
        Arc::new(UInt64Array::from_iter_values(all().map(|(.., example)| u64::from(example.spot.document)))),
        Arc::new(UInt32Array::from_iter_values(all().map(|(.., example)| example.spot.window))),
        Arc::new(UInt32Array::from_iter_values(all().map(|(.., example)| u32::from(example.spot.position)))),
        Arc::new(Float32Array::from_iter_values(all().map(|(.., example)| example.spot.activation))),
        Arc::new(UInt64Array::from(token_rows)),
        list(structs(fires_fields(), columns)?, fires.iter().map(Vec::len))?,
    ])
}

fn names(id: &str, rows: usize) -> ArrayRef {
    let mut names = StringBuilder::new();
    (0..rows).for_each(|_| names.append_value(id));
    Arc::new(names.finish())
}

fn list_of(kind: DataType) -> DataType {
    DataType::List(Arc::new(Field::new("element", kind, false)))
}

fn list(values: ArrayRef, lengths: impl Iterator<Item = usize>) -> io::Result<ArrayRef> {
    let field = Arc::new(Field::new("element", values.data_type().clone(), false));
    let list = ListArray::try_new(field, OffsetBuffer::from_lengths(lengths), values, None);
    Ok(Arc::new(list.map_err(io::Error::other)?))
}

fn structs(fields: Fields, columns: Vec<ArrayRef>) -> io::Result<ArrayRef> {
    Ok(Arc::new(StructArray::try_new(fields, columns, None).map_err(io::Error::other)?))
}
