//! Messages as Kafka's record batches: lists of bytes in, batches that are sealed when their producer is known out.

use fastfeat_engine::output::record_batch::{Record, RecordBatch as Core, Sender};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::messages::Payloads;

/// Messages of one partition, laid out as brokers keep them.
#[pyclass(frozen, module = "fastfeat._core")]
pub struct RecordBatch(Core);

#[pymethods]
impl RecordBatch {
    /// How many messages it has.
    #[getter]
    fn count(&self) -> usize {
        self.0.count()
    }

    /// Its bytes, once it is sealed.
    #[getter]
    fn size(&self) -> usize {
        self.0.size()
    }

    /// The batch as it is sent by this producer.
    fn seal<'py>(
        &self,
        py: Python<'py>,
        producer: i64,
        epoch: i16,
        sequence: i32,
        transactional: bool,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let (header, records) = self.0.seal(&Sender { producer, epoch, sequence, transactional });
        PyBytes::new_with(py, self.0.size(), |out| {
            out[..header.len()].copy_from_slice(&header);
            out[header.len()..].copy_from_slice(records);
            Ok(())
        })
    }
}

type Headers = Vec<(String, Option<Vec<u8>>)>;

/// Messages in order, in as few batches as `bytes_max` lets; one that is longer has a batch of its own.
#[pyfunction]
#[pyo3(signature = (keys, values, timestamps, headers, bytes_max))]
pub fn record_batches(
    py: Python<'_>,
    keys: &Bound<'_, PyAny>,
    values: &Bound<'_, PyAny>,
    timestamps: Vec<i64>,
    headers: Option<Vec<Headers>>,
    bytes_max: usize,
) -> PyResult<Vec<RecordBatch>> {
    let (keys, values) = (Payloads::read(keys)?, Payloads::read(values)?);
    let (keys, values) = (keys.bytes(), values.bytes());
    let lengths = [keys.len(), timestamps.len(), headers.as_ref().map_or(values.len(), Vec::len)];
    if lengths.iter().any(|&length| length != values.len()) {
        let told = format!("there are {} values, and of keys, timestamps and headers {lengths:?}", values.len());
        return Err(PyValueError::new_err(told));
    }
    Ok(py.detach(|| {
        let mut batches = Vec::new();
        let mut batch = Core::default();
        for (place, (&key, &value)) in keys.iter().zip(&values).enumerate() {
            let headers = headers.as_ref().map_or(&[][..], |headers| &headers[place]);
            let record = Record { key, value, timestamp: timestamps[place], headers };
            if !batch.append(&record, bytes_max) {
                batches.push(RecordBatch(std::mem::take(&mut batch)));
                batch.append(&record, bytes_max);
            }
        }
        if batch.count() > 0 {
            batches.push(RecordBatch(batch));
        }
        batches
    }))
}
