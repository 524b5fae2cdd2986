//! What a change of the definition keeps, begins anew and drops; and an engine of the one definition as an engine of the other.
//!
//! Every feature belongs to a generation: 0, or the change that its state began after. Features of one generation share tables, those of two do
//! not; so what is kept is to the bit what it would have been, and what begins is empty beside it.

mod carry;
mod uses;

pub use self::carry::Uncarried;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use self::uses::touched;
use crate::definition::{Definition, FeatureDefinition};
use crate::plan::{Changes, Generation, Plan, Selection};

/// What becomes of a feature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// It is the same and keeps its state.
    Kept,
    /// It is new.
    New,
    /// It is another of the same name.
    Changed,
    /// It is gone.
    Dropped,
}

/// One feature of the change.
#[derive(Clone, Debug, Serialize)]
pub struct FeatureChange {
    /// Its name.
    pub name: String,
    /// The stream of its rows.
    pub stream: String,
    /// What becomes of it.
    pub fate: Fate,
    /// Whether it has all of its past at once: it is kept, needs none, or the kept state knows what it asks.
    pub at_once: bool,
    /// What differs, where it is another.
    pub why: Option<String>,
    /// Names of the tables that it reads: those of the new definition, or where it is dropped those of the old one.
    pub tables: Vec<String>,
}

/// What becomes of a table of the state.
#[derive(Clone, Debug, Serialize)]
pub struct TableChange {
    /// Its name: `payments by card`.
    pub name: String,
    /// `kept`, `trimmed` to what is still read, `new` or `dropped`.
    pub fate: &'static str,
    /// Its place among the tables of the old definition.
    pub old: Option<usize>,
    /// Its place among those of the new one.
    pub new: Option<usize>,
    /// Bits of an event in its log, before and after.
    pub bits: (usize, usize),
}

/// From one definition to another.
#[derive(Debug, Serialize)]
pub struct Change {
    /// In the order of the new definition; then those that are dropped.
    pub features: Vec<FeatureChange>,
    /// Those of the old definition, then the new ones.
    pub tables: Vec<TableChange>,
    /// The new definition as it is run: the newest times of the change are not known yet.
    #[serde(skip)]
    pub plan: Plan,
    /// Whether something begins with the change.
    #[serde(skip)]
    begins: bool,
}

/// Which features may begin anew that are others under the name of an old one.
#[derive(Clone, Copy, Debug)]
pub enum Restart<'a> {
    /// No change at all is gone on from.
    NoChange,
    /// None: they are refused.
    None,
    /// All of them.
    All,
    /// Those of these names.
    Named(&'a [String]),
}

impl Change {
    /// Between what an engine runs and a new definition. `idle_after` is that of the engine, in ticks.
    ///
    /// # Panics
    /// Never: the plans have been compiled from the definitions that stand in them.
    pub fn between(old: &Plan, new: &Plan, idle_after: Option<i64>) -> Self {
        let read =
            |plan: &Plan| -> Definition { serde_json::from_str(&plan.definition).expect("a plan has its definition") };
        let (before, after) = (read(old), read(new));
        let number = old.changes.generations.len() as u32 + 1;
        let same_tick = old.ticks_per_second == new.ticks_per_second;
        let mut features = Vec::new();
        let mut generations: Vec<u32> = Vec::new();
        for feature in &after.features {
            let place = before.features.iter().position(|each| same(each, feature));
            let why = place.and_then(|place| {
                if before.features[place].expression != feature.expression {
                    return Some("it is written in another way".to_owned());
                }
                touched(feature, &before, &after)
            });
            let asked = Trial { old, definition: &after, feature };
            let own = place.filter(|_| why.is_none()).map(|place| old.changes.generation_of(place));
            let found = match own {
                Some(generation) => Some(generation).filter(|&generation| asked.fits(generation)),
                None => (0..number).find(|&generation| asked.fits(generation)),
            };
            let why = match (own, found) {
                (Some(_), None) if same_tick => Some("its state cannot be carried as it is".to_owned()),
                (Some(_), None) => Some("the streams count time in another unit".to_owned()),
                _ => why,
            };
            let fate = match (place, &why) {
                (None, _) => Fate::New,
                (Some(_), None) => Fate::Kept,
                (Some(_), Some(_)) => Fate::Changed,
            };
            generations.push(found.unwrap_or(number));
            features.push(FeatureChange {
                name: feature.name.clone(),
                stream: feature.stream.clone(),
                fate,
                at_once: found.is_some(),
                why,
                tables: Vec::new(),
            });
        }
        let begins = |generations: &[u32]| generations.contains(&number);
        let mut plan = compiled(old, &after, &generations, begins(&generations));
        // Features that are carried one by one may not be together, where some of their table are not.
        while let Some(table) =
            plan.tables.iter().find(|table| table.generation < number && !fits(old, &plan, table, idle_after))
        {
            for ((feature, generation), definition) in features.iter_mut().zip(&mut generations).zip(&after.features) {
                if table.features.contains(&definition.name) {
                    feature.at_once = false;
                    if feature.fate == Fate::Kept {
                        feature.fate = Fate::Changed;
                        feature.why =
                            Some("its state cannot be carried without that of the features that are gone".to_owned());
                    }
                    *generation = number;
                }
            }
            plan = compiled(old, &after, &generations, begins(&generations));
        }
        for feature in &mut features {
            feature.tables = tables_of(&plan, &feature.stream, &feature.name);
        }
        let gone = before.features.iter().filter(|feature| !after.features.iter().any(|each| same(each, feature)));
        features.extend(gone.map(|feature| FeatureChange {
            name: feature.name.clone(),
            stream: feature.stream.clone(),
            fate: Fate::Dropped,
            at_once: false,
            why: None,
            tables: tables_of(old, &feature.stream, &feature.name),
        }));
        let tables = tables(old, &plan, number, idle_after);
        let begins = begins(&generations);
        Self { features, tables, plan, begins }
    }

    /// Why it may not be made, and the way out; `None` where it may.
    pub fn refusal(&self, restart: Restart<'_>) -> Option<String> {
        let changed = || self.features.iter().filter(|feature| feature.fate == Fate::Changed);
        let named = match restart {
            Restart::All | Restart::NoChange => return None,
            Restart::None => &[],
            Restart::Named(names) => names,
        };
        if let Some(name) = named.iter().find(|name| !changed().any(|feature| feature.name == **name)) {
            let names: Vec<&str> = changed().map(|feature| feature.name.as_str()).collect();
            let there =
                if names.is_empty() { "none is".to_owned() } else { format!("these are: {}", names.join(", ")) };
            return Some(format!("`{name}` is no feature that is another than in the checkpoint; {there}"));
        }
        let left: Vec<_> = changed().filter(|feature| !named.contains(&feature.name)).collect();
        if left.is_empty() {
            return None;
        }
        let mut text = String::from("its features are others than those asked for:");
        for feature in left.iter().take(LISTED_MAX) {
            let why = feature.why.as_deref().unwrap_or_default();
            write!(text, " `{}` ({why}),", feature.name).expect("a text takes what is written");
        }
        if left.len() > LISTED_MAX {
            write!(text, " and {} more,", left.len() - LISTED_MAX).expect("a text takes what is written");
        }
        text.pop();
        text.push_str(
            "; give them other names, or let them begin anew with changed=[\"name\", ...] or changed=\"restart\"",
        );
        Some(text)
    }
}

/// Names listed of what is refused.
const LISTED_MAX: usize = 5;

/// A feature of the new definition held against the old state.
struct Trial<'a> {
    old: &'a Plan,
    definition: &'a Definition,
    feature: &'a FeatureDefinition,
}

impl Trial<'_> {
    /// Whether the tables of a generation have all that the feature asks.
    fn fits(&self, generation: u32) -> bool {
        let &Definition { version, ref streams, ref lookups, .. } = self.definition;
        let definition = Definition {
            version,
            streams: streams.clone(),
            lookups: lookups.clone(),
            features: vec![self.feature.clone()],
        };
        let plan = compiled(self.old, &definition, &[generation], false);
        // What idle keys have lost shows in who shares the table: that is looked at once all are known.
        plan.tables.iter().all(|table| fits(self.old, &plan, table, None))
    }
}

fn fits(old: &Plan, plan: &Plan, table: &crate::plan::TablePlan, idle_after: Option<i64>) -> bool {
    let older = old.older(table).map(|index| &old.tables[index]);
    older.is_some_and(|older| Selection::of(old, older, plan, table, idle_after).is_some())
}

fn same(a: &FeatureDefinition, b: &FeatureDefinition) -> bool {
    (&a.name, &a.stream) == (&b.name, &b.stream)
}

/// The new definition with features of these generations.
fn compiled(old: &Plan, definition: &Definition, features: &[u32], begins: bool) -> Plan {
    let mut generations = old.changes.generations.clone();
    if begins {
        generations.push(Generation { newest: BTreeMap::new() });
    }
    let changes = Changes { generations, features: features.to_vec() };
    Plan::compile_changed(definition, changes).expect("a part of a definition compiles where the whole did")
}

fn tables_of(plan: &Plan, stream: &str, feature: &str) -> Vec<String> {
    let Some(stream) = plan.stream(stream).map(|stream| &plan.streams[stream]) else { return Vec::new() };
    let Some(place) = stream.outputs.iter().position(|output| output.name == feature) else { return Vec::new() };
    let mut tables: Vec<usize> =
        stream.made_of[place].iter().map(|&result| stream.reads[stream.made[result].read].table).collect();
    tables.sort_unstable();
    tables.dedup();
    tables.into_iter().map(|table| plan.tables[table].name.clone()).collect()
}

fn tables(old: &Plan, plan: &Plan, number: u32, idle_after: Option<i64>) -> Vec<TableChange> {
    let bits = |table: &crate::plan::TablePlan| table.shape.words * 64 + table.shape.halves * 32 + table.shape.flags;
    let kept = |older: usize| {
        let newer = plan.tables.iter().position(|table| table.generation < number && old.older(table) == Some(older));
        newer.map(|newer| (newer, &plan.tables[newer]))
    };
    let before = old.tables.iter().enumerate().map(|(index, older)| match kept(index) {
        Some((place, newer)) => {
            let selection = Selection::of(old, older, plan, newer, idle_after);
            let fate = if selection.is_some_and(|selection| selection.whole) { "kept" } else { "trimmed" };
            let name = newer.name.clone();
            TableChange { name, fate, old: Some(index), new: Some(place), bits: (bits(older), bits(newer)) }
        }
        None => TableChange {
            name: older.name.clone(),
            fate: "dropped",
            old: Some(index),
            new: None,
            bits: (bits(older), 0),
        },
    });
    let begun = plan.tables.iter().enumerate().filter(|(_, table)| table.generation == number);
    let begun = begun.map(|(index, table)| TableChange {
        name: table.name.clone(),
        fate: "new",
        old: None,
        new: Some(index),
        bits: (0, bits(table)),
    });
    before.chain(begun).collect()
}
