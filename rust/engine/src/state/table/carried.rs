//! A key as bytes of another plan's table, which knows of its events what this one knows, or less.

use super::super::block::{Header, number_of, run_of};
use super::super::interner::TextOrder;
use super::super::log::Log;
use super::super::run::{Run, bits};
use super::super::slab::Reference;
use super::Table;
use super::saved::BUSY;
use crate::definition::FieldKind;
use crate::encode::Encode;
use crate::plan::{Place, Selection, TablePlan};

impl Table {
    /// Appends what `load_key` of the other table reads after the key itself.
    pub fn save_chosen(
        &self,
        plan: &TablePlan,
        chosen: &Selection,
        reference: Reference,
        order: &TextOrder,
        out: &mut Vec<u8>,
    ) {
        let block = self.slab.block(reference);
        let header = Header(block[0]);
        let extra = number_of(block, header).map(|number| self.extras.get(number));
        let log = match extra.and_then(|extra| extra.busy.as_deref()) {
            Some(busy) => {
                BUSY.encode(out);
                (busy.first(), busy.end()).encode(out);
                Log::Busy(busy)
            }
            None => {
                (header.room() as u8).encode(out);
                (header.len() as u8).encode(out);
                Log::Run(run_of(block, header, plan))
            }
        };
        log.stretches(log.first(), log.end(), |run, from, to, _| {
            save_chosen(plan, chosen, run, (from, to), order, out)
        });
        let past = extra.and_then(|extra| extra.past.as_deref()).filter(|_| chosen.past);
        past.is_some().encode(out);
        if let Some(past) = past {
            past.save_chosen(plan, chosen, order, out);
        }
    }
}

/// Appends some records of a run, column by column, as the other table has them.
fn save_chosen(
    plan: &TablePlan,
    chosen: &Selection,
    run: Run<'_>,
    (from, to): (usize, usize),
    order: &TextOrder,
    out: &mut Vec<u8>,
) {
    run.times()[from..to].iter().for_each(|time| time.encode(out));
    for &column in &chosen.columns {
        let column = &plan.columns[column];
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
    for &mask in &chosen.masks {
        ((run.flag(mask) & bits(from, to)) >> from).encode(out);
    }
}
