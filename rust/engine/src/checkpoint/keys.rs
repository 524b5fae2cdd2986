//! The keys of a table into sections, in the order of their bytes.

use std::io;

use super::format::Kind;
use super::sections::Writer;
use crate::encode::Encode;
use crate::engine::Engine;
use crate::state::interner::TextOrder;

/// Writes the keys of a table, shard by shard.
pub(super) fn write(engine: &Engine, index: usize, order: &TextOrder, sections: &mut Writer<'_>) -> io::Result<()> {
    let (table, plan) = (&engine.tables[index], &engine.plan.tables[index]);
    for number in 0..table.count() {
        let mut out =
            Keys { sections, table: index as u32, shard: (number as u32, table.count() as u32), begun: false };
        engine.each_in_order((index, number), |table, reference| -> io::Result<()> {
            table.save_key(plan, reference, order, out.payload()?);
            Ok(())
        })?;
        out.end()?;
    }
    Ok(())
}

/// The keys of a shard on their way out.
struct Keys<'a, 'b> {
    sections: &'a mut Writer<'b>,
    table: u32,
    shard: (u32, u32),
    begun: bool,
}

impl Keys<'_, '_> {
    /// Where the next key goes.
    fn payload(&mut self) -> io::Result<&mut Vec<u8>> {
        if self.sections.is_full() {
            self.end()?;
        }
        if !self.begun {
            self.shard.encode(&mut self.sections.payload);
            self.begun = true;
        }
        Ok(&mut self.sections.payload)
    }

    fn end(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.begun) { self.sections.finish(Kind::Keys, self.table) } else { Ok(()) }
    }
}
