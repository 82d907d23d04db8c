//! Parquet: rows by column name, as the rows of a CSV with the same columns.
//!
//! Columns that have no meaning are not read. One batch of rows and one page of each column are in memory at a
//! time; `guard` bounds them.

mod column;
mod guard;
mod header;

use crate::codec::{CsvDecoder, DecodeError};
use crate::domain::{Observation, Outcome};
use column::{Cells, Kind};
use guard::Storage;
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::properties::{ReaderProperties, ReaderPropertiesPtr};
use parquet::file::reader::SerializedPageReader;
use parquet::schema::types::SchemaDescriptor;
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// Rows decoded at a time.
const BATCH_ROWS: usize = 1_024;
/// The one field that is a list.
const LIST: &str = "cond";

/// A column that is read.
struct Column {
    name: String,
    /// Its place among the columns, and among the file's column chunks.
    at: usize,
    leaf: usize,
    kind: Kind,
    cells: Option<Box<dyn Cells>>,
}

/// The rows of one Parquet file.
pub(super) struct Rows {
    storage: Storage,
    metadata: ParquetMetaData,
    properties: ReaderPropertiesPtr,
    decoder: CsvDecoder,
    columns: Vec<Column>,
    /// The row at hand, a text a column.
    texts: Vec<String>,
    row_groups: std::ops::Range<usize>,
    left_of_group: usize,
    left_of_batch: usize,
}

impl Rows {
    /// Reads the metadata; bytes taken from the file are counted in `read`.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub(super) fn open(file: File, len: u64, read: Arc<AtomicU64>) -> Result<Self, String> {
        let storage = Storage::new(file, len, read);
        let metadata = unbroken(|| storage.metadata())?;
        let schema = metadata.file_metadata().schema_descr();
        let names = schema.root_schema().get_fields().iter().map(|f| f.name());
        let decoder = CsvDecoder::new(names).map_err(|e| e.to_string())?;
        let columns = columns(schema, &decoder)?;
        // The fallbacks for what old writers called LZ4 unpack without a bound.
        let properties = ReaderProperties::builder().set_backward_compatible_lz4(false).build();
        Ok(Self {
            texts: vec![String::new(); schema.root_schema().get_fields().len()],
            row_groups: 0..metadata.num_row_groups(),
            properties: Arc::new(properties),
            storage,
            decoder,
            columns,
            metadata,
            left_of_group: 0,
            left_of_batch: 0,
        })
    }

    /// The next row, its texts joined by commas in `raw`; `None` at the end.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub(super) fn next(
        &mut self,
        raw: &mut Vec<u8>,
    ) -> Result<Option<Result<Observation<'static>, DecodeError>>, String> {
        while self.left_of_batch == 0 {
            if self.left_of_group > 0 {
                self.read_batch()?;
            } else if let Some(row_group) = self.row_groups.next() {
                self.begin(row_group)?;
            } else {
                return Ok(None);
            }
        }
        self.left_of_batch -= 1;
        raw.clear();
        let mut flaw = None;
        for (place, column) in self.columns.iter_mut().enumerate() {
            let text = &mut self.texts[column.at];
            text.clear();
            let said = column.cells.as_mut().map_or(Ok(()), |cells| cells.next(text));
            if let Err((reason, what)) = said {
                let detail = format!("{} {what}", column.name).into();
                flaw.get_or_insert(DecodeError { outcome: Outcome::Malformed, reason, detail });
            }
            if place > 0 {
                raw.push(b',');
            }
            raw.extend_from_slice(text.as_bytes());
        }
        let decode = || self.decoder.decode(self.texts.iter().map(String::as_str));
        Ok(Some(flaw.map_or_else(decode, Err)))
    }

    fn begin(&mut self, row_group: usize) -> Result<(), String> {
        let Self { storage, metadata, columns, properties, .. } = self;
        let group = metadata.row_group(row_group);
        let rows = usize::try_from(group.num_rows()).map_err(|_| format!("row group {row_group} has no row count"))?;
        let width = columns.len();
        for column in columns {
            column.cells = Some(unbroken(|| {
                let chunk = group.column(column.leaf);
                let first = chunk.dictionary_page_offset().unwrap_or(chunk.data_page_offset());
                if first < 0 || chunk.compressed_size() < 0 {
                    return Err(format!("row group {row_group}, column {}: it has no place in the file", column.name));
                }
                let is_gzip = matches!(chunk.compression(), Compression::GZIP(_));
                let source = Arc::new(storage.pages(width, is_gzip));
                let pages = SerializedPageReader::new_with_properties(source, chunk, rows, None, properties.clone());
                let pages = pages.map_err(|e| at(row_group, &column.name, &e))?;
                Ok(column::open(column.kind, &column.name, &chunk.column_descr_ptr(), Box::new(pages)))
            })?);
        }
        self.left_of_group = rows;
        Ok(())
    }

    fn read_batch(&mut self) -> Result<(), String> {
        let row_group = self.row_groups.start.saturating_sub(1);
        let wanted = self.left_of_group.min(BATCH_ROWS);
        for column in &mut self.columns {
            let Some(cells) = &mut column.cells else { continue };
            let got = unbroken(|| cells.read(wanted).map_err(|e| at(row_group, &column.name, &e)))?;
            if got != wanted {
                return Err(format!("row group {row_group}, column {}: it has fewer rows than stated", column.name));
            }
        }
        self.left_of_group -= wanted;
        self.left_of_batch = wanted;
        Ok(())
    }
}

fn at(row_group: usize, column: &str, error: &ParquetError) -> String {
    format!("row group {row_group}, column {column}: {error}")
}

/// The columns that have a meaning, in the order of the file.
fn columns(schema: &SchemaDescriptor, decoder: &CsvDecoder) -> Result<Vec<Column>, String> {
    let mut columns = Vec::new();
    for (at, field) in schema.root_schema().get_fields().iter().enumerate().filter(|(at, _)| decoder.reads(*at)) {
        let name = field.name().to_owned();
        let mut leaves = (0..schema.num_columns()).filter(|leaf| schema.get_column_root_idx(*leaf) == at);
        let (Some(leaf), None) = (leaves.next(), leaves.next()) else {
            return Err(format!("column {name} is a group of columns"));
        };
        let description = schema.column(leaf);
        let kind = Kind::of(&description);
        let is_text_list = name == LIST && description.max_rep_level() == 1 && kind == Some(Kind::Text);
        if !is_text_list && (description.max_rep_level() > 0 || !field.is_primitive()) {
            return Err(format!("column {name} is nested; of lists only {LIST} is read, with texts in it"));
        }
        let kind = kind.ok_or_else(|| {
            let (physical, logical) = (description.physical_type(), description.logical_type_ref());
            format!("column {name} has a type that is not read: {physical} {logical:?}")
        })?;
        columns.push(Column { name, at, leaf, kind, cells: None });
    }
    Ok(columns)
}

/// Runs the library on bytes that it may break at: a damaged file is a wrong input, not the end of the process.
fn unbroken<T>(read: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| Err("is damaged: it cannot be decoded".into()))
}
