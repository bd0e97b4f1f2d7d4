//! `btf-link link`: BPF objects and archives in, one object out.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use btf_core::cli::pattern::Pattern;
use btf_core::cli::{ExitStatus, Printer, output};
use btf_link::link::{Failure, File, Options, link};
use btf_link::shrink::Level;
use clap::ValueEnum;
use object::read::elf::ElfFile64;
use object::{Object as _, ObjectSymbol as _};

use super::TOOL;

const LINK_EXAMPLES: &str = "\
Examples:
  btf-link link a.bpf.o b.bpf.o lib.a -o prog.bpf.o
  btf-link link --gc --keep 'map_*' a.bpf.o lib.a -o prog.bpf.o   without what no program reaches
  btf-link link --prune members a.bpf.o b.bpf.o -o prog.bpf.o     without types that nobody looks at
";

/// The arguments of `link`.
#[derive(Debug, clap::Args)]
#[command(after_help = LINK_EXAMPLES)]
pub(crate) struct LinkArgs {
    /// Objects, and archives of which what is needed is taken
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,

    /// The object to write
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,

    /// Leave out functions, data and maps that no program reaches
    #[arg(long)]
    gc: bool,

    /// With --gc, keep symbols of this name; may be repeated; `*`, `?`, `[…]`, `{…}` or `/regular expression/`
    #[arg(long, value_name = "PATTERN", value_parser = Pattern::parse, requires = "gc")]
    keep: Vec<Pattern>,

    /// Leave out types that neither the kernel nor the loader looks at
    #[arg(long, value_name = "LEVEL")]
    prune: Option<LevelArg>,
}

/// How much of the BTF goes; each level includes those before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LevelArg {
    /// What nothing leads to
    Reachable,
    /// What only pointers lead to: it becomes a forward declaration
    Forward,
    /// Members of types for CO-RE that no relocation names
    Members,
}

impl From<LevelArg> for Level {
    fn from(arg: LevelArg) -> Self {
        match arg {
            LevelArg::Reachable => Self::Reachable,
            LevelArg::Forward => Self::Forward,
            LevelArg::Members => Self::Members,
        }
    }
}

const GEN_EXAMPLES: &str = "\
Examples:
  btf-link gen object prog.bpf.o a.bpf.o b.bpf.o
";

/// The arguments of `gen`, which build systems call as they call bpftool.
#[derive(Debug, clap::Args)]
#[command(after_help = GEN_EXAMPLES, override_usage = "btf-link gen [OPTIONS] object <OUT> <IN>...")]
pub(crate) struct GenArgs {
    /// The word `object`, the file to write, then the files to link
    #[arg(required = true, value_name = "WORD")]
    words: Vec<PathBuf>,
}

/// Links.
pub(crate) fn run(args: &LinkArgs, printer: &Printer) -> Result<ExitStatus> {
    let options = Options {
        gc: args.gc.then_some(&args.keep[..]),
        prune: args.prune.map(Level::from),
    };
    link_files(&args.files, &args.output, &options, printer)
}

/// Links, called as bpftool is.
pub(crate) fn run_gen(args: &GenArgs, printer: &Printer) -> Result<ExitStatus> {
    match &args.words[..] {
        [object, output, files @ ..] if object.as_os_str() == "object" && !files.is_empty() => {
            link_files(files, output, &Options::default(), printer)
        }
        _ => anyhow::bail!("expected `gen object OUT IN...`"),
    }
}

/// Links files and writes the output; tells everything that is wrong.
pub(crate) fn link_files(
    paths: &[PathBuf],
    output: &std::path::Path,
    options: &Options<'_>,
    printer: &Printer,
) -> Result<ExitStatus> {
    output::check_target(output, paths.iter().map(PathBuf::as_path))?;
    match link_bytes(paths, options, printer)? {
        Ok(bytes) => {
            warn_of_missing(&bytes, options, printer)?;
            output::write(output, &bytes).with_context(|| output.display().to_string())?;
            Ok(ExitStatus::Done)
        }
        Err(status) => Ok(status),
    }
}

/// Warns of each pattern for symbols to keep that nothing of the result is called by.
fn warn_of_missing(linked: &[u8], options: &Options<'_>, printer: &Printer) -> Result<()> {
    let Some(keep) = options.gc.filter(|keep| !keep.is_empty()) else {
        return Ok(());
    };
    let file = ElfFile64::<object::Endianness>::parse(linked)?;
    let names: Vec<_> = file
        .symbols()
        .filter_map(|symbol| symbol.name_bytes().ok())
        .collect();
    for pattern in keep {
        if !names.iter().any(|name| pattern.matches(name)) {
            let text = format!("no symbol is called `{}`", pattern.text());
            printer.warning(TOOL, &text);
        }
    }
    Ok(())
}

/// Links files; tells everything that is wrong, and what status to end with.
pub(crate) fn link_bytes(
    paths: &[PathBuf],
    options: &Options<'_>,
    printer: &Printer,
) -> Result<Result<Vec<u8>, ExitStatus>> {
    let mut files = Vec::with_capacity(paths.len());
    for path in paths {
        match File::read(path) {
            Ok(file) => files.push(file),
            Err(error) => complain(printer, &path.display().to_string(), error),
        }
    }
    if files.len() < paths.len() {
        return Ok(Err(ExitStatus::Failed));
    }
    match link(&files, options) {
        Ok(bytes) => Ok(Ok(bytes)),
        Err(Failure::Unreadable(errors)) => {
            for (name, error) in errors {
                complain(printer, &name, error);
            }
            Ok(Err(ExitStatus::Failed))
        }
        Err(Failure::Problems(problems)) => {
            for problem in problems {
                printer.failure(TOOL, &problem.to_string());
            }
            Ok(Err(ExitStatus::No))
        }
        Err(Failure::Impossible(error)) => Err(error.into()),
    }
}

/// Tells what is wrong with a file.
fn complain(printer: &Printer, name: &str, error: btf_core::Error) {
    let error = anyhow::Error::from(error).context(name.to_owned());
    printer.error(TOOL, &*error);
}
