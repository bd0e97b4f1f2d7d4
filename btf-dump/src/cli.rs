//! The command line: the commands, and what they share. Each command has a module with its arguments and a `run`.
//!
//! To add a command `x`, add the module `cli/x.rs` with `XArgs` (a `clap::Args`, whose name is unique) and `run`, a variant of
//! [`Command`] and a line in [`run`].

mod c;
mod check;
mod diff;
mod kfuncs;
mod layout;
mod list;
mod missing;
mod sources;
mod stats;

use std::path::PathBuf;

use anyhow::Result;
use btf_core::cli::{CommonArgs, ExitStatus, ManSection, Printer, color_of_usage};
use clap::error::ErrorKind as ClapErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, Args as _, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

pub(crate) use sources::SourceArgs;

/// The name of the program.
pub(crate) const TOOL: &str = "btf-dump";

const EXAMPLES: &str = "\
Examples:
  btf-dump                             the types of the running kernel
  btf-dump /sys/kernel/btf/nf_tables   those of a module; its base is found
  btf-dump vmlinux --root task_struct  a type and all that it needs
  btf-dump prog.bpf.o --json
  btf-dump c -o vmlinux.h              the kernel's types as a C header
  btf-dump kfuncs > kfuncs.h           what BPF programs may call
  btf-dump check prog.bpf.o            would the kernel take it?
  btf-dump diff old.btf new.btf        what changed between two kernels
  btf-dump layout task_struct          members, holes and cache lines
";

const MAN_SECTIONS: &[ManSection] = &[
    ManSection {
        title: "EXIT STATUS",
        text: "
  0    done
  1    ran, and the answer is no: nothing was found, BTF is refused, or there are differences
  2    could not run: usage, input or output, bad input",
    },
    ManSection::ENVIRONMENT,
];

/// Show BTF: list types, check them, write C headers, declare kfuncs, lay structures out
///
/// Without a command, lists the types as `bpftool btf dump file` does.
#[derive(Debug, Parser)]
#[command(
    name = TOOL,
    version,
    after_help = EXAMPLES,
    max_term_width = 100,
    subcommand_help_heading = "Commands",
    disable_help_subcommand = true
)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Option<Command>,

    #[command(flatten)]
    list: list::ListArgs,

    #[command(flatten)]
    pub(crate) common: CommonArgs,
}

/// Where a command writes its text.
#[derive(Debug, clap::Args)]
pub(crate) struct OutputArgs {
    /// Where to write [default: standard output]
    #[arg(
        short,
        long,
        value_name = "OUT",
        default_value = "-",
        hide_default_value = true
    )]
    pub(crate) output: PathBuf,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write a C header, such as vmlinux.h
    ///
    /// All types of the files, each once, in an order and under names that do not depend on the order of modules; with the frame
    /// and the macros of bpftool's headers.
    C(c::CArgs),
    /// Say whether the kernel would take BTF, and why not
    ///
    /// All faults at once, by the rules of any kernel from Linux 6.1 to 7.2: for its own BTF, that of a module, or a user's.
    Check(check::CheckArgs),
    /// Tell what has changed between two kernels, modules or BPF programs
    ///
    /// By name and meaning: types, functions, variables and kfuncs that were added, removed or changed, and what in them. What is
    /// only numbered, sorted or encoded in another way is no difference.
    Diff(diff::DiffArgs),
    /// Declare the functions that BPF programs may call, of kernels and modules
    Kfuncs(kfuncs::KfuncsArgs),
    /// Show where the members of structures and unions lie, and what lies between them
    Layout(layout::LayoutArgs),
    /// Count what BTF consists of, and what of it could go
    ///
    /// Types and bytes by kind, strings, types that are there twice, names with several meanings, and what a module's base has.
    Stats(stats::StatsArgs),
}

impl Args {
    /// What this process was called with; ends it if that is wrong.
    pub(crate) fn of_process() -> Self {
        let command = Self::command().color(color_of_usage(std::env::args_os()));
        let matches = command.get_matches();
        Self::of_matches(&matches).unwrap_or_else(|error| error.exit())
    }

    fn of_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        if let Some(command) = matches.subcommand_name() {
            // These stand on the same level as the commands, so clap takes both.
            let listing = list::ListArgs::augment_args(clap::Command::new(TOOL));
            let is_given = |arg: &&clap::Arg| {
                matches.value_source(arg.get_id().as_str()) == Some(ValueSource::CommandLine)
            };
            if let Some(arg) = listing.get_arguments().find(is_given) {
                let text =
                    format!("`{arg}` is for the listing and cannot stand before `{command}`");
                return Err(Self::command().error(ClapErrorKind::ArgumentConflict, text));
            }
        }
        Self::from_arg_matches(matches)
    }

    /// Whether standard output is for JSON.
    pub(crate) fn is_json(&self) -> bool {
        match &self.command {
            None => self.list.is_json(),
            Some(Command::C(_)) => false,
            Some(Command::Check(args)) => args.is_json(),
            Some(Command::Diff(args)) => args.is_json(),
            Some(Command::Kfuncs(args)) => args.is_json(),
            Some(Command::Layout(args)) => args.is_json(),
            Some(Command::Stats(args)) => args.is_json(),
        }
    }
}

/// Does what the command line asks for.
pub(crate) fn run(args: &Args, printer: &Printer) -> Result<ExitStatus> {
    if args.common.print_generated(Args::command(), MAN_SECTIONS)? {
        return Ok(ExitStatus::Done);
    }
    match args.command {
        None => list::run(&args.list, printer),
        Some(Command::C(ref args)) => c::run(args, printer),
        Some(Command::Check(ref args)) => check::run(args, printer),
        Some(Command::Diff(ref args)) => diff::run(args, printer),
        Some(Command::Kfuncs(ref args)) => kfuncs::run(args, printer),
        Some(Command::Layout(ref args)) => layout::run(args, printer),
        Some(Command::Stats(ref args)) => stats::run(args, printer),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Args::command().debug_assert();
    }
}
