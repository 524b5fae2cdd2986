//! Answers of one row, by where the plan wants them.

use crate::definition::FieldKind;
use crate::plan::Target;
use crate::row;

/// Doubles by cell, and the 64 bits of those that a double cannot hold.
#[derive(Debug, Default)]
pub(crate) struct Cells {
    pub values: Vec<f64>,
    pub wides: Vec<u64>,
    /// Elements of lists.
    pub lists: Vec<u64>,
    /// Where the answers of the row begin, of several rows.
    pub at: usize,
    pub wide_at: usize,
}

impl Cells {
    #[inline]
    pub fn float(&mut self, target: Target, value: f64) {
        self.values[self.at + target.cell] = row::canonical(value);
    }

    #[inline]
    pub fn float_or_null(&mut self, target: Target, value: Option<f64>) {
        self.values[self.at + target.cell] = value.map_or(row::NULL, row::canonical);
    }

    #[inline]
    pub fn count(&mut self, target: Target, count: u64) {
        self.values[self.at + target.cell] = count as i64 as f64;
    }

    #[inline]
    pub fn null(&mut self, target: Target) {
        self.values[self.at + target.cell] = row::NULL;
        if let Some(wide) = target.wide {
            self.wides[self.wide_at + wide] = 0;
        }
    }

    /// A value as a record holds it.
    #[inline]
    pub fn payload(&mut self, target: Target, kind: FieldKind, payload: u64) {
        self.values[self.at + target.cell] = match kind {
            FieldKind::Float64 => f64::from_bits(payload),
            FieldKind::String => f64::NAN,
            _ => payload as i64 as f64,
        };
        if let Some(wide) = target.wide {
            self.wides[self.wide_at + wide] = payload;
        }
    }

    #[inline]
    pub fn payload_or_null(&mut self, target: Target, kind: FieldKind, payload: Option<u64>) {
        match payload {
            Some(payload) => self.payload(target, kind, payload),
            None => self.null(target),
        }
    }

    /// Several values; none of them is null.
    pub fn list(&mut self, target: Target, payloads: impl Iterator<Item = u64>) {
        let start = self.lists.len();
        self.lists.extend(payloads);
        let len = self.lists.len() - start;
        self.values[self.at + target.cell] = if len == 0 { row::NULL } else { f64::NAN };
        if let Some(wide) = target.wide {
            self.wides[self.wide_at + wide] = (start as u64) << 32 | len as u64;
        }
    }
}
