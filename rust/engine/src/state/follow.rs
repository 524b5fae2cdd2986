//! Sums of windows of a busy key as they were last: they are moved on with their windows, where that is few steps.

use super::lane::Count;
use crate::aggregate::co_moments::CoMoments;
use crate::aggregate::extreme::Best;
use crate::aggregate::higher::Higher;
use crate::aggregate::moments::MomentSum;
use crate::plan::LanePlan;

/// The sum of a window of a busy key as it was last, to be moved on with it.
#[derive(Clone, Debug)]
pub(super) struct Followed<S> {
    pub low: u64,
    pub high: u64,
    pub sum: S,
}

impl<S: Default> Default for Followed<S> {
    /// Follows nothing yet.
    fn default() -> Self {
        Self { low: u64::MAX, high: 0, sum: S::default() }
    }
}

/// Sums of windows that move on with them.
#[derive(Debug, Default)]
pub(super) enum Follows {
    #[default]
    Nothing,
    Counts(Box<[Followed<Count>]>),
    Moments(Box<[Followed<MomentSum>]>),
    Higher(Box<[Followed<Higher>]>),
    Pair(Box<[Followed<CoMoments>]>),
    Extreme(Box<[Followed<Best>]>),
}

impl Follows {
    pub fn new(lane: &LanePlan, windows: usize) -> Self {
        fn none<S: Clone + Default>(windows: usize) -> Box<[Followed<S>]> {
            vec![Followed::default(); windows].into_boxed_slice()
        }
        match lane {
            _ if windows == 0 => Self::Nothing,
            LanePlan::Count { mask: Some(_) } | LanePlan::Distinct { .. } => Self::Counts(none(windows)),
            LanePlan::Moments { .. } => Self::Moments(none(windows)),
            LanePlan::Higher { .. } => Self::Higher(none(windows)),
            LanePlan::Pair { .. } | LanePlan::Slope { .. } => Self::Pair(none(windows)),
            LanePlan::Extreme { .. } => Self::Extreme(none(windows)),
            _ => Self::Nothing,
        }
    }

    /// Positions have moved: what has been followed is made anew.
    pub fn forget(&mut self) {
        fn forget<S>(windows: &mut [Followed<S>]) {
            windows.iter_mut().for_each(|window| window.low = u64::MAX);
        }
        match self {
            Self::Nothing => {}
            Self::Counts(windows) => forget(windows),
            Self::Moments(windows) => forget(windows),
            Self::Higher(windows) => forget(windows),
            Self::Pair(windows) => forget(windows),
            Self::Extreme(windows) => forget(windows),
        }
    }

    pub fn bytes(&self) -> usize {
        match self {
            Self::Nothing => 0,
            Self::Counts(windows) => size_of_val(&**windows),
            Self::Moments(windows) => {
                size_of_val(&**windows) + windows.iter().map(|window| window.sum.bytes()).sum::<usize>()
            }
            Self::Higher(windows) => {
                size_of_val(&**windows) + windows.iter().map(|window| window.sum.bytes()).sum::<usize>()
            }
            Self::Pair(windows) => {
                size_of_val(&**windows) + windows.iter().map(|window| window.sum.bytes()).sum::<usize>()
            }
            Self::Extreme(windows) => size_of_val(&**windows),
        }
    }
}
