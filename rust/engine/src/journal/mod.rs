//! The events that an engine has accepted since it was last written down, as far as its state depends on them: what an increment of a
//! checkpoint is made of.
//!
//! State is a function of the accepted events in their order. Of each only those values are kept that a table makes keys, records and
//! masks of, after the expressions over the event and the rows of lookups: so a replay computes none of that, and needs no lookup.

mod chunk;

use std::path::PathBuf;

use self::chunk::Holds;
pub(crate) use self::chunk::{Chunk, Op, Slot};
use crate::definition::FieldKind;
use crate::event::Event;
use crate::plan::{FlagPlan, Plan};

/// Things that happened in one chunk, and bytes of its texts, about.
const CHUNK_OPS: usize = 4_096;
const CHUNK_TEXT_BYTES: usize = 1 << 20;
/// A journal is not given up below this, however small the state is.
const BYTES_MIN: u64 = 16 << 20;

/// The last file of a chain: what the next increment goes on from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    pub folder: PathBuf,
    /// Number of the full checkpoint, and of the increments on it so far.
    pub base: u64,
    pub increments: u64,
    /// Knows the last file.
    pub seal: u64,
    /// Bytes of the full one, and of the increments together.
    pub base_bytes: u64,
    pub increment_bytes: u64,
}

#[derive(Debug)]
pub(crate) struct Journal {
    slots: Vec<Vec<Slot>>,
    full: Vec<Chunk>,
    open: Chunk,
    /// Bytes of the full ones.
    bytes: usize,
    events: u64,
    /// It became larger than the state, and was given up: the next checkpoint is a full one.
    pub given_up: bool,
    /// `None` before the first full checkpoint in a folder.
    pub position: Option<Position>,
}

/// What has been taken out of a journal to be written.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    pub chunks: Vec<Chunk>,
    pub events: u64,
}

/// The slots of each stream that its tables are made of.
pub(crate) fn slots(plan: &Plan) -> Vec<Vec<Slot>> {
    let of = |stream: &crate::plan::StreamPlan| {
        let mut slots: Vec<Slot> = Vec::new();
        let mut add = |slot: usize, holds: Holds| match slots.iter_mut().find(|met| met.slot == slot) {
            Some(met) if met.holds == Holds::Anything => met.holds = holds,
            Some(_) => {}
            None => slots.push(Slot { slot, holds }),
        };
        for write in &stream.writes {
            let table = &plan.tables[write.table];
            for column in &table.columns {
                add(column.slot, if column.kind == FieldKind::String { Holds::Texts } else { Holds::NoText });
            }
            write.key.iter().for_each(|part| add(part.slot, Holds::Anything));
            for flag in &table.flags {
                if let FlagPlan::Mask { valid, condition, .. } = flag {
                    valid.iter().chain(condition).for_each(|&slot| add(slot, Holds::Anything));
                }
            }
        }
        // The time is kept beside them; columns that are the time are not read from their slot.
        slots.retain(|slot| slot.slot != stream.schema.time_column);
        slots
    };
    plan.streams.iter().map(of).collect()
}

impl Journal {
    pub fn new(plan: &Plan) -> Self {
        let slots = slots(plan);
        let open = Chunk::new(&slots, None);
        Self { slots, full: Vec::new(), open, bytes: 0, events: 0, given_up: false, position: None }
    }

    /// An event that has been accepted, with what is computed from it alone. `true` now and then: `bound` is to be called.
    #[inline]
    pub fn event(&mut self, stream: usize, time: i64, event: &Event) -> bool {
        if self.given_up {
            return false;
        }
        self.open.event(stream, &self.slots[stream], time, event);
        if self.open.ops() < CHUNK_OPS && self.open.text_bytes(stream) < CHUNK_TEXT_BYTES {
            return false;
        }
        self.seal();
        true
    }

    /// A key was let go, so that the next event has room.
    pub fn evict(&mut self) {
        if !self.given_up {
            self.open.evict();
        }
    }

    fn seal(&mut self) {
        let next = Chunk::new(&self.slots, Some(&self.open));
        let full = std::mem::replace(&mut self.open, next);
        self.events += full.events() as u64;
        self.bytes += full.bytes();
        self.full.push(full);
    }

    /// Gives up where it has become larger than the state, or than `most`.
    pub fn bound(&mut self, state_bytes: u64, most: u64) {
        if self.bytes as u64 > state_bytes.max(BYTES_MIN).min(most) {
            self.give_up();
        }
    }

    /// Forgets everything: the next checkpoint is a full one.
    pub fn give_up(&mut self) {
        self.take();
        self.open = Chunk::new(&self.slots, None);
        self.given_up = true;
    }

    /// Everything since it was last taken.
    pub fn take(&mut self) -> Taken {
        if self.open.ops() > 0 {
            self.seal();
        }
        self.bytes = 0;
        Taken { chunks: std::mem::take(&mut self.full), events: std::mem::take(&mut self.events) }
    }

    /// Puts back what was taken and could not be written.
    pub fn put_back(&mut self, taken: Taken) {
        if self.given_up {
            return;
        }
        self.bytes += taken.chunks.iter().map(Chunk::bytes).sum::<usize>();
        self.events += taken.events;
        self.full.splice(..0, taken.chunks);
    }

    /// Bytes it holds.
    pub fn bytes(&self) -> usize {
        self.bytes + if self.given_up { 0 } else { self.open.bytes() }
    }
}
