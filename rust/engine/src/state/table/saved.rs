//! The keys of a table as bytes: a key's events, what is kept of its past, when it is looked at.
//!
//! What follows from the events is not written: sums that follow windows, trees, values in order, what was seen last where. The room of
//! a run is written, so that an engine that was stopped drops events when one that was not does.

use std::cmp::Ordering;
use std::ops::Range;

use super::super::block::{Header, NO_EXTRA, note_all, number_of, room_in, run_of};
use super::super::busy::{Busy, Met, POSITION_MAX};
use super::super::expiry::Expiry;
use super::super::interner::{ABSENT, TextOrder, Texts};
use super::super::log::Log;
use super::super::past::Past;
use super::super::run::{RUN, Run, RunMut, bits};
use super::super::slab::Reference;
use super::{Key, Table, due_after};
use crate::definition::FieldKind;
use crate::encode::{Broken, Encode, Input};
use crate::plan::{FlagPlan, Place, TablePlan};

/// Written in place of the room of a run.
pub(super) const BUSY: u8 = 0;
/// What stands before a key: of how many bytes it is, and how many follow it.
pub(super) const HEAD_BYTES: usize = 8;
/// More than follow a key.
pub(super) const REST_MAX: u32 = 1 << 31;

const NO_PAST: &str = "a key has a past and the plan keeps none of it";
const UNSORTED: &str = "the events of a key are not in the order of their times";
pub(super) const TWICE: &str = "a key of a table is there twice, or too long";

/// A table that is being read.
#[derive(Debug, Default)]
pub(crate) struct Loading {
    /// Hashes of the keys, in the order in which they came.
    pub hashes: Vec<u64>,
    met: Met,
}

impl Table {
    /// Every key, in no order.
    pub fn references(&self) -> impl Iterator<Item = Reference> {
        self.index.references()
    }

    /// Every key, in the order of its bytes.
    pub fn in_order(&self) -> Vec<Reference> {
        let mut keys: Vec<Reference> = self.references().collect();
        keys.sort_unstable_by(|&a, &b| self.order(a, b));
        keys
    }

    /// How two keys compare by their bytes.
    fn order(&self, key: Reference, other: Reference) -> Ordering {
        let (a, b) = (self.slab.block(key), self.slab.block(other));
        let (left, right) = (Header(a[0]), Header(b[0]));
        // The bytes of a word as a number that grows as they do; what pads the last word is zero.
        let number = |word: &u64| u64::from_be_bytes(word.to_le_bytes());
        let (ours, theirs) = (&a[1..left.after_key()], &b[1..right.after_key()]);
        let words = ours.iter().map(number).cmp(theirs.iter().map(number));
        words.then(left.key_bytes().cmp(&right.key_bytes()))
    }

    /// Bytes of a key.
    pub fn key_of(&self, reference: Reference) -> Vec<u8> {
        let block = self.slab.block(reference);
        let header = Header(block[0]);
        let mut key: Vec<u8> = block[1..header.after_key()].iter().flat_map(|word| word.to_le_bytes()).collect();
        key.truncate(header.key_bytes());
        key
    }

    /// Appends one key.
    pub fn save_key(&self, plan: &TablePlan, reference: Reference, order: &TextOrder, out: &mut Vec<u8>) {
        let start = out.len();
        self.save_name(reference, out);
        let (log, past) = self.log_of(plan, reference);
        save_bounds(log, self.room_of(reference), out);
        log.stretches(log.first(), log.end(), |run, from, to, _| save_records(plan, run, from, to, order, out));
        past.is_some().encode(out);
        if let Some(past) = past {
            past.save(plan, order, out);
        }
        tell_rest(&mut out[start..], 0);
    }

    /// Appends the words of a key's block where they are all that there is of the key: `save_block` makes its bytes of them. False else.
    pub(super) fn copy_block(&self, reference: Reference, out: &mut Vec<u64>) -> bool {
        let block = self.slab.block(reference);
        let header = Header(block[0]);
        let is_all = !header.busy() && number_of(block, header).is_none();
        if is_all {
            out.extend_from_slice(&block[..header.words()]);
        }
        is_all
    }

    /// Appends the bytes of a key itself, and before them how many there are; how many follow is told once they do.
    pub(super) fn save_name(&self, reference: Reference, out: &mut Vec<u8>) {
        save_name(self.slab.block(reference), out);
    }

    /// Shows the events of a key, the oldest first; whether it has a past too.
    pub fn each_event(&self, plan: &TablePlan, reference: Reference, mut show: impl FnMut(Run<'_>, usize)) -> bool {
        let (log, past) = self.log_of(plan, reference);
        log.stretches(log.first(), log.end(), |run, from, to, _| (from..to).for_each(|index| show(run, index)));
        past.is_some()
    }

    /// The events of a key, and what is kept of those that have left.
    pub(super) fn log_of(&self, plan: &TablePlan, reference: Reference) -> (Log<'_>, Option<&Past>) {
        let block = self.slab.block(reference);
        let header = Header(block[0]);
        let extra = number_of(block, header).map(|number| self.extras.get(number));
        let log = match extra.and_then(|extra| extra.busy.as_deref()) {
            Some(busy) => Log::Busy(busy),
            None => Log::Run(run_of(block, header, plan)),
        };
        (log, extra.and_then(|extra| extra.past.as_deref()))
    }

    /// For how many events a key's block has room.
    pub(super) fn room_of(&self, reference: Reference) -> usize {
        Header(self.slab.block(reference)[0]).room()
    }

    /// Makes room in the index for so many keys, or somewhat less.
    pub fn reserve(&mut self, keys: u64) {
        self.index.reserve(keys);
    }

    /// Reads what is kept of a key that is not there yet, and holds its texts.
    pub fn load_key(
        &mut self,
        plan: &TablePlan,
        loading: &mut Loading,
        (key, rest): (Key<'_>, usize),
        input: &mut Input<'_>,
        texts: &mut Texts<'_>,
    ) -> Result<(), Broken> {
        if key.bytes.len() >= 1 << 24 || self.find_here(key).is_some() || self.sleeps(key) {
            return Err(Broken::new(TWICE));
        }
        self.load_state(plan, loading, (key, rest), input, texts)?;
        loading.hashes.push(key.hash);
        Ok(())
    }

    /// Reads what is kept of a key that is not there.
    pub(super) fn load_state(
        &mut self,
        plan: &TablePlan,
        loading: &mut Loading,
        (key, rest): (Key<'_>, usize),
        input: &mut Input<'_>,
        texts: &mut Texts<'_>,
    ) -> Result<Reference, Broken> {
        let before = input.left();
        let room: u8 = input.read()?;
        let (reference, ends) = if room == BUSY {
            self.load_busy(plan, loading, key.bytes, input, texts)?
        } else {
            self.load_run(plan, key.bytes, usize::from(room), input, texts)?
        };
        if input.read()? {
            let Some(number) = self.extra_of(plan, reference) else {
                return Err(Broken::new(NO_PAST));
            };
            let past = Past::load(plan, ends, input, texts)?;
            self.extras.get_mut(number).past = Some(Box::new(past));
        }
        let block = self.slab.block(reference);
        if let Some(number) = number_of(block, Header(block[0])) {
            self.measure(number);
        }
        self.index.insert(key.hash, reference);
        told_right(rest, before - input.left())?;
        Ok(reference)
    }

    /// As `load_state`, but the key is not made: what could be wrong with it is found, and its texts are held.
    pub(super) fn check_state(
        &self,
        plan: &TablePlan,
        rest: usize,
        input: &mut Input<'_>,
        texts: &mut Texts<'_>,
    ) -> Result<(), Broken> {
        let before = input.left();
        let room: u8 = input.read()?;
        let (first, end) =
            if room == BUSY { read_ends(input)? } else { (0, read_len(usize::from(room), input)? as u64) };
        let (mut at, mut time) = (first, i64::MIN);
        while at < end {
            let events = (end - at).min(RUN as u64 - at % RUN as u64);
            time = check_records(plan, events as usize, time, input, texts)?;
            at += events;
        }
        if input.read()? {
            if !self.has_extras(plan) {
                return Err(Broken::new(NO_PAST));
            }
            Past::load(plan, (first, end), input, texts)?;
        }
        told_right(rest, before - input.left())
    }

    /// The number of the extra of a key whose past is to be put there.
    fn extra_of(&mut self, plan: &TablePlan, reference: Reference) -> Option<usize> {
        if !self.has_extras(plan) {
            return None;
        }
        let header = Header(self.slab.block(reference)[0]);
        if let Some(number) = number_of(self.slab.block(reference), header) {
            return Some(number);
        }
        let number = self.extras.add();
        self.slab.block_mut(reference)[header.after_key()] = number as u64;
        Some(number)
    }

    /// A block with a key and room for a run, and how many words it has.
    fn block_for(&mut self, header: Header, key: &[u8], run_words: usize) -> (Reference, usize) {
        let (reference, words) = self.slab.allocate(header.run() + run_words);
        let block = self.slab.block_mut(reference);
        block[..words].fill(0);
        for (word, bytes) in block[1..header.after_key()].iter_mut().zip(key.chunks(8)) {
            let mut padded = [0; 8];
            padded[..bytes.len()].copy_from_slice(bytes);
            *word = u64::from_le_bytes(padded);
        }
        if header.extra() {
            block[header.after_key()] = NO_EXTRA;
        }
        (reference, words)
    }

    fn load_run(
        &mut self,
        plan: &TablePlan,
        key: &[u8],
        room: usize,
        input: &mut Input<'_>,
        texts: &mut Texts<'_>,
    ) -> Result<(Reference, (u64, u64)), Broken> {
        let len = read_len(room, input)?;
        let header = Header(Header::new(self.has_extras(plan), key.len()).0 | self.turn);
        let (reference, words) = self.block_for(header, key, plan.shape.words_of(room));
        let run = &mut self.slab.block_mut(reference)[header.run()..words];
        let into = &mut RunMut { words: &mut *run, shape: plan.shape, room };
        if let Err(broken) = load_records(plan, into, 0..len, i64::MIN, input, texts) {
            self.slab.release(reference, words);
            return Err(broken);
        }
        note_all(plan, run, room, len);
        self.slab.block_mut(reference)[0] = header.with_block(room, words).with_len(len).0;
        Ok((reference, (0, len as u64)))
    }

    fn load_busy(
        &mut self,
        plan: &TablePlan,
        loading: &mut Loading,
        key: &[u8],
        input: &mut Input<'_>,
        texts: &mut Texts<'_>,
    ) -> Result<(Reference, (u64, u64)), Broken> {
        let (first, end) = read_ends(input)?;
        let mut busy = Box::new(Busy::begin(plan, first, texts.get()));
        let mut time = i64::MIN;
        while busy.end() < end {
            busy.extend((end - busy.end()) as usize, |run, places| {
                time = load_records(plan, run, places, time, input, texts)?;
                Ok(time)
            })?;
        }
        busy.settle(plan, &mut loading.met, texts.get());
        let header = Header(Header::new(self.has_extras(plan), key.len()).0 | Header::BUSY | self.turn);
        let (reference, words) = self.block_for(header, key, 0);
        let number = self.extras.add();
        let block = self.slab.block_mut(reference);
        block[header.after_key()] = number as u64;
        block[0] = header.with_block(room_in(plan, words - header.run()), words).0;
        self.extras.get_mut(number).busy = Some(busy);
        Ok((reference, (first, end)))
    }

    /// Ticks of a step in which keys are looked at; 0 where none leaves by itself.
    pub fn step_ticks(&self) -> i64 {
        self.expiry.as_ref().map_or(0, Expiry::step_ticks)
    }

    /// When the keys are looked at: the beginnings of steps, rising, and the hashes of their keys in the order in which they were put there.
    pub fn steps(&self) -> impl Iterator<Item = (i64, Vec<u64>)> {
        self.expiry.iter().flat_map(Expiry::steps)
    }

    /// Goes on with the steps in which keys were looked at, where they are as long as its own may come to.
    pub fn resume_expiry(&mut self, step_ticks: i64) {
        if let Some(expiry) = &mut self.expiry {
            expiry.resume(step_ticks);
        }
    }

    /// A key of this hash is to be looked at at this time, or when it is due.
    pub fn look_again(&mut self, plan: &TablePlan, hash: u64, time: Option<i64>) {
        if self.expiry.is_none() {
            return;
        }
        let time = time.unwrap_or_else(|| {
            // One that has gone to disk meanwhile is looked at first.
            let Some(reference) = self.index.find(hash, |_| true) else { return i64::MIN };
            self.newest(plan, reference).saturating_add(due_after(plan, self.idle_after))
        });
        if let Some(expiry) = &mut self.expiry {
            expiry.put(hash, time);
        }
    }
}

impl Loading {
    /// Keys read so far.
    pub fn keys(&self) -> usize {
        self.hashes.len()
    }
}

/// Appends the bytes of a key whose block this begins with, and of which there is no more; how many words the block has.
pub(crate) fn save_block(plan: &TablePlan, block: &[u64], order: &TextOrder, out: &mut Vec<u8>) -> usize {
    let (header, start) = (Header(block[0]), out.len());
    save_name(block, out);
    let run = run_of(block, header, plan);
    save_bounds(Log::Run(run), header.room(), out);
    if run.len() > 0 {
        save_records(plan, run, 0, run.len(), order, out);
    }
    false.encode(out);
    tell_rest(&mut out[start..], 0);
    header.words()
}

/// Says in front of a key how many bytes follow it: those that are here, and so many `elsewhere`.
pub(super) fn tell_rest(saved: &mut [u8], elsewhere: usize) {
    let (head, after) = saved.split_at_mut(HEAD_BYTES);
    let (name, rest) = head.split_at_mut(HEAD_BYTES / 2);
    let name = name.iter().rev().fold(0, |length, &byte| length << 8 | usize::from(byte));
    let bytes = u32::try_from(after.len() + elsewhere - name).ok().filter(|&bytes| bytes < REST_MAX);
    rest.copy_from_slice(&bytes.expect("a key has less than 2 GiB").to_le_bytes());
}

/// The key that comes next, and how many bytes follow it; 0 where that is not told, as before format 4.
pub(crate) fn next_key<'a>(input: &mut Input<'a>) -> Result<(Key<'a>, usize), Broken> {
    let (length, rest): (u32, u32) = input.read()?;
    let key = input.take(length as usize)?;
    Ok((Key::of(key), rest as usize))
}

fn save_name(block: &[u64], out: &mut Vec<u8>) {
    let header = Header(block[0]);
    (header.key_bytes() as u64).encode(out);
    let end = out.len() + header.key_bytes();
    block[1..header.after_key()].iter().for_each(|word| word.encode(out));
    out.truncate(end);
}

/// Appends where a log begins and ends: of a run how many events it has room for, and how many there are.
pub(super) fn save_bounds(log: Log<'_>, room: usize, out: &mut Vec<u8>) {
    match log {
        Log::Busy(_) => {
            BUSY.encode(out);
            (log.first(), log.end()).encode(out);
        }
        Log::Run(run) => {
            (room as u8).encode(out);
            (run.len() as u8).encode(out);
        }
    }
}

/// Appends some records of a run, column by column.
pub(super) fn save_records(
    plan: &TablePlan,
    run: Run<'_>,
    from: usize,
    to: usize,
    order: &TextOrder,
    out: &mut Vec<u8>,
) {
    run.times()[from..to].iter().for_each(|time| time.encode(out));
    for column in &plan.columns {
        match column.place {
            // The time has been written.
            Place::Word(0) => {}
            Place::Word(word) => run.column(word)[from..to].iter().for_each(|value| value.encode(out)),
            Place::Half(half) if column.kind == FieldKind::String => {
                run.half(half)[from..to].iter().for_each(|&text| order.place(text).encode(out));
            }
            Place::Half(half) => run.half(half)[from..to].iter().for_each(|value| value.encode(out)),
        }
    }
    for (flag, flag_plan) in plan.flags.iter().enumerate() {
        if let FlagPlan::Mask { .. } = flag_plan {
            ((run.flag(flag) & bits(from, to)) >> from).encode(out);
        }
    }
}

/// How many events a run has that has room for so many.
fn read_len(room: usize, input: &mut Input<'_>) -> Result<usize, Broken> {
    let len = usize::from(input.read::<u8>()?);
    if room > RUN || len > room {
        return Err(Broken(format!("a run of {len} events has room for {room}")));
    }
    Ok(len)
}

/// Positions at which the log of a busy key begins and ends.
fn read_ends(input: &mut Input<'_>) -> Result<(u64, u64), Broken> {
    let (first, end): (u64, u64) = input.read()?;
    // The records themselves say more of how many there can be; each has its time.
    if first > end || end > POSITION_MAX || end - first > (input.left() / 8) as u64 {
        return Err(Broken(format!("a log of positions {first} to {end}")));
    }
    Ok((first, end))
}

/// Whether as many bytes follow a key as were announced, where they were.
fn told_right(rest: usize, read: usize) -> Result<(), Broken> {
    if rest > 0 && read != rest {
        return Err(Broken(format!("{read} bytes follow a key where {rest} were announced")));
    }
    Ok(())
}

/// As `load_records`, of so many that are put nowhere.
fn check_records(
    plan: &TablePlan,
    events: usize,
    after: i64,
    input: &mut Input<'_>,
    texts: &mut Texts<'_>,
) -> Result<i64, Broken> {
    let mut last = after;
    let mut is_sorted = true;
    for &time in input.take(events * 8)?.as_chunks().0 {
        let time = i64::from_le_bytes(time);
        is_sorted &= time >= last;
        last = time;
    }
    if !is_sorted {
        return Err(Broken::new(UNSORTED));
    }
    for column in &plan.columns {
        match column.place {
            Place::Word(0) => {}
            Place::Word(_) => _ = input.take(events * 8)?,
            Place::Half(_) => {
                let values = input.take(events * 4)?.as_chunks().0;
                if column.kind == FieldKind::String {
                    texts.hold_same(
                        values.iter().map(|&text| u32::from_le_bytes(text)).filter(|&text| text != ABSENT),
                    )?;
                }
            }
        }
    }
    let masks = plan.flags.iter().filter(|flag| matches!(flag, FlagPlan::Mask { .. })).count();
    input.take(masks * 4)?;
    Ok(last)
}

/// Reads records into these places of a run, which are empty, and holds their texts. None is earlier than `after`; the time of the last.
fn load_records(
    plan: &TablePlan,
    run: &mut RunMut<'_>,
    places: Range<usize>,
    after: i64,
    input: &mut Input<'_>,
    texts: &mut Texts<'_>,
) -> Result<i64, Broken> {
    let len = places.len();
    let times = run.column_mut(0, places.clone());
    input.words(times)?;
    let mut last = after;
    for &time in &*times {
        if (time as i64) < last {
            return Err(Broken::new(UNSORTED));
        }
        last = time as i64;
    }
    for column in &plan.columns {
        match column.place {
            Place::Word(0) => {}
            Place::Word(word) => input.words(run.column_mut(word, places.clone()))?,
            Place::Half(half) => {
                let values = run.half_mut(half, places.clone());
                input.halves(values)?;
                if column.kind == FieldKind::String {
                    for text in values.iter_mut().filter(|text| **text != ABSENT) {
                        *text = texts.hold(u64::from(*text))?;
                    }
                }
            }
        }
    }
    for (flag, flag_plan) in plan.flags.iter().enumerate() {
        if let FlagPlan::Mask { .. } = flag_plan {
            let set: u32 = input.read()?;
            *run.flag_mut(flag) |= (set & bits(0, len)) << places.start;
        }
    }
    Ok(last)
}
