//! Harness shared by the end-to-end tests, and what the programs of this package are made of.

pub mod compare;
pub mod input;
