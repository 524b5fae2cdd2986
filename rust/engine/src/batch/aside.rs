//! Rows that are taken in shard by shard beside what this thread does meanwhile: other threads work on them, and so does this one where it
//! would have to wait.
//!
//! A shard's turn is whoever's that is free, so all threads end about together. What a shard does depends on its rows alone: the state is that of one thread.

use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, Scope};

use super::ROWS_MIN;
use crate::engine::Engine;
use crate::plan::Plan;
use crate::state::many::{Answered, Many, Part, Scratch};
use crate::state::table::Table;

/// More threads take in rows faster than one makes them ready.
const THREADS_MAX: usize = 8;

/// Tables that are away, and the rows that they take in.
struct Work {
    plan: Arc<Plan>,
    /// By table.
    parts: Vec<Option<Part>>,
    shards: Vec<Mutex<Lent>>,
    /// The shard whose turn comes next.
    next: AtomicUsize,
}

struct Lent {
    table: usize,
    shard: usize,
    state: Table,
    /// Texts that are used once less.
    released: Vec<u32>,
}

/// Another thread; it ends when nothing can come any more.
struct Helper {
    to: SyncSender<Arc<Work>>,
    /// It has let go of what it was sent.
    done: Receiver<()>,
}

/// Where rows are taken in.
pub(crate) struct Aside<'scope, 'env> {
    scope: &'scope Scope<'scope, 'env>,
    helpers: Option<Vec<Helper>>,
    /// What is being taken in, and whether the helpers have been told.
    out: Option<(Arc<Work>, bool)>,
    scratch: Scratch,
}

impl Work {
    /// Works on shards until each has been somebody's.
    fn help(&self, scratch: &mut Scratch) {
        let mut answered = Answered::default();
        while let Some(lent) = self.shards.get(self.next.fetch_add(1, Ordering::Relaxed)) {
            let Lent { table, shard, state, released } = &mut *lent.lock().expect("each shard is worked on once");
            let Some(part) = &self.parts[*table] else { continue };
            let plan = &self.plan.tables[*table];
            let many = Many { plan, read: None, ticks_per_second: self.plan.ticks_per_second };
            state.take_in(&many, part, *shard, scratch, &mut answered);
            *released = std::mem::take(&mut answered.released);
        }
    }
}

/// Does something with threads beside it, which are begun once there is enough for them, and end with it.
pub(crate) fn with_aside<T>(act: impl FnOnce(&mut Aside<'_, '_>) -> T) -> T {
    thread::scope(|scope| act(&mut Aside { scope, helpers: None, out: None, scratch: Scratch::default() }))
}

impl Aside<'_, '_> {
    /// Takes in these rows by table, once those before them have been; empty ones come back in their place. The tables are away until `take_back`.
    pub fn give(&mut self, engine: &mut Engine, parts: &mut Vec<Option<Part>>) {
        let before = self.take_back(engine);
        let rows = parts.iter().flatten().map(Part::len).sum::<usize>();
        let empty = |(part, shards): (&Option<Part>, usize)| part.as_ref().map(|_| Part::new(shards));
        let counts = engine.tables.iter().map(|table| table.count());
        let before = before.unwrap_or_else(|| parts.iter().zip(counts).map(empty).collect());
        let parts = std::mem::replace(parts, before);
        let mut shards = Vec::new();
        for (table, _) in parts.iter().enumerate().filter(|(_, part)| part.is_some()) {
            let lent = engine.tables[table].lend().into_iter().enumerate();
            shards.extend(lent.map(|(shard, state)| Mutex::new(Lent { table, shard, state, released: Vec::new() })));
        }
        let work = Arc::new(Work { plan: Arc::clone(&engine.plan), parts, shards, next: AtomicUsize::new(0) });
        let is_shared = rows >= ROWS_MIN;
        if is_shared {
            for helper in self.helpers.get_or_insert_with(|| helpers(self.scope)) {
                helper.to.send(Arc::clone(&work)).expect("a helper waits for work");
            }
        }
        self.out = Some((work, is_shared));
    }

    /// Helps with what is left, and gives the tables back; the rows that were taken in are empty ones then.
    pub fn take_back(&mut self, engine: &mut Engine) -> Option<Vec<Option<Part>>> {
        let (work, is_shared) = self.out.take()?;
        work.help(&mut self.scratch);
        for helper in self.helpers.iter().flatten().filter(|_| is_shared) {
            helper.done.recv().expect("a helper tells when it is done");
        }
        let Some(Work { mut parts, shards, .. }) = Arc::into_inner(work) else {
            unreachable!("those who are done have let go of it")
        };
        let mut home: Vec<Vec<Table>> = parts.iter().map(|_| Vec::new()).collect();
        for lent in shards {
            let Lent { table, state, released, .. } = lent.into_inner().expect("each shard has been worked on");
            home[table].push(state);
            released.into_iter().for_each(|id| engine.interner.release(id));
        }
        for (table, part) in parts.iter_mut().enumerate().filter_map(|(table, part)| Some((table, part.as_mut()?))) {
            engine.tables[table].come_home(std::mem::take(&mut home[table]));
            part.clear();
        }
        Some(parts)
    }
}

fn helpers<'scope>(scope: &'scope Scope<'scope, '_>) -> Vec<Helper> {
    let threads = thread::available_parallelism().map_or(1, NonZero::get).min(THREADS_MAX);
    let helper = |_| {
        let (to, inbox) = sync_channel::<Arc<Work>>(1);
        let (outbox, done) = sync_channel(1);
        scope.spawn(move || {
            let mut scratch = Scratch::default();
            for work in inbox {
                work.help(&mut scratch);
                drop(work);
                if outbox.send(()).is_err() {
                    break;
                }
            }
        });
        Helper { to, done }
    };
    (1..threads).map(helper).collect()
}
