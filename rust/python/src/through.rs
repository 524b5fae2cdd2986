//! The way through the engine: a call's arguments in, the core asked, its answer out. The class itself is in `engine`.

use std::cell::Cell;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, MutexGuard, TryLockError};

use arrow_array::{RecordBatch, RecordBatchReader};
use arrow_schema::ArrowError;
use fastfeat_engine::codec::json;
use fastfeat_engine::definition::FieldKind;
use fastfeat_engine::engine::{Engine as Core, Slot};
use fastfeat_engine::error::{EventError, Problem, nearest};
use fastfeat_engine::event::{Event, Value};
use fastfeat_engine::row::FeatureRow;
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

/// What a thread that pushes beside others has of its own.
#[derive(Default)]
struct Own {
    slot: Slot,
    bytes: Vec<u8>,
}

thread_local!(static OWN: Cell<Option<Box<Own>>> = const { Cell::new(None) });

/// After so many calls that had to wait, those that push events go beside each other.
const WAITED_MAX: usize = 32;

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

/// An event as Python has it.
#[derive(Clone, Copy)]
pub enum Given<'a, 'py> {
    Object(&'a Bound<'py, PyAny>),
    Json(&'a Bound<'py, PyAny>),
}

impl<'py> Given<'_, 'py> {
    fn py(&self) -> Python<'py> {
        match self {
            Self::Object(given) | Self::Json(given) => given.py(),
        }
    }
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
        self.held(self.locked()?)
    }

    #[inline]
    fn locked(&self) -> PyResult<MutexGuard<'_, Work>> {
        match self.work.try_lock() {
            Ok(work) => Ok(work),
            Err(TryLockError::WouldBlock) => self.wait(),
            Err(TryLockError::Poisoned(_)) => Err(stopped()),
        }
    }

    #[inline]
    fn held<'a>(&'a self, mut work: MutexGuard<'a, Work>) -> PyResult<Held<'a>> {
        self.alone(&mut work)?;
        self.holder.store(this_thread(), Ordering::Relaxed);
        Ok(Held { work, holder: &self.holder })
    }

    /// The core has all of its state again, once the pushes that go beside each other have ended.
    #[inline]
    pub fn alone(&self, work: &mut Work) -> PyResult<()> {
        if self.crowded.load(Ordering::Relaxed) {
            let mut crowd = self.crowd.write().map_err(|_| stopped())?;
            self.crowded.store(false, Ordering::Relaxed);
            crowd.take().into_iter().for_each(|crowd| work.core.close_up(crowd));
        }
        Ok(())
    }

    /// Lets threads that push events of a stream go beside each other, where the features allow it.
    pub fn open_up(&self, work: &mut Work, stream: usize) -> PyResult<bool> {
        self.waited.store(0, Ordering::Relaxed);
        let mut crowd = self.crowd.write().map_err(|_| stopped())?;
        *crowd = work.core.open_up(stream);
        self.crowded.store(crowd.is_some(), Ordering::Relaxed);
        Ok(crowd.is_some())
    }

    /// Whether a push is to go beside others; now and then this is where they begin to.
    #[inline]
    fn is_crowded(&self, stream: usize) -> PyResult<bool> {
        if self.waited.load(Ordering::Relaxed) < WAITED_MAX {
            return Ok(self.crowded.load(Ordering::Relaxed));
        }
        let mut work = self.work()?;
        self.open_up(&mut work, stream)
    }

    #[cold]
    fn wait(&self) -> PyResult<MutexGuard<'_, Work>> {
        // Only this thread writes its own number there, and takes it away before it lets go.
        if self.holder.load(Ordering::Relaxed) == this_thread() {
            return Err(PyRuntimeError::new_err(
                "this engine is busy with an event that this call came out of: finish that one first, or use another engine",
            ));
        }
        if self.threaded {
            self.waited.fetch_add(1, Ordering::Relaxed);
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

    /// An event through the engine, and what `answer` makes of its row, if there is one.
    #[inline]
    pub fn take<T>(
        &self,
        stream: usize,
        given: Given<'_, '_>,
        step: Step,
        answer: impl FnOnce(&FeatureRow) -> PyResult<T>,
    ) -> PyResult<Option<T>> {
        if step == Step::Push && self.is_crowded(stream)? {
            return self.take_beside(stream, given, answer);
        }
        let work = self.locked()?;
        if step == Step::Push && self.crowded.load(Ordering::Relaxed) {
            // Others went beside each other while this one waited.
            drop(work);
            return self.take_beside(stream, given, answer);
        }
        let mut work = self.held(work)?;
        let Work { event, bytes, .. } = &mut *work;
        let checked = self.read_given(stream, given, event, bytes)?;
        let has_row = self.go(given.py(), &mut work, stream, checked, step);
        let answered = has_row.and_then(|has_row| if has_row { answer(work.core.row()).map(Some) } else { Ok(None) });
        self.help(&mut work.core, 1);
        answered
    }

    /// The same beside other threads: neither reading the event nor what is made of the row keeps them waiting.
    fn take_beside<T>(
        &self,
        stream: usize,
        given: Given<'_, '_>,
        answer: impl FnOnce(&FeatureRow) -> PyResult<T>,
    ) -> PyResult<Option<T>> {
        // There is none where reading an event has led here.
        let mut own = OWN.take().unwrap_or_default();
        let Own { slot, bytes } = &mut *own;
        let read = self.read_given(stream, given, &mut slot.event, bytes);
        let taken = read.and_then(|checked| self.push_beside(given.py(), stream, checked, slot));
        let taken = match taken {
            Ok(true) => answer(slot.row()).map(Some),
            Ok(false) => Ok(None),
            Err(error) => Err(error),
        };
        OWN.set(Some(own));
        taken
    }

    fn push_beside(
        &self,
        py: Python<'_>,
        stream: usize,
        checked: Result<(), EventError>,
        slot: &mut Slot,
    ) -> PyResult<bool> {
        let beside = self.crowd.read().map_err(|_| stopped())?;
        if let Some(crowd) = beside.as_ref().filter(|crowd| crowd.stream() == stream && !crowd.is_due()) {
            let pushed = match checked {
                Ok(()) => crowd.push(slot),
                Err(error) => {
                    crowd.count_invalid();
                    Err(error)
                }
            };
            drop(beside);
            return pushed.map_err(|error| errors::event(py, error));
        }
        drop(beside);
        let mut work = self.work()?;
        std::mem::swap(&mut work.event, &mut slot.event);
        let has_row = self.go(py, &mut work, stream, checked, Step::Push);
        if matches!(has_row, Ok(true)) {
            slot.set_row(work.core.row());
        }
        self.help(&mut work.core, 1);
        has_row
    }

    /// What is given into an event, as its schema has it.
    #[inline]
    fn read_given(
        &self,
        stream: usize,
        given: Given<'_, '_>,
        event: &mut Event,
        bytes: &mut Vec<u8>,
    ) -> PyResult<Result<(), EventError>> {
        match given {
            Given::Object(object) => self.read_object(stream, object, event),
            Given::Json(data) => self.read_json(stream, data, event, bytes),
        }
    }

    /// A dict or another mapping.
    #[inline]
    fn read_object(
        &self,
        stream: usize,
        object: &Bound<'_, PyAny>,
        event: &mut Event,
    ) -> PyResult<Result<(), EventError>> {
        let schema = &self.plan.streams[stream].schema;
        let mut filling = schema.begin(event);
        if self.fields[stream].fill(object, schema, &mut filling)? {
            return Ok(filling.finish());
        }
        let class = object.get_type().name()?;
        let message = format!("an event is a dict or another mapping, not {class}; for JSON there is push_json");
        Ok(Err(schema.refusal(&object.repr()?.to_string_lossy(), "object", message)))
    }

    #[inline]
    fn read_json(
        &self,
        stream: usize,
        data: &Bound<'_, PyAny>,
        event: &mut Event,
        bytes: &mut Vec<u8>,
    ) -> PyResult<Result<(), EventError>> {
        let (py, schema) = (data.py(), &self.plan.streams[stream].schema);
        if let Ok(data) = data.cast::<PyBytes>() {
            return Ok(json::decode(schema, data.as_bytes(), event));
        }
        if let Ok(text) = data.cast::<PyString>() {
            return Ok(match text.to_str() {
                Ok(text) => json::decode(schema, text.as_bytes(), event),
                Err(_) => Err(schema.refusal("", "json", "the event has a lone surrogate, which UTF-8 cannot carry")),
            });
        }
        let buffer = PyBuffer::<u8>::get(data).map_err(|_| {
            let class = data.get_type().name().map_or_else(|_| String::new(), |name| name.to_string());
            PyTypeError::new_err(format!(
                "push_json takes bytes, str, bytearray or memoryview, not {class}; for a dict there is push"
            ))
        })?;
        bytes.resize(buffer.item_count(), 0);
        buffer.copy_to_slice(py, bytes)?;
        let checked = json::decode(schema, bytes, event);
        bytes.truncate(json::BYTES_MAX);
        bytes.shrink_to(json::BYTES_MAX);
        Ok(checked)
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

    pub fn row<'py>(&self, py: Python<'py>, row: &FeatureRow, stream: usize) -> PyResult<Bound<'py, Row>> {
        Row::create(py, Arc::clone(&self.layouts[stream]), row.clone())
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

    /// What push gives back of a row: `out`, or a Row.
    #[inline]
    pub fn answer<'py>(
        &self,
        py: Python<'py>,
        row: &FeatureRow,
        stream: usize,
        out: Option<Out<'py>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        match out {
            Some(out) => out.fill(&row.values),
            None => Ok(self.row(py, row, stream)?.into_any()),
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
    pub fn scored<'py>(&self, py: Python<'py>, row: &FeatureRow, stream: usize) -> PyResult<Bound<'py, ScoreResult>> {
        let scorer = self.scorer(py)?;
        let scores = scorer.score(&row.values).map_err(|error| errors::model(py, error))?;
        let row = self.row(py, row, stream)?.unbind();
        let result = Bound::new(py, ScoreResult { row, scores, scorer: Arc::clone(scorer) })?;
        untrack(result.as_any());
        Ok(result)
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
        let rows = inputs.iter().map(|input| input.table.rows()).sum();
        let pushed = py.detach(|| {
            let pushed = batch::push_tables(core, event, inputs, (own, layout), threads);
            self.help(core, rows);
            pushed
        });
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
        let taken = py.detach(|| {
            let taken = match &*decoder.codec() {
                Reading::One(codec) => messages::push_messages(core, event, &way, codec, &bytes),
                Reading::ArrowIpc => ipc::push_messages(core, event, &way, &bytes),
            };
            self.help(core, bytes.len());
            taken
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
