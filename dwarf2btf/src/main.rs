//! `dwarf2btf`: the DWARF of an ELF file in, BTF out.

mod batch;
mod cli;
mod run;

use std::process::ExitCode;
use std::time::Instant;

use btf_core::cli::{Environment, Printer, finish};
use clap::Parser;

fn main() -> ExitCode {
    let start = Instant::now();
    let args = cli::Args::parse();
    let printer = Printer::new(&args.common, Environment::of_process(), args.is_json());
    let result = run::run(&args, &printer, start);
    finish(
        cli::TOOL,
        &printer,
        result.as_ref().copied().map_err(|error| &**error as _),
    )
}
