//! The BTF model: everything that needs only bytes.
#![forbid(unsafe_code)]

pub mod error;
pub mod ids;
pub mod kind;
pub mod wire;

pub use error::{Error, ErrorKind, Location, Result};
pub use ids::{StrOffset, TypeId};
pub use kind::Kind;
pub use wire::{ByteOrder, Info};
