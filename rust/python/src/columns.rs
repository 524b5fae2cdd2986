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

/// Rows as they come, columns as they go: a block of rows is turned into columns at once, so that the type of a column is asked for once a
/// block rather than once a row.
pub struct Columns<'a> {
    layout: &'a Layout,
    schema: SchemaRef,
    columns: Vec<Column>,
    /// Those of texts and lists, whose values lie beside the doubles of a row.
    apart: Vec<usize>,
    /// Doubles and exact values of the rows of a block, one row after the other.
    values: Vec<f64>,
    exact: Vec<i64>,
    finished: Vec<RecordBatch>,
}

/// Rows of a block.
const BLOCK: usize = 64;

struct Column {
    values: Values,
    valid: BooleanBufferBuilder,
}

enum Values {
    Float(Vec<f64>),
    Bool(BooleanBufferBuilder),
    Whole(Vec<i64>),
    Code(Vec<i32>),
    Text { bytes: Vec<u8>, offsets: Vec<i32> },
    List { elements: Box<Column>, offsets: Vec<i32> },
}

/// Offsets of nothing yet.
fn offsets(rows: usize) -> Vec<i32> {
    let mut offsets = Vec::with_capacity(rows + 1);
    offsets.push(0);
    offsets
}

impl Column {
    fn of(output: &Output, rows: usize) -> Self {
        if !output.list {
            return Self::new(output.kind, rows);
        }
        let elements = Box::new(Self::new(output.kind, rows));
        Self { values: Values::List { elements, offsets: offsets(rows) }, valid: BooleanBufferBuilder::new(rows) }
    }

    fn new(kind: FieldKind, rows: usize) -> Self {
        let values = match kind {
            FieldKind::Float64 => Values::Float(Vec::with_capacity(rows)),
            FieldKind::Boolean => Values::Bool(BooleanBufferBuilder::new(rows)),
            FieldKind::Int64 | FieldKind::Timestamp => Values::Whole(Vec::with_capacity(rows)),
            FieldKind::Categorical => Values::Code(Vec::with_capacity(rows)),
            FieldKind::String => Values::Text { bytes: Vec::new(), offsets: offsets(rows) },
        };
        Self { values, valid: BooleanBufferBuilder::new(rows) }
    }

    /// Appends a block's doubles, or the exact values that belong to them; nothing to a column whose values lie apart.
    fn extend(
        &mut self,
        doubles: impl ExactSizeIterator<Item = f64> + Clone,
        exact: Option<impl Iterator<Item = i64>>,
    ) {
        match (&mut self.values, exact) {
            (Values::Float(values), _) => values.extend(doubles.clone()),
            (Values::Bool(values), _) => doubles.clone().for_each(|double| values.append(double != 0.0)),
            (Values::Whole(values), Some(exact)) => values.extend(exact),
            (Values::Whole(values), None) => values.extend(doubles.clone().map(|double| double as i64)),
            (Values::Code(values), _) => values.extend(doubles.clone().map(|double| double as i32)),
            (Values::Text { .. } | Values::List { .. }, _) => return,
        }
        if doubles.clone().any(is_null) {
            doubles.for_each(|double| self.valid.append(!is_null(double)));
        } else {
            self.valid.append_n(doubles.len(), true);
        }
    }

    /// Appends what a row has apart. True where the column is as full as it may be.
    fn push_apart(&mut self, row: &FeatureRow, index: usize, output: &Output) -> bool {
        match &mut self.values {
            Values::Text { bytes, offsets } => {
                let cell = row.cell(index, output);
                if let Cell::Text(text) = cell {
                    bytes.extend_from_slice(text.as_bytes());
                }
                offsets.push(bytes.len() as i32);
                self.valid.append(cell != Cell::Null);
                bytes.len() > TEXT_BYTES_MAX
            }
            Values::List { elements, offsets } => {
                let cells = row.list(index, output);
                self.valid.append(cells.is_some());
                let count = cells.into_iter().flatten().map(|cell| elements.append(cell, output)).count();
                let end = offsets.last().copied().unwrap_or(0) as usize + count;
                offsets.push(end as i32);
                end > LIST_ELEMENTS_MAX || elements.bytes() > TEXT_BYTES_MAX
            }
            _ => unreachable!("the values of a column that is not apart are doubles"),
        }
    }

    /// Appends the element of a list, which is never null.
    fn append(&mut self, cell: Cell<'_>, output: &Output) {
        let mut is_valid = true;
        match (&mut self.values, cell) {
            (Values::Float(values), Cell::Float(value)) => values.push(value),
            (Values::Bool(values), Cell::Bool(value)) => values.append(value),
            (Values::Whole(values), Cell::Int(value) | Cell::Time(value)) => values.push(value),
            (Values::Code(values), Cell::Text(text)) => {
                let code = output.categories.iter().position(|category| category == text);
                values.push(code.map_or(0, |code| code as i32));
                is_valid = code.is_some();
            }
            (Values::Text { bytes, offsets }, Cell::Text(text)) => {
                bytes.extend_from_slice(text.as_bytes());
                offsets.push(bytes.len() as i32);
            }
            _ => unreachable!("the elements of a list are of its type"),
        }
        self.valid.append(is_valid);
    }

    /// Bytes of its texts.
    fn bytes(&self) -> usize {
        if let Values::Text { bytes, .. } = &self.values { bytes.len() } else { 0 }
    }
}

impl<'a> Columns<'a> {
    pub fn new(layout: &'a Layout, rows: usize) -> Self {
        let columns: Vec<Column> = layout.outputs.iter().map(|output| Column::of(output, rows)).collect();
        let is_apart = |column: &Column| matches!(column.values, Values::Text { .. } | Values::List { .. });
        let apart = (0..columns.len()).filter(|&index| is_apart(&columns[index])).collect();
        let (values, exact) = (Vec::new(), Vec::new());
        Self { layout, schema: schema(layout), columns, apart, values, exact, finished: Vec::new() }
    }

    /// Appends a row.
    pub fn push(&mut self, row: &FeatureRow) -> Result<(), ArrowError> {
        self.values.extend_from_slice(&row.values);
        // What lies behind the exact values of the outputs are elements of lists.
        self.exact.extend_from_slice(&row.exact[..self.layout.exact]);
        let mut is_full = false;
        for &index in &self.apart {
            is_full |= self.columns[index].push_apart(row, index, &self.layout.outputs[index]);
        }
        if is_full {
            return self.flush();
        }
        if self.values.len() >= BLOCK * self.columns.len() {
            self.turn();
        }
        Ok(())
    }

    /// Turns the rows of the block into columns.
    fn turn(&mut self) {
        let width = self.columns.len();
        for (index, (column, output)) in self.columns.iter_mut().zip(&self.layout.outputs).enumerate() {
            let doubles = self.values.chunks_exact(width).map(|row| row[index]);
            let exact = output.exact.map(|slot| self.exact.chunks_exact(self.layout.exact).map(move |row| row[slot]));
            column.extend(doubles, exact);
        }
        self.values.clear();
        self.exact.clear();
    }

    /// The table.
    pub fn finish(mut self) -> Result<(Vec<RecordBatch>, SchemaRef), ArrowError> {
        self.flush()?;
        Ok((self.finished, self.schema))
    }

    fn flush(&mut self) -> Result<(), ArrowError> {
        self.turn();
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
    let nulls = nulls(column.valid);
    Ok(match column.values {
        Values::Float(values) => Arc::new(Float64Array::try_new(values.into(), nulls)?),
        Values::Bool(mut values) => Arc::new(BooleanArray::new(values.finish(), nulls)),
        Values::Whole(values) => {
            let values: ScalarBuffer<i64> = values.into();
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
        Values::Code(values) => {
            let keys = PrimitiveArray::<Int32Type>::try_new(values.into(), nulls)?;
            let categories = Arc::new(StringArray::from_iter_values(&output.categories));
            Arc::new(DictionaryArray::try_new(keys, categories)?)
        }
        Values::List { elements, offsets } => {
            let elements = array(*elements, output, ticks_per_second)?;
            let field = Arc::new(Field::new_list_field(elements.data_type().clone(), true));
            Arc::new(ListArray::try_new(field, OffsetBuffer::new(offsets.into()), elements, nulls)?)
        }
        Values::Text { bytes, offsets } => {
            Arc::new(StringArray::try_new(OffsetBuffer::new(offsets.into()), bytes.into(), nulls)?)
        }
    })
}

fn nulls(mut valid: BooleanBufferBuilder) -> Option<NullBuffer> {
    let nulls = NullBuffer::new(valid.finish());
    (nulls.null_count() > 0).then_some(nulls)
}
