//! Where state lives: a log of records per key, small in a block of a slab, large in segments with running lanes beside it.

pub(crate) mod distinct;
pub(crate) mod interner;
pub(crate) mod lanes;
pub(crate) mod log;
pub(crate) mod rich;
pub(crate) mod scan;
pub(crate) mod slab;
pub(crate) mod stair;
pub(crate) mod sums;
pub(crate) mod table;
pub(crate) mod view;
