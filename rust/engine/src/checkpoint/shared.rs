//! Checkpoints of an engine that others use meanwhile.

use std::path::PathBuf;
use std::sync::Arc;

use super::chain::Request;
use super::disk::Disk;
use super::snapshot::{Saving, write_with};
use super::target::Target;
use super::{fault, refused};
use crate::engine::Engine;
use crate::error::{CheckpointError, CheckpointFault};

/// An engine that others use too.
pub trait Shared {
    /// Has the engine for a moment; `None` where it is of no use any more.
    fn with<T>(&self, act: impl FnOnce(&mut Engine) -> T) -> Option<T>;

    /// The same for the instant of which the state is written: for who measures it.
    fn at_instant<T>(&self, act: impl FnOnce(&mut Engine) -> T) -> Option<T> {
        self.with(act)
    }

    /// Called between two such moments: those who wait for the engine are to get it.
    fn give_way(&self);
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
        let mut saving = Saving::new(&plan, target.goes_on);
        let head = (request.offsets, target.goes_on, idle_after);
        let written = target.write(disk, |out| {
            write_with(&mut saving, head, out, |is_instant, act| {
                shared.give_way();
                let had = if is_instant {
                    shared.at_instant(|engine| act(engine))
                } else {
                    shared.with(|engine| act(engine))
                };
                had.is_some()
            })
        });
        if written.is_err() {
            while !shared.with(|engine| saving.give_up(engine)).unwrap_or(true) {
                shared.give_way();
            }
        }
        let ended = shared.with(|engine| {
            saving.end(engine, written.is_ok());
            let sealed = written.map_err(|unwritten| engine.remember(unwritten))?;
            engine.goes_on_from(&target, request.path, sealed);
            Ok(())
        });
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
