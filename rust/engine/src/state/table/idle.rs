//! The keys that go first where memory has a limit.

use super::super::interner::Interner;
use super::super::slab::Reference;
use super::{Table, due_after};
use crate::plan::TablePlan;

/// Of so many keys the most idle one goes where room is needed.
const EVICTED_AMONG: usize = 64;

/// A key that may have to go for others.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Idle {
    /// Time of its newest event.
    pub newest: i64,
    due: i64,
    hash: u64,
    reference: Reference,
}

impl Table {
    /// Takes the key out of the waiting that has been idle for longest, about: the first of whom that is known, or the most idle of those looked
    /// at. It is to be put back or evicted.
    pub fn most_idle(&mut self, plan: &TablePlan) -> Option<Idle> {
        let mut oldest: Option<Idle> = None;
        for _ in 0..EVICTED_AMONG {
            let Some((hash, end)) = self.expiry.as_mut()?.pop_first() else { break };
            let Some(reference) = self.index.find(hash, |_| true) else { continue };
            let newest = self.newest(plan, reference);
            let due = newest.saturating_add(due_after(plan, self.idle_after));
            // Keys that have had events since they were put in are put where they belong now.
            let mut other = Some(Idle { newest, due, hash, reference });
            if oldest.is_none_or(|oldest| newest < oldest.newest) {
                std::mem::swap(&mut oldest, &mut other);
            }
            other.into_iter().for_each(|idle| self.wait(idle));
            if due < end {
                break;
            }
        }
        oldest
    }

    /// Puts it back.
    pub fn wait(&mut self, idle: Idle) {
        if let Some(expiry) = &mut self.expiry {
            expiry.put(idle.hash, idle.due);
        }
    }

    /// Lets it go.
    pub fn evict(&mut self, plan: &TablePlan, idle: Idle, texts: &mut Interner) {
        self.save_first(plan, idle.reference);
        self.remove(plan, idle.hash, idle.reference, texts);
    }
}
