//! Bytes into an engine. What is damaged, of another definition or of another release is refused before it is believed; an engine
//! comes out when all of it has been read, and nothing before.

use std::cmp::Ordering;
use std::io::{self, Read};
use std::sync::Arc;

use super::changes::changes;
use super::format::{FORMAT_VERSION, HEADER_BYTES, Header, Kind, MAGIC, PREAMBLE_BYTES};
use super::layout::layout;
use crate::encode::{Broken, Input};
use crate::engine::{Engine, Options};
use crate::error::CheckpointFault;
use crate::late::LateRecord;
use crate::plan::{Plan, SEMANTICS_VERSION};
use crate::state::table::Loading;
use crate::window::zone;

/// Why a file cannot be gone on from.
#[derive(Debug)]
pub(super) struct Fault {
    pub fault: CheckpointFault,
    pub message: String,
}

fn damaged<T>(message: String) -> Result<T, Fault> {
    Err(Fault { fault: CheckpointFault::Damaged, message })
}

fn refused<T>(message: String) -> Result<T, Fault> {
    Err(Fault { fault: CheckpointFault::Refused, message })
}

/// Sections on their way in.
struct Sections<'a> {
    input: &'a mut dyn Read,
    /// Bytes of the file, and how many have been read.
    length: u64,
    at: u64,
    sections: u64,
    headers: u32,
    payload: Vec<u8>,
}

impl Sections<'_> {
    fn fill(&mut self, bytes: &mut [u8], what: &str) -> Result<(), Fault> {
        match self.input.read_exact(bytes) {
            Ok(()) => {
                self.at += bytes.len() as u64;
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => self.ends_early(what),
            Err(error) => Err(Fault {
                fault: CheckpointFault::Disk,
                message: format!("it cannot be read at byte {}: {error}", self.at),
            }),
        }
    }

    fn ends_early<T>(&self, what: &str) -> Result<T, Fault> {
        damaged(format!("it ends in the middle of {what} that begins at byte {}: it was cut off", self.at))
    }

    /// Reads the next section; its payload is then there.
    fn next(&mut self) -> Result<Header, Fault> {
        let begin = self.at;
        let mut bytes = [0; HEADER_BYTES];
        self.fill(&mut bytes, "a section's header")?;
        let header = match Header::read(&bytes) {
            Ok(header) => header,
            Err(message) => return damaged(format!("at byte {begin}: {message}")),
        };
        let name = header.kind.name();
        // Held against the file before anything is made for it.
        if header.length > self.length.saturating_sub(self.at) {
            return self.ends_early(&format!("the section `{name}`"));
        }
        let mut payload = std::mem::take(&mut self.payload);
        payload.clear();
        payload.resize(header.length as usize, 0);
        self.fill(&mut payload, &format!("the section `{name}`"))?;
        self.payload = payload;
        if crc32c::crc32c(&self.payload) != header.checksum {
            return damaged(format!(
                "the section `{name}` at byte {begin} has another checksum than when it was written"
            ));
        }
        if header.kind != Kind::End {
            self.headers = crc32c::crc32c_append(self.headers, &bytes);
            self.sections += 1;
        }
        Ok(header)
    }

    /// The next section, which has to be this one.
    fn expect(&mut self, kind: Kind, number: u32) -> Result<(), Fault> {
        let header = self.next()?;
        if (header.kind, header.number) != (kind, number) {
            let (wanted, found) = (kind.name(), header.kind.name());
            return damaged(format!("a section `{found}` {} stands where `{wanted}` {number} has to", header.number));
        }
        Ok(())
    }

    fn text(&self) -> Result<&str, Fault> {
        std::str::from_utf8(&self.payload).or_else(|_| damaged("a text is not UTF-8".to_owned()))
    }
}

fn broken<T>(kind: Kind, result: Result<T, Broken>) -> Result<T, Fault> {
    result.or_else(|broken| damaged(format!("in the section `{}`: {broken}", kind.name())))
}

/// Reads a whole file of so many bytes; the engine, and the offsets as JSON.
pub(super) fn read(
    plan: &Arc<Plan>,
    options: Options,
    input: &mut dyn Read,
    length: u64,
) -> Result<(Engine, String), Fault> {
    let mut sections = Sections { input, length, at: 0, sections: 0, headers: 0, payload: Vec::new() };
    preamble(&mut sections)?;
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
    let mut engine = Engine::with_options(Arc::clone(plan), options);
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
    end(&mut sections)?;
    Ok((engine, offsets))
}

fn preamble(sections: &mut Sections<'_>) -> Result<(), Fault> {
    let mut bytes = [0; PREAMBLE_BYTES];
    sections.fill(&mut bytes, "the first bytes")?;
    let (magic, version) = bytes.split_at(MAGIC.len());
    if magic != MAGIC {
        return damaged(
            "it does not begin as a checkpoint of fastfeat does: it is another file, or was overwritten".to_owned(),
        );
    }
    match Input::new(version).read::<u32>() {
        Ok(FORMAT_VERSION) => Ok(()),
        Ok(version) => refused(format!(
            "its format is {version}, and this release ({}) opens {FORMAT_VERSION}; open it with the release that wrote it",
            env!("CARGO_PKG_VERSION")
        )),
        Err(broken) => damaged(broken.to_string()),
    }
}

/// What the state depends on beside the definition.
struct Identity {
    fingerprint: String,
    semantics: u32,
    release: String,
    idle_after: Option<i64>,
}

impl Identity {
    fn read(payload: &[u8]) -> Result<Self, Broken> {
        let mut input = Input::new(payload);
        let (fingerprint, semantics) = (input.text()?.to_owned(), input.read()?);
        let release = input.text()?.to_owned();
        // Ticks are a function of the definition; they stand there for who reads the file alone.
        let _ticks_per_second: i64 = input.read()?;
        let idle_after = input.read()?;
        input.end()?;
        Ok(Self { fingerprint, semantics, release, idle_after })
    }

    /// Whether a plan with these options may go on from it.
    fn fits(&self, plan: &Plan, definition: &str, options: &Options) -> Result<(), Fault> {
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
struct Announced {
    texts: u64,
    keys: Vec<u64>,
}

fn counters(engine: &mut Engine, payload: &[u8]) -> Result<Announced, Broken> {
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
        table.expired = input.read()?;
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

fn texts(engine: &mut Engine, wanted: u64, sections: &mut Sections<'_>) -> Result<(), Fault> {
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

fn keys(engine: &mut Engine, plan: &Plan, index: usize, wanted: u64, sections: &mut Sections<'_>) -> Result<(), Fault> {
    let (table, table_plan, number) = (&mut engine.tables[index], &plan.tables[index], index as u32);
    let mut loading = Loading::default();
    loop {
        sections.expect(Kind::Keys, number)?;
        let mut input = Input::new(&sections.payload);
        while input.left() > 0 {
            broken(Kind::Keys, table.load_key(table_plan, &mut loading, &mut input, &mut engine.interner))?;
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
    broken(Kind::Expiry, table.load_expiry(table_plan, &loading, &mut input).and_then(|()| input.end()))
}

fn end(sections: &mut Sections<'_>) -> Result<(), Fault> {
    let counted = (sections.at, sections.sections);
    sections.expect(Kind::End, 0)?;
    let mut input = Input::new(&sections.payload);
    let told = broken(Kind::End, input.read::<((u64, u64), u32)>())?;
    broken(Kind::End, input.end())?;
    if told != (counted, sections.headers) {
        return damaged("its end tells of other sections than there are".to_owned());
    }
    if sections.at != sections.length {
        let more = sections.length - sections.at;
        return damaged(format!("{more} bytes come after its end"));
    }
    Ok(())
}
