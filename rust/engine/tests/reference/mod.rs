//! The judge: every feature recomputed from the raw events, slow and obvious, in exact rational arithmetic.

use num_rational::BigRational;
use num_traits::{ToPrimitive, Zero};
use serde_json::{Value as Json, json};

use crate::asking::Ask;

/// One event as the tests write it.
#[derive(Clone, Debug)]
pub struct Raw {
    pub stream: usize,
    pub t: i64,
    pub card: Option<u8>,
    pub shop: u8,
    pub amount: Option<f64>,
    pub count: i64,
    pub declined: bool,
}

/// A value of a row, as the judge sees it.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    Null,
    Nan,
    Exactly(f64),
    /// The double nearest to this number.
    Nearest(BigRational),
    /// Within 1e-12 (mean) or 1e-9 (var, std) of this.
    About(f64, f64),
    Int(i64),
    Text(String),
    Bool(bool),
}

pub fn event(raw: &Raw) -> Json {
    // JSON has no NaN: fastfeat reads Python's tokens, which the caller puts in.
    json!({
        "ts": raw.t, "card": raw.card.map(|card| format!("c{card}")), "shop": format!("shop number {}", raw.shop),
        "amount": raw.amount.filter(|amount| amount.is_finite()), "count": raw.count, "declined": raw.declined,
    })
}

/// The answer to one question for the row of `events[row]`, from all events that arrived up to it.
pub fn answer(ask: &Ask, events: &[Raw], row: usize) -> Answer {
    let own = &events[row];
    let key = |raw: &Raw| -> Option<Vec<u8>> {
        ask.keys.iter().map(|name| if *name == "card" { raw.card } else { Some(raw.shop) }).collect()
    };
    let wanted = key(own);
    let source = usize::from(ask.other);
    // Total order: time, then arrival. The row's own event comes last among those of its time, as it has arrived last.
    let mut inside: Vec<usize> = (0..=row)
        .filter(|&index| {
            let raw = &events[index];
            raw.stream == source
                && wanted.is_some()
                && key(raw) == wanted
                && raw.t <= own.t
                && ask.window.is_none_or(|window| raw.t > own.t - window)
        })
        .collect();
    inside.sort_by_key(|&index| (events[index].t, index));
    let before_only = matches!(ask.kind, "lag" | "time_since_last");
    inside.retain(|&index| index != row || (ask.include_current && !before_only));
    inside.retain(|&index| !ask.declined_only || events[index].declined);
    if ask.value == Some("amount") {
        inside.retain(|&index| events[index].amount.is_some());
    }
    let inside: Vec<&Raw> = inside.into_iter().map(|index| &events[index]).collect();
    let shown = |raw: Option<&&Raw>| raw.map_or(Answer::Null, |raw| show(ask, raw));
    match ask.kind {
        "count" => Answer::Int(inside.len() as i64),
        "n_unique" => {
            let mut values: Vec<String> = inside.iter().map(|raw| identity(ask, raw)).collect();
            values.sort();
            values.dedup();
            Answer::Int(values.len() as i64)
        }
        "first" => shown(inside.first()),
        "last" => shown(inside.last()),
        "lag" => shown(inside.len().checked_sub(ask.n).map(|index| &inside[index])),
        "time_since_last" => {
            inside.last().map_or(Answer::Null, |raw| Answer::Exactly((own.t - raw.t) as f64 / 1_000_000.0))
        }
        "min" | "max" => extreme(ask, &inside),
        _ => moments(ask, &inside),
    }
}

fn number(ask: &Ask, raw: &Raw) -> f64 {
    match ask.value {
        Some("amount") => raw.amount.unwrap_or_default(),
        Some("declined") => f64::from(u8::from(raw.declined)),
        _ => f64::NAN,
    }
}

fn show(ask: &Ask, raw: &Raw) -> Answer {
    match ask.value {
        Some("amount") => float(raw.amount.unwrap_or_default()),
        Some("count") => Answer::Int(raw.count),
        Some("shop") => Answer::Text(format!("shop number {}", raw.shop)),
        Some("declined") => Answer::Bool(raw.declined),
        _ => Answer::Int(raw.t),
    }
}

fn float(x: f64) -> Answer {
    if x.is_nan() { Answer::Nan } else { Answer::Exactly(x) }
}

fn identity(ask: &Ask, raw: &Raw) -> String {
    match ask.value {
        Some("amount") => format!("{:?}", raw.amount.map(|x| if x == 0.0 { 0.0 } else { x })),
        _ => format!("{:?}", show(ask, raw)),
    }
}

fn extreme(ask: &Ask, inside: &[&Raw]) -> Answer {
    let max = ask.kind == "max";
    if let Some("count" | "ts") = ask.value {
        let values = inside.iter().map(|raw| if ask.value == Some("ts") { raw.t } else { raw.count });
        return (if max { values.max() } else { values.min() }).map_or(Answer::Null, Answer::Int);
    }
    let values: Vec<f64> = inside.iter().map(|raw| number(ask, raw)).collect();
    let real = values.iter().copied().filter(|x| !x.is_nan());
    let best = if max { real.max_by(f64::total_cmp) } else { real.min_by(f64::total_cmp) };
    match best {
        Some(best) => Answer::Exactly(best),
        None if values.is_empty() => Answer::Null,
        None => Answer::Nan,
    }
}

fn moments(ask: &Ask, inside: &[&Raw]) -> Answer {
    let n = inside.len();
    let empty = match ask.kind {
        "sum" => None,
        "mean" => Some(1),
        _ => Some(2),
    };
    if empty.is_some_and(|least| n < least) {
        return Answer::Null;
    }
    let exact = |raw: &&Raw| match ask.value {
        Some("count") => Some(BigRational::from_integer(raw.count.into())),
        _ => BigRational::from_float(number(ask, raw)),
    };
    let values: Option<Vec<BigRational>> = inside.iter().map(exact).collect();
    let Some(values) = values else {
        // Not finite: IEEE 754 in any order.
        let sum: f64 = inside.iter().map(|raw| number(ask, raw)).filter(|x| !x.is_finite()).sum();
        return if matches!(ask.kind, "sum" | "mean") { float(sum) } else { Answer::Nan };
    };
    let sum: BigRational = values.iter().sum();
    if ask.kind == "sum" {
        return Answer::Nearest(sum);
    }
    let mean = &sum / BigRational::from_integer(n.into());
    if ask.kind == "mean" {
        return Answer::About(mean.to_f64().unwrap_or(f64::NAN), 1e-12);
    }
    let squares: BigRational = values.iter().map(|value| (value - &mean) * (value - &mean)).sum();
    let var = (squares / BigRational::from_integer((n - 1).into())).to_f64().unwrap_or(f64::NAN);
    Answer::About(if ask.kind == "var" { var } else { var.sqrt() }, 1e-9)
}

/// Whether no other double is nearer.
pub fn is_nearest(x: f64, exact: &BigRational) -> bool {
    let Some(rational) = BigRational::from_float(x) else {
        let largest = BigRational::from_float(f64::MAX).unwrap_or_else(BigRational::zero);
        return x.is_infinite() && (if x > 0.0 { exact.clone() } else { -exact.clone() }) > largest;
    };
    let distance = |y: BigRational| {
        let difference = y - exact;
        if difference < BigRational::zero() { -difference } else { difference }
    };
    let own = distance(rational);
    [x.next_up(), x.next_down()].into_iter().filter_map(BigRational::from_float).all(|other| own <= distance(other))
}
