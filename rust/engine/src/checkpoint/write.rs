//! An engine into bytes. The same state gives the same bytes: keys and texts go in the order of their own bytes, whatever maps did.

use std::io::{self, Write};

use super::format::{FORMAT_VERSION, Header, Kind, MAGIC, SECTION_BYTES};
use super::layout::layout;
use crate::encode::Encode;
use crate::engine::Engine;
use crate::plan::SEMANTICS_VERSION;

/// Sections on their way out.
struct Sections<'a> {
    out: &'a mut dyn Write,
    payload: Vec<u8>,
    /// What has been written so far.
    bytes: u64,
    sections: u64,
    /// Checksum of all headers.
    headers: u32,
}

impl Sections<'_> {
    /// Writes what has been gathered as a section.
    fn finish(&mut self, kind: Kind, number: u32) -> io::Result<()> {
        let header = Header::of(kind, number, &self.payload).bytes();
        self.out.write_all(&header)?;
        self.out.write_all(&self.payload)?;
        self.headers = crc32c::crc32c_append(self.headers, &header);
        self.bytes += (header.len() + self.payload.len()) as u64;
        self.sections += 1;
        self.payload.clear();
        Ok(())
    }

    fn text(&mut self, kind: Kind, text: &str) -> io::Result<()> {
        self.payload.extend_from_slice(text.as_bytes());
        self.finish(kind, 0)
    }

    fn is_full(&self) -> bool {
        self.payload.len() >= SECTION_BYTES
    }
}

/// Writes all of an engine; `offsets` is JSON.
pub(super) fn write(engine: &Engine, offsets: &str, out: &mut dyn Write) -> io::Result<()> {
    let plan = &engine.plan;
    let mut sections = Sections { out, payload: Vec::new(), bytes: 0, sections: 0, headers: 0 };
    let mut preamble = MAGIC.to_vec();
    FORMAT_VERSION.encode(&mut preamble);
    sections.out.write_all(&preamble)?;
    sections.bytes = preamble.len() as u64;

    let payload = &mut sections.payload;
    plan.fingerprint.as_str().encode(payload);
    SEMANTICS_VERSION.encode(payload);
    env!("CARGO_PKG_VERSION").encode(payload);
    plan.ticks_per_second.encode(payload);
    engine.options.idle_after.encode(payload);
    sections.finish(Kind::Identity, 0)?;
    sections.text(Kind::Definition, &plan.definition)?;
    sections.text(Kind::Layout, &layout(plan))?;
    sections.text(Kind::Offsets, offsets)?;
    let order = engine.interner.order();
    counters(engine, order.ids.len(), &mut sections.payload);
    sections.finish(Kind::Counters, 0)?;

    for &id in &order.ids {
        if sections.is_full() {
            sections.finish(Kind::Texts, 0)?;
        }
        engine.interner.text(id).encode(&mut sections.payload);
    }
    sections.finish(Kind::Texts, 0)?;
    for (index, (table, table_plan)) in engine.tables.iter().zip(&plan.tables).enumerate() {
        let number = index as u32;
        let keys = table.in_order();
        for &key in &keys {
            if sections.is_full() {
                sections.finish(Kind::Keys, number)?;
            }
            table.save_key(table_plan, key, &order, &mut sections.payload);
        }
        sections.finish(Kind::Keys, number)?;
        table.save_expiry(&keys, &mut sections.payload);
        sections.finish(Kind::Expiry, number)?;
    }

    let (bytes, count, headers) = (sections.bytes, sections.sections, sections.headers);
    let payload = &mut sections.payload;
    (bytes, count).encode(payload);
    headers.encode(payload);
    sections.finish(Kind::End, 0)
}

fn counters(engine: &Engine, texts: usize, out: &mut Vec<u8>) {
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
    (texts as u64).encode(out);
    (engine.tables.len() as u64).encode(out);
    for table in &engine.tables {
        (table.keys() as u64, table.expired).encode(out);
    }
    (engine.plan.lookups.len() as u64).encode(out);
    for (plan, (version, misses, hash)) in engine.plan.lookups.iter().zip(engine.lookups.saved()) {
        plan.name.as_str().encode(out);
        (version, misses).encode(out);
        hash.encode(out);
    }
}
