//! The engine's errors as the exceptions of `fastfeat.errors`, which are Python classes so that users can read them.

use std::fmt::Display;

use fastfeat_engine::error::{CheckpointError, CheckpointFault, DefinitionError, EventError, Problem};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyTuple, PyType};

const MODULE: &str = "fastfeat.errors";

/// `DefinitionError(place, message)`.
pub fn definition(py: Python<'_>, error: &DefinitionError) -> PyErr {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    raise(py, &CLASS, "DefinitionError", (&error.place, &error.message))
}

/// `CheckpointError(place, fault, message)`.
pub fn checkpoint(py: Python<'_>, error: &CheckpointError) -> PyErr {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    let fault = match error.fault {
        CheckpointFault::Damaged => "damaged",
        CheckpointFault::Refused => "refused",
        CheckpointFault::Disk => "disk",
    };
    raise(py, &CLASS, "CheckpointError", (&error.place, fault, &error.message))
}

/// `ModelError(message)`.
pub fn model(py: Python<'_>, error: impl Display) -> PyErr {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    raise(py, &CLASS, "ModelError", (error.to_string(),))
}

/// `SpillError(place, message)`.
pub fn spill(py: Python<'_>, place: &str, message: &str) -> PyErr {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    raise(py, &CLASS, "SpillError", (place, message))
}

/// `InvalidEvent`, `LateEvent`, `TooOld`, `MemoryLimit` or `SpillError`.
pub fn event(py: Python<'_>, error: EventError) -> PyErr {
    event_in_row(py, error, None)
}

/// The same about a row of a table, which each message then names.
pub fn event_in_row(py: Python<'_>, error: EventError, row: Option<usize>) -> PyErr {
    let prefix = row.map_or_else(String::new, |row| format!("row {row}: "));
    match error {
        EventError::Invalid { stream, mut problems } => {
            for problem in &mut problems {
                problem.message.insert_str(0, &prefix);
            }
            invalid(py, &stream, problems)
        }
        EventError::Table { stream, message } => invalid(py, &stream, vec![Problem::new("", "", "type", message)]),
        EventError::Late { ref stream, ref time, ref newest, behind_us, lateness_us } => {
            static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
            let message = format!("{prefix}{error}");
            raise(py, &CLASS, "LateEvent", (stream, time, newest, behind_us, lateness_us, message))
        }
        EventError::TooOld { ref stream, ref at, ref watermark } => {
            static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
            raise(py, &CLASS, "TooOld", (stream, at, watermark, error.to_string()))
        }
        EventError::Spill { stream, error } => {
            spill(py, &error.place, &format!("{prefix}stream `{stream}`: {}", error.message))
        }
        EventError::Memory { ref stream, limit_bytes, state_bytes } => {
            static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
            raise(py, &CLASS, "MemoryLimit", (stream, state_bytes, limit_bytes, format!("{prefix}{error}")))
        }
    }
}

/// `InvalidEvent(stream, [(field, value, rule, message), ...])`.
pub fn invalid(py: Python<'_>, stream: &str, problems: Vec<Problem>) -> PyErr {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    let problems: Vec<_> =
        problems.into_iter().map(|problem| (problem.field, problem.value, problem.rule, problem.message)).collect();
    raise(py, &CLASS, "InvalidEvent", (stream, problems))
}

#[cold]
fn raise<'py>(
    py: Python<'py>,
    class: &'static PyOnceLock<Py<PyType>>,
    name: &str,
    arguments: impl IntoPyObject<'py, Target = PyTuple, Output = Bound<'py, PyTuple>, Error = PyErr>,
) -> PyErr {
    let made = class.import(py, MODULE, name).and_then(|class| class.call1(arguments.into_pyobject(py)?));
    match made {
        Ok(exception) => PyErr::from_value(exception),
        Err(error) => error,
    }
}
