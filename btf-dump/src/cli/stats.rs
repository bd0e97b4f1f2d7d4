//! `btf-dump stats`: what BTF consists of.

use std::io::{self, Write as _};

use anyhow::{Context as _, Result};
use btf_core::cli::{ExitStatus, Printer};
use btf_dump::stats::Stats;

use super::SourceArgs;

const EXAMPLES: &str = "\
Examples:
  btf-dump stats                      the running kernel's
  btf-dump stats module.ko -B vmlinux   also what the base has already
  btf-dump stats vmlinux -v           all that is there twice, and all names
";

/// The arguments of `stats`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct StatsArgs {
    #[command(flatten)]
    sources: SourceArgs,

    /// Write JSON Lines: an object for each blob
    #[arg(long)]
    json: bool,
}

impl StatsArgs {
    /// Whether standard output is for JSON.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }
}

/// Counts.
pub(crate) fn run(args: &StatsArgs, printer: &Printer) -> Result<ExitStatus> {
    let mut out = io::stdout().lock();
    for source in args.sources.open(printer)? {
        let ext = source.ext()?;
        let stats = Stats::of(&source.btf, ext.as_ref()).with_context(|| source.title())?;
        let text = if args.json {
            stats.json(&source)
        } else {
            stats.text(&source, printer)
        };
        let written = out.write_all(text.as_bytes());
        written.context("cannot write to standard output")?;
    }
    out.flush().context("cannot write to standard output")?;
    Ok(ExitStatus::Done)
}
