//! Decoder: how the messages of one stream are read, chosen once and used for every batch.

use fastfeat_engine::codec;
use fastfeat_engine::codec::json::Json;
use pyo3::prelude::*;

/// How the messages of a stream are read.
#[pyclass(frozen, module = "fastfeat._core")]
pub struct Decoder {
    pub codec: codec::Decoder,
}

#[pymethods]
impl Decoder {
    /// One JSON object a message.
    #[staticmethod]
    fn json() -> Self {
        Self { codec: codec::Decoder::Json(Json) }
    }
}
