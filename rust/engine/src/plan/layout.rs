//! Where things lie: the columns and flags of a record, the lanes of a table, what a read asks of them.

use std::sync::Arc;

use super::compile::StreamBuild;
use super::expression::{Node, Scope};
use super::rows::node_text;
use super::signs::{Sign, TableSigns, sign};
use super::{
    ColumnIndex, FOLLOWS, FlagPlan, HopPlan, Job, LanePlan, LogColumn, Mask, PartPlan, Past, Place, ReadLane, ReadPlan,
    Shape, StreamPlan, TablePlan, TailPlan, Target, UNFOLLOWED, WindowPlan,
};
use crate::aggregate::What;
use crate::definition::{Closed, FieldKind, OnLate};
use crate::key::KeyPart;
use crate::window::Window;

/// A table while features are still adding to it.
#[derive(Default)]
pub(super) struct TableBuild {
    pub name: String,
    pub stream: usize,
    /// After which change of the definition it began.
    pub generation: u32,
    pub key: Vec<Node>,
    pub readers: Vec<usize>,
    pub features: Vec<String>,
    pub columns: Vec<Column>,
    pub masks: Vec<(Vec<Node>, Option<Node>)>,
    pub gaps: Vec<i64>,
    pub lanes: Vec<LanePlan>,
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
    pub own: bool,
    pub key: Vec<Node>,
    pub items: Vec<Item>,
}

/// One aggregation over one window.
pub(super) struct Item {
    pub lane: usize,
    pub window: WindowPlan,
    /// The mask of `since`, the gap of a session: flags have no numbers yet.
    pub flag: FlagBuild,
    pub what: What,
    pub result: usize,
}

/// What will be the flag of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FlagBuild {
    None,
    Mask(usize),
    Gap(usize),
}

impl TableBuild {
    /// The flag that says whether an aggregation counts an event; `None` when it counts all.
    pub fn mask(&mut self, scope: &Scope, values: &[Node], condition: Option<Node>) -> Mask {
        let mut valid: Vec<Node> = values.iter().copied().filter(|&node| scope.ty(node).nullable).collect();
        valid.sort_unstable();
        valid.dedup();
        if valid.is_empty() && condition.is_none() {
            return None;
        }
        Some(position(&mut self.masks, (valid, condition)))
    }

    /// The flag that says where sessions begin.
    pub fn gap(&mut self, gap: i64) -> usize {
        position(&mut self.gaps, gap)
    }

    /// The column of the log that holds a value.
    pub fn column(&mut self, scope: &Scope, node: Node, time_column: usize) -> ColumnIndex {
        self.columns.iter().position(|column| column.node == node).unwrap_or_else(|| {
            let slot = scope.event_slot(node).expect("what is aggregated is known from the event");
            self.columns.push(Column { node, slot, kind: scope.ty(node).kind, time: node == time_column });
            self.columns.len() - 1
        })
    }

    /// The lane that answers, made when it is not there; a sum shares that of a variance.
    pub fn lane(&mut self, wanted: LanePlan) -> usize {
        if let LanePlan::Moments { column, mask, squares } = wanted {
            let same = |lane: &LanePlan| matches!(lane, LanePlan::Moments { column: c, mask: m, .. } if (*c, *m) == (column, mask));
            if let Some(lane) = self.lanes.iter().position(same) {
                if squares {
                    self.lanes[lane] = wanted;
                }
                return lane;
            }
        }
        position(&mut self.lanes, wanted)
    }
}

/// Where a thing stands, at the end when it was not there.
fn position<T: PartialEq>(things: &mut Vec<T>, wanted: T) -> usize {
    things.iter().position(|thing| *thing == wanted).unwrap_or_else(|| {
        things.push(wanted);
        things.len() - 1
    })
}

/// Layout of a table's records, and its lanes.
pub(super) struct Record {
    shape: Shape,
    columns: Vec<LogColumn>,
    flags: Vec<FlagPlan>,
    pub lanes: Vec<LanePlan>,
    masks: usize,
    signs: TableSigns,
}

impl Record {
    fn flag(&self, flag: FlagBuild) -> Option<usize> {
        match flag {
            FlagBuild::None => None,
            FlagBuild::Mask(mask) => Some(mask),
            FlagBuild::Gap(gap) => Some(self.masks + gap),
        }
    }
}

/// Time first, then numbers; texts, codes and Booleans take half a word; then the flags.
pub(super) fn record(index: usize, table: &TableBuild, streams: &[StreamBuild]) -> Record {
    let stream = &streams[table.stream];
    let halved = |kind| matches!(kind, FieldKind::String | FieldKind::Categorical | FieldKind::Boolean);
    let mut shape = Shape { words: 1, halves: 0, flags: 0 };
    let columns = table.columns.iter().map(|column| {
        let place = if column.time {
            Place::Word(0)
        } else if halved(column.kind) {
            shape.halves += 1;
            Place::Half(shape.halves - 1)
        } else {
            shape.words += 1;
            Place::Word(shape.words - 1)
        };
        LogColumn { slot: column.slot, kind: column.kind, place, text: node_text(stream, column.node) }
    });
    let columns: Vec<_> = columns.collect();
    let masks = table.masks.iter().map(|(valid, condition)| {
        let slot = |node: &Node| stream.scope.event_slot(*node).expect("a mask is known from the event");
        let condition_text = condition.map(|node| format!("where {}", node_text(stream, node)));
        let valid_text = valid.iter().map(|&node| format!("{} is not null", node_text(stream, node)));
        let text = condition_text.into_iter().chain(valid_text).collect::<Vec<_>>().join(" and ");
        FlagPlan::Mask { valid: valid.iter().map(slot).collect(), condition: condition.as_ref().map(slot), text }
    });
    let mut flags: Vec<_> = masks.collect();
    flags.extend(table.gaps.iter().map(|&gap| FlagPlan::Session { gap }));
    let links = looks_back(index, table, streams);
    let mut lanes = table.lanes.clone();
    for (number, lane) in lanes.iter_mut().enumerate() {
        if let LanePlan::Distinct { flag, previous, .. } = lane {
            *flag = flags.len();
            flags.push(FlagPlan::Newest { lane: number });
            *previous = links.then_some(shape.halves);
            shape.halves += usize::from(links);
        }
    }
    shape.flags = flags.len();
    Record { shape, columns, flags, lanes, masks: table.masks.len(), signs: signs(table, stream) }
}

/// What a table and its parts are, also in another plan.
fn signs(table: &TableBuild, stream: &StreamBuild) -> TableSigns {
    let of = |nodes: &[Node]| nodes.iter().map(|&node| stream.scope.nodes[node].sign).collect::<Vec<Sign>>();
    let masks = table.masks.iter().map(|(valid, condition)| {
        let mut valid = of(valid);
        valid.sort_unstable();
        sign("mask", &[sign("valid", &valid), sign("condition", &of(condition.as_slice()))])
    });
    TableSigns {
        key: sign(&format!("{} {}", stream.schema.stream, table.generation), &of(&table.key)),
        columns: table.columns.iter().map(|column| stream.scope.nodes[column.node].sign).collect(),
        masks: masks.collect(),
    }
}

/// Whether a row may see less than the newest event of a key: then distinct counts need to know what came before what.
fn looks_back(index: usize, table: &TableBuild, streams: &[StreamBuild]) -> bool {
    let stream = &streams[table.stream];
    if stream.lateness > 0 || stream.on_late == OnLate::Emit {
        return true;
    }
    let reads = streams.iter().flat_map(|stream| &stream.reads).filter(|read| read.table == index);
    reads.into_iter().any(|read| !read.own || read.items.iter().any(|item| !ends_now(&item.window)))
}

/// Whether a window ends with the newest candidate.
fn ends_now(plan: &WindowPlan) -> bool {
    plan.ties
        && match &plan.window {
            Window::Rolling(window) => window.offset == 0 && matches!(window.closed, Closed::Right | Closed::Both),
            _ => true,
        }
}

/// Windows that end alike stand together, shorter ones first: a walk backwards then serves them all.
fn order(plan: &WindowPlan) -> (u8, i64, bool, bool, i64, bool, bool) {
    let lower = |closed| matches!(closed, Closed::Left | Closed::Both);
    let upper = |closed| matches!(closed, Closed::Right | Closed::Both);
    let (number, ties, current) = (plan.window.number(), !plan.ties, !plan.current);
    match &plan.window {
        Window::Rolling(w) => (number, w.offset, !upper(w.closed), ties, w.length, lower(w.closed), current),
        Window::Tumbling(w) => (number, 0, w.zone.is_some(), ties, w.length, false, current),
        Window::Hopping(w) => (number, w.every, false, ties, w.length, false, current),
        Window::Session(w) => (number, 0, false, ties, w.gap, false, current),
        Window::Last(w) => (number, 0, false, ties, w.count as i64, false, current),
        Window::All(_) | Window::Since(_) => (number, 0, false, ties, 0, false, current),
    }
}

/// The finished read: windows in order, and under each lane what is asked of it.
pub(super) fn read(build: &ReadBuild, key: Vec<KeyPart>, record: &Record, targets: &[Target]) -> ReadPlan {
    let mut windows: Vec<WindowPlan> = Vec::new();
    for item in &build.items {
        position(&mut windows, placed(item, record));
    }
    windows.sort_by_key(order);
    let mut lanes: Vec<ReadLane> = Vec::new();
    for item in &build.items {
        let plan = placed(item, record);
        let window = windows.iter().position(|window| *window == plan).expect("every window has been put in");
        let job = Job { window, what: item.what, target: targets[item.result], part: 0, cursor: 0, follow: 0 };
        let lane = lanes.iter().position(|lane| lane.lane == item.lane).unwrap_or_else(|| {
            lanes.push(ReadLane { lane: item.lane, jobs: Vec::new() });
            lanes.len() - 1
        });
        lanes[lane].jobs.push(job);
    }
    for lane in &mut lanes {
        lane.jobs.sort_by_key(|job| job.window);
    }
    lanes.sort_by_key(|lane| lane.lane);
    ReadPlan { table: build.table, own: build.own, key, windows, lanes, tail: TailPlan::default(), rest: Vec::new() }
}

fn placed(item: &Item, record: &Record) -> WindowPlan {
    WindowPlan { flag: record.flag(item.flag), ..item.window.clone() }
}

/// The finished tables, once every read of them is known; gives the reads of the streams their parts and cursors.
pub(super) fn tables(
    builds: Vec<TableBuild>,
    records: Vec<Record>,
    streams: &[StreamBuild],
    finished: &mut [StreamPlan],
) -> Vec<TablePlan> {
    let mut tables = Vec::new();
    for (index, (build, record)) in builds.into_iter().zip(records).enumerate() {
        let mut table = TablePlan {
            name: build.name,
            stream: build.stream,
            generation: build.generation,
            signs: record.signs,
            key: build.key.iter().map(|&node| node_text(&streams[build.stream], node)).collect(),
            readers: build.readers,
            reads: Vec::new(),
            shape: record.shape,
            columns: record.columns,
            flags: record.flags,
            lanes: record.lanes,
            noting: Vec::new(),
            has_sessions: false,
            all: Vec::new(),
            hops: Vec::new(),
            cursors: Vec::new(),
            follows: [0; FOLLOWS],
            tail_words: 0,
            heads: 0,
            reach: 0,
            linger: 0,
            keep_last: 0,
            forever: false,
            moving: false,
            features: build.features,
        };
        for read in finished.iter_mut().flat_map(|stream| &mut stream.reads).filter(|read| read.table == index) {
            let read_plan = Arc::get_mut(read).expect("a read is shared once its table is finished");
            retain(&mut table, read_plan);
            table.reads.push(Arc::clone(read));
        }
        let notes = |lane: &LanePlan| matches!(lane, LanePlan::Distinct { .. } | LanePlan::Rank { .. });
        table.noting = (0..table.lanes.len()).filter(|&lane| notes(&table.lanes[lane])).collect();
        table.has_sessions = table.flags.iter().any(|flag| matches!(flag, FlagPlan::Session { .. }));
        tables.push(table);
    }
    tables
}

/// What the table must keep so that this read can be answered, and where the read finds it.
fn retain(table: &mut TablePlan, read: &mut ReadPlan) {
    for window in &mut read.windows {
        window.head = table.heads;
        window.plain = match &window.window {
            Window::Rolling(rolling) if rolling.offset == 0 && rolling.closed == Closed::Right && window.ties => {
                Some(rolling.length)
            }
            _ => None,
        };
        table.heads += 1;
    }
    for lane in &mut read.lanes {
        let plan = table.lanes[lane.lane].clone();
        let mut followed = None;
        for job in &mut lane.jobs {
            let window = &mut read.windows[job.window];
            table.linger = table.linger.max(window.window.reach().unwrap_or(0));
            let depth = match job.what {
                What::Lag(n) | What::LastK(n) => n,
                _ => 1,
            };
            let part = PartPlan { lane: lane.lane, depth };
            match &window.window {
                // The newest events of all time are as well kept in the log.
                Window::All(_) if is_newest(&plan, job.what) => {
                    table.keep_last = table.keep_last.max(depth);
                    table.forever = true;
                    job.part = usize::MAX;
                }
                Window::All(_) => {
                    table.forever = true;
                    window.past = Past::All;
                    job.part = keep(&mut table.all, part);
                }
                Window::Hopping(hopping) => {
                    let found = table.hops.iter().position(|hop| hop.window == *hopping);
                    let hop = found.unwrap_or_else(|| {
                        table.hops.push(HopPlan { window: *hopping, parts: Vec::new() });
                        table.hops.len() - 1
                    });
                    window.past = Past::Hop(hop);
                    job.part = keep(&mut table.hops[hop].parts, part);
                }
                Window::Rolling(_) | Window::Tumbling(_) => {
                    table.reach = table.reach.max(window.window.reach().unwrap_or(0));
                }
                Window::Session(_) => table.moving = true,
                Window::Last(_) | Window::Since(_) => {
                    table.moving = true;
                    table.forever = true;
                }
            }
            // Jobs of one window of a lane share what follows it.
            let is_taken = TailPlan::takes(read.own, &plan, window, job);
            if followed != Some(job.window) && window.past == Past::None && !is_taken {
                followed = Some(job.window);
                if let Some(kind) = plan.follow() {
                    table.follows[kind] += 1;
                }
                if matches!(plan, LanePlan::Tally { .. }) {
                    table.cursors.push(lane.lane);
                }
            }
            let follow = plan.follow().map_or(0, |kind| table.follows[kind].saturating_sub(1));
            job.follow = if is_taken { UNFOLLOWED } else { follow };
            job.cursor = table.cursors.len().saturating_sub(1);
        }
    }
    read.tail = TailPlan::new(table, read);
    table.tail_words = table.tail_words.max(read.tail.words);
    for lane in &read.lanes {
        let beside = |job: &&Job| !TailPlan::takes(read.own, &table.lanes[lane.lane], &read.windows[job.window], job);
        let jobs: Vec<Job> = lane.jobs.iter().filter(beside).cloned().collect();
        if !jobs.is_empty() {
            read.rest.push(ReadLane { lane: lane.lane, jobs });
        }
    }
}

/// Whether an answer over all time is one of the newest events of the log, which need not be copied elsewhere.
fn is_newest(lane: &LanePlan, what: What) -> bool {
    matches!(lane, LanePlan::Entry { mask: None, .. })
        && matches!(what, What::Last | What::Lag(_) | What::LastK(_) | What::SinceLast)
}

/// The part that keeps a lane, deep enough.
fn keep(parts: &mut Vec<PartPlan>, wanted: PartPlan) -> usize {
    match parts.iter().position(|part| part.lane == wanted.lane) {
        Some(part) => {
            parts[part].depth = parts[part].depth.max(wanted.depth);
            part
        }
        None => {
            parts.push(wanted);
            parts.len() - 1
        }
    }
}
