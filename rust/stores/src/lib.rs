//! Object stores as places of checkpoints: `s3://`, `gs://`, `az://` and, for tests, `memory://`.
//!
//! `address` reads an address and its options and makes a store of them; `disk` is that store as the engine's `Disk`, `put` a file on its
//! way there and `get` one on its way back. Retries, timeouts, credentials and signatures are the library's.

mod address;
mod disk;
mod get;
mod put;

pub use self::address::{is_address, local, open};
pub use self::disk::StoreDisk;
