//! Exact quantiles: of few values by sorting them, of a busy key by their ranks.

use super::answer::Question;
use super::bounds::Inside;
use super::busy::Kept;
use super::cells::Cells;
use super::lane::{each, kept};
use super::log::Log;
use crate::aggregate::What;
use crate::plan::{LogColumn, ReadLane};

/// Exact quantiles: of few values by sorting them, of a busy key by their ranks.
pub(super) fn answer(
    question: &Question<'_>,
    lane: &ReadLane,
    log: Log<'_>,
    (column, mask): (&LogColumn, Option<usize>),
    insides: &[Inside],
    floats: &mut Vec<f64>,
    cells: &mut Cells,
) {
    let own = question.newcomer.filter(|run| kept(*run, mask, 0, 1) != 0).map(|run| column.float(run, 0));
    for jobs in lane.jobs.chunk_by(|a, b| a.window == b.window) {
        let inside = insides[jobs[0].window];
        let own = own.filter(|_| inside.current);
        floats.clear();
        let ranks = match log {
            Log::Busy(busy) if inside.high - inside.low > 64 => match busy.lane(lane.lane) {
                Kept::Rank(ranks) => Some(ranks),
                _ => unreachable!("what is kept is of the kind of its lane"),
            },
            _ => {
                log.stretches(inside.low, inside.high, |run, from, to, _| {
                    each(kept(run, mask, from, to), |index| floats.push(column.float(run, index)));
                });
                floats.extend(own);
                None
            }
        };
        let (low, high) = (inside.low, inside.high);
        let (nan, logged) = match ranks {
            Some(ranks) => (ranks.has_nan(low, high) || own.is_some_and(f64::is_nan), ranks.count(low, high)),
            None => {
                let nan = floats.iter().any(|x| x.is_nan());
                floats.sort_unstable_by(f64::total_cmp);
                (nan, floats.len() as u64)
            }
        };
        let count = if ranks.is_some() { logged + u64::from(own.is_some()) } else { logged };
        // The n-th of the log and the row's own value together.
        let nth = |n: u64| match (ranks, own) {
            (None, _) => floats[n as usize],
            (Some(ranks), None) => ranks.nth(low, high, n).expect("fewer than there are"),
            (Some(ranks), Some(own)) => {
                let below = n.checked_sub(1).and_then(|n| ranks.nth(low, high, n));
                let here = ranks.nth(low, high, n);
                match (below, here) {
                    (Some(below), _) if own.total_cmp(&below).is_lt() => below,
                    (_, Some(here)) if here.total_cmp(&own).is_lt() => here,
                    _ => own,
                }
            }
        };
        for job in jobs {
            let What::Quantile(q) = job.what else { unreachable!("another lane answers this") };
            match count {
                0 => cells.null(job.target),
                _ if nan => cells.float(job.target, f64::NAN),
                count => cells.float(job.target, interpolated(q, count, nth)),
            }
        }
    }
}

/// NumPy's default method, `linear`, in its own arithmetic.
fn interpolated(q: f64, count: u64, nth: impl Fn(u64) -> f64) -> f64 {
    let place = q * (count - 1) as f64;
    let (below, share) = (place.floor(), place - place.floor());
    let low = nth(below as u64);
    if share == 0.0 {
        return low;
    }
    let high = nth((below as u64 + 1).min(count - 1));
    if low == high {
        return low;
    }
    if low.is_infinite() || high.is_infinite() {
        // Towards an infinity it is that infinity, between the two nothing is known.
        return low + high;
    }
    let difference = high - low;
    if difference.is_infinite() {
        return low * (1.0 - share) + high * share;
    }
    if share < 0.5 { low + difference * share } else { high - difference * (1.0 - share) }
}
