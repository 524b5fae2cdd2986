//! Arrow IPC: a message is a stream of record batches, each of many events, which go the way of a table's rows.

use std::panic::{AssertUnwindSafe, catch_unwind};

use arrow_array::RecordBatch;
use arrow_buffer::Buffer;
use arrow_ipc::reader::StreamDecoder;
use arrow_schema::ArrowError;
use fastfeat_engine::engine::Engine as Core;
use fastfeat_engine::error::EventError;
use fastfeat_engine::event::Event;
use fastfeat_engine::schema::Schema;

use crate::messages::{NO_VALUE, Taken, Way};
use crate::table::Table;

/// As many events as each message has rows. A message that is no stream of batches is one row of the outcome.
pub fn push_messages(core: &mut Core, event: &mut Event, way: &Way<'_>, payloads: &[Option<&[u8]>]) -> Taken {
    let schema = &way.plan.streams[way.stream].schema;
    let mut taken = Taken::new(way, payloads.len());
    for (message, payload) in payloads.iter().enumerate() {
        let table = match payload {
            Some(bytes) => read(schema, bytes),
            None => Err(schema.refusal("null", "value", NO_VALUE)),
        };
        // All batches of a message are looked at before the first of its events is taken.
        let batches = table.as_ref().map_err(Clone::clone).and_then(|table| {
            let reading = table.batches.iter().map(|batch| Ok((table.read(batch)?, batch.num_rows())));
            reading.collect::<Result<Vec<_>, String>>().map_err(|told| refused(schema, &told))
        });
        match batches {
            Err(error) => taken.take(core, event, way, message, Err(error)),
            Ok(batches) => {
                for (rows, count) in batches {
                    for row in 0..count {
                        let mut filling = schema.begin(event);
                        rows.fill(row, &mut filling);
                        let read = filling.finish();
                        taken.take(core, event, way, message, read);
                    }
                }
            }
        }
    }
    taken
}

fn read(schema: &Schema, bytes: &[u8]) -> Result<Table, EventError> {
    // The library checks what it reads and still panics on some damage: a message must never end the process.
    let decoded = catch_unwind(AssertUnwindSafe(|| decode(bytes)));
    let (arrow_schema, batches) = match decoded {
        Ok(Ok(decoded)) => decoded,
        Ok(Err(error)) => return Err(refused(schema, &error.to_string())),
        Err(_) => return Err(refused(schema, "the Arrow library stopped in the middle of it")),
    };
    // A batch of no columns, or of nulls, announces any number of rows in a few bytes.
    let rows: usize = batches.iter().map(RecordBatch::num_rows).fold(0, usize::saturating_add);
    if rows > bytes.len().saturating_mul(8) {
        return Err(refused(schema, &format!("{rows} rows are announced in {} bytes", bytes.len())));
    }
    Table::new(&arrow_schema, batches, schema)
}

/// The decoder that takes bytes as they come allocates nothing that a header merely announces.
fn decode(bytes: &[u8]) -> Result<(arrow_schema::SchemaRef, Vec<RecordBatch>), ArrowError> {
    let mut decoder = StreamDecoder::new();
    let mut buffer = Buffer::from(bytes);
    let mut batches = Vec::new();
    while let Some(batch) = decoder.decode(&mut buffer)? {
        batches.push(batch);
    }
    decoder.finish()?;
    let schema = decoder.schema().ok_or_else(|| ArrowError::IpcError("it has no schema".to_owned()))?;
    Ok((schema, batches))
}

fn refused(schema: &Schema, told: &str) -> EventError {
    let way_out = "write it with pyarrow.ipc.new_stream, without compression: Kafka has its own";
    schema.refusal("bytes", "arrow_ipc", format!("the message is no Arrow IPC stream: {told}; {way_out}"))
}
