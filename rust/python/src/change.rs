//! A change of the definition: what it does before it is done, and since when features are complete after it.

use std::path::PathBuf;
use std::sync::Arc;

use fastfeat_engine::change::{Change, Restart};
use fastfeat_engine::engine::Engine as Core;
use fastfeat_engine::plan::{Complete, Plan as CorePlan};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyAnyMethods, PyDateTime};

use crate::place::{Place, StoreOptions};
use crate::plan::Plan;
use crate::{errors, instant};

/// How a checkpoint of another definition is gone on from, as Python says it.
pub fn restart<'a>(changed: &str, names: &'a [String]) -> PyResult<Restart<'a>> {
    match changed {
        "refuse_any" => Ok(Restart::NoChange),
        "refuse" => Ok(Restart::None),
        "restart" => Ok(Restart::All),
        "named" => Ok(Restart::Named(names)),
        other => Err(PyValueError::new_err(format!("no way to go on is called `{other}`"))),
    }
}

/// What a change is, as JSON.
pub fn told(old: &CorePlan, new: &CorePlan, idle_after: Option<i64>) -> String {
    serde_json::to_string(&Change::between(old, new, idle_after)).expect("a change is plain data")
}

/// The change from the definition of a checkpoint, given as `old`, to `new`, as JSON.
#[pyfunction]
pub fn checkpoint_change(
    py: Python<'_>,
    path: PathBuf,
    store_options: StoreOptions,
    old: &Plan,
    new: &Plan,
) -> PyResult<String> {
    let (old, new) = (old.core(), new.core());
    let found = py.detach(|| {
        let place = Place::of(path.clone(), &store_options)?;
        Core::plan_of_checkpoint(place.disk(), old, &place.path)
    });
    let found: Arc<CorePlan> = found.map_err(|error| errors::checkpoint(py, &error))?;
    if found.fingerprint != old.fingerprint {
        return Err(PyValueError::new_err(format!(
            "checkpoint `{}` is of another definition (fingerprint {:.12}, here {:.12}); plan from the features it was written with",
            path.display(),
            found.fingerprint,
            old.fingerprint
        )));
    }
    Ok(py.detach(|| told(&found, new, None)))
}

/// Since when the features of a stream are complete; None where they are from the beginning.
pub fn complete_since<'py>(
    py: Python<'py>,
    plan: &CorePlan,
    stream: usize,
) -> PyResult<Vec<(String, Option<Bound<'py, PyAny>>)>> {
    let latest = || py.get_type::<PyDateTime>().getattr("max")?.call_method("replace", (), Some(&utc(py)?));
    let of = |(feature, output): (usize, &fastfeat_engine::row::Output)| {
        let since = match plan.complete(stream, feature) {
            Complete::Always => None,
            Complete::Never => Some(latest()?),
            Complete::Since(ticks) => {
                // Rows at this microsecond are complete: digits below it are never cut off towards the past.
                let micros = i128::from(ticks) * 1_000_000;
                let per_second = i128::from(plan.ticks_per_second);
                let micros = micros.div_euclid(per_second) + i128::from(micros.rem_euclid(per_second) > 0);
                let since = i64::try_from(micros).ok().filter(|&micros| micros <= LAST_US);
                Some(match since {
                    Some(micros) => instant::datetime(py, micros, 1_000_000)?.into_any(),
                    None => latest()?,
                })
            }
        };
        Ok((output.name.clone(), since))
    };
    plan.streams[stream].outputs.iter().enumerate().map(of).collect()
}

/// The last microsecond that a datetime can be: 9999-12-31T23:59:59.999999Z.
const LAST_US: i64 = 253_402_300_799_999_999;

fn utc(py: Python<'_>) -> PyResult<Bound<'_, pyo3::types::PyDict>> {
    let arguments = pyo3::types::PyDict::new(py);
    arguments.set_item("tzinfo", pyo3::types::PyTzInfo::utc(py)?)?;
    Ok(arguments)
}
