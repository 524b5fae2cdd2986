//! What the state keeps of one key, for people.

use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value as Json, json};

use crate::definition::FieldKind;
use crate::engine::Engine;
use crate::event::{Event, Value};
use crate::explain::{Shown, payload, shown};
use crate::key::{self, KeyPart};
use crate::schema::iso_ticks;
use crate::state::table::Key;

/// A key of one table.
#[derive(Debug, Serialize)]
pub struct KeyContents {
    /// Name of the table.
    pub table: String,
    /// Whether it has state.
    pub found: bool,
    /// Whether something is kept of events that have left the log.
    pub has_past: bool,
    /// Its events, the oldest first: their times and the values that are kept of them.
    pub events: Vec<Json>,
}

impl Engine {
    /// What the tables keep whose key columns have these values, as texts.
    ///
    /// # Errors
    /// A sentence: no table has such a key, or a value is none of its column.
    pub fn contents(&mut self, given: &[(String, String)]) -> Result<Vec<KeyContents>, String> {
        let mut found = Vec::new();
        let whole_plan = Arc::clone(&self.plan);
        for (index, plan) in whole_plan.tables.iter().enumerate() {
            let values: Option<Vec<&str>> = plan
                .key()
                .map(|name| given.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str()))
                .collect();
            let Some(values) = values.filter(|values| values.len() == given.len()) else { continue };
            let stream = &whole_plan.streams[plan.stream];
            let write = stream.writes.iter().find(|write| write.table == index).expect("a stream writes its tables");
            let bytes = key_bytes(&write.key, &values)?;
            let key = Key::of(&bytes);
            let reference = self.tables[index].of_mut(key.hash).find(plan, key, &self.interner);
            let table = self.tables[index].of(key.hash);
            let mut events = Vec::new();
            let has_past = reference.is_some_and(|reference| {
                table.each_event(plan, reference, |run, index| {
                    let mut event = Map::new();
                    let time = iso_ticks(run.times()[index], self.plan.ticks_per_second);
                    event.insert("time".to_owned(), json!(time));
                    for column in &plan.columns {
                        let categories = stream.schema.fields.get(column.slot).map(|field| field.categories.as_slice());
                        let payload = payload(column.place, run, index);
                        let value = shown(column.kind, payload, categories.unwrap_or_default(), &self.interner);
                        event.insert(column.text.clone(), self.plain(&value));
                    }
                    events.push(Json::Object(event));
                })
            });
            found.push(KeyContents { table: plan.name.clone(), found: reference.is_some(), has_past, events });
        }
        if found.is_empty() {
            let keys = |plan: &crate::plan::TablePlan| format!("`{}`", plan.key().collect::<Vec<_>>().join("`, `"));
            let known: Vec<String> = self.plan.tables.iter().map(keys).collect();
            return Err(format!("no table has the key columns that are asked for; there are: {}", known.join("; ")));
        }
        Ok(found)
    }

    fn plain(&self, value: &Shown) -> Json {
        match value {
            Shown::Null => Json::Null,
            Shown::Float(x) if x.is_finite() => json!(x),
            Shown::Float(x) => json!(x.to_string()),
            Shown::Int(x) => json!(x),
            Shown::Bool(x) => json!(x),
            Shown::Time(x) => json!(iso_ticks(*x, self.plan.ticks_per_second)),
            Shown::Text(text) => json!(text),
            Shown::List(values) => values.iter().map(|value| self.plain(value)).collect(),
        }
    }
}

/// The bytes of a key whose parts are given as texts.
fn key_bytes(parts: &[KeyPart], values: &[&str]) -> Result<Vec<u8>, String> {
    let mut event = Event::default();
    event.reset(parts.len());
    let mut places = Vec::new();
    for (slot, (part, text)) in parts.iter().zip(values).enumerate() {
        let wrong = |wanted: &str| format!("`{text}` is no {wanted}, which the key is");
        event.values[slot] = match part.kind {
            FieldKind::String | FieldKind::Categorical => Value::Text(event.store(text)),
            FieldKind::Int64 => Value::Int(text.parse().map_err(|_| wrong("whole number"))?),
            FieldKind::Timestamp => Value::Time(text.parse().map_err(|_| wrong("whole number of ticks"))?),
            FieldKind::Float64 => Value::Float(text.parse().map_err(|_| wrong("number"))?),
            FieldKind::Boolean => Value::Bool(text.parse().map_err(|_| wrong("`true` or `false`"))?),
        };
        places.push(KeyPart { slot, kind: part.kind });
    }
    let mut bytes = Vec::new();
    key::encode(&places, &event, &mut bytes);
    Ok(bytes)
}
