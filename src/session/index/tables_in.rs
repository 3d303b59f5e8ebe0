//! The Parquet files of an index, read: what stands there of one latent, and nothing of the others.
//! Not here: writing them (`tables_out.rs`).

use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type, Int32Type, UInt8Type, UInt32Type, UInt64Type};
use arrow_array::{Array, RecordBatch};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder, RowSelection, RowSelector,
};

use crate::guard;
use crate::report::Report;
use crate::session::index::tables_out::{EXAMPLES, GROUP, LATENTS, TOKENS, WINDOWS};

/// Most rows that are decoded at once: more than the row groups of any latent have.
const ROWS: usize = 1 << 20;

/// One file, with what stands at its end.
pub struct Table {
    path: PathBuf,
    metadata: ArrowReaderMetadata,
}

/// The files of an index.
pub struct Tables {
    latents: Table,
    examples: Table,
    tokens: Table,
}

/// What stands in `latents`.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    pub count: u64,
    pub sum: f64,
    pub max: f32,
    pub histogram: Vec<(i32, u64)>,
    pub top_tokens: Vec<(u32, u64, f64)>,
}

/// What stands in `examples`.
#[derive(Clone, Debug)]
pub struct Kept {
    pub best: bool,
    pub quantile_bin: u8,
    pub document: u64,
    pub window: u32,
    pub position: u32,
    pub activation: f32,
    pub token_row: u64,
    pub fires: Vec<(u32, f32)>,
}

/// Which rows of a file are read: row groups, and rows among those of these groups.
struct Wanted {
    groups: Vec<usize>,
    rows: Vec<Range<usize>>,
}

impl Tables {
    /// Opens all three; `path` says where a file is.
    ///
    /// # Errors
    /// That one is not there or no Parquet.
    pub fn open(path: &dyn Fn(&str) -> PathBuf) -> Result<Self, Report> {
        let open = |name| Table::open(&path(name));
        Ok(Self { latents: open(LATENTS)?, examples: open(EXAMPLES)?, tokens: open(TOKENS)? })
    }

    /// What stands in `latents` of one latent, the row groups of whose SAE begin at `first`.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub fn figures(&self, sae: &str, first: usize, latent: u32) -> Result<Figures, Report> {
        let at = latent as usize % GROUP;
        let wanted =
            Wanted { groups: vec![first + latent as usize / GROUP], rows: std::iter::once(at..at + 1).collect() };
        let batch = self.latents.read(&wanted, &[])?;
        let found = || {
            let number = |name: &str| Some(batch.column_by_name(name)?.as_primitive_opt::<UInt64Type>()?.value(0));
            let named = batch.column_by_name("sae")?.as_string_opt::<i32>()?.value(0) == sae;
            let numbered = batch.column_by_name("latent")?.as_primitive_opt::<UInt32Type>()?.value(0) == latent;
            let bins = batch.column_by_name("histogram")?.as_list_opt::<i32>()?.value(0);
            let bins = bins.as_struct_opt()?;
            let edges = bins.column_by_name("edge")?.as_primitive_opt::<Int32Type>()?;
            let counts = bins.column_by_name("count")?.as_primitive_opt::<UInt64Type>()?;
            let tops = batch.column_by_name("top_tokens")?.as_list_opt::<i32>()?.value(0);
            let tops = tops.as_struct_opt()?;
            let ids = tops.column_by_name("id")?.as_primitive_opt::<UInt32Type>()?;
            let on = tops.column_by_name("count")?.as_primitive_opt::<UInt64Type>()?;
            let means = tops.column_by_name("mean")?.as_primitive_opt::<Float64Type>()?;
            (named && numbered).then_some(())?;
            Some(Figures {
                count: number("count")?,
                sum: batch.column_by_name("sum")?.as_primitive_opt::<Float64Type>()?.value(0),
                max: batch.column_by_name("max")?.as_primitive_opt::<Float32Type>()?.value(0),
                histogram: (0..bins.len()).map(|at| (edges.value(at), counts.value(at))).collect(),
                top_tokens: (0..tops.len()).map(|at| (ids.value(at), on.value(at), means.value(at))).collect(),
            })
        };
        if batch.num_rows() == 1 { found() } else { None }
            .ok_or_else(|| self.latents.broken("it has not the rows it should"))
    }

    /// What stands in `examples` of one latent, in this row group.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub fn examples(&self, group: usize, latent: u32) -> Result<Vec<Kept>, Report> {
        let numbers = self.examples.read(&Wanted { groups: vec![group], rows: Vec::new() }, &["latent"])?;
        let broken = || self.examples.broken("it has not the columns it should");
        let numbers = numbers.column_by_name("latent").and_then(|of| of.as_primitive_opt::<UInt32Type>());
        let numbers = numbers.ok_or_else(broken)?.values();
        let rows = numbers.partition_point(|of| *of < latent)..numbers.partition_point(|of| *of <= latent);
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let batch = self.examples.read(&Wanted { groups: vec![group], rows: vec![rows] }, &[])?;
        kept(&batch).ok_or_else(broken)
    }

    /// The tokens of windows by their rows in `tokens`, in any order.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub fn ids(&self, rows: &[u64]) -> Result<Vec<Vec<u32>>, Report> {
        let mut sorted: Vec<usize> = rows.iter().map(|row| *row as usize).collect();
        sorted.sort_unstable();
        sorted.dedup();
        let mut wanted = Wanted { groups: Vec::new(), rows: Vec::new() };
        for row in &sorted {
            let group = row / WINDOWS;
            if wanted.groups.last() != Some(&group) {
                wanted.groups.push(group);
            }
            let at = (wanted.groups.len() - 1) * WINDOWS + row % WINDOWS;
            wanted.rows.push(at..at + 1);
        }
        if sorted.is_empty() {
            return Ok(Vec::new());
        }
        let batch = self.tokens.read(&wanted, &["ids"])?;
        let broken = || self.tokens.broken("it has not the rows it should");
        let lists = batch.column_by_name("ids").and_then(|ids| ids.as_list_opt::<i32>()).ok_or_else(broken)?;
        let of = |row: &u64| {
            let at = sorted.binary_search(&(*row as usize)).ok().filter(|at| *at < lists.len())?;
            Some(lists.value(at).as_primitive_opt::<UInt32Type>()?.values().to_vec())
        };
        rows.iter().map(of).collect::<Option<_>>().ok_or_else(broken)
    }
}

fn kept(batch: &RecordBatch) -> Option<Vec<Kept>> {
    let small = |name: &str| batch.column_by_name(name)?.as_primitive_opt::<UInt32Type>();
    let large = |name: &str| batch.column_by_name(name)?.as_primitive_opt::<UInt64Type>();
    let best = batch.column_by_name("best")?.as_boolean_opt()?;
    let bins = batch.column_by_name("quantile_bin")?.as_primitive_opt::<UInt8Type>()?;
    let activations = batch.column_by_name("activation")?.as_primitive_opt::<Float32Type>()?;
    let (documents, rows) = (large("document")?, large("token_row")?);
    let (windows, positions) = (small("window")?, small("position")?);
    let fires = batch.column_by_name("fires")?.as_list_opt::<i32>()?;
    let of = |at: usize| {
        let fires = fires.value(at);
        let fires = fires.as_struct_opt()?;
        let places = fires.column_by_name("position")?.as_primitive_opt::<UInt32Type>()?;
        let values = fires.column_by_name("activation")?.as_primitive_opt::<Float32Type>()?;
        Some(Kept {
            best: best.value(at),
            quantile_bin: bins.value(at),
            document: documents.value(at),
            window: windows.value(at),
            position: positions.value(at),
            activation: activations.value(at),
            token_row: rows.value(at),
            fires: (0..fires.len()).map(|at| (places.value(at), values.value(at))).collect(),
        })
    };
    (0..batch.num_rows()).map(of).collect()
}

impl Table {
    fn open(path: &Path) -> Result<Self, Report> {
        let file = File::open(path).map_err(|error| broken(path, error.to_string()))?;
        let loaded = guard::call(|| ArrowReaderMetadata::load(&file, ArrowReaderOptions::new()));
        let loaded = loaded.map_err(|why| broken(path, why))?;
        let metadata = loaded.map_err(|error| broken(path, error.to_string()))?;
        Ok(Self { path: path.to_owned(), metadata })
    }

    fn broken(&self, why: &str) -> Report {
        broken(&self.path, why)
    }

    /// These rows as one batch; all columns where none are named.
    fn read(&self, wanted: &Wanted, columns: &[&str]) -> Result<RecordBatch, Report> {
        if wanted.groups.iter().any(|group| *group >= self.metadata.metadata().num_row_groups()) {
            return Err(self.broken("it has fewer row groups than it should"));
        }
        let rows = |group: &usize| self.metadata.metadata().row_group(*group).num_rows().max(0) as usize;
        let rows = wanted.groups.iter().map(rows).sum::<usize>().clamp(1, ROWS);
        let file = File::open(&self.path).map_err(|error| broken(&self.path, error.to_string()))?;
        let read = guard::call(|| -> Result<Option<RecordBatch>, String> {
            let mut builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, self.metadata.clone())
                .with_row_groups(wanted.groups.clone())
                .with_batch_size(rows);
            if !columns.is_empty() {
                let fields = builder.schema().fields().iter().enumerate();
                let named = fields.filter(|(_, field)| columns.contains(&field.name().as_str()));
                let roots: Vec<usize> = named.map(|(at, _)| at).collect();
                let mask = ProjectionMask::roots(builder.parquet_schema(), roots);
                builder = builder.with_projection(mask);
            }
            if !wanted.rows.is_empty() {
                builder = builder.with_row_selection(selection(&wanted.rows));
            }
            let mut batches = builder.build().map_err(|error| error.to_string())?;
            batches.next().transpose().map_err(|error| error.to_string())
        });
        let read = read.and_then(|read| read).map_err(|why| broken(&self.path, why))?;
        read.ok_or_else(|| self.broken("it has not the rows it should"))
    }
}

/// The selection of these rows, which rise and do not meet.
fn selection(rows: &[Range<usize>]) -> RowSelection {
    let (mut selectors, mut from) = (Vec::new(), 0);
    for row in rows {
        selectors.push(RowSelector::skip(row.start - from));
        selectors.push(RowSelector::select(row.len()));
        from = row.end;
    }
    selectors.into()
}

fn broken(path: &Path, why: impl Into<String>) -> Report {
    Report::new(format!("cannot read `{}` of the index", path.display()))
        .because(why)
        .hint("build the index again, into another folder or after this one is deleted")
}
