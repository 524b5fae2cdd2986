//! The way through the engine: a call's arguments in, the core asked, its answer out. The class itself is in `engine`.

use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, MutexGuard, TryLockError};

use arrow_array::{RecordBatch, RecordBatchReader};
use arrow_schema::ArrowError;
use fastfeat_engine::codec::json;
use fastfeat_engine::definition::FieldKind;
use fastfeat_engine::engine::Engine as Core;
use fastfeat_engine::error::{EventError, Problem, nearest};
use fastfeat_engine::event::{Event, Value};
use fastfeat_engine::schema::Schema;
use pyo3::buffer::PyBuffer;
use pyo3::exceptions::{PyRuntimeError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};
use pyo3_arrow::PyTable;
use pyo3_arrow::input::AnyRecordBatch;

use crate::batch::{self, Input, Refusal};
use crate::decoder::{Decoder, Reading};
use crate::engine::Engine;
use crate::messages::{self, Payloads, Way};
use crate::out::Out;
use crate::outcome::Outcome;
use crate::row::{Row, untrack};
use crate::score::{ScoreResult, Scorer};
use crate::table::Table;
use crate::{convert, errors, ipc};

/// What changes with every event.
pub struct Work {
    pub core: Core,
    pub event: Event,
    bytes: Vec<u8>,
}

impl Work {
    pub fn new(core: Core) -> Self {
        Self { core, event: Event::default(), bytes: Vec::new() }
    }
}

/// The state of an engine while one call has it.
pub struct Held<'a> {
    work: MutexGuard<'a, Work>,
    holder: &'a AtomicUsize,
}

impl Deref for Held<'_> {
    type Target = Work;

    #[inline]
    fn deref(&self) -> &Work {
        &self.work
    }
}

impl DerefMut for Held<'_> {
    #[inline]
    fn deref_mut(&mut self) -> &mut Work {
        &mut self.work
    }
}

impl Drop for Held<'_> {
    #[inline]
    fn drop(&mut self) {
        self.holder.store(0, Ordering::Relaxed);
    }
}

/// A number that no other running thread has; never 0.
#[inline]
fn this_thread() -> usize {
    thread_local!(static PLACE: u8 = const { 0 });
    PLACE.with(|place| std::ptr::from_ref(place).addr())
}

#[cold]
fn stopped() -> PyErr {
    PyRuntimeError::new_err(
        "this engine stopped in the middle of an event (a bug in fastfeat: please report it); make a new one",
    )
}

/// What is wanted of a batch of messages, and the versions that its messages tell.
pub struct Asked {
    pub score: bool,
    pub reasons: usize,
    pub definition: String,
    pub model: Option<String>,
}

/// What is done with an event.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Push,
    Peek,
}

impl Engine {
    /// The engine's state, once no other thread has it; meanwhile Python runs on. Refused to a call that came out of one that has it.
    #[inline]
    pub fn work(&self) -> PyResult<Held<'_>> {
        let work = match self.work.try_lock() {
            Ok(work) => Ok(work),
            Err(TryLockError::WouldBlock) => self.wait(),
            Err(TryLockError::Poisoned(_)) => Err(stopped()),
        }?;
        self.holder.store(this_thread(), Ordering::Relaxed);
        Ok(Held { work, holder: &self.holder })
    }

    #[cold]
    fn wait(&self) -> PyResult<MutexGuard<'_, Work>> {
        // Only this thread writes its own number there, and takes it away before it lets go.
        if self.holder.load(Ordering::Relaxed) == this_thread() {
            return Err(PyRuntimeError::new_err(
                "this engine is busy with an event that this call came out of: finish that one first, or use another engine",
            ));
        }
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let work = loop {
            // A lock that is held without Python must not be waited for with it: whoever has it may need it.
            Python::attach(|py| py.detach(|| drop(self.work.lock())));
            match self.work.try_lock() {
                Ok(work) => break Ok(work),
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Poisoned(_)) => break Err(stopped()),
            }
        };
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        work
    }

    /// The stream that `stream=` names; the features' own by default.
    #[inline]
    pub fn stream(&self, stream: Option<&Bound<'_, PyString>>) -> PyResult<usize> {
        match stream {
            None => Ok(self.own),
            Some(name) => self.stream_named(name),
        }
    }

    pub fn stream_named(&self, name: &Bound<'_, PyString>) -> PyResult<usize> {
        let name_text = name.to_string_lossy();
        self.plan.stream(&name_text).ok_or_else(|| {
            let known: Vec<&str> = self.plan.streams.iter().map(|stream| stream.schema.stream.as_str()).collect();
            let way_out = match nearest(&name_text, known.iter().copied()) {
                Some(nearest) => format!("did you mean `{nearest}`?"),
                None => format!("it takes {}; name others with Engine(streams=[...])", known.join(", ")),
            };
            let message = format!("this engine takes no stream `{name_text}`; {way_out}");
            errors::invalid(name.py(), &name_text, vec![Problem::new("", &name_text, "stream", message)])
        })
    }

    /// A dict or another mapping through the engine. True when the core now holds a row.
    #[inline]
    pub fn take_object(&self, work: &mut Work, stream: usize, event: &Bound<'_, PyAny>, step: Step) -> PyResult<bool> {
        let schema = &self.plan.streams[stream].schema;
        let mut filling = schema.begin(&mut work.event);
        let checked = if self.fields[stream].fill(event, schema, &mut filling)? {
            filling.finish()
        } else {
            let class = event.get_type().name()?;
            let message = format!("an event is a dict or another mapping, not {class}; for JSON there is push_json");
            Err(schema.refusal(&event.repr()?.to_string_lossy(), "object", message))
        };
        self.go(event.py(), work, stream, checked, step)
    }

    /// JSON through the engine.
    #[inline]
    pub fn take_json(&self, work: &mut Work, stream: usize, data: &Bound<'_, PyAny>, step: Step) -> PyResult<bool> {
        let (py, schema) = (data.py(), &self.plan.streams[stream].schema);
        let checked = if let Ok(bytes) = data.cast::<PyBytes>() {
            json::decode(schema, bytes.as_bytes(), &mut work.event)
        } else if let Ok(text) = data.cast::<PyString>() {
            match text.to_str() {
                Ok(text) => json::decode(schema, text.as_bytes(), &mut work.event),
                Err(_) => Err(schema.refusal("", "json", "the event has a lone surrogate, which UTF-8 cannot carry")),
            }
        } else {
            let buffer = PyBuffer::<u8>::get(data).map_err(|_| {
                let class = data.get_type().name().map_or_else(|_| String::new(), |name| name.to_string());
                PyTypeError::new_err(format!(
                    "push_json takes bytes, str, bytearray or memoryview, not {class}; for a dict there is push"
                ))
            })?;
            work.bytes.resize(buffer.item_count(), 0);
            buffer.copy_to_slice(py, &mut work.bytes)?;
            let checked = json::decode(schema, &work.bytes, &mut work.event);
            work.bytes.truncate(json::BYTES_MAX);
            work.bytes.shrink_to(json::BYTES_MAX);
            checked
        };
        self.go(py, work, stream, checked, step)
    }

    #[inline]
    fn go(
        &self,
        py: Python<'_>,
        work: &mut Work,
        stream: usize,
        checked: Result<(), EventError>,
        step: Step,
    ) -> PyResult<bool> {
        let pushed = match (checked, step) {
            (Ok(()), Step::Push) => work.core.push(stream, &mut work.event),
            (Ok(()), Step::Peek) => work.core.peek(stream, &mut work.event),
            (Err(error), Step::Push) => {
                work.core.count_invalid(stream);
                Err(error)
            }
            (Err(error), Step::Peek) => Err(error),
        };
        pushed.map_err(|error| errors::event(py, error))
    }

    pub fn row<'py>(&self, py: Python<'py>, work: &Work, stream: usize) -> PyResult<Bound<'py, Row>> {
        Row::create(py, Arc::clone(&self.layouts[stream]), work.core.row().clone())
    }

    /// Keys as an event without its other fields, and the ticks of the time that is asked for.
    pub fn take_keys(&self, work: &mut Work, keys: &Bound<'_, PyAny>, at: Option<&Bound<'_, PyAny>>) -> PyResult<i64> {
        let (py, Work { core, event, .. }) = (keys.py(), work);
        let schema = &self.plan.streams[self.own].schema;
        let mut filling = schema.begin(event);
        if !self.fields[self.own].fill(keys, schema, &mut filling)? {
            let class = keys.get_type().name()?;
            return Err(PyTypeError::new_err(format!(
                "lookup takes a dict of keys, such as {{\"card\": \"c-1\"}}, not {class}"
            )));
        }
        if let Some(at) = at {
            convert::set(&mut filling, schema.time_column, FieldKind::Timestamp, at)?;
        }
        filling.finish_given().map_err(|error| errors::event(py, error))?;
        self.check_keys(keys, schema)?;
        let t = match (event.values[schema.time_column], core.newest(self.own)) {
            (Value::Time(t), _) => t,
            (_, Some(newest)) => newest,
            (_, None) => {
                let message = "no event of the stream has come yet, so there is no newest time: say at=";
                return Err(errors::event(py, schema.refusal("", "required", message)));
            }
        };
        event.values[schema.time_column] = Value::Time(t);
        Ok(t)
    }

    /// Unlike an event, which may have fields that nobody asked for, keys are all meant.
    fn check_keys(&self, keys: &Bound<'_, PyAny>, schema: &Schema) -> PyResult<()> {
        for name in keys.try_iter()? {
            let name = name?.str()?.to_string_lossy().into_owned();
            let message = match schema.column(&name) {
                Some(column) if column == schema.time_column => "the time is given by at=".to_owned(),
                Some(_) => continue,
                None => match nearest(&name, schema.fields.iter().map(|field| field.name.as_str())) {
                    Some(nearest) => format!("the stream has no such column; did you mean `{nearest}`?"),
                    None => "the stream has no such column".to_owned(),
                },
            };
            return Err(errors::invalid(
                keys.py(),
                &schema.stream,
                vec![Problem::new(&name, "a key", "unknown", message)],
            ));
        }
        Ok(())
    }

    /// What push gives back: `out`, a Row, or None.
    #[inline]
    pub fn answer<'py>(
        &self,
        py: Python<'py>,
        work: &Work,
        stream: usize,
        has_row: bool,
        out: Option<Out<'py>>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        match (has_row, out) {
            (false, _) => Ok(None),
            (true, Some(out)) => out.fill(&work.core.row().values).map(Some),
            (true, None) => Ok(Some(self.row(py, work, stream)?.into_any())),
        }
    }

    #[inline]
    pub fn check_out<'py>(&self, stream: usize, out: Option<Bound<'py, PyAny>>) -> PyResult<Option<Out<'py>>> {
        out.map(|out| Out::check(out, self.layouts[stream].outputs.len())).transpose()
    }

    #[inline]
    pub fn scorer(&self, py: Python<'_>) -> PyResult<&Arc<Scorer>> {
        self.scorer
            .as_ref()
            .ok_or_else(|| errors::model(py, "this engine has no model; make it with Engine(features, model=...)"))
    }

    #[inline]
    pub fn scored<'py>(
        &self,
        py: Python<'py>,
        work: &Work,
        stream: usize,
        has_row: bool,
    ) -> PyResult<Option<Bound<'py, ScoreResult>>> {
        if !has_row {
            return Ok(None);
        }
        let scorer = self.scorer(py)?;
        let scores = scorer.score(&work.core.row().values).map_err(|error| errors::model(py, error))?;
        let row = self.row(py, work, stream)?.unbind();
        let result = Bound::new(py, ScoreResult { row, scores, scorer: Arc::clone(scorer) })?;
        untrack(result.as_any());
        Ok(Some(result))
    }

    pub fn push_inputs<'py>(
        &self,
        py: Python<'py>,
        inputs: &[Input],
        threads: usize,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let own = match inputs {
            [only] => only.stream,
            _ => self.own,
        };
        let mut work = self.work()?;
        let Work { core, event, .. } = &mut *work;
        let layout = &self.layouts[own];
        let pushed = py.detach(|| batch::push_tables(core, event, inputs, (own, layout), threads));
        let answer = pushed.map_err(|refusal| match refusal {
            Refusal::Event { error, stream, row } => {
                // The others are counted where they are found.
                if matches!(error, EventError::Invalid { .. } | EventError::Table { .. }) {
                    core.count_invalid(stream);
                }
                errors::event_in_row(py, error, Some(row))
            }
            Refusal::Damaged(message) => PyValueError::new_err(format!("the table is damaged: {message}")),
            Refusal::Arrow(error) => PyRuntimeError::new_err(error.to_string()),
        })?;
        drop(work);
        let Some((batches, schema)) = answer else { return Ok(None) };
        let table = PyTable::try_new(batches, schema)?;
        // pyarrow is optional; without it the table still has the Arrow PyCapsule interface.
        if py.import(pyo3::intern!(py, "pyarrow")).is_ok() {
            return table.into_pyarrow(py).map(Some);
        }
        Ok(Some(Bound::new(py, table)?.into_any()))
    }

    pub fn take_messages(&self, payloads: &Bound<'_, PyAny>, decoder: &Decoder, asked: Asked) -> PyResult<Outcome> {
        let (py, stream) = (payloads.py(), decoder.stream);
        let scorer = if asked.score { Some(self.scorer(py)?) } else { None };
        let reasons = match scorer {
            _ if asked.reasons == 0 => 0,
            None => {
                return Err(PyValueError::new_err("reasons are those of a score: write score=True beside reasons="));
            }
            Some(scorer) => {
                scorer.explains().map_err(|error| errors::model(py, error))?;
                asked.reasons.min(scorer.reasons_max())
            }
        };
        let payloads = Payloads::read(payloads)?;
        let way = Way { plan: &self.plan, stream, scorer: scorer.map(|scorer| &**scorer), reasons };
        let mut work = self.work()?;
        let Work { core, event, .. } = &mut *work;
        let bytes = payloads.bytes();
        let taken = py.detach(|| match &*decoder.codec() {
            Reading::One(codec) => messages::push_messages(core, event, &way, codec, &bytes),
            Reading::ArrowIpc => ipc::push_messages(core, event, &way, &bytes),
        });
        drop(work);
        let layout = Arc::clone(&self.layouts[stream]);
        let classes = scorer.map(|scorer| scorer.classes());
        Ok(Outcome::new(layout, taken, classes, reasons, asked.model.filter(|_| asked.score), asked.definition))
    }

    pub fn read_table(&self, table: &Bound<'_, PyAny>, stream: usize) -> PyResult<Input> {
        let py = table.py();
        let reader = table.extract::<AnyRecordBatch>().map_err(|error| {
            let class = table.get_type().name().map_or_else(|_| String::new(), |name| name.to_string());
            let wanted =
                "push_batch takes anything with the Arrow PyCapsule interface, such as a pyarrow or polars table";
            let refused = PyTypeError::new_err(format!("{wanted}, not {class}"));
            refused.set_cause(py, Some(error));
            refused
        })?;
        let reader = reader.into_reader()?;
        let schema = reader.schema();
        let read = || reader.collect::<Result<Vec<RecordBatch>, ArrowError>>();
        let batches =
            py.detach(read).map_err(|error| PyValueError::new_err(format!("the table cannot be read: {error}")))?;
        let table = Table::new(&schema, batches, &self.plan.streams[stream].schema)
            .map_err(|error| errors::event(py, error))?;
        Ok(Input { stream, table })
    }
}
