//! Bytes into an engine. What is damaged, of another definition or of another release is refused before it is believed; an engine
//! comes out when all of it has been read, and nothing before.

use std::cmp::Ordering;
use std::io::Read;
use std::sync::Arc;

use super::changes::changes;
use super::format::{Kind, SHARDED_VERSION, SLEEPING_VERSION, UNORDERED_VERSION};
use super::layout::layout;
use super::parts;
use super::sections::{Fault, Reader, Sealed, broken, damaged, refused, spilled};
use crate::definition::Definition;
use crate::encode::{Broken, Input};
use crate::engine::{Engine, Options};
use crate::late::LateRecord;
use crate::plan::{Changes, Plan, SEMANTICS_VERSION};
use crate::state::interner::{Interner, Numbers, Texts};
use crate::state::table::Loading;
use crate::window::zone;

/// A text takes so many bytes at least: its length.
const TEXT_BYTES_MIN: u64 = 8;

/// A key has so many bytes at least: its length, the room of its run, how many events, whether it has a past.
const KEY_BYTES_MIN: u64 = 11;

/// What a file holds.
pub(super) struct Full {
    pub engine: Engine,
    /// JSON.
    pub offsets: String,
    pub sealed: Sealed,
    /// Whether increments were to follow.
    pub goes_on: bool,
}

/// Reads a whole file of so many bytes, by so many threads at most.
pub(super) fn read(
    plan: &Arc<Plan>,
    options: Options,
    threads: usize,
    input: &mut dyn Read,
    length: u64,
) -> Result<Full, Fault> {
    let mut sections = Reader::begin(input, length)?;
    sections.expect(Kind::Identity, 0)?;
    let identity = broken(Kind::Identity, Identity::read(&sections.payload))?;
    sections.expect(Kind::Definition, 0)?;
    identity.fits(plan, sections.text()?, &options)?;
    if !plan.changes.is_none() {
        sections.expect(Kind::Changes, 0)?;
    }
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

    if announced.texts > length / TEXT_BYTES_MIN {
        return damaged(format!("{} texts are announced in a file of {length} bytes", announced.texts));
    }
    let mut texts = Told::default();
    let may_sleep = sections.version >= SLEEPING_VERSION
        && engine.options.memory_limit.is_none()
        && length >= engine.options.sleeping_from_bytes;
    texts.read(&mut engine.interner, announced.texts, may_sleep, &mut sections)?;
    let Told { numbers, keys_sleep } = &texts;
    // Where memory has a limit, it is to be asked for as keys come.
    if engine.options.memory_limit.is_none() {
        let most = sections.left() / KEY_BYTES_MIN;
        engine.tables.iter_mut().zip(&announced.keys).for_each(|(table, &keys)| match keys.min(most) {
            keys if *keys_sleep => table.reserve_asleep(keys),
            keys => table.reserve(keys),
        });
    }
    if sections.version < UNORDERED_VERSION {
        for (index, &wanted) in announced.keys.iter().enumerate() {
            ordered_keys(&mut engine, index, wanted, numbers, &mut sections)?;
        }
    } else {
        parts::read(&mut engine, &announced.keys, (numbers, *keys_sleep), threads, &mut sections)?;
    }
    if let Some(text) = engine.interner.unused() {
        let text: String = text.chars().take(40).collect();
        return damaged(format!("no event has the text {text:?}, which is there"));
    }
    Ok(Full { engine, offsets, sealed: sections.end()?, goes_on: identity.goes_on })
}

/// The plan that a file was written with: `plan` itself where that is of the same definition, or where the file's is none of this release,
/// which `read` then says. `None` where `changes` are not asked for and there is one.
pub(super) fn written_with(
    plan: &Arc<Plan>,
    changes: bool,
    input: &mut dyn Read,
    length: u64,
) -> Result<Arc<Plan>, Fault> {
    let mut sections = Reader::begin(input, length)?;
    sections.expect(Kind::Identity, 0)?;
    let identity = broken(Kind::Identity, Identity::read(&sections.payload))?;
    sections.expect(Kind::Definition, 0)?;
    let is_same = sections.text()? == plan.definition;
    if !is_same && !changes || identity.semantics != SEMANTICS_VERSION {
        return Ok(Arc::clone(plan));
    }
    let Ok(definition) = serde_json::from_str::<Definition>(sections.text()?) else { return Ok(Arc::clone(plan)) };
    let changes = match sections.next()?.kind {
        Kind::Changes => {
            let told: Result<Changes, _> = serde_json::from_str(sections.text()?);
            told.ok().filter(|told| told.fits(definition.features.len()))
        }
        Kind::Layout if is_same => return Ok(Arc::clone(plan)),
        Kind::Layout => Some(Changes::default()),
        _ => None,
    };
    let Some(changes) = changes else {
        return damaged("what it tells of changes of its definition cannot be read".to_owned());
    };
    Ok(Plan::compile_changed(&definition, changes).map_or_else(|_| Arc::clone(plan), Arc::new))
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

/// The texts of a file.
#[derive(Default)]
struct Told {
    numbers: Numbers,
    /// They have the numbers here that they have in the file: keys are right as they are there.
    keys_sleep: bool,
}

impl Told {
    /// Reads so many; with the numbers that they have there where keys may sleep.
    fn read(
        &mut self,
        interner: &mut Interner,
        wanted: u64,
        may_sleep: bool,
        sections: &mut Reader<'_>,
    ) -> Result<(), Fault> {
        let version = sections.version;
        self.keys_sleep = may_sleep;
        loop {
            sections.expect(Kind::Texts, 0)?;
            let mut input = Input::new(&sections.payload);
            while input.left() > 0 {
                let told = self.read_one(interner, version, wanted, &mut input);
                if !broken(Kind::Texts, told)? {
                    return damaged("a text or its number is there twice, or more than were announced".to_owned());
                }
            }
            if self.numbers.texts() == wanted {
                break;
            }
        }
        if may_sleep {
            interner.settle();
        }
        Ok(())
    }

    /// False where a text, or its number, was there before.
    fn read_one(
        &mut self,
        interner: &mut Interner,
        version: u32,
        wanted: u64,
        input: &mut Input<'_>,
    ) -> Result<bool, Broken> {
        let there = if version >= UNORDERED_VERSION { input.read()? } else { self.numbers.texts() as u32 };
        let text = input.text()?;
        let texts = interner.texts();
        let is_near = Numbers::is_near(there, wanted);
        let here = if self.keys_sleep && is_near && interner.load_at(there, text) {
            there
        } else {
            self.keys_sleep = false;
            interner.load(text)
        };
        let is_new = interner.texts() > texts;
        Ok(self.numbers.add(there, here, wanted) && self.numbers.texts() <= wanted && is_new)
    }
}

fn load_keys(
    engine: &mut Engine,
    index: usize,
    loading: &mut Loading,
    numbers: &Numbers,
    mut input: Input<'_>,
) -> Result<(), Fault> {
    let plan = Arc::clone(&engine.plan);
    while input.left() > 0 {
        let (table, texts) = (&mut engine.tables[index], &mut Texts::Used(&mut engine.interner, numbers));
        broken(Kind::Keys, table.load_key(&plan.tables[index], loading, &mut input, texts))?;
        engine.spill_loaded(&plan).map_err(spilled)?;
    }
    Ok(())
}

fn more_keys<T>(engine: &Engine, index: usize, wanted: u64) -> Result<T, Fault> {
    damaged(format!("table `{}` has more keys than the {wanted} announced", engine.plan.tables[index].name))
}

/// The keys of a table and when they are looked at, as the first two formats have it.
fn ordered_keys(
    engine: &mut Engine,
    index: usize,
    wanted: u64,
    numbers: &Numbers,
    sections: &mut Reader<'_>,
) -> Result<(), Fault> {
    let mut loading = Loading::default();
    loop {
        sections.expect(Kind::Keys, index as u32)?;
        load_keys(engine, index, &mut loading, numbers, Input::new(&sections.payload))?;
        match (loading.keys() as u64).cmp(&wanted) {
            Ordering::Less => {}
            Ordering::Equal => break,
            Ordering::Greater => return more_keys(engine, index, wanted),
        }
    }
    sections.expect(Kind::Expiry, index as u32)?;
    let mut input = Input::new(&sections.payload);
    let (table, plan) = (&mut engine.tables[index], &engine.plan.tables[index]);
    let read = table.load_places(plan, &loading, sections.version >= SHARDED_VERSION, &mut input);
    broken(Kind::Expiry, read.and_then(|()| input.end()))
}
