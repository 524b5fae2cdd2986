//! Keys, and when they are looked at, on their way in: sections in the order of the file, each of one shard of a table.
//!
//! With threads, one takes sections off the file and the others have the shards: each takes in what is its shards', in the order of the file. So the
//! state is that of one thread, and of several faults the first of the file is told.

use std::num::NonZero;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;

use super::format::{Kind, SECTION_BYTES};
use super::pages::Pages;
use super::sections::{Fault, Reader, broken, broken_in, damaged, spilled};
use super::steps;
use crate::encode::{Broken, Input};
use crate::engine::Engine;
use crate::plan::{Plan, TablePlan};
use crate::state::interner::{Interner, Numbers, Texts};
use crate::state::shards::{SHARD_BITS, Shards, shard_of};
use crate::state::table::{Laid, Loading, Table, next_key};

/// Sections of so many bytes may wait for their shards, beside those that the threads have to have to be busy.
const WAITING_BYTES: u64 = 8 << 20;
/// A file may have its shards one after the other: so that another thread has something to do, the next ones have to be read too.
const SHARDS: u64 = 1 << SHARD_BITS;

/// Files of less are read by one thread.
const THREADS_BYTES_MIN: u64 = 4 << 20;
/// More threads take in keys faster than disks give them.
const THREADS_MAX: usize = 8;

/// How many threads read a file of so many bytes: their number changes nothing else.
pub(super) fn threads_for(file_bytes: u64) -> usize {
    if file_bytes < THREADS_BYTES_MIN {
        return 1;
    }
    thread::available_parallelism().map_or(1, NonZero::get).min(THREADS_MAX)
}

/// A section of keys or of steps.
struct Part {
    table: usize,
    /// Of the file, and how many of them it has.
    shard: u32,
    of: u32,
    what: What,
    payload: Vec<u8>,
    /// Where in the payload its content begins.
    at: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    Keys,
    /// When they are looked at, in steps of so many ticks; whether keys had the hashes that they have here.
    Steps {
        step_ticks: i64,
        same_hashes: bool,
    },
}

impl Part {
    fn content(&self) -> Input<'_> {
        Input::new(&self.payload[self.at..])
    }

    /// Gives keys that are to sleep to their shard, of so many; what it has not taken is still there.
    fn lay(
        &mut self,
        plan: &TablePlan,
        shard: &mut Table,
        (own, count): (usize, usize),
        texts: &mut Texts<'_>,
        taken: &mut Taken,
    ) -> Result<(), Broken> {
        let bytes = (std::mem::take(&mut self.payload), self.at);
        let is_own = |hash| shard_of(hash, count - 1) == own;
        self.at = 0;
        if let Laid::Before(at, rest) = shard.lay(plan, &mut taken.loading, bytes, is_own, texts)? {
            (self.at, self.payload) = (at, rest);
        }
        Ok(())
    }

    fn kind(&self) -> Kind {
        if self.what == What::Keys { Kind::Keys } else { Kind::Expiry }
    }
}

/// The sections of all tables: first keys of any, then steps, table by table and shard by shard.
struct Parts<'a, 'b> {
    sections: &'a mut Reader<'b>,
    tables: usize,
    /// Table and shard whose steps come next, of so many.
    next: (usize, u32, u32),
    has_steps: bool,
}

impl Parts<'_, '_> {
    /// `None` after the last. The buffer is one whose bytes are not needed any more.
    fn next(&mut self, buffer: Vec<u8>) -> Result<Option<Part>, Fault> {
        if self.next.0 == self.tables {
            return Ok(None);
        }
        self.sections.payload = buffer;
        let header = self.sections.next()?;
        let table = header.number as usize;
        match header.kind {
            Kind::Keys if !self.has_steps && table < self.tables => {
                let mut input = Input::new(&self.sections.payload);
                let (shard, of) = broken(Kind::Keys, input.read())?;
                let at = self.sections.payload.len() - input.left();
                let payload = std::mem::take(&mut self.sections.payload);
                Ok(Some(Part { table, shard, of, what: What::Keys, payload, at }))
            }
            Kind::Expiry if table == self.next.0 => {
                let (head, at) = broken(Kind::Expiry, steps::Head::read(&self.sections.payload))?;
                let (_, shard, of) = self.next;
                if head.shard != shard || (head.of != of && shard > 0) || head.of == 0 {
                    return damaged(format!(
                        "the steps of shard {} of {} stand where those of {shard} have to",
                        head.shard, head.of
                    ));
                }
                self.has_steps = true;
                self.next = match (head.goes_on, shard + 1 == head.of) {
                    (true, _) => (table, shard, head.of),
                    (false, false) => (table, shard + 1, head.of),
                    (false, true) => (table + 1, 0, 1),
                };
                let what = What::Steps { step_ticks: head.step_ticks, same_hashes: head.same_hashes };
                let payload = std::mem::take(&mut self.sections.payload);
                Ok(Some(Part { table, shard: head.shard, of: head.of, what, payload, at }))
            }
            other => {
                let (wanted, place) = (Kind::Expiry.name(), self.next.0);
                damaged(format!("a section `{}` {table} stands where keys or `{wanted}` {place} have to", other.name()))
            }
        }
    }
}

/// What has been taken in of a table.
#[derive(Default)]
struct Taken {
    loading: Loading,
    /// Keys of which it was told when they are looked at.
    listed: u64,
}

/// Reads all keys of all tables, and when they are looked at; each has so many. With texts that have the numbers here
/// that they have there keys may sleep.
pub(super) fn read(
    engine: &mut Engine,
    wanted: &[u64],
    (numbers, sleep): (&Numbers, bool),
    threads: usize,
    sections: &mut Reader<'_>,
) -> Result<(), Fault> {
    let plan = &engine.plan.clone();
    let mut taken: Vec<Taken> = wanted.iter().map(|_| Taken::default()).collect();
    let mut parts = Parts { sections, tables: wanted.len(), next: (0, 0, 1), has_steps: false };
    let mut first = parts.next(Vec::new())?;
    // Where memory has a limit, not a page is to be there too early.
    let left = parts.sections.left();
    let mut pages = (engine.options.memory_limit.is_none() && left >= THREADS_BYTES_MIN).then(|| Pages::begin(left));
    let is_sharded = |part: &Part| part.of as usize == engine.tables[part.table].count() && part.of > 1;
    if threads > 1 && engine.spilling.is_none() && first.as_ref().is_some_and(is_sharded) {
        let left = side_by_side(engine, plan, first, &mut parts, (numbers, sleep), (threads, pages), &mut taken)?;
        for mut part in left {
            take_in(engine, plan, &mut part, (numbers, sleep), &mut taken)?;
        }
    } else {
        while let Some(mut part) = first {
            pages.iter_mut().for_each(|pages| pages.prepare(part.payload.len()));
            take_in(engine, plan, &mut part, (numbers, sleep), &mut taken)?;
            first = parts.next(part.payload)?;
        }
        pages.iter().for_each(Pages::end);
    }
    for (index, (&wanted, taken)) in wanted.iter().zip(&taken).enumerate() {
        let (found, name) = (taken.loading.keys() as u64, &plan.tables[index].name);
        if found != wanted {
            return damaged(format!("table `{name}` has {found} keys where {wanted} were announced"));
        }
        engine.tables[index].look_at_others(&plan.tables[index], &taken.loading, taken.listed);
    }
    Ok(())
}

/// Takes in a section on this thread, whatever shards its keys belong to here.
fn take_in(
    engine: &mut Engine,
    plan: &Plan,
    part: &mut Part,
    (numbers, sleep): (&Numbers, bool),
    taken: &mut [Taken],
) -> Result<(), Fault> {
    let index = part.table;
    let (table_plan, taken) = (&plan.tables[index], &mut taken[index]);
    match part.what {
        What::Keys => {
            let shards = &mut engine.tables[index];
            let count = shards.count();
            if sleep && part.of as usize == count && part.shard < part.of {
                let own = part.shard as usize;
                let texts = &mut Texts::Used(&mut engine.interner, numbers);
                let laid = part.lay(table_plan, shards.shard_mut(own), (own, count), texts, taken);
                broken(Kind::Keys, laid)?;
            }
            let mut input = part.content();
            while input.left() > 0 {
                let texts = &mut Texts::Used(&mut engine.interner, numbers);
                let loaded = engine.tables[index].load_key(table_plan, &mut taken.loading, &mut input, texts);
                broken(Kind::Keys, loaded)?;
                engine.spill_loaded(plan).map_err(spilled)?;
            }
        }
        What::Steps { step_ticks, same_hashes } => {
            let (table, mut input) = (&mut engine.tables[index], part.content());
            table.resume_steps((part.shard as usize, part.of as usize), step_ticks);
            if same_hashes {
                let listed = steps::each(&mut input, |begin, hash| table.look_again(table_plan, hash, Some(begin)));
                taken.listed += broken(Kind::Expiry, listed)?;
            }
        }
    }
    Ok(())
}

/// What a thread that has shards sends back.
enum Back {
    /// So many bytes have been taken in, and a buffer is free again.
    Free(u64, Vec<u8>),
    /// The rest of a section, which another shard has to take in.
    Left(usize, Part),
    /// Damage, in the section of this number.
    Broken(usize, Fault),
}

/// The shards of one thread, by table and number.
struct Owner<'a> {
    plan: &'a Plan,
    pages: Option<Pages>,
    shards: Vec<Vec<Option<&'a mut Table>>>,
    texts: &'a Interner,
    numbers: &'a Numbers,
    sleep: bool,
    /// How often each text is used.
    uses: Vec<u64>,
    taken: Vec<Taken>,
}

impl Owner<'_> {
    fn serve(mut self, inbox: Receiver<(usize, Part)>, outbox: Sender<Back>) -> (Vec<u64>, Vec<Taken>) {
        for (number, mut part) in inbox {
            let bytes = part.payload.len();
            // Of keys that sleep only the largest are made.
            let made = if self.sleep { bytes / 8 } else { bytes };
            self.pages.iter_mut().for_each(|pages| pages.prepare(made));
            let back = match self.take_in(&mut part) {
                Ok(None) => Back::Free(bytes as u64, part.payload),
                Ok(Some(left)) => {
                    part.at = part.payload.len() - left;
                    Back::Left(number, part)
                }
                Err(told) => Back::Broken(number, broken_in(part.kind(), &told)),
            };
            if outbox.send(back).is_err() {
                break;
            }
        }
        self.pages.iter().for_each(Pages::end);
        (self.uses, self.taken)
    }

    /// How many bytes are left at its end, if another shard has to take those in.
    fn take_in(&mut self, part: &mut Part) -> Result<Option<usize>, Broken> {
        let plan: &TablePlan = &self.plan.tables[part.table];
        let (shards, taken) = (&mut self.shards[part.table], &mut self.taken[part.table]);
        let (own, count) = (part.shard as usize, shards.len());
        let Some(table) = &mut shards[own] else { return Ok(Some(part.content().left())) };
        let mut input = part.content();
        let texts = &mut Texts::Counted(self.texts, self.numbers, &mut self.uses);
        match part.what {
            What::Keys if self.sleep => {
                part.lay(plan, table, (own, count), texts, taken)?;
                return Ok(Some(part.content().left()).filter(|&left| left > 0));
            }
            What::Keys => {
                while input.left() > 0 {
                    let before = input.left();
                    let (key, rest) = next_key(&mut input)?;
                    if shard_of(key.hash, count - 1) != own {
                        return Ok(Some(before));
                    }
                    table.load_key(plan, &mut taken.loading, (key, rest), &mut input, texts)?;
                }
            }
            What::Steps { step_ticks, same_hashes } => {
                table.resume_expiry(step_ticks);
                if same_hashes {
                    let mut strays = 0_u64;
                    taken.listed += steps::each(&mut input, |begin, hash| {
                        strays += u64::from(shard_of(hash, count - 1) != own);
                        table.look_again(plan, hash, Some(begin));
                    })?;
                    if strays > 0 {
                        return Err(Broken(format!("{strays} keys of other shards are to be looked at in one")));
                    }
                }
            }
        }
        Ok(None)
    }
}

/// Has threads take in what is their shards', and says what could not be taken in so.
fn side_by_side(
    engine: &mut Engine,
    plan: &Plan,
    first: Option<Part>,
    parts: &mut Parts<'_, '_>,
    (numbers, sleep): (&Numbers, bool),
    (threads, pages): (usize, Option<Pages>),
    taken: &mut [Taken],
) -> Result<Vec<Part>, Fault> {
    let waiting_max = WAITING_BYTES + parts.sections.left() / SHARDS * (threads as u64 - 1);
    let counts: Vec<usize> = engine.tables.iter().map(Shards::count).collect();
    let empty = || counts.iter().map(|&count| (0..count).map(|_| None).collect()).collect();
    let mut lent: Vec<Vec<Vec<Option<&mut Table>>>> = (0..threads).map(|_| empty()).collect();
    for (table, shards) in engine.tables.iter_mut().enumerate() {
        for (number, shard) in shards.iter_mut().enumerate() {
            lent[number % threads][table][number] = Some(shard);
        }
    }
    let (texts, uses) = (&engine.interner, vec![0; engine.interner.len()]);
    let outcome = thread::scope(|scope| {
        let (outbox, back) = mpsc::channel();
        let serve = |shards| {
            let taken = counts.iter().map(|_| Taken::default()).collect();
            let owner = Owner { plan, pages, shards, texts, numbers, sleep, uses: uses.clone(), taken };
            let ((inbox, receiver), outbox) = (mpsc::channel(), outbox.clone());
            (inbox, scope.spawn(move || owner.serve(receiver, outbox)))
        };
        let (inboxes, handles): (Vec<_>, Vec<_>) = lent.into_iter().map(serve).unzip();
        drop(outbox);
        let mut hand_out = HandOut {
            counts: &counts,
            pages: pages.filter(|_| sleep),
            inboxes,
            back,
            waiting: 0,
            waiting_max,
            spare: Vec::new(),
            left: Vec::new(),
        };
        let read = hand_out.all(first, parts);
        let left = hand_out.end(read);
        let taken: Vec<_> = handles
            .into_iter()
            .map(|handle| handle.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect();
        left.map(|left| (left, taken))
    });
    let (left, done) = outcome?;
    for (uses, done) in done {
        broken(Kind::Keys, engine.interner.hold_all(&uses))?;
        for (taken, done) in taken.iter_mut().zip(done) {
            taken.loading.hashes.extend(done.loading.hashes);
            taken.listed += done.listed;
        }
    }
    Ok(left)
}

/// The thread that takes sections off the file.
struct HandOut<'a> {
    counts: &'a [usize],
    /// Where what it reads stays.
    pages: Option<Pages>,
    inboxes: Vec<Sender<(usize, Part)>>,
    back: Receiver<Back>,
    /// Bytes that have been handed out and not come back.
    waiting: u64,
    waiting_max: u64,
    spare: Vec<Vec<u8>>,
    left: Vec<(usize, Part)>,
}

impl HandOut<'_> {
    /// Hands out all sections; stops where one is damaged, and tells so.
    fn all(&mut self, first: Option<Part>, parts: &mut Parts<'_, '_>) -> Result<(), (usize, Fault)> {
        let (mut number, mut next) = (0, first);
        while let Some(part) = next {
            if part.of as usize == self.counts[part.table] && part.shard < part.of {
                self.waiting += part.payload.len() as u64;
                let inbox = &self.inboxes[part.shard as usize % self.inboxes.len()];
                // Who has gone has panicked, which is told when it is waited for.
                let _ = inbox.send((number, part));
            } else {
                self.left.push((number, part));
            }
            number += 1;
            while let Some(back) = self.next_back() {
                self.take_back(back)?;
            }
            self.pages.iter_mut().for_each(|pages| pages.prepare(SECTION_BYTES));
            next = parts.next(self.spare.pop().unwrap_or_default()).map_err(|fault| (number, fault))?;
        }
        Ok(())
    }

    /// What has come back; where too much is out it is waited for.
    fn next_back(&self) -> Option<Back> {
        if self.waiting > self.waiting_max { self.back.recv().ok() } else { self.back.try_recv().ok() }
    }

    fn take_back(&mut self, back: Back) -> Result<(), (usize, Fault)> {
        match back {
            Back::Free(bytes, buffer) => {
                self.waiting -= bytes;
                self.spare.extend(Some(buffer).filter(|buffer| buffer.capacity() > 0));
                Ok(())
            }
            Back::Left(number, part) => {
                self.waiting -= part.payload.len() as u64;
                self.left.push((number, part));
                Ok(())
            }
            Back::Broken(number, fault) => Err((number, fault)),
        }
    }

    /// Waits for the others; what is left for this thread, in the order of the file, or the first fault of it.
    fn end(mut self, read: Result<(), (usize, Fault)>) -> Result<Vec<Part>, Fault> {
        self.inboxes.clear();
        self.pages.iter().for_each(Pages::end);
        let mut first = read.err();
        while let Ok(back) = self.back.recv() {
            if let Err(fault) = self.take_back(back)
                && first.as_ref().is_none_or(|first| fault.0 < first.0)
            {
                first = Some(fault);
            }
        }
        if let Some((_, fault)) = first {
            return Err(fault);
        }
        self.left.sort_by_key(|left| left.0);
        Ok(self.left.into_iter().map(|left| left.1).collect())
    }
}
