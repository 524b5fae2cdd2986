//! An engine that waits into bytes. The same state gives the same bytes: keys and texts go in the order of their own bytes, whatever maps did.

use std::io::{self, Write};

use super::format::Kind;
use super::keys;
use super::layout::layout;
use super::sections::{Sealed, Writer};
use super::steps::Steps;
use crate::encode::Encode;
use crate::engine::Engine;
use crate::plan::{Plan, SEMANTICS_VERSION};

/// Writes all of an engine; `offsets` is JSON, `goes_on` says whether increments are to follow.
pub(super) fn write(engine: &Engine, offsets: &str, goes_on: bool, out: &mut dyn Write) -> io::Result<Sealed> {
    let plan = &engine.plan;
    let mut sections = Writer::begin(out)?;
    head(plan, engine.options.idle_after, goes_on, &mut sections)?;
    sections.text(Kind::Layout, &layout(plan))?;
    sections.text(Kind::Offsets, offsets)?;
    let order = engine.interner.order();
    counters(engine, &mut sections.payload);
    sections.finish(Kind::Counters, 0)?;

    for (number, &id) in order.ids.iter().enumerate() {
        if sections.is_full() {
            sections.finish(Kind::Texts, 0)?;
        }
        (number as u32).encode(&mut sections.payload);
        engine.interner.text(id).encode(&mut sections.payload);
    }
    sections.finish(Kind::Texts, 0)?;
    for index in 0..engine.tables.len() {
        keys::write(engine, index, &order, &mut sections)?;
    }
    for (index, table) in engine.tables.iter().enumerate() {
        for (number, shard) in table.iter().enumerate() {
            let mut steps = Steps::begin(index, (number, table.count()), shard.step_ticks());
            for (begin, hashes) in shard.steps() {
                for hash in hashes {
                    steps.add(begin, hash, &mut sections)?;
                }
            }
            steps.end(&mut sections)?;
        }
    }

    sections.end()
}

/// What every full checkpoint begins with.
pub(super) fn head(plan: &Plan, idle_after: Option<i64>, goes_on: bool, sections: &mut Writer<'_>) -> io::Result<()> {
    identity(plan, idle_after, goes_on, &mut sections.payload);
    sections.finish(Kind::Identity, 0)?;
    sections.text(Kind::Definition, &plan.definition)?;
    if !plan.changes.is_none() {
        sections.text(Kind::Changes, &serde_json::to_string(&plan.changes)?)?;
    }
    Ok(())
}

/// What the state depends on beside the definition.
pub(super) fn identity(plan: &Plan, idle_after: Option<i64>, goes_on: bool, out: &mut Vec<u8>) {
    plan.fingerprint.as_str().encode(out);
    SEMANTICS_VERSION.encode(out);
    env!("CARGO_PKG_VERSION").encode(out);
    plan.ticks_per_second.encode(out);
    idle_after.encode(out);
    goes_on.encode(out);
}

/// Clocks and counts; how many texts and keys there are.
pub(super) fn counters(engine: &Engine, out: &mut Vec<u8>) {
    (engine.clocks.len() as u64).encode(out);
    engine.clocks.iter().for_each(|clock| clock.encode(out));
    let late: Vec<_> = engine.late.iter().collect();
    (late.len() as u64).encode(out);
    for record in late {
        (record.stream as u32).encode(out);
        (record.time, record.newest).encode(out);
        record.emitted.encode(out);
    }
    (engine.evicted, engine.refused).encode(out);
    (engine.interner.texts() as u64).encode(out);
    (engine.tables.len() as u64).encode(out);
    for (index, table) in engine.tables.iter().enumerate() {
        (engine.keys_of(index), table.expired()).encode(out);
    }
    (engine.plan.lookups.len() as u64).encode(out);
    for (plan, (version, misses, hash)) in engine.plan.lookups.iter().zip(engine.lookups.saved()) {
        plan.name.as_str().encode(out);
        (version, misses).encode(out);
        hash.encode(out);
    }
}
