//! An increment: the events that were accepted since the last file of its chain, and the counters after them. Writing it passes over no
//! old state; reading it is a replay.

use std::io::{self, Read, Write};

use super::format::Kind;
use super::read::{Identity, counters};
use super::sections::{Fault, Reader, Sealed, Writer, broken, damaged, refused};
use super::write;
use crate::encode::{Broken, Encode, Input};
use crate::engine::Engine;
use crate::journal::{Chunk, Position, Taken, slots};
use crate::late::LateEvents;

/// An increment before it has been written: it needs the engine no more.
#[derive(Debug)]
pub(super) struct Increment {
    pub position: Position,
    pub taken: Taken,
    identity: Vec<u8>,
    counters: Vec<u8>,
}

impl Increment {
    /// Takes what an engine has accepted since the last file, and what it counts now.
    pub fn of(engine: &mut Engine) -> Option<Self> {
        let journal = engine.journal.as_mut().filter(|journal| !journal.given_up)?;
        let position = journal.position.take()?;
        let taken = journal.take();
        let (mut identity, mut counters) = (Vec::new(), Vec::new());
        write::identity(&engine.plan, engine.options.idle_after, true, &mut identity);
        write::counters(engine, &mut counters);
        Some(Self { position, taken, identity, counters })
    }

    pub fn write(&self, offsets: &str, out: &mut dyn Write) -> io::Result<Sealed> {
        let mut sections = Writer::begin(out)?;
        sections.payload.extend_from_slice(&self.identity);
        sections.finish(Kind::Identity, 0)?;
        (self.position.base, self.position.increments + 1).encode(&mut sections.payload);
        (self.position.seal, self.taken.events).encode(&mut sections.payload);
        (self.taken.chunks.len() as u64).encode(&mut sections.payload);
        sections.finish(Kind::Link, 0)?;
        sections.text(Kind::Offsets, offsets)?;
        for (number, chunk) in self.taken.chunks.iter().enumerate() {
            chunk.encode(&mut sections.payload);
            sections.finish_packed(Kind::Events, number as u32)?;
        }
        sections.payload.extend_from_slice(&self.counters);
        sections.finish(Kind::Counters, 0)?;
        sections.end()
    }
}

/// What an increment says it goes on from, and how much it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Link {
    pub base: u64,
    pub increment: u64,
    pub seal: u64,
    pub events: u64,
    pub chunks: u64,
}

impl Link {
    pub fn read(payload: &[u8]) -> Result<Self, Broken> {
        let mut input = Input::new(payload);
        let ((base, increment), (seal, events)) = (input.read()?, input.read()?);
        let link = Self { base, increment, seal, events, chunks: input.read()? };
        input.end()?;
        Ok(link)
    }
}

/// Takes an increment of so many bytes into an engine that has come to `position`; its offsets, and what knows the file. After an error
/// the engine is of no use.
pub(super) fn read(
    engine: &mut Engine,
    position: &Position,
    input: &mut dyn Read,
    length: u64,
) -> Result<(String, Sealed), Fault> {
    let mut sections = Reader::begin(input, length)?;
    sections.expect(Kind::Identity, 0)?;
    let identity = broken(Kind::Identity, Identity::read(&sections.payload))?;
    if identity.fingerprint != engine.plan.fingerprint {
        return refused("it is of another definition than the checkpoint that it goes on from".to_owned());
    }
    sections.expect(Kind::Link, 0)?;
    let link = broken(Kind::Link, Link::read(&sections.payload))?;
    if (link.base, link.increment, link.seal) != (position.base, position.increments + 1, position.seal) {
        return damaged(format!(
            "it is increment {} of checkpoint {} and goes on from another file than the one before it here",
            link.increment, link.base
        ));
    }
    sections.expect(Kind::Offsets, 0)?;
    let offsets = sections.text()?.to_owned();
    let slots = slots(&engine.plan);
    let mut numbers = 0..link.chunks;
    let events = engine.replay(&slots, || {
        let Some(number) = numbers.next() else { return Ok(None) };
        sections.expect(Kind::Events, number as u32)?;
        broken(Kind::Events, Chunk::decode(&slots, &mut Input::new(&sections.payload))).map(Some)
    })?;
    if events != link.events {
        return damaged(format!("it has {events} events and tells of {}", link.events));
    }
    sections.expect(Kind::Counters, 0)?;
    let told = |engine: &Engine| {
        let clocks: Vec<_> = engine.clocks.iter().map(|clock| (clock.newest, clock.events)).collect();
        // Keys leave at other events where shards are others than those of the engine that wrote this.
        let tables = engine.tables.iter().enumerate();
        let tables = tables.map(|(index, table)| table.as_written().then(|| (engine.keys_of(index), table.expired())));
        (clocks, tables.collect::<Vec<_>>())
    };
    let came_to = told(engine);
    let texts = engine.interner.texts() as u64;
    engine.late = LateEvents::new(engine.options.late_events_max);
    let announced = broken(Kind::Counters, counters(engine, &sections.payload))?;
    if told(engine) != came_to
        || (announced.texts != texts && came_to.1.iter().all(Option::is_some))
        || came_to.1.iter().zip(&announced.keys).any(|(table, keys)| table.is_some_and(|table| table.0 != *keys))
    {
        return damaged("its events lead to another state than the one it was written from".to_owned());
    }
    Ok((offsets, sections.end()?))
}
