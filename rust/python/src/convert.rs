//! Python objects -> values of an event. Exact types first, as they are nearly all there is; then what behaves like them.

use fastfeat_engine::definition::FieldKind;
use fastfeat_engine::schema::{Filling, Raw, Schema};
use pyo3::exceptions::{PyArithmeticError, PyKeyError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDate, PyDateTime, PyDict, PyFloat, PyInt, PyMapping, PyString};

use crate::instant;

/// The names of a stream's fields as Python has them: interned, so that those of most events are the very same objects.
pub struct FieldNames {
    names: Vec<Py<PyString>>,
    /// Whether threads run side by side, so that a dict is read from a copy.
    copies: bool,
}

impl FieldNames {
    pub fn new(py: Python<'_>, schema: &Schema) -> Self {
        // Pythons before 3.13 have their lock always, and cannot be asked.
        let locked = py.import("sys").and_then(|sys| sys.call_method0("_is_gil_enabled")?.extract::<bool>());
        Self {
            names: schema.fields.iter().map(|field| PyString::intern(py, &field.name).unbind()).collect(),
            copies: !locked.unwrap_or(true),
        }
    }

    /// Sets every field that the event has. False when the event is no mapping.
    #[inline]
    pub fn fill(&self, event: &Bound<'_, PyAny>, schema: &Schema, filling: &mut Filling<'_, '_>) -> PyResult<bool> {
        let py = event.py();
        if let Ok(event) = event.cast::<PyDict>() {
            // One pass over the event is a third of the work of looking up each field. Values that may run Python code wait
            // until it is over: they could change the dict.
            let mut unusual = Vec::new();
            let mut expected = 0;
            // Without the interpreter's lock another thread could change it too: its copy is whole.
            let copied = if self.copies { Some(event.copy()?) } else { None };
            for (name, value) in copied.as_ref().unwrap_or(event) {
                let Some(column) = self.column(&name, schema, &mut expected) else { continue };
                if !set_usual(filling, column, &value) {
                    unusual.push((column, value));
                }
            }
            for (column, value) in unusual {
                set_unusual(filling, column, schema.fields[column].kind, &value)?;
            }
            return Ok(true);
        }
        let Ok(event) = event.cast::<PyMapping>() else { return Ok(false) };
        for (column, name) in self.names.iter().enumerate() {
            match event.get_item(name.bind_borrowed(py)) {
                Ok(value) if set_usual(filling, column, &value) => {}
                Ok(value) => set_unusual(filling, column, schema.fields[column].kind, &value)?,
                Err(error) if error.is_instance_of::<PyKeyError>(py) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// The column of a name; mostly the one after that of the name before, by its address.
    #[inline]
    fn column(&self, name: &Bound<'_, PyAny>, schema: &Schema, expected: &mut usize) -> Option<usize> {
        if self.names.get(*expected).is_some_and(|known| known.is(name)) {
            *expected += 1;
            return Some(*expected - 1);
        }
        schema.column_near(expected, name.cast::<PyString>().ok()?.to_str().ok()?)
    }
}

/// Sets one field from any value.
pub fn set(filling: &mut Filling<'_, '_>, column: usize, kind: FieldKind, value: &Bound<'_, PyAny>) -> PyResult<()> {
    if set_usual(filling, column, value) { Ok(()) } else { set_unusual(filling, column, kind, value) }
}

/// Sets one field from a value of one of Python's own types; false when it is of another.
#[inline]
fn set_usual(filling: &mut Filling<'_, '_>, column: usize, value: &Bound<'_, PyAny>) -> bool {
    if let Ok(value) = value.cast_exact::<PyFloat>() {
        filling.set(column, Raw::Float(value.value()));
    } else if let Ok(text) = value.cast_exact::<PyString>() {
        set_text(filling, column, text);
    } else if let Ok(value) = value.cast_exact::<PyInt>() {
        set_int(filling, column, value);
    } else if let Ok(value) = value.cast_exact::<PyBool>() {
        filling.set(column, Raw::Bool(value.is_true()));
    } else if value.is_none() {
        filling.set(column, Raw::Null);
    } else {
        return false;
    }
    true
}

#[inline]
fn set_text(filling: &mut Filling<'_, '_>, column: usize, value: &Bound<'_, PyString>) {
    match value.to_str() {
        Ok(text) => filling.set(column, Raw::Text(text)),
        Err(_) => filling.set(column, Raw::Other("str with a lone surrogate", &shown(value))),
    }
}

#[inline]
fn set_int(filling: &mut Filling<'_, '_>, column: usize, value: &Bound<'_, PyInt>) {
    match value.extract::<i64>() {
        Ok(value) => filling.set(column, Raw::Int(value)),
        Err(_) => match value.str() {
            Ok(digits) => filling.set(column, Raw::BigInt(&digits.to_string_lossy())),
            // Python prints no whole number of more than 4,300 digits; none of those is in anybody's range.
            Err(_) => filling.set(column, Raw::BigInt("a whole number of thousands of digits")),
        },
    }
}

/// Subclasses, datetimes, NumPy's scalars and whatever says that it is a number.
#[cold]
fn set_unusual(
    filling: &mut Filling<'_, '_>,
    column: usize,
    kind: FieldKind,
    value: &Bound<'_, PyAny>,
) -> PyResult<()> {
    if let Ok(value) = value.cast::<PyFloat>() {
        filling.set(column, Raw::Float(value.value()));
        return Ok(());
    }
    if let Ok(value) = value.cast::<PyInt>() {
        set_int(filling, column, value);
        return Ok(());
    }
    if let Ok(text) = value.cast::<PyString>() {
        set_text(filling, column, text);
        return Ok(());
    }
    let class = value.get_type();
    let (class_name, module) = (class.name()?, class.module()?);
    match (module.to_str().unwrap_or_default(), class_name.to_str().unwrap_or_default()) {
        // pandas' missing values: NaT says that it is a datetime and is none.
        (module, "NaTType" | "NAType") if module.starts_with("pandas") => {
            filling.set(column, Raw::Null);
            return Ok(());
        }
        // float(np.True_) is 1.0, but a boolean is no number.
        ("numpy", "bool" | "bool_") => {
            filling.set(column, Raw::Bool(value.is_truthy()?));
            return Ok(());
        }
        ("numpy", "datetime64") => {
            let text = value.str()?;
            match (kind, text.to_str()?) {
                (_, "NaT") => filling.set(column, Raw::Null),
                (FieldKind::Timestamp, text) => filling.set(column, Raw::Text(text)),
                _ => set_other(filling, column, value),
            }
            return Ok(());
        }
        _ => {}
    }
    if let Ok(instant) = value.cast::<PyDateTime>() {
        let mut nanoseconds = instant::nanoseconds(instant)?;
        // pandas' Timestamp is a datetime with three digits more.
        if let Ok(more) = value.getattr(pyo3::intern!(value.py(), "nanosecond")) {
            nanoseconds += more.extract::<i128>().unwrap_or_default();
        }
        filling.set(column, Raw::Time(nanoseconds));
        return Ok(());
    }
    if let Ok(date) = value.cast::<PyDate>() {
        filling.set(column, Raw::Time(instant::nanoseconds_of_date(date)));
        return Ok(());
    }
    set_number(filling, column, kind, value)
}

/// What has `__float__` where a Float64 is wanted, or `__index__` where a whole number is.
fn set_number(filling: &mut Filling<'_, '_>, column: usize, kind: FieldKind, value: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = value.py();
    let failed = match kind {
        FieldKind::Float64 => match value.extract::<f64>() {
            Ok(number) => {
                filling.set(column, Raw::Float(number));
                return Ok(());
            }
            Err(error) => error,
        },
        FieldKind::Int64 | FieldKind::Timestamp => match index(value) {
            Ok(number) => {
                set_int(filling, column, &number);
                return Ok(());
            }
            Err(error) => error,
        },
        _ => PyTypeError::new_err(()),
    };
    // That it is no such number is the event's fault; anything else that its methods raise is not ours to hide.
    if failed.is_instance_of::<PyTypeError>(py)
        || failed.is_instance_of::<PyValueError>(py)
        || failed.is_instance_of::<PyArithmeticError>(py)
    {
        set_other(filling, column, value);
        return Ok(());
    }
    Err(failed)
}

fn index<'py>(value: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyInt>> {
    let method =
        value.get_type().getattr(pyo3::intern!(value.py(), "__index__")).map_err(|_| PyTypeError::new_err(()))?;
    Ok(method.call1((value,))?.cast_into::<PyInt>()?)
}

#[cold]
fn set_other(filling: &mut Filling<'_, '_>, column: usize, value: &Bound<'_, PyAny>) {
    let class =
        value.get_type().name().map_or_else(|_| "object".to_owned(), |name| name.to_string_lossy().into_owned());
    filling.set(column, Raw::Other(&class, &shown(value)));
}

fn shown(value: &Bound<'_, PyAny>) -> String {
    value.repr().map_or_else(|_| "unprintable".to_owned(), |text| text.to_string_lossy().into_owned())
}
