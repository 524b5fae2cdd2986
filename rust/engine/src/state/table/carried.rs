//! A key as bytes of another plan's table, which knows of its events what this one knows, or less.

use super::super::interner::TextOrder;
use super::super::run::{Run, bits};
use super::super::slab::Reference;
use super::Table;
use super::saved::{save_bounds, tell_rest};
use crate::definition::FieldKind;
use crate::encode::Encode;
use crate::plan::{Place, Selection, TablePlan};

impl Table {
    /// Appends one key as another plan's table has it.
    pub fn save_chosen(
        &self,
        plan: &TablePlan,
        chosen: &Selection,
        reference: Reference,
        order: &TextOrder,
        out: &mut Vec<u8>,
    ) {
        let start = out.len();
        self.save_name(reference, out);
        let (log, past) = self.log_of(plan, reference);
        save_bounds(log, self.room_of(reference), out);
        log.stretches(log.first(), log.end(), |run, from, to, _| {
            save_chosen(plan, chosen, run, (from, to), order, out)
        });
        let past = past.filter(|_| chosen.past);
        past.is_some().encode(out);
        if let Some(past) = past {
            past.save_chosen(plan, chosen, order, out);
        }
        tell_rest(&mut out[start..], 0);
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
