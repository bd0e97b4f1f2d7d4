//! `btf-link merge`: BTF of many origins into one.

use std::path::PathBuf;

use anyhow::Result;
use btf_core::cli::{ExitStatus, Printer};

/// The arguments of `merge`.
#[derive(Debug, clap::Args)]
pub(crate) struct MergeArgs {
    /// Raw BTF or ELF
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
}

/// Merges.
pub(crate) fn run(args: &MergeArgs, _printer: &Printer) -> Result<ExitStatus> {
    anyhow::bail!("skeleton: {}", args.files.len())
}
