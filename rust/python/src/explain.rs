//! Explanations as plain tuples and dicts; `fastfeat.explanation` makes its dataclasses of them.

use fastfeat_engine::explain::{ExplainedAggregation, ExplainedEvent, Shown};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDateTime, PyDict, PyFloat, PyInt, PyList, PyString};

use crate::instant;

/// Time, values by name, whether it counts.
type Event<'py> = (Bound<'py, PyDateTime>, Bound<'py, PyDict>, bool);
/// Value, beginning and end of its window, events inside, those that left, whether the window keeps events.
pub type Aggregation<'py> =
    (Bound<'py, PyAny>, Option<Bound<'py, PyDateTime>>, Bound<'py, PyDateTime>, Vec<Event<'py>>, Vec<Event<'py>>, bool);

pub fn aggregation<'py>(
    py: Python<'py>,
    explained: &ExplainedAggregation,
    ticks_per_second: i64,
) -> PyResult<Aggregation<'py>> {
    let time = |ticks| instant::datetime(py, ticks, ticks_per_second);
    let events = |events: &[ExplainedEvent]| {
        events.iter().map(|each| event(py, each, ticks_per_second)).collect::<PyResult<_>>()
    };
    Ok((
        object(py, &explained.value, ticks_per_second)?,
        explained.since.map(time).transpose()?,
        time(explained.until)?,
        events(&explained.events)?,
        events(&explained.left)?,
        explained.kept,
    ))
}

fn event<'py>(py: Python<'py>, explained: &ExplainedEvent, ticks_per_second: i64) -> PyResult<Event<'py>> {
    let values = PyDict::new(py);
    for (name, value) in &explained.values {
        values.set_item(name, object(py, value, ticks_per_second)?)?;
    }
    Ok((instant::datetime(py, explained.time, ticks_per_second)?, values, explained.counts))
}

fn object<'py>(py: Python<'py>, shown: &Shown, ticks_per_second: i64) -> PyResult<Bound<'py, PyAny>> {
    Ok(match shown {
        Shown::Null => py.None().into_bound(py),
        Shown::Float(value) => PyFloat::new(py, *value).into_any(),
        Shown::Int(value) => PyInt::new(py, *value).into_any(),
        Shown::Bool(value) => PyBool::new(py, *value).to_owned().into_any(),
        Shown::Time(ticks) => instant::datetime(py, *ticks, ticks_per_second)?.into_any(),
        Shown::Text(text) => PyString::new(py, text).into_any(),
        Shown::List(elements) => {
            let objects = elements.iter().map(|element| object(py, element, ticks_per_second));
            PyList::new(py, objects.collect::<PyResult<Vec<_>>>()?)?.into_any()
        }
    })
}
