//! Columns of Parquet files as vectors: written into row groups and read out of them, with lists and empty places.
//! Not here: which columns the files of an index have (`tables_out.rs`, `tables_in.rs`).

use std::fs::File;
use std::io::{self, BufWriter};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use parquet::basic::{Compression, ZstdLevel};
use parquet::column::reader::{ColumnReader, get_typed_column_reader};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, DoubleType, FloatType, Int32Type, Int64Type};
use parquet::errors::{ParquetError, Result};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::reader::RowGroupReader;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::SchemaDescriptor;

/// How hard zstd tries: files are a sixth smaller than by Snappy.
const LEVEL: i32 = 3;

/// The values of a column. Parquet stores unsigned integers as the signed ones of the same bits.
pub enum Values {
    Flags(Vec<bool>),
    Int32(Vec<i32>),
    Int64(Vec<i64>),
    Float(Vec<f32>),
    Double(Vec<f64>),
    Text(Vec<ByteArray>),
}

/// One column of a row group.
pub struct Column {
    values: Values,
    /// Which places have a value, and which values begin a row; the values of a list or of a column with empty places.
    levels: Option<(Vec<i16>, Vec<i16>)>,
}

impl Column {
    /// A value for each row.
    pub const fn each(values: Values) -> Self {
        Self { values, levels: None }
    }

    /// A value or none for each row.
    pub fn perhaps(values: impl Iterator<Item = Option<f64>>) -> Self {
        let values: Vec<Option<f64>> = values.collect();
        let defined = values.iter().map(|value| i16::from(value.is_some())).collect();
        Self { values: Values::Double(values.into_iter().flatten().collect()), levels: Some((defined, Vec::new())) }
    }

    /// A text for each of so many rows, or none for any.
    pub fn text_or_none(text: Option<&str>, rows: usize) -> Self {
        let values = text.map_or_else(Vec::new, |text| vec![ByteArray::from(text); rows]);
        let defined = vec![i16::from(text.is_some()); rows];
        Self { values: Values::Text(values), levels: Some((defined, Vec::new())) }
    }

    /// A list for each row, of so many of the values.
    pub fn lists(values: Values, lengths: impl Iterator<Item = usize>) -> Self {
        let (mut defined, mut repeated) = (Vec::new(), Vec::new());
        for length in lengths {
            repeated.push(0);
            repeated.extend(std::iter::repeat_n(1, length.saturating_sub(1)));
            defined.extend(std::iter::repeat_n(i16::from(length > 0), length.max(1)));
        }
        Self { values, levels: Some((defined, repeated)) }
    }

    fn write(&self, to: &mut SerializedColumnWriter<'_>) -> Result<usize> {
        let levels = self.levels.as_ref();
        let defined = levels.map(|(defined, _)| &defined[..]);
        let repeated = levels.map(|(_, repeated)| &repeated[..]).filter(|repeated| !repeated.is_empty());
        match &self.values {
            Values::Flags(values) => to.typed::<BoolType>().write_batch(values, defined, repeated),
            Values::Int32(values) => to.typed::<Int32Type>().write_batch(values, defined, repeated),
            Values::Int64(values) => to.typed::<Int64Type>().write_batch(values, defined, repeated),
            Values::Float(values) => to.typed::<FloatType>().write_batch(values, defined, repeated),
            Values::Double(values) => to.typed::<DoubleType>().write_batch(values, defined, repeated),
            Values::Text(values) => to.typed::<ByteArrayType>().write_batch(values, defined, repeated),
        }
    }
}

/// A file whose row groups are given one by one.
pub struct Writer {
    to: SerializedFileWriter<BufWriter<File>>,
}

impl Writer {
    /// A new file of this schema, in Parquet's own words.
    ///
    /// # Errors
    /// What the disk has against it.
    pub fn new(path: &Path, schema: &str) -> io::Result<Self> {
        let schema = parse_message_type(schema).map_err(unwritten)?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(LEVEL).unwrap_or_default()))
            .set_statistics_enabled(EnabledStatistics::Chunk)
            .set_offset_index_disabled(true)
            .set_max_row_group_row_count(None)
            .set_created_by("saescope".to_owned())
            .build();
        let to = BufWriter::with_capacity(1 << 20, File::create(path)?);
        let to = SerializedFileWriter::new(to, Arc::new(schema), Arc::new(properties)).map_err(unwritten)?;
        Ok(Self { to })
    }

    /// Writes a row group: its columns in the order of the schema.
    ///
    /// # Errors
    /// What the disk has against it.
    pub fn group(&mut self, columns: &[Column]) -> io::Result<()> {
        self.group_of(columns).map_err(unwritten)
    }

    fn group_of(&mut self, columns: &[Column]) -> Result<()> {
        let mut group = self.to.next_row_group()?;
        for column in columns {
            let writer = group.next_column()?;
            let mut writer = writer.ok_or_else(|| ParquetError::General("more columns than the schema has".into()))?;
            column.write(&mut writer)?;
            writer.close()?;
        }
        group.close().map(|_| ())
    }

    /// Writes what stands at the end of the file.
    ///
    /// # Errors
    /// What the disk has against it.
    pub fn end(self) -> io::Result<()> {
        let file = self.to.into_inner().map_err(unwritten)?;
        file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
    }
}

/// The error of the disk behind one of the writer's.
fn unwritten(error: ParquetError) -> io::Error {
    match error {
        ParquetError::External(error) => match error.downcast::<io::Error>() {
            Ok(error) => *error,
            Err(error) => io::Error::other(error),
        },
        error => io::Error::other(error),
    }
}

/// The place of a column in a file, by its path (`histogram.list.element.edge`).
pub fn place(schema: &SchemaDescriptor, path: &str) -> Option<usize> {
    schema.columns().iter().position(|column| column.path().string() == path)
}

/// The values of some rows of a column: `rows` rise and do not meet; each row's values, of which there is one where the
/// column is no list.
pub fn read<T: DataType>(group: &dyn RowGroupReader, column: usize, rows: &[Range<usize>]) -> Result<Vec<Vec<T::T>>>
where
    T::T: Clone,
{
    let reader = group.get_column_reader(column)?;
    if !is_of::<T>(&reader) {
        return Err(ParquetError::General(format!("column {column} has another type")));
    }
    let list = group.metadata().column(column).column_descr().max_rep_level() > 0;
    let mut reader = get_typed_column_reader::<T>(reader);
    let (mut at, mut found) = (0, Vec::new());
    for row in rows {
        let skipped = reader.skip_records(row.start - at)?;
        let (mut values, mut defined, mut repeated) = (Vec::new(), Vec::new(), Vec::new());
        let (records, ..) = reader.read_records(row.len(), Some(&mut defined), Some(&mut repeated), &mut values)?;
        if skipped != row.start - at || records != row.len() {
            return Err(ParquetError::General(format!("column {column} has fewer rows than it should")));
        }
        let mut values = values.into_iter();
        if list {
            for (defined, repeated) in defined.iter().zip(&repeated) {
                if *repeated == 0 {
                    found.push(Vec::new());
                }
                if *defined > 0
                    && let Some(last) = found.last_mut()
                {
                    last.extend(values.next());
                }
            }
        } else {
            found.extend(values.map(|value| vec![value]));
        }
        at = row.end;
    }
    Ok(found)
}

/// Whether a column's values are of this type; asking for another one panics.
pub fn is_of<T: DataType>(reader: &ColumnReader) -> bool {
    let physical = match reader {
        ColumnReader::BoolColumnReader(_) => parquet::basic::Type::BOOLEAN,
        ColumnReader::Int32ColumnReader(_) => parquet::basic::Type::INT32,
        ColumnReader::Int64ColumnReader(_) => parquet::basic::Type::INT64,
        ColumnReader::Int96ColumnReader(_) => parquet::basic::Type::INT96,
        ColumnReader::FloatColumnReader(_) => parquet::basic::Type::FLOAT,
        ColumnReader::DoubleColumnReader(_) => parquet::basic::Type::DOUBLE,
        ColumnReader::ByteArrayColumnReader(_) => parquet::basic::Type::BYTE_ARRAY,
        ColumnReader::FixedLenByteArrayColumnReader(_) => parquet::basic::Type::FIXED_LEN_BYTE_ARRAY,
    };
    physical == T::get_physical_type()
}
