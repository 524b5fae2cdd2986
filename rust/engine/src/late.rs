//! The ledger of events that came too late: the newest of them, and what was done with each.

use std::collections::VecDeque;

use crate::heap::room;

/// An event before the watermark of its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LateRecord {
    /// Index of its stream.
    pub stream: usize,
    /// Its time, in ticks.
    pub time: i64,
    /// The newest time of the stream when it came.
    pub newest: i64,
    /// Whether it got a row; else it was refused.
    pub emitted: bool,
}

/// The newest late events.
#[derive(Clone, Debug)]
pub(crate) struct LateEvents {
    records: VecDeque<LateRecord>,
    max: usize,
}

impl LateEvents {
    pub fn new(max: usize) -> Self {
        Self { records: VecDeque::new(), max }
    }

    pub fn add(&mut self, record: LateRecord) {
        if self.max == 0 {
            return;
        }
        if self.records.len() == self.max {
            self.records.pop_front();
        }
        self.records.push_back(record);
    }

    pub fn iter(&self) -> impl Iterator<Item = &LateRecord> {
        self.records.iter()
    }

    pub fn bytes(&self) -> usize {
        room::<LateRecord>(self.records.capacity())
    }
}
