//! Plan: a definition compiled and shown, without any state.

use fastfeat_engine::definition::Definition;
use fastfeat_engine::error::DefinitionError;
use fastfeat_engine::plan::Plan as Core;
use pyo3::prelude::*;

use crate::errors;
use crate::layout::output_type;

/// A compiled definition. Compiling is where every mistake in it is told, as `DefinitionError`.
#[pyclass(frozen, module = "fastfeat._core")]
pub struct Plan(Core);

/// JSON of a definition -> Plan.
pub fn compile(py: Python<'_>, json: &str) -> PyResult<Core> {
    let definition: Definition = serde_json::from_str(json).map_err(|error| {
        let message = format!("this is no definition of this version of fastfeat: {error}; write it with `to_json`");
        errors::definition(py, &DefinitionError::new("definition", message))
    })?;
    Core::compile(&definition).map_err(|error| errors::definition(py, &error))
}

#[pymethods]
impl Plan {
    /// Compiles the JSON of a definition.
    #[new]
    #[pyo3(signature = (json))]
    fn new(py: Python<'_>, json: &str) -> PyResult<Self> {
        compile(py, json).map(Self)
    }

    /// Names of the features, in the order of the row.
    #[getter]
    fn names(&self) -> Vec<&str> {
        self.0.streams.iter().flat_map(|stream| stream.outputs.iter().map(|output| output.name.as_str())).collect()
    }

    /// Their types, e.g. `Float64`, `List(String)`.
    #[getter]
    fn types(&self) -> Vec<String> {
        self.0.streams.iter().flat_map(|stream| stream.outputs.iter().map(output_type)).collect()
    }

    /// Names of the streams, in the order of the definition.
    #[getter]
    fn streams(&self) -> Vec<&str> {
        self.0.streams.iter().map(|stream| stream.schema.stream.as_str()).collect()
    }

    /// Hash of the definition and of the version of its meaning, 64 hex digits.
    #[getter]
    fn fingerprint(&self) -> &str {
        &self.0.fingerprint
    }

    /// The plan as a text for people: which state exists, and why.
    fn describe(&self) -> String {
        self.0.describe()
    }

    fn __repr__(&self) -> String {
        format!("Plan({} features of {})", self.names().len(), self.streams().join(", "))
    }
}
