//! Goal: GNU ld with our plugin, and compilers with our program as their `ld`, make what `btf-link link` makes.
//! Method: the linkers of three releases on the objects of `corpus/bpf`; sections compared byte by byte, symbols by name; archives,
//! errors; native objects with `-gbtf`, whose BTF no linker merges.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use btf_core::elf::load;
use btf_link::link::{File, Options, link};
use btf_tests::corpus;
use btf_tests::program::{Outcome, TestDir, ours, ours_plugin, peer, run};
use object::read::elf::ElfFile64;
use object::{Object as _, ObjectSection as _, ObjectSymbol as _};

/// The linkers of Debian 12, 13 and sid; the folders whose objects each takes without the plugin, too, do not matter.
const LINKERS: [&str; 3] = ["bpf-ld-2.40", "bpf-ld-2.44", "bpf-ld"];

fn path(folder: &str, name: &str) -> PathBuf {
    corpus::root()
        .join("bpf")
        .join(folder)
        .join(format!("{name}.o"))
}

fn linked(paths: &[PathBuf]) -> Vec<u8> {
    let files: Vec<_> = paths.iter().map(|path| File::read(path).unwrap()).collect();
    link(&files, &Options::default()).unwrap()
}

/// The contents of the sections that matter, and what symbols stand for: by name, section and offset.
type Meaning = (
    BTreeMap<String, Vec<u8>>,
    Vec<(String, Option<String>, u64, bool)>,
);

fn meaning(bytes: &[u8]) -> Meaning {
    let file = ElfFile64::<object::Endianness>::parse(bytes).unwrap();
    let name = |section: object::SectionIndex| {
        let section = file.section_by_index(section).unwrap();
        section.name().unwrap().to_owned()
    };
    let is_content = |name: &str| {
        !name.starts_with(".rel") && !matches!(name, ".symtab" | ".strtab" | ".shstrtab")
    };
    let sections = file.sections().filter_map(|section| {
        let name = section.name().unwrap();
        // ld writes empty sections of its own.
        (is_content(name) && section.size() > 0)
            .then(|| (name.to_owned(), section.data().unwrap().to_vec()))
    });
    let symbols = file.symbols().filter(|symbol| {
        let kind = symbol.kind();
        kind != object::SymbolKind::Section && kind != object::SymbolKind::File
    });
    let mut symbols: Vec<_> = symbols
        .map(|symbol| {
            let section = symbol.section_index().map(name);
            (
                symbol.name().unwrap().to_owned(),
                section,
                symbol.address(),
                symbol.is_weak(),
            )
        })
        .collect();
    symbols.sort();
    (sections.collect(), symbols)
}

/// Runs a linker with the plugin.
fn ld(linker: &Path, folder: &str, inputs: &[PathBuf], output: &Path) -> Outcome {
    let order = if folder.ends_with("-eb") {
        "-EB"
    } else {
        "-EL"
    };
    let plugin = ours_plugin();
    let words = [order, "-r", "-plugin"].map(OsStr::new).into_iter();
    let words = words.chain([plugin.as_os_str()]);
    let words = words.chain(inputs.iter().map(|path| path.as_os_str()));
    run(linker, words.chain([OsStr::new("-o"), output.as_os_str()]))
}

#[test]
fn every_linker_makes_the_same_with_the_plugin() {
    for linker in LINKERS {
        let Some(linker) = peer(linker) else {
            return;
        };
        for folder in ["clang", "clang-eb", "gcc", "gcc-eb"] {
            let dir = TestDir::new();
            let inputs = ["first", "second", "tables"].map(|name| path(folder, name));
            let output = dir.path("out.o");
            let _ = ld(&linker, folder, &inputs, &output).success();
            let made = std::fs::read(&output).unwrap();
            assert_eq!(
                meaning(&made),
                meaning(&linked(&inputs)),
                "{} {folder}",
                linker.display()
            );
            assert_eq!(dir.names(), ["out.o"]);
        }
    }
}

#[test]
fn of_archives_the_linker_takes_what_is_needed() {
    let (Some(linker), Some(ar)) = (peer("bpf-ld"), peer("bpf-ar")) else {
        return;
    };
    for folder in ["clang", "gcc"] {
        let dir = TestDir::new();
        let library = dir.path("lib.a");
        let members = ["unused", "disagrees"].map(|name| path(folder, name));
        let words = [OsString::from("rcs"), library.clone().into()];
        let _ = run(&ar, words.into_iter().chain(members.map(Into::into))).success();
        let inputs = [path(folder, "user"), library];
        let output = dir.path("out.o");
        let _ = ld(&linker, folder, &inputs, &output).success();
        assert_eq!(
            meaning(&std::fs::read(&output).unwrap()),
            meaning(&linked(&inputs)),
            "{folder}"
        );
    }
}

#[test]
fn what_is_wrong_fails_the_link() {
    for linker in LINKERS {
        let Some(linker) = peer(linker) else {
            return;
        };
        let dir = TestDir::new();
        let output = dir.path("out.o");
        let inputs = ["second", "disagrees"].map(|name| path("clang", name));
        let failed = ld(&linker, "clang", &inputs, &output);
        assert_ne!(failed.status, Some(0), "{failed}");
        let expect = "btf-link: `scale` is declared in different ways: 1 parameters are not 2: ";
        assert!(failed.stderr.contains(expect), "{failed}");
        let whole = std::fs::read(path("clang", "first")).unwrap();
        let cut = dir.write("cut.o", &whole[..whole.len() / 2]);
        let failed = ld(&linker, "clang", &[path("clang", "second"), cut], &output);
        assert_ne!(failed.status, Some(0), "{failed}");
        assert_eq!(dir.names(), ["cut.o"], "{failed}");
    }
}

#[test]
fn gcc_links_with_the_plugin_and_with_the_program() {
    let Some(gcc) = peer("bpf-gcc") else {
        return;
    };
    let dir = TestDir::new();
    let inputs = ["first", "second"].map(|name| path("gcc", name));
    let expect = linked(&inputs);
    let output = dir.path("out.o");
    let words = |option: OsString| {
        let words = [
            OsString::from("-r"),
            option,
            "-o".into(),
            output.clone().into(),
        ];
        words
            .into_iter()
            .chain(inputs.iter().map(|path| path.clone().into()))
    };
    let mut option = OsString::from("-Wl,-plugin,");
    option.push(ours_plugin());
    let _ = run(&gcc, words(option)).success();
    assert_eq!(meaning(&std::fs::read(&output).unwrap()), meaning(&expect));
    std::fs::remove_file(&output).unwrap();
    std::os::unix::fs::symlink(ours("btf-link"), dir.path("ld")).unwrap();
    let mut option = OsString::from("-B");
    option.push(dir.path(""));
    let _ = run(&gcc, words(option)).success();
    assert!(std::fs::read(&output).unwrap() == expect);
}

#[test]
fn of_ld_what_cannot_be_followed_is_refused_and_the_rest_means_what_it_says() {
    let dir = TestDir::new();
    let ld = dir.path("bpf-ld");
    std::os::unix::fs::symlink(ours("btf-link"), &ld).unwrap();
    let out = dir.path("out.o");
    let [first, second] = ["user", "unused"].map(|name| path("clang", name));
    let link = |options: &[&str]| {
        let words = options.iter().map(OsStr::new);
        let files = [&first, &second, Path::new("-o"), &out].map(Path::as_os_str);
        run(&ld, words.chain(files))
    };
    for options in [&["-T", "script.ld"][..], &["-EB"], &["--nothing"], &["-s"]] {
        let refused = link(options);
        assert_eq!(refused.status, Some(2), "{refused}");
        assert_eq!(refused.stderr.lines().count(), 1, "{refused}");
        assert!(!out.exists(), "{options:?}");
    }
    let whole = linked(&[first.clone(), second.clone()]);
    dir.write("words", b"-r -m elf64bpf\n'-EL' --build-id=none -static");
    let words = format!("@{}", dir.path("words").display());
    let _ = link(&[&words]).success();
    assert!(std::fs::read(&out).unwrap() == whole);
    let _ = link(&["--gc-sections"]).success();
    let small = std::fs::read(&out).unwrap();
    let files = [&first, &second].map(|path| File::read(path).unwrap());
    let options = Options {
        gc: Some(&[]),
        ..Options::default()
    };
    assert!(small == btf_link::link::link(&files, &options).unwrap());
    assert!(small.len() < whole.len());
    let _ = link(&["--gc-sections", "-e", "unused"]).success();
    let kept = std::fs::read(&out).unwrap();
    assert!(small.len() < kept.len());
    let version = run(&ld, ["-v"]).success().stdout;
    assert!(version.ends_with(", called as GNU ld\n"), "{version}");
    insta::assert_snapshot!("ld_help", run(&ld, ["--help"]).success().stdout);
}

#[test]
fn native_links_leave_one_btf() {
    const FIRST: &[u8] = b"struct s { int a; struct t *t; }; struct t { long x; }; struct s v; \
        int f(struct s *p) { return p->a + (int)p->t->x; }";
    const SECOND: &[u8] =
        b"struct s { int a; struct t *t; }; struct t { long x; }; extern struct s v; \
        int f(struct s *p); int main(void) { return f(&v); }";
    let Some(cc) = peer("cc") else {
        return;
    };
    let dir = TestDir::new();
    let sources = [dir.write("first.c", FIRST), dir.write("second.c", SECOND)];
    let output = dir.path("out");
    let mut option = OsString::from("-Wl,-plugin,");
    option.push(ours_plugin());
    let words = [
        OsString::from("-gbtf"),
        option,
        "-o".into(),
        output.clone().into(),
    ];
    let _ = run(&cc, words.into_iter().chain(sources.map(Into::into))).success();
    let bytes = std::fs::read(&output).unwrap();
    let btf = load(&bytes, None).unwrap().btf;
    for name in [&b"s"[..], b"t", b"v", b"main"] {
        assert_eq!(btf.find_by_name(name).count(), 1, "{}", name.escape_ascii());
    }
    assert_eq!(
        u64::from(btf.header().hdr_len + btf.header().str_off + btf.header().str_len),
        btf.blob_len()
    );
    // It runs: `v` is all zeros, so that `f` reads through a null pointer and a signal ends it.
    assert_eq!(run(&output, [""; 0]).status, None);
}
