//! The arguments that say where the BTF comes from; every command has them.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use btf_core::cli::Printer;
use btf_core::cli::sources::{Error, RawSource, Source, open_onto, open_raw, warn_of_packed};
use clap::CommandFactory as _;

use super::TOOL;

/// What stands before the file in the command lines of other programs, such as `bpftool btf dump file FILE`.
const HABITS: [&str; 7] = ["btf", "dump", "file", "format", "list", "show", "text"];

/// Where the BTF comes from.
#[derive(Debug, clap::Args)]
pub(crate) struct SourceArgs {
    /// Raw BTF, ELF, a folder of these, or `-` for standard input [default: /sys/kernel/btf/vmlinux]
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,

    /// The BTF that split BTF continues, such as the vmlinux of a module
    #[arg(short = 'B', long, value_name = "FILE")]
    base: Option<PathBuf>,
}

impl SourceArgs {
    /// Reads all of them.
    pub(crate) fn open(&self, printer: &Printer) -> Result<Vec<Source>> {
        let error = match open_onto(&self.files, self.base.as_deref()) {
            Ok(sources) => {
                warn_of_packed(TOOL, printer, &self.files);
                return Ok(sources);
            }
            Err(error) => anyhow::Error::from(error),
        };
        if let Some(name) = self.missing_type() {
            if super::Args::command().find_subcommand(name).is_some() {
                bail!("{error:#}; a command comes first: `{TOOL} {name} …`");
            }
            if HABITS.contains(&name) {
                bail!(
                    "{error:#}; types are listed without a word for it: `{TOOL} FILE`, and as C by `{TOOL} c FILE`"
                );
            }
            bail!("{error:#}; to look for a type of this name: `{TOOL} layout {name}`");
        }
        Err(error)
    }

    /// The first file that does not exist, if it is more like a name of C.
    fn missing_type(&self) -> Option<&str> {
        let missing = self.files.iter().find(|path| !path.exists())?;
        let is_of_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let name = missing.to_str()?;
        name.chars().all(is_of_name).then_some(name)
    }

    /// Reads the bytes of all of them, whatever they are; with `all_split` all are taken for split BTF.
    pub(crate) fn open_raw(
        &self,
        all_split: bool,
        printer: &Printer,
    ) -> Result<Vec<Result<RawSource, Error>>> {
        let sources = open_raw(&self.files, self.base.as_deref(), all_split)?;
        if sources.iter().any(Result::is_ok) {
            warn_of_packed(TOOL, printer, &self.files);
        }
        Ok(sources)
    }

    /// The base that was named.
    pub(crate) fn base(&self) -> Option<&Path> {
        self.base.as_deref()
    }
}
