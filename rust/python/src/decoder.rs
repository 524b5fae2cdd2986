//! Decoder: how the messages of one stream are read, chosen once and used for every batch.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use fastfeat_engine::codec;
use fastfeat_engine::codec::avro::Avro;
use fastfeat_engine::codec::framing::Framing;
use fastfeat_engine::codec::json::Json;
use fastfeat_engine::codec::protobuf::Protobuf;
use fastfeat_engine::plan::Plan;
use fastfeat_engine::schema::Schema;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::messages::Payloads;

/// The format whose messages have many events each; it needs Arrow, which the engine does not know.
pub const ARROW_IPC: &str = "arrow_ipc";

/// How the messages of a stream are read.
#[pyclass(frozen, module = "fastfeat._core")]
pub struct Decoder {
    plan: Arc<Plan>,
    pub stream: usize,
    codec: RwLock<Reading>,
}

/// One event a message, or many.
pub enum Reading {
    One(codec::Decoder),
    ArrowIpc,
}

impl Decoder {
    pub fn new(plan: Arc<Plan>, stream: usize, format: &str, framing: &str, message: Option<String>) -> PyResult<Self> {
        let framing =
            Framing::named(framing).ok_or_else(|| PyValueError::new_err(format!("there is no framing `{framing}`")))?;
        let codec = match format {
            "json" => Reading::One(codec::Decoder::Json(Json)),
            "avro" => Reading::One(codec::Decoder::Avro(Avro::new(framing))),
            "protobuf" => Reading::One(codec::Decoder::Protobuf(Protobuf::new(framing, message))),
            ARROW_IPC => Reading::ArrowIpc,
            _ => return Err(PyValueError::new_err(format!("there is no format `{format}`"))),
        };
        Ok(Self { plan, stream, codec: RwLock::new(codec) })
    }

    /// The codec, as it is now; schemas are added between two batches.
    pub fn codec(&self) -> RwLockReadGuard<'_, Reading> {
        self.codec.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn schema(&self) -> &Schema {
        &self.plan.streams[self.stream].schema
    }
}

#[pymethods]
impl Decoder {
    /// Adds the text of an Avro schema, and those that it refers to. Why it is none, where it is none.
    #[pyo3(signature = (id, text, references))]
    fn add_avro(&self, id: u32, text: &str, references: Vec<String>) -> Option<String> {
        let references: Vec<&str> = references.iter().map(String::as_str).collect();
        match &mut *self.codec.write().unwrap_or_else(PoisonError::into_inner) {
            Reading::One(codec::Decoder::Avro(avro)) => avro.add(self.schema(), id, text, &references).err(),
            _ => Some("this format has no Avro schemas".to_owned()),
        }
    }

    /// Adds the descriptors of a schema id, or of all ids. Why they are none, where they are none.
    #[pyo3(signature = (id, descriptors))]
    fn add_protobuf(&self, id: Option<u32>, descriptors: &[u8]) -> Option<String> {
        match &mut *self.codec.write().unwrap_or_else(PoisonError::into_inner) {
            Reading::One(codec::Decoder::Protobuf(protobuf)) => protobuf.add(self.schema(), id, descriptors).err(),
            _ => Some("this format has no descriptors".to_owned()),
        }
    }

    /// The ids of schemas that messages are written with and that are not known, each once.
    #[pyo3(signature = (payloads))]
    fn unknown(&self, payloads: &Bound<'_, PyAny>) -> PyResult<Vec<u32>> {
        let payloads = Payloads::read(payloads)?;
        let codec = self.codec();
        let ids = payloads.bytes().into_iter().flatten().filter_map(|message| match &*codec {
            Reading::One(codec::Decoder::Avro(avro)) => avro.unknown_id(message),
            Reading::One(codec::Decoder::Protobuf(protobuf)) => protobuf.unknown_id(message),
            Reading::One(codec::Decoder::Json(_)) | Reading::ArrowIpc => None,
        });
        Ok(ids.collect::<BTreeSet<u32>>().into_iter().collect())
    }
}
