//! A journal through the engine again: state comes to what it was, and nothing is answered on the way.

use std::sync::Arc;

use crate::engine::{Engine, fill, mark};
use crate::event::{Event, Value};
use crate::journal::{Chunk, Op, Slot};
use crate::key;
use crate::state::Run;
use crate::state::table::Key;

/// With a limit on memory, a journal may have this part of it, on top.
const LIMIT_PART: u64 = 4;

/// Buffers of one event, reused.
#[derive(Debug, Default)]
pub(crate) struct Replay {
    event: Event,
    key: Vec<u8>,
    record: Vec<u64>,
}

impl Engine {
    /// Gives the journal up where it has become larger than the state, or than its part of a limit.
    #[cold]
    pub(crate) fn bound_journal(&mut self) {
        let bytes = self.bytes();
        let most = self.options.memory_limit.map_or(u64::MAX, |limit| limit / LIMIT_PART);
        if let Some(journal) = &mut self.journal {
            journal.bound(bytes, most);
        }
    }

    /// Takes in what happened; counters but for those of events and times are left as they are.
    pub(crate) fn replay(&mut self, slots: &[Vec<Slot>], chunk: &Chunk, replay: &mut Replay) {
        let plan = Arc::clone(&self.plan);
        let Replay { event, key, record } = replay;
        chunk.each(slots, event, |op, event| {
            let (stream, time) = match op {
                Op::Evicted => return self.evict(&plan),
                Op::Event(stream, time) => (stream, time),
            };
            let stream_plan = &plan.streams[stream];
            let time_column = stream_plan.schema.time_column;
            if event.values.len() <= time_column {
                event.values.resize(time_column + 1, Value::Null);
            }
            event.values[time_column] = Value::Time(time);
            let clock = &mut self.clocks[stream];
            clock.newest = clock.newest.max(Some(time));
            clock.events += 1;
            for write in &stream_plan.writes {
                key.clear();
                if !key::encode(&write.key, event, key) {
                    continue;
                }
                let (table, table_plan) = (&mut self.tables[write.table], &plan.tables[write.table]);
                let key = Key { hash: key::hash(key), bytes: key };
                let found = table.find(key);
                table.warm(found);
                fill(table_plan, event, time, record, &mut self.interner);
                let mark = mark(&plan, table_plan, &self.clocks);
                table.store(table_plan, found, key, Run::new(record, table_plan.shape, 1, 1), mark, &mut self.interner);
                table.expire(table_plan, mark, &mut self.interner);
            }
        });
    }
}
