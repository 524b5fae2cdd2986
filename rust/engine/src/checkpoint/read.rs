//! Bytes into an engine. What is damaged, of another definition or of another release is refused before it is believed; an engine
//! comes out when all of it has been read, and nothing before.

use std::cmp::Ordering;
use std::io::Read;
use std::sync::Arc;

use super::changes::changes;
use super::format::Kind;
use super::layout::layout;
use super::sections::{Fault, Reader, Sealed, broken, damaged, refused, spilled};
use crate::encode::{Broken, Input};
use crate::engine::{Engine, Options};
use crate::late::LateRecord;
use crate::plan::{Plan, SEMANTICS_VERSION};
use crate::state::interner::Texts;
use crate::state::table::Loading;
use crate::window::zone;

/// What a file holds.
pub(super) struct Full {
    pub engine: Engine,
    /// JSON.
    pub offsets: String,
    pub sealed: Sealed,
    /// Whether increments were to follow.
    pub goes_on: bool,
}

/// Reads a whole file of so many bytes.
pub(super) fn read(plan: &Arc<Plan>, options: Options, input: &mut dyn Read, length: u64) -> Result<Full, Fault> {
    let mut sections = Reader::begin(input, length)?;
    sections.expect(Kind::Identity, 0)?;
    let identity = broken(Kind::Identity, Identity::read(&sections.payload))?;
    sections.expect(Kind::Definition, 0)?;
    identity.fits(plan, sections.text()?, &options)?;
    sections.expect(Kind::Layout, 0)?;
    if sections.text()? != layout(plan) {
        return refused(format!(
            "it was written by release {}, which lays state out in another way than this one ({}); go on with that release, or begin anew",
            identity.release,
            env!("CARGO_PKG_VERSION")
        ));
    }
    sections.expect(Kind::Offsets, 0)?;
    let offsets = sections.text()?.to_owned();
    let mut engine = Engine::open(Arc::clone(plan), options).map_err(spilled)?;
    sections.expect(Kind::Counters, 0)?;
    let announced = broken(Kind::Counters, counters(&mut engine, &sections.payload))?;

    texts(&mut engine, announced.texts, &mut sections)?;
    for (index, &wanted) in announced.keys.iter().enumerate() {
        keys(&mut engine, plan, index, wanted, &mut sections)?;
    }
    if let Some(text) = engine.interner.unused() {
        let text: String = text.chars().take(40).collect();
        return damaged(format!("no event has the text {text:?}, which is there"));
    }
    Ok(Full { engine, offsets, sealed: sections.end()?, goes_on: identity.goes_on })
}

/// What the state depends on beside the definition.
pub(super) struct Identity {
    pub fingerprint: String,
    pub semantics: u32,
    pub release: String,
    pub ticks_per_second: i64,
    pub idle_after: Option<i64>,
    goes_on: bool,
}

impl Identity {
    pub fn read(payload: &[u8]) -> Result<Self, Broken> {
        let mut input = Input::new(payload);
        let (fingerprint, semantics) = (input.text()?.to_owned(), input.read()?);
        let release = input.text()?.to_owned();
        // Ticks are a function of the definition; they stand there for who reads the file alone.
        let ticks_per_second = input.read()?;
        let (idle_after, goes_on) = input.read()?;
        input.end()?;
        Ok(Self { fingerprint, semantics, release, ticks_per_second, idle_after, goes_on })
    }

    /// Whether a plan with these options may go on from it.
    pub fn fits(&self, plan: &Plan, definition: &str, options: &Options) -> Result<(), Fault> {
        if self.fingerprint != plan.fingerprint {
            let changes = changes(definition, &plan.definition);
            let what = match changes {
                _ if self.semantics == SEMANTICS_VERSION && definition == plan.definition => format!(
                    "the clock of one of its time zones has other rules in the tz database of this release ({}) than in that of release {}",
                    zone::database(),
                    self.release
                ),
                _ if self.semantics != SEMANTICS_VERSION => format!(
                    "release {} computed the same definition to other values (semantics {}, here {SEMANTICS_VERSION})",
                    self.release, self.semantics
                ),
                Some(changes) => changes,
                None => "its definition cannot be read by this release".to_owned(),
            };
            return refused(format!(
                "it is of another definition (fingerprint {:.12}, here {:.12}): {what}; restore it with the features it was written with, \
                 or push the events again",
                self.fingerprint, plan.fingerprint
            ));
        }
        let depends = plan.tables.iter().any(|table| table.forever);
        if depends && self.idle_after != options.idle_after {
            let told = |idle: Option<i64>| idle.map_or("none".to_owned(), |ticks| format!("{ticks} ticks"));
            return refused(format!(
                "it was written with an `idle_after` of {}, and {} is asked for; give the same",
                told(self.idle_after),
                told(options.idle_after)
            ));
        }
        Ok(())
    }
}

/// How much is to come.
pub(super) struct Announced {
    pub texts: u64,
    pub keys: Vec<u64>,
}

pub(super) fn counters(engine: &mut Engine, payload: &[u8]) -> Result<Announced, Broken> {
    let wrong = |what: &str, found: usize, wanted: usize| Broken::new(format!("{found} {what} where {wanted} are"));
    let mut input = Input::new(payload);
    let streams = input.count(1)?;
    if streams != engine.clocks.len() {
        return Err(wrong("streams", streams, engine.clocks.len()));
    }
    for clock in &mut engine.clocks {
        *clock = input.read()?;
    }
    for _ in 0..input.count(21)? {
        let stream = input.read::<u32>()? as usize;
        if stream >= streams {
            return Err(wrong("is the stream of a late event, of so many", stream, streams));
        }
        let (time, newest) = input.read()?;
        engine.late.add(LateRecord { stream, time, newest, emitted: input.read()? });
    }
    (engine.evicted, engine.refused) = input.read()?;
    let texts = input.read()?;
    let tables = input.count(16)?;
    if tables != engine.tables.len() {
        return Err(wrong("tables", tables, engine.tables.len()));
    }
    let mut keys = Vec::with_capacity(tables);
    for table in &mut engine.tables {
        keys.push(input.read()?);
        table.resume_expired(input.read()?);
    }
    let lookups = input.count(1)?;
    if lookups != engine.plan.lookups.len() {
        return Err(wrong("lookups", lookups, engine.plan.lookups.len()));
    }
    for index in 0..lookups {
        let name = input.text()?;
        if name != engine.plan.lookups[index].name {
            return Err(Broken::new(format!("the lookup `{name}` is not in its place")));
        }
        let (version, misses) = input.read()?;
        engine.lookups.resume(index, (version, misses, input.read()?));
    }
    input.end()?;
    Ok(Announced { texts, keys })
}

fn texts(engine: &mut Engine, wanted: u64, sections: &mut Reader<'_>) -> Result<(), Fault> {
    let mut last: Option<String> = None;
    loop {
        sections.expect(Kind::Texts, 0)?;
        let mut input = Input::new(&sections.payload);
        while input.left() > 0 {
            let text = broken(Kind::Texts, input.text())?;
            if last.as_deref().is_some_and(|last| last >= text) || engine.interner.loaded_len() == wanted {
                return damaged("the texts are not in order, or more than were announced".to_owned());
            }
            engine.interner.load(text);
            last = Some(text.to_owned());
        }
        if engine.interner.loaded_len() == wanted {
            return Ok(());
        }
    }
}

fn keys(engine: &mut Engine, plan: &Plan, index: usize, wanted: u64, sections: &mut Reader<'_>) -> Result<(), Fault> {
    let (table_plan, number) = (&plan.tables[index], index as u32);
    let mut loading = Loading::default();
    loop {
        sections.expect(Kind::Keys, number)?;
        let mut input = Input::new(&sections.payload);
        while input.left() > 0 {
            let (table, texts) = (&mut engine.tables[index], &mut Texts::Used(&mut engine.interner));
            broken(Kind::Keys, table.load_key(table_plan, &mut loading, &mut input, texts))?;
            engine.spill_loaded(plan).map_err(spilled)?;
        }
        match (loading.keys() as u64).cmp(&wanted) {
            Ordering::Less => {}
            Ordering::Equal => break,
            Ordering::Greater => {
                return damaged(format!("table `{}` has more keys than the {wanted} announced", table_plan.name));
            }
        }
    }
    sections.expect(Kind::Expiry, number)?;
    let mut input = Input::new(&sections.payload);
    // The first format knew one shard.
    let is_sharded = sections.version > 1;
    let table = &mut engine.tables[index];
    broken(Kind::Expiry, table.load_expiry(table_plan, &loading, is_sharded, &mut input).and_then(|()| input.end()))
}
