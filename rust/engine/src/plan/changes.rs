//! Features that began later than others: what a change of the definition leaves behind, and since when a feature is complete.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Plan, WindowPlan};
use crate::window::Bounds;

/// Which features began after which change of the definition; nothing where it never changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Changes {
    /// One a change that something began with, numbered from 1.
    pub generations: Vec<Generation>,
    /// By feature, in the order of the definition: the number of its generation, 0 from the beginning. Features beyond the end are of 0.
    pub features: Vec<u32>,
}

/// A change of the definition.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Generation {
    /// The newest time of each stream that had events then, in ticks.
    pub newest: BTreeMap<String, i64>,
}

/// Since when a feature has seen all that its windows ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Complete {
    /// From the beginning.
    Always,
    /// Rows at this time and later, in ticks.
    Since(i64),
    /// No time says so: its window may reach back for ever.
    Never,
}

impl Changes {
    /// The generation of a feature, by its place in the definition.
    pub fn generation_of(&self, feature: usize) -> u32 {
        self.features.get(feature).copied().unwrap_or_default()
    }

    /// Whether every feature began at the beginning.
    pub fn is_none(&self) -> bool {
        self.features.iter().all(|&generation| generation == 0)
    }

    /// Whether it can be of a definition with so many features.
    pub fn fits(&self, features: usize) -> bool {
        let known = self.generations.len();
        self.features.len() <= features && self.features.iter().all(|&generation| generation as usize <= known)
    }
}

impl Plan {
    /// Since when a feature of a stream is complete.
    pub fn complete(&self, stream: usize, feature: usize) -> Complete {
        let plan = &self.streams[stream];
        let of = |&result: &usize| {
            let made = &plan.made[result];
            let read = &plan.reads[made.read];
            let table = &self.tables[read.table];
            let Some(generation) = (table.generation as usize).checked_sub(1) else { return Complete::Always };
            let source = &self.streams[table.stream].schema.stream;
            let Some(&newest) = self.changes.generations[generation].newest.get(source) else {
                return Complete::Always;
            };
            let mut jobs = read.lanes.iter().flat_map(|lane| &lane.jobs);
            let job = jobs.find(|job| job.target == made.target).expect("an aggregation has a job");
            since(&read.windows[job.window], newest)
        };
        plan.made_of[feature].iter().map(of).max().unwrap_or(Complete::Always)
    }
}

/// The first time at which a row sees nothing of what was before a state began: events at or before `newest`.
fn since(plan: &WindowPlan, newest: i64) -> Complete {
    let sees_none = |t: i64| matches!(plan.window.bounds(t), Bounds::Times { after, .. } if after >= newest);
    let reach = match plan.window.bounds(newest) {
        Bounds::Times { .. } => plan.window.reach(),
        _ => None,
    };
    let Some(reach) = reach else { return Complete::Never };
    let (mut low, mut high, mut step) = (newest, newest.saturating_add(reach), reach.max(1));
    while !sees_none(high) {
        if high == i64::MAX {
            return Complete::Never;
        }
        (low, high, step) = (high, high.saturating_add(step), step.saturating_mul(2));
    }
    // Lower ends of windows never go back.
    while high.saturating_sub(low) > 1 {
        let middle = low + (high - low) / 2;
        if sees_none(middle) { high = middle } else { low = middle }
    }
    Complete::Since(high)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definition::WindowDefinition;
    use crate::plan::Past;
    use crate::window::Window;

    fn complete(json: &str, newest: i64) -> Complete {
        let definition: WindowDefinition = serde_json::from_str(json).expect("a window");
        let window = Window::compile(&definition, 1_000_000).expect("compiles");
        let plan = WindowPlan { window, current: true, ties: true, flag: None, head: 0, plain: None, past: Past::None };
        since(&plan, newest)
    }

    #[test]
    fn a_window_is_complete_when_its_lower_end_has_passed_what_was_before() {
        let rolling = |closed: &str| format!(r#"{{"kind":"rolling","length_ns":10000,"closed":"{closed}"}}"#);
        assert_eq!(complete(&rolling("right"), 100), Complete::Since(110));
        assert_eq!(
            complete(&rolling("both"), 100),
            Complete::Since(111),
            "an event exactly as old as it is long is in"
        );
        let back = r#"{"kind":"rolling","length_ns":10000,"offset_ns":5000}"#;
        assert_eq!(complete(back, 100), Complete::Since(115));
        let tumbling = r#"{"kind":"tumbling","length_ns":10000}"#;
        assert_eq!(
            complete(tumbling, 100),
            Complete::Since(110),
            "an event on the edge is in the window that begins there"
        );
        assert_eq!(complete(tumbling, 99), Complete::Since(100));
        let hopping = r#"{"kind":"hopping","length_ns":10000,"every_ns":5000}"#;
        assert_eq!(complete(hopping, 101), Complete::Since(115), "its lower end goes in steps");
    }

    #[test]
    fn no_time_completes_what_reaches_back_for_ever() {
        for json in [r#"{"kind":"all"}"#, r#"{"kind":"last","count":3}"#, r#"{"kind":"session","gap_ns":1000}"#] {
            assert_eq!(complete(json, 100), Complete::Never, "{json}");
        }
        assert_eq!(complete(r#"{"kind":"rolling","length_ns":10000}"#, i64::MAX - 2), Complete::Never);
    }
}
