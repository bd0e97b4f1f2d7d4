//! Called by the name `ld`, the program takes the command line that compilers give GNU ld, as far as it means something for BPF:
//! `bpf-gcc -B DIR` with `DIR/ld` links with it. The output is always an object, as nothing loads anything else.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use btf_core::cli::{CommonArgs, Environment, ExitStatus, Printer, finish};
use btf_link::link::Options;

use crate::cli::link::link_files;

/// Options whose value, in the next word if not behind `=`, has no meaning here.
const WITH_VALUE: [&str; 10] = [
    "plugin",
    "plugin-opt",
    "m",
    "z",
    "e",
    "entry",
    "Map",
    "T",
    "rpath",
    "dynamic-linker",
];

/// Options that have no meaning here.
const WITHOUT: [&str; 17] = [
    "r",
    "i",
    "relocatable",
    "EL",
    "EB",
    "static",
    "start-group",
    "(",
    "end-group",
    ")",
    "build-id",
    "as-needed",
    "no-as-needed",
    "eh-frame-hdr",
    "no-dynamic-linker",
    "nostdlib",
    "no-warnings",
];

/// What the command line says.
#[derive(Debug, Default, PartialEq, Eq)]
struct Request {
    output: PathBuf,
    /// Files, and libraries as `-lNAME`, in order.
    inputs: Vec<OsString>,
    folders: Vec<PathBuf>,
    wants_version: bool,
}

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
    if request.wants_version {
        printer.always(concat!(
            "btf-link ",
            env!("CARGO_PKG_VERSION"),
            ", called as GNU ld"
        ));
        if request.inputs.is_empty() {
            return Ok(ExitStatus::Done);
        }
    }
    let mut files = Vec::with_capacity(request.inputs.len());
    for input in &request.inputs {
        match input.as_bytes().strip_prefix(b"-l") {
            None => files.push(PathBuf::from(input)),
            Some(name) => files.push(find_library(OsStr::from_bytes(name), &request.folders)?),
        }
    }
    anyhow::ensure!(!files.is_empty(), "no input files");
    link_files(&files, &request.output, &Options::default(), printer)
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

fn parse(words: impl Iterator<Item = OsString>) -> Result<Request> {
    let mut request = Request {
        output: "a.out".into(),
        ..Request::default()
    };
    let mut words: VecDeque<_> = words.collect();
    while let Some(word) = words.pop_front() {
        let text = word.to_string_lossy();
        let Some(option) = text.strip_prefix('-').filter(|option| !option.is_empty()) else {
            request.inputs.push(word);
            continue;
        };
        let option = option.strip_prefix('-').unwrap_or(option);
        let (name, value) = match option.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (option, None),
        };
        let mut value = || -> Result<OsString> {
            let value = value.map(OsString::from).or_else(|| words.pop_front());
            value.with_context(|| format!("`{text}` needs a value"))
        };
        match name {
            "o" | "output" => request.output = value()?.into(),
            "L" | "library-path" => request.folders.push(value()?.into()),
            "l" | "library" => {
                let name = value()?;
                request
                    .inputs
                    .push([OsStr::new("-l"), &name].into_iter().collect());
            }
            "v" | "V" | "version" => request.wants_version = true,
            _ if WITH_VALUE.contains(&name) => {
                value()?;
            }
            _ if WITHOUT.contains(&name) => {}
            // A letter with its value in the same word.
            _ => match text.split_at_checked(2) {
                Some(("-L", folder)) => request.folders.push(folder.into()),
                Some(("-l", _)) => request.inputs.push(word.clone()),
                Some(("-o", output)) => request.output = output.into(),
                Some(("-m" | "-z", _)) => {}
                _ => anyhow::bail!("unknown option: `{text}`"),
            },
        }
    }
    Ok(request)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, output: &str, inputs: &[&str], folders: &[&str]) {
        let request = parse(line.split(' ').map(OsString::from)).unwrap();
        assert_eq!(request.output, Path::new(output));
        assert_eq!(request.inputs, inputs);
        assert_eq!(
            request.folders,
            folders.iter().map(PathBuf::from).collect::<Vec<_>>()
        );
    }

    #[test]
    fn the_lines_of_compilers() {
        let gcc = "-plugin /gcc/liblto_plugin.so -plugin-opt=/gcc/lto-wrapper -plugin-opt=-pass-through=-lgcc -EL -o out.o -r \
            -L/gcc/bpf/16 first.o second.o -lgcc";
        check(
            gcc,
            "out.o",
            &["first.o", "second.o", "-lgcc"],
            &["/gcc/bpf/16"],
        );
        check(
            "-m elf64bpf a.o -l x -L y --output=z",
            "z",
            &["a.o", "-lx"],
            &["y"],
        );
        check("a.o", "a.out", &["a.o"], &[]);
        // What follows the second one is no value.
        check(
            "--build-id=sha1 a.o --build-id b.o",
            "a.out",
            &["a.o", "b.o"],
            &[],
        );
        for bad in ["--gc-sections a.o", "a.o -o", "-shared a.o"] {
            assert!(parse(bad.split(' ').map(OsString::from)).is_err(), "{bad}");
        }
    }

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
