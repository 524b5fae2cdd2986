//! class Engine: an event or a table in, a Row, a score or a table out. x rules, formulas, state
//!
//! Python's `fastfeat.Engine` derives from it and adds only what happens once; the calls per event land here without a Python frame.

use std::num::NonZero;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, RwLock};

use fastfeat_engine::checkpoint::{Restored, Wanted};
use fastfeat_engine::engine::{Crowd, Engine as Core, OnLimit, Options};
use fastfeat_engine::error::{DefinitionError, nearest};
use fastfeat_engine::late::LateRecord;
use fastfeat_engine::plan::Plan;
use fastfeat_engine::row::FeatureRow;
use fastfeat_engine::spill::{LocalSpill, SpillDisk};
use fastfeat_lightgbm::{Library, Model, Output};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDateTime, PyDict, PyList, PyString, PyTuple};

use crate::convert::FieldNames;
use crate::decoder::Decoder;
use crate::layout::Layout;
use crate::lookup::LookupTable;
use crate::outcome::Outcome;
use crate::place::{Place, StoreOptions};
use crate::row::Row;
use crate::score::{ScoreResult, Scorer};
use crate::through::{Asked, Given, Step, Work};
use crate::{change, errors, explain, instant, lookup, place, plan};

/// Stream, time, newest time, microseconds between them, whether it got a row.
type LateEvent<'py> = (String, Bound<'py, PyDateTime>, Bound<'py, PyDateTime>, i64, bool);

/// Offsets, the file, and what was damaged on the way to it.
type Told<'py> = (String, Bound<'py, PyAny>, Vec<String>);

/// The engine behind `fastfeat.Engine`.
#[pyclass(frozen, subclass, module = "fastfeat._core")]
pub struct Engine {
    pub plan: Arc<Plan>,
    /// The stream that the features belong to.
    pub own: usize,
    /// What a checkpoint gave beside the state, where it came from one.
    restored: Option<(String, PathBuf, Vec<String>)>,
    /// By stream.
    pub layouts: Vec<Arc<Layout>>,
    pub fields: Vec<FieldNames>,
    pub scorer: Option<Arc<Scorer>>,
    pub work: Mutex<Work>,
    /// The thread that has the state, or 0.
    pub holder: AtomicUsize,
    /// Held while a checkpoint is written.
    pub checkpointing: Mutex<()>,
    /// Calls that wait for the state: who writes a checkpoint lets them go before it.
    pub waiting: AtomicUsize,
    /// Whether several threads can push at all: whether Python is without its lock.
    pub threaded: bool,
    /// Calls that had to wait for the state, since they last went beside each other.
    pub waited: AtomicUsize,
    /// What the core has given away while pushes go beside each other; it is taken back by who has the core.
    pub crowd: RwLock<Option<Crowd>>,
    /// Whether it has; changed only by who has the core.
    pub crowded: AtomicBool,
    /// Nanoseconds for which the last checkpoint of all state had the engine: at its instant, and for the longest time after.
    pub instant_ns: AtomicU64,
    pub held_ns: AtomicU64,
    /// The longest time that a call took for a part of it that it saved, and how many of them did.
    pub helped_ns: AtomicU64,
    pub helped: AtomicU64,
}

#[pymethods]
impl Engine {
    /// Compiles the JSON of a definition. `stream` is the stream that the features belong to; `model` the text of a LightGBM
    /// model, `library` the path of LightGBM's shared library; `checkpoint` the path or address of one to go on from,
    /// with `store_options`; the others are the engine's options.
    #[new]
    #[pyo3(signature = (
        definition, stream, *, model=None, library=None, raw_score=false, memory_limit=None, evict_idle=false, spill_path=None,
        idle_after_ns=None, late_events_max=1_000, checkpoint=None, changed="refuse_any",
        restart=Vec::new(), store_options=vec![]
    ))]
    #[expect(clippy::too_many_arguments, reason = "one keyword of Python each; only `fastfeat.Engine` calls it")]
    fn new(
        py: Python<'_>,
        definition: &str,
        stream: &str,
        model: Option<&str>,
        library: Option<PathBuf>,
        raw_score: bool,
        memory_limit: Option<u64>,
        evict_idle: bool,
        spill_path: Option<PathBuf>,
        idle_after_ns: Option<i64>,
        late_events_max: usize,
        checkpoint: Option<PathBuf>,
        changed: &str,
        restart: Vec<String>,
        store_options: StoreOptions,
    ) -> PyResult<Self> {
        let plan = Arc::new(plan::compile(py, definition)?);
        let own = plan
            .stream(stream)
            .ok_or_else(|| PyValueError::new_err(format!("the definition has no stream `{stream}`")))?;
        // A key never goes earlier than it was said to.
        let ticks = |nanoseconds: i64| {
            let nanoseconds_per_tick = 1_000_000_000 / plan.ticks_per_second;
            nanoseconds / nanoseconds_per_tick + i64::from(nanoseconds % nanoseconds_per_tick > 0)
        };
        let options = Options {
            memory_limit,
            on_limit: match spill_path {
                Some(_) => OnLimit::Spill,
                None if evict_idle => OnLimit::EvictIdle,
                None => OnLimit::Error,
            },
            spill: spill_path.map(|folder| Arc::new(LocalSpill::new(folder)) as Arc<dyn SpillDisk>),
            idle_after: idle_after_ns.map(ticks),
            late_events_max,
            ..Options::default()
        };
        let (core, restored) = match checkpoint {
            None => {
                let core = Core::open(Arc::clone(&plan), options);
                (core.map_err(|error| errors::spill(py, &error.place, &error.message))?, None)
            }
            Some(path) => {
                let wanted = Wanted { plan: &plan, options: &options, restart: change::restart(changed, &restart)? };
                let restored = py.detach(|| {
                    let place = Place::of(path, &store_options)?;
                    Core::restore_wanted(place.disk(), wanted, &place.path)
                });
                let Restored { engine, offsets, path, damaged } =
                    restored.map_err(|error| errors::checkpoint(py, &error))?;
                let damaged = damaged.iter().map(ToString::to_string).collect();
                (engine, Some((offsets, path, damaged)))
            }
        };
        // Of a definition that was changed the engine has a plan of its own.
        let plan = Arc::clone(core.plan());
        let layout = |stream| Arc::new(Layout::of_stream(stream, plan.ticks_per_second));
        let layouts: Vec<Arc<Layout>> = plan.streams.iter().map(layout).collect();
        let scorer = match (model, library) {
            (None, _) => None,
            (Some(_), None) => {
                return Err(PyValueError::new_err("a model needs the path of LightGBM's shared library"));
            }
            (Some(text), Some(library)) => {
                let output = if raw_score { Output::Raw } else { Output::Normal };
                let model = Library::open(&library).and_then(|library| Model::from_text(library, text, output));
                let model = model.map_err(|error| errors::model(py, error))?;
                let scorer = Scorer::new(model, &layouts[own]).map_err(|error| errors::model(py, error))?;
                Some(Arc::new(scorer))
            }
        };
        let fields = plan.streams.iter().map(|stream| FieldNames::new(py, &stream.schema)).collect();
        let work = Mutex::new(Work::new(core));
        let (holder, checkpointing, waiting) = (AtomicUsize::new(0), Mutex::new(()), AtomicUsize::new(0));
        let (instant_ns, held_ns) = (AtomicU64::new(0), AtomicU64::new(0));
        let (helped_ns, helped) = (AtomicU64::new(0), AtomicU64::new(0));
        Ok(Self {
            plan,
            own,
            restored,
            layouts,
            fields,
            scorer,
            work,
            holder,
            checkpointing,
            waiting,
            threaded: is_threaded(py)?,
            waited: AtomicUsize::new(0),
            crowd: RwLock::new(None),
            crowded: AtomicBool::new(false),
            instant_ns,
            held_ns,
            helped_ns,
            helped,
        })
    }

    /// Takes an event and gives its features: a Row, or `out` filled with its floats. None for a stream without features.
    ///
    /// Raises InvalidEvent with every broken rule, or LateEvent; the engine is then what it was before.
    #[pyo3(signature = (event, *, stream=None, out=None))]
    fn push<'py>(
        &self,
        event: &Bound<'py, PyAny>,
        stream: Option<&Bound<'py, PyString>>,
        out: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let stream = self.stream(stream)?;
        let out = self.check_out(stream, out)?;
        let answer = |row: &FeatureRow| self.answer(event.py(), row, stream, out);
        self.take(stream, Given::Object(event), Step::Push, answer)
    }

    /// As push, from JSON in bytes, str, bytearray or memoryview: one object, read without building Python objects.
    #[pyo3(signature = (data, *, stream=None, out=None))]
    fn push_json<'py>(
        &self,
        data: &Bound<'py, PyAny>,
        stream: Option<&Bound<'py, PyString>>,
        out: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let stream = self.stream(stream)?;
        let out = self.check_out(stream, out)?;
        let answer = |row: &FeatureRow| self.answer(data.py(), row, stream, out);
        self.take(stream, Given::Json(data), Step::Push, answer)
    }

    /// What push would answer; nothing changes.
    #[pyo3(signature = (event, *, stream=None))]
    fn peek<'py>(
        &self,
        event: &Bound<'py, PyAny>,
        stream: Option<&Bound<'py, PyString>>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let stream = self.stream(stream)?;
        let answer = |row: &FeatureRow| self.answer(event.py(), row, stream, None);
        self.take(stream, Given::Object(event), Step::Peek, answer)
    }

    /// The features of the keys that `keys` gives, as of the time `at` (by default that of the newest event): a row without an event.
    /// Nothing changes; fields that the keys do not give are null.
    ///
    /// `at` is a whole number in the unit of the stream's time, a datetime or ISO 8601 text. Raises TooOld before the watermark.
    #[pyo3(signature = (keys, *, at=None))]
    fn lookup<'py>(&self, keys: &Bound<'py, PyAny>, at: Option<&Bound<'py, PyAny>>) -> PyResult<Bound<'py, Row>> {
        let mut work = self.work()?;
        let t = self.take_keys(&mut work, keys, at)?;
        let Work { core, event, .. } = &mut *work;
        core.lookup(self.own, event, t).map_err(|error| errors::event(keys.py(), error))?;
        let row = self.row(keys.py(), core.row(), self.own);
        self.help(core, 1);
        row
    }

    /// What a feature (by its position) of some keys is made of: the time, its value, and its aggregations as they are written.
    #[pyo3(name = "_explain", signature = (feature, keys, *, at=None))]
    fn explain<'py>(
        &self,
        feature: usize,
        keys: &Bound<'py, PyAny>,
        at: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<(Bound<'py, PyDateTime>, Bound<'py, PyAny>, Vec<explain::Aggregation<'py>>)> {
        let py = keys.py();
        let mut work = self.work()?;
        let t = self.take_keys(&mut work, keys, at)?;
        let Work { core, event, .. } = &mut *work;
        let explained = core.explain(self.own, feature, event, t).map_err(|error| errors::event(py, error))?;
        let ticks_per_second = self.plan.ticks_per_second;
        let aggregations = explained.iter().map(|each| explain::aggregation(py, each, ticks_per_second));
        let value = self.layouts[self.own].object(py, core.row(), feature)?;
        Ok((instant::datetime(py, t, ticks_per_second)?, value, aggregations.collect::<PyResult<_>>()?))
    }

    /// The newest late events, oldest first: stream, time, newest time of the stream then, microseconds between them, whether it got a row.
    #[pyo3(name = "_late_events")]
    fn late_events<'py>(&self, py: Python<'py>) -> PyResult<Vec<LateEvent<'py>>> {
        let work = self.work()?;
        let ticks_per_second = self.plan.ticks_per_second;
        let event = |late: &LateRecord| {
            let behind = i128::from(late.newest) - i128::from(late.time);
            Ok((
                self.plan.streams[late.stream].schema.stream.clone(),
                instant::datetime(py, late.time, ticks_per_second)?,
                instant::datetime(py, late.newest, ticks_per_second)?,
                (behind * 1_000_000 / i128::from(ticks_per_second)) as i64,
                late.emitted,
            ))
        };
        work.core.late_events().map(event).collect()
    }

    /// Pushes an event and scores its features with the engine's model.
    #[pyo3(signature = (event, *, stream=None))]
    fn score<'py>(
        &self,
        event: &Bound<'py, PyAny>,
        stream: Option<&Bound<'py, PyString>>,
    ) -> PyResult<Option<Bound<'py, ScoreResult>>> {
        let stream = self.stream(stream)?;
        self.scorer(event.py())?;
        self.take(stream, Given::Object(event), Step::Push, |row| self.scored(event.py(), row, stream))
    }

    /// As score, from JSON.
    #[pyo3(signature = (data, *, stream=None))]
    fn score_json<'py>(
        &self,
        data: &Bound<'py, PyAny>,
        stream: Option<&Bound<'py, PyString>>,
    ) -> PyResult<Option<Bound<'py, ScoreResult>>> {
        let stream = self.stream(stream)?;
        self.scorer(data.py())?;
        self.take(stream, Given::Json(data), Step::Push, |row| self.scored(data.py(), row, stream))
    }

    /// Pushes the rows of a table, in order, and gives a table of their features; None for a stream without features.
    ///
    /// `table` is anything with the Arrow PyCapsule interface, or a dict from stream to table: those are merged by time, at equal times
    /// in the order of the dict, and the features are those of the rows of the features' own stream. All rows are checked before the
    /// first one is pushed: a table with an invalid or a late row is refused as a whole, and changes nothing.
    ///
    /// `threads` (all of the machine's by default) work on it where it is one table and the features let them: those of one stream over
    /// rolling, tumbling, session, last and since windows, without limits on memory. Their number changes no bit of any row.
    #[pyo3(signature = (table, *, stream=None, threads=None))]
    fn push_batch<'py>(
        &self,
        table: &Bound<'py, PyAny>,
        stream: Option<&Bound<'py, PyString>>,
        threads: Option<usize>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        if threads == Some(0) {
            return Err(PyValueError::new_err(
                "threads=0 leaves none to work: give 1 or more, or None for all of the machine's",
            ));
        }
        let threads = threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, NonZero::get));
        let Ok(tables) = table.cast::<PyDict>() else {
            let input = self.read_table(table, self.stream(stream)?)?;
            return self.push_inputs(table.py(), &[input], threads);
        };
        if stream.is_some() {
            return Err(PyTypeError::new_err("a dict of tables names its streams itself: leave out stream="));
        }
        let mut inputs = Vec::with_capacity(tables.len());
        for (name, table) in tables.iter() {
            let stream = self.stream_named(name.cast::<PyString>().map_err(|_| {
                PyTypeError::new_err("push_batch takes a table, or a dict from the name of a stream to its table")
            })?)?;
            inputs.push(self.read_table(&table, stream)?);
        }
        self.push_inputs(table.py(), &inputs, threads)
    }

    /// How messages of a stream in a format are read. Avro and Protobuf know no schema yet.
    #[pyo3(name = "_decoder", signature = (format, *, stream=None, framing="raw", message=None))]
    fn decoder(
        &self,
        format: &str,
        stream: Option<&Bound<'_, PyString>>,
        framing: &str,
        message: Option<String>,
    ) -> PyResult<Decoder> {
        Decoder::new(Arc::clone(&self.plan), self.stream(stream)?, format, framing, message)
    }

    /// Takes a batch of messages, each as `decoder` reads it, in order; other Python threads run meanwhile. `definition` and `model`
    /// are the versions that the outcome's messages tell.
    #[pyo3(name = "_push_messages", signature = (payloads, decoder, *, score=false, reasons=0, definition, model=None))]
    fn push_messages(
        &self,
        payloads: &Bound<'_, PyAny>,
        decoder: &Decoder,
        score: bool,
        reasons: usize,
        definition: String,
        model: Option<String>,
    ) -> PyResult<Outcome> {
        self.take_messages(payloads, decoder, Asked { score, reasons, definition, model })
    }

    /// Gives a lookup its rows: from the next event on all of them at once, in place of those it had.
    #[pyo3(name = "_set_lookup", signature = (name, table))]
    fn set_lookup(&self, py: Python<'_>, name: &str, table: &LookupTable) -> PyResult<()> {
        let Some(plan) = self.plan.lookups.iter().find(|plan| plan.name == name) else {
            let known = self.plan.lookups.iter().map(|plan| plan.name.as_str());
            let hint = nearest(name, known).map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
            let message = format!("the features read no lookup of this name{hint}");
            return Err(errors::definition(py, &DefinitionError::new(format!("lookup `{name}`"), message)));
        };
        let refusal = |error| lookup::refusal(py, &error);
        let rows = py.detach(|| table.rows(plan, self.plan.ticks_per_second)).map_err(refusal)?;
        self.work()?.core.set_lookup(name, rows).map(|_version| ()).map_err(refusal)
    }

    /// Writes all state to a file, or to a new one of a folder of which the newest `keep` stay; where it is then. With `incremental` only
    /// what is new since the last one of the folder, where that is less. The engine takes events meanwhile. `offsets` is a JSON object.
    #[pyo3(name = "_checkpoint", signature = (path, offsets, keep, incremental, store_options))]
    fn checkpoint<'py>(
        &self,
        py: Python<'py>,
        path: PathBuf,
        offsets: &str,
        keep: usize,
        incremental: bool,
        store_options: StoreOptions,
    ) -> PyResult<Bound<'py, PyAny>> {
        let place = Place::of(path, &store_options).map_err(|error| errors::checkpoint(py, &error))?;
        place::told(py, &self.write_checkpoint(py, &place, offsets, keep, incremental)?)
    }

    /// All state as bytes: the same for the same state. The engine takes no event meanwhile.
    #[pyo3(name = "_state")]
    fn state<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(py, &self.state_bytes()?))
    }

    /// Nanoseconds for which the writer of the last checkpoint of all state had the engine: at its instant, and for the longest time after.
    fn _held_ns(&self) -> (u64, u64) {
        (self.instant_ns.load(Ordering::Relaxed), self.held_ns.load(Ordering::Relaxed))
    }

    /// How many calls have saved a part of the last checkpoint of all state after their events, and the nanoseconds of the longest of those parts.
    fn _helped(&self) -> (u64, u64) {
        (self.helped.load(Ordering::Relaxed), self.helped_ns.load(Ordering::Relaxed))
    }

    /// Of an engine that went on from a checkpoint: its offsets as JSON, its file, and what was damaged on the way to it.
    #[getter(_restored)]
    fn restored<'py>(&self, py: Python<'py>) -> PyResult<Option<Told<'py>>> {
        let told = |(offsets, path, damaged): &(String, PathBuf, Vec<String>)| {
            Ok((offsets.clone(), place::told(py, path)?, damaged.clone()))
        };
        self.restored.as_ref().map(told).transpose()
    }

    /// Names of the features, each with the time from which on its rows are complete; None from the beginning.
    #[pyo3(name = "_complete_since")]
    fn complete_since<'py>(&self, py: Python<'py>) -> PyResult<Vec<(String, Option<Bound<'py, PyAny>>)>> {
        change::complete_since(py, &self.plan, self.own)
    }

    /// What a change to a definition keeps, begins anew and drops, as JSON; and by table its bytes and keys.
    #[pyo3(name = "_change_to")]
    fn change_to(&self, py: Python<'_>, new: &plan::Plan) -> PyResult<(String, Vec<(u64, u64)>)> {
        let work = self.work()?;
        let (idle_after, tables) = (work.core.options().idle_after, work.core.tables());
        drop(work);
        Ok((py.detach(|| change::told(&self.plan, new.core(), idle_after)), tables))
    }

    /// What the engine has seen and holds: `keys`, `events`, `late`, `invalid`, `refused` (by the memory limit), keys that `expired` or
    /// were `evicted`, `state_bytes`, keys that sleep since a restore (`asleep_keys`) or are on disk, with their bytes and those of the
    /// file (`spilled_keys`, `spilled_bytes`, `spill_file_bytes`), and `journal_bytes` of events that the next increment of a checkpoint takes; under `streams` the counts and the
    /// `newest` time of each stream, and under `lookups` the rows, bytes and misses of each lookup and how often it was given a table.
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let work = self.work()?;
        let core = work.core.stats();
        let streams = PyDict::new(py);
        for (index, stream) in self.plan.streams.iter().enumerate() {
            let one = PyDict::new(py);
            one.set_item("events", core.events[index])?;
            one.set_item("late", core.late[index])?;
            one.set_item("invalid", core.invalid[index])?;
            let newest = core.newest[index].map(|ticks| instant::datetime(py, ticks, self.plan.ticks_per_second));
            one.set_item("newest", newest.transpose()?)?;
            streams.set_item(&stream.schema.stream, one)?;
        }
        let stats = PyDict::new(py);
        stats.set_item("keys", core.keys)?;
        stats.set_item("events", core.events.iter().sum::<u64>())?;
        stats.set_item("late", core.late.iter().sum::<u64>())?;
        stats.set_item("invalid", core.invalid.iter().sum::<u64>())?;
        stats.set_item("refused", core.refused)?;
        stats.set_item("expired", core.expired)?;
        stats.set_item("evicted", core.evicted)?;
        stats.set_item("state_bytes", core.state_bytes)?;
        stats.set_item("asleep_keys", core.asleep_keys)?;
        stats.set_item("spilled_keys", core.spilled_keys)?;
        stats.set_item("spilled_bytes", core.spilled_bytes)?;
        stats.set_item("spill_file_bytes", core.spill_file_bytes)?;
        stats.set_item("journal_bytes", core.journal_bytes)?;
        stats.set_item("streams", streams)?;
        let lookups = PyDict::new(py);
        for lookup in core.lookups {
            let one = PyDict::new(py);
            one.set_item("version", lookup.version)?;
            one.set_item("rows", lookup.rows)?;
            one.set_item("misses", lookup.misses)?;
            one.set_item("bytes", lookup.bytes)?;
            lookups.set_item(lookup.name, one)?;
        }
        stats.set_item("lookups", lookups)?;
        Ok(stats)
    }

    /// Pushes pairs of a stream's name (None for the features' own) and an event, a dict or JSON in bytes, and times the engine alone:
    /// nanoseconds by chunk of events, how many were pushed, how many refused.
    fn _time_chunks(&self, events: &Bound<'_, PyList>) -> PyResult<(Vec<u64>, usize, usize)> {
        self.time_chunks(events)
    }

    /// Pushes such pairs as push does, or score where there is a model, and gives the nanoseconds of each stage over all of them.
    fn _time_stages<'py>(&self, events: &Bound<'py, PyList>) -> PyResult<Bound<'py, PyDict>> {
        self.time_stages(events)
    }

    /// Lets threads that push events of the features' own stream go beside each other from now on, until another call: what waiting for each
    /// other leads to where Python has no lock. False where the features do not allow it.
    fn _open_up(&self) -> PyResult<bool> {
        let mut work = self.work()?;
        self.open_up(&mut work, self.own)
    }

    /// Whether they do.
    fn _is_crowded(&self) -> bool {
        self.crowded.load(Ordering::Relaxed)
    }

    /// Whether a sync of a checkpoint has failed, so that this engine writes no more.
    #[getter(_unsynced)]
    fn unsynced(&self) -> PyResult<bool> {
        Ok(self.work()?.core.unsynced().is_some())
    }

    /// Names of the features, in the order of the row.
    #[getter]
    fn names<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        self.layouts[self.own].names(py).cloned()
    }
}

/// Whether Python is without its lock.
fn is_threaded(py: Python<'_>) -> PyResult<bool> {
    let sys = py.import("sys")?;
    let Ok(is_enabled) = sys.getattr("_is_gil_enabled") else { return Ok(false) };
    Ok(!is_enabled.call0()?.is_truthy()?)
}
