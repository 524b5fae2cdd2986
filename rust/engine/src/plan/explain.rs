//! Plan -> text for people: which state exists, how much of it, and why.

use std::fmt::Write;

use super::{LogColumn, Mask, MaskPlan, Plan, ReadPlan, TablePlan, Which};
use crate::derive::kind_name;
use crate::window::Window;

pub(super) fn describe(plan: &Plan) -> String {
    let mut text = String::new();
    write(plan, &mut text).expect("a text takes what is written");
    text
}

fn write(plan: &Plan, out: &mut String) -> std::fmt::Result {
    writeln!(out, "plan {}", &plan.fingerprint[..12])?;
    for stream in &plan.streams {
        let schema = &stream.schema;
        writeln!(
            out,
            "stream {}: {} fields, time `{}`, lateness {}, {} feature(s)",
            schema.stream,
            schema.fields.len(),
            schema.fields[schema.time_column].name,
            duration(stream.lateness, plan.ticks_per_second),
            stream.outputs.len()
        )?;
        if !stream.before.steps.is_empty() || !stream.after.steps.is_empty() {
            let (before, after) = (stream.before.steps.len(), stream.after.steps.len());
            writeln!(
                out,
                "  computes {before} step(s) per event, and {after} from aggregations; each distinct one once"
            )?;
        }
        for output in &stream.outputs {
            writeln!(out, "  -> {}: {}", output.name, kind_name(output.kind))?;
        }
    }
    for lookup in &plan.lookups {
        let fields = &lookup.schema.fields;
        let columns: Vec<String> =
            fields.iter().map(|field| format!("{}: {}", field.name, kind_name(field.kind))).collect();
        writeln!(out, "lookup {}: by `{}`; {}", lookup.name, fields[lookup.key].name, columns.join(", "))?;
    }
    for (index, table) in plan.tables.iter().enumerate() {
        write_table(plan, index, table, out)?;
    }
    Ok(())
}

fn write_table(plan: &Plan, index: usize, table: &TablePlan, out: &mut String) -> std::fmt::Result {
    let key = if table.key.is_empty() { "none (one state for the stream)".to_owned() } else { table.key.join(", ") };
    writeln!(out, "table {}: key {key}", table.name)?;
    let columns: Vec<String> =
        table.columns.iter().map(|column| format!("{}: {}", column.text, kind_name(column.kind))).collect();
    let columns =
        if columns.is_empty() { "its time alone".to_owned() } else { format!("time, {}", columns.join(", ")) };
    writeln!(out, "  one log per key; an event takes {} bytes: {columns}", table.record_words * 8)?;
    let keep = match (table.reach, table.keep_last) {
        (0, 0) => "no event longer than it takes to count it".to_owned(),
        (0, last) => format!("the newest {last} event(s)"),
        (reach, 0) => format!("events of the last {}", duration(reach, plan.ticks_per_second)),
        (reach, last) => {
            format!("events of the last {}, and the newest {last} however old", duration(reach, plan.ticks_per_second))
        }
    };
    writeln!(out, "  keeps {keep}")?;
    if table.always_rich {
        writeln!(out, "  all-time aggregations keep running sums for every key, and no event for them")?;
    } else {
        writeln!(out, "  keys with few events are scanned; busy keys keep running answers beside the log")?;
    }
    for (stream, read) in plan.streams.iter().flat_map(|stream| stream.reads.iter().map(move |read| (stream, read))) {
        if read.table == index {
            writeln!(
                out,
                "  read by {}{}:",
                stream.schema.stream,
                if read.own { "" } else { " (as of its own time)" }
            )?;
            write_read(plan, table, read, out)?;
        }
    }
    writeln!(out, "  for {}", table.features.join(", "))
}

fn write_read(plan: &Plan, table: &TablePlan, read: &ReadPlan, out: &mut String) -> std::fmt::Result {
    let windows = |windows: &mut dyn Iterator<Item = usize>| -> String {
        windows
            .map(|window| window_text(read.windows[window].window, plan.ticks_per_second))
            .collect::<Vec<_>>()
            .join(", ")
    };
    for lane in &read.counts {
        let running = if lane.mask.is_some() { "a running count" } else { "positions alone" };
        writeln!(
            out,
            "    count{} over {} <- {running}",
            mask(table, lane.mask),
            windows(&mut lane.windows.iter().map(|job| job.window))
        )?;
    }
    for lane in &read.moments {
        let made: Vec<&str> = [
            ("sum", lane.windows.iter().any(|job| job.sum.is_some())),
            ("mean", lane.windows.iter().any(|job| job.mean.is_some())),
            ("var", lane.windows.iter().any(|job| job.var.is_some())),
            ("std", lane.windows.iter().any(|job| job.std.is_some())),
        ]
        .into_iter()
        .filter_map(|(name, made)| made.then_some(name))
        .collect();
        let state = if lane.squares { "exact sum and sum of squares" } else { "exact sum" };
        writeln!(
            out,
            "    {} of {}{} over {} <- {state}, shared",
            made.join(", "),
            column(table, lane.column),
            mask(table, lane.mask),
            windows(&mut lane.windows.iter().map(|job| job.window))
        )?;
    }
    for lane in &read.extremes {
        writeln!(
            out,
            "    {} of {}{} over {} <- one staircase for all windows",
            if lane.max { "max" } else { "min" },
            column(table, lane.column),
            mask(table, lane.mask),
            windows(&mut lane.windows.iter().map(|(window, _)| *window))
        )?;
    }
    for lane in &read.distincts {
        writeln!(
            out,
            "    n_unique of {}{} over {} <- last position of each value",
            column(table, lane.column),
            mask(table, lane.mask),
            windows(&mut lane.windows.iter().map(|job| job.window))
        )?;
    }
    for lane in &read.entries {
        for job in &lane.jobs {
            let name = match job.which {
                Which::First => "first".to_owned(),
                Which::Last => "last".to_owned(),
                Which::Lag(n) => format!("lag({n})"),
                Which::SinceLast => "time_since_last".to_owned(),
            };
            let of = lane.column.map(|index| format!(" of {}", column(table, index))).unwrap_or_default();
            writeln!(
                out,
                "    {name}{of}{} over {} <- one event of the log",
                mask(table, lane.mask),
                windows(&mut std::iter::once(job.window))
            )?;
        }
    }
    Ok(())
}

fn column(table: &TablePlan, index: usize) -> &str {
    let LogColumn { text, .. } = &table.columns[index];
    text
}

fn mask(table: &TablePlan, mask: Mask) -> String {
    mask.map(|index| {
        let MaskPlan { text, .. } = &table.masks[index];
        format!(" {text}")
    })
    .unwrap_or_default()
}

fn window_text(window: Window, ticks_per_second: i64) -> String {
    match window.reach() {
        Some(reach) => duration(reach, ticks_per_second),
        None => "all time".to_owned(),
    }
}

/// Ticks as a duration that definitions take, e.g. `1h30m`.
fn duration(ticks: i64, ticks_per_second: i64) -> String {
    let mut ns = i128::from(ticks) * i128::from(1_000_000_000 / ticks_per_second);
    if ns == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    let units: [(&str, i128); 7] = [
        ("d", 86_400_000_000_000),
        ("h", 3_600_000_000_000),
        ("m", 60_000_000_000),
        ("s", 1_000_000_000),
        ("ms", 1_000_000),
        ("us", 1_000),
        ("ns", 1),
    ];
    for (unit, length) in units {
        if ns >= length {
            text.push_str(&format!("{}{unit}", ns / length));
            ns %= length;
        }
    }
    text
}
