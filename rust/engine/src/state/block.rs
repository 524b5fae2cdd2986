//! A key's block in the slab: header, the key's bytes padded to words, the number of its extra where it has one, then a run of events.

use super::interner::{ABSENT, Interner};
use super::lane::{each, kept};
use super::run::{RUN, Run, RunMut, bits};
use crate::definition::FieldKind;
use crate::plan::{FlagPlan, LanePlan, LogColumn, Place, TablePlan};

/// Steps in which room for events grows.
pub(super) const ROOM: [usize; 11] = [1, 2, 3, 4, 5, 6, 8, 12, 16, 24, RUN];

/// The header word: events 6 bits, room for events 6, touched 1, freed 1 (`slab` writes it), turn 1, busy 1, extra 1, block words 23,
/// key bytes 24.
#[derive(Clone, Copy)]
pub(super) struct Header(pub u64);

/// The number of an extra that is not there yet.
pub(super) const NO_EXTRA: u64 = u64::MAX;

impl Header {
    /// The key has had to do with an event since it was last passed over by who looks for keys that may leave memory.
    pub const TOUCHED: u64 = 1 << 12;
    /// That of the table, but for keys of a state that is being written while events come, which have not been saved yet.
    pub const TURN: u64 = 1 << 14;
    pub const BUSY: u64 = 1 << 15;
    pub const EXTRA: u64 = 1 << 16;

    pub fn new(extra: bool, key_bytes: usize) -> Self {
        assert!(key_bytes < 1 << 24, "a key has less than 16 MiB");
        Self(if extra { Self::EXTRA } else { 0 } | (key_bytes as u64) << 40)
    }

    pub fn with_len(self, len: usize) -> Self {
        Self(self.0 & !0x3F | len as u64)
    }

    pub fn with_block(self, room: usize, words: usize) -> Self {
        assert!(words < 1 << 23, "a block has less than 64 MiB");
        Self(self.0 & !(0x3F << 6) & !(0x7F_FFFF << 17) | (room as u64) << 6 | (words as u64) << 17)
    }

    pub fn len(self) -> usize {
        (self.0 & 0x3F) as usize
    }

    pub fn room(self) -> usize {
        (self.0 >> 6 & 0x3F) as usize
    }

    pub fn busy(self) -> bool {
        self.0 & Self::BUSY != 0
    }

    /// Whether a word is there for the number of an extra.
    pub fn extra(self) -> bool {
        self.0 & (Self::EXTRA | Self::BUSY) != 0
    }

    pub fn words(self) -> usize {
        (self.0 >> 17 & 0x7F_FFFF) as usize
    }

    pub fn key_bytes(self) -> usize {
        (self.0 >> 40) as usize
    }

    /// Word of the block at which the number of the extra, or the run, begins.
    pub fn after_key(self) -> usize {
        1 + self.key_bytes().div_ceil(8)
    }

    pub fn run(self) -> usize {
        self.after_key() + usize::from(self.extra())
    }
}

/// Number of the extra of a key that has one.
#[inline]
pub(super) fn number_of(block: &[u64], header: Header) -> Option<usize> {
    if !header.extra() {
        return None;
    }
    let number = block[header.after_key()];
    (number != NO_EXTRA).then_some(number as usize)
}

#[inline]
pub(super) fn run_of<'a>(block: &'a [u64], header: Header, plan: &TablePlan) -> Run<'a> {
    Run::new(&block[header.run()..header.words()], plan.shape, header.room(), header.len())
}

/// How many events fit into so many words.
pub(super) fn room_in(plan: &TablePlan, words: usize) -> usize {
    ROOM.iter().rev().copied().find(|&room| plan.shape.words_of(room) <= words).unwrap_or(0)
}

/// Flags that depend on other events of the run, once the one at `at` has been put in.
pub(super) fn note(plan: &TablePlan, words: &mut [u64], room: usize, len: usize, at: usize) {
    for (flag, flag_plan) in plan.flags.iter().enumerate() {
        match *flag_plan {
            FlagPlan::Mask { .. } => {}
            FlagPlan::Session { gap } => {
                for index in at..(at + 2).min(len) {
                    let times = Run::new(words, plan.shape, room, len).times();
                    let begins = index == 0 || times[index].saturating_sub(times[index - 1]) > gap;
                    RunMut { words, shape: plan.shape, room }.set_flag(flag, index, begins);
                }
            }
            FlagPlan::Newest { lane } => {
                let LanePlan::Distinct { column, mask, .. } = plan.lanes[lane] else {
                    unreachable!("only distinct counts have such a flag")
                };
                let run = Run::new(words, plan.shape, room, len);
                let column = &plan.columns[column];
                let is_kept = kept(run, mask, at, at + 1) != 0;
                let (mut newest, mut before) = (is_kept, None);
                if is_kept {
                    let value = column.identity(run, at);
                    each(run.flag(flag) & !(1 << at) & bits(0, len), |index| {
                        if column.identity(run, index) == value {
                            newest &= index < at;
                            before = Some(index).filter(|&index| index < at);
                        }
                    });
                }
                let mut run = RunMut { words, shape: plan.shape, room };
                run.set_flag(flag, at, newest);
                if let Some(before) = before {
                    run.set_flag(flag, before, false);
                }
            }
        }
    }
}

/// Flags that depend on other events of the run, of all of them.
pub(super) fn note_all(plan: &TablePlan, words: &mut [u64], room: usize, len: usize) {
    for (flag, flag_plan) in plan.flags.iter().enumerate() {
        let run = Run::new(words, plan.shape, room, len);
        let set = match *flag_plan {
            FlagPlan::Mask { .. } => continue,
            FlagPlan::Session { gap } => {
                let pairs = run.times().windows(2).enumerate();
                let begins = pairs.filter(|(_, pair)| pair[1].saturating_sub(pair[0]) > gap);
                begins.fold(bits(0, len.min(1)), |set, (index, _)| set | 2 << index)
            }
            FlagPlan::Newest { lane } => {
                let LanePlan::Distinct { column, mask, .. } = plan.lanes[lane] else {
                    unreachable!("only distinct counts have such a flag")
                };
                newest(&plan.columns[column], run, kept(run, mask, 0, len))
            }
        };
        *RunMut { words, shape: plan.shape, room }.flag_mut(flag) = set;
    }
}

/// Which of some records are the newest of their values.
fn newest(column: &LogColumn, run: Run<'_>, kept: u32) -> u32 {
    let (mut values, mut met, mut set) = ([0; RUN], 0, 0);
    let mut left = kept;
    while left != 0 {
        let index = 31 - left.leading_zeros() as usize;
        left ^= 1 << index;
        let value = column.identity(run, index);
        if !values[..met].contains(&value) {
            values[met] = value;
            met += 1;
            set |= 1 << index;
        }
    }
    set
}

/// Numbers of the texts of a record.
pub(crate) fn texts<'a>(plan: &'a TablePlan, run: Run<'a>, index: usize) -> impl Iterator<Item = u32> + 'a {
    let columns = plan.columns.iter().filter_map(|column| match column.place {
        Place::Half(half) if column.kind == FieldKind::String => Some(half),
        _ => None,
    });
    columns.map(move |half| run.half(half)[index]).filter(|&id| id != ABSENT)
}

/// A record has left the log: its texts are used once less.
pub(super) fn release_texts(plan: &TablePlan, run: Run<'_>, index: usize, interner: &mut Interner) {
    texts(plan, run, index).for_each(|id| interner.release(id));
}

pub(super) fn same_bytes(words: &[u64], bytes: &[u8]) -> bool {
    let mut chunks = bytes.chunks_exact(8);
    let whole = words.iter().zip(&mut chunks).all(|(&word, chunk)| word.to_le_bytes() == chunk);
    let rest = chunks.remainder();
    whole && (rest.is_empty() || words.last().is_some_and(|word| word.to_le_bytes()[..rest.len()] == *rest))
}
