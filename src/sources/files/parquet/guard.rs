//! Bounds between a Parquet file and the memory it asks for.
//!
//! The Parquet library believes what a page header says about sizes and counts, and reserves the memory before
//! it looks at the page. So sizes are checked here, before the library sees them, and counts before it decodes.

use super::header::PageSizes;
use flate2::read::MultiGzDecoder;
use parquet::basic::Encoding;
use parquet::column::page::{Page, PageMetadata, PageReader};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
use parquet::file::reader::{ChunkReader, Length};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Magic bytes at both ends, and the length of the metadata before the last.
const MAGIC: &[u8; 4] = b"PAR1";
const TAIL_LEN: usize = 8;
/// Longest metadata that is read: about 100,000 column chunks.
const METADATA_LEN_MAX: usize = 16 << 20;
/// Longest page that is read; writers aim at 1 MiB.
const PAGE_LEN_MAX: usize = 64 << 20;
/// Longest pages of all columns together: one page of each is in memory at a time.
const PAGES_LEN_MAX: usize = 512 << 20;
/// A dictionary's texts take up to eight times their place in the file.
const DICTIONARY_SHARE: usize = 8;
/// Values of a list column that pages may hand out for one batch of rows.
const LIST_VALUES_MAX: usize = 4 << 20;

/// An open Parquet file.
#[derive(Clone)]
pub(super) struct Storage {
    file: Arc<File>,
    len: u64,
    read: Arc<AtomicU64>,
}

impl Storage {
    pub(super) fn new(file: File, len: u64, read: Arc<AtomicU64>) -> Self {
        Self { file: Arc::new(file), len, read }
    }

    /// The metadata at the end of the file.
    pub(super) fn metadata(&self) -> std::result::Result<ParquetMetaData, String> {
        let cut = || "begins as Parquet and does not end so: it is cut off or damaged".to_owned();
        let tail_at = self.len.checked_sub(TAIL_LEN as u64).filter(|at| *at >= MAGIC.len() as u64).ok_or_else(cut)?;
        let tail = self.bytes(tail_at, TAIL_LEN).map_err(|e| e.to_string())?;
        let (len, magic) = tail.split_at(4);
        if magic != MAGIC {
            return Err(cut());
        }
        let len = len.iter().rev().fold(0_usize, |n, byte| n << 8 | usize::from(*byte));
        if len > METADATA_LEN_MAX {
            return Err(format!("has {len} bytes of Parquet metadata, at most {METADATA_LEN_MAX} are read"));
        }
        let at = tail_at.checked_sub(len as u64).ok_or_else(cut)?;
        let bytes = self.bytes(at, len).map_err(|e| e.to_string())?;
        ParquetMetaDataReader::decode_metadata(&bytes).map_err(|e| format!("has damaged Parquet metadata: {e}"))
    }

    /// The pages of one column chunk, when `columns` are read side by side.
    pub(super) fn pages(&self, columns: usize, is_gzip: bool) -> Pages {
        let page_len_max = PAGE_LEN_MAX.min(PAGES_LEN_MAX / columns.max(1));
        Pages { storage: self.clone(), page_len_max, is_gzip, levels_len: Arc::default() }
    }

    fn bytes(&self, at: u64, len: usize) -> io::Result<Vec<u8>> {
        if at.checked_add(len as u64).is_none_or(|end| end > self.len) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut bytes = vec![0; len];
        self.file.read_exact_at(&mut bytes, at)?;
        self.read.fetch_add(len as u64, Ordering::Relaxed);
        Ok(bytes)
    }
}

/// Hands the library page headers and pages that are within bounds.
pub(super) struct Pages {
    storage: Storage,
    page_len_max: usize,
    is_gzip: bool,
    /// Bytes before the compressed part of the page whose header was read last.
    levels_len: Arc<AtomicUsize>,
}

impl Length for Pages {
    fn len(&self) -> u64 {
        self.storage.len
    }
}

impl ChunkReader for Pages {
    type T = HeaderReader;

    fn get_read(&self, start: u64) -> Result<HeaderReader> {
        let at = At { file: self.storage.file.clone(), at: start };
        let levels_len = self.levels_len.clone();
        Ok(HeaderReader { inner: BufReader::new(at), page_len_max: self.page_len_max, is_checked: false, levels_len })
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<bytes::Bytes> {
        if length > self.page_len_max {
            return Err(too_long(length, self.page_len_max));
        }
        let page = self.storage.bytes(start, length)?;
        if self.is_gzip {
            // The library unpacks gzip to its end, wherever that is.
            let packed = page.get(self.levels_len.load(Ordering::Relaxed)..).unwrap_or_default();
            let mut plain = MultiGzDecoder::new(packed).take(self.page_len_max as u64 + 1);
            let len = io::copy(&mut plain, &mut io::sink()).unwrap_or(0);
            if len > self.page_len_max as u64 {
                return Err(too_long(usize::MAX, self.page_len_max));
            }
        }
        Ok(page.into())
    }
}

fn too_long(len: usize, max: usize) -> ParquetError {
    let len = if len == usize::MAX { "more".to_owned() } else { len.to_string() };
    ParquetError::General(format!("a page has {len} bytes, at most {max} are read: write smaller pages or row groups"))
}

/// Reads a file from a place of its own.
struct At {
    file: Arc<File>,
    at: u64,
}

impl Read for At {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.file.read_at(buf, self.at)?;
        self.at += n as u64;
        Ok(n)
    }
}

/// Reads from the beginning of a page header, once its sizes are seen to be within bounds.
pub(super) struct HeaderReader {
    inner: BufReader<At>,
    page_len_max: usize,
    is_checked: bool,
    levels_len: Arc<AtomicUsize>,
}

impl Read for HeaderReader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if !self.is_checked {
            self.is_checked = true;
            let sizes = PageSizes::read(self.inner.fill_buf()?);
            let sizes = sizes.ok_or_else(|| io::Error::other("a page header is damaged"))?;
            let max = if sizes.is_dictionary { self.page_len_max / DICTIONARY_SHARE } else { self.page_len_max };
            let longest = sizes.plain_len.max(sizes.packed_len);
            if longest > max {
                return Err(io::Error::other(too_long(longest, max)));
            }
            self.levels_len.store(sizes.levels_len, Ordering::Relaxed);
        }
        self.inner.read(buf)
    }
}

/// Checks pages before they are decoded.
pub(super) struct CheckedPages {
    inner: Box<dyn PageReader>,
    is_list: bool,
    has_dictionary: bool,
    /// Values that may still be handed out for the batch at hand.
    list_values: Arc<AtomicUsize>,
}

impl CheckedPages {
    pub(super) fn new(inner: Box<dyn PageReader>, is_list: bool, list_values: Arc<AtomicUsize>) -> Self {
        Self { inner, is_list, has_dictionary: false, list_values }
    }

    fn check(&mut self, page: &Page) -> Result<()> {
        let refuse = |what: String| Err(ParquetError::General(what));
        match page {
            // Every value takes a byte at least, and memory is reserved for all of them.
            Page::DictionaryPage { buf, num_values, .. } if *num_values as usize > buf.len() => {
                refuse(format!("a dictionary of {} bytes claims {num_values} values", buf.len()))
            }
            Page::DictionaryPage { .. } => {
                self.has_dictionary = true;
                Ok(())
            }
            Page::DataPage { encoding, .. } | Page::DataPageV2 { encoding, .. } => {
                // They state a second count in the middle of the page, and memory is reserved by it.
                if matches!(encoding, Encoding::DELTA_LENGTH_BYTE_ARRAY | Encoding::DELTA_BYTE_ARRAY) {
                    return refuse(format!("encoding {encoding} is not read; plain and dictionary encoding are"));
                }
                if matches!(encoding, Encoding::RLE_DICTIONARY | Encoding::PLAIN_DICTIONARY) && !self.has_dictionary {
                    return refuse("a dictionary is missing".to_owned());
                }
                if self.is_list {
                    let (left, values) = (self.list_values.load(Ordering::Relaxed), page.num_values() as usize);
                    let Some(left) = left.checked_sub(values) else {
                        return refuse(format!("lists of more than {LIST_VALUES_MAX} values in a few rows"));
                    };
                    self.list_values.store(left, Ordering::Relaxed);
                }
                Ok(())
            }
        }
    }
}

/// Lets a column hand out the next batch.
pub(super) fn refill(list_values: &AtomicUsize) {
    list_values.store(LIST_VALUES_MAX, Ordering::Relaxed);
}

impl Iterator for CheckedPages {
    type Item = Result<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}

impl PageReader for CheckedPages {
    fn get_next_page(&mut self) -> Result<Option<Page>> {
        let page = self.inner.get_next_page()?;
        page.as_ref().map_or(Ok(()), |page| self.check(page))?;
        Ok(page)
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
        self.inner.peek_next_page()
    }

    fn skip_next_page(&mut self) -> Result<()> {
        self.inner.skip_next_page()
    }

    fn at_record_boundary(&mut self) -> Result<bool> {
        self.inner.at_record_boundary()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    /// The pages of a file with these bytes.
    fn pages(name: &str, bytes: &[u8], columns: usize, is_gzip: bool) -> Pages {
        let path = std::env::temp_dir().join(format!("fragility-guard-{}-{name}", std::process::id()));
        std::fs::write(&path, bytes).unwrap();
        let file = File::open(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        Storage::new(file, bytes.len() as u64, Arc::default()).pages(columns, is_gzip)
    }

    #[test]
    fn a_header_that_claims_too_much_is_refused_before_anything_is_reserved() {
        // 2^31 - 1 bytes unpacked, one in the file.
        let header = [0x15, 0x00, 0x15, 0xfe, 0xff, 0xff, 0xff, 0x0f, 0x15, 0x02, 0x1c];
        let mut reader = pages("claim", &header, 1, false).get_read(0).unwrap();
        let said = reader.read(&mut [0; 4]).unwrap_err().to_string();
        assert!(said.contains("2147483647 bytes, at most 67108864"), "{said}");
        // A page that one column may have is too long beside many.
        let header = [0x15, 0x00, 0x15, 0x80, 0x80, 0x80, 0x20, 0x15, 0x02, 0x1c];
        for (columns, is_read) in [(8, true), (16, true), (17, false), (40, false)] {
            let mut reader = pages("share", &header, columns, false).get_read(0).unwrap();
            assert_eq!(reader.read(&mut [0; 4]).is_ok(), is_read, "{columns} columns");
        }
    }

    #[test]
    fn gzip_that_unpacks_without_end_is_refused() {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        for _ in 0..65 {
            packed.write_all(&vec![0; 1 << 20]).unwrap();
        }
        let packed = packed.finish().unwrap();
        assert!(packed.len() < 1 << 17);
        let said = pages("bomb", &packed, 1, true).get_bytes(0, packed.len()).unwrap_err().to_string();
        assert!(said.contains("more bytes, at most 67108864"), "{said}");
        assert!(pages("plain", &packed, 1, false).get_bytes(0, packed.len()).is_ok());
        assert!(pages("end", &packed, 1, false).get_bytes(1, packed.len()).is_err());
    }

    #[test]
    fn counts_that_do_not_fit_their_page_are_refused() {
        struct NoPages;
        impl Iterator for NoPages {
            type Item = Result<Page>;
            fn next(&mut self) -> Option<Self::Item> {
                None
            }
        }
        impl PageReader for NoPages {
            fn get_next_page(&mut self) -> Result<Option<Page>> {
                Ok(None)
            }
            fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
                Ok(None)
            }
            fn skip_next_page(&mut self) -> Result<()> {
                Ok(())
            }
        }
        let budget = Arc::<AtomicUsize>::default();
        let check = |is_list, page: &Page| {
            refill(&budget);
            CheckedPages::new(Box::new(NoPages), is_list, budget.clone()).check(page).is_ok()
        };
        let dictionary = |num_values| Page::DictionaryPage {
            buf: vec![0; 40].into(),
            num_values,
            encoding: Encoding::PLAIN,
            is_sorted: false,
        };
        assert!(
            check(false, &dictionary(40)) && !check(false, &dictionary(41)) && !check(false, &dictionary(u32::MAX))
        );
        let data = |num_values, encoding| Page::DataPage {
            buf: vec![0; 40].into(),
            num_values,
            encoding,
            def_level_encoding: Encoding::RLE,
            rep_level_encoding: Encoding::RLE,
            statistics: None,
        };
        // A run says any number of equal values in a few bytes: rows are decoded as they are asked for.
        assert!(check(false, &data(u32::MAX, Encoding::RLE)) && !check(false, &data(1, Encoding::RLE_DICTIONARY)));
        assert!(check(true, &data(1 << 22, Encoding::PLAIN)) && !check(true, &data((1 << 22) + 1, Encoding::PLAIN)));
        assert!(!check(false, &data(1, Encoding::DELTA_BYTE_ARRAY)));
    }
}
