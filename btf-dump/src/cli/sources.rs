//! The arguments that say where the BTF comes from; every command has them.

use std::path::PathBuf;

use anyhow::Result;
use btf_core::cli::sources::{Error, RawSource, Source, open, open_raw};

/// Where the BTF comes from.
#[derive(Debug, clap::Args)]
pub(crate) struct SourceArgs {
    /// Raw BTF, ELF, or `-` for standard input [default: /sys/kernel/btf/vmlinux]
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,

    /// The BTF that split BTF continues, such as the vmlinux of a module
    #[arg(short = 'B', long, value_name = "FILE")]
    base: Option<PathBuf>,
}

impl SourceArgs {
    /// Reads all of them.
    pub(crate) fn open(&self) -> Result<Vec<Source>> {
        Ok(open(&self.files, self.base.as_deref())?)
    }

    /// Reads the bytes of all of them, whatever they are.
    pub(crate) fn open_raw(&self) -> Result<Vec<Result<RawSource, Error>>> {
        Ok(open_raw(&self.files, self.base.as_deref())?)
    }
}
