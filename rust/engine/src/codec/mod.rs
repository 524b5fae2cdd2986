//! Bytes -> Event, one file per format. A codec knows syntax; which values are allowed is the schema's to say.

pub mod json;
