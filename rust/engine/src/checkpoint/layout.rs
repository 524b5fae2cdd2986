//! How the records and parts of a plan are laid out, as JSON: what the bytes of keys mean. A file is read with the layout it was
//! written with, or not at all.

use serde_json::{Value as Json, json};

use crate::derive::kind_name;
use crate::plan::{FlagPlan, LanePlan, PartPlan, Place, Plan, TablePlan};

/// Everything that decides what the bytes of a key mean, and the columns of the rows for who reads the file.
pub(super) fn layout(plan: &Plan) -> String {
    let rows = plan.streams.iter().map(|stream| {
        let output = |output: &crate::row::Output| json!({"name": output.name, "type": kind_name(output.kind)});
        json!({"stream": stream.schema.stream, "features": stream.outputs.iter().map(output).collect::<Vec<_>>()})
    });
    let tables = plan.tables.iter().map(table);
    json!({"rows": rows.collect::<Vec<_>>(), "tables": tables.collect::<Vec<_>>()}).to_string()
}

fn table(plan: &TablePlan) -> Json {
    let columns = plan.columns.iter().map(|column| {
        let bits = match column.place {
            Place::Word(0) => 0,
            Place::Word(_) => 64,
            Place::Half(_) => 32,
        };
        json!({"value": column.text, "type": kind_name(column.kind), "bits": bits})
    });
    let masks = plan.flags.iter().filter_map(|flag| match flag {
        FlagPlan::Mask { text, .. } => Some(text),
        FlagPlan::Session { .. } | FlagPlan::Newest { .. } => None,
    });
    let parts = |parts: &[PartPlan]| parts.iter().map(|each| part(plan, each)).collect::<Vec<_>>();
    let hops = plan.hops.iter().map(
        |hop| json!({"length_ticks": hop.window.length, "every_ticks": hop.window.every, "parts": parts(&hop.parts)}),
    );
    json!({
        "name": plan.name,
        "columns": columns.collect::<Vec<_>>(),
        "masks": masks.collect::<Vec<_>>(),
        "all_time": parts(&plan.all),
        "hopping": hops.collect::<Vec<_>>(),
    })
}

/// The lane of a part; columns and masks by their place.
fn part(plan: &TablePlan, part: &PartPlan) -> Json {
    match plan.lanes[part.lane] {
        LanePlan::Count { mask } => json!({"kept": "count", "mask": mask}),
        LanePlan::Moments { column, mask, squares } => {
            json!({"kept": "moments", "column": column, "mask": mask, "squares": squares})
        }
        LanePlan::Higher { column, mask } => json!({"kept": "higher", "column": column, "mask": mask}),
        LanePlan::Pair { x, y, mask } => json!({"kept": "pair", "column": x, "second": y, "mask": mask}),
        LanePlan::Slope { column, mask } => json!({"kept": "slope", "column": column, "mask": mask}),
        LanePlan::Extreme { column, mask, max, beside } => {
            json!({"kept": "extreme", "column": column, "mask": mask, "max": max, "second": beside})
        }
        LanePlan::Distinct { column, mask, .. } => json!({"kept": "distinct", "column": column, "mask": mask}),
        LanePlan::Rank { column, mask } => json!({"kept": "rank", "column": column, "mask": mask}),
        LanePlan::Tally { column, mask, buckets } => {
            json!({"kept": "tally", "column": column, "mask": mask, "buckets": buckets})
        }
        LanePlan::Registers { column, mask } => json!({"kept": "registers", "column": column, "mask": mask}),
        LanePlan::Decay { column, mask, half_life } => {
            json!({"kept": "decay", "column": column, "mask": mask, "half_life_ticks": half_life})
        }
        LanePlan::Entry { column, mask } => {
            json!({"kept": "entries", "column": column, "mask": mask, "depth": part.depth})
        }
    }
}
