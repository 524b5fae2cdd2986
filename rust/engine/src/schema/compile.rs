//! StreamDefinition -> Schema. Every mistake in the fields of a stream is refused here, with its place and the way out.

use regex::{Regex, RegexBuilder};

use super::check::{Bounds, Broken, Check, Codes, Pattern, Written};
use super::explain::{kind_name, message};
use super::instant::{self, Clock};
use super::{DefaultValue, Field, Raw, Schema};
use crate::definition::{
    FieldDefinition, FieldKind, FloatLiteral, Literal, LookupColumn, LookupDefinition, StreamDefinition, TimeUnit,
};
use crate::error::{DefinitionError, nearest};
use crate::event::{Event, Value};

type Outcome<T> = Result<T, String>;

pub(super) fn compile(definition: &StreamDefinition, ticks_per_second: i64) -> Result<Schema, DefinitionError> {
    let stream = &definition.name;
    let at_stream = |message: String| DefinitionError::new(format!("stream `{stream}`"), message);
    if stream.is_empty() {
        return Err(at_stream("a stream needs a name; write Stream(\"payments\", ...)".to_owned()));
    }
    let place = |field: &str| format!("stream `{stream}`, field `{field}`");
    let (fields, by_name) =
        compile_fields(&definition.fields, ticks_per_second, "field").map_err(|(field, message)| match field {
            None => at_stream(message),
            Some(field) => DefinitionError::new(place(&field), message),
        })?;
    let time_column = time_column(definition, &fields).map_err(at_stream)?;
    Ok(Schema { stream: stream.clone(), fields, time_column, by_name })
}

/// The columns of a lookup: all but its key may be null, every double is a value, and no column is a time of events.
pub(super) fn compile_lookup(definition: &LookupDefinition, ticks_per_second: i64) -> Result<Schema, DefinitionError> {
    let field = |column: &LookupColumn| FieldDefinition {
        name: column.name.clone(),
        kind: column.kind,
        nullable: column.name != definition.key,
        default: None,
        ge: None,
        gt: None,
        le: None,
        lt: None,
        one_of: None,
        pattern: None,
        max_bytes: (column.kind == FieldKind::String).then_some(Schema::TEXT_BYTES_MAX),
        allow_nan: column.kind == FieldKind::Float64,
        unit: None,
        categories: None,
    };
    let fields: Vec<_> = definition.columns.iter().map(field).collect();
    let (fields, by_name) =
        compile_fields(&fields, ticks_per_second, "column").map_err(|(column, message)| match column {
            None => DefinitionError::new("lookup", message),
            Some(column) => DefinitionError::new("lookup", format!("column `{column}`: {message}")),
        })?;
    Ok(Schema { stream: definition.name.clone(), fields, time_column: usize::MAX, by_name })
}

/// Fields, and their order by name.
type Fields = (Vec<Field>, Box<[u32]>);

/// The field that is at fault, if it is one, and the message.
type Fault = (Option<String>, String);

fn compile_fields(definitions: &[FieldDefinition], ticks_per_second: i64, word: &str) -> Result<Fields, Fault> {
    let count = definitions.len();
    if count > Schema::FIELDS_MAX {
        return Err((None, format!("it has {count} {word}s and {} are allowed; drop some", Schema::FIELDS_MAX)));
    }
    let mut fields = Vec::with_capacity(count);
    for field in definitions {
        fields.push(compile_field(field, ticks_per_second).map_err(|message| (Some(field.name.clone()), message))?);
    }
    let mut by_name: Box<[u32]> = (0..count as u32).collect();
    by_name.sort_by(|a, b| fields[*a as usize].name.cmp(&fields[*b as usize].name));
    if let Some(twice) = by_name.windows(2).find(|two| fields[two[0] as usize].name == fields[two[1] as usize].name) {
        let name = fields[twice[0] as usize].name.clone();
        return Err((Some(name), format!("there are two {word}s of this name; rename one of them")));
    }
    Ok((fields, by_name))
}

fn time_column(definition: &StreamDefinition, fields: &[Field]) -> Outcome<usize> {
    let time = &definition.time;
    let Some(column) = fields.iter().position(|field| field.name == *time) else {
        let way_out = match nearest(time, fields.iter().map(|field| field.name.as_str())) {
            Some(name) => format!("did you mean `{name}`?"),
            None => match fields.iter().find(|field| field.kind == FieldKind::Timestamp) {
                Some(field) => format!("write time=\"{}\"", field.name),
                None => "add a field of type Timestamp and name it".to_owned(),
            },
        };
        return Err(format!("time=`{time}` is no field of this stream; {way_out}"));
    };
    let field = &fields[column];
    if field.kind != FieldKind::Timestamp {
        let kind = kind_name(field.kind);
        return Err(format!("time=`{time}` is a field of type {kind}; the time of an event must be a Timestamp"));
    }
    if field.nullable {
        return Err(format!("time=`{time}` is nullable; every event needs a time: drop nullable"));
    }
    if field.default.is_some() {
        return Err(format!("time=`{time}` has a default; every event needs its own time: drop default"));
    }
    Ok(column)
}

fn compile_field(definition: &FieldDefinition, ticks_per_second: i64) -> Outcome<Field> {
    if definition.name.is_empty() {
        return Err("a field needs a name".to_owned());
    }
    refuse_misfits(definition)?;
    let unit = definition.unit.unwrap_or(TimeUnit::Us);
    let check = match definition.kind {
        FieldKind::Float64 => {
            let greatest = if definition.allow_nan { f64::INFINITY } else { f64::MAX };
            let bounds = bounds(definition, (-greatest, greatest), |_, literal| float_of(literal))?;
            Check::Float { bounds, allow_nan: definition.allow_nan, one_of: list(definition, float_of)? }
        }
        FieldKind::Int64 => {
            let mut one_of = list(definition, int_of)?;
            one_of.iter_mut().for_each(|list| list.sort_unstable());
            Check::Int { bounds: bounds(definition, (i64::MIN, i64::MAX), |_, literal| int_of(literal))?, one_of }
        }
        FieldKind::Boolean => Check::Bool,
        FieldKind::Timestamp => {
            let clock = Clock::new(ticks_per_second, unit);
            let bounds =
                bounds(definition, (i64::MIN, i64::MAX), |rounding, literal| time_of(rounding, literal, clock))?;
            Check::Time { bounds, clock }
        }
        FieldKind::String => {
            let mut one_of = list(definition, text_of)?;
            one_of.iter_mut().for_each(|list| list.sort_unstable());
            Check::Text { bytes_max: bytes_max(definition)?, pattern: pattern(definition)?, one_of }
        }
        FieldKind::Categorical => Check::Categorical(codes(definition)?),
    };
    let mut field = Field {
        name: definition.name.clone(),
        kind: definition.kind,
        nullable: definition.nullable,
        unit,
        categories: definition.categories.clone().unwrap_or_default(),
        check,
        default: None,
    };
    field.default = default(definition, &field)?;
    Ok(field)
}

/// A rule is refused where its type has no use for it, rather than ignored.
fn refuse_misfits(definition: &FieldDefinition) -> Outcome<()> {
    use FieldKind::{Categorical, Float64, Int64, String, Timestamp};
    let numbers: &[FieldKind] = &[Float64, Int64, Timestamp];
    let rules: [(&str, bool, &[FieldKind]); 10] = [
        ("ge", definition.ge.is_some(), numbers),
        ("gt", definition.gt.is_some(), numbers),
        ("le", definition.le.is_some(), numbers),
        ("lt", definition.lt.is_some(), numbers),
        ("one_of", definition.one_of.is_some(), &[Float64, Int64, String]),
        ("pattern", definition.pattern.is_some(), &[String]),
        ("max_bytes", definition.max_bytes.is_some(), &[String]),
        ("allow_nan", definition.allow_nan, &[Float64]),
        ("unit", definition.unit.is_some(), &[Timestamp]),
        ("categories", definition.categories.is_some(), &[Categorical]),
    ];
    for (rule, given, fitting) in rules {
        if given && !fitting.contains(&definition.kind) {
            let fitting = fitting.iter().map(|kind| kind_name(*kind)).collect::<Vec<_>>().join(", ");
            let kind = kind_name(definition.kind);
            return Err(format!("`{rule}` fits fields of type {fitting}, not {kind}; drop it"));
        }
    }
    Ok(())
}

/// Where a bound finer than a tick goes, so that it still parts the same instants.
#[derive(Clone, Copy)]
enum Rounding {
    Up,
    Down,
}

/// A type with bounds: what comes next to a value on either side.
trait Ordered: PartialOrd + Copy {
    fn above(self) -> Option<Self>;
    fn below(self) -> Option<Self>;
}

impl Ordered for f64 {
    fn above(self) -> Option<Self> {
        (self < Self::INFINITY).then(|| self.next_up())
    }

    fn below(self) -> Option<Self> {
        (self > Self::NEG_INFINITY).then(|| self.next_down())
    }
}

impl Ordered for i64 {
    fn above(self) -> Option<Self> {
        self.checked_add(1)
    }

    fn below(self) -> Option<Self> {
        self.checked_sub(1)
    }
}

fn bounds<T: Ordered>(
    definition: &FieldDefinition,
    (mut least, mut greatest): (T, T),
    value_of: impl Fn(Rounding, &Literal) -> Option<T>,
) -> Outcome<Bounds<T>> {
    let read = |rule: &str, rounding, literal: &Option<Literal>| match literal {
        None => Ok(None),
        // A NaN is no bound: it does not even equal itself.
        Some(literal) => match value_of(rounding, literal).filter(|value| value.partial_cmp(value).is_some()) {
            Some(value) => Ok(Some(value)),
            None => Err(misfit(rule, literal, definition.kind)),
        },
    };
    let written = Written {
        ge: read("ge", Rounding::Up, &definition.ge)?,
        gt: read("gt", Rounding::Down, &definition.gt)?,
        le: read("le", Rounding::Down, &definition.le)?,
        lt: read("lt", Rounding::Up, &definition.lt)?,
    };
    let nothing = || "no value keeps all of its bounds; swap or drop one".to_owned();
    let lower = [written.ge, written.gt.map(|bound| bound.above().ok_or_else(nothing)).transpose()?];
    let upper = [written.le, written.lt.map(|bound| bound.below().ok_or_else(nothing)).transpose()?];
    for bound in lower.into_iter().flatten() {
        least = if bound > least { bound } else { least };
    }
    for bound in upper.into_iter().flatten() {
        greatest = if bound < greatest { bound } else { greatest };
    }
    if least > greatest { Err(nothing()) } else { Ok(Bounds { least, greatest, written }) }
}

fn list<T>(definition: &FieldDefinition, value_of: impl Fn(&Literal) -> Option<T>) -> Outcome<Option<Box<[T]>>> {
    let Some(literals) = &definition.one_of else { return Ok(None) };
    if literals.is_empty() {
        return Err("`one_of` is empty, so no value would do; list the values, or drop it".to_owned());
    }
    let read = |literal| value_of(literal).ok_or_else(|| misfit("one_of", literal, definition.kind));
    literals.iter().map(read).collect::<Outcome<Box<[T]>>>().map(Some)
}

fn misfit(rule: &str, literal: &Literal, kind: FieldKind) -> String {
    let shown = match literal {
        Literal::Null => "null".to_owned(),
        Literal::Bool(value) => value.to_string(),
        Literal::Int(value) => value.to_string(),
        Literal::Float(FloatLiteral::Number(value)) => format!("{value:?}"),
        Literal::Float(FloatLiteral::Name(name)) => name.clone(),
        Literal::Text(text) => format!("{text:?}"),
        Literal::Time(nanoseconds) => instant::iso(i128::from(*nanoseconds)),
    };
    format!("`{rule}` is {shown}, which is no value of type {}; write one of that type", kind_name(kind))
}

fn float_of(literal: &Literal) -> Option<f64> {
    match literal {
        Literal::Int(value) => Some(*value as f64),
        Literal::Float(FloatLiteral::Number(value)) => Some(*value),
        Literal::Float(FloatLiteral::Name(name)) => match name.as_str() {
            "inf" => Some(f64::INFINITY),
            "-inf" => Some(f64::NEG_INFINITY),
            "nan" => Some(f64::NAN),
            _ => None,
        },
        _ => None,
    }
}

fn int_of(literal: &Literal) -> Option<i64> {
    match literal {
        Literal::Int(value) => Some(*value),
        _ => None,
    }
}

fn text_of(literal: &Literal) -> Option<Box<str>> {
    match literal {
        Literal::Text(text) => Some(text.as_str().into()),
        _ => None,
    }
}

fn time_of(rounding: Rounding, literal: &Literal, clock: Clock) -> Option<i64> {
    let nanoseconds = match literal {
        Literal::Int(number) => return clock.ticks_of_number(*number),
        Literal::Time(nanoseconds) => i128::from(*nanoseconds),
        Literal::Text(text) => instant::parse_iso(text)?,
        _ => return None,
    };
    match rounding {
        Rounding::Down => clock.ticks_of_nanoseconds(nanoseconds),
        Rounding::Up => clock.ticks_of_nanoseconds(nanoseconds + clock.nanoseconds_below_tick()),
    }
}

fn bytes_max(definition: &FieldDefinition) -> Outcome<usize> {
    let bytes_max = definition.max_bytes.unwrap_or(Schema::TEXT_BYTES_DEFAULT);
    match bytes_max {
        0 => Err("`max_bytes` is 0, so only the empty text would do; write 1 or more".to_owned()),
        1..=Schema::TEXT_BYTES_MAX => Ok(bytes_max as usize),
        _ => Err(format!("`max_bytes` is {bytes_max}; up to {} are allowed", Schema::TEXT_BYTES_MAX)),
    }
}

fn pattern(definition: &FieldDefinition) -> Outcome<Option<Pattern>> {
    let Some(written) = &definition.pattern else { return Ok(None) };
    let refused = |error: regex::Error| format!("`pattern` is no regular expression of Rust's regex: {error}");
    // On its own first: `a)(b` must not become valid by being wrapped.
    Regex::new(written).map_err(refused)?;
    let wrapped = |end| RegexBuilder::new(&format!(r"\A(?:{written}{end})\z")).build();
    // A comment at the end of a verbose pattern would swallow the closing parenthesis.
    let whole = wrapped("").or_else(|_| wrapped("\n")).map_err(refused)?;
    Ok(Some(Pattern { written: written.clone(), whole }))
}

fn codes(definition: &FieldDefinition) -> Outcome<Codes> {
    let categories = definition.categories.as_deref().unwrap_or_default();
    if categories.is_empty() {
        return Err("it has no categories; list them: Categorical([\"a\", \"b\"])".to_owned());
    }
    let mut codes: Codes = (0..).zip(categories).map(|(code, name)| (name.as_str().into(), code)).collect();
    codes.sort_unstable();
    match codes.windows(2).find(|two| two[0].0 == two[1].0) {
        Some(twice) => Err(format!("category {:?} is listed twice; drop one", twice[0].0)),
        None => Ok(codes),
    }
}

fn default(definition: &FieldDefinition, field: &Field) -> Outcome<Option<DefaultValue>> {
    let Some(literal) = &definition.default else { return Ok(None) };
    let raw = match literal {
        Literal::Null if definition.nullable => return Ok(None),
        Literal::Null => return Err("`default` is null and the field is not nullable; declare nullable".to_owned()),
        Literal::Bool(value) => Raw::Bool(*value),
        Literal::Int(value) => Raw::Int(*value),
        Literal::Float(_) => Raw::Float(float_of(literal).ok_or_else(|| misfit("default", literal, definition.kind))?),
        Literal::Text(text) => Raw::Text(text),
        Literal::Time(nanoseconds) => Raw::Time(i128::from(*nanoseconds)),
    };
    match field.check(raw, &mut Event::default()) {
        Ok(Value::Text(_)) => match literal {
            Literal::Text(text) => Ok(Some(DefaultValue::Text(text.as_str().into()))),
            _ => unreachable!("only a text passes the check of a text"),
        },
        Ok(value) => Ok(Some(DefaultValue::Value(value))),
        Err(Broken::Type) => Err(misfit("default", literal, definition.kind)),
        Err(broken) => {
            Err(format!("`default` breaks the field's own rule `{}`: {}", broken.rule(), message(field, broken, raw)))
        }
    }
}
