//! A state that is being saved, and who saves the next of it: whoever has the engine anyway, or the writer.
//!
//! A thread that pushes has the engine already, so it saves a little of the state after an event now and then, when the writer is ready for more. So while
//! events come the writer never has the engine, and cannot lose its processor while it has. A push never waits for the writer here.

use std::sync::Weak;
#[cfg(not(feature = "schedules"))]
use std::sync::{
    Mutex, MutexGuard, TryLockError,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

#[cfg(feature = "schedules")]
use shuttle::sync::{
    Mutex, MutexGuard, TryLockError,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use super::snapshot::{STEP_BYTES, Saving};
use crate::engine::Engine;

/// Bytes of keys that are saved after an event, about; some ten microseconds. More than the writer saves at once: who pushes keeps nobody waiting by it.
pub(super) const PART_BYTES: usize = if cfg!(feature = "schedules") { 600 } else { 16 << 10 };
/// Of so many events that come one by one, one at most has a part saved after it.
const EVENTS_A_PART: u64 = if cfg!(feature = "schedules") { 1 } else { 3 };
/// After a batch a part is saved for so many events of it, and so many parts at most.
const BATCHED_A_PART: u64 = 64;
const PARTS_MAX: u64 = 16;

/// A state that is being saved.
#[derive(Debug)]
pub(crate) struct Handover {
    /// Whoever has it need not have the engine; who has the engine does not wait for it, unless it is the writer.
    saving: Mutex<Saving>,
    /// The writer is ready for more. Said by the writer, taken back by who has saved it, with the engine.
    is_wanted: AtomicBool,
    /// Events that others have pushed since. As the next one, only counted by who has the engine.
    events: AtomicU64,
    /// From so many on, a part is saved after one.
    due: AtomicU64,
}

impl Handover {
    /// Of a state whose instant has been.
    pub(super) fn new(saving: Saving) -> Self {
        Self {
            saving: Mutex::new(saving),
            is_wanted: AtomicBool::new(false),
            events: AtomicU64::new(0),
            due: AtomicU64::new(0),
        }
    }

    /// What has been saved, for the writer; `None` where saving it has failed half way.
    pub(super) fn saving(&self) -> Option<MutexGuard<'_, Saving>> {
        self.saving.lock().ok()
    }

    /// Says that what had been saved has been taken: others may save more.
    pub(super) fn want(&self) {
        self.is_wanted.store(true, Ordering::Release);
    }

    /// Whether nobody has saved more since.
    pub(super) fn is_wanted(&self) -> bool {
        self.is_wanted.load(Ordering::Acquire)
    }

    /// How many events others have pushed so far.
    pub(super) fn events(&self) -> u64 {
        self.events.load(Ordering::Relaxed)
    }

    /// Saves more for the writer that has the engine, unless others just have; false where saving has failed half way.
    pub(super) fn save(&self, engine: &mut Engine) -> bool {
        if !self.is_wanted() {
            return true;
        }
        let Ok(mut saving) = self.saving.lock() else { return false };
        self.save_part(&mut saving, engine, STEP_BYTES);
        true
    }

    /// The same after so many events of another thread, where it is time; whether it was.
    fn save_after(&self, engine: &mut Engine, events: u64) -> bool {
        let pushed = self.events() + events;
        self.events.store(pushed, Ordering::Relaxed);
        if pushed < self.due.load(Ordering::Relaxed) || !self.is_wanted() {
            return false;
        }
        match self.saving.try_lock() {
            Ok(mut saving) => {
                let parts = (events / BATCHED_A_PART).clamp(1, PARTS_MAX);
                self.save_part(&mut saving, engine, parts as usize * PART_BYTES);
            }
            Err(TryLockError::WouldBlock | TryLockError::Poisoned(_)) => return false,
        }
        self.due.store(pushed + EVENTS_A_PART, Ordering::Relaxed);
        true
    }

    fn save_part(&self, saving: &mut Saving, engine: &mut Engine, bytes: usize) {
        if saving.save(engine, bytes) {
            // There is nothing to help with any more.
            engine.handover = None;
        }
        self.is_wanted.store(false, Ordering::Release);
    }
}

impl Engine {
    /// Whether another thread writes a checkpoint of this engine: whoever pushes calls `help_checkpoint` then.
    #[inline]
    pub fn is_helped(&self) -> bool {
        self.handover.is_some()
    }

    /// After so many events: saves a little of the checkpoint that another thread writes, where that thread is ready for more; whether it did. That takes
    /// some microseconds.
    #[cold]
    pub fn help_checkpoint(&mut self, events: usize) -> bool {
        let Some(handover) = self.handover.as_ref().and_then(Weak::upgrade) else {
            // Who wrote it has gone.
            self.handover = None;
            return false;
        };
        handover.save_after(self, events as u64)
    }
}
