//! The sizes in a page header, which the Parquet library keeps to itself.

/// What a page header says about sizes.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct PageSizes {
    pub(super) is_dictionary: bool,
    /// Bytes unpacked, and as they stand in the file.
    pub(super) plain_len: usize,
    pub(super) packed_len: usize,
    /// Of those, bytes before the compressed part.
    pub(super) levels_len: usize,
}

impl PageSizes {
    /// Reads the first fields of a page header, which every writer puts in the order of their numbers.
    ///
    /// Source: `PageHeader` and `DataPageHeaderV2` in `parquet.thrift`, in Thrift's compact protocol.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        const STRUCT: u8 = 12;
        let mut fields = Fields { bytes, id: 0 };
        let kind = fields.size(1)?;
        let (plain_len, packed_len) = (fields.size(2)?, fields.size(3)?);
        let mut next = fields.begin()?;
        if next == (4, Fields::I32) {
            fields.varint()?;
            next = fields.begin()?;
        }
        let mut levels_len = 0;
        if next == (8, STRUCT) {
            fields.id = 0;
            for id in 1..=4 {
                fields.size(id)?;
            }
            levels_len = fields.size(5)?.checked_add(fields.size(6)?)?;
        }
        Some(Self { is_dictionary: kind == 2, plain_len, packed_len, levels_len })
    }
}

/// Fields of a struct in Thrift's compact protocol.
struct Fields<'a> {
    bytes: &'a [u8],
    id: u64,
}

impl Fields<'_> {
    const I32: u8 = 5;

    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.bytes.split_first()?;
        self.bytes = rest;
        Some(*first)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    /// Number and type of the next field.
    fn begin(&mut self) -> Option<(u64, u8)> {
        let byte = self.byte()?;
        let step = u64::from(byte >> 4);
        self.id = if step == 0 { self.varint()? >> 1 } else { self.id + step };
        Some((self.id, byte & 0x0f))
    }

    /// The value of field `id`, which comes next and is no negative number.
    fn size(&mut self, id: u64) -> Option<usize> {
        if self.begin()? != (id, Self::I32) {
            return None;
        }
        let zigzag = self.varint()?;
        if zigzag & 1 == 1 { None } else { usize::try_from(zigzag >> 1).ok() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_sizes_are_read_from_the_header() {
        // A v1 data page of 300 bytes, 200 packed, with a checksum; the rest is not looked at.
        let v1 = [0x15, 0x00, 0x15, 0xd8, 0x04, 0x15, 0x90, 0x03, 0x15, 0x01, 0x1c];
        let sizes = PageSizes { is_dictionary: false, plain_len: 300, packed_len: 200, levels_len: 0 };
        assert_eq!(PageSizes::read(&v1), Some(sizes));
        // A v2 data page: 10 values, none null, 10 rows, plain, 2 and 3 bytes of levels.
        let v2 = [0x15, 0x06, 0x15, 0x64, 0x15, 0x32, 0x5c, 0x15, 0x14, 0x15, 0, 0x15, 0x14, 0x15, 0, 0x15, 4, 0x15, 6];
        let sizes = PageSizes { is_dictionary: false, plain_len: 50, packed_len: 25, levels_len: 5 };
        assert_eq!(PageSizes::read(&v2), Some(sizes));
        let dictionary = [0x15, 0x04, 0x15, 0x10, 0x15, 0x10, 0x4c];
        assert_eq!(PageSizes::read(&dictionary).map(|s| s.is_dictionary), Some(true));
        for damaged in [&[][..], &[0x15], &[0x15, 0x00, 0x15, 0x01, 0x15, 0x10, 0x4c], &[0x15, 0x00, 0x15, 0xff]] {
            assert_eq!(PageSizes::read(damaged), None, "{damaged:?}");
        }
    }
}
