//! Output files, with `-` for standard output.

use super::AppError;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// One output, opened before the work begins so that a wrong path fails at once.
pub(super) struct Output {
    path: PathBuf,
    writer: BufWriter<Box<dyn Write>>,
}

impl Output {
    pub(super) fn open(path: &Path) -> Result<Self, AppError> {
        let inner: Box<dyn Write> = if path == Path::new("-") {
            Box::new(io::stdout())
        } else {
            Box::new(File::create(path).map_err(|e| AppError::Output(path.to_owned(), e))?)
        };
        Ok(Self { path: path.to_owned(), writer: BufWriter::new(inner) })
    }

    /// Writes one line.
    pub(super) fn line(&mut self, bytes: &[u8]) -> Result<(), AppError> {
        let written = self.writer.write_all(bytes).and_then(|()| self.writer.write_all(b"\n"));
        self.checked(written)
    }

    pub(super) fn finish(mut self) -> Result<(), AppError> {
        let flushed = self.writer.flush();
        self.checked(flushed)
    }

    fn checked(&self, result: io::Result<()>) -> Result<(), AppError> {
        match result {
            // A reader that has seen enough, such as `head`, is no failure.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            other => other.map_err(|e| AppError::Output(self.path.clone(), e)),
        }
    }
}
