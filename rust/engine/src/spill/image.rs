//! What stands before the bytes of a spilled key: how many they are, whose, and what they add up to.

/// Images begin at multiples of this: 32 bits say where in 256 GiB.
pub(crate) const UNIT_BYTES: usize = 64;
/// Bytes of a head.
pub(crate) const HEAD_BYTES: usize = 40;

/// Tells a head from other bytes.
const MAGIC: u32 = 0x7053_6666;

/// What is known of an image before its bytes are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// Bytes after the head.
    pub length: u32,
    /// Number of the table.
    pub table: u32,
    /// Hash of the key.
    pub hash: u64,
    /// Time of the key's newest event.
    pub newest: i64,
    /// How many states had begun to be saved when it was written.
    pub capture: u32,
    sum: u32,
}

/// Makes room for the head of the image that is to follow, at the next unit; where it begins.
pub(crate) fn begin(batch: &mut Vec<u8>) -> usize {
    let start = batch.len().next_multiple_of(UNIT_BYTES);
    batch.resize(start + HEAD_BYTES, 0);
    start
}

/// Writes the head of the image that begins at `start` and goes to the end.
pub(crate) fn finish(batch: &mut [u8], start: usize, (table, capture): (u32, u32), hash: u64, newest: i64) {
    let (head, bytes) = batch[start..].split_at_mut(HEAD_BYTES);
    let length = u32::try_from(bytes.len()).expect("a key has less than 4 GiB");
    head[0..4].copy_from_slice(&MAGIC.to_le_bytes());
    head[4..8].copy_from_slice(&length.to_le_bytes());
    head[8..12].copy_from_slice(&table.to_le_bytes());
    head[12..16].copy_from_slice(&crc32c::crc32c(bytes).to_le_bytes());
    head[16..24].copy_from_slice(&hash.to_le_bytes());
    head[24..32].copy_from_slice(&newest.to_le_bytes());
    head[32..36].copy_from_slice(&capture.to_le_bytes());
    let own = crc32c::crc32c(&head[..36]);
    head[36..40].copy_from_slice(&own.to_le_bytes());
}

impl Head {
    /// Reads a head; `None` where the bytes are none.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let word = |at: usize| bytes.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes);
        let double = |at: usize| bytes.get(at..at + 8)?.try_into().ok().map(u64::from_le_bytes);
        if word(0)? != MAGIC || word(36)? != crc32c::crc32c(&bytes[..36]) {
            return None;
        }
        let (length, table, sum, capture) = (word(4)?, word(8)?, word(12)?, word(32)?);
        Some(Self { length, table, hash: double(16)?, newest: double(24)? as i64, capture, sum })
    }

    /// Whether these are the bytes that were written.
    pub fn sums_up(&self, bytes: &[u8]) -> bool {
        bytes.len() == self.length as usize && crc32c::crc32c(bytes) == self.sum
    }

    /// Bytes from the head to the next image.
    pub fn stride(&self) -> usize {
        (HEAD_BYTES + self.length as usize).next_multiple_of(UNIT_BYTES)
    }
}
