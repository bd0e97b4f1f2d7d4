//! Merges, links, prunes and moves BTF of many origins.
//!
//! The program around it is `main` and `cli`, where each command has a module of its own.
#![forbid(unsafe_code)]

pub mod core_check;
pub mod ids;
pub mod kernels;
pub mod link;
pub mod merge;
pub mod min_core;
pub mod preflight;
pub mod program;
pub mod prune;
pub mod shrink;
