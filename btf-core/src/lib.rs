//! The BTF model: everything that needs only bytes.
#![forbid(unsafe_code)]

pub mod builder;
#[cfg(feature = "cli")]
pub mod cli;
pub mod core_relo;
pub mod dedup;
pub mod distill;
#[cfg(feature = "elf")]
pub mod elf;
pub mod error;
pub mod ext;
pub mod graph;
pub mod ids;
pub mod kind;
mod names;
pub mod overlap;
mod pieces;
pub mod reader;
pub mod refs;
pub mod relocate;
pub mod shared;
pub mod sort;
pub mod strings;
#[cfg(test)]
mod testing;
pub mod types;
pub mod validate;
pub mod wire;

pub use builder::Builder;
pub use error::{Error, ErrorKind, Location, Result};
pub use ids::{StrOffset, TypeId};
pub use kind::Kind;
pub use reader::Btf;
pub use strings::StringTable;
pub use types::Type;
pub use wire::{ByteOrder, Info};
