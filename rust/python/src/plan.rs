//! Plan: a definition compiled and shown, without any state.

use std::sync::Arc;

use fastfeat_engine::definition::Definition;
use fastfeat_engine::error::DefinitionError;
use fastfeat_engine::estimate::{Expected, estimate};
use fastfeat_engine::plan::Plan as Core;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::layout::output_type;
use crate::{change, errors};

/// A compiled definition. Compiling is where every mistake in it is told, as `DefinitionError`.
#[pyclass(frozen, module = "fastfeat._core")]
pub struct Plan(Arc<Core>);

impl Plan {
    /// What it shows.
    pub fn core(&self) -> &Arc<Core> {
        &self.0
    }
}

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
        compile(py, json).map(|plan| Self(Arc::new(plan)))
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

    /// Names of the tables of its state, e.g. `payments by card`, each with the parts of its key.
    #[getter]
    fn tables(&self) -> Vec<(&str, Vec<&str>)> {
        let parts = |index: usize| self.0.tables[index].key().collect();
        (0..self.0.tables.len()).map(|index| (self.0.tables[index].name.as_str(), parts(index))).collect()
    }

    /// Keys with state and their bytes, by table, and the bytes of the texts of events. `expected` is by table how many keys there are
    /// and how many events each has a day.
    #[pyo3(signature = (expected, *, days, key_bytes, texts, text_bytes, idle_after_ns=None))]
    #[expect(clippy::too_many_arguments, reason = "one keyword of Python each; only `FeatureSet.estimate` calls it")]
    fn estimate(
        &self,
        py: Python<'_>,
        expected: Vec<(u64, f64)>,
        days: f64,
        key_bytes: usize,
        texts: u64,
        text_bytes: usize,
        idle_after_ns: Option<i64>,
    ) -> PyResult<(Vec<(u64, u64)>, u64)> {
        if expected.len() != self.0.tables.len() {
            return Err(PyValueError::new_err(format!("{} tables need as many expectations", self.0.tables.len())));
        }
        let idle_after = idle_after_ns.map(|ns| ns / (1_000_000_000 / self.0.ticks_per_second));
        let expected = expected.into_iter().map(|(keys, events_per_day)| Expected {
            keys,
            events_per_day,
            days,
            key_bytes,
            texts,
            text_bytes,
            idle_after,
        });
        let expected: Vec<_> = expected.collect();
        let (tables, texts) = py.detach(|| estimate(&self.0, &expected));
        Ok((tables.iter().map(|table| (table.keys, table.bytes)).collect(), texts))
    }

    /// What a change to another definition keeps, begins anew and drops, as JSON.
    fn change(&self, py: Python<'_>, new: &Self) -> String {
        py.detach(|| change::told(&self.0, &new.0, None))
    }

    /// The plan as a text for people: which state exists, and why.
    fn describe(&self) -> String {
        self.0.describe()
    }

    fn __repr__(&self) -> String {
        format!("Plan({} features of {})", self.names().len(), self.streams().join(", "))
    }
}
