//! Which events of a key are inside, by their times and their order alone. Knows no values.

mod all;
mod hopping;
mod last;
mod rolling;
mod session;
mod since;
mod tumbling;
pub mod zone;

use crate::definition::WindowDefinition;

macro_rules! windows {
    ($($number:literal, $name:literal, $variant:ident, $module:ident;)*) => {
        /// A window with its lengths in the plan's ticks. The number is written into checkpoints: append, never reuse.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Window {
            $(
                #[doc = concat!("`", $name, "`")]
                $variant($module::$variant),
            )*
        }

        impl Window {
            /// Stable number of its kind.
            pub fn number(&self) -> u8 {
                match self { $(Self::$variant(_) => $number,)* }
            }

            /// Name of its kind, as in definitions.
            pub fn name(&self) -> &'static str {
                match self { $(Self::$variant(_) => $name,)* }
            }
        }

        /// Every kind of window.
        pub const WINDOWS: &[&str] = &[$($name),*];
    };
}

windows! {
    1, "rolling", Rolling, rolling;
    2, "all", All, all;
    3, "tumbling", Tumbling, tumbling;
    4, "hopping", Hopping, hopping;
    5, "session", Session, session;
    6, "last", Last, last;
    7, "since", Since, since;
}

pub use all::All;
pub use hopping::Hopping;
pub use last::Last;
pub use rolling::Rolling;
pub use session::Session;
pub use since::Since;
pub use tumbling::Tumbling;
use zone::Zone;

/// Every instant of a plan lies above this.
pub const BEGINNING: i64 = i64::MIN;

/// What a window of a row at some time asks of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bounds {
    /// Events with times above `after` and not above `until`.
    Times {
        /// Exclusive lower end.
        after: i64,
        /// Inclusive upper end.
        until: i64,
    },
    /// The newest candidates without a gap longer than this.
    Session {
        /// In ticks.
        gap: i64,
    },
    /// The newest candidates, so many.
    Last {
        /// How many.
        count: u64,
    },
    /// The newest candidate that meets the condition, and what came after it.
    Since,
}

impl Window {
    /// The clock that it goes by, where that is not UTC's.
    pub fn zone(&self) -> Option<&Zone> {
        if let Self::Tumbling(window) = self { window.zone.as_deref() } else { None }
    }

    /// From a definition; `ticks_per_second` is the plan's.
    pub fn compile(definition: &WindowDefinition, ticks_per_second: i64) -> Result<Self, String> {
        Ok(match definition {
            WindowDefinition::Rolling { length_ns, offset_ns, closed } => {
                Self::Rolling(rolling::compile(*length_ns, *offset_ns, *closed, ticks_per_second)?)
            }
            WindowDefinition::All => Self::All(All),
            WindowDefinition::Tumbling { length_ns, timezone } => {
                Self::Tumbling(tumbling::compile(*length_ns, timezone.as_deref(), ticks_per_second)?)
            }
            WindowDefinition::Hopping { length_ns, every_ns } => {
                Self::Hopping(hopping::compile(*length_ns, *every_ns, ticks_per_second)?)
            }
            WindowDefinition::Session { gap_ns } => Self::Session(session::compile(*gap_ns, ticks_per_second)?),
            WindowDefinition::Last { count } => Self::Last(last::compile(*count)?),
            WindowDefinition::Since { .. } => Self::Since(Since),
        })
    }

    /// What it asks of the log of a row at `t`.
    #[inline]
    pub fn bounds(&self, t: i64) -> Bounds {
        match self {
            Self::Rolling(window) => window.bounds(t),
            Self::All(window) => window.bounds(t),
            Self::Tumbling(window) => window.bounds(t),
            Self::Hopping(window) => window.bounds(t),
            Self::Session(window) => window.bounds(),
            Self::Last(window) => window.bounds(),
            Self::Since(window) => window.bounds(),
        }
    }

    /// How many ticks before a row an event can still matter to it; `None` for ever.
    pub fn reach(&self) -> Option<i64> {
        match self {
            Self::Rolling(window) => Some(window.reach()),
            Self::Tumbling(window) => Some(window.reach()),
            Self::Hopping(window) => Some(window.reach()),
            Self::Session(window) => Some(window.gap),
            Self::All(_) | Self::Last(_) | Self::Since(_) => None,
        }
    }

    /// Its length where it has one, in ticks.
    pub fn length(&self) -> Option<i64> {
        match self {
            Self::Rolling(window) => Some(window.length),
            Self::Tumbling(window) => Some(window.length),
            Self::Hopping(window) => Some(window.length),
            Self::All(_) | Self::Session(_) | Self::Last(_) | Self::Since(_) => None,
        }
    }
}

/// A length in ticks.
fn ticks(what: &str, ns: i64, ticks_per_second: i64) -> Result<i64, String> {
    let ns_per_tick = 1_000_000_000 / ticks_per_second;
    if ns <= 0 {
        return Err(format!("{what} of {ns} ns is empty; give a length above zero"));
    }
    if ns % ns_per_tick != 0 {
        return Err(format!(
            "{what} of {ns} ns is finer than the microseconds of the streams; give whole microseconds, or a `Timestamp(\"ns\")`"
        ));
    }
    Ok(ns / ns_per_tick)
}
