//! State of one stream by one key: an index from key to block, and in the block either the few records of a key or the number
//! of its rich state.
//!
//! A block: header, the key's bytes padded to words, then records one after the other. The header holds how many records there
//! are, how many fit, the length of the key, and the size of the block.

use super::interner::Interner;
use super::lanes::{self, Cells, Question};
use super::log::{Log, SliceLog};
use super::rich::Rich;
use super::scan;
use super::slab::{Reference, Slab};
use crate::definition::FieldKind;
use crate::key::KeyIndex;
use crate::plan::{DistinctLane, TablePlan};

/// A key with more live events gets running state: up to here a scan of the records is as fast and takes no memory.
const SMALL_MAX: usize = 32;
/// Steps in which room for records grows.
const ROOM: [usize; 11] = [1, 2, 3, 4, 5, 6, 8, 12, 16, 24, SMALL_MAX];

#[derive(Debug, Default)]
pub(crate) struct Table {
    index: KeyIndex,
    slab: Slab,
    #[expect(clippy::vec_box, reason = "growing a list of boxes copies words, not states")]
    rich: Vec<Box<Rich>>,
    lows: Vec<usize>,
}

/// A key on its way through one event.
#[derive(Clone, Copy)]
pub(crate) struct Key<'a> {
    pub hash: u64,
    pub bytes: &'a [u8],
}

/// The header word: records 16 bits, rich flag 1 bit, block words 23 bits, key bytes 24 bits.
#[derive(Clone, Copy)]
struct Header(u64);

impl Header {
    const RICH: u64 = 1 << 16;

    fn new(len: usize, rich: bool, words: usize, key_bytes: usize) -> Self {
        assert!(key_bytes < 1 << 24 && words < 1 << 23, "a key has less than 16 MiB");
        Self(len as u64 | if rich { Self::RICH } else { 0 } | (words as u64) << 17 | (key_bytes as u64) << 40)
    }

    fn len(self) -> usize {
        (self.0 & 0xFFFF) as usize
    }

    fn rich(self) -> bool {
        self.0 & Self::RICH != 0
    }

    fn words(self) -> usize {
        (self.0 >> 17 & 0x7F_FFFF) as usize
    }

    fn key_bytes(self) -> usize {
        (self.0 >> 40) as usize
    }

    /// Word of the block at which records, or the number of the rich state, begin.
    fn content(self) -> usize {
        1 + self.key_bytes().div_ceil(8)
    }
}

impl Table {
    /// Where the state of a key lies, if it has any.
    #[inline]
    pub fn find(&self, key: Key<'_>) -> Option<Reference> {
        self.index.find(key.hash, |reference| {
            let block = self.slab.block(reference);
            let header = Header(block[0]);
            header.key_bytes() == key.bytes.len() && same_bytes(&block[1..header.content()], key.bytes)
        })
    }

    /// Answers every lane of the read for the key, or for a key without state.
    #[inline]
    pub fn answer(&mut self, found: Option<Reference>, question: &Question<'_>, cells: &mut Cells) {
        let record_words = question.table.record_words;
        let Some(reference) = found else {
            return scan::scan(&SliceLog { words: &[], record_words }, question, &mut self.lows, cells);
        };
        let block = self.slab.block(reference);
        let header = Header(block[0]);
        if header.rich() {
            self.rich[block[header.content()] as usize].answer(question, cells);
        } else {
            let words = &block[header.content()..][..header.len() * record_words];
            scan::scan(&SliceLog { words, record_words }, question, &mut self.lows, cells);
        }
    }

    /// Appends a record. No row to come is earlier than `mark`.
    pub fn append(
        &mut self,
        plan: &TablePlan,
        found: Option<Reference>,
        key: Key<'_>,
        record: &mut [u64],
        mark: i64,
        interner: &mut Interner,
    ) {
        let mut release = |record: &[u64]| release_texts(plan, record, interner);
        let Some(reference) = found else {
            let reference = self.create(plan, key, record);
            return self.index.insert(key.hash, reference);
        };
        let header = Header(self.slab.block(reference)[0]);
        if header.rich() {
            let number = self.slab.block(reference)[header.content()] as usize;
            return self.rich[number].append(plan, record, mark, release);
        }
        mark_last(
            plan,
            &mut self.slab.block_mut(reference)[header.content()..][..header.len() * plan.record_words],
            record,
        );
        let room = (header.words() - header.content()) / plan.record_words;
        let mut len = header.len();
        if len == room.min(SMALL_MAX) {
            let block = self.slab.block_mut(reference);
            len = drop_gone(plan, &mut block[header.content()..][..len * plan.record_words], mark, &mut release);
        }
        if len == room.min(SMALL_MAX) {
            let moved = self.grow(plan, reference, header, record);
            return self.index.replace(key.hash, reference, moved);
        }
        let block = self.slab.block_mut(reference);
        block[header.content() + len * plan.record_words..][..plan.record_words].copy_from_slice(record);
        block[0] = Header::new(len + 1, false, header.words(), header.key_bytes()).0;
    }

    fn create(&mut self, plan: &TablePlan, key: Key<'_>, record: &mut [u64]) -> Reference {
        let key_words = key.bytes.len().div_ceil(8);
        for lane in distinct_lanes(plan) {
            lanes::set_flag(record, lane.flag, lanes::keeps(lane.mask, record));
        }
        let content = if plan.always_rich { 1 } else { plan.record_words };
        let (reference, words) = self.slab.allocate(1 + key_words + content);
        let rich = plan.always_rich.then(|| self.enrich(plan, record));
        let block = self.slab.block_mut(reference);
        for (word, bytes) in block[1..=key_words].iter_mut().zip(key.bytes.chunks(8)) {
            let mut padded = [0; 8];
            padded[..bytes.len()].copy_from_slice(bytes);
            *word = u64::from_le_bytes(padded);
        }
        let content = &mut block[1 + key_words..];
        match rich {
            Some(number) => content[0] = number as u64,
            None => content[..plan.record_words].copy_from_slice(record),
        }
        block[0] = Header::new(usize::from(rich.is_none()), rich.is_some(), words, key.bytes.len()).0;
        reference
    }

    fn enrich(&mut self, plan: &TablePlan, records: &[u64]) -> usize {
        self.rich.push(Box::new(Rich::new(plan, records)));
        self.rich.len() - 1
    }

    /// A block that is full moves to a larger one, or becomes rich.
    fn grow(&mut self, plan: &TablePlan, old: Reference, header: Header, record: &[u64]) -> Reference {
        let (content, len) = (header.content(), header.len());
        let used = content + len * plan.record_words;
        let rich = len >= SMALL_MAX;
        let wanted = match rich {
            true => content + 1,
            false => content + plan.record_words * ROOM.iter().copied().find(|&room| room > len).unwrap_or(SMALL_MAX),
        };
        let mut words: Vec<u64> = self.slab.block(old)[..used].to_vec();
        self.slab.release(old, header.words());
        let (new, size) = self.slab.allocate(wanted);
        if rich {
            words.extend_from_slice(record);
            let number = self.enrich(plan, &words[content..]);
            words.truncate(content);
            words.push(number as u64);
        } else {
            words.extend_from_slice(record);
        }
        words[0] = Header::new(if rich { 0 } else { len + 1 }, rich, size, header.key_bytes()).0;
        self.slab.block_mut(new)[..words.len()].copy_from_slice(&words);
        new
    }

    /// Number of keys.
    pub fn keys(&self) -> usize {
        self.index.keys()
    }

    pub fn bytes(&self) -> usize {
        let rich: usize = self.rich.iter().map(|rich| rich.bytes()).sum();
        self.index.bytes() + self.slab.bytes() + rich + self.rich.capacity() * 8
    }
}

fn distinct_lanes(plan: &TablePlan) -> impl Iterator<Item = &DistinctLane> {
    plan.reads.iter().flat_map(|read| &read.distincts)
}

/// The newcomer is the last of its value: takes the flag from the one that was.
fn mark_last(plan: &TablePlan, records: &mut [u64], record: &mut [u64]) {
    for lane in distinct_lanes(plan) {
        let kept = lanes::keeps(lane.mask, record);
        lanes::set_flag(record, lane.flag, kept);
        if kept {
            let column = &plan.columns[lane.column];
            let value = column.identity(record);
            let same = records
                .chunks_exact_mut(plan.record_words)
                .rev()
                .find(|other| lanes::flag(other, lane.flag) && column.identity(other) == value);
            if let Some(other) = same {
                lanes::set_flag(other, lane.flag, false);
            }
        }
    }
}

/// Moves what is still of use to the front; how many records that are.
fn drop_gone(plan: &TablePlan, records: &mut [u64], mark: i64, release: &mut impl FnMut(&[u64])) -> usize {
    let log = SliceLog { words: records, record_words: plan.record_words };
    let len = log.len();
    let seen = log.upper_bound(mark, 0, len);
    let dropped = log.upper_bound(mark.saturating_sub(plan.reach), 0, len).min(seen.saturating_sub(plan.keep_last));
    for index in 0..dropped {
        release(log.record(index));
    }
    records.copy_within(dropped * plan.record_words.., 0);
    len - dropped
}

/// Numbers of the texts of a record.
pub(crate) fn texts(plan: &TablePlan, record: &[u64]) -> impl Iterator<Item = u32> {
    let columns = plan.columns.iter().filter(|column| column.kind == FieldKind::String);
    columns.map(|column| column.load(record) as u32).filter(|&id| id != super::interner::ABSENT)
}

/// A record has left the log: its texts are used once less, but for those that all-time answers may still give.
fn release_texts(plan: &TablePlan, record: &[u64], interner: &mut Interner) {
    let columns =
        plan.columns.iter().zip(&plan.pinned).filter(|(column, pinned)| column.kind == FieldKind::String && !**pinned);
    for id in columns.map(|(column, _)| column.load(record) as u32).filter(|&id| id != super::interner::ABSENT) {
        interner.release(id);
    }
}

fn same_bytes(words: &[u64], bytes: &[u8]) -> bool {
    let mut chunks = bytes.chunks_exact(8);
    let whole = words.iter().zip(&mut chunks).all(|(&word, chunk)| word.to_le_bytes() == chunk);
    let rest = chunks.remainder();
    whole && (rest.is_empty() || words.last().is_some_and(|word| word.to_le_bytes()[..rest.len()] == *rest))
}
