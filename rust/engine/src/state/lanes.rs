//! What lanes have in common: how a value is loaded from a record, and where an answer is stored.

use crate::aggregate::exact::{self, Moments};
use crate::aggregate::extreme;
use crate::aggregate::wide::WideMoments;
use crate::definition::FieldKind;
use crate::key;
use crate::plan::{LogColumn, Mask, MomentJob, Place, ReadPlan, TablePlan, Target};
use crate::row;

/// What one evaluation is about.
#[derive(Clone, Copy)]
pub(crate) struct Question<'a> {
    pub table: &'a TablePlan,
    pub read: &'a ReadPlan,
    /// Time of the row.
    pub t: i64,
    /// The row's own event as a record, when its stream writes this table.
    pub newcomer: Option<&'a [u64]>,
    pub ticks_per_second: i64,
}

/// Answers of one row, by `Target`.
#[derive(Debug, Default)]
pub(crate) struct Cells {
    pub values: Vec<f64>,
    pub wides: Vec<u64>,
}

impl Cells {
    #[inline]
    pub fn float(&mut self, target: Target, value: f64) {
        self.values[target.cell] = row::canonical(value);
    }

    #[inline]
    pub fn count(&mut self, target: Target, count: u64) {
        self.values[target.cell] = count as f64;
    }

    #[inline]
    pub fn null(&mut self, target: Target) {
        self.values[target.cell] = row::NULL;
    }

    /// A value as a record holds it.
    #[inline]
    pub fn payload(&mut self, target: Target, kind: FieldKind, payload: u64) {
        self.values[target.cell] = match kind {
            FieldKind::Float64 => f64::from_bits(payload),
            FieldKind::String => f64::NAN,
            _ => payload as i64 as f64,
        };
        if let Some(wide) = target.wide {
            self.wides[wide] = payload;
        }
    }
}

impl LogColumn {
    /// The 64 bits of the value: of a double, a whole number, or an index into something.
    #[inline]
    pub fn load(&self, record: &[u64]) -> u64 {
        match self.place {
            Place::Word(word) => record[word],
            Place::Half(half) => half_of(record, half),
        }
    }

    /// The same, so that equal values have equal bits.
    #[inline]
    pub fn identity(&self, record: &[u64]) -> u64 {
        let payload = self.load(record);
        if self.kind == FieldKind::Float64 { key::same_float(f64::from_bits(payload)) } else { payload }
    }

    #[inline]
    pub fn order(&self, record: &[u64], max: bool) -> i64 {
        extreme::order(self.load(record), self.kind == FieldKind::Float64, max)
    }
}

#[inline]
pub(crate) fn half_of(record: &[u64], half: usize) -> u64 {
    record[half / 2] >> (half % 2 * 32) & 0xFFFF_FFFF
}

#[inline]
pub(crate) fn set_half(record: &mut [u64], half: usize, value: u32) {
    let shift = half % 2 * 32;
    let word = &mut record[half / 2];
    *word = *word & !(0xFFFF_FFFF << shift) | u64::from(value) << shift;
}

/// Flags lie at the end of a record and grow towards its front, from the top bit of the last word down.
#[inline]
pub(crate) fn flag(record: &[u64], index: usize) -> bool {
    record[record.len() - 1 - index / 64] >> (63 - index % 64) & 1 == 1
}

#[inline]
pub(crate) fn set_flag(record: &mut [u64], index: usize, value: bool) {
    let (word, bit) = (record.len() - 1 - index / 64, 63 - index % 64);
    record[word] = record[word] & !(1 << bit) | u64::from(value) << bit;
}

/// Whether the mask keeps the record.
#[inline]
pub(crate) fn keeps(mask: Mask, record: &[u64]) -> bool {
    mask.is_none_or(|index| flag(record, index))
}

/// Writes what is asked of exact sums.
#[inline]
pub(crate) fn answer_moments(job: &MomentJob, moments: &Moments, scale: i32, count: u64, cells: &mut Cells) {
    if job.sum.is_some() || job.mean.is_some() {
        let sum = exact::sum(moments, scale);
        if let Some(target) = job.sum {
            cells.float(target, sum);
        }
        if let Some(target) = job.mean {
            if count == 0 {
                cells.null(target)
            } else {
                cells.float(target, exact::mean_of(sum, moments, scale, count))
            }
        }
    }
    if job.var.is_some() || job.std.is_some() {
        answer_variance(job, (count >= 2).then(|| exact::variance(moments, scale, count)), cells);
    }
}

/// The same of sums of any values.
pub(crate) fn answer_wide(job: &MomentJob, moments: &WideMoments, count: u64, cells: &mut Cells) {
    if let Some(target) = job.sum {
        cells.float(target, moments.sum());
    }
    if let Some(target) = job.mean {
        if count == 0 { cells.null(target) } else { cells.float(target, moments.mean(count)) }
    }
    if job.var.is_some() || job.std.is_some() {
        answer_variance(job, (count >= 2).then(|| moments.variance(count)), cells);
    }
}

fn answer_variance(job: &MomentJob, variance: Option<f64>, cells: &mut Cells) {
    for (target, value) in [(job.var, variance), (job.std, variance.map(f64::sqrt))] {
        match (target, value) {
            (Some(target), Some(value)) => cells.float(target, value),
            (Some(target), None) => cells.null(target),
            (None, _) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_and_flags_share_a_record_without_touching_each_other() {
        let mut record = [0_u64; 5];
        set_half(&mut record, 2, u32::MAX);
        set_half(&mut record, 3, 7);
        set_half(&mut record, 2, 5);
        for index in [0, 63, 64, 70] {
            set_flag(&mut record, index, true);
        }
        set_flag(&mut record, 63, false);
        assert_eq!((half_of(&record, 2), half_of(&record, 3)), (5, 7));
        assert_eq!([0, 63, 64, 70, 1].map(|index| flag(&record, index)), [true, false, true, true, false]);
    }
}
