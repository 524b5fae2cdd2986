//! What each lane makes of records: the summary of any stretch of a run.

use super::run::{Run, bits};
use super::tree::Summary;
use crate::aggregate::co_moments::CoMoments;
use crate::aggregate::decay::DecaySum;
use crate::aggregate::extreme::{self, Best};
use crate::aggregate::higher::Higher;
use crate::aggregate::moments::MomentSum;
use crate::aggregate::registers::Registers;
use crate::aggregate::sketch;
use crate::aggregate::whole::Number;
use crate::definition::FieldKind;
use crate::key;
use crate::plan::{LogColumn, Mask, Place, TablePlan};

/// Reads a lane's summary off records.
pub(super) trait Scan {
    type Sum: Summary;

    /// Takes in the records `from..to` of a run; the first of them has this position.
    fn scan(&self, run: Run<'_>, from: usize, to: usize, position: u64, sum: &mut Self::Sum);

    /// The summary of nothing, in a form that suits the record that will be taken in last.
    #[inline]
    fn begin(&self, _own: Option<Run<'_>>) -> Self::Sum {
        Self::Sum::default()
    }

    /// Takes records away that have been taken in; false where the sum has to be made anew.
    fn leave(&self, _run: Run<'_>, _from: usize, _to: usize, _position: u64, _sum: &mut Self::Sum) -> bool {
        false
    }
}

/// The records `from..to` that a mask keeps, a bit each.
#[inline]
pub(super) fn kept(run: Run<'_>, mask: Mask, from: usize, to: usize) -> u32 {
    bits(from, to) & mask.map_or(u32::MAX, |flag| run.flag(flag))
}

/// Indexes of the bits that are set, rising.
#[inline]
pub(super) fn each(mut set: u32, mut look: impl FnMut(usize)) {
    while set != 0 {
        look(set.trailing_zeros() as usize);
        set &= set - 1;
    }
}

impl LogColumn {
    /// The 64 bits of the value: of a double, a whole number, or an index into something.
    #[inline]
    pub(super) fn load(&self, run: Run<'_>, index: usize) -> u64 {
        match self.place {
            Place::Word(word) => run.column(word)[index],
            Place::Half(half) => u64::from(run.half(half)[index]),
        }
    }

    /// The same, so that equal values have equal bits.
    #[inline]
    pub(super) fn identity(&self, run: Run<'_>, index: usize) -> u64 {
        let payload = self.load(run, index);
        if self.kind == FieldKind::Float64 { key::same_float(f64::from_bits(payload)) } else { payload }
    }

    /// The bucket of a sketch that the value falls in.
    pub(super) fn bucket(&self, run: Run<'_>, index: usize) -> u64 {
        let x = self.float(run, index);
        if x.is_nan() { NAN_BUCKET } else { sketch::bucket(x) as u64 }
    }

    /// The value as a double.
    #[inline]
    pub(super) fn float(&self, run: Run<'_>, index: usize) -> f64 {
        float(self.kind, self.load(run, index))
    }

    /// The value as the number it is: an Int64 beyond 2^53 too.
    fn number(&self, run: Run<'_>, index: usize) -> Number {
        let payload = self.load(run, index);
        if self.kind == FieldKind::Float64 { f64::from_bits(payload).into() } else { (payload as i64).into() }
    }

    #[inline]
    fn order(&self, run: Run<'_>, index: usize, max: bool) -> i64 {
        extreme::order(self.load(run, index), self.kind == FieldKind::Float64, max)
    }
}

/// The bucket of values that are no numbers.
pub(super) const NAN_BUCKET: u64 = i64::MAX as u64;

/// A payload as a double.
#[inline]
pub(super) fn float(kind: FieldKind, payload: u64) -> f64 {
    if kind == FieldKind::Float64 { f64::from_bits(payload) } else { payload as i64 as f64 }
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Count(pub u64);

impl Summary for Count {
    fn merge(&mut self, later: &Self) {
        self.0 += later.0;
    }
}

/// How many records a mask keeps.
pub(super) struct Counts {
    pub mask: Mask,
}

impl Scan for Counts {
    type Sum = Count;

    #[inline]
    fn scan(&self, run: Run<'_>, from: usize, to: usize, _: u64, sum: &mut Count) {
        sum.0 += u64::from(kept(run, self.mask, from, to).count_ones());
    }

    #[inline]
    fn leave(&self, run: Run<'_>, from: usize, to: usize, _: u64, sum: &mut Count) -> bool {
        sum.0 -= u64::from(kept(run, self.mask, from, to).count_ones());
        true
    }
}

impl Summary for MomentSum {
    fn merge(&mut self, later: &Self) {
        self.merge(later);
    }

    fn bytes(&self) -> usize {
        self.bytes()
    }
}

pub(super) struct Moments<'a> {
    pub column: &'a LogColumn,
    pub mask: Mask,
    pub squares: bool,
}

impl Scan for Moments<'_> {
    type Sum = MomentSum;

    #[inline]
    fn begin(&self, own: Option<Run<'_>>) -> MomentSum {
        match own {
            Some(own) if self.column.kind == FieldKind::Float64 => MomentSum::for_value(self.column.float(own, 0)),
            _ => MomentSum::default(),
        }
    }

    #[inline]
    fn scan(&self, run: Run<'_>, from: usize, to: usize, _: u64, sum: &mut MomentSum) {
        let kept = kept(run, self.mask, from, to);
        match (self.column.kind, self.column.place) {
            (FieldKind::Float64, Place::Word(word)) if to - from == 1 => {
                if kept != 0 {
                    sum.add_float(f64::from_bits(run.column(word)[from]), self.squares);
                }
            }
            (FieldKind::Float64, Place::Word(word)) => {
                sum.add_floats(&run.column(word)[from..to], kept >> from, self.squares);
            }
            _ => each(kept, |index| sum.add_whole(self.column.load(run, index) as i64, self.squares)),
        }
    }

    #[inline]
    fn leave(&self, run: Run<'_>, from: usize, to: usize, _: u64, sum: &mut MomentSum) -> bool {
        let float = self.column.kind == FieldKind::Float64;
        let mut gone = true;
        each(kept(run, self.mask, from, to), |index| {
            let payload = self.column.load(run, index);
            gone = gone
                && if float {
                    sum.sub_float(f64::from_bits(payload), self.squares)
                } else {
                    sum.sub_whole(payload as i64, self.squares)
                };
        });
        gone
    }
}

impl Summary for Higher {
    fn merge(&mut self, later: &Self) {
        self.merge(later);
    }

    fn bytes(&self) -> usize {
        self.bytes()
    }
}

pub(super) struct HigherOf<'a> {
    pub column: &'a LogColumn,
    pub mask: Mask,
}

impl Scan for HigherOf<'_> {
    type Sum = Higher;

    fn scan(&self, run: Run<'_>, from: usize, to: usize, _: u64, sum: &mut Higher) {
        each(kept(run, self.mask, from, to), |index| sum.add(self.column.number(run, index)));
    }

    fn leave(&self, run: Run<'_>, from: usize, to: usize, _: u64, sum: &mut Higher) -> bool {
        each(kept(run, self.mask, from, to), |index| sum.sub(self.column.number(run, index)));
        true
    }
}

impl Summary for CoMoments {
    fn merge(&mut self, later: &Self) {
        self.merge(later);
    }

    fn bytes(&self) -> usize {
        self.bytes()
    }
}

pub(super) struct PairOf<'a> {
    pub x: &'a LogColumn,
    /// `None` for the event's time.
    pub y: Option<&'a LogColumn>,
    pub mask: Mask,
}

impl Scan for PairOf<'_> {
    type Sum = CoMoments;

    fn scan(&self, run: Run<'_>, from: usize, to: usize, _: u64, sum: &mut CoMoments) {
        each(kept(run, self.mask, from, to), |index| {
            let value = self.x.number(run, index);
            match self.y {
                Some(y) => sum.add(value, y.number(run, index)),
                // The time is what the value is plotted over.
                None => sum.add(run.times()[index], value),
            }
        });
    }

    fn leave(&self, run: Run<'_>, from: usize, to: usize, _: u64, sum: &mut CoMoments) -> bool {
        each(kept(run, self.mask, from, to), |index| {
            let value = self.x.number(run, index);
            match self.y {
                Some(y) => sum.sub(value, y.number(run, index)),
                None => sum.sub(run.times()[index], value),
            }
        });
        true
    }
}

impl Summary for Best {
    fn merge(&mut self, later: &Self) {
        self.merge(later);
    }
}

pub(super) struct ExtremeOf<'a> {
    pub column: &'a LogColumn,
    pub mask: Mask,
    pub max: bool,
    pub beside: Option<&'a LogColumn>,
}

impl Scan for ExtremeOf<'_> {
    type Sum = Best;

    #[inline]
    fn scan(&self, run: Run<'_>, from: usize, to: usize, position: u64, sum: &mut Best) {
        let kept = kept(run, self.mask, from, to);
        if kept == 0 {
            return;
        }
        let (rank, place) = match (self.column.place, self.mask) {
            (Place::Word(word), None) if self.column.kind == FieldKind::Float64 => {
                let values = &run.column(word)[from..to];
                let (rank, place) = if self.max { best::<true>(values) } else { best::<false>(values) };
                (rank, from + place)
            }
            _ => {
                let (mut rank, mut place) = (i64::MAX, usize::MAX);
                each(kept, |index| {
                    let found = self.column.order(run, index, self.max);
                    if found < rank || place == usize::MAX {
                        (rank, place) = (found, index);
                    }
                });
                (rank, place)
            }
        };
        let beside = self.beside.map_or(0, |beside| beside.load(run, place));
        // Positions from 1 on: 0 is whatever has left the log.
        sum.merge(&Best { rank, position: position + (place - from) as u64 + 1, beside, any: true });
    }

    /// Only where the best is not among those that leave.
    #[inline]
    fn leave(&self, _: Run<'_>, from: usize, to: usize, position: u64, sum: &mut Best) -> bool {
        !sum.any || sum.position > position + (to - from) as u64
    }
}

impl Summary for Registers {
    fn merge(&mut self, later: &Self) {
        self.merge(later);
    }

    fn bytes(&self) -> usize {
        self.bytes()
    }
}

/// Needs the texts: the number of a text is not the same in every engine.
pub(super) struct RegistersOf<'a> {
    pub column: &'a LogColumn,
    pub mask: Mask,
    pub texts: &'a super::interner::Interner,
}

impl Scan for RegistersOf<'_> {
    type Sum = Registers;

    fn scan(&self, run: Run<'_>, from: usize, to: usize, _: u64, sum: &mut Registers) {
        each(kept(run, self.mask, from, to), |index| {
            let identity = self.column.identity(run, index);
            sum.add(if self.column.kind == FieldKind::String {
                sketch::hash_text(self.texts.text(identity as u32))
            } else {
                sketch::hash_word(identity)
            });
        });
    }
}

impl Summary for DecaySum {
    fn merge(&mut self, later: &Self) {
        self.merge(later);
    }
}

pub(super) struct DecayOf<'a> {
    pub column: &'a LogColumn,
    pub mask: Mask,
    pub half_life: i64,
}

impl Scan for DecayOf<'_> {
    type Sum = DecaySum;

    fn scan(&self, run: Run<'_>, from: usize, to: usize, _: u64, sum: &mut DecaySum) {
        each(kept(run, self.mask, from, to), |index| {
            sum.add(self.column.float(run, index), run.times()[index], self.half_life);
        });
    }
}

/// Rank and place of the best of some doubles, of equal ones the first.
#[inline]
fn best<const MAX: bool>(values: &[u64]) -> (i64, usize) {
    let (mut rank, mut place) = (i64::MAX, 0);
    for (index, &bits) in values.iter().enumerate() {
        let found = extreme::order(bits, true, MAX);
        if found < rank {
            (rank, place) = (found, index);
        }
    }
    (rank, place)
}

/// The value by which a tally counts a record.
#[inline]
pub(super) fn counted(plan: &TablePlan, column: usize, buckets: bool, run: Run<'_>, index: usize) -> u64 {
    let column = &plan.columns[column];
    if buckets { column.bucket(run, index) } else { column.identity(run, index) }
}
