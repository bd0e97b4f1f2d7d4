//! Reads DWARF in parallel and writes reproducible BTF.
