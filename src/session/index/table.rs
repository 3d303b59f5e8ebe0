//! The column `text` of a Parquet file, row by row.
//! Not here: the files of an index itself.

use std::collections::VecDeque;
use std::fs::File;

use arrow_array::cast::AsArray;
use arrow_array::{Array, RecordBatch};
use arrow_schema::DataType;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use crate::guard;
use crate::report::Report;
use crate::session::index::texts::Source;

/// The column.
const TEXT: &str = "text";
/// Rows that are decoded at a time.
const ROWS: usize = 64;

/// The texts of a file.
pub struct Table {
    name: String,
    rows: ParquetRecordBatchReader,
    ready: VecDeque<String>,
    row: usize,
}

impl Table {
    /// Of a source's file.
    ///
    /// # Errors
    /// That it is not a Parquet, or has no column of texts.
    pub fn open(source: &Source, file: File) -> Result<Self, Report> {
        let name = source.name.clone();
        // What the column was in the library that wrote it does not matter.
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let opened = guard::call(|| ParquetRecordBatchReaderBuilder::try_new_with_options(file, options));
        let builder = opened.map_err(|why| wrong(&name, why))?.map_err(|error| wrong(&name, error.to_string()))?;
        let Some(place) = builder.schema().fields().iter().position(|field| field.name() == TEXT) else {
            let names: Vec<String> =
                builder.schema().fields().iter().map(|field| format!("`{}`", field.name())).collect();
            return Err(Report::new(format!("the text `{name}` has no column `{TEXT}`"))
                .because(format!("its columns are {}", names.join(", ")))
                .hint("write the column under that name"));
        };
        let kind = builder.schema().field(place).data_type().clone();
        if !matches!(kind, DataType::Utf8 | DataType::LargeUtf8 | DataType::Binary) {
            return Err(wrong(&name, format!("its column `{TEXT}` holds {kind}, not text")));
        }
        let mask = ProjectionMask::roots(builder.parquet_schema(), [place]);
        let rows = builder.with_projection(mask).with_batch_size(ROWS).build();
        let rows = rows.map_err(|error| wrong(&name, error.to_string()))?;
        Ok(Self { name, rows, ready: VecDeque::new(), row: 0 })
    }

    /// The next row's text, that of an empty row being empty; none at the end.
    ///
    /// # Errors
    /// That it cannot be decoded.
    pub fn next(&mut self) -> Result<Option<String>, Report> {
        while self.ready.is_empty() {
            let next = guard::call(|| self.rows.next()).map_err(|why| wrong(&self.name, why))?;
            let Some(batch) = next.transpose().map_err(|error| wrong(&self.name, error.to_string()))? else {
                return Ok(None);
            };
            self.take(&batch)?;
        }
        self.row += 1;
        Ok(self.ready.pop_front())
    }

    fn take(&mut self, batch: &RecordBatch) -> Result<(), Report> {
        let column = batch.column(0);
        if let Some(texts) = column.as_string_opt::<i32>() {
            self.ready.extend(texts.iter().map(|text| text.unwrap_or_default().to_owned()));
        } else if let Some(texts) = column.as_string_opt::<i64>() {
            self.ready.extend(texts.iter().map(|text| text.unwrap_or_default().to_owned()));
        } else if let Some(texts) = column.as_binary_opt::<i32>() {
            for (at, text) in texts.iter().enumerate() {
                let text = std::str::from_utf8(text.unwrap_or_default())
                    .map_err(|_| wrong(&self.name, format!("the text of row {} is not UTF-8", self.row + at + 1)))?;
                self.ready.push_back(text.to_owned());
            }
        } else {
            return Err(wrong(&self.name, format!("its column `{TEXT}` holds {}, not text", column.data_type())));
        }
        Ok(())
    }
}

fn wrong(name: &str, why: impl Into<String>) -> Report {
    Report::new(format!("cannot read the text `{name}`")).because(why).hint("give another one with --text PATH")
}
