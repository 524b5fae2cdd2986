//! What the state of a table in one plan gives to the table that stands for it in another: all that the other needs, or nothing.

use super::signs::{Sign, sign};
use super::{LanePlan, Mask, PartPlan, Past, Place, Plan, TablePlan, WindowPlan};
use crate::window::Window;

/// Where the parts of a table lie in an older table of the same events and key.
#[derive(Debug)]
pub(crate) struct Selection {
    /// By column: that of the older table.
    pub columns: Vec<usize>,
    /// By mask.
    pub masks: Vec<usize>,
    /// Whether keys have something beside their log.
    pub past: bool,
    /// By part for all time, and by hopping window.
    pub all: Vec<ChosenPart>,
    pub hops: Vec<ChosenHop>,
    /// Whether keys leave as they did.
    pub leaves_alike: bool,
    /// Whether it is the whole of the older table.
    pub whole: bool,
}

/// A part of the past.
#[derive(Debug)]
pub(crate) struct ChosenPart {
    /// Its place in the older table.
    pub place: usize,
    /// Its lane there, and how deep it is to be.
    pub plan: PartPlan,
}

/// A hopping window of the past.
#[derive(Debug)]
pub(crate) struct ChosenHop {
    pub place: usize,
    pub parts: Vec<ChosenPart>,
}

impl Plan {
    /// The table that stands for a table of a newer plan.
    pub(crate) fn older(&self, newer: &TablePlan) -> Option<usize> {
        self.tables.iter().position(|table| table.signs.key == newer.signs.key)
    }

    fn name_of(&self, stream: usize) -> &str {
        &self.streams[stream].schema.stream
    }

    /// The column that orders a stream.
    pub(crate) fn time_of(&self, name: &str) -> Option<&str> {
        let schema = &self.streams[self.stream(name)?].schema;
        Some(&schema.fields[schema.time_column].name)
    }

    /// How far out of order events of a stream may come; `None` where there is no such stream.
    fn lateness_of(&self, name: &str) -> Option<i64> {
        self.stream(name).map(|stream| self.streams[stream].lateness)
    }
}

impl Selection {
    /// `None` where the older state does not have all that the newer table has to know. `idle_after` is that of the engine, in ticks.
    pub fn of(old_plan: &Plan, old: &TablePlan, plan: &Plan, new: &TablePlan, idle_after: Option<i64>) -> Option<Self> {
        if old_plan.ticks_per_second != plan.ticks_per_second || !retained(old_plan, old, plan, new) {
            return None;
        }
        // What has been forgotten for idleness is not to be missed by who forgets nothing.
        let forgets = |table: &TablePlan| table.forever && idle_after.is_some();
        if forgets(old) && !forgets(new) && idle_after.is_some_and(|idle| idle < new.linger) {
            return None;
        }
        let place = |all: &[Sign], wanted: &Sign| all.iter().position(|sign| sign == wanted);
        let columns: Vec<usize> =
            new.signs.columns.iter().map(|sign| place(&old.signs.columns, sign)).collect::<Option<_>>()?;
        let is_time = |table: &TablePlan, column: usize| table.columns[column].place == Place::Word(0);
        if columns.iter().enumerate().any(|(column, &older)| is_time(new, column) != is_time(old, older)) {
            return None;
        }
        let masks: Vec<usize> =
            new.signs.masks.iter().map(|sign| place(&old.signs.masks, sign)).collect::<Option<_>>()?;
        let all = parts(old, &old.all, new, &new.all)?;
        let hops = new.hops.iter().map(|hop| {
            let place = old.hops.iter().position(|older| older.window == hop.window)?;
            Some(ChosenHop { place, parts: parts(old, &old.hops[place].parts, new, &hop.parts)? })
        });
        let hops: Vec<ChosenHop> = hops.collect::<Option<_>>()?;
        let leaves_alike = (old.linger, old.forever) == (new.linger, new.forever);
        let whole = leaves_alike
            && old.columns.len() == columns.len()
            && old.signs.masks.len() == masks.len()
            && old.all.len() == all.len()
            && old.hops.len() == hops.len()
            && (old.reach, old.keep_last, old.moving) == (new.reach, new.keep_last, new.moving);
        Some(Self { columns, masks, past: new.has_past() || forgets(new), all, hops, leaves_alike, whole })
    }
}

/// Whether every event that a row to come can see by the newer plan is there by the older one.
fn retained(old_plan: &Plan, old: &TablePlan, plan: &Plan, new: &TablePlan) -> bool {
    let readers = |plan: &Plan, table: &TablePlan| -> Vec<String> {
        let foreign = table.readers.iter().filter(|&&reader| reader != table.stream);
        foreign.map(|&reader| plan.name_of(reader).to_owned()).collect()
    };
    let known = readers(old_plan, old);
    let streams = readers(plan, new);
    let in_time = |name: &str| {
        plan.time_of(name) == old_plan.time_of(name) && plan.lateness_of(name) <= old_plan.lateness_of(name)
    };
    streams.iter().all(|name| known.contains(name) && in_time(name))
        && in_time(plan.name_of(new.stream))
        && new.reach <= old.reach
        && new.linger <= old.linger
        && new.keep_last <= old.keep_last
        && (old.forever || !new.forever)
        && (!new.moving || windows(new).all(|wanted| windows(old).any(|kept| holds(old, kept, new, wanted))))
}

/// Windows whose events are in the log, and that more than time bounds.
fn windows(table: &TablePlan) -> impl Iterator<Item = &WindowPlan> {
    let all = table.reads.iter().flat_map(|read| &read.windows).filter(|window| window.past == Past::None);
    all.filter(|window| matches!(window.window, Window::Session(_) | Window::Last(_) | Window::Since(_)))
}

/// Whether what one window keeps is enough for another.
fn holds(old: &TablePlan, kept: &WindowPlan, new: &TablePlan, wanted: &WindowPlan) -> bool {
    // Those without ties look back from an earlier event.
    let alike = kept.ties == wanted.ties;
    alike
        && match (&kept.window, &wanted.window) {
            (Window::Session(kept), Window::Session(wanted)) => kept == wanted,
            (Window::Last(kept), Window::Last(wanted)) => kept.count >= wanted.count,
            (Window::Since(_), Window::Since(_)) => {
                let condition = |table: &TablePlan, window: &WindowPlan| {
                    window.flag.and_then(|flag| table.signs.masks.get(flag).copied())
                };
                condition(old, kept) == condition(new, wanted)
            }
            _ => false,
        }
}

fn parts(old: &TablePlan, older: &[PartPlan], new: &TablePlan, wanted: &[PartPlan]) -> Option<Vec<ChosenPart>> {
    let of = |wanted: &PartPlan| {
        let lane = lane(new, wanted.lane);
        let fits = |part: &&PartPlan| {
            self::lane(old, part.lane) == lane
                && part.depth >= wanted.depth
                && squares(old, part.lane) >= squares(new, wanted.lane)
        };
        let place = older.iter().position(|part| fits(&part))?;
        Some(ChosenPart { place, plan: PartPlan { lane: older[place].lane, depth: wanted.depth } })
    };
    wanted.iter().map(of).collect()
}

fn squares(table: &TablePlan, lane: usize) -> bool {
    matches!(table.lanes[lane], LanePlan::Moments { squares: true, .. })
}

/// What a lane is, also in another plan.
fn lane(table: &TablePlan, lane: usize) -> Sign {
    let column = |column: usize| table.signs.columns[column];
    let mask = |mask: Mask| mask.map_or(0, |mask| table.signs.masks[mask]);
    match table.lanes[lane] {
        LanePlan::Count { mask: m } => sign("count", &[mask(m)]),
        LanePlan::Moments { column: c, mask: m, .. } => sign("moments", &[column(c), mask(m)]),
        LanePlan::Higher { column: c, mask: m } => sign("higher", &[column(c), mask(m)]),
        LanePlan::Pair { x, y, mask: m } => sign("pair", &[column(x), column(y), mask(m)]),
        LanePlan::Slope { column: c, mask: m } => sign("slope", &[column(c), mask(m)]),
        LanePlan::Extreme { column: c, mask: m, max, beside } => {
            sign(&format!("extreme {max} {}", beside.is_some()), &[column(c), mask(m), beside.map_or(0, column)])
        }
        LanePlan::Distinct { column: c, mask: m, .. } => sign("distinct", &[column(c), mask(m)]),
        LanePlan::Rank { column: c, mask: m } => sign("rank", &[column(c), mask(m)]),
        LanePlan::Tally { column: c, mask: m, buckets } => sign(&format!("tally {buckets}"), &[column(c), mask(m)]),
        LanePlan::Registers { column: c, mask: m } => sign("registers", &[column(c), mask(m)]),
        LanePlan::Decay { column: c, mask: m, half_life } => sign(&format!("decay {half_life}"), &[column(c), mask(m)]),
        LanePlan::Entry { column: c, mask: m } => {
            sign(&format!("entry {}", c.is_some()), &[c.map_or(0, column), mask(m)])
        }
    }
}
