//! Goal: kernels and the corpus become what pahole makes of them, by meaning; bpftool reads ours to the end.
//! Method: both programs with the same features on the same file, then `btf_tests::compare`. A difference that must be
//! is in a table here with its reason.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::Path;

use btf_tests::compare::{Comparison, Scope, print_text};
use btf_tests::program::{TestDir, kernels, ours, pahole, peer, run};
use btf_tests::{corpus, input};

/// What kernels ask pahole for since 6.10.
const FEATURES: &str = "encode_force,var,float,enum64,decl_tag,type_tag,optimized_func,consistent_func,decl_tag_kfuncs";

/// Objects of which pahole 1.32 makes something else, and why ours is right. What exactly differs is in the snapshot
/// `differential__exceptions`, so that a difference that vanishes fails the test as one that appears does.
const EXCEPTIONS: &[Exception] = &[
    Exception {
        folders: &[],
        names: &["atomic.o"],
        reason: "pahole: `Unsupported DW_TAG_atomic_type`, no BTF; ours leaves the qualifier out",
    },
    Exception {
        folders: &[],
        names: &["complex.o"],
        reason: "pahole: `Complex … types are not supported`, no BTF; ours has arrays of two parts",
    },
    Exception {
        folders: &[],
        names: &["references.o"],
        reason: "pahole: `Unsupported DW_TAG_reference_type`, no BTF; ours has pointers",
    },
    Exception {
        folders: &[],
        names: &["c23.o"],
        reason: "pahole has void for the type of nullptr, and the kernel refuses a member of it; ours has a pointer, whose size it has",
    },
    Exception {
        folders: &["gcc-x86_64"],
        names: &["program.types4.o", "program.types5.o"],
        reason: "pahole loses what only type units define; `variants.rs` shows that ours equals the plain build",
    },
    Exception {
        folders: &["gcc-x86_64"],
        names: &["lto.whole.elf"],
        reason: "pahole does not look for the name and type of a variable behind DW_AT_abstract_origin, where gcc's LTO leaves them; \
                 `variants.rs` shows that ours equals the build without LTO",
    },
    Exception {
        folders: &["gcc-x86_64"],
        names: &["enums.dwarf2.o"],
        reason: "no DW_AT_type tells the sign: `big_signed` has a negative enumerator (DW_FORM_sdata), which pahole does not look at",
    },
    Exception {
        folders: &["gcc-aarch64", "gcc-s390x", "gcc-x86_64"],
        names: &["optimized.o", "image.relocatable.o"],
        reason: "pahole compares addresses of different kinds in a relocatable file and misses that `constant_argument` lost a parameter; \
                 it leaves the function out of `image.elf`, as ours does everywhere",
    },
    Exception {
        folders: &["gcc-arm"],
        names: &["optimized.o", "image.elf", "image.relocatable.o"],
        reason: "pahole takes the Thumb bit of a symbol for a part of the address and misses that `constant_argument` lost a parameter",
    },
    Exception {
        folders: &["clang-x86_64", "gcc-x86_64"],
        names: &["image.lto.elf"],
        reason: "`two_addresses` has two addresses; pahole does not test the alphabetically last function for that",
    },
    Exception {
        folders: &["gcc-aarch64", "gcc-arm", "gcc-s390x", "gcc-x86_64"],
        names: &["tags.o"],
        reason: "pahole does not read DW_AT_GNU_annotation of variables",
    },
    Exception {
        folders: &["clang-loongarch64", "clang-riscv64"],
        names: &["functions.o", "image.elf", "image.relocatable.o"],
        reason: "`returns_large` has its parameter in the second register, since the first has the address of the result; pahole has \
                 no list of registers for these machines, and leaves the function out on x86_64",
    },
];

/// A row of [`EXCEPTIONS`].
struct Exception {
    /// Folders of the corpus; none means all.
    folders: &'static [&'static str],
    /// Objects in them.
    names: &'static [&'static str],
    /// Why ours is right.
    reason: &'static str,
}

impl Exception {
    fn covers(&self, folder: &str, name: &str) -> bool {
        (self.folders.is_empty() || self.folders.contains(&folder)) && self.names.contains(&name)
    }
}

/// Encodes a file by pahole; `None` if it gives no BTF.
fn theirs(pahole: &Path, file: &Path, dir: &TestDir) -> Option<()> {
    let mut detached = OsString::from("--btf_encode_detached=");
    detached.push(dir.path("theirs.btf"));
    let features = format!("--btf_features={FEATURES}");
    let args = [
        "-J".as_ref(),
        "-j2".as_ref(),
        "--lang_exclude=rust".as_ref(),
        features.as_ref(),
        &*detached,
        file.as_os_str(),
    ];
    let outcome = run(pahole, args);
    let length = dir
        .path("theirs.btf")
        .metadata()
        .map_or(0, |metadata| metadata.len());
    (outcome.status == Some(0) && length > 0).then_some(())
}

fn encode(file: &Path, dir: &TestDir) {
    let output = dir.path("ours.btf");
    let features = format!("--features={FEATURES}");
    let args = [
        file.as_os_str(),
        "-q".as_ref(),
        "--exclude-language=rust".as_ref(),
        features.as_ref(),
        "-o".as_ref(),
        output.as_os_str(),
    ];
    let _ = run(&ours("dwarf2btf"), args).success();
}

/// The differences between `ours.btf` (A) and `theirs.btf` (B) in `dir`, as text; `None` if there are none.
fn difference(dir: &TestDir, limit: usize) -> Option<String> {
    let ours = input::read_btf(&dir.path("ours.btf"), None).unwrap();
    let theirs = input::read_btf(&dir.path("theirs.btf"), None).unwrap();
    let comparison = Comparison::new(&ours, &theirs, Scope::All).unwrap();
    let ours_has_duplicates = comparison
        .counts
        .iter()
        .any(|(_, counts)| counts.duplicates_a > 0);
    if comparison.is_equal(true) && !ours_has_duplicates {
        return None;
    }
    let mut text = Vec::new();
    print_text(&mut text, &comparison, limit, false).unwrap();
    Some(String::from_utf8(text).unwrap())
}

/// The differences alone, each on a line: no table, no ids, which change with what is around.
fn details(text: &str) -> String {
    let is_detail = |line: &&str| line.starts_with("only ") || line.starts_with("differs in ");
    text.lines()
        .filter(is_detail)
        .fold(String::new(), |mut out, line| {
            let words = line.split(' ').map(|word| {
                let id = word
                    .strip_prefix('[')
                    .and_then(|word| word.trim_end_matches(':').strip_suffix(']'));
                match id.map(str::parse::<u32>) {
                    Some(Ok(_)) if word.ends_with(':') => "[_]:",
                    Some(Ok(_)) => "[_]",
                    _ => word,
                }
            });
            let _ = writeln!(out, "  {}", words.collect::<Vec<_>>().join(" "));
            out
        })
}

#[test]
fn the_corpus_is_what_pahole_makes_of_it() {
    let Some(pahole) = pahole() else { return };
    let (mut wrong, mut explained) = (String::new(), String::new());
    for object in corpus::objects() {
        let (folder, name) = (
            corpus::name(object.parent().unwrap()),
            corpus::name(&object),
        );
        if folder.starts_with("rustc") {
            continue;
        }
        let dir = TestDir::new();
        encode(&object, &dir);
        let found = match theirs(&pahole, &object, &dir) {
            Some(()) => difference(&dir, usize::MAX),
            None => Some("only A: pahole gives no BTF\n".to_owned()),
        };
        let exception = EXCEPTIONS.iter().find(|row| row.covers(&folder, &name));
        let _ = match (found, exception) {
            (None, None) => Ok(()),
            (Some(text), Some(row)) => {
                let (reason, details) = (row.reason, details(&text));
                writeln!(explained, "{folder}/{name}: {reason}\n{details}")
            }
            (Some(text), None) => writeln!(wrong, "=== {folder}/{name} (A is ours)\n{text}"),
            (None, Some(_)) => writeln!(
                wrong,
                "=== {folder}/{name}: equal, though EXCEPTIONS has it"
            ),
        };
    }
    assert!(wrong.is_empty(), "{wrong}");
    insta::assert_snapshot!("exceptions", explained);
}

#[test]
fn kernels_are_what_pahole_makes_of_them() {
    let Some(pahole) = pahole() else { return };
    for kernel in kernels() {
        let dir = TestDir::new();
        encode(&kernel, &dir);
        theirs(&pahole, &kernel, &dir).expect("pahole encodes kernels");
        if let Some(text) = difference(&dir, 10) {
            panic!("{} (A is ours)\n{text}", kernel.display());
        }
    }
}

#[test]
fn bpftool_reads_the_corpus_and_kernels_to_the_end() {
    let Some(bpftool) = peer("bpftool") else {
        return;
    };
    for file in corpus::objects().into_iter().chain(kernels()) {
        let dir = TestDir::new();
        // With Rust, unlike pahole: what bpftool cannot take must not be there.
        let output = dir.path("ours.btf");
        let _ = run(
            &ours("dwarf2btf"),
            [
                file.as_os_str(),
                "-q".as_ref(),
                "-o".as_ref(),
                output.as_os_str(),
            ],
        )
        .success();
        let base = [
            "btf".as_ref(),
            "dump".as_ref(),
            "file".as_ref(),
            output.as_os_str(),
        ];
        let dump = run(&bpftool, base).success().stdout;
        let count = dump.lines().filter(|line| line.starts_with('[')).count();
        let btf = input::read_btf(&output, None).unwrap();
        assert_eq!(count + 1, btf.end_id() as usize, "{}", file.display());
        let as_c = base.into_iter().chain(["format".as_ref(), "c".as_ref()]);
        let _ = run(&bpftool, as_c).success();
    }
}
