//! Many rows -> an Arrow table: one column a feature, of the feature's own type, nulls as nulls.

use std::sync::Arc;

use arrow_array::types::{Int32Type, Int64Type, TimestampMicrosecondType, TimestampNanosecondType};
use arrow_array::{
    Array, ArrayRef, BooleanArray, DictionaryArray, Float64Array, ListArray, PrimitiveArray, RecordBatch, StringArray,
};
use arrow_buffer::{BooleanBufferBuilder, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef, TimeUnit};
use fastfeat_engine::definition::FieldKind;
use fastfeat_engine::row::{Cell, FeatureRow, Output, is_null};

use crate::layout::Layout;

/// A batch ends before the offsets of a text column could overflow 32 bits.
const TEXT_BYTES_MAX: usize = 1 << 30;
/// The same of the offsets of a list.
const LIST_ELEMENTS_MAX: usize = 1 << 30;

/// The Arrow schema of a stream's features.
pub fn schema(layout: &Layout) -> SchemaRef {
    let field = |output: &Output| {
        let kind = data_type(output.kind, layout.ticks_per_second);
        let kind = if output.list { DataType::List(Arc::new(Field::new_list_field(kind, true))) } else { kind };
        Field::new(&output.name, kind, true)
    };
    Arc::new(Schema::new(layout.outputs.iter().map(field).collect::<Vec<_>>()))
}

fn data_type(kind: FieldKind, ticks_per_second: i64) -> DataType {
    match kind {
        FieldKind::Float64 => DataType::Float64,
        FieldKind::Int64 => DataType::Int64,
        FieldKind::Boolean => DataType::Boolean,
        FieldKind::String => DataType::Utf8,
        FieldKind::Categorical => DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)),
        FieldKind::Timestamp if ticks_per_second == 1_000_000_000 => {
            DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into()))
        }
        FieldKind::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
    }
}

/// Rows as they come, columns as they go.
pub struct Columns<'a> {
    layout: &'a Layout,
    schema: SchemaRef,
    columns: Vec<Column>,
    finished: Vec<RecordBatch>,
}

enum Column {
    Float(Vec<f64>),
    Bool { values: BooleanBufferBuilder, valid: BooleanBufferBuilder },
    Whole { values: Vec<i64>, valid: BooleanBufferBuilder },
    Code { values: Vec<i32>, valid: BooleanBufferBuilder },
    Text { bytes: Vec<u8>, offsets: Vec<i32>, valid: BooleanBufferBuilder },
    List { elements: Box<Column>, offsets: Vec<i32>, valid: BooleanBufferBuilder },
}

impl Column {
    fn of(output: &Output, rows: usize) -> Self {
        if !output.list {
            return Self::new(output.kind, rows);
        }
        let (elements, valid) = (Box::new(Self::new(output.kind, rows)), BooleanBufferBuilder::new(rows));
        let mut offsets = Vec::with_capacity(rows + 1);
        offsets.push(0);
        Self::List { elements, offsets, valid }
    }

    fn new(kind: FieldKind, rows: usize) -> Self {
        let valid = BooleanBufferBuilder::new(rows);
        match kind {
            FieldKind::Float64 => Self::Float(Vec::with_capacity(rows)),
            FieldKind::Boolean => Self::Bool { values: BooleanBufferBuilder::new(rows), valid },
            FieldKind::Int64 | FieldKind::Timestamp => Self::Whole { values: Vec::with_capacity(rows), valid },
            FieldKind::Categorical => Self::Code { values: Vec::with_capacity(rows), valid },
            FieldKind::String => {
                let mut offsets = Vec::with_capacity(rows + 1);
                offsets.push(0);
                Self::Text { bytes: Vec::new(), offsets, valid }
            }
        }
    }
}

impl Column {
    /// Appends the element of a list, which is never null.
    fn append(&mut self, cell: Cell<'_>, output: &Output) {
        match (self, cell) {
            (Self::Float(values), Cell::Float(value)) => values.push(value),
            (Self::Bool { values, valid }, Cell::Bool(value)) => {
                values.append(value);
                valid.append(true);
            }
            (Self::Whole { values, valid }, Cell::Int(value) | Cell::Time(value)) => {
                values.push(value);
                valid.append(true);
            }
            (Self::Code { values, valid }, Cell::Text(text)) => {
                let code = output.categories.iter().position(|category| category == text);
                values.push(code.map_or(0, |code| code as i32));
                valid.append(code.is_some());
            }
            (Self::Text { bytes, offsets, valid }, Cell::Text(text)) => {
                bytes.extend_from_slice(text.as_bytes());
                offsets.push(bytes.len() as i32);
                valid.append(true);
            }
            _ => unreachable!("the elements of a list are of its type"),
        }
    }

    /// Bytes of its texts.
    fn bytes(&self) -> usize {
        if let Self::Text { bytes, .. } = self { bytes.len() } else { 0 }
    }
}

impl<'a> Columns<'a> {
    pub fn new(layout: &'a Layout, rows: usize) -> Self {
        let columns = layout.outputs.iter().map(|output| Column::of(output, rows)).collect();
        Self { layout, schema: schema(layout), columns, finished: Vec::new() }
    }

    /// Appends a row.
    pub fn push(&mut self, row: &FeatureRow) -> Result<(), ArrowError> {
        let mut full = false;
        for (index, (column, output)) in self.columns.iter_mut().zip(&self.layout.outputs).enumerate() {
            let double = row.values[index];
            match column {
                Column::Float(values) => values.push(double),
                Column::Bool { values, valid } => {
                    values.append(double != 0.0);
                    valid.append(!is_null(double));
                }
                Column::Whole { values, valid } => {
                    values.push(match output.exact {
                        Some(slot) => row.exact[slot],
                        None => double as i64,
                    });
                    valid.append(!is_null(double));
                }
                Column::Code { values, valid } => {
                    values.push(double as i32);
                    valid.append(!is_null(double));
                }
                Column::Text { bytes, offsets, valid } => {
                    let cell = row.cell(index, output);
                    if let Cell::Text(text) = cell {
                        bytes.extend_from_slice(text.as_bytes());
                    }
                    offsets.push(bytes.len() as i32);
                    valid.append(cell != Cell::Null);
                    full |= bytes.len() > TEXT_BYTES_MAX;
                }
                Column::List { elements, offsets, valid } => {
                    let cells = row.list(index, output);
                    valid.append(cells.is_some());
                    let count = cells.into_iter().flatten().map(|cell| elements.append(cell, output)).count();
                    let end = offsets.last().copied().unwrap_or(0) as usize + count;
                    offsets.push(end as i32);
                    full |= end > LIST_ELEMENTS_MAX || elements.bytes() > TEXT_BYTES_MAX;
                }
            }
        }
        if full { self.flush() } else { Ok(()) }
    }

    /// The table.
    pub fn finish(mut self) -> Result<(Vec<RecordBatch>, SchemaRef), ArrowError> {
        self.flush()?;
        Ok((self.finished, self.schema))
    }

    fn flush(&mut self) -> Result<(), ArrowError> {
        let mut arrays = Vec::with_capacity(self.columns.len());
        for (column, output) in self.columns.iter_mut().zip(&self.layout.outputs) {
            let column = std::mem::replace(column, Column::of(output, 0));
            arrays.push(array(column, output, self.layout.ticks_per_second)?);
        }
        self.finished.push(RecordBatch::try_new(Arc::clone(&self.schema), arrays)?);
        Ok(())
    }
}

fn array(column: Column, output: &Output, ticks_per_second: i64) -> Result<ArrayRef, ArrowError> {
    Ok(match column {
        Column::Float(values) => {
            let nulls = values.iter().any(|value| is_null(*value));
            let nulls = nulls.then(|| NullBuffer::from_iter(values.iter().map(|value| !is_null(*value))));
            Arc::new(Float64Array::try_new(values.into(), nulls)?)
        }
        Column::Bool { mut values, valid } => Arc::new(BooleanArray::new(values.finish(), nulls(valid))),
        Column::Whole { values, valid } => {
            let (values, nulls): (ScalarBuffer<i64>, _) = (values.into(), nulls(valid));
            match (output.kind, ticks_per_second) {
                (FieldKind::Timestamp, 1_000_000_000) => {
                    Arc::new(PrimitiveArray::<TimestampNanosecondType>::try_new(values, nulls)?.with_timezone("UTC"))
                }
                (FieldKind::Timestamp, _) => {
                    Arc::new(PrimitiveArray::<TimestampMicrosecondType>::try_new(values, nulls)?.with_timezone("UTC"))
                }
                _ => Arc::new(PrimitiveArray::<Int64Type>::try_new(values, nulls)?),
            }
        }
        Column::Code { values, valid } => {
            let keys = PrimitiveArray::<Int32Type>::try_new(values.into(), nulls(valid))?;
            let categories = Arc::new(StringArray::from_iter_values(&output.categories));
            Arc::new(DictionaryArray::try_new(keys, categories)?)
        }
        Column::List { elements, offsets, valid } => {
            let elements = array(*elements, output, ticks_per_second)?;
            let field = Arc::new(Field::new_list_field(elements.data_type().clone(), true));
            Arc::new(ListArray::try_new(field, OffsetBuffer::new(offsets.into()), elements, nulls(valid))?)
        }
        Column::Text { bytes, offsets, valid } => {
            Arc::new(StringArray::try_new(OffsetBuffer::new(offsets.into()), bytes.into(), nulls(valid))?)
        }
    })
}

fn nulls(mut valid: BooleanBufferBuilder) -> Option<NullBuffer> {
    let nulls = NullBuffer::new(valid.finish());
    (nulls.null_count() > 0).then_some(nulls)
}
