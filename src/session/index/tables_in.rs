//! The Parquet files of an index, read: what stands there of one latent, and nothing of the others.
//! Not here: writing them (`tables_out.rs`).

use std::fs::File;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, DoubleType, FloatType, Int32Type, Int64Type};
use parquet::errors::{ParquetError, Result as Parquet};
use parquet::file::reader::{ChunkReader, FileReader, RowGroupReader, SerializedFileReader};

use crate::analysis::index::EDGES;
use crate::blob::{Blob, Location};
use crate::guard;
use crate::report::Report;
use crate::session::index::columns;
use crate::session::index::stored::Stored;
use crate::session::index::tables_out::{EXAMPLES, GROUP, LATENTS, TOKENS, WINDOWS};

/// One file, with what stands at its end. Readers of one file share its position, so there is one at a time.
pub struct Table {
    name: String,
    reader: Mutex<Box<dyn FileReader>>,
}

/// Rows of one of its row groups.
struct Rows<'a> {
    group: &'a dyn RowGroupReader,
    rows: &'a [Range<usize>],
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

impl Tables {
    /// Opens all three.
    ///
    /// # Errors
    /// That one is not there or no Parquet.
    pub fn open(stored: &Stored) -> Result<Self, Report> {
        let open = |name| match stored.blob(name) {
            Ok(blob) => Table::open(&blob),
            Err(error) => Err(broken(name, error.to_string())),
        };
        Ok(Self { latents: open(LATENTS)?, examples: open(EXAMPLES)?, tokens: open(TOKENS)? })
    }

    /// What stands in `latents` of some latents, which rise, of the SAE whose row groups begin at `first`.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub fn figures(&self, sae: &str, first: usize, latents: &[u32]) -> Result<Vec<Figures>, Report> {
        let mut all = Vec::with_capacity(latents.len());
        for of_group in latents.chunk_by(|a, b| *a as usize / GROUP == *b as usize / GROUP) {
            let at = |latent: &u32| *latent as usize % GROUP;
            let rows: Vec<Range<usize>> = of_group.iter().map(|latent| at(latent)..at(latent) + 1).collect();
            let group = first + of_group[0] as usize / GROUP;
            let found = self.latents.read(group, |group| figures(&Rows { group, rows: &rows }, sae, of_group))?;
            all.extend(found.ok_or_else(|| self.latents.broken("it has not the rows it should"))?);
        }
        Ok(all)
    }

    /// What stands in `examples` of one latent, in this row group.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub fn examples(&self, group: usize, latent: u32) -> Result<Vec<Kept>, Report> {
        self.examples.read(group, |group| {
            let all = 0..group.metadata().num_rows().max(0) as usize;
            let numbers = Rows { group, rows: &[all] }.all::<Int32Type>("latent")?;
            let before = |of: &i32, most: u32| of.cast_unsigned() < most;
            let from = numbers.partition_point(|of| before(of, latent));
            let to = numbers.partition_point(|of| before(of, latent.saturating_add(1)));
            let rows = from..to;
            if rows.is_empty() { Ok(Vec::new()) } else { kept(&Rows { group, rows: &[rows] }) }
        })
    }

    /// The tokens of windows by their rows in `tokens`, in any order.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub fn ids(&self, rows: &[u64]) -> Result<Vec<Vec<u32>>, Report> {
        let mut sorted: Vec<usize> = rows.iter().map(|row| *row as usize).collect();
        sorted.sort_unstable();
        sorted.dedup();
        let mut lists = Vec::with_capacity(sorted.len());
        for of_group in sorted.chunk_by(|a, b| a / WINDOWS == b / WINDOWS) {
            let within: Vec<Range<usize>> = of_group.iter().map(|row| row % WINDOWS..row % WINDOWS + 1).collect();
            let read =
                |group: &dyn RowGroupReader| Rows { group, rows: &within }.lists::<Int32Type>("ids.list.element");
            lists.extend(self.tokens.read(of_group[0] / WINDOWS, read)?);
        }
        let of = |row: &u64| {
            let list: &Vec<i32> = lists.get(sorted.binary_search(&(*row as usize)).ok()?)?;
            Some(list.iter().map(|id| id.cast_unsigned()).collect())
        };
        let broken = || self.tokens.broken("it has not the rows it should");
        rows.iter().map(of).collect::<Option<_>>().ok_or_else(broken)
    }
}

/// None where the rows are those of others, or hold what no activation has.
fn figures(of: &Rows<'_>, sae: &str, latents: &[u32]) -> Parquet<Option<Vec<Figures>>> {
    let names = of.all::<ByteArrayType>("sae")?;
    let numbers = of.all::<Int32Type>("latent")?;
    let of_others = |(number, latent): (&i32, &u32)| number.cast_unsigned() != *latent;
    if numbers.iter().zip(latents).any(of_others) || names.iter().any(|name| *name != ByteArray::from(sae)) {
        return Ok(None);
    }
    let (counts, sums) = (of.all::<Int64Type>("count")?, of.all::<DoubleType>("sum")?);
    let largest = of.all::<FloatType>("max")?;
    let edges = of.lists::<Int32Type>("histogram.list.element.edge")?;
    let bins = of.lists::<Int64Type>("histogram.list.element.count")?;
    let ids = of.lists::<Int32Type>("top_tokens.list.element.id")?;
    let tops = of.lists::<Int64Type>("top_tokens.list.element.count")?;
    let means = of.lists::<DoubleType>("top_tokens.list.element.mean")?;
    let figures = |row: usize| {
        let bins = edges[row].iter().zip(&bins[row]);
        let tops = ids[row].iter().zip(&tops[row]).zip(&means[row]);
        Figures {
            count: counts[row].cast_unsigned(),
            sum: sums[row],
            max: largest[row],
            histogram: bins.map(|(edge, count)| (*edge, count.cast_unsigned())).collect(),
            top_tokens: tops.map(|((id, count), mean)| (id.cast_unsigned(), count.cast_unsigned(), *mean)).collect(),
        }
    };
    let figures: Vec<Figures> = (0..latents.len()).map(figures).collect();
    let rises = |of: &Figures| of.histogram.windows(2).all(|two| two[0].0 < two[1].0);
    let known = |of: &Figures| of.histogram.iter().all(|(edge, _)| EDGES.contains(edge));
    Ok(figures.iter().all(|of| rises(of) && known(of)).then_some(figures))
}

fn kept(of: &Rows<'_>) -> Parquet<Vec<Kept>> {
    let (best, bins) = (of.all::<BoolType>("best")?, of.all::<Int32Type>("quantile_bin")?);
    let (documents, windows) = (of.all::<Int64Type>("document")?, of.all::<Int32Type>("window")?);
    let (positions, activations) = (of.all::<Int32Type>("position")?, of.all::<FloatType>("activation")?);
    let rows = of.all::<Int64Type>("token_row")?;
    let places = of.lists::<Int32Type>("fires.list.element.position")?;
    let values = of.lists::<FloatType>("fires.list.element.activation")?;
    let fires = places
        .into_iter()
        .zip(values)
        .map(|(places, values)| places.into_iter().map(i32::cast_unsigned).zip(values).collect());
    if bins.iter().any(|bin| !(1..=10).contains(bin)) {
        return Err(ParquetError::General("an example is in no tenth".into()));
    }
    let kept = fires.enumerate().map(|(at, fires)| Kept {
        best: best[at],
        quantile_bin: bins[at] as u8,
        document: documents[at].cast_unsigned(),
        window: windows[at].cast_unsigned(),
        position: positions[at].cast_unsigned(),
        activation: activations[at],
        token_row: rows[at].cast_unsigned(),
        fires,
    });
    Ok(kept.collect())
}

impl Rows<'_> {
    /// The values of each row of a column of lists.
    fn lists<T: DataType>(&self, path: &str) -> Parquet<Vec<Vec<T::T>>> {
        let schema = self.group.metadata().schema_descr();
        let column = columns::place(schema, path);
        let column = column.ok_or_else(|| ParquetError::General(format!("there is no column {path}")))?;
        let found = columns::read::<T>(self.group, column, self.rows)?;
        let rows: usize = self.rows.iter().map(Range::len).sum();
        if found.len() == rows {
            Ok(found)
        } else {
            Err(ParquetError::General(format!("column {path} has empty places")))
        }
    }

    /// The value of each row of a column that is no list.
    fn all<T: DataType>(&self, path: &str) -> Parquet<Vec<T::T>> {
        let values: Vec<T::T> = self.lists::<T>(path)?.into_iter().flatten().collect();
        let rows: usize = self.rows.iter().map(Range::len).sum();
        if values.len() == rows {
            Ok(values)
        } else {
            Err(ParquetError::General(format!("column {path} is one of lists")))
        }
    }
}

impl Table {
    fn open(blob: &Blob) -> Result<Self, Report> {
        let wrong = |why: String| broken(blob.name(), why);
        let opened = match blob.place() {
            Location::Embedded(bytes) => guard::call(|| reader(Bytes::from_static(bytes))),
            Location::Path(path) => {
                let file = File::open(path).map_err(|error| wrong(error.to_string()))?;
                guard::call(|| reader(file))
            }
        };
        let reader = opened.map_err(wrong)?.map_err(|error| wrong(error.to_string()))?;
        Ok(Self { name: blob.name().to_owned(), reader: Mutex::new(reader) })
    }

    fn broken(&self, why: &str) -> Report {
        broken(&self.name, why)
    }

    /// What `read` takes out of a row group.
    fn read<T>(&self, group: usize, read: impl FnOnce(&dyn RowGroupReader) -> Parquet<T>) -> Result<T, Report> {
        let reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        if group >= reader.num_row_groups() {
            return Err(self.broken("it has fewer row groups than it should"));
        }
        let found = guard::call(|| read(&*reader.get_row_group(group)?));
        found.map_err(|why| self.broken(&why))?.map_err(|error| self.broken(&error.to_string()))
    }
}

fn reader(from: impl ChunkReader + 'static) -> Parquet<Box<dyn FileReader>> {
    Ok(Box::new(SerializedFileReader::new(from)?))
}

fn broken(name: &str, why: impl Into<String>) -> Report {
    Report::new(format!("cannot read `{name}` of the index"))
        .because(why)
        .hint("build the index again, into another folder or after this one is deleted")
}
