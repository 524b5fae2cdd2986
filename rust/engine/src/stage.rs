//! The steps of an event's way through the engine, told to whoever measures them. The clock is the caller's.

/// A step that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// What is computed from the event alone; its keys, and their state.
    Find,
    /// What the windows of one table, or of a stream that is read, answer.
    Answer,
    /// The event is in the log of one table, and what nothing sees any more has left.
    Store,
    /// Expressions over the answers, and the row.
    Row,
}

impl Stage {
    /// Every stage, in the order in which they are counted.
    pub const ALL: [Self; 4] = [Self::Find, Self::Answer, Self::Store, Self::Row];

    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Find => "find",
            Self::Answer => "answer",
            Self::Store => "store",
            Self::Row => "row",
        }
    }
}

/// Hears of every stage as it ends.
pub trait Probe {
    /// `stage` took from the end of the stage before until now.
    fn ended(&mut self, stage: Stage);
}

/// Nobody measures: no code is made of it, so that `Engine::push` does not pay.
impl Probe for () {
    #[inline(always)]
    fn ended(&mut self, _stage: Stage) {}
}
