//! `btf-dump c`: C headers.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail, ensure};
use btf_core::Btf;
use btf_core::cli::pattern::Pattern;
use btf_core::cli::sources::Source;
use btf_core::cli::{ExitStatus, Printer, output};
use btf_dump::c::{Options, Scope, header, merge};
use btf_dump::select::{Selection, own_names};

use super::{SourceArgs, missing};

const EXAMPLES: &str = "\
Examples:
  btf-dump c -o vmlinux.h                the running kernel's types
  btf-dump c vmlinux modules/ -o all.h   with those of modules, each once
  btf-dump c vmlinux -r task_struct      a type and what it needs
  btf-dump c nf_tables.ko -B vmlinux --on-top-of vmlinux.h -o nf_tables.h
";

/// The arguments of `c`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CArgs {
    #[command(flatten)]
    sources: SourceArgs,

    /// Where to write the header [default: standard output]
    #[arg(
        short,
        long,
        value_name = "OUT",
        default_value = "-",
        hide_default_value = true
    )]
    output: PathBuf,

    /// Only a module's own types, behind `#include "HEADER"`
    ///
    /// HEADER must be what `btf-dump c` wrote for the module's base, because types of one name are numbered.
    #[arg(long, value_name = "HEADER", conflicts_with = "root")]
    on_top_of: Option<String>,

    /// Only types whose name matches, and what they need; may be repeated
    ///
    /// What only pointers lead to is declared, not defined. Patterns as for the listing.
    #[arg(short, long, value_name = "PATTERN", value_parser = Pattern::parse)]
    root: Vec<Pattern>,

    /// Let the compiler check every size and every offset against the BTF
    #[arg(long)]
    assert: bool,

    /// Write the tags of declarations as attributes (`btf_decl_tag`)
    #[arg(long)]
    decl_tags: bool,

    /// Do not declare kfuncs
    #[arg(long)]
    no_kfuncs: bool,
}

/// Writes a header.
pub(crate) fn run(args: &CArgs, printer: &Printer) -> Result<ExitStatus> {
    let sources = args.sources.open(printer)?;
    output::check_target(&args.output, sources.iter().flat_map(Source::files))?;
    let options = Options {
        assertions: args.assert,
        decl_tags: args.decl_tags,
        kfuncs: !args.no_kfuncs && args.root.is_empty(),
        pointer_size: sources.iter().find_map(|source| source.pointer_size),
        ..Options::default()
    };
    if let Some(kernel_header) = &args.on_top_of {
        return on_top(args, &sources, kernel_header, options);
    }
    if let [source] = &sources[..]
        && source.btf.base().is_none()
    {
        return write(args, &source.btf, options, printer);
    }
    let inputs: Vec<_> = sources.iter().map(|source| source.btf.clone()).collect();
    let merged = merge(&inputs).context("cannot merge")?;
    let options = Options {
        first_of_modules: Some(merged.first_of_modules),
        ..options
    };
    write(args, &merged.btf, options, printer)
}

/// Writes the types of one module.
fn on_top(
    args: &CArgs,
    sources: &[Source],
    kernel_header: &str,
    options: Options<'_>,
) -> Result<ExitStatus> {
    let [source] = sources else {
        bail!(
            "`--on-top-of` takes one module, not {} files",
            sources.len()
        );
    };
    ensure!(
        source.btf.base().is_some(),
        "{}: it has no base that `--on-top-of` could name the header of",
        source.title()
    );
    let name = source.path.file_stem().unwrap_or_default();
    let options = Options {
        scope: Scope::Module {
            name: &name.to_string_lossy(),
            kernel_header,
        },
        ..options
    };
    output::write_with(&args.output, |out| {
        header(&source.btf, &options, out).map(|_| ())
    })
    .with_context(|| source.title())?;
    Ok(ExitStatus::Done)
}

/// Writes all types, or those that are asked for.
fn write(args: &CArgs, btf: &Btf, options: Options<'_>, printer: &Printer) -> Result<ExitStatus> {
    let roots = Selection {
        names: args.root.clone(),
        ..Selection::default()
    };
    let is_everything = roots.is_everything();
    let roots = if is_everything {
        Vec::new()
    } else {
        roots.of(btf)
    };
    if roots.is_empty() && !is_everything {
        missing::warn(printer, "type", &args.root, &own_names(btf));
        return Ok(ExitStatus::No);
    }
    let scope = if is_everything {
        Scope::All
    } else {
        Scope::Roots(&roots)
    };
    let options = Options { scope, ..options };
    output::write_with(&args.output, |out| header(btf, &options, out).map(|_| ()))?;
    Ok(ExitStatus::Done)
}
