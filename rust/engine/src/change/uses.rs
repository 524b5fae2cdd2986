//! What a feature is made of beside its formula: the streams, columns and lookups that it reads, and which of them are others in another
//! definition.

use std::collections::BTreeSet;

use crate::definition::{
    AggregateDefinition, Definition, Expression, FeatureDefinition, StreamDefinition, WindowDefinition,
};

/// What a feature reads, by name.
#[derive(Debug, Default)]
struct Uses {
    /// Whose events are aggregated, or whose rows aggregate.
    streams: BTreeSet<String>,
    /// Of a stream.
    columns: BTreeSet<(String, String)>,
    lookups: BTreeSet<String>,
}

impl Uses {
    fn of(feature: &FeatureDefinition) -> Self {
        let mut uses = Self::default();
        uses.expression(&feature.expression, &feature.stream);
        uses
    }

    fn column(&mut self, stream: &str, name: &str) {
        self.columns.insert((stream.to_owned(), name.to_owned()));
    }

    fn expression(&mut self, expression: &Expression, stream: &str) {
        match expression {
            Expression::Column { name } => self.column(stream, name),
            Expression::Literal { .. } => {}
            Expression::Call { arguments, .. } => arguments.iter().for_each(|each| self.expression(each, stream)),
            Expression::Aggregate(aggregate) => self.aggregate(aggregate, stream),
            Expression::Lookup { lookup, key, .. } => {
                self.lookups.insert(lookup.clone());
                self.expression(key, stream);
            }
        }
    }

    fn aggregate(&mut self, aggregate: &AggregateDefinition, reader: &str) {
        let source = aggregate.stream.as_deref().unwrap_or(reader);
        self.streams.extend([reader.to_owned(), source.to_owned()]);
        aggregate.arguments.iter().chain(&aggregate.condition).for_each(|each| self.expression(each, source));
        if let WindowDefinition::Since { condition } = &aggregate.window {
            self.expression(condition, source);
        }
        for key in &aggregate.keys {
            match &key.expression {
                Some(expression) => self.expression(expression, reader),
                None => self.column(reader, &key.name),
            }
            if source != reader {
                self.column(source, &key.name);
            }
        }
    }
}

/// Why a feature that is written as before means something else: what it reads is another; `None` where it is not.
pub(super) fn touched(feature: &FeatureDefinition, old: &Definition, new: &Definition) -> Option<String> {
    let uses = Uses::of(feature);
    for name in &uses.streams {
        let of = |definition: &Definition| stream(definition, name).cloned();
        let (Some(before), Some(after)) = (of(old), of(new)) else { return Some(format!("stream `{name}` is gone")) };
        if before.time != after.time {
            return Some(format!("the time of stream `{name}` is another column"));
        }
        if before.lateness_ns < after.lateness_ns {
            return Some(format!("the lateness of stream `{name}` is longer"));
        }
    }
    for (name, column) in &uses.columns {
        let of = |definition| stream(definition, name)?.fields.iter().find(|field| field.name == *column);
        if of(old) != of(new) {
            return Some(format!("column `{column}` of stream `{name}` has another type or rule"));
        }
    }
    for name in &uses.lookups {
        let of = |definition: &Definition| definition.lookups.iter().find(|lookup| lookup.name == *name).cloned();
        if of(old) != of(new) {
            return Some(format!("lookup `{name}` has another key or other columns"));
        }
    }
    None
}

fn stream<'a>(definition: &'a Definition, name: &str) -> Option<&'a StreamDefinition> {
    definition.streams.iter().find(|stream| stream.name == name)
}
