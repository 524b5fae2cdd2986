//! `out=`: a caller's own float64 memory, checked before anything changes.

use pyo3::buffer::PyBuffer;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;

/// Memory that a row's floats go to.
pub struct Out<'py> {
    buffer: PyBuffer<f64>,
    object: Bound<'py, PyAny>,
}

impl<'py> Out<'py> {
    /// Refuses what cannot take `features` floats.
    pub fn check(object: Bound<'py, PyAny>, features: usize) -> PyResult<Self> {
        let wanted =
            || format!("`out` must be writable float64 memory for {features} features, e.g. numpy.empty({features})");
        let buffer = PyBuffer::<f64>::get(&object).map_err(|error| {
            let message = format!("{}; this is {}", wanted(), error.value(object.py()));
            // No buffer at all is the wrong type, a buffer of something else the wrong value.
            if error.is_instance_of::<PyTypeError>(object.py()) {
                PyTypeError::new_err(message)
            } else {
                PyValueError::new_err(message)
            }
        })?;
        // PyO3 0.30 takes big-endian doubles for native ones on a little-endian machine.
        let swapped = if cfg!(target_endian = "little") {
            matches!(buffer.format().to_bytes(), [b'>' | b'!', ..])
        } else {
            false
        };
        let found = if swapped {
            "this has its bytes the other way round".to_owned()
        } else if buffer.readonly() {
            "this is read-only".to_owned()
        } else if buffer.dimensions() != 1 {
            format!("this has {} dimensions", buffer.dimensions())
        } else if buffer.item_count() != features {
            format!("this has {} elements", buffer.item_count())
        } else if !buffer.is_c_contiguous() {
            "this is not contiguous".to_owned()
        } else {
            return Ok(Self { buffer, object });
        };
        Err(PyValueError::new_err(format!("{}; {found}", wanted())))
    }

    /// Copies the floats; gives the caller's object back.
    pub fn fill(self, values: &[f64]) -> PyResult<Bound<'py, PyAny>> {
        self.buffer.copy_from_slice(self.object.py(), values)?;
        Ok(self.object)
    }
}
