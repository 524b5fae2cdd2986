//! Bytes -> Event, one file per format. A codec knows syntax; which values are allowed is the schema's to say.

pub mod avro;
mod bytes;
pub mod framing;
pub mod json;
pub mod protobuf;

use crate::error::EventError;
use crate::event::Event;
use crate::schema::Schema;

/// What every codec does.
pub trait Codec {
    /// Reads one event. What it refuses, it refuses as a whole: `event` then means nothing.
    ///
    /// # Errors
    /// [`EventError::Invalid`]; a problem that names no field says that the bytes are no event at all.
    fn decode(&self, schema: &Schema, bytes: &[u8], event: &mut Event) -> Result<(), EventError>;
}

macro_rules! codecs {
    ($($name:literal, $variant:ident, $module:ident;)*) => {
        /// The codec of a stream's messages, chosen once.
        #[derive(Debug)]
        pub enum Decoder {
            $(
                #[doc = concat!("`", $name, "`")]
                $variant($module::$variant),
            )*
        }

        impl Codec for Decoder {
            #[inline]
            fn decode(&self, schema: &Schema, bytes: &[u8], event: &mut Event) -> Result<(), EventError> {
                match self { $(Self::$variant(codec) => codec.decode(schema, bytes, event),)* }
            }
        }

        /// Every codec that reads one event from one message.
        pub const CODECS: &[&str] = &[$($name),*];
    };
}

codecs! {
    "json", Json, json;
    "avro", Avro, avro;
    "protobuf", Protobuf, protobuf;
}
