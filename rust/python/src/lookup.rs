//! LookupTable: the rows of a lookup as they came, with what each column can be for the engine.

use arrow_array::RecordBatch;
use arrow_schema::{ArrowError, DataType, SchemaRef};
use fastfeat_engine::definition::FieldKind;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3_arrow::input::AnyRecordBatch;

use crate::layout::type_name;
use crate::table::is_text;

/// Rows of reference data, in Arrow's memory.
#[pyclass(frozen, module = "fastfeat._core")]
pub struct LookupTable {
    schema: SchemaRef,
    batches: Vec<RecordBatch>,
}

#[pymethods]
impl LookupTable {
    /// Takes anything with the Arrow PyCapsule interface; raises TypeError for anything else.
    #[new]
    #[pyo3(signature = (table))]
    fn new(table: &Bound<'_, PyAny>) -> PyResult<Self> {
        let py = table.py();
        let reader = table.extract::<AnyRecordBatch>().map_err(|error| {
            let refused = PyTypeError::new_err("this has no Arrow PyCapsule interface");
            refused.set_cause(py, Some(error));
            refused
        })?;
        let reader = reader.into_reader()?;
        let schema = reader.schema();
        let read = || reader.collect::<Result<Vec<RecordBatch>, ArrowError>>();
        let batches =
            py.detach(read).map_err(|error| PyValueError::new_err(format!("the table cannot be read: {error}")))?;
        Ok(Self { schema, batches })
    }

    /// Name, type for the engine (None where it has none) and type in Arrow, by column.
    #[getter]
    fn columns(&self) -> Vec<(String, Option<String>, String)> {
        let column = |field: &arrow_schema::FieldRef| {
            let kind = kind_of(field.data_type()).map(|kind| type_name(kind).to_lowercase());
            (field.name().clone(), kind, field.data_type().to_string())
        };
        self.schema.fields().iter().map(column).collect()
    }

    fn __len__(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }

    fn __repr__(&self) -> String {
        format!("LookupTable({} rows of {} columns)", self.__len__(), self.schema.fields().len())
    }
}

/// What a column of this type is for the engine: whole numbers are Int64, dates are instants.
fn kind_of(data_type: &DataType) -> Option<FieldKind> {
    match data_type {
        DataType::Boolean => Some(FieldKind::Boolean),
        DataType::Timestamp(..) | DataType::Date32 | DataType::Date64 => Some(FieldKind::Timestamp),
        data_type if data_type.is_integer() => Some(FieldKind::Int64),
        data_type if data_type.is_floating() => Some(FieldKind::Float64),
        data_type if is_text(data_type) => Some(FieldKind::String),
        _ => None,
    }
}
