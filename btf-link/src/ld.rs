//! Called by the name `ld`, the program takes the command line that compilers give GNU ld, as far as it means something for BPF
//! ([`line`]): `bpf-gcc -B DIR` with `DIR/ld` links with it. The output is always an object, as nothing loads anything else.

mod line;

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use btf_core::ByteOrder;
use btf_core::cli::pattern::Pattern;
use btf_core::cli::{CommonArgs, Environment, ExitStatus, Printer, finish};
use btf_link::link::Options;

use crate::cli::link::link_files;
use crate::cli::print;
use line::{help, parse};

/// Whether the program is called by ld's name: `ld`, or with the name of a target before it.
pub(crate) fn is_name(program: &OsStr) -> bool {
    let name = Path::new(program)
        .file_name()
        .unwrap_or_default()
        .as_bytes();
    name == b"ld" || name.ends_with(b"-ld")
}

/// Links as the command line says.
pub(crate) fn main(words: impl Iterator<Item = OsString>) -> ExitCode {
    let printer = Printer::new(&CommonArgs::default(), Environment::of_process(), false);
    let result = run(words, &printer);
    let result = result.as_ref().copied();
    finish("ld", &printer, result.map_err(|error| &**error as _))
}

fn run(words: impl Iterator<Item = OsString>, printer: &Printer) -> Result<ExitStatus> {
    let request = parse(words)?;
    if request.wants_help {
        print(&help())?;
        return Ok(ExitStatus::Done);
    }
    if request.wants_version {
        let version = env!("CARGO_PKG_VERSION");
        print(&format!("btf-link {version}, called as GNU ld\n"))?;
        if request.inputs.is_empty() {
            return Ok(ExitStatus::Done);
        }
    }
    let folders = request.folders.iter().map(|folder| {
        let below = folder.as_os_str().as_bytes().strip_prefix(b"=");
        below.map_or_else(
            || folder.clone(),
            |below| {
                PathBuf::from(
                    [&request.sysroot, OsStr::from_bytes(below)]
                        .map(OsStr::new)
                        .into_iter()
                        .collect::<OsString>(),
                )
            },
        )
    });
    let folders: Vec<_> = folders.collect();
    let mut files = Vec::with_capacity(request.inputs.len());
    for input in &request.inputs {
        match input.as_bytes().strip_prefix(b"-l") {
            None => files.push(PathBuf::from(input)),
            Some(name) => files.push(find_library(OsStr::from_bytes(name), &folders)?),
        }
    }
    anyhow::ensure!(!files.is_empty(), "no input files");
    if let Some(order) = request.order {
        check_order(&files, order)?;
    }
    let entry = request.entry.as_ref();
    let entry = entry.filter(|entry| request.gc && !entry.is_empty());
    let entry = entry.map(|entry| {
        let pattern = entry.to_str().and_then(|entry| Pattern::parse(entry).ok());
        pattern.with_context(|| format!("no name of a symbol: `{}`", entry.display()))
    });
    let keep: Vec<_> = entry.transpose()?.into_iter().collect();
    let options = Options {
        gc: request.gc.then_some(&keep),
        ..Options::default()
    };
    link_files(&files, &request.output, &options, printer)
}

/// Checks that all objects are of this byte order.
fn check_order(files: &[PathBuf], order: ByteOrder) -> Result<()> {
    // What is in a pipe can be read once only.
    for path in files.iter().filter(|path| path.is_file()) {
        let mut start = [0; 6];
        // Who links them tells of those that cannot be read.
        let read = File::open(path).and_then(|mut file| file.read_exact(&mut start));
        let other = match (read, start) {
            (Ok(()), [0x7f, b'E', b'L', b'F', _, 1]) => ByteOrder::Little,
            (Ok(()), [0x7f, b'E', b'L', b'F', _, 2]) => ByteOrder::Big,
            _ => continue,
        };
        if other != order {
            let (path, option) = (
                path.display(),
                if order == ByteOrder::Big {
                    "-EB"
                } else {
                    "-EL"
                },
            );
            anyhow::bail!("{path}: its byte order is {other}, and `{option}` asks for {order}");
        }
    }
    Ok(())
}

/// The archive of a library.
fn find_library(name: &OsStr, folders: &[PathBuf]) -> Result<PathBuf> {
    let file = match name.as_bytes().strip_prefix(b":") {
        Some(file) => OsStr::from_bytes(file).to_owned(),
        None => [OsStr::new("lib"), name, OsStr::new(".a")]
            .into_iter()
            .collect(),
    };
    let mut candidates = folders.iter().map(|folder| folder.join(&file));
    let found = candidates.find(|candidate| candidate.is_file());
    found.with_context(|| format!("cannot find -l{}", name.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for (name, expect) in [
            ("/usr/bin/ld", true),
            ("bpf-ld", true),
            ("btf-link", false),
            ("old", false),
        ] {
            assert_eq!(is_name(OsStr::new(name)), expect, "{name}");
        }
    }
}
