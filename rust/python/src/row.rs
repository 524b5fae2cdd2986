//! Row: the features of one event. One small object that the garbage collector does not track, its floats readable as a buffer.
#![expect(unsafe_code, reason = "the buffer protocol hands out addresses: numpy.asarray(row) copies nothing")]

use std::ffi::{c_int, c_void};
use std::fmt::Write;
use std::sync::Arc;

use fastfeat_engine::definition::FieldKind;
use fastfeat_engine::row::{Cell, FeatureRow, NULL, Output, canonical};
use pyo3::exceptions::{PyBufferError, PyValueError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyIterator, PyList, PyString, PyTuple};

use crate::layout::{Layout, output_type, output_type_named};

/// Most features that `repr` prints.
const PRINTED_MAX: usize = 40;

/// The features of one event: a mapping from name to value, and a vector of floats.
///
/// `row["name"]` and `row[0]` give typed values, None for null; `numpy.asarray(row)` is the float64 vector, where null is NaN,
/// without a copy.
#[pyclass(frozen, module = "fastfeat._core")]
pub struct Row {
    pub layout: Arc<Layout>,
    pub values: FeatureRow,
}

impl Row {
    /// A row that the garbage collector does not look at: it refers to no Python object but its class.
    pub fn create(py: Python<'_>, layout: Arc<Layout>, values: FeatureRow) -> PyResult<Bound<'_, Self>> {
        let row = Bound::new(py, Self { layout, values })?;
        untrack(row.as_any());
        Ok(row)
    }

    fn objects<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyAny>>> {
        (0..self.layout.outputs.len()).map(|index| self.layout.object(py, &self.values, index)).collect()
    }

    fn lines(&self) -> impl Iterator<Item = (&str, String)> {
        let outputs = self.layout.outputs.iter().enumerate().take(PRINTED_MAX);
        outputs.map(|(index, output)| (output.name.as_str(), self.layout.text(&self.values, index)))
    }

    fn rest(&self) -> Option<usize> {
        self.layout.outputs.len().checked_sub(PRINTED_MAX).filter(|rest| *rest > 0)
    }
}

#[pymethods]
impl Row {
    /// Names of the features, in order.
    #[getter]
    fn names<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        self.layout.names(py).cloned()
    }

    /// Names of the features, in order.
    fn keys<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        self.names(py)
    }

    /// The typed values, in the order of the names.
    fn values<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        PyList::new(py, self.objects(py)?)
    }

    /// Pairs of name and typed value.
    fn items<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        PyList::new(py, self.layout.names(py)?.iter().zip(self.objects(py)?))
    }

    /// Name to typed value: None for null, int, float, bool, str, or a datetime in UTC.
    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(py);
        for (index, name) in self.layout.names(py)?.iter().enumerate() {
            dict.set_item(name, self.layout.object(py, &self.values, index)?)?;
        }
        Ok(dict)
    }

    /// The typed value of a feature, or `default` where there is none of that name.
    #[pyo3(signature = (name, default=None))]
    fn get<'py>(
        &self,
        py: Python<'py>,
        name: &Bound<'py, PyString>,
        default: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        match self.layout.index_of_name(&name.to_string_lossy()) {
            Some(index) => self.layout.object(py, &self.values, index).map(Some),
            None => Ok(default),
        }
    }

    fn __getitem__<'py>(&self, py: Python<'py>, key: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        self.layout.object(py, &self.values, self.layout.index_of(key)?)
    }

    fn __contains__(&self, name: &Bound<'_, PyAny>) -> bool {
        name.cast::<PyString>().is_ok_and(|name| self.layout.index_of_name(&name.to_string_lossy()).is_some())
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyIterator>> {
        self.layout.names(py)?.try_iter()
    }

    fn __len__(&self) -> usize {
        self.layout.outputs.len()
    }

    /// Same names and equal values; null equals null and NaN equals NaN.
    fn __eq__(&self, other: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        let py = other.py();
        let Ok(other) = other.cast::<Self>() else { return Ok(py.NotImplemented()) };
        let other = other.get();
        let equal = |index: usize| {
            let (ours, theirs) = (&self.layout.outputs[index], &other.layout.outputs[index]);
            if ours.name != theirs.name || ours.list != theirs.list {
                return false;
            }
            if !ours.list {
                return same(self.values.cell(index, ours), other.values.cell(index, theirs));
            }
            match (self.values.list(index, ours), other.values.list(index, theirs)) {
                (Some(left), Some(right)) => left.len() == right.len() && left.zip(right).all(|(a, b)| same(a, b)),
                (left, right) => left.is_none() && right.is_none(),
            }
        };
        let same = self.layout.outputs.len() == other.layout.outputs.len() && (0..self.layout.outputs.len()).all(equal);
        Ok(same.into_pyobject(py)?.to_owned().into_any().unbind())
    }

    fn __repr__(&self) -> String {
        let width = self.lines().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
        let mut text = match self.layout.length {
            1 => "Row of 1 feature".to_owned(),
            several => format!("Row of {several} features"),
        };
        for (name, value) in self.lines() {
            let _ = write!(text, "\n  {name:width$}  {value}");
        }
        if let Some(rest) = self.rest() {
            let _ = write!(text, "\n  … and {rest} more");
        }
        text
    }

    fn _repr_html_(&self) -> String {
        let mut text = "<table><thead><tr><th>feature</th><th>value</th></tr></thead><tbody>".to_owned();
        for (name, value) in self.lines() {
            let _ = write!(text, "<tr><td>{}</td><td>{}</td></tr>", escaped(name), escaped(&value));
        }
        if let Some(rest) = self.rest() {
            let _ = write!(text, "<tr><td colspan=\"2\">… and {rest} more</td></tr>");
        }
        text + "</tbody></table>"
    }

    fn __copy__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf // it does not change
    }

    fn __deepcopy__<'py>(slf: Bound<'py, Self>, _memo: &Bound<'py, PyAny>) -> Bound<'py, Self> {
        slf
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let restore = py.import(pyo3::intern!(py, "fastfeat._core"))?.getattr(pyo3::intern!(py, "restore_row"))?;
        let types = PyTuple::new(py, self.layout.outputs.iter().map(output_type).collect::<Vec<_>>())?;
        let categories: Vec<&[String]> =
            self.layout.outputs.iter().map(|output| output.categories.as_slice()).collect();
        let mut values = Vec::with_capacity(types.len());
        for (index, output) in self.layout.outputs.iter().enumerate() {
            values.push(if !output.list {
                match self.values.cell(index, output) {
                    Cell::Text(_) if output.kind == FieldKind::Categorical => {
                        (self.values.values[index] as i64).into_pyobject(py)?.into_any().unbind()
                    }
                    cell => plain(py, cell)?,
                }
            } else if let Some(cells) = self.values.list(index, output) {
                let elements = cells.map(|cell| plain(py, cell)).collect::<PyResult<Vec<_>>>()?;
                PyList::new(py, elements)?.into_any().unbind()
            } else {
                py.None()
            });
        }
        let plain = (self.names(py)?, types, categories, self.layout.ticks_per_second, values);
        PyTuple::new(py, [restore, plain.into_pyobject(py)?.into_any()])
    }

    unsafe fn __getbuffer__(slf: Bound<'_, Self>, view: *mut ffi::Py_buffer, flags: c_int) -> PyResult<()> {
        if view.is_null() {
            return Err(PyBufferError::new_err("no view to fill"));
        }
        let asked = |flag: c_int| flags & flag == flag;
        if asked(ffi::PyBUF_WRITABLE) {
            // SAFETY: CPython gives a view that is ours to write until we return.
            unsafe { (*view).obj = std::ptr::null_mut() };
            return Err(PyBufferError::new_err("a Row does not change; numpy.array(row) makes a copy that does"));
        }
        let row = slf.get();
        let values = row.values.values.as_slice();
        // SAFETY: CPython gives a view that is ours to write until we return. It keeps `obj`, the row, until it is released. The row
        // is frozen: it neither moves nor changes the values and the shared layout that `buf` and `shape` point at. Readonly views
        // are not written to; `shape`, `strides` and `format` are not either, though their types are `*mut`.
        unsafe {
            (*view).buf = values.as_ptr().cast_mut().cast::<c_void>();
            (*view).len = size_of_val(values) as isize;
            (*view).readonly = 1;
            (*view).itemsize = size_of::<f64>() as isize;
            (*view).format = if asked(ffi::PyBUF_FORMAT) { c"d".as_ptr().cast_mut() } else { std::ptr::null_mut() };
            (*view).ndim = 1;
            (*view).shape =
                if asked(ffi::PyBUF_ND) { (&raw const row.layout.length).cast_mut() } else { std::ptr::null_mut() };
            (*view).strides = if asked(ffi::PyBUF_STRIDES) { &raw mut (*view).itemsize } else { std::ptr::null_mut() };
            (*view).suboffsets = std::ptr::null_mut();
            (*view).internal = std::ptr::null_mut();
            (*view).obj = slf.into_ptr();
        }
        Ok(())
    }
}

/// Builds a Row again from the plain values of `Row.__reduce__`.
#[pyfunction]
pub fn restore_row<'py>(
    py: Python<'py>,
    names: Vec<String>,
    types: Vec<String>,
    categories: Vec<Vec<String>>,
    ticks_per_second: i64,
    values: Vec<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, Row>> {
    if [types.len(), categories.len(), values.len()] != [names.len(); 3] || ticks_per_second < 1 {
        return Err(PyValueError::new_err("a damaged Row: its names, types and values are not equally many"));
    }
    let mut outputs = Vec::with_capacity(names.len());
    let mut exact = 0;
    for ((name, kind), categories) in names.into_iter().zip(&types).zip(categories) {
        let (kind, list) =
            output_type_named(kind).ok_or_else(|| PyValueError::new_err(format!("a damaged Row: type `{kind}`")))?;
        let slot = (list || matches!(kind, FieldKind::Int64 | FieldKind::Timestamp | FieldKind::String)).then(|| {
            exact += 1;
            exact - 1
        });
        outputs.push(Output { name, kind, list, categories, exact: slot });
    }
    let mut row = FeatureRow::default();
    row.reset(outputs.len(), exact);
    for (index, (output, value)) in outputs.iter().zip(&values).enumerate() {
        row.values[index] = match (output.kind, output.exact) {
            _ if value.is_none() => NULL,
            (kind, Some(slot)) if output.list => {
                row.begin_list(index, slot);
                for element in value.try_iter()? {
                    let element = element?;
                    let kept = match kind {
                        FieldKind::Float64 => {
                            row.push_element(slot, output, Cell::Float(canonical(element.extract()?)))
                        }
                        FieldKind::Int64 => row.push_element(slot, output, Cell::Int(element.extract()?)),
                        FieldKind::Timestamp => row.push_element(slot, output, Cell::Time(element.extract()?)),
                        FieldKind::Boolean => row.push_element(slot, output, Cell::Bool(element.extract()?)),
                        FieldKind::String | FieldKind::Categorical => {
                            row.push_element(slot, output, Cell::Text(element.cast::<PyString>()?.to_str()?))
                        }
                    };
                    if !kept {
                        return Err(PyValueError::new_err(format!("a damaged Row: there is no category {element}")));
                    }
                }
                f64::NAN
            }
            (FieldKind::String, Some(slot)) => {
                row.set_text(index, slot, value.cast::<PyString>()?.to_str()?);
                f64::NAN
            }
            (_, Some(slot)) => {
                row.exact[slot] = value.extract()?;
                row.exact[slot] as f64
            }
            (FieldKind::Boolean, _) => f64::from(u8::from(value.extract::<bool>()?)),
            (FieldKind::Categorical, _) => match value.extract::<usize>()? {
                code if code < output.categories.len() => code as f64,
                code => return Err(PyValueError::new_err(format!("a damaged Row: there is no category {code}"))),
            },
            _ => canonical(value.extract()?),
        };
    }
    Row::create(py, Arc::new(Layout::new(outputs, exact, ticks_per_second)), row)
}

/// Takes an object that can be part of no cycle out of the garbage collector's lists, where PyO3 puts every object of a class
/// of its own: a million rows at hand must not make its rounds longer.
pub fn untrack(object: &Bound<'_, PyAny>) {
    // SAFETY: the first call takes any object, the second any object that the collector tracks; both need the interpreter,
    // which `Bound` shows we are attached to.
    unsafe {
        if ffi::PyObject_GC_IsTracked(object.as_ptr()) == 1 {
            ffi::PyObject_GC_UnTrack(object.as_ptr().cast());
        }
    }
}

/// Equal, where NaN equals NaN.
fn same(left: Cell<'_>, right: Cell<'_>) -> bool {
    left == right || matches!((left, right), (Cell::Float(a), Cell::Float(b)) if a.is_nan() && b.is_nan())
}

/// A value as a pickled Row has it: whole numbers for instants.
fn plain(py: Python<'_>, cell: Cell<'_>) -> PyResult<Py<PyAny>> {
    Ok(match cell {
        Cell::Null => py.None(),
        Cell::Float(value) => value.into_pyobject(py)?.into_any().unbind(),
        Cell::Int(value) | Cell::Time(value) => value.into_pyobject(py)?.into_any().unbind(),
        Cell::Bool(value) => value.into_pyobject(py)?.to_owned().into_any().unbind(),
        Cell::Text(text) => text.into_pyobject(py)?.into_any().unbind(),
    })
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
