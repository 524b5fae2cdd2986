//! Where things lie: the words of a record, the lanes of a read, the words of a view.

use std::sync::Arc;

use super::compile::{StreamBuild, node_text};
use super::expression::{Node, Scope};
use super::{
    CountJob, CountLane, DistinctLane, EntryJob, EntryLane, ExtremeLane, LogColumn, Mask, MaskPlan, MomentJob,
    MomentLane, Place, ReadPlan, StreamPlan, TablePlan, Target, Which, WindowPlan,
};
use crate::aggregate::{Entry, Lane, Moment};
use crate::definition::FieldKind;
use crate::key::KeyPart;

/// A table while features are still adding to it.
#[derive(Default)]
pub(super) struct TableBuild {
    pub name: String,
    pub stream: usize,
    pub key: Vec<Node>,
    pub readers: Vec<usize>,
    pub features: Vec<String>,
    pub columns: Vec<Column>,
    pub masks: Vec<(Option<Node>, Option<Node>)>,
}

pub(super) struct Column {
    node: Node,
    slot: usize,
    kind: FieldKind,
    time: bool,
}

/// A read while features are still adding to it.
pub(super) struct ReadBuild {
    pub table: usize,
    pub view: usize,
    pub own: bool,
    pub key: Vec<Node>,
    pub items: Vec<Item>,
}

/// One aggregation over one window.
pub(super) struct Item {
    pub lane: Lane,
    pub column: Option<usize>,
    pub mask: Mask,
    pub window: WindowPlan,
    pub depth: usize,
    pub result: usize,
}

impl TableBuild {
    /// The flag that says whether an aggregation counts an event; `None` when it counts all.
    pub fn mask(&mut self, scope: &Scope, value: Option<Node>, condition: Option<Node>) -> Mask {
        let value = value.filter(|&node| scope.ty(node).nullable);
        if value.is_none() && condition.is_none() {
            return None;
        }
        let mask = (value, condition);
        Some(self.masks.iter().position(|other| *other == mask).unwrap_or_else(|| {
            self.masks.push(mask);
            self.masks.len() - 1
        }))
    }

    /// The column of the log that holds a value.
    pub fn column(&mut self, scope: &Scope, node: Node, time_column: usize) -> usize {
        self.columns.iter().position(|column| column.node == node).unwrap_or_else(|| {
            let slot = scope.event_slot(node).expect("what is aggregated is known from the event");
            self.columns.push(Column { node, slot, kind: scope.ty(node).kind, time: node == time_column });
            self.columns.len() - 1
        })
    }
}

/// Layout of a table's records.
pub(super) struct Record {
    columns: Vec<LogColumn>,
    masks: Vec<MaskPlan>,
    distincts: Vec<(usize, Mask)>,
    words: usize,
}

/// Time first, then numbers, then halves, then flags from the end.
pub(super) fn record(index: usize, table: &TableBuild, streams: &[StreamBuild]) -> Record {
    let stream = &streams[table.stream];
    let halved = |kind| matches!(kind, FieldKind::String | FieldKind::Categorical | FieldKind::Boolean);
    let numbers = table.columns.iter().filter(|column| !column.time && !halved(column.kind)).count();
    let (mut word, mut half) = (1, 2 * (1 + numbers));
    let columns = table.columns.iter().map(|column| {
        let place = if column.time {
            Place::Word(0)
        } else if halved(column.kind) {
            half += 1;
            Place::Half(half - 1)
        } else {
            word += 1;
            Place::Word(word - 1)
        };
        LogColumn { slot: column.slot, kind: column.kind, place, text: node_text(stream, column.node) }
    });
    let columns: Vec<_> = columns.collect();
    let masks: Vec<_> = table
        .masks
        .iter()
        .map(|&(valid, condition)| {
            let slot = |node: Option<Node>| node.and_then(|node| stream.scope.event_slot(node));
            let words = [
                condition.map(|node| format!("where {}", node_text(stream, node))),
                valid.map(|node| format!("{} is not null", node_text(stream, node))),
            ];
            let text = words.into_iter().flatten().collect::<Vec<_>>().join(" and ");
            MaskPlan { valid: slot(valid), condition: slot(condition), text }
        })
        .collect();
    // Distinct counts of every reader come first, so that their flags have places before reads are laid out.
    let mut distincts = Vec::new();
    for read in streams.iter().flat_map(|stream| &stream.reads).filter(|read| read.table == index) {
        for item in read.items.iter().filter(|item| item.lane == Lane::Distinct) {
            if let Some(column) = item.column
                && !distincts.contains(&(column, item.mask))
            {
                distincts.push((column, item.mask));
            }
        }
    }
    let flags = masks.len() + distincts.len();
    let words = (half * 32 + flags).div_ceil(64);
    Record { columns, masks, distincts, words }
}

/// The finished read: windows in order, and under each lane those windows that need it.
pub(super) fn read(build: &ReadBuild, key: Vec<KeyPart>, record: &Record, targets: &[Target]) -> ReadPlan {
    let mut windows: Vec<WindowPlan> = Vec::new();
    for item in &build.items {
        if !windows.contains(&item.window) {
            windows.push(item.window);
        }
    }
    windows.sort_by_key(|plan| (plan.window.order(), plan.current));
    let mut plan = ReadPlan {
        table: build.table,
        view: build.view,
        own: build.own,
        key,
        windows,
        counts: Vec::new(),
        moments: Vec::new(),
        extremes: Vec::new(),
        distincts: Vec::new(),
        entries: Vec::new(),
        view_words: 0,
    };
    for item in &build.items {
        let window = plan.windows.iter().position(|window| *window == item.window).unwrap_or_default();
        add(&mut plan, item, window, record, targets[item.result]);
    }
    // Lanes walk their windows from the shortest to the longest.
    plan.counts.iter_mut().for_each(|lane| lane.windows.sort_by_key(|job| job.window));
    plan.moments.iter_mut().for_each(|lane| lane.windows.sort_by_key(|job| job.window));
    plan.extremes.iter_mut().for_each(|lane| lane.windows.sort_by_key(|&(window, _)| window));
    plan.distincts.iter_mut().for_each(|lane| lane.windows.sort_by_key(|job| job.window));
    for lane in &mut plan.entries {
        let all_time = |job: &EntryJob| plan.windows[job.window].window.reach().is_none();
        lane.forever = lane.jobs.iter().any(|job| all_time(job) && (lane.mask.is_some() || job.which == Which::First));
    }
    place(&mut plan);
    plan
}

fn add(plan: &mut ReadPlan, item: &Item, window: usize, record: &Record, target: Target) {
    let (column, mask) = (item.column, item.mask);
    let count = CountJob { window, word: 0, target };
    match item.lane {
        Lane::Count => {
            let lane = find(&mut plan.counts, |lane| lane.mask == mask, || CountLane { mask, windows: Vec::new() });
            lane.windows.push(count);
        }
        Lane::Distinct => {
            let column = column.expect("a distinct count has a column");
            let index = record.distincts.iter().position(|distinct| *distinct == (column, mask)).unwrap_or_default();
            let flag = record.masks.len() + index;
            let lane = find(
                &mut plan.distincts,
                |lane| (lane.column, lane.mask) == (column, mask),
                || DistinctLane { column, mask, flag, windows: Vec::new() },
            );
            lane.windows.push(count);
        }
        Lane::Extreme { max } => {
            let column = column.expect("an extreme has a column");
            let lane = find(
                &mut plan.extremes,
                |lane| (lane.column, lane.mask, lane.max) == (column, mask, max),
                || ExtremeLane { column, mask, max, windows: Vec::new() },
            );
            lane.windows.push((window, target));
        }
        Lane::Moment(moment) => {
            let column = column.expect("a moment has a column");
            let lane = find(
                &mut plan.moments,
                |lane| (lane.column, lane.mask) == (column, mask),
                || MomentLane { column, mask, squares: false, word: 0, windows: Vec::new() },
            );
            lane.squares |= matches!(moment, Moment::Var | Moment::Std);
            let empty = || MomentJob { window, word: 0, sum: None, mean: None, var: None, std: None };
            let job = find(&mut lane.windows, |job| job.window == window, empty);
            *match moment {
                Moment::Sum => &mut job.sum,
                Moment::Mean => &mut job.mean,
                Moment::Var => &mut job.var,
                Moment::Std => &mut job.std,
            } = Some(target);
        }
        Lane::Entry(entry) => {
            let which = match entry {
                Entry::First => Which::First,
                Entry::Last => Which::Last,
                Entry::Lag => Which::Lag(item.depth),
                Entry::SinceLast => Which::SinceLast,
            };
            let lane = find(
                &mut plan.entries,
                |lane| (lane.column, lane.mask) == (column, mask),
                || EntryLane { column, mask, depth: 1, forever: false, jobs: Vec::new() },
            );
            lane.depth = lane.depth.max(item.depth);
            lane.jobs.push(EntryJob { window, which, target });
        }
    }
}

/// The lane that is there, or a new one.
fn find<T>(lanes: &mut Vec<T>, is: impl Fn(&T) -> bool, make: impl FnOnce() -> T) -> &mut T {
    let index = lanes.iter().position(is).unwrap_or_else(|| {
        lanes.push(make());
        lanes.len() - 1
    });
    &mut lanes[index]
}

/// Gives each running count and sum its words in a view.
fn place(plan: &mut ReadPlan) {
    let mut next = 0;
    let mut take = |words: usize| {
        next += words;
        next - words
    };
    for lane in &mut plan.moments {
        lane.word = take(1);
        for job in &mut lane.windows {
            // Count, sum (2), sum of squares (4).
            job.word = take(if lane.squares { 7 } else { 3 });
        }
    }
    for job in plan.counts.iter_mut().filter(|lane| lane.mask.is_some()).flat_map(|lane| &mut lane.windows) {
        job.word = take(1);
    }
    for job in plan.distincts.iter_mut().flat_map(|lane| &mut lane.windows) {
        job.word = take(1);
    }
    plan.view_words = next;
}

/// The finished tables, once every read of them is known.
pub(super) fn tables(
    builds: Vec<TableBuild>,
    records: Vec<Record>,
    streams: &[StreamBuild],
    finished: &[StreamPlan],
) -> Vec<TablePlan> {
    let finish = |(index, (build, record)): (usize, (TableBuild, Record))| {
        let mut table = TablePlan {
            name: build.name,
            stream: build.stream,
            key: build.key.iter().map(|&node| node_text(&streams[build.stream], node)).collect(),
            reads: vec![],
            readers: build.readers,
            record_words: record.words,
            pinned: vec![false; record.columns.len()],
            columns: record.columns,
            masks: record.masks,
            reach: 0,
            keep_last: 0,
            always_rich: false,
            features: build.features,
        };
        for read in finished.iter().flat_map(|stream| &stream.reads).filter(|read| read.table == index) {
            retain(&mut table, read);
            table.reads.push(Arc::clone(read));
        }
        table.reads.sort_by_key(|read| read.view);
        table
    };
    builds.into_iter().zip(records).enumerate().map(finish).collect()
}

/// What the table must keep so that this read can be answered.
fn retain(table: &mut TablePlan, read: &ReadPlan) {
    let forever = |window: usize| read.windows[window].window.reach().is_none();
    for plan in &read.windows {
        table.reach = table.reach.max(plan.window.reach().unwrap_or(0));
    }
    table.always_rich |= read.counts.iter().any(|lane| lane.windows.iter().any(|job| forever(job.window)))
        || read.moments.iter().any(|lane| lane.windows.iter().any(|job| forever(job.window)))
        || read.extremes.iter().any(|lane| lane.windows.iter().any(|&(window, _)| forever(window)));
    for lane in read.distincts.iter().filter(|lane| lane.windows.iter().any(|job| forever(job.window))) {
        table.always_rich = true;
        table.pinned[lane.column] = true;
    }
    for lane in &read.entries {
        table.always_rich |= lane.forever;
        if let (true, Some(column)) = (lane.forever, lane.column) {
            table.pinned[column] = true;
        }
        for job in lane.jobs.iter().filter(|job| forever(job.window)) {
            let depth = if let Which::Lag(n) = job.which { n } else { 1 };
            table.keep_last = table.keep_last.max(if lane.mask.is_none() { depth } else { 0 });
        }
    }
}
