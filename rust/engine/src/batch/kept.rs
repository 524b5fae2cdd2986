//! What the rows of a chunk need of their events, while the tables are asked about all of them.

use super::columns::Columns;
use crate::definition::FieldKind;
use crate::event::{Event, Value};
use crate::plan::{Final, StreamPlan};

/// Values of some slots, event after event.
#[derive(Default)]
pub(super) struct Kept {
    slots: Vec<usize>,
    /// Whether some of them are texts.
    has_texts: bool,
    /// Slots of an event once what is known from it alone has been computed.
    width: usize,
    values: Vec<Value>,
    texts: String,
    /// Where those of each event end.
    ends: Vec<usize>,
}

impl Kept {
    pub fn new(plan: &StreamPlan) -> Self {
        let width = plan.schema.fields.len() + plan.before.steps.len();
        let of_finals = plan.finals.iter().filter_map(|last| match last {
            Final::Slot { slot, .. } => Some(*slot),
            _ => None,
        });
        let mut slots: Vec<usize> = plan.after.reads().chain(of_finals).filter(|&slot| slot < width).collect();
        slots.sort_unstable();
        slots.dedup();
        // What is computed may be a text too.
        let is_text = |&slot: &usize| plan.schema.fields.get(slot).is_none_or(|field| field.kind == FieldKind::String);
        Self { has_texts: slots.iter().any(is_text), slots, width, ..Self::default() }
    }

    pub fn clear(&mut self) {
        self.values.clear();
        self.texts.clear();
        self.ends.clear();
    }

    /// Takes what is needed of the next event.
    #[inline]
    pub fn keep(&mut self, event: &Event) {
        debug_assert_eq!(event.values.len(), self.width, "a frame has a slot for each field and each step");
        self.values.extend(self.slots.iter().map(|&slot| event.values[slot]));
        if self.has_texts {
            self.texts.push_str(event.texts());
            self.ends.push(self.texts.len());
        }
    }

    /// The slots that are needed, where none of them is a text.
    pub fn slots(&self) -> Option<&[usize]> {
        (!self.has_texts).then_some(&self.slots)
    }

    /// Takes what is needed of some events.
    pub fn keep_columns(&mut self, columns: &Columns<'_>, rows: usize) {
        self.values.resize(rows * self.slots.len(), Value::Null);
        for (place, &slot) in self.slots.iter().enumerate() {
            let column = columns.of(slot);
            let values = self.values.iter_mut().skip(place).step_by(self.slots.len());
            values.enumerate().for_each(|(row, value)| *value = column.value(row));
        }
    }

    /// Makes an event what is needed of one.
    #[inline]
    pub fn give(&self, index: usize, event: &mut Event) {
        let texts = if self.has_texts {
            let start = if index == 0 { 0 } else { self.ends[index - 1] };
            &self.texts[start..self.ends[index]]
        } else {
            ""
        };
        event.resume(self.width, texts);
        let values = &self.values[index * self.slots.len()..][..self.slots.len()];
        self.slots.iter().zip(values).for_each(|(&slot, &value)| event.values[slot] = value);
    }
}
