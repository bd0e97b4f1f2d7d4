//! `btf-compare A B`: whether two BTF files, raw or in ELF, mean the same types.

use std::io::{BufWriter, Write as _, stdout};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use btf_tests::compare::{Comparison, Scope, print_json, print_text};
use btf_tests::input::read_btf;
use clap::Parser;

/// Compares two BTF files by meaning: ids, order and string offsets do not count.
///
/// Exit status: 0 if both have the same types, 1 if not, 2 if one cannot be read.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// The first file: raw BTF, or ELF with a .BTF section.
    a: PathBuf,
    /// The second file.
    b: PathBuf,
    /// The base that both files continue.
    #[arg(long, value_name = "FILE")]
    base: Option<PathBuf>,
    #[command(flatten)]
    scope: ScopeArgs,
    /// Different numbers of equivalent types within a file do not count as a difference.
    #[arg(long)]
    ignore_duplicates: bool,
    /// Lists every difference and duplicate instead of the first few.
    #[arg(long)]
    list: bool,
    /// How many differences of each group are listed.
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: usize,
    /// Prints JSON Lines: kinds, differences, duplicates, result.
    #[arg(long)]
    json: bool,
}

/// At most one of these narrows what is compared.
#[derive(Debug, clap::Args)]
#[group(multiple = false)]
struct ScopeArgs {
    /// Compares functions by name and prototype, nothing else.
    #[arg(long)]
    functions_only: bool,
    /// Leaves out functions, prototypes, variables, sections and declaration tags.
    #[arg(long)]
    data_only: bool,
    /// Compares variables and their sections, nothing else.
    #[arg(long)]
    variables_only: bool,
}

impl ScopeArgs {
    fn scope(&self) -> Scope {
        if self.functions_only {
            Scope::Functions
        } else if self.data_only {
            Scope::Data
        } else if self.variables_only {
            Scope::Variables
        } else {
            Scope::All
        }
    }
}

fn run(args: &Args) -> Result<bool> {
    let base = args
        .base
        .as_deref()
        .map(|path| read_btf(path, None))
        .transpose()?;
    let a = read_btf(&args.a, base.clone())?;
    let b = read_btf(&args.b, base)?;
    // The error says which of the two, A or B, it is about.
    let files = || format!("{} and {}", args.a.display(), args.b.display());
    let comparison = Comparison::new(&a, &b, args.scope.scope()).with_context(files)?;
    let equal = comparison.is_equal(args.ignore_duplicates);
    let mut out = BufWriter::new(stdout().lock());
    if args.json {
        print_json(&mut out, &comparison, equal)?;
    } else {
        let limit = if args.list {
            usize::MAX - 1
        } else {
            args.limit
        };
        print_text(&mut out, &comparison, limit, args.list)?;
        writeln!(out, "{}", if equal { "equal" } else { "different" })?;
    }
    out.flush()?;
    Ok(equal)
}

#[expect(clippy::print_stderr, reason = "a program's error goes to stderr")]
fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(equal) => ExitCode::from(u8::from(!equal)),
        Err(error) => {
            eprintln!("btf-compare: error: {error:#}");
            ExitCode::from(2)
        }
    }
}
