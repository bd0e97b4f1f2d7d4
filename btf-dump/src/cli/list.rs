//! What happens without a command: the listing.

use anyhow::Result;
use btf_core::cli::{ExitStatus, Printer};

use super::SourceArgs;

/// The arguments of the listing.
#[derive(Debug, clap::Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    sources: SourceArgs,

    /// Write JSON
    #[arg(long)]
    json: bool,
}

impl ListArgs {
    /// Whether standard output is for JSON.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }
}

/// Lists types.
pub(crate) fn run(args: &ListArgs, printer: &Printer) -> Result<ExitStatus> {
    for source in args.sources.open()? {
        printer.say(&format!("{}", source.path.display()));
    }
    Ok(ExitStatus::Done)
}
