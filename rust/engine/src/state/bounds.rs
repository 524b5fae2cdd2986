//! Where the windows of a row begin and end in the log of a key, and what of a log no row to come can see.

use super::answer::Question;
use super::log::Log;
use super::past::Past;
use super::run::Run;
use crate::plan::{self, TablePlan, WindowPlan};
use crate::window::{Bounds, Window};

/// What a window sees.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Inside {
    /// Events of the log.
    pub low: u64,
    pub high: u64,
    /// The same from the first one on that is known, where what has been folded is still in the log.
    pub reach: u64,
    /// The row's own event.
    pub current: bool,
    /// What has left the log, from the slice that begins here on.
    pub past: bool,
    pub begin: i64,
}

/// Ends of the windows of a read.
pub(super) fn insides(question: &Question<'_>, log: Log<'_>, past: Option<&Past>, insides: &mut Vec<Inside>) {
    insides.clear();
    let end = log.upper_bound(question.t);
    // Mostly no other event has the row's time.
    let strict = if end == log.first() || log.time(end - 1) < question.t {
        end
    } else {
        log.upper_bound(question.t.saturating_sub(1))
    };
    let (floor, whole) = visible(question, log, past, end);
    let plain = question.mark.is_none() && question.idle_after.is_none();
    let (first, has_own) = (log.first(), question.newcomer.is_some());
    let mut nested = end;
    for plan in &question.read.windows {
        if let (Some(length), true) = (plan.plain, plain) {
            // The most common windows are those that end with the row, shorter ones first.
            let low = log.upper_bound_below(plan.head, question.t.saturating_sub(length), nested);
            nested = low;
            insides.push(Inside {
                low,
                high: end,
                reach: first,
                current: has_own && plan.current,
                past: false,
                begin: 0,
            });
            continue;
        }
        let newest = if plan.ties { end } else { strict };
        let mut inside = window(question, plan, log, past, newest, question.t);
        match (question.mark, &plan.window) {
            (None, _) => {}
            // It sees nothing that it would not see at the watermark. What is folded cannot be told apart: all before the watermark is in.
            (Some(mark), kind) => {
                let candidates = if plan.ties { mark } else { mark.saturating_sub(1) };
                let at_mark = window(question, plan, log, past, log.upper_bound(candidates), mark);
                if inside.low < at_mark.low && begun_before(question, plan) {
                    (inside.low, inside.current) = (inside.high, false);
                }
                (inside.low, inside.begin) = (inside.low.max(at_mark.low), inside.begin.max(at_mark.begin));
                if matches!(kind, Window::All(_) | Window::Hopping(_)) {
                    inside.high = inside.high.max(log.upper_bound(mark.saturating_sub(1)));
                }
            }
        }
        if inside.low < floor && begun_before(question, plan) {
            // The event that began it has been forgotten.
            (inside.low, inside.current) = (inside.high, false);
        }
        inside.low = inside.low.max(floor).min(inside.high);
        inside.reach = log.first().max(floor);
        inside.past = whole && plan.past != plan::Past::None;
        insides.push(inside);
    }
}

/// Whether a window is one that an earlier event began, not the row's own.
fn begun_before(question: &Question<'_>, plan: &WindowPlan) -> bool {
    let own = question.newcomer.filter(|_| plan.current);
    matches!(plan.window, Window::Since(_)) && own.zip(plan.flag).is_none_or(|(run, flag)| run.flag(flag) & 1 == 0)
}

/// Position of the first event that is not forgotten for idleness, and whether what has been folded is not either.
fn visible(question: &Question<'_>, log: Log<'_>, past: Option<&Past>, end: u64) -> (u64, bool) {
    let Some(idle) = question.idle_after else { return (0, past.is_some()) };
    let mut later = question.t;
    let folded = past.map_or(log.first(), |past| past.folded);
    for position in (folded.min(end)..end).rev() {
        let time = log.time(position);
        if later.saturating_sub(time) > idle {
            return (position + 1, false);
        }
        later = time;
    }
    match past {
        None => (log.first(), false),
        Some(past) if past.newest.is_some_and(|newest| later.saturating_sub(newest) > idle) => (past.folded, false),
        Some(past) => (past.floor, true),
    }
}

/// Ends of one window of a row at `t`; `newest` is the position after its newest candidate in the log.
fn window(
    question: &Question<'_>,
    plan: &WindowPlan,
    log: Log<'_>,
    past: Option<&Past>,
    newest: u64,
    t: i64,
) -> Inside {
    let first = log.first();
    let own = question.newcomer.filter(|_| plan.current);
    let mut inside = Inside { high: newest, current: own.is_some(), ..Inside::default() };
    match plan.window.bounds(t) {
        Bounds::Times { after, until } => {
            if until < t {
                inside.high = newest.min(log.upper_bound(until));
                inside.current = false;
            }
            inside.low = match (plan.past, past) {
                (plan::Past::None, _) => log.upper_bound_near(plan.head, after),
                (plan::Past::All, past) => past.map_or(first, |past| past.folded),
                (plan::Past::Hop(_), past) => log.upper_bound(after).max(past.map_or(first, |past| past.folded)),
            };
            if let Window::Hopping(hopping) = &plan.window {
                inside.begin = hopping.begin(t);
            }
        }
        Bounds::Session { gap } => {
            let goes_on = newest > first && t.saturating_sub(log.time(newest - 1)) <= gap;
            let flag = plan.flag.expect("a session has a flag");
            inside.low = if goes_on { log.last(flag, first, newest).unwrap_or(first) } else { newest };
        }
        Bounds::Last { count } => {
            let logged = count - u64::from(inside.current);
            inside.low = newest.saturating_sub(logged).max(first);
        }
        Bounds::Since => {
            let flag = plan.flag.expect("a condition has a flag");
            let meets = own.is_some_and(|run| run.flag(flag) & 1 == 1);
            match log.last(flag, first, newest) {
                _ if meets => inside.low = newest,
                Some(position) => inside.low = position,
                None => (inside.low, inside.current) = (newest, false),
            }
        }
    }
    inside
}

/// Position of the first event of the log that a row at or after the watermark can see.
pub(super) fn needed_from(plan: &TablePlan, log: Log<'_>, past: Option<&Past>, mark: i64) -> u64 {
    let seen = log.upper_bound(mark.saturating_sub(1));
    let mut from = past.map_or(seen, |past| past.folded).min(seen);
    if plan.reach > 0 {
        from = from.min(log.upper_bound(mark.saturating_sub(plan.reach)));
    }
    if plan.keep_last > 0 {
        from = from.min(seen.saturating_sub(plan.keep_last as u64));
    }
    if plan.moving {
        for read in &plan.reads {
            let question = Question {
                plan,
                read,
                t: mark,
                newcomer: None,
                stores: false,
                mark: None,
                idle_after: None,
                ticks_per_second: 1,
            };
            for window_plan in read.windows.iter().filter(|plan| plan.past == plan::Past::None) {
                let newest = if window_plan.ties { log.upper_bound(mark) } else { seen };
                from = from.min(window(&question, window_plan, log, past, newest, mark).low);
            }
        }
    }
    from.max(past.map_or(0, |past| past.floor)).max(log.first())
}

/// An event of a key, as an explanation shows it.
pub(crate) struct Seen<'a> {
    /// Window of the read.
    pub window: usize,
    pub run: Run<'a>,
    pub index: usize,
    /// False for one that has left the window, or has not entered it.
    pub inside: bool,
}

/// Looks at the events of every window of a read, and at some that have just left it.
pub(super) fn look(question: &Question<'_>, log: Log<'_>, past: Option<&Past>, mut look: impl FnMut(Seen<'_>)) {
    let mut ends = Vec::new();
    insides(question, log, past, &mut ends);
    for (window, inside) in ends.iter().enumerate() {
        let from = inside.low.saturating_sub(LEFT_MAX).max(log.first());
        for (range, is_inside) in [(from..inside.low, false), (inside.low..inside.high, true)] {
            for position in range {
                let (run, index) = log.at(position);
                look(Seen { window, run, index, inside: is_inside });
            }
        }
    }
}

/// How many events that have left a window are shown.
const LEFT_MAX: u64 = 10;
