//! Goal: every construct of C, every DWARF form and every machine of the corpus becomes the BTF that we want.
//! Method: each object's BTF is listed with every field and compared with a snapshot; apart from that, the types that a
//! source's `//# expect:` directives name must be there, and those of `expect-not` must not.

use std::collections::HashSet;
use std::path::Path;

use btf_core::reader::Btf;
use btf_tests::program::{TestDir, ours, run};
use btf_tests::{corpus, input, listing};

/// Encodes an object by the program, as a user does.
#[track_caller]
fn encode(object: &Path) -> std::sync::Arc<Btf> {
    let dir = TestDir::new();
    let out = dir.path("out.btf");
    let args = [
        object.as_os_str(),
        "-q".as_ref(),
        "-o".as_ref(),
        out.as_os_str(),
    ];
    let outcome = run(&ours("dwarf2btf"), args);
    assert_eq!(outcome.status, Some(0), "{}: {outcome}", object.display());
    input::read_btf(&out, None).expect("our own output is readable")
}

/// All `KIND:name` pairs of a BTF.
fn pairs(btf: &Btf) -> HashSet<String> {
    let kind = |id| {
        btf.info(id)
            .and_then(btf_core::Info::kind)
            .map_or("?", |kind| kind.name())
    };
    let name = |id| String::from_utf8_lossy(btf.name(id).unwrap_or_default()).into_owned();
    btf.records()
        .map(|(id, _)| format!("{}:{}", kind(id), name(id)))
        .collect()
}

#[track_caller]
fn check(folder: &str) {
    let objects = corpus::files(&format!("dwarf/{folder}"));
    assert!(!objects.is_empty(), "no objects in {folder}");
    let compiler = folder.split('-').next().unwrap_or_default();
    for object in objects {
        let btf = encode(&object);
        let pairs = pairs(&btf);
        let mut all = corpus::directive(&object, "expect");
        all.extend(corpus::directive(&object, &format!("expect-{compiler}")));
        for expected in all {
            assert!(
                pairs.contains(&expected),
                "{}: {expected} is missing",
                object.display()
            );
        }
        for unwanted in corpus::directive(&object, "expect-not") {
            assert!(
                !pairs.contains(&unwanted),
                "{}: {unwanted} is there",
                object.display()
            );
        }
        let mut settings = insta::Settings::clone_current();
        settings.set_snapshot_path(format!("snapshots/{folder}"));
        settings.set_prepend_module_to_snapshot(false);
        settings.set_omit_expression(true);
        settings.bind(|| insta::assert_snapshot!(corpus::name(&object), listing::listing(&btf)));
    }
}

#[test]
fn every_snapshot_has_an_object() {
    for folder in corpus::folders() {
        let objects = corpus::files(&format!("dwarf/{folder}"));
        let names: Vec<_> = objects
            .iter()
            .map(|object| format!("{}.snap", corpus::name(object)))
            .collect();
        let snapshots = corpus::files(&format!("../tests/tests/snapshots/{folder}"));
        let there: Vec<_> = snapshots.iter().map(|path| corpus::name(path)).collect();
        assert_eq!(there, names, "{folder}");
    }
}

/// One test per folder.
macro_rules! folders {
    ($($test:ident: $folder:literal;)*) => {
        $(#[test] fn $test() { check($folder); })*

        #[test]
        fn every_folder_is_tested() {
            assert_eq!(corpus::folders(), [$($folder),*]);
        }
    };
}

folders! {
    clang_aarch64: "clang-aarch64";
    clang_loongarch64: "clang-loongarch64";
    clang_powerpc64le: "clang-powerpc64le";
    clang_riscv64: "clang-riscv64";
    clang_x86_64: "clang-x86_64";
    gcc_aarch64: "gcc-aarch64";
    gcc_arm: "gcc-arm";
    gcc_s390x: "gcc-s390x";
    gcc_x86_64: "gcc-x86_64";
    rustc_x86_64: "rustc-x86_64";
}
