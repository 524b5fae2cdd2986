//! What events cost, for `fastfeat bench`: the engine alone in chunks, or one event's way stage by stage. The clock is here, not in the engine.

use std::time::Instant;

use fastfeat_engine::codec::json;
use fastfeat_engine::error::EventError;
use fastfeat_engine::event::Event;
use fastfeat_engine::stage::{Probe, Stage};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString, PyTuple};

use crate::engine::Engine;
use crate::errors;

/// Events between two looks at the clock: enough that reading it costs nothing, few enough that a disturbance spoils one chunk alone.
const CHUNK: usize = 64;
const CLOCK_READINGS: usize = 1_001;

impl Engine {
    /// Reads an object or bytes of JSON into `event`. The stream, and whether its schema accepts the event.
    fn read(&self, item: &Bound<'_, PyAny>, event: &mut Event) -> PyResult<(usize, Result<(), EventError>)> {
        let pair = item.cast::<PyTuple>()?;
        let (stream, value) = (pair.get_item(0)?, pair.get_item(1)?);
        let stream = if stream.is_none() { self.own } else { self.stream_named(stream.cast::<PyString>()?)? };
        let schema = &self.plan.streams[stream].schema;
        if let Ok(bytes) = value.cast::<PyBytes>() {
            return Ok((stream, json::decode(schema, bytes.as_bytes(), event)));
        }
        let mut filling = schema.begin(event);
        if !self.fields[stream].fill(&value, schema, &mut filling)? {
            let class = value.get_type().name()?;
            return Ok((
                stream,
                Err(schema.refusal("", "object", format!("an event is a dict or bytes, not {class}"))),
            ));
        }
        Ok((stream, filling.finish()))
    }

    /// Pushes events and times the engine alone. Nanoseconds by chunk, how many events they are, and how many were refused.
    pub fn time_chunks(&self, events: &Bound<'_, PyList>) -> PyResult<(Vec<u64>, usize, usize)> {
        let mut work = self.work()?;
        let mut read: Vec<(usize, Event)> = (0..CHUNK).map(|_| (0, Event::default())).collect();
        let mut nanoseconds = Vec::with_capacity(events.len().div_ceil(CHUNK));
        let (mut pushed, mut refused) = (0, 0);
        for start in (0..events.len()).step_by(CHUNK) {
            let mut filled = 0;
            for place in start..events.len().min(start + CHUNK) {
                let (stream, event) = &mut read[filled];
                let (of, checked) = self.read(&events.get_item(place)?, event)?;
                *stream = of;
                if checked.is_ok() { filled += 1 } else { refused += 1 }
            }
            let started = Instant::now();
            for (stream, event) in &mut read[..filled] {
                match work.core.push(*stream, event) {
                    Ok(_) => pushed += 1,
                    Err(_) => refused += 1,
                }
            }
            nanoseconds.push(started.elapsed().as_nanos() as u64);
        }
        Ok((nanoseconds, pushed, refused))
    }

    /// Pushes events as `push` or `score` does and adds up each stage's nanoseconds, without those of the clock itself.
    pub fn time_stages<'py>(&self, events: &Bound<'py, PyList>) -> PyResult<Bound<'py, PyDict>> {
        let py = events.py();
        let mut work = self.work()?;
        let mut watch = Watch::new();
        let (mut read, mut score, mut give) = (0, 0, 0);
        for item in events.iter() {
            watch.start();
            let (stream, checked) = self.read(&item, &mut work.event)?;
            read += watch.lap();
            let work = &mut *work;
            let Ok(has_row) = checked.and_then(|()| work.core.push_probed(stream, &mut work.event, &mut watch)) else {
                continue;
            };
            watch.lap();
            if !has_row {
                continue;
            }
            if let Some(scorer) = self.scorer.as_ref().filter(|_| stream == self.own) {
                scorer.score(&work.core.row().values).map_err(|error| errors::model(py, error))?;
                score += watch.lap();
            }
            let row = self.row(py, work.core.row(), stream)?;
            give += watch.lap();
            drop(row);
        }
        let stages = PyDict::new(py);
        stages.set_item("read", read)?;
        for stage in Stage::ALL {
            stages.set_item(stage.name(), watch.spent[stage as usize])?;
        }
        if self.scorer.is_some() {
            stages.set_item("score", score)?;
        }
        stages.set_item("give", give)?;
        Ok(stages)
    }
}

/// A stopwatch that knows what looking at it costs.
struct Watch {
    last: Instant,
    cost: u64,
    spent: [u64; Stage::ALL.len()],
}

impl Watch {
    fn new() -> Self {
        let mut watch = Self { last: Instant::now(), cost: 0, spent: [0; Stage::ALL.len()] };
        let mut costs: Vec<u64> = (0..CLOCK_READINGS).map(|_| watch.lap()).collect();
        costs.sort_unstable();
        watch.cost = costs[CLOCK_READINGS / 2];
        watch
    }

    fn start(&mut self) {
        self.last = Instant::now();
    }

    /// Nanoseconds since the last look.
    fn lap(&mut self) -> u64 {
        let now = Instant::now();
        let spent = (now - self.last).as_nanos() as u64;
        self.last = now;
        spent.saturating_sub(self.cost)
    }
}

impl Probe for Watch {
    fn ended(&mut self, stage: Stage) {
        self.spent[stage as usize] += self.lap();
    }
}
