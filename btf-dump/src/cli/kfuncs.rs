//! `btf-dump kfuncs`: the functions of kernels and modules that BPF programs may call.

use std::path::Path;

use anyhow::{Context as _, Result};
use btf_core::cli::pattern::Pattern;
use btf_core::cli::sources::{STDIN, Source};
use btf_core::cli::{ExitStatus, Printer, escape_name, ignore_broken_pipe, output};
use btf_dump::kfuncs::declare::{self, Header};
use btf_dump::kfuncs::prototype::Prototypes;
use btf_dump::kfuncs::sets::{self, Sets};
use btf_dump::kfuncs::{Kfunc, find, json};
use clap::ValueEnum;

use super::{OutputArgs, SourceArgs, TOOL, missing};

const EXAMPLES: &str = "\
Examples:
  btf-dump kfuncs -o kfuncs.h               those of the running kernel
  btf-dump kfuncs vmlinux modules/ --json   with the flags and sets of files
  btf-dump kfuncs -n 'bpf_dynptr_*' --format prototype
";

/// The arguments of `kfuncs`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct KfuncsArgs {
    #[command(flatten)]
    sources: SourceArgs,

    /// Only kfuncs of this name; `*`, `?`, `[…]`, `{…}` or `/regular expression/`
    #[arg(short, long, value_name = "PATTERN", value_parser = Pattern::parse)]
    name: Vec<Pattern>,

    /// How to declare them
    #[arg(
        long,
        value_name = "FORM",
        default_value = "c",
        conflicts_with = "json"
    )]
    format: Form,

    /// Write JSON Lines: for each kfunc an object with its file, prototype, tags, flags and sets
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    to: OutputArgs,
}

/// How a kfunc is declared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    /// A header for BPF programs, to be included behind vmlinux.h
    C,
    /// As `pfunct` prints it: tags, then the prototype
    Prototype,
}

impl KfuncsArgs {
    /// Whether standard output is for JSON.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }
}

/// Declares kfuncs.
pub(crate) fn run(args: &KfuncsArgs, printer: &Printer) -> Result<ExitStatus> {
    let sources = args.sources.open(printer)?;
    output::check_target(&args.to.output, sources.iter().flat_map(Source::files))?;
    let mut count = 0;
    let mut names = Vec::new();
    let mut lines = Vec::new();
    let mut header = Header::new();
    for source in &sources {
        let sets = sets_of(source)?;
        let mut kfuncs = find(&source.btf, sets.as_ref());
        names.extend(kfuncs.iter().map(|kfunc| kfunc.name.to_vec()));
        kfuncs.retain(|kfunc| args.wants(kfunc));
        count += kfuncs.len();
        if args.is_header() {
            header
                .add(source, &kfuncs)
                .with_context(|| source.title())?;
        } else {
            let put = args.put_lines(source, &kfuncs, &mut lines);
            put.with_context(|| source.title())?;
        }
    }
    let out = if args.is_header() {
        header.into_text()
    } else {
        lines
    };
    let text = if args.to.output == Path::new("-") && printer.stdout_is_terminal() {
        let lines = out.split(|&byte| byte == b'\n');
        let lines: Vec<_> = lines.map(escape_name).collect();
        lines.join("\n").into_bytes()
    } else {
        out
    };
    let written = ignore_broken_pipe(output::write(&args.to.output, &text));
    written.with_context(|| args.to.output.display().to_string())?;
    if names.is_empty() {
        printer.warning(
            TOOL,
            "no kfunc is there; kernels before 6.10 do not mark them in BTF: name their image or modules, with symbols",
        );
    } else if count == 0 {
        let names: Vec<_> = names.iter().map(Vec::as_slice).collect();
        missing::warn(printer, "kfunc", &args.name, &names);
    }
    Ok(ExitStatus::no_if(count == 0))
}

/// What the file's `.BTF_ids` says, if the source is such a file.
fn sets_of(source: &Source) -> Result<Option<Sets>> {
    if source.path == Path::new(STDIN) || source.part.is_some() {
        return Ok(None);
    }
    sets::read(&source.path).with_context(|| source.title())
}

impl KfuncsArgs {
    fn wants(&self, kfunc: &Kfunc<'_>) -> bool {
        let matches = |pattern: &Pattern| pattern.matches(kfunc.name);
        self.name.is_empty() || self.name.iter().any(matches)
    }

    fn is_header(&self) -> bool {
        !self.json && self.format == Form::C
    }

    /// Appends a line for each kfunc.
    fn put_lines(
        &self,
        source: &Source,
        kfuncs: &[Kfunc<'_>],
        out: &mut Vec<u8>,
    ) -> btf_core::Result<()> {
        if self.json {
            let prototypes = declare::prototypes(source, kfuncs)?;
            for (kfunc, prototype) in kfuncs.iter().zip(&prototypes) {
                let line = json::line(&source.btf, &source.path, kfunc, prototype);
                out.extend_from_slice(line.as_bytes());
            }
            return Ok(());
        }
        let mut prototypes = Prototypes::new(&source.btf);
        for kfunc in kfuncs {
            prototypes.put(kfunc, out);
            out.push(b'\n');
        }
        Ok(())
    }
}
