//! Files as `replay` reads them: they end, or say what is wrong with them, and each record on the way is sound.

use super::decoders::sound;
use fragility::codec::{DBN_PRELUDE_LEN, DbnDecoder, Decoder, VALUE_LEN_MAX};
use fragility::sources::FileSource;
use std::path::PathBuf;

/// Records read of a file: a few bytes may unpack to many.
const RECORDS_MAX: usize = 20_000;

/// A file that is gone when this is.
struct Aside(PathBuf);

impl Aside {
    fn new(ending: &str, bytes: &[u8]) -> Self {
        let name = format!("fragility-{}-{:?}{ending}", std::process::id(), std::thread::current().id());
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, bytes).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        Self(path)
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn read(ending: &str, bytes: &[u8]) {
    let file = Aside::new(ending, bytes);
    let mut source = match FileSource::open_with(&file.0, &Decoder::Native) {
        Ok(source) => source,
        Err(why) => return assert!(!why.to_string().is_empty()),
    };
    for number in 0..RECORDS_MAX {
        match source.next_line() {
            Ok(None) => return,
            Ok(Some(line)) => {
                assert_eq!(usize::try_from(line.number), Ok(number));
                assert!(line.raw.len() <= VALUE_LEN_MAX || ending == ".csv", "a line of {} bytes", line.raw.len());
                sound(&line.decoded);
                line.rest.iter().for_each(sound);
            }
            Err(why) => return assert!(!why.to_string().is_empty()),
        }
    }
}

pub(super) fn csv(bytes: &[u8]) {
    read(".csv", bytes);
}

pub(super) fn parquet(bytes: &[u8]) {
    read(".parquet", bytes);
}

/// gzip and zstd, of lines and of rows; what it is the bytes say.
pub(super) fn packed(bytes: &[u8]) {
    read(".ndjson.gz", bytes);
    read(".csv.zst", bytes);
}

/// As a file, and its parts by themselves.
pub(super) fn dbn(bytes: &[u8]) {
    read(".dbn", bytes);
    let Some((prelude, rest)) = bytes.split_first_chunk::<DBN_PRELUDE_LEN>() else { return };
    let metadata = match DbnDecoder::metadata_len(*prelude) {
        Ok(len) => rest.get(..len).unwrap_or(rest),
        Err(why) => return assert!(!why.is_empty()),
    };
    let decoder = match DbnDecoder::new(prelude[3], metadata) {
        Ok(decoder) => decoder,
        Err(why) => return assert!(!why.is_empty()),
    };
    // Records of any length, whatever their first byte says.
    for len in [0, 1, 15, 16, 40, 48, 56, 80, 368] {
        sound(&decoder.decode(&rest[rest.len().saturating_sub(len)..]));
    }
}
