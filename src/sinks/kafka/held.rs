//! Records that wait for their transaction to be opened.

use crate::sinks::{Outgoing, SinkError, Stream};

/// Bytes that wait, about; what is more goes out before its offsets.
const HELD_MAX: usize = 4 << 20;

struct Record {
    stream: Stream,
    partition: Option<i32>,
    key: Vec<u8>,
    value: Vec<u8>,
    headers: Vec<(String, String)>,
}

/// Records in the order in which they came.
#[derive(Default)]
pub(super) struct Held {
    records: Vec<Record>,
    bytes: usize,
}

impl Held {
    /// Keeps a record; false when there is more than should wait.
    pub(super) fn keep(&mut self, record: &Outgoing<'_>) -> bool {
        let headers: Vec<_> = record.headers.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let of_headers: usize = headers.iter().map(|(k, v)| size_of::<(String, String)>() + k.len() + v.len()).sum();
        self.bytes += size_of::<Record>() + record.key.len() + record.value.len() + of_headers;
        self.records.push(Record {
            stream: record.stream,
            partition: record.partition,
            key: record.key.to_vec(),
            value: record.value.to_vec(),
            headers,
        });
        self.bytes <= HELD_MAX
    }

    pub(super) fn len(&self) -> usize {
        self.records.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Hands every record to `send`, in order, and forgets them; the first error ends it.
    pub(super) fn hand_over(
        &mut self,
        mut send: impl FnMut(&Outgoing<'_>) -> Result<(), SinkError>,
    ) -> Result<(), SinkError> {
        self.bytes = 0;
        for Record { stream, partition, key, value, headers } in self.records.drain(..) {
            let headers: Vec<(&str, &str)> = headers.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
            let (key, value, headers) = (&*key, &*value, &*headers);
            send(&Outgoing { stream, partition, key, value, headers, caused_at: None })?;
        }
        Ok(())
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dead_letter(value: &[u8]) -> Outgoing<'_> {
        let headers = &[("reason", "future")];
        Outgoing { stream: Stream::DeadLetters, partition: Some(3), key: b"NVDA", value, headers, caused_at: None }
    }

    #[test]
    fn records_leave_once_in_the_order_in_which_they_came() {
        let mut held = Held::default();
        assert!(held.keep(&dead_letter(b"1")) && held.keep(&dead_letter(b"2")));
        assert_eq!(held.len(), 2);
        let mut seen = Vec::new();
        let told = held.hand_over(|record| {
            assert_eq!((record.stream, record.partition, record.key), (Stream::DeadLetters, Some(3), &b"NVDA"[..]));
            assert_eq!(record.headers, [("reason", "future")]);
            seen.push(record.value.to_vec());
            Ok(())
        });
        assert_eq!(told, Ok(()));
        assert_eq!(seen, [b"1", b"2"]);
        assert!(held.is_empty());
    }

    #[test]
    fn no_more_waits_than_its_bound() {
        let mut held = Held::default();
        let quarter = vec![b'x'; HELD_MAX / 4];
        let kept: Vec<bool> = (0..4).map(|_| held.keep(&dead_letter(&quarter))).collect();
        assert_eq!(kept, [true, true, true, false]);
        held.hand_over(|_| Ok(())).unwrap();
        assert!(held.keep(&dead_letter(&quarter)), "room again");
        held.clear();
        assert!(held.is_empty());
    }
}
