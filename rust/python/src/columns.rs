//! Many rows -> an Arrow table: one column a feature, of the feature's own type, nulls as nulls.

use std::sync::Arc;

use arrow_array::types::{Int32Type, Int64Type, TimestampMicrosecondType, TimestampNanosecondType};
use arrow_array::{
    Array, ArrayRef, BooleanArray, DictionaryArray, Float64Array, ListArray, PrimitiveArray, RecordBatch, StringArray,
};
use arrow_buffer::{BooleanBuffer, BooleanBufferBuilder, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef, TimeUnit};
use fastfeat_engine::batch::{Block, Piece, Sink};
use fastfeat_engine::definition::FieldKind;
use fastfeat_engine::row::{Cell, FeatureRow, Output};

use crate::fixed::{Fixed, Slice};
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

/// Rows as they come, columns as they go. Those of values of one width have room for all rows from the beginning, so that pieces of them can be
/// filled side by side (`pieces`); rows that come one by one are turned into columns a block at once, so that the type of a column is asked for
/// once a block rather than once a row.
pub struct Columns<'a> {
    layout: &'a Layout,
    schema: SchemaRef,
    fixed: Vec<Option<Fixed>>,
    /// Those of texts and lists, whose values lie beside the doubles of a row.
    apart: Vec<Option<Column>>,
    /// How many rows there will be, and how many are in the fixed columns.
    rows: usize,
    filled: usize,
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
        let (values, exact) = (Vec::new(), Vec::new());
        let (fixed, apart) = (Vec::new(), Vec::new());
        let mut columns =
            Self { layout, schema: schema(layout), fixed, apart, rows, filled: 0, values, exact, finished: Vec::new() };
        columns.begin();
        columns
    }

    /// Makes room for the rows to come.
    fn begin(&mut self) {
        let is_apart = |output: &Output| output.list || output.kind == FieldKind::String;
        let outputs = &self.layout.outputs;
        self.fixed = outputs.iter().map(|output| (!is_apart(output)).then(|| Fixed::new(output, self.rows))).collect();
        self.apart = outputs.iter().map(|output| is_apart(output).then(|| Column::of(output, self.rows))).collect();
    }

    /// Appends a row.
    fn append(&mut self, row: &FeatureRow) -> Result<(), ArrowError> {
        self.values.extend_from_slice(&row.values);
        // What lies behind the exact values of the outputs are elements of lists.
        self.exact.extend_from_slice(&row.exact[..self.layout.exact]);
        let mut is_full = false;
        for (index, (column, output)) in self.apart.iter_mut().zip(&self.layout.outputs).enumerate() {
            is_full |= column.as_mut().is_some_and(|column| column.push_apart(row, index, output));
        }
        if is_full {
            return self.flush();
        }
        if self.values.len() >= BLOCK * self.fixed.len() {
            self.turn();
        }
        Ok(())
    }

    /// Turns the rows of the block into columns.
    fn turn(&mut self) {
        let width = self.layout.outputs.len();
        if self.values.is_empty() {
            return;
        }
        let rows = self.values.len() / width;
        for (index, (column, output)) in self.fixed.iter_mut().zip(&self.layout.outputs).enumerate() {
            let Some(column) = column else { continue };
            let doubles = self.values.chunks_exact(width).map(|row| row[index]);
            let exact = output.exact.map(|slot| self.exact.chunks_exact(self.layout.exact).map(move |row| row[slot]));
            column.slice(self.filled, rows).fill(0, doubles, exact);
        }
        self.filled += rows;
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
        let (filled, ticks) = (std::mem::take(&mut self.filled), self.layout.ticks_per_second);
        self.rows -= filled;
        let columns = self.fixed.drain(..).zip(self.apart.drain(..)).zip(&self.layout.outputs);
        let arrays = columns.map(|((fixed, apart), output)| match (fixed, apart) {
            (Some(fixed), _) => fixed.array(output, filled, ticks),
            (None, Some(column)) => array(column, output, ticks),
            (None, None) => unreachable!("a column is one of both"),
        });
        let arrays = arrays.collect::<Result<Vec<_>, _>>()?;
        self.finished.push(RecordBatch::try_new(Arc::clone(&self.schema), arrays)?);
        self.begin();
        Ok(())
    }
}

impl Sink for Columns<'_> {
    type Error = ArrowError;
    type Piece<'p>
        = Part<'p>
    where
        Self: 'p;

    fn push(&mut self, row: &FeatureRow) -> Result<(), ArrowError> {
        self.append(row)
    }

    fn pieces(&mut self, rows: &[usize]) -> Option<Vec<Part<'_>>> {
        self.turn();
        let last = rows.iter().rposition(|&rows| rows > 0).unwrap_or(0);
        let is_even = rows[..last].iter().all(|rows| rows.is_multiple_of(8)) && self.filled.is_multiple_of(8);
        if !is_even || self.apart.iter().any(Option::is_some) {
            return None;
        }
        let outputs = &self.layout.outputs;
        let columns = self.fixed.iter_mut().flatten();
        let mut rests: Vec<Slice<'_>> = columns.map(|column| column.slice(self.filled, rows.iter().sum())).collect();
        self.filled += rows.iter().sum::<usize>();
        let pieces = rows.iter().map(|&rows| {
            let columns = rests.iter_mut().map(|rest| rest.split(rows)).collect();
            Part { outputs, columns, filled: 0 }
        });
        Some(pieces.collect())
    }
}

/// Room for some rows.
pub struct Part<'a> {
    outputs: &'a [Output],
    columns: Vec<Slice<'a>>,
    filled: usize,
}

impl Piece for Part<'_> {
    fn take(&mut self, block: &Block) {
        for (feature, (column, output)) in self.columns.iter_mut().zip(self.outputs).enumerate() {
            let exact = output.exact.map(|slot| block.exact(slot).iter().copied());
            column.fill(self.filled, block.values(feature).iter().copied(), exact);
        }
        self.filled += block.rows();
    }
}

fn array(mut column: Column, output: &Output, ticks_per_second: i64) -> Result<ArrayRef, ArrowError> {
    let nulls = nulls(column.valid.finish());
    Ok(match column.values {
        Values::Float(values) => Arc::new(Float64Array::try_new(values.into(), nulls)?),
        Values::Bool(mut values) => Arc::new(BooleanArray::new(values.finish(), nulls)),
        Values::Whole(values) => whole(values, nulls, output, ticks_per_second)?,
        Values::Code(values) => codes(values, nulls, output)?,
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

/// Whole numbers, or times.
pub fn whole(
    values: Vec<i64>,
    nulls: Option<NullBuffer>,
    output: &Output,
    ticks_per_second: i64,
) -> Result<ArrayRef, ArrowError> {
    let values: ScalarBuffer<i64> = values.into();
    Ok(match (output.kind, ticks_per_second) {
        (FieldKind::Timestamp, 1_000_000_000) => {
            Arc::new(PrimitiveArray::<TimestampNanosecondType>::try_new(values, nulls)?.with_timezone("UTC"))
        }
        (FieldKind::Timestamp, _) => {
            Arc::new(PrimitiveArray::<TimestampMicrosecondType>::try_new(values, nulls)?.with_timezone("UTC"))
        }
        _ => Arc::new(PrimitiveArray::<Int64Type>::try_new(values, nulls)?),
    })
}

/// Categories by their codes.
pub fn codes(values: Vec<i32>, nulls: Option<NullBuffer>, output: &Output) -> Result<ArrayRef, ArrowError> {
    let keys = PrimitiveArray::<Int32Type>::try_new(values.into(), nulls)?;
    let categories = Arc::new(StringArray::from_iter_values(&output.categories));
    Ok(Arc::new(DictionaryArray::try_new(keys, categories)?))
}

/// Which values are there, unless all are.
pub fn nulls(valid: BooleanBuffer) -> Option<NullBuffer> {
    let nulls = NullBuffer::new(valid);
    (nulls.null_count() > 0).then_some(nulls)
}
