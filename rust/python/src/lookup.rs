//! LookupTable: the rows of a lookup as they came, and as an engine reads them.

use std::sync::{Arc, Mutex, PoisonError};

use arrow_array::RecordBatch;
use arrow_schema::{ArrowError, DataType, FieldRef, SchemaRef};
use fastfeat_engine::definition::{FieldKind, LookupColumn, LookupDefinition};
use fastfeat_engine::error::{DefinitionError, EventError};
use fastfeat_engine::lookup::{LookupBuilder, LookupError, LookupPlan, LookupTable as Core};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3_arrow::input::AnyRecordBatch;

use crate::errors;
use crate::layout::type_name;
use crate::table::{Table, is_text};

/// What most plans count time in; the rows are kept in it once they have been read.
const MICROSECONDS: i64 = 1_000_000;

/// Rows of reference data, in Arrow's memory.
#[pyclass(frozen, module = "fastfeat._core")]
pub struct LookupTable {
    schema: SchemaRef,
    batches: Vec<RecordBatch>,
    /// As `check` has read them, for every engine that counts in microseconds.
    checked: Mutex<Option<Arc<Core>>>,
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
        Ok(Self { schema, batches, checked: Mutex::new(None) })
    }

    /// Name, type for the engine (None where it has none) and type in Arrow, by column.
    #[getter]
    fn columns(&self) -> Vec<(String, Option<String>, String)> {
        let column = |field: &FieldRef| {
            let kind = kind_of(field.data_type()).map(|kind| type_name(kind).to_lowercase());
            (field.name().clone(), kind, field.data_type().to_string())
        };
        self.schema.fields().iter().map(column).collect()
    }

    /// Reads every row of these columns (pairs of name and type): raises DefinitionError with the first that cannot be, such as a key
    /// that is there twice.
    #[pyo3(signature = (name, key, columns))]
    fn check(&self, py: Python<'_>, name: String, key: String, columns: Vec<(String, String)>) -> PyResult<()> {
        let column = |(name, kind): (String, String)| match serde_json::from_value(kind.into()) {
            Ok(kind) => Ok(LookupColumn { name, kind }),
            Err(error) => Err(PyValueError::new_err(format!("column `{name}`: {error}"))),
        };
        let columns = columns.into_iter().map(column).collect::<PyResult<_>>()?;
        let plan = LookupPlan::compile(&LookupDefinition { name, key, columns }, MICROSECONDS)
            .map_err(|error| errors::definition(py, &error))?;
        let table = py.detach(|| self.build(&plan)).map_err(|error| refusal(py, &error))?;
        *self.checked.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(table));
        Ok(())
    }

    fn __len__(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }

    fn __repr__(&self) -> String {
        format!("LookupTable({} rows of {} columns)", self.__len__(), self.schema.fields().len())
    }
}

impl LookupTable {
    /// The rows as an engine needs them, whose plan counts so many ticks a second.
    pub fn rows(&self, plan: &LookupPlan, ticks_per_second: i64) -> Result<Arc<Core>, LookupError> {
        let checked = self.checked.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match checked.filter(|_| ticks_per_second == MICROSECONDS) {
            Some(rows) => Ok(rows),
            None => self.build(plan).map(Arc::new),
        }
    }

    fn build(&self, plan: &LookupPlan) -> Result<Core, LookupError> {
        let refuse = |message: String| LookupError { lookup: plan.name.clone(), message };
        let table = Table::new(&self.schema, self.batches.clone(), &plan.schema).map_err(|error| match error {
            EventError::Invalid { problems, .. } => {
                refuse(problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
            }
            other => refuse(other.to_string()),
        })?;
        let mut builder = LookupBuilder::new(plan);
        for batch in &table.batches {
            let rows = table.read(batch).map_err(|error| refuse(format!("its table is damaged: {error}")))?;
            for row in 0..batch.num_rows() {
                builder.push(|filling| rows.fill(row, filling))?;
            }
        }
        Ok(builder.finish())
    }
}

/// `DefinitionError(place, message)` of a lookup's table.
pub fn refusal(py: Python<'_>, error: &LookupError) -> PyErr {
    errors::definition(py, &DefinitionError::new(format!("lookup `{}`", error.lookup), &*error.message))
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
