//! The records of a DBN stream, one after the other.

use crate::codec::{DBN_PRELUDE_LEN, DbnDecoder, DecodeError};
use crate::domain::Observation;
use std::io::{self, BufRead, Read};

/// An open DBN stream.
pub(super) struct Records {
    reader: Box<dyn BufRead>,
    decoder: DbnDecoder,
}

/// A damaged or failing stream: there is no next record to find in it.
type Broken = Result<String, io::Error>;

impl Records {
    /// Reads the metadata.
    pub(super) fn open(mut reader: Box<dyn BufRead>) -> Result<Self, Broken> {
        let mut prelude = [0; DBN_PRELUDE_LEN];
        read(&mut reader, &mut prelude, "its DBN metadata")?;
        let mut metadata = vec![0; DbnDecoder::metadata_len(prelude).map_err(Ok)?];
        read(&mut reader, &mut metadata, "its DBN metadata")?;
        let decoder = DbnDecoder::new(prelude[3], &metadata).map_err(Ok)?;
        Ok(Self { reader, decoder })
    }

    /// The next record, its bytes in `buffer`; `None` at the end.
    pub(super) fn next(
        &mut self,
        buffer: &mut Vec<u8>,
    ) -> Result<Option<Result<Observation<'static>, DecodeError>>, Broken> {
        let first = loop {
            match self.reader.fill_buf() {
                Ok(bytes) => break bytes.first().copied(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Err(error)),
            }
        };
        let Some(first) = first else { return Ok(None) };
        let Some(len) = DbnDecoder::record_len(first) else {
            return Err(Ok("has a DBN record shorter than its header: it is damaged".to_owned()));
        };
        buffer.clear();
        buffer.resize(len, 0);
        read(&mut self.reader, buffer, "a DBN record")?;
        Ok(Some(self.decoder.decode(buffer)))
    }
}

fn read(reader: &mut impl Read, bytes: &mut [u8], what: &str) -> Result<(), Broken> {
    reader.read_exact(bytes).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => Ok(format!("breaks off within {what}")),
        _ => Err(error),
    })
}
