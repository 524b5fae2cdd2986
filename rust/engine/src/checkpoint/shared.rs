//! Checkpoints of an engine that others use meanwhile.

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;

use super::chain::Request;
use super::disk::Disk;
use super::handover::Handover;
use super::sections::{Sealed, Writer};
use super::snapshot::Saving;
use super::target::Target;
use super::{fault, refused};
use crate::engine::Engine;
use crate::error::{CheckpointError, CheckpointFault};

/// After so many pauses without an event the writer goes on by itself, until one comes: it may be long until the next.
const PAUSES_MAX: u32 = 1;

/// An engine that others use too. Those who push call `Engine::help_checkpoint` after an event, while they have the engine.
pub trait Shared {
    /// Has the engine for a moment; `None` where it is of no use any more.
    fn with<T>(&self, act: impl FnOnce(&mut Engine) -> T) -> Option<T>;

    /// The same for the instant of which the state is written: for who measures it.
    fn at_instant<T>(&self, act: impl FnOnce(&mut Engine) -> T) -> Option<T> {
        self.with(act)
    }

    /// Called between two such moments: those who wait for the engine are to get it.
    fn give_way(&self);

    /// Lets a while pass that is long beside one event: those who push events save what is wanted next meanwhile.
    fn pause(&self);
}

/// Who writes a state, part by part.
struct Writing<'a, S> {
    shared: &'a S,
    /// Once the instant has been.
    handover: Option<Arc<Handover>>,
    /// Events that others had pushed when this was looked at.
    events: u64,
    /// Pauses since then without one.
    pauses: u32,
}

impl<S: Shared> Writing<'_, S> {
    /// Saves more and gives it to `take`, until all has been; `None` where the engine is of no use any more.
    fn each(&mut self, mut take: impl FnMut(&mut Saving) -> io::Result<()>) -> Option<io::Result<()>> {
        let Some(handover) = self.handover.clone() else { return Some(Ok(())) };
        while !handover.saving()?.is_done() {
            self.save(&handover)?;
            if let Err(error) = take(&mut *handover.saving()?) {
                return Some(Err(error));
            }
        }
        Some(Ok(()))
    }

    /// Saves more, or has others do it.
    fn save(&mut self, handover: &Handover) -> Option<()> {
        handover.want();
        self.look(handover);
        while self.pauses < PAUSES_MAX {
            self.shared.pause();
            if !handover.is_wanted() {
                return Some(());
            }
            self.pauses += 1;
            self.look(handover);
        }
        self.shared.give_way();
        self.shared.with(|engine| handover.save(engine))?.then_some(())
    }

    /// Where others have pushed events since the last look, the pauses are counted anew.
    fn look(&mut self, handover: &Handover) {
        let events = handover.events();
        if self.events != events {
            (self.events, self.pauses) = (events, 0);
        }
    }

    /// All of a state.
    fn write(
        &mut self,
        saving: Saving,
        (offsets, goes_on, idle_after): (&str, bool, Option<i64>),
        out: &mut dyn Write,
    ) -> io::Result<Sealed> {
        let stopped = || io::Error::other("the engine stopped in the middle of an event; make a new one");
        let mut sections = Writer::begin(out)?;
        saving.head(offsets, goes_on, idle_after, &mut sections)?;
        let handover = Arc::new(Handover::new(saving));
        self.shared.give_way();
        let mut saving = handover.saving().ok_or_else(stopped)?;
        let begin = |engine: &mut Engine| {
            saving.begin(engine)?;
            engine.handover = Some(Arc::downgrade(&handover));
            Ok::<(), io::Error>(())
        };
        self.shared.at_instant(begin).ok_or_else(stopped)??;
        self.handover = Some(Arc::clone(&handover));
        let counted = saving.counters(&mut sections);
        drop(saving);
        counted?;
        self.each(|saving| saving.write(&mut sections)).ok_or_else(stopped)??;
        sections.end()
    }
}

impl Engine {
    /// Writes a checkpoint as `checkpoint_on` does, of the state at one instant of the call, while others go on with the engine. One at a time.
    ///
    /// # Errors
    /// As `checkpoint`; or another one of this engine is being written.
    pub fn checkpoint_shared(
        shared: &impl Shared,
        disk: &dyn Disk,
        request: &Request<'_>,
    ) -> Result<PathBuf, CheckpointError> {
        let stopped = || refused(request.path, "the engine stopped in the middle of an event; make a new one");
        let Some(job) = shared.with(|engine| engine.begin_increment(request)) else { return stopped() };
        if let Some(job) = job? {
            let job = job.write(disk, request);
            match shared.with(|engine| engine.end_increment(job)) {
                None => return stopped(),
                Some(Some(written)) => return written,
                Some(None) => {}
            }
        }
        let ready = shared.with(|engine| {
            let has_chain = engine.has_chain_in(request.path);
            (Arc::clone(&engine.plan), engine.options.idle_after, has_chain)
        });
        let Some((plan, idle_after, has_chain)) = ready else { return stopped() };
        let remember = |unwritten| shared.with(|engine| engine.remember(unwritten));
        let target = match Target::find(disk, request, has_chain) {
            Ok(target) => target,
            Err(unwritten) => return remember(unwritten).map_or_else(stopped, Err),
        };
        let saving = Saving::new(&plan, target.goes_on);
        let head = (request.offsets, target.goes_on, idle_after);
        let mut writing = Writing { shared, handover: None, events: 0, pauses: 0 };
        let written = target.write(disk, |out| writing.write(saving, head, out));
        if written.is_err() {
            // The rest is saved for nobody, so that the engine is free for another. Where it is of no use any more there is nothing to free.
            let _ = writing.each(|saving| {
                saving.forget();
                Ok(())
            });
        }
        let handover = writing.handover;
        let ended = shared.with(|engine| {
            if let Some(handover) = &handover {
                engine.handover = None;
                handover.saving().into_iter().for_each(|mut saving| saving.end(engine, written.is_ok()));
            }
            let sealed = written.map_err(|unwritten| engine.remember(unwritten))?;
            engine.goes_on_from(&target, request.path, sealed);
            Ok(())
        });
        // What it leaves is let go here, where nobody waits for it.
        drop(handover);
        match ended {
            Some(Ok(())) => Ok(target.path),
            Some(Err(error)) => Err(error),
            None => fault(
                request.path,
                CheckpointFault::Refused,
                "the engine stopped in the middle of an event while it was written; what was written is whole",
            ),
        }
    }
}
