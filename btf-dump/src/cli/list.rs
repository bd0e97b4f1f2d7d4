//! What happens without a command: the listing.

use anyhow::Result;
use btf_core::cli::{ExitStatus, Printer};

use super::SourceArgs;

/// The arguments of the listing.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    sources: SourceArgs,

    /// Write JSON
    #[arg(long)]
    json: bool,
}

impl Args {
    /// Whether standard output is for JSON.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }
}

/// Lists types.
pub(crate) fn run(args: &Args, printer: &Printer) -> Result<ExitStatus> {
    for source in args.sources.open()? {
        printer.say(&format!("{}", source.path.display()));
    }
    Ok(ExitStatus::Done)
}
