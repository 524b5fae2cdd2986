//! Reference data by key: what `ff.Lookup` joins to events. A table is immutable; an engine swaps it for another as a whole.
//!
//! Rows are checked by a schema of the lookup's columns, as events are by that of their stream.

mod table;

use std::sync::Arc;

use thiserror::Error;

pub use self::table::{LookupBuilder, LookupTable};
use crate::definition::{FieldKind, LookupDefinition};
use crate::error::{DefinitionError, nearest};
use crate::event::{Event, Value};
use crate::schema::Schema;

/// A table that does not fit its lookup: which lookup, what is wrong, the way out.
#[derive(Clone, Debug, Error, PartialEq)]
#[error("lookup `{lookup}`: {message}")]
pub struct LookupError {
    /// Its name.
    pub lookup: String,
    /// The found value, the rule and the way out.
    pub message: String,
}

/// A compiled lookup: which columns its tables have.
#[derive(Clone, Debug)]
pub struct LookupPlan {
    /// Unique within the plan.
    pub name: String,
    /// Checks rows; its columns are those of the tables. It has no time. Whole numbers in a timestamp are microseconds.
    pub schema: Schema,
    /// Index of the column that finds a row.
    pub key: usize,
    ticks_per_second: i64,
}

impl LookupPlan {
    /// Refuses what is no lookup, by name.
    pub fn compile(definition: &LookupDefinition, ticks_per_second: i64) -> Result<Self, DefinitionError> {
        let place = format!("lookup `{}`", definition.name);
        let refuse = |message: String| Err(DefinitionError::new(&place, message));
        if definition.name.is_empty() {
            return refuse("a lookup needs a name".to_owned());
        }
        if let Some(column) = definition.columns.iter().find(|column| column.kind == FieldKind::Categorical) {
            return refuse(format!("column `{}` is Categorical; make it a String", column.name));
        }
        let names = || definition.columns.iter().map(|column| column.name.as_str());
        let Some(key) = names().position(|name| name == definition.key) else {
            let hint = nearest(&definition.key, names()).map(|name| format!("did you mean `{name}`? "));
            let names = names().collect::<Vec<_>>().join(", ");
            return refuse(format!(
                "its key `{}` is no column of it; {}there are: {names}",
                definition.key,
                hint.unwrap_or_default()
            ));
        };
        let schema = Schema::of_lookup(definition, ticks_per_second)
            .map_err(|error| DefinitionError::new(&place, error.message))?;
        Ok(Self { name: definition.name.clone(), schema, key, ticks_per_second })
    }

    /// The type that keys have.
    pub fn key_kind(&self) -> FieldKind {
        self.schema.fields[self.key].kind
    }

    fn refuse<T>(&self, message: String) -> Result<T, LookupError> {
        Err(LookupError { lookup: self.name.clone(), message })
    }
}

/// The tables of one engine, in the order of the plan's lookups.
#[derive(Debug)]
pub(crate) struct Lookups {
    tables: Vec<Arc<LookupTable>>,
    versions: Vec<u64>,
    misses: Vec<u64>,
    /// Hashes of the tables that a checkpoint was written with, until they are given again.
    awaited: Vec<Option<TableHash>>,
}

/// Hash of all that a table says.
pub(crate) type TableHash = [u8; 32];

/// What an engine's lookup has come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LookupStats {
    /// Name of the lookup.
    pub name: String,
    /// How many tables have been given; 0 for none yet.
    pub version: u64,
    /// Rows of the table.
    pub rows: u64,
    /// Pushed events whose key was there but had no row, counted once for each key expression.
    pub misses: u64,
    /// Bytes of the table.
    pub bytes: u64,
}

impl Lookups {
    /// Empty tables.
    pub fn new(plans: &[LookupPlan]) -> Self {
        Self {
            tables: plans.iter().map(|plan| LookupTable::empty(plan).into()).collect(),
            versions: vec![0; plans.len()],
            misses: vec![0; plans.len()],
            awaited: vec![None; plans.len()],
        }
    }

    /// What a checkpoint tells of each: how often it was given a table, its misses, the hash of its table.
    pub fn saved(&self) -> impl Iterator<Item = (u64, u64, TableHash)> {
        let hashes =
            self.tables.iter().zip(&self.awaited).map(|(table, awaited)| awaited.unwrap_or_else(|| table.hash()));
        self.versions.iter().zip(&self.misses).zip(hashes).map(|((&version, &misses), hash)| (version, misses, hash))
    }

    /// The counts of a checkpoint; the rows are given again, and are the same version when they are the same.
    pub fn resume(&mut self, index: usize, (version, misses, hash): (u64, u64, TableHash)) {
        (self.versions[index], self.misses[index]) = (version, misses);
        self.awaited[index] = (version > 0).then_some(hash);
    }

    /// Takes the place of the table there is, and counts.
    pub fn set(&mut self, plans: &[LookupPlan], name: &str, table: Arc<LookupTable>) -> Result<u64, LookupError> {
        let refuse = |message: String| Err(LookupError { lookup: name.to_owned(), message });
        let Some(index) = plans.iter().position(|plan| plan.name == name) else {
            let hint = nearest(name, plans.iter().map(|plan| plan.name.as_str()));
            let hint = hint.map_or_else(|| "define it first".to_owned(), |near| format!("did you mean `{near}`?"));
            return refuse(format!("the features have no lookup of this name; {hint}"));
        };
        if let Some(message) = table.misfit(&plans[index]) {
            return refuse(message);
        }
        let awaited = self.awaited[index].take();
        self.versions[index] += u64::from(awaited.is_none_or(|hash| hash != table.hash()));
        self.tables[index] = table;
        Ok(self.versions[index])
    }

    /// What programs need; `counts` where misses are counted, as they are not when nothing may change.
    #[inline]
    pub fn context(&mut self, ticks_per_second: i64, counts: bool) -> Context<'_> {
        Context { ticks_per_second, tables: &self.tables, misses: &mut self.misses, counts }
    }

    /// What programs need where several threads run them, each with misses of its own, to be added up.
    #[inline]
    pub(crate) fn counting<'a>(&'a self, ticks_per_second: i64, misses: &'a mut [u64]) -> Context<'a> {
        Context { ticks_per_second, tables: &self.tables, misses, counts: true }
    }

    /// How many lookups there are.
    pub(crate) fn count(&self) -> usize {
        self.tables.len()
    }

    /// Adds misses up, by lookup.
    pub(crate) fn add_misses(&mut self, misses: &[u64]) {
        self.misses.iter_mut().zip(misses).for_each(|(all, more)| *all += more);
    }

    /// One entry a lookup.
    pub fn stats(&self, plans: &[LookupPlan]) -> Vec<LookupStats> {
        let of = |(index, plan): (usize, &LookupPlan)| LookupStats {
            name: plan.name.clone(),
            version: self.versions[index],
            rows: self.tables[index].rows() as u64,
            misses: self.misses[index],
            bytes: self.tables[index].bytes() as u64,
        };
        plans.iter().enumerate().map(of).collect()
    }

    /// Bytes of all tables.
    pub fn bytes(&self) -> usize {
        self.tables.iter().map(|table| table.bytes()).sum()
    }
}

/// What a program reads beside the event.
#[derive(Debug)]
pub struct Context<'a> {
    /// The plan's.
    pub ticks_per_second: i64,
    tables: &'a [Arc<LookupTable>],
    misses: &'a mut [u64],
    counts: bool,
}

impl Context<'_> {
    /// The row of a key, as an Int; null where there is none.
    #[inline]
    pub(crate) fn find(&mut self, lookup: usize, key: Value, event: &Event) -> Value {
        match self.tables[lookup].find(key, event) {
            Some(row) => Value::Int(i64::from(row)),
            None => {
                self.misses[lookup] += u64::from(self.counts && key != Value::Null);
                Value::Null
            }
        }
    }

    /// A column of a row that `find` found.
    #[inline]
    pub(crate) fn join(&self, lookup: usize, row: Value, column: usize, event: &mut Event) -> Value {
        match row {
            Value::Int(row) => self.tables[lookup].value(row as u32, column, event),
            _ => Value::Null,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definition::LookupColumn;
    use crate::schema::Raw;

    const KINDS: [(&str, FieldKind); 5] = [
        ("id", FieldKind::Float64),
        ("name", FieldKind::String),
        ("count", FieldKind::Int64),
        ("open", FieldKind::Boolean),
        ("since", FieldKind::Timestamp),
    ];

    fn plan(key: &str) -> LookupPlan {
        let columns = KINDS.map(|(name, kind)| LookupColumn { name: name.to_owned(), kind }).to_vec();
        LookupPlan::compile(&LookupDefinition { name: "shops".to_owned(), key: key.to_owned(), columns }, 1_000_000)
            .expect("compiles")
    }

    fn push(builder: &mut LookupBuilder<'_>, row: [Raw<'_>; 5]) -> Result<(), LookupError> {
        builder.push(|filling| row.into_iter().enumerate().for_each(|(column, raw)| filling.set(column, raw)))
    }

    fn row(id: f64, name: &str) -> [Raw<'_>; 5] {
        [Raw::Float(id), Raw::Text(name), Raw::Int(7), Raw::Bool(true), Raw::Time(1_999)]
    }

    #[test]
    fn definitions_that_are_no_lookup_are_refused() {
        let refused = |change: fn(&mut LookupDefinition), part: &str| {
            let columns = KINDS.map(|(name, kind)| LookupColumn { name: name.to_owned(), kind }).to_vec();
            let mut definition = LookupDefinition { name: "shops".to_owned(), key: "id".to_owned(), columns };
            change(&mut definition);
            let message = LookupPlan::compile(&definition, 1_000_000).expect_err("is refused").to_string();
            assert!(message.starts_with("lookup `") && message.contains(part), "{message}");
        };
        refused(|lookup| lookup.name.clear(), "needs a name");
        refused(|lookup| lookup.key = "nam".to_owned(), "did you mean `name`?");
        refused(|lookup| lookup.columns[1].kind = FieldKind::Categorical, "make it a String");
        refused(|lookup| lookup.columns[1].name = "id".to_owned(), "two columns of this name");
    }

    #[test]
    fn another_table_takes_its_place_when_it_fits() {
        let plans = [plan("id")];
        let mut lookups = Lookups::new(&plans);
        let table = |plan: &LookupPlan, rows: u32| {
            let mut builder = LookupBuilder::new(plan);
            (0..rows).for_each(|number| push(&mut builder, row(f64::from(number), "x")).expect("a good row"));
            Arc::new(builder.finish())
        };
        assert_eq!(lookups.set(&plans, "shops", table(&plans[0], 3)), Ok(1));
        assert_eq!(lookups.set(&plans, "shops", table(&plans[0], 2)), Ok(2));
        let refused = lookups.set(&plans, "shop", table(&plans[0], 1)).expect_err("no such lookup");
        assert!(refused.message.contains("did you mean `shops`?"), "{refused}");
        let refused = lookups.set(&plans, "shops", table(&plan("count"), 0)).expect_err("another key");
        assert!(refused.message.contains("another column than `id`"), "{refused}");
        let mut other = plan("id");
        other.schema.fields[1].kind = FieldKind::Int64;
        let refused = lookups.set(&plans, "shops", LookupTable::empty(&other).into()).expect_err("another type");
        assert!(refused.message.contains("column `name` is a Int64 and the definition says String"), "{refused}");

        let event = Event::default();
        for counts in [true, false] {
            let mut context = lookups.context(1_000_000, counts);
            assert_eq!(context.find(0, Value::Float(1.0), &event), Value::Int(1));
            assert_eq!(context.find(0, Value::Float(2.0), &event), Value::Null);
            assert_eq!(context.find(0, Value::Null, &event), Value::Null);
        }
        let stats = lookups.stats(&plans);
        assert_eq!((stats[0].version, stats[0].rows, stats[0].misses), (2, 2, 1));
    }
}
