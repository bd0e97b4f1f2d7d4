//! The command line: the commands, and what they share. Each command has a module with its arguments and a `run`.
//!
//! To add a command `x`, add the module `cli/x.rs` with `XArgs` (a `clap::Args`, whose name is unique) and `run`, a variant of
//! [`Command`] and a line in [`run`].

mod core_check;
mod distill;
mod inputs;
pub(crate) mod link;
mod merge;
mod min_core;
mod preflight;
mod prune;
mod prune_program;
mod relocate;
mod target;

use std::io::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use btf_core::cli::{
    CommonArgs, ExitStatus, ManSection, Printer, color_of_usage, ignore_broken_pipe,
};
use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

/// The name of the program.
pub(crate) const TOOL: &str = "btf-link";

const EXAMPLES: &str = "\
Examples:
  btf-link merge a.btf b.ko c.bpf.o -o all.btf         BTF of any origin into one
  btf-link link a.bpf.o b.bpf.o lib.a -o prog.bpf.o    BPF objects into one
  btf-link core-check prog.bpf.o --against kernels/    will it find there what it asks for?
  btf-link min-core vmlinux prog.bpf.o -o min.btf      the part of a kernel's BTF that it needs
  btf-link prune prog.bpf.o -o small.bpf.o             without types that nobody looks at
  btf-link prune vmlinux --keep 'tcp_*' -o tcp.btf     only what these need
  btf-link preflight modules/ --against vmlinux        will the kernel take them?
  btf-link distill module.ko --base vmlinux --in-place
  btf-link relocate module.ko --to new/vmlinux --in-place

Called by the name `ld`, it takes what compilers and builds pass to GNU ld: see `ld --help`.
";

const MAN_SECTIONS: &[ManSection] = &[
    ManSection {
        title: "EXIT STATUS",
        text: "
  0    done
  1    ran, and the answer is no
  2    could not run: usage, input or output, bad input",
    },
    ManSection::ENVIRONMENT,
];

/// Merge, link, prune and move BTF
#[derive(Debug, Parser)]
#[command(
    name = TOOL,
    version,
    after_help = EXAMPLES,
    max_term_width = 100,
    subcommand_help_heading = "Commands",
    arg_required_else_help = true
)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Option<Command>,

    #[command(flatten)]
    pub(crate) common: CommonArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    CoreCheck(core_check::CoreCheckArgs),
    Merge(merge::MergeArgs),
    /// Link BPF objects and archives into one object
    Link(link::LinkArgs),
    /// Link as `bpftool gen object OUT IN...` does
    #[command(name = "gen")]
    Gen(link::GenArgs),
    MinCore(min_core::MinCoreArgs),
    Prune(prune::PruneArgs),
    Distill(distill::DistillArgs),
    Relocate(relocate::RelocateArgs),
    Preflight(preflight::PreflightArgs),
}

impl Args {
    /// What this process was called with; ends it if that is wrong.
    pub(crate) fn of_process() -> Self {
        let command = Self::command().color(color_of_usage(std::env::args_os()));
        let matches = command.get_matches();
        Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
    }

    /// Whether standard output is for JSON.
    pub(crate) fn is_json(&self) -> bool {
        match &self.command {
            None
            | Some(
                Command::Link(_)
                | Command::Gen(_)
                | Command::Distill(_)
                | Command::Relocate(_)
                | Command::MinCore(_),
            ) => false,
            Some(Command::CoreCheck(args)) => args.is_json(),
            Some(Command::Merge(args)) => args.is_json(),
            Some(Command::Prune(args)) => args.is_json(),
            Some(Command::Preflight(args)) => args.is_json(),
        }
    }
}

/// Does what the command line asks for.
pub(crate) fn run(args: &Args, printer: &Printer) -> Result<ExitStatus> {
    if args.common.print_generated(Args::command(), MAN_SECTIONS)? {
        return Ok(ExitStatus::Done);
    }
    match &args.command {
        None => bail!("a command is needed: see `{TOOL} --help`"),
        Some(Command::CoreCheck(args)) => core_check::run(args, printer),
        Some(Command::Merge(args)) => merge::run(args, printer),
        Some(Command::Link(args)) => link::run(args, printer),
        Some(Command::Gen(args)) => link::run_gen(args, printer),
        Some(Command::MinCore(args)) => min_core::run(args, printer),
        Some(Command::Prune(args)) => prune::run(args, printer),
        Some(Command::Distill(args)) => distill::run(args, printer),
        Some(Command::Relocate(args)) => relocate::run(args, printer),
        Some(Command::Preflight(args)) => preflight::run(args, printer),
    }
}

/// Refuses to write BTF to standard output beside text.
fn refuse_shared_stdout(output: Option<&Path>, has_text: bool) -> Result<()> {
    if has_text && output.is_some_and(|output| output.as_os_str() == "-") {
        bail!("the BTF would go to standard output with something else: name a file with `-o`");
    }
    Ok(())
}

/// Writes text to standard output. What else a command does, and its status, do not depend on whether anybody reads it.
pub(crate) fn print(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    ignore_broken_pipe(written).context("cannot write to standard output")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Args::command().debug_assert();
    }
}
