//! Goal: split BTF holds what its base does not have, for one module and for many in one process.
//! Method: the objects of the corpus as kernel and modules; the comparison of `btf_tests` and the validator judge.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use btf_core::builder::{Builder, WriteOptions};
use btf_core::reader::Btf;
use btf_core::validate::{Profile, validate};
use btf_core::{ByteOrder, Info, Kind, TypeId};
use btf_tests::compare::{Comparison, Scope, in_base};
use btf_tests::corpus;
use btf_tests::input::read_btf;
use btf_tests::program::{Outcome, TestDir, ours, run};

const FOLDER: &str = "gcc-x86_64";

fn object(folder: &str, name: &str) -> PathBuf {
    corpus::root().join("dwarf").join(folder).join(name)
}

fn dwarf2btf<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Outcome {
    run(&ours("dwarf2btf"), args)
}

/// Encodes one object, against a base if there is one.
fn encode(object: &Path, base: Option<&Path>, output: &Path) {
    let words = [object, Path::new("-qo"), output];
    let base = base
        .into_iter()
        .flat_map(|base| [Path::new("--base"), base]);
    let _ = dwarf2btf(words.into_iter().chain(base)).success();
}

fn objects() -> Vec<PathBuf> {
    let objects = corpus::objects().into_iter();
    let of_folder = |object: &PathBuf| corpus::name(object.parent().unwrap()) == FOLDER;
    objects.filter(of_folder).collect()
}

fn base(dir: &TestDir, object: &Path) -> (PathBuf, Arc<Btf>) {
    let path = dir.path("base.btf");
    encode(object, None, &path);
    let btf = read_btf(&path, None).unwrap();
    (path, btf)
}

/// All that a module has is in the base or behind it, once.
#[track_caller]
fn check_split(name: &str, split: &Path, alone: &Path, base: &Arc<Btf>) {
    let split = read_btf(split, Some(Arc::clone(base))).unwrap();
    assert_eq!(validate(&split, Profile::Structural), [], "{name}");
    assert_eq!(in_base(&split).unwrap(), [], "{name}");
    let alone = read_btf(alone, None).unwrap();
    let is_forward = |(_, record): (_, &[u32])| Info(record[1]).kind() == Some(Kind::Fwd);
    // What is only announced, as by units that use a type unit, means something else beside another definition; and then
    // so does all that reaches it.
    if name.contains(".types") || alone.records().any(is_forward) {
        return;
    }
    let comparison = Comparison::new(&split, &alone, Scope::All).unwrap();
    let lost = comparison
        .counts
        .iter()
        .find(|(_, counts)| counts.only_b > 0);
    assert_eq!(lost, None, "{name}");
}

#[test]
fn every_object_against_every_kind_of_base() {
    let dir = TestDir::new();
    for of_base in ["functions.o", "image.elf", "kfuncs.o"] {
        let of_base = object(FOLDER, of_base);
        let (base_path, base) = base(&dir, &of_base);
        for object in objects() {
            let (split, alone) = (dir.path("split.btf"), dir.path("alone.btf"));
            encode(&object, Some(&base_path), &split);
            encode(&object, None, &alone);
            check_split(&corpus::name(&object), &split, &alone, &base);
        }
    }
}

#[test]
fn the_base_itself_leaves_nothing_to_say() {
    let dir = TestDir::new();
    let kernel = object(FOLDER, "functions.o");
    let (path, base) = base(&dir, &kernel);
    let split = dir.path("split.btf");
    encode(&kernel, Some(&path), &split);
    let split = read_btf(&split, Some(Arc::clone(&base))).unwrap();
    assert_eq!(
        (split.first_id(), split.end_id()),
        (base.end_id(), base.end_id())
    );
    assert_eq!(split.string_bytes(), []);
}

/// The BTF of `btf` with so many arrays more; arrays of arrays become flat, if they shall.
fn with_arrays(btf: &Btf, count: u32, is_flat: bool) -> Vec<u8> {
    let mut builder = Builder::without_types_of(btf);
    for (_, record) in btf.records() {
        let mut record = record.to_vec();
        while is_flat
            && let [_, info, _, element, _, length] = &mut *record
            && let Some(&[_, inner, _, next, _, times]) = btf.record(TypeId(*element))
            && *info == inner
        {
            (*element, *length) = (next, *length * times);
        }
        let _ = builder.push_record(&record).unwrap();
    }
    let int = btf.find_by_name(b"int").next().unwrap();
    for length in 0..count {
        let _ = builder.array(int, int, 1000 + length).unwrap();
    }
    let options = WriteOptions::default();
    builder.write(ByteOrder::Little, options).unwrap()
}

#[test]
fn arrays_are_flat_where_those_of_a_large_base_are() {
    let dir = TestDir::new();
    let object = object(FOLDER, "arrays.o");
    let (_, btf) = base(&dir, &object);
    let written = |count, is_flat| {
        let path = dir.write("kernel.btf", &with_arrays(&btf, count, is_flat));
        let split = dir.path("split.btf");
        encode(&object, Some(&path), &split);
        let base = read_btf(&path, None).unwrap();
        let split = read_btf(&split, Some(base)).unwrap();
        split.records().len()
    };
    assert_eq!(written(300, true), 0);
    assert_eq!(written(300, false), 0);
    // So few may be flat by chance.
    assert!(written(30, true) > 0);
}

#[test]
fn a_base_that_cannot_be_right_is_refused() {
    let dir = TestDir::new();
    let (path, _) = base(&dir, &object(FOLDER, "functions.o"));
    let check = |module: PathBuf, base: &Path, expect: &str| {
        let target = dir.path("refused.btf");
        let words = [
            &*module,
            Path::new("--base"),
            base,
            Path::new("-o"),
            &target,
        ];
        let outcome = dwarf2btf(words);
        assert_eq!(outcome.status, Some(2), "{outcome}");
        assert!(outcome.stderr.contains(expect), "{expect}: {outcome}");
        assert!(!target.exists());
    };
    check(object("gcc-s390x", "functions.o"), &path, "byte order");
    check(object("gcc-arm", "functions.o"), &path, "pointers");
    let module = || object(FOLDER, "enums.o");
    check(
        module(),
        &object(FOLDER, "functions.o"),
        "no section `.BTF`",
    );
    check(module(), &dir.write("empty", b""), "empty");
    let bytes = fs::read(&path).unwrap();
    check(
        module(),
        &dir.write("cut", &bytes[..bytes.len() - 9]),
        "cut: .BTF",
    );
    // The same BTF as split BTF: its strings do not start with an empty one.
    let split = dir.path("split.btf");
    encode(&object(FOLDER, "bitfields.o"), Some(&path), &split);
    check(module(), &split, "needs its base");
}

/// A folder of modules.
fn modules(dir: &TestDir) -> PathBuf {
    let folder = dir.path("tree");
    for (name, object) in ["b/enums.ko", "b/bitfields.ko", "a.ko"].into_iter().zip([
        "enums.o",
        "bitfields.o",
        "functions.o",
    ]) {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::copy(self::object(FOLDER, object), path).unwrap();
    }
    folder
}

#[test]
fn many_modules_are_what_each_is_alone() {
    let dir = TestDir::new();
    let (base, _) = base(&dir, &object(FOLDER, "image.elf"));
    let folder = modules(&dir);
    for threads in ["-j1", "-j2", "-j8"] {
        let out = dir.path(threads);
        let words = ["modules", threads, "-q", "--out-dir"].map(Path::new);
        let paths = [&*out, Path::new("--base"), &base, &folder];
        let _ = dwarf2btf(words.into_iter().chain(paths)).success();
        for name in ["b/enums.ko", "b/bitfields.ko", "a.ko"] {
            let alone = dir.path("alone.btf");
            encode(&folder.join(name), Some(&base), &alone);
            let together = fs::read(out.join(format!("{name}.btf"))).unwrap();
            assert!(together == fs::read(&alone).unwrap(), "{threads} {name}");
        }
    }
}

#[test]
fn a_bad_module_does_not_stop_the_others() {
    let dir = TestDir::new();
    let (base, btf) = base(&dir, &object(FOLDER, "image.elf"));
    let folder = modules(&dir);
    let bytes = fs::read(folder.join("a.ko")).unwrap();
    fs::write(folder.join("bad.ko"), &bytes[..bytes.len() / 2]).unwrap();
    fs::write(folder.join("packed.ko.xz"), "xz").unwrap();
    symlink("nowhere", folder.join("link.ko")).unwrap();
    let before = fs::read(folder.join("bad.ko")).unwrap();
    let words = ["modules", "--report", "json", "--in-place", "--base"].map(Path::new);
    let outcome = dwarf2btf(words.into_iter().chain([&*base, &folder]));
    assert_eq!(outcome.status, Some(2), "{outcome}");
    assert!(outcome.stderr.contains("bad.ko: "), "{outcome}");
    let results: Vec<&str> = outcome.stdout.lines().collect();
    assert_eq!(results.len(), 7, "{outcome}");
    for bad in &results[1..3] {
        assert!(bad.contains(r#""result":"failed""#), "{outcome}");
    }
    assert!(
        results[5].contains(r#""written":3,"skipped":0,"failed":2,"packed":1"#),
        "{outcome}"
    );
    assert_eq!(fs::read(folder.join("bad.ko")).unwrap(), before);
    for name in ["a.ko", "b/enums.ko", "b/bitfields.ko"] {
        let split = read_btf(&folder.join(name), Some(Arc::clone(&btf))).unwrap();
        assert_eq!(in_base(&split).unwrap(), [], "{name}");
    }
    // Once more: the section is replaced, not added again.
    let written = fs::read(folder.join("a.ko")).unwrap();
    let words = ["modules", "-q", "--in-place", "--base"].map(Path::new);
    let _ = dwarf2btf(words.into_iter().chain([&*base, &folder.join("a.ko")])).success();
    assert!(fs::read(folder.join("a.ko")).unwrap() == written);
}

#[test]
fn a_module_that_was_signed_is_to_be_signed_again() {
    let dir = TestDir::new();
    let (base, _) = base(&dir, &object(FOLDER, "image.elf"));
    let mut bytes = fs::read(object(FOLDER, "enums.o")).unwrap();
    // The signature, `struct module_signature` with its length, and the mark (Linux, include/linux/module_signature.h).
    // Some builds pad the module before they sign it.
    let mut signature = vec![0; 3];
    signature.extend([7; 16]);
    signature.extend([0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 16]);
    signature.extend(b"~Module signature appended~\n");
    bytes.extend(&signature);
    let module = dir.write("signed.ko", &bytes);
    let words = ["modules", "--in-place", "--base"].map(Path::new);
    let in_place = || dwarf2btf(words.into_iter().chain([&*base, &module])).success();
    let first = in_place().stderr;
    assert!(first.contains("1 written, 1 to be signed again"), "{first}");
    let second = in_place().stderr;
    assert!(!second.contains("signed"), "{second}");
    let signed = [fs::read(&module).unwrap(), signature].concat();
    fs::write(&module, signed).unwrap();
    let words = ["distill", "--in-place", "--base"].map(Path::new);
    let words = words.into_iter().chain([&*base, &module]);
    let distilled = run(&ours("btf-link"), words).success().stderr;
    assert!(distilled.contains("signature dropped"), "{distilled}");
}

#[test]
fn modules_without_dwarf_are_an_error_in_words() {
    let dir = TestDir::new();
    let (base, _) = base(&dir, &object(FOLDER, "image.elf"));
    let raw = fs::read(object(FOLDER, "enums.o")).unwrap();
    let stripped = raw.windows(6).position(|window| window == b".debug");
    assert!(stripped.is_some());
    // Sections that are called otherwise are none.
    let mut bytes = raw.clone();
    for at in 0..bytes.len() - 6 {
        if &bytes[at..at + 6] == b".debug" {
            bytes[at + 1] = b'x';
        }
    }
    let modules = [dir.write("a.ko", &bytes), dir.write("b.ko", &bytes)];
    let words = ["modules", "-q", "--in-place", "--base"].map(Path::new);
    let words = words.into_iter().chain([&*base]);
    let outcome = dwarf2btf(words.clone().chain([&*modules[0], &modules[1]]));
    assert_eq!(outcome.status, Some(2), "{outcome}");
    assert!(
        outcome.stderr.contains("none of the 2 modules has DWARF"),
        "{outcome}"
    );
    let outcome = dwarf2btf(words.chain([&*modules[0]]));
    assert!(
        outcome.stderr.contains("the module has no DWARF"),
        "{outcome}"
    );
}
