//! Goal: `btf-link distill`, `relocate` and `preflight` do to modules what libbpf and the kernel do, except where those are wrong.
//! Method: modules of kernels, distilled, moved onto each, and compared with what libbpf makes of the same file (bpftool), all of
//! them if `BTF_TESTS_MODULES` names folders with a `vmlinux`; the
//! mistakes of its matching, one by one, in BTF that is made here; files that are damaged or do not belong together.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use btf_core::builder::{MemberSpec, WriteOptions};
use btf_core::elf::sections;
use btf_core::{Btf, Builder, ByteOrder, Kind, TypeId};
use btf_tests::input::read_btf;
use btf_tests::program::{
    Outcome, TestDir, files_below, kernels, kernels_with_modules, ours, peer, run,
};
use rayon::prelude::*;

fn link(args: &[&Path]) -> Outcome {
    run(&ours("btf-link"), args.iter().map(|arg| arg.as_os_str()))
}

fn dump(bpftool: &Path, base: &Path, file: &Path) -> Outcome {
    let words = [
        "-B".as_ref(),
        base.as_os_str(),
        "btf".as_ref(),
        "dump".as_ref(),
    ];
    run(
        bpftool,
        words.into_iter().chain(["file".as_ref(), file.as_os_str()]),
    )
}

fn flag(text: &str) -> &Path {
    Path::new(text)
}

/// Distils a module as `btf-link` does by itself.
fn distill(module: &Path, base: &Path, out: &Path) {
    let args = [
        flag("distill"),
        module,
        flag("--base"),
        base,
        flag("-o"),
        out,
    ];
    let _ = link(&args).success();
}

/// What became of a module on another kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Moved {
    /// libbpf and ours make the same of it.
    Alike,
    /// libbpf refuses it, ours does not.
    ByUsOnly,
    /// Both refuse it.
    Refused,
}

/// Moves a distilled module onto a kernel, by ours and by libbpf.
fn move_onto(bpftool: &Path, distilled: &Path, target: &Path, out: &Path) -> Moved {
    let args = [
        flag("relocate"),
        distilled,
        flag("--to"),
        target,
        flag("--raw"),
        flag("-o"),
        out,
    ];
    let (ours, theirs) = (link(&args), dump(bpftool, target, distilled));
    match (ours.status, theirs.status) {
        (Some(0), Some(0)) => {
            let ours = dump(bpftool, target, out).success();
            assert!(ours.stdout == theirs.stdout, "{}", distilled.display());
            Moved::Alike
        }
        (Some(0), _) => Moved::ByUsOnly,
        (Some(1), theirs) if theirs != Some(0) => Moved::Refused,
        _ => panic!("{}: {ours}\nlibbpf: {theirs}", distilled.display()),
    }
}

#[test]
fn moved_modules_are_what_libbpf_makes_of_them_and_what_preflight_foretells() {
    let Some(bpftool) = peer("bpftool") else {
        return;
    };
    let kernels = kernels_with_modules();
    let mut found = BTreeMap::<_, usize>::new();
    for (kernel, modules) in &kernels {
        let dir = TestDir::new();
        let modules = files_below(modules, &[".ko", ".ko.debug"]);
        let distilled: Vec<_> = modules
            .par_iter()
            .map(|module| {
                let out = dir.path(module.file_name().unwrap().to_str().unwrap());
                distill(module, kernel, &out);
                out
            })
            .collect();
        for (target, _) in &kernels {
            let raw = raw(target);
            let moved = distilled.par_iter().map(|distilled| {
                let out = distilled.with_extension("moved");
                let moved = move_onto(&bpftool, distilled, target, &out);
                let verdict = preflight(distilled, raw.path(), "7.2");
                let loads = verdict["verdict"] == "loads";
                assert_eq!(loads, moved == Moved::Alike, "{verdict}");
                moved
            });
            for moved in moved.collect::<Vec<_>>() {
                *found.entry(moved).or_default() += 1;
            }
            eprintln!("{} onto {}: {found:?}", kernel.display(), target.display());
        }
    }
    assert!(
        kernels.is_empty() || found.contains_key(&Moved::Alike),
        "{found:?}"
    );
}

/// A kernel's BTF as a file, which does not tell of what version it is.
fn raw(kernel: &Path) -> tempfile::NamedTempFile {
    let raw = tempfile::NamedTempFile::new().unwrap();
    let btf = read_btf(kernel, None).unwrap();
    let bytes = Builder::from_btf(&btf).write(btf.byte_order(), WriteOptions::default());
    fs::write(raw.path(), bytes.unwrap()).unwrap();
    raw
}

/// What preflight says of one module and one kernel, which must not tell its version.
fn preflight(module: &Path, kernel: &Path, version: &str) -> serde_json::Value {
    let outcome = link(&[
        flag("preflight"),
        module,
        flag("--against"),
        kernel,
        flag("--kernel-version"),
        flag(version),
        flag("--json"),
    ]);
    let answer: serde_json::Value = serde_json::from_str(&outcome.stdout).unwrap();
    let is_good = answer["verdict"] == "loads";
    assert_eq!(outcome.status, Some(i32::from(!is_good)), "{outcome}");
    answer
}

#[test]
fn ids_beside_the_btf_move_with_it() {
    let dir = TestDir::new();
    for kernel in kernels() {
        let module = kernel.with_file_name("modules").join("nf_conntrack.ko");
        if !module.is_file() {
            continue;
        }
        let copy = dir.path("copy.ko");
        fs::copy(&module, &copy).unwrap();
        let args = [
            flag("distill"),
            &copy,
            flag("--base"),
            &kernel,
            flag("--in-place"),
        ];
        let _ = link(&args).success();
        let bytes = fs::read(&copy).unwrap();
        assert!(sections(&*bytes).unwrap().base.is_some());
        let ids = |file: &Path| {
            btf_link::ids::BtfIds::read(&fs::read(file).unwrap())
                .unwrap()
                .unwrap()
        };
        let names = |file: &Path, base: &Arc<Btf>| {
            let bytes = fs::read(file).unwrap();
            let found = sections(&*bytes).unwrap();
            let own_base = found
                .base
                .map(|base| Arc::new(Btf::parse(base, None).unwrap()));
            let base = own_base.unwrap_or_else(|| Arc::clone(base));
            let btf = Btf::parse(found.btf.unwrap(), Some(base)).unwrap();
            let mut names: Vec<_> = ids(file)
                .types()
                .map(|id| btf.name(id).unwrap().to_vec())
                .collect();
            names.sort();
            names
        };
        let base = read_btf(&kernel, None).unwrap();
        let expect = names(&module, &base);
        assert!(expect.contains(&b"bpf_xdp_ct_lookup".to_vec()));
        assert_eq!(names(&copy, &base), expect);

        // And back, onto a kernel in which all ids are other ones.
        let sorted = btf_core::sort::sort_by_name(&base).unwrap().builder;
        let mut other = sorted;
        other.typedef(b"other_t", TypeId(1)).unwrap();
        let order = base.byte_order();
        let other_bytes = other.write(order, WriteOptions::default()).unwrap();
        let other_path = dir.write("other.btf", &other_bytes);
        let args = [
            flag("relocate"),
            &module,
            flag("--base"),
            &kernel,
            flag("--to"),
            &other_path,
            flag("-o"),
            &copy,
        ];
        let _ = link(&args).success();
        let other = Arc::new(other.finish().unwrap());
        assert_eq!(names(&copy, &other), expect);
        break;
    }
}

/// A type as the tests write it: kind, name, size.
fn add(builder: &mut Builder, text: &str) -> TypeId {
    let words: Vec<_> = text.split(' ').collect();
    let size = words.get(2).map_or(4, |size| size.parse().unwrap());
    let name = words[1].as_bytes();
    let bits = [MemberSpec {
        name: b"m",
        ty: TypeId(1),
        bit_offset: 0,
        bitfield_size: 3,
    }];
    match words[0] {
        "int" => builder.int(name, size, 1),
        "struct" => builder.composite(Kind::Struct, name, size, &[]),
        "union" => builder.composite(Kind::Union, name, size, &[]),
        "bitfields" => builder.composite(Kind::Struct, name, size, &bits),
        "fwd" => builder.fwd(name, false),
        "ufwd" => builder.fwd(name, true),
        _ => panic!("{text}"),
    }
    .unwrap()
}

/// A kernel with these types.
fn kernel_with(types: &[&str]) -> Builder {
    let mut builder = Builder::new();
    add(&mut builder, "int first");
    for text in types {
        add(&mut builder, text);
    }
    builder
}

/// What is matched wrongly: what the module points to, its kernel, another kernel, and whether that takes the module as libbpf and
/// as we distil it.
type Mistake = (
    &'static str,
    &'static [&'static str],
    &'static [&'static str],
    [bool; 2],
);

const MISTAKES: [Mistake; 6] = [
    // A declaration beside the definition, of which nobody knew when the module was made, or of which one could know.
    (
        "struct a 8",
        &["struct a 8"],
        &["fwd a", "struct a 8"],
        [false, false],
    ),
    (
        "struct a 8",
        &["fwd a", "struct a 8"],
        &["fwd a", "struct a 8"],
        [false, true],
    ),
    // Bitfields are taken for a union.
    ("fwd a", &["fwd a"], &["bitfields a 8"], [false, true]),
    ("ufwd a", &["ufwd a"], &["union a 8"], [false, true]),
    // Two of one size.
    (
        "struct a 8",
        &["struct a 8", "struct a 8"],
        &["struct a 8", "struct a 8"],
        [false, true],
    ),
    // No mistake.
    (
        "struct a 8",
        &["struct a 8"],
        &["struct a 16"],
        [true, true],
    ),
];

#[test]
fn what_kernels_match_wrongly_is_foretold_and_avoided() {
    let dir = TestDir::new();
    let bpftool = peer("bpftool");
    for (row, (wanted, own, other, [as_libbpf, as_we])) in MISTAKES.iter().enumerate() {
        let write = |name: &str, builder: &Builder| write(&dir, name, builder, ByteOrder::NATIVE);
        let own = kernel_with(own);
        let own_path = write("own", &own);
        let other_path = write("other", &kernel_with(other));
        let own = Arc::new(own.finish().unwrap());
        let mut probe = kernel_with(&[]);
        let kind = add(&mut probe, wanted);
        let kind = probe.finish().unwrap().info(kind).unwrap().kind();
        let wanted_id = own
            .find_by_name(b"a")
            .find(|id| own.info(*id).unwrap().kind() == kind);
        let mut split = Builder::with_base(Arc::clone(&own));
        let ptr = split.ptr(wanted_id.unwrap()).unwrap();
        split.typedef(b"module_type_t", ptr).unwrap();
        let split = write("split", &split);

        for (options, &expect) in [(&["--as-libbpf"][..], as_libbpf), (&[], as_we)] {
            let out = dir.path("module");
            let mut args = vec![
                flag("distill"),
                &*split,
                flag("-q"),
                flag("--base"),
                &own_path,
                flag("-o"),
                &out,
            ];
            args.extend(options.iter().map(Path::new));
            let _ = link(&args).success();
            let object = elf_with(&dir, &out);
            let answer = preflight(&object, &other_path, "7.2");
            assert_eq!(answer["verdict"] == "loads", expect, "row {row}: {answer}");
            if let Some(bpftool) = &bpftool {
                let theirs = dump(bpftool, &other_path, &object);
                assert_eq!(theirs.status == Some(0), expect, "row {row}: {theirs}");
            }
            // Ours finds the right one, but for two that nothing tells apart.
            let moved = dir.path("moved");
            let args = [
                flag("relocate"),
                &object,
                flag("--to"),
                &other_path,
                flag("--raw"),
                flag("-o"),
                &moved,
            ];
            let outcome = link(&args);
            let is_ambiguous = row == 4 && !options.is_empty();
            assert_eq!(
                outcome.status,
                Some(i32::from(is_ambiguous)),
                "row {row}: {outcome}"
            );
        }
    }
}

/// An ELF file with the BTF at `path` and its base.
fn elf_with(dir: &TestDir, path: &Path) -> PathBuf {
    use btf_core::elf::{NewSection, put_sections};
    let btf = fs::read(path).unwrap();
    let base = fs::read(path.with_extension("base")).unwrap();
    let empty = fs::read(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../corpus/dwarf/gcc-x86_64/program.o"),
    );
    let sections = [
        NewSection {
            name: ".BTF",
            bytes: &btf,
        },
        NewSection {
            name: ".BTF.base",
            bytes: &base,
        },
    ];
    let bytes = put_sections(&empty.unwrap(), &sections).unwrap().to_vec();
    dir.write("module.ko", &bytes)
}

#[test]
fn both_byte_orders_are_moved() {
    let dir = TestDir::new();
    for order in [ByteOrder::Little, ByteOrder::Big] {
        let write = |name: &str, builder: &Builder| write(&dir, name, builder, order);
        let own = kernel_with(&["struct a 8", "struct b 8"]);
        let own_path = write("own", &own);
        let other_path = write(
            "other",
            &kernel_with(&["struct b 8", "int c", "struct a 8"]),
        );
        let mut split = Builder::with_base(Arc::new(own.finish().unwrap()));
        split.ptr(TypeId(2)).unwrap();
        split.typedef(b"b_t", TypeId(3)).unwrap();
        let split = write("split", &split);
        let out = dir.path("out");
        let args = [
            flag("relocate"),
            &split,
            flag("--base"),
            &own_path,
            flag("--to"),
            &other_path,
            flag("-o"),
            &out,
        ];
        let _ = link(&args).success();
        let other = read_btf(&other_path, None).unwrap();
        let moved = Btf::parse(&fs::read(&out).unwrap(), Some(other)).unwrap();
        assert_eq!(moved.byte_order(), order);
        assert_eq!(moved.record(TypeId(5)).unwrap()[2], 4);
        assert_eq!(moved.record(TypeId(6)).unwrap()[2], 2);

        let wrong = kernel_with(&["struct a 8", "struct b 8"]);
        let swapped = if order == ByteOrder::Little {
            ByteOrder::Big
        } else {
            ByteOrder::Little
        };
        let wrong = dir.write(
            "wrong",
            &wrong.write(swapped, WriteOptions::default()).unwrap(),
        );
        fs::write(&out, "old").unwrap();
        let args = [
            flag("relocate"),
            &split,
            flag("--base"),
            &own_path,
            flag("--to"),
            &wrong,
            flag("-o"),
            &out,
        ];
        let outcome = link(&args);
        assert_eq!(outcome.status, Some(2), "{outcome}");
        assert!(outcome.stderr.contains("byte order"), "{outcome}");
        assert_eq!(fs::read(&out).unwrap(), b"old");
    }
}

#[test]
fn what_does_not_belong_together_is_refused_and_nothing_written() {
    let dir = TestDir::new();
    let [own_path, _, split] = raw_files(&dir);
    let wrong = write(
        &dir,
        "wrong",
        &kernel_with(&["struct q 8", "fwd r"]),
        ByteOrder::Little,
    );
    let cut = dir.write("cut", &fs::read(&split).unwrap()[..30]);
    let out = dir.write("out", b"old");
    let check = |status: i32, args: &[&Path], expect: &str| {
        let outcome = link(&[args, &[flag("-o"), &out]].concat());
        assert_eq!(outcome.status, Some(status), "{outcome}");
        assert!(outcome.stderr.contains(expect), "{outcome}");
        assert_eq!(fs::read(&out).unwrap(), b"old");
        assert!(!dir.names().contains(&"out.base".to_owned()));
    };
    let (base, to) = (flag("--base"), flag("--to"));
    check(
        2,
        &[flag("distill"), &split, base, &wrong],
        "does not continue",
    );
    check(2, &[flag("distill"), &cut, base, &own_path], "truncated");
    check(2, &[flag("distill"), &own_path], "no split BTF");
    check(
        2,
        &[flag("relocate"), &own_path, to, &own_path],
        "no split BTF",
    );
    check(
        2,
        &[flag("relocate"), &split, base, &wrong, to, &own_path],
        "does not continue",
    );
    check(
        1,
        &[flag("relocate"), &split, base, &own_path, to, &wrong],
        "the base has none",
    );
    check(
        2,
        &[flag("relocate"), &split, base, &own_path, to, &cut],
        "cut",
    );
    check(
        1,
        &[flag("prune"), &own_path, flag("--keep"), flag("nothing_*")],
        "nothing is called",
    );
    check(2, &[flag("prune"), &cut, flag("--keep"), flag("a")], "cut");
    let name = flag("another_long_name");
    let words = [flag("prune"), &own_path, flag("--keep"), name];
    let shared = link(&[&words[..], &[flag("--json"), flag("-o"), flag("-")]].concat());
    assert_eq!((shared.status, &*shared.stdout), (Some(2), ""));
    let nowhere = link(&[flag("distill"), &split, base, &own_path]);
    assert_eq!(nowhere.status, Some(2), "{nowhere}");
    assert!(nowhere.stderr.contains("--in-place"), "{nowhere}");
}

#[test]
fn pruning_keeps_what_is_needed_and_tells_why() {
    let dir = TestDir::new();
    let kernel = kernels().into_iter().next();
    let Some(kernel) = kernel else { return };
    let out = dir.path("out.btf");
    let outcome = link(&[
        flag("prune"),
        &kernel,
        flag("--keep"),
        flag("nf_conntrack_tuple"),
        flag("--blame"),
        flag("nf_inet_addr"),
        flag("-o"),
        &out,
    ])
    .success();
    assert!(
        outcome
            .stdout
            .contains("STRUCT `nf_conntrack_tuple`\n  -> "),
        "{outcome}"
    );
    assert!(
        outcome
            .stdout
            .contains("UNION `nf_inet_addr`\n  without it "),
        "{outcome}"
    );
    let pruned = read_btf(&out, None).unwrap();
    assert!(pruned.end_id() < 60, "{outcome}");
    assert!(btf_core::validate::validate(&pruned, btf_core::validate::Profile::User).is_empty());
    let again = dir.path("again.btf");
    let args = [
        flag("prune"),
        &out,
        flag("--keep"),
        flag("nf_conntrack_tuple"),
        flag("-o"),
        &again,
    ];
    let _ = link(&args).success();
    assert_eq!(fs::read(&out).unwrap(), fs::read(&again).unwrap());
}

/// Writes raw BTF.
fn write(dir: &TestDir, name: &str, builder: &Builder, order: ByteOrder) -> PathBuf {
    let bytes = builder.write(order, WriteOptions::default()).unwrap();
    dir.write(name, &bytes)
}

/// A kernel, another one, and split BTF on the first: raw files.
fn raw_files(dir: &TestDir) -> [PathBuf; 3] {
    let write = |name: &str, builder: &Builder| write(dir, name, builder, ByteOrder::Little);
    let own = kernel_with(&["struct a_long_name 8", "struct another_long_name 8"]);
    let other = kernel_with(&[
        "struct another_long_name 8",
        "int c",
        "struct a_long_name 8",
    ]);
    let (own_path, other_path) = (write("own", &own), write("other", &other));
    let mut split = Builder::with_base(Arc::new(own.finish().unwrap()));
    split.ptr(TypeId(2)).unwrap();
    split.typedef(b"b_t", TypeId(3)).unwrap();
    [own_path, other_path, write("split", &split)]
}

/// What is kept of a module continues what the module does, or the kernel that is named.
#[test]
fn what_is_kept_of_a_module_has_its_base() {
    let dir = TestDir::new();
    let [own, other, split] = raw_files(&dir);
    let distilled = dir.path("small");
    distill(&split, &own, &distilled);
    let prune = |rest: &[&Path]| {
        let start = [flag("prune"), &distilled, flag("--keep"), flag("b_t")];
        link(&[&start[..], rest].concat())
    };
    let listed = |file: &Path, base: &[&Path]| {
        let args: Vec<_> = [file].into_iter().chain(base.iter().copied()).collect();
        run(&ours("btf-dump"), args).success().stdout
    };
    let kept = dir.path("kept");
    let _ = prune(&[flag("-o"), &kept]).success();
    assert_eq!(
        fs::read(dir.path("kept.base")).unwrap(),
        fs::read(dir.path("small.base")).unwrap()
    );
    assert_eq!(listed(&kept, &[]), "[3] TYPEDEF 'b_t' type_id=2\n");
    let on_other = dir.path("on-other");
    let _ = prune(&[flag("-B"), &other, flag("-o"), &on_other]).success();
    assert!(!dir.names().contains(&"on-other.base".to_owned()));
    assert_eq!(
        listed(&on_other, &[flag("-B"), &other]),
        "[5] TYPEDEF 'b_t' type_id=2\n"
    );
    let refused = prune(&[flag("-o"), flag("-")]);
    assert_eq!(refused.status, Some(2), "{refused}");
    assert!(refused.stderr.contains("two files"), "{refused}");
    let refused = prune(&[flag("-o"), flag("/dev/null")]);
    assert_eq!(refused.status, Some(2), "{refused}");
    assert!(
        refused.stderr.contains("beside what is no file"),
        "{refused}"
    );
}

/// `dwarf2btf` and `distill` write the distilled base of raw BTF beside it.
#[test]
fn a_base_beside_raw_btf_is_found() {
    let dir = TestDir::new();
    let [own, other, split] = raw_files(&dir);
    fs::create_dir(dir.path("m")).unwrap();
    let distilled = dir.path("m/small");
    distill(&split, &own, &distilled);
    assert!(dir.path("m/small.base").exists());
    let listed = |file: &Path, base: Option<&Path>| {
        let base = base.into_iter().flat_map(|base| [flag("-B"), base]);
        let args: Vec<_> = [file].into_iter().chain(base).collect();
        run(&ours("btf-dump"), args).success().stdout
    };
    let (kernel, module) = (dir.path("other"), dir.path("m"));
    let table = link(&[flag("preflight"), &module, flag("--against"), &kernel]).success();
    assert_eq!(table.stdout.matches("loads").count(), 1, "{table}");
    assert!(!table.stdout.contains("small.base"), "{table}");
    let moved = dir.path("moved");
    let args = [
        flag("relocate"),
        &distilled,
        flag("--to"),
        &other,
        flag("-o"),
        &moved,
    ];
    let _ = link(&args).success();
    assert_eq!(
        listed(&moved, Some(&other)),
        "[5] PTR '(anon)' type_id=4\n[6] TYPEDEF 'b_t' type_id=2\n"
    );
    // On a kernel that is named it is shown where it would be there; by itself, on its own base.
    assert_eq!(
        listed(&distilled, Some(&other)),
        listed(&moved, Some(&other))
    );
    assert_eq!(
        listed(&distilled, Some(&dir.path("m/small.base"))),
        listed(&distilled, None)
    );
    let again = link(&[flag("distill"), &distilled, flag("-o"), &dir.path("again")]);
    assert_eq!(again.status, Some(2), "{again}");
    assert!(again.stderr.contains("a distilled base already"), "{again}");
    // A file of that name that has nothing to do with it is no base.
    let beside = dir.path("split.base");
    let expect = "[4] PTR '(anon)' type_id=2\n[5] TYPEDEF 'b_t' type_id=3\n";
    fs::write(&beside, fs::read(&other).unwrap()).unwrap();
    assert_eq!(listed(&split, Some(&own)), expect);
    // Nor is a pipe, to which nobody may ever write.
    fs::remove_file(&beside).unwrap();
    let _ = run(Path::new("mkfifo"), [&beside]).success();
    assert_eq!(listed(&split, Some(&own)), expect);
}

#[test]
fn beside_the_output_only_a_distilled_base_is_replaced() {
    let dir = TestDir::new();
    let write = |name: &str, builder: &Builder| write(&dir, name, builder, ByteOrder::Little);
    let kernel = |types: &[&str]| {
        let mut builder = kernel_with(types);
        builder.ptr(TypeId(2)).unwrap();
        builder
    };
    let whole = kernel(&["struct a_long_name 8"]);
    let own = write("own", &whole);
    let other = write("other", &kernel(&["struct b 4"]));
    let mut module = Builder::with_base(Arc::new(whole.finish().unwrap()));
    module.typedef(b"b_t", TypeId(2)).unwrap();
    let split = write("split", &module);
    let words = [flag("distill"), &split, flag("--in-place"), flag("-B")];
    let distill = |base: &Path| link(&[&words[..], &[base]].concat());
    let old = fs::read(&split).unwrap();
    let beside = dir.path("split.base");
    // Something else; another kernel's BTF; the kernel's own, which is no base by itself, wherever it is.
    let is_input = "split.base: the input is also the output";
    let is_other = "is no distilled base";
    let kernels = [&other, &own].map(|path| fs::read(path).unwrap());
    for (bytes, expect) in [
        (&b"notes"[..], is_other),
        (&kernels[0], is_other),
        (&kernels[1], is_other),
    ] {
        fs::write(&beside, bytes).unwrap();
        let outcome = distill(&own);
        assert_eq!(outcome.status, Some(2), "{outcome}");
        assert!(outcome.stderr.contains(expect), "{outcome}");
        assert_eq!(fs::read(&beside).unwrap(), bytes);
        assert_eq!(fs::read(&split).unwrap(), old);
    }
    let is_not_found = "what it continues is not found";
    for (outcome, expect) in [
        (distill(&beside), is_input),
        (link(&words[..3]), is_not_found),
    ] {
        assert_eq!(outcome.status, Some(2), "{outcome}");
        assert!(outcome.stderr.contains(expect), "{outcome}");
    }
    // If it is named, it is a base as any other.
    let out = dir.path("out");
    let _ = link(&[
        flag("distill"),
        &split,
        flag("-o"),
        &out,
        flag("-B"),
        &beside,
    ])
    .success();
    assert_eq!(fs::read(&split).unwrap(), old);
    // What an earlier run has written is replaced, and so is an empty file.
    for bytes in [fs::read(dir.path("out.base")).unwrap(), Vec::new()] {
        fs::write(&split, &old).unwrap();
        fs::write(&beside, bytes).unwrap();
        let _ = distill(&own).success();
        assert_eq!(
            fs::read(&beside).unwrap(),
            fs::read(dir.path("out.base")).unwrap()
        );
        assert_eq!(fs::read(&split).unwrap(), fs::read(&out).unwrap());
    }
}

#[test]
fn what_has_a_base_of_its_own_is_shown_on_the_kernel_that_is_named() {
    let Some(bpftool) = peer("bpftool") else {
        return;
    };
    let dir = TestDir::new();
    let [own, other, split] = raw_files(&dir);
    let distilled = dir.path("small");
    distill(&split, &own, &distilled);
    let module = elf_with(&dir, &distilled);
    for base in [&own, &other] {
        let theirs = dump(&bpftool, base, &module).success().stdout;
        let ours = run(&ours("btf-dump"), [&*module, flag("-B"), base]).success();
        assert_eq!(ours.stdout, theirs);
    }
    let wrong = kernel_with(&["struct a_long_name 16"]);
    let wrong = wrong.write(ByteOrder::Little, WriteOptions::default());
    let wrong = dir.write("wrong", &wrong.unwrap());
    let refused = run(&ours("btf-dump"), [&*module, flag("-B"), &wrong]);
    assert_eq!(
        (refused.status, &*refused.stdout),
        (Some(2), ""),
        "{refused}"
    );
    assert!(refused.stderr.contains("cannot be moved onto"), "{refused}");
    assert_ne!(dump(&bpftool, &wrong, &module).status, Some(0));
}

#[test]
fn what_is_on_a_kernel_already_stays() {
    let dir = TestDir::new();
    let [own, other, split] = raw_files(&dir);
    let out = dir.path("out");
    let to = |kernel: &Path| {
        link(&[
            flag("relocate"),
            &split,
            flag("--to"),
            kernel,
            flag("-o"),
            &out,
        ])
    };
    let outcome = to(&own).success();
    assert!(outcome.stderr.contains("2 types continue"), "{outcome}");
    assert_eq!(fs::read(&out).unwrap(), fs::read(&split).unwrap());
    let outcome = to(&other);
    assert_eq!(outcome.status, Some(2), "{outcome}");
    assert!(outcome.stderr.contains("--base FILE"), "{outcome}");
}

#[test]
fn preflight_has_no_answer_for_what_is_no_module() {
    let dir = TestDir::new();
    let [own, _, split] = raw_files(&dir);
    let cut = dir.write("cut", &fs::read(&split).unwrap()[..30]);
    let empty = dir.write("empty", b"");
    let against = [flag("--against"), &own];
    let outcome = link(&[&[flag("preflight"), &cut, &split, &empty][..], &against].concat());
    assert_eq!(outcome.status, Some(2), "{outcome}");
    assert!(outcome.stdout.contains("split  loads"), "{outcome}");
    for text in ["cut: ", "empty: "] {
        assert!(outcome.stderr.contains(text), "{outcome}");
        assert!(
            !outcome.stdout.contains(text.trim_end_matches(": ")),
            "{outcome}"
        );
    }
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../corpus/bpf/clang/first.o");
    let refused = link(&[flag("preflight"), &split, flag("--against"), &program]);
    assert_eq!(refused.status, Some(2), "{refused}");
    assert!(
        refused.stderr.contains("a BPF object, not a kernel"),
        "{refused}"
    );
}

#[test]
fn preflight_takes_folders_of_kernels_and_goes_on_behind_a_broken_one() {
    let dir = TestDir::new();
    let [own, other, split] = raw_files(&dir);
    fs::create_dir_all(dir.path("kernels/modules")).unwrap();
    for (path, name) in [(&own, "a"), (&other, "c"), (&split, "modules/m")] {
        fs::copy(path, dir.path("kernels").join(name)).unwrap();
    }
    let kernels = dir.path("kernels");
    let preflight = |rest: &[&Path]| {
        let words = [flag("preflight"), &split, flag("--against")];
        link(&[&words[..], rest].concat())
    };
    let titles = |outcome: &Outcome| -> Vec<String> {
        let lines = outcome.stdout.lines().map_while(|line| {
            let title = line.split_once("Linux ")?.1.rsplit('/').next()?;
            Some(title.to_owned())
        });
        lines.collect()
    };
    let whole = preflight(&[&kernels]);
    assert_eq!(titles(&whole), ["a", "c"], "{whole}");
    assert!(matches!(whole.status, Some(0 | 1)), "{whole}");
    let cut = dir.write("kernels/b", &fs::read(&own).unwrap()[..30]);
    let nowhere = dir.path("nowhere");
    for broken in [
        &[&*kernels][..],
        &[&own, &cut, &other],
        &[&own, &nowhere, &other],
    ] {
        let outcome = preflight(broken);
        assert_eq!(outcome.status, Some(2), "{outcome}");
        assert_eq!(titles(&outcome).len(), 2, "{outcome}");
        assert_eq!(outcome.stderr.lines().count(), 1, "{outcome}");
        let lines = preflight(&[broken, &[flag("--json")]].concat());
        assert_eq!(lines.stdout.lines().count(), 2, "{lines}");
        let quiet = preflight(&[broken, &[flag("--json"), flag("-q")]].concat());
        assert_eq!(quiet.stdout, lines.stdout);
    }
    let modules = preflight(&[&kernels.join("modules")]);
    assert_eq!(modules.status, Some(2), "{modules}");
    assert!(
        modules.stderr.contains("no kernel in this folder"),
        "{modules}"
    );
    let none = preflight(&[&cut]);
    assert_eq!((none.status, &*none.stdout), (Some(2), ""), "{none}");
}

/// Whoever knows cargo or git asks so.
#[test]
fn help_is_a_command_too() {
    let whole = link(&[flag("help")]).success();
    assert_eq!(whole.stdout, link(&[flag("--help")]).success().stdout);
    let merge = link(&[flag("help"), flag("merge")]).success();
    let words = [flag("merge"), flag("--help")];
    assert_eq!(merge.stdout, link(&words).success().stdout);
    let unknown = link(&[flag("help"), flag("mrege")]);
    assert_eq!(unknown.status, Some(2), "{unknown}");
    assert!(unknown.stderr.contains("subcommand 'mrege'"), "{unknown}");
}

/// The usage that a command shows is one that it takes.
#[test]
fn usage_has_the_files_before_the_kernels() {
    for command in ["preflight", "core-check"] {
        let outcome = link(&[flag(command)]);
        let usage = outcome
            .stderr
            .lines()
            .find(|line| line.starts_with("Usage:"));
        let usage = usage.unwrap();
        let [files, against] = [">... ", "--against"].map(|part| usage.find(part).unwrap());
        assert!(files < against, "{usage}");
    }
}
