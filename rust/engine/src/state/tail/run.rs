//! The few events of a key: each window adds those that it has beyond the shorter one.

use super::super::answer::{Question, moments};
use super::super::cells::Cells;
use super::super::lane::{Moments, Scan, each, kept};
use super::super::log::Log;
use super::super::run::{Run, bits};
use super::super::walk::count_of;
use super::{entries, give_best, give_distinct, give_sums};
use crate::aggregate::exact::{self, U256};
use crate::aggregate::extreme;
use crate::definition::FieldKind;
use crate::plan::{Place, TailExtreme, TailMoments};

/// Answers the tail of a run; false where the row is not after all of its events.
pub(in super::super) fn answer(
    question: &Question<'_>,
    run: Run<'_>,
    own: Run<'_>,
    lows: &mut Vec<u32>,
    cells: &mut Cells,
) -> bool {
    let (tail, times) = (&question.read.tail, run.times());
    if times.last().is_some_and(|&newest| newest > question.t) {
        return false;
    }
    lows.clear();
    let mut low = times.len();
    for window in &tail.windows {
        let after = question.t.saturating_sub(window.length);
        while low > 0 && times[low - 1] > after {
            low -= 1;
        }
        lows.push(low as u32);
    }
    let end = times.len();
    for of in &tail.counts {
        let count = end - lows[of.window] as usize + usize::from(tail.windows[of.window].current);
        of.jobs.iter().for_each(|job| count_of(count as u64, job, cells));
    }
    for lane in &tail.masked {
        let (set, own) = (run.flag(lane.flag), own.flag(lane.flag) & 1);
        for of in &lane.of {
            let own = if tail.windows[of.window].current { own } else { 0 };
            let count = (set & bits(lows[of.window] as usize, end)).count_ones() + own;
            of.jobs.iter().for_each(|job| count_of(u64::from(count), job, cells));
        }
    }
    tail.moments.iter().for_each(|lane| sums(question, lane, (run, own), lows, cells));
    tail.extremes.iter().for_each(|lane| extremes(question, lane, (run, own), lows, cells));
    for lane in &tail.distincts {
        let column = &question.plan.columns[lane.column];
        let value = (kept(own, lane.mask, 0, 1) != 0).then(|| column.identity(own, 0));
        let widest = lows[lane.of.last().map_or(0, |of| of.window)] as usize;
        let mut same = 0_u32;
        if let Some(value) = value {
            each(kept(run, lane.mask, widest, end), |index| {
                same |= u32::from(column.identity(run, index) == value) << index;
            });
        }
        for of in &lane.of {
            let inside = bits(lows[of.window] as usize, end);
            let (distinct, met) = ((run.flag(lane.flag) & inside).count_ones(), same & inside != 0);
            let fresh = value.is_some() && !met && tail.windows[of.window].current;
            give_distinct(u64::from(distinct), fresh, value.map(|_| met), &of.jobs, cells);
        }
    }
    entries(question, tail, Log::Run(run), own, |window| u64::from(lows[window]), cells);
    true
}

/// Bits that the values of a run may span so that each is a whole number of 64 bits in the unit of the smallest.
const SPAN_MAX: i32 = 11;

fn sums(question: &Question<'_>, lane: &TailMoments, (run, own): (Run<'_>, Run<'_>), lows: &[u32], cells: &mut Cells) {
    let (tail, column, end) = (&question.read.tail, &question.plan.columns[lane.column], run.len());
    let widest = lows[lane.of.last().map_or(0, |of| of.window)] as usize;
    let is_kept = kept(own, lane.mask, 0, 1) != 0;
    let set = kept(run, lane.mask, widest, end);
    let Place::Word(word) = column.place else { return slowly(question, lane, (run, own), lows, cells) };
    if column.kind != FieldKind::Float64 {
        return slowly(question, lane, (run, own), lows, cells);
    }
    // Exponents as they stand in the bits; zeros have none.
    let values = run.column(word);
    let (mut smallest, mut largest) = (2_047_u64, 0_u64);
    let mut look = |bits: u64| {
        let exponent = bits >> 52 & 0x7FF;
        largest = largest.max(exponent);
        smallest = smallest.min(if bits << 1 == 0 { 2_047 } else { exponent.max(1) });
    };
    let own_value = own.column(word)[0];
    if lane.mask.is_none() {
        values[widest..].iter().for_each(|&bits| look(bits));
    } else {
        each(set, |index| look(values[index]));
    }
    if is_kept {
        look(own_value);
    }
    // Infinities and NaN have the largest exponent there is.
    if largest == 2_047 || largest as i32 - smallest as i32 > SPAN_MAX {
        return slowly(question, lane, (run, own), lows, cells);
    }
    let scale = if smallest == 2_047 { 0 } else { smallest as i32 - 1_075 };
    let mut sums = Sums { scale: smallest as i32, sum: 0, squares: [0; 2], count: 0 };
    let own_value = is_kept.then_some(own_value);
    let mut high = end;
    for of in &lane.of {
        let low = lows[of.window] as usize;
        if lane.mask.is_none() {
            values[low..high].iter().for_each(|&bits| sums.add(bits));
        } else {
            each(set & bits(low, high), |index| sums.add(values[index]));
        }
        high = low;
        let mut whole = sums;
        if let Some(value) = own_value.filter(|_| tail.windows[of.window].current) {
            whole.add(value);
        }
        let squares =
            if lane.squares { U256::from_halves(whole.squares[0], whole.squares[1]) } else { U256::default() };
        let sum = exact::Moments { sum: whole.sum, squares };
        give_sums(whole.count, scale, &sum, &of.jobs, cells);
    }
}

/// Sums of doubles within a span.
#[derive(Clone, Copy)]
struct Sums {
    /// The smallest exponent as it stands in the bits.
    scale: i32,
    sum: i128,
    squares: [u128; 2],
    count: u64,
}

impl Sums {
    #[inline]
    fn add(&mut self, bits: u64) {
        let exponent = (bits >> 52 & 0x7FF) as i32;
        let mantissa = bits & ((1 << 52) - 1) | u64::from(exponent != 0) << 52;
        // Zero may have a negative shift, which means nothing.
        let magnitude = mantissa << ((exponent.max(1) - self.scale) & 63);
        let sign = -i128::from(bits >> 63);
        self.sum += (i128::from(magnitude) ^ sign) - sign;
        let (low, carry) = self.squares[0].overflowing_add(u128::from(magnitude) * u128::from(magnitude));
        self.squares[0] = low;
        self.squares[1] += u128::from(carry);
        self.count += 1;
    }
}

/// The same for values of any kind and size.
fn slowly(
    question: &Question<'_>,
    lane: &TailMoments,
    (run, own): (Run<'_>, Run<'_>),
    lows: &[u32],
    cells: &mut Cells,
) {
    let scan = Moments { column: &question.plan.columns[lane.column], mask: lane.mask, squares: lane.squares };
    let mut sum = scan.begin(Some(own));
    let mut high = run.len();
    for of in &lane.of {
        let low = lows[of.window] as usize;
        if low < high {
            scan.scan(run, low, high, 0, &mut sum);
        }
        high = low;
        let mut whole = sum.clone();
        if question.read.tail.windows[of.window].current {
            scan.scan(own, 0, 1, 0, &mut whole);
        }
        moments(&whole, &of.jobs, cells);
    }
}

fn extremes(
    question: &Question<'_>,
    lane: &TailExtreme,
    (run, own): (Run<'_>, Run<'_>),
    lows: &[u32],
    cells: &mut Cells,
) {
    let column = &question.plan.columns[lane.column];
    let float = column.kind == FieldKind::Float64;
    let own_rank = (kept(own, lane.mask, 0, 1) != 0).then(|| extreme::order(column.load(own, 0), float, lane.max));
    let (mut rank, mut any, mut high) = (i64::MAX, false, run.len());
    for of in &lane.of {
        let low = lows[of.window] as usize;
        match (column.place, lane.mask) {
            (Place::Word(word), None) if float => {
                let values = &run.column(word)[low..high];
                rank = rank.min(if lane.max { best::<true>(values) } else { best::<false>(values) });
                any |= low < high;
            }
            _ => each(kept(run, lane.mask, low, high), |index| {
                rank = rank.min(extreme::order(column.load(run, index), float, lane.max));
                any = true;
            }),
        }
        high = low;
        let own_rank = own_rank.filter(|_| question.read.tail.windows[of.window].current);
        let whole = own_rank.map(|own| own.min(rank)).or(any.then_some(rank));
        give_best(whole, &of.jobs, (column.kind, lane.max), cells);
    }
}

#[inline]
fn best<const MAX: bool>(values: &[u64]) -> i64 {
    values.iter().fold(i64::MAX, |rank, &bits| rank.min(extreme::order(bits, true, MAX)))
}
