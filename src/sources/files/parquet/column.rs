//! One column as text, the form in which the row decoder takes it: every number exactly, a null as nothing.

use super::guard::{CheckedPages, refill};
use crate::codec::VALUE_LEN_MAX;
use crate::domain::SessionDate;
use parquet::basic::{ConvertedType, LogicalType, TimeUnit, Type};
use parquet::column::page::PageReader;
use parquet::column::reader::{ColumnReader, ColumnReaderImpl, get_column_reader};
use parquet::data_type::{DataType, Int96};
use parquet::errors::Result;
use parquet::schema::types::{ColumnDescPtr, ColumnDescriptor};
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

const NANOS_PER_DAY: i64 = 86_400 * crate::domain::NANOS_PER_SEC;
/// The largest scale of a decimal of 16 bytes.
const SCALE_MAX: i32 = 38;
/// Columns that hold dates: midnight in UTC stands for the date there.
const DATES: [&str; 4] = ["session", "date", "ex_date", "from"];

/// What a column holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// UTF-8.
    Text,
    /// `true` or `false`.
    Flag,
    /// A whole number, unsigned or not.
    Whole { is_signed: bool },
    /// A floating point number.
    Real,
    /// Days since 1970.
    Date,
    /// Time since 1970 in units of so many nanoseconds.
    Timestamp(i64),
    /// A whole number with so many decimals.
    Decimal(usize),
}

/// What cannot be put as text: the reason code, and what is wrong.
pub(super) type Flaw = (&'static str, &'static str);

impl Kind {
    /// By the column's description; `None` for types that no field has.
    pub(super) fn of(column: &ColumnDescriptor) -> Option<Self> {
        let logical = column.logical_type_ref();
        let converted = column.converted_type();
        match column.physical_type() {
            Type::BOOLEAN => Some(Self::Flag),
            Type::FLOAT | Type::DOUBLE => Some(Self::Real),
            Type::INT96 => Some(Self::Timestamp(1)),
            Type::BYTE_ARRAY | Type::FIXED_LEN_BYTE_ARRAY if converted == ConvertedType::DECIMAL => {
                Self::decimal(column)
            }
            Type::BYTE_ARRAY => match logical {
                None | Some(LogicalType::String | LogicalType::Enum | LogicalType::Json) => Some(Self::Text),
                Some(_) => None,
            },
            Type::FIXED_LEN_BYTE_ARRAY => None,
            Type::INT32 | Type::INT64 => match (logical, converted) {
                (Some(LogicalType::Timestamp(of)), _) => Some(Self::Timestamp(match of.unit {
                    TimeUnit::MILLIS => 1_000_000,
                    TimeUnit::MICROS => 1_000,
                    TimeUnit::NANOS => 1,
                })),
                (_, ConvertedType::TIMESTAMP_MILLIS) => Some(Self::Timestamp(1_000_000)),
                (_, ConvertedType::TIMESTAMP_MICROS) => Some(Self::Timestamp(1_000)),
                (_, ConvertedType::DATE) => Some(Self::Date),
                (_, ConvertedType::DECIMAL) => Self::decimal(column),
                (
                    _,
                    ConvertedType::UINT_8 | ConvertedType::UINT_16 | ConvertedType::UINT_32 | ConvertedType::UINT_64,
                ) => Some(Self::Whole { is_signed: false }),
                (
                    _,
                    ConvertedType::NONE
                    | ConvertedType::INT_8
                    | ConvertedType::INT_16
                    | ConvertedType::INT_32
                    | ConvertedType::INT_64,
                ) if !matches!(logical, Some(LogicalType::Time(_))) => Some(Self::Whole { is_signed: true }),
                _ => None,
            },
        }
    }

    fn decimal(column: &ColumnDescriptor) -> Option<Self> {
        let is_wide = column.physical_type() == Type::FIXED_LEN_BYTE_ARRAY && column.type_length() > 16;
        let scale = column.type_scale();
        (!is_wide && (0..=SCALE_MAX).contains(&scale)).then(|| Self::Decimal(scale.unsigned_abs() as usize))
    }
}

/// The values of one column chunk, batch by batch and then row by row.
pub(super) trait Cells {
    /// Reads the next batch: how many rows came.
    fn read(&mut self, rows: usize) -> Result<usize>;

    /// Appends the text of the next row; of a list its elements, with spaces between.
    fn next(&mut self, out: &mut String) -> std::result::Result<(), Flaw>;
}

/// Opens a column chunk; `name` is its column's.
pub(super) fn open(kind: Kind, name: &str, column: &ColumnDescPtr, pages: Box<dyn PageReader>) -> Box<dyn Cells> {
    let is_date = DATES.contains(&name);
    let list_values = Arc::<AtomicUsize>::default();
    let pages = CheckedPages::new(pages, column.max_rep_level() > 0, list_values.clone());
    let typed = Opening { column: column.clone(), list_values };
    match get_column_reader(column.clone(), Box::new(pages)) {
        ColumnReader::BoolColumnReader(r) => typed.cells(r, |v, out| {
            out.push_str(if *v { "true" } else { "false" });
            Ok(())
        }),
        ColumnReader::Int32ColumnReader(r) => typed.cells(r, move |v, out| match kind {
            Kind::Whole { is_signed: false } => written(write!(out, "{}", v.cast_unsigned())),
            _ => whole(kind, is_date, i64::from(*v), out),
        }),
        ColumnReader::Int64ColumnReader(r) => typed.cells(r, move |v, out| match kind {
            Kind::Whole { is_signed: false } => written(write!(out, "{}", v.cast_unsigned())),
            _ => whole(kind, is_date, *v, out),
        }),
        ColumnReader::Int96ColumnReader(r) => typed.cells(r, move |v, out| {
            whole(kind, is_date, nanos(*v).ok_or(("wrong_type", "is a time beyond the year 2262"))?, out)
        }),
        // With a point or an exponent always: what must be a whole number is refused, as in JSON.
        ColumnReader::FloatColumnReader(r) => typed.cells(r, |v, out| written(write!(out, "{:?}", f64::from(*v)))),
        ColumnReader::DoubleColumnReader(r) => typed.cells(r, |v, out| written(write!(out, "{v:?}"))),
        ColumnReader::ByteArrayColumnReader(r) => typed.cells(r, move |v, out| bytes(kind, v.data(), out)),
        ColumnReader::FixedLenByteArrayColumnReader(r) => typed.cells(r, move |v, out| bytes(kind, v.data(), out)),
    }
}

fn written(result: std::fmt::Result) -> std::result::Result<(), Flaw> {
    result.map_err(|_| ("wrong_type", "cannot be written"))
}

fn whole(kind: Kind, is_date: bool, value: i64, out: &mut String) -> std::result::Result<(), Flaw> {
    let date = |days: i64| i32::try_from(days).ok().and_then(SessionDate::from_days);
    match kind {
        Kind::Date => {
            let date = date(value).ok_or(("wrong_type", "is no date of the calendar"))?;
            written(write!(out, "{date}"))
        }
        Kind::Timestamp(unit) => {
            let per_day = NANOS_PER_DAY / unit;
            if is_date
                && value % per_day == 0
                && let Some(date) = date(value / per_day)
            {
                return written(write!(out, "{date}"));
            }
            let nanos = value.checked_mul(unit).ok_or(("wrong_type", "is a time beyond the year 2262"))?;
            written(write!(out, "{nanos}"))
        }
        Kind::Decimal(scale) => decimal(i128::from(value), scale, out),
        _ => written(write!(out, "{value}")),
    }
}

/// Nanoseconds since 1970 of Impala's and Spark's older timestamps: nanoseconds of a Julian day.
fn nanos(value: Int96) -> Option<i64> {
    const EPOCH: i64 = 2_440_588;
    let [low, high, day] = value.data() else { return None };
    let of_day = i64::try_from(u64::from(*high) << 32 | u64::from(*low)).ok()?;
    (i64::from(*day) - EPOCH).checked_mul(NANOS_PER_DAY)?.checked_add(of_day)
}

fn bytes(kind: Kind, value: &[u8], out: &mut String) -> std::result::Result<(), Flaw> {
    if let Kind::Decimal(scale) = kind {
        if value.is_empty() || value.len() > 16 {
            return Err(("wrong_type", "is a decimal of more than 38 digits"));
        }
        // Two's complement, most significant byte first.
        let sign = if value[0] < 0x80 { 0 } else { -1 };
        let unscaled = value.iter().fold(sign, |n: i128, byte| n << 8 | i128::from(*byte));
        return decimal(unscaled, scale, out);
    }
    if value.len() + out.len() > VALUE_LEN_MAX {
        return Err(("too_long", "is longer than a record may be"));
    }
    out.push_str(std::str::from_utf8(value).map_err(|_| ("wrong_type", "is not UTF-8 text"))?);
    Ok(())
}

fn decimal(unscaled: i128, scale: usize, out: &mut String) -> std::result::Result<(), Flaw> {
    let digits = format!("{:0>1$}", unscaled.unsigned_abs(), scale + 1);
    let (whole, decimals) = digits.split_at(digits.len() - scale);
    let (sign, point) = (if unscaled < 0 { "-" } else { "" }, if scale > 0 { "." } else { "" });
    written(write!(out, "{sign}{whole}{point}{decimals}"))
}

struct Opening {
    column: ColumnDescPtr,
    list_values: Arc<AtomicUsize>,
}

impl Opening {
    fn cells<T, W>(self, reader: ColumnReaderImpl<T>, write: W) -> Box<dyn Cells>
    where
        T: DataType,
        W: Fn(&T::T, &mut String) -> std::result::Result<(), Flaw> + 'static,
    {
        let Self { column, list_values } = self;
        let (values, definitions, repetitions) = (Vec::new(), Vec::new(), Vec::new());
        Box::new(Typed { column, list_values, reader, write, values, definitions, repetitions, level: 0, value: 0 })
    }
}

struct Typed<T: DataType, W> {
    column: ColumnDescPtr,
    list_values: Arc<AtomicUsize>,
    reader: ColumnReaderImpl<T>,
    write: W,
    values: Vec<T::T>,
    definitions: Vec<i16>,
    repetitions: Vec<i16>,
    /// Next level and next value of the batch.
    level: usize,
    value: usize,
}

impl<T, W> Cells for Typed<T, W>
where
    T: DataType,
    W: Fn(&T::T, &mut String) -> std::result::Result<(), Flaw>,
{
    fn read(&mut self, rows: usize) -> Result<usize> {
        refill(&self.list_values);
        self.values.clear();
        self.definitions.clear();
        self.repetitions.clear();
        (self.level, self.value) = (0, 0);
        let Self { reader, definitions, repetitions, values, .. } = self;
        let (rows, ..) = reader.read_records(rows, Some(definitions), Some(repetitions), values)?;
        Ok(rows)
    }

    fn next(&mut self, out: &mut String) -> std::result::Result<(), Flaw> {
        let mut said = Ok(());
        loop {
            let definition = self.definitions.get(self.level).copied().unwrap_or_default();
            self.level += 1;
            if definition == self.column.max_def_level() {
                if !out.is_empty() {
                    out.push(' ');
                }
                let value = self.values.get(self.value).ok_or(("wrong_type", "is missing in a damaged page"));
                self.value += 1;
                // The row is gone through to its end all the same: the next one begins there.
                said = said.and(value.and_then(|value| (self.write)(value, out)));
            }
            if self.repetitions.get(self.level).copied().unwrap_or_default() == 0 {
                return said;
            }
        }
    }
}
