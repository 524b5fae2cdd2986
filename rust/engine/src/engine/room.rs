//! Room for an event where memory has a limit: keys that have been idle for longest go, or the event is refused.

use super::{Engine, Located, OnLimit};
use crate::error::EventError;
use crate::plan::Plan;
use crate::state::table::{Idle, Key};

/// By how much the state may grow in one call, beside its indexes: a block, a piece of a list, a log that is not measured at each event.
pub(super) const MARGIN_BYTES: u64 = 1 << 17;

/// This part of a limit is left to the allocator, which loses some memory between what it gives and takes back.
pub(super) const LOST_SHARE: u64 = 20;

impl Engine {
    /// Makes room for the event, or refuses it where it has a new key.
    pub(super) fn make_room(&mut self, plan: &Plan, stream: usize) -> Result<(), EventError> {
        let Some(limit) = self.options.memory_limit else { return Ok(()) };
        if self.spilling.is_some() {
            // There is room since its keys have come to memory.
            return Ok(());
        }
        let growth = self.growth_bytes() + MARGIN_BYTES + limit / LOST_SHARE;
        if self.bytes().saturating_add(growth) <= limit {
            return Ok(());
        }
        if self.options.on_limit == OnLimit::Error {
            let is_new = |located: &Located| located.keyed && located.found.is_none();
            if !self.scratch.located.iter().any(is_new) {
                return Ok(());
            }
            return Err(self.refuse_memory(plan, stream));
        }
        // A key for each new one, and one more, so that memory comes back; but not where what comes back is in too many pieces.
        let freed = self.tables.iter().map(|table| table.freed_bytes() as u64).sum::<u64>();
        let new = self.scratch.located.iter().filter(|located| located.keyed && located.found.is_none()).count();
        for _ in 0..new + usize::from(freed <= limit / 4) {
            self.evict(plan);
        }
        // The key that went may have been one of the event's own.
        for (write, located) in plan.streams[stream].writes.iter().zip(&mut self.scratch.located) {
            let key = Key { hash: located.hash, bytes: &self.scratch.keys[located.start..located.end] };
            located.found = if located.keyed { self.tables[write.table].of(key.hash).find_here(key) } else { None };
        }
        Ok(())
    }

    /// Bytes by which tables and texts may grow at once, but for blocks and logs.
    pub(super) fn growth_bytes(&self) -> u64 {
        let tables: usize = self.tables.iter().map(|table| table.growth_bytes()).sum();
        (tables + self.interner.growth_bytes()) as u64
    }

    /// Counts an event that has a new key where there is no room for one.
    #[cold]
    pub(super) fn refuse_memory(&mut self, plan: &Plan, stream: usize) -> EventError {
        self.refused += 1;
        EventError::Memory {
            stream: plan.streams[stream].schema.stream.clone(),
            limit_bytes: self.options.memory_limit.unwrap_or(u64::MAX),
            state_bytes: self.bytes(),
        }
    }

    /// Lets the key go that has been idle for longest, of whatever table.
    pub(crate) fn evict(&mut self, plan: &Plan) {
        if let Some(journal) = &mut self.journal {
            journal.evict();
        }
        let mut chosen: Option<(usize, Idle)> = None;
        for index in 0..self.tables.len() {
            let table = &mut self.tables[index];
            let Some(idle) = table.most_idle(&plan.tables[index]) else { continue };
            match chosen {
                Some((_, other)) if other.newest <= idle.newest => table.limited().wait(idle),
                _ => {
                    if let Some((before, other)) = chosen.replace((index, idle)) {
                        self.tables[before].limited().wait(other);
                    }
                }
            }
        }
        if let Some((index, idle)) = chosen {
            self.tables[index].limited().evict(&plan.tables[index], idle, &mut self.interner);
            self.evicted += 1;
        }
    }
}
