//! A full checkpoint while the engine goes on: the state of one instant, saved a little at a time between events.
//!
//! At the instant, counters are noted and every key and text is known as unsaved by a bit that turns. Then keys are passed over in the order in
//! which they lie, some thousand bytes at a time, mostly by a copy of their memory; one that is about to change or to leave is saved before. So the file has every key as it was
//! at the instant, and the engine does not notice. Encoding, checksums and the disk need no engine.

use std::io::{self, Write};
use std::sync::{Arc, Weak};

use super::format::{Kind, SECTION_BYTES};
use super::handover::PART_BYTES;
use super::layout::layout;
use super::sections::Writer;
use super::steps::Steps;
use super::write;
use crate::encode::Encode;
use crate::engine::Engine;
use crate::journal::Journal;
use crate::plan::Plan;
use crate::state::interner::TextOrder;
use crate::state::table::{Saved, save_block};

/// Bytes of keys that one step saves, about; some microseconds.
pub(super) const STEP_BYTES: usize = if cfg!(feature = "schedules") { 300 } else { 4 << 10 };
/// A text counts for so many bytes of keys, and a piece of a list of keys for so many.
const TEXT_BYTES: usize = 32;
const PIECE_BYTES: usize = 128;
/// Keys that were about to change are collected from all shards at each so many steps.
const COLLECTED_EVERY: u64 = 16;
/// What has been collected of a shard is written when it has so many bytes.
const COLLECTED_BYTES: usize = SECTION_BYTES / 4;

/// How far a state has been saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Texts,
    /// Keys on disk, of all tables.
    Away,
    /// Keys of a table and a shard of it.
    Keys(usize, usize),
    /// When they are looked at.
    Steps(usize, usize),
    Done,
}

/// A state on its way from the engine to a file.
#[derive(Debug)]
pub(super) struct Saving {
    plan: Arc<Plan>,
    phase: Phase,
    saves: u64,
    /// Of each table, by shard.
    shards: Vec<usize>,
    counters: Vec<u8>,
    /// By table: keys there were, and keys that have been saved.
    keys: Vec<(u64, u64)>,
    step_ticks: Vec<Vec<i64>>,
    texts: Vec<u8>,
    /// By table and shard: keys that have been saved and not written.
    payloads: Vec<Vec<Vec<u8>>>,
    /// Blocks of keys of a table and shard, as they lie in memory.
    blocks: Vec<u64>,
    blocks_of: (usize, usize),
    /// Keys of a table and shard that were about to change, or that have many events.
    changed: Vec<(usize, usize, Saved)>,
    /// Of the shard at hand.
    steps: Vec<(i64, u64)>,
    open: Option<Steps>,
    written: Phase,
    /// That of the events from the instant on, and the one before, where increments are to follow.
    journal: Option<Box<Journal>>,
    before: Option<Option<Box<Journal>>>,
    /// Lives as long as this does.
    token: Arc<()>,
    /// Whether keys may be on disk; what that says when it does not give them.
    spills: bool,
    failed: Option<String>,
}

impl Saving {
    /// Nothing of it needs the engine yet.
    pub fn new(plan: &Arc<Plan>, goes_on: bool) -> Self {
        Self {
            phase: Phase::Texts,
            saves: 0,
            shards: Vec::with_capacity(plan.tables.len()),
            counters: Vec::with_capacity(1 << 16),
            keys: Vec::with_capacity(plan.tables.len()),
            step_ticks: Vec::with_capacity(plan.tables.len()),
            texts: Vec::with_capacity(2 * PART_BYTES),
            payloads: Vec::new(),
            blocks: Vec::with_capacity(2 * PART_BYTES / size_of::<u64>()),
            blocks_of: (0, 0),
            changed: Vec::new(),
            steps: Vec::new(),
            open: None,
            written: Phase::Texts,
            journal: goes_on.then(|| Box::new(Journal::new(plan))),
            before: None,
            token: Arc::new(()),
            spills: false,
            failed: None,
            plan: Arc::clone(plan),
        }
    }

    /// The instant. Refused where another state of the engine is being saved.
    pub fn begin(&mut self, engine: &mut Engine) -> io::Result<()> {
        if let Some(other) = engine.capturing.take() {
            if other.strong_count() > 0 {
                engine.capturing = Some(other);
                return Err(io::Error::other("another checkpoint of this engine is being written; wait for its end"));
            }
            // Whoever began it has gone.
            let mut left = Self::new(&self.plan, false);
            left.payloads = engine.tables.iter().map(|table| vec![Vec::new(); table.count()]).collect();
            left.shards = engine.tables.iter().map(|table| table.count()).collect();
            left.keys = vec![(0, 0); engine.tables.len()];
            while !left.save(engine, STEP_BYTES) {
                left.forget();
            }
        }
        write::counters(engine, &mut self.counters);
        for (index, table) in engine.tables.iter_mut().enumerate() {
            self.shards.push(table.count());
            let away = engine.spilling.as_ref().map_or(0, |spilling| spilling.keys_of(index));
            self.keys.push(((table.keys() + away) as u64, 0));
            debug_assert!(index < self.plan.tables.len(), "tables are those of the plan");
            self.step_ticks.push(table.iter_mut().map(|shard| shard.begin_capture()).collect());
        }
        engine.interner.begin_capture();
        if let Some(spilling) = &mut engine.spilling {
            spilling.begin_capture();
            self.spills = true;
        }
        if let Some(journal) = self.journal.take() {
            self.before = Some(engine.journal.replace(journal));
        }
        engine.capturing = Some(Arc::downgrade(&self.token));
        Ok(())
    }

    /// Saves so many bytes of keys more, about; true when all is.
    pub fn save(&mut self, engine: &mut Engine, bytes: usize) -> bool {
        self.saves += 1;
        if self.saves.is_multiple_of(COLLECTED_EVERY) {
            self.collect(engine);
        }
        match self.phase {
            Phase::Texts => {
                let texts = &mut self.texts;
                let is_done = engine.interner.save_some(bytes.div_ceil(TEXT_BYTES), |number, text| {
                    number.encode(texts);
                    text.encode(texts);
                });
                if is_done {
                    self.phase = self.after_texts();
                }
            }
            Phase::Away => {
                let Engine { spilling, tables, .. } = engine;
                let saved = spilling.as_mut().map_or(Ok(true), |spilling| spilling.save_some(tables, bytes));
                if let Err(error) = &saved {
                    self.failed = Some(error.to_string());
                    spilling.iter_mut().for_each(|spilling| spilling.stop_saving());
                }
                if saved.unwrap_or(true) {
                    self.phase = self.first(Phase::Keys, Phase::Done);
                }
            }
            Phase::Keys(table, shard) => {
                let (state, plan) = (engine.tables[table].shard_mut(shard), &self.plan.tables[table]);
                self.blocks_of = (table, shard);
                if state.save_some(plan, bytes, &mut self.payloads[table][shard], &mut self.blocks) {
                    self.phase = self.next(table, shard, Phase::Keys);
                    if self.phase == Phase::Done {
                        self.collect(engine);
                        for (table, keys) in engine.tables.iter_mut().zip(&mut self.keys) {
                            keys.1 = table.iter_mut().map(|shard| shard.end_capture()).sum();
                        }
                        self.phase = self.first(Phase::Steps, Phase::Done);
                    }
                }
            }
            Phase::Steps(table, shard) => {
                let (is_done, steps) =
                    engine.tables[table].shard_mut(shard).save_some_steps(bytes.div_ceil(PIECE_BYTES));
                self.steps = steps;
                if is_done {
                    self.phase = self.next(table, shard, Phase::Steps);
                }
            }
            Phase::Done => {}
        }
        if self.phase == Phase::Done {
            engine.capturing = None;
        }
        self.phase == Phase::Done
    }

    /// Whether all has been saved.
    pub fn is_done(&self) -> bool {
        self.phase == Phase::Done
    }

    fn after_texts(&self) -> Phase {
        if self.spills && !self.shards.is_empty() { Phase::Away } else { self.first(Phase::Keys, Phase::Done) }
    }

    fn first(&self, phase: fn(usize, usize) -> Phase, none: Phase) -> Phase {
        if self.shards.is_empty() { none } else { phase(0, 0) }
    }

    fn next(&self, table: usize, shard: usize, phase: fn(usize, usize) -> Phase) -> Phase {
        if shard + 1 < self.shards[table] {
            phase(table, shard + 1)
        } else if table + 1 < self.shards.len() {
            phase(table + 1, 0)
        } else {
            Phase::Done
        }
    }

    /// Takes the keys that were about to change.
    fn collect(&mut self, engine: &mut Engine) {
        for (index, table) in engine.tables.iter_mut().enumerate() {
            for (number, shard) in table.iter_mut().enumerate() {
                self.changed.extend(shard.take_changed().into_iter().map(|piece| (index, number, piece)));
            }
        }
    }

    /// Writes what has been saved.
    pub fn write(&mut self, sections: &mut Writer<'_>) -> io::Result<()> {
        if let Some(message) = self.failed.take() {
            return Err(io::Error::other(message));
        }
        if self.written == Phase::Texts {
            let is_last = self.phase != Phase::Texts;
            if is_last || self.texts.len() >= SECTION_BYTES {
                finish(sections, &mut self.texts, Kind::Texts, 0)?;
            }
            if !is_last {
                // It grows here rather than while the engine waits.
                self.texts.reserve(2 * PART_BYTES);
                return Ok(());
            }
            self.written = self.after_texts();
        }
        if let Phase::Away | Phase::Keys(..) = self.written {
            self.write_keys(sections)?;
            if matches!(self.phase, Phase::Away | Phase::Keys(..)) {
                return Ok(());
            }
            self.written = self.first(Phase::Steps, Phase::Done);
        }
        while let Phase::Steps(table, shard) = self.written {
            let of = self.shards[table];
            let ticks = self.step_ticks[table][shard];
            let open = self.open.get_or_insert_with(|| Steps::begin(table, (shard, of), ticks));
            for (begin, hash) in self.steps.drain(..) {
                open.add(begin, hash, sections)?;
            }
            if self.phase == self.written {
                break;
            }
            self.open.take().map_or(Ok(()), |open| open.end(sections))?;
            self.written = self.next(table, shard, Phase::Steps);
        }
        Ok(())
    }

    fn write_keys(&mut self, sections: &mut Writer<'_>) -> io::Result<()> {
        let is_last = !matches!(self.phase, Phase::Away | Phase::Keys(..));
        let (table, shard) = self.blocks_of;
        let (order, mut at) = (TextOrder::none(), 0);
        while at < self.blocks.len() {
            let payload = &mut self.payloads[table][shard];
            at += save_block(&self.plan.tables[table], &self.blocks[at..], &order, payload);
        }
        self.blocks.clear();
        let mut long = Vec::new();
        for (table, shard, Saved { bytes, ends }) in std::mem::take(&mut self.changed) {
            let (payload, of) = (&mut self.payloads[table][shard], (shard, self.shards[table]));
            long.push(bytes);
            if !ends {
                continue;
            }
            if long.iter().map(Vec::len).sum::<usize>() >= COLLECTED_BYTES {
                // A key of many events is not copied again.
                put_keys(sections, &long, table, of)?;
            } else {
                long.iter().for_each(|bytes| payload.extend_from_slice(bytes));
                if payload.len() >= COLLECTED_BYTES {
                    finish_keys(sections, payload, table, of)?;
                }
            }
            long.clear();
        }
        if let Phase::Keys(table, shard) = self.written
            && (self.phase != self.written || self.payloads[table][shard].len() >= SECTION_BYTES)
        {
            finish_keys(sections, &mut self.payloads[table][shard], table, (shard, self.shards[table]))?;
        }
        if !is_last {
            self.written = self.phase;
            if let Phase::Keys(table, shard) = self.phase {
                // As that of texts does.
                self.payloads[table][shard].reserve(2 * PART_BYTES);
            }
            return Ok(());
        }
        for table in 0..self.shards.len() {
            for shard in 0..self.shards[table] {
                finish_keys(sections, &mut self.payloads[table][shard], table, (shard, self.shards[table]))?;
            }
        }
        if self.keys.iter().any(|keys| keys.0 != keys.1) {
            return Err(io::Error::other(format!(
                "not every key was saved once (a bug in fastfeat: please report it): {:?}",
                self.keys
            )));
        }
        Ok(())
    }

    /// Forgets what has been saved: nobody writes it.
    pub fn forget(&mut self) {
        self.texts.clear();
        self.blocks.clear();
        self.changed.clear();
        self.steps.clear();
        self.payloads.iter_mut().flatten().for_each(Vec::clear);
    }

    /// It was written to this file, or could not be: the journal goes on from there, or is what it would have been.
    pub fn end(&mut self, engine: &mut Engine, is_written: bool) {
        if is_written {
            // It may have much memory, and goes when nobody waits for the engine.
            return;
        }
        let Some(before) = self.before.take() else { return };
        engine.journal = match (before, engine.journal.take()) {
            (Some(mut before), Some(mut since)) if !before.given_up && !since.given_up => {
                since.put_back(before.take());
                since.position = before.position.take();
                Some(since)
            }
            (Some(mut before), _) => {
                before.give_up();
                Some(before)
            }
            (None, _) => None,
        };
    }

    /// Goes on without writing, some at a time; true when the engine knows of it no more.
    pub fn give_up(&mut self, engine: &mut Engine) -> bool {
        let is_done = engine.capturing.as_ref().is_none_or(|token| !Weak::ptr_eq(token, &Arc::downgrade(&self.token)))
            || self.save(engine, STEP_BYTES);
        self.forget();
        is_done
    }

    /// Writes what stands before the state, and asks for room.
    pub fn head(
        &self,
        offsets: &str,
        goes_on: bool,
        idle_after: Option<i64>,
        sections: &mut Writer<'_>,
    ) -> io::Result<()> {
        write::head(&self.plan, idle_after, goes_on, sections)?;
        sections.text(Kind::Layout, &layout(&self.plan))?;
        sections.text(Kind::Offsets, offsets)
    }

    /// Writes what was noted at the instant.
    pub fn counters(&mut self, sections: &mut Writer<'_>) -> io::Result<()> {
        self.payloads = self.shards.iter().map(|&shards| vec![Vec::new(); shards]).collect();
        finish(sections, &mut self.counters, Kind::Counters, 0)
    }
}

/// A section of what has been gathered, whose memory is used again.
fn finish(sections: &mut Writer<'_>, payload: &mut Vec<u8>, kind: Kind, number: usize) -> io::Result<()> {
    std::mem::swap(&mut sections.payload, payload);
    let finished = sections.finish(kind, number as u32);
    std::mem::swap(&mut sections.payload, payload);
    finished
}

/// The same for keys of a shard, where there are any.
fn finish_keys(
    sections: &mut Writer<'_>,
    payload: &mut Vec<u8>,
    table: usize,
    (shard, shards): (usize, usize),
) -> io::Result<()> {
    if payload.is_empty() {
        return Ok(());
    }
    put_keys(sections, std::slice::from_ref(payload), table, (shard, shards))?;
    payload.clear();
    Ok(())
}

/// A section of keys of a shard that are in pieces.
fn put_keys(
    sections: &mut Writer<'_>,
    pieces: &[Vec<u8>],
    table: usize,
    (shard, shards): (usize, usize),
) -> io::Result<()> {
    let mut head = Vec::with_capacity(8);
    (shard as u32, shards as u32).encode(&mut head);
    let parts: Vec<&[u8]> = std::iter::once(&head).chain(pieces).map(Vec::as_slice).collect();
    sections.finish_parts(Kind::Keys, table as u32, &parts)
}

/// The state of an engine at one instant on its way into bytes; the engine goes on between its steps. `Engine::checkpoint_shared` does this for files.
///
/// ```
/// use std::sync::Arc;
/// use fastfeat_engine::checkpoint::Snapshot;
/// use fastfeat_engine::{definition::Definition, engine::Engine, plan::Plan};
///
/// let definition: Definition = serde_json::from_str(r#"{"version": 1, "features": [], "streams": [{"name": "s", "time": "ts",
///     "lateness_ns": 0, "on_late": "reject", "fields": [{"name": "ts", "type": "timestamp", "unit": "us"}]}]}"#).unwrap();
/// let mut engine = Engine::new(Arc::new(Plan::compile(&definition).unwrap()));
/// let mut bytes = Vec::new();
/// let mut snapshot = Snapshot::begin(&mut engine, "{}", &mut bytes).unwrap();
/// while !snapshot.step(&mut engine).unwrap() {
///     // Here the engine takes events.
/// }
/// snapshot.end().unwrap();
/// assert_eq!(&bytes[..8], b"fastfeat");
/// ```
#[derive(Debug)]
pub struct Snapshot<'a> {
    saving: Saving,
    sections: Writer<'a>,
}

impl<'a> Snapshot<'a> {
    /// The instant. `offsets` is JSON.
    ///
    /// # Errors
    /// What takes the bytes does not, or another state of the engine is being saved.
    pub fn begin(engine: &mut Engine, offsets: &str, out: &'a mut dyn Write) -> io::Result<Self> {
        let (mut saving, mut sections) = (Saving::new(&engine.plan, false), Writer::begin(out)?);
        saving.head(offsets, false, engine.options.idle_after, &mut sections)?;
        saving.begin(engine)?;
        saving.counters(&mut sections)?;
        Ok(Self { saving, sections })
    }

    /// Saves and writes some more; true when all is there. After an error the rest is to be given up.
    ///
    /// # Errors
    /// What takes the bytes does not, or the disk that keys are on does not give them.
    pub fn step(&mut self, engine: &mut Engine) -> io::Result<bool> {
        self.step_of(engine, STEP_BYTES)
    }

    /// As `step`, of so many bytes of keys, about.
    ///
    /// # Errors
    /// As `step`.
    pub fn step_of(&mut self, engine: &mut Engine, bytes: usize) -> io::Result<bool> {
        let is_done = self.saving.save(engine, bytes);
        self.saving.write(&mut self.sections)?;
        Ok(is_done)
    }

    /// Writes the end, once all is there.
    ///
    /// # Errors
    /// What takes the bytes does not.
    pub fn end(self) -> io::Result<()> {
        assert!(self.saving.phase == Phase::Done, "a state is saved as a whole");
        self.sections.end().map(|_| ())
    }

    /// Gives it up: the engine is free for another.
    pub fn give_up(mut self, engine: &mut Engine) {
        while !self.saving.give_up(engine) {}
    }
}
