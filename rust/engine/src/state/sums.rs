//! Running sums in the words of a view.

use crate::aggregate::exact::{self, Moments, U256};
use crate::definition::FieldKind;
use crate::plan::{LogColumn, MomentJob};

/// A scale to compute with: where none is set all sums are zero, in any unit.
pub(crate) fn settled(scale: i32) -> i32 {
    if scale == exact::UNSET { 0 } else { scale }
}

/// A record's value in the lane's unit, and its square where one is asked for.
#[inline]
pub(crate) fn whole(column: &LogColumn, record: &[u64], scale: i32, squares: bool) -> Option<(i128, U256)> {
    let payload = column.load(record);
    let value = match column.kind {
        FieldKind::Float64 => {
            let x = f64::from_bits(payload);
            if !x.is_finite() || scale == exact::UNSET && x != 0.0 {
                return None;
            }
            exact::fixed(x, settled(scale))?
        }
        _ => i128::from(payload as i64),
    };
    Some((value, if squares { U256::square(value) } else { U256::default() }))
}

/// Layout of a job's words: count, sum (2), sum of squares (4).
#[inline]
pub(crate) fn load(words: &[u64], job: &MomentJob, squares: bool) -> Moments {
    let words = &words[job.word + 1..];
    let sum = (u128::from(words[0]) | u128::from(words[1]) << 64) as i128;
    let squares = if squares { U256([words[2], words[3], words[4], words[5]]) } else { U256::default() };
    Moments { sum, squares }
}

#[inline]
pub(crate) fn store(words: &mut [u64], job: &MomentJob, squares: bool, moments: &Moments) {
    let words = &mut words[job.word + 1..];
    words[0] = moments.sum as u64;
    words[1] = (moments.sum as u128 >> 64) as u64;
    if squares {
        words[2..6].copy_from_slice(&moments.squares.0);
    }
}
