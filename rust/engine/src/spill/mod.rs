//! Keys that memory has no room for: their images in one file of a folder on the local disk.
//!
//! The file is scratch: it is emptied when it is opened, never synced, and no part of any checkpoint. Images are written in batches, one
//! after the other, into segments; a segment in which no image is in use any more is used again, and what is left of one that is mostly
//! out of use is written anew elsewhere. An image that is not what was written is refused: it has checksums.

mod file;
mod image;
mod store;

pub use self::file::{LocalSpill, SpillDisk, SpillFile};
pub(crate) use self::image::{HEAD_BYTES, Head, UNIT_BYTES, begin, finish};
pub(crate) use self::store::{Run, Store};
