//! `btf-link`: BTF and BPF objects of many origins in, one out. Called by the name `ld`, it links as that.
#![forbid(unsafe_code)]

mod cli;
mod ld;

use std::process::ExitCode;

use btf_core::cli::{Environment, Printer, finish};

fn main() -> ExitCode {
    let mut words = std::env::args_os();
    if words.next().is_some_and(|name| ld::is_name(&name)) {
        return ld::main(words);
    }
    let args = cli::Args::of_process();
    let printer = Printer::new(&args.common, Environment::of_process(), args.is_json());
    let result = cli::run(&args, &printer);
    finish(
        cli::TOOL,
        &printer,
        result.as_ref().copied().map_err(|error| &**error as _),
    )
}
