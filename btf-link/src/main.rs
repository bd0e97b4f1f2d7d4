//! `btf-link`: BTF and BPF objects of many origins in, one out.
#![forbid(unsafe_code)]

mod cli;

use std::process::ExitCode;

use btf_core::cli::{Environment, Printer, finish};

fn main() -> ExitCode {
    let args = cli::Args::of_process();
    let printer = Printer::new(&args.common, Environment::of_process(), args.is_json());
    let result = cli::run(&args, &printer);
    finish(
        cli::TOOL,
        &printer,
        result.as_ref().copied().map_err(|error| &**error as _),
    )
}
