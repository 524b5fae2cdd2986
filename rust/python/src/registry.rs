//! What the engine knows by name: aggregations, windows, functions, codecs. Tests hold the rest of the project to it.

use fastfeat_engine::aggregate::AGGREGATES;
use fastfeat_engine::codec::CODECS;
use fastfeat_engine::derive::{FUNCTIONS, IS_IN};
use fastfeat_engine::window::WINDOWS;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::decoder::ARROW_IPC;

/// Names of everything that a definition can say, by kind.
#[pyfunction]
pub fn registry(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    let aggregations: Vec<&str> = AGGREGATES.iter().map(|aggregate| aggregate.name).collect();
    let functions: Vec<&str> = FUNCTIONS.iter().map(|function| function.name).chain([IS_IN]).collect();
    let names = PyDict::new(py);
    names.set_item("aggregations", aggregations)?;
    names.set_item("windows", WINDOWS)?;
    names.set_item("functions", functions)?;
    let codecs: Vec<&str> = CODECS.iter().copied().chain([ARROW_IPC]).collect();
    names.set_item("codecs", codecs)?;
    Ok(names)
}
