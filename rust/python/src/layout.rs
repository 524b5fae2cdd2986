//! What all rows of one stream share: names, types, and how a value becomes a Python object.

use std::collections::HashMap;

use fastfeat_engine::definition::FieldKind;
use fastfeat_engine::error::nearest;
use fastfeat_engine::plan::StreamPlan;
use fastfeat_engine::row::{Cell, FeatureRow, Output, RowView};
use pyo3::exceptions::{PyIndexError, PyKeyError, PyTypeError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBool, PyFloat, PyInt, PyList, PyString, PyTuple};

use crate::instant;

/// The columns of a row.
pub struct Layout {
    pub outputs: Vec<Output>,
    pub exact: usize,
    pub ticks_per_second: i64,
    /// Number of features, where a buffer's shape can point at it.
    pub length: isize,
    indexes: HashMap<String, usize>,
    names: PyOnceLock<Py<PyTuple>>,
}

impl Layout {
    pub fn new(outputs: Vec<Output>, exact: usize, ticks_per_second: i64) -> Self {
        let indexes = outputs.iter().enumerate().map(|(index, output)| (output.name.clone(), index)).collect();
        let length = outputs.len() as isize;
        Self { outputs, exact, ticks_per_second, length, indexes, names: PyOnceLock::new() }
    }

    pub fn of_stream(plan: &StreamPlan, ticks_per_second: i64) -> Self {
        Self::new(plan.outputs.clone(), plan.exact, ticks_per_second)
    }

    /// Names of the features, in order.
    pub fn names<'py>(&self, py: Python<'py>) -> PyResult<&Bound<'py, PyTuple>> {
        let make = || {
            let names = self.outputs.iter().map(|output| PyString::intern(py, &output.name));
            PyTuple::new(py, names.collect::<Vec<_>>()).map(Bound::unbind)
        };
        self.names.get_or_try_init(py, make).map(|names| names.bind(py))
    }

    pub fn index_of_name(&self, name: &str) -> Option<usize> {
        self.indexes.get(name).copied()
    }

    /// The feature that `row[key]` means: a name, or a position that may count from the end.
    pub fn index_of(&self, key: &Bound<'_, PyAny>) -> PyResult<usize> {
        if let Ok(name) = key.cast::<PyString>() {
            let name = name.to_string_lossy();
            return self.index_of_name(&name).ok_or_else(|| self.unknown(&name));
        }
        let position: isize = key.extract().map_err(|_| {
            let class = key.get_type().name().map_or_else(|_| String::new(), |name| name.to_string());
            PyTypeError::new_err(format!("a Row is indexed by the name of a feature or its position, not {class}"))
        })?;
        let from_start = if position < 0 { position + self.length } else { position };
        usize::try_from(from_start).ok().filter(|index| *index < self.outputs.len()).ok_or_else(|| {
            PyIndexError::new_err(format!("position {position} is outside a Row of {} features", self.length))
        })
    }

    #[cold]
    fn unknown(&self, name: &str) -> PyErr {
        let names = || self.outputs.iter().map(|output| output.name.as_str());
        let way_out = match nearest(name, names()) {
            Some(nearest) => format!("did you mean `{nearest}`?"),
            None => format!("the {} names are in `row.names`", self.length),
        };
        PyKeyError::new_err(format!("no feature is called `{name}`; {way_out}"))
    }

    /// The typed value of a feature: None for null, int, float, bool, str, datetime, or a list of them.
    pub fn object<'py>(&self, py: Python<'py>, row: &FeatureRow, index: usize) -> PyResult<Bound<'py, PyAny>> {
        self.object_in(py, row.view(), index)
    }

    /// The same, wherever the row lies.
    pub fn object_in<'py>(&self, py: Python<'py>, row: RowView<'_>, index: usize) -> PyResult<Bound<'py, PyAny>> {
        let output = &self.outputs[index];
        if !output.list {
            return self.cell(py, row.cell(index, output));
        }
        let Some(cells) = row.list(index, output) else { return Ok(py.None().into_bound(py)) };
        let objects = cells.map(|cell| self.cell(py, cell)).collect::<PyResult<Vec<_>>>()?;
        Ok(PyList::new(py, objects)?.into_any())
    }

    fn cell<'py>(&self, py: Python<'py>, cell: Cell<'_>) -> PyResult<Bound<'py, PyAny>> {
        Ok(match cell {
            Cell::Null => py.None().into_bound(py),
            Cell::Float(value) => PyFloat::new(py, value).into_any(),
            Cell::Int(value) => PyInt::new(py, value).into_any(),
            Cell::Bool(value) => PyBool::new(py, value).to_owned().into_any(),
            Cell::Time(ticks) => instant::datetime(py, ticks, self.ticks_per_second)?.into_any(),
            Cell::Text(text) => PyString::new(py, text).into_any(),
        })
    }

    /// The value as a table shows it.
    pub fn text(&self, row: &FeatureRow, index: usize) -> String {
        let output = &self.outputs[index];
        if !output.list {
            return self.cell_text(row.cell(index, output));
        }
        match row.list(index, output) {
            None => "null".to_owned(),
            Some(cells) => format!("[{}]", cells.map(|cell| self.cell_text(cell)).collect::<Vec<_>>().join(", ")),
        }
    }

    fn cell_text(&self, cell: Cell<'_>) -> String {
        match cell {
            Cell::Null => "null".to_owned(),
            Cell::Float(value) => format!("{value:?}"),
            Cell::Int(value) => value.to_string(),
            Cell::Bool(value) => value.to_string(),
            Cell::Time(ticks) => fastfeat_engine::schema::iso_ticks(ticks, self.ticks_per_second),
            Cell::Text(text) => format!("{text:?}"),
        }
    }
}

const TYPES: [(FieldKind, &str); 6] = [
    (FieldKind::Timestamp, "Timestamp"),
    (FieldKind::String, "String"),
    (FieldKind::Categorical, "Categorical"),
    (FieldKind::Int64, "Int64"),
    (FieldKind::Float64, "Float64"),
    (FieldKind::Boolean, "Boolean"),
];

/// The name users know the type of a feature by, e.g. `List(String)`.
pub fn output_type(output: &Output) -> String {
    let name = type_name(output.kind);
    if output.list { format!("List({name})") } else { name.to_owned() }
}

/// The name users know a type by.
pub fn type_name(kind: FieldKind) -> &'static str {
    TYPES.iter().find(|(known, _)| *known == kind).map_or("", |(_, name)| name)
}

/// The inverse of `output_type`: the type, and whether it is a list of it.
pub fn output_type_named(name: &str) -> Option<(FieldKind, bool)> {
    let element = name.strip_prefix("List(").and_then(|rest| rest.strip_suffix(')'));
    let kind = TYPES.iter().find(|(_, known)| *known == element.unwrap_or(name)).map(|(kind, _)| *kind)?;
    Some((kind, element.is_some()))
}
