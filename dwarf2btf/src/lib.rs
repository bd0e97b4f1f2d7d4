//! Reads DWARF in parallel and writes reproducible BTF.

pub mod features;
pub mod input;
pub mod languages;
pub mod options;
pub mod output;
