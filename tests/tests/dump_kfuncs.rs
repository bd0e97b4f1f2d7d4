//! Goal: `btf-dump kfuncs` declares what BPF programs may call, of kernels and of modules, so that they compile and load.
//! Method: the declarations beside those that bpftool writes into `vmlinux.h` and those that pfunct prints; clang compiles
//! them behind bpftool's header, and the running kernel loads a program that calls one; sets and flags in snapshots.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use btf_core::builder::{Builder, WriteOptions};
use btf_core::wire::{ByteOrder, int, linkage};
use btf_core::{Kind, TypeId};
use btf_tests::input::read_btf;
use btf_tests::program::{TestDir, kernels, modules_beside, ours, peer, run, skip};
use object::{Object as _, ObjectSection as _, ObjectSymbol as _};
use serde_json::Value;

/// The BTF of the running kernel.
const RUNNING: &str = "/sys/kernel/btf/vmlinux";

/// A name for a program that is loaded for a moment.
const PINNED: &str = "/sys/fs/bpf/btf_dump_kfuncs_test";

/// The lines that declare a kfunc in C.
fn declarations(header: &str) -> Vec<&str> {
    let lines = header.lines();
    lines
        .filter(|line| line.ends_with(" __weak __ksym;"))
        .collect()
}

/// The name that a declaration declares: what stands before the first parenthesis.
fn name(declaration: &str) -> String {
    let before = declaration.split('(').next().unwrap_or_default();
    // An attribute has parentheses, too.
    let before = match declaration.rfind("__attribute__((address_space(1))) *bpf") {
        Some(_) if before.ends_with("__attribute__") => {
            let behind = declaration.split("))) *").nth(1).unwrap_or_default();
            behind.split('(').next().unwrap_or_default()
        }
        _ => before,
    };
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let start = before.rfind(|c| !is_name(c)).map_or(0, |at| at + 1);
    before[start..].to_owned()
}

fn kfuncs(args: &[&Path]) -> String {
    let words = std::iter::once(Path::new("kfuncs")).chain(args.iter().copied());
    run(&ours("btf-dump"), words).success().stdout
}

/// bpftool's C header for a file.
fn header(bpftool: &Path, file: &Path, base: Option<&Path>) -> String {
    let base: Vec<_> = base.map_or_else(Vec::new, |base| vec!["-B".into(), base.to_owned()]);
    let dump = ["btf", "dump", "file"].map(PathBuf::from).to_vec();
    let form = vec![file.to_owned(), "format".into(), "c".into()];
    run(bpftool, [base, dump, form].concat()).success().stdout
}

/// Whether the BTF of a kernel marks kfuncs, which it does since 6.10.
fn is_marked(kernel: &Path) -> bool {
    let btf = read_btf(kernel, None).unwrap();
    btf.find_by_name(b"bpf_kfunc").next().is_some()
}

/// The kernels, oldest first, whose BTF marks kfuncs.
fn marked_kernels() -> Vec<PathBuf> {
    let kernels = kernels().into_iter();
    kernels.filter(|kernel| is_marked(kernel)).collect()
}

/// The functions in the sets of a kernel or module that does not mark kfuncs, by the symbols of their ids.
fn functions_in_sets(file: &Path) -> BTreeSet<String> {
    let bytes = std::fs::read(file).unwrap();
    let elf = object::File::parse(&*bytes).unwrap();
    let section = elf.section_by_name(".BTF_ids").map(|s| s.index());
    let symbols: Vec<_> = elf
        .symbols()
        .filter(|symbol| section.is_some() && symbol.section_index() == section)
        .filter_map(|symbol| Some((symbol.name().ok()?, symbol.address(), symbol.size())))
        .collect();
    let sets: Vec<_> = symbols
        .iter()
        .filter(|(name, ..)| name.starts_with("__BTF_ID__set8__"))
        .map(|&(_, start, size)| start..start + size)
        .collect();
    let functions = symbols.iter().filter_map(|&(name, address, _)| {
        let name = name.strip_prefix("__BTF_ID__func__")?;
        let (name, _) = name.rsplit_once("__")?;
        let is_in_set = sets.iter().any(|set| set.contains(&address));
        is_in_set.then(|| name.to_owned())
    });
    functions.collect()
}

#[test]
fn old_kernels_have_what_is_in_their_sets() {
    let mut modules = 0;
    for kernel in kernels().into_iter().filter(|kernel| !is_marked(kernel)) {
        let declared = kfuncs(&[&kernel]);
        let declared: BTreeSet<_> = declarations(&declared).into_iter().map(name).collect();
        assert!(declared.len() > 30, "{}", kernel.display());
        assert_eq!(declared, functions_in_sets(&kernel));
        for module in modules_beside(&kernel) {
            let words = [Path::new("kfuncs"), &module];
            let outcome = run(&ours("btf-dump"), words);
            let declared = declarations(&outcome.stdout).into_iter().map(name);
            let expect = functions_in_sets(&module);
            assert_eq!(declared.collect::<BTreeSet<_>>(), expect, "{outcome}");
            modules += usize::from(!expect.is_empty());
        }
    }
    let has_old = kernels().iter().any(|kernel| !is_marked(kernel));
    assert!(
        modules > 0 || !has_old,
        "a module of an old kernel has kfuncs"
    );
}

#[test]
fn kernels_have_what_bpftool_declares() {
    let Some(bpftool) = peer("bpftool") else {
        return;
    };
    for kernel in marked_kernels() {
        let theirs = header(&bpftool, &kernel, None);
        let theirs = declarations(&theirs);
        assert!(theirs.len() > 100, "{}", kernel.display());
        assert_eq!(declarations(&kfuncs(&[&kernel])), theirs);
    }
}

#[test]
fn modules_have_what_bpftool_adds_to_the_kernel() {
    let Some(bpftool) = peer("bpftool") else {
        return;
    };
    let names =
        |text: &str| -> BTreeSet<String> { declarations(text).into_iter().map(name).collect() };
    for kernel in marked_kernels() {
        let mut count = 0;
        let in_kernel = names(&kfuncs(&[&kernel]));
        for module in modules_beside(&kernel) {
            let theirs = names(&header(&bpftool, &module, Some(&kernel)));
            let own: BTreeSet<_> = theirs.difference(&in_kernel).cloned().collect();
            let words = [Path::new("kfuncs"), &module];
            let ours = names(&run(&ours("btf-dump"), words).stdout);
            count += own.len();
            assert_eq!(ours, own, "{}", module.display());
        }
        assert!(count > 0, "a module of {} has kfuncs", kernel.display());
    }
}

#[test]
fn prototypes_are_those_of_pfunct() {
    let Some(pfunct) = peer("pfunct") else {
        return;
    };
    for kernel in marked_kernels() {
        let args = [
            "-F".as_ref(),
            "btf".as_ref(),
            "-P".as_ref(),
            kernel.as_os_str(),
        ];
        let theirs = run(&pfunct, args).success().stdout;
        let is_kfunc = |line: &&str| line.split(' ').take(2).any(|word| word == "bpf_kfunc");
        let theirs: BTreeSet<_> = theirs.lines().filter(is_kfunc).collect();
        let ours = kfuncs(&[&kernel, Path::new("--format=prototype")]);
        let ours: BTreeSet<_> = ours.lines().collect();
        assert_eq!(ours, theirs, "{}", kernel.display());
    }
}

#[test]
fn clang_takes_the_declarations() {
    let (Some(bpftool), Some(clang)) = (peer("bpftool"), peer("clang")) else {
        return;
    };
    for kernel in marked_kernels() {
        let dir = TestDir::new();
        dir.write("vmlinux.h", header(&bpftool, &kernel, None).as_bytes());
        let modules = kernel.with_file_name("modules");
        dir.write("kfuncs.h", kfuncs(&[&kernel, &modules]).as_bytes());
        let source =
            "#define BPF_NO_KFUNC_PROTOTYPES\n#include \"vmlinux.h\"\n#include \"kfuncs.h\"\n";
        compile(&clang, &dir, source);
    }
}

/// Compiles for BPF into `prog.o`.
#[track_caller]
fn compile(clang: &Path, dir: &TestDir, source: &str) {
    let source = dir.write("prog.c", source.as_bytes());
    let object = dir.path("prog.o");
    let flags = "-target bpf -g -O2 -Wno-missing-declarations -Werror -c".split(' ');
    let mut args: Vec<_> = flags.map(PathBuf::from).collect();
    args.extend([source, "-o".into(), object]);
    let _ = run(clang, args).success();
}

#[test]
fn the_running_kernel_loads_a_program_that_calls_one() {
    const PROGRAM: &str = r#"
#define BPF_NO_KFUNC_PROTOTYPES
#include "vmlinux.h"
#include "kfuncs.h"
#define SEC(name) __attribute__((section(name), used))
char LICENSE[] SEC("license") = "GPL";
SEC("syscall") int prog(void *ctx)
{
	bpf_rcu_read_lock();
	bpf_rcu_read_unlock();
	return 0;
}
"#;
    let (Some(bpftool), Some(clang)) = (peer("bpftool"), peer("clang")) else {
        return;
    };
    let words = ["kfuncs", "--name", "bpf_rcu_read_*lock"];
    let declared = run(&ours("btf-dump"), words);
    if declared.status != Some(0) {
        return skip("the running kernel's BTF marks no kfuncs");
    }
    let dir = TestDir::new();
    let vmlinux = header(&bpftool, Path::new(RUNNING), None);
    dir.write("vmlinux.h", vmlinux.as_bytes());
    dir.write("kfuncs.h", declared.stdout.as_bytes());
    compile(&clang, &dir, PROGRAM);
    let object = dir.path("prog.o");
    let load = [
        "prog".as_ref(),
        "load".as_ref(),
        object.as_os_str(),
        PINNED.as_ref(),
    ];
    let loaded = run(&bpftool, load);
    let _ = std::fs::remove_file(PINNED);
    if loaded.stderr.contains("Operation not permitted") {
        return skip("no right to load BPF programs");
    }
    let _ = loaded.success();
}

/// Two kfuncs, one of them with everything that a declaration can have.
fn module() -> Vec<u8> {
    let mut builder = Builder::new();
    let int = builder.int(b"int", 4, int::SIGNED).unwrap();
    let arena = builder.type_tag(b"address_space(1)", TypeId::VOID, true);
    let arena = builder.ptr(arena.unwrap()).unwrap();
    let task = builder.fwd(b"task_struct", false).unwrap();
    let task = builder.qualifier(Kind::Const, task).unwrap();
    let task = builder.ptr(task).unwrap();
    let params: [(&[u8], TypeId); 2] = [(b"p", task), (b"size", int)];
    let proto = builder.func_proto(arena, &params).unwrap();
    let fancy = builder.func(b"fancy", proto, linkage::STATIC).unwrap();
    let proto = builder.func_proto(TypeId::VOID, &[]).unwrap();
    let plain = builder.func(b"also_plain", proto, linkage::STATIC);
    let plain = plain.unwrap();
    builder.func(b"no_kfunc", proto, linkage::STATIC).unwrap();
    for (text, func) in [
        (&b"bpf_kfunc"[..], fancy),
        (b"bpf_fastcall", fancy),
        (b"bpf_kfunc", plain),
    ] {
        builder.decl_tag(text, func, -1, false).unwrap();
    }
    let options = WriteOptions::default();
    builder.write(ByteOrder::Big, options).unwrap()
}

#[test]
fn every_form_tells_the_same() {
    let dir = TestDir::new();
    let file = dir.write("module", &module());
    let folder = format!("{}/", dir.path("").display()).replace("//", "/");
    let out = dir.path("out.h");
    let words = [Path::new("-o"), &out];
    assert_eq!(kfuncs(&[&[&*file][..], &words].concat()), "");
    assert_eq!(std::fs::read_to_string(&out).unwrap(), kfuncs(&[&file]));
    let shown = |arg: &str| kfuncs(&[&file, Path::new(arg)]).replace(&folder, "");
    let header = shown("--format=c");
    let declared = header.split("/* kfuncs of ").nth(1).unwrap();
    insta::assert_snapshot!(declared, @r"
    module */
    struct task_struct;

    extern void also_plain(void) __weak __ksym;
    extern __bpf_fastcall void __attribute__((address_space(1))) *fancy(const struct task_struct *p, int size) __weak __ksym;
    ");
    insta::assert_snapshot!(shown("--format=prototype"), @r"
    bpf_kfunc void also_plain(void);
    bpf_kfunc bpf_fastcall void * fancy(const struct task_struct  * p, int size);
    ");
    insta::assert_snapshot!(shown("--json"), @r#"
    {"type":"kfunc","name":"also_plain","file":"module","id":10,"prototype":"void also_plain(void)","params":[],"return_type_id":0,"tags":["bpf_kfunc"],"is_fastcall":false}
    {"type":"kfunc","name":"fancy","file":"module","id":8,"prototype":"void __attribute__((address_space(1))) *fancy(const struct task_struct *p, int size)","params":[{"name":"p","type_id":6},{"name":"size","type_id":1}],"return_type_id":3,"tags":["bpf_kfunc","bpf_fastcall"],"is_fastcall":true}
    "#);
}

#[test]
fn flags_and_sets_come_from_the_file() {
    for kernel in marked_kernels() {
        let lines = kfuncs(&[&kernel, Path::new("--json")]);
        let lines: Vec<Value> = lines
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        for line in &lines {
            let bits = line["flag_bits"].as_u64().unwrap();
            // KF_FASTCALL, which the tag tells as well.
            assert_eq!(line["is_fastcall"], bits >> 12 & 1 == 1, "{line}");
            assert!(!line["sets"].as_array().unwrap().is_empty(), "{line}");
        }
        let release = lines
            .iter()
            .find(|line| line["name"] == "bpf_task_release")
            .unwrap();
        assert_eq!(release["flags"], serde_json::json!(["RELEASE"]));
    }
}

#[test]
fn without_kfuncs_the_answer_is_no() {
    let dir = TestDir::new();
    let mut builder = Builder::new();
    builder.int(b"int", 4, int::SIGNED).unwrap();
    let bytes = builder.write(ByteOrder::Little, WriteOptions::default());
    let file = dir.write("a.btf", &bytes.unwrap());
    let outcome = run(&ours("btf-dump"), [Path::new("kfuncs"), &file]);
    assert_eq!(outcome.status, Some(1), "{outcome}");
    assert!(outcome.stderr.contains("no kfunc"), "{outcome}");
    let module = dir.write("module", &module());
    let words = [Path::new("kfuncs"), &module, Path::new("--name=fan")];
    let outcome = run(&ours("btf-dump"), words);
    assert_eq!(outcome.status, Some(1), "{outcome}");
    assert!(
        outcome.stderr.contains("no kfunc is called `fan`"),
        "{outcome}"
    );
}
