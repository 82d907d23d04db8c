//! Files and standard input: NDJSON, CSV or DBN, plain, gzip or zstd, and Parquet, told by their first bytes.

mod parquet;

use super::dbn::Records;
use crate::codec::{Batch, CsvDecoder, DBN_MAGIC, DecodeError, Decoder, VALUE_LEN_MAX};
use crate::domain::{Observation, Outcome};
use parquet::Rows;
use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

const PARQUET: &[u8; 4] = b"PAR1";
const BUFFER_LEN: usize = 1 << 18;
/// zstd frames may ask for windows up to 2^27 bytes, what `zstd --long=27` writes.
const ZSTD_WINDOW_LOG_MAX: u32 = 27;

/// An input that cannot be used.
#[derive(Debug)]
#[non_exhaustive]
pub enum InputError {
    /// It cannot be opened or read.
    Io(PathBuf, io::Error),
    /// It is in a form this build does not read.
    Form(PathBuf, String),
}

impl fmt::Display for InputError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(path, error) => write!(f, "input {}: {error}", path.display()),
            Self::Form(path, what) => write!(f, "input {}: {what}", path.display()),
        }
    }
}

impl std::error::Error for InputError {}

/// One record of an input.
#[derive(Debug)]
pub struct Line<'a> {
    /// Number from 0, the header not counted.
    pub number: i64,
    /// Its bytes, cut at the longest value that is read.
    pub raw: &'a [u8],
    /// What it says.
    pub decoded: Result<Observation<'a>, DecodeError>,
    /// What it says beyond that: a vendor's message may hold several events.
    pub rest: Vec<Result<Observation<'static>, DecodeError>>,
}

enum Form {
    Ndjson(Box<dyn BufRead>),
    Dbn(Records),
    Csv { reader: Box<csv::Reader<Box<dyn BufRead>>>, decoder: CsvDecoder, row: csv::StringRecord },
    Parquet(Box<Rows>),
}

/// One open input.
pub struct FileSource {
    path: PathBuf,
    form: Form,
    decoder: Decoder,
    buffer: Vec<u8>,
    next: i64,
    len: Option<u64>,
    read: Arc<AtomicU64>,
}

/// Counts the bytes taken from the file, for progress.
struct Counted<R> {
    inner: R,
    read: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buf)?;
        self.read.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }
}

impl FileSource {
    /// Opens a file, or standard input for `-`, whose lines are native records.
    ///
    /// # Errors
    /// When it cannot be opened, or is in no form that is read.
    pub fn open(path: &Path) -> Result<Self, InputError> {
        Self::open_with(path, &Decoder::Native)
    }

    /// The same with lines of another form.
    ///
    /// # Errors
    /// As [`FileSource::open`].
    pub fn open_with(path: &Path, decoder: &Decoder) -> Result<Self, InputError> {
        let io_error = |error| InputError::Io(path.to_owned(), error);
        let read = Arc::new(AtomicU64::new(0));
        let (inner, len): (Box<dyn Read>, Option<u64>) = if path == Path::new("-") {
            (Box::new(io::stdin()), None)
        } else {
            let file = File::open(path).map_err(io_error)?;
            let meta = file.metadata().map_err(io_error)?;
            if meta.is_dir() {
                return Err(InputError::Form(path.to_owned(), "is a directory".into()));
            }
            let len = meta.is_file().then_some(meta.len());
            (Box::new(file), len)
        };
        let mut raw = Counted { inner, read: read.clone() };
        let mut magic = [0; 4];
        let got = fill(&mut raw, &mut magic).map_err(io_error)?;
        let start = Cursor::new(magic[..got].to_vec()).chain(raw);
        let plain: Box<dyn Read> = if magic[..got].starts_with(&[0x1f, 0x8b]) {
            Box::new(flate2::read::MultiGzDecoder::new(BufReader::with_capacity(BUFFER_LEN, start)))
        } else if magic == [0x28, 0xb5, 0x2f, 0xfd] {
            let mut decoder = zstd::stream::read::Decoder::new(start).map_err(io_error)?;
            decoder.window_log_max(ZSTD_WINDOW_LOG_MAX).map_err(io_error)?;
            Box::new(decoder)
        } else {
            Box::new(start)
        };
        let mut lines: Box<dyn BufRead> = Box::new(BufReader::with_capacity(BUFFER_LEN, plain));
        let form = if &magic == PARQUET {
            parquet_form(path, len, read.clone())?
        } else if lines.fill_buf().map_err(io_error)?.starts_with(PARQUET) {
            let what = "is compressed Parquet; Parquet compresses its own pages: unpack it first";
            return Err(InputError::Form(path.to_owned(), what.into()));
        } else if is_csv(path) {
            csv_form(path, lines)?
        } else if lines.fill_buf().map_err(io_error)?.starts_with(DBN_MAGIC) {
            Form::Dbn(Records::open(lines).map_err(|e| broken(path, e))?)
        } else if decoder.is_binary() {
            let what = "holds lines, which no binary input.format can: read it as native, or replay the topic";
            return Err(InputError::Form(path.to_owned(), what.into()));
        } else {
            Form::Ndjson(lines)
        };
        Ok(Self { path: path.to_owned(), form, decoder: decoder.clone(), buffer: Vec::new(), next: 0, len, read })
    }

    /// Size in bytes as stored, where it is known.
    pub fn len(&self) -> Option<u64> {
        self.len
    }

    /// Whether the input is known to hold nothing.
    pub fn is_empty(&self) -> bool {
        self.len == Some(0)
    }

    /// Bytes taken from storage so far.
    pub fn bytes_read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    /// The next record; `None` at the end.
    ///
    /// # Errors
    /// When the input breaks off: a read error, or damaged compression.
    pub fn next_line(&mut self) -> Result<Option<Line<'_>>, InputError> {
        let number = self.next;
        match &mut self.form {
            Form::Ndjson(lines) => {
                let len = read_bounded(lines, &mut self.buffer).map_err(|e| InputError::Io(self.path.clone(), e))?;
                let Some(len) = len else { return Ok(None) };
                self.next += 1;
                let batch = if len > self.buffer.len() {
                    Batch::one(Err(too_long(len)))
                } else {
                    self.decoder.decode(&self.buffer)
                };
                Ok(Some(Line { number, raw: &self.buffer, decoded: batch.first, rest: batch.rest }))
            }
            Form::Dbn(records) => {
                let next = records.next(&mut self.buffer).map_err(|e| broken(&self.path, e))?;
                let Some(decoded) = next else { return Ok(None) };
                self.next += 1;
                Ok(Some(Line { number, raw: &self.buffer, decoded, rest: Vec::new() }))
            }
            Form::Csv { reader, decoder, row } => {
                let decoded = match reader.read_record(row) {
                    Ok(false) => return Ok(None),
                    Ok(true) => decoder.decode(row.iter()),
                    Err(error) if error.is_io_error() => {
                        return Err(InputError::Io(self.path.clone(), io::Error::other(error)));
                    }
                    Err(error) => Err(DecodeError {
                        outcome: Outcome::Malformed,
                        reason: "not_csv",
                        detail: error.to_string().into(),
                    }),
                };
                self.next += 1;
                self.buffer.clear();
                for (at, field) in row.iter().enumerate() {
                    if at > 0 {
                        self.buffer.push(b',');
                    }
                    self.buffer.extend_from_slice(field.as_bytes());
                }
                Ok(Some(Line { number, raw: &self.buffer, decoded, rest: Vec::new() }))
            }
            Form::Parquet(rows) => {
                let row = rows.next(&mut self.buffer).map_err(|what| InputError::Form(self.path.clone(), what))?;
                let Some(decoded) = row else { return Ok(None) };
                self.next += 1;
                Ok(Some(Line { number, raw: &self.buffer, decoded, rest: Vec::new() }))
            }
        }
    }
}

/// A stream of binary records that is damaged (what is wrong with it) or cannot be read.
fn broken(path: &Path, error: Result<String, io::Error>) -> InputError {
    match error {
        Ok(what) => InputError::Form(path.to_owned(), what),
        Err(error) => InputError::Io(path.to_owned(), error),
    }
}

fn too_long(len: usize) -> DecodeError {
    let detail = format!("value has {len} bytes, at most {VALUE_LEN_MAX} are read");
    DecodeError { outcome: Outcome::Malformed, reason: "too_long", detail: detail.into() }
}

fn csv_form(path: &Path, lines: Box<dyn BufRead>) -> Result<Form, InputError> {
    let mut reader = Box::new(csv::ReaderBuilder::new().flexible(true).from_reader(lines));
    let form = |what: String| InputError::Form(path.to_owned(), what);
    let header = reader.headers().map_err(|e| form(e.to_string()))?;
    let decoder = CsvDecoder::new(header.iter()).map_err(|e| form(e.to_string()))?;
    Ok(Form::Csv { reader, decoder, row: csv::StringRecord::new() })
}

/// Opens a file again as Parquet, whose beginning is at its end; `len` is known of files alone.
fn parquet_form(path: &Path, len: Option<u64>, read: Arc<AtomicU64>) -> Result<Form, InputError> {
    let form = |what: String| InputError::Form(path.to_owned(), what);
    let Some(len) = len else {
        return Err(form("is Parquet, which is read from its end: name the file instead of a pipe".into()));
    };
    let file = File::open(path).map_err(|e| InputError::Io(path.to_owned(), e))?;
    Rows::open(file, len, read).map(|rows| Form::Parquet(Box::new(rows))).map_err(form)
}

/// `x.csv`, `x.csv.gz`, `x.csv.zst`.
fn is_csv(path: &Path) -> bool {
    let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default().to_ascii_lowercase();
    let stem = name.strip_suffix(".gz").or_else(|| name.strip_suffix(".zst")).unwrap_or(&name);
    Path::new(stem).extension().is_some_and(|e| e == "csv")
}

fn fill(reader: &mut impl Read, buf: &mut [u8]) -> io::Result<usize> {
    let mut got = 0;
    while got < buf.len() {
        match reader.read(&mut buf[got..]) {
            Ok(0) => break,
            Ok(n) => got += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(got)
}

/// Reads a line without its end into `buffer`, keeping at most [`VALUE_LEN_MAX`] bytes. Returns its full
/// length, `None` at the end of the input.
fn read_bounded(lines: &mut dyn BufRead, buffer: &mut Vec<u8>) -> io::Result<Option<usize>> {
    buffer.clear();
    let mut len = 0;
    loop {
        let chunk = match lines.fill_buf() {
            Ok(chunk) => chunk,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if chunk.is_empty() {
            return Ok((len > 0).then_some(len));
        }
        let end = chunk.iter().position(|b| *b == b'\n');
        let part = &chunk[..end.unwrap_or(chunk.len())];
        let room = VALUE_LEN_MAX.saturating_sub(buffer.len());
        buffer.extend_from_slice(&part[..part.len().min(room)]);
        len += part.len();
        let used = part.len() + usize::from(end.is_some());
        lines.consume(used);
        if end.is_some() {
            if buffer.last() == Some(&b'\r') && buffer.len() == len {
                buffer.pop();
                len -= 1;
            }
            return Ok(Some(len));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(bytes: &[u8]) -> Vec<(usize, usize)> {
        let mut reader: Box<dyn BufRead> = Box::new(BufReader::with_capacity(7, Cursor::new(bytes.to_vec())));
        let mut buffer = Vec::new();
        let mut out = Vec::new();
        while let Some(len) = read_bounded(&mut reader, &mut buffer).unwrap() {
            out.push((len, buffer.len()));
        }
        out
    }

    #[test]
    fn lines_end_at_line_ends_and_are_bounded() {
        assert_eq!(lines(b""), []);
        assert_eq!(lines(b"a\n"), [(1, 1)]);
        assert_eq!(lines(b"a\r\n\nbc"), [(1, 1), (0, 0), (2, 2)]);
        let long = vec![b'x'; VALUE_LEN_MAX + 5];
        assert_eq!(lines(&long), [(VALUE_LEN_MAX + 5, VALUE_LEN_MAX)]);
    }

    #[test]
    fn csv_is_told_by_its_name() {
        for (name, expected) in
            [("a.csv", true), ("a.CSV.gz", true), ("a.csv.zst", true), ("a.ndjson", false), ("-", false)]
        {
            assert_eq!(is_csv(Path::new(name)), expected, "{name}");
        }
    }
}
