//! The column `text` of a Parquet file, row by row.
//! Not here: the files of an index itself.

use std::collections::VecDeque;
use std::fs::File;

use parquet::basic::{ConvertedType, LogicalType, Type as Physical};
use parquet::column::reader::{ColumnReaderImpl, get_typed_column_reader};
use parquet::data_type::{ByteArray, ByteArrayType};
use parquet::errors::Result as Parquet;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::schema::types::Type;

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
    file: SerializedFileReader<File>,
    /// The column's place among all.
    column: usize,
    /// The row group that is read, and the next one.
    open: Option<ColumnReaderImpl<ByteArrayType>>,
    group: usize,
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
        let opened = guard::call(|| SerializedFileReader::new(file)).map_err(|why| wrong(&name, why))?;
        let file = opened.map_err(|error| wrong(&name, error.to_string()))?;
        let schema = file.metadata().file_metadata().schema_descr();
        let fields = schema.root_schema().get_fields();
        let Some(field) = fields.iter().find(|field| field.name() == TEXT) else {
            let names: Vec<String> = fields.iter().map(|field| format!("`{}`", field.name())).collect();
            return Err(Report::new(format!("the text `{name}` has no column `{TEXT}`"))
                .because(format!("its columns are {}", names.join(", ")))
                .hint("write the column under that name"));
        };
        let column = schema.columns().iter().position(|column| column.path().parts() == [TEXT]);
        let Some(column) = column.filter(|column| is_text(field) && schema.column(*column).max_rep_level() == 0) else {
            return Err(wrong(&name, format!("its column `{TEXT}` holds {}, not text", kind(field))));
        };
        Ok(Self { name, file, column, open: None, group: 0, ready: VecDeque::new(), row: 0 })
    }

    /// The next row's text, that of an empty row being empty; none at the end.
    ///
    /// # Errors
    /// That it cannot be decoded.
    pub fn next(&mut self) -> Result<Option<String>, Report> {
        while self.ready.is_empty() {
            let read = guard::call(|| self.read()).map_err(|why| wrong(&self.name, why))?;
            let Some(texts) = read.map_err(|error| wrong(&self.name, error.to_string()))? else { return Ok(None) };
            for (at, text) in texts.into_iter().enumerate() {
                let bytes = text.map_or_else(Vec::new, |text| text.data().to_vec());
                let row = self.row + at + 1;
                let text = String::from_utf8(bytes)
                    .map_err(|_| wrong(&self.name, format!("the text of row {row} is not UTF-8")))?;
                self.ready.push_back(text);
            }
        }
        self.row += 1;
        Ok(self.ready.pop_front())
    }

    /// Some rows more; none at the end.
    fn read(&mut self) -> Parquet<Option<Vec<Option<ByteArray>>>> {
        loop {
            let reader = match &mut self.open {
                Some(reader) => reader,
                None if self.group == self.file.num_row_groups() => return Ok(None),
                None => {
                    let reader = self.file.get_row_group(self.group)?.get_column_reader(self.column)?;
                    self.group += 1;
                    self.open.insert(get_typed_column_reader(reader))
                }
            };
            let (mut values, mut defined) = (Vec::new(), Vec::new());
            let (rows, ..) = reader.read_records(ROWS, Some(&mut defined), None, &mut values)?;
            if rows > 0 {
                let mut values = values.into_iter();
                let all = defined.is_empty();
                let row = |at: usize| {
                    if all || defined.get(at).is_some_and(|level| *level > 0) { values.next() } else { None }
                };
                return Ok(Some((0..rows).map(row).collect()));
            }
            self.open = None;
        }
    }
}

/// Whether a column is one of texts: bytes that are said to be text, or of which nothing is said.
fn is_text(field: &Type) -> bool {
    let info = field.get_basic_info();
    field.is_primitive()
        && field.get_physical_type() == Physical::BYTE_ARRAY
        && matches!(info.logical_type_ref(), None | Some(LogicalType::String | LogicalType::Json))
        && matches!(info.converted_type(), ConvertedType::NONE | ConvertedType::UTF8 | ConvertedType::JSON)
}

/// What a column holds, in Parquet's words.
fn kind(field: &Type) -> String {
    if !field.is_primitive() {
        return "a group".to_owned();
    }
    let info = field.get_basic_info();
    match (info.logical_type_ref(), info.converted_type()) {
        (Some(logical), _) => format!("{logical:?}"),
        (None, ConvertedType::NONE) => field.get_physical_type().to_string(),
        (None, converted) => converted.to_string(),
    }
}

fn wrong(name: &str, why: impl Into<String>) -> Report {
    Report::new(format!("cannot read the text `{name}`")).because(why).hint("give another one with --text PATH")
}
