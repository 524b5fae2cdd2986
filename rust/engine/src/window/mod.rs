//! Which events of a key are inside, by their time alone. Knows no values.

mod all;
mod rolling;
pub mod zone;

use crate::definition::WindowDefinition;

macro_rules! windows {
    ($($number:literal, $name:literal, $variant:ident, $module:ident;)*) => {
        /// A window with its lengths in the plan's ticks. The number is written into checkpoints: append, never reuse.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Window {
            $(
                #[doc = concat!("`", $name, "`")]
                $variant($module::$variant),
            )*
        }

        impl Window {
            /// Stable number of its kind.
            pub fn number(self) -> u8 {
                match self { $(Self::$variant(_) => $number,)* }
            }

            /// Name of its kind, as in definitions.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant(_) => $name,)* }
            }

            /// Events with a time above this, and not above `t`, are inside the window of a row at `t`.
            #[inline]
            pub fn after(self, t: i64) -> i64 {
                match self { $(Self::$variant(window) => window.after(t),)* }
            }

            /// How many ticks before t an event can still be seen; `None` for ever.
            pub fn reach(self) -> Option<i64> {
                match self { $(Self::$variant(window) => window.reach(),)* }
            }
        }
    };
}

windows! {
    1, "rolling", Rolling, rolling;
    2, "all", All, all;
}

pub use all::All;
pub use rolling::Rolling;

/// Every instant of a plan lies above this.
pub const BEGINNING: i64 = i64::MIN;

impl Window {
    /// From a definition; `ticks_per_second` is the plan's.
    pub fn compile(definition: &WindowDefinition, ticks_per_second: i64) -> Result<Self, String> {
        match definition {
            WindowDefinition::Rolling { length_ns, offset_ns, closed } => {
                rolling::compile(*length_ns, *offset_ns, *closed, ticks_per_second).map(Self::Rolling)
            }
            WindowDefinition::All => Ok(Self::All(All)),
            _ => Err("this window is not known to this release".to_owned()),
        }
    }

    /// Windows of one log in the order in which each contains the ones before.
    pub fn order(self) -> i64 {
        self.reach().unwrap_or(i64::MAX)
    }
}
