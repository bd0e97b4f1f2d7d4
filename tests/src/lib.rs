//! Harness shared by the end-to-end tests, and what the programs of this package are made of.
//!
//! `bad` makes hostile inputs, `conformance` BTF with the kernels' verdicts, `noise` random BTF; `program` runs programs, ours and peers; `corpus` lists the inputs; `listing` prints BTF for snapshots; `compare`
//! judges two BTF files; `random` makes repeatable noise; `input` reads BTF from files.

pub mod bad;
pub mod compare;
pub mod conformance;
pub mod corpus;
pub mod input;
pub mod listing;
pub mod noise;
pub mod program;
pub mod random;
