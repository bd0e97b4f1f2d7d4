//! Reads DWARF in parallel and writes reproducible BTF.

pub mod input;
