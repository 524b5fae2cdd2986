//! Definition -> Plan: names and types end here, and what features share becomes one.

use std::collections::BTreeMap;

use super::changes::Changes;
use super::expression::{Known, Node, Scope};
use super::layout::{self, FlagBuild, Item, ReadBuild, TableBuild};
use super::rows::finish_stream;
use super::{LanePlan, Past, Plan, WindowPlan, fingerprint, limits};
use crate::aggregate::{self, Aggregate, Lane, What};
use crate::definition::{
    AggregateDefinition, DEFINITION_VERSION, Definition, Expression, FeatureDefinition, FieldKind, OnLate, Ties,
    TimeUnit, WindowDefinition,
};
use crate::derive::{self, Type};
use crate::error::{self, DefinitionError};
use crate::lookup::LookupPlan;
use crate::schema::Schema;
use crate::window::Window;

/// A way out for a name that is not there: `; did you mean `x`? There are: a, b`.
pub(super) fn nearest<'a>(name: &str, names: impl Iterator<Item = &'a str> + Clone) -> String {
    let hint = error::nearest(name, names.clone()).map(|close| format!("; did you mean `{close}`?"));
    let mut all: Vec<&str> = names.take(21).collect();
    if all.len() > 20 {
        all[20] = "...";
    }
    format!("{}; there are: {}", hint.unwrap_or_default(), all.join(", "))
}

/// What one stream's rows need, while it is being found out.
pub(super) struct StreamBuild {
    pub schema: Schema,
    pub lateness: i64,
    pub on_late: OnLate,
    pub scope: Scope,
    pub reads: Vec<ReadBuild>,
    /// One per load of the scope.
    pub results: Vec<Answer>,
    pub features: Vec<(String, Node)>,
    /// By feature, which results it is made of.
    pub made_of: Vec<Vec<usize>>,
}

/// The result of one aggregation.
pub(super) struct Answer {
    pub ty: Type,
    /// Whether 64 bits are needed beside the double.
    pub wide: bool,
    /// Whether it is several values.
    pub list: bool,
    /// The read that answers it.
    pub read: usize,
}

struct Compiler {
    ticks_per_second: i64,
    lookups: Vec<LookupPlan>,
    streams: Vec<StreamBuild>,
    tables: Vec<TableBuild>,
    /// Aggregations made already, by all that makes one what it is.
    made: BTreeMap<String, Node>,
    feature: String,
    /// Results of the feature that is being compiled.
    used: Vec<usize>,
    /// After which change of the definition its state began.
    generation: u32,
}

pub(super) fn compile(definition: &Definition, changes: Changes) -> Result<Plan, DefinitionError> {
    let refuse = |place: &str, message: String| Err(DefinitionError::new(place, message));
    if definition.version != DEFINITION_VERSION {
        return refuse(
            "definition",
            format!("version {} is not known to this release, which reads {DEFINITION_VERSION}", definition.version),
        );
    }
    if definition.streams.is_empty() || definition.streams.len() > limits::STREAMS_MAX {
        return refuse(
            "definition",
            format!("{} streams; 1 to {} are possible", definition.streams.len(), limits::STREAMS_MAX),
        );
    }
    if definition.features.len() > limits::FEATURES_MAX {
        return refuse(
            "definition",
            format!("{} features; {} are possible", definition.features.len(), limits::FEATURES_MAX),
        );
    }
    let fields = || definition.streams.iter().flat_map(|stream| &stream.fields);
    let ticks_per_second =
        if fields().any(|field| field.unit == Some(TimeUnit::Ns)) { 1_000_000_000 } else { 1_000_000 };

    let mut compiler = Compiler {
        ticks_per_second,
        lookups: lookups(definition, ticks_per_second)?,
        streams: Vec::new(),
        tables: Vec::new(),
        made: BTreeMap::new(),
        feature: String::new(),
        used: Vec::new(),
        generation: 0,
    };
    for stream in &definition.streams {
        let place = format!("stream `{}`", stream.name);
        if compiler.streams.iter().any(|other| other.schema.stream == stream.name) {
            return refuse(&place, "is there twice; give each stream its own name".to_owned());
        }
        if stream.lateness_ns < 0 {
            return refuse(&place, format!("a lateness of {} ns is negative; give 0 or more", stream.lateness_ns));
        }
        let schema = Schema::compile(stream, ticks_per_second)?;
        compiler.streams.push(StreamBuild {
            scope: Scope::new(&schema, &stream.fields, ticks_per_second),
            lateness: stream.lateness_ns / (1_000_000_000 / ticks_per_second),
            on_late: stream.on_late,
            schema,
            reads: Vec::new(),
            results: Vec::new(),
            features: Vec::new(),
            made_of: Vec::new(),
        });
    }
    for (index, feature) in definition.features.iter().enumerate() {
        compiler.generation = changes.generation_of(index);
        compiler
            .feature(feature)
            .map_err(|message| DefinitionError::new(format!("feature `{}`", feature.name), message))?;
    }
    compiler.finish(definition, changes)
}

impl Compiler {
    fn stream(&self, name: &str) -> Result<usize, String> {
        let names = self.streams.iter().map(|stream| stream.schema.stream.as_str());
        let found = self.streams.iter().position(|stream| stream.schema.stream == name);
        found.ok_or_else(|| format!("there is no stream `{name}`{}", nearest(name, names)))
    }

    fn feature(&mut self, feature: &FeatureDefinition) -> Result<(), String> {
        if feature.name.is_empty() {
            return Err("a feature needs a name".to_owned());
        }
        let stream = self.stream(&feature.stream)?;
        if self.streams[stream].features.iter().any(|(name, _)| *name == feature.name) {
            return Err("is there twice; give each feature its own name".to_owned());
        }
        self.feature.clone_from(&feature.name);
        self.used.clear();
        let node = self.expression(&feature.expression, stream, true, 0)?;
        let stream = &mut self.streams[stream];
        stream.features.push((feature.name.clone(), node));
        stream.made_of.push(self.used.clone());
        Ok(())
    }

    /// The node of an expression over `stream`; aggregations only where a row is made.
    fn expression(&mut self, expression: &Expression, stream: usize, row: bool, depth: usize) -> Result<Node, String> {
        if depth > limits::DEPTH_MAX {
            return Err(format!(
                "the expression is more than {} levels deep; make features of its parts",
                limits::DEPTH_MAX
            ));
        }
        match expression {
            Expression::Column { name } => self.column(name, stream),
            Expression::Literal { value } => self.streams[stream].scope.literal(value),
            Expression::Call { function, arguments } if function == derive::IS_IN => {
                let Some((value, constants)) = arguments.split_first() else {
                    return Err("`is_in` needs a value: `col(\"...\").is_in([...])`".to_owned());
                };
                let node = self.expression(value, stream, row, depth + 1)?;
                self.streams[stream].scope.is_in(node, constants)
            }
            Expression::Call { function, arguments } => {
                let nodes = arguments.iter().map(|argument| self.expression(argument, stream, row, depth + 1));
                let nodes = nodes.collect::<Result<Vec<_>, _>>()?;
                if nodes.iter().any(|&node| self.is_list(stream, node)) {
                    return Err(format!("`{function}` takes single values, not the list of `last_k` or `top_k`"));
                }
                self.streams[stream].scope.call(function, &nodes)
            }
            Expression::Lookup { lookup, key, column } => {
                let key = self.expression(key, stream, row, depth + 1)?;
                let names = self.lookups.iter().map(|plan| plan.name.as_str());
                let Some(index) = self.lookups.iter().position(|plan| plan.name == *lookup) else {
                    return Err(format!("there is no lookup `{lookup}`{}", nearest(lookup, names)));
                };
                self.streams[stream].scope.lookup(index, &self.lookups[index], key, column)
            }
            Expression::Aggregate(aggregate) if row => {
                let node = self.aggregate(aggregate, stream)?;
                if let Known::Load(load) = self.streams[stream].scope.nodes[node].known
                    && !self.used.contains(&load)
                {
                    self.used.push(load);
                }
                Ok(node)
            }
            Expression::Aggregate(aggregate) => Err(format!(
                "`{}` stands inside another aggregation; aggregate over fields, and combine aggregations outside",
                aggregate.kind
            )),
        }
    }

    fn column(&self, name: &str, stream: usize) -> Result<Node, String> {
        let schema = &self.streams[stream].schema;
        let names = schema.fields.iter().map(|field| field.name.as_str());
        // The first nodes of a scope are its columns.
        schema
            .column(name)
            .ok_or_else(|| format!("stream `{}` has no field `{name}`{}", schema.stream, nearest(name, names)))
    }

    /// Whether a node is the list of an aggregation.
    fn is_list(&self, stream: usize, node: Node) -> bool {
        let stream = &self.streams[stream];
        matches!(stream.scope.nodes[node].known, Known::Load(load) if stream.results[load].list)
    }

    fn aggregate(&mut self, definition: &AggregateDefinition, reader: usize) -> Result<Node, String> {
        let Some(kind) = aggregate::aggregate(&definition.kind) else {
            let names = aggregate::AGGREGATES.iter().map(|aggregate| aggregate.name);
            return Err(format!("there is no aggregation `{}`{}", definition.kind, nearest(&definition.kind, names)));
        };
        let source = definition.stream.as_deref().map_or(Ok(reader), |name| self.stream(name))?;
        let arguments = definition.arguments.iter().map(|argument| self.expression(argument, source, false, 0));
        let arguments = arguments.collect::<Result<Vec<_>, _>>()?;
        let types: Vec<Type> = arguments.iter().map(|&node| self.streams[source].scope.ty(node)).collect();
        let ty = kind.output(&types)?;
        let (what, half_life_ns) = kind.with(&definition.parameters)?;
        let condition = definition.condition.as_ref().map(|condition| self.condition("where", condition, source));
        let condition = condition.transpose()?;
        let window = Window::compile(&definition.window, self.ticks_per_second)?;
        let what = fits(kind, what, &window, source == reader, self.ticks_per_second)?;
        let ties = definition.ties == Ties::Include;
        let plan = WindowPlan {
            window,
            current: definition.include_current && ties,
            ties,
            flag: None,
            head: 0,
            plain: None,
            past: Past::None,
        };
        let since = match &definition.window {
            WindowDefinition::Since { condition } => Some(self.condition("since", condition, source)?),
            _ => None,
        };
        let (write_key, read_key) = self.keys(definition, source, reader)?;
        let table = self.table(source, &write_key, definition);
        let read = self.read(reader, table, source == reader, &read_key);
        let features = &mut self.tables[table].features;
        if features.last() != Some(&self.feature) {
            features.push(self.feature.clone());
        }
        let identity = format!(
            "{reader} {read} {} {what:?} {half_life_ns} {arguments:?} {condition:?} {since:?} {plan:?}",
            kind.number
        );
        if let Some(&node) = self.made.get(&identity) {
            return Ok(node);
        }

        let half_life = half_life_ns / (1_000_000_000 / self.ticks_per_second);
        if half_life_ns > 0 && half_life == 0 {
            return Err(format!(
                "a half-life of {half_life_ns} ns is shorter than the streams' tick; give a longer one"
            ));
        }
        let build = &mut self.tables[table];
        let scope = &self.streams[source].scope;
        let time = self.streams[source].schema.time_column;
        let flag = match (&plan.window, since) {
            (Window::Session(session), _) => FlagBuild::Gap(build.gap(session.gap)),
            (_, Some(condition)) => {
                FlagBuild::Mask(build.mask(scope, &[], Some(condition)).expect("a condition makes a mask"))
            }
            _ => FlagBuild::None,
        };
        let lane = lane(kind, build, scope, &arguments, condition, time, half_life);
        let categories = arguments
            .first()
            .filter(|_| ty.kind == FieldKind::Categorical)
            .and_then(|&node| scope.nodes[node].categories.clone());
        let list = kind.result == aggregate::Outcome::List;
        let wide = list
            || matches!(ty.kind, FieldKind::String | FieldKind::Timestamp)
            || ty.kind == FieldKind::Int64 && kind.result != aggregate::Outcome::Count;

        let stream = &mut self.streams[reader];
        let node = stream.scope.load(ty, categories);
        let result = stream.results.len();
        stream.results.push(Answer { ty, wide, list, read });
        stream.reads[read].items.push(Item { lane, window: plan, flag, what, result });
        self.made.insert(identity, node);
        Ok(node)
    }

    /// A Boolean over the fields of a stream.
    fn condition(&mut self, place: &str, condition: &Expression, stream: usize) -> Result<Node, String> {
        let node = self.expression(condition, stream, false, 0)?;
        let found = self.streams[stream].scope.ty(node);
        if found.kind != FieldKind::Boolean {
            return Err(format!("`{place}` takes a Boolean, not a {}; compare it with something", found.name()));
        }
        Ok(node)
    }

    /// Key nodes in the scope of the stream that writes, and in that of the one that reads.
    fn keys(
        &mut self,
        definition: &AggregateDefinition,
        source: usize,
        reader: usize,
    ) -> Result<(Vec<Node>, Vec<Node>), String> {
        let (mut write, mut read) = (Vec::new(), Vec::new());
        for key in &definition.keys {
            let expression = key.expression.as_ref();
            let reads = match expression {
                Some(expression) => self.expression(expression, reader, false, 0)?,
                None => self.column(&key.name, reader)?,
            };
            let reads = self.streams[reader].scope.textual(reads)?;
            let writes = if source == reader {
                reads
            } else {
                let column = self.column(&key.name, source)?;
                self.streams[source].scope.textual(column)?
            };
            let (a, b) = (self.streams[source].scope.ty(writes), self.streams[reader].scope.ty(reads));
            if a.kind != b.kind {
                return Err(format!(
                    "key `{}` is a {} in stream `{}` and a {} in stream `{}`; make them one type",
                    key.name,
                    a.name(),
                    self.streams[source].schema.stream,
                    b.name(),
                    self.streams[reader].schema.stream
                ));
            }
            if write.contains(&writes) && source == reader {
                return Err(format!("key `{}` is there twice; name each key once", key.name));
            }
            write.push(writes);
            read.push(reads);
        }
        Ok((write, read))
    }

    fn table(&mut self, stream: usize, key: &[Node], definition: &AggregateDefinition) -> usize {
        let generation = self.generation;
        let same = |table: &TableBuild| (table.stream, table.generation) == (stream, generation) && table.key == key;
        if let Some(table) = self.tables.iter().position(same) {
            return table;
        }
        let names: Vec<&str> = definition.keys.iter().map(|key| key.name.as_str()).collect();
        let name = match names.as_slice() {
            [] => self.streams[stream].schema.stream.clone(),
            names => format!("{} by {}", self.streams[stream].schema.stream, names.join(", ")),
        };
        let name = if generation == 0 { name } else { format!("{name} since change {generation}") };
        self.tables.push(TableBuild { name, stream, generation, key: key.to_vec(), ..TableBuild::default() });
        self.tables.len() - 1
    }

    fn read(&mut self, reader: usize, table: usize, own: bool, key: &[Node]) -> usize {
        let reads = &mut self.streams[reader].reads;
        if let Some(read) = reads.iter().position(|read| read.table == table && read.key == key) {
            return read;
        }
        let readers = &mut self.tables[table].readers;
        if !readers.contains(&reader) {
            readers.push(reader);
        }
        reads.push(ReadBuild { table, own, key: key.to_vec(), items: Vec::new() });
        reads.len() - 1
    }

    fn finish(self, definition: &Definition, changes: Changes) -> Result<Plan, DefinitionError> {
        let Self { ticks_per_second, lookups, mut streams, tables, .. } = self;
        let layouts: Vec<_> =
            tables.iter().enumerate().map(|(index, table)| layout::record(index, table, &streams)).collect();
        let mut finished = Vec::new();
        for index in 0..streams.len() {
            let place = format!("stream `{}`", streams[index].schema.stream);
            let plan = finish_stream(index, &mut streams, &tables, &layouts);
            finished.push(plan.map_err(|message| DefinitionError::new(place, message))?);
        }
        let tables = layout::tables(tables, layouts, &streams, &mut finished);
        let (fingerprint, definition) = fingerprint(definition, &finished);
        Ok(Plan { streams: finished, tables, lookups, ticks_per_second, fingerprint, definition, changes })
    }
}

fn lookups(definition: &Definition, ticks_per_second: i64) -> Result<Vec<LookupPlan>, DefinitionError> {
    let count = definition.lookups.len();
    if count > limits::LOOKUPS_MAX {
        let message = format!("{count} lookups; {} are possible", limits::LOOKUPS_MAX);
        return Err(DefinitionError::new("definition", message));
    }
    let mut plans: Vec<LookupPlan> = Vec::new();
    for lookup in &definition.lookups {
        if plans.iter().any(|other| other.name == lookup.name) {
            let place = format!("lookup `{}`", lookup.name);
            return Err(DefinitionError::new(place, "is there twice; give each lookup its own name"));
        }
        plans.push(LookupPlan::compile(lookup, ticks_per_second)?);
    }
    Ok(plans)
}

/// Refuses what has no meaning or no bounded answer over a window; completes what depends on its length.
fn fits(kind: &Aggregate, what: What, window: &Window, own: bool, ticks_per_second: i64) -> Result<What, String> {
    let name = kind.name;
    match what {
        What::Rate(_) => match window.length() {
            Some(length) => Ok(What::Rate(length as f64 / ticks_per_second as f64)),
            None => Err(format!(
                "`{name}` needs a window with a length, and `{}` has none; use a rolling, tumbling or hopping one",
                window.name()
            )),
        },
        What::Quantile(q) if matches!(window, Window::All(_) | Window::Hopping(_)) => Err(format!(
            "`{name}` over `{}` would have to keep every value; use `approx_quantile({q})`, or a rolling window",
            window.name()
        )),
        What::IsFirst if !own => Err(format!(
            "`{name}` is about the row's own event, and that is of another stream; use `n_unique`, or the feature's own stream"
        )),
        what => Ok(what),
    }
}

/// The lane of the table that answers.
fn lane(
    kind: &Aggregate,
    build: &mut TableBuild,
    scope: &Scope,
    arguments: &[Node],
    condition: Option<Node>,
    time: usize,
    half_life: i64,
) -> usize {
    let mask = build.mask(scope, arguments, condition);
    let valued = !matches!(kind.lane, Lane::Count | Lane::Time);
    let columns: Vec<usize> =
        arguments.iter().filter(|_| valued).map(|&node| build.column(scope, node, time)).collect();
    let column = columns.first().copied().unwrap_or_default();
    let other = columns.get(1).copied().unwrap_or_default();
    build.lane(match kind.lane {
        Lane::Count => LanePlan::Count { mask },
        Lane::Moments { squares } => LanePlan::Moments { column, mask, squares },
        Lane::Higher => LanePlan::Higher { column, mask },
        Lane::Pair => LanePlan::Pair { x: column, y: other, mask },
        Lane::Slope => LanePlan::Slope { column, mask },
        Lane::Extreme { max } => LanePlan::Extreme { column, mask, max, beside: None },
        Lane::ExtremeBy { max } => LanePlan::Extreme { column: other, mask, max, beside: Some(column) },
        Lane::Distinct => LanePlan::Distinct { column, mask, flag: 0, previous: None },
        Lane::Rank => LanePlan::Rank { column, mask },
        Lane::Tally => LanePlan::Tally { column, mask, buckets: false },
        Lane::Buckets => LanePlan::Tally { column, mask, buckets: true },
        Lane::Registers => LanePlan::Registers { column, mask },
        Lane::Decay => LanePlan::Decay { column, mask, half_life },
        Lane::Entry => LanePlan::Entry { column: Some(column), mask },
        Lane::Time => LanePlan::Entry { column: None, mask },
    })
}
