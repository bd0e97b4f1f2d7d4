//! `dwarf2btf`: the DWARF of an ELF file in, BTF out. Called by the name `pahole`, it answers as that.

mod batch;
mod cli;
mod pahole;
mod run;

use std::process::ExitCode;
use std::time::Instant;

use btf_core::cli::{Environment, Printer, finish};

fn main() -> ExitCode {
    let start = Instant::now();
    let mut words = std::env::args_os();
    if words.next().is_some_and(|name| pahole::is_name(&name)) {
        return pahole::main(words);
    }
    let args = cli::Args::of_process();
    let printer = Printer::new(&args.common, Environment::of_process(), args.is_json());
    let result = run::run(&args, &printer, start);
    finish(
        cli::TOOL,
        &printer,
        result.as_ref().copied().map_err(|error| &**error as _),
    )
}
