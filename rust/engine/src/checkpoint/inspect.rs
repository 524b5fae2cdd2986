//! What is inside a checkpoint, for people: its chain, sections, counters and tables, whether it is whole, and the events of one key.
//! It needs no definition: that stands in the file.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value as Json;

use super::disk::{self, Disk};
use super::folder::{self, Chain};
use super::format::Kind;
use super::increment::Link;
use super::read::Identity;
use super::sections::{Fault, Reader, broken, damaged};
use super::{fault, placed};
use crate::contents::KeyContents;
use crate::encode::{Broken, Input};
use crate::engine::{Engine, Options};
use crate::error::{CheckpointError, CheckpointFault};
use crate::plan::Plan;

/// A path: a folder with its chains, or one file.
#[derive(Debug, Serialize)]
pub struct Inspected {
    /// As it was given.
    pub path: PathBuf,
    /// Of a folder: `whole`, or what is wrong with it; the chains are then those of its files.
    pub manifest: Option<String>,
    /// The newest first; one for a file.
    pub chains: Vec<Vec<File>>,
    /// What is known of a key, where one is asked for.
    pub keys: Vec<KeyContents>,
}

/// One file.
#[derive(Debug, Default, Serialize)]
pub struct File {
    name: String,
    bytes: u64,
    /// Whether all of it was read and its checksums hold.
    whole: bool,
    /// What is wrong with it.
    damage: Option<String>,
    /// `full` or `increment`.
    kind: &'static str,
    format: u32,
    release: String,
    semantics: u32,
    fingerprint: String,
    ticks_per_second: i64,
    idle_after_ticks: Option<i64>,
    offsets: Json,
    definition: Option<Json>,
    /// Of an increment.
    events: Option<u64>,
    streams: Vec<Stream>,
    tables: Vec<Table>,
    lookups: Vec<Lookup>,
    texts: u64,
    evicted: u64,
    refused: u64,
    late_events: u64,
    sections: Vec<Section>,
}

#[derive(Debug, Default, Serialize)]
struct Stream {
    name: String,
    events: u64,
    late: u64,
    invalid: u64,
    newest_ticks: Option<i64>,
}

#[derive(Debug, Default, Serialize)]
struct Table {
    name: String,
    keys: u64,
    expired: u64,
    bytes: u64,
}

#[derive(Debug, Serialize)]
struct Lookup {
    name: String,
    version: u64,
    misses: u64,
}

#[derive(Debug, Serialize)]
struct Section {
    kind: &'static str,
    count: u64,
    bytes: u64,
}

/// Names that an increment leaves to its full checkpoint.
#[derive(Default)]
struct Names {
    streams: Vec<String>,
    tables: Vec<String>,
}

/// Looks at a file or a folder, and at the keys whose columns have these values.
///
/// # Errors
/// Nothing is there, or the disk cannot read it; a key is asked for and no file leads to it. What is damaged is told, not an error.
pub fn inspect(disk: &dyn Disk, path: &Path, key: &[(String, String)]) -> Result<Inspected, CheckpointError> {
    let (chains, folder, manifest) = if disk::is_folder(disk, path) {
        let listed = folder::list(disk, path)?;
        let manifest = listed.damaged.map_or("whole".to_owned(), |error| error.message);
        (listed.chains, path, Some(manifest))
    } else {
        let numbers = path.file_name().and_then(|name| name.to_str()).and_then(folder::numbers_of);
        match (numbers, path.parent()) {
            (Some((base, increments @ 1..)), Some(folder)) => (vec![Chain { base, increments }], folder, None),
            _ => (Vec::new(), path, None),
        }
    };
    let mut found: Vec<Vec<File>> = Vec::new();
    for chain in &chains {
        let mut names = Names::default();
        let files = disk::under(folder, &chain.names());
        found.push(files.iter().map(|file| look_at(disk, file, &mut names)).collect::<Result<_, _>>()?);
    }
    if found.is_empty() && manifest.is_none() {
        found.push(vec![look_at(disk, path, &mut Names::default())?]);
    }
    let keys = if key.is_empty() { Vec::new() } else { keys(disk, path, &found, key)? };
    Ok(Inspected { path: path.to_owned(), manifest, chains: found, keys })
}

/// One file; only a disk that cannot read is an error.
fn look_at(disk: &dyn Disk, path: &Path, names: &mut Names) -> Result<File, CheckpointError> {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let mut file = File { name, kind: "full", ..File::default() };
    match disk::open(disk, path) {
        Err(error) => return fault(path, CheckpointFault::Disk, format!("it cannot be opened: {error}")),
        Ok((mut input, length)) => {
            file.bytes = length;
            match read(&mut file, &mut input, length, names) {
                Ok(()) => file.whole = true,
                Err(fault) if fault.fault == CheckpointFault::Disk => return Err(placed(path)(fault)),
                Err(fault) => file.damage = Some(fault.message),
            }
        }
    }
    Ok(file)
}

fn read(file: &mut File, input: &mut dyn std::io::Read, length: u64, names: &mut Names) -> Result<(), Fault> {
    let mut sections = Reader::begin(input, length)?;
    file.format = sections.version;
    sections.expect(Kind::Identity, 0)?;
    let identity = broken(Kind::Identity, Identity::read(&sections.payload))?;
    file.release.clone_from(&identity.release);
    file.fingerprint.clone_from(&identity.fingerprint);
    file.semantics = identity.semantics;
    (file.ticks_per_second, file.idle_after_ticks) = (identity.ticks_per_second, identity.idle_after);
    loop {
        let before = sections.at();
        let header = sections.next()?;
        let bytes = sections.at() - before;
        match file.sections.iter_mut().find(|section| section.kind == header.kind.name()) {
            Some(section) => (section.count, section.bytes) = (section.count + 1, section.bytes + bytes),
            None => file.sections.push(Section { kind: header.kind.name(), count: 1, bytes }),
        }
        let json = |text: &str| serde_json::from_str::<Json>(text).or_else(|error| damaged(error.to_string()));
        match header.kind {
            Kind::Definition => {
                let definition = json(sections.text()?)?;
                names.streams = named(&definition["streams"]);
                file.definition = Some(definition);
            }
            Kind::Layout => names.tables = named(&json(sections.text()?)?["tables"]),
            Kind::Offsets => file.offsets = json(sections.text()?)?,
            Kind::Link => {
                file.kind = "increment";
                file.events = Some(broken(Kind::Link, Link::read(&sections.payload))?.events);
            }
            Kind::Counters => {
                let told = counters(file, &sections.payload, names);
                broken(Kind::Counters, told)?;
            }
            Kind::Keys | Kind::Expiry => {
                if let Some(table) = file.tables.get_mut(header.number as usize) {
                    table.bytes += bytes;
                }
            }
            Kind::End => return sections.ended(before).map(drop),
            Kind::Identity | Kind::Texts | Kind::Events | Kind::Changes => {}
        }
    }
}

fn named(list: &Json) -> Vec<String> {
    let name = |each: &Json| each["name"].as_str().unwrap_or_default().to_owned();
    list.as_array().map(|all| all.iter().map(name).collect()).unwrap_or_default()
}

fn counters(file: &mut File, payload: &[u8], names: &Names) -> Result<(), Broken> {
    let name = |names: &[String], index: usize| names.get(index).cloned().unwrap_or_else(|| format!("{index}"));
    let mut input = Input::new(payload);
    for index in 0..input.count(1)? {
        let newest_ticks = input.read()?;
        let ((events, late), invalid) = input.read()?;
        file.streams.push(Stream { name: name(&names.streams, index), events, late, invalid, newest_ticks });
    }
    file.late_events = input.count(21)? as u64;
    input.take(file.late_events as usize * 21)?;
    (file.evicted, file.refused) = input.read()?;
    file.texts = input.read()?;
    for index in 0..input.count(16)? {
        let (keys, expired) = input.read()?;
        file.tables.push(Table { name: name(&names.tables, index), keys, expired, bytes: 0 });
    }
    for _ in 0..input.count(1)? {
        let name = input.text()?.to_owned();
        let (version, misses) = input.read()?;
        input.take(32)?;
        file.lookups.push(Lookup { name, version, misses });
    }
    input.end()
}

/// The events of a key, from an engine of the definition that stands there.
fn keys(
    disk: &dyn Disk,
    path: &Path,
    chains: &[Vec<File>],
    key: &[(String, String)],
) -> Result<Vec<KeyContents>, CheckpointError> {
    let full = chains.iter().filter_map(|chain| chain.first()).find(|file| file.whole);
    let Some((file, definition)) = full.and_then(|file| Some((file, file.definition.clone()?))) else {
        return fault(path, CheckpointFault::Damaged, "no file is whole that a key could be looked for in");
    };
    let plan = serde_json::from_value(definition)
        .map_err(|error| error.to_string())
        .and_then(|definition| Plan::compile(&definition).map_err(|error| error.to_string()));
    let plan = match plan {
        Ok(plan) => Arc::new(plan),
        Err(error) => {
            return fault(
                path,
                CheckpointFault::Refused,
                format!("its definition is none of this release: {error}; look at it with release {}", file.release),
            );
        }
    };
    let options = Options { idle_after: file.idle_after_ticks, ..Options::default() };
    let mut restored = Engine::restore_from(disk, &plan, &options, path)?;
    restored.engine.contents(key).or_else(|message| fault(path, CheckpointFault::Refused, message))
}
