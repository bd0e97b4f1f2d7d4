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

/// Objects that pahole 1.32 cannot encode or gets wrong, by folder (empty: any) and name, and why ours is right.
const EXCEPTIONS: &[(&str, &str, &str)] = &[
    (
        "",
        "atomic.",
        "pahole: Unsupported DW_TAG_atomic_type, no BTF; ours leaves the qualifier out",
    ),
    (
        "",
        "complex.",
        "pahole: complex float types are not supported, no BTF",
    ),
    (
        "",
        "references.",
        "pahole: Unsupported DW_TAG_reference_type, no BTF",
    ),
    (
        "",
        "program.types",
        "pahole loses what only type units define; `variants.rs` shows that ours equals the plain build",
    ),
];

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
fn difference(dir: &TestDir) -> Option<String> {
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
    print_text(&mut text, &comparison, 10, false).unwrap();
    Some(String::from_utf8(text).unwrap())
}

#[test]
fn the_corpus_is_what_pahole_makes_of_it() {
    let Some(pahole) = pahole() else { return };
    let mut wrong = String::new();
    for object in corpus::objects() {
        let (folder, name) = (
            corpus::name(object.parent().unwrap()),
            corpus::name(&object),
        );
        let is_exception = EXCEPTIONS.iter().any(|&(in_folder, start, _)| {
            name.starts_with(start) && (in_folder.is_empty() || in_folder == folder)
        });
        if is_exception || folder.starts_with("rustc") {
            continue;
        }
        let dir = TestDir::new();
        encode(&object, &dir);
        let found = match theirs(&pahole, &object, &dir) {
            Some(()) => difference(&dir),
            None => Some("pahole gives no BTF\n".to_owned()),
        };
        if let Some(text) = found {
            let _ = write!(wrong, "=== {folder}/{name} (A is ours)\n{text}");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn kernels_are_what_pahole_makes_of_them() {
    let Some(pahole) = pahole() else { return };
    for kernel in kernels() {
        let dir = TestDir::new();
        encode(&kernel, &dir);
        theirs(&pahole, &kernel, &dir).expect("pahole encodes kernels");
        if let Some(text) = difference(&dir) {
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
        encode(&file, &dir);
        let output = dir.path("ours.btf");
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
        if corpus::name(&file) != "references.o" && !file.to_string_lossy().contains("rustc") {
            let as_c = base.into_iter().chain(["format".as_ref(), "c".as_ref()]);
            let _ = run(&bpftool, as_c).success();
        }
    }
}
