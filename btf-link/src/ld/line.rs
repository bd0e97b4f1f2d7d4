//! GNU ld's command line: the words that it knows, and what each means for an object for BPF.
//!
//! A word that is neither done nor without a meaning is refused: who passes `-T script` would otherwise get another object than asked
//! for, and be told nothing. To add an option, give it a line in [`meaning`] or in one of the tables; the tables are in the help.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use btf_core::ByteOrder;

/// Options with a value that have no meaning here.
const WITH_VALUE: [&str; 8] = [
    "plugin",
    "plugin-opt",
    "O",
    "hash-style",
    "rpath",
    "rpath-link",
    "dynamic-linker",
    "I",
];

/// Options without a value, or with one behind `=`, that have no meaning here, or say what is done anyhow.
const WITHOUT: [&str; 44] = [
    "r",
    "i",
    "relocatable",
    "q",
    "emit-relocs",
    "static",
    "Bstatic",
    "Bdynamic",
    "start-group",
    "(",
    "end-group",
    ")",
    "as-needed",
    "no-as-needed",
    "push-state",
    "pop-state",
    "no-whole-archive",
    "build-id",
    "eh-frame-hdr",
    "no-eh-frame-hdr",
    "no-dynamic-linker",
    "export-dynamic",
    "E",
    "no-export-dynamic",
    "nostdlib",
    "n",
    "nmagic",
    "N",
    "omagic",
    "no-omagic",
    "g",
    "S",
    "strip-debug",
    "x",
    "discard-all",
    "X",
    "discard-locals",
    "discard-none",
    "no-warnings",
    "w",
    "no-fatal-warnings",
    "no-warn-execstack",
    "no-warn-rwx-segments",
    "no-print-gc-sections",
];

/// Options that would make another object than is made, or a listing, and why they cannot be followed.
const REFUSED: [(&[&str], &str); 11] = [
    (
        &["T", "script", "dT", "default-script", "c", "mri-script"],
        "scripts are not followed; sections keep their names and order",
    ),
    (
        &["Ttext", "Tdata", "Tbss", "section-start", "image-base"],
        "sections of an object have no addresses",
    ),
    (
        &["shared", "Bshareable", "pie", "pic-executable", "soname"],
        "the output is always an object",
    ),
    (
        &["u", "undefined", "require-defined", "whole-archive"],
        "of archives what objects need is taken; name what else is wanted as an object",
    ),
    (
        &["defsym", "wrap", "R", "just-symbols"],
        "symbols are those of the objects",
    ),
    (
        &[
            "version-script",
            "dynamic-list",
            "retain-symbols-file",
            "exclude-libs",
        ],
        "symbols keep their visibility",
    ),
    (
        &["s", "strip-all"],
        "loaders need the symbols; -S is done anyhow",
    ),
    (
        &["allow-multiple-definition"],
        "what is defined twice is an error",
    ),
    (
        &["no-undefined"],
        "what an object declares and nothing defines, its loader looks up",
    ),
    (
        &["b", "format", "oformat"],
        "files are ELF objects for BPF, and archives of these",
    ),
    (
        &["Map", "M", "print-map", "cref", "print-gc-sections"],
        "nothing is listed",
    ),
];

/// The letters of refused options that have a value, which may stand in the same word.
const REFUSED_WITH_VALUE: &[u8] = b"TcuRb";

/// Words behind `-z` that are the same as a refused option.
const KEYWORDS: [(&[u8], &str); 2] = [
    (b"defs", "no-undefined"),
    (b"muldefs", "allow-multiple-definition"),
];

/// As many files with words are read as GNU ld reads: one may name itself.
const MAX_FILES_OF_WORDS: usize = 2000;

/// What the command line says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) output: PathBuf,
    /// Files, and libraries as `-lNAME`, in order.
    pub(super) inputs: Vec<OsString>,
    pub(super) folders: Vec<PathBuf>,
    /// What `=` at the start of a folder stands for.
    pub(super) sysroot: OsString,
    /// Whether what no program reaches is left out.
    pub(super) gc: bool,
    /// A symbol to keep where something is left out.
    pub(super) entry: Option<OsString>,
    /// The byte order that all objects must have.
    pub(super) order: Option<ByteOrder>,
    pub(super) wants_version: bool,
    pub(super) wants_help: bool,
}

/// What an option means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    Output,
    Library,
    Folder,
    Sysroot,
    Entry,
    Emulation,
    Keyword,
    /// Nothing, but it has a value.
    Value,
    Gc(bool),
    Order(ByteOrder),
    Version,
    Help,
    Nothing,
    /// It is refused for this reason.
    Refused(&'static str),
}

impl Meaning {
    const fn has_value(self) -> bool {
        matches!(
            self,
            Self::Output
                | Self::Library
                | Self::Folder
                | Self::Sysroot
                | Self::Entry
                | Self::Emulation
                | Self::Keyword
                | Self::Value
        )
    }
}

/// What the option of this name means; `None` if it is not known.
fn meaning(name: &str) -> Option<Meaning> {
    Some(match name {
        "o" | "output" => Meaning::Output,
        "l" | "library" => Meaning::Library,
        "L" | "library-path" => Meaning::Folder,
        "sysroot" => Meaning::Sysroot,
        "e" | "entry" => Meaning::Entry,
        "m" => Meaning::Emulation,
        "z" => Meaning::Keyword,
        "gc-sections" => Meaning::Gc(true),
        "no-gc-sections" => Meaning::Gc(false),
        "EL" => Meaning::Order(ByteOrder::Little),
        "EB" => Meaning::Order(ByteOrder::Big),
        "v" | "V" | "version" => Meaning::Version,
        "help" => Meaning::Help,
        _ if WITH_VALUE.contains(&name) => Meaning::Value,
        _ if WITHOUT.contains(&name) => Meaning::Nothing,
        _ => Meaning::Refused(refusal(name)?),
    })
}

/// Why an option is refused, if it is.
fn refusal(name: &str) -> Option<&'static str> {
    let refused = REFUSED.iter().find(|(names, _)| names.contains(&name));
    refused.map(|&(_, why)| why)
}

/// An option with what stands behind it in the same word.
fn option(word: &[u8]) -> Option<(Meaning, Option<&[u8]>)> {
    let known = |name: &[u8]| meaning(std::str::from_utf8(name).ok()?);
    let (is_short, rest) = match word.strip_prefix(b"--") {
        Some(rest) => (false, rest),
        None => (true, word.strip_prefix(b"-")?),
    };
    let (letter, behind) = rest.split_at_checked(1)?;
    // As GNU ld has it: of all long options those with this letter need two dashes.
    if !(is_short && letter == b"o") {
        let at = rest.iter().position(|&byte| byte == b'=');
        let (name, value) = match at {
            Some(at) => (&rest[..at], Some(&rest[at + 1..])),
            None => (rest, None),
        };
        if let Some(meaning) = known(name).filter(|_| name.len() > 1 || value.is_none()) {
            return Some((meaning, value));
        }
    }
    let meaning = known(letter).filter(|_| is_short)?;
    let takes_rest = meaning.has_value() || REFUSED_WITH_VALUE.contains(&letter[0]);
    let behind = Some(behind).filter(|behind| !behind.is_empty());
    (takes_rest || behind.is_none()).then_some((meaning, behind))
}

/// Reads the words of a command line.
pub(super) fn parse(words: impl Iterator<Item = OsString>) -> Result<Request> {
    let mut request = Request {
        output: "a.out".into(),
        ..Request::default()
    };
    let mut words: VecDeque<_> = words.collect();
    let mut files_of_words = 0;
    while let Some(word) = words.pop_front() {
        let bytes = word.as_bytes();
        // One that is not there is a file of that name.
        if let Some(path) = bytes.strip_prefix(b"@")
            && files_of_words < MAX_FILES_OF_WORDS
            && let Ok(more) = std::fs::read(OsStr::from_bytes(path))
        {
            files_of_words += 1;
            let rest = std::mem::take(&mut words);
            words = split(&more).into_iter().chain(rest).collect();
            continue;
        }
        if !bytes.starts_with(b"-") || bytes.len() == 1 {
            request.inputs.push(word);
            continue;
        }
        let Some((meaning, behind)) = option(bytes) else {
            bail!("unknown option: `{}`; see `--help`", word.display());
        };
        if let Meaning::Refused(why) = meaning {
            bail!("`{}` cannot be followed: {why}", word.display());
        }
        let value = match behind.filter(|_| meaning.has_value()) {
            Some(behind) => OsStr::from_bytes(behind).to_owned(),
            None if meaning.has_value() => {
                let next = words.pop_front();
                next.with_context(|| format!("`{}` needs a value", word.display()))?
            }
            None => OsString::new(),
        };
        request.take(meaning, value)?;
    }
    Ok(request)
}

impl Request {
    /// Notes what an option says.
    fn take(&mut self, meaning: Meaning, value: OsString) -> Result<()> {
        match meaning {
            Meaning::Output => self.output = value.into(),
            Meaning::Library => {
                let library = [OsStr::new("-l"), &value].into_iter().collect();
                self.inputs.push(library);
            }
            Meaning::Folder => self.folders.push(value.into()),
            Meaning::Sysroot => self.sysroot = value,
            Meaning::Entry => self.entry = Some(value),
            Meaning::Emulation => {
                let is_bpf = value.as_bytes().windows(3).any(|part| part == b"bpf");
                anyhow::ensure!(is_bpf, "`-m {}` is not for BPF", value.display());
            }
            Meaning::Keyword => {
                let same = KEYWORDS.iter().find(|(word, _)| *word == value.as_bytes());
                if let Some(why) = same.and_then(|(_, name)| refusal(name)) {
                    bail!("`-z {}` cannot be followed: {why}", value.display());
                }
            }
            Meaning::Gc(gc) => self.gc = gc,
            Meaning::Order(order) => self.order = Some(order),
            Meaning::Version => self.wants_version = true,
            Meaning::Help => self.wants_help = true,
            Meaning::Value | Meaning::Nothing | Meaning::Refused(_) => {}
        }
        Ok(())
    }
}

/// The words in a file: white space divides them, quotation marks keep it, and a backslash takes the meaning from what follows.
fn split(text: &[u8]) -> Vec<OsString> {
    let mut words = Vec::new();
    let mut word: Option<Vec<u8>> = None;
    let mut quote = None;
    let mut bytes = text.iter().copied();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => word.get_or_insert_default().extend(bytes.next()),
            _ if quote == Some(byte) => quote = None,
            b'"' | b'\'' if quote.is_none() => {
                quote = Some(byte);
                word.get_or_insert_default();
            }
            _ if quote.is_none() && byte.is_ascii_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(byte),
        }
    }
    words.extend(word);
    let words = words.iter().map(|word| OsStr::from_bytes(word).to_owned());
    words.collect()
}

/// What `--help` shows.
pub(super) fn help() -> String {
    let mut out = "\
btf-link, called as GNU ld: link BPF objects and archives into one object

Usage: ld [OPTION]... FILE...

Takes the lines that compilers and builds give GNU ld. The output is always a relocatable object, with or
without `-r`, as nothing loads anything else. Of debugging information it has BTF only.

Followed:
  FILE                      an object, or an archive of which what is needed is taken
  @FILE                     a file with more of the line
  -o, --output FILE         the object to write; `a.out` without it
  -l, --library NAME        libNAME.a, or FILE for `:FILE`, in the folders of all `-L`
  -L, --library-path DIR    where libraries are
  --sysroot DIR             what `=` at the start of a DIR of `-L` stands for
  --gc-sections             leave out functions, data and maps that no program reaches; `--no-gc-sections`
  -e, --entry NAME          with `--gc-sections`, keep this symbol, too
  -m EMULATION              must be one for BPF
  -EL, -EB                  must be the byte order of the objects
  -v, -V, --version         show the version
  --help                    show this

Accepted, as they mean nothing for such an object, or say what is done anyhow:
"
    .to_owned();
    let value = |name: &&str| format!("{} VALUE", dashed(name));
    let names = WITH_VALUE.iter().map(value);
    let names = names.chain(["-z KEYWORD".to_owned()]);
    put_list(
        &mut out,
        names.chain(WITHOUT.iter().map(|name| dashed(name))),
    );
    out.push_str("\nRefused, as they ask for another object than is made, or for a listing:\n");
    for (names, why) in REFUSED {
        put_list(&mut out, names.iter().map(|name| dashed(name)));
        let _ = writeln!(out, "      {why}");
    }
    out.push_str("\nSo is every option that is not here. Exit status: 0 done, 1 the objects do not fit together, 2 could not run.\n");
    out
}

/// An option as it is typed.
fn dashed(name: &str) -> String {
    let is_short = name.len() == 1 || name.starts_with(|c: char| c.is_ascii_uppercase());
    let is_short = is_short || matches!(name, "shared" | "pie" | "static" | "plugin" | "dT");
    format!("{}{name}", if is_short { "-" } else { "--" })
}

/// Adds names in lines that are not too long.
fn put_list(out: &mut String, names: impl Iterator<Item = String>) {
    /// What terminals show in a line at least.
    const WIDTH: usize = 80;
    let names: Vec<_> = names.collect();
    let mut line = String::new();
    for (index, name) in names.iter().enumerate() {
        if !line.is_empty() && line.len() + name.len() + 4 > WIDTH {
            let _ = writeln!(out, " {}", line.trim_end());
            line.clear();
        }
        let comma = if index + 1 < names.len() { "," } else { "" };
        let _ = write!(line, " {name}{comma}");
    }
    let _ = writeln!(out, " {line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Request> {
        parse(line.split(' ').map(OsString::from))
    }

    #[track_caller]
    fn check(line: &str, output: &str, inputs: &[&str], folders: &[&str]) {
        let request = parsed(line).unwrap();
        assert_eq!(request.output, PathBuf::from(output));
        assert_eq!(request.inputs, inputs);
        let folders: Vec<_> = folders.iter().map(PathBuf::from).collect();
        assert_eq!(request.folders, folders);
    }

    #[test]
    fn the_lines_of_compilers() {
        let gcc = "-plugin /gcc/liblto_plugin.so -plugin-opt=/gcc/lto-wrapper -plugin-opt=-pass-through=-lgcc -EL -o out.o -r \
            -L/gcc/bpf/16 first.o second.o -lgcc";
        let inputs = ["first.o", "second.o", "-lgcc"];
        check(gcc, "out.o", &inputs, &["/gcc/bpf/16"]);
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
        let more = "-static -z noexecstack -znow -O2 -O 1 --hash-style=gnu -S -x a.o --start-group -lc --end-group -melf64bpf";
        check(more, "a.out", &["a.o", "-lc"], &[]);
        check("-output a.o -L=/lib", "utput", &["a.o"], &["=/lib"]);
    }

    #[test]
    fn what_is_followed() {
        let request = parsed("--gc-sections -e main --sysroot=/s -EB a.o").unwrap();
        assert!(request.gc && request.entry == Some("main".into()));
        assert_eq!(
            (request.sysroot, request.order),
            ("/s".into(), Some(ByteOrder::Big))
        );
        assert!(!parsed("--gc-sections --no-gc-sections a.o").unwrap().gc);
        assert!(parsed("--help").unwrap().wants_help);
    }

    #[test]
    fn what_would_make_another_object_is_refused() {
        for bad in [
            "-T x.ld a.o",
            "-Tx.ld a.o",
            "--script=x.ld a.o",
            "-Ttext=0 a.o",
            "-u f a.o",
            "--whole-archive l.a",
            "-shared a.o",
            "-s a.o",
            "-z defs a.o",
            "-zmuldefs a.o",
            "-Map=map a.o",
        ] {
            let error = parsed(bad).unwrap_err().to_string();
            assert!(error.contains("cannot be followed: "), "{bad}: {error}");
        }
        for (bad, expect) in [
            ("a.o -o", "`-o` needs a value"),
            ("--nothing a.o", "unknown option: `--nothing`"),
            ("-rx a.o", "unknown option: `-rx`"),
            ("-color a.o", "`-color` cannot be followed: scripts"),
            ("-sort a.o", "unknown option: `-sort`"),
            ("-static-pie a.o", "unknown option: `-static-pie`"),
            ("-soname x a.o", "the output is always an object"),
            ("-m elf_x86_64 a.o", "is not for BPF"),
        ] {
            let error = parsed(bad).unwrap_err().to_string();
            assert!(error.contains(expect), "{bad}: {error}");
        }
    }

    #[test]
    fn every_option_has_one_meaning_and_is_in_the_help() {
        let help = help();
        let refused = REFUSED.iter().flat_map(|(names, _)| names.iter());
        let all: Vec<_> = WITH_VALUE.iter().chain(&WITHOUT).chain(refused).collect();
        for name in &all {
            assert_eq!(
                all.iter().filter(|other| *other == name).count(),
                1,
                "{name}"
            );
            assert!(help.contains(&dashed(name)), "{name}");
        }
    }

    #[test]
    fn files_hold_words_as_shells_do() {
        let words = split(b"-o 'a b'\n\t\"c'd\" e\\ f '' g");
        assert_eq!(words, ["-o", "a b", "c'd", "e f", "", "g"]);
    }
}
