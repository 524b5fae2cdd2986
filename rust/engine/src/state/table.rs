//! State of one stream by one key, or a shard of it: an index from key to block, and in the block either the few events of a key or the number of
//! what it has beyond them.
//!
//! A block: header, the key's bytes padded to words, the number of its extra where it has one, then a run of events. The extra is the
//! log of a busy key, and what is kept of events that have left the log.

use super::answer::{self, Events, Question, Scratch};
use super::block::{Header, NO_EXTRA, ROOM, note, number_of, release_texts, room_in, run_of, same_bytes};
use super::bounds;
use super::busy::Busy;
use super::cells::Cells;
use super::expiry::Expiry;
use super::extra::Extras;
use super::interner::Interner;
use super::log::Log;
use super::past::Past;
use super::prefetch;
use super::run::{RUN, Run, RunMut};
use super::slab::Slab;
use crate::key::{self, KeyIndex};
use crate::plan::TablePlan;

/// A busy key with fewer events becomes a run again.
const BUSY_MIN: usize = RUN / 2;
/// Events that leave, and events that are folded, in one call at most.
const STEPS_MAX: usize = 2 * RUN;
/// A log is measured again after so many events.
const MEASURED_EVERY: u8 = 16;

mod asleep;
mod captured;
mod carried;
mod course;
mod idle;
mod log_captured;
mod saved;
mod settle;
mod spilled;

pub(crate) use super::slab::Reference;
use asleep::Asleep;
pub(crate) use asleep::{Laid, UNREADABLE};
use captured::Capture;
pub(crate) use captured::Saved;
pub(crate) use idle::Idle;
pub(super) use log_captured::LogCapture;
pub(crate) use saved::{Loading, next_key, save_block};
pub(crate) use spilled::{Elsewhere, Leaving, key_in};

#[derive(Debug)]
pub(crate) struct Table {
    index: KeyIndex,
    slab: Slab,
    extras: Extras,
    extra_bytes: usize,
    expiry: Option<Expiry>,
    /// Keys that are as they were read.
    asleep: Option<Box<Asleep>>,
    idle_after: Option<i64>,
    /// A run without events.
    empty: Box<[u64]>,
    scratch: Scratch,
    moving: Vec<u64>,
    /// `Header::TURN`, or 0: turns with each state that is written while events come.
    turn: u64,
    /// What saves it.
    capture: Option<Box<Capture>>,
    /// Keys that left because nothing could see them any more.
    pub expired: u64,
}

/// A key on its way through one event.
#[derive(Clone, Copy)]
pub(crate) struct Key<'a> {
    pub hash: u64,
    pub bytes: &'a [u8],
}

impl<'a> Key<'a> {
    pub fn of(bytes: &'a [u8]) -> Self {
        Self { hash: key::hash(bytes), bytes }
    }
}

impl Table {
    /// The top bits of its keys' hashes are the number of the shard; `evicts` when idle keys may have to go before nothing can see them.
    pub fn new(plan: &TablePlan, shard_bits: u32, idle_after: Option<i64>, evicts: bool) -> Self {
        let after = if plan.forever { idle_after } else { Some(plan.linger) };
        let after = after.or_else(|| evicts.then(|| plan.linger.max(1)));
        Self {
            index: KeyIndex::within(shard_bits),
            slab: Slab::default(),
            extras: Extras::default(),
            extra_bytes: 0,
            expiry: after.map(|after| Expiry::new(after, evicts)),
            asleep: None,
            idle_after: idle_after.filter(|_| plan.forever),
            empty: vec![0; plan.shape.words_of(0)].into_boxed_slice(),
            scratch: Scratch::new(),
            moving: Vec::new(),
            turn: 0,
            capture: None,
            expired: 0,
        }
    }

    /// Where the state of a key lies, if it has any. One that sleeps wakes.
    #[inline]
    pub fn find(&mut self, plan: &TablePlan, key: Key<'_>, texts: &Interner) -> Option<Reference> {
        match self.find_here(key) {
            None if self.asleep.is_some() => self.wake(plan, key, texts),
            found => found,
        }
    }

    /// The same of a key that does not sleep.
    #[inline]
    pub fn find_here(&self, key: Key<'_>) -> Option<Reference> {
        self.index.find(key.hash, |reference| {
            let block = self.slab.block(reference);
            let header = Header(block[0]);
            header.key_bytes() == key.bytes.len() && same_bytes(&block[1..header.after_key()], key.bytes)
        })
    }

    /// Asks for the state of a key before it is needed.
    #[inline]
    pub fn warm(&self, found: Option<Reference>) {
        let Some(reference) = found else { return };
        let block = self.slab.block(reference);
        let header = Header(block[0]);
        if let Some(busy) = number_of(block, header).and_then(|number| self.extras.get(number).busy.as_deref()) {
            busy.warm();
        } else {
            prefetch::slice(&block[header.run()..header.words()]);
        }
    }

    /// Answers every lane of a read for a key, or for a key without state.
    #[inline]
    pub fn answer(&mut self, found: Option<Reference>, question: &Question<'_>, texts: &Interner, cells: &mut Cells) {
        let shape = question.plan.shape;
        let question = &Question { idle_after: self.idle_after, ..*question };
        let Some(reference) = found else {
            let run = Run::new(&self.empty, shape, 0, 0);
            return answer::answer(question, Events::Run(run), None, texts, &mut self.scratch, cells);
        };
        let block = self.slab.block(reference);
        let header = Header(block[0]);
        let extra = number_of(block, header).map(|number| self.extras.get_mut(number));
        let (busy, past) = match extra {
            Some(extra) => (extra.busy.as_deref_mut(), extra.past.as_deref_mut()),
            None => (None, None),
        };
        let events = match busy {
            Some(busy) => Events::Busy(busy),
            None => Events::Run(run_of(block, header, question.plan)),
        };
        answer::answer(question, events, past, texts, &mut self.scratch, cells);
    }

    /// Looks at the events of a key: the oldest first, positions as of its log.
    pub fn look(&mut self, found: Option<Reference>, question: &Question<'_>, look: impl FnMut(bounds::Seen<'_>)) {
        let question = &Question { idle_after: self.idle_after, ..*question };
        let (log, past) = match found {
            None => (Log::Run(Run::new(&self.empty, question.plan.shape, 0, 0)), None),
            Some(reference) => {
                let block = self.slab.block(reference);
                let header = Header(block[0]);
                let extra = number_of(block, header).map(|number| self.extras.get(number));
                let log = match extra.and_then(|extra| extra.busy.as_deref()) {
                    Some(busy) => Log::Busy(busy),
                    None => Log::Run(run_of(block, header, question.plan)),
                };
                (log, extra.and_then(|extra| extra.past.as_deref()))
            }
        };
        bounds::look(question, log, past, look);
    }

    /// Puts an event in at its place in the order. No row to come is earlier than `mark`.
    pub fn store(
        &mut self,
        plan: &TablePlan,
        found: Option<Reference>,
        key: Key<'_>,
        record: Run<'_>,
        mark: i64,
        texts: &mut Interner,
    ) {
        let Some(reference) = found else {
            let reference = self.create(plan, key, record);
            self.index.insert(key.hash, reference);
            if let Some(expiry) = &mut self.expiry {
                expiry.put(key.hash, record.times()[0].saturating_add(due_after(plan, self.idle_after)));
            }
            return;
        };
        self.save_first(plan, reference);
        self.fold(plan, reference, mark, texts);
        let header = Header(self.slab.block(reference)[0]);
        if header.busy() {
            return self.store_busy(plan, key.hash, reference, record, mark, texts);
        }
        let mut len = header.len();
        if len == header.room() {
            len = self.drop_gone(plan, reference, mark, texts);
        }
        if len == RUN {
            let reference = self.make_busy(plan, key.hash, reference, texts);
            return self.store_busy(plan, key.hash, reference, record, mark, texts);
        }
        let reference = if len == header.room() { self.grow(plan, key.hash, reference) } else { reference };
        let block = self.slab.block_mut(reference);
        let header = Header(block[0]);
        let (room, words) = (header.room(), &mut block[header.run()..]);
        let at = Run::new(words, plan.shape, room, len).upper_bound(record.times()[0]);
        RunMut { words, shape: plan.shape, room }.insert(len, at, record, 0);
        note(plan, words, room, len + 1, at);
        block[0] = header.with_len(len + 1).0;
    }

    fn store_busy(
        &mut self,
        plan: &TablePlan,
        hash: u64,
        reference: Reference,
        record: Run<'_>,
        mark: i64,
        texts: &mut Interner,
    ) {
        let block = self.slab.block(reference);
        let number = number_of(block, Header(block[0])).expect("a busy key has an extra");
        let extra = self.extras.get_mut(number);
        let busy = extra.busy.as_mut().expect("a busy key has a log");
        let at = busy.upper_bound(record.times()[0]);
        if let Some(capture) = &mut extra.capture {
            capture.save_from(plan, busy, at);
        }
        busy.insert(plan, at, record, texts);
        // Mostly the first run has not gone as a whole.
        let gone = if busy.gone_before(mark.saturating_sub(plan.reach)) || plan.moving {
            let needed = bounds::needed_from(plan, Log::Busy(busy), extra.past.as_deref(), mark);
            (needed - busy.first()).min(STEPS_MAX as u64) as usize
        } else {
            0
        };
        if gone > 0 {
            if let Some(capture) = &mut extra.capture {
                capture.save_to(plan, busy, busy.first() + gone as u64);
            }
            busy.drop_front(plan, gone, texts, |run, index, texts| release_texts(plan, run, index, texts));
        }
        if busy.len() < BUSY_MIN {
            self.make_run(plan, hash, reference);
        }
        self.measure(number);
    }

    /// Folds the events that no row to come can be earlier than into what is kept of the past.
    fn fold(&mut self, plan: &TablePlan, reference: Reference, mark: i64, texts: &mut Interner) {
        if !plan.has_past() && self.idle_after.is_none() {
            return;
        }
        let block = self.slab.block(reference);
        let header = Header(block[0]);
        let number = match number_of(block, header) {
            Some(number) => number,
            // Nothing is kept of a key before there is something to keep.
            None if run_of(block, header, plan).times().first().is_none_or(|&time| time >= mark) => return,
            None => {
                let number = self.extras.add();
                self.slab.block_mut(reference)[header.after_key()] = number as u64;
                number
            }
        };
        let block = self.slab.block(reference);
        let extra = self.extras.get_mut(number);
        let past = extra.past.get_or_insert_with(|| Box::new(Past::new(plan)));
        let log = match &extra.busy {
            Some(busy) => Log::Busy(busy),
            None => Log::Run(run_of(block, header, plan)),
        };
        for _ in 0..STEPS_MAX {
            if past.folded >= log.end() || log.time(past.folded) >= mark {
                break;
            }
            let (run, index) = log.at(past.folded);
            past.fold(plan, run, index, self.idle_after, texts);
        }
        past.trim(plan, mark, texts);
        self.measure(number);
    }

    /// Whether blocks have a word for an extra from the beginning.
    fn has_extras(&self, plan: &TablePlan) -> bool {
        plan.has_past() || self.idle_after.is_some()
    }

    /// Takes the size of an extra anew; that of a log now and then.
    fn measure(&mut self, number: usize) {
        let extra = self.extras.get_mut(number);
        extra.unmeasured += 1;
        if extra.unmeasured == MEASURED_EVERY || extra.busy.is_some() != (extra.busy_bytes > 0) {
            extra.unmeasured = 0;
            extra.busy_bytes = extra.busy.as_ref().map_or(0, |busy| busy.bytes());
        }
        let bytes = extra.busy_bytes + extra.past.as_ref().map_or(0, |past| past.bytes());
        self.extra_bytes = self.extra_bytes + bytes - extra.bytes;
        extra.bytes = bytes;
    }

    fn create(&mut self, plan: &TablePlan, key: Key<'_>, record: Run<'_>) -> Reference {
        let header = Header(Header::new(self.has_extras(plan), key.bytes.len()).0 | self.turn);
        let (reference, words) = self.slab.allocate(header.run() + plan.shape.words_of(1));
        let block = self.slab.block_mut(reference);
        for (word, bytes) in block[1..header.after_key()].iter_mut().zip(key.bytes.chunks(8)) {
            let mut padded = [0; 8];
            padded[..bytes.len()].copy_from_slice(bytes);
            *word = u64::from_le_bytes(padded);
        }
        if header.extra() {
            block[header.after_key()] = NO_EXTRA;
        }
        let room = room_in(plan, words - header.run());
        let run = &mut block[header.run()..words];
        run.fill(0);
        RunMut { words: run, shape: plan.shape, room }.insert(0, 0, record, 0);
        note(plan, run, room, 1, 0);
        block[0] = header.with_block(room, words).with_len(1).0;
        reference
    }

    /// Drops what no row to come can see from the front of a run; how many events are left.
    fn drop_gone(&mut self, plan: &TablePlan, reference: Reference, mark: i64, texts: &mut Interner) -> usize {
        let block = self.slab.block_mut(reference);
        let header = Header(block[0]);
        let extra = number_of(block, header).map(|number| self.extras.get_mut(number));
        let past = extra.and_then(|extra| extra.past.as_deref_mut());
        let run = run_of(block, header, plan);
        let gone = if self.idle_after.is_some() && past.is_none() || plan.has_past() && past.is_none() {
            0
        } else {
            bounds::needed_from(plan, Log::Run(run), past.as_deref(), mark) as usize
        };
        if gone == 0 {
            return header.len();
        }
        (0..gone).for_each(|index| release_texts(plan, run, index, texts));
        if let Some(past) = past {
            past.folded -= gone as u64;
            past.floor = past.floor.saturating_sub(gone as u64);
        }
        let (len, room) = (header.len(), header.room());
        let words = &mut block[header.run()..];
        RunMut { words, shape: plan.shape, room }.drop_front(len, gone);
        block[0] = header.with_len(len - gone).0;
        len - gone
    }

    /// Moves a block to a larger one.
    fn grow(&mut self, plan: &TablePlan, hash: u64, old: Reference) -> Reference {
        let header = Header(self.slab.block(old)[0]);
        let wanted = ROOM.iter().copied().find(|&room| room > header.room()).unwrap_or(RUN);
        self.rebuild(plan, hash, old, header, plan.shape.words_of(wanted))
    }

    /// Moves key, extra and run of a block to one with so many words for the run.
    fn rebuild(&mut self, plan: &TablePlan, hash: u64, old: Reference, header: Header, run_words: usize) -> Reference {
        let mut moving = std::mem::take(&mut self.moving);
        moving.clear();
        let old_header = Header(self.slab.block(old)[0]);
        moving.extend_from_slice(&self.slab.block(old)[..old_header.words()]);
        self.slab.release(old, old_header.words());
        let (new, words) = self.slab.allocate(header.run() + run_words);
        let room = room_in(plan, words - header.run());
        let block = self.slab.block_mut(new);
        block[..words].fill(0);
        let shared = header.run().min(old_header.run());
        block[..shared].copy_from_slice(&moving[..shared]);
        if !header.busy() {
            let from = run_of(&moving, old_header, plan);
            RunMut { words: &mut block[header.run()..words], shape: plan.shape, room }.copy_from(from);
        }
        block[0] = header.with_block(room, words).0;
        self.moving = moving;
        self.index.replace(hash, old, new);
        new
    }

    /// A run that is full becomes the log of a busy key.
    fn make_busy(&mut self, plan: &TablePlan, hash: u64, reference: Reference, texts: &Interner) -> Reference {
        let block = self.slab.block(reference);
        let header = Header(block[0]);
        let busy = Box::new(Busy::new(plan, run_of(block, header, plan), texts));
        let number = number_of(block, header).unwrap_or_else(|| self.extras.add());
        let reference = self.rebuild(plan, hash, reference, Header(header.0 | Header::BUSY).with_len(0), 0);
        let block = self.slab.block_mut(reference);
        block[header.after_key()] = number as u64;
        self.extras.get_mut(number).busy = Some(busy);
        reference
    }

    /// A log of few events becomes a run.
    fn make_run(&mut self, plan: &TablePlan, hash: u64, reference: Reference) {
        let has_extras = self.has_extras(plan);
        let block = self.slab.block(reference);
        let header = Header(block[0]);
        let number = number_of(block, header).expect("a busy key has an extra");
        self.save_rest(plan, number);
        let extra = self.extras.get_mut(number);
        let busy = extra.busy.take().expect("a busy key has a log");
        if let Some(past) = &mut extra.past {
            past.folded -= busy.first();
            past.floor = past.floor.saturating_sub(busy.first());
        }
        if !has_extras {
            self.drop_extra(number);
        }
        let header = Header(header.0 & !Header::BUSY).with_len(0);
        // An empty run for now; the old block has none.
        let wanted = ROOM.iter().copied().find(|&room| room > busy.len()).unwrap_or(RUN);
        let busy_header = Header(header.0 | Header::BUSY);
        let reference = self.rebuild(plan, hash, reference, busy_header, plan.shape.words_of(wanted));
        let block = self.slab.block_mut(reference);
        let words = Header(block[0]).words();
        let room = room_in(plan, words - header.run());
        let run = &mut block[header.run()..words];
        run.fill(0);
        let mut len = 0;
        busy.each(|from, index| {
            RunMut { words: run, shape: plan.shape, room }.insert(len, len, from, index);
            len += 1;
        });
        block[0] = header.with_block(room, words).with_len(len).0;
    }

    fn drop_extra(&mut self, number: usize) {
        self.extra_bytes -= self.extras.take(number).bytes;
    }

    /// Lets keys go that nothing can see any more, so many at most.
    #[inline]
    pub fn expire(&mut self, plan: &TablePlan, mark: i64, most: usize, texts: &mut Interner) {
        if self.soonest() <= mark {
            self.expire_with(plan, mark, most, texts, |table, hash, texts| table.wake_due(plan, hash, mark, texts));
        }
    }

    /// Until then no key is due to leave.
    #[inline]
    pub fn soonest(&self) -> i64 {
        self.expiry.as_ref().map_or(i64::MAX, Expiry::soonest)
    }

    /// The same where keys may be elsewhere: `fetch` brings those of a hash back that have to be looked at here.
    pub fn expire_with(
        &mut self,
        plan: &TablePlan,
        mark: i64,
        most: usize,
        texts: &mut Interner,
        mut fetch: impl FnMut(&mut Self, u64, &Interner) -> Elsewhere,
    ) {
        if plan.forever && self.idle_after.is_none() {
            // Only a limit on memory lets these go.
            return;
        }
        for _ in 0..most {
            let Some(hash) = self.expiry.as_mut().and_then(|expiry| expiry.pop_due(mark)) else { return };
            let elsewhere = fetch(self, hash, texts);
            let due = |reference| self.newest(plan, reference).saturating_add(due_after(plan, self.idle_after));
            if let Some(reference) = self.index.find(hash, |reference| due(reference) < mark) {
                self.save_first(plan, reference);
                if self.thin_out(plan, reference, texts) {
                    if let Some(expiry) = &mut self.expiry {
                        expiry.put(hash, mark.saturating_sub(1));
                    }
                    return;
                }
                self.remove(plan, hash, reference, texts);
                self.expired += 1;
            } else if let Some(due) = self.index.find(hash, |_| true).map(due)
                && let Some(expiry) = &mut self.expiry
            {
                expiry.put(hash, due);
            } else if let (Some(again), Some(expiry)) = (elsewhere.again(plan, self.idle_after, mark), &mut self.expiry)
            {
                expiry.put(hash, again);
            }
        }
    }

    /// Drops some events of a key that nothing can see any more; false when so few are left that it can go at once.
    fn thin_out(&mut self, plan: &TablePlan, reference: Reference, texts: &mut Interner) -> bool {
        let block = self.slab.block(reference);
        let Some(number) = number_of(block, Header(block[0])) else { return false };
        let extra = self.extras.get_mut(number);
        let Some(busy) = extra.busy.as_mut().filter(|busy| busy.len() > STEPS_MAX) else { return false };
        if let Some(capture) = &mut extra.capture {
            capture.save_to(plan, busy, busy.first() + STEPS_MAX as u64);
        }
        busy.drop_front(plan, STEPS_MAX, texts, |run, index, texts| release_texts(plan, run, index, texts));
        if let Some(past) = &mut extra.past {
            // What is dropped here unfolded lies before all that a row to come sees.
            past.folded = past.folded.max(busy.first());
        }
        true
    }

    /// Time of the newest event of a key.
    fn newest(&self, plan: &TablePlan, reference: Reference) -> i64 {
        let block = self.slab.block(reference);
        let header = Header(block[0]);
        let extra = number_of(block, header).map(|number| self.extras.get(number));
        let past = extra.and_then(|extra| extra.past.as_deref()).and_then(|past| past.newest);
        let logged = match extra.and_then(|extra| extra.busy.as_deref()) {
            Some(busy) => (busy.len() > 0).then(|| Log::Busy(busy).time(busy.end() - 1)),
            None => run_of(block, header, plan).times().last().copied(),
        };
        logged.max(past).unwrap_or(i64::MIN)
    }

    fn remove(&mut self, plan: &TablePlan, hash: u64, reference: Reference, texts: &mut Interner) {
        let block = self.slab.block(reference);
        let header = Header(block[0]);
        let number = number_of(block, header);
        if let Some(number) = number {
            self.save_rest(plan, number);
        }
        let block = self.slab.block(reference);
        if !header.busy() {
            let run = run_of(block, header, plan);
            (0..run.len()).for_each(|index| release_texts(plan, run, index, texts));
        }
        if let Some(extra) = number.map(|number| self.extras.get_mut(number)) {
            if let Some(busy) = &extra.busy {
                busy.each(|run, index| release_texts(plan, run, index, texts));
            }
            if let Some(past) = &mut extra.past {
                past.clear(plan, texts);
            }
        }
        self.drop_key(hash, reference);
    }

    /// Forgets a key whose texts have been given back, or are kept for it.
    fn drop_key(&mut self, hash: u64, reference: Reference) {
        self.drop_block(reference);
        self.index.remove(hash, reference);
    }

    /// Number of keys.
    pub fn keys(&self) -> usize {
        self.index.keys() + self.keys_asleep()
    }

    pub fn bytes(&self) -> usize {
        self.index.bytes() + self.bytes_beside_index()
    }

    /// Without those of the index, whose size goes in steps.
    pub fn bytes_beside_index(&self) -> usize {
        let expiry = self.expiry.as_ref().map_or(0, Expiry::bytes);
        self.slab.bytes() + self.extra_bytes + self.extras.bytes() + expiry + self.asleep_bytes()
    }

    /// Bytes that it holds for keys to come, since others have left or grown.
    pub fn freed_bytes(&self) -> usize {
        self.slab.freed_bytes()
    }

    /// Bytes by which it may grow at once for one key more.
    pub fn growth_bytes(&self) -> usize {
        self.index.growth_bytes()
    }
}

/// How long after its newest event a key is looked at.
fn due_after(plan: &TablePlan, idle_after: Option<i64>) -> i64 {
    match (plan.forever, idle_after) {
        (true, Some(idle)) => idle.max(plan.linger),
        (true, None) | (false, _) => plan.linger,
    }
}
