//! Kafka's record batch, version 2: messages laid out as brokers keep them, sealed once it is known who sends them.

use super::avro::long;

/// Bytes before the records.
const HEADER: usize = 61;
/// The checksum covers everything from here on.
const ATTRIBUTES: usize = 21;
const TRANSACTIONAL: i16 = 0x10;

/// One message.
#[derive(Clone, Copy, Debug, Default)]
pub struct Record<'a> {
    /// Its key, where it has one.
    pub key: Option<&'a [u8]>,
    /// Its value; none is a tombstone.
    pub value: Option<&'a [u8]>,
    /// Milliseconds since 1970.
    pub timestamp: i64,
    /// Names and values, in order.
    pub headers: &'a [(String, Option<Vec<u8>>)],
}

/// Who sends a batch.
#[derive(Clone, Copy, Debug)]
pub struct Sender {
    /// The producer's id; -1 for none.
    pub producer: i64,
    /// Its epoch; -1 for none.
    pub epoch: i16,
    /// The sequence number of the first record; -1 for none.
    pub sequence: i32,
    /// Whether the batch is part of a transaction.
    pub transactional: bool,
}

/// Messages of one partition, not compressed.
#[derive(Clone, Debug, Default)]
pub struct RecordBatch {
    records: Vec<u8>,
    count: i32,
    first: i64,
    newest: i64,
}

impl RecordBatch {
    /// Adds a message. False, and nothing is added, where the batch would be longer than `bytes_max`; the first always fits.
    pub fn append(&mut self, record: &Record<'_>, bytes_max: usize) -> bool {
        if self.count == 0 {
            (self.first, self.newest) = (record.timestamp, record.timestamp);
        }
        let delta = record.timestamp.wrapping_sub(self.first);
        let sized = |bytes: Option<&[u8]>| bytes.map_or(1, |bytes| size(bytes.len() as i64) + bytes.len());
        let headers: usize =
            record.headers.iter().map(|(name, value)| sized(Some(name.as_bytes())) + sized(value.as_deref())).sum();
        let length = 1
            + size(delta)
            + size(i64::from(self.count))
            + sized(record.key)
            + sized(record.value)
            + size(record.headers.len() as i64)
            + headers;
        if self.count > 0 && self.size() + size(length as i64) + length > bytes_max {
            return false;
        }
        let out = &mut self.records;
        long(length as i64, out);
        out.push(0);
        long(delta, out);
        long(i64::from(self.count), out);
        sized_bytes(record.key, out);
        sized_bytes(record.value, out);
        long(record.headers.len() as i64, out);
        for (name, value) in record.headers {
            sized_bytes(Some(name.as_bytes()), out);
            sized_bytes(value.as_deref(), out);
        }
        self.count += 1;
        self.newest = self.newest.max(record.timestamp);
        true
    }

    /// How many messages it has.
    pub fn count(&self) -> usize {
        self.count as usize
    }

    /// Its bytes, once it is sealed.
    pub fn size(&self) -> usize {
        HEADER + self.records.len()
    }

    /// What stands before the records, and the records.
    pub fn seal(&self, sender: &Sender) -> ([u8; HEADER], &[u8]) {
        let mut header = [0; HEADER];
        let mut at = 0;
        let mut put = |bytes: &[u8]| {
            header[at..at + bytes.len()].copy_from_slice(bytes);
            at += bytes.len();
        };
        put(&0_i64.to_be_bytes()); // The broker says which offset comes first.
        put(&((self.size() - 12) as i32).to_be_bytes());
        put(&(-1_i32).to_be_bytes());
        put(&[2]);
        put(&0_u32.to_be_bytes());
        put(&(if sender.transactional { TRANSACTIONAL } else { 0 }).to_be_bytes());
        put(&(self.count - 1).max(0).to_be_bytes());
        put(&self.first.to_be_bytes());
        put(&self.newest.to_be_bytes());
        put(&sender.producer.to_be_bytes());
        put(&sender.epoch.to_be_bytes());
        put(&sender.sequence.to_be_bytes());
        put(&self.count.to_be_bytes());
        assert_eq!(at, HEADER);
        let checksum = crc32c::crc32c_append(crc32c::crc32c(&header[ATTRIBUTES..]), &self.records);
        header[ATTRIBUTES - 4..ATTRIBUTES].copy_from_slice(&checksum.to_be_bytes());
        (header, &self.records)
    }
}

fn sized_bytes(bytes: Option<&[u8]>, out: &mut Vec<u8>) {
    match bytes {
        None => long(-1, out),
        Some(bytes) => {
            long(bytes.len() as i64, out);
            out.extend_from_slice(bytes);
        }
    }
}

fn zigzag(value: i64) -> u64 {
    (value << 1 ^ value >> 63) as u64
}

/// Bytes of a varint.
#[inline]
fn size(value: i64) -> usize {
    (64 - (zigzag(value) | 1).leading_zeros() as usize).div_ceil(7)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_varint_is_as_long_as_it_says() {
        for value in [0, -1, 1, 63, 64, -64, -65, 8_191, 8_192, i64::MAX, i64::MIN] {
            let mut out = Vec::new();
            long(value, &mut out);
            assert_eq!(out.len(), size(value), "{value}");
        }
    }

    #[test]
    fn what_does_not_fit_is_left_out_and_the_first_always_fits() {
        let mut batch = RecordBatch::default();
        let record = Record { value: Some(&[7; 100]), ..Record::default() };
        assert!(batch.append(&record, 10));
        let one = batch.size();
        assert!(!batch.append(&record, one + 100));
        assert_eq!((batch.count(), batch.size()), (1, one));
        assert!(batch.append(&record, 2 * one));
        assert_eq!(batch.count(), 2);
    }

    #[test]
    fn a_sealed_batch_says_its_length_and_its_checksum() {
        let mut batch = RecordBatch::default();
        batch.append(&Record { key: Some(b"k"), timestamp: 5, ..Record::default() }, 1_000);
        let (header, records) = batch.seal(&Sender { producer: 3, epoch: 1, sequence: 9, transactional: true });
        assert_eq!(records, [14, 0, 0, 0, 2, b'k', 1, 0]);
        assert_eq!(u32::from_be_bytes(header[8..12].try_into().unwrap()) as usize, batch.size() - 12);
        let all = [&header[ATTRIBUTES..], records].concat();
        assert_eq!(header[17..21], crc32c::crc32c(&all).to_be_bytes());
    }
}
