//! The rows of one stream: where answers go, what is computed of them, and which tables its events are written to.

use super::compile::StreamBuild;
use super::expression::{Known, Node, NodeInfo, Scope};
use super::layout::{self, TableBuild};
use super::{Final, Load, Made, StreamPlan, Target, WritePlan};
use crate::definition::FieldKind;
use crate::derive;
use crate::key::KeyPart;
use crate::row::Output;

fn key_parts(scope: &Scope, key: &[Node]) -> Vec<KeyPart> {
    let part = |&node: &Node| KeyPart {
        slot: scope.event_slot(node).expect("a key is known from the event"),
        kind: scope.ty(node).kind,
    };
    key.iter().map(part).collect()
}

pub(super) fn finish_stream(
    index: usize,
    streams: &mut [StreamBuild],
    tables: &[TableBuild],
    layouts: &[layout::Record],
) -> Result<StreamPlan, String> {
    let stream = &mut streams[index];
    let count = stream.features.len();

    // The first feature that is nothing but an aggregation gets its answer written in place.
    let mut cells: Vec<Option<usize>> = vec![None; stream.results.len()];
    for (feature, &(_, node)) in stream.features.iter().enumerate() {
        if let Known::Load(load) = stream.scope.nodes[node].known {
            cells[load].get_or_insert(feature);
        }
    }
    let in_place = |load: usize, feature: usize| cells[load] == Some(feature);
    let mut outputs = Vec::new();
    let mut exact = 0;
    let mut finals = Vec::new();
    let wides: Vec<Option<usize>> = {
        let mut next = 0..;
        stream.results.iter().map(|result| if result.wide { next.next() } else { None }).collect()
    };
    let mut indirect = Vec::new();
    for (feature, (name, node)) in stream.features.iter().enumerate() {
        let info = &stream.scope.nodes[*node];
        let load = match info.known {
            Known::Load(load) if in_place(load, feature) => Some(load),
            _ => None,
        };
        let list = matches!(info.known, Known::Load(load) if stream.results[load].list);
        let slotted = match info.ty.kind {
            _ if list => true,
            FieldKind::String | FieldKind::Timestamp => true,
            FieldKind::Int64 => load.is_none_or(|load| stream.results[load].wide),
            _ => false,
        };
        let slot = slotted.then_some(exact);
        exact += usize::from(slotted);
        let categories = info.categories.as_deref().unwrap_or_default().to_vec();
        outputs.push(Output { name: name.clone(), kind: info.ty.kind, list, categories, exact: slot });
        // A list stays where its aggregation has put it, also where two features are the same.
        let load = match info.known {
            Known::Load(load) if list => Some(load),
            _ => load,
        };
        match (load.and_then(|load| wides[load]), slot) {
            (Some(wide), Some(exact)) if list => {
                finals.push(Final::List { feature, wide, exact, kind: info.ty.kind });
            }
            (Some(wide), Some(exact)) if info.ty.kind == FieldKind::String => {
                finals.push(Final::Text { feature, wide, exact })
            }
            (Some(wide), Some(exact)) => finals.push(Final::Exact { wide, exact }),
            _ if load.is_some() => {}
            _ => {
                finals.push(Final::Slot { feature, slot: usize::MAX, kind: info.ty.kind, exact: slot });
                indirect.push(*node);
            }
        }
    }
    let needed = stream.scope.place_loads(&indirect);
    let mut hidden = count..;
    let cells: Vec<usize> =
        cells.into_iter().map(|cell| cell.unwrap_or_else(|| hidden.next().unwrap_or(usize::MAX))).collect();
    let mut indirect = indirect.into_iter();
    for last in &mut finals {
        if let Final::Slot { slot, .. } = last
            && let Some(node) = indirect.next()
        {
            *slot = stream.scope.slot(node);
        }
    }
    let loads = needed.into_iter().map(|load| {
        let result = &stream.results[load];
        Load { cell: cells[load], wide: wides[load], kind: result.ty.kind }
    });
    let loads = loads.collect();
    let targets: Vec<_> = cells.iter().zip(&wides).map(|(&cell, &wide)| Target { cell, wide }).collect();
    let stream = &streams[index];
    let made = stream.results.iter().zip(&targets).enumerate().map(|(load, (result, &target))| {
        let of = |info: &&NodeInfo| matches!(info.known, Known::Load(other) if other == load);
        let categories = stream.scope.nodes.iter().find(of).and_then(|info| info.categories.as_deref());
        Made { read: result.read, target, kind: result.ty.kind, categories: categories.unwrap_or_default().to_vec() }
    });
    let made = made.collect();
    let reads: Vec<_> = stream
        .reads
        .iter()
        .map(|read| layout::read(read, key_parts(&stream.scope, &read.key), &layouts[read.table], &targets).into())
        .collect();
    let writes =
        tables.iter().enumerate().filter(|(_, table)| table.stream == index).map(|(number, table)| WritePlan {
            table: number,
            key: key_parts(&stream.scope, &table.key),
            read: stream.reads.iter().position(|read| read.table == number && read.own),
        });
    Ok(StreamPlan {
        writes: writes.collect(),
        before: stream.scope.before.clone(),
        after: stream.scope.after()?,
        cells: cells.iter().copied().max().map_or(count, |cell| count.max(cell + 1)),
        wides: wides.iter().flatten().count(),
        schema: stream.schema.clone(),
        lateness: stream.lateness,
        on_late: stream.on_late,
        outputs,
        exact,
        reads,
        loads,
        finals,
        made,
        made_of: stream.made_of.clone(),
    })
}

/// For messages and `describe`: what a node is called.
pub(super) fn node_text(stream: &StreamBuild, node: Node) -> String {
    stream.schema.fields.get(node).map_or_else(
        || format!("{} (computed)", derive::kind_name(stream.scope.ty(node).kind)),
        |field| field.name.clone(),
    )
}
