//! Plan -> text for people: which state exists, how much of it, and why.

use std::fmt::Write;

use super::{FlagPlan, LanePlan, Mask, Past, Plan, ReadPlan, TablePlan, WindowPlan};
use crate::aggregate::What;
use crate::definition::Closed;
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
    // Per event of a run with room for many; flags are bits.
    let bytes = table.shape.words * 8 + table.shape.halves * 4;
    writeln!(out, "  one log per key; an event takes {bytes} bytes and {} bit(s): {columns}", table.shape.flags)?;
    let mut keeps = Vec::new();
    if table.reach > 0 {
        keeps.push(format!("events of the last {}", duration(table.reach, plan.ticks_per_second)));
    }
    if table.keep_last > 0 {
        keeps.push(format!("the newest {} however old", table.keep_last));
    }
    if table.moving {
        keeps.push("what sessions, `last` and `since` may still see".to_owned());
    }
    if !table.all.is_empty() {
        keeps.push("running sums over all time, and no event for them".to_owned());
    }
    for hop in &table.hops {
        let slices = hop.window.length / hop.window.every + 2;
        keeps.push(format!("at most {slices} slices of {}", duration(hop.window.every, plan.ticks_per_second)));
    }
    let keeps = if keeps.is_empty() { "nothing beyond the watermark".to_owned() } else { keeps.join("; ") };
    writeln!(out, "  keeps {keeps}")?;
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
    for lane in &read.lanes {
        let (state, of) = lane_text(table, &table.lanes[lane.lane]);
        for jobs in lane.jobs.chunk_by(|a, b| a.window == b.window) {
            let window = &read.windows[jobs[0].window];
            let made: Vec<String> = jobs.iter().map(|job| what_text(job.what)).collect();
            let window = window_text(table, window, plan.ticks_per_second);
            writeln!(out, "    {}{of} over {window} <- {state}", made.join(", "))?;
        }
    }
    Ok(())
}

/// What a lane keeps, and of what.
fn lane_text(table: &TablePlan, lane: &LanePlan) -> (&'static str, String) {
    let of = |column: usize, mask: Mask| format!(" of {}{}", table.columns[column].text, mask_text(table, mask));
    match *lane {
        LanePlan::Count { mask } => ("positions and bits", mask_text(table, mask)),
        LanePlan::Moments { column, mask, squares: false } => ("exact sums", of(column, mask)),
        LanePlan::Moments { column, mask, squares: true } => ("exact sums and sums of squares", of(column, mask)),
        LanePlan::Higher { column, mask } => ("exact sums of four powers", of(column, mask)),
        LanePlan::Pair { x, y, mask } => {
            let of = format!(" of {}, {}{}", table.columns[x].text, table.columns[y].text, mask_text(table, mask));
            ("exact sums of products", of)
        }
        LanePlan::Slope { column, mask } => ("exact sums of products with the time", of(column, mask)),
        LanePlan::Extreme { column, mask, .. } => ("extremes", of(column, mask)),
        LanePlan::Distinct { column, mask, .. } => ("a bit where a value is seen last", of(column, mask)),
        LanePlan::Rank { column, mask } => ("values in order", of(column, mask)),
        LanePlan::Tally { column, mask, .. } => ("counts of values", of(column, mask)),
        LanePlan::Registers { column, mask } => ("registers", of(column, mask)),
        LanePlan::Decay { column, mask, .. } => ("decaying sums", of(column, mask)),
        LanePlan::Entry { column: Some(column), mask } => ("events of the log", of(column, mask)),
        LanePlan::Entry { column: None, mask } => ("events of the log", mask_text(table, mask)),
    }
}

fn what_text(what: What) -> String {
    match what {
        What::Lag(n) => format!("lag({n})"),
        What::LastK(k) => format!("last_k({k})"),
        What::TopK(k) => format!("top_k({k})"),
        What::Quantile(q) => format!("quantile({q})"),
        What::ApproxQuantile(q) => format!("approx_quantile({q})"),
        What::Rate(_) => "rate".to_owned(),
        other => snake(&format!("{other:?}")),
    }
}

/// `SinceLast` as `since_last`.
fn snake(name: &str) -> String {
    let mut text = String::new();
    for (index, letter) in name.char_indices() {
        if letter.is_uppercase() && index > 0 {
            text.push('_');
        }
        text.extend(letter.to_lowercase());
    }
    text
}

fn mask_text(table: &TablePlan, mask: Mask) -> String {
    match mask.map(|flag| &table.flags[flag]) {
        Some(FlagPlan::Mask { text, .. }) => format!(" {text}"),
        _ => String::new(),
    }
}

fn window_text(table: &TablePlan, plan: &WindowPlan, ticks_per_second: i64) -> String {
    let long = |ticks: i64| duration(ticks, ticks_per_second);
    let mut text = match &plan.window {
        Window::Rolling(window) => {
            let mut text = long(window.length);
            if window.offset > 0 {
                text.push_str(&format!(" before {} ago", long(window.offset)));
            }
            if window.closed != Closed::Right {
                text.push_str(&format!(" closed {}", snake(&format!("{:?}", window.closed))));
            }
            text
        }
        Window::All(_) => "all time".to_owned(),
        Window::Tumbling(window) => format!("the {} begun", long(window.length)),
        Window::Hopping(window) => format!("{} in steps of {}", long(window.length), long(window.every)),
        Window::Session(window) => format!("the session without gaps over {}", long(window.gap)),
        Window::Last(window) => format!("the last {} events", window.count),
        Window::Since(_) => format!("the events since{}", mask_text(table, plan.flag)),
    };
    if !plan.ties {
        text.push_str(", strictly before");
    } else if !plan.current {
        text.push_str(", without the event itself");
    }
    if plan.past != Past::None {
        text.push_str(", folded");
    }
    text
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
