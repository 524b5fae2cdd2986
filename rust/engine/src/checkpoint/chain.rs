//! Chains: a full checkpoint in a folder, and increments on it. Which of the two is written, and which files an engine goes on from.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::disk::{self, Disk, Failed, Over};
use super::folder::{self, Chain, Listed, name_of};
use super::increment::{self, Increment};
use super::parts;
use super::read::{self, Full};
use super::sections::Sealed;
use super::target::{Target, Unwritten, unwritten};
use super::{Restored, Wanted, fault, placed, refused, write};
use crate::change::{Change, Restart, Uncarried};
use crate::engine::{Engine, OnLimit, Options};
use crate::error::{CheckpointError, CheckpointFault};
use crate::journal::{Journal, Position};
use crate::plan::Plan;

/// A full checkpoint is written where the increments on the last one would be larger than so many of it.
const INCREMENTS_MAX: u64 = 1;
/// Increments of less than this do not count for that.
const INCREMENT_BYTES_MIN: u64 = 4 << 20;
/// What is kept of events takes so many times what an increment of them does, about.
const PACKED: u64 = 2;

/// What is to be written, and where.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// A file or a folder.
    pub path: &'a Path,
    /// Where the sources stand: a JSON object.
    pub offsets: &'a str,
    /// So many of a folder's chains stay.
    pub keep: usize,
    /// In a folder: only what is new since the last one, where that is less than all.
    pub incremental: bool,
}

/// An increment on its way to the disk; the engine may go on meanwhile.
#[derive(Debug)]
pub struct Job {
    increment: Increment,
    outcome: Outcome,
}

#[derive(Debug)]
enum Outcome {
    Waiting,
    Written(Sealed),
    /// The folder has come to something else than what the increment goes on from.
    Elsewhere,
    Failed(CheckpointError, Option<String>),
}

impl Job {
    /// Writes it.
    #[must_use]
    pub fn write(mut self, disk: &dyn Disk, request: &Request<'_>) -> Self {
        let Position { folder, base, increments, .. } = &self.increment.position;
        let listed = match folder::list(disk, folder) {
            Ok(listed) => listed,
            Err(error) => {
                self.outcome = Outcome::Failed(error, None);
                return self;
            }
        };
        let before = Chain { base: *base, increments: *increments };
        if listed.damaged.is_some() || listed.chains.first() != Some(&before) {
            self.outcome = Outcome::Elsewhere;
            return self;
        }
        let path = folder.join(name_of(*base, increments + 1));
        let newest = Chain { base: *base, increments: increments + 1 };
        let written = disk::write_whole(disk, &path, Over::Nothing, |out| self.increment.write(request.offsets, out))
            .and_then(|told| {
                let kept = std::iter::once(newest).chain(listed.chains.into_iter().skip(1)).take(request.keep);
                folder::publish(disk, folder, &kept.collect::<Vec<_>>()).map(|()| told)
            });
        self.outcome = match written {
            Ok(sealed) => Outcome::Written(sealed),
            // An increment that was never told of, on a disk that puts files whole: a full one gets a name that nothing has.
            Err(Failed::Write(error)) if error.kind() == io::ErrorKind::AlreadyExists => Outcome::Elsewhere,
            Err(failed) => {
                let (error, unsynced) = unwritten(&path, &failed);
                Outcome::Failed(error, unsynced)
            }
        };
        self
    }
}

impl Engine {
    /// Why this engine writes no more checkpoints: a sync has failed, after which nothing that its disk says can be relied on.
    pub fn unsynced(&self) -> Option<&str> {
        self.unsynced.as_deref()
    }

    /// What may be asked.
    fn check(&self, request: &Request<'_>) -> Result<(), CheckpointError> {
        let &Request { path, offsets, keep, .. } = request;
        if let Err(error) = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(offsets) {
            return refused(path, format!("its offsets are no JSON object: {error}"));
        }
        if keep == 0 {
            return refused(path, "keep is 0, and the new one would go at once; keep 1 or more");
        }
        if let Some(unsynced) = &self.unsynced {
            return fault(
                path,
                CheckpointFault::Disk,
                format!(
                    "{unsynced}; nothing is written any more: restore the last one that was written, on a disk that works"
                ),
            );
        }
        Ok(())
    }

    /// Takes an increment out of the engine, where one is asked for and is less than all state. It is then written, and ended.
    ///
    /// # Errors
    /// The request has no meaning.
    pub fn begin_increment(&mut self, request: &Request<'_>) -> Result<Option<Job>, CheckpointError> {
        self.check(request)?;
        let fits = |journal: &Journal| {
            let Some(position) = journal.position.as_ref().filter(|_| !journal.given_up) else { return false };
            let increments = position.increment_bytes + journal.bytes() as u64 / PACKED;
            let most = (position.base_bytes * INCREMENTS_MAX).max(INCREMENT_BYTES_MIN);
            position.folder == request.path && increments <= most
        };
        if !request.incremental || !self.journal.as_deref().is_some_and(fits) {
            return Ok(None);
        }
        Ok(Increment::of(self).map(|increment| Job { increment, outcome: Outcome::Waiting }))
    }

    /// What became of an increment; `None` where a full checkpoint has to be written in its place.
    pub fn end_increment(&mut self, job: Job) -> Option<Result<PathBuf, CheckpointError>> {
        let Job { increment: Increment { mut position, taken, .. }, outcome } = job;
        let journal = self.journal.as_mut()?;
        match outcome {
            Outcome::Written(sealed) => {
                position.increments += 1;
                position.seal = sealed.seal;
                position.increment_bytes += sealed.bytes;
                let path = position.folder.join(name_of(position.base, position.increments));
                journal.position = Some(position);
                Some(Ok(path))
            }
            Outcome::Failed(error, unsynced) => {
                journal.put_back(taken);
                journal.position = Some(position);
                self.unsynced = unsynced;
                Some(Err(error))
            }
            Outcome::Waiting | Outcome::Elsewhere => {
                journal.put_back(taken);
                None
            }
        }
    }

    /// Writes all state. The engine takes no event meanwhile.
    ///
    /// # Errors
    /// As `checkpoint`.
    pub fn checkpoint_in_full(&mut self, disk: &dyn Disk, request: &Request<'_>) -> Result<PathBuf, CheckpointError> {
        self.check(request)?;
        let has_chain = self.has_chain_in(request.path);
        let target = Target::find(disk, request, has_chain).map_err(|failed| self.remember(failed))?;
        let written = target.write(disk, |out| write::write(self, request.offsets, target.goes_on, out));
        let sealed = written.map_err(|failed| self.remember(failed))?;
        if target.goes_on {
            self.journal = Some(Box::new(Journal::new(&self.plan)));
        }
        self.goes_on_from(&target, request.path, sealed);
        Ok(target.path)
    }

    /// What a disk has refused, and whether it can be relied on.
    pub(super) fn remember(&mut self, (error, unsynced): Unwritten) -> CheckpointError {
        self.unsynced = unsynced;
        error
    }

    pub(super) fn has_chain_in(&self, folder: &Path) -> bool {
        let position = self.journal.as_ref().and_then(|journal| journal.position.as_ref());
        position.is_some_and(|position| position.folder == folder)
    }

    /// The events that the journal has come after a full checkpoint that has been written, where increments are to follow.
    pub(super) fn goes_on_from(&mut self, target: &Target, folder: &Path, sealed: Sealed) {
        let (Some((base, _)), Some(journal)) = (&target.chain, self.journal.as_mut().filter(|_| target.goes_on)) else {
            return;
        };
        journal.position = Some(Position {
            folder: folder.to_owned(),
            base: *base,
            increments: 0,
            seal: sealed.seal,
            base_bytes: sealed.bytes,
            increment_bytes: 0,
        });
    }

    /// `restore` from any disk.
    ///
    /// # Errors
    /// As `restore`.
    pub fn restore_from(
        disk: &dyn Disk,
        plan: &Arc<Plan>,
        options: &Options,
        path: &Path,
    ) -> Result<Restored, CheckpointError> {
        Self::restore_wanted(disk, Wanted { plan, options, restart: Restart::NoChange }, path)
    }

    /// `restore_changed` from any disk.
    ///
    /// # Errors
    /// As `restore`.
    pub fn restore_wanted(disk: &dyn Disk, wanted: Wanted<'_>, path: &Path) -> Result<Restored, CheckpointError> {
        if !disk::is_folder(disk, path) {
            return open_one(disk, wanted, path);
        }
        let Listed { chains, damaged } = folder::list(disk, path)?;
        let mut damaged: Vec<CheckpointError> = damaged.into_iter().collect();
        for chain in chains {
            match open_chain(disk, wanted, path, &chain, &mut damaged) {
                Ok((engine, offsets, path)) => return Ok(Restored { engine, offsets, path, damaged }),
                // What was asked for does not fit: an older one must not be taken in its place in silence.
                // And what the disk cannot read now may be whole.
                Err(error) if error.fault != CheckpointFault::Damaged => return Err(error),
                Err(error) => damaged.push(error),
            }
        }
        match damaged.as_slice() {
            [] => refused(path, "the folder has no checkpoint; give the path of one, or begin with a new engine"),
            all => {
                let all: Vec<String> = all.iter().map(ToString::to_string).collect();
                fault(path, CheckpointFault::Damaged, format!("none in the folder is whole: {}", all.join("; ")))
            }
        }
    }
}

/// The plan of a file, or of the newest one of a folder.
pub(super) fn plan_of(disk: &dyn Disk, plan: &Arc<Plan>, path: &Path) -> Result<Arc<Plan>, CheckpointError> {
    let of = |path: &Path| {
        let (mut input, length) = open(disk, path, CheckpointFault::Disk)?;
        read::written_with(plan, true, &mut input, length).map_err(placed(path))
    };
    if !disk::is_folder(disk, path) {
        return of(path);
    }
    match folder::list(disk, path)?.chains.first() {
        Some(chain) => of(&disk::under(path, &chain.names())[0]),
        None => refused(path, "the folder has no checkpoint; give the path of one"),
    }
}

/// Goes on from one file; from an increment, with those before it.
fn open_one(disk: &dyn Disk, wanted: Wanted<'_>, path: &Path) -> Result<Restored, CheckpointError> {
    let numbers = path.file_name().and_then(|name| name.to_str()).and_then(folder::numbers_of);
    if let (Some((base, increments @ 1..)), Some(folder)) = (numbers, path.parent()) {
        let mut damaged = Vec::new();
        let (engine, offsets, reached) = open_chain(disk, wanted, folder, &Chain { base, increments }, &mut damaged)?;
        return match damaged.pop() {
            // This very one was asked for.
            Some(error) => Err(error),
            None => Ok(Restored { engine, offsets, path: reached, damaged }),
        };
    }
    let begun = begin(disk, wanted, path, CheckpointFault::Disk)?;
    let options = options_of(wanted, begun.change.as_ref());
    let Full { engine, offsets, .. } = open_full(disk, &begun.plan, &options, path, CheckpointFault::Disk)?;
    let engine = carry(engine, wanted, begun.change, path)?;
    Ok(Restored { engine, offsets, path: path.to_owned(), damaged: Vec::new() })
}

/// The newest state of a chain that can be reached; what could not be is among the `damaged` then.
fn open_chain(
    disk: &dyn Disk,
    wanted: Wanted<'_>,
    folder: &Path,
    chain: &Chain,
    damaged: &mut Vec<CheckpointError>,
) -> Result<(Engine, String, PathBuf), CheckpointError> {
    let files = disk::under(folder, &chain.names());
    let mut reachable = files.len();
    let Begun { plan, change } = begin(disk, wanted, &files[0], CheckpointFault::Damaged)?;
    let options = options_of(wanted, change.as_ref());
    loop {
        let Full { mut engine, mut offsets, sealed, goes_on } =
            open_full(disk, &plan, &options, &files[0], CheckpointFault::Damaged)?;
        let mut position = Position {
            folder: folder.to_owned(),
            base: chain.base,
            increments: 0,
            seal: sealed.seal,
            base_bytes: sealed.bytes,
            increment_bytes: 0,
        };
        let mut broken = None;
        for (number, path) in files.iter().enumerate().take(reachable).skip(1) {
            match open_increment(disk, &mut engine, &position, path) {
                Ok((told, sealed)) => {
                    offsets = told;
                    position.increments = number as u64;
                    position.seal = sealed.seal;
                    position.increment_bytes += sealed.bytes;
                }
                Err(error) if error.fault != CheckpointFault::Damaged => return Err(error),
                Err(error) => {
                    broken = Some((number, error));
                    break;
                }
            }
        }
        let Some((number, error)) = broken else {
            let path = files[position.increments as usize].clone();
            if change.is_some() {
                // What comes next is a full one: increments are of the definition of their full one.
                return Ok((carry(engine, wanted, change, &path)?, offsets, path));
            }
            // Who went on with increments goes on with them.
            if goes_on {
                let mut journal = Journal::new(&plan);
                journal.position = Some(position);
                engine.journal = Some(Box::new(journal));
            }
            return Ok((engine, offsets, path));
        };
        // A part of it may have been taken in: again, up to the one before.
        damaged.push(error);
        reachable = number;
    }
}

/// The plan that a file was written with, and what is to become of its state.
struct Begun {
    plan: Arc<Plan>,
    change: Option<Change>,
}

fn begin(disk: &dyn Disk, wanted: Wanted<'_>, path: &Path, missing: CheckpointFault) -> Result<Begun, CheckpointError> {
    let (mut input, length) = open(disk, path, missing)?;
    let changes = !matches!(wanted.restart, Restart::NoChange);
    let plan = read::written_with(wanted.plan, changes, &mut input, length).map_err(placed(path))?;
    if plan.definition == wanted.plan.definition {
        return Ok(Begun { plan, change: None });
    }
    let change = Change::between(&plan, wanted.plan, wanted.options.idle_after);
    match change.refusal(wanted.restart) {
        Some(message) => refused(path, message),
        None => Ok(Begun { plan, change: Some(change) }),
    }
}

/// The options of the engine that a file is read into. Where keys may spill, a state and what is made of it share the limit.
fn options_of(wanted: Wanted<'_>, change: Option<&Change>) -> Options {
    let shares = change.is_some() && wanted.options.on_limit == OnLimit::Spill;
    let memory_limit = wanted.options.memory_limit.map(|limit| if shares { limit / 2 } else { limit });
    Options { memory_limit, ..wanted.options.clone() }
}

fn carry(engine: Engine, wanted: Wanted<'_>, change: Option<Change>, path: &Path) -> Result<Engine, CheckpointError> {
    let Some(change) = change else { return Ok(engine) };
    match engine.carry(change) {
        Ok(mut engine) => {
            engine.options.memory_limit = wanted.options.memory_limit;
            Ok(engine)
        }
        Err(Uncarried::Spill(error)) => fault(path, CheckpointFault::Disk, error.to_string()),
        Err(error @ Uncarried::State(..)) => refused(path, error.to_string()),
    }
}

fn open(disk: &dyn Disk, path: &Path, missing: CheckpointFault) -> Result<(impl io::Read, u64), CheckpointError> {
    disk::open(disk, path).or_else(|error| match error.kind() {
        io::ErrorKind::NotFound => {
            fault(path, missing, "it does not exist; give the path of a checkpoint, or begin with a new engine")
        }
        _ => fault(
            path,
            CheckpointFault::Disk,
            format!("it cannot be opened: {error}; try again, or give the path of an older one"),
        ),
    })
}

fn open_full(
    disk: &dyn Disk,
    plan: &Arc<Plan>,
    options: &Options,
    path: &Path,
    missing: CheckpointFault,
) -> Result<Full, CheckpointError> {
    let (mut input, length) = open(disk, path, missing)?;
    read::read(plan, options.clone(), parts::threads_for(length), &mut input, length).map_err(placed(path))
}

fn open_increment(
    disk: &dyn Disk,
    engine: &mut Engine,
    position: &Position,
    path: &Path,
) -> Result<(String, Sealed), CheckpointError> {
    let (mut input, length) = open(disk, path, CheckpointFault::Damaged)?;
    increment::read(engine, position, &mut input, length).map_err(placed(path))
}
