//! Arrow columns -> values of an event. Columns are found by name; what can never fit is refused before the first row.

use std::fmt::Write;
use std::ops::Range;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Date64Type, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
    UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, BooleanArray, LargeStringArray, PrimitiveArray, RecordBatch, StringArray, StringViewArray};
use arrow_buffer::NullBuffer;
use arrow_schema::{DataType, SchemaRef, TimeUnit};
use fastfeat_engine::batch::Column;
use fastfeat_engine::definition::FieldKind;
use fastfeat_engine::error::{EventError, Problem};
use fastfeat_engine::schema::{Filling, Raw, Schema};

const DAY: i128 = 86_400_000_000_000;
const SECOND: i128 = 1_000_000_000;

/// A table read into memory: an event a row.
pub struct Table {
    pub batches: Vec<RecordBatch>,
    /// By column of the table that the stream knows: its place in the table and in the stream.
    columns: Vec<(usize, usize)>,
}

impl Table {
    /// Finds the stream's columns and refuses those of a type that never fits.
    pub fn new(schema: &SchemaRef, batches: Vec<RecordBatch>, stream: &Schema) -> Result<Self, EventError> {
        let mut columns: Vec<(usize, usize)> = Vec::new();
        let mut problems = Vec::new();
        for (place, field) in schema.fields().iter().enumerate() {
            let Some(column) = stream.column(field.name()) else { continue };
            let known = &stream.fields[column];
            if columns.iter().any(|(_, other)| *other == column) {
                let message = "the table has two columns of this name; drop or rename one";
                problems.push(Problem::new(field.name(), "there twice", "duplicate", message));
            } else if !fits(known.kind, field.data_type()) {
                let message =
                    format!("a column of this type never holds a {:?}; cast it: {}", known.kind, taken(known.kind));
                problems.push(Problem::new(field.name(), field.data_type(), "type", message));
            } else {
                columns.push((place, column));
            }
        }
        if problems.is_empty() {
            Ok(Self { batches, columns })
        } else {
            Err(EventError::Invalid { stream: stream.stream.clone(), problems })
        }
    }

    pub fn rows(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }

    /// Readers of one batch, to be asked row by row.
    pub fn read<'a>(&'a self, batch: &'a RecordBatch) -> Result<Rows<'a>, String> {
        let reader = |(place, column): &(usize, usize)| Ok((*column, Reader::new(batch.column(*place))?));
        Ok(Rows { readers: self.columns.iter().map(reader).collect::<Result<_, String>>()? })
    }
}

/// The rows of one batch.
pub struct Rows<'a> {
    readers: Vec<(usize, Reader<'a>)>,
}

impl Rows<'_> {
    /// Whether the stream takes every one of some rows of the batch: asked column by column, which is much less work than an event each.
    pub fn all_fit(&self, rows: Range<usize>, schema: &Schema) -> bool {
        let (readers, digits) = (&self.readers, &mut String::new());
        let is_there = |column: usize| readers.iter().any(|(known, _)| *known == column);
        (0..schema.fields.len()).all(|column| schema.may_be_absent(column) || is_there(column))
            && readers
                .iter()
                .all(|(column, reader)| rows.clone().all(|row| schema.accepts(*column, reader.raw(row, digits))))
    }

    /// Looks at the event times of a batch that fits, in ticks and row by row, until something is found.
    pub fn look_at_times<T>(&self, rows: usize, schema: &Schema, look: impl FnMut(i64) -> Option<T>) -> Option<T> {
        let (readers, digits) = (&self.readers, &mut String::new());
        let (_, reader) = readers.iter().find(|(column, _)| *column == schema.time_column)?;
        (0..rows).filter_map(|row| schema.time(reader.raw(row, digits))).find_map(look)
    }

    /// Some values of a column of the stream, as they lie, where none is null and they are of the column's own type.
    pub fn column(
        &self,
        column: usize,
        rows: Range<usize>,
        schema: &Schema,
        ticks_per_second: i64,
    ) -> Option<Column<'_>> {
        let (_, reader) = self.readers.iter().find(|(known, _)| *known == column)?;
        match (schema.fields[column].kind, reader) {
            (FieldKind::Float64, Reader::Float64(array)) if array.null_count() == 0 => {
                Some(Column::Float(&array.values()[rows]))
            }
            (FieldKind::Int64, Reader::Int64(array)) if array.null_count() == 0 => {
                Some(Column::Int(&array.values()[rows]))
            }
            (FieldKind::Timestamp, Reader::Time(values, nulls, unit)) => {
                let is_tick = unit * i128::from(ticks_per_second) == SECOND;
                let has_nulls = nulls.is_some_and(|nulls| nulls.null_count() > 0);
                (is_tick && !has_nulls).then(|| Column::Time(&values[rows]))
            }
            (FieldKind::Boolean, Reader::Bool(array)) if array.null_count() == 0 => {
                let bits = array.values();
                Some(Column::Bool(bits.values(), bits.offset() + rows.start))
            }
            (FieldKind::String, Reader::Text(Texts::Small(array))) if array.null_count() == 0 => {
                let offsets = &array.value_offsets()[rows.start..=rows.end];
                let bytes = &array.value_data()[offsets[0] as usize..offsets[rows.len()] as usize];
                Some(Column::Text(offsets, std::str::from_utf8(bytes).ok()?))
            }
            _ => None,
        }
    }

    #[inline]
    pub fn fill(&self, row: usize, filling: &mut Filling<'_, '_>) {
        let mut digits = String::new();
        for (column, reader) in &self.readers {
            filling.set(*column, reader.raw(row, &mut digits));
        }
    }
}

pub fn is_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Dictionary(_, values) => {
            matches!(**values, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
        }
        _ => false,
    }
}

fn fits(kind: FieldKind, data_type: &DataType) -> bool {
    *data_type == DataType::Null
        || match kind {
            FieldKind::Float64 => data_type.is_integer() || data_type.is_floating(),
            FieldKind::Int64 => data_type.is_integer(),
            FieldKind::Boolean => *data_type == DataType::Boolean,
            FieldKind::String | FieldKind::Categorical => is_text(data_type),
            FieldKind::Timestamp => {
                let is_time = matches!(data_type, DataType::Timestamp(..) | DataType::Date32 | DataType::Date64);
                is_time || data_type.is_integer() || is_text(data_type)
            }
        }
}

fn taken(kind: FieldKind) -> &'static str {
    match kind {
        FieldKind::Float64 => "integers and floats fit",
        FieldKind::Int64 => "integers fit",
        FieldKind::Boolean => "booleans fit",
        FieldKind::String | FieldKind::Categorical => "texts and dictionaries of texts fit",
        FieldKind::Timestamp => "timestamps, dates, integers and ISO 8601 texts fit",
    }
}

/// One column of one batch.
enum Reader<'a> {
    Null,
    Bool(&'a BooleanArray),
    Int8(&'a PrimitiveArray<Int8Type>),
    Int16(&'a PrimitiveArray<Int16Type>),
    Int32(&'a PrimitiveArray<Int32Type>),
    Int64(&'a PrimitiveArray<Int64Type>),
    UInt8(&'a PrimitiveArray<UInt8Type>),
    UInt16(&'a PrimitiveArray<UInt16Type>),
    UInt32(&'a PrimitiveArray<UInt32Type>),
    UInt64(&'a PrimitiveArray<UInt64Type>),
    Float16(&'a PrimitiveArray<Float16Type>),
    Float32(&'a PrimitiveArray<Float32Type>),
    Float64(&'a PrimitiveArray<Float64Type>),
    /// Whole numbers and the nanoseconds that one of them is.
    Time(&'a [i64], Option<&'a NullBuffer>, i128),
    Days(&'a PrimitiveArray<Date32Type>),
    Text(Texts<'a>),
    /// Keys, None where they are null, and what they stand for.
    Dictionary(Vec<Option<usize>>, Texts<'a>),
}

#[derive(Clone, Copy)]
enum Texts<'a> {
    Small(&'a StringArray),
    Large(&'a LargeStringArray),
    View(&'a StringViewArray),
}

impl<'a> Texts<'a> {
    fn new(array: &'a dyn Array) -> Option<Self> {
        match array.data_type() {
            DataType::Utf8 => array.as_string_opt().map(Self::Small),
            DataType::LargeUtf8 => array.as_string_opt().map(Self::Large),
            DataType::Utf8View => array.as_string_view_opt().map(Self::View),
            _ => None,
        }
    }

    #[inline]
    fn raw(self, row: usize) -> Raw<'a> {
        match self {
            Self::Small(array) if array.is_valid(row) => Raw::Text(array.value(row)),
            Self::Large(array) if array.is_valid(row) => Raw::Text(array.value(row)),
            Self::View(array) if array.is_valid(row) => Raw::Text(array.value(row)),
            _ => Raw::Null,
        }
    }
}

impl<'a> Reader<'a> {
    fn new(array: &'a dyn Array) -> Result<Self, String> {
        let data_type = array.data_type();
        if is_text(data_type) {
            // The C interface does not promise UTF-8; a text that is none must not reach a `str`.
            array.to_data().validate_full().map_err(|error| error.to_string())?;
        }
        let reader = match data_type {
            DataType::Null => Some(Self::Null),
            DataType::Boolean => array.as_boolean_opt().map(Self::Bool),
            DataType::Int8 => array.as_primitive_opt().map(Self::Int8),
            DataType::Int16 => array.as_primitive_opt().map(Self::Int16),
            DataType::Int32 => array.as_primitive_opt().map(Self::Int32),
            DataType::Int64 => array.as_primitive_opt().map(Self::Int64),
            DataType::UInt8 => array.as_primitive_opt().map(Self::UInt8),
            DataType::UInt16 => array.as_primitive_opt().map(Self::UInt16),
            DataType::UInt32 => array.as_primitive_opt().map(Self::UInt32),
            DataType::UInt64 => array.as_primitive_opt().map(Self::UInt64),
            DataType::Float16 => array.as_primitive_opt().map(Self::Float16),
            DataType::Float32 => array.as_primitive_opt().map(Self::Float32),
            DataType::Float64 => array.as_primitive_opt().map(Self::Float64),
            DataType::Timestamp(TimeUnit::Second, _) => time::<TimestampSecondType>(array, 1_000_000_000),
            DataType::Timestamp(TimeUnit::Millisecond, _) => time::<TimestampMillisecondType>(array, 1_000_000),
            DataType::Timestamp(TimeUnit::Microsecond, _) => time::<TimestampMicrosecondType>(array, 1_000),
            DataType::Timestamp(TimeUnit::Nanosecond, _) => time::<TimestampNanosecondType>(array, 1),
            DataType::Date64 => time::<Date64Type>(array, 1_000_000),
            DataType::Date32 => array.as_primitive_opt().map(Self::Days),
            DataType::Dictionary(..) => array.as_any_dictionary_opt().and_then(|dictionary| {
                let texts = Texts::new(dictionary.values().as_ref())?;
                // Of a dictionary without values every key is null, and there is nothing to normalise against.
                let keys =
                    if dictionary.values().is_empty() { vec![0; array.len()] } else { dictionary.normalized_keys() };
                let valid = |(row, key)| dictionary.keys().is_valid(row).then_some(key);
                Some(Self::Dictionary(keys.into_iter().enumerate().map(valid).collect(), texts))
            }),
            _ => Texts::new(array).map(Self::Text),
        };
        reader.ok_or_else(|| format!("a column of type {data_type} cannot be read"))
    }

    #[inline]
    fn raw<'b>(&'b self, row: usize, digits: &'b mut String) -> Raw<'b> {
        match self {
            Self::Null => Raw::Null,
            Self::Bool(array) if array.is_valid(row) => Raw::Bool(array.value(row)),
            Self::Int8(array) if array.is_valid(row) => Raw::Int(array.value(row).into()),
            Self::Int16(array) if array.is_valid(row) => Raw::Int(array.value(row).into()),
            Self::Int32(array) if array.is_valid(row) => Raw::Int(array.value(row).into()),
            Self::Int64(array) if array.is_valid(row) => Raw::Int(array.value(row)),
            Self::UInt8(array) if array.is_valid(row) => Raw::Int(array.value(row).into()),
            Self::UInt16(array) if array.is_valid(row) => Raw::Int(array.value(row).into()),
            Self::UInt32(array) if array.is_valid(row) => Raw::Int(array.value(row).into()),
            Self::UInt64(array) if array.is_valid(row) => match i64::try_from(array.value(row)) {
                Ok(value) => Raw::Int(value),
                Err(_) => {
                    digits.clear();
                    let _ = write!(digits, "{}", array.value(row));
                    Raw::BigInt(digits)
                }
            },
            Self::Float16(array) if array.is_valid(row) => Raw::Float(array.value(row).to_f64()),
            Self::Float32(array) if array.is_valid(row) => Raw::Float(array.value(row).into()),
            Self::Float64(array) if array.is_valid(row) => Raw::Float(array.value(row)),
            Self::Time(values, nulls, unit) if nulls.is_none_or(|nulls| nulls.is_valid(row)) => {
                Raw::Time(i128::from(values[row]) * unit)
            }
            Self::Days(array) if array.is_valid(row) => Raw::Time(i128::from(array.value(row)) * DAY),
            Self::Text(texts) => texts.raw(row),
            Self::Dictionary(keys, texts) => keys[row].map_or(Raw::Null, |key| texts.raw(key)),
            _ => Raw::Null,
        }
    }
}

fn time<T: ArrowPrimitiveType<Native = i64>>(array: &dyn Array, unit: i128) -> Option<Reader<'_>> {
    array.as_primitive_opt::<T>().map(|array| Reader::Time(array.values(), array.nulls(), unit))
}
