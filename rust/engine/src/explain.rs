//! Why a feature has its value: the events inside the windows that it is made of, and those that have just left them.

use crate::definition::FieldKind;
use crate::engine::Engine;
use crate::error::EventError;
use crate::event::Event;
use crate::key;
use crate::plan::{LanePlan, Mask, Past, Place, Plan, ReadPlan, TablePlan, What};
use crate::row;
use crate::state::Run;
use crate::state::answer::Question;
use crate::state::interner::{ABSENT, Interner};
use crate::state::table::Key;
use crate::window::{Bounds, Window};

/// A value with its type.
#[derive(Clone, Debug, PartialEq)]
pub enum Shown {
    /// No value.
    Null,
    /// Double.
    Float(f64),
    /// Whole number.
    Int(i64),
    /// True or false.
    Bool(bool),
    /// Ticks since 1970.
    Time(i64),
    /// Text, also that of a categorical.
    Text(String),
    /// Several values.
    List(Vec<Shown>),
}

/// One event as the state of a key keeps it.
#[derive(Clone, Debug, PartialEq)]
pub struct ExplainedEvent {
    /// When it happened, in ticks.
    pub time: i64,
    /// By the names of the columns that the aggregation reads.
    pub values: Vec<(String, Shown)>,
    /// Whether it has a value and meets the filter.
    pub counts: bool,
}

/// One aggregation of a feature: its window, and the events there.
#[derive(Clone, Debug, PartialEq)]
pub struct ExplainedAggregation {
    /// Its value.
    pub value: Shown,
    /// Where its window begins, in ticks; `None` when nothing is too old for it.
    pub since: Option<i64>,
    /// Where it ends.
    pub until: i64,
    /// Whether it keeps events: all-time and hopping windows keep only what their aggregations need.
    pub kept: bool,
    /// Those inside, the oldest first.
    pub events: Vec<ExplainedEvent>,
    /// The newest of those that were inside and are no more, the oldest first.
    pub left: Vec<ExplainedEvent>,
}

impl Engine {
    /// The aggregations that a feature of a stream is made of, in the order in which they are written, for the keys that `event` gives, at
    /// a time. `row()` then holds the whole row, as after `lookup`.
    ///
    /// # Errors
    /// [`EventError::TooOld`] as for `lookup`.
    pub fn explain(
        &mut self,
        stream: usize,
        feature: usize,
        event: &mut Event,
        at: i64,
    ) -> Result<Vec<ExplainedAggregation>, EventError> {
        self.lookup(stream, event, at)?;
        let plan = self.plan.clone();
        let stream_plan = &plan.streams[stream];
        let made_of = &stream_plan.made_of[feature];
        Ok(made_of.iter().map(|&load| self.explain_one(&plan, stream, load, event, at)).collect())
    }

    fn explain_one(&mut self, plan: &Plan, stream: usize, load: usize, event: &Event, at: i64) -> ExplainedAggregation {
        let made = &plan.streams[stream].made[load];
        let read = &plan.streams[stream].reads[made.read];
        let table_plan = &plan.tables[read.table];
        let (lane, job) = read
            .lanes
            .iter()
            .flat_map(|lane| lane.jobs.iter().map(move |job| (lane, job)))
            .find(|(_, job)| job.target == made.target)
            .expect("every answer has a job");
        let mut bytes = Vec::new();
        let keyed = key::encode(&read.key, event, &mut bytes);
        let key = Key::of(&bytes);
        let table = self.tables[read.table].of_mut(key.hash);
        let found = if keyed { table.find(table_plan, key, &self.interner) } else { None };
        let question = question(table_plan, read, at, plan.ticks_per_second);
        let (columns, mask) = reads(&table_plan.lanes[lane.lane]);
        let (mut events, mut left) = (Vec::new(), Vec::new());
        let texts = &self.interner;
        let schema = &plan.streams[table_plan.stream].schema;
        table.look(found, &question, |seen| {
            if seen.window != job.window {
                return;
            }
            let counts = mask.is_none_or(|flag| seen.run.flag(flag) >> seen.index & 1 == 1);
            let values = columns.iter().map(|&column| {
                let column_plan = &table_plan.columns[column];
                let categories = schema.fields.get(column_plan.slot).map(|field| field.categories.as_slice());
                let payload = payload(column_plan.place, seen.run, seen.index);
                let value = shown(column_plan.kind, payload, categories.unwrap_or_default(), texts);
                (column_plan.text.clone(), if counts { value } else { or_null(value, payload) })
            });
            let event = ExplainedEvent { time: seen.run.times()[seen.index], values: values.collect(), counts };
            if seen.inside { &mut events } else { &mut left }.push(event);
        });
        let window = &read.windows[job.window];
        let kept = window.past == Past::None || job.part == usize::MAX;
        if !kept {
            (events, left) = (Vec::new(), Vec::new());
        }
        let (since, until) = match (window.window.bounds(at), &window.window) {
            (Bounds::Times { until, .. }, Window::Rolling(rolling)) => {
                (Some(at.saturating_sub(rolling.offset).saturating_sub(rolling.length)), until)
            }
            (Bounds::Times { until, .. }, Window::All(_)) => (None, until),
            (Bounds::Times { after, until }, _) => (Some(after.saturating_add(1)), until),
            _ => (Some(events.first().map_or(at, |event| event.time)), at),
        };
        let value = self.value_of(made, job.what);
        ExplainedAggregation { value, since, until, kept, events, left }
    }

    fn value_of(&self, made: &crate::plan::Made, what: What) -> Shown {
        let cells = self.cells();
        let value = cells.values[made.target.cell];
        if row::is_null(value) {
            return Shown::Null;
        }
        let wide = made.target.wide.map(|wide| cells.wides[wide]);
        let shown = |payload: u64| shown(made.kind, payload, &made.categories, &self.interner);
        if let (What::LastK(_) | What::TopK(_), Some(place)) = (what, wide) {
            let (start, len) = ((place >> 32) as usize, (place & 0xFFFF_FFFF) as usize);
            return Shown::List(cells.lists[start..start + len].iter().map(|&payload| shown(payload)).collect());
        }
        match made.kind {
            FieldKind::Float64 => Shown::Float(value),
            _ => shown(wide.unwrap_or(value as i64 as u64)),
        }
    }
}

fn question<'a>(plan: &'a TablePlan, read: &'a ReadPlan, t: i64, ticks_per_second: i64) -> Question<'a> {
    Question { plan, read, t, newcomer: None, stores: false, mark: None, idle_after: None, ticks_per_second }
}

/// The columns and the mask that a lane reads.
fn reads(lane: &LanePlan) -> (Vec<usize>, Mask) {
    match *lane {
        LanePlan::Count { mask } => (Vec::new(), mask),
        LanePlan::Pair { x, y, mask } => (vec![x, y], mask),
        LanePlan::Extreme { column, mask, beside, .. } => (beside.into_iter().chain([column]).collect(), mask),
        LanePlan::Entry { column, mask } => (column.into_iter().collect(), mask),
        LanePlan::Moments { column, mask, .. }
        | LanePlan::Higher { column, mask }
        | LanePlan::Slope { column, mask }
        | LanePlan::Distinct { column, mask, .. }
        | LanePlan::Rank { column, mask }
        | LanePlan::Tally { column, mask, .. }
        | LanePlan::Registers { column, mask }
        | LanePlan::Decay { column, mask, .. } => (vec![column], mask),
    }
}

pub(crate) fn payload(place: Place, run: Run<'_>, index: usize) -> u64 {
    match place {
        Place::Word(word) => run.column(word)[index],
        Place::Half(half) => u64::from(run.half(half)[index]),
    }
}

/// What stands in the log for a null of a value that does not count.
pub(crate) fn filler(kind: FieldKind) -> u64 {
    match kind {
        FieldKind::Float64 => row::NULL.to_bits(),
        FieldKind::Int64 | FieldKind::Timestamp => i64::MIN as u64,
        FieldKind::String => u64::from(ABSENT),
        FieldKind::Boolean | FieldKind::Categorical => u64::from(u32::MAX),
    }
}

fn or_null(value: Shown, payload: u64) -> Shown {
    match value {
        Shown::Int(_) | Shown::Time(_) if payload == filler(FieldKind::Int64) => Shown::Null,
        other => other,
    }
}

pub(crate) fn shown(kind: FieldKind, payload: u64, categories: &[String], texts: &Interner) -> Shown {
    match kind {
        FieldKind::Float64 if payload == filler(kind) => Shown::Null,
        FieldKind::String | FieldKind::Boolean | FieldKind::Categorical if payload == filler(kind) => Shown::Null,
        FieldKind::Float64 => Shown::Float(f64::from_bits(payload)),
        FieldKind::Int64 => Shown::Int(payload as i64),
        FieldKind::Timestamp => Shown::Time(payload as i64),
        FieldKind::Boolean => Shown::Bool(payload != 0),
        FieldKind::Categorical => {
            categories.get(payload as usize).map_or(Shown::Int(payload as i64), |name| Shown::Text(name.clone()))
        }
        FieldKind::String => Shown::Text(texts.text(payload as u32).to_owned()),
    }
}
